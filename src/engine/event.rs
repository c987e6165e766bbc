//! What happened at a console, as its readers, callbacks and log files are told.

use std::sync::Arc;
use std::time::Instant;

use crate::error::Error;

/// Something that happened at a console, when, and in which connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsoleEvent<'a> {
    /// When it happened: of data, when the first byte was received. Bytes that come within 5 ms
    /// have one time, and of those that are long in the ring the times are told apart less finely.
    pub at: Instant,
    /// How often the console was connected by then: which connection it belongs to.
    pub epoch: u64,
    /// What happened.
    pub kind: EventKind<'a>,
}

/// What happened at a console. More kinds may be added.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind<'a> {
    /// It printed this. Never empty, and all of one connection.
    Data(&'a [u8]),
    /// It is being connected.
    Connecting,
    /// It is connected.
    Connected,
    /// It is not connected any more, or the attempt to connect it has failed. It is followed by
    /// `Connecting` when that is tried again.
    #[non_exhaustive]
    Disconnected {
        /// Why.
        reason: Arc<Error>,
        /// When it is tried again; `None` when that is not planned.
        next_try: Option<Instant>,
    },
    /// Bytes may be missing here: the BMC skipped some, or the console was not connected for a
    /// while. How many, where that is known.
    Gap(Option<u64>),
    /// The managed system sent a break.
    Break,
    /// The BMC says it had to drop characters of the managed system.
    Overrun,
    /// Another session took SOL away. `Disconnected` follows.
    Stolen,
    /// The BMC says that the serial port is unavailable: powered off, or in reset.
    PoweredOff,
    /// The BMC says that the serial port is available again.
    PoweredOn,
    /// SOL was activated again within its session, because the BMC had gone mute or skipped much.
    Reactivated,
    /// So many bytes of input at most were lost with a connection, or their fate is unknown.
    InputLost(u64),
    /// This reader or callback came too late for so many bytes, or so many events: they were
    /// overwritten. The bytes stood here.
    #[non_exhaustive]
    Lost {
        /// Bytes.
        bytes: u64,
        /// Events other than data.
        events: u64,
    },
}

/// An event of a console as its log keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub at: Instant,
    pub epoch: u64,
    pub kind: EventKind<'static>,
}

impl From<Mark> for ConsoleEvent<'_> {
    fn from(mark: Mark) -> Self {
        ConsoleEvent { at: mark.at, epoch: mark.epoch, kind: mark.kind }
    }
}
