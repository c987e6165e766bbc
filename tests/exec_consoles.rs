//! Consoles of commands on a pseudo-terminal: C7, the exec half of A7, and nothing left behind.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bmclink::{
    Console, ConsoleConfig, ConsoleState, Credentials, Engine, ErrorKind, EventKind, ExecConfig,
    Reader, Subscription,
};
use nix::fcntl::{OFlag, open as open_file};
use nix::sys::signal::{SigHandler, Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use support::{engine, read_exactly, until};

const LONG: Duration = Duration::from_secs(20);
/// Time in which something that must not happen would have.
const AFTER: Duration = Duration::from_millis(100);

fn shell(script: &str) -> ExecConfig {
    ExecConfig::new("/bin/sh").args(["-c", script])
}

fn open(engine: &Engine, exec: ExecConfig) -> Console {
    engine.exec_console(exec, ConsoleConfig::default()).expect("a console")
}

fn connected(engine: &Engine, exec: ExecConfig) -> Console {
    let console = open(engine, exec);
    console.connect(LONG).expect("connected");
    console
}

fn read_line(reader: &mut Reader) -> String {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        reader.read(&mut byte, LONG).expect("more");
        line.push(byte[0]);
    }
    String::from_utf8_lossy(&line).trim_end().to_owned()
}

type States = Arc<Mutex<Vec<(ConsoleState, Option<String>)>>>;

/// All states from now on, with their reasons.
fn states(console: &Console) -> (States, Subscription) {
    let states = States::default();
    let seen = states.clone();
    let subscription = console.live_reader().on_event(move |event| {
        let state = match event.kind {
            EventKind::Connecting => (ConsoleState::Connecting, None),
            EventKind::Connected => (ConsoleState::Connected, None),
            EventKind::Disconnected { reason, .. } => {
                (ConsoleState::Unconnected, Some(reason.to_string()))
            }
            _ => return,
        };
        seen.lock().expect("no panic").push(state);
    });
    (states, subscription.expect("a subscription"))
}

/// Whether a process is there, a zombie or not.
fn exists(pid: &str) -> bool {
    PathBuf::from("/proc").join(pid).exists()
}

#[test]
fn a_command_is_a_console_as_any_other() {
    let engine = engine(1);
    let console = connected(&engine, ExecConfig::new("cat"));
    let mut reader = console.reader();
    console.write_all(b"hello\n", LONG).expect("room");
    assert_eq!(read_exactly(&mut reader, 6), b"hello\n", "a raw terminal has no echo of its own");
    let error = console.send_break(LONG).expect_err("a terminal has no line");
    assert_eq!(error.to_string(), "a pseudo-terminal has no line to send a break on");
    assert_eq!(console.state(), ConsoleState::Connected);
    console.close(LONG).expect("closed");
}

#[test]
fn all_bytes_go_through_unchanged_both_ways() {
    let engine = engine(1);
    let config = ConsoleConfig::default().replay_len(1 << 20);
    let console = engine.exec_console(ExecConfig::new("cat"), config).expect("a console");
    console.connect(LONG).expect("connected");
    let mut reader = console.reader();
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let writing = thread::spawn({
        let (console, bytes) = (console.clone(), bytes.clone());
        move || console.write_all(&bytes, LONG)
    });
    assert!(read_exactly(&mut reader, bytes.len()) == bytes);
    writing.join().expect("no panic").expect("all taken");
    assert_eq!(reader.lost(), 0);
}

#[test]
fn a_command_that_does_not_read_takes_what_fits_and_the_rest_later() {
    let engine = engine(1);
    let len = 200_000;
    let script = format!("echo $$; kill -STOP $$; head -c {len} | wc -c");
    let console = connected(&engine, shell(&script));
    let mut reader = console.reader();
    let pid = read_line(&mut reader).parse().expect("a number");
    let mut sent = 0;
    while let Ok(taken) = console.write(&[b'x'; 8192], AFTER) {
        sent += taken;
        assert!(sent < len, "it takes all of it");
    }
    assert!(sent > 0 && console.stats().pending > 0);
    kill(Pid::from_raw(pid), Signal::SIGCONT).expect("it is there");
    console.write_all(&vec![b'y'; len - sent], LONG).expect("room");
    assert_eq!(read_line(&mut reader).trim(), len.to_string());
}

#[test]
fn a_cooked_terminal_echoes_and_translates() {
    let engine = engine(1);
    let console = connected(&engine, shell("stty; read line; echo \"got $line\"").cooked());
    let mut reader = console.reader();
    assert!(read_line(&mut reader).contains("baud"));
    console.write_all(b"it\r", LONG).expect("room");
    let mut all = String::new();
    while !all.contains("got it") {
        all.push_str(&read_line(&mut reader));
    }
    assert!(all.contains("it"));
}

#[test]
fn the_end_of_a_command_is_told_and_it_is_tried_again() {
    let engine = engine(1);
    let mut config = ConsoleConfig::default();
    config.retry.first = Duration::from_millis(10);
    let console = engine.exec_console(shell("printf last; exit 3"), config.clone());
    let console = console.expect("a console");
    let (states, _subscription) = states(&console);
    let mut reader = console.reader();
    console.reconfigure(config.always_on()).expect("kept from now on");
    until("four attempts", || states.lock().expect("no panic").len() >= 12);
    let reason = || Some("/bin/sh exited with status 3".to_owned());
    let expected = [
        (ConsoleState::Connecting, None),
        (ConsoleState::Connected, None),
        (ConsoleState::Unconnected, reason()),
    ];
    let states = states.lock().expect("no panic").clone();
    for round in states.chunks(3).take(4) {
        assert_eq!(round, expected);
    }
    assert_eq!(read_exactly(&mut reader, 16), b"lastlastlastlast", "what it printed is not lost");
}

#[test]
fn a_killed_command_and_one_that_is_not_there_have_their_reasons() {
    let engine = engine(1);
    let console = connected(&engine, shell("kill -9 $$"));
    assert_eq!(console.wait_state(ConsoleState::Connected, LONG), ConsoleState::Unconnected);
    let reason = console.reason().expect("a reason");
    assert_eq!(reason.kind(), ErrorKind::Lost);
    assert_eq!(reason.to_string(), "/bin/sh killed by signal 9");

    let console = open(&engine, ExecConfig::new("/no/such/command"));
    let error = console.connect(LONG).expect_err("it is not there");
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().starts_with("cannot run /no/such/command: "), "{error}");
    assert_eq!(console.stats().epoch, 0);
    let directory = ExecConfig::new("cat").directory("/no/such/directory");
    assert!(open(&engine, directory).connect(LONG).is_err());
}

#[test]
fn a_signature_decides() {
    let engine = engine(1);
    let within = Duration::from_secs(10);
    let script = "read line; printf 'rea'; read line; printf 'dy>'; cat";
    let console = open(&engine, shell(script).signature("ready>", within));
    console.begin_connect().expect("begun");
    thread::sleep(AFTER);
    assert_eq!(console.state(), ConsoleState::Connecting, "it runs, and has printed nothing");
    console.close(LONG).expect("closed");

    let console =
        open(&engine, shell("printf 'rea'; printf 'dy>'; cat").signature("ready>", within));
    let mut reader = console.reader();
    console.connect(LONG).expect("connected");
    assert_eq!(read_exactly(&mut reader, 6), b"ready>");

    let late = Duration::from_millis(50);
    let console = open(&engine, shell("printf nothing; cat").signature("ready>", late));
    let error = console.connect(LONG).expect_err("it never comes");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "/bin/sh did not print its signature in time");

    let console = open(&engine, shell("exit 4").signature("ready>", within));
    let (states, _subscription) = states(&console);
    let error = console.connect(LONG).expect_err("it ends");
    assert_eq!(error.to_string(), "/bin/sh exited with status 4 before it printed its signature");
    until("both states", || states.lock().expect("no panic").len() == 2);
    let states = states.lock().expect("no panic");
    assert_eq!(states[0].0, ConsoleState::Connecting);
    assert_eq!(states[1].0, ConsoleState::Unconnected, "it was never connected");
}

#[test]
fn a_close_leaves_nothing_of_its_process_group() {
    let engine = engine(1);
    // One hangs up, one does not care.
    let script = "sleep 1000 & first=$!; (trap '' HUP; while :; do sleep 1; done) & \
        echo $$ $first $!; trap '' HUP; while :; do sleep 1; done";
    let console = connected(&engine, shell(script));
    let pids = read_line(&mut console.reader());
    let pids: Vec<&str> = pids.split_whitespace().collect();
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().all(|pid| exists(pid)));
    console.close(LONG).expect("closed");
    // It is reaped by us; the others by whoever reaps orphans.
    assert!(!exists(pids[0]), "no zombie");
    let runs = |pid: &&&str| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    until("all of the group are gone", || pids.iter().filter(runs).count() == 0);
}

#[test]
fn a_command_that_dies_takes_its_group_along() {
    let engine = engine(1);
    let console = connected(&engine, shell("sleep 1000 & echo $!; read line; exit 0"));
    let mut reader = console.reader();
    let pid = read_line(&mut reader);
    // It holds the terminal open, and the end is told nevertheless.
    console.write_all(b"\n", LONG).expect("room");
    assert_eq!(console.wait_state(ConsoleState::Connected, LONG), ConsoleState::Unconnected);
    let reason = console.reason().map(|it| it.to_string());
    assert_eq!(reason.as_deref(), Some("/bin/sh exited with status 0"));
    let stat = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    until("it is gone", || stat().is_empty() || stat().contains(") Z "));
}

#[test]
fn the_window_is_what_the_command_sees() {
    let engine = engine(1);
    let script = "trap 'stty size' WINCH; stty size; while :; do sleep 0.02; done";
    let console = connected(&engine, shell(script).window(132, 43));
    let mut reader = console.reader();
    assert_eq!(read_line(&mut reader), "43 132");
    console.resize(100, 30).expect("a size");
    assert_eq!(read_line(&mut reader), "30 100");
    console.reconfigure_exec(shell(script).window(80, 24)).expect("another one");
    assert_eq!(read_line(&mut reader), "30 100", "the size it has now");
}

#[test]
fn a_command_has_its_terminal_and_no_other_descriptor() {
    let engine = engine(1);
    // Without CLOEXEC, as in a program that does not know better.
    let stray = open_file("/dev/null", OFlag::O_RDONLY, Mode::empty());
    let _stray = stray.expect("a descriptor");
    let credentials = Credentials::new("admin", "hunter2").expect("legal");
    let script = "echo $$; tty; read line";
    let console = connected(&engine, shell(script).password_by_pipe(&credentials, 9));
    let mut reader = console.reader();
    let pid = read_line(&mut reader);
    assert!(read_line(&mut reader).starts_with("/dev/pts/"), "it is its controlling terminal");
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
    let names = fds.map(|entry| entry.expect("an entry").file_name().into_string());
    let fds: BTreeSet<String> = names.map(|name| name.expect("a number")).collect();
    assert_eq!(fds.iter().map(String::as_str).collect::<Vec<_>>(), ["0", "1", "2", "9"]);
}

#[test]
fn credentials_reach_the_command_and_nobody_else() {
    let engine = engine(1);
    let credentials = Credentials::new("admin", "hunter2").expect("legal");
    let show = "tr '\\0' ' ' </proc/$$/cmdline; echo; cat";
    let script = format!("echo $NAME:$SECRET; {show}");
    let exec = shell(&script).credentials_by_environment(&credentials, "NAME", "SECRET");
    assert!(!format!("{exec:?}").contains("hunter2"));
    let mut reader = connected(&engine, exec).reader();
    assert_eq!(read_line(&mut reader), "admin:hunter2");
    let cmdline = read_line(&mut reader);
    assert!(cmdline.contains("SECRET") && !cmdline.contains("hunter2"), "{cmdline}");

    for fd in [3, 4, 5, 9, 200] {
        let script = format!("read secret </dev/fd/{fd}; echo got $secret; {show}");
        let exec = shell(&script).password_by_pipe(&credentials, fd);
        let mut reader = connected(&engine, exec).reader();
        assert_eq!(read_line(&mut reader), "got hunter2");
        assert!(!read_line(&mut reader).contains("hunter2"));
    }
    // A command that is not there is told as such with a pipe, too.
    let missing = ExecConfig::new("/no/such/command").password_by_pipe(&credentials, 5);
    let error = open(&engine, missing).connect(LONG).expect_err("it is not there");
    assert!(error.to_string().contains("/no/such/command"), "{error}");
}

#[test]
fn one_update_restarts_each_command_once() {
    let engine = engine(1);
    let credentials = Credentials::new("admin", "first").expect("legal");
    let exec =
        || shell("echo $SECRET; cat").credentials_by_environment(&credentials, "NAME", "SECRET");
    let consoles: Vec<_> = (0..5).map(|_| connected(&engine, exec())).collect();
    let bystander = connected(&engine, ExecConfig::new("cat"));
    let asleep = open(&engine, exec());
    let mut readers: Vec<_> = consoles.iter().map(Console::reader).collect();
    readers.iter_mut().for_each(|reader| assert_eq!(read_line(reader), "first"));

    credentials.update(b"admin", b"first", b"").expect("the same");
    credentials.update(b"admin", b"second", b"").expect("another");
    readers.iter_mut().for_each(|reader| assert_eq!(read_line(reader), "second"));
    thread::sleep(AFTER);
    assert!(consoles.iter().all(|console| console.stats().epoch == 2), "each exactly once");
    assert_eq!((bystander.stats().epoch, asleep.stats().epoch), (1, 0));

    // What it does not hold any more concerns it no more.
    let other = Credentials::new("admin", "other").expect("legal");
    let exec = shell("echo $S; cat").credentials_by_environment(&other, "N", "S");
    consoles[0].reconfigure_exec(exec.clone()).expect("another command");
    assert_eq!(read_line(&mut readers[0]), "other");
    consoles[0].reconfigure_exec(exec).expect("the same command");
    credentials.update(b"admin", b"third", b"").expect("another");
    assert_eq!(read_line(&mut readers[1]), "third");
    thread::sleep(AFTER);
    assert_eq!((consoles[0].stats().epoch, consoles[1].stats().epoch), (3, 3));
}

#[test]
fn what_is_no_exec_console_is_no_exec_console() {
    let engine = engine(1);
    let credentials = Credentials::new("admin", "password").expect("legal");
    let bmc = engine.bmc(bmclink::BmcConfig::new("127.0.0.1", credentials)).expect("a BMC");
    let sol = bmc.console(ConsoleConfig::default()).expect("a console");
    let kind = |result: bmclink::Result<()>| result.err().map(|error| error.kind());
    assert_eq!(kind(sol.resize(80, 24)), Some(ErrorKind::Misuse));
    assert_eq!(kind(sol.reconfigure_exec(ExecConfig::new("cat"))), Some(ErrorKind::Misuse));
    let exec = open(&engine, ExecConfig::new("cat"));
    assert_eq!(kind(exec.reconfigure_exec(ExecConfig::new(""))), Some(ErrorKind::Misuse));
    let bad = engine.exec_console(ExecConfig::new(""), ConsoleConfig::default());
    assert_eq!(bad.err().map(|error| error.kind()), Some(ErrorKind::Misuse));
}

/// Also when this process ignores some, as one that was started by nohup does.
#[test]
fn a_command_begins_with_default_signal_handling() {
    // SAFETY: no code of ours runs when the signal comes, and nobody here sends it.
    unsafe { nix::sys::signal::signal(Signal::SIGUSR2, SigHandler::SigIgn) }.expect("it may");
    let engine = engine(1);
    let console = connected(&engine, ExecConfig::new("cat").args(["/proc/self/status"]));
    let mut reader = console.reader();
    let mut seen = 0;
    while seen < 2 {
        let line = read_line(&mut reader);
        if line.starts_with("SigBlk:") || line.starts_with("SigIgn:") {
            let mask = line.split_whitespace().last().unwrap_or_default();
            let mask = u64::from_str_radix(mask, 16).expect("a mask");
            // Two that the C library keeps to itself are as they were.
            assert_eq!(mask & !(0b11 << 31), 0, "{line}");
            seen += 1;
        }
    }
}

/// Commands that change at once from two threads: the one that is said to run does.
#[test]
fn of_two_changes_at_once_one_is_the_last() {
    let engine = engine(1);
    let console = connected(&engine, shell("echo 0; exec cat"));
    for round in 0..20 {
        let command = |who: &str| shell(&format!("echo {who}{round}; exec cat"));
        thread::scope(|scope| {
            for who in ["a", "b"] {
                let (console, exec) = (&console, command(who));
                scope.spawn(move || console.reconfigure_exec(exec).expect("legal"));
            }
        });
        // Behind both changes, and so of the one that counts.
        let runs = || console.connect(LONG).expect("it runs");
        runs();
        let epoch = console.stats().epoch;
        // Equal to what runs: nothing. It is one of the two.
        let mut anew = 0;
        for who in ["a", "b"] {
            let mut reader = console.live_reader();
            console.reconfigure_exec(command(who)).expect("legal");
            runs();
            if console.stats().epoch > epoch + anew {
                anew += 1;
                // The one before may still have had a line to print.
                while read_line(&mut reader) != format!("{who}{round}") {}
            }
        }
        assert!((1..=2).contains(&anew), "{anew}");
    }
}
