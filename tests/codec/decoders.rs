//! Every decoder of `bmclink::wire` with what must hold for any input: no panic, and what was
//! read reads the same after it was written.

use bmclink::wire::cipher_suite;
use bmclink::wire::ipmi15;
use bmclink::wire::message::Message;
use bmclink::wire::open_session::{OpenSessionRequest, OpenSessionResponse, Refusal, SetupReply};
use bmclink::wire::rakp::{Rakp1, Rakp2, Rakp3, Rakp4};
use bmclink::wire::rmcp::{self, AsfMessage, Class};
use bmclink::wire::rmcpplus::{self, Framed};
use bmclink::wire::session_command::{
    ActivatedPayload, ActivatedSession, ChannelAuthenticationCapabilities, PayloadActivationStatus,
    SolActivating, payload_instance_owner, session_challenge_response,
};
use bmclink::wire::sol;

/// One decoder.
pub struct Decoder {
    pub name: &'static str,
    /// The inputs it is made for: a key of the corpus.
    pub corpus: &'static str,
    /// Checks one input and says whether the decoder took it.
    pub check: fn(&[u8]) -> bool,
}

const fn decoder(name: &'static str, corpus: &'static str, check: fn(&[u8]) -> bool) -> Decoder {
    Decoder { name, corpus, check }
}

/// All of them.
pub const DECODERS: [Decoder; 20] = [
    decoder("rmcp", "rmcp", rmcp),
    decoder("asf", "asf", asf),
    decoder("ipmi15", "ipmi15", ipmi15),
    decoder("rmcpplus", "rmcpplus", rmcpplus),
    decoder("open_session_request", "open_session", open_session_request),
    decoder("open_session_response", "open_session", open_session_response),
    decoder("rakp1", "rakp", rakp1),
    decoder("rakp2", "rakp", rakp2),
    decoder("rakp3", "rakp", rakp3),
    decoder("rakp4", "rakp", rakp4),
    decoder("message", "message", message),
    decoder("sol", "sol", sol),
    decoder("cipher_suite", "cipher_suite", cipher_suite),
    decoder("channel_authentication_capabilities", "session_command", capabilities),
    decoder("session_challenge", "session_command", |b| session_challenge_response(b).is_ok()),
    decoder("activated_session", "session_command", |b| ActivatedSession::decode(b).is_ok()),
    decoder("activated_payload", "session_command", |b| ActivatedPayload::decode(b).is_ok()),
    decoder("payload_activation_status", "session_command", payload_activation_status),
    decoder("payload_instance_info", "session_command", |b| payload_instance_owner(b).is_ok()),
    decoder("sol_activating", "session_command", sol_activating),
];

/// Checks one input with every decoder of a corpus.
pub fn check_all(corpus: &str, input: &[u8]) {
    let mut count = 0;
    for decoder in DECODERS.iter().filter(|decoder| decoder.corpus == corpus) {
        (decoder.check)(input);
        count += 1;
    }
    assert_ne!(count, 0, "no decoder reads {corpus}");
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes);
    bytes
}

fn rmcp(input: &[u8]) -> bool {
    let Ok((class, rest)) = rmcp::decode(input) else { return false };
    match class {
        Class::Ipmi => {
            let mut again = written(rmcp::encode_ipmi);
            again.extend_from_slice(rest);
            assert_eq!(rmcp::decode(&again), Ok((class, rest)));
        }
        Class::Asf => {
            asf(rest);
        }
    }
    true
}

fn asf(input: &[u8]) -> bool {
    let Ok(message) = rmcp::decode_asf(input) else { return false };
    let again = match message {
        AsfMessage::Ping { message_tag } => {
            written(|out| rmcp::encode_presence_ping(message_tag, out))
        }
        AsfMessage::Pong { message_tag, supports_ipmi: true } => {
            written(|out| rmcp::encode_presence_pong(message_tag, out))
        }
        AsfMessage::Pong { supports_ipmi: false, .. } => return true, // Nobody sends these.
    };
    let (class, block) = rmcp::decode(&again).expect("our own header");
    assert_eq!(class, Class::Asf);
    assert_eq!(rmcp::decode_asf(block), Ok(message));
    true
}

fn ipmi15(input: &[u8]) -> bool {
    let Ok((header, message)) = ipmi15::decode(input) else { return false };
    let again = written(|out| ipmi15::encode(&header, message, out));
    let (_, block) = rmcp::decode(&again).expect("our own header");
    assert_eq!(ipmi15::decode(block), Ok((header, message)));
    true
}

fn rmcpplus(input: &[u8]) -> bool {
    let Ok(framed) = rmcpplus::decode(input) else { return false };
    let payload = &input[framed.payload.clone()];
    trailer(input, &framed);
    if framed.oem.is_none() {
        // There is no encoder for OEM explicit payloads.
        let mut again = Vec::new();
        let start = rmcpplus::begin(&framed.header, &mut again);
        again.extend_from_slice(payload);
        rmcpplus::end_payload(start, &mut again);
        let framed_again = rmcpplus::decode(&again).expect("our own packet");
        assert_eq!(framed_again.header, framed.header);
        assert_eq!(&again[framed_again.payload], payload);
    }
    true
}

fn trailer(input: &[u8], framed: &Framed) {
    for auth_code_len in [12, 16] {
        let Ok(trailer) = framed.trailer(input, auth_code_len) else { continue };
        assert_eq!(trailer.covered.start, rmcpplus::FORMAT_OFFSET);
        assert_eq!(trailer.covered.end, trailer.auth_code.start);
        assert_eq!(trailer.auth_code.len(), auth_code_len);
        assert_eq!(trailer.auth_code.end, input.len());
        if framed.check_trailer(input, &trailer).is_ok() {
            let pad_len = trailer.covered.end - framed.payload.end - 2;
            assert!(pad_len <= 15);
            assert_eq!(input[trailer.covered.end - 2..trailer.covered.end], [pad_len as u8, 7]);
        }
    }
}

/// A refusal survives being written and read by the same decoder.
fn refusal<T: std::fmt::Debug>(
    refusal: Refusal,
    decode: impl FnOnce(&[u8]) -> Option<SetupReply<T>>,
) -> bool {
    assert_ne!(refusal.status.0, 0);
    let again = written(|out| refusal.encode(out));
    assert_eq!(decode(&again).expect("our own message").expect_err("a refusal"), refusal);
    true
}

fn open_session_request(input: &[u8]) -> bool {
    let Ok(request) = OpenSessionRequest::decode(input) else { return false };
    let again = written(|out| request.encode(out));
    assert_eq!(OpenSessionRequest::decode(&again), Ok(request));
    true
}

fn open_session_response(input: &[u8]) -> bool {
    match OpenSessionResponse::decode(input) {
        Err(_) => false,
        Ok(Err(refused)) => refusal(refused, |b| OpenSessionResponse::decode(b).ok()),
        Ok(Ok(response)) => {
            let again = written(|out| response.encode(out));
            assert_eq!(OpenSessionResponse::decode(&again), Ok(Ok(response)));
            true
        }
    }
}

fn rakp1(input: &[u8]) -> bool {
    let Ok(rakp1) = Rakp1::decode(input) else { return false };
    assert_eq!(Rakp1::decode(&written(|out| rakp1.encode(out))), Ok(rakp1));
    true
}

fn rakp2(input: &[u8]) -> bool {
    match Rakp2::decode(input) {
        Err(_) => false,
        Ok(Err(refused)) => refusal(refused, |b| Some(Rakp2::decode(b).ok()?.map(drop))),
        Ok(Ok(rakp2)) => {
            assert_eq!(Rakp2::decode(&written(|out| rakp2.encode(out))), Ok(Ok(rakp2)));
            true
        }
    }
}

fn rakp3(input: &[u8]) -> bool {
    let Ok(rakp3) = Rakp3::decode(input) else { return false };
    assert_eq!(Rakp3::decode(&written(|out| rakp3.encode(out))), Ok(rakp3));
    true
}

fn rakp4(input: &[u8]) -> bool {
    match Rakp4::decode(input) {
        Err(_) => false,
        Ok(Err(refused)) => refusal(refused, |b| Some(Rakp4::decode(b).ok()?.map(drop))),
        Ok(Ok(rakp4)) => {
            assert_eq!(Rakp4::decode(&written(|out| rakp4.encode(out))), Ok(Ok(rakp4)));
            true
        }
    }
}

fn message(input: &[u8]) -> bool {
    let Ok((message, valid)) = Message::decode_unchecked(input) else { return false };
    let again = written(|out| message.encode(out));
    assert_eq!(Message::decode(&again), Ok(message));
    assert_eq!(valid, again == input, "the checksums decide");
    assert_eq!(Message::decode(input).is_ok(), valid);
    if let Some((code, data)) = message.completion() {
        assert_eq!((code.0, data.len() + 1), (message.data[0], message.data.len()));
        // A response's data is what the session's own commands read.
        check_all("session_command", data);
    }
    true
}

fn sol(input: &[u8]) -> bool {
    let Ok(packet) = sol::Packet::decode(input) else { return false };
    assert_eq!(sol::Packet::decode(&written(|out| packet.encode(out))), Ok(packet));
    true
}

fn cipher_suite(input: &[u8]) -> bool {
    let (records, error) = cipher_suite::decode_records(input);
    assert!(records.len() * 3 <= input.len());
    for record in &records {
        let again = written(|out| cipher_suite::encode_record(record.id, out));
        let (read, error) = cipher_suite::decode_records(&again);
        assert_eq!(error, None);
        assert_eq!(read.len(), usize::from(record.id.algorithms().is_some()));
        assert!(read.iter().all(|read| read.id == record.id));
    }
    error.is_none() && !records.is_empty()
}

fn capabilities(input: &[u8]) -> bool {
    ChannelAuthenticationCapabilities::decode(input).is_ok_and(|c| {
        assert!(c.channel <= 0x0f);
        c.supports_v2();
        true
    })
}

fn payload_activation_status(input: &[u8]) -> bool {
    PayloadActivationStatus::decode(input).is_ok_and(|status| {
        assert!((1..=15).contains(&status.instance_capacity));
        for instance in 1..=16 {
            assert_eq!(status.is_active(instance), status.active >> (instance - 1) & 1 == 1);
        }
        true
    })
}

fn sol_activating(input: &[u8]) -> bool {
    SolActivating::decode(input).is_ok_and(|activating| activating.instance <= 0x0f)
}
