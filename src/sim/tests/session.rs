//! What holds inside a session: privilege, window, expiry, faults.

use std::time::Duration;

use super::Console;
use super::console::{APP, Received};
use crate::crypto::suite::Outgoing;
use crate::sim::{Profile, SerialEvent};
use crate::wire::payload::PayloadType;
use crate::wire::rmcpplus;
use crate::wire::{SessionId, SessionSequence};

const CHASSIS: u8 = 0x00;
const TRANSPORT: u8 = 0x0c;
const STORAGE: u8 = 0x0a;

#[test]
fn sessions_start_at_user_level() {
    let mut console = Console::new(Profile::Spec, 17);
    console.login().unwrap();
    assert_eq!(console.command(APP, 0x3b, &[0]), (0, vec![2]));
    assert_eq!(console.command(CHASSIS, 0x02, &[1]).0, 0xd4);
    assert_eq!(console.command(APP, 0x3b, &[3]), (0, vec![3]));
    assert_eq!(console.command(CHASSIS, 0x02, &[1]).0, 0);
    assert_eq!(console.command(APP, 0x43, &[0x91, 4, 2]).0, 0xd4);
}

#[test]
fn privilege_is_limited_by_user_and_role() {
    let mut console = Console::new(Profile::Spec, 17);
    console.user = b"operator".to_vec();
    console.password = b"operator".to_vec();
    console.role = 0x13;
    console.login().unwrap();
    assert_eq!(console.command(APP, 0x3b, &[4]).0, 0x81);
    assert_eq!(console.command(APP, 0x3b, &[3]), (0, vec![3]));
    assert_eq!(console.command(APP, 0x3b, &[1]).0, 0xcc);
    assert_eq!(console.command(APP, 0x3b, &[6]).0, 0xcc);
    let mut console = Console::new(Profile::Spec, 17);
    console.role = 0x13;
    console.login().unwrap();
    assert_eq!(console.command(APP, 0x3b, &[4]).0, 0x81, "more than RAKP 1 asked for");
}

#[test]
fn a_session_is_closed_by_its_owner() {
    let mut console = Console::logged_in(Profile::Spec, 3);
    assert_eq!(console.command(APP, 0x3c, &[1, 2, 3, 4]).0, 0x87);
    assert_eq!(console.command(APP, 0x3c, &[0, 0, 0, 0, 99]).0, 0x88);
    let id = console.managed_id.to_le_bytes();
    assert_eq!(console.command(APP, 0x3c, &id).0, 0);
    assert_eq!(console.bmc.sessions(), 0);
    assert_eq!(console.bmc.counters().sessions_closed, 1);
    assert_eq!(console.try_command(APP, 0x01, &[]), None);
}

#[test]
fn an_idle_session_expires() {
    for (profile, suite, seconds) in [
        (Profile::Spec, 3, 60),
        (Profile::OpenBmc, 17, 60),
        (Profile::GoIpmi, 17, 60),
        (Profile::IpmiSim, 3, 30),
    ] {
        let mut console = Console::logged_in(profile, suite);
        console.sleep(seconds * 1000 - 100);
        assert_eq!(console.command(APP, 0x01, &[]).0, 0, "{profile}");
        console.sleep(seconds * 1000 + 100);
        assert_eq!(console.try_command(APP, 0x01, &[]), None, "{profile}");
        assert_eq!(console.bmc.counters().sessions_expired, 1);
    }
}

#[test]
fn numbers_outside_the_window_are_dropped() {
    let mut console = Console::logged_in(Profile::Spec, 3);
    console.sequence += 15;
    assert!(console.try_command(APP, 0x01, &[]).is_none());
    console.sequence -= 1;
    assert!(console.try_command(APP, 0x01, &[]).is_none(), "16 ahead of the highest");
    console.sequence -= 2;
    assert!(console.try_command(APP, 0x01, &[]).is_some());
    console.sequence -= 1;
    assert!(console.try_command(APP, 0x01, &[]).is_none(), "the same once more");
    assert_eq!(console.bmc.counters().out_of_window, 3);
}

#[test]
fn number_0_is_no_session_number() {
    let mut console = Console::logged_in(Profile::Spec, 3);
    let cipher = console.cipher.take().unwrap();
    let packet = Outgoing {
        payload_type: PayloadType::Ipmi,
        session_id: SessionId(console.managed_id),
        session_sequence_number: SessionSequence(0),
        payload: &[0x20, 0x18, 0xc8, 0x81, 4, 1, 0x7a],
        iv: [1; 16],
    };
    let mut datagram = Vec::new();
    cipher.seal(&packet, &mut datagram);
    assert!(console.raw(&datagram).is_empty());
    assert_eq!(console.bmc.counters().out_of_window, 1);
}

#[test]
fn unencrypted_and_unsigned_packets_are_dropped() {
    let mut console = Console::logged_in(Profile::Spec, 3);
    let mut datagram = console.seal(PayloadType::Ipmi, &[0x20, 0x18, 0xc8, 0x81, 4, 1, 0x7a]);
    datagram[5] &= 0x7f;
    assert!(console.raw(&datagram).is_empty());
    assert_eq!(console.bmc.counters().bad_auth_code, 1);
    let framed = rmcpplus::decode(&datagram).unwrap();
    datagram.truncate(framed.payload.end);
    datagram[5] = 0;
    assert!(console.raw(&datagram).is_empty());
    assert_eq!(console.bmc.counters().bad_auth_code, 2);
}

#[test]
fn a_reset_forgets_everything_silently() {
    let mut console = Console::with_sol(Profile::Spec);
    console.bmc.serial_events();
    console.bmc.reset(console.now);
    console.collect();
    assert!(console.inbox.is_empty());
    assert_eq!((console.bmc.sessions(), console.bmc.sol_owner()), (0, None));
    assert_eq!(console.try_command(APP, 0x01, &[]), None);
    assert!(console.bmc.serial_events().contains(&SerialEvent::Deactivated));
}

#[test]
fn commands_can_be_delayed_and_scripted() {
    let mut console = Console::logged_in(Profile::Spec, 3);
    console.bmc.command_delay(APP, 0x01, Duration::from_secs(2));
    assert!(console.try_command(APP, 0x01, &[]).is_none());
    assert!(console.try_command(APP, 0x04, &[]).is_some(), "another one overtakes");
    console.sleep(2000);
    assert!(matches!(console.inbox.pop(), Some(Received::Message(7, 1, _))));
    console.bmc.command_delay(APP, 0x01, Duration::ZERO);
    console.bmc.script_completion(APP, 0x01, 0xc0, 2);
    let codes: Vec<u8> = (0..3).map(|_| console.command(APP, 0x01, &[]).0).collect();
    assert_eq!(codes, [0xc0, 0xc0, 0]);
}

#[test]
fn retransmitted_requests_are_counted() {
    let mut console = Console::logged_in(Profile::Spec, 3);
    console.command(APP, 0x01, &[]);
    console.rq_seq -= 1;
    console.command(APP, 0x01, &[]);
    assert_eq!(console.bmc.counters().retransmitted_requests, 1);
}

#[test]
fn power_follows_chassis_control() {
    let mut console = Console::logged_in(Profile::Spec, 17);
    let power = |console: &mut Console| console.command(CHASSIS, 0x01, &[]).1[0] & 1;
    assert_eq!(power(&mut console), 1);
    assert_eq!(console.command(CHASSIS, 0x02, &[0]).0, 0);
    assert_eq!(power(&mut console), 0);
    assert_eq!(console.command(CHASSIS, 0x02, &[2]).0, 0xd5, "cycle while off");
    assert_eq!(console.command(CHASSIS, 0x02, &[1]).0, 0);
    assert_eq!(console.command(CHASSIS, 0x02, &[2]).0, 0);
    assert_eq!(power(&mut console), 0);
    console.sleep(2000);
    assert_eq!(power(&mut console), 1);
    assert_eq!(console.command(CHASSIS, 0x02, &[5]).0, 0);
    console.sleep(5000);
    assert_eq!(power(&mut console), 0);
    let off = SerialEvent::PowerOff;
    assert_eq!(console.bmc.serial_events().iter().filter(|event| **event == off).count(), 3);
}

#[test]
fn parameters_are_kept() {
    let mut console = Console::logged_in(Profile::Spec, 17);
    assert_eq!(console.command(CHASSIS, 0x08, &[5, 0x80, 0x04, 0, 0, 0]).0, 0);
    assert_eq!(console.command(CHASSIS, 0x09, &[5, 0, 0]).1, [1, 5, 0x80, 0x04, 0, 0, 0]);
    assert_eq!(console.command(CHASSIS, 0x09, &[99, 0, 0]).0, 0x80);
    assert_eq!(console.command(TRANSPORT, 0x21, &[1, 4, 3, 20]).0, 0);
    assert_eq!(console.command(TRANSPORT, 0x22, &[1, 4, 0, 0]).1, [0x11, 3, 20]);
    assert_eq!(console.command(TRANSPORT, 0x21, &[1, 0, 1]).0, 0);
    assert_eq!(console.command(TRANSPORT, 0x21, &[1, 0, 1]).0, 0x81);
    assert_eq!(console.command(TRANSPORT, 0x21, &[1, 8, 0, 0]).0, 0x82);
    assert_eq!(console.command(TRANSPORT, 0x22, &[1, 9, 0, 0]).0, 0x80);
    assert_eq!(console.command(TRANSPORT, 0x02, &[1, 22, 0, 0]).1, [0x11, 12]);
    assert_eq!(console.command(STORAGE, 0x20, &[]).1.len(), 14);
    assert_eq!(console.command(STORAGE, 0x43, &[0, 0, 0, 0, 0, 0xff]).0, 0xcb);
    assert_eq!(console.command(APP, 0x99, &[]).0, 0xc1);
    assert_eq!(console.command(0x2c, 0x01, &[0x00, 1]).0, 0xc1, "PICMG");
}

#[test]
fn users_can_be_changed_over_lan() {
    let mut console = Console::logged_in(Profile::Spec, 17);
    let mut name = vec![5];
    name.extend_from_slice(b"fifth\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(console.command(APP, 0x45, &name).0, 0);
    let mut password = vec![0x85, 2];
    password.extend_from_slice(b"twenty bytes long!!!");
    assert_eq!(console.command(APP, 0x47, &password).0, 0);
    password[1] = 3;
    assert_eq!(console.command(APP, 0x47, &password).0, 0);
    assert_eq!(console.command(APP, 0x43, &[0x91, 5, 3]).0, 0);
    assert_eq!(console.command(APP, 0x47, &[5, 1]).0, 0);
    let (_, access) = console.command(APP, 0x44, &[1, 5]);
    assert_eq!(access, [10, 0x44, 1, 0x13]);
    console.user = b"fifth".to_vec();
    console.password = b"twenty bytes long!!!".to_vec();
    console.role = 0x13;
    console.login().unwrap();
}

#[test]
fn session_info_names_the_caller() {
    let mut console = Console::logged_in(Profile::Spec, 17);
    let (code, data) = console.command(APP, 0x3d, &[0]);
    assert_eq!((code, &data[..6]), (0, &[1, 16, 1, 2, 4, 0x11][..]));
    assert_eq!(&data[6..10], &[127, 0, 0, 1]);
}

#[test]
fn a_new_managed_system_is_small_and_quick() {
    let console = Console::logged_in(Profile::Spec, 17);
    assert!(size_of_val(&console.bmc) < 2048, "{}", size_of_val(&console.bmc));
}
