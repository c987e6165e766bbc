//! AuthCodes of IPMI v1.5 sessions (§22.17.1).

use md2::Md2;
use md5::Md5;
use zeroize::Zeroizing;

use super::keys::{PASSWORD_LEN_V15, UserKey};
use crate::wire::ipmi15::AuthType;
use crate::wire::{SessionId, SessionSequence};

/// The AuthCode of a packet; `None` for AuthType none and OEM.
///
/// Only the first 16 bytes of the password are used: refuse longer ones before a session
/// starts.
pub fn auth_code(
    auth_type: AuthType,
    password: &UserKey,
    session_id: SessionId,
    session_sequence_number: SessionSequence,
    message: &[u8],
) -> Option<[u8; 16]> {
    let mut key = Zeroizing::new([0; PASSWORD_LEN_V15]);
    key.copy_from_slice(&password.expose()[..PASSWORD_LEN_V15]);
    let id = session_id.0.to_le_bytes();
    let sequence = session_sequence_number.0.to_le_bytes();
    let parts: [&[u8]; 5] = [&*key, &id, message, &sequence, &*key];
    match auth_type {
        AuthType::None | AuthType::Oem => None,
        AuthType::StraightPassword => Some(*key),
        AuthType::Md5 => Some(digest::<Md5>(&parts)),
        AuthType::Md2 => Some(digest::<Md2>(&parts)),
    }
}

/// The same for BMCs whose AuthType OEM is the old Supermicro and Quanta scheme: one code for
/// every packet, MD5(challenge XOR MD5(password)).
pub fn oem_auth_code(password: &UserKey, challenge: &[u8; 16]) -> [u8; 16] {
    let mut block = digest::<Md5>(&[&password.expose()[..PASSWORD_LEN_V15]]);
    for (byte, mask) in block.iter_mut().zip(challenge) {
        *byte ^= mask;
    }
    digest::<Md5>(&[&block])
}

fn digest<D: md5::Digest>(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = D::new();
    for part in parts {
        hash.update(part);
    }
    let mut code = [0; 16];
    code.copy_from_slice(&hash.finalize()[..16]);
    code
}
