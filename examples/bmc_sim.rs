//! Simulated BMCs on the loopback device, for anything that speaks IPMI 2.0 to try.
//!
//! ```text
//! cargo run --example bmc_sim &
//! ipmitool -I lanplus -H 127.0.0.1 -p 6230 -U admin -P password -C 17 sol activate
//! ```
//!
//! Behind it are sensors, an event log, FRU inventories, users, DCMI and a satellite controller at
//! 2Ch that `ipmitool -t 0x2c` reaches; `--misbehave` makes it as wrong as some real BMC is:
//!
//! ```text
//! cargo run --example bmc_sim -- --misbehave busy_first=3 --misbehave sdr_no_end
//! ```
//!
//! Prints one line when it is ready, runs until SIGTERM or SIGINT, then says what it did.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

use bmclink::sim::net::Faults;
use bmclink::sim::{BmcOptions, Misbehaviour, Profile, Serial, Simulator, SimulatorOptions};
use clap::Parser;
use nix::sys::signal::{SigSet, Signal};

/// Simulated BMCs on the loopback device
#[derive(Parser)]
struct Arguments {
    /// Address of the first BMC; the others follow it in 127.0.0.0/8
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST.into())]
    bind: IpAddr,
    /// UDP port of every BMC; 0 takes a free one
    #[arg(long, default_value_t = 6230)]
    port: u16,
    /// How many BMCs, at most 20000
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// Name of the administrator, at most 16 bytes
    #[arg(long, default_value = "admin", value_parser = at_most::<16>)]
    user: String,
    /// Password of the administrator, at most 20 bytes
    #[arg(long, default_value = "password", value_parser = at_most::<20>)]
    password: String,
    /// BMC key, at most 20 bytes in hexadecimal
    #[arg(long, default_value = "", value_parser = key, value_name = "HEX")]
    #[arg(hide_default_value = true)]
    kg: Key,
    /// BMC to behave like: spec, openbmc, go-ipmi, pyghmi or ipmi-sim
    #[arg(long, default_value_t)]
    profile: Profile,
    /// Behind the serial port: shell, echo, flood, boot, none or cmd:PROGRAM
    #[arg(long, default_value = "shell")]
    serial: Serial,
    /// Probability that a datagram is lost, in each direction
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    loss: f64,
    /// Probability that a datagram arrives twice
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    dup: f64,
    /// Probability that later datagrams pass a datagram
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    reorder: f64,
    /// How long a datagram travels, in milliseconds
    #[arg(long, default_value = "0..0", value_parser = delay, value_name = "A..B")]
    delay_ms: Delay,
    /// A knob to turn, and a value where it takes one; may be repeated, see `--misbehave help`
    #[arg(long, value_name = "KNOB[=VALUE]")]
    misbehave: Vec<String>,
    /// How long the host takes to follow a power command, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    power_delay_ms: u32,
    /// How many entries the SEL holds
    #[arg(long, default_value_t = 512, value_name = "N")]
    sel_capacity: u16,
    /// Decides what is random: the same seed gives the same faults
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

// clap takes a bare `Vec` for an argument that may be given more than once.
type Key = std::sync::Arc<[u8]>;
type Delay = Range<Duration>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Blocked before any thread starts, so that no thread but this one takes them.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.thread_block().expect("these signals can be blocked");

    if arguments.misbehave.iter().any(|knob| knob == "help") {
        list_knobs();
        return ExitCode::SUCCESS;
    }
    let quirks = match quirks(&arguments.misbehave) {
        Ok(quirks) => quirks,
        Err(knob) => {
            eprintln!("bmc_sim: no such knob or value: {knob}; --misbehave help lists them");
            return ExitCode::FAILURE;
        }
    };
    let simulator = match Simulator::start(simulator_options(&arguments, quirks)) {
        Ok(simulator) => simulator,
        Err(error) => {
            eprintln!("bmc_sim: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Arguments { count, profile, user, .. } = arguments;
    let bmcs = if count == 1 { "BMC" } else { "BMCs" };
    let address = simulator.address(0);
    println!("ready {address} ({count} {bmcs}, profile {profile}, user {user})");
    std::io::stdout().flush().expect("standard output is open");

    signals.wait().expect("these signals can be waited for");
    let counters = simulator.stop();
    let (received, sent, logins) = (counters.received, counters.sent, counters.logins);
    eprintln!("bmc_sim: {received} packets in, {sent} out, {logins} logins");
    ExitCode::SUCCESS
}

fn list_knobs() {
    println!("knobs: {}", Misbehaviour::FLAGS.join(" "));
    println!("with a value: {}", Misbehaviour::VALUES.join(" "));
}

fn quirks(knobs: &[String]) -> Result<Misbehaviour, &String> {
    let mut quirks = Misbehaviour::default();
    match knobs.iter().find(|knob| !quirks.set(knob)) {
        Some(unknown) => Err(unknown),
        None => Ok(quirks),
    }
}

fn simulator_options(arguments: &Arguments, quirks: Misbehaviour) -> SimulatorOptions {
    let mut bmc = BmcOptions {
        profile: arguments.profile,
        k_g: arguments.kg.to_vec(),
        power_delay: Duration::from_millis(arguments.power_delay_ms.into()),
        sel_capacity: arguments.sel_capacity,
        quirks,
        ..BmcOptions::default()
    };
    let admin = bmc.users.iter_mut().find(|user| user.name == b"admin");
    let admin = admin.expect("a BMC has an administrator by default");
    admin.name = arguments.user.clone().into_bytes();
    admin.password = arguments.password.clone().into_bytes();
    let faults = Faults {
        loss: arguments.loss,
        duplicate: arguments.dup,
        reorder: arguments.reorder,
        delay: arguments.delay_ms.clone(),
        ..Faults::default()
    };
    SimulatorOptions {
        bind: arguments.bind,
        port: arguments.port,
        count: arguments.count,
        bmc,
        serial: arguments.serial.clone(),
        faults_in: faults.clone(),
        faults_out: faults,
        seed: arguments.seed,
    }
}

fn at_most<const LEN: usize>(text: &str) -> Result<String, String> {
    if text.len() > LEN { Err(format!("longer than {LEN} bytes")) } else { Ok(text.to_owned()) }
}

fn key(hex: &str) -> Result<Key, String> {
    let digit = |c: char| c.to_digit(16).ok_or(format!("{c:?} is not a hexadecimal digit"));
    let digits: Vec<u32> = hex.chars().map(digit).collect::<Result<_, _>>()?;
    match digits.len() {
        41.. => Err("longer than 20 bytes".to_owned()),
        len if len % 2 == 1 => Err(format!("{len} digits are not whole bytes")),
        _ => Ok(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()),
    }
}

fn delay(text: &str) -> Result<Delay, String> {
    let (start, end) = text.split_once("..").unwrap_or((text, text));
    let ms = |text: &str| match text.parse::<u32>() {
        Ok(ms) => Ok(Duration::from_millis(ms.into())),
        Err(error) => Err(format!("{text:?}: {error}")),
    };
    let delay = ms(start)?..ms(end)?;
    if delay.end < delay.start { Err("ends before it starts".to_owned()) } else { Ok(delay) }
}
