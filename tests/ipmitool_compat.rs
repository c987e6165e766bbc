//! The example `bl` against the real `ipmitool`: the same commands at equal BMCs, line by line.
//!
//! Every difference that is meant is in the table, with its reason, and has to be exactly that.

mod support;

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use bmclink::sim::{Simulator, SimulatorOptions};
use support::{ADMIN, IpmiSim, SimOptions, example, require};

/// A command, and what is not the same.
struct Row {
    command: &'static str,
    differs: &'static [Differs],
}

/// A difference that is meant. Lines begin with `1 ` on standard output, `2 ` on standard error.
enum Differs {
    /// How a command is used is said in words of our own.
    Usage,
    /// This line of ipmitool is that one, or is missing.
    Line { ipmitool: &'static str, bl: Option<&'static str> },
    /// A line of ours alone, at the end of its stream.
    More(&'static str),
    /// All lines of ipmitool from this one on are missing.
    CutFrom(&'static str),
    /// The exit statuses.
    Status { ipmitool: i32, bl: i32 },
    /// Why all this is so.
    Why(&'static str),
}
use Differs::{CutFrom, Line, More, Status, Usage, Why};

const fn same(command: &'static str) -> Row {
    Row { command, differs: &[] }
}

const fn usage(command: &'static str) -> Row {
    Row { command, differs: &[Usage] }
}

const fn differs(command: &'static str, differs: &'static [Differs]) -> Row {
    Row { command, differs }
}

const fn changed(ipmitool: &'static str, bl: &'static str) -> Differs {
    Line { ipmitool, bl: Some(bl) }
}

// The table

const CHASSIS: &[Row] = &[
    same("chassis status"),
    same("-c chassis status"),
    same("chassis power status"),
    same("power status"),
    same("chassis power"),
    same("chassis power bogus"),
    same("chassis bogus"),
    usage("chassis"),
    same("chassis power off"),
    same("chassis power status"),
    same("chassis status"),
    same("chassis power cycle"),
    same("power on"),
    same("power on"),
    same("chassis power cycle"),
    same("power reset"),
    same("power diag"),
    same("chassis identify"),
    same("chassis identify 5"),
    same("chassis identify 0"),
    same("chassis identify force"),
    same("chassis identify bogus"),
    same("chassis identify 300"),
    same("chassis policy list"),
    same("chassis policy always-on"),
    same("chassis status"),
    same("chassis policy previous"),
    same("chassis policy bogus"),
    usage("chassis policy"),
    same("chassis restart_cause"),
    same("chassis poh"),
    same("chassis selftest"),
    same("chassis bootdev pxe"),
    same("chassis bootparam get 5"),
    same("chassis bootdev disk options=persistent,efiboot"),
    same("chassis bootparam get 5"),
    same("chassis bootdev bios options=efiboot,verbose=yes,cons_redirect=enable,lockkbd"),
    same("chassis bootparam get 5"),
    same("chassis bootdev cdrom clear-cmos=yes"),
    same("chassis bootparam get 5"),
    same("chassis bootdev bogus"),
    usage("chassis bootdev"),
    usage("chassis bootdev pxe options=bogus"),
    usage("chassis bootdev pxe options=help"),
    same("raw 0 8 5 0xff 0xdf 0xff 0xff 0"),
    same("chassis bootparam get 5"),
    same("raw 0 8 5 0 0x23 0x21 0x01 0"),
    same("chassis bootparam get 5"),
    same("chassis bootparam get 0"),
    same("chassis bootparam get 1"),
    same("raw 0 8 2 3"),
    same("chassis bootparam get 2"),
    same("raw 0 8 3 0x1f"),
    same("chassis bootparam get 3"),
    same("raw 0 8 4 0xff 0xff"),
    same("chassis bootparam get 4"),
    same("chassis bootparam get 6"),
    same("chassis bootparam get 7"),
    same("chassis bootparam get 99"),
    same("chassis bootparam get bogus"),
    usage("chassis bootparam get"),
    same("chassis bootparam set bootflag force_pxe"),
    same("chassis bootdev none"),
    same("chassis bootparam get 5"),
];

const CONTROLLER: &[Row] = &[
    same("mc info"),
    same("bmc info"),
    same("-t 0x2c mc info"),
    same("-t0x2c -b0 mc info"),
    same("mc guid"),
    same("mc guid smbios"),
    same("mc guid ipmi"),
    same("mc guid dump"),
    differs(
        "mc guid rfc4122",
        &[
            Why("ipmitool 1.8.19 takes it for auto"),
            changed(
                "1 System GUID   : 6c636d62-6e69-2d6b-7369-6d2d30303031",
                "1 System GUID   : 626d636c-696e-6b2d-7369-6d2d30303031",
            ),
            Line {
                ipmitool: "1 GUID Encoding : SMBIOS (WARNING: IPMI Specification violation!)",
                bl: None,
            },
            changed(
                "1 GUID Version  : DCE Security with POSIX UIDs (not for IPMI)",
                "1 GUID Version  : Unknown/unsupported (6)",
            ),
        ],
    ),
    same("mc selftest"),
    same("mc reset warm"),
    usage("mc"),
    usage("mc bogus"),
    same("mc reset"),
    same("mc reset bogus"),
    same("raw 6 1"),
    same("raw 0x06 0x01"),
    same("raw 0 1"),
    same("raw 10 0x11 0 0 0 40"),
    same("-t 0x2c raw 6 1"),
    same("-b 6 -t 0x2c raw 6 1"),
    same("-v raw 6 1"),
    same("raw 6 0x99"),
    same("raw 6 zz"),
    same("raw 6 1 300"),
    same("raw 10 0x11 0 0 0"),
    usage("raw"),
    usage("raw 6"),
    usage("bogus"),
    differs(
        "-t 0x99 raw 6 1",
        &[
            Why("no controller has an odd address: it is not sent"),
            changed(
                "2 Unable to send RAW command (channel=0x0 netfn=0x6 lun=0x0 cmd=0x1 rsp=0x83): \
                 Unknown (0x83)",
                "2 Unable to send RAW command (channel=0x0 netfn=0x6 lun=0x0 cmd=0x1): \
                 a controller has a channel of 0 to 15 and an even address",
            ),
        ],
    ),
    same("session info active"),
    same("session info all"),
    same("session info handle 1"),
    same("session info id 0x99"),
    same("-c session info active"),
    same("-c session info all"),
    same("session info bogus"),
    same("session info"),
    same("session"),
];

const SENSORS: &[Row] = &[
    same("sdr"),
    same("sdr list"),
    same("sdr elist"),
    same("-c sdr list"),
    same("-c sdr elist"),
    same("sdr list all"),
    same("sdr elist all"),
    same("sdr elist full"),
    same("sdr list compact"),
    same("sdr list event"),
    same("sdr list mcloc"),
    same("sdr elist fru"),
    usage("sdr list bogus"),
    same("sdr bogus"),
    same("sdr info"),
    same("sdr type"),
    same("sdr type list"),
    same("sdr type Temperature"),
    same("sdr type fan"),
    same("sdr type 0x07"),
    same("sdr type bogus"),
    same("sdr entity 3.1"),
    same("sdr entity 7"),
    same("sdr get 'CPU1 Temp'"),
    same("sdr get 'DIMM Margin' 'VREF Trim' P12V 'ME Power'"),
    same("sdr get BMC 'Node Manager' Mainboard 'BIOS POST'"),
    same("sdr get 'ACPI State' 'Fan Redundancy' Watchdog2 Drive 'PS1 Status'"),
    same("sdr get nope"),
    differs(
        "sdr get 'Pump Period'",
        &[
            Why("1/x has no tolerance or hysteresis that is the same for all values"),
            changed("1 Sensor Reading : # (+/- inf) second", "1 Sensor Reading : # (+/- 0) second"),
            changed("1  Positive Hysteresis   : 0.500", "1  Positive Hysteresis   : Unspecified"),
            changed("1  Negative Hysteresis   : 0.500", "1  Negative Hysteresis   : Unspecified"),
        ],
    ),
    same("sensor"),
    same("sensor list"),
    same("-c sensor list"),
    same("sensor get 'CPU1 Temp' 'PS1 Status' Fan1"),
    same("sensor get 'ACPI State' 'Power Unit' 'ME Power' 'PCH Temp' 'VREF Trim'"),
    same("sensor get nope"),
    same("sensor bogus"),
    // A threshold that is crossed.
    same("raw 4 0x26 1 0x38 0 0 0 1 100 110"),
    same("sdr elist"),
    same("raw 4 0x26 1 0x38 0 0 0 1 2 110"),
    same("-c sdr list"),
    same("sensor get 'CPU1 Temp'"),
    same("raw 4 0x26 1 0x38 0 0 0 1 2 3"),
    same("sdr list"),
    same("sensor list"),
    // Without power many have no reading.
    same("power off"),
    same("sdr list"),
    same("sdr elist"),
    same("-c sdr list"),
    same("sensor list"),
    same("-c sensor list"),
    same("sensor get Fan1 'CPU1 Status'"),
    same("sdr get Fan1"),
];

/// ipmitool 1.8.19 prints the date in place of the time.
const TIMESTAMP: Differs = changed(
    "1  Timestamp             : DD/DD/DD DD/DD/DD",
    "1  Timestamp             : DD/DD/DD HH:MM:SS UTC",
);

const LOG: &[Row] = &[
    same("sel"),
    same("sel list"),
    same("-c sel elist"),
    same("raw 10 0x44 0 0 2 0 0 0 0 0x20 0 4 1 1 0x01 0x59 95 90"),
    same("raw 10 0x44 0 0 2 0 0 0 0 0x20 0 4 1 1 0x81 0x57 80 90"),
    same("raw 10 0x44 0 0 2 0 0 0 0 0x20 0 4 2 0x11 0x01 0x52 10 20"),
    same("raw 10 0x44 0 0 2 0 0 0 0 0x20 0 4 8 0x48 0x6f 0x00 0xff 0xff"),
    same("raw 10 0x44 0 0 2 0 0 0 0 0x20 0 4 8 0x48 0xef 0xc6 0x02 0xff"),
    same("raw 10 0x44 0 0 2 0 0 0 0 0x2c 0 4 1 8 0x01 0x59 95 90"),
    same("raw 10 0x44 0 0 2 0 0 0 0 0x20 0 4 0x0c 0x53 0x6f 0xa0 0x01 0x02"),
    same("raw 10 0x44 0 0 2 0 0 0 0 0x20 0 4 0xc5 0x53 0x70 0x02 0x03 0x04"),
    same("raw 10 0x44 0 0 2 0 0 0 0 0x20 0 4 0x0f 0x60 0x6f 0xc2 0x13 0xff"),
    same("raw 10 0x44 0 0 2 0 0 0 0 0x20 0 4 0x0f 0x60 0x6f 0xc0 0x01 0xff"),
    same("raw 10 0x44 0 0 2 0 0 0 0 0x20 0 4 0x23 0x44 0x6f 0xc1 0x04 0xff"),
    same("raw 10 0x44 0 0 2 0 0 0 0 0x20 0 4 0x28 0x99 0x6f 0x0d 0xff 0xff"),
    same("raw 10 0x44 0 0 0xc1 0 0 0 0 0x57 0x01 0x00 1 2 3 4 5 6"),
    same("raw 10 0x44 0 0 0xe1 1 2 3 4 5 6 7 8 9 10 11 12 13"),
    same("raw 10 0x44 0 0 0x05 1 2 3 4 5 6 7 8 9 10 11 12 13"),
    same("raw 10 0x44 0 0 2 0 0 0 0 0x41 0 4 0x1f 0 0x6f 0x01 0xff 0xff"),
    same("sel list"),
    same("sel elist"),
    same("-c sel list"),
    same("-c sel elist"),
    same("sel list 2"),
    same("sel list last 3"),
    same("sel elist first 2"),
    same("sel info"),
    differs("-v sel list", &[Why("a bug of ipmitool 1.8.19"), TIMESTAMP]),
    differs("sel get 0x0c", &[Why("a bug of ipmitool 1.8.19"), TIMESTAMP]),
    differs(
        "sel get 4",
        &[
            Why("what else is known of a sensor is said by sdr get"),
            TIMESTAMP,
            changed("1  Event Data (RAW)      : 00ffff", "1  Event Data            : 00ffff"),
            Line { ipmitool: "1  Event Interpretation  : Missing", bl: None },
            CutFrom("1 Sensor ID              : PS1 Status (0x48)"),
        ],
    ),
    same("sel get 0x99"),
    same("sel get"),
    same("sel delete 1"),
    same("sel delete 99"),
    differs(
        "sel delete 2 3",
        &[
            Why("each deletion needs a reservation of its own"),
            Line {
                ipmitool: "2 Unable to delete entry 2: Reservation cancelled or invalid",
                bl: None,
            },
            More("1 Deleted entry 2"),
            Status { ipmitool: 1, bl: 0 },
        ],
    ),
    same("sel clear"),
    same("sel list"),
    same("sel time get"),
    same("sel time set now"),
    same("sel time get"),
    same("sel time set bogus"),
    same("sel time"),
    same("sel bogus"),
];

const INVENTORY: &[Row] = &[
    same("fru"),
    same("fru print"),
    same("fru print 0"),
    same("fru list 1"),
    same("-v fru print 0"),
    same("fru print 99"),
    same("fru print bogus"),
    usage("fru bogus"),
    same("dcmi power reading"),
    same("dcmi power get_limit"),
    same("dcmi asset_tag"),
    same("dcmi set_asset_tag hello"),
    same("dcmi asset_tag"),
    differs(
        "dcmi get_mc_id_string",
        &[
            Why("the NUL behind it is no text"),
            changed(
                "1  Get Management Controller Identifier String: bmclink-sim\0",
                "1  Get Management Controller Identifier String: bmclink-sim",
            ),
        ],
    ),
    usage("dcmi"),
    usage("dcmi bogus"),
    usage("dcmi power"),
];

const USERS: &[Row] = &[
    same("user list"),
    same("user list 1"),
    same("-c user list 1"),
    same("user summary 1"),
    same("-c user summary"),
    same("user list 99"),
    same("user list bogus"),
    same("user set name 5 joe"),
    same("user set name 5 joe12345678901234567"),
    same("user set name 99 joe"),
    same("user set password 5 secret"),
    same("user test 5 16 secret"),
    same("user test 5 16 wrong"),
    same("user test 5 20 secret"),
    same("user test 5 17 secret"),
    same("user set password 5 12345678901234567"),
    same("user test 5 20 12345678901234567"),
    same("user set password 5 secret 17"),
    same("user set password 5 123456789012345678901"),
    same("user enable 5"),
    same("user priv 5 4 1"),
    same("user priv 5 99 1"),
    same("channel setaccess 1 5 callin=on ipmi=on link=on privilege=2"),
    same("channel getaccess 1 5"),
    same("user list 1"),
    same("channel getaccess 1"),
    same("channel setaccess 1 5 ipmi=off"),
    differs(
        "channel getaccess 1 5",
        &[
            Why("ipmitool 1.8.19 does nothing for ipmi=off"),
            changed("1 IPMI Messaging       : enabled", "1 IPMI Messaging       : disabled"),
        ],
    ),
    same("user disable 5"),
    same("user priv 5 15"),
    same("channel setaccess 1 5 bogus=on"),
    usage("user"),
    usage("user bogus"),
    usage("user set name 5"),
    usage("user enable"),
    same("channel info"),
    same("channel info 1"),
    same("channel info 15"),
    same("channel info 2"),
    same("channel info 99"),
    same("channel getaccess 1 2"),
    same("channel getaccess 1 99"),
    same("channel getciphers ipmi"),
    same("channel getciphers sol 1"),
    same("channel authcap 1 4"),
    usage("channel"),
    usage("channel bogus"),
];

const NETWORK: &[Row] = &[
    same("lan print"),
    same("lan print 1"),
    same("lan print 2"),
    same("lan print 99"),
    same("lan set 1 ipsrc static"),
    same("lan set 1 ipaddr 192.0.2.77"),
    same("lan set 1 ipaddr bogus"),
    same("lan set 1 netmask 255.255.0.0"),
    same("lan set 1 defgw ipaddr 192.0.2.254"),
    same("lan set 1 bakgw ipaddr 192.0.2.253"),
    same("lan set 1 macaddr 02:00:00:30:30:99"),
    same("lan set 1 snmp private"),
    same("lan set 1 arp respond off"),
    same("lan set 1 arp generate on"),
    same("lan set 1 vlan id off"),
    same("lan set 1 vlan id 12"),
    same("lan set 1 vlan priority 3"),
    same("lan set 1 cipher_privs XaaaaaaaaaaaaaO"),
    same("lan set 1 auth ADMIN MD5"),
    same("lan print 1"),
    same("lan set 1 vlan id off"),
    same("lan set 1 access on"),
    same("lan print 1"),
    usage("lan"),
    same("lan bogus"),
    usage("lan set 1 bogus"),
    usage("lan set 1 ipsrc bogus"),
    same("lan set 1 defgw"),
    differs(
        "lan set 1 cipher_privs bogus",
        &[Why("what was not done is a failure"), Usage, Status { ipmitool: 0, bl: 1 }],
    ),
    same("sol info"),
    same("sol info 1"),
    same("-c sol info"),
    same("sol info 2"),
    same("sol set enabled true 1"),
    same("sol set enabled maybe 1"),
    same("sol set privilege-level admin"),
    same("sol set privilege-level bogus"),
    same("sol set force-encryption true"),
    same("sol set character-accumulate-level 10"),
    same("sol set character-send-threshold 50"),
    same("sol set retry-count 3"),
    same("sol set retry-count 9"),
    same("sol set retry-interval 20"),
    same("sol set non-volatile-bit-rate 57.6"),
    same("sol set volatile-bit-rate 9.6"),
    same("sol set volatile-bit-rate 12"),
    same("sol info"),
    same("sol set bogus 1"),
    same("sol payload status 1 3"),
    same("sol payload disable 1 3"),
    same("sol payload status 1 3"),
    same("sol payload enable 1 3"),
    same("sol deactivate"),
    same("sol deactivate instance=2"),
    usage("sol"),
    usage("sol bogus"),
    usage("sol payload"),
];

/// What only looks, for a BMC that both ask.
const AT_IPMI_SIM: &[Row] = &[
    same("mc info"),
    same("chassis power status"),
    same("chassis status"),
    same("sdr list"),
    same("sdr elist"),
    same("-c sdr list"),
    same("sensor list"),
    same("sel list"),
    same("sel elist"),
    same("-c sel list"),
    same("user list 1"),
    same("channel info 1"),
    same("raw 6 1"),
    same("raw 6 0x99"),
    same("sol info 1"),
];

#[test]
fn chassis_commands_are_the_same() {
    compare_at_simulators(CHASSIS);
}

#[test]
fn commands_of_the_controller_are_the_same() {
    compare_at_simulators(CONTROLLER);
}

#[test]
fn sensors_are_the_same() {
    compare_at_simulators(SENSORS);
}

#[test]
fn the_event_log_is_the_same() {
    compare_at_simulators(LOG);
}

#[test]
fn inventory_and_dcmi_are_the_same() {
    compare_at_simulators(INVENTORY);
}

#[test]
fn users_and_channels_are_the_same() {
    compare_at_simulators(USERS);
}

#[test]
fn network_and_console_settings_are_the_same() {
    compare_at_simulators(NETWORK);
}

#[test]
fn openipmis_bmc_is_the_same() {
    let sim = IpmiSim::start(SimOptions::default());
    let access = (sim.address(), ADMIN.name, ADMIN.password);
    let wrong: Vec<String> =
        AT_IPMI_SIM.iter().filter_map(|row| compare(row, [access; 2])).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The two ask BMCs of their own, so that each finds what it has done itself.
fn compare_at_simulators(rows: &[Row]) {
    let start = || {
        let options = SimulatorOptions { port: 0, seed: 7, ..SimulatorOptions::default() };
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
    for difference in row.differs {
        match difference {
            Why(_) => {}
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
                    return Some(format!("{}: a difference is gone:\n  {lines}", row.command));
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
    const TALK: [&str; 8] = [
        "Unable to Get Channel Cipher Suites",
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
