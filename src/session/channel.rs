//! How packets of the live session are protected: sealed with the next number on the way out,
//! checked and taken once on the way in.

use std::ops::Range;

use super::quirk::{Quirk, Quirks};
use super::window::{Rule, Window};
use super::{DropReason, Outbox};
use crate::crypto::keys::UserKey;
use crate::crypto::suite::{OpenError, Outgoing, SessionCipher};
use crate::crypto::{Generator, auth15, constant_time_eq};
use crate::wire::cipher_suite::{Confidentiality, Integrity};
use crate::wire::ipmi15::{self, AuthType};
use crate::wire::message::{Message, RqSeq, net_fn};
use crate::wire::payload::PayloadType;
use crate::wire::rmcpplus;
use crate::wire::session_command::cmd;
use crate::wire::{SessionId, SessionSequence, rmcp};

/// The protection of a live session.
#[derive(Debug)]
pub(super) enum Channel {
    V20(Box<ChannelV20>),
    V15(Box<ChannelV15>),
}

#[derive(Debug)]
pub(super) struct ChannelV20 {
    cipher: SessionCipher,
    remote_console_session_id: SessionId,
    managed_system_session_id: SessionId,
    outbound: SessionSequence,
    window: Window,
}

#[derive(Debug)]
pub(super) struct ChannelV15 {
    pub auth_type: AuthType,
    pub password: UserKey,
    /// The one code of every packet, for AuthType OEM.
    pub oem_code: Option<[u8; 16]>,
    pub session_id: SessionId,
    /// The number of the next packet.
    pub outbound: SessionSequence,
    pub window: Window,
    /// Responses may come without AuthCode: per-message authentication is off.
    pub per_message_off: bool,
    pub quirks: Quirks,
}

impl ChannelV20 {
    pub fn new(
        cipher: SessionCipher,
        remote_console_session_id: SessionId,
        managed_system_session_id: SessionId,
    ) -> Self {
        let rule = match cipher.algorithms().integrity {
            Integrity::None => Rule::Unauthenticated,
            _ => Rule::Authenticated,
        };
        ChannelV20 {
            cipher,
            remote_console_session_id,
            managed_system_session_id,
            outbound: SessionSequence(0),
            window: Window::new(SessionSequence(0), rule),
        }
    }

    fn open(
        &mut self,
        datagram: &mut [u8],
        clear_sol: bool,
    ) -> Result<(PayloadType, Range<usize>), DropReason> {
        let framed = rmcpplus::decode(datagram).map_err(|_| DropReason::Malformed)?;
        if framed.header.session_id != self.remote_console_session_id {
            return Err(DropReason::ForeignSession);
        }
        self.cipher.verify(datagram, &framed).map_err(drop_reason)?;
        self.window
            .accept(framed.header.session_sequence_number)
            .map_err(|_| DropReason::StaleSequence)?;
        let payload_type = framed.header.payload_type;
        let clear_allowed = clear_sol && payload_type == PayloadType::Sol;
        let payload = self.cipher.decrypt(datagram, &framed, clear_allowed).map_err(drop_reason)?;
        Ok((payload_type, payload))
    }
}

fn drop_reason(error: OpenError) -> DropReason {
    match error {
        OpenError::NotAuthenticated => DropReason::NotAuthenticated,
        OpenError::WrongAuthCode | OpenError::BadTrailer => DropReason::WrongAuthCode,
        OpenError::WrongEncryption => DropReason::WrongEncryption,
        OpenError::BadPadding => DropReason::BadPadding,
    }
}

impl ChannelV15 {
    fn seal(&mut self, message: &[u8], out: &mut Vec<u8>) {
        let sequence = self.outbound;
        self.outbound = sequence.next();
        let auth_code = self.auth_code(self.session_id, sequence, message);
        let header = ipmi15::Header {
            auth_type: self.auth_type,
            session_sequence_number: sequence,
            session_id: self.session_id,
            auth_code,
        };
        ipmi15::encode(&header, message, out);
    }

    fn auth_code(
        &self,
        session_id: SessionId,
        sequence: SessionSequence,
        message: &[u8],
    ) -> Option<[u8; 16]> {
        self.oem_code.or_else(|| {
            auth15::auth_code(self.auth_type, &self.password, session_id, sequence, message)
        })
    }

    fn open(&mut self, datagram: &[u8]) -> Result<Range<usize>, DropReason> {
        let (_, block) = rmcp::decode(datagram).map_err(|_| DropReason::Malformed)?;
        let (header, message) = ipmi15::decode(block).map_err(|_| DropReason::Malformed)?;
        let zero = header.session_id == SessionId(0) && self.quirks.has(Quirk::IdZero);
        if header.session_id != self.session_id && !zero {
            return Err(DropReason::ForeignSession);
        }
        self.check_auth_code(&header, message)?;
        let mut sequence = header.session_sequence_number;
        if self.quirks.has(Quirk::EndianSeq) {
            sequence = SessionSequence(sequence.0.swap_bytes());
        }
        self.window.accept(sequence).map_err(|_| DropReason::StaleSequence)?;
        let start = message.as_ptr() as usize - datagram.as_ptr() as usize;
        Ok(start..start + message.len())
    }

    fn check_auth_code(&self, header: &ipmi15::Header, message: &[u8]) -> Result<(), DropReason> {
        match header.auth_code {
            None if self.auth_type == AuthType::None || self.per_message_off => Ok(()),
            None => Err(DropReason::NotAuthenticated),
            Some(_) if header.auth_type != self.auth_type => Err(DropReason::NotAuthenticated),
            Some(_) if self.quirks.has(Quirk::NoAuthCodeCheck) => Ok(()),
            Some(code) => {
                let sequence = header.session_sequence_number;
                match self.auth_code(header.session_id, sequence, message) {
                    Some(expected) if constant_time_eq(&expected, &code) => Ok(()),
                    _ => Err(DropReason::WrongAuthCode),
                }
            }
        }
    }
}

impl Channel {
    /// Appends one packet to `out`. A v1.5 session carries IPMI messages only.
    pub fn seal(
        &mut self,
        payload_type: PayloadType,
        payload: &[u8],
        generator: &mut Generator,
        out: &mut Vec<u8>,
    ) {
        match self {
            Channel::V20(v20) => {
                v20.outbound = v20.outbound.next();
                let packet = Outgoing {
                    payload_type,
                    session_id: v20.managed_system_session_id,
                    session_sequence_number: v20.outbound,
                    payload,
                    iv: generator.array(),
                };
                v20.cipher.seal(&packet, out);
            }
            Channel::V15(v15) => v15.seal(payload, out),
        }
    }

    /// Asks the managed system to close this session, without waiting for an answer: for one
    /// that is given up.
    pub fn send_close(&mut self, generator: &mut Generator, out: &mut Outbox) {
        let id = self.managed_system_session_id().0.to_le_bytes();
        let rq_seq = RqSeq::new(generator.number() as u8);
        let message = &mut Vec::with_capacity(16);
        Message::request(net_fn::APP, 0, rq_seq, cmd::CLOSE_SESSION, &id).encode(message);
        self.seal(PayloadType::Ipmi, message, generator, out.push());
    }

    /// Checks, takes and decrypts one packet; says what it carries and where.
    pub fn open(
        &mut self,
        datagram: &mut [u8],
        clear_sol: bool,
    ) -> Result<(PayloadType, Range<usize>), DropReason> {
        match (self, rmcpplus::is_rmcpplus(datagram)) {
            (Channel::V20(v20), true) => v20.open(datagram, clear_sol),
            (Channel::V15(v15), false) => v15.open(datagram).map(|at| (PayloadType::Ipmi, at)),
            _ => Err(DropReason::WrongFormat),
        }
    }

    /// The managed system's session ID, as Close Session and payload ownership name it.
    pub fn managed_system_session_id(&self) -> SessionId {
        match self {
            Channel::V20(v20) => v20.managed_system_session_id,
            Channel::V15(v15) => v15.session_id,
        }
    }

    /// Whether a message with a wrong checksum is taken: its AuthCode already said more.
    pub fn is_authenticated(&self) -> bool {
        match self {
            Channel::V20(v20) => v20.cipher.algorithms().integrity != Integrity::None,
            Channel::V15(v15) => v15.auth_type != AuthType::None,
        }
    }

    /// Whether what is sent cannot be read on its way.
    pub fn encrypts(&self) -> bool {
        self.cipher()
            .is_some_and(|cipher| cipher.algorithms().confidentiality != Confidentiality::None)
    }

    /// Whether SOL is possible.
    pub fn is_v20(&self) -> bool {
        matches!(self, Channel::V20(_))
    }

    /// The cipher, of a v2.0 session.
    pub fn cipher(&self) -> Option<&SessionCipher> {
        match self {
            Channel::V20(v20) => Some(&v20.cipher),
            Channel::V15(_) => None,
        }
    }
}
