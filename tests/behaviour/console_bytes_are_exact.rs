//! P15: over any mix of loss, duplication, reordering and delay, bytes arrive once and in order.

use std::time::Duration;

use bmclink::session::{Cause, SolConfig, SolEvent};
use bmclink::sim::{Profile, SolSizes};

use crate::pair::{PROFILES, Pair, Setup, assert_same, millis, pattern, secs};
use crate::seeds::for_seeds;

/// In a debug build a sixteenth of that.
const MEBIBYTE: usize = if cfg!(debug_assertions) { 1 << 16 } else { 1 << 20 };
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

/// Packets that find out what kind of BMC this is: an empty one and its repeats.
const FIRST_PACKETS: u64 = 4;

#[test]
fn a_good_line_carries_no_packet_too_many() {
    const LEN: usize = 64 * 1024;
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 1).start();
        pair.connect().unwrap();
        let before = *pair.bmc.counters();
        exchange(&mut pair, &pattern(LEN, 1), &pattern(LEN, 2));
        let after = *pair.bmc.counters();
        let (typed_max, printed_max) = match profile {
            Profile::Spec | Profile::GoIpmi => (251, 251),
            Profile::OpenBmc => (251, 255),
            Profile::Pyghmi => (252, 256),
            Profile::IpmiSim => (28, 255),
        };
        let (typed, printed) = (LEN.div_ceil(typed_max) as u64, LEN.div_ceil(printed_max) as u64);
        let counters = pair.session.counters();
        assert_eq!(counters.sol_retransmits, 0, "{profile:?}");
        assert_eq!(counters.sol_duplicates, 0, "{profile:?}");
        assert_eq!(after.sol_retransmits, 0, "{profile:?}");
        let sent = after.sol_in - before.sol_in;
        let at_most = typed + printed + FIRST_PACKETS + printed / 50;
        assert!(sent <= at_most, "{profile:?}: {sent} packets, not {at_most}");
        // A keepalive or two: input of 28 characters a packet takes its time.
        assert!(after.commands - before.commands <= 2, "{profile:?}");
        assert_same(1, "typed", &pair.host_received, &pattern(LEN, 1));
        assert_same(1, "printed", &pair.received, &pattern(LEN, 2));
    }
}

/// One MiB each way at 20 % loss. A BMC that throws output away after few tries gets its
/// retries raised where the session can, and a line that it survives where not.
fn one_mebibyte(profile: Profile, seed: u64) {
    let mut pair = Setup::new(profile, seed).start();
    pair.log_in().unwrap();
    let raised = pair.command(1, 0x0c, 0x21, &[0x0e, 4, 7, 50]).unwrap().completion_code.0 == 0;
    let bad = Setup::new(profile, seed).bad_line(0.2).faults;
    pair.net.set_faults(bad);
    activate(&mut pair, SolConfig::default());
    let survives = raised || profile == Profile::OpenBmc;
    let printed_len = if survives { MEBIBYTE } else { 0 };
    let (typed, printed) = (pattern(MEBIBYTE, seed), pattern(MEBIBYTE, seed + 1));
    exchange(&mut pair, &typed, &printed[..printed_len]);
    assert_same(seed, &format!("{profile:?} typed"), &pair.host_received, &typed);
    if !survives {
        pair.net.set_faults(Setup::new(profile, seed).bad_line(0.01).faults);
        // One of them counts its resends until it has nothing left to send.
        for part in printed.chunks(4096) {
            pair.printing.extend(part);
            let len = pair.received.len() + part.len();
            assert!(pair.run_until(secs(600), |pair| pair.received.len() >= len));
            pair.run_for(millis(50));
        }
    }
    assert_same(seed, &format!("{profile:?} printed"), &without_repeats(&pair, &printed), &printed);
    assert_untroubled(&pair, profile);
}

#[test]
fn a_mebibyte_each_way_on_a_bad_line_is_exact() {
    for profile in PROFILES {
        one_mebibyte(profile, 7);
    }
}

/// A host that reads 20 bytes, or 200, or nothing for a while, behind a BMC that holds 64.
fn paste_to_a_slow_host(profile: Profile, seed: u64, len: usize) {
    let mut setup = Setup::new(profile, seed);
    setup.bmc.quirks.solpayloadsize = Some(SolSizes { inbound: 64, outbound: 64, swapped: false });
    let mut pair = setup.start();
    pair.log_in().unwrap();
    pair.net.set_faults(Setup::new(profile, seed).bad_line(0.3).faults);
    activate(&mut pair, SolConfig::default());
    pair.bmc.set_serial_input_limit(Some(40));
    let typed = pattern(len, seed);
    pair.typing.extend(&typed);
    let mut chance = pattern(4099, seed + 2).into_iter().cycle();
    while pair.host_received.len() < len || pair.session.sol_pending() > 0 {
        let byte = chance.next().unwrap_or_default();
        pair.host_stalled = byte < 16;
        pair.bmc.set_serial_input_limit(Some([20, 40, 60, 200][usize::from(byte % 4)]));
        pair.run_for(millis(10 + u64::from(byte) * 8));
        assert!(pair.elapsed() < secs(1_000_000), "seed {seed}: {profile:?} is stuck");
    }
    assert_same(seed, &format!("{profile:?} typed"), &pair.host_received, &typed);
    let counters = pair.bmc.counters();
    assert_eq!(counters.sol_oversize_in, 0, "{profile:?}");
    assert!(len < 10_000 || counters.sol_nacks_out > 0, "{profile:?}");
    assert_untroubled(&pair, profile);
}

/// D1. OpenBMC is not here: it never accepts a part, and when its word that the host took
/// nothing gets lost, nothing tells that from a lost acknowledge.
const SLOW_HOSTS: [Profile; 4] =
    [Profile::Spec, Profile::GoIpmi, Profile::Pyghmi, Profile::IpmiSim];

#[test]
fn a_paste_to_a_slow_host_through_a_small_bmc_on_a_terrible_line_is_exact() {
    paste_to_a_slow_host(Profile::Spec, 3, MEBIBYTE);
    for profile in SLOW_HOSTS {
        for_seeds(profile, 40, |seed| paste_to_a_slow_host(profile, seed, 3000));
    }
}

#[test]
fn spoilt_datagrams_change_nothing() {
    for profile in PROFILES {
        for_seeds(profile, 20, |seed| {
            let mut pair = Setup::new(profile, seed).start();
            pair.connect().unwrap();
            let mut faults = Setup::new(profile, seed).bad_line(0.02).faults;
            faults.corrupt = 0.1;
            pair.net.set_faults(faults);
            let (typed, printed) = (pattern(4096, seed), pattern(4096, seed + 1));
            exchange(&mut pair, &typed, &printed);
            assert_same(seed, "typed", &pair.host_received, &typed);
            assert_holes_are_reported(&pair, &printed);
        });
    }
}

/// A satellite: each packet arrives after the BMC has sent it again.
#[test]
fn a_long_line_changes_nothing() {
    for profile in PROFILES {
        for_seeds(profile, 10, |seed| {
            let mut pair = Setup::new(profile, seed).start();
            pair.log_in().unwrap();
            let mut faults = Setup::new(profile, seed).faults;
            faults.delay = millis(300)..millis(700);
            pair.net.set_faults(faults);
            activate(&mut pair, SolConfig::default());
            let (typed, printed) = (pattern(4096, seed), pattern(4096, seed + 1));
            exchange(&mut pair, &typed, &printed);
            assert_same(seed, "typed", &pair.host_received, &typed);
            assert_holes_are_reported(&pair, &printed);
        });
    }
}

/// Cuts one way or both for `time` while bytes go both ways. When the session lives everything
/// is exact, and when it does not what may be missing is reported.
fn outage(profile: Profile, seed: u64, time: Duration, to_bmc: bool, from_bmc: bool) -> bool {
    let what = format!("{profile:?} {time:?} {to_bmc} {from_bmc}");
    let mut pair = Setup::new(profile, seed).start();
    pair.connect().unwrap();
    let (typed, printed) = (pattern(8192, seed), pattern(8192, seed + 1));
    pair.typing.extend(&typed);
    pair.printing.extend(&printed);
    pair.run_for(millis(20 + seed * 7));
    pair.drops = Some(Box::new(move |towards_bmc, _| if towards_bmc { to_bmc } else { from_bmc }));
    pair.run_for(time);
    pair.drops = None;
    pair.run_until(secs(200), |pair| {
        pair.host_received.len() >= typed.len() && pair.session.sol_pending() == 0
            || pair.closed().is_some()
    });
    pair.run_for(secs(30));
    if let Some(failure) = pair.closed() {
        assert_eq!(failure.cause, Cause::Lost, "seed {seed}: {what}");
        let lost = pair.marks.iter().map(|(_, event)| match event {
            SolEvent::InputLost { bytes } => *bytes as usize,
            _ => 0,
        });
        let reported = lost.sum::<usize>() + pair.typing.len();
        let arrived = pair.host_received.len();
        assert_same(seed, &what, &pair.host_received, &typed[..arrived]);
        assert!(arrived + reported >= typed.len(), "seed {seed}: {what}: hidden loss");
        return false;
    }
    assert_same(seed, &what, &pair.host_received, &typed);
    assert_holes_are_reported(&pair, &printed);
    if profile == Profile::OpenBmc {
        assert_same(seed, &what, &pair.received, &printed);
    }
    true
}

#[test]
fn an_outage_changes_nothing_or_is_reported() {
    for profile in PROFILES {
        for_seeds(profile, 6, |seed| {
            for (to_bmc, from_bmc) in [(true, false), (false, true), (true, true)] {
                for time in [1, 2, 4, 8, 15, 30] {
                    let lives = outage(profile, seed, secs(time), to_bmc, from_bmc);
                    // Where the BMC counts session packets, 16 lost in a row end the session;
                    // one wants 20 acknowledges a second, were none to arrive.
                    let must = match profile {
                        Profile::OpenBmc | Profile::Pyghmi => 15,
                        Profile::Spec | Profile::IpmiSim => 2,
                        Profile::GoIpmi => 0,
                    };
                    assert!(lives || time > must, "{profile:?} seed {seed} after {time} s");
                }
            }
        });
    }
}

/// D1. What is held in the session is seen in the tests of its receiver; here nothing must
/// wait for more than a round trip.
#[test]
fn a_hundred_mebibytes_of_output_flow_on_a_good_line() {
    let len = 100 * MEBIBYTE;
    let mut pair = Setup::new(Profile::Spec, 1).start();
    pair.connect().unwrap();
    let block = pattern(64 * 1024, 1);
    let (mut printed, mut checked) = (0, 0);
    while checked < len {
        if pair.printing.len() < 4096 && printed < len {
            pair.printing.extend(&block);
            printed += block.len();
        }
        pair.run_for(millis(200));
        for byte in pair.received.drain(..) {
            assert_eq!(byte, block[checked % block.len()], "byte {checked}");
            checked += 1;
        }
    }
    assert_eq!(pair.session.counters().sol_duplicates, 0);
    assert_eq!(pair.marks.len(), 1, "only that it was activated");
    assert!(pair.received.capacity() < 64 * 1024);
}
