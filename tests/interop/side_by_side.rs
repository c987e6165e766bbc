//! ipmitool and we at one BMC.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use bmclink::session::Cause;
use bmclink::{BmcConfig, Console, ConsoleConfig, ConsoleState, ErrorKind, TakeOver};

use super::client::{Client, LONG, assert_same, config, config_of, explain, millis, read, secs};
use crate::support::{ADMIN, IpmiSim, Program, PyghmiBmc, PyghmiOptions, SimOptions, require};

/// Who owns SOL is asked this often.
const PROBE: Duration = secs(1);
/// A packet of ours may take this long to be answered when the BMC names another owner.
const CONFIRM: Duration = secs(3);
const SLACK: Duration = secs(4);

fn watchful(mut config: BmcConfig) -> BmcConfig {
    config.timing.keepalive = PROBE;
    config.timing.keepalive_jitter = Duration::ZERO;
    config.timing.keepalive_retry = millis(500);
    config
}

fn ipmitool(bmc: SocketAddr, name: &str, password: &str, arguments: &[&str]) -> Command {
    let mut command = require("ipmitool");
    command.args(["-I", "lanplus", "-C", "3", "-H", &bmc.ip().to_string()]);
    command.args(["-p", &bmc.port().to_string(), "-U", name, "-P", password]);
    command.args(arguments);
    command
}

fn at_sim(sim: &IpmiSim, arguments: &[&str]) -> Command {
    ipmitool(sim.address(), ADMIN.name, ADMIN.password, arguments)
}

/// The console ends because SOL is not ours any more; its session goes on.
#[track_caller]
fn assert_taken(client: &Client, console: &Console, start: Instant) {
    let state = console.wait_state(ConsoleState::Connected, LONG);
    assert_eq!(state, ConsoleState::Unconnected);
    let took = start.elapsed();
    let error = console.reason().expect("a reason");
    let cause = error.cause().expect("a cause");
    let kind = match cause {
        Cause::SolStolen => ErrorKind::Stolen,
        Cause::SolDeactivated => ErrorKind::Lost,
        _ => panic!("{cause:?}: {}", explain(&error)),
    };
    assert_eq!(error.kind(), kind, "{}", explain(&error));
    println!("{cause:?} noticed after {took:?}");
    assert!(took <= PROBE + CONFIRM + SLACK, "noticed after {took:?}");
    client.device_id();
    assert_eq!(client.status().logins, 1);
}

#[test]
fn a_console_deactivated_by_ipmitool_ends_and_its_session_does_not() {
    let sim = IpmiSim::start(SimOptions::default());
    let client = Client::new(watchful(config_of(sim.address(), ADMIN)));
    let console = client.console();
    console.write_all(b"ours", LONG).expect("room");
    console.drain(LONG).expect("acknowledged");
    let start = Instant::now();
    Program::run(at_sim(&sim, &["sol", "deactivate"]), LONG).success();
    assert_taken(&client, &console, start);
    console.connect(LONG).unwrap_or_else(|error| panic!("{}", explain(&error)));
    console.write_all(b" again", LONG).expect("room");
    assert!(sim.serial().wait_for(|bytes| bytes == b"ours again", LONG));
    assert_eq!(client.status().logins, 1);
}

#[test]
fn a_console_taken_by_ipmitool_ends_and_can_be_taken_back() {
    let sim = IpmiSim::start(SimOptions::default());
    let client = Client::new(watchful(config_of(sim.address(), ADMIN)));
    let console = client.console();
    let start = Instant::now();
    Program::run(at_sim(&sim, &["sol", "deactivate"]), LONG).success();
    let mut theirs = Program::spawn_on_terminal(at_sim(&sim, &["sol", "activate"]));
    theirs.wait_for("SOL Session operational", LONG);
    assert_taken(&client, &console, start);
    theirs.write(b"theirs");
    assert!(sim.serial().wait_for(|bytes| bytes == b"theirs", LONG));
    let error = client.console_or_error(TakeOver::Stale).expect_err("ipmitool has it");
    assert_eq!(error.kind(), ErrorKind::SolInUse, "{}", explain(&error));
    let console = client.console_with(ConsoleConfig::default().take_over(TakeOver::Once));
    console.write_all(b" ours", LONG).expect("room");
    let both = |bytes: &[u8]| bytes == b"theirs ours";
    assert!(sim.serial().wait_for(both, LONG), "{:?}", sim.serial().received());
    assert_eq!(client.status().logins, 1);
}

/// Typing into a console that is gone tells sooner than the probe.
#[test]
fn typing_into_a_deactivated_console_loses_nothing_unreported() {
    let sim = IpmiSim::start(SimOptions::default());
    let client = Client::new(watchful(config_of(sim.address(), ADMIN)));
    let console = client.console();
    let start = Instant::now();
    Program::run(at_sim(&sim, &["sol", "deactivate"]), LONG).success();
    console.write_all(b"too late", LONG).expect("room");
    assert_taken(&client, &console, start);
    assert_eq!(console.stats().input_lost, 8);
    assert_eq!(sim.serial().received(), b"");
}

#[test]
fn commands_of_ipmitool_do_not_disturb_a_console() {
    let sim = IpmiSim::start(SimOptions::default());
    let client = Client::new(watchful(config_of(sim.address(), ADMIN)));
    let console = client.console();
    let mut reader = console.reader();
    for round in 0..5 {
        Program::run(at_sim(&sim, &["mc", "info"]), LONG).success();
        let line = format!("round {round}\r\n");
        sim.serial().send(line.as_bytes());
        assert_same(&line, &read(&mut reader, line.len(), LONG), line.as_bytes());
        client.device_id();
    }
    assert_eq!(console.state(), ConsoleState::Connected);
    assert_eq!(client.status().logins, 1);
}

/// pyghmi cannot say who owns SOL; what it says to the next thing that is typed tells.
#[test]
fn a_console_deactivated_at_pyghmi_ends_and_its_session_does_not() {
    let bmc = PyghmiBmc::start(PyghmiOptions::default());
    let (name, password) = (PyghmiBmc::USERNAME, PyghmiBmc::PASSWORD);
    let client = Client::new(watchful(config(bmc.address(), name, password)));
    let console = client.console();
    let mut reader = console.reader();
    console.write_all(b"ours", LONG).expect("room");
    assert_same("echo", &read(&mut reader, 4, LONG), b"ours");
    let deactivate = ipmitool(bmc.address(), name, password, &["sol", "deactivate"]);
    let start = Instant::now();
    Program::run(deactivate, LONG).success();
    console.write_all(b"too late", LONG).expect("room");
    assert_taken(&client, &console, start);
}
