//! A remote console made of `wire` and `crypto` alone, as plain as it can be.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::crypto::keys::{Exchange, UserKey};
use crate::crypto::suite::{Outgoing, SessionCipher};
use crate::sim::{BmcOptions, ManagedSystem, Profile};
use crate::wire::cipher_suite::{Algorithms, CipherSuiteId};
use crate::wire::message::{Message, RqSeq, net_fn};
use crate::wire::open_session::{OpenSessionRequest, OpenSessionResponse, Refusal};
use crate::wire::payload::PayloadType;
use crate::wire::rakp::{Rakp1, Rakp2, Rakp3, Rakp4};
use crate::wire::sol::{Packet, SolSequence};
use crate::wire::{SessionId, SessionSequence, ipmi15, rmcpplus};

pub const APP: u8 = net_fn::APP;

/// A SOL packet that owns its characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SolPacket {
    pub sequence: u8,
    pub ack: u8,
    pub count: u8,
    pub status: u8,
    pub text: Vec<u8>,
}

/// What a session packet held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Network function, command, data with completion code; requests too.
    Message(u8, u8, Vec<u8>),
    Sol(SolPacket),
    /// A SOL payload too short to be one.
    ShortSol(usize),
    /// A v1.5 or session setup datagram.
    Other(Vec<u8>),
}

/// One console and the BMC it talks to.
pub struct Console {
    pub bmc: ManagedSystem,
    pub now: Instant,
    pub address: SocketAddr,
    pub suite: Algorithms,
    pub exchange: Option<Exchange>,
    pub cipher: Option<SessionCipher>,
    pub sequence: u32,
    pub rq_seq: u8,
    pub user: Vec<u8>,
    pub password: Vec<u8>,
    pub k_g: Vec<u8>,
    pub role: u8,
    pub open_privilege: u8,
    pub remote_id: u32,
    pub managed_id: u32,
    pub tag: u8,
    pub sol_sequence: SolSequence,
    /// Session packets in the order they came.
    pub inbox: Vec<Received>,
    /// Session sequence numbers in the order they came.
    pub numbers: Vec<u32>,
}

impl Console {
    pub fn new(profile: Profile, suite: u8) -> Self {
        Self::with(BmcOptions { profile, ..Default::default() }, suite)
    }

    pub fn with(options: BmcOptions, suite: u8) -> Self {
        let start = Instant::now();
        Console {
            bmc: ManagedSystem::new(options, [7; 32], start),
            now: start,
            address: SocketAddr::from(([127, 0, 0, 1], 40000)),
            suite: CipherSuiteId(suite).algorithms().unwrap(),
            exchange: None,
            cipher: None,
            sequence: 0,
            rq_seq: 0,
            user: b"admin".to_vec(),
            password: b"password".to_vec(),
            k_g: Vec::new(),
            role: 0x14,
            open_privilege: 0,
            remote_id: 0xa0a1_a2a3,
            managed_id: 0,
            tag: 0,
            sol_sequence: SolSequence::NONE,
            inbox: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// A session with its privilege raised to Administrator.
    pub fn logged_in(profile: Profile, suite: u8) -> Self {
        let mut console = Self::new(profile, suite);
        console.login().unwrap();
        assert_eq!(console.command(APP, 0x3b, &[4]), (0, vec![4]));
        console
    }

    /// The same with SOL activated.
    pub fn with_sol(profile: Profile) -> Self {
        let suite = if profile == Profile::OpenBmc { 17 } else { 3 };
        let mut console = Self::logged_in(profile, suite);
        assert_eq!(console.activate(0xc0).0, 0);
        console
    }

    pub fn activate(&mut self, auxiliary: u8) -> (u8, Vec<u8>) {
        self.sol_sequence = SolSequence::NONE;
        self.command(APP, 0x48, &[1, 1, auxiliary, 0, 0, 0])
    }

    pub fn deactivate(&mut self) -> u8 {
        self.command(APP, 0x49, &[1, 1, 0, 0, 0, 0]).0
    }

    /// Lets the BMC's time pass up to `ms` from now, deadline by deadline.
    pub fn sleep(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(due) = self.bmc.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.bmc.handle_timeout(self.now);
            self.collect();
        }
        self.now = end;
        self.bmc.handle_timeout(self.now);
        self.collect();
    }

    /// Sends a datagram and returns the raw ones that came back.
    pub fn raw(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        self.bmc.handle_datagram(self.now, self.address, datagram);
        let mut answers = Vec::new();
        while let Some((_, datagram)) = self.bmc.poll_transmit() {
            answers.push(datagram);
        }
        answers
    }

    /// A request outside a session, in the v1.5 or the RMCP+ wrapper.
    pub fn sessionless(&mut self, plus: bool, cmd: u8, data: &[u8]) -> Option<(u8, Vec<u8>)> {
        let mut message = Vec::new();
        Message::request(APP, 0, RqSeq::new(9), cmd, data).encode(&mut message);
        let mut datagram = Vec::new();
        if plus {
            rmcpplus::encode_sessionless(PayloadType::Ipmi, &message, &mut datagram);
        } else {
            ipmi15::encode(&ipmi15::Header::SESSIONLESS, &message, &mut datagram);
        }
        let answer = self.raw(&datagram).pop()?;
        let response = if plus {
            let framed = rmcpplus::decode(&answer).unwrap();
            answer[framed.payload].to_vec()
        } else {
            ipmi15::decode(&answer[4..]).unwrap().1.to_vec()
        };
        let response = Message::decode(&response).unwrap();
        assert_eq!((response.net_fn, response.cmd), (APP | 1, cmd));
        Some((response.data[0], response.data[1..].to_vec()))
    }

    /// Sends a session setup payload; the payload of the answer.
    pub fn setup(&mut self, payload_type: PayloadType, payload: &[u8]) -> Option<Vec<u8>> {
        let mut datagram = Vec::new();
        rmcpplus::encode_sessionless(payload_type, payload, &mut datagram);
        let answer = self.raw(&datagram).pop()?;
        let framed = rmcpplus::decode(&answer).unwrap();
        assert_eq!(framed.header.payload_type.number(), payload_type.number() + 1);
        Some(answer[framed.payload].to_vec())
    }

    pub fn open_session(&mut self) -> Result<OpenSessionResponse, Refusal> {
        self.tag += 1;
        let request = OpenSessionRequest {
            message_tag: self.tag,
            requested_maximum_privilege_level: self.open_privilege,
            remote_console_session_id: SessionId(self.remote_id),
            algorithms: self.suite.into(),
        };
        let mut payload = Vec::new();
        request.encode(&mut payload);
        let answer = self.setup(PayloadType::OpenSessionRequest, &payload).unwrap();
        let response = OpenSessionResponse::decode(&answer).unwrap()?;
        assert_eq!(response.message_tag, self.tag);
        self.managed_id = response.managed_system_session_id.0;
        Ok(response)
    }

    pub fn rakp1_payload(&mut self) -> Vec<u8> {
        self.tag += 1;
        let message = Rakp1 {
            message_tag: self.tag,
            managed_system_session_id: SessionId(self.managed_id),
            remote_console_random_number: [0x33; 16],
            role: self.role,
            user_name: &self.user,
        };
        let mut payload = Vec::new();
        message.encode(&mut payload);
        payload
    }

    /// Sends RAKP 1 and keeps the exchange; `None` for silence. The code is not checked.
    pub fn rakp1(&mut self) -> Option<Result<Vec<u8>, Refusal>> {
        let payload = self.rakp1_payload();
        let answer = self.setup(PayloadType::Rakp1, &payload)?;
        let reply = match Rakp2::decode(&answer).unwrap() {
            Ok(reply) => reply,
            Err(refusal) => return Some(Err(refusal)),
        };
        assert_eq!(reply.message_tag, self.tag);
        self.exchange = Some(Exchange {
            authentication: self.suite.authentication,
            remote_console_session_id: SessionId(self.remote_id),
            managed_system_session_id: SessionId(self.managed_id),
            remote_console_random_number: [0x33; 16],
            managed_system_random_number: reply.managed_system_random_number,
            managed_system_guid: reply.managed_system_guid,
            role: self.role,
            user_name: self.user.clone(),
        });
        Some(Ok(reply.key_exchange_auth_code.to_vec()))
    }

    pub fn key(&self) -> UserKey {
        UserKey::new(&self.password).unwrap()
    }

    pub fn rakp2_matches(&self, code: &[u8]) -> bool {
        self.exchange.as_ref().unwrap().rakp2_code(&self.key()).as_bytes() == code
    }

    /// Sends RAKP 3; the check value of RAKP 4.
    pub fn rakp3(&mut self) -> Option<Result<Vec<u8>, Refusal>> {
        self.tag += 1;
        let code = self.exchange.as_ref().unwrap().rakp3_code(&self.key(), self.role);
        let message = Rakp3 {
            message_tag: self.tag,
            status: crate::wire::open_session::StatusCode::NO_ERRORS,
            managed_system_session_id: SessionId(self.managed_id),
            key_exchange_auth_code: code.as_bytes(),
        };
        let mut payload = Vec::new();
        message.encode(&mut payload);
        let answer = self.setup(PayloadType::Rakp3, &payload)?;
        Some(Rakp4::decode(&answer).unwrap().map(|reply| reply.integrity_check_value.to_vec()))
    }

    /// Makes the keys and says whether the check value is right.
    pub fn make_keys(&mut self, icv: &[u8]) -> bool {
        let exchange = self.exchange.as_ref().unwrap();
        let k_g = UserKey::new(&self.k_g);
        let sik = exchange.sik(&self.key(), k_g.as_ref());
        let matches = sik.integrity_check_value(exchange).as_bytes() == icv;
        self.cipher = Some(SessionCipher::new(self.suite, &sik.k1(), &sik.k2(), &self.key()));
        self.sequence = 0;
        matches
    }

    /// The whole login.
    pub fn login(&mut self) -> Result<(), Refusal> {
        self.open_session()?;
        let code = self.rakp1().expect("RAKP 2")?;
        assert!(self.rakp2_matches(&code), "RAKP 2 code");
        let icv = self.rakp3().expect("RAKP 4")?;
        assert!(self.make_keys(&icv), "RAKP 4 check value");
        Ok(())
    }

    /// A sealed session packet with the next number.
    pub fn seal(&mut self, payload_type: PayloadType, payload: &[u8]) -> Vec<u8> {
        self.sequence += 1;
        let packet = Outgoing {
            payload_type,
            session_id: SessionId(self.managed_id),
            session_sequence_number: SessionSequence(self.sequence),
            payload,
            iv: [self.sequence as u8; 16],
        };
        let mut datagram = Vec::new();
        self.cipher.as_ref().unwrap().seal(&packet, &mut datagram);
        datagram
    }

    /// Sends a payload in the session.
    pub fn send(&mut self, payload_type: PayloadType, payload: &[u8]) {
        let datagram = self.seal(payload_type, payload);
        self.bmc.handle_datagram(self.now, self.address, &datagram);
        self.collect();
    }

    /// Decodes everything the BMC sent.
    pub fn collect(&mut self) {
        while let Some((_, mut datagram)) = self.bmc.poll_transmit() {
            let received = self.open(&mut datagram);
            self.inbox.push(received);
        }
    }

    fn open(&mut self, datagram: &mut [u8]) -> Received {
        let Some(cipher) = &self.cipher else { return Received::Other(datagram.to_vec()) };
        if !rmcpplus::is_rmcpplus(datagram) {
            return Received::Other(datagram.to_vec());
        }
        let framed = rmcpplus::decode(datagram).unwrap();
        assert_eq!(framed.header.session_id, SessionId(self.remote_id));
        if cipher.verify(datagram, &framed).is_err() {
            return Received::Other(datagram.to_vec());
        }
        self.numbers.push(framed.header.session_sequence_number.0);
        let payload = cipher.decrypt(datagram, &framed, true).unwrap();
        let payload = &datagram[payload];
        match framed.header.payload_type {
            PayloadType::Ipmi => {
                let (message, _) = Message::decode_unchecked(payload).unwrap();
                Received::Message(message.net_fn, message.cmd, message.data.to_vec())
            }
            _ => match Packet::decode(payload) {
                Ok(packet) => Received::Sol(SolPacket {
                    sequence: packet.sequence.number(),
                    ack: packet.ack_sequence.number(),
                    count: packet.accepted_character_count,
                    status: packet.operation_status,
                    text: packet.characters.to_vec(),
                }),
                Err(_) => Received::ShortSol(payload.len()),
            },
        }
    }

    /// Sends a request; `None` when nothing answers within 10 ms.
    pub fn try_command(&mut self, net_fn: u8, cmd: u8, data: &[u8]) -> Option<(u8, Vec<u8>)> {
        self.rq_seq = (self.rq_seq + 1) & 0x3f;
        let mut message = Vec::new();
        Message::request(net_fn, 0, RqSeq::new(self.rq_seq), cmd, data).encode(&mut message);
        self.send(PayloadType::Ipmi, &message);
        let answer = (net_fn | 1, cmd);
        let is_answer = |received: &Received| match received {
            Received::Message(net_fn, cmd, _) => (*net_fn, *cmd) == answer,
            _ => false,
        };
        if !self.inbox.iter().any(is_answer) {
            self.sleep(10);
        }
        let index = self.inbox.iter().position(is_answer)?;
        match self.inbox.remove(index) {
            Received::Message(_, _, data) => Some((data[0], data[1..].to_vec())),
            _ => None,
        }
    }

    /// Sends a request to another LUN than 0.
    pub fn command_to(&mut self, lun: u8, net_fn: u8, cmd: u8, data: &[u8]) -> (u8, Vec<u8>) {
        self.rq_seq = (self.rq_seq + 1) & 0x3f;
        let mut message = Vec::new();
        Message::request(net_fn, lun, RqSeq::new(self.rq_seq), cmd, data).encode(&mut message);
        self.send(PayloadType::Ipmi, &message);
        match self.inbox.pop() {
            Some(Received::Message(answer, command, data)) => {
                assert_eq!((answer, command), (net_fn | 1, cmd));
                (data[0], data[1..].to_vec())
            }
            other => panic!("no answer but {other:?}"),
        }
    }

    pub fn command(&mut self, net_fn: u8, cmd: u8, data: &[u8]) -> (u8, Vec<u8>) {
        self.try_command(net_fn, cmd, data).expect("an answer")
    }

    /// Sends a SOL packet as it is.
    pub fn sol(&mut self, sequence: u8, ack: u8, count: u8, operation: u8, text: &[u8]) {
        let mut payload = vec![sequence, ack, count, operation];
        payload.extend_from_slice(text);
        self.send(PayloadType::Sol, &payload);
    }

    /// Sends characters under the next number.
    pub fn write(&mut self, text: &[u8]) {
        self.sol_sequence = self.sol_sequence.next();
        self.sol(self.sol_sequence.number(), 0, 0, 0, text);
    }

    /// Acknowledges a packet.
    pub fn ack(&mut self, packet: &SolPacket) {
        self.sol(0, packet.sequence, packet.text.len() as u8, 0, &[]);
    }

    /// Takes the SOL packets that came.
    pub fn sol_packets(&mut self) -> Vec<SolPacket> {
        let mut packets = Vec::new();
        self.inbox.retain(|received| match received {
            Received::Sol(packet) => {
                packets.push(packet.clone());
                false
            }
            _ => true,
        });
        packets
    }

    /// Lets the host print and takes it all, acknowledging each packet.
    pub fn read_all(&mut self, ms: u64) -> Vec<u8> {
        let mut text = Vec::new();
        let end = self.now + Duration::from_millis(ms);
        let mut last = 0;
        while self.now < end {
            let packets = self.sol_packets();
            for packet in packets.iter().filter(|packet| packet.sequence != 0) {
                if packet.sequence != last {
                    text.extend_from_slice(&packet.text);
                }
                last = packet.sequence;
                self.ack(packet);
            }
            if packets.is_empty() {
                self.sleep(10);
            }
        }
        text
    }
}
