//! Back-off: by what went wrong, and by how long the connection lived.

use std::time::{Duration, Instant};

use bmclink::session::Failure;
use bmclink::sim::Profile;
use bmclink::supervisor::{ConsoleChange, ConsoleSettings, Event, Keep, Output, Supervisor};
use bmclink::{Cause, Error, ErrorKind, Stage, TakeOver};

use crate::pair::{PROFILES, request, secs};
use crate::seeds::for_seeds;
use crate::world::{CONSOLE, World, address, settings};

/// The last time it was not connected: why, and the wait for the next try.
fn last_failure(world: &World) -> (ErrorKind, Option<Duration>) {
    let mut events = world.events.iter().rev();
    let last = events.find_map(|(at, event)| match event {
        Event::Console { change: ConsoleChange::Unconnected { reason, next_try }, .. } => {
            let wait = next_try.map(|next| (next - world.start).saturating_sub(*at));
            Some((reason.kind(), wait))
        }
        _ => None,
    });
    last.expect("a failure")
}

/// Somebody else deactivates SOL, whoever has it.
fn deactivate(world: &mut World, token: u64) {
    let now = world.now;
    let request = request(token, 6, 0x49, &[1, 1, 0, 0, 0, 0]);
    world.rivals[0].supervisor.submit(now, request);
    assert!(world.run_until(secs(60), |world| !world.is_connected()), "seed {}", world.seed);
}

#[test]
fn immediate_losses_wait_longer_each_time_and_a_long_life_forgives() {
    let mut waits = [Duration::ZERO; 10];
    for_seeds("C4", 40, |seed| {
        let mut world = World::new(Profile::Spec, 1, seed);
        world.add_rival();
        world.open(Keep::Always);
        for (round, sum) in waits.iter_mut().enumerate() {
            assert!(world.run_until(secs(200), World::is_connected), "seed {seed} round {round}");
            deactivate(&mut world, round as u64);
            let (kind, wait) = last_failure(&world);
            assert_eq!(kind, ErrorKind::Lost);
            let limit = if round == 0 { 0 } else { (1 << round).min(120) };
            assert!(wait.expect("kept") <= secs(limit), "seed {seed} round {round}: {wait:?}");
            *sum += wait.expect("kept");
        }
        // It lives for a minute: what was before is forgiven.
        assert!(world.run_until(secs(200), World::is_connected));
        world.run_for(secs(61));
        deactivate(&mut world, 100);
        assert_eq!(last_failure(&world).1, Some(Duration::ZERO), "seed {seed}");
        assert!(world.run_until(secs(1), World::is_connected));
    });
    assert!(waits[..8].windows(3).all(|three| three[0] < three[2]), "{waits:?}");
}

#[test]
fn an_unreachable_bmc_is_tried_seldom_and_found_again() {
    for_seeds("back-off", 20, |seed| {
        let mut world = World::new(Profile::Spec, 1, seed);
        world.net.set_reachable(address(1), false);
        world.open(Keep::Always);
        world.run_for(secs(3600));
        // Each try is five packets in ten seconds, and two minutes at most lie between two.
        let tries = world.logins_begun;
        assert!((20..120).contains(&tries), "seed {seed}: {tries}");
        assert!(world.sent.len() as u64 <= tries * 5, "seed {seed}");
        assert_eq!(last_failure(&world).0, ErrorKind::Unreachable);
        world.net.set_reachable(address(1), true);
        assert!(world.run_until(secs(135), World::is_connected), "seed {seed}");
    });
}

#[test]
fn a_full_session_table_is_tried_slowly_and_leaves_nothing() {
    for profile in PROFILES {
        let mut world = World::new(profile, 1, 3);
        world.bmc(1).fill_session_table(true);
        world.open(Keep::Always);
        world.run_for(secs(600));
        let (kind, wait) = last_failure(&world);
        assert_eq!(kind, ErrorKind::NoFreeSession, "{profile:?}");
        assert!((secs(30)..=secs(38)).contains(&wait.expect("kept")), "{profile:?}");
        assert!((15..=21).contains(&world.logins_begun), "{profile:?}: {}", world.logins_begun);
        world.bmc(1).fill_session_table(false);
        assert!(world.run_until(secs(40), World::is_connected), "{profile:?}");
        assert_eq!(world.sessions(1), 1);
    }
}

/// One of many BMCs whose password is wrong: when its logins began.
fn refused_logins(number: u64, start: Instant, end: Instant) -> Vec<Duration> {
    let target = World::new(Profile::Spec, 1, 1).target(1, "wrong");
    let mut supervisor = Supervisor::new(target, number);
    let refused = Error::from(Failure::new(Cause::Password, Stage::Rakp2));
    supervisor.console_open(CONSOLE, &settings(Keep::Always)).expect("room");
    let (mut now, mut begun, mut out) = (start, Vec::new(), Vec::new());
    while now < end {
        match supervisor.poll_output(now, &mut out) {
            Output::Event(Event::Resolve { lookup }) => {
                supervisor.handle_addresses(now, lookup, Ok(vec![address(1)]));
            }
            Output::Event(Event::WantsTurn) => {
                begun.push(now - start);
                supervisor.fail(now, &refused);
            }
            Output::Timeout(at) => {
                now = at.expect("it is kept");
                supervisor.handle_timeout(now);
            }
            _ => {}
        }
    }
    begun
}

/// All at once at first, as after a power cut; then ever less so.
#[test]
fn ten_thousand_wrong_passwords_are_tried_once_a_minute_and_not_in_step() {
    let (start, bmcs) = (Instant::now(), 10_000);
    let mut per_second = vec![0; 601];
    for number in 0..bmcs {
        let begun = refused_logins(number, start, start + secs(600));
        assert!((9..=10).contains(&begun.len()), "BMC {number}: {}", begun.len());
        begun.iter().for_each(|at| per_second[at.as_secs() as usize] += 1);
    }
    // A fifteenth of them in a second of the first round, and no more than that later.
    let most = per_second[1..].iter().max().expect("seconds");
    assert!(*most < bmcs / 12, "{most} in one second");
    assert!(per_second[400..600].iter().all(|count| *count < bmcs / 20), "{per_second:?}");
}

fn by(take_over: TakeOver) -> ConsoleSettings {
    let mut settings = settings(Keep::Always);
    settings.sol.take_over = take_over;
    settings
}

/// How often each of two managers that want the same console got it in an hour.
fn rivalry(profile: Profile, seed: u64, take_over: TakeOver) -> (usize, usize, World) {
    let mut world = World::new(profile, 1, seed);
    world.add_rival();
    world.supervisor.console_open(CONSOLE, &by(take_over)).expect("room");
    world.run_for(secs(20));
    world.rivals[0].supervisor.console_open(CONSOLE, &by(take_over)).expect("room");
    world.run_for(secs(3600));
    let connected = |event: &Event| {
        matches!(event, Event::Console { change: ConsoleChange::Connected { .. }, .. })
    };
    let ours = world.events.iter().filter(|(_, event)| connected(event)).count();
    let theirs = world.rivals[0].events.iter().filter(|(_, event)| connected(event)).count();
    (ours, theirs, world)
}

#[test]
fn two_managers_do_not_fight_unless_told_to_and_then_ever_more_seldom() {
    for profile in [Profile::Spec, Profile::OpenBmc, Profile::GoIpmi, Profile::IpmiSim] {
        for_seeds(profile, 5, |seed| {
            for take_over in [TakeOver::Never, TakeOver::Stale] {
                let (ours, theirs, _) = rivalry(profile, seed, take_over);
                assert_eq!((ours, theirs), (1, 0), "{profile:?} {take_over:?} seed {seed}");
            }
            let (ours, theirs, world) = rivalry(profile, seed, TakeOver::Once);
            // Who lost it to a take-over may take it back, once. Who took it over leaves it.
            assert!((1..=2).contains(&ours) && theirs == 1, "{profile:?} {seed}: {ours} {theirs}");
            let unconnected = world.changes().into_iter().filter_map(|change| match change {
                ConsoleChange::Unconnected { reason, .. } => Some(reason.kind()),
                _ => None,
            });
            let kinds: Vec<_> = unconnected.collect();
            let named = [ErrorKind::Stolen, ErrorKind::SolInUse, ErrorKind::Lost];
            assert!(kinds.iter().all(|kind| named.contains(kind)), "{profile:?}: {kinds:?}");
            assert!(profile != Profile::IpmiSim || kinds.contains(&ErrorKind::Stolen));
            let (ours, theirs, _) = rivalry(profile, seed, TakeOver::Always);
            assert!(ours > 1 && ours + theirs < 30, "{profile:?} seed {seed}: {ours} {theirs}");
        });
    }
}

/// A program with SOL that crashed: its session lives on at the BMC for a while.
fn behind_a_crash(profile: Profile, take_over: TakeOver) -> World {
    let mut world = World::new(profile, 1, 5);
    world.add_rival();
    world.rivals[0].supervisor.console_open(CONSOLE, &by(TakeOver::Stale)).expect("room");
    world.run_for(secs(5));
    assert!(world.bmc(1).sol_owner().is_some());
    world.rivals.clear();
    world.supervisor.console_open(CONSOLE, &by(take_over)).expect("room");
    world.run_for(secs(5));
    world
}

#[test]
fn sol_of_a_crashed_program_is_had_as_the_policy_says() {
    for profile in [Profile::Spec, Profile::OpenBmc, Profile::GoIpmi, Profile::IpmiSim] {
        for take_over in [TakeOver::Once, TakeOver::Always] {
            let mut world = behind_a_crash(profile, take_over);
            assert!(world.is_connected() && world.echo_works(), "{profile:?} {take_over:?}");
            world.run_for(secs(300));
            assert!(world.is_connected() && world.echo_works(), "{profile:?} {take_over:?}");
            assert_eq!(world.sessions(1), 1);
        }
        let mut world = behind_a_crash(profile, TakeOver::Stale);
        assert_eq!(last_failure(&world).0, ErrorKind::SolInUse, "{profile:?}");
        assert!(world.run_until(secs(300), World::is_connected), "{profile:?}");
        assert!(world.echo_works(), "{profile:?}");
        let mut world = behind_a_crash(profile, TakeOver::Never);
        assert_eq!(last_failure(&world).0, ErrorKind::SolInUse, "{profile:?}");
        world.run_for(secs(600));
        // Where SOL outlives its session, nobody may ever take it.
        assert_eq!(world.is_connected(), profile != Profile::OpenBmc, "{profile:?}");
    }
}

/// What the end of a stale session does to SOL on some BMCs: it is nobody's, without a word.
#[test]
fn sol_that_is_torn_down_without_a_word_is_noticed_and_repaired_at_once() {
    for profile in [Profile::Spec, Profile::OpenBmc, Profile::GoIpmi, Profile::IpmiSim] {
        let mut world = World::new(profile, 1, 7);
        world.bmc(1).quirks_mut().silent_steal = true;
        world.add_rival();
        world.open(Keep::Always);
        assert!(world.run_until(secs(10), World::is_connected));
        world.run_for(secs(70));
        let before = world.changes().len();
        deactivate(&mut world, 1);
        assert!(world.run_until(secs(2), World::is_connected), "{profile:?}");
        let changes = world.changes().split_off(before);
        assert!(
            matches!(
                changes.as_slice(),
                [
                    ConsoleChange::Unconnected { reason, .. },
                    ConsoleChange::Connecting,
                    ConsoleChange::Connected { .. }
                ] if reason.kind() == ErrorKind::Lost
            ),
            "{profile:?}: {changes:?}"
        );
        assert!(world.echo_works(), "{profile:?}");
        assert_eq!(
            world.logins(1),
            2,
            "{profile:?}: the session lives on, and so does the rival's"
        );
    }
}

#[test]
fn a_host_that_drops_the_link_for_half_a_minute_is_survived() {
    for profile in PROFILES {
        for_seeds(profile, 10, |seed| {
            let mut world = World::new(profile, 1, seed);
            world.open(Keep::Always);
            assert!(world.run_until(secs(10), World::is_connected));
            world.run_for(secs(seed * 3));
            world.net.set_reachable(address(1), false);
            world.run_for(secs(30));
            world.net.set_reachable(address(1), true);
            world.run_for(secs(60));
            assert!(world.is_connected(), "{profile:?} seed {seed}: {:?}", world.changes());
            assert!(world.echo_works(), "{profile:?} seed {seed}");
            world.run_for(secs(70));
            assert_eq!(world.sessions(1), 1, "{profile:?} seed {seed}");
        });
    }
}

#[test]
fn a_reset_is_one_loss_and_one_return() {
    for profile in [Profile::Spec, Profile::OpenBmc, Profile::GoIpmi, Profile::IpmiSim] {
        for_seeds(profile, 10, |seed| {
            let mut world = World::new(profile, 1, seed);
            world.open(Keep::Always);
            assert!(world.run_until(secs(10), World::is_connected));
            world.run_for(secs(100 + seed));
            let (now, before) = (world.now, world.changes().len());
            world.bmc(1).reset(now);
            world.run_for(secs(90));
            let changes = world.changes().split_off(before);
            assert!(
                matches!(
                    changes.as_slice(),
                    [
                        ConsoleChange::Unconnected { reason, .. },
                        ConsoleChange::Connecting,
                        ConsoleChange::Connected { .. }
                    ] if reason.kind() == ErrorKind::Lost
                ),
                "{profile:?} seed {seed}: {changes:?}"
            );
            assert!(world.echo_works(), "{profile:?} seed {seed}");
        });
    }
}
