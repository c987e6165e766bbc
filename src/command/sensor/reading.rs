//! Asking sensors.

use std::sync::Arc;
use std::time::Duration;

use super::super::dialog::Dialog;
use super::super::reply::{Fields, is_of_one_command};
use super::super::sdr::{SdrRepository, Sensor, SensorOwner};
use super::{Factors, Linearization, ReadingStatus, SensorReading, Severity, Thresholds};
use crate::error::{Error, ErrorKind, Result};
use crate::session::Target;
use crate::wire::message::net_fn;
use crate::wire::session_command::cmd;

const GET_SENSOR_READING_FACTORS: u8 = 0x23;
const GET_SENSOR_HYSTERESIS: u8 = 0x25;
const GET_SENSOR_THRESHOLDS: u8 = 0x27;
const GET_SENSOR_READING: u8 = 0x2d;
/// One sensor that does not answer is given up after this, so that the others have their turn.
const SENSOR_LIMIT: Duration = Duration::from_secs(5);

/// One sensor of a BMC and what it says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SensorRow {
    /// The sensor.
    pub sensor: Arc<Sensor>,
    /// Its reading, or why there is none.
    pub result: Result<SensorReading>,
}

impl SensorRow {
    /// How bad the sensor's states are; `None` when nothing is known of them.
    pub fn severity(&self) -> Option<Severity> {
        let reading = self.result.as_ref().ok()?;
        Some(self.sensor.severity(reading.states?))
    }

    /// The names of the states the sensor is in.
    pub fn state_names(&self) -> Vec<String> {
        let states = self.result.as_ref().ok().and_then(|reading| reading.states);
        self.sensor.state_names(states.unwrap_or(0))
    }
}

impl SensorReading {
    fn without(status: ReadingStatus) -> Self {
        SensorReading { status, raw: None, value: None, states: None }
    }

    /// Of a response; without the value.
    fn read(data: &[u8]) -> Result<Self> {
        let mut fields = Fields::of("Get Sensor Reading", data);
        let [raw, flags] = fields.array()?;
        if flags & 0x20 != 0 {
            return Ok(SensorReading::without(ReadingStatus::Unavailable));
        }
        if flags & 0x40 == 0 {
            return Ok(SensorReading::without(ReadingStatus::ScanningOff));
        }
        // Both bytes are optional; bit 15 reads as 1 and means nothing.
        let states = match *fields.rest() {
            [] => None,
            [low] => Some(u16::from(low)),
            [low, high, ..] => Some(u16::from_le_bytes([low, high & 0x7f])),
        };
        Ok(SensorReading { status: ReadingStatus::Valid, raw: Some(raw), value: None, states })
    }
}

impl Dialog {
    /// Get Sensor Reading (§35.14), with the value by the sensor's record, and for a non-linear
    /// one by Get Sensor Reading Factors.
    ///
    /// A sensor that is absent is `Completion` with CBh at most BMCs.
    pub async fn sensor_reading(&self, sensor: &Sensor) -> Result<SensorReading> {
        let Some(owner) = self.at_owner(sensor) else {
            return Ok(SensorReading::without(ReadingStatus::NotAccessible));
        };
        let request = [sensor.number];
        let data = owner.ask(net_fn::SENSOR_EVENT, GET_SENSOR_READING, &request).await?;
        let mut reading = SensorReading::read(&data)?;
        if let Some(raw) = reading.raw.filter(|_| sensor.has_values()) {
            reading.value = owner.value_of(sensor, raw).await?;
        }
        if sensor.event_type.is_threshold() {
            // Byte 3 of a threshold sensor has no meaning, nor have bits 7:6 of byte 2. Some BMCs
            // leave out both.
            let computed = || reading.value.map(|value| sensor.thresholds().states_of(value));
            reading.states = match reading.states {
                Some(states) => Some(states & 0x3f),
                None => computed(),
            };
        }
        Ok(reading)
    }

    /// Get Sensor Thresholds (§35.9): those that hold now.
    ///
    /// Fails with `Incompatible` for a sensor that cannot be reached.
    pub async fn sensor_thresholds(&self, sensor: &Sensor) -> Result<Thresholds> {
        let owner = self.at_owner(sensor).ok_or_else(not_accessible)?;
        let request = [sensor.number];
        let data = owner.ask(net_fn::SENSOR_EVENT, GET_SENSOR_THRESHOLDS, &request).await?;
        let mut fields = Fields::of("Get Sensor Thresholds", &data);
        let [readable, raw @ ..]: [u8; 7] = fields.array()?;
        let mut values = [None; 6];
        for (at, raw) in raw.into_iter().enumerate() {
            if readable & 1 << at != 0 {
                values[at] = owner.value_of(sensor, raw).await?;
            }
        }
        Ok(Thresholds::from_array(values))
    }

    /// Get Sensor Hysteresis (§35.7): raw, for going up and for going down; see
    /// [`Sensor::hysteresis_value`].
    ///
    /// Fails with `Incompatible` for a sensor that cannot be reached.
    pub async fn sensor_hysteresis(&self, sensor: &Sensor) -> Result<[u8; 2]> {
        let owner = self.at_owner(sensor).ok_or_else(not_accessible)?;
        let request = [sensor.number, 0xff];
        let data = owner.ask(net_fn::SENSOR_EVENT, GET_SENSOR_HYSTERESIS, &request).await?;
        Fields::of("Get Sensor Hysteresis", &data).array()
    }

    /// Get Sensor Reading Factors (§35.5): those of one raw reading of a non-linear sensor.
    ///
    /// Fails with `Incompatible` for a sensor that cannot be reached.
    pub async fn sensor_factors(&self, sensor: &Sensor, raw: u8) -> Result<Factors> {
        let owner = self.at_owner(sensor).ok_or_else(not_accessible)?;
        owner.factors(sensor.number, raw).await
    }

    /// Asks every sensor that has readings, each at its owner. One that fails has its error in
    /// its own row; the call fails only when the session does.
    ///
    /// Those of other controllers are asked by way of the BMC. A sensor that does not answer at
    /// all costs 5 s. When the time is over, the rows that are left say `TimedOut`.
    pub async fn sensors(&self, repository: &SdrRepository) -> Result<Vec<SensorRow>> {
        let mut rows = Vec::with_capacity(repository.sensors.len());
        // That a session takes its time to come up is no sensor's fault.
        self.reply(net_fn::APP, cmd::GET_DEVICE_ID, &[]).await?;
        let patient = self.within(SENSOR_LIMIT);
        for sensor in &repository.sensors {
            let result = match self.is_late() {
                true => Err(Error::new(ErrorKind::TimedOut)),
                false => patient.sensor_reading(sensor).await,
            };
            if let Err(error) = &result
                && !is_of_one_command(error)
            {
                return Err(error.clone());
            }
            rows.push(SensorRow { sensor: sensor.clone(), result });
        }
        Ok(rows)
    }

    /// The dialog with the controller a sensor belongs to; `None` for one of software.
    fn at_owner(&self, sensor: &Sensor) -> Option<Dialog> {
        let SensorOwner { address, channel, lun } = sensor.owner;
        Target::owner(address, channel, lun).map(|target| self.at(target))
    }

    async fn value_of(&self, sensor: &Sensor, raw: u8) -> Result<Option<f64>> {
        let Some(analog) = sensor.analog.filter(|_| sensor.is_non_linear()) else {
            return Ok(sensor.value(raw));
        };
        let Some(number) = analog.format.number(raw) else { return Ok(None) };
        let factors = self.factors(sensor.number, raw).await?;
        Ok(factors.value(number, Linearization::Linear))
    }

    async fn factors(&self, number: u8, raw: u8) -> Result<Factors> {
        let request = [number, raw];
        let data = self.ask(net_fn::SENSOR_EVENT, GET_SENSOR_READING_FACTORS, &request).await?;
        let mut fields = Fields::of("Get Sensor Reading Factors", &data);
        fields.u8()?; // The next raw reading that has factors of its own.
        Ok(Factors::read(fields.array()?))
    }
}

fn not_accessible() -> Error {
    Error::with_text(ErrorKind::Incompatible, "the sensor's owner cannot be reached")
}

#[cfg(test)]
mod tests {
    use super::super::super::play::{hostile, play, reply};
    use super::super::super::sdr::Sdr;
    use super::super::super::sdr::record_tests::{compact, full};
    use super::*;

    fn sensor(change: impl Fn(&mut [u8])) -> Sensor {
        let mut bytes = full(0x30, "FAN1");
        change(&mut bytes);
        Sdr::new(1, &bytes).sensors().remove(0)
    }

    fn read(sensor: &Sensor, data: &[u8]) -> Result<SensorReading> {
        play(async |dialog| dialog.sensor_reading(sensor).await, |_| reply(0, data))
    }

    #[test]
    fn a_reading_is_a_value_and_states_or_says_why_not() {
        let fan = sensor(|_| {});
        let reading = read(&fan, &[88, 0xc0, 0xc0]).expect("read");
        assert_eq!((reading.raw, reading.value, reading.states), (Some(88), Some(5280.0), Some(0)));
        let reading = read(&fan, &[9, 0xc0, 0xc2, 0x80]).expect("read");
        assert_eq!((reading.value, reading.states), (Some(540.0), Some(2)));
        // Without state bytes the thresholds of the record decide.
        assert_eq!(read(&fan, &[9, 0xc0]).expect("read").states, Some(2));
        let status = |data: &[u8]| read(&fan, data).expect("read").status;
        assert_eq!(status(&[0, 0xe0, 0]), ReadingStatus::Unavailable);
        assert_eq!(status(&[0, 0x80, 0]), ReadingStatus::ScanningOff);
        assert_eq!(read(&fan, &[0]).err().map(|e| e.kind()), Some(ErrorKind::PeerMisbehaved));
        let supply = Sdr::new(1, &compact(1, 1, "PSU")).sensors().remove(0);
        let reading = read(&supply, &[7, 0xc0, 0x01, 0x80]).expect("read");
        assert_eq!((reading.value, reading.states), (None, Some(1)));
    }

    #[test]
    fn a_sensor_is_asked_at_its_owners_lun() {
        let far = sensor(|bytes| bytes[6] = 2);
        let mut lun = None;
        let asked = play(
            async |dialog| dialog.sensor_reading(&far).await,
            |request| {
                lun = Some(request.target.lun_number());
                assert!(!request.target.is_bridged());
                reply(0, &[1, 0xc0, 0])
            },
        );
        assert!(asked.is_ok());
        assert_eq!(lun, Some(2));
        let behind = sensor(|bytes| bytes[5..7].copy_from_slice(&[0x2c, 0x61]));
        let asked = play(
            async |dialog| dialog.sensor_reading(&behind).await,
            |request| {
                assert_eq!(request.target, Target::behind(6, 0x2c).lun(1));
                reply(0, &[1, 0xc0, 0])
            },
        );
        assert!(asked.is_ok());
        let software = sensor(|bytes| bytes[5] = 0x41);
        let asked = play(
            async |dialog| dialog.sensor_reading(&software).await,
            |_| panic!("software does not answer"),
        );
        assert_eq!(asked.expect("no error").status, ReadingStatus::NotAccessible);
    }

    #[test]
    fn a_non_linear_sensor_has_factors_for_each_reading() {
        let odd = sensor(|bytes| bytes[23] = 0x70);
        assert_eq!(odd.value(4), None);
        let answer = |request: &crate::session::Request| match request.cmd {
            GET_SENSOR_READING => reply(0, &[4, 0xc0, 0]),
            GET_SENSOR_READING_FACTORS => {
                assert_eq!(request.data[0], 0x30);
                reply(0, &[9, request.data[1], 0, 1, 0, 0, 0])
            }
            GET_SENSOR_THRESHOLDS => reply(0, &[0x12, 1, 2, 3, 4, 5, 6]),
            _ => reply(0xc1, &[]),
        };
        let reading = play(async |dialog| dialog.sensor_reading(&odd).await, answer);
        assert_eq!(reading.expect("read").value, Some(17.0));
        let thresholds = play(async |dialog| dialog.sensor_thresholds(&odd).await, answer);
        let wanted = Thresholds {
            lower_critical: Some(5.0),
            upper_critical: Some(26.0),
            ..Thresholds::default()
        };
        assert_eq!(thresholds, Ok(wanted));
    }

    #[test]
    fn one_sensor_that_fails_is_one_row() {
        let records = [full(1, "A"), full(2, "B"), full(3, "C"), full(4, "D")];
        let repository = SdrRepository::of_records(&records);
        let rows = play(
            async |dialog| dialog.sensors(&repository).await,
            |request| match request.data.first() {
                Some(1) => reply(0xcb, &[]),
                Some(2) => Err(Error::new(ErrorKind::TimedOut)),
                Some(3) => reply(0, &[]),
                _ => reply(0, &[88, 0xc0, 0x02]),
            },
        );
        let rows = rows.expect("the session lives");
        let kinds: Vec<_> =
            rows.iter().map(|row| row.result.as_ref().err().map(Error::kind)).collect();
        let (code, late) = (ErrorKind::Completion, ErrorKind::TimedOut);
        assert_eq!(kinds, [Some(code), Some(late), Some(ErrorKind::PeerMisbehaved), None]);
        assert_eq!(rows[3].severity(), Some(Severity::Critical));
        assert_eq!(rows[3].state_names(), ["lower critical"]);
        assert_eq!(rows[0].severity(), None);

        let lost = play(
            async |dialog| dialog.sensors(&repository).await,
            |_| Err(Error::new(ErrorKind::Lost)),
        );
        assert_eq!(lost.err().map(|error| error.kind()), Some(ErrorKind::Lost));
    }

    #[test]
    fn hostile_answers_end() {
        let odd = sensor(|bytes| bytes[23] = 0x7f);
        let repository = SdrRepository::of_records(&[full(1, "A"), compact(2, 3, "B")]);
        hostile(2000, async |dialog| dialog.sensor_reading(&odd).await);
        hostile(2000, async |dialog| dialog.sensor_thresholds(&odd).await);
        hostile(1000, async |dialog| dialog.sensor_hysteresis(&odd).await);
        hostile(2000, async |dialog| dialog.sensors(&repository).await);
    }
}
