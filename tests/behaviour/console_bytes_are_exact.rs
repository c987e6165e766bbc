//! P15: over any mix of loss, duplication, reordering and delay, bytes arrive once and in order.

use bmclink::sim::Profile;

use crate::pair::{PROFILES, Setup, assert_same, pattern, secs};

#[test]
fn a_line_is_echoed_by_every_profile() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 1).start();
        pair.connect().unwrap_or_else(|failure| panic!("{profile:?}: {failure}"));
        pair.host_echoes = true;
        pair.typing.extend(b"hello\r");
        pair.run_until(secs(10), |pair| pair.received.len() >= 6);
        assert_eq!(pair.received, b"hello\r", "{profile:?}");
    }
}

fn both_ways(profile: Profile, seed: u64, loss: f64, len: usize) {
    let mut pair = Setup::new(profile, seed).bad_line(loss).start();
    pair.connect().unwrap_or_else(|failure| panic!("{profile:?} seed {seed}: {failure}"));
    let (typed, printed) = (pattern(len, seed), pattern(len, seed + 1));
    pair.typing.extend(&typed);
    pair.printing.extend(&printed);
    pair.run_until(secs(40_000), |pair| {
        pair.host_received.len() >= len
            && pair.received.len() >= len
            && pair.session.sol_pending() == 0
            || pair.session.is_closed()
    });
    assert_same(seed, &format!("{profile:?} typed"), &pair.host_received, &typed);
    assert_same(seed, &format!("{profile:?} printed"), &pair.received, &printed);
}

#[test]
fn bytes_are_exact_on_a_bad_line() {
    for profile in PROFILES {
        for seed in 0..20 {
            both_ways(profile, seed, 0.2, 4096);
        }
    }
}

#[test]
fn debug_one() {
    let Ok(spec) = std::env::var("ONE") else { return };
    let (profile, seed) = spec.split_once(':').expect("profile:seed");
    both_ways(profile.parse().unwrap(), seed.parse().unwrap(), 0.2, 4096);
}
