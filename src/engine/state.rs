//! What is said of a console to whoever asks.

use std::time::Duration;

use crate::error::Error;

/// Where a console is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleState {
    /// Not connected, and not being connected; maybe another try is planned: see
    /// [`Why::next_try`].
    Unconnected,
    /// Logging in or activating SOL.
    Connecting,
    /// SOL is active.
    Connected,
}

impl std::fmt::Display for ConsoleState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ConsoleState::Unconnected => "unconnected",
            ConsoleState::Connecting => "connecting",
            ConsoleState::Connected => "connected",
        })
    }
}

/// How a console stands, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Why {
    /// Where it is in its life.
    pub state: ConsoleState,
    /// How often it was connected so far.
    pub epoch: u64,
    /// For how long it has been in that state.
    pub since: Duration,
    /// Why it is not connected, after it was or was tried to be: with stage and codes.
    pub reason: Option<Error>,
    /// In how long it is tried again; `None` when that is not planned.
    pub next_try: Option<Duration>,
}

/// What a console counted and last heard, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsoleStats {
    /// How often the console was connected. Each connection is an epoch of its own.
    pub epoch: u64,
    /// Bytes received from the BMC, over all epochs.
    pub received: u64,
    /// Bytes taken from writers.
    pub written: u64,
    /// Bytes of input that are not acknowledged by the BMC.
    pub pending: u64,
    /// Bytes of input that were lost with a connection, or whose fate is unknown.
    pub input_lost: u64,
    /// Places where the BMC skipped packets: an unknown number of bytes is missing there.
    pub gaps: u64,
    /// Times the BMC said that it had to drop characters of the host.
    pub overruns: u64,
    /// Breaks the host sent.
    pub breaks: u64,
    /// Times SOL was activated again within a session, because the BMC had gone mute.
    pub reactivations: u64,
    /// Whether the BMC says that the host's serial port is unavailable: powered off, in reset.
    pub unavailable: bool,
    /// Characters per packet that the BMC takes.
    pub characters_max: usize,
    /// A port the BMC named for SOL that is not the session's. The session's is used.
    pub other_port: Option<u16>,
    /// How long ago the last byte came; `None` before the first.
    pub last_data: Option<Duration>,
}
