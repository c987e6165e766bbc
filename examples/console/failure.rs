//! What went wrong, and the exit status that says so.

use std::io;

use bmclink::{Error, ErrorKind};

/// What the exit status says.
pub mod exit {
    pub const OK: u8 = 0;
    pub const OTHER: u8 = 1;
    pub const USAGE: u8 = 2;
    pub const CREDENTIALS: u8 = 3;
    pub const UNREACHABLE: u8 = 4;
    pub const REFUSED: u8 = 5;
    pub const LOST: u8 = 6;
    /// And the number of the signal.
    pub const SIGNAL: u8 = 128;
}

/// What went wrong: the exit status, one line, and what to try.
pub struct Failure {
    pub code: u8,
    pub text: String,
    pub advice: Option<&'static str>,
}

impl Failure {
    pub fn new(code: u8, text: impl Into<String>) -> Self {
        Failure { code, text: text.into(), advice: None }
    }

    pub fn io(what: &str, error: &io::Error) -> Self {
        Failure::new(exit::OTHER, format!("{what}: {error}"))
    }

    /// Says what failed in front of why.
    pub fn of(mut self, what: &str) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }

    /// Of a console that was connected.
    pub fn lost(error: Error) -> Self {
        Failure { code: exit::LOST, ..Failure::from(error) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::UserName | ErrorKind::Password | ErrorKind::KG | ErrorKind::Privilege => {
                exit::CREDENTIALS
            }
            ErrorKind::Unreachable
            | ErrorKind::ConnectionRefused
            | ErrorKind::NameNotFound
            | ErrorKind::TimedOut => exit::UNREACHABLE,
            ErrorKind::CipherSuite
            | ErrorKind::NoFreeSession
            | ErrorKind::Incompatible
            | ErrorKind::SolDisabled
            | ErrorKind::SolInUse
            | ErrorKind::SolRefused => exit::REFUSED,
            ErrorKind::Lost | ErrorKind::Stolen => exit::LOST,
            ErrorKind::Misuse => exit::USAGE,
            _ => exit::OTHER,
        };
        // The advice for misuse is for programmers.
        let advice = Some(error.advice()).filter(|_| error.kind() != ErrorKind::Misuse);
        Failure { code, text: error.to_string(), advice }
    }
}
