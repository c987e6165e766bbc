//! What goes out: new packets, repeats, probes.

use super::*;
use crate::bytes::take_front;

impl Sender {
    /// Writes the next packet that is due, if any.
    pub fn poll(
        &mut self,
        now: Instant,
        payload: &mut Vec<u8>,
        events: &mut VecDeque<SolEvent>,
    ) -> bool {
        if self.owner_check_due || self.waits_for_owner {
            return false;
        }
        if self.probes_due > 0 {
            return self.poll_probe(payload);
        }
        if self.in_flight.as_ref().is_some_and(|p| now >= p.next) {
            return self.poll_repeat(now, payload);
        }
        if self.in_flight.is_some() {
            return false;
        }
        self.discard_for_absent_host(now, events);
        self.poll_new(now, payload)
    }

    /// Writes the next probe of this round.
    pub(super) fn poll_probe(&mut self, payload: &mut Vec<u8>) -> bool {
        let place = self.probes - self.probes_due;
        self.probes_due -= 1;
        let Some(stuck) = &self.in_flight else { return false };
        let sequence = (0..=place).fold(stuck.sequence, |sequence, _| sequence.next());
        encode(sequence, 0, &[], payload);
        self.retransmits += 1;
        true
    }

    /// The packet in flight was not acknowledged in time: again, with probes behind it, or
    /// not at all.
    pub(super) fn poll_repeat(&mut self, now: Instant, payload: &mut Vec<u8>) -> bool {
        let Some(packet) = &self.in_flight else { return false };
        let kind = packet.kind;
        let sent = packet.transmissions;
        let input = matches!(kind, Kind::Data | Kind::Break(_));
        let patience = self.patience(kind);
        let over = match packet.alive_at {
            None => sent >= patience.before,
            Some(at) => sent >= at + patience.after + patience.probing,
        };
        if over {
            return self.give_up(now, payload);
        }
        let probing = match (kind, self.duplicates) {
            (Kind::DuplicateTest, _) | (_, Duplicates::Acknowledged) => false,
            (_, Duplicates::Silent) if input => sent >= SILENT_TRANSMISSIONS,
            (_, Duplicates::Unknown) if input => {
                packet.alive_at.is_some_and(|at| sent >= at + patience.after)
            }
            _ => sent >= EMPTY_TRANSMISSIONS,
        };
        let probes_max = packet.alive_at.map_or(PROBES_MAX, |_| PROBES_MAX_ALIVE);
        if probing && self.probes < probes_max {
            self.probes += 1;
            self.sequence = self.sequence.next();
        }
        if probing {
            self.probes_due = self.probes;
        }
        let Some(packet) = &mut self.in_flight else { return false };
        let wait_max = if input { self.rtt.max } else { self.rtt.max.min(EMPTY_WAIT_MAX) };
        packet.again(now, wait_max);
        self.last_sent = now;
        if kind == Kind::DuplicateTest {
            self.last_transmissions += 1;
        } else {
            self.retransmits += 1;
        }
        // To a BMC that drops what is out of order N can be sent again with its probes; one
        // that does not might take it for new.
        if input && probing && self.duplicates == Duplicates::Unknown {
            return self.poll_probe(payload);
        }
        packet.encode(payload);
        true
    }

    pub(super) fn patience(&self, kind: Kind) -> Patience {
        let alone = |before| Patience { before, after: 0, probing: 0 };
        let empty = matches!(kind, Kind::Keepalive | Kind::Probe);
        match (kind, self.duplicates) {
            (Kind::Sync, _) => SYNC_PATIENCE,
            (Kind::DuplicateTest, _) => alone(TEST_MAX),
            _ if empty && self.acknowledges_empty != Some(true) => alone(EMPTY_MAX),
            (_, Duplicates::Acknowledged) => ACKNOWLEDGED_PATIENCE,
            (_, Duplicates::Unknown) if !empty => UNKNOWN_PATIENCE,
            _ => SILENT_PATIENCE,
        }
    }

    pub(super) fn give_up(&mut self, now: Instant, payload: &mut Vec<u8>) -> bool {
        let Some(packet) = &self.in_flight else { return false };
        match packet.kind {
            Kind::Sync if packet.alive_at.is_some() && self.acknowledges_empty != Some(true) => {
                self.acknowledges_empty = Some(false);
                self.synced = true;
            }
            Kind::DuplicateTest => {
                self.test_due = false;
                self.silent_sign(TEST_MAX);
            }
            Kind::Keepalive if self.acknowledges_empty != Some(true) => self.synced = true,
            Kind::Probe if self.acknowledges_empty != Some(true) => {}
            _ => {
                self.owner_check_due = true;
                return false;
            }
        }
        self.in_flight = None;
        self.probes = 0;
        self.poll_new(now, payload)
    }

    pub(super) fn poll_new(&mut self, now: Instant, payload: &mut Vec<u8>) -> bool {
        if self.hold_until.is_some_and(|until| now < until) || self.is_suspended(now) {
            return false;
        }
        self.hold_until = None;
        let break_here = self.breaks.front().is_some_and(|(at, _)| *at == self.queue_start);
        let has_input = break_here || !self.queue.is_empty() && !self.accumulating(now);
        let kind = if !has_input {
            match self.keepalive {
                _ if self.keepalive_at.take().is_some() => Kind::Keepalive,
                Some(every) if now >= self.last_sent + every => Kind::Keepalive,
                _ => return false,
            }
        } else if !self.synced {
            Kind::Sync
        } else if self.test_due && self.duplicates == Duplicates::Unknown {
            Kind::Keepalive
        } else if break_here {
            Kind::Break(self.breaks.pop_front().map_or(0, |(_, token)| token))
        } else {
            Kind::Data
        };
        self.send_new(now, kind, payload);
        true
    }

    pub(super) fn send_new(&mut self, now: Instant, kind: Kind, payload: &mut Vec<u8>) {
        let mut characters = std::mem::take(&mut self.spare);
        characters.clear();
        if kind == Kind::Data {
            let before_break = self.breaks.front().map_or(usize::MAX, |(at, _)| {
                usize::try_from(at - self.queue_start).unwrap_or(usize::MAX)
            });
            let len = self.queue.len().min(self.characters_max).min(before_break);
            take_front(&mut self.queue, len, &mut characters);
            self.queue_start += len as u64;
            self.queued_since = (!self.queue.is_empty()).then_some(now);
        } else if kind == Kind::Keepalive && self.keepalive_nul && self.synced {
            characters.push(0);
        }
        let quick = matches!(kind, Kind::Sync | Kind::Keepalive);
        let wait = if quick { self.quick_timeout() } else { self.rtt.timeout() };
        self.sequence = self.sequence.next();
        let packet = Outstanding {
            kind,
            sequence: self.sequence,
            characters,
            transmissions: 1,
            alive_at: None,
            doubtful: false,
            sent: Some(now),
            next: now + wait,
            wait,
        };
        packet.encode(payload);
        self.in_flight = Some(packet);
        self.last_sent = now;
    }

    pub(super) fn accumulating(&self, now: Instant) -> bool {
        self.breaks.is_empty()
            && self.queue.len() < self.characters_max
            && self.queued_since.is_some_and(|since| now < since + self.accumulate)
    }

    pub(super) fn is_suspended(&self, now: Instant) -> bool {
        self.suspended.as_ref().is_some_and(|s| now < s.next_probe)
    }

    /// A host whose port stays away gets what was typed before, not what was typed an hour ago.
    pub(super) fn discard_for_absent_host(
        &mut self,
        now: Instant,
        events: &mut VecDeque<SolEvent>,
    ) {
        let over = self.unavailable_since.is_some_and(|since| now >= since + UNAVAILABLE_HOLD);
        if over && self.suspended.is_some() && !self.queue.is_empty() {
            let bytes = self.queue.len() as u64;
            self.queue_start += bytes;
            self.queue.clear();
            events.push_back(SolEvent::InputLost { bytes });
        }
    }

    /// When something is due.
    pub fn next_timeout(&self, now: Instant) -> Option<Instant> {
        if self.owner_check_due {
            return Some(now);
        }
        if self.waits_for_owner {
            return None;
        }
        if let Some(packet) = &self.in_flight {
            return Some(if self.probes_due > 0 { now } else { packet.next });
        }
        let suspended = self.suspended.as_ref().map(|s| s.next_probe);
        let held = self.hold_until.max(suspended);
        if self.queue.is_empty() && self.breaks.is_empty() {
            let keepalive = self.keepalive.map(|every| self.last_sent + every);
            return self.keepalive_at.or(keepalive).map(|at| held.map_or(at, |held| at.max(held)));
        }
        let accumulating = self.queued_since.filter(|_| self.accumulating(now));
        let accumulated = accumulating.map(|since| since + self.accumulate);
        Some(held.max(accumulated).unwrap_or(now))
    }
}
