//! Channels of the BMC: what they are, who may use them, K_g and cipher suites (§22.15 to §22.25).

use zeroize::Zeroizing;

use super::dialog::Dialog;
use super::reply::Fields;
use super::user::present;
use crate::error::{Error, ErrorKind, Result};
use crate::wire::PrivilegeLevel;
use crate::wire::cipher_suite::{Record, decode_records};
use crate::wire::message::net_fn;
use crate::wire::session_command::{PRESENT_CHANNEL, cmd};

const SET_CHANNEL_ACCESS: u8 = 0x40;
const GET_CHANNEL_ACCESS: u8 = 0x41;
const GET_CHANNEL_INFO: u8 = 0x42;
const SET_CHANNEL_SECURITY_KEYS: u8 = 0x56;
const MEDIUM_LAN: u8 = 4;
/// The last channel that can be a LAN.
const NUMBERED_MAX: u8 = 0x0b;
const K_G_LEN: usize = 20;
/// Cipher suite records come in pieces of this size.
const CHUNK_LEN: usize = 16;
/// The index of a piece has six bits.
const CHUNKS_MAX: u8 = 64;

/// What Get Channel Info says (§22.24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelInfo {
    /// Its real number, 0 to 15.
    pub number: u8,
    /// The number of its medium: 1 IPMB, 4 LAN (802.3), 5 serial, 12 system interface.
    pub medium: u8,
    /// The number of its protocol: 1 IPMB, 5 KCS.
    pub protocol: u8,
    /// Its sessions: 0 it has none, 1 one, 2 several, 3 as it is told to.
    pub session_support: u8,
    /// How many sessions it has now.
    pub active_sessions: u8,
    /// Whose protocol it is, by number at IANA; 1BF2h is IPMI.
    pub vendor: u32,
    /// More about it.
    pub auxiliary: [u8; 2],
}

impl ChannelInfo {
    /// Whether it is a LAN.
    pub fn is_lan(&self) -> bool {
        self.medium == MEDIUM_LAN
    }

    fn read(data: &[u8]) -> Result<Self> {
        let mut fields = Fields::of("Get Channel Info", data);
        let [number, medium, protocol, sessions] = fields.array()?;
        Ok(ChannelInfo {
            number: number & 0x0f,
            medium: medium & 0x7f,
            protocol: protocol & 0x1f,
            session_support: sessions >> 6,
            active_sessions: sessions & 0x3f,
            vendor: fields.u24().unwrap_or_default(),
            auxiliary: fields.array().unwrap_or_default(),
        })
    }
}

/// When a channel can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelMode {
    /// Never.
    Disabled,
    /// Until the operating system starts.
    PreBoot,
    /// Always.
    Always,
    /// Always, shared with the BIOS.
    Shared,
    /// A reserved number, 4 to 7.
    Other(u8),
}

impl ChannelMode {
    fn from_number(number: u8) -> Self {
        let named = [Self::Disabled, Self::PreBoot, Self::Always, Self::Shared];
        named.get(usize::from(number)).copied().unwrap_or(Self::Other(number))
    }

    fn number(self) -> u8 {
        match self {
            ChannelMode::Disabled => 0,
            ChannelMode::PreBoot => 1,
            ChannelMode::Always => 2,
            ChannelMode::Shared => 3,
            ChannelMode::Other(number) => number & 7,
        }
    }
}

/// Who may use a channel (§22.22, §22.23).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChannelAccess {
    /// Alerts by event filters are switched off.
    pub alerting_off: bool,
    /// Packets of a v1.5 session need no authentication after the first.
    pub per_message_authentication_off: bool,
    /// Commands of user level need none.
    pub user_level_authentication_off: bool,
    /// When it can be used.
    pub mode: ChannelMode,
    /// The highest level; `None` when the number stands for none.
    pub privilege_limit: Option<PrivilegeLevel>,
}

/// Which of the two copies of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stored {
    /// The one that is used again after the BMC has restarted.
    NonVolatile,
    /// The one in use.
    Volatile,
}

impl Stored {
    fn bits(self) -> u8 {
        match self {
            Stored::NonVolatile => 0x40,
            Stored::Volatile => 0x80,
        }
    }
}

/// Whether K_g can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyLock {
    /// It can, and cannot be locked.
    NotLockable,
    /// It cannot any more.
    Locked,
    /// It can.
    Unlocked,
    /// The reserved number, 3.
    Other,
}

impl Dialog {
    /// Get Channel Info (§22.24). `channel` is 0 to 15, 14 being the one of this session.
    pub async fn channel_info(&self, channel: u8) -> Result<ChannelInfo> {
        check(channel)?;
        ChannelInfo::read(&self.ask(net_fn::APP, GET_CHANNEL_INFO, &[channel]).await?)
    }

    /// The channels there are, by asking for each number from 0 to 11, and 15.
    pub async fn channels(&self) -> Result<Vec<ChannelInfo>> {
        let mut channels = Vec::new();
        for number in (0..=NUMBERED_MAX).chain([0x0f]) {
            let info = present(self.channel_info(number).await)?;
            // Some BMCs answer for numbers they do not have with a medium of 0.
            channels.extend(info.filter(|info| info.number == number && info.medium != 0));
        }
        Ok(channels)
    }

    /// The numbers of those that are LANs, rising.
    pub async fn lan_channels(&self) -> Result<Vec<u8>> {
        let channels = self.channels().await?;
        Ok(channels.iter().filter(|info| info.is_lan()).map(|info| info.number).collect())
    }

    /// Get Channel Access (§22.23).
    pub async fn channel_access(&self, channel: u8, stored: Stored) -> Result<ChannelAccess> {
        check(channel)?;
        let request = [channel, stored.bits()];
        let data = self.ask_with(net_fn::APP, GET_CHANNEL_ACCESS, &request, own_code).await?;
        let [bits, limit] = Fields::of("Get Channel Access", &data).array()?;
        Ok(ChannelAccess {
            alerting_off: bits & 0x20 != 0,
            per_message_authentication_off: bits & 0x10 != 0,
            user_level_authentication_off: bits & 0x08 != 0,
            mode: ChannelMode::from_number(bits & 7),
            privilege_limit: PrivilegeLevel::from_number(limit & 0x0f),
        })
    }

    /// Set Channel Access (§22.22), one of its two copies. A channel that is disabled cannot be
    /// enabled again through itself. No limit leaves that as it is.
    pub async fn set_channel_access(
        &self,
        channel: u8,
        stored: Stored,
        access: ChannelAccess,
    ) -> Result<()> {
        check(channel)?;
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let bits = stored.bits()
            | bit(access.alerting_off, 0x20)
            | bit(access.per_message_authentication_off, 0x10)
            | bit(access.user_level_authentication_off, 0x08)
            | access.mode.number();
        let limit = access.privilege_limit.map_or(0, |level| stored.bits() | level as u8);
        let request = [channel, bits, limit];
        self.ask_with(net_fn::APP, SET_CHANNEL_ACCESS, &request, own_code).await.map(drop)
    }

    /// Set Channel Security Keys, operation "read" (§22.25): whether K_g can be changed. The key
    /// itself, where a BMC gives it away, is thrown away.
    pub async fn k_g_lock(&self, channel: u8) -> Result<KeyLock> {
        self.security_key(channel, 0, None).await
    }

    /// Sets K_g of a channel (§22.25): up to 20 bytes; none, or only NULs, is no K_g.
    ///
    /// Whoever logs in by this channel needs it from now on, this engine's next session too: see
    /// [`Credentials::update`](crate::Credentials::update). Fails with `CipherSuite` when the
    /// session does not encrypt, and nothing is sent, unless `in_clear`.
    pub async fn set_k_g(&self, channel: u8, k_g: &[u8], in_clear: bool) -> Result<()> {
        if k_g.len() > K_G_LEN {
            return Err(Error::misuse("K_g has up to 20 bytes"));
        }
        self.security_key(channel, 1, Some((k_g, in_clear))).await.map(drop)
    }

    async fn security_key(
        &self,
        channel: u8,
        operation: u8,
        key: Option<(&[u8], bool)>,
    ) -> Result<KeyLock> {
        const K_G: u8 = 1;
        check(channel)?;
        let mut request = Zeroizing::new(Vec::with_capacity(3 + K_G_LEN));
        request.extend([channel, operation, K_G]);
        if let Some((key, _)) = key {
            request.extend_from_slice(key);
            request.resize(3 + K_G_LEN, 0);
        }
        let dialog = match key {
            Some((_, in_clear)) => self.secret(in_clear),
            None => self.clone(),
        };
        let asked = dialog.ask_with(net_fn::APP, SET_CHANNEL_SECURITY_KEYS, &request, key_code);
        let data = Zeroizing::new(asked.await?);
        let status = match key {
            // Some BMCs answer a write with nothing.
            Some(_) => data.first().copied().unwrap_or_default(),
            None => Fields::of("Set Channel Security Keys", &data).u8()?,
        };
        let locks = [KeyLock::NotLockable, KeyLock::Locked, KeyLock::Unlocked, KeyLock::Other];
        Ok(locks[usize::from(status & 3)])
    }

    /// Get Channel Cipher Suites (§22.15): which cipher suites a channel has.
    pub async fn cipher_suites(&self, channel: u8) -> Result<Vec<Record>> {
        const IPMI: u8 = 0;
        const BY_SUITE: u8 = 0x80;
        check(channel)?;
        let mut records = Vec::new();
        for index in 0..CHUNKS_MAX {
            let request = [channel, IPMI, BY_SUITE | index];
            let data = self.ask(net_fn::APP, cmd::GET_CHANNEL_CIPHER_SUITES, &request).await?;
            let mut fields = Fields::of("Get Channel Cipher Suites", &data);
            let _channel = fields.u8()?;
            let chunk = fields.rest();
            // Some BMCs give the same piece for every index.
            let repeated = !chunk.is_empty() && records.ends_with(chunk);
            if !repeated {
                records.extend_from_slice(chunk);
            }
            if chunk.len() != CHUNK_LEN || repeated {
                break;
            }
        }
        match decode_records(&records) {
            (records, None) => Ok(records),
            // What comes before something that cannot be read is still true.
            (records, Some(_)) if !records.is_empty() => Ok(records),
            (_, Some(error)) => Err(Error::with_text(ErrorKind::PeerMisbehaved, error.to_string())),
        }
    }

    /// The number of the channel this session came by.
    pub async fn present_channel(&self) -> Result<u8> {
        Ok(self.channel_info(PRESENT_CHANNEL).await?.number)
    }
}

pub(super) fn check(channel: u8) -> Result<()> {
    if channel > 0x0f {
        return Err(Error::misuse("a channel is 0 to 15"));
    }
    Ok(())
}

fn own_code(code: u8) -> Option<&'static str> {
    Some(match code {
        0x82 => "this channel has no such settings",
        0x83 => "the channel does not have this access mode",
        _ => return None,
    })
}

fn key_code(code: u8) -> Option<&'static str> {
    Some(match code {
        0x80 => "the key is locked",
        0x81 => "the BMC wants a key of another length",
        0x82 => "the BMC does not take this key",
        0x83 => "the key is used by the system",
        _ => return None,
    })
}
