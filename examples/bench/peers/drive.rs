//! What every contestant does, driven by lines of standard input, for those written in Rust.
//!
//! | line | what it does | answer |
//! |---|---|---|
//! | `latency N` | connects and closes one console N times | `ms`, a list |
//! | `connect N` | connects N consoles, one for each BMC, and keeps them | `connected`, `seconds` |
//! | `cost` | | `rss_kib`, `pss_kib`, `fds`, `threads`, `cpu` in seconds |
//! | `echo N` | N echoes of one byte on the first console | `us`, a list |
//! | `down N` | every console's host prints N bytes | `seconds` |
//! | `up N` | every console sends N bytes, in blocks of 2,000 that it waits for | `seconds` |
//!
//! The C and Python programs beside this file do the same.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::ipmitool::Ipmitool;
use super::ours::Ours;
use crate::child::answer_lines;
use crate::host::{DONE, READY};
use crate::report::Result;

/// For one step of one contestant.
const STEP_TIME: Duration = Duration::from_secs(60);
/// libipmiconsole ends a session when much more is written at once.
pub const BLOCK_LEN: usize = 2000;

/// What a contestant is told.
#[derive(Args)]
pub struct Options {
    /// `bmclink` or `ipmitool`
    name: String,
    first: SocketAddr,
}

/// Some consoles of one contestant.
pub trait Consoles {
    /// Connects one more, and waits for it.
    fn connect_one(&mut self) -> Result<()>;
    /// Connects so many; says how many did.
    fn connect(&mut self, count: usize) -> Result<usize>;
    /// Closes all.
    fn close(&mut self) -> Result<()>;
    fn count(&self) -> usize;
    fn write(&mut self, console: usize, bytes: &[u8]) -> Result<()>;
    /// Reads what is there; waits up to `timeout` for something, and gives 0 for nothing.
    fn read(&mut self, console: usize, buffer: &mut [u8], timeout: Duration) -> Result<usize>;
    /// Waits a little while until one of several may have something; gives those that may.
    fn wait_any(&mut self, consoles: &[usize]) -> Result<Vec<usize>>;
    fn cost(&self) -> Result<Value>;
}

/// The process of a contestant.
pub fn serve(options: &Options) -> Result<()> {
    let mut consoles: Box<dyn Consoles> = match options.name.as_str() {
        "bmclink" => Box::new(Ours::new(options.first)?),
        "ipmitool" => Box::new(Ipmitool::new(options.first)),
        _ => return Err("no such contestant".into()),
    };
    answer_lines(|line| {
        let (what, count) = line.split_once(' ').unwrap_or((line, "0"));
        let count: usize = count.parse()?;
        match what {
            "latency" => latency(&mut *consoles, count),
            "connect" => {
                let started = Instant::now();
                let connected = consoles.connect(count)?;
                Ok(json!({ "connected": connected, "seconds": seconds(started) }))
            }
            "cost" => consoles.cost(),
            "echo" => echo(&mut *consoles, count),
            "down" => {
                let command = format!("!print {count}\r");
                let steps = |_: usize| vec![(command.clone().into_bytes(), DONE, count)];
                run_all(&mut *consoles, steps)
            }
            "up" => run_all(&mut *consoles, |_| up_steps(count)),
            _ => Err("unknown line".into()),
        }
    })?;
    consoles.close()
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

fn latency(consoles: &mut dyn Consoles, times: usize) -> Result<Value> {
    let mut ms = Vec::new();
    for number in 0..times {
        // Never in step with somebody's timer.
        thread::sleep(pause(number));
        let started = Instant::now();
        consoles.connect_one()?;
        ms.push(seconds(started) * 1e3);
        consoles.close()?;
    }
    Ok(json!({ "ms": ms }))
}

/// 100 to 600 ms, spread by the golden ratio.
fn pause(number: usize) -> Duration {
    let part = (number as f64 * 0.618_033_988_75).fract();
    Duration::from_secs_f64(0.1 + 0.5 * part)
}

fn echo(consoles: &mut dyn Consoles, times: usize) -> Result<Value> {
    let mut us = Vec::new();
    let mut buffer = [0; 256];
    for _ in 0..times {
        let started = Instant::now();
        consoles.write(0, b"x")?;
        match consoles.read(0, &mut buffer, STEP_TIME)? {
            1 if buffer[0] == b'x' => us.push(seconds(started) * 1e6),
            len => return Err(format!("the echo of x was {:?}", &buffer[..len]).into()),
        }
    }
    Ok(json!({ "us": us }))
}

/// Something to send, the text that answers it, and how many bytes come before that text.
type Step = (Vec<u8>, &'static str, usize);

fn up_steps(count: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    for start in (0..count).step_by(BLOCK_LEN) {
        let len = BLOCK_LEN.min(count - start);
        let block: Vec<u8> = (0..len).map(|at| b'a' + (at % 26) as u8).collect();
        steps.push((format!("!take {len}\r").into_bytes(), READY, 0));
        steps.push((block, DONE, 0));
    }
    steps
}

/// Has every console go through its steps, all at the same time.
fn run_all(consoles: &mut dyn Consoles, steps: impl Fn(usize) -> Vec<Step>) -> Result<Value> {
    let started = Instant::now();
    let mut runs: Vec<Run> = (0..consoles.count()).map(|at| Run::new(at, steps(at))).collect();
    for run in &mut runs {
        run.send(consoles)?;
    }
    let mut unfinished: Vec<usize> = (0..runs.len()).collect();
    let mut buffer = vec![0; 64 << 10];
    while !unfinished.is_empty() {
        if started.elapsed() > STEP_TIME {
            return Err(format!("{} consoles did not finish", unfinished.len()).into());
        }
        for at in consoles.wait_any(&unfinished)? {
            let len = consoles.read(at, &mut buffer, Duration::ZERO)?;
            runs[at].on_bytes(&buffer[..len], consoles)?;
        }
        unfinished.retain(|&at| !runs[at].is_finished());
    }
    Ok(json!({ "seconds": seconds(started) }))
}

/// One console on its way through its steps.
struct Run {
    console: usize,
    steps: std::vec::IntoIter<Step>,
    /// The text that is waited for; `None` at the end.
    expected: Option<&'static str>,
    /// Bytes that come before it.
    left: usize,
    tail: Vec<u8>,
}

impl Run {
    fn new(console: usize, steps: Vec<Step>) -> Self {
        Run { console, steps: steps.into_iter(), expected: None, left: 0, tail: Vec::new() }
    }

    fn is_finished(&self) -> bool {
        self.expected.is_none()
    }

    fn send(&mut self, consoles: &mut dyn Consoles) -> Result<()> {
        self.expected = None;
        let Some((bytes, expected, left)) = self.steps.next() else { return Ok(()) };
        self.expected = Some(expected);
        self.left = left;
        self.tail.clear();
        consoles.write(self.console, &bytes)
    }

    fn on_bytes(&mut self, bytes: &[u8], consoles: &mut dyn Consoles) -> Result<()> {
        let Some(expected) = self.expected else { return Ok(()) };
        let skipped = bytes.len().min(self.left);
        self.left -= skipped;
        self.tail.extend_from_slice(&bytes[skipped..]);
        if self.tail == expected.as_bytes() {
            return self.send(consoles);
        }
        if expected.as_bytes().starts_with(&self.tail) {
            return Ok(());
        }
        let tail = String::from_utf8_lossy(&self.tail).into_owned();
        Err(format!("console {}: {tail:?} where {expected} was due", self.console).into())
    }
}
