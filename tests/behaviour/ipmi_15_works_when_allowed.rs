//! IPMI v1.5: only when allowed, with the AuthTypes that were listed, on BMCs with every quirk.

use bmclink::crypto::Secret;
use bmclink::session::{
    Cause, DropReason, Event, Failure, Quirk, SolConfig, SolEvent, Stage, Version,
};
use bmclink::sim::{Misbehaviour, Profile, User};
use bmclink::wire::PrivilegeLevel;
use bmclink::wire::ipmi15::{self, AuthType};

use crate::pair::{Pair, Setup, Tap, Way, millis, secs};
use crate::scripted::{losing, without_v20};

const APP: u8 = 0x06;
const GET_DEVICE_ID: u8 = 0x01;
const ALL: [AuthType; 4] =
    [AuthType::Md5, AuthType::Md2, AuthType::StraightPassword, AuthType::None];

fn v15(profile: Profile, seed: u64) -> Setup {
    let mut setup = Setup::new(profile, seed);
    setup.config.version = Version::V15;
    setup
}

fn with(auth_type: AuthType, knobs: &[&str], quirks: &[Quirk]) -> Setup {
    let mut setup = v15(Profile::Spec, 1);
    setup.config.auth_types = vec![auth_type];
    let mut misbehaviour = Misbehaviour::default();
    for knob in knobs {
        assert!(misbehaviour.enable(knob), "{knob}");
    }
    setup.bmc.quirks = misbehaviour;
    setup.config.quirks = quirks.iter().copied().collect();
    setup
}

/// Logs in, runs 50 commands, stays idle for 5 minutes and closes.
fn works(setup: Setup, what: &str) -> Pair {
    let mut pair = setup.start();
    pair.log_in().unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
    let [(_, Event::Established { cipher_suite: None, privilege_level })] = pair.events[..] else {
        panic!("{what}: {:?}", pair.events)
    };
    assert_eq!(privilege_level, PrivilegeLevel::Administrator, "{what}");
    for token in 0..50 {
        let reply = pair.command(token, APP, GET_DEVICE_ID, &[]);
        let reply = reply.unwrap_or_else(|failure| panic!("{what} {token}: {failure:?}"));
        assert_eq!(reply.completion_code.0, 0, "{what}");
    }
    assert_eq!(pair.session.counters().request_retransmits, 0, "{what}");
    pair.run_for(secs(300));
    assert!(pair.session.is_active(), "{what}: {:?}", pair.closed());
    pair.session.close(pair.now);
    pair.run_until(secs(5), |pair| pair.session.is_closed());
    pair.run_for(secs(1));
    assert_eq!((pair.bmc.counters().sessions_closed, pair.bmc.sessions()), (1, 0), "{what}");
    pair
}

#[test]
fn every_auth_type_logs_in() {
    for profile in [Profile::Spec, Profile::IpmiSim] {
        for auth_type in ALL {
            let mut setup = v15(profile, 2);
            setup.config.auth_types = vec![auth_type];
            let pair = works(setup, &format!("{profile:?} {auth_type:?}"));
            assert_eq!(pair.session.counters().dropped.iter().sum::<u32>(), 0);
            assert_eq!(pair.bmc.counters().open_session, 0);
        }
    }
}

#[test]
fn passwords_of_every_length_log_in() {
    for auth_type in ALL {
        for (name, password) in [(&b"u"[..], &b""[..]), (b"u", b"p"), (&[b'u'; 16], &[b'p'; 16])] {
            let mut setup = v15(Profile::Spec, 3);
            setup.config.auth_types = vec![auth_type];
            setup.bmc.users.push(User::new(name, password, 4));
            setup.config.user_name = name.to_vec();
            setup.config.password = Secret::new(password);
            works(setup, &format!("{auth_type:?} {} {}", name.len(), password.len()));
        }
    }
}

#[test]
fn nothing_weaker_than_listed_is_used() {
    // MD5 is listed by default; this BMC has AuthType OEM alone.
    let mut setup = with(AuthType::Md5, &["oem_auth"], &[]);
    setup.config.auth_types = Setup::new(Profile::Spec, 1).config.auth_types;
    let failure = setup.start().log_in().unwrap_err();
    assert!(matches!(failure.cause, Cause::Incompatible(_)), "{failure:?}");
    // And that one has none at all.
    for profile in [Profile::OpenBmc, Profile::GoIpmi, Profile::Pyghmi] {
        let mut pair = v15(profile, 4).start();
        let failure = pair.log_in().unwrap_err();
        assert!(matches!(failure.cause, Cause::Incompatible(_)), "{profile:?}: {failure:?}");
        assert_eq!(pair.bmc.counters().session_challenge, 0);
    }
}

/// A BMC without v2.0, and settings that do or do not allow to live with it.
#[test]
fn the_fallback_is_taken_only_when_allowed() {
    for (version, falls_back) in [(Version::V20, false), (Version::V20OrV15, true)] {
        let mut setup = Setup::new(Profile::Spec, 5);
        setup.config.version = version;
        let mut pair = setup.start();
        pair.tap = Some(without_v20());
        assert_eq!(pair.log_in().is_ok(), falls_back, "{version:?}");
        assert_eq!(pair.bmc.counters().session_challenge, u64::from(falls_back), "{version:?}");
        if falls_back {
            assert_eq!(pair.session.cipher_suite(), None);
        }
    }
    // Where there is v2.0, it is used.
    let mut setup = Setup::new(Profile::Spec, 5);
    setup.config.version = Version::V20OrV15;
    let mut pair = setup.start();
    pair.log_in().unwrap();
    assert!(pair.session.cipher_suite().is_some());
}

#[test]
fn a_password_too_long_for_v15_is_no_fallback() {
    let mut setup = Setup::new(Profile::Spec, 6);
    setup.config.version = Version::V20OrV15;
    setup.config.password = Secret::new(&[b'p'; 17]);
    let mut pair = setup.start();
    pair.tap = Some(without_v20());
    assert!(matches!(pair.log_in().unwrap_err().cause, Cause::Incompatible(_)));
    assert_eq!(pair.bmc.counters().session_challenge, 0);
}

#[test]
fn there_is_no_console() {
    let mut pair = v15(Profile::Spec, 7).start();
    pair.log_in().unwrap();
    assert!(pair.session.sol_open(pair.now, SolConfig::default()));
    pair.settle();
    let expected = Failure::new(Cause::NoSolInV15, Stage::ActivateSol);
    assert_eq!(pair.sol_events(), [SolEvent::Ended(expected)]);
    assert!(pair.command(1, APP, GET_DEVICE_ID, &[]).is_ok());
    assert_eq!(pair.bmc.counters().activate_payload, 0);
}

#[test]
fn refusals_are_told_apart() {
    let refused = |change: &dyn Fn(&mut Setup)| {
        let mut setup = v15(Profile::Spec, 8);
        change(&mut setup);
        setup.start().log_in().unwrap_err()
    };
    let failure = refused(&|setup| setup.config.user_name = b"nobody".to_vec());
    assert_eq!((failure.cause, failure.stage), (Cause::UserName, Stage::Challenge));
    assert_eq!(failure.completion_code.map(|code| code.0), Some(0x81));
    let failure = refused(&|setup| setup.bmc.users[1].enabled = false);
    assert_eq!(failure.cause, Cause::UserName);
    // A wrong AuthCode is met with silence.
    let failure = refused(&|setup| setup.config.password = Secret::new(b"wrong"));
    assert_eq!((failure.cause, failure.stage), (Cause::TimedOut, Stage::ActivateSession));
    assert!(failure.advice().contains("password"), "{}", failure.advice());
    let failure = refused(&|setup| {
        setup.config.user_name = b"operator".to_vec();
        setup.config.password = Secret::new(b"operator");
        setup.config.privilege_level = Some(PrivilegeLevel::Administrator);
    });
    assert_eq!((failure.cause, failure.stage), (Cause::Privilege, Stage::ActivateSession));
    assert_eq!(failure.completion_code.map(|code| code.0), Some(0x86));
}

#[test]
fn a_full_session_table_is_named() {
    let mut pair = v15(Profile::Spec, 9).start();
    pair.bmc.fill_session_table(true);
    let failure = pair.log_in().unwrap_err();
    assert_eq!(failure.stage, Stage::Challenge);
    assert_eq!(failure.cause, Cause::NoFreeSession, "{failure:?}");
}

#[test]
fn the_level_is_what_the_user_has() {
    for (name, level) in
        [(&b"operator"[..], PrivilegeLevel::Operator), (b"user", PrivilegeLevel::User)]
    {
        let mut setup = v15(Profile::Spec, 10);
        setup.config.user_name = name.to_vec();
        setup.config.password = Secret::new(name);
        let mut pair = setup.start();
        pair.log_in().unwrap_or_else(|failure| panic!("{level:?}: {failure:?}"));
        assert_eq!(pair.session.privilege_level(), level);
        assert!(pair.command(1, APP, GET_DEVICE_ID, &[]).is_ok());
    }
}

#[test]
fn lost_packets_are_sent_again() {
    for auth_type in ALL {
        for position in 0..8 {
            let mut setup = v15(Profile::Spec, 11);
            setup.config.auth_types = vec![auth_type];
            let mut pair = setup.start();
            let mut sent = 0;
            pair.tap = Some(losing(move |_, _| {
                sent += 1;
                sent - 1 == position
            }));
            let result = pair.log_in();
            assert_eq!(result, Ok(()), "{auth_type:?}, without packet {position}");
            assert!(pair.command(1, APP, GET_DEVICE_ID, &[]).is_ok(), "{auth_type:?} {position}");
        }
    }
}

#[test]
fn doubled_packets_are_survived() {
    for profile in [Profile::Spec, Profile::IpmiSim] {
        for seed in 0..100 {
            let mut setup = v15(profile, seed);
            setup.faults.duplicate = 0.5;
            setup.faults.reorder = 0.2;
            setup.faults.reorder_delay = millis(1)..millis(50);
            let mut pair = setup.start();
            pair.log_in().unwrap_or_else(|failure| panic!("{profile:?} {seed}: {failure:?}"));
            for token in 0..20 {
                let reply = pair.command(token, APP, GET_DEVICE_ID, &[]);
                assert!(reply.is_ok(), "{profile:?} {seed} {token}: {reply:?}");
            }
        }
    }
}

#[test]
fn a_lossy_login_succeeds_or_times_out() {
    for auth_type in ALL {
        for seed in 0..300 {
            let mut setup = v15(Profile::Spec, seed);
            setup.config.auth_types = vec![auth_type];
            setup.faults.loss = 0.2;
            let mut pair = setup.start();
            match pair.log_in() {
                Err(failure) if failure.cause != Cause::TimedOut => {
                    panic!("{auth_type:?} {seed}: {failure:?}")
                }
                _ => {}
            }
        }
    }
}

// The quirks of the notes, each with the knob of the simulator.

#[test]
fn per_message_authentication_that_is_off_changes_nothing() {
    for auth_type in ALL {
        for knob in ["per_message_auth_off", "unexpectedauth", "forcepermsg"] {
            works(with(auth_type, &[knob], &[]), &format!("{auth_type:?} {knob}"));
        }
    }
}

#[test]
fn session_id_0_in_responses_needs_its_quirk() {
    assert!(with(AuthType::Md5, &["idzero"], &[]).start().log_in().is_err());
    for auth_type in ALL {
        works(with(auth_type, &["idzero"], &[Quirk::IdZero]), &format!("{auth_type:?}"));
    }
}

#[test]
fn swapped_sequence_numbers_need_their_quirk() {
    assert!(with(AuthType::Md5, &["endianseq"], &[]).start().log_in().is_err());
    for auth_type in ALL {
        works(with(auth_type, &["endianseq"], &[Quirk::EndianSeq]), &format!("{auth_type:?}"));
    }
}

#[test]
fn wrong_auth_codes_need_their_quirk() {
    assert!(with(AuthType::Md5, &["noauthcodecheck"], &[]).start().log_in().is_err());
    let quirks = [Quirk::NoAuthCodeCheck];
    works(with(AuthType::Md5, &["noauthcodecheck"], &quirks), "MD5");
    works(with(AuthType::Md2, &["noauthcodecheck"], &quirks), "MD2");
}

#[test]
fn auth_type_oem_needs_its_quirk() {
    assert!(with(AuthType::Md5, &["oem_auth"], &[]).start().log_in().is_err());
    let pair = works(with(AuthType::Md5, &["oem_auth"], &[Quirk::OemAuth]), "OEM");
    assert_eq!(pair.session.counters().dropped.iter().sum::<u32>(), 0);
}

// What is refused.

/// Changes every packet of the session that comes from the BMC.
fn forging(change: impl Fn(&mut Vec<u8>) + 'static) -> Tap {
    Box::new(move |way, mut datagram| {
        let block = datagram.get(4..).unwrap_or_default();
        let session = ipmi15::decode(block).is_ok_and(|(header, _)| header.session_id.0 != 0);
        if way == Way::ToConsole && session {
            change(&mut datagram);
        }
        vec![datagram]
    })
}

/// The same message without its AuthCode.
fn stripped(datagram: &mut Vec<u8>) {
    if datagram[4] != 0 {
        datagram[4] = 0;
        datagram.drain(13..29);
    }
}

#[test]
fn an_answer_without_auth_code_is_not_taken() {
    for auth_type in [AuthType::Md5, AuthType::Md2, AuthType::StraightPassword] {
        let mut pair = with(auth_type, &[], &[]).start();
        pair.log_in().unwrap();
        pair.tap = Some(forging(stripped));
        let failure = pair.command(1, APP, GET_DEVICE_ID, &[]).unwrap_err();
        assert_eq!(failure.cause, Cause::TimedOut);
        let dropped = pair.session.counters().dropped[DropReason::NotAuthenticated as usize];
        assert_eq!(dropped, 5, "{auth_type:?}");
    }
}

/// Nobody in between can say that the session goes on without AuthCodes.
#[test]
fn an_activation_without_auth_code_is_not_taken() {
    for auth_type in [AuthType::Md5, AuthType::Md2, AuthType::StraightPassword] {
        let mut pair = with(auth_type, &[], &[]).start();
        pair.tap = Some(forging(|datagram| {
            stripped(datagram);
            // Activated: AuthType none for the rest of the session.
            if datagram[19] == 0x3a {
                datagram[21] = 0;
                let end = datagram.len() - 1;
                datagram[end] = bmclink::wire::message::checksum(&datagram[17..end]);
            }
        }));
        let failure = pair.log_in().unwrap_err();
        assert_eq!(failure, Failure::new(Cause::TimedOut, Stage::ActivateSession));
    }
}

#[test]
fn a_changed_answer_is_not_taken() {
    for auth_type in [AuthType::Md5, AuthType::Md2, AuthType::StraightPassword] {
        let mut pair = with(auth_type, &[], &[]).start();
        pair.log_in().unwrap();
        pair.tap = Some(forging(|datagram| datagram[20] ^= 1));
        assert!(pair.command(1, APP, GET_DEVICE_ID, &[]).is_err(), "{auth_type:?}");
        let dropped = pair.session.counters().dropped[DropReason::WrongAuthCode as usize];
        assert_eq!(dropped, 5, "{auth_type:?}");
    }
}
