//! What sets OpenBMC's stack apart.

use super::Console;
use super::console::{APP, Received, SolPacket};
use crate::sim::{Profile, SerialEvent};
use crate::wire::SessionId;
use crate::wire::open_session::StatusCode;
use crate::wire::payload::PayloadType;
use crate::wire::rmcp;

const PROFILE: Profile = Profile::OpenBmc;

fn pure(ack: u8, count: u8, status: u8) -> SolPacket {
    SolPacket { sequence: 0, ack, count, status, text: Vec::new() }
}

#[test]
fn only_suite_17_and_refusals_of_36_bytes() {
    let mut console = Console::new(PROFILE, 3);
    let refusal = console.open_session().unwrap_err();
    assert_eq!(refusal.status, StatusCode::INVALID_AUTHENTICATION_ALGORITHM);
    let (_, data) = console.sessionless(false, 0x54, &[0x0e, 0, 0x80]).unwrap();
    assert_eq!(data, [1, 0xc0, 17, 3, 0x44, 0x81]);
    let mut payload = vec![1, 0, 0, 0, 9, 9, 9, 9];
    for kind in 0..3 {
        payload.extend_from_slice(&[kind, 0, 0, 8, 1, 0, 0, 0]);
    }
    assert_eq!(console.setup(PayloadType::OpenSessionRequest, &payload).unwrap().len(), 36);
}

#[test]
fn rakp_2_refusals_have_no_tag_and_no_id() {
    let mut console = Console::new(PROFILE, 17);
    console.user = b"nobody".to_vec();
    console.open_session().unwrap();
    let payload = console.rakp1_payload();
    let answer = console.setup(PayloadType::Rakp1, &payload).unwrap();
    assert_eq!(answer.len(), 40);
    assert_eq!(&answer[..8], &[0, 0x0d, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn role_0_is_refused_and_a_higher_role_is_not() {
    let mut console = Console::new(PROFILE, 17);
    console.role = 0x10;
    assert_eq!(console.open_session().unwrap().maximum_privilege_level, 4);
    let refusal = console.rakp1().unwrap().unwrap_err();
    assert_eq!(refusal.status, StatusCode::UNAUTHORIZED_ROLE);
    console.user = b"operator".to_vec();
    console.password = b"operator".to_vec();
    console.role = 0x14;
    console.login().unwrap();
    let (code, data) = console.command(APP, 0x3b, &[4]);
    assert_eq!((code, data.len()), (0x81, 1), "full length all the same");
}

#[test]
fn a_wrong_length_is_answered_with_one_byte() {
    let mut console = Console::new(PROFILE, 17);
    assert_eq!(console.setup(PayloadType::OpenSessionRequest, &[1; 31]), Some(vec![0xc7]));
    console.open_session().unwrap();
    let mut payload = console.rakp1_payload();
    payload.push(0);
    assert_eq!(console.setup(PayloadType::Rakp1, &payload), Some(vec![0xc7]));
}

#[test]
fn a_second_rakp_1_gets_a_new_random_number() {
    let mut console = Console::new(PROFILE, 17);
    console.open_session().unwrap();
    console.rakp1().unwrap().unwrap();
    let first = console.exchange.clone();
    console.rakp1().unwrap().unwrap();
    let second = console.exchange.clone();
    assert_ne!(
        first.as_ref().unwrap().managed_system_random_number,
        second.unwrap().managed_system_random_number
    );
    console.exchange = first;
    assert!(console.rakp3().unwrap().is_err(), "only the newest counts");
}

#[test]
fn a_second_rakp_3_poisons_the_session() {
    let mut console = Console::logged_in(PROFILE, 17);
    let icv = console.rakp3().unwrap().unwrap();
    assert!(!console.make_keys(&icv));
    console.sequence = 100;
    assert!(console.try_command(APP, 0x01, &[]).is_none());
    assert_eq!(console.bmc.sessions(), 1);
}

#[test]
fn half_open_sessions_last_3_seconds() {
    let mut console = Console::new(PROFILE, 17);
    console.open_session().unwrap();
    console.sleep(3600);
    let refusal = console.rakp1().unwrap().unwrap_err();
    assert_eq!(refusal.status, StatusCode::INVALID_SESSION_ID);
    assert_eq!(refusal.remote_console_session_id, SessionId(0));
}

#[test]
fn most_sessionless_commands_meet_silence() {
    let mut console = Console::new(PROFILE, 17);
    assert!(console.sessionless(false, 0x01, &[]).is_none());
    assert!(console.sessionless(false, 0x37, &[]).is_none());
    assert_eq!(console.sessionless(false, 0x38, &[0x8e, 5]).unwrap().0, 0xcc);
    assert_eq!(console.sessionless(false, 0x38, &[0x8e, 4]).unwrap().1[..4], [1, 0x80, 4, 2]);
}

#[test]
fn v15_replies_end_in_a_pad_byte() {
    let mut console = Console::new(PROFILE, 17);
    let request = [0x06, 0, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    let message = [0x20, 0x18, 0xc8, 0x81, 0, 0x38, 0x8e, 4, 0xb5];
    let answer = console.raw(&[&request[..], &message].concat()).pop().unwrap();
    assert_eq!(answer.len(), 14 + usize::from(answer[13]) + 1);
}

#[test]
fn the_pong_is_byte_swapped() {
    let mut console = Console::new(PROFILE, 17);
    let mut ping = Vec::new();
    rmcp::encode_presence_ping(1, &mut ping);
    let pong = console.raw(&ping).pop().unwrap();
    assert_eq!(&pong[4..8], &[0xbe, 0x11, 0, 0]);
    ping[2] = 0;
    assert!(console.raw(&ping).is_empty());
}

#[test]
fn there_is_no_window() {
    let mut console = Console::logged_in(PROFILE, 17);
    for sequence in [500_000, 3, 3, u32::MAX - 1] {
        console.sequence = sequence;
        assert_eq!(console.command(APP, 0x01, &[]).0, 0);
    }
}

#[test]
fn the_confidentiality_pad_can_be_16() {
    let mut console = Console::with_sol(PROFILE);
    console.bmc.serial_output(console.now, b"eleven char");
    console.now += std::time::Duration::from_millis(100);
    console.bmc.handle_timeout(console.now);
    let (_, datagram) = console.bmc.poll_transmit().unwrap();
    // 15 bytes of payload need one block; here they have two.
    assert_eq!(u16::from_le_bytes([datagram[14], datagram[15]]), 16 + 32);
}

#[test]
fn replies_go_to_where_the_console_is_now() {
    let mut console = Console::with_sol(PROFILE);
    console.address.set_port(50_000);
    console.command(APP, 0x01, &[]);
    console.bmc.serial_output(console.now, b"x");
    console.now += std::time::Duration::from_millis(100);
    console.bmc.handle_timeout(console.now);
    assert_eq!(console.bmc.poll_transmit().unwrap().0.port(), 50_000);
}

#[test]
fn activation_refusals_come_in_its_order() {
    let mut console = Console::new(PROFILE, 17);
    console.login().unwrap();
    let activate = |console: &mut Console, data: [u8; 6]| console.command(APP, 0x48, &data);
    assert_eq!(activate(&mut console, [1, 2, 0, 0, 0, 0]).0, 0xcc);
    assert_eq!(activate(&mut console, [1, 1, 0x40, 0, 0, 0]).0, 0x84);
    let (code, data) = activate(&mut console, [1, 1, 0xc0, 0, 0, 0]);
    assert_eq!((code, data.len()), (0xd4, 12));
    console.command(APP, 0x3b, &[4]);
    let (code, data) = activate(&mut console, [1, 1, 0x80, 0, 0, 0]);
    assert_eq!((code, &data[4..]), (0, &[255, 0, 255, 0, 0x6f, 2, 0xff, 0xff][..]));
    assert_eq!(activate(&mut console, [1, 1, 0xc0, 0, 0, 0]).0, 0x80);
}

#[test]
fn deactivation_is_announced_by_a_request() {
    let mut console = Console::with_sol(PROFILE);
    console.inbox.clear();
    assert_eq!(console.deactivate(), 0);
    assert_eq!(console.inbox, [Received::Message(0x0c, 0x20, vec![0, 1, 1, 0])]);
    console.activate(0xc0);
    console.inbox.clear();
    console.bmc.steal_sol(console.now);
    console.collect();
    assert_eq!(console.inbox, [Received::Message(0x0c, 0x20, vec![0, 1, 1, 0])]);
    console.write(b"x");
    assert!(console.sol_packets().is_empty());
}

#[test]
fn sol_outlives_its_session() {
    let mut console = Console::with_sol(PROFILE);
    let id = console.managed_id.to_le_bytes();
    console.command(APP, 0x3c, &id);
    console.login().unwrap();
    console.command(APP, 0x3b, &[4]);
    assert_eq!(console.activate(0xc0).0, 0x80);
    assert_eq!(console.deactivate(), 0x80, "done all the same");
    assert_eq!(console.activate(0xc0).0, 0);
}

#[test]
fn console_numbers_must_count_from_1() {
    let mut console = Console::with_sol(PROFILE);
    console.sol(2, 0, 0, 0, b"no");
    console.sol(1, 0, 0, 0, b"yes");
    console.sol(1, 0, 0, 0, b"yes");
    console.sol(3, 0, 0, 0, b"no");
    assert_eq!(console.sol_packets(), [pure(1, 3, 0)]);
    console.sol(2, 0, 0, 0, b"");
    assert_eq!(console.sol_packets(), [pure(2, 0, 0)], "the probe after a lost acknowledge");
    assert_eq!(console.bmc.serial_input(), b"yes");
}

#[test]
fn a_stale_ack_takes_its_characters_down() {
    let mut console = Console::with_sol(PROFILE);
    console.sol(1, 9, 0, 0, b"lost");
    assert!(console.sol_packets().is_empty());
    assert!(console.bmc.serial_input().is_empty());
}

#[test]
fn the_count_of_300_is_44() {
    let mut console = Console::with_sol(PROFILE);
    console.write(&[b'x'; 300]);
    assert_eq!(console.sol_packets(), [pure(1, 44, 0)]);
    assert_eq!(console.bmc.serial_input().len(), 300);
}

#[test]
fn a_duplicate_ack_brings_empty_payloads() {
    let mut console = Console::with_sol(PROFILE);
    console.bmc.serial_output(console.now, b"abc");
    console.sleep(100);
    let packet = console.sol_packets().pop().unwrap();
    console.ack(&packet);
    console.ack(&packet);
    console.sleep(20_000);
    let empty = console.inbox.iter().filter(|r| **r == Received::ShortSol(0)).count();
    assert_eq!(empty, 9);
}

#[test]
fn a_partial_ack_or_nack_repeats_at_once() {
    let mut console = Console::with_sol(PROFILE);
    console.bmc.serial_output(console.now, b"abcdef");
    console.sleep(100);
    console.sol_packets();
    for operation in [0, 0x40] {
        console.sol(0, 1, 2, operation, &[]);
        let packet = console.sol_packets().pop().unwrap();
        assert_eq!((packet.sequence, packet.text.as_slice()), (1, &b"abcdef"[..]));
    }
}

#[test]
fn unacknowledged_text_comes_again_under_the_next_number() {
    let mut console = Console::with_sol(PROFILE);
    console.bmc.serial_output(console.now, b"abc");
    console.sleep(8_300);
    let packets = console.sol_packets();
    let numbers: Vec<u8> = packets.iter().map(|packet| packet.sequence).collect();
    assert_eq!(numbers, [1, 1, 1, 1, 1, 1, 1, 1, 1, 2]);
    assert!(packets.iter().all(|packet| packet.text == b"abc" && packet.status == 0));
}

#[test]
fn payloads_can_have_259_bytes() {
    let mut console = Console::with_sol(PROFILE);
    console.bmc.serial_output(console.now, &[b'x'; 600]);
    console.sleep(100);
    assert_eq!(console.sol_packets().pop().unwrap().text.len(), 255);
}

#[test]
fn output_rides_on_an_acknowledge() {
    let mut console = Console::with_sol(PROFILE);
    console.bmc.serial_output(console.now, b"out");
    console.write(b"in");
    let packet = console.sol_packets().pop().unwrap();
    let expected = SolPacket { sequence: 1, ack: 1, count: 2, status: 0, text: b"out".to_vec() };
    assert_eq!(packet, expected);
}

#[test]
fn a_failed_write_is_a_nack_of_packet_0() {
    let mut console = Console::with_sol(PROFILE);
    console.bmc.set_serial_input_limit(Some(2));
    console.sol(1, 0, 0, 0, b"abc");
    console.sol(1, 0, 0, 0, b"abc");
    console.sol(2, 0, 0, 0, b"abc");
    assert_eq!(console.sol_packets(), [pure(0, 0, 0x40), pure(0, 0, 0x40)]);
    assert!(console.bmc.serial_input().is_empty());
}

#[test]
fn a_break_needs_a_number() {
    let mut console = Console::with_sol(PROFILE);
    console.bmc.serial_events();
    console.sol(0, 0, 0, 0x10, &[]);
    assert!(console.bmc.serial_events().is_empty());
    console.sol(1, 0, 0, 0x10, &[]);
    assert_eq!(console.bmc.serial_events(), [SerialEvent::Break { at: 0 }]);
}

#[test]
fn detoured_commands_are_overtaken() {
    let mut console = Console::logged_in(PROFILE, 17);
    let mut order = Vec::new();
    let mut message = Vec::new();
    for (rq_seq, cmd, data) in [(50, 0x01, &[][..]), (51, 0x3b, &[0][..])] {
        message.clear();
        let rq_seq = crate::wire::message::RqSeq::new(rq_seq);
        crate::wire::message::Message::request(APP, 0, rq_seq, cmd, data).encode(&mut message);
        console.send(PayloadType::Ipmi, &message);
    }
    console.sleep(10);
    for received in &console.inbox {
        if let Received::Message(_, cmd, _) = received {
            order.push(*cmd);
        }
    }
    assert_eq!(order, [0x3b, 0x01]);
}
