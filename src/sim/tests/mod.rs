//! The managed system driven by a small remote console, in virtual time.

mod console;
mod login;
mod sol;

use console::Console;
