//! `vectors/spec.json`: packets worked out from the specification decode, verify, decrypt and are
//! built again byte for byte.
//!
//! `vectors/ORIGIN.md` says who made them. `sequence_window` is judged in `session::window`.

mod codec;

use bmclink::crypto::auth15;
use bmclink::crypto::keys::UserKey;
use bmclink::crypto::suite::{OpenError, Outgoing};
use bmclink::wire::cipher_suite::{self, CipherSuiteId, Record};
use bmclink::wire::ipmi15::{self, AuthType};
use bmclink::wire::message::{BMC_ADDRESS, CompletionCode, Message};
use bmclink::wire::open_session::OpenSessionResponse;
use bmclink::wire::payload::PayloadType;
use bmclink::wire::rakp::{Rakp2, Rakp4};
use bmclink::wire::rmcp::{self, AsfMessage, Class};
use bmclink::wire::rmcpplus::{self, IntegrityPad};
use bmclink::wire::session_command::ChannelAuthenticationCapabilities;
use bmclink::wire::{SessionId, SessionSequence};
use serde_json::Value;

use codec::cipher;
use codec::replay::{
    codes_match, ipmi_block, lets_in, open_and_reseal, session_payload_again, sessionless,
    setup_payload_again, suite, written,
};
use codec::vectors::{Fields, Login, hex, spec};

#[test]
fn every_section_of_spec_json_is_known() {
    let expected = [
        ("aes_payloads", 9),
        ("cipher_suite_records", 4),
        ("common", 6),
        ("format", 1),
        ("handshake_packets", 31),
        ("lan_messages", 6),
        ("presession_packets", 8),
        ("rakp", 15),
        ("reject_packets", 11),
        ("sequence_window", 4),
        ("session_packets", 39),
        ("v15", 12),
    ];
    let spec = spec();
    let sections = spec.as_object().expect("an object").iter();
    let mut found: Vec<(&str, usize)> = sections
        .map(|(name, section)| {
            let len = section.as_array().map(Vec::len);
            let len = len.or_else(|| section.as_object().map(|fields| fields.len())).unwrap_or(1);
            (name.as_str(), len)
        })
        .collect();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(spec.number("format"), 1);
}

#[test]
fn common_inputs_are_those_of_the_fixed_session() {
    let spec = spec();
    let common = &spec["common"];
    let exchange = cipher::exchange(cipher_suite::Authentication::HmacSha1);
    assert_eq!(common.number("console_session_id"), exchange.remote_console_session_id.0);
    assert_eq!(common.number("bmc_session_id"), exchange.managed_system_session_id.0);
    assert_eq!(common.bytes("console_random"), exchange.remote_console_random_number);
    assert_eq!(common.bytes("bmc_random"), exchange.managed_system_random_number);
    assert_eq!(common.bytes("bmc_guid"), exchange.managed_system_guid);
    assert_eq!(common.bytes("iv"), cipher::IV);
}

#[test]
fn rakp_codes_and_keys() {
    let spec = spec();
    for entry in spec.entries("rakp") {
        let id = entry.text("id");
        let algorithms = suite(entry).algorithms().expect("implemented");
        let mut exchange = cipher::exchange(algorithms.authentication);
        exchange.user_name = entry.bytes("user");
        exchange.role = entry.number("role") as u8;
        let password = UserKey::new(&entry.bytes("password")).expect("20 bytes at most");
        let k_g = entry["kg"].as_str().map(|_| entry.bytes("kg"));
        let k_g = k_g.map(|k_g| UserKey::new(&k_g).expect("20 bytes at most"));
        assert_eq!(password.expose().as_slice(), entry.bytes("kuid_padded20"), "{id}");

        let rakp3 = exchange.rakp3_code(&password, exchange.role);
        assert_eq!(exchange.rakp2_code(&password).as_bytes(), entry.bytes("rakp2_code"), "{id}");
        assert_eq!(rakp3.as_bytes(), entry.bytes("rakp3_code"), "{id}");
        let sik = exchange.sik(&password, k_g.as_ref());
        assert_eq!(sik.expose(), entry.bytes("sik"), "{id}");
        assert_eq!(sik.k1().expose(), entry.bytes("k1"), "{id}");
        assert_eq!(sik.k2().expose(), entry.bytes("k2"), "{id}");
        assert_eq!(sik.k2().aes_key().as_slice(), entry.bytes("aes_key"), "{id}");
        let value = sik.integrity_check_value(&exchange);
        assert_eq!(value.as_bytes(), entry.bytes("rakp4_icv"), "{id}");
        assert_eq!(value.as_bytes().len(), algorithms.authentication.icv_len(), "{id}");
    }
}

#[test]
fn handshake_packets() {
    let spec = spec();
    let (mut good, mut refused, mut rejected) = (0, 0, 0);
    let mut login = Login::default();
    for entry in spec.entries("handshake_packets") {
        let (id, packet) = (entry.text("id"), entry.bytes("packet"));
        assert_eq!(packet.len(), entry.number("len") as usize, "{id}");
        let (payload_type, payload) = sessionless(&packet);
        if let Some((status, tag, session_id)) = refusal_of(id) {
            let refusal = match payload_type {
                PayloadType::OpenSessionResponse => OpenSessionResponse::decode(payload)
                    .expect("a response")
                    .expect_err("a refusal"),
                PayloadType::Rakp2 => {
                    Rakp2::decode(payload).expect("RAKP 2").expect_err("a refusal")
                }
                _ => Rakp4::decode(payload).expect("RAKP 4").expect_err("a refusal"),
            };
            assert_eq!((refusal.status.0, refusal.message_tag), (status, tag), "{id}");
            assert_eq!(refusal.remote_console_session_id.0, session_id, "{id}");
            if payload.len() == 8 {
                assert_eq!(written(|out| refusal.encode(out)), payload, "{id}");
            }
            refused += 1;
            continue;
        }
        let reject = entry["expect"].as_str() == Some("reject");
        if reject {
            // Both are of the suite 3 login.
            login = suite_3_login(&spec);
        } else {
            login.observe(payload_type, payload);
        }
        let matches = codes_match(payload_type, payload, &login, &cipher::password(), None);
        assert_eq!(matches, !reject, "{id}");
        assert_eq!(hex(&setup_payload_again(payload_type, payload)), hex(payload), "{id}");
        if reject {
            rejected += 1;
        } else {
            let expected = match payload_type {
                PayloadType::OpenSessionResponse => suite(entry).algorithms(),
                _ => login.algorithms,
            };
            assert_eq!(login.algorithms, expected, "{id}");
            good += 1;
        }
    }
    assert_eq!((good, refused, rejected), (24, 5, 2));
}

/// Status, tag and session ID of the error replies.
fn refusal_of(id: &str) -> Option<(u8, u8, u32)> {
    Some(match id {
        "open-rs-err-short" => (0x11, 1, 0),
        "open-rs-err-8" => (0x01, 1, 0x1122_3344),
        "rakp2-err-8" => (0x0d, 2, 0x1122_3344),
        "rakp2-err-40-tag0" => (0x0d, 0, 0),
        "rakp4-err-8" => (0x0f, 3, 0x1122_3344),
        _ => return None,
    })
}

fn suite_3_login(spec: &Value) -> Login {
    let mut login = Login::default();
    for entry in spec.entries("handshake_packets") {
        if entry.text("id").ends_with("-cs3") {
            let packet = entry.bytes("packet");
            let (payload_type, payload) = sessionless(&packet);
            login.observe(payload_type, payload);
        }
    }
    login
}

#[test]
fn presession_packets() {
    let spec = spec();
    for entry in spec.entries("presession_packets") {
        let (id, packet) = (entry.text("id"), entry.bytes("packet"));
        match id {
            "rmcp-ack" => assert!(rmcp::decode(&packet).is_err()),
            "asf-ping" | "asf-pong" => {
                let (message_tag, supports_ipmi) = (0x2a, true);
                let (class, block) = rmcp::decode(&packet).expect("an RMCP datagram");
                let (message, again) = if id == "asf-ping" {
                    let again = written(|out| rmcp::encode_presence_ping(message_tag, out));
                    (AsfMessage::Ping { message_tag }, again)
                } else {
                    let again = written(|out| rmcp::encode_presence_pong(message_tag, out));
                    (AsfMessage::Pong { message_tag, supports_ipmi }, again)
                };
                assert_eq!((class, rmcp::decode_asf(block)), (Class::Asf, Ok(message)));
                assert_eq!(hex(&again), hex(&packet), "{id}");
            }
            "v20-cipher-rq" => {
                let (payload_type, payload) = sessionless(&packet);
                assert_eq!(payload_type, PayloadType::Ipmi);
                assert_eq!(hex(&session_payload_again(payload_type, payload)), hex(payload));
            }
            _ => {
                let (header, message) = ipmi15::decode(ipmi_block(&packet)).expect("a packet");
                assert_eq!(header, ipmi15::Header::SESSIONLESS, "{id}");
                assert_eq!(hex(&session_payload_again(PayloadType::Ipmi, message)), hex(message));
                let again = written(|out| ipmi15::encode(&header, message, out));
                assert_eq!(hex(&again), hex(&packet), "{id}");
                judge_capabilities(id, &Message::decode(message).expect("checked above"));
            }
        }
    }
}

fn judge_capabilities(id: &str, message: &Message<'_>) {
    match (id, message.completion()) {
        ("v15-authcap-rs", Some((CompletionCode::SUCCESS, data))) => {
            let answer = ChannelAuthenticationCapabilities::decode(data).expect("a response");
            assert_eq!((answer.channel, answer.supports_v2()), (1, true));
            assert!(!answer.supports_auth_type(AuthType::Md5));
        }
        ("v15-authcap-rs-cc", Some((code, []))) => {
            assert_eq!(code, CompletionCode::INVALID_DATA_FIELD);
        }
        ("v15-authcap-rq" | "v15-cipher-rq", _) => assert!(!message.is_response()),
        _ => panic!("unknown entry {id}"),
    }
}

#[test]
fn cipher_suite_records() {
    let spec = spec();
    for entry in spec.entries("cipher_suite_records") {
        let (id, data) = (entry.text("id"), entry.bytes("data"));
        let (records, error) = cipher_suite::decode_records(&data);
        assert_eq!(error, None, "{id}");
        if entry["suites"].is_null() {
            // A strict parser stops here. Ours reads by position.
            let [record] = records.as_slice() else { panic!("{id}: {records:?}") };
            assert_eq!((record.id.0, record.authentication), (3, 1), "{id}");
            assert_eq!(
                (record.integrity.as_slice(), record.confidentiality.as_slice()),
                (&[1][..], &[1][..])
            );
            continue;
        }
        let expected: Vec<Record> = entry.entries("suites").iter().map(record).collect();
        assert_eq!(records, expected, "{id}");
        if id == "std-three" {
            let again = written(|out| {
                records.iter().for_each(|record| cipher_suite::encode_record(record.id, out));
            });
            assert_eq!(hex(&again), hex(&data));
        }
    }
}

fn record(entry: &Value) -> Record {
    let numbers = |field| -> Vec<u8> {
        entry.entries(field).iter().map(|n| n.as_u64().expect("a number") as u8).collect()
    };
    Record {
        id: CipherSuiteId(entry.number("id") as u8),
        oem_iana: entry["oem"].as_u64().map(|iana| iana as u32),
        authentication: entry.number("auth") as u8,
        integrity: numbers("integ"),
        confidentiality: numbers("conf"),
    }
}

#[test]
fn session_packets() {
    let spec = spec();
    let mut parse_only = 0;
    for entry in spec.entries("session_packets") {
        let (id, packet) = (entry.text("id"), entry.bytes("packet"));
        let cipher = match id {
            "integrity-pad-4-cs2" => {
                cipher::cipher(suite(entry)).with_integrity_pad(IntegrityPad::NeverZero)
            }
            _ => cipher::cipher(suite(entry)),
        };
        let (framed, payload, again) = open_and_reseal(&cipher, &packet);
        assert_eq!(hex(&payload), hex(&entry.bytes("payload")), "{id}");
        let payload_type = framed.header.payload_type;
        assert_eq!(u32::from(payload_type.number()), entry.number("payload_type"), "{id}");
        assert_eq!(framed.header.session_id.0, entry.number("session_id"), "{id}");
        assert_eq!(framed.header.session_sequence_number.0, entry.number("sequence"), "{id}");
        let algorithms = suite(entry).algorithms().expect("implemented");
        assert_eq!(framed.header.authenticated, algorithms.integrity.auth_code_len() > 0, "{id}");
        assert_eq!(packet.len(), entry.number("len") as usize, "{id}");
        if id == "aes-pad-16-cs3" {
            assert_eq!(again.len() + 16, packet.len(), "{id}: we never send that block");
            parse_only += 1;
        } else {
            assert_eq!(hex(&again), hex(&packet), "{id}");
        }
        assert_eq!(hex(&session_payload_again(payload_type, &payload)), hex(&payload), "{id}");
    }
    assert_eq!(parse_only, 1);
}

#[test]
fn reject_packets() {
    let spec = spec();
    for entry in spec.entries("reject_packets") {
        let (id, packet) = (entry.text("id"), entry.bytes("packet"));
        let cipher = cipher::cipher(suite(entry));
        assert!(!lets_in(&cipher, cipher::REMOTE_CONSOLE_SESSION_ID, &packet), "{id}");
        let expected = match id {
            "bad-authcode" | "bad-body" | "truncated" => Some(Err(OpenError::WrongAuthCode)),
            "auth-bit-cleared" | "unprotected" => Some(Err(OpenError::NotAuthenticated)),
            "not-encrypted" => Some(Err(OpenError::WrongEncryption)),
            "aes-pad-length-16" | "aes-pad-bytes" => Some(Err(OpenError::BadPadding)),
            "next-header-06" => Some(Err(OpenError::BadTrailer)),
            "wrong-session" => Some(Ok(())),
            "length-too-large" => None,
            _ => panic!("unknown entry {id}"),
        };
        let found = rmcpplus::decode(&packet).ok().map(|framed| {
            cipher.verify(&packet, &framed)?;
            cipher.decrypt(&mut packet.clone(), &framed, false).map(drop)
        });
        assert_eq!(found, expected, "{id}");
    }
}

#[test]
fn aes_payloads() {
    let spec = spec();
    let cipher = cipher::cipher(CipherSuiteId::SUITE_3);
    let key = spec.entries("rakp")[0].bytes("aes_key");
    for entry in spec.entries("aes_payloads") {
        let (id, plain) = (entry.text("id"), entry.bytes("plain"));
        assert_eq!(entry.bytes("key"), key, "{id}: the key of the fixed session");
        let packet = Outgoing {
            payload_type: PayloadType::Ipmi,
            session_id: cipher::REMOTE_CONSOLE_SESSION_ID,
            session_sequence_number: SessionSequence(1),
            payload: &plain,
            iv: entry.bytes("iv").try_into().expect("16 bytes"),
        };
        let mut sealed = written(|out| cipher.seal(&packet, out));
        let framed = rmcpplus::decode(&sealed).expect("our own packet");
        assert_eq!(hex(&sealed[framed.payload.clone()]), hex(&entry.bytes("payload")), "{id}");
        let clear = cipher.decrypt(&mut sealed, &framed, false).expect("our own padding");
        assert_eq!(hex(&sealed[clear.start..framed.payload.end]), hex(&entry.bytes("padded")));
        assert_eq!(hex(&sealed[clear]), hex(&plain), "{id}");
    }
}

#[test]
fn v15() {
    let spec = spec();
    for entry in spec.entries("v15") {
        let (id, packet) = (entry.text("id"), entry.bytes("packet"));
        let auth_type = match entry.text("auth_type") {
            "md2" => AuthType::Md2,
            "md5" => AuthType::Md5,
            "password" => AuthType::StraightPassword,
            other => panic!("{other}"),
        };
        let password = UserKey::new(&entry.bytes("password")).expect("20 bytes at most");
        let (header, message) = ipmi15::decode(ipmi_block(&packet)).expect("a packet");
        assert_eq!(hex(message), hex(&entry.bytes("message")), "{id}");
        let code = auth15::auth_code(
            auth_type,
            &password,
            SessionId(entry.number("session_id")),
            SessionSequence(entry.number("sequence")),
            message,
        );
        assert_eq!(code.map(Vec::from), Some(entry.bytes("auth_code")), "{id}");
        let expected = ipmi15::Header {
            auth_type,
            session_sequence_number: SessionSequence(entry.number("sequence")),
            session_id: SessionId(entry.number("session_id")),
            auth_code: code,
        };
        assert_eq!(header, expected, "{id}");
        let again = written(|out| ipmi15::encode(&header, message, out));
        assert_eq!(hex(&again), hex(&packet), "{id}");
        assert_eq!(hex(&session_payload_again(PayloadType::Ipmi, message)), hex(message), "{id}");
    }
}

#[test]
fn lan_messages() {
    let spec = spec();
    for entry in spec.entries("lan_messages") {
        let (id, bytes) = (entry.text("id"), entry.bytes("message"));
        assert_eq!(hex(&session_payload_again(PayloadType::Ipmi, &bytes)), hex(&bytes), "{id}");
        assert_eq!(u32::from(bytes[2]), entry.number("checksum1"), "{id}");
        assert_eq!(bytes.last().copied().map(u32::from), Some(entry.number("checksum2")), "{id}");
        let message = Message::decode(&bytes).expect("checked above");
        // By its address: the answer among them has the network function of a request.
        if message.to_address == BMC_ADDRESS {
            let made = Message::request(
                message.net_fn,
                message.to_lun,
                message.rq_seq,
                message.cmd,
                message.data,
            );
            assert_eq!(made, message, "{id}");
        }
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x10;
            assert!(Message::decode(&wrong).is_err(), "{id} with byte {at} changed");
        }
    }
}
