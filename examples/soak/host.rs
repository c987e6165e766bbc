//! What the hosts print: numbered lines with a checksum, that say which host it is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bmclink::sim::{SerialEvent, SerialModel};

/// How often a line is printed.
const EVERY: Duration = Duration::from_secs(1);
/// Lines nobody was there for are not made up for.
const LATE_MAX: Duration = Duration::from_secs(3);

/// The host of one BMC.
pub struct Host {
    number: u32,
    line: u64,
    next: Instant,
    made: Instant,
    pending: VecDeque<u8>,
    /// Lines to print at once.
    flood: Arc<AtomicU64>,
}

impl Host {
    pub fn new(number: u32, now: Instant, flood: Arc<AtomicU64>) -> Self {
        Host { number, line: 0, next: now, made: now, pending: VecDeque::new(), flood }
    }

    fn print(&mut self) {
        self.line += 1;
        self.pending.extend(line(self.number, self.line).bytes());
    }
}

/// Line `line` of host `number`.
pub fn line(number: u32, line: u64) -> String {
    let text = format!("{number:05} {line:010}");
    format!("{text} {:08x}\r\n", checksum(text.as_bytes()))
}

/// Which line of which host it is; `None` when it is none as it was printed.
pub fn read(line: &[u8]) -> Option<(u32, u64)> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let (text, sum) = line.rsplit_once(' ')?;
    let (number, line) = text.split_once(' ')?;
    let right = sum == format!("{:08x}", checksum(text.as_bytes()));
    if right { Some((number.parse().ok()?, line.parse().ok()?)) } else { None }
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

impl SerialModel for Host {
    fn input(&mut self, _now: Instant, _bytes: &[u8]) {}

    fn event(&mut self, _now: Instant, _event: &SerialEvent) {}

    fn output(&mut self, now: Instant, space: usize, out: &mut Vec<u8>) {
        if now > self.next + LATE_MAX {
            self.next = now;
        }
        while self.next <= now {
            self.next += EVERY;
            self.print();
        }
        while self.pending.len() < space && self.flood.load(Ordering::Relaxed) > 0 {
            self.flood.fetch_sub(1, Ordering::Relaxed);
            self.print();
        }
        let len = space.min(self.pending.len());
        out.extend(self.pending.drain(..len));
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let more = !self.pending.is_empty() || self.flood.load(Ordering::Relaxed) > 0;
        Some(if more { self.made } else { self.next })
    }
}
