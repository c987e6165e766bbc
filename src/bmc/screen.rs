//! What a console's terminal shows now, from what it printed.

use std::num::NonZeroU16;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Console, Reader};
use crate::error::{Error, Result};

/// The most columns and rows of a screen.
const SIZE_MAX: u16 = 1000;

impl Console {
    /// What a terminal of this size shows now, as text and escape sequences for one that was just
    /// reset, with its modes and the place of the cursor; and a reader that goes on exactly behind
    /// it. Columns and rows are 1 to 1000.
    ///
    /// The screen is made from what is kept of the past
    /// ([`ConsoleConfig::replay_len`](crate::ConsoleConfig::replay_len)): what a program has drawn
    /// before that, and not again since, is missing. Costs nothing until it is asked for; then it
    /// reads all that is kept. Fails with `Misuse` for a size out of range.
    pub fn reader_for_screen(&self, columns: u16, rows: u16) -> Result<(Vec<u8>, Reader)> {
        let checked = |what, size| {
            let in_range = NonZeroU16::new(size).filter(|size| size.get() <= SIZE_MAX);
            let text = || format!("{what} are {size}, not 1 to {SIZE_MAX}");
            in_range.ok_or_else(|| Error::misuse(text()))
        };
        let (columns, rows) = (checked("columns", columns)?, checked("rows", rows)?);
        let (past, reader) = self.reader_for_terminal();
        // What a host prints must not end anything here, whatever the parser makes of it.
        let screen = catch_unwind(AssertUnwindSafe(|| {
            let mut parser = vt100::Parser::new(rows, columns, 0);
            parser.process(&past);
            parser.screen().state_formatted().into_bytes()
        }));
        Ok((screen.unwrap_or(past), reader))
    }
}
