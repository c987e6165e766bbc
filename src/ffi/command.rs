//! Management commands, by name.

use std::ffi::{c_char, c_void};

use parking_lot::Mutex;

use super::bmc::bmclink_bmc;
use super::guard::{guard, timeout};
use super::handle::{self, Object, Out};
use super::perform::{self, Arguments, Entry};
use super::result::bmclink_result;
use super::table::{Table, Value};
use crate::command::PowerOptions;
use crate::error::Result;

/// A management command and what it is given. The same one can be used for many BMCs, again and
/// again.
pub struct bmclink_command {
    entry: &'static Entry,
    arguments: Mutex<Arguments>,
}

impl Object for bmclink_command {
    const NOUN: &'static str = "command";
}

impl bmclink_command {
    /// How to carry it out, with what it is given now.
    pub(super) fn performer(
        &self,
    ) -> impl Fn(crate::command::Dialog) -> perform::Performed + Send + 'static {
        let (perform, arguments) = (self.entry.perform, self.arguments.lock().clone());
        move |dialog| perform(dialog, arguments.clone())
    }

    fn set(&self, name: &str, value: Value) -> Result<()> {
        let name = self.entry.argument(name)?;
        self.arguments.lock().set(name, value);
        Ok(())
    }
}

/// Makes a command by its name. To be freed with bmclink_command_free. Does not block.
///
/// Names, what each takes (in brackets when it can be left out), and what it gives:
///
/// - raw: net_fn, cmd, [lun], [data], [channel], [address], [transit_channel], [transit_address]
///   -> completion_code, data (bytes). See bmclink_bmc_raw. With an address it goes to that
///   controller behind the BMC on the channel (0), if there is a transit address by way of that.
/// - device_id -> device_id, device_revision, provides_device_sdrs, busy, firmware_revision,
///   ipmi_version (texts), additional_device_support, manufacturer_id, product_id,
///   auxiliary_firmware_revision (bytes).
/// - system_guid -> guid (16 bytes as sent).
/// - self_test -> result ("passed", "not implemented", "corrupted", "hardware error", "other"),
///   detail.
/// - cold_reset, warm_reset. Of the BMC, which ends all sessions.
/// - chassis_status -> power_on, power_overload, power_interlock, power_fault,
///   power_control_fault, restore_policy ("off", "previous", "on"), last_power_event, intrusion,
///   front_panel_lockout, drive_fault, cooling_fault, identify ("off", "timed", "on"),
///   front_panel_buttons.
/// - power: action ("off", "on", "cycle", "reset", "diag", "soft"), [wait_ms],
///   [on_when_off] -> power_on (when it was waited for). With on_when_off, a host that is off is
///   switched on instead of being cycled or reset.
/// - identify: [seconds] (15, 0 to 255), [on] (1: until it is switched off; 0: off).
/// - set_power_restore_policy: policy ("off", "previous", "on").
/// - sensors -> name, number, type (text), status ("valid" when it has a reading), value (with a
///   fraction), unit (text), raw, severity ("ok", "warning", "critical", "non-recoverable"), states
///   (text), error (BMCLINK_ERR_*, in place of a reading), error_text. A row for each sensor.
/// - health -> state (as severity above, or "unknown"), summary (one line), judged, failed (how
///   many sensors).
/// - sel: [since_record], [since_timestamp] -> record_id, record_type, timestamp, time (seconds
///   since 1970 by the BMC's clock), corrected_time (by ours), severity, text, data (bytes). A row
///   for each entry; since_* are record_id and timestamp of one that was read before.
/// - sel_info -> entry_count, free_bytes, overflow, last_addition, last_erase (texts).
/// - clear_sel -> record_id, record_type, timestamp, time, corrected_time, severity, text, data. It
///   gives all that was cleared, as sel does, and loses nothing that is added meanwhile.
/// - fru: [fru_id] -> fru_id, name, checksums_ok, chassis_type, chassis_part_number,
///   chassis_serial_number, board_manufactured (seconds since 1970), board_manufacturer,
///   board_product_name, board_serial_number, board_part_number, product_manufacturer,
///   product_name, product_part_number, product_version, product_serial_number,
///   product_asset_tag, data (bytes), error, error_text. A row for each part; texts but for
///   numbers and types.
/// - boot -> valid, device (as below, or "other"), device_number, persistent, efi.
/// - set_boot: device ("none", "pxe", "disk", "safe", "diag", "cdrom", "bios", "floppy",
///   "remote_floppy", "remote_cdrom", "remote_media", "remote_disk"), [persistent], [efi],
///   [keep_valid].
/// - users: [channel] -> id, name, privilege, enabled, ipmi, callback_only, link_authentication. A
///   row for each user. Channels are 14 when left out, that of the session; privileges are
///   "callback", "user", "operator", "administrator", "oem", "no access".
/// - create_user: name, password, [privilege], [ipmi], [in_clear] -> id. The user may log in with
///   IPMI only with ipmi 1; in_clear 1 sends the password over a session without encryption.
/// - delete_user: id.
/// - enable_user: id, [on] (1).
/// - set_user_name: id, name.
/// - set_user_password: id, password (bytes or text), [twenty_bytes], [in_clear].
/// - set_user_access: id, [channel], [privilege] (none: no access), [ipmi].
/// - channel_info: [channel] -> number, medium, protocol, session_support, active_sessions, is_lan.
///   Without a channel, a row for each one.
/// - lan: [channel] -> ip_address, address_source ("static", "dhcp", "bios", "other"),
///   subnet_mask, mac_address, gateway, gateway_mac, backup_gateway, backup_gateway_mac, port,
///   vlan, cipher_suites (bytes), ipv6_addresses. Addresses are texts.
/// - sol_config: [channel] -> enabled, force_encryption, force_authentication, privilege,
///   accumulate_ms, send_threshold, retry_count, retry_ms, bit_rate (0: as the serial port),
///   volatile_bit_rate, payload_channel, payload_port.
/// - set_sol_config: [channel], [enabled], [bit_rate], [force] (1: also when it locks us out).
/// - session_info, sessions -> handle, slots, active, user, privilege, is_v20, channel, address,
///   mac, port. Of this session, and of all of them.
/// - dcmi_power -> valid, current, minimum, maximum, average (in watts), timestamp, period_ms.
/// - asset_tag -> asset_tag.
/// - set_asset_tag: asset_tag.
/// - restart_cause -> cause (text), channel.
/// - power_on_time -> seconds. Over the machine's life.
/// - clear_boot. Takes back what set_boot set.
/// - test_user_password: id, password (bytes or text), [twenty_bytes], [in_clear] -> result
///   ("matches", "wrong", "wrong size").
/// - sel_time -> time (seconds since 1970), since_start (of a clock that was not set).
/// - set_sel_time: time.
/// - set_lan: [channel], [ip_address], [address_source], [subnet_mask], [gateway],
///   [backup_gateway], [vlan] (1 to 4094; 0: none). Words and texts as lan gives them.
/// - channel_access: [channel], [stored] ("volatile", "non-volatile") -> mode ("disabled",
///   "pre-boot", "always", "shared", "other"), alerting_off, per_message_authentication_off,
///   user_level_authentication_off, privilege.
/// - set_channel_access: [channel], [stored], [mode], [privilege]. The rest stays as it is.
/// - payload_access: id, [channel] -> sol, standard, oem, oem_upper (bits).
/// - set_payload_access: id, sol, [channel].
/// - k_g_lock: [channel] -> lock ("not lockable", "locked", "unlocked").
/// - set_k_g: k_g (bytes or text), [channel], [in_clear].
/// - cipher_suites: [channel] -> id, oem_iana, authentication, integrity (bytes),
///   confidentiality (bytes). A row for each one.
/// - power_limit -> active, limit (in watts), exception_action, correction_ms, sampling (seconds).
/// - set_power_limit: limit, [exception_action], [correction_ms] (1000), [sampling] (1).
/// - activate_power_limit: [on] (1).
/// - controller_id -> controller_id.
/// - set_controller_id: controller_id.
///
/// For sensors, health and fru the command keeps what sensors and parts there are, and reads that
/// once for all BMCs that are equal: use the same one again, and one of its own for BMCs that you
/// do not trust equally.
///
/// Numbers unless said otherwise; data is bytes; what has words is a text. Fails with
/// BMCLINK_ERR_MISUSE when there is no command of that name.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_command_new(
    name: *const c_char,
    command: *mut *mut bmclink_command,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(command, "command") }?;
        // SAFETY: the caller gives NULL or a text.
        let entry = perform::find(unsafe { handle::text(name, "name") }?)?;
        let arguments = Mutex::new(Arguments::remembering());
        out.set(handle::register(bmclink_command { entry, arguments }));
        Ok(())
    })
}

/// Gives it a number. Fails with BMCLINK_ERR_MISUSE when the command takes nothing of that name.
/// What is out of range is found when the command is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_command_set_number(
    command: *mut bmclink_command,
    name: *const c_char,
    value: i64,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a text.
        let name = unsafe { handle::text(name, "name") }?;
        handle::object(command)?.set(name, Value::Number(value))
    })
}

/// Gives it a text in UTF-8. Fails as bmclink_command_set_number does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_command_set_text(
    command: *mut bmclink_command,
    name: *const c_char,
    value: *const c_char,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a text.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller gives NULL or a text.
        let value = unsafe { handle::text(value, "value") }?;
        handle::object(command)?.set(name, Value::from(value))
    })
}

/// Gives it bytes. Fails as bmclink_command_set_number does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_command_set_bytes(
    command: *mut bmclink_command,
    name: *const c_char,
    bytes: *const c_void,
    len: usize,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a text.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller gives NULL or as many bytes as it says.
        let bytes = unsafe { handle::bytes(bytes, len, "bytes") }?;
        handle::object(command)?.set(name, Value::from(bytes))
    })
}

/// Frees a command. Calls that use it go on. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_command_free(command: *mut bmclink_command) -> i32 {
    guard(|| handle::free(command))
}

/// Has a BMC carry a command out, and blocks until it has or `timeout_ms` is over. Logs in first
/// when no session is up.
///
/// `result` gets what it gave, to be freed with bmclink_result_free; a command that gives nothing
/// gives a result without rows. `result` may be NULL.
///
/// A completion code other than 0 is BMCLINK_ERR_COMPLETION, and D4h, which is about the user's
/// rights, BMCLINK_ERR_PRIVILEGE: see bmclink_last_error_completion_code. Also fails as
/// bmclink_bmc_connect does, with BMCLINK_ERR_MISUSE for arguments out of range, with
/// BMCLINK_ERR_PEER_MISBEHAVED for a response that cannot be read, with BMCLINK_ERR_CANCELLED by
/// bmclink_bmc_cancel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_bmc_run(
    bmc: *mut bmclink_bmc,
    command: *mut bmclink_command,
    timeout_ms: i64,
    result: *mut *mut bmclink_result,
) -> i32 {
    guard(|| {
        let out = match result.is_null() {
            true => None,
            // SAFETY: the caller gives a place for a handle.
            false => Some(unsafe { Out::new(result, "result") }?),
        };
        let bmc = handle::object(bmc)?;
        let perform = handle::object(command)?.performer();
        let table = bmc.bmc.run(timeout(timeout_ms), async |dialog| perform(dialog).await)?;
        if let Some(out) = out {
            out.set(register(table));
        }
        Ok(())
    })
}

/// Gives a table a handle.
pub(super) fn register(table: Table) -> *mut bmclink_result {
    handle::register(bmclink_result { table })
}

/// Ends all commands that are under way on this handle, in other threads, with
/// BMCLINK_ERR_CANCELLED. Later ones are not touched; what was sent may be carried out all the
/// same. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_cancel(bmc: *mut bmclink_bmc) -> i32 {
    guard(|| {
        handle::object(bmc)?.bmc.cancel();
        Ok(())
    })
}

/// Whether the host is on: 1 or 0. Blocks as bmclink_bmc_run does, and fails like it.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_bmc_power_status(bmc: *mut bmclink_bmc, timeout_ms: i64) -> i32 {
    guard(|| {
        let status = handle::object(bmc)?.bmc.chassis_status(timeout(timeout_ms))?;
        Ok(super::guard::Number(status.power_on.into()))
    })
}

/// Switches the host: `action` is "off", "on", "cycle", "reset", "diag" or "soft".
///
/// Waits for the power to be as it is to be, at most `wait_ms`; 0 does not wait. `timeout_ms` is
/// for all of it. Never sent again when an answer may just be late: BMCLINK_ERR_OUTCOME_UNKNOWN
/// then. Otherwise as bmclink_bmc_run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_bmc_power(
    bmc: *mut bmclink_bmc,
    action: *const c_char,
    wait_ms: i64,
    timeout_ms: i64,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a text.
        let action = unsafe { handle::text(action, "action") }?;
        let bmc = handle::object(bmc)?;
        let mut arguments = Arguments::default();
        arguments.set("action", Value::from(action));
        let control = arguments.word("action", &perform::CONTROLS)?;
        let wait = Some(timeout(wait_ms));
        bmc.bmc.run(timeout(timeout_ms), async |dialog| {
            perform::power(&dialog, control, PowerOptions::default(), wait).await.map(drop)
        })
    })
}
