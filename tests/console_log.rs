//! Log files of consoles: all that was printed, with times and what happened, whatever the disk
//! says.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use bmclink::sim::{Serial, Simulator, SimulatorOptions};
use bmclink::{
    BmcConfig, Console, ConsoleConfig, Credentials, Engine, ErrorKind, ExecConfig, LogConfig,
    TakeOver,
};
use support::{Scratch, engine, wait_until};

const SHORT: Duration = Duration::from_secs(30);

fn simulator() -> Simulator {
    let options = SimulatorOptions { serial: Serial::Echo, ..SimulatorOptions::default() };
    Simulator::start(options).expect("a simulator")
}

fn config(path: &Path) -> ConsoleConfig {
    ConsoleConfig::default().take_over(TakeOver::Always).log(LogConfig::new(path))
}

fn connected(engine: &Engine, simulator: &Simulator, config: ConsoleConfig) -> Console {
    let address = simulator.address(0);
    let credentials = Credentials::new("admin", "password").expect("legal");
    let bmc = BmcConfig::new(address.ip().to_string(), credentials).port(address.port());
    let console = engine.bmc(bmc).expect("a BMC").console(config).expect("a console");
    console.connect(SHORT).expect("connected");
    console
}

/// Has the host print something, and waits until the console has it.
fn echo(console: &Console, text: &[u8]) {
    let wanted = console.stats().received + text.len() as u64;
    console.write_all(text, SHORT).expect("room");
    assert!(wait_until(SHORT, || console.stats().received >= wanted));
}

/// What is in a file, without the times; each line has to have one.
fn lines(path: &Path) -> Vec<String> {
    let text = String::from_utf8(fs::read(path).unwrap_or_default()).expect("text");
    text.lines()
        .map(|line| {
            let (time, rest) = line.split_at_checked(25).unwrap_or((line, ""));
            let shape: String =
                time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            assert_eq!(shape, "0000-00-00T00:00:00.000Z ", "{line:?}");
            rest.to_owned()
        })
        .collect()
}

/// Waits until a file has these lines, and the last one is whole.
#[track_caller]
fn assert_lines(path: &Path, wanted: &[&str]) {
    wait_until(SHORT, || lines(path).len() >= wanted.len());
    // What is on its way may still come: it must not be more.
    wait_until(Duration::from_millis(50), || lines(path) != wanted);
    assert_eq!(lines(path), wanted);
}

#[test]
fn a_log_has_every_line_with_its_time_and_what_happened_between() {
    let (scratch, simulator) = (Scratch::new(), simulator());
    let engine = engine(1);
    let path = scratch.join("console.log");
    let console = connected(&engine, &simulator, config(&path));
    echo(&console, b"one\r\ntwo\nthr");
    echo(&console, b"ee\nunfinished");
    simulator.with(0, |bmc, now| bmc.steal_sol(now));
    assert!(wait_until(SHORT, || console.reason().is_some()));
    console.connect(SHORT).expect("connected again");
    echo(&console, b"more");
    console.close(SHORT).expect("closed");
    let expected = [
        "-- connecting --",
        "-- connected, epoch 1 --",
        "one",
        "two",
        "three",
        "unfinished",
        "-- taken by another session --",
        "-- disconnected: SOL was taken by another session --",
        "-- connecting --",
        "-- gap: bytes may be missing here --",
        "-- connected, epoch 2 --",
        "more",
        "-- disconnected: closed --",
    ];
    wait_until(SHORT, || lines(&path).len() >= expected.len());
    let mut got = lines(&path);
    // How the session says it is its own matter.
    got[7] = expected[7].to_owned();
    assert_eq!(got, expected);
    let status = console.log_status().expect("it has one");
    assert_eq!((status.written, status.lost), (fs::metadata(&path).expect("there").len(), 0));
    let mode = fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

#[test]
fn a_log_is_set_aside_when_it_gets_long_and_no_line_is_lost() {
    let (scratch, simulator) = (Scratch::new(), simulator());
    let engine = engine(1);
    let path = scratch.join("console.log");
    let log = LogConfig::new(&path).rotate(4096, 3);
    let console = connected(&engine, &simulator, ConsoleConfig::default().log(log));
    for number in 0..400 {
        // Each its own piece, so that files end with a line.
        echo(&console, format!("line {number:04}\n").as_bytes());
    }
    console.close(SHORT).expect("closed");
    let file = |number: usize| scratch.join(&format!("console.log.{number}"));
    assert!(wait_until(SHORT, || lines(&path).last().is_some_and(|l| l.contains("closed"))));
    assert!(file(3).exists() && !file(4).exists());
    let parts = [file(3), file(2), file(1), path];
    for part in &parts {
        assert!(fs::metadata(part).expect("there").len() <= 4096, "{part:?}");
    }
    let kept: Vec<String> = parts.iter().flat_map(|part| lines(part)).collect();
    let numbers: Vec<usize> =
        kept.iter().filter_map(|line| line.strip_prefix("line ")?.parse().ok()).collect();
    let expected: Vec<usize> = (400 - numbers.len()..400).collect();
    assert!(numbers == expected && numbers.len() > 300, "{} kept", numbers.len());
}

#[test]
fn a_log_is_opened_again_on_request_and_follows_its_configuration() {
    let (scratch, simulator) = (Scratch::new(), simulator());
    let engine = engine(1);
    let (path, moved) = (scratch.join("console.log"), scratch.join("moved"));
    let console = connected(&engine, &simulator, config(&path));
    echo(&console, b"first\n");
    let begin = ["-- connecting --", "-- connected, epoch 1 --", "first"];
    assert_lines(&path, &begin);
    fs::rename(&path, &moved).expect("moved");
    echo(&console, b"second\n");
    assert_lines(&moved, &[&begin[..], &["second"]].concat());
    console.reopen_log();
    echo(&console, b"third\n");
    assert_lines(&path, &["third"]);
    let elsewhere = scratch.join("elsewhere");
    console.reconfigure(config(&elsewhere)).expect("legal");
    echo(&console, b"fourth\n");
    assert_lines(&elsewhere, &["fourth"]);
    let mut none = config(&path);
    none.log = None;
    console.reconfigure(none).expect("legal");
    echo(&console, b"fifth\n");
    assert_lines(&elsewhere, &["fourth"]);
    assert_lines(&path, &["third"]);
    assert_eq!(console.stats().epoch, 1, "none of this touched the session");
    let mut wrong = config(&path);
    wrong.log = Some(LogConfig::new(""));
    assert_eq!(console.reconfigure(wrong).map_err(|e| e.kind()), Err(ErrorKind::Misuse));
}

#[test]
fn a_full_disk_and_a_missing_folder_are_reported_and_stop_nothing() {
    let (scratch, simulator) = (Scratch::new(), simulator());
    let engine = engine(1);
    let full = connected(&engine, &simulator, config(Path::new("/dev/full")));
    let mut reader = full.live_reader();
    let mut out = [0; 64];
    for round in 0..20u8 {
        full.write_all(&[round; 10], SHORT).expect("room");
        let mut len = 0;
        while len < 10 {
            len += reader.read(&mut out[len..], SHORT).expect("an echo");
        }
        assert_eq!(out[..10], [round; 10]);
    }
    assert!(wait_until(SHORT, || full.log_status().is_some_and(|s| s.lost >= 200)));
    let status = full.log_status().expect("it has one");
    let error = status.error.expect("it is full");
    assert_eq!((status.written, error.kind()), (0, ErrorKind::Io));
    assert!(error.to_string().contains("/dev/full") && error.to_string().contains("space"));
    full.close(SHORT).expect("closed");

    // A folder that comes back: the log goes on, and says what is missing.
    let folder = scratch.join("folder");
    let path = folder.join("console.log");
    let console = connected(&engine, &simulator, config(&path));
    echo(&console, b"nowhere\n");
    assert!(wait_until(SHORT, || console.log_status().is_some_and(|s| s.lost >= 33)));
    assert!(console.log_status().is_some_and(|s| s.error.is_some()));
    fs::create_dir(&folder).expect("made");
    assert!(wait_until(SHORT, || {
        echo(&console, b"again\n");
        console.log_status().is_some_and(|status| status.error.is_none())
    }));
    let missed = console.log_status().expect("it has one").lost;
    let found = lines(&path);
    assert_eq!(found[0], format!("-- {missed} bytes of this log were lost --"));
    assert!(found.len() > 1 && found[1..].iter().all(|line| line == "again"), "{found:?}");
    assert_eq!(console.stats().gaps, 0);
}

#[test]
fn what_a_console_printed_before_its_engine_ended_is_in_its_log() {
    let (scratch, simulator) = (Scratch::new(), simulator());
    let path = scratch.join("console.log");
    let engine = engine(1);
    let console = connected(&engine, &simulator, config(&path));
    echo(&console, b"the end\n");
    drop(engine);
    let found = lines(&path);
    assert_eq!(found[2], "the end");
    assert!(found[3].starts_with("-- disconnected"), "{found:?}");
    drop(console);
}

/// A pipe that nobody reads holds up no other console's log.
#[test]
fn a_log_that_would_block_is_an_error_of_its_own() {
    let (scratch, engine) = (Scratch::new(), engine(1));
    let pipe = scratch.join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let open = |path: &Path| {
        let exec = ExecConfig::new("/bin/sh").args(["-c", "echo hello; exec cat"]);
        let config = ConsoleConfig::default().log(LogConfig::new(path));
        let console = engine.exec_console(exec, config).expect("a console");
        console.connect(SHORT).expect("connected");
        console
    };
    // More than there are threads that write logs.
    let stuck: Vec<Console> = (0..8).map(|_| open(&pipe)).collect();
    let failed = |console: &Console| {
        console.log_status().is_some_and(|log| log.error.is_some() && log.lost > 0)
    };
    assert!(wait_until(SHORT, || stuck.iter().all(failed)));
    let path = scratch.join("console.log");
    let console = open(&path);
    assert_lines(&path, &["-- connecting --", "-- connected, epoch 1 --", "hello"]);
    // Somebody reads, and does not go on: what fits is written, the rest is lost and counted.
    let reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).expect("a reader");
    let status = || stuck[0].log_status().expect("it has a log");
    let takes_text = || {
        echo(&stuck[0], b"x");
        status().written > 0
    };
    assert!(wait_until(SHORT, takes_text), "{:?}", status());
    let before = status().lost;
    for _ in 0..64 {
        echo(&stuck[0], &[b'x'; 4096]);
    }
    assert!(wait_until(SHORT, || status().lost > before + 65_536), "{:?}", status());
    drop((console, reader));
}
