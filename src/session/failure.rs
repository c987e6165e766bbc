//! Why a login, a command, a console or a whole session ended: who is at fault, and at which
//! stage, with the code the managed system gave.

use std::fmt;

use crate::wire::message::CompletionCode;
use crate::wire::open_session::StatusCode;

/// How far a session had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Get Channel Authentication Capabilities (§22.13).
    Capabilities,
    /// RMCP+ Open Session (§13.17).
    OpenSession,
    /// RAKP Messages 1 and 2 (§13.20, §13.21).
    Rakp2,
    /// RAKP Messages 3 and 4 (§13.22, §13.23).
    Rakp4,
    /// Get Session Challenge of a v1.5 login (§22.16).
    Challenge,
    /// Activate Session of a v1.5 login (§22.17).
    ActivateSession,
    /// Set Session Privilege Level (§22.18).
    Privilege,
    /// Activate Payload (§24.1).
    ActivateSol,
    /// The session is up; a command or its keepalive was under way.
    Active,
    /// SOL is active.
    Sol,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Capabilities => "authentication capabilities",
            Stage::OpenSession => "open session",
            Stage::Rakp2 => "RAKP 2",
            Stage::Rakp4 => "RAKP 4",
            Stage::Challenge => "session challenge",
            Stage::ActivateSession => "activate session",
            Stage::Privilege => "session privilege",
            Stage::ActivateSol => "activate SOL",
            Stage::Active => "session",
            Stage::Sol => "SOL",
        })
    }
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Nothing answered in time.
    TimedOut,
    /// The managed system does not know the user name, or its user is disabled.
    UserName,
    /// The password is wrong. Some BMCs answer an unknown user name the same way.
    Password,
    /// The password is right and K_g is wrong, missing or superfluous.
    KG,
    /// The wanted privilege level was refused.
    Privilege,
    /// None of the acceptable cipher suites was taken.
    CipherSuite,
    /// The managed system named algorithms it was not asked for.
    Downgrade,
    /// No session slot is free.
    NoFreeSession,
    /// The managed system lacks something: v2.0, v1.5, an authentication type.
    Incompatible(&'static str),
    /// The managed system broke the protocol.
    PeerMisbehaved(&'static str),
    /// A refusal that has no cause of its own.
    Refused,
    /// A command was answered by a completion code other than 0.
    Completion,
    /// SOL is disabled, for the channel or for this user.
    SolDisabled,
    /// Another session owns SOL.
    SolInUse,
    /// SOL was refused for another reason.
    SolRefused,
    /// Another session took SOL away.
    SolStolen,
    /// The managed system deactivated SOL.
    SolDeactivated,
    /// The managed system stopped answering an active session.
    Lost,
    /// A command that must not be repeated was sent, and no answer came.
    OutcomeUnknown,
    /// We closed it.
    Closed,
    /// What was asked for needs something this session does not have.
    NotConnected,
    /// A v1.5 session has no payloads.
    NoSolInV15,
    /// A request with secret data was not sent: the session does not encrypt.
    NotEncrypted,
    /// A request for a controller behind the managed system could not be passed on; the
    /// completion code is that of Send Message.
    NotBridged,
    /// A request was passed on to a controller behind the managed system, which did not answer.
    NoBridgedAnswer,
}

/// Why something ended, where, and with which code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Failure {
    /// What went wrong.
    pub cause: Cause,
    /// How far the session had come.
    pub stage: Stage,
    /// The RMCP+ status code, of a refused login.
    pub status: Option<StatusCode>,
    /// The completion code, of a refused command.
    pub completion_code: Option<CompletionCode>,
}

impl Failure {
    /// A failure without a code.
    pub fn new(cause: Cause, stage: Stage) -> Self {
        Failure { cause, stage, status: None, completion_code: None }
    }

    /// A failure by RMCP+ status code.
    pub fn by_status(cause: Cause, stage: Stage, status: StatusCode) -> Self {
        Failure { status: Some(status), ..Failure::new(cause, stage) }
    }

    /// A failure by completion code.
    pub fn by_completion(cause: Cause, stage: Stage, code: CompletionCode) -> Self {
        Failure { completion_code: Some(code), ..Failure::new(cause, stage) }
    }

    /// What to try, in one line.
    pub fn advice(&self) -> &'static str {
        match (self.cause, self.stage) {
            (Cause::TimedOut, Stage::Rakp2 | Stage::Rakp4 | Stage::ActivateSession) => {
                "check user name and password: some BMCs answer wrong ones with silence"
            }
            (Cause::TimedOut, Stage::Capabilities | Stage::OpenSession | Stage::Challenge) => {
                "check address, port and network, and that the BMC has IPMI over LAN switched on"
            }
            (Cause::TimedOut, _) => "try again: packets get lost, or the BMC is busy",
            (Cause::UserName, _) => {
                "check the user name, and that the user is enabled for this channel"
            }
            (Cause::Password, _) => "check the password, and the user name as well",
            (Cause::KG, _) => "give the K_g that the BMC has, or none where it has none",
            (Cause::Privilege, _) => "ask for a lower privilege level, or raise the user's limit",
            (Cause::CipherSuite, _) => "allow a cipher suite that the BMC has switched on",
            (Cause::Downgrade, _) => "list the cipher suite the BMC insists on, if it will do",
            (Cause::NoFreeSession, _) => "try again in a minute, or close sessions at the BMC",
            (Cause::Incompatible(_), _) => "allow what this BMC has, or update its firmware",
            (Cause::PeerMisbehaved(_), _) => "set the quirk of this BMC, or update its firmware",
            (Cause::Refused | Cause::Completion, _) => "see the code for the reason",
            (Cause::SolDisabled, _) => "enable SOL for the channel and for this user at the BMC",
            (Cause::SolInUse, _) => "close the other console, or take it over",
            (Cause::SolRefused, _) => {
                "see the code; the BMC may demand SOL with encryption or without"
            }
            (Cause::SolStolen | Cause::SolDeactivated, _) => {
                "open the console again when it is free"
            }
            (Cause::Lost, _) => "log in again: the BMC restarted or the network failed",
            (Cause::OutcomeUnknown, _) => "see what state the system is in before trying again",
            (Cause::Closed | Cause::NotConnected, _) => "connect first",
            (Cause::NoSolInV15, _) => "log in with IPMI v2.0",
            (Cause::NotEncrypted, _) => "use a cipher suite that encrypts: 3 or 17",
            (Cause::NotBridged | Cause::NoBridgedAnswer, _) => {
                "check channel and address; some controllers are there only while the system is on"
            }
        }
    }

    /// The meaning of the codes of Send Message (§22.7).
    fn why_not_bridged(&self) -> &'static str {
        match self.completion_code.map(|code| code.0) {
            Some(0x80) => "message not passed on: invalid session handle",
            Some(0x81) => "message not passed on: lost arbitration on the bus",
            Some(0x82) => "message not passed on: bus error",
            Some(0x83) => "message not passed on: nobody at that address (NAK on write)",
            Some(0xc1) => "the managed system passes no messages on",
            Some(0xd3) => "message not passed on: the controller is not there",
            _ => "the managed system did not pass the message on",
        }
    }

    /// Whether trying again with the same settings can only do harm: BMCs lock accounts.
    pub fn is_bad_credentials(&self) -> bool {
        matches!(self.cause, Cause::UserName | Cause::Password | Cause::KG)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({:?} at {:?}", self.cause, self.stage)?;
        if let Some(status) = self.status {
            write!(f, ", {status}")?;
        }
        if let Some(code) = self.completion_code {
            write!(f, ", {code}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.cause {
            Cause::TimedOut => "no answer",
            Cause::UserName => "user name refused by the managed system",
            Cause::Password => "wrong password (or unknown user name)",
            Cause::KG => "wrong K_g",
            Cause::Privilege => "privilege level refused by the managed system",
            Cause::CipherSuite => "no acceptable cipher suite taken by the managed system",
            Cause::Downgrade => "managed system chose algorithms it was not asked for",
            Cause::NoFreeSession => "no free session at the managed system",
            Cause::Incompatible(what) | Cause::PeerMisbehaved(what) => what,
            Cause::Refused => "refused by the managed system",
            Cause::Completion => "command refused",
            Cause::SolDisabled => "SOL is disabled",
            Cause::SolInUse => "SOL is in use by another session",
            Cause::SolRefused => "SOL refused by the managed system",
            Cause::SolStolen => "SOL was taken by another session",
            Cause::SolDeactivated => "SOL was deactivated by the managed system",
            Cause::Lost => "managed system stopped answering",
            Cause::OutcomeUnknown => "no answer to a command that must not be repeated",
            Cause::Closed => "closed",
            Cause::NotConnected => "not connected",
            Cause::NoSolInV15 => "an IPMI v1.5 session has no console",
            Cause::NotEncrypted => "not sent: the session does not encrypt what is secret",
            Cause::NotBridged => self.why_not_bridged(),
            Cause::NoBridgedAnswer => "the controller behind the managed system did not answer",
        };
        write!(f, "{what} [{}", self.stage)?;
        if let Some(status) = self.status {
            write!(f, ", status {status}")?;
        }
        if let Some(code) = self.completion_code {
            write!(f, ", completion code {code}")?;
        }
        f.write_str("]")
    }
}

impl std::error::Error for Failure {}
