//! A console as its shard and its users share it: the ring, the input, and who waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::callback::Change;
use super::ready::{Events, wait};
pub use super::state::{ConsoleState, ConsoleStats, Why};
use super::wait::Completer;
use super::watch::{Place, Watch, Watches};
use crate::bytes::take_front;
use crate::config::ConsoleConfig;
use crate::console::{Cursor, Log};
use crate::error::{Error, ErrorKind, Result};
use crate::session::Quirks;
use crate::supervisor::ConsoleSettings;
use crate::sync::{AtomicBool, Condvar, Mutex, now};

/// One console.
#[derive(Debug)]
pub(crate) struct ConsoleShared {
    inner: Mutex<Inner>,
    /// New characters, or the end of them.
    readable: Condvar,
    /// Room for input, or nowhere to put it any more.
    writable: Condvar,
    /// All input is acknowledged, or never will be.
    drained: Condvar,
    /// Another state.
    changed: Condvar,
}

#[derive(Debug)]
struct Inner {
    config: ConsoleConfig,
    log: Log,
    state: ConsoleState,
    since: Instant,
    /// Why it is not connected, after it was or was tried to be.
    reason: Option<Error>,
    /// When it is tried again.
    next_try: Option<Instant>,
    closed: bool,
    input: VecDeque<u8>,
    /// Position of the first byte of `input` in all input.
    input_start: u64,
    breaks: VecDeque<(u64, Completer<()>)>,
    /// Of the input, what the session holds.
    in_session: u64,
    /// A write found no room for all it had, and nobody was told of room since.
    starved: bool,
    stats: ConsoleStats,
    last_data: Option<Instant>,
    /// Which start of a backend may add characters; 0 for none.
    open_for: u64,
    watches: Watches,
}

/// What the shard takes out of the input next.
pub(crate) enum Input {
    /// Bytes were copied.
    Bytes,
    /// A break is next.
    Break(Completer<()>),
    /// Nothing more for now.
    Nothing,
}

impl ConsoleShared {
    pub fn new(config: ConsoleConfig) -> Self {
        let inner = Inner {
            log: Log::new(config.replay_len),
            config,
            state: ConsoleState::Unconnected,
            since: now(),
            reason: None,
            next_try: None,
            closed: false,
            input: VecDeque::new(),
            input_start: 0,
            breaks: VecDeque::new(),
            in_session: 0,
            starved: false,
            stats: ConsoleStats::default(),
            last_data: None,
            open_for: 0,
            watches: Watches::default(),
        };
        ConsoleShared {
            inner: Mutex::new(inner),
            readable: Condvar::new(),
            writable: Condvar::new(),
            drained: Condvar::new(),
            changed: Condvar::new(),
        }
    }

    /// How it is run at a BMC with these quirks.
    pub fn settings(&self, quirks: Quirks) -> ConsoleSettings {
        self.inner.lock().config.settings(quirks)
    }

    // For users

    /// Has it run in another way; says whether that is one.
    pub fn reconfigure(&self, config: ConsoleConfig) -> bool {
        let mut inner = self.inner.lock();
        if inner.config == config {
            return false;
        }
        inner.log.set_len_max(config.replay_len);
        let watches = if config.input_len > inner.config.input_len {
            inner.feed_starved()
        } else {
            Watches::default()
        };
        inner.config = config;
        drop(inner);
        self.writable.notify_all();
        watches.settle();
        true
    }

    /// State, since when, why, and when it is tried again.
    pub fn why(&self) -> Why {
        let (inner, now) = (self.inner.lock(), now());
        Why {
            state: inner.state,
            epoch: inner.stats.epoch,
            since: now.saturating_duration_since(inner.since),
            reason: inner.reason.clone(),
            next_try: inner.next_try.map(|at| at.saturating_duration_since(now)),
        }
    }

    /// How it is run.
    pub fn config(&self) -> ConsoleConfig {
        self.inner.lock().config.clone()
    }

    pub fn state(&self) -> ConsoleState {
        self.inner.lock().state
    }

    pub fn reason(&self) -> Option<Error> {
        self.inner.lock().reason.clone()
    }

    pub fn stats(&self) -> ConsoleStats {
        let inner = self.inner.lock();
        let pending = inner.input.len() as u64 + inner.in_session;
        let last_data = inner.last_data.map(|at| now().saturating_duration_since(at));
        ConsoleStats { pending, last_data, ..inner.stats.clone() }
    }

    pub fn cursor(&self, replay: bool) -> Cursor {
        let inner = self.inner.lock();
        if replay { inner.log.cursor_at_start() } else { inner.log.cursor_at_end() }
    }

    /// Copies what is there; waits until `deadline` for something. `place` is the reader's, for
    /// those who watch it. `stop` and [`wake_readers`](Self::wake_readers) end it with `Closed`.
    pub fn read(
        &self,
        place: &Place,
        cursor: &mut Cursor,
        out: &mut [u8],
        deadline: Option<Instant>,
        stop: Option<&AtomicBool>,
    ) -> Result<usize> {
        let mut inner = self.inner.lock();
        let result = loop {
            if stop.is_some_and(|stop| stop.load(Ordering::Acquire)) {
                return Err(Error::new(ErrorKind::Closed));
            }
            if out.is_empty() {
                break Ok(0);
            }
            let len = inner.log.read(cursor, out);
            if len > 0 {
                break Ok(len);
            }
            if let Some(reason) = inner.end_of_reading() {
                break Err(reason);
            }
            if !wait(&self.readable, &mut inner, deadline) {
                break Err(Error::new(ErrorKind::TimedOut));
            }
        };
        let blocks = !inner.is_readable(cursor.offset());
        // Of the reason why there are no more bytes a reader is told once.
        let watches = place.moved(cursor.offset(), !blocks && result.is_ok(), blocks);
        drop(inner);
        watches.settle();
        result
    }

    /// Has every waiting reader look again at what stops it.
    #[cfg(any(feature = "capi", loom))]
    pub fn wake_readers(&self) {
        // Whoever saw no reason to stop is waiting once the lock can be had.
        drop(self.inner.lock());
        self.readable.notify_all();
    }

    /// Takes input; waits until `deadline` for room. Says how much was taken, and whether the
    /// shard has to be told. `Ok((0, _))` never: nothing at all is `TimedOut`. With `goes_on` the
    /// caller will wait for room for the rest itself.
    pub fn write(
        &self,
        bytes: &[u8],
        goes_on: bool,
        deadline: Option<Instant>,
    ) -> Result<(usize, bool)> {
        let mut inner = self.inner.lock();
        loop {
            inner.check_connected()?;
            if bytes.is_empty() {
                return Ok((0, false));
            }
            let room = inner.config.input_len.saturating_sub(inner.input.len());
            let taken = room.min(bytes.len());
            let was_idle = inner.input.is_empty() && inner.breaks.is_empty();
            inner.input.extend(&bytes[..taken]);
            inner.stats.written += taken as u64;
            let result = if taken > 0 {
                Ok((taken, was_idle))
            } else if wait(&self.writable, &mut inner, deadline) {
                continue;
            } else {
                Err(Error::new(ErrorKind::TimedOut))
            };
            let starves = taken == 0 || taken < bytes.len() && !goes_on;
            let watches = if starves { inner.starve() } else { Watches::default() };
            drop(inner);
            watches.settle();
            return result;
        }
    }

    /// Puts a break behind the input.
    pub fn push_break(&self, done: Completer<()>) -> Result<()> {
        let mut inner = self.inner.lock();
        inner.check_connected()?;
        let at = inner.input_start + inner.input.len() as u64;
        inner.breaks.push_back((at, done));
        Ok(())
    }

    /// Waits until the BMC has acknowledged all input.
    pub fn drain(&self, deadline: Option<Instant>) -> Result<()> {
        let mut inner = self.inner.lock();
        loop {
            // First: what a lost connection left behind is gone, not acknowledged.
            inner.check_connected()?;
            if inner.is_drained() {
                return Ok(());
            }
            if !wait(&self.drained, &mut inner, deadline) {
                return Err(Error::new(ErrorKind::TimedOut));
            }
        }
    }

    /// Waits until the state is another one than `seen`; gives the one it has then.
    pub fn wait_state(&self, seen: ConsoleState, deadline: Option<Instant>) -> ConsoleState {
        let mut inner = self.inner.lock();
        while inner.state == seen && !inner.closed {
            if !wait(&self.changed, &mut inner, deadline) {
                break;
            }
        }
        inner.state
    }

    // For those who are told

    /// Begins a watch for the console, or for one of its readers. `Misuse` when `is_it` finds
    /// that there is one like it.
    pub fn watch(
        &self,
        watch: &Arc<Watch>,
        place: Option<&Place>,
        is_it: impl Fn(&Watch) -> bool,
    ) -> Result<()> {
        let mut inner = self.inner.lock();
        let there = match place {
            Some(place) => place.watches().iter().any(|watch| is_it(watch)),
            None => inner.watches.iter().any(|watch| is_it(watch)),
        };
        if there {
            return Err(Error::misuse("it was added before"));
        }
        inner.watches.add(watch);
        if let Some(place) = place {
            place.add(watch);
            if inner.is_readable(watch.offset()) {
                watch.mark(Events::READABLE);
            }
        }
        drop(inner);
        watch.settle();
        Ok(())
    }

    /// Ends a watch, unless it is ended.
    pub fn unwatch(&self, watch: &Arc<Watch>, place: Option<&Place>) {
        let mut inner = self.inner.lock();
        let was_there = inner.watches.remove(watch);
        if let Some(place) = place {
            place.remove(watch);
        }
        if was_there {
            watch.release();
        }
        drop(inner);
        watch.settle();
    }

    /// All who are told.
    pub fn watches(&self) -> Watches {
        self.inner.lock().watches.clone()
    }

    /// Looks at the log.
    pub fn with_log<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        look(&self.inner.lock().log)
    }

    /// The console is closed by its user: nothing is waited for any more.
    pub fn set_closed(&self) {
        let mut inner = self.inner.lock();
        if inner.closed {
            return;
        }
        inner.closed = true;
        inner.disconnect(Error::new(ErrorKind::Closed));
        let watches = inner.tell_state();
        drop(inner);
        self.wake_all();
        watches.settle();
    }

    pub fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    // For the shard

    pub fn set_connecting(&self) {
        let mut inner = self.inner.lock();
        if inner.closed || inner.state != ConsoleState::Unconnected {
            return;
        }
        inner.enter(ConsoleState::Connecting);
        let watches = inner.tell_state();
        drop(inner);
        self.changed.notify_all();
        watches.settle();
    }

    pub fn set_connected(&self, characters_max: usize, other_port: Option<u16>) {
        let mut inner = self.inner.lock();
        if inner.closed {
            return;
        }
        inner.enter(ConsoleState::Connected);
        inner.in_session = 0;
        inner.stats.epoch += 1;
        inner.stats.characters_max = characters_max;
        inner.stats.other_port = other_port;
        inner.stats.unavailable = false;
        let watches = inner.tell_state();
        drop(inner);
        self.changed.notify_all();
        watches.settle();
    }

    pub fn set_unconnected(&self, reason: Error) {
        self.set_unconnected_until(reason, None);
    }

    /// It is not connected, and is tried again at `next_try`: until then and longer, readers wait.
    pub fn set_unconnected_until(&self, reason: Error, next_try: Option<Instant>) {
        let mut inner = self.inner.lock();
        let told = inner.closed
            || inner.state == ConsoleState::Unconnected && inner.reason.as_ref() == Some(&reason);
        let reason = if inner.closed { Error::new(ErrorKind::Closed) } else { reason };
        inner.disconnect(reason);
        inner.next_try = next_try.filter(|_| !inner.closed);
        if told {
            return;
        }
        let watches = inner.tell_state();
        drop(inner);
        self.wake_all();
        watches.settle();
    }

    /// Adds characters and wakes whoever reads.
    pub fn push(&self, at: Instant, characters: &[u8]) {
        let mut inner = self.inner.lock();
        let watches = inner.push(at, characters);
        drop(inner);
        self.readable.notify_all();
        watches.settle();
    }

    /// Adds characters of a backend's start, unless that is over; says whether it is not.
    pub fn push_from(&self, start: u64, at: Instant, characters: &[u8]) -> bool {
        let mut inner = self.inner.lock();
        if inner.open_for != start {
            return false;
        }
        if !characters.is_empty() {
            let watches = inner.push(at, characters);
            drop(inner);
            self.readable.notify_all();
            watches.settle();
        }
        true
    }

    /// A backend's start may add characters from here on, and no other.
    pub fn open(&self, start: u64) {
        self.inner.lock().open_for = start;
    }

    /// It may not any more; says whether it might.
    pub fn shut(&self, start: u64) -> bool {
        let mut inner = self.inner.lock();
        let was_open = inner.open_for == start;
        inner.open_for = if was_open { 0 } else { inner.open_for };
        was_open
    }

    /// Changes what is counted.
    pub fn count(&self, change: impl FnOnce(&mut ConsoleStats)) {
        change(&mut self.inner.lock().stats);
    }

    /// Takes up to `space` bytes of input into `out`, or the break that is next.
    pub fn take_input(&self, space: usize, out: &mut Vec<u8>) -> Input {
        let mut inner = self.inner.lock();
        let before_break = inner.breaks.front().map(|(at, _)| at - inner.input_start);
        if before_break == Some(0) {
            let Some((_, done)) = inner.breaks.pop_front() else { return Input::Nothing };
            // It is under way from here on, for those who drain.
            inner.in_session += 1;
            return Input::Break(done);
        }
        let until = before_break.map_or(usize::MAX, |len| usize::try_from(len).unwrap_or(space));
        let len = inner.input.len().min(space).min(until);
        if len == 0 {
            return Input::Nothing;
        }
        let was_full = inner.input.len() >= inner.config.input_len;
        take_front(&mut inner.input, len, out);
        inner.input_start += len as u64;
        // It is pending all the time, until the session says otherwise.
        inner.in_session += len as u64;
        let watches = inner.feed_starved();
        drop(inner);
        // Writers wait only while there is no room at all.
        if was_full {
            self.writable.notify_all();
        }
        watches.settle();
        Input::Bytes
    }

    /// Says how much input the session holds now.
    pub fn set_in_session(&self, pending: usize) {
        let mut inner = self.inner.lock();
        let was_drained = inner.is_drained();
        inner.in_session = pending as u64;
        let is_drained = inner.is_drained();
        drop(inner);
        if is_drained && !was_drained {
            self.drained.notify_all();
        }
    }

    /// It is not connected any more: that concerns everybody.
    fn wake_all(&self) {
        for condvar in [&self.readable, &self.writable, &self.drained, &self.changed] {
            condvar.notify_all();
        }
    }
}

impl Inner {
    /// Gives whom to settle.
    fn push(&mut self, at: Instant, characters: &[u8]) -> Watches {
        self.last_data = Some(at);
        self.log.push(characters);
        self.stats.received += characters.len() as u64;
        self.tell(Events::READABLE)
    }

    fn check_connected(&self) -> Result<()> {
        if self.closed {
            return Err(Error::new(ErrorKind::Closed));
        }
        match (self.state, &self.reason) {
            (ConsoleState::Connected, _) => Ok(()),
            (ConsoleState::Unconnected, Some(reason)) if reason.kind().is_loss() => {
                Err(reason.clone())
            }
            _ => Err(Error::new(ErrorKind::NotConnected)),
        }
    }

    /// Why there is nothing more to read once everything is read.
    fn end_of_reading(&self) -> Option<Error> {
        if self.closed {
            return Some(Error::new(ErrorKind::Closed));
        }
        let is_over = self.state == ConsoleState::Unconnected && self.next_try.is_none();
        self.reason.clone().filter(|_| is_over)
    }

    /// Whether a reader who is at `offset` would get something at once.
    fn is_readable(&self, offset: u64) -> bool {
        offset < self.log.end() || self.closed || self.end_of_reading().is_some()
    }

    fn is_drained(&self) -> bool {
        self.input.is_empty() && self.breaks.is_empty() && self.in_session == 0
    }

    /// Tells all who want to know of it. Gives whom to settle.
    fn tell(&self, events: Events) -> Watches {
        self.watches.iter().for_each(|watch| watch.mark(events));
        self.watches.clone()
    }

    /// Tells all who want to know of the state it has now. Gives whom to settle.
    fn tell_state(&self) -> Watches {
        for watch in self.watches.iter() {
            watch.note(|| Change {
                at: self.log.end(),
                state: self.state,
                reason: self.reason.clone(),
                epoch: self.stats.epoch,
            });
            watch.mark(Events::STATE);
            if self.end_of_reading().is_some() {
                watch.mark(Events::READABLE);
            }
            if self.state == ConsoleState::Unconnected {
                watch.unmark(Events::WRITABLE);
            }
            if !self.is_readable(watch.offset()) {
                // The reason why it was not connected is history.
                watch.unmark(Events::READABLE);
            }
        }
        self.watches.clone()
    }

    /// A writer has more than there was room for. Gives whom to settle.
    fn starve(&mut self) -> Watches {
        self.starved = true;
        self.watches.iter().for_each(|watch| watch.unmark(Events::WRITABLE));
        self.watches.clone()
    }

    /// There is room. Gives whom to settle.
    fn feed_starved(&mut self) -> Watches {
        if std::mem::take(&mut self.starved) {
            self.tell(Events::WRITABLE)
        } else {
            Watches::default()
        }
    }

    fn enter(&mut self, state: ConsoleState) {
        if self.state != state {
            self.since = now();
        }
        self.state = state;
        self.next_try = None;
        if state != ConsoleState::Unconnected {
            self.reason = None;
        }
    }

    fn disconnect(&mut self, reason: Error) {
        self.enter(ConsoleState::Unconnected);
        self.reason = Some(reason);
        self.in_session = 0;
        self.starved = false;
        self.drop_input();
    }

    fn drop_input(&mut self) {
        let lost = self.input.len() as u64;
        self.stats.input_lost += lost;
        self.input_start += lost;
        self.input.clear();
        for (_, done) in self.breaks.drain(..) {
            done.complete(Err(Error::new(ErrorKind::NotConnected)));
        }
    }
}

/// How long to wait for the last word of something that is being closed.
pub(crate) const CLOSE_GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::super::wait::waiter;
    use super::*;

    fn connected() -> ConsoleShared {
        let config = ConsoleConfig { input_len: 4, ..ConsoleConfig::default() };
        let console = ConsoleShared::new(config);
        console.set_connecting();
        console.set_connected(60, None);
        console
    }

    #[test]
    fn input_is_bounded_and_says_how_much_was_taken() {
        let console = connected();
        let now = Some(Instant::now());
        assert_eq!(console.write(b"abcdef", false, now), Ok((4, true)));
        assert_eq!(
            console.write(b"ef", false, now).map_err(|e| e.kind()),
            Err(ErrorKind::TimedOut)
        );
        let mut out = Vec::new();
        assert!(matches!(console.take_input(3, &mut out), Input::Bytes));
        assert_eq!(out, b"abc");
        assert_eq!(console.write(b"ef", false, now), Ok((2, false)));
    }

    #[test]
    fn what_the_session_took_is_pending_until_it_is_acknowledged() {
        let console = connected();
        console.write(b"abc", false, None).expect("room");
        console.take_input(3, &mut Vec::new());
        assert_eq!(console.stats().pending, 3);
        let drained = console.drain(Some(Instant::now())).map_err(|e| e.kind());
        assert_eq!(drained, Err(ErrorKind::TimedOut));
        console.set_in_session(0);
        assert_eq!(console.drain(None), Ok(()));
    }

    #[test]
    fn a_break_comes_out_where_it_went_in() {
        let console = connected();
        let (_, done) = waiter();
        console.write(b"ab", false, None).expect("room");
        console.push_break(done).expect("connected");
        console.write(b"cd", false, None).expect("room");
        let mut out = Vec::new();
        assert!(matches!(console.take_input(10, &mut out), Input::Bytes));
        assert!(matches!(console.take_input(10, &mut out), Input::Break(_)));
        assert_eq!(out, b"ab");
        assert!(matches!(console.take_input(10, &mut out), Input::Bytes));
        assert_eq!(out, b"abcd");
    }

    #[test]
    fn nothing_is_taken_while_not_connected_and_a_loss_is_counted() {
        let console = connected();
        console.write(b"abc", false, None).expect("room");
        console.set_unconnected(Error::new(ErrorKind::Lost));
        assert_eq!(console.stats().input_lost, 3);
        let refused = console.write(b"x", false, None).map_err(|e| e.kind());
        assert_eq!(refused, Err(ErrorKind::Lost));
        let mut cursor = console.cursor(true);
        let place = Place::new(cursor.offset());
        let read = console.read(&place, &mut cursor, &mut [0; 8], None, None);
        assert_eq!(read.map_err(|e| e.kind()), Err(ErrorKind::Lost));
    }

    #[test]
    fn a_break_the_session_took_is_pending_too() {
        let console = connected();
        let drained = |console: &ConsoleShared| console.drain(Some(Instant::now())).is_ok();
        let (_, done) = waiter();
        console.push_break(done).expect("connected");
        let on_its_way = console.take_input(10, &mut Vec::new());
        assert!(matches!(on_its_way, Input::Break(_)) && !drained(&console));
        console.set_in_session(0);
        assert!(drained(&console));
    }
}
