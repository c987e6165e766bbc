//! The life of a console over a backend, without the backend: what is wanted, what is to be done
//! next, and what is to be told. Time is an argument.

use std::collections::VecDeque;
use std::time::Instant;

use super::wait::Completer;
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::{Keep, Retry, RetryConfig};

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
    keep: Keep,
    config: RetryConfig,
    phase: Phase,
    /// How often it was started.
    start: u64,
    /// It was started, and not stopped since.
    started: bool,
    retry: Retry,
    attached: bool,
    linger_until: Option<Instant>,
    next_try: Option<Instant>,
    /// Why it is not connected, as it was told last.
    reason: Option<Error>,
    waiters: Vec<(u64, Completer<()>)>,
    closers: Vec<Completer<()>>,
    shut_down: bool,
    ended: bool,
    tells: VecDeque<Tell>,
}

impl Course {
    pub fn new(keep: Keep, config: RetryConfig) -> Self {
        Course {
            keep,
            config,
            phase: Phase::Idle,
            start: 0,
            started: false,
            retry: Retry::default(),
            attached: false,
            linger_until: None,
            next_try: None,
            reason: None,
            waiters: Vec::new(),
            closers: Vec::new(),
            shut_down: false,
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
        if tries && self.waiters.is_empty() && !self.is_kept() {
            self.rest(error.clone(), None);
        }
        self.tells.push_back(Tell::Done(done, Err(error)));
    }

    /// Somebody is attached now, or nobody any more.
    pub fn attach(&mut self, now: Instant, attached: bool) {
        self.attached = attached;
        self.linger_until = match self.keep {
            Keep::WhileAttached(linger) if !attached => now.checked_add(linger),
            _ => None,
        };
        if attached {
            self.try_kept();
        }
    }

    /// Another configuration, which breaks nothing.
    pub fn reconfigure(&mut self, now: Instant, keep: Keep, config: RetryConfig) {
        self.config = config;
        if self.keep != keep {
            self.keep = keep;
            self.linger_until = match keep {
                Keep::WhileAttached(linger) if !self.attached && self.phase != Phase::Idle => {
                    now.checked_add(linger)
                }
                _ => None,
            };
        }
        if self.is_kept() {
            self.try_kept();
        } else if self.next_try.is_some() {
            let reason = self.reason.clone().unwrap_or_else(nobody_attached);
            self.rest(reason, None);
        }
    }

    /// What is started is not what is wanted any more: it is stopped and started again, at once,
    /// and so is what waits to be tried again.
    pub fn restart(&mut self, now: Instant) {
        self.retry = Retry::default();
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
            Phase::Idle if self.next_try.is_some() => self.try_now(),
            _ => {}
        }
    }

    /// Ends it for good.
    pub fn close(&mut self, done: Option<Completer<()>>) {
        match done {
            Some(done) if self.ended => {
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

    // What happened

    /// [`deadline`](Self::deadline) is there, maybe.
    pub fn on_time(&mut self, now: Instant) {
        if self.linger_until.is_some_and(|at| at <= now) {
            self.linger_until = None;
            // Somebody who waits for it to connect wants it nevertheless.
            if self.waiters.is_empty() && (self.phase != Phase::Idle || self.next_try.is_some()) {
                self.rest(nobody_attached(), None);
            }
        }
        if self.next_try.is_some_and(|at| at <= now) {
            self.try_now();
        }
    }

    /// The start with this number led to a connection.
    pub fn on_connected(&mut self, now: Instant, start: u64) {
        if self.start != start || self.phase != Phase::Starting {
            return;
        }
        self.phase = Phase::Connected(now);
        self.reason = None;
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
        let next_try = if self.is_kept() {
            Some(self.retry.failed(now, error.kind(), lived, &self.config, chance))
        } else {
            None
        };
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
        self.next_try.into_iter().chain(self.linger_until).min()
    }

    pub fn next_tell(&mut self) -> Option<Tell> {
        self.tells.pop_front()
    }

    fn is_kept(&self) -> bool {
        match self.keep {
            Keep::OnRequest => false,
            Keep::WhileAttached(_) => self.attached || self.linger_until.is_some(),
            Keep::Always => true,
        }
    }

    fn try_kept(&mut self) {
        if self.is_kept() {
            self.try_now();
        }
    }

    fn try_now(&mut self) {
        if self.phase == Phase::Idle {
            self.next_try = None;
            self.phase = Phase::Wanted;
            self.tells.push_back(Tell::Connecting);
        }
    }

    fn rest(&mut self, reason: Error, next_try: Option<Instant>) {
        self.phase = Phase::Idle;
        self.next_try = next_try;
        self.reason = Some(reason.clone());
        self.tells.push_back(Tell::Unconnected { start: self.start, reason, next_try });
    }

    fn finish(&mut self) {
        if self.phase == Phase::Closed {
            return;
        }
        let error = self.end_error();
        self.rest(error.clone(), None);
        self.phase = Phase::Closed;
        self.linger_until = None;
        for (_, done) in self.waiters.drain(..) {
            self.tells.push_back(Tell::Done(done, Err(error.clone())));
        }
    }

    fn end_error(&self) -> Error {
        Error::new(if self.shut_down { ErrorKind::ShutDown } else { ErrorKind::Closed })
    }
}

fn nobody_attached() -> Error {
    Error::with_text(ErrorKind::NotConnected, "nobody is attached")
}

/// A number that is well mixed from one that counts, for waiting times; nothing secret.
pub(super) fn chance(number: u64) -> u32 {
    let mut mixed = number.wrapping_add(0x1f12_3bb5).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^= mixed >> 32;
    mixed = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
    (mixed >> 32) as u32
}

#[cfg(all(test, not(loom)))]
#[path = "tests/course.rs"]
mod tests;
