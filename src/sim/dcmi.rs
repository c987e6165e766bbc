//! DCMI: power reading and limit, asset tag, identifier (DCMI 1.5, §6).

use std::time::Instant;

use super::bmc::ManagedSystem;
use super::command::{Answer, Refusal, exactly};
use super::sdr;
use super::sensor::{BMC_SENSORS, number};
use crate::wire::message::CompletionCode;

/// The group that DCMI is in the group extension.
const DCMI: u8 = 0xdc;
/// Conformance: DCMI 1.5; parameter revision 2.
const REVISION: [u8; 3] = [1, 5, 2];
const LIMIT_NOT_ACTIVE: Refusal = Refusal::WithData(0x80);
const LIMIT_OUT_OF_RANGE: Refusal = Refusal::Code(0x84);
const CORRECTION_OUT_OF_RANGE: Refusal = Refusal::Code(0x85);
const PERIOD_OUT_OF_RANGE: Refusal = Refusal::Code(0x89);
/// What a limit can be: watts, milliseconds of correction, seconds of sampling.
const LIMITS: std::ops::RangeInclusive<u16> = 100..=800;
const CORRECTIONS: std::ops::RangeInclusive<u32> = 1000..=600_000;
const PERIODS: std::ops::RangeInclusive<u16> = 1..=3600;
/// Lengths of the asset tag and of the identifier, and of a piece of either.
const ASSET_TAG_MAX: usize = 63;
const IDENTIFIER_MAX: usize = 64;
const PIECE_MAX: u8 = 16;
const READING_ACTIVE: u8 = 0x40;
/// Periods of the enhanced power statistics: 1 minute, 1 hour, 1 day, 7 days.
const PERIODS_OFFERED: [u8; 4] = [0x41, 0x81, 0xc1, 0xc7];

/// What was set by DCMI commands at one BMC.
#[derive(Clone)]
pub(super) struct Dcmi {
    limit: PowerLimit,
    active: bool,
    asset_tag: Vec<u8>,
    identifier: Vec<u8>,
}

#[derive(Clone, Copy)]
struct PowerLimit {
    action: u8,
    watts: u16,
    correction_ms: u32,
    period_s: u16,
}

impl Default for Dcmi {
    fn default() -> Self {
        let limit = PowerLimit { action: 0, watts: 500, correction_ms: 5000, period_s: 60 };
        Dcmi {
            limit,
            active: false,
            asset_tag: b"bmclink-asset".to_vec(),
            identifier: b"bmclink-sim\0".to_vec(),
        }
    }
}

impl ManagedSystem {
    pub(super) fn dcmi_command(&mut self, command: u8, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let (&group, data) = data.split_first().ok_or(CompletionCode::DATA_LENGTH_INVALID)?;
        if group != DCMI || self.options.quirks.dcmi_missing {
            return Err(CompletionCode::INVALID_COMMAND.into());
        }
        out.push(DCMI);
        match command {
            0x01 => self.dcmi_capabilities(data, out),
            0x02 => self.power_reading(data, out),
            0x03 => self.power_limit(data, out),
            0x04 => self.set_power_limit(data),
            0x05 => {
                let [active, _, _] = exactly(data)?;
                self.dcmi_mut().active = active & 1 != 0;
                Ok(())
            }
            0x06 => put_piece(data, &self.dcmi().asset_tag, out),
            0x07 => dcmi_sensors(data, out),
            0x08 => take_piece(data, &mut self.dcmi_mut().asset_tag, ASSET_TAG_MAX, out),
            0x09 => put_piece(data, &self.dcmi().identifier, out),
            0x0a => take_piece(data, &mut self.dcmi_mut().identifier, IDENTIFIER_MAX, out),
            _ => Err(CompletionCode::INVALID_COMMAND.into()),
        }
    }

    fn dcmi(&self) -> std::borrow::Cow<'_, Dcmi> {
        match &self.devices.dcmi {
            Some(dcmi) => std::borrow::Cow::Borrowed(dcmi),
            None => std::borrow::Cow::Owned(Dcmi::default()),
        }
    }

    fn dcmi_mut(&mut self) -> &mut Dcmi {
        self.devices.dcmi.get_or_insert_default()
    }

    /// Get DCMI Capabilities Info.
    fn dcmi_capabilities(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [parameter] = exactly(data)?;
        let [entries, high] = (self.options.sel_capacity & 0x0fff).to_le_bytes();
        out.extend_from_slice(&REVISION);
        match parameter {
            // Power management; system interface and LAN channels, SOL.
            1 => out.extend_from_slice(&[0x00, 0x01, 0x39]),
            // No rollover of the SEL; temperatures every second.
            2 => out.extend_from_slice(&[entries, high, 0x07, 0x07, 1]),
            3 => out.extend_from_slice(&[0x20, 0x00]),
            4 => out.extend_from_slice(&[super::command::LAN_CHANNEL, 0xff, 0xff]),
            5 => {
                out.push(PERIODS_OFFERED.len() as u8);
                out.extend_from_slice(&PERIODS_OFFERED);
            }
            _ => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
        }
        Ok(())
    }

    /// Watts now, and the least, most and mean since the host's power was as it is.
    fn watts(&self) -> [u16; 4] {
        let input = BMC_SENSORS.iter().find(|sensor| sensor.key() == number::POWER_INPUT);
        let read = input.and_then(|sensor| Some((sensor.analog()?, self.sensor_value(sensor)?)));
        let Some((analog, raw)) = read else { return [0; 4] };
        let watts = |raw| analog.value(raw).max(0.0) as u16;
        if !self.chassis.power_on {
            return [watts(raw); 4];
        }
        let (low, high) = (analog.mean - analog.sway, analog.mean + analog.sway);
        [watts(raw), watts(low.min(raw)), watts(high.max(raw)), watts(analog.mean)]
    }

    /// Get Power Reading.
    fn power_reading(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [mode, _attribute, _] = exactly(data)?;
        if !matches!(mode, 1 | 2) {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        for watts in self.watts() {
            out.extend_from_slice(&watts.to_le_bytes());
        }
        let time = self.devices.sel.time(self.clock);
        let born: Instant = self.devices.born();
        let elapsed = self.clock.saturating_duration_since(born).as_millis() as u32;
        out.extend_from_slice(&time.to_le_bytes());
        out.extend_from_slice(&elapsed.to_le_bytes());
        out.push(READING_ACTIVE);
        Ok(())
    }

    /// Get Power Limit: without an active one, the data come all the same.
    fn power_limit(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        exactly::<2>(data)?;
        let dcmi = self.dcmi();
        let limit = dcmi.limit;
        out.extend_from_slice(&[0, 0, limit.action]);
        out.extend_from_slice(&limit.watts.to_le_bytes());
        out.extend_from_slice(&limit.correction_ms.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&limit.period_s.to_le_bytes());
        if dcmi.active { Ok(()) } else { Err(LIMIT_NOT_ACTIVE) }
    }

    /// Set Power Limit.
    fn set_power_limit(&mut self, data: &[u8]) -> Answer {
        let [_, _, _, action, w0, w1, c0, c1, c2, c3, _, _, p0, p1] = exactly(data)?;
        let limit = PowerLimit {
            action,
            watts: u16::from_le_bytes([w0, w1]),
            correction_ms: u32::from_le_bytes([c0, c1, c2, c3]),
            period_s: u16::from_le_bytes([p0, p1]),
        };
        if !LIMITS.contains(&limit.watts) {
            return Err(LIMIT_OUT_OF_RANGE);
        }
        if !CORRECTIONS.contains(&limit.correction_ms) {
            return Err(CORRECTION_OUT_OF_RANGE);
        }
        if !PERIODS.contains(&limit.period_s) {
            return Err(PERIOD_OUT_OF_RANGE);
        }
        self.dcmi_mut().limit = limit;
        Ok(())
    }
}

/// A piece of a text: how long the text is, and the bytes asked for.
fn put_piece(data: &[u8], text: &[u8], out: &mut Vec<u8>) -> Answer {
    let [offset, count] = exactly(data)?;
    let rest = text.get(usize::from(offset)..).ok_or(CompletionCode::PARAMETER_OUT_OF_RANGE)?;
    if count > PIECE_MAX {
        return Err(CompletionCode::PARAMETER_OUT_OF_RANGE.into());
    }
    out.push(text.len() as u8);
    out.extend(rest.iter().take(count.into()));
    Ok(())
}

/// Sets a piece of a text, which then ends there; says how long it is.
fn take_piece(data: &[u8], text: &mut Vec<u8>, max: usize, out: &mut Vec<u8>) -> Answer {
    let &[offset, count, ref piece @ ..] = data else {
        return Err(CompletionCode::DATA_LENGTH_INVALID.into());
    };
    let end = usize::from(offset) + usize::from(count);
    if piece.len() != usize::from(count) {
        return Err(CompletionCode::DATA_LENGTH_INVALID.into());
    }
    if count > PIECE_MAX || end > max || usize::from(offset) > text.len() {
        return Err(CompletionCode::PARAMETER_OUT_OF_RANGE.into());
    }
    text.truncate(offset.into());
    text.extend_from_slice(piece);
    out.push(end as u8);
    Ok(())
}

/// Get DCMI Sensor Info: which records are the inlet, processor and board temperatures.
fn dcmi_sensors(data: &[u8], out: &mut Vec<u8>) -> Answer {
    let [sensor_type, entity, instance, _start] = exactly(data)?;
    let sensor = match entity {
        0x37 | 0x40 => number::INLET_TEMP,
        0x03 | 0x41 => number::CPU_TEMP,
        0x07 | 0x42 => number::EXHAUST_TEMP,
        _ => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
    };
    let repository = sdr::SdrRepository::default();
    let of_sensor = |record: &&Vec<u8>| {
        let number = |at: usize| record.get(at).copied();
        (number(3), number(5), number(6), number(7)) == (Some(1), Some(0x20), Some(0), Some(sensor))
    };
    let found = repository.records().iter().find(of_sensor).filter(|_| instance <= 1);
    if sensor_type != 0x01 {
        return Err(CompletionCode::INVALID_DATA_FIELD.into());
    }
    let count = u8::from(found.is_some());
    out.extend_from_slice(&[count, count]);
    out.extend(found.iter().flat_map(|record| sdr::record_id(record).to_le_bytes()));
    Ok(())
}
