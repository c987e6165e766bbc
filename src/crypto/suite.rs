//! The keyed half of a cipher suite: sign, verify, encrypt and decrypt packets in place
//! (§13.28, §13.29).

use std::ops::Range;

use aes::{Aes128Dec, Aes128Enc};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use hmac::{Hmac, Mac};
use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::Sha256;

use super::keys::{K1, K2, UserKey};
use super::{constant_time_eq, keyed};
use crate::wire::cipher_suite::{Algorithms, Confidentiality, Integrity};
use crate::wire::payload::PayloadType;
use crate::wire::rmcpplus::{self, Framed, Header, IntegrityPad, Trailer};
use crate::wire::{SessionId, SessionSequence};

const BLOCK_LEN: usize = 16;

/// Why a packet of the session was refused. None of these may change any state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// A packet without AuthCode in a session that has integrity.
    NotAuthenticated,
    /// The AuthCode is missing, cut short or wrong.
    WrongAuthCode,
    /// Pad length or next header are wrong although the AuthCode is right.
    BadTrailer,
    /// A clear payload where the session demands encryption, or an encrypted one without keys.
    WrongEncryption,
    /// The encrypted payload's length or padding is wrong.
    BadPadding,
}

/// The keys of one session, ready for use.
pub struct SessionCipher {
    algorithms: Algorithms,
    integrity: IntegrityKey,
    confidentiality: Option<AesKey>,
    integrity_pad: IntegrityPad,
    whole_block_pad: bool,
}

enum IntegrityKey {
    None,
    HmacSha1(Hmac<Sha1>),
    HmacMd5(Hmac<Md5>),
    Md5(UserKey),
    HmacSha256(Hmac<Sha256>),
}

struct AesKey {
    encrypt: Aes128Enc,
    decrypt: Aes128Dec,
}

/// What a packet to be sealed is.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// What it carries.
    pub payload_type: PayloadType,
    /// The receiver's session ID.
    pub session_id: SessionId,
    /// The packet's number.
    pub session_sequence_number: SessionSequence,
    /// The payload in clear.
    pub payload: &'a [u8],
    /// A random number never used before.
    pub iv: [u8; 16],
}

impl SessionCipher {
    /// The cipher of a session. `k_uid` keys MD5-128 (suites 11 and 12).
    pub fn new(algorithms: Algorithms, k1: &K1, k2: &K2, k_uid: &UserKey) -> Self {
        let k1 = k1.expose();
        let integrity = match algorithms.integrity {
            Integrity::None => IntegrityKey::None,
            Integrity::HmacSha1_96 => IntegrityKey::HmacSha1(keyed(k1)),
            Integrity::HmacMd5_128 => IntegrityKey::HmacMd5(keyed(k1)),
            Integrity::Md5_128 => IntegrityKey::Md5(k_uid.clone()),
            Integrity::HmacSha256_128 => IntegrityKey::HmacSha256(keyed(k1)),
        };
        let confidentiality = match algorithms.confidentiality {
            Confidentiality::None => None,
            Confidentiality::AesCbc128 => {
                let key = k2.aes_key();
                Some(AesKey {
                    encrypt: Aes128Enc::new((&*key).into()),
                    decrypt: Aes128Dec::new((&*key).into()),
                })
            }
        };
        SessionCipher {
            algorithms,
            integrity,
            confidentiality,
            integrity_pad: Default::default(),
            whole_block_pad: false,
        }
    }

    /// Counts the integrity pad of sent packets in another way.
    pub fn with_integrity_pad(mut self, integrity_pad: IntegrityPad) -> Self {
        self.integrity_pad = integrity_pad;
        self
    }

    /// Sends a confidentiality pad of 16 where 0 is right, as one BMC stack does (`sim`).
    #[cfg(feature = "sim")]
    pub(crate) fn with_whole_block_pad(mut self) -> Self {
        self.whole_block_pad = true;
        self
    }

    /// The algorithms the session agreed on.
    pub fn algorithms(&self) -> Algorithms {
        self.algorithms
    }

    /// Appends a whole packet, encrypted and signed as the session demands.
    pub fn seal(&self, packet: &Outgoing<'_>, out: &mut Vec<u8>) {
        self.seal_with(packet, true, out);
    }

    /// As [`seal`](Self::seal), with the payload in clear: for SOL of a BMC that was asked for
    /// unencrypted SOL.
    pub fn seal_with(&self, packet: &Outgoing<'_>, encrypt: bool, out: &mut Vec<u8>) {
        let aes = self.confidentiality.as_ref().filter(|_| encrypt);
        let header = Header {
            encrypted: aes.is_some(),
            authenticated: !matches!(self.integrity, IntegrityKey::None),
            payload_type: packet.payload_type,
            session_id: packet.session_id,
            session_sequence_number: packet.session_sequence_number,
        };
        let start = rmcpplus::begin(&header, out);
        match aes {
            Some(aes) => self.encrypt_payload(&aes.encrypt, &packet.iv, packet.payload, out),
            None => out.extend_from_slice(packet.payload),
        }
        rmcpplus::end_payload(start, out);
        if header.authenticated {
            rmcpplus::append_pad(start, self.integrity_pad, out);
            self.append_auth_code(start + rmcpplus::FORMAT_OFFSET, out);
        }
    }

    /// Appends IV and ciphertext of `payload` padded with 01h, 02h, .. and the pad length.
    fn encrypt_payload(&self, aes: &Aes128Enc, iv: &[u8; 16], payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(iv);
        let start = out.len();
        out.extend_from_slice(payload);
        let mut pad_len = (payload.len() + 1).wrapping_neg() % BLOCK_LEN;
        if pad_len == 0 && self.whole_block_pad {
            pad_len = BLOCK_LEN;
        }
        out.extend((1..=pad_len as u8).chain([pad_len as u8]));
        let plain_len = out.len() - start;
        let encryptor = cbc::Encryptor::inner_iv_init(aes, iv.into());
        // The length is a multiple of the block, so NoPadding cannot fail.
        let done = encryptor.encrypt_padded::<NoPadding>(&mut out[start..], plain_len);
        debug_assert!(done.is_ok());
    }

    fn append_auth_code(&self, covered_from: usize, out: &mut Vec<u8>) {
        let covered = &out[covered_from..];
        match &self.integrity {
            IntegrityKey::None => {}
            IntegrityKey::HmacSha1(mac) => {
                let code = mac.clone().chain_update(covered).finalize().into_bytes();
                out.extend_from_slice(&code[..12]);
            }
            IntegrityKey::HmacMd5(mac) => {
                let code = mac.clone().chain_update(covered).finalize().into_bytes();
                out.extend_from_slice(&code);
            }
            IntegrityKey::Md5(key) => {
                let code = md5_code(key, covered);
                out.extend_from_slice(&code);
            }
            IntegrityKey::HmacSha256(mac) => {
                let code = mac.clone().chain_update(covered).finalize().into_bytes();
                out.extend_from_slice(&code[..16]);
            }
        }
    }

    /// Checks AuthCode and trailer of a packet. Changes nothing.
    pub fn verify(&self, datagram: &[u8], framed: &Framed) -> Result<(), OpenError> {
        if matches!(self.integrity, IntegrityKey::None) {
            return Ok(());
        }
        if !framed.header.authenticated {
            return Err(OpenError::NotAuthenticated);
        }
        let trailer = framed
            .trailer(datagram, self.algorithms.integrity.auth_code_len())
            .map_err(|_| OpenError::WrongAuthCode)?;
        if !self.auth_code_matches(datagram, &trailer) {
            return Err(OpenError::WrongAuthCode);
        }
        framed.check_trailer(datagram, &trailer).map_err(|_| OpenError::BadTrailer)
    }

    fn auth_code_matches(&self, datagram: &[u8], trailer: &Trailer) -> bool {
        let covered = &datagram[trailer.covered.clone()];
        let code = &datagram[trailer.auth_code.clone()];
        match &self.integrity {
            IntegrityKey::None => true,
            IntegrityKey::HmacSha1(mac) => {
                mac.clone().chain_update(covered).verify_truncated_left(code).is_ok()
            }
            IntegrityKey::HmacMd5(mac) => {
                mac.clone().chain_update(covered).verify_truncated_left(code).is_ok()
            }
            IntegrityKey::Md5(key) => constant_time_eq(&md5_code(key, covered), code),
            IntegrityKey::HmacSha256(mac) => {
                mac.clone().chain_update(covered).verify_truncated_left(code).is_ok()
            }
        }
    }

    /// Decrypts the payload of a verified packet in place and says where it lies.
    ///
    /// `clear_allowed` is true for SOL that was activated without encryption.
    pub fn decrypt(
        &self,
        datagram: &mut [u8],
        framed: &Framed,
        clear_allowed: bool,
    ) -> Result<Range<usize>, OpenError> {
        match (&self.confidentiality, framed.header.encrypted) {
            (None, false) => Ok(framed.payload.clone()),
            (Some(_), false) if clear_allowed => Ok(framed.payload.clone()),
            (Some(aes), true) => decrypt_payload(&aes.decrypt, datagram, framed.payload.clone()),
            _ => Err(OpenError::WrongEncryption),
        }
    }
}

impl std::fmt::Debug for SessionCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SessionCipher").field(&self.algorithms).finish()
    }
}

/// MD5-128: the padded password before and behind the data (§13.28.3).
fn md5_code(key: &UserKey, covered: &[u8]) -> [u8; 16] {
    let mut hash = Md5::new();
    hash.update(key.expose());
    hash.update(covered);
    hash.update(key.expose());
    hash.finalize().into()
}

fn decrypt_payload(
    aes: &Aes128Dec,
    datagram: &mut [u8],
    payload: Range<usize>,
) -> Result<Range<usize>, OpenError> {
    let len = payload.len();
    if len < 2 * BLOCK_LEN || !len.is_multiple_of(BLOCK_LEN) {
        return Err(OpenError::BadPadding);
    }
    let (iv, ciphertext) = datagram[payload.clone()].split_at_mut(BLOCK_LEN);
    let mut first = [0; BLOCK_LEN];
    first.copy_from_slice(iv);
    let decryptor = cbc::Decryptor::inner_iv_init(aes, (&first).into());
    let plain =
        decryptor.decrypt_padded::<NoPadding>(ciphertext).map_err(|_| OpenError::BadPadding)?;
    let plain_len = unpadded_len(plain).ok_or(OpenError::BadPadding)?;
    let start = payload.start + BLOCK_LEN;
    Ok(start..start + plain_len)
}

/// Length of the payload in front of its pad. A pad of 16 is taken: one BMC stack sends a whole
/// block where the specification says none.
fn unpadded_len(plain: &[u8]) -> Option<usize> {
    let (&pad_len, before) = plain.split_last()?;
    let pad_len = usize::from(pad_len);
    let payload_len = before.len().checked_sub(pad_len).filter(|_| pad_len <= BLOCK_LEN)?;
    let counts_up = before[payload_len..].iter().zip(1u8..).all(|(byte, n)| *byte == n);
    counts_up.then_some(payload_len)
}
