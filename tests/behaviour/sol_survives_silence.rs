//! Lost acknowledges, BMCs that go mute, and BMCs that jump.

use bmclink::session::{Cause, SolConfig, SolEvent, TakeOver};
use bmclink::sim::Profile;

use crate::pair::{PROFILES, Pair, Setup, assert_same, is_sol, millis, pattern, secs};

fn count(pair: &Pair, wanted: impl Fn(&SolEvent) -> bool) -> usize {
    pair.marks.iter().filter(|(_, event)| wanted(event)).count()
}

/// Drops the next `lost` SOL packets from the BMC.
fn drop_acknowledges(pair: &mut Pair, mut lost: u32) {
    pair.drops = Some(Box::new(move |towards_bmc, datagram| {
        let drop = !towards_bmc && is_sol(datagram) && lost > 0;
        lost -= u32::from(drop);
        drop
    }));
}

#[test]
fn a_lost_acknowledge_costs_no_activation_and_no_byte() {
    for profile in PROFILES {
        for lost in [1, 2, 5] {
            let mut pair = Setup::new(profile, 1).start();
            pair.connect().unwrap();
            pair.typing.extend(b"before ");
            pair.run_for(secs(2));
            for round in 1..=5 {
                drop_acknowledges(&mut pair, lost);
                pair.typing.extend(b"again ");
                let len = 7 + 6 * round;
                let done = pair.run_until(secs(30), |pair| {
                    pair.host_received.len() >= len && pair.session.sol_pending() == 0
                });
                assert!(done, "{profile:?}, {lost} lost, round {round}");
                pair.run_for(secs(3));
            }
            let typed = [&b"before "[..], &b"again ".repeat(5)].concat();
            assert_same(1, &format!("{profile:?}"), &pair.host_received, &typed);
            assert_eq!(pair.bmc.counters().activate_payload, 1, "{profile:?}");
            let lost_ones = count(&pair, |event| *event == SolEvent::AcknowledgeLost);
            assert_eq!(lost_ones, if profile == Profile::OpenBmc { 5 } else { 0 });
        }
    }
}

#[test]
fn a_bmc_that_was_learned_to_be_silent_costs_half_a_second() {
    let mut pair = Setup::new(Profile::OpenBmc, 1).start();
    pair.connect().unwrap();
    for round in 1..=6 {
        pair.typing.extend(b"x");
        pair.run_for(secs(2));
        drop_acknowledges(&mut pair, 1);
        pair.typing.extend(b"y");
        pair.run_for(millis(10));
        let start = pair.now;
        pair.run_until(secs(30), |pair| pair.session.sol_pending() == 0);
        let took = pair.now - start;
        assert!(took < if round == 1 { secs(6) } else { millis(500) }, "{round}: {took:?}");
    }
    assert_eq!(pair.host_received, b"xy".repeat(6));
}

/// Empty packets with a number, seen on the way to the BMC by their length.
#[test]
fn a_bmc_that_acknowledges_repeats_is_never_probed() {
    for profile in PROFILES.into_iter().filter(|profile| *profile != Profile::OpenBmc) {
        let mut pair = Setup::new(profile, 1).start();
        pair.connect().unwrap();
        pair.typing.extend(b"first");
        pair.run_for(secs(2));
        let before = *pair.bmc.counters();
        // Repeats arrive, and their acknowledges do not for a good while.
        drop_acknowledges(&mut pair, 12);
        pair.typing.extend(b"second");
        pair.run_until(secs(60), |pair| pair.session.sol_pending() == 0);
        let after = *pair.bmc.counters();
        let duplicates = after.sol_duplicates_in - before.sol_duplicates_in;
        // The first of them was new, and each of the others was that one again.
        assert_eq!(after.sol_in - before.sol_in, duplicates + 1, "{profile:?}");
        assert_eq!(pair.host_received, b"firstsecond", "{profile:?}");
        assert_eq!(count(&pair, |event| *event == SolEvent::AcknowledgeLost), 0);
    }
}

/// SOL goes mute, the session does not, until SOL is activated again.
fn mute_until_reactivated(profile: Profile) -> Pair {
    let mut pair = Setup::new(profile, 1).start();
    // One stack does not say who owns SOL: it could as well have been taken.
    pair.connect_with(SolConfig { take_over: TakeOver::Always, ..SolConfig::default() }).unwrap();
    pair.typing.extend(b"before ");
    pair.run_for(secs(2));
    pair.bmc.quirks_mut().sol_mute = true;
    pair.typing.extend(b"0123456789");
    let again = pair.bmc.counters().activate_payload + 1;
    assert!(pair.run_until(secs(60), |pair| pair.bmc.counters().activate_payload == again));
    pair.bmc.quirks_mut().sol_mute = false;
    pair.run_for(secs(1));
    pair
}

#[test]
fn a_mute_bmc_is_activated_again_and_what_was_lost_is_reported() {
    for profile in PROFILES {
        let mut pair = mute_until_reactivated(profile);
        assert_eq!(count(&pair, |e| *e == SolEvent::Reactivated), 1, "{profile:?}");
        assert_eq!(count(&pair, |e| *e == SolEvent::Gap), 1, "{profile:?}");
        assert_eq!(count(&pair, |e| *e == SolEvent::InputLost { bytes: 10 }), 1, "{profile:?}");
        pair.typing.extend(b"after");
        pair.bmc.serial_output(pair.now, b"output");
        pair.run_for(secs(10));
        assert_eq!(pair.host_received, b"before after", "{profile:?}");
        assert_eq!(pair.received, b"output", "{profile:?}");
    }
}

#[test]
fn a_bmc_that_stays_mute_is_neither_flooded_nor_waited_for() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 1).start();
        pair.connect().unwrap();
        pair.typing.extend(b"x");
        pair.run_for(secs(2));
        pair.bmc.quirks_mut().sol_mute = true;
        let typed = pattern(800, 1);
        assert_eq!(pair.session.sol_write(pair.now, &typed), 800);
        let (before, start) = (pair.session.counters().sent, pair.now);
        let first = pair.events.len();
        pair.run_until(secs(150), |pair| pair.sol_ended_since(first).is_some());
        let ended = pair.sol_ended_since(first).map(|failure| failure.cause);
        // Where nobody says who owns SOL, it could as well have been taken.
        let stolen = profile == Profile::Pyghmi;
        let expected = if stolen { Cause::SolStolen } else { Cause::Lost };
        assert_eq!(ended, Some(expected), "{profile:?}");
        let sent = pair.session.counters().sent - before;
        let rate = sent / (pair.now - start).as_secs();
        assert!(rate <= 16, "{profile:?}: {rate} packets a second");
        let lost = pair.marks.iter().map(|(_, event)| match event {
            SolEvent::InputLost { bytes } => *bytes,
            _ => 0,
        });
        assert_eq!(lost.sum::<u64>(), 800, "{profile:?}");
        assert!(pair.session.is_active(), "{profile:?}");
        assert_eq!(pair.bmc.sol_owner().is_none(), !stolen, "{profile:?}");
        // It comes to its senses.
        pair.bmc.quirks_mut().sol_mute = false;
        pair.connect_with(SolConfig { take_over: TakeOver::Always, ..SolConfig::default() })
            .unwrap();
        pair.host_received.clear();
        pair.typing.extend(b"again");
        pair.run_for(secs(10));
        assert_eq!(pair.host_received, b"again", "{profile:?}");
    }
}

/// Tyan S4811: numbers jump when the host is reset.
#[test]
fn jumps_after_a_host_reset_are_reported_and_lose_nothing_more() {
    for skip in [1, 3, 7, 8, 13] {
        let mut setup = Setup::new(Profile::Spec, 1);
        setup.bmc.quirks.sol_sequence_skip = skip;
        let mut pair = setup.start();
        pair.connect().unwrap();
        let printed = pattern(3000, 5);
        for (round, part) in printed.chunks(100).enumerate() {
            pair.bmc.serial_output(pair.now, part);
            pair.run_for(secs(2));
            if round % 3 == 2 {
                // Chassis Control, hard reset.
                let token = round as u64;
                assert!(pair.command(token, 0x00, 0x02, &[3]).is_ok());
            }
        }
        assert_same(u64::from(skip), "printed", &pair.received, &printed);
        assert_eq!(count(&pair, |e| *e == SolEvent::Gap), 9, "{skip}");
    }
}

#[test]
fn a_repeat_that_grew_is_taken_where_it_grew() {
    let mut setup = Setup::new(Profile::Spec, 1);
    setup.bmc.quirks.sol_dup_more_data = true;
    let mut pair = setup.start();
    pair.connect().unwrap();
    pair.drops = Some(Box::new(|towards_bmc, datagram| towards_bmc && is_sol(datagram)));
    let printed = pattern(200, 5);
    for part in printed.chunks(20) {
        pair.bmc.serial_output(pair.now, part);
        pair.run_for(millis(300));
    }
    assert!(pair.received.len() > 100, "delivered although nothing could be acknowledged");
    pair.drops = None;
    pair.run_for(secs(5));
    assert_same(1, "printed", &pair.received, &printed);
    assert_eq!(count(&pair, |e| *e == SolEvent::Gap), 0);
}

#[test]
fn a_host_that_does_not_read_makes_nobody_spin() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 1).start();
        pair.connect_with(SolConfig { input_len: 4096, ..SolConfig::default() }).unwrap();
        pair.typing.extend(b"x");
        pair.run_for(secs(2));
        pair.host_stalled = true;
        pair.bmc.set_serial_input_limit(Some(100));
        let typed = pattern(1000, 1);
        pair.typing.extend(&typed);
        pair.run_for(secs(1));
        let before = pair.session.counters().sent;
        pair.run_for(secs(60));
        let sent = pair.session.counters().sent - before;
        assert!(sent <= 70, "{profile:?}: {sent} packets in a minute");
        pair.bmc.set_serial_input_limit(None);
        pair.host_stalled = false;
        pair.run_for(secs(30));
        assert_same(1, &format!("{profile:?}"), &pair.host_received[1..], &typed);
    }
}
