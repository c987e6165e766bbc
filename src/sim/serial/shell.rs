//! A friendly look-alike of a login shell, for demonstrations and for tests that want answers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::boot::BootLog;
use super::{Flood, SerialEvent, SerialModel};

/// The longest line that can be typed.
const LINE_MAX: usize = 1024;
/// While more than this waits to be printed, typed characters are dropped.
const PENDING_MAX: usize = 65536;
const PROMPT: &str = "sim:~# ";
const GREETING: &str = "\r\nSimulated host, console on ttyS0. Type \"help\".\r\n\r\n";
/// 2025-01-01 00:00:00 UTC: when every simulated host was switched on.
const EPOCH: u64 = 1_735_689_600;
const DAY: u64 = 86_400;

const FILES: &[(&str, &str)] = &[
    ("hostname", "sim\n"),
    ("motd", "Nothing here is real.\n"),
    ("os-release", "NAME=\"Simulated Linux\"\nVERSION_ID=1\n"),
    ("poem.txt", "A line went out by serial cable,\nits echo came when it was able.\n"),
];

const HELP: &str = "\
help            this
echo TEXT       print TEXT
ls, cat FILE    what there is
date, uptime    since when this host runs
dmesg           the kernel's messages
uname, whoami   the usual
flood N         N KiB of numbered lines
reboot          start again, with a boot log
exit            leave, and be greeted again
";

/// A shell without a login.
#[derive(Debug)]
pub struct Shell {
    started: Instant,
    pending: VecDeque<u8>,
    line: Vec<u8>,
    boot: Option<BootLog>,
    flood: Option<Flood>,
    powered: bool,
    after_cr: bool,
    escape: Escape,
}

/// Where in an escape sequence (a cursor key, say) the input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Started,
    Control,
}

impl Shell {
    /// A host that has just started.
    pub fn new(now: Instant) -> Self {
        Shell {
            started: now,
            pending: VecDeque::new(),
            line: Vec::new(),
            boot: None,
            flood: None,
            powered: true,
            after_cr: false,
            escape: Escape::None,
        }
    }

    fn print(&mut self, text: &str) {
        for byte in text.bytes() {
            if byte == b'\n' && self.pending.back() != Some(&b'\r') {
                self.pending.push_back(b'\r');
            }
            self.pending.push_back(byte);
        }
    }

    fn greet(&mut self) {
        self.line.clear();
        self.print(GREETING);
        self.print(PROMPT);
    }

    fn start(&mut self, now: Instant) {
        self.line.clear();
        self.flood = None;
        self.powered = true;
        self.started = now;
        self.boot = Some(BootLog::new(now));
    }

    /// One typed byte, as a terminal line in cooked mode takes it.
    fn typed(&mut self, now: Instant, byte: u8) {
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
        match (self.escape, byte) {
            (Escape::Started, b'[' | b'O') => self.escape = Escape::Control,
            (Escape::Started, _) => self.escape = Escape::None,
            (Escape::Control, 0x40..=0x7e) => self.escape = Escape::None,
            (Escape::Control, _) => {}
            (Escape::None, 0x1b) => self.escape = Escape::Started,
            (Escape::None, b'\n') if after_cr => {}
            (Escape::None, b'\r' | b'\n') => {
                self.print("\r\n");
                let line = std::mem::take(&mut self.line);
                self.run(now, &line);
            }
            (Escape::None, 0x03) => self.interrupt(),
            (Escape::None, 0x04) if self.line.is_empty() => {
                self.print("logout\r\n");
                self.greet();
            }
            (Escape::None, 0x08 | 0x7f) => self.erase(),
            (Escape::None, 0x15) => {
                while !self.line.is_empty() {
                    self.erase();
                }
            }
            (Escape::None, 0x20..) if self.line.len() < LINE_MAX => {
                self.line.push(byte);
                self.pending.push_back(byte);
            }
            _ => {}
        }
    }

    /// Takes the last character back, all bytes of it.
    fn erase(&mut self) {
        while let Some(byte) = self.line.pop() {
            if byte & 0xc0 != 0x80 {
                self.print("\x08 \x08");
                break;
            }
        }
    }

    fn interrupt(&mut self) {
        self.flood = None;
        self.line.clear();
        self.print("^C\r\n");
        self.print(PROMPT);
    }

    fn run(&mut self, now: Instant, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim();
        let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim_start();
        match command {
            "" => {}
            "help" => self.print(HELP),
            "echo" => self.print(&format!("{rest}\n")),
            "ls" => {
                for (name, _) in FILES {
                    self.print(&format!("{name}\n"));
                }
            }
            "cat" => self.cat(rest),
            "date" => self.date(now),
            "uptime" => self.uptime(now),
            "dmesg" => BootLog::kernel_lines().for_each(|line| self.print(&format!("{line}\n"))),
            "uname" => self.print("Linux sim 6.6.0-sim #1 SMP simulated\n"),
            "hostname" => self.print("sim\n"),
            "whoami" => self.print("root\n"),
            "clear" => self.print("\x1b[H\x1b[2J"),
            "flood" => {
                let kib = rest.parse::<u64>().unwrap_or(16).min(1 << 20);
                let mut flood = Flood::new(Some(kib * 1024));
                flood.event(now, &SerialEvent::Activated);
                self.flood = Some(flood);
                return;
            }
            "reboot" => {
                self.print("Restarting system.\n\n");
                return self.start(now);
            }
            "exit" | "logout" => {
                self.print("logout\n");
                return self.greet();
            }
            other => self.print(&format!("{other}: command not found\n")),
        }
        self.print(PROMPT);
    }

    fn cat(&mut self, name: &str) {
        match FILES.iter().find(|file| file.0 == name) {
            Some((_, text)) => self.print(text),
            None => self.print(&format!("cat: {name}: No such file or directory\n")),
        }
    }

    fn date(&mut self, now: Instant) {
        let seconds = EPOCH + self.running(now).as_secs();
        let (year, month, day) = civil_date(seconds / DAY);
        let time = seconds % DAY;
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        let date = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC\n");
        self.print(&date);
    }

    fn uptime(&mut self, now: Instant) {
        let seconds = self.running(now).as_secs();
        let (days, hours, minutes) = (seconds / DAY, seconds / 3600 % 24, seconds / 60 % 60);
        let text = format!("up {days} days, {hours:02}:{minutes:02}:{:02}, 1 user\n", seconds % 60);
        self.print(&text);
    }

    fn running(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }
}

impl SerialModel for Shell {
    fn input(&mut self, now: Instant, bytes: &[u8]) {
        for byte in bytes {
            let busy = self.boot.is_some() || self.flood.is_some() && *byte != 0x03;
            if self.powered && !busy && self.pending.len() < PENDING_MAX {
                self.typed(now, *byte);
            }
        }
    }

    fn event(&mut self, now: Instant, event: &SerialEvent) {
        match event {
            SerialEvent::Activated if self.powered && self.boot.is_none() => self.greet(),
            SerialEvent::Break { .. } if self.powered && self.boot.is_none() => {
                self.print("\r\n[break]\r\n");
                self.print(PROMPT);
                self.pending.extend(&self.line);
            }
            SerialEvent::PowerOff => {
                self.pending.clear();
                self.boot = None;
                self.flood = None;
                self.powered = false;
            }
            SerialEvent::PowerOn | SerialEvent::HostReset => {
                self.pending.clear();
                self.start(now);
            }
            _ => {}
        }
    }

    fn output(&mut self, now: Instant, space: usize, out: &mut Vec<u8>) {
        if let Some(boot) = &mut self.boot
            && !boot.print(now, &mut self.pending)
        {
            self.boot = None;
            self.greet();
        }
        let len = space.min(self.pending.len());
        out.extend(self.pending.drain(..len));
        if let Some(flood) = &mut self.flood {
            flood.output(now, space - len, out);
            if flood.poll_timeout().is_none() {
                self.flood = None;
                self.print(PROMPT);
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if !self.pending.is_empty() || self.flood.is_some() {
            return Some(self.started);
        }
        self.boot.as_ref().map(BootLog::due)
    }
}

/// Year, month and day of a day counted from 1970-01-01.
fn civil_date(mut day: u64) -> (u64, u64, u64) {
    let leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < len {
            break;
        }
        day -= len;
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(shell: &mut Shell, now: Instant, text: &[u8]) -> String {
        shell.input(now, text);
        let mut out = Vec::new();
        shell.output(now, usize::MAX, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_edited_and_run() {
        let now = Instant::now();
        let mut shell = Shell::new(now);
        assert_eq!(typed(&mut shell, now, b"echp\x08o hi\r"), "echp\x08 \x08o hi\r\nhi\r\nsim:~# ");
        assert_eq!(typed(&mut shell, now, b"junk\x15"), "junk\x08 \x08\x08 \x08\x08 \x08\x08 \x08");
        assert_eq!(typed(&mut shell, now, b"\r\n"), "\r\nsim:~# ", "CR LF is one line end");
        assert_eq!(typed(&mut shell, now, b"x\x03"), "x^C\r\nsim:~# ");
        assert_eq!(typed(&mut shell, now, b"\x1b[A"), "", "a cursor key");
    }

    #[test]
    fn date_follows_virtual_time() {
        let now = Instant::now();
        let mut shell = Shell::new(now);
        let later = now + Duration::from_secs(59 * DAY + 3661);
        assert!(typed(&mut shell, later, b"date\r").contains("2025-03-01 01:01:01 UTC"));
        assert!(typed(&mut shell, later, b"uptime\r").contains("up 59 days, 01:01:01"));
    }

    #[test]
    fn reboot_takes_its_time() {
        let now = Instant::now();
        let mut shell = Shell::new(now);
        assert!(typed(&mut shell, now, b"reboot\r").contains("Restarting"));
        let due = shell.poll_timeout().unwrap();
        assert!(due > now);
        assert!(typed(&mut shell, due, b"ignored").contains("SimBIOS"));
        let all = typed(&mut shell, now + Duration::from_secs(10), b"");
        assert!(all.ends_with(PROMPT), "{all}");
    }

    #[test]
    fn flood_ends_with_a_prompt() {
        let now = Instant::now();
        let mut shell = Shell::new(now);
        let text = typed(&mut shell, now, b"flood 2\r");
        assert_eq!(text.len(), "flood 2\r\n".len() + 2048);
        assert_eq!(typed(&mut shell, now, b""), PROMPT);
    }
}
