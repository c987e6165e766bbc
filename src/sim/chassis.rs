//! The chassis around the BMC: power, identify light, counters (§28).

use std::time::{Duration, Instant};

use super::bmc::ManagedSystem;
use super::boot::BootOptions;
use super::command::{Answer, Caller, exactly};
use super::sensor::{BMC_SENSORS, Reading, number};
use super::serial::SerialEvent;
use crate::wire::message::CompletionCode;

/// How long the host stays off in a power cycle.
const CYCLE: Duration = Duration::from_secs(2);
/// How long Chassis Identify lights unless told.
const IDENTIFY_DEFAULT: u8 = 15;
/// Minutes in one count of the power-on hours counter.
const POH_MINUTES: u8 = 60;
/// How long the host had run when the BMC was made.
const POH_BEFORE: Duration = Duration::from_secs(1234 * 3600);
/// The chassis has a diagnostic interrupt, a lockout and an intrusion sensor.
const CAPABILITIES: u8 = 0x07;
/// All front panel buttons can be disabled.
const BUTTONS: u8 = 0xf0;
/// Causes of a restart (Table 28-11).
const CAUSE_CHASSIS_CONTROL: u8 = 1;
const CAUSE_POWER_BUTTON: u8 = 3;
const CAUSE_ALWAYS_ON: u8 = 6;
const CAUSE_RESTORED: u8 = 7;
/// Last power event: the mains failed; switched on by IPMI.
const EVENT_MAINS_FAILED: u8 = 0x01;
const EVENT_BY_IPMI: u8 = 0x10;

/// State of the chassis.
pub(super) struct Chassis {
    pub power_on: bool,
    /// What a running operation makes of the power, and when.
    power_change: Option<(Instant, PowerStep)>,
    identify: Identify,
    /// 0 stay off, 1 as before, 2 on.
    restore_policy: u8,
    restart_cause: u8,
    restart_channel: u8,
    last_event: u8,
    buttons_disabled: u8,
    /// How long the host ran before it was switched on last, and when that was.
    powered: (Duration, Option<Instant>),
    pub boot: Option<Box<BootOptions>>,
}

/// What an operation does to the power next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PowerStep {
    On,
    Off,
    Cycle,
    Reset,
}

/// The identify light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identify {
    Off,
    Until(Instant),
    On,
}

impl Chassis {
    /// A chassis whose host runs.
    pub fn new(now: Instant) -> Self {
        Chassis {
            power_on: true,
            power_change: None,
            identify: Identify::Off,
            restore_policy: 1,
            restart_cause: 0,
            restart_channel: 0,
            last_event: 0,
            buttons_disabled: 0,
            powered: (POH_BEFORE, Some(now)),
            boot: None,
        }
    }

    /// When the power changes by itself.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.power_change.map(|(due, _)| due)
    }

    fn power_on_time(&self, now: Instant) -> Duration {
        let (before, since) = self.powered;
        before + since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

impl ManagedSystem {
    /// Switches the host on or off, as its power button would.
    pub fn set_host_power(&mut self, on: bool) {
        if on && !self.chassis.power_on {
            self.chassis.last_event = 0;
            self.chassis.restart_cause = CAUSE_POWER_BUTTON;
            self.chassis.restart_channel = 0;
        }
        self.chassis.power_change = None;
        self.power(on);
    }

    /// Whether the host is on.
    pub fn host_power(&self) -> bool {
        self.chassis.power_on
    }

    /// Takes the mains away for a moment: the BMC forgets its sessions, the host comes back as the
    /// power restore policy says.
    pub fn lose_mains(&mut self, now: Instant) {
        let was_on = self.chassis.power_on;
        self.chassis.power_change = None;
        self.power(false);
        self.reset(now);
        self.chassis.last_event = EVENT_MAINS_FAILED;
        let (on, cause) = match self.chassis.restore_policy {
            0 => (false, 0),
            1 => (was_on, CAUSE_RESTORED),
            _ => (true, CAUSE_ALWAYS_ON),
        };
        if on {
            self.chassis.restart_cause = cause;
            self.chassis.restart_channel = 0;
            self.power(true);
        }
    }

    fn power(&mut self, on: bool) {
        if self.chassis.power_on == on {
            return;
        }
        let ran = self.chassis.power_on_time(self.clock);
        self.chassis.powered = (ran, Some(self.clock).filter(|_| on));
        self.chassis.power_on = on;
        if on {
            self.boot_host();
        }
        self.push_event(if on { SerialEvent::PowerOn } else { SerialEvent::PowerOff });
        self.sol_power_changed();
        self.log_sensor_changes();
    }

    /// Finishes a power operation whose time has come.
    pub(super) fn chassis_timeout(&mut self) {
        let due = self.chassis.power_change.take_if(|(due, _)| *due <= self.clock);
        if let Some((_, step)) = due {
            self.take_power_step(step);
        }
    }

    fn take_power_step(&mut self, step: PowerStep) {
        match step {
            PowerStep::Off => self.power(false),
            PowerStep::On => self.power(true),
            PowerStep::Cycle => {
                self.power(false);
                self.chassis.power_change = Some((self.clock + CYCLE, PowerStep::On));
            }
            PowerStep::Reset if self.chassis.power_on => {
                self.boot_host();
                self.push_event(SerialEvent::HostReset);
                self.sol_host_reset();
            }
            PowerStep::Reset => {}
        }
    }

    pub(super) fn chassis_command(
        &mut self,
        caller: &Caller,
        command: u8,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Answer {
        match command {
            // Everything is at the BMC's own address.
            0x00 => out.extend_from_slice(&[CAPABILITIES, 0x20, 0x20, 0x20, 0x20]),
            0x01 => self.chassis_status(out),
            0x02 => return self.chassis_control(data),
            0x04 => return self.identify(data),
            0x06 => {
                let [policy] = exactly(data)?;
                if policy & 0x07 < 3 {
                    self.chassis.restore_policy = policy & 0x07;
                }
                out.push(0x07);
            }
            0x07 => {
                out.extend_from_slice(&[self.chassis.restart_cause, self.chassis.restart_channel]);
            }
            0x08 => return self.set_boot_option(caller, data),
            0x09 => return self.boot_option(data, out),
            0x0a => {
                let [disabled] = exactly(data)?;
                self.chassis.buttons_disabled = disabled & 0x0f;
            }
            0x0f => {
                let minutes = self.chassis.power_on_time(self.clock).as_secs() / 60;
                out.push(POH_MINUTES);
                let count = (minutes / u64::from(POH_MINUTES)) as u32;
                out.extend_from_slice(&count.to_le_bytes());
            }
            _ => return Err(CompletionCode::INVALID_COMMAND.into()),
        }
        Ok(())
    }

    /// Get Chassis Status (§28.2).
    fn chassis_status(&self, out: &mut Vec<u8>) {
        let chassis = &self.chassis;
        let identify = match chassis.identify {
            Identify::On => 0x20,
            Identify::Until(end) if self.clock < end => 0x10,
            _ => 0,
        };
        let reads = |number| {
            let sensor = BMC_SENSORS.iter().find(|sensor| sensor.key() == number);
            sensor.map_or(Reading::Unavailable, |sensor| self.sensor_reading(sensor))
        };
        let intrusion = match reads(number::INTRUSION) {
            Reading::Discrete(states) => (states & 1) as u8,
            _ => 0,
        };
        // At or below a lower critical threshold.
        let stalled =
            |number| matches!(reads(number), Reading::Analog(_, states) if states & 6 != 0);
        let fan_fault = stalled(number::FAN1) || stalled(number::FAN2);
        out.extend_from_slice(&[
            chassis.restore_policy << 5 | u8::from(chassis.power_on),
            chassis.last_event,
            0x40 | identify | if fan_fault { 0x08 } else { 0 } | intrusion,
            BUTTONS | chassis.buttons_disabled,
        ]);
    }

    /// Chassis Control (§28.3).
    fn chassis_control(&mut self, data: &[u8]) -> Answer {
        let [control] = exactly(data)?;
        let on = self.chassis.power_on;
        let step = match control & 0x0f {
            0 => PowerStep::Off,
            1 => PowerStep::On,
            2..=5 if !on => return Err(CompletionCode::NOT_IN_PRESENT_STATE.into()),
            2 => PowerStep::Cycle,
            3 => PowerStep::Reset,
            4 => return Ok(()),
            5 => PowerStep::Off,
            _ => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
        };
        if let Some(boot) = &mut self.chassis.boot {
            boot.keep_flags();
        }
        if self.options.quirks.power_ignored {
            return Ok(());
        }
        if step != PowerStep::Off && (step != PowerStep::On || !on) {
            self.chassis.restart_cause = CAUSE_CHASSIS_CONTROL;
            self.chassis.restart_channel = super::command::LAN_CHANNEL;
            self.chassis.last_event = EVENT_BY_IPMI;
        }
        let delay = match control & 0x0f {
            5 => self.options.soft_shutdown,
            _ => self.options.power_delay,
        };
        self.chassis.power_change = None;
        if delay.is_zero() {
            self.take_power_step(step);
        } else {
            self.chassis.power_change = Some((self.clock + delay, step));
        }
        Ok(())
    }

    /// Chassis Identify (§28.5).
    fn identify(&mut self, data: &[u8]) -> Answer {
        let seconds = match data {
            [] => IDENTIFY_DEFAULT,
            [seconds] => *seconds,
            [_, force] if force & 1 != 0 => {
                self.chassis.identify = Identify::On;
                return Ok(());
            }
            [seconds, _] => *seconds,
            _ => return Err(CompletionCode::DATA_LENGTH_INVALID.into()),
        };
        self.chassis.identify = match seconds {
            0 => Identify::Off,
            seconds => Identify::Until(self.clock + Duration::from_secs(seconds.into())),
        };
        Ok(())
    }
}
