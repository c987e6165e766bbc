//! Cipher suites: IDs, algorithm numbers, and the records that list them (§22.15, §13.28).

use std::fmt;

use super::{DecodeError, Reader};

/// An RMCP+ authentication algorithm (Table 13-17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Authentication {
    /// RAKP-none.
    None = 0,
    /// RAKP-HMAC-SHA1.
    HmacSha1 = 1,
    /// RAKP-HMAC-MD5.
    HmacMd5 = 2,
    /// RAKP-HMAC-SHA256.
    HmacSha256 = 3,
}

/// An RMCP+ integrity algorithm (Table 13-18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Integrity {
    /// None.
    None = 0,
    /// HMAC-SHA1-96.
    HmacSha1_96 = 1,
    /// HMAC-MD5-128.
    HmacMd5_128 = 2,
    /// MD5-128.
    Md5_128 = 3,
    /// HMAC-SHA256-128.
    HmacSha256_128 = 4,
}

/// An RMCP+ confidentiality algorithm (Table 13-19) that this library implements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Confidentiality {
    /// None.
    None = 0,
    /// AES-CBC-128.
    AesCbc128 = 1,
}

impl Integrity {
    /// Length of the AuthCode field in a session trailer.
    pub fn auth_code_len(self) -> usize {
        match self {
            Integrity::None => 0,
            Integrity::HmacSha1_96 => 12,
            _ => 16,
        }
    }
}

impl Authentication {
    /// Length of the key exchange authentication code of RAKP 2 and 3.
    pub fn code_len(self) -> usize {
        match self {
            Authentication::None => 0,
            Authentication::HmacSha1 => 20,
            Authentication::HmacMd5 => 16,
            Authentication::HmacSha256 => 32,
        }
    }

    /// Length of the integrity check value of RAKP 4.
    pub fn icv_len(self) -> usize {
        match self {
            Authentication::None => 0,
            Authentication::HmacSha1 => 12,
            _ => 16,
        }
    }
}

/// The three algorithms of a cipher suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Algorithms {
    /// Of the login.
    pub authentication: Authentication,
    /// Of session packets.
    pub integrity: Integrity,
    /// Of payloads.
    pub confidentiality: Confidentiality,
}

/// A cipher suite ID (Table 22-20).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CipherSuiteId(pub u8);

impl CipherSuiteId {
    /// RAKP-HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128: what IPMI 2.0 made mandatory.
    pub const SUITE_3: CipherSuiteId = CipherSuiteId(3);
    /// RAKP-HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128: the strongest one.
    pub const SUITE_17: CipherSuiteId = CipherSuiteId(17);

    /// The suites this library can use.
    pub const IMPLEMENTED: [CipherSuiteId; 12] = [
        CipherSuiteId(0),
        CipherSuiteId(1),
        CipherSuiteId(2),
        CipherSuiteId(3),
        CipherSuiteId(6),
        CipherSuiteId(7),
        CipherSuiteId(8),
        CipherSuiteId(11),
        CipherSuiteId(12),
        CipherSuiteId(15),
        CipherSuiteId(16),
        CipherSuiteId(17),
    ];

    /// The suite's algorithms; `None` for the xRC4 suites (4, 5, 9, 10, 13, 14, 18, 19), which
    /// this library refuses, and for OEM and unknown IDs.
    pub fn algorithms(self) -> Option<Algorithms> {
        use Authentication as A;
        use Confidentiality as C;
        use Integrity as I;
        let (authentication, integrity, confidentiality) = match self.0 {
            0 => (A::None, I::None, C::None),
            1 => (A::HmacSha1, I::None, C::None),
            2 => (A::HmacSha1, I::HmacSha1_96, C::None),
            3 => (A::HmacSha1, I::HmacSha1_96, C::AesCbc128),
            6 => (A::HmacMd5, I::None, C::None),
            7 => (A::HmacMd5, I::HmacMd5_128, C::None),
            8 => (A::HmacMd5, I::HmacMd5_128, C::AesCbc128),
            11 => (A::HmacMd5, I::Md5_128, C::None),
            12 => (A::HmacMd5, I::Md5_128, C::AesCbc128),
            15 => (A::HmacSha256, I::None, C::None),
            16 => (A::HmacSha256, I::HmacSha256_128, C::None),
            17 => (A::HmacSha256, I::HmacSha256_128, C::AesCbc128),
            _ => return None,
        };
        Some(Algorithms { authentication, integrity, confidentiality })
    }

    /// Whether the ID names a suite whose confidentiality is xRC4.
    pub fn is_xrc4(self) -> bool {
        matches!(self.0, 4 | 5 | 9 | 10 | 13 | 14 | 18 | 19)
    }

    /// Whether the suite authenticates the user and protects every packet against change and
    /// reading. Others are used only when asked for by ID.
    pub fn is_secure(self) -> bool {
        self.algorithms().is_some_and(|a| {
            a.authentication != Authentication::None
                && a.integrity != Integrity::None
                && a.confidentiality != Confidentiality::None
        })
    }
}

impl fmt::Debug for CipherSuiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CipherSuiteId({})", self.0)
    }
}

impl fmt::Display for CipherSuiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One cipher suite record (Table 22-19).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The suite's ID; 80h to BFh for OEM suites.
    pub id: CipherSuiteId,
    /// The organisation that defined an OEM suite.
    pub oem_iana: Option<u32>,
    /// The authentication algorithm's number.
    pub authentication: u8,
    /// The integrity algorithms' numbers.
    pub integrity: Vec<u8>,
    /// The confidentiality algorithms' numbers.
    pub confidentiality: Vec<u8>,
}

const RECORD_STANDARD: u8 = 0xc0;
const RECORD_OEM: u8 = 0xc1;
const TAG_MASK: u8 = 0xc0;
const TAG_INTEGRITY: u8 = 0x40;
const TAG_CONFIDENTIALITY: u8 = 0x80;
const NUMBER_MASK: u8 = 0x3f;

/// Reads joined record data (at most 1,024 bytes: 64 chunks of 16).
///
/// Stops at the first thing it cannot read; the second value says what that was. Records whose
/// algorithms lack their tag bits (quirk `sun20`, and one small stack) are read by position.
pub fn decode_records(data: &[u8]) -> (Vec<Record>, Option<DecodeError>) {
    let mut records = Vec::new();
    let mut r = Reader::new("cipher suite record", data);
    while !r.is_empty() {
        match decode_record(&mut r) {
            Ok(record) => records.push(record),
            Err(error) => return (records, Some(error)),
        }
    }
    (records, None)
}

fn decode_record(r: &mut Reader<'_>) -> Result<Record, DecodeError> {
    let start = r.u8()?;
    let id = CipherSuiteId(r.u8()?);
    let oem_iana = match start {
        RECORD_STANDARD => None,
        RECORD_OEM => {
            let [a, b, c] = r.array()?;
            Some(u32::from_le_bytes([a, b, c, 0]))
        }
        _ => return Err(r.error(super::DecodeErrorKind::Value)),
    };
    let authentication = r.u8()?;
    r.require(authentication & TAG_MASK == 0)?;
    let mut record =
        Record { id, oem_iana, authentication, integrity: Vec::new(), confidentiality: Vec::new() };
    let mut untagged = 0;
    while let Some(byte) = r.clone().u8().ok().filter(|byte| byte & TAG_MASK != TAG_MASK) {
        r.u8()?;
        let number = byte & NUMBER_MASK;
        match byte & TAG_MASK {
            TAG_INTEGRITY => record.integrity.push(number),
            TAG_CONFIDENTIALITY => record.confidentiality.push(number),
            // No tag: first the integrity, then the confidentiality algorithm.
            _ if untagged == 0 && record.integrity.is_empty() => {
                untagged = 1;
                record.integrity.push(number);
            }
            _ if untagged == 1 && record.confidentiality.is_empty() => {
                untagged = 2;
                record.confidentiality.push(number);
            }
            _ => return Err(r.error(super::DecodeErrorKind::Value)),
        }
    }
    Ok(record)
}

/// Appends the standard record of an implemented suite. Nothing for others.
pub fn encode_record(id: CipherSuiteId, out: &mut Vec<u8>) {
    let Some(algorithms) = id.algorithms() else { return };
    out.extend_from_slice(&[
        RECORD_STANDARD,
        id.0,
        algorithms.authentication as u8,
        TAG_INTEGRITY | algorithms.integrity as u8,
        TAG_CONFIDENTIALITY | algorithms.confidentiality as u8,
    ]);
}
