//! Standard output: what the console prints, and lines of our own among it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long a last line waits for an output that takes nothing.
const LAST_TIME: Duration = Duration::from_millis(200);

pub struct Output {
    silent: bool,
    inner: Mutex<Inner>,
}

struct Inner {
    stdout: File,
    at_line_start: bool,
}

impl Output {
    /// With `silent` it has no lines of our own.
    pub fn new(silent: bool) -> io::Result<Self> {
        // Not `io::Stdout`, which keeps back what is no whole line.
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Output { silent, inner: Mutex::new(Inner { stdout, at_line_start: true }) })
    }

    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// Writes what the console printed, however long that takes.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.lock().write(bytes)
    }

    /// Writes a line of our own. Whether that works is noticed with the next bytes.
    pub fn note(&self, text: &str) {
        if !self.silent {
            let _ = self.lock().note(text);
        }
    }

    /// The same at the end, when nobody may read any more.
    pub fn last_note(&self, text: &str) {
        let until = Instant::now() + LAST_TIME;
        while !self.silent && Instant::now() < until {
            if let Ok(mut inner) = self.inner.try_lock()
                && inner.is_writable()
            {
                let _ = inner.note(text);
                return;
            }
            std::thread::sleep(LAST_TIME / 20);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn note(&mut self, text: &str) -> io::Result<()> {
        let start = if self.at_line_start { "" } else { "\r\n" };
        self.write(format!("{start}[bmclink: {text}]\r\n").as_bytes())
    }

    /// conman gives its children a socket that does not block.
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if let Some(last) = bytes.last() {
            self.at_line_start = *last == b'\n';
        }
        while !bytes.is_empty() {
            match self.stdout.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => bytes = &bytes[len..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollTimeout::NONE);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn is_writable(&self) -> bool {
        self.wait(PollTimeout::ZERO)
    }

    fn wait(&self, timeout: PollTimeout) -> bool {
        let mut fds = [PollFd::new(self.stdout.as_fd(), PollFlags::POLLOUT)];
        poll(&mut fds, timeout).is_ok_and(|count| count > 0)
    }
}
