//! Threads, sockets, clock: never looks inside a datagram.

mod admission;
mod backend;
mod backends;
mod bell;
mod callback;
mod calls;
mod console;
mod course;
mod deadline;
mod dispatch;
mod driver;
mod event;
mod exec;
mod inbox;
mod logfile;
#[cfg(all(test, loom))]
#[path = "tests/models/mod.rs"]
mod models;
#[cfg(all(test, feature = "sim", not(loom)))]
#[path = "tests/panics.rs"]
mod panics;
mod process;
mod ready;
mod resolve;
mod sessions;
mod shard;
mod slots;
mod socket;
mod sockets;
mod state;
mod stats;
mod task;
mod wait;
mod watch;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::{Poll, Waker};

use self::admission::Admission;
pub use self::backend::{Backend, Sink};
use self::backends::Backends;
pub(crate) use self::bell::Bell;
pub(crate) use self::callback::{Callback, Subscriber};
use self::calls::{Command, ConsoleCall};
pub(crate) use self::console::{CLOSE_GRACE, ConsoleShared};
pub use self::console::{ConsoleState, ConsoleStats, Why};
pub(crate) use self::dispatch::Dispatcher;
pub(crate) use self::driver::Driver;
pub use self::event::{ConsoleEvent, EventKind};
pub use self::exec::{ExecConfig, Signature};
use self::inbox::{Inbox, inbox};
pub use self::logfile::LogStatus;
pub(crate) use self::logfile::{LogFiles, LogShared};
pub use self::ready::{Events, Ready};
use self::resolve::Resolvers;
use self::shard::Shard;
pub use self::slots::BmcStatus;
pub(crate) use self::slots::{BmcKey, BmcShared};
use self::sockets::WAKER;
pub use self::stats::{BmcStats, EngineStats, ShardStats};
pub(crate) use self::task::{Question, ReplyTo, TaskReply};
pub(crate) use self::wait::{Interrupt, Waiter, deadline, waiter};
pub(crate) use self::watch::{FdList, Place, Watch, fd_list};
use crate::config::{BmcConfig, EngineConfig};
use crate::credentials::CredentialsWatch;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Reply, Request};
use crate::sync::Mutex;

/// How long a thread whose timeout is over waits for the shard's word on why: a turn of its
/// loop, on a machine that is busy.
const LAST_WORD: Duration = Duration::from_secs(2);

/// How long a reply may be late behind its request's deadline.
const REPLY_GRACE: Duration = Duration::from_millis(200);

/// The threads that run sessions. Dropping it closes every session at its BMC and ends every
/// thread, within three seconds.
///
/// Callbacks get what happened by then; one that is still running two seconds later is not waited
/// for, and its thread ends with it. So it is with a [`Backend`] that does not stop within two
/// seconds.
///
/// Handles of BMCs and consoles may outlive it: their calls then fail with `ShutDown`.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<EngineShared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
pub(crate) struct EngineShared {
    shards: Vec<ShardHandle>,
    next_id: AtomicU64,
    dispatcher: Arc<Dispatcher>,
    logs: Arc<LogFiles>,
    known: Mutex<Known>,
    /// There when the first console has a backend.
    backends: Mutex<Option<Arc<Backends>>>,
}

/// The BMCs there are, by host and port: equal settings mean the same one.
#[derive(Debug, Default)]
struct Known {
    bmcs: HashMap<(String, u16), Vec<Weak<BmcHandle>>>,
    /// How many places there may be before those of BMCs that are gone are looked for.
    len_max: usize,
}

impl Known {
    fn find(&self, config: &BmcConfig) -> Option<Arc<BmcHandle>> {
        let handles = self.bmcs.get(&(config.host.clone(), config.port))?;
        let same = |handle: &Arc<BmcHandle>| *handle.shared.config.lock() == *config;
        handles.iter().filter_map(Weak::upgrade).find(same)
    }

    fn add(&mut self, config: &BmcConfig, handle: &Arc<BmcHandle>) {
        let handles = self.bmcs.entry((config.host.clone(), config.port)).or_default();
        handles.retain(|handle| handle.strong_count() > 0);
        handles.reserve_exact(1);
        handles.push(Arc::downgrade(handle));
        if self.bmcs.len() > self.len_max {
            self.bmcs.retain(|_, handles| handles.iter().any(|h| h.strong_count() > 0));
            self.len_max = (self.bmcs.len() * 2).max(64);
        }
    }
}

impl EngineShared {
    fn new(shards: Vec<ShardHandle>, config: &EngineConfig) -> Arc<Self> {
        let dispatcher = Dispatcher::new(config.dispatchers_max);
        Arc::new(EngineShared {
            shards,
            next_id: AtomicU64::new(1),
            dispatcher,
            logs: LogFiles::new(),
            known: Mutex::default(),
            backends: Mutex::default(),
        })
    }
}

struct ShardHandle {
    inbox: Inbox<Command>,
    bmcs: AtomicUsize,
}

impl std::fmt::Debug for ShardHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardHandle").field("bmcs", &self.bmcs).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts the threads.
    ///
    /// Fails with `Misuse` for a value out of range, with `Io` when the system gives no thread
    /// or poll.
    pub fn new(config: EngineConfig) -> Result<Engine> {
        config.check()?;
        let failed = |error: io::Error| Error::io("cannot start a shard", &error);
        let mut polls = Vec::new();
        let mut shards = Vec::new();
        for _ in 0..config.shards {
            let poll = Poll::new().map_err(failed)?;
            let waker = Waker::new(poll.registry(), WAKER).map_err(failed)?;
            let (inbox, outlet) = inbox(config.inbox_len, waker);
            polls.push((poll, outlet));
            shards.push(ShardHandle { inbox, bmcs: AtomicUsize::new(0) });
        }
        let inboxes: Vec<_> = shards.iter().map(|shard| shard.inbox.clone()).collect();
        let admission = Arc::new(Admission::new(
            config.login_rate,
            config.logins_at_once,
            config.shards,
            Instant::now(),
            Box::new(move |shard| inboxes[shard].wake()),
        ));
        let resolvers = Arc::new(Resolvers::new(config.resolvers));
        let shared = EngineShared::new(shards, &config);
        // From here on, an engine that is not finished ends those threads it has.
        let mut engine = Engine { shared: shared.clone(), threads: Vec::new() };
        for (number, (poll, outlet)) in polls.into_iter().enumerate() {
            let shard = Shard::new(
                poll,
                outlet,
                shared.shards[number].inbox.clone(),
                number,
                config.clone(),
                resolvers.clone(),
                admission.clone(),
            );
            let thread = thread::Builder::new().name(format!("bmclink-{number}"));
            engine.threads.push(thread.spawn(move || shard.run()).map_err(failed)?);
        }
        Ok(engine)
    }

    /// What was counted since the engine was made, by shard. Blocks for one turn of each shard's
    /// loop; fails with `TimedOut` when one does not answer within two seconds.
    pub fn stats(&self) -> Result<EngineStats> {
        let until = deadline(LAST_WORD);
        let mut waits = Vec::new();
        for shard in &self.shared.shards {
            let (wait, done) = waiter();
            shard.inbox.send(Command::Stats { done }, until)?;
            waits.push(wait);
        }
        let answer = |wait: &Arc<wait::Waiter<_>>| {
            wait.wait(until).unwrap_or_else(|| Err(Error::new(ErrorKind::TimedOut)))
        };
        Ok(EngineStats { shards: waits.iter().map(answer).collect::<Result<_>>()? })
    }

    /// What all backends share; begun with the first.
    pub(crate) fn backends(&self) -> Result<Arc<Backends>> {
        let mut backends = self.shared.backends.lock();
        if let Some(backends) = &*backends {
            return Ok(backends.clone());
        }
        Ok(backends.insert(Backends::start(&self.shared.dispatcher, &self.shared.logs)?).clone())
    }

    /// The BMC with these settings: the one that there is, or another one.
    pub(crate) fn add(&self, config: BmcConfig) -> Result<Arc<BmcHandle>> {
        config.check()?;
        if let Some(handle) = self.shared.known.lock().find(&config) {
            return Ok(handle);
        }
        // Not under the lock: it takes a turn of the shard.
        let another = Arc::new(self.add_another(config.clone())?);
        let mut known = self.shared.known.lock();
        let handle = known.find(&config).unwrap_or_else(|| {
            known.add(&config, &another);
            another.clone()
        });
        drop(known);
        Ok(handle)
    }

    fn add_another(&self, config: BmcConfig) -> Result<BmcHandle> {
        let credentials = config.credentials.clone();
        let before = credentials.current();
        let shared = Arc::new(BmcShared { config: Mutex::new(config), status: Mutex::default() });
        let load = |shard: &&ShardHandle| shard.bmcs.load(Ordering::Relaxed);
        let (number, _) = self
            .shared
            .shards
            .iter()
            .enumerate()
            .min_by_key(|(_, shard)| load(shard))
            .ok_or_else(|| Error::new(ErrorKind::ShutDown))?;
        let (wait, done) = waiter();
        let shard = &self.shared.shards[number];
        let chance = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        shard.inbox.send(Command::Add { shared: shared.clone(), chance, done }, None)?;
        let key = wait.wait(None).unwrap_or_else(|| Err(Error::new(ErrorKind::ShutDown)))?;
        shard.bmcs.fetch_add(1, Ordering::Relaxed);
        let engine = self.shared.clone();
        let handle = BmcHandle { engine, shard: number, key, shared, watch: Mutex::new(None) };
        handle.watch_credentials();
        if !Arc::ptr_eq(&before, &credentials.current()) {
            // They changed before they were watched.
            handle.reconfigured()?;
        }
        Ok(handle)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for shard in &self.shared.shards {
            let _ = shard.inbox.send(Command::Stop, None);
        }
        for thread in self.threads.drain(..) {
            // A shard that panicked has already failed everybody's wait.
            let _ = thread.join();
        }
        let backends = self.shared.backends.lock().take();
        if let Some(backends) = backends {
            backends.stop();
        }
        self.shared.dispatcher.stop();
        self.shared.logs.stop();
    }
}

/// One BMC at its shard. Dropping the last handle closes its session.
pub(crate) struct BmcHandle {
    engine: Arc<EngineShared>,
    shard: usize,
    key: BmcKey,
    pub shared: Arc<BmcShared>,
    watch: Mutex<Option<CredentialsWatch>>,
}

impl std::fmt::Debug for BmcHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BmcHandle").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl BmcHandle {
    fn shard(&self) -> &ShardHandle {
        &self.engine.shards[self.shard]
    }

    fn send(&self, command: Command, deadline: Option<Instant>) -> Result<()> {
        self.shard().inbox.send(command, deadline)
    }

    fn id(&self) -> u64 {
        self.engine.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Blocks until the session is up, or says why not.
    pub fn connect(&self, timeout: Duration) -> Result<()> {
        let until = deadline(timeout);
        let (wait, done) = waiter();
        let token = self.id();
        self.send(Command::Connect { bmc: self.key, token, done }, until)?;
        self.wait_or_give_up(token, until, &wait)
    }

    fn console_call(
        &self,
        id: u64,
        console: &Arc<ConsoleShared>,
        call: ConsoleCall,
        until: Option<Instant>,
    ) -> Result<()> {
        self.send(Command::Console { bmc: self.key, id, console: console.clone(), call }, until)
    }

    /// Makes a console known, and waits for how that went if it is one that is kept connected.
    pub fn open_console(&self, id: u64, console: &Arc<ConsoleShared>, waits: bool) -> Result<()> {
        let (wait, done) = waiter();
        self.console_call(id, console, ConsoleCall::Open { done }, None)?;
        if !waits {
            return Ok(());
        }
        wait.wait(None).unwrap_or_else(|| Err(Error::new(ErrorKind::ShutDown)))
    }

    /// Blocks until the console is connected, or says why not.
    pub fn connect_console(
        &self,
        id: u64,
        console: &Arc<ConsoleShared>,
        timeout: Duration,
    ) -> Result<()> {
        let until = deadline(timeout);
        let (wait, done) = waiter();
        let token = self.id();
        self.console_call(id, console, ConsoleCall::Connect { token, done }, until)?;
        self.wait_or_give_up(token, until, &wait)
    }

    /// Has the console connected; its state tells how that went.
    pub fn begin_connect_console(&self, id: u64, console: &Arc<ConsoleShared>) -> Result<()> {
        let (_, done) = waiter();
        // At once, so that nobody takes the state before for the outcome.
        console.set_connecting();
        self.console_call(id, console, ConsoleCall::Connect { token: self.id(), done }, None)
            .inspect_err(|error| console.set_unconnected(error.clone()))
    }

    /// Somebody is attached to the console now, or nobody any more.
    pub fn attach_console(&self, id: u64, console: &Arc<ConsoleShared>, attached: bool) {
        // When the shard is gone, nobody is served any more.
        let _ = self.console_call(id, console, ConsoleCall::Attached(attached), None);
    }

    /// The console's configuration is another one.
    pub fn reconfigure_console(&self, id: u64, console: &Arc<ConsoleShared>) -> Result<()> {
        self.console_call(id, console, ConsoleCall::Reconfigured, None)
    }

    /// Another configuration.
    pub fn reconfigure(self: &Arc<Self>, config: BmcConfig) -> Result<()> {
        config.check()?;
        let mut current = self.shared.config.lock();
        if *current == config {
            return Ok(());
        }
        let other_credentials = current.credentials != config.credentials;
        *current = config.clone();
        drop(current);
        self.engine.known.lock().add(&config, self);
        if other_credentials {
            self.watch_credentials();
        }
        self.reconfigured()
    }

    /// One watch on the credentials it has now, and none on any others.
    fn watch_credentials(&self) {
        let credentials = self.shared.config.lock().credentials.clone();
        let (inbox, bmc) = (self.shard().inbox.clone(), self.key);
        let tell = Arc::new(move || {
            // When the shard is gone, nobody logs in any more.
            let _ = inbox.send(Command::Reconfigured { bmc }, None);
        });
        let old = self.watch.lock().replace(credentials.watch(tell));
        drop(old);
    }

    /// The BMC's configuration, or the credentials in it, are others.
    pub fn reconfigured(&self) -> Result<()> {
        self.send(Command::Reconfigured { bmc: self.key }, None)
    }

    /// An ID that nothing else in the engine has.
    pub fn new_id(&self) -> u64 {
        self.id()
    }

    fn wait_or_give_up(
        &self,
        token: u64,
        until: Option<Instant>,
        wait: &wait::Waiter<Result<()>>,
    ) -> Result<()> {
        if let Some(result) = wait.wait(until) {
            return result;
        }
        let last = deadline(LAST_WORD);
        self.send(Command::GiveUp { bmc: self.key, token }, last)?;
        wait.wait(last).unwrap_or_else(|| Err(Error::new(ErrorKind::TimedOut)))
    }

    /// Sends a request whose answer goes to `done`, and gives the token to cancel it with.
    ///
    /// The session ends the request at its deadline, with what it knows. Without a session yet,
    /// nobody does: whoever waits has to wait no longer than [`with_grace`] and cancel it then.
    pub fn submit(&self, mut request: Request, done: ReplyTo) -> Result<u64> {
        let token = self.id();
        request.token = token;
        let until = request.deadline;
        self.send(Command::Request { bmc: self.key, request, done }, until)?;
        Ok(token)
    }

    /// Sends a request and has `wait` wait for the answer, until the time it is given. What it
    /// gives up, or what is interrupted with `Cancelled`, is cancelled.
    pub fn exchange(
        &self,
        request: Request,
        wait: impl FnOnce(&Arc<Waiter<Result<Reply>>>, Option<Instant>) -> Option<Result<Reply>>,
    ) -> Result<Reply> {
        let until = with_grace(request.deadline);
        let (waiting, done) = waiter();
        let token = self.submit(request, ReplyTo::Waiter(done))?;
        match wait(&waiting, until) {
            Some(Err(error)) if error.kind() == ErrorKind::Cancelled => {
                self.cancel(token)?;
                Err(error)
            }
            Some(result) => result,
            None => {
                self.cancel(token)?;
                Err(Error::new(ErrorKind::TimedOut))
            }
        }
    }

    /// Nobody waits for this request any more.
    pub fn cancel(&self, token: u64) -> Result<()> {
        self.send(Command::Cancel { bmc: self.key, token }, deadline(LAST_WORD))
    }

    /// What was counted of this BMC.
    pub fn stats(&self) -> Result<BmcStats> {
        let until = deadline(LAST_WORD);
        let (wait, done) = waiter();
        self.send(Command::BmcStats { bmc: self.key, done }, until)?;
        wait.wait(until).unwrap_or_else(|| Err(Error::new(ErrorKind::TimedOut)))
    }

    /// The threads that call users back.
    pub fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.engine.dispatcher
    }

    /// Those who write log files.
    pub fn logs(&self) -> &Arc<LogFiles> {
        &self.engine.logs
    }

    /// There is new input in a console.
    pub fn console_input(&self, deadline: Option<Instant>) -> Result<()> {
        self.send(Command::ConsoleInput { bmc: self.key }, deadline)
    }

    /// Deactivates SOL and blocks until that is done.
    pub fn close_console(
        &self,
        id: u64,
        console: &Arc<ConsoleShared>,
        timeout: Duration,
    ) -> Result<()> {
        let until = deadline(timeout);
        let (wait, done) = waiter();
        let token = self.id();
        self.console_call(id, console, ConsoleCall::Close { token, done }, until)?;
        wait.wait(until).unwrap_or_else(|| Err(Error::new(ErrorKind::TimedOut)))
    }

    /// Deactivates SOL sooner or later; nobody waits for it.
    pub fn abandon_console(&self, id: u64, console: &Arc<ConsoleShared>) {
        let (_, done) = waiter();
        let token = self.id();
        // When the shard is gone, so is SOL.
        let _ = self.console_call(id, console, ConsoleCall::Close { token, done }, None);
    }
}

/// Until when to wait for a request that ends at `deadline`.
pub(crate) fn with_grace(deadline: Option<Instant>) -> Option<Instant> {
    deadline.and_then(|deadline| deadline.checked_add(REPLY_GRACE))
}

impl Drop for BmcHandle {
    fn drop(&mut self) {
        self.shard().bmcs.fetch_sub(1, Ordering::Relaxed);
        // When the shard is gone, so is the session.
        let _ = self.send(Command::Release { bmc: self.key }, None);
    }
}
