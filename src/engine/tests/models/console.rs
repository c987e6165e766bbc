//! What a console's shard and its users hand each other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use nix::sys::eventfd::EventFd;

use super::super::console::{ConsoleShared, ConsoleState, Input};
use super::super::ready::{Events, Ready};
use super::super::wait::waiter;
use super::super::watch::{FdList, Place, Watch, fd_list};
use super::{explore, join, kind, soon, spawn};
use crate::config::ConsoleConfig;
use crate::console::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{AtomicBool, now};

fn connected() -> Arc<ConsoleShared> {
    let config = ConsoleConfig { input_len: 2, ..ConsoleConfig::default() };
    let console = Arc::new(ConsoleShared::new(config));
    console.set_connecting();
    console.set_connected(60, None);
    console
}

fn lost() -> Error {
    Error::new(ErrorKind::Lost)
}

/// Reads once into `out`.
fn read(
    console: &ConsoleShared,
    cursor: &mut Cursor,
    out: &mut [u8],
    until: Option<Instant>,
    stop: Option<&AtomicBool>,
) -> std::result::Result<usize, ErrorKind> {
    kind(console.read(&Place::default(), cursor, out, until, stop))
}

/// What a new reader gets: the characters, or why there are none.
fn read_all(console: &ConsoleShared) -> std::result::Result<Vec<u8>, ErrorKind> {
    let (mut cursor, mut out) = (console.cursor(true), [0; 8]);
    let read = read(console, &mut cursor, &mut out, None, None);
    read.map(|len| out[..len].to_vec())
}

/// Two readers wait while another thread does what should end that.
fn readers(event: fn(&ConsoleShared), expected: std::result::Result<&'static [u8], ErrorKind>) {
    explore(move || {
        let console = connected();
        let reader = |console: Arc<ConsoleShared>| spawn(move || read_all(&console));
        let readers = [reader(console.clone()), reader(console.clone())];
        event(&console);
        for reader in readers {
            assert_eq!(join(reader).as_deref(), expected.as_ref().copied());
        }
    });
}

#[test]
fn characters_wake_every_reader() {
    readers(|console| console.push(now(), b"ab"), Ok(b"ab"));
}

#[test]
fn a_loss_wakes_every_reader() {
    readers(|console| console.set_unconnected(lost()), Err(ErrorKind::Lost));
}

#[test]
fn a_close_wakes_every_reader() {
    readers(ConsoleShared::set_closed, Err(ErrorKind::Closed));
}

#[test]
fn last_characters_come_before_the_loss() {
    let event = |console: &ConsoleShared| {
        console.push(now(), b"a");
        console.set_unconnected(lost());
    };
    readers(event, Ok(b"a"));
}

#[test]
fn a_read_whose_time_ends_loses_nothing() {
    explore(|| {
        let console = connected();
        let other = console.clone();
        let shard = spawn(move || other.push(now(), b"a"));
        let (mut cursor, mut out) = (console.cursor(true), [0; 8]);
        let mut read = || read(&console, &mut cursor, &mut out, Some(soon()), None);
        let first = read();
        join(shard);
        let timed_out = Err(ErrorKind::TimedOut);
        assert!([(Ok(1), timed_out), (timed_out, Ok(1))].contains(&(first, read())));
    });
}

fn stopped(wake: fn(&ConsoleShared)) {
    explore(move || {
        let console = connected();
        let stop = Arc::new(AtomicBool::new(false));
        let (other, its_stop) = (console.clone(), stop.clone());
        let reader = spawn(move || {
            let (mut cursor, mut out) = (other.cursor(true), [0; 8]);
            read(&other, &mut cursor, &mut out, None, Some(&its_stop))
        });
        stop.store(true, Ordering::Release);
        wake(&console);
        assert_eq!(join(reader), Err(ErrorKind::Closed));
    });
}

#[test]
fn a_stopped_reader_wakes() {
    stopped(ConsoleShared::wake_readers);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_stopped_reader_nobody_wakes_would_sleep_on() {
    stopped(|_| {});
}

#[test]
fn another_state_wakes_who_waits_for_it() {
    explore(|| {
        let console = Arc::new(ConsoleShared::new(ConsoleConfig::default()));
        console.set_connecting();
        let other = console.clone();
        let shard = spawn(move || other.set_connected(60, None));
        let state = console.wait_state(ConsoleState::Connecting, None);
        assert_eq!(state, ConsoleState::Connected);
        join(shard);
    });
}

/// Writes all of it, as long as it takes.
fn write_all(console: &ConsoleShared, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let (taken, _) = console.write(bytes, true, None)?;
        bytes = &bytes[taken..];
    }
    Ok(())
}

/// Moves input into a session that has room for `space` bytes, as `Shard::feed` does.
fn feed(console: &ConsoleShared, pending: &mut usize, space: usize, got: &mut Vec<u8>) {
    let before = got.len();
    while let Input::Bytes = console.take_input(space - *pending, got) {
        *pending += got.len() - before;
    }
    console.set_in_session(*pending);
}

/// The console is full and stays so until the shard takes something.
fn writer(shard: fn(&ConsoleShared), expected: std::result::Result<(), ErrorKind>) {
    explore(move || {
        let console = connected();
        write_all(&console, b"ab").unwrap();
        let other = console.clone();
        let writer = spawn(move || kind(write_all(&other, b"c")));
        shard(&console);
        assert_eq!(join(writer), expected);
    });
}

#[test]
fn room_wakes_a_writer() {
    writer(|console| feed(console, &mut 0, 1, &mut Vec::new()), Ok(()));
}

/// The session held one byte; it was acknowledged and another one took its place.
#[test]
fn room_wakes_a_writer_though_the_session_holds_as_much_as_before() {
    explore(|| {
        let console = connected();
        let mut got = Vec::new();
        write_all(&console, b"a").unwrap();
        feed(&console, &mut 0, 1, &mut got);
        write_all(&console, b"bc").unwrap();
        let other = console.clone();
        let writer = spawn(move || kind(write_all(&other, b"d")));
        feed(&console, &mut 0, 1, &mut got);
        assert_eq!(got, b"ab");
        assert_eq!(join(writer), Ok(()));
    });
}

#[test]
fn a_loss_or_a_close_wakes_a_writer() {
    writer(|console| console.set_unconnected(lost()), Err(ErrorKind::Lost));
    writer(ConsoleShared::set_closed, Err(ErrorKind::Closed));
}

/// What was written is pending until it is acknowledged, wherever it is.
#[test]
fn a_drain_ends_when_all_is_acknowledged_and_not_before() {
    explore(|| {
        let console = connected();
        write_all(&console, b"ab").unwrap();
        let acknowledged = Arc::new(AtomicBool::new(false));
        let (other, its_acknowledged) = (console.clone(), acknowledged.clone());
        let drain = spawn(move || {
            let result = kind(other.drain(None));
            assert!(its_acknowledged.load(Ordering::Acquire), "{result:?} too early");
            result
        });
        let mut pending = 0;
        feed(&console, &mut pending, 2, &mut Vec::new());
        acknowledged.store(true, Ordering::Release);
        console.set_in_session(0);
        assert_eq!(join(drain), Ok(()));
    });
}

#[test]
fn a_loss_or_a_close_ends_a_drain_and_a_wait_for_a_state() {
    let events: [(fn(&ConsoleShared), ErrorKind); 2] = [
        (|console| console.set_unconnected(lost()), ErrorKind::Lost),
        (ConsoleShared::set_closed, ErrorKind::Closed),
    ];
    for (event, error) in events {
        explore(move || {
            let console = connected();
            write_all(&console, b"a").unwrap();
            let (drains, waits) = (console.clone(), console.clone());
            let drain = spawn(move || kind(drains.drain(None)));
            let wait = spawn(move || waits.wait_state(ConsoleState::Connected, None));
            event(&console);
            assert_eq!(join(drain), Err(error));
            assert_eq!(join(wait), ConsoleState::Unconnected);
        });
    }
}

#[test]
fn a_loss_ends_a_drain_and_a_break() {
    explore(|| {
        let console = connected();
        write_all(&console, b"a").unwrap();
        let (wait, done) = waiter();
        let other = console.clone();
        let user = spawn(move || {
            let pushed = kind(other.push_break(done));
            let waited = wait.wait(None).map(kind);
            (pushed, waited, kind(other.drain(None)))
        });
        console.set_unconnected(lost());
        let (pushed, waited, drained) = join(user);
        match pushed {
            Ok(()) => assert_eq!(waited, Some(Err(ErrorKind::NotConnected))),
            // Refused, it was dropped.
            Err(error) => {
                assert_eq!((error, waited), (ErrorKind::Lost, Some(Err(ErrorKind::ShutDown))));
            }
        }
        assert_eq!(drained, Err(ErrorKind::Lost));
    });
}

/// A queue that hears of `interest` at the console, and its descriptor.
fn queue(
    console: &ConsoleShared,
    place: Option<&Place>,
    interest: Events,
) -> (Arc<FdList>, Arc<EventFd>) {
    let (list, fd) = fd_list().expect("a descriptor");
    let source = list.add(1).expect("open");
    let watch = Watch::of_queue(list.clone(), source, interest);
    console.watch(&watch, place, |_| false).expect("the first");
    (list, fd)
}

/// Waits for one report, and says what of.
fn report(list: &FdList) -> std::result::Result<Events, ErrorKind> {
    let mut out = [Ready::default()];
    kind(list.wait(&mut out, None)).map(|_| out[0].events)
}

#[test]
fn who_found_nothing_to_read_hears_of_characters() {
    explore(|| {
        let console = connected();
        let other = console.clone();
        let place = Place::new(0);
        let (list, _fd) = queue(&console, Some(&place), Events::READABLE);
        let shard = spawn(move || other.push(now(), b"a"));
        let (mut cursor, mut out) = (console.cursor(true), [0; 8]);
        let mut read = || kind(console.read(&place, &mut cursor, &mut out, Some(soon()), None));
        match read() {
            Ok(len) => assert_eq!(len, 1),
            Err(error) => {
                assert_eq!(error, ErrorKind::TimedOut);
                assert_eq!(report(&list), Ok(Events::READABLE));
                assert_eq!(read(), Ok(1));
            }
        }
        join(shard);
    });
}

#[test]
fn who_found_no_room_hears_of_room() {
    explore(|| {
        let console = connected();
        write_all(&console, b"ab").unwrap();
        let (list, _fd) = queue(&console, None, Events::WRITABLE);
        let other = console.clone();
        let shard = spawn(move || feed(&other, &mut 0, 1, &mut Vec::new()));
        let write = || kind(console.write(b"c", false, Some(soon()))).map(|(taken, _)| taken);
        match write() {
            Ok(taken) => assert_eq!(taken, 1),
            Err(error) => {
                assert_eq!(error, ErrorKind::TimedOut);
                assert_eq!(report(&list), Ok(Events::WRITABLE));
                assert_eq!(write(), Ok(1));
            }
        }
        join(shard);
    });
}

#[test]
fn who_watches_the_state_hears_of_a_loss() {
    explore(|| {
        let console = connected();
        let (list, _fd) = queue(&console, None, Events::STATE);
        let other = console.clone();
        let shard = spawn(move || other.set_unconnected(lost()));
        assert_eq!(report(&list), Ok(Events::STATE));
        assert_eq!(console.state(), ConsoleState::Unconnected);
        join(shard);
    });
}
