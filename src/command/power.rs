//! Switching a system and seeing to it that it is switched.

use std::time::Duration;

use super::chassis::ChassisControl;
use super::dialog::Dialog;
use crate::error::{Error, ErrorKind, Result};

/// How often the state is looked at.
const PACE: Duration = Duration::from_secs(1);
/// How long a BMC may take before the state shows what it was told.
const TAKES_EFFECT: Duration = Duration::from_secs(5);
/// How long after a cycle was begun it is seen as off at the latest; then it must have been short.
const CYCLE_SHOWS: Duration = Duration::from_secs(10);

/// How [`Dialog::power`] goes about it. By default: just the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PowerOptions {
    /// Wait until the system is on, or off, at most so long.
    pub wait: Option<Duration>,
    /// Switch a system on that is off when asked to cycle or reset it.
    pub on_when_off: bool,
}

impl PowerOptions {
    /// Waits until the system is on, or off, at most so long.
    pub fn wait(mut self, limit: Duration) -> Self {
        self.wait = Some(limit);
        self
    }

    /// Switches a system on that is off when asked to cycle or reset it. Without it some BMCs
    /// refuse, and some say yes and do nothing.
    pub fn on_when_off(mut self) -> Self {
        self.on_when_off = true;
        self
    }
}

impl Dialog {
    /// Switches the system (Chassis Control, §28.3), and waits for the result when asked to.
    ///
    /// Gives what was sent, which is `PowerUp` in place of a cycle or reset when
    /// [`PowerOptions::on_when_off`] says so. Nothing is sent twice that would act twice. When no
    /// answer comes to "on" or "off", the power state decides whether that was done; a cycle or
    /// reset without an answer is `OutcomeUnknown`. Waiting too long is `TimedOut`. After a
    /// reset or a diagnostic interrupt there is nothing to wait for.
    pub async fn power(
        &self,
        control: ChassisControl,
        options: PowerOptions,
    ) -> Result<ChassisControl> {
        let restarts = matches!(control, ChassisControl::PowerCycle | ChassisControl::HardReset);
        let off = restarts && options.on_when_off && !self.chassis_status().await?.power_on;
        let control = if off { ChassisControl::PowerUp } else { control };
        if let Err(error) = self.chassis_control(control).await {
            self.was_done(control, error).await?;
        }
        let Some(limit) = options.wait else { return Ok(control) };
        match control {
            ChassisControl::HardReset | ChassisControl::DiagnosticInterrupt => {}
            ChassisControl::PowerCycle => self.wait_cycle(limit).await?,
            _ => self.wait_power(control.leads_to(), limit).await?,
        }
        Ok(control)
    }

    /// Whether a command without an answer was done all the same, where the state tells.
    async fn was_done(&self, control: ChassisControl, error: Error) -> Result<()> {
        let told = matches!(
            control,
            ChassisControl::PowerUp | ChassisControl::PowerDown | ChassisControl::SoftShutdown
        );
        if error.kind() != ErrorKind::OutcomeUnknown || !told {
            return Err(error);
        }
        let shown = self.wait_power(control.leads_to(), TAKES_EFFECT).await;
        shown.map_err(|_| error)
    }

    /// Waits until a system that is being cycled is on again, not still.
    async fn wait_cycle(&self, limit: Duration) -> Result<()> {
        let begun = self.now();
        let mut was_off = false;
        loop {
            let on = self.chassis_status().await?.power_on;
            was_off |= !on;
            let taken = self.now().saturating_duration_since(begun);
            if on && (was_off || taken >= CYCLE_SHOWS.min(limit)) {
                return Ok(());
            }
            if taken + PACE > limit {
                let text = "the system is still off";
                return Err(Error::with_text(ErrorKind::TimedOut, text));
            }
            self.pause(PACE).await?;
        }
    }
}
