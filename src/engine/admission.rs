//! Which logins may begin now: a rate and a number at once, for the whole engine.
//!
//! Each shard keeps its own line of BMCs that want to log in; here is what the lines share. A
//! login counts as running until it succeeds or fails, and at most for [`BEGINNING`]: then it
//! waits for a BMC that does not answer, and must not keep others from one that does.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::slots::BmcKey;
use crate::sync::{AtomicU64, AtomicUsize};

/// How long a login counts as running, unless it ends before.
const BEGINNING: Duration = Duration::from_secs(3);

/// Logins that may begin at one moment, as a share of a second's worth: a rate of 2,000 a second
/// means at most 100 in any 50 ms.
const BURST_DIVISOR: u64 = 20;

/// Whether a login may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may, and counts as running from now on.
    Begin,
    /// Not before this time.
    At(Instant),
    /// Not before another one ends: the shard will be woken.
    WhenWoken,
}

/// What the shards share.
pub(super) struct Admission {
    start: Instant,
    /// Nanoseconds between two logins; 0 for no limit.
    interval: u64,
    /// How far the logins may run ahead of their rate, in nanoseconds.
    burst: u64,
    /// When the next login is due, in nanoseconds since `start`, if they come at their rate.
    due: AtomicU64,
    at_once: usize,
    /// What each shard may have while others wait.
    share: usize,
    running: AtomicUsize,
    /// A bit for each shard that waits to be woken.
    waiting: AtomicU64,
    wake: Box<dyn Fn(usize) + Send + Sync>,
}

impl Admission {
    /// At most `rate` logins a second (0: any) and `at_once` at once, for up to 64 shards.
    /// `wake` wakes a shard.
    pub fn new(
        rate: u32,
        at_once: usize,
        shards: usize,
        start: Instant,
        wake: Box<dyn Fn(usize) + Send + Sync>,
    ) -> Self {
        let interval = if rate == 0 { 0 } else { 1_000_000_000 / u64::from(rate) };
        Admission {
            start,
            interval,
            burst: (u64::from(rate) / BURST_DIVISOR).saturating_sub(1) * interval,
            due: AtomicU64::new(0),
            at_once,
            share: at_once.div_ceil(shards.max(1)),
            running: AtomicUsize::new(0),
            waiting: AtomicU64::new(0),
            wake,
        }
    }

    /// Asks for one login on a shard on which `mine` are running.
    fn enter(&self, shard: usize, mine: usize, now: Instant) -> Verdict {
        if !self.take_place(shard, mine) {
            // Say so first, then look again: a place that was freed in between is seen now, one
            // that is freed later wakes us.
            self.waiting.fetch_or(1 << shard, Ordering::SeqCst);
            if !self.take_place(shard, mine) {
                return Verdict::WhenWoken;
            }
        }
        self.waiting.fetch_and(!(1 << shard), Ordering::SeqCst);
        match self.take_turn(now) {
            None => Verdict::Begin,
            Some(at) => {
                self.leave(1);
                Verdict::At(at)
            }
        }
    }

    /// Takes one of the places, unless others wait and this shard has its share.
    fn take_place(&self, shard: usize, mine: usize) -> bool {
        let others_wait = self.waiting.load(Ordering::SeqCst) & !(1 << shard) != 0;
        if others_wait && mine >= self.share {
            return false;
        }
        let more = |running| (running < self.at_once).then_some(running + 1);
        self.running.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    /// Takes a turn in the rate; or says when there is one.
    fn take_turn(&self, now: Instant) -> Option<Instant> {
        let now = u64::try_from(now.saturating_duration_since(self.start).as_nanos());
        let now = now.unwrap_or(u64::MAX);
        let next = |due: u64| {
            let early = due.saturating_sub(now);
            (early <= self.burst).then(|| due.max(now) + self.interval)
        };
        match self.due.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next) {
            Ok(_) => None,
            Err(due) => Some(self.start + Duration::from_nanos(due - self.burst)),
        }
    }

    /// Gives places back, and wakes those who wait for one.
    fn leave(&self, places: usize) {
        self.running.fetch_sub(places, Ordering::SeqCst);
        let waiting = self.waiting.swap(0, Ordering::SeqCst);
        for shard in (0..64).filter(|shard| waiting & (1 << shard) != 0) {
            (self.wake)(shard);
        }
    }
}

/// The line of one shard: who waits to log in, and who is at it.
pub(super) struct Line {
    shard: usize,
    waiting: VecDeque<BmcKey>,
    /// Those that count as running, the oldest first; a login that ended is still in it.
    begun: VecDeque<(Instant, BmcKey)>,
    running: usize,
    /// When the rate allows the next one.
    next: Option<Instant>,
    /// The first one waits for another login to end.
    blocked: bool,
}

impl Line {
    pub fn new(shard: usize) -> Self {
        Line {
            shard,
            waiting: VecDeque::new(),
            begun: VecDeque::new(),
            running: 0,
            next: None,
            blocked: false,
        }
    }

    /// Puts a BMC at the end.
    pub fn push(&mut self, bmc: BmcKey) {
        self.waiting.push_back(bmc);
    }

    /// The first in the line.
    pub fn first(&self) -> Option<BmcKey> {
        self.waiting.front().copied()
    }

    /// The first one has gone away.
    pub fn skip(&mut self) {
        self.waiting.pop_front();
    }

    /// Whether the first one may begin; it has then left the line.
    pub fn begin(&mut self, admission: &Admission, now: Instant) -> bool {
        if self.next.is_some_and(|next| now < next) {
            return false;
        }
        let Some(bmc) = self.first() else { return false };
        let verdict = admission.enter(self.shard, self.running, now);
        self.next = if let Verdict::At(at) = verdict { Some(at) } else { None };
        self.blocked = verdict == Verdict::WhenWoken;
        if verdict != Verdict::Begin {
            return false;
        }
        self.waiting.pop_front();
        self.begun.push_back((now + BEGINNING, bmc));
        self.running += 1;
        true
    }

    /// A login that counted as running does not any more.
    pub fn end(&mut self, admission: &Admission) {
        self.running -= 1;
        if self.running == 0 {
            self.begun.clear();
        }
        admission.leave(1);
    }

    /// Takes the next login that has begun so long ago that it does not count any more, if it
    /// still did.
    pub fn expire(&mut self, now: Instant) -> Option<BmcKey> {
        let (at, bmc) = *self.begun.front()?;
        if at > now {
            return None;
        }
        self.begun.pop_front();
        Some(bmc)
    }

    /// Whether the first one was not asked about yet.
    pub fn is_due(&self) -> bool {
        !self.waiting.is_empty() && self.next.is_none() && !self.blocked
    }

    /// When to look again.
    pub fn next(&self) -> Option<Instant> {
        let expiry = self.begun.front().map(|(at, _)| *at);
        if self.waiting.is_empty() {
            // Nobody here waits; others may, for the places held here.
            return expiry;
        }
        self.next.into_iter().chain(expiry).min()
    }

    /// How many wait and how many run.
    pub fn len(&self) -> (usize, usize) {
        (self.waiting.len(), self.running)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use slotmap::SlotMap;

    use super::*;
    use crate::sync::Mutex;

    type Woken = Arc<Mutex<Vec<usize>>>;

    fn admission(rate: u32, at_once: usize, shards: usize) -> (Admission, Woken, Instant) {
        let woken = Woken::default();
        let (list, start) = (woken.clone(), Instant::now());
        let wake = Box::new(move |shard| list.lock().push(shard));
        (Admission::new(rate, at_once, shards, start, wake), woken, start)
    }

    #[test]
    fn a_rate_is_kept_over_any_second_and_its_burst_is_bounded() {
        for (rate, burst) in [(1, 1), (10, 1), (100, 5), (2000, 100), (1_000_000, 50_000)] {
            let (admission, _, start) = admission(rate, usize::MAX, 1);
            let (mut now, mut begun, mut first) = (start, 0u32, 0);
            while now < start + Duration::from_secs(3) {
                match admission.enter(0, 0, now) {
                    Verdict::Begin => {
                        begun += 1;
                        admission.leave(1);
                    }
                    Verdict::At(at) => {
                        first = if now == start { begun } else { first };
                        assert!(at > now);
                        now = at;
                    }
                    Verdict::WhenWoken => panic!("there is always room"),
                }
                assert!(begun <= 3 * rate + burst, "{begun} at {rate}/s");
            }
            assert_eq!(first, burst, "{rate}/s");
            assert!(begun >= 3 * rate, "{begun} at {rate}/s");
        }
    }

    #[test]
    fn no_rate_means_no_wait() {
        let (admission, _, start) = admission(0, usize::MAX, 1);
        assert!((0..100_000).all(|_| admission.enter(0, 0, start) == Verdict::Begin));
    }

    #[test]
    fn a_freed_place_wakes_those_who_wait_and_only_those() {
        let (admission, woken, now) = admission(0, 2, 3);
        assert_eq!(admission.enter(0, 0, now), Verdict::Begin);
        assert_eq!(admission.enter(0, 1, now), Verdict::Begin);
        assert_eq!(admission.enter(1, 0, now), Verdict::WhenWoken);
        assert!(woken.lock().is_empty());
        admission.leave(1);
        assert_eq!(*woken.lock(), [1]);
        assert_eq!(admission.enter(1, 0, now), Verdict::Begin);
        admission.leave(2);
        assert_eq!(*woken.lock(), [1]);
    }

    #[test]
    fn a_shard_with_its_share_lets_others_go_first() {
        let (admission, _, now) = admission(0, 4, 2);
        for mine in 0..4 {
            assert_eq!(admission.enter(0, mine, now), Verdict::Begin);
        }
        assert_eq!(admission.enter(1, 0, now), Verdict::WhenWoken);
        admission.waiting.fetch_or(0b10, Ordering::SeqCst);
        admission.running.fetch_sub(1, Ordering::SeqCst);
        assert_eq!(admission.enter(0, 3, now), Verdict::WhenWoken);
        assert_eq!(admission.enter(1, 0, now), Verdict::Begin);
    }

    #[test]
    fn a_login_that_takes_long_makes_room() {
        let (admission, _, start) = admission(0, 1, 1);
        let mut keys: SlotMap<BmcKey, ()> = SlotMap::with_key();
        let mut line = Line::new(0);
        let (a, b) = (keys.insert(()), keys.insert(()));
        line.push(a);
        line.push(b);
        assert!(line.begin(&admission, start));
        assert!(!line.begin(&admission, start));
        assert_eq!((line.len(), line.first()), ((1, 1), Some(b)));
        let expiry = line.next().expect("a time to look again");
        assert_eq!(line.expire(start), None);
        assert_eq!(line.expire(expiry), Some(a));
        line.end(&admission);
        assert!(line.begin(&admission, expiry));
        assert_eq!(line.len(), (0, 1));
    }
}
