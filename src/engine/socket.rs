//! UDP sockets shared by many BMCs: batches in and out, and what ICMP says of them.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
};

use crate::wire::DATAGRAM_MAX;

/// Datagrams per system call.
const BATCH: usize = 64;
/// One byte more than a datagram may have, so that a longer one shows.
const BUFFER_LEN: usize = DATAGRAM_MAX + 1;

/// Opens a socket for BMCs of one address family.
pub(super) fn open(ipv6: bool, local: Option<IpAddr>, receive_len: usize) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let address = local.filter(|local| local.is_ipv6() == ipv6).unwrap_or(any);
    let socket = UdpSocket::bind(SocketAddr::new(address, 0))?;
    socket.set_nonblocking(true)?;
    // The kernel may give less; drops are what then happens, and they are repaired.
    let _ = setsockopt(&socket, sockopt::RcvBuf, &receive_len);
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
}

impl ReceiveBatch {
    pub fn new() -> Self {
        // SAFETY: a socket address is plain data; all zeros is one of no family.
        let name: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        ReceiveBatch {
            buffers: vec![[0; BUFFER_LEN]; BATCH].into_boxed_slice(),
            names: vec![name; BATCH].into_boxed_slice(),
            lengths: [0; BATCH],
        }
    }

    /// Receives up to 64 datagrams; says how many. `WouldBlock` when there are none.
    pub fn receive(&mut self, socket: &impl AsRawFd) -> io::Result<usize> {
        self.receive_raw(socket.as_raw_fd())
    }

    /// The datagram at a place of the last call, and where it came from.
    pub fn datagram(&mut self, at: usize) -> Option<(SocketAddr, &mut [u8])> {
        let from = address_of(self.names.get(at)?)?;
        let len = self.lengths.get(at)?.min(&BUFFER_LEN);
        Some((from, self.buffers.get_mut(at)?.get_mut(..*len)?))
    }

    fn receive_raw(&mut self, fd: RawFd) -> io::Result<usize> {
        let mut vectors: [libc::iovec; BATCH] =
            [libc::iovec { iov_base: ptr::null_mut(), iov_len: BUFFER_LEN }; BATCH];
        let mut headers: [libc::mmsghdr; BATCH] = zeroed_headers();
        for at in 0..BATCH {
            vectors[at].iov_base = self.buffers[at].as_mut_ptr().cast();
            let header = &mut headers[at].msg_hdr;
            header.msg_iov = &raw mut vectors[at];
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut self.names[at]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
        // SAFETY: every pointer in the headers is to a live buffer of the length stated with it.
        let received = unsafe {
            libc::recvmmsg(
                fd,
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        let count = Errno::result(received).map_err(io::Error::from)? as usize;
        for (len, header) in self.lengths.iter_mut().zip(&headers).take(count) {
            *len = header.msg_len as usize;
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

    /// Sends everything. What the kernel does not take is lost, as on any network; says how
    /// many datagrams that were.
    pub fn flush(&mut self, socket: &impl AsRawFd) -> usize {
        let fd = socket.as_raw_fd();
        let mut at = 0;
        let mut lost = 0;
        let mut refused = 0;
        while at < self.queue.len() {
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
                    lost += self.queue.len() - at;
                    break;
                }
                Err(_) => {
                    lost += 1;
                    at += 1;
                    refused = 0;
                }
            }
        }
        let room = (BATCH * 2).saturating_sub(self.spare.len());
        self.spare.extend(self.queue.drain(..).take(room).map(|(_, buffer)| buffer));
        lost
    }

    /// Whether anything waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

fn send_some(fd: RawFd, queue: &[(SocketAddr, Vec<u8>)]) -> nix::Result<usize> {
    let count = queue.len().min(BATCH);
    let mut names: [SockaddrStorage; BATCH] =
        [SockaddrStorage::from(SocketAddr::from(([0, 0, 0, 0], 0))); BATCH];
    let mut vectors: [libc::iovec; BATCH] =
        [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
    let mut headers: [libc::mmsghdr; BATCH] = zeroed_headers();
    for (at, (to, datagram)) in queue.iter().enumerate().take(count) {
        names[at] = SockaddrStorage::from(*to);
        vectors[at].iov_base = datagram.as_ptr().cast_mut().cast();
        vectors[at].iov_len = datagram.len();
        let header = &mut headers[at].msg_hdr;
        header.msg_iov = &raw mut vectors[at];
        header.msg_iovlen = 1;
        header.msg_name = (&raw mut names[at]).cast();
        header.msg_namelen = match to {
            SocketAddr::V4(_) => size_of::<libc::sockaddr_in>(),
            SocketAddr::V6(_) => size_of::<libc::sockaddr_in6>(),
        } as libc::socklen_t;
    }
    // SAFETY: every pointer in the first `count` headers is to a live buffer of the length
    // stated with it; the kernel only reads them.
    let sent = unsafe {
        libc::sendmmsg(fd, headers.as_mut_ptr(), count as libc::c_uint, libc::MSG_DONTWAIT as _)
    };
    Errno::result(sent).map(|sent| sent as usize)
}

fn zeroed_headers() -> [libc::mmsghdr; BATCH] {
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
            let received = batch.receive(socket).unwrap_or(0);
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
            assert_eq!(out.flush(&a), 0);
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
            assert_eq!(out.flush(&socket), 0);
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
