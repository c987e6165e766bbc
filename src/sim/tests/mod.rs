//! The managed system driven by a small remote console, in virtual time.

mod console;
mod go_ipmi;
mod hostile;
mod ipmi_sim;
mod login;
mod openbmc;
mod pyghmi;
mod quirks;
mod session;
mod sol;
mod v15;

use console::Console;
