//! Whatever is asked of a supervisor, whatever the network and the BMCs do: everybody gets one
//! answer, every address is given back once, and in the end there is rest.

use std::collections::BTreeMap;
use std::time::Duration;

use bmclink::session::SolEvent;
use bmclink::sim::net::Faults;
use bmclink::supervisor::{ConsoleChange, Event, Icmp, Keep, Output, Target};

use crate::pair::{PROFILES, console_address, millis, request, secs};
use crate::random::SplitMix64;
use crate::seeds::for_seeds;
use crate::world::{World, address, settings};

/// What was asked for, and is to be answered.
#[derive(Default)]
struct Asked {
    done: Vec<u64>,
    replies: Vec<u64>,
    cancelled: Vec<u64>,
    /// Consoles that are not closed yet.
    open: Vec<u64>,
    closed: Vec<u64>,
    next: u64,
}

impl Asked {
    fn token(&mut self) -> u64 {
        self.next += 1;
        1_000_000 + self.next
    }
}

fn keep(random: &mut SplitMix64) -> Keep {
    match random.below(4) {
        0 => Keep::OnRequest,
        1 => Keep::WhileAttached(millis(random.below(3000) as u64)),
        _ => Keep::Always,
    }
}

fn target(world: &World, random: &mut SplitMix64) -> Target {
    match random.below(8) {
        0 => world.target(9, "password"),
        1 => world.target(1, "wrong"),
        2 => Target { host: "bmc".to_owned(), ..world.target(1, "password") },
        3 => Target { host: "nowhere".to_owned(), ..world.target(1, "password") },
        4 => world.target_with(1, |session| session.request_window = 2),
        at => world.target(1 + (at % 2) as u8, "password"),
    }
}

/// Something is asked of a console.
fn ask_console(world: &mut World, random: &mut SplitMix64, asked: &mut Asked) {
    let now = world.now;
    let mut settings = settings(keep(random));
    settings.sol.retransmit_first = millis(500 + random.below(2) as u64);
    if asked.open.is_empty() || random.below(10) == 0 {
        let id = asked.token();
        asked.open.push(id);
    }
    let at = random.below(asked.open.len());
    let id = asked.open[at];
    match random.below(6) {
        0 => drop(world.supervisor.console_open(id, &settings)),
        1 => {
            let token = asked.token();
            asked.done.push(token);
            world.supervisor.console_connect(id, &settings, token);
        }
        2 => world.supervisor.console_attached(now, id, random.below(2) == 0),
        3 => world.supervisor.console_reconfigure(now, id, &settings),
        4 => {
            let token = asked.token();
            asked.done.push(token);
            asked.closed.push(asked.open.swap_remove(at));
            world.supervisor.console_close(now, id, token);
        }
        _ => {
            let bytes = random.bytes(20);
            if let Some(session) = world.supervisor.session_mut() {
                session.sol_write(now, &bytes);
            }
        }
    }
}

/// Something is asked of the BMC.
fn ask(world: &mut World, random: &mut SplitMix64, asked: &mut Asked) {
    let now = world.now;
    match random.below(7) {
        0 => {
            let token = asked.token();
            asked.done.push(token);
            world.supervisor.connect(token);
        }
        1 | 2 => {
            let token = asked.token();
            asked.replies.push(token);
            // One that is repeated, and one that acts.
            let (net_fn, cmd) = if random.below(2) == 0 { (6, 1) } else { (0, 2) };
            let data: &[u8] = if cmd == 1 { &[] } else { &[5] };
            let deadline = (random.below(2) == 0).then_some(now + secs(20));
            let request = request(token, net_fn, cmd, data);
            world.supervisor.submit(now, bmclink::session::Request { deadline, ..request });
        }
        3 if !asked.replies.is_empty() => {
            let at = random.below(asked.replies.len());
            let token = asked.replies[at];
            if world.reply(token).is_none() {
                asked.replies.swap_remove(at);
                asked.cancelled.push(token);
                world.supervisor.cancel(now, token);
            }
        }
        4 if !asked.done.is_empty() => {
            let token = asked.done[random.below(asked.done.len())];
            world.supervisor.give_up(now, token);
        }
        5 => world.reconfigure(target(world, random)),
        _ => {}
    }
}

/// Something happens to a BMC or on the way.
fn happen(world: &mut World, random: &mut SplitMix64) {
    let (now, at) = (world.now, 1 + random.below(2) as u8);
    match random.below(12) {
        0 => world.bmc(at).reset(now),
        1 => world.bmc(at).steal_sol(now),
        2 => world.bmc(at).set_password(b"admin", [&b"password"[..], b"x"][random.below(2)]),
        3 => world.bmc(at).fill_session_table(random.below(3) == 0),
        4 => world.net.set_reachable(address(at), random.below(3) > 0),
        5 => world.bmc(at).script_completion(6, 0x48, random.byte(), 1),
        6 => {
            let icmp = Icmp { refused: random.below(2) == 0, text: "refused" };
            world.supervisor.handle_icmp(now, address(at), icmp);
        }
        7 if !world.sent.is_empty() => {
            // Something that was sent once comes back, or garbage.
            let (_, _, bytes) = world.sent[random.below(world.sent.len())].clone();
            world.deliver(address(at), console_address(), bytes);
        }
        8 => world.bmc(at).command_delay(6, 1, millis(random.below(3000) as u64)),
        9 => {
            let mut chance = |max: usize| random.below(max + 1) as f64 / 100.0;
            let faults = Faults {
                loss: chance(40),
                duplicate: chance(20),
                reorder: chance(20),
                corrupt: chance(5),
                delay: millis(1)..millis(80),
                ..Faults::default()
            };
            world.net.set_faults(faults);
        }
        10 => drop(world.bmc(at).serial_output(now, b"some output")),
        _ => world.supervisor.handle_timeout(now),
    }
}

/// Everything is well again.
fn mend(world: &mut World) {
    world.net.set_faults(Faults { delay: millis(2)..millis(4), ..Faults::default() });
    for at in 1..=2 {
        world.net.set_reachable(address(at), true);
        world.bmc(at).fill_session_table(false);
        world.bmc(at).set_password(b"admin", b"password");
        world.bmc(at).command_delay(6, 1, Duration::ZERO);
    }
    world.reconfigure(world.target(1, "password"));
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// And whether it is to be tried again.
    Unconnected(bool),
    Connecting,
    Connected,
    Closed,
}

/// Every change of a console follows from the one before.
fn assert_lives_are_right(world: &World) {
    let mut states: BTreeMap<u64, State> = BTreeMap::new();
    for (at, event) in &world.events {
        let Event::Console { id, change } = event else { continue };
        let state = states.entry(*id).or_insert(State::Unconnected(false));
        let next = match (*state, change) {
            (State::Unconnected(_), ConsoleChange::Connecting) => State::Connecting,
            (State::Connecting, ConsoleChange::Connected { .. }) => State::Connected,
            (
                State::Connecting | State::Connected | State::Unconnected(true),
                ConsoleChange::Unconnected { next_try, .. },
            ) => State::Unconnected(next_try.is_some()),
            (state, ConsoleChange::Closed) if state != State::Closed => State::Closed,
            (
                state,
                ConsoleChange::Sol(SolEvent::InputLost { .. } | SolEvent::BreakDone { .. }),
            ) => state,
            (state @ State::Connected, ConsoleChange::Sol(_)) => state,
            (_, change) => panic!(
                "seed {}: console {id} at {at:?}: {change:?}: {:#?}",
                world.seed,
                world
                    .events
                    .iter()
                    .filter(|(_, e)| matches!(e, Event::Console { .. }))
                    .collect::<Vec<_>>()
            ),
        };
        *state = next;
    }
}

fn assert_answered(world: &World, asked: &Asked) {
    let seed = world.seed;
    let done = |token: u64| {
        let is = |event: &Event| matches!(event, Event::Done { token: t, .. } if *t == token);
        world.events.iter().filter(|(_, event)| is(event)).count()
    };
    let replied = |token: u64| {
        let is = |event: &Event| matches!(event, Event::Reply { token: t, .. } if *t == token);
        world.events.iter().filter(|(_, event)| is(event)).count()
    };
    for token in &asked.done {
        assert_eq!(done(*token), 1, "seed {seed}: call {token}");
    }
    for token in &asked.replies {
        assert_eq!(replied(*token), 1, "seed {seed}: request {token}");
    }
    for token in &asked.cancelled {
        assert!(replied(*token) <= 1, "seed {seed}: cancelled request {token}");
    }
    for id in &asked.closed {
        let closed = Event::Console { id: *id, change: ConsoleChange::Closed };
        let closed = world.events.iter().filter(|(_, event)| *event == closed).count();
        assert_eq!(closed, 1, "seed {seed}: console {id}");
    }
}

fn anything(seed: u64) {
    let mut random = SplitMix64(seed);
    let profile = PROFILES[random.below(PROFILES.len())];
    let mut world = World::new(profile, 2, seed);
    world.names.insert("bmc".to_owned(), vec![address(9), address(1)]);
    let mut asked = Asked::default();
    for _ in 0..60 {
        match random.below(4) {
            0 | 1 => ask_console(&mut world, &mut random, &mut asked),
            2 => ask(&mut world, &mut random, &mut asked),
            _ => happen(&mut world, &mut random),
        }
        match random.below(12) {
            0 => world.run_for(secs(random.below(100) as u64)),
            1..4 => world.run_for(millis(random.below(3000) as u64)),
            4..8 => world.run_for(millis(random.below(40) as u64)),
            _ => {}
        }
    }
    mend(&mut world);
    world.run_for(secs(300));
    assert_answered(&world, &asked);
    end(&mut world, &mut random, &mut asked);
    assert_answered(&world, &asked);
    assert_lives_are_right(&world);
}

/// All let go, or the engine ends.
fn end(world: &mut World, random: &mut SplitMix64, asked: &mut Asked) {
    let now = world.now;
    if random.below(2) == 0 {
        for id in std::mem::take(&mut asked.open) {
            let token = asked.token();
            asked.done.push(token);
            asked.closed.push(id);
            world.supervisor.console_close(now, id, token);
        }
        world.supervisor.release(now);
    } else {
        world.supervisor.shut_down(now);
    }
    world.run_for(secs(10));
    let seed = world.seed;
    let output = world.supervisor.poll_output(world.now, &mut Vec::new());
    assert!(matches!(output, Output::Timeout(None)), "seed {seed}: {output:?}");
    assert!(matches!(world.events.last(), Some((_, Event::Gone))), "seed {seed}");
    assert_eq!(world.events.iter().filter(|(_, e)| *e == Event::Gone).count(), 1, "seed {seed}");
    assert!(world.routes.is_empty(), "seed {seed}: {:?}", world.routes);
    assert_eq!(world.logins_begun, world.logins_over, "seed {seed}");
    assert_eq!(world.supervisor.requests_len(), 0, "seed {seed}");
}

#[test]
fn everything_asked_is_answered_once_and_nothing_is_left() {
    for_seeds("anything", 6000, anything);
}
