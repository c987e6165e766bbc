//! What sets the server of pyghmi apart.

use super::Console;
use super::console::APP;
use crate::sim::Profile;
use crate::wire::open_session::AlgorithmNumbers;
use crate::wire::session_command::ActivatedPayload;

const PROFILE: Profile = Profile::Pyghmi;

#[test]
fn suite_3_whatever_was_asked() {
    let mut console = Console::new(PROFILE, 17);
    let response = console.open_session().unwrap();
    let suite_3 = AlgorithmNumbers { authentication: 1, integrity: 1, confidentiality: 1 };
    assert_eq!(response.algorithms, suite_3);
    assert_eq!(response.maximum_privilege_level, 4);
}

#[test]
fn wrong_users_and_passwords_meet_silence() {
    let mut console = Console::new(PROFILE, 3);
    console.user = b"nobody".to_vec();
    console.open_session().unwrap();
    assert!(console.rakp1().is_none());
    console.user = b"admin".to_vec();
    console.password = b"wrong".to_vec();
    console.rakp1().unwrap().unwrap();
    assert!(console.rakp3().is_none());
}

#[test]
fn sizes_of_one_and_a_swapped_port() {
    let mut console = Console::logged_in(PROFILE, 3);
    let (_, data) = console.activate(0xc0);
    let activated = ActivatedPayload::decode(&data).unwrap();
    assert_eq!((activated.inbound_payload_size, activated.outbound_payload_size), (1, 1));
    assert_eq!(activated.udp_port, 0x6f02);
}

#[test]
fn few_commands_are_known() {
    let mut console = Console::logged_in(PROFILE, 3);
    assert_eq!(console.command(APP, 0x01, &[]).1.len(), 14);
    for cmd in [0x4a, 0x4b, 0x4e, 0x4f, 0x3d] {
        assert_eq!(console.command(APP, cmd, &[1, 1]).0, 0xc1);
    }
    assert_eq!(console.command(0x0c, 0x22, &[0x0e, 1, 0, 0]).0, 0xc1);
    assert!(console.sessionless(false, 0x38, &[0x0e, 4]).is_none());
    assert!(console.sessionless(false, 0x38, &[0x81, 4]).is_none());
    assert!(console.sessionless(false, 0x38, &[0x8e, 4]).is_some());
}

#[test]
fn close_session_closes_nothing() {
    let mut console = Console::with_sol(PROFILE);
    let id = console.managed_id.to_le_bytes();
    assert_eq!(console.command(APP, 0x3c, &id).0, 0);
    console.login().unwrap();
    assert_eq!(console.activate(0xc0).0, 0x80);
    assert_eq!(console.deactivate(), 0);
    assert_eq!(console.activate(0xc0).0, 0);
}

#[test]
fn packets_of_256_characters_acked_with_0() {
    let mut console = Console::with_sol(PROFILE);
    console.bmc.serial_output(console.now, &[b'x'; 300]);
    console.collect();
    let packet = console.sol_packets().pop().unwrap();
    assert_eq!((packet.sequence, packet.text.len()), (1, 256));
    console.ack(&packet);
    let packet = console.sol_packets().pop().unwrap();
    assert_eq!((packet.sequence, packet.text.len()), (2, 44));
}
