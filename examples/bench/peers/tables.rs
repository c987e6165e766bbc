//! What the contestants did, side by side, and where bmclink is behind.

use serde_json::{Map, Value, json};

use super::contestant::Kind;
use crate::report::{Report, Samples, Table};

/// What one contestant did with one number of consoles.
pub struct Outcome {
    pub kind: Kind,
    pub connect_ms: Samples,
    pub all_seconds: Samples,
    pub echo_us: Samples,
    pub down_kib_s: Samples,
    pub up_kib_s: Samples,
    pub down_cpu_us: Samples,
    pub up_cpu_us: Samples,
    pub memory_mib: Samples,
    pub fds: Samples,
    pub threads: Samples,
    /// What went wrong.
    pub problems: Vec<String>,
    /// Its turns fail only after a long time.
    pub too_slow: bool,
    /// The time was over before all turns were made.
    pub cut_short: bool,
}

impl Outcome {
    pub fn new(kind: Kind) -> Self {
        Outcome {
            kind,
            connect_ms: Samples::default(),
            all_seconds: Samples::default(),
            echo_us: Samples::default(),
            down_kib_s: Samples::default(),
            up_kib_s: Samples::default(),
            down_cpu_us: Samples::default(),
            up_cpu_us: Samples::default(),
            memory_mib: Samples::default(),
            fds: Samples::default(),
            threads: Samples::default(),
            problems: Vec::new(),
            too_slow: false,
            cut_short: false,
        }
    }

    /// Notes what went wrong, once.
    pub fn problem(&mut self, problem: String) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// A row of the tables: something that is compared.
struct Aspect {
    name: &'static str,
    digits: usize,
    more_is_better: bool,
    value: fn(&Outcome) -> f64,
}

const fn less(name: &'static str, digits: usize, value: fn(&Outcome) -> f64) -> Aspect {
    Aspect { name, digits, more_is_better: false, value }
}

const fn more(name: &'static str, digits: usize, value: fn(&Outcome) -> f64) -> Aspect {
    Aspect { name, digits, more_is_better: true, value }
}

const ASPECTS: [Aspect; 12] = [
    less("connect one, p50, ms", 1, |o| o.connect_ms.median()),
    less("connect one, most, ms", 1, |o| o.connect_ms.quantile(1.0)),
    less("connect all, s", 3, |o| o.all_seconds.median()),
    less("echo of one byte, p50, us", 0, |o| o.echo_us.median()),
    less("echo of one byte, p99, us", 0, |o| o.echo_us.quantile(0.99)),
    more("from all hosts, KiB/s", 0, |o| o.down_kib_s.median()),
    more("to all hosts, KiB/s", 0, |o| o.up_kib_s.median()),
    less("from hosts, CPU us per packet", 1, |o| o.down_cpu_us.median()),
    less("to hosts, CPU us per packet", 1, |o| o.up_cpu_us.median()),
    less("memory, MiB", 1, |o| o.memory_mib.median()),
    less("file descriptors", 0, |o| o.fds.median()),
    less("threads", 0, |o| o.threads.median()),
];

pub fn print(all: &[(usize, Vec<Outcome>)], skipped: &[String], report: &mut Report) {
    let mut behind = Vec::new();
    let mut figures = Map::new();
    let mut compared = false;
    for (count, outcomes) in all {
        let ours = outcomes.iter().find(|outcome| outcome.kind == Kind::Bmclink);
        compared |= ours.is_some() && outcomes.len() > 1;
        let names = outcomes.iter().map(|outcome| outcome.kind.to_string());
        let first = format!("{count} console{}", if *count == 1 { "" } else { "s" });
        let mut table = Table::with(std::iter::once(first).chain(names).collect());
        for aspect in &ASPECTS {
            if outcomes.iter().all(|outcome| (aspect.value)(outcome).is_nan()) {
                continue;
            }
            let cells = outcomes.iter().map(|outcome| cell(aspect, outcome, ours));
            table.add(std::iter::once(aspect.name.to_owned()).chain(cells).collect());
            behind.extend(outcomes.iter().filter_map(|o| is_behind(aspect, *count, ours?, o)));
        }
        let mut notes = Vec::new();
        for outcome in outcomes {
            for problem in &outcome.problems {
                notes.push(format!("{}: {problem}", outcome.kind));
            }
            if outcome.cut_short {
                notes.push(format!("{}: not all turns, the time was over (--limit)", outcome.kind));
            }
        }
        report.table(&table, &notes);
        figures.insert(count.to_string(), json(outcomes));
    }
    report.table_notes(&notes(skipped, &behind, compared));
    report.keep("peers", figures.into());
}

/// The value, and how many times better or worse than it bmclink is.
fn cell(aspect: &Aspect, outcome: &Outcome, ours: Option<&Outcome>) -> String {
    let value = (aspect.value)(outcome);
    if value.is_nan() {
        return "-".to_owned();
    }
    let text = format!("{value:.0$}", aspect.digits);
    match ours.filter(|_| outcome.kind != Kind::Bmclink).and_then(|o| factor(aspect, o, outcome)) {
        Some(factor) => format!("{text} ({factor:.2}x)"),
        None => text,
    }
}

/// How many times better than the other one bmclink is; below 1 it is worse.
fn factor(aspect: &Aspect, ours: &Outcome, other: &Outcome) -> Option<f64> {
    let (ours, other) = ((aspect.value)(ours), (aspect.value)(other));
    let factor = if aspect.more_is_better { ours / other } else { other / ours };
    factor.is_finite().then_some(factor)
}

fn is_behind(aspect: &Aspect, count: usize, ours: &Outcome, other: &Outcome) -> Option<String> {
    let factor = factor(aspect, ours, other).filter(|&factor| factor < 1.0)?;
    let (name, kind) = (aspect.name, other.kind);
    Some(format!("{name}, {count} console(s): {:.2} times {kind}", 1.0 / factor))
}

fn notes(skipped: &[String], behind: &[String], compared: bool) -> Vec<String> {
    let mut notes = vec![
        "In brackets: how many times better bmclink is; below 1 it is worse. Medians of all \
         turns, which the contestants take one after the other, each with fresh BMCs."
            .to_owned(),
        "Cipher suite 3. The echo is of one console while the others are idle; the transfers are \
         of all consoles at once, to the hosts in blocks of 2,000 bytes that are waited for."
            .to_owned(),
        "CPU per packet: of the contestant's whole process, packets of both directions counted by \
         the BMCs. Throughput is also the BMCs', which share the machine."
            .to_owned(),
        "Memory: resident, before the transfers; of ipmitool, a process for each console, the \
         proportional share (PSS)."
            .to_owned(),
    ];
    notes.extend(skipped.iter().cloned());
    match behind {
        _ if !compared => {}
        [] => notes.push("bmclink is behind in no row.".to_owned()),
        _ => notes.push(format!("bmclink is behind in: {}.", behind.join("; "))),
    }
    notes
}

fn json(outcomes: &[Outcome]) -> Value {
    let mut all = Map::new();
    for outcome in outcomes {
        let values = ASPECTS.iter().map(|aspect| {
            let value = (aspect.value)(outcome);
            (aspect.name.to_owned(), if value.is_nan() { Value::Null } else { json!(value) })
        });
        let mut one: Map<String, Value> = values.collect();
        one.insert("problems".to_owned(), json!(outcome.problems));
        all.insert(outcome.kind.to_string(), one.into());
    }
    all.into()
}
