//! The log file of a console: what it printed, with the time before each line, and what happened
//! to it. Written by threads that do nothing else: no shard and no callback waits for a disk.
//!
//! Rotation is a few renames, done here, because what is to be told is exactly what the disk did
//! not take. Of the crates for it, file-rotate 0.8 says that all was written when the file could
//! not be opened, panics without the folder, and needs chrono and flate2; the rotating file of
//! log-io 2.1 does not say how much of a write was taken, and rotates devices as it does files.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::callback::Subscriber;
use super::console::ConsoleShared;
use super::dispatch::Dispatcher;
use super::event::{ConsoleEvent, EventKind};
use super::watch::Watch;
use crate::config::LogConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::sync::Mutex;

/// Threads that write log files, at most.
const WRITERS_MAX: usize = 4;
/// A disk that refused something is asked again after this time.
const RETRY: Duration = Duration::from_secs(1);

/// How a console's log file stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogStatus {
    /// Bytes written to it and its predecessors.
    pub written: u64,
    /// Bytes that should be in it and are not: the disk was too slow, full, or not there.
    pub lost: u64,
    /// What the disk said last, until it takes text again.
    pub error: Option<Error>,
}

/// What a log file's users and its writer share.
#[derive(Debug, Default)]
pub(crate) struct LogShared {
    wanted: Mutex<Wanted>,
    status: Mutex<LogStatus>,
}

#[derive(Debug, Default)]
struct Wanted {
    /// Where it is to be; `None` for nowhere.
    config: Option<LogConfig>,
    /// The file is to be opened again, even if nothing else changed.
    reopen: bool,
}

impl LogShared {
    /// Has it written there from the next event on.
    pub fn set(&self, config: Option<LogConfig>) {
        self.wanted.lock().config = config;
    }

    /// Has it opened again before the next event is written.
    pub fn reopen(&self) {
        self.wanted.lock().reopen = true;
    }

    pub fn status(&self) -> LogStatus {
        self.status.lock().clone()
    }
}

/// The log files that are being written, by console, and their threads.
#[derive(Debug)]
pub(crate) struct LogFiles {
    dispatcher: Arc<Dispatcher>,
    writers: Mutex<HashMap<u64, Writer>>,
}

/// What is told what happens at a console; ended when it is dropped.
#[derive(Debug)]
struct Writer {
    subscriber: Arc<Subscriber>,
    watch: Arc<Watch>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.subscriber.console().unwatch(&self.watch, None);
        // A disk that blocks is not waited for.
        self.subscriber.abandon();
        self.subscriber.leave();
    }
}

impl LogFiles {
    pub fn new() -> Arc<Self> {
        let dispatcher = Dispatcher::new(WRITERS_MAX);
        Arc::new(LogFiles { dispatcher, writers: Mutex::default() })
    }

    /// Has everything written that is kept of a console and that comes, until it is closed.
    pub fn follow(
        self: &Arc<Self>,
        id: u64,
        console: &Arc<ConsoleShared>,
        shared: &Arc<LogShared>,
    ) -> Result<()> {
        let mut text = LogText::new(shared.clone());
        let (files, of) = (Arc::downgrade(self), Arc::downgrade(console));
        let callback = Box::new(move |event: ConsoleEvent<'_>| {
            text.take(&event);
            // A backend may call a connection closed, too.
            let is_end = matches!(&event.kind, EventKind::Disconnected { reason, .. }
                if reason.kind() == ErrorKind::Closed)
                && of.upgrade().is_none_or(|console| console.is_closed());
            if is_end && let Some(files) = files.upgrade() {
                let writer = files.writers.lock().remove(&id);
                drop(writer);
            }
        });
        let cursor = console.cursor(true);
        let dispatcher = self.dispatcher.clone();
        let subscriber = Subscriber::new(console.clone(), dispatcher, cursor, callback)?;
        let watch = Watch::of_subscriber(subscriber.clone());
        let writer = Writer { subscriber: subscriber.clone(), watch };
        console.watch(&writer.watch, None, |_| false)?;
        let before = self.writers.lock().insert(id, writer);
        drop(before);
        subscriber.wake();
        subscriber.settle();
        Ok(())
    }

    /// Writes what there is and ends the threads; a disk that blocks is not waited for.
    pub fn stop(&self) {
        self.dispatcher.stop();
        let writers = std::mem::take(&mut *self.writers.lock());
        drop(writers);
    }
}

/// Turns events into text, and puts that into a file.
struct LogText {
    shared: Arc<LogShared>,
    /// Where it is written, as far as is known here.
    config: Option<LogConfig>,
    file: Option<Open>,
    /// The disk is left alone until then.
    retry_at: Option<Instant>,
    /// Bytes that were not written since the last one that was.
    lost: u64,
    /// What comes next begins a line.
    line_start: bool,
    text: Vec<u8>,
}

struct Open {
    file: File,
    len: u64,
    /// A device is written to as it is; only a file is set aside.
    rotates: bool,
}

impl LogText {
    fn new(shared: Arc<LogShared>) -> Self {
        LogText {
            shared,
            config: None,
            file: None,
            retry_at: None,
            lost: 0,
            line_start: true,
            text: Vec::new(),
        }
    }

    fn take(&mut self, event: &ConsoleEvent<'_>) {
        self.follow_config();
        if self.config.is_none() {
            return;
        }
        let time = timestamp(event.at);
        self.text.clear();
        match (&event.kind, marker(event)) {
            (EventKind::Data(bytes), _) => self.add_bytes(&time, bytes),
            (_, marker) => self.add_marker(&time, &marker),
        }
        if let EventKind::Lost { bytes, .. } = event.kind {
            self.shared.status.lock().lost += bytes;
        }
        if let Err(error) = self.write() {
            self.report(&error);
        }
    }

    fn follow_config(&mut self) {
        let mut wanted = self.shared.wanted.lock();
        if std::mem::take(&mut wanted.reopen) || wanted.config != self.config {
            self.config = wanted.config.clone();
            self.file = None;
            self.retry_at = None;
        }
    }

    fn add_bytes(&mut self, time: &str, bytes: &[u8]) {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line_start {
                self.text.extend_from_slice(time.as_bytes());
            }
            self.text.extend_from_slice(line);
            self.line_start = line.ends_with(b"\n");
        }
    }

    fn add_marker(&mut self, time: &str, marker: &str) {
        if !self.line_start {
            self.text.push(b'\n');
        }
        let (text, start) = (&mut self.text, time.as_bytes());
        text.extend([start, b"-- ", marker.as_bytes(), b" --\n"].concat());
        self.line_start = true;
    }

    /// Writes the text; what a failure leaves of it is lost.
    fn write(&mut self) -> io::Result<()> {
        let mut left = self.text.len();
        let result = self.write_some(&mut left);
        if left > 0 && result.is_err() {
            self.file = None;
            self.retry_at = Some(Instant::now() + RETRY);
        }
        let mut status = self.shared.status.lock();
        status.written += (self.text.len() - left) as u64;
        status.lost += left as u64;
        self.lost += left as u64;
        result
    }

    fn write_some(&mut self, left: &mut usize) -> io::Result<()> {
        let Some(config) = &self.config else { return Ok(()) };
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        self.retry_at = None;
        let mut open = match self.file.take() {
            Some(open) => open,
            None => Open::new(&config.path)?,
        };
        let (len, mut kept) = (open.len + self.text.len() as u64, Ok(()));
        if config.size_max > 0 && len > config.size_max && open.len > 0 && open.rotates {
            match set_aside(&config.path, config.keep) {
                Ok(()) => open = Open::new(&config.path)?,
                // Better too long than not at all.
                Err(error) => kept = Err(error),
            }
        }
        if self.lost > 0 {
            let time = timestamp(Instant::now());
            let lost = format!("{time}-- {} bytes of this log were lost --\n", self.lost);
            open.write(lost.as_bytes(), &mut lost.len())?;
            self.lost = 0;
        }
        open.write(&self.text, left)?;
        self.file = Some(open);
        if kept.is_ok() {
            self.shared.status.lock().error = None;
        }
        kept
    }

    /// Reports what a disk refused, once until it takes something.
    fn report(&self, error: &io::Error) {
        let Some(config) = &self.config else { return };
        let error = Error::io(&format!("cannot write {}", config.path.display()), error);
        let before = self.shared.status.lock().error.replace(error.clone());
        if before.is_none() {
            log::warn!(target: "bmclink::engine", "log file of a console: {error}");
        }
    }
}

impl Open {
    fn new(path: &Path) -> io::Result<Self> {
        // What a console prints is for its owner only. A pipe or device that nobody reads is not
        // waited for, and a terminal stays what it is.
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        let metadata = file.metadata()?;
        let mut open = Open { file, len: metadata.len(), rotates: metadata.is_file() };
        if open.rotates && open.len > 0 && !ends_with_newline(path, open.len) {
            open.write(b"\n", &mut 1)?;
        }
        Ok(open)
    }

    /// Writes all of it; `left` counts what is not written.
    fn write(&mut self, mut text: &[u8], left: &mut usize) -> io::Result<()> {
        while !text.is_empty() {
            match self.file.write(text) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => {
                    text = text.get(len..).unwrap_or_default();
                    self.len += len as u64;
                    *left = left.saturating_sub(len);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whether a file ends with a whole line; one that cannot be read is taken for one that does.
fn ends_with_newline(path: &Path, len: u64) -> bool {
    let mut last = [b'\n'];
    if let Ok(file) = File::open(path) {
        // What cannot be read stays as it is.
        let _ = file.read_at(&mut last, len - 1);
    }
    last == [b'\n']
}

/// Makes room for another file: this one becomes number 1, number 1 number 2, and so on; the one
/// beyond `keep` is gone.
fn set_aside(path: &Path, keep: usize) -> io::Result<()> {
    let numbered = |number: usize| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    if keep == 0 {
        return std::fs::remove_file(path);
    }
    for number in (1..keep).rev() {
        match std::fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::rename(path, numbered(1))
}

/// What a log says of an event; nothing of data.
fn marker(event: &ConsoleEvent<'_>) -> String {
    match &event.kind {
        EventKind::Data(_) => String::new(),
        EventKind::Connecting => "connecting".to_owned(),
        EventKind::Connected => format!("connected, epoch {}", event.epoch),
        EventKind::Disconnected { reason, .. } => format!("disconnected: {reason}"),
        EventKind::Gap(None) => "gap: bytes may be missing here".to_owned(),
        EventKind::Gap(Some(bytes)) => format!("gap: {bytes} bytes are missing here"),
        EventKind::Break => "break".to_owned(),
        EventKind::Overrun => "overrun: the BMC dropped bytes".to_owned(),
        EventKind::Stolen => "taken by another session".to_owned(),
        EventKind::PoweredOff => "serial port unavailable".to_owned(),
        EventKind::PoweredOn => "serial port available".to_owned(),
        EventKind::Reactivated => "activated again".to_owned(),
        EventKind::InputLost(bytes) => format!("{bytes} bytes of input lost"),
        EventKind::Lost { bytes, events } => {
            format!("{bytes} bytes and {events} events lost: the disk was too slow")
        }
    }
}

/// When that was by the wall clock, in UTC to the millisecond, and a space.
fn timestamp(at: Instant) -> String {
    let ago = Instant::now().saturating_duration_since(at);
    let wall = SystemTime::now().checked_sub(ago).unwrap_or(UNIX_EPOCH);
    // A clock before 1970 is no worse than one that stands there.
    in_utc(wall.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn in_utc(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (mut day, second) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < len {
            break;
        }
        day -= len;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let (day, ms) = (day + 1, since_1970.subsec_millis());
    let mut text = String::with_capacity(25);
    // To memory it cannot fail.
    let _ =
        write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z ");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z "),
            (951_782_400_000, "2000-02-29T00:00:00.000Z "),
            (951_868_799_999, "2000-02-29T23:59:59.999Z "),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z "),
            (1_735_689_599_001, "2024-12-31T23:59:59.001Z "),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z "),
        ] {
            assert_eq!(in_utc(Duration::from_millis(ms)), expected);
        }
    }
}
