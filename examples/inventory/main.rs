//! Sensors, health, event log and inventory of many BMCs.
//!
//! ```text
//! cargo run --release --example inventory                    # health of simulated BMCs
//! cargo run --release --example inventory -- all             # all there is of them
//! cargo run --release --example inventory -- sel --json -H 'node[01-16]-bmc' -U admin -f FILE
//! ```
//!
//! One fleet asks all BMCs at once. Those that are equal have their sensor records read once: a
//! cache keeps them, in a folder even from one run to the next.

#[path = "../common/mod.rs"]
mod common;
mod show;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bmclink::command::{FruRow, Health, SdrCache, SdrRepository, SelLog, SensorRow};
use bmclink::{Dialog, Engine, EngineConfig, Fleet};
use clap::{Parser, ValueEnum};

/// Sensors, health, event log and inventory of many BMCs
#[derive(Parser)]
#[command(name = "inventory")]
struct Arguments {
    /// What to show
    #[arg(value_enum, default_value_t = What::Health)]
    what: What,
    #[command(flatten)]
    login: common::login::Login,
    /// One JSON object a line, for each BMC
    #[arg(long)]
    json: bool,
    /// Folder in which sensor records are kept
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
    /// Seconds for each BMC
    #[arg(long, default_value_t = 60)]
    timeout: u64,
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
    let engine = Engine::new(EngineConfig::default())?;
    let mut bmcs = arguments.login.bmcs(&engine)?;
    let cache = arguments.cache.as_ref().map_or_else(SdrCache::new, SdrCache::in_folder);
    let (what, shared) = (arguments.what, cache.clone());
    let fleet =
        Fleet::new(std::mem::take(&mut bmcs.bmcs)).timeout(Duration::from_secs(arguments.timeout));
    let rows = fleet.run(move |dialog| {
        let cache = shared.clone();
        async move { ask(&dialog, what, &cache).await }
    })?;
    let (mut all_well, mut out) = (true, io::stdout().lock());
    for row in rows {
        let name = &bmcs.names[row.index];
        all_well &= row.result.is_ok();
        let written = match (row.result, arguments.json) {
            (Ok(answer), false) => show::text(&mut out, name, &answer),
            (Ok(answer), true) => writeln!(out, "{}", show::json(name, &answer)),
            (Err(error), false) => writeln!(out, "{name}: {error}"),
            (Err(error), true) => writeln!(out, "{}", show::error_json(name, &error)),
        };
        match written.and_then(|()| out.flush()) {
            // Whoever read it has seen enough; the sessions are closed all the same.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            written => written?,
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
