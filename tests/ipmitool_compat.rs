//! The example `bl` against the real `ipmitool`: the same commands at equal BMCs, line by line.
//!
//! Every difference that is meant is in the table, with its reason, and has to be exactly that.

mod support;
#[path = "ipmitool_compat/table.rs"]
mod table;

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use bmclink::sim::{BmcOptions, Simulator, SimulatorOptions};
use support::{ADMIN, IpmiSim, Scratch, SimOptions, example, require};
use table::Differs::{self, CutFrom, Line, More, Status, Usage, Why};
use table::Row;

#[test]
fn chassis_commands_are_the_same() {
    compare_at_simulators(table::CHASSIS);
}

#[test]
fn commands_of_the_controller_are_the_same() {
    compare_at_simulators(table::CONTROLLER);
}

#[test]
fn sensors_are_the_same() {
    compare_at_simulators(table::SENSORS);
}

#[test]
fn the_event_log_is_the_same() {
    compare_at_simulators(table::LOG);
}

#[test]
fn inventory_and_dcmi_are_the_same() {
    compare_at_simulators(table::INVENTORY);
}

#[test]
fn users_and_channels_are_the_same() {
    compare_at_simulators(table::USERS);
}

#[test]
fn network_and_console_settings_are_the_same() {
    compare_at_simulators(table::NETWORK);
}

#[test]
fn guids_are_read_the_same_in_whatever_order_they_are_sent() {
    // Where the version is for SMBIOS, for RFC 4122, and as the specification has it.
    let places = [
        [0x40, 0x40, 0x40],
        [0xf0, 0xf0, 0x20],
        [0xf0, 0x50, 0xf0],
        [0x30, 0xf0, 0x40],
        [0x60, 0x00, 0xf0],
    ];
    for [rfc4122, smbios, ipmi] in places {
        let mut guid = *b"0123456789abcdef";
        [guid[6], guid[7], guid[9]] = [rfc4122, smbios, ipmi];
        compare_at_equals(&[table::GUID], guid);
    }
    // One that says when it was made.
    let made = 0xd3c2_b1a0_f5e4_ec11_8000_0011_2233_4455_u128;
    compare_at_equals(&[table::GUID], made.to_be_bytes());
}

#[test]
fn sdr_dumps_are_the_same_bytes_and_are_read_again() {
    let options = SimulatorOptions { port: 0, ..SimulatorOptions::default() };
    let simulator = Simulator::start(options).expect("a simulator");
    let access = (simulator.address(0), "admin", "password");
    let scratch = Scratch::new();
    let [theirs, ours] = ["theirs", "ours"].map(|name| scratch.join(name).display().to_string());
    run(require("ipmitool"), &format!("sdr dump {theirs}"), access);
    run(example("bl"), &format!("sdr dump {ours}"), access);
    assert_eq!(std::fs::read(&theirs).expect("written"), std::fs::read(&ours).expect("written"));
    let from_file = run(example("bl"), &format!("-S {theirs} sdr elist all"), access);
    let from_bmc = run(example("bl"), "sdr elist all", access);
    assert!(from_bmc.lines.len() > 30);
    assert_eq!(from_file.lines, from_bmc.lines);
}

#[test]
fn openipmis_bmc_is_the_same() {
    let sim = IpmiSim::start(SimOptions::default());
    let access = (sim.address(), ADMIN.name, ADMIN.password);
    let wrong: Vec<String> =
        table::AT_IPMI_SIM.iter().filter_map(|row| compare(row, [access; 2])).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The two ask BMCs of their own, so that each finds what it has done itself.
fn compare_at_simulators(rows: &[Row]) {
    compare_at_equals(rows, BmcOptions::default().guid);
}

fn compare_at_equals(rows: &[Row], guid: [u8; 16]) {
    let start = || {
        let bmc = BmcOptions { guid, ..BmcOptions::default() };
        let options = SimulatorOptions { port: 0, seed: 7, bmc, ..SimulatorOptions::default() };
        Simulator::start(options).expect("a simulator")
    };
    let simulators = [start(), start()];
    let access = [0, 1].map(|at| (simulators[at].address(0), "admin", "password"));
    let wrong: Vec<String> = rows.iter().filter_map(|row| compare(row, access)).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

type Access = (SocketAddr, &'static str, &'static str);

/// What one of the two did.
struct Ran {
    status: Option<i32>,
    lines: Vec<String>,
}

/// What is wrong with a row, if anything.
fn compare(row: &Row, [theirs, ours]: [Access; 2]) -> Option<String> {
    let mut ipmitool = run(require("ipmitool"), row.command, theirs);
    let bl = run(example("bl"), row.command, ours);
    let mut wanted_status = ipmitool.status;
    let mut usage = false;
    let mut why = "";
    for difference in row.differs {
        match difference {
            Why(reason) => why = reason,
            Usage => usage = true,
            Status { ipmitool, bl } => {
                if wanted_status != Some(*ipmitool) {
                    return Some(format!(
                        "{}: ipmitool has exit status {wanted_status:?}",
                        row.command
                    ));
                }
                wanted_status = Some(*bl);
            }
            change => {
                if !apply(change, &mut ipmitool.lines) {
                    let lines = ipmitool.lines.join("\n  ");
                    return Some(format!(
                        "{}: a difference is gone ({why}):\n  {lines}",
                        row.command
                    ));
                }
            }
        }
    }
    let (mut wanted, mut got) = (ipmitool.lines, bl.lines);
    if usage {
        let before = [wanted.len(), got.len()];
        wanted.retain(|line| !line.starts_with("2 "));
        got.retain(|line| !line.starts_with("2 "));
        if wanted.len() == before[0] || got.len() == before[1] {
            return Some(format!("{}: no usage was said", row.command));
        }
    }
    if wanted == got && wanted_status == bl.status {
        return None;
    }
    let statuses = format!("{wanted_status:?} {:?}", bl.status);
    let at =
        wanted.iter().zip(&got).position(|(a, b)| a != b).unwrap_or(wanted.len().min(got.len()));
    let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_default();
    Some(format!(
        "{}: exit status {statuses}, line {at}:\n  ipmitool {:?}\n  bl       {:?}",
        row.command,
        line(&wanted),
        line(&got)
    ))
}

/// Makes a difference in the lines of ipmitool; false when there is nothing to make it of.
fn apply(difference: &Differs, lines: &mut Vec<String>) -> bool {
    match difference {
        Line { ipmitool, bl } => {
            let before = lines.len();
            let is_it = |line: &String| line == ipmitool;
            let found = lines.iter().filter(|line| is_it(line)).count();
            match bl {
                Some(bl) => lines.iter_mut().filter(|line| is_it(line)).for_each(|line| {
                    line.clear();
                    line.push_str(bl);
                }),
                None => lines.retain(|line| !is_it(line)),
            }
            found > 0 && (bl.is_some() || lines.len() < before)
        }
        More(line) => {
            let stream = &line[..2];
            let at = lines.iter().rposition(|line| line.starts_with(stream)).map_or(0, |at| at + 1);
            lines.insert(at, (*line).to_owned());
            true
        }
        CutFrom(first) => {
            let at = lines.iter().position(|line| line == first);
            let Some(at) = at else { return false };
            let stream = first[..2].to_owned();
            let end = lines[at..].iter().position(|line| !line.starts_with(&stream));
            lines.drain(at..end.map_or(lines.len(), |end| at + end));
            true
        }
        _ => true,
    }
}

fn run(mut program: Command, command: &str, (bmc, user, password): Access) -> Ran {
    program.args(["-I", "lanplus", "-H", &bmc.ip().to_string(), "-p", &bmc.port().to_string()]);
    program.args(["-U", user, "-E"]).args(words(command));
    program.env_remove("IPMITOOL_PASSWORD").env("IPMI_PASSWORD", password).env("TZ", "UTC");
    let output = program.stdin(Stdio::null()).output().expect("it runs");
    let mut lines = Vec::new();
    for (stream, bytes) in [("1", &output.stdout), ("2", &output.stderr)] {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let kept = text.lines().filter(|line| !is_talk(line));
        lines.extend(kept.map(|line| normal(&format!("{stream} {line}"), bmc.port())));
    }
    // What -v has an empty line for, and usage ends with.
    lines.retain(|line| line != "2 ");
    Ran { status: output.status.code(), lines }
}

/// What ipmitool says of itself with -v, and of the file of makers that may be missing.
fn is_talk(line: &str) -> bool {
    const TALK: [&str; 7] = [
        "Loading IANA PEN Registry",
        "IANA PEN registry open failed",
        "Using best available cipher suite",
        "Running Get VSO Capabilities",
        "Running Get PICMG Properties",
        "Invalid completion code received",
        "Discovered ",
    ];
    TALK.iter().any(|talk| line.starts_with(talk))
}

/// The words of a command; quotes keep spaces together.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in command.split('\'').enumerate() {
        match at % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// A line without what moves: readings, times, ports.
fn normal(line: &str, port: u16) -> String {
    if let Some((title, _)) = line.split_once(": ").filter(|_| line.starts_with("1 console port")) {
        return title.to_owned();
    }
    if let Some((rest, _)) = line.rsplit_once(',').filter(|_| line.contains(",IPMIv2/RMCP+,")) {
        return rest.to_owned();
    }
    let separators = [' ', ',', '|'];
    let mut parts: Vec<String> = line.split_inclusive(separators).map(str::to_owned).collect();
    let bare: Vec<String> =
        parts.iter().map(|part| part.trim_end_matches(separators).to_owned()).collect();
    let mut has_reading = false;
    for (at, token) in bare.iter().enumerate() {
        let next = bare[at + 1..].iter().find(|next| !next.is_empty() && !next.starts_with("(+/-"));
        let next = next.filter(|next| *next != "0)" && *next != "inf)");
        let before_unit = match next {
            Some(next) => is_unit(next),
            None => false,
        };
        let tolerance = bare.get(at + 1).is_some_and(|next| next == "(+/-");
        let text = if token.parse::<f64>().is_ok() && (before_unit || tolerance) {
            has_reading = true;
            "#"
        } else if looks_like(token, "00/00/00") {
            "DD/DD/DD"
        } else if looks_like(token, "00:00:00") {
            "HH:MM:SS"
        } else if *token == port.to_string() {
            "PORT"
        } else {
            continue;
        };
        parts[at].replace_range(..token.len(), text);
    }
    let text = parts.concat();
    match has_reading {
        // The width of the column moves with the reading.
        true => text.split_whitespace().collect::<Vec<_>>().join(" "),
        false => text,
    }
}

fn is_unit(word: &str) -> bool {
    const UNITS: [&str; 9] =
        ["degrees", "Volts", "RPM", "Watts", "Amps", "CFM", "percent", "kPa", "second"];
    UNITS.contains(&word) || word == "Seconds."
}

fn looks_like(token: &str, pattern: &str) -> bool {
    let fits = |(a, b): (char, char)| if b == '0' { a.is_ascii_digit() } else { a == b };
    token.len() == pattern.len() && token.chars().zip(pattern.chars()).all(fits)
}
