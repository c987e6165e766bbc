//! What an engine, a shard and a BMC count. Asked for, never published: counting costs nothing
//! but an addition.

use std::time::Duration;

use crate::session::Counters;

/// What an engine counted since it was made, by shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineStats {
    /// One entry for each shard.
    pub shards: Vec<ShardStats>,
}

impl EngineStats {
    /// All shards together. Of [`ShardStats::receive_buffer_len`], the smallest.
    pub fn total(&self) -> ShardStats {
        let mut total = ShardStats::default();
        for shard in &self.shards {
            total.add(shard);
        }
        total
    }
}

/// What one shard counted since the engine was made, and how it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardStats {
    /// BMCs it has.
    pub bmcs: usize,
    /// Sessions that are up.
    pub sessions: usize,
    /// Consoles that are connected.
    pub consoles: usize,
    /// Logins under way that count for
    /// [`logins_at_once`](crate::EngineConfig::logins_at_once).
    pub logins_running: usize,
    /// BMCs that wait for their login to begin.
    pub logins_waiting: usize,
    /// Logins that succeeded.
    pub logins: u64,
    /// Logins that failed, by whatever cause.
    pub logins_failed: u64,
    /// Sessions that were up and ended without being closed from here.
    pub sessions_lost: u64,
    /// Datagrams received, whoever they came from.
    pub datagrams_received: u64,
    /// Bytes in them, UDP payload.
    pub bytes_received: u64,
    /// Datagrams given to the kernel to send.
    pub datagrams_sent: u64,
    /// Bytes in them, UDP payload.
    pub bytes_sent: u64,
    /// Datagrams the kernel did not take to send.
    pub send_failed: u64,
    /// Datagrams from addresses that are no BMC's.
    pub strangers: u64,
    /// Datagrams thrown away because their BMC had sent more than its share of one turn.
    pub over_share: u64,
    /// Datagrams the kernel had no room for in the receive buffers.
    pub kernel_dropped: u64,
    /// ICMP errors about BMCs.
    pub icmp_errors: u64,
    /// Sockets.
    pub sockets: usize,
    /// The smallest receive buffer the kernel gave, in its own bytes: datagrams and overhead.
    pub receive_buffer_len: usize,
    /// System calls on sockets.
    pub socket_calls: u64,
    /// Calls that were taken from other threads.
    pub calls: u64,
    /// Calls that wait to be taken.
    pub calls_waiting: usize,
    /// Turns of the loop.
    pub turns: u64,
    /// Turns that began with datagrams left over from the one before: the shard was behind.
    pub turns_behind: u64,
    /// Deadlines that came up.
    pub deadlines: u64,
    /// Panics inside sessions, each of which ended its session.
    pub panics: u64,
}

impl ShardStats {
    fn add(&mut self, other: &ShardStats) {
        self.bmcs += other.bmcs;
        self.sessions += other.sessions;
        self.consoles += other.consoles;
        self.logins_running += other.logins_running;
        self.logins_waiting += other.logins_waiting;
        self.logins += other.logins;
        self.logins_failed += other.logins_failed;
        self.sessions_lost += other.sessions_lost;
        self.datagrams_received += other.datagrams_received;
        self.bytes_received += other.bytes_received;
        self.datagrams_sent += other.datagrams_sent;
        self.bytes_sent += other.bytes_sent;
        self.send_failed += other.send_failed;
        self.strangers += other.strangers;
        self.over_share += other.over_share;
        self.kernel_dropped += other.kernel_dropped;
        self.icmp_errors += other.icmp_errors;
        self.sockets += other.sockets;
        self.receive_buffer_len = match (self.receive_buffer_len, other.receive_buffer_len) {
            (0, len) | (len, 0) => len,
            (a, b) => a.min(b),
        };
        self.socket_calls += other.socket_calls;
        self.calls += other.calls;
        self.calls_waiting += other.calls_waiting;
        self.turns += other.turns;
        self.turns_behind += other.turns_behind;
        self.deadlines += other.deadlines;
        self.panics += other.panics;
    }
}

/// What was counted of one BMC since its handle was made, over all its sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BmcStats {
    /// Packets, by what became of them.
    pub counters: Counters,
    /// Datagrams thrown away unread because it had sent more than its share.
    pub over_share: u64,
    /// ICMP errors about its address.
    pub icmp_errors: u64,
    /// Logins that succeeded.
    pub logins: u64,
    /// Logins that failed.
    pub logins_failed: u64,
    /// Sessions that were up and ended without being closed from here.
    pub sessions_lost: u64,
    /// Calls that wait for a response.
    pub requests: usize,
    /// Round trip of its answers, smoothed; `None` before the first.
    pub round_trip: Option<Duration>,
    /// How long ago its last valid packet came; `None` without a session.
    pub last_heard: Option<Duration>,
}
