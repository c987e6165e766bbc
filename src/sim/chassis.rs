//! The chassis around the BMC: power, identify light, boot options (§28).

use std::time::{Duration, Instant};

use super::bmc::ManagedSystem;
use super::command::{Answer, Refusal, exactly};
use super::serial::SerialEvent;
use crate::wire::message::CompletionCode;

/// How long the host stays off in a power cycle.
const CYCLE: Duration = Duration::from_secs(2);
/// How long an operating system takes to shut down.
const SOFT_SHUTDOWN: Duration = Duration::from_secs(5);
const PARAMETER_NOT_SUPPORTED: Refusal = Refusal::Code(0x80);

/// State of the chassis.
pub(super) struct Chassis {
    pub power_on: bool,
    /// What a running operation makes of the power, and when.
    pub power_change: Option<(Instant, bool)>,
    /// Since when SEL time counts, and from what.
    pub clock_set: (Instant, u32),
    by_ipmi: bool,
    identify: u8,
    restore_policy: u8,
    restart_cause: u8,
    boot_options: Vec<(u8, Vec<u8>)>,
}

impl Chassis {
    /// A chassis whose host runs.
    pub fn new(now: Instant) -> Self {
        Chassis {
            power_on: true,
            power_change: None,
            clock_set: (now, 0),
            by_ipmi: false,
            identify: 0,
            restore_policy: 1,
            restart_cause: 0,
            boot_options: Vec::new(),
        }
    }

    /// When the power changes by itself.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.power_change.map(|(due, _)| due)
    }
}

impl ManagedSystem {
    /// Switches the host on or off, as its power button would.
    pub fn set_host_power(&mut self, on: bool) {
        self.chassis.power_change = None;
        if self.chassis.power_on == on {
            return;
        }
        self.chassis.power_on = on;
        self.push_event(if on { SerialEvent::PowerOn } else { SerialEvent::PowerOff });
        self.sol_power_changed();
    }

    /// Whether the host is on.
    pub fn host_power(&self) -> bool {
        self.chassis.power_on
    }

    /// Finishes a power operation whose time has come.
    pub(super) fn chassis_timeout(&mut self) {
        if let Some((_, on)) = self.chassis.power_change.take_if(|(due, _)| *due <= self.clock) {
            self.set_host_power(on);
        }
    }

    pub(super) fn chassis_command(
        &mut self,
        command: u8,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Answer {
        match command {
            // Capabilities: everything is at the BMC's own address.
            0x00 => out.extend_from_slice(&[0, 0x20, 0x20, 0x20, 0x20]),
            0x01 => self.chassis_status(out),
            0x02 => return self.chassis_control(data),
            0x04 => {
                self.chassis.identify = match data {
                    [] => 1,
                    [_, 1] => 2,
                    [0] | [0, _] => 0,
                    [_] | [_, _] => 1,
                    _ => return Err(CompletionCode::DATA_LENGTH_INVALID.into()),
                };
            }
            0x06 => {
                let [policy] = exactly(data)?;
                if policy & 0x07 < 3 {
                    self.chassis.restore_policy = policy & 0x07;
                }
                out.push(0x07);
            }
            0x07 => out.extend_from_slice(&[self.chassis.restart_cause, 0x01]),
            0x08 => return self.set_boot_option(data),
            0x09 => return self.boot_option(data, out),
            0x0f => out.extend_from_slice(&[60, 0, 0, 0, 0]),
            _ => return Err(CompletionCode::INVALID_COMMAND.into()),
        }
        Ok(())
    }

    /// Get Chassis Status (§28.2).
    fn chassis_status(&self, out: &mut Vec<u8>) {
        let chassis = &self.chassis;
        out.extend_from_slice(&[
            chassis.restore_policy << 5 | u8::from(chassis.power_on),
            if chassis.by_ipmi { 0x10 } else { 0 },
            0x40 | chassis.identify << 4,
        ]);
    }

    /// Chassis Control (§28.3).
    fn chassis_control(&mut self, data: &[u8]) -> Answer {
        let [control] = exactly(data)?;
        let on = self.chassis.power_on;
        match control & 0x0f {
            0 => self.set_host_power(false),
            1 => {
                self.chassis.by_ipmi = true;
                self.chassis.restart_cause = 1;
                self.set_host_power(true);
            }
            2 | 3 | 5 if !on => return Err(CompletionCode::NOT_IN_PRESENT_STATE.into()),
            2 => {
                self.set_host_power(false);
                self.chassis.restart_cause = 1;
                self.chassis.power_change = Some((self.clock + CYCLE, true));
            }
            3 => {
                self.chassis.restart_cause = 1;
                self.push_event(SerialEvent::HostReset);
                self.sol_host_reset();
            }
            4 => {}
            5 => self.chassis.power_change = Some((self.clock + SOFT_SHUTDOWN, false)),
            _ => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
        }
        Ok(())
    }

    /// Set System Boot Options (§28.12): kept, and without effect.
    fn set_boot_option(&mut self, data: &[u8]) -> Answer {
        let [parameter, value @ ..] = data else {
            return Err(CompletionCode::DATA_LENGTH_INVALID.into());
        };
        let parameter = parameter & 0x7f;
        let len = boot_option_len(parameter).ok_or(PARAMETER_NOT_SUPPORTED)?;
        if value.len() > len {
            return Err(CompletionCode::DATA_LENGTH_INVALID.into());
        }
        let mut value = value.to_vec();
        value.resize(len, 0);
        match self.chassis.boot_options.iter_mut().find(|option| option.0 == parameter) {
            Some(option) => option.1 = value,
            None => self.chassis.boot_options.push((parameter, value)),
        }
        Ok(())
    }

    /// Get System Boot Options (§28.13).
    fn boot_option(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [parameter, _set, _block] = exactly(data)?;
        let parameter = parameter & 0x7f;
        let len = boot_option_len(parameter).ok_or(PARAMETER_NOT_SUPPORTED)?;
        out.extend_from_slice(&[0x01, parameter]);
        match self.chassis.boot_options.iter().find(|option| option.0 == parameter) {
            Some(option) => out.extend_from_slice(&option.1),
            None => out.resize(out.len() + len, 0),
        }
        Ok(())
    }
}

/// Length of a boot option parameter's data.
fn boot_option_len(parameter: u8) -> Option<usize> {
    Some(match parameter {
        0..=3 => 1,
        4 => 2,
        5 => 5,
        6 => 9,
        7 => 17,
        _ => return None,
    })
}
