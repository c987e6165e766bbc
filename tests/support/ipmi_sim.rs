//! OpenIPMI's BMC simulator.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::address::{BMC_PORT, answers_ipmi, loopback_address};
use super::process::{Program, require};
use super::scratch::Scratch;
use super::serial::{SerialMode, SerialPeer};

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A user of the simulated BMC.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    pub name: &'static str,
    pub password: &'static str,
    /// As ipmi_sim's configuration calls it.
    pub privilege: &'static str,
    pub enabled: bool,
}

impl Account {
    const fn new(name: &'static str, password: &'static str, privilege: &'static str) -> Self {
        Self { name, password, privilege, enabled: true }
    }
}

pub const ADMIN: Account = Account::new("admin", "admin-pass", "admin");
pub const OPERATOR: Account = Account::new("oper", "oper-pass", "operator");
pub const USER: Account = Account::new("user", "user-pass", "user");
/// As long as ipmi_sim's configuration can hold: 15 bytes and 19, not IPMI's 16 and 20.
pub const LONG: Account = Account::new("fifteen-letters", "nineteen-characters", "admin");
pub const DISABLED: Account =
    Account { enabled: false, ..Account::new("off", "off-pass", "admin") };

#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Default: an address of its own.
    pub address: Option<Ipv4Addr>,
    pub port: u16,
    /// ipmi_sim reads K_g as text: up to 19 printable bytes, zeros behind them. With HMAC-MD5
    /// (suites 6 to 8, 11, 12) it only looks at the first 16.
    pub k_g: Option<[u8; 20]>,
    /// What the far end of the serial line does.
    pub serial: SerialMode,
    /// Keeps this many bytes of console output for SOL instance 2; none without.
    pub history_len: Option<usize>,
    /// Another controller on the IPMB: address 30h, device ID 7, product 1234h.
    pub satellite: bool,
    /// ipmi_sim's own log of every message, in `log()`.
    pub debug: bool,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            address: None,
            port: BMC_PORT,
            k_g: None,
            serial: SerialMode::Silent,
            history_len: None,
            satellite: false,
            debug: false,
        }
    }
}

/// A running ipmi_sim with the accounts above, a power switch, a temperature sensor, an SDR
/// repository, an SEL with one entry and SOL on a [`SerialPeer`].
pub struct IpmiSim {
    // Dropped in this order: the BMC before its serial line and its files.
    program: Option<Program>,
    serial: SerialPeer,
    scratch: Scratch,
    address: SocketAddr,
    debug: bool,
}

impl IpmiSim {
    /// Panics when it does not come up.
    #[track_caller]
    pub fn start(options: SimOptions) -> Self {
        let ip = options.address.unwrap_or_else(loopback_address);
        let serial = SerialPeer::start(ip, options.serial);
        let scratch = Scratch::new();
        let address = SocketAddr::from((ip, options.port));
        std::fs::create_dir(scratch.join("state")).expect("the scratch directory is ours");
        scratch.write("power", "1\n");
        scratch.write("temperature", "40\n");
        scratch.write("chassis.sh", include_str!("../lab/chassis.sh"));
        scratch.write("lan.conf", lan_conf(&options, address, serial.address(), &scratch));
        scratch.write("bmc.emu", bmc_emu(&scratch, options.satellite));
        let mut sim = Self { program: None, serial, scratch, address, debug: options.debug };
        sim.restart();
        sim
    }

    /// Where it answers IPMI.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn serial(&self) -> &SerialPeer {
        &self.serial
    }

    pub fn program(&self) -> Option<&Program> {
        self.program.as_ref()
    }

    pub fn is_running(&self) -> bool {
        self.program.as_ref().is_some_and(Program::is_running)
    }

    /// The machine's power as the BMC left it.
    pub fn is_powered_on(&self) -> bool {
        self.scratch.read("power").trim() == "1"
    }

    /// What chassis control asked for, one line each: "power 0", "reset 1", "boot pxe".
    pub fn chassis_events(&self) -> String {
        self.scratch.read("events")
    }

    /// In degrees C, 0 to 255; ipmi_sim looks once a second.
    pub fn set_temperature(&self, degrees: u8) {
        self.scratch.write("temperature", format!("{degrees}\n"));
    }

    /// Pulls its plug: no Close Session, no deactivation. The serial peer stays.
    pub fn stop(&mut self) {
        self.program = None;
    }

    /// Ends it if it runs and starts it again on the same address, with the same serial peer.
    #[track_caller]
    pub fn restart(&mut self) {
        self.stop();
        let gone = super::wait_until(START_TIMEOUT, || !self.serial.is_connected());
        assert!(gone, "the old ipmi_sim still holds the serial line");
        let mut command = require("ipmi_sim");
        command.arg("-n"); // No console on standard input.
        command.arg("-c").arg(self.scratch.join("lan.conf"));
        command.arg("-f").arg(self.scratch.join("bmc.emu"));
        command.arg("-s").arg(self.scratch.join("state"));
        if self.debug {
            command.arg("-d");
        }
        self.program = Some(Program::spawn(command));
        let up = super::wait_until(START_TIMEOUT, || {
            !self.is_running() || answers_ipmi(self.address, Duration::from_millis(300))
        });
        // It tries its serial line once at the start, then only every 10 s.
        let connected = self.is_running() && self.serial.wait_connected(Duration::from_secs(3));
        assert!(up && connected, "ipmi_sim did not come up:\n{}", self.log());
    }

    /// What it printed since its last start.
    pub fn log(&self) -> String {
        self.program.as_ref().map(Program::output).unwrap_or_default()
    }
}

fn lan_conf(
    options: &SimOptions,
    address: SocketAddr,
    serial: SocketAddr,
    scratch: &Scratch,
) -> String {
    let directory = scratch.path().display();
    let k_g = options.k_g.map(|k_g| format!("    bmc_key \"{}\"\n", k_g_text(&k_g)));
    let history = options.history_len.map(|len| format!(" history={len}"));
    let mut conf = format!(
        r#"name "bmclink-test"
set_working_mc 0x20
startlan 1
    addr {ip} {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid 00112233445566778899aabbccddeeff
{k_g}endlan
chassis_control "/bin/sh {directory}/chassis.sh {directory}"
sol "tcp:{serial_ip}:{serial_port}" 115200{history}
startnow false
user 1 true "" "" user 20 none md2 md5 straight
"#,
        ip = address.ip(),
        port = address.port(),
        k_g = k_g.unwrap_or_default(),
        serial_ip = serial.ip(),
        serial_port = serial.port(),
        history = history.unwrap_or_default(),
    );
    for (index, account) in [ADMIN, OPERATOR, USER, LONG, DISABLED].iter().enumerate() {
        let Account { name, password, privilege, enabled } = account;
        let number = index + 2; // 1 is the nameless user.
        conf += &format!(
            "user {number} {enabled} \"{name}\" \"{password}\" {privilege} 20 \
             none md2 md5 straight\n"
        );
    }
    conf
}

#[track_caller]
fn k_g_text(k_g: &[u8; 20]) -> String {
    let len = k_g.iter().position(|&byte| byte == 0).unwrap_or(20);
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"\\$".contains(byte);
    assert!(
        (1..20).contains(&len)
            && k_g[..len].iter().all(plain)
            && k_g[len..].iter().all(|&byte| byte == 0),
        "ipmi_sim can only hold a K_g of 1 to 19 printable bytes and then zeros: {k_g:02x?}"
    );
    String::from_utf8_lossy(&k_g[..len]).into_owned()
}

/// Sensor 1 is a temperature in whole degrees, critical from 90.
fn bmc_emu(scratch: &Scratch, satellite: bool) -> String {
    let directory = scratch.path().display();
    // A Full Sensor Record (Table 43-1) without its record ID, which ipmi_sim gives.
    let mut record: Vec<u8> = vec![
        0x00, 0x00, 0x51, 0x01, 0, // ID, version, full record, length (below)
        0x20, 0x00, 0x01, // owner, LUN, sensor number
        0x03, 0x01, 0x7f, 0x48, // processor 1; initialisation; capabilities
        0x01, 0x01, // temperature, threshold based
        0x80, 0x0a, 0x80, 0x0a, 0x38, 0x38, // assertions, deassertions, thresholds
        0x00, 0x01, 0x00, 0x00, // unsigned, degrees C, linear
        0x01, 0x00, 0x00, 0x00, 0x00, 0x00, // y = 1 x + 0
        0x00, 40, 70, 5, 0xff, 0x00, // nominal and normal values, limits
        100, 90, 80, 0, 0, 0, 2, 2, // thresholds, hysteresis
        0x00, 0x00, 0x00, // reserved, OEM
    ];
    record.push(0xc0 | 8);
    record.extend_from_slice(b"CPU Temp");
    record[4] = (record.len() - 5) as u8;
    let record: String = record.iter().map(|byte| format!(" {byte:#04x}")).collect();
    // Assertions and deassertions, what can be and what is enabled: the three upper thresholds.
    let states = ["000111111000000"; 4].join(" ");
    let satellite = match satellite {
        true => "mc_add 0x30 7 no-device-sdrs 0x23 9 8 0x9f 0x1291 0x1234\nmc_enable 0x30\n",
        false => "",
    };
    format!(
        r#"mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x20 1 2 0x9f 0x1291 0x0f02 persist_sdr
sel_enable 0x20 200 0x0a
sensor_add 0x20 0 1 0x01 0x01 poll 1000 file "{directory}/temperature"
sensor_set_value 0x20 0 1 40 0
sensor_set_threshold 0x20 0 1 settable 111000 100 90 80 0 0 0
sensor_set_event_support 0x20 0 1 enable scanning per-state {states}
main_sdr_add 0x20{record}
sel_add 0x20 0x02 0 0 0 0 0x20 0 4 1 1 1 0x57 90 80
mc_enable 0x20
{satellite}"#
    )
}
