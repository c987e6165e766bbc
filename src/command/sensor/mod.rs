//! Sensors: readings, values, states, thresholds (§35).

mod convert;
mod reading;
mod states;
mod units;

use std::fmt;

pub use self::convert::{DataFormat, Factors, Linearization};
pub use self::reading::SensorRow;
pub use self::states::{EventType, SensorType, Severity};
pub use self::units::Units;
use super::sdr::Sensor;

/// What a sensor said when it was asked (§35.14).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SensorReading {
    /// Whether the rest means anything.
    pub status: ReadingStatus,
    /// The byte as sent; `None` unless `status` is `Valid`.
    pub raw: Option<u8>,
    /// The value in the sensor's unit; `None` when it has none, or none now.
    pub value: Option<f64>,
    /// The states it is in, one bit for each: of a threshold sensor bit 0 to 2 below lower
    /// non-critical, critical, non-recoverable, 3 to 5 above the upper ones; of others bit n is
    /// state number n. `None` when it does not say.
    pub states: Option<u16>,
}

/// Whether a sensor has a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadingStatus {
    /// It has.
    Valid,
    /// It has none now: it starts, or what it watches is absent or off.
    Unavailable,
    /// The BMC does not look at it.
    ScanningOff,
    /// It belongs to software, which cannot be asked.
    NotAccessible,
}

/// The thresholds of a sensor, in its unit; `None` where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Thresholds {
    /// Not well below this.
    pub lower_non_critical: Option<f64>,
    /// Critical below this.
    pub lower_critical: Option<f64>,
    /// Damaged below this.
    pub lower_non_recoverable: Option<f64>,
    /// Not well above this.
    pub upper_non_critical: Option<f64>,
    /// Critical above this.
    pub upper_critical: Option<f64>,
    /// Damaged above this.
    pub upper_non_recoverable: Option<f64>,
}

impl Thresholds {
    /// In the order of the bits of a threshold sensor's states.
    fn from_array(values: [Option<f64>; 6]) -> Self {
        let [lnc, lc, lnr, unc, uc, unr] = values;
        Thresholds {
            lower_non_critical: lnc,
            lower_critical: lc,
            lower_non_recoverable: lnr,
            upper_non_critical: unc,
            upper_critical: uc,
            upper_non_recoverable: unr,
        }
    }

    /// The states of a threshold sensor with this value, as in [`SensorReading::states`].
    pub fn states_of(&self, value: f64) -> u16 {
        let below = |limit: Option<f64>| limit.is_some_and(|limit| value <= limit);
        let above = |limit: Option<f64>| limit.is_some_and(|limit| value >= limit);
        let bits = [
            below(self.lower_non_critical),
            below(self.lower_critical),
            below(self.lower_non_recoverable),
            above(self.upper_non_critical),
            above(self.upper_critical),
            above(self.upper_non_recoverable),
        ];
        (0..).zip(bits).map(|(at, set)| u16::from(set) << at).sum()
    }
}

impl Sensor {
    /// The value a byte of this sensor stands for; `None` when the sensor has no values, when
    /// there is none for this byte, or when it is non-linear: see
    /// [`Dialog::sensor_factors`](crate::Dialog::sensor_factors).
    pub fn value(&self, raw: u8) -> Option<f64> {
        let analog = self.analog.filter(|_| self.has_values())?;
        match analog.linearization {
            Linearization::NonLinear(_) | Linearization::Other(_) => None,
            function => analog.factors.value(analog.format.number(raw)?, function),
        }
    }

    /// Whether its bytes are values. Records of sensors that only have states often say nothing
    /// of a format, and then mean no values.
    pub fn has_values(&self) -> bool {
        let measures = |factors: Factors| factors.m != 0 && self.units != Units::default();
        self.analog.is_some_and(|analog| self.event_type.is_threshold() || measures(analog.factors))
    }

    /// Whether the factors of its record hold for one reading only.
    fn is_non_linear(&self) -> bool {
        let linearization = self.analog.map(|analog| analog.linearization);
        matches!(linearization, Some(Linearization::NonLinear(_)))
    }

    /// The thresholds its record has. They may have been set to others since: see
    /// [`Dialog::sensor_thresholds`](crate::Dialog::sensor_thresholds).
    pub fn thresholds(&self) -> Thresholds {
        let raw = self.analog.map_or([None; 6], |analog| analog.thresholds);
        self.thresholds_of(raw)
    }

    fn thresholds_of(&self, raw: [Option<u8>; 6]) -> Thresholds {
        match self.event_type.is_threshold() {
            true => Thresholds::from_array(raw.map(|raw| self.value(raw?))),
            false => Thresholds::default(),
        }
    }

    /// A raw hysteresis as a difference of values; `None` when it is none, or not the same
    /// everywhere.
    pub fn hysteresis_value(&self, raw: u8) -> Option<f64> {
        let analog = self.analog.filter(|analog| analog.linearization == Linearization::Linear)?;
        let factors = Factors { b: 0, m: analog.factors.m.saturating_abs(), ..analog.factors };
        (raw != 0).then(|| factors.value(raw.into(), Linearization::Linear))?
    }

    /// The names of the states whose bits are set.
    pub fn state_names(&self, states: u16) -> Vec<String> {
        let set = (0..16u8).filter(|bit| states & 1 << bit != 0);
        if self.event_type.is_threshold() {
            let names = set.filter_map(|bit| THRESHOLD_STATES.get(usize::from(bit)));
            return names.map(|name| (*name).to_owned()).collect();
        }
        let name = |bit| self.event_type.state_name(self.sensor_type, bit);
        set.map(|bit| name(bit).map_or_else(|| format!("state {bit}"), str::to_owned)).collect()
    }

    /// How bad it is to be in these states.
    pub fn severity(&self, states: u16) -> Severity {
        if self.event_type.is_threshold() {
            return match states & 0x3f {
                states if states & 0x24 != 0 => Severity::NonRecoverable,
                states if states & 0x12 != 0 => Severity::Critical,
                states if states != 0 => Severity::Warning,
                _ => Severity::Ok,
            };
        }
        let set = (0..15u8).filter(|bit| states & 1 << bit != 0);
        let severity = |bit| self.event_type.severity(self.sensor_type, bit);
        set.map(severity).max().unwrap_or(Severity::Ok)
    }
}

const THRESHOLD_STATES: [&str; 6] = [
    "lower non-critical",
    "lower critical",
    "lower non-recoverable",
    "upper non-critical",
    "upper critical",
    "upper non-recoverable",
];

impl fmt::Display for ReadingStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReadingStatus::Valid => "valid",
            ReadingStatus::Unavailable => "no reading",
            ReadingStatus::ScanningOff => "disabled",
            ReadingStatus::NotAccessible => "not accessible",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sdr::Sdr;
    use super::super::sdr::record_tests::{compact, full};
    use super::*;

    #[test]
    fn values_thresholds_and_hysteresis_are_in_the_sensors_unit() {
        let fan = Sdr::new(1, &full(1, "FAN")).sensors().remove(0);
        assert_eq!(fan.value(88), Some(5280.0));
        let thresholds = fan.thresholds();
        assert_eq!(thresholds.lower_critical, Some(600.0));
        assert_eq!(thresholds.upper_non_critical, Some(12_000.0));
        assert_eq!((thresholds.upper_critical, thresholds.lower_non_critical), (None, None));
        assert_eq!((fan.hysteresis_value(2), fan.hysteresis_value(0)), (Some(120.0), None));
        assert_eq!(thresholds.states_of(600.0), 0x02);
        assert_eq!(thresholds.states_of(12_000.0), 0x08);
        assert_eq!(thresholds.states_of(5280.0), 0);
    }

    #[test]
    fn states_are_as_bad_as_the_worst() {
        let fan = Sdr::new(1, &full(1, "FAN")).sensors().remove(0);
        let severities = [0xc0, 0x01, 0x08, 0x03, 0x10, 0x07, 0x38].map(|s| fan.severity(s));
        use Severity::{Critical, NonRecoverable, Ok, Warning};
        let wanted = [Ok, Warning, Warning, Critical, Critical, NonRecoverable, NonRecoverable];
        assert_eq!(severities, wanted);
        assert_eq!(fan.state_names(0xc3), ["lower non-critical", "lower critical"]);

        let supply = Sdr::new(1, &compact(1, 1, "PSU")).sensors().remove(0);
        assert_eq!(supply.severity(0x8001), Ok);
        assert_eq!(supply.severity(0x000b), Critical);
        assert_eq!(supply.state_names(0x0409), ["present", "input lost", "state 10"]);
        assert_eq!(supply.value(3), None);
    }
}
