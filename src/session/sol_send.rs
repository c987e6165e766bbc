//! Characters and breaks to the managed system (§15.11): one packet at a time, repeated until
//! it is acknowledged.
//!
//! Three things make this longer than the specification's half page.
//!
//! - One simulator keeps packet numbers across sessions and takes the first packet of a new one
//!   for a repeat. So the first packet of an activation that carries characters is preceded by
//!   an empty one ("sync"), which nobody misses.
//! - Some BMCs never acknowledge a repeat and drop what is out of order. After one lost
//!   acknowledge they ignore packet N for ever, but take N + 1. So empty packets N + 1, N + 2 ..
//!   ("probes") follow N, one more each time: whichever the BMC waits for is acknowledged, and
//!   tells that all before it had arrived.
//! - On every other BMC the same probes would prove nothing, and N could be lost. So which kind
//!   of BMC this is gets tested with a repeated empty packet, and remembered.

mod transmit;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::config::{Duplicates, Learned};
use super::sol::{SolConfig, SolEvent};
use crate::wire::sol::{CHARACTERS_MAX, Packet, SolSequence, operation, status};

/// The longest wait for the acknowledge of a packet that can be repeated without harm.
const EMPTY_WAIT_MAX: Duration = Duration::from_millis(500);
/// Repeats of one test for [`Duplicates`].
const TEST_MAX: u32 = 3;
/// Unanswered repeats after which a BMC counts as silent: enough that chance does not do it.
const SILENT_SIGNS: u32 = 12;
/// Transmissions of packet N before probes, to a BMC that is silent.
const SILENT_TRANSMISSIONS: u32 = 3;
/// Probes behind a packet at most, before and after the BMC is known to be there.
const PROBES_MAX: u8 = 6;
const PROBES_MAX_ALIVE: u8 = 12;
/// Transmissions of an empty packet before probes follow it.
const EMPTY_TRANSMISSIONS: u32 = 2;
/// Transmissions of an empty packet to a BMC that may not acknowledge such.
const EMPTY_MAX: u32 = 3;
/// Acknowledges of 0 characters in a row before backing off.
const ZERO_ACKS_MAX: u32 = 5;
const ZERO_ACK_PAUSE: Duration = Duration::from_millis(100);
const SUSPENDED_PROBE: Duration = Duration::from_secs(1);
/// How long input is held for a host whose port is unavailable.
const UNAVAILABLE_HOLD: Duration = Duration::from_secs(5);

/// How long to go on with a packet that is not acknowledged.
///
/// Silence can be an outage, a lost acknowledge, or the end of SOL. So after some transmissions
/// the BMC is asked a question outside of SOL; only when it answers that, silence means more.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// Transmissions before the question.
    before: u32,
    /// Transmissions after its answer, without probes ..
    after: u32,
    /// .. and with.
    probing: u32,
}

const SYNC_PATIENCE: Patience = Patience { before: 12, after: 0, probing: 4 };
const ACKNOWLEDGED_PATIENCE: Patience = Patience { before: 16, after: 8, probing: 0 };
const SILENT_PATIENCE: Patience = Patience { before: 16, after: 0, probing: 12 };
const UNKNOWN_PATIENCE: Patience = Patience { before: 7, after: 3, probing: 12 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sync,
    DuplicateTest,
    Data,
    Break(u64),
    Keepalive,
    Probe,
}

#[derive(Debug)]
struct Outstanding {
    kind: Kind,
    sequence: SolSequence,
    characters: Vec<u8>,
    transmissions: u32,
    /// How often it had been sent when the BMC answered the question.
    alive_at: Option<u32>,
    /// It was acknowledged with 0 characters and is sent again to hear that once more.
    doubtful: bool,
    /// When it was sent first, where the acknowledge of the first copy tells the round trip.
    sent: Option<Instant>,
    next: Instant,
    wait: Duration,
}

#[derive(Debug)]
struct Suspended {
    sequence: SolSequence,
    next_probe: Instant,
}

/// The sending half of one SOL activation.
#[derive(Debug)]
pub(super) struct Sender {
    queue: VecDeque<u8>,
    queue_max: usize,
    /// Position of the queue's first byte in all that was written.
    queue_start: u64,
    /// When the oldest byte of the queue was written.
    queued_since: Option<Instant>,
    breaks: VecDeque<(u64, u64)>,
    characters_max: usize,
    sequence: SolSequence,
    synced: bool,
    /// No packet of this activation is settled yet.
    fresh: bool,
    in_flight: Option<Outstanding>,
    /// How many empty packets behind `in_flight` were sent to get an acknowledge at all.
    probes: u8,
    /// How many of those are still to be sent in this round.
    probes_due: u8,
    last_acked: SolSequence,
    last_transmissions: u32,
    hold_until: Option<Instant>,
    suspended: Option<Suspended>,
    unavailable_since: Option<Instant>,
    zero_acks: u32,
    silent_signs: u32,
    test_due: bool,
    owner_check_due: bool,
    /// Somebody was told to ask, and has no answer yet.
    waits_for_owner: bool,
    /// The spare buffer of the last packet.
    spare: Vec<u8>,
    rtt: Rtt,
    accumulate: Duration,
    keepalive: Option<Duration>,
    keepalive_at: Option<Instant>,
    keepalive_nul: bool,
    ack_zero_means_all: bool,
    last_sent: Instant,
    pub duplicates: Duplicates,
    pub acknowledges_empty: Option<bool>,
    /// Packets sent again.
    pub retransmits: u32,
}

/// Smoothed round trip time, and how long to wait for an acknowledge.
#[derive(Debug)]
struct Rtt {
    smoothed: Option<Duration>,
    variation: Duration,
    first: Duration,
    min: Duration,
    max: Duration,
}

impl Rtt {
    fn sample(&mut self, rtt: Duration) {
        match self.smoothed {
            None => {
                self.smoothed = Some(rtt);
                self.variation = rtt / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + rtt.abs_diff(smoothed)) / 4;
                self.smoothed = Some((smoothed * 7 + rtt) / 8);
            }
        }
    }

    fn timeout(&self) -> Duration {
        match self.smoothed {
            None => self.first,
            Some(smoothed) => (smoothed + self.variation * 4).clamp(self.min, self.max),
        }
    }
}

impl Sender {
    pub fn new(config: &SolConfig, learned: &Learned, now: Instant) -> Self {
        Sender {
            queue: VecDeque::new(),
            queue_max: config.input_len.max(1),
            queue_start: 0,
            queued_since: None,
            breaks: VecDeque::new(),
            characters_max: 1,
            sequence: SolSequence::NONE,
            synced: false,
            fresh: true,
            in_flight: None,
            probes: 0,
            probes_due: 0,
            last_acked: SolSequence::NONE,
            last_transmissions: 0,
            hold_until: None,
            suspended: None,
            unavailable_since: None,
            zero_acks: 0,
            silent_signs: 0,
            test_due: false,
            owner_check_due: false,
            waits_for_owner: false,
            spare: Vec::new(),
            rtt: Rtt {
                smoothed: None,
                variation: Duration::ZERO,
                first: config.retransmit_first,
                min: config.retransmit_min,
                max: config.retransmit_max,
            },
            accumulate: config.accumulate,
            keepalive: config.keepalive,
            keepalive_at: None,
            keepalive_nul: config.keepalive_nul,
            ack_zero_means_all: config.ack_zero_means_all,
            last_sent: now,
            duplicates: learned.duplicates,
            acknowledges_empty: learned.acknowledges_empty,
            retransmits: 0,
        }
    }

    /// SOL was activated: numbers start again at 1. Input not yet in a packet is kept.
    pub fn activated(&mut self, now: Instant, characters_max: usize) {
        self.characters_max = characters_max.clamp(1, CHARACTERS_MAX);
        self.sequence = SolSequence::NONE;
        self.last_acked = SolSequence::NONE;
        self.synced = self.acknowledges_empty == Some(false);
        self.fresh = true;
        self.in_flight = None;
        self.probes = 0;
        self.probes_due = 0;
        self.suspended = None;
        self.hold_until = None;
        self.unavailable_since = None;
        self.owner_check_due = false;
        self.waits_for_owner = false;
        self.last_sent = now;
    }

    /// How many bytes [`write`](Self::write) would take.
    pub fn space(&self) -> usize {
        self.queue_max.saturating_sub(self.queue.len())
    }

    /// Bytes written and not acknowledged, and breaks.
    pub fn pending(&self) -> usize {
        let outstanding = self.in_flight.as_ref().map_or(0, |p| match p.kind {
            Kind::Data => p.characters.len(),
            Kind::Break(_) => 1,
            _ => 0,
        });
        self.queue.len() + self.breaks.len() + outstanding
    }

    /// Takes as many bytes as there is room for.
    pub fn write(&mut self, now: Instant, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.space());
        if taken > 0 && self.queue.is_empty() {
            self.queued_since = Some(now);
        }
        self.queue.extend(&bytes[..taken]);
        taken
    }

    /// Takes a break, to be sent behind everything written before it.
    pub fn send_break(&mut self, token: u64) {
        self.breaks.push_back((self.queue_start + self.queue.len() as u64, token));
    }

    /// Sends an empty packet soon, to hear an acknowledge.
    pub fn send_keepalive(&mut self, now: Instant) {
        self.keepalive_at = Some(now);
    }

    /// Gives up all input; says how many bytes that were, and which breaks.
    pub fn abandon(&mut self, events: &mut VecDeque<SolEvent>) -> u64 {
        let mut lost = self.queue.len() as u64;
        lost += self.abandon_in_flight(events);
        self.queue_start += self.queue.len() as u64;
        self.queue.clear();
        for (_, token) in self.breaks.drain(..) {
            events.push_back(SolEvent::BreakDone { token, acknowledged: false });
        }
        lost
    }

    /// Gives up what was sent and not acknowledged: whether it arrived is unknown.
    pub fn abandon_in_flight(&mut self, events: &mut VecDeque<SolEvent>) -> u64 {
        self.probes = 0;
        self.probes_due = 0;
        let Some(gone) = self.in_flight.take() else { return 0 };
        if let Kind::Break(token) = gone.kind {
            events.push_back(SolEvent::BreakDone { token, acknowledged: false });
        }
        if gone.kind == Kind::Data { gone.characters.len() as u64 } else { 0 }
    }

    /// Whether somebody has to ask who owns SOL. Resets itself.
    pub fn take_owner_check(&mut self) -> bool {
        let due = std::mem::take(&mut self.owner_check_due);
        self.waits_for_owner |= due;
        due
    }

    /// The question who owns SOL is settled: not answered, or SOL is ours, or the BMC does not
    /// tell. Says whether only another activation can help.
    pub fn on_owner_check(&mut self, now: Instant, answered: bool) -> bool {
        if !std::mem::take(&mut self.waits_for_owner) {
            return false;
        }
        let Some(packet) = &mut self.in_flight else { return false };
        if answered && packet.alive_at.is_some() {
            return true;
        }
        if answered {
            packet.alive_at = Some(packet.transmissions);
        } else {
            packet.transmissions /= 2;
        }
        packet.wait = self.rtt.timeout();
        packet.next = now;
        false
    }

    // What the managed system says

    /// Reads acknowledge and status of a packet.
    pub fn on_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        events: &mut VecDeque<SolEvent>,
    ) {
        let nack = packet.operation_status & status::NACK != 0;
        self.note_availability(now, packet.operation_status);
        let named = packet.ack_sequence;
        let pure = packet.sequence.is_none();
        if self.on_probe_acknowledged(now, named, events) {
            return;
        }
        let names_in_flight = self.in_flight.as_ref().is_some_and(|p| {
            // A repeated data packet may repeat an old acknowledge: no proof of anything.
            let by_name = p.sequence == named && (pure || p.kind != Kind::DuplicateTest);
            // One BMC stack reports a failed write to the host without naming the packet.
            by_name || named.is_none() && nack && p.kind == Kind::Data
        });
        if names_in_flight {
            let count = packet.accepted_character_count;
            if !self.is_doubtful(now, count, nack) {
                self.settle(now, count, nack, events);
            }
        } else if !nack && self.suspended.as_ref().is_some_and(|s| s.sequence == named) {
            self.suspended = None;
        } else if pure && !named.is_none() && named == self.last_acked && !nack {
            // A second acknowledge of a packet that was sent again.
            if self.last_transmissions > 1 {
                self.duplicates = Duplicates::Acknowledged;
            }
        }
    }

    fn note_availability(&mut self, now: Instant, status_byte: u8) {
        if status_byte & status::CHARACTER_TRANSFER_UNAVAILABLE == 0 {
            self.unavailable_since = None;
        } else {
            self.unavailable_since.get_or_insert(now);
        }
    }

    /// Takes the acknowledge of a probe: everything before it arrived too.
    fn on_probe_acknowledged(
        &mut self,
        now: Instant,
        named: SolSequence,
        events: &mut VecDeque<SolEvent>,
    ) -> bool {
        let Some(stuck) = &self.in_flight else { return false };
        let place = if named.is_none() { 0 } else { stuck.sequence.behind(named) };
        if place == 0 || place > self.probes {
            return false;
        }
        self.acknowledges_empty = Some(true);
        self.synced = true;
        self.waits_for_owner = false;
        let Some(stuck) = self.in_flight.take() else { return false };
        if matches!(stuck.kind, Kind::Data | Kind::Break(_)) {
            // The BMC answered something else meanwhile, and no repeat.
            if self.duplicates == Duplicates::Unknown {
                self.silent_sign(SILENT_SIGNS);
            }
            events.push_back(SolEvent::AcknowledgeLost);
        }
        self.delivered(stuck, events);
        self.probes -= place;
        self.last_acked = named;
        self.last_transmissions = 1;
        self.let_copies_land();
        self.next_probe_in_flight(now, named);
        true
    }

    /// The packet before the probes is settled. Their numbers are used, so they have to be
    /// settled too.
    fn next_probe_in_flight(&mut self, now: Instant, settled: SolSequence) {
        self.probes_due = 0;
        let Some(left) = self.probes.checked_sub(1) else { return };
        self.probes = left;
        let wait = self.quick_timeout();
        self.in_flight = Some(Outstanding {
            kind: Kind::Probe,
            sequence: settled.next(),
            characters: Vec::new(),
            transmissions: 1,
            alive_at: None,
            doubtful: false,
            // Some time ago: its acknowledge may be here in a moment.
            sent: None,
            next: now + wait,
            wait,
        });
    }

    fn delivered(&mut self, packet: Outstanding, events: &mut VecDeque<SolEvent>) {
        if let Kind::Break(token) = packet.kind {
            events.push_back(SolEvent::BreakDone { token, acknowledged: true });
        }
        self.spare = packet.characters;
    }

    /// An acknowledge of 0 characters can be the "go on" after a refusal that got lost, and
    /// some were accepted: the first one only makes the packet be sent again.
    fn is_doubtful(&mut self, now: Instant, count: u8, nack: bool) -> bool {
        let clear = nack || count > 0 || self.ack_zero_means_all || self.probes > 0;
        let packet = self.in_flight.as_mut().filter(|p| !clear && p.kind == Kind::Data);
        let Some(packet) = packet.filter(|p| !p.doubtful) else { return false };
        packet.doubtful = true;
        packet.next = now + ZERO_ACK_PAUSE;
        true
    }

    /// The packet in flight was answered: `count` characters of it were accepted.
    fn settle(&mut self, now: Instant, count: u8, nack: bool, events: &mut VecDeque<SolEvent>) {
        let Some(packet) = self.in_flight.take() else { return };
        if packet.transmissions == 1 {
            if let Some(sent) = packet.sent {
                self.rtt.sample(now.saturating_duration_since(sent));
            }
        } else if matches!(packet.kind, Kind::Data | Kind::Break(_)) {
            self.test_due = true;
        }
        self.last_acked = packet.sequence;
        self.last_transmissions = packet.transmissions;
        self.waits_for_owner = false;
        let probed = self.probes > 0;
        if probed || packet.transmissions > 1 || packet.kind == Kind::DuplicateTest {
            self.let_copies_land();
        }
        self.next_probe_in_flight(now, packet.sequence);
        match packet.kind {
            Kind::Sync | Kind::Keepalive | Kind::Probe if probed => {
                self.acknowledges_empty = Some(true);
                self.synced = true;
            }
            Kind::Sync => {
                self.acknowledges_empty = Some(true);
                self.synced = true;
                self.test_due = true;
                self.start_test(now, packet);
            }
            Kind::DuplicateTest => {
                self.duplicates = Duplicates::Acknowledged;
                self.test_due = false;
            }
            Kind::Keepalive | Kind::Probe => {
                self.acknowledges_empty = Some(true);
                self.synced = true;
                self.start_test(now, packet);
            }
            Kind::Break(token) if nack => {
                self.breaks.push_front((self.queue_start, token));
                self.suspend(now, packet.sequence);
            }
            Kind::Break(_) => self.delivered(packet, events),
            Kind::Data => self.settle_data(now, packet, count, nack),
        }
        self.fresh = false;
    }

    fn settle_data(&mut self, now: Instant, packet: Outstanding, count: u8, nack: bool) {
        let len = packet.characters.len();
        let mut accepted = usize::from(count).min(len);
        if !nack && accepted == 0 && self.ack_zero_means_all {
            accepted = len;
        } else if usize::from(count) > len && self.fresh {
            // The acknowledge of somebody else's packet 1: ours was taken for its repeat.
            accepted = 0;
        }
        if nack {
            self.suspend(now, packet.sequence);
        } else {
            self.suspended = None;
        }
        if accepted > 0 || nack {
            self.zero_acks = 0;
        } else {
            self.zero_acks += 1;
            if self.zero_acks > ZERO_ACKS_MAX {
                self.suspend(now, packet.sequence);
            } else {
                self.hold_until = self.hold_until.max(Some(now + ZERO_ACK_PAUSE));
            }
        }
        for byte in packet.characters[accepted..].iter().rev() {
            self.queue.push_front(*byte);
            self.queue_start -= 1;
        }
        self.spare = packet.characters;
    }

    fn suspend(&mut self, now: Instant, sequence: SolSequence) {
        self.suspended = Some(Suspended { sequence, next_probe: now + SUSPENDED_PROBE });
    }

    /// Repeats an acknowledged empty packet, to see what becomes of repeats.
    fn start_test(&mut self, now: Instant, acked: Outstanding) {
        if self.test_due && self.duplicates == Duplicates::Unknown {
            let wait = self.quick_timeout();
            self.in_flight = Some(Outstanding {
                kind: Kind::DuplicateTest,
                transmissions: 0,
                alive_at: None,
                sent: Some(now),
                next: now,
                wait,
                ..acked
            });
        }
    }

    fn silent_sign(&mut self, signs: u32) {
        self.silent_signs += signs;
        if self.silent_signs >= SILENT_SIGNS {
            self.duplicates = Duplicates::Silent;
        }
    }

    /// An acknowledge can be that of an earlier copy. To most BMCs any number but the last one
    /// is new, so that the next packet must not overtake the copy that is on its way.
    fn let_copies_land(&mut self) {
        let rtt = self.rtt.smoothed.unwrap_or(self.rtt.min);
        self.hold_until = Some(self.last_sent + rtt);
    }

    /// For packets whose repeat can do no harm: four round trips.
    fn quick_timeout(&self) -> Duration {
        let rtt = self.rtt.smoothed.unwrap_or(self.rtt.min);
        (rtt * 4).clamp(Duration::from_millis(20), self.rtt.max)
    }
}

impl Outstanding {
    fn again(&mut self, now: Instant, wait_max: Duration) {
        self.transmissions += 1;
        if self.transmissions > 1 {
            self.wait = (self.wait * 2).min(wait_max.max(self.wait));
        }
        self.next = now + self.wait;
    }

    fn encode(&self, payload: &mut Vec<u8>) {
        let operation = match self.kind {
            Kind::Break(_) => operation::GENERATE_BREAK,
            _ => 0,
        };
        encode(self.sequence, operation, &self.characters, payload);
    }
}

/// The acknowledge fields stay 0: one BMC stack drops a packet with a stale one whole.
fn encode(sequence: SolSequence, operation: u8, characters: &[u8], payload: &mut Vec<u8>) {
    Packet {
        sequence,
        ack_sequence: SolSequence::NONE,
        accepted_character_count: 0,
        operation_status: operation,
        characters,
    }
    .encode(payload);
}

#[cfg(test)]
#[path = "tests/sol_send.rs"]
mod tests;
