//! Other console programs at the same BMCs, on the same machine, in the same run.

mod contestant;
pub mod drive;
mod ipmitool;
mod ours;
mod tables;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bmclink::{Engine, EngineConfig};
use clap::Args;
use serde_json::Value;

use self::contestant::{Contestant, Kind, Skipped};
use self::tables::Outcome;
use crate::bmcs::Bmcs;
use crate::child::{Answerer, number};
use crate::consoles::{self, CONNECT_TIME};
use crate::measure;
use crate::report::{Report, Result};

/// For one answer; a contestant gives up a step before that by itself.
const ANSWER_TIME: Duration = Duration::from_secs(90);
/// A turn that failed after so long is not made again.
const TOO_SLOW: Duration = Duration::from_secs(30);
/// What all have: the suite every one of them knows.
const SUITE: u8 = 3;
/// Memory for one ipmitool, resident, in KiB.
const IPMITOOL_KIB: u64 = 16 << 10;

#[derive(Args)]
pub struct Options {
    /// Numbers of consoles [default: 1,100,500]
    #[arg(long, value_delimiter = ',')]
    consoles: Option<Vec<usize>>,
    /// How often they take their turns [default: 3; of 500 consoles and more, 1]
    #[arg(long)]
    rounds: Option<usize>,
    /// No more turns are begun after this many seconds
    #[arg(long, default_value_t = 200, value_name = "SECONDS")]
    limit: u64,
    /// Only these
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Kind>,
    /// A Python that has pyghmi [default: the one of tests/.venv, then python3]
    #[arg(long, value_name = "FILE")]
    python: Option<PathBuf>,
}

/// How much of each thing is done.
struct Amount {
    connects: usize,
    echoes: usize,
    /// Bytes each way, of all consoles together.
    down: usize,
    up: usize,
}

const NORMAL: Amount = Amount { connects: 8, echoes: 500, down: 2 << 20, up: 40_000 };
const QUICK: Amount = Amount { connects: 1, echoes: 20, down: 64 << 10, up: 4000 };

pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    let mut counts = report.choose(options.consoles.clone(), vec![1, 100, 500], vec![1, 5]);
    counts.retain(|&count| count > 0);
    let rounds = |count: usize| {
        let normal = if count < 500 { 3 } else { 1 };
        report.choose(options.rounds, normal, 1).max(1)
    };
    let amount = if report.quick { QUICK } else { NORMAL };
    report.begin("peers", "other console programs at the same BMCs");
    let found = contestant::find(&options.only, options.python.as_deref())?;
    let turns = counts.iter().map(|&count| count * rounds(count)).sum::<usize>();
    // Every turn has BMCs of its own: what one leaves behind is nobody else's problem.
    let mut bmcs = Bmcs::start_with_suite(turns * found.contestants.len(), SUITE)?;
    send_at_once(&bmcs, turns * found.contestants.len())?;
    let (started, limit) = (Instant::now(), Duration::from_secs(options.limit));
    let outcome = |one: &Contestant| Outcome::new(one.kind);
    let fresh = |&count| (count, found.contestants.iter().map(outcome).collect());
    let mut outcomes: Vec<(usize, Vec<Outcome>)> = counts.iter().map(fresh).collect();
    let mut next = 0;
    for round in 0..counts.iter().map(|&count| rounds(count)).max().unwrap_or(0) {
        for (count, these) in outcomes.iter_mut().filter(|(count, _)| round < rounds(*count)) {
            for (contestant, outcome) in found.contestants.iter().zip(these) {
                if started.elapsed() > limit {
                    outcome.cut_short = true;
                } else {
                    turn(&mut bmcs, contestant, next, *count, &amount, outcome);
                }
                next += *count;
            }
        }
    }
    for (count, these) in &outcomes {
        for outcome in these.iter().filter(|outcome| outcome.kind == Kind::Bmclink) {
            for problem in &outcome.problems {
                report.fail(format!("bmclink with {count} consoles: {problem}"));
            }
        }
    }
    let skipped: Vec<String> = found.skipped.iter().map(Skipped::to_string).collect();
    tables::print(&outcomes, &skipped, report);
    Ok(())
}

/// One contestant's turn. What goes wrong in it is its result.
fn turn(
    bmcs: &mut Bmcs,
    contestant: &Contestant,
    first: usize,
    count: usize,
    amount: &Amount,
    outcome: &mut Outcome,
) {
    let needed = IPMITOOL_KIB * count as u64;
    if contestant.kind == Kind::Ipmitool && measure::available_kib() < needed {
        let text = format!("skipped: {} MiB of memory would be needed", needed >> 10);
        return outcome.problem(text);
    }
    if outcome.too_slow {
        return;
    }
    let started = Instant::now();
    if let Err(error) = steps(bmcs, contestant, first, count, amount, outcome) {
        outcome.problem(error.to_string());
        outcome.too_slow = started.elapsed() > TOO_SLOW;
    }
}

fn steps(
    bmcs: &mut Bmcs,
    contestant: &Contestant,
    first: usize,
    count: usize,
    amount: &Amount,
    outcome: &mut Outcome,
) -> Result<()> {
    if count == 1 {
        latency(bmcs, contestant, first, amount.connects, outcome)?;
    }
    let mut peer = contestant.start(bmcs.address(first))?;
    let answer = peer.ask(&format!("connect {count}"), ANSWER_TIME)?;
    if number(&answer, "connected") != count as f64 {
        let connected = number(&answer, "connected");
        return Err(format!("only {connected} of {count} connected").into());
    }
    outcome.all_seconds.push(number(&answer, "seconds"));
    let cost = peer.ask("cost", ANSWER_TIME)?;
    let memory = if contestant.kind == Kind::Ipmitool { "pss_kib" } else { "rss_kib" };
    outcome.memory_mib.push(number(&cost, memory) / 1024.0);
    outcome.fds.push(number(&cost, "fds"));
    outcome.threads.push(number(&cost, "threads"));
    let answer = peer.ask(&format!("echo {}", amount.echoes), ANSWER_TIME)?;
    list(&answer, "us").for_each(|us| outcome.echo_us.push(us));
    let down = (amount.down / count).max(4096);
    let (rate, cpu) = transfer(bmcs, &mut peer, "down", down, count)?;
    outcome.down_kib_s.push(rate);
    outcome.down_cpu_us.push(cpu);
    let up = (amount.up / count).max(drive::BLOCK_LEN);
    let (rate, cpu) = transfer(bmcs, &mut peer, "up", up, count)?;
    outcome.up_kib_s.push(rate);
    outcome.up_cpu_us.push(cpu);
    Ok(())
}

fn latency(
    bmcs: &Bmcs,
    contestant: &Contestant,
    first: usize,
    times: usize,
    outcome: &mut Outcome,
) -> Result<()> {
    // In one process the second console of pyghmi never connects after the first was closed.
    let (processes, each) = if contestant.kind == Kind::Pyghmi { (times, 1) } else { (1, times) };
    for _ in 0..processes {
        let mut peer = contestant.start(bmcs.address(first))?;
        let answer = peer.ask(&format!("latency {each}"), ANSWER_TIME)?;
        list(&answer, "ms").for_each(|ms| outcome.connect_ms.push(ms));
    }
    Ok(())
}

/// Moves so many bytes of each console: KiB/s, and CPU microseconds per packet either way.
fn transfer(
    bmcs: &mut Bmcs,
    peer: &mut Answerer,
    way: &str,
    bytes: usize,
    count: usize,
) -> Result<(f64, f64)> {
    let cpu = number(&peer.ask("cost", ANSWER_TIME)?, "cpu");
    let before = bmcs.counted(0)?;
    let seconds = number(&peer.ask(&format!("{way} {bytes}"), ANSWER_TIME)?, "seconds");
    let packets = bmcs.counted(0)?.since(&before);
    let cpu = number(&peer.ask("cost", ANSWER_TIME)?, "cpu") - cpu;
    let rate = (bytes * count) as f64 / 1024.0 / seconds;
    Ok((rate, cpu * 1e6 / (packets.received + packets.sent)))
}

fn list<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = f64> + use<'a> {
    answer.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_f64)
}

/// Has the first so many BMCs send characters as they come: else all echoes wait for them.
fn send_at_once(bmcs: &Bmcs, count: usize) -> Result<()> {
    let mut config = EngineConfig::default();
    config.login_rate = 0;
    let engine = Engine::new(config)?;
    for index in 0..count {
        let bmc = engine.bmc(bmcs.config(index)?)?;
        consoles::send_at_once(&bmc, CONNECT_TIME)?;
    }
    Ok(())
}
