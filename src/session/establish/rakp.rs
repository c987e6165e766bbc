//! RAKP Messages 1 to 4, from the first random number to verified keys.

use super::*;

impl Establish {
    pub(super) fn send_rakp1(
        &mut self,
        now: Instant,
        remote_console_session_id: SessionId,
        managed_system_session_id: SessionId,
        generator: &mut Generator,
        out: &mut Outbox,
    ) {
        let quirks = self.config.quirks;
        let mut user_name = self.config.user_name.clone();
        if quirks.has(Quirk::Intel20) {
            user_name.resize(16, 0);
        }
        let name_only = match self.config.user_lookup {
            UserLookup::NameOnly => ROLE_NAME_ONLY,
            UserLookup::NameAndPrivilege => 0,
        };
        let wait = AwaitRakp2 {
            message_tag: self.next_tag(),
            remote_console_session_id,
            managed_system_session_id,
            remote_console_random_number: generator.array(),
            role: name_only | self.privilege_level as u8,
            user_name,
        };
        let payload = &mut Vec::with_capacity(44);
        Rakp1 {
            message_tag: wait.message_tag,
            managed_system_session_id,
            remote_console_random_number: wait.remote_console_random_number,
            role: wait.role,
            user_name: &wait.user_name,
        }
        .encode(payload);
        if quirks.has(Quirk::I82571Spt) {
            payload.resize(44, 0);
        }
        rmcpplus::encode_sessionless(PayloadType::Rakp1, payload, out.push());
        self.step = Step::Rakp2(wait);
        self.remembered = None;
        self.deadline = self.pace.ask(now);
    }

    pub(super) fn on_rakp2(
        &mut self,
        now: Instant,
        payload: &[u8],
        generator: &mut Generator,
        out: &mut Outbox,
    ) -> Result<Progress, DropReason> {
        let Step::Rakp2(wait) = &self.step else { return Err(DropReason::Unexpected) };
        let ids = (wait.message_tag, wait.remote_console_session_id);
        let rakp2 = Rakp2::decode(payload).map_err(|_| DropReason::Malformed)?;
        let rakp2 = match self.check_refusal(rakp2, ids)? {
            Ok(rakp2) => rakp2,
            Err(failure) => return Ok(self.on_failure(now, failure, generator, out)),
        };
        if (rakp2.message_tag, rakp2.remote_console_session_id) != ids {
            return Err(DropReason::Unexpected);
        }
        let expected_len = self.algorithms().authentication.code_len();
        let received = rakp2.key_exchange_auth_code;
        // Some BMCs send one byte too many (quirks supermicro20, sun20).
        let Some(received) = received.get(..expected_len).filter(|code| {
            !code.is_empty() && received.len() <= expected_len + 1 || received.is_empty()
        }) else {
            let what = Cause::PeerMisbehaved("RAKP 2 code of a wrong length");
            self.remembered = Some(Failure::new(what, Stage::Rakp2));
            return Err(DropReason::Malformed);
        };
        let Step::Rakp2(wait) = std::mem::replace(&mut self.step, Step::Pause) else {
            return Err(DropReason::Unexpected);
        };
        let exchange = self.exchange(&wait, &rakp2);
        let k_uid = self.k_uid();
        if !constant_time_eq(exchange.rakp2_code(&k_uid).as_bytes(), received) {
            let failure = Failure::new(Cause::Password, Stage::Rakp2);
            let refused = StatusCode::INVALID_INTEGRITY_CHECK_VALUE;
            send_rakp3(self.next_tag(), refused, wait.managed_system_session_id, &[], out);
            self.step = Step::Rakp2(wait);
            return Ok(self.on_failure(now, failure, generator, out));
        }
        self.send_rakp3(now, exchange, &k_uid, out);
        Ok(Progress::Waiting)
    }

    pub(super) fn exchange(&self, wait: &AwaitRakp2, rakp2: &Rakp2<'_>) -> Exchange {
        let in_hashes = if self.config.quirks.has(Quirk::I82571Spt) {
            wait.role & !ROLE_NAME_ONLY
        } else {
            wait.role
        };
        Exchange {
            authentication: self.algorithms().authentication,
            remote_console_session_id: wait.remote_console_session_id,
            managed_system_session_id: wait.managed_system_session_id,
            remote_console_random_number: wait.remote_console_random_number,
            managed_system_random_number: rakp2.managed_system_random_number,
            managed_system_guid: rakp2.managed_system_guid,
            role: in_hashes,
            user_name: wait.user_name.clone(),
        }
    }

    pub(super) fn k_uid(&self) -> UserKey {
        let password = self.config.password.expose();
        // Checked by SessionConfig::check: at most 20 bytes.
        let k_uid = UserKey::new(password).unwrap_or_else(|| unreachable!("password length"));
        let md5 = self.algorithms().authentication == Authentication::HmacMd5;
        if md5 && self.config.quirks.has(Quirk::Intel20) { k_uid.cut_to_16() } else { k_uid }
    }

    // RAKP 3 and 4

    pub(super) fn send_rakp3(
        &mut self,
        now: Instant,
        exchange: Exchange,
        k_uid: &UserKey,
        out: &mut Outbox,
    ) {
        let quirks = self.config.quirks;
        let level_only = quirks.has(Quirk::Intel20) || quirks.has(Quirk::I82571Spt);
        let role = if level_only { exchange.role & 0x0f } else { exchange.role };
        let code = exchange.rakp3_code(k_uid, role);
        let session_id = exchange.managed_system_session_id;
        let message_tag = self.next_tag();
        send_rakp3(message_tag, StatusCode::NO_ERRORS, session_id, code.as_bytes(), out);
        let k_g = UserKey::new(self.config.k_g.expose());
        let sik = exchange.sik(k_uid, k_g.as_ref());
        self.step = Step::Rakp4(AwaitRakp4 { message_tag, exchange, sik });
        self.remembered = None;
        self.deadline = self.pace.ask(now);
    }

    pub(super) fn on_rakp4(
        &mut self,
        now: Instant,
        payload: &[u8],
        generator: &mut Generator,
        out: &mut Outbox,
    ) -> Result<Progress, DropReason> {
        let Step::Rakp4(wait) = &self.step else { return Err(DropReason::Unexpected) };
        let ids = (wait.message_tag, wait.exchange.remote_console_session_id);
        let rakp4 = Rakp4::decode(payload).map_err(|_| DropReason::Malformed)?;
        let rakp4 = match self.check_refusal(rakp4, ids)? {
            Ok(rakp4) => rakp4,
            Err(failure) => return Ok(self.on_failure(now, failure, generator, out)),
        };
        if (rakp4.message_tag, rakp4.remote_console_session_id) != ids {
            return Err(DropReason::Unexpected);
        }
        let Step::Rakp4(wait) = &self.step else { return Err(DropReason::Unexpected) };
        let algorithms = self.algorithms();
        let expected = if self.config.quirks.has(Quirk::Intel20) {
            wait.sik.integrity_check_value_by(&wait.exchange, algorithms.integrity)
        } else {
            wait.sik.integrity_check_value(&wait.exchange)
        };
        // RAKP-none has no value; some BMCs send one all the same (quirk integritycheckvalue).
        let none = algorithms.authentication == Authentication::None;
        if !none && !constant_time_eq(expected.as_bytes(), rakp4.integrity_check_value) {
            // The network repeated RAKP 3 and lost the first answer: nobody's key is wrong.
            if wait.sik.is_check_value_of_repeat(&wait.exchange, rakp4.integrity_check_value) {
                self.lossy = true;
                return Ok(self.restart(now, generator, out));
            }
            let failure = Failure::new(Cause::KG, Stage::Rakp4);
            return Ok(self.on_failure(now, failure, generator, out));
        }
        Ok(Progress::Established(Box::new(self.established(wait))))
    }

    pub(super) fn established(&self, wait: &AwaitRakp4) -> Established {
        let pad = if self.config.quirks.has(Quirk::Icts) {
            IntegrityPad::WithoutTrailer
        } else {
            IntegrityPad::Standard
        };
        let (k1, k2) = (wait.sik.k1(), wait.sik.k2());
        let cipher = SessionCipher::new(self.algorithms(), &k1, &k2, &self.k_uid());
        Established {
            channel: ChannelV20::new(
                cipher.with_integrity_pad(pad),
                wait.exchange.remote_console_session_id,
                wait.exchange.managed_system_session_id,
            ),
            cipher_suite: self.cipher_suite(),
            worth_remembering: !self.skipped_a_silent_suite,
            open_session_by_level: self.by_level,
            privilege_level: self.privilege_level,
        }
    }

    /// The login is given up, and what the BMC has opened for it is given back. `true`: it has not
    /// said yet what that is; its answer is waited for until then.
    pub(in crate::session) fn abandon(&mut self, until: Instant, out: &mut Outbox) -> bool {
        match &self.step {
            Step::OpenSession(_) => {
                self.abandoned = true;
                self.deadline = until;
                true
            }
            Step::Rakp2(wait) => {
                let session_id = wait.managed_system_session_id;
                self.give_back(session_id, out);
                false
            }
            _ => false,
        }
    }

    /// Ends a half-open session: BMCs keep those for long, and have few slots (§13.22).
    pub(super) fn give_back(&mut self, session_id: SessionId, out: &mut Outbox) {
        let status = StatusCode::INSUFFICIENT_RESOURCES;
        send_rakp3(self.next_tag(), status, session_id, &[], out);
    }

    /// Without RAKP 4 the BMC may have a session that nobody uses, and few slots for others: it
    /// is closed unseen.
    pub(in crate::session) fn close_unheard(&self, generator: &mut Generator, out: &mut Outbox) {
        let Step::Rakp4(wait) = &self.step else { return };
        Channel::V20(Box::new(self.established(wait).channel)).send_close(generator, out);
    }
}
