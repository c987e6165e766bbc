//! Management commands as blocking calls, and those typed with `ipmi_rs_core`.

use std::time::Duration;

use ipmi_rs_core::connection::IpmiCommand;

use super::Bmc;
use crate::command::{
    ChassisControl, ChassisStatus, CommandError, DeviceId, Identify, PowerRestorePolicy, SelfTest,
};
use crate::error::Result;

/// Methods of a dialog as blocking calls of the same name.
macro_rules! blocking {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $kind:ty),*) -> $output:ty;)*) => {
        /// Management commands. Each logs in first when no session is up, blocks until it is done
        /// or `timeout` is over, and is what [`Dialog`](crate::Dialog) says of the method of the
        /// same name. A completion code other than 0 is `Completion`, D4h is `Privilege`; a
        /// response that cannot be read is `PeerMisbehaved`.
        impl Bmc {
            $(
                $(#[$doc])*
                #[doc = ""]
                #[doc = concat!("See [`Dialog::", stringify!($name), "`](crate::Dialog::",
                    stringify!($name), ").")]
                pub fn $name(&self, $($argument: $kind,)* timeout: Duration) -> Result<$output> {
                    self.run(timeout, async |dialog| dialog.$name($($argument),*).await)
                }
            )*
        }
    };
}

blocking! {
    /// Get Device ID (§20.1): what the BMC is.
    device_id() -> DeviceId;
    /// Get System GUID (§22.14).
    system_guid() -> [u8; 16];
    /// Get Self Test Results (§20.4).
    self_test() -> SelfTest;
    /// Cold Reset (§20.2): the BMC starts anew.
    cold_reset() -> ();
    /// Warm Reset (§20.3).
    warm_reset() -> ();
    /// Get Chassis Status (§28.2): whether the host is on, and more.
    chassis_status() -> ChassisStatus;
    /// Chassis Control (§28.3): switches the host.
    chassis_control(control: ChassisControl) -> ();
    /// Blocks until the host is on, or off.
    wait_power(on: bool, limit: Duration) -> ();
    /// Chassis Identify (§28.5): the light that shows which machine it is.
    identify(light: Identify) -> ();
    /// Set Power Restore Policy (§28.8).
    set_power_restore_policy(policy: PowerRestorePolicy) -> ();
}

impl Bmc {
    /// Sends a typed command and blocks until its response is there and read.
    ///
    /// Logs in first when no session is up. Any type with `ipmi_rs_core`'s `IpmiCommand` will
    /// do, yours included.
    pub fn command<C: IpmiCommand>(
        &self,
        command: C,
        timeout: Duration,
    ) -> std::result::Result<C::Output, CommandError<C::Error>> {
        self.run(timeout, async |dialog| Ok(dialog.command(command).await))
            .unwrap_or_else(|error| Err(error.into()))
    }
}
