//! What sets OpenIPMI's simulator apart.

use super::Console;
use super::console::{APP, SolPacket};
use crate::sim::{BmcOptions, Profile};
use crate::wire::payload::PayloadType;
use crate::wire::session_command::ActivatedPayload;

const PROFILE: Profile = Profile::IpmiSim;

fn pure(ack: u8, count: u8, status: u8) -> SolPacket {
    SolPacket { sequence: 0, ack, count, status, text: Vec::new() }
}

#[test]
fn open_session_repeats_the_level_and_refuses_in_two_bytes() {
    let mut console = Console::new(PROFILE, 3);
    assert_eq!(console.open_session().unwrap().maximum_privilege_level, 0);
    console.open_privilege = 4;
    assert_eq!(console.open_session().unwrap().maximum_privilege_level, 4);
    assert_eq!(console.managed_id, 3, "counted from 2");
    let options =
        BmcOptions { profile: PROFILE, cipher_suites: Some(vec![3]), ..Default::default() };
    let mut console = Console::with(options, 17);
    let mut payload = vec![1, 0, 0, 0, 9, 9, 9, 9];
    for (kind, algorithm) in [(0, 3), (1, 4), (2, 1)] {
        payload.extend_from_slice(&[kind, 0, 0, 8, algorithm, 0, 0, 0]);
    }
    assert_eq!(console.setup(PayloadType::OpenSessionRequest, &payload), Some(vec![1, 4]));
}

#[test]
fn repeated_rakp_messages_are_ignored() {
    let mut console = Console::new(PROFILE, 3);
    console.login().unwrap();
    assert!(console.rakp3().is_none());
    let mut console = Console::new(PROFILE, 3);
    console.open_session().unwrap();
    console.rakp1().unwrap().unwrap();
    assert!(console.rakp1().is_none());
}

#[test]
fn sizes_are_32_and_16384() {
    let mut console = Console::logged_in(PROFILE, 3);
    let (_, data) = console.activate(0xc0);
    let activated = ActivatedPayload::decode(&data).unwrap();
    assert_eq!((activated.inbound_payload_size, activated.outbound_payload_size), (32, 16384));
}

#[test]
fn thirty_two_characters_are_taken_at_a_time() {
    let mut console = Console::with_sol(PROFILE);
    console.write(&[b'x'; 40]);
    assert_eq!(console.sol_packets(), [pure(1, 32, 0x40)]);
    console.write(&[b'x'; 8]);
    assert_eq!(console.sol_packets(), [pure(2, 8, 0)]);
    assert_eq!(console.bmc.serial_input().len(), 40);
}

#[test]
fn numbers_live_on_across_sessions() {
    let mut console = Console::with_sol(PROFILE);
    console.write(b"sixsix");
    let id = console.managed_id.to_le_bytes();
    console.command(APP, 0x3c, &id);
    assert_eq!(console.bmc.sol_owner(), None);
    console.login().unwrap();
    console.command(APP, 0x3b, &[4]);
    assert_eq!(console.activate(0xc0).0, 0);
    console.sol_packets();
    console.bmc.serial_input();
    console.write(b"hello");
    assert_eq!(console.sol_packets(), [pure(1, 6, 0)], "taken for the old packet");
    assert!(console.bmc.serial_input().is_empty());
}

#[test]
fn five_repeats_then_everything_is_thrown_away() {
    let mut console = Console::with_sol(PROFILE);
    console.bmc.serial_output(console.now, b"abc");
    console.sleep(10);
    console.bmc.serial_output(console.now, b"def");
    console.sleep(5_100);
    let packets = console.sol_packets();
    assert_eq!(packets.len(), 6);
    assert_eq!(packets[1].text, b"abcdef", "a repeat carries more");
    console.sleep(1000);
    assert_eq!(console.bmc.counters().sol_characters_lost, 6);
    console.bmc.serial_output(console.now, b"ghi");
    console.sleep(10);
    let packet = console.sol_packets().pop().unwrap();
    assert_eq!((packet.status, packet.text.as_slice()), (0, &b"ghi"[..]), "and nobody is told");
}

#[test]
fn the_address_of_the_login_is_kept() {
    let mut console = Console::with_sol(PROFILE);
    console.address.set_port(50_000);
    console.command(APP, 0x01, &[]);
    console.bmc.serial_output(console.now, b"x");
    console.now += std::time::Duration::from_millis(10);
    console.bmc.handle_timeout(console.now);
    assert_eq!(console.bmc.poll_transmit().unwrap().0.port(), 40_000);
}

#[test]
fn few_payload_commands_are_known() {
    let mut console = Console::logged_in(PROFILE, 3);
    assert!(console.try_command(APP, 0x4e, &[0x0e]).is_none());
    assert_eq!(console.command(APP, 0x4e, &[1]).0, 0);
    assert_eq!(console.command(APP, 0x4f, &[0x0e, 1]).0, 0xc1);
    assert_eq!(console.command(0x0c, 0x22, &[0x0e, 4, 0, 0]).0, 0x80);
}
