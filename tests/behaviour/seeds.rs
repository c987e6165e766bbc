//! Many seeds, each of which can be run alone.

use std::fmt::Debug;

/// Says which seed it was when a test panics.
struct Named<T: Debug>(T, u64);

impl<T: Debug> Drop for Named<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "failed with {:?}, seed {1}: run again with BMCLINK_SEED={1}",
                self.0, self.1
            );
        }
    }
}

/// Runs `test` for `count` seeds, a tenth of that in a debug build, or only for the one in
/// the environment.
pub fn for_seeds<T: Debug + Copy>(what: T, count: u64, mut test: impl FnMut(u64)) {
    let one = std::env::var("BMCLINK_SEED").ok().and_then(|text| text.parse().ok());
    let count = if cfg!(debug_assertions) { count.div_ceil(10) } else { count };
    for seed in one.map_or(0..count, |seed: u64| seed..seed + 1) {
        let named = Named(what, seed);
        test(seed);
        drop(named);
    }
}
