//! What engines and BMCs count.

use std::ffi::{CStr, c_char};

use super::bmc::bmclink_bmc;
use super::engine::bmclink_engine;
use super::guard::guard;
use super::handle::{self, Object, Out};
use crate::engine::{BmcStats, ShardStats};
use crate::error::{Error, Result};

/// What was counted, at one moment.
pub struct bmclink_stats {
    values: Vec<(bmclink_stat, u64)>,
}

impl Object for bmclink_stats {
    const NOUN: &'static str = "stats";
}

/// What is counted. Numbers are never used again for something else; a later version may have
/// more. Those marked * are of one BMC too, all others only of an engine and its threads.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum bmclink_stat {
    /// BMCs opened and not freed.
    Bmcs = 1,
    /// Sessions that are up.
    Sessions = 2,
    /// Consoles that are connected.
    Consoles = 3,
    /// Logins under way that count for bmclink_engine_options_set_logins_at_once.
    LoginsRunning = 4,
    /// BMCs that wait for their login to begin.
    LoginsWaiting = 5,
    /// * Logins that succeeded.
    Logins = 6,
    /// * Logins that failed, by whatever cause.
    LoginsFailed = 7,
    /// * Sessions that were up and ended without being closed from here.
    SessionsLost = 8,
    /// * Datagrams received.
    DatagramsReceived = 9,
    /// Bytes in them.
    BytesReceived = 10,
    /// * Datagrams sent.
    DatagramsSent = 11,
    /// Bytes in them.
    BytesSent = 12,
    /// Datagrams the kernel did not take to send.
    SendFailed = 13,
    /// Datagrams from addresses that are no BMC's.
    Strangers = 14,
    /// * Datagrams thrown away because their BMC had sent more than its share.
    OverShare = 15,
    /// Datagrams the kernel had no room for in the receive buffers.
    KernelDropped = 16,
    /// * ICMP errors.
    IcmpErrors = 17,
    /// Sockets.
    Sockets = 18,
    /// The smallest receive buffer the kernel gave, in its own bytes.
    ReceiveBufferLen = 19,
    /// System calls on sockets.
    SocketCalls = 20,
    /// Calls that were taken from other threads.
    Calls = 21,
    /// Calls that wait to be taken.
    CallsWaiting = 22,
    /// Turns of the engine's loops.
    Turns = 23,
    /// Turns that began with datagrams left over from the one before.
    TurnsBehind = 24,
    /// Deadlines that came up.
    Deadlines = 25,
    /// Panics inside sessions, each of which ended its session.
    Panics = 26,
    /// * Datagrams thrown away, of a BMC: by whatever reason but its share.
    DatagramsDropped = 27,
    /// * Requests sent again.
    RequestRetransmits = 28,
    /// * SOL packets sent again.
    SolRetransmits = 29,
    /// * SOL packets received again.
    SolDuplicates = 30,
    /// * Requests that wait for a response.
    RequestsWaiting = 31,
    /// * The smoothed round trip, in microseconds; not there before the first answer.
    RoundTripUs = 32,
    /// * How long ago the last valid packet came, in milliseconds; not there without a session.
    LastHeardMs = 33,
}

use bmclink_stat as Stat;

/// Every number with its name, in their order.
const NAMES: [(Stat, &CStr); 33] = [
    (Stat::Bmcs, c"bmcs"),
    (Stat::Sessions, c"sessions"),
    (Stat::Consoles, c"consoles"),
    (Stat::LoginsRunning, c"logins_running"),
    (Stat::LoginsWaiting, c"logins_waiting"),
    (Stat::Logins, c"logins"),
    (Stat::LoginsFailed, c"logins_failed"),
    (Stat::SessionsLost, c"sessions_lost"),
    (Stat::DatagramsReceived, c"datagrams_received"),
    (Stat::BytesReceived, c"bytes_received"),
    (Stat::DatagramsSent, c"datagrams_sent"),
    (Stat::BytesSent, c"bytes_sent"),
    (Stat::SendFailed, c"send_failed"),
    (Stat::Strangers, c"strangers"),
    (Stat::OverShare, c"over_share"),
    (Stat::KernelDropped, c"kernel_dropped"),
    (Stat::IcmpErrors, c"icmp_errors"),
    (Stat::Sockets, c"sockets"),
    (Stat::ReceiveBufferLen, c"receive_buffer_len"),
    (Stat::SocketCalls, c"socket_calls"),
    (Stat::Calls, c"calls"),
    (Stat::CallsWaiting, c"calls_waiting"),
    (Stat::Turns, c"turns"),
    (Stat::TurnsBehind, c"turns_behind"),
    (Stat::Deadlines, c"deadlines"),
    (Stat::Panics, c"panics"),
    (Stat::DatagramsDropped, c"datagrams_dropped"),
    (Stat::RequestRetransmits, c"request_retransmits"),
    (Stat::SolRetransmits, c"sol_retransmits"),
    (Stat::SolDuplicates, c"sol_duplicates"),
    (Stat::RequestsWaiting, c"requests_waiting"),
    (Stat::RoundTripUs, c"round_trip_us"),
    (Stat::LastHeardMs, c"last_heard_ms"),
];

fn of_shards(stats: &ShardStats) -> Vec<(Stat, u64)> {
    vec![
        (Stat::Bmcs, stats.bmcs as u64),
        (Stat::Sessions, stats.sessions as u64),
        (Stat::Consoles, stats.consoles as u64),
        (Stat::LoginsRunning, stats.logins_running as u64),
        (Stat::LoginsWaiting, stats.logins_waiting as u64),
        (Stat::Logins, stats.logins),
        (Stat::LoginsFailed, stats.logins_failed),
        (Stat::SessionsLost, stats.sessions_lost),
        (Stat::DatagramsReceived, stats.datagrams_received),
        (Stat::BytesReceived, stats.bytes_received),
        (Stat::DatagramsSent, stats.datagrams_sent),
        (Stat::BytesSent, stats.bytes_sent),
        (Stat::SendFailed, stats.send_failed),
        (Stat::Strangers, stats.strangers),
        (Stat::OverShare, stats.over_share),
        (Stat::KernelDropped, stats.kernel_dropped),
        (Stat::IcmpErrors, stats.icmp_errors),
        (Stat::Sockets, stats.sockets as u64),
        (Stat::ReceiveBufferLen, stats.receive_buffer_len as u64),
        (Stat::SocketCalls, stats.socket_calls),
        (Stat::Calls, stats.calls),
        (Stat::CallsWaiting, stats.calls_waiting as u64),
        (Stat::Turns, stats.turns),
        (Stat::TurnsBehind, stats.turns_behind),
        (Stat::Deadlines, stats.deadlines),
        (Stat::Panics, stats.panics),
    ]
}

fn of_bmc(stats: &BmcStats) -> Vec<(Stat, u64)> {
    let counters = &stats.counters;
    let dropped = counters.dropped.iter().map(|count| u64::from(*count)).sum();
    let mut values = vec![
        (Stat::Logins, stats.logins),
        (Stat::LoginsFailed, stats.logins_failed),
        (Stat::SessionsLost, stats.sessions_lost),
        (Stat::DatagramsReceived, counters.received),
        (Stat::DatagramsSent, counters.sent),
        (Stat::OverShare, stats.over_share),
        (Stat::IcmpErrors, stats.icmp_errors),
        (Stat::DatagramsDropped, dropped),
        (Stat::RequestRetransmits, counters.request_retransmits.into()),
        (Stat::SolRetransmits, counters.sol_retransmits.into()),
        (Stat::SolDuplicates, counters.sol_duplicates.into()),
        (Stat::RequestsWaiting, stats.requests as u64),
    ];
    if let Some(time) = stats.round_trip {
        values.push((Stat::RoundTripUs, u64::try_from(time.as_micros()).unwrap_or(u64::MAX)));
    }
    if let Some(time) = stats.last_heard {
        values.push((Stat::LastHeardMs, u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
    }
    values
}

/// Takes a snapshot of what an engine counted since it was made. To be freed with
/// bmclink_stats_free.
///
/// `shard` is the number of one of its threads, from 0, or -1 for all of them together. Blocks for
/// one turn of each thread's loop; fails with BMCLINK_ERR_TIMED_OUT when one takes two seconds,
/// with BMCLINK_ERR_MISUSE for a thread it does not have.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_engine_stats(
    engine: *mut bmclink_engine,
    shard: i32,
    stats: *mut *mut bmclink_stats,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(stats, "stats") }?;
        let all = handle::object(engine)?.with(crate::engine::Engine::stats)?;
        let values =
            match usize::try_from(shard) {
                Ok(number) => of_shards(all.shards.get(number).ok_or_else(|| {
                    Error::misuse(format!("shard {number} of {}", all.shards.len()))
                })?),
                Err(_) => of_shards(&all.total()),
            };
        out.set(handle::register(bmclink_stats { values }));
        Ok(())
    })
}

/// Takes a snapshot of what was counted of a BMC since it was opened, over all its sessions. To be
/// freed with bmclink_stats_free. Blocks for one turn of an engine's loop; fails with
/// BMCLINK_ERR_TIMED_OUT when that takes two seconds.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_bmc_stats(
    bmc: *mut bmclink_bmc,
    stats: *mut *mut bmclink_stats,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(stats, "stats") }?;
        let values = of_bmc(&handle::object(bmc)?.bmc.stats()?);
        out.set(handle::register(bmclink_stats { values }));
        Ok(())
    })
}

/// Gives one of the numbers, BMCLINK_STAT_*, in `value`. Does not block. Fails with
/// BMCLINK_ERR_MISUSE when the snapshot does not have it, and writes nothing then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_stats_value(
    stats: *mut bmclink_stats,
    stat: i32,
    value: *mut u64,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a number.
        let out = unsafe { Out::new(value, "value") }?;
        let stats = handle::object(stats)?;
        let found = stats.values.iter().find(|(have, _)| *have as i32 == stat);
        let (_, value) = found.ok_or_else(|| {
            let name = NAMES.iter().find(|(known, _)| *known as i32 == stat);
            let name = name.map_or("number", |(_, name)| name.to_str().unwrap_or_default());
            Error::misuse(format!("there is no {name} ({stat}) in this snapshot"))
        })?;
        out.set(*value);
        Ok(())
    })
}

/// The name of one of BMCLINK_STAT_*, like "logins_failed": static, NULL for a number that is none.
/// Counting up from 1 until NULL gives them all.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_stat_name(stat: i32) -> *const c_char {
    guard(|| name_of(stat))
}

fn name_of(stat: i32) -> Result<*const c_char> {
    let name = NAMES.iter().find(|(known, _)| *known as i32 == stat);
    Ok(name.map_or(std::ptr::null(), |(_, name)| name.as_ptr()))
}

/// Frees a snapshot. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_stats_free(stats: *mut bmclink_stats) -> i32 {
    guard(|| handle::free(stats))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_name_and_none_has_two() {
        for (at, (stat, name)) in NAMES.iter().enumerate() {
            assert_eq!(*stat as usize, at + 1, "{name:?}");
            let named: String = format!("{stat:?}").to_lowercase();
            let plain = name.to_str().expect("ASCII").replace('_', "");
            assert_eq!(plain, named);
        }
        let mut given = of_shards(&ShardStats::default());
        given.extend(of_bmc(&BmcStats {
            round_trip: Some(std::time::Duration::ZERO),
            last_heard: Some(std::time::Duration::ZERO),
            ..BmcStats::default()
        }));
        for (stat, name) in NAMES {
            assert!(given.iter().any(|(other, _)| *other == stat), "nobody gives {name:?}");
        }
    }
}
