//! Sensor Data Records as values (§43).

use super::super::sensor::{DataFormat, EventType, Factors, Linearization, SensorType, Units};
use super::super::text::id_string;

/// The bytes before a record's body: ID, version, type, length.
pub(crate) const HEADER_LEN: usize = 5;

const FULL: u8 = 0x01;
const COMPACT: u8 = 0x02;
const EVENT_ONLY: u8 = 0x03;
const FRU_LOCATOR: u8 = 0x11;
const MC_LOCATOR: u8 = 0x12;
const OEM: u8 = 0xc0;

/// One Sensor Data Record.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sdr {
    /// Its number in the repository: the one it was asked for by, as some BMCs write another
    /// one into the record.
    pub record_id: u16,
    /// All of it, as sent.
    pub bytes: Vec<u8>,
    /// What it says.
    pub body: SdrBody,
}

/// What a Sensor Data Record says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SdrBody {
    /// A sensor with all there is to know of it, type 01h.
    Full(Sensor),
    /// A sensor without values, or several equal ones, type 02h.
    Compact(Sensor, Sharing),
    /// Something that only sends events, or several equal ones, type 03h.
    EventOnly(Sensor, Sharing),
    /// Where inventory data is kept, type 11h.
    FruLocator(FruLocator),
    /// Another management controller, type 12h.
    McLocator(McLocator),
    /// A record of the maker's own, type C0h.
    Oem {
        /// The maker by its number at IANA.
        manufacturer_id: u32,
        /// What follows.
        data: Vec<u8>,
    },
    /// A record of another type, or one too short for its type: see [`Sdr::bytes`].
    Other,
}

/// Who gives a sensor's readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SensorOwner {
    /// The slave address of a controller, 20h the BMC; or the number of software when odd.
    pub address: u8,
    /// The channel through which it is reached, 0 to 15.
    pub channel: u8,
    /// The LUN at which it answers, 0 to 3.
    pub lun: u8,
}

/// What something belongs to (§43.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity {
    /// The kind of part: 3 a processor, 7 the system board, 10 a power supply and so on.
    pub id: u8,
    /// Which of them, 0 to 127.
    pub instance: u8,
}

/// A sensor, by its record.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Sensor {
    /// Its name.
    pub name: String,
    /// Who gives its readings.
    pub owner: SensorOwner,
    /// Its number at the owner.
    pub number: u8,
    /// What it is a sensor of.
    pub entity: Entity,
    /// What it watches.
    pub sensor_type: SensorType,
    /// What kind of states it has.
    pub event_type: EventType,
    /// The unit of its values.
    pub units: Units,
    /// Which events or thresholds it has, as sent: assertions, deassertions, readings; 0 in an
    /// event-only record.
    pub masks: [u16; 3],
    /// How to read its values, if it has any.
    pub analog: Option<Analog>,
    /// Raw hysteresis for going up and going down, 0 for none.
    pub hysteresis: [u8; 2],
}

/// How to read the values of a sensor.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Analog {
    /// How the byte is a number.
    pub format: DataFormat,
    /// What is done to the scaled number.
    pub linearization: Linearization,
    /// How it is scaled; for a non-linear sensor, of one reading only.
    pub factors: Factors,
    /// The raw nominal reading and the ends of the normal range, where given: nominal, normal
    /// maximum, normal minimum.
    pub normal: [Option<u8>; 3],
    /// The largest and the smallest raw reading there can be.
    pub range: [u8; 2],
    /// The raw thresholds as the record has them: LNC, LC, LNR, UNC, UC, UNR. Only those that
    /// can be read have a meaning.
    pub thresholds: [Option<u8>; 6],
}

/// How a record is about several sensors, of which it describes the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    /// How many sensors: 1 to 15. Their numbers follow each other.
    pub count: u8,
    /// Whether each one's entity instance is one higher, too.
    pub counts_instances: bool,
    /// What is added to their names: letters in place of numbers.
    pub letters: bool,
    /// The number or letter of the first; 0 to 127.
    pub first: u8,
}

/// Where inventory data is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FruLocator {
    /// The slave address of the controller that gives access, 20h the BMC.
    pub access_address: u8,
    /// Whether it is read by FRU commands; otherwise it is an EEPROM on a bus.
    pub logical: bool,
    /// Its number for FRU commands when logical, else its slave address.
    pub fru_id: u8,
    /// The LUN, 0 to 3.
    pub lun: u8,
    /// The channel, 0 to 15.
    pub channel: u8,
    /// What kind of device it is.
    pub device_type: u8,
    /// More about the kind.
    pub device_type_modifier: u8,
    /// What it is the inventory data of.
    pub entity: Entity,
    /// Its name.
    pub name: String,
}

/// Another management controller.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct McLocator {
    /// Its slave address.
    pub address: u8,
    /// The channel, 0 to 15.
    pub channel: u8,
    /// What it does, as in Get Device ID.
    pub capabilities: u8,
    /// What it is the controller of.
    pub entity: Entity,
    /// Its name.
    pub name: String,
}

impl Sdr {
    /// Reads a record: `bytes` from the header on. Any bytes will do; what cannot be read is
    /// `Other`.
    pub fn new(record_id: u16, bytes: &[u8]) -> Self {
        let body = SdrBody::read(bytes).unwrap_or(SdrBody::Other);
        Sdr { record_id, bytes: bytes.to_vec(), body }
    }

    /// The record's type.
    pub fn record_type(&self) -> u8 {
        self.bytes.get(3).copied().unwrap_or(0)
    }

    /// The sensors it is about, each for itself; none for records that are about no sensor, or
    /// about one that has no readings.
    pub fn sensors(&self) -> Vec<Sensor> {
        match &self.body {
            SdrBody::Full(sensor) => vec![sensor.clone()],
            SdrBody::Compact(sensor, sharing) => sharing.sensors(sensor),
            _ => Vec::new(),
        }
    }

    /// As [`sensors`](Self::sensors), and those that only send events.
    pub fn event_sources(&self) -> Vec<Sensor> {
        match &self.body {
            SdrBody::EventOnly(sensor, sharing) => sharing.sensors(sensor),
            _ => self.sensors(),
        }
    }
}

impl SdrBody {
    fn read(bytes: &[u8]) -> Option<Self> {
        let record_type = *bytes.get(3)?;
        Some(match record_type {
            FULL => SdrBody::Full(Sensor::full(bytes)?),
            COMPACT => {
                let sensor = Sensor { hysteresis: array(bytes, 25)?, ..Sensor::of(bytes, 31)? };
                SdrBody::Compact(sensor, Sharing::read(array(bytes, 23)?))
            }
            EVENT_ONLY => {
                SdrBody::EventOnly(Sensor::event_only(bytes)?, Sharing::read(array(bytes, 12)?))
            }
            FRU_LOCATOR => SdrBody::FruLocator(FruLocator::read(bytes)?),
            MC_LOCATOR => SdrBody::McLocator(McLocator::read(bytes)?),
            OEM => {
                let [a, b, c] = array(bytes, HEADER_LEN)?;
                let manufacturer_id = u32::from_le_bytes([a, b, c, 0]);
                SdrBody::Oem { manufacturer_id, data: bytes[HEADER_LEN + 3..].to_vec() }
            }
            _ => return None,
        })
    }
}

impl Sensor {
    /// What full and compact records have in common; the name is at `name_at`.
    fn of(bytes: &[u8], name_at: usize) -> Option<Self> {
        let [owner, lun, number, entity_id, instance, _, _, sensor_type, event_type] =
            array(bytes, HEADER_LEN)?;
        let mask = |at| array(bytes, at).map(u16::from_le_bytes);
        Some(Sensor {
            name: id_string(bytes.get(name_at..)?),
            owner: SensorOwner::read(owner, lun),
            number,
            entity: Entity { id: entity_id, instance: instance & 0x7f },
            sensor_type: SensorType(sensor_type),
            event_type: EventType(event_type & 0x7f),
            units: Units::read(array(bytes, 20)?),
            masks: [mask(14)?, mask(16)?, mask(18)?],
            analog: None,
            hysteresis: [0; 2],
        })
    }

    fn full(bytes: &[u8]) -> Option<Self> {
        let [format] = array(bytes, 20)?;
        let [linearization] = array(bytes, 23)?;
        let [flags, nominal, normal_max, normal_min, max, min] = array(bytes, 30)?;
        let [unr, uc, unc, lnr, lc, lnc] = array(bytes, 36)?;
        let [readable] = array(bytes, 18)?;
        let given = |bit: u8, value| (flags & bit != 0).then_some(value);
        let raw = [lnc, lc, lnr, unc, uc, unr];
        let threshold = |at: usize| (readable & 1 << at != 0).then_some(raw[at]);
        let sensor = Sensor::of(bytes, 47)?;
        let analog = Analog {
            format: DataFormat::of(format),
            linearization: Linearization::of(linearization),
            factors: Factors::read(array(bytes, 24)?),
            normal: [given(1, nominal), given(2, normal_max), given(4, normal_min)],
            range: [max, min],
            thresholds: std::array::from_fn(threshold),
        };
        let has_values = analog.format != DataFormat::None;
        let hysteresis = array(bytes, 42)?;
        Some(Sensor { analog: has_values.then_some(analog), hysteresis, ..sensor })
    }

    fn event_only(bytes: &[u8]) -> Option<Self> {
        let [owner, lun, number, entity_id, instance, sensor_type, event_type] =
            array(bytes, HEADER_LEN)?;
        Some(Sensor {
            name: id_string(bytes.get(16..)?),
            owner: SensorOwner::read(owner, lun),
            number,
            entity: Entity { id: entity_id, instance: instance & 0x7f },
            sensor_type: SensorType(sensor_type),
            event_type: EventType(event_type & 0x7f),
            units: Units::default(),
            masks: [0; 3],
            analog: None,
            hysteresis: [0; 2],
        })
    }
}

impl SensorOwner {
    fn read(address: u8, channel_lun: u8) -> Self {
        SensorOwner { address, channel: channel_lun >> 4, lun: channel_lun & 3 }
    }
}

impl Sharing {
    fn read([sharing, modifier]: [u8; 2]) -> Self {
        Sharing {
            // 0 is not said to mean anything, and 1 is what it is used for.
            count: (sharing & 0x0f).max(1),
            counts_instances: modifier & 0x80 != 0,
            letters: sharing >> 4 & 3 == 1,
            first: modifier & 0x7f,
        }
    }

    /// Each of the sensors that share the record of `first`.
    fn sensors(&self, first: &Sensor) -> Vec<Sensor> {
        if self.count == 1 {
            return vec![first.clone()];
        }
        let one = |at: u8| {
            let mut sensor = first.clone();
            sensor.number = first.number.wrapping_add(at);
            if self.counts_instances {
                sensor.entity.instance = first.entity.instance.wrapping_add(at) & 0x7f;
            }
            sensor.name += &self.suffix(self.first + at);
            sensor
        };
        (0..self.count).map(one).collect()
    }

    /// Numbers, or A to Z and then AA to AZ and so on.
    fn suffix(&self, number: u8) -> String {
        if !self.letters {
            return number.to_string();
        }
        let letter = char::from(b'A' + number % 26);
        match number / 26 {
            0 => letter.to_string(),
            more => format!("{}{letter}", char::from(b'A' + more - 1)),
        }
    }
}

impl FruLocator {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [access, fru_id, access_lun, channel, _, device_type, modifier, id, instance] =
            array(bytes, HEADER_LEN)?;
        Some(FruLocator {
            access_address: access & 0xfe,
            logical: access_lun & 0x80 != 0,
            fru_id,
            lun: access_lun >> 3 & 3,
            channel: channel >> 4,
            device_type,
            device_type_modifier: modifier,
            entity: Entity { id, instance: instance & 0x7f },
            name: id_string(bytes.get(15..)?),
        })
    }
}

impl McLocator {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [address, channel, _, capabilities, _, _, _, id, instance] = array(bytes, HEADER_LEN)?;
        Some(McLocator {
            address: address & 0xfe,
            channel: channel & 0x0f,
            capabilities,
            entity: Entity { id, instance: instance & 0x7f },
            name: id_string(bytes.get(15..)?),
        })
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::crypto::Generator;

    /// A full record: a fan with 60 RPM a count, UNC 200 and LC 10 readable.
    pub(crate) fn full(number: u8, name: &str) -> Vec<u8> {
        let mut bytes = vec![0; 48];
        bytes[..5].copy_from_slice(&[number, 0, 0x51, FULL, 0]);
        bytes[5..14].copy_from_slice(&[0x20, 0, number, 29, 1, 0x7f, 0x68, 4, 1]);
        bytes[18] = 0x08 | 0x02;
        bytes[20..30].copy_from_slice(&[0, 18, 0, 0, 60, 0, 0, 0, 0, 0]);
        bytes[30..42].copy_from_slice(&[1, 90, 0, 0, 255, 0, 0, 0, 200, 0, 10, 0]);
        bytes[42..44].copy_from_slice(&[2, 3]);
        named(bytes, name)
    }

    /// A compact record that `count` power supplies share.
    pub(crate) fn compact(number: u8, count: u8, name: &str) -> Vec<u8> {
        let mut bytes = vec![0; 32];
        bytes[..5].copy_from_slice(&[number, 0, 0x51, COMPACT, 0]);
        bytes[5..14].copy_from_slice(&[0x20, 0, number, 10, 1, 0, 0, 8, 0x6f]);
        bytes[20] = 0xc0;
        bytes[23..25].copy_from_slice(&[count, 0x81]);
        named(bytes, name)
    }

    pub(crate) fn fru_locator(fru_id: u8, name: &str) -> Vec<u8> {
        let mut bytes = vec![0x40 + fru_id, 0, 0x51, FRU_LOCATOR, 0];
        bytes.extend([0x20, fru_id, 0x80, 0, 0, 0x10, 0, 10, fru_id, 0, 0]);
        named(bytes, name)
    }

    fn named(mut bytes: Vec<u8>, name: &str) -> Vec<u8> {
        *bytes.last_mut().expect("not empty") = 0xc0 | name.len() as u8;
        bytes.extend_from_slice(name.as_bytes());
        bytes[4] = (bytes.len() - HEADER_LEN) as u8;
        bytes
    }

    #[test]
    fn a_full_record_is_read() {
        let record = Sdr::new(7, &full(0x30, "FAN1"));
        let SdrBody::Full(sensor) = &record.body else { panic!("{record:?}") };
        assert_eq!((sensor.name.as_str(), sensor.number), ("FAN1", 0x30));
        assert_eq!(sensor.owner, SensorOwner { address: 0x20, channel: 0, lun: 0 });
        assert_eq!(sensor.entity, Entity { id: 29, instance: 1 });
        assert_eq!(sensor.units.to_string(), "RPM");
        assert_eq!(sensor.hysteresis, [2, 3]);
        let analog = sensor.analog.expect("it has values");
        assert_eq!((analog.factors.m, analog.normal), (60, [Some(90), None, None]));
        assert_eq!(analog.range, [255, 0]);
        assert_eq!(analog.thresholds, [None, Some(10), None, Some(200), None, None]);
        assert_eq!(record.sensors(), std::slice::from_ref(sensor));
    }

    #[test]
    fn a_shared_record_is_several_sensors() {
        let record = Sdr::new(1, &compact(0x40, 3, "PSU"));
        let sensors = record.sensors();
        let seen: Vec<_> =
            sensors.iter().map(|s| (s.name.as_str(), s.number, s.entity.instance)).collect();
        assert_eq!(seen, [("PSU1", 0x40, 1), ("PSU2", 0x41, 2), ("PSU3", 0x42, 3)]);

        let mut bytes = compact(0xff, 0x12, "DIMM_");
        bytes[24] = 25;
        let names: Vec<_> = Sdr::new(1, &bytes).sensors().into_iter().map(|s| s.name).collect();
        assert_eq!(names, ["DIMM_Z", "DIMM_AA"]);
        bytes[23] = 0;
        assert_eq!(Sdr::new(1, &bytes).sensors()[0].name, "DIMM_");
    }

    #[test]
    fn locators_events_and_records_of_makers_are_read() {
        let record = Sdr::new(1, &fru_locator(3, "PSU FRU"));
        let SdrBody::FruLocator(fru) = &record.body else { panic!("{record:?}") };
        assert_eq!((fru.fru_id, fru.logical, fru.name.as_str()), (3, true, "PSU FRU"));
        assert_eq!((fru.access_address, fru.channel, fru.lun), (0x20, 0, 0));

        let mut bytes =
            vec![1, 0, 0x51, MC_LOCATOR, 0, 0x2c, 0x07, 0, 0xff, 0, 0, 0, 0x2e, 1, 0, 0];
        let record = Sdr::new(1, &named(std::mem::take(&mut bytes), "ME"));
        let SdrBody::McLocator(mc) = &record.body else { panic!("{record:?}") };
        assert_eq!((mc.address, mc.channel, mc.name.as_str()), (0x2c, 7, "ME"));

        let bytes = [1, 0, 0x51, EVENT_ONLY, 0, 0x21, 0, 9, 34, 1, 0x0f, 0x6f, 2, 0x05, 0, 0, 0];
        let record = Sdr::new(1, &named(bytes.to_vec(), "POST"));
        assert!(record.sensors().is_empty());
        let names: Vec<_> = record.event_sources().into_iter().map(|s| s.name).collect();
        assert_eq!(names, ["POST5", "POST6"]);

        let record = Sdr::new(1, &[1, 0, 0x51, OEM, 4, 0x57, 1, 0, 9]);
        assert_eq!(record.body, SdrBody::Oem { manufacturer_id: 343, data: vec![9] });
        assert_eq!(Sdr::new(1, &[1, 0, 0x51, 0x08, 1, 9]).body, SdrBody::Other);
    }

    #[test]
    fn records_cut_short_and_random_ones_are_read_as_far_as_they_go() {
        for whole in [full(1, "A"), compact(1, 2, "A"), fru_locator(1, "A")] {
            for len in 0..=whole.len() {
                let record = Sdr::new(1, &whole[..len]);
                let readable = record.body != SdrBody::Other;
                assert_eq!(readable, len >= whole.len() - 2, "{len} of {whole:02x?}");
            }
        }
        let mut random = Generator::from_seed([3; 32]);
        let mut read = 0;
        for _ in 0..100_000 {
            let mut bytes: [u8; 80] = random.array();
            bytes[3] = [1, 2, 3, 0x11, 0x12, 0xc0][random.below(6) as usize];
            let record = Sdr::new(1, &bytes[..random.below(81) as usize]);
            read += usize::from(record.body != SdrBody::Other);
            for sensor in record.event_sources() {
                let values = (0..=255).filter(|raw| sensor.value(*raw).is_some()).count();
                assert!(values == 0 || sensor.analog.is_some());
            }
        }
        assert!(read > 30_000, "{read}");
    }
}
