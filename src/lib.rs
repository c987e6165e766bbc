//! bmclink keeps BMCs logged in over IPMI 2.0 and runs their Serial-over-LAN consoles.

mod bmc;
mod config;
mod console;
mod credentials;
pub mod crypto;
mod engine;
mod error;
#[cfg(feature = "capi")]
mod ffi;
pub mod session;
#[cfg(feature = "sim")]
pub mod sim;
mod sync;
pub mod wire;

pub use bmc::{Bmc, Console, FOREVER, RawReply, Reader};
pub use config::{BmcConfig, ConsoleConfig, EngineConfig};
pub use credentials::Credentials;
pub use engine::{BmcStatus, ConsoleState, ConsoleStats, Engine};
pub use error::{Error, ErrorKind, Result};
pub use session::{
    Cause, CipherSuiteId, Quirk, Quirks, Stage, TakeOver, Timing, UserLookup, Version,
};
pub use wire::PrivilegeLevel;
pub use wire::ipmi15::AuthType;
pub use wire::message::CompletionCode;
pub use wire::open_session::StatusCode;
