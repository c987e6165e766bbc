//! Standard input: bytes for the console, breaks and commands among them.

use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bmclink::{Console, ConsoleState, ErrorKind};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::ending::End;
use crate::escape::{Command, Escape};
use crate::failure::{Failure, exit};
use crate::marker::{is_about_credentials, next_try};
use crate::output::Output;
use crate::sequence::Finder;

/// How long the input is not read while a break is on its way.
const BREAK_TIME: Duration = Duration::from_secs(2);
/// The start of a break string is taken for text when nothing follows for so long.
const HOLD_TIME_MS: u16 = 1000;
/// Somebody who types in vain is told so once in this time, and has it tried again.
const VAIN_TIME: Duration = Duration::from_secs(5);
/// How long the BMC may take for the rest when the input has ended.
const DRAIN_TIME: Duration = Duration::from_secs(10);
/// How often those who wait for room or for a connection look whether the input has ended.
const LOOK_TIME: Duration = Duration::from_millis(500);

pub struct Input {
    console: Console,
    output: Arc<Output>,
    finder: Finder,
    escape: Escape,
    linger: Duration,
    /// When somebody was last told that there is no connection.
    told: Option<Instant>,
}

impl Input {
    pub fn new(
        console: &Console,
        output: &Arc<Output>,
        finder: Finder,
        escape: Escape,
        linger: Duration,
    ) -> Self {
        let (console, output) = (console.clone(), output.clone());
        Input { console, output, finder, escape, linger, told: None }
    }

    /// Copies until the input ends, or somebody ends it.
    pub fn copy(mut self) -> End {
        self.wait_for_first_attempt();
        let mut chunk = [0; 4096];
        let mut text = Vec::with_capacity(2 * chunk.len());
        loop {
            if self.finder.holds()
                && !is_readable(HOLD_TIME_MS.into())
                && let Err(end) = self.release(&mut text)
            {
                return end;
            }
            let len = match io::stdin().lock().read(&mut chunk) {
                Ok(0) => break,
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // conman gives its children a socket that does not block.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    is_readable(PollTimeout::NONE);
                    continue;
                }
                // Its other end was closed with output in it that nobody had read.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                // The terminal is gone.
                Err(_) if io::stdin().is_terminal() => break,
                Err(error) => return End::Failed(Failure::io("standard input", &error)),
            };
            if let Err(end) = self.take(&chunk[..len], &mut text) {
                return end;
            }
        }
        match self.release(&mut text) {
            Ok(()) => self.finish(),
            Err(end) => end,
        }
    }

    /// The start of a break string was text after all.
    fn release(&mut self, text: &mut Vec<u8>) -> Result<(), End> {
        let mut passed = Vec::new();
        self.finder.release(&mut passed);
        self.pass(&passed, text)?;
        self.send(text)
    }

    /// What comes before the first attempt to connect is over is for the console, not for nobody.
    fn wait_for_first_attempt(&self) {
        loop {
            let why = self.console.why();
            let failed = why.state == ConsoleState::Unconnected && why.reason.is_some();
            if failed || why.state == ConsoleState::Connected || why.epoch > 0 {
                return;
            }
            self.console.wait_state(why.state, LOOK_TIME);
        }
    }

    fn take(&mut self, bytes: &[u8], text: &mut Vec<u8>) -> Result<(), End> {
        let mut passed = Vec::new();
        for byte in bytes {
            let is_break = self.finder.take(*byte, &mut passed);
            self.pass(&passed, text)?;
            passed.clear();
            if is_break {
                self.send(text)?;
                self.send_break();
            }
        }
        self.send(text)
    }

    /// Looks at bytes for the escape character; what is for the console goes to `text`.
    fn pass(&mut self, bytes: &[u8], text: &mut Vec<u8>) -> Result<(), End> {
        for byte in bytes {
            let Some(command) = self.escape.take(*byte, text) else { continue };
            self.send(text)?;
            match command {
                Command::Quit => return Err(End::Quit),
                Command::Break => self.send_break(),
                Command::Help => {
                    self.output.note(&format!("at the start of a line: {}", self.escape.summary()));
                }
            }
        }
        Ok(())
    }

    /// Blocks while the BMC is slower than the input; without a connection the bytes are dropped.
    fn send(&mut self, text: &mut Vec<u8>) -> Result<(), End> {
        let mut rest = text.as_slice();
        // A pipe says so while all that was written to it is still to be read.
        let mut ended: Option<Instant> = None;
        while !rest.is_empty() {
            match self.console.write(rest, LOOK_TIME) {
                Ok(len) => {
                    rest = &rest[len..];
                    ended = None;
                }
                Err(error) if error.kind() == ErrorKind::Closed => return Err(End::Quit),
                Err(error) if error.kind() == ErrorKind::TimedOut => {
                    if has_hung_up()
                        && ended.get_or_insert_with(Instant::now).elapsed() > DRAIN_TIME
                    {
                        return Err(self.unacknowledged(rest.len()));
                    }
                }
                Err(_) => {
                    self.tell_in_vain();
                    break;
                }
            }
        }
        text.clear();
        Ok(())
    }

    /// Somebody types and there is no connection: says so, and tries at once.
    fn tell_in_vain(&mut self) {
        if self.told.is_some_and(|told| told.elapsed() < VAIN_TIME) {
            return;
        }
        self.told = Some(Instant::now());
        let why = self.console.why();
        let text = match &why.reason {
            _ if why.state == ConsoleState::Connecting => "being connected".to_owned(),
            Some(reason) if is_about_credentials(reason) => {
                format!("not connected: {reason}{}", next_try(why.next_try))
            }
            reason => {
                let _ = self.console.begin_connect();
                let reason = reason.as_ref().map(|reason| format!(": {reason}"));
                format!("not connected{}; trying now", reason.unwrap_or_default())
            }
        };
        self.output.note(&format!("{text}; what is typed is dropped"));
    }

    fn send_break(&self) {
        send_break(&self.console, &self.output);
    }

    /// The input has ended: waits for the BMC to have it, and for the answer.
    fn finish(&self) -> End {
        if self.console.state() != ConsoleState::Connected {
            return End::Quit;
        }
        match self.console.drain(DRAIN_TIME) {
            Err(error) if error.kind() == ErrorKind::Closed => return End::Quit,
            Err(_) => return self.unacknowledged(0),
            Ok(()) => {}
        }
        if !io::stdin().is_terminal() {
            let mut ear = self.console.live_reader();
            while ear.read(&mut [0; 4096], self.linger).is_ok() {}
        }
        End::Quit
    }

    /// Besides `more` bytes that could not be handed over.
    fn unacknowledged(&self, more: usize) -> End {
        let stats = self.console.stats();
        let bytes = stats.pending + stats.input_lost + more as u64;
        let text = format!("{bytes} bytes of input were not acknowledged by the BMC");
        End::Failed(Failure::new(exit::OTHER, text))
    }
}

/// Sends a break behind all input, and says how that went.
pub fn send_break(console: &Console, output: &Output) {
    match console.send_break(BREAK_TIME) {
        Ok(()) => output.note("break sent"),
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            output.note("the BMC has not acknowledged the break yet");
        }
        Err(error) => output.note(&format!("no break sent: {error}")),
    }
}

/// Waits until there is something to read, or the end of it.
fn is_readable(timeout: PollTimeout) -> bool {
    look(PollFlags::POLLIN, timeout).is_some()
}

/// Whether nobody is at the other end of standard input any more.
fn has_hung_up() -> bool {
    let ends = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    look(PollFlags::empty(), PollTimeout::ZERO).is_some_and(|found| found.intersects(ends))
}

fn look(flags: PollFlags, timeout: PollTimeout) -> Option<PollFlags> {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(stdin.as_fd(), flags)];
    match poll(&mut fds, timeout) {
        Ok(1..) => fds[0].revents(),
        _ => None,
    }
}
