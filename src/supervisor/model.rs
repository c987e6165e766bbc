//! For models of threads: what a BMC would have done by now, without one.

use std::time::Instant;

use super::*;
use crate::session::SolEvent;

impl Supervisor {
    /// The login is over, as far as those who wait for it are concerned.
    pub fn pretend_login(&mut self) {
        for token in std::mem::take(&mut self.waiters) {
            self.done(token, Ok(()));
        }
    }

    /// Every request is answered.
    pub fn pretend_reply(&mut self, reply: &Reply) {
        for pending in std::mem::take(&mut self.pending) {
            let (token, result) = (pending.token, Ok(reply.clone()));
            self.queued.retain(|request| request.token != token);
            self.events.push_back(Event::Reply { token, result });
        }
        assert!(self.queued.is_empty(), "a request without anybody who waits for it");
    }

    /// SOL is up, if it is wanted.
    pub fn pretend_sol(&mut self, now: Instant) {
        if self.console.as_ref().is_some_and(|link| link.wanted) {
            let event = SolEvent::Activated { characters_max: 60, other_port: None };
            self.on_sol_event(now, event);
        }
    }
}
