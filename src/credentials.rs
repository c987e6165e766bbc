//! User name, password and K_g as one shared value.

use std::fmt;
use std::sync::Arc;

use slotmap::{SlotMap, new_key_type};

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
/// Clones are handles to the same value. [`update`](Credentials::update) changes it for all.
/// The secrets are zeroed when they are replaced or dropped, and never printed.
#[derive(Clone)]
pub struct Credentials {
    shared: Arc<Shared>,
}

struct Shared {
    value: Mutex<Arc<CredentialsValue>>,
    watchers: Mutex<SlotMap<WatchKey, Arc<dyn Fn() + Send + Sync>>>,
}

new_key_type! {
    struct WatchKey;
}

/// Somebody who is told of every change, until this is dropped.
pub(crate) struct CredentialsWatch {
    shared: Arc<Shared>,
    key: WatchKey,
}

impl Drop for CredentialsWatch {
    fn drop(&mut self) {
        self.shared.watchers.lock().remove(self.key);
    }
}

impl Credentials {
    /// A user name of 1 to 16 bytes (0 for the null user, which
    /// [`BmcConfig::allow_null_user`](crate::BmcConfig::allow_null_user) has to allow) and a
    /// password of 0 to 20 bytes.
    ///
    /// Longer ones are refused with `Misuse`: nothing is cut silently.
    pub fn new(user_name: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Result<Self> {
        Ok(Self::with_value(checked(user_name.as_ref(), password.as_ref(), &[])?))
    }

    /// The same with K_g, the BMC key: 1 to 20 bytes, shorter ones padded with zeros. Bytes of
    /// 00h anywhere in it are kept.
    pub fn with_k_g(
        user_name: impl AsRef<[u8]>,
        password: impl AsRef<[u8]>,
        k_g: impl AsRef<[u8]>,
    ) -> Result<Self> {
        Ok(Self::with_value(checked(user_name.as_ref(), password.as_ref(), k_g.as_ref())?))
    }

    /// Replaces user name, password and K_g (empty for none), in all that use them: every BMC with
    /// a session, or that tries to get one, logs in anew, once, within the engine's
    /// [`login_rate`](crate::EngineConfig::login_rate). Calls in flight fail with `Reconfigured`.
    /// Equal values change nothing.
    ///
    /// Fails with `Misuse` when something is too long; the old value stays then. Does not wait for
    /// the logins.
    pub fn update(&self, user_name: &[u8], password: &[u8], k_g: &[u8]) -> Result<()> {
        let new = Arc::new(checked(user_name, password, k_g)?);
        let old = std::mem::replace(&mut *self.shared.value.lock(), new.clone());
        if old == new {
            return Ok(());
        }
        // Not under the lock: to tell a shard may take until it has room.
        let watchers: Vec<_> = self.shared.watchers.lock().values().cloned().collect();
        for tell in watchers {
            tell();
        }
        Ok(())
    }

    pub(crate) fn current(&self) -> Arc<CredentialsValue> {
        self.shared.value.lock().clone()
    }

    /// Has `tell` called after every change.
    pub(crate) fn watch(&self, tell: Arc<dyn Fn() + Send + Sync>) -> CredentialsWatch {
        let key = self.shared.watchers.lock().insert(tell);
        CredentialsWatch { shared: self.shared.clone(), key }
    }

    fn with_value(value: CredentialsValue) -> Self {
        let (value, watchers) = (Mutex::new(Arc::new(value)), Mutex::new(SlotMap::with_key()));
        Credentials { shared: Arc::new(Shared { value, watchers }) }
    }
}

/// Whether they are handles to the same value: two values that happen to be equal are not.
impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
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
