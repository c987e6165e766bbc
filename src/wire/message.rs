//! The IPMI LAN message (§13.8).

use std::fmt;

use super::{DecodeError, DecodeErrorKind, Reader};

/// The BMC's address.
pub const BMC_ADDRESS: u8 = 0x20;
/// The remote console's software ID, as an address byte.
pub const REMOTE_CONSOLE_ADDRESS: u8 = 0x81;

/// The shortest message with a body: header, both checksums.
const LEN_MIN: usize = 7;

/// Network functions (Table 5-1): the even numbers, of requests.
pub mod net_fn {
    /// Chassis.
    pub const CHASSIS: u8 = 0x00;
    /// Bridge.
    pub const BRIDGE: u8 = 0x02;
    /// Sensor/Event.
    pub const SENSOR_EVENT: u8 = 0x04;
    /// Application.
    pub const APP: u8 = 0x06;
    /// Firmware.
    pub const FIRMWARE: u8 = 0x08;
    /// Storage.
    pub const STORAGE: u8 = 0x0a;
    /// Transport.
    pub const TRANSPORT: u8 = 0x0c;
    /// Group extension: the first data byte names the group.
    pub const GROUP_EXTENSION: u8 = 0x2c;
    /// OEM/group: the first three data bytes name the organisation.
    pub const OEM_GROUP: u8 = 0x2e;
}

/// A 6-bit requester's sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RqSeq(u8);

impl RqSeq {
    /// The number's low six bits.
    pub fn new(number: u8) -> Self {
        RqSeq(number & 0x3f)
    }

    /// The number, 0 to 63.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The number after this one.
    pub fn next(self) -> Self {
        RqSeq::new(self.0.wrapping_add(1))
    }
}

/// A completion code (Table 5-2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CompletionCode(pub u8);

impl CompletionCode {
    /// The command completed normally.
    pub const SUCCESS: Self = Self(0x00);
    /// Node busy.
    pub const NODE_BUSY: Self = Self(0xc0);
    /// Invalid command.
    pub const INVALID_COMMAND: Self = Self(0xc1);
    /// Request data length invalid.
    pub const DATA_LENGTH_INVALID: Self = Self(0xc7);
    /// Parameter out of range.
    pub const PARAMETER_OUT_OF_RANGE: Self = Self(0xc9);
    /// Invalid data field in the request.
    pub const INVALID_DATA_FIELD: Self = Self(0xcc);
    /// Duplicated request.
    pub const DUPLICATED_REQUEST: Self = Self(0xcf);
    /// Insufficient privilege level.
    pub const INSUFFICIENT_PRIVILEGE: Self = Self(0xd4);
    /// Not supported in the present state.
    pub const NOT_IN_PRESENT_STATE: Self = Self(0xd5);

    /// The generic meaning of the code, or `None` for OEM and command-specific ones.
    pub fn text(self) -> Option<&'static str> {
        Some(match self.0 {
            0x00 => "completed normally",
            0xc0 => "node busy",
            0xc1 => "invalid command",
            0xc2 => "command invalid for this LUN",
            0xc3 => "timeout while processing the command",
            0xc4 => "out of space",
            0xc5 => "reservation cancelled or invalid",
            0xc6 => "request data truncated",
            0xc7 => "request data length invalid",
            0xc8 => "request data field length limit exceeded",
            0xc9 => "parameter out of range",
            0xca => "cannot return that many bytes",
            0xcb => "sensor, data or record not present",
            0xcc => "invalid data field in the request",
            0xcd => "command illegal for this sensor or record type",
            0xce => "response could not be provided",
            0xcf => "duplicated request",
            0xd0 => "SDR repository in update mode",
            0xd1 => "device in firmware update mode",
            0xd2 => "BMC initialization in progress",
            0xd3 => "destination unavailable",
            0xd4 => "insufficient privilege level or other security restriction",
            0xd5 => "not supported in the present state",
            0xd6 => "parameter illegal because a sub-function is disabled",
            0xff => "unspecified error",
            _ => return None,
        })
    }
}

impl fmt::Debug for CompletionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CompletionCode({:#04x})", self.0)
    }
}

impl fmt::Display for CompletionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.text(), self.0) {
            (Some(text), code) => write!(f, "{text} ({code:#04x})"),
            (None, code @ 0x80..=0xbe) => write!(f, "command-specific error ({code:#04x})"),
            (None, code) => write!(f, "OEM completion code ({code:#04x})"),
        }
    }
}

/// A LAN message, request or response.
///
/// In a response `data` starts with the completion code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Offset 0: who it is for.
    pub to_address: u8,
    /// Offset 1 bits 7:2: even in requests, odd in responses.
    pub net_fn: u8,
    /// Offset 1 bits 1:0.
    pub to_lun: u8,
    /// Offset 3: who sent it.
    pub from_address: u8,
    /// Offset 4 bits 7:2.
    pub rq_seq: RqSeq,
    /// Offset 4 bits 1:0.
    pub from_lun: u8,
    /// Offset 5.
    pub cmd: u8,
    /// Offset 6 up to the second checksum.
    pub data: &'a [u8],
}

impl<'a> Message<'a> {
    /// A request of the remote console to the BMC.
    pub fn request(net_fn: u8, lun: u8, rq_seq: RqSeq, cmd: u8, data: &'a [u8]) -> Self {
        Message {
            to_address: BMC_ADDRESS,
            net_fn,
            to_lun: lun & 3,
            from_address: REMOTE_CONSOLE_ADDRESS,
            rq_seq,
            from_lun: 0,
            cmd,
            data,
        }
    }

    /// Whether this is a response.
    pub fn is_response(&self) -> bool {
        self.net_fn & 1 != 0
    }

    /// Completion code and the data after it, of a response that has them.
    pub fn completion(&self) -> Option<(CompletionCode, &'a [u8])> {
        let (&code, data) = self.data.split_first()?;
        Some((CompletionCode(code), data))
    }

    /// Appends the message with both checksums.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let header = [self.to_address, self.net_fn << 2 | self.to_lun & 3];
        out.extend_from_slice(&header);
        out.push(checksum(&header));
        let body = out.len();
        out.push(self.from_address);
        out.push(self.rq_seq.number() << 2 | self.from_lun & 3);
        out.push(self.cmd);
        out.extend_from_slice(self.data);
        let last = checksum(out.get(body..).unwrap_or_default());
        out.push(last);
    }

    /// Reads a message and says whether both checksums are right.
    ///
    /// Whether a wrong one matters is the caller's to decide: inside an authenticated packet
    /// several BMCs send wrong ones.
    pub fn decode_unchecked(bytes: &'a [u8]) -> Result<(Self, bool), DecodeError> {
        let mut r = Reader::new("IPMI LAN message", bytes);
        if bytes.len() < LEN_MIN {
            return Err(r.error(DecodeErrorKind::Truncated));
        }
        let [to_address, net_fn_lun, checksum1] = r.array()?;
        let mut covered = r.clone();
        let covered = covered.bytes(covered.len() - 1)?;
        let [from_address, seq_lun, cmd] = r.array()?;
        let data = r.bytes(r.len() - 1)?;
        let checksum2 = r.u8()?;
        let valid =
            checksum(&[to_address, net_fn_lun]) == checksum1 && checksum(covered) == checksum2;
        let message = Message {
            to_address,
            net_fn: net_fn_lun >> 2,
            to_lun: net_fn_lun & 3,
            from_address,
            rq_seq: RqSeq::new(seq_lun >> 2),
            from_lun: seq_lun & 3,
            cmd,
            data,
        };
        Ok((message, valid))
    }

    /// Reads a message; a wrong checksum is an error.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match Self::decode_unchecked(bytes)? {
            (message, true) => Ok(message),
            (_, false) => {
                Err(DecodeError { what: "IPMI LAN message", kind: DecodeErrorKind::Checksum })
            }
        }
    }
}

/// The 8-bit two's complement checksum: bytes and checksum add up to 0.
pub fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg()
}
