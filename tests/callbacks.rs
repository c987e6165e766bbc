//! Callbacks of consoles: in order, one at a time, and in nobody's way whatever they do.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use bmclink::sim::{Serial, Simulator, SimulatorOptions};
use bmclink::{
    Bmc, BmcConfig, Console, ConsoleConfig, ConsoleEvent, Credentials, Engine, EngineConfig,
    ErrorKind, EventKind, Subscription,
};

const SHORT: Duration = Duration::from_secs(20);

/// What a callback was told, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Data(Vec<u8>),
    Connecting,
    Connected(u64),
    Gap,
    Stolen,
    Disconnected(ErrorKind),
    Lost(u64),
}

impl From<ConsoleEvent<'_>> for Told {
    fn from(event: ConsoleEvent<'_>) -> Self {
        match event.kind {
            EventKind::Data(bytes) => Told::Data(bytes.to_vec()),
            EventKind::Connecting => Told::Connecting,
            EventKind::Connected => Told::Connected(event.epoch),
            EventKind::Gap(None) => Told::Gap,
            EventKind::Stolen => Told::Stolen,
            EventKind::Disconnected { reason, .. } => Told::Disconnected(reason.kind()),
            EventKind::Lost { bytes, events: 0, .. } => Told::Lost(bytes),
            other => panic!("an event that this test does not expect: {other:?}"),
        }
    }
}

fn simulator(count: usize, serial: Serial) -> Simulator {
    let options = SimulatorOptions { count, serial, ..SimulatorOptions::default() };
    Simulator::start(options).expect("a simulator")
}

fn engine(dispatchers_max: usize) -> Engine {
    let mut config = EngineConfig::default();
    config.shards = 1;
    config.dispatchers_max = dispatchers_max;
    Engine::new(config).expect("an engine")
}

fn bmc(engine: &Engine, simulator: &Simulator, at: usize) -> Bmc {
    let address = simulator.address(at);
    let credentials = Credentials::new("admin", "password").expect("legal");
    let config = BmcConfig::new(address.ip().to_string(), credentials).port(address.port());
    engine.bmc(config).expect("a BMC")
}

fn console(engine: &Engine, simulator: &Simulator, at: usize) -> Console {
    bmc(engine, simulator, at).console(ConsoleConfig::default()).expect("a console")
}

fn connected(engine: &Engine, simulator: &Simulator, at: usize) -> Console {
    let console = console(engine, simulator, at);
    console.connect(SHORT).expect("connected");
    console
}

/// Sends everything it is told to a channel.
fn listen(console: &Console) -> (Subscription, Receiver<Told>) {
    let (sender, receiver) = channel();
    let subscription = console.on_event(move |event| drop(sender.send(event.into())));
    (subscription.expect("subscribed"), receiver)
}

/// Takes data until there are so many bytes, after the first connection.
#[track_caller]
fn data(told: &Receiver<Told>, len: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < len {
        match told.recv_timeout(SHORT).expect("more") {
            Told::Data(bytes) => got.extend(bytes),
            Told::Connecting | Told::Connected(1) if got.is_empty() => {}
            other => panic!("{other:?}"),
        }
    }
    got
}

/// A callback that has begun and waits, until told to go on.
struct Gate {
    begun: Sender<()>,
    go: Receiver<()>,
}

fn gate() -> (Gate, Receiver<()>, Sender<()>) {
    let ((begun, has_begun), (open, go)) = (channel(), channel());
    (Gate { begun, go }, has_begun, open)
}

impl Gate {
    /// Says that it has begun, and waits. When nobody holds the other end any more, it is open.
    fn pass(&self) {
        let _ = self.begun.send(());
        let _ = self.go.recv();
    }
}

/// Whether a console still echoes, through SOL and its acknowledges.
#[track_caller]
fn echoes(console: &Console, told: &Receiver<Told>) {
    for round in 0..20u8 {
        let text = [b'a' + round; 100];
        console.write_all(&text, SHORT).expect("room");
        console.drain(SHORT).expect("acknowledged");
        assert_eq!(data(told, 100), text);
    }
}

#[test]
fn a_callback_is_told_everything_in_order() {
    let simulator = simulator(1, Serial::Echo);
    let engine = engine(64);
    let console = console(&engine, &simulator, 0);
    let (subscription, told) = listen(&console);
    let next = || told.recv_timeout(SHORT).expect("more");
    for epoch in 1..=2 {
        console.connect(SHORT).expect("connected");
        assert_eq!(next(), Told::Connecting);
        if epoch > 1 {
            assert_eq!(next(), Told::Gap, "what was printed meanwhile");
        }
        assert_eq!(next(), Told::Connected(epoch));
        let text: Vec<u8> = (0..50_000u32).map(|n| (n / 11) as u8).collect();
        console.write_all(&text, SHORT).expect("room");
        assert!(data(&told, text.len()) == text);
        simulator.with(0, |bmc, now| {
            bmc.serial_output(now, b"last words");
            bmc.steal_sol(now);
        });
        let mut rest = next();
        if let Told::Data(bytes) = rest {
            assert!(b"last words".starts_with(&bytes[..]));
            rest = next();
        }
        assert_eq!((rest, next()), (Told::Stolen, Told::Disconnected(ErrorKind::Stolen)));
    }
    console.close(SHORT).expect("closed");
    assert_eq!(next(), Told::Disconnected(ErrorKind::Closed));
    assert!(!subscription.has_ended());
    drop(subscription);
    assert!(told.recv().is_err(), "the callback is gone");
}

#[test]
fn a_callback_first_gets_the_past_or_goes_on_where_a_reader_was() {
    let simulator = simulator(1, Serial::Echo);
    let engine = engine(64);
    let console = connected(&engine, &simulator, 0);
    console.write_all(b"0123456789", SHORT).expect("room");
    let mut reader = console.reader();
    let mut buffer = [0; 4];
    let mut got = 0;
    while got < 4 {
        got += reader.read(&mut buffer[got..], SHORT).expect("an echo");
    }
    let (_all, told) = listen(&console);
    assert_eq!(data(&told, 10), b"0123456789");
    let (sender, rest) = channel();
    let _rest = reader.on_event(move |event| drop(sender.send(event.into()))).expect("subscribed");
    assert_eq!(data(&rest, 6), b"456789");
    let (sender, live) = channel();
    let live_reader = console.live_reader();
    let _live = live_reader.on_event(move |event| drop(sender.send(event.into())));
    console.write_all(b"ab", SHORT).expect("room");
    for told in [&told, &rest, &live] {
        assert_eq!(data(told, 2), b"ab");
    }
}

#[test]
fn a_callback_that_panics_ends_its_own_subscription_and_nothing_else() {
    let simulator = simulator(2, Serial::Echo);
    let engine = engine(64);
    let (bad, good) = (connected(&engine, &simulator, 0), connected(&engine, &simulator, 1));
    let (_good, told) = listen(&good);
    let (_beside, beside) = listen(&bad);
    let calls = Arc::new(AtomicUsize::new(0));
    let panicking = {
        let calls = calls.clone();
        bad.on_event(move |_| {
            calls.fetch_add(1, Ordering::SeqCst);
            panic!("as planned");
        })
    };
    let panicking = panicking.expect("subscribed");
    bad.write_all(b"x", SHORT).expect("room");
    assert_eq!(data(&beside, 1), b"x");
    let end = Instant::now() + SHORT;
    while !panicking.has_ended() && Instant::now() < end {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(panicking.has_ended());
    echoes(&good, &told);
    echoes(&bad, &beside);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    drop(panicking);
}

#[test]
fn callbacks_that_block_hold_up_only_themselves() {
    const BLOCKING: usize = 20;
    let simulator = simulator(BLOCKING + 1, Serial::Echo);
    let engine = engine(64);
    let mut opened = Vec::new();
    let mut blocked = Vec::new();
    for at in 0..BLOCKING {
        let console = connected(&engine, &simulator, at);
        let (gate, begun, open) = gate();
        let (sender, told) = channel();
        let subscription = console.on_event(move |event| {
            gate.pass();
            let _ = sender.send(event.into());
        });
        console.write_all(b"first", SHORT).expect("room");
        begun.recv_timeout(SHORT).expect("a thread for each");
        blocked.push((console, subscription.expect("subscribed"), told));
        opened.push(open);
    }
    let good = connected(&engine, &simulator, BLOCKING);
    let (_good, told) = listen(&good);
    echoes(&good, &told);
    // Their own SOL goes on, too.
    for (console, ..) in &blocked {
        console.write_all(b" and second", SHORT).expect("room");
        console.drain(SHORT).expect("acknowledged");
    }
    drop(opened);
    for (_, _, told) in &blocked {
        assert_eq!(data(told, 16), b"first and second");
    }
}

#[test]
fn no_more_threads_run_callbacks_than_allowed_and_each_gets_its_turn() {
    const MAX: usize = 3;
    let simulator = simulator(10, Serial::Echo);
    let engine = engine(MAX);
    let consoles: Vec<Console> = (0..10).map(|at| connected(&engine, &simulator, at)).collect();
    let (done, finished) = channel();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let threads: Arc<Mutex<HashMap<ThreadId, usize>>> = Arc::default();
    let subscriptions: Vec<Subscription> = consoles
        .iter()
        .enumerate()
        .map(|(at, console)| {
            let (done, running, most) = (done.clone(), running.clone(), most.clone());
            let threads = threads.clone();
            let callback = move |_: ConsoleEvent<'_>| {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                *threads.lock().expect("no panic").entry(thread::current().id()).or_default() += 1;
                thread::sleep(Duration::from_millis(20));
                running.fetch_sub(1, Ordering::SeqCst);
                let _ = done.send(at);
            };
            console.live_reader().on_event(callback).expect("subscribed")
        })
        .collect();
    for console in &consoles {
        console.write_all(b"x", SHORT).expect("room");
    }
    let mut seen: Vec<usize> =
        (0..10).map(|_| finished.recv_timeout(SHORT).expect("everyone's turn")).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    assert!(most.load(Ordering::SeqCst) <= MAX);
    assert!(threads.lock().expect("no panic").len() <= MAX);
    drop(subscriptions);
    for refused in [0, 1025] {
        let mut config = EngineConfig::default();
        config.dispatchers_max = refused;
        let kind = Engine::new(config).expect_err("out of range").kind();
        assert_eq!(kind, ErrorKind::Misuse);
    }
}

#[test]
fn a_callback_that_comes_late_is_told_what_it_missed() {
    let simulator = simulator(1, Serial::Echo);
    let engine = engine(64);
    let config = ConsoleConfig::default().replay_len(1024);
    let console = bmc(&engine, &simulator, 0).console(config).expect("a console");
    console.connect(SHORT).expect("connected");
    let mut quick = console.reader();
    let (gate, begun, open) = gate();
    let (sender, told) = channel();
    let _subscription = console.live_reader().on_event(move |event| {
        let _ = sender.send(event.into());
        gate.pass();
    });
    console.write_all(b"!", SHORT).expect("room");
    begun.recv_timeout(SHORT).expect("called");
    assert_eq!(data(&told, 1), b"!");
    let text: Vec<u8> = (0..10_000u32).map(|n| (n / 3) as u8).collect();
    let mut got = Vec::new();
    while got.len() < text.len() + 1 {
        let from = got.len().saturating_sub(1);
        let piece = &text[from..(from + 500).min(text.len())];
        console.write_all(piece, SHORT).expect("room");
        let wanted = 1 + from + piece.len();
        while got.len() < wanted {
            let mut buffer = [0; 600];
            let len = quick.read(&mut buffer, SHORT).expect("an echo");
            got.extend_from_slice(&buffer[..len]);
        }
    }
    assert!(got[1..] == text && quick.lost() == 0, "the other reader missed nothing");
    drop(open);
    assert_eq!(told.recv_timeout(SHORT), Ok(Told::Lost(10_000 - 1024)));
    assert_eq!(data(&told, 1024), text[10_000 - 1024..]);
}

#[test]
fn a_callback_may_call_back_connect_write_and_close() {
    let simulator = simulator(2, Serial::Echo);
    let engine = engine(64);
    let good = connected(&engine, &simulator, 1);
    let (_good, told) = listen(&good);
    let managed = bmc(&engine, &simulator, 0);
    let console = managed.console(ConsoleConfig::default()).expect("a console");
    let (sender, seen) = channel();
    let mut losses = 0;
    let subscription = {
        let (console, managed) = (console.clone(), managed.clone());
        console.clone().on_event(move |event| {
            match &event.kind {
                EventKind::Connected => {
                    managed.raw(6, 0, 1, &[], SHORT).expect("a command");
                    console.write_all(b"hello", SHORT).expect("room");
                    console.drain(SHORT).expect("acknowledged");
                }
                EventKind::Disconnected { reason, .. } => {
                    losses += 1;
                    if reason.kind() == ErrorKind::Stolen && losses == 1 {
                        console.connect(SHORT).expect("connected again");
                    } else if reason.kind() == ErrorKind::Stolen {
                        console.close(SHORT).expect("closed");
                    }
                }
                _ => {}
            }
            let _ = sender.send(Told::from(event));
        })
    };
    let _subscription = subscription.expect("subscribed");
    console.connect(SHORT).expect("connected");
    for _ in 0..2 {
        let mut echo = Vec::new();
        while echo.len() < 5 {
            if let Told::Data(bytes) = seen.recv_timeout(SHORT).expect("an echo") {
                echo.extend(bytes);
            }
        }
        assert_eq!(echo, b"hello");
        simulator.with(0, |bmc, now| bmc.steal_sol(now));
    }
    let closed = Told::Disconnected(ErrorKind::Closed);
    while seen.recv_timeout(SHORT).expect("the end") != closed {}
    echoes(&good, &told);
}

#[test]
fn when_a_subscription_is_dropped_no_call_is_under_way_or_comes_later() {
    let simulator = simulator(2, Serial::Flood);
    let engine = engine(64);
    let console = connected(&engine, &simulator, 0);
    // The end of the last subscription is the end of the threads, too; this is about the others.
    let _beside = connected(&engine, &simulator, 1).on_event(|_| {});
    for round in 0..200u32 {
        let (inside, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (sender, called) = channel();
        let subscription = {
            let (inside, over) = (inside.clone(), over.clone());
            console.on_event(move |_| {
                inside.store(true, Ordering::SeqCst);
                assert!(!over.load(Ordering::SeqCst), "called after the end");
                let _ = sender.send(());
                thread::sleep(Duration::from_micros(u64::from(round % 4) * 200));
                inside.store(false, Ordering::SeqCst);
            })
        };
        called.recv_timeout(SHORT).expect("a flood");
        thread::sleep(Duration::from_micros(u64::from(round % 7) * 50));
        drop(subscription.expect("subscribed"));
        assert!(!inside.load(Ordering::SeqCst), "a call was under way");
        over.store(true, Ordering::SeqCst);
        assert_eq!(Arc::strong_count(&over), 1, "the callback is dropped, too");
    }
}

#[test]
fn a_callback_can_end_itself_and_its_neighbour_can_end_it() {
    let simulator = simulator(2, Serial::Flood);
    let engine = engine(64);
    let console = connected(&engine, &simulator, 0);
    let own: Arc<Mutex<Option<Subscription>>> = Arc::default();
    let calls = Arc::new(AtomicUsize::new(0));
    let (sender, ended) = channel();
    let subscription = {
        let (own, calls) = (own.clone(), calls.clone());
        console.on_event(move |_| {
            if let Some(subscription) = own.lock().expect("no panic").take() {
                drop(subscription);
                calls.fetch_add(1, Ordering::SeqCst);
                let _ = sender.send(());
            }
        })
    };
    *own.lock().expect("no panic") = Some(subscription.expect("subscribed"));
    ended.recv_timeout(SHORT).expect("it ended itself");
    let dropped = ended.recv_timeout(SHORT);
    assert_eq!(dropped, Err(RecvTimeoutError::Disconnected), "dropped behind its last call");
    assert_eq!(calls.load(Ordering::SeqCst), 1);

    // Two that end each other at the same time.
    let other = connected(&engine, &simulator, 1);
    for _ in 0..20 {
        let slots: Arc<[Mutex<Option<Subscription>>; 2]> = Arc::default();
        let barrier = Arc::new(Barrier::new(2));
        let (sender, done) = channel();
        for (at, console) in [&console, &other].into_iter().enumerate() {
            let (inner, barrier, sender) = (slots.clone(), barrier.clone(), sender.clone());
            let subscription = console.on_event(move |_| {
                barrier.wait();
                let taken = loop {
                    let taken = inner[1 - at].lock().expect("no panic").take();
                    if taken.is_some() {
                        break taken;
                    }
                    thread::yield_now();
                };
                drop(taken);
                let _ = sender.send(at);
            });
            *slots[at].lock().expect("no panic") = Some(subscription.expect("subscribed"));
        }
        let mut both = [0, 1].map(|_| done.recv_timeout(SHORT).expect("no deadlock"));
        both.sort_unstable();
        assert_eq!(both, [0, 1]);
    }
}

#[test]
fn a_callback_can_drop_the_last_handle_of_its_console_and_the_engine() {
    let simulator = simulator(1, Serial::Flood);
    for round in 0..4 {
        let engine = engine(64);
        let console = connected(&engine, &simulator, 0);
        let kept: Arc<Mutex<Vec<Box<dyn std::any::Any + Send>>>> = Arc::default();
        let (sender, done) = channel();
        let subscription = {
            let kept = kept.clone();
            console.on_event(move |_| {
                let taken = std::mem::take(&mut *kept.lock().expect("no panic"));
                if !taken.is_empty() {
                    drop(taken);
                    let _ = sender.send(());
                }
            })
        };
        let subscription = subscription.expect("subscribed");
        let mut objects: Vec<Box<dyn std::any::Any + Send>> = Vec::new();
        match round {
            0 => objects.push(Box::new(console)),
            1 => objects.push(Box::new(engine)),
            2 => objects.extend([Box::new(engine) as _, Box::new(console) as _]),
            _ => objects.extend([Box::new(subscription) as _, Box::new(engine) as _]),
        }
        *kept.lock().expect("no panic") = objects;
        done.recv_timeout(SHORT).expect("dropped");
    }
}

#[test]
fn the_end_of_the_engine_is_told_and_a_blocked_callback_does_not_stop_it() {
    let simulator = simulator(2, Serial::None);
    let engine = engine(64);
    let (one, two) = (connected(&engine, &simulator, 0), connected(&engine, &simulator, 1));
    let (subscription, told) = listen(&one);
    let (gate, begun, open) = gate();
    let blocked = two.on_event(move |_| gate.pass()).expect("subscribed");
    simulator.with(1, |bmc, now| bmc.serial_output(now, b"x"));
    begun.recv_timeout(SHORT).expect("called");
    let started = Instant::now();
    drop(engine);
    assert!(started.elapsed() < Duration::from_secs(10));
    let end = [Told::Connecting, Told::Connected(1), Told::Disconnected(ErrorKind::ShutDown)];
    assert_eq!(end.clone().map(|_| told.recv_timeout(SHORT).expect("told")), end);
    assert_eq!(one.on_event(|_| {}).map_err(|e| e.kind()).err(), Some(ErrorKind::ShutDown));
    drop(subscription);
    drop(open);
    drop(blocked);
}

#[test]
fn a_callback_whose_values_panic_when_dropped_is_contained() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as planned");
        }
    }
    let simulator = simulator(1, Serial::Echo);
    let engine = engine(64);
    let console = connected(&engine, &simulator, 0);
    let (_beside, told) = listen(&console);
    let bomb = AssertUnwindSafe(Bomb);
    let subscription = console.on_event(move |_| {
        let _ = &bomb;
    });
    drop(subscription.expect("subscribed"));
    echoes(&console, &told);
}
