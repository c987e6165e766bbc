//! The floor: what taking and acknowledging a SOL packet costs when nothing else is done.
//!
//! One epoll_wait, one recvmmsg and one sendmmsg per wake, and per packet the cryptography and
//! the bytes that the protocol needs. No state machine, no timers, no window, no readers: what
//! was sent again is taken again. Nobody could use this.

use std::collections::HashMap;
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bmclink::CipherSuiteId;
use bmclink::crypto::Generator;
use bmclink::wire::payload::PayloadType;
use bmclink::wire::sol::{Packet, SolSequence};
use bmclink::wire::{DATAGRAM_MAX, rmcpplus};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{setsockopt, sockopt};

use super::login::{Keys, log_in, log_out};
use crate::report::Result;

/// Datagrams per system call, as in the library.
const BATCH: usize = 64;
/// Where characters end up; reused when it is full.
const RING_LEN: usize = 64 << 10;
/// epoll_wait, recvmmsg, sendmmsg.
const CALLS_PER_WAKE: u64 = 3;

/// What the loop did, for others to read while it runs.
#[derive(Default)]
pub struct Progress {
    pub stop: AtomicBool,
    pub packets: AtomicU64,
    pub system_calls: AtomicU64,
}

/// Logged in to some BMCs, over one socket.
pub struct Bare {
    socket: UdpSocket,
    sessions: HashMap<SocketAddr, Keys>,
    generator: Generator,
    ring: Vec<u8>,
}

impl Bare {
    pub fn log_in(bmcs: &[SocketAddr], suite: CipherSuiteId) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        setsockopt(&socket, sockopt::RcvBuf, &(1 << 20))?;
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&std::process::id().to_le_bytes());
        let mut generator = Generator::from_seed(seed);
        let mut sessions = HashMap::new();
        for &to in bmcs {
            sessions.insert(to, log_in(&socket, to, suite, &mut generator)?);
        }
        Ok(Bare { socket, sessions, generator, ring: Vec::with_capacity(RING_LEN) })
    }

    /// Has every host print without end.
    pub fn flood(&mut self) -> Result<()> {
        for (to, keys) in &mut self.sessions {
            let packet = Packet {
                sequence: SolSequence::new(1),
                ack_sequence: SolSequence::NONE,
                accepted_character_count: 0,
                operation_status: 0,
                characters: b"!flood\r",
            };
            let mut payload = Vec::new();
            packet.encode(&mut payload);
            let mut datagram = Vec::new();
            keys.seal(&mut self.generator, PayloadType::Sol, &payload, &mut datagram);
            self.socket.send_to(&datagram, *to)?;
        }
        Ok(())
    }

    /// The loop itself.
    pub fn run(mut self, progress: &Progress) -> Result<()> {
        self.socket.set_nonblocking(true)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&self.socket, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        let fd = self.socket.as_raw_fd();
        let mut received = Batch::new();
        let mut acknowledges = Batch::new();
        while !progress.stop.load(Ordering::Relaxed) {
            let mut events = [EpollEvent::empty()];
            if epoll.wait(&mut events, EpollTimeout::from(200u8))? == 0 {
                continue;
            }
            let count = received.receive(fd)?;
            let mut owed = 0;
            for at in 0..count {
                let (from, datagram) = received.datagram(at);
                let out = &mut acknowledges.buffers[owed];
                out.clear();
                if self.take(from, datagram, out).is_some() {
                    acknowledges.names[owed] = received.names[at];
                    owed += 1;
                }
            }
            acknowledges.send(fd, owed)?;
            progress.packets.fetch_add(owed as u64, Ordering::Relaxed);
            progress.system_calls.fetch_add(CALLS_PER_WAKE, Ordering::Relaxed);
        }
        for (to, keys) in &mut self.sessions {
            log_out(&self.socket, *to, keys, &mut self.generator)?;
        }
        Ok(())
    }

    /// Takes a packet and puts its acknowledge into `out`.
    fn take(&mut self, from: SocketAddr, datagram: &mut [u8], out: &mut Vec<u8>) -> Option<()> {
        let keys = self.sessions.get_mut(&from)?;
        let framed = rmcpplus::decode(datagram).ok()?;
        if framed.header.session_id != keys.remote_console_session_id
            || framed.header.payload_type != PayloadType::Sol
        {
            return None;
        }
        keys.cipher.verify(datagram, &framed).ok()?;
        let at = keys.cipher.decrypt(datagram, &framed, false).ok()?;
        let packet = Packet::decode(&datagram[at]).ok()?;
        if packet.sequence.is_none() {
            return None;
        }
        if self.ring.len() + packet.characters.len() > RING_LEN {
            self.ring.clear();
        }
        self.ring.extend_from_slice(packet.characters);
        let header = [0, packet.sequence.number(), packet.characters.len() as u8, 0];
        keys.seal(&mut self.generator, PayloadType::Sol, &header, out);
        Some(())
    }
}

/// Buffers and headers of one system call, made once.
struct Batch {
    buffers: Vec<Vec<u8>>,
    names: Vec<libc::sockaddr_in>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Batch {
    fn new() -> Self {
        // SAFETY: socket addresses, I/O vectors and message headers are plain data; all zeros
        // is an empty one of each.
        let (name, vector, header) = unsafe { (zeroed(), zeroed(), zeroed()) };
        Batch {
            buffers: vec![vec![0; DATAGRAM_MAX]; BATCH],
            names: vec![name; BATCH],
            vectors: vec![vector; BATCH],
            headers: vec![header; BATCH],
        }
    }

    /// Points the first `count` headers to their buffers, of the lengths these have now.
    fn aim(&mut self, count: usize) {
        for at in 0..count {
            self.vectors[at].iov_base = self.buffers[at].as_mut_ptr().cast();
            self.vectors[at].iov_len = self.buffers[at].len();
            let header = &mut self.headers[at].msg_hdr;
            header.msg_iov = &raw mut self.vectors[at];
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut self.names[at]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        }
    }

    /// Receives what is there: at least one datagram, as epoll said so.
    fn receive(&mut self, fd: i32) -> io::Result<usize> {
        self.aim(BATCH);
        let (headers, flags) = (self.headers.as_mut_ptr(), libc::MSG_DONTWAIT);
        // SAFETY: `aim` pointed every header to live buffers of the length stated with them.
        match unsafe { libc::recvmmsg(fd, headers, BATCH as u32, flags as _, ptr::null_mut()) } {
            count @ 0.. => Ok(count as usize),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                error => Err(error),
            },
        }
    }

    fn datagram(&mut self, at: usize) -> (SocketAddr, &mut [u8]) {
        let name = &self.names[at];
        let ip = Ipv4Addr::from_bits(u32::from_be(name.sin_addr.s_addr));
        let from = SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into();
        let len = (self.headers[at].msg_len as usize).min(DATAGRAM_MAX);
        (from, &mut self.buffers[at][..len])
    }

    fn send(&mut self, fd: i32, count: usize) -> io::Result<()> {
        self.aim(count);
        let (headers, flags) = (self.headers.as_mut_ptr(), libc::MSG_DONTWAIT);
        // SAFETY: `aim` pointed the first `count` headers to live buffers of the length stated.
        match unsafe { libc::sendmmsg(fd, headers, count as u32, flags as _) } {
            0.. => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
