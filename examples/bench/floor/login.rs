//! A login by hand: the messages of one RMCP+ session in order, and SOL activated.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use bmclink::CipherSuiteId;
use bmclink::crypto::Generator;
use bmclink::crypto::keys::{Exchange, UserKey};
use bmclink::crypto::suite::{Outgoing, SessionCipher};
use bmclink::wire::cipher_suite::Algorithms;
use bmclink::wire::message::{Message, RqSeq, net_fn};
use bmclink::wire::open_session::{OpenSessionRequest, OpenSessionResponse, StatusCode};
use bmclink::wire::payload::PayloadType;
use bmclink::wire::rakp::{ROLE_NAME_ONLY, Rakp1, Rakp2, Rakp3, Rakp4};
use bmclink::wire::session_command::{activate_payload_request, cmd, sol_auxiliary};
use bmclink::wire::{DATAGRAM_MAX, PrivilegeLevel, SessionId, SessionSequence, rmcpplus};

use crate::bmcs::{PASSWORD, USER};
use crate::report::Result;

/// Longer than any loopback round trip, however busy the machine is.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// What is left of a login: enough to take packets and to make some.
pub struct Keys {
    pub cipher: SessionCipher,
    pub remote_console_session_id: SessionId,
    pub managed_system_session_id: SessionId,
    pub sent: SessionSequence,
    rq_seq: RqSeq,
}

/// Logs in to a BMC and activates SOL.
pub fn log_in(
    socket: &UdpSocket,
    to: SocketAddr,
    suite: CipherSuiteId,
    generator: &mut Generator,
) -> Result<Keys> {
    socket.set_read_timeout(Some(ANSWER_TIME))?;
    let algorithms = suite.algorithms().ok_or("this cipher suite is not implemented")?;
    let key = UserKey::new(PASSWORD.as_bytes()).ok_or("the password is too long")?;
    let line = Line { socket, to };
    let exchange = line.exchange(algorithms, &key, generator)?;
    let sik = exchange.sik(&key, None);
    line.finish(&exchange, &key, sik.integrity_check_value(&exchange).as_bytes())?;
    let mut keys = Keys {
        cipher: SessionCipher::new(algorithms, &sik.k1(), &sik.k2(), &key),
        remote_console_session_id: exchange.remote_console_session_id,
        managed_system_session_id: exchange.managed_system_session_id,
        sent: SessionSequence(0),
        rq_seq: RqSeq::new(0),
    };
    let level = [PrivilegeLevel::Administrator as u8];
    keys.command(&line, generator, cmd::SET_SESSION_PRIVILEGE_LEVEL, &level)?;
    let auxiliary = sol_auxiliary::ENCRYPTION | sol_auxiliary::AUTHENTICATION;
    let data = activate_payload_request(1, auxiliary);
    keys.command(&line, generator, cmd::ACTIVATE_PAYLOAD, &data)?;
    Ok(keys)
}

/// Ends a session without waiting for the answer.
pub fn log_out(
    socket: &UdpSocket,
    to: SocketAddr,
    keys: &mut Keys,
    generator: &mut Generator,
) -> Result<()> {
    let id = keys.managed_system_session_id.0.to_le_bytes();
    let packet = keys.request(generator, cmd::CLOSE_SESSION, &id);
    socket.send_to(&packet, to)?;
    Ok(())
}

/// The way to one BMC.
struct Line<'a> {
    socket: &'a UdpSocket,
    to: SocketAddr,
}

impl Line<'_> {
    fn receive(&self) -> Result<Vec<u8>> {
        let mut datagram = vec![0; DATAGRAM_MAX];
        loop {
            let (len, from) = self
                .socket
                .recv_from(&mut datagram)
                .map_err(|error| format!("no answer from {}: {error}", self.to))?;
            if from == self.to {
                datagram.truncate(len);
                return Ok(datagram);
            }
        }
    }

    /// Sends a message of the login and gives the payload of its answer.
    fn setup(&self, kind: PayloadType, payload: &[u8], answer: PayloadType) -> Result<Vec<u8>> {
        let mut packet = Vec::new();
        rmcpplus::encode_sessionless(kind, payload, &mut packet);
        self.socket.send_to(&packet, self.to)?;
        loop {
            let datagram = self.receive()?;
            let framed = rmcpplus::decode(&datagram)?;
            if framed.header.payload_type == answer {
                return Ok(datagram[framed.payload].to_vec());
            }
        }
    }

    /// Open Session and RAKP 1 and 2.
    fn exchange(
        &self,
        algorithms: Algorithms,
        key: &UserKey,
        generator: &mut Generator,
    ) -> Result<Exchange> {
        let mut payload = Vec::new();
        let remote_console_session_id = SessionId(generator.nonzero());
        let request = OpenSessionRequest {
            message_tag: 1,
            requested_maximum_privilege_level: 0,
            remote_console_session_id,
            algorithms: algorithms.into(),
        };
        request.encode(&mut payload);
        let (kind, answer) = (PayloadType::OpenSessionRequest, PayloadType::OpenSessionResponse);
        let opened = OpenSessionResponse::decode(&self.setup(kind, &payload, answer)?)?
            .map_err(|refusal| format!("Open Session: {}", refusal.status))?;
        let rakp1 = Rakp1 {
            message_tag: 2,
            managed_system_session_id: opened.managed_system_session_id,
            remote_console_random_number: generator.array(),
            role: ROLE_NAME_ONLY | PrivilegeLevel::Administrator as u8,
            user_name: USER.as_bytes(),
        };
        payload.clear();
        rakp1.encode(&mut payload);
        let answer = self.setup(PayloadType::Rakp1, &payload, PayloadType::Rakp2)?;
        let rakp2 = Rakp2::decode(&answer)?.map_err(|r| format!("RAKP 1: {}", r.status))?;
        let exchange = Exchange {
            authentication: algorithms.authentication,
            remote_console_session_id,
            managed_system_session_id: opened.managed_system_session_id,
            remote_console_random_number: rakp1.remote_console_random_number,
            managed_system_random_number: rakp2.managed_system_random_number,
            managed_system_guid: rakp2.managed_system_guid,
            role: rakp1.role,
            user_name: USER.into(),
        };
        if exchange.rakp2_code(key).as_bytes() != rakp2.key_exchange_auth_code {
            return Err("RAKP 2: wrong code".into());
        }
        Ok(exchange)
    }

    /// RAKP 3 and 4.
    fn finish(&self, exchange: &Exchange, key: &UserKey, expected: &[u8]) -> Result<()> {
        let code = exchange.rakp3_code(key, exchange.role);
        let rakp3 = Rakp3 {
            message_tag: 3,
            status: StatusCode::NO_ERRORS,
            managed_system_session_id: exchange.managed_system_session_id,
            key_exchange_auth_code: code.as_bytes(),
        };
        let mut payload = Vec::new();
        rakp3.encode(&mut payload);
        let answer = self.setup(PayloadType::Rakp3, &payload, PayloadType::Rakp4)?;
        let rakp4 = Rakp4::decode(&answer)?.map_err(|r| format!("RAKP 3: {}", r.status))?;
        if rakp4.integrity_check_value == expected {
            Ok(())
        } else {
            Err("RAKP 4: wrong integrity check value".into())
        }
    }
}

impl Keys {
    /// Sends a command of the App network function and waits for its success.
    fn command(
        &mut self,
        line: &Line<'_>,
        generator: &mut Generator,
        command: u8,
        data: &[u8],
    ) -> Result<()> {
        let packet = self.request(generator, command, data);
        line.socket.send_to(&packet, line.to)?;
        loop {
            let mut datagram = line.receive()?;
            let framed = rmcpplus::decode(&datagram)?;
            if framed.header.payload_type != PayloadType::Ipmi {
                continue;
            }
            self.cipher.verify(&datagram, &framed).map_err(|e| format!("{e:?}"))?;
            let at = self.cipher.decrypt(&mut datagram, &framed, false);
            let message = Message::decode(&datagram[at.map_err(|e| format!("{e:?}"))?])?;
            return match message.completion() {
                Some((code, _)) if code.0 == 0 => Ok(()),
                other => Err(format!("command {command:#04x}: {other:?}").into()),
            };
        }
    }

    fn request(&mut self, generator: &mut Generator, command: u8, data: &[u8]) -> Vec<u8> {
        self.rq_seq = self.rq_seq.next();
        let mut message = Vec::new();
        Message::request(net_fn::APP, 0, self.rq_seq, command, data).encode(&mut message);
        let mut packet = Vec::new();
        self.seal(generator, PayloadType::Ipmi, &message, &mut packet);
        packet
    }

    /// Appends the next packet of the session.
    pub fn seal(
        &mut self,
        generator: &mut Generator,
        payload_type: PayloadType,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        self.sent = self.sent.next();
        let packet = Outgoing {
            payload_type,
            session_id: self.managed_system_session_id,
            session_sequence_number: self.sent,
            payload,
            iv: generator.array(),
        };
        self.cipher.seal(&packet, out);
    }
}
