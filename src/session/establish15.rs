//! The IPMI v1.5 login: Get Session Challenge, Activate Session (§22.16, §22.17).

use std::sync::Arc;
use std::time::Instant;

use super::channel::ChannelV15;
use super::config::SessionConfig;

use super::establish::send_sessionless;
use super::failure::{Cause, Failure, Stage};
use super::pace::Pace;
use super::quirk::Quirk;
use super::window::{Rule, Window};
use super::{DropReason, Outbox};
use crate::crypto::keys::{PASSWORD_LEN_V15, UserKey};
use crate::crypto::{Generator, auth15, constant_time_eq};
use crate::wire::ipmi15::{self, AuthType};
use crate::wire::message::{CompletionCode, Message, RqSeq, net_fn};
use crate::wire::session_command::{
    ActivatedSession, ChannelAuthenticationCapabilities, activate_session_request, cmd,
    session_challenge_request, session_challenge_response,
};
use crate::wire::{PrivilegeLevel, SessionId, SessionSequence};

/// How a v1.5 login stands.
#[derive(Debug)]
pub(super) enum Progress15 {
    Waiting,
    Established(Box<ChannelV15>, PrivilegeLevel),
    Failed(Failure),
}

#[derive(Debug)]
pub(super) struct Establish15 {
    config: Arc<SessionConfig>,
    capabilities: ChannelAuthenticationCapabilities,
    auth_type: AuthType,
    password: UserKey,
    privilege_level: PrivilegeLevel,
    step: Step,
    rq_seq: RqSeq,
    /// Messages that were not answered since the last one that was.
    tries: u32,
    /// Challenges that were taken up and led nowhere.
    attempts: u32,
    pace: Pace,
    deadline: Instant,
}

#[derive(Debug)]
enum Step {
    Challenge,
    Activate { session_id: SessionId, challenge: [u8; 16], initial_outbound: u32 },
}

impl Establish15 {
    /// Starts, or says why it cannot.
    pub fn start(
        config: Arc<SessionConfig>,
        capabilities: ChannelAuthenticationCapabilities,
        now: Instant,
        generator: &mut Generator,
        out: &mut Outbox,
    ) -> Result<Self, Failure> {
        let fail = |what| Failure::new(Cause::Incompatible(what), Stage::Capabilities);
        let oem = config.quirks.has(Quirk::OemAuth).then_some(AuthType::Oem);
        let offered = |auth_type: &AuthType| capabilities.supports_auth_type(*auth_type);
        let auth_type = oem
            .or_else(|| config.auth_types.iter().copied().find(offered))
            .ok_or(fail("the BMC offers none of the accepted v1.5 authentication types"))?;
        if config.password.expose().len() > PASSWORD_LEN_V15 {
            return Err(fail("the password is longer than 16 bytes, and the BMC has no v2.0"));
        }
        let password = UserKey::new(config.password.expose())
            .ok_or(fail("the password is longer than 16 bytes, and the BMC has no v2.0"))?;
        let mut login = Establish15 {
            pace: Pace::new(&config.timing, generator, now),
            privilege_level: config.wanted_privilege(),
            config,
            capabilities,
            auth_type,
            password,
            step: Step::Challenge,
            rq_seq: RqSeq::new(generator.number() as u8),
            tries: 0,
            attempts: 0,
            deadline: now,
        };
        login.send(now, out);
        Ok(login)
    }

    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    pub fn stage(&self) -> Stage {
        match self.step {
            Step::Challenge => Stage::Challenge,
            Step::Activate { .. } => Stage::ActivateSession,
        }
    }

    fn send(&mut self, now: Instant, out: &mut Outbox) {
        self.tries += 1;
        self.deadline = if self.tries == 1 { self.pace.ask(now) } else { self.pace.ask_again(now) };
        match &self.step {
            Step::Challenge => {
                let mut user_name = [0; 16];
                for (to, from) in user_name.iter_mut().zip(&self.config.user_name) {
                    *to = *from;
                }
                let data = session_challenge_request(self.auth_type, &user_name);
                send_sessionless(self.rq_seq, cmd::GET_SESSION_CHALLENGE, &data, out);
            }
            Step::Activate { session_id, challenge, initial_outbound } => {
                // Boards with the OEM type want the field empty; the code holds the challenge.
                let field = if self.auth_type == AuthType::Oem { [0; 16] } else { *challenge };
                let level = self.privilege_level as u8;
                let data =
                    activate_session_request(self.auth_type, level, &field, *initial_outbound);
                let message = &mut Vec::with_capacity(40);
                Message::request(net_fn::APP, 0, self.rq_seq, cmd::ACTIVATE_SESSION, &data)
                    .encode(message);
                let header = ipmi15::Header {
                    auth_type: self.auth_type,
                    session_sequence_number: SessionSequence(0),
                    session_id: *session_id,
                    auth_code: self.auth_code(*session_id, SessionSequence(0), message, challenge),
                };
                ipmi15::encode(&header, message, out.push());
            }
        }
    }

    fn auth_code(
        &self,
        session_id: SessionId,
        sequence: SessionSequence,
        message: &[u8],
        challenge: &[u8; 16],
    ) -> Option<[u8; 16]> {
        match self.auth_type {
            AuthType::Oem => Some(auth15::oem_auth_code(&self.password, challenge)),
            other => auth15::auth_code(other, &self.password, session_id, sequence, message),
        }
    }

    /// The wait is over: again, or give up. An Activate Session that is repeated is not answered
    /// when the first one was taken, so that it needs another challenge.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) -> Progress15 {
        self.pace.grow();
        let is_challenge = matches!(self.step, Step::Challenge);
        let made = if is_challenge { self.tries } else { self.attempts };
        if made >= self.config.timing.login_attempts {
            return Progress15::Failed(Failure::new(Cause::TimedOut, self.stage()));
        }
        if is_challenge {
            self.send(now, out);
        } else {
            self.ask_again(now, out);
        }
        Progress15::Waiting
    }

    /// Starts again with another challenge.
    fn ask_again(&mut self, now: Instant, out: &mut Outbox) {
        self.step = Step::Challenge;
        self.rq_seq = self.rq_seq.next();
        self.tries = 0;
        self.send(now, out);
    }

    /// Takes a datagram of the IPMI class.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &[u8],
        generator: &mut Generator,
        out: &mut Outbox,
    ) -> Result<Progress15, DropReason> {
        let block = datagram.get(crate::wire::rmcp::HEADER_LEN..).unwrap_or_default();
        let (header, bytes) = ipmi15::decode(block).map_err(|_| DropReason::Malformed)?;
        let (message, valid) =
            Message::decode_unchecked(bytes).map_err(|_| DropReason::Malformed)?;
        if !valid && !self.config.quirks.has(Quirk::NoChecksumCheck) {
            return Err(DropReason::Malformed);
        }
        let Some((code, data)) = message.completion() else { return Err(DropReason::Malformed) };
        let command = match self.step {
            Step::Challenge => cmd::GET_SESSION_CHALLENGE,
            Step::Activate { .. } => cmd::ACTIVATE_SESSION,
        };
        let ours = message.net_fn == net_fn::APP | 1
            && message.cmd == command
            && message.rq_seq == self.rq_seq;
        if !ours {
            return Err(DropReason::Unexpected);
        }
        self.check_auth_code(&header, bytes, code)?;
        if code != CompletionCode::SUCCESS {
            return Ok(self.on_refusal(now, code, out));
        }
        match self.step {
            Step::Challenge => {
                let (session_id, challenge) =
                    session_challenge_response(data).map_err(|_| DropReason::Malformed)?;
                let initial_outbound = generator.nonzero();
                self.step = Step::Activate { session_id, challenge, initial_outbound };
                self.rq_seq = self.rq_seq.next();
                self.tries = 0;
                self.attempts += 1;
                self.pace.answered(now);
                self.send(now, out);
                Ok(Progress15::Waiting)
            }
            Step::Activate { challenge, initial_outbound, .. } => {
                let activated =
                    ActivatedSession::decode(data).map_err(|_| DropReason::Malformed)?;
                Ok(self.established(&activated, &challenge, initial_outbound))
            }
        }
    }

    /// Whoever activates the session has to know the password. A refusal may come without
    /// AuthCode, and so may everything where per-message authentication is off.
    fn check_auth_code(
        &self,
        header: &ipmi15::Header,
        message: &[u8],
        code: CompletionCode,
    ) -> Result<(), DropReason> {
        let Step::Activate { challenge, .. } = &self.step else { return Ok(()) };
        if self.config.quirks.has(Quirk::NoAuthCodeCheck) || self.auth_type == AuthType::None {
            return Ok(());
        }
        let Some(received) = header.auth_code.filter(|_| header.auth_type == self.auth_type) else {
            let optional = self.per_message_off() || code != CompletionCode::SUCCESS;
            return if optional { Ok(()) } else { Err(DropReason::NotAuthenticated) };
        };
        let sequence = header.session_sequence_number;
        match self.auth_code(header.session_id, sequence, message, challenge) {
            Some(expected) if !constant_time_eq(&expected, &received) => {
                Err(DropReason::WrongAuthCode)
            }
            _ => Ok(()),
        }
    }

    fn per_message_off(&self) -> bool {
        self.capabilities.authentication_status
            & ChannelAuthenticationCapabilities::STATUS_PER_MESSAGE_OFF
            != 0
    }

    fn on_refusal(&mut self, now: Instant, code: CompletionCode, out: &mut Outbox) -> Progress15 {
        let cause = match (&self.step, code.0) {
            (Step::Challenge, 0x81 | 0x82) => Cause::UserName,
            (Step::Challenge, 0xc0) => Cause::NoFreeSession,
            (Step::Activate { .. }, 0x81..=0x83) => Cause::NoFreeSession,
            (Step::Activate { .. }, 0x86) => Cause::Privilege,
            _ => Cause::Refused,
        };
        let failure = Failure::by_completion(cause, self.stage(), code);
        let lower = self.config.lower_privilege(self.privilege_level);
        let Some(lower) = lower.filter(|_| cause == Cause::Privilege) else {
            return Progress15::Failed(failure);
        };
        self.privilege_level = lower;
        // The BMC ended the session it refused.
        self.ask_again(now, out);
        Progress15::Waiting
    }

    fn established(
        &self,
        activated: &ActivatedSession,
        challenge: &[u8; 16],
        initial_outbound: u32,
    ) -> Progress15 {
        let oem = self.auth_type == AuthType::Oem;
        let channel = ChannelV15 {
            // Every packet is authenticated, also where the BMC does not ask for it: some
            // ignore packets that are not (quirk forcepermsg).
            auth_type: self.auth_type,
            password: self.password.clone(),
            oem_code: oem.then(|| auth15::oem_auth_code(&self.password, challenge)),
            session_id: activated.session_id,
            outbound: SessionSequence(activated.initial_inbound_sequence),
            window: Window::new(SessionSequence(initial_outbound), Rule::V15),
            per_message_off: self.per_message_off() || activated.auth_type == 0,
            quirks: self.config.quirks,
        };
        Progress15::Established(Box::new(channel), self.privilege_level)
    }
}
