//! What connected consoles cost: memory, file descriptors, idle CPU, CPU per packet.

use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use crate::bmcs::Bmcs;
use crate::child::{Answerer, number, ourselves};
use crate::measure;
use crate::report::{Report, Result, Samples, Table};

/// Longer than any step takes, however busy the machine is.
const ANSWER_TIME: Duration = Duration::from_secs(180);

#[derive(Args, Default)]
pub struct Options {
    /// Numbers of consoles [default: 1,100,1000,10000]
    #[arg(long, value_delimiter = ',')]
    consoles: Option<Vec<usize>>,
    /// How long idle CPU is measured, in seconds; keepalives come every 24 to 27 s [default: 60]
    #[arg(long)]
    idle_seconds: Option<f64>,
    /// Length of one measurement of a busy console, in seconds [default: 1]
    #[arg(long)]
    seconds: Option<f64>,
    /// How often each number of consoles takes its turn of those [default: 9]
    #[arg(long)]
    rounds: Option<usize>,
}

/// A process with consoles.
struct Group {
    count: usize,
    process: Answerer,
    costs: Value,
    idle_percent: f64,
    us_per_packet: Samples,
}

pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    let normal = vec![1, 100, 1000, 10_000];
    let mut counts = report.choose(options.consoles.clone(), normal, vec![1, 50]);
    counts.retain(|&count| count > 0);
    let idle = report.choose(options.idle_seconds, 60.0, 1.0);
    let seconds = report.choose(options.seconds, 1.0, 0.3);
    let rounds = report.choose(options.rounds, 9, 1);
    report.begin("scale", "what connected consoles cost");
    let (bmcs, _apart) = Bmcs::start_apart(counts.iter().sum())?;
    let mut groups = Vec::new();
    let mut first = 0;
    for count in counts {
        groups.push(connect(&bmcs, first, count, report)?);
        first += count;
    }
    measure_idle(&mut groups, Duration::from_secs_f64(idle))?;
    for _ in 0..rounds {
        for group in &mut groups {
            measure_busy(group, seconds)?;
        }
    }
    for group in &mut groups {
        check(group, report)?;
    }
    print(&groups, idle, rounds, seconds, report);
    Ok(())
}

/// Starts a process of its own for that many consoles, and connects them.
fn connect(bmcs: &Bmcs, first: usize, count: usize, report: &mut Report) -> Result<Group> {
    let mut command = ourselves("connected")?;
    command.args(["--first", &bmcs.address(first).to_string()]);
    command.args(["--count", &count.to_string()]);
    let mut process = Answerer::start(&format!("the process with {count} consoles"), &mut command)?;
    let costs = process.ask("connect", ANSWER_TIME)?;
    let failed = number(&costs, "failed");
    if failed > 0.0 {
        report.fail(format!("{failed} of {count} consoles: {}", costs["errors"]));
    }
    let us_per_packet = Samples::default();
    Ok(Group { count, process, costs, idle_percent: f64::NAN, us_per_packet })
}

/// All at the same time: none of them does much.
fn measure_idle(groups: &mut [Group], window: Duration) -> Result<()> {
    let mut before = Vec::new();
    for group in groups.iter_mut() {
        let cpu = number(&group.process.ask("cpu", ANSWER_TIME)?, "cpu");
        before.push((Instant::now(), cpu));
    }
    thread::sleep(window);
    for (group, (started, before)) in groups.iter_mut().zip(before) {
        let cpu = number(&group.process.ask("cpu", ANSWER_TIME)?, "cpu") - before;
        group.idle_percent = cpu * 100.0 / started.elapsed().as_secs_f64();
    }
    Ok(())
}

fn measure_busy(group: &mut Group, seconds: f64) -> Result<()> {
    let answer = group.process.ask(&format!("busy {seconds}"), ANSWER_TIME)?;
    let packets = number(&answer, "packets");
    group.us_per_packet.push(number(&answer, "cpu") * 1e6 / packets);
    Ok(())
}

fn check(group: &mut Group, report: &mut Report) -> Result<()> {
    let answer = group.process.ask("connected", ANSWER_TIME)?;
    let (consoles, lost) = (number(&answer, "consoles"), number(&answer, "lost"));
    if consoles != group.count as f64 || lost > 0.0 {
        report.fail(format!("{consoles} of {} consoles left, {lost} sessions lost", group.count));
    }
    Ok(())
}

fn print(groups: &[Group], idle: f64, rounds: usize, seconds: f64, report: &mut Report) {
    let mut table = Table::new([
        "consoles",
        "RSS, MiB",
        "KiB per console",
        "fds",
        "threads",
        "idle CPU, % of a core",
        "CPU us per packet, one busy",
        "times the first",
    ]);
    let mut figures = Vec::new();
    for group in groups {
        let cost = |name| number(&group.costs, name);
        let per_console = (cost("rss_kib") - cost("rss_before_kib")) / group.count as f64;
        let ratio = group.us_per_packet.ratio(&groups[0].us_per_packet);
        table.row([
            group.count.to_string(),
            format!("{:.1}", cost("rss_kib") / 1024.0),
            format!("{per_console:.2}"),
            cost("fds").to_string(),
            cost("threads").to_string(),
            format!("{:.2}", group.idle_percent),
            group.us_per_packet.text(2),
            ratio.text(2),
        ]);
        figures.push(json!({
            "consoles": group.count,
            "rss_kib": cost("rss_kib"),
            "rss_kib_per_console": per_console,
            "fds": cost("fds"),
            "threads": cost("threads"),
            "idle_percent": group.idle_percent,
            "us_per_packet": group.us_per_packet.json(),
            "ratio": ratio.json(),
        }));
    }
    let limit = measure::fd_limit();
    let notes = [
        "Budget at 10,000 consoles: 120 MiB in all, 8 KiB each, 3 % of a core, 1.2 times the \
         packet of one console alone."
            .to_owned(),
        "A fresh process for each row, one engine of two shards. KiB per console: what \
         the process grew by since its engine was made; of few consoles it says nothing."
            .to_owned(),
        format!("Idle CPU: over {idle} s, keepalives every 24 to 27 s."),
        format!(
            "CPU per packet: of the shard threads, the others' keepalives in it; median (least \
             to most) of {rounds} turns of {seconds} s each, in turn. The BMCs have a processor of \
             their own where there are two."
        ),
        format!("This process may open {limit} files (ulimit -n): 256 consoles share a socket."),
    ];
    report.table(&table, &notes);
    report.keep("scale", figures.into());
}
