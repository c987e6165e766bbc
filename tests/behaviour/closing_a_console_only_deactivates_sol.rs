//! P9: closing a console deactivates SOL; the session under it, and its commands, live on. Closing
//! the session closes it once, and in bounded time.

use bmclink::session::{Cause, Event, Failure, SolEvent, Stage};
use bmclink::sim::{Misbehaviour, Profile};

use crate::pair::{PROFILES, Pair, Setup, bmc_address, millis, pattern, request, secs};

const APP: u8 = 0x06;
const GET_DEVICE_ID: u8 = 0x01;
const CHASSIS: u8 = 0x00;

fn connected(profile: Profile, seed: u64) -> Pair {
    let mut pair = Setup::new(profile, seed).start();
    pair.connect().unwrap_or_else(|failure| panic!("{profile:?}: {failure:?}"));
    pair
}

fn ended(pair: &Pair) -> Vec<Failure> {
    let ended = |event: SolEvent| match event {
        SolEvent::Ended(failure) => Some(failure),
        _ => None,
    };
    pair.sol_events().into_iter().filter_map(ended).collect()
}

#[test]
fn the_session_and_its_commands_live_on() {
    for profile in PROFILES {
        let mut pair = connected(profile, 1);
        let logins = pair.bmc.counters().open_session;
        pair.bmc.command_delay(APP, GET_DEVICE_ID, millis(800));
        pair.session.submit(request(1, APP, GET_DEVICE_ID, &[]));
        pair.run_for(millis(100));
        pair.session.sol_close();
        pair.session.submit(request(2, CHASSIS, 0x01, &[]));
        pair.run_for(secs(5));
        assert_eq!(ended(&pair), [Failure::new(Cause::Closed, Stage::Sol)], "{profile:?}");
        for token in [1, 2] {
            let reply = pair.reply(token).expect("an end").expect("an answer");
            assert_eq!(reply.completion_code.0, 0, "{profile:?}");
        }
        pair.bmc.command_delay(APP, GET_DEVICE_ID, millis(0));
        assert!(pair.command(3, APP, GET_DEVICE_ID, &[]).is_ok());
        let counters = pair.bmc.counters();
        assert_eq!(counters.deactivate_payload, 1, "{profile:?}");
        assert_eq!(counters.sessions_closed, 0, "{profile:?}");
        assert_eq!(counters.open_session, logins, "{profile:?}: another login");
        assert_eq!(pair.session.counters().request_retransmits, 0, "{profile:?}");
        assert!(pair.session.is_active() && pair.bmc.sessions() == 1);
    }
}

#[test]
fn a_console_can_be_opened_again_in_the_same_session() {
    for profile in PROFILES {
        let mut pair = connected(profile, 2);
        for round in 0..20 {
            pair.session.sol_close();
            assert!(!pair.session.sol_open(pair.now, Default::default()), "one at a time");
            pair.run_until(secs(5), |pair| ended(pair).len() > round);
            pair.connect().unwrap_or_else(|failure| panic!("{profile:?} {round}: {failure:?}"));
            pair.host_echoes = true;
            let line = pattern(50, round as u64);
            pair.received.clear();
            pair.typing.extend(&line);
            pair.run_until(secs(20), |pair| pair.received.len() >= 50);
            assert_eq!(pair.received, line, "{profile:?} round {round}");
        }
        assert_eq!(pair.bmc.counters().sessions_opened, 1, "{profile:?}");
        assert_eq!(pair.bmc.counters().deactivate_payload, 20, "{profile:?}");
    }
}

#[test]
fn closing_the_session_closes_it_once() {
    for profile in PROFILES {
        for console in [false, true] {
            let mut pair = Setup::new(profile, 3).start();
            pair.log_in().unwrap();
            if console {
                pair.connect().unwrap();
            }
            let before = pair.bmc.counters().commands;
            pair.session.close(pair.now);
            let begun = pair.elapsed();
            pair.run_until(secs(10), |pair| pair.session.is_closed());
            assert!(pair.elapsed() - begun < millis(100), "{profile:?}");
            pair.run_for(secs(5));
            let counters = *pair.bmc.counters();
            assert_eq!(counters.sessions_closed, 1, "{profile:?}");
            assert_eq!(counters.deactivate_payload, u64::from(console), "{profile:?}");
            // Nothing but these two.
            assert_eq!(counters.commands - before, 1 + u64::from(console), "{profile:?}");
            assert_eq!(pair.closed(), Some(Failure::new(Cause::Closed, Stage::Active)));
            assert!(matches!(pair.events.last(), Some((_, Event::Closed(_)))), "{profile:?}");
            assert_eq!(ended(&pair).len(), usize::from(console), "{profile:?}");
            pair.session.close(pair.now);
            pair.run_for(secs(5));
            assert_eq!(pair.bmc.counters().commands, counters.commands, "closed twice");
        }
    }
}

#[test]
fn closing_while_the_bmc_is_gone_is_bounded() {
    for profile in PROFILES {
        for (console, limit) in [(false, 1), (true, 2)] {
            let mut pair = Setup::new(profile, 4).start();
            pair.log_in().unwrap();
            if console {
                pair.connect().unwrap();
            }
            pair.net.set_reachable(bmc_address(), false);
            let sent = pair.session.counters().sent;
            pair.session.submit(request(1, APP, GET_DEVICE_ID, &[]));
            pair.session.submit(request(2, CHASSIS, 0x02, &[3]));
            pair.settle();
            let begun = pair.elapsed();
            pair.session.close(pair.now);
            pair.run_until(secs(60), |pair| pair.session.is_closed());
            assert!(pair.elapsed() - begun <= secs(limit), "{profile:?} {console}");
            pair.settle();
            assert!(pair.session.counters().sent - sent <= 6, "{profile:?}");
            for token in [1, 2] {
                assert_eq!(pair.reply(token).unwrap().unwrap_err().cause, Cause::Closed);
            }
            assert_eq!(pair.settle(), None);
        }
    }
}

/// One that was sent and acts may have acted.
#[test]
fn a_sent_command_that_acts_has_an_unknown_outcome() {
    let mut pair = connected(Profile::Spec, 5);
    pair.net.set_reachable(bmc_address(), false);
    pair.session.submit(request(1, CHASSIS, 0x02, &[3]));
    pair.settle();
    pair.session.close(pair.now);
    pair.run_for(secs(5));
    assert_eq!(pair.reply(1).unwrap().unwrap_err().cause, Cause::OutcomeUnknown);
}

#[test]
fn a_bmc_that_answers_no_close_or_deactivate_delays_it_by_a_second_each() {
    for knob in ["deactivate_no_reply", "close_no_reply"] {
        let mut setup = Setup::new(Profile::Spec, 6);
        let mut quirks = Misbehaviour::default();
        assert!(quirks.enable(knob));
        setup.bmc.quirks = quirks;
        let mut pair = setup.start();
        pair.connect().unwrap();
        let begun = pair.elapsed();
        pair.session.close(pair.now);
        pair.run_until(secs(60), |pair| pair.session.is_closed());
        assert!(pair.elapsed() - begun <= millis(1100), "{knob}: {:?}", pair.elapsed() - begun);
        pair.settle();
        assert_eq!(pair.bmc.counters().sessions_closed, 1, "{knob}");
        assert_eq!(pair.bmc.sessions(), 0, "{knob}");
    }
}

#[test]
fn a_flood_does_not_delay_closing() {
    for profile in PROFILES {
        let mut pair = connected(profile, 7);
        pair.printing.extend(pattern(500_000, 7));
        pair.run_for(millis(300));
        assert!(!pair.received.is_empty(), "{profile:?}");
        let begun = pair.elapsed();
        pair.session.sol_close();
        pair.run_until(secs(10), |pair| !ended(pair).is_empty());
        assert!(pair.elapsed() - begun < secs(2), "{profile:?}");
        assert!(pair.command(1, APP, GET_DEVICE_ID, &[]).is_ok(), "{profile:?}");
    }
}

/// At any moment of the activation, and with input under way.
#[test]
fn closing_works_at_any_moment() {
    for profile in PROFILES {
        for steps in 0..25 {
            let mut pair = Setup::new(profile, 8).start();
            pair.log_in().unwrap();
            pair.typing.extend(pattern(200, 8));
            pair.printing.extend(pattern(200, 9));
            assert!(pair.session.sol_open(pair.now, Default::default()));
            for _ in 0..steps {
                pair.step(pair.now + secs(1));
            }
            let begun = pair.elapsed();
            pair.session.sol_close();
            pair.run_until(secs(10), |pair| !ended(pair).is_empty());
            assert!(pair.elapsed() - begun < millis(1100), "{profile:?} after {steps}");
            assert_eq!(ended(&pair).len(), 1, "{profile:?} after {steps}");
            assert_eq!(pair.bmc.sol_owner(), None, "{profile:?} after {steps}");
            assert!(pair.command(1, APP, GET_DEVICE_ID, &[]).is_ok(), "{profile:?}");
            pair.session.close(pair.now);
            pair.run_for(secs(3));
            assert_eq!(pair.bmc.counters().sessions_closed, 1, "{profile:?} after {steps}");
        }
    }
}

#[test]
fn commands_that_are_forgotten_leave_the_console_alone() {
    for profile in PROFILES {
        let mut pair = connected(profile, 10);
        pair.host_echoes = true;
        pair.bmc.command_delay(APP, GET_DEVICE_ID, secs(2));
        for token in 0..10 {
            pair.session.submit(request(token, APP, GET_DEVICE_ID, &[]));
        }
        pair.run_for(millis(50));
        (0..10).for_each(|token| pair.session.cancel(token));
        assert_eq!(pair.session.requests_len(), 0);
        pair.typing.extend(b"still here");
        pair.run_for(secs(10));
        assert_eq!(pair.received, b"still here", "{profile:?}");
        assert!((0..10).all(|token| pair.reply(token).is_none()));
    }
}

#[test]
fn what_is_asked_of_a_closed_session_fails_at_once() {
    let mut pair = connected(Profile::Spec, 11);
    pair.session.close(pair.now);
    pair.session.submit(request(1, APP, GET_DEVICE_ID, &[]));
    pair.settle();
    assert_eq!(pair.reply(1).unwrap().unwrap_err().cause, Cause::Closed);
    pair.run_for(secs(3));
    pair.session.submit(request(2, APP, GET_DEVICE_ID, &[]));
    assert!(!pair.session.sol_open(pair.now, Default::default()));
    assert_eq!(pair.session.sol_write(pair.now, b"late"), 0);
    assert!(!pair.session.sol_break(1));
    pair.session.sol_close();
    pair.session.handle_timeout(pair.now);
    pair.session.handle_hint(pair.now);
    pair.settle();
    assert_eq!(pair.reply(2).unwrap().unwrap_err().cause, Cause::Closed);
}
