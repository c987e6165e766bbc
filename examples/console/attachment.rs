//! What the threads of the program share, and how it ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bmclink::Reader;
use nix::sys::signal::{SigSet, Signal};

use crate::ending::{End, Ending};
use crate::failure::{Failure, exit};
use crate::terminal::say;

/// The console, why it ends, and what was meant for it.
#[derive(Default)]
pub struct Attachment {
    pub ending: Ending,
    /// Bytes of input that were read for the host, whether the console has taken them or not.
    offered: AtomicU64,
}

impl Attachment {
    pub fn add_offered(&self, len: usize) {
        self.offered.fetch_add(len as u64, Ordering::Relaxed);
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
                this.ending.end(End::Signal(signal));
            }
        };
        let thread = thread::Builder::new().name("signals".to_owned()).spawn(wait);
        thread.map(drop).map_err(failed)
    }

    /// Closes the console, says what is missing of what went through it, and gives the exit
    /// status.
    pub fn finish(&self, reader: &Reader, interactive: bool) -> Result<u8, Failure> {
        self.ending.close();
        let whole = self.report_missing(reader);
        match self.ending.take() {
            Some(End::Failed(failure)) => Err(failure),
            Some(end @ End::Signal(signal)) => {
                say(&format!("ended by {signal}"));
                Ok(end.code())
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
}
