//! Every byte that comes out of the consoles, compared with what the hosts printed.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use bmclink::{Console, Reader};

use crate::fleet::Fleet;
use crate::host;

/// Threads that read.
const CHECKERS: usize = 4;
/// How often each console is read.
const PAUSE: Duration = Duration::from_millis(100);

/// What one reader made of the lines it got.
#[derive(Default)]
pub struct Stream {
    line: Vec<u8>,
    /// The last line of each host.
    last: HashMap<u32, u64>,
    before: Option<(u32, u64)>,
    /// The end of a line may be missing, or its beginning.
    torn: bool,
    /// Places where something is missing.
    pub breaks: u64,
    pub lines: u64,
}

impl Stream {
    /// A reader that may begin in the middle of a line.
    pub fn new() -> Self {
        Stream { torn: true, ..Stream::default() }
    }

    pub fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        for &byte in bytes {
            self.line.push(byte);
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.take_line(&line)?;
            }
        }
        Ok(())
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), String> {
        let Some((number, count)) = host::read(line) else {
            self.breaks += u64::from(!self.torn);
            self.torn = true;
            return Ok(());
        };
        let last = self.last.insert(number, count);
        if last.is_some_and(|last| count <= last) {
            return Err(format!("line {count} of host {number} comes after line {last:?}"));
        }
        let follows = self.before == Some((number, count.wrapping_sub(1)));
        let first = self.before.is_none();
        self.breaks += u64::from(!follows && !first && !self.torn);
        self.before = Some((number, count));
        self.torn = false;
        self.lines += 1;
        Ok(())
    }
}

/// How many places where something is missing a console has told of.
fn told(console: &Console) -> u64 {
    let stats = console.stats();
    stats.epoch + stats.gaps + stats.overruns + stats.reactivations
}

/// One console that is read from beginning to end.
struct Watched {
    console: Console,
    reader: Reader,
    stream: Stream,
    told: u64,
    lost: u64,
    /// Times the reader fell behind.
    behind: u64,
}

impl Watched {
    fn read(&mut self) -> Result<(), String> {
        let mut buffer = [0; 16384];
        while let Ok(len) = self.reader.read(&mut buffer, Duration::ZERO) {
            if self.reader.lost() != self.lost {
                self.lost = self.reader.lost();
                self.behind += 1;
            }
            self.stream.take(&buffer[..len])?;
            let told = told(&self.console) - self.told + self.behind;
            if self.stream.breaks > told {
                let breaks = self.stream.breaks;
                return Err(format!("{breaks} gaps, of which {told} were told"));
            }
        }
        Ok(())
    }
}

pub struct Checks {
    watched: Vec<Mutex<Watched>>,
    lines: AtomicU64,
    problem: Mutex<Option<String>>,
}

impl Checks {
    pub fn new(fleet: &Fleet) -> Self {
        let watched = fleet.places.iter().map(|place| {
            let console = place.console.clone();
            let (reader, told) = (console.reader(), told(&console));
            let stream = Stream::new();
            Mutex::new(Watched { console, reader, stream, told, lost: 0, behind: 0 })
        });
        let (watched, problem) = (watched.collect(), Mutex::new(None));
        Checks { watched, lines: AtomicU64::new(0), problem }
    }

    pub fn start<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        fleet: &'env Fleet,
        stop: &'env AtomicBool,
    ) -> Vec<ScopedJoinHandle<'scope, ()>> {
        let share = fleet.places.len().div_ceil(CHECKERS);
        let numbers = (0..CHECKERS).map(|number| number * share);
        let start = |first: usize| {
            scope.spawn(move || {
                while !stop.load(Ordering::Acquire) {
                    self.read(first, share);
                    thread::sleep(PAUSE);
                }
                self.read(first, share);
            })
        };
        numbers.map(start).collect()
    }

    fn read(&self, first: usize, share: usize) {
        let end = (first + share).min(self.watched.len());
        for (number, watched) in self.watched.iter().enumerate().take(end).skip(first) {
            let mut watched = watched.lock().expect("no panic");
            let before = watched.stream.lines;
            if let Err(problem) = watched.read() {
                let why = watched.console.why();
                self.fail(format!("console {number}: {problem}; {why:?}"));
            }
            self.lines.fetch_add(watched.stream.lines - before, Ordering::Relaxed);
        }
    }

    /// The first problem counts.
    pub fn fail(&self, problem: String) {
        self.problem.lock().expect("no panic").get_or_insert(problem);
    }

    pub fn result(&self) -> Result<(), String> {
        self.problem.lock().expect("no panic").clone().map_or(Ok(()), Err)
    }

    /// How many lines each console has given.
    pub fn lines_of_all(&self) -> Vec<u64> {
        let lines = |watched: &Mutex<Watched>| watched.lock().expect("no panic").stream.lines;
        self.watched.iter().map(lines).collect()
    }

    pub fn all_heard_since(&self, before: &[u64]) -> bool {
        self.lines_of_all().iter().zip(before).all(|(now, before)| now > before)
    }

    pub fn summary(&self) -> String {
        let breaks: u64 = self.sum(|watched| watched.stream.breaks);
        let told: u64 = self.sum(|watched| told(&watched.console) - watched.told);
        let lines = self.lines.load(Ordering::Relaxed);
        format!("{lines} lines, {breaks} gaps of {told} told")
    }

    fn sum(&self, of: impl Fn(&Watched) -> u64) -> u64 {
        self.watched.iter().map(|watched| of(&watched.lock().expect("no panic"))).sum()
    }
}
