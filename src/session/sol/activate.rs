//! Activating SOL, and whose it is when it is not ours.

use super::*;

impl Sol {
    /// A request of ours was answered, or was not.
    pub fn on_reply(
        &mut self,
        now: Instant,
        step: Step,
        reply: Result<Reply, Failure>,
        session: &mut SolSession<'_>,
    ) {
        match step {
            Step::Close => self.end(self.ending),
            _ if matches!(self.state, State::Closing | State::Ended) => {}
            Step::Activate => self.on_activate(now, reply, session),
            Step::OwnerInTheWay => self.on_owner_in_the_way(now, reply, session),
            Step::OwnerSession => self.on_owner_session(reply, session),
            // 80h says "was not active", which one BMC stack says of a stale one it removes,
            // and another never answers at all: go on in any case.
            Step::Free => self.pause_and_activate(now),
            Step::RaisePrivilege => self.activate(),
            Step::OwnerNow(why) => self.on_owner_now(now, why, reply, session),
        }
    }

    pub(super) fn fail(&mut self, cause: Cause, code: CompletionCode) {
        self.end(Failure::by_completion(cause, Stage::ActivateSol, code));
    }

    pub(super) fn pause_and_activate(&mut self, now: Instant) {
        // Most BMCs are ready at once; some free the slot late.
        let pause = BUSY_PAUSE * self.rounds.saturating_sub(1);
        self.state = State::Pausing(now + pause);
    }

    pub(super) fn on_activate(
        &mut self,
        now: Instant,
        reply: Result<Reply, Failure>,
        session: &mut SolSession<'_>,
    ) {
        let reply = match reply {
            Ok(reply) => reply,
            Err(failure) => return self.end(Failure { stage: Stage::ActivateSol, ..failure }),
        };
        let encrypted = self.auxiliary & sol_auxiliary::ENCRYPTION != 0;
        let has_aes = session.confidentiality == Confidentiality::AesCbc128;
        match reply.completion_code.0 {
            0x00 => match ActivatedPayload::decode(&reply.data) {
                Ok(activated) => self.on_activated(now, Some(&activated)),
                Err(_) => self.on_activated(now, None),
            },
            0x80 => self.ask_owner(Step::OwnerInTheWay),
            0x81 => self.fail(Cause::SolDisabled, reply.completion_code),
            0x82 => self.fail(Cause::SolInUse, reply.completion_code),
            0x83 if encrypted && self.config.allow_clear && !self.switched_encryption => {
                self.switched_encryption = true;
                self.auxiliary &= !sol_auxiliary::ENCRYPTION;
                self.activate();
            }
            0xc0 if self.busy < BUSY_MAX => {
                self.busy += 1;
                self.state = State::Pausing(now + BUSY_PAUSE);
            }
            0xd4 => self.on_no_privilege(reply.completion_code, session),
            // 84h, or whatever a BMC says instead of it.
            _ if !encrypted && has_aes && !self.switched_encryption => {
                self.switched_encryption = true;
                self.auxiliary |= sol_auxiliary::ENCRYPTION | sol_auxiliary::AUTHENTICATION;
                self.activate();
            }
            _ => self.fail(Cause::SolRefused, reply.completion_code),
        }
    }

    /// Some BMCs activate SOL at Administrator only.
    pub(super) fn on_no_privilege(&mut self, code: CompletionCode, session: &SolSession<'_>) {
        let can_raise =
            session.may_raise && session.privilege_level < PrivilegeLevel::Administrator;
        if self.raised_privilege || !can_raise {
            return self.fail(Cause::Privilege, code);
        }
        self.raised_privilege = true;
        let level = vec![PrivilegeLevel::Administrator as u8];
        self.want(Step::RaisePrivilege, cmd::SET_SESSION_PRIVILEGE_LEVEL, level, None);
    }

    pub(super) fn on_owner_in_the_way(
        &mut self,
        now: Instant,
        reply: Result<Reply, Failure>,
        session: &mut SolSession<'_>,
    ) {
        let owner = owner_of(&reply);
        // Our Activate Payload was taken and its answer lost: the second one was refused.
        if owner == Some(session.session_id) {
            return self.on_activated(now, None);
        }
        session.learned.no_instance_info |= owner.is_none() && reply.is_ok();
        if self.rounds >= ROUNDS_MAX {
            return self.fail(Cause::SolInUse, CompletionCode(0x80));
        }
        match (self.config.take_over, owner) {
            (TakeOver::Once | TakeOver::Always, _) | (TakeOver::Stale, Some(SessionId(0))) => {
                self.rounds += 1;
                self.free(session);
            }
            (TakeOver::Stale, Some(owner)) => {
                let mut data = vec![0xff];
                data.extend_from_slice(&owner.0.to_le_bytes());
                self.want(Step::OwnerSession, GET_SESSION_INFO, data, None);
            }
            (TakeOver::Never, Some(_)) => self.fail(Cause::SolInUse, CompletionCode(0x80)),
            // It does not tell. Were SOL ours, an empty packet would be acknowledged.
            (TakeOver::Never | TakeOver::Stale, None) => {
                self.state = State::Trying { next: now, tries: 0 };
            }
        }
    }

    /// Takes SOL over when its owner's session is no longer there.
    pub(super) fn on_owner_session(
        &mut self,
        reply: Result<Reply, Failure>,
        session: &SolSession<'_>,
    ) {
        let gone = match &reply {
            Ok(Reply { completion_code: CompletionCode::SUCCESS, data, .. }) => {
                // Handle, slots, active sessions; more only when the session was found.
                data.len() <= 3 || data.first() == Some(&0)
            }
            Ok(reply) => matches!(reply.completion_code.0, 0xc9 | 0xcb | 0xcc),
            Err(_) => false,
        };
        if gone {
            self.rounds += 1;
            self.free(session);
        } else {
            self.fail(Cause::SolInUse, CompletionCode(0x80));
        }
    }

    pub(super) fn on_activated(&mut self, now: Instant, activated: Option<&ActivatedPayload>) {
        let characters_max = activated
            .map_or(CHARACTERS_FALLBACK, |answer| characters_max(answer.inbound_payload_size));
        let other_port = activated.map(|answer| answer.udp_port).filter(|port| {
            let known = [0, self.config.session_port, self.config.session_port.swap_bytes()];
            // One BMC stack names 623 whatever port it is reached by.
            let standard = [crate::wire::RMCP_PORT, crate::wire::RMCP_PORT.swap_bytes()];
            !known.contains(port) && !standard.contains(port)
        });
        self.state = State::Active;
        self.sender.activated(now, characters_max);
        self.receiver.activated();
        if self.was_active {
            self.receiver.mark(SolEvent::Gap);
            self.receiver.mark(SolEvent::Reactivated);
        } else {
            self.receiver.mark(SolEvent::Activated { characters_max, other_port });
        }
        self.was_active = true;
        for payload in std::mem::take(&mut self.early) {
            self.on_payload(now, &payload);
        }
    }
}
