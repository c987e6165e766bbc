//! A BMC that needs no hardware.

pub mod net;
mod program;
mod udp;
