//! The lab itself is sound: clients and BMCs of other people meet in it, and nothing of ours.

mod support;

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::kill;
use nix::unistd::Pid;
use support::*;

const SECONDS_5: Duration = Duration::from_secs(5);
const SECONDS_10: Duration = Duration::from_secs(10);

fn ipmitool(bmc: SocketAddr, name: &str, password: &str, arguments: &[&str]) -> Command {
    let mut command = require("ipmitool");
    command.args(["-I", "lanplus", "-C", "3", "-H", &bmc.ip().to_string()]);
    command.args(["-p", &bmc.port().to_string(), "-U", name, "-P", password]);
    command.args(arguments);
    command
}

fn as_admin(bmc: SocketAddr, arguments: &[&str]) -> String {
    let command = ipmitool(bmc, ADMIN.name, ADMIN.password, arguments);
    Program::run(command, SECONDS_10).success()
}

fn at_pyghmi(bmc: &PyghmiBmc, arguments: &[&str]) -> String {
    let (name, password) = (PyghmiBmc::USERNAME, PyghmiBmc::PASSWORD);
    let command = ipmitool(bmc.address(), name, password, arguments);
    Program::run(command, SECONDS_10).success()
}

#[test]
fn ipmitool_reaches_ipmi_sim_through_a_relay() {
    let sim = IpmiSim::start(SimOptions::default());
    let relay = Relay::start(sim.address(), Faults::default());
    assert_eq!(relay.address().port(), sim.address().port());
    let info = as_admin(relay.address(), &["mc", "info"]);
    assert!(info.contains("Manufacturer ID           : 4753"), "{info}");
    let status = as_admin(relay.address(), &["chassis", "power", "status"]);
    assert!(status.contains("Chassis Power is on"), "{status}");
    let counts = relay.counts();
    assert!(counts.received > 20, "{counts:?}");
    assert_eq!(counts, RelayCounts { forwarded: counts.received, ..counts });
    assert_eq!(counts.dropped + counts.duplicated + counts.reordered, 0);
}

#[test]
fn ipmi_sim_has_a_power_switch_a_sensor_and_an_event_log() {
    let sim = IpmiSim::start(SimOptions::default());
    as_admin(sim.address(), &["chassis", "power", "off"]);
    assert!(wait_until(SECONDS_5, || !sim.is_powered_on()));
    let status = as_admin(sim.address(), &["chassis", "power", "status"]);
    assert!(status.contains("Chassis Power is off"), "{status}");
    as_admin(sim.address(), &["chassis", "power", "on"]);
    assert!(wait_until(SECONDS_5, || sim.is_powered_on()), "{}", sim.chassis_events());
    sim.set_temperature(57);
    let sensors = || as_admin(sim.address(), &["sdr", "list"]);
    let warmed = wait_until(SECONDS_5, || sensors().contains("57 degrees C"));
    assert!(warmed, "{}", sensors());
    let events = as_admin(sim.address(), &["sel", "list"]);
    assert!(events.contains("Temperature"), "{events}");
}

#[test]
fn ipmi_sim_knows_its_users_and_its_key() {
    let mut k_g = [0; 20];
    k_g[..19].copy_from_slice(b"a-key-of-19-letters");
    let sim = IpmiSim::start(SimOptions { k_g: Some(k_g), ..SimOptions::default() });
    let key: String = k_g.iter().map(|byte| format!("{byte:02x}")).collect();
    for (account, level) in [(ADMIN, "ADMINISTRATOR"), (OPERATOR, "OPERATOR"), (USER, "USER")] {
        let arguments = ["-y", &key, "-L", level, "chassis", "power", "status"];
        let command = ipmitool(sim.address(), account.name, account.password, &arguments);
        let status = Program::run(command, SECONDS_10).success();
        assert!(status.contains("Chassis Power is on"), "{status}");
    }
    let arguments = ["-y", &key, "chassis", "power", "status"];
    let command = ipmitool(sim.address(), LONG.name, LONG.password, &arguments);
    Program::run(command, SECONDS_10).success();
    let keyless = ipmitool(sim.address(), ADMIN.name, ADMIN.password, &["mc", "info"]);
    assert!(!Program::run(keyless, SECONDS_10).status.success());
}

#[test]
fn ipmi_sim_comes_back_after_a_restart() {
    let mut sim = IpmiSim::start(SimOptions::default());
    sim.stop();
    assert!(!answers_ipmi(sim.address(), Duration::from_millis(200)));
    sim.restart();
    as_admin(sim.address(), &["mc", "info"]);
    assert_eq!(sim.serial().connection_count(), 2);
}

#[test]
fn freeipmi_reaches_ipmi_sim() {
    let sim = IpmiSim::start(SimOptions::default());
    let mut command = require("ipmipower");
    command.args(["-D", "LAN_2_0", "-h", &sim.address().to_string()]);
    command.args(["-u", ADMIN.name, "-p", ADMIN.password, "-W", "opensesspriv", "--stat"]);
    let status = Program::run(command, SECONDS_10).success();
    assert!(status.trim_end().ends_with(": on"), "{status}");
}

#[test]
fn a_console_reaches_the_serial_peer_byte_for_byte() {
    let sim = IpmiSim::start(SimOptions::default());
    let command = ipmitool(sim.address(), ADMIN.name, ADMIN.password, &["sol", "activate"]);
    let mut console = Program::spawn_on_terminal(command);
    console.wait_for("SOL Session operational", SECONDS_5);
    console.write(b"typed on the console");
    let typed = |bytes: &[u8]| bytes == b"typed on the console";
    assert!(sim.serial().wait_for(typed, SECONDS_5), "{:?}", sim.serial().received());
    sim.serial().send(b"printed by the machine\r\n");
    console.wait_for("printed by the machine", SECONDS_5);
    sim.serial().set_mode(SerialMode::Echo);
    console.write(b"come back");
    console.wait_for("come back", SECONDS_5);
    console.write(b"\r~.");
    assert!(console.finish(SECONDS_5).output.contains("[terminated ipmitool]"));
}

#[test]
fn ipmi_sim_keeps_a_history_when_told() {
    let sim = IpmiSim::start(SimOptions { history_len: Some(4096), ..SimOptions::default() });
    sim.serial().send(b"before anybody looked\r\n");
    let arguments = ["sol", "activate", "instance=2"];
    let command = ipmitool(sim.address(), ADMIN.name, ADMIN.password, &arguments);
    let console = Program::spawn_on_terminal(command);
    console.wait_for("before anybody looked", SECONDS_5);
}

#[test]
fn ipmitool_reaches_pyghmi() {
    let bmc = PyghmiBmc::start(PyghmiOptions::default());
    let status = || at_pyghmi(&bmc, &["chassis", "power", "status"]);
    assert!(status().contains("Chassis Power is on"));
    at_pyghmi(&bmc, &["chassis", "power", "off"]);
    assert!(status().contains("Chassis Power is off"));
}

#[test]
fn pyghmi_can_have_a_key() {
    let k_g = (1..=20).collect();
    let bmc = PyghmiBmc::start(PyghmiOptions { k_g: Some(k_g), ..PyghmiOptions::default() });
    at_pyghmi(&bmc, &["-y", "0102030405060708090a0b0c0d0e0f1011121314", "mc", "info"]);
}

#[test]
fn the_pyghmi_console_follows_orders() {
    let bmc = PyghmiBmc::start(PyghmiOptions::default());
    let (name, password) = (PyghmiBmc::USERNAME, PyghmiBmc::PASSWORD);
    let command = ipmitool(bmc.address(), name, password, &["sol", "activate"]);
    let mut console = Program::spawn_on_terminal(command);
    console.wait_for("SOL Session operational", SECONDS_5);
    console.write(b"@PING\r");
    console.wait_for("PONG", SECONDS_5);
    console.write(b"@BULK 20000\r");
    let output = console.wait_for("BULK 20000", SECONDS_10);
    let pattern = String::from_utf8(PyghmiBmc::pattern(20_000)).expect("it is ASCII");
    assert!(output.contains(&pattern), "{output}\n{}", bmc.log());
    console.write(b"@SINK 5\r");
    console.wait_for("READY", SECONDS_5);
    console.write(b"hello");
    let sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    console.wait_for(&format!("SINK 5 {sum}"), SECONDS_5);
    console.write(b"\r~.");
    console.finish(SECONDS_5);
    assert_eq!(bmc.log(), "ready\n");
}

#[test]
fn a_relay_does_to_datagrams_what_it_was_told() {
    let all = |faults| deliver_numbers(100, faults).0;
    assert_eq!(all(Faults::default()), (0..100).collect::<Vec<u8>>());
    assert_eq!(all(Faults { loss: 1.0, ..Faults::default() }), Vec::<u8>::new());
    let doubled: Vec<u8> = (0..100).flat_map(|number| [number, number]).collect();
    assert_eq!(all(Faults { duplicate: 1.0, ..Faults::default() }), doubled);
    let swapped: Vec<u8> = (0..50).flat_map(|pair| [2 * pair + 1, 2 * pair]).collect();
    assert_eq!(all(Faults { reorder: 1.0, ..Faults::default() }), swapped);
    let (late, took) = deliver_numbers(100, Faults { delay_ms: 200..=200, ..Faults::default() });
    assert_eq!(late, (0..100).collect::<Vec<u8>>());
    assert!(took >= Duration::from_millis(200), "{took:?}");
}

#[test]
fn a_relay_repeats_its_faults_for_a_seed() {
    let faults =
        |seed| Faults { loss: 0.3, duplicate: 0.2, reorder: 0.1, seed, ..Faults::default() };
    let first = deliver_numbers(200, faults(7)).0;
    assert_eq!(first, deliver_numbers(200, faults(7)).0);
    assert_ne!(first, deliver_numbers(200, faults(8)).0);
}

/// Sends datagrams 0, 1, 2... through a relay; gives what arrives, and how long it took.
fn deliver_numbers(count: u8, faults: Faults) -> (Vec<u8>, Duration) {
    let bmc = UdpSocket::bind((loopback_address(), 0)).expect("a free port");
    bmc.set_nonblocking(true).expect("a socket can be made nonblocking");
    let relay = Relay::start(bmc.local_addr().expect("it is bound"), faults);
    let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let start = Instant::now();
    for number in 0..count {
        client.send_to(&[number], relay.address()).expect("the relay listens");
    }
    let settled = || {
        let counts = relay.counts();
        counts.received == u64::from(count)
            && counts.forwarded + counts.dropped == counts.received + counts.duplicated
    };
    assert!(wait_until(SECONDS_10, settled), "{:?}", relay.counts());
    let took = start.elapsed();
    let mut arrived = Vec::new();
    let mut byte = [0];
    while bmc.recv(&mut byte).is_ok() {
        arrived.push(byte[0]);
    }
    assert_eq!(relay.counts().forwarded, arrived.len() as u64);
    (arrived, took)
}

#[test]
fn a_relay_carries_answers_and_can_change_ports_like_a_nat() {
    let bmc = UdpSocket::bind((loopback_address(), 0)).expect("a free port");
    bmc.set_read_timeout(Some(SECONDS_5)).expect("a timeout can be set");
    let relay = Relay::start(bmc.local_addr().expect("it is bound"), Faults::default());
    let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    client.set_read_timeout(Some(SECONDS_5)).expect("a timeout can be set");
    client.connect(relay.address()).expect("connecting sends nothing");
    let exchange = || {
        let mut buffer = [0; 16];
        client.send(b"question").expect("the relay listens");
        let (len, from) = bmc.recv_from(&mut buffer).expect("the question arrives");
        assert_eq!(&buffer[..len], b"question");
        bmc.send_to(b"answer", from).expect("the relay listens");
        let len = client.recv(&mut buffer).expect("the answer arrives");
        assert_eq!(&buffer[..len], b"answer");
        from
    };
    let first = exchange();
    assert_eq!(first, exchange());
    relay.forget_clients();
    std::thread::sleep(Duration::from_millis(150));
    assert_ne!(first, exchange());
}

#[test]
fn a_dropped_program_leaves_nothing_behind() {
    let mut command = require("sh");
    // Deaf to SIGTERM, with a child that is too.
    command.args(["-c", "trap '' TERM; sleep 1000 & echo child $!; wait; sleep 1000"]);
    let program = Program::spawn(command);
    let line = program.wait_for_line(SECONDS_5, |line| line.starts_with("child "));
    let child: i32 = line["child ".len()..].parse().expect("a pid");
    let leader = program.pid() as i32;
    drop(program);
    let gone = |pid| kill(Pid::from_raw(pid), None).is_err();
    assert!(gone(leader));
    // Init reaps the orphan, in its own time.
    assert!(wait_until(SECONDS_5, || gone(child) || is_zombie(child)));
}

fn is_zombie(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z"))
}

#[test]
fn a_program_that_fails_tells_why() {
    let mut command = require("sh");
    command.args(["-c", "echo out; echo err >&2; exit 3"]);
    let finished = Program::run(command, SECONDS_5);
    assert_eq!(finished.status.code(), Some(3));
    assert_eq!(finished.output, "out\nerr\n");
}

#[test]
fn loopback_addresses_are_never_given_twice() {
    let threads: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(|| (0..50).map(|_| loopback_address()).collect::<Vec<_>>()))
        .collect();
    let all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    assert!(all.iter().all(|address| UdpSocket::bind((*address, BMC_PORT)).is_ok()));
}

#[test]
fn a_scratch_directory_goes_away() {
    let scratch = Scratch::new();
    let file = scratch.write("file", "text");
    assert_eq!(scratch.read("file"), "text");
    drop(scratch);
    assert!(!file.exists());
}
