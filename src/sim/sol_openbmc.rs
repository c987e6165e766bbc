//! OpenBMC's end of Serial over LAN, which differs from everybody's.

use super::bmc::ManagedSystem;
use super::serial::SerialEvent;
use crate::wire::sol::{Packet, SolSequence, operation, status};

impl ManagedSystem {
    /// 1. numbers must be the expected ones, 2. a NACK or a wrong count repeats our packet,
    /// 3. an acknowledge settles it, 4. characters go to the host and are answered.
    pub(super) fn on_sol_openbmc(&mut self, packet: &Packet<'_>) -> Option<()> {
        // 1. Anything unexpected is dropped whole, its characters too.
        let sequence = packet.sequence;
        if !sequence.is_none() && sequence != self.sol.sequence_in.next() {
            if sequence == self.sol.sequence_in {
                self.counters.sol_duplicates_in += 1;
            }
            return None;
        }
        let acknowledges = !packet.ack_sequence.is_none();
        if acknowledges && packet.ack_sequence != self.sol.sequence_out {
            return None;
        }
        // 2. Also when nothing is outstanding: then 0 characters are expected, and what is
        // repeated is an empty payload.
        let expected = self.sol.sent.unwrap_or(0) as u8;
        let nack = packet.operation_status & operation::NACK != 0;
        if nack || acknowledges && packet.accepted_character_count != expected {
            self.resend_openbmc();
            self.sol.retry_due = Some(self.clock + self.sol.config.retry());
            return Some(());
        }
        // 3. Settled.
        if acknowledges {
            let sent = self.sol.sent.take().unwrap_or(0).min(self.sol.buffer.len());
            self.sol.buffer.drain(..sent);
            self.sol.retry_due = None;
            self.sol.retries_left = self.sol.config.retry_count;
        }
        // 4. Characters.
        if sequence.is_none() {
            self.sol.accumulate_due = Some(self.clock + self.sol.config.accumulate());
            return Some(());
        }
        self.sol.sequence_in = sequence;
        if packet.operation_status & operation::GENERATE_BREAK != 0 {
            let at = self.received_total;
            self.push_event(SerialEvent::Break { at });
        }
        let written = packet.characters.len() <= self.host_room();
        if written && self.chassis.power_on {
            self.host_takes(packet.characters);
        }
        self.answer_openbmc(sequence, packet.characters.len() as u8, written);
        Some(())
    }

    /// The acknowledge, with characters when some wait and none are outstanding.
    fn answer_openbmc(&mut self, sequence: SolSequence, count: u8, written: bool) {
        let mut answer = Packet {
            sequence: SolSequence::NONE,
            ack_sequence: if written { sequence } else { SolSequence::NONE },
            accepted_character_count: if written { count } else { 0 },
            operation_status: if written { 0 } else { status::NACK },
            characters: &[],
        };
        if !written {
            self.counters.sol_nacks_out += 1;
        }
        let waiting = self.sol.buffer.len();
        if self.sol.sent.is_some() || waiting < usize::from(self.sol.config.send_threshold).max(1) {
            self.sol.accumulate_due = Some(self.clock + self.sol.config.accumulate());
            return self.send_sol(&answer);
        }
        let len = waiting.min(self.sol_characters_max());
        let characters: Vec<u8> = self.sol.buffer.iter().take(len).copied().collect();
        self.sol.sequence_out = self.sol.sequence_out.next();
        self.sol.sent = Some(len);
        self.sol.retry_due = Some(self.clock + self.sol.config.retry());
        self.sol.accumulate_due = None;
        answer.sequence = self.sol.sequence_out;
        answer.characters = &characters;
        self.send_sol(&answer);
    }

    /// Sends the outstanding packet again; an empty payload when there is none.
    fn resend_openbmc(&mut self) {
        self.counters.sol_retransmits += 1;
        let Some(len) = self.sol.sent else { return self.send_sol_payload(&[]) };
        let characters: Vec<u8> = self.sol.buffer.iter().take(len).copied().collect();
        self.send_sol(&Packet {
            sequence: self.sol.sequence_out,
            ack_sequence: SolSequence::NONE,
            accepted_character_count: 0,
            operation_status: 0,
            characters: &characters,
        });
    }

    /// Retries, then one more, then the same characters under the next number.
    pub(super) fn sol_timeout_openbmc(&mut self) {
        self.resend_openbmc();
        if self.sol.retries_left > 0 {
            self.sol.retries_left -= 1;
            self.sol.retry_due = Some(self.clock + self.sol.config.retry());
            return;
        }
        self.sol.retries_left = self.sol.config.retry_count;
        self.sol.retry_due = None;
        self.counters.sol_characters_renumbered += self.sol.sent.take().unwrap_or(0) as u64;
        self.sol.accumulate_due = Some(self.clock + self.sol.config.accumulate());
    }
}
