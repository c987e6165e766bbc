//! The same things made of loom's, for the models only.
//!
//! Time passes only in waits, for the thread that waits: one that ends within a second ends
//! without anybody waking it, any longer one never does. So a wait with a limit is tried both
//! ways by giving it both deadlines, and a thread that only its limit would have woken is a
//! deadlock that loom reports.
//!
//! `Arc` is std's in a model too: nothing here depends on when a count reaches zero, and loom's
//! own cannot be dropped once a model has failed.
//!
//! loom treats the `SeqCst` of an access as `AcqRel`: what holds here holds with less.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{SendError, SendTimeoutError, TryRecvError};
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

loom::thread_local! {
    static PASSED: Cell<Duration> = Cell::new(Duration::ZERO);
}

/// The time, of this thread.
pub(crate) fn now() -> Instant {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    *START + PASSED.with(Cell::get)
}

/// Whether a wait until then ends by itself: it is that time then.
fn passes(deadline: Instant) -> bool {
    let now = now();
    let passes = deadline <= now + Duration::from_secs(1);
    if passes {
        let wait = deadline.saturating_duration_since(now);
        PASSED.with(|passed| passed.set(passed.get() + wait));
    }
    passes
}

/// loom's mutex, used as parking_lot's is.
#[derive(Debug)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Mutex(loom::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: &self.0, held: Some(locked(&self.0)) }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

/// A thread that panics ends the whole model, so there is no poison to speak of.
fn locked<T>(mutex: &loom::sync::Mutex<T>) -> loom::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A held mutex.
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a loom::sync::Mutex<T>,
    /// Empty only within a call that waits.
    held: Option<loom::sync::MutexGuard<'a, T>>,
}

const HELD: &str = "held except within a wait";

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect(HELD)
    }
}

/// loom's condition variable, used as parking_lot's is.
#[derive(Debug)]
pub(crate) struct Condvar(loom::sync::Condvar);

/// Whether a wait ended because its time was over.
pub(crate) struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub fn new() -> Self {
        Condvar(loom::sync::Condvar::new())
    }

    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.held.take().expect(HELD);
        let held = self.0.wait(held).unwrap_or_else(|poisoned| poisoned.into_inner());
        guard.held = Some(held);
    }

    /// When the time is over the mutex is let go of and taken again all the same: anybody may
    /// come in between.
    pub fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        if !passes(deadline) {
            self.wait(guard);
            return WaitTimeoutResult(false);
        }
        guard.held = None;
        guard.held = Some(locked(guard.mutex));
        WaitTimeoutResult(true)
    }

    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Both ends of a queue for `len` messages, as those of crossbeam-channel.
pub(crate) fn bounded<T>(len: usize) -> (Sender<T>, Receiver<T>) {
    let queue = Queue { messages: VecDeque::new(), len, receiver_is_gone: false };
    let channel = Arc::new(Channel { queue: Mutex::new(queue), room: Condvar::new() });
    (Sender(channel.clone()), Receiver(channel))
}

struct Channel<T> {
    queue: Mutex<Queue<T>>,
    room: Condvar,
}

struct Queue<T> {
    messages: VecDeque<T>,
    len: usize,
    receiver_is_gone: bool,
}

/// The sending end.
pub(crate) struct Sender<T>(Arc<Channel<T>>);

/// The receiving end. What is left in the queue stays there while there is a sender.
pub(crate) struct Receiver<T>(Arc<Channel<T>>);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender(self.0.clone())
    }
}

impl<T> Sender<T> {
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.send_unless(message, false).map_err(|error| SendError(error.into_inner()))
    }

    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.send_unless(message, passes(deadline))
    }

    fn send_unless(&self, message: T, too_late: bool) -> Result<(), SendTimeoutError<T>> {
        let mut queue = self.0.queue.lock();
        loop {
            if queue.receiver_is_gone {
                return Err(SendTimeoutError::Disconnected(message));
            }
            if queue.messages.len() < queue.len {
                queue.messages.push_back(message);
                return Ok(());
            }
            if too_late {
                return Err(SendTimeoutError::Timeout(message));
            }
            self.0.room.wait(&mut queue);
        }
    }
}

impl<T> Receiver<T> {
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let message = self.0.queue.lock().messages.pop_front().ok_or(TryRecvError::Empty)?;
        self.0.room.notify_all();
        Ok(message)
    }

    pub fn len(&self) -> usize {
        self.0.queue.lock().messages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.queue.lock().messages.is_empty()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return; // The model is over: loom has no locks any more.
        }
        self.0.queue.lock().receiver_is_gone = true;
        self.0.room.notify_all();
    }
}
