//! Why and how the program ends: what its threads share.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use bmclink::{Console, Error, ErrorKind, Reader};
use nix::sys::signal::{SigSet, Signal};

use crate::terminal::{self, say};

/// What the exit status says.
pub mod exit {
    pub const OK: u8 = 0;
    pub const OTHER: u8 = 1;
    pub const USAGE: u8 = 2;
    pub const CREDENTIALS: u8 = 3;
    pub const UNREACHABLE: u8 = 4;
    pub const REFUSED: u8 = 5;
    pub const LOST: u8 = 6;
    /// And the number of the signal.
    pub const SIGNAL: u8 = 128;
}

/// How long closing SOL at the BMC may take.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// How long the main thread may take to end once the console is closed.
const END_TIME: Duration = Duration::from_secs(4);

/// What went wrong: the exit status, one line, and what to try.
pub struct Failure {
    pub code: u8,
    pub text: String,
    pub advice: Option<&'static str>,
}

impl Failure {
    pub fn new(code: u8, text: impl Into<String>) -> Self {
        Failure { code, text: text.into(), advice: None }
    }

    pub fn io(what: &str, error: &io::Error) -> Self {
        Failure::new(exit::OTHER, format!("{what}: {error}"))
    }

    /// Says what failed in front of why.
    pub fn of(mut self, what: &str) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }

    /// Of a console that was connected.
    pub fn lost(error: Error) -> Self {
        Failure { code: exit::LOST, ..Failure::from(error) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::UserName | ErrorKind::Password | ErrorKind::KG | ErrorKind::Privilege => {
                exit::CREDENTIALS
            }
            ErrorKind::Unreachable
            | ErrorKind::ConnectionRefused
            | ErrorKind::NameNotFound
            | ErrorKind::TimedOut => exit::UNREACHABLE,
            ErrorKind::CipherSuite
            | ErrorKind::NoFreeSession
            | ErrorKind::Incompatible
            | ErrorKind::SolDisabled
            | ErrorKind::SolInUse
            | ErrorKind::SolRefused => exit::REFUSED,
            ErrorKind::Lost | ErrorKind::Stolen => exit::LOST,
            ErrorKind::Misuse => exit::USAGE,
            _ => exit::OTHER,
        };
        // The advice for misuse is for programmers.
        let advice = Some(error.advice()).filter(|_| error.kind() != ErrorKind::Misuse);
        Failure { code, text: error.to_string(), advice }
    }
}

/// Why the program ends.
pub enum End {
    /// It was asked to, or one of its streams has ended.
    Quit,
    Signal(Signal),
    Failed(Failure),
}

/// The console and why it ends, shared by all threads.
#[derive(Default)]
pub struct Attachment {
    console: OnceLock<Console>,
    end: Mutex<Option<End>>,
    /// Bytes of input that were read for the host, whether the console has taken them or not.
    offered: AtomicU64,
}

impl Attachment {
    pub fn set_console(&self, console: &Console) {
        let _ = self.console.set(console.clone());
    }

    pub fn add_offered(&self, len: usize) {
        self.offered.fetch_add(len as u64, Ordering::Relaxed);
    }

    /// Says why the program ends. The first reason is the one that counts.
    pub fn set_end(&self, end: End) {
        self.lock().get_or_insert(end);
    }

    /// Ends the program, from another thread than the main one.
    pub fn end(&self, end: End) {
        let code = match &end {
            End::Quit => exit::OK,
            End::Signal(signal) => code_of(*signal),
            End::Failed(failure) => failure.code,
        };
        self.set_end(end);
        if let Some(console) = self.console.get() {
            // Wakes the main thread wherever it waits for the console. It reads what is left,
            // and then the process is gone.
            let _ = console.close(CLOSE_TIME);
            thread::sleep(END_TIME);
        }
        // Nothing was begun yet, or standard output is stuck.
        terminal::exit(code);
    }

    /// Ends the program when a signal says so. There is no handler, which could do next to
    /// nothing: the signals are blocked and one thread waits for them.
    ///
    /// Call before any other thread is started: they all inherit that the signals are blocked.
    pub fn end_on_signals(self: &Arc<Self>) -> Result<(), Failure> {
        let all = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];
        let signals: SigSet = all.into_iter().collect();
        let failed = |error: io::Error| Failure::io("cannot wait for signals", &error);
        signals.thread_block().map_err(|error| failed(error.into()))?;
        let this = self.clone();
        let wait = move || {
            if let Ok(signal) = signals.wait() {
                this.end(End::Signal(signal));
            }
        };
        let thread = thread::Builder::new().name("signals".to_owned()).spawn(wait);
        thread.map(drop).map_err(failed)
    }

    /// Closes the console, says what is missing of what went through it, and gives the exit
    /// status.
    pub fn finish(&self, reader: &Reader, interactive: bool) -> Result<u8, Failure> {
        let console = reader.console();
        // A BMC that does not answer any more cannot stop us from leaving.
        let _ = console.close(CLOSE_TIME);
        let whole = self.report_missing(reader);
        match self.lock().take() {
            Some(End::Failed(failure)) => Err(failure),
            Some(End::Signal(signal)) => {
                say(&format!("ended by {signal}"));
                Ok(code_of(signal))
            }
            _ if whole || interactive => Ok(exit::OK),
            _ => Ok(exit::OTHER),
        }
    }

    /// Whether everything went through; says what did not.
    fn report_missing(&self, reader: &Reader) -> bool {
        let stats = reader.console().stats();
        let acknowledged = stats.written.saturating_sub(stats.input_lost + stats.pending);
        let unacknowledged = self.offered.load(Ordering::Relaxed).saturating_sub(acknowledged);
        let missing = [
            (unacknowledged, "bytes of input were not acknowledged by the BMC"),
            (reader.lost(), "bytes of output were lost: standard output is too slow"),
            (stats.gaps, "times the BMC left output out"),
            (stats.overruns, "times the BMC dropped output of its host"),
        ];
        let mut whole = true;
        for (count, what) in missing {
            if count > 0 {
                say(&format!("{count} {what}"));
                whole = false;
            }
        }
        whole
    }

    fn lock(&self) -> MutexGuard<'_, Option<End>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn code_of(signal: Signal) -> u8 {
    exit::SIGNAL + signal as u8
}
