//! Management commands: requests and responses as values, and what takes several of them.
//!
//! Everything here is a method of [`Dialog`], and of [`Bmc`](crate::Bmc) as a blocking call of
//! the same name with a timeout. What a BMC answers is read with its lengths checked; a response
//! too short to be read is `PeerMisbehaved` with what it was the response to. Longer ones are
//! taken, as BMCs add to them.

mod app;
mod chassis;
mod dialog;
mod fru;
#[cfg(test)]
mod play;
mod reply;
mod sdr;
mod sel;
mod sensor;
mod text;
mod typed;

pub use self::app::{DeviceId, SelfTest};
pub use self::chassis::{ChassisControl, ChassisStatus, Identify, PowerRestorePolicy};
pub use self::dialog::Dialog;
pub(crate) use self::dialog::{Driver, Turn};
pub use self::fru::{Fru, FruAreaInfo, FruBoard, FruChassis, FruMultirecord, FruProduct, FruRow};
pub use self::sdr::{
    Analog, DeviceSdrInfo, Entity, FruLocator, McLocator, Sdr, SdrBody, SdrCache, SdrRepository,
    SdrRepositoryInfo, SdrSource, Sensor, SensorOwner, Sharing,
};
pub use self::sel::{
    SelAllocation, SelBody, SelClock, SelEntry, SelEvent, SelInfo, SelLog, SelMark, SelTime,
};
pub use self::sensor::{
    DataFormat, EventType, Factors, Linearization, ReadingStatus, SensorReading, SensorRow,
    SensorType, Severity, Thresholds, Units,
};
pub use self::text::UnixTime;
pub use self::typed::CommandError;
