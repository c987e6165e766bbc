//! A console as its shard and its users share it: the ring, the input, and who waits.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::wait::Completer;
use crate::config::ConsoleConfig;
use crate::console::{Cursor, Log};
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{AtomicBool, Condvar, Mutex, MutexGuard};

/// Where a console is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleState {
    /// Not connected, and nobody tries.
    Unconnected,
    /// Logging in or activating SOL.
    Connecting,
    /// SOL is active.
    Connected,
}

impl std::fmt::Display for ConsoleState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ConsoleState::Unconnected => "unconnected",
            ConsoleState::Connecting => "connecting",
            ConsoleState::Connected => "connected",
        })
    }
}

/// What a console counted and last heard, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsoleStats {
    /// How often the console was connected. Each connection is an epoch of its own.
    pub epoch: u64,
    /// Bytes received from the BMC, over all epochs.
    pub received: u64,
    /// Bytes taken from writers.
    pub written: u64,
    /// Bytes of input that are not acknowledged by the BMC.
    pub pending: u64,
    /// Bytes of input that were lost with a connection, or whose fate is unknown.
    pub input_lost: u64,
    /// Places where the BMC skipped packets: an unknown number of bytes is missing there.
    pub gaps: u64,
    /// Times the BMC said that it had to drop characters of the host.
    pub overruns: u64,
    /// Breaks the host sent.
    pub breaks: u64,
    /// Times SOL was activated again within a session, because the BMC had gone mute.
    pub reactivations: u64,
    /// Whether the BMC says that the host's serial port is unavailable: powered off, in reset.
    pub unavailable: bool,
    /// Characters per packet that the BMC takes.
    pub characters_max: usize,
    /// A port the BMC named for SOL that is not the session's. The session's is used.
    pub other_port: Option<u16>,
}

/// One console.
#[derive(Debug)]
pub(crate) struct ConsoleShared {
    pub config: ConsoleConfig,
    inner: Mutex<Inner>,
    /// New characters, or another state.
    readable: Condvar,
    /// Room for input, less of it pending, or another state.
    writable: Condvar,
}

#[derive(Debug)]
struct Inner {
    log: Log,
    state: ConsoleState,
    /// Why it is not connected, after it was or was tried to be.
    reason: Option<Error>,
    closed: bool,
    input: VecDeque<u8>,
    /// Position of the first byte of `input` in all input.
    input_start: u64,
    breaks: VecDeque<(u64, Completer<()>)>,
    /// Of the input, what the session holds.
    in_session: u64,
    stats: ConsoleStats,
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
            state: ConsoleState::Unconnected,
            reason: None,
            closed: false,
            input: VecDeque::new(),
            input_start: 0,
            breaks: VecDeque::new(),
            in_session: 0,
            stats: ConsoleStats::default(),
        };
        ConsoleShared {
            config,
            inner: Mutex::new(inner),
            readable: Condvar::new(),
            writable: Condvar::new(),
        }
    }

    // For users

    pub fn state(&self) -> ConsoleState {
        self.inner.lock().state
    }

    pub fn reason(&self) -> Option<Error> {
        self.inner.lock().reason.clone()
    }

    pub fn stats(&self) -> ConsoleStats {
        let inner = self.inner.lock();
        let pending = inner.input.len() as u64 + inner.in_session;
        ConsoleStats { pending, ..inner.stats.clone() }
    }

    pub fn cursor(&self, replay: bool) -> Cursor {
        let inner = self.inner.lock();
        if replay { inner.log.cursor_at_start() } else { inner.log.cursor_at_end() }
    }

    /// Copies what is there; waits until `deadline` for something.
    pub fn read(
        &self,
        cursor: &mut Cursor,
        out: &mut [u8],
        deadline: Option<Instant>,
    ) -> Result<usize> {
        self.read_unless(&AtomicBool::new(false), cursor, out, deadline)
    }

    /// The same, ended with `Closed` by `stop` and [`wake_readers`](Self::wake_readers).
    pub fn read_unless(
        &self,
        stop: &AtomicBool,
        cursor: &mut Cursor,
        out: &mut [u8],
        deadline: Option<Instant>,
    ) -> Result<usize> {
        let mut inner = self.inner.lock();
        loop {
            if stop.load(Ordering::Acquire) {
                return Err(Error::new(ErrorKind::Closed));
            }
            if out.is_empty() {
                return Ok(0);
            }
            let len = inner.log.read(cursor, out);
            if len > 0 {
                return Ok(len);
            }
            if inner.closed {
                return Err(Error::new(ErrorKind::Closed));
            }
            if inner.state == ConsoleState::Unconnected
                && let Some(reason) = &inner.reason
            {
                return Err(reason.clone());
            }
            if !wait(&self.readable, &mut inner, deadline) {
                return Err(Error::new(ErrorKind::TimedOut));
            }
        }
    }

    /// Has every waiting reader look again at what stops it.
    #[cfg(any(feature = "capi", loom))]
    pub fn wake_readers(&self) {
        // Whoever saw no reason to stop is waiting once the lock can be had.
        drop(self.inner.lock());
        self.readable.notify_all();
    }

    /// Takes input; waits until `deadline` for room. Says how much was taken, and whether the
    /// shard has to be told. `Ok((0, _))` never: nothing at all is `TimedOut`.
    pub fn write(&self, bytes: &[u8], deadline: Option<Instant>) -> Result<(usize, bool)> {
        let mut inner = self.inner.lock();
        loop {
            inner.check_connected()?;
            if bytes.is_empty() {
                return Ok((0, false));
            }
            let room = self.config.input_len.saturating_sub(inner.input.len());
            let taken = room.min(bytes.len());
            if taken > 0 {
                let was_idle = inner.input.is_empty() && inner.breaks.is_empty();
                inner.input.extend(&bytes[..taken]);
                inner.stats.written += taken as u64;
                return Ok((taken, was_idle));
            }
            if !wait(&self.writable, &mut inner, deadline) {
                return Err(Error::new(ErrorKind::TimedOut));
            }
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
            if inner.input.is_empty() && inner.breaks.is_empty() && inner.in_session == 0 {
                return Ok(());
            }
            if !wait(&self.writable, &mut inner, deadline) {
                return Err(Error::new(ErrorKind::TimedOut));
            }
        }
    }

    /// Waits until the state is another one than `seen`; gives the one it has then.
    pub fn wait_state(&self, seen: ConsoleState, deadline: Option<Instant>) -> ConsoleState {
        let mut inner = self.inner.lock();
        while inner.state == seen && !inner.closed {
            if !wait(&self.readable, &mut inner, deadline) {
                break;
            }
        }
        inner.state
    }

    /// The console is closed by its user: nothing is waited for any more.
    pub fn set_closed(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.state = ConsoleState::Unconnected;
        inner.reason = Some(Error::new(ErrorKind::Closed));
        inner.drop_input();
        drop(inner);
        self.wake_all();
    }

    pub fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    // For the shard

    pub fn set_connecting(&self) {
        let mut inner = self.inner.lock();
        if !inner.closed && inner.state == ConsoleState::Unconnected {
            inner.state = ConsoleState::Connecting;
            inner.reason = None;
        }
        drop(inner);
        self.wake_all();
    }

    pub fn set_connected(&self, characters_max: usize, other_port: Option<u16>) {
        let mut inner = self.inner.lock();
        if !inner.closed {
            inner.state = ConsoleState::Connected;
            inner.reason = None;
            inner.in_session = 0;
            inner.stats.epoch += 1;
            inner.stats.characters_max = characters_max;
            inner.stats.other_port = other_port;
            inner.stats.unavailable = false;
        }
        drop(inner);
        self.wake_all();
    }

    pub fn set_unconnected(&self, reason: Error) {
        let mut inner = self.inner.lock();
        inner.state = ConsoleState::Unconnected;
        if !inner.closed {
            inner.reason = Some(reason);
        }
        inner.drop_input();
        inner.in_session = 0;
        drop(inner);
        self.wake_all();
    }

    /// Adds characters and wakes whoever reads.
    pub fn push(&self, characters: &[u8]) {
        let mut inner = self.inner.lock();
        inner.log.push(characters);
        inner.stats.received += characters.len() as u64;
        drop(inner);
        self.readable.notify_all();
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
            return match inner.breaks.pop_front() {
                Some((_, done)) => Input::Break(done),
                None => Input::Nothing,
            };
        }
        let until = before_break.map_or(usize::MAX, |len| usize::try_from(len).unwrap_or(space));
        let len = inner.input.len().min(space).min(until);
        if len == 0 {
            return Input::Nothing;
        }
        out.extend(inner.input.drain(..len));
        inner.input_start += len as u64;
        // It is pending all the time, until the session says otherwise.
        inner.in_session += len as u64;
        drop(inner);
        self.writable.notify_all();
        Input::Bytes
    }

    /// Says how much input the session holds now, and wakes who waits for less.
    pub fn set_in_session(&self, pending: usize) {
        let mut inner = self.inner.lock();
        let changed = inner.in_session != pending as u64;
        inner.in_session = pending as u64;
        drop(inner);
        if changed {
            self.writable.notify_all();
        }
    }

    fn wake_all(&self) {
        self.readable.notify_all();
        self.writable.notify_all();
    }
}

impl Inner {
    fn check_connected(&self) -> Result<()> {
        if self.closed {
            return Err(Error::new(ErrorKind::Closed));
        }
        match (self.state, &self.reason) {
            (ConsoleState::Connected, _) => Ok(()),
            (ConsoleState::Unconnected, Some(reason)) if reason.kind() == ErrorKind::Lost => {
                Err(reason.clone())
            }
            _ => Err(Error::new(ErrorKind::NotConnected)),
        }
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

fn wait(condvar: &Condvar, inner: &mut MutexGuard<'_, Inner>, deadline: Option<Instant>) -> bool {
    match deadline {
        None => {
            condvar.wait(inner);
            true
        }
        Some(deadline) if deadline > Instant::now() => {
            condvar.wait_until(inner, deadline);
            true
        }
        Some(_) => false,
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
        assert_eq!(console.write(b"abcdef", now), Ok((4, true)));
        assert_eq!(console.write(b"ef", now).map_err(|e| e.kind()), Err(ErrorKind::TimedOut));
        let mut out = Vec::new();
        assert!(matches!(console.take_input(3, &mut out), Input::Bytes));
        assert_eq!(out, b"abc");
        assert_eq!(console.write(b"ef", now), Ok((2, false)));
    }

    #[test]
    fn what_the_session_took_is_pending_until_it_is_acknowledged() {
        let console = connected();
        console.write(b"abc", None).expect("room");
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
        console.write(b"ab", None).expect("room");
        console.push_break(done).expect("connected");
        console.write(b"cd", None).expect("room");
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
        console.write(b"abc", None).expect("room");
        console.set_unconnected(Error::new(ErrorKind::Lost));
        assert_eq!(console.stats().input_lost, 3);
        let refused = console.write(b"x", None).map_err(|e| e.kind());
        assert_eq!(refused, Err(ErrorKind::Lost));
        let mut cursor = console.cursor(true);
        let read = console.read(&mut cursor, &mut [0; 8], None).map_err(|e| e.kind());
        assert_eq!(read, Err(ErrorKind::Lost));
    }
}
