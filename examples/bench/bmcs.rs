//! Simulated BMCs in a process of their own, so that what they cost is not counted as ours.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bmclink::sim::{Profile, Serial, Simulator, SimulatorOptions};
use bmclink::{BmcConfig, Credentials};
use clap::Args;
use serde_json::{Value, json};

use crate::child::{Answerer, answer_lines, number, ourselves, say};
use crate::host::Host;
use crate::measure::{process_cpu, processors, run_on};
use crate::report::Result;

/// Who logs in.
pub const USER: &str = "admin";
pub const PASSWORD: &str = "password";

/// The address of the first BMC.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 64, 0, 1);
/// Ports below those that the kernel hands out, and below 32,768: libipmiconsole takes no other.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How long an answer of the other process may take.
const ANSWER_TIME: Duration = Duration::from_secs(20);

/// What the other process is told.
#[derive(Args)]
pub struct Options {
    #[arg(long)]
    count: usize,
    /// The only processor to run on.
    #[arg(long)]
    processor: Option<usize>,
    /// The only cipher suite to take.
    #[arg(long)]
    suite: Option<u8>,
}

/// The other process, from here.
pub struct Bmcs {
    answerer: Answerer,
    first: SocketAddr,
}

/// The BMCs have a processor of their own. Dropping it gives this thread all of them back.
pub struct Apart(Vec<usize>);

impl Drop for Apart {
    fn drop(&mut self) {
        run_on(&self.0);
    }
}

/// What the BMCs counted, and what they cost.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Datagrams in and out, of all BMCs.
    pub received: f64,
    pub sent: f64,
    pub logins: f64,
    /// SOL payloads in and out, of the BMCs asked for.
    pub sol_in: f64,
    pub sol_out: f64,
    pub sol_retransmits: f64,
    /// CPU seconds of their process.
    pub cpu: f64,
}

impl Counted {
    /// What came since `before`.
    pub fn since(&self, before: &Counted) -> Counted {
        Counted {
            received: self.received - before.received,
            sent: self.sent - before.sent,
            logins: self.logins - before.logins,
            sol_in: self.sol_in - before.sol_in,
            sol_out: self.sol_out - before.sol_out,
            sol_retransmits: self.sol_retransmits - before.sol_retransmits,
            cpu: self.cpu - before.cpu,
        }
    }
}

impl Bmcs {
    /// Starts that many. They answer when this returns.
    pub fn start(count: usize) -> Result<Self> {
        Self::start_with(count, &[])
    }

    /// The same, and they take one cipher suite only.
    pub fn start_with_suite(count: usize, suite: u8) -> Result<Self> {
        Self::start_with(count, &["--suite", &suite.to_string()])
    }

    /// The same, on a processor of their own where there are two. This thread and those it
    /// starts keep to the others until the second value is dropped.
    ///
    /// A wake costs more when it crosses processors: so it always does.
    pub fn start_apart(count: usize) -> Result<(Self, Apart)> {
        let all = processors();
        let Some((first, rest)) = all.split_first().filter(|(_, rest)| !rest.is_empty()) else {
            return Ok((Self::start(count)?, Apart(all)));
        };
        run_on(rest);
        let apart = Apart(all.clone());
        Ok((Self::start_with(count, &["--processor", &first.to_string()])?, apart))
    }

    fn start_with(count: usize, more: &[&str]) -> Result<Self> {
        let mut command = ourselves("bmcs")?;
        // With one the simulator takes another path than with many.
        command.args(["--count", &count.max(2).to_string()]).args(more);
        let answerer = Answerer::start("the simulated BMCs", &mut command)?;
        let ready = answerer.answer(ANSWER_TIME)?;
        let first = ready.get("first").and_then(Value::as_str).ok_or("no address was given")?;
        Ok(Bmcs { answerer, first: first.parse()? })
    }

    pub fn port(&self) -> u16 {
        self.first.port()
    }

    pub fn ip(&self, index: usize) -> Ipv4Addr {
        Ipv4Addr::from_bits(FIRST.to_bits() + index as u32)
    }

    pub fn address(&self, index: usize) -> SocketAddr {
        SocketAddr::new(self.ip(index).into(), self.port())
    }

    /// How to reach one with bmclink.
    pub fn config(&self, index: usize) -> Result<BmcConfig> {
        config(self.address(index))
    }

    /// What they counted so far; of SOL, the first `of`.
    pub fn counted(&mut self, of: usize) -> Result<Counted> {
        let value = self.answerer.ask(&format!("counted {of}"), ANSWER_TIME)?;
        Ok(Counted {
            received: number(&value, "received"),
            sent: number(&value, "sent"),
            logins: number(&value, "logins"),
            sol_in: number(&value, "sol_in"),
            sol_out: number(&value, "sol_out"),
            sol_retransmits: number(&value, "sol_retransmits"),
            cpu: number(&value, "cpu"),
        })
    }
}

/// How to reach a BMC of ours with bmclink.
pub fn config(address: SocketAddr) -> Result<BmcConfig> {
    let credentials = Credentials::new(USER, PASSWORD)?;
    Ok(BmcConfig::new(address.ip().to_string(), credentials).port(address.port()))
}

/// The other process.
pub fn serve(options: &Options) -> Result<()> {
    if let Some(processor) = options.processor {
        run_on(&[processor]);
    }
    let simulator = start(options.count, options.suite)?;
    for index in 0..simulator.count() {
        simulator.with(index, |bmc, now| bmc.attach_serial(Box::new(Host::new(now))));
    }
    say(&json!({ "first": simulator.address(0).to_string() }))?;
    answer_lines(|question| match question.split_once(' ') {
        Some(("counted", of)) => Ok(counted(&simulator, of.parse()?)),
        _ => Err("unknown question".into()),
    })
}

/// A simulator on the first port that is free.
fn start(count: usize, suite: Option<u8>) -> Result<Simulator> {
    let bind = IpAddr::V4(FIRST);
    let mut options =
        SimulatorOptions { bind, count, serial: Serial::None, ..SimulatorOptions::default() };
    options.bmc.profile = Profile::Spec;
    options.bmc.cipher_suites = suite.map(|suite| vec![suite]);
    let span = u32::from(PORTS.end - PORTS.start);
    let mut number = std::process::id();
    let started = Instant::now();
    loop {
        options.port = PORTS.start + (number % span) as u16;
        number += 1;
        match Simulator::start(options.clone()) {
            Ok(simulator) => return Ok(simulator),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                if started.elapsed() > ANSWER_TIME / 2 {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn counted(simulator: &Simulator, of: usize) -> Value {
    let all = simulator.counters();
    let (mut sol_in, mut sol_out, mut sol_retransmits) = (0, 0, 0);
    for index in 0..of.min(simulator.count()) {
        let one = simulator.with(index, |bmc, _| *bmc.counters());
        sol_in += one.sol_in;
        sol_out += one.sol_out;
        sol_retransmits += one.sol_retransmits;
    }
    json!({
        "received": all.received,
        "sent": all.sent,
        "logins": all.logins,
        "sol_in": sol_in,
        "sol_out": sol_out,
        "sol_retransmits": sol_retransmits,
        "cpu": process_cpu().as_secs_f64(),
    })
}
