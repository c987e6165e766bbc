//! Every command with answers that nobody should trust.

use std::time::Duration;

use crate::command::play::hostile;
use crate::command::*;
use crate::wire::PrivilegeLevel;

#[test]
fn hostile_chassis_answers_end() {
    hostile(500, async |dialog| {
        let options = PowerOptions::default().on_when_off().wait(Duration::from_secs(60));
        dialog.power(ChassisControl::PowerCycle, options).await
    });
    hostile(500, async |dialog| dialog.restart_cause().await);
    hostile(500, async |dialog| dialog.power_on_time().await);
    hostile(500, async |dialog| dialog.boot_flags().await);
    hostile(500, async |dialog| {
        let options = BootOptions { keep_valid: true, ..BootOptions::default() };
        dialog.set_boot(BootDevice::Pxe, options).await
    });
    hostile(500, async |dialog| dialog.clear_boot().await);
    hostile(500, async |dialog| dialog.set_boot_valid_clearing(1).await);
}

#[test]
fn hostile_user_answers_end() {
    hostile(300, async |dialog| dialog.users(14).await);
    hostile(300, async |dialog| {
        let user = NewUser::human("jo", b"secret", PrivilegeLevel::User);
        dialog.create_user(user).await
    });
    hostile(300, async |dialog| dialog.delete_user(3).await);
    hostile(500, async |dialog| dialog.enable_user(3, true).await);
    hostile(500, async |dialog| {
        dialog.test_user_password(3, b"x", PasswordOptions::default()).await
    });
    hostile(500, async |dialog| dialog.channels().await);
    hostile(500, async |dialog| dialog.present_channel().await);
    hostile(500, async |dialog| dialog.channel_access(1, Stored::Volatile).await);
    hostile(500, async |dialog| dialog.k_g_lock(1).await);
    hostile(500, async |dialog| dialog.set_k_g(1, b"x", false).await);
    hostile(500, async |dialog| dialog.cipher_suites(1).await);
}

#[test]
fn hostile_configuration_answers_end() {
    hostile(300, async |dialog| dialog.lan_config(1).await);
    hostile(300, async |dialog| dialog.lan_parameter(1, 3, 0).await);
    hostile(300, async |dialog| dialog.set_lan(1, vec![LanSetting::VlanPriority(1)]).await);
    hostile(500, async |dialog| dialog.sol_parameters(1).await);
    hostile(500, async |dialog| dialog.set_sol(1, vec![SolSetting::Enabled(false)], false).await);
    hostile(500, async |dialog| dialog.payload_access(1, 2).await);
    hostile(500, async |dialog| dialog.own_session().await);
    hostile(500, async |dialog| dialog.session_by_id(7).await);
    hostile(500, async |dialog| dialog.sessions().await);
}

#[test]
fn hostile_dcmi_answers_end() {
    hostile(500, async |dialog| dialog.dcmi_capabilities(1).await);
    hostile(500, async |dialog| dialog.power_reading().await);
    hostile(500, async |dialog| dialog.power_limit().await);
    hostile(500, async |dialog| dialog.activate_power_limit(true).await);
    hostile(500, async |dialog| dialog.asset_tag().await);
    hostile(500, async |dialog| dialog.set_asset_tag("a tag of more than one piece").await);
    hostile(500, async |dialog| dialog.controller_id().await);
    hostile(500, async |dialog| dialog.set_controller_id("bmc7").await);
}
