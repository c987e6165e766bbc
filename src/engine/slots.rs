//! What a shard holds of one BMC: its session, who waits for it, and how to find it by address.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use slotmap::new_key_type;

use super::console::ConsoleShared;
use super::deadline::Armed;
use super::socket::IcmpError;
use super::stats::BmcStats;
use super::wait::Completer;
use crate::config::BmcConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Cause, CipherSuiteId, Failure, Learned, Reply, Session, SolEvent, Stage};
use crate::sync::Mutex;
use crate::wire::PrivilegeLevel;

new_key_type! {
    /// A BMC of one shard; never used again for another one.
    pub(crate) struct BmcKey;
}

/// What the handles of a BMC can read at any time.
#[derive(Debug)]
pub(crate) struct BmcShared {
    pub config: BmcConfig,
    pub status: Mutex<BmcStatus>,
}

/// A BMC's session as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BmcStatus {
    /// Whether a session is up.
    pub connected: bool,
    /// The suite of the session that is or was up last; `None` for v1.5.
    pub cipher_suite: Option<CipherSuiteId>,
    /// The level that session works at.
    pub privilege_level: Option<PrivilegeLevel>,
    /// The BMC's address, once its name was resolved.
    pub address: Option<SocketAddr>,
    /// How many logins succeeded.
    pub logins: u64,
    /// Why the last session or login ended.
    pub last_error: Option<Error>,
}

/// Datagrams of one BMC that are read in one turn. One that keeps to the protocol has a few on
/// their way; what a flooding one sends beyond costs nobody time.
const SHARE: u32 = 32;

/// How a BMC stands at its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No session, and nobody wants one.
    Idle,
    /// Its name is being looked up.
    Resolving,
    /// Its login waits for its turn: the engine limits how many there are.
    Waiting,
    /// A session logs in, is up, or closes.
    Session,
}

/// The live end of a session: where its packets go.
#[derive(Debug)]
pub(super) struct Live {
    pub session: Box<Session>,
    pub socket: usize,
    pub peer: SocketAddr,
}

/// A console attached to the BMC.
pub(super) struct ConsoleLink {
    pub shared: Arc<ConsoleShared>,
    /// Somebody wants it connected, and it is not yet.
    pub wanted: bool,
    pub waiters: Vec<(u64, Completer<()>)>,
    pub closers: Vec<Completer<()>>,
    pub breaks: HashMap<u64, Completer<()>>,
}

/// A request that waits for its reply.
pub(super) type Pending = HashMap<u64, Completer<Reply>>;

/// One BMC.
pub(super) struct Slot {
    pub shared: Arc<BmcShared>,
    pub phase: Phase,
    pub live: Option<Live>,
    pub learned: Learned,
    /// Addresses still to try, the current one first.
    pub addresses: Vec<SocketAddr>,
    /// Which look-up is awaited: an older one's answer is not.
    pub lookup: u64,
    pub waiters: Vec<(u64, Completer<()>)>,
    pub pending: Pending,
    /// Requests that wait for a session.
    pub queued: Vec<crate::session::Request>,
    pub console: Option<ConsoleLink>,
    /// The console that follows the one that is being closed.
    pub next_console: Option<ConsoleLink>,
    pub icmp: Option<IcmpError>,
    pub armed: Armed,
    /// It is in the line of those who wait to log in; maybe it does not want to any more.
    pub in_line: bool,
    /// Its login counts as running.
    pub logging_in: bool,
    /// SOL is active.
    pub sol_is_up: bool,
    /// Of how many datagrams it has had its share, in which turn.
    share: (u64, u32),
    /// What was counted, the live session apart.
    pub stats: BmcStats,
    /// The last handle is gone: close, then forget.
    pub released: bool,
    /// The engine is being dropped: that is why things are closed.
    pub shut_down: bool,
    /// The token of the last break.
    pub next_token: u64,
}

impl Slot {
    pub fn new(shared: Arc<BmcShared>) -> Self {
        Slot {
            shared,
            phase: Phase::Idle,
            live: None,
            learned: Learned::default(),
            addresses: Vec::new(),
            lookup: 0,
            waiters: Vec::new(),
            pending: HashMap::new(),
            queued: Vec::new(),
            console: None,
            next_console: None,
            icmp: None,
            armed: Armed::default(),
            in_line: false,
            logging_in: false,
            sol_is_up: false,
            share: (0, 0),
            stats: BmcStats::default(),
            released: false,
            shut_down: false,
            next_token: 0,
        }
    }

    /// Whether anybody waits for the session to come up or for an answer.
    pub fn is_wanted(&self) -> bool {
        !self.waiters.is_empty()
            || !self.pending.is_empty()
            || self.consoles().any(|console| console.wanted)
    }

    /// Whether it may have one more datagram read in this turn.
    pub fn takes_share(&mut self, turn: u64) -> bool {
        let taken = if self.share.0 == turn { self.share.1 } else { 0 };
        self.share = (turn, taken + 1);
        let fits = taken < SHARE;
        self.stats.over_share += u64::from(!fits);
        fits
    }

    /// What was counted, the live session and all before it.
    pub fn stats(&self, now: Instant) -> BmcStats {
        let mut stats = self.stats.clone();
        stats.requests = self.pending.len();
        if let Some(live) = &self.live {
            stats.counters.add(&live.session.counters());
            stats.round_trip = live.session.rtt();
            stats.last_heard = Some(now.saturating_duration_since(live.session.last_valid()));
        }
        stats
    }

    /// The console that is attached and the one that follows it.
    pub fn consoles(&self) -> impl Iterator<Item = &ConsoleLink> {
        self.console.iter().chain(&self.next_console)
    }

    /// The attached console is done with: the next one takes its place.
    pub fn remove_console(&mut self) {
        self.console = self.next_console.take();
    }

    /// Ends everybody's wait for the session.
    pub fn fail_waiters(&mut self, error: &Error) {
        for (_, waiter) in self.waiters.drain(..) {
            waiter.complete(Err(error.clone()));
        }
        for console in self.console.iter_mut().chain(&mut self.next_console) {
            if console.wanted {
                console.wanted = false;
                console.finish(Err(error.clone()));
                console.shared.set_unconnected(error.clone());
            }
        }
        self.queued.clear();
        for (_, reply) in self.pending.drain() {
            reply.complete(Err(error.clone()));
        }
    }
}

impl Slot {
    /// The link of a console: the attached one, or the one that follows it when that is being
    /// closed. `None` when another console is in the way: connected, or about to be.
    pub fn link_of(&mut self, console: &Arc<ConsoleShared>) -> Option<&mut ConsoleLink> {
        let sol_is_open = self.live.as_ref().is_some_and(|live| live.session.sol_is_open());
        let unused = self.console.as_ref().is_some_and(|link| !link.wanted && !sol_is_open);
        if unused {
            self.remove_console();
        }
        let closing = self.console.as_ref().is_some_and(|link| link.shared.is_closed());
        let place = if closing { &mut self.next_console } else { &mut self.console };
        let link = place.get_or_insert_with(|| ConsoleLink::new(console.clone()));
        Arc::ptr_eq(&link.shared, console).then_some(link)
    }

    /// What is known of a login that has neither succeeded nor failed yet.
    pub fn why_not_yet(&self) -> Error {
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
    pub fn error_of(&self, failure: Failure) -> Error {
        if self.shut_down {
            return Error::new(ErrorKind::ShutDown);
        }
        let error = Error::from(failure);
        match &self.icmp {
            Some(icmp) if error.kind() == ErrorKind::Unreachable => {
                let kind = if icmp.is_refused() {
                    ErrorKind::ConnectionRefused
                } else {
                    ErrorKind::Unreachable
                };
                error.with_note(kind, icmp.text())
            }
            Some(icmp) if failure.cause == Cause::Lost => {
                error.with_note(ErrorKind::Lost, icmp.text())
            }
            _ => error,
        }
    }

    pub fn on_sol_event(&mut self, event: SolEvent) {
        let ended = match &event {
            SolEvent::Ended(failure) => Some(self.error_of(*failure)),
            _ => None,
        };
        let Some(console) = &mut self.console else { return };
        log_sol_event(&self.shared, &event, ended.as_ref());
        let shared = console.shared.clone();
        match event {
            SolEvent::Activated { characters_max, other_port } => {
                console.wanted = false;
                shared.set_connected(characters_max, other_port);
                console.finish(Ok(()));
            }
            SolEvent::Ended(_) => {
                let error = ended.unwrap_or_else(|| Error::new(ErrorKind::Lost));
                console.wanted = false;
                console.ended(&error);
                shared.set_unconnected(error);
                if shared.is_closed() {
                    self.remove_console();
                }
            }
            SolEvent::BreakDone { token, acknowledged } => {
                if let Some(done) = console.breaks.remove(&token) {
                    let lost =
                        || Error::with_text(ErrorKind::Lost, "the break was not acknowledged");
                    done.complete(if acknowledged { Ok(()) } else { Err(lost()) });
                }
            }
            SolEvent::Reactivated => shared.count(|stats| stats.reactivations += 1),
            SolEvent::Gap => shared.count(|stats| stats.gaps += 1),
            SolEvent::Overrun => shared.count(|stats| stats.overruns += 1),
            SolEvent::BreakDetected => shared.count(|stats| stats.breaks += 1),
            SolEvent::Unavailable(now) => shared.count(|stats| stats.unavailable = now),
            SolEvent::InputLost { bytes } => shared.count(|stats| stats.input_lost += bytes),
            SolEvent::AcknowledgeLost => {}
        }
    }
}

impl ConsoleLink {
    pub fn new(shared: Arc<ConsoleShared>) -> Self {
        ConsoleLink {
            shared,
            wanted: false,
            waiters: Vec::new(),
            closers: Vec::new(),
            breaks: HashMap::new(),
        }
    }

    /// Ends everybody's wait for the connection.
    pub fn finish(&mut self, result: Result<()>) {
        for (_, waiter) in self.waiters.drain(..) {
            waiter.complete(result.clone());
        }
    }

    /// SOL is over: nobody waits for anything of it any more.
    pub fn ended(&mut self, error: &Error) {
        self.finish(Err(error.clone()));
        for closer in self.closers.drain(..) {
            closer.complete(Ok(()));
        }
        for (_, done) in self.breaks.drain() {
            done.complete(Err(error.clone()));
        }
    }
}

fn log_sol_event(bmc: &BmcShared, event: &SolEvent, ended: Option<&Error>) {
    const TARGET: &str = "bmclink::sol";
    let name = bmc.name();
    match (event, ended) {
        (SolEvent::Activated { characters_max, other_port }, _) => {
            log::info!(target: TARGET, "{name}: console connected, {characters_max} a packet");
            if let Some(port) = other_port {
                log::warn!(target: TARGET, "{name}: wants SOL at port {port}, which is not used");
            }
        }
        (SolEvent::Ended(_), Some(error)) => {
            log::info!(target: TARGET, "{name}: console ended: {error}");
        }
        (SolEvent::InputLost { bytes }, _) => {
            log::warn!(target: TARGET, "{name}: {bytes} bytes of input lost");
        }
        (SolEvent::Gap | SolEvent::Overrun | SolEvent::Reactivated, _) => {
            log::warn!(target: TARGET, "{name}: {event:?}");
        }
        _ => log::debug!(target: TARGET, "{name}: {event:?}"),
    }
}

impl BmcShared {
    /// The BMC in a log line.
    pub fn name(&self) -> &impl std::fmt::Display {
        &self.config
    }
}
