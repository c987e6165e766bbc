//! Which of many sources have something to report, who waits for that, and when a descriptor has
//! to say so. No I/O: what is turned on and off is a [`Wake`].
//!
//! The list changes under one lock; the descriptor, which costs a system call, is turned on and off
//! under none. So the two may differ for a moment, and [`ReadyList::settle`] makes them agree: one
//! thread at a time does it, in rounds, and looks at the list again behind each round. Another
//! thread that changed the list meanwhile was either seen by that look, or comes after it and finds
//! nobody settling.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};
use std::time::Instant;

use slotmap::{SlotMap, new_key_type};

use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Condvar, Mutex, MutexGuard, now};

/// What a source has to report: a set.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Events(u8);

impl Events {
    /// Nothing.
    pub const NONE: Events = Events(0);
    /// A reader has something to read: bytes, or the reason why no more come.
    pub const READABLE: Events = Events(1);
    /// A console's state changed.
    pub const STATE: Events = Events(2);
    /// A console takes input again, after a write found no room for all it had.
    pub const WRITABLE: Events = Events(4);

    const ALL: [(Events, &str); 3] =
        [(Self::READABLE, "READABLE"), (Self::STATE, "STATE"), (Self::WRITABLE, "WRITABLE")];

    /// Whether all of `events` are among these.
    pub const fn contains(self, events: Events) -> bool {
        self.0 & events.0 == events.0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set as a number: 1 for `READABLE`, 2 for `STATE`, 4 for `WRITABLE`, added up.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// These and `other`.
    pub(crate) const fn with(self, other: Events) -> Events {
        Events(self.0 | other.0)
    }

    /// What is in both.
    pub(crate) const fn and(self, other: Events) -> Events {
        Events(self.0 & other.0)
    }

    const fn without(self, other: Events) -> Events {
        Events(self.0 & !other.0)
    }
}

impl BitOr for Events {
    type Output = Events;

    fn bitor(self, other: Events) -> Events {
        self.with(other)
    }
}

impl BitOrAssign for Events {
    fn bitor_assign(&mut self, other: Events) {
        *self = *self | other;
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            Self::ALL.iter().filter(|(e, _)| self.contains(*e)).map(|(_, name)| *name).collect();
        f.write_str(if names.is_empty() { "NONE" } else { "" })?;
        f.write_str(&names.join(" | "))
    }
}

/// One source that has something, as a wait reports it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ready {
    /// The key the source was added with.
    pub key: u64,
    /// What it has.
    pub events: Events,
}

/// What tells the outside that the list is not empty: on between `signal` and `clear`.
pub(crate) trait Wake {
    /// Turns it on.
    fn signal(&self);
    /// Turns it off.
    fn clear(&self);
}

new_key_type! {
    /// A source of one list; never used again for another one.
    pub(crate) struct SourceKey;
}

/// Sources, and the ones among them that have something, in the order in which they got it.
///
/// Whatever changes the list is followed by [`settle`](Self::settle), once the caller holds no
/// lock any more: that is where threads are woken and the descriptor is turned on or off.
#[derive(Debug)]
pub(crate) struct ReadyList<W> {
    state: Mutex<State>,
    /// There is something, or the list is closed.
    some: Condvar,
    wake: W,
}

#[derive(Debug, Default)]
struct State {
    sources: SlotMap<SourceKey, Source>,
    first: Option<SourceKey>,
    last: Option<SourceKey>,
    closed: bool,
    /// Threads that wait, and how many of them are to be woken.
    waiting: usize,
    wakes: usize,
    /// What the wake was last told, or is just being told.
    lit: bool,
    /// A thread is telling it.
    settling: bool,
}

#[derive(Debug)]
struct Source {
    key: u64,
    events: Events,
    /// Whether it is in the list of those that have something, and its neighbours there.
    linked: bool,
    before: Option<SourceKey>,
    behind: Option<SourceKey>,
    /// How many hold it: it is gone when the last one releases it.
    holders: usize,
}

impl<W: Wake> ReadyList<W> {
    pub fn new(wake: W) -> Self {
        ReadyList { state: Mutex::new(State::default()), some: Condvar::new(), wake }
    }

    /// A new source, with one holder; `Closed` when the list is.
    pub fn add(&self, key: u64) -> Result<SourceKey> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::new(ErrorKind::Closed));
        }
        Ok(state.sources.insert(Source {
            key,
            events: Events::NONE,
            linked: false,
            before: None,
            behind: None,
            holders: 1,
        }))
    }

    /// One more holder of a source.
    pub fn hold(&self, source: SourceKey) {
        if let Some(source) = self.state.lock().sources.get_mut(source) {
            source.holders += 1;
        }
    }

    /// One holder less; its `events` are over. To be settled.
    pub fn release(&self, source: SourceKey, events: Events) {
        let mut state = self.state.lock();
        state.unmark(source, events);
        if let Some(held) = state.sources.get_mut(source) {
            held.holders -= 1;
            if held.holders == 0 {
                state.unlink(source);
                state.sources.remove(source);
            }
        }
    }

    /// A source has something. To be settled.
    pub fn mark(&self, source: SourceKey, events: Events) {
        self.state.lock().mark(source, events);
    }

    /// A source has that no more. To be settled.
    pub fn unmark(&self, source: SourceKey, events: Events) {
        self.state.lock().unmark(source, events);
    }

    /// Has the waiting threads and the wake learn what changed. Not to be called with a lock held.
    pub fn settle(&self) {
        self.settle_from(self.state.lock());
    }

    /// Takes what there is, at most as much as `out` has room for, and says how much; waits until
    /// `deadline` for something, then `TimedOut`. `Closed` when the list is.
    pub fn wait(&self, out: &mut [Ready], deadline: Option<Instant>) -> Result<usize> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return Err(Error::new(ErrorKind::Closed));
            }
            let count = state.take(out);
            if count > 0 {
                // What there was no room for wakes nobody: who waits was woken when it came.
                self.settle_from(state);
                return Ok(count);
            }
            state.waiting += 1;
            let waited = wait(&self.some, &mut state, deadline);
            state.waiting -= 1;
            if !waited {
                return Err(Error::new(ErrorKind::TimedOut));
            }
        }
    }

    /// Ends every wait, and all that would come, with `Closed`; the wake stays on. Settled.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.sources = SlotMap::default();
        (state.first, state.last) = (None, None);
        state.wakes = state.waiting;
        self.settle_from(state);
    }

    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    fn settle_from<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        loop {
            let wakes = std::mem::take(&mut state.wakes);
            let on = state.first.is_some() || state.closed;
            // Two threads that told it could overtake each other; whoever does so looks again.
            let turn = on != state.lit && !state.settling;
            if turn {
                (state.lit, state.settling) = (on, true);
            }
            drop(state);
            for _ in 0..wakes {
                self.some.notify_one();
            }
            match (turn, on) {
                (false, _) => return,
                (true, true) => self.wake.signal(),
                (true, false) => self.wake.clear(),
            }
            state = self.state.lock();
            state.settling = false;
        }
    }
}

impl State {
    fn mark(&mut self, at: SourceKey, events: Events) {
        let Some(source) = self.sources.get_mut(at) else { return };
        source.events |= events;
        if source.linked || source.events.is_empty() {
            return;
        }
        source.linked = true;
        source.before = self.last;
        source.behind = None;
        match self.last.and_then(|last| self.sources.get_mut(last)) {
            Some(last) => last.behind = Some(at),
            None => self.first = Some(at),
        }
        self.last = Some(at);
        self.wakes = (self.wakes + 1).min(self.waiting);
    }

    fn unmark(&mut self, at: SourceKey, events: Events) {
        let Some(source) = self.sources.get_mut(at) else { return };
        source.events = source.events.without(events);
        if source.events.is_empty() {
            self.unlink(at);
        }
    }

    fn unlink(&mut self, at: SourceKey) {
        let Some(source) = self.sources.get_mut(at).filter(|source| source.linked) else { return };
        source.linked = false;
        let (before, behind) = (source.before, source.behind);
        match before.and_then(|before| self.sources.get_mut(before)) {
            Some(before) => before.behind = behind,
            None => self.first = behind,
        }
        match behind.and_then(|behind| self.sources.get_mut(behind)) {
            Some(behind) => behind.before = before,
            None => self.last = before,
        }
    }

    fn take(&mut self, out: &mut [Ready]) -> usize {
        let mut count = 0;
        for place in out {
            let Some(first) = self.first else { break };
            let Some(source) = self.sources.get_mut(first) else { break };
            *place = Ready { key: source.key, events: std::mem::take(&mut source.events) };
            self.unlink(first);
            count += 1;
        }
        count
    }
}

/// Waits once; `false` when `deadline` is over. For loops that look at what they wait for first.
pub(super) fn wait<T>(
    condvar: &Condvar,
    guard: &mut MutexGuard<'_, T>,
    deadline: Option<Instant>,
) -> bool {
    match deadline {
        None => {
            condvar.wait(guard);
            true
        }
        Some(deadline) if deadline > now() => {
            condvar.wait_until(guard, deadline);
            true
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    /// A descriptor that counts its system calls.
    #[derive(Debug, Default)]
    struct Fake {
        on: AtomicBool,
        calls: AtomicUsize,
    }

    impl Wake for &Fake {
        fn signal(&self) {
            assert!(!self.on.swap(true, Ordering::SeqCst), "turned on twice");
            self.calls.fetch_add(1, Ordering::SeqCst);
        }

        fn clear(&self) {
            assert!(self.on.swap(false, Ordering::SeqCst), "turned off twice");
            self.calls.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(list: &ReadyList<&Fake>, room: usize) -> Vec<(u64, Events)> {
        let mut out = vec![Ready::default(); room];
        let count = list.wait(&mut out, Some(Instant::now())).unwrap_or(0);
        out[..count].iter().map(|ready| (ready.key, ready.events)).collect()
    }

    #[test]
    fn a_source_is_listed_once_and_the_wake_is_on_exactly_while_one_is() {
        let fake = Fake::default();
        let list = ReadyList::new(&fake);
        let sources: Vec<_> = (0..4).map(|key| list.add(key).expect("open")).collect();
        assert_eq!(poll(&list, 8), []);
        for _ in 0..100 {
            for at in [2, 0, 1] {
                list.mark(sources[at], Events::READABLE);
                list.settle();
            }
        }
        list.mark(sources[0], Events::STATE);
        list.settle();
        assert_eq!((fake.on.load(Ordering::SeqCst), fake.calls.load(Ordering::SeqCst)), (true, 1));
        assert_eq!(poll(&list, 1), [(2, Events::READABLE)]);
        assert!(fake.on.load(Ordering::SeqCst));
        let both = Events::READABLE | Events::STATE;
        assert_eq!(poll(&list, 8), [(0, both), (1, Events::READABLE)]);
        assert_eq!((fake.on.load(Ordering::SeqCst), fake.calls.load(Ordering::SeqCst)), (false, 2));
    }

    #[test]
    fn what_is_taken_back_or_released_turns_the_wake_off() {
        let fake = Fake::default();
        let list = ReadyList::new(&fake);
        let (a, b) = (list.add(1).expect("open"), list.add(2).expect("open"));
        let is_on = || {
            list.settle();
            fake.on.load(Ordering::SeqCst)
        };
        list.mark(a, Events::READABLE);
        list.mark(b, Events::READABLE | Events::STATE);
        list.unmark(a, Events::READABLE);
        list.unmark(b, Events::READABLE);
        assert!(is_on());
        list.hold(b);
        list.mark(b, Events::READABLE);
        list.release(b, Events::STATE);
        assert_eq!(poll(&list, 8), [(2, Events::READABLE)]);
        list.mark(b, Events::READABLE);
        assert!(is_on());
        list.release(b, Events::READABLE);
        assert!(!is_on());
        list.mark(b, Events::READABLE);
        assert!(!is_on(), "what is released is gone");
        list.mark(a, Events::STATE);
        assert!(is_on());
    }

    #[test]
    fn a_closed_list_stays_lit_and_says_so() {
        let fake = Fake::default();
        let list = ReadyList::new(&fake);
        let source = list.add(1).expect("open");
        std::thread::scope(|scope| {
            let waiting: Vec<_> =
                (0..3).map(|_| scope.spawn(|| list.wait(&mut [Ready::default()], None))).collect();
            while list.state.lock().waiting < 3 {
                std::thread::yield_now();
            }
            list.close();
            for thread in waiting {
                let ended = thread.join().expect("no panic").map_err(|error| error.kind());
                assert_eq!(ended, Err(ErrorKind::Closed));
            }
        });
        list.mark(source, Events::READABLE);
        list.settle();
        assert!(fake.on.load(Ordering::SeqCst) && list.is_closed());
        assert_eq!(list.add(2).map_err(|error| error.kind()), Err(ErrorKind::Closed));
    }

    #[test]
    fn each_event_goes_to_one_of_many_threads_and_the_wake_ends_up_right() {
        const ROUNDS: u64 = 20_000;
        let fake = Fake::default();
        let list = ReadyList::new(&fake);
        let taken = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut out = [Ready::default(); 2];
                    while let Ok(count) = list.wait(&mut out, None) {
                        taken.fetch_add(count, Ordering::SeqCst);
                    }
                });
            }
            let markers: Vec<_> = (0..2)
                .map(|key| {
                    let (list, taken) = (&list, &taken);
                    scope.spawn(move || {
                        for _ in 0..ROUNDS {
                            let source = list.add(key).expect("open");
                            list.mark(source, Events::READABLE);
                            list.settle();
                            // Half of them are taken back, unless they were reported already.
                            let state = &mut *list.state.lock();
                            if state.sources[source].linked && key == 1 {
                                state.unmark(source, Events::READABLE);
                                taken.fetch_add(1, Ordering::SeqCst);
                            }
                        }
                        list.settle();
                    })
                })
                .collect();
            for marker in markers {
                marker.join().expect("no panic");
            }
            while taken.load(Ordering::SeqCst) < 2 * ROUNDS as usize {
                std::thread::yield_now();
            }
            while fake.on.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            list.close();
        });
        assert_eq!(taken.load(Ordering::SeqCst), 2 * ROUNDS as usize);
    }
}
