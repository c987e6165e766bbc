//! Why and how the program ends: shared by all its threads.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use bmclink::Console;
use nix::sys::signal::Signal;

use crate::failure::{Failure, exit};
use crate::terminal;

/// How long closing SOL at the BMC may take.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// How long the main thread may take to end once the console is closed.
const END_TIME: Duration = Duration::from_secs(4);

/// Why the program ends.
pub enum End {
    /// It was asked to, or one of its streams has ended.
    Quit,
    Signal(Signal),
    Failed(Failure),
}

impl End {
    /// The exit status for it.
    pub fn code(&self) -> u8 {
        match self {
            End::Quit => exit::OK,
            End::Signal(signal) => exit::SIGNAL + *signal as u8,
            End::Failed(failure) => failure.code,
        }
    }
}

/// The console, and the first reason to end.
#[derive(Default)]
pub struct Ending {
    console: OnceLock<Console>,
    end: Mutex<Option<End>>,
}

impl Ending {
    pub fn set_console(&self, console: &Console) {
        let _ = self.console.set(console.clone());
    }

    /// Says why the program ends. The first reason is the one that counts.
    pub fn set_end(&self, end: End) {
        self.lock().get_or_insert(end);
    }

    /// Ends the program, from another thread than the main one.
    pub fn end(&self, end: End) {
        let code = end.code();
        self.set_end(end);
        if self.console.get().is_some() {
            // Wakes the main thread wherever it waits for the console. It reads what is left,
            // and then the process is gone.
            self.close();
            thread::sleep(END_TIME);
        }
        // Nothing was begun yet, or standard output is stuck.
        terminal::exit(code);
    }

    /// Closes the console. A BMC that does not answer any more cannot stop us from leaving.
    pub fn close(&self) {
        if let Some(console) = self.console.get() {
            let _ = console.close(CLOSE_TIME);
        }
    }

    /// Why it ends, once.
    pub fn take(&self) -> Option<End> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<End>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
