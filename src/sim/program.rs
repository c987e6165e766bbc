//! A program on a pseudoterminal: what [`Serial::Command`](super::Serial) puts behind the port.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::unistd::Pid;

use super::serial::{SerialEvent, SerialModel};

/// What may wait for a program to read it; beyond that a serial line without handshake overruns.
const BACKLOG_MAX: usize = 1 << 20;

/// A killed process is seen dead a moment later, and may have started another before.
const SCANS_MAX: usize = 100;

/// Runs the command, its `$0`, with no signal ignored. A program started in the background of a
/// script ignores SIGINT, and so would all it starts; without a new enough `env` it stays so.
const LAUNCH: &str = "env --default-signal true 2>/dev/null && \
    exec env --default-signal sh -c \"$0\"; exec sh -c \"$0\"";

/// A host whose only program is a shell command, started when the console is first looked at.
pub(super) struct CommandModel {
    command: String,
    program: Option<Program>,
    /// Why the program did not start, to be printed.
    complaint: Vec<u8>,
    console_active: bool,
    power_on: bool,
    watch: Watch,
    made: Instant,
}

/// How a program's terminal wakes the thread of the simulator.
#[derive(Clone)]
pub(super) struct Watch {
    pub epoll: Arc<Epoll>,
    /// What epoll reports.
    pub token: u64,
    /// Set when epoll reported: there may be something to read. Cleared when there was not.
    pub ready: Arc<AtomicBool>,
}

impl CommandModel {
    pub(super) fn new(command: &str, watch: Watch, now: Instant) -> Self {
        CommandModel {
            command: command.to_owned(),
            program: None,
            complaint: Vec::new(),
            console_active: false,
            power_on: true,
            watch,
            made: now,
        }
    }

    /// Starts the program, unless it runs or nobody would see it.
    fn start(&mut self) {
        if self.program.as_mut().is_some_and(Program::has_ended) {
            self.program = None;
        }
        if !self.power_on || !self.console_active || self.program.is_some() {
            return;
        }
        let edges = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        let started = Program::start(&self.command).and_then(|program| {
            self.watch.epoll.add(&program, EpollEvent::new(edges, self.watch.token))?;
            Ok(program)
        });
        match started {
            Ok(program) => self.program = Some(program),
            Err(error) => {
                let complaint = format!("cannot start {:?}: {error}\r\n", self.command);
                self.complaint = complaint.into_bytes();
                self.watch.ready.store(true, Ordering::Relaxed);
            }
        }
    }

    fn read(&mut self, space: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let Some(program) = &mut self.program else { return Ok(()) };
        program.flush();
        let mut buffer = [0; 4096];
        let end = out.len() + space;
        while out.len() < end {
            let wanted = buffer.len().min(end - out.len());
            match program.read(&mut buffer[..wanted])? {
                0 => {
                    self.program = None;
                    break;
                }
                len => out.extend_from_slice(&buffer[..len]),
            }
        }
        Ok(())
    }
}

impl SerialModel for CommandModel {
    fn input(&mut self, _: Instant, bytes: &[u8]) {
        if let Some(program) = &mut self.program {
            program.write(bytes);
        }
    }

    fn event(&mut self, _: Instant, event: &SerialEvent) {
        match event {
            SerialEvent::Activated => {
                self.console_active = true;
                self.start();
            }
            SerialEvent::Deactivated => self.console_active = false,
            SerialEvent::PowerOn => {
                self.power_on = true;
                self.start();
            }
            SerialEvent::PowerOff => {
                self.power_on = false;
                self.program = None;
            }
            SerialEvent::HostReset => {
                self.program = None;
                self.start();
            }
            SerialEvent::Break { .. } | SerialEvent::Dtr(_) => {}
        }
    }

    fn output(&mut self, _: Instant, space: usize, out: &mut Vec<u8>) {
        let complaint = self.complaint.len().min(space);
        out.extend(self.complaint.drain(..complaint));
        let read = self.read(space - complaint, out);
        let blocked = read.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock);
        if self.complaint.is_empty() && (blocked || self.program.is_none()) {
            self.watch.ready.store(false, Ordering::Relaxed);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.watch.ready.load(Ordering::Relaxed).then_some(self.made)
    }
}

/// A shell command with a terminal, in a session of its own.
#[derive(Debug)]
struct Program {
    master: PtyMaster,
    child: Child,
    /// Typed, and not yet taken by the terminal.
    typed: Vec<u8>,
}

impl Program {
    /// Starts `sh -c command`.
    fn start(command: &str) -> io::Result<Self> {
        let (master, slave) = open_terminal()?;
        // A controlling terminal needs setsid(2) between fork and exec, for which the standard
        // library has no safe call. The setsid program has: it replaces itself by the shell, so
        // the child's process ID is also that of its session.
        let mut setsid = Command::new("setsid");
        setsid.args(["-c", "sh", "-c", LAUNCH, command]).env("TERM", "vt220");
        setsid.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
        // A child inherits the signals its parent blocked; a terminal needs them all.
        let blocked = SigSet::empty().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let child = setsid.spawn();
        blocked.thread_set_mask()?;
        Ok(Program { master, child: child?, typed: Vec::new() })
    }

    /// Whether the shell exited. What it left on the terminal may still be read.
    fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Types `bytes`, as far as there is room.
    fn write(&mut self, bytes: &[u8]) {
        let room = BACKLOG_MAX.saturating_sub(self.typed.len());
        self.typed.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.flush();
    }

    /// Types what the terminal did not take before. An error means that nobody reads any more,
    /// which `read` reports.
    fn flush(&mut self) {
        while !self.typed.is_empty() {
            match self.master.write(&self.typed) {
                Ok(len) if len > 0 => drop(self.typed.drain(..len)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }

    /// Takes what the program printed: `WouldBlock` when it printed nothing, 0 when it ended.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.master.read(buffer) {
            // Linux: no process has the terminal open any more.
            Err(e) if e.raw_os_error() == Some(libc::EIO) => Ok(0),
            read => read,
        }
    }
}

impl AsFd for Program {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }
}

impl Drop for Program {
    /// Kills everything in the program's session, jobs of a shell included, and reaps the child.
    fn drop(&mut self) {
        let pid = self.child.id();
        // First, so that a child that has not come to setsid(2) yet never does.
        let _ = self.child.kill();
        // Until `wait` returns, no other process and no other session can have this ID.
        for _ in 0..SCANS_MAX {
            let members = session_members(pid);
            if members.is_empty() {
                break;
            }
            for member in members {
                let _ = kill(member, Signal::SIGKILL);
            }
        }
        let _ = self.child.wait();
    }
}

/// The processes of a session that are not dead.
fn session_members(session: u32) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // State, parent, process group and session follow the name, which may hold anything.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let mut fields = fields.split_ascii_whitespace();
        let dead = matches!(fields.next(), None | Some("Z" | "X"));
        !dead && fields.nth(2) == Some(&session.to_string())
    })
    .map(Pid::from_raw)
    .collect()
}

/// Both ends of a new terminal, neither of which a child inherits.
fn open_terminal() -> io::Result<(PtyMaster, File)> {
    // Not openpty(3): it cannot close the ends in children that other threads start meanwhile.
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let master = posix_openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NOCTTY);
    let slave = options.open(ptsname_r(&master)?)?;
    Ok((master, slave))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    /// Everything printed until `end` was.
    fn read_until(program: &mut Program, end: &str) -> String {
        let mut output = String::new();
        let mut buffer = [0; 512];
        while !output.contains(end) {
            let mut fds = [PollFd::new(program.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(Duration::from_secs(20)).unwrap();
            assert_eq!(poll(&mut fds, timeout), Ok(1), "waited for {end:?}, got {output:?}");
            match program.read(&mut buffer) {
                Ok(0) => break,
                Ok(len) => output.push_str(&String::from_utf8_lossy(&buffer[..len])),
                Err(e) => assert_eq!(e.kind(), io::ErrorKind::WouldBlock),
            }
        }
        output
    }

    #[test]
    fn a_program_has_a_terminal_and_ends() {
        let mut program = Program::start("tty; read line; echo \"<$line>\"").unwrap();
        assert!(read_until(&mut program, "\n").starts_with("/dev/pts/"));
        program.write(b"typed\r");
        assert!(read_until(&mut program, ">").contains("<typed>"));
        read_until(&mut program, "more than it has to say");
        assert_eq!(program.read(&mut [0; 16]).unwrap(), 0);
    }

    #[test]
    fn control_c_interrupts() {
        let blocked = SigSet::all();
        blocked.thread_block().unwrap();
        let command = "trap 'echo caught; exit' INT; echo ready; while :; do sleep 0.1; done";
        let mut program = Program::start(command).unwrap();
        read_until(&mut program, "ready");
        program.write(b"\x03");
        assert!(read_until(&mut program, "no more").contains("caught"));
    }

    #[test]
    fn dropping_kills_the_whole_session() {
        // With job control, so in a process group of its own.
        let command = "trap '' HUP; set -m; sleep 1000 & echo $!; sleep 1000";
        let mut program = Program::start(command).unwrap();
        let output = read_until(&mut program, "\n");
        let pid = Pid::from_raw(output.trim().parse().unwrap());
        assert!(kill(pid, None).is_ok());
        drop(program);
        // Reaped by whoever adopted it, or a zombie that waits to be.
        let ended = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        let mut tries = 0;
        while !ended() {
            tries += 1;
            assert!(tries < 1000, "{pid} lives");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
