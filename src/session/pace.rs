//! How long a login waits for each answer.

use std::time::{Duration, Instant};

use super::Timing;
use crate::crypto::Generator;

/// A wait is up to this many 1024ths longer than planned, the same for all of one login:
/// thousands of logins that began together must not repeat together.
const SPREAD: u64 = 128;

/// The wait for an answer: at first as configured, longer after each silence, and never so short
/// that an answer as slow as the last one would come too late.
#[derive(Debug)]
pub(super) struct Pace {
    first: Duration,
    max: Duration,
    wait: Duration,
    spread: u32,
    asked: Instant,
    /// What was asked last was asked before: its answer says nothing of the way's length.
    repeated: bool,
}

impl Pace {
    pub fn new(timing: &Timing, generator: &mut Generator, now: Instant) -> Self {
        Pace {
            first: timing.handshake_first,
            max: timing.handshake_max.max(timing.handshake_first),
            wait: timing.handshake_first,
            spread: generator.below(SPREAD + 1) as u32,
            asked: now,
            repeated: false,
        }
    }

    /// Something is asked; gives when to stop waiting for the answer.
    pub fn ask(&mut self, now: Instant) -> Instant {
        self.asked = now;
        self.repeated = false;
        now + self.spread(self.wait)
    }

    /// The same for something that is asked in the same words as before.
    pub fn ask_again(&mut self, now: Instant) -> Instant {
        let until = self.ask(now);
        self.repeated = true;
        until
    }

    /// The answer came. One to what was asked once tells how long the way is; after any other,
    /// the wait that was long enough stays (Karn's rule).
    pub fn answered(&mut self, now: Instant) {
        if !self.repeated {
            let taken = now.saturating_duration_since(self.asked);
            self.wait = self.first.max(taken * 2).min(self.max);
        }
    }

    /// No answer came.
    pub fn grow(&mut self) {
        self.wait = (self.wait * 3 / 2).min(self.max);
    }

    /// Something else is tried from the beginning.
    pub fn start_over(&mut self) {
        self.wait = self.first;
        self.repeated = false;
    }

    /// A time with this login's spread.
    pub fn spread(&self, time: Duration) -> Duration {
        time + time * self.spread / 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(seed: u8) -> (Pace, Instant) {
        let now = Instant::now();
        (Pace::new(&Timing::default(), &mut Generator::from_seed([seed; 32]), now), now)
    }

    #[test]
    fn waits_of_different_logins_differ_and_stay_near_their_plan() {
        let waits: Vec<Duration> = (0..50)
            .map(|seed| {
                let (mut pace, now) = pace(seed);
                pace.ask(now) - now
            })
            .collect();
        let different: std::collections::BTreeSet<_> = waits.iter().collect();
        assert!(different.len() > 30, "{different:?}");
        let (least, most) = (Duration::from_millis(1000), Duration::from_millis(1125));
        assert!(waits.iter().all(|wait| (least..=most).contains(wait)), "{waits:?}");
    }

    #[test]
    fn a_long_way_is_given_time_and_a_lost_packet_is_no_long_way() {
        let (mut pace, now) = pace(1);
        let plan = |pace: &Pace, wait: Duration| pace.spread(wait);
        pace.ask(now);
        pace.answered(now + Duration::from_millis(900));
        assert_eq!(pace.ask(now) - now, plan(&pace, Duration::from_millis(1800)));
        pace.answered(now + Duration::from_millis(20));
        assert_eq!(pace.ask(now) - now, plan(&pace, Duration::from_secs(1)));
        // Asked twice: it may be the first one's answer, late, so the longer wait stays.
        pace.grow();
        pace.ask_again(now);
        pace.answered(now + Duration::from_millis(20));
        assert_eq!(pace.ask(now) - now, plan(&pace, Duration::from_millis(1500)));
        pace.answered(now + Duration::from_secs(60));
        assert_eq!(pace.ask(now) - now, plan(&pace, Duration::from_secs(5)));
    }
}
