//! A BMC that needs no hardware.

pub mod net;
