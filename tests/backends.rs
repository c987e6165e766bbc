//! P23 `backends_only_carry_bytes`: a backend of a few lines gets states, retries, readers with
//! replay and reconfiguration from its console, and no number of readers makes it do more work.

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use bmclink::{
    Backend, Console, ConsoleConfig, ConsoleState, Error, ErrorKind, EventKind, LogConfig, Result,
    RetryConfig, Sink,
};
use support::{engine, read_exactly, until};

const LONG: Duration = Duration::from_secs(20);
/// Time in which something that must not happen would have.
const AFTER: Duration = Duration::from_millis(100);
const HOUR: Duration = Duration::from_secs(3600);

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

/// Kept, and tried again soon.
fn kept() -> ConsoleConfig {
    let mut config = ConsoleConfig::default().always_on();
    config.retry.first = Duration::from_millis(10);
    config.retry.max = Duration::from_millis(20);
    config
}

/// Kept, and not tried again by itself as long as a test takes.
fn kept_slow() -> ConsoleConfig {
    let mut config = ConsoleConfig::default().always_on();
    let RetryConfig { credentials, .. } = &mut config.retry;
    *credentials = HOUR;
    config
}

type WriteHook = Box<dyn FnMut(&[u8]) -> Result<usize> + Send>;
type Hook = Box<dyn FnMut(usize, &Sink) -> Result<()> + Send>;

/// What a [`Probe`] was asked, and what it was given.
#[derive(Default)]
struct Seen {
    calls: Mutex<Vec<String>>,
    sinks: Mutex<Vec<Sink>>,
    dropped: AtomicBool,
}

impl Seen {
    fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("no panic").clone()
    }

    fn count(&self, call: &str) -> usize {
        self.calls().iter().filter(|it| it.starts_with(call)).count()
    }

    fn sink(&self, number: usize) -> Sink {
        self.sinks.lock().expect("no panic")[number].clone()
    }

    fn note(&self, call: impl Into<String>) {
        self.calls.lock().expect("no panic").push(call.into());
    }
}

/// Sends back what is written, notes all calls, and starts as a test wants.
struct Probe {
    seen: Arc<Seen>,
    on_start: Hook,
    on_write: WriteHook,
}

impl Probe {
    fn new(on_start: impl FnMut(usize, &Sink) -> Result<()> + Send + 'static) -> (Self, Arc<Seen>) {
        let seen = Arc::new(Seen::default());
        let on_write = Box::new(|bytes: &[u8]| Ok(bytes.len()));
        (Probe { seen: seen.clone(), on_start: Box::new(on_start), on_write }, seen)
    }

    /// Connects at once, every time.
    fn echo() -> (Self, Arc<Seen>) {
        Probe::new(|_, sink| {
            sink.connected();
            Ok(())
        })
    }
}

impl Backend for Probe {
    fn start(&mut self, sink: Sink) -> Result<()> {
        self.seen.note("start");
        let mut sinks = self.seen.sinks.lock().expect("no panic");
        sinks.push(sink.clone());
        let number = sinks.len();
        drop(sinks);
        (self.on_start)(number, &sink)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let taken = (self.on_write)(bytes)?;
        self.seen.note(format!("write {}", String::from_utf8_lossy(&bytes[..taken])));
        let sink = self.seen.sinks.lock().expect("no panic").last().cloned();
        sink.expect("started").bytes(&bytes[..taken]);
        Ok(taken)
    }

    fn send_break(&mut self) -> Result<()> {
        self.seen.note("break");
        Ok(())
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        self.seen.note(format!("resize {columns}x{rows}"));
    }

    fn stop(&mut self) {
        self.seen.note("stop");
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.seen.dropped.store(true, Ordering::SeqCst);
    }
}

/// A door that is shut until it is opened.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn pass(&self) {
        let mut open = self.0.lock().expect("no panic");
        while !*open {
            open = self.1.wait(open).expect("no panic");
        }
    }

    fn open(&self) {
        *self.0.lock().expect("no panic") = true;
        self.1.notify_all();
    }
}

fn echoes(console: &Console, text: &str) {
    let mut reader = console.live_reader();
    console.write_all(text.as_bytes(), LONG).expect("room");
    assert_eq!(read_exactly(&mut reader, text.len()), text.as_bytes());
}

#[test]
fn an_echo_gets_states_readers_replay_and_its_end() {
    let engine = engine(1);
    let (probe, seen) = Probe::echo();
    let console = engine.console(probe, ConsoleConfig::default()).expect("a console");
    assert_eq!(console.state(), ConsoleState::Unconnected);
    assert_eq!(kind(console.write(b"x", LONG)), Some(ErrorKind::NotConnected));
    console.connect(LONG).expect("connected");
    assert_eq!((console.state(), console.stats().epoch), (ConsoleState::Connected, 1));
    console.connect(LONG).expect("still connected");

    let mut early = console.reader();
    console.write_all(b"hello", LONG).expect("room");
    console.drain(LONG).expect("taken");
    assert_eq!(read_exactly(&mut early, 5), b"hello");
    let mut late = console.reader();
    assert_eq!(read_exactly(&mut late, 5), b"hello", "the past is replayed");
    console.write_all(b"again", LONG).expect("room");
    assert_eq!(read_exactly(&mut late, 5), b"again");

    console.close(LONG).expect("closed");
    assert_eq!(kind(console.connect(LONG)), Some(ErrorKind::Closed));
    assert_eq!(read_exactly(&mut early, 5), b"again");
    assert_eq!(kind(early.read(&mut [0; 8], LONG)), Some(ErrorKind::Closed));
    assert!(seen.dropped.load(Ordering::SeqCst), "a closed console keeps nothing");
    assert_eq!(seen.calls(), ["start", "write hello", "write again", "stop"]);
}

#[test]
fn input_and_breaks_keep_their_order_and_a_full_backend_is_waited_for() {
    let engine = engine(1);
    let (mut probe, seen) = Probe::echo();
    let room = Arc::new(AtomicUsize::new(3));
    let shared = room.clone();
    probe.on_write = Box::new(move |bytes| {
        let taken = shared.load(Ordering::SeqCst).min(bytes.len());
        shared.fetch_sub(taken, Ordering::SeqCst);
        Ok(taken)
    });
    let console = engine.console(probe, ConsoleConfig::default()).expect("a console");
    console.connect(LONG).expect("connected");
    console.write_all(b"abcde", LONG).expect("room");
    let breaking = thread::spawn({
        let console = console.clone();
        move || console.send_break(LONG)
    });
    until("three bytes are taken", || console.stats().pending == 2);
    thread::sleep(AFTER);
    assert_eq!(seen.calls(), ["start", "write abc", "write "], "no room is no reason to ask again");
    assert_eq!(kind(console.drain(Duration::ZERO)), Some(ErrorKind::TimedOut));

    room.store(100, Ordering::SeqCst);
    assert!(seen.sink(0).writable());
    breaking.join().expect("no panic").expect("a break");
    console.drain(LONG).expect("all of it");
    assert_eq!(seen.calls()[3..], ["write de", "break"]);

    room.store(1, Ordering::SeqCst);
    console.write_all(b"vwxyz", LONG).expect("room");
    until("one byte is taken", || console.stats().pending == 4);
    seen.sink(0).ended(Error::with_text(ErrorKind::Lost, "gone"));
    let stats = console.stats();
    assert_eq!((stats.input_lost, stats.pending), (4, 0), "what is lost is counted by then");
}

#[test]
fn a_loss_is_told_and_tried_again() {
    let engine = engine(1);
    let (probe, seen) = Probe::echo();
    let console = engine.console(probe, kept()).expect("a console");
    until("connected", || console.state() == ConsoleState::Connected);
    for round in 1..=5 {
        let mut reader = console.live_reader();
        seen.sink(round - 1).bytes(b"last");
        seen.sink(round - 1).ended(Error::with_text(ErrorKind::Lost, "the far end is gone"));
        assert_eq!(read_exactly(&mut reader, 4), b"last", "what it said before its end is heard");
        until("another one", || console.stats().epoch == round as u64 + 1);
    }
    until("all stopped", || seen.count("stop") == 5);
    assert_eq!(seen.count("start"), 6);
    let calls = seen.calls();
    assert!(calls.chunks(2).take(5).all(|pair| pair == ["start", "stop"]), "{calls:?}");
}

#[test]
fn a_failed_start_is_one_error_and_an_attach_tries_at_once() {
    let engine = engine(1);
    let (probe, seen) = Probe::new(|number, sink| {
        if number == 1 {
            return Err(Error::with_text(ErrorKind::Password, "wrong password"));
        }
        sink.connected();
        Ok(())
    });
    let console = engine.console(probe, kept_slow()).expect("a console");
    until("it failed", || console.why().next_try.is_some());
    let why = console.why();
    assert_eq!((why.state, why.epoch), (ConsoleState::Unconnected, 0));
    assert_eq!(why.reason.map(|it| it.to_string()), Some("wrong password".to_owned()));
    assert!(why.next_try > Some(HOUR / 2), "as long as the schedule says");

    let _reader = console.reader();
    until("connected", || console.state() == ConsoleState::Connected);
    assert_eq!(seen.calls(), ["start", "stop", "start"]);
}

#[test]
fn a_console_on_demand_is_there_while_somebody_is() {
    let engine = engine(1);
    let (probe, seen) = Probe::echo();
    let config = ConsoleConfig::default().on_demand(Duration::from_millis(20));
    let console = engine.console(probe, config).expect("a console");
    thread::sleep(AFTER);
    assert_eq!(seen.calls(), [""; 0]);
    let reader = console.reader();
    until("connected", || console.state() == ConsoleState::Connected);
    drop(reader);
    until("nobody is attached", || seen.count("stop") == 1);
    assert_eq!(console.state(), ConsoleState::Unconnected);
    let _reader = console.reader();
    until("connected again", || console.stats().epoch == 2);
}

#[test]
fn a_panic_ends_an_attempt_and_nothing_else() {
    let engine = engine(1);
    let (other, _) = Probe::echo();
    let other = engine.console(other, ConsoleConfig::default()).expect("a console");
    other.connect(LONG).expect("connected");

    let (mut probe, seen) = Probe::new(|number, sink| {
        assert!(number != 1, "on purpose");
        sink.connected();
        Ok(())
    });
    probe.on_write = Box::new(|bytes| {
        assert!(bytes != b"panic", "on purpose");
        Ok(bytes.len())
    });
    let console = engine.console(probe, ConsoleConfig::default()).expect("a console");
    let error = console.connect(LONG).expect_err("it panics");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(error.to_string(), "the backend panicked in start");
    console.connect(LONG).expect("the second attempt");
    console.write_all(b"panic", LONG).expect("room");
    assert_eq!(console.wait_state(ConsoleState::Connected, LONG), ConsoleState::Unconnected);
    assert_eq!(console.reason().map(|it| it.kind()), Some(ErrorKind::Internal));
    assert_eq!(console.stats().input_lost, 5);
    console.connect(LONG).expect("the third attempt");
    echoes(&console, "fine");
    assert_eq!(seen.calls(), ["start", "stop", "start", "stop", "start", "write fine"]);
    echoes(&other, "never heard of it");
}

#[test]
fn sinks_of_the_past_are_dead() {
    let engine = engine(1);
    let (probe, seen) = Probe::echo();
    let console = engine.console(probe, kept()).expect("a console");
    until("connected", || console.state() == ConsoleState::Connected);
    let old = seen.sink(0);
    let (next, seen) = Probe::echo();
    console.reconfigure_backend(next).expect("another one");
    until("connected anew", || console.stats().epoch == 2);
    let mut reader = console.live_reader();
    assert!(!old.is_alive() && !old.bytes(b"old") && !old.connected() && !old.writable());
    assert!(!old.ended(Error::with_text(ErrorKind::Lost, "old")));
    assert!(seen.sink(0).bytes(b"new"));
    assert_eq!(read_exactly(&mut reader, 3), b"new");
    assert_eq!((console.state(), console.stats().epoch), (ConsoleState::Connected, 2));

    let last = seen.sink(0);
    console.close(LONG).expect("closed");
    assert!(!last.is_alive() && !last.bytes(b"late"));
    assert_eq!(kind(reader.read(&mut [0; 8], LONG)), Some(ErrorKind::Closed));
}

#[test]
fn another_backend_takes_over_at_once_and_whoever_waits_gets_its_result() {
    let engine = engine(1);
    // It never says anything.
    let (probe, first) = Probe::new(|_, _| Ok(()));
    let console = engine.console(probe, ConsoleConfig::default()).expect("a console");
    let waiting = thread::spawn({
        let console = console.clone();
        move || console.connect(LONG)
    });
    until("started", || first.count("start") == 1);
    let (next, second) = Probe::echo();
    console.reconfigure_backend(next).expect("another one");
    waiting.join().expect("no panic").expect("connected by the other one");
    assert_eq!((first.count("stop"), second.count("start")), (1, 1));
    assert!(first.dropped.load(Ordering::SeqCst));

    let states = Arc::new(Mutex::new(Vec::new()));
    let seen = states.clone();
    let reader = console.live_reader();
    let _subscription = reader.on_event(move |event| {
        let state = match event.kind {
            EventKind::Connecting => (ConsoleState::Connecting, None),
            EventKind::Connected => (ConsoleState::Connected, None),
            EventKind::Disconnected { reason, .. } => {
                (ConsoleState::Unconnected, Some(reason.kind()))
            }
            _ => return,
        };
        seen.lock().expect("no panic").push(state);
    });
    let (next, third) = Probe::echo();
    console.reconfigure_backend(next).expect("another one");
    until("three states", || states.lock().expect("no panic").len() == 3);
    let expected = [
        (ConsoleState::Unconnected, Some(ErrorKind::Reconfigured)),
        (ConsoleState::Connecting, None),
        (ConsoleState::Connected, None),
    ];
    assert_eq!(*states.lock().expect("no panic"), expected);

    // What touches no backend breaks nothing.
    let config = ConsoleConfig::default().always_on().replay_len(1 << 20);
    console.reconfigure(config).expect("another way");
    thread::sleep(AFTER);
    assert_eq!((third.calls(), console.stats().epoch), (vec!["start".to_owned()], 2));
}

#[test]
fn a_backend_that_blocks_delays_nobody_else() {
    let engine = engine(1);
    let gate = Arc::new(Gate::default());
    let mut blocked = Vec::new();
    for _ in 0..20 {
        let door = gate.clone();
        let (probe, seen) = Probe::new(move |_, sink| {
            door.pass();
            sink.connected();
            Ok(())
        });
        let console = engine.console(probe, ConsoleConfig::default()).expect("a console");
        console.begin_connect().expect("begun");
        until("it blocks", || seen.count("start") == 1);
        blocked.push((console, seen));
    }
    let (probe, _) = Probe::echo();
    let console = engine.console(probe, ConsoleConfig::default()).expect("a console");
    console.connect(LONG).expect("connected meanwhile");
    echoes(&console, "not delayed");

    // Neither is whoever waits for one of them, or has enough of it.
    let (first, seen) = &blocked[0];
    assert_eq!(kind(first.connect(Duration::from_millis(10))), Some(ErrorKind::TimedOut));
    assert_eq!(first.state(), ConsoleState::Connecting, "somebody else began that");
    let closed = first.close(Duration::ZERO);
    assert!(closed.is_err() && first.state() == ConsoleState::Unconnected);
    assert_eq!(seen.count("stop"), 0);
    gate.open();
    until("it is stopped after all", || seen.calls() == ["start", "stop"]);
    for (console, _) in &blocked[1..] {
        until("connected", || console.state() == ConsoleState::Connected);
    }
}

#[test]
fn readers_are_no_work_for_the_backend() {
    let engine = engine(1);
    let calls = |readers: usize| {
        let (probe, seen) = Probe::echo();
        let console = engine.console(probe, ConsoleConfig::default()).expect("a console");
        console.connect(LONG).expect("connected");
        let mut readers: Vec<_> = (0..readers).map(|_| console.reader()).collect();
        for round in 0..50 {
            console.write_all(format!("{round:02}").as_bytes(), LONG).expect("room");
            console.drain(LONG).expect("taken");
        }
        let all: String = (0..50).map(|round| format!("{round:02}")).collect();
        for reader in &mut readers {
            assert_eq!(read_exactly(reader, 100), all.as_bytes());
        }
        drop(readers);
        console.close(LONG).expect("closed");
        seen.calls()
    };
    let one = calls(1);
    assert_eq!(one.len(), 52);
    assert_eq!(calls(200), one);
}

#[test]
fn the_window_is_told_when_it_changes_and_before_a_start() {
    let engine = engine(1);
    let (probe, seen) = Probe::echo();
    let console = engine.console(probe, ConsoleConfig::default()).expect("a console");
    console.resize(100, 30).expect("a size");
    assert_eq!(kind(console.resize(0, 30)), Some(ErrorKind::Misuse));
    console.connect(LONG).expect("connected");
    console.resize(100, 30).expect("the same");
    console.resize(120, 40).expect("another");
    until("told", || seen.count("resize") == 2);
    assert_eq!(seen.calls(), ["resize 100x30", "start", "resize 120x40"]);
    let (next, seen) = Probe::echo();
    console.reconfigure_backend(next).expect("another one");
    until("connected", || console.stats().epoch == 2);
    assert_eq!(seen.calls(), ["resize 120x40", "start"]);
}

#[test]
fn the_end_of_an_engine_stops_its_backends() {
    let engine = engine(1);
    let (probe, seen) = Probe::echo();
    let console = engine.console(probe, kept()).expect("a console");
    until("connected", || console.state() == ConsoleState::Connected);
    let mut reader = console.live_reader();
    drop(engine);
    assert_eq!(kind(reader.read(&mut [0; 8], LONG)), Some(ErrorKind::ShutDown));
    assert_eq!(kind(console.connect(LONG)), Some(ErrorKind::ShutDown));
    assert_eq!(seen.calls(), ["start", "stop"]);
    assert!(seen.dropped.load(Ordering::SeqCst));
    assert!(console.close(LONG).is_err());
}

#[test]
fn the_example_comes_back_by_itself() {
    let output = support::example("tcp_backend").output().expect("it runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{stdout}", output.status);
    let wanted = ["[Connected]", "hello 1", "far end hung up]", "[Connected]", "hello 2"];
    let mut lines = stdout.lines();
    for want in wanted {
        assert!(lines.any(|line| line.contains(want)), "{want} is missing in\n{stdout}");
    }
    assert!(lines.any(|line| line == "hello 3"), "{stdout}");
}

#[test]
fn a_log_file_is_written_of_a_backend_as_of_sol() {
    let scratch = support::Scratch::new();
    let engine = engine(1);
    let (probe, seen) = Probe::echo();
    let path = scratch.path().join("log");
    let mut config = ConsoleConfig::default();
    config.log = Some(LogConfig::new(&path));
    let console = engine.console(probe, config).expect("a console");
    console.connect(LONG).expect("connected");
    seen.sink(0).bytes(b"a line\n");
    console.close(LONG).expect("closed");
    let written = || std::fs::read_to_string(&path).unwrap_or_default();
    until("it is written", || written().contains("a line"));
}

/// Prints when it is started, and notes when that was heard although another one has its place.
struct Talker {
    number: usize,
    newest: Arc<AtomicUsize>,
    heard_late: Arc<AtomicUsize>,
}

impl Backend for Talker {
    fn start(&mut self, sink: Sink) -> Result<()> {
        let is_over = self.newest.load(Ordering::SeqCst) > self.number;
        if sink.bytes(b"a banner") && is_over {
            self.heard_late.fetch_add(1, Ordering::SeqCst);
        }
        sink.connected();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        Ok(bytes.len())
    }

    fn stop(&mut self) {}
}

/// P12 for backends: also of one that is about to be started just then.
#[test]
fn a_backend_that_was_replaced_is_not_heard() {
    let engine = engine(1);
    let (newest, heard_late) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let talker = |number| Talker { number, newest: newest.clone(), heard_late: heard_late.clone() };
    let config = ConsoleConfig::default().always_on();
    let console = engine.console(talker(0), config).expect("a console");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Keeps the threads from running in step.
        scope.spawn(|| {
            let mut columns = 80;
            while !done.load(Ordering::SeqCst) {
                columns ^= 1;
                console.resize(columns, 24).expect("legal");
            }
        });
        for number in 1..=5_000 {
            console.reconfigure_backend(talker(number)).expect("legal");
            newest.store(number, Ordering::SeqCst);
            for _ in 0..number % 500 {
                std::hint::spin_loop();
            }
        }
        done.store(true, Ordering::SeqCst);
    });
    until("the last one is connected", || console.state() == ConsoleState::Connected);
    assert_eq!(heard_late.load(Ordering::SeqCst), 0);
}

/// Whatever had become of it by then.
#[test]
fn input_that_a_replaced_backend_had_not_taken_is_lost_once() {
    let engine = engine(1);
    let full = || {
        let (mut probe, _) = Probe::echo();
        probe.on_write = Box::new(|_| Ok(0));
        probe
    };
    let config = ConsoleConfig::default().always_on();
    let console = engine.console(full(), config).expect("a console");
    for round in 0..2_000 {
        until("connected", || console.state() == ConsoleState::Connected);
        console.write(b"0123456789", LONG).expect("room");
        for _ in 0..(round % 100) * 20 {
            std::hint::spin_loop();
        }
        console.reconfigure_backend(full()).expect("legal");
    }
    until("connected", || console.state() == ConsoleState::Connected);
    let stats = console.stats();
    assert_eq!((stats.written, stats.input_lost, stats.pending), (20_000, 20_000, 0));
}

/// What a backend calls closed is one connection of a console that is kept.
#[test]
fn a_log_goes_on_behind_a_connection_that_was_closed() {
    let scratch = support::Scratch::new();
    let path = scratch.join("console.log");
    let engine = engine(1);
    let (probe, _) = Probe::new(|start, sink| {
        sink.connected();
        sink.bytes(format!("start {start}\n").as_bytes());
        if start < 3 {
            sink.ended(Error::with_text(ErrorKind::Closed, "closed by the peer"));
        }
        Ok(())
    });
    let config = kept().log(LogConfig::new(&path));
    let console = engine.console(probe, config).expect("a console");
    let text = || std::fs::read_to_string(&path).unwrap_or_default();
    until("the third one is in the log", || text().contains("start 3"));
    console.close(LONG).expect("closed");
    until("the end is in the log", || text().trim_end().ends_with("-- disconnected: closed --"));
}

/// An engine does not wait for a backend that does not stop, and neither does who closes later.
#[test]
fn nobody_waits_for_a_backend_that_outlives_its_engine() {
    let engine = engine(1);
    let gate = Arc::new(Gate::default());
    struct Stuck(Arc<Gate>);
    impl Backend for Stuck {
        fn start(&mut self, sink: Sink) -> Result<()> {
            sink.connected();
            Ok(())
        }
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            Ok(bytes.len())
        }
        fn stop(&mut self) {
            self.0.pass();
        }
    }
    let open = || engine.console(Stuck(gate.clone()), ConsoleConfig::default()).expect("a console");
    let (early, late) = (open(), open());
    for console in [&early, &late] {
        console.connect(LONG).expect("connected");
    }
    thread::scope(|scope| {
        let waits = scope.spawn(|| kind(early.close(LONG)));
        until("it waits for its backend", || kind(early.connect(LONG)) == Some(ErrorKind::Closed));
        drop(engine);
        let closed = [kind(late.close(LONG)), waits.join().expect("no panic")];
        gate.open();
        assert_eq!(closed, [Some(ErrorKind::ShutDown); 2]);
    });
}
