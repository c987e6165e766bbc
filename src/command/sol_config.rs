//! The SOL configuration of a channel (§26.2, §26.3, Table 26-5).

use super::channel::check;
use super::dialog::Dialog;
use super::parameters::{Parameters, Write};
use crate::error::{Error, ErrorKind, Result};
use crate::wire::PrivilegeLevel;

const SOL_ENABLE: u8 = 1;
const AUTHENTICATION: u8 = 2;
const CHARACTER_ACCUMULATE: u8 = 3;
const RETRY: u8 = 4;
const BIT_RATE: u8 = 5;
const VOLATILE_BIT_RATE: u8 = 6;
const PAYLOAD_CHANNEL: u8 = 7;
const PAYLOAD_PORT: u8 = 8;

/// A bit rate of SOL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SolBitRate {
    /// As the serial port is set.
    AsSerialPort,
    /// 9,600 bit/s.
    B9600,
    /// 19,200 bit/s.
    B19200,
    /// 38,400 bit/s.
    B38400,
    /// 57,600 bit/s.
    B57600,
    /// 115,200 bit/s.
    B115200,
    /// A number without a name, 0 to 15.
    Other(u8),
}

/// Who may have SOL, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SolAuthentication {
    /// Only with encryption.
    pub force_encryption: bool,
    /// Only with authentication.
    pub force_authentication: bool,
    /// The lowest level; `None` when the number stands for none.
    pub privilege: Option<PrivilegeLevel>,
}

/// The SOL configuration of a channel, as far as the BMC has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SolParameters {
    /// Whether there is SOL at all.
    pub enabled: Option<bool>,
    /// Who may have it.
    pub authentication: Option<SolAuthentication>,
    /// How long characters are collected before they are sent, in units of 5 ms.
    pub accumulate_interval: Option<u8>,
    /// So many are sent at once without waiting longer.
    pub send_threshold: Option<u8>,
    /// How often a packet is repeated that is not acknowledged, 0 to 7.
    pub retry_count: Option<u8>,
    /// How long between, in units of 10 ms.
    pub retry_interval: Option<u8>,
    /// The bit rate that is used from the next activation on.
    pub bit_rate: Option<SolBitRate>,
    /// The one in use.
    pub volatile_bit_rate: Option<SolBitRate>,
    /// The channel SOL comes by.
    pub payload_channel: Option<u8>,
    /// The UDP port SOL comes by.
    pub payload_port: Option<u16>,
}

/// A SOL parameter with its new value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SolSetting {
    /// Whether there is SOL at all.
    Enabled(bool),
    /// Who may have it; the lowest level is user to OEM.
    Authentication(SolAuthentication),
    /// How long characters are collected, 1 to 255 in units of 5 ms, and how many are sent at
    /// once, 1 to 255.
    CharacterAccumulate(u8, u8),
    /// How often a packet is repeated, 0 to 7, and how long between, in units of 10 ms.
    Retry(u8, u8),
    /// The bit rate that is used from the next activation on.
    BitRate(SolBitRate),
    /// The one in use.
    VolatileBitRate(SolBitRate),
    /// The UDP port, where it can be set.
    PayloadPort(u16),
}

impl SolBitRate {
    const NAMED: [(u8, SolBitRate); 6] = [
        (0, SolBitRate::AsSerialPort),
        (6, SolBitRate::B9600),
        (7, SolBitRate::B19200),
        (8, SolBitRate::B38400),
        (9, SolBitRate::B57600),
        (10, SolBitRate::B115200),
    ];

    fn from_number(number: u8) -> Self {
        let named = Self::NAMED.iter().find(|(own, _)| *own == number);
        named.map_or(SolBitRate::Other(number), |(_, rate)| *rate)
    }

    fn number(self) -> u8 {
        match self {
            SolBitRate::Other(number) => number & 0x0f,
            named => {
                let found = Self::NAMED.iter().find(|(_, rate)| *rate == named);
                found.map_or(0, |(number, _)| *number)
            }
        }
    }
}

impl SolAuthentication {
    fn from_byte(byte: u8) -> Self {
        SolAuthentication {
            force_encryption: byte & 0x80 != 0,
            force_authentication: byte & 0x40 != 0,
            privilege: PrivilegeLevel::from_number(byte & 0x0f),
        }
    }

    fn byte(self) -> u8 {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let level = self.privilege.map_or(0, |level| level as u8);
        bit(self.force_encryption, 0x80) | bit(self.force_authentication, 0x40) | level
    }
}

impl SolSetting {
    fn write(self) -> Result<Write> {
        Ok(match self {
            Self::Enabled(enabled) => Write::new(SOL_ENABLE, [u8::from(enabled)]),
            Self::Authentication(who) if who.privilege >= Some(PrivilegeLevel::User) => {
                Write::new(AUTHENTICATION, [who.byte()])
            }
            Self::CharacterAccumulate(interval @ 1.., threshold @ 1..) => {
                Write::new(CHARACTER_ACCUMULATE, [interval, threshold])
            }
            Self::Retry(count @ 0..=7, interval) => Write::new(RETRY, [count, interval]),
            Self::BitRate(rate) => Write::new(BIT_RATE, [rate.number()]),
            Self::VolatileBitRate(rate) => Write::new(VOLATILE_BIT_RATE, [rate.number()]),
            Self::PayloadPort(port) => Write::new(PAYLOAD_PORT, port.to_le_bytes()),
            out_of_range => {
                return Err(Error::misuse(format!("out of range: {out_of_range:?}")));
            }
        })
    }
}

impl Dialog {
    /// Get SOL Configuration Parameters (§26.3) for all there are. `channel` is 0 to 15, 14 being
    /// the one of this session; a few BMCs want the real number.
    pub async fn sol_parameters(&self, channel: u8) -> Result<SolParameters> {
        check(channel)?;
        let sol = Parameters::Sol(channel);
        let mut found = SolParameters::default();
        if let Some([enabled, ..]) = sol.find(self, SOL_ENABLE, 0).await?.as_deref() {
            found.enabled = Some(enabled & 1 != 0);
        }
        if let Some([who, ..]) = sol.find(self, AUTHENTICATION, 0).await?.as_deref() {
            found.authentication = Some(SolAuthentication::from_byte(*who));
        }
        if let Some([interval, count, ..]) =
            sol.find(self, CHARACTER_ACCUMULATE, 0).await?.as_deref()
        {
            (found.accumulate_interval, found.send_threshold) = (Some(*interval), Some(*count));
        }
        if let Some([count, interval, ..]) = sol.find(self, RETRY, 0).await?.as_deref() {
            (found.retry_count, found.retry_interval) = (Some(count & 7), Some(*interval));
        }
        if let Some([rate, ..]) = sol.find(self, BIT_RATE, 0).await?.as_deref() {
            found.bit_rate = Some(SolBitRate::from_number(rate & 0x0f));
        }
        if let Some([rate, ..]) = sol.find(self, VOLATILE_BIT_RATE, 0).await?.as_deref() {
            found.volatile_bit_rate = Some(SolBitRate::from_number(rate & 0x0f));
        }
        if let Some([channel, ..]) = sol.find(self, PAYLOAD_CHANNEL, 0).await?.as_deref() {
            found.payload_channel = Some(channel & 0x0f);
        }
        if let Some([low, high, ..]) = sol.find(self, PAYLOAD_PORT, 0).await?.as_deref() {
            found.payload_port = Some(u16::from_le_bytes([*low, *high]));
        }
        Ok(found)
    }

    /// Set SOL Configuration Parameters (§26.2), in this order, between "set in progress" and "set
    /// complete", which is sent also when one fails; then those after it are not written.
    ///
    /// Fails with `SolInUse`, and nothing is written, when somebody has SOL and would lose it: by
    /// its being disabled, or by a level above that of this session. Unless `force`.
    pub async fn set_sol(&self, channel: u8, settings: Vec<SolSetting>, force: bool) -> Result<()> {
        check(channel)?;
        let writes: Vec<_> =
            settings.iter().map(|setting| setting.write()).collect::<Result<_>>()?;
        if !force {
            self.check_sol_stays(&settings).await?;
        }
        Parameters::Sol(channel).write_all(self, &writes, &[]).await
    }

    async fn check_sol_stays(&self, settings: &[SolSetting]) -> Result<()> {
        let disables = settings.contains(&SolSetting::Enabled(false));
        let wanted = settings.iter().filter_map(|setting| match setting {
            SolSetting::Authentication(who) => who.privilege,
            _ => None,
        });
        let wanted = wanted.max();
        if !disables && wanted.is_none() || !self.sol_activation().await?.is_active(1) {
            return Ok(());
        }
        let own = self.own_session().await?.and_then(|session| session.privilege);
        let what = if disables {
            "somebody has SOL: disabling it would end that console"
        } else if wanted > own {
            "somebody has SOL: with that level this session would lose it"
        } else {
            return Ok(());
        };
        Err(Error::with_text(ErrorKind::SolInUse, what))
    }
}
