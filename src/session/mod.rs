//! One BMC's session: takes `now` and bytes, gives bytes, events and a deadline.
//!
//! A [`Session`] is one login and the session that follows; it ends once and is then thrown
//! away. It does no I/O, reads no clock and knows no threads: every call takes the time, and
//! the randomness comes from the seed given to [`Session::new`].
//!
//! There are three kinds of methods. `handle_*` takes what happened: a datagram, a deadline, a
//! hint. The commands ([`submit`](Session::submit), [`sol_open`](Session::sol_open),
//! [`close`](Session::close) ..) ask for something. After each of both, call
//! [`poll_output`](Session::poll_output) until it gives `Timeout`: one input, drain, next input.

mod alive;
mod bridge;
mod channel;
mod config;
mod establish;
mod establish15;
mod failure;
mod login;
mod output;
mod pace;
mod quirk;
mod request;
mod sol;
mod sol_receive;
mod sol_send;
mod window;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::bridge::{Hop, Target};
pub use self::config::{
    ConfigError, Duplicates, Learned, SessionConfig, Timing, UserLookup, Version,
};
pub use self::failure::{Cause, Failure, Stage};
pub use self::output::{Counters, DropReason, Event, Output};
pub use self::quirk::{Quirk, Quirks, UnknownQuirk};
pub(crate) use self::request::acts;
pub use self::request::{Repeat, Reply, Request, Secrecy};
pub use self::sol::{SolConfig, SolEvent, TakeOver};

use zeroize::Zeroize;

use self::channel::Channel;
use self::establish::{Establish, Established, Progress};
use self::establish15::{Establish15, Progress15};
use self::output::Outbox;
use self::request::{Origin, Requests, Taken, get_device_id, internal};
use self::sol::{Sol, SolSession, Step};
use self::sol_receive::Received;
use crate::crypto::Generator;
use crate::wire::cipher_suite::{Algorithms, Authentication, Confidentiality, Integrity};
use crate::wire::message::{CompletionCode, Message, RqSeq, net_fn};
use crate::wire::payload::PayloadType;
use crate::wire::rmcp::{self, Class};
use crate::wire::session_command::{PAYLOAD_SOL, SolActivating, cmd};
use crate::wire::{DATAGRAM_MAX, PrivilegeLevel, SessionId, ipmi15};

pub use crate::wire::cipher_suite::CipherSuiteId;

#[derive(Debug)]
enum Phase {
    Login(Box<Establish>),
    Login15(Box<Establish15>),
    /// Set Session Privilege Level is under way, for this level.
    Privilege(PrivilegeLevel),
    Active,
    /// SOL is being deactivated, then Close Session is sent; over at this time at the latest.
    Closing {
        until: Instant,
        close_sent: bool,
        failure: Failure,
    },
    Closed,
}

/// In tests, a datagram that stands for a bug of ours: taking it panics.
#[cfg(test)]
pub(crate) const PANIC: &[u8] = b"panic";

/// One login and the session that follows.
pub struct Session {
    config: Arc<SessionConfig>,
    generator: Generator,
    phase: Phase,
    channel: Option<Channel>,
    requests: Requests,
    sol: Option<Box<Sol>>,
    sol_number: u32,
    /// Logins that succeeded and led to a silent session.
    relogins: u32,
    outbox: Outbox,
    events: VecDeque<Event>,
    learned: Learned,
    privilege_level: PrivilegeLevel,
    cipher_suite: Option<CipherSuiteId>,
    last_valid: Instant,
    /// Since when an answer is waited for, nothing valid having come after.
    unheard_since: Option<Instant>,
    next_keepalive: Instant,
    /// The SOL activation whose owner the keepalive under way asks for, if it does.
    keepalive_asks_about: Option<u32>,
    hint: Option<Instant>,
    /// No other hint is taken before this: anybody can send one.
    next_hint: Instant,
    counters: Counters,
    rtt: Option<Duration>,
    /// Scratch for one message or SOL payload.
    payload: Vec<u8>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("stage", &self.stage()).finish_non_exhaustive()
    }
}

impl Session {
    /// Starts to log in. `config` must have passed [`SessionConfig::check`]; `learned` is what
    /// the last session to this BMC left, or the default.
    pub fn new(
        config: Arc<SessionConfig>,
        learned: Learned,
        seed: [u8; 32],
        now: Instant,
    ) -> Session {
        let mut generator = Generator::from_seed(seed);
        let mut outbox = Outbox::default();
        let login = Establish::start(config.clone(), learned, now, &mut generator, &mut outbox);
        let rq_seq = RqSeq::new(generator.number() as u8);
        Session {
            requests: Requests::new(rq_seq, &config.timing),
            privilege_level: config.wanted_privilege(),
            config,
            generator,
            phase: Phase::Login(Box::new(login)),
            channel: None,
            sol: None,
            sol_number: 0,
            relogins: 0,
            outbox,
            events: VecDeque::new(),
            learned,
            cipher_suite: None,
            last_valid: now,
            unheard_since: None,
            next_keepalive: now,
            keepalive_asks_about: None,
            hint: None,
            next_hint: now,
            counters: Counters::default(),
            rtt: None,
            payload: Vec::new(),
        }
    }

    // What happened

    /// Takes a datagram from the BMC's address. It is decrypted in place.
    ///
    /// A datagram that is not the session's is dropped, counted, and named.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &mut [u8]) -> Result<(), DropReason> {
        self.counters.received += 1;
        let result = self.take_datagram(now, datagram);
        if let Err(reason) = result {
            self.counters.dropped[reason as usize] += 1;
        }
        result
    }

    fn take_datagram(&mut self, now: Instant, datagram: &mut [u8]) -> Result<(), DropReason> {
        #[cfg(test)]
        assert_ne!(datagram, PANIC, "a bug");
        if datagram.len() > DATAGRAM_MAX {
            return Err(DropReason::Malformed);
        }
        match rmcp::decode(datagram) {
            Ok((Class::Ipmi, _)) => {}
            Ok((Class::Asf, _)) => return Err(DropReason::NotIpmi),
            Err(_) => return Err(DropReason::Malformed),
        }
        match &mut self.phase {
            Phase::Login(login) => {
                let progress =
                    login.handle_datagram(now, datagram, &mut self.generator, &mut self.outbox)?;
                self.on_login(now, progress);
                Ok(())
            }
            Phase::Login15(login) => {
                let progress =
                    login.handle_datagram(now, datagram, &mut self.generator, &mut self.outbox)?;
                self.on_login15(now, progress);
                Ok(())
            }
            Phase::Closed => Err(DropReason::Unexpected),
            _ => self.take_session_packet(now, datagram),
        }
    }

    /// A deadline given by [`poll_output`](Self::poll_output) is there.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Login(login) if now >= login.deadline() => {
                let progress = login.handle_timeout(now, &mut self.generator, &mut self.outbox);
                self.on_login(now, progress);
            }
            Phase::Login15(login) if now >= login.deadline() => {
                let progress = login.handle_timeout(now, &mut self.outbox);
                self.on_login15(now, progress);
            }
            &mut Phase::Closing { until, close_sent: false, failure } if now >= until => {
                // The BMC did not answer Deactivate Payload: Close Session may still reach it.
                if let Some(sol) = &mut self.sol {
                    sol.end(failure);
                }
                self.close_session_when_free(now);
            }
            &mut Phase::Closing { until, failure, .. } if now >= until => self.end(failure),
            Phase::Active => self.check_alive(now),
            _ => {}
        }
        while let Some((origin, failure)) = self.requests.poll_expired(now) {
            let failure = Failure { stage: self.stage(), ..failure };
            self.on_reply(now, origin, Err(failure));
        }
    }

    /// Something outside the session says that the BMC may have restarted: an ICMP error, or a
    /// packet in v1.5 form. It shortens the wait for a sign of life and proves nothing.
    pub fn handle_hint(&mut self, now: Instant) {
        // Not before: while the privilege level is raised, silence has its own limit.
        if matches!(self.phase, Phase::Active) && self.hint.is_none() && now >= self.next_hint {
            self.hint = Some(now);
            self.next_hint = now + self.config.timing.lost_after_hint;
            self.next_keepalive = now;
        }
    }

    // What is asked for

    /// Sends a request when its turn comes; [`Event::Reply`] ends it. Requests given before the
    /// login is over wait for it.
    pub fn submit(&mut self, request: Request) {
        if matches!(self.phase, Phase::Closing { .. } | Phase::Closed) {
            let result = Err(Failure::new(Cause::Closed, Stage::Active));
            self.events.push_back(Event::Reply { token: request.token, result });
            return;
        }
        self.requests.submit(Origin::User(request.token), request);
    }

    /// Forgets a request. No event follows; a late answer is dropped.
    pub fn cancel(&mut self, token: u64) {
        self.requests.cancel(token);
    }

    /// Activates SOL once the login is over; [`SolEvent::Activated`] or [`SolEvent::Ended`]
    /// follows. At most one SOL activation can be there: `false` when one is.
    pub fn sol_open(&mut self, now: Instant, config: SolConfig) -> bool {
        if self.sol.is_some() || !matches!(self.phase, Phase::Active) {
            return false;
        }
        self.sol_number = self.sol_number.wrapping_add(1);
        let number = self.sol_number;
        if self.channel.as_ref().is_some_and(|channel| !channel.is_v20()) {
            let failure = Failure::new(Cause::NoSolInV15, Stage::ActivateSol);
            self.events.push_back(Event::Sol(SolEvent::Ended(failure)));
            return true;
        }
        let sol = Sol::start(number, config, &mut self.sol_session(), now);
        self.sol = Some(Box::new(sol));
        true
    }

    /// Whether SOL is active.
    pub fn sol_is_active(&self) -> bool {
        self.sol.as_ref().is_some_and(|sol| sol.is_active())
    }

    /// How many bytes [`sol_write`](Self::sol_write) would take now.
    pub fn sol_space(&self) -> usize {
        self.sol.as_ref().filter(|sol| sol.is_active()).map_or(0, |sol| sol.sender.space())
    }

    /// Bytes and breaks that are written and not acknowledged.
    pub fn sol_pending(&self) -> usize {
        self.sol.as_ref().map_or(0, |sol| sol.sender.pending())
    }

    /// Takes input for the host; says how many bytes.
    pub fn sol_write(&mut self, now: Instant, bytes: &[u8]) -> usize {
        match &mut self.sol {
            Some(sol) if sol.is_active() => sol.sender.write(now, bytes),
            _ => 0,
        }
    }

    /// Sends a break behind what was written; [`SolEvent::BreakDone`] ends it. `false` when SOL
    /// is not active.
    pub fn sol_break(&mut self, token: u64) -> bool {
        match &mut self.sol {
            Some(sol) if sol.is_active() => {
                sol.sender.send_break(token);
                true
            }
            _ => false,
        }
    }

    /// Deactivates SOL and nothing else; [`SolEvent::Ended`] follows.
    pub fn sol_close(&mut self) {
        let Some(mut sol) = self.sol.take() else { return };
        // Once is enough: the request that deactivates it is among those that are cancelled.
        if !sol.is_closing() {
            self.requests.cancel_sol(sol.number);
            sol.close(&self.sol_session());
        }
        self.sol = Some(sol);
    }

    /// Deactivates SOL and closes the session; [`Event::Closed`] follows within twice
    /// [`Timing::close`].
    pub fn close(&mut self, now: Instant) {
        self.close_because(now, Failure::new(Cause::Closed, Stage::Active));
    }

    /// The same for a session nobody waits for: a login is over only once the BMC had the time to
    /// say what it opened for it, within [`Timing::close`], so that it can be given back.
    pub fn abandon(&mut self, now: Instant) {
        let until = now + self.config.timing.close;
        if let Phase::Login(login) = &mut self.phase
            && login.abandon(until, &mut self.outbox)
        {
            return;
        }
        self.close(now);
    }

    fn close_because(&mut self, now: Instant, failure: Failure) {
        match self.phase {
            Phase::Closed | Phase::Closing { .. } => return,
            Phase::Login(_) | Phase::Login15(_) => {
                if let Phase::Login(login) = &self.phase {
                    login.close_unheard(&mut self.generator, &mut self.outbox);
                }
                return self.end(failure);
            }
            Phase::Privilege(_) | Phase::Active => {}
        }
        while let Some((origin, failure)) = self.requests.take_any_but_sol(Cause::Closed) {
            if let Origin::User(token) = origin {
                self.events.push_back(Event::Reply { token, result: Err(failure) });
            }
        }
        let until = now + self.config.timing.close * 2;
        self.phase = Phase::Closing { until, close_sent: false, failure };
        self.sol_close();
        self.close_session_when_free(now);
    }

    /// Sends Close Session once SOL is out of the way.
    fn close_session_when_free(&mut self, now: Instant) {
        let Phase::Closing { until, close_sent, .. } = &mut self.phase else { return };
        if *close_sent || self.sol.as_ref().is_some_and(|sol| !sol.is_ended()) {
            return;
        }
        *close_sent = true;
        *until = now + self.config.timing.close;
        let Some(channel) = &self.channel else { return };
        let id = channel.managed_system_session_id().0.to_le_bytes().to_vec();
        let request = internal(net_fn::APP, cmd::CLOSE_SESSION, id);
        self.requests.submit_within(Origin::Close, request, self.config.timing.close);
    }

    // What it is

    /// What this session learned, for the next one to the same BMC.
    pub fn learned(&self) -> Learned {
        self.learned
    }

    /// How far the session has come.
    pub fn stage(&self) -> Stage {
        match &self.phase {
            Phase::Login(login) => login.stage(),
            Phase::Login15(login) => login.stage(),
            Phase::Privilege(_) => Stage::Privilege,
            _ => Stage::Active,
        }
    }

    /// Whether the login is over and the session lives.
    pub fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active)
    }

    /// Whether the session is over, or on its way there.
    pub fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. } | Phase::Closed)
    }

    /// Whether SOL is active, or on its way there or back.
    pub fn sol_is_open(&self) -> bool {
        self.sol.is_some()
    }

    /// Whether SOL was taken away from somebody for this activation.
    pub fn sol_took_over(&self) -> bool {
        self.sol.as_ref().is_some_and(|sol| sol.took_over())
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// The suite of an established v2.0 session.
    pub fn cipher_suite(&self) -> Option<CipherSuiteId> {
        self.cipher_suite
    }

    /// The level the session works at.
    pub fn privilege_level(&self) -> PrivilegeLevel {
        self.privilege_level
    }

    /// The smoothed time between a request and its answer.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Requests that wait or are in flight.
    pub fn requests_len(&self) -> usize {
        self.requests.len()
    }

    /// When the last valid packet of the BMC came; at first, when the login began.
    pub fn last_valid(&self) -> Instant {
        self.last_valid
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters;
        counters.request_retransmits = self.requests.retransmits;
        if let Some(sol) = &self.sol {
            counters.sol_retransmits += sol.sender.retransmits;
            counters.sol_duplicates += sol.receiver.duplicates;
        }
        counters
    }

    // Packets of the session

    fn take_session_packet(&mut self, now: Instant, datagram: &mut [u8]) -> Result<(), DropReason> {
        let clear_sol = self.sol.as_ref().is_some_and(|sol| sol.clear_allowed());
        let Some(channel) = &mut self.channel else { return Err(DropReason::Unexpected) };
        let (payload_type, at) = match channel.open(datagram, clear_sol) {
            Ok(opened) => opened,
            Err(reason) => {
                // A BMC that restarted answers session packets outside the session.
                if is_sessionless_answer(datagram) {
                    self.handle_hint(now);
                }
                return Err(reason);
            }
        };
        self.last_valid = now;
        self.unheard_since = None;
        self.hint = None;
        let payload = datagram.get(at).unwrap_or_default();
        match payload_type {
            PayloadType::Ipmi => self.take_message(now, payload),
            PayloadType::Sol => match &mut self.sol {
                Some(sol) => {
                    sol.on_payload(now, payload);
                    Ok(())
                }
                None => Err(DropReason::Unexpected),
            },
            _ => Err(DropReason::Unexpected),
        }
    }

    fn take_message(&mut self, now: Instant, payload: &[u8]) -> Result<(), DropReason> {
        let (message, checksums) =
            Message::decode_unchecked(payload).map_err(|_| DropReason::Malformed)?;
        if !checksums {
            self.counters.bad_checksums += 1;
            // An AuthCode says more; several BMCs get the checksum wrong.
            let authenticated = self.channel.as_ref().is_some_and(Channel::is_authenticated);
            if !authenticated && !self.config.quirks.has(Quirk::NoChecksumCheck) {
                return Err(DropReason::Malformed);
            }
        }
        if !message.is_response() {
            return self.take_request(&message);
        }
        self.plan_keepalive(now);
        let (origin, reply) = match self.requests.take_response(now, &message) {
            Taken::Foreign => return Err(DropReason::Unmatched),
            Taken::Noted => return Ok(()),
            Taken::Over(origin, reply) => (origin, reply),
        };
        if let Ok(Reply { rtt: Some(rtt), .. }) = reply {
            self.rtt = Some(self.rtt.map_or(rtt, |before| (before * 7 + rtt) / 8));
        }
        self.on_reply(now, origin, reply);
        Ok(())
    }

    /// A request of the BMC to us. Only one kind is of interest.
    fn take_request(&mut self, message: &Message<'_>) -> Result<(), DropReason> {
        let is_sol_activating =
            message.net_fn == net_fn::TRANSPORT && message.cmd == cmd::SOL_ACTIVATING;
        let notice = SolActivating::decode(message.data).ok().filter(|_| is_sol_activating);
        match (&mut self.sol, notice) {
            (Some(sol), Some(notice)) => {
                if !notice.active && notice.instance == sol.instance() {
                    sol.on_deactivated_notice();
                }
                Ok(())
            }
            (None, Some(_)) => Ok(()),
            (_, None) => Err(DropReason::Unexpected),
        }
    }

    fn on_reply(&mut self, now: Instant, origin: Origin, reply: Result<Reply, Failure>) {
        match origin {
            Origin::User(token) => {
                self.events.push_back(Event::Reply { token, result: reply });
            }
            Origin::Privilege => {
                if let Phase::Privilege(wanted) = self.phase {
                    self.on_privilege(now, wanted, reply);
                }
            }
            Origin::Keepalive => self.on_keepalive(now, reply),
            Origin::Sol(number, step) => self.on_sol_reply(now, number, step, reply),
            Origin::Close => {
                if let Phase::Closing { failure, .. } = self.phase {
                    self.end(failure);
                }
            }
        }
    }

    fn on_sol_reply(
        &mut self,
        now: Instant,
        number: u32,
        step: Step,
        reply: Result<Reply, Failure>,
    ) {
        if step == Step::RaisePrivilege
            && let Ok(Reply { completion_code: CompletionCode::SUCCESS, .. }) = reply
        {
            self.privilege_level = PrivilegeLevel::Administrator;
        }
        let Some(mut sol) = self.sol.take() else { return };
        if sol.number == number {
            sol.on_reply(now, step, reply, &mut self.sol_session());
        }
        self.sol = Some(sol);
        self.close_session_when_free(now);
    }

    fn sol_session(&mut self) -> SolSession<'_> {
        let none = Algorithms {
            authentication: Authentication::None,
            integrity: Integrity::None,
            confidentiality: Confidentiality::None,
        };
        let channel = self.channel.as_ref();
        let algorithms =
            channel.and_then(Channel::cipher).map_or(none, |cipher| cipher.algorithms());
        SolSession {
            session_id: channel.map(Channel::managed_system_session_id).unwrap_or_default(),
            integrity: algorithms.integrity,
            confidentiality: algorithms.confidentiality,
            privilege_level: self.privilege_level,
            may_raise: self.config.privilege_level.is_none(),
            quirks: self.config.quirks,
            learned: &mut self.learned,
            close_time: self.config.timing.close,
        }
    }

    // Output

    /// Gives the next thing to do, `out` first being cleared: call it until it gives `Timeout`.
    pub fn poll_output(&mut self, now: Instant, out: &mut Vec<u8>) -> Output {
        out.clear();
        self.write_packets(now);
        if self.outbox.pop_into(out) {
            self.counters.sent += 1;
            return Output::Transmit;
        }
        if let Some(output) = self.poll_sol(out) {
            return output;
        }
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        if self.events.capacity() > 0 {
            // Nearly always there is none: ten thousand idle sessions need no room for them.
            self.events = VecDeque::new();
        }
        Output::Timeout(self.next_timeout(now))
    }

    /// Seals everything that is due: acknowledges first, then input, then requests.
    fn write_packets(&mut self, now: Instant) {
        let Some(channel) = &mut self.channel else { return };
        if !channel.encrypts() {
            while let Some((Origin::User(token), failure)) = self.requests.take_secret() {
                self.events.push_back(Event::Reply { token, result: Err(failure) });
            }
        }
        loop {
            self.payload.clear();
            let sol = self.sol.as_mut();
            let payload_type = if sol.is_some_and(|sol| sol.poll_packet(now, &mut self.payload)) {
                PayloadType::Sol
            } else {
                if let Some(sol) = &mut self.sol {
                    submit_sol_requests(sol, &mut self.requests);
                }
                if !self.requests.poll_transmit(now, &mut self.payload) {
                    return;
                }
                self.unheard_since.get_or_insert(now);
                PayloadType::Ipmi
            };
            channel.seal(payload_type, &self.payload, &mut self.generator, self.outbox.push());
            if payload_type == PayloadType::Ipmi {
                self.payload.zeroize(); // A password may be in it.
            }
        }
    }

    fn poll_sol(&mut self, out: &mut Vec<u8>) -> Option<Output> {
        let sol = self.sol.as_mut()?;
        match sol.poll_received(out) {
            Some(Received::Characters) => Some(Output::SolCharacters),
            Some(Received::Event(event)) => Some(Output::Event(Event::Sol(event))),
            None => {
                if sol.is_ended() {
                    self.forget_sol();
                }
                None
            }
        }
    }

    fn forget_sol(&mut self) {
        let Some(sol) = self.sol.take() else { return };
        self.counters.sol_retransmits += sol.sender.retransmits;
        self.counters.sol_duplicates += sol.receiver.duplicates;
        self.learned.duplicates = sol.sender.duplicates;
        self.learned.acknowledges_empty = sol.sender.acknowledges_empty;
        self.requests.cancel_sol(sol.number);
    }

    fn next_timeout(&self, now: Instant) -> Option<Instant> {
        let waiting = |deadline| self.requests.next_deadline().into_iter().chain([deadline]).min();
        let phase = match &self.phase {
            Phase::Login(login) => return waiting(login.deadline()),
            Phase::Login15(login) => return waiting(login.deadline()),
            Phase::Closed => return None,
            Phase::Closing { until, .. } => Some(*until),
            // The request that raises the level has a time of its own.
            Phase::Privilege(_) => None,
            _ if self.no_commands() => None,
            _ => self.lost_at().into_iter().chain([self.next_keepalive]).min(),
        };
        let requests = self.requests.next_timeout(now);
        let sol = self.sol.as_ref().and_then(|sol| sol.next_timeout(now));
        requests.into_iter().chain(sol).chain(phase).min()
    }
}

/// Whether this is a response in v1.5 form of no session.
fn is_sessionless_answer(datagram: &[u8]) -> bool {
    let Ok((Class::Ipmi, block)) = rmcp::decode(datagram) else { return false };
    let Ok((header, message)) = ipmi15::decode(block) else { return false };
    header.session_id == SessionId(0)
        && Message::decode(message).is_ok_and(|message| message.is_response())
}

fn submit_sol_requests(sol: &mut Sol, requests: &mut Requests) {
    while let Some((step, request, limit)) = sol.poll_request() {
        let origin = Origin::Sol(sol.number, step);
        match limit {
            Some(limit) => requests.submit_within(origin, request, limit),
            None => requests.submit(origin, request),
        }
    }
}
