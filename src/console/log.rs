//! The recent past of a console: a ring with absolute offsets, and cursors in it.

use std::collections::VecDeque;

/// What a console printed last, at most a fixed number of bytes. Memory grows with use.
#[derive(Debug)]
pub struct Log {
    bytes: VecDeque<u8>,
    len_max: usize,
    /// Offset of the first byte that is still there, counted from the first byte ever.
    start: u64,
}

/// One reader's place in a [`Log`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    offset: u64,
    lost: u64,
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
}

impl Log {
    /// An empty log that keeps the last `len_max` bytes.
    pub fn new(len_max: usize) -> Self {
        Log { bytes: VecDeque::new(), len_max: len_max.max(1), start: 0 }
    }

    /// Adds bytes at the end; the oldest ones give way.
    pub fn push(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(self.len_max);
        let dropped = bytes.len() - kept;
        let excess = (self.bytes.len() + kept).saturating_sub(self.len_max);
        self.bytes.drain(..excess);
        self.start += (excess + dropped) as u64;
        self.grow(kept);
        self.bytes.extend(&bytes[dropped..]);
    }

    /// Makes room for `more` bytes: twice as much as before, and never more than may be kept.
    fn grow(&mut self, more: usize) {
        let needed = self.bytes.len() + more;
        if needed > self.bytes.capacity() {
            let wanted = (2 * self.bytes.capacity()).clamp(needed, self.len_max);
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
    }

    /// A reader that first gets what is kept of the past.
    pub fn cursor_at_start(&self) -> Cursor {
        Cursor { offset: self.start, lost: 0 }
    }

    /// A reader that gets only what comes from now on.
    pub fn cursor_at_end(&self) -> Cursor {
        Cursor { offset: self.end(), lost: 0 }
    }

    /// Offset behind the last byte.
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Copies the next bytes for a reader and moves it on; counts what it has missed.
    pub fn read(&self, cursor: &mut Cursor, out: &mut [u8]) -> usize {
        self.skip_lost(cursor, u64::MAX);
        self.copy(cursor, out)
    }

    /// Moves a reader over what was overwritten before it came there, not beyond `until`; says
    /// how many bytes it missed.
    pub fn skip_lost(&self, cursor: &mut Cursor, until: u64) -> u64 {
        let missed = self.start.min(until).saturating_sub(cursor.offset);
        cursor.lost += missed;
        cursor.offset += missed;
        missed
    }

    /// Copies the next bytes for a reader that is not behind what is kept, and moves it on, not
    /// beyond `until`.
    pub fn read_until(&self, cursor: &mut Cursor, until: u64, out: &mut [u8]) -> usize {
        let left = until.saturating_sub(cursor.offset);
        let len = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if cursor.offset < self.start { 0 } else { self.copy(cursor, &mut out[..len]) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_everything_once_and_in_order() {
        let mut log = Log::new(16);
        let mut cursor = log.cursor_at_start();
        let mut got = Vec::new();
        for round in 0..100u8 {
            log.push(&[round, round.wrapping_add(100), round.wrapping_mul(3)]);
            let mut out = [0; 2];
            loop {
                let len = log.read(&mut cursor, &mut out);
                if len == 0 {
                    break;
                }
                got.extend_from_slice(&out[..len]);
            }
        }
        let expected: Vec<u8> =
            (0..100u8).flat_map(|r| [r, r.wrapping_add(100), r.wrapping_mul(3)]).collect();
        assert_eq!(got, expected);
        assert_eq!(cursor.lost(), 0);
    }

    #[test]
    fn a_slow_reader_is_told_what_it_lost() {
        let mut log = Log::new(8);
        let mut slow = log.cursor_at_start();
        log.push(b"abcdefgh");
        log.push(b"ijk");
        let mut out = [0; 32];
        let len = log.read(&mut slow, &mut out);
        assert_eq!((&out[..len], slow.lost()), (&b"defghijk"[..], 3));
        log.push(&[b'x'; 100]);
        let len = log.read(&mut slow, &mut out);
        assert_eq!((len, slow.lost(), log.end()), (8, 95, 111));
    }

    #[test]
    fn a_reader_can_stop_on_its_way_and_is_told_what_it_missed_up_to_there() {
        let mut log = Log::new(8);
        let mut cursor = log.cursor_at_start();
        let mut out = [0; 32];
        log.push(b"abcdefgh");
        assert_eq!(log.skip_lost(&mut cursor, 3), 0);
        assert_eq!(log.read_until(&mut cursor, 3, &mut out), 3);
        assert_eq!(&out[..3], b"abc");
        assert_eq!(log.read_until(&mut cursor, 3, &mut out), 0);
        log.push(b"ijklmnop");
        assert_eq!((log.skip_lost(&mut cursor, 5), cursor.offset()), (2, 5));
        assert_eq!(log.read_until(&mut cursor, 6, &mut out), 0);
        assert_eq!((log.skip_lost(&mut cursor, 20), cursor.lost()), (3, 5));
        assert_eq!(log.read_until(&mut cursor, 20, &mut out[..3]), 3);
        assert_eq!((&out[..3], cursor.offset()), (&b"ijk"[..], 11));
    }

    #[test]
    fn memory_grows_with_use_and_not_beyond_what_is_kept() {
        let mut log = Log::new(1000);
        for round in 0..100 {
            log.push(&[round; 77]);
            assert!(log.bytes.capacity() <= 1000, "{}", log.bytes.capacity());
        }
        log.push(&[0; 5000]);
        assert_eq!((log.bytes.len(), log.bytes.capacity()), (1000, 1000));
    }

    #[test]
    fn a_new_reader_sees_the_past_or_not() {
        let mut log = Log::new(8);
        log.push(b"0123456789");
        let (past, live) = (log.cursor_at_start(), log.cursor_at_end());
        log.push(b"!");
        let read = |mut cursor| {
            let mut out = [0; 16];
            let len = log.read(&mut cursor, &mut out);
            (out[..len].to_vec(), cursor.lost())
        };
        assert_eq!(read(past), (b"3456789!".to_vec(), 1));
        assert_eq!(read(live), (b"!".to_vec(), 0));
    }
}
