//! A session of every cipher suite with fixed keys: user case "a" of `spec.json`.

use std::sync::OnceLock;

use bmclink::crypto::keys::{Exchange, UserKey};
use bmclink::crypto::suite::{Outgoing, SessionCipher};
use bmclink::wire::cipher_suite::{Authentication, CipherSuiteId};
use bmclink::wire::payload::PayloadType;
use bmclink::wire::{SessionId, SessionSequence, rmcp, rmcpplus};

pub const REMOTE_CONSOLE_SESSION_ID: SessionId = SessionId(0x1122_3344);
pub const MANAGED_SYSTEM_SESSION_ID: SessionId = SessionId(0xaabb_ccdd);
pub const IV: [u8; 16] = counting_up(0xf0);
const PASSWORD: &[u8] = b"secret123!";

const fn counting_up(from: u8) -> [u8; 16] {
    let mut bytes = [0; 16];
    let mut n = 0;
    while n < 16 {
        bytes[n] = from + n as u8;
        n += 1;
    }
    bytes
}

/// The password of case "a".
pub fn password() -> UserKey {
    UserKey::new(PASSWORD).expect("20 bytes at most")
}

/// The login of case "a".
pub fn exchange(authentication: Authentication) -> Exchange {
    Exchange {
        authentication,
        remote_console_session_id: REMOTE_CONSOLE_SESSION_ID,
        managed_system_session_id: MANAGED_SYSTEM_SESSION_ID,
        remote_console_random_number: counting_up(0x10),
        managed_system_random_number: counting_up(0x20),
        managed_system_guid: counting_up(0x30),
        role: 0x14,
        user_name: b"admin".to_vec(),
    }
}

/// The cipher of case "a" with a suite.
pub fn cipher(suite: CipherSuiteId) -> SessionCipher {
    let algorithms = suite.algorithms().expect("an implemented suite");
    let sik = exchange(algorithms.authentication).sik(&password(), None);
    SessionCipher::new(algorithms, &sik.k1(), &sik.k2(), &password())
}

/// Packets of one suite: LAN messages and SOL, of lengths around every block boundary, the
/// unencrypted kind included.
pub fn packets(suite: CipherSuiteId) -> Vec<Vec<u8>> {
    let cipher = cipher(suite);
    let mut packets = Vec::new();
    for (number, len) in (0..=36).chain([63, 64, 255, 259]).enumerate() {
        let payload: Vec<u8> = (0..len).map(|n| (n * 7 + number) as u8).collect();
        let packet = Outgoing {
            payload_type: if number % 2 == 0 { PayloadType::Ipmi } else { PayloadType::Sol },
            session_id: REMOTE_CONSOLE_SESSION_ID,
            session_sequence_number: SessionSequence(number as u32 + 1),
            payload: &payload,
            iv: IV.map(|byte| byte.wrapping_mul(number as u8 | 1)),
        };
        let mut bytes = Vec::new();
        cipher.seal_with(&packet, number % 5 != 4, &mut bytes);
        packets.push(bytes);
    }
    packets
}

/// What a suite makes of a datagram: the payload in clear when header, AuthCode and padding
/// are right.
pub fn open(cipher: &SessionCipher, datagram: &[u8], clear_allowed: bool) -> Option<Vec<u8>> {
    let (rmcp::Class::Ipmi, _) = rmcp::decode(datagram).ok()? else { return None };
    if !rmcpplus::is_rmcpplus(datagram) {
        return None;
    }
    let framed = rmcpplus::decode(datagram).ok()?;
    cipher.verify(datagram, &framed).ok()?;
    let mut bytes = datagram.to_vec();
    let payload = cipher.decrypt(&mut bytes, &framed, clear_allowed).ok()?;
    Some(bytes[payload].to_vec())
}

/// Decrypts without asking for an AuthCode, which a session never does: so that hostile bytes
/// reach the decryption. Checks where the payload is said to lie.
pub fn decrypt_unverified(cipher: &SessionCipher, datagram: &[u8]) {
    let Ok(framed) = rmcpplus::decode(datagram) else { return };
    let mut bytes = datagram.to_vec();
    if let Ok(payload) = cipher.decrypt(&mut bytes, &framed, true) {
        assert!(payload.start >= framed.payload.start && payload.end <= framed.payload.end);
        assert!(payload.start <= payload.end);
        assert_eq!(bytes.len(), datagram.len());
    }
}

/// Sealed bytes open to the same bytes, in the suite that the first byte picks; the rest, taken
/// as a datagram, does no harm.
pub fn session_cipher(input: &[u8]) -> bool {
    static CIPHERS: OnceLock<Vec<SessionCipher>> = OnceLock::new();
    let ciphers = CIPHERS.get_or_init(|| CipherSuiteId::IMPLEMENTED.map(cipher).into());
    let Some((pick, input)) = input.split_first() else { return false };
    let cipher = &ciphers[usize::from(*pick) % ciphers.len()];
    let mut sealed = Vec::new();
    let packet = Outgoing {
        payload_type: PayloadType::Ipmi,
        session_id: REMOTE_CONSOLE_SESSION_ID,
        session_sequence_number: SessionSequence(1),
        payload: input,
        iv: IV,
    };
    cipher.seal(&packet, &mut sealed);
    assert_eq!(open(cipher, &sealed, false).as_deref(), Some(input));
    decrypt_unverified(cipher, input);
    open(cipher, input, true).is_some()
}
