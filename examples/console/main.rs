//! The serial console of a BMC on this terminal, or as a filter in a pipe.
//!
//! ```text
//! cargo run --example console                                  # a simulated BMC
//! cargo run --example console -- -H bmc7 -U admin              # asks for the password
//! cargo run --example console -- -H bmc7 -U admin -f FILE < commands > answers
//! ```
//!
//! The main thread connects and then copies the console to standard output, a second one copies
//! standard input to the console, a third waits for signals. Whoever finds a reason to end closes
//! the console, and that wakes the others.

mod attachment;
mod ending;
mod escape;
mod failure;
mod options;
mod target;
mod terminal;

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bmclink::sim::{Simulator, SimulatorOptions};
use bmclink::{
    Bmc, BmcConfig, Console, Credentials, Engine, EngineConfig, Error, ErrorKind, FOREVER, Reader,
};
use clap::Parser;

use attachment::Attachment;
use ending::End;
use escape::{Command, Escape};
use failure::{Failure, exit};
use options::Options;
use terminal::say;

/// How long the keyboard is not read while a break is on its way.
const BREAK_TIME: Duration = Duration::from_secs(2);
/// Standard output may be so many bytes behind before some of the console are lost.
const REPLAY_LEN: usize = 4 << 20;
/// So much can be pasted to a host that does not read, and an escape behind it still works.
const PASTE_LEN: usize = 256 << 10;

fn main() -> ExitCode {
    let options = Options::parse();
    start_log(options.verbose);
    terminal::restore_on_panic();
    let attachment = Arc::new(Attachment::default());
    // Before any other thread is started, because that would take the signals instead.
    let ended = attachment.end_on_signals().and_then(|()| run(&options, &attachment));
    terminal::restore();
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            say(&failure.text);
            if let Some(advice) = failure.advice {
                say(&format!("try: {advice}"));
            }
            ExitCode::from(failure.code)
        }
    }
}

fn start_log(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => log::LevelFilter::Debug,
        _ => log::LevelFilter::Trace,
    };
    env_logger::Builder::new()
        .filter_module("bmclink", level)
        .format(|line, record| {
            let (target, what) = (record.target(), record.args());
            write!(line, "console: [{target}] {what}{}", terminal::line_end())
        })
        .init();
}

fn run(options: &Options, attachment: &Arc<Attachment>) -> Result<u8, Failure> {
    // A filter that works is silent; at a terminal somebody wants to know.
    let interactive = io::stdin().is_terminal();
    let talks = interactive || options.verbose > 0;
    let tell = |text: &str| {
        if talks {
            say(text)
        }
    };

    // Before the engine, so that it is still there when the engine closes the session.
    let simulator;
    let config = match &options.target.host {
        Some(host) => options.target.bmc(host, true)?,
        None => {
            simulator = Simulator::start(SimulatorOptions::default())
                .map_err(|error| Failure::io("cannot simulate a BMC", &error))?;
            tell("no -H was given: simulating a BMC (user admin, password password)");
            let address = simulator.address(0);
            let credentials = Credentials::new("admin", "password")?;
            BmcConfig::new(address.ip().to_string(), credentials).port(address.port())
        }
    };
    let user = options.target.user.as_deref().unwrap_or("admin");
    let peer = format!("{user}@{}:{}", config.host, config.port);

    let mut engine_config = EngineConfig::default();
    engine_config.shards = 1;
    let engine = Engine::new(engine_config)?;
    let bmc = engine.bmc(options.target.adjust(config))?;
    let mut console_config = options.target.console().replay_len(REPLAY_LEN);
    if interactive {
        console_config.input_len = PASTE_LEN;
    }
    let console = bmc.console(console_config)?;
    let mut reader = console.reader();
    attachment.ending.set_console(&console);

    tell(&format!("connecting to {peer}"));
    if let Err(error) = console.connect(options.timeout()) {
        let failure = Failure::from(error).of(&format!("cannot connect to {peer}"));
        attachment.ending.set_end(End::Failed(failure));
        return attachment.finish(&reader, interactive);
    }
    tell(&connected(&bmc));

    let escape = Escape::new(options.escape.0.filter(|_| interactive));
    let raw = if interactive {
        tell(&escape.summary());
        Some(terminal::make_raw(io::stdin()).map_err(|error| Failure::io("terminal", &error))?)
    } else {
        None
    };
    start_input(attachment, &console, escape, options.linger(), interactive)?;
    attachment.ending.set_end(copy_output(&mut reader).unwrap_or_else(End::Failed));
    drop(raw);
    if interactive {
        // The host's prompt stands on this line.
        let _ = io::stderr().write_all(b"\n");
    }
    let code = attachment.finish(&reader, interactive)?;
    tell("closed");
    Ok(code)
}

/// What was agreed with the BMC.
fn connected(bmc: &Bmc) -> String {
    let status = bmc.status();
    let mut text = "connected".to_owned();
    if let Some(level) = status.privilege_level {
        text += &format!(" as {level}");
    }
    if let Some(suite) = status.cipher_suite {
        let warning = if suite.is_secure() { "" } else { ", which does not keep secrets" };
        text += &format!(", cipher suite {suite}{warning}");
    }
    text
}

// Standard input

/// Starts the thread that copies standard input to the console.
fn start_input(
    attachment: &Arc<Attachment>,
    console: &Console,
    escape: Escape,
    linger: Duration,
    interactive: bool,
) -> Result<(), Failure> {
    let input = Input { attachment: attachment.clone(), console: console.clone(), interactive };
    let attachment = attachment.clone();
    let copy = move || {
        let end = catch_unwind(AssertUnwindSafe(|| input.copy(escape, linger)));
        attachment.ending.end(match end {
            Ok(Ok(end)) => end,
            Ok(Err(error)) => End::Failed(Failure::lost(error)),
            Err(_) => End::Failed(Failure::new(exit::OTHER, "the input thread panicked")),
        });
    };
    match thread::Builder::new().name("input".to_owned()).spawn(copy) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::io("cannot start a thread", &error)),
    }
}

/// What the thread of standard input works with.
struct Input {
    attachment: Arc<Attachment>,
    console: Console,
    interactive: bool,
}

impl Input {
    /// Copies until the input ends, or the user ends it.
    fn copy(&self, mut escape: Escape, linger: Duration) -> Result<End, Error> {
        let mut chunk = [0; 4096];
        let mut for_host = Vec::with_capacity(2 * chunk.len());
        loop {
            let len = match io::stdin().lock().read(&mut chunk) {
                Ok(0) => break,
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The window it was in is closed.
                Err(_) if self.interactive => break,
                Err(error) => return Ok(End::Failed(Failure::io("standard input", &error))),
            };
            for byte in &chunk[..len] {
                let command = escape.take(*byte, &mut for_host);
                if let Some(command) = command {
                    self.send(&mut for_host)?;
                    match command {
                        Command::Quit => return Ok(End::Quit),
                        Command::Break => self.send_break()?,
                        Command::Help => help(&escape),
                    }
                }
            }
            self.send(&mut for_host)?;
        }
        if self.interactive {
            return Ok(End::Quit);
        }
        self.console.drain(FOREVER)?;
        self.wait_for_silence(linger)?;
        Ok(End::Quit)
    }

    /// Blocks while the BMC is slower than the input: nothing is kept here.
    fn send(&self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        self.attachment.add_offered(bytes.len());
        self.console.write_all(bytes, FOREVER)?;
        bytes.clear();
        Ok(())
    }

    fn send_break(&self) -> Result<(), Error> {
        match self.console.send_break(BREAK_TIME) {
            Ok(()) => note("break sent"),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                note("the BMC has not acknowledged the break yet");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// A console can have many readers: this one only listens whether the host still talks.
    fn wait_for_silence(&self, linger: Duration) -> Result<(), Error> {
        let mut ear = self.console.live_reader();
        let mut heard = [0; 4096];
        loop {
            match ear.read(&mut heard, linger) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Says something while the cursor stands somewhere in a line of the host.
fn note(text: &str) {
    let _ = io::stderr().write_all(terminal::line_end().as_bytes());
    say(text);
}

fn help(escape: &Escape) {
    note(&format!("at the start of a line: {}", escape.summary()));
}

// Standard output

/// Copies the console to standard output until one of them ends.
fn copy_output(reader: &mut Reader) -> Result<End, Failure> {
    let failed = |error: &io::Error| Failure::io("standard output", error);
    // Not `io::Stdout`, which keeps back what is no whole line.
    let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(|error| failed(&error))?;
    let mut stdout = File::from(stdout);
    let mut buffer = [0; 16 << 10];
    loop {
        let len = match reader.read(&mut buffer, FOREVER) {
            Ok(len) => len,
            // Closed by another thread, which has said why.
            Err(error) if error.kind() == ErrorKind::Closed => return Ok(End::Quit),
            Err(error) => return Err(Failure::lost(error)),
        };
        match stdout.write_all(&buffer[..len]) {
            Ok(()) => {}
            // Whoever read our output has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(End::Quit),
            Err(error) => return Err(failed(&error)),
        }
    }
}
