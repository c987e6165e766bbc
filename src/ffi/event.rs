//! What happens at consoles, in numbers.

use super::console::state_number;
use crate::ConsoleState;
use crate::engine::{ConsoleEvent, EventKind};
use crate::error::Error;

/// What happened at a console. More may be added.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions and callbacks give int32_t.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum bmclink_event {
    /// It printed bytes, all in one connection.
    Data = 1,
    /// It is being connected.
    Connecting = 2,
    /// It is connected; the number is how often it was so by then.
    Connected = 3,
    /// It is not connected any more, or the attempt to connect it has failed, for a reason. It is
    /// followed by BMCLINK_EVENT_CONNECTING when that is tried again.
    Disconnected = 4,
    /// Bytes may be missing here: the BMC skipped some, or the console was not connected for a
    /// while. The number says how many; 0 when that is not known.
    Gap = 5,
    /// The managed system sent a break.
    Break = 6,
    /// The BMC says it had to drop characters of the managed system.
    Overrun = 7,
    /// Another session took SOL away. BMCLINK_EVENT_DISCONNECTED follows.
    Stolen = 8,
    /// The BMC says that the serial port is unavailable: powered off, or in reset.
    PoweredOff = 9,
    /// The BMC says that the serial port is available again.
    PoweredOn = 10,
    /// SOL was activated again within its session, because the BMC had gone mute or skipped much.
    Reactivated = 11,
    /// Bytes of input, the number of them at most, were lost with a connection, or their fate is
    /// unknown.
    InputLost = 12,
    /// The number of bytes were overwritten before this reader or callback came to them; they
    /// stood here.
    Lost = 13,
    /// The number of events were overwritten before this reader or callback came to them.
    Missed = 14,
}

/// An event as C is told of it; what does not apply is 0 or empty.
pub(super) struct Told<'a> {
    pub event: bmclink_event,
    pub state: i32,
    pub reason: Option<&'a Error>,
    pub number: u64,
    pub bytes: &'a [u8],
}

impl<'a> Told<'a> {
    pub fn of(event: &'a ConsoleEvent<'a>) -> Self {
        use bmclink_event as E;
        let plain = |event, number| Told { event, state: 0, reason: None, number, bytes: &[] };
        let state =
            |event, state, number| Told { state: state_number(state), ..plain(event, number) };
        match &event.kind {
            EventKind::Data(bytes) => Told { bytes, ..plain(E::Data, 0) },
            EventKind::Connecting => state(E::Connecting, ConsoleState::Connecting, 0),
            EventKind::Connected => state(E::Connected, ConsoleState::Connected, event.epoch),
            EventKind::Disconnected { reason, .. } => {
                let told = state(E::Disconnected, ConsoleState::Unconnected, 0);
                Told { reason: Some(reason), ..told }
            }
            EventKind::Gap(bytes) => plain(E::Gap, bytes.unwrap_or(0)),
            EventKind::Break => plain(E::Break, 0),
            EventKind::Overrun => plain(E::Overrun, 0),
            EventKind::Stolen => plain(E::Stolen, 0),
            EventKind::PoweredOff => plain(E::PoweredOff, 0),
            EventKind::PoweredOn => plain(E::PoweredOn, 0),
            EventKind::Reactivated => plain(E::Reactivated, 0),
            EventKind::InputLost(bytes) => plain(E::InputLost, *bytes),
            EventKind::Lost { bytes: 0, events } => plain(E::Missed, *events),
            EventKind::Lost { bytes, .. } => plain(E::Lost, *bytes),
        }
    }

    /// The reason's number, one of BMCLINK_ERR_*, or 0.
    pub fn code(&self) -> i32 {
        self.reason.map_or(0, |reason| reason.kind().code())
    }
}
