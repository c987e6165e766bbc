//! What is told of a console's events, in few words.

use std::time::{Duration, Instant};

use bmclink::{Bmc, Error, ErrorKind, EventKind};

use crate::failure::Failure;

/// Puts events into words, and keeps quiet about what was said already.
pub struct Markers {
    /// As `admin@bmc7:623`.
    peer: String,
    connected: bool,
    /// Why the last attempt failed.
    failure: Option<String>,
}

impl Markers {
    pub fn new(peer: String) -> Self {
        Markers { peer, connected: false, failure: None }
    }

    /// What to say of an event that is not data.
    pub fn text(&mut self, event: &EventKind<'_>, bmc: &Bmc) -> Option<String> {
        Some(match event {
            EventKind::Connected => self.connected(bmc),
            // By this program, which has its reason.
            EventKind::Disconnected { reason, .. } if reason.kind() == ErrorKind::Closed => {
                return None;
            }
            EventKind::Disconnected { reason, next_try, .. } => {
                let now = Instant::now();
                let wait = next_try.map(|at| at.saturating_duration_since(now));
                return self.disconnected(reason, wait);
            }
            EventKind::Gap(Some(bytes)) => format!("{bytes} bytes of output are missing"),
            EventKind::Gap(None) => "output may be missing".to_owned(),
            EventKind::Break => "break received".to_owned(),
            EventKind::Overrun => "the BMC had to drop output".to_owned(),
            EventKind::PoweredOff => "the BMC says: powered off, or in reset".to_owned(),
            EventKind::PoweredOn => "the BMC says: powered on".to_owned(),
            EventKind::InputLost(bytes) => format!("{bytes} bytes of input were lost"),
            EventKind::Lost { bytes: bytes @ 1.., .. } => {
                format!("{bytes} bytes of output were dropped: they were not read in time")
            }
            _ => return None,
        })
    }

    fn connected(&mut self, bmc: &Bmc) -> String {
        self.connected = true;
        self.failure = None;
        let suite = bmc.status().cipher_suite;
        let suite = suite.map(|suite| format!(", cipher suite {suite}")).unwrap_or_default();
        format!("connected to {}{suite}", self.peer)
    }

    /// What the end of a connection, or of an attempt, is when the program shall end with it.
    pub fn failure(&self, reason: &Error) -> Failure {
        if self.connected {
            Failure::lost(reason.clone())
        } else {
            Failure::from(reason.clone()).of(&format!("cannot connect to {}", self.peer))
        }
    }

    /// A loss is always told, attempts that fail for the same reason again and again only once.
    fn disconnected(&mut self, reason: &Error, wait: Option<Duration>) -> Option<String> {
        let reason = reason.to_string();
        let lost = std::mem::take(&mut self.connected);
        let what = if lost { "disconnected" } else { "not connected" };
        let text = format!("{what}: {reason}{}", next_try(wait));
        let told = !lost && self.failure.as_ref() == Some(&reason);
        self.failure = Some(reason).filter(|_| !lost);
        (!told).then_some(text)
    }
}

/// When it is tried again, to be put behind the reason.
pub fn next_try(wait: Option<Duration>) -> String {
    match wait.map(|wait| wait.as_secs_f64().ceil()) {
        None => String::new(),
        Some(secs) if secs < 1.0 => "; trying again".to_owned(),
        Some(secs) => format!("; next try in {secs} s"),
    }
}

/// Whether the BMC said no to who we are: each try may bring an account nearer to being locked.
pub fn is_about_credentials(reason: &Error) -> bool {
    matches!(
        reason.kind(),
        ErrorKind::UserName | ErrorKind::Password | ErrorKind::KG | ErrorKind::Privilege
    )
}
