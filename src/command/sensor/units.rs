//! Units of sensors (§43.17).

use std::fmt;

/// The unit of a sensor's value: base unit, modifier unit, rate and percentage, by their numbers
/// in the SDR.
///
/// `Display` is the unit as text: `degrees C`, `RPM`, `Watts`, `percent`, `byte/second`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Units {
    /// The base unit's number; 0 is unspecified.
    pub base: u8,
    /// The modifier unit's number.
    pub modifier: u8,
    /// How base and modifier belong together: 0 no modifier, 1 base / modifier, 2 base * modifier.
    pub relation: u8,
    /// 0 none, 1 per microsecond, 2 per millisecond, 3 per second, 4 per minute, 5 per hour,
    /// 6 per day.
    pub rate: u8,
    /// Whether the value is a percentage.
    pub percentage: bool,
}

impl Units {
    /// From the three bytes of the SDR.
    pub(crate) fn read([units, base, modifier]: [u8; 3]) -> Self {
        Units {
            base,
            modifier,
            relation: units >> 1 & 3,
            rate: units >> 3 & 7,
            percentage: units & 1 != 0,
        }
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.percentage && self.base == 0 {
            f.write_str("percent")?;
        } else {
            if self.percentage {
                f.write_str("% ")?;
            }
            f.write_str(unit_name(self.base))?;
        }
        match self.relation {
            1 => write!(f, "/{}", unit_name(self.modifier))?,
            2 => write!(f, " * {}", unit_name(self.modifier))?,
            _ => {}
        }
        match RATES.get(usize::from(self.rate)) {
            Some(rate) if !rate.is_empty() => write!(f, " per {rate}"),
            _ => Ok(()),
        }
    }
}

/// The unit of this number; numbers nobody has given a meaning are `unknown`.
pub(super) fn unit_name(number: u8) -> &'static str {
    UNITS.get(usize::from(number)).copied().unwrap_or("unknown")
}

const RATES: [&str; 7] = ["", "microsecond", "millisecond", "second", "minute", "hour", "day"];

const UNITS: [&str; 93] = [
    "unspecified",
    "degrees C",
    "degrees F",
    "degrees K",
    "Volts",
    "Amps",
    "Watts",
    "Joules",
    "Coulombs",
    "VA",
    "Nits",
    "lumen",
    "lux",
    "Candela",
    "kPa",
    "PSI",
    "Newton",
    "CFM",
    "RPM",
    "Hz",
    "microsecond",
    "millisecond",
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "mil",
    "inches",
    "feet",
    "cu in",
    "cu feet",
    "mm",
    "cm",
    "m",
    "cu cm",
    "cu m",
    "liters",
    "fluid ounce",
    "radians",
    "steradians",
    "revolutions",
    "cycles",
    "gravities",
    "ounce",
    "pound",
    "ft-lb",
    "oz-in",
    "gauss",
    "gilberts",
    "henry",
    "millihenry",
    "farad",
    "microfarad",
    "ohms",
    "siemens",
    "mole",
    "becquerel",
    "PPM",
    "reserved",
    "Decibels",
    "DbA",
    "DbC",
    "gray",
    "sievert",
    "color temp deg K",
    "bit",
    "kilobit",
    "megabit",
    "gigabit",
    "byte",
    "kilobyte",
    "megabyte",
    "gigabyte",
    "word",
    "dword",
    "qword",
    "line",
    "hit",
    "miss",
    "retry",
    "reset",
    "overflow",
    "underrun",
    "collision",
    "packets",
    "messages",
    "characters",
    "error",
    "correctable error",
    "uncorrectable error",
    "fatal error",
    "grams",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_text() {
        let text = |units, base, modifier| Units::read([units, base, modifier]).to_string();
        assert_eq!(text(0, 1, 0), "degrees C");
        assert_eq!(text(0, 4, 0), "Volts");
        assert_eq!(text(0, 6, 0), "Watts");
        assert_eq!(text(0, 18, 0), "RPM");
        assert_eq!(text(0x01, 0, 0), "percent");
        assert_eq!(text(0x01, 17, 0), "% CFM");
        assert_eq!(text(0x02, 70, 22), "byte/second");
        assert_eq!(text(0x04, 6, 24), "Watts * hour");
        assert_eq!(text(0x18, 85, 0), "packets per second");
        assert_eq!(text(0, 92, 0), "grams");
        assert_eq!(text(0, 93, 0), "unknown");
        assert_eq!(text(0x38, 0, 0), "unspecified");
    }
}
