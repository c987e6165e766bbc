//! The sockets of a shard: which BMC's packets go through which, and back.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use super::slots::BmcKey;
use super::socket::{
    IcmpError, ReceiveBatch, Received, SendBatch, open, receive_buffer, take_icmp_error,
};
use super::stats::ShardStats;
use crate::config::EngineConfig;
use crate::error::{Error, Result};

/// The token of the shard's waker; sockets have their index.
pub(super) const WAKER: mio::Token = Token(usize::MAX);

/// Queued ICMP errors passed over before a socket is left for the next turn.
const ERRORS_PER_READ: usize = 16;

struct Shared {
    socket: UdpSocket,
    ipv6: bool,
    /// One session per address: replies are told apart by where they come from.
    peers: HashMap<SocketAddr, BmcKey>,
    /// It is among the readable ones.
    readable: bool,
    /// ICMP errors are queued.
    errors: bool,
    out: SendBatch,
}

/// All sockets of a shard.
#[derive(Default)]
pub(super) struct Sockets {
    config: EngineConfig,
    sockets: Vec<Option<Shared>>,
    /// Those that may have something to read, each once, in the order of their turns.
    readable: VecDeque<usize>,
    /// Those with datagrams to send, each once.
    unsent: Vec<usize>,
    stats: SocketStats,
    /// Drops of sockets that are closed.
    dropped_before: u64,
}

/// What all sockets of a shard counted.
#[derive(Debug, Default, Clone, Copy)]
struct SocketStats {
    received: u64,
    received_bytes: u64,
    sent: u64,
    sent_bytes: u64,
    send_failed: u64,
    calls: u64,
}

impl Sockets {
    pub fn new(config: EngineConfig) -> Self {
        Sockets { config, ..Sockets::default() }
    }

    /// Finds or opens a socket for a BMC, and claims its address there.
    pub fn claim(&mut self, registry: &Registry, bmc: BmcKey, peer: SocketAddr) -> Result<usize> {
        let max = self.config.bmcs_per_socket;
        let fits = |shared: &Shared| {
            shared.ipv6 == peer.is_ipv6()
                && shared.peers.len() < max
                && !shared.peers.contains_key(&peer)
        };
        let found = self.sockets.iter().position(|s| s.as_ref().is_some_and(fits));
        let at = match found {
            Some(at) => at,
            None => self.add(registry, peer.is_ipv6())?,
        };
        if let Some(shared) = self.sockets.get_mut(at).and_then(Option::as_mut) {
            shared.peers.insert(peer, bmc);
        }
        Ok(at)
    }

    fn add(&mut self, registry: &Registry, ipv6: bool) -> Result<usize> {
        let failed = |error: io::Error| Error::io("cannot open a UDP socket", &error);
        let socket = open(ipv6, self.config.local_address, self.config.receive_buffer_len);
        let mut socket = UdpSocket::from_std(socket.map_err(failed)?);
        let at = self.sockets.iter().position(Option::is_none).unwrap_or(self.sockets.len());
        registry.register(&mut socket, Token(at), Interest::READABLE).map_err(failed)?;
        let shared = Shared {
            socket,
            ipv6,
            peers: HashMap::new(),
            readable: false,
            errors: false,
            out: SendBatch::default(),
        };
        if at == self.sockets.len() {
            self.sockets.push(None);
        }
        self.sockets[at] = Some(shared);
        Ok(at)
    }

    /// Gives a BMC's address back; a socket without any is closed.
    pub fn give_back(&mut self, registry: &Registry, at: usize, peer: SocketAddr) {
        let Some(entry) = self.sockets.get_mut(at) else { return };
        let Some(shared) = entry else { return };
        shared.peers.remove(&peer);
        if shared.peers.is_empty() {
            self.stats.send_failed += shared.out.flush(&shared.socket).failed;
            self.dropped_before += u64::from(receive_buffer(&shared.socket).dropped);
            let _ = registry.deregister(&mut shared.socket);
            *entry = None;
            // The place may get another socket, with turns of its own.
            self.readable.retain(|readable| *readable != at);
            self.unsent.retain(|unsent| *unsent != at);
        }
    }

    /// The poll says that a socket has something, maybe ICMP errors.
    pub fn set_readable(&mut self, token: Token, errors: bool) {
        let Some(shared) = self.sockets.get_mut(token.0).and_then(Option::as_mut) else { return };
        shared.errors |= errors;
        if !std::mem::replace(&mut shared.readable, true) {
            self.readable.push_back(token.0);
        }
    }

    /// How many sockets were not read to their end.
    pub fn readable(&self) -> usize {
        self.readable.len()
    }

    /// The socket whose turn it is to be read.
    pub fn next_readable(&mut self) -> Option<usize> {
        let at = self.readable.pop_front()?;
        if let Some(shared) = self.sockets.get_mut(at).and_then(Option::as_mut) {
            shared.readable = false;
        }
        Some(at)
    }

    /// It has had its turn and is not read to its end.
    pub fn read_on(&mut self, at: usize) {
        self.set_readable(Token(at), false);
    }

    /// Takes the next ICMP error of a BMC of ours from a socket that has some.
    pub fn take_icmp_error(&mut self, at: usize) -> Option<(BmcKey, IcmpError)> {
        let shared = self.sockets.get_mut(at)?.as_mut()?;
        while shared.errors {
            self.stats.calls += 1;
            let Some(error) = take_icmp_error(&shared.socket) else {
                shared.errors = false;
                return None;
            };
            if let Some(bmc) = shared.peers.get(&error.to) {
                return Some((*bmc, error));
            }
        }
        None
    }

    /// Reads one batch from a socket.
    pub fn receive(&mut self, at: usize, batch: &mut ReceiveBatch) -> Received {
        let mut received = Received { count: 0, more: false };
        let Some(shared) = self.sockets.get_mut(at).and_then(Option::as_mut) else {
            return received;
        };
        for _ in 0..ERRORS_PER_READ {
            self.stats.calls += 1;
            match batch.receive(&shared.socket) {
                Ok(taken) => {
                    self.stats.received += taken.count as u64;
                    return taken;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return received,
                // A queued ICMP error; the next call goes on.
                Err(_) => {}
            }
        }
        received.more = true;
        received
    }

    /// The BMC that a socket knows by this address. A stranger is nobody.
    pub fn peer(&mut self, at: usize, from: SocketAddr, len: usize) -> Option<BmcKey> {
        self.stats.received_bytes += len as u64;
        self.sockets.get(at)?.as_ref()?.peers.get(&from).copied()
    }

    /// Puts a packet into its socket's batch.
    pub fn send(&mut self, at: usize, to: SocketAddr, datagram: &[u8]) {
        let Some(shared) = self.sockets.get_mut(at).and_then(Option::as_mut) else { return };
        if shared.out.is_empty() {
            self.unsent.push(at);
        }
        shared.out.push(to, datagram);
        self.stats.sent += 1;
        self.stats.sent_bytes += datagram.len() as u64;
    }

    /// Sends every batch.
    pub fn flush(&mut self) {
        for at in self.unsent.drain(..) {
            if let Some(shared) = self.sockets.get_mut(at).and_then(Option::as_mut) {
                let flushed = shared.out.flush(&shared.socket);
                self.stats.calls += flushed.calls;
                self.stats.send_failed += flushed.failed;
            }
        }
    }

    /// Adds what the sockets counted, and asks the kernel for what it did.
    pub fn count_into(&self, stats: &mut ShardStats) {
        stats.datagrams_received = self.stats.received;
        stats.bytes_received = self.stats.received_bytes;
        stats.datagrams_sent = self.stats.sent;
        stats.bytes_sent = self.stats.sent_bytes;
        stats.send_failed = self.stats.send_failed;
        stats.socket_calls = self.stats.calls;
        stats.kernel_dropped = self.dropped_before;
        for shared in self.sockets.iter().flatten() {
            let buffer = receive_buffer(&shared.socket);
            stats.sockets += 1;
            stats.kernel_dropped += u64::from(buffer.dropped);
            stats.receive_buffer_len = match stats.receive_buffer_len {
                0 => buffer.len as usize,
                least => least.min(buffer.len as usize),
            };
        }
    }
}
