//! One queue for many consoles, and a descriptor per reader: everything that has something is
//! reported, nothing else is, and the descriptors say the same.

mod support;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bmclink::sim::{Serial, Simulator, SimulatorOptions};
use bmclink::{
    BmcConfig, Console, ConsoleConfig, ConsoleState, Credentials, Engine, ErrorKind, EventQueue,
    Events, FOREVER, Reader, Ready,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use support::engine;

const SHORT: Duration = Duration::from_secs(20);
/// Time in which something that must not happen would have.
const AFTER: Duration = Duration::from_millis(100);

fn simulator(count: usize, serial: Serial) -> Simulator {
    let options = SimulatorOptions { count, serial, ..SimulatorOptions::default() };
    Simulator::start(options).expect("a simulator")
}

fn console(engine: &Engine, simulator: &Simulator, at: usize, config: ConsoleConfig) -> Console {
    let address = simulator.address(at);
    let credentials = Credentials::new("admin", "password").expect("legal");
    let bmc = BmcConfig::new(address.ip().to_string(), credentials).port(address.port());
    engine.bmc(bmc).expect("a BMC").console(config).expect("a console")
}

fn connected(engine: &Engine, simulator: &Simulator, at: usize) -> Console {
    let console = console(engine, simulator, at, ConsoleConfig::default());
    console.connect(SHORT).expect("connected");
    console
}

/// Has the machine behind a BMC print something.
fn print(simulator: &Simulator, at: usize, bytes: &[u8]) {
    let taken = simulator.with(at, |bmc, now| bmc.serial_output(now, bytes));
    assert_eq!(taken, bytes.len());
}

/// Waits until a console has received so many bytes.
fn received(console: &Console, bytes: u64) {
    let end = Instant::now() + SHORT;
    while console.stats().received < bytes {
        assert!(Instant::now() < end, "{} of {bytes} bytes", console.stats().received);
        thread::sleep(Duration::from_millis(1));
    }
}

fn is_readable(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    let timeout = PollTimeout::try_from(timeout).expect("short");
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout).expect("polled") > 0
}

/// What the queue reports at once. Its descriptor says the same, in the end: a thread of the engine
/// that has changed the list may be just about to tell it.
#[track_caller]
fn report(queue: &EventQueue) -> Vec<(u64, Events)> {
    let mut found = Vec::new();
    let mut ready = [Ready::default(); 3];
    loop {
        match queue.wait(&mut ready, Duration::ZERO) {
            Ok(count) => {
                assert!(count > 0);
                found.extend(ready[..count].iter().map(|ready| (ready.key, ready.events)));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                let end = Instant::now() + SHORT;
                while is_readable(queue.as_fd(), Duration::ZERO) {
                    assert!(Instant::now() < end, "readable, and nothing is reported");
                    thread::yield_now();
                }
                return found;
            }
        }
    }
}

/// What is reported next.
#[track_caller]
fn next(queue: &EventQueue) -> (u64, Events) {
    assert!(is_readable(queue.as_fd(), SHORT), "nothing came");
    let mut ready = [Ready::default(); 1];
    assert_eq!(queue.wait(&mut ready, SHORT), Ok(1));
    (ready[0].key, ready[0].events)
}

fn kind<T>(result: bmclink::Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn of_a_thousand_consoles_exactly_those_that_print_are_reported() {
    const ALL: usize = 1000;
    let simulator = simulator(ALL, Serial::None);
    let (engine, queue) = (engine(2), EventQueue::new().expect("a queue"));
    let consoles: Vec<Mutex<Option<(Console, Reader)>>> =
        (0..ALL).map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(place) = consoles.get(at) else { return };
                    let console = connected(&engine, &simulator, at);
                    let reader = console.reader();
                    queue.add(&reader, at as u64).expect("added");
                    *place.lock().expect("no panic") = Some((console, reader));
                }
            });
        }
    });
    assert_eq!(report(&queue), []);
    let mut ready = vec![Ready::default(); 64];
    for (round, printing) in [1, 17, 400, ALL].into_iter().enumerate() {
        let chosen: BTreeSet<usize> = (0..printing).map(|n| (n * 7 + round) % ALL).collect();
        for at in &chosen {
            print(&simulator, *at, format!("{round}:{at}").as_bytes());
        }
        let mut got: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
        let complete = |got: &BTreeMap<usize, Vec<u8>>| {
            got.len() == chosen.len()
                && got.iter().all(|(at, text)| *text == format!("{round}:{at}").into_bytes())
        };
        while !complete(&got) {
            let count = queue.wait(&mut ready, SHORT).expect("more");
            for source in &ready[..count] {
                let at = source.key as usize;
                assert!(chosen.contains(&at), "{at} printed nothing");
                assert_eq!(source.events, Events::READABLE);
                let mut buffer = [0; 64];
                let mut pair = consoles[at].lock().expect("no panic");
                let (_, reader) = pair.as_mut().expect("connected");
                let len = reader.read(&mut buffer, Duration::ZERO).expect("what was reported");
                got.entry(at).or_default().extend_from_slice(&buffer[..len]);
            }
        }
        assert_eq!(report(&queue), [], "round {round}");
    }
}

#[test]
fn a_read_that_leaves_something_is_reported_again_and_one_that_does_not_is_not() {
    let simulator = simulator(1, Serial::None);
    let engine = engine(2);
    let console = connected(&engine, &simulator, 0);
    let queue = EventQueue::new().expect("a queue");
    let mut reader = console.reader();
    queue.add(&reader, 5).expect("added");
    let text: Vec<u8> = (0..200).collect();
    print(&simulator, 0, &text);
    received(&console, 200);
    let mut got = Vec::new();
    let mut buffer = [0; 7];
    while got.len() < text.len() {
        assert_eq!(report(&queue), [(5, Events::READABLE)]);
        let len = reader.read(&mut buffer, Duration::ZERO).expect("what was reported");
        got.extend_from_slice(&buffer[..len]);
    }
    assert_eq!(got, text);
    assert_eq!(report(&queue), []);
    // Reported once, and once more for what is new, although nobody reads.
    print(&simulator, 0, b"a");
    assert_eq!(next(&queue), (5, Events::READABLE));
    assert_eq!(report(&queue), []);
    print(&simulator, 0, b"b");
    assert_eq!(next(&queue), (5, Events::READABLE));
    // What was read before anybody looked is no report.
    print(&simulator, 0, b"c");
    received(&console, 203);
    assert!(is_readable(queue.as_fd(), SHORT));
    assert_eq!(reader.read(&mut [0; 64], Duration::ZERO), Ok(3));
    assert_eq!(report(&queue), []);
}

#[test]
fn what_is_there_when_a_reader_is_added_is_reported_at_once() {
    let simulator = simulator(1, Serial::None);
    let engine = engine(2);
    let console = connected(&engine, &simulator, 0);
    print(&simulator, 0, b"before");
    received(&console, 6);
    let queue = EventQueue::new().expect("a queue");
    let (replay, live) = (console.reader(), console.live_reader());
    queue.add(&replay, 1).expect("added");
    queue.add(&live, 2).expect("added");
    assert_eq!(report(&queue), [(1, Events::READABLE)]);
    // A clone is a reader of its own, and goes on from the same place.
    queue.add(&replay.clone(), 3).expect("added, and dropped at once");
    assert_eq!(report(&queue), []);
    let clone = replay.clone();
    queue.add(&clone, 4).expect("added");
    assert_eq!(report(&queue), [(4, Events::READABLE)]);
    console.close(SHORT).expect("closed");
    let late = console.live_reader();
    queue.add(&late, 5).expect("added");
    let keys: BTreeSet<u64> = report(&queue).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, BTreeSet::from([1, 2, 4, 5]));
}

#[test]
fn the_end_of_a_connection_is_reported_to_each_reader_once() {
    let simulator = simulator(1, Serial::None);
    let engine = engine(2);
    let console = connected(&engine, &simulator, 0);
    let queue = EventQueue::new().expect("a queue");
    let mut reader = console.reader();
    queue.add((&console, &reader), 9).expect("added");
    print(&simulator, 0, b"last words");
    received(&console, 10);
    simulator.with(0, |bmc, now| bmc.steal_sol(now));
    assert_eq!(console.wait_state(ConsoleState::Connected, SHORT), ConsoleState::Unconnected);
    assert_eq!(report(&queue), [(9, Events::READABLE | Events::STATE)]);
    assert_eq!(reader.read(&mut [0; 64], Duration::ZERO), Ok(10));
    assert_eq!(report(&queue), [(9, Events::READABLE)], "the reason is still to be read");
    assert_eq!(kind(reader.read(&mut [0; 64], Duration::ZERO)), Some(ErrorKind::Stolen));
    assert_eq!(report(&queue), [], "the reason was read");
    // A connection that comes back takes back what nobody has read of the last one's end.
    let late = console.live_reader();
    queue.add(&late, 10).expect("added");
    assert!(is_readable(queue.as_fd(), Duration::ZERO));
    console.connect(SHORT).expect("connected");
    assert_eq!(report(&queue), [(9, Events::STATE)]);
    print(&simulator, 0, b"again");
    let both = HashSet::from([next(&queue), next(&queue)]);
    assert_eq!(both, HashSet::from([(9, Events::READABLE), (10, Events::READABLE)]));
}

#[test]
fn room_for_input_is_reported_after_there_was_none() {
    let simulator = simulator(1, Serial::None);
    simulator.with(0, |bmc, _| bmc.set_serial_input_limit(Some(0)));
    let engine = engine(2);
    let mut config = ConsoleConfig::default();
    config.input_len = 100;
    let console = console(&engine, &simulator, 0, config);
    let queue = EventQueue::new().expect("a queue");
    queue.add(&console, 1).expect("added");
    console.connect(SHORT).expect("connected");
    assert_eq!(report(&queue), [(1, Events::STATE)]);
    let mut written = 0;
    let end = Instant::now() + SHORT;
    while written < 2000 && Instant::now() < end {
        match console.write(&[b'x'; 50], AFTER) {
            Ok(len) => written += len,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                break;
            }
        }
    }
    // It may have been short of room for a moment while the session took its share.
    report(&queue);
    assert_eq!(kind(console.write(b"x", Duration::ZERO)), Some(ErrorKind::TimedOut));
    assert!(!is_readable(queue.as_fd(), AFTER), "there is no room yet");
    simulator.with(0, |bmc, _| bmc.set_serial_input_limit(None));
    assert_eq!(next(&queue), (1, Events::WRITABLE));
    console.drain(SHORT).expect("acknowledged");
    assert_eq!(report(&queue), []);
    console.write_all(&[b'y'; 1000], SHORT).expect("room");
    console.drain(SHORT).expect("acknowledged");
    assert_eq!(report(&queue), [], "nobody was left without room");
    simulator.with(0, |bmc, now| bmc.steal_sol(now));
    assert_eq!(next(&queue), (1, Events::STATE));
}

#[test]
fn adding_twice_and_removing_what_is_not_there_is_misuse() {
    let simulator = simulator(1, Serial::None);
    let engine = engine(2);
    let console = connected(&engine, &simulator, 0);
    let (reader, other) = (console.reader(), console.reader());
    let (queue, second) = (EventQueue::new().expect("one"), EventQueue::new().expect("two"));
    queue.add(&reader, 1).expect("added");
    assert_eq!(kind(queue.add(&reader, 2)), Some(ErrorKind::Misuse));
    assert_eq!(kind(queue.add((&console, &reader), 2)), Some(ErrorKind::Misuse));
    queue.add(&console, 3).expect("the console was not added by halves");
    assert_eq!(kind(queue.add((&console, &other), 2)), Some(ErrorKind::Misuse));
    second.add((&console, &reader), 4).expect("another queue");
    print(&simulator, 0, b"x");
    assert_eq!(next(&queue), (1, Events::READABLE));
    assert_eq!(next(&second), (4, Events::READABLE));
    print(&simulator, 0, b"y");
    received(&console, 2);
    assert!(is_readable(queue.as_fd(), SHORT));
    queue.remove(&reader).expect("removed");
    assert_eq!(report(&queue), []);
    assert_eq!(kind(queue.remove(&reader)), Some(ErrorKind::Misuse));
    assert_eq!(kind(queue.remove(&other)), Some(ErrorKind::Misuse));
    queue.add(&reader, 5).expect("added again");
    assert_eq!(report(&queue), [(5, Events::READABLE)]);
    drop(queue);
    assert_eq!(report(&second), [(4, Events::READABLE)]);
    assert_eq!(kind(second.wait(&mut [], SHORT)), Some(ErrorKind::Misuse));
    second.close();
    assert!(is_readable(second.as_fd(), Duration::ZERO));
    assert_eq!(kind(second.wait(&mut [Ready::default()], SHORT)), Some(ErrorKind::Closed));
    assert_eq!(kind(second.add(&other, 6)), Some(ErrorKind::Closed));
    drop(second);
    let third = EventQueue::new().expect("three");
    third.add((&console, &reader), 7).expect("those of closed queues are in nobody's way");
    assert_eq!(report(&third), [(7, Events::READABLE)]);
}

#[test]
fn what_is_dropped_leaves_the_queue() {
    let simulator = simulator(1, Serial::None);
    let engine = engine(2);
    let queue = EventQueue::new().expect("a queue");
    let console = connected(&engine, &simulator, 0);
    let (reader, stays) = (console.reader(), console.reader());
    queue.add((&console, &reader), 1).expect("added");
    queue.add(&stays, 2).expect("added");
    print(&simulator, 0, b"x");
    received(&console, 1);
    drop(reader);
    assert_eq!(report(&queue), [(2, Events::READABLE)]);
    drop(console);
    print(&simulator, 0, b"y");
    assert_eq!(next(&queue), (2, Events::READABLE), "a reader keeps the console open");
    simulator.with(0, |bmc, now| bmc.steal_sol(now));
    let mut seen = Events::NONE;
    while !seen.contains(Events::READABLE | Events::STATE) {
        let (key, events) = next(&queue);
        seen |= events;
        assert!([1, 2].contains(&key));
    }
    drop(stays);
    assert_eq!(report(&queue), []);
}

#[test]
fn each_event_goes_to_one_of_many_threads_and_no_byte_is_lost() {
    const CONSOLES: usize = 12;
    const BYTES: usize = 30_000;
    let simulator = simulator(CONSOLES, Serial::Echo);
    let (engine, queue) = (engine(2), EventQueue::new().expect("a queue"));
    let consoles: Vec<Console> =
        (0..CONSOLES).map(|at| connected(&engine, &simulator, at)).collect();
    let readers: Vec<Mutex<(Reader, Vec<u8>)>> =
        consoles.iter().map(|console| Mutex::new((console.reader(), Vec::new()))).collect();
    for (key, reader) in readers.iter().enumerate() {
        queue.add(&reader.lock().expect("no panic").0, key as u64).expect("added");
    }
    let text: Vec<u8> = (0..BYTES).map(|n| (n / 3) as u8).collect();
    let (left, done) = (AtomicUsize::new(CONSOLES * BYTES), AtomicBool::new(false));
    let (reports, empty) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        let drain = |room: usize| {
            let mut ready = vec![Ready::default(); room];
            while let Ok(count) = queue.wait(&mut ready, FOREVER) {
                for source in &ready[..count] {
                    reports.fetch_add(1, Ordering::Relaxed);
                    let mut reader = readers[source.key as usize].lock().expect("no panic");
                    let mut buffer = [0; 300];
                    match reader.0.read(&mut buffer, Duration::ZERO) {
                        Ok(len) => {
                            reader.1.extend_from_slice(&buffer[..len]);
                            left.fetch_sub(len, Ordering::Relaxed);
                        }
                        // Another thread had the report before and came later to the reader.
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::TimedOut);
                            empty.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            }
        };
        let threads = [1, 3, 16].map(|room| scope.spawn(move || drain(room)));
        for console in &consoles {
            let text = &text;
            scope.spawn(move || console.write_all(text, SHORT * 3).expect("room"));
        }
        let end = Instant::now() + SHORT * 3;
        while left.load(Ordering::Relaxed) > 0 && Instant::now() < end {
            thread::sleep(Duration::from_millis(2));
        }
        // Nothing is left, so everybody waits, and closing wakes them.
        queue.close();
        done.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    });
    for (at, reader) in readers.iter().enumerate() {
        assert!(reader.lock().expect("no panic").1 == text, "console {at}");
    }
    let (reports, empty) = (reports.into_inner(), empty.into_inner());
    assert!(empty * 10 <= reports, "{empty} of {reports} reports were for nothing");
}

#[test]
fn sources_come_and_go_while_others_wait_and_consoles_print() {
    const CONSOLES: usize = 4;
    let simulator = simulator(CONSOLES, Serial::Flood);
    let engine = engine(2);
    let consoles: Vec<Console> =
        (0..CONSOLES).map(|at| connected(&engine, &simulator, at)).collect();
    let queue = EventQueue::new().expect("a queue");
    let stop = AtomicBool::new(false);
    let reports = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut ready = [Ready::default(); 2];
                while let Ok(count) = queue.wait(&mut ready, FOREVER) {
                    reports.fetch_add(count, Ordering::Relaxed);
                }
            });
        }
        let churning: Vec<_> = consoles
            .iter()
            .map(|console| {
                let (queue, stop, reports) = (&queue, &stop, &reports);
                scope.spawn(move || {
                    for round in 0.. {
                        let mut reader = console.reader();
                        queue.add((console, &reader), round).expect("added");
                        let fd = reader.fd().expect("a descriptor");
                        assert!(is_readable(fd, SHORT), "a flood");
                        reader.read(&mut [0; 100], SHORT).expect("a flood");
                        match round % 3 {
                            0 => queue.remove((console, &reader)).expect("there"),
                            1 => queue.remove(console).expect("there"),
                            _ => {
                                queue.remove(&reader).expect("there");
                                queue.remove(console).expect("there");
                            }
                        }
                        if stop.load(Ordering::Relaxed) && reports.load(Ordering::Relaxed) > 0 {
                            return;
                        }
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
        churning.into_iter().for_each(|thread| thread.join().expect("no panic"));
        assert_eq!(report_keys(&queue), BTreeSet::new());
        queue.close();
    });
}

/// What is reported when other threads wait, too.
fn report_keys(queue: &EventQueue) -> BTreeSet<u64> {
    let mut keys = BTreeSet::new();
    let mut ready = [Ready::default(); 8];
    while let Ok(count) = queue.wait(&mut ready, Duration::ZERO) {
        keys.extend(ready[..count].iter().map(|ready| ready.key));
    }
    keys
}

#[test]
fn everything_can_be_dropped_in_any_order_while_threads_wait() {
    let simulator = simulator(1, Serial::Flood);
    for order in 0..6 {
        let mut engine = Some(engine(2));
        let console = connected(engine.as_ref().expect("there"), &simulator, 0);
        let reader = console.reader();
        let queue = EventQueue::new().expect("a queue");
        queue.add((&console, &reader), 1).expect("added");
        let waiting = {
            let queue = queue.clone();
            thread::spawn(move || {
                let mut ready = [Ready::default()];
                while queue.wait(&mut ready, FOREVER).is_ok() {}
            })
        };
        let (mut console, mut reader) = (Some(console), Some(reader));
        for step in 0..3 {
            match (order + step * if order < 3 { 1 } else { 2 }) % 3 {
                0 => drop(engine.take()),
                1 => drop(console.take()),
                _ => drop(reader.take()),
            }
        }
        queue.close();
        waiting.join().expect("no panic");
    }
    // A queue that goes first.
    let engine = engine(2);
    let console = connected(&engine, &simulator, 0);
    for _ in 0..50 {
        let mut reader = console.reader();
        let queue = EventQueue::new().expect("a queue");
        queue.add((&console, &reader), 1).expect("added");
        drop(queue);
        reader.read(&mut [0; 100], SHORT).expect("a flood");
    }
}

#[test]
fn a_readers_descriptor_is_readable_exactly_while_a_read_would_not_block() {
    let simulator = simulator(1, Serial::None);
    let engine = engine(2);
    let console = console(&engine, &simulator, 0, ConsoleConfig::default());
    let mut reader = console.reader();
    // What a thread of the engine does may take a moment to get to the descriptor.
    let becomes = |reader: &Reader, wanted: bool| {
        let end = Instant::now() + SHORT;
        let fd = reader.fd().expect("a descriptor");
        while is_readable(fd, Duration::ZERO) != wanted && Instant::now() < end {
            thread::yield_now();
        }
        is_readable(fd, Duration::ZERO) == wanted
    };
    let now = |reader: &Reader| becomes(reader, true);
    let no_more = |reader: &Reader| becomes(reader, false);
    assert!(no_more(&reader), "a console that was never connected has nothing");
    console.connect(SHORT).expect("connected");
    assert!(no_more(&reader));
    print(&simulator, 0, b"abc");
    assert!(is_readable(reader.fd().expect("a descriptor"), SHORT));
    received(&console, 3);
    let clone = reader.clone();
    assert_eq!(reader.read(&mut [0; 2], Duration::ZERO), Ok(2));
    assert!(now(&reader) && now(&clone));
    assert_eq!(reader.read(&mut [0; 2], Duration::ZERO), Ok(1));
    assert!(no_more(&reader) && now(&clone), "each has its own");
    assert_eq!(kind(reader.read(&mut [0; 2], Duration::ZERO)), Some(ErrorKind::TimedOut));
    assert!(no_more(&reader));
    simulator.with(0, |bmc, now| bmc.steal_sol(now));
    assert!(is_readable(reader.fd().expect("a descriptor"), SHORT));
    for _ in 0..2 {
        assert_eq!(kind(reader.read(&mut [0; 2], Duration::ZERO)), Some(ErrorKind::Stolen));
        assert!(now(&reader), "the reason stays");
    }
    console.connect(SHORT).expect("connected");
    assert!(no_more(&reader), "the reason is gone");
    console.close(SHORT).expect("closed");
    assert_eq!(kind(reader.read(&mut [0; 2], Duration::ZERO)), Some(ErrorKind::Closed));
    assert!(now(&reader));
}

#[test]
fn a_reader_that_stays_away_loses_only_its_own() {
    let simulator = simulator(1, Serial::Echo);
    let engine = engine(2);
    let config = ConsoleConfig::default().replay_len(4096);
    let console = console(&engine, &simulator, 0, config);
    console.connect(SHORT).expect("connected");
    let queue = EventQueue::new().expect("a queue");
    let (mut quick, mut slow) = (console.reader(), console.reader());
    queue.add(&quick, 1).expect("added");
    queue.add(&slow, 2).expect("added");
    let text: Vec<u8> = (0..40_000u32).map(|n| (n / 5) as u8).collect();
    let mut got = Vec::new();
    thread::scope(|scope| {
        for piece in text.chunks(2048) {
            scope
                .spawn(|| console.write_all(piece, SHORT))
                .join()
                .expect("no panic")
                .expect("room");
            let wanted = got.len() + piece.len();
            while got.len() < wanted {
                if next(&queue).0 == 1 {
                    let mut buffer = [0; 512];
                    let len = quick.read(&mut buffer, Duration::ZERO).expect("reported");
                    got.extend_from_slice(&buffer[..len]);
                }
            }
        }
    });
    assert!(got == text && quick.lost() == 0);
    let mut rest = vec![0; 8192];
    let len = slow.read(&mut rest, Duration::ZERO).expect("what is kept");
    assert_eq!((len, slow.lost()), (4096, 40_000 - 4096));
    assert_eq!(rest[..len], text[text.len() - 4096..]);
    assert_eq!(report(&queue), []);
}
