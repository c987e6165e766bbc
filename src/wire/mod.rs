//! Bytes to values and back: no state, no keys, no time, no logging.
//!
//! Every decoder takes a slice that came from the network and either returns a value or a
//! [`DecodeError`]; none can panic. [`Reader`] is the only code here that indexes such a slice.

pub mod cipher_suite;
pub mod ipmi15;
pub mod message;
pub mod open_session;
pub mod payload;
pub mod rakp;
pub mod rmcp;
pub mod rmcpplus;
pub mod session_command;
pub mod sol;

use std::fmt;

/// The UDP port of RMCP (26Fh).
pub const RMCP_PORT: u16 = 623;

/// The longest datagram a decoder has to look at. Anything longer is not IPMI.
pub const DATAGRAM_MAX: usize = 2048;

/// Why bytes could not be read as the value they were taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    /// What was being read, in the specification's words.
    pub what: &'static str,
    /// What was wrong with it.
    pub kind: DecodeErrorKind,
}

/// What was wrong with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeErrorKind {
    /// Fewer bytes than the layout needs.
    Truncated,
    /// Bytes left over after the layout.
    Excess,
    /// A field holds a value the specification does not allow there.
    Value,
    /// A checksum does not match.
    Checksum,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DecodeErrorKind::Truncated => "too short",
            DecodeErrorKind::Excess => "too long",
            DecodeErrorKind::Value => "a field has an illegal value",
            DecodeErrorKind::Checksum => "wrong checksum",
        };
        write!(f, "{}: {}", self.what, kind)
    }
}

impl std::error::Error for DecodeError {}

/// Reads fields from the front of a slice, in order.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// A reader of `bytes`; `what` names the layout in errors.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Reader { bytes, what }
    }

    /// Takes the next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        match self.bytes.split_at_checked(len) {
            Some((head, tail)) => {
                self.bytes = tail;
                Ok(head)
            }
            None => Err(self.error(DecodeErrorKind::Truncated)),
        }
    }

    /// Takes an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.bytes.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.bytes = tail;
                Ok(*head)
            }
            None => Err(self.error(DecodeErrorKind::Truncated)),
        }
    }

    /// Takes one byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// Takes two bytes, least significant first.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Takes four bytes, least significant first.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Takes four bytes, most significant first (ASF fields only).
    pub fn u32_be(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Takes all that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    /// How many bytes are left.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Ends the layout: left-over bytes are an error.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(self.error(DecodeErrorKind::Excess)) }
    }

    /// An error of this layout.
    pub fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { what: self.what, kind }
    }

    /// Ok if `valid`, else an illegal value.
    pub fn require(&self, valid: bool) -> Result<(), DecodeError> {
        if valid { Ok(()) } else { Err(self.error(DecodeErrorKind::Value)) }
    }
}

macro_rules! wire_number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#0width$x}", self.0, width = 2 + 2 * size_of::<$inner>())
            }
        }
    };
}

wire_number! {
    /// A session ID: of the managed system or of the remote console, never 0 in a session.
    SessionId(u32)
}
wire_number! {
    /// A session sequence number. 0 stands for "outside a session".
    SessionSequence(u32)
}

impl SessionSequence {
    /// How far `self` is ahead of `other`, modulo 2^32.
    pub fn since(self, other: SessionSequence) -> u32 {
        self.0.wrapping_sub(other.0)
    }

    /// The number after this one; 0 is skipped.
    pub fn next(self) -> SessionSequence {
        SessionSequence(match self.0.wrapping_add(1) {
            0 => 1,
            number => number,
        })
    }
}

/// A privilege level (§6.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PrivilegeLevel {
    /// May only start a session and ask for a callback.
    Callback = 1,
    /// May read.
    User = 2,
    /// May operate: chassis control, SOL on most BMCs.
    Operator = 3,
    /// May configure.
    Administrator = 4,
    /// OEM proprietary.
    Oem = 5,
}

impl PrivilegeLevel {
    /// The level a number stands for; `None` for 0 and anything above 5.
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Callback,
            2 => Self::User,
            3 => Self::Operator,
            4 => Self::Administrator,
            5 => Self::Oem,
            _ => return None,
        })
    }
}

impl fmt::Display for PrivilegeLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Callback => "callback",
            Self::User => "user",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
            Self::Oem => "oem",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_never_reads_past_the_end() {
        let mut r = Reader::new("test", &[1, 2, 3]);
        assert_eq!(r.u16(), Ok(0x0201));
        assert_eq!(r.u16().unwrap_err().kind, DecodeErrorKind::Truncated);
        assert_eq!(r.u8(), Ok(3));
        assert!(r.finish().is_ok());
    }

    #[test]
    fn session_sequence_skips_zero() {
        assert_eq!(SessionSequence(u32::MAX).next(), SessionSequence(1));
        assert_eq!(SessionSequence(0).next(), SessionSequence(1));
        assert_eq!(SessionSequence(2).since(SessionSequence(u32::MAX)), 3);
    }
}
