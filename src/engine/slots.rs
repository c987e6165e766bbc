//! What a shard holds of one BMC: its session, who waits for it, and how to find it by address.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use slotmap::new_key_type;

use super::console::ConsoleShared;
use super::deadline::Armed;
use super::socket::IcmpError;
use super::wait::Completer;
use crate::config::BmcConfig;
use crate::error::{Error, Result};
use crate::session::{CipherSuiteId, Counters, Learned, Reply, Session};
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
    /// Packets of the session that is or was up last.
    pub counters: Counters,
}

/// How a BMC stands at its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No session, and nobody wants one.
    Idle,
    /// Its name is being looked up.
    Resolving,
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
