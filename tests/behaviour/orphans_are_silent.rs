//! P12: nothing of an older session reaches anybody, whenever it arrives and however often.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use bmclink::ErrorKind;
use bmclink::sim::Profile;
use bmclink::supervisor::{ConsoleChange, Event, Keep, Target};

use crate::pair::{PROFILES, console_address, millis, secs};
use crate::world::{CONSOLE, World};

/// Datagrams of BMCs, with where they came from.
type Datagrams = Rc<RefCell<Vec<(SocketAddr, Vec<u8>)>>>;

/// Has everything that BMCs send kept; and, while `held` is set, not delivered.
fn keep_all(world: &mut World) -> (Datagrams, Rc<RefCell<bool>>) {
    let (kept, held) = (Datagrams::default(), Rc::new(RefCell::new(false)));
    let (list, hold) = (kept.clone(), held.clone());
    world.tap = Some(Box::new(move |from, to, datagram| {
        if to != console_address() {
            return vec![datagram];
        }
        list.borrow_mut().push((from, datagram.clone()));
        if *hold.borrow() { Vec::new() } else { vec![datagram] }
    }));
    (kept, held)
}

/// Delivers all of them, in order, backwards, and each twice.
fn replay(world: &mut World, datagrams: &[(SocketAddr, Vec<u8>)]) {
    let forward = datagrams.iter();
    let backward = datagrams.iter().rev();
    for (from, datagram) in forward.chain(backward).flat_map(|one| [one, one]) {
        world.deliver(*from, console_address(), datagram.clone());
        world.settle();
    }
}

/// Another BMC, or the same one in another way.
fn other(world: &World, same: bool) -> Target {
    if same {
        world.target_with(1, |session| session.allow_null_user = true)
    } else {
        world.target(2, "password")
    }
}

/// Switches after `packet` packets, with the last ones of the old session still to come, and
/// delivers all of the old session at every step of the new one.
fn switched_after(profile: Profile, packet: u64, same: bool) {
    let mut world = World::new(profile, 2, packet);
    let what = format!("{profile:?}, packet {packet}, same BMC {same}");
    let (kept, held) = keep_all(&mut world);
    world.open(Keep::Always);
    let limit = world.now + secs(5);
    for _ in 0..packet {
        world.step(limit);
        let now = world.now;
        world.bmc(1).serial_output(now, b"old");
    }
    *held.borrow_mut() = true;
    world.run_for(millis(20));
    let token = world.begin_command();
    world.run_for(millis(20));
    let (received, before) = (world.received.len(), world.changes().len());
    let was_connected = world.is_connected();
    world.reconfigure(other(&world, same));
    *held.borrow_mut() = false;
    let old: Vec<_> = kept.borrow().clone();
    world.settle();
    replay(&mut world, &old);
    for _ in 0..40 {
        world.step(world.now + millis(100));
        replay(&mut world, &old);
    }
    assert!(world.run_until(secs(3), World::is_connected), "{what}");
    replay(&mut world, &old);
    assert!(world.echo_works(), "{what}");
    replay(&mut world, &old);
    world.run_for(secs(5));
    assert_eq!(String::from_utf8_lossy(&world.received[received..]), "?", "{what}");
    assert_exact(&world, before, was_connected, &what);
    assert_answered_once(&world, token, &what);
}

/// After the switch the console is connected once and nothing else.
fn assert_exact(world: &World, before: usize, was_connected: bool, what: &str) {
    let changes = world.changes().split_off(before);
    let changes = changes.iter().filter(|change| !matches!(change, ConsoleChange::Sol(_)));
    let changes: Vec<_> = changes.collect();
    let fine = match changes.as_slice() {
        [ConsoleChange::Connected { .. }] => !was_connected,
        [
            ConsoleChange::Unconnected { reason, .. },
            ConsoleChange::Connecting,
            ConsoleChange::Connected { .. },
        ] => was_connected && reason.kind() == ErrorKind::Reconfigured,
        _ => false,
    };
    assert!(fine, "{what}: {changes:?}");
}

/// A command in flight ended with the switch; one that waited for the login is the new one's.
fn assert_answered_once(world: &World, token: u64, what: &str) {
    let replies = world
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Event::Reply { token: other, .. } if *other == token));
    assert_eq!(replies.count(), 1, "{what}");
    let reply = world.reply(token).expect("just counted").map(drop);
    assert!(matches!(reply, Ok(()) | Err(ErrorKind::Reconfigured)), "{what}: {reply:?}");
}

#[test]
fn old_packets_say_nothing_whenever_the_switch_comes() {
    for profile in PROFILES {
        for packet in 0..30 {
            for same in [false, true] {
                switched_after(profile, packet, same);
            }
        }
    }
}

/// A console that is closed hears nothing more of what its line still says.
#[test]
fn a_closed_console_is_silent() {
    for profile in PROFILES {
        let mut world = World::new(profile, 1, 1);
        let (kept, _) = keep_all(&mut world);
        world.open(Keep::Always);
        assert!(world.run_until(secs(10), World::is_connected));
        world.supervisor.console_close(world.now, CONSOLE, 1);
        world.run_for(secs(3));
        let (received, events) = (world.received.len(), world.events.len());
        let old: Vec<_> = kept.borrow().clone();
        replay(&mut world, &old);
        let now = world.now;
        world.bmc(1).serial_output(now, b"anybody?");
        world.run_for(secs(3));
        assert_eq!((world.received.len(), world.events.len()), (received, events), "{profile:?}");
    }
}
