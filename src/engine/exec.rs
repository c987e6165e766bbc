//! Consoles of child processes: a command on a pseudo-terminal.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::pty::PtyMaster;
use nix::unistd::{Pid, read, write};

use super::backend::{Backend, Sink};
use super::backends::{Backends, Polled, Timed};
use super::process::{Handed, Process, Terminal, how_it_ended, set_size, spawn};
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Mutex, now};

/// How the output of a command is waited for after its end, when something else still has its
/// terminal.
const LAST_OUTPUT: Duration = Duration::from_millis(200);
/// How long a command may go on without a terminal.
const NO_TERMINAL: Duration = Duration::from_secs(1);
/// Reads in a row before others have their turn.
const READS: usize = 16;
const READ_LEN: usize = 8 << 10;
/// The longest signature.
const SIGNATURE_MAX: usize = 4096;

/// Bytes that a command prints when it is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// What is looked for, 1 to 4,096 bytes.
    pub bytes: Vec<u8>,
    /// Within what time of its start, 1 ms to 1 h.
    pub within: Duration,
}

/// A command whose terminal is a console: `ssh`, `telnet`, `docker attach`, a vendor's tool.
///
/// It runs as the leader of a session and process group of its own, with a new pseudo-terminal
/// as its standard input, output and error, the environment of this process and what is added to
/// it, default signal handling, and no other descriptor than that of
/// [`password_fd`](ExecConfig::password_fd).
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ExecConfig {
    /// The program: a path, or a name that is looked up in `PATH`.
    pub command: OsString,
    /// Its arguments. Everybody on the machine can see them: no secrets.
    pub arguments: Vec<OsString>,
    /// What is added to the environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it runs. Default: where this process does.
    pub directory: Option<PathBuf>,
    /// What says that it is connected. Default: that it is running.
    pub signature: Option<Signature>,
    /// Columns and rows of the window, until [`Console::resize`](crate::Console::resize) says
    /// otherwise. Default 80 and 24.
    pub window: (u16, u16),
    /// Gives it a terminal as an interactive user's: with echo, lines, signals by keys, and a
    /// carriage return before each newline. Default no: the terminal is raw (as by `cfmakeraw`),
    /// and all 256 values of a byte go through unchanged, both ways. Programs that need another
    /// one (`ssh`, editors) set that themselves; a plain shell wants this.
    pub cooked: bool,
    /// Who logs in. Each change of them starts the command anew.
    pub credentials: Option<Credentials>,
    /// A variable of the environment for the user name.
    pub user_name_variable: Option<OsString>,
    /// A variable of the environment for the password. Processes of the same user, and of root,
    /// can see it.
    pub password_variable: Option<OsString>,
    /// A descriptor, 3 to 255, from which the command can read the password and a newline.
    pub password_fd: Option<RawFd>,
}

impl ExecConfig {
    /// A command with every default.
    pub fn new(command: impl Into<OsString>) -> Self {
        ExecConfig {
            command: command.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            signature: None,
            window: (80, 24),
            cooked: false,
            credentials: None,
            user_name_variable: None,
            password_variable: None,
            password_fd: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets where it runs.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Has it count as connected when it has printed `bytes`, and as failed when it has not within
    /// that time.
    #[must_use]
    pub fn signature(mut self, bytes: impl Into<Vec<u8>>, within: Duration) -> Self {
        self.signature = Some(Signature { bytes: bytes.into(), within });
        self
    }

    /// Sets the size of the window.
    #[must_use]
    pub fn window(mut self, columns: u16, rows: u16) -> Self {
        self.window = (columns, rows);
        self
    }

    /// Gives it a terminal with echo and lines.
    #[must_use]
    pub fn cooked(mut self) -> Self {
        self.cooked = true;
        self
    }

    /// Passes the user name and the password in these variables of the environment.
    #[must_use]
    pub fn credentials_by_environment(
        mut self,
        credentials: &Credentials,
        user_name: impl Into<OsString>,
        password: impl Into<OsString>,
    ) -> Self {
        self.credentials = Some(credentials.clone());
        self.user_name_variable = Some(user_name.into());
        self.password_variable = Some(password.into());
        self
    }

    /// Passes the password, and a newline, by a pipe that is this descriptor of the command.
    #[must_use]
    pub fn password_by_pipe(mut self, credentials: &Credentials, fd: RawFd) -> Self {
        self.credentials = Some(credentials.clone());
        self.password_fd = Some(fd);
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let variables = [&self.user_name_variable, &self.password_variable];
        let named = variables.into_iter().flatten().chain(self.environment.iter().map(|it| &it.0));
        let bad =
            |name: &OsStr| name.is_empty() || name.as_bytes().iter().any(|b| b"=\0".contains(b));
        let text = |text: &OsString| text.as_bytes().contains(&0);
        let passes = self.password_fd.is_some() || variables.iter().any(|it| it.is_some());
        let problem = if self.command.is_empty() {
            "there is no command"
        } else if named.into_iter().any(|name| bad(name)) {
            "the name of a variable is empty, or has '=' or a zero byte in it"
        } else if text(&self.command)
            || self.arguments.iter().any(text)
            || self.environment.iter().any(|(_, value)| text(value))
            || self.directory.iter().any(|path| path.as_os_str().as_bytes().contains(&0))
        {
            "there is a zero byte in the command, an argument, a variable or the directory"
        } else if self.window.0 == 0 || self.window.1 == 0 {
            "the window has no columns or no rows"
        } else if self.password_fd.is_some_and(|fd| !(3..=255).contains(&fd)) {
            "password_fd is not 3 to 255"
        } else if self.credentials.is_some() != passes {
            "credentials need a way to be passed, and a way needs credentials"
        } else if self.signature.as_ref().is_some_and(|it| !it.fits()) {
            "a signature is 1 to 4096 bytes within 1 ms to 1 h"
        } else {
            return Ok(());
        };
        Err(Error::misuse(problem))
    }

    /// The command's name, for messages.
    fn name(&self) -> String {
        self.command.to_string_lossy().into_owned()
    }

    fn start(&self, terminal: Terminal) -> Result<(Process, PtyMaster)> {
        let mut command = Command::new(&self.command);
        command.args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let credentials = self.credentials.as_ref().map(Credentials::current);
        let mut line = Line(Vec::new());
        if let Some(credentials) = credentials {
            let password = credentials.password.expose();
            for (name, value) in [
                (&self.user_name_variable, credentials.user_name.as_slice()),
                (&self.password_variable, password),
            ] {
                let Some(name) = name else { continue };
                if value.contains(&0) {
                    let text = "a user name or password with a zero byte fits in no variable";
                    return Err(Error::misuse(text));
                }
                command.env(name, OsString::from_vec(value.to_vec()));
            }
            line.0.reserve_exact(password.len() + 1);
            line.0.extend_from_slice(password);
            line.0.push(b'\n');
        }
        let handed = self.password_fd.map(|fd| Handed { fd, bytes: &line.0 });
        let failed = |error| Error::io(&format!("cannot run {}", self.name()), &error);
        spawn(command, terminal, handed).map_err(failed)
    }
}

/// A password in a line of its own; zeroed when dropped.
struct Line(Vec<u8>);

impl Drop for Line {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// Values of the environment may be secret.
impl fmt::Debug for ExecConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecConfig")
            .field("command", &self.command)
            .field("arguments", &self.arguments)
            .field("directory", &self.directory)
            .field("signature", &self.signature)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl Signature {
    fn fits(&self) -> bool {
        let limits = Duration::from_millis(1)..=Duration::from_secs(3600);
        (1..=SIGNATURE_MAX).contains(&self.bytes.len()) && limits.contains(&self.within)
    }
}

/// The backend of an exec console.
pub(super) struct Exec {
    config: ExecConfig,
    backends: Arc<Backends>,
    window: (u16, u16),
    running: Option<Running>,
}

struct Running {
    process: Process,
    pty: Arc<Pty>,
    watch: usize,
}

impl Exec {
    pub fn new(backends: &Arc<Backends>, config: ExecConfig) -> Self {
        Exec { window: config.window, config, backends: backends.clone(), running: None }
    }
}

impl Backend for Exec {
    fn start(&mut self, sink: Sink) -> Result<()> {
        let (columns, rows) = self.window;
        let terminal = Terminal { columns, rows, raw: !self.config.cooked };
        let (process, terminal) = self.config.start(terminal)?;
        let pty = Pty::new(self, terminal, process.id(), sink.clone());
        if self.config.signature.is_none() {
            // Before its end can be seen.
            sink.connected();
        }
        let polled: Arc<dyn Polled> = pty.clone();
        let fds: Vec<_> = [pty.terminal.as_fd()].into_iter().chain(process.end_fd()).collect();
        let watch = self.backends.watch(&polled, &fds).map_err(|error| {
            pty.leave();
            Error::io("cannot wait for a process", &error)
        })?;
        self.running = Some(Running { process, pty, watch });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.running.as_ref().map_or(Ok(0), |running| running.pty.write(bytes))
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        self.window = (columns, rows);
        if let Some(running) = &self.running
            && let Err(error) = set_size(running.pty.terminal.as_fd(), columns, rows)
        {
            log::warn!(target: "bmclink::backend", "{}: no new size: {error}", self.config.name());
        }
    }

    fn send_break(&mut self) -> Result<()> {
        let text = "a pseudo-terminal has no line to send a break on";
        Err(Error::with_text(ErrorKind::Incompatible, text))
    }

    fn stop(&mut self) {
        let Some(Running { mut process, pty, watch }) = self.running.take() else { return };
        pty.leave();
        let fds: Vec<BorrowedFd<'_>> =
            [pty.terminal.as_fd()].into_iter().chain(process.end_fd()).collect();
        self.backends.unwatch(watch, &fds);
        drop(fds);
        process.end();
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Our end of a command's terminal.
struct Pty {
    me: Weak<Pty>,
    backends: Arc<Backends>,
    timer: u64,
    name: String,
    terminal: PtyMaster,
    process: Pid,
    sink: Sink,
    /// A write found no room, or may find none.
    starved: AtomicBool,
    reading: Mutex<Reading>,
}

#[derive(Default)]
struct Reading {
    /// Not found yet, and how long it is waited for.
    search: Option<(Search, Instant)>,
    /// Nobody has the other end any more.
    hung_up: bool,
    /// How it ended.
    status: Option<String>,
    /// How long the rest is waited for.
    until: Option<Instant>,
    armed: Option<Instant>,
    over: bool,
}

impl Pty {
    fn new(exec: &Exec, terminal: PtyMaster, process: Pid, sink: Sink) -> Arc<Self> {
        let search = exec.config.signature.as_ref().map(|signature| {
            let search = Search { bytes: signature.bytes.clone(), tail: Vec::new() };
            (search, now() + signature.within)
        });
        let pty = Arc::new_cyclic(|me| Pty {
            me: me.clone(),
            backends: exec.backends.clone(),
            timer: exec.backends.new_id(),
            name: exec.config.name(),
            terminal,
            process,
            sink,
            starved: AtomicBool::new(false),
            reading: Mutex::new(Reading { search, ..Reading::default() }),
        });
        pty.arm(&mut pty.reading.lock());
        pty
    }

    /// Does not block: 0 when there is no room.
    fn write(&self, bytes: &[u8]) -> Result<usize> {
        // Before the write: room that comes right after it is told of.
        self.starved.store(true, Ordering::SeqCst);
        match write(&self.terminal, bytes) {
            Ok(taken) => Ok(taken),
            // EIO: nobody has the other end. Whoever reads says why.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::EIO) => Ok(0),
            Err(error) => Err(Error::io("cannot write to a terminal", &error.into())),
        }
    }

    /// Nothing of it is of interest any more. The process can be reaped after this.
    fn leave(&self) {
        let mut reading = self.reading.lock();
        reading.over = true;
        self.arm(&mut reading);
    }

    /// Takes what was printed; whether there is more than that.
    fn read(&self, reading: &mut Reading) -> bool {
        let mut buffer = [0; READ_LEN];
        for _ in 0..READS {
            match read(&self.terminal, &mut buffer) {
                Err(Errno::EAGAIN) => return false,
                Err(Errno::EINTR) => {}
                Ok(0) | Err(_) => {
                    reading.hung_up = true;
                    return false;
                }
                Ok(len) => {
                    let bytes = &buffer[..len];
                    self.sink.bytes(bytes);
                    if reading.search.as_mut().is_some_and(|(search, _)| search.finds(bytes)) {
                        reading.search = None;
                        self.sink.connected();
                    }
                }
            }
        }
        true
    }

    /// Sees whether it is over.
    fn look(&self, reading: &mut Reading, may_have_ended: bool) {
        let now = now();
        if reading.status.is_none() && (may_have_ended || reading.hung_up) {
            reading.status = how_it_ended(self.process);
        }
        let is_late = reading.until.is_some_and(|until| until <= now);
        let text = match (&reading.status, reading.hung_up) {
            (Some(status), hung_up) if hung_up || is_late => status.clone(),
            (None, true) if is_late => "closed its terminal".to_owned(),
            (Some(_), _) => {
                reading.until.get_or_insert(now + LAST_OUTPUT);
                return self.look_for_signature(reading, now);
            }
            (None, true) => {
                reading.until.get_or_insert(now + NO_TERMINAL);
                return self.look_for_signature(reading, now);
            }
            (None, false) => return self.look_for_signature(reading, now),
        };
        let early = if reading.search.is_some() { " before it printed its signature" } else { "" };
        self.finish(reading, ErrorKind::Lost, format!("{} {text}{early}", self.name));
    }

    fn look_for_signature(&self, reading: &mut Reading, now: Instant) {
        let Some((_, until)) = &reading.search else { return self.arm(reading) };
        if *until > now {
            return self.arm(reading);
        }
        let text = format!("{} did not print its signature in time", self.name);
        self.finish(reading, ErrorKind::TimedOut, text);
    }

    fn finish(&self, reading: &mut Reading, kind: ErrorKind, text: String) {
        reading.over = true;
        self.arm(reading);
        self.sink.ended(Error::with_text(kind, text));
    }

    fn arm(&self, reading: &mut Reading) {
        let search = reading.search.as_ref().map(|(_, until)| *until);
        let next = search.into_iter().chain(reading.until).min().filter(|_| !reading.over);
        if next != reading.armed {
            let whom: Weak<dyn Timed> = self.me.clone();
            self.backends.arm(self.timer, reading.armed, next, whom);
            reading.armed = next;
        }
    }
}

impl Polled for Pty {
    fn on_ready(&self, writable: bool, other: bool) -> bool {
        let mut reading = self.reading.lock();
        if reading.over {
            return false;
        }
        if writable && self.starved.swap(false, Ordering::SeqCst) {
            self.sink.writable();
        }
        let more = !reading.hung_up && self.read(&mut reading);
        self.look(&mut reading, other);
        more
    }
}

impl Timed for Pty {
    fn on_time(&self) {
        let mut reading = self.reading.lock();
        // It was taken out.
        reading.armed = None;
        if !reading.over {
            self.look(&mut reading, true);
        }
    }
}

/// Looks for bytes that may come in pieces.
struct Search {
    bytes: Vec<u8>,
    tail: Vec<u8>,
}

impl Search {
    fn finds(&mut self, new: &[u8]) -> bool {
        self.tail.extend_from_slice(new);
        let found = self.tail.windows(self.bytes.len()).any(|window| window == self.bytes);
        let kept = self.tail.len().min(self.bytes.len() - 1);
        self.tail.drain(..self.tail.len() - kept);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_found_in_pieces_and_only_when_it_is_there() {
        let search = || Search { bytes: b"abcab".to_vec(), tail: Vec::new() };
        let finds = |pieces: &[&[u8]]| {
            let mut search = search();
            pieces.iter().map(|piece| search.finds(piece)).collect::<Vec<_>>()
        };
        assert_eq!(finds(&[b"xxabcabxx"]), [true]);
        assert_eq!(finds(&[b"ab", b"c", b"a", b"bx"]), [false, false, false, true]);
        assert_eq!(finds(&[b"abc", b"xab"]), [false, false]);
        let one = Search { bytes: b"x".to_vec(), tail: Vec::new() }.finds(b"ax");
        assert!(one);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let credentials = Credentials::new("admin", "password").expect("legal");
        let within = Duration::from_secs(1);
        for config in [
            ExecConfig::new(""),
            ExecConfig::new("a\0b"),
            ExecConfig::new("cat").args(["\0"]),
            ExecConfig::new("cat").env("A=B", "x"),
            ExecConfig::new("cat").env("", "x"),
            ExecConfig::new("cat").directory("/\0"),
            ExecConfig::new("cat").window(0, 24),
            ExecConfig::new("cat").signature("", within),
            ExecConfig::new("cat").signature("x", Duration::ZERO),
            ExecConfig::new("cat").password_by_pipe(&credentials, 2),
            ExecConfig { credentials: Some(credentials), ..ExecConfig::new("cat") },
            ExecConfig { password_fd: Some(3), ..ExecConfig::new("cat") },
        ] {
            let kind = config.check().map_err(|error| error.kind());
            assert_eq!(kind, Err(ErrorKind::Misuse), "{config:?}");
        }
        assert_eq!(ExecConfig::new("cat").check(), Ok(()));
    }
}
