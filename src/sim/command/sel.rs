//! SEL commands (§31).

use std::time::Duration;

use super::storage::{NOT_PRESENT, OUT_OF_SPACE, RESERVATION_CANCELLED, part};
use super::{Answer, Refusal, exactly};
use crate::sim::bmc::ManagedSystem;
use crate::sim::sel::RECORD_LEN;
use crate::wire::message::CompletionCode;

const VERSION: u8 = 0x51;
/// Delete, reserve and allocation info are supported.
const SUPPORTED: u8 = 0x0b;
const OVERFLOW: u8 = 0x80;
const ERASING: Refusal = Refusal::Code(0x81);

impl ManagedSystem {
    pub(super) fn sel_command(&mut self, command: u8, data: &[u8], out: &mut Vec<u8>) -> Answer {
        if matches!(command, 0x40..=0x46) {
            self.log_sensor_changes();
            if command != 0x40 && self.devices.sel.is_erasing(self.clock) {
                return Err(ERASING);
            }
        }
        match command {
            0x40 => self.sel_info(data, out),
            0x41 => self.sel_allocation(data, out),
            0x42 => {
                exactly::<0>(data)?;
                out.extend_from_slice(&self.devices.sel.reservation.reserve().to_le_bytes());
                Ok(())
            }
            0x43 => self.read_sel_entry(data, out),
            0x44 => {
                let capacity = self.options.sel_capacity;
                let record = exactly::<RECORD_LEN>(data)?;
                let id = self.devices.sel.add(record, self.clock, capacity);
                out.extend_from_slice(&id.ok_or(OUT_OF_SPACE)?.to_le_bytes());
                Ok(())
            }
            0x46 => self.delete_sel_entry(data, out),
            0x47 => self.clear_sel(data, out),
            0x48 => {
                exactly::<0>(data)?;
                out.extend_from_slice(&self.sel_time().to_le_bytes());
                Ok(())
            }
            0x49 => {
                let time = u32::from_le_bytes(exactly(data)?);
                self.devices.sel.set_time(self.clock, time);
                Ok(())
            }
            0x5c => {
                exactly::<0>(data)?;
                out.extend_from_slice(&self.devices.sel.utc_offset.to_le_bytes());
                Ok(())
            }
            0x5d => self.set_utc_offset(data),
            _ => Err(CompletionCode::INVALID_COMMAND.into()),
        }
    }

    /// What the SEL clock shows.
    pub(super) fn sel_time(&self) -> u32 {
        self.devices.sel.time(self.clock)
    }

    fn sel_free(&self) -> u16 {
        self.options.sel_capacity.saturating_sub(self.devices.sel.len() as u16)
    }

    /// Get SEL Info (§31.2).
    fn sel_info(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        exactly::<0>(data)?;
        let sel = &self.devices.sel;
        let free = self.sel_free().saturating_mul(RECORD_LEN as u16);
        out.push(VERSION);
        out.extend_from_slice(&(sel.len() as u16).to_le_bytes());
        out.extend_from_slice(&free.to_le_bytes());
        out.extend_from_slice(&sel.added.to_le_bytes());
        out.extend_from_slice(&sel.erased.to_le_bytes());
        out.push(SUPPORTED | if sel.overflow { OVERFLOW } else { 0 });
        Ok(())
    }

    /// Get SEL Allocation Info (§31.3).
    fn sel_allocation(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        exactly::<0>(data)?;
        let free = self.sel_free();
        for field in [self.options.sel_capacity, RECORD_LEN as u16, free, free] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.push(1);
        Ok(())
    }

    /// Get SEL Entry (§31.5).
    fn read_sel_entry(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [a, b, c, d, offset, count] = exactly(data)?;
        let (reservation, id) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        let sel = &self.devices.sel;
        let quirks = self.options.quirks;
        let unreserved = reservation == 0 && offset == 0 && !quirks.sel_needs_reservation;
        if !unreserved && !sel.reservation.holds(reservation) {
            return Err(RESERVATION_CANCELLED);
        }
        let index = sel.find(id).ok_or(NOT_PRESENT)?;
        let mut entry = *sel.entry(index).ok_or(NOT_PRESENT)?;
        if quirks.sel_bad_record_type {
            entry[2] = 0;
        }
        let wanted = part(&entry, offset, count)?;
        self.judge_read_len(wanted.len())?;
        out.extend_from_slice(&sel.next_id(index).to_le_bytes());
        out.extend_from_slice(wanted);
        Ok(())
    }

    /// Delete SEL Entry (§31.8).
    fn delete_sel_entry(&mut self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [a, b, c, d] = exactly(data)?;
        if !self.devices.sel.reservation.holds(u16::from_le_bytes([a, b])) {
            return Err(RESERVATION_CANCELLED);
        }
        let index = self.devices.sel.find(u16::from_le_bytes([c, d])).ok_or(NOT_PRESENT)?;
        let id = self.devices.sel.remove(index, self.clock);
        out.extend_from_slice(&id.to_le_bytes());
        Ok(())
    }

    /// Clear SEL (§31.9).
    fn clear_sel(&mut self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [a, b, c, l, r, action] = exactly(data)?;
        if [c, l, r] != *b"CLR" || !matches!(action, 0x00 | 0xaa) {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        let now = self.clock;
        let sel = &mut self.devices.sel;
        if !sel.reservation.holds(u16::from_le_bytes([a, b])) {
            return Err(RESERVATION_CANCELLED);
        }
        if action == 0xaa {
            let takes = Duration::from_millis(self.options.quirks.sel_erase_ms.into());
            sel.clear(now, takes);
        }
        out.push(u8::from(!sel.is_erasing(now)));
        Ok(())
    }

    /// Set SEL Time UTC Offset (§31.11b).
    fn set_utc_offset(&mut self, data: &[u8]) -> Answer {
        let offset = i16::from_le_bytes(exactly(data)?);
        if !(-1440..=1440).contains(&offset) && offset != 0x07ff {
            return Err(CompletionCode::PARAMETER_OUT_OF_RANGE.into());
        }
        self.devices.sel.utc_offset = offset;
        Ok(())
    }
}
