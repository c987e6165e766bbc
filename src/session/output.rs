//! What a session gives out, counts and throws away.

use std::collections::VecDeque;
use std::time::Instant;

use super::failure::Failure;
use super::request::Reply;
use super::sol::SolEvent;
use crate::wire::PrivilegeLevel;
use crate::wire::cipher_suite::CipherSuiteId;

/// Why a datagram was thrown away. None of these changes anything but its counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum DropReason {
    /// It could not be read.
    Malformed,
    /// Not IPMI: a pong, an RMCP acknowledge.
    NotIpmi,
    /// Of another session, before or beside this one.
    ForeignSession,
    /// A v1.5 packet in a v2.0 session, or the other way round.
    WrongFormat,
    /// Without AuthCode in a session that demands one.
    NotAuthenticated,
    /// With a wrong AuthCode.
    WrongAuthCode,
    /// Its session sequence number was seen before or is too old.
    StaleSequence,
    /// In clear where the session demands encryption.
    WrongEncryption,
    /// The encrypted payload does not end as it must.
    BadPadding,
    /// A response that matches no request: late, or foreign.
    Unmatched,
    /// Well-formed, but nothing of its kind is waited for.
    Unexpected,
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = DropReason::Unexpected as usize + 1;
}

/// What a session counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams given to [`Session::handle_datagram`](super::Session::handle_datagram).
    pub received: u64,
    /// Datagrams given out.
    pub sent: u64,
    /// Datagrams thrown away, by [`DropReason`].
    pub dropped: [u32; DropReason::COUNT],
    /// Messages with a wrong checksum inside a right AuthCode.
    pub bad_checksums: u32,
    /// Requests sent again.
    pub request_retransmits: u32,
    /// SOL packets sent again.
    pub sol_retransmits: u32,
    /// SOL packets received again.
    pub sol_duplicates: u32,
}

impl Counters {
    /// Adds what another session counted.
    pub fn add(&mut self, other: &Counters) {
        self.received += other.received;
        self.sent += other.sent;
        for (sum, more) in self.dropped.iter_mut().zip(other.dropped) {
            *sum = sum.saturating_add(more);
        }
        self.bad_checksums = self.bad_checksums.saturating_add(other.bad_checksums);
        self.request_retransmits =
            self.request_retransmits.saturating_add(other.request_retransmits);
        self.sol_retransmits = self.sol_retransmits.saturating_add(other.sol_retransmits);
        self.sol_duplicates = self.sol_duplicates.saturating_add(other.sol_duplicates);
    }
}

/// What [`Session::poll_output`](super::Session::poll_output) gives.
#[derive(Debug)]
pub enum Output {
    /// `out` holds a datagram for the BMC.
    Transmit,
    /// `out` holds characters of the console.
    SolCharacters,
    /// Something happened.
    Event(Event),
    /// Nothing more to give. Call
    /// [`Session::handle_timeout`](super::Session::handle_timeout) at this time.
    Timeout(Option<Instant>),
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The login succeeded.
    Established {
        /// The suite, of a v2.0 session.
        cipher_suite: Option<CipherSuiteId>,
        /// The level the session works at.
        privilege_level: PrivilegeLevel,
    },
    /// A request ended.
    Reply {
        /// As given to [`Session::submit`](super::Session::submit).
        token: u64,
        /// The response, whatever its completion code, or why there is none.
        result: Result<Reply, Failure>,
    },
    /// Something happened on the console.
    Sol(SolEvent),
    /// The session is over. No event follows.
    Closed(Failure),
}

/// Datagrams to send, in order, with buffers that are used again.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

impl Outbox {
    /// One: nearly always there is one datagram at a time, and idle sessions are many.
    const SPARE_MAX: usize = 1;

    pub(super) fn push(&mut self) -> &mut Vec<u8> {
        let buffer = self.spare.pop().unwrap_or_default();
        self.queue.reserve_exact(1);
        self.queue.push_back(buffer);
        let last = self.queue.len() - 1;
        &mut self.queue[last]
    }

    pub(super) fn pop_into(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(mut datagram) = self.queue.pop_front() else { return false };
        out.extend_from_slice(&datagram);
        if self.spare.len() < Self::SPARE_MAX {
            datagram.clear();
            self.spare.reserve_exact(1);
            self.spare.push(datagram);
        }
        true
    }
}
