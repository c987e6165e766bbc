//! Whatever value an encoder is given, the decoder reads it back.

use bmclink::wire::SessionId;
use bmclink::wire::message::{Message, RqSeq};
use bmclink::wire::open_session::{
    AlgorithmNumbers, OpenSessionRequest, OpenSessionResponse, Refusal, StatusCode,
};
use bmclink::wire::rakp::{Rakp1, Rakp2, Rakp3, Rakp4, USER_NAME_MAX};
use bmclink::wire::sol::{Packet, SolSequence};
use proptest::collection::vec;
use proptest::prelude::*;

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    // Encoders append: what is there already stays out of it.
    let mut out = vec![0xee; 3];
    write(&mut out);
    assert_eq!(out[..3], [0xee; 3]);
    out.split_off(3)
}

fn session_id() -> impl Strategy<Value = SessionId> {
    any::<u32>().prop_map(SessionId)
}

prop_compose! {
    fn algorithms()(numbers in [0u8..0x40, 0u8..0x40, 0u8..0x40]) -> AlgorithmNumbers {
        let [authentication, integrity, confidentiality] = numbers;
        AlgorithmNumbers { authentication, integrity, confidentiality }
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn message(
        addresses in any::<[u8; 2]>(),
        net_fn in 0u8..0x40,
        luns in [0u8..4, 0u8..4],
        rq_seq in 0u8..0x40,
        cmd in any::<u8>(),
        data in vec(any::<u8>(), 0..300),
        flip in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let message = Message {
            to_address: addresses[0],
            net_fn,
            to_lun: luns[0],
            from_address: addresses[1],
            rq_seq: RqSeq::new(rq_seq),
            from_lun: luns[1],
            cmd,
            data: &data,
        };
        let mut bytes = written(|out| message.encode(out));
        prop_assert_eq!(bytes.len(), data.len() + 7);
        prop_assert_eq!(Message::decode(&bytes), Ok(message));
        prop_assert_eq!(message.is_response(), net_fn % 2 == 1);
        // One checksum or the other notices any single bit.
        let at = flip.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Message::decode(&bytes).is_err());
    }

    #[test]
    fn sol(
        sequences in [0u8..16, 0u8..16],
        accepted_character_count in any::<u8>(),
        operation_status in any::<u8>(),
        characters in vec(any::<u8>(), 0..=256),
    ) {
        let packet = Packet {
            sequence: SolSequence::new(sequences[0]),
            ack_sequence: SolSequence::new(sequences[1]),
            accepted_character_count,
            operation_status,
            characters: &characters,
        };
        let bytes = written(|out| packet.encode(out));
        prop_assert_eq!(bytes.len(), characters.len() + 4);
        prop_assert_eq!(Packet::decode(&bytes), Ok(packet));
    }

    #[test]
    fn open_session_request(
        message_tag in any::<u8>(),
        requested_maximum_privilege_level in 0u8..16,
        remote_console_session_id in session_id(),
        algorithms in algorithms(),
        excess in vec(any::<u8>(), 1..9),
    ) {
        let request = OpenSessionRequest {
            message_tag,
            requested_maximum_privilege_level,
            remote_console_session_id,
            algorithms,
        };
        let mut bytes = written(|out| request.encode(out));
        prop_assert_eq!(bytes.len(), 32);
        prop_assert_eq!(OpenSessionRequest::decode(&bytes), Ok(request));
        bytes.extend(excess);
        prop_assert!(OpenSessionRequest::decode(&bytes).is_err());
    }

    #[test]
    fn open_session_response(
        message_tag in any::<u8>(),
        maximum_privilege_level in 0u8..16,
        ids in [session_id(), session_id()],
        algorithms in algorithms(),
    ) {
        let response = OpenSessionResponse {
            message_tag,
            maximum_privilege_level,
            remote_console_session_id: ids[0],
            managed_system_session_id: ids[1],
            algorithms,
        };
        let bytes = written(|out| response.encode(out));
        prop_assert_eq!(bytes.len(), 36);
        prop_assert_eq!(OpenSessionResponse::decode(&bytes), Ok(Ok(response)));
        prop_assert!(OpenSessionResponse::decode(&bytes[..35]).is_err());
    }

    #[test]
    fn refusal(
        message_tag in any::<u8>(),
        status in 1u8..,
        remote_console_session_id in session_id(),
        len in 2usize..=8,
    ) {
        let status = StatusCode(status);
        let refusal = Refusal { message_tag, status, remote_console_session_id };
        let bytes = written(|out| refusal.encode(out));
        prop_assert_eq!(OpenSessionResponse::decode(&bytes), Ok(Err(refusal)));
        prop_assert_eq!(Rakp2::decode(&bytes), Ok(Err(refusal)));
        prop_assert_eq!(Rakp4::decode(&bytes), Ok(Err(refusal)));
        // Too short to hold a session ID, it still tells its status.
        let mut short = refusal;
        if len < 8 {
            short.remote_console_session_id = SessionId(0);
        }
        prop_assert_eq!(OpenSessionResponse::decode(&bytes[..len]), Ok(Err(short)));
        prop_assert_eq!(Rakp2::decode(&bytes[..len]), Ok(Err(short)));
        prop_assert_eq!(Rakp4::decode(&bytes[..len]), Ok(Err(short)));
    }

    #[test]
    fn rakp1(
        message_tag in any::<u8>(),
        managed_system_session_id in session_id(),
        remote_console_random_number in any::<[u8; 16]>(),
        role in any::<u8>(),
        user_name in vec(any::<u8>(), 0..=USER_NAME_MAX),
    ) {
        let rakp1 = Rakp1 {
            message_tag,
            managed_system_session_id,
            remote_console_random_number,
            role,
            user_name: &user_name,
        };
        let bytes = written(|out| rakp1.encode(out));
        prop_assert_eq!(bytes.len(), 28 + user_name.len());
        prop_assert_eq!(Rakp1::decode(&bytes), Ok(rakp1));
    }

    #[test]
    fn rakp2(
        message_tag in any::<u8>(),
        remote_console_session_id in session_id(),
        numbers in any::<[[u8; 16]; 2]>(),
        key_exchange_auth_code in vec(any::<u8>(), 0..=33),
    ) {
        let rakp2 = Rakp2 {
            message_tag,
            remote_console_session_id,
            managed_system_random_number: numbers[0],
            managed_system_guid: numbers[1],
            key_exchange_auth_code: &key_exchange_auth_code,
        };
        let bytes = written(|out| rakp2.encode(out));
        prop_assert_eq!(bytes.len(), 40 + key_exchange_auth_code.len());
        prop_assert_eq!(Rakp2::decode(&bytes), Ok(Ok(rakp2)));
    }

    #[test]
    fn rakp3(
        message_tag in any::<u8>(),
        status in any::<u8>(),
        managed_system_session_id in session_id(),
        key_exchange_auth_code in vec(any::<u8>(), 0..=33),
    ) {
        let rakp3 = Rakp3 {
            message_tag,
            status: StatusCode(status),
            managed_system_session_id,
            key_exchange_auth_code: &key_exchange_auth_code,
        };
        let bytes = written(|out| rakp3.encode(out));
        prop_assert_eq!(Rakp3::decode(&bytes), Ok(rakp3));
    }

    #[test]
    fn rakp4(
        message_tag in any::<u8>(),
        remote_console_session_id in session_id(),
        integrity_check_value in vec(any::<u8>(), 0..=33),
    ) {
        let rakp4 = Rakp4 {
            message_tag,
            remote_console_session_id,
            integrity_check_value: &integrity_check_value,
        };
        let bytes = written(|out| rakp4.encode(out));
        prop_assert_eq!(Rakp4::decode(&bytes), Ok(Ok(rakp4)));
    }
}
