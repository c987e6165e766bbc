//! How consoles are run.

use std::ffi::c_char;
use std::time::Duration;

use parking_lot::Mutex;

use super::guard::guard;
use super::handle::{self, Object, Out};
use crate::config::{ConsoleConfig, LogConfig};
use crate::error::{Error, Result};
use crate::{Keep, TakeOver};

/// How a console is run. Values are checked by bmclink_console_open.
pub struct bmclink_console_options {
    config: Mutex<ConsoleConfig>,
}

impl Object for bmclink_console_options {
    const NOUN: &'static str = "console options";
}

impl bmclink_console_options {
    /// What they say; NULL is every default.
    pub(super) fn config_of(options: *mut Self) -> Result<ConsoleConfig> {
        let options = handle::optional(options)?;
        Ok(options.map_or_else(ConsoleConfig::default, |options| options.config.lock().clone()))
    }
}

/// What to do when another session owns SOL.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions take int32_t.
pub enum bmclink_take_over {
    /// Fail with BMCLINK_ERR_SOL_IN_USE.
    Never = 0,
    /// Take it when its session is gone: a crashed program leaves such behind. The default.
    Stale = 1,
    /// Take it now; when it is taken back, leave it.
    Once = 2,
    /// Take it whenever it is in the way.
    Always = 3,
}

/// Whether a console is connected again by itself, after a loss or a failure.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions take int32_t.
pub enum bmclink_keep {
    /// No: it is connected by bmclink_console_connect and bmclink_console_begin_connect, and a loss
    /// is final until the next of these. The default.
    OnRequest = 0,
    /// While somebody is attached: a reader, or the console itself from its first read on. Each
    /// time one comes, it is tried at once.
    WhileAttached = 1,
    /// Always, from the moment it is opened.
    Always = 2,
}

/// The waiting times of a console that is kept, before it is tried again.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions take int32_t.
pub enum bmclink_retry {
    /// The limit of the first wait, doubled after each failure; a wait is chosen by chance between
    /// nothing and its limit. Default 1 s.
    First = 1,
    /// The longest limit. Default 120 s.
    Max = 2,
    /// After a refused user name, password, K_g or privilege level: this, and up to a quarter more
    /// by chance. Default 60 s: BMCs lock accounts.
    Credentials = 3,
    /// The same when the BMC has no session slot free, or SOL is disabled or refused. Default 30 s.
    Refused = 4,
    /// The same when SOL is in use by another session or was taken by one, doubled each time it
    /// happens again. Default 60 s.
    Stolen = 5,
    /// A connection that lived so long is tried again at once. Default 60 s.
    Stable = 6,
}

fn set(
    options: *mut bmclink_console_options,
    change: impl FnOnce(&mut ConsoleConfig),
) -> Result<()> {
    change(&mut handle::object(options)?.config.lock());
    Ok(())
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

/// Makes console options with every default. To be freed with bmclink_console_options_free.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_console_options_new(
    options: *mut *mut bmclink_console_options,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(options, "options") }?;
        let config = Mutex::default();
        out.set(handle::register(bmclink_console_options { config }));
        Ok(())
    })
}

/// Sets the SOL instance, 1 to 15. Default 1.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_options_set_instance(
    options: *mut bmclink_console_options,
    instance: u8,
) -> i32 {
    guard(|| set(options, |config| config.instance = instance))
}

/// Sets what to do when another session owns SOL, one of BMCLINK_TAKE_OVER_*. Default
/// BMCLINK_TAKE_OVER_STALE.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_options_set_take_over(
    options: *mut bmclink_console_options,
    take_over: i32,
) -> i32 {
    guard(|| {
        let take_over = match take_over {
            0 => TakeOver::Never,
            1 => TakeOver::Stale,
            2 => TakeOver::Once,
            3 => TakeOver::Always,
            _ => return Err(Error::misuse(format!("no take-over has number {take_over}"))),
        };
        set(options, |config| config.take_over = take_over)
    })
}

/// Accepts SOL in clear from a BMC that refuses to encrypt it: 0 no (default), else yes.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_options_set_allow_clear(
    options: *mut bmclink_console_options,
    allow: i32,
) -> i32 {
    guard(|| set(options, |config| config.allow_clear = allow != 0))
}

/// Sets how many bytes of the past are kept for readers, 1 KiB to 1 GiB; memory is taken as it is
/// needed. A reader that falls behind by more loses the oldest bytes. Default 64 KiB.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_options_set_replay_len(
    options: *mut bmclink_console_options,
    len: usize,
) -> i32 {
    guard(|| set(options, |config| config.replay_len = len))
}

/// Sets how many bytes of input may wait for the BMC, 1 to 16 MiB. Default 16 KiB.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_options_set_input_len(
    options: *mut bmclink_console_options,
    len: usize,
) -> i32 {
    guard(|| set(options, |config| config.input_len = len))
}

/// Sets how long input is collected to fill a packet, in milliseconds, at most 1000. Default 0:
/// not at all.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_options_set_accumulate_ms(
    options: *mut bmclink_console_options,
    accumulate_ms: u32,
) -> i32 {
    guard(|| set(options, |config| config.accumulate = ms(accumulate_ms)))
}

/// Sets how long an acknowledge is waited for before a packet is sent again, in milliseconds, each
/// 10 to 60000: the first one, and the shortest and longest once round trips were measured.
/// Default 500, 50, 1000.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_options_set_retransmit_ms(
    options: *mut bmclink_console_options,
    first_ms: u32,
    min_ms: u32,
    max_ms: u32,
) -> i32 {
    guard(|| {
        set(options, |config| {
            config.retransmit_first = ms(first_ms);
            config.retransmit_min = ms(min_ms);
            config.retransmit_max = ms(max_ms);
        })
    })
}

/// Sends an empty packet after so many milliseconds without input, 1000 to 3600000. Default 0:
/// never. For BMCs that cut idle consoles; the session has keepalives of its own.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_options_set_keepalive_ms(
    options: *mut bmclink_console_options,
    keepalive_ms: u32,
) -> i32 {
    guard(|| {
        let keepalive = (keepalive_ms > 0).then(|| ms(keepalive_ms));
        set(options, |config| config.keepalive = keepalive)
    })
}

/// Sets whether the console is connected again by itself, one of BMCLINK_KEEP_*. With
/// BMCLINK_KEEP_WHILE_ATTACHED it stays `linger_ms` milliseconds longer than the last reader; else
/// that is not looked at. Default BMCLINK_KEEP_ON_REQUEST.
///
/// A BMC has at most one console that is kept or connected: bmclink_console_open of another one
/// fails with BMCLINK_ERR_BUSY.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_options_set_keep(
    options: *mut bmclink_console_options,
    keep: i32,
    linger_ms: u32,
) -> i32 {
    guard(|| {
        let keep = match keep {
            0 => Keep::OnRequest,
            1 => Keep::WhileAttached(ms(linger_ms)),
            2 => Keep::Always,
            _ => return Err(Error::misuse(format!("no way to keep it has number {keep}"))),
        };
        set(options, |config| config.keep = keep)
    })
}

/// Sets one of the waiting times of a console that is kept, BMCLINK_RETRY_*, in milliseconds.
///
/// Being attached to, bmclink_console_connect, another configuration and other credentials have it
/// tried at once, whatever the times say.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_options_set_retry_ms(
    options: *mut bmclink_console_options,
    retry: i32,
    retry_ms: u32,
) -> i32 {
    guard(|| {
        let mut known = true;
        set(options, |config| {
            let retry_config = &mut config.retry;
            *match retry {
                1 => &mut retry_config.first,
                2 => &mut retry_config.max,
                3 => &mut retry_config.credentials,
                4 => &mut retry_config.refused,
                5 => &mut retry_config.stolen,
                6 => &mut retry_config.stable,
                _ => return known = false,
            } = ms(retry_ms);
        })?;
        if known { Ok(()) } else { Err(Error::misuse(format!("no wait has number {retry}"))) }
    })
}

/// Has everything that happens at the console written to a file; `path` is NUL-terminated, NULL is
/// for no file (the default).
///
/// It gets the bytes as they are, with the time (UTC) before each line, and a line in dashes for
/// everything else that happens. It is appended to, made with mode 0600, and open as long as the
/// console is: one file descriptor each. Before it would get longer than `size_max` bytes, 4096 or
/// more, it is set aside as `path`.1, which becomes .2 the next time, and so on up to `keep`, at
/// most 1000; with a `size_max` of 0 it grows for ever.
///
/// A full disk or a missing folder never stops the console: see bmclink_console_log_error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_console_options_set_log_file(
    options: *mut bmclink_console_options,
    path: *const c_char,
    size_max: u64,
    keep: u32,
) -> i32 {
    guard(|| {
        let log = if path.is_null() {
            None
        } else {
            // SAFETY: not NULL, and the caller promised a NUL at the end.
            let path = unsafe { handle::text(path, "path") }?;
            Some(LogConfig::new(path).rotate(size_max, keep as usize))
        };
        set(options, |config| config.log = log)
    })
}

/// Frees console options. Consoles opened with them keep what they have. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_options_free(options: *mut bmclink_console_options) -> i32 {
    guard(|| handle::free(options))
}
