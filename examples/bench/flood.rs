//! Many consoles that print without end, and a quiet one among them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bmclink::{ConsoleConfig, Engine, EngineConfig, ErrorKind, EventQueue, Reader, Ready};
use clap::Args;
use serde_json::json;

use crate::bmcs::Bmcs;
use crate::consoles::{self, CONNECT_TIME, Open};
use crate::measure;
use crate::report::{Report, Result, Samples, Table};

#[derive(Args, Default)]
pub struct Options {
    /// Flooding consoles [default: 1000]
    #[arg(long)]
    consoles: Option<usize>,
    /// How long they are measured, in seconds [default: 10]
    #[arg(long)]
    seconds: Option<f64>,
    /// Echoes timed before the flood, and at most during it [default: 2000]
    #[arg(long)]
    echoes: Option<usize>,
}

/// What the flood was, over its window.
struct Flood {
    seconds: f64,
    bytes: Vec<f64>,
    packets: f64,
    shards_cpu: f64,
    process_cpu: f64,
    bmcs_cpu: f64,
    retransmits: f64,
    lost: u64,
    echoes: Samples,
}

pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    let count = report.choose(options.consoles, 1000, 20).max(1);
    let seconds = report.choose(options.seconds, 10.0, 0.5).clamp(0.1, 300.0);
    let echoes = report.choose(options.echoes, 2000, 50).max(1);
    report.begin("flood", "many consoles that print without end, a quiet one among them");
    let mut bmcs = Bmcs::start(count)?;
    // The quiet one's BMC has a process of its own: its wait in the others' queue is not ours.
    let quiet_bmc = Bmcs::start(1)?;
    let mut config = EngineConfig::default();
    config.login_rate = 0;
    let engine = Engine::new(config)?;
    let bmc = engine.bmc(quiet_bmc.config(0)?)?;
    consoles::send_at_once(&bmc, CONNECT_TIME)?;
    let quiet = Open::connect(bmc, ConsoleConfig::default())?;
    let before: Samples =
        consoles::echo(&quiet.console, echoes, CONNECT_TIME)?.into_iter().collect();
    let connected = consoles::connect(&engine, bmcs.address(0), count, &ConsoleConfig::default())?;
    if connected.failures() > 0 {
        report.fail(format!("consoles failed: {:?}", connected.failed));
    }
    let flood = flood(&mut bmcs, &connected.open, &quiet, echoes, seconds)?;
    let stats = engine.stats()?.total();
    if stats.sessions_lost > 0 {
        report.fail(format!("{} sessions were lost", stats.sessions_lost));
    }
    print(count, &before, &flood, stats.kernel_dropped, report);
    Ok(())
}

/// Has all of them print, and watches.
fn flood(
    bmcs: &mut Bmcs,
    open: &[Open],
    quiet: &Open,
    echoes: usize,
    seconds: f64,
) -> Result<Flood> {
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<Reader> = open.iter().map(|one| one.console.live_reader()).collect();
    let reading = {
        let stop = stop.clone();
        thread::spawn(move || read_all(readers, &stop))
    };
    for one in open {
        one.console.write_all(b"!flood\r", CONNECT_TIME)?;
    }
    thread::sleep(Duration::from_secs_f64(seconds / 10.0));
    let received = || open.iter().map(|one| one.console.stats().received);
    let shards = measure::threads_named("bmclink-");
    let counted = bmcs.counted(open.len())?;
    let (started, bytes) = (Instant::now(), received().collect::<Vec<_>>());
    let (cpu, process) = (measure::threads_cpu(&shards), measure::process_cpu());
    let mut times = Vec::new();
    while started.elapsed().as_secs_f64() < seconds {
        if times.len() < echoes {
            times.extend(consoles::echo(&quiet.console, 1, CONNECT_TIME)?);
        } else {
            thread::sleep(Duration::from_millis(20));
        }
    }
    let took = started.elapsed().as_secs_f64();
    let cpu = measure::threads_cpu(&shards).saturating_sub(cpu).as_secs_f64();
    let process = measure::process_cpu().saturating_sub(process).as_secs_f64();
    let bytes = received().zip(bytes).map(|(now, before)| (now - before) as f64).collect();
    let counted = bmcs.counted(open.len())?.since(&counted);
    stop.store(true, Ordering::Relaxed);
    let lost = reading.join().map_err(|_| "the reading thread panicked")??;
    Ok(Flood {
        seconds: took,
        bytes,
        packets: counted.sol_out,
        shards_cpu: cpu,
        process_cpu: process,
        bmcs_cpu: counted.cpu,
        retransmits: counted.sol_retransmits,
        lost,
        echoes: times.into_iter().collect(),
    })
}

/// One thread reads all consoles until `stop`; says how many bytes it came too late for.
fn read_all(mut readers: Vec<Reader>, stop: &AtomicBool) -> Result<u64> {
    let queue = EventQueue::new()?;
    for (key, reader) in readers.iter().enumerate() {
        queue.add(reader, key as u64)?;
    }
    let mut ready = [Ready::default(); 256];
    let mut buffer = vec![0; 64 << 10];
    while !stop.load(Ordering::Relaxed) {
        let count = match queue.wait(&mut ready, Duration::from_millis(100)) {
            Err(error) if error.kind() == ErrorKind::TimedOut => continue,
            count => count?,
        };
        for Ready { key, .. } in &ready[..count] {
            readers[*key as usize].read(&mut buffer, Duration::ZERO)?;
        }
    }
    Ok(readers.iter().map(Reader::lost).sum())
}

/// Jain's index: 1 when all got the same, 1/n when one got everything.
fn fairness(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    sum * sum / (shares.len() as f64 * squares)
}

fn print(count: usize, before: &Samples, flood: &Flood, dropped: u64, report: &mut Report) {
    let mib = flood.bytes.iter().sum::<f64>() / 1048576.0 / flood.seconds;
    let per_packet = |cpu: f64| cpu * 1e6 / flood.packets;
    let jain = fairness(&flood.bytes);
    let mut table = Table::new([
        "consoles",
        "MiB/s",
        "packets/s",
        "CPU of the shards, cores",
        "shards, us per packet",
        "whole process, us per packet",
        "fairness (Jain)",
        "packets sent again by BMCs",
    ]);
    table.row([
        count.to_string(),
        format!("{mib:.1}"),
        format!("{:.0}", flood.packets / flood.seconds),
        format!("{:.2}", flood.shards_cpu / flood.seconds),
        format!("{:.2}", per_packet(flood.shards_cpu)),
        format!("{:.2}", per_packet(flood.process_cpu)),
        format!("{jain:.4}"),
        flood.retransmits.to_string(),
    ]);
    report.table(&table, &[]);
    let mut table = Table::new(["quiet console", "echoes", "p50, us", "p99, us", "most, us"]);
    for (name, times) in [("before the flood", before), ("during the flood", &flood.echoes)] {
        table.row([
            name.to_owned(),
            times.len().to_string(),
            format!("{:.0}", times.quantile(0.5)),
            format!("{:.0}", times.quantile(0.99)),
            format!("{:.0}", times.quantile(1.0)),
        ]);
    }
    let notes = [
        format!(
            "One thread reads all flooding consoles, by an event queue; it came too late for {} \
             bytes (64 KiB of each console wait for it).",
            flood.lost
        ),
        format!(
            "The flooding BMCs' one thread used {:.2} cores and sends one packet at a time for \
             each of them. The quiet console's BMC is in a process of its own.",
            flood.bmcs_cpu / flood.seconds
        ),
        format!("Datagrams the kernel had no room for: {dropped}."),
    ];
    report.table(&table, &notes);
    report.keep(
        "flood",
        json!({
            "consoles": count,
            "mib_per_second": mib,
            "packets_per_second": flood.packets / flood.seconds,
            "shards_us_per_packet": per_packet(flood.shards_cpu),
            "process_us_per_packet": per_packet(flood.process_cpu),
            "jain": jain,
            "bmcs_retransmits": flood.retransmits,
            "kernel_dropped": dropped,
            "bytes_read_too_late": flood.lost,
            "echo_before_us": { "p50": before.quantile(0.5), "p99": before.quantile(0.99) },
            "echo_during_us":
                { "p50": flood.echoes.quantile(0.5), "p99": flood.echoes.quantile(0.99) },
        }),
    );
}
