//! Consoles that are always on, at BMCs that are killed and started again, and at addresses that
//! come and go.

use std::net::IpAddr;

use bmclink::{Bmc, BmcConfig, Console, ConsoleConfig, ConsoleState};

use super::client::{Client, LONG, assert_same, config, config_of, millis, noise, read, secs};
use crate::support::{
    ADMIN, IpmiSim, PyghmiBmc, PyghmiOptions, SerialMode, SimOptions, wait_until,
};

/// The same with a BMC that is given up sooner: tests wait for that.
fn impatient(mut config: BmcConfig) -> BmcConfig {
    config.timing.keepalive = secs(2);
    config.timing.keepalive_jitter = millis(100);
    config.timing.keepalive_retry = millis(500);
    config.timing.lost_after = secs(6);
    config.timing.lost_after_hint = secs(2);
    config
}

fn always_on(bmc: &Bmc) -> Console {
    let mut config = ConsoleConfig::default().always_on();
    (config.retry.max, config.retry.refused, config.retry.stolen) = (secs(2), secs(2), secs(2));
    bmc.console(config).expect("a legal configuration")
}

#[track_caller]
fn wait_connected(console: &Console) {
    let connected = || console.state() == ConsoleState::Connected;
    assert!(wait_until(LONG, connected), "{:?}", console.why());
}

#[track_caller]
fn assert_echoes(console: &Console, seed: u64) {
    // What pyghmi's terminal reads as a command, or as the end of one, is left out.
    let line = noise(200, seed);
    let line: Vec<u8> = line.into_iter().filter(|byte| !b"@\r\n".contains(byte)).collect();
    let mut reader = console.live_reader();
    console.write_all(&line, LONG).expect("room");
    assert_same("echo", &read(&mut reader, line.len(), LONG), &line);
}

fn echoing_sim() -> IpmiSim {
    IpmiSim::start(SimOptions { serial: SerialMode::Echo, ..SimOptions::default() })
}

#[test]
fn an_ipmi_sim_that_is_killed_and_started_again_is_found_again() {
    let mut sim = echoing_sim();
    let client = Client::new(impatient(config_of(sim.address(), ADMIN)));
    let console = always_on(&client);
    for round in 1..=3 {
        wait_connected(&console);
        assert_eq!(console.why().epoch, round);
        assert_echoes(&console, round);
        client.device_id();
        sim.stop();
        if round == 2 {
            // Long enough to be noticed while it is away.
            let gone = || console.state() != ConsoleState::Connected;
            assert!(wait_until(LONG, gone));
        }
        sim.restart();
        let again = || console.why().epoch == round + 1;
        assert!(wait_until(LONG, again), "{:?}", console.why());
    }
    wait_connected(&console);
    assert_echoes(&console, 9);
    assert_eq!(client.status().logins, 4);
}

/// The same BMC at a port where nobody listens.
fn elsewhere(config: &BmcConfig) -> BmcConfig {
    let away = config.clone();
    let port = away.port - 7;
    away.port(port)
}

/// Another address and back, again and again: connected every time, and one session in the end.
/// Every so many cycles something is typed before it goes away.
fn flap(client: &Client, home: &BmcConfig, cycles: u64, typed_every: u64) {
    let console = always_on(client);
    let away = elsewhere(home);
    for cycle in 0..cycles {
        wait_connected(&console);
        if cycle % typed_every == 0 {
            assert_echoes(&console, cycle);
        }
        client.reconfigure(away.clone()).expect("legal");
        std::thread::sleep(millis(17 * (cycle % 5)));
        client.reconfigure(home.clone()).expect("legal");
        std::thread::sleep(millis(3 * (cycle % 7)));
    }
    wait_connected(&console);
    assert_echoes(&console, 99);
    client.device_id();
}

#[test]
fn an_address_of_ipmi_sim_that_flaps_heals_every_time() {
    let sim = echoing_sim();
    let home = impatient(config_of(sim.address(), ADMIN));
    let client = Client::new(home.clone());
    flap(&client, &home, 40, 4);
    // Get Session Info of the current session: how many there are.
    let active = || client.ask(0x06, 0x3d, &[0x00])[2] == 1;
    assert!(wait_until(LONG, active), "{:02x?}", client.ask(0x06, 0x3d, &[0x00]));
}

#[test]
fn an_address_of_pyghmis_bmc_that_flaps_heals_every_time() {
    let bmc = PyghmiBmc::start(PyghmiOptions::default());
    let home = impatient(config(bmc.address(), PyghmiBmc::USERNAME, PyghmiBmc::PASSWORD));
    let client = Client::new(home.clone());
    // Every time: a Deactivate Payload that comes while it still handles Activate Payload finds no
    // console there, and it keeps SOL for good.
    flap(&client, &home, 20, 1);
    // pyghmi may have tripped over a packet before a login from an address that has a session; it
    // says so in its log and goes on.
    assert!(bmc.log().starts_with("ready\n"), "{}", bmc.log());
}

#[test]
fn a_bmc_of_pyghmi_that_is_killed_and_started_again_is_found_again() {
    let start = |ip| {
        let address = match ip {
            Some(IpAddr::V4(ip)) => Some(ip),
            _ => None,
        };
        PyghmiBmc::start(PyghmiOptions { address, ..PyghmiOptions::default() })
    };
    let mut bmc = start(None);
    let address = bmc.address();
    let config = config(address, PyghmiBmc::USERNAME, PyghmiBmc::PASSWORD);
    let client = Client::new(impatient(config));
    let console = always_on(&client);
    for round in 1..=2 {
        wait_connected(&console);
        assert_echoes(&console, round);
        drop(bmc);
        bmc = start(Some(address.ip()));
        let again = || console.why().epoch == round + 1;
        assert!(wait_until(LONG, again), "{:?}", console.why());
    }
    wait_connected(&console);
    assert_echoes(&console, 9);
    assert_eq!(client.status().logins, 3);
}
