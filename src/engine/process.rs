//! A child process on a pseudo-terminal of its own, in a session of its own.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{PtyMaster, Winsize, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, killpg};
use nix::sys::stat::Mode;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, pipe2, setsid, write};

/// How long a process that was told to hang up has to do so.
const HANG_UP: Duration = Duration::from_millis(500);
/// How long a killed one may take to be gone: the kernel may be busy on its behalf.
const KILLED: Duration = Duration::from_secs(5);

/// A running process.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// Readable when it has ended; `None` where the kernel has no such thing.
    end: Option<OwnedFd>,
    reaped: bool,
}

/// The terminal a process gets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    pub columns: u16,
    pub rows: u16,
    /// All bytes go through unchanged, both ways.
    pub raw: bool,
}

/// What a process reads from a descriptor of this number.
pub(super) struct Handed<'a> {
    pub fd: RawFd,
    pub bytes: &'a [u8],
}

/// Starts `command` on a new terminal, as the leader of a new session and process group. It has
/// that terminal as descriptors 0 to 2, what it is handed, and no other descriptor. Gives our
/// end of the terminal, which does not block.
pub(super) fn spawn(
    mut command: Command,
    terminal: Terminal,
    handed: Option<Handed<'_>>,
) -> io::Result<(Process, PtyMaster)> {
    let (ours, theirs) = open_terminal(terminal)?;
    command.stdin(Stdio::from(theirs.try_clone()?));
    command.stdout(Stdio::from(theirs.try_clone()?));
    command.stderr(Stdio::from(theirs));
    let pipe = handed.map(|handed| Pipe::new(&handed)).transpose()?;
    let moved = pipe.as_ref().map(|pipe| (pipe.source().as_raw_fd(), pipe.target));
    let prepare = move || {
        setsid()?;
        take_terminal()?;
        handle_signals_by_default();
        hide_descriptors();
        moved.map_or(Ok(()), |(source, target)| duplicate(source, target))
    };
    // SAFETY: it only makes system calls, as is allowed between fork and exec.
    unsafe { command.pre_exec(prepare) };
    let child = command.spawn()?;
    let end = end_of(&child);
    Ok((Process { child, end, reaped: false }, ours))
}

/// Both ends of a new terminal: ours and the process's.
fn open_terminal(terminal: Terminal) -> io::Result<(PtyMaster, OwnedFd)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let ours = posix_openpt(flags | OFlag::O_NONBLOCK)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let theirs = open(ptsname_r(&ours)?.as_str(), flags, Mode::empty())?;
    if terminal.raw {
        let mut modes = tcgetattr(&theirs)?;
        cfmakeraw(&mut modes);
        tcsetattr(&theirs, SetArg::TCSANOW, &modes)?;
    }
    set_size(ours.as_fd(), terminal.columns, terminal.rows)?;
    Ok((ours, theirs))
}

/// Gives a terminal's window another size; whoever runs on it gets SIGWINCH.
pub(super) fn set_size(terminal: BorrowedFd<'_>, columns: u16, rows: u16) -> io::Result<()> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open, and TIOCSWINSZ reads one winsize.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    Errno::result(result).map(drop).map_err(io::Error::from)
}

/// Makes descriptor 0 the terminal of this session.
fn take_terminal() -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes a number.
    let result = unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) };
    Errno::result(result).map(drop).map_err(io::Error::from)
}

/// What this process ignores, a program that it starts would ignore too: SIGHUP under nohup.
fn handle_signals_by_default() {
    for signal in 1..=SIGNAL_MAX {
        // SAFETY: no handler is given, so no code runs. It fails for those that cannot be set.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// The last of Linux's.
const SIGNAL_MAX: libc::c_int = 64;

/// Has every descriptor above 2 closed when the program begins. Older kernels cannot; those of
/// this library are closed in any case.
fn hide_descriptors() {
    // SAFETY: it takes three numbers and touches no memory.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOSE_ON_EXEC) };
}

const CLOSE_ON_EXEC: libc::c_uint = libc::CLOSE_RANGE_CLOEXEC;

fn duplicate(source: RawFd, target: RawFd) -> io::Result<()> {
    // SAFETY: the process has one thread here, and nobody in it owns the target.
    let result = unsafe { libc::dup2(source, target) };
    Errno::result(result).map(drop).map_err(io::Error::from)
}

/// A descriptor that is readable when the process has ended.
fn end_of(child: &Child) -> Option<OwnedFd> {
    // SAFETY: it takes two numbers. Nobody reaps the child but us, so the ID is its.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
    let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: it is new, open, and nobody else's.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A pipe whose bytes are all in it, to be a descriptor of a certain number in a child.
struct Pipe {
    read: OwnedFd,
    /// Keeps the number from being given to something the child needs until its program begins.
    other: OwnedFd,
    target: RawFd,
}

impl Pipe {
    fn new(handed: &Handed<'_>) -> io::Result<Self> {
        let (read, end) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // A pipe takes more than that at once.
        if write(&end, handed.bytes)? < handed.bytes.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        // The child may wait for what is there.
        fcntl(&read, FcntlArg::F_SETFL(OFlag::empty()))?;
        let other = fcntl(&read, FcntlArg::F_DUPFD_CLOEXEC(handed.fd))?;
        // SAFETY: it is new, open, and nobody else's.
        let other = unsafe { OwnedFd::from_raw_fd(other) };
        Ok(Pipe { read, other, target: handed.fd })
    }

    /// The one of both that is not the target itself.
    fn source(&self) -> &OwnedFd {
        if self.other.as_raw_fd() == self.target { &self.read } else { &self.other }
    }
}

impl Process {
    pub fn id(&self) -> Pid {
        // A process ID is positive, and fits.
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// A descriptor that is readable when it has ended.
    pub fn end_fd(&self) -> Option<BorrowedFd<'_>> {
        self.end.as_ref().map(OwnedFd::as_fd)
    }

    /// Has it and its process group hang up, kills what does not, and reaps it. Blocks for half a
    /// second at most, unless the kernel is busy on its behalf.
    pub fn end(&mut self) {
        if self.reaped {
            return;
        }
        self.reaped = true;
        // The process is not reaped before the last of these, so the group is its. They fail
        // only when all of it is gone.
        let _ = killpg(self.id(), Signal::SIGHUP);
        let _ = killpg(self.id(), Signal::SIGCONT);
        self.wait_end(HANG_UP);
        let _ = killpg(self.id(), Signal::SIGKILL);
        self.wait_end(KILLED);
        match self.child.try_wait() {
            Ok(Some(_)) => {}
            other => {
                let pid = self.child.id();
                log::warn!(target: "bmclink::backend", "process {pid} does not end: {other:?}");
            }
        }
    }

    fn wait_end(&self, limit: Duration) {
        let until = std::time::Instant::now() + limit;
        while how_it_ended(self.id()).is_none() {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return;
            }
            // Without a descriptor it is looked at every now and then.
            let step = if self.end.is_some() { left } else { left.min(Duration::from_millis(10)) };
            let timeout = PollTimeout::try_from(step).unwrap_or(PollTimeout::ZERO);
            let mut fds: Vec<_> =
                self.end_fd().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).into_iter().collect();
            // A signal that interrupts it costs one more look.
            let _ = poll(&mut fds, timeout);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// How a child that is not reaped has ended, in words; `None` while it runs.
pub(super) fn how_it_ended(child: Pid) -> Option<String> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::Pid(child), flags) {
        Ok(WaitStatus::Exited(_, status)) => Some(format!("exited with status {status}")),
        Ok(WaitStatus::Signaled(_, signal, _)) => {
            Some(format!("killed by signal {}", signal as libc::c_int))
        }
        Ok(_) | Err(Errno::EINTR) => None,
        // A real-time signal has no name there.
        Err(Errno::EINVAL) => Some("killed by a real-time signal".to_owned()),
        Err(error) => Some(format!("ended, nobody knows how: {error}")),
    }
}
