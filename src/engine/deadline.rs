//! Which session wakes next: a heap with lazy re-arm.
//!
//! A session's deadline moves with every packet, nearly always further away. So an entry stays
//! where it is and is looked at again when its time comes; a new one is pushed only when the
//! deadline came nearer. That keeps re-arming free of cost and the heap at about one entry per
//! session.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Deadlines of many things, each known by a key.
#[derive(Debug)]
pub(super) struct Deadlines<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
}

/// One thing's deadline, kept with the thing.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Armed {
    deadline: Option<Instant>,
    /// The earliest time at which the heap has an entry for it.
    queued: Option<Instant>,
}

impl<K: Ord + Copy> Deadlines<K> {
    pub fn new() -> Self {
        Deadlines { heap: BinaryHeap::new() }
    }

    /// Sets, moves or clears a deadline.
    pub fn arm(&mut self, key: K, armed: &mut Armed, deadline: Option<Instant>) {
        armed.deadline = deadline;
        let Some(deadline) = deadline else { return };
        if armed.queued.is_none_or(|queued| deadline < queued) {
            armed.queued = Some(deadline);
            self.heap.push(Reverse((deadline, key)));
        }
    }

    /// Gives the next key whose entry has come up, due or not: the caller checks it with
    /// [`fire`](Self::fire).
    pub fn pop(&mut self, now: Instant) -> Option<(Instant, K)> {
        match self.heap.peek() {
            Some(Reverse((at, _))) if *at <= now => self.heap.pop().map(|Reverse(entry)| entry),
            _ => None,
        }
    }

    /// Whether the thing is due; pushes it back when its deadline has moved.
    pub fn fire(&mut self, at: Instant, key: K, armed: &mut Armed, now: Instant) -> bool {
        if armed.queued != Some(at) {
            return false; // Overtaken by a nearer entry.
        }
        armed.queued = None;
        match armed.deadline {
            Some(deadline) if deadline <= now => {
                armed.deadline = None;
                true
            }
            later => {
                self.arm(key, armed, later);
                false
            }
        }
    }

    /// When to look again.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_moved_deadline_fires_once_at_its_last_time() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut deadlines = Deadlines::new();
        let mut armed = Armed::default();
        deadlines.arm(1, &mut armed, Some(at(10)));
        for later in 11..100 {
            deadlines.arm(1, &mut armed, Some(at(later)));
        }
        assert_eq!(deadlines.heap.len(), 1);
        let mut fired = Vec::new();
        for ms in 0..200 {
            while let Some((entry, key)) = deadlines.pop(at(ms)) {
                if deadlines.fire(entry, key, &mut armed, at(ms)) {
                    fired.push(ms);
                }
            }
        }
        assert_eq!(fired, [99]);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_nearer_deadline_overtakes() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut deadlines = Deadlines::new();
        let mut armed = Armed::default();
        deadlines.arm(1, &mut armed, Some(at(50)));
        deadlines.arm(1, &mut armed, Some(at(5)));
        let (entry, key) = deadlines.pop(at(5)).expect("an entry");
        assert!(deadlines.fire(entry, key, &mut armed, at(5)));
        let (entry, key) = deadlines.pop(at(50)).expect("the overtaken entry");
        assert!(!deadlines.fire(entry, key, &mut armed, at(50)));
    }
}
