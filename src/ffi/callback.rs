//! Callbacks of consoles.

use std::ffi::c_void;
use std::ptr::null;

use super::console::{bmclink_console, state_number};
use super::guard::{LastError, guard};
use super::handle::{self, User};
use crate::engine::ConsoleEvent;

/// What a console's callback is told of.
#[repr(C)]
#[allow(dead_code)] // Named for C; callbacks get int32_t.
pub enum bmclink_event {
    /// The console printed `bytes`.
    Data = 1,
    /// Its state is `state` now. Comes between the bytes from before and those from after.
    State = 2,
    /// `number` bytes were overwritten before the callback came to them; they stood here.
    Lost = 3,
}

/// Takes one event of a console. What an argument is not used for is 0 or NULL.
///
/// `event` is one of BMCLINK_EVENT_*; more may be added: do nothing for one that you do not know.
/// `state` is one of BMCLINK_STATE_*. `reason` is one of BMCLINK_ERR_* when the console is not
/// connected after it was or was tried to be, else 0; the details are then this thread's last
/// error. `number` is how often the console was connected by then (BMCLINK_EVENT_STATE), or a
/// number of bytes (BMCLINK_EVENT_LOST). `bytes` is valid during the call, `len` is 1 to 16384.
/// `user` is what was given to bmclink_console_set_callback. It must not throw or jump out.
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
/// nothing but itself: bytes that are overwritten meanwhile are told as BMCLINK_EVENT_LOST, and of
/// more than 64 changes of state the oldest are left out. Threads: see
/// bmclink_engine_options_set_dispatchers_max.
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
        let subscription = reader.on_event(move |event| target.tell(event))?;
        console.set_callback(Some(subscription));
        Ok(())
    })
}

struct Target {
    callback: unsafe extern "C" fn(i32, i32, i32, u64, *const c_void, usize, *mut c_void),
    user: User,
}

impl Target {
    fn tell(&self, event: ConsoleEvent<'_>) {
        match event {
            ConsoleEvent::Data(bytes) => self.call(bmclink_event::Data, (0, 0), 0, bytes),
            ConsoleEvent::State { state, reason, epoch } => {
                if let Some(reason) = reason {
                    LastError::set(reason.clone());
                }
                let code = reason.map_or(0, |reason| reason.kind().code());
                self.call(bmclink_event::State, (state_number(state), code), epoch, &[]);
            }
            ConsoleEvent::Lost(bytes) => self.call(bmclink_event::Lost, (0, 0), bytes, &[]),
        }
    }

    fn call(&self, event: bmclink_event, (state, reason): (i32, i32), number: u64, bytes: &[u8]) {
        let place = if bytes.is_empty() { null() } else { bytes.as_ptr().cast() };
        let (event, user) = (event as i32, self.user.0);
        // SAFETY: the caller gave a function that takes this, and the bytes outlive the call.
        unsafe { (self.callback)(event, state, reason, number, place, bytes.len(), user) }
    }
}
