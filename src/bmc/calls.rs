//! Driving a dialog by the thread that wants its result, and having it stop.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Bmc;
use crate::command::{Dialog, Turn};
use crate::engine::{BmcHandle, Interrupt, Waiter, deadline, waiter};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Reply, Request};
use crate::sync::{Mutex, now};

/// The calls that are under way in a handle and its clones: few, and mostly none.
#[derive(Default)]
pub(super) struct Calls(Mutex<Vec<Arc<Call>>>);

/// One of them.
#[derive(Default)]
struct Call(Mutex<CallState>);

#[derive(Default)]
struct CallState {
    cancelled: bool,
    /// What it waits in.
    wait: Option<Arc<dyn Interrupt>>,
}

/// A call that is under way as long as this is there.
struct Entry<'a> {
    calls: &'a Calls,
    call: Arc<Call>,
}

impl Calls {
    fn enter(&self) -> Entry<'_> {
        let call = Arc::new(Call::default());
        self.0.lock().push(call.clone());
        Entry { calls: self, call }
    }

    /// Ends all of them.
    fn cancel(&self) {
        let calls = self.0.lock().clone();
        for call in calls {
            let mut state = call.0.lock();
            state.cancelled = true;
            let wait = state.wait.take();
            drop(state);
            if let Some(wait) = wait {
                wait.interrupt(Error::new(ErrorKind::Cancelled));
            }
        }
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Calls").field(&self.0.lock().len()).finish()
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut calls = self.calls.0.lock();
        calls.retain(|call| !Arc::ptr_eq(call, &self.call));
        if calls.is_empty() {
            // Of ten thousand BMCs nearly all are asked nothing.
            *calls = Vec::new();
        }
    }
}

impl Entry<'_> {
    /// Waits for the value until `until`, or until the call is cancelled.
    fn wait<T: Send + 'static>(
        &self,
        wait: &Arc<Waiter<Result<T>>>,
        until: Option<Instant>,
    ) -> Option<Result<T>> {
        let mut state = self.call.0.lock();
        if state.cancelled {
            return Some(Err(Error::new(ErrorKind::Cancelled)));
        }
        state.wait = Some(wait.clone());
        drop(state);
        let result = wait.wait(until);
        self.call.0.lock().wait = None;
        result
    }
}

impl Bmc {
    /// Has a dialog with the BMC and blocks until it is over: a sequence of requests with one
    /// timeout.
    ///
    /// Logs in first when no session is up. The result is the function's own; `timeout` is over
    /// when a request or pause fails with `TimedOut`. See [`Dialog`] for what can be waited for.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// use bmclink::command::ChassisControl;
    ///
    /// # fn f(bmc: bmclink::Bmc) -> bmclink::Result<()> {
    /// bmc.run(Duration::from_secs(60), async |dialog| {
    ///     if !dialog.chassis_status().await?.power_on {
    ///         dialog.chassis_control(ChassisControl::PowerUp).await?;
    ///         dialog.wait_power(true, Duration::from_secs(30)).await?;
    ///     }
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn run<T>(
        &self,
        timeout: Duration,
        function: impl AsyncFnOnce(Dialog) -> Result<T>,
    ) -> Result<T> {
        let entry = self.calls.enter();
        let (dialog, driver) = Dialog::open(now(), deadline(timeout));
        let mut running = pin!(function(dialog));
        loop {
            match driver.turn(now(), running.as_mut()) {
                Turn::Over(result) => return result,
                Turn::Ask(request) => driver.answer(self.exchange(&entry, request)),
                Turn::Pause(until) => self.pause(&entry, until)?,
            }
        }
    }

    /// Ends all calls that are under way in this handle and its clones, but for those of consoles,
    /// with `Cancelled`; later ones are not touched. Does not block.
    ///
    /// What was sent may be carried out all the same.
    pub fn cancel(&self) {
        self.calls.cancel();
    }

    /// For those who drive dialogs in their own way.
    pub(crate) fn handle(&self) -> &BmcHandle {
        &self.handle
    }

    fn exchange(&self, entry: &Entry<'_>, request: Request) -> Result<Reply> {
        self.handle.exchange(request, |waiting, until| entry.wait(waiting, until))
    }

    fn pause(&self, entry: &Entry<'_>, until: Instant) -> Result<()> {
        let (wait, done) = waiter::<()>();
        let result = entry.wait(&wait, Some(until));
        drop(done);
        result.unwrap_or(Ok(()))
    }
}
