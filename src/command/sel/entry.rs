//! Entries of the log as values (§32).

use super::super::sdr::{SdrRepository, SensorOwner};
use super::super::sensor::{EventType, SensorType, Severity};
use super::super::text::{UnixTime, number};
use super::{SelClock, SelMark, SelTime};

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelEntry {
    /// Its number in the log: the one it was asked for by, as some BMCs write another one into
    /// the entry.
    pub record_id: u16,
    /// All of it, as sent.
    pub bytes: [u8; 16],
    /// When, by the BMC's clock; `None` for an entry without a time.
    pub time: Option<SelTime>,
    /// When, by our clock, if the BMC's was as far ahead then as it was when the log was read.
    pub corrected: Option<UnixTime>,
    /// What happened.
    pub body: SelBody,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SelBody {
    /// A sensor's event, type 02h.
    Event(SelEvent),
    /// Something of the maker's own with a time, types C0h to DFh.
    OemTimed {
        /// The maker by its number at IANA.
        manufacturer_id: u32,
        /// What the maker says.
        data: [u8; 6],
    },
    /// Something of the maker's own, types E0h to FFh.
    Oem([u8; 13]),
    /// An entry of a type without a meaning: see [`SelEntry::bytes`].
    Other,
}

/// An event (§32.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelEvent {
    /// Who sent it.
    pub generator: SensorOwner,
    /// Version of the event's format: 4 for IPMI 1.5 and 2.0, 3 for IPMI 1.0.
    pub format: u8,
    /// What the sensor watches.
    pub sensor_type: SensorType,
    /// The sensor's number at its owner.
    pub sensor_number: u8,
    /// Whether it began; otherwise it is over.
    pub asserted: bool,
    /// What kind of event.
    pub event_type: EventType,
    /// Event data 1 to 3.
    pub data: [u8; 3],
}

impl SelEntry {
    /// Reads an entry; any bytes will do.
    pub fn new(record_id: u16, bytes: [u8; 16], clock: Option<&SelClock>) -> Self {
        let [_, _, record_type, t0, t1, t2, t3, rest @ ..] = bytes;
        let time = SelTime::of(u32::from_le_bytes([t0, t1, t2, t3]));
        let (time, body) = match record_type {
            0x02 => (Some(time), SelBody::Event(SelEvent::read(rest))),
            0xc0..=0xdf => {
                let [m0, m1, m2, data @ ..] = rest;
                let manufacturer_id = u32::from_le_bytes([m0, m1, m2, 0]);
                (Some(time), SelBody::OemTimed { manufacturer_id, data })
            }
            0xe0.. => {
                let [_, _, _, data @ ..] = bytes;
                (None, SelBody::Oem(data))
            }
            _ => (None, SelBody::Other),
        };
        let corrected = clock.zip(time).and_then(|(clock, time)| clock.corrected(time));
        SelEntry { record_id, bytes, time, corrected, body }
    }

    /// The entry's type.
    pub fn record_type(&self) -> u8 {
        self.bytes[2]
    }

    /// To go on from this entry.
    pub fn mark(&self) -> SelMark {
        let [_, _, _, t0, t1, t2, t3, ..] = self.bytes;
        SelMark { record_id: self.record_id, timestamp: u32::from_le_bytes([t0, t1, t2, t3]) }
    }

    /// How bad it is; what the specification does not say is not bad, and what is over neither.
    pub fn severity(&self) -> Severity {
        match &self.body {
            SelBody::Event(event) => event.severity(),
            _ => Severity::Ok,
        }
    }

    /// What happened, in a line of text; with a repository the sensor has its name, and values
    /// have their unit.
    pub fn describe(&self, repository: Option<&SdrRepository>) -> String {
        match &self.body {
            SelBody::Event(event) => event.describe(repository),
            SelBody::OemTimed { manufacturer_id, data } => {
                format!("OEM type {:02x}h of {manufacturer_id}: {}", self.bytes[2], hex(data))
            }
            SelBody::Oem(data) => format!("OEM type {:02x}h: {}", self.bytes[2], hex(data)),
            SelBody::Other => format!("type {:02x}h: {}", self.bytes[2], hex(&self.bytes[3..])),
        }
    }
}

impl SelEvent {
    fn read([address, channel_lun, format, sensor_type, sensor, kind, data @ ..]: [u8; 9]) -> Self {
        SelEvent {
            generator: SensorOwner { address, channel: channel_lun >> 4, lun: channel_lun & 3 },
            format,
            sensor_type: SensorType(sensor_type),
            sensor_number: sensor,
            asserted: kind & 0x80 == 0,
            event_type: EventType(kind & 0x7f),
            data,
        }
    }

    /// Which of the sensor's states or events, 0 to 15.
    pub fn offset(&self) -> u8 {
        self.data[0] & 0x0f
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self.asserted {
            true => self.event_type.severity(self.sensor_type, self.offset()),
            false => Severity::Ok,
        }
    }

    /// The event in a few words.
    pub fn phrase(&self) -> String {
        match self.event_type.state_name(self.sensor_type, self.offset()) {
            Some(name) => name.to_owned(),
            None => format!("event {} of type {:02x}h", self.offset(), self.event_type.0),
        }
    }

    /// The reading and the threshold it crossed, raw, where the event has them.
    pub fn trigger(&self) -> [Option<u8>; 2] {
        let given = |kind: u8, data| (self.event_type.is_threshold() && kind == 1).then_some(data);
        let [kinds, reading, threshold] = self.data;
        [given(kinds >> 6, reading), given(kinds >> 4 & 3, threshold)]
    }

    /// All of it in a line of text.
    pub fn describe(&self, repository: Option<&SdrRepository>) -> String {
        let SensorOwner { address, lun, .. } = self.generator;
        let find = |repository: &SdrRepository| repository.sensor(address, lun, self.sensor_number);
        let sensor = repository.and_then(find);
        let name = match &sensor {
            Some(sensor) => sensor.name.clone(),
            None => format!("#{:02x}h", self.sensor_number),
        };
        let mut text = format!("{} {name}: {}", self.sensor_type, self.phrase());
        let [reading, threshold] = self.trigger().map(|raw| {
            let sensor = sensor.as_ref()?;
            Some(format!("{} {}", number(sensor.value(raw?)?), sensor.units))
        });
        match (reading, threshold) {
            (Some(reading), Some(threshold)) => text += &format!(" ({reading}, limit {threshold})"),
            (Some(reading), None) => text += &format!(" ({reading})"),
            (None, Some(threshold)) => text += &format!(" (limit {threshold})"),
            // Bytes that say more, in a way of the sensor's own.
            (None, None) if !self.event_type.is_threshold() && self.data[0] & 0xf0 != 0 => {
                text += &format!(" (data {:02x} {:02x})", self.data[1], self.data[2]);
            }
            (None, None) => {}
        }
        text + if self.asserted { "" } else { ", over" }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
