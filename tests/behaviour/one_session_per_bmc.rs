//! P8: commands and consoles share one session, and a thousand comings and goings leave one.

use bmclink::sim::Profile;
use bmclink::supervisor::Keep;

use crate::pair::{PROFILES, millis, secs};
use crate::seeds::for_seeds;
use crate::world::{CONSOLE, World, settings};

#[test]
fn commands_and_a_console_share_a_login() {
    for profile in PROFILES {
        let mut world = World::new(profile, 1, 1);
        let tokens: Vec<u64> = (0..20).map(|_| world.begin_command()).collect();
        let console = world.begin_connect();
        let connects: Vec<u64> = (1000..1050).collect();
        connects.iter().for_each(|token| world.supervisor.connect(*token));
        world.run_for(secs(20));
        assert!(tokens.iter().all(|token| matches!(world.reply(*token), Some(Ok(_)))));
        assert!(connects.iter().all(|token| world.done(*token) == Some(Ok(()))));
        assert_eq!(world.done(console), Some(Ok(())), "{profile:?}");
        assert_eq!((world.logins(1), world.sessions(1)), (1, 1), "{profile:?}");
        world.supervisor.console_close(world.now, CONSOLE, 1);
        world.run_for(secs(3));
        assert!(world.command().is_ok());
        assert_eq!((world.logins(1), world.sessions(1)), (1, 1), "{profile:?}");
        world.supervisor.release(world.now);
        world.run_for(secs(5));
        assert_eq!((world.sessions(1), world.bmc(1).counters().sessions_closed), (0, 1));
    }
}

#[test]
fn an_error_is_everybodys() {
    let mut world = World::new(Profile::Spec, 1, 1);
    world.bmc(1).set_password(b"admin", b"another");
    (1000..1050).for_each(|token| world.supervisor.connect(token));
    world.run_for(secs(5));
    let refused = Some(Err(bmclink::ErrorKind::Password));
    assert!((1000..1050).all(|token| world.done(token) == refused));
    assert_eq!(world.logins_begun, 1);
}

/// One thing that happens to a console or a BMC.
fn disturb(world: &mut World, number: u64, open: &mut Option<u64>) {
    let (now, id) = (world.now, 10_000 + number);
    match (number % 5, *open) {
        (0, None) => {
            world.supervisor.console_open(id, &settings(Keep::Always)).expect("room");
            *open = Some(id);
        }
        (1, Some(console)) => world.supervisor.console_attached(now, console, true),
        (2, Some(console)) => world.supervisor.console_attached(now, console, false),
        (3, Some(console)) => {
            world.supervisor.console_close(now, console, id);
            *open = None;
        }
        (4, _) => {
            let other = number.is_multiple_of(2);
            world.reconfigure(world.target_with(1, |session| session.allow_null_user = other));
        }
        _ => drop(world.begin_command()),
    }
}

#[test]
fn a_thousand_comings_and_goings_leave_one_session() {
    for profile in PROFILES {
        for_seeds(profile, 5, |seed| {
            let mut world = World::new(profile, 1, seed);
            let mut random = crate::random::SplitMix64(seed);
            let mut open = None;
            for number in 0..1000 {
                disturb(&mut world, number + random.below(3) as u64, &mut open);
                world.run_for(millis(random.below(40) as u64));
            }
            if open.is_none() {
                world.supervisor.console_open(1, &settings(Keep::Always)).expect("room");
            }
            // Half-open sessions of logins that were given up are gone by then.
            world.run_for(secs(90));
            assert!(world.is_connected(), "{profile:?} seed {seed}: {:?}", world.changes().last());
            assert_eq!(world.sessions(1), 1, "{profile:?} seed {seed}");
            assert_eq!(world.routes.len(), 1, "{profile:?} seed {seed}");
            assert_eq!(world.logins_begun, world.logins_over, "{profile:?} seed {seed}");
        });
    }
}
