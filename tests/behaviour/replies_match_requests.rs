//! P17: late, duplicate and foreign replies are never taken for another request's.

use std::time::Duration;

use bmclink::session::{Cause, DropReason, Event};
use bmclink::sim::{BmcOptions, Profile, User};

use crate::pair::{PROFILES, Pair, Setup, millis, pattern, request, secs};
use crate::seeds::for_seeds;

const CHASSIS: u8 = 0x00;
const APP: u8 = 0x06;
/// Get System Boot Options (§28.13): its answer names the parameter that was asked for.
const BOOT_OPTIONS: u8 = 0x09;
const BOOT_PARAMETERS: u8 = 8;
/// Get User Name (§22.29), where there are as many different answers as users.
const USER_NAME: u8 = 0x46;

fn ask(pair: &mut Pair, token: u64, parameter: u8) {
    pair.session.submit(request(token, CHASSIS, BOOT_OPTIONS, &[parameter, 0, 0]));
}

/// Every request that was answered got an answer to what it asked.
fn assert_matched(pair: &Pair, asked: &[u8]) {
    for (token, parameter) in asked.iter().enumerate() {
        let Some(reply) = pair.reply(token as u64) else {
            panic!(
                "request {token} has no end: {:?} {}",
                pair.closed(),
                pair.session.requests_len()
            );
        };
        match reply {
            Ok(reply) => assert_eq!(reply.data.get(1), Some(parameter), "request {token}"),
            Err(failure) => assert_eq!(failure.cause, Cause::TimedOut, "request {token}"),
        }
    }
    let replies = |(_, event): &&(Duration, Event)| matches!(event, Event::Reply { .. });
    assert_eq!(pair.events.iter().filter(replies).count(), asked.len(), "one event each");
}

/// D6.
#[test]
fn console_lines_do_not_make_a_slow_command_be_sent_again() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 1).start();
        pair.connect().unwrap();
        pair.host_echoes = true;
        pair.bmc.command_delay(CHASSIS, 0x01, millis(800));
        let before = pair.bmc.counters().retransmitted_requests;
        pair.session.submit(request(1, CHASSIS, 0x01, &[]));
        for _ in 0..4 {
            pair.typing.extend(b"a line of text\r");
            pair.run_for(millis(150));
        }
        pair.run_for(millis(150));
        assert_eq!(pair.received.len(), 4 * 15, "{profile:?}: echoed meanwhile");
        assert!(pair.reply(1).is_none());
        pair.run_until(secs(10), |pair| pair.reply(1).is_some());
        assert!(pair.reply(1).unwrap().is_ok(), "{profile:?}");
        assert_eq!(pair.session.counters().request_retransmits, 0, "{profile:?}");
        assert_eq!(pair.bmc.counters().retransmitted_requests, before, "{profile:?}");
        assert!(pair.sol_ended_since(0).is_none());
    }
}

/// D7.
#[test]
fn the_second_answer_to_a_repeated_command_is_not_taken_for_the_next() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 1).start();
        pair.log_in().unwrap();
        pair.bmc.command_delay(CHASSIS, BOOT_OPTIONS, millis(1500));
        ask(&mut pair, 0, 1);
        pair.run_until(secs(10), |pair| pair.reply(0).is_some());
        assert_eq!(pair.session.counters().request_retransmits, 1, "{profile:?}");
        let unmatched = pair.session.counters().dropped[DropReason::Unmatched as usize];
        // The second answer comes a second later, in the middle of the next request.
        ask(&mut pair, 1, 2);
        pair.run_until(millis(1200), |pair| pair.reply(1).is_some());
        assert!(pair.reply(1).is_none(), "{profile:?}");
        let dropped = pair.session.counters().dropped[DropReason::Unmatched as usize];
        assert_eq!(dropped, unmatched + 1, "{profile:?}");
        pair.run_until(secs(10), |pair| pair.reply(1).is_some());
        assert_matched(&pair, &[1, 2]);
    }
}

/// Requests whose answers take nothing, or seconds, over a bad line.
fn storm(profile: Profile, seed: u64, window: usize) {
    let mut setup = Setup::new(profile, seed);
    setup.config.request_window = window;
    setup.bmc.quirks.duplicate_replies = seed.is_multiple_of(3);
    let mut pair = setup.start();
    pair.log_in().unwrap();
    let mut faults = Setup::new(profile, seed).bad_line(0.1).faults;
    faults.reorder = 0.2;
    if profile != Profile::Spec {
        // They execute a datagram twice that arrives twice, and here the second answer could
        // take as long as the slowest request: nobody can know that it is still to come.
        faults.duplicate = 0.0;
    }
    faults.reorder_delay = millis(1)..millis(20);
    pair.net.set_faults(faults);
    let dice = pattern(400, seed);
    let asked: Vec<u8> = dice[..200].iter().map(|byte| byte % BOOT_PARAMETERS).collect();
    for (token, parameter) in asked.iter().enumerate() {
        let slow = dice[200 + token].is_multiple_of(16);
        let delay = if slow { u64::from(dice[200 + token]) * 15 } else { 0 };
        pair.bmc.command_delay(CHASSIS, BOOT_OPTIONS, millis(delay));
        ask(&mut pair, token as u64, *parameter);
        let wanted = token.saturating_sub(window);
        pair.run_until(secs(100), |pair| {
            pair.events.len() > wanted && pair.session.requests_len() < window
        });
    }
    let last = asked.len() as u64 - 1;
    pair.run_until(secs(100), |pair| pair.reply(last).is_some());
    pair.run_for(secs(100));
    assert_matched(&pair, &asked);
}

#[test]
fn answers_that_come_late_twice_and_out_of_order_find_their_request() {
    for profile in PROFILES {
        for window in [1, 4] {
            for_seeds((profile, window), 100, |seed| storm(profile, seed, window));
        }
    }
}

#[test]
fn a_given_up_request_is_not_answered_by_the_next_ones_reply() {
    for profile in PROFILES {
        let mut setup = Setup::new(profile, 1);
        setup.config.timing.request_transmissions = 2;
        let mut pair = setup.start();
        pair.log_in().unwrap();
        // Each answer comes when its request was just given up.
        pair.bmc.command_delay(CHASSIS, BOOT_OPTIONS, millis(3100));
        let asked: Vec<u8> = (0..60).map(|token| token % BOOT_PARAMETERS).collect();
        for (token, parameter) in asked.iter().enumerate() {
            ask(&mut pair, token as u64, *parameter);
        }
        pair.run_until(secs(600), |pair| pair.reply(59).is_some());
        assert_matched(&pair, &asked);
        assert!((0..60).all(|token| pair.reply(token).unwrap().is_err()), "{profile:?}");
    }
}

#[test]
fn a_number_that_may_still_be_answered_is_not_used_again() {
    for step in 0..200 {
        let mut setup = Setup::new(Profile::Spec, step);
        // So that some multiple of 64 requests is answered a second later.
        let delay = Duration::from_micros(3700 + step * 2);
        setup.faults.delay = delay..delay;
        let mut pair = setup.start();
        pair.log_in().unwrap();
        // Answered after three copies: two more answers are to come, seconds later.
        pair.bmc.command_delay(CHASSIS, BOOT_OPTIONS, millis(3200));
        ask(&mut pair, 0, 7);
        pair.run_until(secs(10), |pair| pair.reply(0).is_some());
        pair.bmc.command_delay(CHASSIS, BOOT_OPTIONS, Duration::ZERO);
        // There are 64 numbers, and these are quick.
        let asked: Vec<u8> =
            std::iter::once(7).chain((1..700_u16).map(|token| (token % 5) as u8)).collect();
        for (token, parameter) in asked.iter().enumerate().skip(1) {
            ask(&mut pair, token as u64, *parameter);
        }
        pair.run_until(secs(60), |pair| pair.session.requests_len() == 0);
        assert_matched(&pair, &asked);
    }
}

#[test]
fn a_number_in_flight_is_not_used_again() {
    let mut setup = Setup::new(Profile::Spec, 1);
    setup.config.request_window = 4;
    let mut pair = setup.start();
    pair.log_in().unwrap();
    pair.bmc.command_delay(CHASSIS, BOOT_OPTIONS, millis(900));
    ask(&mut pair, 0, 7);
    pair.run_for(millis(100));
    pair.bmc.command_delay(CHASSIS, BOOT_OPTIONS, Duration::ZERO);
    let asked: Vec<u8> = std::iter::once(7).chain((1..200_u16).map(|n| (n % 5) as u8)).collect();
    for (token, parameter) in asked.iter().enumerate().skip(1) {
        ask(&mut pair, token as u64, *parameter);
    }
    pair.run_until(secs(60), |pair| pair.session.requests_len() == 0);
    assert_matched(&pair, &asked);
}

#[test]
fn a_cancelled_request_answers_nobody() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 1).start();
        pair.log_in().unwrap();
        pair.bmc.command_delay(CHASSIS, BOOT_OPTIONS, millis(500));
        ask(&mut pair, 7, 3);
        pair.run_for(millis(100));
        pair.session.cancel(7);
        ask(&mut pair, 8, 4);
        pair.run_for(secs(10));
        assert!(pair.reply(7).is_none(), "{profile:?}");
        assert_eq!(pair.reply(8).unwrap().unwrap().data[1], 4, "{profile:?}");
    }
}

#[test]
fn answers_of_another_bmc_or_session_are_not_ours() {
    let users = (0..40_u8).map(|n| User::new(&[b'u', b'0' + n], b"password", 4));
    let admin = User::new(b"admin", b"password", 4);
    for profile in PROFILES.into_iter().filter(|profile| *profile != Profile::Pyghmi) {
        let mut setup = Setup::new(profile, 1);
        setup.bmc = BmcOptions {
            users: users.clone().chain([admin.clone()]).collect(),
            ..BmcOptions { profile, ..BmcOptions::default() }
        };
        let mut pair = setup.start();
        pair.log_in().unwrap();
        // What the last session was answered arrives again in the middle of this one.
        pair.recorded = Some(Vec::new());
        for id in 1..=20 {
            pair.command(u64::from(id), APP, USER_NAME, &[id]).unwrap();
        }
        let old = pair.recorded.take().unwrap();
        pair.events.clear();
        let learned = pair.session.learned();
        pair.new_session(learned);
        pair.log_in().unwrap();
        for id in 21..=40_u8 {
            pair.session.submit(request(u64::from(id), APP, USER_NAME, &[id]));
            pair.settle();
            for datagram in &old {
                let dropped = pair.session.handle_datagram(pair.now, &mut datagram.clone());
                assert_eq!(dropped, Err(DropReason::ForeignSession), "{profile:?}");
            }
            pair.run_until(secs(10), |pair| pair.reply(u64::from(id)).is_some());
            let reply = pair.reply(u64::from(id)).unwrap().unwrap();
            assert_eq!(reply.data[..2], [b'u', b'0' + id - 1], "{profile:?}");
        }
    }
}
