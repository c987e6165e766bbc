//! The example `bl` as scripts and people use it: what parsers written for ipmitool find in its
//! output, where passwords come from and are not seen, and the console.

// Their unit tests run here: an example's own are run by nobody.
#[path = "../examples/bl/text.rs"]
#[macro_use]
#[allow(dead_code, unused_macros)]
mod text;
#[path = "../examples/bl/hide.rs"]
#[allow(dead_code)]
mod hide;
#[path = "../examples/bl/names.rs"]
#[allow(dead_code)]
mod names;
#[path = "../examples/bl/options.rs"]
#[allow(dead_code)]
mod options;
#[path = "../examples/console/terminal.rs"]
#[allow(dead_code)]
mod terminal;
#[path = "../examples/bl/usage.rs"]
#[allow(dead_code)]
mod usage;

mod support;

use std::collections::HashMap;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use bmclink::sim::{BmcOptions, Serial, Simulator, SimulatorOptions};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use support::{Program, Scratch, example, wait_until};

const LONG: Duration = Duration::from_secs(60);

fn simulator() -> Simulator {
    let options = SimulatorOptions { port: 0, serial: Serial::Echo, ..SimulatorOptions::default() };
    Simulator::start(options).expect("a simulator")
}

/// `bl` for that BMC as `admin`, without a password.
fn bl(simulator: &Simulator) -> Command {
    let address = simulator.address(0);
    let mut command = example("bl");
    command.env_remove("IPMITOOL_PASSWORD").env_remove("IPMI_PASSWORD").env_remove("IPMI_KGKEY");
    command.args([&format!("-H{}", address.ip()), "-p", &address.port().to_string(), "-Uadmin"]);
    command.stdin(Stdio::null());
    command
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What a command prints that succeeds.
fn said(simulator: &Simulator, words: &[&str]) -> String {
    let mut command = bl(simulator);
    command.arg("-E").env("IPMI_PASSWORD", "password").args(words);
    text(&command.output().expect("it runs"))
}

/// What it says on standard error with exit status 1.
fn refused(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

// Parsers as they are found in the wild

/// `key : value`, as every second script has it.
fn pairs(text: &str) -> HashMap<String, String> {
    let pair = |line: &str| {
        let (key, value) = line.split_once(':')?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

#[test]
fn key_and_value_parsers_find_their_keys() {
    let simulator = simulator();
    type Wanted = &'static [(&'static str, &'static str)];
    let wanted: [(&[&str], Wanted); 5] = [
        (
            &["lan", "print"],
            &[("IP Address Source", "Static Address"), ("IP Address", "192.0.2.10")],
        ),
        (&["mc", "info"], &[("Firmware Revision", "1.00"), ("IPMI Version", "2.0")]),
        (&["chassis", "status"], &[("System Power", "on"), ("Power Restore Policy", "previous")]),
        (&["fru", "print", "0"], &[("Product Name", "Simulated Server")]),
        (&["sel", "info"], &[("Entries", "0"), ("Percent Used", "0%"), ("Overflow", "false")]),
    ];
    for (words, wanted) in wanted {
        let found = pairs(&said(&simulator, words));
        for (key, value) in wanted {
            assert_eq!(found.get(*key).map(String::as_str), Some(*value), "{words:?} {key}");
        }
    }
}

#[test]
fn collectors_find_sensors() {
    let simulator = simulator();
    // `name | value unit | status`, and with the entity.
    for line in said(&simulator, &["sdr"]).lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        assert!(matches!(cells[..], [name, _, "ok"] if !name.is_empty()), "{line}");
    }
    for line in said(&simulator, &["sdr", "elist"]).lines() {
        let [_, number, status, entity, _] = line.split('|').map(str::trim).collect::<Vec<_>>()[..]
        else {
            panic!("{line}")
        };
        assert!(number.len() == 3 && number.ends_with('h') && status == "ok", "{line}");
        assert!(entity.parse::<f64>().is_ok(), "{line}");
    }
    // Ten columns, numbers or `na`.
    let mut with_thresholds = 0;
    for line in said(&simulator, &["sensor"]).lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 10, "{line}");
        assert!(
            cells[4..].iter().all(|cell| *cell == "na" || cell.parse::<f64>().is_ok()),
            "{line}"
        );
        let is_value = cells[2] != "discrete" && cells[1] != "na";
        assert!(!is_value || cells[1].parse::<f64>().is_ok(), "{line}");
        with_thresholds += usize::from(cells[4..].iter().any(|cell| *cell != "na"));
    }
    assert!(with_thresholds > 5);
    let watts = said(&simulator, &["dcmi", "power", "reading"]);
    let watts = pairs(&watts)["Instantaneous power reading"].clone();
    assert!(watts.strip_suffix(" Watts").is_some_and(|watts| watts.trim().parse::<u32>().is_ok()));
}

#[test]
fn power_scripts_see_what_they_did() {
    let simulator = simulator();
    let state = || said(&simulator, &["power", "status"]);
    assert_eq!(state(), "Chassis Power is on\n");
    assert_eq!(said(&simulator, &["chassis", "power", "off"]), "Chassis Power Control: Down/Off\n");
    assert!(wait_until(LONG, || state() == "Chassis Power is off\n"));
    let mut cycle = bl(&simulator);
    cycle.arg("-E").env("IPMI_PASSWORD", "password").args(["power", "cycle"]);
    let why = "Set Chassis Power Control to Cycle failed: Command not supported in present state\n";
    assert_eq!(refused(&mut cycle), why);
    said(&simulator, &["chassis", "bootdev", "pxe", "options=efiboot"]);
    let boot = said(&simulator, &["chassis", "bootparam", "get", "5"]);
    assert!(boot.contains("Boot Device Selector : Force PXE") && boot.contains("BIOS EFI boot"));
}

// Where secrets come from

#[test]
fn a_password_comes_from_where_it_is_said() {
    let simulator = simulator();
    let scratch = Scratch::new();
    let file = scratch.join("password");
    scratch.write("password", "password\nmore\n");
    let works = |command: &mut Command| {
        let output = command.args(["power", "status"]).output().expect("it runs");
        assert_eq!(text(&output), "Chassis Power is on\n");
    };
    works(bl(&simulator).args(["-P", "password"]));
    works(bl(&simulator).arg("-Ppassword"));
    works(bl(&simulator).arg("-f").arg(&file));
    works(bl(&simulator).arg("-E").env("IPMI_PASSWORD", "password"));
    let both = ("IPMITOOL_PASSWORD", "password");
    works(bl(&simulator).arg("-E").env("IPMI_PASSWORD", "wrong").env(both.0, both.1));
    works(bl(&simulator).args(["-P", "password", "-I", "lan", "-A", "MD5"]));
    works(bl(&simulator).args(["-P", "password", "-C3", "-LOPERATOR"]));

    let mut asked = bl(&simulator);
    asked.args(["-a", "power", "status"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut asked = asked.spawn().expect("it starts");
    asked.stdin.take().expect("piped").write_all(b"password\n").expect("read");
    assert_eq!(text(&asked.wait_with_output().expect("it ends")), "Chassis Power is on\n");
}

#[test]
fn what_is_wrong_is_said_and_the_exit_status_is_1() {
    let simulator = simulator();
    let line = "Error: Unable to establish IPMI v2 / RMCP+ session\n";
    let wrong = refused(bl(&simulator).args(["-P", "wrong", "mc", "info"]));
    assert!(wrong.ends_with(line) && wrong.contains("wrong password"), "{wrong}");
    let none = refused(bl(&simulator).args(["mc", "info"]));
    assert!(none.contains("no password was given"), "{none}");
    for (words, why) in [
        ("-E mc info", "Unable to read password from environment"),
        ("-f /no/such/file mc info", "Unable to read password from file /no/such/file"),
        ("-P x -L BOGUS mc info", "Invalid privilege level BOGUS"),
        ("-P x -I bogus mc info", "Error loading interface bogus"),
        ("-P x -p bogus mc info", "Invalid parameter given or out of range for '-p'."),
        ("-P x -t zz mc info", "Invalid parameter given or out of range for '-t'."),
        ("-P x -o bogus mc info", "OEM setup for \"bogus\" failed"),
        ("-P x -y zz mc info", "Kg key is not hexadecimal number"),
        ("-P 123456789012345678901 mc info", "lanplus: password is longer than 20 bytes."),
        ("-P x -J mc info", "invalid option -- 'J'"),
        ("-P x mc info -H", "option requires an argument -- 'H'"),
        ("-P x", "No command provided!"),
        ("-P x bogus", "Invalid command: bogus"),
    ] {
        let said = refused(bl(&simulator).args(words.split(' ')));
        assert!(said.contains(why), "{words}: {said}");
    }
    // Nobody listens there, and the wait is short.
    let mut nobody = example("bl");
    nobody.args(["-H", "127.0.0.1", "-p", "9", "-N1", "-R0", "-Ua", "-Pb", "mc", "info"]);
    assert!(refused(&mut nobody).ends_with(line));
}

#[test]
fn without_a_bmc_there_is_a_simulated_one() {
    let output = example("bl").args(["chassis", "power", "status"]).output().expect("it runs");
    assert_eq!(text(&output), "Chassis Power is on\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("simulated"));
}

#[test]
fn secrets_are_not_seen_in_the_list_of_processes() {
    let bmc = BmcOptions { k_g: b"secret".to_vec(), ..BmcOptions::default() };
    let options = SimulatorOptions { port: 0, bmc, ..SimulatorOptions::default() };
    let simulator = Simulator::start(options).expect("a simulator");
    let mut command = bl(&simulator);
    command.args(["-P", "password", "-ksecret", "sol", "activate"]);
    let program = Program::spawn_on_terminal(command);
    program.wait_for("operational", LONG);
    let line = std::fs::read(format!("/proc/{}/cmdline", program.pid())).expect("it runs");
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    assert!(line.contains("-P XXXXXXXX -kXXXXXX sol activate"), "{line}");
    assert!(!line.contains("password") && !line.contains("secret"), "{line}");
}

// The console

#[test]
fn a_console_goes_through_a_pipe() {
    let simulator = simulator();
    let mut command = bl(&simulator);
    command.args(["-P", "password", "sol", "activate"]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(b"hello\n").expect("read");
    let output = text(&child.wait_with_output().expect("it ends"));
    let rest = output.strip_prefix("[SOL Session operational.  Use ~? for help]\n");
    assert!(rest.is_some_and(|rest| rest.contains("hello")), "{output}");
}

#[test]
fn a_console_on_a_terminal_knows_its_escapes_and_who_has_it() {
    let simulator = simulator();
    let mut command = bl(&simulator);
    command.args(["-P", "password", "-e", "&", "sol", "activate"]);
    let mut program = Program::spawn_on_terminal(command);
    program.wait_for("[SOL Session operational.  Use &? for help]", LONG);
    program.write(b"hi\r");
    program.wait_for("hi", LONG);
    let mut other = bl(&simulator);
    let said = refused(other.args(["-P", "password", "sol", "activate"]));
    assert!(said.starts_with("Info: SOL payload already active on another session\n"), "{said}");
    program.write(b"&?");
    program.wait_for("sends a break", LONG);
    program.write(b"&B");
    program.wait_for("[send break]", LONG);
    program.write(b"\r&.");
    let finished = program.finish(LONG);
    assert!(finished.output.contains("[terminated ipmitool]"), "{}", finished.output);
}

#[test]
fn the_terminal_is_as_before_whatever_ends_the_console() {
    let simulator = simulator();
    for quits in [true, false] {
        let pty = openpty(None, None).expect("a terminal");
        let settings = || tcgetattr(&pty.slave).expect("a terminal's settings");
        let before = settings();
        let end = || pty.slave.try_clone().expect("a descriptor");
        let mut command = bl(&simulator);
        command.args(["-P", "password", "sol", "activate"]);
        let mut child = command.stdin(end()).stdout(end()).spawn().expect("it starts");
        let is_raw = || !settings().local_flags.contains(LocalFlags::ICANON);
        assert!(wait_until(LONG, is_raw));
        match quits {
            true => drop(nix::unistd::write(&pty.master, b"~.").expect("written")),
            false => kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).expect("it runs"),
        }
        let status = child.wait().expect("our own child");
        assert_eq!(status.code(), Some(i32::from(!quits)));
        assert_eq!(settings(), before);
    }
}

#[test]
fn a_console_that_is_taken_away_is_an_error() {
    let simulator = simulator();
    let mut command = bl(&simulator);
    command.args(["-P", "password", "sol", "activate"]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let input = child.stdin.take();
    let deactivate = || {
        let mut command = bl(&simulator);
        command.args(["-P", "password", "sol", "deactivate"]);
        command.output().expect("it runs").status.success()
    };
    // Until it is active there is nothing to take away.
    assert!(wait_until(LONG, deactivate));
    let output = child.wait_with_output().expect("it ends");
    drop(input);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!output.stderr.is_empty());
}
