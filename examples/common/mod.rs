//! What examples for many BMCs share: which BMCs, and how to log in to them.

pub mod login;
pub mod names;
