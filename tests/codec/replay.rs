//! A packet taken apart and built again: what the vectors of both kinds go through.

use bmclink::crypto::keys::UserKey;
use bmclink::crypto::suite::{Outgoing, SessionCipher};
use bmclink::wire::SessionId;
use bmclink::wire::cipher_suite::CipherSuiteId;
use bmclink::wire::message::Message;
use bmclink::wire::open_session::{OpenSessionRequest, OpenSessionResponse, StatusCode};
use bmclink::wire::payload::PayloadType;
use bmclink::wire::rakp::{Rakp1, Rakp2, Rakp3, Rakp4};
use bmclink::wire::rmcp::{self, Class};
use bmclink::wire::rmcpplus::{self, Framed};
use bmclink::wire::sol;
use serde_json::Value;

use super::cipher::open;
use super::vectors::{Fields, Login, hex};

pub fn suite(entry: &Value) -> CipherSuiteId {
    CipherSuiteId(entry.number("cipher_suite") as u8)
}

pub fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes);
    bytes
}

/// The block behind the RMCP header of an IPMI datagram.
pub fn ipmi_block(datagram: &[u8]) -> &[u8] {
    let (class, block) = rmcp::decode(datagram).expect("an RMCP datagram");
    assert_eq!(class, Class::Ipmi);
    block
}

/// A datagram outside any session: its payload, once the header is known to be right.
pub fn sessionless(datagram: &[u8]) -> (PayloadType, &[u8]) {
    ipmi_block(datagram);
    assert!(rmcpplus::is_rmcpplus(datagram));
    let framed = rmcpplus::decode(datagram).expect("an RMCP+ packet");
    let payload_type = framed.header.payload_type;
    assert_eq!(framed.header, rmcpplus::Header::sessionless(payload_type));
    assert_eq!(framed.payload.end, datagram.len());
    let payload = &datagram[framed.payload];
    let again = written(|out| rmcpplus::encode_sessionless(payload_type, payload, out));
    assert_eq!(hex(&again), hex(datagram));
    (payload_type, payload)
}

/// A setup payload that is no refusal, decoded and encoded again.
pub fn setup_payload_again(payload_type: PayloadType, payload: &[u8]) -> Vec<u8> {
    use PayloadType as T;
    match payload_type {
        T::OpenSessionRequest => {
            let request = OpenSessionRequest::decode(payload).expect("a request");
            written(|out| request.encode(out))
        }
        T::OpenSessionResponse => {
            let response = OpenSessionResponse::decode(payload).expect("a response");
            written(|out| response.expect("no refusal").encode(out))
        }
        T::Rakp1 => written(|out| Rakp1::decode(payload).expect("RAKP 1").encode(out)),
        T::Rakp2 => {
            let rakp2 = Rakp2::decode(payload).expect("RAKP 2").expect("no refusal");
            written(|out| rakp2.encode(out))
        }
        T::Rakp3 => written(|out| Rakp3::decode(payload).expect("RAKP 3").encode(out)),
        T::Rakp4 => {
            let rakp4 = Rakp4::decode(payload).expect("RAKP 4").expect("no refusal");
            written(|out| rakp4.encode(out))
        }
        other => panic!("{other:?} sets no session up"),
    }
}

/// Whether the codes of RAKP 2, 3 and 4 are right. Other payloads have none.
pub fn codes_match(
    payload_type: PayloadType,
    payload: &[u8],
    login: &Login,
    password: &UserKey,
    k_g: Option<&UserKey>,
) -> bool {
    let exchange = || login.exchange();
    match payload_type {
        PayloadType::Rakp2 => {
            let rakp2 = Rakp2::decode(payload).expect("RAKP 2").expect("no refusal");
            let code = exchange().rakp2_code(password);
            assert_eq!(code.as_bytes().len(), exchange().authentication.code_len());
            rakp2.remote_console_session_id == login.remote_console_session_id
                && rakp2.key_exchange_auth_code == code.as_bytes()
        }
        PayloadType::Rakp3 => {
            let rakp3 = Rakp3::decode(payload).expect("RAKP 3");
            let code = exchange().rakp3_code(password, exchange().role);
            rakp3.status == StatusCode::NO_ERRORS
                && rakp3.managed_system_session_id == login.managed_system_session_id
                && rakp3.key_exchange_auth_code == code.as_bytes()
        }
        PayloadType::Rakp4 => {
            let rakp4 = Rakp4::decode(payload).expect("RAKP 4").expect("no refusal");
            let value = exchange().sik(password, k_g).integrity_check_value(&exchange());
            assert_eq!(value.as_bytes().len(), exchange().authentication.icv_len());
            rakp4.remote_console_session_id == login.remote_console_session_id
                && rakp4.integrity_check_value == value.as_bytes()
        }
        _ => true,
    }
}

/// Decodes a LAN message or SOL payload and encodes it again.
pub fn session_payload_again(payload_type: PayloadType, payload: &[u8]) -> Vec<u8> {
    match payload_type {
        PayloadType::Ipmi => {
            let message = Message::decode(payload).expect("a LAN message");
            written(|out| message.encode(out))
        }
        PayloadType::Sol => {
            let packet = sol::Packet::decode(payload).expect("a SOL packet");
            written(|out| packet.encode(out))
        }
        other => panic!("{other:?} in a session"),
    }
}

/// Verifies and decrypts a session packet, and builds it again from what was in it.
pub fn open_and_reseal(cipher: &SessionCipher, datagram: &[u8]) -> (Framed, Vec<u8>, Vec<u8>) {
    ipmi_block(datagram);
    assert!(rmcpplus::is_rmcpplus(datagram));
    let framed = rmcpplus::decode(datagram).expect("an RMCP+ packet");
    cipher.verify(datagram, &framed).expect("a right AuthCode");
    let mut bytes = datagram.to_vec();
    let clear = cipher.decrypt(&mut bytes, &framed, false).expect("a right padding");
    let payload = bytes[clear].to_vec();
    let mut iv = [0; 16];
    if framed.header.encrypted {
        iv.copy_from_slice(&datagram[framed.payload.start..][..16]);
    }
    let packet = Outgoing {
        payload_type: framed.header.payload_type,
        session_id: framed.header.session_id,
        session_sequence_number: framed.header.session_sequence_number,
        payload: &payload,
        iv,
    };
    let again = written(|out| cipher.seal(&packet, out));
    (framed, payload, again)
}

/// What a session would let in: its own ID, right AuthCode, right encryption.
pub fn lets_in(cipher: &SessionCipher, session_id: SessionId, datagram: &[u8]) -> bool {
    open(cipher, datagram, false).is_some()
        && rmcpplus::decode(datagram).is_ok_and(|framed| framed.header.session_id == session_id)
}
