//! The host behind a simulated serial port: echoes, prints and swallows on command.

use std::collections::VecDeque;
use std::time::Instant;

use bmclink::sim::{Flood, SerialEvent, SerialModel};

/// Starts a command; a carriage return ends it. Neither is echoed.
const COMMAND: u8 = b'!';

/// What it prints when that many bytes were printed or taken.
pub const DONE: &str = "<done>";
/// What it prints when it is ready to take.
pub const READY: &str = "<ready>";

/// Echoes each byte; `!print N`, `!take N`, `!flood` and `!quiet` make it do something else.
pub struct Host {
    made: Instant,
    pending: VecDeque<u8>,
    command: Option<Vec<u8>>,
    /// Bytes of numbered lines still to print.
    print: u64,
    printed: u64,
    /// Bytes still to swallow.
    take: u64,
}

impl Host {
    pub fn new(made: Instant) -> Self {
        Host { made, pending: VecDeque::new(), command: None, print: 0, printed: 0, take: 0 }
    }

    fn on_byte(&mut self, byte: u8) {
        match &mut self.command {
            Some(command) if byte == b'\r' => {
                let text = String::from_utf8_lossy(command).into_owned();
                self.command = None;
                self.on_command(&text);
            }
            Some(command) => command.push(byte),
            None if self.take > 0 => {
                self.take -= 1;
                if self.take == 0 {
                    self.pending.extend(DONE.bytes());
                }
            }
            None if byte == COMMAND => self.command = Some(Vec::new()),
            None => self.pending.push_back(byte),
        }
    }

    fn on_command(&mut self, text: &str) {
        let (name, count) = text.split_once(' ').unwrap_or((text, "0"));
        let count = count.parse().unwrap_or(0);
        match name {
            "print" => self.start_printing(count),
            "flood" => self.start_printing(u64::MAX),
            "quiet" => self.print = 0,
            "take" => {
                self.take = count;
                self.pending.extend(READY.bytes());
            }
            _ => self.pending.extend(b"<what?>"),
        }
    }

    fn start_printing(&mut self, count: u64) {
        self.print = count;
        self.printed = 0;
    }

    fn print_lines(&mut self, end: usize, out: &mut Vec<u8>) {
        while out.len() < end && self.print > 0 {
            let line = Flood::line(self.printed / Flood::LINE_LEN as u64);
            let from = (self.printed % Flood::LINE_LEN as u64) as usize;
            let most = (end - out.len()).min(usize::try_from(self.print).unwrap_or(usize::MAX));
            let take = (line.len() - from).min(most);
            out.extend_from_slice(&line[from..from + take]);
            self.printed += take as u64;
            self.print -= take as u64;
            if self.print == 0 {
                self.pending.extend(DONE.bytes());
            }
        }
    }
}

impl SerialModel for Host {
    fn input(&mut self, _now: Instant, bytes: &[u8]) {
        for &byte in bytes {
            self.on_byte(byte);
        }
    }

    fn event(&mut self, _now: Instant, event: &SerialEvent) {
        if *event == SerialEvent::Deactivated {
            *self = Host::new(self.made);
        }
    }

    fn output(&mut self, _now: Instant, space: usize, out: &mut Vec<u8>) {
        let end = out.len() + space;
        self.print_lines(end, out);
        let len = self.pending.len().min(end - out.len());
        out.extend(self.pending.drain(..len));
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (self.print > 0 || !self.pending.is_empty()).then_some(self.made)
    }
}
