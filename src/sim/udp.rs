//! The loopback socket of a [`Simulator`](super::Simulator): any number of addresses, one fd.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockFlag, SockType,
    SockaddrIn, bind, recvmmsg, sendmsg, setsockopt, socket, sockopt,
};

use crate::wire::DATAGRAM_MAX;

/// How many datagrams one call takes from the kernel.
const BATCH: usize = 64;

/// What the kernel may hold for us, its own overhead included: 20,000 BMCs may be asked at once.
const RECEIVE_BUFFER: usize = 64 << 20;

/// One UDP socket that serves one address, or consecutive addresses in 127.0.0.0/8.
#[derive(Debug)]
pub(super) struct LoopbackSocket {
    socket: UdpSocket,
    first: SocketAddr,
    count: u32,
}

impl LoopbackSocket {
    /// How many addresses are served.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Serves `count` addresses from `first` on, at one port (0: the kernel's choice).
    ///
    /// Fails with `InvalidInput` when any of them is not a loopback address.
    pub(super) fn bind(first: SocketAddr, count: u32) -> io::Result<Self> {
        let last = check_range(first.ip(), count)?;
        let name = if count == 1 { first.to_string() } else { format!("{first} to {last}") };
        let named = |e: io::Error| io::Error::new(e.kind(), format!("cannot serve {name}: {e}"));
        let socket = if count == 1 { UdpSocket::bind(first) } else { bind_all(first.port()) };
        let socket = socket.map_err(named)?;
        socket.set_nonblocking(true)?;
        // As much as we may have: beyond the system's limit only for root.
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            let _ = setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
        }
        let port = socket.local_addr()?.port();
        Ok(LoopbackSocket { socket, first: SocketAddr::new(first.ip(), port), count })
    }

    /// The address of BMC `index`.
    pub(super) fn address(&self, index: u32) -> SocketAddr {
        assert!(index < self.count, "BMC {index} of {}", self.count);
        match self.first {
            SocketAddr::V4(first) => {
                SocketAddrV4::new(Ipv4Addr::from_bits(first.ip().to_bits() + index), first.port())
                    .into()
            }
            first => first,
        }
    }

    /// The BMC that an address belongs to.
    pub(super) fn index(&self, address: IpAddr) -> Option<u32> {
        match (self.first.ip(), address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let index = address.to_bits().wrapping_sub(first.to_bits());
                (index < self.count).then_some(index)
            }
            (first, address) => (first == address).then_some(0),
        }
    }

    /// Sends a datagram from BMC `index`. A full buffer loses it, as a real network would.
    pub(super) fn send(&self, index: u32, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        let SocketAddr::V4(from) = self.address(index) else {
            return self.socket.send_to(datagram, to).map(drop);
        };
        let SocketAddr::V4(to) = to else { return Err(Errno::EAFNOSUPPORT.into()) };
        if self.count == 1 {
            return self.socket.send_to(datagram, to).map(drop);
        }
        let source = libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr { s_addr: from.ip().to_bits().to_be() },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        // Not sendmmsg: there nix gives all datagrams of a call one source address.
        sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(datagram)],
            &[ControlMessage::Ipv4PacketInfo(&source)],
            MsgFlags::empty(),
            Some(&SockaddrIn::from(to)),
        )?;
        Ok(())
    }

    /// Takes up to [`BATCH`] datagrams and hands each to `handle` as `(index, from, datagram)`.
    ///
    /// Datagrams from or to an address that is none of ours to serve are dropped; returns how
    /// many. `None`: the socket is empty.
    pub(super) fn receive(
        &self,
        buffers: &mut Buffers,
        handle: impl FnMut(u32, SocketAddr, &[u8]),
    ) -> io::Result<Option<u64>> {
        let received = match self.count {
            1 => self.receive_one(buffers, handle),
            _ => self.receive_batch(buffers, handle),
        };
        match received {
            Ok(dropped) => Ok(Some(dropped)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(Some(0)),
            Err(e) => Err(e),
        }
    }

    fn receive_one(
        &self,
        buffers: &mut Buffers,
        mut handle: impl FnMut(u32, SocketAddr, &[u8]),
    ) -> io::Result<u64> {
        let (len, from) = self.socket.recv_from(&mut buffers.bytes)?;
        handle(0, from, &buffers.bytes[..len]);
        Ok(0)
    }

    fn receive_batch(
        &self,
        buffers: &mut Buffers,
        mut handle: impl FnMut(u32, SocketAddr, &[u8]),
    ) -> io::Result<u64> {
        let chunks = buffers.bytes.chunks_exact_mut(DATAGRAM_MAX);
        let mut slices: Vec<_> = chunks.map(|chunk| [IoSliceMut::new(chunk)]).collect();
        let fd = self.socket.as_raw_fd();
        let batch =
            recvmmsg(fd, &mut buffers.headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        let mut dropped = 0;
        for message in batch {
            let to = message.cmsgs()?.find_map(|cmsg| match cmsg {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    Some(Ipv4Addr::from_bits(u32::from_be(info.ipi_addr.s_addr)))
                }
                _ => None,
            });
            let index = to.and_then(|to| self.index(to.into()));
            let from = message.address.map(SocketAddrV4::from);
            match (index, from) {
                (Some(index), Some(from)) if from.ip().is_loopback() => {
                    handle(index, from.into(), message.iovs().next().unwrap_or_default());
                }
                _ => dropped += 1,
            }
        }
        Ok(dropped)
    }
}

impl AsFd for LoopbackSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Where received datagrams are put. Of the thread that receives.
pub(super) struct Buffers {
    bytes: Vec<u8>,
    headers: MultiHeaders<SockaddrIn>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        let control = nix::cmsg_space!(libc::in_pktinfo);
        Buffers {
            bytes: vec![0; BATCH * DATAGRAM_MAX],
            headers: MultiHeaders::preallocate(BATCH, Some(control)),
        }
    }
}

/// A socket that gets the datagrams of every address of this machine's loopback device.
fn bind_all(port: u16) -> io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
    // Before it has a port, so that nothing from outside gets in. Where this is not permitted,
    // the check of both addresses in `receive` has to do.
    let _ = setsockopt(&fd, sockopt::BindToDevice, &"lo".into());
    setsockopt(&fd, sockopt::Ipv4PacketInfo, &true)?;
    bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)))?;
    Ok(UdpSocket::from(fd))
}

/// The last of `count` addresses, if the range is all loopback addresses.
fn check_range(first: IpAddr, count: u32) -> io::Result<IpAddr> {
    let invalid = |what: String| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    if !first.is_loopback() {
        return invalid(format!("{first} is not a loopback address"));
    }
    match first {
        _ if count == 0 => invalid("the number of BMCs is 0".to_owned()),
        IpAddr::V6(_) if count > 1 => invalid(format!("{first} has no {count} neighbours")),
        IpAddr::V6(_) => Ok(first),
        IpAddr::V4(address) => {
            let last = Ipv4Addr::from_bits(address.to_bits().saturating_add(count - 1));
            // 127.255.255.255 is the broadcast address of the network.
            if last >= Ipv4Addr::new(127, 255, 255, 255) {
                return invalid(format!("{count} addresses from {first} run out of 127.0.0.0/8"));
            }
            Ok(last.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_served() {
        let error = |ip: &str, count| check_range(ip.parse().unwrap(), count).unwrap_err();
        assert!(check_range("127.255.255.250".parse().unwrap(), 5).is_ok());
        assert!(error("127.255.255.250", 6).to_string().contains("run out of 127.0.0.0/8"));
        assert!(error("0.0.0.0", 1).to_string().contains("0.0.0.0 is not a loopback"));
        assert!(error("192.0.2.1", 2).to_string().contains("192.0.2.1"));
        assert!(error("127.0.0.1", 0).to_string().contains("is 0"));
        assert!(check_range("::1".parse().unwrap(), 1).is_ok());
        assert!(error("::1", 2).to_string().contains("neighbours"));
    }

    #[test]
    fn a_port_in_use_is_named() {
        let first = LoopbackSocket::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        for count in [1, 2] {
            let error = LoopbackSocket::bind(first.address(0), count).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
            assert!(error.to_string().contains(&first.address(0).to_string()), "{error}");
        }
    }

    #[test]
    fn each_address_is_told_from_the_others() {
        let socket = LoopbackSocket::bind("127.1.2.250:0".parse().unwrap(), 10).unwrap();
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.address(0).port();
        for (index, to) in [(7, "127.1.3.1"), (0, "127.1.2.250"), (9, "127.1.3.3")] {
            assert_eq!(socket.address(index), SocketAddr::new(to.parse().unwrap(), port));
            assert_eq!(socket.index(to.parse().unwrap()), Some(index));
            peer.send_to(&[index as u8], socket.address(index)).unwrap();
        }
        peer.send_to(b"unserved", ("127.1.3.4", port)).unwrap();
        let mut buffers = Buffers::new();
        let mut seen = Vec::new();
        let mut dropped = 0;
        while let Some(more) = socket
            .receive(&mut buffers, |index, from, datagram| {
                assert_eq!(from, peer.local_addr().unwrap());
                seen.push((index, datagram.to_vec()));
            })
            .unwrap()
        {
            dropped += more;
        }
        assert_eq!(seen, [(7, vec![7]), (0, vec![0]), (9, vec![9])]);
        assert_eq!(dropped, 1);
        socket.send(9, peer.local_addr().unwrap(), b"hello").unwrap();
        let mut buffer = [0; 10];
        let (len, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..len], from), (&b"hello"[..], socket.address(9)));
    }
}
