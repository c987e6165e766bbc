//! The sockets of a shard: which BMC's packets go through which, and back.

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

use super::shard::Peers;
use super::slots::BmcKey;
use super::socket::{IcmpError, ReceiveBatch, SendBatch, open, take_icmp_error};
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
    peers: Peers,
    /// There may be something to read.
    ready: bool,
    out: SendBatch,
}

/// All sockets of a shard.
#[derive(Default)]
pub(super) struct Sockets {
    config: EngineConfig,
    sockets: Vec<Option<Shared>>,
    icmp_check: bool,
    /// Datagrams the kernel did not take.
    pub send_lost: u64,
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
        let shared =
            Shared { socket, ipv6, peers: Peers::new(), ready: false, out: SendBatch::default() };
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
            shared.out.flush(&shared.socket);
            let _ = registry.deregister(&mut shared.socket);
            *entry = None;
        }
    }

    pub fn set_ready(&mut self, token: Token) {
        if let Some(shared) = self.sockets.get_mut(token.0).and_then(Option::as_mut) {
            shared.ready = true;
            self.icmp_check = true;
        }
    }

    /// Whether a socket was not read to its end.
    pub fn any_ready(&self) -> bool {
        self.sockets.iter().flatten().any(|shared| shared.ready)
    }

    /// Takes the next ICMP error of a BMC of ours.
    pub fn take_icmp_error(&mut self) -> Option<(BmcKey, IcmpError)> {
        if !std::mem::take(&mut self.icmp_check) {
            return None;
        }
        for shared in self.sockets.iter().flatten().filter(|shared| shared.ready) {
            while let Some(error) = take_icmp_error(&shared.socket) {
                if let Some(bmc) = shared.peers.get(&error.to) {
                    self.icmp_check = true;
                    return Some((*bmc, error));
                }
            }
        }
        None
    }

    /// How many places for sockets there are.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Reads one batch from a socket, if it may have something; says how many datagrams.
    pub fn receive(&mut self, at: usize, batch: &mut ReceiveBatch) -> usize {
        let Some(shared) = self.sockets.get_mut(at).and_then(Option::as_mut) else { return 0 };
        if !shared.ready {
            return 0;
        }
        for _ in 0..ERRORS_PER_READ {
            match batch.receive(&shared.socket) {
                Ok(count) => return count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    shared.ready = false;
                    return 0;
                }
                // A queued ICMP error; the next call goes on.
                Err(_) => {}
            }
        }
        0
    }

    /// The BMC that a socket knows by this address. A stranger is nobody.
    pub fn peer(&self, at: usize, from: SocketAddr) -> Option<BmcKey> {
        self.sockets.get(at)?.as_ref()?.peers.get(&from).copied()
    }

    /// Puts a packet into its socket's batch.
    pub fn send(&mut self, at: usize, to: SocketAddr, datagram: &[u8]) {
        if let Some(shared) = self.sockets.get_mut(at).and_then(Option::as_mut) {
            shared.out.push(to, datagram);
        }
    }

    /// Sends every batch.
    pub fn flush(&mut self) {
        for shared in self.sockets.iter_mut().flatten().filter(|shared| !shared.out.is_empty()) {
            self.send_lost += shared.out.flush(&shared.socket) as u64;
        }
    }
}
