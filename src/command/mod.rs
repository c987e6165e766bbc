//! Management commands: requests and responses as values, and what takes several of them.
//!
//! Everything here is a method of [`Dialog`], and of [`Bmc`](crate::Bmc) as a blocking call of
//! the same name with a timeout. What a BMC answers is read with its lengths checked; a response
//! too short to be read is `PeerMisbehaved` with what it was the response to. Longer ones are
//! taken, as BMCs add to them.

mod account;
mod app;
mod boot;
mod channel;
mod chassis;
mod dcmi;
mod dialog;
mod fru;
mod health;
mod lan;
mod parameters;
mod payload;
#[cfg(test)]
mod play;
mod power;
mod reply;
mod sdr;
mod sel;
mod sensor;
mod session_info;
mod sol_config;
#[cfg(test)]
mod tests;
mod text;
mod typed;
mod user;

pub use self::account::NewUser;
pub use self::app::{DeviceId, SelfTest};
pub use self::boot::{BootDevice, BootFlags, BootOptions, ConsoleRedirection};
pub use self::channel::{ChannelAccess, ChannelInfo, ChannelMode, KeyLock, Stored};
pub use self::chassis::{
    ChassisControl, ChassisStatus, Identify, PowerRestorePolicy, RestartCause,
};
pub use self::dcmi::{DcmiCapabilities, PowerLimit, PowerReading};
pub use self::dialog::Dialog;
pub(crate) use self::dialog::{Driver, Turn};
pub use self::fru::{Fru, FruAreaInfo, FruBoard, FruChassis, FruMultirecord, FruProduct, FruRow};
pub use self::health::Health;
pub use self::lan::{
    AddressSource, ArpControl, BadPassword, Ipv6Address, Ipv6Enables, LanConfig, LanSetting, Vlan,
};
pub use self::payload::PayloadAccess;
pub use self::power::PowerOptions;
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
pub use self::session_info::SessionInfo;
pub use self::sol_config::{SolAuthentication, SolBitRate, SolParameters, SolSetting};
pub use self::text::UnixTime;
pub use self::typed::CommandError;
pub(crate) use self::typed::{core_target, has_readable_shape};
pub use self::user::{PasswordOptions, PasswordTest, User, UserAccess, UserFlags, UserPrivilege};
/// Where a command goes, when not to the BMC itself.
pub use crate::session::{Hop, Target};
/// A cipher suite as a BMC lists it.
pub use crate::wire::cipher_suite::Record as CipherSuiteRecord;
/// Who has a payload.
pub use crate::wire::session_command::PayloadActivationStatus;
