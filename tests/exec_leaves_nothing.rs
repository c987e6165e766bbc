//! Commands that come and go leave no process, thread or descriptor. Alone in its process, which
//! it counts in.

use std::fs;
use std::time::{Duration, Instant};

use bmclink::{ConsoleConfig, Engine, EngineConfig, ExecConfig};

const LONG: Duration = Duration::from_secs(20);

fn count(what: &str) -> usize {
    fs::read_dir(format!("/proc/self/{what}")).expect("our own").count()
}

/// Our children, zombies too.
fn children() -> usize {
    let me = std::process::id().to_string();
    let is_child = |entry: &fs::DirEntry| {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit(") ").next().unwrap_or_default();
        fields.split_whitespace().nth(1) == Some(me.as_str())
    };
    let is_process = |entry: &fs::DirEntry| {
        entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit())
    };
    let processes = fs::read_dir("/proc").expect("processes").flatten().filter(is_process);
    processes.filter(is_child).count()
}

fn cycle(engine: &Engine, script: &str) {
    let exec = ExecConfig::new("/bin/sh").args(["-c", script]);
    let console = engine.exec_console(exec, ConsoleConfig::default()).expect("a console");
    // One that ends at once is as good.
    let _ = console.connect(LONG);
    console.close(LONG).expect("closed");
}

#[test]
fn a_hundred_commands_leave_nothing() {
    let before = (count("task"), count("fd"));
    let engine = Engine::new(EngineConfig::default()).expect("an engine");
    cycle(&engine, "cat");
    let first = count("fd");
    for round in 0..100 {
        cycle(&engine, if round % 2 == 0 { "cat" } else { "exit 1" });
    }
    assert_eq!((count("fd"), children()), (first, 0));

    // Those that are not closed end with the engine.
    let exec = || ExecConfig::new("/bin/sh").args(["-c", "sleep 1000 & cat"]);
    let consoles: Vec<_> = (0..5)
        .map(|_| engine.exec_console(exec(), ConsoleConfig::default()).expect("a console"))
        .collect();
    consoles.iter().for_each(|console| console.connect(LONG).expect("connected"));
    assert_eq!(children(), 5);
    drop(engine);
    assert_eq!(children(), 0);
    drop(consoles);
    let end = Instant::now() + LONG;
    while (count("task"), count("fd")) != before {
        assert!(Instant::now() < end, "{} threads, {} descriptors", count("task"), count("fd"));
        std::thread::sleep(Duration::from_millis(10));
    }
}
