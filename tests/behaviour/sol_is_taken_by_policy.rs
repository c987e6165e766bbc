//! Who owns SOL: what a new activation does about an old one, what becomes of ours, and what
//! the first packets to a BMC that remembers another console are worth.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bmclink::session::{Cause, Learned, SolConfig, SolEvent, TakeOver};
use bmclink::sim::Profile;

use crate::pair::{PROFILES, Pair, Setup, cause, is_sol, millis, secs};

const POLICIES: [TakeOver; 4] =
    [TakeOver::Never, TakeOver::Stale, TakeOver::Once, TakeOver::Always];

fn by(take_over: TakeOver) -> SolConfig {
    SolConfig { take_over, ..SolConfig::default() }
}

fn assert_works(pair: &mut Pair) {
    let (typed, printed) = (pair.host_received.len() + 6, pair.received.len() + 6);
    pair.typing.extend(b"typed\r");
    pair.bmc.serial_output(pair.now, b"output");
    pair.run_for(secs(10));
    assert_eq!(pair.host_received.len(), typed, "seed {}", pair.seed);
    assert_eq!(&pair.host_received[typed - 6..], b"typed\r");
    assert_eq!(pair.received.len(), printed, "seed {}", pair.seed);
}

/// A session with SOL that vanished without a word, and another one to the same BMC.
fn behind_a_crash(profile: Profile, learned: bool) -> Pair {
    let mut pair = Setup::new(profile, 1).start();
    pair.connect().unwrap();
    assert_works(&mut pair);
    let learned = if learned { pair.session.learned() } else { Learned::default() };
    pair.events.clear();
    pair.new_session(learned);
    pair
}

#[test]
fn sol_of_a_session_that_lives_is_taken_only_when_asked_to() {
    for profile in PROFILES {
        for learned in [false, true] {
            for policy in POLICIES {
                let mut pair = behind_a_crash(profile, learned);
                let result = cause(pair.connect_with(by(policy)));
                let takes = matches!(policy, TakeOver::Once | TakeOver::Always);
                let expected = (!takes).then_some(Cause::SolInUse);
                assert_eq!(result, expected, "{profile:?} {policy:?} {learned}");
                if takes {
                    assert_works(&mut pair);
                }
            }
        }
    }
}

#[test]
fn sol_of_a_session_that_is_gone_is_taken_unless_forbidden() {
    for profile in PROFILES {
        for policy in POLICIES {
            let mut pair = behind_a_crash(profile, false);
            pair.drops = Some(Box::new(|_, _| true));
            pair.run_for(secs(90));
            pair.drops = None;
            pair.events.clear();
            pair.new_session(Learned::default());
            assert_eq!(pair.bmc.sessions(), 0, "{profile:?}");
            let left = pair.bmc.sol_owner().is_some();
            assert_eq!(left, matches!(profile, Profile::OpenBmc | Profile::Pyghmi));
            let result = cause(pair.connect_with(by(policy)));
            // One stack does not say who owns SOL: nobody can tell whether that is stale.
            let unknown = profile == Profile::Pyghmi && policy == TakeOver::Stale;
            let refused = left && (policy == TakeOver::Never || unknown);
            assert_eq!(result, refused.then_some(Cause::SolInUse), "{profile:?} {policy:?}");
            if !refused {
                assert_works(&mut pair);
            }
        }
    }
}

/// Counts SOL packets and drops, from the moment it is set, the answers of that many commands.
fn drop_answers(pair: &mut Pair, mut answers: u32) -> Rc<Cell<u32>> {
    let dropped = Rc::new(Cell::new(0));
    let count = dropped.clone();
    pair.drops = Some(Box::new(move |towards_bmc, datagram| {
        let drop = !towards_bmc && !is_sol(datagram) && answers > 0;
        if drop {
            answers -= 1;
            count.set(count.get() + 1);
        }
        drop
    }));
    dropped
}

#[test]
fn a_lost_answer_to_the_activation_is_not_sol_in_use() {
    for profile in PROFILES {
        for policy in POLICIES {
            for answers in 1..=3 {
                let mut pair = Setup::new(profile, 1).start();
                pair.log_in().unwrap();
                let dropped = drop_answers(&mut pair, answers);
                let result = cause(pair.connect_with(by(policy)));
                assert_eq!(result, None, "{profile:?} {policy:?}, {answers} lost");
                assert_eq!(dropped.get(), answers);
                assert_works(&mut pair);
            }
        }
    }
}

#[test]
fn output_before_the_answer_to_the_activation_is_kept() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 1).start();
        pair.log_in().unwrap();
        pair.bmc.command_delay(0x06, 0x48, millis(700));
        assert!(pair.session.sol_open(pair.now, SolConfig::default()));
        pair.run_until(secs(5), |pair| pair.bmc.sol_owner().is_some());
        pair.bmc.serial_output(pair.now, b"early");
        pair.run_until(secs(5), |pair| pair.session.sol_is_active());
        pair.bmc.serial_output(pair.now, b" and late");
        pair.run_for(secs(10));
        assert_eq!(pair.received, b"early and late", "{profile:?}");
    }
}

#[test]
fn a_stolen_console_is_noticed_and_named() {
    for profile in PROFILES {
        for silent in [false, true] {
            let mut setup = Setup::new(profile, 1);
            setup.bmc.quirks.silent_steal = silent;
            let limit = setup.config.timing.keepalive + setup.config.timing.keepalive_jitter;
            let mut pair = setup.start();
            pair.connect().unwrap();
            assert_works(&mut pair);
            pair.bmc.steal_sol(pair.now);
            pair.settle();
            let first = pair.events.len();
            let noticed =
                pair.run_until(limit + secs(5), |pair| pair.sol_ended_since(first).is_some());
            if profile == Profile::Pyghmi {
                // It never says who owns SOL. Input shows that nobody takes it.
                assert!(!noticed);
                pair.typing.extend(b"hello?");
                pair.run_until(secs(120), |pair| pair.sol_ended_since(first).is_some());
            }
            let ended = pair.sol_ended_since(first).map(|failure| failure.cause);
            assert!(
                matches!(ended, Some(Cause::SolStolen | Cause::SolDeactivated | Cause::SolInUse)),
                "{profile:?} {silent}: {ended:?}"
            );
            assert!(pair.session.is_active(), "{profile:?}: the session lives on");
            let deactivated = pair.bmc.counters().deactivate_payload;
            pair.run_for(secs(60));
            assert_eq!(pair.bmc.counters().deactivate_payload, deactivated, "nor fights back");
        }
    }
}

#[test]
fn taking_once_does_not_fight_for_ever() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 1).start();
        pair.connect_with(by(TakeOver::Once)).unwrap();
        pair.bmc.steal_sol(pair.now);
        pair.typing.extend(b"x");
        pair.run_for(secs(200));
        assert!(!pair.session.sol_is_active(), "{profile:?}");
        let took = pair.bmc.counters().activate_payload;
        pair.run_for(secs(600));
        assert_eq!(pair.bmc.counters().activate_payload, took, "{profile:?}");
    }
}

/// `ipmi_sim` keeps its numbers when a console leaves, and takes the first packet of the next
/// one for a repeat if its number is the same.
#[test]
fn the_first_bytes_after_another_console_are_exact() {
    for profile in PROFILES {
        for packets in 1..=15 {
            for len in 1..=12 {
                let mut pair = Setup::new(profile, 1).start();
                pair.connect().unwrap();
                for _ in 0..packets {
                    pair.typing.extend(std::iter::repeat_n(b'o', len));
                    pair.run_for(millis(100));
                }
                pair.session.close(pair.now);
                pair.run_until(secs(10), |pair| pair.session.is_closed());
                let before = pair.host_received.len();
                pair.events.clear();
                let learned = pair.session.learned();
                pair.new_session(if len % 2 == 0 { learned } else { Learned::default() });
                pair.connect_with(by(TakeOver::Always)).unwrap();
                for round in 1..=3 {
                    pair.typing.extend(std::iter::repeat_n(b'n', len));
                    pair.run_for(secs(5));
                    let got = &pair.host_received[before..];
                    assert_eq!(got.len(), len * round, "{profile:?} {packets} x {len}");
                    assert!(got.iter().all(|byte| *byte == b'n'));
                }
                let ended = |event: &SolEvent| matches!(event, SolEvent::Ended(_));
                assert!(!pair.marks.last().is_some_and(|(_, event)| ended(event)));
            }
        }
    }
}

#[test]
fn a_late_notice_of_an_earlier_end_does_not_end_this_activation() {
    let mut pair = Setup::new(Profile::OpenBmc, 1).start();
    pair.connect().unwrap();
    let held = Rc::new(RefCell::new(None));
    let slot = held.clone();
    pair.drops = Some(Box::new(move |towards_bmc, datagram| {
        let hold = !towards_bmc && !is_sol(datagram) && slot.borrow().is_none();
        if hold {
            *slot.borrow_mut() = Some(datagram.to_vec());
        }
        hold
    }));
    pair.session.sol_close();
    pair.run_for(secs(2));
    pair.drops = None;
    pair.connect().unwrap();
    let mut notice = held.take().expect("the BMC told before it answered");
    assert_eq!(pair.session.handle_datagram(pair.now, &mut notice), Ok(()));
    pair.run_for(secs(5));
    assert!(pair.session.sol_is_active());
    assert_works(&mut pair);
}
