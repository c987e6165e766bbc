//! The sol example as the programs run it that keep one per console: on sockets that do not block,
//! on terminals, in pipes, and through every kind of trouble.

// Its unit tests run here: an example's own are run by nobody.
#[path = "../examples/sol/sequence.rs"]
#[allow(dead_code)]
mod sequence;

mod support;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bmclink::sim::{Serial, Simulator, SimulatorOptions};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, OutputFlags, tcgetattr};
use nix::unistd::Pid;
use support::{Finished, Program, Scratch, example, wait_until};

const LONG: Duration = Duration::from_secs(60);

fn sol() -> Command {
    let mut command = example("sol");
    for name in ["BMCLINK_PASSWORD", "BMCLINK_KG", "IPMITOOL_PASSWORD", "IPMI_PASSWORD"] {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG");
    command
}

/// For the BMC at that address, as `admin`.
fn sol_at(address: SocketAddr) -> Command {
    let mut command = sol();
    command.args(["-H", &address.ip().to_string(), "-p", &address.port().to_string()]);
    command.args(["-U", "admin"]);
    command
}

fn sol_of(simulator: &Simulator) -> Command {
    let mut command = sol_at(simulator.address(0));
    command.arg("-E").env("BMCLINK_PASSWORD", "password");
    command
}

fn simulator(serial: Serial) -> Simulator {
    simulator_on(serial, 0)
}

fn simulator_on(serial: Serial, port: u16) -> Simulator {
    let options = SimulatorOptions { serial, port, ..SimulatorOptions::default() };
    Simulator::start(options).expect("a simulator")
}

fn is_owned(simulator: &Simulator) -> bool {
    simulator.with(0, |bmc, _| bmc.sol_owner().is_some())
}

#[track_caller]
fn wait_for_release(simulator: &Simulator) {
    assert!(wait_until(LONG, || !is_owned(simulator)), "SOL is active at the BMC");
}

// As conman runs it

/// On one socket for everything, which does not block.
struct OnSocket {
    child: Child,
    ours: Option<UnixStream>,
    output: Vec<u8>,
}

impl OnSocket {
    fn start(mut command: Command) -> Self {
        let (ours, theirs) = UnixStream::pair().expect("two sockets");
        theirs.set_nonblocking(true).expect("a socket of ours");
        ours.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket of ours");
        let fd = || OwnedFd::from(theirs.try_clone().expect("a descriptor"));
        command.stdin(fd()).stdout(fd()).stderr(fd()).process_group(0);
        let child = command.spawn().expect("the example starts");
        OnSocket { child, ours: Some(ours), output: Vec::new() }
    }

    /// On the shell of a simulated BMC, at its prompt.
    fn at_prompt(command: Command) -> Self {
        let mut socket = Self::start(command);
        socket.wait_for("sim:~# ");
        socket
    }

    fn write(&mut self, bytes: &[u8]) {
        self.ours.as_ref().expect("open").write_all(bytes).expect("it reads");
    }

    /// Reads a little; whether that is all there ever is.
    fn read(&mut self) -> bool {
        let mut chunk = [0; 4096];
        match self.ours.as_ref().expect("open").read(&mut chunk) {
            Ok(0) => return true,
            Ok(len) => self.output.extend_from_slice(&chunk[..len]),
            Err(error) => {
                let kinds = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                return !kinds.contains(&error.kind());
            }
        }
        false
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// Waits for `text` and takes all up to it out of the output.
    #[track_caller]
    fn wait_for(&mut self, text: &str) -> String {
        let end = Instant::now() + LONG;
        loop {
            if let Some(at) = self.text().find(text) {
                return String::from_utf8_lossy(
                    &self.output.drain(..at + text.len()).collect::<Vec<u8>>(),
                )
                .into_owned();
            }
            let ended = self.read();
            let late = ended || Instant::now() > end;
            assert!(!late || self.text().contains(text), "no {text:?}: {}", self.text());
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it runs");
    }

    /// Waits for its end; the exit status, and what it had still to say.
    #[track_caller]
    fn end(&mut self) -> (Option<i32>, String) {
        let ended = wait_until(LONG, || !matches!(self.child.try_wait(), Ok(None)));
        assert!(ended, "it does not end");
        while self.ours.is_some() && !self.read() {}
        (self.child.wait().expect("our own child").code(), self.text())
    }
}

impl Drop for OnSocket {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn on_a_socket_that_does_not_block_a_break_string_is_a_break() {
    let simulator = simulator(Serial::Shell);
    let mut command = sol_of(&simulator);
    command.args(["--break-string", "&B"]);
    let mut socket = OnSocket::start(command);
    socket.wait_for("[bmclink: connected to admin@127.0.0.1:");
    socket.wait_for("sim:~# ");
    // In the middle of a line, where an escape character would mean nothing.
    socket.write(b"echo hi");
    socket.wait_for("echo hi");
    socket.write(b"&B");
    let said = socket.wait_for("[break]");
    assert!(said.contains("[bmclink: break sent]"), "{said}");
    socket.write(b"\recho a && echo &C\r");
    socket.wait_for("a && echo &C\r\n");
    // Its first byte alone is held back, and not for ever.
    socket.write(b"&");
    socket.wait_for("&");
    // conman closes the socket when it ends.
    socket.ours = None;
    assert_eq!(socket.end().0, Some(0));
    assert!(!is_owned(&simulator));
}

#[test]
fn a_flood_nobody_reads_stops_neither_a_signal_nor_the_end_of_the_input() {
    for by_signal in [true, false] {
        let simulator = simulator(Serial::Flood);
        let mut socket = OnSocket::start(sol_of(&simulator));
        socket.wait_for("connected to");
        // More than a socket holds: it waits for us to read.
        let received = || simulator.counters().received;
        let full = received() + 2000;
        assert!(wait_until(LONG, || received() > full));
        if by_signal {
            socket.signal(Signal::SIGTERM);
            assert!(wait_until(LONG, || !matches!(socket.child.try_wait(), Ok(None))));
            assert_eq!(socket.child.wait().expect("ended").code(), Some(143));
        } else {
            socket.ours = None;
            assert_eq!(socket.end().0, Some(0));
        }
        wait_for_release(&simulator);
    }
}

// In a pipe

#[test]
fn silent_it_passes_every_byte_both_ways_and_ends_with_its_input() {
    let simulator = simulator(Serial::Echo);
    let mut command = sol_of(&simulator);
    command.args(["--silent", "--linger", "1500", "-I", "lanplus", "sol", "activate"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the example starts");
    let input: Vec<u8> = (0..64 << 10).map(|at| (at ^ at >> 8) as u8).collect();
    let (mut stdin, wanted) = (child.stdin.take().expect("piped"), input.clone());
    let feed = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("it ends");
    feed.join().expect("fed").expect("it reads all");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.stdout == wanted, "{} of {} bytes", output.stdout.len(), wanted.len());
    assert_eq!(output.status.code(), Some(0));
    assert!(!is_owned(&simulator));
}

#[test]
fn the_start_of_a_break_string_at_the_end_of_the_input_is_text() {
    let simulator = simulator(Serial::Echo);
    let mut command = sol_of(&simulator);
    command.args(["--silent", "--break-string", "&B"]);
    let mut program = Program::spawn(command);
    program.write(b"a && b &");
    program.close_input();
    let Finished { status, output } = program.finish(LONG);
    assert_eq!((status.code(), output.as_str()), (Some(0), "a && b &"));
}

#[test]
fn input_that_does_not_go_through_is_told() {
    let simulator = simulator(Serial::None);
    simulator.with(0, |bmc, _| bmc.set_serial_input_limit(Some(100)));
    let mut program = Program::spawn(sol_of(&simulator));
    program.write(&[b'x'; 1000]);
    program.close_input();
    let Finished { status, output } = program.finish(LONG);
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("bytes of input were not acknowledged by the BMC]"), "{output}");
}

// On a terminal, as conserver and goconserver run it

#[test]
fn a_terminal_is_raw_while_it_runs_and_has_escapes() {
    let simulator = simulator(Serial::Shell);
    let mut program = Program::spawn_on_terminal(sol_of(&simulator));
    let path = std::fs::read_link(format!("/proc/{}/fd/0", program.pid())).expect("a terminal");
    let settings = || tcgetattr(File::open(&path).expect("a terminal")).expect("settings");
    program.wait_for("sim:~# ", LONG);
    let raw = settings();
    assert!(!raw.local_flags.intersects(LocalFlags::ICANON | LocalFlags::ISIG | LocalFlags::ECHO));
    assert!(!raw.output_flags.contains(OutputFlags::OPOST));
    program.write(b"~?");
    program.wait_for("[bmclink: at the start of a line: ~. quits, ~B sends a break", LONG);
    program.write(b"~B");
    program.wait_for("[bmclink: break sent]", LONG);
    program.wait_for("[break]", LONG);
    program.write(b"\r~.");
    assert!(wait_until(LONG, || !program.is_running()), "{}", program.output());
    assert!(settings().local_flags.contains(LocalFlags::ICANON | LocalFlags::ECHO));
    assert_eq!(program.finish(LONG).status.code(), Some(0));
    assert!(!is_owned(&simulator));
}

#[test]
fn without_an_escape_character_a_terminal_is_eight_bits_clean() {
    let simulator = simulator(Serial::Echo);
    let mut command = sol_of(&simulator);
    command.args(["-e", "none", "--break-string", "^^B"]);
    let mut program = Program::spawn_on_terminal(command);
    program.wait_for("connected to", LONG);
    program.write(b"~.\r~B\x03\x04\x11\x13\x1a~?\x1eb!");
    program.wait_for("~.\r~B\x03\x04\x11\x13\x1a~?\x1eb!", LONG);
    assert!(program.is_running());
}

// Signals

#[test]
fn signals_end_it_and_free_the_console() {
    for (signal, code) in [
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
        (Signal::SIGINT, 130),
        (Signal::SIGQUIT, 131),
    ] {
        let simulator = simulator(Serial::Shell);
        let mut socket = OnSocket::at_prompt(sol_of(&simulator));
        socket.signal(signal);
        let (status, output) = socket.end();
        assert_eq!(status, Some(code), "{output}");
        assert!(output.ends_with(&format!("\r\n[bmclink: ended by {signal}]\r\n")), "{output}");
        assert!(!is_owned(&simulator));
    }
}

#[test]
fn a_signal_sends_a_break() {
    let simulator = simulator(Serial::Shell);
    let mut socket = OnSocket::at_prompt(sol_of(&simulator));
    socket.signal(Signal::SIGUSR1);
    socket.wait_for("[break]");
}

/// The BMC cannot know that it is gone, before that session expires.
#[test]
fn a_killed_one_leaves_a_console_that_can_be_taken_over() {
    let simulator = simulator(Serial::Shell);
    let socket = OnSocket::at_prompt(sol_of(&simulator));
    drop(socket);
    assert!(is_owned(&simulator), "SIGKILL gave it no time");
    let mut socket = OnSocket::start(sol_of(&simulator));
    socket.wait_for("[bmclink: not connected: SOL is in use by another session");
    drop(socket);
    let mut command = sol_of(&simulator);
    command.args(["--take-over", "once"]);
    let mut socket = OnSocket::at_prompt(command);
    socket.write(b"echo again\r");
    socket.wait_for("\nagain");
}

// Trouble

#[test]
fn it_heals_and_drops_what_is_typed_meanwhile() {
    let bmc = simulator(Serial::Shell);
    let port = bmc.address(0).port();
    let mut command = sol_of(&bmc);
    command.args(["--lost-after", "2"]);
    let mut socket = OnSocket::at_prompt(command);
    drop(bmc);
    socket.write(b"echo lost\r");
    let said = socket.wait_for("[bmclink: disconnected: managed system stopped answering");
    assert!(said.contains("bytes of input were lost]\r\n"), "{said}");
    // Attempts fail meanwhile, and somebody types.
    socket.write(b"echo in vain\r");
    socket.wait_for("what is typed is dropped]\r\n");
    let bmc = simulator_on(Serial::Shell, port);
    socket.wait_for("[bmclink: connected to");
    socket.wait_for("sim:~# ");
    socket.write(b"echo back\r");
    let said = socket.wait_for("\nback");
    assert!(!said.contains("vain") && !said.contains("lost"), "{said}");
    drop(socket);
    drop(bmc);
}

#[test]
fn a_restart_of_the_bmc_is_survived() {
    let simulator = simulator(Serial::Shell);
    let mut command = sol_of(&simulator);
    command.args(["--lost-after", "2"]);
    let mut socket = OnSocket::at_prompt(command);
    simulator.with(0, |bmc, now| bmc.reset(now));
    // Somebody types until there is an answer, as people do.
    let end = Instant::now() + LONG;
    while !socket.text().contains("\nback") {
        assert!(Instant::now() < end, "{}", socket.text());
        socket.write(b"echo back\r");
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until && !socket.text().contains("\nback") {
            socket.read();
        }
    }
    assert!(socket.text().contains("[bmclink: connected to"), "{}", socket.text());
}

/// Says no to the password it has, until the file has the right one.
fn refused(scratch: &Scratch, simulator: &Simulator) -> OnSocket {
    let mut command = sol_at(simulator.address(0));
    command.arg("-f").arg(scratch.write("password", "old\n"));
    let mut socket = OnSocket::start(command);
    let said = socket.wait_for("; next try in ");
    assert!(said.contains("[bmclink: not connected: wrong password"), "{said}");
    socket.write(b"\r");
    socket.wait_for("what is typed is dropped]\r\n");
    let logins = simulator.with(0, |bmc, _| *bmc.counters());
    std::thread::sleep(Duration::from_millis(300));
    let later = simulator.with(0, |bmc, _| *bmc.counters());
    assert_eq!(format!("{logins:?}"), format!("{later:?}"), "a key tried a bad password again");
    socket
}

#[test]
fn a_signal_has_the_password_file_read_again() {
    let (scratch, simulator) = (Scratch::new(), simulator(Serial::Shell));
    let mut socket = refused(&scratch, &simulator);
    scratch.write("password", "\n");
    socket.signal(Signal::SIGUSR2);
    socket.wait_for("the first line is empty; the old password stays]");
    std::fs::remove_file(scratch.join("password")).expect("it is there");
    socket.signal(Signal::SIGUSR2);
    socket.wait_for("; the old password stays]");
    scratch.write("password", "password\n");
    socket.signal(Signal::SIGUSR2);
    // Behind that line or before it.
    socket.wait_for("password file read again]");
    socket.wait_for("sim:~# ");
}

#[test]
fn another_password_in_the_file_is_found() {
    let (scratch, simulator) = (Scratch::new(), simulator(Serial::Shell));
    let mut socket = refused(&scratch, &simulator);
    scratch.write("new", "password\n");
    std::fs::rename(scratch.join("new"), scratch.join("password")).expect("the same folder");
    // Behind that line or before it.
    socket.wait_for("password file read again]");
    socket.wait_for("sim:~# ");
}

#[test]
fn the_same_failure_is_told_once() {
    let simulator = simulator(Serial::Shell);
    let address = simulator.address(0);
    drop(simulator);
    let mut command = sol_at(address);
    command.args(["-P", "password", "-v"]);
    let mut socket = OnSocket::start(command);
    // -v logs each attempt; a third one shows that there was a second failure.
    for _ in 0..3 {
        socket.wait_for("port unreachable");
        socket.read();
    }
    let _simulator = simulator_on(Serial::Shell, address.port());
    let said = socket.wait_for("[bmclink: connected to");
    assert!(said.matches("[bmclink: not connected").count() <= 1, "{said}");
}

// Ends by cause

#[track_caller]
fn expect(command: Command, code: i32, words: &[&str]) {
    let mut socket = OnSocket::start(command);
    let (got, said) = socket.end();
    assert_eq!(got, Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing: {said}");
    }
}

#[test]
fn exit_on_loss_says_the_cause() {
    let simulator_ = simulator(Serial::Shell);
    let mut command = sol_of(&simulator_);
    command.arg("--exit-on-loss").env("BMCLINK_PASSWORD", "guess");
    expect(command, 3, &["[bmclink: cannot connect to admin@127.0.0.1:", "wrong password"]);

    let mut socket = OnSocket::at_prompt(sol_of(&simulator_));
    let mut command = sol_of(&simulator_);
    command.args(["--exit-on-loss", "--take-over", "never"]);
    expect(command, 5, &["SOL is in use by another session"]);
    socket.signal(Signal::SIGTERM);
    socket.end();

    let mut command = sol_of(&simulator_);
    command.args(["--exit-on-loss", "--lost-after", "2"]);
    let mut socket = OnSocket::at_prompt(command);
    let address = simulator_.address(0);
    drop(simulator_);
    socket.write(b"x");
    let (code, said) = socket.end();
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("managed system stopped answering"), "{said}");

    for (silent, start) in [(None, "[bmclink: "), (Some("--silent"), "sol: ")] {
        let mut command = sol_at(address);
        command.args(["--exit-on-loss", "-P", "password"]).args(silent);
        expect(command, 4, &[&format!("{start}cannot connect to"), "port unreachable"]);
    }
}

#[test]
fn bad_options_are_2_and_named() {
    let bad: &[(&[&str], &[&str])] = &[
        (&[], &["-H <HOST>"]),
        (&["-H", "x"], &["-U <USER>"]),
        (&["-H", "x", "-U", "x"], &["no password was given", "-E, -f or -P"]),
        (&["-H", "x", "-U", "x", "-E"], &["BMCLINK_PASSWORD"]),
        (&["-H", "x", "-U", "x", "-f", "/no/such/file"], &["/no/such/file"]),
        (&["-H", "x", "-U", "x", "--password-fd", "77"], &["--password-fd 77"]),
        (&["-H", "x", "-U", "x", "-P", "x", "-I", "lan"], &["'lan'", "lanplus"]),
        (&["-H", "x", "-U", "x", "-P", "x", "sol", "deactivate"], &["'sol deactivate'"]),
        (&["-H", "x", "-U", "x", "-P", "x", "sol", "activate", "instance=16"], &["instance=16"]),
        (&["-H", "x", "-U", "x", "-P", "x", "--break-string", ""], &["--break-string", "empty"]),
        (&["-H", "x", "-U", "x", "-P", "x", "--break-string", r"\400"], &["octal", "377"]),
        (&["-H", "x", "-U", "x", "-P", "x", "-e", "ab"], &["'ab'"]),
        (&["-H", "x", "-U", "12345678901234567", "-P", "x"], &["16 bytes"]),
    ];
    for (arguments, words) in bad {
        let mut command = sol();
        command.args(*arguments);
        expect(command, 2, words);
    }
}

#[test]
fn a_password_comes_by_descriptor_and_by_the_variables_of_ipmitool() {
    let simulator = simulator(Serial::Shell);
    let scratch = Scratch::new();
    let file = scratch.write("password", "password\nand more\n");
    let address = simulator.address(0);
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg("exec \"$0\" \"$@\" --password-fd 7 7<\"$FILE\"").env("FILE", &file);
    let inner = sol_at(address);
    command.arg(inner.get_program()).args(inner.get_args());
    let mut socket = OnSocket::at_prompt(command);
    socket.signal(Signal::SIGTERM);
    socket.end();
    for name in ["IPMITOOL_PASSWORD", "IPMI_PASSWORD"] {
        let mut command = sol_at(address);
        command.arg("-E").env(name, "password");
        let mut socket = OnSocket::at_prompt(command);
        socket.signal(Signal::SIGTERM);
        socket.end();
    }
}
