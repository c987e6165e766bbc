//! Engines and how they are made.

use std::ffi::c_char;
use std::net::IpAddr;

use parking_lot::{Mutex, RwLock};

use super::guard::guard;
use super::handle::{self, Object, Out};
use crate::config::EngineConfig;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};

/// How an engine is made. Values are checked by bmclink_engine_new.
pub struct bmclink_engine_options {
    config: Mutex<EngineConfig>,
}

/// The threads that run sessions. A process has one, or as many as it likes.
pub struct bmclink_engine {
    /// `None` once it is freed. Freeing waits for those who are adding a BMC.
    engine: RwLock<Option<Engine>>,
}

impl Object for bmclink_engine_options {
    const NOUN: &'static str = "engine options";
}

impl Object for bmclink_engine {
    const NOUN: &'static str = "engine";

    fn retire(&self) {
        let engine = self.engine.write().take();
        drop(engine);
    }
}

impl bmclink_engine {
    /// Uses the engine, which is not freed meanwhile.
    pub(super) fn with<T>(&self, task: impl FnOnce(&Engine) -> Result<T>) -> Result<T> {
        match &*self.engine.read() {
            Some(engine) => task(engine),
            None => Err(Error::new(ErrorKind::ShutDown)),
        }
    }
}

fn set(options: *mut bmclink_engine_options, change: impl FnOnce(&mut EngineConfig)) -> Result<()> {
    change(&mut handle::object(options)?.config.lock());
    Ok(())
}

/// Makes engine options with every default. To be freed with bmclink_engine_options_free.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_engine_options_new(
    options: *mut *mut bmclink_engine_options,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(options, "options") }?;
        let config = Mutex::default();
        out.set(handle::register(bmclink_engine_options { config }));
        Ok(())
    })
}

/// Sets how many threads run sessions, 1 to 64. Default: one per core, at most 4.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_engine_options_set_shards(
    options: *mut bmclink_engine_options,
    shards: u32,
) -> i32 {
    guard(|| set(options, |config| config.shards = shards as usize))
}

/// Sets how many BMCs share one UDP socket, 1 to 65536. Default 256.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_engine_options_set_bmcs_per_socket(
    options: *mut bmclink_engine_options,
    bmcs: u32,
) -> i32 {
    guard(|| set(options, |config| config.bmcs_per_socket = bmcs as usize))
}

/// Sets how many calls may wait for one thread of the engine, 1 to 1048576; the next one waits
/// itself. Default 4096.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_engine_options_set_inbox_len(
    options: *mut bmclink_engine_options,
    len: u32,
) -> i32 {
    guard(|| set(options, |config| config.inbox_len = len as usize))
}

/// Sets the receive buffer asked of the kernel per UDP socket, in bytes. Default 1 MiB; the
/// kernel may give less.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_engine_options_set_receive_buffer_len(
    options: *mut bmclink_engine_options,
    len: u32,
) -> i32 {
    guard(|| set(options, |config| config.receive_buffer_len = len as usize))
}

/// Sets the local address of the UDP sockets: an IPv4 or IPv6 address, NUL-terminated. NULL is
/// the default: the kernel's choice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_engine_options_set_local_address(
    options: *mut bmclink_engine_options,
    address: *const c_char,
) -> i32 {
    guard(|| {
        let local_address = if address.is_null() {
            None
        } else {
            // SAFETY: the caller gives NULL or a string.
            let text = unsafe { handle::text(address, "address") }?;
            let unreadable = |_| Error::misuse(format!("{text:?} is no IPv4 or IPv6 address"));
            Some(text.parse::<IpAddr>().map_err(unreadable)?)
        };
        set(options, |config| config.local_address = local_address)
    })
}

/// Sets how many threads resolve names, at most, 1 to 64. They start when names wait and end after
/// ten idle seconds. Default 8: a name whose server is silent blocks one for half a minute.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_engine_options_set_resolvers(
    options: *mut bmclink_engine_options,
    resolvers: u32,
) -> i32 {
    guard(|| set(options, |config| config.resolvers = resolvers as usize))
}

/// Sets how many threads run callbacks at most, 1 to 1024. There are none without callbacks, and
/// one or two more than are busy; when so many callbacks block at once, others wait. Default 64.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_engine_options_set_dispatchers_max(
    options: *mut bmclink_engine_options,
    threads: u32,
) -> i32 {
    guard(|| set(options, |config| config.dispatchers_max = threads as usize))
}

/// Sets how many logins begin per second, over all threads, 1 to 1000000, or 0 for no limit.
/// Default 2000.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_engine_options_set_login_rate(
    options: *mut bmclink_engine_options,
    logins: u32,
) -> i32 {
    guard(|| set(options, |config| config.login_rate = logins))
}

/// Sets how many logins may be under way at once, over all threads, 1 to 1000000. Default 1024. A
/// BMC that has not let us in within 3 s is not counted any more.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_engine_options_set_logins_at_once(
    options: *mut bmclink_engine_options,
    logins: u32,
) -> i32 {
    guard(|| set(options, |config| config.logins_at_once = logins as usize))
}

/// Frees engine options. Engines made with them keep what they have. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_engine_options_free(options: *mut bmclink_engine_options) -> i32 {
    guard(|| handle::free(options))
}

/// Starts an engine: its threads, and nothing on the network.
///
/// `options` may be NULL for every default. To be freed with bmclink_engine_free.
///
/// Fails with BMCLINK_ERR_MISUSE for an option out of range, with BMCLINK_ERR_IO when the system
/// gives no thread or file descriptor.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_engine_new(
    options: *mut bmclink_engine_options,
    engine: *mut *mut bmclink_engine,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(engine, "engine") }?;
        let options = handle::optional(options)?;
        let config = options.map_or_else(EngineConfig::default, |o| o.config.lock().clone());
        let engine = RwLock::new(Some(Engine::new(config)?));
        out.set(handle::register(bmclink_engine { engine }));
        Ok(())
    })
}

/// Closes every session at its BMC and ends the engine's threads, within three seconds. NULL is
/// fine.
///
/// Blocks until that is done and callbacks that run have returned; one that takes two seconds more
/// is left to end by itself. May be called from inside a callback. Calls that wait in other threads
/// end with BMCLINK_ERR_SHUT_DOWN, and so do later calls on the handles of its BMCs and consoles,
/// which are still to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_engine_free(engine: *mut bmclink_engine) -> i32 {
    guard(|| handle::free(engine))
}
