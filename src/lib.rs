//! bmclink keeps BMCs logged in over IPMI 2.0 and runs their Serial-over-LAN consoles.
//!
//! It is a synchronous, threaded library: calls block, with a timeout, and may be made from any
//! thread. Behind them a few threads drive every session; a console costs no thread, no file
//! descriptor and no process of its own. From C, use `include/bmclink.h`.
//!
//! # Chapter one: a console
//!
//! An [`Engine`] owns the threads. A [`Bmc`] is one managed BMC: where it is and who logs in. A
//! [`Console`] is its serial console; [`Reader`]s are attached to it. Nothing is sent before
//! something is asked for; the first call that needs a session logs in, and commands and console
//! share that one session.
//!
//! This example needs no hardware: it talks to the simulated BMC of feature `sim`, whose serial
//! port sends back what it receives. For a real one, leave the simulator out and name the BMC.
//!
//! ```
//! use std::time::Duration;
//!
//! use bmclink::sim::{Serial, Simulator, SimulatorOptions};
//! use bmclink::{BmcConfig, ConsoleConfig, Credentials, Engine, EngineConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = SimulatorOptions { port: 0, serial: Serial::Echo, ..Default::default() };
//! let simulator = Simulator::start(options)?;
//! let address = simulator.address(0);
//!
//! let timeout = Duration::from_secs(10);
//! let engine = Engine::new(EngineConfig::default())?;
//! let credentials = Credentials::new("admin", "password")?;
//! let host = address.ip().to_string();
//! let bmc = engine.bmc(BmcConfig::new(host, credentials).port(address.port()))?;
//!
//! let console = bmc.console(ConsoleConfig::default())?;
//! let mut reader = console.reader();
//! console.connect(timeout)?;
//! console.write_all(b"hello", timeout)?;
//!
//! let mut echo = Vec::new();
//! let mut buffer = [0; 64];
//! while echo.len() < 5 {
//!     let len = reader.read(&mut buffer, timeout)?;
//!     echo.extend_from_slice(&buffer[..len]);
//! }
//! assert_eq!(echo, b"hello");
//!
//! // A command, through the same session: Get Device ID.
//! let reply = bmc.raw(0x06, 0, 0x01, &[], timeout)?;
//! assert_eq!(reply.completion_code.0, 0);
//! # Ok(())
//! # }
//! ```
//!
//! # What connecting means
//!
//! [`Console::connect`] returns when SOL is active, or with one error that names the cause. There
//! is no "connected" that turns out not to be, and no generic failure: [`ErrorKind`] tells a
//! wrong password from a wrong K_g, an unknown user, a refused privilege level, a full session
//! table, disabled SOL, SOL in use and a BMC that is not there; [`Error::stage`],
//! [`Error::status`] and [`Error::completion_code`] say where and how the BMC put it;
//! [`Error::advice`] says what to try.
//!
//! Bad credentials are final for the call that met them, and nothing is retried behind your
//! back: BMCs lock accounts. A lost connection is reported by every reader and writer until
//! [`Console::connect`] is called again; unless the console is one that is kept.
//!
//! # What keeping means
//!
//! [`ConsoleConfig::always_on`] keeps a console connected from the moment it is opened,
//! [`ConsoleConfig::on_demand`] while a [`Reader`] is attached. A failure or loss is then followed
//! by another try: when, depends on the cause and is set by [`RetryConfig`]; at once when somebody
//! attaches, and after [`Bmc::reconfigure`], [`Console::reconfigure`] and
//! [`Credentials::update`]. Readers wait meanwhile; [`Console::why`] says how things stand.
//!
//! A BMC has one session, whoever uses it: two [`Bmc`]s with equal settings are the same one, and
//! its commands and console share it. Another address or password ends that session with
//! [`ErrorKind::Reconfigured`] for what was in flight and begins the next one; nothing of the old
//! one reaches anybody any more.
//!
//! # What reading and writing mean
//!
//! Bytes go through unchanged, in order, once, whatever the network loses, doubles or reorders,
//! as long as the session lives. Where the BMC itself drops bytes, or a connection ends with
//! input unacknowledged, that is counted: see [`ConsoleStats`].
//!
//! [`Reader::next`] gives what happened at the console, each event at its place among the bytes:
//! connections and their ends, gaps, breaks, overruns, lost input.
//! [`ConsoleConfig::log`] has all of it written to a file, with the time before each line.
//!
//! Every reader sees all bytes. A reader that stays away loses its own oldest ones, is told how
//! many ([`Reader::lost`]), and disturbs nobody. A writer is taken from only as much as there is
//! room for; [`Console::drain`] says when the BMC has all of it.
//!
//! # Commands
//!
//! Management commands are methods of [`Bmc`]: [`chassis_status`](Bmc::chassis_status),
//! [`power`](Bmc::power), [`sensors`](Bmc::sensors), [`health`](Bmc::health) and many more; what
//! they give is in [`command`]. [`Bmc::raw`] sends any command, [`Bmc::command`] one that is typed
//! with [`ipmi_rs_core`]. Each logs in when no session is up, has one timeout for all it does, and
//! can be ended by [`Bmc::cancel`].
//!
//! A request is sent again when no answer comes; not when it acts and may have been heard: a power
//! cycle without an answer is [`ErrorKind::OutcomeUnknown`]. A BMC that says it is busy is asked
//! again. Any other completion code is [`ErrorKind::Completion`], with the code's own text, or
//! [`ErrorKind::Privilege`]; a response that cannot be read is [`ErrorKind::PeerMisbehaved`] and
//! never a panic.
//!
//! What takes several requests is a [`Dialog`]: an `async` function that waits for nothing but its
//! BMC, and needs no runtime. [`Bmc::run`] has it and blocks; a [`Fleet`] has the same one with
//! thousands of BMCs at once, on one thread, and gives each one's result as it comes.
//!
//! # Waiting for many consoles
//!
//! A thread that blocks in [`Reader::read`] waits for one console. For many, and without a thread
//! for each: an [`EventQueue`] says which of any number of them have something, and has one file
//! descriptor for `poll`, `epoll` and event loops; [`Reader::fd`] is a descriptor for one; and
//! [`Console::on_event`] calls back, in order per console, on threads of the engine's own.
//!
//! # Consoles that are not SOL
//!
//! [`Engine::exec_console`] makes the terminal of a command a console: `ssh`, `telnet`, a vendor's
//! tool. [`Engine::console`] makes one of whatever a [`Backend`] of yours carries; its duties are
//! its own transport only. States, readers, replay, retries, events and reconfiguration are the
//! same as for SOL. [`Credentials`] that a command holds are passed by its environment or a pipe,
//! and [`Credentials::update`] starts it anew.
//!
//! # Security
//!
//! The default cipher suites are 17 and 3: both authenticate, both encrypt. Suites that do less
//! are used only when listed, as are IPMI v1.5, the null user, and SOL in clear. What a BMC
//! answers is compared with what it was asked. IPMI 2.0 itself lets anybody who knows a user
//! name obtain a salted hash of its password and try guesses on it: use long random passwords
//! and a network of its own. Secrets are zeroed when dropped and never logged.
//!
//! # Threads, processes, signals
//!
//! The library starts [`EngineConfig::shards`] threads per engine, resolver threads when a name
//! has to be looked up, threads that run callbacks with the first of these, and with the first
//! console that is not SOL one thread that waits and those that run backends. It sets no signal
//! handler and no limit, prints nothing, never exits, and needs panics that unwind: a panic inside
//! one session ends that session with [`ErrorKind::Internal`] and nothing else. An engine does not
//! survive `fork`: make it in the child.
//!
//! # Thousands at once
//!
//! Calls block, but nobody needs a thread per console: [`Console::begin_connect`] does not wait,
//! and one [`EventQueue`] with one file descriptor tells which consoles have something.
//!
//! Logins begin at [`EngineConfig::login_rate`], at most [`EngineConfig::logins_at_once`] of them
//! under way, in the order they were asked for; dead BMCs keep nobody waiting longer than three
//! seconds. Each BMC has its share of a turn of the loop; what a flooding one sends beyond it is
//! thrown away unread. When there is more to do than time, acknowledges go first, then keepalives
//! and retransmissions, then what users send, then new logins.
//!
//! [`Engine::stats`], [`Bmc::stats`] and [`Console::stats`] say what was counted: a console that
//! is "connected but mute" is explained by them. The library logs through the `log` crate, every
//! line with the BMC's name, under these targets: `bmclink::session` (logins and their ends),
//! `bmclink::sol` (consoles), `bmclink::net` (datagrams thrown away, ICMP errors),
//! `bmclink::dns`, `bmclink::backend` (consoles that are not SOL), `bmclink::engine` (the engine
//! itself; its errors are bugs or a system out of resources).
//!
//! # Below the engine
//!
//! [`wire`], [`crypto`] and [`session`] are the protocol without I/O: bytes and values, keys, and
//! one BMC's session as a state machine that is handed the time. They are public for tests,
//! fuzzers and the curious; they may change in any release.

#![warn(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]

mod bmc;
mod bytes;
pub mod command;
mod config;
mod console;
mod credentials;
pub mod crypto;
mod engine;
mod error;
#[cfg(feature = "capi")]
mod ffi;
mod fleet;
pub mod session;
mod shared;
#[cfg(feature = "sim")]
pub mod sim;
pub mod supervisor;
mod sync;
pub mod wire;

pub use bmc::{
    Bmc, Connection, Console, EventQueue, FOREVER, RawReply, Reader, Source, Subscription,
};
pub use command::{CommandError, Dialog};
pub use config::{BmcConfig, ConsoleConfig, EngineConfig, LogConfig};
pub use credentials::Credentials;
pub use engine::{
    Backend, BmcStats, BmcStatus, ConsoleEvent, ConsoleState, ConsoleStats, Engine, EngineStats,
    EventKind, Events, ExecConfig, LogStatus, Ready, ShardStats, Signature, Sink, Why,
};
pub use error::{Error, ErrorKind, Result};
pub use fleet::{Fleet, FleetCalls, FleetRun, Row};
/// The vocabulary of typed commands.
pub use ipmi_rs_core;
pub use session::{
    Cause, CipherSuiteId, Counters, Quirk, Quirks, Stage, TakeOver, Timing, UserLookup, Version,
};
pub use shared::Shared;
/// How a console is kept connected.
pub use supervisor::{Keep, RetryConfig};
pub use wire::PrivilegeLevel;
pub use wire::ipmi15::AuthType;
pub use wire::message::CompletionCode;
pub use wire::open_session::StatusCode;

/// The example of the README, as a test.
#[cfg(all(doctest, feature = "sim"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The example of a guide, as a test.
#[cfg(all(doctest, feature = "sim"))]
#[doc = include_str!("../docs/from-ipmitool.md")]
struct FromIpmitool;
