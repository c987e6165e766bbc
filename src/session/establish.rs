//! The RMCP+ login: capabilities, Open Session, RAKP 1 to 4 (§13.17 to §13.23).
//!
//! One [`Establish`] is one login. Each step is a value that knows what it waits for; whatever
//! does not match the current step is dropped and changes nothing. Lost packets start again
//! from Open Session with new random numbers: a repeated RAKP 1 or RAKP 3 changes the keys on
//! one common BMC stack, and is ignored on another.

mod discover;
mod rakp;

use std::sync::Arc;
use std::time::Instant;

use super::channel::{Channel, ChannelV20};
use super::config::{Learned, SessionConfig, UserLookup, Version};
use super::failure::{Cause, Failure, Stage};
use super::pace::Pace;
use super::quirk::Quirk;
use super::{DropReason, Outbox};
use crate::crypto::keys::{Exchange, Sik, UserKey};
use crate::crypto::suite::SessionCipher;
use crate::crypto::{Generator, constant_time_eq};
use crate::wire::cipher_suite::{Algorithms, Authentication, CipherSuiteId, decode_records};
use crate::wire::ipmi15;
use crate::wire::message::{CompletionCode, Message, RqSeq, net_fn};
use crate::wire::open_session::{
    OpenSessionRequest, OpenSessionResponse, Refusal, SetupReply, StatusCode,
};
use crate::wire::payload::PayloadType;
use crate::wire::rakp::{ROLE_NAME_ONLY, Rakp1, Rakp2, Rakp3, Rakp4};
use crate::wire::rmcpplus::{self, IntegrityPad};
use crate::wire::session_command::{
    ChannelAuthenticationCapabilities, channel_authentication_capabilities_request,
    channel_cipher_suites_request, cmd,
};
use crate::wire::{PrivilegeLevel, SessionId};

/// Tries of Get Channel Cipher Suites before going on without it.
const CIPHER_SUITES_TRIES: u32 = 2;
/// Unanswered Open Session Requests before asking which suites there are.
const SILENT_SUITE_TRIES: u32 = 2;
/// Refused RAKP 3 after a right RAKP 2 that are put down to lost and repeated packets.
const REKEYED_MAX: u32 = 3;
/// Bytes of record data in a full chunk, and how many chunks there can be (§22.15).
const CHUNK_LEN: usize = 16;
const CHUNKS_MAX: u8 = 64;

/// How a login stands.
#[derive(Debug)]
pub(super) enum Progress {
    /// Waiting for a packet or a timer.
    Waiting,
    /// Logged in.
    Established(Box<Established>),
    /// The BMC has no v2.0, and v1.5 is allowed.
    UseV15(ChannelAuthenticationCapabilities),
    /// Over.
    Failed(Failure),
}

/// A session whose keys are verified.
#[derive(Debug)]
pub(super) struct Established {
    pub channel: ChannelV20,
    pub cipher_suite: CipherSuiteId,
    /// Set unless the suite was only found because a better one was not answered.
    pub worth_remembering: bool,
    pub open_session_by_level: bool,
    /// The level to raise the session to.
    pub privilege_level: PrivilegeLevel,
}

#[derive(Debug)]
pub(super) struct Establish {
    config: Arc<SessionConfig>,
    learned: Learned,
    step: Step,
    /// Of the last setup message. They count up from anywhere, 0 left out, so that no late
    /// answer has the tag of a newer message.
    message_tag: u8,
    /// When the current step's wait is over.
    deadline: Instant,
    /// How long the next step waits; grows with each silence.
    pace: Pace,
    /// Open Session Requests sent for the current suite.
    attempts: u32,
    /// Of these, how many were not answered at all.
    silent: u32,
    /// Something of this login was met with silence.
    lossy: bool,
    /// The BMC seems to get the checksums of LAN messages wrong.
    wrong_checksums: bool,
    /// The current suite, those still to try, and those that were met with silence.
    suites: Vec<CipherSuiteId>,
    /// How many of the suites are still to try.
    untried: usize,
    asked_for_suites: bool,
    /// The suites the BMC says it has, once it was asked.
    listed: Vec<CipherSuiteId>,
    skipped_a_silent_suite: bool,
    /// Ask for the wanted level in Open Session instead of "the highest".
    by_level: bool,
    privilege_level: PrivilegeLevel,
    /// How often RAKP 3 was refused although RAKP 2 was right.
    rekeyed: u32,
    /// What to report if nothing better comes: a refusal nobody could tell from a forgery.
    remembered: Option<Failure>,
    /// What the first try ended with, if a second one is made only to be sure of it.
    verdict: Option<Failure>,
    /// Why the last suite was refused.
    suite_failure: Option<Failure>,
    /// Nobody wants it any more: only what the BMC opened for it is given back.
    abandoned: bool,
}

#[derive(Debug)]
enum Step {
    Capabilities {
        form: CapabilitiesForm,
        rq_seq: RqSeq,
        tries: u32,
    },
    CipherSuites {
        index: u8,
        rq_seq: RqSeq,
        tries: u32,
        records: Vec<u8>,
    },
    OpenSession(AwaitOpenSession),
    Rakp2(AwaitRakp2),
    Rakp4(AwaitRakp4),
    /// A pause before the next attempt.
    Pause,
}

/// How Get Channel Authentication Capabilities is asked, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CapabilitiesForm {
    V20,
    /// One BMC stack refuses a level above the channel's limit.
    V20AtUser,
    /// Old v1.5 BMCs want the reserved bits 0.
    V15,
}

#[derive(Debug)]
struct AwaitOpenSession {
    message_tag: u8,
    remote_console_session_id: SessionId,
}

#[derive(Debug)]
struct AwaitRakp2 {
    message_tag: u8,
    remote_console_session_id: SessionId,
    managed_system_session_id: SessionId,
    remote_console_random_number: [u8; 16],
    role: u8,
    user_name: Vec<u8>,
}

#[derive(Debug)]
struct AwaitRakp4 {
    message_tag: u8,
    exchange: Exchange,
    sik: Sik,
}

impl Establish {
    pub fn start(
        config: Arc<SessionConfig>,
        learned: Learned,
        now: Instant,
        generator: &mut Generator,
        out: &mut Outbox,
    ) -> Self {
        let mut suites = config.cipher_suites.clone();
        if let Some(at) = suites.iter().position(|id| Some(*id) == learned.cipher_suite) {
            suites[..=at].rotate_right(1);
        }
        let privilege_level = config.wanted_privilege();
        let by_level = config.quirks.has(Quirk::OpenSessPriv)
            || config.quirks.has(Quirk::Intel20)
            || learned.open_session_by_level == Some(true)
            || learned.refused_by_level == Some(false);
        let mut login = Establish {
            pace: Pace::new(&config.timing, generator, now),
            wrong_checksums: config.quirks.has(Quirk::NoChecksumCheck),
            config,
            learned,
            step: Step::Pause,
            message_tag: generator.number() as u8,
            deadline: now,
            attempts: 0,
            silent: 0,
            lossy: false,
            untried: suites.len().saturating_sub(1),
            suites,
            asked_for_suites: false,
            listed: Vec::new(),
            skipped_a_silent_suite: false,
            by_level,
            privilege_level,
            rekeyed: 0,
            remembered: None,
            verdict: None,
            suite_failure: None,
            abandoned: false,
        };
        if login.config.quirks.has(Quirk::I82571Spt) {
            login.open_session(now, generator, out);
        } else {
            login.ask_capabilities(now, CapabilitiesForm::V20, 1, generator, out);
        }
        login
    }

    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    pub fn stage(&self) -> Stage {
        match self.step {
            Step::Capabilities { .. } => Stage::Capabilities,
            Step::CipherSuites { .. } | Step::OpenSession(_) | Step::Pause => Stage::OpenSession,
            Step::Rakp2(_) => Stage::Rakp2,
            Step::Rakp4(_) => Stage::Rakp4,
        }
    }

    /// What the next login is to know of how this one ended.
    pub fn refused_by_level(&self, failure: Failure) -> Option<bool> {
        let refused = matches!(failure.cause, Cause::Password | Cause::KG);
        let unknown = self.learned.open_session_by_level.is_none();
        (refused && failure.status.is_none() && unknown).then_some(self.by_level)
    }

    /// Takes a datagram of the IPMI class.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &[u8],
        generator: &mut Generator,
        out: &mut Outbox,
    ) -> Result<Progress, DropReason> {
        if !rmcpplus::is_rmcpplus(datagram) {
            let block = datagram.get(rmcpplus::FORMAT_OFFSET..).unwrap_or_default();
            let (header, message) = ipmi15::decode(block).map_err(|_| DropReason::Malformed)?;
            if header.session_id != SessionId(0) {
                return Err(DropReason::ForeignSession);
            }
            return self.on_message(now, message, generator, out);
        }
        let framed = rmcpplus::decode(datagram).map_err(|_| DropReason::Malformed)?;
        let payload = datagram.get(framed.payload.clone()).unwrap_or_default();
        let header = framed.header;
        if header.encrypted || header.authenticated {
            return Err(DropReason::Unexpected);
        }
        match header.payload_type {
            PayloadType::Ipmi if header.session_id == SessionId(0) => {
                self.on_message(now, payload, generator, out)
            }
            PayloadType::OpenSessionResponse => self.on_open_session(now, payload, generator, out),
            PayloadType::Rakp2 => self.on_rakp2(now, payload, generator, out),
            PayloadType::Rakp4 => self.on_rakp4(now, payload, generator, out),
            _ => Err(DropReason::Unexpected),
        }
    }

    /// The wait is over: again, another way, or give up.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        generator: &mut Generator,
        out: &mut Outbox,
    ) -> Progress {
        if self.abandoned {
            return self.fail(Cause::Closed);
        }
        match &self.step {
            Step::Pause => {
                self.open_session(now, generator, out);
                return Progress::Waiting;
            }
            &Step::Capabilities { tries, .. } if tries >= self.config.timing.login_attempts => {
                return self.fail(Cause::TimedOut);
            }
            &Step::Capabilities { form, tries, .. } => {
                self.grow_wait();
                self.ask_capabilities(now, form, tries + 1, generator, out);
                return Progress::Waiting;
            }
            &Step::CipherSuites { tries, .. } if tries >= CIPHER_SUITES_TRIES => {
                return self.skip_silent_suite(now, generator, out);
            }
            &Step::CipherSuites { index, tries, .. } => {
                self.ask_cipher_suites(now, index, tries + 1, generator, out);
                return Progress::Waiting;
            }
            Step::OpenSession(_) => self.silent += 1,
            Step::Rakp2(_) | Step::Rakp4(_) => {}
        }
        self.lossy = true;
        if let Some(failure) = self.remembered.take() {
            return self.on_failure(now, failure, generator, out);
        }
        self.grow_wait();
        self.restart(now, generator, out)
    }

    fn grow_wait(&mut self) {
        self.pace.grow();
    }

    fn fail(&self, cause: Cause) -> Progress {
        let verdict = self.verdict.filter(|_| cause == Cause::TimedOut);
        Progress::Failed(verdict.unwrap_or(Failure::new(cause, self.stage())))
    }

    // Open Session

    /// Starts again from Open Session, after a pause when many attempts were made.
    fn restart(&mut self, now: Instant, generator: &mut Generator, out: &mut Outbox) -> Progress {
        self.close_unheard(generator, out);
        let exhausted = self.attempts >= self.config.timing.login_attempts;
        let only_silence = self.silent > 0 && self.silent == self.attempts;
        if self.untried > 0 && only_silence && self.silent >= SILENT_SUITE_TRIES {
            if !self.asked_for_suites {
                self.asked_for_suites = true;
                self.ask_cipher_suites(now, 0, 1, generator, out);
                return Progress::Waiting;
            }
            // A suite the BMC says it has is more likely to have been lost on the way.
            if exhausted || !self.is_listed() {
                return self.skip_silent_suite(now, generator, out);
            }
        }
        if exhausted {
            return self.fail(Cause::TimedOut);
        }
        // A half-open session is left behind by every attempt that got past Open Session.
        let half_open = matches!(self.step, Step::Rakp2(_) | Step::Rakp4(_));
        if half_open && self.attempts >= 2 {
            self.step = Step::Pause;
            self.deadline = now + self.pace.spread(self.config.timing.attempt_pause);
        } else {
            self.open_session(now, generator, out);
        }
        Progress::Waiting
    }

    fn open_session(&mut self, now: Instant, generator: &mut Generator, out: &mut Outbox) {
        self.attempts += 1;
        self.remembered = None;
        let request = OpenSessionRequest {
            message_tag: self.next_tag(),
            requested_maximum_privilege_level: if self.by_level {
                self.privilege_level as u8
            } else {
                0
            },
            remote_console_session_id: SessionId(generator.nonzero()),
            algorithms: self.algorithms().into(),
        };
        let payload = &mut Vec::with_capacity(32);
        request.encode(payload);
        rmcpplus::encode_sessionless(PayloadType::OpenSessionRequest, payload, out.push());
        self.step = Step::OpenSession(AwaitOpenSession {
            message_tag: request.message_tag,
            remote_console_session_id: request.remote_console_session_id,
        });
        self.deadline = self.pace.ask(now);
    }

    fn next_tag(&mut self) -> u8 {
        self.message_tag = self.message_tag.wrapping_add(1).max(1);
        self.message_tag
    }

    fn cipher_suite(&self) -> CipherSuiteId {
        // Checked by SessionConfig::check: there is at least one.
        self.suites.first().copied().unwrap_or(CipherSuiteId::SUITE_17)
    }

    fn algorithms(&self) -> Algorithms {
        // Checked by SessionConfig::check: every suite is one that we implement.
        self.cipher_suite().algorithms().unwrap_or(Algorithms {
            authentication: Authentication::HmacSha256,
            integrity: crate::wire::cipher_suite::Integrity::HmacSha256_128,
            confidentiality: crate::wire::cipher_suite::Confidentiality::AesCbc128,
        })
    }

    fn on_open_session(
        &mut self,
        now: Instant,
        payload: &[u8],
        generator: &mut Generator,
        out: &mut Outbox,
    ) -> Result<Progress, DropReason> {
        let Step::OpenSession(wait) = &self.step else { return Err(DropReason::Unexpected) };
        let ids = (wait.message_tag, wait.remote_console_session_id);
        let response = OpenSessionResponse::decode(payload).map_err(|_| DropReason::Malformed)?;
        let response = match self.check_refusal(response, ids)? {
            Ok(response) => response,
            Err(_) if self.abandoned => return Ok(self.fail(Cause::Closed)),
            Err(failure) => return Ok(self.on_failure(now, failure, generator, out)),
        };
        if (response.message_tag, response.remote_console_session_id) != ids
            || response.managed_system_session_id == SessionId(0)
        {
            return Err(DropReason::Unexpected);
        }
        if self.abandoned {
            self.give_back(response.managed_system_session_id, out);
            return Ok(self.fail(Cause::Closed));
        }
        if response.algorithms != self.algorithms().into() {
            let failure = Failure::new(Cause::Downgrade, Stage::OpenSession);
            return Ok(self.next_suite(now, failure, generator, out));
        }
        // 0 means "unknown": several BMCs just repeat what was asked.
        let granted = PrivilegeLevel::from_number(response.maximum_privilege_level);
        if granted.is_some_and(|granted| granted < self.privilege_level) {
            let failure = Failure::new(Cause::Privilege, Stage::OpenSession);
            return Ok(self.on_failure(now, failure, generator, out));
        }
        self.pace.answered(now);
        self.silent = 0;
        let session_id = response.managed_system_session_id;
        self.send_rakp1(now, ids.1, session_id, generator, out);
        Ok(Progress::Waiting)
    }

    /// Sorts a refusal: an answer to us, somebody else's, or one to keep until the timer.
    fn check_refusal<T>(
        &mut self,
        reply: SetupReply<T>,
        (message_tag, session_id): (u8, SessionId),
    ) -> Result<Result<T, Failure>, DropReason> {
        let refusal = match reply {
            Ok(success) => return Ok(Ok(success)),
            Err(refusal) => refusal,
        };
        let Refusal { status, .. } = refusal;
        let failure = failure_of_status(self.stage(), status);
        let unnamed = refusal.remote_console_session_id == SessionId(0);
        if refusal.message_tag == message_tag
            && (unnamed || refusal.remote_console_session_id == session_id)
        {
            return Ok(Err(failure));
        }
        // One BMC stack leaves tag and session ID 0. So would a forger: wait for something
        // better until the timer.
        if refusal.message_tag == 0 && unnamed {
            self.remembered = Some(failure);
        }
        Err(DropReason::Unexpected)
    }

    // What a failure leads to

    fn on_failure(
        &mut self,
        now: Instant,
        failure: Failure,
        generator: &mut Generator,
        out: &mut Outbox,
    ) -> Progress {
        let suites_left = self.suites.len() > 1;
        match (failure.cause, failure.status) {
            // The BMC gave our attempt up. Where packets get lost, that is what became of them.
            (_, Some(StatusCode::INVALID_SESSION_ID | StatusCode::INACTIVE_SESSION_ID)) => {
                if self.attempts >= self.config.timing.login_attempts {
                    let cause = if self.lossy { Cause::TimedOut } else { failure.cause };
                    return Progress::Failed(Failure { cause, ..failure });
                }
                self.restart(now, generator, out)
            }
            // RAKP 2 proved that both ends have the same password: the BMC took a repeated
            // RAKP 1 for a new one and so expects another RAKP 3.
            (Cause::Password | Cause::UserName, Some(_))
                if failure.stage == Stage::Rakp4 && self.rekeyed < REKEYED_MAX =>
            {
                self.rekeyed += 1;
                self.restart(now, generator, out)
            }
            (Cause::CipherSuite, _) => self.next_suite(now, failure, generator, out),
            // Some BMCs say so of a disabled suite.
            (Cause::NoFreeSession | Cause::Privilege | Cause::Refused, Some(status))
                if failure.stage == Stage::OpenSession && suites_left && may_mean_suite(status) =>
            {
                self.next_suite(now, failure, generator, out)
            }
            (Cause::Privilege, _) => self.lower_privilege(now, failure, generator, out),
            (Cause::NoFreeSession, Some(StatusCode::INSUFFICIENT_RESOURCES_AT_ROLE)) => {
                self.lower_privilege(now, failure, generator, out)
            }
            (Cause::UserName, _) if self.config.quirks.has(Quirk::PrivFallback) => {
                self.lower_privilege(now, failure, generator, out)
            }
            // Some BMCs get the hashes wrong unless Open Session asked for the wanted level. A
            // BMC that was logged in to without is not one of them.
            (Cause::Password | Cause::KG, None)
                if !self.by_level
                    && self.learned.open_session_by_level.is_none()
                    && self.learned.refused_by_level.is_none() =>
            {
                self.by_level = true;
                self.verdict = Some(failure);
                self.open_session(now, generator, out);
                Progress::Waiting
            }
            _ => Progress::Failed(failure),
        }
    }

    fn next_suite(
        &mut self,
        now: Instant,
        failure: Failure,
        generator: &mut Generator,
        out: &mut Outbox,
    ) -> Progress {
        self.suites.remove(0);
        self.untried = self.untried.saturating_sub(1);
        let first = *self.suite_failure.get_or_insert(failure);
        if self.suites.is_empty() {
            return Progress::Failed(first);
        }
        self.attempts = 0;
        self.silent = 0;
        self.pace.start_over();
        self.open_session(now, generator, out);
        Progress::Waiting
    }

    fn lower_privilege(
        &mut self,
        now: Instant,
        failure: Failure,
        generator: &mut Generator,
        out: &mut Outbox,
    ) -> Progress {
        let Some(lower) = self.config.lower_privilege(self.privilege_level) else {
            return Progress::Failed(failure);
        };
        self.privilege_level = lower;
        self.attempts = 0;
        self.open_session(now, generator, out);
        Progress::Waiting
    }
}

fn may_mean_suite(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::INSUFFICIENT_RESOURCES
            | StatusCode::UNAUTHORIZED_ROLE
            | StatusCode::ILLEGAL_PARAMETER
    )
}

fn failure_of_status(stage: Stage, status: StatusCode) -> Failure {
    let cause = match status {
        StatusCode::INVALID_AUTHENTICATION_ALGORITHM
        | StatusCode::INVALID_INTEGRITY_ALGORITHM
        | StatusCode::NO_MATCHING_AUTHENTICATION
        | StatusCode::NO_MATCHING_INTEGRITY
        | StatusCode::INVALID_CONFIDENTIALITY_ALGORITHM
        | StatusCode::NO_CIPHER_SUITE_MATCH => Cause::CipherSuite,
        StatusCode::INSUFFICIENT_RESOURCES | StatusCode::INSUFFICIENT_RESOURCES_AT_ROLE => {
            Cause::NoFreeSession
        }
        StatusCode::INVALID_ROLE | StatusCode::UNAUTHORIZED_ROLE => Cause::Privilege,
        StatusCode::UNAUTHORIZED_NAME => Cause::UserName,
        StatusCode::INVALID_INTEGRITY_CHECK_VALUE => Cause::Password,
        _ => Cause::Refused,
    };
    Failure::by_status(cause, stage, status)
}

/// Sends a command outside any session, in the v1.5 wrapper that every BMC understands.
pub(super) fn send_sessionless(rq_seq: RqSeq, command: u8, data: &[u8], out: &mut Outbox) {
    let message = &mut Vec::with_capacity(32);
    Message::request(net_fn::APP, 0, rq_seq, command, data).encode(message);
    ipmi15::encode(&ipmi15::Header::SESSIONLESS, message, out.push());
}

fn send_rakp3(
    message_tag: u8,
    status: StatusCode,
    managed_system_session_id: SessionId,
    key_exchange_auth_code: &[u8],
    out: &mut Outbox,
) {
    let payload = &mut Vec::with_capacity(40);
    Rakp3 { message_tag, status, managed_system_session_id, key_exchange_auth_code }
        .encode(payload);
    rmcpplus::encode_sessionless(PayloadType::Rakp3, payload, out.push());
}
