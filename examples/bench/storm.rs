//! Many logins at once, as after a power cut.

use std::time::Instant;

use bmclink::{ConsoleConfig, Engine, EngineConfig};
use clap::Args;
use serde_json::json;

use crate::bmcs::Bmcs;
use crate::consoles;
use crate::measure;
use crate::report::{Report, Result, Samples, Table};

/// What a login and SOL need with the default settings: a request and an answer each of Get
/// Channel Authentication Capabilities, Open Session, RAKP 1 and 2, RAKP 3 and 4, Set Session
/// Privilege Level, Activate Payload.
const PACKETS: f64 = 12.0;

#[derive(Args, Default)]
pub struct Options {
    /// How many BMCs [default: 10000]
    #[arg(long)]
    bmcs: Option<usize>,
    /// Logins under way at once, at most [default: the engine's own]
    #[arg(long)]
    at_once: Option<usize>,
    /// How often it is done [default: 3]
    #[arg(long)]
    rounds: Option<usize>,
}

/// One storm.
struct Storm {
    failures: usize,
    seconds: f64,
    cpu: f64,
    bmcs_cpu: f64,
    packets: f64,
}

pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    let count = report.choose(options.bmcs, 10_000, 200).max(1);
    let at_once = options.at_once.unwrap_or(EngineConfig::default().logins_at_once);
    let rounds = report.choose(options.rounds, 3, 1).max(1);
    report.begin("storm", "many cold logins with SOL at once");
    let mut table = Table::new([
        "logins",
        "failed",
        "seconds",
        "our CPU, s",
        "logins/s per core of ours",
        "the BMCs' CPU, s",
        "packets per login",
        "of what the protocol needs",
    ]);
    let mut storms = Vec::new();
    for _ in 0..rounds {
        let storm = storm(count, at_once, report)?;
        let succeeded = (count - storm.failures) as f64;
        table.row([
            count.to_string(),
            storm.failures.to_string(),
            format!("{:.2}", storm.seconds),
            format!("{:.2}", storm.cpu),
            format!("{:.0}", succeeded / storm.cpu),
            format!("{:.2}", storm.bmcs_cpu),
            format!("{:.3}", storm.packets / succeeded),
            format!("{:.3}", storm.packets / succeeded / PACKETS),
        ]);
        storms.push(storm);
    }
    let per = |value: fn(&Storm) -> f64| storms.iter().map(value).collect::<Samples>();
    let busy = per(|storm| storm.bmcs_cpu / storm.seconds).median();
    let notes = [
        "Budget: 2,000 logins per second per core, packets within 1.1 of the protocol's, none \
         failed."
            .to_owned(),
        format!(
            "The protocol needs {PACKETS} packets with the default settings: request and answer \
             of Get Channel Authentication Capabilities, Open Session, RAKP 1/2, RAKP 3/4, Set \
             Session Privilege Level and Activate Payload."
        ),
        format!(
            "One thread begins to connect all consoles and waits on an event queue. The engine \
             has {at_once} logins under way at once, at any rate; it and the BMCs are fresh each \
             time. Our CPU is the whole process's."
        ),
        format!(
            "The BMCs' one thread was busy for {:.0} % of the time: near 100 % the seconds are \
             theirs, not ours.",
            busy * 100.0
        ),
    ];
    report.table(&table, &notes);
    report.keep(
        "storm",
        json!({
            "logins": count,
            "at_once": at_once,
            "failures": storms.iter().map(|storm| storm.failures).sum::<usize>(),
            "seconds": per(|storm| storm.seconds).json(),
            "cpu_seconds": per(|storm| storm.cpu).json(),
            "bmcs_cpu_seconds": per(|storm| storm.bmcs_cpu).json(),
            "packets": per(|storm| storm.packets).json(),
            "packets_needed_per_login": PACKETS,
        }),
    );
    Ok(())
}

fn storm(count: usize, at_once: usize, report: &mut Report) -> Result<Storm> {
    let mut bmcs = Bmcs::start(count)?;
    let mut config = EngineConfig::default();
    config.login_rate = 0;
    config.logins_at_once = at_once;
    let engine = Engine::new(config)?;
    let before = bmcs.counted(0)?;
    let (started, cpu) = (Instant::now(), measure::process_cpu());
    let connected = consoles::connect(&engine, bmcs.address(0), count, &ConsoleConfig::default())?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu = measure::process_cpu().saturating_sub(cpu).as_secs_f64();
    let after = bmcs.counted(0)?.since(&before);
    if connected.failures() > 0 {
        report.fail(format!("logins failed: {:?}", connected.failed));
    }
    if after.logins < connected.open.len() as f64 {
        report.fail(format!("the BMCs count only {} logins", after.logins));
    }
    Ok(Storm {
        failures: connected.failures(),
        seconds,
        cpu,
        bmcs_cpu: after.cpu,
        packets: after.received + after.sent,
    })
}
