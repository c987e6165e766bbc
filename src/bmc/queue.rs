//! Waiting for many consoles at once.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::eventfd::EventFd;

use super::{Console, Reader};
use crate::engine::{ConsoleShared, Events, FdList, Place, Ready, Watch, deadline, fd_list};
use crate::error::{Error, Result};

/// Says which of many consoles have something, with one file descriptor for all of them.
///
/// [`Reader`]s and [`Console`]s of any engines are added, each with a key of the caller's choice.
/// [`wait`](EventQueue::wait) reports those that have something, at a cost that depends on how
/// many these are and not on how many were added:
///
/// - [`Events::READABLE`] of a reader: it has something it was not reported for yet, bytes or the
///   reason why no more come. A [`Reader::read`] that leaves something has it reported again, so
///   a loop that reads once per report gets everything, with a buffer of any size. A reader that
///   has something when it is added is reported at once.
/// - [`Events::STATE`] of a console: [`Console::state`] or the epoch in its stats is another one.
/// - [`Events::WRITABLE`] of a console: a write timed out or was taken only in part, and there is
///   room again.
///
/// What is no more so by the time of the wait is not reported: somebody has read it. Of several
/// threads that wait, each report goes to one. When more comes before that one has read, the next
/// report may go to another: they then have to take turns with the reader.
///
/// The descriptor ([`as_fd`](AsFd::as_fd)) is readable while `wait` would report something, or say
/// that the queue is closed, and maybe for a moment after a wait took the last report. It can be
/// given to `poll`, `epoll` and the like, or to any event loop; it is not to be read from or
/// written to.
///
/// A reader or console that is dropped leaves its queues by itself. Clones are handles to the same
/// queue; it is closed when the last one is dropped. Memory: about 100 bytes per source.
///
/// ```
/// use std::time::Duration;
///
/// use bmclink::sim::{Serial, Simulator, SimulatorOptions};
/// use bmclink::{BmcConfig, ConsoleConfig, Credentials, Engine, EngineConfig};
/// use bmclink::{EventQueue, Events, Ready};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let options = SimulatorOptions { count: 3, serial: Serial::Echo, ..Default::default() };
/// let simulator = Simulator::start(options)?;
/// let timeout = Duration::from_secs(10);
/// let engine = Engine::new(EngineConfig::default())?;
/// let credentials = Credentials::new("admin", "password")?;
///
/// let queue = EventQueue::new()?;
/// let mut consoles = Vec::new();
/// for number in 0..3 {
///     let address = simulator.address(number);
///     let config = BmcConfig::new(address.ip().to_string(), credentials.clone());
///     let bmc = engine.bmc(config.port(address.port()))?;
///     let console = bmc.console(ConsoleConfig::default())?;
///     console.connect(timeout)?;
///     let reader = console.reader();
///     queue.add(&reader, number as u64)?;
///     consoles.push((console, reader));
/// }
/// consoles[1].0.write_all(b"hello", timeout)?;
///
/// let mut echo = Vec::new();
/// let (mut ready, mut buffer) = ([Ready::default(); 16], [0; 4096]);
/// while echo.len() < 5 {
///     let count = queue.wait(&mut ready, timeout)?;
///     for source in &ready[..count] {
///         assert_eq!((source.key, source.events), (1, Events::READABLE));
///         let reader = &mut consoles[source.key as usize].1;
///         let len = reader.read(&mut buffer, Duration::ZERO)?;
///         echo.extend_from_slice(&buffer[..len]);
///     }
/// }
/// assert_eq!(echo, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EventQueue {
    inner: Arc<Inner>,
}

struct Inner {
    list: Arc<FdList>,
    fd: Arc<EventFd>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.list.close();
    }
}

/// What can be added to an [`EventQueue`]: `&Reader`, `&Console`, or `(&Console, &Reader)` for
/// both under one key and in one report.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    console: Option<&'a ConsoleShared>,
    reader: Option<(&'a ConsoleShared, &'a Place)>,
}

impl<'a> From<&'a Reader> for Source<'a> {
    fn from(reader: &'a Reader) -> Self {
        Source { console: None, reader: Some((&reader.console.inner.shared, &reader.place)) }
    }
}

impl<'a> From<&'a Console> for Source<'a> {
    fn from(console: &'a Console) -> Self {
        Source { console: Some(&console.inner.shared), reader: None }
    }
}

impl<'a> From<(&'a Console, &'a Reader)> for Source<'a> {
    fn from((console, reader): (&'a Console, &'a Reader)) -> Self {
        Source { reader: Source::from(reader).reader, ..Source::from(console) }
    }
}

#[cfg(feature = "capi")]
impl<'a> Source<'a> {
    /// A reader by its place, which can be had while the reader reads; with or without its console.
    pub(crate) fn of_place(console: &'a Console, place: &'a Place, with_console: bool) -> Self {
        let shared = &*console.inner.shared;
        Source { console: with_console.then_some(shared), reader: Some((shared, place)) }
    }
}

/// What a console is watched for.
const OF_CONSOLE: Events = Events::STATE.with(Events::WRITABLE);

impl EventQueue {
    /// An empty queue. Fails with `Io` when the system gives no descriptor.
    pub fn new() -> Result<Self> {
        let (list, fd) = fd_list()?;
        Ok(EventQueue { inner: Arc::new(Inner { list, fd }) })
    }

    /// Adds a reader, a console or both; reports of it carry `key`, which need not be unique.
    ///
    /// Fails with `Misuse` when it, or one of both, is in this queue already, with `Closed` when
    /// the queue is closed. Does not block.
    pub fn add<'a>(&self, source: impl Into<Source<'a>>, key: u64) -> Result<()> {
        let Source { console, reader } = source.into();
        let list = &self.inner.list;
        let at = list.add(key)?;
        let mut added = None;
        if let Some(console) = console {
            let watch = Watch::of_queue(list.clone(), at, OF_CONSOLE);
            let result = console.watch(&watch, None, |other| other.is_of(list, OF_CONSOLE));
            if let Err(error) = result {
                list.release(at, Events::NONE);
                return Err(error);
            }
            added = Some((console, watch));
        }
        let Some((console, place)) = reader else { return Ok(()) };
        if added.is_some() {
            list.hold(at);
        }
        let watch = Watch::of_queue(list.clone(), at, Events::READABLE);
        let is_it = |other: &Watch| other.is_of(list, Events::READABLE);
        console.watch(&watch, Some(place), is_it).inspect_err(|_| {
            list.release(at, Events::NONE);
            if let Some((console, watch)) = added {
                console.unwatch(&watch, None);
            }
        })
    }

    /// Takes a reader, a console or both out. Waits that begin later do not report it.
    ///
    /// Fails with `Misuse` when it, or one of both, is not in this queue. Does not block.
    pub fn remove<'a>(&self, source: impl Into<Source<'a>>) -> Result<()> {
        let Source { console, reader } = source.into();
        let list = &self.inner.list;
        let mut missing = false;
        if let Some(console) = console {
            let watches = console.watches();
            let watch = watches.iter().find(|watch| watch.is_of(list, OF_CONSOLE));
            missing |= watch.is_none();
            watch.into_iter().for_each(|watch| console.unwatch(watch, None));
        }
        if let Some((console, place)) = reader {
            let watches = place.watches();
            let watch = watches.iter().find(|watch| watch.is_of(list, Events::READABLE));
            missing |= watch.is_none();
            watch.into_iter().for_each(|watch| console.unwatch(watch, Some(place)));
        }
        if missing { Err(Error::misuse("it is not in this queue")) } else { Ok(()) }
    }

    /// Writes what has something to `ready`, and says how many that are: at least one, at most
    /// what there is room for. Blocks until `timeout` for it, then `TimedOut`; a timeout of 0
    /// only looks.
    ///
    /// Fails with `Closed` when the queue is closed, now or meanwhile; with `Misuse` without room.
    pub fn wait(&self, ready: &mut [Ready], timeout: Duration) -> Result<usize> {
        if ready.is_empty() {
            return Err(Error::misuse("there is no room for a report"));
        }
        self.inner.list.wait(ready, deadline(timeout))
    }

    pub(crate) fn list(&self) -> &Arc<FdList> {
        &self.inner.list
    }

    /// Ends every wait, now and later, with `Closed`, and takes everything out. The descriptor
    /// stays readable. Does not block.
    pub fn close(&self) {
        self.inner.list.close();
    }
}

impl fmt::Debug for EventQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventQueue").field("fd", &self.as_raw_fd()).finish_non_exhaustive()
    }
}

impl AsFd for EventQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.fd.as_fd()
    }
}

impl AsRawFd for EventQueue {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.fd.as_raw_fd()
    }
}

/// Takes a console out of every queue. Its readers stay in theirs.
pub(super) fn leave_queues(console: &ConsoleShared) {
    for watch in console.watches().iter().filter(|watch| watch.is_of_console()) {
        console.unwatch(watch, None);
    }
}
