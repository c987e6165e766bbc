//! Fleets: one command to many BMCs.

use std::os::fd::AsRawFd;

use parking_lot::Mutex;

use super::bmc::bmclink_bmc;
use super::command::{bmclink_command, register};
use super::guard::{Count, Number, guard, timeout};
use super::handle::{self, Object, Out};
use super::queue::bmclink_event_queue;
use super::result::bmclink_result;
use super::table::Table;
use crate::bmc::Bmc;
use crate::error::Result;
use crate::fleet::{Fleet, FleetRun};

/// Many BMCs that are asked the same.
pub struct bmclink_fleet {
    settings: Mutex<Settings>,
}

struct Settings {
    bmcs: Vec<Bmc>,
    /// Its BMCs are in `bmcs`.
    limits: Fleet,
}

/// What comes of a fleet being asked something.
pub struct bmclink_run {
    run: FleetRun<Table>,
}

impl Object for bmclink_fleet {
    const NOUN: &'static str = "fleet";
}

impl Object for bmclink_run {
    const NOUN: &'static str = "run";

    fn retire(&self) {
        self.run.cancel();
    }
}

/// Makes a fleet without BMCs. To be freed with bmclink_fleet_free. Does not block.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_fleet_new(fleet: *mut *mut bmclink_fleet) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(fleet, "fleet") }?;
        let settings = Mutex::new(Settings { bmcs: Vec::new(), limits: Fleet::new([]) });
        out.set(handle::register(bmclink_fleet { settings }));
        Ok(())
    })
}

/// Adds a BMC, and gives its index: 0 for the first, then counting up. The fleet keeps the BMC,
/// also when its handle is freed.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_fleet_add(fleet: *mut bmclink_fleet, bmc: *mut bmclink_bmc) -> i64 {
    guard(|| {
        let (fleet, bmc) = (handle::object(fleet)?, handle::object(bmc)?);
        let mut settings = fleet.settings.lock();
        settings.bmcs.push(bmc.bmc.clone());
        Ok(Count(settings.bmcs.len() as u64 - 1))
    })
}

/// Sets how many BMCs are asked at once, 1 or more. Default 1,024. A BMC whose turn has not come
/// has no time running.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_fleet_set_at_once(fleet: *mut bmclink_fleet, bmcs: u32) -> i32 {
    guard(|| limit(fleet, |fleet| fleet.at_once(bmcs as usize)))
}

/// Sets how long each BMC has, from when its turn comes. Default 30 s; negative: for ever.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_fleet_set_timeout_ms(fleet: *mut bmclink_fleet, ms: i64) -> i32 {
    guard(|| limit(fleet, |fleet| fleet.timeout(timeout(ms))))
}

/// Sets how long all have together. Default, and when negative: for ever.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_fleet_set_deadline_ms(fleet: *mut bmclink_fleet, ms: i64) -> i32 {
    guard(|| limit(fleet, |fleet| fleet.deadline(timeout(ms))))
}

/// Frees a fleet. Its runs go on. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_fleet_free(fleet: *mut bmclink_fleet) -> i32 {
    guard(|| handle::free(fleet))
}

/// Begins to ask every BMC of the fleet, as bmclink_bmc_run would. What comes of it is given by
/// bmclink_run_next. To be freed with bmclink_run_free. Does not block.
///
/// A dead or slow BMC delays no other; an error of one is its row. Changes of the fleet and of
/// the command are for later runs. Fails with BMCLINK_ERR_MISUSE when none is to be asked at once,
/// with BMCLINK_ERR_IO when there is no thread to be had: a run has one.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_fleet_run(
    fleet: *mut bmclink_fleet,
    command: *mut bmclink_command,
    run: *mut *mut bmclink_run,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(run, "run") }?;
        let (fleet, command) = (handle::object(fleet)?, handle::object(command)?);
        let fleet = {
            let settings = fleet.settings.lock();
            settings.limits.with_bmcs(settings.bmcs.iter().cloned())
        };
        let run = fleet.run(command.performer())?;
        out.set(handle::register(bmclink_run { run }));
        Ok(())
    })
}

/// Gives what came of the next BMC that is done, and blocks until `timeout_ms` for it: 1 and
/// the three outputs, or 0 when every BMC has had its row.
///
/// `index` gets which one it is, as bmclink_fleet_add numbered it. `code` gets 0, or an error
/// code; then this thread's last error is that BMC's. `result` gets what it gave, to be freed with
/// bmclink_result_free, or NULL when there was an error; it may be NULL.
///
/// Fails with BMCLINK_ERR_TIMED_OUT, and writes nothing then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_run_next(
    run: *mut bmclink_run,
    timeout_ms: i64,
    index: *mut u64,
    code: *mut i32,
    result: *mut *mut bmclink_result,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a number.
        let index_out = unsafe { Out::new(index, "index") }?;
        // SAFETY: the caller gives NULL or a place for a number.
        let code_out = unsafe { Out::new(code, "code") }?;
        let result_out = match result.is_null() {
            true => None,
            // SAFETY: the caller gives a place for a handle.
            false => Some(unsafe { Out::new(result, "result") }?),
        };
        let run = handle::object(run)?;
        let Some(row) = run.run.next_within(timeout(timeout_ms))? else { return Ok(Number(0)) };
        let (code, table) = match row.result {
            Ok(table) => (0, result_out.is_some().then(|| register(table))),
            Err(error) => (super::guard::remember(error), None),
        };
        index_out.set(row.index as u64);
        code_out.set(code);
        if let Some(out) = result_out {
            out.set(table.unwrap_or(std::ptr::null_mut()));
        }
        Ok(Number(1))
    })
}

/// How many BMCs have not given their row yet, 0 or more. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_run_left(run: *mut bmclink_run) -> i64 {
    guard(|| Ok(Count(handle::object(run)?.run.left() as u64)))
}

/// Ends what is not done: the rows of these BMCs have BMCLINK_ERR_CANCELLED and come at once. Does
/// not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_run_cancel(run: *mut bmclink_run) -> i32 {
    guard(|| {
        handle::object(run)?.run.cancel();
        Ok(())
    })
}

/// A file descriptor that is readable while bmclink_run_next would give a row, or 0, at once. For
/// poll, epoll and event loops.
///
/// It is the run's until that is freed; it is not to be closed, read from or written to.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_run_fd(run: *mut bmclink_run) -> i32 {
    guard(|| Ok(Number(handle::object(run)?.run.fd()?.as_raw_fd())))
}

/// Adds a run to an event queue, to be reported with `key` and BMCLINK_READY_READABLE when there is
/// a new row, and when there are no more. A run that is freed leaves the queue by itself. Fails
/// with BMCLINK_ERR_MISUSE when it is in this queue already. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_event_queue_add_run(
    queue: *mut bmclink_event_queue,
    run: *mut bmclink_run,
    key: u64,
) -> i32 {
    guard(|| handle::object(queue)?.queue.add_run(&handle::object(run)?.run, key))
}

/// Takes a run out. Fails with BMCLINK_ERR_MISUSE when it is not in this queue. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_event_queue_remove_run(
    queue: *mut bmclink_event_queue,
    run: *mut bmclink_run,
) -> i32 {
    guard(|| handle::object(queue)?.queue.remove_run(&handle::object(run)?.run))
}

/// Frees a run: what is not done is cancelled, and waits in other threads end. NULL is fine. Blocks
/// for a moment at most, until its thread has ended.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_run_free(run: *mut bmclink_run) -> i32 {
    guard(|| handle::free(run))
}

fn limit(fleet: *mut bmclink_fleet, change: impl FnOnce(Fleet) -> Fleet) -> Result<()> {
    let fleet = handle::object(fleet)?;
    let mut settings = fleet.settings.lock();
    settings.limits = change(settings.limits.clone());
    Ok(())
}
