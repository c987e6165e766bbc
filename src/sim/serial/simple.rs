//! The two programs that tests need most: one that repeats, one that never stops.

use std::collections::VecDeque;
use std::io::Write;
use std::time::Instant;

use super::{SerialEvent, SerialModel};

/// Sends every byte back as it came.
#[derive(Debug, Default)]
pub struct Echo {
    pending: VecDeque<u8>,
    since: Option<Instant>,
}

impl Echo {
    /// An echo with nothing to say yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl SerialModel for Echo {
    fn input(&mut self, now: Instant, bytes: &[u8]) {
        self.pending.extend(bytes);
        self.since.get_or_insert(now);
    }

    fn event(&mut self, _now: Instant, _event: &SerialEvent) {}

    fn output(&mut self, _now: Instant, space: usize, out: &mut Vec<u8>) {
        let len = space.min(self.pending.len());
        out.extend(self.pending.drain(..len));
        if self.pending.is_empty() {
            self.since = None;
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.since
    }
}

/// Prints numbered lines as fast as they are taken, from the moment somebody listens.
#[derive(Debug)]
pub struct Flood {
    /// Bytes still to come; `None` for no end.
    left: Option<u64>,
    printed: u64,
    since: Option<Instant>,
}

impl Flood {
    /// Length of a line with its CR and LF.
    pub const LINE_LEN: usize = 64;

    /// A flood of that many bytes, or without end.
    pub fn new(limit: Option<u64>) -> Self {
        Flood { left: limit, printed: 0, since: None }
    }

    /// The line of a number, counted from 0: the number in ten digits, then letters.
    pub fn line(number: u64) -> [u8; Self::LINE_LEN] {
        let mut line = [b' '; Self::LINE_LEN];
        let mut rest = &mut line[..];
        // The line is longer than any number.
        let _ = write!(rest, "{number:010} ");
        let from = Self::LINE_LEN - rest.len();
        for (offset, byte) in line[from..].iter_mut().enumerate() {
            *byte = b'a' + ((number + offset as u64) % 26) as u8;
        }
        line[Self::LINE_LEN - 2..].copy_from_slice(b"\r\n");
        line
    }
}

impl SerialModel for Flood {
    fn input(&mut self, _now: Instant, _bytes: &[u8]) {}

    fn event(&mut self, now: Instant, event: &SerialEvent) {
        match event {
            SerialEvent::Activated => self.since = Some(now),
            SerialEvent::Deactivated => self.since = None,
            _ => {}
        }
    }

    fn output(&mut self, _now: Instant, space: usize, out: &mut Vec<u8>) {
        if self.since.is_none() {
            return;
        }
        let len = self.left.map_or(space, |left| space.min(left.min(usize::MAX as u64) as usize));
        let end = out.len() + len;
        while out.len() < end {
            let line = Self::line(self.printed / Self::LINE_LEN as u64);
            let from = (self.printed % Self::LINE_LEN as u64) as usize;
            let take = (Self::LINE_LEN - from).min(end - out.len());
            out.extend_from_slice(&line[from..from + take]);
            self.printed += take as u64;
        }
        self.left = self.left.map(|left| left - len as u64);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.since.filter(|_| self.left != Some(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flood_is_the_same_whatever_the_pieces() {
        let now = Instant::now();
        let mut whole = Vec::new();
        let mut flood = Flood::new(Some(1000));
        flood.event(now, &SerialEvent::Activated);
        flood.output(now, 4096, &mut whole);
        assert_eq!(whole.len(), 1000);
        assert!(flood.poll_timeout().is_none());
        let mut pieces = Vec::new();
        let mut flood = Flood::new(Some(1000));
        flood.event(now, &SerialEvent::Activated);
        while flood.poll_timeout().is_some() {
            flood.output(now, 7, &mut pieces);
        }
        assert_eq!(pieces, whole);
        assert!(whole.starts_with(b"0000000000 "));
        assert_eq!(&whole[64..74], b"0000000001");
    }
}
