//! When bytes came, and in which connection: few enough notes of it to be kept for all of them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Notes kept at most: 4 KiB of them.
const LEN_MAX: usize = 128;
/// Bytes that come within this time of each other's first one have one note.
const TOGETHER: Duration = Duration::from_millis(5);

/// What is known of all bytes from an offset on, up to the next note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Offset of the first byte.
    pub offset: u64,
    /// When that one came.
    pub at: Instant,
    /// In which connection all of them came.
    pub epoch: u64,
}

/// The notes of a ring, by rising offset. Each connection has its own: only times are rounded.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    notes: VecDeque<Stamp>,
    /// Until when bytes come together with the last one's.
    open_until: Option<Instant>,
}

impl Stamps {
    /// Bytes come at an offset behind all others. Gives an offset below which nothing can be
    /// kept, since it came in too many different connections.
    pub fn push(&mut self, stamp: Stamp) -> Option<u64> {
        // Compared with a time made once: this is asked for every packet.
        if self.open_until.is_some_and(|until| stamp.at < until)
            && self.notes.back().is_some_and(|last| last.epoch == stamp.epoch)
        {
            return None;
        }
        self.open_until = stamp.at.checked_add(TOGETHER);
        let mut too_many = None;
        if self.notes.len() == LEN_MAX {
            self.thin_out();
        }
        if self.notes.len() == LEN_MAX {
            self.notes.pop_front();
            too_many = self.notes.front().map(|first| first.offset);
        }
        self.notes.push_back(stamp);
        too_many
    }

    /// Merges older notes of one connection, two by two.
    fn thin_out(&mut self) {
        let (mut place, mut before) = (0, None);
        self.notes.retain(|stamp| {
            place += 1;
            let kept = place % 2 == 1 || place > LEN_MAX / 2 || before != Some(stamp.epoch);
            if kept {
                before = Some(stamp.epoch);
            }
            kept
        });
    }

    /// What is below `start` is gone.
    pub fn drop_before(&mut self, start: u64) {
        while self.notes.get(1).is_some_and(|second| second.offset <= start) {
            self.notes.pop_front();
        }
    }

    /// The note of the byte at `offset`, and where the next one begins.
    pub fn find(&self, offset: u64) -> Option<(Stamp, u64)> {
        let behind = self.notes.partition_point(|stamp| stamp.offset <= offset);
        let stamp = self.notes.get(behind.checked_sub(1)?)?;
        Some((*stamp, self.notes.get(behind).map_or(u64::MAX, |next| next.offset)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(base: Instant, offset: u64, ms: u64, epoch: u64) -> Stamp {
        Stamp { offset, at: base + Duration::from_millis(ms), epoch }
    }

    #[test]
    fn what_comes_together_has_one_note_and_each_connection_its_own() {
        let base = Instant::now();
        let mut stamps = Stamps::default();
        for (offset, ms, epoch) in [(0, 0, 1), (10, 4, 1), (20, 5, 1), (30, 6, 2)] {
            assert_eq!(stamps.push(stamp(base, offset, ms, epoch)), None);
        }
        assert_eq!(stamps.find(19), Some((stamp(base, 0, 0, 1), 20)));
        assert_eq!(stamps.find(20), Some((stamp(base, 20, 5, 1), 30)));
        assert_eq!(stamps.find(99), Some((stamp(base, 30, 6, 2), u64::MAX)));
        stamps.drop_before(25);
        assert_eq!((stamps.notes.len(), stamps.find(5)), (2, None));
    }

    #[test]
    fn times_of_old_bytes_are_rounded_and_never_their_connection() {
        let base = Instant::now();
        let mut stamps = Stamps::default();
        for number in 0..10_000 {
            stamps.push(stamp(base, number, number * 10, number / 1000));
            assert!(stamps.notes.len() <= LEN_MAX && stamps.notes.capacity() <= LEN_MAX);
        }
        for number in 0..10_000 {
            let (found, until) = stamps.find(number).expect("each has one");
            assert_eq!(found.epoch, number / 1000);
            assert!(found.offset <= number && number < until);
        }
        assert_eq!(stamps.find(9_990), Some((stamp(base, 9_990, 99_900, 9), 9_991)));
    }

    #[test]
    fn more_connections_than_notes_say_what_cannot_be_kept() {
        let base = Instant::now();
        let mut stamps = Stamps::default();
        for number in 0..LEN_MAX as u64 {
            assert_eq!(stamps.push(stamp(base, number * 3, number, number)), None);
        }
        let next = LEN_MAX as u64;
        assert_eq!(stamps.push(stamp(base, next * 3, next, next)), Some(3));
        assert_eq!(stamps.find(3), Some((stamp(base, 3, 1, 1), 6)));
    }
}
