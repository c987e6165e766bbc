//! What sensors say.

use bmclink::Dialog;
use bmclink::command::{EventType, Linearization, Sdr, SdrBody, Sensor, Target};

use crate::events;
use crate::link::Link;
use crate::text::{Failure, Outcome};

const SENSOR_EVENT: u8 = 0x04;
const GET_SENSOR_READING: u8 = 0x2d;
/// Bits of thresholds and of states above or below them, in the order of the bits.
pub const THRESHOLDS: [&str; 6] = ["lnc", "lcr", "lnr", "unc", "ucr", "unr"];

/// One reading.
#[derive(Default)]
pub struct Reading {
    /// The byte as sent; `None` without a reading.
    pub raw: Option<u8>,
    pub value: Option<f64>,
    /// The two bytes of states.
    pub states: [u8; 2],
    /// The BMC does not look at it.
    pub scanning_off: bool,
}

impl Reading {
    pub fn is_valid(&self) -> bool {
        self.raw.is_some()
    }

    /// The worst threshold that is crossed, upper ones first, by its place in `THRESHOLDS`.
    fn crossed(&self) -> Option<usize> {
        [5, 2, 4, 1, 3, 0].into_iter().find(|bit| self.states[0] & 1 << bit != 0)
    }

    /// `ok`, `nc`, `cr`, `nr`; `ns` without a reading.
    pub fn short_status(&self, sensor: &Sensor) -> &'static str {
        match self.long_status(sensor) {
            "lnc" | "unc" => "nc",
            "lcr" | "ucr" => "cr",
            "lnr" | "unr" => "nr",
            other => other,
        }
    }

    /// The same, saying which side.
    pub fn long_status(&self, sensor: &Sensor) -> &'static str {
        match self.crossed() {
            _ if !self.is_valid() => "ns",
            Some(bit) if sensor.event_type.is_threshold() => THRESHOLDS[bit],
            _ => "ok",
        }
    }

    /// The same in words.
    pub fn status_words(&self, sensor: &Sensor) -> &'static str {
        match self.long_status(sensor) {
            "lnc" => "Lower Non-Critical",
            "lcr" => "Lower Critical",
            "lnr" => "Lower Non-Recoverable",
            "unc" => "Upper Non-Critical",
            "ucr" => "Upper Critical",
            "unr" => "Upper Non-Recoverable",
            "ns" => "Not Available",
            _ => "ok",
        }
    }

    /// The states it is in.
    pub fn state_names(&self, sensor: &Sensor) -> Vec<&'static str> {
        let states = u16::from_le_bytes(self.states) & 0x7fff;
        state_names(sensor.event_type, sensor.sensor_type.0, states)
    }
}

/// What the bits of a discrete sensor mean.
pub fn state_names(event_type: EventType, sensor_type: u8, states: u16) -> Vec<&'static str> {
    let set = (0..15u8).filter(|bit| states & 1 << bit != 0);
    let names = set.map(|bit| events::event(event_type.0, sensor_type, bit));
    names.filter(|name| !name.is_empty()).collect()
}

/// The sensor of a record that can be asked for a reading.
pub fn sensor_of(record: &Sdr) -> Option<&Sensor> {
    match &record.body {
        SdrBody::Full(sensor) | SdrBody::Compact(sensor, _) => Some(sensor),
        _ => None,
    }
}

/// Where the sensor's own commands go; `None` when software owns it.
pub fn owner(sensor: &Sensor) -> Option<Target> {
    Target::owner(sensor.owner.address, sensor.owner.channel, sensor.owner.lun)
}

/// The answer of a sensor's owner to one of the commands about it; `None` when there is none.
pub fn about(link: &mut Link, sensor: &Sensor, cmd: u8, more: &[u8]) -> Outcome<Option<Vec<u8>>> {
    let Some(owner) = owner(sensor) else { return Ok(None) };
    let request = [&[sensor.number], more].concat();
    match link.ask_at(owner, SENSOR_EVENT, cmd, &request)? {
        Ok(reply) if reply.completion_code.0 == 0 => Ok(Some(reply.data)),
        Ok(_) => Ok(None),
        // A controller behind the BMC may be silent, and the others are still there.
        Err(error) if error.kind() == bmclink::ErrorKind::TimedOut => Ok(None),
        Err(error) => Err(Failure::of("Error reading sensor", &error)),
    }
}

/// Asks a sensor. One that does not answer has no reading.
pub fn read(link: &mut Link, sensor: &Sensor) -> Outcome<Reading> {
    let Some(data) = about(link, sensor, GET_SENSOR_READING, &[])? else {
        return Ok(Reading::default());
    };
    let [Some(raw), Some(flags)] = [data.first(), data.get(1)] else {
        return Ok(Reading::default());
    };
    let scanning_off = flags & 0x40 == 0;
    if flags & 0x20 != 0 || scanning_off {
        return Ok(Reading { scanning_off, ..Reading::default() });
    }
    let states = [2, 3].map(|at: usize| data.get(at).copied().unwrap_or(0));
    let value = value(link, sensor, *raw)?;
    Ok(Reading { raw: Some(*raw), value, states, scanning_off })
}

/// The value of a byte; non-linear sensors have factors for each.
pub fn value(link: &mut Link, sensor: &Sensor, raw: u8) -> Outcome<Option<f64>> {
    let Some(analog) = sensor.analog else { return Ok(None) };
    let Some(number) = analog.format.number(raw) else { return Ok(None) };
    if !matches!(analog.linearization, Linearization::NonLinear(_)) {
        return Ok(analog.factors.value(number, analog.linearization));
    }
    let Some(owner) = owner(sensor) else { return Ok(None) };
    let asked = async |dialog: Dialog| dialog.sensor_factors(sensor, raw).await;
    match link.run_at(owner, asked)? {
        Ok(factors) => Ok(factors.value(number, Linearization::Linear)),
        Err(_) => Ok(None),
    }
}

/// A value with so many digits, or none when it is a whole number.
pub fn digits(value: f64, digits: usize) -> String {
    match value == value.trunc() {
        true => format!("{value:.0}"),
        false => format!("{value:.digits$}"),
    }
}
