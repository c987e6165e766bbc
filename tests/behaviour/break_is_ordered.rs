//! P16: a break is sent after the bytes written before it, and completes when the BMC
//! acknowledged it; what the BMC reports stands where it happened in the stream.

use bmclink::session::{Cause, SolConfig, SolEvent};
use bmclink::sim::{Profile, SerialEvent};

use crate::pair::{PROFILES, Pair, Setup, assert_same, is_sol, millis, pattern, secs};
use crate::seeds::for_seeds;

const BEFORE: usize = 6000;
const BEHIND: usize = 500;

/// Where the host saw breaks, in the bytes it received.
fn host_breaks(pair: &mut Pair) -> Vec<u64> {
    let at = |event: SerialEvent| match event {
        SerialEvent::Break { at } => Some(at),
        _ => None,
    };
    pair.bmc.serial_events().into_iter().filter_map(at).collect()
}

fn breaks_done(pair: &Pair) -> Vec<(u64, bool)> {
    let done = |event: &SolEvent| match event {
        SolEvent::BreakDone { token, acknowledged } => Some((*token, *acknowledged)),
        _ => None,
    };
    pair.marks.iter().filter_map(|(_, event)| done(event)).collect()
}

/// A break behind 6,000 bytes and before 500, two in a row, and one at the end.
fn breaks_between_bytes(profile: Profile, seed: u64, loss: f64) {
    let mut pair = Setup::new(profile, seed).start();
    pair.connect_with(SolConfig { input_len: 8192, ..SolConfig::default() }).unwrap();
    if loss > 0.0 {
        pair.net.set_faults(Setup::new(profile, seed).bad_line(loss).faults);
    }
    let typed = pattern(BEFORE + BEHIND, seed);
    assert_eq!(pair.session.sol_write(pair.now, &typed[..BEFORE]), BEFORE);
    assert!(pair.session.sol_break(1) && pair.session.sol_break(2));
    assert_eq!(pair.session.sol_write(pair.now, &typed[BEFORE..]), BEHIND);
    assert!(pair.session.sol_break(3));
    assert!(pair.run_until(secs(20_000), |pair| breaks_done(pair).len() == 3));
    assert_same(seed, &format!("{profile:?}"), &pair.host_received, &typed);
    let (before, all) = (BEFORE as u64, (BEFORE + BEHIND) as u64);
    assert_eq!(host_breaks(&mut pair), [before, before, all], "{profile:?} seed {seed}");
    assert_eq!(breaks_done(&pair), [(1, true), (2, true), (3, true)]);
    assert_eq!(pair.session.sol_pending(), 0);
}

#[test]
fn a_break_comes_after_the_bytes_before_it() {
    for profile in PROFILES {
        breaks_between_bytes(profile, 1, 0.0);
    }
}

#[test]
fn a_bad_line_changes_neither_place_nor_number_of_breaks() {
    for profile in PROFILES {
        for_seeds(profile, 60, |seed| breaks_between_bytes(profile, seed, 0.2));
    }
}

#[test]
fn a_break_is_done_when_its_acknowledge_is_there_and_not_before() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 1).start();
        pair.connect().unwrap();
        pair.typing.extend(b"x");
        pair.run_for(secs(1));
        pair.drops = Some(Box::new(|towards_bmc, datagram| !towards_bmc && is_sol(datagram)));
        assert!(pair.session.sol_break(9));
        pair.run_for(secs(3));
        assert_eq!(host_breaks(&mut pair), [1], "{profile:?}: once, though repeated");
        assert_eq!(breaks_done(&pair), [], "{profile:?}");
        pair.drops = None;
        assert!(pair.run_until(secs(20), |pair| breaks_done(pair) == [(9, true)]), "{profile:?}");
        assert_eq!(host_breaks(&mut pair), Vec::<u64>::new(), "{profile:?}");
    }
}

#[test]
fn a_break_that_is_lost_with_sol_is_reported() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 1).start();
        pair.connect().unwrap();
        pair.drops = Some(Box::new(|_, _| true));
        pair.typing.extend(b"typed");
        pair.run_for(millis(1));
        assert!(pair.session.sol_break(9));
        assert!(pair.run_until(secs(100), |pair| pair.session.is_closed()));
        assert_eq!(breaks_done(&pair), [(9, false)], "{profile:?}");
        assert!(pair.sol_events().contains(&SolEvent::InputLost { bytes: 5 }), "{profile:?}");
    }
}

#[test]
fn a_break_of_the_host_stands_behind_what_it_printed_before() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 1).start();
        pair.connect().unwrap();
        pair.bmc.serial_output(pair.now, b"before");
        pair.bmc.serial_output_break(pair.now);
        pair.run_for(secs(1));
        pair.bmc.serial_output(pair.now, b"behind");
        pair.run_for(secs(1));
        assert_eq!(pair.received, b"beforebehind");
        let place = pair.marks.iter().find(|(_, event)| *event == SolEvent::BreakDetected);
        match profile {
            Profile::OpenBmc => assert_eq!(place, None, "that stack never says so"),
            _ => assert_eq!(place.map(|(at, _)| *at), Some(6), "{profile:?}"),
        }
    }
}

#[test]
fn power_off_and_on_stand_where_they_happened() {
    let mut pair = Setup::new(Profile::Spec, 1).start();
    pair.connect().unwrap();
    pair.bmc.serial_output(pair.now, b"halted");
    pair.run_for(secs(1));
    pair.bmc.set_host_power(false);
    pair.settle();
    pair.run_for(secs(1));
    pair.bmc.set_host_power(true);
    pair.settle();
    pair.run_for(secs(1));
    pair.bmc.serial_output(pair.now, b"booting");
    pair.run_for(secs(1));
    assert_eq!(pair.received, b"haltedbooting");
    let changes = [(6, SolEvent::Unavailable(true)), (6, SolEvent::Unavailable(false))];
    assert_eq!(pair.marks[1..], changes);
}

#[test]
fn input_waits_five_seconds_for_a_host_that_is_off_and_is_then_reported() {
    for back_after in [3, 20] {
        let mut pair = Setup::new(Profile::Spec, 1).start();
        pair.connect().unwrap();
        pair.bmc.set_host_power(false);
        pair.settle();
        pair.typing.extend(b"typed");
        pair.run_for(secs(back_after));
        pair.bmc.set_host_power(true);
        pair.settle();
        pair.run_for(secs(5));
        let lost = pair.sol_events().contains(&SolEvent::InputLost { bytes: 5 });
        let arrived = pair.host_received == b"typed";
        assert_eq!((arrived, lost), (back_after < 5, back_after > 5));
        pair.typing.extend(b"!");
        pair.run_for(secs(5));
        assert_eq!(pair.host_received.last(), Some(&b'!'));
    }
}

#[test]
fn the_end_stands_behind_all_that_was_printed() {
    for profile in [Profile::Spec, Profile::GoIpmi] {
        let mut pair = Setup::new(profile, 1).start();
        pair.connect().unwrap();
        pair.bmc.serial_output(pair.now, b"last words");
        pair.run_for(secs(1));
        pair.bmc.steal_sol(pair.now);
        pair.settle();
        pair.run_for(secs(5));
        let (at, event) = pair.marks.last().expect("an event");
        assert_eq!(*at, 10);
        let SolEvent::Ended(failure) = event else { panic!("{event:?}") };
        assert_eq!(failure.cause, Cause::SolStolen, "{profile:?}");
    }
}
