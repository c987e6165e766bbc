//! Loopback addresses nobody else has, and the question whether a BMC is there.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::time::Duration;

use super::rng::SplitMix64;

/// Where the BMCs of the lab listen. Not 623, which needs root; and below 32768, both because
/// the kernel hands out the ports above and because FreeIPMI reads a SOL port as signed.
pub const BMC_PORT: u16 = 6623;

/// A bound socket on this port is what holds an address.
const CLAIM_PORT: u16 = 6622;

/// An address in 127.0.0.0/8 that no other caller has, in this process or any other, until this
/// process ends. Nothing listens there on UDP port [`BMC_PORT`].
pub fn loopback_address() -> Ipv4Addr {
    static CLAIMS: Mutex<Claims> = Mutex::new(Claims { rng: None, sockets: Vec::new() });
    // Poisoned only by the panic below, which leaves nothing half done.
    let mut claims = CLAIMS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    claims.take()
}

struct Claims {
    rng: Option<SplitMix64>,
    sockets: Vec<UdpSocket>,
}

impl Claims {
    fn take(&mut self) -> Ipv4Addr {
        // Each process starts elsewhere; the bind, not the draw, is what makes it unique.
        let rng = self.rng.get_or_insert_with(|| SplitMix64::new(std::process::id().into()));
        for _ in 0..1000 {
            let [_, _, _, _, _, x, y, z] = rng.next_u64().to_be_bytes();
            // 127.0 and 127.255 are where other programs and the broadcast address live.
            let address = Ipv4Addr::new(127, x.clamp(1, 254), y, z.clamp(1, 254));
            let Ok(claim) = UdpSocket::bind((address, CLAIM_PORT)) else {
                continue;
            };
            if UdpSocket::bind((address, BMC_PORT)).is_ok() {
                self.sockets.push(claim);
                return address;
            }
        }
        panic!("no free loopback address: UDP port {CLAIM_PORT} or {BMC_PORT} is taken on all");
    }
}

/// Whether Get Channel Authentication Capabilities is answered within `timeout`.
pub fn answers_ipmi(bmc: SocketAddr, timeout: Duration) -> bool {
    // v2.0 data wanted, channel Eh (this one), privilege administrator: pyghmi answers no other.
    const REQUEST: [u8; 23] = [
        0x06, 0x00, 0xff, 0x07, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0x09, 0x20, 0x18, 0xc8, 0x81, 0x00,
        0x38, 0x8e, 0x04, 0xb5,
    ];
    let ask = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(bmc)?;
        socket.set_read_timeout(Some(timeout))?;
        socket.send(&REQUEST)?;
        socket.recv(&mut [0; 256])
    };
    // "Connection refused" comes at once when nobody listens.
    ask().is_ok()
}
