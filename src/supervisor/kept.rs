//! How long a console is kept connected, and when it is tried again: the same for one of SOL and
//! for one of any backend. Time is an argument.

use std::time::{Duration, Instant};

use super::retry::{Retry, RetryConfig};
use crate::error::{Error, ErrorKind};

/// How soon a console nobody is attached to is looked at again while a call waits for it.
const LINGER_MIN: Duration = Duration::from_secs(1);

/// Whether a console is connected again by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keep {
    /// No: it is connected when that is asked for, and a loss is final until it is asked again.
    #[default]
    OnRequest,
    /// While a reader is attached, and this long after the last one has left.
    WhileAttached(Duration),
    /// Always, from the moment it is opened.
    Always,
}

/// What is to be done because of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// It is tried again.
    Try,
    /// Nobody was attached for long enough.
    Sleep,
}

/// Who is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Nobody,
    Somebody,
    /// Nobody any more, which counts from then on; never for `None`.
    Left(Option<Instant>),
}

/// Whether a console is kept, and when it is tried again.
#[derive(Debug)]
pub(crate) struct Kept {
    keep: Keep,
    config: RetryConfig,
    retry: Retry,
    presence: Presence,
    /// When it is tried again, and why it has to be.
    next_try: Option<(Instant, Box<Error>)>,
}

impl Kept {
    pub fn new(keep: Keep, config: RetryConfig) -> Self {
        let (retry, presence) = (Retry::default(), Presence::Nobody);
        Kept { keep, config, retry, presence, next_try: None }
    }

    /// Another way to keep it. `lives` says whether it is connected or is being tried. Gives why
    /// it is not connected when the try that was planned is called off.
    pub fn reconfigure(
        &mut self,
        now: Instant,
        keep: Keep,
        config: &RetryConfig,
        lives: bool,
    ) -> Option<Error> {
        self.config.clone_from(config);
        if self.keep != keep {
            self.keep = keep;
            if self.presence != Presence::Somebody {
                let lives = lives || self.next_try.is_some();
                self.presence = if lives { self.left(now) } else { Presence::Nobody };
            }
        }
        if self.is_kept() {
            return None;
        }
        self.next_try.take().map(|(_, reason)| *reason)
    }

    /// Somebody is attached now, or nobody any more.
    pub fn attach(&mut self, now: Instant, attached: bool) {
        if attached {
            self.presence = Presence::Somebody;
        } else if self.presence == Presence::Somebody {
            self.presence = self.left(now);
        }
    }

    /// Its connection, which had lived for `lived`, or an attempt failed: gives when it is tried
    /// again. `chance` is a random number.
    pub fn failed(
        &mut self,
        now: Instant,
        error: &Error,
        lived: Option<Duration>,
        chance: u32,
    ) -> Option<Instant> {
        self.next_try = None;
        if self.is_kept() {
            let at = self.retry.failed(now, error.kind(), lived, &self.config, chance);
            self.next_try = at.map(|at| (at, Box::new(error.clone())));
        }
        self.next_try()
    }

    /// What failed so far says nothing of what is tried from now on.
    pub fn forgive(&mut self) {
        self.retry = Retry::default();
    }

    /// It is tried now, or nothing is planned any more; says whether something was.
    pub fn take_try(&mut self) -> bool {
        self.next_try.take().is_some()
    }

    /// Nothing is due any more, whoever is attached.
    pub fn stop(&mut self) {
        self.next_try = None;
        self.presence = Presence::Nobody;
    }

    /// What the time asks for. Whoever `waits` for a connection wants it although nobody is
    /// attached: it is looked at again when that may be over.
    pub fn due(&mut self, now: Instant, waits: bool) -> Due {
        if matches!(self.presence, Presence::Left(Some(at)) if at <= now) {
            if !waits {
                self.presence = Presence::Nobody;
                return Due::Sleep;
            }
            self.presence = match self.keep {
                Keep::WhileAttached(linger) => {
                    Presence::Left(now.checked_add(linger.max(LINGER_MIN)))
                }
                _ => Presence::Nobody,
            };
        }
        match self.next_try() {
            Some(at) if at <= now => Due::Try,
            _ => Due::Nothing,
        }
    }

    /// When something is [`due`](Self::due).
    pub fn deadline(&self) -> Option<Instant> {
        let leaves = match self.presence {
            Presence::Left(at) => at,
            _ => None,
        };
        self.next_try().into_iter().chain(leaves).min()
    }

    /// When it is tried again.
    pub fn next_try(&self) -> Option<Instant> {
        self.next_try.as_ref().map(|(at, _)| *at)
    }

    /// Whether it is to be connected although nobody waits for that.
    pub fn is_kept(&self) -> bool {
        match self.keep {
            Keep::OnRequest => false,
            Keep::WhileAttached(_) => self.presence != Presence::Nobody,
            Keep::Always => true,
        }
    }

    /// Whether somebody is attached.
    pub fn is_attached(&self) -> bool {
        self.presence == Presence::Somebody
    }

    /// How it is kept.
    pub fn keep(&self) -> Keep {
        self.keep
    }

    /// Nobody is attached from now on.
    fn left(&self, now: Instant) -> Presence {
        match self.keep {
            Keep::WhileAttached(linger) => Presence::Left(now.checked_add(linger)),
            _ => Presence::Nobody,
        }
    }
}

/// Why a console sleeps.
pub(crate) fn nobody_attached() -> Error {
    Error::with_text(ErrorKind::NotConnected, "nobody is attached")
}
