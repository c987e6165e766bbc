//! SDR repository commands (§33).

use super::storage::{NOT_PRESENT, OUT_OF_SPACE, RESERVATION_CANCELLED, part};
use super::{Answer, Refusal, exactly};
use crate::sim::bmc::ManagedSystem;
use crate::sim::sdr::{self, HEADER_LEN, VERSION};
use crate::wire::message::CompletionCode;

/// Delete, reserve and allocation info are supported.
const SUPPORTED: u8 = 0x2b;
const WRONG_RECORD_LEN: Refusal = Refusal::Code(0x80);
const READ_FAILED: Refusal = Refusal::Code(0xc3);
/// What is too much with `sdr_padded`.
const PADDING: [u8; 4] = [0xff; 4];
/// Allocation units of 16 bytes.
const UNIT: u16 = 16;

impl ManagedSystem {
    pub(super) fn sdr_command(&mut self, command: u8, data: &[u8], out: &mut Vec<u8>) -> Answer {
        if self.options.quirks.sdr_no_reserve && matches!(command, 0x20..=0x22) {
            return Err(CompletionCode::INVALID_COMMAND.into());
        }
        match command {
            0x20 => self.sdr_info(data, out),
            0x21 => self.sdr_allocation(data, out),
            0x22 => {
                exactly::<0>(data)?;
                let id = self.devices.sdr.reservation.reserve();
                self.devices.sdr.reads = 0;
                out.extend_from_slice(&id.to_le_bytes());
                Ok(())
            }
            0x23 => self.read_sdr(data, out),
            0x24 => self.add_sdr(data, out),
            0x26 => self.delete_sdr(data, out),
            0x27 => self.clear_sdr(data, out),
            0x28 => {
                exactly::<0>(data)?;
                out.extend_from_slice(&self.sel_time().to_le_bytes());
                Ok(())
            }
            0x29 => {
                let time = u32::from_le_bytes(exactly(data)?);
                self.devices.sel.set_time(self.clock, time);
                Ok(())
            }
            // Run Initialization Agent: done, whether asked to run or for the status.
            0x2c => {
                exactly::<1>(data)?;
                out.push(0x01);
                Ok(())
            }
            _ => Err(CompletionCode::INVALID_COMMAND.into()),
        }
    }

    /// Get SDR Repository Info (§33.9).
    fn sdr_info(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        exactly::<0>(data)?;
        let repository = &self.devices.sdr;
        let count = repository.records().len() as u16;
        let count = count + u16::from(self.options.quirks.sdr_wrong_count);
        // Records that were never added came with the BMC.
        let added = repository.added.unwrap_or(self.options.sel_time);
        out.push(VERSION);
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&repository.free().to_le_bytes());
        out.extend_from_slice(&added.to_le_bytes());
        out.extend_from_slice(&repository.erased.unwrap_or(0).to_le_bytes());
        out.push(SUPPORTED);
        Ok(())
    }

    /// Get SDR Repository Allocation Info (§33.10).
    fn sdr_allocation(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        exactly::<0>(data)?;
        let free = self.devices.sdr.free() / UNIT;
        for field in [1024, UNIT, free, free] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.push(4);
        Ok(())
    }

    /// Get SDR (§33.12). 1. reservation, 2. record, 3. which bytes, 4. what is wrong with them.
    fn read_sdr(&mut self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [a, b, c, d, offset, count] = exactly(data)?;
        let (reservation, id) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        let quirks = self.options.quirks;
        // 1. Reservation.
        let repository = &mut self.devices.sdr;
        if quirks.sdr_cancel_every != 0 && reservation != 0 {
            repository.reads += 1;
            if repository.reads > quirks.sdr_cancel_every {
                repository.reservation.cancel();
            }
        }
        let unreserved = reservation == 0 && (offset == 0 || quirks.sdr_no_reserve);
        if !unreserved && !repository.reservation.holds(reservation) {
            return Err(RESERVATION_CANCELLED);
        }
        // 2. Record.
        let records = self.devices.sdr.records();
        let index = sdr::find(records, id).ok_or(NOT_PRESENT)?;
        let last = index + 1 == records.len();
        if quirks.sdr_last_fails && last {
            return Err(READ_FAILED);
        }
        // 3. Which bytes.
        let mut record = records.get(index).cloned().unwrap_or_default();
        let next = match sdr::next_id(records, index) {
            0xffff if quirks.sdr_no_end => sdr::record_id(&record),
            next => next,
        };
        if quirks.sdr_id_differs {
            record[..2].fill(0);
        }
        if quirks.sdr_padded {
            record.extend_from_slice(&PADDING);
        }
        let wanted = part(&record, offset, count)?;
        self.judge_read_len(wanted.len())?;
        // 4. What is wrong with them.
        let wanted = match quirks.sdr_short_whole_read && wanted.len() == record.len() {
            true => &wanted[..wanted.len() / 2],
            false => wanted,
        };
        out.extend_from_slice(&next.to_le_bytes());
        out.extend_from_slice(wanted);
        Ok(())
    }

    /// Add SDR (§33.13).
    fn add_sdr(&mut self, record: &[u8], out: &mut Vec<u8>) -> Answer {
        match record {
            [_, _, _, _, len, body @ ..] if usize::from(*len) == body.len() => {}
            [_, _, _, _, _, ..] => return Err(WRONG_RECORD_LEN),
            _ => return Err(CompletionCode::DATA_LENGTH_INVALID.into()),
        }
        if record.len() <= HEADER_LEN {
            return Err(WRONG_RECORD_LEN);
        }
        let time = self.sel_time();
        let id = self.devices.sdr.add(record.to_vec(), time).ok_or(OUT_OF_SPACE)?;
        out.extend_from_slice(&id.to_le_bytes());
        Ok(())
    }

    /// Delete SDR (§33.15).
    fn delete_sdr(&mut self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [a, b, c, d] = exactly(data)?;
        if !self.devices.sdr.reservation.holds(u16::from_le_bytes([a, b])) {
            return Err(RESERVATION_CANCELLED);
        }
        let records = self.devices.sdr.records();
        let index = sdr::find(records, u16::from_le_bytes([c, d])).ok_or(NOT_PRESENT)?;
        let id = records.get(index).map_or(0, |record| sdr::record_id(record));
        let time = self.sel_time();
        self.devices.sdr.remove(Some(id), time);
        out.extend_from_slice(&id.to_le_bytes());
        Ok(())
    }

    /// Clear SDR Repository (§33.16): erased at once.
    fn clear_sdr(&mut self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [a, b, c, l, r, action] = exactly(data)?;
        if [c, l, r] != *b"CLR" || !matches!(action, 0x00 | 0xaa) {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        if !self.devices.sdr.reservation.holds(u16::from_le_bytes([a, b])) {
            return Err(RESERVATION_CANCELLED);
        }
        if action == 0xaa {
            let time = self.sel_time();
            self.devices.sdr.remove(None, time);
        }
        out.push(0x01);
        Ok(())
    }
}
