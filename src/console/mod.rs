//! What a BMC printed: a value, no I/O.

mod log;

pub use self::log::{Cursor, Log};
