//! When to try again, by what went wrong.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::error::ErrorKind;
use crate::shared::Shared;

/// How long to wait before a console is tried again. A time so long that no clock reaches it, like
/// [`Duration::MAX`], is for ever: it is not tried by itself then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryConfig {
    /// The limit of the first wait, doubled after each failure. 1 s. A wait is chosen by chance
    /// between nothing and its limit, so that many consoles do not come back in step.
    pub first: Duration,
    /// The longest limit. 120 s.
    pub max: Duration,
    /// After a refused user name, password, K_g or privilege level: this, and up to a quarter more
    /// by chance. 60 s: BMCs lock accounts.
    pub credentials: Duration,
    /// The same when the BMC has no session slot free, or SOL is disabled or refused. 30 s.
    pub refused: Duration,
    /// The same when SOL is in use by another session or was taken by one, doubled each time it
    /// happens again. 60 s.
    pub stolen: Duration,
    /// A connection that lived so long is forgiven what went before: it is tried again at once.
    /// 60 s.
    pub stable: Duration,
}

/// One for all.
impl Default for Shared<RetryConfig> {
    fn default() -> Self {
        static DEFAULT: LazyLock<Shared<RetryConfig>> =
            LazyLock::new(|| RetryConfig::default().into());
        DEFAULT.clone()
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        RetryConfig {
            first: Duration::from_secs(1),
            max: Duration::from_secs(120),
            credentials: Duration::from_secs(60),
            refused: Duration::from_secs(30),
            stolen: Duration::from_secs(60),
            stable: Duration::from_secs(60),
        }
    }
}

/// The longest a doubled wait for a stolen console gets, in multiples of the first.
const STOLEN_MAX: u32 = 16;

/// Counts failures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retry {
    failures: u32,
    stolen: u32,
}

impl Retry {
    /// The console failed, after it had lived for `lived` if it was connected: when to try again,
    /// if ever. `chance` is a random number.
    pub fn failed(
        &mut self,
        now: Instant,
        why: ErrorKind,
        lived: Option<Duration>,
        config: &RetryConfig,
        chance: u32,
    ) -> Option<Instant> {
        if lived.is_some_and(|lived| lived >= config.stable) {
            self.failures = 0;
        }
        // Whoever wants it too waits as long as we do: that it lived until then says nothing.
        if lived.is_some_and(|lived| lived >= config.stolen.saturating_mul(2 * STOLEN_MAX)) {
            self.stolen = 0;
        }
        let wait = match why {
            ErrorKind::UserName | ErrorKind::Password | ErrorKind::KG | ErrorKind::Privilege => {
                about(config.credentials, chance)
            }
            ErrorKind::SolInUse | ErrorKind::Stolen => {
                self.stolen = self.stolen.saturating_add(1);
                let times = 1 << (self.stolen - 1).min(STOLEN_MAX.ilog2());
                about(config.stolen.saturating_mul(times), chance)
            }
            ErrorKind::NoFreeSession
            | ErrorKind::SolDisabled
            | ErrorKind::SolRefused
            | ErrorKind::Incompatible
            | ErrorKind::CipherSuite
            | ErrorKind::Misuse => about(config.refused, chance),
            // It was up for long, and is gone: most likely it restarted.
            _ if lived.is_some() && self.failures == 0 => {
                self.failures = 1;
                Duration::ZERO
            }
            _ => {
                let limit = config.first.saturating_mul(1 << self.failures.min(20));
                self.failures = self.failures.saturating_add(1);
                below(limit.min(config.max), chance)
            }
        };
        now.checked_add(wait)
    }
}

/// Between nothing and `limit`, by chance.
fn below(limit: Duration, chance: u32) -> Duration {
    let share = f64::from(chance) / f64::from(u32::MAX);
    // The longest one gets longer by being rounded.
    Duration::try_from_secs_f64(limit.as_secs_f64() * share).unwrap_or(Duration::MAX)
}

/// Up to a quarter more than `wait`.
fn about(wait: Duration, chance: u32) -> Duration {
    wait.saturating_add(below(wait / 4, chance))
}

/// A number that is well mixed from one that counts, for waiting times; nothing secret (the
/// finalizer of splitmix64).
pub(crate) fn chance(number: u64) -> u32 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed >> 32) as u32
}
