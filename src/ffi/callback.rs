//! Callbacks of consoles.

use std::ffi::c_void;
use std::ptr::null;

use super::console::bmclink_console;
use super::event::Told;
use super::guard::{LastError, guard};
use super::handle::{self, User};
use crate::engine::ConsoleEvent;

/// Takes one event of a console. What an argument is not used for is 0 or NULL.
///
/// `event` is one of BMCLINK_EVENT_*; more may be added: do nothing for one that you do not know.
/// `state` is one of BMCLINK_STATE_*, for the events that change it: BMCLINK_EVENT_CONNECTING,
/// _CONNECTED and _DISCONNECTED. `reason` is one of BMCLINK_ERR_* for BMCLINK_EVENT_DISCONNECTED,
/// else 0; the details are then this thread's last error. `number` is what the event says of it.
/// `bytes` is valid during the call, `len` is 1 to 16384. `user` is what was given to
/// bmclink_console_set_callback. It must not throw or jump out.
pub type bmclink_console_callback = Option<
    unsafe extern "C" fn(
        event: i32,
        state: i32,
        reason: i32,
        number: u64,
        bytes: *const c_void,
        len: usize,
        user: *mut c_void,
    ),
>;

/// Has a callback told of everything that happens at a console, in the place of the one set
/// before. NULL ends that one; `user` and `replay` are not looked at then.
///
/// With `replay` other than 0 it first gets what is kept of the past, with 0 only what comes from
/// now on. Calls come in order and one at a time, on threads of the engine that do nothing else. A
/// callback may take its time and call any function of this library, also those that block: it may
/// connect, close and free its console, free the engine, and set another callback. It holds up
/// nothing but itself: what is overwritten meanwhile is told as BMCLINK_EVENT_LOST and
/// BMCLINK_EVENT_MISSED. Threads: see bmclink_engine_options_set_dispatchers_max.
///
/// Blocks while the callback set before runs in another thread. When this function returns, that
/// one has returned from its last call, so that its `user` can be freed; so do not call it, or
/// bmclink_console_free, with a lock held that the callback takes. (Called from inside the
/// callback, it does not wait; and two callbacks that end each other do not wait for each other.)
///
/// Fails with BMCLINK_ERR_SHUT_DOWN when the engine was freed, with BMCLINK_ERR_IO when there is no
/// thread to be had; there is no callback then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_console_set_callback(
    console: *mut bmclink_console,
    replay: i32,
    callback: bmclink_console_callback,
    user: *mut c_void,
) -> i32 {
    guard(|| {
        let console = handle::object(console)?;
        // Where a new one begins is where this call began.
        let reader =
            if replay != 0 { console.handle().reader() } else { console.handle().live_reader() };
        console.set_callback(None);
        let Some(callback) = callback else { return Ok(()) };
        let target = Target { callback, user: User(user) };
        let subscription = reader.on_event(move |event| target.tell(&event))?;
        console.set_callback(Some(subscription));
        Ok(())
    })
}

struct Target {
    callback: unsafe extern "C" fn(i32, i32, i32, u64, *const c_void, usize, *mut c_void),
    user: User,
}

impl Target {
    fn tell(&self, event: &ConsoleEvent<'_>) {
        let told = Told::of(event);
        if let Some(reason) = told.reason {
            LastError::set(reason.clone());
        }
        let bytes = told.bytes;
        let place = if bytes.is_empty() { null() } else { bytes.as_ptr().cast() };
        let (event, state, user) = (told.event as i32, told.state, self.user.0);
        let (reason, number) = (told.code(), told.number);
        // SAFETY: the caller gave a function that takes this, and the bytes outlive the call.
        unsafe { (self.callback)(event, state, reason, number, place, bytes.len(), user) }
    }
}
