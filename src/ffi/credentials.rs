//! User name, password and K_g.

use std::ffi::c_void;

use super::guard::guard;
use super::handle::{self, Object, Out};
use crate::credentials::Credentials;
use crate::error::Result;

/// A user name, a password and maybe a K_g: one value that many BMCs can share. The library's
/// copies of the secrets are zeroed when they are replaced or no longer used, and never printed.
pub struct bmclink_credentials {
    pub(super) value: Credentials,
}

impl Object for bmclink_credentials {
    const NOUN: &'static str = "credentials";
}

/// Makes credentials.
///
/// `user_name` has 0 to 16 bytes; none at all is the null user, which BMC options have to allow.
/// `password` has 0 to 20 bytes (16 for IPMI v1.5). `k_g`, the BMC key, has 1 to 20 bytes, or 0
/// for none, which is the usual case. None of them needs a NUL, and NUL bytes in K_g count.
/// Longer ones are refused with BMCLINK_ERR_MISUSE: nothing is cut silently. All is copied.
///
/// To be freed with bmclink_credentials_free. Does not block.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_credentials_new(
    user_name: *const c_void,
    user_name_len: usize,
    password: *const c_void,
    password_len: usize,
    k_g: *const c_void,
    k_g_len: usize,
    credentials: *mut *mut bmclink_credentials,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(credentials, "credentials") }?;
        // SAFETY: the caller gives NULL or as many bytes as it says.
        let user_name = unsafe { handle::bytes(user_name, user_name_len, "user_name") }?;
        // SAFETY: the caller gives NULL or as many bytes as it says.
        let password = unsafe { handle::bytes(password, password_len, "password") }?;
        // SAFETY: the caller gives NULL or as many bytes as it says.
        let k_g = unsafe { handle::bytes(k_g, k_g_len, "k_g") }?;
        let value = Credentials::with_k_g(user_name, password, k_g)?;
        out.set(handle::register(bmclink_credentials { value }));
        Ok(())
    })
}

/// Replaces user name, password and K_g, for every BMC that has these credentials.
///
/// Each of these BMCs logs in again at once, as after bmclink_bmc_reconfigure: its calls in flight
/// fail with BMCLINK_ERR_RECONFIGURED, its old session is closed in the background, and a console
/// that waits because a password was wrong is tried. An equal value changes nothing. Limits as for
/// bmclink_credentials_new; on an error the old value stays. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_credentials_update(
    credentials: *mut bmclink_credentials,
    user_name: *const c_void,
    user_name_len: usize,
    password: *const c_void,
    password_len: usize,
    k_g: *const c_void,
    k_g_len: usize,
) -> i32 {
    guard(|| -> Result<()> {
        let credentials = handle::object(credentials)?;
        // SAFETY: the caller gives NULL or as many bytes as it says.
        let user_name = unsafe { handle::bytes(user_name, user_name_len, "user_name") }?;
        // SAFETY: the caller gives NULL or as many bytes as it says.
        let password = unsafe { handle::bytes(password, password_len, "password") }?;
        // SAFETY: the caller gives NULL or as many bytes as it says.
        let k_g = unsafe { handle::bytes(k_g, k_g_len, "k_g") }?;
        credentials.value.update(user_name, password, k_g)
    })
}

/// Frees the handle. BMCs and options that have the credentials keep them. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_credentials_free(credentials: *mut bmclink_credentials) -> i32 {
    guard(|| handle::free(credentials))
}
