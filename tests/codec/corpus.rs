//! Inputs for each decoder, taken out of every vector.

use std::collections::{BTreeMap, BTreeSet};

use bmclink::crypto::suite::SessionCipher;
use bmclink::wire::cipher_suite::CipherSuiteId;
use bmclink::wire::message::{CompletionCode, Message};
use bmclink::wire::payload::PayloadType;
use bmclink::wire::{ipmi15, rmcp, rmcpplus};
use serde_json::Value;

use super::cipher;
use super::vectors::{Fields, Login, Recorded, recorded, spec, unhex};

/// Inputs by the name of the decoders they are for.
#[derive(Default)]
pub struct Corpus(BTreeMap<&'static str, BTreeSet<Vec<u8>>>);

impl Corpus {
    /// Everything `tests/vectors` holds.
    pub fn of_all_vectors() -> Self {
        let mut corpus = Corpus::default();
        corpus.add_spec(&spec());
        for session in recorded() {
            corpus.add_recorded(&session);
        }
        corpus
    }

    /// The names, with the inputs of each.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &BTreeSet<Vec<u8>>)> {
        self.0.iter().map(|(name, inputs)| (*name, inputs))
    }

    /// The inputs of one name.
    pub fn inputs(&self, name: &str) -> Vec<Vec<u8>> {
        self.0.get(name).unwrap_or_else(|| panic!("no vector for {name}")).iter().cloned().collect()
    }

    fn add(&mut self, name: &'static str, input: &[u8]) {
        self.0.entry(name).or_default().insert(input.to_vec());
    }

    fn add_spec(&mut self, spec: &Value) {
        for section in ["handshake_packets", "presession_packets", "v15", "reject_packets"] {
            for entry in spec.entries(section) {
                self.add_datagram(&entry.bytes("packet"), None);
            }
        }
        for entry in spec.entries("session_packets") {
            let suite = CipherSuiteId(entry.number("cipher_suite") as u8);
            self.add_datagram(&entry.bytes("packet"), Some(&cipher::cipher(suite)));
        }
        for entry in spec.entries("lan_messages") {
            self.add_message(&entry.bytes("message"));
        }
        for entry in spec.entries("cipher_suite_records") {
            self.add("cipher_suite", &entry.bytes("data"));
        }
        for (pick, suite) in (0u8..).zip(CipherSuiteId::IMPLEMENTED) {
            for packet in cipher::packets(suite) {
                self.add("session_cipher", &[&[pick], packet.as_slice()].concat());
            }
        }
        // The recordings hold no SOL Activating; this is what one stack sends.
        self.add_message(&unhex("8130 4f 20 00 20 00 01 01 00 be".replace(' ', "").as_str()));
    }

    fn add_recorded(&mut self, session: &Recorded) {
        let mut login = Login::default();
        let mut cipher = None;
        for datagram in &session.datagrams {
            self.add_datagram(&datagram.bytes, cipher.as_ref());
            let Ok(framed) = rmcpplus::decode(&datagram.bytes) else { continue };
            let payload = &datagram.bytes[framed.payload.clone()];
            login.observe(framed.header.payload_type, payload);
            if framed.header.payload_type == PayloadType::Rakp2 {
                cipher = Some(login.cipher(&session.password, session.k_g.as_ref()));
            }
        }
    }

    fn add_datagram(&mut self, datagram: &[u8], cipher: Option<&SessionCipher>) {
        self.add("rmcp", datagram);
        match rmcp::decode(datagram) {
            Ok((rmcp::Class::Asf, block)) => self.add("asf", block),
            Ok((rmcp::Class::Ipmi, _)) if rmcpplus::is_rmcpplus(datagram) => {
                self.add("rmcpplus", datagram);
                self.add_payload(datagram, cipher);
            }
            Ok((rmcp::Class::Ipmi, block)) => {
                self.add("ipmi15", block);
                if let Ok((_, message)) = ipmi15::decode(block) {
                    self.add_message(message);
                }
            }
            Err(_) => {}
        }
    }

    fn add_payload(&mut self, datagram: &[u8], cipher: Option<&SessionCipher>) {
        let Ok(framed) = rmcpplus::decode(datagram) else { return };
        let payload = match cipher {
            Some(cipher) if framed.header.session_id.0 != 0 => cipher::open(cipher, datagram, true),
            _ => Some(datagram[framed.payload].to_vec()),
        };
        let Some(payload) = payload else { return };
        match framed.header.payload_type {
            PayloadType::Ipmi => self.add_message(&payload),
            PayloadType::Sol => self.add("sol", &payload),
            PayloadType::OpenSessionRequest | PayloadType::OpenSessionResponse => {
                self.add("open_session", &payload);
            }
            _ => self.add("rakp", &payload),
        }
    }

    fn add_message(&mut self, bytes: &[u8]) {
        self.add("message", bytes);
        let Ok(message) = Message::decode(bytes) else { return };
        match message.completion() {
            Some((CompletionCode::SUCCESS, data)) if message.is_response() => {
                self.add("session_command", data);
            }
            // The only request a BMC sends is SOL Activating.
            _ if message.from_address == 0x20 => self.add("session_command", message.data),
            _ => {}
        }
    }
}
