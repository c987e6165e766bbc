//! RMCP+ Open Session Request and Response, RMCP+ status codes (§13.17, §13.18, §13.24).

use std::fmt;

use super::cipher_suite::Algorithms;
use super::{DecodeError, DecodeErrorKind, Reader, SessionId};

/// An RMCP+ status code (Table 13-15).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusCode(pub u8);

impl StatusCode {
    /// No errors.
    pub const NO_ERRORS: Self = Self(0x00);
    /// Insufficient resources to create a session.
    pub const INSUFFICIENT_RESOURCES: Self = Self(0x01);
    /// Invalid session ID.
    pub const INVALID_SESSION_ID: Self = Self(0x02);
    /// Invalid payload type.
    pub const INVALID_PAYLOAD_TYPE: Self = Self(0x03);
    /// Invalid authentication algorithm.
    pub const INVALID_AUTHENTICATION_ALGORITHM: Self = Self(0x04);
    /// Invalid integrity algorithm.
    pub const INVALID_INTEGRITY_ALGORITHM: Self = Self(0x05);
    /// No matching authentication payload.
    pub const NO_MATCHING_AUTHENTICATION: Self = Self(0x06);
    /// No matching integrity payload.
    pub const NO_MATCHING_INTEGRITY: Self = Self(0x07);
    /// Inactive session ID.
    pub const INACTIVE_SESSION_ID: Self = Self(0x08);
    /// Invalid role.
    pub const INVALID_ROLE: Self = Self(0x09);
    /// Unauthorized role or privilege level requested.
    pub const UNAUTHORIZED_ROLE: Self = Self(0x0a);
    /// Insufficient resources to create a session at the requested role.
    pub const INSUFFICIENT_RESOURCES_AT_ROLE: Self = Self(0x0b);
    /// Invalid name length.
    pub const INVALID_NAME_LENGTH: Self = Self(0x0c);
    /// Unauthorized name.
    pub const UNAUTHORIZED_NAME: Self = Self(0x0d);
    /// Unauthorized GUID.
    pub const UNAUTHORIZED_GUID: Self = Self(0x0e);
    /// Invalid integrity check value.
    pub const INVALID_INTEGRITY_CHECK_VALUE: Self = Self(0x0f);
    /// Invalid confidentiality algorithm.
    pub const INVALID_CONFIDENTIALITY_ALGORITHM: Self = Self(0x10);
    /// No cipher suite match with the proposed security algorithms.
    pub const NO_CIPHER_SUITE_MATCH: Self = Self(0x11);
    /// Illegal or unrecognized parameter.
    pub const ILLEGAL_PARAMETER: Self = Self(0x12);

    /// The meaning of the code, or `None` for a reserved one.
    pub fn text(self) -> Option<&'static str> {
        Some(match self.0 {
            0x00 => "no errors",
            0x01 => "insufficient resources to create a session",
            0x02 => "invalid session ID",
            0x03 => "invalid payload type",
            0x04 => "invalid authentication algorithm",
            0x05 => "invalid integrity algorithm",
            0x06 => "no matching authentication payload",
            0x07 => "no matching integrity payload",
            0x08 => "inactive session ID",
            0x09 => "invalid role",
            0x0a => "unauthorized role or privilege level requested",
            0x0b => "insufficient resources to create a session at the requested role",
            0x0c => "invalid name length",
            0x0d => "unauthorized name",
            0x0e => "unauthorized GUID",
            0x0f => "invalid integrity check value",
            0x10 => "invalid confidentiality algorithm",
            0x11 => "no cipher suite match with the proposed security algorithms",
            0x12 => "illegal or unrecognized parameter",
            _ => return None,
        })
    }
}

impl fmt::Debug for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusCode({:#04x})", self.0)
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#04x})", self.text().unwrap_or("reserved status code"), self.0)
    }
}

/// Algorithm numbers as an Open Session message carries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlgorithmNumbers {
    /// Authentication.
    pub authentication: u8,
    /// Integrity.
    pub integrity: u8,
    /// Confidentiality.
    pub confidentiality: u8,
}

impl From<Algorithms> for AlgorithmNumbers {
    fn from(algorithms: Algorithms) -> Self {
        AlgorithmNumbers {
            authentication: algorithms.authentication as u8,
            integrity: algorithms.integrity as u8,
            confidentiality: algorithms.confidentiality as u8,
        }
    }
}

/// RMCP+ Open Session Request (Table 13-9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenSessionRequest {
    /// Offset 0.
    pub message_tag: u8,
    /// Offset 1 bits 3:0: 0 for the highest the algorithms allow.
    pub requested_maximum_privilege_level: u8,
    /// Offset 4.
    pub remote_console_session_id: SessionId,
    /// Offsets 8, 16 and 24.
    pub algorithms: AlgorithmNumbers,
}

impl OpenSessionRequest {
    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[
            self.message_tag,
            self.requested_maximum_privilege_level & 0x0f,
            0,
            0,
        ]);
        out.extend_from_slice(&self.remote_console_session_id.0.to_le_bytes());
        encode_algorithms(&self.algorithms, out);
    }

    /// Reads the payload. A wildcard block (length 0) reads as algorithm 0.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new("RMCP+ Open Session Request", payload);
        let message_tag = r.u8()?;
        let privilege = r.u8()?;
        r.u16()?;
        let request = OpenSessionRequest {
            message_tag,
            requested_maximum_privilege_level: privilege & 0x0f,
            remote_console_session_id: SessionId(r.u32()?),
            algorithms: decode_algorithms(&mut r)?,
        };
        r.finish()?;
        Ok(request)
    }
}

/// RMCP+ Open Session Response (Table 13-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenSessionResponse {
    /// Offset 0.
    pub message_tag: u8,
    /// Offset 2 bits 3:0; 0 on several BMCs.
    pub maximum_privilege_level: u8,
    /// Offset 4.
    pub remote_console_session_id: SessionId,
    /// Offset 8.
    pub managed_system_session_id: SessionId,
    /// Offsets 12, 20 and 28.
    pub algorithms: AlgorithmNumbers,
}

/// A refusal by Open Session Response, RAKP 2 or RAKP 4.
///
/// Its length differs by BMC (2, 8, 36 or 40 bytes); the session ID is 0 when the message is
/// too short to hold one, and on a BMC stack that leaves tag and ID at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Offset 0.
    pub message_tag: u8,
    /// Offset 1, never 0.
    pub status: StatusCode,
    /// Offset 4.
    pub remote_console_session_id: SessionId,
}

/// What answers a session setup message.
pub type SetupReply<T> = Result<T, Refusal>;

/// Reads tag and status; when the status is an error, what there is of a refusal.
pub(super) fn decode_status<'a>(
    what: &'static str,
    payload: &'a [u8],
) -> Result<Result<(u8, Reader<'a>), Refusal>, DecodeError> {
    let mut r = Reader::new(what, payload);
    let message_tag = r.u8()?;
    let status = StatusCode(r.u8()?);
    if status == StatusCode::NO_ERRORS {
        return Ok(Ok((message_tag, r)));
    }
    let session_id = r.u16().and_then(|_| r.u32()).unwrap_or(0);
    Ok(Err(Refusal { message_tag, status, remote_console_session_id: SessionId(session_id) }))
}

impl OpenSessionResponse {
    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Result<SetupReply<Self>, DecodeError> {
        let (message_tag, mut r) = match decode_status("RMCP+ Open Session Response", payload)? {
            Ok(success) => success,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let [privilege, _reserved] = r.array()?;
        let response = OpenSessionResponse {
            message_tag,
            maximum_privilege_level: privilege & 0x0f,
            remote_console_session_id: SessionId(r.u32()?),
            managed_system_session_id: SessionId(r.u32()?),
            algorithms: decode_algorithms(&mut r)?,
        };
        Ok(Ok(response))
    }

    /// Appends the payload of a success.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.message_tag, 0, self.maximum_privilege_level, 0]);
        out.extend_from_slice(&self.remote_console_session_id.0.to_le_bytes());
        out.extend_from_slice(&self.managed_system_session_id.0.to_le_bytes());
        encode_algorithms(&self.algorithms, out);
    }
}

impl Refusal {
    /// Appends the eight-byte payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.message_tag, self.status.0, 0, 0]);
        out.extend_from_slice(&self.remote_console_session_id.0.to_le_bytes());
    }
}

const BLOCK_LEN: u8 = 8;

fn encode_algorithms(algorithms: &AlgorithmNumbers, out: &mut Vec<u8>) {
    let numbers = [algorithms.authentication, algorithms.integrity, algorithms.confidentiality];
    for (block, number) in numbers.into_iter().enumerate() {
        out.extend_from_slice(&[block as u8, 0, 0, BLOCK_LEN, number & 0x3f, 0, 0, 0]);
    }
}

fn decode_algorithms(r: &mut Reader<'_>) -> Result<AlgorithmNumbers, DecodeError> {
    let mut numbers = [0; 3];
    for (block, number) in numbers.iter_mut().enumerate() {
        let [kind, _, _, len, algorithm, _, _, _] = r.array()?;
        if usize::from(kind) != block || !matches!(len, 0 | BLOCK_LEN) {
            return Err(r.error(DecodeErrorKind::Value));
        }
        *number = if len == 0 { 0 } else { algorithm & 0x3f };
    }
    let [authentication, integrity, confidentiality] = numbers;
    Ok(AlgorithmNumbers { authentication, integrity, confidentiality })
}
