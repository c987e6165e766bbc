//! Consoles of bmclink: one, or thousands, in this process or in one of their own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bmclink::{
    Bmc, Console, ConsoleConfig, ConsoleState, Engine, EngineConfig, ErrorKind, EventQueue, Reader,
    Ready, Result as BmclinkResult,
};
use clap::Args;
use serde_json::{Value, json};

use crate::bmcs::config;
use crate::child::answer_lines;
use crate::measure;
use crate::report::Result;

/// How long consoles may take to connect, all together.
pub const CONNECT_TIME: Duration = Duration::from_secs(60);
/// Reports taken from a queue at once.
const REPORTS: usize = 256;

/// A connected console and its BMC.
pub struct Open {
    pub bmc: Bmc,
    pub console: Console,
}

impl Open {
    pub fn connect(bmc: Bmc, config: ConsoleConfig) -> BmclinkResult<Open> {
        let console = bmc.console(config)?;
        console.connect(CONNECT_TIME)?;
        Ok(Open { bmc, console })
    }
}

/// What became of connecting many.
pub struct Connected {
    pub open: Vec<Open>,
    /// By what it said.
    pub failed: BTreeMap<String, usize>,
}

impl Connected {
    pub fn failures(&self) -> usize {
        self.failed.values().sum()
    }
}

/// Connects one console to each BMC from `first` on, all at the same time as far as the engine
/// lets them, from one thread.
pub fn connect(
    engine: &Engine,
    first: SocketAddr,
    count: usize,
    console_config: &ConsoleConfig,
) -> Result<Connected> {
    let queue = EventQueue::new()?;
    let mut connecting = BTreeMap::new();
    for index in 0..count {
        let bmc = engine.bmc(config(address(first, index))?)?;
        let console = bmc.console(console_config.clone())?;
        queue.add(&console, index as u64)?;
        console.begin_connect()?;
        connecting.insert(index as u64, Open { bmc, console });
    }
    let mut all = Connected { open: Vec::with_capacity(count), failed: BTreeMap::new() };
    let mut ready = [Ready::default(); REPORTS];
    let deadline = Instant::now() + CONNECT_TIME;
    while !connecting.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let reports = queue.wait(&mut ready, left).map_err(|error| {
            format!("{} of {count} consoles are still connecting: {error}", connecting.len())
        })?;
        for Ready { key, .. } in &ready[..reports] {
            let Some(one) = connecting.get(key) else { continue };
            match one.console.state() {
                ConsoleState::Connecting => {}
                ConsoleState::Connected => all.open.extend(connecting.remove(key)),
                ConsoleState::Unconnected => {
                    let Some(reason) = one.console.reason() else { continue };
                    *all.failed.entry(reason.to_string()).or_default() += 1;
                    connecting.remove(key);
                }
            }
        }
    }
    Ok(all)
}

/// The address that many behind `first`.
pub fn address(first: SocketAddr, index: usize) -> SocketAddr {
    match first.ip() {
        IpAddr::V4(ip) => {
            let ip = Ipv4Addr::from_bits(ip.to_bits() + index as u32);
            SocketAddr::new(ip.into(), first.port())
        }
        IpAddr::V6(_) => first,
    }
}

/// Reads until `stop`; says how many bytes came.
pub fn read_until(mut reader: Reader, stop: &AtomicBool) -> Result<u64> {
    let mut buffer = vec![0; 64 << 10];
    let mut bytes = 0;
    while !stop.load(Ordering::Relaxed) {
        match reader.read(&mut buffer, Duration::from_millis(100)) {
            Ok(len) => bytes += len as u64,
            Err(error) if error.kind() == ErrorKind::TimedOut => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

/// Has the BMC send what its host prints at once, instead of collecting it for a while.
pub fn send_at_once(bmc: &Bmc, timeout: Duration) -> Result<()> {
    // Set SOL Configuration Parameters, parameter 3: 5 ms, one character.
    let reply = bmc.raw(0x0c, 0, 0x21, &[0x0e, 3, 1, 1], timeout)?;
    match reply.completion_code.0 {
        0 => Ok(()),
        _ => Err(format!("the BMC does not send at once: {}", reply.completion_code).into()),
    }
}

/// Times `count` echoes of one byte each, in microseconds.
pub fn echo(console: &Console, count: usize, timeout: Duration) -> Result<Vec<f64>> {
    let mut reader = console.live_reader();
    let mut buffer = [0; 64];
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        console.write_all(b"x", timeout)?;
        match reader.read(&mut buffer, timeout)? {
            1 if buffer[0] == b'x' => times.push(started.elapsed().as_secs_f64() * 1e6),
            len => return Err(format!("the echo of x was {:?}", &buffer[..len]).into()),
        }
    }
    Ok(times)
}

/// What a process with consoles is told.
#[derive(Args)]
pub struct Options {
    #[arg(long)]
    first: SocketAddr,
    #[arg(long)]
    count: usize,
}

/// A process with connected consoles that tells what they cost.
pub fn serve(options: &Options) -> Result<()> {
    let mut config = EngineConfig::default();
    config.shards = 2;
    config.login_rate = 0;
    let engine = Engine::new(config)?;
    let before = measure::rss_kib("self");
    let mut connected = None;
    answer_lines(|question| match question.split_once(' ') {
        None if question == "connect" => {
            let all = connect(&engine, options.first, options.count, &ConsoleConfig::default())?;
            let answer = costs(&engine, before, &all)?;
            connected = Some(all);
            Ok(answer)
        }
        None if question == "connected" => {
            let total = engine.stats()?.total();
            Ok(json!({ "consoles": total.consoles, "lost": total.sessions_lost }))
        }
        None if question == "cpu" => Ok(json!({ "cpu": measure::process_cpu().as_secs_f64() })),
        Some(("busy", seconds)) => {
            let window = Duration::from_secs_f64(seconds.parse()?);
            busy(connected.as_ref().and_then(|all| all.open.first()), window)
        }
        _ => Err("unknown question".into()),
    })
}

fn costs(engine: &Engine, before: u64, all: &Connected) -> Result<Value> {
    Ok(json!({
        "connected": all.open.len(),
        "failed": all.failures(),
        "errors": all.failed,
        "rss_before_kib": before,
        "rss_kib": measure::rss_kib("self"),
        "fds": measure::fd_count("self"),
        "threads": measure::thread_count("self"),
        "sockets": engine.stats()?.total().sockets,
    }))
}

/// One console floods for a while and is read, the others are idle: what that cost.
fn busy(open: Option<&Open>, window: Duration) -> Result<Value> {
    let Open { bmc, console } = open.ok_or("nothing is connected")?;
    let stop = Arc::new(AtomicBool::new(false));
    let reading = {
        let (reader, stop) = (console.live_reader(), stop.clone());
        thread::spawn(move || read_until(reader, &stop))
    };
    console.write_all(b"!flood\r", CONNECT_TIME)?;
    thread::sleep(window / 4);
    let shards = measure::threads_named("bmclink-");
    let (packets, cpu) = (bmc.stats()?.counters.received, measure::threads_cpu(&shards));
    let process = measure::process_cpu();
    thread::sleep(window);
    let packets = bmc.stats()?.counters.received - packets;
    let cpu = measure::threads_cpu(&shards).saturating_sub(cpu);
    let process = measure::process_cpu().saturating_sub(process);
    console.write_all(b"!quiet\r", CONNECT_TIME)?;
    console.drain(CONNECT_TIME)?;
    stop.store(true, Ordering::Relaxed);
    reading.join().map_err(|_| "the reading thread panicked")??;
    Ok(json!({
        "packets": packets,
        "cpu": cpu.as_secs_f64(),
        "process_cpu": process.as_secs_f64(),
    }))
}
