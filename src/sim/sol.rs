//! The managed system's end of Serial over LAN (§15.11), as most stacks do it.
//!
//! OpenBMC's own way is in `sol_openbmc.rs`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::bmc::ManagedSystem;
use super::profile::{Farewell, Profile};
use super::serial::SerialEvent;
use crate::wire::payload::PayloadType;
use crate::wire::session_command::cmd;
use crate::wire::sol::{HEADER_LEN, Packet, SolSequence, operation, status};

/// Characters `ipmi_sim` holds for the host.
const IPMI_SIM_INPUT_LEN: usize = 32;
/// A late retransmit can be this many packets behind; more is a number used again.
const LATE_MAX: u8 = 7;

/// The SOL configuration parameters (§26).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SolConfig {
    /// Parameter 1.
    pub enabled: bool,
    /// Parameter 2: 80h force encryption, 40h force authentication, minimum privilege.
    pub authentication: u8,
    /// Parameter 3, units of 5 ms.
    pub accumulate_interval: u8,
    /// Parameter 3, characters.
    pub send_threshold: u8,
    /// Parameter 4.
    pub retry_count: u8,
    /// Parameter 4, units of 10 ms.
    pub retry_interval: u8,
    /// Parameter 5.
    pub non_volatile_bit_rate: u8,
    /// Parameter 6.
    pub volatile_bit_rate: u8,
    /// Parameter 0.
    pub set_in_progress: u8,
}

impl SolConfig {
    /// How long characters are collected.
    pub fn accumulate(&self) -> Duration {
        Duration::from_millis(5 * u64::from(self.accumulate_interval))
    }

    /// How long an acknowledge is waited for.
    pub fn retry(&self) -> Duration {
        Duration::from_millis(10 * u64::from(self.retry_interval))
    }
}

/// State of the one SOL instance.
pub(super) struct Sol {
    pub config: SolConfig,
    /// The session that activated it. It may be gone already.
    pub owner: Option<u32>,
    /// The owner is somebody outside the table who took the console.
    pub taken: bool,
    /// Index of the user who activated it.
    pub owner_user: usize,
    /// Whether our packets are encrypted, where the session can.
    pub encrypt: bool,
    /// Activated in a way that keeps the host silent (quirk `intel20`).
    pub mute: bool,
    /// Whether DCD and DSR are asserted.
    pub dtr: bool,
    /// Host output not yet acknowledged.
    pub buffer: VecDeque<u8>,
    /// The number of the last packet sent.
    pub sequence_out: SolSequence,
    /// Characters of the packet that waits for its acknowledge.
    pub sent: Option<usize>,
    /// Its status bits.
    pub sent_status: u8,
    pub retry_due: Option<Instant>,
    pub retries_left: u8,
    pub accumulate_due: Option<Instant>,
    /// The console asked us to stop.
    pub suspended: bool,
    /// A break came from the host: the next packet says so, at once.
    pub host_break: bool,
    /// Characters were lost: the next packet with characters says so.
    pub lost: bool,
    /// The number of the last packet received, and our answer to it.
    pub sequence_in: SolSequence,
    pub accepted: u8,
    pub answer_status: u8,
    /// The packet that was refused for lack of room, until a resume is sent.
    pub refused: Option<SolSequence>,
}

impl Sol {
    /// Inactive.
    pub fn new(config: SolConfig) -> Self {
        Sol {
            config,
            owner: None,
            taken: false,
            owner_user: 0,
            encrypt: true,
            mute: false,
            dtr: false,
            buffer: VecDeque::new(),
            sequence_out: SolSequence::NONE,
            sent: None,
            sent_status: 0,
            retry_due: None,
            retries_left: 0,
            accumulate_due: None,
            suspended: false,
            host_break: false,
            lost: false,
            sequence_in: SolSequence::NONE,
            accepted: 0,
            answer_status: 0,
            refused: None,
        }
    }

    /// When something is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waits = self.sent.is_none() && !self.suspended && !self.mute && !self.buffer.is_empty();
        let accumulate = self.accumulate_due.filter(|_| waits && self.owner.is_some());
        [self.retry_due, accumulate].into_iter().flatten().min()
    }

    /// Back to inactive; `ipmi_sim` keeps counting where it was.
    fn clear(&mut self, keep_numbers: bool) {
        let old = std::mem::replace(self, Sol::new(self.config));
        if keep_numbers {
            self.sequence_out = old.sequence_out;
            self.sequence_in = old.sequence_in;
            self.accepted = old.accepted;
            self.answer_status = old.answer_status;
        }
    }
}

impl ManagedSystem {
    /// The host prints. Returns how many bytes the BMC had room for; all of them are taken,
    /// and lost, while nobody has the console.
    pub fn serial_output(&mut self, now: Instant, bytes: &[u8]) -> usize {
        self.clock = self.clock.max(now);
        if self.sol.owner.is_none() || self.sol.taken {
            return bytes.len();
        }
        let taken = bytes.len().min(self.serial_output_space());
        let running = self.sol.accumulate_due.is_some_and(|due| due > self.clock);
        let first = self.sol.buffer.is_empty() || self.sol.accumulate_due.is_none();
        if taken > 0 && first && !running {
            self.sol.accumulate_due = Some(self.clock + self.sol.config.accumulate());
        }
        self.sol.buffer.extend(bytes.iter().take(taken));
        self.sol_pump();
        taken
    }

    /// How many bytes [`serial_output`](Self::serial_output) has room for.
    pub fn serial_output_space(&self) -> usize {
        if self.sol.owner.is_none() || self.sol.taken {
            return usize::MAX;
        }
        self.options.profile.sol_buffer_len().saturating_sub(self.sol.buffer.len())
    }

    /// The host sends a break.
    pub fn serial_output_break(&mut self, now: Instant) {
        self.clock = self.clock.max(now);
        // OpenBMC never reports one.
        if self.sol.owner.is_some() && self.options.profile != Profile::OpenBmc {
            self.sol.host_break = true;
            self.sol_pump();
        }
    }

    /// Takes what the host received since the last call.
    pub fn serial_input(&mut self) -> Vec<u8> {
        let input = std::mem::take(&mut self.received);
        self.sol_resume();
        input
    }

    /// How much the host can receive before somebody takes it; `None` for any amount.
    pub fn set_serial_input_limit(&mut self, limit: Option<usize>) {
        self.received_limit = limit;
        self.sol_resume();
    }

    /// Another session takes the console, and its owner learns it as the profile has it.
    pub fn steal_sol(&mut self, now: Instant) {
        self.handle_timeout(now);
        let thief = self.generator.nonzero();
        if self.sol.owner.is_some() {
            self.deactivate_sol(Some(thief));
        }
        self.sol.owner = Some(thief);
        self.sol.taken = true;
        self.push_event(SerialEvent::Activated);
    }

    /// Gives SOL to a session.
    pub(super) fn activate_sol(&mut self, id: u32, user: usize, auxiliary: u8) {
        self.sol.clear(self.options.profile == Profile::IpmiSim);
        self.sol.owner = Some(id);
        self.sol.owner_user = user;
        self.sol.encrypt = auxiliary & 0x80 != 0;
        self.sol.mute = self.options.quirks.intel20 && auxiliary & 0x02 != 0;
        self.sol.retries_left = self.sol.config.retry_count;
        self.drop_serial_backlog();
        self.push_event(SerialEvent::Activated);
        // With the start-up handshake they wait for the console's first packet.
        self.set_dtr(auxiliary & 0x02 == 0);
    }

    /// Ends SOL and tells its owner. `by` is the session that asked, `None` when the owner's
    /// own session ended.
    pub(super) fn deactivate_sol(&mut self, by: Option<u32>) {
        let Some(owner) = self.sol.owner else { return };
        let index = self.session_index(owner);
        let farewell = match self.options.profile.farewell() {
            _ if self.options.quirks.silent_steal => Farewell::Silence,
            Farewell::WhenTaken if by.is_none() || by == Some(owner) => Farewell::Silence,
            farewell => farewell,
        };
        match (farewell, index) {
            (_, None) | (Farewell::Silence, _) => {}
            (Farewell::SolActivating, Some(index)) => {
                let transport = crate::wire::message::net_fn::TRANSPORT;
                self.send_request(index, transport, cmd::SOL_ACTIVATING, &[0, 1, 1, 0]);
            }
            (Farewell::WhenTaken | Farewell::Always, Some(_)) => {
                self.send_sol_answer(status::SOL_DEACTIVATING);
            }
        }
        self.set_dtr(false);
        self.sol.clear(self.options.profile == Profile::IpmiSim);
        self.push_event(SerialEvent::Deactivated);
    }

    /// Takes a SOL payload of an authenticated packet.
    pub(super) fn on_sol(&mut self, id: u32, payload: &[u8]) -> Option<()> {
        self.counters.sol_in += 1;
        if self.sol.owner != Some(id) || self.options.quirks.sol_mute {
            return None;
        }
        let packet = Packet::decode(payload).ok()?;
        if packet.ack_sequence != SolSequence::NONE {
            self.counters.sol_acks += 1;
        }
        if packet.operation_status & operation::NACK != 0 {
            self.counters.sol_nacks_in += 1;
        }
        if payload.len() > usize::from(self.sol_sizes().0) && self.sol_sizes().0 > 4 {
            self.counters.sol_oversize_in += 1;
        }
        match self.options.profile {
            Profile::OpenBmc => return self.on_sol_openbmc(&packet),
            // Longer ones end that server; here they are only lost.
            Profile::Pyghmi if packet.characters.len() > 255 => return None,
            _ => {}
        }
        self.on_sol_acknowledge(&packet);
        self.on_sol_operation(&packet);
        self.on_sol_characters(&packet)
    }

    /// The sizes that are kept to: those announced unless they make no sense.
    pub(super) fn sol_sizes(&self) -> (u16, u16) {
        let chosen = self.options.quirks.solpayloadsize.filter(|sizes| !sizes.swapped);
        chosen.map_or(self.options.profile.announced_sol_sizes(), |sizes| {
            (sizes.inbound, sizes.outbound)
        })
    }

    fn on_sol_acknowledge(&mut self, packet: &Packet<'_>) {
        let named = packet.ack_sequence;
        if named.is_none() || named != self.sol.sequence_out {
            return;
        }
        let nack = packet.operation_status & operation::NACK != 0;
        let Some(sent) = self.sol.sent else {
            // Resume, or an acknowledge of something that is settled.
            self.sol.suspended &= nack;
            return;
        };
        let profile = self.options.profile;
        let mut accepted = usize::from(packet.accepted_character_count).min(sent);
        // pyghmi looks at the count of a NACK only, and sends the rest of that at once.
        let pyghmi = profile == Profile::Pyghmi;
        if pyghmi && !nack {
            accepted = sent;
        }
        self.sol.buffer.drain(..accepted.min(self.sol.buffer.len()));
        self.sol.sent = None;
        self.sol.retry_due = None;
        self.sol.suspended = nack && !pyghmi;
        // What is left of it, or came since, has waited long enough.
        self.sol.accumulate_due = (!self.sol.buffer.is_empty()).then_some(self.clock);
        if profile != Profile::IpmiSim || self.sol.buffer.is_empty() {
            self.sol.retries_left = self.sol.config.retry_count;
        }
    }

    fn set_dtr(&mut self, asserted: bool) {
        if self.sol.dtr != asserted {
            self.sol.dtr = asserted;
            self.push_event(SerialEvent::Dtr(asserted));
        }
    }

    fn on_sol_operation(&mut self, packet: &Packet<'_>) {
        self.set_dtr(packet.operation_status & operation::DEASSERT_DCD_DSR == 0);
        if packet.operation_status & operation::FLUSH_OUTBOUND != 0 {
            self.sol.buffer.clear();
            self.sol.sent = None;
            self.sol.retry_due = None;
            self.sol.suspended = false;
        }
    }

    /// Takes the characters of a packet and answers it.
    fn on_sol_characters(&mut self, packet: &Packet<'_>) -> Option<()> {
        let sequence = packet.sequence;
        let profile = self.options.profile;
        if sequence.is_none() {
            // go-ipmi answers everything.
            if profile == Profile::GoIpmi {
                self.send_sol_answer(0);
            }
            return Some(());
        }
        let last = self.sol.sequence_in;
        if sequence == last {
            self.counters.sol_duplicates_in += 1;
            if !self.options.quirks.solpacketseq {
                self.send_sol_answer(self.sol.answer_status);
            }
            return Some(());
        }
        if profile == Profile::Spec && !last.is_none() && sequence.behind(last) <= LATE_MAX {
            self.counters.sol_duplicates_in += 1;
            return None;
        }
        let (accepted, answer_status) = self.host_receives(packet);
        self.sol.sequence_in = sequence;
        self.sol.accepted = accepted as u8;
        self.sol.answer_status = answer_status;
        self.sol.refused = (answer_status & status::NACK != 0).then_some(sequence);
        if packet.operation_status & operation::GENERATE_BREAK != 0 {
            let at = self.received_total;
            self.push_event(SerialEvent::Break { at });
        }
        self.send_sol_answer(answer_status);
        Some(())
    }

    /// Gives characters to the host: how many it took, and the status bits that say so.
    fn host_receives(&mut self, packet: &Packet<'_>) -> (usize, u8) {
        let profile = self.options.profile;
        let characters = packet.characters;
        if !self.chassis.power_on {
            return match profile {
                Profile::Spec | Profile::GoIpmi => {
                    (0, status::NACK | status::CHARACTER_TRANSFER_UNAVAILABLE)
                }
                _ => (characters.len(), 0),
            };
        }
        let granted = match (profile, self.sol_sizes().0) {
            (Profile::IpmiSim, _) => IPMI_SIM_INPUT_LEN,
            (Profile::Spec, size @ 5..=259) => usize::from(size) - HEADER_LEN,
            _ => usize::MAX,
        };
        let room = self.host_room();
        let accepted = characters.len().min(room).min(granted);
        self.host_takes(characters.get(..accepted).unwrap_or_default());
        // What was more than granted is not taken, but may follow at once.
        let refused = accepted < characters.len() && (profile != Profile::Spec || accepted == room);
        (accepted, if refused { status::NACK } else { 0 })
    }

    /// How much the host can receive now.
    pub(super) fn host_room(&self) -> usize {
        self.received_limit.map_or(usize::MAX, |limit| limit.saturating_sub(self.received.len()))
    }

    /// Puts bytes on the host's side of the port.
    pub(super) fn host_takes(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
        self.received_total += bytes.len() as u64;
    }

    /// Tells the console that what it was refused has room now.
    fn sol_resume(&mut self) {
        if self.options.profile != Profile::Spec || self.host_room() == 0 || !self.chassis.power_on
        {
            return;
        }
        if let Some(ack_sequence) = self.sol.refused.take() {
            self.send_sol(&Packet {
                sequence: SolSequence::NONE,
                ack_sequence,
                accepted_character_count: 0,
                operation_status: self.sol_status(),
                characters: &[],
            });
        }
    }

    /// Sends the next packet if there is one and nothing stands in its way.
    pub(super) fn sol_pump(&mut self) {
        let sol = &self.sol;
        if sol.owner.is_none() || sol.taken || sol.sent.is_some() || sol.suspended || sol.mute {
            return;
        }
        let news = sol.host_break;
        let full = sol.buffer.len() >= usize::from(sol.config.send_threshold)
            && self.options.profile != Profile::OpenBmc;
        let waited = sol.accumulate_due.is_some_and(|due| due <= self.clock);
        if sol.buffer.is_empty() && !news || !(full || waited || news) {
            return;
        }
        self.sol.sequence_out = self.sol.sequence_out.next();
        self.sol.accumulate_due = None;
        self.transmit_sol_characters(false);
    }

    /// The most characters of a packet to the console.
    pub(super) fn sol_characters_max(&self) -> usize {
        match self.options.quirks.solpayloadsize {
            Some(sizes) if !sizes.swapped && (5..=259).contains(&sizes.outbound) => {
                usize::from(sizes.outbound) - HEADER_LEN
            }
            _ => self.options.profile.sol_characters_out(),
        }
    }

    /// Sends the packet of the current number, for the first time or again.
    fn transmit_sol_characters(&mut self, again: bool) {
        let grows =
            self.options.profile == Profile::IpmiSim || self.options.quirks.sol_dup_more_data;
        let len = match self.sol.sent {
            Some(len) if again && !grows => len,
            _ => self.sol.buffer.len().min(self.sol_characters_max()),
        };
        if !again {
            self.sol.sent_status = 0;
            if std::mem::take(&mut self.sol.host_break) {
                self.sol.sent_status |= status::BREAK_DETECTED;
            }
            if std::mem::take(&mut self.sol.lost) {
                self.sol.sent_status |= status::TRANSMIT_OVERRUN;
            }
        }
        let packet_status = self.sol_status() | self.sol.sent_status;
        let mut characters = Vec::with_capacity(len);
        characters.extend(self.sol.buffer.iter().take(len));
        let (ack_sequence, accepted_character_count) = match self.options.profile {
            Profile::GoIpmi => (self.sol.sequence_in, self.sol.accepted),
            _ => (SolSequence::NONE, 0),
        };
        self.sol.sent = Some(len);
        self.sol.retry_due = Some(self.clock + self.sol.config.retry());
        self.send_sol(&Packet {
            sequence: self.sol.sequence_out,
            ack_sequence,
            accepted_character_count,
            operation_status: packet_status,
            characters: &characters,
        });
    }

    /// Resends, or gives up.
    pub(super) fn sol_timeout(&mut self) {
        if self.sol.retry_due.is_none_or(|due| due > self.clock) {
            return;
        }
        if self.options.profile == Profile::OpenBmc {
            return self.sol_timeout_openbmc();
        }
        if self.sol.retries_left > 0 {
            self.sol.retries_left -= 1;
            self.counters.sol_retransmits += 1;
            return self.transmit_sol_characters(true);
        }
        let sent = self.sol.sent.take().unwrap_or(0).min(self.sol.buffer.len());
        self.sol.retry_due = None;
        let lost = match self.options.profile {
            Profile::IpmiSim => self.sol.buffer.len(),
            _ => sent,
        };
        self.sol.buffer.drain(..lost);
        self.counters.sol_characters_lost += lost as u64;
        if matches!(self.options.profile, Profile::Spec | Profile::GoIpmi) && lost > 0 {
            self.sol.lost = true;
        }
        self.sol.retries_left = self.sol.config.retry_count;
        self.sol.accumulate_due = (!self.sol.buffer.is_empty()).then_some(self.clock);
    }

    /// Status bits that every packet carries now.
    fn sol_status(&self) -> u8 {
        if self.chassis.power_on || self.options.profile != Profile::Spec {
            0
        } else {
            status::CHARACTER_TRANSFER_UNAVAILABLE
        }
    }

    /// Sends a packet without characters that names the last one received.
    pub(super) fn send_sol_answer(&mut self, answer_status: u8) {
        if answer_status & status::NACK != 0 {
            self.counters.sol_nacks_out += 1;
        }
        let count = if self.options.quirks.solackzero || self.options.quirks.intel20 {
            0
        } else {
            self.sol.accepted
        };
        self.send_sol(&Packet {
            sequence: SolSequence::NONE,
            ack_sequence: self.sol.sequence_in,
            accepted_character_count: count,
            operation_status: self.sol_status() | answer_status,
            characters: &[],
        });
    }

    /// Sends a SOL packet to the owner.
    pub(super) fn send_sol(&mut self, packet: &Packet<'_>) {
        let mut payload = Vec::with_capacity(HEADER_LEN + packet.characters.len());
        packet.encode(&mut payload);
        self.send_sol_payload(&payload);
    }

    /// Sends a SOL payload as it is.
    pub(super) fn send_sol_payload(&mut self, payload: &[u8]) {
        let index = self.sol.owner.and_then(|id| self.session_index(id));
        let Some(index) = index.filter(|_| !self.options.quirks.sol_mute) else { return };
        self.counters.sol_out += 1;
        let encrypt = self.sol.encrypt;
        self.send_payload(index, None, PayloadType::Sol, payload, encrypt);
    }

    /// The host was switched on or off.
    pub(super) fn sol_power_changed(&mut self) {
        if self.sol.owner.is_some() && self.options.profile == Profile::Spec {
            let operation_status = self.sol_status();
            self.send_sol(&Packet {
                sequence: SolSequence::NONE,
                ack_sequence: SolSequence::NONE,
                accepted_character_count: 0,
                operation_status,
                characters: &[],
            });
        }
    }

    /// The host was reset: some boards jump in their numbers then.
    pub(super) fn sol_host_reset(&mut self) {
        for _ in 0..self.options.quirks.sol_sequence_skip {
            if self.sol.sent.is_none() {
                self.sol.sequence_out = self.sol.sequence_out.next();
            }
        }
    }
}
