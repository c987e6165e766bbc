//! Management commands as blocking calls, and those typed with `ipmi_rs_core`.

use std::sync::Arc;
use std::time::Duration;

use ipmi_rs_core::connection::IpmiCommand;

use super::Bmc;
use crate::command::{
    BootDevice, BootFlags, BootOptions, ChannelAccess, ChannelInfo, ChassisControl, ChassisStatus,
    CipherSuiteRecord, CommandError, DcmiCapabilities, DeviceId, DeviceSdrInfo, Factors, Fru,
    FruAreaInfo, FruRow, Health, Identify, KeyLock, LanConfig, LanSetting, NewUser,
    PasswordOptions, PasswordTest, PayloadAccess, PayloadActivationStatus, PowerLimit,
    PowerOptions, PowerReading, PowerRestorePolicy, RestartCause, SdrCache, SdrRepository,
    SdrRepositoryInfo, SelAllocation, SelClock, SelInfo, SelLog, SelMark, SelTime, SelfTest,
    Sensor, SensorReading, SensorRow, SessionInfo, SolParameters, SolSetting, Stored, Thresholds,
    UnixTime, User, UserAccess, UserFlags, UserPrivilege,
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
    /// Switches the system, and waits for the result when asked to.
    power(control: ChassisControl, options: PowerOptions) -> ChassisControl;
    /// Get System Restart Cause (§28.11), and the channel's number.
    restart_cause() -> (RestartCause, u8);
    /// Get POH Counter (§28.14): how long the system has had power in its life.
    power_on_time() -> Duration;
    /// What the system boots from next (§28.13).
    boot_flags() -> BootFlags;
    /// What to boot from (§28.12).
    set_boot(device: BootDevice, options: BootOptions) -> Option<u8>;
    /// Takes back what `set_boot` set.
    clear_boot() -> ();
    /// What does not end the validity of boot flags (§28.13).
    boot_valid_clearing() -> u8;
    /// Sets the same.
    set_boot_valid_clearing(bits: u8) -> ();
    /// Get User Access (§22.27).
    user_access(channel: u8, user: u8) -> UserAccess;
    /// Set User Access (§22.26).
    set_user_access(
        channel: u8,
        user: u8,
        flags: Option<UserFlags>,
        privilege: UserPrivilege
    ) -> ();
    /// Get User Name (§22.29).
    user_name(user: u8) -> String;
    /// Set User Name (§22.28).
    set_user_name(user: u8, name: &str) -> ();
    /// Enables or disables a user (§22.30).
    enable_user(user: u8, enabled: bool) -> ();
    /// Set User Password (§22.30).
    set_user_password(user: u8, password: &[u8], options: PasswordOptions) -> ();
    /// Whether a user's password is this one (§22.30).
    test_user_password(user: u8, password: &[u8], options: PasswordOptions) -> PasswordTest;
    /// All users, as they are on a channel.
    users(channel: u8) -> Vec<User>;
    /// Makes a user, and gives its ID.
    create_user(user: NewUser) -> u8;
    /// Takes a user away.
    delete_user(user: u8) -> ();
    /// Get Channel Info (§22.24).
    channel_info(channel: u8) -> ChannelInfo;
    /// The channels there are.
    channels() -> Vec<ChannelInfo>;
    /// The numbers of those that are LANs.
    lan_channels() -> Vec<u8>;
    /// The number of the channel the session came by.
    present_channel() -> u8;
    /// Get Channel Access (§22.23).
    channel_access(channel: u8, stored: Stored) -> ChannelAccess;
    /// Set Channel Access (§22.22).
    set_channel_access(channel: u8, stored: Stored, access: ChannelAccess) -> ();
    /// Whether K_g can be changed (§22.25).
    k_g_lock(channel: u8) -> KeyLock;
    /// Sets K_g of a channel (§22.25).
    set_k_g(channel: u8, k_g: &[u8], in_clear: bool) -> ();
    /// Get Channel Cipher Suites (§22.15).
    cipher_suites(channel: u8) -> Vec<CipherSuiteRecord>;
    /// The LAN configuration of a channel (§23.2).
    lan_config(channel: u8) -> LanConfig;
    /// Any LAN parameter as bytes (§23.2).
    lan_parameter(channel: u8, parameter: u8, set: u8) -> Vec<u8>;
    /// Set LAN Configuration Parameters (§23.1).
    set_lan(channel: u8, settings: Vec<LanSetting>) -> ();
    /// The SOL configuration of a channel (§26.3).
    sol_parameters(channel: u8) -> SolParameters;
    /// Set SOL Configuration Parameters (§26.2).
    set_sol(channel: u8, settings: Vec<SolSetting>, force: bool) -> ();
    /// Get Payload Activation Status (§24.4) for SOL.
    sol_activation() -> PayloadActivationStatus;
    /// Get User Payload Access (§24.7).
    payload_access(channel: u8, user: u8) -> PayloadAccess;
    /// Set User Payload Access (§24.6).
    set_payload_access(channel: u8, user: u8, allowed: bool, payloads: PayloadAccess) -> ();
    /// Get Session Info (§22.20) of this session.
    own_session() -> Option<SessionInfo>;
    /// The same by its place among the active ones.
    nth_session(index: u8) -> Option<SessionInfo>;
    /// The same by its handle.
    session_by_handle(handle: u8) -> Option<SessionInfo>;
    /// The same by the BMC's session ID.
    session_by_id(id: u32) -> Option<SessionInfo>;
    /// All sessions the BMC has.
    sessions() -> Vec<SessionInfo>;
    /// Get DCMI Capabilities Info.
    dcmi_capabilities(parameter: u8) -> DcmiCapabilities;
    /// Get Power Reading of DCMI.
    power_reading() -> PowerReading;
    /// The same over a period of the BMC's choice.
    enhanced_power_reading(period: u8) -> PowerReading;
    /// Get Power Limit of DCMI.
    power_limit() -> PowerLimit;
    /// Set Power Limit of DCMI.
    set_power_limit(limit: PowerLimit) -> ();
    /// Activate/Deactivate Power Limit of DCMI.
    activate_power_limit(active: bool) -> ();
    /// Get Asset Tag of DCMI.
    asset_tag() -> Vec<u8>;
    /// Set Asset Tag of DCMI.
    set_asset_tag(tag: &str) -> ();
    /// The controller's name, of DCMI.
    controller_id() -> String;
    /// Sets the same.
    set_controller_id(id: &str) -> ();
    /// Get SDR Repository Info (§33.9).
    sdr_repository_info() -> SdrRepositoryInfo;
    /// Get Device SDR Info (§35.2).
    device_sdr_info() -> DeviceSdrInfo;
    /// Reads all Sensor Data Records.
    sdr_repository() -> SdrRepository;
    /// The same, from a cache when it has them.
    sdr_repository_cached(cache: &SdrCache) -> Arc<SdrRepository>;
    /// Get Sensor Reading (§35.14), with the value.
    sensor_reading(sensor: &Sensor) -> SensorReading;
    /// Get Sensor Thresholds (§35.9).
    sensor_thresholds(sensor: &Sensor) -> Thresholds;
    /// Get Sensor Hysteresis (§35.7).
    sensor_hysteresis(sensor: &Sensor) -> [u8; 2];
    /// Get Sensor Reading Factors (§35.5).
    sensor_factors(sensor: &Sensor, raw: u8) -> Factors;
    /// Asks every sensor.
    sensors(repository: &SdrRepository) -> Vec<SensorRow>;
    /// How well the machine is, by its sensors and its chassis.
    health(repository: &SdrRepository) -> Health;
    /// Get SEL Info (§31.2).
    sel_info() -> SelInfo;
    /// Get SEL Allocation Info (§31.3).
    sel_allocation() -> SelAllocation;
    /// Get SEL Time (§31.10).
    sel_time() -> SelTime;
    /// The same, compared with our clock.
    sel_clock() -> SelClock;
    /// Set SEL Time (§31.11).
    set_sel_time(time: UnixTime) -> ();
    /// Reads the System Event Log, or what was added to it.
    sel_entries(since: Option<SelMark>) -> SelLog;
    /// Clears the System Event Log, and gives what was cleared.
    clear_sel() -> SelLog;
    /// Deletes one entry of the System Event Log.
    delete_sel_entry(mark: SelMark) -> ();
    /// Get FRU Inventory Area Info (§34.1).
    fru_area_info(fru_id: u8) -> FruAreaInfo;
    /// Reads the inventory data of a part.
    fru(fru_id: u8) -> Fru;
    /// The same as bytes, all of them.
    read_fru(fru_id: u8) -> Vec<u8>;
    /// Reads the inventory data of all parts.
    frus(repository: &SdrRepository) -> Vec<FruRow>;
    /// Writes inventory data, and reads them back.
    write_fru(fru_id: u8, offset: u16, data: &[u8]) -> ();
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
