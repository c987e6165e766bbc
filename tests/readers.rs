//! Readers on the real engine: every one sees every byte once and in order, and what happened at
//! its place among them.

mod support;

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use bmclink::sim::{BmcOptions, Profile, Serial, Simulator, SimulatorOptions};
use bmclink::{
    Bmc, BmcConfig, Console, ConsoleConfig, ConsoleEvent, Credentials, Engine, ErrorKind,
    EventKind, EventQueue, Events, PrivilegeLevel, Reader, Ready, TakeOver,
};
use support::{engine, read_exactly};

const SHORT: Duration = Duration::from_secs(30);
/// Less than anything here takes.
const AT_ONCE: Duration = Duration::ZERO;

fn simulator(serial: Serial) -> Simulator {
    let bmc = BmcOptions { profile: Profile::Spec, ..BmcOptions::default() };
    let options = SimulatorOptions { serial, bmc, ..SimulatorOptions::default() };
    Simulator::start(options).expect("a simulator")
}

/// A BMC whose loss is noticed soon.
fn config(simulator: &Simulator) -> BmcConfig {
    let address = simulator.address(0);
    let credentials = Credentials::new("admin", "password").expect("legal");
    let mut config = BmcConfig::new(address.ip().to_string(), credentials).port(address.port());
    config.timing.keepalive = Duration::from_secs(1);
    config.timing.keepalive_jitter = Duration::from_millis(50);
    config.timing.keepalive_retry = Duration::from_millis(200);
    config.timing.lost_after = Duration::from_millis(2500);
    config
}

fn bmc(engine: &Engine, simulator: &Simulator) -> Bmc {
    engine.bmc(config(simulator)).expect("a BMC")
}

fn connected(engine: &Engine, simulator: &Simulator, config: ConsoleConfig) -> Console {
    let console = bmc(engine, simulator).console(config).expect("a console");
    console.connect(SHORT).expect("connected");
    console
}

/// The host prints.
fn print(simulator: &Simulator, text: &[u8]) {
    let taken = simulator.with(0, |bmc, now| bmc.serial_output(now, text));
    assert_eq!(taken, text.len());
}

/// An event in a word.
fn word(event: &ConsoleEvent<'_>) -> String {
    let in_words = match &event.kind {
        EventKind::Data(bytes) => return String::from_utf8_lossy(bytes).into_owned(),
        EventKind::Connected => format!("connected {}", event.epoch),
        EventKind::Disconnected { reason, .. } => format!("{:?}", reason.kind()),
        EventKind::InputLost(bytes) => format!("input lost {bytes}"),
        EventKind::Lost { bytes, events, .. } => format!("lost {bytes} {events}"),
        EventKind::Gap(None) => "gap".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    };
    format!("<{in_words}>")
}

/// What a reader is told up to something, in one text.
#[track_caller]
fn story(reader: &mut Reader, until: &str) -> String {
    let (mut told, mut out) = (String::new(), [0; 4096]);
    while !told.ends_with(until) {
        let event = reader.next(&mut out, SHORT);
        match event {
            Ok(event) => told += &word(&event),
            Err(error) => panic!("{error} after {told:?}, before {until:?}"),
        }
    }
    told
}

#[test]
fn events_stand_where_they_happened_over_losses_thefts_and_other_configurations() {
    let simulator = simulator(Serial::None);
    let engine = engine(1);
    let bmc = bmc(&engine, &simulator);
    let mut config_of_console = ConsoleConfig::default().take_over(TakeOver::Always).always_on();
    config_of_console.retry.stolen = Duration::from_millis(200);
    let console = bmc.console(config_of_console.clone()).expect("a console");
    let mut reader = console.reader();
    let mut told = story(&mut reader, "<connected 1>");
    assert_eq!(told, "<connecting><connected 1>");
    print(&simulator, b"one");
    simulator.with(0, |bmc, now| bmc.serial_output_break(now));
    assert_eq!(story(&mut reader, "<break>"), "one<break>");
    told += "one<break>";

    simulator.with(0, |bmc, now| bmc.reset(now));
    let next = story(&mut reader, "<connected 2>");
    // What is tried before the whole session is known to be gone fails like it.
    let expected = "<Lost><connecting><gap><connected 2>";
    assert_eq!(next.replace("<Lost><connecting><Lost>", "<Lost>"), expected);
    print(&simulator, b"two");
    told += &(next + &story(&mut reader, "two"));

    simulator.with(0, |bmc, now| bmc.steal_sol(now));
    let next = story(&mut reader, "<connected 3>");
    assert_eq!(next, "<stolen><Stolen><connecting><gap><connected 3>");
    print(&simulator, b"three");
    told += &(next + &story(&mut reader, "three"));

    bmc.reconfigure(config(&simulator).privilege_level(PrivilegeLevel::Operator)).expect("legal");
    let next = story(&mut reader, "<connected 4>");
    assert_eq!(next, "<Reconfigured><connecting><gap><connected 4>");
    print(&simulator, b"four");
    told += &(next + &story(&mut reader, "four"));

    console.reconfigure(config_of_console.replay_len(4096).take_over(TakeOver::Once)).expect("ok");
    let next = story(&mut reader, "<connected 5>");
    assert_eq!(next, "<Reconfigured><connecting><gap><connected 5>");
    told += &next;

    // Another one gets the same, and one that looks at no events the bytes.
    assert_eq!(story(&mut console.reader(), "<connected 5>"), told);
    assert_eq!(read_exactly(&mut console.reader(), 15), b"onetwothreefour");
    console.close(SHORT).expect("closed");
    assert_eq!(story(&mut reader, ">"), "<Closed>");
    for _ in 0..2 {
        let end = reader.next(&mut [0; 8], SHORT).map_err(|error| error.kind()).err();
        assert_eq!(end, Some(ErrorKind::Closed));
    }
}

#[test]
fn callbacks_are_told_the_same_in_the_same_order() {
    let simulator = simulator(Serial::Echo);
    let engine = engine(1);
    let console = connected(&engine, &simulator, ConsoleConfig::default());
    let (sender, told) = std::sync::mpsc::channel();
    let callback = move |event: ConsoleEvent<'_>| drop(sender.send((event.epoch, word(&event))));
    let subscription = console.on_event(callback).expect("subscribed");
    for round in 1..=3 {
        console.connect(SHORT).expect("connected");
        console.write_all(format!("round {round}").as_bytes(), SHORT).expect("room");
        console.drain(SHORT).expect("acknowledged");
        simulator.with(0, |bmc, now| bmc.steal_sol(now));
        while console.stats().epoch == round && console.reason().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
    }
    console.close(SHORT).expect("closed");
    let mut reader = console.reader();
    let expected = story(&mut reader, "<Closed>");
    let mut got = String::new();
    while got.len() < expected.len() {
        let (epoch, text) = told.recv_timeout(SHORT).expect("more");
        assert!(epoch <= 3);
        got += &text;
    }
    assert_eq!(got, expected);
    assert!(expected.matches("<gap>").count() == 2 && !expected.contains("lost 0"), "{expected}");
    drop(subscription);
}

/// 256 KiB that are nowhere the same.
fn long_text() -> Vec<u8> {
    let mut text = Vec::new();
    for line in 0.. {
        write!(text, "line {line:07} of a long text\r\n").expect("memory");
        if text.len() >= 256 << 10 {
            return text;
        }
    }
    text
}

/// Everything up to the end of a text, by `read` or by `next`, and how much was lost before.
fn read_to_end(reader: &mut Reader, end: &[u8], with_events: bool) -> (Vec<u8>, u64) {
    let (mut got, mut out) = (Vec::new(), [0; 3000]);
    while !got.ends_with(end) {
        if !with_events {
            let len = reader.read(&mut out, SHORT).expect("more");
            got.extend_from_slice(&out[..len]);
            continue;
        }
        match reader.next(&mut out, SHORT).expect("more").kind {
            EventKind::Data(bytes) => got.extend_from_slice(bytes),
            EventKind::Lost { .. } => got.clear(),
            EventKind::Connecting | EventKind::Connected => {}
            other => panic!("{other:?}"),
        }
    }
    (got, reader.lost())
}

#[test]
fn a_reader_that_comes_while_bytes_stream_misses_none_and_gets_none_twice() {
    let (simulator, text) = (simulator(Serial::Echo), long_text());
    let engine = engine(1);
    let end = &text[text.len() - 40..];
    for replay_len in [1 << 20, 16 << 10] {
        let config = ConsoleConfig::default().replay_len(replay_len);
        let console = connected(&engine, &simulator, config);
        thread::scope(|scope| {
            let writer = scope.spawn(|| console.write_all(&text, SHORT));
            let mut readers = Vec::new();
            for number in 0..40u64 {
                // Spread over the text, wherever that is by now.
                let from = number * text.len() as u64 / 40;
                while console.stats().received < from {
                    thread::sleep(Duration::from_micros(200));
                }
                let (mut reader, text) = (console.reader(), &text);
                readers.push(scope.spawn(move || {
                    let (got, lost) = read_to_end(&mut reader, end, number % 2 == 0);
                    // With the whole text kept, the whole text; else all from some point on.
                    assert!(replay_len < text.len() || lost == 0 && got.len() == text.len());
                    lost > 0 || text.ends_with(&got)
                }));
            }
            writer.join().expect("no panic").expect("room");
            for reader in readers {
                assert!(reader.join().expect("no panic"));
            }
        });
        // The past of one that comes now is the end of the text, exactly.
        let (got, lost) = read_to_end(&mut console.reader(), end, true);
        assert!(lost == 0 && got.len() == replay_len.min(text.len()) && text.ends_with(&got));
        console.close(SHORT).expect("closed");
    }
}

#[test]
fn two_hundred_readers_get_each_byte_and_the_bmc_knows_of_one() {
    let (simulator, text) = (simulator(Serial::Echo), long_text());
    let engine = engine(1);
    let console = connected(&engine, &simulator, ConsoleConfig::default().replay_len(1 << 20));
    let end = &text[text.len() - 40..];
    thread::scope(|scope| {
        let readers: Vec<_> = (0..200)
            .map(|number| {
                let (mut reader, text) = (console.reader(), &text);
                let body = move || {
                    let (got, lost) = read_to_end(&mut reader, end, number % 2 == 0);
                    assert!(got == *text && lost == 0, "reader {number}: {} bytes", got.len());
                };
                scope.spawn(body)
            })
            .collect();
        console.write_all(&text, SHORT).expect("room");
        readers.into_iter().for_each(|reader| reader.join().expect("no panic"));
    });
    let received = console.stats().received;
    let (acknowledges, sessions) =
        simulator.with(0, |bmc, _| (bmc.counters().sol_acks, bmc.counters().sessions_opened));
    assert_eq!((received, sessions), (text.len() as u64, 1));
    // No more than one for each packet of it, and a packet has more than one byte.
    assert!(acknowledges <= received / 4, "{acknowledges}");
}

#[test]
fn a_reader_that_stays_away_loses_its_own_oldest_bytes_and_is_told_how_many() {
    let (simulator, text) = (simulator(Serial::Echo), long_text());
    let engine = engine(1);
    let console = connected(&engine, &simulator, ConsoleConfig::default().replay_len(4096));
    let (mut slow, mut quick) = (console.live_reader(), console.live_reader());
    for piece in text.chunks(1000) {
        console.write_all(piece, SHORT).expect("room");
        assert_eq!(read_exactly(&mut quick, piece.len()), piece);
    }
    assert_eq!((quick.lost(), slow.lost(), console.stats().gaps), (0, 0, 0));
    let missed = text.len() as u64 - 4096;
    let mut out = vec![0; 8192];
    let first = slow.next(&mut out, SHORT).map(|event| word(&event));
    assert_eq!(first, Ok(format!("<lost {missed} 0>")));
    let mut got = Vec::new();
    while got.len() < 4096 {
        match slow.next(&mut out, SHORT).expect("the rest").kind {
            EventKind::Data(bytes) => got.extend_from_slice(bytes),
            other => panic!("{other:?}"),
        }
    }
    assert!(text.ends_with(&got) && slow.lost() == missed);
}

#[test]
fn bytes_have_the_time_and_the_connection_they_came_in() {
    let simulator = simulator(Serial::None);
    let engine = engine(1);
    let console = connected(&engine, &simulator, ConsoleConfig::default());
    let mut reader = console.live_reader();
    let before = Instant::now();
    print(&simulator, b"first");
    while console.stats().received < 5 {
        thread::sleep(Duration::from_millis(1));
    }
    let between = Instant::now();
    thread::sleep(Duration::from_millis(20));
    print(&simulator, b"second");
    while console.stats().received < 11 {
        thread::sleep(Duration::from_millis(1));
    }
    let after = Instant::now();
    let (mut told, mut out) = (Vec::new(), [0; 64]);
    while told.iter().map(|(_, text): &(Instant, String)| text.len()).sum::<usize>() < 11 {
        let event = reader.next(&mut out, SHORT).expect("bytes");
        assert_eq!(event.epoch, 1);
        told.push((event.at, word(&event)));
    }
    let text = |from, to| {
        let inside = told.iter().filter(|(at, _)| (from..=to).contains(at));
        inside.map(|(_, text)| text.as_str()).collect::<String>()
    };
    assert_eq!((&*text(before, between), &*text(between, after)), ("first", "second"));
}

/// How much input a story says was lost, and the story without that.
fn lost_input(story: &str) -> (u64, String) {
    let (mut lost, mut rest) = (0, String::new());
    for part in story.split_inclusive('>') {
        let number = part.strip_prefix("<input lost ").and_then(|part| part.strip_suffix('>'));
        match number {
            Some(number) => lost += number.parse::<u64>().expect("a number"),
            None => rest += part,
        }
    }
    (lost, rest)
}

#[test]
fn input_that_is_lost_is_told_once_before_the_end_of_its_connection() {
    let simulator = simulator(Serial::None);
    let engine = engine(1);
    let bmc = bmc(&engine, &simulator);
    let always_on = ConsoleConfig::default().always_on();
    let console = bmc.console(always_on.clone()).expect("a console");
    console.connect(SHORT).expect("connected");
    let mut reader = console.live_reader();
    for round in 1..=2 {
        simulator.set_reachable(0, false);
        // More than the session takes, so that some is still to come.
        console.write_all(&[b'x'; 5000], SHORT).expect("room");
        if round == 1 {
            let lower = config(&simulator).privilege_level(PrivilegeLevel::Operator);
            bmc.reconfigure(lower).expect("legal");
        } else {
            console.reconfigure(always_on.clone().take_over(TakeOver::Once)).expect("legal");
        }
        let (lost, rest) = lost_input(&story(&mut reader, "<Reconfigured>"));
        assert_eq!((lost, &*rest), (5000, "<Reconfigured>"));
        assert_eq!((console.stats().input_lost, console.stats().pending), (round * 5000, 0));
        simulator.set_reachable(0, true);
        let connected = format!("<gap><connected {}>", round + 1);
        let (lost, rest) = lost_input(&story(&mut reader, &connected));
        assert!(lost == 0 && rest.starts_with("<connecting>"), "{rest}");
    }
}

#[test]
fn events_make_a_reader_ready_that_reads_them_and_no_other() {
    let simulator = simulator(Serial::None);
    let engine = engine(1);
    let console = bmc(&engine, &simulator).console(ConsoleConfig::default()).expect("a console");
    let (mut with_events, mut bytes_only) = (console.reader(), console.reader());
    let queue = EventQueue::new().expect("a queue");
    queue.add(&with_events, 1).expect("added");
    queue.add(&bytes_only, 2).expect("added");
    let (mut out, mut ready) = ([0; 64], [Ready::default(); 4]);
    let nothing = with_events.next(&mut out, AT_ONCE).map_err(|error| error.kind());
    assert_eq!(nothing.err(), Some(ErrorKind::TimedOut));
    console.connect(SHORT).expect("connected");
    let mut reports = |wanted| {
        let count = queue.wait(&mut ready, SHORT).expect("something");
        let keys: Vec<(u64, Events)> = ready[..count].iter().map(|r| (r.key, r.events)).collect();
        assert_eq!(keys, wanted);
    };
    reports(vec![(1, Events::READABLE)]);
    assert_eq!(with_events.next(&mut out, AT_ONCE).map(|e| word(&e)), Ok("<connecting>".into()));
    reports(vec![(1, Events::READABLE)]);
    assert_eq!(with_events.next(&mut out, AT_ONCE).map(|e| word(&e)), Ok("<connected 1>".into()));
    let nothing = queue.wait(&mut [Ready::default()], AT_ONCE).map_err(|error| error.kind());
    assert_eq!(nothing, Err(ErrorKind::TimedOut));
    print(&simulator, b"hello");
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let count = queue.wait(&mut ready, SHORT).expect("both");
        seen.extend(ready[..count].iter().map(|report| report.key));
    }
    seen.sort_unstable();
    assert_eq!(seen, [1, 2]);
    assert_eq!(read_exactly(&mut bytes_only, 5), b"hello");
    let misuse = with_events.next(&mut [], SHORT).map_err(|error| error.kind()).err();
    assert_eq!(misuse, Some(ErrorKind::Misuse));
}

#[test]
fn a_terminal_begins_with_a_line_and_goes_on_without_a_seam() {
    let simulator = simulator(Serial::None);
    let engine = engine(1);
    let console = connected(&engine, &simulator, ConsoleConfig::default().replay_len(1024));
    let mut reader = console.live_reader();
    let show = |text: &[u8], reader: &mut Reader| {
        print(&simulator, text);
        assert_eq!(read_exactly(reader, text.len()), text);
    };
    show(b"short\r\nprompt$ ", &mut reader);
    let (past, _) = console.reader_for_terminal();
    assert_eq!(past, b"\x1b[0m\x1b(B\x0fshort\r\nprompt$ ");
    show(&[b'x'; 990], &mut reader);
    show(b" the end of a line\r\n\x1b[31mred", &mut reader);
    let (past, mut live) = console.reader_for_terminal();
    assert_eq!(past, b"\x1b[0m\x1b(B\x0f\x1b[31mred");
    show(b" and more", &mut reader);
    assert_eq!(read_exactly(&mut live, 9), b" and more");
}
