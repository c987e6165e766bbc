//! `examples/power.rs`, run as its users do.

mod support;

#[path = "../examples/common/names.rs"]
mod names;

use std::fs::File;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::process::{Output, Stdio};

use bmclink::sim::{Simulator, SimulatorOptions};
use support::{Scratch, example};

fn power(arguments: &[&str]) -> Output {
    example("power").args(arguments).env("BMCLINK_PASSWORD", "password").output().expect("it runs")
}

fn lines(output: &Output) -> Vec<String> {
    let mut lines: Vec<_> =
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Four simulated BMCs, and the list that names them.
fn simulator(last_octets: [u8; 2]) -> (Simulator, String) {
    let [third, fourth] = last_octets;
    let options = SimulatorOptions {
        bind: [127, 63, third, fourth].into(),
        port: 0,
        count: 4,
        ..SimulatorOptions::default()
    };
    let simulator = Simulator::start(options).expect("loopback");
    let port = simulator.address(0).port();
    let last = fourth + 3;
    (simulator, format!("127.63.{third}.[{fourth}-{last}]:{port}"))
}

#[test]
fn simulated_machines_are_asked_when_none_is_named() {
    let output = power(&["status"]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let expected: Vec<_> = (0..8).map(|number| format!("simulated{number}: on")).collect();
    assert_eq!(lines(&output), expected);
    assert_eq!(errors(&output), "", "a bar that nobody can see");
}

#[test]
fn a_range_of_machines_is_switched_and_waited_for() {
    let (simulator, list) = simulator([1, 1]);
    let on = |number| simulator.with(number, |bmc, _| bmc.host_power());
    let off = power(&["off", "--wait", "-H", &list, "-U", "admin", "-E"]);
    assert_eq!((off.status.code(), lines(&off).len()), (Some(0), 4), "{}", errors(&off));
    assert!((0..4).all(|number| !on(number)));
    let status = power(&["status", "-H", &list, "-U", "admin", "-E"]);
    assert!(lines(&status).iter().all(|line| line.ends_with(": off")), "{status:?}");
    let refused = power(&["reset", "-H", &list, "-U", "admin", "-E"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(errors(&refused).matches("is it off").count(), 4);
    let scratch = Scratch::new();
    let file = scratch.path().join("password");
    std::fs::write(&file, "password\r\nmore\n").expect("written");
    let file = file.to_str().expect("a plain path");
    let cycle = ["cycle", "--wait=60", "--on-when-off", "-H", &list, "-U", "admin", "-f", file];
    let cycle = power(&cycle);
    assert_eq!(cycle.status.code(), Some(0), "{}", errors(&cycle));
    assert!(lines(&cycle).iter().all(|line| line.ends_with("switched on")), "{cycle:?}");
    assert!((0..4).all(on));
    let light = power(&["identify", "-H", &list, "-U", "admin", "-P", "password"]);
    assert_eq!((light.status.code(), lines(&light).len()), (Some(0), 4));
}

#[test]
fn the_exit_status_is_that_of_the_worst() {
    let (_simulator, list) = simulator([2, 1]);
    let wrong = power(&["status", "-H", &list, "-U", "admin", "-P", "wrong"]);
    assert_eq!(wrong.status.code(), Some(3), "{}", errors(&wrong));
    // One that never answers keeps nobody else from answering.
    let silent = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let list = format!("{list},127.0.0.1:{}", silent.local_addr().expect("bound").port());
    let late = power(&["status", "--timeout", "4", "-H", &list, "-U", "admin", "-E"]);
    assert_eq!((late.status.code(), lines(&late).len()), (Some(4), 4), "{}", errors(&late));
}

#[test]
fn a_password_is_asked_for_and_not_shown() {
    let (_simulator, list) = simulator([3, 1]);
    let terminal = nix::pty::openpty(None, None).expect("a terminal");
    let mut asks = example("power");
    asks.args(["status", "-H", &list, "-U", "admin"]);
    asks.stdin(terminal.slave.try_clone().expect("a descriptor")).stdout(Stdio::piped());
    let child = asks.stderr(terminal.slave).spawn().expect("it starts");
    drop(asks); // It has the other end of the terminal too.
    let mut screen = File::from(terminal.master);
    let mut shown = Vec::new();
    while !shown.ends_with(b"password of admin: ") {
        let mut byte = [0];
        screen.read_exact(&mut byte).expect("a prompt");
        shown.extend(byte);
    }
    screen.write_all(b"passwort\x7fd\r").expect("typed");
    // Ends with an error when nobody has the other end any more.
    let _ = screen.read_to_end(&mut shown);
    let output = child.wait_with_output().expect("it ends");
    let shown = String::from_utf8_lossy(&shown);
    assert_eq!((output.status.code(), lines(&output).len()), (Some(0), 4), "{shown}");
    assert!(!shown.contains("passwort"), "{shown}");
}

#[test]
fn wrong_usage_says_what_is_wrong() {
    for (arguments, reason) in [
        (&["status", "-H", "n[2-1]", "-U", "admin", "-E"][..], "backwards"),
        (&["status", "-H", "n[1", "-U", "admin", "-E"], "without its ]"),
        (&["status", "-H", "n:x", "-U", "admin", "-E"], "not a port"),
        (&["status", "-H", "n1", "-U", "admin", "-f", "/nowhere"], "cannot read /nowhere"),
        (&["status", "-H", "n1"], "-U"),
        (&["explode"], "explode"),
        (&["status", "-H", "n1", "-U", "admin", "-E", "-P", "x"], "cannot be used"),
    ] {
        let output = power(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(errors(&output).contains(reason), "{}", errors(&output));
    }
    let mut asks = example("power");
    asks.args(["status", "-H", "n1", "-U", "admin"]).stdin(Stdio::null());
    let output = asks.output().expect("it runs");
    assert!(errors(&output).contains("no password"), "{}", errors(&output));
}

#[test]
fn a_reader_that_goes_away_stops_nothing() {
    let mut command = example("power");
    command.arg("status").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
