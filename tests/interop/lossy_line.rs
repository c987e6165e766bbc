//! ipmi_sim behind a line that loses datagrams.
//!
//! Typing must be exact: that is up to us. Output is not: ipmi_sim counts its repeats over one
//! unbroken stretch of output, and after five it throws away what it has and never reads its
//! serial line again, whoever asks. So output in bursts is exact, and a long one until there.

use std::fs::File;
use std::process::Command;
use std::time::Instant;

use bmclink::{ConsoleConfig, TakeOver};

use super::client::{
    Client, LONG, assert_same, config_of, explain, millis, noise, read, read_some, secs,
};
use crate::support::{
    ADMIN, Faults, IpmiSim, Program, Relay, Scratch, SimOptions, example, require,
};

fn lossy(loss: f64, seed: u64) -> Faults {
    Faults { loss, seed, ..Faults::default() }
}

/// The last client's SOL numbers stay in ipmi_sim.
fn leave_numbers_behind(sim: &IpmiSim) {
    let client = Client::new(config_of(sim.address(), ADMIN));
    let console = client.console();
    console.write_all(b"the client before", LONG).expect("room");
    console.drain(LONG).expect("acknowledged");
    console.close(LONG).expect("closed");
    assert!(sim.serial().wait_for(|bytes| bytes == b"the client before", LONG));
    sim.serial().clear();
}

#[test]
fn a_mebibyte_is_typed_exactly_right_after_another_client() {
    let sim = IpmiSim::start(SimOptions::default());
    leave_numbers_behind(&sim);
    let relay = Relay::start(sim.address(), lossy(0.05, 5));
    let client = Client::new(config_of(relay.address(), ADMIN));
    let mut config = ConsoleConfig::default();
    config.retransmit_min = millis(10);
    let console = client.console_with(config);
    let input = noise(1 << 20, 9);
    let start = Instant::now();
    console.write_all(&input, secs(600)).unwrap_or_else(|error| panic!("{}", explain(&error)));
    console.drain(secs(60)).unwrap_or_else(|error| panic!("{}", explain(&error)));
    let took = start.elapsed();
    let stats = (console.stats(), client.stats().map(|stats| stats.counters), relay.counts());
    println!("1 MiB typed in {took:?}: {stats:?}");
    assert!(sim.serial().wait_for(|bytes| bytes.len() >= input.len(), LONG), "{stats:?}");
    assert_same("input", &sim.serial().received(), &input);
    assert_eq!(client.status().logins, 1);
    assert_eq!((stats.0.input_lost, stats.0.reactivations), (0, 0), "{stats:?}");
    let lost = stats.2.dropped as f64 / stats.2.received as f64;
    assert!((0.04..0.06).contains(&lost), "{stats:?}");
}

/// The same with the example, which waits longer before it sends again.
#[test]
fn input_piped_into_the_console_example_is_typed_exactly() {
    let sim = IpmiSim::start(SimOptions::default());
    leave_numbers_behind(&sim);
    let relay = Relay::start(sim.address(), lossy(0.05, 8));
    let scratch = Scratch::new();
    let input = noise(1 << 14, 10);
    let file = File::open(scratch.write("input", &input)).expect("just written");
    let mut command = example("console");
    command.args(["-H", &relay.address().ip().to_string()]);
    command.args(["-p", &relay.address().port().to_string()]);
    command.args(["-U", ADMIN.name, "-P", ADMIN.password, "--timeout", "60"]);
    command.stdin(file);
    let start = Instant::now();
    let ran = command.output().expect("it was built");
    let said = String::from_utf8_lossy(&ran.stderr);
    println!("{} bytes piped in {:?}: {said} {:?}", input.len(), start.elapsed(), relay.counts());
    assert!(ran.status.success(), "{}: {said}", ran.status);
    assert_same("output", &ran.stdout, b"");
    let typed = |bytes: &[u8]| bytes.len() >= input.len();
    assert!(sim.serial().wait_for(typed, LONG), "{} bytes", sim.serial().received_len());
    assert_same("input", &sim.serial().received(), &input);
}

#[test]
fn logins_and_first_words_survive_loss() {
    let sim = IpmiSim::start(SimOptions::default());
    for seed in 0..12 {
        let relay = Relay::start(sim.address(), lossy(0.1, seed));
        let mut config = config_of(relay.address(), ADMIN);
        config.timing.handshake_first = millis(300);
        config.timing.request_first = millis(300);
        let client = Client::new(config);
        // What the client before said at its end may have been lost.
        let console = client.console_with(ConsoleConfig::default().take_over(TakeOver::Once));
        let line = noise(1 + seed as usize * 3, seed);
        console.write_all(&line, LONG).expect("room");
        console.drain(LONG).expect("acknowledged");
        let typed = |bytes: &[u8]| bytes.len() >= line.len();
        assert!(sim.serial().wait_for(typed, LONG), "seed {seed}");
        assert_same(&format!("seed {seed}"), &sim.serial().clear(), &line);
        client.device_id();
    }
}

#[test]
fn output_in_bursts_is_exact() {
    let sim = IpmiSim::start(SimOptions::default());
    let relay = Relay::start(sim.address(), lossy(0.01, 3));
    let client = Client::new(config_of(relay.address(), ADMIN));
    let console = client.console_with(ConsoleConfig::default().replay_len(1 << 20));
    let mut reader = console.reader();
    let output = noise(64 << 10, 4);
    let start = Instant::now();
    for burst in output.chunks(2048) {
        sim.serial().send(burst);
        assert_same("burst", &read(&mut reader, burst.len(), LONG), burst);
        // The pause ends the stretch; the last acknowledge has to get there first.
        std::thread::sleep(millis(30));
    }
    println!("64 KiB of output in bursts in {:?}: {:?}", start.elapsed(), relay.counts());
    assert_eq!(console.stats().gaps, 0);
}

/// Where output stops, ipmi_sim has stopped: not even a new client hears a word any more.
#[test]
fn output_at_once_is_exact_until_the_bmc_gives_up() {
    let sim = IpmiSim::start(SimOptions::default());
    let relay = Relay::start(sim.address(), lossy(0.05, 6));
    let client = Client::new(config_of(relay.address(), ADMIN));
    let console = client.console_with(ConsoleConfig::default().replay_len(1 << 20));
    let mut reader = console.reader();
    let output = noise(64 << 10, 7);
    sim.serial().send(&output);
    let mut got = Vec::new();
    while got.len() < output.len() {
        // It repeats itself every second, so it is not for a lost packet that this is silence.
        let more = read_some(&mut reader, secs(8));
        if more.is_empty() {
            break;
        }
        got.extend(more);
    }
    println!("{} of {} bytes of output: {:?}", got.len(), output.len(), relay.counts());
    assert_same("output", &got, &output[..got.len()]);
    if got.len() == output.len() {
        return;
    }
    // Fewer repeats than this and it would go on.
    assert!(relay.counts().dropped > 5, "{:?}", relay.counts());
    console.close(LONG).expect("closed");
    let theirs = Program::spawn_on_terminal(sol_activate(&sim));
    theirs.wait_for("SOL Session operational", LONG);
    sim.serial().send(b"does anybody hear this");
    std::thread::sleep(secs(3));
    let heard = theirs.output();
    assert!(heard.trim_end().ends_with("Use ~? for help]"), "ipmi_sim can still speak: {heard}");
}

fn sol_activate(sim: &IpmiSim) -> Command {
    let mut command = require("ipmitool");
    command.args(["-I", "lanplus", "-C", "3", "-H", &sim.address().ip().to_string()]);
    command.args(["-p", &sim.address().port().to_string(), "-U", ADMIN.name, "-P", ADMIN.password]);
    command.args(["sol", "activate"]);
    command
}
