//! P15: over any mix of loss, duplication, reordering and delay, bytes arrive once and in order.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bmclink::session::{Learned, SolConfig, SolEvent};
use bmclink::sim::{Profile, SolSizes};

use crate::pair::{PROFILES, Pair, Setup, assert_same, is_sol, millis, pattern, request, secs};
use crate::seeds::for_seeds;

/// Equal bytes that show where a stream goes on after a part that is missing.
const SYNC_LEN: usize = 8;

#[test]
fn a_line_is_echoed_by_every_profile() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 1).start();
        pair.connect().unwrap_or_else(|failure| panic!("{profile:?}: {failure}"));
        pair.host_echoes = true;
        pair.typing.extend(b"hello\r");
        pair.run_until(secs(10), |pair| pair.received.len() >= 6);
        assert_eq!(pair.received, b"hello\r", "{profile:?}");
    }
}

#[test]
fn all_256_values_pass_both_ways() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 1).start();
        pair.connect().unwrap();
        pair.host_echoes = true;
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        pair.typing.extend(&all);
        pair.run_until(secs(60), |pair| pair.received.len() >= all.len());
        assert_same(1, "typed", &pair.host_received, &all);
        assert_same(1, "echoed", &pair.received, &all);
    }
}

/// Activates SOL on a line so bad that five packets in a row can get lost.
fn activate(pair: &mut Pair, config: SolConfig) {
    for _ in 0..5 {
        if pair.connect_with(config.clone()).is_ok() {
            pair.marks.clear();
            return;
        }
    }
    panic!("seed {}: SOL cannot be activated", pair.seed);
}

/// Types and prints `len` bytes each, until all of the input and what the BMC did not drop of
/// the output arrived.
fn exchange(pair: &mut Pair, typed: &[u8], printed: &[u8]) {
    pair.typing.extend(typed);
    pair.printing.extend(printed);
    let goal = (typed.len(), printed.len() as u64);
    let done = pair.run_until(secs(200_000), |pair| {
        let dropped = pair.bmc.counters().sol_characters_lost;
        pair.host_received.len() >= goal.0
            && pair.received.len() as u64 + dropped >= goal.1
            && pair.session.sol_pending() == 0
            || pair.session.is_closed()
    });
    assert!(done && pair.closed().is_none(), "seed {}: {:?}", pair.seed, pair.closed());
    // What the BMC counted as dropped may have arrived all the same, or may still come.
    pair.run_for(secs(20));
}

/// Nothing but what the line explains was reported.
fn assert_untroubled(pair: &Pair, profile: Profile) {
    for (at, event) in &pair.marks {
        let explained = match event {
            SolEvent::Activated { .. } => true,
            SolEvent::AcknowledgeLost => profile == Profile::OpenBmc,
            SolEvent::Gap | SolEvent::Overrun => pair.bmc.counters().sol_characters_lost > 0,
            _ => false,
        };
        assert!(explained, "seed {}: {profile:?}: {event:?} at {at}", pair.seed);
    }
}

/// `received` is `printed` without what the BMC dropped, and each hole is marked where it is.
fn assert_holes_are_reported(pair: &Pair, printed: &[u8]) {
    let received = without_repeats(pair, printed);
    let (mut from, mut to, mut missing) = (0, 0, 0);
    while to < received.len() {
        if printed.get(from) == Some(&received[to]) {
            (from, to) = (from + 1, to + 1);
            continue;
        }
        let rest = &received[to..received.len().min(to + SYNC_LEN)];
        let hole = printed[from..].windows(rest.len()).position(|part| part == rest);
        let hole = hole.unwrap_or_else(|| panic!("seed {}: byte {to} is made up", pair.seed));
        let is_report = |event: &SolEvent| matches!(event, SolEvent::Gap | SolEvent::Overrun);
        // Before the first packet nobody knows which number it will have.
        if to == 0 {
            (from, missing) = (from + hole, missing + hole);
            continue;
        }
        // The first bytes behind a hole can be the same as its own.
        let reported = pair.marks.iter().any(|(at, event)| {
            is_report(event)
                && *at <= to
                && received[*at..to] == printed[from - (to - at)..from]
                && to - at < SYNC_LEN
        });
        assert!(reported, "seed {}: a hole of {hole} at {to} is hidden", pair.seed);
        (from, missing) = (from + hole, missing + hole);
    }
    missing += printed.len() - from;
    let dropped = pair.bmc.counters().sol_characters_lost as usize;
    assert!(missing <= dropped, "seed {}: {missing} missing, {dropped} dropped", pair.seed);
}

/// What was received, without what OpenBMC sent under two numbers: when all of our
/// acknowledges got lost, and most of its repeats, nothing tells that from new text.
fn without_repeats(pair: &Pair, printed: &[u8]) -> Vec<u8> {
    let mut received = pair.received.clone();
    let mut renumbered = pair.bmc.counters().sol_characters_renumbered as usize;
    while renumbered > 0 && received != printed {
        let same = received.iter().zip(printed).take_while(|(a, b)| a == b).count();
        let again = &received[same..received.len().min(same + SYNC_LEN)];
        let Some(start) = received[..same].windows(again.len()).position(|part| part == again)
        else {
            break;
        };
        renumbered = renumbered.saturating_sub(same - start);
        received.drain(start..same);
    }
    received
}

fn both_ways(profile: Profile, seed: u64, loss: f64, typed_len: usize, printed_len: usize) -> Pair {
    let mut pair = Setup::new(profile, seed).start();
    pair.log_in().unwrap();
    pair.net.set_faults(Setup::new(profile, seed).bad_line(loss).faults);
    activate(&mut pair, SolConfig::default());
    let (typed, printed) = (pattern(typed_len, seed), pattern(printed_len, seed + 1));
    exchange(&mut pair, &typed, &printed);
    assert_same(seed, &format!("{profile:?} typed"), &pair.host_received, &typed);
    assert_holes_are_reported(&pair, &printed);
    assert_untroubled(&pair, profile);
    pair
}

fn bad_line(profile: Profile, seeds: u64) {
    for_seeds(profile, seeds, |seed| drop(both_ways(profile, seed, 0.2, 8192, 8192)));
}

#[test]
fn a_bad_line_to_a_bmc_by_the_book_changes_nothing() {
    bad_line(Profile::Spec, 1000);
}

#[test]
fn a_bad_line_to_openbmc_changes_nothing() {
    bad_line(Profile::OpenBmc, 1000);
}

#[test]
fn a_bad_line_to_go_ipmi_changes_no_input_and_hides_no_hole() {
    bad_line(Profile::GoIpmi, 1000);
}

#[test]
fn a_bad_line_to_pyghmi_changes_no_input_and_hides_no_hole() {
    bad_line(Profile::Pyghmi, 1000);
}

#[test]
fn a_bad_line_to_ipmi_sim_changes_no_input_and_hides_no_hole() {
    bad_line(Profile::IpmiSim, 1000);
}
