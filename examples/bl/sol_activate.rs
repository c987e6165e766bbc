//! `sol activate`: the serial console on this terminal, or through a pipe.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use bmclink::{Console, ConsoleConfig, Error, ErrorKind, FOREVER, TakeOver};
use nix::sys::signal::{SigSet, Signal};

use crate::escape::{Command, Escape};
use crate::link::Link;
use crate::terminal;
use crate::text::{Failure, Outcome};

/// How long a break may take.
const BREAK_TIME: Duration = Duration::from_secs(2);
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// A pipe has ended; what the BMC's system answers to its last line is waited for.
const LINGER: Duration = Duration::from_millis(500);
/// What is typed or pasted ahead of a system that does not read.
const PASTE_LEN: usize = 256 << 10;

/// Why it ends.
enum End {
    /// By the escape, or the end of the input.
    Quit,
    Signal,
    /// Of the console or of one of our streams; what there is to say.
    Failed(String),
}

/// What its threads share.
struct Shared {
    console: Console,
    ends: mpsc::Sender<End>,
    interactive: bool,
    is_over: AtomicBool,
}

pub fn run(link: &mut Link, instance: u8) -> Outcome {
    if link.options.version != bmclink::Version::V20 {
        return Err(Failure::new(
            "Error: This command is only available over the lanplus interface",
        ));
    }
    terminal::restore_on_panic();
    let (ends, end) = mpsc::channel();
    *attached() = Some(ends.clone());
    let mut config = ConsoleConfig::default().instance(instance).take_over(TakeOver::Never);
    config.input_len = PASTE_LEN;
    let login_time = link.login_time();
    let escape = link.options.escape;
    let console = link.bmc()?.console(config).map_err(|error| not_activated(&error))?;
    console.connect(login_time).map_err(|error| not_activated(&error))?;

    let interactive = io::stdin().is_terminal();
    out!("[SOL Session operational.  Use {}? for help]", char::from(escape));
    if interactive {
        let raw = terminal::make_raw(io::stdin());
        // Put back below, and by whatever else ends this process.
        std::mem::forget(raw.map_err(|error| Failure::new(format!("bl: terminal: {error}")))?);
    }
    let is_over = AtomicBool::new(false);
    let shared = Arc::new(Shared { console: console.clone(), ends, interactive, is_over });
    start("input", shared.clone(), move |shared| shared.copy_input(Escape::new(Some(escape))))?;
    let output = start("output", shared.clone(), |shared| shared.copy_output())?;
    let end = end.recv().unwrap_or(End::Quit);
    shared.is_over.store(true, Ordering::Relaxed);
    let _ = console.close(CLOSE_TIME);
    // What had arrived is printed before the last word.
    let _ = output.join();
    terminal::restore();
    match end {
        End::Quit => {
            if interactive {
                out!("[terminated ipmitool]");
            }
            Ok(())
        }
        End::Signal => Err(Failure::silent()),
        End::Failed(text) => Err(Failure::new(text)),
    }
}

fn not_activated(error: &Error) -> Failure {
    let line = match error.kind() {
        ErrorKind::SolInUse => "Info: SOL payload already active on another session".to_owned(),
        ErrorKind::SolDisabled => "Info: SOL payload disabled".to_owned(),
        _ => format!("Error: Unable to activate SOL: {error}"),
    };
    Failure::new(format!("{line}\nbl: try: {}", error.advice()))
}

/// Who is told of a signal: nobody before there is a console.
fn attached() -> MutexGuard<'static, Option<mpsc::Sender<End>>> {
    static ATTACHED: Mutex<Option<mpsc::Sender<End>>> = Mutex::new(None);
    ATTACHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has signals blocked and waited for by one thread, so that the terminal is put back.
///
/// Call before any other thread is started, the engine's too: those would take them instead.
pub fn end_on_signals() -> Outcome {
    let all = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];
    let signals: SigSet = all.into_iter().collect();
    let failed = |error: io::Error| Failure::new(format!("bl: cannot wait for signals: {error}"));
    signals.thread_block().map_err(|error| failed(error.into()))?;
    let wait = move || {
        if signals.wait().is_ok() {
            let ends = attached().clone();
            if ends.is_some_and(|ends| ends.send(End::Signal).is_ok()) {
                // Whoever is stuck, in standard output for one, does not keep us.
                thread::sleep(CLOSE_TIME * 2);
            }
            terminal::exit(1);
        }
    };
    let thread = thread::Builder::new().name("signals".to_owned()).spawn(wait);
    thread.map(drop).map_err(failed)
}

fn start(
    name: &str,
    shared: Arc<Shared>,
    copy: impl FnOnce(&Shared) -> End + Send + 'static,
) -> Outcome<thread::JoinHandle<()>> {
    let run = move || {
        let end = copy(&shared);
        let _ = shared.ends.send(end);
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| Failure::new(format!("bl: cannot start a thread: {error}")))
}

impl Shared {
    fn copy_output(&self) -> End {
        // Not `io::Stdout`, which keeps back what is no whole line.
        let stdout = io::stdout().as_fd().try_clone_to_owned();
        let Ok(mut stdout) = stdout.map(File::from) else {
            return End::Failed("bl: standard output is closed".to_owned());
        };
        let mut reader = self.console.reader();
        let mut buffer = [0; 16 << 10];
        loop {
            let len = match reader.read(&mut buffer, FOREVER) {
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::Closed => return End::Quit,
                Err(error) => return lost(&error),
            };
            match stdout.write_all(&buffer[..len]) {
                Ok(()) => {}
                // Whoever read our output has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return End::Quit,
                Err(error) => return End::Failed(format!("bl: standard output: {error}")),
            }
        }
    }

    fn copy_input(&self, mut escape: Escape) -> End {
        let mut chunk = [0; 4096];
        let mut bytes = Vec::with_capacity(2 * chunk.len());
        while !self.is_over.load(Ordering::Relaxed) {
            let len = match io::stdin().lock().read(&mut chunk) {
                Ok(0) => break,
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The window it was in is closed.
                Err(_) if self.interactive => break,
                Err(error) => return End::Failed(format!("bl: standard input: {error}")),
            };
            for byte in &chunk[..len] {
                let command = escape.take(*byte, &mut bytes);
                let Some(command) = command else { continue };
                if let Err(error) = self.send(&mut bytes).and_then(|()| self.obey(command, &escape))
                {
                    return lost(&error);
                }
                if command == Command::Quit {
                    return End::Quit;
                }
            }
            if let Err(error) = self.send(&mut bytes) {
                return lost(&error);
            }
        }
        if !self.interactive {
            self.wait_for_silence();
        }
        End::Quit
    }

    fn send(&self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        self.console.write_all(bytes, FOREVER)?;
        bytes.clear();
        Ok(())
    }

    fn obey(&self, command: Command, escape: &Escape) -> Result<(), Error> {
        let note = |text: &str| {
            let end = terminal::line_end();
            part!("{end}[{text}]{end}");
        };
        match command {
            Command::Quit => {}
            Command::Help => note(&format!("at the start of a line: {}", escape.summary())),
            Command::Break => match self.console.send_break(BREAK_TIME) {
                Err(error) if error.kind() != ErrorKind::TimedOut => return Err(error),
                _ => note("send break"),
            },
        }
        Ok(())
    }

    /// Until all input is at the BMC and its system has said what it has to say.
    fn wait_for_silence(&self) {
        let mut ear = self.console.live_reader();
        let mut heard = [0; 4096];
        if self.console.drain(FOREVER).is_ok() {
            while ear.read(&mut heard, LINGER).is_ok() {}
        }
    }
}

fn lost(error: &Error) -> End {
    let line = match error.kind() {
        ErrorKind::Closed => return End::Quit,
        ErrorKind::Stolen | ErrorKind::SolInUse => "SOL session closed by BMC",
        _ => "SOL session lost",
    };
    End::Failed(format!("{line}: {error}"))
}
