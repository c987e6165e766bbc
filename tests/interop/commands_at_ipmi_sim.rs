//! Our management commands at ipmi_sim of OpenIPMI: what is set there is what is read there.

use bmclink::command::{
    BootDevice, BootOptions, ChassisControl, Hop, NewUser, PasswordOptions, PasswordTest,
    PowerOptions, Target, UserPrivilege,
};
use bmclink::{Cause, CompletionCode, ErrorKind, PrivilegeLevel};

use super::client::{Client, LONG, config, explain};
use crate::support::{ADMIN, DISABLED, IpmiSim, OPERATOR, SimOptions};

const LAN: u8 = 1;
const PRESENT: u8 = 14;

fn client(sim: &IpmiSim) -> Client {
    Client::new(config(sim.address(), ADMIN.name, ADMIN.password))
}

#[test]
fn users_are_listed_and_their_passwords_set() {
    let sim = IpmiSim::start(SimOptions::default());
    let client = client(&sim);
    let users = client.users(LAN, LONG).unwrap_or_else(|error| panic!("{}", explain(&error)));
    let user = |name| users.iter().find(|user| user.name == name).expect(name);
    let operator = user(OPERATOR.name);
    assert_eq!(operator.access.privilege, UserPrivilege::Level(PrivilegeLevel::Operator));
    assert_ne!(operator.access.enabled, Some(false));
    assert_ne!(user(DISABLED.name).access.enabled, Some(true));
    let options = PasswordOptions { twenty_bytes: true, ..PasswordOptions::default() };
    let id = operator.id;
    client.set_user_password(id, b"another-pass", options, LONG).expect("taken");
    // It says so of any password: ipmitool is told "Success" for nonsense too.
    let matches = client.test_user_password(id, b"another-pass", options, LONG);
    assert_eq!(matches, Ok(PasswordTest::Matches));
    let operator = Client::new(config(sim.address(), OPERATOR.name, "another-pass"));
    operator.log_in();
}

#[test]
fn a_user_is_made_and_logs_in() {
    let sim = IpmiSim::start(SimOptions::default());
    let client = client(&sim);
    let robot = NewUser::program("robot", b"secret-of-robot", PrivilegeLevel::Operator);
    let id = client.create_user(robot, LONG).unwrap_or_else(|error| panic!("{}", explain(&error)));
    Client::new(config(sim.address(), "robot", "secret-of-robot")).log_in();
    client.delete_user(id, LONG).unwrap_or_else(|error| panic!("{}", explain(&error)));
    let gone = Client::new(config(sim.address(), "robot", "secret-of-robot"));
    gone.login_error();
}

#[test]
fn channels_sessions_and_lan_parameters_are_read() {
    let sim = IpmiSim::start(SimOptions::default());
    let client = client(&sim);
    assert_eq!(client.present_channel(LONG), Ok(LAN));
    assert_eq!(client.lan_channels(LONG), Ok(vec![LAN]));
    let lan = client.lan_config(LAN, LONG).unwrap_or_else(|error| panic!("{}", explain(&error)));
    assert!(lan.auth_type_support.is_some(), "{lan:?}");
    let suites = client.cipher_suites(PRESENT, LONG);
    let suites = suites.unwrap_or_else(|error| panic!("{}", explain(&error)));
    assert!(suites.iter().any(|suite| suite.id.0 == 3), "{suites:?}");
    let sol = client.sol_parameters(PRESENT, LONG);
    let sol = sol.unwrap_or_else(|error| panic!("{}", explain(&error)));
    assert!(sol.enabled.is_some(), "{sol:?}");
}

#[test]
fn the_power_and_the_boot_device_are_set() {
    let sim = IpmiSim::start(SimOptions::default());
    let client = client(&sim);
    let wait = PowerOptions::default().wait(LONG);
    for (control, on) in [(ChassisControl::PowerDown, false), (ChassisControl::PowerUp, true)] {
        let done = client.power(control, wait, LONG);
        done.unwrap_or_else(|error| panic!("{}", explain(&error)));
        assert_eq!(sim.is_powered_on(), on);
    }
    let options = BootOptions::default();
    client
        .set_boot(BootDevice::Pxe, options, LONG)
        .unwrap_or_else(|error| panic!("{}", explain(&error)));
    let flags = client.boot_flags(LONG).expect("read");
    // It never sets the valid bit of what it gives.
    assert_eq!(flags.device, BootDevice::Pxe, "{flags:?}");
}

#[test]
fn a_controller_on_the_bus_is_found_and_one_that_is_not_there_is_not() {
    let sim = IpmiSim::start(SimOptions { satellite: true, ..SimOptions::default() });
    let client = client(&sim);
    let id = client.run(LONG, async |dialog| dialog.at(Target::behind(0, 0x30)).device_id().await);
    let id = id.unwrap_or_else(|error| panic!("{}", explain(&error)));
    assert_eq!((id.product_id, id.device_id), (0x1234, 7));
    let nobody = client.raw_at(Target::behind(0, 0x42), 6, 0, 1, &[], LONG);
    let error = nobody.expect_err("nobody is there");
    assert!(
        error.cause() == Some(Cause::NotBridged) || error.kind() == ErrorKind::TimedOut,
        "{}",
        explain(&error)
    );
    let hop = Hop { channel: 0, address: 0x30 };
    let beyond = client.raw_at(Target::behind_two(hop, hop), 6, 0, 1, &[], LONG);
    assert_ne!(beyond.map(|reply| reply.completion_code), Ok(CompletionCode::SUCCESS));
}
