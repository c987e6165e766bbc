//! The serial console of a BMC on standard input and output, for as long as somebody wants it:
//! what conman, conserver and the like run for each of their consoles in place of
//! `ipmitool -I lanplus ... sol activate`.
//!
//! ```text
//! cargo run --example sol -- -H bmc7 -U admin -f FILE --break-string '&B'
//! ```
//!
//! The main thread copies the console to standard output and tells what happens to it, a second
//! one copies standard input to the console, a third waits for signals. Whoever finds a reason to
//! end closes the console, and that wakes the others. `examples/console_servers/` has
//! configurations for the programs that run it.

mod control;
#[path = "../console/ending.rs"]
mod ending;
#[path = "../console/escape.rs"]
mod escape;
#[path = "../console/failure.rs"]
mod failure;
mod input;
mod marker;
mod options;
mod output;
mod sequence;
#[path = "../console/target.rs"]
mod target;
#[path = "../console/terminal.rs"]
mod terminal;

use std::io::{self, IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use bmclink::{Bmc, Engine, EngineConfig, ErrorKind, EventKind, FOREVER, Reader};
use clap::Parser;

use control::{Control, Password, Signals, Stamp};
use ending::{End, Ending};
use escape::{Escape, EscapeCharacter};
use failure::{Failure, exit};
use input::Input;
use marker::Markers;
use options::Options;
use output::Output;
use sequence::Finder;
use terminal::say;

/// Standard output may be so many bytes behind before some of the console are lost.
const REPLAY_LEN: usize = 1 << 20;
/// So much can be pasted while the host does not read, and a break behind it is still found.
const PASTE_LEN: usize = 256 << 10;

fn main() -> ExitCode {
    let options = Options::parse();
    start_log(options.verbose);
    terminal::restore_on_panic();
    // Signals before any other thread is started, because that would take them instead.
    let ended = Signals::new().and_then(|signals| run(&options, signals));
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
            write!(line, "sol: [{}] {}{}", record.target(), record.args(), terminal::line_end())
        })
        .init();
}

fn run(options: &Options, signals: Signals) -> Result<u8, Failure> {
    let mut console_config = options.console()?.replay_len(REPLAY_LEN);
    console_config.input_len = PASTE_LEN;
    let path = options.target.password_file.clone();
    let stamp = path.as_deref().and_then(|path| Stamp::of(path).ok()).unwrap_or_default();
    let config = options.bmc()?;
    let user = options.target.user.as_deref().unwrap_or_default();
    let peer = format!("{user}@{}:{}", config.host, config.port);
    let k_g = options.target.k_g()?;
    let credentials = &config.credentials;
    let password = path.map(|path| Password::new(path, stamp, credentials, user, k_g));

    let output = Output::new(options.silent);
    let output = Arc::new(output.map_err(|error| Failure::io("standard output", &error))?);
    // What the host gets and prints is the host's business, not that of a line discipline.
    let on_terminal = io::stdin().is_terminal();
    let raw = on_terminal.then(|| terminal::make_raw(io::stdin())).transpose();
    let raw = raw.map_err(|error| Failure::io("terminal", &error))?;

    let mut engine_config = EngineConfig::default();
    engine_config.shards = 1;
    let engine = Engine::new(engine_config)?;
    let bmc = engine.bmc(config)?;
    let console = bmc.console(console_config)?;
    let mut reader = console.reader();
    let ending = Arc::new(Ending::default());
    ending.set_console(&console);

    let control = Control {
        signals,
        ending: ending.clone(),
        console: console.clone(),
        output: output.clone(),
        password,
    };
    start(&ending, "signals", move || {
        control.run();
        End::Quit
    })?;
    let finder = Finder::new(options.break_string.clone());
    let default = EscapeCharacter(on_terminal.then_some(b'~'));
    let escape = Escape::new(options.escape.unwrap_or(default).0);
    let input = Input::new(&console, &output, finder, escape, options.linger());
    start(&ending, "input", move || input.copy())?;

    let mut markers = Markers::new(peer);
    let end = copy(&mut reader, &output, &mut markers, &bmc, options.exit_on_loss);
    ending.set_end(end);
    ending.close();
    let code = finish(&ending, &output);
    drop(raw);
    Ok(code)
}

/// Starts a thread whose end is that of the program.
fn start(
    ending: &Arc<Ending>,
    name: &str,
    work: impl FnOnce() -> End + Send + 'static,
) -> Result<(), Failure> {
    let (ending, thread_name) = (ending.clone(), name.to_owned());
    let work = move || {
        let end = catch_unwind(AssertUnwindSafe(work));
        let failure = || Failure::new(exit::OTHER, format!("thread {thread_name} panicked"));
        ending.end(end.unwrap_or_else(|_| End::Failed(failure())));
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map(drop).map_err(|error| Failure::io("cannot start a thread", &error))
}

/// Copies the console to standard output until one of them ends.
fn copy(
    reader: &mut Reader,
    output: &Output,
    markers: &mut Markers,
    bmc: &Bmc,
    exit_on_loss: bool,
) -> End {
    let mut buffer = [0; 16 << 10];
    loop {
        let event = match reader.next(&mut buffer, FOREVER) {
            Ok(event) => event.kind,
            // By another thread, which has said why.
            Err(error) if error.kind() == ErrorKind::Closed => return End::Quit,
            Err(error) => return End::Failed(Failure::from(error)),
        };
        match event {
            EventKind::Data(bytes) => {
                // Whoever read our output has seen enough.
                if output.write(bytes).is_err() {
                    return End::Quit;
                }
            }
            EventKind::Disconnected { reason, .. } if exit_on_loss => {
                return End::Failed(markers.failure(&reason));
            }
            event => {
                if let Some(text) = markers.text(&event, bmc) {
                    output.note(&text);
                }
            }
        }
    }
}

/// Says why it ends, and gives the exit status.
fn finish(ending: &Ending, output: &Output) -> u8 {
    let end = ending.take().unwrap_or(End::Quit);
    match &end {
        End::Quit => {}
        End::Signal(signal) => output.last_note(&format!("ended by {signal}")),
        End::Failed(failure) if output.is_silent() => say(&failure.text),
        End::Failed(failure) => output.last_note(&failure.text),
    }
    end.code()
}
