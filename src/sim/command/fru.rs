//! FRU inventory commands (§34).

use super::storage::NOT_PRESENT;
use super::{Answer, Refusal, exactly};
use crate::sim::bmc::ManagedSystem;
use crate::sim::fru;
use crate::wire::message::CompletionCode;

const PROTECTED: Refusal = Refusal::Code(0x80);
const BUSY: Refusal = Refusal::Code(0x81);
/// The FRU that `fru_by_words` is about.
const POWER_SUPPLY: u8 = 1;
/// The most bytes that fit into one answer.
const READ_MAX: usize = 224;

impl ManagedSystem {
    pub(super) fn fru_command(&mut self, command: u8, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let (&id, data) = data.split_first().ok_or(CompletionCode::DATA_LENGTH_INVALID)?;
        let image = self.fru_image(id).ok_or(NOT_PRESENT)?;
        if command != 0x10 && self.devices.faults.fru_busy < self.options.quirks.fru_busy_first {
            self.devices.faults.fru_busy += 1;
            return Err(BUSY);
        }
        match command {
            0x10 => {
                exactly::<0>(data)?;
                let doubled = u32::from(self.options.quirks.fru_size_doubled);
                out.extend_from_slice(&((image.len() << doubled) as u16).to_le_bytes());
                out.push(u8::from(self.is_by_words(id)));
                Ok(())
            }
            0x11 => self.read_fru(id, &image, data, out),
            _ => self.write_fru(id, image, data, out),
        }
    }

    fn is_by_words(&self, id: u8) -> bool {
        id == POWER_SUPPLY && self.options.quirks.fru_by_words
    }

    /// What a FRU holds now.
    fn fru_image(&self, id: u8) -> Option<Vec<u8>> {
        let mut written = self.devices.fru.iter().flat_map(|written| written.iter());
        if let Some((_, image)) = written.find(|(written, _)| *written == id) {
            return Some(image.clone());
        }
        let mut image = fru::image(id, self.devices.serial())?;
        if self.options.quirks.fru_bad_checksums {
            let areas = [2, 3, 4].map(|index| 8 * usize::from(image[index]));
            for area in areas.into_iter().filter(|area| *area != 0) {
                let end = area + 8 * usize::from(image[area + 1]);
                image[end - 1] ^= 0x55;
            }
        }
        Some(image)
    }

    /// Read FRU Data (§34.2); offset and counts are in words where the FRU is accessed so.
    fn read_fru(&self, id: u8, image: &[u8], data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [low, high, count] = exactly(data)?;
        let unit = if self.is_by_words(id) { 2 } else { 1 };
        let offset = unit * usize::from(u16::from_le_bytes([low, high]));
        let count = match self.options.quirks.fru_asks_bytes {
            true => usize::from(count) / unit * unit,
            false => usize::from(count) * unit,
        };
        self.judge_read_len(count)?;
        let size = image.len() << u32::from(self.options.quirks.fru_size_doubled);
        if offset >= size {
            return Err(CompletionCode::PARAMETER_OUT_OF_RANGE.into());
        }
        let rest = image.get(offset..).unwrap_or_default();
        let wanted = &rest[..rest.len().min(count).min(READ_MAX)];
        let counts_bytes = unit == 1 || self.options.quirks.fru_counts_bytes;
        out.push(if counts_bytes { wanted.len() } else { wanted.len() / unit } as u8);
        out.extend_from_slice(wanted);
        Ok(())
    }

    /// Write FRU Data (§34.3).
    fn write_fru(&mut self, id: u8, mut image: Vec<u8>, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [low, high, bytes @ ..] = data else {
            return Err(CompletionCode::DATA_LENGTH_INVALID.into());
        };
        if self.options.quirks.fru_protected {
            return Err(PROTECTED);
        }
        let unit = if self.is_by_words(id) { 2 } else { 1 };
        let offset = unit * usize::from(u16::from_le_bytes([*low, *high]));
        let place = image.get_mut(offset..offset + bytes.len());
        place.ok_or(CompletionCode::PARAMETER_OUT_OF_RANGE)?.copy_from_slice(bytes);
        let written = self.devices.fru.get_or_insert_default();
        written.retain(|(written, _)| *written != id);
        written.push((id, image));
        out.push((bytes.len() / unit) as u8);
        Ok(())
    }
}
