//! Commands of the App network function: identity, login helpers, sessions.

use super::{Answer, Caller, Refusal, exactly};
use crate::sim::bmc::ManagedSystem;
use crate::sim::profile::Profile;
use crate::sim::session::State;
use crate::wire::PrivilegeLevel;
use crate::wire::cipher_suite::{self, CipherSuiteId};
use crate::wire::message::CompletionCode;
use crate::wire::session_command::{PRESENT_CHANNEL, cmd};

/// The LAN channel's number.
pub(in crate::sim) const LAN_CHANNEL: u8 = 1;
/// How long after the answer a Cold Reset takes effect.
const RESTART_DELAY: std::time::Duration = std::time::Duration::from_millis(1);
/// A record chunk of Get Channel Cipher Suites.
const CHUNK_LEN: usize = 16;
/// Close Session: invalid session ID in the request.
const INVALID_SESSION_ID: Refusal = Refusal::Code(0x87);
/// Close Session: invalid session handle in the request.
const INVALID_SESSION_HANDLE: Refusal = Refusal::Code(0x88);
/// Set Session Privilege Level: exceeds the user's or the channel's limit.
const EXCEEDS_LIMIT: Refusal = Refusal::Code(0x81);

impl ManagedSystem {
    pub(super) fn app_command(
        &mut self,
        caller: &Caller,
        command: u8,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Answer {
        match command {
            cmd::GET_DEVICE_ID => self.device_id(out),
            0x02 => self.cold_reset(),
            0x03 => self.devices.restart(),
            0x04 => out.extend_from_slice(&match self.options.quirks.self_test_failed {
                0 => [0x55, 0],
                wrong => [0x57, wrong],
            }),
            0x08 | cmd::GET_SYSTEM_GUID => out.extend_from_slice(&self.options.guid),
            cmd::GET_CHANNEL_AUTHENTICATION_CAPABILITIES => {
                return self.authentication_capabilities(data, out);
            }
            cmd::GET_SESSION_CHALLENGE => return self.session_challenge(data, out),
            cmd::ACTIVATE_SESSION => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
            cmd::SET_SESSION_PRIVILEGE_LEVEL => return self.set_privilege(caller, data, out),
            cmd::CLOSE_SESSION => return self.close_session(caller, data),
            0x3d => return self.session_info(caller, data, out),
            0x40..=0x47 => return self.channel_command(command, data, out),
            0x56 => return self.channel_keys(data, out),
            0x48..=0x4f | 0x53 | 0x55 => {
                return self.payload_command(caller, command, data, out);
            }
            cmd::GET_CHANNEL_CIPHER_SUITES => return self.list_cipher_suites(data, out),
            _ => return Err(CompletionCode::INVALID_COMMAND.into()),
        }
        Ok(())
    }

    /// Get Device ID (§20.1): device 20h revision 1, firmware 1.00, IPMI 2.0, with everything but
    /// bridging to other chassis; manufacturer and product mean nothing.
    fn device_id(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0x20, 0x01, 0x01, 0x00, 0x02, 0xbf]);
        out.extend_from_slice(&[0, 0, 0, self.options.profile as u8, 0]);
        // pyghmi has four bytes for the manufacturer and four for the product instead.
        let rest_len = if self.options.profile == Profile::Pyghmi { 3 } else { 4 };
        out.resize(out.len() + rest_len, 0);
    }

    /// The answer goes out, then the BMC restarts at its next chance.
    fn cold_reset(&mut self) {
        self.restart_due = Some(self.clock + RESTART_DELAY);
    }

    /// Get Channel Authentication Capabilities (§22.13).
    fn authentication_capabilities(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [channel, privilege] = exactly(data)?;
        let (v2_data, privilege) = (channel & 0x80 != 0, privilege & 0x0f);
        let present = channel & 0x0f == PRESENT_CHANNEL;
        let profile = self.options.profile;
        if profile == Profile::Pyghmi && !(present && v2_data) {
            return Err(Refusal::Silence);
        }
        let level_max = if profile == Profile::OpenBmc { 4 } else { 5 };
        if !(1..=level_max).contains(&privilege) || !(present || channel & 0x0f == LAN_CHANNEL) {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        let quirks = self.options.quirks;
        let mut auth_types = match () {
            () if quirks.oem_auth => 0x20,
            () if profile.speaks_v15() && !quirks.authcap => 0x17,
            () => 0,
        };
        let v15 = auth_types != 0;
        let mut status = 0x04;
        if self.options.k_g.iter().any(|byte| *byte != 0) && profile != Profile::OpenBmc {
            status |= 0x20;
        }
        let null = self.options.users.iter().filter(|user| user.name.is_empty() && user.enabled);
        for user in null {
            status |= if user.password.is_empty() { 0x01 } else { 0x02 };
        }
        if self.per_message_auth_off() {
            status |= 0x10;
        }
        if quirks.authcap {
            status = 0x21;
        }
        auth_types |= if v2_data { 0x80 } else { 0 };
        let extended = if v2_data { 0x02 | u8::from(v15) } else { 0 };
        out.extend_from_slice(&[LAN_CHANNEL, auth_types, status, extended]);
        if !quirks.short_replies {
            out.extend_from_slice(&[0; 4]);
        }
        Ok(())
    }

    /// Get Channel Cipher Suites (§22.15).
    fn list_cipher_suites(&mut self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [channel, payload_type, index] = exactly(data)?;
        if !matches!(channel & 0x0f, PRESENT_CHANNEL | LAN_CHANNEL) || payload_type & 0x3f > 1 {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        let mut records = Vec::with_capacity(5 * self.cipher_suites().len());
        for id in self.cipher_suites() {
            cipher_suite::encode_record(CipherSuiteId(*id), &mut records);
        }
        if index & 0x80 == 0 && self.options.profile != Profile::GoIpmi {
            records = algorithms_of(&records);
        } else if self.options.quirks.sun20 {
            // Record by record, all tags but the first gone.
            for record in records.chunks_mut(5) {
                record.iter_mut().skip(2).for_each(|byte| *byte &= 0x3f);
            }
        }
        out.push(LAN_CHANNEL);
        let from = CHUNK_LEN * usize::from(index & 0x3f);
        out.extend(records.iter().skip(from).take(CHUNK_LEN));
        Ok(())
    }

    /// Set Session Privilege Level (§22.18).
    fn set_privilege(&mut self, caller: &Caller, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [level] = exactly(data)?;
        let level = level & 0x0f;
        let index = caller.session.ok_or(CompletionCode::INSUFFICIENT_PRIVILEGE)?;
        let limit = self.sessions.get(index).map_or(0, |session| self.user_limit(session.user));
        let pyghmi = self.options.profile == Profile::Pyghmi;
        let session = self.sessions.get_mut(index).ok_or(CompletionCode::INSUFFICIENT_PRIVILEGE)?;
        if level == 1 || level > PrivilegeLevel::Oem as u8 {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        let limit = if pyghmi { level } else { limit };
        if level > limit.min(session.maximum_privilege) {
            return Err(EXCEEDS_LIMIT);
        }
        if level != 0 {
            session.privilege = level;
        }
        out.push(session.privilege);
        Ok(())
    }

    /// Close Session (§22.19).
    fn close_session(&mut self, caller: &Caller, data: &[u8]) -> Answer {
        let [a, b, c, d, handle @ ..] = data else {
            return Err(CompletionCode::DATA_LENGTH_INVALID.into());
        };
        let id = u32::from_le_bytes([*a, *b, *c, *d]);
        let found = match (id, handle) {
            (0, [handle]) => {
                let found = self.sessions.iter().find(|s| s.is_active() && s.handle == *handle);
                found.ok_or(INVALID_SESSION_HANDLE)?
            }
            (id, []) => {
                let found = self.sessions.iter().find(|s| s.is_active() && s.id == id);
                found.ok_or(INVALID_SESSION_ID)?
            }
            _ => return Err(CompletionCode::DATA_LENGTH_INVALID.into()),
        };
        let id = found.id;
        if id != caller.id {
            caller.require(PrivilegeLevel::Administrator)?;
        }
        self.counters.sessions_closed += 1;
        // pyghmi answers and goes on as before.
        if self.options.profile != Profile::Pyghmi {
            self.closing = Some(id);
        }
        if self.options.quirks.close_no_reply { Err(Refusal::Silence) } else { Ok(()) }
    }

    /// Get Session Info (§22.20).
    fn session_info(&self, caller: &Caller, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let mut active = self.sessions.iter().filter(|session| session.is_active());
        let found = match data {
            [0] => active.find(|session| session.id == caller.id),
            [0xfe, handle] => active.find(|session| session.handle == *handle),
            [0xff, a, b, c, d] => {
                let id = u32::from_le_bytes([*a, *b, *c, *d]);
                active.find(|session| session.id == id)
            }
            [n] => active.nth(usize::from(*n) - 1),
            _ => return Err(CompletionCode::DATA_LENGTH_INVALID.into()),
        };
        let slots = self.options.profile.session_slots().min(63) as u8;
        let count = self.sessions().min(63) as u8;
        out.extend_from_slice(&[found.map_or(0, |session| session.handle), slots, count]);
        let Some(session) = found else { return Ok(()) };
        let protocol = if matches!(session.state, State::Active(_)) { 0x10 } else { 0 };
        out.extend_from_slice(&[session.user as u8 + 1, session.privilege, protocol | LAN_CHANNEL]);
        match session.peer.ip() {
            std::net::IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            std::net::IpAddr::V6(_) => out.extend_from_slice(&[0; 4]),
        }
        out.extend_from_slice(&[0x02, 0, 0, 0, 0, 0x01]);
        out.extend_from_slice(&session.peer.port().to_le_bytes());
        Ok(())
    }

    /// Whether v1.5 packets may go without AuthCode.
    pub(in crate::sim) fn per_message_auth_off(&self) -> bool {
        let quirks = self.options.quirks;
        quirks.per_message_auth_off
            || quirks.unexpectedauth
            || quirks.forcepermsg
            || self.channel_per_message_auth_off()
    }
}

/// Each algorithm of a record list once, with its tag.
fn algorithms_of(records: &[u8]) -> Vec<u8> {
    let mut algorithms = Vec::new();
    for record in records.chunks(5) {
        for byte in record.iter().skip(2) {
            if !algorithms.contains(byte) {
                algorithms.push(*byte);
            }
        }
    }
    algorithms.sort_unstable();
    algorithms
}
