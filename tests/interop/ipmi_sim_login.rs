//! Logging in at ipmi_sim: suites, keys, privilege, refusals, IPMI v1.5.

use bmclink::wire::ipmi15::AuthType;
use bmclink::{CipherSuiteId, ErrorKind, PrivilegeLevel, Version};

use super::client::{
    Client, LONG, assert_same, config, config_of, config_with_key, explain, millis, read, secs,
};
use crate::support::{
    ADMIN, DISABLED, IpmiSim, LONG as LONG_NAMES, OPERATOR, SerialMode, SimOptions, USER,
    wait_until,
};

/// What ipmi_sim can do. It makes the session keys of 7, 8, 11 and 12 from 16 bytes where
/// everybody else uses 20.
const SUITES: [u8; 5] = [0, 1, 2, 3, 6];

/// 16 bytes: what ipmi_sim looks at with suite 6.
const K_G: &[u8] = b"a-key-of-16-byte";

fn sim() -> IpmiSim {
    IpmiSim::start(SimOptions::default())
}

fn sim_with_key(k_g: &[u8], serial: SerialMode) -> IpmiSim {
    let mut padded = [0; 20];
    padded[..k_g.len()].copy_from_slice(k_g);
    IpmiSim::start(SimOptions { k_g: Some(padded), serial, ..SimOptions::default() })
}

/// Everything a session is for, once with each suite.
fn every_suite_works(sim: &IpmiSim, k_g: &[u8]) {
    for suite in SUITES {
        let config = config_with_key(sim.address(), ADMIN.name, ADMIN.password, k_g);
        let client = Client::new(config.cipher_suites(&[suite]));
        client.log_in();
        assert_eq!(client.status().cipher_suite, Some(CipherSuiteId(suite)));
        assert_eq!(client.device_id()[6..9], [0x91, 0x12, 0x00], "manufacturer 4753");
        assert!(client.is_powered_on(), "suite {suite}");
        client.set_power(false);
        assert!(wait_until(LONG, || !sim.is_powered_on()), "suite {suite}");
        assert!(!client.is_powered_on(), "suite {suite}");
        client.set_power(true);
        assert!(wait_until(LONG, || sim.is_powered_on()), "suite {suite}");
        let console = client.console();
        let mut reader = console.reader();
        let line = format!("typed under suite {suite}\r");
        console.write_all(line.as_bytes(), LONG).expect("room");
        assert_same(&line, &read(&mut reader, line.len(), LONG), line.as_bytes());
        console.close(LONG).expect("closed");
        assert_eq!(client.status().logins, 1, "suite {suite}");
    }
}

#[test]
fn every_suite_works_without_a_key() {
    let options = SimOptions { serial: SerialMode::Echo, ..SimOptions::default() };
    every_suite_works(&IpmiSim::start(options), &[]);
}

#[test]
fn every_suite_works_with_a_key() {
    every_suite_works(&sim_with_key(K_G, SerialMode::Echo), K_G);
}

#[test]
fn a_key_of_19_bytes_works() {
    let k_g = b"a-key-of-19-letters";
    let sim = sim_with_key(k_g, SerialMode::Silent);
    for suite in [1, 2, 3] {
        let config = config_with_key(sim.address(), ADMIN.name, ADMIN.password, k_g);
        Client::new(config.cipher_suites(&[suite])).device_id();
    }
}

#[test]
fn the_default_suites_end_at_3() {
    let sim = sim();
    let client = Client::new(config_of(sim.address(), ADMIN));
    client.device_id();
    assert_eq!(client.status().cipher_suite, Some(CipherSuiteId(3)));
    let client = Client::new(config_of(sim.address(), ADMIN).cipher_suites(&[17]));
    let error = client.login_error();
    assert_eq!(error.kind(), ErrorKind::CipherSuite, "{}", explain(&error));
}

#[test]
fn the_longest_names_work() {
    let sim = sim();
    Client::new(config_of(sim.address(), LONG_NAMES)).device_id();
}

#[test]
fn refusals_are_named() {
    let sim = sim();
    let plain = sim.address();
    let keyed_sim = sim_with_key(K_G, SerialMode::Silent);
    let keyed = keyed_sim.address();
    let with_key = |bmc, k_g| config_with_key(bmc, ADMIN.name, ADMIN.password, k_g);
    let cases = [
        ("wrong password", config(plain, ADMIN.name, "wrong"), ErrorKind::Password),
        ("no password", config(plain, ADMIN.name, ""), ErrorKind::Password),
        ("unknown user", config(plain, "nobody", "wrong"), ErrorKind::UserName),
        ("disabled user", config_of(plain, DISABLED), ErrorKind::UserName),
        ("wrong K_g", with_key(keyed, b"another-key"), ErrorKind::KG),
        ("missing K_g", with_key(keyed, b""), ErrorKind::KG),
        ("superfluous K_g", with_key(plain, K_G), ErrorKind::KG),
        (
            "password with K_g",
            config_with_key(keyed, ADMIN.name, "wrong", K_G),
            ErrorKind::Password,
        ),
    ];
    for (what, config, kind) in cases {
        let client = Client::new(config.cipher_suites(&[3]));
        let start = std::time::Instant::now();
        let error = client.login_error();
        assert_eq!(error.kind(), kind, "{what}: {}", explain(&error));
        assert!(start.elapsed() < secs(5), "{what} took {:?}", start.elapsed());
        assert!(error.stage().is_some(), "{what}: {}", explain(&error));
        // What fails says so to every call, and a later call tries again.
        let again = client.raw(6, 0, 1, &[], LONG).expect_err("it still must fail");
        assert_eq!(again.kind(), kind, "{what}: {}", explain(&again));
        assert_eq!(client.status().logins, 0);
    }
}

/// ipmi_sim lets everybody be Administrator, whatever its configuration says.
#[test]
fn users_get_what_the_bmc_grants() {
    let sim = sim();
    for account in [ADMIN, OPERATOR, USER] {
        let client = Client::new(config_of(sim.address(), account));
        client.log_in();
        let level = client.status().privilege_level.expect("a level");
        // Get Session Info, this session.
        let info = client.ask(0x06, 0x3d, &[0x00]);
        assert_eq!(info[4] & 0x0f, level as u8, "{}: {info:02x?}", account.name);
        client.device_id();
        client.set_power(true);
    }
}

#[test]
fn a_pinned_privilege_is_kept() {
    let sim = sim();
    for level in [PrivilegeLevel::User, PrivilegeLevel::Operator, PrivilegeLevel::Administrator] {
        let client = Client::new(config_of(sim.address(), OPERATOR).privilege_level(level));
        client.log_in();
        assert_eq!(client.status().privilege_level, Some(level));
        client.device_id();
        // Chassis Control needs Operator.
        let reply = client.raw(0, 0, 2, &[1], LONG).expect("an answer");
        let refused = reply.completion_code.0 == 0xd4;
        assert_eq!(refused, level < PrivilegeLevel::Operator, "{level:?}: {reply:?}");
    }
}

#[test]
fn ipmi_v1_5_carries_commands() {
    let sim = sim();
    for auth_type in [AuthType::Md5, AuthType::StraightPassword, AuthType::None] {
        let mut config = config_of(sim.address(), ADMIN).version(Version::V15);
        config.auth_types = vec![auth_type];
        let client = Client::new(config);
        client.log_in();
        assert_eq!(client.status().cipher_suite, None, "{auth_type:?}");
        client.device_id();
        assert!(client.is_powered_on());
        assert_eq!(client.status().logins, 1, "{auth_type:?}");
        let console = client.unconnected_console();
        let error = console.connect(LONG).expect_err("v1.5 has no SOL");
        assert_eq!(error.kind(), ErrorKind::Incompatible, "{}", explain(&error));
    }
    let client = Client::new(config_of(sim.address(), ADMIN).version(Version::V15));
    client.device_id();
}

#[test]
fn ipmi_v1_5_names_refusals() {
    let sim = sim();
    let error =
        Client::new(config(sim.address(), "nobody", "").version(Version::V15)).login_error();
    assert_eq!(error.kind(), ErrorKind::UserName, "{}", explain(&error));
    // It says nothing to a wrong AuthCode.
    let mut config = config(sim.address(), ADMIN.name, "wrong").version(Version::V15);
    config.timing.login_attempts = 2;
    config.timing.handshake_first = millis(300);
    config.timing.handshake_max = millis(300);
    let error = Client::new(config).login_error();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{}", explain(&error));
    assert!(error.advice().contains("password"), "{}", explain(&error));
}
