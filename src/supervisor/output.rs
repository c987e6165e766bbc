//! What a supervisor gives out.

use std::net::SocketAddr;
use std::time::Instant;

use crate::error::Error;
use crate::session::{CipherSuiteId, Reply, SolEvent};
use crate::wire::PrivilegeLevel;

/// What [`Supervisor::poll_output`](super::Supervisor::poll_output) gives.
#[derive(Debug)]
pub enum Output {
    /// `out` holds a datagram for this address.
    Transmit(SocketAddr),
    /// `out` holds characters of the console.
    SolCharacters,
    /// Something happened, or is wanted.
    Event(Event),
    /// Nothing more to give. Call
    /// [`Supervisor::handle_timeout`](super::Supervisor::handle_timeout) at this time.
    Timeout(Option<Instant>),
}

/// Something that happened, or is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Look up the target's addresses, for
    /// [`Supervisor::handle_addresses`](super::Supervisor::handle_addresses).
    Resolve {
        /// Which look-up it is.
        lookup: u64,
    },
    /// A login waits for its turn: call [`Supervisor::next_peer`](super::Supervisor::next_peer) and
    /// [`Supervisor::begin_login`](super::Supervisor::begin_login).
    WantsTurn,
    /// A login that had its turn has succeeded or failed.
    LoginOver,
    /// No packets come from or go to this address any more.
    Released(SocketAddr),
    /// A session is up.
    Established {
        /// The suite, of a v2.0 session.
        cipher_suite: Option<CipherSuiteId>,
        /// The level the session works at.
        privilege_level: PrivilegeLevel,
        /// The BMC's address.
        peer: SocketAddr,
    },
    /// A login failed, or a session is over.
    Ended {
        /// Why.
        error: Error,
        /// It was a session, not only a login.
        was_up: bool,
        /// It was closed from here.
        asked_for: bool,
    },
    /// What was asked for with this token is there, or why not.
    Done {
        /// As given.
        token: u64,
        /// Why not.
        result: Result<(), Error>,
    },
    /// A request ended.
    Reply {
        /// As given.
        token: u64,
        /// The response, whatever its completion code, or why there is none.
        result: Result<Reply, Error>,
    },
    /// Something happened to a console.
    Console {
        /// Which one.
        id: u64,
        /// What.
        change: ConsoleChange,
    },
    /// It was released, and all its sessions are closed. No event follows.
    Gone,
}

/// Something that happened to a console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleChange {
    /// It is being connected.
    Connecting,
    /// SOL is active.
    Connected {
        /// Characters per packet to the BMC.
        characters_max: usize,
        /// The port the BMC named for SOL, when it is not the session's.
        other_port: Option<u16>,
    },
    /// It is not connected, after it was or was tried to be.
    Unconnected {
        /// Why.
        reason: Error,
        /// When it is tried again.
        next_try: Option<Instant>,
    },
    /// Something on its line.
    Sol(SolEvent),
    /// It is closed. No change follows.
    Closed,
}
