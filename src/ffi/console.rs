//! Consoles.

use std::ffi::c_void;

use parking_lot::Mutex;

use super::bmc::bmclink_bmc;
use super::console_options::bmclink_console_options;
use super::guard::{Count, LastError, Number, guard, timeout};
use super::handle::{self, Object, Out};
use super::reader::bmclink_reader;
use crate::bmc::{Console, Source, Subscription};
use crate::error::{Error, ErrorKind, Result};
use crate::{ConsoleState, ConsoleStats};

/// The serial console of one BMC, by Serial over LAN. Bytes go through unchanged, all 256 values
/// of them.
pub struct bmclink_console {
    console: Console,
    /// What bmclink_console_read reads from.
    reader: bmclink_reader,
    /// What bmclink_console_set_callback set.
    pub(super) callback: Mutex<Option<Subscription>>,
}

impl Object for bmclink_console {
    const NOUN: &'static str = "console";

    fn retire(&self) {
        self.reader.retire();
        self.console.abandon();
        // Last: a callback that waits for this console has to be let go of first.
        self.set_callback(None);
    }
}

impl bmclink_console {
    pub(super) fn new(console: Console) -> Self {
        let reader = bmclink_reader::of_console(&console);
        bmclink_console { console, reader, callback: Mutex::default() }
    }

    /// The console and its own reader, for an event queue.
    pub(super) fn source(&self) -> Source<'_> {
        Source::of_place(&self.console, self.reader.place(), true)
    }

    /// Puts another callback in the place of the one there is, which is ended.
    pub(super) fn set_callback(&self, next: Option<Subscription>) {
        let last = std::mem::replace(&mut *self.callback.lock(), next);
        // This may block, for as long as the callback runs.
        drop(last);
    }

    pub(super) fn handle(&self) -> &Console {
        &self.console
    }
}

/// Where a console is in its life.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions take and give int32_t.
pub enum bmclink_state {
    /// Not connected, and not being connected; maybe another try is planned: see
    /// bmclink_console_why.
    Unconnected = 0,
    /// Logging in or activating SOL.
    Connecting = 1,
    /// SOL is active.
    Connected = 2,
}

/// What a console counts, over all its connections.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions take int32_t.
pub enum bmclink_counter {
    /// How often the console was connected.
    Epoch = 1,
    /// Bytes received from the BMC.
    Received = 2,
    /// Bytes taken from writers.
    Written = 3,
    /// Bytes of input that the BMC has not acknowledged yet.
    Pending = 4,
    /// Bytes of input that were lost with a connection, or whose fate is unknown.
    InputLost = 5,
    /// Places where the BMC skipped packets: an unknown number of bytes is missing there.
    Gaps = 6,
    /// Times the BMC said that it had to drop characters of the managed system.
    Overruns = 7,
    /// Breaks the managed system sent.
    Breaks = 8,
    /// Times SOL was activated again within a session, because the BMC had gone mute.
    Reactivations = 9,
    /// 1 while the BMC says that the serial port is unavailable: powered off, in reset.
    Unavailable = 10,
    /// Characters per packet that the BMC takes; 0 before the first connection.
    CharactersMax = 11,
    /// A port the BMC named for SOL that is not the session's and is not used; else 0.
    OtherPort = 12,
    /// How long ago the last byte came, in milliseconds; UINT64_MAX before the first.
    LastDataMs = 13,
    /// Bytes written to its log file and the predecessors of that.
    LogWritten = 14,
    /// Bytes that should be in its log file and are not: the disk was too slow, full, or not there.
    LogLost = 15,
}

/// Opens a handle for the console of a BMC. Nothing is sent until bmclink_console_connect.
///
/// `options` may be NULL for every default. The console keeps the BMC: its handle may be freed
/// first. To be freed with bmclink_console_free. Does not block.
///
/// Fails with BMCLINK_ERR_MISUSE for options out of range.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_console_open(
    bmc: *mut bmclink_bmc,
    options: *mut bmclink_console_options,
    console: *mut *mut bmclink_console,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(console, "console") }?;
        let bmc = handle::object(bmc)?;
        let console = bmc.bmc.console(bmclink_console_options::config_of(options)?)?;
        out.set(handle::register(bmclink_console::new(console)));
        Ok(())
    })
}

/// Runs the console in another way from now on; `options` may be NULL for every default.
///
/// What is about SOL itself (instance, take-over, clear, retransmission, keepalive) closes SOL and
/// opens it again; readers are told and wait meanwhile. The rest breaks nothing, and neither do
/// equal options. A console that is kept and not connected is tried at once; one that is kept no
/// more is not tried again.
///
/// Does not wait for that. Fails with BMCLINK_ERR_MISUSE for options out of range, with
/// BMCLINK_ERR_CLOSED when the console is closed, with BMCLINK_ERR_BUSY when it is to be kept and
/// the BMC has another such console.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_reconfigure(
    console: *mut bmclink_console,
    options: *mut bmclink_console_options,
) -> i32 {
    guard(|| {
        let console = handle::object(console)?;
        console.console.reconfigure(bmclink_console_options::config_of(options)?)
    })
}

/// Closes the console, if it is not closed yet, and frees the handle. NULL is fine.
///
/// SOL is deactivated in the background. Calls that wait on the console in other threads end with
/// BMCLINK_ERR_CLOSED. Its readers are still to be freed; they first get what is left. Does not
/// block, but for a callback of this console that runs in another thread: see
/// bmclink_console_set_callback.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_free(console: *mut bmclink_console) -> i32 {
    guard(|| handle::free(console))
}

/// Connects, logging in first when no session is up, and blocks until SOL is active or is known
/// not to become so. Returns at once when it is connected already.
///
/// When `timeout_ms` is over, and no other thread waits for it, the attempt is given up. After a
/// loss, call this again: the same console goes on, its readers stay attached.
///
/// Besides the errors of bmclink_bmc_connect: BMCLINK_ERR_SOL_DISABLED, _SOL_IN_USE,
/// _SOL_REFUSED, _INCOMPATIBLE (a v1.5 session has no console), _BUSY (another console of the
/// same BMC handle is connected) and _CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_connect(console: *mut bmclink_console, timeout_ms: i64) -> i32 {
    guard(|| handle::object(console)?.console.connect(timeout(timeout_ms)))
}

/// Begins to connect, logging in first when no session is up, and does not wait for it.
///
/// How it went is told by bmclink_console_state and bmclink_console_reason, by an event queue or a
/// callback: BMCLINK_STATE_CONNECTED, or BMCLINK_STATE_UNCONNECTED again and why. Blocks only while
/// very many calls wait for the engine: see bmclink_engine_options_set_inbox_len.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_begin_connect(console: *mut bmclink_console) -> i32 {
    guard(|| handle::object(console)?.console.begin_connect())
}

/// Copies what the console printed to `buffer`, and gives how many bytes: at least one, at most
/// `capacity`. Blocks until `timeout_ms` for it, then BMCLINK_ERR_TIMED_OUT.
///
/// This is the console's own reader, attached since it was opened. Threads that call this on the
/// same console take turns; for each to see every byte, see bmclink_reader_open.
///
/// Waits while the console was never connected or is being connected. After a loss, gives what is
/// left and then fails with the reason (BMCLINK_ERR_LOST and others), every time until the console
/// is connected again. After a close, gives what is left and then BMCLINK_ERR_CLOSED. Gives 0 only
/// when `capacity` is 0.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_console_read(
    console: *mut bmclink_console,
    buffer: *mut c_void,
    capacity: usize,
    timeout_ms: i64,
) -> i64 {
    guard(|| {
        let console = handle::object(console)?;
        // SAFETY: the caller gives NULL or as much room as it says.
        let room = unsafe { handle::room(buffer, capacity, "buffer") }?;
        Ok(Count(console.reader.read(room, timeout(timeout_ms))? as u64))
    })
}

/// A file descriptor that is readable while bmclink_console_read would not block: there are bytes,
/// or there is a reason why there are none. For poll, epoll and event loops. It may stay readable
/// for a moment after a read took the last of them: read with a timeout of 0.
///
/// It is made when it is first asked for and closed when the console is freed; it is not to be
/// closed, read from or written to. For many consoles an event queue needs one descriptor for all
/// of them. Fails with BMCLINK_ERR_IO when the system gives none. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_fd(console: *mut bmclink_console) -> i32 {
    guard(|| handle::object(console)?.reader.fd())
}

/// Takes input for the managed system, and gives how many of the `len` bytes: all that there is
/// room for, at least one. Blocks until `timeout_ms` while there is no room at all, then
/// BMCLINK_ERR_TIMED_OUT, and nothing was taken.
///
/// Input is taken only while the console is connected, else BMCLINK_ERR_NOT_CONNECTED,
/// BMCLINK_ERR_LOST or BMCLINK_ERR_CLOSED. What is taken is sent in order, each byte once;
/// bmclink_console_drain tells when the BMC has it. What a lost connection leaves behind is counted
/// (BMCLINK_COUNTER_INPUT_LOST) and never sent later. Gives 0 only when `len` is 0.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_console_write(
    console: *mut bmclink_console,
    bytes: *const c_void,
    len: usize,
    timeout_ms: i64,
) -> i64 {
    guard(|| {
        let console = handle::object(console)?;
        // SAFETY: the caller gives NULL or as many bytes as it says.
        let bytes = unsafe { handle::bytes(bytes, len, "bytes") }?;
        Ok(Count(console.console.write(bytes, timeout(timeout_ms))? as u64))
    })
}

/// Blocks until the BMC has acknowledged everything that was written, or until `timeout_ms`, then
/// BMCLINK_ERR_TIMED_OUT. Fails as bmclink_console_write does when the console is not connected.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_drain(console: *mut bmclink_console, timeout_ms: i64) -> i32 {
    guard(|| handle::object(console)?.console.drain(timeout(timeout_ms)))
}

/// Sends a break behind everything written before it, and blocks until the BMC has acknowledged
/// it. Fails as bmclink_console_drain does; a break that timed out may still be sent.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_send_break(
    console: *mut bmclink_console,
    timeout_ms: i64,
) -> i32 {
    guard(|| handle::object(console)?.console.send_break(timeout(timeout_ms)))
}

/// Where the console is in its life: one of BMCLINK_STATE_*. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_state(console: *mut bmclink_console) -> i32 {
    guard(|| Ok(Number(state_number(handle::object(console)?.console.state()))))
}

/// Blocks until the state is another one than `seen`, and gives it: one of BMCLINK_STATE_*.
///
/// Fails with BMCLINK_ERR_TIMED_OUT when `timeout_ms` is over, with BMCLINK_ERR_CLOSED when the
/// console is closed and so has no other state to come.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_wait_state(
    console: *mut bmclink_console,
    seen: i32,
    timeout_ms: i64,
) -> i32 {
    guard(|| {
        let console = &handle::object(console)?.console;
        let state = console.wait_state(state_of_number(seen)?, timeout(timeout_ms));
        if state_number(state) != seen {
            return Ok(Number(state_number(state)));
        }
        let closed = console.reason().is_some_and(|reason| reason.kind() == ErrorKind::Closed);
        Err(Error::new(if closed { ErrorKind::Closed } else { ErrorKind::TimedOut }))
    })
}

/// Why the console is not connected, as an error code and as this thread's last error; 0 when it
/// is connected, or was never tried to be. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_reason(console: *mut bmclink_console) -> i32 {
    guard(|| handle::object(console)?.console.reason().map_or(Ok(()), Err))
}

/// What the disk said last of the console's log file, as an error code and as this thread's last
/// error; 0 when it takes text, or when there is no log file. What is not written is counted
/// (BMCLINK_COUNTER_LOG_LOST), and marked in the file once that takes text again, which is tried
/// every second. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_log_error(console: *mut bmclink_console) -> i32 {
    guard(|| {
        let status = handle::object(console)?.console.log_status();
        status.and_then(|status| status.error).map_or(Ok(()), Err)
    })
}

/// Has the console's log file opened again before anything more is written to it: for programs that
/// move it away. Does nothing without one. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_reopen_log(console: *mut bmclink_console) -> i32 {
    guard(|| {
        handle::object(console)?.console.reopen_log();
        Ok(())
    })
}

/// State, since when, why, and when it is tried again, all at one moment. Does not block.
///
/// `state` is one of BMCLINK_STATE_*. `reason` is the error code that bmclink_console_reason would
/// give; when it is not 0, stage, codes and text are this thread's last error. `since_ms` is for
/// how long it has been in that state, `next_try_ms` in how long it is tried again: UINT64_MAX when
/// that is not planned. Both are in milliseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_console_why(
    console: *mut bmclink_console,
    state: *mut i32,
    reason: *mut i32,
    since_ms: *mut u64,
    next_try_ms: *mut u64,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a number.
        let state_out = unsafe { Out::new(state, "state") }?;
        // SAFETY: the caller gives NULL or a place for a number.
        let reason_out = unsafe { Out::new(reason, "reason") }?;
        // SAFETY: the caller gives NULL or a place for a number.
        let since_out = unsafe { Out::new(since_ms, "since_ms") }?;
        // SAFETY: the caller gives NULL or a place for a number.
        let next_try_out = unsafe { Out::new(next_try_ms, "next_try_ms") }?;
        let why = handle::object(console)?.console.why();
        state_out.set(state_number(why.state));
        reason_out.set(why.reason.as_ref().map_or(0, |reason| reason.kind().code()));
        since_out.set(why.since.as_millis() as u64);
        next_try_out.set(why.next_try.map_or(u64::MAX, |wait| wait.as_millis() as u64));
        if let Some(reason) = why.reason {
            LastError::set(reason);
        }
        Ok(())
    })
}

/// Gives one of the console's counters, BMCLINK_COUNTER_*, in `value`. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_console_counter(
    console: *mut bmclink_console,
    counter: i32,
    value: *mut u64,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a number.
        let out = unsafe { Out::new(value, "value") }?;
        let console = &handle::object(console)?.console;
        out.set(match counter {
            14 => console.log_status().map_or(0, |status| status.written),
            15 => console.log_status().map_or(0, |status| status.lost),
            counter => count(&console.stats(), counter)?,
        });
        Ok(())
    })
}

/// Deactivates SOL and blocks until the BMC has done so, at most `timeout_ms` and one second.
///
/// The session under it lives on for commands and later consoles. All calls that wait on this
/// console end with BMCLINK_ERR_CLOSED; readers first get what is left. The console cannot be
/// connected again; its handle is still to be freed. Also fine when it is not connected.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_close(console: *mut bmclink_console, timeout_ms: i64) -> i32 {
    guard(|| handle::object(console)?.console.close(timeout(timeout_ms)))
}

pub(super) fn state_number(state: ConsoleState) -> i32 {
    let number = match state {
        ConsoleState::Unconnected => bmclink_state::Unconnected,
        ConsoleState::Connecting => bmclink_state::Connecting,
        ConsoleState::Connected => bmclink_state::Connected,
    };
    number as i32
}

fn state_of_number(number: i32) -> Result<ConsoleState> {
    Ok(match number {
        0 => ConsoleState::Unconnected,
        1 => ConsoleState::Connecting,
        2 => ConsoleState::Connected,
        _ => return Err(Error::misuse(format!("no state has number {number}"))),
    })
}

fn count(stats: &ConsoleStats, counter: i32) -> Result<u64> {
    Ok(match counter {
        1 => stats.epoch,
        2 => stats.received,
        3 => stats.written,
        4 => stats.pending,
        5 => stats.input_lost,
        6 => stats.gaps,
        7 => stats.overruns,
        8 => stats.breaks,
        9 => stats.reactivations,
        10 => stats.unavailable.into(),
        11 => stats.characters_max as u64,
        12 => stats.other_port.map_or(0, u64::from),
        13 => stats.last_data.map_or(u64::MAX, |age| age.as_millis() as u64),
        _ => return Err(Error::misuse(format!("no counter has number {counter}"))),
    })
}
