//! The library's error: who is at fault, at which stage, with the codes the BMC gave, and what
//! to try.

use std::fmt;

use crate::session::{Cause, ConfigError, Failure, Stage};
use crate::wire::message::CompletionCode;
use crate::wire::open_session::StatusCode;

/// What kind of error it is. New kinds may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The call's own timeout is over. Nothing else is known to be wrong.
    TimedOut,
    /// The BMC does not answer.
    Unreachable,
    /// The BMC does not answer, and its address says that nobody listens there.
    ConnectionRefused,
    /// The BMC's name has no address.
    NameNotFound,
    /// The BMC refused the user name.
    UserName,
    /// The password is wrong. Some BMCs say the same of an unknown user name.
    Password,
    /// The password is right and K_g is wrong, missing or superfluous.
    KG,
    /// The wanted privilege level was refused, or is too low for what was asked.
    Privilege,
    /// No acceptable cipher suite, or the BMC chose one it was not asked for.
    CipherSuite,
    /// No session slot is free at the BMC.
    NoFreeSession,
    /// The BMC lacks what is needed: IPMI v2.0, an authentication type, SOL in a v1.5 session.
    Incompatible,
    /// The BMC broke the protocol, or refused with a code that has no kind of its own.
    PeerMisbehaved,
    /// The BMC answered a command with a completion code other than 0.
    Completion,
    /// SOL is disabled at the BMC, for the channel or for the user.
    SolDisabled,
    /// Another session owns SOL.
    SolInUse,
    /// SOL was refused for another reason.
    SolRefused,
    /// The session or its console was lost: the BMC stopped answering, or gave SOL away.
    Lost,
    /// A command that must not be repeated was sent, and no answer came.
    OutcomeUnknown,
    /// The console is not connected.
    NotConnected,
    /// What was waited for was closed.
    Closed,
    /// The engine is shut down.
    ShutDown,
    /// A limit of the library was reached.
    Busy,
    /// The caller's bug: a value out of range, a use that makes no sense.
    Misuse,
    /// The operating system refused something.
    Io,
    /// Our bug: a panic inside the session, which ended it and nothing else.
    Internal,
    /// The BMC's configuration was changed while this was under way.
    Reconfigured,
    /// Another session took SOL away.
    Stolen,
    /// The call was cancelled by another thread.
    Cancelled,
}

impl ErrorKind {
    /// The kind's number in the C ABI, always negative.
    pub const fn code(self) -> i32 {
        match self {
            Self::TimedOut => -1,
            Self::Unreachable => -2,
            Self::ConnectionRefused => -3,
            Self::NameNotFound => -4,
            Self::UserName => -5,
            Self::Password => -6,
            Self::KG => -7,
            Self::Privilege => -8,
            Self::CipherSuite => -9,
            Self::NoFreeSession => -10,
            Self::Incompatible => -11,
            Self::PeerMisbehaved => -12,
            Self::Completion => -13,
            Self::SolDisabled => -14,
            Self::SolInUse => -15,
            Self::SolRefused => -16,
            Self::Lost => -17,
            Self::OutcomeUnknown => -18,
            Self::NotConnected => -19,
            Self::Closed => -20,
            Self::ShutDown => -21,
            Self::Busy => -22,
            Self::Misuse => -23,
            Self::Io => -24,
            Self::Internal => -25,
            Self::Reconfigured => -26,
            Self::Stolen => -27,
            Self::Cancelled => -28,
        }
    }

    /// Every kind, by falling code.
    pub const ALL: [ErrorKind; 28] = [
        Self::TimedOut,
        Self::Unreachable,
        Self::ConnectionRefused,
        Self::NameNotFound,
        Self::UserName,
        Self::Password,
        Self::KG,
        Self::Privilege,
        Self::CipherSuite,
        Self::NoFreeSession,
        Self::Incompatible,
        Self::PeerMisbehaved,
        Self::Completion,
        Self::SolDisabled,
        Self::SolInUse,
        Self::SolRefused,
        Self::Lost,
        Self::OutcomeUnknown,
        Self::NotConnected,
        Self::Closed,
        Self::ShutDown,
        Self::Busy,
        Self::Misuse,
        Self::Io,
        Self::Internal,
        Self::Reconfigured,
        Self::Stolen,
        Self::Cancelled,
    ];

    /// The kind in a few words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::TimedOut => "timed out",
            Self::Unreachable => "the BMC does not answer",
            Self::ConnectionRefused => "connection refused",
            Self::NameNotFound => "name not found",
            Self::UserName => "user name refused",
            Self::Password => "wrong password",
            Self::KG => "wrong K_g",
            Self::Privilege => "privilege level refused",
            Self::CipherSuite => "no acceptable cipher suite",
            Self::NoFreeSession => "no free session at the BMC",
            Self::Incompatible => "the BMC lacks what is needed",
            Self::PeerMisbehaved => "the BMC broke the protocol",
            Self::Completion => "command refused by the BMC",
            Self::SolDisabled => "SOL is disabled",
            Self::SolInUse => "SOL is in use by another session",
            Self::SolRefused => "SOL refused by the BMC",
            Self::Lost => "the session or console was lost",
            Self::OutcomeUnknown => "no answer to a command that must not be repeated",
            Self::NotConnected => "the console is not connected",
            Self::Closed => "closed",
            Self::ShutDown => "the engine is shut down",
            Self::Busy => "a limit was reached",
            Self::Misuse => "misuse by the caller",
            Self::Io => "the operating system refused something",
            Self::Internal => "internal error: a panic ended the session",
            Self::Reconfigured => "the configuration was changed",
            Self::Stolen => "SOL was taken by another session",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether what it happened to was there before: a session or console that is over now.
    pub fn is_loss(self) -> bool {
        matches!(self, Self::Lost | Self::Stolen | Self::Reconfigured)
    }

    /// Whether the user name, the password or K_g has to change before another try makes
    /// sense. BMCs lock accounts: do not retry these in a loop.
    pub fn is_bad_credentials(self) -> bool {
        matches!(self, Self::UserName | Self::Password | Self::KG)
    }
}

/// Why a call failed.
///
/// `Display` is one line in lower case with the stage and the codes; [`advice`](Error::advice)
/// is a second one that says what to try.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    failure: Option<Failure>,
    text: Option<Box<str>>,
}

/// What most calls return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Error { kind, failure: None, text: None }
    }

    /// An error with a line of text, for a [`Backend`](crate::Backend): lower case, one line. The
    /// kind decides when a console that is kept is tried again, see
    /// [`RetryConfig`](crate::RetryConfig).
    pub fn with_text(kind: ErrorKind, text: impl Into<String>) -> Self {
        Error { kind, failure: None, text: Some(text.into().into_boxed_str()) }
    }

    pub(crate) fn misuse(text: impl Into<String>) -> Self {
        Error::with_text(ErrorKind::Misuse, text)
    }

    /// A command was refused. `own` is what the code means for that command.
    pub(crate) fn completion(code: CompletionCode, own: Option<&str>) -> Self {
        let cause = match code {
            CompletionCode::INSUFFICIENT_PRIVILEGE => Cause::Privilege,
            _ => Cause::Completion,
        };
        let failure = Failure::by_completion(cause, Stage::Active, code);
        let text = own.map(Into::into);
        Error { kind: kind_of_cause(cause), failure: Some(failure), text }
    }

    pub(crate) fn io(what: &str, error: &std::io::Error) -> Self {
        Error::with_text(ErrorKind::Io, format!("{what}: {error}"))
    }

    /// Adds what else is known, such as the last ICMP error.
    pub(crate) fn with_note(mut self, kind: ErrorKind, note: &str) -> Self {
        self.kind = kind;
        self.text = Some(note.into());
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// How far login, session or SOL had come.
    pub fn stage(&self) -> Option<Stage> {
        self.failure.map(|failure| failure.stage)
    }

    /// What the session says went wrong: finer than [`kind`](Self::kind).
    pub fn cause(&self) -> Option<Cause> {
        self.failure.map(|failure| failure.cause)
    }

    /// The RMCP+ status code (§13.24), of a refused login.
    pub fn status(&self) -> Option<StatusCode> {
        self.failure.and_then(|failure| failure.status)
    }

    /// The completion code (§5.2), of a refused command.
    pub fn completion_code(&self) -> Option<CompletionCode> {
        self.failure.and_then(|failure| failure.completion_code)
    }

    /// What to try, in one line.
    pub fn advice(&self) -> &'static str {
        if let Some(failure) = &self.failure
            && matches!(
                failure.cause,
                Cause::NotEncrypted | Cause::NotBridged | Cause::NoBridgedAnswer
            )
        {
            return failure.advice();
        }
        match self.kind {
            ErrorKind::TimedOut => "wait longer, or find out why the BMC is slow",
            ErrorKind::Unreachable => match self.stage() {
                Some(Stage::Rakp2 | Stage::Rakp4) => {
                    "the BMC answers at first and then falls silent, as some do when the user \
                     name or the password is wrong: check both"
                }
                Some(Stage::ActivateSession | Stage::Challenge) => {
                    "the BMC answers at first and then falls silent, as some do when the \
                     password is wrong: check it"
                }
                _ => "check address, port, cabling and that IPMI over LAN is enabled",
            },
            ErrorKind::ConnectionRefused => {
                "nobody listens on that port: check the port, and that IPMI over LAN is enabled"
            }
            ErrorKind::NameNotFound => "check the name and the resolver",
            ErrorKind::UserName => {
                "check the user name, that the user is enabled and has access to this channel"
            }
            ErrorKind::Password => {
                "check password and user name; some BMCs store only 16 bytes of a longer password"
            }
            ErrorKind::KG => "check K_g, which must be set here exactly if it is set at the BMC",
            ErrorKind::Privilege => "ask for a lower privilege level, or use another user",
            ErrorKind::CipherSuite => {
                "list a cipher suite that the BMC has enabled (17 and 3 are tried by default)"
            }
            ErrorKind::NoFreeSession => "wait until sessions at the BMC are closed or time out",
            ErrorKind::Incompatible => "allow IPMI v1.5 for commands; a console needs v2.0",
            ErrorKind::PeerMisbehaved => "look for a quirk of this BMC, or update its firmware",
            ErrorKind::Completion => "see the completion code",
            ErrorKind::SolDisabled => "enable SOL for the channel and SOL access for the user",
            ErrorKind::SolInUse => "close the other console, or allow taking it over",
            ErrorKind::SolRefused => "see the completion code; the user's privilege may be too low",
            ErrorKind::Lost => "connect again",
            ErrorKind::OutcomeUnknown => "read the state back before repeating the command",
            ErrorKind::NotConnected => "connect the console first",
            ErrorKind::Closed | ErrorKind::ShutDown => "nothing: it was closed on purpose",
            ErrorKind::Busy => "raise the limit, or use less at once",
            ErrorKind::Misuse => "correct the call",
            ErrorKind::Io => "see the operating system's message",
            ErrorKind::Internal => "report this as a bug",
            ErrorKind::Reconfigured => "repeat it: it is for the new configuration now",
            ErrorKind::Cancelled => "nothing: it was cancelled on purpose",
            ErrorKind::Stolen => "find out who else uses the console, or take it back",
        }
    }
}

fn kind_of_cause(cause: Cause) -> ErrorKind {
    match cause {
        Cause::TimedOut => ErrorKind::Unreachable,
        Cause::UserName => ErrorKind::UserName,
        Cause::Password => ErrorKind::Password,
        Cause::KG => ErrorKind::KG,
        Cause::Privilege => ErrorKind::Privilege,
        Cause::CipherSuite | Cause::Downgrade => ErrorKind::CipherSuite,
        Cause::NoFreeSession => ErrorKind::NoFreeSession,
        Cause::Incompatible(_) | Cause::NoSolInV15 => ErrorKind::Incompatible,
        Cause::PeerMisbehaved(_) | Cause::Refused => ErrorKind::PeerMisbehaved,
        Cause::Completion => ErrorKind::Completion,
        Cause::SolDisabled => ErrorKind::SolDisabled,
        Cause::SolInUse => ErrorKind::SolInUse,
        Cause::SolRefused => ErrorKind::SolRefused,
        Cause::SolStolen => ErrorKind::Stolen,
        Cause::SolDeactivated | Cause::Lost => ErrorKind::Lost,
        Cause::OutcomeUnknown => ErrorKind::OutcomeUnknown,
        Cause::Closed => ErrorKind::Closed,
        Cause::NotConnected => ErrorKind::NotConnected,
        Cause::NotEncrypted => ErrorKind::CipherSuite,
        Cause::NotBridged => ErrorKind::Completion,
        Cause::NoBridgedAnswer => ErrorKind::TimedOut,
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = match (failure.cause, failure.stage) {
            // A command of a live session: its answer is late, the BMC may well be there.
            (Cause::TimedOut, Stage::Active) => ErrorKind::TimedOut,
            (cause, _) => kind_of_cause(cause),
        };
        Error { kind, failure: Some(failure), text: None }
    }
}

/// For a [`Backend`](crate::Backend) that uses sockets or files.
impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::ConnectionRefused => ErrorKind::ConnectionRefused,
            Io::HostUnreachable | Io::NetworkUnreachable => ErrorKind::Unreachable,
            Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe | Io::UnexpectedEof => {
                ErrorKind::Lost
            }
            Io::TimedOut | Io::WouldBlock => ErrorKind::TimedOut,
            _ => ErrorKind::Io,
        };
        Error::with_text(kind, error.to_string())
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Error::misuse(error.to_string())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}: {self})", self.kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.failure, &self.text) {
            (Some(failure), Some(note)) => write!(f, "{failure}; {note}"),
            (Some(failure), None) => write!(f, "{failure}"),
            (None, Some(note)) => f.write_str(note),
            (None, None) => f.write_str(self.kind.text()),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind {
            ErrorKind::TimedOut => Io::TimedOut,
            ErrorKind::Unreachable => Io::HostUnreachable,
            ErrorKind::ConnectionRefused => Io::ConnectionRefused,
            ErrorKind::NameNotFound => Io::NotFound,
            ErrorKind::UserName | ErrorKind::Password | ErrorKind::KG | ErrorKind::Privilege => {
                Io::PermissionDenied
            }
            ErrorKind::Lost => Io::ConnectionReset,
            ErrorKind::NotConnected => Io::NotConnected,
            ErrorKind::Closed | ErrorKind::ShutDown => Io::ConnectionAborted,
            ErrorKind::Misuse => Io::InvalidInput,
            _ => Io::Other,
        };
        std::io::Error::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_place_and_text() {
        for (index, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.code(), -(index as i32) - 1);
            assert!(!kind.text().is_empty());
        }
    }

    #[test]
    fn every_error_says_something_and_what_to_try() {
        let causes = [Cause::TimedOut, Cause::Password, Cause::KG, Cause::SolInUse, Cause::Lost];
        for cause in causes {
            let error = Error::from(Failure::new(cause, Stage::Rakp2));
            assert!(!error.to_string().is_empty() && !error.advice().is_empty());
            assert!(!error.to_string().contains('\n'));
            assert!(error.kind().code() < 0);
        }
    }
}
