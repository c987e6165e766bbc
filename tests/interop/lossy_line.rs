//! ipmi_sim behind a line that loses datagrams.
//!
//! Typing must be exact: that is up to us. Output is not: after five repeats in one unbroken
//! stretch of output ipmi_sim throws away all it has, up to 16 KiB, and does not say so. So a
//! long output is checked for what may be missing; output in bursts shorter than that is exact.

use std::time::Instant;

use bmclink::ConsoleConfig;

use super::client::{Client, LONG, assert_same, config_of, explain, millis, noise, read, secs};
use crate::support::{ADMIN, Faults, IpmiSim, Relay, SimOptions};

fn lossy(loss: f64, seed: u64) -> Faults {
    Faults { loss, seed, ..Faults::default() }
}

/// The last client's SOL numbers stay in ipmi_sim.
fn leave_numbers_behind(sim: &IpmiSim) {
    let client = Client::new(config_of(sim.address(), ADMIN));
    let console = client.console();
    console.write_all(b"the client before", LONG).expect("room");
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
    let stats = (console.stats(), client.status().counters, relay.counts());
    println!("1 MiB typed in {took:?}: {stats:?}");
    assert!(sim.serial().wait_for(|bytes| bytes.len() >= input.len(), LONG), "{stats:?}");
    assert_same("input", &sim.serial().received(), &input);
    assert_eq!(client.status().logins, 1);
    assert_eq!((stats.0.input_lost, stats.0.reactivations), (0, 0), "{stats:?}");
    let lost = stats.2.dropped as f64 / stats.2.received as f64;
    assert!((0.04..0.06).contains(&lost), "{stats:?}");
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
        let console = client.console();
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
    let relay = Relay::start(sim.address(), lossy(0.02, 3));
    let client = Client::new(config_of(relay.address(), ADMIN));
    let console = client.console_with(ConsoleConfig::default().replay_len(1 << 20));
    let mut reader = console.reader();
    let output = noise(64 << 10, 4);
    let start = Instant::now();
    for burst in output.chunks(2048) {
        sim.serial().send(burst);
        assert_same("burst", &read(&mut reader, burst.len(), LONG), burst);
    }
    println!("64 KiB of output in bursts in {:?}: {:?}", start.elapsed(), relay.counts());
    assert_eq!(console.stats().gaps, 0);
}

#[test]
fn output_at_once_lacks_only_what_the_bmc_threw_away() {
    let sim = IpmiSim::start(SimOptions::default());
    let relay = Relay::start(sim.address(), lossy(0.05, 6));
    let client = Client::new(config_of(relay.address(), ADMIN));
    let console = client.console_with(ConsoleConfig::default().replay_len(1 << 20));
    let mut reader = console.reader();
    let output = noise(64 << 10, 7);
    let end = b"<end of output>";
    let start = Instant::now();
    sim.serial().send(&output);
    // Repeats come a second apart, so silence for 8 s is the end of the stretch; what follows
    // is a stretch of its own.
    let mut got = Vec::new();
    loop {
        let more = read(&mut reader, output.len() - got.len(), secs(8));
        if more.is_empty() {
            break;
        }
        got.extend(more);
    }
    sim.serial().send(end);
    let last = read(&mut reader, end.len(), LONG);
    assert_same("end", &last, end);
    let missing = missing_runs(&got, &output);
    let missing = missing.unwrap_or_else(|at| panic!("byte {at} is doubled or out of order"));
    println!(
        "{} of {} bytes of output in {:?}, {} runs missing: {missing:?}",
        got.len(),
        output.len(),
        start.elapsed(),
        missing.len()
    );
    assert_eq!(got.len() + missing.iter().sum::<usize>(), output.len());
    // Each costs it five repeats.
    assert!(missing.len() as u64 <= relay.counts().dropped / 5, "{:?}", relay.counts());
}

/// The lengths of the runs that `got` lacks of `all`; where it has something else, that place.
fn missing_runs(got: &[u8], all: &[u8]) -> Result<Vec<usize>, usize> {
    /// Bytes that occur nowhere else in `all`.
    const UNIQUE: usize = 12;
    let mut missing = Vec::new();
    let (mut at, mut from) = (0, 0);
    while at < got.len() {
        if all.get(from) == got.get(at) {
            (at, from) = (at + 1, from + 1);
            continue;
        }
        // A byte or two behind the hole may be equal to those in it.
        let holes = (0..4).filter_map(|back| {
            let behind = got.get(at.checked_sub(back)?..)?;
            let behind = &behind[..behind.len().min(UNIQUE)];
            let rest = all.get(from.checked_sub(back)?..)?;
            let len = rest.windows(behind.len()).position(|window| window == behind)?;
            Some((len, back))
        });
        let (len, back) = holes.min().ok_or(at)?;
        (at, from) = (at - back, from - back + len);
        missing.push(len);
    }
    if from < all.len() {
        missing.push(all.len() - from);
    }
    Ok(missing)
}

#[test]
fn missing_runs_are_told_from_doubled_ones() {
    let all = noise(1000, 1);
    let without = |holes: &[std::ops::Range<usize>]| {
        let kept = (0..all.len()).filter(|at| !holes.iter().any(|hole| hole.contains(at)));
        kept.map(|at| all[at]).collect::<Vec<u8>>()
    };
    assert_eq!(missing_runs(&all, &all), Ok(vec![]));
    assert_eq!(missing_runs(&without(&[100..300, 500..501]), &all), Ok(vec![200, 1]));
    assert_eq!(missing_runs(&without(&[0..10, 900..1000]), &all), Ok(vec![10, 100]));
    let doubled = [&all[..500], &all[400..]].concat();
    assert!(missing_runs(&doubled, &all).is_err());
    let swapped = [&all[..300], &all[500..800], &all[300..500], &all[800..]].concat();
    assert!(missing_runs(&swapped, &all).is_err());
}
