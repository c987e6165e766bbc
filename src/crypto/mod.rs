//! Keyed operations: secrets are made, used and zeroed here.

pub mod auth15;
pub mod keys;
pub mod suite;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha1::Sha1;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::wire::cipher_suite::Authentication;

/// Bytes that are zeroed on drop and never printed.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Copies `bytes`. Zeroing the caller's own copy stays the caller's job.
    pub fn new(bytes: &[u8]) -> Self {
        Secret(Zeroizing::new(bytes.to_vec()))
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(self.expose(), other.expose())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Compares without telling by its duration where two slices of one length differ.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let difference = a.iter().zip(b).fold(0u8, |all, (x, y)| all | (x ^ y));
    std::hint::black_box(difference) == 0
}

/// A digest of up to 32 bytes, zeroed on drop.
#[derive(Clone)]
pub struct Digest {
    bytes: [u8; 32],
    len: usize,
}

impl Digest {
    /// The digest of an algorithm "none".
    pub const EMPTY: Digest = Digest { bytes: [0; 32], len: 0 };

    pub(crate) fn new(digest: &[u8]) -> Self {
        let len = digest.len().min(32);
        let mut bytes = [0; 32];
        bytes[..len].copy_from_slice(&digest[..len]);
        Digest { bytes, len }
    }

    /// The digest's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The first `len` bytes, or all when there are fewer.
    pub fn truncated(mut self, len: usize) -> Self {
        self.len = self.len.min(len);
        self
    }
}

impl Drop for Digest {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({} bytes)", self.len)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(self.as_bytes(), other.as_bytes())
    }
}

/// HMAC over `parts` joined, with the hash that goes with an authentication algorithm.
///
/// Gives an empty digest for RAKP-none.
pub(crate) fn hmac(algorithm: Authentication, key: &[u8], parts: &[&[u8]]) -> Digest {
    fn run<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Digest {
        let mut mac = keyed::<M>(key);
        for part in parts {
            mac.update(part);
        }
        let mut output = mac.finalize().into_bytes();
        let digest = Digest::new(&output);
        output.as_mut_slice().zeroize();
        digest
    }
    match algorithm {
        Authentication::None => Digest::EMPTY,
        Authentication::HmacSha1 => run::<Hmac<Sha1>>(key, parts),
        Authentication::HmacMd5 => run::<Hmac<Md5>>(key, parts),
        Authentication::HmacSha256 => run::<Hmac<Sha256>>(key, parts),
    }
}

fn keyed<M: Mac + KeyInit>(key: &[u8]) -> M {
    // HMAC takes keys of every length, so this cannot fail.
    <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of every length")
}

/// The seeded generator of one session: IVs, random numbers, session IDs, jitter.
///
/// The seed comes from the operating system in the engine and from the test in tests.
pub struct Generator(StdRng);

impl Generator {
    /// A generator that gives the same numbers for the same seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Generator(StdRng::from_seed(seed))
    }

    /// Random bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// A random number.
    pub fn number(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A random number that is not 0, for session IDs.
    pub fn nonzero(&mut self) -> u32 {
        loop {
            match self.0.next_u32() {
                0 => {}
                number => return number,
            }
        }
    }

    /// A random number in `0..below`; 0 when `below` is 0.
    pub fn below(&mut self, below: u64) -> u64 {
        // The bias of a 64-bit remainder is far below what jitter could notice.
        self.0.next_u64().checked_rem(below).unwrap_or(0)
    }
}

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Generator(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let secret = Secret::new(b"hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert!(!format!("{:?}", Digest::new(b"hunter2")).contains("hunter"));
    }

    #[test]
    fn equality_needs_every_byte() {
        assert!(constant_time_eq(b"abc", b"abc"));
        assert!(!constant_time_eq(b"abc", b"abd"));
        assert!(!constant_time_eq(b"abc", b"ab"));
    }
}
