//! bmclink keeps BMCs logged in over IPMI 2.0 and runs their Serial-over-LAN consoles.

pub mod crypto;
pub mod session;
#[cfg(feature = "sim")]
pub mod sim;
pub mod wire;
