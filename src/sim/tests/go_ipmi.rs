//! What sets the server of go-ipmi apart.

use super::Console;
use super::console::{APP, SolPacket};
use crate::sim::Profile;
use crate::wire::message::Message;
use crate::wire::open_session::StatusCode;
use crate::wire::payload::PayloadType;
use crate::wire::rmcpplus;

const PROFILE: Profile = Profile::GoIpmi;

fn pure(ack: u8, count: u8, status: u8) -> SolPacket {
    SolPacket { sequence: 0, ack, count, status, text: Vec::new() }
}

#[test]
fn there_are_four_slots_and_half_open_ones_are_evicted() {
    let mut console = Console::new(PROFILE, 17);
    for _ in 0..4 {
        console.open_session().unwrap();
    }
    for _ in 0..4 {
        console.login().unwrap();
    }
    let refusal = console.open_session().unwrap_err();
    assert_eq!(refusal.status, StatusCode::INSUFFICIENT_RESOURCES);
}

#[test]
fn users_are_not_given_away() {
    for (user, password) in [(&b"nobody"[..], &b"password"[..]), (b"admin", b"wrong")] {
        let mut console = Console::new(PROFILE, 3);
        console.user = user.to_vec();
        console.password = password.to_vec();
        console.open_session().unwrap();
        let code = console.rakp1().unwrap().unwrap();
        assert!(!console.rakp2_matches(&code));
        let refusal = console.rakp3().unwrap().unwrap_err();
        assert_eq!(refusal.status, StatusCode::UNAUTHORIZED_NAME);
    }
}

#[test]
fn a_second_rakp_3_is_harmless() {
    let mut console = Console::logged_in(PROFILE, 3);
    let sequence = console.sequence;
    let icv = console.rakp3().unwrap().unwrap();
    assert!(console.make_keys(&icv));
    console.sequence = sequence;
    assert_eq!(console.command(APP, 0x01, &[]).0, 0);
    assert_eq!(console.rakp1().unwrap().unwrap_err().status, StatusCode::INACTIVE_SESSION_ID);
}

#[test]
fn sessions_start_at_the_level_asked() {
    let mut console = Console::new(PROFILE, 17);
    console.login().unwrap();
    assert_eq!(console.command(APP, 0x3b, &[0]), (0, vec![4]));
    assert_eq!(console.sessionless(false, 0x01, &[]).unwrap().0, 0xd4);
}

#[test]
fn replies_are_addressed_to_20h() {
    let mut console = Console::logged_in(PROFILE, 3);
    let request = console.seal(PayloadType::Ipmi, &[0x20, 0x18, 0xc8, 0x81, 4, 1, 0x7a]);
    let mut answer = console.raw(&request).pop().unwrap();
    let framed = rmcpplus::decode(&answer).unwrap();
    let cipher = console.cipher.as_ref().unwrap();
    let payload = cipher.decrypt(&mut answer, &framed, false).unwrap();
    let message = Message::decode(&answer[payload]).unwrap();
    assert_eq!((message.to_address, message.from_address), (0x20, 0x20));
}

#[test]
fn sixteen_lost_packets_end_the_session() {
    let mut console = Console::logged_in(PROFILE, 3);
    console.sequence += 15;
    assert!(console.try_command(APP, 0x01, &[]).is_none());
    assert!(console.try_command(APP, 0x01, &[]).is_none());
}

#[test]
fn pure_acks_are_answered() {
    let mut console = Console::with_sol(PROFILE);
    console.write(b"abc");
    console.sol(0, 0, 0, 0, &[]);
    console.sol(0, 0, 0, 0, &[]);
    assert_eq!(console.sol_packets(), vec![pure(1, 3, 0); 3]);
}

#[test]
fn three_quick_repeats_then_overrun() {
    let mut console = Console::with_sol(PROFILE);
    console.bmc.serial_output(console.now, b"abc");
    console.sleep(50 + 3 * 50);
    assert_eq!(console.sol_packets().len(), 4);
    console.sleep(50);
    console.bmc.serial_output(console.now, b"def");
    console.sleep(50);
    let packet = console.sol_packets().remove(0);
    assert_eq!((packet.sequence, packet.status, packet.text.as_slice()), (2, 0x08, &b"def"[..]));
}

#[test]
fn data_packets_repeat_the_old_ack() {
    let mut console = Console::with_sol(PROFILE);
    console.write(b"abc");
    console.bmc.serial_output(console.now, b"x");
    console.sleep(50);
    let packet = console.sol_packets().pop().unwrap();
    assert_eq!((packet.sequence, packet.ack, packet.count), (1, 1, 3));
}

#[test]
fn a_farewell_however_it_ends() {
    let mut console = Console::with_sol(PROFILE);
    console.write(b"abc");
    console.sol_packets();
    assert_eq!(console.deactivate(), 0);
    assert_eq!(console.sol_packets(), [pure(1, 3, 0x10)]);
    assert_eq!(console.activate(0xc0).0, 0);
    let id = console.managed_id.to_le_bytes();
    console.command(APP, 0x3c, &id);
    assert_eq!(console.sol_packets(), [pure(0, 0, 0x10)]);
    assert_eq!(console.bmc.sol_owner(), None);
    let mut console = Console::with_sol(PROFILE);
    console.bmc.steal_sol(console.now);
    console.collect();
    assert_eq!(console.sol_packets(), [pure(0, 0, 0x10)]);
    let mut console = Console::with_sol(PROFILE);
    console.sleep(60_100);
    assert_eq!(console.sol_packets(), [pure(0, 0, 0x10)], "expiry");
}

#[test]
fn plain_sol_can_be_activated() {
    let mut console = Console::logged_in(PROFILE, 17);
    assert_eq!(console.activate(0x80).0, 0x83);
    assert_eq!(console.command(APP, 0x48, &[1, 2, 0xc0, 0, 0, 0]).0, 0xc9);
    assert_eq!(console.activate(0x00).0, 0);
    console.bmc.serial_output(console.now, b"plain");
    console.now += std::time::Duration::from_millis(50);
    console.bmc.handle_timeout(console.now);
    assert_eq!(console.bmc.poll_transmit().unwrap().1[5], 0x41);
}

#[test]
fn a_host_without_power_is_a_console_fault() {
    let mut console = Console::with_sol(PROFILE);
    console.bmc.set_host_power(false);
    console.write(b"abc");
    assert_eq!(console.sol_packets(), [pure(1, 0, 0x60)]);
}
