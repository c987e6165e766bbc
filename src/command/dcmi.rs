//! DCMI 1.5: power readings and limits, asset tag, name of the controller.

use std::time::Duration;

use super::dialog::Dialog;
use super::reply::Fields;
use crate::error::{Error, ErrorKind, Result};
use crate::wire::message::net_fn;

/// The first data byte of request and response.
const DCMI: u8 = 0xdc;
const GET_CAPABILITIES: u8 = 0x01;
const GET_POWER_READING: u8 = 0x02;
const GET_POWER_LIMIT: u8 = 0x03;
const SET_POWER_LIMIT: u8 = 0x04;
const ACTIVATE_POWER_LIMIT: u8 = 0x05;
const GET_ASSET_TAG: u8 = 0x06;
const SET_ASSET_TAG: u8 = 0x08;
const GET_CONTROLLER_ID: u8 = 0x09;
const SET_CONTROLLER_ID: u8 = 0x0a;
/// So many bytes of a string come or go at once.
const CHUNK_LEN: usize = 16;
const ASSET_TAG_LEN: usize = 63;
/// Its NUL included.
const CONTROLLER_ID_LEN: usize = 64;

/// What Get DCMI Capabilities Info says of one of its parameters, 1 to 5.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DcmiCapabilities {
    /// The version of DCMI, major and minor: `(1, 5)`.
    pub version: (u8, u8),
    /// The revision of the parameter.
    pub revision: u8,
    /// The parameter's data. Of parameter 1, supported capabilities, byte 1 bit 0 is power
    /// management.
    pub data: Vec<u8>,
}

/// What Get Power Reading says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PowerReading {
    /// What is drawn now, in watts.
    pub current: u16,
    /// The least of the period.
    pub minimum: u16,
    /// The most of the period.
    pub maximum: u16,
    /// The mean of the period.
    pub average: u16,
    /// When that was by the BMC's clock, in seconds since 1970.
    pub timestamp: u32,
    /// The period over which it is measured.
    pub period: Duration,
    /// Whether it is measured at all: otherwise none of the values count.
    pub valid: bool,
}

/// A limit of the power that is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerLimit {
    /// Whether it is in force; not for it to be set.
    pub active: bool,
    /// What happens when it cannot be kept: 0 nothing, 1 power off, 2 to 10h OEM, 11h an event
    /// is logged.
    pub exception_action: u8,
    /// The limit in watts.
    pub limit: u16,
    /// How long the system may take to get there, in milliseconds.
    pub correction_ms: u32,
    /// Over how long it is measured, in seconds.
    pub sampling: u16,
}

impl PowerLimit {
    fn read(data: &[u8], active: bool) -> Result<Self> {
        let mut fields = Fields::of("Get Power Limit", data);
        let _reserved: [u8; 2] = fields.array()?;
        let exception_action = fields.u8()?;
        let limit = fields.u16()?;
        let correction_ms = fields.u32()?;
        let _reserved: [u8; 2] = fields.array()?;
        Ok(PowerLimit { active, exception_action, limit, correction_ms, sampling: fields.u16()? })
    }
}

impl Dialog {
    /// Get DCMI Capabilities Info: a parameter, 1 to 5. Fails with `Completion` and C1h on a BMC
    /// without DCMI, as all commands of DCMI do.
    pub async fn dcmi_capabilities(&self, parameter: u8) -> Result<DcmiCapabilities> {
        let data = self.dcmi(GET_CAPABILITIES, &[parameter]).await?;
        let mut fields = Fields::of("Get DCMI Capabilities Info", &data);
        let [major, minor, revision] = fields.array()?;
        let data = fields.rest().to_vec();
        Ok(DcmiCapabilities { version: (major, minor), revision, data })
    }

    /// Get Power Reading: what the system draws.
    pub async fn power_reading(&self) -> Result<PowerReading> {
        self.read_power([1, 0, 0]).await
    }

    /// The same over a period of the BMC's choice: `period` is one of those that parameter 5 of
    /// [`dcmi_capabilities`](Self::dcmi_capabilities) lists. Bits 7 and 6 are its unit (seconds,
    /// minutes, hours, days), the others how many.
    pub async fn enhanced_power_reading(&self, period: u8) -> Result<PowerReading> {
        self.read_power([2, period, 0]).await
    }

    async fn read_power(&self, request: [u8; 3]) -> Result<PowerReading> {
        let data = self.dcmi(GET_POWER_READING, &request).await?;
        let mut fields = Fields::of("Get Power Reading", &data);
        Ok(PowerReading {
            current: fields.u16()?,
            minimum: fields.u16()?,
            maximum: fields.u16()?,
            average: fields.u16()?,
            timestamp: fields.u32()?,
            period: Duration::from_millis(fields.u32()?.into()),
            valid: fields.u8()? & 0x40 != 0,
        })
    }

    /// Get Power Limit. One that is set and not in force is not an error.
    pub async fn power_limit(&self) -> Result<PowerLimit> {
        let (code, data) = self.dcmi_reply(GET_POWER_LIMIT, &[0, 0], |code| code == 0x80).await?;
        PowerLimit::read(&data, code == 0)
    }

    /// Set Power Limit. It is not in force before
    /// [`activate_power_limit`](Self::activate_power_limit).
    pub async fn set_power_limit(&self, limit: PowerLimit) -> Result<()> {
        let mut request = vec![0, 0, 0, limit.exception_action];
        request.extend(limit.limit.to_le_bytes());
        request.extend(limit.correction_ms.to_le_bytes());
        request.extend([0, 0]);
        request.extend(limit.sampling.to_le_bytes());
        self.dcmi(SET_POWER_LIMIT, &request).await.map(drop)
    }

    /// Activate/Deactivate Power Limit.
    pub async fn activate_power_limit(&self, active: bool) -> Result<()> {
        self.dcmi(ACTIVATE_POWER_LIMIT, &[u8::from(active), 0, 0]).await.map(drop)
    }

    /// Get Asset Tag: up to 63 bytes, mostly text; in which encoding, few BMCs say truly.
    pub async fn asset_tag(&self) -> Result<Vec<u8>> {
        self.dcmi_string(GET_ASSET_TAG, "Get Asset Tag", ASSET_TAG_LEN).await
    }

    /// Set Asset Tag: up to 63 bytes of UTF-8.
    pub async fn set_asset_tag(&self, tag: &str) -> Result<()> {
        if tag.len() > ASSET_TAG_LEN {
            return Err(Error::misuse("an asset tag has up to 63 bytes"));
        }
        self.set_dcmi_string(SET_ASSET_TAG, tag.as_bytes()).await
    }

    /// Get Management Controller Identifier String: its name, as in DHCP; what is not UTF-8 in it
    /// is replaced.
    pub async fn controller_id(&self) -> Result<String> {
        let name = "Get Management Controller Identifier String";
        let id = self.dcmi_string(GET_CONTROLLER_ID, name, CONTROLLER_ID_LEN).await?;
        let end = id.iter().position(|byte| *byte == 0).unwrap_or(id.len());
        Ok(String::from_utf8_lossy(&id[..end]).into_owned())
    }

    /// Set Management Controller Identifier String: up to 63 bytes with no NUL.
    pub async fn set_controller_id(&self, id: &str) -> Result<()> {
        if id.len() >= CONTROLLER_ID_LEN || id.contains('\0') {
            return Err(Error::misuse("a controller's name has up to 63 bytes and no NUL"));
        }
        let terminated = [id.as_bytes(), &[0]].concat();
        self.set_dcmi_string(SET_CONTROLLER_ID, &terminated).await
    }

    async fn dcmi_string(&self, cmd: u8, name: &'static str, max: usize) -> Result<Vec<u8>> {
        let mut string = Vec::new();
        loop {
            let count = CHUNK_LEN.min(max - string.len());
            let request = [string.len() as u8, count as u8];
            // These codes of an asset tag say how it is encoded.
            let tells = |code| cmd == GET_ASSET_TAG && (0x80..=0x83).contains(&code);
            let (_, data) = self.dcmi_reply(cmd, &request, tells).await?;
            let mut fields = Fields::of(name, &data);
            let total = usize::from(fields.u8()?).min(max);
            let wanted = count.min(total.saturating_sub(string.len()));
            let chunk = fields.rest();
            string.extend_from_slice(&chunk[..chunk.len().min(wanted)]);
            if chunk.is_empty() || string.len() >= total {
                return Ok(string);
            }
        }
    }

    async fn set_dcmi_string(&self, cmd: u8, string: &[u8]) -> Result<()> {
        let mut offset = 0;
        loop {
            let rest = &string[offset..];
            let chunk = &rest[..rest.len().min(CHUNK_LEN)];
            let mut request = vec![offset as u8, chunk.len() as u8];
            request.extend_from_slice(chunk);
            self.dcmi(cmd, &request).await?;
            offset += chunk.len();
            if offset >= string.len() {
                return Ok(());
            }
        }
    }

    async fn dcmi(&self, cmd: u8, data: &[u8]) -> Result<Vec<u8>> {
        Ok(self.dcmi_reply(cmd, data, |_| false).await?.1)
    }

    /// The completion code, 0 or one that is `fine`, and the data after the group's number.
    async fn dcmi_reply(
        &self,
        cmd: u8,
        data: &[u8],
        fine: impl Fn(u8) -> bool,
    ) -> Result<(u8, Vec<u8>)> {
        let request = [&[DCMI], data].concat();
        let reply = self.reply(net_fn::GROUP_EXTENSION, cmd, &request).await?;
        let code = reply.completion_code;
        if code.0 != 0 && !fine(code.0) {
            return Err(Error::completion(code, own_code(cmd, code.0)));
        }
        match reply.data.split_first() {
            Some((&DCMI, data)) => Ok((code.0, data.to_vec())),
            _ => {
                let text = "the response to a DCMI command is not one of DCMI";
                Err(Error::with_text(ErrorKind::PeerMisbehaved, text))
            }
        }
    }
}

fn own_code(cmd: u8, code: u8) -> Option<&'static str> {
    Some(match (cmd, code) {
        (_, 0xc1) => "the BMC has no DCMI, or not this command of it",
        (SET_POWER_LIMIT, 0x84) => "the power limit is out of range",
        (SET_POWER_LIMIT, 0x85) => "the correction time is out of range",
        (SET_POWER_LIMIT, 0x89) => "the sampling period is out of range",
        _ => return None,
    })
}
