//! One command to many BMCs at once, against ipmipower and a pool of ipmitools.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bmclink::{Bmc, Engine, EngineConfig, Fleet};
use clap::Args;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::json;

use crate::bmcs::{self, Bmcs, PASSWORD, USER};
use crate::child::ends_with_us;
use crate::measure;
use crate::report::{Report, Result, Samples, Table};

/// What all have: the suite every one of them knows.
const SUITE: u8 = 3;
/// Where the dead ones are: sockets that nobody reads.
const DEAD: Ipv4Addr = Ipv4Addr::new(127, 63, 0, 1);
/// How long ours waits for a dead one. The others are long done by then.
const PATIENCE: Duration = Duration::from_secs(6);
/// ipmitools at once, and BMCs that ipmipower asks at once.
const IPMITOOLS: usize = 32;
const FANOUT: usize = 512;
/// ipmitool's part of the BMCs: a process each, it would take minutes for all.
const IPMITOOL_PART: usize = 10;

#[derive(Args, Default)]
pub struct Options {
    /// How many BMCs [default: 10000]
    #[arg(long)]
    bmcs: Option<usize>,
    /// How often they take their turns [default: 3]
    #[arg(long)]
    rounds: Option<usize>,
}

/// What one turn of one contestant gave.
#[derive(Debug, Clone, Copy)]
struct Turn {
    asked: usize,
    failed: usize,
    seconds: f64,
    cpu: f64,
}

/// The turns of one contestant.
struct Turns {
    name: &'static str,
    turns: Vec<Turn>,
}

pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    let count = report.choose(options.bmcs, 10_000, 200).max(100);
    let rounds = report.choose(options.rounds, 3, 1).max(1);
    report.begin("fleet", "power status of many BMCs at once");
    let names = [
        "bmclink, cold",
        "bmclink, warm",
        "bmclink, cold, and 1 % more that are dead",
        "ipmipower",
        "ipmitool, a pool",
    ];
    let mut all: Vec<Turns> = names.map(|name| Turns { name, turns: Vec::new() }).into();
    let mut skipped = Vec::new();
    let dead = dead(count / 100)?;
    for round in 0..rounds {
        // Fresh for every round: nobody inherits a full session table.
        let bmcs = Bmcs::start_with_suite(count, SUITE)?;
        let (cold, warm) = ours(&bmcs, count, &[])?;
        all[0].turns.push(cold);
        all[1].turns.push(warm);
        all[2].turns.push(ours(&bmcs, count, &dead.addresses)?.0);
        let theirs = [
            ("ipmipower", ipmipower(&bmcs, count.min(measure::fd_limit() as usize / 4))),
            ("ipmitool", ipmitool(&bmcs, count / IPMITOOL_PART)),
        ];
        for (at, (name, turn)) in theirs.into_iter().enumerate() {
            match turn {
                Ok(turn) => all[3 + at].turns.push(turn),
                Err(error) if round == 0 => skipped.push(format!("{name}: {error}")),
                Err(_) => {}
            }
        }
    }
    for turns in &all[..3] {
        let failed: usize = turns.turns.iter().map(|turn| turn.failed).sum();
        if failed > 0 {
            report.fail(format!("{}: {failed} without an answer", turns.name));
        }
    }
    print(&all, skipped, count, report);
    Ok(())
}

fn print(all: &[Turns], skipped: Vec<String>, count: usize, report: &mut Report) {
    let mut table = Table::new([
        "contestant",
        "BMCs",
        "failed",
        "seconds",
        "BMCs/s",
        "its CPU per BMC, us",
        "times the time of bmclink, cold",
    ]);
    let mut figures = serde_json::Map::new();
    let each = |turn: &Turn| turn.seconds / turn.asked as f64;
    let reference: Samples = all[0].turns.iter().map(each).collect();
    for turns in all.iter().filter(|turns| !turns.turns.is_empty()) {
        let of = |value: &dyn Fn(&Turn) -> f64| turns.turns.iter().map(value).collect::<Samples>();
        let ratio = of(&each).ratio(&reference);
        let cpu = of(&|turn| turn.cpu / turn.asked as f64 * 1e6);
        table.row([
            turns.name.to_owned(),
            turns.turns[0].asked.to_string(),
            turns.turns.iter().map(|turn| turn.failed).sum::<usize>().to_string(),
            of(&|turn| turn.seconds).text(2),
            of(&|turn| turn.asked as f64 / turn.seconds).text(0),
            cpu.text(0),
            ratio.text(2),
        ]);
        let row = json!({
            "bmcs": turns.turns[0].asked,
            "failed": turns.turns.iter().map(|turn| turn.failed).sum::<usize>(),
            "seconds": of(&|turn| turn.seconds).json(),
            "cpu_us_per_bmc": cpu.json(),
            "ratio_to_cold": ratio.json(),
        });
        figures.insert(turns.name.to_owned(), row);
    }
    let mut notes = vec![
        format!(
            "Cold: log in with suite {SUITE}, then Get Chassis Status; the sessions stay. Warm: \
             the same again, in these sessions. ipmipower and ipmitool log in and out every time."
        ),
        format!(
            "With the dead: {} more that never answer; the seconds are until the last of the \
             {count} others has its row.",
            count / 100
        ),
        format!(
            "No login rate, {} dialogs at once; ipmipower with a fanout of {FANOUT}, for as \
             many as it has descriptors for, two each; {IPMITOOLS} ipmitools at once, for a part \
             of the BMCs.",
            at_once(count)
        ),
        "The BMCs have one thread and share the machine: near the top the seconds are theirs."
            .to_owned(),
    ];
    notes.extend(skipped);
    report.table(&table, &notes);
    report.keep("fleet", figures.into());
}

/// Enough that the dead leave room for the others.
fn at_once(count: usize) -> usize {
    (count / 100 * 2).max(512)
}

/// BMCs that never answer, as long as this is there.
struct Dead {
    _sockets: Vec<UdpSocket>,
    addresses: Vec<SocketAddr>,
}

fn dead(count: usize) -> Result<Dead> {
    let bind = |index: usize| {
        let address = Ipv4Addr::from_bits(DEAD.to_bits() + index as u32);
        UdpSocket::bind((address, 0))
    };
    let sockets = (0..count).map(bind).collect::<std::io::Result<Vec<_>>>()?;
    let addresses = sockets.iter().map(UdpSocket::local_addr).collect::<std::io::Result<_>>()?;
    Ok(Dead { _sockets: sockets, addresses })
}

/// Cold, then warm, with a fresh engine.
fn ours(bmcs: &Bmcs, count: usize, dead: &[SocketAddr]) -> Result<(Turn, Turn)> {
    let mut config = EngineConfig::default();
    config.login_rate = 0;
    let engine = Engine::new(config)?;
    // Spread among the others, as they would be.
    let step = count / dead.len().max(1);
    let mut members: Vec<Bmc> = Vec::with_capacity(count + dead.len());
    let mut dead_at = Vec::new();
    for index in 0..count {
        if index % step == 0
            && let Some(address) = dead.get(index / step)
        {
            dead_at.push(members.len());
            members.push(engine.bmc(bmcs::config(*address)?)?);
        }
        let config = bmcs.config(index)?.cipher_suites(&[SUITE]);
        members.push(engine.bmc(config)?);
    }
    let fleet = Fleet::new(members).at_once(at_once(count)).timeout(PATIENCE);
    let cold = ask(&fleet, &dead_at)?;
    let warm = if dead.is_empty() { ask(&fleet, &[])? } else { cold };
    Ok((cold, warm))
}

fn ask(fleet: &Fleet, dead: &[usize]) -> Result<Turn> {
    let (started, cpu) = (Instant::now(), measure::process_cpu());
    let asked = fleet.bmcs().len() - dead.len();
    let mut turn = Turn { asked, failed: 0, seconds: f64::NAN, cpu: 0.0 };
    let mut answered = 0;
    for row in fleet.run(async |dialog| dialog.chassis_status().await)? {
        if dead.binary_search(&row.index).is_ok() {
            continue;
        }
        turn.failed += usize::from(row.result.is_err());
        answered += 1;
        if answered == asked {
            turn.seconds = started.elapsed().as_secs_f64();
            turn.cpu = (measure::process_cpu().saturating_sub(cpu)).as_secs_f64();
        }
    }
    Ok(turn)
}

/// CPU seconds of the children that have ended.
fn children_cpu() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Ok(Duration::from_micros(micros.unsigned_abs()).as_secs_f64())
}

/// The addresses in ipmipower's own notation: a range for each last byte.
fn ranges(bmcs: &Bmcs, count: usize) -> String {
    let mut ranges: Vec<([u8; 3], u8, u8)> = Vec::new();
    for index in 0..count {
        let [a, b, c, d] = bmcs.ip(index).octets();
        match ranges.last_mut() {
            Some((net, _, to)) if *net == [a, b, c] => *to = d,
            _ => ranges.push(([a, b, c], d, d)),
        }
    }
    let port = bmcs.port();
    let text = |([a, b, c], from, to): ([u8; 3], u8, u8)| match from == to {
        true => format!("{a}.{b}.{c}.{from}:{port}"),
        false => format!("{a}.{b}.{c}.[{from}-{to}]:{port}"),
    };
    ranges.into_iter().map(text).collect::<Vec<_>>().join(",")
}

fn ipmipower(bmcs: &Bmcs, count: usize) -> Result<Turn> {
    let mut command = Command::new("ipmipower");
    command.args(["-D", "LAN_2_0", "-I", "3", "-u", USER, "-p", PASSWORD, "--stat"]);
    command.args(["-F", &FANOUT.to_string(), "-h", &ranges(bmcs, count)]);
    let (started, cpu) = (Instant::now(), children_cpu()?);
    let output = ends_with_us(&mut command).stdin(Stdio::null()).output()?;
    let seconds = started.elapsed().as_secs_f64();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let on = stdout.lines().filter(|line| line.ends_with(": on")).count();
    if on == 0 {
        return Err(format!("{} {}", stdout, String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(Turn { asked: count, failed: count - on, seconds, cpu: children_cpu()? - cpu })
}

fn ipmitool(bmcs: &Bmcs, count: usize) -> Result<Turn> {
    let hosts: Vec<String> = (0..count).map(|index| bmcs.ip(index).to_string()).collect();
    let port = bmcs.port().to_string();
    let ask = |index: usize| {
        let mut command = Command::new("ipmitool");
        command.args(["-I", "lanplus", "-C", "3", "-H", &hosts[index], "-p", &port]);
        command.args(["-U", USER, "-P", PASSWORD, "power", "status"]).stdin(Stdio::null());
        command.output()
    };
    // Whether there is one at all.
    ask(0)?;
    let (next, on) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (started, cpu) = (Instant::now(), children_cpu()?);
    thread::scope(|scope| {
        for _ in 0..IPMITOOLS.min(count) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let good = ask(index).is_ok_and(|output| {
                        String::from_utf8_lossy(&output.stdout).contains("Chassis Power is on")
                    });
                    on.fetch_add(usize::from(good), Ordering::Relaxed);
                }
            });
        }
    });
    let seconds = started.elapsed().as_secs_f64();
    let failed = count - on.into_inner();
    Ok(Turn { asked: count, failed, seconds, cpu: children_cpu()? - cpu })
}
