//! P13: good address, bad address, good address: connected within one connect time, every time.

use bmclink::sim::Profile;
use bmclink::supervisor::Keep;

use crate::pair::{PROFILES, millis, secs};
use crate::seeds::for_seeds;
use crate::world::World;

/// The time a login and an activation take, with much room.
const ONE_CONNECT: u64 = 1000;

#[test]
fn two_hundred_cycles_with_every_dwell_heal_two_hundred_times() {
    for profile in PROFILES {
        for (dwell, cycles) in [(millis(50), 200), (secs(1), 200), (secs(10), 50)] {
            let mut world = World::new(profile, 1, 7);
            world.open(Keep::Always);
            assert!(world.run_until(secs(10), World::is_connected));
            for cycle in 0..cycles {
                world.reconfigure(world.target(9, "password"));
                world.run_for(dwell);
                world.reconfigure(world.target(1, "password"));
                let what = format!("{profile:?}, dwell {dwell:?}, cycle {cycle}");
                assert!(world.run_until(millis(ONE_CONNECT), World::is_connected), "{what}");
                assert!(world.echo_works(), "{what}");
            }
            world.run_for(secs(70));
            assert_eq!(world.sessions(1), 1, "{profile:?}");
        }
    }
}

#[test]
fn a_switch_at_every_packet_of_the_handshake_heals() {
    for profile in PROFILES {
        // 12 packets make a login with SOL; the others are those of a running session.
        for packet in 0..20 {
            let mut world = World::new(profile, 1, packet);
            world.open(Keep::Always);
            let limit = world.now + secs(10);
            for _ in 0..packet {
                world.step(limit);
            }
            world.reconfigure(world.target(9, "password"));
            world.run_for(millis(30 * packet));
            world.reconfigure(world.target(1, "password"));
            let what = format!("{profile:?}, after packet {packet}");
            assert!(world.run_until(millis(ONE_CONNECT), World::is_connected), "{what}");
            assert!(world.echo_works(), "{what}");
            world.run_for(secs(70));
            assert_eq!(world.sessions(1), 1, "{what}");
        }
    }
}

#[test]
fn random_switches_under_traffic_heal() {
    for_seeds("flapping", 100, |seed| {
        let mut world = World::new(PROFILES[seed as usize % PROFILES.len()], 2, seed);
        world.open(Keep::Always);
        for round in 0..20u64 {
            let at = if (seed ^ round) % 3 == 0 { 9 } else { 1 + (round % 2) as u8 };
            world.reconfigure(world.target(at, "password"));
            if let Some(session) = world.supervisor.session_mut() {
                session.sol_write(world.now, b"some traffic");
            }
            world.run_for(millis((seed * 7 + round * 13) % 60));
        }
        world.reconfigure(world.target(1, "password"));
        assert!(world.run_until(millis(ONE_CONNECT), World::is_connected), "seed {seed}");
        world.received.clear();
        assert!(world.echo_works(), "seed {seed}");
    });
}

/// Logins that are given up at any step leave half-open sessions at the BMC, and few slots for the
/// login that counts, unless they are given up politely.
#[test]
fn logins_that_are_given_up_one_after_the_other_leave_room_for_the_last() {
    for profile in PROFILES {
        for_seeds(profile, 20, |seed| {
            let mut world = World::new(profile, 1, seed);
            if profile == Profile::Pyghmi {
                // It never forgets a session.
                return;
            }
            world.open(Keep::Always);
            for round in 0..200u64 {
                let other = round.is_multiple_of(2);
                world.reconfigure(world.target_with(1, |session| session.allow_null_user = other));
                world.run_for(millis((seed + round * 7) % 29));
            }
            let what = format!("{profile:?} seed {seed}");
            assert!(world.run_until(millis(ONE_CONNECT), World::is_connected), "{what}");
            assert!(world.echo_works(), "{what}");
        });
    }
}

#[test]
fn a_bmc_that_resets_is_back_at_once_with_its_commands() {
    for profile in [Profile::Spec, Profile::OpenBmc] {
        for_seeds(profile, 20, |seed| {
            let mut world = World::new(profile, 1, seed);
            world.open(Keep::Always);
            assert!(world.run_until(secs(10), World::is_connected));
            world.run_for(secs(100));
            let now = world.now;
            world.bmc(1).reset(now);
            let token = world.begin_command_for(secs(120));
            let (detection, login) = (secs(60), secs(2));
            let back = |world: &World| world.reply(token).is_some() && world.is_connected();
            assert!(world.run_until(detection + login, back), "{profile:?} seed {seed}");
            assert!(matches!(world.reply(token), Some(Ok(_))), "{profile:?} seed {seed}");
            assert!(world.echo_works(), "{profile:?} seed {seed}");
            let logins = world.logins(1);
            assert_eq!(logins, 2, "{profile:?} seed {seed}");
        });
    }
}
