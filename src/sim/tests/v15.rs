//! IPMI v1.5 sessions.

use super::Console;
use super::console::APP;
use crate::crypto::auth15::{auth_code, oem_auth_code};
use crate::sim::{BmcOptions, Misbehaviour, Profile};
use crate::wire::ipmi15::{self, AuthType, Header};
use crate::wire::message::{Message, RqSeq};
use crate::wire::session_command::{ActivatedSession, activate_session_request};
use crate::wire::session_command::{session_challenge_request, session_challenge_response};
use crate::wire::{SessionId, SessionSequence};

struct V15 {
    console: Console,
    auth_type: AuthType,
    id: u32,
    sequence: u32,
    challenge: [u8; 16],
    authenticated: bool,
}

impl V15 {
    fn request(&mut self, cmd: u8, data: &[u8]) -> Option<(Header, u8, Vec<u8>)> {
        let mut message = Vec::new();
        Message::request(APP, 0, RqSeq::new(3), cmd, data).encode(&mut message);
        let mut header = Header {
            auth_type: self.auth_type,
            session_sequence_number: SessionSequence(self.sequence),
            session_id: SessionId(self.id),
            auth_code: None,
        };
        if self.sequence != 0 {
            self.sequence += 1;
        }
        if self.authenticated {
            header.auth_code = self.code(&header, &message);
        } else {
            header.auth_type = AuthType::None;
        }
        let mut datagram = Vec::new();
        ipmi15::encode(&header, &message, &mut datagram);
        let answer = self.console.raw(&datagram).pop()?;
        let (header, message) = ipmi15::decode(&answer[4..]).unwrap();
        let response = Message::decode(message).unwrap();
        let code = self.code(&header, message);
        if header.auth_type != AuthType::None {
            assert!(code == header.auth_code || self.console.bmc.options().quirks.noauthcodecheck);
        }
        Some((header, response.data[0], response.data[1..].to_vec()))
    }

    fn code(&self, header: &Header, message: &[u8]) -> Option<[u8; 16]> {
        let key = self.console.key();
        match self.auth_type {
            AuthType::Oem => Some(oem_auth_code(&key, &self.challenge)),
            auth_type => {
                let number = header.session_sequence_number;
                auth_code(auth_type, &key, header.session_id, number, message)
            }
        }
    }

    fn login(quirks: Misbehaviour, auth_type: AuthType) -> (V15, Header) {
        let options = BmcOptions { quirks, ..Default::default() };
        let mut console = Console::with(options, 3);
        let mut name = [0; 16];
        name[..5].copy_from_slice(b"admin");
        let request = session_challenge_request(auth_type, &name);
        let (code, data) = console.sessionless(false, 0x39, &request).unwrap();
        assert_eq!(code, 0);
        let (id, challenge) = session_challenge_response(&data).unwrap();
        let mut v15 =
            V15 { console, auth_type, id: id.0, sequence: 0, challenge, authenticated: true };
        let sent = if auth_type == AuthType::Oem { [0; 16] } else { challenge };
        let request = activate_session_request(auth_type, 4, &sent, 1000);
        let (header, code, data) = v15.request(0x3a, &request).unwrap();
        assert_eq!(code, 0);
        let activated = ActivatedSession::decode(&data).unwrap();
        v15.id = activated.session_id.0;
        v15.sequence = activated.initial_inbound_sequence;
        (v15, header)
    }
}

#[test]
fn every_auth_type_opens_a_session() {
    for auth_type in [AuthType::None, AuthType::Md2, AuthType::Md5, AuthType::StraightPassword] {
        let (mut v15, header) = V15::login(Misbehaviour::default(), auth_type);
        assert_eq!(header.session_sequence_number, SessionSequence(1000));
        let (header, code, data) = v15.request(0x3b, &[4]).unwrap();
        assert_eq!((code, data), (0, vec![4]));
        assert_eq!(header.session_sequence_number, SessionSequence(1001));
        assert_eq!(header.auth_type, auth_type);
        let id = v15.id.to_le_bytes();
        assert_eq!(v15.request(0x3c, &id).unwrap().1, 0);
        assert_eq!(v15.console.bmc.sessions(), 0);
    }
}

#[test]
fn a_wrong_password_is_met_with_silence() {
    let mut name = [0; 16];
    name[..5].copy_from_slice(b"admin");
    let mut console = Console::new(Profile::Spec, 3);
    console.password = b"wrong".to_vec();
    let request = session_challenge_request(AuthType::Md5, &name);
    let (_, data) = console.sessionless(false, 0x39, &request).unwrap();
    let (id, challenge) = session_challenge_response(&data).unwrap();
    let auth_type = AuthType::Md5;
    let mut v15 = V15 { console, auth_type, id: id.0, sequence: 0, challenge, authenticated: true };
    let request = activate_session_request(auth_type, 4, &challenge, 1);
    assert!(v15.request(0x3a, &request).is_none());
    assert_eq!(v15.console.bmc.counters().bad_auth_code, 1);
}

#[test]
fn unknown_users_and_the_null_user_have_their_own_codes() {
    let mut console = Console::new(Profile::Spec, 3);
    let mut name = [0; 16];
    let request = session_challenge_request(AuthType::Md5, &name);
    assert_eq!(console.sessionless(false, 0x39, &request).unwrap().0, 0x82);
    name[0] = b'x';
    let request = session_challenge_request(AuthType::Md5, &name);
    assert_eq!(console.sessionless(false, 0x39, &request).unwrap().0, 0x81);
}

#[test]
fn replayed_packets_are_dropped() {
    let (mut v15, _) = V15::login(Misbehaviour::default(), AuthType::Md5);
    assert!(v15.request(0x01, &[]).is_some());
    v15.sequence -= 1;
    assert!(v15.request(0x01, &[]).is_none());
    v15.sequence += 20;
    assert!(v15.request(0x01, &[]).is_none());
    assert_eq!(v15.console.bmc.counters().out_of_window, 2);
}

#[test]
fn per_message_authentication_can_be_off() {
    let flag = |name: &str| {
        let mut quirks = Misbehaviour::default();
        assert!(quirks.enable(name));
        V15::login(quirks, AuthType::Md5).0
    };
    let mut v15 = flag("per_message_auth_off");
    v15.authenticated = false;
    assert_eq!(v15.request(0x01, &[]).unwrap().0.auth_type, AuthType::None);
    let mut v15 = flag("unexpectedauth");
    v15.authenticated = false;
    assert_eq!(v15.request(0x01, &[]).unwrap().0.auth_type, AuthType::Md5);
    let mut v15 = flag("forcepermsg");
    v15.authenticated = false;
    assert!(v15.request(0x01, &[]).is_none());
    v15.authenticated = true;
    assert!(v15.request(0x01, &[]).is_some());
}

#[test]
fn replies_can_be_wrong_in_many_ways() {
    let quirks = Misbehaviour { idzero: true, ..Default::default() };
    let (mut v15, _) = V15::login(quirks, AuthType::Md5);
    assert_eq!(v15.request(0x01, &[]).unwrap().0.session_id, SessionId(0));
    let quirks = Misbehaviour { endianseq: true, ..Default::default() };
    let (mut v15, header) = V15::login(quirks, AuthType::Md5);
    assert_eq!(header.session_sequence_number.0, 1000u32.swap_bytes());
    assert_eq!(v15.request(0x01, &[]).unwrap().0.session_sequence_number.0, 1001u32.swap_bytes());
    let quirks = Misbehaviour { noauthcodecheck: true, ..Default::default() };
    let (mut v15, _) = V15::login(quirks, AuthType::Md5);
    assert_eq!(v15.request(0x01, &[]).unwrap().0.auth_code, Some([0; 16]));
    let quirks = Misbehaviour { oem_auth: true, ..Default::default() };
    let (mut v15, _) = V15::login(quirks, AuthType::Oem);
    assert_eq!(v15.request(0x01, &[]).unwrap().1, 0);
}

#[test]
fn ipmi_sim_repeats_its_first_number() {
    let quirks = Misbehaviour::default();
    let options = BmcOptions { profile: Profile::IpmiSim, quirks, ..Default::default() };
    let mut console = Console::with(options, 3);
    let mut name = [0; 16];
    name[..5].copy_from_slice(b"admin");
    let request = session_challenge_request(AuthType::Md5, &name);
    let (_, data) = console.sessionless(false, 0x39, &request).unwrap();
    let (id, challenge) = session_challenge_response(&data).unwrap();
    let auth_type = AuthType::Md5;
    let mut v15 = V15 { console, auth_type, id: id.0, sequence: 0, challenge, authenticated: true };
    let zero = activate_session_request(auth_type, 4, &challenge, 0);
    assert_eq!(v15.request(0x3a, &zero).unwrap().1, 0x85);
    let request = session_challenge_request(AuthType::Md5, &name);
    let (_, data) = v15.console.sessionless(false, 0x39, &request).unwrap();
    let (id, challenge) = session_challenge_response(&data).unwrap();
    (v15.id, v15.challenge) = (id.0, challenge);
    let request = activate_session_request(auth_type, 4, &challenge, 500);
    let (_, _, data) = v15.request(0x3a, &request).unwrap();
    let activated = ActivatedSession::decode(&data).unwrap();
    v15.sequence = activated.initial_inbound_sequence;
    let numbers: Vec<u32> =
        (0..3).map(|_| v15.request(0x01, &[]).unwrap().0.session_sequence_number.0).collect();
    assert_eq!(numbers, [500, 501, 502]);
}
