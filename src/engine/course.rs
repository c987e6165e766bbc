//! The life of a console over a backend, without the backend: what is wanted, what is to be done
//! next, and what is to be told. Time is an argument.

use std::collections::VecDeque;
use std::time::Instant;

use super::wait::Completer;
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::{Due, Keep, Kept, RetryConfig, nobody_attached};

/// What the backend is to be asked next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// End what was started.
    Stop,
    /// Start, for the so-manieth time.
    Start(u64),
    /// Nothing at all, ever again.
    End,
    /// Nothing about its life.
    Nothing,
}

/// What is to be told, in this order.
#[derive(Debug)]
pub(super) enum Tell {
    Connecting,
    Connected,
    /// Nothing of the start with this number counts any more; another one follows at once.
    Over {
        start: u64,
    },
    /// The start with this number is over, and why; and when the next one is.
    Unconnected {
        start: u64,
        reason: Error,
        next_try: Option<Instant>,
    },
    Done(Completer<()>, Result<()>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    /// It is to be started.
    Wanted,
    /// It was started, and has not said that it is connected.
    Starting,
    /// Since when.
    Connected(Instant),
    Closed,
}

#[derive(Debug)]
pub(super) struct Course {
    kept: Kept,
    phase: Phase,
    /// How often it was started.
    start: u64,
    /// It was started, and not stopped since.
    started: bool,
    waiters: Vec<(u64, Completer<()>)>,
    closers: Vec<Completer<()>>,
    shut_down: bool,
    /// Nobody takes steps any more.
    stranded: bool,
    ended: bool,
    tells: VecDeque<Tell>,
}

impl Course {
    pub fn new(keep: Keep, config: RetryConfig) -> Self {
        Course {
            kept: Kept::new(keep, config),
            phase: Phase::Idle,
            start: 0,
            started: false,
            waiters: Vec::new(),
            closers: Vec::new(),
            shut_down: false,
            stranded: false,
            ended: false,
            tells: VecDeque::new(),
        }
    }

    // What is asked for

    /// Begins, when it is kept.
    pub fn open(&mut self) {
        self.try_kept();
    }

    /// Wants it connected, now.
    pub fn connect(&mut self, token: u64, done: Completer<()>) {
        match self.phase {
            Phase::Closed => {
                let result = Err(self.end_error());
                self.tells.push_back(Tell::Done(done, result));
            }
            Phase::Connected(_) => self.tells.push_back(Tell::Done(done, Ok(()))),
            _ => {
                self.waiters.push((token, done));
                self.try_now();
            }
        }
    }

    /// Somebody has waited long enough. What nobody else wants is given up.
    pub fn give_up(&mut self, token: u64) {
        let Some(at) = self.waiters.iter().position(|(other, _)| *other == token) else { return };
        let (_, done) = self.waiters.remove(at);
        let error = Error::new(ErrorKind::TimedOut);
        let tries = matches!(self.phase, Phase::Wanted | Phase::Starting);
        if tries && self.waiters.is_empty() && !self.kept.is_kept() {
            self.rest(error.clone(), None);
        }
        self.tells.push_back(Tell::Done(done, Err(error)));
    }

    /// Somebody is attached now, or nobody any more.
    pub fn attach(&mut self, now: Instant, attached: bool) {
        if self.phase != Phase::Closed {
            self.kept.attach(now, attached);
        }
        if attached {
            self.try_kept();
        }
    }

    /// Another configuration, which breaks nothing.
    pub fn reconfigure(&mut self, now: Instant, keep: Keep, config: &RetryConfig) {
        if self.phase == Phase::Closed {
            return;
        }
        let lives = self.phase != Phase::Idle;
        if let Some(reason) = self.kept.reconfigure(now, keep, config, lives) {
            self.rest(reason, None);
        }
        self.try_kept();
    }

    /// What is started is not what is wanted any more: it is stopped and started again, at once,
    /// and so is what waits to be tried again.
    pub fn restart(&mut self, now: Instant) {
        self.kept.forgive();
        match self.phase {
            Phase::Connected(_) => {
                self.rest(Error::new(ErrorKind::Reconfigured), Some(now));
                self.try_now();
            }
            // Whoever waits gets the next one's result.
            Phase::Starting => {
                self.phase = Phase::Wanted;
                self.tells.push_back(Tell::Over { start: self.start });
            }
            Phase::Idle => self.try_kept(),
            _ => {}
        }
    }

    /// Ends it for good.
    pub fn close(&mut self, done: Option<Completer<()>>) {
        match done {
            Some(done) if self.ended || self.stranded => {
                let result = if self.shut_down { Err(self.end_error()) } else { Ok(()) };
                self.tells.push_back(Tell::Done(done, result));
            }
            Some(done) => self.closers.push(done),
            None => {}
        }
        self.finish();
    }

    /// The engine ends.
    pub fn shut_down(&mut self) {
        self.shut_down |= self.phase != Phase::Closed;
        self.finish();
    }

    /// The engine has ended, and waits no longer for what is started to stop.
    pub fn strand(&mut self) {
        self.stranded = true;
        for done in self.closers.drain(..) {
            self.tells.push_back(Tell::Done(done, Err(Error::new(ErrorKind::ShutDown))));
        }
    }

    // What happened

    /// [`deadline`](Self::deadline) is there, maybe.
    pub fn on_time(&mut self, now: Instant) {
        match self.kept.due(now, !self.waiters.is_empty()) {
            Due::Sleep if self.phase != Phase::Idle || self.kept.take_try() => {
                self.rest(nobody_attached(), None);
            }
            Due::Try => self.try_now(),
            Due::Sleep | Due::Nothing => {}
        }
    }

    /// The start with this number led to a connection.
    pub fn on_connected(&mut self, now: Instant, start: u64) {
        if self.start != start || self.phase != Phase::Starting {
            return;
        }
        self.phase = Phase::Connected(now);
        self.tells.push_back(Tell::Connected);
        for (_, done) in self.waiters.drain(..) {
            self.tells.push_back(Tell::Done(done, Ok(())));
        }
    }

    /// The start with this number failed, or what it led to is over. `chance` is a random number.
    pub fn on_ended(&mut self, now: Instant, start: u64, error: &Error, chance: u32) {
        let lived = match self.phase {
            _ if self.start != start => return,
            Phase::Connected(since) => Some(now.saturating_duration_since(since)),
            Phase::Starting => None,
            _ => return,
        };
        let next_try = self.kept.failed(now, error, lived, chance);
        self.rest(error.clone(), next_try);
        for (_, done) in self.waiters.drain(..) {
            self.tells.push_back(Tell::Done(done, Err(error.clone())));
        }
        // It may be due at once.
        self.on_time(now);
    }

    // What comes of it

    /// What is to be done next: it counts as begun. To be followed by
    /// [`stopped`](Self::stopped) after a stop.
    pub fn next_step(&mut self) -> Step {
        let lives = matches!(self.phase, Phase::Starting | Phase::Connected(_));
        if self.started && !lives {
            return Step::Stop;
        }
        match self.phase {
            Phase::Wanted => {
                self.start += 1;
                self.started = true;
                self.phase = Phase::Starting;
                Step::Start(self.start)
            }
            Phase::Closed if !self.ended => {
                self.ended = true;
                for done in self.closers.drain(..) {
                    self.tells.push_back(Tell::Done(done, Ok(())));
                }
                Step::End
            }
            _ => Step::Nothing,
        }
    }

    /// Whether [`next_step`](Self::next_step) has something.
    pub fn has_step(&self) -> bool {
        let lives = matches!(self.phase, Phase::Starting | Phase::Connected(_));
        self.started && !lives
            || self.phase == Phase::Wanted
            || self.phase == Phase::Closed && !self.ended
    }

    /// What was started is stopped.
    pub fn stopped(&mut self) {
        self.started = false;
    }

    pub fn is_started(&self) -> bool {
        self.started
    }

    pub fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected(_))
    }

    /// The number of the last start.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Whether nothing follows any more.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether what the start with this number says still counts.
    pub fn is_live(&self, start: u64) -> bool {
        self.start == start && matches!(self.phase, Phase::Starting | Phase::Connected(_))
    }

    /// When to call [`on_time`](Self::on_time).
    pub fn deadline(&self) -> Option<Instant> {
        self.kept.deadline()
    }

    pub fn next_tell(&mut self) -> Option<Tell> {
        self.tells.pop_front()
    }

    fn try_kept(&mut self) {
        if self.kept.is_kept() {
            self.try_now();
        }
    }

    fn try_now(&mut self) {
        if self.phase == Phase::Idle {
            self.kept.take_try();
            self.phase = Phase::Wanted;
            self.tells.push_back(Tell::Connecting);
        }
    }

    fn rest(&mut self, reason: Error, next_try: Option<Instant>) {
        self.phase = Phase::Idle;
        self.tells.push_back(Tell::Unconnected { start: self.start, reason, next_try });
    }

    fn finish(&mut self) {
        if self.phase == Phase::Closed {
            return;
        }
        let error = self.end_error();
        self.rest(error.clone(), None);
        self.phase = Phase::Closed;
        self.kept.stop();
        for (_, done) in self.waiters.drain(..) {
            self.tells.push_back(Tell::Done(done, Err(error.clone())));
        }
    }

    fn end_error(&self) -> Error {
        Error::new(if self.shut_down { ErrorKind::ShutDown } else { ErrorKind::Closed })
    }
}

#[cfg(all(test, not(loom)))]
#[path = "tests/course.rs"]
mod tests;
