//! Getting a session, what comes out of it, and what follows its end.

use std::time::Instant;

use super::*;
use crate::session;

impl Supervisor {
    /// Somebody needs a session: one is begun unless it is there or on its way.
    pub(super) fn want(&mut self) {
        if self.phase == Phase::Idle && self.is_wanted() && !self.released {
            self.phase = Phase::Resolving;
            self.lookup += 1;
            self.events.push_back(Event::Resolve { lookup: self.lookup });
        }
    }

    /// Whether anybody waits for a session to come up or for an answer.
    pub(super) fn is_wanted(&self) -> bool {
        self.reopen
            || !self.waiters.is_empty()
            || !self.pending.is_empty()
            || self.links().any(|link| link.wanted)
    }

    pub(super) fn wait_for_turn(&mut self) {
        self.phase = Phase::Waiting;
        self.events.push_back(Event::WantsTurn);
    }

    /// A login that nobody waits for any more is given up.
    pub(super) fn stop_unwanted_login(&mut self, now: Instant) {
        if self.is_wanted() {
            return;
        }
        match &mut self.live {
            Some(live) if !live.session.is_active() && !live.session.is_closing() => {
                live.drained = false;
                live.session.close(now);
            }
            Some(_) => {}
            None => self.phase = Phase::Idle,
        }
    }

    /// The live session is closed in the background; nothing of it is passed on any more.
    pub(super) fn part(&mut self, now: Instant) {
        self.end_of_login();
        let Some(mut live) = self.live.take() else { return };
        self.report_lost_input(live.session.sol_pending());
        self.learn(live.session.learned());
        live.session.abandon(now);
        live.drained = false;
        self.parting.push_back(live);
        if self.parting.len() > PARTING_MAX
            && let Some(oldest) = self.parting.pop_front()
        {
            self.forget_counted(oldest);
        }
    }

    /// What was learned of the target.
    pub(super) fn learned(&self) -> Learned {
        self.learned_at().map_or(Learned::default(), |at| self.learned[at].2)
    }

    /// Somebody asks for a login, with other credentials maybe: it is tried in every way there is.
    pub(super) fn forget_refusal(&mut self) {
        if let Some(at) = self.learned_at() {
            self.learned[at].2.refused_by_level = None;
        }
    }

    fn learn(&mut self, learned: Learned) {
        if let Some(at) = self.learned_at() {
            self.learned.remove(at);
        }
        self.learned.push_front((self.target.host.clone(), self.target.port, learned));
        self.learned.truncate(LEARNED_MAX);
    }

    /// Where that of the target is.
    fn learned_at(&self) -> Option<usize> {
        let Target { host, port, .. } = &self.target;
        self.learned.iter().position(|(other, at, _)| (other, at) == (host, port))
    }

    fn end_of_login(&mut self) {
        if std::mem::take(&mut self.logging_in) {
            self.events.push_back(Event::LoginOver);
        }
    }

    /// A session is over: what it counted is kept, its address released.
    fn forget_counted(&mut self, live: Live) {
        self.counters.add(&live.session.counters());
        if self.live.iter().chain(&self.parting).all(|other| other.peer != live.peer) {
            self.events.push_back(Event::Released(live.peer));
        }
    }

    pub(super) fn drop_live(&mut self) {
        self.end_of_login();
        self.phase = Phase::Idle;
        if let Some(live) = self.live.take() {
            self.learn(live.session.learned());
            self.forget_counted(live);
        }
    }

    // Output

    /// What there is to send, to tell, or to wait for. `out` is overwritten.
    pub fn poll_output(&mut self, now: Instant, out: &mut Vec<u8>) -> Output {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Output::Event(event);
            }
            if let Some(live) = self.live.as_mut().filter(|live| !live.drained) {
                match live.session.poll_output(now, out) {
                    session::Output::Transmit => return Output::Transmit(live.peer),
                    session::Output::SolCharacters => return Output::SolCharacters,
                    session::Output::Event(event) => self.on_event(now, event),
                    session::Output::Timeout(deadline) => {
                        live.deadline = deadline;
                        live.drained = true;
                        self.open_console(now);
                    }
                }
                continue;
            }
            if let Some(peer) = self.poll_parting(now, out) {
                return Output::Transmit(peer);
            }
            if !self.events.is_empty() {
                continue;
            }
            if self.released && self.live.is_none() && self.parting.is_empty() && !self.gone {
                self.gone = true;
                return Output::Event(Event::Gone);
            }
            // Nearly always there is nothing in it: of ten thousand BMCs that is a megabyte.
            self.events = VecDeque::new();
            return Output::Timeout(self.deadline());
        }
    }

    fn poll_parting(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<SocketAddr> {
        let mut at = 0;
        while let Some(live) = self.parting.get_mut(at) {
            let output = if live.drained { None } else { Some(live.session.poll_output(now, out)) };
            match output {
                Some(session::Output::Transmit) => return Some(live.peer),
                Some(session::Output::SolCharacters | session::Output::Event(_)) => {}
                Some(session::Output::Timeout(deadline)) => {
                    live.deadline = deadline;
                    live.drained = true;
                }
                None if live.session.is_closed() => {
                    if let Some(over) = self.parting.remove(at) {
                        self.forget_counted(over);
                    }
                }
                None => at += 1,
            }
        }
        None
    }

    fn deadline(&self) -> Option<Instant> {
        let sessions = self.live.iter().chain(&self.parting).filter_map(|live| live.deadline);
        sessions.chain(self.links().filter_map(Link::deadline)).min()
    }

    fn on_event(&mut self, now: Instant, event: session::Event) {
        match event {
            session::Event::Established { cipher_suite, privilege_level } => {
                let Some(live) = &self.live else { return };
                let peer = live.peer;
                self.established = true;
                self.end_of_login();
                self.events.push_back(Event::Established { cipher_suite, privilege_level, peer });
                for token in std::mem::take(&mut self.waiters) {
                    self.done(token, Ok(()));
                }
            }
            session::Event::Reply { token, result } => self.on_reply(now, token, result),
            session::Event::Sol(event) => self.on_sol_event(now, event),
            session::Event::Closed(failure) => self.on_closed(now, failure),
        }
    }

    fn on_reply(&mut self, now: Instant, token: u64, result: Result<Reply, Failure>) {
        let Some(at) = self.pending.iter().position(|pending| pending.token == token) else {
            return;
        };
        let mut pending = self.pending.swap_remove(at);
        // The session went away under it: the next one may answer.
        let lost = self.established
            && matches!(&result, Err(failure) if failure.cause == Cause::Lost)
            && !pending.request.acts()
            && pending.sessions < SESSIONS_PER_REQUEST;
        let unsent = matches!(&result, Err(failure) if self.tries_next_address(failure));
        let in_time = pending.request.deadline.is_none_or(|deadline| now < deadline);
        if (lost || unsent) && in_time && !self.released {
            self.queued.push(pending.request.clone());
            pending.sessions += u32::from(lost);
            return self.pending.push(pending);
        }
        let result = result.map_err(|failure| self.error_of(failure));
        self.events.push_back(Event::Reply { token, result });
    }

    fn on_closed(&mut self, now: Instant, failure: Failure) {
        let error = self.error_of(failure);
        let was_up = self.established;
        let asked_for = failure.cause == Cause::Closed;
        let next_address = self.tries_next_address(&failure);
        self.drop_live();
        if next_address {
            self.addresses.remove(0);
            return self.wait_for_turn();
        }
        self.events.push_back(Event::Ended { error: error.clone(), was_up, asked_for });
        if asked_for && self.is_wanted() && !self.released {
            // It was closed because nobody wanted it, and somebody does again.
            return self.want();
        }
        self.forget(now, &error, was_up);
    }

    /// Whether a login that ended so goes on with another address: a name's others are tried when
    /// this one is silent.
    fn tries_next_address(&self, failure: &Failure) -> bool {
        let silent = failure.cause == Cause::TimedOut && failure.stage == Stage::Capabilities;
        silent && !self.established && self.addresses.len() > 1 && !self.released
    }

    /// The session is over, and so is everybody's wait for it. Commands it was lost under go on
    /// with the next one.
    pub(super) fn forget(&mut self, now: Instant, error: &Error, was_up: bool) {
        self.reopen = false;
        self.fail_waiters(error);
        if !was_up || self.queued.is_empty() {
            self.fail_requests(error);
        }
        self.fail_consoles(now, error, was_up);
        self.want();
    }

    /// Ends everybody's wait for a session.
    pub(super) fn fail_waiters(&mut self, error: &Error) {
        for token in std::mem::take(&mut self.waiters) {
            self.done(token, Err(error.clone()));
        }
    }

    /// Ends everybody's wait for an answer.
    pub(super) fn fail_requests(&mut self, error: &Error) {
        self.queued.clear();
        for pending in std::mem::take(&mut self.pending) {
            let (token, result) = (pending.token, Err(error.clone()));
            self.events.push_back(Event::Reply { token, result });
        }
    }

    // Why

    /// What is known of a login that has neither succeeded nor failed yet.
    pub(super) fn why_not_yet(&self) -> Error {
        if self.phase == Phase::Waiting {
            let text = "many logins are under way: this one was still waiting for its turn";
            return Error::with_text(ErrorKind::TimedOut, text);
        }
        let Some(live) = &self.live else { return Error::new(ErrorKind::TimedOut) };
        let stage =
            if live.session.is_active() { Stage::ActivateSol } else { live.session.stage() };
        let error = self.error_of(Failure::new(Cause::TimedOut, stage));
        // It answered before: it is not unreachable, only slower than the caller.
        if live.session.counters().received > 0 {
            return error.with_kind(ErrorKind::TimedOut);
        }
        error
    }

    /// A failure with what ICMP said of the BMC's address.
    pub(super) fn error_of(&self, failure: Failure) -> Error {
        if self.shut_down {
            return Error::new(ErrorKind::ShutDown);
        }
        let error = Error::from(failure);
        match &self.icmp {
            Some(icmp) if error.kind() == ErrorKind::Unreachable => {
                let kind = if icmp.refused {
                    ErrorKind::ConnectionRefused
                } else {
                    ErrorKind::Unreachable
                };
                error.with_note(kind, icmp.text)
            }
            Some(icmp) if failure.cause == Cause::Lost => {
                error.with_note(ErrorKind::Lost, icmp.text)
            }
            _ => error,
        }
    }
}
