//! A BMC that needs no hardware.

pub mod bmc;
mod chassis;
mod command;
pub mod counters;
mod login;
mod login15;
pub mod net;
pub mod options;
pub mod profile;
pub mod serial;
mod session;
mod sol;
mod sol_openbmc;

#[cfg(test)]
mod tests;

pub use bmc::ManagedSystem;
pub use counters::Counters;
pub use options::{BmcOptions, Misbehaviour, SolSizes, User};
pub use profile::{Profile, UnknownProfile};
pub use serial::{Boot, Echo, Flood, SerialEvent, SerialModel, Shell};

/// The ID [`ManagedSystem::sol_owner`] gives.
pub use crate::wire::SessionId;
