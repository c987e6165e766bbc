//! ipmi_sim goes away: killed, hung, restarted.

use std::thread;
use std::time::{Duration, Instant};

use bmclink::session::Cause;
use bmclink::{BmcConfig, ConsoleConfig, ConsoleState, ErrorKind, TakeOver};
use nix::sys::signal::Signal;

use super::client::{Client, LONG, assert_same, config_of, explain, read, secs};
use crate::support::{ADMIN, IpmiSim, SimOptions, wait_until};

/// Scheduling on a busy machine.
const SLACK: Duration = secs(4);

fn sim() -> IpmiSim {
    IpmiSim::start(SimOptions::default())
}

/// Waits for the console to be lost; gives how long that took.
#[track_caller]
fn wait_lost(console: &bmclink::Console, start: Instant) -> Duration {
    let state = console.wait_state(ConsoleState::Connected, LONG);
    assert_eq!(state, ConsoleState::Unconnected);
    let took = start.elapsed();
    let error = console.reason().expect("a reason");
    assert_eq!(error.kind(), ErrorKind::Lost, "{}", explain(&error));
    assert_eq!(error.cause(), Some(Cause::Lost), "{}", explain(&error));
    let mut reader = console.live_reader();
    let read = reader.read(&mut [0; 10], LONG).expect_err("nothing to read");
    assert_eq!(read.kind(), ErrorKind::Lost, "{}", explain(&read));
    let write = console.write(b"x", LONG).expect_err("nobody to write to");
    assert_eq!(write.kind(), ErrorKind::Lost, "{}", explain(&write));
    took
}

#[test]
fn a_killed_bmc_is_noticed_and_found_again() {
    let mut sim = sim();
    let config = config_of(sim.address(), ADMIN);
    let hinted = config.timing.lost_after_hint;
    let client = Client::new(config);
    let console = client.console();
    console.write_all(b"before", LONG).expect("room");
    console.drain(LONG).expect("acknowledged");
    sim.stop();
    let start = Instant::now();
    // Something has to be sent for the kernel to say that nobody listens.
    console.write_all(b"into the void", LONG).expect("room");
    let took = wait_lost(&console, start);
    assert!(took <= hinted + SLACK, "lost after {took:?}");
    assert_eq!(console.stats().input_lost, 13);
    let start = Instant::now();
    let error = client.raw(6, 0, 1, &[], secs(3)).expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{}", explain(&error));
    assert!(start.elapsed() < secs(3) + SLACK);
    sim.restart();
    sim.serial().clear();
    client.device_id();
    console.connect(LONG).unwrap_or_else(|error| panic!("{}", explain(&error)));
    console.write_all(b"after", LONG).expect("room");
    assert!(
        sim.serial().wait_for(|bytes| bytes == b"after", LONG),
        "{:?}",
        sim.serial().received()
    );
    assert_eq!(client.status().logins, 2);
    assert_eq!(console.stats().epoch, 2);
}

fn impatient(mut config: BmcConfig) -> BmcConfig {
    config.timing.keepalive = secs(1);
    config.timing.keepalive_jitter = Duration::ZERO;
    config.timing.keepalive_retry = secs(1);
    config.timing.lost_after = secs(4);
    config.timing.lost_after_hint = secs(2);
    config
}

#[test]
fn an_idle_console_notices_a_killed_bmc_by_its_keepalive() {
    let mut sim = sim();
    let client = Client::new(impatient(config_of(sim.address(), ADMIN)));
    let console = client.console();
    sim.stop();
    let took = wait_lost(&console, Instant::now());
    assert!(took <= secs(1) + secs(2) + SLACK, "lost after {took:?}");
}

#[test]
fn a_hung_bmc_is_lost_after_the_silent_time_and_a_short_hang_is_not() {
    let sim = sim();
    let client = Client::new(impatient(config_of(sim.address(), ADMIN)));
    let console = client.console();
    let program = sim.program().expect("it runs");
    program.signal(Signal::SIGSTOP);
    std::thread::sleep(secs(2));
    program.signal(Signal::SIGCONT);
    console.write_all(b"alive", LONG).expect("room");
    console.drain(LONG).expect("acknowledged");
    assert_eq!(client.status().logins, 1);
    program.signal(Signal::SIGSTOP);
    let took = wait_lost(&console, Instant::now());
    // The silence may have begun up to a keepalive before.
    assert!((secs(2)..secs(4) + SLACK).contains(&took), "lost after {took:?}");
    program.signal(Signal::SIGCONT);
    client.device_id();
    assert_eq!(client.status().logins, 2);
    // The BMC keeps the old session for 30 s, and with it SOL.
    let error = console.connect(LONG).expect_err("the old session owns SOL");
    assert_eq!(error.kind(), ErrorKind::SolInUse, "{}", explain(&error));
    let console = client.console_with(ConsoleConfig::default().take_over(TakeOver::Once));
    console.write_all(b"again", LONG).expect("room");
    assert!(sim.serial().wait_for(|bytes| bytes.ends_with(b"again"), LONG));
}

/// The new ipmi_sim knows nothing of the session and says nothing to it.
#[test]
fn a_restarted_bmc_gets_a_new_session() {
    let mut sim = sim();
    let client = Client::new(impatient(config_of(sim.address(), ADMIN)));
    let console = client.console();
    let mut reader = console.reader();
    sim.restart();
    let took = wait_lost(&console, Instant::now());
    assert!(took < secs(4) + SLACK, "lost after {took:?}");
    console.connect(LONG).unwrap_or_else(|error| panic!("{}", explain(&error)));
    sim.serial().send(b"booted");
    assert_same("output", &read(&mut reader, 6, LONG), b"booted");
    assert_eq!(client.status().logins, 2);
}

/// A command on the way while the BMC restarts is lost with its session, and answered in the next.
#[test]
fn a_command_during_a_restart_is_answered_after_it() {
    let mut sim = sim();
    let client = Client::new(impatient(config_of(sim.address(), ADMIN)));
    client.log_in();
    sim.stop();
    let reply = thread::scope(|scope| {
        let call = scope.spawn(|| client.raw(6, 0, 1, &[], LONG));
        assert!(wait_until(secs(2) + SLACK, || !client.status().connected));
        sim.restart();
        call.join().expect("no panic")
    });
    let reply = reply.unwrap_or_else(|error| panic!("{}", explain(&error)));
    assert_eq!(reply.completion_code.0, 0);
    assert_eq!(client.status().logins, 2);
}
