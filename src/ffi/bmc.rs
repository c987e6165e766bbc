//! BMCs: how one is reached, its session, and commands.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use parking_lot::Mutex;

use super::credentials::bmclink_credentials;
use super::engine::bmclink_engine;
use super::guard::{Number, guard, timeout};
use super::handle::{self, Object, Out};
use crate::bmc::Bmc;
use crate::config::BmcConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::{AuthType, PrivilegeLevel, Quirk, UserLookup, Version};

/// Room for any address and its NUL: bmclink_bmc_address, bmclink_sim_address.
#[allow(dead_code)] // Named for C.
pub const BMCLINK_ADDRESS_MAX: u32 = 64;

/// One BMC: where it is, who logs in, and how. Values are checked by bmclink_bmc_open. The same
/// options can be used for many BMCs, with another host each.
pub struct bmclink_bmc_options {
    config: Mutex<BmcConfig>,
}

/// One managed BMC: at most one live IPMI session, opened when something is first asked of it and
/// shared by all commands and the console.
pub struct bmclink_bmc {
    pub(super) bmc: Bmc,
}

impl Object for bmclink_bmc_options {
    const NOUN: &'static str = "BMC options";
}

impl Object for bmclink_bmc {
    const NOUN: &'static str = "BMC";
}

/// Privilege levels. The numbers are IPMI's.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions take and give int32_t.
pub enum bmclink_privilege {
    /// Administrator, or what the BMC grants below it. Only to be asked for, never what a session
    /// works at.
    Highest = 0,
    /// May only start a session and ask for a callback.
    Callback = 1,
    /// May read.
    User = 2,
    /// May operate: chassis control, consoles on most BMCs.
    Operator = 3,
    /// May configure.
    Administrator = 4,
    /// OEM proprietary.
    Oem = 5,
}

/// Which IPMI version to log in with.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions take int32_t.
pub enum bmclink_ipmi {
    /// v2.0 (RMCP+) only; a BMC without it is an error.
    V20 = 0,
    /// v2.0, or v1.5 where the BMC says that it has no v2.0.
    V20OrV15 = 1,
    /// v1.5 only. There are no consoles then.
    V15 = 2,
}

/// How the BMC looks the user up.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions take int32_t.
pub enum bmclink_user_lookup {
    /// By name alone: what nearly every BMC expects.
    Name = 0,
    /// By name and privilege level: some BMCs then want the user's exact level.
    NameAndPrivilege = 1,
}

/// Authentication types of IPMI v1.5. The numbers are IPMI's.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions take uint8_t.
pub enum bmclink_auth {
    /// None at all.
    None = 0,
    /// A keyed MD2 digest.
    Md2 = 1,
    /// A keyed MD5 digest.
    Md5 = 2,
    /// The password in clear.
    Password = 4,
    /// A vendor's own.
    Oem = 5,
}

/// Waiting times of a session, in milliseconds. From 10 ms to 1 h, and from 0 for pauses and
/// jitter, from 100 ms for keepalive and the two lost times.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions take int32_t.
pub enum bmclink_timing {
    /// The first wait for an answer during login; later ones grow by half. Default 1 s.
    HandshakeFirst = 1,
    /// The longest wait for an answer during login. Default 5 s.
    HandshakeMax = 2,
    /// The pause before the third and later attempts of a login. Default 3 s.
    AttemptPause = 3,
    /// The first wait for a command's answer; later ones double. Default 1 s.
    RequestFirst = 4,
    /// The longest wait for a command's answer before it is sent again. Default 4 s.
    RequestMax = 5,
    /// A keepalive is sent so long after the last answer. Default 24 s.
    Keepalive = 6,
    /// Up to so much is added to it by chance, so that many BMCs do not beat in step. Default 3 s.
    KeepaliveJitter = 7,
    /// An unanswered keepalive is sent again after this, once it was a few times. Default 5 s.
    KeepaliveRetry = 8,
    /// A session is lost when nothing valid came for this long after something was asked.
    /// Default 45 s.
    LostAfter = 9,
    /// The same after a sign that the BMC restarted. Default 8 s.
    LostAfterHint = 10,
    /// How long each step of closing may take. Default 1 s.
    Close = 11,
}

fn set(
    options: *mut bmclink_bmc_options,
    change: impl FnOnce(&mut BmcConfig) -> Result<()>,
) -> Result<()> {
    change(&mut handle::object(options)?.config.lock())
}

/// Makes BMC options with every default but the two that have none.
///
/// `host` is a name, an IPv4 or an IPv6 address (link-local ones with '%' and a scope),
/// NUL-terminated, without a port. `credentials` may be freed afterwards; the options keep what
/// they need. To be freed with bmclink_bmc_options_free. Does not block, and looks nothing up.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_bmc_options_new(
    host: *const c_char,
    credentials: *mut bmclink_credentials,
    options: *mut *mut bmclink_bmc_options,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(options, "options") }?;
        // SAFETY: the caller gives NULL or a string.
        let host = unsafe { handle::text(host, "host") }?;
        let credentials = handle::object(credentials)?.value.clone();
        let config = Mutex::new(BmcConfig::new(host, credentials));
        out.set(handle::register(bmclink_bmc_options { config }));
        Ok(())
    })
}

/// Sets another host: see bmclink_bmc_options_new.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_bmc_options_set_host(
    options: *mut bmclink_bmc_options,
    host: *const c_char,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a string.
        let host = unsafe { handle::text(host, "host") }?;
        set(options, |config| {
            config.host = host.to_owned();
            Ok(())
        })
    })
}

/// Sets the UDP port, 1 to 65535. Default 623.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_options_set_port(
    options: *mut bmclink_bmc_options,
    port: u16,
) -> i32 {
    guard(|| {
        set(options, |config| {
            config.port = port;
            Ok(())
        })
    })
}

/// Sets other credentials: see bmclink_bmc_options_new.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_options_set_credentials(
    options: *mut bmclink_bmc_options,
    credentials: *mut bmclink_credentials,
) -> i32 {
    guard(|| {
        let credentials = handle::object(credentials)?.value.clone();
        set(options, |config| {
            config.credentials = credentials;
            Ok(())
        })
    })
}

/// Lets an empty user name log in: 0 no (default), else yes.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_options_set_allow_null_user(
    options: *mut bmclink_bmc_options,
    allow: i32,
) -> i32 {
    guard(|| {
        set(options, |config| {
            config.allow_null_user = allow != 0;
            Ok(())
        })
    })
}

/// Sets the cipher suites to try, best first, by IPMI's numbers. Default 17, then 3.
///
/// `suites` has `len` numbers and is copied. Suites without integrity or encryption (such as 0
/// and 1) are used only when listed here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_bmc_options_set_cipher_suites(
    options: *mut bmclink_bmc_options,
    suites: *const u8,
    len: usize,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or as many numbers as it says.
        let suites = unsafe { handle::bytes(suites.cast(), len, "suites") }?;
        set(options, |config| {
            *config = config.clone().cipher_suites(suites);
            Ok(())
        })
    })
}

/// Sets the privilege level to work at, one of BMCLINK_PRIVILEGE_*. Default
/// BMCLINK_PRIVILEGE_HIGHEST. With any other, a BMC that grants less is an error.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_options_set_privilege_level(
    options: *mut bmclink_bmc_options,
    privilege: i32,
) -> i32 {
    guard(|| {
        set(options, |config| {
            config.privilege_level = match privilege {
                0 => None,
                _ => Some(privilege_level(privilege)?),
            };
            Ok(())
        })
    })
}

/// Sets how the BMC looks the user up, one of BMCLINK_USER_LOOKUP_*. Default by name alone.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_options_set_user_lookup(
    options: *mut bmclink_bmc_options,
    user_lookup: i32,
) -> i32 {
    guard(|| {
        set(options, |config| {
            config.user_lookup = match user_lookup {
                0 => UserLookup::NameOnly,
                1 => UserLookup::NameAndPrivilege,
                _ => return Err(Error::misuse(format!("no user lookup has number {user_lookup}"))),
            };
            Ok(())
        })
    })
}

/// Sets which IPMI version to log in with, one of BMCLINK_IPMI_*. Default v2.0 only.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_options_set_ipmi_version(
    options: *mut bmclink_bmc_options,
    version: i32,
) -> i32 {
    guard(|| {
        set(options, |config| {
            config.version = match version {
                0 => Version::V20,
                1 => Version::V20OrV15,
                2 => Version::V15,
                _ => return Err(Error::misuse(format!("no IPMI version has number {version}"))),
            };
            Ok(())
        })
    })
}

/// Sets the authentication types of IPMI v1.5, best first, each one of BMCLINK_AUTH_*. Default
/// MD5, then MD2.
///
/// `types` has `len` numbers and is copied. Unused with v2.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_bmc_options_set_auth_types(
    options: *mut bmclink_bmc_options,
    types: *const u8,
    len: usize,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or as many numbers as it says.
        let types = unsafe { handle::bytes(types.cast(), len, "types") }?;
        let unknown = |number| Error::misuse(format!("no authentication type is {number}"));
        let known = |&number| AuthType::from_number(number).ok_or_else(|| unknown(number));
        let auth_types = types.iter().map(known).collect::<Result<Vec<_>>>()?;
        set(options, |config| {
            config.auth_types = auth_types;
            Ok(())
        })
    })
}

/// Adds a workaround for this BMC by its name, NUL-terminated: the names of FreeIPMI's -W flags,
/// such as "intel20". An unknown one fails with BMCLINK_ERR_MISUSE and a text that lists all.
/// Most deviations of BMCs need no workaround.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_bmc_options_add_quirk(
    options: *mut bmclink_bmc_options,
    quirk: *const c_char,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a string.
        let name = unsafe { handle::text(quirk, "quirk") }?;
        set(options, |config| {
            let quirk = name.parse::<Quirk>().map_err(|error| Error::misuse(error.to_string()))?;
            config.quirks.insert(quirk);
            Ok(())
        })
    })
}

/// Sets how many commands may be in flight at once, 1 to 8. Default 1: more than many BMCs can
/// take.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_options_set_request_window(
    options: *mut bmclink_bmc_options,
    requests: u32,
) -> i32 {
    guard(|| {
        set(options, |config| {
            config.request_window = requests as usize;
            Ok(())
        })
    })
}

/// Sets how often a login starts again when the BMC does not answer, 1 to 100. Default 5.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_options_set_login_attempts(
    options: *mut bmclink_bmc_options,
    attempts: u32,
) -> i32 {
    guard(|| {
        set(options, |config| {
            config.timing.login_attempts = attempts;
            Ok(())
        })
    })
}

/// Sets how often a command is sent at most, 1 to 100. Default 5.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_options_set_request_transmissions(
    options: *mut bmclink_bmc_options,
    transmissions: u32,
) -> i32 {
    guard(|| {
        set(options, |config| {
            config.timing.request_transmissions = transmissions;
            Ok(())
        })
    })
}

/// Sets a waiting time of the session, one of BMCLINK_TIMING_*, in milliseconds.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_options_set_timing_ms(
    options: *mut bmclink_bmc_options,
    timing: i32,
    ms: u32,
) -> i32 {
    guard(|| {
        set(options, |config| {
            *waiting_time(config, timing)? = Duration::from_millis(ms.into());
            Ok(())
        })
    })
}

/// Frees BMC options. BMCs opened with them keep what they have. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_options_free(options: *mut bmclink_bmc_options) -> i32 {
    guard(|| handle::free(options))
}

/// Opens a handle for one BMC. Nothing is sent until something is asked of it.
///
/// To be freed with bmclink_bmc_free. Blocks for a moment at most.
///
/// Fails with BMCLINK_ERR_MISUSE for options out of range, such as an xRC4 cipher suite.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_bmc_open(
    engine: *mut bmclink_engine,
    options: *mut bmclink_bmc_options,
    bmc: *mut *mut bmclink_bmc,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(bmc, "bmc") }?;
        let engine = handle::object(engine)?;
        let config = handle::object(options)?.config.lock().clone();
        let bmc = engine.with(|engine| engine.bmc(config))?;
        out.set(handle::register(bmclink_bmc { bmc }));
        Ok(())
    })
}

/// Changes where the BMC is, who logs in, and how. All handles of this BMC see it.
///
/// What touches the session (host, port, credentials, cipher suites, privilege level, version,
/// quirks) ends it: calls in flight fail with BMCLINK_ERR_RECONFIGURED, the session is closed in
/// the background, and when there was one the new one is begun at once. Nothing of the old one
/// reaches anybody any more. A login that is under way is given up at whatever step it is, and
/// whoever waits for it gets the new one's result. Waiting times and the request window are those
/// of the next session. Equal options change nothing.
///
/// Does not wait for the new session. Fails with BMCLINK_ERR_MISUSE for options out of range.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_reconfigure(
    bmc: *mut bmclink_bmc,
    options: *mut bmclink_bmc_options,
) -> i32 {
    guard(|| {
        let config = handle::object(options)?.config.lock().clone();
        handle::object(bmc)?.bmc.reconfigure(config)
    })
}

/// Frees the handle. NULL is fine.
///
/// Does not block: when the BMC's last console is freed too, its session is closed in the
/// background. Calls under way in other threads go on to their end.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_free(bmc: *mut bmclink_bmc) -> i32 {
    guard(|| handle::free(bmc))
}

/// Logs in unless a session is up, and blocks until that is known to have worked or not.
///
/// When `timeout_ms` is over, and nobody else wants the session, the attempt is given up. Errors
/// name the cause: BMCLINK_ERR_USER_NAME, _PASSWORD, _KG, _PRIVILEGE, _CIPHER_SUITE,
/// _NO_FREE_SESSION, _UNREACHABLE, _CONNECTION_REFUSED, _NAME_NOT_FOUND, _INCOMPATIBLE,
/// _PEER_MISBEHAVED; BMCLINK_ERR_TIMED_OUT when the time was over while the BMC was still
/// answering.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_connect(bmc: *mut bmclink_bmc, timeout_ms: i64) -> i32 {
    guard(|| handle::object(bmc)?.bmc.connect(timeout(timeout_ms)))
}

/// Sends any command and blocks until its response is there. Logs in first when no session is up.
///
/// `net_fn` is even, 0 to 3Eh; `lun` is 0 to 3; `data` has `data_len` bytes, 0 to 240.
/// A response with a completion code other than 0 is a success of this call: look at
/// `completion_code`. What follows the completion code is copied to `response`, at most `capacity`
/// bytes of it; `response_len` is how long it was, also when that is more. 255 bytes are always
/// enough for IPMI's own commands. `response` may be NULL when `capacity` is 0.
///
/// Commands known to act (chassis control, resets, writes that add) are sent again at most once
/// when no answer comes and then fail with BMCLINK_ERR_OUTCOME_UNKNOWN. All others are repeated
/// until `timeout_ms`, then BMCLINK_ERR_TIMED_OUT. Also fails as bmclink_bmc_connect does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_bmc_raw(
    bmc: *mut bmclink_bmc,
    net_fn: u8,
    lun: u8,
    cmd: u8,
    data: *const c_void,
    data_len: usize,
    timeout_ms: i64,
    completion_code: *mut u8,
    response: *mut c_void,
    capacity: usize,
    response_len: *mut usize,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a byte.
        let code_out = unsafe { Out::new(completion_code, "completion_code") }?;
        // SAFETY: the caller gives NULL or a place for a length.
        let len_out = unsafe { Out::new(response_len, "response_len") }?;
        // SAFETY: the caller gives NULL or as much room as it says.
        let room = unsafe { handle::room(response, capacity, "response") }?;
        // SAFETY: the caller gives NULL or as many bytes as it says.
        let data = unsafe { handle::bytes(data, data_len, "data") }?;
        let bmc = handle::object(bmc)?;
        let reply = bmc.bmc.raw(net_fn, lun, cmd, data, timeout(timeout_ms))?;
        for (place, byte) in room.iter_mut().zip(&reply.data) {
            *place = *byte;
        }
        code_out.set(reply.completion_code.0);
        len_out.set(reply.data.len());
        Ok(())
    })
}

/// 1 when a session is up, 0 when not. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_is_connected(bmc: *mut bmclink_bmc) -> i32 {
    guard(|| Ok(Number(handle::object(bmc)?.bmc.status().connected.into())))
}

/// The cipher suite of the session that is or was up last, by IPMI's number, 0 or more. Does not
/// block.
///
/// Fails with BMCLINK_ERR_NOT_CONNECTED when there never was a session, with
/// BMCLINK_ERR_INCOMPATIBLE when it was one of IPMI v1.5.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_cipher_suite(bmc: *mut bmclink_bmc) -> i32 {
    guard(|| {
        let status = handle::object(bmc)?.bmc.status();
        let never = status.logins == 0;
        let why = if never { ErrorKind::NotConnected } else { ErrorKind::Incompatible };
        let suite = status.cipher_suite.ok_or_else(|| Error::new(why))?;
        Ok(Number(suite.0.into()))
    })
}

/// The privilege level of the session that is or was up last, one of BMCLINK_PRIVILEGE_*. Does
/// not block.
///
/// Fails with BMCLINK_ERR_NOT_CONNECTED when there never was a session.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_privilege_level(bmc: *mut bmclink_bmc) -> i32 {
    guard(|| {
        let level = handle::object(bmc)?.bmc.status().privilege_level;
        let level = level.ok_or_else(|| Error::new(ErrorKind::NotConnected))?;
        Ok(Number(level as i32))
    })
}

/// How many logins succeeded. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_logins(bmc: *mut bmclink_bmc) -> i64 {
    guard(|| Ok(super::guard::Count(handle::object(bmc)?.bmc.status().logins)))
}

/// The address the BMC's name was resolved to, and its port. Does not block.
///
/// `address` gets a NUL-terminated text and has room for `capacity` bytes; BMCLINK_ADDRESS_MAX
/// are always enough. Fails with BMCLINK_ERR_NOT_CONNECTED as long as it is not known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_bmc_address(
    bmc: *mut bmclink_bmc,
    address: *mut c_char,
    capacity: usize,
    port: *mut u16,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a port.
        let out = unsafe { Out::new(port, "port") }?;
        // SAFETY: the caller gives NULL or as much room as it says.
        let room = unsafe { handle::room(address.cast(), capacity, "address") }?;
        let known = handle::object(bmc)?.bmc.status().address;
        let known = known.ok_or_else(|| Error::new(ErrorKind::NotConnected))?;
        handle::put_text(&known.ip().to_string(), room, "address")?;
        out.set(known.port());
        Ok(())
    })
}

/// Why the last session or login ended, as an error code and as this thread's last error; 0 when
/// none has ended since the last login. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_reason(bmc: *mut bmclink_bmc) -> i32 {
    guard(|| handle::object(bmc)?.bmc.status().last_error.map_or(Ok(()), Err))
}

fn privilege_level(number: i32) -> Result<PrivilegeLevel> {
    let level = u8::try_from(number).ok().and_then(PrivilegeLevel::from_number);
    level.ok_or_else(|| Error::misuse(format!("no privilege level has number {number}")))
}

fn waiting_time(config: &mut BmcConfig, number: i32) -> Result<&mut Duration> {
    let timing = &mut config.timing;
    Ok(match number {
        1 => &mut timing.handshake_first,
        2 => &mut timing.handshake_max,
        3 => &mut timing.attempt_pause,
        4 => &mut timing.request_first,
        5 => &mut timing.request_max,
        6 => &mut timing.keepalive,
        7 => &mut timing.keepalive_jitter,
        8 => &mut timing.keepalive_retry,
        9 => &mut timing.lost_after,
        10 => &mut timing.lost_after_hint,
        11 => &mut timing.close,
        _ => return Err(Error::misuse(format!("no waiting time has number {number}"))),
    })
}
