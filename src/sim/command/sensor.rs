//! Sensor and event commands (§35), and the device SDRs of whoever has some.

use super::{Answer, Refusal, exactly};
use crate::sim::bmc::ManagedSystem;
use crate::sim::sdr;
use crate::sim::sel::Event;
use crate::sim::sensor::{self, BMC_SENSORS, HYSTERESIS, Reading, Sensor, THRESHOLD};
use crate::wire::message::CompletionCode;

const NOT_PRESENT: Refusal = Refusal::Code(0xcb);
const ILLEGAL_FOR_SENSOR: Refusal = Refusal::Code(0xcd);
/// Get Sensor Reading: event messages on, scanning on.
const ENABLED: u8 = 0xc0;
const UNAVAILABLE: u8 = 0x20;
/// A remote console as the generator of an event: software ID of system management software.
const CONSOLE_GENERATOR: [u8; 2] = [0x41, 0x00];

impl ManagedSystem {
    pub(super) fn sensor_command(
        &mut self,
        lun: u8,
        command: u8,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Answer {
        if command == 0x02 {
            return self.platform_event(data);
        }
        if !matches!(command, 0x23..=0x2b | 0x2d..=0x2f) {
            return Err(CompletionCode::INVALID_COMMAND.into());
        }
        let (&number, data) = data.split_first().ok_or(CompletionCode::DATA_LENGTH_INVALID)?;
        let found = BMC_SENSORS.iter().find(|s| (s.number, s.lun) == (number, lun));
        let sensor = found.ok_or(NOT_PRESENT)?;
        match command {
            0x23 => factors(sensor, data, out),
            0x24 => self.set_hysteresis(sensor, data),
            0x25 => self.hysteresis(sensor, data, out),
            0x26 => self.set_thresholds(sensor, data),
            0x27 => {
                exactly::<0>(data)?;
                thresholds(sensor, &self.thresholds(sensor), out)
            }
            0x28 => self.set_event_enable(sensor, data),
            0x29 => self.event_enable(sensor, data, out),
            0x2b => self.event_status(sensor, data, out),
            0x2d => {
                exactly::<0>(data)?;
                let quirks = self.options.quirks;
                self.log_sensor_changes();
                let enabled = match self.event_enables(sensor) {
                    _ if quirks.scanning_disabled => ENABLED & 0x80,
                    enabled => enabled,
                };
                put_reading(self.sensor_reading(sensor), enabled, out);
                if quirks.short_sensor_readings {
                    out.truncate(3);
                }
                Ok(())
            }
            0x2f => {
                exactly::<0>(data)?;
                out.extend_from_slice(&[sensor.sensor_type, sensor.event_type]);
                Ok(())
            }
            _ => Err(CompletionCode::INVALID_COMMAND.into()),
        }
    }

    /// Platform Event (§29.3): what the console reports goes into the SEL.
    fn platform_event(&mut self, data: &[u8]) -> Answer {
        // Seven bytes from the format version on; a console may put its software ID in front.
        let data = if data.len() == 8 { &data[1..] } else { data };
        let [_version, sensor_type, number, event_type, bytes @ ..] = exactly::<7>(data)?;
        let event = Event { sensor_type, number, event_type, data: bytes };
        let capacity = self.options.sel_capacity;
        self.devices.sel.log(event, CONSOLE_GENERATOR, self.clock, capacity);
        Ok(())
    }

    /// Set Sensor Hysteresis (§35.6).
    fn set_hysteresis(&mut self, sensor: &Sensor, data: &[u8]) -> Answer {
        let [_mask, above, below] = exactly(data)?;
        sensor.analog().ok_or(ILLEGAL_FOR_SENSOR)?;
        let list = &mut self.devices.sensors_mut().hysteresis;
        sensor::put(list, sensor.key(), Some([above, below]));
        Ok(())
    }

    /// Get Sensor Hysteresis (§35.7).
    fn hysteresis(&self, sensor: &Sensor, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [_mask] = exactly(data)?;
        sensor.analog().ok_or(ILLEGAL_FOR_SENSOR)?;
        let changes = self.devices.sensors.as_deref();
        let set = changes.and_then(|changes| sensor::find(&changes.hysteresis, sensor.key()));
        out.extend_from_slice(&set.unwrap_or([HYSTERESIS; 2]));
        Ok(())
    }

    /// Set Sensor Thresholds (§35.8).
    fn set_thresholds(&mut self, sensor: &Sensor, data: &[u8]) -> Answer {
        let [mask, values @ ..] = exactly::<7>(data)?;
        let analog = sensor.analog().ok_or(ILLEGAL_FOR_SENSOR)?;
        if mask & !analog.threshold_mask() != 0 {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        let mut thresholds = self.thresholds(sensor);
        for (bit, (threshold, value)) in thresholds.iter_mut().zip(values).enumerate() {
            if mask & 1 << bit != 0 {
                *threshold = Some(analog.decode(value));
            }
        }
        let list = &mut self.devices.sensors_mut().thresholds;
        sensor::put(list, sensor.key(), Some(thresholds));
        self.log_sensor_changes();
        Ok(())
    }

    fn event_enables(&self, sensor: &Sensor) -> u8 {
        let changes = self.devices.sensors.as_deref();
        let set = changes.and_then(|changes| sensor::find(&changes.event_enables, sensor.key()));
        set.unwrap_or(ENABLED)
    }

    /// Set Sensor Event Enable (§35.10): for all events of the sensor at once.
    fn set_event_enable(&mut self, sensor: &Sensor, data: &[u8]) -> Answer {
        let &[enables, ref masks @ ..] = data else {
            return Err(CompletionCode::DATA_LENGTH_INVALID.into());
        };
        if masks.len() > 4 {
            return Err(CompletionCode::DATA_LENGTH_INVALID.into());
        }
        let list = &mut self.devices.sensors_mut().event_enables;
        sensor::put(list, sensor.key(), Some(enables & ENABLED));
        Ok(())
    }

    /// Get Sensor Event Enable (§35.11).
    fn event_enable(&self, sensor: &Sensor, data: &[u8], out: &mut Vec<u8>) -> Answer {
        exactly::<0>(data)?;
        out.push(self.event_enables(sensor));
        let events = sensor.event_mask().to_le_bytes();
        out.extend_from_slice(&[events[0], events[1], events[0], events[1]]);
        Ok(())
    }

    /// Get Sensor Event Status (§35.13).
    fn event_status(&self, sensor: &Sensor, data: &[u8], out: &mut Vec<u8>) -> Answer {
        exactly::<0>(data)?;
        let enabled = self.event_enables(sensor);
        match self.sensor_reading(sensor) {
            Reading::Unavailable => out.push(enabled | UNAVAILABLE),
            Reading::Analog(_, states) => {
                let asserted = sensor::threshold_events(states).to_le_bytes();
                out.push(enabled);
                out.extend_from_slice(&[asserted[0], asserted[1], 0, 0]);
            }
            Reading::Discrete(states) => {
                let asserted = states.to_le_bytes();
                out.push(enabled);
                out.extend_from_slice(&[asserted[0], asserted[1], 0, 0]);
            }
        }
        Ok(())
    }
}

/// Get Sensor Reading Factors (§35.5): of the reading asked about, and which reading is the next
/// with others.
pub(in crate::sim) fn factors(sensor: &Sensor, data: &[u8], out: &mut Vec<u8>) -> Answer {
    let [byte] = exactly(data)?;
    let analog = sensor.analog().ok_or(ILLEGAL_FOR_SENSOR)?;
    out.push(byte.wrapping_add(1));
    out.extend_from_slice(&sdr::conversion(analog.factors_at(analog.decode(byte))));
    Ok(())
}

/// Get Sensor Thresholds (§35.9).
pub(in crate::sim) fn thresholds(
    sensor: &Sensor,
    thresholds: &[Option<i16>; 6],
    out: &mut Vec<u8>,
) -> Answer {
    let analog = sensor.analog().ok_or(ILLEGAL_FOR_SENSOR)?;
    out.push(analog.threshold_mask());
    out.extend(thresholds.map(|raw| raw.map_or(0, |raw| analog.encode(raw))));
    Ok(())
}

/// The data of Get Sensor Reading (§35.14).
pub(in crate::sim) fn put_reading(reading: Reading, enabled: u8, out: &mut Vec<u8>) {
    match reading {
        Reading::Unavailable => out.extend_from_slice(&[0, enabled | UNAVAILABLE, 0]),
        // The two bits nobody uses read 1.
        Reading::Analog(byte, states) => out.extend_from_slice(&[byte, enabled, 0xc0 | states]),
        Reading::Discrete(states) => {
            let [low, high] = states.to_le_bytes();
            out.extend_from_slice(&[0, enabled, low, 0x80 | high]);
        }
    }
}

/// One of the sensors of a satellite: what there is to read about it.
pub(in crate::sim) fn satellite_sensor_command(
    sensor: &Sensor,
    reading: Reading,
    command: u8,
    data: &[u8],
    out: &mut Vec<u8>,
) -> Answer {
    match command {
        0x23 => factors(sensor, data, out),
        0x27 => {
            let analog = sensor.analog().ok_or(ILLEGAL_FOR_SENSOR)?;
            thresholds(sensor, &analog.thresholds, out)
        }
        0x2d => {
            put_reading(reading, ENABLED, out);
            Ok(())
        }
        0x2f if sensor.event_type == THRESHOLD || data.is_empty() => {
            out.extend_from_slice(&[sensor.sensor_type, sensor.event_type]);
            Ok(())
        }
        _ => Err(CompletionCode::INVALID_COMMAND.into()),
    }
}
