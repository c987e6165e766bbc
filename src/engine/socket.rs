//! UDP sockets shared by many BMCs: batches in and out, and what ICMP says of them.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendto, setsockopt, sockopt,
};

use crate::wire::DATAGRAM_MAX;

/// Datagrams per system call, at most, and asked for when it is quiet.
const BATCH: usize = 64;
const BATCH_MIN: usize = 4;
/// One byte more than a datagram may have, so that a longer one shows.
const BUFFER_LEN: usize = DATAGRAM_MAX + 1;

/// Opens a socket for BMCs of one address family.
pub(super) fn open(ipv6: bool, local: Option<IpAddr>, receive_len: usize) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let address = local.filter(|local| local.is_ipv6() == ipv6).unwrap_or(any);
    let socket = UdpSocket::bind(SocketAddr::new(address, 0))?;
    socket.set_nonblocking(true)?;
    // Past the system's limit where we may, else up to it. Drops are what happens when it is
    // too little, and they are repaired.
    if setsockopt(&socket, sockopt::RcvBufForce, &receive_len).is_err() {
        let _ = setsockopt(&socket, sockopt::RcvBuf, &receive_len);
    }
    // Without these an ICMP error would vanish: the socket is not connected.
    if ipv6 {
        setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
    } else {
        setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
    }
    Ok(socket)
}

/// Buffers for one receiving system call, used again for every one.
pub(super) struct ReceiveBatch {
    buffers: Box<[[u8; BUFFER_LEN]]>,
    names: Box<[libc::sockaddr_storage]>,
    lengths: [usize; BATCH],
    /// How many datagrams the next call asks for: every one costs its headers to be written,
    /// also when there is only one to be had.
    asked: usize,
}

/// What one receiving call gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Received {
    pub count: usize,
    /// There may be more. When not, the next datagram is announced by the poll.
    pub more: bool,
}

impl ReceiveBatch {
    pub fn new() -> Self {
        // SAFETY: a socket address is plain data; all zeros is one of no family.
        let name: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        ReceiveBatch {
            buffers: vec![[0; BUFFER_LEN]; BATCH].into_boxed_slice(),
            names: vec![name; BATCH].into_boxed_slice(),
            lengths: [0; BATCH],
            asked: BATCH_MIN,
        }
    }

    /// Receives up to 64 datagrams. `WouldBlock` when there are none.
    pub fn receive(&mut self, socket: &impl AsRawFd) -> io::Result<Received> {
        let asked = self.asked;
        let count = self.receive_raw(socket.as_raw_fd(), asked)?;
        let more = count == asked;
        // Fan-in comes in waves: grow fast, shrink when less than a quarter was used.
        if more {
            self.asked = (asked * 4).min(BATCH);
        } else if count * 4 < asked {
            self.asked = (asked / 2).max(BATCH_MIN);
        }
        Ok(Received { count, more })
    }

    /// The datagram at a place of the last call, and where it came from.
    pub fn datagram(&mut self, at: usize) -> Option<(SocketAddr, &mut [u8])> {
        let from = address_of(self.names.get(at)?)?;
        let len = self.lengths.get(at)?.min(&BUFFER_LEN);
        Some((from, self.buffers.get_mut(at)?.get_mut(..*len)?))
    }

    fn receive_raw(&mut self, fd: RawFd, asked: usize) -> io::Result<usize> {
        let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
        let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
        for at in 0..asked {
            let buffer = self.buffers[at].as_mut_ptr().cast();
            let vector = vectors[at].write(libc::iovec { iov_base: buffer, iov_len: BUFFER_LEN });
            let mut header = empty_header();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = (&raw mut self.names[at]).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            headers[at].write(header);
        }
        // SAFETY: the first `asked` headers were written, and every pointer in them is to a live
        // buffer of the length stated with it.
        let received = unsafe {
            libc::recvmmsg(
                fd,
                headers.as_mut_ptr().cast(),
                asked as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        let count = Errno::result(received).map_err(io::Error::from)? as usize;
        for (len, header) in self.lengths.iter_mut().zip(&headers).take(count) {
            // SAFETY: the kernel gave `count` datagrams, at most as many as headers were written.
            *len = unsafe { header.assume_init_ref() }.msg_len as usize;
        }
        Ok(count)
    }
}

/// Datagrams that wait to be sent through one socket, with buffers that are used again.
#[derive(Default)]
pub(super) struct SendBatch {
    queue: Vec<(SocketAddr, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
}

impl SendBatch {
    /// Adds a datagram.
    pub fn push(&mut self, to: SocketAddr, datagram: &[u8]) {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(datagram);
        self.queue.push((to, buffer));
    }

    /// Sends everything. What the kernel does not take is lost, as on any network.
    pub fn flush(&mut self, socket: &impl AsRawFd) -> Flushed {
        let fd = socket.as_raw_fd();
        let mut at = 0;
        let mut flushed = Flushed::default();
        let mut refused = 0;
        while at < self.queue.len() {
            flushed.calls += 1;
            match send_some(fd, &self.queue[at..]) {
                Ok(sent) => {
                    at += sent;
                    refused = 0;
                }
                Err(Errno::EINTR) => {}
                // Each queued ICMP error fails one send, also to a healthy peer: the same call
                // again works.
                Err(Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH)
                    if refused < 2 =>
                {
                    refused += 1;
                }
                Err(Errno::EAGAIN | Errno::ENOBUFS) => {
                    flushed.failed += (self.queue.len() - at) as u64;
                    break;
                }
                Err(_) => {
                    flushed.failed += 1;
                    at += 1;
                    refused = 0;
                }
            }
        }
        let room = (BATCH * 2).saturating_sub(self.spare.len());
        self.spare.extend(self.queue.drain(..).take(room).map(|(_, buffer)| buffer));
        flushed
    }

    /// Whether anything waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// What one flush did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flushed {
    /// Datagrams the kernel did not take.
    pub failed: u64,
    /// System calls.
    pub calls: u64,
}

fn send_some(fd: RawFd, queue: &[(SocketAddr, Vec<u8>)]) -> nix::Result<usize> {
    if let [(to, datagram)] = queue {
        return sendto(fd, datagram, &SockaddrStorage::from(*to), MsgFlags::MSG_DONTWAIT)
            .map(|_| 1);
    }
    let count = queue.len().min(BATCH);
    let mut names = [const { MaybeUninit::<SockaddrStorage>::uninit() }; BATCH];
    let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
    for (at, (to, datagram)) in queue.iter().enumerate().take(count) {
        let vector =
            libc::iovec { iov_base: datagram.as_ptr().cast_mut().cast(), iov_len: datagram.len() };
        let mut header = empty_header();
        header.msg_hdr.msg_iov = vectors[at].write(vector);
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_name = ptr::from_mut(names[at].write((*to).into())).cast();
        header.msg_hdr.msg_namelen = match to {
            SocketAddr::V4(_) => size_of::<libc::sockaddr_in>(),
            SocketAddr::V6(_) => size_of::<libc::sockaddr_in6>(),
        } as libc::socklen_t;
        headers[at].write(header);
    }
    // SAFETY: the first `count` headers were written, and every pointer in them is to a live
    // buffer of the length stated with it; the kernel only reads those.
    let sent = unsafe {
        libc::sendmmsg(
            fd,
            headers.as_mut_ptr().cast(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT as _,
        )
    };
    Errno::result(sent).map(|sent| sent as usize)
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: a message header is plain data; all zeros is a valid, empty one.
    unsafe { std::mem::zeroed() }
}

fn address_of(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage holds this type, which is smaller.
            let v4 = unsafe { &*ptr::from_ref(name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that the storage holds this type, which is smaller.
            let v6 = unsafe { &*ptr::from_ref(name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// How the kernel's receive buffer of a socket stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ReceiveBuffer {
    /// What the kernel gave: datagrams with their overhead.
    pub len: u32,
    /// Datagrams it had no room for, since the socket was opened.
    pub dropped: u32,
}

/// Asks the kernel how a socket's receive buffer stands.
pub(super) fn receive_buffer(socket: &impl AsRawFd) -> ReceiveBuffer {
    // SO_MEMINFO gives nine numbers: of the receive side the second is the limit, the ninth the
    // drops.
    let mut numbers = [0u32; 9];
    let mut len = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to the live array, and `len`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    // A kernel before 4.12 has no such option: zeros then.
    if result == 0 {
        ReceiveBuffer { len: numbers[1], dropped: numbers[8] }
    } else {
        ReceiveBuffer::default()
    }
}

/// What ICMP said of a datagram we sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IcmpError {
    /// Where that datagram had been sent to.
    pub to: SocketAddr,
    /// What the kernel made of it.
    pub errno: Errno,
}

impl IcmpError {
    /// Whether the address is there and nobody listens at the port.
    pub fn is_refused(&self) -> bool {
        self.errno == Errno::ECONNREFUSED
    }

    /// In words.
    pub fn text(&self) -> &'static str {
        match self.errno {
            Errno::ECONNREFUSED => "last ICMP: port unreachable",
            Errno::EHOSTUNREACH => "last ICMP: host unreachable",
            Errno::ENETUNREACH => "last ICMP: network unreachable",
            Errno::EACCES | Errno::EPERM => "last ICMP: administratively prohibited",
            Errno::EMSGSIZE => "last ICMP: packet too big",
            other => other.desc(),
        }
    }
}

/// Takes one queued ICMP error, if there is one.
pub(super) fn take_icmp_error(socket: &impl AsRawFd) -> Option<IcmpError> {
    let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
    let mut payload = [0; 64];
    let mut vectors = [io::IoSliceMut::new(&mut payload)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut vectors, Some(&mut control), flags)
            .ok()?;
    let name = message.address?;
    let to = match (name.as_sockaddr_in(), name.as_sockaddr_in6()) {
        (Some(v4), _) => SocketAddr::V4((*v4).into()),
        (_, Some(v6)) => SocketAddr::V6((*v6).into()),
        _ => return None,
    };
    let number = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, _) => Some(error.ee_errno),
        ControlMessageOwned::Ipv6RecvErr(error, _) => Some(error.ee_errno),
        _ => None,
    })?;
    Some(IcmpError { to, errno: Errno::from_raw(i32::try_from(number).ok()?) })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn receive_within(
        batch: &mut ReceiveBatch,
        socket: &UdpSocket,
        count: usize,
    ) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut got = Vec::new();
        let end = Instant::now() + Duration::from_secs(5);
        while got.len() < count && Instant::now() < end {
            let received = batch.receive(socket).map_or(0, |received| received.count);
            for at in 0..received {
                let (from, datagram) = batch.datagram(at).expect("a datagram");
                got.push((from, datagram.to_vec()));
            }
        }
        got
    }

    #[test]
    fn batches_go_out_and_come_in_whole() {
        for ipv6 in [false, true] {
            let local: IpAddr =
                if ipv6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
            let (Ok(a), Ok(b)) =
                (open(ipv6, Some(local), 1 << 20), open(ipv6, Some(local), 1 << 20))
            else {
                assert!(ipv6, "IPv4 must work");
                continue; // A machine without IPv6.
            };
            let to = b.local_addr().expect("bound");
            let mut out = SendBatch::default();
            for number in 0..150u8 {
                out.push(to, &vec![number; usize::from(number) + 1]);
            }
            assert_eq!(out.flush(&a).failed, 0);
            let got = receive_within(&mut ReceiveBatch::new(), &b, 150);
            assert_eq!(got.len(), 150);
            for (number, (from, datagram)) in got.into_iter().enumerate() {
                assert_eq!(from, a.local_addr().expect("bound"));
                assert_eq!(datagram, vec![number as u8; number + 1]);
            }
        }
    }

    #[test]
    fn a_dead_peer_does_not_cost_a_live_one_its_datagrams() {
        let local = Some(Ipv4Addr::LOCALHOST.into());
        let socket = open(false, local, 1 << 20).expect("a socket");
        let live = open(false, local, 1 << 20).expect("a socket");
        let gone = open(false, local, 1 << 20).expect("a socket").local_addr().expect("bound");
        let to = live.local_addr().expect("bound");
        let mut out = SendBatch::default();
        let mut errors = 0;
        for number in 0..100u8 {
            out.push(gone, b"nobody there");
            out.push(to, &[number]);
            assert_eq!(out.flush(&socket).failed, 0);
            while let Some(error) = take_icmp_error(&socket) {
                assert_eq!((error.to, error.is_refused()), (gone, true));
                errors += 1;
            }
        }
        assert!(errors > 0, "the kernel reported no ICMP error");
        let got = receive_within(&mut ReceiveBatch::new(), &live, 100);
        assert_eq!(got.len(), 100);
    }
}
