//! P11: what touches the session ends it and begins the new one at once; the rest breaks nothing.

use bmclink::ErrorKind;
use bmclink::sim::Profile;
use bmclink::supervisor::{ConsoleChange, Event, Keep};

use crate::pair::{PROFILES, millis, secs};
use crate::seeds::for_seeds;
use crate::world::{World, address};

#[test]
fn a_wrong_password_ends_the_session_and_is_named() {
    for_seeds("A1", 20, |seed| {
        let mut world = World::new(Profile::Spec, 1, seed);
        assert!(world.command().is_ok());
        let old = *world.bmc(1).counters();
        world.reconfigure(world.target(1, "wrong"));
        assert_eq!(world.command().map(drop), Err(ErrorKind::Password));
        world.run_for(secs(5));
        let new = *world.bmc(1).counters();
        assert_eq!(new.sessions_closed, old.sessions_closed + 1);
        assert_eq!(world.sessions(1), 0);
    });
}

#[test]
fn another_address_gets_everything_and_the_old_one_only_its_close() {
    for_seeds("A2", 20, |seed| {
        let mut world = World::new(Profile::Spec, 2, seed);
        assert!(world.command().is_ok());
        let before = world.sent.len();
        world.reconfigure(world.target(2, "password"));
        assert!(world.command().is_ok());
        world.run_for(secs(5));
        let to_old: Vec<_> =
            world.sent[before..].iter().filter(|(_, to, _)| *to == address(1)).collect();
        assert_eq!(to_old.len(), 1, "seed {seed}: the close and nothing else");
        assert_eq!((world.sessions(1), world.sessions(2)), (0, 1));
        assert_eq!(world.bmc(1).counters().sessions_closed, 1);
    });
}

#[test]
fn a_command_in_flight_ends_and_the_next_one_is_the_new_ones() {
    for_seeds("A3", 20, |seed| {
        let mut world = World::new(Profile::Spec, 2, seed);
        assert!(world.command().is_ok());
        world.bmc(1).command_delay(6, 1, secs(2));
        let token = world.begin_command();
        world.run_for(secs(1));
        world.reconfigure(world.target(2, "password"));
        let next = world.begin_command();
        world.settle();
        assert_eq!(world.reply(token).map(|r| r.map(drop)), Some(Err(ErrorKind::Reconfigured)));
        assert!(world.run_until(secs(1), |world| world.reply(next).is_some()));
        assert!(matches!(world.reply(next), Some(Ok(_))));
        world.run_for(secs(5));
        let replies = world.events.iter().filter(
            |(_, event)| matches!(event, Event::Reply { token: other, .. } if *other == token),
        );
        assert_eq!(replies.count(), 1);
    });
}

#[test]
fn equal_values_and_other_waiting_times_break_nothing() {
    let mut world = World::new(Profile::Spec, 1, 1);
    world.open(Keep::Always);
    assert!(world.run_until(secs(10), World::is_connected));
    let (logins, changes) = (world.logins(1), world.changes().len());
    for _ in 0..10 {
        world.reconfigure(world.target(1, "password"));
        world.run_for(millis(100));
    }
    let mut slower = world.target(1, "password");
    let mut session = (*slower.session).clone();
    session.timing.request_first = secs(3);
    slower.session = std::sync::Arc::new(session);
    world.reconfigure(slower);
    world.run_for(secs(10));
    assert!(world.echo_works());
    assert_eq!((world.logins(1), world.changes().len()), (logins, changes));
}

#[test]
fn a_console_breaks_once_and_comes_back_at_once() {
    for profile in PROFILES {
        for_seeds(profile, 10, |seed| {
            let mut world = World::new(profile, 2, seed);
            world.open(Keep::Always);
            assert!(world.run_until(secs(10), World::is_connected));
            let before = world.changes().len();
            world.reconfigure(world.target(2, "password"));
            assert!(world.run_until(secs(1), World::is_connected), "{profile:?} seed {seed}");
            assert!(world.echo_works(), "{profile:?} seed {seed}");
            let changes = world.changes().split_off(before);
            assert!(
                matches!(
                    changes.as_slice(),
                    [
                        ConsoleChange::Unconnected { reason, .. },
                        ConsoleChange::Connecting,
                        ConsoleChange::Connected { .. },
                    ] if reason.kind() == ErrorKind::Reconfigured
                ),
                "{profile:?} seed {seed}: {changes:?}"
            );
            world.run_for(secs(5));
            assert_eq!((world.sessions(1), world.sessions(2)), (0, 1));
        });
    }
}

#[test]
fn of_two_changes_in_a_row_the_last_one_wins() {
    for_seeds("A4", 50, |seed| {
        let mut world = World::new(Profile::Spec, 3, seed);
        world.open(Keep::Always);
        assert!(world.run_until(secs(10), World::is_connected));
        for round in 0..50u64 {
            let at = 1 + ((seed + round) % 3) as u8;
            world.reconfigure(world.target(1 + at % 3, "password"));
            world.run_for(millis(1));
            world.reconfigure(world.target(at, "password"));
            world.run_for(millis(round % 30));
        }
        let last = 1 + ((seed + 49) % 3) as u8;
        assert!(world.run_until(secs(2), World::is_connected), "seed {seed}");
        assert!(world.echo_works(), "seed {seed}");
        world.run_for(secs(70));
        for at in 1..=3 {
            let expected = usize::from(at == last);
            assert_eq!(world.sessions(at), expected, "seed {seed}, BMC {at}");
        }
    });
}

/// Also when nobody waits for anything: whoever comes next finds it there.
#[test]
fn a_session_that_nobody_uses_just_then_is_remade_at_once() {
    for profile in PROFILES {
        let mut world = World::new(profile, 2, 1);
        assert!(world.command().is_ok(), "{profile:?}");
        world.run_for(secs(5));
        world.reconfigure(world.target(2, "password"));
        world.run_for(secs(1));
        assert_eq!((world.logins(2), world.sessions(2)), (1, 1), "{profile:?}");
        // One that there was not is not made.
        let mut idle = World::new(profile, 2, 1);
        idle.reconfigure(idle.target(2, "password"));
        idle.run_for(secs(60));
        assert_eq!(idle.sent.len(), 0, "{profile:?}");
    }
}
