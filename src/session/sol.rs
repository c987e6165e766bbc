//! SOL in a session: activation, who owns it, and its end (§15.11, §24.1 to §24.5).

mod activate;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::config::Learned;
use super::failure::{Cause, Failure, Stage};
use super::quirk::{Quirk, Quirks};
use super::request::{Reply, Request, internal};
use super::sol_receive::{Received, Receiver};
use super::sol_send::Sender;
use crate::wire::cipher_suite::{Confidentiality, Integrity};
use crate::wire::message::{CompletionCode, net_fn};
use crate::wire::session_command::{
    ActivatedPayload, PAYLOAD_SOL, activate_payload_request, cmd, deactivate_payload_request,
    payload_instance_owner, sol_auxiliary,
};
use crate::wire::sol::{CHARACTERS_MAX, HEADER_LEN, Packet, SolSequence, status};
use crate::wire::{PrivilegeLevel, SessionId};

/// Characters per packet to a BMC whose size makes no sense.
const CHARACTERS_FALLBACK: usize = 32;
/// Packets kept that overtake the answer of Activate Payload.
const EARLY_MAX: usize = 4;
/// Rounds of deactivating somebody else's SOL and activating ours.
const ROUNDS_MAX: u32 = 3;
/// Tries of an Activate Payload that is answered "node busy".
const BUSY_MAX: u32 = 10;
/// Empty packets sent to see whether SOL is ours, and the time between them.
const TRIES_MAX: u32 = 8;
const TRY_PAUSE: Duration = Duration::from_millis(300);
const BUSY_PAUSE: Duration = Duration::from_millis(500);
/// Get Session Info (§22.20), asked whether the owner of SOL still exists.
const GET_SESSION_INFO: u8 = 0x3d;
/// Activations in a row, of a BMC that says SOL is ours, without a single SOL packet from it.
const MUTE_MAX: u32 = 3;
/// How long a SOL packet may take to show that SOL is ours after all.
const CONFIRM_TIME: Duration = Duration::from_secs(3);
/// A question whose answer is only nice to have.
const SHORT_QUESTION: Duration = Duration::from_secs(2);

/// What to do when another session owns SOL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TakeOver {
    /// Fail.
    Never,
    /// Deactivate it when its session is gone: a crashed program leaves such behind.
    #[default]
    Stale,
    /// Deactivate it now; when it is taken back, leave it.
    Once,
    /// Deactivate it whenever it is in the way.
    Always,
}

/// How SOL is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SolConfig {
    /// Payload instance, 1 to 15. 1.
    pub instance: u8,
    /// What to do when another session owns SOL.
    pub take_over: TakeOver,
    /// Accept SOL in clear from a BMC that refuses to encrypt it. No.
    pub allow_clear: bool,
    /// Bytes of input held for the BMC besides the packet in flight. 1,024.
    pub input_len: usize,
    /// The wait for the first acknowledge. 500 ms.
    pub retransmit_first: Duration,
    /// The shortest wait, once round trips were measured. 50 ms.
    pub retransmit_min: Duration,
    /// The longest wait. 1 s.
    pub retransmit_max: Duration,
    /// How long input is collected to fill a packet. 0.
    pub accumulate: Duration,
    /// An empty packet is sent after this long without input. Off.
    pub keepalive: Option<Duration>,
    /// That packet holds a NUL, which reaches the host. No.
    pub keepalive_nul: bool,
    /// An acknowledge of 0 characters means "all". No.
    pub ack_zero_means_all: bool,
    /// The UDP port of the session: another one in the BMC's answer is reported.
    pub session_port: u16,
}

impl Default for SolConfig {
    fn default() -> Self {
        SolConfig {
            instance: 1,
            take_over: TakeOver::default(),
            allow_clear: false,
            input_len: 1024,
            retransmit_first: Duration::from_millis(500),
            retransmit_min: Duration::from_millis(50),
            retransmit_max: Duration::from_secs(1),
            accumulate: Duration::ZERO,
            keepalive: None,
            keepalive_nul: false,
            ack_zero_means_all: false,
            session_port: crate::wire::RMCP_PORT,
        }
    }
}

/// What happened on the console, in stream order with its characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SolEvent {
    /// SOL is active.
    Activated {
        /// Characters per packet to the BMC.
        characters_max: usize,
        /// The BMC named this port; the session's own is used all the same.
        other_port: Option<u16>,
    },
    /// SOL was activated again within the session, because the BMC went mute or jumped.
    Reactivated,
    /// The BMC skipped packets: what was in them is lost.
    Gap,
    /// The BMC says it had to drop characters of the host.
    Overrun,
    /// The host sent a break.
    BreakDetected,
    /// The host's serial port became unavailable (true) or is back (false).
    Unavailable(bool),
    /// A break was acknowledged, or given up.
    BreakDone {
        /// As given to [`Session::sol_break`](super::Session::sol_break).
        token: u64,
        /// Whether the BMC acknowledged it.
        acknowledged: bool,
    },
    /// Bytes of input were lost, or it is not known whether they arrived.
    InputLost {
        /// How many at most.
        bytes: u64,
    },
    /// Input was delivered although its acknowledge never came.
    AcknowledgeLost,
    /// SOL is over. No event follows.
    Ended(Failure),
}

/// What a request of the activation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Activate,
    /// Who owns SOL, after Activate Payload said that somebody does.
    OwnerInTheWay,
    OwnerSession,
    Free,
    RaisePrivilege,
    /// Who owns SOL now.
    OwnerNow(Why),
    Close,
}

/// Why the owner is asked for while SOL is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Input is not acknowledged.
    Stuck,
    /// The BMC said that SOL was deactivated.
    Notice,
    /// The BMC set the deactivating bit.
    Bit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A request of the activation is under way.
    Activating,
    /// Activate Payload follows at this time.
    Pausing(Instant),
    /// An empty packet is sent at this time, to see whether SOL is ours already.
    Trying {
        next: Instant,
        tries: u32,
    },
    Active,
    /// The BMC set the deactivating bit; only the reason is still asked for.
    Stopped,
    Closing,
    Ended,
}

/// What the session lends to SOL.
pub(super) struct SolSession<'a> {
    pub session_id: SessionId,
    pub integrity: Integrity,
    pub confidentiality: Confidentiality,
    pub privilege_level: PrivilegeLevel,
    pub may_raise: bool,
    pub quirks: Quirks,
    pub learned: &'a mut Learned,
    pub close_time: Duration,
}

/// A request and how long it may take; `None`: as long as any.
pub(super) type Wanted = (Step, Request, Option<Duration>);

#[derive(Debug)]
pub(super) struct Sol {
    pub number: u32,
    config: SolConfig,
    state: State,
    auxiliary: u8,
    switched_encryption: bool,
    raised_privilege: bool,
    rounds: u32,
    busy: u32,
    early: Vec<Vec<u8>>,
    wanted: VecDeque<Wanted>,
    pub sender: Sender,
    pub receiver: Receiver,
    events: VecDeque<SolEvent>,
    was_active: bool,
    /// Activations since the BMC was last heard.
    mute: u32,
    /// What is said when SOL was deactivated.
    ending: Failure,
    asking_owner: bool,
    /// SOL seems to be somebody else's, or nobody's: over at this time unless a packet comes.
    confirm_until: Option<(Instant, Cause)>,
}

impl Sol {
    pub fn start(
        number: u32,
        config: SolConfig,
        session: &mut SolSession<'_>,
        now: Instant,
    ) -> Self {
        let auxiliary = if session.quirks.has(Quirk::I82571Spt) {
            sol_auxiliary::ALERTS_SUCCEED
        } else {
            let mut bits = match (session.confidentiality, session.integrity) {
                (Confidentiality::AesCbc128, _) => {
                    sol_auxiliary::ENCRYPTION | sol_auxiliary::AUTHENTICATION
                }
                (_, Integrity::None) => 0,
                _ => sol_auxiliary::AUTHENTICATION,
            };
            if session.quirks.has(Quirk::SerialAlertsDeferred) {
                bits |= sol_auxiliary::ALERTS_DEFERRED;
            }
            bits
        };
        let mut sol = Sol {
            number,
            state: State::Activating,
            auxiliary,
            switched_encryption: false,
            raised_privilege: false,
            rounds: 0,
            busy: 0,
            early: Vec::new(),
            wanted: VecDeque::new(),
            sender: Sender::new(&config, session.learned, now),
            receiver: Receiver::new(),
            events: VecDeque::new(),
            was_active: false,
            mute: 0,
            ending: Failure::new(Cause::Closed, Stage::Sol),
            asking_owner: false,
            confirm_until: None,
            config,
        };
        sol.activate();
        sol
    }

    /// Whether SOL packets may come in clear: it was activated so.
    pub fn clear_allowed(&self) -> bool {
        self.auxiliary & sol_auxiliary::ENCRYPTION == 0
    }

    pub fn is_active(&self) -> bool {
        self.state == State::Active
    }

    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    pub fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing | State::Ended)
    }

    /// Whether somebody's SOL was deactivated for this one.
    pub fn took_over(&self) -> bool {
        self.rounds > 0
    }

    pub fn instance(&self) -> u8 {
        self.config.instance
    }

    fn activate(&mut self) {
        self.state = State::Activating;
        let data = activate_payload_request(self.config.instance, self.auxiliary);
        self.want(Step::Activate, cmd::ACTIVATE_PAYLOAD, data.to_vec(), None);
    }

    fn want(&mut self, step: Step, command: u8, data: Vec<u8>, limit: Option<Duration>) {
        self.wanted.reserve_exact(1);
        self.wanted.push_back((step, internal(net_fn::APP, command, data), limit));
    }

    fn free(&mut self, session: &SolSession<'_>) {
        let data = deactivate_payload_request(self.config.instance).to_vec();
        self.want(Step::Free, cmd::DEACTIVATE_PAYLOAD, data, Some(session.close_time));
    }

    fn ask_owner(&mut self, step: Step) {
        let data = vec![PAYLOAD_SOL, self.config.instance];
        let limit = match step {
            Step::OwnerNow(Why::Notice | Why::Bit) => Some(SHORT_QUESTION),
            _ => None,
        };
        self.want(step, cmd::GET_PAYLOAD_INSTANCE_INFO, data, limit);
    }

    /// Gives the next request to send.
    pub fn poll_request(&mut self) -> Option<Wanted> {
        self.wanted.pop_front()
    }

    /// Ends SOL politely. `Ended` follows within the close time.
    pub fn close(&mut self, session: &SolSession<'_>) {
        match self.state {
            State::Closing | State::Ended => {}
            State::Stopped => self.end(Failure::new(Cause::Closed, Stage::Sol)),
            _ => self.close_because(Failure::new(Cause::Closed, Stage::Sol), session),
        }
    }

    fn close_because(&mut self, failure: Failure, session: &SolSession<'_>) {
        self.ending = failure;
        self.state = State::Closing;
        self.wanted.clear();
        let data = deactivate_payload_request(self.config.instance).to_vec();
        let limit = Some(session.close_time);
        self.want(Step::Close, cmd::DEACTIVATE_PAYLOAD, data, limit);
    }

    /// Ends SOL at once: its session is gone, or SOL is.
    pub fn end(&mut self, failure: Failure) {
        if self.state == State::Ended {
            return;
        }
        self.state = State::Ended;
        self.wanted.clear();
        self.report_lost_input(true);
        self.receiver.mark(SolEvent::Ended(failure));
    }

    fn report_lost_input(&mut self, all: bool) {
        let bytes = if all {
            self.sender.abandon(&mut self.events)
        } else {
            self.sender.abandon_in_flight(&mut self.events)
        };
        if bytes > 0 {
            self.events.push_back(SolEvent::InputLost { bytes });
        }
        self.mark_events();
    }

    fn mark_events(&mut self) {
        while let Some(event) = self.events.pop_front() {
            self.receiver.mark(event);
        }
    }

    // While active

    /// Takes a SOL payload.
    pub fn on_payload(&mut self, now: Instant, payload: &[u8]) {
        match self.state {
            State::Active => {}
            State::Trying { .. } => self.on_activated(now, None),
            State::Activating | State::Pausing(_) => {
                // Not of a session that is being taken away from somebody.
                if self.rounds == 0 && !self.was_active && self.early.len() < EARLY_MAX {
                    self.early.push(payload.to_vec());
                }
                return;
            }
            _ => return,
        }
        let Ok(packet) = Packet::decode(payload) else { return self.receiver.on_headless() };
        self.confirm_until = None;
        self.mute = 0;
        self.sender.on_packet(now, &packet, &mut self.events);
        self.mark_events();
        self.receiver.on_packet(now, &packet);
        if packet.operation_status & status::SOL_DEACTIVATING != 0 {
            self.state = State::Stopped;
            self.ask_owner(Step::OwnerNow(Why::Bit));
        } else if self.receiver.take_resync() {
            self.reactivate();
        }
    }

    /// The BMC said in a request of its own that SOL was deactivated.
    pub fn on_deactivated_notice(&mut self) {
        if self.state == State::Active && !self.asking_owner {
            self.asking_owner = true;
            self.ask_owner(Step::OwnerNow(Why::Notice));
        }
    }

    /// The keepalive asked who owns SOL.
    pub fn on_owner_probe(
        &mut self,
        now: Instant,
        reply: Result<&Reply, &Failure>,
        session: &mut SolSession<'_>,
    ) {
        if self.state != State::Active {
            return;
        }
        match reply.ok().and_then(owner_of_reply) {
            Some(owner) if owner == session.session_id => self.confirm_until = None,
            // Some BMCs name owners that make no sense: a packet that is answered says more.
            Some(owner) if self.confirm_until.is_none() => {
                let nobodys = owner == SessionId(0);
                let cause = if nobodys { Cause::SolDeactivated } else { Cause::SolStolen };
                self.confirm_until = Some((now + CONFIRM_TIME, cause));
                self.sender.send_keepalive(now);
            }
            Some(_) => {}
            None => session.learned.no_instance_info |= reply.is_ok(),
        }
    }

    fn on_owner_now(
        &mut self,
        now: Instant,
        why: Why,
        reply: Result<Reply, Failure>,
        session: &SolSession<'_>,
    ) {
        self.asking_owner = false;
        let answered = reply.is_ok();
        let owner = owner_of(&reply);
        let ours = owner == Some(session.session_id);
        let ended = |cause| Failure::new(cause, Stage::Sol);
        match (why, owner) {
            (Why::Bit, Some(owner)) if !ours && owner != SessionId(0) => {
                self.end(ended(Cause::SolStolen));
            }
            (Why::Bit, _) => self.end(ended(Cause::SolDeactivated)),
            // A notice of an activation before this one.
            (Why::Notice, Some(_)) if ours => {}
            (Why::Stuck, _) if ours || owner.is_none() => {
                let hopeless = self.sender.on_owner_check(now, answered);
                // Where nobody says who owns SOL it is most likely taken.
                if hopeless && self.mute >= MUTE_MAX {
                    self.close_because(ended(Cause::Lost), session);
                } else if hopeless && (ours || self.config.take_over == TakeOver::Always) {
                    self.reactivate();
                } else if hopeless {
                    self.end(ended(Cause::SolStolen));
                }
            }
            (_, Some(SessionId(0))) => self.end(ended(Cause::SolDeactivated)),
            _ => self.end(ended(Cause::SolStolen)),
        }
    }

    /// Deactivates and activates again, in the same session.
    fn reactivate(&mut self) {
        self.report_lost_input(false);
        self.mute += 1;
        self.state = State::Activating;
        let data = deactivate_payload_request(self.config.instance).to_vec();
        self.want(Step::Free, cmd::DEACTIVATE_PAYLOAD, data, Some(SHORT_QUESTION));
    }

    // Output

    /// Writes the next SOL payload that is due, if any: acknowledges first.
    pub fn poll_packet(&mut self, now: Instant, payload: &mut Vec<u8>) -> bool {
        match self.state {
            State::Pausing(until) if now >= until => {
                self.activate();
                return false;
            }
            State::Trying { next, tries } if now >= next => {
                return self.poll_try(now, tries, payload);
            }
            State::Active => {}
            _ => return false,
        }
        if let Some((until, cause)) = self.confirm_until
            && now >= until
        {
            self.end(Failure::new(cause, Stage::Sol));
            return false;
        }
        if self.receiver.poll_acknowledge(payload) {
            return true;
        }
        let sent = self.sender.poll(now, payload, &mut self.events);
        self.mark_events();
        if self.sender.take_owner_check() {
            self.ask_owner(Step::OwnerNow(Why::Stuck));
        }
        sent
    }

    fn poll_try(&mut self, now: Instant, tries: u32, payload: &mut Vec<u8>) -> bool {
        if tries >= TRIES_MAX {
            self.fail(Cause::SolInUse, CompletionCode(0x80));
            return false;
        }
        self.state = State::Trying { next: now + TRY_PAUSE, tries: tries + 1 };
        Packet {
            sequence: SolSequence::NONE.next(),
            ack_sequence: SolSequence::NONE,
            accepted_character_count: 0,
            operation_status: 0,
            characters: &[],
        }
        .encode(payload);
        true
    }

    /// Hands on the next characters or event.
    pub fn poll_received(&mut self, out: &mut Vec<u8>) -> Option<Received> {
        self.receiver.poll(out)
    }

    /// When something is due; `now` when a request wants to be sent.
    pub fn next_timeout(&self, now: Instant) -> Option<Instant> {
        if !self.wanted.is_empty() {
            return Some(now);
        }
        match self.state {
            State::Pausing(until) => Some(until),
            State::Trying { next, .. } => Some(next),
            State::Active => {
                let sender = self.sender.next_timeout(now);
                sender.into_iter().chain(self.confirm_until.map(|(until, _)| until)).min()
            }
            _ => None,
        }
    }
}

fn owner_of(reply: &Result<Reply, Failure>) -> Option<SessionId> {
    reply.as_ref().ok().and_then(owner_of_reply)
}

fn owner_of_reply(reply: &Reply) -> Option<SessionId> {
    if reply.completion_code != CompletionCode::SUCCESS {
        return None;
    }
    payload_instance_owner(&reply.data).ok()
}

/// Characters per packet from an announced size, which counts the header. Byte-swapped sizes
/// are understood; others that make no sense stand for "unknown".
fn characters_max(inbound_payload_size: u16) -> usize {
    let sensible = |size: u16| {
        let size = usize::from(size);
        (HEADER_LEN + 1..=HEADER_LEN + CHARACTERS_MAX).contains(&size).then(|| size - HEADER_LEN)
    };
    sensible(inbound_payload_size)
        .or_else(|| sensible(inbound_payload_size.swap_bytes()))
        .unwrap_or(CHARACTERS_FALLBACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_the_header_and_nonsense_falls_back() {
        assert_eq!(characters_max(255), 251);
        assert_eq!(characters_max(259), 255);
        assert_eq!(characters_max(5), 1);
        assert_eq!(characters_max(64), 60);
        assert_eq!(characters_max(0xff00), 251);
        assert_eq!(characters_max(4), CHARACTERS_FALLBACK);
        assert_eq!(characters_max(0), CHARACTERS_FALLBACK);
        assert_eq!(characters_max(0x0100), 252);
        assert_eq!(characters_max(16384), 60);
    }
}
