//! conman and conserver, as Debian packages them, with the sol example behind each console: the
//! configurations of `examples/console_servers/` are what they run here.
//!
//! Needs what `tests/setup.sh` installs; a missing program fails the test that wants it.

mod support;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use bmclink::sim::{Serial, Simulator, SimulatorOptions};
use bmclink::{BmcConfig, ConsoleConfig, Credentials, Engine, EngineConfig, TakeOver};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{
    ADMIN, Account, IpmiSim, Program, Scratch, SerialMode, SimOptions, SplitMix64, example,
    require, wait_until,
};

const LONG: Duration = Duration::from_secs(60);

/// A program that keeps consoles.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Conman,
    Conserver,
}

use Kind::{Conman, Conserver};

impl Kind {
    /// What somebody types who wants a break, in the middle of a line.
    fn break_keys(self) -> &'static [u8] {
        match self {
            Conman => b"&B",
            Conserver => b"\x05cl0",
        }
    }

    fn detach_keys(self) -> &'static [u8] {
        match self {
            Conman => b"&.",
            Conserver => b"\x05c.",
        }
    }
}

/// One of them, with one console.
struct ConsoleKeeper {
    // Dropped in this order.
    program: Program,
    kind: Kind,
    port: u16,
    scratch: Scratch,
}

impl ConsoleKeeper {
    /// With a console of that BMC, called node1.
    #[track_caller]
    fn start(kind: Kind, bmc: SocketAddr, account: Account) -> Self {
        let scratch = Scratch::new();
        symlink(example("sol").get_program(), scratch.join("bmclink-sol")).expect("a link");
        scratch.write("password", account.password);
        let mut rng = SplitMix64::new(u64::from(std::process::id()) << 16 | u64::from(bmc.port()));
        // Somebody else may take a port between our look and theirs.
        for _ in 0..5 {
            let port = free_port(&mut rng);
            let program = Program::spawn(command(kind, port, bmc, account, &scratch));
            let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
            assert!(wait_until(LONG, || listens() || !program.is_running()), "{kind:?}");
            if program.is_running() {
                return ConsoleKeeper { program, kind, port, scratch };
            }
            eprintln!("{kind:?} did not start:\n{}", program.output());
        }
        panic!("{kind:?} does not start");
    }

    /// Somebody attached to the console; who only listens, if so wanted.
    fn attach(&self, only_listens: bool) -> Program {
        let mut command = match self.kind {
            Conman => {
                let mut command = require("conman");
                command.args(["-d", &format!("127.0.0.1:{}", self.port)]);
                command.args(only_listens.then_some("-m"));
                command
            }
            Conserver => {
                let config = self.scratch.write("console.cf", "config * { sslrequired no; }\n");
                let mut command = require("console");
                command.args(["-n", "-M", "127.0.0.1", "-p", &self.port.to_string(), "-C"]);
                command.arg(config).args(only_listens.then_some("-s"));
                command
            }
        };
        command.arg("node1");
        let program = Program::spawn_on_terminal(command);
        let greeting = match self.kind {
            Conman => "Connection to console [node1] opened.",
            Conserver => "[Enter `^Ec?' for help]",
        };
        program.wait_for(greeting, LONG);
        program
    }

    /// The `sol` processes of this one that live.
    fn children(&self) -> Vec<String> {
        let sol = self.scratch.join("bmclink-sol").into_os_string().into_encoded_bytes();
        let is_ours = |process: &PathBuf| {
            let read = |name: &str| std::fs::read(process.join(name)).unwrap_or_default();
            let command = read("cmdline");
            // A process that ended and is not reaped has no command line any more.
            command.split(|byte| *byte == 0).next() == Some(&sol)
        };
        let processes = std::fs::read_dir("/proc").expect("processes");
        let processes = processes.filter_map(|entry| Some(entry.ok()?.path()));
        processes.filter(is_ours).map(|path| path.display().to_string()).collect()
    }

    /// Ends the program as its init script does, and waits until nothing of it is left.
    #[track_caller]
    fn end(self) {
        kill(Pid::from_raw(self.program.pid() as i32), Signal::SIGTERM).expect("it runs");
        let ended = wait_until(LONG, || !self.program.is_running());
        assert!(ended, "{:?} does not end:\n{}", self.kind, self.program.output());
        let gone = wait_until(LONG, || self.children().is_empty());
        assert!(gone, "{:?} left {:?}", self.kind, self.children());
    }
}

fn command(kind: Kind, port: u16, bmc: SocketAddr, user: Account, scratch: &Scratch) -> Command {
    let here = |name: &str| scratch.join(name).display().to_string();
    let (sol, password) = (here("bmclink-sol"), here("password"));
    let target = |host: &str| format!("-H {host} -p {} -U {}", bmc.port(), user.name);
    let ip = bmc.ip().to_string();
    match kind {
        Conman => {
            let config = changed(
                include_str!("../examples/console_servers/conman.conf"),
                &[
                    ("port=7890", &format!("port={port}")),
                    ("/var/log/conman.log", &here("conmand.log")),
                    ("/var/log/conman\"", &format!("{}\"", scratch.path().display())),
                    ("/run/conmand.pid", &here("conmand.pid")),
                    ("/usr/local/bin/bmclink-sol", &sol),
                    ("-H bmc1 -p 623 -U admin", &target(&ip)),
                    ("/etc/bmclink/password", &password),
                    ("-e none", "-e none --lost-after 2"),
                ],
            );
            let mut command = require("conmand");
            command.arg("-F").arg("-c").arg(scratch.write("conman.conf", config));
            command
        }
        Conserver => {
            let config = changed(
                include_str!("../examples/console_servers/conserver.cf"),
                &[
                    ("primaryport 782", &format!("primaryport {port}")),
                    ("/var/log/conserver/server.log", &here("conserver.log")),
                    ("/var/log/conserver/&.log", &here("&.log")),
                    ("/etc/conserver/conserver.passwd", &scratch_passwd(scratch)),
                    ("/usr/local/bin/bmclink-sol", &sol),
                    ("-H & -p 623 -U admin", &target("&")),
                    ("host bmc1", &format!("host {ip}")),
                    ("/etc/bmclink/password", &password),
                    ("-e none", "-e none --lost-after 2"),
                ],
            );
            let mut command = require("conserver");
            command.args(["-M", "127.0.0.1", "-C"]);
            command.arg(scratch.write("conserver.cf", config));
            command
        }
    }
}

fn scratch_passwd(scratch: &Scratch) -> String {
    scratch.write("passwd", "").display().to_string()
}

/// The text with other words in it; each must have been there.
#[track_caller]
fn changed(text: &str, words: &[(&str, &str)]) -> String {
    let change = |text: String, (old, new): &(&str, &str)| {
        assert!(text.contains(old), "the configuration has no {old:?}");
        text.replace(old, new)
    };
    words.iter().fold(text.to_owned(), change)
}

/// A TCP port nobody listens on, below those that the kernel hands out.
fn free_port(rng: &mut SplitMix64) -> u16 {
    loop {
        let port = rng.in_range(20_000, 32_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

const SIM_ADMIN: Account = Account { name: "admin", password: "password", ..ADMIN };

fn simulator_on(port: u16) -> Simulator {
    let options = SimulatorOptions { serial: Serial::Shell, port, ..SimulatorOptions::default() };
    Simulator::start(options).expect("a simulator")
}

fn is_owned(simulator: &Simulator) -> bool {
    simulator.with(0, |bmc, _| bmc.sol_owner().is_some())
}

/// Has the shell of the simulated machine print a word, until it does: while a console is being
/// connected, what is typed is dropped.
#[track_caller]
fn echo(user: &mut Program, word: &str) {
    let end = Instant::now() + LONG;
    let printed = |user: &Program| user.output().contains(&format!("\n{word}\r"));
    while !printed(user) {
        assert!(Instant::now() < end, "no {word}:\n{}", user.output());
        user.write(format!("echo {word}\r").as_bytes());
        wait_until(Duration::from_secs(2), || printed(user));
    }
}

// At the simulated BMC

fn serves(kind: Kind) {
    let simulator = simulator_on(0);
    let keeper = ConsoleKeeper::start(kind, simulator.address(0), SIM_ADMIN);
    let mut user = keeper.attach(false);
    echo(&mut user, "one");

    user.write(b"echo half");
    user.wait_for("echo half", LONG);
    user.write(kind.break_keys());
    user.wait_for("[bmclink: break sent]", LONG);
    user.wait_for("[break]", LONG);
    user.write(b"\r");
    user.wait_for("\nhalf\r", LONG);

    // It is greeted before it is heard of.
    let mut listener = keeper.attach(true);
    let heard = || listener.output().contains("\ntwo\r");
    let end = Instant::now() + LONG;
    while !heard() {
        assert!(Instant::now() < end, "{kind:?}: {}", listener.output());
        user.write(b"echo two\r");
        wait_until(Duration::from_secs(2), heard);
    }
    user.wait_for("\ntwo\r", LONG);

    user.write(kind.detach_keys());
    assert!(wait_until(LONG, || !user.is_running()), "{}", user.output());
    listener.write(kind.detach_keys());
    assert!(wait_until(LONG, || !listener.is_running()), "{}", listener.output());
    assert!(is_owned(&simulator), "the console is kept without users");
    assert_eq!(keeper.children().len(), 1);

    let mut user = keeper.attach(false);
    echo(&mut user, "three");
    assert_eq!(simulator.counters().logins, 1);
    keeper.end();
    assert!(wait_until(LONG, || !is_owned(&simulator)), "SOL is active at the BMC");
}

#[test]
fn conman_serves_a_console() {
    serves(Conman);
}

#[test]
fn conserver_serves_a_console() {
    serves(Conserver);
}

fn heals(kind: Kind) {
    let simulator = simulator_on(0);
    let address = simulator.address(0);
    let keeper = ConsoleKeeper::start(kind, address, SIM_ADMIN);
    let mut user = keeper.attach(false);
    echo(&mut user, "before");
    let children = keeper.children();

    drop(simulator);
    user.write(b"\r");
    user.wait_for("[bmclink: disconnected: managed system stopped answering", LONG);
    let simulator = simulator_on(address.port());
    echo(&mut user, "after");
    assert!(user.output().contains("[bmclink: connected to admin@"), "{}", user.output());
    // By itself: nobody had to start it again.
    assert_eq!(keeper.children(), children);
    keeper.end();
    assert!(wait_until(LONG, || !is_owned(&simulator)), "SOL is active at the BMC");
}

#[test]
fn conman_need_not_notice_that_a_bmc_was_away() {
    heals(Conman);
}

#[test]
fn conserver_need_not_notice_that_a_bmc_was_away() {
    heals(Conserver);
}

// At somebody else's BMC

/// Types until it comes back.
#[track_caller]
fn type_until_seen(user: &mut Program, word: &str) {
    let end = Instant::now() + LONG;
    while !user.output().contains(word) {
        assert!(Instant::now() < end, "no {word}:\n{}", user.output());
        user.write(format!("{word}\r").as_bytes());
        wait_until(Duration::from_secs(2), || user.output().contains(word));
    }
}

fn serves_at_ipmi_sim(kind: Kind) {
    let mut sim = IpmiSim::start(SimOptions { serial: SerialMode::Echo, ..SimOptions::default() });
    let keeper = ConsoleKeeper::start(kind, sim.address(), ADMIN);
    let mut user = keeper.attach(false);
    type_until_seen(&mut user, "here");
    // conman puts a break before what it reads together with it.
    user.write(b"middle");
    user.wait_for("middle", LONG);
    user.write(kind.break_keys());
    user.wait_for("[bmclink: break sent]", LONG);
    // ipmi_sim says a break as telnet does, once something comes behind it.
    user.write(b"!");
    let arrived = |bytes: &[u8]| bytes.ends_with(b"middle\xff\xf3!");
    assert!(sim.serial().wait_for(arrived, LONG), "{:?}", sim.serial().received());

    sim.restart();
    type_until_seen(&mut user, "still");
    keeper.end();
    // Nobody has to be pushed away.
    let credentials = Credentials::new(ADMIN.name, ADMIN.password).expect("legal");
    let engine = Engine::new(EngineConfig::default()).expect("an engine");
    let config = BmcConfig::new(sim.address().ip().to_string(), credentials);
    let bmc = engine.bmc(config.port(sim.address().port())).expect("a BMC");
    let console = bmc.console(ConsoleConfig::default().take_over(TakeOver::Never));
    console.expect("legal").connect(LONG).expect("SOL is free");
}

#[test]
fn conman_serves_a_console_of_ipmi_sim() {
    serves_at_ipmi_sim(Conman);
}

#[test]
fn conserver_serves_a_console_of_ipmi_sim() {
    serves_at_ipmi_sim(Conserver);
}

// xCAT

/// In place of xcatd's library: it knows one node.
const XCAT_CLIENT: &str = r#"
package xCAT::Client;
sub submit_request {
    my ($question, $answer) = @_;
    die 'not asked for n1' unless $question->{command}[0] eq 'getipmicons'
        && $question->{noderange}[0] eq 'n1';
    $answer->({node => [{bmcaddr => [$ENV{TEST_BMC}], bmcuser => ['admin'],
        bmcpass => ['password']}]});
}
1;
"#;

/// xCAT itself is not run here, only the script that it would run.
#[test]
fn the_xcat_script_asks_for_the_bmc_and_becomes_sol() {
    let simulator = simulator_on(0);
    let address = simulator.address(0);
    let scratch = Scratch::new();
    std::fs::create_dir_all(scratch.join("lib/perl/xCAT")).expect("a folder");
    scratch.write("lib/perl/xCAT/Client.pm", XCAT_CLIENT);
    let mut command = require("perl");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/console_servers/xcat-bmclink");
    command.args([script, "n1", "-p", &address.port().to_string()]);
    command.env("BMCLINK_SOL", example("sol").get_program());
    command.env("XCATROOT", scratch.path()).env("TEST_BMC", address.ip().to_string());
    let mut user = Program::spawn_on_terminal(command);
    user.wait_for("sim:~# ", LONG);
    let seen = std::fs::read(format!("/proc/{}/cmdline", user.pid())).expect("it runs");
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert!(seen.contains("--break-string") && !seen.contains("password"), "{seen}");
    user.write(b"echo middle~B");
    user.wait_for("[break]", LONG);
    user.signal(Signal::SIGHUP);
    assert!(wait_until(LONG, || !user.is_running()), "{}", user.output());
    assert!(!is_owned(&simulator));
}
