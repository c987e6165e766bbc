//! System boot options (§28.12, §28.13) and what the host makes of them.

use std::time::{Duration, Instant};

use super::bmc::ManagedSystem;
use super::command::{Answer, Caller, Refusal, exactly};
use crate::wire::message::CompletionCode;

const PARAMETER_NOT_SUPPORTED: Refusal = Refusal::Code(0x80);
const SET_IN_PROGRESS: Refusal = Refusal::Code(0x81);
/// How long the valid bit of the boot flags lasts without a Chassis Control command.
const VALID_FOR: Duration = Duration::from_secs(60);
const PARAMETER_VERSION: u8 = 0x01;
const INVALID: u8 = 0x80;
/// Boot flags, byte 0.
const VALID: u8 = 0x80;
const PERSISTENT: u8 = 0x40;
/// Parameter 3: the valid bit outlives the time limit; it outlives power-up by button.
const KEEP_AFTER_TIMEOUT: u8 = 0x08;
const MAILBOX_BLOCKS: u8 = 5;
const BLOCK_LEN: usize = 16;

/// The boot options of one BMC once somebody set one.
#[derive(Default)]
pub(super) struct BootOptions {
    /// Whose session is setting options.
    setter: Option<u32>,
    /// Parameters marked as invalid, a bit each.
    invalid: u8,
    partition: u8,
    scan: u8,
    valid_bit_clearing: u8,
    acknowledge: u8,
    flags: [u8; 5],
    /// When the valid bit of the flags is cleared.
    flags_expire: Option<Instant>,
    initiator: [u8; 9],
    mailbox: Vec<[u8; BLOCK_LEN]>,
    /// The flags of the last boot that obeyed any.
    booted: Option<[u8; 5]>,
}

impl BootOptions {
    /// A Chassis Control command came: the flags wait for the boot it makes.
    pub fn keep_flags(&mut self) {
        self.flags_expire = None;
    }

    /// Clears what ran out of time.
    fn expire(&mut self, now: Instant) {
        if self.flags_expire.take_if(|due| *due <= now).is_some() {
            self.flags[0] &= !VALID;
        }
    }
}

impl ManagedSystem {
    /// The boot flags (parameter 5, 5 bytes) that the host obeyed at its last boot with any.
    pub fn booted_with(&self) -> Option<[u8; 5]> {
        self.chassis.boot.as_ref()?.booted
    }

    /// The host boots: valid flags are obeyed, and used up unless they are persistent.
    pub(super) fn boot_host(&mut self) {
        let now = self.clock;
        let Some(boot) = &mut self.chassis.boot else { return };
        boot.expire(now);
        if boot.flags[0] & VALID != 0 {
            boot.booted = Some(boot.flags);
            if boot.flags[0] & PERSISTENT == 0 {
                boot.flags[0] &= !VALID;
            }
            boot.flags_expire = None;
        }
    }

    /// Set System Boot Options (§28.12).
    pub(super) fn set_boot_option(&mut self, caller: &Caller, data: &[u8]) -> Answer {
        let &[selector, ref value @ ..] = data else {
            return Err(CompletionCode::DATA_LENGTH_INVALID.into());
        };
        let (parameter, now) = (selector & 0x7f, self.clock);
        let others: Vec<u32> = self.sessions.iter().map(|session| session.id).collect();
        let boot = self.chassis.boot.get_or_insert_default();
        boot.expire(now);
        match parameter {
            0 => {
                let [progress] = exactly(value)?;
                let taken = boot.setter.is_some_and(|id| id != caller.id && others.contains(&id));
                match progress & 0x03 {
                    0 => boot.setter = None,
                    1 if taken => return Err(SET_IN_PROGRESS),
                    1 => boot.setter = Some(caller.id),
                    // There is no rollback: what is written is committed.
                    2 => {}
                    _ => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
                }
            }
            1 => [boot.partition] = exactly(value)?,
            2 => [boot.scan] = exactly(value)?,
            3 => {
                let [clearing] = exactly(value)?;
                boot.valid_bit_clearing = clearing & 0x1f;
                if clearing & KEEP_AFTER_TIMEOUT != 0 {
                    boot.keep_flags();
                }
            }
            4 => {
                let [mask, acknowledge] = exactly(value)?;
                boot.acknowledge = boot.acknowledge & !mask | acknowledge & mask;
            }
            5 => {
                boot.flags = exactly(value)?;
                let lasts = boot.valid_bit_clearing & KEEP_AFTER_TIMEOUT != 0;
                boot.flags_expire = Some(now + VALID_FOR).filter(|_| !lasts);
            }
            6 => boot.initiator = exactly(value)?,
            7 => {
                let [block, data @ ..] = exactly::<17>(value)?;
                if block >= MAILBOX_BLOCKS {
                    return Err(CompletionCode::PARAMETER_OUT_OF_RANGE.into());
                }
                boot.mailbox.resize(MAILBOX_BLOCKS.into(), [0; BLOCK_LEN]);
                boot.mailbox[usize::from(block)] = data;
            }
            _ => return Err(PARAMETER_NOT_SUPPORTED),
        }
        boot.invalid = boot.invalid & !(1 << parameter) | (selector >> 7) << parameter;
        Ok(())
    }

    /// Get System Boot Options (§28.13).
    pub(super) fn boot_option(&mut self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [parameter, set, _block] = exactly(data)?;
        let (parameter, now) = (parameter & 0x7f, self.clock);
        if let Some(boot) = &mut self.chassis.boot {
            boot.expire(now);
        }
        let untouched = BootOptions::default();
        let boot = self.chassis.boot.as_deref().unwrap_or(&untouched);
        if parameter > 7 {
            return Err(PARAMETER_NOT_SUPPORTED);
        }
        let invalid = if boot.invalid >> parameter & 1 != 0 { INVALID } else { 0 };
        out.extend_from_slice(&[PARAMETER_VERSION, invalid | parameter]);
        match parameter {
            0 => out.push(u8::from(boot.setter.is_some())),
            1 => out.push(boot.partition),
            2 => out.push(boot.scan),
            3 => out.push(boot.valid_bit_clearing),
            4 => out.extend_from_slice(&[0, boot.acknowledge]),
            5 => out.extend_from_slice(&boot.flags),
            6 => out.extend_from_slice(&boot.initiator),
            _ if set >= MAILBOX_BLOCKS => {
                return Err(CompletionCode::PARAMETER_OUT_OF_RANGE.into());
            }
            _ => {
                out.push(set);
                let block = boot.mailbox.get(usize::from(set)).copied().unwrap_or_default();
                out.extend_from_slice(&block);
            }
        }
        Ok(())
    }
}
