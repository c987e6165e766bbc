//! Users and the LAN channel: what is set decides at once who can log in.

use super::{APP, Console, session, session_at};

/// Whether a fresh login at the console's BMC works.
fn can_log_in(console: &mut Console, user: &[u8], password: &[u8], level: u8) -> bool {
    console.remote_id += 1;
    let saved = (console.user.clone(), console.password.clone(), console.role);
    let session = (console.cipher.take(), console.sequence, console.managed_id);
    (console.user, console.password) = (user.to_vec(), password.to_vec());
    console.role = 0x10 | level;
    let done = console.login().is_ok();
    (console.user, console.password, console.role) = saved;
    (console.cipher, console.sequence, console.managed_id) = session;
    console.remote_id -= 1;
    done
}

#[test]
fn a_disabled_user_cannot_log_in_until_enabled() {
    let mut console = session();
    assert!(can_log_in(&mut console, b"user", b"user", 2));
    assert_eq!(console.command(APP, 0x47, &[4, 0]).0, 0);
    assert!(!can_log_in(&mut console, b"user", b"user", 2));
    assert_eq!(console.command(APP, 0x44, &[1, 4]).1[1], 0x82, "disabled; two are not");
    assert_eq!(console.command(APP, 0x47, &[4, 1]).0, 0);
    assert!(can_log_in(&mut console, b"user", b"user", 2));
}

#[test]
fn messaging_and_privilege_decide_too() {
    let mut console = session();
    assert_eq!(console.command(APP, 0x43, &[0x81, 3, 3]).0, 0);
    assert_eq!(console.command(APP, 0x44, &[1, 3]).1[3], 0x03);
    assert!(!can_log_in(&mut console, b"operator", b"operator", 3));
    // Without bit 7 the others stay as they are.
    assert_eq!(console.command(APP, 0x43, &[0x11, 3, 2]).0, 0);
    assert_eq!(console.command(APP, 0x44, &[1, 3]).1[3], 0x02);
    assert_eq!(console.command(APP, 0x43, &[0x91, 3, 2]).0, 0);
    assert!(can_log_in(&mut console, b"operator", b"operator", 2));
    assert!(!can_log_in(&mut console, b"operator", b"operator", 3));
    assert_eq!(console.command(APP, 0x43, &[0x91, 3, 0x0f]).0, 0);
    assert!(!can_log_in(&mut console, b"operator", b"operator", 2));
}

#[test]
fn the_channel_limits_everybody() {
    let mut console = session();
    assert_eq!(console.command(APP, 0x41, &[1, 0x80]).1, [2, 4]);
    assert_eq!(console.command(APP, 0x40, &[1, 0, 0x83]).0, 0);
    assert!(!can_log_in(&mut console, b"admin", b"password", 4));
    assert!(can_log_in(&mut console, b"admin", b"password", 3));
    assert_eq!(console.command(APP, 0x41, &[1, 0x80]).1, [2, 3]);
    assert_eq!(console.command(APP, 0x41, &[1, 0x40]).1, [2, 4], "what is kept");
    console.bmc.reset(console.now);
    assert!(can_log_in(&mut console, b"admin", b"password", 4), "a restart forgot it");
}

#[test]
fn a_disabled_channel_is_silent_for_newcomers() {
    let mut console = session();
    assert_eq!(console.command(APP, 0x40, &[1, 0x80, 0]).0, 0);
    assert_eq!(console.command(APP, 0x01, &[]).0, 0, "who is in stays in");
    assert_eq!(console.sessionless(false, 0x38, &[0x8e, 4]), None);
    assert_eq!(console.sessionless(true, 0x38, &[0x8e, 4]), None);
    assert_eq!(console.command(APP, 0x40, &[1, 0x82, 0]).0, 0);
    assert!(console.sessionless(false, 0x38, &[0x8e, 4]).is_some());
    assert_eq!(console.command(APP, 0x40, &[1, 0x81, 0]).0, 0x83, "pre-boot only");
    assert_eq!(console.command(APP, 0x40, &[2, 0x82, 0]).0, 0x82);
    assert_eq!(console.command(APP, 0x41, &[0, 0x80]).0, 0x82);
}

#[test]
fn passwords_are_set_and_tested() {
    let mut console = session();
    let long = b"seventeen letters";
    let set = |size: u8, operation: u8, password: &[u8]| {
        let mut data = vec![size | 3, operation];
        data.extend_from_slice(password);
        data.resize(if size == 0 { 18 } else { 22 }, 0);
        data
    };
    assert_eq!(console.command(APP, 0x47, &set(0x80, 2, long)).0, 0);
    assert!(can_log_in(&mut console, b"operator", long, 3));
    assert_eq!(console.command(APP, 0x47, &set(0x80, 3, long)).0, 0);
    assert_eq!(console.command(APP, 0x47, &set(0x80, 3, b"another")).0, 0x80);
    assert_eq!(console.command(APP, 0x47, &set(0, 3, &long[..16])).0, 0x81);
    assert_eq!(console.command(APP, 0x47, &[3, 2, 1]).0, 0xc7);
}

#[test]
fn names_have_their_limits() {
    let mut console = session();
    let named = |user: u8| [&[user][..], &[b'n'; 16]].concat();
    assert_eq!(console.command(APP, 0x45, &named(5)).0, 0);
    assert_eq!(console.command(APP, 0x46, &[5]).1, [b'n'; 16]);
    assert_eq!(console.command(APP, 0x45, &named(1)).0, 0xcc, "the null user's is fixed");
    assert_eq!(console.command(APP, 0x45, &named(50)).0, 0xcc);
    assert_eq!(console.command(APP, 0x46, &[9]).1, [0; 16]);
    assert_eq!(session_at(&["user_name_missing"]).command(APP, 0x46, &[9]).0, 0xcc);
    let mut console = session_at(&["user_enable_needs_password"]);
    assert_eq!(console.command(APP, 0x47, &[4, 0]).0, 0xc7);
    assert_eq!(console.command(APP, 0x47, &[&[4, 0][..], &[0; 16]].concat()).0, 0);
    assert!(!can_log_in(&mut console, b"user", b"user", 2));
}

#[test]
fn the_bmc_key_is_set_and_then_locked() {
    let mut console = session();
    let key = *b"a key of twenty char";
    let set = [&[1, 1, 1][..], &key].concat();
    assert_eq!(console.command(APP, 0x56, &[1, 0, 1]).1, [&[2][..], &[0; 20]].concat());
    assert_eq!(console.command(APP, 0x56, &set), (0, vec![2]));
    assert_eq!(console.command(APP, 0x56, &[1, 0, 1]).1, [&[2][..], &key].concat());
    console.k_g = key.to_vec();
    assert!(can_log_in(&mut console, b"admin", b"password", 4));
    assert_eq!(console.command(APP, 0x56, &set[..10]).0, 0x81);
    assert_eq!(console.command(APP, 0x56, &[1, 2, 1]), (0, vec![1]));
    assert_eq!(console.command(APP, 0x56, &set).0, 0x80);
    assert_eq!(console.command(APP, 0x56, &[1, 0, 1]), (0, vec![1]));
    assert_eq!(console.command(APP, 0x56, &[&[1, 1, 0][..], &key].concat()).0, 0x83);
}

#[test]
fn payload_access_is_per_user() {
    let mut console = session();
    assert_eq!(console.command(APP, 0x4d, &[1, 4]).1, [2, 0, 0, 0]);
    assert_eq!(console.command(APP, 0x4c, &[1, 0x44, 2, 0, 0, 0]).0, 0);
    assert_eq!(console.command(APP, 0x4d, &[1, 4]).1, [0; 4]);
    assert_eq!(console.command(APP, 0x4c, &[1, 0x04, 2, 0, 0, 0]).0, 0);
    assert_eq!(console.command(APP, 0x4d, &[1, 4]).1, [2, 0, 0, 0]);
}
