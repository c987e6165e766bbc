//! Signals, and the password file.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bmclink::{Console, Credentials};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::ending::{End, Ending};
use crate::failure::Failure;
use crate::input::send_break;
use crate::output::Output;
use crate::target::first_line;

/// How often the password file is looked at.
const FILE_TIME_MS: u16 = 5000;

/// Signals wait here. There is no handler, which could do next to nothing.
pub struct Signals(SignalFd);

impl Signals {
    /// Call before any other thread is started: they all inherit that the signals are blocked.
    pub fn new() -> Result<Self, Failure> {
        let signals: SigSet = [
            Signal::SIGTERM,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGQUIT,
            Signal::SIGUSR1,
            Signal::SIGUSR2,
        ]
        .into_iter()
        .collect();
        let made = signals
            .thread_block()
            .and_then(|()| SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC));
        made.map(Signals).map_err(|error| Failure::io("cannot wait for signals", &error.into()))
    }

    /// The next one; none when `timeout` is over.
    fn next(&self, timeout: PollTimeout) -> Option<Signal> {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(1..) => {
                let info = self.0.read_signal().ok().flatten()?;
                Signal::try_from(info.ssi_signo as i32).ok()
            }
            _ => None,
        }
    }
}

/// What the thread of signals works with.
pub struct Control {
    pub signals: Signals,
    pub ending: Arc<Ending>,
    pub console: Console,
    pub output: Arc<Output>,
    pub password: Option<Password>,
}

impl Control {
    /// Runs until a signal ends the program.
    pub fn run(mut self) {
        loop {
            let timeout =
                if self.password.is_some() { FILE_TIME_MS.into() } else { PollTimeout::NONE };
            match self.signals.next(timeout) {
                Some(Signal::SIGUSR1) => send_break(&self.console, &self.output),
                Some(Signal::SIGUSR2) => self.reload(),
                Some(signal) => self.ending.end(End::Signal(signal)),
                None => {
                    if self.password.as_mut().is_some_and(Password::has_changed) {
                        self.reload();
                    }
                }
            }
        }
    }

    fn reload(&mut self) {
        let Some(password) = &mut self.password else {
            return self.output.note("there is no password file to read again");
        };
        match password.update() {
            Ok(()) => self.output.note("password file read again"),
            Err(text) => self.output.note(&format!("{text}; the old password stays")),
        }
    }
}

/// A password that is kept in a file.
pub struct Password {
    path: PathBuf,
    credentials: Credentials,
    user: String,
    k_g: Vec<u8>,
    /// The file as it was when it was read.
    read: Stamp,
    /// As it was when it was last looked at.
    seen: Stamp,
}

/// Another one, another file.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    inode: u64,
    len: u64,
    changed: (i64, i64),
}

impl Password {
    /// `read` is the file as it was before the credentials were taken from it.
    pub fn new(
        path: PathBuf,
        read: Stamp,
        credentials: &Credentials,
        user: &str,
        k_g: Vec<u8>,
    ) -> Self {
        let (credentials, user) = (credentials.clone(), user.to_owned());
        Password { path, credentials, user, k_g, read, seen: Stamp::default() }
    }

    /// Whether the file is another one than the one that was read, and has been so for a while:
    /// half a password is a wrong one, and wrong ones lock accounts.
    fn has_changed(&mut self) -> bool {
        let Ok(now) = Stamp::of(&self.path) else { return false };
        let settled = std::mem::replace(&mut self.seen, now) == now;
        settled && now != self.read && now.len > 0
    }

    /// Logs in with what is in the file now, unless that is what is used already.
    fn update(&mut self) -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", self.path.display());
        let read = Stamp::of(&self.path).map_err(|error| failed(&error))?;
        let password = File::open(&self.path).and_then(first_line);
        let password = password.map_err(|error| failed(&error))?;
        if password.is_empty() {
            return Err(failed(&"the first line is empty"));
        }
        let updated = self.credentials.update(self.user.as_bytes(), &password, &self.k_g);
        updated.map_err(|error| failed(&error))?;
        self.read = read;
        Ok(())
    }
}

impl Stamp {
    pub fn of(path: &Path) -> io::Result<Self> {
        let file = std::fs::metadata(path)?;
        let changed = (file.mtime(), file.mtime_nsec());
        Ok(Stamp { inode: file.ino(), len: file.len(), changed })
    }
}
