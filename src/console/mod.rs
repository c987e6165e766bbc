//! What a BMC printed, and what happened meanwhile: a value, no I/O.

mod log;
mod stamps;
mod terminal;

pub use self::log::{Cursor, Log, Next};
pub use self::terminal::replayable;
