//! What management commands act on besides the chassis and the users: storage, sensors, settings.
//!
//! What all BMCs have in common is in tables; here is what one BMC has of its own, and most of
//! that only exists once somebody changed something.

use std::time::Instant;

use super::bmc::ManagedSystem;
use super::channel::ChannelSettings;
use super::dcmi::Dcmi;
use super::fru::FruChanges;
use super::lan::LanChanges;
use super::sdr::{Reservation, SdrRepository};
use super::sel::{BMC_GENERATOR, Event, Sel};
use super::sensor::{
    self, BMC_SENSORS, Kind, Limits, Reading, Sensor, SensorChanges, Surroundings, THRESHOLD,
    number,
};

/// A deassertion event.
const DEASSERTED: u8 = 0x80;
/// Event data byte 1: bytes 2 and 3 hold the reading and the threshold.
const HAS_READING: u8 = 0x50;
/// The offsets of threshold events by threshold: low ones going low, high ones going high.
const THRESHOLD_OFFSETS: [u8; 6] = [0x00, 0x02, 0x04, 0x07, 0x09, 0x0b];
/// States of the SEL sensor: full, and nearly so.
const SEL_FULL: i16 = 0x10;
const SEL_ALMOST_FULL: i16 = 0x20;

/// Everything of one BMC that management commands read and write.
pub(super) struct Devices {
    seed: u32,
    born: Instant,
    pub sdr: SdrRepository,
    pub sel: Sel,
    pub sensors: Option<Box<SensorChanges>>,
    pub fru: Option<Box<FruChanges>>,
    pub dcmi: Option<Box<Dcmi>>,
    pub lan: Option<Box<LanChanges>>,
    pub channel: Option<Box<ChannelSettings>>,
    /// The satellite's reservation of its device SDRs.
    pub satellite: Reservation,
    /// How often the knobs that work a number of times did.
    pub faults: FaultCounts,
    /// Whether the BMC key was locked (§22.25).
    pub key_locked: bool,
    /// Until when the BMC restarts and answers nothing.
    pub silent_until: Option<Instant>,
}

/// How often the knobs that work a number of times did.
#[derive(Debug, Default)]
pub(super) struct FaultCounts {
    pub busy: u32,
    pub timeout: u32,
    pub fru_busy: u32,
}

impl Devices {
    /// Devices as shipped. `seed` makes readings and serial numbers differ between BMCs.
    pub fn new(seed: u32, now: Instant, sel_time: u32) -> Self {
        Devices {
            seed,
            born: now,
            sdr: SdrRepository::default(),
            sel: Sel::new(now, sel_time),
            sensors: None,
            fru: None,
            dcmi: None,
            lan: None,
            channel: None,
            satellite: Reservation::default(),
            faults: FaultCounts::default(),
            key_locked: false,
            silent_until: None,
        }
    }

    /// The number in the serial numbers.
    pub fn serial(&self) -> u32 {
        self.seed
    }

    /// When the BMC was made.
    pub fn born(&self) -> Instant {
        self.born
    }

    /// What was changed about the sensors, to change more.
    pub fn sensors_mut(&mut self) -> &mut SensorChanges {
        self.sensors.get_or_insert_default()
    }

    /// A restart of the BMC: what is kept in memory only is gone.
    pub fn restart(&mut self) {
        self.sdr.reservation.cancel();
        self.sel.reservation.cancel();
        self.satellite.cancel();
        if let Some(channel) = &mut self.channel {
            channel.restart();
        }
    }
}

impl ManagedSystem {
    /// Gives one of the BMC's sensors a reading: the raw reading of a threshold sensor (negative
    /// ones are negative here, whatever the sensor's format), the states of a discrete one.
    /// `None` returns it to its own. What that makes of it is logged in the SEL.
    pub fn set_sensor(&mut self, number: u8, value: Option<i16>) {
        sensor::put(&mut self.devices.sensors_mut().values, number, value);
        self.log_sensor_changes();
    }

    /// Adds `record`, 16 bytes, to the SEL. Its ID and time are filled in. False when the SEL is
    /// full or being erased.
    pub fn add_sel_entry(&mut self, record: [u8; 16]) -> bool {
        let (now, capacity) = (self.clock, self.options.sel_capacity);
        let sel = &mut self.devices.sel;
        !sel.is_erasing(now) && sel.add(record, now, capacity).is_some()
    }

    /// How many entries the SEL has.
    pub fn sel_entries(&self) -> usize {
        self.devices.sel.len()
    }

    /// What decides the readings now.
    pub(super) fn surroundings(&self) -> Surroundings {
        Surroundings {
            seed: self.devices.seed,
            elapsed: self.clock.saturating_duration_since(self.devices.born),
            power_on: self.chassis.power_on,
        }
    }

    /// The raw reading or the states of one of the BMC's sensors.
    pub(super) fn sensor_value(&self, sensor: &Sensor) -> Option<i16> {
        let changes = self.devices.sensors.as_deref();
        let given = changes.and_then(|changes| sensor::find(&changes.values, sensor.key()));
        match sensor.key() {
            _ if given.is_some() => given,
            number::SEL => {
                let (len, capacity) = (self.devices.sel.len(), self.options.sel_capacity.into());
                let almost = if 10 * len >= 8 * capacity { SEL_ALMOST_FULL } else { 0 };
                Some(if len >= capacity { SEL_FULL } else { almost })
            }
            _ => sensor.natural(self.surroundings()),
        }
    }

    /// What one of the BMC's sensors reads.
    pub(super) fn sensor_reading(&self, sensor: &Sensor) -> Reading {
        sensor.reading(self.sensor_value(sensor), &self.limits(sensor))
    }

    /// Thresholds and hysteresis as they are set, and what was reached at the last look.
    fn limits(&self, sensor: &Sensor) -> Limits {
        let shipped = sensor.shipped_limits();
        let Some(changes) = self.devices.sensors.as_deref() else { return shipped };
        let key = sensor.key();
        Limits {
            thresholds: self.thresholds(sensor),
            hysteresis: sensor::find(&changes.hysteresis, key).unwrap_or(shipped.hysteresis),
            seen: sensor::find(&changes.seen, key).unwrap_or(0),
        }
    }

    /// The thresholds of one of the BMC's sensors as they are set.
    pub(super) fn thresholds(&self, sensor: &Sensor) -> [Option<i16>; 6] {
        let changes = self.devices.sensors.as_deref();
        let set = changes.and_then(|changes| sensor::find(&changes.thresholds, sensor.key()));
        set.or(sensor.analog().map(|analog| analog.thresholds)).unwrap_or_default()
    }

    /// Writes what happened to the sensors since the last look into the SEL.
    pub(super) fn log_sensor_changes(&mut self) {
        for sensor in BMC_SENSORS.iter().filter(|sensor| sensor.key() != number::SEL) {
            let good = match sensor.kind {
                Kind::Analog(_) => 0,
                Kind::Discrete(states) => states,
            };
            let changes = self.devices.sensors.as_deref();
            let seen = changes.and_then(|changes| sensor::find(&changes.seen, sensor.key()));
            let seen = seen.unwrap_or(good);
            let states = match self.sensor_reading(sensor) {
                Reading::Unavailable => continue,
                Reading::Analog(_, states) => states.into(),
                Reading::Discrete(states) => states,
            };
            if states == seen {
                continue;
            }
            let keep = Some(states).filter(|states| *states != good);
            sensor::put(&mut self.devices.sensors_mut().seen, sensor.key(), keep);
            if !self.sends_events(sensor) {
                continue;
            }
            if sensor.event_type == THRESHOLD {
                self.log_thresholds(sensor, seen, states);
            } else {
                self.log_states(sensor, seen, states);
            }
        }
    }

    /// Whether event messages of a sensor are enabled.
    fn sends_events(&self, sensor: &Sensor) -> bool {
        let changes = self.devices.sensors.as_deref();
        let set = changes.and_then(|changes| sensor::find(&changes.event_enables, sensor.key()));
        set.unwrap_or(0xc0) & 0xc0 == 0xc0
    }

    fn log_thresholds(&mut self, sensor: &Sensor, seen: u16, states: u16) {
        let (Some(analog), Some(raw)) = (sensor.analog(), self.sensor_value(sensor)) else {
            return;
        };
        let thresholds = self.thresholds(sensor);
        for (bit, (offset, threshold)) in THRESHOLD_OFFSETS.iter().zip(thresholds).enumerate() {
            if (seen ^ states) >> bit & 1 == 0 {
                continue;
            }
            let threshold = threshold.map_or(0, |threshold| analog.encode(threshold));
            let gone = if states >> bit & 1 == 0 { DEASSERTED } else { 0 };
            let data = [HAS_READING | offset, analog.encode(raw), threshold];
            self.log_event(sensor, gone, data);
        }
    }

    /// New states are asserted; old ones that end are deasserted unless another took their place.
    fn log_states(&mut self, sensor: &Sensor, seen: u16, states: u16) {
        let (begun, ended) = (states & !seen, seen & !states);
        let (changed, gone) = if begun == 0 { (ended, DEASSERTED) } else { (begun, 0) };
        for offset in (0..15).filter(|offset| changed >> offset & 1 != 0) {
            self.log_event(sensor, gone, [offset, 0xff, 0xff]);
        }
    }

    fn log_event(&mut self, sensor: &Sensor, gone: u8, data: [u8; 3]) {
        let event = Event {
            sensor_type: sensor.sensor_type,
            number: sensor.number,
            event_type: sensor.event_type | gone,
            data,
        };
        let [address, _] = BMC_GENERATOR;
        let generator = [address, sensor.lun];
        self.devices.sel.log(event, generator, self.clock, self.options.sel_capacity);
    }
}
