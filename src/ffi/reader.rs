//! Readers of consoles.

use std::ffi::c_void;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::console::bmclink_console;
use super::event::{Told, bmclink_event};
use super::guard::{Count, Number, guard, timeout};
use super::handle::{self, Object, Out};
use crate::bmc::{Console, Reader, Source};
use crate::engine::Place;
use crate::error::{Error, ErrorKind, Result};

/// One attached reader of a console: its own place in what the console printed.
pub struct bmclink_reader {
    console: Console,
    /// Held while one thread reads.
    reader: Mutex<Reader>,
    /// The reader's, to be had while it is held.
    place: Arc<Place>,
    /// What the reader has lost, to be asked while it is held.
    lost: AtomicU64,
    /// What bmclink_reader_next gave last.
    last: Mutex<Last>,
    retired: AtomicBool,
}

/// More about an event than its call has room for.
#[derive(Default)]
struct Last {
    epoch: u64,
    at: Option<Instant>,
    reason: Option<Error>,
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

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn fd(&self) -> Result<Number> {
        Ok(Number(self.console.fd_of(&self.place)?.as_raw_fd()))
    }

    fn new(console: &Console, replay: bool) -> Self {
        Self::of(if replay { console.reader() } else { console.live_reader() })
    }

    /// What a console's own functions read with: it counts as attached from its first read on.
    pub(super) fn of_console(console: &Console) -> Self {
        Self::of(console.own_reader())
    }

    fn of(reader: Reader) -> Self {
        bmclink_reader {
            console: reader.console().clone(),
            place: reader.place(),
            reader: Mutex::new(reader),
            lost: AtomicU64::new(0),
            last: Mutex::default(),
            retired: AtomicBool::new(false),
        }
    }

    /// Has the reader read; threads that share it take turns.
    fn with<T>(
        &self,
        timeout: Duration,
        read: impl FnOnce(&mut Reader, Duration) -> Result<T>,
    ) -> Result<T> {
        let start = Instant::now();
        let Some(mut reader) = self.reader.try_lock_for(timeout) else {
            return Err(Error::new(ErrorKind::TimedOut));
        };
        let left = timeout.saturating_sub(start.elapsed());
        let result = read(&mut reader, left);
        self.lost.store(reader.lost(), Ordering::Relaxed);
        result
    }

    pub(super) fn read(&self, out: &mut [u8], timeout: Duration) -> Result<usize> {
        self.with(timeout, |reader, left| reader.read_unless(&self.retired, out, left))
    }

    /// What is next: how many bytes, which event, and its number.
    fn next(&self, out: &mut [u8], timeout: Duration) -> Result<(usize, bmclink_event, u64)> {
        self.with(timeout, |reader, left| {
            let event = reader.next_unless(&self.retired, out, left)?;
            let told = Told::of(&event);
            let reason = told.reason.cloned();
            *self.last.lock() = Last { epoch: event.epoch, at: Some(event.at), reason };
            Ok((told.bytes.len(), told.event, told.number))
        })
    }
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
        out.set(handle::register(bmclink_reader::new(console.handle(), replay != 0)));
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

/// Gives what is next for this reader, in order: bytes up to where something happened, or what
/// happened there. Blocks until `timeout_ms` for something, then BMCLINK_ERR_TIMED_OUT.
///
/// `event` is one of BMCLINK_EVENT_*; more may be added: do nothing for one that you do not know.
/// For BMCLINK_EVENT_DATA the bytes are copied to the start of `buffer`, at most `capacity`, and
/// their count is the result, at least 1; for any other the result is 0. `number` is what the event
/// says of it, else 0. bmclink_reader_event_epoch and its companions say more, until the next call.
///
/// A loss is an event here and no failure: this waits for the next connection. Only behind the last
/// event of a console that was closed it fails with BMCLINK_ERR_CLOSED. `capacity` is 1 or more.
/// Of events the last 64 are kept for those who are behind.
///
/// bmclink_reader_read goes over events, and the two can be mixed. What bmclink_reader_fd and event
/// queues take for readable is what the last one of the two would give at once; before the first
/// call that is bytes, so call this before you wait.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_reader_next(
    reader: *mut bmclink_reader,
    buffer: *mut c_void,
    capacity: usize,
    timeout_ms: i64,
    event: *mut i32,
    number: *mut u64,
) -> i64 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a number.
        let event_out = unsafe { Out::new(event, "event") }?;
        // SAFETY: the caller gives NULL or a place for a number.
        let number_out = unsafe { Out::new(number, "number") }?;
        let reader = handle::object(reader)?;
        // SAFETY: the caller gives NULL or as much room as it says.
        let room = unsafe { handle::room(buffer, capacity, "buffer") }?;
        let (len, event, number) = reader.next(room, timeout(timeout_ms))?;
        event_out.set(event as i32);
        number_out.set(number);
        Ok(Count(len as u64))
    })
}

/// How often the console was connected when what bmclink_reader_next gave last happened: which
/// connection it belongs to. 0 before the first. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_reader_event_epoch(reader: *mut bmclink_reader) -> i64 {
    guard(|| Ok(Count(handle::object(reader)?.last.lock().epoch)))
}

/// How long ago, in milliseconds, what bmclink_reader_next gave last happened; of bytes, how long
/// ago the first one was received. Fails with BMCLINK_ERR_MISUSE before there was any. Does not
/// block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_reader_event_age_ms(reader: *mut bmclink_reader) -> i64 {
    guard(|| {
        let at = handle::object(reader)?.last.lock().at;
        let at = at.ok_or_else(|| Error::misuse("the reader was not given anything yet"))?;
        Ok(Count(at.elapsed().as_millis() as u64))
    })
}

/// The reason of the BMCLINK_EVENT_DISCONNECTED that bmclink_reader_next gave last, as an error
/// code and as this thread's last error; 0 when what it gave last was anything else. Does not
/// block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_reader_event_reason(reader: *mut bmclink_reader) -> i32 {
    guard(|| {
        let reason = handle::object(reader)?.last.lock().reason.clone();
        reason.map_or(Ok(()), Err)
    })
}

/// A file descriptor that is readable while bmclink_reader_read would not block; see
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
