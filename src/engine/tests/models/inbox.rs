//! Commands into a shard.

use std::mem::ManuallyDrop;

use super::super::inbox::{Inbox, Outlet, inbox};
use super::super::wait::{Completer, waiter};
use super::{Bell, explore, join, kind, soon, spawn};
use crate::error::ErrorKind;

/// What of a shard's turn matters here, and what goes wrong when it is done differently.
#[derive(Clone, Copy)]
struct Turn {
    per_turn: usize,
    rearms_first: bool,
    looks_before_sleeping: bool,
}

const RIGHT: Turn = Turn { per_turn: 1024, rearms_first: true, looks_before_sleeping: true };

/// Takes `count` commands as `Shard::run` does.
fn run_shard(turn: Turn, bell: &Bell, outlet: &Outlet<u32>, count: usize) -> Vec<u32> {
    let mut taken = Vec::new();
    while taken.len() < count {
        if turn.looks_before_sleeping && outlet.has_more() {
            bell.look()
        } else {
            bell.sleep()
        }
        if turn.rearms_first {
            outlet.rearm();
        }
        taken.extend(std::iter::from_fn(|| outlet.take()).take(turn.per_turn));
        if !turn.rearms_first {
            outlet.rearm();
        }
    }
    taken
}

/// As many senders as there are lists of commands; the shard gets them all, each list in order.
fn senders(turn: Turn, len: usize, commands: &'static [&'static [u32]]) {
    explore(move || {
        let bell = Bell::new();
        let (inbox, outlet) = inbox(len, bell.clone());
        // A model that has failed cannot take locks any more, not even to drop it.
        let outlet = ManuallyDrop::new(outlet);
        let send = |inbox: Inbox<u32>, commands: &'static [u32]| {
            spawn(move || commands.iter().for_each(|command| inbox.send(*command, None).unwrap()))
        };
        let threads: Vec<_> = commands.iter().map(|list| send(inbox.clone(), list)).collect();
        let taken = run_shard(turn, &bell, &outlet, commands.iter().map(|list| list.len()).sum());
        threads.into_iter().for_each(join);
        for list in commands {
            let own: Vec<_> = taken.iter().filter(|command| list.contains(command)).collect();
            assert!(own.into_iter().eq(*list), "{taken:?}");
        }
        assert_eq!(outlet.take(), None);
    });
}

#[test]
fn no_command_is_left_while_the_shard_sleeps() {
    senders(RIGHT, 4, &[&[1], &[2]]);
    senders(RIGHT, 4, &[&[1, 2], &[3]]);
}

#[test]
fn a_turn_that_takes_too_few_is_followed_by_another() {
    senders(Turn { per_turn: 1, ..RIGHT }, 4, &[&[1, 2], &[3]]);
}

#[test]
fn a_full_inbox_keeps_nobody_waiting() {
    senders(RIGHT, 1, &[&[1, 2], &[3]]);
}

/// Either of the two rules is enough for a shard that always drains all.
#[test]
fn rearming_first_needs_no_look() {
    senders(Turn { looks_before_sleeping: false, ..RIGHT }, 4, &[&[1, 2], &[3]]);
}

#[test]
#[should_panic(expected = "deadlock")]
fn draining_before_rearming_would_lose_one() {
    let wrong = Turn { rearms_first: false, looks_before_sleeping: false, ..RIGHT };
    senders(wrong, 4, &[&[1], &[2]]);
}

#[test]
#[should_panic(expected = "deadlock")]
fn sleeping_on_what_a_turn_left_would_lose_one() {
    senders(Turn { per_turn: 1, looks_before_sleeping: false, ..RIGHT }, 4, &[&[1, 2], &[3]]);
}

/// A thread that sends and waits as long as it takes; the shard takes what `turns` give it and
/// goes.
fn shard_goes(len: usize, takes: usize, threads: usize) {
    explore(move || {
        let (inbox, outlet) = inbox::<Completer<()>>(len, Bell::new());
        let call = |inbox: Inbox<_>| {
            spawn(move || {
                let (wait, done) = waiter();
                inbox.send(done, None)?;
                wait.wait(None).expect("no time limit")
            })
        };
        // The handles outlive the shard, as those of users do.
        let calls: Vec<_> = (0..threads).map(|_| call(inbox.clone())).collect();
        outlet.rearm();
        drop(std::iter::from_fn(|| outlet.take()).take(takes).collect::<Vec<_>>());
        drop(outlet);
        for call in calls {
            assert_eq!(kind(join(call)), Err(ErrorKind::ShutDown));
        }
        let (_, done) = waiter();
        assert_eq!(kind(inbox.send(done, None)), Err(ErrorKind::ShutDown));
    });
}

#[test]
fn a_shard_that_goes_fails_who_sends_and_who_waits() {
    shard_goes(4, 0, 2);
    shard_goes(4, 1, 2);
}

#[test]
fn a_shard_that_goes_fails_who_waits_for_room() {
    shard_goes(1, 0, 2);
    shard_goes(1, 1, 2);
}

#[test]
fn a_full_inbox_is_busy_when_the_time_is_over() {
    explore(|| {
        let (inbox, outlet) = inbox(1, Bell::new());
        inbox.send(1, None).unwrap();
        let other = inbox.clone();
        let late = spawn(move || kind(other.send(2, Some(soon()))));
        assert_eq!(outlet.take(), Some(1));
        match join(late) {
            Ok(()) => assert_eq!(outlet.take(), Some(2)),
            Err(error) => {
                assert_eq!(error, ErrorKind::Busy);
                assert_eq!(outlet.take(), None);
            }
        }
    });
}
