//! What a SOL packet received and acknowledged costs, against a bare loop that does the same.

mod bare;
mod login;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bmclink::{CipherSuiteId, ConsoleConfig, Engine, EngineConfig};
use clap::Args;
use serde_json::json;

use self::bare::{Bare, Progress};
use crate::bmcs::Bmcs;
use crate::consoles::{CONNECT_TIME, Open, read_until};
use crate::measure;
use crate::report::{Report, Result, Samples, Table};

/// The promise: at most this many times the floor.
const BUDGET: f64 = 1.5;
/// Before anything is measured.
const WARM_UP: Duration = Duration::from_millis(300);

#[derive(Args)]
pub struct Options {
    /// Length of one measurement in seconds [default: 1]
    #[arg(long)]
    seconds: Option<f64>,
    /// How often floor and library take their turns [default: 9]
    #[arg(long)]
    rounds: Option<usize>,
    /// Cipher suites
    #[arg(long, value_delimiter = ',', default_values_t = [3, 17])]
    suites: Vec<u8>,
    /// Flooding consoles at once
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64])]
    consoles: Vec<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Options { seconds: None, rounds: None, suites: vec![3, 17], consoles: vec![1, 64] }
    }
}

/// What one turn cost per packet.
struct Cost {
    /// CPU of the thread that does the work, microseconds.
    thread: f64,
    /// CPU of the whole process, microseconds.
    process: f64,
    /// System calls on sockets, and waits for them.
    calls: f64,
    /// Packets of one BMC that came in per second, all BMCs together.
    rate: f64,
}

/// All turns of one contestant.
#[derive(Default)]
struct Costs {
    thread: Samples,
    process: Samples,
    calls: Samples,
    rate: Samples,
}

impl Costs {
    fn push(&mut self, cost: &Cost) {
        self.thread.push(cost.thread);
        self.process.push(cost.process);
        self.calls.push(cost.calls);
        self.rate.push(cost.rate);
    }
}

pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    let seconds = report.choose(options.seconds, 1.0, 0.3);
    let rounds = report.choose(options.rounds, 9, 1).max(1);
    let most = options.consoles.iter().copied().max().unwrap_or(1).max(1);
    report.begin("floor", "CPU per SOL packet received and acknowledged");
    let (bmcs, _apart) = Bmcs::start_apart(most)?;
    let mut table = Table::new([
        "suite",
        "consoles",
        "",
        "CPU us per packet",
        "times the floor",
        "whole process, us",
        "system calls per packet",
        "packets/s",
    ]);
    let mut figures = Vec::new();
    for (&suite, &consoles) in
        options.suites.iter().flat_map(|suite| options.consoles.iter().map(move |n| (suite, n)))
    {
        let window = Duration::from_secs_f64(seconds.clamp(0.05, 60.0));
        let mut floor = Costs::default();
        let mut ours = Costs::default();
        for _ in 0..rounds {
            floor.push(&measure_floor(&bmcs, CipherSuiteId(suite), consoles, window)?);
            ours.push(&measure_ours(&bmcs, suite, consoles, window)?);
        }
        let ratio = ours.thread.ratio(&floor.thread);
        let rows = [("floor", &floor, "1".to_owned()), ("bmclink", &ours, ratio.text(2))];
        for (name, costs, times) in rows {
            table.row([
                suite.to_string(),
                consoles.to_string(),
                name.to_owned(),
                costs.thread.text(2),
                times,
                costs.process.text(2),
                format!("{:.2}", costs.calls.median()),
                format!("{:.0}", costs.rate.median()),
            ]);
        }
        figures.push(json!({
            "suite": suite,
            "consoles": consoles,
            "floor_us": floor.thread.json(),
            "thread_us": ours.thread.json(),
            "process_us": ours.process.json(),
            "ratio": ratio.json(),
        }));
    }
    report.table(&table, &notes(rounds, seconds));
    report.keep("floor", figures.into());
    Ok(())
}

fn notes(rounds: usize, seconds: f64) -> Vec<String> {
    vec![
        format!("Budget: at most {BUDGET} times the floor, one console."),
        format!(
            "Median (least to most) of {rounds} rounds of {seconds} s, in turn; ratios pair by \
             pair."
        ),
        "CPU per packet: of the thread that drives the socket. One console has a reading thread, \
         which the whole process's figure holds; of several, nobody reads."
            .to_owned(),
        "Each BMC sends one packet at a time: packets/s is their speed, not ours. The BMCs have \
         a processor of their own where there are two."
            .to_owned(),
    ]
}

/// Measures for `window` what `threads` and this process do with packets. `count` gives packets
/// and system calls so far.
fn measure(
    count: impl Fn() -> Result<(f64, f64)>,
    threads: &[i32],
    window: Duration,
) -> Result<Cost> {
    thread::sleep(WARM_UP);
    let look = || -> Result<_> {
        let process = measure::process_cpu();
        Ok((count()?, measure::threads_cpu(threads), process, Instant::now()))
    };
    let ((packets, calls), thread, process, started) = look()?;
    thread::sleep(window);
    let (later, thread_later, process_later, ended) = look()?;
    let packets = later.0 - packets;
    if packets < 1.0 {
        return Err("no SOL packet came".into());
    }
    Ok(Cost {
        thread: thread_later.saturating_sub(thread).as_secs_f64() * 1e6 / packets,
        process: process_later.saturating_sub(process).as_secs_f64() * 1e6 / packets,
        calls: (later.1 - calls) / packets,
        rate: packets / (ended - started).as_secs_f64(),
    })
}

fn measure_floor(
    bmcs: &Bmcs,
    suite: CipherSuiteId,
    consoles: usize,
    window: Duration,
) -> Result<Cost> {
    const NAME: &str = "bare-loop";
    let addresses: Vec<SocketAddr> = (0..consoles).map(|index| bmcs.address(index)).collect();
    let mut bare = Bare::log_in(&addresses, suite)?;
    bare.flood()?;
    let progress = Arc::new(Progress::default());
    let thread = thread::Builder::new().name(NAME.to_owned()).spawn({
        let progress = progress.clone();
        move || bare.run(&progress)
    })?;
    // The name is set by the thread itself.
    while measure::threads_named(NAME).is_empty() && !thread.is_finished() {
        thread::sleep(Duration::from_millis(1));
    }
    let load = |number: &AtomicU64| number.load(Ordering::Relaxed) as f64;
    let count = || Ok((load(&progress.packets), load(&progress.system_calls)));
    let cost = measure(count, &measure::threads_named(NAME), window);
    progress.stop.store(true, Ordering::Relaxed);
    thread.join().map_err(|_| "the bare loop panicked")??;
    cost
}

fn measure_ours(bmcs: &Bmcs, suite: u8, consoles: usize, window: Duration) -> Result<Cost> {
    let mut config = EngineConfig::default();
    config.shards = 1;
    let engine = Engine::new(config)?;
    let mut open = Vec::new();
    for index in 0..consoles {
        let bmc = engine.bmc(bmcs.config(index)?.cipher_suites(&[suite]))?;
        open.push(Open::connect(bmc, ConsoleConfig::default())?);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let reading = (consoles == 1).then(|| {
        let (reader, stop) = (open[0].console.live_reader(), stop.clone());
        thread::spawn(move || read_until(reader, &stop))
    });
    for one in &open {
        one.console.write_all(b"!flood\r", CONNECT_TIME)?;
    }
    let count = || {
        let total = engine.stats()?.total();
        // One epoll_wait a turn.
        Ok((total.datagrams_received as f64, (total.socket_calls + total.turns) as f64))
    };
    let cost = measure(count, &measure::threads_named("bmclink-"), window);
    stop.store(true, Ordering::Relaxed);
    if let Some(reading) = reading {
        reading.join().map_err(|_| "the reading thread panicked")??;
    }
    cost
}
