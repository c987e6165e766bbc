//! Watches many consoles at once: a table of their states that follows what happens.
//!
//! ```text
//! cargo run --release --example watch                     # simulated BMCs that come and go
//! cargo run --release --example watch -- -U admin -f FILE bmc1 bmc2:6230 bmc3
//! ```
//!
//! One engine keeps every console connected; one event queue, and one thread, learn of all.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bmclink::sim::{Serial, Simulator, SimulatorOptions};
use bmclink::{
    BmcConfig, Console, ConsoleConfig, ConsoleState, Credentials, Engine, EngineConfig, EventQueue,
    Ready,
};
use clap::Parser;

/// Watches many consoles at once
#[derive(Parser)]
struct Arguments {
    /// User name
    #[arg(short = 'U', default_value = "admin")]
    user: String,
    /// File whose first line is the password
    #[arg(short = 'f', value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// BMCs, as NAME or NAME:PORT; none starts simulated ones
    bmcs: Vec<String>,
    /// How many BMCs to simulate
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=2000))]
    simulate: u16,
    /// Seconds to watch; without, until interrupted
    #[arg(long)]
    seconds: Option<u64>,
}

/// How often a simulated BMC is disturbed.
const DISTURB_EVERY: Duration = Duration::from_secs(10);

struct Watched {
    name: String,
    console: Console,
    changes: u64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("watch: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let (mut names, mut password) = (arguments.bmcs.clone(), "password".to_owned());
    if let Some(file) = &arguments.password_file {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        password = text.lines().next().unwrap_or_default().to_owned();
    } else if !names.is_empty() {
        return Err("give the password in a file: -f FILE".into());
    }
    let simulator = names.is_empty().then(|| simulate(usize::from(arguments.simulate)));
    let simulator = simulator.transpose()?;
    if let Some(simulator) = &simulator {
        names = (0..simulator.count()).map(|at| simulator.address(at).to_string()).collect();
    }

    let engine = Engine::new(EngineConfig::default())?;
    let credentials = Credentials::new(&arguments.user, &password)?;
    let queue = EventQueue::new()?;
    let mut watched = Vec::new();
    for name in names {
        let (host, port) = name.rsplit_once(':').unwrap_or((&name, "623"));
        let port = port.parse().map_err(|_| format!("no port in {name}"))?;
        let bmc = engine.bmc(BmcConfig::new(host, credentials.clone()).port(port))?;
        let console = bmc.console(ConsoleConfig::default().always_on())?;
        queue.add(&console, watched.len() as u64)?;
        watched.push(Watched { name, console, changes: 0 });
    }

    let end = arguments.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let (mut ready, mut turn) = ([Ready::default(); 64], 0usize);
    let mut next_turn = Instant::now() + DISTURB_EVERY;
    while end.is_none_or(|end| Instant::now() < end) {
        // Comes back as soon as anything changes, and once a second for the clock of the table.
        let count = queue.wait(&mut ready, Duration::from_secs(1)).unwrap_or(0);
        for source in &ready[..count] {
            watched[source.key as usize].changes += 1;
        }
        show(&watched)?;
        if let Some(simulator) = simulator.as_ref().filter(|_| Instant::now() >= next_turn) {
            disturb(simulator, turn);
            next_turn += DISTURB_EVERY;
            turn += 1;
        }
    }
    Ok(())
}

fn simulate(count: usize) -> std::io::Result<Simulator> {
    Simulator::start(SimulatorOptions { count, serial: Serial::Shell, ..Default::default() })
}

/// Has a simulated BMC reset, or its console taken away, in turn.
fn disturb(simulator: &Simulator, turn: usize) {
    let at = turn % simulator.count();
    simulator.with(at, |bmc, now| match turn % 2 {
        0 => bmc.steal_sol(now),
        _ => bmc.reset(now),
    });
}

/// On a terminal a table that stays in its place, else a line of counts.
fn show(watched: &[Watched]) -> std::io::Result<()> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for one in watched {
        *counts.entry(one.console.state().to_string()).or_default() += 1;
    }
    let counts: Vec<String> =
        counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let mut out = std::io::stdout().lock();
    if !out.is_terminal() {
        return writeln!(out, "{}", counts.join(", "));
    }
    writeln!(out, "\x1b[H\x1b[J{}\n", counts.join(", "))?;
    for one in watched.iter().take(40) {
        let why = one.console.why();
        let next = why.next_try.map_or(String::new(), |time| format!(", again in {time:.0?}"));
        let reason = why.reason.map_or(String::new(), |reason| reason.to_string());
        let mark = if why.state == ConsoleState::Connected { ' ' } else { '!' };
        writeln!(
            out,
            "{mark} {:24} {:12} for {:>6.0?}  {:3} changes  {reason}{next}",
            one.name, why.state, why.since, one.changes
        )?;
    }
    out.flush()
}
