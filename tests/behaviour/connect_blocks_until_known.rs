//! P4: a login ends connected or with one failure, in bounded time and few packets, on any line.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use bmclink::session::{Cause, Event, Failure, Learned, SolEvent, Stage};
use bmclink::sim::Profile;
use bmclink::sim::net::Faults;
use bmclink::wire::payload::PayloadType;

use crate::pair::{PROFILES, Pair, Setup, Way, bmc_address, millis, secs};
use crate::scripted::{Kind, kind, losing, setup_payload};
use crate::seeds::for_seeds;

/// Datagrams of a login with SOL, both ways together, on a clean line and with the right suite.
const LOGIN_LEN: usize = 12;

/// The suite each profile has, so that no other is tried first.
fn suite_of(profile: Profile) -> u8 {
    match profile {
        Profile::Spec | Profile::OpenBmc | Profile::GoIpmi => 17,
        Profile::Pyghmi | Profile::IpmiSim => 3,
    }
}

#[test]
fn a_black_hole_is_one_timeout_in_bounded_time_and_packets() {
    let mut pair = Setup::new(Profile::Spec, 1).start();
    pair.net.set_reachable(bmc_address(), false);
    pair.run_for(secs(600));
    let [(at, Event::Closed(failure))] = pair.events[..] else { panic!("{:?}", pair.events) };
    assert_eq!(failure, Failure::new(Cause::TimedOut, Stage::Capabilities));
    assert!(at < secs(15), "{at:?}");
    assert!(pair.session.counters().sent <= 5);
    assert_eq!(pair.settle(), None, "nothing is left to wait for");
}

/// A BMC that falls silent behind any packet of the handshake.
#[test]
fn a_black_hole_at_any_stage_is_one_timeout() {
    for profile in PROFILES {
        for position in 0..8 {
            let mut pair = Setup::new(profile, 2).suites(&[suite_of(profile)]).start();
            let mut sent = 0;
            pair.tap = Some(losing(move |_, _| {
                sent += 1;
                sent > position
            }));
            pair.run_for(secs(600));
            let [(at, Event::Closed(failure))] = pair.events[..] else {
                panic!("{profile:?} at {position}: {:?}", pair.events)
            };
            assert_eq!(failure.cause, Cause::TimedOut, "{profile:?} at {position}");
            // Past RAKP 4 each try of the session's first command takes 15 s.
            assert!(at < secs(60), "{profile:?} at {position}: {at:?}");
            assert!(pair.session.counters().sent < 30, "{profile:?} at {position}");
        }
    }
}

#[test]
fn a_clean_login_takes_six_requests() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 3).suites(&[suite_of(profile)]).start();
        pair.connect().unwrap_or_else(|failure| panic!("{profile:?}: {failure}"));
        assert_eq!(pair.session.counters().sent, 6, "{profile:?}");
        let counters = *pair.bmc.counters();
        assert_eq!((counters.open_session, counters.rakp1, counters.rakp3), (1, 1, 1));
        assert_eq!((counters.activate_payload, counters.sessions_opened), (1, 1));
        assert_eq!(counters.commands, 3, "{profile:?}");
    }
}

#[test]
fn what_was_learned_saves_the_detour() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 4).start();
        pair.connect().unwrap();
        let learned = pair.session.learned();
        pair.session.close(pair.now);
        pair.run_for(secs(5));
        pair.events.clear();
        pair.new_session(learned);
        pair.connect().unwrap_or_else(|failure| panic!("{profile:?}: {failure}"));
        // pyghmi leaves SOL active: it says so, does not tell whose it is, and is tried.
        if profile != Profile::Pyghmi {
            assert_eq!(pair.session.counters().sent, 6, "{profile:?}");
        }
    }
}

#[test]
fn connected_means_that_activate_payload_was_accepted() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 5).suites(&[suite_of(profile)]).start();
        pair.bmc.command_delay(0x06, 0x48, millis(700));
        pair.log_in().unwrap();
        let asked = pair.elapsed();
        pair.session.sol_open(pair.now, Default::default());
        pair.run_until(millis(650), |pair| pair.session.sol_is_active());
        assert!(!pair.session.sol_is_active() && pair.sol_events().is_empty(), "{profile:?}");
        pair.run_for(secs(5));
        let activated = pair.events.iter().find_map(|(at, event)| match event {
            Event::Sol(SolEvent::Activated { .. }) => Some(*at),
            _ => None,
        });
        let took = activated.expect("activated") - asked;
        assert!((millis(700)..millis(720)).contains(&took), "{profile:?}: {took:?}");
        assert_eq!(pair.sol_events().len(), 1, "{profile:?}");
    }
}

/// The events of a whole life hold no second opinion.
fn assert_no_flicker(pair: &Pair, what: &str) {
    let count = |is: fn(&Event) -> bool| pair.events.iter().filter(|(_, e)| is(e)).count();
    assert!(count(|e| matches!(e, Event::Established { .. })) <= 1, "{what}");
    assert!(count(|e| matches!(e, Event::Closed(_))) <= 1, "{what}");
    let closed = pair.events.iter().position(|(_, e)| matches!(e, Event::Closed(_)));
    assert!(closed.is_none_or(|at| at + 1 == pair.events.len()), "{what}: {:?}", pair.events);
}

fn noisy(seed: u64, loss: f64, others: f64) -> Faults {
    Faults {
        loss,
        duplicate: others,
        reorder: others,
        delay: millis(1 + seed % 40)..millis(2 + seed % 90),
        reorder_delay: millis(1)..millis(1500),
        ..Faults::default()
    }
}

fn log_in_over(faults: impl Fn(u64) -> Faults, seeds: std::ops::Range<u64>) -> (u32, u32) {
    let (mut connected, mut timed_out) = (0, 0);
    for profile in PROFILES {
        for seed in seeds.clone() {
            let mut setup = Setup::new(profile, seed);
            setup.faults = faults(seed);
            let mut pair = setup.start();
            let what = format!("{profile:?} seed {seed}");
            match pair.log_in() {
                Ok(()) => connected += 1,
                Err(failure) if failure.cause == Cause::TimedOut => timed_out += 1,
                Err(failure) => panic!("{what}: {failure:?}"),
            }
            assert!(pair.elapsed() < secs(400), "{what}: {:?}", pair.elapsed());
            assert!(pair.session.counters().sent < 200, "{what}");
            assert_no_flicker(&pair, &what);
        }
    }
    (connected, timed_out)
}

#[test]
fn a_lossy_login_succeeds_or_times_out() {
    let (connected, timed_out) = log_in_over(|seed| noisy(seed, 0.2, 0.0), 0..2000);
    // An attempt is three round trips in a row: 0.64 ^ 3, and there are five of them.
    assert!(timed_out * 3 < connected, "{connected} connected, {timed_out} timed out");
}

#[test]
fn a_login_over_doubling_and_disordering_lines_succeeds_or_times_out() {
    let (connected, timed_out) = log_in_over(|seed| noisy(seed, 0.2, 0.1), 10_000..12_000);
    assert!(timed_out < connected, "{connected} connected, {timed_out} timed out");
    let (connected, timed_out) = log_in_over(|seed| noisy(seed, 0.0, 0.1), 20_000..22_000);
    assert!(timed_out * 50 < connected, "{connected} connected, {timed_out} timed out");
}

#[test]
fn any_two_lost_packets_are_survived() {
    for profile in PROFILES {
        for first in 0..LOGIN_LEN + 2 {
            for second in first..LOGIN_LEN + 4 {
                let mut pair = Setup::new(profile, 6).suites(&[suite_of(profile)]).start();
                let mut sent = 0;
                pair.tap = Some(losing(move |_, _| {
                    sent += 1;
                    [first, second].contains(&(sent - 1))
                }));
                let result = pair.connect();
                assert_eq!(result, Ok(()), "{profile:?} without {first} and {second}");
                assert_no_flicker(&pair, "two lost");
            }
        }
    }
}

/// A copy of the packet at `position` comes right behind it, or behind the next ones that go
/// the same way.
fn doubled(profile: Profile, position: usize, behind: usize) {
    let mut pair = Setup::new(profile, 7).suites(&[suite_of(profile)]).start();
    let (mut sent, mut copy) = (0, None);
    pair.tap = Some(Box::new(move |way, datagram| {
        sent += 1;
        if sent - 1 == position {
            copy = Some((way, datagram.clone(), behind));
        }
        let mut out = vec![datagram];
        match &mut copy {
            Some((going, late, 0)) if *going == way => {
                out.push(std::mem::take(late));
                copy = None;
            }
            Some((going, _, left)) if *going == way => *left -= 1,
            _ => {}
        }
        out
    }));
    let what = format!("{profile:?}, packet {position} again behind {behind}");
    pair.connect().unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
    assert_no_flicker(&pair, &what);
    pair.host_echoes = true;
    pair.typing.extend(b"echo");
    pair.run_until(secs(20), |pair| pair.received.len() >= 4);
    assert_eq!(pair.received, b"echo", "{what}");
    assert!(pair.command(1, 0x06, 0x01, &[]).is_ok(), "{what}");
}

#[test]
fn any_doubled_packet_is_survived() {
    for profile in PROFILES {
        for position in 0..LOGIN_LEN {
            for behind in 0..4 {
                if rekeys_a_session(profile, position, behind) {
                    continue;
                }
                doubled(profile, position, behind);
            }
        }
    }
}

/// OpenBMC makes other keys of a second RAKP 3, also when the session is long in use.
fn rekeys_a_session(profile: Profile, position: usize, behind: usize) -> bool {
    profile == Profile::OpenBmc && position == 6 && behind > 0
}

/// Nothing can save that session; it must be noticed, and named.
#[test]
fn a_session_whose_keys_the_network_changed_is_lost() {
    let mut pair = Setup::new(Profile::OpenBmc, 7).suites(&[17]).start();
    let mut rakp3 = None;
    pair.tap = Some(Box::new(move |way, datagram| {
        if kind(&datagram) == Kind::Setup(PayloadType::Rakp3) {
            rakp3 = Some(datagram.clone());
        } else if way == Way::ToBmc
            && let Some(again) = rakp3.take()
        {
            return vec![datagram, again];
        }
        vec![datagram]
    }));
    pair.log_in().unwrap();
    assert!(pair.command(1, 0x06, 0x01, &[]).is_err());
    pair.run_for(secs(75));
    assert_eq!(pair.closed(), Some(Failure::new(Cause::Lost, Stage::Active)));
}

/// One stack makes other keys of a second RAKP 3, another ignores it: it is never sent.
#[test]
fn rakp_3_is_never_repeated() {
    for profile in PROFILES {
        for seed in 0..300 {
            let mut setup = Setup::new(profile, seed).suites(&[suite_of(profile)]);
            setup.faults = noisy(seed, 0.3, 0.0);
            let mut pair = setup.start();
            let sent = Rc::new(RefCell::new(HashMap::<(u8, Vec<u8>), u32>::new()));
            let counts = sent.clone();
            pair.tap = Some(Box::new(move |way, datagram| {
                if way == Way::ToBmc
                    && let Kind::Setup(payload_type) = kind(&datagram)
                    && payload_type != PayloadType::OpenSessionRequest
                {
                    let session_id = setup_payload(&datagram)[4..8].to_vec();
                    *counts.borrow_mut().entry((payload_type.number(), session_id)).or_default() +=
                        1;
                }
                vec![datagram]
            }));
            let _ = pair.log_in();
            assert!(sent.borrow().values().all(|count| *count == 1), "{profile:?} seed {seed}");
        }
    }
}

#[test]
fn attempts_pause_so_that_half_open_sessions_can_end() {
    let mut pair = Setup::new(Profile::GoIpmi, 8).suites(&[17]).start();
    let started: Rc<RefCell<Vec<Duration>>> = Rc::default();
    pair.tap = Some(losing(|way, datagram| {
        way == Way::ToConsole && kind(datagram) == Kind::Setup(PayloadType::Rakp2)
    }));
    let mut seen = 0;
    while !pair.session.is_closed() {
        pair.step(pair.now + secs(60));
        if pair.bmc.counters().open_session > seen {
            seen = pair.bmc.counters().open_session;
            started.borrow_mut().push(pair.elapsed());
        }
    }
    pair.settle();
    assert_eq!(pair.closed(), Some(Failure::new(Cause::TimedOut, Stage::Rakp2)));
    let started = started.borrow();
    assert_eq!(started.len(), 5);
    let gaps: Vec<_> = started.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(gaps[1..].iter().all(|gap| *gap >= secs(4)), "{gaps:?}");
}

/// A forgotten session object costs nothing: everything that is over says so.
#[test]
fn closing_while_logging_in_is_immediate_and_silent() {
    for steps in 0..8 {
        let mut pair = Setup::new(Profile::Spec, 9).start();
        for _ in 0..steps {
            pair.step(pair.now + secs(1));
        }
        if pair.session.is_active() {
            break;
        }
        let sent = pair.session.counters().sent;
        pair.session.close(pair.now);
        pair.run_for(secs(60));
        assert!(pair.session.is_closed());
        let [(_, Event::Closed(failure))] = pair.events[..] else { panic!("{:?}", pair.events) };
        assert_eq!(failure.cause, Cause::Closed);
        assert!(pair.session.counters().sent <= sent + 1, "steps {steps}");
    }
}

#[test]
fn a_remembered_suite_is_used_only_where_it_is_listed() {
    let learned = |suite| Learned {
        cipher_suite: Some(bmclink::session::CipherSuiteId(suite)),
        ..Default::default()
    };
    for (suites, remembered, used) in [
        (&[17, 3][..], 3, 3),
        (&[17, 3], 17, 17),
        (&[17, 3], 2, 17),
        (&[17], 3, 17),
        (&[17, 8, 3], 3, 3),
        (&[3, 17], 0, 3),
    ] {
        let setup = Setup::new(Profile::Spec, 10).suites(suites);
        let mut pair = Pair::new(setup, learned(remembered));
        pair.log_in().unwrap();
        let got = pair.session.cipher_suite().map(|id| id.0);
        assert_eq!(got, Some(used), "{suites:?}, remembering {remembered}");
        assert_eq!(pair.bmc.counters().open_session, 1);
    }
}

/// The BMC took RAKP 3 and its answer was lost: it has a session that nobody will use.
#[test]
fn a_lost_rakp_4_leaves_no_session_behind() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 11).suites(&[suite_of(profile)]).start();
        let mut lost = 0;
        pair.tap = Some(losing(move |way, datagram| {
            let rakp4 = way == Way::ToConsole && kind(datagram) == Kind::Setup(PayloadType::Rakp4);
            lost += u32::from(rakp4);
            rakp4 && lost <= 4
        }));
        pair.connect().unwrap_or_else(|failure| panic!("{profile:?}: {failure:?}"));
        assert_eq!(pair.bmc.counters().sessions_opened, 5, "{profile:?}");
        // One stack's Close Session closes nothing.
        if profile != Profile::Pyghmi {
            assert_eq!(pair.bmc.sessions(), 1, "{profile:?}");
        }
    }
}

/// One stack refuses with a tag and a status alone: by its tag nobody else's must match.
#[test]
fn a_late_refusal_is_not_taken_for_the_next_attempts() {
    for seed in 0..1000 {
        let mut pair = Setup::new(Profile::IpmiSim, seed).start();
        let mut refusal = None;
        pair.tap = Some(Box::new(move |way, datagram| {
            let answer = kind(&datagram) == Kind::Setup(PayloadType::OpenSessionResponse);
            if way == Way::ToBmc || !answer {
                return vec![datagram];
            }
            let late = refusal.replace(datagram.clone());
            late.into_iter().chain([datagram]).collect()
        }));
        pair.log_in().unwrap_or_else(|failure| panic!("seed {seed}: {failure:?}"));
    }
}

/// The answer to everything comes later than the first wait for it.
#[test]
fn a_long_way_needs_time_and_no_second_session() {
    for profile in PROFILES {
        for_seeds(profile, 20, |seed| {
            let mut setup = Setup::new(profile, seed);
            setup.faults = Faults { delay: millis(300)..millis(700), ..Faults::default() };
            let mut pair = setup.start();
            assert_eq!(pair.log_in(), Ok(()), "{profile:?} seed {seed}");
            let rakp1 = pair.bmc.counters().rakp1;
            assert!(rakp1 <= 2, "{profile:?} seed {seed}: {rakp1} logins begun");
        });
    }
}
