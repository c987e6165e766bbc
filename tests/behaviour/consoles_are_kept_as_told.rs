//! The life of a console: exact events, at once when somebody comes, and asleep when nobody is
//! there.

use std::time::Duration;

use bmclink::ErrorKind;
use bmclink::sim::Profile;
use bmclink::supervisor::{ConsoleChange, Event, Keep, RetryConfig, Supervisor};
use bmclink::wire::payload::PayloadType;

use crate::pair::{PROFILES, millis, request, secs};
use crate::scripted::{Kind, kind, refused};
use crate::world::{CONSOLE, World, address, settings};

/// The changes of the console as a word each, with the reasons.
fn story(world: &World) -> Vec<String> {
    let word = |change: &ConsoleChange| match change {
        ConsoleChange::Connecting => "connecting".to_owned(),
        ConsoleChange::Connected { .. } => "connected".to_owned(),
        ConsoleChange::Unconnected { reason, .. } => format!("{:?}", reason.kind()),
        ConsoleChange::Closed => "closed".to_owned(),
        ConsoleChange::Sol(event) => format!("{event:?}"),
    };
    world.changes().iter().map(word).collect()
}

#[test]
fn a_black_hole_is_connecting_and_then_unreachable() {
    let mut world = World::new(Profile::Spec, 1, 1);
    world.net.set_reachable(address(1), false);
    assert_eq!(world.connect(), Err(ErrorKind::Unreachable));
    world.run_for(secs(600));
    assert_eq!(story(&world), ["connecting", "Unreachable"]);
    assert_eq!(world.logins_begun, 1);
}

#[test]
fn reachable_is_connecting_and_then_connected() {
    for profile in PROFILES {
        let mut world = World::new(profile, 1, 1);
        assert_eq!(world.connect(), Ok(()));
        assert_eq!(world.connect(), Ok(()), "again");
        world.run_for(secs(300));
        assert_eq!(story(&world), ["connecting", "connected"], "{profile:?}");
        assert_eq!(world.bmc(1).counters().activate_payload, 1, "{profile:?}");
    }
}

#[test]
fn every_refusal_of_activate_payload_is_one_failure() {
    for (code, expected) in [
        (0x80, ErrorKind::SolInUse),
        (0x81, ErrorKind::SolDisabled),
        (0x82, ErrorKind::SolInUse),
        (0x83, ErrorKind::SolRefused),
        (0x84, ErrorKind::SolRefused),
        (0xc1, ErrorKind::SolRefused),
        (0xc9, ErrorKind::SolRefused),
        (0xd4, ErrorKind::Privilege),
    ] {
        let mut world = World::new(Profile::Spec, 1, 1);
        world.bmc(1).script_completion(6, 0x48, code, u32::MAX);
        assert_eq!(world.connect(), Err(expected), "{code:02x}h");
        world.run_for(secs(60));
        assert_eq!(
            story(&world),
            ["connecting".to_owned(), format!("{expected:?}")],
            "{code:02x}h"
        );
        assert!(world.command().is_ok(), "the session lives on");
        assert_eq!(world.logins_begun, 1);
    }
}

#[test]
fn every_refusal_of_a_login_is_one_failure() {
    for payload_type in [PayloadType::OpenSessionResponse, PayloadType::Rakp2, PayloadType::Rakp4] {
        for status in 0x01..=0x12 {
            let mut world = World::new(Profile::Spec, 1, 1);
            world.tap = Some(Box::new(move |_, _, datagram| {
                if kind(&datagram) == Kind::Setup(payload_type) {
                    return vec![refused(&datagram, status)];
                }
                vec![datagram]
            }));
            let error = world.connect().expect_err("refused");
            let what = format!("{payload_type:?} {status:02x}h: {error:?}");
            world.run_for(secs(120));
            assert_eq!(story(&world), ["connecting".to_owned(), format!("{error:?}")], "{what}");
            assert_eq!((world.logins_begun, world.logins_over), (1, 1), "{what}");
            let expected = match (payload_type, status) {
                (_, 0x01) => ErrorKind::NoFreeSession,
                (PayloadType::Rakp2, 0x0d) => ErrorKind::UserName,
                (PayloadType::Rakp4, 0x0f) => ErrorKind::Password,
                (PayloadType::OpenSessionResponse, 0x11) => ErrorKind::CipherSuite,
                _ => continue,
            };
            assert_eq!(error, expected, "{what}");
        }
    }
}

/// A retry is a minute away, and somebody attaches.
#[test]
fn somebody_who_attaches_does_not_wait_for_the_next_try() {
    for keep in [Keep::Always, Keep::WhileAttached(secs(10))] {
        let mut world = World::new(Profile::Spec, 1, 1);
        world.bmc(1).set_password(b"admin", b"another");
        world.open(keep);
        world.supervisor.console_attached(world.now, CONSOLE, true);
        world.run_for(secs(5));
        world.bmc(1).set_password(b"admin", b"password");
        let (begun, sent) = (world.logins_begun, world.sent.len());
        let at = world.elapsed();
        world.supervisor.console_attached(world.now, CONSOLE, true);
        world.settle();
        assert_eq!(world.sent.len(), sent + 1, "the first packet");
        assert_eq!(world.sent[sent].0, at);
        world.supervisor.console_attached(world.now, CONSOLE, true);
        assert!(world.run_until(millis(500), World::is_connected));
        world.run_for(secs(300));
        assert_eq!(world.logins_begun, begun + 1, "one attempt only");
        assert!(world.is_connected());
    }
}

#[test]
fn a_console_on_demand_sleeps_while_nobody_is_there() {
    for profile in PROFILES {
        let mut world = World::new(profile, 1, 1);
        world.open(Keep::WhileAttached(secs(10)));
        world.run_for(secs(100));
        assert_eq!((story(&world).len(), world.sent.len()), (0, 0), "nothing is sent for nobody");
        for round in 0..5 {
            world.supervisor.console_attached(world.now, CONSOLE, true);
            assert!(world.run_until(secs(1), World::is_connected), "{profile:?}");
            assert!(world.echo_works());
            world.supervisor.console_attached(world.now, CONSOLE, false);
            world.run_for(secs(9));
            assert!(world.is_connected(), "{profile:?}: it lingers");
            if round % 2 == 0 {
                // Back in time: nothing happened.
                world.supervisor.console_attached(world.now, CONSOLE, true);
                world.run_for(secs(30));
                assert!(world.is_connected());
                world.supervisor.console_attached(world.now, CONSOLE, false);
                world.run_for(secs(9));
            }
            world.run_for(secs(3));
            assert!(!world.is_connected(), "{profile:?}");
            world.run_for(secs(20));
        }
        assert_eq!(story(&world), ["connecting", "connected", "NotConnected"].repeat(5));
        // The session under it goes on.
        assert_eq!((world.logins(1), world.sessions(1)), (1, 1), "{profile:?}");
        assert_eq!(world.bmc(1).counters().deactivate_payload, 5, "{profile:?}");
    }
}

#[test]
fn a_connect_that_outlasts_the_linger_is_answered() {
    let mut world = World::new(Profile::Spec, 1, 1);
    world.net.set_reachable(address(1), false);
    world.open(Keep::WhileAttached(millis(10)));
    world.supervisor.console_attached(world.now, CONSOLE, true);
    let token = world.begin_connect();
    world.supervisor.console_attached(world.now, CONSOLE, false);
    world.run_for(secs(3));
    assert_eq!(world.done(token), None);
    world.net.set_reachable(address(1), true);
    world.run_until(secs(20), |world| world.done(token).is_some());
    assert_eq!(world.done(token), Some(Ok(())));
    // Then nobody is there any more.
    world.run_for(secs(5));
    assert!(!world.is_connected());
}

/// For ever is longer than a clock goes.
#[test]
fn a_console_that_lingers_for_ever_stays_once_somebody_came() {
    let mut world = World::new(Profile::Spec, 1, 1);
    world.open(Keep::WhileAttached(Duration::MAX));
    world.run_for(secs(100));
    assert_eq!(world.sent.len(), 0, "nobody came");
    world.supervisor.console_attached(world.now, CONSOLE, true);
    assert!(world.run_until(secs(1), World::is_connected));
    world.supervisor.console_attached(world.now, CONSOLE, false);
    world.run_for(secs(10_000));
    assert!(world.is_connected());
    let now = world.now;
    world.bmc(1).reset(now);
    assert!(world.run_until(secs(300), |world| !world.is_connected()));
    assert!(world.run_until(secs(60), World::is_connected), "it is kept");
}

/// It was kept although nobody was there; from now on that matters.
#[test]
fn a_console_that_nobody_needs_any_more_goes_to_sleep() {
    let on_demand = settings(Keep::WhileAttached(secs(10)));
    for password in ["password", "another"] {
        let mut world = World::new(Profile::Spec, 1, 1);
        world.bmc(1).set_password(b"admin", password.as_bytes());
        world.open(Keep::Always);
        world.run_for(secs(5));
        assert_eq!(world.is_connected(), password == "password");
        world.supervisor.console_reconfigure(world.now, CONSOLE, &on_demand);
        world.run_for(secs(9));
        assert_eq!(world.is_connected(), password == "password", "it lingers");
        world.run_for(secs(2));
        let last = world.changes().pop();
        let asleep = matches!(&last, Some(ConsoleChange::Unconnected { reason, next_try: None })
            if reason.kind() == ErrorKind::NotConnected);
        assert!(asleep, "{last:?}");
        let (sent, told) = (world.sent.len(), world.changes().len());
        world.run_for(secs(25));
        assert_eq!((story(&world).len(), world.logins_begun <= 2), (told, true));
        if password == "another" {
            assert_eq!(world.sent.len(), sent, "nothing is tried for nobody");
        }
        // Who comes finds it as any other.
        world.bmc(1).set_password(b"admin", b"password");
        world.supervisor.console_attached(world.now, CONSOLE, true);
        assert!(world.run_until(secs(1), World::is_connected));
    }
}

/// The try that was planned is called off, and whoever waits for it is told.
#[test]
fn a_console_that_is_kept_no_more_is_not_tried_any_more() {
    let mut world = World::new(Profile::Spec, 1, 1);
    world.bmc(1).set_password(b"admin", b"another");
    world.open(Keep::Always);
    world.run_for(secs(5));
    let on_request = settings(Keep::OnRequest);
    world.supervisor.console_reconfigure(world.now, CONSOLE, &on_request);
    let sent = world.sent.len();
    world.run_for(secs(600));
    assert_eq!(world.sent.len(), sent);
    assert_eq!(story(&world), ["connecting", "Password", "Password"]);
    let last = world.changes().pop();
    assert!(matches!(last, Some(ConsoleChange::Unconnected { next_try: None, .. })), "{last:?}");
    // Equal settings again: nothing.
    world.supervisor.console_reconfigure(world.now, CONSOLE, &on_request);
    world.run_for(secs(60));
    assert_eq!(story(&world).len(), 3);
}

/// Waits that no clock reaches are waits for somebody to come.
#[test]
fn a_retry_that_is_never_waits_for_somebody() {
    let mut never = settings(Keep::Always);
    never.retry = RetryConfig {
        first: Duration::MAX,
        max: Duration::MAX,
        credentials: Duration::MAX,
        refused: Duration::MAX,
        stolen: Duration::MAX,
        stable: Duration::MAX,
    };
    for expected in [ErrorKind::Password, ErrorKind::SolDisabled] {
        let mut world = World::new(Profile::Spec, 1, 1);
        if expected == ErrorKind::Password {
            world.bmc(1).set_password(b"admin", b"another");
        } else {
            world.bmc(1).script_completion(6, 0x48, 0x81, 1);
        }
        world.supervisor.console_open(CONSOLE, &never).expect("room");
        world.run_for(secs(100_000));
        assert_eq!(story(&world), ["connecting".to_owned(), format!("{expected:?}")]);
        let last = world.changes().pop();
        assert!(matches!(last, Some(ConsoleChange::Unconnected { next_try: None, .. })));
        if expected == ErrorKind::Password {
            world.reconfigure(world.target(1, "another"));
        } else {
            world.supervisor.console_attached(world.now, CONSOLE, true);
        }
        assert!(world.run_until(secs(5), World::is_connected), "{expected:?}");
    }
}

#[test]
fn of_two_consoles_the_second_one_is_told_that_there_is_another() {
    for keep in [Keep::Always, Keep::WhileAttached(secs(1)), Keep::OnRequest] {
        let mut world = World::new(Profile::Spec, 1, 1);
        world.supervisor.console_open(CONSOLE, &settings(keep)).expect("room");
        if keep == Keep::OnRequest {
            world.connect().expect("connected");
        }
        let other = settings(Keep::Always);
        let busy = world.supervisor.console_open(2, &other).map_err(|error| error.kind());
        assert_eq!(busy, Err(ErrorKind::Busy), "{keep:?}");
        world.supervisor.console_connect(2, &other, 7);
        world.settle();
        assert_eq!(world.done(7), Some(Err(ErrorKind::Busy)), "{keep:?}");
        // It still has its place, and gives it free when it is closed.
        world.supervisor.console_attached(world.now, CONSOLE, true);
        assert_eq!(world.connect(), Ok(()), "{keep:?}");
        world.supervisor.console_close(world.now, CONSOLE, 8);
        world.supervisor.console_connect(2, &other, 9);
        world.run_for(secs(2));
        assert_eq!((world.done(8), world.done(9)), (Some(Ok(())), Some(Ok(()))), "{keep:?}");
        assert_eq!(world.logins(1), 1);
    }
}

#[test]
fn another_way_to_run_a_console_breaks_it_once_and_counts_from_the_first_activation() {
    let mut other = settings(Keep::Always);
    other.sol.retransmit_first = millis(700);
    // While it is connected, and at every packet before.
    for packet in 0..24 {
        let mut world = World::new(Profile::Spec, 1, packet);
        world.open(Keep::Always);
        let limit = world.now + secs(5);
        for _ in 0..packet {
            world.step(limit);
        }
        let was_connected = world.is_connected();
        world.supervisor.console_reconfigure(world.now, CONSOLE, &other);
        world.run_for(secs(3));
        let mut expected = vec!["connecting", "connected"];
        if was_connected {
            expected.extend(["Reconfigured", "connecting", "connected"]);
        }
        assert_eq!(story(&world), expected, "packet {packet}");
        assert!(world.echo_works());
        assert_eq!(world.logins(1), 1);
    }
}

#[test]
fn take_over_that_is_allowed_while_it_is_refused_is_used_at_once() {
    let mut world = World::new(Profile::Spec, 1, 1);
    world.add_rival();
    world.rivals[0].supervisor.console_connect(CONSOLE, &settings(Keep::OnRequest), 1);
    world.run_for(secs(2));
    world.open(Keep::Always);
    world.run_for(secs(2));
    assert_eq!(story(&world), ["connecting", "SolInUse"]);
    let mut taking = settings(Keep::Always);
    taking.sol.take_over = bmclink::TakeOver::Once;
    world.supervisor.console_reconfigure(world.now, CONSOLE, &taking);
    assert!(world.run_until(secs(2), World::is_connected));
}

/// A session that died unnoticed is met by whoever connects next.
#[test]
fn a_console_that_finds_a_dead_session_gets_another_one() {
    for profile in [Profile::Spec, Profile::OpenBmc, Profile::GoIpmi, Profile::IpmiSim] {
        let mut world = World::new(profile, 1, 1);
        assert!(world.command().is_ok());
        world.run_for(secs(10));
        let now = world.now;
        world.bmc(1).reset(now);
        assert_eq!(world.connect(), Ok(()), "{profile:?}");
        assert_eq!(story(&world), ["connecting", "connected"], "{profile:?}");
        assert_eq!(world.logins(1), 2, "{profile:?}");
    }
}

#[test]
fn a_request_goes_to_the_address_that_answers() {
    for silent in [1, 2] {
        let mut world = World::new(Profile::Spec, 1, 1);
        let addresses = [vec![address(9)], vec![address(8), address(9)]][silent - 1].clone();
        let addresses = addresses.into_iter().chain([address(1)]).collect();
        world.names.insert("bmc".to_owned(), addresses);
        let mut target = world.target(1, "password");
        target.host = "bmc".to_owned();
        world.reconfigure(target);
        // Also one that acts: it was never sent.
        world.supervisor.submit(world.now, request(1, 0, 2, &[1]));
        assert!(world.command().is_ok(), "{silent} silent");
        assert!(matches!(world.reply(1), Some(Ok(_))), "{silent} silent");
        assert_eq!(world.logins_begun as usize, silent + 1);
    }
}

#[test]
fn input_that_a_change_cuts_off_is_reported() {
    let mut world = World::new(Profile::Spec, 2, 1);
    world.open(Keep::Always);
    assert!(world.run_until(secs(10), World::is_connected));
    world.net.set_reachable(address(1), false);
    let now = world.now;
    let session = world.supervisor.session_mut().expect("connected");
    assert_eq!(session.sol_write(now, b"lost"), 4);
    world.run_for(secs(1));
    world.reconfigure(world.target(2, "password"));
    assert!(world.run_until(secs(1), World::is_connected));
    let lost = world.changes().into_iter().any(|change| {
        let lost = bmclink::session::SolEvent::InputLost { bytes: 4 };
        change == ConsoleChange::Sol(lost)
    });
    assert!(lost, "{:?}", world.changes());
}

/// Whoever held it lets go at any packet: nothing is left at the BMC.
#[test]
fn release_at_every_packet_leaves_no_session() {
    for profile in PROFILES {
        for packet in 0..30 {
            let mut world = World::new(profile, 1, packet);
            world.open(Keep::Always);
            let command = world.begin_command();
            let limit = world.now + secs(5);
            for _ in 0..packet {
                world.step(limit);
            }
            let what = format!("{profile:?}, packet {packet}");
            world.supervisor.cancel(world.now, command);
            world.supervisor.console_close(world.now, CONSOLE, 1);
            world.supervisor.release(world.now);
            world.run_for(secs(10));
            assert_eq!(world.done(1), Some(Ok(())), "{what}");
            assert_eq!(world.sessions(1), 0, "{what}");
            assert!(world.routes.is_empty(), "{what}");
            assert_eq!(world.logins_begun, world.logins_over, "{what}");
            assert!(matches!(world.events.last(), Some((_, Event::Gone))), "{what}");
            let gone = world.events.iter().filter(|(_, event)| *event == Event::Gone).count();
            assert_eq!((gone, story(&world).last().map(String::as_str)), (1, Some("closed")));
            if profile != Profile::Pyghmi {
                assert_eq!(world.bmc(1).sol_owner(), None, "{what}");
            }
        }
    }
}

/// Closing gives SOL back and nothing else: the command in flight is answered.
#[test]
fn closing_leaves_the_session_and_its_commands() {
    for profile in PROFILES {
        let mut world = World::new(profile, 1, 1);
        world.open(Keep::Always);
        assert!(world.run_until(secs(10), World::is_connected));
        world.bmc(1).command_delay(6, 1, millis(500));
        let command = world.begin_command();
        world.run_for(millis(100));
        let deactivated = world.bmc(1).counters().deactivate_payload;
        world.supervisor.console_close(world.now, CONSOLE, 1);
        world.run_for(secs(3));
        assert_eq!(world.done(1), Some(Ok(())), "{profile:?}");
        assert!(matches!(world.reply(command), Some(Ok(_))), "{profile:?}");
        let counters = *world.bmc(1).counters();
        assert_eq!(counters.deactivate_payload - deactivated, 1, "{profile:?}");
        assert_eq!((counters.sessions_closed, counters.rakp1), (0, 1), "{profile:?}");
        assert!(world.command().is_ok());
        assert_eq!(world.logins(1), 1, "{profile:?}");
    }
}

/// What a supervisor is asked after it was shut down is refused, and nothing waits.
#[test]
fn after_the_end_everything_is_refused() {
    let mut world = World::new(Profile::Spec, 1, 1);
    world.open(Keep::Always);
    assert!(world.run_until(secs(10), World::is_connected));
    let supervisor: &mut Supervisor = &mut world.supervisor;
    supervisor.shut_down(world.now);
    supervisor.console_connect(2, &settings(Keep::Always), 1);
    supervisor.connect(2);
    supervisor.submit(world.now, request(3, 6, 1, &[]));
    let opened = supervisor.console_open(3, &settings(Keep::Always));
    assert_eq!(opened.map_err(|error| error.kind()), Err(ErrorKind::ShutDown));
    supervisor.console_attached(world.now, CONSOLE, true);
    world.run_for(secs(60));
    let shut_down = Some(Err(ErrorKind::ShutDown));
    assert_eq!((world.done(1), world.done(2)), (shut_down, shut_down));
    assert_eq!(world.reply(3).map(|reply| reply.map(drop)), Some(Err(ErrorKind::ShutDown)));
    // The last two are the other console's.
    assert_eq!(story(&world), ["connecting", "connected", "ShutDown", "connecting", "ShutDown"]);
    assert_eq!((world.sessions(1), world.bmc(1).sol_owner()), (0, None));
}
