//! A host that starts: firmware and kernel messages with the pauses they have.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{SerialEvent, SerialModel};

/// What a start prints, each line after so many milliseconds.
const LOG: &[(u64, &str)] = &[
    (300, "SimBIOS 1.4  (c) nobody in particular"),
    (150, "CPU: 2 x Imaginary 3.0 GHz    Memory: 65536 MiB  OK"),
    (200, "Press DEL for setup, F12 to boot from the network"),
    (700, "Booting from disk 0..."),
    (100, "[    0.000000] Linux version 6.6.0-sim (build@sim) #1 SMP"),
    (20, "[    0.000000] Command line: root=/dev/sda1 console=ttyS0,115200n8"),
    (60, "[    0.184213] smpboot: Allowing 2 CPUs, 0 hotplug CPUs"),
    (60, "[    0.322871] Memory: 65793168K/67108864K available"),
    (80, "[    0.851002] Serial: 8250/16550 driver, 4 ports, IRQ sharing enabled"),
    (40, "[    0.871420] serial8250: ttyS0 at I/O 0x3f8 (irq = 4) is a 16550A"),
    (120, "[    1.402117] ipmi_si: IPMI System Interface driver"),
    (90, "[    1.611940] sda: sda1"),
    (150, "[    2.040218] EXT4-fs (sda1): mounted filesystem with ordered data mode"),
    (250, "[    2.733010] eth0: link up, 1000 Mbps, full duplex"),
    (200, "[  OK  ] Reached target Multi-User System."),
];

/// The messages of a start, spread over time.
#[derive(Debug)]
pub(super) struct BootLog {
    next: usize,
    due: Instant,
}

impl BootLog {
    /// A start that begins now.
    pub fn new(now: Instant) -> Self {
        BootLog { next: 0, due: now + delay(0) }
    }

    /// Appends the lines due by now; false when that was the last.
    pub fn print(&mut self, now: Instant, out: &mut VecDeque<u8>) -> bool {
        while self.due <= now {
            let Some((_, line)) = LOG.get(self.next) else { return false };
            out.extend(line.bytes().chain(*b"\r\n"));
            self.next += 1;
            self.due += delay(self.next);
        }
        self.next < LOG.len()
    }

    /// When the next line comes.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// All lines at once, as `dmesg` shows them.
    pub fn kernel_lines() -> impl Iterator<Item = &'static str> {
        LOG.iter().map(|(_, line)| *line).filter(|line| line.starts_with("[  "))
    }
}

fn delay(line: usize) -> Duration {
    Duration::from_millis(LOG.get(line).map_or(0, |(ms, _)| *ms))
}

/// Prints a start when somebody first listens and whenever the host is switched on or reset,
/// and then asks for a login that nobody has.
#[derive(Debug)]
pub struct Boot {
    log: Option<BootLog>,
    pending: VecDeque<u8>,
    since: Instant,
    started: bool,
}

impl Boot {
    /// A host that waits for somebody to listen.
    pub fn new(now: Instant) -> Self {
        Boot { log: None, pending: VecDeque::new(), since: now, started: false }
    }
}

impl SerialModel for Boot {
    fn input(&mut self, _now: Instant, bytes: &[u8]) {
        if self.log.is_some() {
            return;
        }
        for byte in bytes {
            match byte {
                b'\r' => self.pending.extend(*b"\r\nLogin incorrect\r\nsim login: "),
                byte => self.pending.push_back(*byte),
            }
        }
    }

    fn event(&mut self, now: Instant, event: &SerialEvent) {
        let starts = match event {
            SerialEvent::PowerOn | SerialEvent::HostReset => true,
            SerialEvent::Activated => !self.started,
            SerialEvent::PowerOff => {
                self.log = None;
                self.pending.clear();
                false
            }
            _ => false,
        };
        if starts {
            self.started = true;
            self.pending.clear();
            self.log = Some(BootLog::new(now));
        }
    }

    fn output(&mut self, now: Instant, space: usize, out: &mut Vec<u8>) {
        if let Some(log) = &mut self.log
            && !log.print(now, &mut self.pending)
        {
            self.log = None;
            self.pending.extend(*b"\r\nsim login: ");
        }
        let len = space.min(self.pending.len());
        out.extend(self.pending.drain(..len));
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.pending.is_empty() { self.log.as_ref().map(BootLog::due) } else { Some(self.since) }
    }
}
