//! What threads of the engine share and wait with, in one place.
//!
//! An ordinary build takes the real things. Built with `--cfg loom`, the same names are loom's
//! counterparts, so that `tests/model.sh` can try every order in which threads may take their
//! turns.

#[cfg(loom)]
mod model;

#[cfg(loom)]
pub(crate) use self::model::{
    AtomicBool, AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, Receiver, Sender, bounded, now,
};
#[cfg(not(loom))]
pub(crate) use self::real::{
    AtomicBool, AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, Receiver, Sender, bounded, now,
};

#[cfg(not(loom))]
mod real {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

    pub(crate) use crossbeam_channel::{Receiver, Sender, bounded};
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};

    /// The time at which a wait begins.
    pub(crate) fn now() -> std::time::Instant {
        std::time::Instant::now()
    }
}
