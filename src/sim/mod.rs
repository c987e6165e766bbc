//! A BMC that needs no hardware: the managed system, and ways to reach it.
//!
//! A [`ManagedSystem`] is a BMC as a value: bytes and time in, bytes out. Tests of protocol code
//! join it to their own end by a [`net::Network`], under virtual time. A [`Simulator`] puts one,
//! or thousands, on the loopback device for whatever speaks IPMI over UDP.
//!
//! Behind the session are a chassis with boot options, sensors that move with time and power, SDR
//! records of every kind, an event log that fills by itself, FRU inventories, users, LAN
//! parameters, DCMI, and a satellite controller at 2Ch that Send Message reaches, with another at
//! 72h on its channel 7. Every [`Misbehaviour`] is off until it is turned on.

pub mod bmc;
mod boot;
mod channel;
mod chassis;
mod command;
pub mod counters;
mod dcmi;
mod devices;
mod fru;
mod lan;
mod login;
mod login15;
mod misbehaviour;
pub mod net;
pub mod options;
pub mod profile;
mod program;
mod rack;
mod satellite;
mod sdr;
mod sel;
mod sensor;
pub mod serial;
mod session;
pub mod simulator;
mod sol;
mod sol_openbmc;
mod udp;

#[cfg(test)]
mod tests;

pub use bmc::ManagedSystem;
pub use counters::Counters;
pub use misbehaviour::{Misbehaviour, SolSizes};
pub use options::{BmcOptions, User};
pub use profile::{Profile, UnknownProfile};
pub use serial::{Boot, Echo, Flood, SerialEvent, SerialModel, Shell};
pub use simulator::{
    SIMULATED_BMC_MAX, Serial, Simulator, SimulatorCounters, SimulatorOptions, UnknownSerial,
};

/// The ID [`ManagedSystem::sol_owner`] gives.
pub use crate::wire::SessionId;
