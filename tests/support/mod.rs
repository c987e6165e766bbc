//! The lab: BMCs, clients and a bad network that nobody of this project wrote, as values that
//! clean up after themselves. Use with `mod support;`.
//!
//! Everything listens on addresses of its own in 127.0.0.0/8, so tests run side by side. A program
//! that is missing fails the test: a lab that skips in silence proves nothing.

// Each test file is a crate of its own and uses its part of this.
#![allow(dead_code, unused_imports)]

mod address;
mod c_library;
mod c_program;
mod example;
mod ipmi_sim;
mod library;
mod process;
mod pyghmi;
mod relay;
mod rng;
mod scratch;
mod serial;

pub use address::{BMC_PORT, answers_ipmi, loopback_address};
pub use c_library::{CLibrary, NATIVE_LIBRARIES, c_library, package};
pub use c_program::{Link, PATIENCE, compile, filter, valgrind};
pub use example::example;
pub use ipmi_sim::{ADMIN, Account, DISABLED, IpmiSim, LONG, OPERATOR, SimOptions, USER};
pub use library::{engine, read_exactly, until};
pub use process::{Finished, Program, find, have, require};
pub use pyghmi::{PyghmiBmc, PyghmiOptions};
pub use relay::{Faults, Relay, RelayCounts};
pub use rng::SplitMix64;
pub use scratch::Scratch;
pub use serial::{SerialMode, SerialPeer};

use std::time::{Duration, Instant};

/// Asks `ready` every few milliseconds until it says yes; false when `timeout` is over.
pub fn wait_until(timeout: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        if ready() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
