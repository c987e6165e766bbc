//! Other people's clients at our simulated BMC.

use std::net::SocketAddr;
use std::process::Command;

use bmclink::sim::{BmcOptions, Profile, Serial, Simulator, SimulatorOptions};

use super::client::{LONG, secs};
use crate::support::{BMC_PORT, Program, loopback_address, require};

const NAME: &str = "admin";
const PASSWORD: &str = "password";

struct Bmc {
    simulator: Simulator,
}

impl Bmc {
    #[track_caller]
    fn start(profile: Profile) -> Self {
        Self::with_key(profile, &[])
    }

    #[track_caller]
    fn with_key(profile: Profile, k_g: &[u8]) -> Self {
        let bmc = BmcOptions { profile, k_g: k_g.to_vec(), ..BmcOptions::default() };
        let options = SimulatorOptions {
            bind: loopback_address().into(),
            port: BMC_PORT,
            bmc,
            serial: Serial::Echo,
            ..SimulatorOptions::default()
        };
        Bmc { simulator: Simulator::start(options).expect("a simulator") }
    }

    fn address(&self) -> SocketAddr {
        self.simulator.address(0)
    }

    fn ipmitool_command(&self, arguments: &[&str]) -> Command {
        let mut command = require("ipmitool");
        command.args(["-H", &self.address().ip().to_string()]);
        command.args(["-p", &self.address().port().to_string()]);
        command.args(["-U", NAME, "-P", PASSWORD]);
        command.args(arguments);
        command
    }

    /// What ipmitool prints; it must succeed.
    #[track_caller]
    fn ipmitool(&self, arguments: &[&str]) -> String {
        Program::run(self.ipmitool_command(arguments), LONG).success()
    }

    fn freeipmi_command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = require(program);
        command.args(["-h", &self.address().to_string(), "-u", NAME, "-p", PASSWORD]);
        command.args(arguments);
        command
    }

    #[track_caller]
    fn ipmipower(&self, arguments: &[&str]) -> String {
        let command = self.freeipmi_command("ipmipower", arguments);
        Program::run(command, LONG).success()
    }
}

#[track_caller]
fn assert_says(output: &str, wanted: &str) {
    assert!(output.contains(wanted), "no {wanted:?} in:\n{output}");
}

/// Power, SOL settings and the console.
#[track_caller]
fn ipmitool_can_do_it_all(bmc: &Bmc, access: &[&str]) {
    let run = |arguments: &[&str]| bmc.ipmitool(&[access, arguments].concat());
    assert_says(&run(&["mc", "info"]), "IPMI Version              : 2.0");
    assert_says(&run(&["chassis", "power", "status"]), "Chassis Power is on");
    assert_says(&run(&["chassis", "power", "off"]), "Down/Off");
    assert_says(&run(&["chassis", "power", "status"]), "Chassis Power is off");
    assert_says(&run(&["chassis", "power", "on"]), "Up/On");
    assert_says(&run(&["chassis", "power", "status"]), "Chassis Power is on");
    assert_says(&run(&["sol", "info"]), "Enabled                         : true");
    let command = bmc.ipmitool_command(&[access, &["sol", "activate"]].concat());
    let mut console = Program::spawn_on_terminal(command);
    console.wait_for("SOL Session operational", LONG);
    console.write(b"typed by hand");
    console.wait_for("typed by hand", LONG);
    console.write(b"\r~.");
    assert_says(&console.finish(LONG).output, "[terminated ipmitool]");
    bmc.simulator.with(0, |bmc, _| assert_eq!(bmc.sol_owner(), None));
}

#[test]
fn ipmitool_with_suite_3() {
    ipmitool_can_do_it_all(&Bmc::start(Profile::Spec), &["-I", "lanplus", "-C", "3"]);
}

#[test]
fn ipmitool_with_suite_17() {
    ipmitool_can_do_it_all(&Bmc::start(Profile::Spec), &["-I", "lanplus", "-C", "17"]);
}

#[test]
fn ipmitool_with_every_suite_it_knows() {
    let bmc = Bmc::start(Profile::Spec);
    // It ends in an assertion of its own with 11 and 12.
    for suite in ["0", "1", "2", "3", "6", "7", "8", "15", "16", "17"] {
        let status = bmc.ipmitool(&["-I", "lanplus", "-C", suite, "chassis", "power", "status"]);
        assert_says(&status, "Chassis Power is on");
    }
}

#[test]
fn ipmitool_with_a_key() {
    let k_g: Vec<u8> = (1..=20).collect();
    let key = "0102030405060708090a0b0c0d0e0f1011121314";
    let bmc = Bmc::with_key(Profile::Spec, &k_g);
    for suite in ["3", "8", "17"] {
        let access = ["-I", "lanplus", "-C", suite, "-y", key];
        assert_says(&bmc.ipmitool(&[&access[..], &["mc", "info"]].concat()), "IPMI Version");
    }
    let keyless = bmc.ipmitool_command(&["-I", "lanplus", "-C", "17", "-R", "1", "mc", "info"]);
    assert!(!Program::run(keyless, LONG).status.success());
    let output = bmc.ipmipower(&["-D", "LAN_2_0", "-k", &format!("0x{key}"), "--stat"]);
    assert!(output.trim_end().ends_with(": on"), "{output}");
}

#[test]
fn ipmitool_with_ipmi_v1_5() {
    let bmc = Bmc::start(Profile::Spec);
    // Debian's ipmitool has no MD2.
    for auth_type in ["MD5", "PASSWORD"] {
        let access = ["-I", "lan", "-A", auth_type];
        assert_says(&bmc.ipmitool(&[&access[..], &["mc", "info"]].concat()), "IPMI Version");
    }
    assert_says(&bmc.ipmitool(&["-I", "lan", "chassis", "power", "status"]), "Power is on");
}

#[test]
fn ipmitool_at_every_profile() {
    for (profile, suite) in [
        (Profile::OpenBmc, "17"),
        (Profile::GoIpmi, "17"),
        (Profile::GoIpmi, "3"),
        (Profile::IpmiSim, "3"),
        (Profile::Pyghmi, "3"),
    ] {
        let bmc = Bmc::start(profile);
        let access = ["-I", "lanplus", "-C", suite];
        let run = |arguments: &[&str]| bmc.ipmitool(&[&access[..], arguments].concat());
        assert_says(&run(&["mc", "info"]), "IPMI Version");
        assert_says(&run(&["chassis", "power", "status"]), "Chassis Power is on");
        let command = bmc.ipmitool_command(&[&access[..], &["sol", "activate"]].concat());
        let mut console = Program::spawn_on_terminal(command);
        if profile == Profile::OpenBmc {
            // It names port 623 whatever its port, and ipmitool takes it by its word.
            console.wait_for("requests SOL session on different port", LONG);
            continue;
        }
        console.wait_for("SOL Session operational", LONG);
        console.write(b"typed by hand");
        console.wait_for("typed by hand", LONG);
        console.write(b"\r~.");
        assert_says(&console.finish(LONG).output, "[terminated ipmitool]");
    }
}

#[test]
fn ipmipower() {
    let bmc = Bmc::start(Profile::Spec);
    for suite in ["3", "8", "12", "17"] {
        let output = bmc.ipmipower(&["-D", "LAN_2_0", "-I", suite, "--stat"]);
        assert!(output.trim_end().ends_with(": on"), "suite {suite}: {output}");
    }
    let access = ["-D", "LAN_2_0"];
    let run = |arguments: &[&str]| bmc.ipmipower(&[&access[..], arguments].concat());
    assert!(run(&["--off", "--wait-until-off"]).trim_end().ends_with(": ok"));
    assert!(run(&["--stat"]).trim_end().ends_with(": off"));
    assert!(run(&["--on", "--wait-until-on"]).trim_end().ends_with(": ok"));
    // IPMI v1.5 is what it speaks when not told otherwise.
    let output = bmc.ipmipower(&["-D", "LAN", "--stat"]);
    assert!(output.trim_end().ends_with(": on"), "{output}");
}

#[test]
fn ipmiconsole() {
    let k_g: Vec<u8> = (1..=20).collect();
    let key = "0x0102030405060708090a0b0c0d0e0f1011121314";
    for (k_g, suite) in [(&[][..], "3"), (&[], "17"), (&k_g, "17"), (&[], "8"), (&[], "12")] {
        let bmc = Bmc::with_key(Profile::Spec, k_g);
        let mut command = bmc.freeipmi_command("ipmiconsole", &["-I", suite]);
        if !k_g.is_empty() {
            command.args(["-k", key]);
        }
        let mut console = Program::spawn_on_terminal(command);
        console.wait_for("[SOL established]", LONG);
        console.write(b"typed by hand");
        console.wait_for("typed by hand", LONG);
        console.write(b"&.");
        assert_says(&console.finish(secs(20)).output, "[closing the connection]");
    }
}
