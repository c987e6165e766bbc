//! The SDR repository (§33, §43): records made from the sensor table once for all BMCs, and what
//! one BMC changed about them.

use std::sync::LazyLock;

use super::sensor::{
    Analog, BMC_SENSORS, Factors, Format, HYSTERESIS, Kind, NON_LINEAR, SATELLITE_SENSORS, Sensor,
    THRESHOLD, number, threshold_events,
};

/// A record's header: ID, version, type, length of the rest.
pub(super) const HEADER_LEN: usize = 5;
/// Version of the SDR format and of the command set.
pub(super) const VERSION: u8 = 0x51;
/// What the repository holds at most.
const CAPACITY: usize = 16384;
/// Address of the BMC, and of the satellite that owns sensors.
const BMC: u8 = 0x20;
pub(super) const SATELLITE: u8 = 0x2c;

const FULL: u8 = 0x01;
const COMPACT: u8 = 0x02;
const EVENT_ONLY: u8 = 0x03;
const FRU_LOCATOR: u8 = 0x11;
const CONTROLLER_LOCATOR: u8 = 0x12;
const OEM: u8 = 0xc0;
/// Initialization: everything but "settable".
const INITIALIZED: u8 = 0x7f;
/// Auto re-arm; hysteresis and thresholds can be read and set.
const THRESHOLD_CAPABILITIES: u8 = 0x68;
const DISCRETE_CAPABILITIES: u8 = 0x40;

/// The repository of every BMC as made.
static BMC_RECORDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(bmc_records);
/// The device SDRs of the satellite.
static SATELLITE_RECORDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let sensors = SATELLITE_SENSORS.iter().map(|sensor| sensor_record(sensor, SATELLITE));
    numbered(sensors.collect())
});

/// The SDR repository of one BMC.
#[derive(Default)]
pub(super) struct SdrRepository {
    /// Its records once they are not those of every BMC any more.
    own: Option<Vec<Vec<u8>>>,
    /// SEL times of the last addition and erasure, when there was one.
    pub added: Option<u32>,
    pub erased: Option<u32>,
    pub reservation: Reservation,
    /// How many readings the reservation lived through.
    pub reads: u32,
}

/// A reservation ID and whether it is still good.
#[derive(Default, Clone, Copy)]
pub(super) struct Reservation {
    id: u16,
    valid: bool,
}

impl Reservation {
    /// Makes a new one; the one before is cancelled.
    pub fn reserve(&mut self) -> u16 {
        self.id = self.id.checked_add(1).unwrap_or(1);
        self.valid = true;
        self.id
    }

    pub fn cancel(&mut self) {
        self.valid = false;
    }

    pub fn holds(&self, id: u16) -> bool {
        self.valid && self.id == id
    }
}

impl SdrRepository {
    pub fn records(&self) -> &[Vec<u8>] {
        match &self.own {
            Some(own) => own,
            None => &BMC_RECORDS,
        }
    }

    /// Bytes left for records.
    pub fn free(&self) -> u16 {
        let used: usize = self.records().iter().map(Vec::len).sum();
        CAPACITY.saturating_sub(used) as u16
    }

    /// Adds a record under a new ID; `None` when there is no room.
    pub fn add(&mut self, mut record: Vec<u8>, time: u32) -> Option<u16> {
        if record.len() > usize::from(self.free()) {
            return None;
        }
        let last = self.records().iter().map(|record| record_id(record)).max().unwrap_or(0);
        let id = last.checked_add(1).filter(|id| *id < 0xffff)?;
        record.get_mut(..2)?.copy_from_slice(&id.to_le_bytes());
        self.own_records().push(record);
        self.added = Some(time);
        self.reservation.cancel();
        Some(id)
    }

    /// Removes a record, or all of them; false when there is none of that ID.
    pub fn remove(&mut self, id: Option<u16>, time: u32) -> bool {
        let records = self.own_records();
        let before = records.len();
        records.retain(|record| id.is_some_and(|id| record_id(record) != id));
        let removed = id.is_none() || records.len() < before;
        if removed {
            self.erased = Some(time);
            self.reservation.cancel();
        }
        removed
    }

    fn own_records(&mut self) -> &mut Vec<Vec<u8>> {
        self.own.get_or_insert_with(|| BMC_RECORDS.clone())
    }
}

/// The device SDRs of the satellite.
pub(super) fn satellite_records() -> &'static [Vec<u8>] {
    &SATELLITE_RECORDS
}

/// Where in a repository a record is, 0000h being the first and FFFFh the last.
pub(super) fn find(records: &[Vec<u8>], id: u16) -> Option<usize> {
    match id {
        0 => Some(0).filter(|_| !records.is_empty()),
        0xffff => records.len().checked_sub(1),
        id => records.iter().position(|record| record_id(record) == id),
    }
}

/// The ID behind the record at an index; FFFFh behind the last.
pub(super) fn next_id(records: &[Vec<u8>], index: usize) -> u16 {
    records.get(index + 1).map_or(0xffff, |record| record_id(record))
}

/// The ID a record names itself.
pub(super) fn record_id(record: &[u8]) -> u16 {
    match record {
        [low, high, ..] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    }
}

fn bmc_records() -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    records.push(controller_locator(BMC, 0xbf, "BMC"));
    records.push(controller_locator(SATELLITE, 0x21, "Node Manager"));
    for sensor in BMC_SENSORS {
        // One record stands for all drives.
        if sensor.number <= number::DRIVE0 {
            records.push(sensor_record(sensor, BMC));
        }
    }
    records.extend(SATELLITE_SENSORS.iter().map(|sensor| sensor_record(sensor, SATELLITE)));
    records.push(event_only());
    records.push(fru_locator(0, 0x07, "Mainboard"));
    records.push(fru_locator(1, 0x0a, "PSU1"));
    let mut oem = header(OEM);
    oem.extend_from_slice(&[0xf2, 0x1b, 0, 1, 2, 3, 4]);
    records.push(oem);
    numbered(records)
}

/// Gives each record its ID and its length. One ID is left out: they need not be in a row.
fn numbered(mut records: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    for (index, record) in records.iter_mut().enumerate() {
        let id = index as u16 + if index < 5 { 1 } else { 2 };
        let len = (record.len() - HEADER_LEN) as u8;
        if let [low, high, _, _, length, ..] = record.as_mut_slice() {
            [*low, *high] = id.to_le_bytes();
            *length = len;
        }
    }
    records
}

fn header(record_type: u8) -> Vec<u8> {
    vec![0, 0, VERSION, record_type, 0]
}

/// A type/length byte of 8-bit text, and the text.
fn name(text: &str, record: &mut Vec<u8>) {
    record.push(0xc0 | text.len() as u8);
    record.extend_from_slice(text.as_bytes());
}

/// A full record for analog sensors, a compact one for discrete ones.
fn sensor_record(sensor: &Sensor, owner: u8) -> Vec<u8> {
    let compact = matches!(sensor.kind, Kind::Discrete(_));
    let mut record = header(if compact { COMPACT } else { FULL });
    let (entity, instance) = sensor.entity;
    record.extend_from_slice(&[owner, sensor.lun, sensor.number, entity, instance, INITIALIZED]);
    let threshold = sensor.event_type == THRESHOLD;
    record.push(if threshold { THRESHOLD_CAPABILITIES } else { DISCRETE_CAPABILITIES });
    record.extend_from_slice(&[sensor.sensor_type, sensor.event_type]);
    match &sensor.kind {
        Kind::Analog(analog) => analog_body(analog, &mut record),
        Kind::Discrete(_) => discrete_body(sensor, &mut record),
    }
    name(sensor.name, &mut record);
    record
}

/// A full record's bytes from the masks to the OEM byte.
fn analog_body(analog: &Analog, record: &mut Vec<u8>) {
    let mask = analog.threshold_mask();
    let (lower, upper) = (mask & 0x07, mask >> 3);
    let events = threshold_events(mask);
    for comparison in [lower, upper] {
        let masks = events | u16::from(comparison) << 12;
        record.extend_from_slice(&masks.to_le_bytes());
    }
    record.extend_from_slice(&[mask, mask]);
    let units = (analog.format as u8) << 6 | u8::from(analog.percent);
    record.extend_from_slice(&[units, analog.base_unit, 0, analog.linearization]);
    record.extend_from_slice(&conversion(analog.factors));
    let (low, high) = match analog.format {
        Format::Unsigned => (0x00, 0xff),
        Format::OnesComplement => (0x80, 0x7f),
        Format::TwosComplement => (0x80, 0x7f),
    };
    let [mean, sway] = [analog.mean, analog.sway];
    record.push(if analog.linearization == NON_LINEAR { 0 } else { 0x07 });
    record.extend([mean, mean + sway, mean - sway].map(|raw| analog.encode(raw)));
    record.extend_from_slice(&[high, low]);
    let raw = |index: usize| analog.thresholds[index].map_or(0, |raw| analog.encode(raw));
    record.extend_from_slice(&[raw(5), raw(4), raw(3), raw(2), raw(1), raw(0)]);
    record.extend_from_slice(&[HYSTERESIS, HYSTERESIS, 0, 0, 0]);
}

/// M, tolerance, B, accuracy, exponents: bytes 24 to 29 of a full record, and what Get Sensor
/// Reading Factors gives.
pub(super) fn conversion(factors: Factors) -> [u8; 6] {
    let [m_low, m_high] = factors.m.to_le_bytes();
    let [b_low, b_high] = factors.b.to_le_bytes();
    let exponents = (factors.r_exponent as u8) << 4 | factors.b_exponent as u8 & 0x0f;
    [m_low, (m_high & 0x03) << 6, b_low, (b_high & 0x03) << 6, 0, exponents]
}

/// A compact record's bytes from the masks to the OEM byte.
fn discrete_body(sensor: &Sensor, record: &mut Vec<u8>) {
    let states = 0x7fffu16.to_le_bytes();
    for _ in 0..3 {
        record.extend_from_slice(&states);
    }
    record.extend_from_slice(&[0xc0, 0, 0]);
    // Sharing: how many sensors, and that the entity instance and the number in the name rise.
    let shared = BMC_SENSORS.iter().filter(|other| other.name == sensor.name).count() as u8;
    let rises = if shared > 1 { 0x80 } else { 0 };
    record.extend_from_slice(&[shared.max(1), rises, 0, 0, 0, 0, 0, 0]);
}

/// The BIOS, which only sends events.
fn event_only() -> Vec<u8> {
    let mut record = header(EVENT_ONLY);
    let bios = super::sensor::entity::BIOS;
    record.extend_from_slice(&[BMC, 0, 0x60, bios, 1, 0x0f, 0x6f, 0x01, 0, 0, 0]);
    name("BIOS POST", &mut record);
    record
}

/// A logical FRU device of the BMC.
fn fru_locator(id: u8, entity: u8, text: &str) -> Vec<u8> {
    let mut record = header(FRU_LOCATOR);
    record.extend_from_slice(&[BMC, id, 0x80, 0, 0, 0x10, 0, entity, 1, 0]);
    name(text, &mut record);
    record
}

/// A management controller on the IPMB.
fn controller_locator(address: u8, capabilities: u8, text: &str) -> Vec<u8> {
    let mut record = header(CONTROLLER_LOCATOR);
    let controller = super::sensor::entity::CONTROLLER;
    record.extend_from_slice(&[address, 0, 0, capabilities, 0, 0, 0, controller, 1, 0]);
    name(text, &mut record);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_say_how_long_they_are_and_have_ids_of_their_own() {
        for records in [&*BMC_RECORDS, &*SATELLITE_RECORDS] {
            let mut last = 0;
            for record in records.iter() {
                assert_eq!(usize::from(record[4]), record.len() - HEADER_LEN);
                assert!(record_id(record) > last);
                last = record_id(record);
            }
        }
        let types: std::collections::BTreeSet<u8> = BMC_RECORDS.iter().map(|r| r[3]).collect();
        let wanted = [FULL, COMPACT, EVENT_ONLY, FRU_LOCATOR, CONTROLLER_LOCATOR, OEM];
        assert_eq!(types, wanted.into());
    }

    #[test]
    fn names_stand_where_the_specification_puts_them() {
        for record in BMC_RECORDS.iter() {
            let at = match record[3] {
                FULL => 47,
                COMPACT => 31,
                EVENT_ONLY => 16,
                FRU_LOCATOR | CONTROLLER_LOCATOR => 15,
                _ => continue,
            };
            assert_eq!(usize::from(record[at] & 0x1f), record.len() - at - 1);
            assert!(record[at + 1..].is_ascii());
        }
    }

    #[test]
    fn changes_stay_with_the_bmc_that_made_them() {
        let mut repository = SdrRepository::default();
        let count = repository.records().len();
        assert_eq!(repository.reservation.reserve(), 1);
        let id = repository.add(event_only(), 7).unwrap();
        assert_eq!((repository.records().len(), repository.added), (count + 1, Some(7)));
        assert!(!repository.reservation.holds(1));
        assert!(repository.remove(Some(id), 8) && !repository.remove(Some(id), 9));
        assert_eq!(repository.erased, Some(8));
        assert_eq!(SdrRepository::default().records().len(), count);
    }
}
