//! The locks the library uses, in one place, so that stepping to another set is one file.

pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
