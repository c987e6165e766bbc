//! The handles users hold: blocking calls with timeouts, safe from any thread.

mod queue;
#[cfg(feature = "screen")]
mod screen;
mod subscription;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
#[cfg(feature = "capi")]
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub use self::queue::{EventQueue, Source};
pub use self::subscription::Subscription;
use crate::config::{BmcConfig, ConsoleConfig, LogConfig};
use crate::console::Cursor;
use crate::engine::{
    BmcHandle, BmcStats, BmcStatus, CLOSE_GRACE, ConsoleEvent, ConsoleShared, ConsoleState,
    ConsoleStats, Engine, LogShared, LogStatus, Place, Why, deadline, waiter,
};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Repeat, Reply, Request};
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
        Ok(Bmc { handle: self.add(config)? })
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
        let reply = self.request(net_fn, lun, cmd, data, Repeat::ByCommand, timeout)?;
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
    ) -> Result<Reply> {
        if net_fn & 1 != 0 || net_fn > 0x3f {
            return Err(Error::misuse("the network function of a request is even, 0 to 3Eh"));
        }
        if lun > 3 {
            return Err(Error::misuse("the LUN is not 0 to 3"));
        }
        if data.len() > DATA_MAX {
            return Err(Error::misuse("more than 240 bytes of request data"));
        }
        let data = data.to_vec();
        let request = Request { token: 0, net_fn, lun, cmd, data, deadline: None, repeat };
        self.handle.request(request, timeout)
    }

    /// A console of this BMC. Nothing is sent until [`Console::connect`].
    ///
    /// Fails with `Misuse` for settings out of range.
    pub fn console(&self, config: ConsoleConfig) -> Result<Console> {
        config.check()?;
        let (opens, log) = (config.keep != Keep::OnRequest, config.log.clone());
        let shared = Arc::new(ConsoleShared::new(config));
        let (bmc, id) = (self.handle.clone(), self.handle.new_id());
        let (readers, log_shared) = (Mutex::default(), Mutex::default());
        let inner = ConsoleInner { bmc, id, shared, readers, log: log_shared };
        let console = Console { inner: Arc::new(inner) };
        console.inner.write_log(log)?;
        console.inner.bmc.open_console(id, &console.inner.shared, opens)?;
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

/// A LAN message of a v1.5 session is 255 bytes at most; this leaves room for its header.
const DATA_MAX: usize = 240;

#[derive(Debug)]
struct ConsoleInner {
    bmc: Arc<BmcHandle>,
    id: u64,
    shared: Arc<ConsoleShared>,
    /// How many readers are attached.
    readers: Mutex<usize>,
    /// Its log file, once it had one.
    log: Mutex<Option<Arc<LogShared>>>,
}

impl ConsoleInner {
    /// A reader comes or goes. A console that is kept is tried at once when one comes.
    fn attach(&self, comes: bool) {
        let kept = self.shared.config().keep != Keep::OnRequest;
        // Held meanwhile, so that the last word is the last one there too.
        let mut readers = self.readers.lock();
        *readers = if comes { *readers + 1 } else { readers.saturating_sub(1) };
        if kept && (comes || *readers == 0) {
            self.bmc.attach_console(self.id, &self.shared, comes);
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
                self.bmc.logs().follow(self.id, &self.shared, &shared)?;
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
        self.bmc.abandon_console(self.id, &self.shared);
    }
}

/// The serial console of one BMC, by Serial over LAN.
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
        self.inner.bmc.connect_console(self.inner.id, &self.inner.shared, timeout)
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
        self.inner.bmc.begin_connect_console(self.inner.id, &self.inner.shared)
    }

    /// Runs the console in another way from now on.
    ///
    /// What is about SOL itself (`instance`, `take_over`, retransmission) closes SOL and opens it
    /// again; readers wait meanwhile. The rest (`replay_len`, `input_len`, `keep`, `retry`, `log`)
    /// breaks nothing, and neither do equal values. A console that is kept and not connected is
    /// tried at once. Fails with `Misuse` for settings out of range.
    pub fn reconfigure(&self, config: ConsoleConfig) -> Result<()> {
        config.check()?;
        if self.inner.shared.is_closed() {
            return Err(Error::new(ErrorKind::Closed));
        }
        let (opens, log) = (config.keep != Keep::OnRequest, config.log.clone());
        if self.inner.shared.reconfigure(config) {
            self.inner.write_log(log)?;
            let (id, shared) = (self.inner.id, &self.inner.shared);
            self.inner.bmc.reconfigure_console(id, shared)?;
            if opens {
                self.inner.bmc.open_console(id, shared, true)?;
                // Those who came while that did not matter are there all the same.
                let readers = self.inner.readers.lock();
                if *readers > 0 {
                    self.inner.bmc.attach_console(id, shared, true);
                }
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
            self.inner.bmc.console_input(None)?;
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
        self.inner.bmc.console_input(until)?;
        wait.wait(until).unwrap_or_else(|| Err(Error::new(ErrorKind::TimedOut)))
    }

    /// Deactivates SOL and blocks until the BMC has done so, at most `timeout`.
    ///
    /// The session under it lives on for commands and later consoles. All calls that wait on
    /// this console end with `Closed`; readers first get what is left.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        self.inner.shared.set_closed();
        let timeout = timeout.saturating_add(CLOSE_GRACE);
        self.inner.bmc.close_console(self.inner.id, &self.inner.shared, timeout)
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
        self.inner.bmc.abandon_console(self.inner.id, &self.inner.shared);
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

/// One attached reader of a console: its own place in what the console printed. It cannot write:
/// who shall do both is given the [`Console`] too, which is shared by all who write.
///
/// A reader that falls behind by more than [`ConsoleConfig::replay_len`] loses the oldest bytes
/// and is told how many; it never slows the console or another reader. A clone goes on from the
/// same place, with a place, a descriptor and queues of its own.
#[derive(Debug)]
pub struct Reader {
    console: Console,
    cursor: Cursor,
    place: Arc<Place>,
    /// Whether the console knows that it is there.
    attached: bool,
}

impl Reader {
    fn new(console: &Console, cursor: Cursor) -> Self {
        let mut reader = Reader::unattached(console, cursor);
        reader.attach();
        reader
    }

    fn unattached(console: &Console, cursor: Cursor) -> Self {
        let place = Place::new(cursor.offset());
        Reader { console: console.clone(), cursor, place, attached: false }
    }

    fn attach(&mut self) {
        if !std::mem::replace(&mut self.attached, true) {
            self.console.inner.attach(true);
        }
    }

    /// Copies what is there, at least one byte; blocks until `timeout` for it, then `TimedOut`.
    ///
    /// While the console was never connected, or is being connected, this waits. After a loss
    /// it first gives what is left and then the reason, every time until the console is
    /// connected again.
    pub fn read(&mut self, out: &mut [u8], timeout: Duration) -> Result<usize> {
        let shared = &self.console.inner.shared;
        shared.read(&self.place, &mut self.cursor, out, deadline(timeout), None)
    }

    /// Gives what is next, in order: bytes, copied to the start of `out`, up to where something
    /// happened; or what happened there. Blocks until `timeout` for something, then `TimedOut`.
    ///
    /// A loss is an event here and no error: this waits for the next connection. Only behind the
    /// last event of a console that was closed it fails with `Closed`. `out` has room for at least
    /// one byte, else `Misuse`. Of events the last 64 are kept for those who are behind.
    ///
    /// [`read`](Reader::read) goes over events, and the two can be mixed. What
    /// [`fd`](Reader::fd) and queues take for readable is what the last one of the two would give
    /// at once: before the first call that is bytes, so a reader that is to be waited for by its
    /// events calls this before it waits.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use bmclink::{ErrorKind, EventKind, Reader, Result};
    ///
    /// fn follow(reader: &mut Reader, timeout: Duration) -> Result<()> {
    ///     let mut buffer = [0; 4096];
    ///     loop {
    ///         match reader.next(&mut buffer, timeout) {
    ///             Ok(event) => match event.kind {
    ///                 EventKind::Data(bytes) => print!("{}", String::from_utf8_lossy(bytes)),
    ///                 EventKind::Disconnected { reason, .. } => println!("[{reason}]"),
    ///                 EventKind::Gap(_) => println!("[something is missing here]"),
    ///                 _ => {}
    ///             },
    ///             Err(error) if error.kind() == ErrorKind::Closed => return Ok(()),
    ///             Err(error) => return Err(error),
    ///         }
    ///     }
    /// }
    /// ```
    pub fn next<'a>(&mut self, out: &'a mut [u8], timeout: Duration) -> Result<ConsoleEvent<'a>> {
        let shared = &self.console.inner.shared;
        shared.next(&self.place, &mut self.cursor, out, deadline(timeout), None)
    }

    /// As [`read_unless`](Reader::read_unless), with events.
    #[cfg(feature = "capi")]
    pub(crate) fn next_unless<'a>(
        &mut self,
        stop: &AtomicBool,
        out: &'a mut [u8],
        timeout: Duration,
    ) -> Result<ConsoleEvent<'a>> {
        self.attach();
        let shared = &self.console.inner.shared;
        shared.next(&self.place, &mut self.cursor, out, deadline(timeout), Some(stop))
    }

    /// Reads, unless or until another thread sets `stop` and calls [`Console::wake_readers`]:
    /// `Closed` then.
    #[cfg(feature = "capi")]
    pub(crate) fn read_unless(
        &mut self,
        stop: &AtomicBool,
        out: &mut [u8],
        timeout: Duration,
    ) -> Result<usize> {
        self.attach();
        let shared = &self.console.inner.shared;
        shared.read(&self.place, &mut self.cursor, out, deadline(timeout), Some(stop))
    }

    /// A descriptor that is readable exactly while [`read`](Reader::read) would not block: there
    /// are bytes, or a reason why there are none. For `poll`, `epoll` and the like; it is not to
    /// be read from or written to.
    ///
    /// It is an eventfd, made when it is first asked for, and closed when the reader is dropped.
    /// For many readers an [`EventQueue`] needs one descriptor for all of them. Fails with `Io`
    /// when the system gives no descriptor. Does not block.
    pub fn fd(&self) -> Result<BorrowedFd<'_>> {
        Ok(self.place.fd(&self.console.inner.shared)?.as_fd())
    }

    /// What is known of this reader to those who watch it.
    #[cfg(feature = "capi")]
    pub(crate) fn place(&self) -> Arc<Place> {
        self.place.clone()
    }

    /// How many bytes were overwritten before this reader came to them.
    pub fn lost(&self) -> u64 {
        self.cursor.lost()
    }

    /// The console this reader is attached to.
    pub fn console(&self) -> &Console {
        &self.console
    }
}

impl Clone for Reader {
    fn clone(&self) -> Self {
        Reader::new(&self.console, self.cursor)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.place.leave(&self.console.inner.shared);
        if self.attached {
            self.console.inner.attach(false);
        }
    }
}

/// Reads from the console, blocking as long as it takes. A closed console is the end of the
/// stream; a lost one is an error.
impl io::Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match Reader::read(self, out, FOREVER) {
            Err(error) if error.kind() == ErrorKind::Closed => Ok(0),
            result => Ok(result?),
        }
    }
}
