//! The handles users hold: blocking calls with timeouts, safe from any thread.

mod backend;
mod calls;
mod carrier;
mod connection;
mod manage;
mod queue;
mod reader;
#[cfg(feature = "screen")]
mod screen;
mod subscription;

use std::io;
#[cfg(feature = "capi")]
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use self::calls::Calls;
use self::carrier::Carrier;
pub use self::connection::Connection;
pub use self::queue::{EventQueue, Source};
pub use self::reader::Reader;
pub use self::subscription::Subscription;
use crate::command::{Dialog, Target};
use crate::config::{BmcConfig, ConsoleConfig, LogConfig};
#[cfg(feature = "capi")]
use crate::engine::Place;
use crate::engine::{
    BmcHandle, BmcStats, BmcStatus, CLOSE_GRACE, ConsoleShared, ConsoleState, ConsoleStats, Engine,
    LogShared, LogStatus, Why, deadline, waiter,
};
use crate::error::{Error, ErrorKind, Result};
use crate::session::Repeat;
use crate::supervisor::Keep;
use crate::sync::Mutex;
use crate::wire::message::CompletionCode;

/// Wait as long as it takes. Every timeout of the library can be this.
pub const FOREVER: Duration = Duration::MAX;

impl Engine {
    /// A handle for one BMC. Nothing is sent until something is asked of it.
    ///
    /// Fails with `Misuse` for settings out of range: no credentials, a password that is too
    /// long, an xRC4 suite. Blocks for one turn of a shard's loop.
    pub fn bmc(&self, config: BmcConfig) -> Result<Bmc> {
        Ok(Bmc { handle: self.add(config)?, calls: Arc::default() })
    }
}

/// One managed BMC: at most one live IPMI session, opened when something is first asked of it
/// and shared by all commands and the console.
///
/// Clones are handles to the same BMC. When the last one and the last console are gone, the
/// session is closed at the BMC.
#[derive(Debug, Clone)]
pub struct Bmc {
    handle: Arc<BmcHandle>,
    /// Of this handle and its clones.
    calls: Arc<Calls>,
}

/// A response: its completion code and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawReply {
    /// The completion code; 0 is success.
    pub completion_code: CompletionCode,
    /// The response data behind the completion code.
    pub data: Vec<u8>,
}

impl Bmc {
    /// Logs in unless a session is up, and blocks until that is known to have worked or not.
    ///
    /// Errors name the cause: `UserName`, `Password`, `KG`, `Privilege`, `CipherSuite`,
    /// `NoFreeSession`, `Unreachable`, `ConnectionRefused`, `NameNotFound` and more; `TimedOut`
    /// when `timeout` was over while the BMC was still answering.
    pub fn connect(&self, timeout: Duration) -> Result<()> {
        self.handle.connect(timeout)
    }

    /// Sends any command and blocks until its response is there, whatever its completion code.
    ///
    /// Logs in first when no session is up. `net_fn` is even, `lun` 0 to 3. Commands known to
    /// act (chassis control, resets, writes that add) are sent again at most once when no
    /// answer comes and then end with `OutcomeUnknown`; all others are repeated until `timeout`.
    pub fn raw(
        &self,
        net_fn: u8,
        lun: u8,
        cmd: u8,
        data: &[u8],
        timeout: Duration,
    ) -> Result<RawReply> {
        self.request(net_fn, lun, cmd, data, Repeat::ByCommand, timeout)
    }

    /// The same for another controller, by Send Message when it is behind the BMC: see
    /// [`Dialog::at`].
    pub fn raw_at(
        &self,
        target: Target,
        net_fn: u8,
        lun: u8,
        cmd: u8,
        data: &[u8],
        timeout: Duration,
    ) -> Result<RawReply> {
        let asked = async |dialog: Dialog| dialog.at(target).raw(net_fn, lun, cmd, data).await;
        let reply = self.run(timeout, asked)?;
        Ok(RawReply { completion_code: reply.completion_code, data: reply.data })
    }

    pub(crate) fn request(
        &self,
        net_fn: u8,
        lun: u8,
        cmd: u8,
        data: &[u8],
        repeat: Repeat,
        timeout: Duration,
    ) -> Result<RawReply> {
        let asked = async |dialog: Dialog| dialog.request(net_fn, lun, cmd, data, repeat).await;
        let reply = self.run(timeout, asked)?;
        Ok(RawReply { completion_code: reply.completion_code, data: reply.data })
    }

    /// A console of this BMC. Nothing is sent until [`Console::connect`].
    ///
    /// Fails with `Misuse` for settings out of range.
    pub fn console(&self, config: ConsoleConfig) -> Result<Console> {
        config.check()?;
        let (opens, log) = (config.keep != Keep::OnRequest, config.log.clone());
        let shared = Arc::new(ConsoleShared::new(config));
        let carrier = Carrier::Sol(self.handle.clone(), self.handle.new_id());
        let console = Console { inner: Arc::new(ConsoleInner::new(carrier, shared)) };
        console.inner.write_log(log)?;
        console.inner.carrier.open(&console.inner.shared, opens)?;
        Ok(console)
    }

    /// Changes where the BMC is, who logs in, and how.
    ///
    /// What touches the session (address, port, credentials, cipher suites, privilege level,
    /// version, quirks) ends it: calls in flight fail with `Reconfigured`, the session is closed
    /// in the background, and when there was one the new one is begun at once. Nothing of the old
    /// one reaches anybody any more. A login that is under way is given up at whatever step it is,
    /// and whoever waits for it gets the new one's result. Waiting times and the request window
    /// are those of the next session. Equal values change nothing.
    ///
    /// All handles of this BMC see it. Does not wait for the new session. Fails with `Misuse` for
    /// settings out of range.
    pub fn reconfigure(&self, config: BmcConfig) -> Result<()> {
        self.handle.reconfigure(config)
    }

    /// What was counted since this handle was made. Blocks for one turn of a shard's loop; fails
    /// with `TimedOut` when that takes two seconds, with `ShutDown` when the engine is gone.
    pub fn stats(&self) -> Result<BmcStats> {
        self.handle.stats()
    }

    /// The session as it stands.
    pub fn status(&self) -> BmcStatus {
        self.handle.shared.status.lock().clone()
    }
}

#[derive(Debug)]
struct ConsoleInner {
    carrier: Carrier,
    shared: Arc<ConsoleShared>,
    /// How many readers are attached.
    readers: Mutex<usize>,
    /// Its log file, once it had one.
    log: Mutex<Option<Arc<LogShared>>>,
}

impl ConsoleInner {
    fn new(carrier: Carrier, shared: Arc<ConsoleShared>) -> Self {
        ConsoleInner { carrier, shared, readers: Mutex::default(), log: Mutex::default() }
    }

    /// A reader comes or goes. A console that is kept is tried at once when one comes.
    fn attach(&self, comes: bool) {
        // A backend hears of it in any case: it may be kept later.
        let kept = matches!(self.carrier, Carrier::Backend(_))
            || self.shared.config().keep != Keep::OnRequest;
        // Held meanwhile, so that the last word is the last one there too.
        let mut readers = self.readers.lock();
        *readers = if comes { *readers + 1 } else { readers.saturating_sub(1) };
        if kept && (comes || *readers == 0) {
            self.carrier.attach(&self.shared, comes);
        }
    }

    /// Has everything written to another file, or to none.
    fn write_log(&self, config: Option<LogConfig>) -> Result<()> {
        let mut log = self.log.lock();
        match (&*log, config) {
            (Some(shared), config) => shared.set(config),
            (None, None) => {}
            (None, Some(config)) => {
                let shared = Arc::new(LogShared::default());
                shared.set(Some(config));
                self.carrier.logs().follow(self.carrier.id(), &self.shared, &shared)?;
                *log = Some(shared);
            }
        }
        Ok(())
    }
}

impl Drop for ConsoleInner {
    fn drop(&mut self) {
        self.shared.set_closed();
        queue::leave_queues(&self.shared);
        // Nobody waits for it here: the shard deactivates SOL on its own.
        self.carrier.abandon(&self.shared);
    }
}

/// The serial console of one BMC, by Serial over LAN; or the terminal of a command
/// ([`Engine::exec_console`]), or what a [`Backend`](crate::Backend) carries, to which all that is
/// said of SOL applies as far as it can.
///
/// Clones are handles to the same console; [`Reader`]s are attached to it. When the last of
/// all these is gone, SOL is deactivated. Bytes go through unchanged, all 256 values of them.
#[derive(Debug, Clone)]
pub struct Console {
    inner: Arc<ConsoleInner>,
}

impl Console {
    /// Connects, logging in first when no session is up, and blocks until SOL is active or is
    /// known not to become so.
    ///
    /// Returns at once when it is connected already. Besides the errors of [`Bmc::connect`]:
    /// `SolDisabled`, `SolInUse`, `SolRefused`, `Incompatible` (a v1.5 session has no console)
    /// and `Busy` (another console of the same [`Bmc`] is connected).
    pub fn connect(&self, timeout: Duration) -> Result<()> {
        if self.inner.shared.is_closed() {
            return Err(Error::new(ErrorKind::Closed));
        }
        self.inner.carrier.connect(&self.inner.shared, timeout)
    }

    /// Begins to connect, logging in first when no session is up, and does not wait for it.
    ///
    /// How it went is told by [`state`](Console::state) and [`reason`](Console::reason):
    /// `Connected`, or `Unconnected` again and why. Blocks only while more calls wait for the
    /// engine than [`EngineConfig::inbox_len`](crate::EngineConfig::inbox_len).
    pub fn begin_connect(&self) -> Result<()> {
        if self.inner.shared.is_closed() {
            return Err(Error::new(ErrorKind::Closed));
        }
        self.inner.carrier.begin_connect(&self.inner.shared)
    }

    /// Runs the console in another way from now on.
    ///
    /// What is about SOL itself (`instance`, `take_over`, retransmission) closes SOL and opens it
    /// again; readers wait meanwhile. The rest (`replay_len`, `input_len`, `keep`, `retry`, `log`)
    /// breaks nothing, and neither do equal values. A console that is kept and not connected is
    /// tried at once; one that is kept no more is not tried again. Fails with `Misuse` for
    /// settings out of range.
    pub fn reconfigure(&self, config: ConsoleConfig) -> Result<()> {
        config.check()?;
        if self.inner.shared.is_closed() {
            return Err(Error::new(ErrorKind::Closed));
        }
        let (opens, log) = (config.keep != Keep::OnRequest, config.log.clone());
        if self.inner.shared.reconfigure(config) {
            self.inner.write_log(log)?;
            let ConsoleInner { carrier, shared, .. } = &*self.inner;
            carrier.reconfigure(shared)?;
            if opens {
                carrier.open(shared, true)?;
                // Who came or left while that did not matter did so all the same.
                let readers = self.inner.readers.lock();
                carrier.attach(shared, *readers > 0);
            }
        }
        Ok(())
    }

    /// State, since when, why, and when it is tried again: at one moment.
    pub fn why(&self) -> Why {
        self.inner.shared.why()
    }

    /// How its log file stands; `None` when it never had one.
    ///
    /// A full disk or a missing folder never stops the console: what is not written is counted
    /// here, and marked in the file once that takes text again, which is tried every second.
    pub fn log_status(&self) -> Option<LogStatus> {
        self.inner.log.lock().as_ref().map(|log| log.status())
    }

    /// Has the log file opened again before anything more is written to it: for programs that
    /// move it away. Does nothing without one, and does not block.
    pub fn reopen_log(&self) {
        if let Some(log) = &*self.inner.log.lock() {
            log.reopen();
        }
    }

    /// Where the console is in its life.
    pub fn state(&self) -> ConsoleState {
        self.inner.shared.state()
    }

    /// Blocks until the state is another one than `seen`, or until `timeout`; gives the state.
    pub fn wait_state(&self, seen: ConsoleState, timeout: Duration) -> ConsoleState {
        self.inner.shared.wait_state(seen, deadline(timeout))
    }

    /// Why the console is not connected, after it was or was tried to be.
    pub fn reason(&self) -> Option<Error> {
        self.inner.shared.reason()
    }

    /// What was counted.
    pub fn stats(&self) -> ConsoleStats {
        self.inner.shared.stats()
    }

    /// Attaches a reader that first gets what is kept of the past, then what comes.
    pub fn reader(&self) -> Reader {
        Reader::new(self, self.inner.shared.cursor(true))
    }

    /// Attaches a reader that gets only what comes from now on.
    pub fn live_reader(&self) -> Reader {
        Reader::new(self, self.inner.shared.cursor(false))
    }

    /// What to show first on a terminal, and a reader that goes on exactly behind it.
    ///
    /// That is what is kept of the past, from the beginning of a line on where what came before is
    /// gone, behind sequences that end attributes and other character sets. What a program has
    /// drawn on the whole screen before that is not brought back: for that see feature `screen`.
    pub fn reader_for_terminal(&self) -> (Vec<u8>, Reader) {
        let (past, cursor) = self.inner.shared.cursor_for_terminal();
        (past, Reader::new(self, cursor))
    }

    /// Takes input for the host and says how many bytes: all that there is room for, at least
    /// one. Blocks until `timeout` while there is no room at all, then `TimedOut`.
    ///
    /// Input is taken only while the console is connected, else `NotConnected` or `Lost`.
    /// What is taken is sent in order, each byte once; [`drain`](Console::drain) tells when the
    /// BMC has it. What a lost connection leaves behind is counted in
    /// [`ConsoleStats::input_lost`] and never sent later.
    pub fn write(&self, bytes: &[u8], timeout: Duration) -> Result<usize> {
        self.write_some(bytes, false, timeout)
    }

    fn write_some(&self, bytes: &[u8], goes_on: bool, timeout: Duration) -> Result<usize> {
        let (taken, tell) = self.inner.shared.write(bytes, goes_on, deadline(timeout))?;
        if tell {
            self.inner.carrier.input(None)?;
        }
        Ok(taken)
    }

    /// Takes all of `bytes`, blocking as needed; on an error, says nothing of how many were
    /// taken. `timeout` is for the whole call.
    pub fn write_all(&self, mut bytes: &[u8], timeout: Duration) -> Result<()> {
        let until = deadline(timeout);
        while !bytes.is_empty() {
            let left = until.map_or(FOREVER, |until| {
                until.saturating_duration_since(std::time::Instant::now())
            });
            let taken = self.write_some(bytes, true, left)?;
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Blocks until the BMC has acknowledged everything that was written. Fails as
    /// [`write`](Console::write) does when the console is not connected, or not any more.
    pub fn drain(&self, timeout: Duration) -> Result<()> {
        self.inner.shared.drain(deadline(timeout))
    }

    /// Sends a break behind everything written before it, and blocks until the BMC has
    /// acknowledged it.
    pub fn send_break(&self, timeout: Duration) -> Result<()> {
        let until = deadline(timeout);
        let (wait, done) = waiter();
        self.inner.shared.push_break(done)?;
        self.inner.carrier.input(until)?;
        wait.wait(until).unwrap_or_else(|| Err(Error::new(ErrorKind::TimedOut)))
    }

    /// Deactivates SOL and blocks until the BMC has done so, at most `timeout`.
    ///
    /// The session under it lives on for commands and later consoles. All calls that wait on
    /// this console end with `Closed`; readers first get what is left.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        self.inner.shared.set_closed();
        let timeout = timeout.saturating_add(CLOSE_GRACE);
        self.inner.carrier.close(&self.inner.shared, timeout)
    }

    /// A reader that is not attached before it reads.
    #[cfg(feature = "capi")]
    pub(crate) fn own_reader(&self) -> Reader {
        Reader::unattached(self, self.inner.shared.cursor(true))
    }

    /// Closes it too, and leaves it to the shard to tell the BMC.
    #[cfg(feature = "capi")]
    pub(crate) fn abandon(&self) {
        self.inner.shared.set_closed();
        queue::leave_queues(&self.inner.shared);
        self.inner.carrier.abandon(&self.inner.shared);
    }

    /// The descriptor of the reader whose place this is.
    #[cfg(feature = "capi")]
    pub(crate) fn fd_of<'a>(&self, place: &'a Place) -> Result<BorrowedFd<'a>> {
        Ok(place.fd(&self.inner.shared)?.as_fd())
    }

    /// Takes the reader whose place this is out of its queues.
    #[cfg(feature = "capi")]
    pub(crate) fn leave_queues(&self, place: &Place) {
        place.leave(&self.inner.shared);
    }

    /// Has every [`Reader::read_unless`] look again at what stops it.
    #[cfg(feature = "capi")]
    pub(crate) fn wake_readers(&self) {
        self.inner.shared.wake_readers();
    }
}

/// Writes to the console, blocking as long as it takes.
impl io::Write for &Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.write_some(bytes, true, FOREVER)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.drain(FOREVER)?)
    }
}

/// Writes to the console, blocking as long as it takes.
impl io::Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.write_some(bytes, true, FOREVER)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.drain(FOREVER)?)
    }
}
