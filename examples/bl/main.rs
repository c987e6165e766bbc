//! The commands of `ipmitool` that scripts use most, with its options, output and exit status.
//!
//! ```text
//! cargo run --example bl -- mc info                                  # a simulated BMC
//! cargo run --example bl -- -H bmc7 -U admin -E chassis power status
//! cargo run --example bl -- -H bmc7 -U admin -f FILE sol activate
//! ```
//!
//! `README.md` beside this says what is the same as in ipmitool 1.8.19 and what is not.

#[macro_use]
mod text;

mod boot;
mod channel;
mod chassis;
mod dcmi;
#[path = "../console/escape.rs"]
#[allow(dead_code)]
mod escape;
mod events;
mod fru;
mod hide;
mod lan;
mod link;
mod mc;
mod names;
mod options;
mod raw;
mod reading;
mod sdr;
mod sdr_get;
mod sel;
mod sensor;
mod session;
mod sol;
mod sol_activate;
#[path = "../console/terminal.rs"]
#[allow(dead_code)]
mod terminal;
mod usage;
mod user;

use std::process::ExitCode;

use link::Link;
use options::{Options, Parsed};
use text::{Failure, Outcome};

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).collect();
    let ended = match options::parse(arguments) {
        Ok(Parsed::Run(options)) => {
            start_log(options.verbose);
            run(*options)
        }
        Ok(Parsed::Help) => {
            usage::all();
            Ok(())
        }
        Ok(Parsed::Version) => {
            out!("bl (bmclink) version {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Ok(Parsed::Types) => {
            usage::types();
            Ok(())
        }
        Err(failure) => Err(failure),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::FAILURE
        }
    }
}

fn start_log(verbose: u8) {
    let level = match verbose {
        0 | 1 => return,
        2 => log::LevelFilter::Debug,
        _ => log::LevelFilter::Trace,
    };
    env_logger::Builder::new().filter_module("bmclink", level).init();
}

fn run(options: Options) -> Outcome {
    let words = options.command.clone();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((command, rest)) = words.split_first() else {
        usage::all();
        return Err(Failure::new("No command provided!"));
    };
    let known = find(command).ok_or_else(|| {
        Failure::new(format!("Invalid command: {command}\n{}", usage::commands()))
    })?;
    if words.starts_with(&["sol", "activate"]) {
        sol_activate::end_on_signals()?;
    }
    let mut link = Link::new(options)?;
    known(&mut link, rest)
}

/// The function of a command: it gets the words behind its name.
fn find(command: &str) -> Option<fn(&mut Link, &[&str]) -> Outcome> {
    Some(match command {
        "chassis" => chassis::run,
        "power" => chassis::power,
        "mc" | "bmc" => mc::run,
        "sdr" => sdr::run,
        "sensor" => sensor::run,
        "sel" => sel::run,
        "fru" => fru::run,
        "user" => user::run,
        "channel" => channel::run,
        "lan" => lan::run,
        "sol" => sol::run,
        "raw" => raw::run,
        "session" => session::run,
        "dcmi" => dcmi::run,
        _ => return None,
    })
}
