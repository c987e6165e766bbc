//! Requests in flight: numbering, sending again, matching answers, giving up.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::bridge::{self, ANSWER_TIME, ANSWER_WAIT, Bridged, Target};
use super::config::Timing;
use super::failure::{Cause, Failure, Stage};
use crate::wire::message::{CompletionCode, Message, RqSeq, net_fn};
use crate::wire::session_command::cmd;

/// An unanswered keepalive is sent so often at a steady and quick pace, before the pace slows
/// down: a BMC that ends sessions after 30 s has to get one of these.
const KEEPALIVE_STEADY: u32 = 7;
const KEEPALIVE_PACE: Duration = Duration::from_millis(500);
/// More transmissions than this are as good as never giving up.
const TRANSMISSIONS_MAX: u32 = 1000;

/// Whether a request may be sent again when no answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repeat {
    /// Decide by command: those that act (chassis control, resets, writes that add) are sent
    /// again once, all others as often as [`Timing::request_transmissions`] says.
    #[default]
    ByCommand,
    /// Always.
    Idempotent,
    /// Never.
    Never,
}

/// Whether the data of a request are secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Secrecy {
    /// They are not.
    #[default]
    Open,
    /// They are: sent in an encrypted session only, otherwise it fails with
    /// [`Cause::NotEncrypted`].
    Secret,
    /// They are, and are sent in the clear all the same when the session does not encrypt.
    SecretInClear,
}

/// A request to the managed system, or to a controller behind it.
#[derive(Clone, Default)]
pub struct Request {
    /// Given back with the answer.
    pub token: u64,
    /// Where it goes.
    pub target: Target,
    /// Network function, even.
    pub net_fn: u8,
    /// Command number.
    pub cmd: u8,
    /// Request data, zeroed on drop.
    pub data: Zeroizing<Vec<u8>>,
    /// When to give up; `None`: when the usual number of transmissions would have been made.
    pub deadline: Option<Instant>,
    /// Whether it may be sent again.
    pub repeat: Repeat,
    /// Whether its data may be seen.
    pub secrecy: Secrecy,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut request = f.debug_struct("Request");
        request.field("token", &self.token).field("target", &self.target);
        request.field("net_fn", &self.net_fn).field("cmd", &self.cmd);
        match self.secrecy {
            Secrecy::Open => request.field("data", &*self.data),
            _ => request.field("data", &format_args!("{} secret bytes", self.data.len())),
        };
        request.finish_non_exhaustive()
    }
}

/// A response: completion code and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The completion code.
    pub completion_code: CompletionCode,
    /// Response data behind the completion code.
    pub data: Vec<u8>,
    /// How long the answer took; `None` when the request was sent more than once, so that
    /// nobody knows to which copy this is the answer.
    pub rtt: Option<Duration>,
}

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The user of the session, with their token.
    User(u64),
    /// Set Session Privilege Level after the login.
    Privilege,
    /// The keepalive.
    Keepalive,
    /// A step of SOL activation number `.0`.
    Sol(u32, super::sol::Step),
    /// Deactivate Payload or Close Session while closing.
    Close,
}

struct InFlight {
    origin: Origin,
    request: Request,
    rq_seq: RqSeq,
    transmissions: u32,
    transmissions_max: u32,
    first_sent: Instant,
    wait: Duration,
    wait_max: Duration,
    /// So many transmissions come before the wait grows.
    steady: u32,
    /// When to send again or give up.
    next: Instant,
    give_up: Option<Instant>,
    /// How many steps of its way a bridged request is known to have made.
    accepted: usize,
}

struct Queued {
    origin: Origin,
    request: Request,
    transmissions_max: u32,
    wait: Duration,
    wait_max: Duration,
    steady: u32,
    /// How long after the first transmission to give up, unless the request has a deadline.
    limit: Option<Duration>,
}

impl InFlight {
    fn is_over(&self, now: Instant) -> bool {
        self.give_up.is_some_and(|at| now >= at)
    }

    /// A bridged request has been passed on: from now on the controller has its time.
    fn accept(&mut self, now: Instant) {
        if self.accepted >= self.request.target.hops().count() {
            return;
        }
        self.accepted += 1;
        let overall = self.request.deadline;
        self.give_up = overall.into_iter().chain([now + ANSWER_TIME]).min();
        // It is there: what acts would be done twice.
        if acts(self.request.net_fn, self.request.cmd) {
            self.transmissions_max = self.transmissions;
        }
        self.wait = self.wait.max(ANSWER_WAIT);
        self.plan(now);
    }

    /// Plans what follows a transmission.
    fn plan(&mut self, now: Instant) {
        let again = self.transmissions < self.transmissions_max;
        let next = again.then_some(now + self.wait);
        // Something is always due: only what is sent for ever has no end.
        self.next = next.into_iter().chain(self.give_up).min().unwrap_or(now + self.wait);
    }
}

/// What became of a response.
#[derive(Debug)]
pub(super) enum Taken {
    /// It answers no request.
    Foreign,
    /// It is about one that is not over yet.
    Noted,
    /// That request is over.
    Over(Origin, Result<Reply, Failure>),
}

/// All requests of one session.
pub(super) struct Requests {
    queue: VecDeque<Queued>,
    in_flight: Vec<InFlight>,
    window: usize,
    rq_seq: RqSeq,
    /// Numbers under which an answer may still come, and until when they are not used.
    retired: Vec<(RqSeq, Instant)>,
    timing: RequestTiming,
    /// How many requests were sent again.
    pub retransmits: u32,
}

#[derive(Clone, Copy)]
struct RequestTiming {
    first: Duration,
    max: Duration,
    transmissions: u32,
}

impl RequestTiming {
    /// How long all transmissions take together, the wait after the last one included.
    fn total(self) -> Duration {
        let waits = std::iter::successors(Some(self.first), |wait| {
            Some((*wait * 2).min(self.max.max(*wait)))
        });
        waits.take(self.transmissions.min(TRANSMISSIONS_MAX) as usize).sum()
    }
}

impl Request {
    /// Whether to send it once more than needed could do harm.
    pub fn acts(&self) -> bool {
        match self.repeat {
            Repeat::Never => true,
            Repeat::ByCommand => acts(self.net_fn, self.cmd),
            Repeat::Idempotent => false,
        }
    }
}

/// How many different rqSeq there are.
const RQ_SEQ_COUNT: u32 = 64;
/// How long the answer to a copy of a request may take after another copy was answered, or
/// after nobody waits for it any more.
const LATE_ANSWER: Duration = Duration::from_secs(20);

/// Commands that act: executed twice they do harm (03 section 4 of the protocol notes).
pub(crate) fn acts(net_fn_number: u8, command: u8) -> bool {
    matches!(
        (net_fn_number, command),
        (net_fn::CHASSIS, 0x02)
            | (net_fn::APP, 0x02 | 0x03 | 0x34 | 0x47)
            | (net_fn::STORAGE, 0x12 | 0x44 | 0x46 | 0x47)
            | (net_fn::FIRMWARE, _)
    )
}

impl Requests {
    /// With a window of one, until [`set_window`](Self::set_window).
    pub fn new(first: RqSeq, timing: &Timing) -> Self {
        Requests {
            queue: VecDeque::new(),
            in_flight: Vec::new(),
            window: 1,
            rq_seq: first,
            retired: Vec::new(),
            timing: RequestTiming {
                first: timing.request_first,
                max: timing.request_max,
                transmissions: timing.request_transmissions.max(1),
            },
            retransmits: 0,
        }
    }

    /// How many requests may be in flight.
    pub fn set_window(&mut self, window: usize) {
        self.window = window.max(1);
    }

    /// Takes a request; it is sent when its turn comes.
    pub fn submit(&mut self, origin: Origin, request: Request) {
        let transmissions_max = match request.repeat {
            Repeat::Never => 1,
            Repeat::ByCommand if acts(request.net_fn, request.cmd) => 2,
            _ => self.timing.transmissions,
        };
        self.make_room();
        self.queue.push_back(Queued {
            origin,
            request,
            transmissions_max,
            wait: self.timing.first,
            wait_max: self.timing.max,
            steady: 1,
            limit: Some(self.timing.total()),
        });
    }

    /// Room for one more, and no more than that: of ten thousand sessions nearly all have nothing
    /// to ask but whether the BMC is still there.
    fn make_room(&mut self) {
        self.queue.reserve_exact(1);
    }

    /// Takes a request that is sent before all that wait.
    pub fn submit_first(&mut self, origin: Origin, request: Request) {
        self.submit(origin, request);
        self.queue.rotate_right(1);
    }

    /// Takes a request that is sent before all others and again until the session is lost.
    pub fn submit_keepalive(&mut self, request: Request, wait_max: Duration) {
        let queued = Queued {
            origin: Origin::Keepalive,
            request,
            transmissions_max: u32::MAX,
            wait: self.timing.first.min(KEEPALIVE_PACE),
            wait_max,
            steady: KEEPALIVE_STEADY,
            limit: None,
        };
        self.make_room();
        self.queue.push_front(queued);
    }

    /// Takes a request that must be done with within `limit`.
    pub fn submit_within(&mut self, origin: Origin, request: Request, limit: Duration) {
        let half = limit / 2;
        self.make_room();
        self.queue.push_back(Queued {
            origin,
            request,
            transmissions_max: 2,
            wait: half,
            wait_max: half,
            steady: 1,
            limit: Some(limit),
        });
    }

    /// Writes the LAN message of the next request that is due, if any.
    pub fn poll_transmit(&mut self, now: Instant, message: &mut Vec<u8>) -> bool {
        if let Some(due) = self
            .in_flight
            .iter_mut()
            .find(|r| now >= r.next && r.transmissions < r.transmissions_max && !r.is_over(now))
        {
            due.transmissions += 1;
            if due.transmissions > due.steady {
                due.wait = (due.wait * 2).min(due.wait_max.max(due.wait));
            }
            due.plan(now);
            self.retransmits += 1;
            bridge::encode(&due.request, due.rq_seq, message);
            return true;
        }
        let has_room = self.in_flight.len() < self.window;
        let keepalive = self.queue.front().is_some_and(|q| q.origin == Origin::Keepalive);
        if !has_room && !keepalive {
            return false;
        }
        let Some(queued) = self.queue.pop_front() else { return false };
        self.rq_seq = self.next_rq_seq(now);
        bridge::encode(&queued.request, self.rq_seq, message);
        let mut sent = InFlight {
            origin: queued.origin,
            rq_seq: self.rq_seq,
            transmissions: 1,
            transmissions_max: queued.transmissions_max,
            first_sent: now,
            wait: queued.wait,
            wait_max: queued.wait_max,
            steady: queued.steady,
            next: now,
            give_up: queued.request.deadline.or(queued.limit.map(|limit| now + limit)),
            request: queued.request,
            accepted: 0,
        };
        sent.plan(now);
        self.in_flight.reserve_exact(1);
        self.in_flight.push(sent);
        true
    }

    /// Gives up one request whose time is over, if any.
    pub fn poll_expired(&mut self, now: Instant) -> Option<(Origin, Failure)> {
        let over = |queued: &Queued| queued.request.deadline.is_some_and(|at| now >= at);
        if let Some(at) = self.queue.iter().position(over) {
            let queued = self.queue.remove(at)?;
            return Some((queued.origin, Failure::new(Cause::TimedOut, Stage::Active)));
        }
        let at = self.in_flight.iter().position(|r| r.is_over(now))?;
        let gone = self.in_flight.swap_remove(at);
        self.retired.push((gone.rq_seq, now + LATE_ANSWER));
        let silent = if gone.accepted > 0 { Cause::NoBridgedAnswer } else { Cause::TimedOut };
        Some((gone.origin, Failure::new(unanswered(&gone.request, silent), Stage::Active)))
    }

    /// Takes out one request whose data must not be seen, if any waits: for a session that does
    /// not encrypt.
    pub fn take_secret(&mut self) -> Option<(Origin, Failure)> {
        let at = self.queue.iter().position(|q| q.request.secrecy == Secrecy::Secret)?;
        let queued = self.queue.remove(at)?;
        Some((queued.origin, Failure::new(Cause::NotEncrypted, Stage::Active)))
    }

    /// Finds the request a response answers; anything else is a late duplicate or foreign.
    ///
    /// Addresses are not compared: one BMC stack answers from and to 20h.
    pub fn take_response(&mut self, now: Instant, message: &Message<'_>) -> Taken {
        let bridged = |r: &InFlight| {
            r.request.target.is_bridged()
                && bridge::read(&r.request, r.rq_seq, message) != Bridged::Foreign
        };
        if let Some(at) = self.in_flight.iter().position(bridged) {
            return self.take_bridged(now, at, message);
        }
        let Some((completion_code, data)) = message.completion() else { return Taken::Foreign };
        let at = self.in_flight.iter().position(|r| {
            r.rq_seq == message.rq_seq
                && !r.request.target.is_bridged()
                && r.request.net_fn | 1 == message.net_fn
                && r.request.cmd == message.cmd
                && names_same_group(&r.request, data)
        });
        match at {
            Some(at) => self.take_answer(now, at, completion_code, data),
            None => Taken::Foreign,
        }
    }

    fn take_bridged(&mut self, now: Instant, at: usize, message: &Message<'_>) -> Taken {
        let entry = &mut self.in_flight[at];
        match bridge::read(&entry.request, entry.rq_seq, message) {
            Bridged::Answer(completion_code, data) if names_same_group(&entry.request, data) => {
                self.take_answer(now, at, completion_code, data)
            }
            // What is said of a copy changes nothing for one that is on its way.
            Bridged::Refused(CompletionCode::DUPLICATED_REQUEST) if entry.transmissions > 1 => {
                Taken::Noted
            }
            Bridged::Refused(code) if entry.accepted < entry.request.target.hops().count() => {
                let gone = self.in_flight.swap_remove(at);
                self.retired.push((gone.rq_seq, now + LATE_ANSWER));
                let failure = Failure::by_completion(Cause::NotBridged, Stage::Active, code);
                Taken::Over(gone.origin, Err(failure))
            }
            Bridged::Accepted => {
                entry.accept(now);
                Taken::Noted
            }
            _ => Taken::Foreign,
        }
    }

    fn take_answer(
        &mut self,
        now: Instant,
        at: usize,
        completion_code: CompletionCode,
        data: &[u8],
    ) -> Taken {
        let entry = &self.in_flight[at];
        // A BMC that still works on the first copy says so to the second one.
        if completion_code == CompletionCode::DUPLICATED_REQUEST && entry.transmissions > 1 {
            return Taken::Foreign;
        }
        let answered = self.in_flight.swap_remove(at);
        let bridged = answered.request.target.is_bridged();
        // That Send Message was done may be heard after the answer itself.
        if answered.transmissions > 1 || bridged {
            self.retired.push((answered.rq_seq, now + LATE_ANSWER));
        }
        let once = answered.transmissions == 1 && !bridged;
        let rtt = once.then(|| now - answered.first_sent);
        let reply = Reply { completion_code, data: data.to_vec(), rtt };
        Taken::Over(answered.origin, Ok(reply))
    }

    /// Takes one request out of all, with the failure that fits: for the end of a session.
    pub fn take_any(&mut self, cause: Cause) -> Option<(Origin, Failure)> {
        if let Some(gone) = self.in_flight.pop() {
            let cause = unanswered(&gone.request, cause);
            return Some((gone.origin, Failure::new(cause, Stage::Active)));
        }
        let queued = self.queue.pop_front()?;
        Some((queued.origin, Failure::new(cause, Stage::Active)))
    }

    /// The same, leaving out those of a SOL activation: they still have to end it.
    pub fn take_any_but_sol(&mut self, cause: Cause) -> Option<(Origin, Failure)> {
        let sol = |origin: Origin| matches!(origin, Origin::Sol(..));
        if let Some(at) = self.in_flight.iter().position(|r| !sol(r.origin)) {
            let gone = self.in_flight.swap_remove(at);
            let cause = unanswered(&gone.request, cause);
            return Some((gone.origin, Failure::new(cause, Stage::Active)));
        }
        let at = self.queue.iter().position(|q| !sol(q.origin))?;
        let queued = self.queue.remove(at)?;
        Some((queued.origin, Failure::new(cause, Stage::Active)))
    }

    /// Forgets one user's request, in flight or not. A late answer matches nothing.
    pub fn cancel(&mut self, token: u64) {
        self.forget(|origin| origin == Origin::User(token));
    }

    /// Forgets the requests of a SOL activation.
    pub fn cancel_sol(&mut self, activation: u32) {
        self.forget(|origin| matches!(origin, Origin::Sol(number, _) if number == activation));
    }

    fn forget(&mut self, is_theirs: impl Fn(Origin) -> bool) {
        self.queue.retain(|q| !is_theirs(q.origin));
        for gone in self.in_flight.extract_if(.., |r| is_theirs(r.origin)) {
            self.retired.push((gone.rq_seq, gone.next + LATE_ANSWER));
        }
    }

    /// The next number that names no other request, nor may still be answered for one. When
    /// there is none, the one retired first.
    fn next_rq_seq(&mut self, now: Instant) -> RqSeq {
        self.retired.retain(|(_, until)| *until > now);
        let mut candidate = self.rq_seq;
        for _ in 0..RQ_SEQ_COUNT {
            candidate = candidate.next();
            let used = self.in_flight.iter().any(|r| r.rq_seq == candidate)
                || self.retired.iter().any(|(number, _)| *number == candidate);
            if !used {
                return candidate;
            }
        }
        match self.retired.is_empty() {
            true => self.rq_seq.next(),
            false => self.retired.remove(0).0,
        }
    }

    /// Whether a request of this origin waits or is in flight.
    pub fn has(&self, origin: Origin) -> bool {
        self.in_flight.iter().any(|r| r.origin == origin)
            || self.queue.iter().any(|q| q.origin == origin)
    }

    /// How many wait or are in flight.
    pub fn len(&self) -> usize {
        self.queue.len() + self.in_flight.len()
    }

    /// The first deadline among the requests that wait.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.queue.iter().filter_map(|q| q.request.deadline).min()
    }

    /// When something is due; `now` when something can be sent.
    pub fn next_timeout(&self, now: Instant) -> Option<Instant> {
        let keepalive = self.queue.front().is_some_and(|q| q.origin == Origin::Keepalive);
        if keepalive || !self.queue.is_empty() && self.in_flight.len() < self.window {
            return Some(now);
        }
        let in_flight = self.in_flight.iter().map(|r| r.next);
        in_flight.chain(self.next_deadline()).min()
    }
}

fn unanswered(request: &Request, cause: Cause) -> Cause {
    if acts(request.net_fn, request.cmd) { Cause::OutcomeUnknown } else { cause }
}

/// Group and OEM requests name an organisation; a response that names another is not theirs.
/// Error responses may leave it out.
fn names_same_group(request: &Request, response: &[u8]) -> bool {
    let len = match request.net_fn {
        net_fn::GROUP_EXTENSION => 1,
        net_fn::OEM_GROUP => 3,
        _ => 0,
    };
    match (request.data.get(..len), response.get(..len)) {
        (Some(asked), Some(answered)) => asked == answered,
        _ => true,
    }
}

/// The request of Get Device ID, the keepalive every BMC answers.
pub(super) fn get_device_id() -> Request {
    internal(net_fn::APP, cmd::GET_DEVICE_ID, Vec::new())
}

/// A request the session makes for itself.
pub(super) fn internal(net_fn_number: u8, command: u8, data: Vec<u8>) -> Request {
    Request {
        net_fn: net_fn_number,
        cmd: command,
        data: data.into(),
        repeat: Repeat::Idempotent,
        ..Request::default()
    }
}
