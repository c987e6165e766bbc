//! Transport commands: LAN and SOL configuration parameters (§23, §26).

use super::app::LAN_CHANNEL;
use super::{Answer, Caller};
use crate::sim::bmc::ManagedSystem;
use crate::sim::lan::{PARAMETER_NOT_SUPPORTED, READ_ONLY, SET_IN_PROGRESS};
use crate::sim::profile::Profile;
use crate::wire::message::CompletionCode;
use crate::wire::session_command::PRESENT_CHANNEL;

const PARAMETER_REVISION: u8 = 0x11;
const REVISION_ONLY: u8 = 0x80;

impl ManagedSystem {
    pub(super) fn transport_command(
        &mut self,
        caller: &Caller,
        command: u8,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Answer {
        match command {
            0x01 => self.set_lan_parameter(caller, data),
            0x02 => self.read_parameter(data, out, Self::lan_parameter),
            0x21 => self.set_sol_parameter(data),
            0x22 => self.read_parameter(data, out, Self::sol_parameter),
            _ => Err(CompletionCode::INVALID_COMMAND.into()),
        }
    }

    fn read_parameter(
        &mut self,
        data: &[u8],
        out: &mut Vec<u8>,
        read: fn(&Self, u8, u8, &mut Vec<u8>) -> Answer,
    ) -> Answer {
        let &[channel, parameter, set, _block] = data else {
            return Err(CompletionCode::DATA_LENGTH_INVALID.into());
        };
        if !matches!(channel & 0x0f, PRESENT_CHANNEL | LAN_CHANNEL) {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        out.push(PARAMETER_REVISION);
        if channel & REVISION_ONLY != 0 {
            return Ok(());
        }
        read(self, parameter, set, out)
    }

    /// Get SOL Configuration Parameters (§26.3).
    fn sol_parameter(&self, parameter: u8, _set: u8, out: &mut Vec<u8>) -> Answer {
        if !self.has_sol_parameter(parameter) {
            return Err(PARAMETER_NOT_SUPPORTED);
        }
        let config = &self.sol.config;
        match parameter {
            0 => out.push(config.set_in_progress),
            1 => out.push(u8::from(config.enabled)),
            2 => out.push(config.authentication),
            3 => out.extend_from_slice(&[config.accumulate_interval, config.send_threshold]),
            4 => out.extend_from_slice(&[config.retry_count, config.retry_interval]),
            5 => out.push(config.non_volatile_bit_rate),
            6 => out.push(config.volatile_bit_rate),
            7 => out.push(LAN_CHANNEL),
            _ => out.extend_from_slice(&self.options.port.to_le_bytes()),
        }
        Ok(())
    }

    fn has_sol_parameter(&self, parameter: u8) -> bool {
        match self.options.profile {
            Profile::IpmiSim => matches!(parameter, 0 | 1 | 5 | 6),
            _ => parameter <= 8,
        }
    }

    /// Set SOL Configuration Parameters (§26.2).
    fn set_sol_parameter(&mut self, data: &[u8]) -> Answer {
        let &[channel, parameter, ref value @ ..] = data else {
            return Err(CompletionCode::DATA_LENGTH_INVALID.into());
        };
        if !matches!(channel & 0x0f, PRESENT_CHANNEL | LAN_CHANNEL) {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        if !self.has_sol_parameter(parameter) {
            return Err(PARAMETER_NOT_SUPPORTED);
        }
        let config = &mut self.sol.config;
        match (parameter, value) {
            (0, [1]) if config.set_in_progress == 1 => return Err(SET_IN_PROGRESS),
            (0, [progress @ 0..=1]) => config.set_in_progress = *progress,
            (0, [_]) => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
            (1, [enable]) => config.enabled = enable & 1 != 0,
            (2, [authentication]) => config.authentication = *authentication,
            (3, [0, _] | [_, 0]) => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
            (3, [interval, threshold]) => {
                config.accumulate_interval = *interval;
                config.send_threshold = *threshold;
            }
            (4, [count, interval]) => {
                config.retry_count = count & 0x07;
                config.retry_interval = *interval;
            }
            (5, [rate]) => config.non_volatile_bit_rate = rate & 0x0f,
            (6, [rate]) => config.volatile_bit_rate = rate & 0x0f,
            (7 | 8, _) => return Err(READ_ONLY),
            _ => return Err(CompletionCode::DATA_LENGTH_INVALID.into()),
        }
        Ok(())
    }
}
