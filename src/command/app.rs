//! The BMC itself: what it is, whether it is well, resets (§20).

use super::dialog::Dialog;
use super::reply::Fields;
use crate::error::Result;
use crate::wire::message::net_fn;
use crate::wire::session_command::cmd;

const COLD_RESET: u8 = 0x02;
const WARM_RESET: u8 = 0x03;
const GET_SELF_TEST_RESULTS: u8 = 0x04;

/// What Get Device ID says (§20.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceId {
    /// The maker's number of the device.
    pub device_id: u8,
    /// Its revision, 0 to 15.
    pub device_revision: u8,
    /// Whether it has SDRs of its own.
    pub provides_device_sdrs: bool,
    /// Whether it is being updated or starts.
    pub busy: bool,
    /// Major and minor firmware revision; the minor one is in BCD at most BMCs: 15h is ".15".
    pub firmware_revision: (u8, u8),
    /// IPMI version, major and minor: `(2, 0)`.
    pub ipmi_version: (u8, u8),
    /// What it supports, as sent: bit 0 sensors, 1 SDR repository, 2 SEL, 3 FRU inventory,
    /// 4 event receiver, 5 event generator, 6 bridge, 7 chassis.
    pub additional_device_support: u8,
    /// The maker by its number at IANA; 20 bits are used.
    pub manufacturer_id: u32,
    /// The maker's number of the product.
    pub product_id: u16,
    /// More of the firmware's revision; `None` when the BMC does not say.
    pub auxiliary_firmware_revision: Option<[u8; 4]>,
}

/// What Get Self Test Results says (§20.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelfTest {
    /// All is well.
    Passed,
    /// There is no self test.
    NotImplemented,
    /// Data or devices cannot be reached or are corrupt. Bits: 7 SEL, 6 SDR repository, 5 FRU of
    /// the BMC, 4 IPMB lines, 3 SDR repository empty, 2 internal use area of the FRU, 1 firmware
    /// update part, 0 firmware.
    Corrupted(u8),
    /// The hardware has failed; the byte is the maker's.
    HardwareError(u8),
    /// Something of the maker's own: both bytes.
    Other(u8, u8),
}

impl DeviceId {
    pub(super) fn read(data: &[u8]) -> Result<Self> {
        let mut fields = Fields::of("Get Device ID", data);
        let [device_id, revision, major, minor, version, support] = fields.array()?;
        Ok(DeviceId {
            device_id,
            device_revision: revision & 0x0f,
            provides_device_sdrs: revision & 0x80 != 0,
            busy: major & 0x80 != 0,
            firmware_revision: (major & 0x7f, minor),
            ipmi_version: (version & 0x0f, version >> 4),
            additional_device_support: support,
            manufacturer_id: fields.u24()? & 0x0f_ffff,
            product_id: fields.u16()?,
            auxiliary_firmware_revision: fields.array().ok(),
        })
    }
}

impl Dialog {
    /// Get Device ID (§20.1).
    pub async fn device_id(&self) -> Result<DeviceId> {
        DeviceId::read(&self.ask(net_fn::APP, cmd::GET_DEVICE_ID, &[]).await?)
    }

    /// Get System GUID (§22.14): the 16 bytes as sent, which BMCs order in different ways.
    pub async fn system_guid(&self) -> Result<[u8; 16]> {
        let data = self.ask(net_fn::APP, cmd::GET_SYSTEM_GUID, &[]).await?;
        Fields::of("Get System GUID", &data).array()
    }

    /// Get Self Test Results (§20.4).
    pub async fn self_test(&self) -> Result<SelfTest> {
        let data = self.ask(net_fn::APP, GET_SELF_TEST_RESULTS, &[]).await?;
        let [result, detail] = Fields::of("Get Self Test Results", &data).array()?;
        Ok(match result {
            0x55 => SelfTest::Passed,
            0x56 => SelfTest::NotImplemented,
            0x57 => SelfTest::Corrupted(detail),
            0x58 => SelfTest::HardwareError(detail),
            _ => SelfTest::Other(result, detail),
        })
    }

    /// Cold Reset (§20.2): the BMC starts anew, and the session is gone. Some BMCs do so without
    /// an answer: `OutcomeUnknown` then.
    pub async fn cold_reset(&self) -> Result<()> {
        self.ask(net_fn::APP, COLD_RESET, &[]).await.map(drop)
    }

    /// Warm Reset (§20.3): as a cold one, with settings kept. Many BMCs have none.
    pub async fn warm_reset(&self) -> Result<()> {
        self.ask(net_fn::APP, WARM_RESET, &[]).await.map(drop)
    }
}
