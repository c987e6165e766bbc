//! Event queues.

use std::os::fd::AsRawFd;

use super::console::bmclink_console;
use super::guard::{Count, Number, guard, timeout};
use super::handle::{self, Object, Out};
use super::reader::bmclink_reader;
use crate::bmc::EventQueue;
use crate::engine::Ready;
use crate::error::{Error, Result};

/// Says which of many consoles have something, with one file descriptor for all of them.
pub struct bmclink_event_queue {
    pub(super) queue: EventQueue,
}

impl Object for bmclink_event_queue {
    const NOUN: &'static str = "event queue";

    fn retire(&self) {
        self.queue.close();
    }
}

/// What a console or reader has, as bmclink_event_queue_wait reports it: a sum of these.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions give int32_t.
pub enum bmclink_ready {
    /// A read gets something: bytes, or the error that says why no more come. Reported when there
    /// is something new, and again when a read has left something.
    Readable = 1,
    /// The console's state changed: see bmclink_console_state.
    State = 2,
    /// The console takes input again, after a write timed out or was taken only in part.
    Writable = 4,
}

/// Makes an empty event queue. To be freed with bmclink_event_queue_free. Does not block.
///
/// Fails with BMCLINK_ERR_IO when the system gives no file descriptor.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_event_queue_new(queue: *mut *mut bmclink_event_queue) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(queue, "queue") }?;
        out.set(handle::register(bmclink_event_queue { queue: EventQueue::new()? }));
        Ok(())
    })
}

/// Adds a console of any engine. Reports of it carry `key`, a number of the caller's choice, and
/// any of BMCLINK_READY_*; BMCLINK_READY_READABLE is about bmclink_console_read. A console that has
/// something to read is reported at once. Does not block.
///
/// A console that is freed leaves the queue by itself. Fails with BMCLINK_ERR_MISUSE when it is in
/// this queue already.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_event_queue_add_console(
    queue: *mut bmclink_event_queue,
    console: *mut bmclink_console,
    key: u64,
) -> i32 {
    guard(|| handle::object(queue)?.queue.add(handle::object(console)?.source(), key))
}

/// Adds a reader of any console, to be reported with `key` and BMCLINK_READY_READABLE; see
/// bmclink_event_queue_add_console.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_event_queue_add_reader(
    queue: *mut bmclink_event_queue,
    reader: *mut bmclink_reader,
    key: u64,
) -> i32 {
    guard(|| handle::object(queue)?.queue.add(handle::object(reader)?.source(), key))
}

/// Takes a console out. Waits that begin later do not report it. Fails with BMCLINK_ERR_MISUSE when
/// it is not in this queue. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_event_queue_remove_console(
    queue: *mut bmclink_event_queue,
    console: *mut bmclink_console,
) -> i32 {
    guard(|| handle::object(queue)?.queue.remove(handle::object(console)?.source()))
}

/// Takes a reader out, as bmclink_event_queue_remove_console does.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_event_queue_remove_reader(
    queue: *mut bmclink_event_queue,
    reader: *mut bmclink_reader,
) -> i32 {
    guard(|| handle::object(queue)?.queue.remove(handle::object(reader)?.source()))
}

/// Writes what has something to `keys` and `events`, which have room for `capacity` entries each,
/// and gives how many these are: at least one. Blocks until `timeout_ms` for it, then
/// BMCLINK_ERR_TIMED_OUT; 0 only looks.
///
/// The cost depends on how many are reported, not on how many were added. Each report is made
/// once: of several threads that wait, each goes to one. A loop that reads once per report gets
/// everything, with a buffer of any size. An entry may have been read, or freed, by another thread
/// meanwhile: read with a timeout of 0.
///
/// Fails with BMCLINK_ERR_CLOSED when the queue is freed meanwhile.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_event_queue_wait(
    queue: *mut bmclink_event_queue,
    keys: *mut u64,
    events: *mut i32,
    capacity: usize,
    timeout_ms: i64,
) -> i64 {
    guard(|| {
        let queue = handle::object(queue)?;
        // SAFETY: the caller gives NULL or as much room as it says.
        let keys = unsafe { handle::array(keys, capacity, "keys") }?;
        // SAFETY: the caller gives NULL or as much room as it says.
        let events = unsafe { handle::array(events, capacity, "events") }?;
        wait(&queue.queue, keys, events, timeout_ms)
    })
}

fn wait(queue: &EventQueue, keys: &mut [u64], events: &mut [i32], ms: i64) -> Result<Count> {
    if keys.is_empty() {
        return Err(Error::misuse("the capacity is 0"));
    }
    let mut ready = [Ready::default(); BATCH];
    let mut count = 0;
    for (keys, events) in keys.chunks_mut(BATCH).zip(events.chunks_mut(BATCH)) {
        // Only the first one waits.
        let patience = timeout(if count == 0 { ms } else { 0 });
        let found = match queue.wait(&mut ready[..keys.len()], patience) {
            Ok(found) => found,
            Err(_) if count > 0 => break,
            Err(error) => return Err(error),
        };
        for ((key, event), ready) in keys.iter_mut().zip(events).zip(&ready[..found]) {
            (*key, *event) = (ready.key, ready.events.bits().into());
        }
        count += found;
        if found < keys.len() {
            break;
        }
    }
    Ok(Count(count as u64))
}

/// Reports taken at a time, on the stack.
const BATCH: usize = 64;

/// The queue's file descriptor: readable while bmclink_event_queue_wait would give something at
/// once. For poll, epoll and event loops.
///
/// It may stay readable for a moment after a wait took the last report: a wait of 0 gives
/// BMCLINK_ERR_TIMED_OUT then, and nothing is to be done.
///
/// It is the queue's until the queue is freed; it is not to be closed, read from or written to.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_event_queue_fd(queue: *mut bmclink_event_queue) -> i32 {
    guard(|| Ok(Number(handle::object(queue)?.queue.as_raw_fd())))
}

/// Frees the queue. What was added stays as it is. NULL is fine. Does not block.
///
/// Waits in other threads end with BMCLINK_ERR_CLOSED, and the file descriptor is closed.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_event_queue_free(queue: *mut bmclink_event_queue) -> i32 {
    guard(|| handle::free(queue))
}
