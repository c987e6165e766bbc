//! The SDR repository: which sensors and parts a BMC has (§33, §43).

mod cache;
mod record;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;

pub use self::cache::SdrCache;
#[cfg(test)]
pub(super) use self::record::tests as record_tests;
pub use self::record::{
    Analog, Entity, FruLocator, McLocator, Sdr, SdrBody, Sensor, SensorOwner, Sharing,
};
use super::dialog::Dialog;
use super::reply::Fields;
use crate::error::Result;
use crate::wire::message::net_fn;

const GET_SDR_REPOSITORY_INFO: u8 = 0x20;
const GET_DEVICE_SDR_INFO: u8 = 0x20;
/// Sensors of one repository at most: records that are shared by many must not be many times
/// what was read.
const SENSORS_MAX: usize = 65_535;

/// What Get SDR Repository Info says (§33.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SdrRepositoryInfo {
    /// How many records there are; some BMCs are wrong about it.
    pub record_count: u16,
    /// Free bytes; FFFEh is that or more, FFFFh unknown.
    pub free_bytes: u16,
    /// When a record was last added, by the BMC's clock.
    pub last_addition: u32,
    /// When records were last erased, by the BMC's clock.
    pub last_erase: u32,
    /// Records did not fit any more.
    pub overflow: bool,
    /// Whether reading can be protected by a reservation.
    pub reservable: bool,
}

/// What Get Device SDR Info says (§35.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceSdrInfo {
    /// How many sensors there are at the LUN that was asked.
    pub sensor_count: u8,
    /// Whether sensors come and go.
    pub dynamic: bool,
    /// One bit for each LUN that has sensors.
    pub luns: u8,
    /// Changes when sensors come or go; 0 when they do not.
    pub change_indicator: u32,
}

/// Where records were read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SdrSource {
    /// The SDR repository.
    Repository,
    /// The device SDRs of a controller, which are about its own sensors only.
    Device,
}

/// All records of a repository.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SdrRepository {
    /// Where they are from.
    pub source: SdrSource,
    /// In the order of the repository.
    pub records: Vec<Sdr>,
    /// The sensors that have readings; of a record that several share, each for itself.
    pub sensors: Vec<Arc<Sensor>>,
    /// The records that the BMC did not give, by their IDs.
    pub skipped: Vec<u16>,
}

impl SdrRepositoryInfo {
    fn read(data: &[u8]) -> Result<Self> {
        let mut fields = Fields::of("Get SDR Repository Info", data);
        fields.u8()?; // Version of the records.
        let (record_count, free_bytes) = (fields.u16()?, fields.u16()?);
        let (last_addition, last_erase) = (fields.u32()?, fields.u32()?);
        let support = fields.u8().unwrap_or(0);
        Ok(SdrRepositoryInfo {
            record_count,
            free_bytes,
            last_addition,
            last_erase,
            overflow: support & 0x80 != 0,
            reservable: support & 0x02 != 0,
        })
    }
}

impl DeviceSdrInfo {
    fn read(data: &[u8]) -> Result<Self> {
        let mut fields = Fields::of("Get Device SDR Info", data);
        let [sensor_count, flags] = fields.array()?;
        Ok(DeviceSdrInfo {
            sensor_count,
            dynamic: flags & 0x80 != 0,
            luns: flags & 0x0f,
            change_indicator: fields.u32().unwrap_or(0),
        })
    }
}

impl SdrRepository {
    fn new(source: SdrSource, records: Vec<Sdr>, skipped: Vec<u16>) -> Self {
        let sensors = records.iter().flat_map(Sdr::sensors).map(Arc::new).take(SENSORS_MAX);
        SdrRepository { source, sensors: sensors.collect(), records, skipped }
    }

    /// Of records as bytes.
    #[cfg(test)]
    pub(super) fn of_records(records: &[Vec<u8>]) -> Self {
        let records = records.iter().map(|bytes| Sdr::new(u16::from(bytes[0]), bytes));
        SdrRepository::new(SdrSource::Repository, records.collect(), Vec::new())
    }

    /// Where inventory data is kept besides FRU 0.
    pub fn fru_locators(&self) -> impl Iterator<Item = &FruLocator> {
        self.records.iter().filter_map(|record| match &record.body {
            SdrBody::FruLocator(locator) => Some(locator),
            _ => None,
        })
    }

    /// The controllers behind the BMC.
    pub fn mc_locators(&self) -> impl Iterator<Item = &McLocator> {
        self.records.iter().filter_map(|record| match &record.body {
            SdrBody::McLocator(locator) => Some(locator),
            _ => None,
        })
    }

    /// The sensor with this number at this owner, those that only send events included. `address`
    /// is the owner's slave address or software number.
    pub fn sensor(&self, address: u8, lun: u8, number: u8) -> Option<Sensor> {
        let is_it = |sensor: &Sensor| {
            (sensor.owner.address, sensor.owner.lun, sensor.number) == (address, lun, number)
        };
        let known = self.sensors.iter().find(|sensor| is_it(sensor));
        let silent = || self.records.iter().flat_map(Sdr::event_sources).find(&is_it);
        known.map(|sensor| Sensor::clone(sensor)).or_else(silent)
    }
}

impl Dialog {
    /// Get SDR Repository Info (§33.9).
    pub async fn sdr_repository_info(&self) -> Result<SdrRepositoryInfo> {
        let data = self.ask(net_fn::STORAGE, GET_SDR_REPOSITORY_INFO, &[]).await?;
        SdrRepositoryInfo::read(&data)
    }

    /// Get Device SDR Info (§35.2).
    pub async fn device_sdr_info(&self) -> Result<DeviceSdrInfo> {
        let data = self.ask(net_fn::SENSOR_EVENT, GET_DEVICE_SDR_INFO, &[]).await?;
        DeviceSdrInfo::read(&data)
    }
}
