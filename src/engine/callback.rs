//! What is called when something happens at a console: in order per callback, one call at a time.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use super::console::ConsoleShared;
use super::dispatch::{Dispatcher, Task};
use super::event::ConsoleEvent;
use crate::console::Cursor;
use crate::error::Result;
use crate::sync::{Condvar, Mutex};

/// Calls in a row before the next callback has its turn.
const CALLS_PER_TURN: usize = 16;
/// Bytes given in one call at most.
const CHUNK_LEN: usize = 16 << 10;

/// What a user gave to be called.
pub(crate) type Callback = Box<dyn FnMut(ConsoleEvent<'_>) + Send>;

/// One callback of one console.
pub(crate) struct Subscriber {
    /// Never 0.
    id: u64,
    console: Arc<ConsoleShared>,
    dispatcher: Arc<Dispatcher>,
    phase: Mutex<Phase>,
    /// It does not run any more.
    idle: Condvar,
    /// Out while it runs; gone when it ended.
    call: Mutex<Option<Call>>,
}

#[derive(Default)]
struct Phase {
    /// It waits for its turn.
    queued: bool,
    running: bool,
    /// Something happened while it ran.
    again: bool,
    ended: bool,
    /// It was ended from within.
    stray: bool,
}

struct Call {
    callback: Callback,
    cursor: Cursor,
}

thread_local! {
    /// The subscriber whose callback this thread is in, or 0.
    static RUNNING: Cell<u64> = const { Cell::new(0) };
}

/// Which callback waits for the end of which other one.
static WAITS: LazyLock<Mutex<Vec<(u64, u64)>>> = LazyLock::new(|| Mutex::new(Vec::new()));

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Subscriber {
    /// A callback that first gets what is behind `cursor`. Fails when it has no threads.
    pub fn new(
        console: Arc<ConsoleShared>,
        dispatcher: Arc<Dispatcher>,
        cursor: Cursor,
        callback: Callback,
    ) -> Result<Arc<Self>> {
        static LAST_ID: AtomicU64 = AtomicU64::new(0);
        dispatcher.enter()?;
        Ok(Arc::new(Subscriber {
            id: LAST_ID.fetch_add(1, Ordering::Relaxed) + 1,
            console,
            dispatcher,
            phase: Mutex::default(),
            idle: Condvar::new(),
            call: Mutex::new(Some(Call { callback, cursor })),
        }))
    }

    pub fn console(&self) -> &ConsoleShared {
        &self.console
    }

    /// Something happened. To be settled.
    pub fn wake(self: &Arc<Self>) {
        let mut phase = self.phase.lock();
        if phase.ended || phase.queued {
            return;
        }
        if phase.running {
            phase.again = true;
            return;
        }
        phase.queued = true;
        drop(phase);
        self.dispatcher.push(self.clone());
    }

    /// Has a thread take it up. Not to be called with a lock held.
    pub fn settle(&self) {
        self.dispatcher.settle();
    }

    /// Whether it is called no more.
    pub fn has_ended(&self) -> bool {
        self.phase.lock().ended
    }

    /// Has it called no more: a call that is under way is waited for, unless this is called from
    /// within it, or from within one that it waits for itself.
    pub fn end(&self) {
        let mut phase = self.phase.lock();
        phase.ended = true;
        let me = RUNNING.get();
        if phase.running {
            if me == self.id || me != 0 && !begin_wait(me, self.id) {
                // The thread that runs it drops it.
                phase.stray = true;
                return self.dispatcher.stray(true);
            }
            while phase.running {
                self.idle.wait(&mut phase);
            }
            if me != 0 {
                WAITS.lock().retain(|(waiting, _)| *waiting != me);
            }
        }
        drop(phase);
        self.drop_call();
    }

    /// Has it called no more, and leaves a call that is under way to end by itself.
    pub fn abandon(&self) {
        let mut phase = self.phase.lock();
        phase.ended = true;
        if phase.running {
            // The thread that runs it drops it.
            phase.stray = true;
            return self.dispatcher.stray(true);
        }
        drop(phase);
        self.drop_call();
    }

    /// Gives back the threads. To be called once, after `end` or `abandon`.
    pub fn leave(&self) {
        self.dispatcher.leave();
    }

    fn drop_call(&self) {
        let call = self.call.lock().take();
        drop_quietly(call);
    }

    /// Calls back until there is nothing more or others should have a turn; whether there is more.
    fn take_turn(&self, call: &mut Call, buffer: &mut Vec<u8>) -> bool {
        buffer.resize(CHUNK_LEN, 0);
        for _ in 0..CALLS_PER_TURN {
            let Some(event) = self.console.poll_event(&mut call.cursor, buffer) else {
                return false;
            };
            (call.callback)(event);
            if self.has_ended() {
                return false;
            }
        }
        true
    }
}

impl Task for Subscriber {
    fn run(self: Arc<Self>, buffer: &mut Vec<u8>) {
        let mut phase = self.phase.lock();
        phase.queued = false;
        phase.again = false;
        if phase.ended {
            return;
        }
        phase.running = true;
        drop(phase);
        RUNNING.set(self.id);
        let mut call = self.call.lock().take();
        let turn = catch_unwind(AssertUnwindSafe(|| match &mut call {
            Some(call) => self.take_turn(call, buffer),
            None => false,
        }));
        if turn.is_err() {
            log::error!(target: "bmclink::engine", "a console's callback panicked: it is ended");
            self.phase.lock().ended = true;
        }
        if self.has_ended() {
            drop_quietly(call);
        } else {
            *self.call.lock() = call;
        }
        RUNNING.set(0);
        let mut phase = self.phase.lock();
        phase.running = false;
        let more = turn.unwrap_or(false) || phase.again;
        phase.queued = more && !phase.ended;
        if phase.queued {
            self.dispatcher.push(self.clone());
        }
        if phase.stray {
            self.dispatcher.stray(false);
        }
        drop(phase);
        // Whoever ended it from elsewhere waits for this, and drops what was put back.
        self.idle.notify_all();
        self.dispatcher.settle();
    }
}

/// A user's values may panic when they are dropped, too.
fn drop_quietly(call: Option<Call>) {
    if catch_unwind(AssertUnwindSafe(|| drop(call))).is_err() {
        log::error!(target: "bmclink::engine", "a callback panicked when it was dropped");
    }
}

/// Notes that the callback `me` waits for the end of `other`, unless that waits for `me`.
fn begin_wait(me: u64, other: u64) -> bool {
    let mut waits = WAITS.lock();
    let mut at = other;
    while let Some((_, next)) = waits.iter().find(|(waiting, _)| *waiting == at) {
        if *next == me {
            return false;
        }
        at = *next;
    }
    waits.push((me, other));
    true
}
