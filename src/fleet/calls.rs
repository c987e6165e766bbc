//! A run whose rows are given to a function.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{FleetRun, Row};
use crate::engine::{Waiter, deadline, waiter};
use crate::error::{Error, ErrorKind, Result};

/// A run that calls back. Dropping it cancels what is not done, and waits until the function has
/// returned for the last time, unless that is where it is dropped.
pub struct FleetCalls {
    cancel: Box<dyn Fn() + Send + Sync>,
    over: Arc<Waiter<Result<()>>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> FleetRun<T> {
    /// Has `on_row` called with each row as it comes, on a thread of its own: it may block, call
    /// into the library and take its time without delaying any BMC. A panic in it is the end of
    /// that call only.
    ///
    /// Fails with `Io` when there is no thread to be had.
    pub fn call_back(self, on_row: impl FnMut(Row<T>) + Send + 'static) -> Result<FleetCalls> {
        let cancel = Box::new(self.canceller());
        let (over, done) = waiter();
        let mut on_row = on_row;
        let call = move || {
            for row in self {
                // Whoever wrote it hears of it by the panic's own message.
                let _ = catch_unwind(AssertUnwindSafe(|| on_row(row)));
            }
            done.complete(Ok(()));
        };
        let thread = thread::Builder::new().name("bmclink-fleet-calls".to_owned()).spawn(call);
        let thread = thread.map_err(|error| Error::io("cannot start a thread", &error))?;
        Ok(FleetCalls { cancel, over, thread: Some(thread) })
    }
}

impl FleetCalls {
    /// Ends what is not done: its rows say `Cancelled`, and come. Does not block.
    pub fn cancel(&self) {
        (self.cancel)();
    }

    /// Blocks until the function has been called for every BMC, at most `timeout`, then
    /// `TimedOut`. It can be waited for once; then it is `Misuse`.
    pub fn wait(&mut self, timeout: Duration) -> Result<()> {
        if self.thread.is_none() {
            return Err(Error::misuse("it was waited for already"));
        }
        let timed_out = || Err(Error::new(ErrorKind::TimedOut));
        self.over.wait(deadline(timeout)).unwrap_or_else(timed_out)?;
        self.join();
        Ok(())
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // Panics were caught one by one.
            let _ = thread.join();
        }
    }
}

impl Drop for FleetCalls {
    fn drop(&mut self) {
        self.cancel();
        self.join();
    }
}

impl fmt::Debug for FleetCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetCalls").field("waited", &self.thread.is_none()).finish_non_exhaustive()
    }
}
