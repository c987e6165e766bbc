//! A man in the middle of a login: takes setup packets apart and puts others in their place.

use bmclink::wire::message::checksum;
use bmclink::wire::open_session::{Refusal, StatusCode};
use bmclink::wire::payload::PayloadType;
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
