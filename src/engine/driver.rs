//! Runs one backend by its console's course: in order, on threads that may block.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::backend::{Backend, Sink};
use super::backends::{Backends, Timed};
use super::console::{ConsoleShared, Input};
use super::course::{Course, Step, Tell};
use super::dispatch::{Dispatcher, Task};
use super::event::EventKind;
use super::exec::{Exec, ExecConfig};
use super::logfile::LogFiles;
use super::wait::{deadline, waiter};
use crate::config::ConsoleConfig;
use crate::credentials::CredentialsWatch;
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::chance;
use crate::sync::{Mutex, now};

/// Calls of a backend in a row before the next one has its turn.
const STEPS_PER_TURN: usize = 16;
/// Input given to a backend at once.
const CHUNK_LEN: usize = 4096;

/// A console's backend, and what it is to do.
pub(crate) struct Driver {
    me: Weak<Driver>,
    id: u64,
    console: Arc<ConsoleShared>,
    backends: Arc<Backends>,
    state: Mutex<State>,
    /// Out while it runs; gone when it ended.
    work: Mutex<Option<Work>>,
    /// Held while something is told, so that all is told in order.
    telling: Mutex<()>,
    exec: Mutex<Option<ExecLink>>,
}

struct State {
    course: Course,
    /// It is in the queue, or a thread has it.
    busy: bool,
    /// There is input, or room for it.
    input: bool,
    /// The backend took nothing, and did not say since that it has room; how often it said so.
    full: bool,
    rooms: u64,
    /// How much input the backend was given or is to be given, and has not taken.
    pending: u64,
    /// The size of the window, and whether the backend was told.
    size: Option<(u16, u16)>,
    size_told: bool,
    /// The backend that follows.
    replacement: Option<Box<dyn Backend>>,
    /// For when the timer is set.
    armed: Option<Instant>,
    /// Counts, for chances.
    failures: u64,
}

struct Work {
    backend: Box<dyn Backend>,
    /// Input that is taken from the console and not by the backend.
    pending: Vec<u8>,
}

/// What an exec console follows.
struct ExecLink {
    config: ExecConfig,
    /// Dropped to end it.
    _watch: Option<CredentialsWatch>,
}

/// What is done next.
enum Next {
    Stop,
    Replace(Box<dyn Backend>),
    Start(u64),
    Resize(u16, u16),
    Input(u64),
    End,
    Nothing,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Driver {
    pub fn new(
        backends: &Arc<Backends>,
        console: &Arc<ConsoleShared>,
        backend: Box<dyn Backend>,
    ) -> Arc<Self> {
        let config = console.config();
        let state = State {
            course: Course::new(config.keep, config.retry),
            busy: false,
            input: false,
            full: false,
            rooms: 0,
            pending: 0,
            size: None,
            size_told: true,
            replacement: None,
            armed: None,
            failures: 0,
        };
        let driver = Arc::new_cyclic(|me| Driver {
            me: me.clone(),
            id: backends.new_id(),
            console: console.clone(),
            backends: backends.clone(),
            state: Mutex::new(state),
            work: Mutex::new(Some(Work { backend, pending: Vec::new() })),
            telling: Mutex::default(),
            exec: Mutex::default(),
        });
        backends.add(driver.id, &driver.me);
        driver
    }

    /// An exec console's.
    pub fn exec(
        backends: &Arc<Backends>,
        console: &Arc<ConsoleShared>,
        config: ExecConfig,
    ) -> Arc<Self> {
        let backend = Exec::new(backends, config.clone());
        let driver = Driver::new(backends, console, Box::new(backend));
        *driver.exec.lock() = Some(driver.follow(config));
        driver
    }

    // For the console's handles

    /// Begins, when it is kept.
    pub fn open(&self) {
        self.change(|state, _| state.course.open());
    }

    /// Blocks until it is connected, or says why not.
    pub fn connect(&self, timeout: Duration) -> Result<()> {
        let until = deadline(timeout);
        let (wait, done) = waiter();
        let token = self.backends.new_id();
        self.change(|state, _| state.course.connect(token, done));
        if let Some(result) = wait.wait(until) {
            return result;
        }
        self.change(|state, _| state.course.give_up(token));
        // Told by now, unless it was told something else before.
        wait.wait(None).unwrap_or_else(|| Err(Error::new(ErrorKind::TimedOut)))
    }

    /// Has it connected; its state tells how that went.
    pub fn begin_connect(&self) {
        let (_, done) = waiter();
        let token = self.backends.new_id();
        self.change(|state, _| state.course.connect(token, done));
    }

    /// Somebody is attached now, or nobody any more.
    pub fn attach(&self, attached: bool) {
        self.change(|state, now| state.course.attach(now, attached));
    }

    /// The console's configuration is another one.
    pub fn reconfigure(&self) {
        let ConsoleConfig { keep, retry, .. } = self.console.config();
        self.change(|state, now| state.course.reconfigure(now, keep, &retry));
    }

    /// Another backend in the place of this one, at once.
    pub fn replace(&self, backend: Box<dyn Backend>) {
        // Held meanwhile: of several at once, the last one is the last in every way.
        let mut exec = self.exec.lock();
        *exec = None;
        self.put_in_place(backend);
    }

    /// Another command, unless it is the same one.
    pub fn reconfigure_exec(&self, config: ExecConfig) -> Result<()> {
        let mut exec = self.exec.lock();
        match &*exec {
            Some(link) if link.config == config => return Ok(()),
            Some(_) => {}
            None => return Err(Error::misuse("this is not an exec console")),
        }
        *exec = Some(self.follow(config.clone()));
        self.put_in_place(Box::new(Exec::new(&self.backends, config)));
        Ok(())
    }

    /// There is new input in the console.
    pub fn input(&self) {
        self.change(|state, _| state.input = true);
    }

    /// The window has another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.change(|state, _| {
            state.size_told &= state.size == Some((columns, rows));
            state.size = Some((columns, rows));
        });
    }

    /// Stops it, and blocks until that is done.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        let (wait, done) = waiter();
        self.change(|state, _| state.course.close(Some(done)));
        *self.exec.lock() = None;
        let timed_out = || Err(Error::new(ErrorKind::TimedOut));
        wait.wait(deadline(timeout)).unwrap_or_else(timed_out)
    }

    /// Stops it; nobody waits for that.
    pub fn abandon(&self) {
        self.change(|state, _| state.course.close(None));
        *self.exec.lock() = None;
    }

    pub fn callbacks(&self) -> &Arc<Dispatcher> {
        self.backends.callbacks()
    }

    /// Those who write log files.
    pub fn logs(&self) -> &Arc<LogFiles> {
        self.backends.logs()
    }

    /// A number that no other console of the engine has.
    pub fn console_id(&self) -> u64 {
        // Those of SOL count up from 1.
        self.id | 1 << 63
    }

    // For the engine

    /// The engine ends.
    pub fn shut_down(&self) {
        self.change(|state, _| state.course.shut_down());
    }

    /// It has ended: nobody waits any longer for what has not stopped by now.
    pub fn strand(&self) {
        self.change(|state, _| state.course.strand());
    }

    // For sinks

    pub fn connected(&self, start: u64) -> bool {
        self.change(|state, now| {
            let live = state.course.is_live(start);
            state.course.on_connected(now, start);
            // What was written before it was known here.
            state.input = true;
            live
        })
    }

    pub fn push(&self, start: u64, bytes: &[u8]) -> bool {
        self.console.push_from(start, now(), bytes)
    }

    pub fn writable(&self, start: u64) -> bool {
        self.change(|state, _| {
            let live = state.course.is_live(start);
            if live {
                state.rooms += 1;
                state.full = false;
                state.input = true;
            }
            live
        })
    }

    pub fn end(&self, start: u64, error: &Error) -> bool {
        // Nothing it says from here on is heard, although it is told a little later.
        let live = self.console.shut(start);
        self.change(|state, now| {
            state.failures += 1;
            let chance = chance(self.id << 32 | state.failures);
            state.course.on_ended(now, start, error, chance);
        });
        live
    }

    pub fn is_live(&self, start: u64) -> bool {
        self.state.lock().course.is_live(start)
    }

    // Inside

    fn put_in_place(&self, backend: Box<dyn Backend>) {
        let old = self.change(|state, now| {
            let old = state.replacement.replace(backend);
            state.course.restart(now);
            old
        });
        // It was never started.
        drop_quietly(old);
    }

    /// Follows the credentials of a command.
    fn follow(&self, config: ExecConfig) -> ExecLink {
        let me = self.me.clone();
        let restart = move || {
            if let Some(driver) = me.upgrade() {
                driver.change(|state, now| state.course.restart(now));
            }
        };
        let watch = config.credentials.as_ref().map(|it| it.watch(Arc::new(restart)));
        ExecLink { config, _watch: watch }
    }

    /// Changes something, and sees to what follows from it.
    fn change<T>(&self, change: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.state.lock();
        let value = change(&mut state, now());
        let deadline = state.course.deadline();
        if state.armed != deadline {
            let whom: Weak<dyn Timed> = self.me.clone();
            self.backends.arm(self.id, state.armed, deadline, whom);
            state.armed = deadline;
        }
        let task = if state.has_next() && !state.busy { self.me.upgrade() } else { None };
        state.busy |= task.is_some();
        drop(state);
        self.tell();
        if let Some(task) = task {
            self.backends.workers().push(task);
            self.backends.workers().settle();
        }
        value
    }

    /// Tells what there is to tell, in order.
    fn tell(&self) {
        let _turn = self.telling.lock();
        loop {
            let Some(tell) = self.state.lock().course.next_tell() else { return };
            match tell {
                Tell::Connecting => self.console.set_connecting(),
                Tell::Connected => self.console.set_connected(0, None),
                Tell::Over { start } => {
                    self.console.shut(start);
                }
                Tell::Unconnected { start, reason, next_try } => {
                    self.console.shut(start);
                    let lost = std::mem::take(&mut self.state.lock().pending);
                    // With these the console counts it itself.
                    let kinds = [ErrorKind::Reconfigured, ErrorKind::NotConnected];
                    let counted = kinds.contains(&reason.kind()) || self.console.is_closed();
                    if lost > 0 && !counted {
                        self.console.note(EventKind::InputLost(lost));
                    }
                    let again = if next_try.is_some() { ", will be tried again" } else { "" };
                    log::info!(target: LOG, "console {}: not connected{again}: {reason}", self.id);
                    self.console.set_unconnected_until(reason, next_try);
                }
                Tell::Done(done, result) => done.complete(result),
            }
        }
    }

    /// Does one thing; whether there may be more.
    fn step(&self, work: &mut Work, next: Next) {
        match next {
            Next::Stop => {
                let _ = self.call("stop", || {
                    work.backend.stop();
                    Ok(())
                });
                // It was counted when the connection was over.
                work.pending.clear();
                self.console.set_in_session(0);
                self.change(|state, _| state.course.stopped());
            }
            Next::Replace(backend) => {
                drop_quietly(std::mem::replace(&mut work.backend, backend));
            }
            Next::Start(start) => {
                let sink = Sink::new(self.me.clone(), start);
                if let Err(error) = self.call("start", || work.backend.start(sink)) {
                    self.end(start, &error);
                }
            }
            Next::Resize(columns, rows) => {
                // It ends nothing that the size is not what it should be.
                let _ = self.call("resize", || {
                    work.backend.resize(columns, rows);
                    Ok(())
                });
            }
            Next::Input(start) => {
                if let Err(error) = self.feed(start, work) {
                    self.end(start, &error);
                }
            }
            Next::End | Next::Nothing => {}
        }
    }

    /// Moves input from the console to the backend until one of them has enough.
    fn feed(&self, start: u64, work: &mut Work) -> Result<()> {
        for _ in 0..STEPS_PER_TURN {
            if work.pending.is_empty() {
                match self.take_input(start, &mut work.pending) {
                    Input::Bytes => {}
                    Input::Break(done) => {
                        done.complete(self.call("send_break", || work.backend.send_break()));
                        self.console.set_in_session(0);
                        continue;
                    }
                    Input::Nothing => return Ok(()),
                }
            }
            let Work { backend, pending } = work;
            let Some(rooms) = self.set_pending(start, pending.len()) else { return Ok(()) };
            let taken = self.call("write", || backend.write(pending))?.min(pending.len());
            pending.drain(..taken);
            self.set_pending(start, pending.len());
            self.console.set_in_session(pending.len());
            if taken == 0 {
                let mut state = self.state.lock();
                state.full = state.rooms == rooms;
                return Ok(());
            }
        }
        self.state.lock().input = true;
        Ok(())
    }

    /// Takes input from the console, unless the start is over. Under the lock: whoever ends it
    /// then knows how much is lost with it.
    fn take_input(&self, start: u64, out: &mut Vec<u8>) -> Input {
        let mut state = self.state.lock();
        if !state.course.is_live(start) {
            return Input::Nothing;
        }
        let input = self.console.take_input(CHUNK_LEN, out);
        state.pending = out.len() as u64;
        input
    }

    /// So much would be lost if it were over now. Gives how often there was room so far; `None`
    /// when it is over.
    fn set_pending(&self, start: u64, len: usize) -> Option<u64> {
        let mut state = self.state.lock();
        let is_live = state.course.is_live(start);
        if is_live {
            state.pending = len as u64;
        }
        is_live.then_some(state.rooms)
    }

    /// Calls the backend. A panic is an error.
    fn call<T>(&self, what: &str, call: impl FnOnce() -> Result<T>) -> Result<T> {
        catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
            log::error!(target: LOG, "console {}: the backend panicked in {what}", self.id);
            let text = format!("the backend panicked in {what}");
            Err(Error::with_text(ErrorKind::Internal, text))
        })
    }
}

const LOG: &str = "bmclink::backend";

impl State {
    fn has_next(&self) -> bool {
        if self.course.has_ended() {
            return false;
        }
        self.course.has_step()
            || self.replacement.is_some() && !self.course.is_started()
            || !self.size_told
            || self.takes_input()
    }

    fn takes_input(&self) -> bool {
        self.input && !self.full && self.course.is_connected()
    }

    /// What is to be done next: it counts as begun.
    fn next(&mut self) -> Next {
        let ended = self.course.has_ended();
        if !self.course.is_started()
            && !ended
            && let Some(backend) = self.replacement.take()
        {
            self.size_told = self.size.is_none();
            return Next::Replace(backend);
        }
        if !self.size_told
            && !ended
            && let Some((columns, rows)) = self.size
        {
            self.size_told = true;
            return Next::Resize(columns, rows);
        }
        match self.course.next_step() {
            Step::Stop => Next::Stop,
            Step::Start(start) => {
                self.full = false;
                Next::Start(start)
            }
            Step::End => Next::End,
            Step::Nothing if self.takes_input() => {
                self.input = false;
                Next::Input(self.course.start())
            }
            Step::Nothing => Next::Nothing,
        }
    }
}

impl Task for Driver {
    fn run(self: Arc<Self>, _: &mut Vec<u8>) {
        let Some(mut work) = self.work.lock().take() else { return };
        for _ in 0..STEPS_PER_TURN {
            let mut state = self.state.lock();
            let next = state.next();
            match next {
                Next::Start(start) => {
                    // Under the lock: that it is over is told after this, however soon.
                    self.console.open(start);
                    drop(state);
                }
                Next::Nothing => {
                    *self.work.lock() = Some(work);
                    state.busy = false;
                    return;
                }
                Next::End => {
                    let replacement = state.replacement.take();
                    drop(state);
                    drop_quietly((work.backend, replacement));
                    return self.tell();
                }
                _ => drop(state),
            }
            self.tell();
            self.step(&mut work, next);
        }
        *self.work.lock() = Some(work);
        self.backends.workers().push(self.clone());
        self.backends.workers().settle();
    }
}

impl Timed for Driver {
    fn on_time(&self) {
        self.change(|state, now| {
            // The timer is not set any more.
            state.armed = state.armed.filter(|at| *at > now);
            state.course.on_time(now);
        });
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let (armed, replacement) = {
            let mut state = self.state.lock();
            (state.armed.take(), state.replacement.take())
        };
        self.backends.remove(self.id, armed);
        let work = self.work.lock().take();
        drop_quietly((work.map(|work| work.backend), replacement));
    }
}

/// A user's values may panic when they are dropped, too.
fn drop_quietly<T>(value: T) {
    if catch_unwind(AssertUnwindSafe(|| drop(value))).is_err() {
        log::error!(target: LOG, "a backend panicked when it was dropped");
    }
}
