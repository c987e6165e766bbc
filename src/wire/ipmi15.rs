//! The IPMI v1.5 session header (§13.6, Table 13-8).
//!
//! It also carries the commands that come before any session, those of a v2.0 login included.

use super::{DecodeError, Reader, SessionId, SessionSequence, rmcp};

/// The format byte that marks an RMCP+ packet instead of a v1.5 one.
pub const FORMAT_RMCPPLUS: u8 = 0x06;

/// How a v1.5 packet is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum AuthType {
    /// Not at all; no AuthCode field.
    None = 0,
    /// A keyed MD2 digest.
    Md2 = 1,
    /// A keyed MD5 digest.
    Md5 = 2,
    /// The password in clear.
    StraightPassword = 4,
    /// A vendor's own.
    Oem = 5,
}

impl AuthType {
    /// The type of a 4-bit number.
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::None,
            1 => Self::Md2,
            2 => Self::Md5,
            4 => Self::StraightPassword,
            5 => Self::Oem,
            _ => return None,
        })
    }
}

/// A v1.5 session header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Offset 4: how the packet is authenticated.
    pub auth_type: AuthType,
    /// Offset 5: 0 outside a session.
    pub session_sequence_number: SessionSequence,
    /// Offset 9: the same both ways; 0 outside a session.
    pub session_id: SessionId,
    /// Offset 13, present unless `auth_type` is none.
    pub auth_code: Option<[u8; 16]>,
}

impl Header {
    /// The header of a packet outside any session.
    pub const SESSIONLESS: Header = Header {
        auth_type: AuthType::None,
        session_sequence_number: SessionSequence(0),
        session_id: SessionId(0),
        auth_code: None,
    };
}

/// Reads what follows the RMCP header of a v1.5 packet, into its header and its IPMI message.
///
/// Bytes after the message are ignored: old network controllers and one current BMC stack pad.
pub fn decode(block: &[u8]) -> Result<(Header, &[u8]), DecodeError> {
    let mut r = Reader::new("IPMI v1.5 session header", block);
    let auth_type = AuthType::from_number(r.u8()?);
    let session_sequence_number = SessionSequence(r.u32()?);
    let session_id = SessionId(r.u32()?);
    let Some(auth_type) = auth_type else {
        return Err(r.error(super::DecodeErrorKind::Value));
    };
    let auth_code = match auth_type {
        AuthType::None => None,
        _ => Some(r.array()?),
    };
    let message_len = r.u8()?;
    let message = r.bytes(usize::from(message_len))?;
    Ok((Header { auth_type, session_sequence_number, session_id, auth_code }, message))
}

/// Appends a whole v1.5 datagram around `message`, which is at most 255 bytes.
pub fn encode(header: &Header, message: &[u8], out: &mut Vec<u8>) {
    debug_assert!(message.len() <= 255);
    rmcp::encode_ipmi(out);
    out.push(header.auth_type as u8);
    out.extend_from_slice(&header.session_sequence_number.0.to_le_bytes());
    out.extend_from_slice(&header.session_id.0.to_le_bytes());
    if let Some(auth_code) = header.auth_code {
        out.extend_from_slice(&auth_code);
    }
    out.push(message.len() as u8);
    out.extend_from_slice(message);
}
