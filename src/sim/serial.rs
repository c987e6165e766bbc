//! The host's side of the serial port: its events, and programs that can sit there.

mod boot;
mod shell;
mod simple;

use std::time::Instant;

pub use boot::Boot;
pub use shell::Shell;
pub use simple::{Echo, Flood};

use super::bmc::ManagedSystem;
use crate::wire::SessionId;

/// What a program may print while nobody listens, at most per wake.
const BACKLOG_MAX: usize = 65536;

/// Something that happened on the serial port besides bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SerialEvent {
    /// The console sent a break after this many bytes.
    Break {
        /// How many bytes the host received before it, since the BMC was made.
        at: u64,
    },
    /// The BMC raised or dropped DCD and DSR.
    Dtr(bool),
    /// A session activated SOL.
    Activated,
    /// SOL ended.
    Deactivated,
    /// The host was switched on.
    PowerOn,
    /// The host was switched off.
    PowerOff,
    /// The host was reset.
    HostReset,
}

/// A program on the host's serial port. It sees time only through its arguments.
pub trait SerialModel: Send {
    /// Bytes the host received.
    fn input(&mut self, now: Instant, bytes: &[u8]);

    /// Something else that happened.
    fn event(&mut self, now: Instant, event: &SerialEvent);

    /// Appends what the host prints by now, at most `space` bytes; the rest is asked for again.
    fn output(&mut self, now: Instant, space: usize, out: &mut Vec<u8>);

    /// When `output` has something: a time in the past means now, `None` not before more input.
    fn poll_timeout(&self) -> Option<Instant>;
}

impl ManagedSystem {
    /// Lets the attached program read and print.
    pub(super) fn run_serial_model(&mut self) {
        let Some(mut model) = self.model.take() else { return };
        if !self.received.is_empty() {
            let input = self.serial_input();
            model.input(self.clock, &input);
        }
        let space = self.model_space();
        if space > 0 && model.poll_timeout().is_some_and(|due| due <= self.clock) {
            let mut output = Vec::new();
            model.output(self.clock, space, &mut output);
            output.truncate(space);
            self.serial_output(self.clock, &output);
        }
        self.model = Some(model);
    }

    /// What was printed before the console was activated is gone.
    pub(super) fn drop_serial_backlog(&mut self) {
        if let Some(model) = &mut self.model {
            let mut lost = Vec::new();
            model.output(self.clock, BACKLOG_MAX, &mut lost);
        }
    }

    /// When the attached program has something to print and room for it.
    pub(super) fn model_wake(&self) -> Option<Instant> {
        let model = self.model.as_ref().filter(|_| self.model_space() > 0)?;
        model.poll_timeout()
    }

    fn model_space(&self) -> usize {
        match self.sol_owner() {
            Some(SessionId(_)) if !self.sol.taken && self.chassis.power_on => {
                self.serial_output_space()
            }
            _ => 0,
        }
    }
}
