//! User name, password and K_g as one shared value.

use std::fmt;
use std::sync::Arc;

use crate::crypto::Secret;
use crate::crypto::keys::KEY_LEN;
use crate::error::{Error, Result};
use crate::sync::Mutex;
use crate::wire::rakp::USER_NAME_MAX;

/// What a login uses, at one moment.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CredentialsValue {
    pub user_name: Vec<u8>,
    pub password: Secret,
    pub k_g: Secret,
}

/// A user name, a password and maybe a K_g: a live value that many BMCs can share.
///
/// Clones are handles to the same value. [`update`](Credentials::update) changes it for all;
/// each session uses it from its next login on. The secrets are zeroed when they are replaced
/// or dropped, and never printed.
#[derive(Clone)]
pub struct Credentials {
    value: Arc<Mutex<Arc<CredentialsValue>>>,
}

impl Credentials {
    /// A user name of 1 to 16 bytes (0 for the null user, which
    /// [`BmcConfig::allow_null_user`](crate::BmcConfig::allow_null_user) has to allow) and a
    /// password of 0 to 20 bytes.
    ///
    /// Longer ones are refused with `Misuse`: nothing is cut silently.
    pub fn new(user_name: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Result<Self> {
        let value = checked(user_name.as_ref(), password.as_ref(), &[])?;
        Ok(Credentials { value: Arc::new(Mutex::new(Arc::new(value))) })
    }

    /// The same with K_g, the BMC key: 1 to 20 bytes, shorter ones padded with zeros. Bytes of
    /// 00h anywhere in it are kept.
    pub fn with_k_g(
        user_name: impl AsRef<[u8]>,
        password: impl AsRef<[u8]>,
        k_g: impl AsRef<[u8]>,
    ) -> Result<Self> {
        let value = checked(user_name.as_ref(), password.as_ref(), k_g.as_ref())?;
        Ok(Credentials { value: Arc::new(Mutex::new(Arc::new(value))) })
    }

    /// Replaces user name, password and K_g (empty for none). Sessions that are up stay up;
    /// every login from now on uses the new value.
    pub fn update(&self, user_name: &[u8], password: &[u8], k_g: &[u8]) -> Result<()> {
        let value = checked(user_name, password, k_g)?;
        *self.value.lock() = Arc::new(value);
        Ok(())
    }

    pub(crate) fn current(&self) -> Arc<CredentialsValue> {
        self.value.lock().clone()
    }
}

fn checked(user_name: &[u8], password: &[u8], k_g: &[u8]) -> Result<CredentialsValue> {
    if user_name.len() > USER_NAME_MAX {
        return Err(Error::misuse("the user name is longer than 16 bytes"));
    }
    if password.len() > KEY_LEN {
        return Err(Error::misuse("the password is longer than 20 bytes"));
    }
    if k_g.len() > KEY_LEN {
        return Err(Error::misuse("K_g is longer than 20 bytes"));
    }
    Ok(CredentialsValue {
        user_name: user_name.to_vec(),
        password: Secret::new(password),
        k_g: Secret::new(k_g),
    })
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.current();
        f.debug_struct("Credentials")
            .field("user_name", &String::from_utf8_lossy(&value.user_name))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn limits_are_named_and_secrets_are_not_printed() {
        for (name, password, k_g) in [(17, 0, 0), (1, 21, 0), (1, 1, 21)] {
            let bytes = [b'x'; 32];
            let made = Credentials::with_k_g(&bytes[..name], &bytes[..password], &bytes[..k_g]);
            assert_eq!(made.err().map(|error| error.kind()), Some(ErrorKind::Misuse));
        }
        let credentials = Credentials::with_k_g("admin", "hunter2", "key").expect("legal");
        let printed = format!("{credentials:?}");
        assert!(printed.contains("admin") && !printed.contains("hunter2"));
    }
}
