//! Benchmarks: what bmclink costs, against a floor and against others, inside one run.
//!
//! ```text
//! cargo run --release --example bench -- all
//! ```
//!
//! README.md beside this file says what each one measures and how to read it.

mod bmcs;
mod child;
mod consoles;
mod ffi;
mod fleet;
mod flood;
mod floor;
mod host;
mod measure;
mod peers;
mod report;
mod scale;
mod storm;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use report::{Report, Result};

/// What bmclink costs, measured against a floor or against others in the same run
///
/// Simulated BMCs run in another process on 127.0.0.0/8. CPU time is what the kernel accounts to a
/// thread or process, so that a busy machine disturbs little; ratios are between things that ran
/// in turn.
#[derive(Parser)]
#[command(name = "bench")]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Everything small: shows that it works, measures nothing worth quoting
    #[arg(long, global = true)]
    quick: bool,
    /// Write all figures to this file too
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Give up after this many seconds
    #[arg(long, global = true, default_value_t = 600, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    deadline: u64,
}

#[derive(Subcommand)]
enum What {
    /// CPU per SOL packet against a bare loop with the same system calls and cryptography
    Floor(floor::Options),
    /// Memory, file descriptors, idle CPU and CPU per packet with many connected consoles
    Scale(scale::Options),
    /// Many logins at once, from cold
    Storm(storm::Options),
    /// Many flooding consoles at once, and a quiet one among them
    Flood(flood::Options),
    /// One command to many BMCs at once, against ipmipower and a pool of ipmitools
    Fleet(fleet::Options),
    /// Console bytes through the C ABI and through Rust, in turn
    Ffi(ffi::Options),
    /// libipmiconsole, ipmitool and pyghmi at the same BMCs
    Peers(peers::Options),
    /// All of them
    All(peers::Options),
    /// The simulated BMCs of the others; ends with its standard input
    #[command(hide = true)]
    Bmcs(bmcs::Options),
    /// A process with connected consoles; ends with its standard input
    #[command(hide = true)]
    Connected(consoles::Options),
    /// A process with consoles that does what the peers do; ends with its standard input
    #[command(hide = true)]
    Peer(peers::drive::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    give_up_after(Duration::from_secs(arguments.deadline));
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for; says whether nothing failed in it.
fn run(arguments: &Arguments) -> Result<bool> {
    let mut report = Report::new(arguments.quick);
    match &arguments.what {
        What::Floor(options) => floor::run(options, &mut report)?,
        What::Scale(options) => scale::run(options, &mut report)?,
        What::Storm(options) => storm::run(options, &mut report)?,
        What::Flood(options) => flood::run(options, &mut report)?,
        What::Fleet(options) => fleet::run(options, &mut report)?,
        What::Ffi(options) => ffi::run(options, &mut report)?,
        What::Peers(options) => peers::run(options, &mut report)?,
        What::All(options) => all(options, &mut report)?,
        What::Connected(options) => return consoles::serve(options).map(|()| true),
        What::Peer(options) => return peers::drive::serve(options).map(|()| true),
        What::Bmcs(options) => return bmcs::serve(options).map(|()| true),
    }
    report.finish(arguments.json.as_deref())
}

fn all(peers: &peers::Options, report: &mut Report) -> Result<()> {
    floor::run(&floor::Options::default(), report)?;
    scale::run(&scale::Options::default(), report)?;
    storm::run(&storm::Options::default(), report)?;
    flood::run(&flood::Options::default(), report)?;
    fleet::run(&fleet::Options::default(), report)?;
    ffi::run(&ffi::Options::default(), report)?;
    peers::run(peers, report)
}

/// Ends this process when the time is over, whatever it is doing. Its children notice and end
/// too.
fn give_up_after(time: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(time);
        eprintln!("bench: not done after {} s, giving up (see --deadline)", time.as_secs());
        std::process::exit(3);
    });
}
