//! `vectors/recorded/`: sessions between programs of other people verify, decrypt and are built
//! again byte for byte, from user name, password and the datagrams alone.
//!
//! `vectors/ORIGIN.md` says whose they are.

mod codec;

use bmclink::crypto::auth15;
use bmclink::crypto::suite::SessionCipher;
use bmclink::wire::ipmi15::{self, AuthType};
use bmclink::wire::message::Message;
use bmclink::wire::payload::PayloadType;
use bmclink::wire::rmcp::{self, AsfMessage, Class};
use bmclink::wire::{SessionId, rmcpplus, sol};

use codec::random::{SplitMix64, seed};
use codec::replay::{
    codes_match, lets_in, open_and_reseal, session_payload_again, sessionless, setup_payload_again,
    suite, written,
};
use codec::vectors::{Fields, Login, Recorded, hex, recorded};

/// What the recorded sessions held.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    sessions: usize,
    datagrams: usize,
    asf: usize,
    /// v1.5 packets without, and with, an AuthCode.
    v15_clear: usize,
    v15_authenticated: usize,
    setup: usize,
    /// Session packets of suites without integrity.
    clear: usize,
    /// Session packets with an AuthCode, by direction.
    protected_to_bmc: usize,
    protected_from_bmc: usize,
    encrypted: usize,
    /// Packets that we would have built otherwise: padding of their own.
    built_otherwise: usize,
    sol: usize,
    /// SOL packets with more characters than an accepted count can say.
    sol_256: usize,
    /// LAN messages with a wrong checksum inside an authenticated packet.
    wrong_checksum: usize,
    /// Sessions whose keys the client had printed.
    keys_printed: usize,
    /// Damaged datagrams that were refused.
    damaged: usize,
}

#[test]
fn recorded_sessions() {
    let seed = seed();
    let mut tally = Tally::default();
    for session in recorded() {
        println!("{} (seed {seed})", session.name);
        let mut replay = Replay {
            login: Login::default(),
            cipher: None,
            random: SplitMix64(seed),
            bmc_packets: 0,
            session: &session,
            tally: &mut tally,
        };
        for datagram in &session.datagrams {
            replay.take(datagram.from_bmc, &datagram.bytes);
        }
        replay.judge_keys();
        tally.sessions += 1;
        tally.datagrams += session.datagrams.len();
    }
    let expected = Tally {
        sessions: 50,
        datagrams: 1732,
        asf: 6,
        v15_clear: 122,
        v15_authenticated: 32,
        setup: 282,
        clear: 426,
        protected_to_bmc: 447,
        protected_from_bmc: 417,
        encrypted: 498,
        built_otherwise: 0,
        sol: 636,
        sol_256: 2,
        wrong_checksum: 0,
        keys_printed: 21,
        damaged: 72_973,
    };
    assert_eq!(tally, expected);
}

struct Replay<'a> {
    session: &'a Recorded,
    login: Login,
    cipher: Option<SessionCipher>,
    random: SplitMix64,
    bmc_packets: usize,
    tally: &'a mut Tally,
}

impl Replay<'_> {
    fn take(&mut self, from_bmc: bool, datagram: &[u8]) {
        let (class, block) = rmcp::decode(datagram).expect("an RMCP datagram");
        if class == Class::Asf {
            self.take_asf(from_bmc, datagram, block);
        } else if !rmcpplus::is_rmcpplus(datagram) {
            self.take_v15(datagram, block);
        } else {
            let framed = rmcpplus::decode(datagram).expect("an RMCP+ packet");
            if framed.header.payload_type.is_session_setup() {
                self.take_setup(from_bmc, datagram);
            } else {
                self.take_session_packet(from_bmc, datagram);
            }
        }
    }

    fn take_asf(&mut self, from_bmc: bool, datagram: &[u8], block: &[u8]) {
        let again = match rmcp::decode_asf(block).expect("an ASF message") {
            AsfMessage::Ping { message_tag } => {
                assert!(!from_bmc);
                written(|out| rmcp::encode_presence_ping(message_tag, out))
            }
            AsfMessage::Pong { message_tag, supports_ipmi } => {
                assert!(from_bmc && supports_ipmi);
                written(|out| rmcp::encode_presence_pong(message_tag, out))
            }
        };
        assert_eq!(hex(&again), hex(datagram));
        self.tally.asf += 1;
    }

    fn take_v15(&mut self, datagram: &[u8], block: &[u8]) {
        let (header, message) = ipmi15::decode(block).expect("a v1.5 packet");
        assert_eq!(self.auth_code(&header, message), header.auth_code);
        let again = written(|out| ipmi15::encode(&header, message, out));
        assert_eq!(hex(&again), hex(datagram));
        assert_eq!(hex(&session_payload_again(PayloadType::Ipmi, message)), hex(message));
        if header.auth_code.is_none() {
            self.tally.v15_clear += 1;
            return;
        }
        self.tally.v15_authenticated += 1;
        if header.auth_type == AuthType::Md5 {
            for at in 0..block.len() {
                let mut damaged = block.to_vec();
                damaged[at] ^= 1 << self.random.below(8);
                assert!(!self.lets_v15_in(header.auth_type, &damaged), "byte {at} changed");
                self.tally.damaged += 1;
            }
        }
    }

    fn auth_code(&self, header: &ipmi15::Header, message: &[u8]) -> Option<[u8; 16]> {
        auth15::auth_code(
            header.auth_type,
            &self.session.password,
            header.session_id,
            header.session_sequence_number,
            message,
        )
    }

    fn lets_v15_in(&self, auth_type: AuthType, block: &[u8]) -> bool {
        ipmi15::decode(block).is_ok_and(|(header, message)| {
            header.auth_type == auth_type && self.auth_code(&header, message) == header.auth_code
        })
    }

    fn take_setup(&mut self, from_bmc: bool, datagram: &[u8]) {
        let (payload_type, payload) = sessionless(datagram);
        assert_eq!(from_bmc, payload_type.number() & 1 == 1);
        self.login.observe(payload_type, payload);
        let (password, k_g) = (&self.session.password, self.session.k_g.as_ref());
        assert!(codes_match(payload_type, payload, &self.login, password, k_g), "{payload_type:?}");
        assert_eq!(hex(&setup_payload_again(payload_type, payload)), hex(payload));
        if payload_type == PayloadType::Rakp4 {
            self.cipher = Some(self.login.cipher(password, k_g));
        }
        if let PayloadType::Rakp2 | PayloadType::Rakp3 | PayloadType::Rakp4 = payload_type {
            self.damage_code(payload_type, payload);
        }
        self.tally.setup += 1;
    }

    /// A code with one bit changed does not match.
    fn damage_code(&mut self, payload_type: PayloadType, payload: &[u8]) {
        let from = if payload_type == PayloadType::Rakp2 { 40 } else { 8 };
        for at in from..payload.len() {
            let mut damaged = payload.to_vec();
            damaged[at] ^= 1 << self.random.below(8);
            let (password, k_g) = (&self.session.password, self.session.k_g.as_ref());
            assert!(!codes_match(payload_type, &damaged, &self.login, password, k_g), "byte {at}");
            self.tally.damaged += 1;
        }
    }

    fn take_session_packet(&mut self, from_bmc: bool, datagram: &[u8]) {
        let cipher = self.cipher.as_ref().expect("a login before the first session packet");
        let (framed, payload, again) = open_and_reseal(cipher, datagram);
        let receiver = match from_bmc {
            true => self.login.remote_console_session_id,
            false => self.login.managed_system_session_id,
        };
        assert_eq!(framed.header.session_id, receiver);
        self.tally.built_otherwise += usize::from(again != datagram);
        self.tally.encrypted += usize::from(framed.header.encrypted);
        self.take_payload(framed.header.payload_type, &payload);
        match (framed.header.authenticated, from_bmc) {
            (false, _) => self.tally.clear += 1,
            (true, false) => self.tally.protected_to_bmc += 1,
            (true, true) => self.tally.protected_from_bmc += 1,
        }
        if framed.header.authenticated {
            self.damage(receiver, from_bmc, datagram);
        }
    }

    fn take_payload(&mut self, payload_type: PayloadType, payload: &[u8]) {
        match payload_type {
            PayloadType::Ipmi => {
                let (message, valid) = Message::decode_unchecked(payload).expect("a LAN message");
                let again = written(|out| message.encode(out));
                assert_eq!(valid, again == payload);
                self.tally.wrong_checksum += usize::from(!valid);
            }
            _ => {
                assert_eq!(hex(&session_payload_again(payload_type, payload)), hex(payload));
                let packet = sol::Packet::decode(payload).expect("checked above");
                self.tally.sol += 1;
                self.tally.sol_256 += usize::from(packet.characters.len() > sol::CHARACTERS_MAX);
            }
        }
    }

    /// With one bit changed the packet is refused: at every byte up to the second one of the BMC,
    /// at one seeded byte of the others.
    fn damage(&mut self, receiver: SessionId, from_bmc: bool, datagram: &[u8]) {
        self.bmc_packets += usize::from(from_bmc);
        let cipher = self.cipher.as_ref().expect("there is one");
        let every_byte = self.bmc_packets <= 2;
        let positions = match every_byte {
            true => 0..datagram.len(),
            false => {
                let at = rmcpplus::FORMAT_OFFSET
                    + self.random.below(datagram.len() - rmcpplus::FORMAT_OFFSET);
                at..at + 1
            }
        };
        for at in positions {
            if at == 1 {
                continue; // The RMCP header's reserved byte: nothing covers it, nobody reads it.
            }
            let bits = if every_byte { 0..8 } else { 0..1 };
            for bit in bits {
                let bit = if every_byte { bit } else { self.random.below(8) };
                let mut damaged = datagram.to_vec();
                damaged[at] ^= 1 << bit;
                assert!(!lets_in(cipher, receiver, &damaged), "byte {at} bit {bit} changed");
                self.tally.damaged += 1;
            }
        }
    }

    /// Keys and numbers as the recording has them, and as the client printed them.
    fn judge_keys(&mut self) {
        let fields = &self.session.fields;
        if self.cipher.is_none() {
            assert!(fields.get("authtype").is_some(), "a v1.5 session");
            return;
        }
        assert_eq!(self.login.algorithms, suite(fields).algorithms());
        let exchange = self.login.exchange();
        assert_eq!(exchange.user_name, self.session.user_name);
        assert_eq!(u32::from(exchange.role), fields.number("role_byte"));
        assert_eq!(
            exchange.remote_console_session_id.0.to_le_bytes()[..],
            fields.bytes("console_sid")
        );
        assert_eq!(exchange.managed_system_session_id.0.to_le_bytes()[..], fields.bytes("bmc_sid"));
        assert_eq!(exchange.remote_console_random_number[..], fields.bytes("console_random"));
        assert_eq!(exchange.managed_system_random_number[..], fields.bytes("bmc_random"));
        assert_eq!(exchange.managed_system_guid[..], fields.bytes("guid"));
        let sik = exchange.sik(&self.session.password, self.session.k_g.as_ref());
        let keys = [("sik", sik.expose()), ("k1", sik.k1().expose()), ("k2", sik.k2().expose())]
            .map(|(name, key)| (name, hex(key)));
        for (name, key) in &keys {
            for field in [(*name).to_owned(), format!("client_printed_{name}")] {
                // Nobody wrote the keys of suites without any use for them.
                if fields.get(&field).is_some() {
                    assert_eq!(fields.text(&field), key, "{field}");
                }
            }
        }
        self.tally.keys_printed += usize::from(fields.get("client_printed_sik").is_some());
    }
}
