//! Access to the LAN channel (§22.22, §22.23) and its keys (§22.25).

use super::bmc::ManagedSystem;
use super::command::{Answer, LAN_CHANNEL, Refusal, exactly};
use crate::wire::message::CompletionCode;
use crate::wire::session_command::PRESENT_CHANNEL;

const NOT_SUPPORTED: Refusal = Refusal::Code(0x82);
const MODE_NOT_SUPPORTED: Refusal = Refusal::Code(0x83);
const KEY_LOCKED: Refusal = Refusal::Code(0x80);
const KEY_WRONG_LEN: Refusal = Refusal::Code(0x81);
/// Set Channel Security Keys: KR is what the system itself uses.
const KEY_IN_USE: Refusal = Refusal::Code(0x83);
/// Which of two settings: the one kept over a restart, or the one in use.
const NON_VOLATILE: u8 = 1;
const VOLATILE: u8 = 2;
/// Access modes.
const MODE: u8 = 0x07;
const DISABLED: u8 = 0;
const ALWAYS: u8 = 2;
/// v1.5 packets go without AuthCode.
const PER_MESSAGE_AUTH_OFF: u8 = 0x10;
/// Lock status of a key.
const LOCKED: u8 = 1;
const UNLOCKED: u8 = 2;
const KEY_LEN: usize = 20;
const KG: u8 = 1;

/// Access settings of the LAN channel: bits 5:0 of the access byte, and the privilege limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Access {
    bits: u8,
    limit: u8,
}

/// The settings of one BMC once somebody changed them.
pub(super) struct ChannelSettings {
    kept: Access,
    used: Access,
}

impl Default for ChannelSettings {
    fn default() -> Self {
        let access = Access { bits: ALWAYS, limit: 4 };
        ChannelSettings { kept: access, used: access }
    }
}

impl ChannelSettings {
    /// A restart of the BMC.
    pub fn restart(&mut self) {
        self.used = self.kept;
    }
}

impl ManagedSystem {
    /// Whether nobody can log in over LAN.
    pub(super) fn lan_is_disabled(&self) -> bool {
        self.devices.channel.as_ref().is_some_and(|channel| channel.used.bits & MODE == DISABLED)
    }

    /// The highest privilege level over LAN.
    pub(super) fn channel_limit(&self) -> u8 {
        self.devices.channel.as_ref().map_or(u8::MAX, |channel| channel.used.limit)
    }

    /// Whether v1.5 packets may go without AuthCode because it was set so.
    pub(super) fn channel_per_message_auth_off(&self) -> bool {
        let channel = self.devices.channel.as_ref();
        channel.is_some_and(|channel| channel.used.bits & PER_MESSAGE_AUTH_OFF != 0)
    }

    /// Get Channel Access (§22.23).
    pub(super) fn channel_access(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [channel, which] = exactly(data)?;
        judge_channel(channel)?;
        let shipped = ChannelSettings::default();
        let settings = self.devices.channel.as_deref().unwrap_or(&shipped);
        let access = match which >> 6 {
            NON_VOLATILE => settings.kept,
            VOLATILE => settings.used,
            _ => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
        };
        out.extend_from_slice(&[access.bits, access.limit]);
        Ok(())
    }

    /// Set Channel Access (§22.22). Whoever is logged in stays so.
    pub(super) fn set_channel_access(&mut self, data: &[u8]) -> Answer {
        let [channel, access, limit] = exactly(data)?;
        judge_channel(channel)?;
        if access >> 6 != 0 && !matches!(access & MODE, DISABLED | ALWAYS) {
            return Err(MODE_NOT_SUPPORTED);
        }
        if limit >> 6 != 0 && !(1..=5).contains(&(limit & 0x0f)) {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        let settings = self.devices.channel.get_or_insert_default();
        match access >> 6 {
            0 => {}
            NON_VOLATILE => settings.kept.bits = access & 0x3f,
            VOLATILE => settings.used.bits = access & 0x3f,
            _ => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
        }
        match limit >> 6 {
            0 => {}
            NON_VOLATILE => settings.kept.limit = limit & 0x0f,
            VOLATILE => settings.used.limit = limit & 0x0f,
            _ => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
        }
        Ok(())
    }

    /// Set Channel Security Keys (§22.25): reads, sets or locks the BMC key.
    pub(super) fn channel_keys(&mut self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let &[channel, operation, key_id, ref key @ ..] = data else {
            return Err(CompletionCode::DATA_LENGTH_INVALID.into());
        };
        judge_channel(channel)?;
        if key_id > KG {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        let locked = self.devices.key_locked;
        match operation & 0x03 {
            0 => {}
            1 if key_id != KG => return Err(KEY_IN_USE),
            1 if locked => return Err(KEY_LOCKED),
            1 if key.len() != KEY_LEN => return Err(KEY_WRONG_LEN),
            1 => {
                let len = key.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                self.options.k_g = key[..len].to_vec();
            }
            2 => self.devices.key_locked |= key_id == KG,
            _ => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
        }
        let locked = key_id == KG && self.devices.key_locked;
        out.push(if locked { LOCKED } else { UNLOCKED });
        // Once locked a key cannot be read either.
        if operation & 0x03 == 0 && key_id == KG && !locked {
            let start = out.len();
            out.extend_from_slice(&self.options.k_g);
            out.resize(start + KEY_LEN, 0);
        }
        Ok(())
    }
}

fn judge_channel(channel: u8) -> Answer {
    match channel & 0x0f {
        LAN_CHANNEL | PRESENT_CHANNEL => Ok(()),
        _ => Err(NOT_SUPPORTED),
    }
}
