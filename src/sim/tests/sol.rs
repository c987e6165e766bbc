//! Serial over LAN, as the specification has it.

use super::Console;
use super::console::{APP, Received, SolPacket};
use crate::sim::{BmcOptions, Echo, Flood, Misbehaviour, Profile, SerialEvent, SolSizes};
use crate::wire::payload::PayloadType;
use crate::wire::session_command::{ActivatedPayload, payload_instance_owner};

const TRANSPORT: u8 = 0x0c;

fn pure(ack: u8, count: u8, status: u8) -> SolPacket {
    SolPacket { sequence: 0, ack, count, status, text: Vec::new() }
}

#[test]
fn characters_go_both_ways() {
    let mut console = Console::with_sol(Profile::Spec);
    console.write(b"hello");
    assert_eq!(console.sol_packets(), [pure(1, 5, 0)]);
    assert_eq!(console.bmc.serial_input(), b"hello");
    assert_eq!(console.bmc.serial_output(console.now, b"world"), 5);
    assert_eq!(console.read_all(200), b"world");
}

#[test]
fn every_profile_echoes() {
    for profile in Profile::ALL {
        let mut console = Console::with_sol(profile);
        console.bmc.attach_serial(Box::new(Echo::new()));
        let mut text = Vec::new();
        for n in 0..40 {
            console.write(format!("line {n}").as_bytes());
            text.extend_from_slice(&console.read_all(300));
        }
        let expected: String = (0..40).map(|n| format!("line {n}")).collect();
        assert_eq!(String::from_utf8(text).unwrap(), expected, "{profile}");
    }
}

#[test]
fn every_profile_floods() {
    for profile in Profile::ALL {
        let suite = if profile == Profile::OpenBmc { 17 } else { 3 };
        let mut console = Console::logged_in(profile, suite);
        console.bmc.attach_serial(Box::new(Flood::new(Some(20_000))));
        console.activate(0xc0);
        let text = console.read_all(15_000);
        assert_eq!(text.len(), 20_000, "{profile}");
        for (number, line) in text.chunks_exact(Flood::LINE_LEN).enumerate() {
            assert_eq!(line, Flood::line(number as u64), "{profile}");
        }
    }
}

#[test]
fn activation_is_judged() {
    let mut console = Console::logged_in(Profile::Spec, 3);
    let activate = |console: &mut Console, data: [u8; 6]| console.command(APP, 0x48, &data).0;
    assert_eq!(activate(&mut console, [2, 1, 0xc0, 0, 0, 0]), 0xcc);
    assert_eq!(activate(&mut console, [1, 0, 0xc0, 0, 0, 0]), 0xcc);
    assert_eq!(activate(&mut console, [1, 2, 0xc0, 0, 0, 0]), 0x82);
    assert_eq!(console.command(APP, 0x48, &[1, 1]).0, 0xc7);
    console.command(TRANSPORT, 0x21, &[1, 1, 0]);
    assert_eq!(activate(&mut console, [1, 1, 0xc0, 0, 0, 0]), 0x81);
    console.command(TRANSPORT, 0x21, &[1, 1, 1]);
    console.command(TRANSPORT, 0x21, &[1, 2, 0x83]);
    assert_eq!(activate(&mut console, [1, 1, 0x40, 0, 0, 0]), 0x84);
    console.command(APP, 0x3b, &[2]);
    assert_eq!(activate(&mut console, [1, 1, 0xc0, 0, 0, 0]), 0xd4);
    console.command(APP, 0x3b, &[4]);
    assert_eq!(console.command(APP, 0x4c, &[1, 0x42, 2, 0, 0, 0]).0, 0);
    assert_eq!(console.command(APP, 0x4d, &[1, 2]).1, [0, 0, 0, 0]);
    assert_eq!(activate(&mut console, [1, 1, 0xc0, 0, 0, 0]), 0x81);
    assert_eq!(console.command(APP, 0x4c, &[1, 0x02, 2, 0, 0, 0]).0, 0);
    assert_eq!(activate(&mut console, [1, 1, 0xc0, 0, 0, 0]), 0);
    assert_eq!(activate(&mut console, [1, 1, 0xc0, 0, 0, 0]), 0x80);
    let mut console = Console::logged_in(Profile::Spec, 2);
    assert_eq!(activate(&mut console, [1, 1, 0xc0, 0, 0, 0]), 0x83);
    assert_eq!(activate(&mut console, [1, 1, 0x40, 0, 0, 0]), 0);
}

#[test]
fn status_and_owner_are_told() {
    let mut console = Console::logged_in(Profile::Spec, 3);
    assert_eq!(console.command(APP, 0x4a, &[1]), (0, vec![1, 0, 0]));
    let (code, data) = console.activate(0xc0);
    assert_eq!(code, 0);
    let activated = ActivatedPayload::decode(&data).unwrap();
    assert_eq!(
        activated,
        ActivatedPayload {
            inbound_payload_size: 255,
            outbound_payload_size: 255,
            udp_port: 623,
            vlan: 0xffff
        }
    );
    assert_eq!(console.command(APP, 0x4a, &[1]), (0, vec![1, 1, 0]));
    let (_, data) = console.command(APP, 0x4b, &[1, 1]);
    assert_eq!(payload_instance_owner(&data).unwrap().0, console.managed_id);
    assert_eq!(console.bmc.sol_owner(), payload_instance_owner(&data).ok());
    assert_eq!(console.command(APP, 0x4e, &[0x0e]), (0, vec![3, 0, 0x3f, 0, 0, 0, 0, 0]));
    assert_eq!(console.command(APP, 0x4f, &[0x0e, 1]), (0, vec![0x10]));
    assert_eq!(console.deactivate(), 0);
    assert_eq!(console.deactivate(), 0x80);
    assert_eq!(console.command(APP, 0x4b, &[1, 1]).1[..4], [0; 4]);
}

#[test]
fn output_waits_for_the_interval_or_the_threshold() {
    let mut console = Console::with_sol(Profile::Spec);
    console.bmc.serial_output(console.now, b"abc");
    console.collect();
    assert!(console.sol_packets().is_empty());
    console.sleep(19);
    assert!(console.sol_packets().is_empty());
    console.sleep(1);
    let packet = console.sol_packets().pop().unwrap();
    assert_eq!((packet.sequence, packet.text.as_slice()), (1, &b"abc"[..]));
    console.ack(&packet);
    console.bmc.serial_output(console.now, &[b'x'; 96]);
    console.collect();
    let packet = console.sol_packets().pop().unwrap();
    assert_eq!((packet.sequence, packet.text.len()), (2, 96));
}

#[test]
fn an_unacknowledged_packet_is_repeated_then_lost() {
    let mut console = Console::with_sol(Profile::Spec);
    console.bmc.serial_output(console.now, b"abc");
    console.sleep(3500 + 30);
    let packets = console.sol_packets();
    assert_eq!(packets.len(), 8);
    assert!(packets.iter().all(|packet| *packet == packets[0]));
    console.sleep(500);
    console.bmc.serial_output(console.now, b"def");
    console.sleep(20);
    let packet = console.sol_packets().pop().unwrap();
    assert_eq!((packet.sequence, packet.status, packet.text.as_slice()), (2, 0x08, &b"def"[..]));
    assert_eq!(console.bmc.counters().sol_characters_lost, 3);
    // Every one of them had a session sequence number of its own.
    let mut numbers = console.numbers.clone();
    numbers.dedup();
    assert_eq!(numbers, console.numbers);
}

#[test]
fn a_partial_acknowledge_moves_the_rest_to_a_new_number() {
    let mut console = Console::with_sol(Profile::Spec);
    console.bmc.serial_output(console.now, b"abcdef");
    console.sleep(20);
    console.sol_packets();
    console.sol(0, 1, 2, 0, &[]);
    let packet = console.sol_packets().pop().unwrap();
    assert_eq!((packet.sequence, packet.text.as_slice()), (2, &b"cdef"[..]));
}

#[test]
fn a_nack_suspends_until_resumed() {
    let mut console = Console::with_sol(Profile::Spec);
    console.bmc.serial_output(console.now, b"abcdef");
    console.sleep(20);
    console.sol_packets();
    console.sol(0, 1, 2, 0x40, &[]);
    console.sleep(10_000);
    assert!(console.sol_packets().is_empty());
    console.sol(0, 1, 0, 0, &[]);
    let packet = console.sol_packets().pop().unwrap();
    assert_eq!((packet.sequence, packet.text.as_slice()), (2, &b"cdef"[..]));
}

#[test]
fn stale_acknowledges_change_nothing() {
    let mut console = Console::with_sol(Profile::Spec);
    console.bmc.serial_output(console.now, b"abc");
    console.sleep(20);
    console.sol_packets();
    console.sol(0, 7, 3, 0, &[]);
    console.sleep(500);
    assert_eq!(console.sol_packets().len(), 1, "still repeated");
}

#[test]
fn repeats_are_acknowledged_and_taken_once() {
    let mut console = Console::with_sol(Profile::Spec);
    for _ in 0..3 {
        console.sol(1, 0, 0, 0, b"once");
    }
    assert_eq!(console.sol_packets(), vec![pure(1, 4, 0); 3]);
    console.sol(2, 0, 0, 0, b" twice");
    console.sol(1, 0, 0, 0, b"once");
    assert_eq!(console.sol_packets(), [pure(2, 6, 0)], "a late repeat");
    assert_eq!(console.bmc.serial_input(), b"once twice");
    assert_eq!(console.bmc.counters().sol_duplicates_in, 3);
}

#[test]
fn a_full_host_is_told_and_resumed() {
    let mut console = Console::with_sol(Profile::Spec);
    console.bmc.set_serial_input_limit(Some(4));
    console.write(b"abcdef");
    assert_eq!(console.sol_packets(), [pure(1, 4, 0x40)]);
    assert_eq!(console.bmc.serial_input(), b"abcd");
    console.collect();
    assert_eq!(console.sol_packets(), [pure(1, 0, 0)], "resume");
    console.write(b"ef");
    assert_eq!(console.sol_packets(), [pure(2, 2, 0)]);
    assert_eq!(console.bmc.serial_input(), b"ef");
}

#[test]
fn a_break_comes_after_what_was_typed() {
    let mut console = Console::with_sol(Profile::Spec);
    console.bmc.serial_events();
    console.write(b"abc");
    console.sol(2, 0, 0, 0x10, &[]);
    assert_eq!(console.sol_packets(), [pure(1, 3, 0), pure(2, 0, 0)]);
    assert_eq!(console.bmc.serial_events(), [SerialEvent::Break { at: 3 }]);
    console.sol(2, 0, 0, 0x10, &[]);
    assert!(console.bmc.serial_events().is_empty(), "a repeat is not a second break");
    console.bmc.serial_output_break(console.now);
    console.collect();
    assert!(console.sol_packets().iter().any(|packet| packet.status == 0x04));
}

#[test]
fn a_flush_drops_what_waits() {
    let mut console = Console::with_sol(Profile::Spec);
    console.bmc.serial_output(console.now, b"gone");
    console.sol(1, 0, 0, 0x01, b"x");
    console.bmc.serial_output(console.now, b"kept");
    assert_eq!(console.read_all(1000), b"kept");
}

#[test]
fn modem_lines_follow_the_console() {
    let mut console = Console::logged_in(Profile::Spec, 3);
    console.activate(0xc2);
    assert_eq!(console.bmc.serial_events(), [SerialEvent::Activated]);
    console.write(b"x");
    assert_eq!(console.bmc.serial_events(), [SerialEvent::Dtr(true)]);
    console.sol(2, 0, 0, 0x04, b"x");
    assert_eq!(console.bmc.serial_events(), [SerialEvent::Dtr(false)]);
}

#[test]
fn a_host_without_power_refuses_characters() {
    let mut console = Console::with_sol(Profile::Spec);
    console.bmc.set_host_power(false);
    console.collect();
    assert_eq!(console.sol_packets(), [pure(0, 0, 0x20)]);
    console.write(b"x");
    assert_eq!(console.sol_packets(), [pure(1, 0, 0x60)]);
    console.bmc.set_host_power(true);
    console.collect();
    assert_eq!(console.sol_packets(), [pure(0, 0, 0)]);
    console.write(b"x");
    assert_eq!(console.sol_packets(), [pure(2, 1, 0)]);
}

#[test]
fn a_stolen_console_says_so() {
    let mut console = Console::with_sol(Profile::Spec);
    console.bmc.steal_sol(console.now);
    console.collect();
    assert_eq!(console.sol_packets(), [pure(0, 0, 0x10)]);
    console.write(b"x");
    assert!(console.sol_packets().is_empty());
    assert_ne!(console.bmc.sol_owner().unwrap().0, console.managed_id);
    assert_eq!(console.activate(0xc0).0, 0x80);
    assert_eq!(console.deactivate(), 0);
    assert_eq!(console.activate(0xc0).0, 0);
}

#[test]
fn only_owner_user_or_administrator_deactivates() {
    let mut console = Console::with_sol(Profile::Spec);
    console.user = b"operator".to_vec();
    console.password = b"operator".to_vec();
    console.role = 0x13;
    console.login().unwrap();
    console.command(APP, 0x3b, &[3]);
    assert_eq!(console.activate(0xc0).0, 0x80);
    assert_eq!(console.deactivate(), 0xd4);
}

#[test]
fn sol_ends_with_its_session() {
    let mut console = Console::with_sol(Profile::Spec);
    let id = console.managed_id.to_le_bytes();
    console.command(APP, 0x3c, &id);
    assert_eq!(console.bmc.sol_owner(), None);
    assert!(console.sol_packets().is_empty());
}

#[test]
fn encryption_can_be_suspended() {
    let mut console = Console::with_sol(Profile::Spec);
    for cmd in [0x53, 0x55] {
        assert_eq!(console.command(APP, cmd, &[1, 1, 0]).0, 0);
        console.bmc.serial_output(console.now, b"clear");
        console.now += std::time::Duration::from_millis(20);
        console.bmc.handle_timeout(console.now);
        let (_, datagram) = console.bmc.poll_transmit().unwrap();
        assert_eq!(datagram[5], 0x41);
        assert!(datagram.windows(5).any(|window| window == b"clear"));
        let sequence = datagram[16];
        console.sol(0, sequence, 5, 0, &[]);
        assert_eq!(console.command(APP, cmd, &[1, 1, 1]).0, 0);
    }
    assert_eq!(console.command(APP, 0x55, &[1, 1, 2]).0, 0x80);
    assert_eq!(console.command(APP, 0x55, &[1, 2, 0]).0, 0x83);
}

#[test]
fn chosen_sizes_are_kept_to() {
    let sizes = SolSizes { inbound: 64, outbound: 32, swapped: false };
    let quirks = Misbehaviour { solpayloadsize: Some(sizes), ..Default::default() };
    let mut console = Console::with(BmcOptions { quirks, ..Default::default() }, 3);
    console.login().unwrap();
    console.command(APP, 0x3b, &[4]);
    console.activate(0xc0);
    console.write(&[b'x'; 60]);
    assert_eq!(console.bmc.counters().sol_oversize_in, 0);
    console.write(&[b'x'; 61]);
    assert_eq!(console.bmc.counters().sol_oversize_in, 1);
    assert_eq!(console.sol_packets(), [pure(1, 60, 0), pure(2, 60, 0)]);
    console.bmc.serial_output(console.now, &[b'y'; 100]);
    console.collect();
    assert_eq!(console.sol_packets().pop().unwrap().text.len(), 28);
}

#[test]
fn output_is_bounded_and_lost_without_a_listener() {
    let mut console = Console::logged_in(Profile::Spec, 3);
    assert_eq!(console.bmc.serial_output(console.now, &[0; 100_000]), 100_000);
    console.activate(0xc0);
    let space = console.bmc.serial_output_space();
    assert_eq!(console.bmc.serial_output(console.now, &[0; 100_000]), space);
    assert_eq!(console.bmc.serial_output_space(), 0);
}

#[test]
fn short_payloads_and_other_sessions_are_ignored() {
    let mut console = Console::with_sol(Profile::Spec);
    console.send(PayloadType::Sol, &[1, 0, 0]);
    assert!(console.sol_packets().is_empty());
    console.login().unwrap();
    console.write(b"not the owner");
    assert!(console.sol_packets().is_empty());
    assert!(console.bmc.serial_input().is_empty());
    assert!(!console.inbox.contains(&Received::ShortSol(0)));
}
