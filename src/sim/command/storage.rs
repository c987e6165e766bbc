//! Storage commands: the SDR repository, the SEL, FRU inventories.

use super::{Answer, Refusal};
use crate::sim::bmc::ManagedSystem;
use crate::sim::sdr::Reservation;
use crate::wire::message::CompletionCode;

pub(super) const NOT_PRESENT: Refusal = Refusal::Code(0xcb);
pub(super) const RESERVATION_CANCELLED: Refusal = Refusal::Code(0xc5);
pub(super) const OUT_OF_SPACE: Refusal = Refusal::Code(0xc4);
/// Cannot return that many bytes.
const TOO_MANY_BYTES: u8 = 0xca;

impl ManagedSystem {
    pub(super) fn storage_command(
        &mut self,
        command: u8,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Answer {
        match command {
            0x10..=0x12 => self.fru_command(command, data, out),
            0x20..=0x2c => self.sdr_command(command, data, out),
            0x40..=0x49 | 0x5c | 0x5d => self.sel_command(command, data, out),
            _ => Err(CompletionCode::INVALID_COMMAND.into()),
        }
    }

    /// Refuses a reading of more bytes than the knob allows.
    pub(in crate::sim) fn judge_read_len(&self, len: usize) -> Answer {
        let quirks = self.options.quirks;
        match quirks.read_limit {
            Some(limit) if len > limit.into() => {
                Err(Refusal::Code(quirks.read_limit_code.unwrap_or(TOO_MANY_BYTES)))
            }
            _ => Ok(()),
        }
    }
}

/// The part of a record that a reading asks for: `count` FFh is all the rest.
pub(in crate::sim) fn part(record: &[u8], offset: u8, count: u8) -> Result<&[u8], Refusal> {
    let rest = record.get(offset.into()..).filter(|rest| !rest.is_empty() || count == 0xff);
    let rest = rest.ok_or(CompletionCode::PARAMETER_OUT_OF_RANGE)?;
    Ok(rest.get(..count.into()).unwrap_or(rest))
}

/// Whether a reading goes with this reservation: 0 does for one from the start.
pub(in crate::sim) fn judge_reservation(held: Reservation, id: u16, offset: u8) -> Answer {
    if id == 0 && offset == 0 || held.holds(id) { Ok(()) } else { Err(RESERVATION_CANCELLED) }
}
