//! Characters from the managed system (§15.11): each once, in order, acknowledged at once.
//!
//! Nothing is ever refused: the reader's side has room for everything or drops its own oldest
//! bytes, and a NACK makes one common BMC stack repeat itself without pause.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::sol::SolEvent;
use crate::wire::sol::{Packet, SolSequence, status};

/// Packets this far behind the last one can be late repeats.
const LATE_MAX: u8 = 7;
/// So many jumps of the sequence within [`GAP_TIME`] need another activation.
const GAPS_MAX: usize = 16;
const GAP_TIME: Duration = Duration::from_secs(10);
/// Copies of an acknowledge, by how often its packet was repeated. When the third does not help
/// either our packets do not arrive, and some BMCs end a session of which 16 in a row are lost.
const ACK_COPIES: [u8; 3] = [1, 2, 3];
/// So many repeats seen of one packet: all acknowledges were lost, and the BMC gave up soon.
const GIVEN_UP_REPEATS: u8 = 4;

/// A packet that was taken: enough to tell its repeat from another one of the same number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Taken {
    len: usize,
    hash: u64,
}

impl Taken {
    fn of(characters: &[u8]) -> Self {
        // As FNV-1a, eight bytes at a time and mixed once more: quick, and nobody gains from a
        // collision with themselves.
        let (words, rest) = characters.as_chunks::<8>();
        let step = |hash: u64, word: u64| {
            let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed ^ (mixed >> 32)
        };
        let hash = words
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |hash, word| step(hash, u64::from_le_bytes(*word)));
        let hash = rest.iter().fold(hash, |hash, byte| step(hash, u64::from(*byte)));
        Taken { len: characters.len(), hash }
    }

    /// Whether `characters` are this packet again, maybe with more behind.
    fn is_start_of(&self, characters: &[u8]) -> bool {
        characters.get(..self.len).is_some_and(|start| Taken::of(start) == *self)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Acknowledge {
    sequence: SolSequence,
    count: u8,
    copies: u8,
}

/// The receiving half of one SOL activation.
#[derive(Debug)]
pub(super) struct Receiver {
    last: SolSequence,
    /// By sequence number; entry 0 is not used.
    taken: [Option<Taken>; 16],
    repeats: u8,
    /// Acknowledges of the last packet that were sent.
    acknowledged: u32,
    /// The BMC gave up on the last packet.
    given_up: bool,
    acknowledges: VecDeque<Acknowledge>,
    gaps: VecDeque<Instant>,
    resync_due: bool,
    unavailable: bool,
    /// Status bits of the last packet that were reported.
    reported: u8,
    /// What was taken and not yet handed on, and the events between.
    characters: Vec<u8>,
    handed_on: usize,
    marks: VecDeque<(usize, SolEvent)>,
    /// Packets whose characters had been taken before.
    pub duplicates: u32,
}

impl Receiver {
    pub fn new() -> Self {
        Receiver {
            last: SolSequence::NONE,
            taken: [None; 16],
            repeats: 0,
            acknowledged: 0,
            given_up: false,
            acknowledges: VecDeque::new(),
            gaps: VecDeque::new(),
            resync_due: false,
            unavailable: false,
            reported: 0,
            characters: Vec::new(),
            handed_on: 0,
            marks: VecDeque::new(),
            duplicates: 0,
        }
    }

    /// SOL was activated again. What was taken and not handed on is kept.
    pub fn activated(&mut self) {
        self.last = SolSequence::NONE;
        self.taken = [None; 16];
        self.repeats = 0;
        self.acknowledged = 0;
        self.given_up = false;
        self.acknowledges.clear();
        self.gaps.clear();
        self.resync_due = false;
        self.reported = 0;
    }

    /// Whether the sequence jumps so much that SOL should be activated again. Resets itself.
    pub fn take_resync(&mut self) -> bool {
        std::mem::take(&mut self.resync_due)
    }

    /// Puts an event behind the characters taken so far.
    pub fn mark(&mut self, event: SolEvent) {
        self.marks.push_back((self.characters.len(), event));
    }

    /// Takes a packet: its status bits, then its characters.
    pub fn on_packet(&mut self, now: Instant, packet: &Packet<'_>) {
        let status_byte = packet.operation_status;
        let unavailable = status_byte & status::CHARACTER_TRANSFER_UNAVAILABLE != 0;
        if unavailable != self.unavailable {
            self.unavailable = unavailable;
            self.mark(SolEvent::Unavailable(unavailable));
        }
        let sequence = packet.sequence;
        if sequence.is_none() {
            // Only an acknowledge. Characters in it would break the protocol: nobody could
            // acknowledge them.
            self.on_status_alone(status_byte);
            return;
        }
        let at = usize::from(sequence.number());
        let known = self.taken[at];
        let repeats = sequence == self.last && is_repeat(known, packet.characters);
        let new_from = if repeats {
            self.repeats = self.repeats.saturating_add(1);
            self.duplicates += 1;
            known.map_or(0, |known| known.len)
        } else if self.last.is_none() || sequence == self.last.next() {
            self.renumbered(packet)
        } else if is_late(sequence, self.last, known, packet.characters) {
            self.duplicates += 1;
            self.acknowledge(sequence, packet.characters.len(), 1);
            return;
        } else {
            self.on_gap(now);
            0
        };
        if !repeats {
            self.last = sequence;
            self.repeats = 0;
            self.acknowledged = 0;
            self.given_up = false;
            self.reported = 0;
        }
        let copies = ACK_COPIES.get(usize::from(self.repeats)).copied().unwrap_or(1);
        self.acknowledge(sequence, packet.characters.len(), copies);
        let news = status_byte & !self.reported;
        self.reported |= status_byte;
        if news & status::TRANSMIT_OVERRUN != 0 {
            self.mark(SolEvent::Overrun);
        }
        self.characters.extend(packet.characters.get(new_from..).unwrap_or_default());
        self.taken[at] = Some(longer(known.filter(|_| repeats), packet.characters));
        if news & status::BREAK_DETECTED != 0 {
            self.mark(SolEvent::BreakDetected);
        }
    }

    /// A payload without even a header came: what one BMC stack sends when something is
    /// acknowledged that it does not wait for. If that was the first acknowledge of the last
    /// packet, it came after the last repeat.
    pub fn on_headless(&mut self) {
        self.given_up |= self.acknowledged == 1;
    }

    /// That BMC stack sends the characters of a packet it gave up under the next number too.
    /// Others have thrown them away, and say so or go on with other ones.
    fn renumbered(&mut self, packet: &Packet<'_>) -> usize {
        let overrun = packet.operation_status & status::TRANSMIT_OVERRUN != 0;
        if overrun || !self.given_up && self.repeats < GIVEN_UP_REPEATS {
            return 0;
        }
        let before = self.taken[usize::from(self.last.number())];
        before.filter(|taken| taken.is_start_of(packet.characters)).map_or(0, |taken| taken.len)
    }

    fn on_status_alone(&mut self, status_byte: u8) {
        if status_byte & status::TRANSMIT_OVERRUN != 0 {
            self.mark(SolEvent::Overrun);
        }
        if status_byte & status::BREAK_DETECTED != 0 {
            self.mark(SolEvent::BreakDetected);
        }
    }

    fn on_gap(&mut self, now: Instant) {
        self.mark(SolEvent::Gap);
        self.gaps.push_back(now);
        while self.gaps.front().is_some_and(|first| now > *first + GAP_TIME) {
            self.gaps.pop_front();
        }
        if self.gaps.len() >= GAPS_MAX {
            self.gaps.clear();
            self.resync_due = true;
        }
    }

    fn acknowledge(&mut self, sequence: SolSequence, len: usize, copies: u8) {
        // One BMC stack sends 256 characters, which the count cannot say; it takes the low
        // byte for "all".
        let acknowledge = Acknowledge { sequence, count: len as u8, copies };
        self.acknowledges.push_back(acknowledge);
    }

    /// Writes the next acknowledge, if one is owed.
    pub fn poll_acknowledge(&mut self, payload: &mut Vec<u8>) -> bool {
        let Some(next) = self.acknowledges.front_mut() else { return false };
        self.acknowledged += u32::from(next.sequence == self.last);
        Packet {
            sequence: SolSequence::NONE,
            ack_sequence: next.sequence,
            accepted_character_count: next.count,
            operation_status: 0,
            characters: &[],
        }
        .encode(payload);
        next.copies -= 1;
        if next.copies == 0 {
            self.acknowledges.pop_front();
        }
        true
    }

    /// Hands on the next characters or event, in stream order.
    pub fn poll(&mut self, out: &mut Vec<u8>) -> Option<Received> {
        let until = self.marks.front().map_or(self.characters.len(), |(at, _)| *at);
        if self.handed_on < until {
            out.extend_from_slice(&self.characters[self.handed_on..until]);
            self.handed_on = until;
            return Some(Received::Characters);
        }
        let event = self.marks.pop_front().map(|(_, event)| Received::Event(event));
        if event.is_none() {
            self.characters.clear();
            self.handed_on = 0;
        }
        event
    }
}

/// What [`Receiver::poll`] handed on.
#[derive(Debug)]
pub(super) enum Received {
    Characters,
    Event(SolEvent),
}

/// Whether a packet of the last number is that packet again, maybe with more behind it.
fn is_repeat(known: Option<Taken>, characters: &[u8]) -> bool {
    known.is_none_or(|known| characters.len() < known.len || known.is_start_of(characters))
}

/// Whether a packet behind the last one is a repeat that took its time. Some BMCs jump back
/// after a host reset: then the characters differ.
fn is_late(
    sequence: SolSequence,
    last: SolSequence,
    known: Option<Taken>,
    characters: &[u8],
) -> bool {
    let behind = sequence.behind(last);
    let same =
        |known: Taken| (known.len > 0 || characters.is_empty()) && known.is_start_of(characters);
    (1..=LATE_MAX).contains(&behind) && known.is_some_and(same)
}

fn longer(known: Option<Taken>, characters: &[u8]) -> Taken {
    match known {
        Some(known) if known.len >= characters.len() => known,
        _ => Taken::of(characters),
    }
}

#[cfg(test)]
#[path = "tests/sol_receive.rs"]
mod tests;
