//! The managed system's half of the RMCP+ login: Open Session and RAKP 1 to 4.

use super::bmc::ManagedSystem;
use super::profile::{Profile, RefusalForm};
use super::session::{ActiveV2, Login, Opening, Session, State, Window};
use crate::crypto::keys::{Exchange, K1, K2, UserKey};
use crate::crypto::suite::SessionCipher;
use crate::crypto::{Digest, constant_time_eq, hmac};
use crate::wire::cipher_suite::{Algorithms, Authentication, CipherSuiteId, Integrity};
use crate::wire::open_session::{
    AlgorithmNumbers, OpenSessionRequest, OpenSessionResponse, Refusal, StatusCode,
};
use crate::wire::payload::PayloadType;
use crate::wire::rakp::{ROLE_NAME_ONLY, Rakp1, Rakp2, Rakp3, Rakp4, USER_NAME_MAX};
use crate::wire::rmcpplus::{self, Header, IntegrityPad};
use crate::wire::{PrivilegeLevel, SessionId};

const ADMINISTRATOR: u8 = PrivilegeLevel::Administrator as u8;
/// Length of a RAKP 1 whose name field is padded (quirk `i82571spt`).
const RAKP1_PADDED_LEN: usize = 44;
/// What OpenBMC sends alone as payload when a setup message has a wrong length.
const WRONG_LENGTH: u8 = 0xc7;
/// Lengths of OpenBMC's refusals.
const OPENBMC_OPEN_SESSION_LEN: usize = 36;
const OPENBMC_RAKP2_LEN: usize = 40;

impl ManagedSystem {
    /// The cipher suites that are enabled.
    pub(super) fn cipher_suites(&self) -> &[u8] {
        match &self.options.cipher_suites {
            Some(suites) => suites,
            None => self.options.profile.cipher_suites(),
        }
    }

    /// Takes an RMCP+ Open Session Request (§13.17).
    pub(super) fn on_open_session(&mut self, payload: &[u8]) -> Option<()> {
        self.counters.open_session += 1;
        let Ok(request) = OpenSessionRequest::decode(payload) else {
            return self.complain_of_length(PayloadType::OpenSessionResponse);
        };
        let (algorithms, privilege) = match self.judge_open_session(&request) {
            Ok(agreed) => agreed,
            Err(status) => return self.refuse_open_session(&request, status),
        };
        let opening = Opening {
            algorithms,
            requested_privilege: request.requested_maximum_privilege_level,
            last_tag: None,
            login: None,
        };
        let remote_id = request.remote_console_session_id;
        let state = State::Opening(Box::new(opening));
        let Some(index) = self.open_session(remote_id.0, state) else {
            return self.refuse_open_session(&request, StatusCode::INSUFFICIENT_RESOURCES);
        };
        let response = OpenSessionResponse {
            message_tag: request.message_tag,
            maximum_privilege_level: privilege,
            remote_console_session_id: remote_id,
            managed_system_session_id: SessionId(self.sessions.get(index)?.id),
            algorithms: algorithms.into(),
        };
        let mut out = Vec::with_capacity(36);
        response.encode(&mut out);
        self.send_setup(PayloadType::OpenSessionResponse, SessionId(0), &out)
    }

    /// Which algorithms, and which privilege level to report.
    fn judge_open_session(
        &self,
        request: &OpenSessionRequest,
    ) -> Result<(Algorithms, u8), StatusCode> {
        let asked = request.requested_maximum_privilege_level;
        if asked > PrivilegeLevel::Oem as u8 {
            return Err(StatusCode::INVALID_ROLE);
        }
        let profile = self.options.profile;
        let algorithms = self.choose_suite(request.algorithms)?;
        let privilege = match asked {
            _ if self.options.quirks.opensesspriv => 0,
            _ if profile == Profile::Pyghmi => ADMINISTRATOR,
            0 if profile != Profile::IpmiSim => ADMINISTRATOR,
            asked => asked,
        };
        Ok((algorithms, privilege))
    }

    /// The enabled suite of these algorithms, or the status that names the first that no
    /// enabled suite has.
    fn choose_suite(&self, asked: AlgorithmNumbers) -> Result<Algorithms, StatusCode> {
        if self.options.profile == Profile::Pyghmi {
            // That stack does not look at what was asked.
            return CipherSuiteId::SUITE_3.algorithms().ok_or(StatusCode::NO_CIPHER_SUITE_MATCH);
        }
        let enabled =
            || self.cipher_suites().iter().filter_map(|id| CipherSuiteId(*id).algorithms());
        if let Some(algorithms) = enabled().find(|a| AlgorithmNumbers::from(*a) == asked) {
            return Ok(algorithms);
        }
        let some = |matches: fn(&AlgorithmNumbers, &AlgorithmNumbers) -> bool| {
            enabled().any(|a| matches(&a.into(), &asked))
        };
        Err(if let Some(status) = self.options.quirks.first_suite_status {
            StatusCode(status)
        } else if !some(|a, b| a.authentication == b.authentication) {
            StatusCode::INVALID_AUTHENTICATION_ALGORITHM
        } else if !some(|a, b| a.integrity == b.integrity) {
            StatusCode::INVALID_INTEGRITY_ALGORITHM
        } else if !some(|a, b| a.confidentiality == b.confidentiality) {
            StatusCode::INVALID_CONFIDENTIALITY_ALGORITHM
        } else {
            StatusCode::NO_CIPHER_SUITE_MATCH
        })
    }

    fn refuse_open_session(
        &mut self,
        request: &OpenSessionRequest,
        status: StatusCode,
    ) -> Option<()> {
        let len = match self.options.profile.open_session_refusal() {
            RefusalForm::TwoBytes => 2,
            RefusalForm::EightBytes => 8,
            RefusalForm::FullLength => OPENBMC_OPEN_SESSION_LEN,
        };
        let refusal = Refusal {
            message_tag: request.message_tag,
            status,
            remote_console_session_id: request.remote_console_session_id,
        };
        self.refuse(PayloadType::OpenSessionResponse, refusal, SessionId(0), len)
    }

    /// Takes a RAKP Message 1 (§13.20).
    pub(super) fn on_rakp1(&mut self, payload: &[u8]) -> Option<()> {
        self.counters.rakp1 += 1;
        let quirks = self.options.quirks;
        if quirks.i82571spt && payload.len() != RAKP1_PADDED_LEN {
            return None;
        }
        let Ok(message) = Rakp1::decode(payload) else {
            return self.on_malformed_rakp1(payload);
        };
        if self.options.profile == Profile::OpenBmc && payload.len() != 28 + message.user_name.len()
        {
            return self.complain_of_length(PayloadType::Rakp2);
        }
        let id = message.managed_system_session_id.0;
        let Some(index) = self.session_index(id) else {
            return self.refuse_rakp2(&message, SessionId(0), StatusCode::INVALID_SESSION_ID);
        };
        let session = self.sessions.get_mut(index)?;
        let remote_id = SessionId(session.remote_id);
        let State::Opening(opening) = &mut session.state else {
            let status = match self.options.profile {
                Profile::GoIpmi => StatusCode::INACTIVE_SESSION_ID,
                _ => StatusCode::INVALID_SESSION_ID,
            };
            return self.refuse_rakp2(&message, remote_id, status);
        };
        let repeated = opening.last_tag.replace(message.message_tag) == Some(message.message_tag);
        if quirks.tag_strict && repeated
            || self.options.profile == Profile::IpmiSim && opening.login.is_some()
        {
            return None;
        }
        match self.judge_rakp1(index, &message) {
            Ok(user) => self.answer_rakp1(index, &message, user),
            Err(status) if self.options.profile == Profile::Pyghmi => {
                let _ = status;
                None
            }
            Err(status) => self.refuse_rakp2(&message, remote_id, status),
        }
    }

    fn on_malformed_rakp1(&mut self, payload: &[u8]) -> Option<()> {
        if self.options.profile == Profile::OpenBmc {
            return self.complain_of_length(PayloadType::Rakp2);
        }
        let (&message_tag, &name_len) = (payload.first()?, payload.get(27)?);
        if usize::from(name_len) <= USER_NAME_MAX {
            return None;
        }
        let id = payload.get(4..8).and_then(|id| <[u8; 4]>::try_from(id).ok())?;
        let index = self.session_index(u32::from_le_bytes(id))?;
        let refusal = Refusal {
            message_tag,
            status: StatusCode::INVALID_NAME_LENGTH,
            remote_console_session_id: SessionId(self.sessions.get(index)?.remote_id),
        };
        self.refuse(PayloadType::Rakp2, refusal, SessionId(0), 8)
    }

    /// Which user logs in; `None` for one who will find the code to be wrong.
    fn judge_rakp1(&self, index: usize, message: &Rakp1<'_>) -> Result<Option<usize>, StatusCode> {
        let quirks = self.options.quirks;
        let profile = self.options.profile;
        let level = message.role & 0x0f;
        if level == 0 {
            return Err(match profile {
                Profile::OpenBmc => StatusCode::UNAUTHORIZED_ROLE,
                _ => StatusCode::INVALID_ROLE,
            });
        }
        if level > ADMINISTRATOR {
            return Err(StatusCode::INVALID_ROLE);
        }
        if let Some(status) = quirks.privfallback.filter(|_| level == ADMINISTRATOR) {
            return Err(StatusCode(status));
        }
        let Some(State::Opening(opening)) = self.sessions.get(index).map(|s| &s.state) else {
            return Err(StatusCode::INVALID_SESSION_ID);
        };
        if quirks.intel20 && opening.requested_privilege != level {
            return Err(StatusCode::UNAUTHORIZED_ROLE);
        }
        let name_only = message.role & ROLE_NAME_ONLY != 0;
        let limit = (!name_only).then_some(level);
        let hides_users = profile == Profile::GoIpmi;
        match self.find_user(message.user_name, limit) {
            Ok(user) if self.user_limit(user) >= level => Ok(Some(user)),
            // The others find out at Set Session Privilege Level, or never.
            Ok(user) if profile != Profile::Spec && profile != Profile::GoIpmi => Ok(Some(user)),
            Ok(_) => Err(StatusCode::UNAUTHORIZED_ROLE),
            Err(_) if hides_users => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// The user of a name, and of a privilege limit when the role asks for both.
    fn find_user(&self, name: &[u8], limit: Option<u8>) -> Result<usize, StatusCode> {
        let name = match self.options.quirks.intel20 {
            true => name.split(|byte| *byte == 0).next().unwrap_or_default(),
            false => name,
        };
        let openbmc = self.options.profile == Profile::OpenBmc;
        let found = self.options.users.iter().position(|user| {
            user.name == name && limit.is_none_or(|limit| user.privilege == limit)
        });
        let index = found.ok_or(StatusCode::UNAUTHORIZED_NAME)?;
        match self.options.users.get(index) {
            Some(_) if openbmc && name.is_empty() => Err(StatusCode::UNAUTHORIZED_NAME),
            Some(user) if !user.enabled && openbmc => Err(StatusCode::INVALID_ROLE),
            Some(user) if !user.enabled => Err(StatusCode::UNAUTHORIZED_NAME),
            Some(_) if self.user_limit(index) == 0 => Err(StatusCode::INVALID_ROLE),
            _ => Ok(index),
        }
    }

    fn answer_rakp1(
        &mut self,
        index: usize,
        message: &Rakp1<'_>,
        user: Option<usize>,
    ) -> Option<()> {
        let quirks = self.options.quirks;
        let random = self.generator.array();
        let guid = self.options.guid;
        let key = match user {
            Some(user) => self.user_key(user),
            // Nobody has this one, so no code of the console can match.
            None => UserKey::new(&self.generator.array::<20>())?,
        };
        let session = self.sessions.get_mut(index)?;
        let remote_id = SessionId(session.remote_id);
        let State::Opening(opening) = &mut session.state else { return None };
        let authentication = opening.algorithms.authentication;
        let cut = (quirks.intel20 || self.options.profile == Profile::IpmiSim)
            && authentication == Authentication::HmacMd5;
        let key = if cut { key.cut_to_16() } else { key };
        let role = if quirks.i82571spt { message.role & 0x0f } else { message.role };
        let exchange = Exchange {
            authentication,
            remote_console_session_id: remote_id,
            managed_system_session_id: SessionId(session.id),
            remote_console_random_number: message.remote_console_random_number,
            managed_system_random_number: random,
            managed_system_guid: guid,
            role,
            user_name: message.user_name.to_vec(),
        };
        let mut code = exchange.rakp2_code(&key).as_bytes().to_vec();
        if quirks.opensesspriv && opening.requested_privilege != message.role & 0x0f {
            code.iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
        if quirks.supermicro20 || quirks.sun20 {
            code.push(0);
        }
        opening.login = Some(Login { exchange, user, key });
        session.expires = self.clock + self.options.profile.half_open_timeout();
        let reply = Rakp2 {
            message_tag: message.message_tag,
            remote_console_session_id: remote_id,
            managed_system_random_number: random,
            managed_system_guid: guid,
            key_exchange_auth_code: &code,
        };
        let mut out = Vec::with_capacity(72);
        reply.encode(&mut out);
        self.send_setup(PayloadType::Rakp2, remote_id, &out)
    }

    /// Takes a RAKP Message 3 (§13.22).
    pub(super) fn on_rakp3(&mut self, payload: &[u8]) -> Option<()> {
        self.counters.rakp3 += 1;
        let message = Rakp3::decode(payload).ok()?;
        let index = self.session_index(message.managed_system_session_id.0);
        let Some(index) = index.filter(|i| self.sessions.get(*i).is_some_and(Session::is_v2))
        else {
            return self.refuse_rakp4(&message, SessionId(0), StatusCode::INVALID_SESSION_ID);
        };
        let session = self.sessions.get_mut(index)?;
        let remote_id = SessionId(session.remote_id);
        if let State::Active(active) = &mut session.state {
            let repeated = active.last_tag.replace(message.message_tag);
            if self.options.quirks.tag_strict && repeated == Some(message.message_tag) {
                return None;
            }
            return self.on_repeated_rakp3(index, &message);
        }
        if message.status != StatusCode::NO_ERRORS {
            self.end_session(index);
            return Some(());
        }
        let State::Opening(opening) = &session.state else { return None };
        let Some(login) = &opening.login else {
            return self.refuse_rakp4(&message, remote_id, StatusCode::INVALID_SESSION_ID);
        };
        let role = match self.options.quirks.intel20 || self.options.quirks.i82571spt {
            true => login.exchange.role & 0x0f,
            false => login.exchange.role,
        };
        let expected = login.exchange.rakp3_code(&login.key, role);
        let matches = constant_time_eq(expected.as_bytes(), message.key_exchange_auth_code);
        match (matches, self.options.profile) {
            (true, _) => self.complete_login(index, &message),
            // Silence, and the session stays half-open.
            (false, Profile::Pyghmi) => None,
            (false, profile) => {
                self.end_session(index);
                let status = match profile {
                    Profile::GoIpmi => StatusCode::UNAUTHORIZED_NAME,
                    _ => StatusCode::INVALID_INTEGRITY_CHECK_VALUE,
                };
                self.refuse_rakp4(&message, remote_id, status)
            }
        }
    }

    fn complete_login(&mut self, index: usize, message: &Rakp3<'_>) -> Option<()> {
        let slot = self.sessions.get_mut(index)?;
        let placeholder = State::Challenged(super::session::V15 {
            auth_type: crate::wire::ipmi15::AuthType::None,
            challenge: [0; 16],
        });
        let State::Opening(opening) = std::mem::replace(&mut slot.state, placeholder) else {
            return None;
        };
        let Opening { algorithms, requested_privilege, login, .. } = *opening;
        let login = login?;
        let user = login.user?;
        let (cipher, mut icv) = self.make_keys(algorithms, &login, 1);
        if self.options.quirks.opensesspriv && requested_privilege != login.exchange.role & 0x0f {
            icv.iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
        let limit = self.user_limit(user);
        let asked = login.exchange.role & 0x0f;
        let session = self.sessions.get_mut(index)?;
        session.user = user;
        // pyghmi knows no limit but the one asked for.
        session.maximum_privilege = match self.options.profile {
            Profile::Pyghmi => asked,
            _ => limit.min(asked),
        };
        session.privilege = match self.options.profile {
            // It knows no Set Session Privilege Level.
            _ if self.options.quirks.i82571spt => session.maximum_privilege,
            Profile::GoIpmi => session.maximum_privilege,
            // With nothing to raise it by, the level is what was asked for.
            _ if self.options.quirks.i82571spt => session.maximum_privilege,
            _ => session.maximum_privilege.min(PrivilegeLevel::User as u8),
        };
        session.window = Window::expecting(1);
        session.peer = self.peer;
        let last_tag = Some(message.message_tag);
        let active = ActiveV2 { cipher, login, last_tag, sik_repeats: 1 };
        session.state = State::Active(Box::new(active));
        self.counters.sessions_opened += 1;
        self.touch(index);
        self.send_rakp4(index, message.message_tag, &icv)
    }

    /// A RAKP 3 for a session that is active already: its RAKP 4 was lost, or it is late.
    fn on_repeated_rakp3(&mut self, index: usize, message: &Rakp3<'_>) -> Option<()> {
        let session = self.sessions.get(index)?;
        let remote_id = SessionId(session.remote_id);
        let State::Active(active) = &session.state else { return None };
        let algorithms = active.cipher.algorithms();
        let expected =
            active.login.exchange.rakp3_code(&active.login.key, active.login.exchange.role);
        let matches = constant_time_eq(expected.as_bytes(), message.key_exchange_auth_code);
        match self.options.profile {
            Profile::OpenBmc if matches && message.status == StatusCode::NO_ERRORS => {
                let repeats = active.sik_repeats + 1;
                let (cipher, icv) = self.make_keys(algorithms, &active.login, repeats);
                if let State::Active(active) = &mut self.sessions.get_mut(index)?.state {
                    active.cipher = cipher;
                    active.sik_repeats = repeats;
                }
                self.send_rakp4(index, message.message_tag, &icv)
            }
            Profile::GoIpmi if matches => {
                let (_, icv) = self.make_keys(algorithms, &active.login, 1);
                self.send_rakp4(index, message.message_tag, &icv)
            }
            Profile::IpmiSim | Profile::Pyghmi => None,
            _ => self.refuse_rakp4(message, remote_id, StatusCode::INVALID_SESSION_ID),
        }
    }

    /// The session's cipher, and the integrity check value of RAKP 4.
    ///
    /// `sik_repeats` is 1 but for OpenBMC, which appends the SIK to itself with every RAKP 3.
    fn make_keys(
        &self,
        algorithms: Algorithms,
        login: &Login,
        sik_repeats: usize,
    ) -> (SessionCipher, Vec<u8>) {
        let quirks = self.options.quirks;
        let exchange = &login.exchange;
        let mut k_g = UserKey::new(&self.options.k_g).filter(|_| {
            // OpenBMC has no K_g.
            self.options.profile != Profile::OpenBmc
        });
        if self.options.profile == Profile::IpmiSim
            && algorithms.authentication == Authentication::HmacMd5
        {
            k_g = k_g.map(|key| key.cut_to_16());
        }
        let sik = exchange.sik(&login.key, k_g.as_ref());
        let (k1, k2, mut icv) = if sik_repeats > 1 {
            repeated_sik_keys(exchange, &sik.expose().repeat(sik_repeats))
        } else if quirks.intel20 {
            let icv = sik.integrity_check_value_by(exchange, algorithms.integrity);
            (sik.k1(), sik.k2(), icv.as_bytes().to_vec())
        } else {
            let (k1, k2) = self.session_keys(algorithms, login, &sik);
            (k1, k2, sik.integrity_check_value(exchange).as_bytes().to_vec())
        };
        if quirks.integritycheckvalue && algorithms.authentication == Authentication::None {
            icv.extend_from_slice(&[0xa5; 12]);
        }
        let mut cipher = SessionCipher::new(algorithms, &k1, &k2, &login.key);
        if self.options.profile == Profile::OpenBmc {
            cipher = cipher.with_integrity_pad(IntegrityPad::NeverZero).with_whole_block_pad();
        }
        if quirks.icts {
            cipher = cipher.with_integrity_pad(IntegrityPad::WithoutTrailer);
        }
        (cipher, icv)
    }

    /// K1 and K2; `ipmi_sim` has its own way with MD5 (constants of 16 bytes, and the password
    /// keys HMAC-MD5-128).
    fn session_keys(
        &self,
        algorithms: Algorithms,
        login: &Login,
        sik: &crate::crypto::keys::Sik,
    ) -> (K1, K2) {
        let authentication = algorithms.authentication;
        if self.options.profile != Profile::IpmiSim || authentication != Authentication::HmacMd5 {
            return (sik.k1(), sik.k2());
        }
        let k1 = match algorithms.integrity {
            Integrity::HmacMd5_128 => Digest::new(login.key.expose()),
            _ => hmac(authentication, sik.expose(), &[&[1; 16]]),
        };
        let k2 = hmac(authentication, sik.expose(), &[&[2; 16]]);
        (K1::from_digest(k1), K2::from_digest(k2))
    }

    /// The padded password of a user.
    pub(super) fn user_key(&self, user: usize) -> UserKey {
        let password = self.options.users.get(user).map_or(&[][..], |user| &user.password);
        let password = password.get(..20).unwrap_or(password);
        // Cut to 20 bytes just above, so this cannot fail.
        UserKey::new(password).expect("at most 20 bytes")
    }

    fn send_rakp4(&mut self, index: usize, message_tag: u8, icv: &[u8]) -> Option<()> {
        let remote_id = SessionId(self.sessions.get(index)?.remote_id);
        let reply =
            Rakp4 { message_tag, remote_console_session_id: remote_id, integrity_check_value: icv };
        let mut out = Vec::with_capacity(24);
        reply.encode(&mut out);
        self.send_setup(PayloadType::Rakp4, remote_id, &out)
    }

    fn refuse_rakp2(
        &mut self,
        message: &Rakp1<'_>,
        remote_id: SessionId,
        status: StatusCode,
    ) -> Option<()> {
        // OpenBMC leaves both empty in its 40 bytes.
        if self.options.profile == Profile::OpenBmc {
            let refusal =
                Refusal { message_tag: 0, status, remote_console_session_id: SessionId(0) };
            return self.refuse(PayloadType::Rakp2, refusal, SessionId(0), OPENBMC_RAKP2_LEN);
        }
        let message_tag = message.message_tag;
        let refusal = Refusal { message_tag, status, remote_console_session_id: remote_id };
        self.refuse(PayloadType::Rakp2, refusal, remote_id, 8)
    }

    fn refuse_rakp4(
        &mut self,
        message: &Rakp3<'_>,
        remote_id: SessionId,
        status: StatusCode,
    ) -> Option<()> {
        if self.options.profile == Profile::Pyghmi {
            return None;
        }
        let message_tag = message.message_tag;
        let refusal = Refusal { message_tag, status, remote_console_session_id: remote_id };
        self.refuse(PayloadType::Rakp4, refusal, remote_id, 8)
    }

    fn refuse(
        &mut self,
        payload_type: PayloadType,
        refusal: Refusal,
        remote_id: SessionId,
        len: usize,
    ) -> Option<()> {
        self.counters.setup_refused += 1;
        let mut out = Vec::with_capacity(len.max(8));
        refusal.encode(&mut out);
        out.resize(len, 0);
        self.send_setup(payload_type, remote_id, &out)
    }

    /// OpenBMC answers a setup message of the wrong length with one byte; others do not.
    fn complain_of_length(&mut self, payload_type: PayloadType) -> Option<()> {
        if self.options.profile != Profile::OpenBmc {
            return None;
        }
        self.counters.setup_refused += 1;
        self.send_setup(payload_type, SessionId(0), &[WRONG_LENGTH])
    }

    fn send_setup(
        &mut self,
        payload_type: PayloadType,
        remote_id: SessionId,
        payload: &[u8],
    ) -> Option<()> {
        let mut header = Header::sessionless(payload_type);
        if self.options.quirks.session_id_in_setup {
            header.session_id = remote_id;
        }
        let mut out = Vec::with_capacity(16 + payload.len());
        let start = rmcpplus::begin(&header, &mut out);
        out.extend_from_slice(payload);
        rmcpplus::end_payload(start, &mut out);
        self.transmit(self.peer, out);
        Some(())
    }
}

/// K1, K2 and check value from a SIK that was appended to itself.
fn repeated_sik_keys(exchange: &Exchange, sik: &[u8]) -> (K1, K2, Vec<u8>) {
    let authentication = exchange.authentication;
    let icv = hmac(
        authentication,
        sik,
        &[
            &exchange.remote_console_random_number,
            &exchange.managed_system_session_id.0.to_le_bytes(),
            &exchange.managed_system_guid,
        ],
    );
    let k1 = K1::from_digest(hmac(authentication, sik, &[&[1; 20]]));
    let k2 = K2::from_digest(hmac(authentication, sik, &[&[2; 20]]));
    (k1, k2, icv.truncated(authentication.icv_len()).as_bytes().to_vec())
}
