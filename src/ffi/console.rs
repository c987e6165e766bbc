//! Consoles and their readers.

use std::ffi::c_void;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::bmc::bmclink_bmc;
use super::guard::{Count, Number, guard, timeout};
use super::handle::{self, Object, Out};
use crate::bmc::{Console, Reader, Source, Subscription};
use crate::config::ConsoleConfig;
use crate::engine::Place;
use crate::error::{Error, ErrorKind, Result};
use crate::{ConsoleState, ConsoleStats, TakeOver};

/// How a console is run. Values are checked by bmclink_console_open.
pub struct bmclink_console_options {
    config: Mutex<ConsoleConfig>,
}

/// The serial console of one BMC, by Serial over LAN. Bytes go through unchanged, all 256 values
/// of them.
pub struct bmclink_console {
    console: Console,
    /// What bmclink_console_read reads from.
    reader: bmclink_reader,
    /// What bmclink_console_set_callback set.
    pub(super) callback: Mutex<Option<Subscription>>,
}

/// One attached reader of a console: its own place in what the console printed.
pub struct bmclink_reader {
    console: Console,
    /// Held while one thread reads.
    reader: Mutex<Reader>,
    /// The reader's, to be had while it is held.
    place: Arc<Place>,
    /// What the reader has lost, to be asked while it is held.
    lost: AtomicU64,
    retired: AtomicBool,
}

impl Object for bmclink_console_options {
    const NOUN: &'static str = "console options";
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

impl bmclink_console_options {
    /// What they say; NULL is every default.
    pub(super) fn config_of(options: *mut Self) -> Result<ConsoleConfig> {
        let options = handle::optional(options)?;
        Ok(options.map_or_else(ConsoleConfig::default, |options| options.config.lock().clone()))
    }
}

impl bmclink_console {
    pub(super) fn new(console: Console) -> Self {
        let reader = bmclink_reader::new(&console, true);
        bmclink_console { console, reader, callback: Mutex::default() }
    }

    /// The console and its own reader, for an event queue.
    pub(super) fn source(&self) -> Source<'_> {
        Source::of_place(&self.console, &self.reader.place, true)
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

impl Object for bmclink_reader {
    const NOUN: &'static str = "reader";

    fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.console.wake_readers();
        self.console.leave_queues(&self.place);
    }
}

impl bmclink_reader {
    /// The reader, for an event queue.
    pub(super) fn source(&self) -> Source<'_> {
        Source::of_place(&self.console, &self.place, false)
    }

    fn fd(&self) -> Result<Number> {
        Ok(Number(self.console.fd_of(&self.place)?.as_raw_fd()))
    }

    fn new(console: &Console, replay: bool) -> Self {
        let reader = if replay { console.reader() } else { console.live_reader() };
        bmclink_reader {
            console: console.clone(),
            place: reader.place(),
            reader: Mutex::new(reader),
            lost: AtomicU64::new(0),
            retired: AtomicBool::new(false),
        }
    }

    /// Reads; threads that share the reader take turns.
    fn read(&self, out: &mut [u8], timeout: Duration) -> Result<usize> {
        let start = Instant::now();
        let Some(mut reader) = self.reader.try_lock_for(timeout) else {
            return Err(Error::new(ErrorKind::TimedOut));
        };
        let left = timeout.saturating_sub(start.elapsed());
        let result = reader.read_unless(&self.retired, out, left);
        self.lost.store(reader.lost(), Ordering::Relaxed);
        result
    }
}

/// Where a console is in its life.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions take and give int32_t.
pub enum bmclink_state {
    /// Not connected, and nobody tries.
    Unconnected = 0,
    /// Logging in or activating SOL.
    Connecting = 1,
    /// SOL is active.
    Connected = 2,
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

/// Sends an empty packet after so many milliseconds without input, 1000 or more. Default 0: never.
/// For BMCs that cut idle consoles; the session has keepalives of its own.
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

/// Frees console options. Consoles opened with them keep what they have. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_options_free(options: *mut bmclink_console_options) -> i32 {
    guard(|| handle::free(options))
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

/// A file descriptor that is readable exactly while bmclink_console_read would not block: there are
/// bytes, or there is a reason why there are none. For poll, epoll and event loops.
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
        out.set(count(&handle::object(console)?.console.stats(), counter)?);
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

/// Attaches a reader to a console. Each reader sees every byte; a slow one loses only its own
/// oldest bytes and never slows the console or another reader.
///
/// With `replay` other than 0 it first gets what is kept of the past, with 0 only what comes from
/// now on. To be freed with bmclink_reader_free, also when the console is freed first. Does not
/// block.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_reader_open(
    console: *mut bmclink_console,
    replay: i32,
    reader: *mut *mut bmclink_reader,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(reader, "reader") }?;
        let console = handle::object(console)?;
        out.set(handle::register(bmclink_reader::new(&console.console, replay != 0)));
        Ok(())
    })
}

/// Reads as bmclink_console_read does, from this reader's own place.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_reader_read(
    reader: *mut bmclink_reader,
    buffer: *mut c_void,
    capacity: usize,
    timeout_ms: i64,
) -> i64 {
    guard(|| {
        let reader = handle::object(reader)?;
        // SAFETY: the caller gives NULL or as much room as it says.
        let room = unsafe { handle::room(buffer, capacity, "buffer") }?;
        Ok(Count(reader.read(room, timeout(timeout_ms))? as u64))
    })
}

/// A file descriptor that is readable exactly while bmclink_reader_read would not block; see
/// bmclink_console_fd.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_reader_fd(reader: *mut bmclink_reader) -> i32 {
    guard(|| handle::object(reader)?.fd())
}

/// How many bytes were overwritten before this reader came to them, up to its last read. Does not
/// block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_reader_lost(reader: *mut bmclink_reader) -> i64 {
    guard(|| Ok(Count(handle::object(reader)?.lost.load(Ordering::Relaxed))))
}

/// Detaches the reader and frees the handle. NULL is fine. Does not block.
///
/// Reads that wait on it in other threads end with BMCLINK_ERR_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_reader_free(reader: *mut bmclink_reader) -> i32 {
    guard(|| handle::free(reader))
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
