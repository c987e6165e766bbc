//! What all backends of an engine share: threads that may block, and one thread that keeps the
//! time and waits for the descriptors of child processes.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token, Waker};

use super::dispatch::Dispatcher;
use super::driver::Driver;
use super::logfile::LogFiles;
use crate::error::{Error, Result};
use crate::sync::{Mutex, now};

/// How many backends can block at once before others have to wait.
const WORKERS_MAX: usize = 1024;
/// What wakes the thread; everything else has a number above.
const WAKER: Token = Token(0);

/// Something that wants to know when it is late.
pub(super) trait Timed: Send + Sync {
    fn on_time(&self);
}

/// Something with descriptors.
pub(super) trait Polled: Send + Sync {
    /// One of them has something. Whether there is more of it than was taken now.
    fn on_ready(&self, writable: bool, other: bool) -> bool;
}

/// See the module.
pub(crate) struct Backends {
    callbacks: Arc<Dispatcher>,
    logs: Arc<LogFiles>,
    workers: Arc<Dispatcher>,
    drivers: Mutex<HashMap<u64, Weak<Driver>>>,
    timers: Mutex<BTreeMap<(Instant, u64), Weak<dyn Timed>>>,
    polled: Mutex<HashMap<usize, Arc<dyn Polled>>>,
    registry: Registry,
    waker: Waker,
    next_id: AtomicU64,
    stopping: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backends").finish_non_exhaustive()
    }
}

impl Backends {
    /// Starts the threads. `callbacks` and `logs` are those of the engine.
    pub fn start(callbacks: &Arc<Dispatcher>, logs: &Arc<LogFiles>) -> Result<Arc<Self>> {
        let failed = |error: std::io::Error| Error::io("cannot start a thread", &error);
        let poll = Poll::new().map_err(failed)?;
        let backends = Arc::new(Backends {
            callbacks: callbacks.clone(),
            logs: logs.clone(),
            workers: Dispatcher::new(WORKERS_MAX),
            drivers: Mutex::default(),
            timers: Mutex::default(),
            polled: Mutex::default(),
            registry: poll.registry().try_clone().map_err(failed)?,
            waker: Waker::new(poll.registry(), WAKER).map_err(failed)?,
            next_id: AtomicU64::new(1),
            stopping: AtomicBool::new(false),
            thread: Mutex::default(),
        });
        backends.workers.enter()?;
        let thread = Builder::new().name("bmclink-wait".to_owned());
        let thread = thread.spawn({
            let backends = backends.clone();
            move || backends.run(poll)
        });
        let thread = thread.map_err(|error| {
            backends.workers.stop();
            failed(error)
        })?;
        *backends.thread.lock() = Some(thread);
        Ok(backends)
    }

    /// Ends them: every console is told, and what is started is stopped.
    pub fn stop(&self) {
        let drivers: Vec<_> = self.drivers.lock().values().filter_map(Weak::upgrade).collect();
        for driver in &drivers {
            driver.shut_down();
        }
        self.workers.stop();
        for driver in &drivers {
            driver.strand();
        }
        self.stopping.store(true, Ordering::Release);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.lock().take() {
            // What panics in it is caught there.
            let _ = thread.join();
        }
    }

    /// Threads that may block.
    pub fn workers(&self) -> &Arc<Dispatcher> {
        &self.workers
    }

    /// The threads for callbacks.
    pub fn callbacks(&self) -> &Arc<Dispatcher> {
        &self.callbacks
    }

    /// Those who write log files.
    pub fn logs(&self) -> &Arc<LogFiles> {
        &self.logs
    }

    /// A number nothing else here has.
    pub fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// A driver that is to hear of the end.
    pub fn add(&self, id: u64, driver: &Weak<Driver>) {
        self.drivers.lock().insert(id, driver.clone());
    }

    /// It is gone; its timer was set for `armed`.
    pub fn remove(&self, id: u64, armed: Option<Instant>) {
        self.drivers.lock().remove(&id);
        if let Some(at) = armed {
            self.timers.lock().remove(&(at, id));
        }
    }

    /// Sets the timer with this ID, which is set for `old`, for `new`.
    pub(super) fn arm(
        &self,
        id: u64,
        old: Option<Instant>,
        new: Option<Instant>,
        whom: Weak<dyn Timed>,
    ) {
        let mut timers = self.timers.lock();
        if let Some(at) = old {
            timers.remove(&(at, id));
        }
        let Some(at) = new else { return };
        timers.insert((at, id), whom);
        let is_first = timers.first_key_value().is_some_and(|(key, _)| *key == (at, id));
        drop(timers);
        if is_first {
            // A full pipe wakes it, too.
            let _ = self.waker.wake();
        }
    }

    /// Has `polled` told of what happens at its descriptors, until [`unwatch`](Self::unwatch).
    /// The first one can be written to.
    pub(super) fn watch(
        &self,
        polled: &Arc<dyn Polled>,
        fds: &[BorrowedFd<'_>],
    ) -> std::io::Result<usize> {
        // Two tokens for each: an ID is its own and the next one.
        let id = 2 * self.new_id() as usize;
        self.polled.lock().insert(id, polled.clone());
        for (number, fd) in fds.iter().enumerate() {
            let (token, interest) = match number {
                0 => (Token(id), Interest::READABLE | Interest::WRITABLE),
                _ => (Token(id + 1), Interest::READABLE),
            };
            if let Err(error) =
                self.registry.register(&mut SourceFd(&fd.as_raw_fd()), token, interest)
            {
                self.unwatch(id, &fds[..number]);
                return Err(error);
            }
        }
        Ok(id)
    }

    /// Ends a watch. It may be told once more.
    pub fn unwatch(&self, id: usize, fds: &[BorrowedFd<'_>]) {
        self.polled.lock().remove(&id);
        for fd in fds {
            // It is there: it was registered, and is open.
            let _ = self.registry.deregister(&mut SourceFd(&fd.as_raw_fd()));
        }
    }

    fn run(&self, mut poll: Poll) {
        let mut events = Events::with_capacity(256);
        // Those that were not read to their end: they are not reported again.
        let mut unread: Vec<usize> = Vec::new();
        while !self.stopping.load(Ordering::Acquire) {
            let until = self.timers.lock().first_key_value().map(|((at, _), _)| *at);
            let wait = if unread.is_empty() {
                until.map(|at| at.saturating_duration_since(now()))
            } else {
                Some(std::time::Duration::ZERO)
            };
            if let Err(error) = poll.poll(&mut events, wait)
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                log::error!(target: "bmclink::engine", "cannot wait for processes: {error}");
                return;
            }
            let before = std::mem::take(&mut unread);
            let told = |event: &Event| (event.token().0, event.is_writable());
            for (token, writable) in events.iter().filter(|e| e.token() != WAKER).map(told) {
                self.tell(token & !1, writable, token & 1 == 1, &mut unread);
            }
            for id in before {
                self.tell(id, false, false, &mut unread);
            }
            self.tell_late();
        }
    }

    fn tell(&self, id: usize, writable: bool, other: bool, unread: &mut Vec<usize>) {
        let Some(polled) = self.polled.lock().get(&id).cloned() else { return };
        let more = catch_unwind(AssertUnwindSafe(|| polled.on_ready(writable, other)));
        if more.unwrap_or(false) && !unread.contains(&id) {
            unread.push(id);
        }
    }

    fn tell_late(&self) {
        loop {
            let mut timers = self.timers.lock();
            let Some(first) = timers.first_entry() else { return };
            if first.key().0 > now() {
                return;
            }
            let whom = first.remove();
            drop(timers);
            if let Some(whom) = whom.upgrade()
                && catch_unwind(AssertUnwindSafe(|| whom.on_time())).is_err()
            {
                log::error!(target: "bmclink::engine", "a timer panicked");
            }
        }
    }
}
