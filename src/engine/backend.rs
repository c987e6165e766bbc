//! What carries a console's bytes when it is not SOL: its own transport, and nothing else.

use std::fmt;
use std::sync::Weak;

use super::driver::Driver;
use crate::error::{Error, ErrorKind, Result};

/// Carries the bytes of one console.
///
/// Its duties are its own transport only. Waiting, readers, the past, states, retries and
/// reconfiguration are the console's: see [`Engine::console`](crate::Engine::console).
///
/// All methods are called one at a time, on threads of the engine that do nothing else, with no
/// lock held: they may block, which holds up this console and nothing else. Each
/// [`start`](Backend::start), also a failed one, is followed by one [`stop`](Backend::stop) before
/// the next start, and the last one before the backend is dropped. A method that panics ends that
/// attempt and nothing else.
pub trait Backend: Send + 'static {
    /// Begins to connect. `sink` takes what comes of it: that it is connected, bytes, its end.
    ///
    /// [`Sink::connected`] can be said before this returns, from a thread of the backend's own, or
    /// later. An error is a failed attempt.
    fn start(&mut self, sink: Sink) -> Result<()>;

    /// Takes input, and says how many bytes of it. Only called while it is connected.
    ///
    /// The rest is offered again at once; when none was taken, not before [`Sink::writable`]. An
    /// error ends the connection.
    fn write(&mut self, bytes: &[u8]) -> Result<usize>;

    /// Sends a break, behind everything written before it. An error goes to whoever asked for it.
    fn send_break(&mut self) -> Result<()> {
        Err(Error::with_text(ErrorKind::Incompatible, "this console cannot send a break"))
    }

    /// The window has another size. May come at any time; comes before
    /// [`start`](Backend::start) when the size is known by then.
    fn resize(&mut self, columns: u16, rows: u16) {
        let _ = (columns, rows);
    }

    /// Ends what was started. Its sink is dead already: nothing it says is heard any more.
    fn stop(&mut self);
}

/// Where a [`Backend`] puts what comes of one start. Can be cloned, sent and used from any thread.
///
/// It is dead once that start is over, for whatever reason: what a dead one is told goes nowhere,
/// and its methods say `false`. None of them blocks.
#[derive(Clone)]
pub struct Sink {
    driver: Weak<Driver>,
    start: u64,
}

impl Sink {
    pub(super) fn new(driver: Weak<Driver>, start: u64) -> Self {
        Sink { driver, start }
    }

    /// The console is connected. Once per start.
    pub fn connected(&self) -> bool {
        self.driver.upgrade().is_some_and(|driver| driver.connected(self.start))
    }

    /// The console printed this.
    pub fn bytes(&self, bytes: &[u8]) -> bool {
        self.driver.upgrade().is_some_and(|driver| driver.push(self.start, bytes))
    }

    /// There is room again after [`Backend::write`] took nothing.
    pub fn writable(&self) -> bool {
        self.driver.upgrade().is_some_and(|driver| driver.writable(self.start))
    }

    /// The connection is over, or the attempt failed. The sink is dead from here on;
    /// [`Backend::stop`] follows.
    pub fn ended(&self, reason: Error) -> bool {
        self.driver.upgrade().is_some_and(|driver| driver.end(self.start, &reason))
    }

    /// Whether anybody listens any more.
    pub fn is_alive(&self) -> bool {
        self.driver.upgrade().is_some_and(|driver| driver.is_live(self.start))
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("start", &self.start).finish_non_exhaustive()
    }
}
