//! RAKP Messages 1 to 4 (§13.20 to §13.23).

use super::open_session::{SetupReply, StatusCode, decode_status};
use super::{DecodeError, Reader, SessionId};

/// The longest user name.
pub const USER_NAME_MAX: usize = 16;

/// Bit 4 of the role byte: look the user up by name only, not by name and privilege.
pub const ROLE_NAME_ONLY: u8 = 0x10;

/// RAKP Message 1 (Table 13-11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rakp1<'a> {
    /// Offset 0.
    pub message_tag: u8,
    /// Offset 4.
    pub managed_system_session_id: SessionId,
    /// Offset 8.
    pub remote_console_random_number: [u8; 16],
    /// Offset 24, the whole byte.
    pub role: u8,
    /// Offset 28; offset 27 is its length.
    pub user_name: &'a [u8],
}

impl<'a> Rakp1<'a> {
    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.message_tag, 0, 0, 0]);
        out.extend_from_slice(&self.managed_system_session_id.0.to_le_bytes());
        out.extend_from_slice(&self.remote_console_random_number);
        out.extend_from_slice(&[self.role, 0, 0, self.user_name.len() as u8]);
        out.extend_from_slice(self.user_name);
    }

    /// Reads the payload. Bytes after the name are ignored: quirk `i82571spt` pads the field.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new("RAKP Message 1", payload);
        let message_tag = r.u8()?;
        r.array::<3>()?;
        let managed_system_session_id = SessionId(r.u32()?);
        let remote_console_random_number = r.array()?;
        let role = r.u8()?;
        r.u16()?;
        let user_name_len = usize::from(r.u8()?);
        r.require(user_name_len <= USER_NAME_MAX)?;
        Ok(Rakp1 {
            message_tag,
            managed_system_session_id,
            remote_console_random_number,
            role,
            user_name: r.bytes(user_name_len)?,
        })
    }
}

/// RAKP Message 2 (Table 13-13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rakp2<'a> {
    /// Offset 0.
    pub message_tag: u8,
    /// Offset 4.
    pub remote_console_session_id: SessionId,
    /// Offset 8.
    pub managed_system_random_number: [u8; 16],
    /// Offset 24.
    pub managed_system_guid: [u8; 16],
    /// Offset 40: a whole digest. Its length is the caller's to check.
    pub key_exchange_auth_code: &'a [u8],
}

impl<'a> Rakp2<'a> {
    /// Reads the payload.
    pub fn decode(payload: &'a [u8]) -> Result<SetupReply<Self>, DecodeError> {
        let (message_tag, mut r) = match decode_status("RAKP Message 2", payload)? {
            Ok(success) => success,
            Err(refusal) => return Ok(Err(refusal)),
        };
        r.u16()?;
        Ok(Ok(Rakp2 {
            message_tag,
            remote_console_session_id: SessionId(r.u32()?),
            managed_system_random_number: r.array()?,
            managed_system_guid: r.array()?,
            key_exchange_auth_code: r.rest(),
        }))
    }

    /// Appends the payload of a success.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.message_tag, 0, 0, 0]);
        out.extend_from_slice(&self.remote_console_session_id.0.to_le_bytes());
        out.extend_from_slice(&self.managed_system_random_number);
        out.extend_from_slice(&self.managed_system_guid);
        out.extend_from_slice(self.key_exchange_auth_code);
    }
}

/// RAKP Message 3 (Table 13-14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rakp3<'a> {
    /// Offset 0.
    pub message_tag: u8,
    /// Offset 1: not 0 tells the BMC to give the half-open session up.
    pub status: StatusCode,
    /// Offset 4.
    pub managed_system_session_id: SessionId,
    /// Offset 8: a whole digest; empty with an error status.
    pub key_exchange_auth_code: &'a [u8],
}

impl<'a> Rakp3<'a> {
    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.message_tag, self.status.0, 0, 0]);
        out.extend_from_slice(&self.managed_system_session_id.0.to_le_bytes());
        out.extend_from_slice(self.key_exchange_auth_code);
    }

    /// Reads the payload.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new("RAKP Message 3", payload);
        let message_tag = r.u8()?;
        let status = StatusCode(r.u8()?);
        r.u16()?;
        Ok(Rakp3 {
            message_tag,
            status,
            managed_system_session_id: SessionId(r.u32()?),
            key_exchange_auth_code: r.rest(),
        })
    }
}

/// RAKP Message 4 (Table 13-15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rakp4<'a> {
    /// Offset 0.
    pub message_tag: u8,
    /// Offset 4.
    pub remote_console_session_id: SessionId,
    /// Offset 8. Its length is the caller's to check.
    pub integrity_check_value: &'a [u8],
}

impl<'a> Rakp4<'a> {
    /// Reads the payload.
    pub fn decode(payload: &'a [u8]) -> Result<SetupReply<Self>, DecodeError> {
        let (message_tag, mut r) = match decode_status("RAKP Message 4", payload)? {
            Ok(success) => success,
            Err(refusal) => return Ok(Err(refusal)),
        };
        r.u16()?;
        Ok(Ok(Rakp4 {
            message_tag,
            remote_console_session_id: SessionId(r.u32()?),
            integrity_check_value: r.rest(),
        }))
    }

    /// Appends the payload of a success.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.message_tag, 0, 0, 0]);
        out.extend_from_slice(&self.remote_console_session_id.0.to_le_bytes());
        out.extend_from_slice(self.integrity_check_value);
    }
}
