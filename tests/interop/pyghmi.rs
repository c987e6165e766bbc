//! Our client at pyghmi's BMC, the server side of virtualbmc and others.

use std::time::{Duration, Instant};

use bmclink::{CipherSuiteId, ConsoleConfig, ErrorKind, TakeOver};
use sha2::{Digest, Sha256};

use super::client::{
    Client, LONG, assert_same, config, config_with_key, explain, millis, noise, read, read_until,
    secs,
};
use crate::support::{Faults, PyghmiBmc, PyghmiOptions, Relay};

fn bmc() -> PyghmiBmc {
    PyghmiBmc::start(PyghmiOptions::default())
}

fn config_of(bmc: &PyghmiBmc) -> bmclink::BmcConfig {
    config(bmc.address(), PyghmiBmc::USERNAME, PyghmiBmc::PASSWORD)
}

#[test]
fn the_default_suites_end_at_3() {
    let bmc = bmc();
    let client = Client::new(config_of(&bmc));
    client.device_id();
    assert_eq!(client.status().cipher_suite, Some(CipherSuiteId(3)));
    assert!(client.is_powered_on());
    client.set_power(false);
    assert!(!client.is_powered_on());
    client.set_power(true);
    assert!(client.is_powered_on());
    assert_eq!(client.status().logins, 1);
}

/// It answers suite 3 whatever was asked.
#[test]
fn a_suite_that_was_not_asked_for_is_refused() {
    let bmc = bmc();
    let error = Client::new(config_of(&bmc).cipher_suites(&[17])).login_error();
    assert_eq!(error.kind(), ErrorKind::CipherSuite, "{}", explain(&error));
}

#[test]
fn a_key_works() {
    let k_g: Vec<u8> = (1..=20).collect();
    let bmc = PyghmiBmc::start(PyghmiOptions { k_g: Some(k_g.clone()), ..Default::default() });
    let (name, password) = (PyghmiBmc::USERNAME, PyghmiBmc::PASSWORD);
    Client::new(config_with_key(bmc.address(), name, password, &k_g)).device_id();
    let error = Client::new(config_of(&bmc)).login_error();
    assert_eq!(error.kind(), ErrorKind::KG, "{}", explain(&error));
}

/// Its RAKP 2 gives a wrong password away. To an unknown user it says nothing at all.
#[test]
fn wrong_credentials_are_named_or_guessed_from_the_silence() {
    let bmc = bmc();
    let refused = |name, password| {
        let mut config = config(bmc.address(), name, password);
        config.timing.login_attempts = 2;
        config.timing.handshake_first = millis(400);
        config.timing.handshake_max = secs(1);
        config.timing.attempt_pause = Duration::ZERO;
        Client::new(config).login_error()
    };
    let error = refused(PyghmiBmc::USERNAME, "wrong");
    assert_eq!(error.kind(), ErrorKind::Password, "{}", explain(&error));
    let error = refused("nobody", PyghmiBmc::PASSWORD);
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{}", explain(&error));
    assert!(error.advice().contains("user name or the password"), "{}", explain(&error));
}

#[test]
fn the_console_echoes() {
    let bmc = bmc();
    let client = Client::new(config_of(&bmc));
    let console = client.console();
    let mut reader = console.reader();
    for len in [1, 2, 31, 32, 33, 100, 1000] {
        let line = noise(len, len as u64);
        // What it reads as a command, or as the end of one.
        let line: Vec<u8> = line.into_iter().filter(|byte| !b"@\r\n".contains(byte)).collect();
        console.write_all(&line, LONG).expect("room");
        assert_same(&format!("{len} bytes"), &read(&mut reader, line.len(), LONG), &line);
    }
    console.close(LONG).expect("closed");
    client.device_id();
    assert_eq!(client.status().logins, 1);
    assert_eq!(bmc.log(), "ready\n");
}

#[test]
fn output_is_exact() {
    let bmc = bmc();
    let client = Client::new(config_of(&bmc));
    let console = client.console_with(ConsoleConfig::default().replay_len(1 << 20));
    let mut reader = console.reader();
    console.write_all(b"@BULK 65536\r", LONG).expect("room");
    let start = Instant::now();
    assert_same("output", &read(&mut reader, 65536, LONG), &PyghmiBmc::pattern(65536));
    println!("64 KiB from pyghmi in {:?}", start.elapsed());
    assert_same("closing line", &read(&mut reader, 12, LONG), b"BULK 65536\r\n");
    assert_eq!(console.stats().gaps, 0);
    assert_eq!(bmc.log(), "ready\n");
}

#[test]
fn input_is_exact() {
    let bmc = bmc();
    let client = Client::new(config_of(&bmc));
    let console = client.console();
    let mut reader = console.reader();
    console.write_all(b"@SINK 65536\r", LONG).expect("room");
    assert_same("answer", &read_until(&mut reader, b"\n", LONG), b"READY\r\n");
    let input = noise(65536, 3);
    let start = Instant::now();
    console.write_all(&input, LONG).expect("room");
    let sum: String = Sha256::digest(&input).iter().map(|byte| format!("{byte:02x}")).collect();
    let answer = read_until(&mut reader, b"\n", LONG);
    println!("64 KiB into pyghmi in {:?}", start.elapsed());
    assert_eq!(String::from_utf8_lossy(&answer), format!("SINK 65536 {sum}\r\n"));
    assert_eq!(bmc.log(), "ready\n");
}

/// It keeps SOL for a client that is gone, and cannot say whose it is.
#[test]
fn sol_of_a_client_that_vanished_can_be_had() {
    let bmc = bmc();
    for take_over in [TakeOver::Once, TakeOver::Always] {
        let relay = Relay::start(bmc.address(), Faults::default());
        let (name, password) = (PyghmiBmc::USERNAME, PyghmiBmc::PASSWORD);
        let first = Client::new(config(relay.address(), name, password));
        let console = first.console_with(ConsoleConfig::default().take_over(TakeOver::Once));
        console.write_all(b"first", LONG).expect("room");
        assert_same("echo", &read(&mut console.reader(), 5, LONG), b"first");
        // Nothing it says at its end arrives.
        relay.set_faults(Faults { loss: 1.0, ..Faults::default() });
        drop((console, first));
        let second = Client::new(config_of(&bmc));
        let start = Instant::now();
        let error = second.console_or_error(TakeOver::Never).expect_err("SOL is in use");
        assert_eq!(error.kind(), ErrorKind::SolInUse, "{}", explain(&error));
        assert!(start.elapsed() < secs(10), "refused after {:?}", start.elapsed());
        let console = second.console_with(ConsoleConfig::default().take_over(take_over));
        console.write_all(b"second", LONG).expect("room");
        assert_same("echo", &read(&mut console.reader(), 6, LONG), b"second");
        assert_eq!(second.status().logins, 1);
        console.close(LONG).expect("closed");
    }
}
