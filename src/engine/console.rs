//! A console as its shard and its users share it: the ring, the input, and who waits.

mod reading;
#[cfg(test)]
#[path = "tests/console.rs"]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::{EventKind, Mark};
use super::ready::{Events, wait};
pub use super::state::{ConsoleState, ConsoleStats, Why};
use super::wait::Completer;
use super::watch::Watches;
use crate::bytes::take_front;
use crate::config::ConsoleConfig;
use crate::console::Log;
use crate::error::{Error, ErrorKind, Result};
use crate::session::Quirks;
use crate::supervisor::ConsoleSettings;
use crate::sync::{Condvar, Mutex, now};

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
    log: Log<Mark>,
    state: ConsoleState,
    since: Instant,
    /// Why it is not connected, after it was or was tried to be.
    reason: Option<Arc<Error>>,
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
            reason: inner.reason.as_deref().cloned(),
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
        self.inner.lock().reason.as_deref().cloned()
    }

    pub fn stats(&self) -> ConsoleStats {
        let inner = self.inner.lock();
        let pending = inner.input.len() as u64 + inner.in_session;
        let last_data = inner.last_data.map(|at| now().saturating_duration_since(at));
        ConsoleStats { pending, last_data, ..inner.stats.clone() }
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

    // For its end

    /// The console is closed by its user: nothing is waited for any more.
    pub fn set_closed(&self) {
        let mut inner = self.inner.lock();
        if inner.closed {
            return;
        }
        inner.disconnect(Error::new(ErrorKind::Closed), None, false);
        inner.closed = true;
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
        inner.note(EventKind::Connecting);
        let watches = inner.tell_state();
        drop(inner);
        self.changed.notify_all();
        self.readable.notify_all();
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
        if inner.stats.epoch > 1 {
            // What was printed meanwhile.
            inner.note(EventKind::Gap(None));
        }
        inner.note(EventKind::Connected);
        let watches = inner.tell_state();
        drop(inner);
        self.changed.notify_all();
        self.readable.notify_all();
        watches.settle();
    }

    pub fn set_unconnected(&self, reason: Error) {
        self.set_unconnected_until(reason, None);
    }

    /// It is not connected, and is tried again at `next_try`: until then and longer, readers wait.
    pub fn set_unconnected_until(&self, reason: Error, next_try: Option<Instant>) {
        let mut inner = self.inner.lock();
        let told = inner.closed
            || inner.state == ConsoleState::Unconnected && inner.reason.as_deref() == Some(&reason);
        // Of that a reader has no event, but it ends the wait of those who read.
        let called_off = inner.next_try.is_some() && next_try.is_none();
        let reason = if inner.closed { Error::new(ErrorKind::Closed) } else { reason };
        let next_try = next_try.filter(|_| !inner.closed);
        inner.disconnect(reason, next_try, told);
        if told && !called_off {
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
        if inner.closed {
            return;
        }
        let watches = inner.push(at, characters);
        drop(inner);
        self.readable.notify_all();
        watches.settle();
    }

    /// Adds characters of a backend's start, unless that is over; says whether it is not.
    pub fn push_from(&self, start: u64, at: Instant, characters: &[u8]) -> bool {
        let mut inner = self.inner.lock();
        if inner.open_for != start || inner.closed {
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

    /// Something happened to SOL: it is counted, and told behind all characters so far.
    pub fn note(&self, kind: EventKind<'static>) {
        let mut inner = self.inner.lock();
        let stats = &mut inner.stats;
        match &kind {
            EventKind::Reactivated => stats.reactivations += 1,
            EventKind::Gap(_) => stats.gaps += 1,
            EventKind::Overrun => stats.overruns += 1,
            EventKind::Break => stats.breaks += 1,
            EventKind::PoweredOff => stats.unavailable = true,
            EventKind::PoweredOn => stats.unavailable = false,
            EventKind::InputLost(bytes) => {
                stats.input_lost += bytes;
                inner.in_session = inner.in_session.saturating_sub(*bytes);
            }
            _ => {}
        }
        inner.note(kind);
        let watches = inner.tell_event();
        drop(inner);
        self.readable.notify_all();
        watches.settle();
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
        // The shard's clock was read before what came in was looked at.
        let (at, epoch) = (at.max(self.since), self.stats.epoch);
        self.last_data = Some(at);
        self.log.push(at, epoch, characters);
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
                Err(Error::clone(reason))
            }
            _ => Err(Error::new(ErrorKind::NotConnected)),
        }
    }

    fn is_drained(&self) -> bool {
        self.input.is_empty() && self.breaks.is_empty() && self.in_session == 0
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

    /// It is not connected any more, for another reason than before unless `told`.
    fn disconnect(&mut self, reason: Error, next_try: Option<Instant>, told: bool) {
        // These leave a session behind of which nothing is heard any more.
        let orphans = matches!(reason.kind(), ErrorKind::Reconfigured | ErrorKind::NotConnected);
        let held = if orphans { std::mem::take(&mut self.in_session) } else { 0 };
        self.in_session = 0;
        self.drop_input(held);
        self.enter(ConsoleState::Unconnected);
        let reason = Arc::new(reason);
        self.reason = Some(reason.clone());
        self.next_try = next_try;
        self.starved = false;
        if !told {
            if reason.kind() == ErrorKind::Stolen {
                self.note(EventKind::Stolen);
            }
            self.note(EventKind::Disconnected { reason, next_try });
        }
    }

    /// Input that nobody takes any more is lost, and so is what a session still `held`.
    fn drop_input(&mut self, held: u64) {
        let waiting = self.input.len() as u64;
        self.input_start += waiting;
        self.input.clear();
        if waiting + held > 0 {
            self.stats.input_lost += waiting + held;
            self.note(EventKind::InputLost(waiting + held));
        }
        for (_, done) in self.breaks.drain(..) {
            done.complete(Err(Error::new(ErrorKind::NotConnected)));
        }
    }
}

/// How long to wait for the last word of something that is being closed.
pub(crate) const CLOSE_GRACE: Duration = Duration::from_secs(1);
