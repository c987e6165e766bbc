//! Sensors: what they are, how their readings move, and what thresholds make of them.
//!
//! A reading is a function of time and of the BMC's seed, so an idle sensor costs nothing: the
//! table is one for all BMCs, and a BMC keeps only what was changed.

mod table;

use std::time::Duration;

pub(super) use table::{BMC_SENSORS, SATELLITE_SENSORS, entity, number};

/// The event/reading type of threshold sensors.
pub(super) const THRESHOLD: u8 = 0x01;
/// Raw readings of hysteresis, above and below, of every threshold sensor.
pub(super) const HYSTERESIS: u8 = 2;
/// The linearization of sensors whose factors change with the reading.
pub(super) const NON_LINEAR: u8 = 0x70;
/// Where the non-linear sensors change their factors.
const BEND: i16 = 100;

/// A sensor.
pub(super) struct Sensor {
    pub number: u8,
    /// The owner LUN; a number is only unique with it.
    pub lun: u8,
    pub name: &'static str,
    pub sensor_type: u8,
    /// Event/reading type: 01h is a threshold sensor.
    pub event_type: u8,
    /// Entity ID and instance.
    pub entity: (u8, u8),
    /// What it reads while the host is off.
    pub when_off: WhenOff,
    pub kind: Kind,
}

/// What a sensor reads while the host is off.
#[derive(Clone, Copy)]
pub(super) enum WhenOff {
    /// What it reads otherwise.
    Same,
    /// Nothing: the reading is unavailable.
    Unavailable,
    /// A fixed value: the raw reading, or the states.
    Reads(i16),
}

/// Analog or discrete.
pub(super) enum Kind {
    Analog(Analog),
    /// The states while all is well.
    Discrete(u16),
}

/// How raw readings are written in a byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Unsigned = 0,
    OnesComplement = 1,
    TwosComplement = 2,
}

/// An analog sensor: y = L((M·x + B·10^K1)·10^K2).
pub(super) struct Analog {
    pub format: Format,
    /// Whether the unit is a percentage.
    pub percent: bool,
    pub base_unit: u8,
    pub linearization: u8,
    pub factors: Factors,
    /// The raw reading it moves around, how far, and how long it takes there and back.
    pub mean: i16,
    pub sway: i16,
    pub period_s: u16,
    /// Raw thresholds in the order of Get Sensor Thresholds: LNC, LC, LNR, UNC, UC, UNR.
    pub thresholds: [Option<i16>; 6],
}

/// M, B, K1 and K2.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    pub m: i16,
    pub b: i16,
    pub b_exponent: i8,
    pub r_exponent: i8,
}

/// What a sensor reads now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Unavailable,
    /// The byte of the reading, and the state bits it makes.
    Analog(u8, u8),
    Discrete(u16),
}

/// What decides which states a reading makes.
#[derive(Clone, Copy, Default)]
pub(super) struct Limits {
    /// Raw thresholds in the order of Get Sensor Thresholds.
    pub thresholds: [Option<i16>; 6],
    /// Raw readings: for thresholds above, and below.
    pub hysteresis: [u8; 2],
    /// The states at the last look.
    pub seen: u16,
}

/// What decides all readings of a BMC.
#[derive(Clone, Copy)]
pub(super) struct Surroundings {
    pub seed: u32,
    /// Since the BMC was made.
    pub elapsed: Duration,
    pub power_on: bool,
}

impl Sensor {
    /// Its number, different for every LUN.
    pub fn key(&self) -> u8 {
        self.number | self.lun << 7
    }

    /// Its limits as shipped.
    pub fn shipped_limits(&self) -> Limits {
        let thresholds = self.analog().map(|analog| analog.thresholds).unwrap_or_default();
        Limits { thresholds, hysteresis: [HYSTERESIS; 2], seen: 0 }
    }

    /// The events it can send: byte 14 of its record.
    pub fn event_mask(&self) -> u16 {
        self.analog().map_or(0x7fff, |analog| threshold_events(analog.threshold_mask()))
    }

    /// The sensor's analog side.
    pub fn analog(&self) -> Option<&Analog> {
        match &self.kind {
            Kind::Analog(analog) => Some(analog),
            Kind::Discrete(_) => None,
        }
    }

    /// What it reads when nobody interferes, states aside: the raw reading or the states.
    pub fn natural(&self, around: Surroundings) -> Option<i16> {
        match self.when_off {
            WhenOff::Unavailable if !around.power_on => return None,
            WhenOff::Reads(value) if !around.power_on => return Some(value),
            _ => {}
        }
        Some(match &self.kind {
            Kind::Analog(analog) => analog.at(self.number, around),
            Kind::Discrete(states) => *states as i16,
        })
    }

    /// The reading that `value`, a raw reading or the states, makes with these limits.
    pub fn reading(&self, value: Option<i16>, limits: &Limits) -> Reading {
        match (value, &self.kind) {
            (None, _) => Reading::Unavailable,
            (Some(value), Kind::Discrete(_)) => Reading::Discrete(value as u16),
            (Some(value), Kind::Analog(analog)) => {
                Reading::Analog(analog.encode(value), analog.states(value, limits))
            }
        }
    }
}

impl Analog {
    /// The raw reading at a time: a triangle around the mean, shifted by the seed.
    fn at(&self, number: u8, around: Surroundings) -> i16 {
        let period = u64::from(self.period_s).max(1);
        let shift = around.seed.wrapping_mul(0x9e37_79b9).rotate_left(u32::from(number));
        let phase = (around.elapsed.as_secs() + u64::from(shift)) % period;
        let height = (2 * phase).abs_diff(period) as i64; // 0 to `period` and back.
        let sway = i64::from(self.sway);
        (i64::from(self.mean) - sway + 2 * sway * height / period as i64) as i16
    }

    /// The factors for a raw reading; they only differ where the sensor is non-linear.
    pub fn factors_at(&self, raw: i16) -> Factors {
        let factors = self.factors;
        if self.linearization != NON_LINEAR || raw < BEND {
            return factors;
        }
        // Twice as steep from the bend on, and in one piece with what is below it.
        Factors { m: 2 * factors.m, b: factors.b - factors.m * BEND, ..factors }
    }

    /// The value in the sensor's unit.
    pub fn value(&self, raw: i16) -> f64 {
        let factors = self.factors_at(raw);
        let b = f64::from(factors.b) * 10f64.powi(factors.b_exponent.into());
        let linear = f64::from(factors.m) * f64::from(raw) + b;
        let linear = linear * 10f64.powi(factors.r_exponent.into());
        match self.linearization {
            7 => 1.0 / linear,
            10 => linear.sqrt(),
            _ => linear,
        }
    }

    /// The byte of a raw reading.
    pub fn encode(&self, raw: i16) -> u8 {
        match self.format {
            Format::OnesComplement if raw < 0 => !(-raw as u8),
            _ => raw as u8,
        }
    }

    /// The raw reading of a byte.
    pub fn decode(&self, byte: u8) -> i16 {
        match self.format {
            Format::Unsigned => byte.into(),
            Format::OnesComplement if byte & 0x80 != 0 => -i16::from(!byte),
            _ => (byte as i8).into(),
        }
    }

    /// Byte 2 of Get Sensor Reading (§35.14): which thresholds are reached, or were and are not
    /// left behind by more than the hysteresis (§35.6).
    pub fn states(&self, raw: i16, limits: &Limits) -> u8 {
        let value = self.value(raw);
        // Towards lower values, in raw readings.
        let down = if self.factors.m < 0 { 1 } else { -1 };
        let mut states = 0;
        for (bit, threshold) in limits.thresholds.iter().enumerate() {
            let Some(threshold) = threshold else { continue };
            let held = limits.seen >> bit & 1 != 0;
            let [above, below] = limits.hysteresis.map(i16::from);
            let reached = if bit < 3 {
                value <= self.value(threshold - if held { down * below } else { 0 })
            } else {
                value >= self.value(threshold + if held { down * above } else { 0 })
            };
            states |= u8::from(reached) << bit;
        }
        states
    }

    /// Which thresholds there are.
    pub fn threshold_mask(&self) -> u8 {
        let present = self.thresholds.iter().enumerate().filter(|(_, value)| value.is_some());
        present.fold(0, |mask, (bit, _)| mask | 1 << bit)
    }
}

/// What somebody changed about the sensors of one BMC, and what was last seen of them.
#[derive(Default)]
pub(super) struct SensorChanges {
    /// Readings from outside instead of the sensor's own.
    pub values: Vec<(u8, i16)>,
    pub thresholds: Vec<(u8, [Option<i16>; 6])>,
    pub hysteresis: Vec<(u8, [u8; 2])>,
    /// Get Sensor Event Enable, byte 0: bit 7 event messages, bit 6 scanning.
    pub event_enables: Vec<(u8, u8)>,
    /// The states at the last look, where they were not those of a good sensor.
    pub seen: Vec<(u8, u16)>,
}

/// The events of thresholds, from the bits of Get Sensor Thresholds: two of each from LNC to UNR,
/// of which lower ones use going low and upper ones going high.
pub(super) fn threshold_events(thresholds: u8) -> u16 {
    let set = (0..6).filter(|bit| thresholds >> bit & 1 != 0);
    set.fold(0, |events, bit| events | 1 << (2 * bit + u16::from(bit >= 3)))
}

/// Puts a value into a list of such, in place of the one before.
pub(super) fn put<T>(list: &mut Vec<(u8, T)>, key: u8, value: Option<T>) {
    list.retain(|entry| entry.0 != key);
    list.extend(value.map(|value| (key, value)));
}

/// The value of a key.
pub(super) fn find<T: Copy>(list: &[(u8, T)], key: u8) -> Option<T> {
    list.iter().find(|entry| entry.0 == key).map(|entry| entry.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sensor(number: u8) -> (&'static Sensor, &'static Analog) {
        let found = BMC_SENSORS.iter().find(|sensor| (sensor.number, sensor.lun) == (number, 0));
        let found = found.expect("a sensor");
        (found, found.analog().expect("an analog one"))
    }

    fn around(seed: u32, seconds: u64) -> Surroundings {
        Surroundings { seed, elapsed: Duration::from_secs(seconds), power_on: true }
    }

    #[test]
    fn readings_move_around_their_mean_and_come_back() {
        for sensor in BMC_SENSORS.iter().chain(SATELLITE_SENSORS) {
            let Some(analog) = sensor.analog() else { continue };
            let raw = |seconds| analog.at(sensor.number, around(77, seconds));
            let period = u64::from(analog.period_s);
            let seen: Vec<i16> = (0..period).map(raw).collect();
            let (low, high) = (*seen.iter().min().unwrap(), *seen.iter().max().unwrap());
            assert!(low >= analog.mean - analog.sway, "{}", sensor.name);
            assert!(high <= analog.mean + analog.sway, "{}", sensor.name);
            assert!(analog.sway == 0 || high > low, "{} does not move", sensor.name);
            assert_eq!(raw(5), raw(5 + period), "{}", sensor.name);
            assert!(
                seen.iter().all(|raw| analog.states(*raw, &sensor.shipped_limits()) == 0),
                "{} alarms by itself",
                sensor.name
            );
        }
    }

    #[test]
    fn two_bmcs_are_not_in_step() {
        let (cpu, _) = sensor(number::CPU_TEMP);
        let of = |seed| (0..60).map(|s| cpu.natural(around(seed, s))).collect::<Vec<_>>();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn values_follow_their_formula() {
        let near = |number: u8, raw: i16, wanted: f64| {
            let (sensor, analog) = sensor(number);
            let value = analog.value(raw);
            assert!((value - wanted).abs() < 1e-9, "{} {raw}: {value}", sensor.name);
        };
        near(number::P12V, 192, 12.096);
        near(number::EXHAUST_TEMP, 62, 38.0);
        near(number::DIMM_MARGIN, -30, -30.0);
        near(number::FAN1, 124, 6200.0);
        near(number::PS1_CURRENT, 45, 0.95);
        near(number::AIRFLOW, 160, 40.0);
        near(number::PUMP_PERIOD, 50, 0.02);
        near(number::INLET_PRESSURE, 90, 90.0);
        near(number::INLET_PRESSURE, 100, 100.0);
        near(number::INLET_PRESSURE, 101, 102.0);
    }

    #[test]
    fn bytes_are_in_the_format_of_the_sensor() {
        for (number, raw, byte) in [
            (number::CPU_TEMP, 200, 200),
            (number::DIMM_MARGIN, -30, 0xe2),
            (number::VREF_TRIM, -12, 0xf3),
            (number::VREF_TRIM, 12, 12),
        ] {
            let (_, analog) = sensor(number);
            assert_eq!(analog.encode(raw), byte);
            assert_eq!(analog.decode(byte), raw);
        }
    }

    #[test]
    fn a_negative_factor_turns_thresholds_around() {
        let (sensor, analog) = sensor(number::EXHAUST_TEMP);
        let states = |degrees: i16| analog.states(100 - degrees, &sensor.shipped_limits());
        assert_eq!([states(38), states(61), states(71)], [0, 0x08, 0x18]);
    }

    #[test]
    fn a_threshold_is_left_behind_by_more_than_the_hysteresis() {
        for number in [number::CPU_TEMP, number::EXHAUST_TEMP] {
            let (sensor, analog) = sensor(number);
            let shipped = sensor.shipped_limits();
            let threshold = shipped.thresholds[3].unwrap();
            // Raw readings of one and of three degrees less.
            let less = |degrees: i16| threshold - degrees * analog.factors.m;
            assert_eq!(analog.states(less(1), &shipped), 0, "{}", sensor.name);
            let held = Limits { seen: 0x08, ..shipped };
            assert_eq!(analog.states(less(1), &held), 0x08, "{}", sensor.name);
            assert_eq!(analog.states(less(3), &held), 0, "{}", sensor.name);
        }
        let (fan, analog) = sensor(number::FAN1);
        let held = Limits { seen: 0x01, ..fan.shipped_limits() };
        assert_eq!([31, 33].map(|raw| analog.states(raw, &held)), [0x01, 0]);
    }
}
