//! The C ABI: no decisions, one file per C noun.
//!
//! Types, constants and functions carry the names C gets. The comments of what is exported end
//! up in `include/bmclink.h`: they are written for readers of C.
#![allow(non_camel_case_types)]

mod backend;
mod bmc;
mod callback;
mod command;
mod console;
mod console_options;
mod credentials;
mod engine;
mod error;
mod event;
mod exec;
mod fleet;
mod guard;
mod handle;
mod library;
mod log;
mod perform;
mod queue;
mod reader;
mod result;
mod sim;
mod stats;
mod table;
