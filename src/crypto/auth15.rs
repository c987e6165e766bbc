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
///
/// Unlike everywhere else the password is not padded; ipmitool reads it so. As in ipmitool it
/// ends at its first 00h.
pub fn oem_auth_code(password: &UserKey, challenge: &[u8; 16]) -> [u8; 16] {
    let padded = &password.expose()[..PASSWORD_LEN_V15];
    let len = padded.iter().position(|byte| *byte == 0).unwrap_or(PASSWORD_LEN_V15);
    let mut block = digest::<Md5>(&[&padded[..len]]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oem_auth_code_hashes_the_password_without_its_padding() {
        let mut challenge = [0; 16];
        challenge.iter_mut().zip(0x10..).for_each(|(byte, number)| *byte = number);
        // Worked out by hand with a stock MD5, the way ipmitool does it.
        let cases: [(&[u8], u128); 3] = [
            (b"ADMIN", 0x5f43_58bd_1f5a_659c_a766_1a92_2326_7821),
            (b"16-byte-password", 0xcefa_4374_804c_1790_c291_b0b3_370c_1db0),
            (b"", 0x8d9b_bd07_ed24_e548_4101_ba6b_d171_b670),
        ];
        for (password, code) in cases {
            let password = UserKey::new(password).unwrap();
            assert_eq!(oem_auth_code(&password, &challenge), code.to_be_bytes());
        }
    }
}
