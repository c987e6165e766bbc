//! The recent past of a console: a ring with absolute offsets, events among its bytes, and
//! cursors in it.

use std::collections::VecDeque;
use std::time::Instant;

use super::stamps::{Stamp, Stamps};

#[cfg(test)]
#[path = "tests/log.rs"]
mod tests;

/// Events kept at most.
pub const EVENTS_MAX: usize = 64;

/// What a console printed last, at most a fixed number of bytes, and what happened meanwhile, each
/// event `E` at its place among the bytes. Memory grows with use.
#[derive(Debug)]
pub struct Log<E> {
    bytes: VecDeque<u8>,
    len_max: usize,
    /// Offset of the first byte that is still there, counted from the first byte ever.
    start: u64,
    stamps: Stamps,
    /// The last events, and the offsets of the bytes behind them.
    events: VecDeque<(u64, E)>,
    /// Number of the first event that is still there, counted from the first one ever.
    events_start: u64,
}

/// One reader's place in a [`Log`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    offset: u64,
    lost: u64,
    /// Number of the next event. It is not before `offset`.
    event: u64,
}

/// What a reader gets next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<E> {
    /// So many bytes were copied, all of one connection.
    Bytes(usize, Stamp),
    /// Something happened.
    Event(E),
    /// It came too late for so many bytes and events.
    Lost {
        /// Bytes that were overwritten.
        bytes: u64,
        /// Events that gave way to others.
        events: u64,
    },
}

impl Cursor {
    /// How many bytes were overwritten before this reader came to them.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// How far this reader has read, counted from the first byte ever.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The number of the event it comes to next, counted from the first one ever.
    pub fn event(&self) -> u64 {
        self.event
    }
}

impl<E: Clone> Log<E> {
    /// An empty log that keeps the last `len_max` bytes.
    pub fn new(len_max: usize) -> Self {
        Log {
            bytes: VecDeque::new(),
            len_max: len_max.max(1),
            start: 0,
            stamps: Stamps::default(),
            events: VecDeque::new(),
            events_start: 0,
        }
    }

    /// Keeps more or less from now on.
    pub fn set_len_max(&mut self, len_max: usize) {
        self.len_max = len_max.max(1);
        self.drop_bytes(self.bytes.len().saturating_sub(self.len_max));
    }

    /// Adds bytes at the end, with when and in which connection they came; the oldest ones give
    /// way.
    pub fn push(&mut self, at: Instant, epoch: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some(start) = self.stamps.push(Stamp { offset: self.end(), at, epoch }) {
            // What is kept is at most as much as can be addressed.
            self.drop_bytes(start.saturating_sub(self.start) as usize);
        }
        let kept = bytes.len().min(self.len_max);
        let dropped = bytes.len() - kept;
        let excess = (self.bytes.len() + kept).saturating_sub(self.len_max);
        if excess + dropped > 0 {
            self.start += dropped as u64;
            self.drop_bytes(excess);
        }
        self.grow(kept);
        self.bytes.extend(&bytes[dropped..]);
    }

    /// Puts an event behind all bytes; the oldest one gives way.
    pub fn push_event(&mut self, event: E) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
            self.events_start += 1;
        }
        if self.events.len() == self.events.capacity() {
            // Most consoles have two for long: that they are being connected, and that they are.
            self.events.reserve_exact(self.events.len().max(2));
        }
        self.events.push_back((self.end(), event));
    }

    fn drop_bytes(&mut self, count: usize) {
        let count = count.min(self.bytes.len());
        self.bytes.drain(..count);
        self.start += count as u64;
        self.stamps.drop_before(self.start);
    }

    /// Makes room for `more` bytes: twice as much as before, and never more than may be kept.
    fn grow(&mut self, more: usize) {
        let needed = self.bytes.len() + more;
        if needed > self.bytes.capacity() {
            let wanted = (2 * self.bytes.capacity()).clamp(needed, self.len_max);
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
    }

    /// A reader that first gets what is kept of the past, with the events among it.
    pub fn cursor_at_start(&self) -> Cursor {
        let before = self.events.partition_point(|(at, _)| *at < self.start);
        Cursor { offset: self.start, lost: 0, event: self.events_start + before as u64 }
    }

    /// A reader that gets only what comes from now on.
    pub fn cursor_at_end(&self) -> Cursor {
        Cursor { offset: self.end(), lost: 0, event: self.events_end() }
    }

    /// How many bytes are kept.
    pub fn kept_len(&self) -> usize {
        self.bytes.len()
    }

    /// Offset behind the last byte.
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Number behind that of the last event.
    pub fn events_end(&self) -> u64 {
        self.events_start + self.events.len() as u64
    }

    /// Copies the next bytes for a reader and moves it on, over events too; counts what it has
    /// missed.
    pub fn read(&self, cursor: &mut Cursor, out: &mut [u8]) -> usize {
        self.skip_lost(cursor, u64::MAX);
        let copied = self.copy(cursor, out);
        if cursor.event < self.events_end() {
            self.skip_events(cursor);
            while self.event(cursor).is_some_and(|(at, _)| *at < cursor.offset) {
                cursor.event += 1;
            }
        }
        copied
    }

    /// The next thing for a reader, in order: bytes up to the next event, an event, or how much
    /// it came too late for.
    pub fn next(&self, cursor: &mut Cursor, out: &mut [u8]) -> Option<Next<E>> {
        let events = self.skip_events(cursor);
        if events > 0 {
            return Some(Next::Lost { bytes: 0, events });
        }
        let event = self.event(cursor);
        let until = event.map_or(u64::MAX, |(at, _)| *at);
        let bytes = self.skip_lost(cursor, until);
        if bytes > 0 {
            return Some(Next::Lost { bytes, events: 0 });
        }
        if cursor.offset < until.min(self.end()) {
            let (stamp, next) = self.stamps.find(cursor.offset)?;
            let left = until.min(next) - cursor.offset;
            let len = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            return match self.copy(cursor, &mut out[..len]) {
                0 => None,
                copied => Some(Next::Bytes(copied, stamp)),
            };
        }
        event.map(|(_, event)| {
            cursor.event += 1;
            Next::Event(event.clone())
        })
    }

    fn event(&self, cursor: &Cursor) -> Option<&(u64, E)> {
        let place = cursor.event.checked_sub(self.events_start)?;
        self.events.get(usize::try_from(place).ok()?)
    }

    /// Moves a reader over events that gave way before it came there; says how many.
    fn skip_events(&self, cursor: &mut Cursor) -> u64 {
        let missed = self.events_start.saturating_sub(cursor.event);
        cursor.event += missed;
        missed
    }

    /// Moves a reader over what was overwritten before it came there, not beyond `until`; says
    /// how many bytes it missed.
    fn skip_lost(&self, cursor: &mut Cursor, until: u64) -> u64 {
        let missed = self.start.min(until).saturating_sub(cursor.offset);
        cursor.lost += missed;
        cursor.offset += missed;
        missed
    }

    fn copy(&self, cursor: &mut Cursor, out: &mut [u8]) -> usize {
        // The offset is within the ring, so the difference fits.
        let from = (cursor.offset - self.start) as usize;
        let (first, second) = self.bytes.as_slices();
        let mut copied = 0;
        for part in [
            first.get(from..).unwrap_or_default(),
            second.get(from.saturating_sub(first.len())..).unwrap_or_default(),
        ] {
            let len = part.len().min(out.len() - copied);
            out[copied..copied + len].copy_from_slice(&part[..len]);
            copied += len;
        }
        cursor.offset += copied as u64;
        copied
    }
}
