//! From the login to a session that works at its privilege level.

use super::*;

impl Session {
    pub(super) fn on_login(&mut self, now: Instant, progress: Progress) {
        match progress {
            Progress::Waiting => {}
            Progress::Failed(failure) => {
                if let Phase::Login(login) = &self.phase {
                    self.learned.refused_by_level = login.refused_by_level(failure);
                }
                self.end(failure);
            }
            Progress::Established(established) => self.on_established(now, *established),
            Progress::UseV15(capabilities) => {
                let login = Establish15::start(
                    self.config.clone(),
                    capabilities,
                    now,
                    &mut self.generator,
                    &mut self.outbox,
                );
                match login {
                    Ok(login) => self.phase = Phase::Login15(Box::new(login)),
                    Err(failure) => self.end(failure),
                }
            }
        }
    }

    pub(super) fn log_in_again(&mut self, now: Instant) {
        let (generator, out) = (&mut self.generator, &mut self.outbox);
        if let Some(mut channel) = self.channel.take() {
            channel.send_close(generator, out);
        }
        let login = Establish::start(self.config.clone(), self.learned, now, generator, out);
        self.phase = Phase::Login(Box::new(login));
    }

    pub(super) fn on_login15(&mut self, now: Instant, progress: Progress15) {
        match progress {
            Progress15::Waiting => {}
            Progress15::Failed(failure) => self.end(failure),
            Progress15::Established(channel, level) => {
                self.channel = Some(Channel::V15(channel));
                self.raise_privilege(now, level);
            }
        }
    }

    pub(super) fn on_established(&mut self, now: Instant, established: Established) {
        let suite = established.cipher_suite;
        self.cipher_suite = Some(suite);
        if established.worth_remembering {
            self.learned.cipher_suite = Some(suite);
        }
        self.learned.open_session_by_level = Some(established.open_session_by_level);
        self.learned.refused_by_level = None;
        self.channel = Some(Channel::V20(Box::new(established.channel)));
        self.raise_privilege(now, established.privilege_level);
    }

    /// A new session works at User, whatever its login asked for.
    pub(super) fn raise_privilege(&mut self, now: Instant, level: PrivilegeLevel) {
        self.last_valid = now;
        self.unheard_since = None;
        self.next_keepalive = now + self.config.timing.keepalive;
        self.privilege_level = level;
        if level <= PrivilegeLevel::User || self.no_commands() {
            return self.on_active(now);
        }
        self.phase = Phase::Privilege(level);
        let request = internal(net_fn::APP, cmd::SET_SESSION_PRIVILEGE_LEVEL, vec![level as u8]);
        // In front of what was submitted while the login went on: with a window of one it
        // would otherwise run at User.
        self.requests.submit_first(Origin::Privilege, request);
    }

    pub(super) fn on_privilege(
        &mut self,
        now: Instant,
        wanted: PrivilegeLevel,
        reply: Result<Reply, Failure>,
    ) {
        let refused = |code| Failure::by_completion(Cause::Privilege, Stage::Privilege, code);
        let reply = match reply {
            Ok(reply) => reply,
            Err(failure) => {
                // Not a word in the session: its keys are others at the BMC. One stack makes
                // them anew when the network repeats RAKP 3.
                self.relogins += 1;
                if self.relogins < self.config.timing.login_attempts {
                    return self.log_in_again(now);
                }
                return self.close_because(now, Failure { stage: Stage::Privilege, ..failure });
            }
        };
        let code = reply.completion_code;
        if code == CompletionCode::SUCCESS {
            let granted = reply.data.first().map(|byte| byte & 0x0f);
            let granted = granted.and_then(PrivilegeLevel::from_number).unwrap_or(wanted);
            if granted < wanted && self.config.privilege_level.is_some() {
                return self.close_because(now, refused(code));
            }
            self.privilege_level = granted;
            return self.on_active(now);
        }
        let Some(lower) = self.config.lower_privilege(wanted) else {
            return self.close_because(now, refused(code));
        };
        self.raise_privilege(now, lower);
    }

    pub(super) fn on_active(&mut self, now: Instant) {
        self.phase = Phase::Active;
        self.requests.set_window(self.config.request_window);
        self.plan_keepalive(now);
        self.events.push_back(Event::Established {
            cipher_suite: self.cipher_suite,
            privilege_level: self.privilege_level,
        });
    }
}
