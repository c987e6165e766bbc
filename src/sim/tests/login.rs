//! Logins of every suite, and what they are refused with.

use super::Console;
use super::console::APP;
use crate::sim::{BmcOptions, Profile};
use crate::wire::SessionId;
use crate::wire::cipher_suite::{CipherSuiteId, decode_records};
use crate::wire::open_session::StatusCode;
use crate::wire::payload::PayloadType;
use crate::wire::rmcp;

const SUITES: [u8; 12] = [0, 1, 2, 3, 6, 7, 8, 11, 12, 15, 16, 17];

#[test]
fn every_suite_logs_in_and_answers() {
    for suite in SUITES {
        let mut console = Console::new(Profile::Spec, suite);
        console.login().unwrap();
        let (code, data) = console.command(APP, 0x01, &[]);
        assert_eq!((code, data.len()), (0, 15), "suite {suite}");
        assert_eq!(console.bmc.sessions(), 1);
    }
}

#[test]
fn k_g_keys_the_session() {
    for suite in [1, 3, 8, 17] {
        let k_g = b"\0binary key of 20 by".to_vec();
        let options = BmcOptions { k_g: k_g.clone(), ..Default::default() };
        let mut console = Console::with(options, suite);
        console.k_g = k_g;
        console.login().unwrap();
        assert_eq!(console.command(APP, 0x01, &[]).0, 0);
    }
}

#[test]
fn a_wrong_k_g_shows_in_rakp_4_only() {
    let options = BmcOptions { k_g: b"secret".to_vec(), ..Default::default() };
    let mut console = Console::with(options, 3);
    console.open_session().unwrap();
    let code = console.rakp1().unwrap().unwrap();
    assert!(console.rakp2_matches(&code));
    let icv = console.rakp3().unwrap().unwrap();
    assert!(!console.make_keys(&icv));
}

#[test]
fn a_wrong_password_fails_at_rakp_3() {
    let mut console = Console::new(Profile::Spec, 17);
    console.password = b"wrong".to_vec();
    console.open_session().unwrap();
    let code = console.rakp1().unwrap().unwrap();
    assert!(!console.rakp2_matches(&code));
    let refusal = console.rakp3().unwrap().unwrap_err();
    assert_eq!(refusal.status, StatusCode::INVALID_INTEGRITY_CHECK_VALUE);
    assert_eq!(refusal.remote_console_session_id, SessionId(console.remote_id));
    assert_eq!(console.bmc.sessions(), 0);
}

#[test]
fn users_and_roles_are_judged_in_rakp_1() {
    let cases: &[(&[u8], u8, StatusCode)] = &[
        (b"nobody", 0x14, StatusCode::UNAUTHORIZED_NAME),
        (b"", 0x14, StatusCode::UNAUTHORIZED_NAME),
        (b"operator", 0x14, StatusCode::UNAUTHORIZED_ROLE),
        (b"admin", 0x10, StatusCode::INVALID_ROLE),
        (b"admin", 0x15, StatusCode::INVALID_ROLE),
        (b"admin", 0x03, StatusCode::UNAUTHORIZED_NAME),
    ];
    for (user, role, status) in cases {
        let mut console = Console::new(Profile::Spec, 3);
        console.user = user.to_vec();
        console.role = *role;
        console.open_session().unwrap();
        assert_eq!(console.rakp1().unwrap().unwrap_err().status, *status, "{role:02x}");
    }
}

#[test]
fn name_and_privilege_lookup_needs_the_exact_level() {
    let mut console = Console::new(Profile::Spec, 3);
    console.role = 0x04;
    console.login().unwrap();
    assert_eq!(console.command(APP, 0x3b, &[4]), (0, vec![4]));
}

#[test]
fn algorithms_that_are_not_enabled_are_named() {
    let options = BmcOptions { cipher_suites: Some(vec![3, 17]), ..Default::default() };
    let cases = [
        (6, StatusCode::INVALID_AUTHENTICATION_ALGORITHM),
        (15, StatusCode::INVALID_INTEGRITY_ALGORITHM),
        (2, StatusCode::INVALID_CONFIDENTIALITY_ALGORITHM),
    ];
    for (suite, status) in cases {
        let mut console = Console::with(options.clone(), suite);
        assert_eq!(console.open_session().unwrap_err().status, status, "suite {suite}");
    }
    let mut console = Console::with(options, 3);
    console.suite.integrity = crate::wire::cipher_suite::Integrity::HmacSha256_128;
    let refusal = console.open_session().unwrap_err();
    assert_eq!(refusal.status, StatusCode::NO_CIPHER_SUITE_MATCH);
}

#[test]
fn a_name_too_long_has_its_own_status() {
    let mut console = Console::new(Profile::Spec, 3);
    console.open_session().unwrap();
    console.user = vec![b'a'; 17];
    let refusal = console.rakp1().unwrap().unwrap_err();
    assert_eq!(refusal.status, StatusCode::INVALID_NAME_LENGTH);
}

#[test]
fn setup_of_an_unknown_session_is_refused() {
    let mut console = Console::new(Profile::Spec, 3);
    console.managed_id = 77;
    let refusal = console.rakp1().unwrap().unwrap_err();
    assert_eq!(refusal.status, StatusCode::INVALID_SESSION_ID);
}

#[test]
fn rakp_3_with_a_status_gives_the_slot_back() {
    let options = BmcOptions { session_slots: 1, ..Default::default() };
    let mut console = Console::with(options, 3);
    console.open_session().unwrap();
    let refusal = console.open_session().unwrap_err();
    assert_eq!(refusal.status, StatusCode::INSUFFICIENT_RESOURCES);
    let mut payload = vec![9, 0x0f, 0, 0];
    payload.extend_from_slice(&console.managed_id.to_le_bytes());
    assert!(console.setup(PayloadType::Rakp3, &payload).is_none());
    console.login().unwrap();
}

#[test]
fn half_open_sessions_expire() {
    let mut console = Console::new(Profile::Spec, 3);
    console.open_session().unwrap();
    console.sleep(20_100);
    assert_eq!(console.bmc.counters().half_open_expired, 1);
    let refusal = console.rakp1().unwrap().unwrap_err();
    assert_eq!(refusal.status, StatusCode::INVALID_SESSION_ID);
}

#[test]
fn a_full_table_is_told() {
    let mut console = Console::new(Profile::Spec, 3);
    console.bmc.fill_session_table(true);
    let refusal = console.open_session().unwrap_err();
    assert_eq!(refusal.status, StatusCode::INSUFFICIENT_RESOURCES);
    console.bmc.fill_session_table(false);
    console.login().unwrap();
}

#[test]
fn capabilities_come_in_the_wrapper_asked() {
    let mut console = Console::new(Profile::Spec, 3);
    for plus in [false, true] {
        let (code, data) = console.sessionless(plus, 0x38, &[0x8e, 4]).unwrap();
        assert_eq!((code, &data[..4]), (0, &[1, 0x97, 0x04, 0x03][..]));
        let (code, data) = console.sessionless(plus, 0x38, &[0x0e, 4]).unwrap();
        assert_eq!((code, &data[..4]), (0, &[1, 0x17, 0x04, 0x00][..]));
    }
    assert_eq!(console.sessionless(false, 0x37, &[]).unwrap().1, b"bmclink-sim-0001");
    assert_eq!(console.sessionless(false, 0x01, &[]).unwrap().0, 0xd4);
}

#[test]
fn cipher_suites_are_listed_in_chunks() {
    let mut console = Console::new(Profile::Spec, 3);
    let mut list = Vec::new();
    for index in 0..64 {
        let (code, data) = console.sessionless(true, 0x54, &[0x0e, 0, 0x80 | index]).unwrap();
        assert_eq!((code, data[0]), (0, 1));
        list.extend_from_slice(&data[1..]);
        if data.len() < 17 {
            break;
        }
    }
    let (records, error) = decode_records(&list);
    assert!(error.is_none());
    let ids: Vec<CipherSuiteId> = records.iter().map(|record| record.id).collect();
    assert_eq!(ids, CipherSuiteId::IMPLEMENTED);
}

#[test]
fn pings_are_answered() {
    let mut console = Console::new(Profile::Spec, 3);
    let mut ping = Vec::new();
    rmcp::encode_presence_ping(5, &mut ping);
    let pong = console.raw(&ping).pop().unwrap();
    assert_eq!(
        rmcp::decode_asf(&pong[4..]),
        Ok(rmcp::AsfMessage::Pong { message_tag: 5, supports_ipmi: true })
    );
}

#[test]
fn garbage_is_dropped() {
    let mut console = Console::logged_in(Profile::Spec, 17);
    let good = console.seal(PayloadType::Ipmi, &[0x20, 0x18, 0xc8, 0x81, 4, 1, 0x7a]);
    for len in 0..good.len() {
        assert!(console.raw(&good[..len]).is_empty(), "{len} bytes");
        let mut bad = good.clone();
        bad[len] ^= 0x40;
        // A changed RMCP reserved byte is not looked at.
        if len != 1 {
            assert!(console.raw(&bad).is_empty(), "byte {len}");
        }
    }
    assert_eq!(console.command(APP, 0x01, &[]).0, 0);
}
