//! Keeping a session alive, and noticing that it is not.

use super::*;

impl Session {
    pub(super) fn plan_keepalive(&mut self, now: Instant) {
        let timing = &self.config.timing;
        let jitter = u64::try_from(timing.keepalive_jitter.as_millis()).unwrap_or(u64::MAX);
        let jitter = Duration::from_millis(self.generator.below(jitter.saturating_add(1)));
        self.next_keepalive = now + timing.keepalive + jitter;
    }

    pub(super) fn check_alive(&mut self, now: Instant) {
        if self.lost_at().is_some_and(|at| now >= at) {
            return self.on_lost();
        }
        if now < self.next_keepalive || self.no_commands() {
            return;
        }
        self.plan_keepalive(now);
        if self.requests.has(Origin::Keepalive) {
            return;
        }
        // We were suspended, for longer than a BMC keeps an idle session.
        if now >= self.last_valid + self.config.timing.lost_after {
            self.hint = self.hint.or(Some(now));
        }
        // One command keeps the session alive and tells whether SOL is still ours.
        let can_ask = !self.learned.no_instance_info;
        let probe = self.sol.as_ref().filter(|sol| can_ask && sol.is_active());
        self.keepalive_asks_about = probe.map(|sol| sol.number);
        let request = match probe {
            Some(sol) => {
                let data = vec![PAYLOAD_SOL, sol.instance()];
                internal(net_fn::APP, cmd::GET_PAYLOAD_INSTANCE_INFO, data)
            }
            _ => get_device_id(),
        };
        self.requests.submit_keepalive(request, self.config.timing.keepalive_retry);
    }

    pub(super) fn on_keepalive(&mut self, now: Instant, reply: Result<Reply, Failure>) {
        let Some(mut sol) = self.sol.take() else { return };
        if self.keepalive_asks_about == Some(sol.number) {
            sol.on_owner_probe(now, reply.as_ref(), &mut self.sol_session());
        }
        self.sol = Some(sol);
    }

    /// When silence means that the session is gone. Never, where nothing can be asked.
    pub(super) fn lost_at(&self) -> Option<Instant> {
        if self.no_commands() {
            return None;
        }
        let timing = &self.config.timing;
        let silent = self.unheard_since.map(|since| since + timing.lost_after);
        let hinted = self.hint.map(|hint| hint + timing.lost_after_hint);
        silent.into_iter().chain(hinted).min()
    }

    pub(super) fn no_commands(&self) -> bool {
        self.config.quirks.has(Quirk::I82571Spt)
    }

    pub(super) fn on_lost(&mut self) {
        self.fail_requests(Cause::Lost);
        self.end(Failure::new(Cause::Lost, Stage::Active));
    }

    pub(super) fn fail_requests(&mut self, cause: Cause) {
        while let Some((origin, failure)) = self.requests.take_any(cause) {
            if let Origin::User(token) = origin {
                self.events.push_back(Event::Reply { token, result: Err(failure) });
            }
        }
    }

    /// The session is over, now.
    pub(super) fn end(&mut self, failure: Failure) {
        let failure = match &self.phase {
            Phase::Login(_) | Phase::Login15(_) if failure.cause == Cause::Closed => {
                Failure { stage: self.stage(), ..failure }
            }
            _ => failure,
        };
        let cause = if failure.cause == Cause::Closed { Cause::Closed } else { Cause::Lost };
        self.phase = Phase::Closed;
        while let Some((origin, unanswered)) = self.requests.take_any(cause) {
            if let Origin::User(token) = origin {
                // A request that never left fails as its session did.
                let result = if self.channel.is_none() { failure } else { unanswered };
                self.events.push_back(Event::Reply { token, result: Err(result) });
            }
        }
        if let Some(sol) = &mut self.sol {
            sol.end(failure);
        }
        self.channel = None;
        self.events.push_back(Event::Closed(failure));
    }
}
