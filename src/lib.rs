//! bmclink keeps BMCs logged in over IPMI 2.0 and runs their Serial-over-LAN consoles.

mod config;
mod console;
mod credentials;
pub mod crypto;
mod error;
pub mod session;
#[cfg(feature = "sim")]
pub mod sim;
mod sync;
pub mod wire;

pub use config::{BmcConfig, ConsoleConfig, EngineConfig};
pub use credentials::Credentials;
pub use error::{Error, ErrorKind, Result};
