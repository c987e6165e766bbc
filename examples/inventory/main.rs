//! Sensors, health, event log and inventory of many BMCs.
//!
//! ```text
//! cargo run --release --example inventory                    # health of simulated BMCs
//! cargo run --release --example inventory -- all             # all there is of them
//! cargo run --release --example inventory -- -H 'node[01-16]-bmc' -U admin -f FILE sel --json
//! ```
//!
//! One fleet asks all BMCs at once. Those that are equal have their sensor records read once: a
//! cache keeps them, in a folder even from one run to the next.

mod bmcs;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bmclink::command::{FruRow, Health, SdrCache, SdrRepository, SelLog, SensorRow};
use bmclink::sim::{Simulator, SimulatorOptions};
use bmclink::{BmcConfig, Credentials, Dialog, Engine, EngineConfig, Fleet};
use clap::{Parser, ValueEnum};

/// Sensors, health, event log and inventory of many BMCs
#[derive(Parser)]
struct Arguments {
    /// What to show
    #[arg(value_enum, default_value_t = What::Health)]
    what: What,
    /// BMCs as NAME or NAME:PORT, several with commas, node[01-16,20] for a range; none starts
    /// simulated ones
    #[arg(short = 'H', value_name = "BMCS")]
    bmcs: Vec<String>,
    /// User name
    #[arg(short = 'U', default_value = "admin")]
    user: String,
    /// Password; others on this machine can see it
    #[arg(short = 'P', value_name = "PASSWORD", conflicts_with_all = ["password_file", "environment"])]
    password: Option<String>,
    /// File whose first line is the password
    #[arg(short = 'f', value_name = "FILE", conflicts_with = "environment")]
    password_file: Option<PathBuf>,
    /// Take the password from the environment variable IPMI_PASSWORD
    #[arg(short = 'E')]
    environment: bool,
    /// One JSON object a line, for each BMC
    #[arg(long)]
    json: bool,
    /// Folder in which sensor records are kept
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
    /// Seconds for each BMC
    #[arg(long, default_value_t = 60)]
    timeout: u64,
    /// How many BMCs to simulate
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=2000))]
    simulate: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Sensors,
    Sel,
    Fru,
    Health,
    All,
}

/// What one BMC answered; `None` what was not asked.
struct Answer {
    repository: Arc<SdrRepository>,
    sensors: Option<Vec<SensorRow>>,
    health: Option<Health>,
    sel: Option<SelLog>,
    fru: Option<Vec<FruRow>>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("inventory: {error}");
            ExitCode::FAILURE
        }
    }
}

/// True when all BMCs answered.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn std::error::Error>> {
    let mut names = Vec::new();
    for list in &arguments.bmcs {
        names.extend(bmcs::expand(list)?);
    }
    let password = password(arguments, names.is_empty())?;
    let simulator = names.is_empty().then(|| simulate(arguments.simulate.into())).transpose()?;
    if let Some(simulator) = &simulator {
        names = (0..simulator.count()).map(|at| simulator.address(at).to_string()).collect();
    }

    let engine = Engine::new(EngineConfig::default())?;
    let credentials = Credentials::new(&arguments.user, &password)?;
    let mut all = Vec::new();
    for name in &names {
        let (host, port) = bmcs::host_and_port(name)?;
        all.push(engine.bmc(BmcConfig::new(host, credentials.clone()).port(port))?);
    }
    let cache = arguments.cache.as_ref().map_or_else(SdrCache::new, SdrCache::in_folder);
    let (what, shared) = (arguments.what, cache.clone());
    let fleet = Fleet::new(all).timeout(Duration::from_secs(arguments.timeout));
    let rows = fleet.run(move |dialog| {
        let cache = shared.clone();
        async move { ask(&dialog, what, &cache).await }
    })?;
    let mut all_well = true;
    for row in rows {
        let name = &names[row.index];
        all_well &= row.result.is_ok();
        match (row.result, arguments.json) {
            (Ok(answer), false) => show::text(name, &answer),
            (Ok(answer), true) => println!("{}", show::json(name, &answer)),
            (Err(error), false) => println!("{name}: {error}"),
            (Err(error), true) => println!("{}", show::error_json(name, &error)),
        }
    }
    if let Some(error) = cache.last_error() {
        eprintln!("inventory: {error}");
    }
    Ok(all_well)
}

/// The dialog with one BMC. It runs for thousands of them on one thread, in turns.
async fn ask(dialog: &Dialog, what: What, cache: &SdrCache) -> bmclink::Result<Answer> {
    let repository = dialog.sdr_repository_cached(cache).await?;
    let wants = |it| what == it || what == What::All;
    let (mut sensors, mut health, mut sel, mut fru) = (None, None, None, None);
    if wants(What::Sensors) || wants(What::Health) {
        let rows = dialog.sensors(&repository).await?;
        if wants(What::Health) {
            let chassis = dialog.chassis_status().await.ok();
            health = Some(Health::of(rows.clone(), chassis.as_ref()));
        }
        sensors = wants(What::Sensors).then_some(rows);
    }
    if wants(What::Sel) {
        sel = Some(dialog.sel_entries(None).await?);
    }
    if wants(What::Fru) {
        fru = Some(dialog.frus(&repository).await?);
    }
    Ok(Answer { repository, sensors, health, sel, fru })
}

fn password(arguments: &Arguments, simulated: bool) -> Result<String, String> {
    if let Some(password) = &arguments.password {
        return Ok(password.clone());
    }
    if let Some(file) = &arguments.password_file {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        return Ok(text.lines().next().unwrap_or_default().to_owned());
    }
    match arguments.environment {
        true => std::env::var("IPMI_PASSWORD").map_err(|_| "IPMI_PASSWORD is not set".to_owned()),
        false if simulated => Ok("password".to_owned()),
        false => Err("give the password: -f FILE, -E or -P".to_owned()),
    }
}

/// BMCs of which the first one has a fan that fails.
fn simulate(count: usize) -> std::io::Result<Simulator> {
    const FAN1: u8 = 0x20;
    let simulator = Simulator::start(SimulatorOptions { count, ..Default::default() })?;
    simulator.with(0, |bmc, _| bmc.set_sensor(FAN1, Some(12)));
    Ok(simulator)
}
