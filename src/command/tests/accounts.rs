//! Users, channels, keys.

use super::*;
use crate::command::{
    ChannelMode, KeyLock, NewUser, PasswordOptions, PasswordTest, Stored, UserFlags, UserPrivilege,
};
use crate::session::{Cause, Failure, Stage};
use crate::wire::PrivilegeLevel;

const SET_ACCESS: u8 = 0x43;
const GET_ACCESS: u8 = 0x44;
const SET_NAME: u8 = 0x45;
const GET_NAME: u8 = 0x46;
const PASSWORD: u8 = 0x47;
const CHANNEL_INFO: u8 = 0x42;

/// A BMC with users 1 to 4: none, "admin", an empty slot, and one that is not there; LANs 1 and 8.
struct Users {
    written: Vec<Asked>,
    /// The channel that has no users, and whether user 1 is none.
    without: (u8, bool),
    /// Refuses this command with this first data byte.
    refuses: Option<(u8, u8)>,
    secret: Vec<Secrecy>,
}

impl Users {
    fn new() -> Self {
        Users { written: Vec::new(), without: (0, false), refuses: None, secret: Vec::new() }
    }

    fn answer(&mut self, request: &Request) -> Result<Reply> {
        let data = &request.data;
        match request.cmd {
            CHANNEL_INFO => match data[0] {
                channel @ (1 | 8) => reply(0, &[channel, 4, 1, 0x80, 0xf2, 0x1b, 0, 0, 0]),
                0 => reply(0, &[0, 1, 1, 0, 0xf2, 0x1b, 0, 0, 0]),
                2 => reply(0, &[1, 4, 1, 0]),
                _ => reply(0xcc, &[]),
            },
            GET_ACCESS if data[0] == self.without.0 => reply(0xcc, &[]),
            GET_ACCESS if data[1] == 1 && self.without.1 => reply(0xcc, &[]),
            GET_ACCESS if data[1] == 4 => reply(0xcb, &[]),
            GET_ACCESS if data[1] == 2 => reply(0, &[4, 0x42, 1, 0x14]),
            GET_ACCESS => reply(0, &[4, 0x82, 1, 0x0f]),
            GET_NAME if data[0] == 2 => reply(0, b"admin\0\0\0\0\0\0\0\0\0\0\0"),
            GET_NAME if data[0] == 3 => reply(0, &[0xff; 16]),
            GET_NAME if data[0] == 4 => reply(0xcc, &[]),
            GET_NAME => reply(0, &[0; 16]),
            cmd => {
                self.written.push(asked(request));
                self.secret.push(request.secrecy);
                let refused = self.refuses == Some((cmd, data[0]));
                reply(if refused { 0xcc } else { 0 }, &[])
            }
        }
    }
}

#[test]
fn users_are_listed_without_empty_slots() {
    let list = async |dialog: Dialog| dialog.users(14).await;
    let users = play(list, |request| Users::new().answer(request)).expect("listed");
    let names: Vec<_> = users.iter().map(|user| (user.id, user.name.as_str())).collect();
    assert_eq!(names, [(1, ""), (2, "admin")]);
    let admin = users[1].access;
    assert_eq!((admin.enabled, admin.flags.ipmi_messaging), (Some(true), true));
    assert_eq!(admin.privilege, UserPrivilege::Level(PrivilegeLevel::Administrator));
    assert_eq!(users[0].access.privilege, UserPrivilege::NoAccess);
}

#[test]
fn a_human_gets_no_ipmi_unless_that_is_said() {
    for (ipmi, flags) in [(None, 0x80), (Some(true), 0x90)] {
        let mut bmc = Users::new();
        let mut user = NewUser::human("jo", b"secret", PrivilegeLevel::Operator);
        assert!(!format!("{user:?}").contains("secret"));
        if let Some(ipmi) = ipmi {
            user = user.ipmi(ipmi);
        }
        let create = async |dialog: Dialog| dialog.create_user(user).await;
        assert_eq!(play(create, |request| bmc.answer(request)), Ok(3));
        let commands: Vec<_> =
            bmc.written.iter().map(|(_, cmd, data)| (*cmd, &data[..2])).collect();
        let expected: [(u8, &[u8]); 6] = [
            (PASSWORD, &[3, 0]),
            (SET_NAME, &[3, b'j']),
            (PASSWORD, &[3, 2]),
            (SET_ACCESS, &[flags | 1, 3]),
            (SET_ACCESS, &[flags | 8, 3]),
            (PASSWORD, &[3, 1]),
        ];
        assert_eq!(commands, expected);
        assert_eq!(bmc.secret[2], Secrecy::Secret);
        assert_eq!(bmc.written[3].2[2], 3);
    }
}

#[test]
fn a_bmc_without_user_1_and_a_channel_without_users_are_fine() {
    let mut bmc = Users::new();
    bmc.without = (8, true);
    let user = NewUser::human("jo", b"secret", PrivilegeLevel::Operator);
    let create = async |dialog: Dialog| dialog.create_user(user).await;
    assert_eq!(play(create, |request| bmc.answer(request)), Ok(3));
    let access: Vec<_> = bmc.written.iter().filter(|(_, cmd, _)| *cmd == SET_ACCESS).collect();
    assert_eq!(access, [&(6, SET_ACCESS, vec![0x81, 3, 3])]);
    let list = async |dialog: Dialog| dialog.users(14).await;
    let users = play(list, |request| bmc.answer(request)).expect("listed");
    assert_eq!(users.iter().map(|user| user.id).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_user_that_cannot_be_made_is_taken_away_again() {
    let mut bmc = Users::new();
    bmc.refuses = Some((SET_ACCESS, 0x98));
    let user = NewUser::program("jo", b"secret", PrivilegeLevel::User);
    let create = async |dialog: Dialog| dialog.create_user(user).await;
    assert_eq!(code_of(play(create, |request| bmc.answer(request))), Some(0xcc));
    let undone = &bmc.written[5..];
    assert_eq!(undone[0], (6, PASSWORD, vec![3, 0]));
    assert_eq!(undone[1], (6, SET_ACCESS, vec![0x81, 3, 15]));
    assert_eq!(undone[2], (6, SET_ACCESS, vec![0x88, 3, 15]));
    assert_eq!(undone[3].2, [&[3], &[0; 16][..]].concat());
    assert_eq!(undone.len(), 4);
}

#[test]
fn no_user_is_made_of_a_taken_name_or_without_a_password() {
    for (name, password) in [("admin", "x"), ("", "x"), ("jo", "")] {
        let mut bmc = Users::new();
        let user = NewUser::human(name, password.as_bytes(), PrivilegeLevel::User);
        let create = async |dialog: Dialog| dialog.create_user(user).await;
        let result = play(create, |request| bmc.answer(request));
        assert_eq!((kind_of(result), bmc.written.len()), (Some(ErrorKind::Misuse), 0));
    }
}

#[test]
fn a_password_that_must_not_be_sent_undoes_the_user_too() {
    let mut bmc = Users::new();
    let user = NewUser::human("jo", b"secret", PrivilegeLevel::User);
    let create = async |dialog: Dialog| dialog.create_user(user).await;
    let result = play(create, |request| match request.secrecy {
        Secrecy::Secret => Err(Failure::new(Cause::NotEncrypted, Stage::Active).into()),
        _ => bmc.answer(request),
    });
    let error = result.expect_err("nobody may read it");
    assert_eq!(error.kind(), ErrorKind::CipherSuite);
    assert!(error.to_string().contains("encrypt") && error.advice().contains("suite"));
    assert_eq!(bmc.written.last().map(|(_, cmd, _)| *cmd), Some(SET_NAME));
}

#[test]
fn passwords_have_the_size_they_need_and_tests_tell() {
    for (password, options, len) in [
        (&b"0123456789abcdef"[..], PasswordOptions::default(), 18),
        (&b"0123456789abcdefg"[..], PasswordOptions::default(), 22),
        (&b"0"[..], PasswordOptions { twenty_bytes: true, in_clear: true }, 22),
    ] {
        let set = async |dialog: Dialog| dialog.set_user_password(5, password, options).await;
        let mut bmc = Users::new();
        play(set, |request| bmc.answer(request)).expect("taken");
        let (_, _, data) = &bmc.written[0];
        assert_eq!((data.len(), data[0] & 0x80 != 0, data[1]), (len, len == 22, 2));
        let in_clear = bmc.secret[0] == Secrecy::SecretInClear;
        assert_eq!(in_clear, options.in_clear);
    }
    let test =
        async |dialog: Dialog| dialog.test_user_password(5, b"x", PasswordOptions::default()).await;
    for (code, expected) in
        [(0, PasswordTest::Matches), (0x80, PasswordTest::Wrong), (0x81, PasswordTest::WrongSize)]
    {
        assert_eq!(record(test, |_, _| (code, vec![])).0, Ok(expected));
    }
    assert_eq!(code_of(record(test, |_, _| (0xcc, vec![])).0), Some(0xcc));
    let long = async |dialog: Dialog| {
        dialog.set_user_password(5, &[1; 21], PasswordOptions::default()).await
    };
    assert_eq!(kind_of(once(long, &[]).0), Some(ErrorKind::Misuse));
}

#[test]
fn a_bmc_that_wants_room_for_a_password_gets_it() {
    let enable = async |dialog: Dialog| dialog.enable_user(3, true).await;
    let (result, asked) =
        record(enable, |_, data| (if data.len() == 2 { 0xc7 } else { 0 }, vec![]));
    assert_eq!(result, Ok(()));
    assert_eq!(asked[1].2.len(), 18);
}

#[test]
fn user_flags_are_left_alone_when_not_given() {
    let set = async |dialog: Dialog| {
        dialog.set_user_access(2, 3, None, UserPrivilege::NoAccess).await?;
        let flags =
            UserFlags { callback_only: true, link_authentication: true, ipmi_messaging: true };
        dialog.set_user_access(2, 3, Some(flags), UserPrivilege::Other(7)).await
    };
    let (_, asked) = once(set, &[]);
    assert_eq!(asked, [(6, SET_ACCESS, vec![2, 3, 15]), (6, SET_ACCESS, vec![0xf2, 3, 7])]);
}

#[test]
fn channels_are_found_and_their_access_is_written_as_read() {
    let lans = async |dialog: Dialog| dialog.lan_channels().await;
    assert_eq!(play(lans, |request| Users::new().answer(request)), Ok(vec![1, 8]));
    let get = async |dialog: Dialog| dialog.channel_access(1, Stored::NonVolatile).await;
    let access = once(get, &[0x2a, 0x04]).0.expect("read");
    assert_eq!(access.mode, ChannelMode::Always);
    assert!(access.alerting_off && access.user_level_authentication_off);
    let set = async |dialog: Dialog| dialog.set_channel_access(1, Stored::Volatile, access).await;
    assert_eq!(once(set, &[]).1, [(6, 0x40, vec![1, 0xaa, 0x84])]);
    let (refused, _) = record(set, |_, _| (0x83, vec![]));
    assert!(refused.expect_err("refused").to_string().contains("access mode"));
}

#[test]
fn k_g_is_sent_whole_and_as_a_secret() {
    let set = async |dialog: Dialog| dialog.set_k_g(1, b"key", false).await;
    let mut seen = None;
    let result = play(set, |request| {
        seen = Some((request.data.to_vec(), request.secrecy));
        reply(0, &[])
    });
    let expected = [&[1, 1, 1], &b"key"[..], &[0; 17]].concat();
    assert_eq!((result, seen), (Ok(()), Some((expected, Secrecy::Secret))));
    let lock = async |dialog: Dialog| dialog.k_g_lock(1).await;
    assert_eq!(once(lock, &[2]).0, Ok(KeyLock::Unlocked));
    let (refused, _) = record(set, |_, _| (0x80, vec![]));
    assert!(refused.expect_err("locked").to_string().contains("locked"));
}

#[test]
fn cipher_suites_come_in_pieces() {
    let list = async |dialog: Dialog| dialog.cipher_suites(14).await;
    let mut records = Vec::new();
    for id in [1, 2, 3, 6, 7, 8, 17] {
        crate::wire::cipher_suite::encode_record(crate::CipherSuiteId(id), &mut records);
    }
    let piece = |data: &[u8]| {
        let from = usize::from(data[2] & 0x3f) * 16;
        let rest = records.get(from..).unwrap_or_default();
        (0, [&[1], &rest[..rest.len().min(16)]].concat())
    };
    let ids: Vec<_> = record(list, |_, data| piece(data)).0.expect("listed");
    let ids: Vec<_> = ids.iter().map(|record| record.id.0).collect();
    assert_eq!(ids, [1, 2, 3, 6, 7, 8, 17]);
    // One that gives the same for ever.
    let (same, asked) = record(list, |_, _| piece(&[14, 0, 0x80]));
    assert!(same.is_ok());
    assert_eq!(asked.len(), 2);
}
