//! From password and random numbers to session keys (§13.31, §13.32).
//!
//! The order is in the types: an [`Exchange`] gives the RAKP 2 and 3 codes and, consumed with
//! the keys, a [`Sik`]; only a `Sik` gives the RAKP 4 value and [`K1`] and [`K2`].

use zeroize::Zeroizing;

use super::{Digest, constant_time_eq, hmac};
use crate::wire::SessionId;
use crate::wire::cipher_suite::{Authentication, Integrity};

/// The longest password of a v2.0 user, and the length of K_g.
pub const KEY_LEN: usize = 20;
/// The longest password of a v1.5 session.
pub const PASSWORD_LEN_V15: usize = 16;

/// A key given by people, padded with zeros to 20 bytes: K_UID (a password) or K_g.
#[derive(Clone)]
pub struct UserKey(Zeroizing<[u8; KEY_LEN]>);

impl UserKey {
    /// Pads `key`; `None` when it is longer than 20 bytes, for nothing is cut silently.
    pub fn new(key: &[u8]) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        bytes.get_mut(..key.len())?.copy_from_slice(key);
        Some(UserKey(bytes))
    }

    /// The padded key.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Whether all bytes are 0, which for K_g means "absent". All 20 are looked at: a K_g may
    /// well start with 00h.
    pub fn is_zero(&self) -> bool {
        constant_time_eq(self.expose(), &[0; KEY_LEN])
    }

    /// The key with everything behind the first 16 bytes zeroed (quirk `intel20`).
    pub fn cut_to_16(&self) -> Self {
        let mut bytes = self.0.clone();
        bytes[16..].fill(0);
        UserKey(bytes)
    }
}

impl std::fmt::Debug for UserKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserKey(..)")
    }
}

/// What both ends put into the hashes of a login.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The authentication algorithm both agreed on.
    pub authentication: Authentication,
    /// Offset 4 of RAKP 2.
    pub remote_console_session_id: SessionId,
    /// Offset 4 of RAKP 1.
    pub managed_system_session_id: SessionId,
    /// R_M.
    pub remote_console_random_number: [u8; 16],
    /// R_C.
    pub managed_system_random_number: [u8; 16],
    /// GUID_C.
    pub managed_system_guid: [u8; 16],
    /// The whole role byte of RAKP 1.
    pub role: u8,
    /// The user name as it enters the hashes.
    pub user_name: Vec<u8>,
}

impl Exchange {
    /// The key exchange authentication code of RAKP 2 (§13.31).
    pub fn rakp2_code(&self, k_uid: &UserKey) -> Digest {
        hmac(
            self.authentication,
            k_uid.expose(),
            &[
                &self.remote_console_session_id.0.to_le_bytes(),
                &self.managed_system_session_id.0.to_le_bytes(),
                &self.remote_console_random_number,
                &self.managed_system_random_number,
                &self.managed_system_guid,
                &[self.role, self.user_name.len() as u8],
                &self.user_name,
            ],
        )
    }

    /// The key exchange authentication code of RAKP 3 (§13.31). `role` is the whole role byte
    /// but for BMCs that leave bit 4 out here (quirk `intel20`).
    pub fn rakp3_code(&self, k_uid: &UserKey, role: u8) -> Digest {
        hmac(
            self.authentication,
            k_uid.expose(),
            &[
                &self.managed_system_random_number,
                &self.remote_console_session_id.0.to_le_bytes(),
                &[role, self.user_name.len() as u8],
                &self.user_name,
            ],
        )
    }

    /// The session integrity key (§13.31): K_g keys it when there is one, else K_UID.
    pub fn sik(&self, k_uid: &UserKey, k_g: Option<&UserKey>) -> Sik {
        let key = k_g.filter(|k_g| !k_g.is_zero()).unwrap_or(k_uid);
        let digest = hmac(
            self.authentication,
            key.expose(),
            &[
                &self.remote_console_random_number,
                &self.managed_system_random_number,
                &[self.role, self.user_name.len() as u8],
                &self.user_name,
            ],
        );
        Sik { authentication: self.authentication, digest }
    }
}

/// The session integrity key.
#[derive(Debug)]
pub struct Sik {
    authentication: Authentication,
    digest: Digest,
}

/// Keys the integrity algorithm.
#[derive(Debug)]
pub struct K1(Digest);

/// Its first 16 bytes key AES-CBC-128.
#[derive(Debug)]
pub struct K2(Digest);

/// The constants are 20 bytes for every hash, also where its digest is longer or shorter.
const CONSTANT_LEN: usize = 20;
/// Copies of one RAKP Message 3 that the network is believed to make.
const REPEATS_MAX: usize = 4;

impl Sik {
    /// The key itself, for comparison with recorded sessions.
    pub fn expose(&self) -> &[u8] {
        self.digest.as_bytes()
    }

    /// The integrity check value of RAKP 4 (§13.31), cut to what the authentication algorithm
    /// uses.
    pub fn integrity_check_value(&self, exchange: &Exchange) -> Digest {
        self.whole_check_value(exchange).truncated(self.authentication.icv_len())
    }

    /// The same made with the integrity algorithm instead (quirk `intel20`).
    pub fn integrity_check_value_by(&self, exchange: &Exchange, integrity: Integrity) -> Digest {
        self.whole_check_value(exchange).truncated(integrity.auth_code_len())
    }

    /// Whether this is the integrity check value of a BMC that was given RAKP Message 3 more
    /// than once: OpenBMC appends the SIK to itself each time.
    pub fn is_check_value_of_repeat(&self, exchange: &Exchange, received: &[u8]) -> bool {
        let len = self.authentication.icv_len();
        len > 0
            && (2..=REPEATS_MAX).any(|times| {
                let sik = Zeroizing::new(self.digest.as_bytes().repeat(times));
                let value = self.check_value_by(&sik, exchange).truncated(len);
                constant_time_eq(value.as_bytes(), received)
            })
    }

    fn whole_check_value(&self, exchange: &Exchange) -> Digest {
        self.check_value_by(self.digest.as_bytes(), exchange)
    }

    fn check_value_by(&self, sik: &[u8], exchange: &Exchange) -> Digest {
        hmac(
            self.authentication,
            sik,
            &[
                &exchange.remote_console_random_number,
                &exchange.managed_system_session_id.0.to_le_bytes(),
                &exchange.managed_system_guid,
            ],
        )
    }

    /// K1 (§13.32).
    pub fn k1(&self) -> K1 {
        K1(hmac(self.authentication, self.digest.as_bytes(), &[&[0x01; CONSTANT_LEN]]))
    }

    /// K2 (§13.32).
    pub fn k2(&self) -> K2 {
        K2(hmac(self.authentication, self.digest.as_bytes(), &[&[0x02; CONSTANT_LEN]]))
    }
}

impl K1 {
    /// A key made in another way than [`Sik::k1`], as some BMC stacks do (`sim`).
    #[cfg(feature = "sim")]
    pub(crate) fn from_digest(digest: Digest) -> Self {
        K1(digest)
    }

    /// The key itself.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl K2 {
    /// A key made in another way than [`Sik::k2`], as some BMC stacks do (`sim`).
    #[cfg(feature = "sim")]
    pub(crate) fn from_digest(digest: Digest) -> Self {
        K2(digest)
    }

    /// The key itself.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The AES key: the first 16 bytes, zeros where a suite without keys has fewer.
    pub fn aes_key(&self) -> Zeroizing<[u8; 16]> {
        let mut key = Zeroizing::new([0; 16]);
        for (to, from) in key.iter_mut().zip(self.expose()) {
            *to = *from;
        }
        key
    }
}
