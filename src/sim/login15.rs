//! IPMI v1.5 sessions (§6.12, §22.16, §22.17).

use std::net::SocketAddr;

use super::bmc::{ManagedSystem, Wrapper};
use super::command::{Answer, Refusal, exactly};
use super::profile::{InboundWindow, Profile};
use super::session::{Session, State, V15, Window};
use crate::crypto::auth15::{auth_code, oem_auth_code};
use crate::crypto::constant_time_eq;
use crate::crypto::keys::PASSWORD_LEN_V15;
use crate::wire::ipmi15::{self, AuthType, Header};
use crate::wire::message::{BMC_ADDRESS, CompletionCode, Message, net_fn};
use crate::wire::session_command::cmd;
use crate::wire::{PrivilegeLevel, SessionId, SessionSequence};

/// How many numbers ahead or behind the window reaches.
const WINDOW: u32 = 8;
/// Get Session Challenge.
const UNKNOWN_USER: Refusal = Refusal::Code(0x81);
const NULL_USER_DISABLED: Refusal = Refusal::Code(0x82);
/// Activate Session.
const NO_SLOT: u8 = 0x81;
const SEQUENCE_OUT_OF_RANGE: u8 = 0x84;
const INVALID_SESSION_ID: u8 = 0x85;
const EXCEEDS_LIMIT: u8 = 0x86;

impl ManagedSystem {
    /// Takes what follows the RMCP header of a v1.5 packet.
    pub(super) fn on_v15(&mut self, block: &[u8]) -> Option<()> {
        let (header, message) = ipmi15::decode(block).ok()?;
        if header.session_id != SessionId(0) {
            return self.on_v15_session_packet(&header, message);
        }
        if header.auth_type != AuthType::None {
            return None;
        }
        self.on_message(Wrapper::V15, message, true)
    }

    /// Get Session Challenge (§22.16).
    pub(super) fn session_challenge(&mut self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        self.counters.session_challenge += 1;
        let [auth_type, name @ ..] = exactly::<17>(data)?;
        let auth_type = AuthType::from_number(auth_type & 0x0f)
            .filter(|auth_type| (*auth_type == AuthType::Oem) == self.options.quirks.oem_auth)
            .ok_or(CompletionCode::INVALID_DATA_FIELD)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let user = self.options.users.iter().position(|user| user.name == name);
        let user = user.filter(|index| {
            let user = self.options.users.get(*index);
            user.is_some_and(|u| u.enabled && u.password.len() <= PASSWORD_LEN_V15)
                && self.user_limit(*index) > 0
        });
        let user = match user {
            Some(user) => user,
            None if name.is_empty() => return Err(NULL_USER_DISABLED),
            None => return Err(UNKNOWN_USER),
        };
        let challenge = self.generator.array();
        let state = State::Challenged(V15 { auth_type, challenge });
        let index = self.open_session(0, state).ok_or(CompletionCode::NODE_BUSY)?;
        let session = self.sessions.get_mut(index).ok_or(CompletionCode::NODE_BUSY)?;
        session.user = user;
        out.extend_from_slice(&session.id.to_le_bytes());
        out.extend_from_slice(&challenge);
        Ok(())
    }

    /// 1. find the session, 2. AuthCode, 3. window, 4. activate or execute.
    fn on_v15_session_packet(&mut self, header: &Header, message: &[u8]) -> Option<()> {
        let Some(index) = self.session_index(header.session_id.0) else {
            self.counters.unknown_session += 1;
            return None;
        };
        let session = self.sessions.get(index)?;
        let active = session.is_active();
        if !self.v15_auth_code_ok(session, header, message) {
            self.counters.bad_auth_code += 1;
            return None;
        }
        if !active {
            return self.on_activate_session(index, message);
        }
        let session = self.sessions.get_mut(index)?;
        let rule = InboundWindow::Once;
        if !session.window.accept(header.session_sequence_number, rule, WINDOW) {
            self.counters.out_of_window += 1;
            return None;
        }
        session.peer = self.peer;
        self.touch(index);
        self.on_message(Wrapper::Session(header.session_id.0), message, true)
    }

    fn v15_auth_code_ok(&self, session: &Session, header: &Header, message: &[u8]) -> bool {
        let (State::Challenged(v15) | State::ActiveV15(v15)) = &session.state else {
            return false;
        };
        if header.auth_type == AuthType::None && session.is_active() {
            let allowed = self.per_message_auth_off() && !self.options.quirks.forcepermsg;
            return allowed || v15.auth_type == AuthType::None;
        }
        if header.auth_type != v15.auth_type {
            return false;
        }
        match (self.v15_auth_code(session.user, v15, header, message), header.auth_code) {
            (Some(expected), Some(code)) => constant_time_eq(&expected, &code),
            (None, None) => true,
            _ => false,
        }
    }

    fn v15_auth_code(
        &self,
        user: usize,
        v15: &V15,
        header: &Header,
        message: &[u8],
    ) -> Option<[u8; 16]> {
        let key = self.user_key(user);
        match v15.auth_type {
            AuthType::Oem => Some(oem_auth_code(&key, &v15.challenge)),
            auth_type => {
                let number = header.session_sequence_number;
                auth_code(auth_type, &key, header.session_id, number, message)
            }
        }
    }

    /// The only packet a challenged session takes: Activate Session (§22.17).
    fn on_activate_session(&mut self, index: usize, message: &[u8]) -> Option<()> {
        let request = Message::decode(message).ok()?;
        if (request.net_fn, request.cmd) != (net_fn::APP, cmd::ACTIVATE_SESSION) {
            return None;
        }
        self.counters.commands += 1;
        let answer = self.activate_session(index, request.data);
        let mut data = vec![0];
        match &answer {
            Ok(activated) => data.extend_from_slice(activated),
            Err(code) => data = vec![*code],
        }
        let response = Message {
            to_address: request.from_address,
            net_fn: request.net_fn | 1,
            to_lun: request.from_lun,
            from_address: BMC_ADDRESS,
            rq_seq: request.rq_seq,
            from_lun: request.to_lun,
            cmd: request.cmd,
            data: &data,
        };
        let mut message = Vec::with_capacity(24);
        response.encode(&mut message);
        self.send_v15(index, self.peer, &message);
        if answer.is_ok() {
            self.counters.sessions_opened += 1;
            self.touch(index);
        } else {
            self.end_session(index);
        }
        Some(())
    }

    fn activate_session(&mut self, index: usize, data: &[u8]) -> Result<[u8; 10], u8> {
        let &[auth_type, level, ref rest @ ..] = data else {
            return Err(CompletionCode::DATA_LENGTH_INVALID.0);
        };
        let Some((challenge, outbound)) = rest.split_at_checked(16) else {
            return Err(CompletionCode::DATA_LENGTH_INVALID.0);
        };
        let outbound = <[u8; 4]>::try_from(outbound);
        let outbound = outbound.map_err(|_| CompletionCode::DATA_LENGTH_INVALID.0)?;
        let outbound = u32::from_le_bytes(outbound);
        if self.table_full {
            return Err(NO_SLOT);
        }
        let inbound = self.generator.nonzero();
        let limit = self.sessions.get(index).map_or(0, |session| self.user_limit(session.user));
        let session = self.sessions.get_mut(index).ok_or(INVALID_SESSION_ID)?;
        let State::Challenged(v15) = session.state else { return Err(INVALID_SESSION_ID) };
        let oem = v15.auth_type == AuthType::Oem;
        let expected = if oem { [0; 16] } else { v15.challenge };
        if challenge != expected || auth_type & 0x0f != v15.auth_type as u8 {
            return Err(CompletionCode::INVALID_DATA_FIELD.0);
        }
        if outbound == 0 {
            return Err(match self.options.profile {
                Profile::IpmiSim => INVALID_SESSION_ID,
                _ => SEQUENCE_OUT_OF_RANGE,
            });
        }
        let level = level & 0x0f;
        if !(1..=limit).contains(&level) {
            return Err(EXCEEDS_LIMIT);
        }
        session.state = State::ActiveV15(v15);
        session.privilege = level.min(PrivilegeLevel::User as u8);
        session.maximum_privilege = level;
        session.outbound = SessionSequence(outbound.wrapping_sub(1));
        session.window = Window::expecting(inbound);
        let [i0, i1, i2, i3] = session.id.to_le_bytes();
        let [n0, n1, n2, n3] = inbound.to_le_bytes();
        let auth_type = match self.per_message_auth_off() {
            true => AuthType::None as u8,
            false => v15.auth_type as u8,
        };
        Ok([auth_type, i0, i1, i2, i3, n0, n1, n2, n3, level])
    }

    /// Sends a LAN message in a v1.5 session.
    pub(super) fn send_v15(&mut self, index: usize, to: SocketAddr, message: &[u8]) {
        let quirks = self.options.quirks;
        let twice = self.options.profile == Profile::IpmiSim;
        let Some(session) = self.sessions.get_mut(index) else { return };
        let (State::Challenged(v15) | State::ActiveV15(v15)) = session.state else { return };
        let first = session.first_reply;
        if session.is_active() {
            // `ipmi_sim` uses its first number twice.
            if first != Some(true) || !twice {
                session.outbound = session.outbound.next();
            }
            session.first_reply = Some(first.is_none());
        }
        let mut number = session.outbound;
        if quirks.endianseq {
            number = SessionSequence(number.0.swap_bytes());
        }
        let authenticated =
            first.is_none() || !self.per_message_auth_off() || quirks.unexpectedauth;
        let session = &self.sessions[index];
        let mut header = Header {
            auth_type: if authenticated { v15.auth_type } else { AuthType::None },
            session_sequence_number: number,
            session_id: SessionId(if quirks.idzero { 0 } else { session.id }),
            auth_code: None,
        };
        if authenticated {
            header.auth_code = self.v15_auth_code(session.user, &v15, &header, message);
        }
        if quirks.noauthcodecheck {
            header.auth_code = header.auth_code.map(|_| [0; 16]);
        }
        let mut out = Vec::with_capacity(32 + message.len());
        ipmi15::encode(&header, message, &mut out);
        self.transmit(to, out);
    }
}
