//! One BMC over time: its sessions come and go, and what is wanted of it stays.
//!
//! A [`Supervisor`] logs in when something is asked for, gives every command and console its one
//! session, and begins again after a loss, a failure or another configuration. Like a
//! [`Session`] it does no I/O and reads no clock: the time is an argument; after each call, call
//! [`poll_output`](Supervisor::poll_output) until it gives `Timeout`.
//!
//! Sessions are told apart by where they are kept: the live one, and those that part. Of a
//! session that parts nothing is passed on but its packets, so that no byte, answer or event of
//! an older configuration reaches anybody.

mod consoles;
mod kept;
#[cfg(loom)]
mod model;
mod output;
mod retry;
mod sessions;
mod target;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

pub use self::consoles::ConsoleSettings;
pub use self::kept::Keep;
pub(crate) use self::kept::{Due, Kept, nobody_attached};
pub use self::output::{ConsoleChange, Event, Output};
pub use self::retry::RetryConfig;
pub(crate) use self::retry::chance;
pub use self::target::Target;

use self::consoles::Link;
use crate::error::{Error, ErrorKind};
use crate::session::{
    Cause, Counters, DropReason, Failure, Learned, Reply, Request, Session, Stage,
};

/// Sessions that may be parting at once: each takes two seconds at most. When there are more, the
/// oldest ones are left to the BMC's own timeout.
const PARTING_MAX: usize = 8;
/// BMCs of which what was learned is kept: a configuration that goes to and fro finds it again.
const LEARNED_MAX: usize = 4;
/// How often a command or a console is begun again because its session was lost under it.
const SESSIONS_PER_REQUEST: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No session, and nobody wants one.
    Idle,
    /// Its addresses are being looked up.
    Resolving,
    /// Its login waits for its turn.
    Waiting,
    /// A session logs in or is up.
    Session,
}

/// A session and where its packets go.
struct Live {
    session: Box<Session>,
    peer: SocketAddr,
    /// When it wants to be called.
    deadline: Option<Instant>,
    /// It has nothing to give before it is given something.
    drained: bool,
}

/// A request that is not answered.
struct Pending {
    token: u64,
    /// To begin it again with another session.
    request: Request,
    sessions: u32,
}

/// What ICMP said of the BMC's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp {
    /// Its address is there, and nobody listens at the port.
    pub refused: bool,
    /// In words.
    pub text: &'static str,
}

/// One BMC over time.
pub struct Supervisor {
    target: Target,
    /// Where the next chance for a waiting time comes from; nothing secret.
    chance: u64,
    phase: Phase,
    live: Option<Live>,
    parting: VecDeque<Live>,
    /// What was learned of the BMCs it was pointed at last, by host and port.
    learned: VecDeque<(String, u16, Learned)>,
    /// Addresses still to try, the current one first.
    addresses: Vec<SocketAddr>,
    /// Which look-up is awaited: an older one's answer is not.
    lookup: u64,
    icmp: Option<Icmp>,
    /// The live session is or was established.
    established: bool,
    /// A login that had its turn is not over.
    logging_in: bool,
    /// A session is wanted for its own sake: there was one before the configuration changed.
    reopen: bool,
    /// Who waits for the session to be up.
    waiters: Vec<u64>,
    pending: Vec<Pending>,
    /// Requests that wait for a session.
    queued: Vec<Request>,
    console: Option<Box<Link>>,
    /// The console that follows the one that is being closed.
    next_console: Option<Box<Link>>,
    /// Counters of sessions that are over.
    counters: Counters,
    released: bool,
    shut_down: bool,
    gone: bool,
    events: VecDeque<Event>,
}

impl Supervisor {
    /// Nothing happens before something is asked for. `chance` is any number: it decides how
    /// waiting times are spread, and nothing else.
    pub fn new(target: Target, chance: u64) -> Self {
        Supervisor {
            target,
            chance,
            phase: Phase::Idle,
            live: None,
            parting: VecDeque::new(),
            learned: VecDeque::new(),
            addresses: Vec::new(),
            lookup: 0,
            icmp: None,
            established: false,
            logging_in: false,
            reopen: false,
            waiters: Vec::new(),
            pending: Vec::new(),
            queued: Vec::new(),
            console: None,
            next_console: None,
            counters: Counters::default(),
            released: false,
            shut_down: false,
            gone: false,
            events: VecDeque::new(),
        }
    }

    // What happened

    /// Takes a datagram from an address of the BMC.
    ///
    /// The live session has the first look; one that parts, and still knows the packet for its
    /// own, the second.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &mut [u8],
    ) -> Result<(), DropReason> {
        let mut result = Err(DropReason::Unexpected);
        for live in self.live.iter_mut().chain(&mut self.parting).filter(|l| l.peer == from) {
            live.drained = false;
            result = live.session.handle_datagram(now, datagram);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// The time [`Output::Timeout`] named is there.
    pub fn handle_timeout(&mut self, now: Instant) {
        for live in self.live.iter_mut().chain(&mut self.parting) {
            if live.deadline.is_some_and(|deadline| deadline <= now) {
                live.drained = false;
                live.session.handle_timeout(now);
            }
        }
        self.check_consoles(now);
    }

    /// ICMP said something of one of its addresses.
    pub fn handle_icmp(&mut self, now: Instant, to: SocketAddr, icmp: Icmp) {
        if let Some(live) = self.live.as_mut().filter(|live| live.peer == to) {
            self.icmp = Some(icmp);
            live.drained = false;
            live.session.handle_hint(now);
        }
    }

    /// The answer to [`Event::Resolve`].
    pub fn handle_addresses(
        &mut self,
        now: Instant,
        lookup: u64,
        addresses: Result<Vec<SocketAddr>, Error>,
    ) {
        if self.phase != Phase::Resolving || self.lookup != lookup {
            return;
        }
        self.phase = Phase::Idle;
        match addresses {
            Ok(addresses) if addresses.is_empty() => {
                let text = "the name has no address";
                self.fail(now, &Error::with_text(ErrorKind::NameNotFound, text));
            }
            Ok(addresses) => {
                self.addresses = addresses;
                self.wait_for_turn();
            }
            Err(error) => self.fail(now, &error),
        }
    }

    /// Where a login that waits for its turn would go; `None` when it does not want to any more.
    pub fn next_peer(&mut self) -> Option<SocketAddr> {
        if self.phase != Phase::Waiting {
            return None;
        }
        self.addresses.first().copied()
    }

    /// The login's turn has come. `seed` is 32 bytes of entropy for this login's random numbers.
    pub fn begin_login(&mut self, now: Instant, seed: [u8; 32]) {
        let Some(peer) = self.next_peer() else { return };
        let mut session = Session::new(self.target.session.clone(), self.learned(), seed, now);
        for request in self.queued.drain(..) {
            session.submit(request);
        }
        self.phase = Phase::Session;
        self.icmp = None;
        self.established = false;
        self.logging_in = true;
        self.reopen = false;
        self.live = Some(Live { session: Box::new(session), peer, deadline: None, drained: false });
    }

    /// A login or session cannot go on, for a reason outside the protocol.
    pub fn fail(&mut self, now: Instant, error: &Error) {
        self.drop_live();
        self.forget(now, error, false);
    }

    // What is asked for

    /// Wants a session; [`Event::Done`] with `token` says when it is up, or why not.
    pub fn connect(&mut self, token: u64) {
        if self.shut_down {
            return self.done(token, Err(Error::new(ErrorKind::ShutDown)));
        }
        if self.live.as_ref().is_some_and(|live| live.session.is_active()) {
            return self.done(token, Ok(()));
        }
        self.waiters.push(token);
        self.want();
    }

    /// Sends a request once there is a session; [`Event::Reply`] ends it.
    pub fn submit(&mut self, now: Instant, mut request: Request) {
        if self.shut_down {
            let result = Err(Error::new(ErrorKind::ShutDown));
            return self.events.push_back(Event::Reply { token: request.token, result });
        }
        request.deadline = request.deadline.map(|deadline| deadline.max(now));
        self.pending.push(Pending { token: request.token, request: request.clone(), sessions: 1 });
        match &mut self.live {
            Some(live) if !live.session.is_closing() => {
                live.drained = false;
                live.session.submit(request);
            }
            _ => {
                self.queued.push(request);
                self.want();
            }
        }
    }

    /// Forgets a request. No event follows.
    pub fn cancel(&mut self, now: Instant, token: u64) {
        self.pending.retain(|pending| pending.token != token);
        self.queued.retain(|request| request.token != token);
        if let Some(live) = &mut self.live {
            live.drained = false;
            live.session.cancel(token);
        }
        self.stop_unwanted_login(now);
    }

    /// Somebody has waited long enough: says what is known, and stops trying for what nobody
    /// else wants.
    pub fn give_up(&mut self, now: Instant, token: u64) {
        let error = self.why_not_yet();
        if take(&mut self.waiters, token) {
            self.done(token, Err(error.clone()));
        }
        self.give_up_consoles(token, &error);
        self.stop_unwanted_login(now);
    }

    /// Another configuration. One that leads to the same session breaks nothing. Any other ends
    /// what is under way with `Reconfigured`, closes the session in the background, and begins
    /// anew at once if there was one or one is wanted.
    pub fn reconfigure(&mut self, now: Instant, target: Target) {
        if !self.target.breaks(&target) {
            self.target = target;
            return;
        }
        let error = Error::new(ErrorKind::Reconfigured);
        let waiting: Vec<u64> = self.queued.iter().map(|request| request.token).collect();
        for pending in std::mem::take(&mut self.pending) {
            if waiting.contains(&pending.token) {
                self.pending.push(pending);
            } else {
                let (token, result) = (pending.token, Err(error.clone()));
                self.events.push_back(Event::Reply { token, result });
            }
        }
        self.reopen |= self.phase == Phase::Session && !self.released;
        let was_up = self.established && self.live.is_some();
        self.part(now);
        self.target = target;
        self.forget_refusal();
        if was_up {
            self.events.push_back(Event::Ended { error: error.clone(), was_up, asked_for: true });
        }
        self.break_consoles(now, &error);
        self.phase = Phase::Idle;
        self.want();
    }

    /// Nobody holds it any more: closes what is open; [`Event::Gone`] follows.
    pub fn release(&mut self, now: Instant) {
        self.released = true;
        self.reopen = false;
        self.stop_retrying();
        match &mut self.live {
            Some(live) => {
                live.drained = false;
                live.session.close(now);
            }
            None => self.phase = Phase::Idle,
        }
    }

    /// The engine ends: whoever waits gets `ShutDown`, then as [`release`](Self::release).
    pub fn shut_down(&mut self, now: Instant) {
        self.shut_down = true;
        let error = Error::new(ErrorKind::ShutDown);
        self.fail_waiters(&error);
        self.fail_requests(&error);
        self.shut_down_consoles(&error);
        self.release(now);
    }

    // What it is

    /// The live session.
    pub fn session(&self) -> Option<&Session> {
        self.live.as_ref().map(|live| live.session.as_ref())
    }

    /// The live session, to be given input for its console.
    pub fn session_mut(&mut self) -> Option<&mut Session> {
        self.live.as_mut().map(|live| {
            live.drained = false;
            live.session.as_mut()
        })
    }

    /// What was counted over all sessions.
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters;
        for live in self.live.iter().chain(&self.parting) {
            counters.add(&live.session.counters());
        }
        counters
    }

    /// Requests that are not answered.
    pub fn requests_len(&self) -> usize {
        self.pending.len()
    }

    /// Whether nobody holds it any more.
    pub fn is_released(&self) -> bool {
        self.released
    }

    /// What it is logged in with, or would be.
    pub fn target(&self) -> &Target {
        &self.target
    }

    fn done(&mut self, token: u64, result: Result<(), Error>) {
        self.events.push_back(Event::Done { token, result });
    }
}

/// Takes a token out of a list; says whether it was there.
fn take(tokens: &mut Vec<u64>, token: u64) -> bool {
    let before = tokens.len();
    tokens.retain(|other| *other != token);
    tokens.len() < before
}
