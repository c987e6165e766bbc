//! Storage commands: an empty SDR repository, an empty SEL, no FRU.

use super::{Answer, Refusal, exactly};
use crate::sim::bmc::ManagedSystem;
use crate::wire::message::CompletionCode;

const NOT_PRESENT: Refusal = Refusal::Code(0xcb);
const RESERVATION_CANCELLED: Refusal = Refusal::Code(0xc5);
/// The only reservation there ever is.
const RESERVATION: u16 = 1;
/// SEL and SDR command set version.
const VERSION: u8 = 0x51;

impl ManagedSystem {
    pub(super) fn storage_command(
        &mut self,
        command: u8,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Answer {
        match command {
            0x10 | 0x11 => return Err(NOT_PRESENT),
            // SDR Repository Info: no records; reserve is supported.
            0x20 => out.extend_from_slice(&[VERSION, 0, 0, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 2]),
            0x22 | 0x42 => out.extend_from_slice(&RESERVATION.to_le_bytes()),
            0x23 | 0x43 => {
                exactly::<6>(data)?;
                return Err(NOT_PRESENT);
            }
            // SEL Info: no entries, 16 KiB free.
            0x40 => out.extend_from_slice(&[VERSION, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 2]),
            0x47 => {
                let [a, b, c, l, r, _] = exactly(data)?;
                if u16::from_le_bytes([a, b]) != RESERVATION {
                    return Err(RESERVATION_CANCELLED);
                }
                if [c, l, r] != *b"CLR" {
                    return Err(CompletionCode::INVALID_DATA_FIELD.into());
                }
                out.push(1);
            }
            0x48 => out.extend_from_slice(&self.sel_time().to_le_bytes()),
            0x49 => {
                let time = u32::from_le_bytes(exactly(data)?);
                self.chassis.clock_set = (self.clock, time);
            }
            _ => return Err(CompletionCode::INVALID_COMMAND.into()),
        }
        Ok(())
    }

    fn sel_time(&self) -> u32 {
        let (since, time) = self.chassis.clock_set;
        time.wrapping_add(self.clock.saturating_duration_since(since).as_secs() as u32)
    }
}
