//! The chassis: power, identify light, restart cause (§28).

use std::time::Duration;

use super::dialog::Dialog;
use super::reply::Fields;
use crate::error::{Error, ErrorKind, Result};
use crate::wire::message::net_fn;

const GET_CHASSIS_STATUS: u8 = 0x01;
const CHASSIS_CONTROL: u8 = 0x02;
const CHASSIS_IDENTIFY: u8 = 0x04;
const SET_POWER_RESTORE_POLICY: u8 = 0x06;
const GET_SYSTEM_RESTART_CAUSE: u8 = 0x07;
const GET_POH_COUNTER: u8 = 0x0f;
/// How often the power state is looked at while it is waited for.
const POWER_PACE: Duration = Duration::from_secs(1);

/// What Get Chassis Status says (§28.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChassisStatus {
    /// Whether the host has power.
    pub power_on: bool,
    /// Overload of the main power.
    pub power_overload: bool,
    /// The main power is off because an interlock is open.
    pub power_interlock: bool,
    /// A fault of the main power.
    pub power_fault: bool,
    /// The power could not be switched as it was told to.
    pub power_control_fault: bool,
    /// What happens when AC power comes back; `None` when the BMC does not know.
    pub restore_policy: Option<PowerRestorePolicy>,
    /// Why the power last changed, as sent: bit 0 AC failed, 1 overload, 2 interlock, 3 fault,
    /// 4 powered on by a command.
    pub last_power_event: u8,
    /// The chassis is open.
    pub intrusion: bool,
    /// The buttons of the front panel are locked.
    pub front_panel_lockout: bool,
    /// A fault of a drive.
    pub drive_fault: bool,
    /// A fault of cooling.
    pub cooling_fault: bool,
    /// The state of the identify light; `None` when the BMC does not say.
    pub identify: Option<Identify>,
    /// Which buttons can be disabled and are, as sent; `None` when the BMC does not say.
    pub front_panel_buttons: Option<u8>,
}

/// What happens when AC power comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerRestorePolicy {
    /// The host stays off.
    AlwaysOff,
    /// The host is as it was.
    Previous,
    /// The host is switched on.
    AlwaysOn,
}

/// Why the system last started (§28.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RestartCause {
    /// Nobody knows.
    Unknown,
    /// Chassis Control.
    ChassisControl,
    /// The reset button.
    ResetButton,
    /// The power button.
    PowerButton,
    /// The watchdog.
    Watchdog,
    /// Something of the maker's.
    Oem,
    /// Power came back, and the policy is "always on".
    AlwaysOn,
    /// Power came back, and the policy is "as before".
    Restored,
    /// A reset by an event filter.
    PefReset,
    /// A power cycle by an event filter.
    PefPowerCycle,
    /// A reset by software, such as CTRL-ALT-DEL.
    SoftReset,
    /// Power-up by the clock.
    Clock,
    /// A number without a name, 0 to 15.
    Other(u8),
}

impl RestartCause {
    fn from_number(number: u8) -> Self {
        let named = [
            Self::Unknown,
            Self::ChassisControl,
            Self::ResetButton,
            Self::PowerButton,
            Self::Watchdog,
            Self::Oem,
            Self::AlwaysOn,
            Self::Restored,
            Self::PefReset,
            Self::PefPowerCycle,
            Self::SoftReset,
            Self::Clock,
        ];
        named.get(usize::from(number)).copied().unwrap_or(Self::Other(number))
    }
}

/// The identify light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identify {
    /// It is off.
    Off,
    /// It is on for so many seconds, 1 to 255.
    For(u8),
    /// It is on until it is switched off.
    On,
}

/// What Chassis Control does (§28.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChassisControl {
    /// Off at once, as by pulling the plug.
    PowerDown,
    /// On.
    PowerUp,
    /// Off and, a second or more later, on.
    PowerCycle,
    /// A reset with the power on.
    HardReset,
    /// A diagnostic interrupt (NMI) to the host.
    DiagnosticInterrupt,
    /// Tells the operating system to shut down, which takes its time or does not happen.
    SoftShutdown,
}

impl ChassisControl {
    fn number(self) -> u8 {
        self as u8
    }

    /// The power state it leads to.
    pub fn leads_to(self) -> bool {
        !matches!(self, ChassisControl::PowerDown | ChassisControl::SoftShutdown)
    }
}

impl ChassisStatus {
    fn read(data: &[u8]) -> Result<Self> {
        let mut fields = Fields::of("Get Chassis Status", data);
        let [power, last_power_event, misc] = fields.array()?;
        let identify = match (misc & 0x40 != 0, misc >> 4 & 3) {
            (false, _) | (true, 3) => None,
            (true, 0) => Some(Identify::Off),
            // How much longer, nobody says.
            (true, 1) => Some(Identify::For(1)),
            (true, _) => Some(Identify::On),
        };
        Ok(ChassisStatus {
            power_on: power & 0x01 != 0,
            power_overload: power & 0x02 != 0,
            power_interlock: power & 0x04 != 0,
            power_fault: power & 0x08 != 0,
            power_control_fault: power & 0x10 != 0,
            restore_policy: PowerRestorePolicy::from_number(power >> 5 & 3),
            last_power_event,
            intrusion: misc & 0x01 != 0,
            front_panel_lockout: misc & 0x02 != 0,
            drive_fault: misc & 0x04 != 0,
            cooling_fault: misc & 0x08 != 0,
            identify,
            front_panel_buttons: fields.u8().ok(),
        })
    }
}

impl PowerRestorePolicy {
    fn from_number(number: u8) -> Option<Self> {
        [Self::AlwaysOff, Self::Previous, Self::AlwaysOn].get(usize::from(number)).copied()
    }
}

impl Dialog {
    /// Get Chassis Status (§28.2).
    pub async fn chassis_status(&self) -> Result<ChassisStatus> {
        ChassisStatus::read(&self.ask(net_fn::CHASSIS, GET_CHASSIS_STATUS, &[]).await?)
    }

    /// Chassis Control (§28.3): returns when the BMC has taken it, before the power has changed.
    ///
    /// Sent again at most once when no answer comes, never when the answer may just be late:
    /// then `OutcomeUnknown`. A BMC may refuse a cycle or reset of a host that is off.
    pub async fn chassis_control(&self, control: ChassisControl) -> Result<()> {
        let own = |code| {
            (code == 0xd5).then_some("the system's state does not allow it: is it off, or on?")
        };
        let data = [control.number()];
        self.ask_with(net_fn::CHASSIS, CHASSIS_CONTROL, &data, own).await.map(drop)
    }

    /// Blocks until the host is on, or off, as Get Chassis Status has it; looks once a second.
    /// Fails with `TimedOut` when that takes longer than `limit`.
    pub async fn wait_power(&self, on: bool, limit: Duration) -> Result<()> {
        let end = self.now().checked_add(limit);
        while self.chassis_status().await?.power_on != on {
            if end.is_some_and(|end| self.now() + POWER_PACE >= end) {
                let state = if on { "off" } else { "on" };
                let text = format!("the host is still {state}");
                return Err(Error::with_text(ErrorKind::TimedOut, text));
            }
            self.pause(POWER_PACE).await?;
        }
        Ok(())
    }

    /// Chassis Identify (§28.5): the light that shows which machine it is.
    pub async fn identify(&self, light: Identify) -> Result<()> {
        let data: &[u8] = match light {
            Identify::Off => &[0],
            Identify::For(seconds) => &[seconds],
            // Older BMCs do not know this byte.
            Identify::On => &[0, 1],
        };
        self.ask(net_fn::CHASSIS, CHASSIS_IDENTIFY, data).await.map(drop)
    }

    /// Get System Restart Cause (§28.11), and the number of the channel it came by.
    pub async fn restart_cause(&self) -> Result<(RestartCause, u8)> {
        let data = self.ask(net_fn::CHASSIS, GET_SYSTEM_RESTART_CAUSE, &[]).await?;
        let mut fields = Fields::of("Get System Restart Cause", &data);
        let cause = RestartCause::from_number(fields.u8()? & 0x0f);
        Ok((cause, fields.u8().unwrap_or_default() & 0x0f))
    }

    /// Get POH Counter (§28.14): how long the system has had power in its life, to the BMC's
    /// resolution of up to hours.
    pub async fn power_on_time(&self) -> Result<Duration> {
        let data = self.ask(net_fn::CHASSIS, GET_POH_COUNTER, &[]).await?;
        let mut fields = Fields::of("Get POH Counter", &data);
        let minutes_per_count = u64::from(fields.u8()?);
        Ok(Duration::from_secs(60 * minutes_per_count * u64::from(fields.u32()?)))
    }

    /// Set Power Restore Policy (§28.8): what happens when AC power comes back.
    pub async fn set_power_restore_policy(&self, policy: PowerRestorePolicy) -> Result<()> {
        let data = [policy as u8];
        self.ask(net_fn::CHASSIS, SET_POWER_RESTORE_POLICY, &data).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_three_or_four_bytes_is_read() {
        let status = ChassisStatus::read(&[0x21, 0x10, 0x60]).expect("long enough");
        assert!(status.power_on && !status.intrusion);
        assert_eq!(status.restore_policy, Some(PowerRestorePolicy::Previous));
        assert_eq!(status.identify, Some(Identify::On));
        assert_eq!(status.front_panel_buttons, None);
        let status = ChassisStatus::read(&[0x60, 0, 0x01, 0xf0]).expect("long enough");
        assert!(!status.power_on && status.intrusion);
        assert_eq!((status.restore_policy, status.identify), (None, None));
        assert_eq!(status.front_panel_buttons, Some(0xf0));
        assert!(ChassisStatus::read(&[0x21, 0]).is_err());
    }
}
