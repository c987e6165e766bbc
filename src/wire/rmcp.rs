//! The RMCP header and the ASF presence ping (§13.1.3, §13.2.3, §13.2.4).

use super::{DecodeError, Reader};

/// Length of the RMCP header.
pub const HEADER_LEN: usize = 4;

const VERSION: u8 = 0x06;
const NO_ACK: u8 = 0xff;
const CLASS_ASF: u8 = 0x06;
const CLASS_IPMI: u8 = 0x07;
const IANA_ASF: u32 = 4542;
const PRESENCE_PING: u8 = 0x80;
const PRESENCE_PONG: u8 = 0x40;

/// The message class of an RMCP datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// ASF: presence ping and pong.
    Asf,
    /// IPMI, v1.5 or v2.0.
    Ipmi,
}

/// Splits a datagram into its class and what follows the RMCP header.
///
/// RMCP acknowledgements are refused like any other class: they only answer datagrams that
/// asked for one, and ours never do.
pub fn decode(datagram: &[u8]) -> Result<(Class, &[u8]), DecodeError> {
    let mut r = Reader::new("RMCP header", datagram);
    let version = r.u8()?; // offset 0
    let _reserved = r.u8()?; // offset 1
    let sequence = r.u8()?; // offset 2
    let class = r.u8()?; // offset 3
    r.require(version == VERSION)?;
    match class {
        CLASS_ASF => Ok((Class::Asf, r.rest())),
        CLASS_IPMI => {
            r.require(sequence == NO_ACK)?;
            Ok((Class::Ipmi, r.rest()))
        }
        _ => Err(r.error(super::DecodeErrorKind::Value)),
    }
}

/// Appends an RMCP header of the IPMI class that asks for no acknowledgement.
pub fn encode_ipmi(out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, 0, NO_ACK, CLASS_IPMI]);
}

/// Appends a whole Presence Ping datagram.
pub fn encode_presence_ping(message_tag: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, 0, NO_ACK, CLASS_ASF]);
    out.extend_from_slice(&IANA_ASF.to_be_bytes());
    out.extend_from_slice(&[PRESENCE_PING, message_tag, 0, 0]);
}

/// Appends a whole Presence Pong datagram of a BMC that supports IPMI.
pub fn encode_presence_pong(message_tag: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, 0, NO_ACK, CLASS_ASF]);
    out.extend_from_slice(&IANA_ASF.to_be_bytes());
    out.extend_from_slice(&[PRESENCE_PONG, message_tag, 0, 16]);
    out.extend_from_slice(&IANA_ASF.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0]);
}

/// An ASF message as far as presence detection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsfMessage {
    /// A Presence Ping.
    Ping {
        /// The tag the pong has to repeat.
        message_tag: u8,
    },
    /// A Presence Pong.
    Pong {
        /// The tag of the ping.
        message_tag: u8,
        /// Whether the BMC says it speaks IPMI.
        supports_ipmi: bool,
    },
}

/// Reads what follows the RMCP header of an ASF datagram.
///
/// The IANA number is not checked: one common BMC stack sends it byte-swapped. Pongs of 12
/// bytes, without the entities field, were seen; they say nothing about IPMI.
pub fn decode_asf(block: &[u8]) -> Result<AsfMessage, DecodeError> {
    let mut r = Reader::new("ASF message", block);
    let _iana = r.u32_be()?; // offset 4 of the datagram
    let message_type = r.u8()?; // offset 8
    let message_tag = r.u8()?; // offset 9
    let _reserved = r.u8()?; // offset 10
    let data_len = r.u8()?; // offset 11
    match message_type {
        PRESENCE_PING => Ok(AsfMessage::Ping { message_tag }),
        PRESENCE_PONG => {
            let data = r.bytes(usize::from(data_len).min(r.len()))?;
            let supports_ipmi = data.get(8).is_some_and(|entities| entities & 0x80 != 0);
            Ok(AsfMessage::Pong { message_tag, supports_ipmi })
        }
        _ => Err(r.error(super::DecodeErrorKind::Value)),
    }
}
