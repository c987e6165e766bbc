//! The RMCP+ (v2.0) session header and trailer (§13.6, Table 13-8, §13.28.4).
//!
//! Payloads are decrypted in place, so decoding gives positions in the datagram, not slices.

use std::ops::Range;

use super::payload::PayloadType;
use super::{DecodeError, DecodeErrorKind, Reader, SessionId, SessionSequence, ipmi15, rmcp};

/// Offset of the AuthType/format byte, the first one the AuthCode covers.
pub const FORMAT_OFFSET: usize = rmcp::HEADER_LEN;

/// Length of the session header without OEM fields, from the format byte.
const HEADER_LEN: usize = 12;

/// The only value of the Next Header field.
const NEXT_HEADER: u8 = 0x07;

const BIT_ENCRYPTED: u8 = 0x80;
const BIT_AUTHENTICATED: u8 = 0x40;

/// An RMCP+ session header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Offset 5 bit 7.
    pub encrypted: bool,
    /// Offset 5 bit 6: a session trailer follows the payload.
    pub authenticated: bool,
    /// Offset 5 bits 5:0.
    pub payload_type: PayloadType,
    /// Offset 6: of the receiver of the packet; 0 outside a session.
    pub session_id: SessionId,
    /// Offset 10: 0 outside a session.
    pub session_sequence_number: SessionSequence,
}

impl Header {
    /// The header of a packet outside any session.
    pub fn sessionless(payload_type: PayloadType) -> Self {
        Header {
            encrypted: false,
            authenticated: false,
            payload_type,
            session_id: SessionId(0),
            session_sequence_number: SessionSequence(0),
        }
    }
}

/// A header and where its payload lies in the datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framed {
    /// The session header.
    pub header: Header,
    /// Manufacturer and payload ID of an OEM explicit payload.
    pub oem: Option<(u32, u16)>,
    /// The payload's position in the datagram.
    pub payload: Range<usize>,
}

/// Where the parts of a session trailer lie in the datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailer {
    /// What the AuthCode covers.
    pub covered: Range<usize>,
    /// The AuthCode itself.
    pub auth_code: Range<usize>,
}

/// Whether a datagram of the IPMI class is in RMCP+ format.
pub fn is_rmcpplus(datagram: &[u8]) -> bool {
    datagram.get(FORMAT_OFFSET) == Some(&ipmi15::FORMAT_RMCPPLUS)
}

/// Reads the session header of a whole datagram whose RMCP header was already checked.
///
/// Bytes after the payload are not judged here: what they must be depends on the session.
pub fn decode(datagram: &[u8]) -> Result<Framed, DecodeError> {
    let mut r = Reader::new("RMCP+ session header", datagram);
    r.bytes(rmcp::HEADER_LEN)?;
    let format = r.u8()?;
    r.require(format & 0x0f == ipmi15::FORMAT_RMCPPLUS)?;
    let bits = r.u8()?;
    let payload_type = PayloadType::from_number(bits);
    let oem = match payload_type {
        PayloadType::OemExplicit => Some((r.u32()? & 0x00ff_ffff, r.u16()?)),
        _ => None,
    };
    let session_id = SessionId(r.u32()?);
    let session_sequence_number = SessionSequence(r.u32()?);
    let payload_len = usize::from(r.u16()?);
    let start = datagram.len() - r.len();
    r.bytes(payload_len)?;
    let header = Header {
        encrypted: bits & BIT_ENCRYPTED != 0,
        authenticated: bits & BIT_AUTHENTICATED != 0,
        payload_type,
        session_id,
        session_sequence_number,
    };
    Ok(Framed { header, oem, payload: start..start + payload_len })
}

impl Framed {
    /// Finds the trailer: the AuthCode is the last `auth_code_len` bytes of the datagram.
    ///
    /// Only positions are checked. Judge the contents with [`Framed::check_trailer`] once the
    /// AuthCode verified.
    pub fn trailer(&self, datagram: &[u8], auth_code_len: usize) -> Result<Trailer, DecodeError> {
        let end = datagram.len().checked_sub(auth_code_len);
        match end {
            // Pad length and next header stand between payload and AuthCode.
            Some(end) if end >= self.payload.end + 2 => {
                Ok(Trailer { covered: FORMAT_OFFSET..end, auth_code: end..datagram.len() })
            }
            _ => Err(DecodeError { what: "session trailer", kind: DecodeErrorKind::Truncated }),
        }
    }

    /// Checks pad length and next header. The pad's own bytes may hold anything.
    pub fn check_trailer(&self, datagram: &[u8], trailer: &Trailer) -> Result<(), DecodeError> {
        let mut r = Reader::new("session trailer", datagram);
        r.bytes(self.payload.end)?;
        let between = trailer.covered.end.saturating_sub(self.payload.end);
        let mut r = Reader::new("session trailer", r.bytes(between)?);
        let pad_len = between.saturating_sub(2);
        r.bytes(pad_len)?;
        let stated = usize::from(r.u8()?);
        let next_header = r.u8()?;
        r.require(pad_len <= 15 && stated == pad_len && next_header == NEXT_HEADER)
    }
}

/// Appends RMCP and session header with a payload length of 0, and returns where the packet
/// starts in `out`; [`end_payload`] fills the length in.
pub fn begin(header: &Header, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    rmcp::encode_ipmi(out);
    let mut bits = header.payload_type.number();
    if header.encrypted {
        bits |= BIT_ENCRYPTED;
    }
    if header.authenticated {
        bits |= BIT_AUTHENTICATED;
    }
    out.extend_from_slice(&[ipmi15::FORMAT_RMCPPLUS, bits]);
    out.extend_from_slice(&header.session_id.0.to_le_bytes());
    out.extend_from_slice(&header.session_sequence_number.0.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    start
}

/// Writes the length of the payload that was appended since [`begin`] returned `start`.
pub fn end_payload(start: usize, out: &mut [u8]) {
    let payload_start = start + FORMAT_OFFSET + HEADER_LEN;
    let payload_len = out.len().saturating_sub(payload_start) as u16;
    if let Some(field) = out.get_mut(payload_start - 2..payload_start) {
        field.copy_from_slice(&payload_len.to_le_bytes());
    }
}

/// How the integrity pad is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntegrityPad {
    /// Header, payload, pad, pad length and next header fill whole 32-bit words (§13.6).
    #[default]
    Standard,
    /// Without the pad length and next header bytes: quirk `icts`.
    WithoutTrailer,
    /// As `Standard`, but 4 where that gives 0: one BMC stack demands it.
    NeverZero,
}

/// Appends integrity pad, pad length and next header to the packet that starts at `start`.
pub fn append_pad(start: usize, pad: IntegrityPad, out: &mut Vec<u8>) {
    let mut counted = out.len() - start - FORMAT_OFFSET;
    if pad != IntegrityPad::WithoutTrailer {
        counted += 2;
    }
    let mut pad_len = counted.wrapping_neg() % 4;
    if pad == IntegrityPad::NeverZero && pad_len == 0 {
        pad_len = 4;
    }
    out.resize(out.len() + pad_len, 0xff);
    out.extend_from_slice(&[pad_len as u8, NEXT_HEADER]);
}

/// Appends a whole packet outside any session.
pub fn encode_sessionless(payload_type: PayloadType, payload: &[u8], out: &mut Vec<u8>) {
    let start = begin(&Header::sessionless(payload_type), out);
    out.extend_from_slice(payload);
    end_payload(start, out);
}
