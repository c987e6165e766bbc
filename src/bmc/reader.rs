//! One attached reader of a console.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
#[cfg(feature = "capi")]
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{Console, FOREVER};
use crate::console::Cursor;
use crate::engine::{ConsoleEvent, Place, deadline};
use crate::error::{ErrorKind, Result};

/// One attached reader of a console: its own place in what the console printed. It cannot write:
/// who shall do both is given the [`Console`] too, which is shared by all who write.
///
/// A reader that falls behind by more than [`ConsoleConfig::replay_len`] loses the oldest bytes
/// and is told how many; it never slows the console or another reader. A clone goes on from the
/// same place, with a place, a descriptor and queues of its own.
#[derive(Debug)]
pub struct Reader {
    pub(super) console: Console,
    pub(super) cursor: Cursor,
    pub(super) place: Arc<Place>,
    /// Whether the console knows that it is there.
    attached: bool,
}

impl Reader {
    pub(super) fn new(console: &Console, cursor: Cursor) -> Self {
        let mut reader = Reader::unattached(console, cursor);
        reader.attach();
        reader
    }

    pub(super) fn unattached(console: &Console, cursor: Cursor) -> Self {
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

    /// A descriptor that is readable while [`read`](Reader::read) would not block: there are
    /// bytes, or a reason why there are none; and maybe for a moment after a read took the last of
    /// them. For `poll`, `epoll` and the like; it is not to be read from or written to.
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
