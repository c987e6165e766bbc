//! Other people's management tools at our simulated BMC: what they print is what is there.

use std::process::Command;
use std::time::Duration;

use bmclink::sim::{BmcOptions, Misbehaviour, Profile, Serial, Simulator, SimulatorOptions};

use super::client::LONG;
use crate::support::{BMC_PORT, Program, Scratch, example, loopback_address, require};

/// Numbers of sensors.
const CPU_TEMP: u8 = 0x01;
const FAN1: u8 = 0x20;
const INTRUSION: u8 = 0x42;

struct Bmc {
    simulator: Simulator,
    /// Where FreeIPMI keeps its copy of the SDR repository.
    cache: Scratch,
}

impl Bmc {
    #[track_caller]
    fn start() -> Self {
        Self::with(BmcOptions::default())
    }

    #[track_caller]
    fn misbehaving(knobs: &[&str]) -> Self {
        let mut quirks = Misbehaviour::default();
        for knob in knobs {
            assert!(quirks.set(knob), "{knob}");
        }
        Self::with(BmcOptions { quirks, ..BmcOptions::default() })
    }

    #[track_caller]
    fn with(bmc: BmcOptions) -> Self {
        let options = SimulatorOptions {
            bind: loopback_address().into(),
            port: BMC_PORT,
            bmc,
            serial: Serial::None,
            ..SimulatorOptions::default()
        };
        let simulator = Simulator::start(options).expect("a simulator");
        Bmc { simulator, cache: Scratch::new() }
    }

    fn ipmitool_as(&self, user: &str, password: &str, arguments: &[&str]) -> Command {
        let address = self.simulator.address(0);
        let mut command = require("ipmitool");
        command.args(["-I", "lanplus", "-C", "17", "-H", &address.ip().to_string()]);
        command.args(["-p", &address.port().to_string(), "-U", user, "-P", password]);
        command.args(arguments);
        command
    }

    /// What ipmitool prints; it must succeed.
    #[track_caller]
    fn ipmitool(&self, arguments: &str) -> String {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let command = self.ipmitool_as("admin", "password", &arguments);
        Program::run(command, LONG).success()
    }

    /// What ipmitool prints when it fails.
    #[track_caller]
    fn ipmitool_fails(&self, arguments: &str) -> String {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let command = self.ipmitool_as("admin", "password", &arguments);
        let finished = Program::run(command, LONG);
        assert!(!finished.status.success(), "{}", finished.output);
        finished.output
    }

    /// What a program of FreeIPMI prints; it must succeed.
    #[track_caller]
    fn freeipmi(&self, arguments: &str) -> String {
        let mut arguments = arguments.split(' ');
        let program = arguments.next().expect("a program");
        let mut command = require(program);
        command.args(["-D", "LAN_2_0", "-I", "17", "-u", "admin", "-p", "password"]);
        command.args(["-h", &self.simulator.address(0).to_string()]);
        if matches!(program, "ipmi-sensors" | "ipmi-sel" | "ipmi-fru") {
            command.arg("--sdr-cache-directory").arg(self.cache.path());
            command.arg("--quiet-cache");
        }
        command.args(arguments);
        Program::run(command, LONG).success()
    }

    fn set_sensor(&self, number: u8, value: Option<i16>) {
        self.simulator.with(0, |bmc, _| bmc.set_sensor(number, value));
    }
}

/// The columns of the line whose first column is `name`, or whose column `column` is.
#[track_caller]
fn row(output: &str, column: usize, name: &str) -> Vec<String> {
    let rows = output.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let mut found = rows.filter(|row| row.get(column) == Some(&name));
    let row = found.next().unwrap_or_else(|| panic!("no {name:?} in:\n{output}"));
    row.into_iter().map(str::to_owned).collect()
}

#[track_caller]
fn assert_says(output: &str, wanted: &[&str]) {
    // Columns are padded differently by every version.
    let all = squeezed(output);
    for text in wanted {
        assert!(all.contains(&squeezed(text)), "no {text:?} in:\n{output}");
    }
}

/// The number a text starts with.
#[track_caller]
fn number(text: &str) -> f64 {
    let number = text.split(' ').next().unwrap_or_default();
    number.parse().unwrap_or_else(|_| panic!("{text:?} is not a number"))
}

#[test]
fn ipmitool_reads_every_sensor() {
    let bmc = Bmc::start();
    let list = bmc.ipmitool("sdr elist all");
    for (name, low, high, unit) in [
        ("CPU1 Temp", 46.0, 58.0, "degrees C"),
        ("Inlet Temp", 21.0, 25.0, "degrees C"),
        ("Exhaust Temp", 35.0, 41.0, "degrees C"),
        ("DIMM Margin", -34.0, -26.0, "degrees C"),
        ("Riser Temp", 32.0, 34.0, "degrees C"),
        ("CPU1 Vcore", 0.86, 0.90, "Volts"),
        ("P12V", 12.03, 12.17, "Volts"),
        ("VREF Trim", -0.02, 0.0, "Volts"),
        ("Fan1", 6000.0, 6400.0, "RPM"),
        ("Fan Duty", 44.0, 50.0, "percent"),
        ("PS1 Input", 184.0, 240.0, "Watts"),
        ("PS1 Current", 0.9, 1.0, "Amps"),
        ("Airflow", 38.0, 41.5, "CFM"),
        ("Inlet Pressure", 97.0, 105.0, "kPa"),
        // These two belong to the satellite: read over its bus.
        ("PCH Temp", 41.0, 47.0, "degrees C"),
        ("ME Power", 160.0, 200.0, "Watts"),
    ] {
        let row = row(&list, 0, name);
        assert_eq!(row[2], "ok", "{name}");
        assert!((low..=high).contains(&number(&row[4])) && row[4].ends_with(unit), "{row:?}");
    }
    for (name, state) in [
        ("ACPI State", "S0/G0: working"),
        ("CPU1 Status", "Presence detected"),
        ("Fan Redundancy", "Fully Redundant"),
        ("Drive", "Drive Present"),
        ("BMC", "Dynamic MC @ 20h"),
        ("Node Manager", "Dynamic MC @ 2Ch"),
        ("PSU1", "Logical FRU @01h"),
        ("BIOS POST", "Event-Only"),
    ] {
        assert_eq!(row(&list, 0, name)[4], state);
    }
    let thresholds = row(&bmc.ipmitool("sensor"), 0, "Inlet Temp");
    assert_eq!(thresholds[4..], ["na", "-7.000", "3.000", "42.000", "47.000", "na"]);
}

#[test]
fn ipmitool_sees_alarms_and_a_host_that_is_off() {
    let bmc = Bmc::start();
    bmc.set_sensor(CPU_TEMP, Some(97));
    bmc.set_sensor(INTRUSION, Some(1));
    let list = bmc.ipmitool("sdr elist");
    assert_eq!(row(&list, 0, "CPU1 Temp")[2..], ["ucr", "3.1", "97 degrees C"]);
    assert_eq!(row(&list, 0, "Intrusion")[4], "General Chassis intrusion");
    assert_says(&bmc.ipmitool("chassis status"), &["Chassis Intrusion : active"]);
    bmc.ipmitool("chassis power off");
    assert_eq!(row(&bmc.ipmitool("sdr elist"), 0, "Fan1")[2..], ["ns", "29.1", "No Reading"]);
    assert_says(
        &bmc.ipmitool("sensor thresh Fan1 lower 1000 2000 3000"),
        &["Lower Non-Critical threshold", "3000.000"],
    );
    let fan = row(&bmc.ipmitool("sensor"), 0, "Fan1");
    assert_eq!(fan[4..7], ["1000.000", "2000.000", "3000.000"]);
}

#[test]
fn ipmitool_reads_and_clears_the_log() {
    let bmc = Bmc::start();
    assert_says(&bmc.ipmitool("sel list"), &["SEL has no entries"]);
    bmc.ipmitool("chassis power off");
    bmc.ipmitool("chassis power on");
    bmc.set_sensor(FAN1, Some(15));
    bmc.ipmitool("event 1");
    let log = bmc.ipmitool("sel elist");
    assert_says(
        &log,
        &[
            "1 | 01/01/26",
            "Power Unit Power Unit | Power off/down | Asserted",
            "System ACPI Power State ACPI State | S4/S5: soft-off | Asserted",
            "Power Unit Power Unit | Power off/down | Deasserted",
            "S0/G0: working | Asserted",
            "Fan Fan1 | Lower Critical going low | Asserted | Reading 750 < Threshold 1000 RPM",
            "Temperature #0x30 | Upper Critical going high | Asserted",
        ],
    );
    let info = bmc.ipmitool("sel info");
    let free = format!("Free Space : {} bytes", 8192 - 16 * log.lines().count());
    assert_says(&info, &[&free, "Overflow : false", "# of Alloc Units : 512"]);
    assert_says(&bmc.ipmitool("sel get 0x1"), &["Power off/down", "Sensor Type : Power Unit"]);
    bmc.ipmitool("sel delete 1");
    assert_says(&bmc.ipmitool("sel info"), &["Entries : 6"]);
    bmc.ipmitool("sel clear");
    assert_says(&bmc.ipmitool("sel list"), &["SEL has no entries"]);
    let set = ["sel", "time", "set", "03/04/30 05:06:07"];
    let set = bmc.ipmitool_as("admin", "password", &set);
    Program::run(set, LONG).success();
    assert_says(&bmc.ipmitool("sel time get"), &["03/04/30 05:0"]);
}

#[test]
fn ipmitool_prints_frus() {
    let bmc = Bmc::start();
    let output = bmc.ipmitool("fru print");
    assert_says(
        &output,
        &[
            "Builtin FRU Device (ID 0)",
            "Chassis Type : Rack Mount Chassis",
            "Chassis Part Number : CH-1U-100",
            "Board Mfg Date : Thu Jan 1 00:00:00 2026",
            "Board Product : Simulated Board",
            "Product Name : Simulated Server",
            "Product Asset Tag : ASSET-0001",
            "PSU1 (ID 1)",
            "Product Name : Simulated PSU",
        ],
    );
    // It asks for bytes whatever the access is.
    let words = Bmc::misbehaving(&["fru_by_words", "fru_asks_bytes"]);
    assert_says(&words.ipmitool("fru print 1"), &["Product Name : Simulated PSU"]);
    let small = Bmc::misbehaving(&["read_limit=16"]);
    assert_says(&small.ipmitool("fru print 0"), &["Product Name : Simulated Server"]);
}

#[test]
fn ipmitool_manages_users_and_channels() {
    let bmc = Bmc::start();
    assert_eq!(
        bmc.ipmitool("user list 1").lines().nth(2).map(squeezed),
        Some("2 admin true false true ADMINISTRATOR".to_owned())
    );
    bmc.ipmitool("user set name 5 newcomer");
    bmc.ipmitool("user set password 5 secret");
    bmc.ipmitool("user enable 5");
    let newcomer = |arguments: &[&str]| {
        let command = bmc.ipmitool_as("newcomer", "secret", arguments);
        Program::run(command, LONG).status.success()
    };
    let status = ["-L", "OPERATOR", "chassis", "status"];
    assert!(!newcomer(&status), "without access to the channel");
    bmc.ipmitool("channel setaccess 1 5 callin=on ipmi=on link=off privilege=3");
    assert_says(
        &bmc.ipmitool("channel getaccess 1 5"),
        &["User Name : newcomer", "IPMI Messaging : enabled", "Privilege Level : OPERATOR"],
    );
    assert!(newcomer(&status));
    assert_says(&bmc.ipmitool("user test 5 16 secret"), &["Success"]);
    assert_says(&bmc.ipmitool_fails("user test 5 16 wrong"), &["password incorrect"]);
    bmc.ipmitool("user disable 5");
    assert!(!newcomer(&status));
    assert_says(
        &bmc.ipmitool("channel info 1"),
        &[
            "Channel Medium Type : 802.3 LAN",
            "Session Support : multi-session",
            "Access Mode : always available",
        ],
    );
    assert_says(&bmc.ipmitool("sol payload status 1 2"), &["User 2 on channel 1 is enabled"]);
}

#[test]
fn ipmitool_sets_the_lan() {
    let bmc = Bmc::start();
    assert_says(
        &bmc.ipmitool("lan print 1"),
        &[
            "IP Address : 192.0.2.10",
            "Default Gateway IP : 192.0.2.1",
            "RMCP+ Cipher Suites : 0,1,2,3,6,7,8,11,12,15,16,17",
        ],
    );
    bmc.ipmitool("lan set 1 netmask 255.255.0.0");
    bmc.ipmitool("lan set 1 vlan id 100");
    assert_says(
        &bmc.ipmitool("lan print 1"),
        &["Subnet Mask : 255.255.0.0", "802.1q VLAN ID : 100", "Set in Progress : Set Complete"],
    );
    assert_says(&bmc.ipmitool("lan6 print 1"), &["IPv6/IPv4 Addressing Enables: both", "fe80::"]);
}

#[test]
fn ipmitool_runs_the_chassis() {
    let bmc = Bmc::with(BmcOptions { soft_shutdown: Duration::ZERO, ..BmcOptions::default() });
    assert_says(&bmc.ipmitool("chassis bootdev pxe"), &["Set Boot Device to pxe"]);
    assert_says(
        &bmc.ipmitool("chassis bootparam get 5"),
        &["Boot Flag Valid", "only next boot", "Boot Device Selector : Force PXE"],
    );
    bmc.ipmitool("chassis power reset");
    assert_says(&bmc.ipmitool("chassis bootparam get 5"), &["Boot Flag Invalid"]);
    let booted = bmc.simulator.with(0, |bmc, _| bmc.booted_with());
    assert_eq!(booted.map(|flags| flags[1] >> 2 & 0x0f), Some(1));
    assert_says(&bmc.ipmitool("chassis restart_cause"), &["chassis power control command"]);
    bmc.ipmitool("chassis policy always-on");
    bmc.ipmitool("chassis identify force");
    assert_says(&bmc.ipmitool("chassis status"), &["Power Restore Policy : always-on"]);
    assert_says(&bmc.ipmitool("chassis poh"), &["51 days, 10 hours"]);
    assert_says(&bmc.ipmitool("chassis selftest"), &["passed"]);
    bmc.ipmitool("chassis power soft");
    assert_says(&bmc.ipmitool("chassis power status"), &["Chassis Power is off"]);
    assert_says(
        &bmc.ipmitool_fails("chassis power cycle"),
        &["Command not supported in present state"],
    );
}

#[test]
fn ipmitool_asks_dcmi() {
    let bmc = Bmc::start();
    let reading = bmc.ipmitool("dcmi power reading");
    assert_says(
        &reading,
        &[
            "Minimum during sampling period: 184 Watts",
            "Average power reading over sample period: 212 Watts",
            "Power reading state is: activated",
        ],
    );
    assert_says(&bmc.ipmitool("dcmi discover"), &["Power management available", "512 SEL"]);
    assert_says(&bmc.ipmitool("dcmi power get_limit"), &["No Active Power Limit", "500 Watts"]);
    bmc.ipmitool("dcmi set_asset_tag rack-7-unit-12-left");
    assert_says(&bmc.ipmitool("dcmi asset_tag"), &["rack-7-unit-12-left"]);
    assert_says(&bmc.ipmitool("dcmi sensors"), &["Inlet Temp", "CPU1 Temp", "Exhaust Temp"]);
    let without = Bmc::misbehaving(&["dcmi_missing"]);
    assert_says(&without.ipmitool_fails("dcmi power reading"), &["Invalid command"]);
}

#[test]
fn ipmitool_bridges_once_and_twice() {
    for knobs in [&[][..], &["bridge_embedded"]] {
        let bmc = Bmc::misbehaving(knobs);
        assert_says(
            &bmc.ipmitool("-t 0x2c -b 0 mc info"),
            &["Device ID : 80", "Firmware Revision : 2.05", "Provides Device SDRs : yes"],
        );
        let reading = bmc.ipmitool("-t 0x2c -b 0 raw 4 0x2d 8");
        assert!(reading.trim_end().ends_with("c0 c0"), "{reading}");
        // Its own records, not those of the BMC.
        let list = bmc.ipmitool("-t 0x2c -b 0 sdr elist");
        assert_eq!(row(&list, 0, "PCH Temp")[2], "ok");
        assert_eq!(list.lines().count(), 3);
    }
    // It cannot read a reply embedded in an embedded one.
    let bmc = Bmc::start();
    let twice = "-T 0x2c -B 0 -t 0x72 -b 7";
    assert_says(&bmc.ipmitool(&format!("{twice} mc info")), &["Device ID : 114"]);
    assert_eq!(bmc.ipmitool(&format!("{twice} raw 4 0x2d 1")).trim(), "29 c0 c0");
    assert_says(&bmc.ipmitool_fails("-t 0x44 -b 0 mc info"), &["0x83"]);
}

#[test]
fn ipmitool_manages_every_profile_that_can() {
    for profile in [Profile::OpenBmc, Profile::GoIpmi, Profile::IpmiSim] {
        let suite = if profile == Profile::IpmiSim { "3" } else { "17" };
        let bmc = Bmc::with(BmcOptions { profile, ..BmcOptions::default() });
        for (arguments, wanted) in [
            ("sdr elist", "Fan1"),
            ("sel info", "Free Space"),
            ("fru print 0", "Simulated Server"),
            ("dcmi asset_tag", "bmclink-asset"),
            ("-t 0x2c -b 0 mc info", "Device ID : 80"),
        ] {
            let mut command = bmc.ipmitool_as("admin", "password", &["-C", suite]);
            command.args(arguments.split(' '));
            assert_says(&Program::run(command, LONG).success(), &[wanted]);
        }
    }
}

#[test]
fn ipmitool_lives_with_what_is_wrong() {
    for knob in ["read_limit=20", "sdr_cancel_every=5", "sdr_wrong_count", "sdr_id_differs"] {
        let bmc = Bmc::misbehaving(&[knob]);
        assert_eq!(row(&bmc.ipmitool("sdr elist"), 0, "Fan1")[2], "ok", "{knob}");
    }
    let limited = Bmc::misbehaving(&["power_ignored"]);
    limited.ipmitool("chassis power off");
    assert_says(&limited.ipmitool("chassis power status"), &["Chassis Power is on"]);
}

#[test]
fn freeipmi_reads_sensors_log_and_frus() {
    let bmc = Bmc::start();
    let sensors = bmc.freeipmi("ipmi-sensors --bridge-sensors --shared-sensors");
    for (name, low, high, unit) in [
        ("CPU1 Temp", 46.0, 58.0, "C"),
        ("Exhaust Temp", 35.0, 41.0, "C"),
        ("DIMM Margin", -34.0, -26.0, "C"),
        ("Riser Temp", 32.0, 34.0, "C"),
        ("VREF Trim", -0.02, 0.0, "V"),
        ("Fan Duty", 44.0, 50.0, "%"),
        ("Airflow", 38.0, 41.5, "CFM"),
        ("PCH Temp", 41.0, 47.0, "C"),
    ] {
        let row = row(&sensors, 1, name);
        assert!((low..=high).contains(&number(&row[3])), "{row:?}");
        assert_eq!(row[4..], [unit, "'OK'"], "{name}");
    }
    let drives = sensors.lines().filter(|line| line.contains("Drive Slot")).count();
    assert_eq!(drives, 4, "one record for all of them:\n{sensors}");
    bmc.freeipmi("ipmipower --off --wait-until-off");
    assert_says(
        &bmc.freeipmi("ipmi-sel --output-event-state"),
        &["Power Unit | Power Unit", "Power Off/Power Down", "S4/S5 soft-off"],
    );
    assert_says(&bmc.freeipmi("ipmi-sel --info"), &["Number of log entries : 2"]);
    bmc.freeipmi("ipmi-sel --clear");
    assert_says(&bmc.freeipmi("ipmi-sel --info"), &["Number of log entries : 0"]);
    assert_says(
        &bmc.freeipmi("ipmi-fru"),
        &[
            "FRU Board Manufacturing Date/Time: 01/01/26 - 00:00:00",
            "FRU Product Name: Simulated Server",
            "FRU Management Access System Name: simulated-server",
            "FRU Power Supply Overall Capacity: 800 Watts",
            "FRU DC Output Nominal Voltage: 12000 mV",
        ],
    );
}

#[test]
fn freeipmi_tells_who_is_there_and_what_it_draws() {
    let bmc = Bmc::start();
    assert_says(
        &bmc.freeipmi("bmc-info"),
        &[
            "Device ID : 32",
            "SDR Repository Device : supported",
            "SEL Device : supported",
            "Sensor Device : supported",
            "Device GUID : 31303030-2d6d-6973-2d6b-6e696c636d62",
        ],
    );
    assert!(bmc.freeipmi("ipmipower -s").trim_end().ends_with(": on"));
    assert_says(
        &bmc.freeipmi("ipmi-chassis --get-chassis-status"),
        &["System Power : on", "Power restore policy : Restore"],
    );
    assert_says(
        &bmc.freeipmi("ipmi-dcmi --get-system-power-statistics"),
        &["Minimum Power over sampling duration : 184 watts", "Power Measurement : Active"],
    );
    assert_says(&bmc.freeipmi("ipmi-dcmi --get-asset-tag"), &["bmclink-asset"]);
    assert_says(
        &bmc.freeipmi("ipmi-dcmi --get-dcmi-capability-info"),
        &["DCMI Specification Conformance : 1.5", "Number of SEL entries : 512"],
    );
}

#[test]
fn the_example_turns_knobs() {
    let help = example("bmc_sim").args(["--misbehave", "help"]).output().expect("it runs");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let knobs = Misbehaviour::FLAGS.iter().chain(Misbehaviour::VALUES);
    knobs.for_each(|knob| assert_says(&help, &[knob]));

    let unknown = example("bmc_sim").args(["--misbehave", "read_limit=much"]).output();
    let unknown = unknown.expect("it runs");
    assert!(!unknown.status.success());
    assert_says(&String::from_utf8_lossy(&unknown.stderr), &["read_limit=much"]);

    let address = loopback_address().to_string();
    let mut command = example("bmc_sim");
    command.args(["--bind", &address, "--port", &BMC_PORT.to_string(), "--serial", "none"]);
    command.args(["--misbehave", "dcmi_missing", "--misbehave", "self_test_failed=0x20"]);
    let simulator = Program::spawn(command);
    simulator.wait_for("ready", LONG);
    let ask = |arguments: &[&str]| {
        let mut command = require("ipmitool");
        command.args(["-I", "lanplus", "-C", "17", "-H", &address, "-p", &BMC_PORT.to_string()]);
        command.args(["-U", "admin", "-P", "password"]).args(arguments);
        Program::run(command, LONG).output
    };
    assert_says(&ask(&["dcmi", "power", "reading"]), &["Invalid command"]);
    assert_says(&ask(&["chassis", "selftest"]), &["device error"]);
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
