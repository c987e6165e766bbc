//! P6: a wrong password is tried slowly, and heals when it is mended: at the next try when at the
//! BMC, at once when somebody attaches or it is mended here.

use std::time::Duration;

use bmclink::ErrorKind;
use bmclink::sim::Profile;
use bmclink::supervisor::{ConsoleChange, Event, Keep};

use crate::pair::{PROFILES, millis, secs};
use crate::world::{CONSOLE, World};

/// A console whose password the BMC does not have, after its first try.
fn refused(profile: Profile, by_level_only: bool) -> World {
    let mut world = World::new(profile, 1, 1);
    world.bmc(1).quirks_mut().opensesspriv = by_level_only;
    world.bmc(1).set_password(b"admin", b"another");
    world.open(Keep::Always);
    world.run_for(secs(5));
    assert!(!world.is_connected());
    world
}

/// Why it was not connected and when the next try was planned, each time.
fn failures(world: &World) -> Vec<(ErrorKind, Duration)> {
    let mut failures = Vec::new();
    for (at, event) in &world.events {
        if let Event::Console { change: ConsoleChange::Unconnected { reason, next_try }, .. } =
            event
        {
            let next = next_try.expect("it is kept") - world.start;
            failures.push((reason.kind(), next - *at));
        }
    }
    failures
}

#[test]
fn ten_minutes_of_a_wrong_password_cost_one_try_a_minute() {
    for profile in PROFILES {
        let mut world = refused(profile, false);
        // Some BMCs want another form of Open Session: the first time, both are tried.
        let first = world.logins(1);
        assert_eq!(first, 2, "{profile:?}");
        world.run_for(secs(600));
        let later = world.logins(1) - first;
        assert!((8..=10).contains(&later), "{profile:?}: {later}");
        for (kind, wait) in failures(&world) {
            assert_eq!(kind, ErrorKind::Password, "{profile:?}");
            assert!((secs(60)..=secs(75)).contains(&wait), "{profile:?}: {wait:?}");
        }
    }
}

#[test]
fn a_password_mended_at_the_bmc_heals_at_the_next_try() {
    for profile in PROFILES {
        let mut world = refused(profile, false);
        world.run_for(secs(200));
        world.bmc(1).set_password(b"admin", b"password");
        assert!(world.run_until(secs(77), World::is_connected), "{profile:?}");
        assert!(world.echo_works(), "{profile:?}");
        // One that only takes the other form of Open Session has its turn every other time.
        let mut world = refused(profile, true);
        world.bmc(1).set_password(b"admin", b"password");
        assert!(world.run_until(secs(152), World::is_connected), "{profile:?}");
    }
}

#[test]
fn a_password_mended_at_the_bmc_heals_when_somebody_attaches() {
    for profile in PROFILES {
        for by_level_only in [false, true] {
            let mut world = refused(profile, by_level_only);
            world.run_for(secs(130));
            let before = world.logins(1);
            world.bmc(1).set_password(b"admin", b"password");
            world.supervisor.console_attached(world.now, CONSOLE, true);
            assert!(world.run_until(millis(500), World::is_connected), "{profile:?}");
            assert!(world.logins(1) - before <= 1 + u64::from(by_level_only), "{profile:?}");
        }
    }
}

#[test]
fn a_password_mended_here_heals_at_once() {
    for profile in PROFILES {
        for by_level_only in [false, true] {
            let mut world = refused(profile, by_level_only);
            world.run_for(secs(130));
            let before = world.changes().len();
            world.reconfigure(world.target(1, "another"));
            assert!(world.run_until(millis(500), World::is_connected), "{profile:?}");
            let changes = world.changes().split_off(before);
            assert!(
                matches!(
                    changes.as_slice(),
                    [ConsoleChange::Connecting, ConsoleChange::Connected { .. }]
                ),
                "{profile:?}: {changes:?}"
            );
        }
    }
}

#[test]
fn a_wrong_password_here_and_then_another_wrong_one_are_both_tried_at_once() {
    let mut world = refused(Profile::Spec, false);
    for wrong in ["first", "second", "third"] {
        let before = world.logins(1);
        world.reconfigure(world.target(1, wrong));
        world.run_for(secs(1));
        // In both forms: the refusal of another password says nothing of this one.
        assert_eq!(world.logins(1) - before, 2, "{wrong}");
    }
    let before = world.logins(1);
    world.reconfigure(world.target(1, "third"));
    world.run_for(secs(30));
    assert_eq!(world.logins(1), before, "an equal value changes nothing");
}

#[test]
fn a_password_changed_under_a_session_is_met_at_the_next_login() {
    let mut world = World::new(Profile::Spec, 1, 1);
    world.open(Keep::Always);
    assert!(world.run_until(secs(10), World::is_connected));
    world.bmc(1).set_password(b"admin", b"another");
    let now = world.now;
    world.bmc(1).reset(now);
    world.run_for(secs(300));
    let kinds: Vec<_> = failures(&world).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds[..2], [ErrorKind::Lost, ErrorKind::Password]);
    // A BMC that was logged in to is known: one form is enough from the first try on.
    assert!((5..=6).contains(&world.logins(1)), "{}", world.logins(1));
}

/// The password is right and K_g is not: it has a name of its own, and is as slow.
#[test]
fn a_k_g_that_is_wrong_missing_or_superfluous_is_named_and_heals() {
    // OpenBMC has no K_g.
    for profile in PROFILES.into_iter().filter(|profile| *profile != Profile::OpenBmc) {
        for (here, there) in [(&b"ours"[..], &b"theirs"[..]), (b"", b"theirs"), (b"ours", b"")] {
            let mut world = World::new(profile, 1, 1);
            world.bmc(1).set_k_g(there);
            let with = |world: &World, key: &[u8]| {
                let key = bmclink::crypto::Secret::new(key);
                world.target_with(1, |session| session.k_g = key)
            };
            world.reconfigure(with(&world, here));
            world.open(Keep::Always);
            world.run_for(secs(300));
            let failures = failures(&world);
            assert!((4..=6).contains(&failures.len()), "{profile:?}: {failures:?}");
            for (kind, wait) in failures {
                assert_eq!(kind, ErrorKind::KG, "{profile:?}: {here:?} {there:?}");
                assert!(wait >= secs(60), "{profile:?}");
            }
            world.reconfigure(with(&world, there));
            assert!(world.run_until(secs(1), World::is_connected), "{profile:?}");
        }
    }
}
