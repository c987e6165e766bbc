//! Everything that goes wrong in a large installation, at once and for as long as you like.
//!
//! ```text
//! cargo run --release --example soak -- --minutes 10
//! ```
//!
//! Simulated BMCs in this process restart, vanish, change their passwords, lose their consoles to
//! others and flood, on a network that loses, doubles, reorders and spoils, while addresses and
//! credentials are changed and readers come and go. Every host prints numbered lines with a
//! checksum: a line that is missing, doubled or spoilt where the console did not say so is a
//! failure. In the end all is mended; then every console has to be connected, and sessions,
//! threads, descriptors and memory are to be what they were. The exit status says so.

mod chaos;
mod check;
mod fleet;
mod host;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;

use chaos::Chaos;
use check::Checks;
use fleet::{Fleet, Usage};

#[derive(Parser, Clone)]
#[command(about = "Runs many consoles while everything goes wrong, and checks every byte")]
pub struct Options {
    /// How long things go wrong, in minutes
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// How many BMCs
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    bmcs: u32,
    /// Decides what goes wrong; not when, which threads have their say in
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How often a line says how it goes.
const PROGRESS: Duration = Duration::from_secs(10);
/// How long everything may take to be well again: a BMC forgets a session after a minute.
const MENDING: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => {
            println!("all is well");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("FAILED: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let alone = Usage::now();
    let fleet = Fleet::start(options)?;
    wait("all connected at first", || fleet.all_connected())?;
    // All that is kept of the past is there before memory is measured.
    wait("all replays full", || fleet.fill_replays())?;
    let before = Usage::now();
    println!("{} consoles connected: {before}", options.bmcs);

    let checks = Checks::new(&fleet);
    let stop = AtomicBool::new(false);
    let chaos = thread::scope(|scope| {
        let checkers = checks.start(scope, &fleet, &stop);
        let mut chaos = Chaos::new(&fleet, options.seed);
        let result =
            disturb(&mut chaos, &checks, options).and_then(|()| mend(&mut chaos, &fleet, &checks));
        stop.store(true, Ordering::Release);
        for checker in checkers {
            checker.join().map_err(|_| "a checker panicked".to_owned())?;
        }
        result.map(|()| chaos.summary())
    })?;
    println!("what went wrong: {chaos}");
    println!("what was read: {}", checks.summary());
    checks.result()?;

    // A thread that was joined can still be counted by the system for a moment.
    let settled = wait("threads and descriptors as before", || Usage::now().is_as_many_as(&before));
    let after = Usage::now();
    println!("in the end: {after}");
    fleet.check_watchers()?;
    settled.map_err(|problem| format!("{problem}: {before}, then {after}"))?;
    after.check_memory(&before)?;
    drop(checks);
    fleet.end(&alone)
}

/// Has things go wrong for as long as was asked for.
fn disturb(chaos: &mut Chaos<'_>, checks: &Checks, options: &Options) -> Result<(), String> {
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(options.minutes * 60.0);
    let mut told = start;
    while Instant::now() < end {
        chaos.disturb()?;
        checks.result()?;
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            let (connected, usage) = (chaos.connected(), Usage::now());
            let seconds = start.elapsed().as_secs();
            println!("{seconds:5} s: {connected} connected; {}; {usage}", checks.summary());
        }
    }
    Ok(())
}

/// Has everything be well again, and waits for it.
fn mend(chaos: &mut Chaos<'_>, fleet: &Fleet, checks: &Checks) -> Result<(), String> {
    chaos.mend();
    let result = wait("all connected again", || fleet.all_connected());
    result.map_err(|problem| format!("{problem}: {}", fleet.first_unconnected()))?;
    // Alive, and not only connected: every host is heard again.
    let heard = checks.lines_of_all();
    wait("every host heard again", || checks.all_heard_since(&heard))?;
    wait("one session at each BMC", || fleet.one_session_each())
        .map_err(|problem| format!("{problem}: {}", fleet.wrong_sessions()))
}

/// Waits until it is so, for as long as mending may take.
pub fn wait(what: &str, mut is_so: impl FnMut() -> bool) -> Result<(), String> {
    let end = Instant::now() + MENDING;
    while !is_so() {
        if Instant::now() > end {
            return Err(format!("not {what} within {MENDING:?}"));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
