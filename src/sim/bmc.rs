//! The managed system, sans-IO: datagrams, time and the host's serial port in, datagrams out.
//!
//! One input, then drain [`poll_transmit`](ManagedSystem::poll_transmit), then wait until
//! [`poll_timeout`](ManagedSystem::poll_timeout) or the next input.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::chassis::Chassis;
use super::counters::Counters;
use super::devices::Devices;
use super::options::BmcOptions;
use super::profile::Profile;
use super::serial::{SerialEvent, SerialModel};
use super::session::{Session, State};
use super::sol::Sol;
use crate::crypto::Generator;
use crate::crypto::suite::{OpenError, Outgoing};
use crate::wire::message::{BMC_ADDRESS, Message};
use crate::wire::payload::PayloadType;
use crate::wire::rmcp::{self, AsfMessage, Class};
use crate::wire::rmcpplus::{self, Framed};
use crate::wire::{DATAGRAM_MAX, SessionId, SessionSequence, ipmi15};

/// How many numbers ahead the v2.0 window reaches.
const AHEAD_MAX: u32 = 15;
/// The most events that wait to be fetched; the oldest go first.
const EVENTS_MAX: usize = 256;

/// A simulated BMC with its host's serial port.
pub struct ManagedSystem {
    pub(super) options: BmcOptions,
    pub(super) generator: Generator,
    /// The time of the last input.
    pub(super) clock: Instant,
    /// Where the datagram being handled came from.
    pub(super) peer: SocketAddr,
    pub(super) sessions: Vec<Session>,
    pub(super) last_session_id: u32,
    pub(super) table_full: bool,
    pub(super) sol: Sol,
    pub(super) chassis: Chassis,
    pub(super) devices: Devices,
    pub(super) counters: Counters,
    pub(super) delays: Vec<(u8, u8, Duration)>,
    pub(super) scripts: Vec<(u8, u8, u8, u32)>,
    pub(super) late: Vec<LateReply>,
    /// The session to end once its Close Session was answered.
    pub(super) closing: Option<u32>,
    /// When a Cold Reset takes effect.
    pub(super) restart_due: Option<Instant>,
    pub(super) model: Option<Box<dyn SerialModel>>,
    pub(super) received: Vec<u8>,
    pub(super) received_total: u64,
    pub(super) received_limit: Option<usize>,
    events: Vec<SerialEvent>,
    transmits: VecDeque<(SocketAddr, Vec<u8>)>,
    scratch: Vec<u8>,
}

/// How the request being answered was wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrapper {
    /// v1.5 format, outside a session.
    V15,
    /// RMCP+ format, outside a session.
    Plus,
    /// In the session of this ID.
    Session(u32),
}

/// A response that waits for its time.
pub(super) struct LateReply {
    pub due: Instant,
    pub to: SocketAddr,
    pub wrapper: Wrapper,
    pub message: Vec<u8>,
}

impl ManagedSystem {
    /// A BMC with its host switched on and nobody logged in. `seed` decides every random
    /// number it will use.
    pub fn new(options: BmcOptions, seed: [u8; 32], now: Instant) -> Self {
        let sol = Sol::new(options.profile.sol_config());
        ManagedSystem {
            generator: Generator::from_seed(seed),
            clock: now,
            peer: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            sessions: Vec::new(),
            last_session_id: 1,
            table_full: false,
            sol,
            chassis: Chassis::new(now),
            devices: Devices::new(mixed(&seed), now, options.sel_time),
            counters: Counters::default(),
            delays: Vec::new(),
            scripts: Vec::new(),
            late: Vec::new(),
            closing: None,
            restart_due: None,
            model: None,
            received: Vec::new(),
            received_total: 0,
            received_limit: None,
            events: Vec::new(),
            transmits: VecDeque::new(),
            scratch: Vec::new(),
            options,
        }
    }

    /// Takes one datagram.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        self.handle_timeout(now);
        self.peer = from;
        self.counters.datagrams_in += 1;
        let silent = self.devices.silent_until.is_some_and(|end| now < end);
        let answered = match rmcp::decode(datagram) {
            _ if datagram.len() > DATAGRAM_MAX || silent => None,
            Ok((Class::Asf, block)) => self.on_asf(datagram, block),
            Ok((Class::Ipmi, _)) if rmcpplus::is_rmcpplus(datagram) => self.on_rmcpplus(datagram),
            Ok((Class::Ipmi, block)) => self.on_v15(block),
            Err(_) => None,
        };
        if answered.is_none() {
            self.counters.dropped += 1;
        }
        self.run_serial_model();
        self.sol_pump();
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clock = self.clock.max(now);
        if self.restart_due.take_if(|due| *due <= now).is_some() {
            self.forget_sessions();
            let silence = Duration::from_millis(self.options.quirks.cold_reset_ms.into());
            self.devices.silent_until = Some(now + silence);
        }
        self.expire_sessions();
        self.chassis_timeout();
        self.send_late_replies();
        self.run_serial_model();
        self.sol_timeout();
        self.sol_pump();
    }

    /// The next datagram to send. Fetch until `None` after every other call.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.transmits.pop_front()
    }

    /// Attaches a program to the host's serial port.
    pub fn attach_serial(&mut self, model: Box<dyn SerialModel>) {
        self.model = Some(model);
    }

    /// Forgets every session and SOL without a word, as a BMC that restarts does.
    pub fn reset(&mut self, now: Instant) {
        self.handle_timeout(now);
        self.forget_sessions();
    }

    fn forget_sessions(&mut self) {
        self.sessions.clear();
        self.late.clear();
        self.devices.restart();
        self.last_session_id = 1;
        let active = self.sol.owner.is_some();
        self.sol = Sol::new(self.sol.config);
        if active {
            self.push_event(SerialEvent::Deactivated);
        }
    }

    /// Changes the password of the user of that name.
    pub fn set_password(&mut self, user: &[u8], password: &[u8]) {
        if let Some(user) = self.options.users.iter_mut().find(|known| known.name == user) {
            user.password = password.to_vec();
        }
    }

    /// Changes K_g; empty for none.
    pub fn set_k_g(&mut self, k_g: &[u8]) {
        self.options.k_g = k_g.to_vec();
    }

    /// While `full`, there is no slot for another session.
    pub fn fill_session_table(&mut self, full: bool) {
        self.table_full = full;
    }

    /// Answers this command late from now on; a delay of 0 ends that.
    pub fn command_delay(&mut self, net_fn: u8, cmd: u8, delay: Duration) {
        self.delays.retain(|entry| (entry.0, entry.1) != (net_fn, cmd));
        if !delay.is_zero() {
            self.delays.push((net_fn, cmd, delay));
        }
    }

    /// Answers this command with this completion code the next `times` times.
    pub fn script_completion(&mut self, net_fn: u8, cmd: u8, code: u8, times: u32) {
        self.scripts.push((net_fn, cmd, code, times));
    }

    /// The misbehaviour knobs, to turn them while the BMC runs.
    pub fn quirks_mut(&mut self) -> &mut super::Misbehaviour {
        &mut self.options.quirks
    }

    /// What happened on the serial port's lines since the last call, in order.
    pub fn serial_events(&mut self) -> Vec<SerialEvent> {
        std::mem::take(&mut self.events)
    }

    /// The next time [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self.sessions.iter().map(|session| session.expires);
        let late = self.late.iter().map(|reply| reply.due);
        let others = [
            self.sol.poll_timeout(),
            self.chassis.poll_timeout(),
            self.restart_due,
            self.model_wake(),
        ];
        sessions.chain(late).chain(others.into_iter().flatten()).min()
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What this BMC is.
    pub fn options(&self) -> &BmcOptions {
        &self.options
    }

    fn on_asf(&mut self, datagram: &[u8], block: &[u8]) -> Option<()> {
        let Ok(AsfMessage::Ping { message_tag }) = rmcp::decode_asf(block) else { return None };
        self.counters.pings += 1;
        let openbmc = self.options.profile == Profile::OpenBmc;
        if message_tag == 0xff || openbmc && datagram.get(2) != Some(&0xff) {
            return None;
        }
        let mut out = Vec::with_capacity(28);
        rmcp::encode_presence_pong(message_tag, &mut out);
        if openbmc {
            // That stack sends both IANA numbers least significant byte first.
            for field in [4..8, 12..16] {
                out.get_mut(field)?.reverse();
            }
        }
        self.transmit(self.peer, out);
        Some(())
    }

    fn on_rmcpplus(&mut self, datagram: &[u8]) -> Option<()> {
        let framed = rmcpplus::decode(datagram).ok()?;
        if framed.header.session_id != SessionId(0) {
            return self.on_session_packet(datagram, &framed);
        }
        let header = framed.header;
        if header.encrypted
            || header.authenticated
            || header.session_sequence_number != SessionSequence(0)
            || self.lan_is_disabled()
        {
            return None;
        }
        let payload = datagram.get(framed.payload)?;
        match header.payload_type {
            PayloadType::Ipmi => self.on_message(Wrapper::Plus, payload, true),
            PayloadType::OpenSessionRequest => self.on_open_session(payload),
            PayloadType::Rakp1 => self.on_rakp1(payload),
            PayloadType::Rakp3 => self.on_rakp3(payload),
            _ => None,
        }
    }

    /// 1. find the session, 2. AuthCode, 3. window, 4. decrypt, 5. by payload type.
    fn on_session_packet(&mut self, datagram: &[u8], framed: &Framed) -> Option<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.extend_from_slice(datagram);
        let taken = self.take_session_packet(&mut scratch, framed);
        let done = match taken {
            Some((id, payload)) => {
                let verify = self.options.profile.verifies_checksums();
                let payload = scratch.get(payload).unwrap_or_default();
                match framed.header.payload_type {
                    PayloadType::Ipmi => self.on_message(Wrapper::Session(id), payload, verify),
                    PayloadType::Sol => self.on_sol(id, payload),
                    _ => None,
                }
            }
            None => None,
        };
        self.scratch = scratch;
        done
    }

    fn take_session_packet(
        &mut self,
        datagram: &mut [u8],
        framed: &Framed,
    ) -> Option<(u32, std::ops::Range<usize>)> {
        let id = framed.header.session_id.0;
        let index = self.sessions.iter().position(|s| s.id == id && s.cipher().is_some());
        let Some(index) = index else {
            self.counters.unknown_session += 1;
            return None;
        };
        let session = self.sessions.get_mut(index)?;
        let State::Active(active) = &session.state else { return None };
        let verified = active.cipher.verify(datagram, framed);
        if verified.is_err() || !self.options.quirks.icts_pad_ok(datagram, framed) {
            self.counters.bad_auth_code += 1;
            return None;
        }
        let rule = self.options.profile.inbound_window();
        if !session.window.accept(framed.header.session_sequence_number, rule, AHEAD_MAX) {
            self.counters.out_of_window += 1;
            return None;
        }
        let is_sol = framed.header.payload_type == PayloadType::Sol;
        let clear_allowed = is_sol && self.sol.owner == Some(id) && !self.sol.encrypt;
        let payload = match active.cipher.decrypt(datagram, framed, clear_allowed) {
            Ok(payload) => payload,
            Err(OpenError::BadPadding | OpenError::WrongEncryption) => {
                self.counters.bad_encryption += 1;
                return None;
            }
            Err(_) => return None,
        };
        // `ipmi_sim` keeps the address of the login for what it sends by itself.
        if self.options.profile != Profile::IpmiSim {
            session.peer = self.peer;
        }
        self.touch(index);
        Some((id, payload))
    }

    fn send_late_replies(&mut self) {
        while let Some(index) = self.late.iter().position(|reply| reply.due <= self.clock) {
            let reply = self.late.remove(index);
            self.send_message(reply.to, reply.wrapper, &reply.message);
        }
    }

    /// Sends a LAN message in the wrapper its request came in.
    pub(super) fn send_message(&mut self, to: SocketAddr, wrapper: Wrapper, message: &[u8]) {
        let mut out = Vec::with_capacity(message.len() + 80);
        match wrapper {
            Wrapper::V15 => {
                ipmi15::encode(&ipmi15::Header::SESSIONLESS, message, &mut out);
                if self.options.profile == Profile::OpenBmc {
                    out.push(0);
                }
                self.transmit(to, out);
            }
            Wrapper::Plus => {
                rmcpplus::encode_sessionless(PayloadType::Ipmi, message, &mut out);
                self.transmit(to, out);
            }
            Wrapper::Session(id) => {
                let Some(index) = self.session_index(id) else { return };
                if self.sessions.get(index).is_some_and(Session::is_v2) {
                    self.send_payload(index, Some(to), PayloadType::Ipmi, message, true);
                } else {
                    self.send_v15(index, to, message);
                }
            }
        }
    }

    /// Sends a payload in a v2.0 session; to the session's peer unless `to` says otherwise.
    pub(super) fn send_payload(
        &mut self,
        index: usize,
        to: Option<SocketAddr>,
        payload_type: PayloadType,
        payload: &[u8],
        encrypt: bool,
    ) {
        let iv = self.generator.array();
        let Some(session) = self.sessions.get_mut(index) else { return };
        let State::Active(active) = &session.state else { return };
        session.outbound = session.outbound.next();
        let packet = Outgoing {
            payload_type,
            session_id: SessionId(session.remote_id),
            session_sequence_number: session.outbound,
            payload,
            iv,
        };
        if self.options.quirks.seq_jump {
            session.outbound = session.outbound.next();
        }
        let to = to.unwrap_or(session.peer);
        let mut out = Vec::with_capacity(payload.len() + 80);
        active.cipher.seal_with(&packet, encrypt, &mut out);
        self.transmit(to, out);
    }

    /// A request of the BMC itself to a session's console.
    pub(super) fn send_request(&mut self, index: usize, net_fn: u8, cmd: u8, data: &[u8]) {
        let request = Message {
            to_address: crate::wire::message::REMOTE_CONSOLE_ADDRESS,
            net_fn,
            to_lun: 0,
            from_address: BMC_ADDRESS,
            rq_seq: Default::default(),
            from_lun: 0,
            cmd,
            data,
        };
        let mut message = Vec::with_capacity(7 + data.len());
        request.encode(&mut message);
        self.send_payload(index, None, PayloadType::Ipmi, &message, true);
    }

    /// Queues a datagram.
    pub(super) fn transmit(&mut self, to: SocketAddr, datagram: Vec<u8>) {
        self.counters.datagrams_out += 1;
        self.transmits.push_back((to, datagram));
    }

    /// Notes something that happened on the serial port and tells its program.
    pub(super) fn push_event(&mut self, event: SerialEvent) {
        if let Some(model) = &mut self.model {
            model.event(self.clock, &event);
        }
        if self.events.len() >= EVENTS_MAX {
            self.events.remove(0);
        }
        self.events.push(event);
    }
}

/// One number of a seed, different where the seeds are.
fn mixed(seed: &[u8; 32]) -> u32 {
    seed.iter()
        .fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

impl super::Misbehaviour {
    /// With `icts`, whether the integrity pad is what that reading demands.
    fn icts_pad_ok(&self, datagram: &[u8], framed: &Framed) -> bool {
        let counted = framed.payload.end - rmcpplus::FORMAT_OFFSET;
        let pad_len = counted.wrapping_neg() % 4;
        let stated = datagram.get(framed.payload.end + pad_len);
        !self.icts || !framed.header.authenticated || stated == Some(&(pad_len as u8))
    }
}
