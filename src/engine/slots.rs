//! What a shard holds of one BMC: its supervisor, who waits for what of it, and its sockets.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use slotmap::new_key_type;

use super::console::ConsoleShared;
use super::deadline::Armed;
use super::event::EventKind;
use super::stats::BmcStats;
use super::task::ReplyTo;
use super::wait::Completer;
use crate::config::BmcConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{CipherSuiteId, Reply, SolEvent};
use crate::supervisor::{ConsoleChange, Supervisor};
use crate::sync::Mutex;
use crate::wire::PrivilegeLevel;

new_key_type! {
    /// A BMC of one shard; never used again for another one.
    pub(crate) struct BmcKey;
}

/// What the handles of a BMC can read at any time.
#[derive(Debug)]
pub(crate) struct BmcShared {
    pub config: Mutex<BmcConfig>,
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
    /// The BMC's address, once a session was up.
    pub address: Option<SocketAddr>,
    /// How many logins succeeded.
    pub logins: u64,
    /// Why the last session or login ended.
    pub last_error: Option<Error>,
}

/// Datagrams of one BMC that are read in one turn. One that keeps to the protocol has a few on
/// their way; what a flooding one sends beyond costs nobody time.
const SHARE: u32 = 32;

/// Who waits for a call.
pub(super) enum Call {
    Done(Completer<()>),
    Reply(ReplyTo),
}

/// A console of the BMC.
pub(super) struct ConsoleLink {
    pub id: u64,
    pub shared: Arc<ConsoleShared>,
    pub breaks: HashMap<u64, Completer<()>>,
}

/// One BMC.
pub(super) struct Slot {
    pub shared: Arc<BmcShared>,
    /// The BMC in a log line.
    pub name: String,
    pub supervisor: Box<Supervisor>,
    /// Who waits, by the token of what was asked for.
    pub calls: HashMap<u64, Call>,
    pub consoles: Vec<ConsoleLink>,
    /// The console that has SOL.
    pub active: Option<u64>,
    /// The addresses its packets go to, and through which socket.
    pub routes: Vec<(SocketAddr, usize)>,
    pub armed: Armed,
    /// It is in the line of those who wait to log in; maybe it does not want to any more.
    pub in_line: bool,
    /// Its login counts as running.
    pub logging_in: bool,
    /// Of how many datagrams it has had its share, in which turn.
    share: (u64, u32),
    /// What was counted, besides what the supervisor does.
    pub stats: BmcStats,
    /// The token of the last break.
    pub next_token: u64,
}

impl Slot {
    pub fn new(shared: Arc<BmcShared>, chance: u64) -> Self {
        let (name, target) = {
            let config = shared.config.lock();
            (config.to_string(), config.target())
        };
        Slot {
            shared,
            name,
            supervisor: Box::new(Supervisor::new(target, chance)),
            calls: HashMap::new(),
            consoles: Vec::new(),
            active: None,
            routes: Vec::new(),
            armed: Armed::default(),
            in_line: false,
            logging_in: false,
            share: (0, 0),
            stats: BmcStats::default(),
            next_token: 0,
        }
    }

    /// Whether it may have one more datagram read in this turn.
    pub fn takes_share(&mut self, turn: u64) -> bool {
        let taken = if self.share.0 == turn { self.share.1 } else { 0 };
        self.share = (turn, taken + 1);
        let fits = taken < SHARE;
        self.stats.over_share += u64::from(!fits);
        fits
    }

    /// What was counted over all sessions.
    pub fn stats(&self, now: Instant) -> BmcStats {
        let mut stats = self.stats.clone();
        stats.counters.add(&self.supervisor.counters());
        stats.requests = self.supervisor.requests_len();
        if let Some(session) = self.supervisor.session() {
            stats.round_trip = session.rtt();
            stats.last_heard = Some(now.saturating_duration_since(session.last_valid()));
        }
        stats
    }

    /// The socket for an address.
    pub fn route(&self, to: SocketAddr) -> Option<usize> {
        self.routes.iter().find(|(address, _)| *address == to).map(|(_, socket)| *socket)
    }

    pub fn console(&mut self, id: u64) -> Option<&mut ConsoleLink> {
        self.consoles.iter_mut().find(|link| link.id == id)
    }

    /// A console is there, as far as the shard is concerned.
    pub fn add_console(&mut self, id: u64, shared: &Arc<ConsoleShared>) {
        if self.console(id).is_none() {
            let shared = shared.clone();
            self.consoles.reserve_exact(1);
            self.consoles.push(ConsoleLink { id, shared, breaks: HashMap::new() });
        }
    }

    /// The console that has SOL.
    pub fn active_console(&mut self) -> Option<&mut ConsoleLink> {
        let id = self.active?;
        self.console(id)
    }

    pub fn done(&mut self, token: u64, result: Result<()>) {
        if let Some(Call::Done(done)) = self.take_call(token) {
            done.complete(result);
        }
    }

    pub fn reply(&mut self, token: u64, result: Result<Reply>) {
        if let Some(Call::Reply(done)) = self.take_call(token) {
            done.complete(result);
        }
    }

    /// The call with a token, if somebody still waits for it.
    pub fn take_call(&mut self, token: u64) -> Option<Call> {
        let call = self.calls.remove(&token);
        if self.calls.is_empty() {
            self.calls = HashMap::new(); // What an empty one holds is much for an idle BMC.
        }
        call
    }

    /// Everything about it is over because of a bug of ours.
    pub fn fail_all(&mut self, error: &Error) {
        for (_, call) in self.calls.drain() {
            match call {
                Call::Done(done) => done.complete(Err(error.clone())),
                Call::Reply(done) => done.complete(Err(error.clone())),
            }
        }
        for link in &mut self.consoles {
            link.end(error);
            link.shared.set_unconnected(error.clone());
        }
    }

    /// Something happened to a console.
    pub fn on_console(&mut self, id: u64, change: ConsoleChange) {
        log_change(&self.name, &change);
        let is_active = self.active == Some(id);
        let Some(link) = self.console(id) else { return };
        let shared = link.shared.clone();
        match change {
            ConsoleChange::Connecting => shared.set_connecting(),
            ConsoleChange::Connected { characters_max, other_port } => {
                shared.set_connected(characters_max, other_port);
                self.active = Some(id);
            }
            ConsoleChange::Unconnected { reason, next_try } => {
                link.end(&reason);
                shared.set_unconnected_until(reason, next_try);
                self.active = self.active.filter(|_| !is_active);
            }
            ConsoleChange::Sol(event) if is_active => link.on_sol_event(event),
            // Of a connection that is over for its readers.
            ConsoleChange::Sol(_) => {}
            ConsoleChange::Closed => {
                link.end(&Error::new(ErrorKind::Closed));
                self.active = self.active.filter(|_| !is_active);
                self.consoles.retain(|link| link.id != id);
            }
        }
    }
}

impl ConsoleLink {
    /// SOL is over: nobody waits for anything of it any more.
    fn end(&mut self, error: &Error) {
        for (_, done) in self.breaks.drain() {
            done.complete(Err(error.clone()));
        }
    }

    fn on_sol_event(&mut self, event: SolEvent) {
        let shared = &self.shared;
        match event {
            SolEvent::BreakDone { token, acknowledged } => {
                if let Some(done) = self.breaks.remove(&token) {
                    let lost =
                        || Error::with_text(ErrorKind::Lost, "the break was not acknowledged");
                    done.complete(if acknowledged { Ok(()) } else { Err(lost()) });
                }
            }
            SolEvent::Reactivated => shared.note(EventKind::Reactivated),
            // The BMC does not say how much it skipped.
            SolEvent::Gap => shared.note(EventKind::Gap(None)),
            SolEvent::Overrun => shared.note(EventKind::Overrun),
            SolEvent::BreakDetected => shared.note(EventKind::Break),
            SolEvent::Unavailable(true) => shared.note(EventKind::PoweredOff),
            SolEvent::Unavailable(false) => shared.note(EventKind::PoweredOn),
            SolEvent::InputLost { bytes } => shared.note(EventKind::InputLost(bytes)),
            // The supervisor keeps those to itself.
            SolEvent::Activated { .. } | SolEvent::Ended(_) | SolEvent::AcknowledgeLost => {}
        }
    }
}

fn log_change(name: &str, change: &ConsoleChange) {
    const TARGET: &str = "bmclink::sol";
    match change {
        ConsoleChange::Connected { characters_max, other_port } => {
            log::info!(target: TARGET, "{name}: console connected, {characters_max} a packet");
            if let Some(port) = other_port {
                log::warn!(target: TARGET, "{name}: wants SOL at port {port}, which is not used");
            }
        }
        ConsoleChange::Unconnected { reason, next_try } => {
            let again = if next_try.is_some() { ", will be tried again" } else { "" };
            log::info!(target: TARGET, "{name}: console not connected{again}: {reason}");
        }
        ConsoleChange::Sol(SolEvent::InputLost { bytes }) => {
            log::warn!(target: TARGET, "{name}: {bytes} bytes of input lost");
        }
        ConsoleChange::Sol(event @ (SolEvent::Gap | SolEvent::Overrun | SolEvent::Reactivated)) => {
            log::warn!(target: TARGET, "{name}: {event:?}")
        }
        other => log::debug!(target: TARGET, "{name}: {other:?}"),
    }
}
