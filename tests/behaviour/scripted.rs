//! A man in the middle of a login: takes setup packets apart and puts others in their place.

use bmclink::crypto::keys::{Exchange, UserKey};
use bmclink::crypto::suite::SessionCipher;
use bmclink::wire::cipher_suite::CipherSuiteId;
use bmclink::wire::message::checksum;
use bmclink::wire::open_session::{AlgorithmNumbers, OpenSessionResponse, Refusal, StatusCode};
use bmclink::wire::payload::PayloadType;
use bmclink::wire::rakp::{Rakp1, Rakp2};
use bmclink::wire::{SessionId, ipmi15, rmcpplus};

use crate::pair::{Tap, Way};

/// A datagram of the login, as far as the man in the middle can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A LAN message outside any session, with its command.
    Command(u8),
    /// A setup payload.
    Setup(PayloadType),
    /// Everything else: the session.
    Session,
}

/// What a datagram is.
pub fn kind(datagram: &[u8]) -> Kind {
    if !rmcpplus::is_rmcpplus(datagram) {
        let message =
            ipmi15::decode(datagram.get(4..).unwrap_or_default()).map(|(_, message)| message);
        return match message {
            Ok(message) if message.len() > 5 => Kind::Command(message[5]),
            _ => Kind::Session,
        };
    }
    match rmcpplus::decode(datagram) {
        Ok(framed) if framed.header.payload_type.is_session_setup() => {
            Kind::Setup(framed.header.payload_type)
        }
        _ => Kind::Session,
    }
}

/// The payload of a setup packet.
pub fn setup_payload(datagram: &[u8]) -> &[u8] {
    let framed = rmcpplus::decode(datagram).expect("a setup packet");
    &datagram[framed.payload]
}

/// A setup packet around a payload.
pub fn setup_packet(payload_type: PayloadType, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    rmcpplus::encode_sessionless(payload_type, payload, &mut out);
    out
}

/// A refusal with the tag and the session ID of the answer it stands for.
pub fn refused(answer: &[u8], status: u8) -> Vec<u8> {
    let framed = rmcpplus::decode(answer).expect("a setup packet");
    let payload = setup_payload(answer);
    let session_id = payload.get(4..8).map_or([0; 4], |id| id.try_into().expect("4 bytes"));
    let refusal = Refusal {
        message_tag: payload[0],
        status: StatusCode(status),
        remote_console_session_id: SessionId(u32::from_le_bytes(session_id)),
    };
    let mut out = Vec::new();
    refusal.encode(&mut out);
    setup_packet(framed.header.payload_type, &out)
}

/// The same packet with its payload changed.
pub fn changed(datagram: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let framed = rmcpplus::decode(datagram).expect("a setup packet");
    let mut payload = setup_payload(datagram).to_vec();
    change(&mut payload);
    setup_packet(framed.header.payload_type, &payload)
}

/// Puts something else in the place of every setup packet of one type that comes from the BMC.
pub fn instead_of(
    payload_type: PayloadType,
    mut other: impl FnMut(&[u8]) -> Vec<Vec<u8>> + 'static,
) -> Tap {
    Box::new(move |way, datagram| {
        if way == Way::ToConsole && kind(&datagram) == Kind::Setup(payload_type) {
            other(&datagram)
        } else {
            vec![datagram]
        }
    })
}

/// Loses every datagram for which `lost` says so.
pub fn losing(mut lost: impl FnMut(Way, &[u8]) -> bool + 'static) -> Tap {
    Box::new(move |way, datagram| if lost(way, &datagram) { Vec::new() } else { vec![datagram] })
}

/// Turns the v2.0 bits of every capability response off.
pub fn without_v20() -> Tap {
    Box::new(|way, mut datagram| {
        if way == Way::ToConsole && kind(&datagram) == Kind::Command(0x38) {
            // Behind RMCP header, session header and message header: completion code, channel.
            datagram[22] &= 0x7f;
            datagram[24] = 0x01;
            let end = 14 + usize::from(datagram[13]);
            datagram[end - 1] = checksum(&datagram[17..end - 1]);
        }
        vec![datagram]
    })
}

/// What a listener learns of a login. With the password, that is everything.
#[derive(Default)]
pub struct Login {
    suite: Option<CipherSuiteId>,
    pub remote_console_session_id: SessionId,
    managed_system_session_id: SessionId,
    rakp1: ([u8; 16], u8, Vec<u8>),
    rakp2: ([u8; 16], [u8; 16]),
}

impl Login {
    /// Takes what a datagram says about the login.
    pub fn observe(&mut self, datagram: &[u8]) {
        let Kind::Setup(payload_type) = kind(datagram) else { return };
        let payload = setup_payload(datagram);
        match payload_type {
            PayloadType::OpenSessionResponse => {
                let Ok(Ok(response)) = OpenSessionResponse::decode(payload) else { return };
                self.remote_console_session_id = response.remote_console_session_id;
                self.managed_system_session_id = response.managed_system_session_id;
                let suites = CipherSuiteId::IMPLEMENTED.into_iter();
                let of = |id: CipherSuiteId| id.algorithms().map(AlgorithmNumbers::from);
                self.suite = suites.clone().find(|id| of(*id) == Some(response.algorithms));
            }
            PayloadType::Rakp1 => {
                let Ok(rakp1) = Rakp1::decode(payload) else { return };
                let random = rakp1.remote_console_random_number;
                self.rakp1 = (random, rakp1.role, rakp1.user_name.to_vec());
            }
            PayloadType::Rakp2 => {
                let Ok(Ok(rakp2)) = Rakp2::decode(payload) else { return };
                self.rakp2 = (rakp2.managed_system_random_number, rakp2.managed_system_guid);
            }
            _ => {}
        }
    }

    /// The cipher of the session that followed, without K_g.
    pub fn cipher(&self, password: &[u8]) -> SessionCipher {
        let algorithms = self.suite.and_then(CipherSuiteId::algorithms).expect("a login");
        let key = UserKey::new(password).expect("20 bytes at most");
        let (random, role, user_name) = self.rakp1.clone();
        let exchange = Exchange {
            authentication: algorithms.authentication,
            remote_console_session_id: self.remote_console_session_id,
            managed_system_session_id: self.managed_system_session_id,
            remote_console_random_number: random,
            managed_system_random_number: self.rakp2.0,
            managed_system_guid: self.rakp2.1,
            role,
            user_name,
        };
        let sik = exchange.sik(&key, None);
        SessionCipher::new(algorithms, &sik.k1(), &sik.k2(), &key)
    }
}
