//! The console example as its users run it: as a filter, on a terminal, and when things go wrong.

// Their unit tests run here: an example's own are run by nobody.
#[path = "../examples/console/escape.rs"]
#[allow(dead_code)]
mod escape;
#[path = "../examples/console/terminal.rs"]
#[allow(dead_code)]
mod terminal;

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bmclink::sim::net::Faults;
use bmclink::sim::{BmcOptions, Profile, Serial, Simulator, SimulatorOptions};
use bmclink::{
    BmcConfig, Console, ConsoleConfig, ConsoleState, Credentials, Engine, EngineConfig, TakeOver,
};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use nix::unistd::Pid;
use support::{Program, Scratch, example, wait_until};

const LONG: Duration = Duration::from_secs(60);

fn console() -> Command {
    let mut command = example("console");
    command.env_remove("BMCLINK_PASSWORD").env_remove("BMCLINK_KG").env_remove("RUST_LOG");
    command
}

/// For that BMC, as `admin`.
fn console_of(simulator: &Simulator) -> Command {
    let address = simulator.address(0);
    let mut command = console();
    command.args(["-H", &address.ip().to_string(), "-p", &address.port().to_string()]);
    command.args(["-U", "admin", "-E"]).env("BMCLINK_PASSWORD", "password");
    command
}

fn simulator(serial: Serial) -> Simulator {
    let options = SimulatorOptions { serial, ..SimulatorOptions::default() };
    Simulator::start(options).expect("a simulator")
}

/// A console of this process, to be in the way.
fn other_console(simulator: &Simulator, take_over: TakeOver) -> (Engine, Console) {
    let address = simulator.address(0);
    let credentials = Credentials::new("admin", "password").expect("legal");
    let engine = Engine::new(EngineConfig::default()).expect("an engine");
    let config = BmcConfig::new(address.ip().to_string(), credentials).port(address.port());
    let bmc = engine.bmc(config).expect("a BMC");
    let console = bmc.console(ConsoleConfig::default().take_over(take_over)).expect("a console");
    console.connect(LONG).expect("connected");
    (engine, console)
}

/// A filter that runs.
struct Filter {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

/// What a filter did.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl Filter {
    fn start(mut command: Command) -> Filter {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the example starts");
        let stdout = collect(child.stdout.take().expect("piped"));
        let stderr = collect(child.stderr.take().expect("piped"));
        Filter { child, stdout: Some(stdout), stderr: Some(stderr) }
    }

    /// Gives it all of `input`, then the end of it.
    fn run(command: Command, input: &[u8]) -> Ran {
        let mut filter = Filter::start(command);
        let mut stdin = filter.child.stdin.take().expect("piped");
        let input = input.to_vec();
        let feed = thread::spawn(move || {
            // It may end before it has read everything.
            let _ = stdin.write_all(&input);
        });
        let ran = filter.end(LONG * 3);
        feed.join().expect("fed");
        ran
    }

    fn end(mut self, timeout: Duration) -> Ran {
        let ended = wait_until(timeout, || !matches!(self.child.try_wait(), Ok(None)));
        let _ = self.child.kill();
        let status = self.child.wait().expect("our own child");
        let join = |output: Option<JoinHandle<Vec<u8>>>| match output {
            Some(thread) => thread.join().expect("read"),
            None => Vec::new(),
        };
        let stdout = join(self.stdout.take());
        let stderr = String::from_utf8_lossy(&join(self.stderr.take())).into_owned();
        assert!(ended, "it does not end: {stderr}");
        assert_eq!(status.signal(), None, "{stderr}");
        Ran { code: status.code(), stdout, stderr }
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        all
    })
}

/// Every byte value, in an order that shows what is missing or moved.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ at >> 8).wrapping_mul(167) as u8).collect()
}

fn assert_same(got: &[u8], wanted: &[u8], ran: &str) {
    let differs = got.iter().zip(wanted).position(|(got, wanted)| got != wanted);
    assert_eq!((got.len(), differs), (wanted.len(), None), "{ran}");
}

// As a filter

#[test]
fn a_filter_passes_every_byte() {
    let simulator = simulator(Serial::Echo);
    let input = pattern(256 << 10);
    let ran = Filter::run(console_of(&simulator), &input);
    assert_same(&ran.stdout, &input, &ran.stderr);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_filter_passes_every_byte_on_a_bad_line() {
    for profile in [Profile::Spec, Profile::GoIpmi] {
        let ms = Duration::from_millis;
        let faults = Faults {
            loss: 0.03,
            duplicate: 0.03,
            reorder: 0.03,
            delay: ms(1)..ms(2),
            reorder_delay: ms(1)..ms(2),
            ..Faults::default()
        };
        let simulator = Simulator::start(SimulatorOptions {
            serial: Serial::Echo,
            bmc: BmcOptions { profile, ..BmcOptions::default() },
            faults_in: faults.clone(),
            faults_out: faults,
            seed: 7,
            ..SimulatorOptions::default()
        });
        let simulator = simulator.expect("a simulator");
        let input = pattern(32 << 10);
        let mut command = console_of(&simulator);
        // A lost packet must not be taken for the silence after the end.
        command.args(["--linger", "2500", "--timeout", "50"]);
        let ran = Filter::run(command, &input);
        assert_same(&ran.stdout, &input, &format!("{profile}: {}", ran.stderr));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{profile}");
    }
}

#[test]
fn a_filter_does_not_know_escapes() {
    let simulator = simulator(Serial::Echo);
    let ran = Filter::run(console_of(&simulator), b"~.\r~B~?~~.");
    assert_eq!(ran.stdout, b"~.\r~B~?~~.", "{}", ran.stderr);
    assert_eq!(ran.code, Some(0));
}

#[test]
fn a_filter_keeps_little_of_its_input() {
    let simulator = simulator(Serial::None);
    let mut filter = Filter::start(console_of(&simulator));
    let mut stdin = filter.child.stdin.take().expect("piped");
    let feed = thread::spawn(move || {
        let _ = stdin.write_all(&pattern(32 << 20));
    });
    // 2 MiB of 32 have gone through; what is kept by then is kept.
    let read = |sim: &Simulator| sim.with(0, |bmc, _| bmc.serial_input().len());
    let mut total = 0;
    let through = wait_until(LONG, || {
        total += read(&simulator);
        total > 2 << 20
    });
    assert!(through, "only {total} bytes");
    let status = std::fs::read_to_string(format!("/proc/{}/status", filter.child.id()));
    let status = status.expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 16 << 10, "{peak} KiB");
    drop(filter);
    feed.join().expect("fed");
}

#[test]
fn without_arguments_a_filter_talks_to_a_simulated_bmc() {
    let ran = Filter::run(console(), b"echo one two\r");
    let output = String::from_utf8_lossy(&ran.stdout);
    assert!(output.contains("Type \"help\""), "{output}");
    assert!(output.contains("\r\none two\r\n"), "{output}");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn nobody_reading_the_output_ends_it_quietly() {
    let simulator = simulator(Serial::Flood);
    let mut command = console_of(&simulator);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    command.stdin(Stdio::piped()).stdout(writer).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the example starts");
    drop(command);
    let mut start = [0; 1000];
    { reader }.read_exact(&mut start).expect("a flood");
    let stderr = collect(child.stderr.take().expect("piped"));
    let filter = Filter { child, stdout: None, stderr: Some(stderr) };
    let ran = filter.end(LONG);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(simulator.with(0, |bmc, _| bmc.sol_owner()), None);
}

#[test]
fn a_signal_closes_the_console_at_the_bmc() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let simulator = simulator(Serial::Echo);
        let filter = Filter::start(console_of(&simulator));
        let owned = || simulator.with(0, |bmc, _| bmc.sol_owner().is_some());
        assert!(wait_until(LONG, owned), "connected");
        kill(Pid::from_raw(filter.child.id() as i32), signal).expect("it runs");
        let began = Instant::now();
        let ran = filter.end(LONG);
        assert_eq!((ran.code, ran.stderr), (Some(code), format!("console: ended by {signal}\n")));
        assert!(!owned());
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}

// On a terminal

/// The example on a terminal whose settings can be looked at.
struct OnTerminal {
    program: Program,
    path: PathBuf,
}

impl OnTerminal {
    fn start(command: Command) -> Self {
        let program = Program::spawn_on_terminal(command);
        let path = std::fs::read_link(format!("/proc/{}/fd/0", program.pid()));
        OnTerminal { program, path: path.expect("it has a terminal") }
    }

    /// On the shell of a simulated BMC, at its prompt.
    fn at_prompt(arguments: &[&str]) -> Self {
        let mut command = console();
        command.args(arguments);
        let terminal = Self::start(command);
        terminal.wait_for("sim:~# ");
        terminal
    }

    fn settings(&self) -> Termios {
        tcgetattr(File::open(&self.path).expect("the terminal lives")).expect("settings")
    }

    fn wait_for(&self, text: &str) -> String {
        self.program.wait_for(text, LONG)
    }

    fn type_and_see(&mut self, typed: &str, seen: &str) {
        self.program.write(typed.as_bytes());
        self.wait_for(seen);
    }

    /// Waits for its end, looks at the terminal, and gives exit status and output.
    fn end(self) -> (Option<i32>, String) {
        assert!(wait_until(LONG, || !self.program.is_running()), "{}", self.program.output());
        assert_eq!(self.settings(), fresh(), "the terminal is as it was");
        let finished = self.program.finish(LONG);
        (finished.status.code(), finished.output)
    }
}

/// The settings a new terminal has.
fn fresh() -> Termios {
    let pty = nix::pty::openpty(None, None).expect("a terminal");
    tcgetattr(pty.slave).expect("settings")
}

#[test]
fn without_arguments_a_terminal_is_greeted() {
    let mut terminal = OnTerminal::at_prompt(&[]);
    let output = terminal.wait_for("Type \"help\"");
    for said in
        ["simulating a BMC", "connecting to admin@127.0.0.1:", "cipher suite 17", "~. quits"]
    {
        assert!(output.contains(said), "{said}: {output}");
    }
    assert!(!terminal.settings().local_flags.intersects(LocalFlags::ICANON | LocalFlags::ISIG));
    terminal.type_and_see("echo hi\r", "\r\nhi\r\n");
    terminal.type_and_see("~?", "at the start of a line: ~. quits");
    terminal.type_and_see("~B", "[break]");
    terminal.wait_for("break sent");
    terminal.type_and_see("~~x\r", "~x: command not found");
    terminal.type_and_see("sleep\x03", "^C\r\n");
    terminal.program.write(b"\r~.");
    let (code, output) = terminal.end();
    assert_eq!(code, Some(0), "{output}");
    assert!(output.ends_with("console: closed\r\n"), "{output}");
}

#[test]
fn every_end_restores_the_terminal() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        let terminal = OnTerminal::at_prompt(&[]);
        terminal.program.signal(signal);
        let (code, output) = terminal.end();
        assert_eq!(code, Some(128 + signal as i32), "{output}");
        assert!(output.contains(&format!("console: ended by {signal}")), "{output}");
    }
}

#[test]
fn a_lost_console_restores_the_terminal_and_says_why() {
    let simulator = simulator(Serial::Shell);
    let mut terminal = OnTerminal::start(console_of(&simulator));
    terminal.type_and_see("echo hi\r", "\r\nhi\r\n");
    let _other = other_console(&simulator, TakeOver::Once);
    let (code, output) = terminal.end();
    assert_eq!(code, Some(6), "{output}");
    assert!(output.contains("\r\nconsole: SOL was "), "{output}");
    assert!(output.contains("console: try: "), "{output}");
}

#[test]
fn the_escape_character_can_be_another_or_none() {
    let mut terminal = OnTerminal::at_prompt(&["-e", "&"]);
    terminal.type_and_see("~.\r", "~.: command not found");
    terminal.program.write(b"&.");
    assert_eq!(terminal.end().0, Some(0));

    let mut terminal = OnTerminal::at_prompt(&["-e", "none"]);
    terminal.wait_for("escapes are off");
    terminal.type_and_see("~.\r", "~.: command not found");
    terminal.program.signal(Signal::SIGTERM);
    assert_eq!(terminal.end().0, Some(143));
}

#[test]
fn a_password_is_asked_for_without_echo() {
    let simulator = simulator(Serial::Shell);
    let ask = || {
        let address = simulator.address(0);
        let mut command = console();
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string(), "-U", "admin"]);
        let terminal = OnTerminal::start(command);
        terminal.wait_for("password of admin at 127.0.0.1: ");
        assert!(!terminal.settings().local_flags.contains(LocalFlags::ECHO));
        terminal
    };
    let mut terminal = ask();
    terminal.type_and_see("password\n", "sim:~# ");
    terminal.type_and_see("\r~.", "closed");
    let (code, output) = terminal.end();
    assert_eq!(code, Some(0), "{output}");
    assert!(!output.contains("password\r"), "{output}");

    let terminal = ask();
    terminal.program.signal(Signal::SIGINT);
    assert_eq!(terminal.end().0, Some(130));
}

// When things go wrong

/// Runs it with empty input; its exit status and what it said.
fn failed(command: Command) -> (i32, String) {
    let ran = Filter::run(command, b"");
    assert_eq!(ran.stdout, b"", "{}", ran.stderr);
    (ran.code.expect("it exited"), ran.stderr)
}

#[track_caller]
fn expect(command: Command, code: i32, words: &[&str]) {
    let (got, said) = failed(command);
    assert_eq!(got, code, "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing: {said}");
    }
}

#[test]
fn bad_credentials_are_3() {
    let simulator = simulator(Serial::Echo);
    let peer = format!("cannot connect to admin@{}: ", simulator.address(0));
    let mut password = console_of(&simulator);
    password.env("BMCLINK_PASSWORD", "guess");
    expect(password, 3, &["console: ", &peer, "wrong password", "\nconsole: try: check"]);
    let mut key = console_of(&simulator);
    key.args(["-k", "key"]);
    expect(key, 3, &[&peer, "K_g"]);
    let user = replace(console_of(&simulator), "admin", "nobody");
    expect(user, 3, &["cannot connect to nobody@", "user name"]);
    let mut level = replace(console_of(&simulator), "admin", "user");
    level.env("BMCLINK_PASSWORD", "user").args(["-L", "administrator"]);
    expect(level, 3, &["privilege"]);
}

/// The same command with another argument.
fn replace(command: Command, old: &str, new: &str) -> Command {
    let mut replaced = console();
    for argument in command.get_args() {
        replaced.arg(if argument == old { new.as_ref() } else { argument });
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => replaced.env(name, value),
            None => replaced.env_remove(name),
        };
    }
    replaced
}

fn console_at(host: &str, port: u16, timeout: &str) -> Command {
    let mut command = console();
    command.args(["-H", host, "-p", &port.to_string(), "-U", "admin", "-P", "password"]);
    command.args(["--timeout", timeout]);
    command
}

#[test]
fn what_is_not_reached_is_4() {
    // Bound, so that nobody else is there, and closed by the end of the line.
    let closed = || std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let port = closed().expect("a port").port();
    let peer = format!("admin@127.0.0.1:{port}");
    expect(console_at("127.0.0.1", port, "2"), 4, &[&peer, "port unreachable", "nobody listens"]);
    expect(console_at("no-such-host.invalid", 623, "20"), 4, &["no-such-host.invalid", "address"]);

    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("bound").port();
    expect(console_at("127.0.0.1", port, "1"), 4, &["no answer", "console: try: check address"]);
}

#[test]
fn what_is_turned_away_is_5() {
    let simulator_ = simulator(Serial::Echo);
    let other = other_console(&simulator_, TakeOver::Never);
    let mut command = console_of(&simulator_);
    command.args(["--take-over", "never"]);
    expect(command, 5, &["SOL is in use by another session", "console: try: "]);
    // Not stale: it lives.
    expect(console_of(&simulator_), 5, &["SOL is in use by another session"]);
    drop(other);

    let bmc = BmcOptions { cipher_suites: Some(vec![3]), ..BmcOptions::default() };
    let options = SimulatorOptions { serial: Serial::Echo, bmc, ..SimulatorOptions::default() };
    let simulator = Simulator::start(options).expect("a simulator");
    let mut command = console_of(&simulator);
    command.args(["-C", "17"]);
    expect(command, 5, &["cipher suite"]);
    let mut command = console_of(&simulator);
    command.args(["-C", "17,3"]);
    assert_eq!(failed(command), (0, String::new()));
}

#[test]
fn a_console_can_be_taken_over() {
    let simulator = simulator(Serial::Echo);
    let (_engine, other) = other_console(&simulator, TakeOver::Never);
    let mut command = console_of(&simulator);
    command.args(["--take-over", "once"]);
    let ran = Filter::run(command, b"mine now");
    assert_eq!((ran.code, ran.stdout), (Some(0), b"mine now".to_vec()), "{}", ran.stderr);
    other.wait_state(ConsoleState::Connected, LONG);
    let reason = other.reason().expect("not connected any more").to_string();
    // Taken, or deactivated if it was not the other's yet when the BMC was asked for the owner.
    assert!(reason.contains("SOL was "), "{reason}");
}

#[test]
fn what_is_lost_is_6_and_input_left_behind_is_counted() {
    let simulator = simulator(Serial::Echo);
    let mut filter = Filter::start(console_of(&simulator));
    assert!(wait_until(LONG, || simulator.with(0, |bmc, _| bmc.sol_owner().is_some())));
    simulator.set_reachable(0, false);
    let stdin = filter.child.stdin.as_mut().expect("piped");
    stdin.write_all(b"into the void").expect("it reads");
    // Until it was read: a BMC that is not there at all is noticed sooner.
    thread::sleep(Duration::from_millis(500));
    drop(simulator);
    let ran = filter.end(LONG * 2);
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    assert!(ran.stderr.contains("console: 13 bytes of input were not ack"), "{}", ran.stderr);
    assert!(ran.stderr.contains("console: managed system stopped answering"), "{}", ran.stderr);
    assert!(ran.stderr.contains("console: try: "), "{}", ran.stderr);
}

#[test]
fn bad_options_are_2_and_named() {
    let bad: &[(&[&str], &[&str])] = &[
        (&["-U", "x"], &["-H <HOST>"]),
        (&["-H", "x"], &["-U <USER>"]),
        (&["-H", "x", "-U", "12345678901234567"], &["12345678901234567", "16 bytes"]),
        (&["-H", "x", "-U", "x", "-p", "0"], &["'0'", "-p"]),
        (&["-H", "x", "-U", "x", "-p", "65536"], &["'65536'", "-p"]),
        (&["-C", "17,4"], &["'4'", "-C", "xRC4"]),
        (&["-C", "17,three"], &["'three'", "-C"]),
        (&["-C", "20"], &["'20'", "-C"]),
        (&["-L", "root"], &["'root'", "-L", "operator"]),
        (&["-e", "ab"], &["'ab'", "-e"]),
        (&["-e", "."], &["'.'", "-e"]),
        (&["--instance", "16"], &["'16'", "--instance"]),
        (&["--take-over", "perhaps"], &["'perhaps'", "--take-over", "stale"]),
        (&["--quirk", "odd"], &["'odd'", "--quirk", "intel20"]),
        (&["--timeout", "0"], &["'0'", "--timeout"]),
        (&["--linger", "x"], &["'x'", "--linger"]),
        (&["-H", "x", "-U", "x", "-P", "x", "-E"], &["-P", "-E"]),
        (&["-H", "x", "-U", "x"], &["no password", "-E, -f or -P"]),
        (&["-H", "x", "-U", "x", "-E"], &["BMCLINK_PASSWORD"]),
        (&["-H", "x", "-U", "x", "-K", "-P", "x"], &["BMCLINK_KG"]),
        (&["-H", "x", "-U", "x", "-f", "/no/such/file"], &["/no/such/file"]),
        (&["surplus"], &["'surplus'"]),
    ];
    for (arguments, words) in bad {
        let mut command = console();
        command.args(*arguments);
        expect(command, 2, words);
    }
}

#[test]
fn bad_secrets_are_2_and_not_repeated() {
    let long = "a-secret-of-more-than-20";
    let bad: &[(&[&str], &str)] = &[
        (&["-P", long], "20 bytes"),
        (&["-P", "x", "-k", long], "20 bytes"),
        (&["-P", "x", "-y", "5ec7e"], "5 digits"),
        (&["-P", "x", "-y", "5ec7et"], "hexadecimal"),
    ];
    for (arguments, word) in bad {
        let mut command = console();
        command.args(["-H", "x", "-U", "x"]).args(*arguments);
        let (code, said) = failed(command);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(word), "{said}");
        assert!(!said.contains("secret") && !said.contains("5ec7"), "{said}");
    }
}

// Secrets

#[test]
fn secrets_come_by_environment_file_and_option() {
    let k_g = b"\x01\x00key".to_vec();
    let bmc = BmcOptions { k_g, ..BmcOptions::default() };
    let options = SimulatorOptions { serial: Serial::Echo, bmc, ..SimulatorOptions::default() };
    let simulator = Simulator::start(options).expect("a simulator");
    let scratch = Scratch::new();
    let base = || {
        let address = simulator.address(0);
        let mut command = console();
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string(), "-U", "admin"]);
        command
    };
    for file in ["password", "password\n", "password\r\n", "password\nand more\n"] {
        let mut command = base();
        command.arg("-f").arg(scratch.write("password", file)).args(["-y", "01006b6579"]);
        let ran = Filter::run(command, b"hi");
        assert_eq!((ran.code, ran.stdout), (Some(0), b"hi".to_vec()), "{file:?}: {}", ran.stderr);
    }
    let mut command = base();
    command.args(["-P", "password", "-y", "0x01006B6579"]);
    assert_eq!(failed(command), (0, String::new()));
}

#[test]
fn secrets_need_not_be_seen() {
    let bmc = BmcOptions { k_g: b"hidden key".to_vec(), ..BmcOptions::default() };
    let options = SimulatorOptions { serial: Serial::Echo, bmc, ..SimulatorOptions::default() };
    let simulator = Simulator::start(options).expect("a simulator");
    let mut command = console_of(&simulator);
    command.args(["-K", "-vv"]).env("BMCLINK_KG", "hidden key");
    let filter = Filter::start(command);
    assert!(wait_until(LONG, || simulator.with(0, |bmc, _| bmc.sol_owner().is_some())));
    let seen = std::fs::read(format!("/proc/{}/cmdline", filter.child.id())).expect("it runs");
    kill(Pid::from_raw(filter.child.id() as i32), Signal::SIGTERM).expect("it runs");
    let ran = filter.end(LONG);
    for text in [String::from_utf8_lossy(&seen).into_owned(), ran.stderr] {
        assert!(!text.contains("hidden") && !text.contains("password"), "{text}");
    }
}
