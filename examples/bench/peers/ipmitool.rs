//! ipmitool as a contestant: `sol activate` on a terminal, a process for each console.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use serde_json::{Value, json};

use super::drive::Consoles;
use crate::bmcs::{PASSWORD, USER};
use crate::child::ends_with_us;
use crate::consoles::{CONNECT_TIME, address};
use crate::measure;
use crate::report::Result;

/// What it prints when the console is up.
const UP: &[u8] = b"[SOL Session operational.  Use ~? for help]";
/// Its escape to end.
const BYE: &[u8] = b"\r~.";
/// Consoles that start at the same time: more, and their logins time out.
const STARTING_MAX: usize = 20;

pub struct Ipmitool {
    first: SocketAddr,
    open: Vec<Terminal>,
}

/// One process and our end of its terminal.
struct Terminal {
    child: Child,
    master: PtyMaster,
    started: Vec<u8>,
}

impl Terminal {
    fn start(to: SocketAddr) -> Result<Self> {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let master = posix_openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NOCTTY);
        let slave: File = options.open(ptsname_r(&master)?)?;
        let mut mode = tcgetattr(&slave)?;
        cfmakeraw(&mut mode);
        tcsetattr(&slave, SetArg::TCSANOW, &mode)?;
        let mut command = Command::new("ipmitool");
        command.args(["-I", "lanplus", "-C", "3", "-H", &to.ip().to_string()]);
        command.args(["-p", &to.port().to_string(), "-U", USER, "-P", PASSWORD, "sol", "activate"]);
        command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
        let child = ends_with_us(&mut command).spawn()?;
        Ok(Terminal { child, master, started: Vec::new() })
    }

    /// Reads what is there, 0 bytes for nothing.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self.master.read(buffer) {
            Ok(0) => Err("ipmitool ended".into()),
            Ok(len) => Ok(len),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Err("ipmitool ended".into()),
            Err(error) => Err(error.into()),
        }
    }

    fn wait(&self, flags: PollFlags, timeout: Duration) -> Result<()> {
        let mut fds = [PollFd::new(self.master.as_fd(), flags)];
        poll(&mut fds, PollTimeout::try_from(timeout)?)?;
        Ok(())
    }

    /// Whether it is connected by now.
    fn is_up(&mut self) -> Result<bool> {
        let mut buffer = [0; 1024];
        let len = self.read(&mut buffer).map_err(|error| {
            let said = String::from_utf8_lossy(&self.started).trim().to_owned();
            format!("{error}: {said:?}")
        })?;
        self.started.extend_from_slice(&buffer[..len]);
        Ok(self.started.windows(UP.len()).any(|window| window == UP))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ipmitool {
    pub fn new(first: SocketAddr) -> Self {
        Ipmitool { first, open: Vec::new() }
    }

    /// Waits until all but so many are connected, or failed; those are dropped.
    fn settle(&mut self, starting: &mut Vec<Terminal>, until: usize) -> Result<()> {
        let deadline = Instant::now() + CONNECT_TIME;
        while starting.len() > until {
            let mut at = 0;
            while at < starting.len() {
                match starting[at].is_up() {
                    Ok(true) => self.open.push(starting.remove(at)),
                    Ok(false) => at += 1,
                    Err(error) => {
                        eprintln!("bench: ipmitool did not connect: {error}");
                        starting.remove(at);
                    }
                }
            }
            if Instant::now() > deadline {
                return Err(format!("{} did not connect", starting.len()).into());
            }
            let fds = starting.iter().map(|t| PollFd::new(t.master.as_fd(), PollFlags::POLLIN));
            let mut fds: Vec<PollFd<'_>> = fds.collect();
            if fds.len() > until {
                poll(&mut fds, PollTimeout::from(100u8))?;
            }
        }
        Ok(())
    }
}

impl Consoles for Ipmitool {
    fn connect_one(&mut self) -> Result<()> {
        let mut starting = vec![Terminal::start(address(self.first, self.open.len()))?];
        let before = self.open.len();
        self.settle(&mut starting, 0)?;
        if self.open.len() > before { Ok(()) } else { Err("not connected".into()) }
    }

    fn connect(&mut self, count: usize) -> Result<usize> {
        let mut starting = Vec::new();
        for index in 0..count {
            starting.push(Terminal::start(address(self.first, index))?);
            self.settle(&mut starting, STARTING_MAX - 1)?;
        }
        self.settle(&mut starting, 0)?;
        Ok(self.open.len())
    }

    fn close(&mut self) -> Result<()> {
        for terminal in &mut self.open {
            let _ = terminal.master.write_all(BYE);
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut buffer = [0; 1024];
        while !self.open.is_empty() && Instant::now() < deadline {
            for terminal in &mut self.open {
                let _ = terminal.read(&mut buffer);
            }
            self.open.retain_mut(|terminal| matches!(terminal.child.try_wait(), Ok(None)));
            thread::sleep(Duration::from_millis(2));
        }
        self.open.clear();
        Ok(())
    }

    fn count(&self) -> usize {
        self.open.len()
    }

    fn write(&mut self, console: usize, mut bytes: &[u8]) -> Result<()> {
        let terminal = &mut self.open[console];
        let deadline = Instant::now() + CONNECT_TIME;
        while !bytes.is_empty() {
            match terminal.master.write(bytes) {
                Ok(len) => bytes = &bytes[len..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    terminal.wait(PollFlags::POLLOUT, Duration::from_millis(100))?;
                    if Instant::now() > deadline {
                        return Err("ipmitool takes no input".into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read(&mut self, console: usize, buffer: &mut [u8], timeout: Duration) -> Result<usize> {
        let terminal = &mut self.open[console];
        match terminal.read(buffer)? {
            0 if !timeout.is_zero() => {
                terminal.wait(PollFlags::POLLIN, timeout)?;
                terminal.read(buffer)
            }
            len => Ok(len),
        }
    }

    fn wait_any(&mut self, consoles: &[usize]) -> Result<Vec<usize>> {
        let fd = |&at: &usize| PollFd::new(self.open[at].master.as_fd(), PollFlags::POLLIN);
        let mut fds: Vec<PollFd<'_>> = consoles.iter().map(fd).collect();
        poll(&mut fds, PollTimeout::from(100u8))?;
        let ready = consoles.iter().zip(&fds).filter(|(_, fd)| fd.any().unwrap_or(true));
        Ok(ready.map(|(&at, _)| at).collect())
    }

    fn cost(&self) -> Result<Value> {
        let all = |value: fn(&str) -> u64| -> u64 {
            self.open.iter().map(|terminal| value(&terminal.child.id().to_string())).sum()
        };
        let cpu = self.open.iter().map(|one| measure::other_process_cpu(one.child.id()));
        Ok(json!({
            "rss_kib": all(measure::rss_kib),
            "pss_kib": all(measure::pss_kib),
            "fds": all(measure::fd_count),
            "threads": all(measure::thread_count),
            "cpu": cpu.sum::<Duration>().as_secs_f64(),
        }))
    }
}
