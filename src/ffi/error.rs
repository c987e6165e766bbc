//! Error codes and what is known of the last error.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::sync::LazyLock;

use super::guard::{LastError, Number, c_string, guard};
use crate::{ErrorKind, Stage};

/// What a function returns when it worked and has nothing to count.
pub const BMCLINK_OK: i32 = 0;

/// What a function returns when it failed. All are negative. New codes may be added: treat one
/// that you do not know as a failure.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions take and give int32_t.
pub enum bmclink_err {
    /// The call's own timeout is over. Nothing else is known to be wrong.
    TimedOut = -1,
    /// The BMC does not answer.
    Unreachable = -2,
    /// The BMC does not answer, and its address says that nobody listens there.
    ConnectionRefused = -3,
    /// The BMC's name has no address.
    NameNotFound = -4,
    /// The BMC refused the user name. Do not retry in a loop: BMCs lock accounts.
    UserName = -5,
    /// The password is wrong; some BMCs say the same of an unknown user name. Do not retry in a
    /// loop: BMCs lock accounts.
    Password = -6,
    /// The password is right and K_g is wrong, missing or superfluous.
    KG = -7,
    /// The wanted privilege level was refused, or is too low for what was asked.
    Privilege = -8,
    /// No acceptable cipher suite, or the BMC chose one it was not asked for.
    CipherSuite = -9,
    /// No session slot is free at the BMC.
    NoFreeSession = -10,
    /// The BMC lacks what is needed: IPMI v2.0, an authentication type, a console in a v1.5
    /// session.
    Incompatible = -11,
    /// The BMC broke the protocol, or refused with a code that has no error of its own.
    PeerMisbehaved = -12,
    /// The BMC answered a command with a completion code other than 0.
    Completion = -13,
    /// SOL is disabled at the BMC, for the channel or for the user.
    SolDisabled = -14,
    /// Another session owns SOL.
    SolInUse = -15,
    /// SOL was refused for another reason.
    SolRefused = -16,
    /// The session or its console was lost: the BMC stopped answering, or gave SOL away.
    Lost = -17,
    /// A command that must not be repeated was sent, and no answer came.
    OutcomeUnknown = -18,
    /// The console, or the BMC, is not connected.
    NotConnected = -19,
    /// What was waited for was closed or freed. For readers: the end of the stream.
    Closed = -20,
    /// The engine was freed.
    ShutDown = -21,
    /// A limit of the library was reached.
    Busy = -22,
    /// The caller's bug: a NULL, a stale handle, a value out of range.
    Misuse = -23,
    /// The operating system refused something.
    Io = -24,
    /// Our bug: a panic, which was caught.
    Internal = -25,
    /// The BMC's configuration was changed while this was under way.
    Reconfigured = -26,
    /// Another session took SOL away.
    Stolen = -27,
    /// The call was cancelled by another thread.
    Cancelled = -28,
}

/// How far login, session or console had come when something failed.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions give int32_t.
pub enum bmclink_stage {
    /// Not known, or the failure has nothing to do with a session.
    None = 0,
    /// Get Channel Authentication Capabilities.
    Capabilities = 1,
    /// RMCP+ Open Session.
    OpenSession = 2,
    /// RAKP messages 1 and 2.
    Rakp2 = 3,
    /// RAKP messages 3 and 4.
    Rakp4 = 4,
    /// Get Session Challenge of a v1.5 login.
    Challenge = 5,
    /// Activate Session of a v1.5 login.
    ActivateSession = 6,
    /// Set Session Privilege Level.
    Privilege = 7,
    /// Activate Payload.
    ActivateSol = 8,
    /// The session is up; a command or its keepalive was under way.
    Active = 9,
    /// The console is connected.
    Sol = 10,
}

/// Text of the last error of this thread: one line, for people, with stage and codes.
///
/// Never NULL; empty when no call failed yet. Valid until the next call of this library fails in
/// this thread. Calls that work leave the last error alone. Never contains a password.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_last_error() -> *const c_char {
    guard(|| Ok(LastError::text()))
}

/// What to try after the last error of this thread: one line, for people.
///
/// Never NULL; empty when no call failed yet. Valid until the next call of this library fails in
/// this thread.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_last_error_advice() -> *const c_char {
    guard(|| Ok(LastError::advice()))
}

/// Code of the last error of this thread, one of BMCLINK_ERR_*; 0 when no call failed yet.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_last_error_code() -> i32 {
    guard(|| Ok(Number(LastError::ask(0, |error| error.kind().code()))))
}

/// How far things had come at the last error of this thread: one of BMCLINK_STAGE_*.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_last_error_stage() -> i32 {
    guard(|| Ok(Number(LastError::ask(0, |error| error.stage().map_or(0, stage_number)))))
}

/// RMCP+ status code of the last error of this thread, 1 to 255: what the BMC said when it
/// refused a login (IPMI v2.0 table 13-15). 0 when it gave none.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_last_error_status() -> i32 {
    guard(|| {
        let status = |error: &crate::Error| error.status().map_or(0, |status| status.0.into());
        Ok(Number(LastError::ask(0, status)))
    })
}

/// Completion code of the last error of this thread, 1 to 255: what the BMC said when it refused
/// a command (IPMI v2.0 table 5-2). 0 when it gave none.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_last_error_completion_code() -> i32 {
    guard(|| {
        let code = |error: &crate::Error| error.completion_code().map_or(0, |code| code.0.into());
        Ok(Number(LastError::ask(0, code)))
    })
}

/// A few words for a code: static text, never NULL. For more, see bmclink_last_error.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_error_text(code: i32) -> *const c_char {
    guard(|| Ok(TEXTS.get(&code).map_or(c"unknown error".as_ptr(), |text| text.as_ptr())))
}

static TEXTS: LazyLock<BTreeMap<i32, CString>> = LazyLock::new(|| {
    let texts = ErrorKind::ALL.map(|kind| (kind.code(), c_string(kind.text())));
    texts.into_iter().chain([(BMCLINK_OK, c"success".to_owned())]).collect()
});

fn stage_number(stage: Stage) -> i32 {
    let number = match stage {
        Stage::Capabilities => bmclink_stage::Capabilities,
        Stage::OpenSession => bmclink_stage::OpenSession,
        Stage::Rakp2 => bmclink_stage::Rakp2,
        Stage::Rakp4 => bmclink_stage::Rakp4,
        Stage::Challenge => bmclink_stage::Challenge,
        Stage::ActivateSession => bmclink_stage::ActivateSession,
        Stage::Privilege => bmclink_stage::Privilege,
        Stage::ActivateSol => bmclink_stage::ActivateSol,
        Stage::Active => bmclink_stage::Active,
        Stage::Sol => bmclink_stage::Sol,
    };
    number as i32
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    /// The constant of a kind: the compiler asks for a new one here.
    fn constant(kind: ErrorKind) -> bmclink_err {
        match kind {
            ErrorKind::TimedOut => bmclink_err::TimedOut,
            ErrorKind::Unreachable => bmclink_err::Unreachable,
            ErrorKind::ConnectionRefused => bmclink_err::ConnectionRefused,
            ErrorKind::NameNotFound => bmclink_err::NameNotFound,
            ErrorKind::UserName => bmclink_err::UserName,
            ErrorKind::Password => bmclink_err::Password,
            ErrorKind::KG => bmclink_err::KG,
            ErrorKind::Privilege => bmclink_err::Privilege,
            ErrorKind::CipherSuite => bmclink_err::CipherSuite,
            ErrorKind::NoFreeSession => bmclink_err::NoFreeSession,
            ErrorKind::Incompatible => bmclink_err::Incompatible,
            ErrorKind::PeerMisbehaved => bmclink_err::PeerMisbehaved,
            ErrorKind::Completion => bmclink_err::Completion,
            ErrorKind::SolDisabled => bmclink_err::SolDisabled,
            ErrorKind::SolInUse => bmclink_err::SolInUse,
            ErrorKind::SolRefused => bmclink_err::SolRefused,
            ErrorKind::Lost => bmclink_err::Lost,
            ErrorKind::OutcomeUnknown => bmclink_err::OutcomeUnknown,
            ErrorKind::NotConnected => bmclink_err::NotConnected,
            ErrorKind::Closed => bmclink_err::Closed,
            ErrorKind::ShutDown => bmclink_err::ShutDown,
            ErrorKind::Busy => bmclink_err::Busy,
            ErrorKind::Misuse => bmclink_err::Misuse,
            ErrorKind::Io => bmclink_err::Io,
            ErrorKind::Internal => bmclink_err::Internal,
            ErrorKind::Reconfigured => bmclink_err::Reconfigured,
            ErrorKind::Stolen => bmclink_err::Stolen,
            ErrorKind::Cancelled => bmclink_err::Cancelled,
        }
    }

    #[test]
    fn the_constants_are_the_codes_and_each_has_a_text() {
        for kind in ErrorKind::ALL {
            assert_eq!(constant(kind) as i32, kind.code(), "{kind:?}");
            // SAFETY: the texts are static.
            let text = unsafe { CStr::from_ptr(bmclink_error_text(kind.code())) };
            assert_eq!(text.to_str(), Ok(kind.text()));
        }
    }
}
