//! Switches many machines at once, or asks whether they are on.
//!
//! ```text
//! cargo run --release --example power -- status                  # simulated BMCs
//! cargo run --release --example power -- cycle --wait -H 'node[01-16,20]' -U admin -f FILE
//! ```
//!
//! One line for each BMC as it comes, one thread for all of them.

#[path = "common/mod.rs"]
mod common;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use bmclink::command::{ChassisControl, Identify, PowerOptions};
use bmclink::{Dialog, Engine, EngineConfig, Error, ErrorKind, Fleet};
use clap::{Parser, ValueEnum};
use indicatif::ProgressBar;

const MORE: &str = "\
Exit status, of the BMC that fared worst:
  0  all is well
  1  a BMC refused, or another error
  2  wrong usage
  3  user, password or privilege level refused
  4  BMC not reached, or too late
";

/// Switches many machines, or asks whether they are on
#[derive(Parser)]
#[command(name = "power", after_help = MORE)]
struct Arguments {
    action: Action,
    #[command(flatten)]
    login: common::login::Login,
    /// Wait until machines are on, or off, at most so many seconds
    #[arg(long, value_name = "S", num_args = 0..=1, require_equals = true,
          default_missing_value = "120")]
    wait: Option<u16>,
    /// Switch machines on that are off when they are to be cycled or reset
    #[arg(long)]
    on_when_off: bool,
    /// Seconds each BMC has, waiting aside
    #[arg(long, value_name = "S", default_value_t = 20)]
    timeout: u16,
    /// At most so many BMCs at once
    #[arg(long, value_name = "N", default_value_t = 1024,
          value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,
}

#[derive(Clone, Copy, ValueEnum)]
enum Action {
    /// Is it on or off?
    Status,
    /// Switch it on
    On,
    /// Switch it off at once
    Off,
    /// Off and on again
    Cycle,
    /// Reset it
    Reset,
    /// Have its operating system shut down
    Soft,
    /// Send it a diagnostic interrupt
    Diag,
    /// Have its light blink for 15 seconds
    Identify,
    /// Have its light on until it is switched off
    IdentifyOn,
    /// Switch its light off
    IdentifyOff,
}

impl Action {
    /// What it is for one BMC.
    async fn perform(self, dialog: &Dialog, options: PowerOptions) -> bmclink::Result<String> {
        let control = match self {
            Action::Status => {
                let on = dialog.chassis_status().await?.power_on;
                return Ok(if on { "on" } else { "off" }.to_owned());
            }
            Action::Identify => return light(dialog, Identify::For(15)).await,
            Action::IdentifyOn => return light(dialog, Identify::On).await,
            Action::IdentifyOff => return light(dialog, Identify::Off).await,
            Action::On => ChassisControl::PowerUp,
            Action::Off => ChassisControl::PowerDown,
            Action::Cycle => ChassisControl::PowerCycle,
            Action::Reset => ChassisControl::HardReset,
            Action::Soft => ChassisControl::SoftShutdown,
            Action::Diag => ChassisControl::DiagnosticInterrupt,
        };
        let sent = dialog.power(control, options).await?;
        Ok(if sent == control { "done" } else { "was off: switched on" }.to_owned())
    }
}

async fn light(dialog: &Dialog, light: Identify) -> bmclink::Result<String> {
    dialog.identify(light).await.map(|()| "done".to_owned())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(worst) => ExitCode::from(worst),
        Err(error) => {
            eprintln!("power: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<u8, Box<dyn std::error::Error>> {
    let engine = Engine::new(EngineConfig::default())?;
    let named = arguments.login.bmcs(&engine)?;
    let (action, wait) = (arguments.action, arguments.wait);
    let wait = wait.map(|seconds| Duration::from_secs(seconds.into()));
    let options = PowerOptions { wait, on_when_off: arguments.on_when_off };
    let timeout = Duration::from_secs(arguments.timeout.into()) + wait.unwrap_or_default();
    let fleet = Fleet::new(named.bmcs.clone()).timeout(timeout);
    let fleet = fleet.at_once(arguments.at_once.into());

    // Draws nothing unless standard error is a terminal.
    let bar = ProgressBar::new(named.bmcs.len() as u64);
    let mut worst = 0;
    for row in fleet.run(move |dialog| async move { action.perform(&dialog, options).await })? {
        let name = &named.names[row.index];
        match row.result {
            // That nobody reads it any more is no reason to leave the other machines alone.
            Ok(text) => drop(bar.suspend(|| writeln!(io::stdout(), "{name}: {text}"))),
            Err(error) => {
                worst = worst.max(status(&error));
                bar.suspend(|| eprintln!("{name}: {error} (try: {})", error.advice()));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(worst)
}

/// The exit status that an error is worth.
fn status(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Unreachable
        | ErrorKind::ConnectionRefused
        | ErrorKind::NameNotFound
        | ErrorKind::TimedOut => 4,
        ErrorKind::Privilege => 3,
        kind if kind.is_bad_credentials() => 3,
        _ => 1,
    }
}
