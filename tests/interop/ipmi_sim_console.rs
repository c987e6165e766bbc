//! The console of ipmi_sim on a clean line: every byte, breaks, and one client after the other.

use std::thread;

use bmclink::{ConsoleConfig, ConsoleState, ErrorKind, TakeOver};

use super::client::{Client, LONG, assert_same, config_of, explain, noise, read, secs};
use crate::support::{ADMIN, Faults, IpmiSim, OPERATOR, Relay, SimOptions, wait_until};

fn sim() -> IpmiSim {
    IpmiSim::start(SimOptions::default())
}

/// What reached the serial port, once it is `len` bytes.
fn typed(sim: &IpmiSim, len: usize) -> Vec<u8> {
    sim.serial().wait_for(|bytes| bytes.len() >= len, LONG);
    sim.serial().clear()
}

#[test]
fn bytes_are_exact_both_ways_at_once() {
    let sim = sim();
    let client = Client::new(config_of(sim.address(), ADMIN));
    let console = client.console_with(ConsoleConfig::default().replay_len(1 << 20));
    let mut reader = console.reader();
    let (input, output) = (noise(64 << 10, 1), noise(64 << 10, 2));
    let got = thread::scope(|scope| {
        scope.spawn(|| console.write_all(&input, LONG).expect("room"));
        let serial = sim.serial();
        scope.spawn(|| serial.send(&output));
        read(&mut reader, output.len(), LONG)
    });
    console.drain(LONG).expect("acknowledged");
    assert_same("output", &got, &output);
    assert_same("input", &typed(&sim, input.len()), &input);
    let stats = console.stats();
    assert_eq!((stats.gaps, stats.overruns, stats.input_lost), (0, 0, 0), "{stats:?}");
    assert_eq!((stats.received, stats.written), (64 << 10, 64 << 10), "{stats:?}");
    assert_eq!(reader.lost(), 0);
}

#[test]
fn a_break_arrives_behind_what_was_typed_before_it() {
    let sim = sim();
    let client = Client::new(config_of(sim.address(), OPERATOR));
    let console = client.console();
    let mut wanted = Vec::new();
    for round in 0..5 {
        let line = vec![b'a' + round; 100];
        console.write_all(&line, LONG).expect("room");
        console.send_break(LONG).expect("acknowledged");
        wanted.extend(line);
        wanted.extend(b"\xff\xf3"); // How ipmi_sim says it on a tcp: line.
    }
    console.write_all(b"end", LONG).expect("room");
    wanted.extend(b"end");
    assert_same("input", &typed(&sim, wanted.len()), &wanted);
}

#[test]
fn the_next_console_of_a_session_is_typed_on_at_once() {
    let sim = sim();
    let client = Client::new(config_of(sim.address(), ADMIN));
    for len in (1..=40).chain([1, 1, 2, 2, 28, 28]) {
        let console = client.console();
        let line = noise(len, len as u64);
        console.write_all(&line, LONG).expect("room");
        console.drain(LONG).expect("acknowledged");
        assert_same(&format!("{len} bytes"), &typed(&sim, len), &line);
        console.close(LONG).expect("closed");
        // Closing it left the session as it was.
        assert_eq!(client.status().logins, 1);
        client.device_id();
    }
    assert_eq!(client.status().logins, 1);
}

/// ipmi_sim goes on counting where the last client stopped, and takes a packet with the number
/// of the last one for its repeat.
#[test]
fn the_next_client_is_typed_on_at_once() {
    let sim = sim();
    for (round, len) in (1..=40).chain([1, 1, 1, 28, 28, 28]).enumerate() {
        let client = Client::new(config_of(sim.address(), ADMIN));
        let console = client.console();
        let mut reader = console.reader();
        let line = noise(len, len as u64);
        console.write_all(&line, LONG).expect("room");
        console.drain(LONG).expect("acknowledged");
        assert_same(&format!("round {round}, {len} bytes"), &typed(&sim, len), &line);
        // And it is heard at once.
        sim.serial().send(&line);
        assert_same(&format!("round {round}"), &read(&mut reader, len, LONG), &line);
    }
}

#[test]
fn output_before_the_first_console_and_between_two_is_not_doubled() {
    let sim = sim();
    let client = Client::new(config_of(sim.address(), ADMIN));
    for round in 0..5 {
        let console = client.console();
        let mut reader = console.reader();
        let line = format!("round {round}\r\n");
        sim.serial().send(line.as_bytes());
        let got = read(&mut reader, line.len(), LONG);
        assert_eq!(String::from_utf8_lossy(&got), line);
        console.close(LONG).expect("closed");
    }
}

#[test]
fn sol_of_a_living_client_is_taken_only_when_allowed() {
    let sim = sim();
    let first = Client::new(config_of(sim.address(), ADMIN));
    let first_console = first.console();
    let second = Client::new(config_of(sim.address(), ADMIN));
    for take_over in [TakeOver::Never, TakeOver::Stale] {
        let polite = second.console_or_error(take_over);
        let error = polite.expect_err("SOL is in use");
        assert_eq!(error.kind(), ErrorKind::SolInUse, "{take_over:?}: {}", explain(&error));
    }
    assert_eq!(first_console.state(), ConsoleState::Connected);
    first_console.write_all(b"still mine", LONG).expect("room");
    assert_same("input", &typed(&sim, 10), b"still mine");
    for take_over in [TakeOver::Once, TakeOver::Always] {
        let console = second.console_with(ConsoleConfig::default().take_over(take_over));
        console.write_all(b"now mine", LONG).expect("room");
        assert_same("input", &typed(&sim, 8), b"now mine");
        console.close(LONG).expect("closed");
    }
    assert_eq!((first.status().logins, second.status().logins), (1, 1));
}

#[test]
fn sol_of_a_client_that_vanished_can_be_had() {
    let sim = sim();
    let relay = Relay::start(sim.address(), Faults::default());
    let first = Client::new(config_of(relay.address(), ADMIN));
    let console = first.console();
    console.write_all(b"first", LONG).expect("room");
    assert_same("input", &typed(&sim, 5), b"first");
    // Nothing it says at its end arrives.
    relay.set_faults(Faults { loss: 1.0, ..Faults::default() });
    drop((console, first));
    let second = Client::new(config_of(sim.address(), ADMIN));
    let console = second.console_with(ConsoleConfig::default().take_over(TakeOver::Once));
    console.write_all(b"second", LONG).expect("room");
    assert_same("input", &typed(&sim, 6), b"second");
    sim.serial().send(b"heard");
    assert_same("output", &read(&mut console.reader(), 5, LONG), b"heard");
}

#[test]
fn dropping_all_handles_frees_sol_and_session() {
    let sim = sim();
    let client = Client::new(config_of(sim.address(), ADMIN));
    let reader = client.console().reader();
    drop(reader);
    let other = Client::new(config_of(sim.address(), ADMIN));
    let never = || other.console_or_error(TakeOver::Never).is_ok();
    assert!(wait_until(secs(10), never), "SOL was never freed");
    assert!(client.status().connected);
}
