//! P7: what the host prints before the answer to Activate Payload arrives is delivered, in order,
//! once, and acknowledged before the BMC has to repeat it.

use bmclink::session::SolEvent;
use bmclink::sim::Profile;
use bmclink::sim::net::Faults;

use crate::pair::{PROFILES, Pair, Setup, Way, assert_same, millis, pattern, secs};

/// Logs in, and opens SOL while the host prints `printed`. The answer to Activate Payload comes
/// behind as many packets from the BMC as `behind` says.
fn overtaken(profile: Profile, behind: usize, printed: &[u8]) -> Pair {
    let mut pair = Setup::new(profile, behind as u64).start();
    pair.log_in().unwrap();
    pair.printing.extend(printed);
    let (mut held, mut passed) = (None, 0);
    pair.tap = Some(Box::new(move |way, datagram| {
        if way == Way::ToBmc {
            return vec![datagram];
        }
        passed += 1;
        if passed == 1 && behind > 0 {
            held = Some(datagram);
            return Vec::new();
        }
        let late = held.take_if(|_| passed > behind);
        [datagram].into_iter().chain(late).collect()
    }));
    pair
}

#[test]
fn a_packet_that_overtakes_the_answer_is_kept_and_acknowledged() {
    for profile in PROFILES {
        for behind in [0, 1] {
            let printed = pattern(200, 1);
            let mut pair = overtaken(profile, behind, &printed);
            pair.connect().unwrap_or_else(|failure| panic!("{profile:?}: {failure:?}"));
            pair.run_until(secs(20), |pair| pair.received.len() >= 200);
            pair.run_for(secs(5));
            let what = format!("{profile:?} behind {behind}");
            assert_same(1, &what, &pair.received, &printed);
            assert_eq!(pair.bmc.counters().sol_retransmits, 0, "{what}");
            assert_eq!(pair.session.counters().sol_duplicates, 0, "{what}");
            let events = pair.sol_events();
            assert!(matches!(events[..], [SolEvent::Activated { .. }]), "{what}: {events:?}");
        }
    }
}

/// The answer never comes: the second Activate Payload is refused, and SOL is ours all the same.
#[test]
fn data_before_a_lost_answer_is_kept() {
    for profile in PROFILES {
        let printed = pattern(100, 2);
        let mut pair = Setup::new(profile, 2).start();
        pair.log_in().unwrap();
        pair.printing.extend(&printed);
        let mut lost = false;
        pair.tap = Some(Box::new(move |way, datagram| {
            if way == Way::ToConsole && !std::mem::replace(&mut lost, true) {
                return Vec::new();
            }
            vec![datagram]
        }));
        pair.connect().unwrap_or_else(|failure| panic!("{profile:?}: {failure:?}"));
        pair.run_until(secs(30), |pair| pair.received.len() >= 100);
        pair.run_for(secs(10));
        // This one gives up after 3 times 50 ms, and says so.
        if profile == Profile::GoIpmi {
            continue;
        }
        assert_same(2, &format!("{profile:?}"), &pair.received, &printed);
    }
}

#[test]
fn the_first_bytes_survive_a_bad_line() {
    for profile in [Profile::Spec, Profile::OpenBmc, Profile::Pyghmi] {
        for seed in 0..200 {
            let printed = pattern(60, seed);
            let mut setup = Setup::new(profile, seed);
            setup.config.timing.login_attempts = 50;
            setup.faults = Faults {
                loss: 0.1,
                duplicate: 0.1,
                reorder: 0.3,
                delay: millis(4)..millis(6),
                reorder_delay: millis(1)..millis(5),
                ..Faults::default()
            };
            let mut pair = setup.start();
            pair.printing.extend(&printed);
            pair.connect().unwrap_or_else(|failure| panic!("{profile:?} {seed}: {failure:?}"));
            pair.run_until(secs(60), |pair| pair.received.len() >= 60);
            pair.run_for(secs(5));
            assert_same(seed, &format!("{profile:?}"), &pair.received, &printed);
        }
    }
}

/// Typed as soon as the session takes it, while early data is still on its way out.
#[test]
fn input_at_once_does_not_disturb_early_output() {
    for profile in PROFILES {
        let printed = pattern(200, 3);
        let mut pair = overtaken(profile, 1, &printed);
        pair.typing.extend(pattern(300, 4));
        pair.connect().unwrap();
        pair.run_until(secs(60), |pair| {
            pair.received.len() >= 200 && pair.host_received.len() >= 300
        });
        assert_same(3, &format!("{profile:?} printed"), &pair.received, &printed);
        assert_same(3, &format!("{profile:?} typed"), &pair.host_received, &pattern(300, 4));
    }
}
