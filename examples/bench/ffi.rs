//! What the C ABI costs on top of Rust: console bytes through the one and the other, in turn, in
//! one process.

use std::ffi::{CString, c_char, c_void};
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use bmclink::{Console, ConsoleConfig, Engine, EngineConfig, ErrorKind, Reader};
use clap::Args;
use serde_json::json;

use crate::bmcs::{Bmcs, PASSWORD, USER};
use crate::consoles::{self, CONNECT_TIME, Open};
use crate::host::{DONE, READY};
use crate::measure;
use crate::report::{Report, Result, Samples, Table};

/// The promise: at most this many times what Rust costs.
const BUDGET: f64 = 1.05;
const REPLAY_LEN: usize = 1 << 20;
const TIMED_OUT: i64 = -1;

#[derive(Args, Default)]
pub struct Options {
    /// Bytes of one measurement, in KiB [default: 1024]
    #[arg(long)]
    kib: Option<usize>,
    /// How often Rust and C take their turns [default: 15]
    #[arg(long)]
    rounds: Option<usize>,
}

/// A handle of the C ABI.
type Handle = *mut c_void;

// What include/bmclink.h declares, as far as it is measured here.
unsafe extern "C" {
    fn bmclink_engine_new(options: Handle, engine: *mut Handle) -> i32;
    fn bmclink_engine_free(engine: Handle) -> i32;
    fn bmclink_credentials_new(
        user: *const c_void,
        user_len: usize,
        password: *const c_void,
        password_len: usize,
        k_g: *const c_void,
        k_g_len: usize,
        credentials: *mut Handle,
    ) -> i32;
    fn bmclink_bmc_options_new(host: *const c_char, credentials: Handle, out: *mut Handle) -> i32;
    fn bmclink_bmc_options_set_port(options: Handle, port: u16) -> i32;
    fn bmclink_bmc_open(engine: Handle, options: Handle, bmc: *mut Handle) -> i32;
    fn bmclink_console_options_new(options: *mut Handle) -> i32;
    fn bmclink_console_options_set_replay_len(options: Handle, len: usize) -> i32;
    fn bmclink_console_open(bmc: Handle, options: Handle, console: *mut Handle) -> i32;
    fn bmclink_console_connect(console: Handle, timeout_ms: i64) -> i32;
    fn bmclink_console_read(console: Handle, room: *mut c_void, len: usize, ms: i64) -> i64;
    fn bmclink_console_write(console: Handle, bytes: *const c_void, len: usize, ms: i64) -> i64;
    fn bmclink_reader_open(console: Handle, replay: i32, reader: *mut Handle) -> i32;
    fn bmclink_reader_read(reader: Handle, room: *mut c_void, len: usize, ms: i64) -> i64;
    fn bmclink_reader_free(reader: Handle) -> i32;
}

/// A console, from one of both sides.
trait Side {
    fn write(&mut self, bytes: &[u8]) -> Result<usize>;
    fn read(&mut self, room: &mut [u8]) -> Result<usize>;
    /// Reads all that is kept of the past, so many bytes per call; says how many calls that took.
    fn read_past(&mut self, room: &mut [u8]) -> Result<usize>;
}

struct Rust {
    open: Open,
    reader: Reader,
}

impl Side for Rust {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        Ok(self.open.console.write(bytes, CONNECT_TIME)?)
    }

    fn read(&mut self, room: &mut [u8]) -> Result<usize> {
        Ok(self.reader.read(room, CONNECT_TIME)?)
    }

    fn read_past(&mut self, room: &mut [u8]) -> Result<usize> {
        let console: &Console = &self.open.console;
        let mut reader = console.reader();
        let mut calls = 0;
        loop {
            match reader.read(room, Duration::ZERO) {
                Ok(_) => calls += 1,
                Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(calls),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

struct C {
    engine: Handle,
    console: Handle,
}

/// The result of a call from C, if it is one.
fn done(code: impl Into<i64>) -> Result<usize> {
    let code = code.into();
    usize::try_from(code).map_err(|_| format!("the C ABI says {code}").into())
}

impl C {
    fn connect(bmcs: &Bmcs, index: usize) -> Result<Self> {
        let host = CString::new(bmcs.ip(index).to_string())?;
        let (mut engine, mut login, mut options) = (null_mut(), null_mut(), null_mut());
        let (mut bmc, mut console_options, mut console) = (null_mut(), null_mut(), null_mut());
        // SAFETY: what the header asks for: places for handles, and texts with their lengths.
        // What is not freed here goes with the process.
        unsafe {
            done(bmclink_engine_new(null_mut(), &mut engine))?;
            let (user, password) = (USER.as_ptr().cast(), PASSWORD.as_ptr().cast());
            let lens = (USER.len(), PASSWORD.len());
            done(bmclink_credentials_new(user, lens.0, password, lens.1, null(), 0, &mut login))?;
            done(bmclink_bmc_options_new(host.as_ptr(), login, &mut options))?;
            done(bmclink_bmc_options_set_port(options, bmcs.port()))?;
            done(bmclink_bmc_open(engine, options, &mut bmc))?;
            done(bmclink_console_options_new(&mut console_options))?;
            done(bmclink_console_options_set_replay_len(console_options, REPLAY_LEN))?;
            done(bmclink_console_open(bmc, console_options, &mut console))?;
            done(bmclink_console_connect(console, CONNECT_TIME.as_millis() as i64))?;
        }
        Ok(C { engine, console })
    }
}

impl Side for C {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let ms = CONNECT_TIME.as_millis() as i64;
        // SAFETY: a handle, and bytes with their length.
        done(unsafe { bmclink_console_write(self.console, bytes.as_ptr().cast(), bytes.len(), ms) })
    }

    fn read(&mut self, room: &mut [u8]) -> Result<usize> {
        let ms = CONNECT_TIME.as_millis() as i64;
        let place = room.as_mut_ptr().cast();
        // SAFETY: a handle, and room with its length.
        done(unsafe { bmclink_console_read(self.console, place, room.len(), ms) })
    }

    fn read_past(&mut self, room: &mut [u8]) -> Result<usize> {
        let (mut reader, mut calls) = (null_mut(), 0);
        // SAFETY: a handle, and a place for one.
        done(unsafe { bmclink_reader_open(self.console, 1, &mut reader) })?;
        let result = loop {
            let place = room.as_mut_ptr().cast();
            // SAFETY: a handle, and room with its length.
            match unsafe { bmclink_reader_read(reader, place, room.len(), 0) } {
                TIMED_OUT => break Ok(calls),
                len if len < 0 => break done(len),
                _ => calls += 1,
            }
        };
        // SAFETY: the handle that was just made.
        done(unsafe { bmclink_reader_free(reader) })?;
        result
    }
}

impl Drop for C {
    fn drop(&mut self) {
        // SAFETY: the handle is this one's own. Nobody could do anything about a failure.
        let _ = unsafe { bmclink_engine_free(self.engine) };
    }
}

/// Reads up to and with a text.
fn read_to(side: &mut dyn Side, end: &str) -> Result<()> {
    let mut buffer = [0; 4096];
    let mut tail = Vec::new();
    loop {
        let len = side.read(&mut buffer)?;
        tail.extend_from_slice(&buffer[..len]);
        if tail.ends_with(end.as_bytes()) {
            return Ok(());
        }
        tail.drain(..tail.len().saturating_sub(end.len()));
    }
}

fn write_all(side: &mut dyn Side, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let taken = side.write(bytes)?;
        bytes = &bytes[taken..];
    }
    Ok(())
}

/// CPU of this process for so many bytes from the host, in nanoseconds per byte.
fn reading(side: &mut dyn Side, len: usize) -> Result<f64> {
    let before = measure::process_cpu();
    write_all(side, format!("!print {len}\r").as_bytes())?;
    read_to(side, DONE)?;
    Ok(measure::process_cpu().saturating_sub(before).as_nanos() as f64 / len as f64)
}

/// The same to the host.
fn writing(side: &mut dyn Side, len: usize) -> Result<f64> {
    write_all(side, format!("!take {len}\r").as_bytes())?;
    read_to(side, READY)?;
    let bytes = vec![b'x'; len];
    let before = measure::process_cpu();
    write_all(side, &bytes)?;
    read_to(side, DONE)?;
    Ok(measure::process_cpu().saturating_sub(before).as_nanos() as f64 / len as f64)
}

/// Nanoseconds per call that reads so many bytes which are there already.
fn calling(side: &mut dyn Side, room: usize) -> Result<f64> {
    let mut room = vec![0; room];
    let before = Instant::now();
    let calls = side.read_past(&mut room)?.max(1);
    Ok(before.elapsed().as_nanos() as f64 / calls as f64)
}

pub fn run(options: &Options, report: &mut Report) -> Result<()> {
    let len = report.choose(options.kib, 1024, 32).clamp(1, 1 << 16) << 10;
    let rounds = report.choose(options.rounds, 15, 2).max(1);
    report.begin("ffi", "console bytes through the C ABI and through Rust");
    let bmcs = Bmcs::start(2)?;
    let engine = Engine::new(EngineConfig::default())?;
    for index in 0..2 {
        consoles::send_at_once(&engine.bmc(bmcs.config(index)?)?, CONNECT_TIME)?;
    }
    let mut config = ConsoleConfig::default();
    config.replay_len = REPLAY_LEN;
    let open = Open::connect(engine.bmc(bmcs.config(0)?)?, config)?;
    let mut rust = Rust { reader: open.console.live_reader(), open };
    let mut c = C::connect(&bmcs, 1)?;

    type Measure = fn(&mut dyn Side, usize) -> Result<f64>;
    let ways: [(&str, &str, Measure, usize); 4] = [
        ("from the host", "ns of CPU per byte", reading, len),
        ("to the host", "ns of CPU per byte", writing, len / 4),
        ("a read of 4,096 bytes that are there", "ns", calling, 4096),
        ("a read of 64 bytes that are there", "ns", calling, 64),
    ];
    let mut table = Table::new(["", "", "Rust", "C", "times Rust"]);
    let mut figures = Vec::new();
    for (name, unit, measure, size) in ways {
        let (mut of_rust, mut of_c) = (Samples::default(), Samples::default());
        for round in 0..rounds {
            // Whoever comes second finds warm caches: they take turns at that too.
            let c_first = if round % 2 == 1 { Some(measure(&mut c, size)?) } else { None };
            of_rust.push(measure(&mut rust, size)?);
            of_c.push(c_first.map_or_else(|| measure(&mut c, size), Ok)?);
        }
        let ratio = of_c.ratio(&of_rust);
        let cells = [of_rust.text(1), of_c.text(1), ratio.text(3)];
        let [rust, c, times] = cells;
        table.row([name.to_owned(), unit.to_owned(), rust, c, times]);
        figures.push(json!({
            "what": name,
            "rust": of_rust.json(),
            "c": of_c.json(),
            "ratio": ratio.json(),
        }));
    }
    let notes = [
        format!("Budget: at most {BUDGET} times the CPU per byte, from the host and to it."),
        format!("Median (least to most) of {rounds} rounds, in turn; ratios pair by pair."),
        "CPU is that of this whole process: the session's and the caller's.".to_owned(),
    ];
    report.table(&table, &notes);
    report.keep("ffi", figures.into());
    Ok(())
}
