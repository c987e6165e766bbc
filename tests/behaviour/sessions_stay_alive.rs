//! An idle session lives, a dead one is noticed in time, and every command ends with what is known.

use std::time::Duration;

use bmclink::crypto::Secret;
use bmclink::session::{Cause, Event, Failure, Repeat, SolConfig, Stage};
use bmclink::sim::Profile;
use bmclink::wire::ipmi15;

use crate::pair::{PROFILES, Pair, Setup, Way, bmc_address, millis, request, secs};
use crate::scripted::losing;

const APP: u8 = 0x06;
const GET_DEVICE_ID: u8 = 0x01;
const CHASSIS: u8 = 0x00;
const HOUR: u64 = 3600;

fn logged_in(profile: Profile, seed: u64) -> Pair {
    let mut pair = Setup::new(profile, seed).start();
    pair.log_in().unwrap_or_else(|failure| panic!("{profile:?}: {failure:?}"));
    pair
}

fn idle_for_10_hours(profile: Profile, seed: u64, loss: f64, console: bool) {
    let mut setup = Setup::new(profile, seed);
    setup.config.timing.login_attempts = 50;
    setup.faults.loss = loss;
    let mut pair = setup.start();
    let what = format!("{profile:?} seed {seed} loss {loss} console {console}");
    match console {
        true => pair.connect().unwrap_or_else(|failure| panic!("{what}: {failure:?}")),
        false => pair.log_in().unwrap_or_else(|failure| panic!("{what}: {failure:?}")),
    }
    let sent = pair.session.counters().sent;
    pair.run_until(secs(10 * HOUR), |pair| pair.session.is_closed());
    assert!(pair.session.is_active(), "{what}: {:?} at {:?}", pair.closed(), pair.elapsed());
    assert_eq!(pair.bmc.sessions(), 1, "{what}");
    assert_eq!(pair.session.sol_is_active(), console, "{what}: {:?}", pair.sol_events());
    // One command each 20 s, and what is lost of it.
    let packets = pair.session.counters().sent - sent;
    assert!(packets < 10 * HOUR / 10, "{what}: {packets}");
}

#[test]
fn an_idle_session_lives_for_ten_hours() {
    for profile in PROFILES {
        for console in [false, true] {
            idle_for_10_hours(profile, 1, 0.0, console);
        }
    }
}

/// One BMC stack ends a session after 30 s without a packet.
#[test]
fn an_idle_session_lives_for_ten_hours_on_a_lossy_line() {
    for profile in PROFILES {
        for seed in 0..10 {
            idle_for_10_hours(profile, seed, 0.2, seed % 2 == 0);
        }
    }
}

#[test]
fn keepalives_do_not_beat_in_step() {
    let mut moments: Vec<Duration> = Vec::new();
    for seed in 0..100 {
        let mut pair = logged_in(Profile::Spec, seed);
        // All log in at the same time; look at the tenth beat.
        let (start, sent) = (pair.elapsed(), pair.session.counters().sent);
        pair.run_until(secs(HOUR), |pair| pair.session.counters().sent >= sent + 10);
        moments.push(pair.elapsed() - start);
    }
    moments.sort();
    let spread = moments[95] - moments[5];
    assert!(spread > secs(4), "{spread:?}");
    let near = |from: &Duration| {
        moments.iter().filter(|at| (*from..*from + millis(100)).contains(*at)).count()
    };
    let busiest = moments.iter().map(near).max();
    assert!(busiest < Some(15), "{busiest:?} of 100 within 100 ms");
}

/// The commands that are under way when the BMC forgets us.
fn submit_all_kinds(pair: &mut Pair) {
    pair.session.submit(request(1, APP, GET_DEVICE_ID, &[]));
    pair.session.submit(request(2, CHASSIS, 0x02, &[3]));
    pair.session.submit(request(3, CHASSIS, 0x01, &[]));
}

#[test]
fn a_reset_is_noticed_within_75_seconds() {
    for profile in PROFILES {
        for seed in 0..20 {
            let mut pair = logged_in(profile, seed);
            pair.run_for(secs(seed * 3));
            pair.bmc.reset(pair.now);
            let begun = pair.elapsed();
            pair.run_until(secs(200), |pair| pair.session.is_closed());
            pair.settle();
            let took = pair.elapsed() - begun;
            assert!((secs(45)..secs(75)).contains(&took), "{profile:?} {seed}: {took:?}");
            assert_eq!(pair.closed(), Some(Failure::new(Cause::Lost, Stage::Active)));
            assert!(pair.session.counters().sent < 40);
        }
    }
}

#[test]
fn a_reset_is_noticed_within_10_seconds_of_a_hint() {
    for profile in PROFILES {
        for console in [false, true] {
            let mut pair = logged_in(profile, 2);
            if console {
                pair.connect().unwrap();
            }
            pair.bmc.reset(pair.now);
            pair.session.handle_hint(pair.now);
            let begun = pair.elapsed();
            pair.run_until(secs(200), |pair| pair.session.is_closed());
            let took = pair.elapsed() - begun;
            assert!((secs(7)..=secs(10)).contains(&took), "{profile:?}: {took:?}");
        }
    }
}

/// A BMC that restarted answers session packets outside the session, in v1.5 form.
fn v15_answer() -> Vec<u8> {
    let mut out = Vec::new();
    let message = [0x81, 0x1c, 0x63, 0x20, 0x04, 0x01, 0xd4, 0x07];
    ipmi15::encode(&ipmi15::Header::SESSIONLESS, &message, &mut out);
    out
}

#[test]
fn an_answer_outside_the_session_is_a_hint() {
    let mut pair = logged_in(Profile::Spec, 3);
    pair.bmc.reset(pair.now);
    let _ = pair.session.handle_datagram(pair.now, &mut v15_answer());
    let begun = pair.elapsed();
    pair.run_until(secs(200), |pair| pair.session.is_closed());
    assert!(pair.elapsed() - begun <= secs(10));
}

/// Anybody can send a hint. Where the BMC lives it costs a command at most, now and then.
#[test]
fn false_hints_change_nothing_and_cause_no_flood() {
    let mut pair = logged_in(Profile::Spec, 4);
    let sent = pair.session.counters().sent;
    for _ in 0..10_000 {
        let _ = pair.session.handle_datagram(pair.now, &mut v15_answer());
        pair.session.handle_hint(pair.now);
        pair.run_for(millis(1));
    }
    let packets = pair.session.counters().sent - sent;
    assert!(packets <= 6, "{packets} packets in 10 s");
    assert!(pair.session.is_active());
    pair.run_for(secs(100));
    assert!(pair.session.is_active());
}

#[test]
fn commands_of_a_lost_session_say_what_is_known() {
    for hint in [false, true] {
        let mut setup = Setup::new(Profile::Spec, 5);
        setup.config.request_window = 2;
        // Long enough that it is the loss which ends them.
        setup.config.timing.request_transmissions = 50;
        let mut pair = setup.start();
        pair.log_in().unwrap();
        pair.net.set_reachable(bmc_address(), false);
        submit_all_kinds(&mut pair);
        if hint {
            pair.session.handle_hint(pair.now);
        }
        pair.run_until(secs(200), |pair| pair.session.is_closed());
        pair.settle();
        let cause = |token| pair.reply(token).expect("an end").unwrap_err().cause;
        assert_eq!((cause(1), cause(2), cause(3)), {
            (Cause::Lost, Cause::OutcomeUnknown, Cause::Lost)
        });
        assert!(matches!(pair.events.last(), Some((_, Event::Closed(_)))));
    }
}

#[test]
fn a_command_that_acts_is_sent_twice_at_most() {
    for (net_fn, cmd, data) in [
        (CHASSIS, 0x02, &[3][..]),
        (APP, 0x02, &[]),
        (APP, 0x47, &[2, 2]),
        (0x0a, 0x44, &[0; 16]),
        (0x0a, 0x12, &[0, 0, 0, 1]),
    ] {
        let mut pair = logged_in(Profile::Spec, 6);
        pair.net.set_reachable(bmc_address(), false);
        let sent = pair.session.counters().sent;
        pair.session.submit(request(1, net_fn, cmd, data));
        pair.run_until(secs(20), |pair| pair.reply(1).is_some());
        assert_eq!(pair.session.counters().sent - sent, 2, "{net_fn:02x} {cmd:02x}");
        assert_eq!(pair.reply(1).unwrap().unwrap_err().cause, Cause::OutcomeUnknown);
    }
}

#[test]
fn a_link_that_is_down_for_30_seconds_is_survived() {
    for profile in PROFILES {
        // This one forgets a session after 30 s.
        if profile == Profile::IpmiSim {
            continue;
        }
        for seed in 0..10 {
            let mut pair = logged_in(profile, seed);
            pair.connect().unwrap();
            pair.run_for(secs(seed * 5));
            pair.net.set_reachable(bmc_address(), false);
            pair.run_for(secs(30));
            pair.net.set_reachable(bmc_address(), true);
            pair.run_for(secs(20));
            assert!(pair.session.is_active(), "{profile:?} {seed}: {:?}", pair.closed());
            assert!(pair.command(1, APP, GET_DEVICE_ID, &[]).is_ok(), "{profile:?} {seed}");
            assert!(pair.session.sol_is_active(), "{profile:?} {seed}: {:?}", pair.sol_events());
        }
    }
}

#[test]
fn deadlines_pass_while_logging_in() {
    let mut pair = Setup::new(Profile::Spec, 7).start();
    pair.net.set_reachable(bmc_address(), false);
    let mut wanted = request(1, APP, GET_DEVICE_ID, &[]);
    wanted.deadline = Some(pair.now + millis(1500));
    pair.session.submit(wanted);
    pair.run_until(secs(5), |pair| pair.reply(1).is_some());
    assert_eq!(pair.elapsed(), millis(1500));
    let failure = pair.reply(1).unwrap().unwrap_err();
    assert_eq!(failure, Failure::new(Cause::TimedOut, Stage::Capabilities));
}

#[test]
fn deadlines_pass_in_the_queue_and_in_flight() {
    let mut pair = logged_in(Profile::Spec, 8);
    pair.bmc.command_delay(APP, GET_DEVICE_ID, secs(10));
    let begun = pair.now;
    for (token, wait) in [(1, 2500), (2, 700), (3, 2600)] {
        let mut wanted = request(token, APP, GET_DEVICE_ID, &[]);
        wanted.deadline = Some(begun + millis(wait));
        pair.session.submit(wanted);
    }
    let mut acts = request(4, CHASSIS, 0x02, &[3]);
    acts.deadline = Some(begun + millis(2700));
    pair.bmc.command_delay(CHASSIS, 0x02, secs(10));
    pair.session.submit(acts);
    pair.run_for(secs(5));
    let ended = |token| {
        pair.events.iter().find_map(|(at, event)| match event {
            Event::Reply { token: of, result } if *of == token => Some((*at, result.clone())),
            _ => None,
        })
    };
    for (token, wait, cause) in [
        (1, 2500, Cause::TimedOut),
        (2, 700, Cause::TimedOut),
        (3, 2600, Cause::TimedOut),
        (4, 2700, Cause::OutcomeUnknown),
    ] {
        let (at, result) = ended(token).expect("an end");
        assert_eq!(result.unwrap_err().cause, cause, "{token}");
        assert_eq!(at, begun - pair.start + millis(wait), "{token}");
    }
    // What comes late is nobody's.
    pair.run_for(secs(20));
    assert!(pair.session.is_active());
    assert_eq!(pair.events.iter().filter(|(_, e)| matches!(e, Event::Reply { .. })).count(), 4);
}

/// A datagram that is handled at the moment of a deadline must not bring a burst of repeats.
#[test]
fn a_deadline_that_is_over_is_no_reason_to_send() {
    let mut pair = logged_in(Profile::Spec, 9);
    pair.net.set_reachable(bmc_address(), false);
    let mut wanted = request(1, APP, GET_DEVICE_ID, &[]);
    wanted.deadline = Some(pair.now + millis(2500));
    wanted.repeat = Repeat::Idempotent;
    pair.session.submit(wanted);
    pair.settle();
    let sent = pair.session.counters().sent;
    pair.now += secs(3);
    let _ = pair.session.handle_datagram(pair.now, &mut [6, 0, 0xff, 7]);
    pair.settle();
    assert_eq!(pair.session.counters().sent, sent);
    pair.session.handle_timeout(pair.now);
    pair.settle();
    assert_eq!(pair.reply(1).unwrap().unwrap_err().cause, Cause::TimedOut);
    assert_eq!(pair.session.counters().sent, sent);
}

#[test]
fn an_unanswered_command_ends_and_the_next_one_runs() {
    for profile in PROFILES {
        let mut pair = logged_in(profile, 10);
        pair.bmc.command_delay(APP, GET_DEVICE_ID, secs(60));
        let begun = pair.elapsed();
        pair.session.submit(request(1, APP, GET_DEVICE_ID, &[]));
        pair.session.submit(request(2, CHASSIS, 0x01, &[]));
        pair.run_for(secs(25));
        let failure = pair.reply(1).unwrap().unwrap_err();
        assert_eq!(failure, Failure::new(Cause::TimedOut, Stage::Active), "{profile:?}");
        assert!(pair.reply(2).unwrap().is_ok(), "{profile:?}");
        assert!(pair.elapsed() - begun <= secs(25));
        assert_eq!(pair.session.counters().request_retransmits, 4, "{profile:?}");
    }
}

/// The answer to a keepalive of before the console says nothing about who owns it.
#[test]
fn a_keepalive_across_an_activation_is_not_taken_for_its_owner() {
    let mut setup = Setup::new(Profile::Spec, 11);
    // Activate Payload does not wait for the keepalive.
    setup.config.request_window = 2;
    let mut pair = setup.start();
    pair.log_in().unwrap();
    pair.bmc.command_delay(APP, GET_DEVICE_ID, millis(900));
    let commands = pair.bmc.counters().commands;
    pair.run_until(secs(40), |pair| pair.bmc.counters().commands > commands);
    pair.connect_with(SolConfig::default()).unwrap();
    pair.run_for(secs(5));
    assert!(pair.session.sol_is_active(), "{:?}", pair.sol_events());
    assert_eq!(pair.bmc.counters().sol_in, 0, "a question on the console itself");
    assert!(!pair.session.learned().no_instance_info);
}

/// The login takes a second look when the first command of the session is not answered.
#[test]
fn a_session_that_is_mute_from_the_start_is_made_again() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 12).start();
        let mut session_packets = 0;
        pair.tap = Some(losing(move |way, datagram| {
            let session = way == Way::ToBmc
                && crate::scripted::kind(datagram) == crate::scripted::Kind::Session;
            session_packets += u32::from(session);
            session && session_packets <= 5
        }));
        pair.log_in().unwrap_or_else(|failure| panic!("{profile:?}: {failure:?}"));
        assert_eq!(pair.bmc.counters().sessions_opened, 2, "{profile:?}");
        // The first one was closed unseen.
        assert_eq!(pair.bmc.sessions(), if profile == Profile::Pyghmi { 2 } else { 1 });
    }
}

/// A hint about the first try says nothing about the second.
#[test]
fn a_hint_is_forgotten_with_its_login() {
    let mut pair = Setup::new(Profile::Spec, 13).start();
    let mut session_packets = 0;
    pair.tap = Some(losing(move |way, datagram| {
        let session =
            way == Way::ToBmc && crate::scripted::kind(datagram) == crate::scripted::Kind::Session;
        session_packets += u32::from(session);
        session && session_packets <= 5
    }));
    pair.run_until(secs(60), |pair| pair.bmc.counters().sessions_opened == 1);
    for _ in 0..100 {
        pair.session.handle_hint(pair.now);
        pair.run_for(millis(100));
    }
    pair.log_in().unwrap();
    pair.run_for(secs(100));
    assert!(pair.session.is_active());
}

#[test]
fn the_null_user_and_a_lower_level_stay_alive_too() {
    let mut setup = Setup::new(Profile::IpmiSim, 14);
    setup.config.user_name = b"user".to_vec();
    setup.config.password = Secret::new(b"user");
    let mut pair = setup.start();
    pair.log_in().unwrap();
    pair.run_for(secs(HOUR));
    assert!(pair.session.is_active() && pair.bmc.sessions() == 1);
}

/// How long an answer may take is the caller's to say.
#[test]
fn a_late_answer_is_waited_for_until_the_deadline() {
    for (net_fn, cmd, data) in [(APP, GET_DEVICE_ID, &[][..]), (CHASSIS, 0x02, &[3])] {
        for repeat in [Repeat::ByCommand, Repeat::Never, Repeat::Idempotent] {
            let mut pair = logged_in(Profile::Spec, 15);
            // Other commands keep the session alive meanwhile.
            pair.bmc.command_delay(net_fn, cmd, secs(12));
            let mut wanted = request(1, net_fn, cmd, data);
            wanted.deadline = Some(pair.now + secs(20));
            wanted.repeat = repeat;
            pair.session.submit(wanted);
            pair.run_for(secs(30));
            let what = format!("{net_fn:02x} {cmd:02x} {repeat:?}");
            assert!(pair.reply(1).unwrap().is_ok(), "{what}: {:?}", pair.reply(1));
            let copies = pair.session.counters().request_retransmits;
            match (repeat, net_fn) {
                (Repeat::Never, _) => assert_eq!(copies, 0, "{what}"),
                (Repeat::ByCommand, CHASSIS) => assert_eq!(copies, 1, "{what}"),
                _ => assert_eq!(copies, 4, "{what}"),
            }
        }
    }
}

/// A command that acts is not sent again, but its answer is waited for as long as any other's.
#[test]
fn a_slow_power_cycle_is_no_unknown_outcome() {
    for profile in PROFILES {
        let mut pair = logged_in(profile, 16);
        pair.bmc.command_delay(CHASSIS, 0x02, secs(8));
        assert!(pair.command(1, CHASSIS, 0x02, &[3]).is_ok(), "{profile:?}");
    }
}

/// With several requests in flight, one may stay there while the numbers go round.
#[test]
fn a_number_that_is_in_use_is_left_out() {
    let mut setup = Setup::new(Profile::Spec, 17);
    setup.config.request_window = 4;
    let mut pair = setup.start();
    pair.log_in().unwrap();
    // Get System GUID, slow once.
    pair.bmc.command_delay(APP, 0x37, secs(10));
    let mut slow = request(1, APP, 0x37, &[]);
    slow.repeat = Repeat::Never;
    slow.deadline = Some(pair.now + secs(20));
    pair.session.submit(slow);
    pair.run_for(millis(20));
    pair.bmc.command_delay(APP, 0x37, millis(0));
    for token in 2..202 {
        pair.session.submit(request(token, APP, 0x37, &[]));
    }
    let begun = pair.elapsed();
    pair.run_for(secs(5));
    assert!(pair.reply(1).is_none(), "answered by another's answer");
    assert!((2..202).all(|token| pair.reply(token).is_some_and(|reply| reply.is_ok())));
    pair.run_for(secs(10));
    assert!(pair.reply(1).expect("an end").is_ok());
    assert!(pair.elapsed() > begun);
}
