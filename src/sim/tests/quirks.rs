//! Each misbehaviour knob, seen from the console.

use super::Console;
use super::console::{APP, Received};
use crate::sim::{BmcOptions, Misbehaviour, Profile, SolSizes};
use crate::wire::SessionId;
use crate::wire::cipher_suite::decode_records;
use crate::wire::open_session::StatusCode;
use crate::wire::payload::PayloadType;
use crate::wire::rakp::{Rakp1, Rakp2};
use crate::wire::rmcpplus;
use crate::wire::session_command::ActivatedPayload;

fn with(suite: u8, quirks: Misbehaviour) -> Console {
    Console::with(BmcOptions { quirks, ..Default::default() }, suite)
}

fn flagged(suite: u8, name: &str) -> Console {
    let mut quirks = Misbehaviour::default();
    assert!(quirks.enable(name), "{name}");
    with(suite, quirks)
}

fn administrator(mut console: Console) -> Console {
    console.login().unwrap();
    console.command(APP, 0x3b, &[4]);
    console
}

#[test]
fn flags_have_their_field_names() {
    let mut quirks = Misbehaviour::default();
    for name in Misbehaviour::FLAGS {
        assert!(quirks.enable(name));
    }
    assert!(quirks.authcap && quirks.sol_dup_more_data);
    assert!(!quirks.enable("no such thing"));
}

#[test]
fn authcap_lies_about_users_and_k_g() {
    let mut console = flagged(3, "authcap");
    assert_eq!(console.sessionless(false, 0x38, &[0x8e, 4]).unwrap().1[..4], [1, 0x80, 0x21, 2]);
    console.login().unwrap();
}

#[test]
fn opensesspriv_wants_the_level_in_open_session() {
    let mut console = flagged(3, "opensesspriv");
    assert_eq!(console.open_session().unwrap().maximum_privilege_level, 0);
    let code = console.rakp1().unwrap().unwrap();
    assert!(!console.rakp2_matches(&code));
    console.open_privilege = 4;
    console.login().unwrap();
}

#[test]
fn intel20_hashes_in_its_own_way() {
    let password = b"longer than 16 bytes".to_vec();
    for suite in [3, 7, 8] {
        let mut quirks = Misbehaviour::default();
        quirks.enable("intel20");
        let mut options = BmcOptions { quirks, ..Default::default() };
        options.users[1].password.clone_from(&password);
        let mut console = Console::with(options, suite);
        console.user = b"admin\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        let md5 = suite != 3;
        console.password = if md5 { password[..16].to_vec() } else { password.clone() };
        console.open_session().unwrap();
        assert_eq!(
            console.rakp1().unwrap().unwrap_err().status,
            StatusCode::UNAUTHORIZED_ROLE,
            "level not in Open Session"
        );
        console.open_privilege = 4;
        console.open_session().unwrap();
        let code = console.rakp1().unwrap().unwrap();
        assert!(console.rakp2_matches(&code));
        // RAKP 3 hashes the level alone, the SIK the role as sent.
        console.role = 0x04;
        let icv = console.rakp3().unwrap().unwrap();
        let exchange = console.exchange.clone().unwrap();
        let sik = exchange.sik(&console.key(), None);
        let by = sik.integrity_check_value_by(&exchange, console.suite.integrity);
        assert_eq!(by.as_bytes(), icv);
        console.make_keys(&icv);
        console.command(APP, 0x3b, &[4]);
        if suite == 7 {
            continue;
        }
        assert_eq!(console.activate(0xc0).0, 0);
        console.write(b"abc");
        let packet = console.sol_packets().pop().unwrap();
        assert_eq!((packet.ack, packet.count, packet.status), (1, 0, 0));
        console.deactivate();
        console.activate(0xc2);
        console.bmc.serial_output(console.now, b"mute");
        assert!(console.read_all(2000).is_empty());
    }
}

#[test]
fn i82571spt_wants_padded_names_and_hashes_no_bit_4() {
    let mut console = flagged(3, "i82571spt");
    assert!(console.sessionless(false, 0x38, &[0x8e, 4]).is_none());
    console.open_session().unwrap();
    let payload = console.rakp1_payload();
    assert!(console.setup(PayloadType::Rakp1, &payload).is_none());
    let mut padded = console.rakp1_payload();
    padded.resize(44, 0);
    let answer = console.setup(PayloadType::Rakp1, &padded).unwrap();
    let reply = Rakp2::decode(&answer).unwrap().unwrap();
    let sent = Rakp1::decode(&padded).unwrap();
    let exchange = crate::crypto::keys::Exchange {
        authentication: console.suite.authentication,
        remote_console_session_id: SessionId(console.remote_id),
        managed_system_session_id: SessionId(console.managed_id),
        remote_console_random_number: sent.remote_console_random_number,
        managed_system_random_number: reply.managed_system_random_number,
        managed_system_guid: reply.managed_system_guid,
        role: 0x04,
        user_name: b"admin".to_vec(),
    };
    assert_eq!(exchange.rakp2_code(&console.key()).as_bytes(), reply.key_exchange_auth_code);
    console.exchange = Some(exchange);
    console.role = 0x04;
    let icv = console.rakp3().unwrap().unwrap();
    assert!(console.make_keys(&icv));
    assert!(console.try_command(APP, 0x01, &[]).is_none());
    assert!(console.try_command(APP, 0x3b, &[4]).is_none());
}

#[test]
fn codes_can_be_a_byte_too_long() {
    for (name, suite, len) in [("supermicro20", 3, 21), ("supermicro20", 8, 17), ("sun20", 3, 21)] {
        let mut console = flagged(suite, name);
        console.open_session().unwrap();
        let code = console.rakp1().unwrap().unwrap();
        assert_eq!(code.len(), len);
        assert!(console.rakp2_matches(&code[..len - 1]));
        let icv = console.rakp3().unwrap().unwrap();
        assert!(console.make_keys(&icv));
    }
}

#[test]
fn sun20_lists_suites_without_tags() {
    let mut console = flagged(3, "sun20");
    let (_, data) = console.sessionless(true, 0x54, &[0x0e, 0, 0x80]).unwrap();
    assert_eq!(&data[1..6], &[0xc0, 0, 0, 0, 0]);
    assert_eq!(&data[11..16], &[0xc0, 2, 1, 1, 0]);
    assert_eq!(decode_records(&data[1..16]).0.len(), 3);
    console.open_session().unwrap();
    console.rakp1().unwrap().unwrap();
    let icv = console.rakp3().unwrap().unwrap();
    assert!(console.make_keys(&icv));
    assert_eq!(console.command(APP, 0x4e, &[0x0e]).0, 0xc1);
}

#[test]
fn integritycheckvalue_comes_with_suite_0() {
    let mut console = flagged(0, "integritycheckvalue");
    console.open_session().unwrap();
    console.rakp1().unwrap().unwrap();
    assert_eq!(console.rakp3().unwrap().unwrap().len(), 12);
}

#[test]
fn nochecksumcheck_spoils_checksums() {
    let mut console = flagged(3, "nochecksumcheck");
    console.login().unwrap();
    let request = console.seal(PayloadType::Ipmi, &[0x20, 0x18, 0xc8, 0x81, 4, 1, 0x7a]);
    let mut answer = console.raw(&request).pop().unwrap();
    let framed = rmcpplus::decode(&answer).unwrap();
    let cipher = console.cipher.as_ref().unwrap();
    let payload = cipher.decrypt(&mut answer, &framed, false).unwrap();
    let (_, valid) = crate::wire::message::Message::decode_unchecked(&answer[payload]).unwrap();
    assert!(!valid);
}

#[test]
fn icts_counts_the_pad_differently() {
    let mut console = flagged(2, "icts");
    console.open_session().unwrap();
    console.rakp1().unwrap().unwrap();
    let icv = console.rakp3().unwrap().unwrap();
    assert!(console.make_keys(&icv));
    assert!(console.try_command(APP, 0x01, &[]).is_none(), "the standard pad is refused");
    let cipher = console.cipher.take().unwrap();
    let pad = rmcpplus::IntegrityPad::WithoutTrailer;
    console.cipher = Some(cipher.with_integrity_pad(pad));
    assert!(console.try_command(APP, 0x01, &[]).is_some());
}

#[test]
fn disabled_suites_can_have_another_status() {
    for status in [0x01, 0x0a, 0x12] {
        let quirks = Misbehaviour { first_suite_status: Some(status), ..Default::default() };
        let options = BmcOptions { quirks, cipher_suites: Some(vec![3]), ..Default::default() };
        let mut console = Console::with(options, 17);
        assert_eq!(console.open_session().unwrap_err().status, StatusCode(status));
    }
}

#[test]
fn privfallback_refuses_administrators() {
    let quirks = Misbehaviour { privfallback: Some(0x09), ..Default::default() };
    let mut console = with(3, quirks);
    console.open_session().unwrap();
    assert_eq!(console.rakp1().unwrap().unwrap_err().status, StatusCode::INVALID_ROLE);
    console.role = 0x13;
    console.login().unwrap();
}

#[test]
fn setup_replies_can_carry_the_session_id() {
    let mut console = flagged(3, "session_id_in_setup");
    console.open_session().unwrap();
    let payload = console.rakp1_payload();
    let mut datagram = Vec::new();
    rmcpplus::encode_sessionless(PayloadType::Rakp1, &payload, &mut datagram);
    let answer = console.raw(&datagram).pop().unwrap();
    let framed = rmcpplus::decode(&answer).unwrap();
    assert_eq!(framed.header.session_id, SessionId(console.remote_id));
}

#[test]
fn tag_strict_drops_a_repeated_tag() {
    let mut console = flagged(3, "tag_strict");
    console.open_session().unwrap();
    let payload = console.rakp1_payload();
    assert!(console.setup(PayloadType::Rakp1, &payload).is_some());
    assert!(console.setup(PayloadType::Rakp1, &payload).is_none());
    let payload = console.rakp1_payload();
    assert!(console.setup(PayloadType::Rakp1, &payload).is_some());
}

#[test]
fn seq_jump_skips_every_second_number() {
    let mut console = administrator(flagged(3, "seq_jump"));
    console.command(APP, 0x01, &[]);
    assert_eq!(console.numbers, [1, 3]);
}

#[test]
fn replies_can_come_twice_or_not_at_all() {
    let mut console = administrator(flagged(3, "duplicate_replies"));
    console.inbox.clear();
    console.command(APP, 0x01, &[]);
    assert!(matches!(console.inbox[..], [Received::Message(7, 1, _)]));
    let mut console = administrator(flagged(3, "close_no_reply"));
    let id = console.managed_id.to_le_bytes();
    assert!(console.try_command(APP, 0x3c, &id).is_none());
    assert_eq!(console.bmc.sessions(), 0);
}

#[test]
fn sizes_and_ports_can_be_nonsense() {
    let sizes = SolSizes { inbound: 255, outbound: 128, swapped: true };
    let quirks =
        Misbehaviour { solpayloadsize: Some(sizes), solport: Some(0x6f02), ..Default::default() };
    let mut console = administrator(with(3, quirks));
    let (_, data) = console.activate(0xc0);
    let activated = ActivatedPayload::decode(&data).unwrap();
    assert_eq!(
        (activated.inbound_payload_size, activated.outbound_payload_size, activated.udp_port),
        (0xff00, 0x8000, 0x6f02)
    );
}

#[test]
fn payload_status_can_be_wrong() {
    let mut console = administrator(flagged(3, "solstatus"));
    assert_eq!(console.command(APP, 0x4a, &[1]).0, 0xcc);
    let mut console = administrator(flagged(3, "capacity_zero"));
    assert_eq!(console.command(APP, 0x4a, &[1]).1, [0, 0, 0]);
    let mut console = administrator(flagged(3, "always_active"));
    assert_eq!(console.command(APP, 0x4a, &[1]).1, [1, 1, 0]);
    assert_eq!(console.activate(0xc0).0, 0);
    let mut console = administrator(flagged(3, "solchannelsupport"));
    assert!(console.try_command(APP, 0x4e, &[0x0e]).is_none());
}

#[test]
fn activation_can_have_conditions() {
    let mut console = administrator(flagged(3, "serialalertsdeferred"));
    assert_eq!(console.activate(0xc0).0, 0x80);
    assert_eq!(console.activate(0xc4).0, 0);
    let mut console = administrator(flagged(3, "activate_needs_admin"));
    console.command(APP, 0x3b, &[3]);
    assert_eq!(console.activate(0xc0).0, 0xd4);
    console.command(APP, 0x3b, &[4]);
    assert_eq!(console.activate(0xc0).0, 0);
    console.command(APP, 0x3b, &[3]);
    assert_eq!(console.deactivate(), 0xd4);
}

#[test]
fn deactivation_can_fail_in_many_ways() {
    let mut console = administrator(flagged(3, "deactivate_ineffective"));
    console.activate(0xc0);
    assert_eq!(console.deactivate(), 0);
    assert_eq!(console.activate(0xc0).0, 0x80);
    let mut console = administrator(flagged(3, "deactivate_no_reply"));
    console.activate(0xc0);
    assert!(console.try_command(APP, 0x49, &[1, 1, 0, 0, 0, 0]).is_none());
    assert_eq!(console.bmc.sol_owner(), None);
    let mut console = administrator(flagged(3, "deactivate_owner_only"));
    console.activate(0xc0);
    console.bmc.steal_sol(console.now);
    assert_eq!(console.deactivate(), 0x80);
    assert!(console.bmc.sol_owner().is_some());
}

#[test]
fn silent_steal_says_nothing() {
    let mut console = administrator(flagged(3, "silent_steal"));
    console.activate(0xc0);
    console.inbox.clear();
    console.bmc.steal_sol(console.now);
    console.collect();
    assert!(console.inbox.is_empty());
}

#[test]
fn solpacketseq_leaves_repeats_unanswered() {
    let mut console = administrator(flagged(3, "solpacketseq"));
    console.activate(0xc0);
    console.sol(1, 0, 0, 0, b"x");
    assert_eq!(console.sol_packets().len(), 1);
    console.sol(1, 0, 0, 0, b"x");
    assert!(console.sol_packets().is_empty());
    console.sol(2, 0, 0, 0, b"");
    assert_eq!(console.sol_packets().len(), 1);
}

#[test]
fn solackzero_counts_nothing() {
    let mut console = administrator(flagged(3, "solackzero"));
    console.activate(0xc0);
    console.write(b"abc");
    let packet = console.sol_packets().pop().unwrap();
    assert_eq!((packet.ack, packet.count, packet.status), (1, 0, 0));
    assert_eq!(console.bmc.serial_input(), b"abc");
}

#[test]
fn repeats_can_carry_more() {
    let mut console = administrator(flagged(3, "sol_dup_more_data"));
    console.activate(0xc0);
    console.bmc.serial_output(console.now, b"abc");
    console.sleep(20);
    console.bmc.serial_output(console.now, b"def");
    console.sleep(500);
    let texts: Vec<Vec<u8>> = console.sol_packets().into_iter().map(|packet| packet.text).collect();
    assert_eq!(texts, [b"abc".to_vec(), b"abcdef".to_vec()]);
}

#[test]
fn a_host_reset_can_make_numbers_jump() {
    let quirks = Misbehaviour { sol_sequence_skip: 4, ..Default::default() };
    let mut console = administrator(with(3, quirks));
    console.activate(0xc0);
    assert_eq!(console.command(0x00, 0x02, &[3]).0, 0);
    console.bmc.serial_output(console.now, b"abc");
    console.sleep(20);
    assert_eq!(console.sol_packets().pop().unwrap().sequence, 5);
}

#[test]
fn ipmi_sim_keys_md5_suites_by_the_password() {
    let options = BmcOptions { profile: Profile::IpmiSim, ..Default::default() };
    let mut console = Console::with(options, 7);
    console.open_session().unwrap();
    console.rakp1().unwrap().unwrap();
    let icv = console.rakp3().unwrap().unwrap();
    assert!(console.make_keys(&icv), "the check value is as everybody's");
    assert!(console.try_command(APP, 0x01, &[]).is_none(), "the packets are not");
}
