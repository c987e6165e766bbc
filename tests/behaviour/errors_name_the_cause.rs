//! P5: what goes wrong is told apart, with the stage and the code, in one line.

use std::collections::HashSet;

use bmclink::crypto::Secret;
use bmclink::session::{
    Cause, CipherSuiteId, ConfigError, Event, Failure, SessionConfig, SolConfig, Stage, TakeOver,
};
use bmclink::sim::{Profile, User};
use bmclink::wire::PrivilegeLevel;
use bmclink::wire::message::CompletionCode;
use bmclink::wire::open_session::StatusCode;
use bmclink::wire::payload::PayloadType;

use crate::pair::{PROFILES, Pair, Setup, bmc_address, secs};
use crate::scripted::{Kind, instead_of, kind, losing, refused, without_v20};

const APP: u8 = 0x06;
const ACTIVATE_PAYLOAD: u8 = 0x48;

/// One line, in lower case but for names, that ends with where it happened.
fn assert_readable(failure: &Failure) {
    let text = failure.to_string();
    assert!(text.len() > 10 && !text.contains('\n'), "{text:?}");
    let first = text.split_whitespace().next().unwrap();
    let name = ["SOL", "RAKP", "IPMI"].contains(&first);
    assert!(name || first.chars().all(|c| !c.is_uppercase()), "{text:?}");
    assert!(text.ends_with(']') && text.contains(&failure.stage.to_string()), "{text:?}");
    let advice = failure.advice();
    assert!(!advice.is_empty() && !advice.contains('\n') && !advice.ends_with('.'), "{advice:?}");
}

fn log_in(setup: Setup) -> Failure {
    let profile = setup.bmc.profile;
    let mut pair = setup.start();
    let failure = match pair.log_in() {
        Err(failure) => failure,
        Ok(()) => panic!("{profile:?}: logged in"),
    };
    assert_readable(&failure);
    let closed = pair.events.iter().filter(|(_, e)| matches!(e, Event::Closed(_))).count();
    assert_eq!((closed, pair.events.len()), (1, 1), "{profile:?}: {:?}", pair.events);
    failure
}

fn with(profile: Profile, change: impl FnOnce(&mut SessionConfig)) -> Failure {
    let mut setup = Setup::new(profile, 1);
    change(&mut setup.config);
    log_in(setup)
}

fn by_status(cause: Cause, stage: Stage, status: u8) -> Failure {
    Failure::by_status(cause, stage, StatusCode(status))
}

#[test]
fn an_unknown_user_is_named_where_the_bmc_tells() {
    for profile in PROFILES {
        let failure = with(profile, |config| config.user_name = b"nobody".to_vec());
        let expected = match profile {
            // This one answers as to a wrong password, and that one not at all.
            Profile::GoIpmi => Failure::new(Cause::Password, Stage::Rakp2),
            Profile::Pyghmi => Failure::new(Cause::TimedOut, Stage::Rakp2),
            _ => by_status(Cause::UserName, Stage::Rakp2, 0x0d),
        };
        assert_eq!(failure, expected, "{profile:?}");
    }
}

#[test]
fn a_wrong_password_is_named_by_every_bmc() {
    for profile in PROFILES {
        for password in [&b"wrong"[..], b"Password", b"password!", b"passwor", b""] {
            let failure = with(profile, |config| config.password = Secret::new(password));
            assert_eq!(failure, Failure::new(Cause::Password, Stage::Rakp2), "{profile:?}");
            assert!(failure.is_bad_credentials());
        }
    }
}

#[test]
fn a_wrong_password_costs_few_tries() {
    for profile in PROFILES {
        let mut setup = Setup::new(profile, 2);
        setup.config.password = Secret::new(b"wrong");
        let mut pair = setup.start();
        assert!(pair.log_in().is_err());
        // The second one asks for the level in Open Session.
        assert_eq!(pair.bmc.counters().rakp1, 2, "{profile:?}");
        assert!(pair.elapsed() < secs(2), "{profile:?}");
        // Where a login worked before, that is known, and one try is enough.
        let mut pair = Setup::new(profile, 2).start();
        pair.log_in().unwrap();
        let learned = pair.session.learned();
        let before = pair.bmc.counters().rakp1;
        pair.bmc.set_password(b"admin", b"other");
        pair.events.clear();
        pair.new_session(learned);
        assert_eq!(pair.log_in(), Err(Failure::new(Cause::Password, Stage::Rakp2)));
        assert_eq!(pair.bmc.counters().rakp1, before + 1, "{profile:?}");
    }
}

#[test]
fn k_g_is_told_from_the_password() {
    for profile in [Profile::Spec, Profile::GoIpmi, Profile::Pyghmi, Profile::IpmiSim] {
        for (theirs, ours) in
            [(&b"right"[..], &b"wrong"[..]), (b"right", b""), (b"", b"superfluous")]
        {
            let mut setup = Setup::new(profile, 3);
            setup.bmc.k_g = theirs.to_vec();
            setup.config.k_g = Secret::new(ours);
            let failure = log_in(setup);
            assert_eq!(failure, Failure::new(Cause::KG, Stage::Rakp4), "{profile:?}");
            assert!(failure.is_bad_credentials());
        }
        let mut setup = Setup::new(profile, 3);
        setup.bmc.k_g = b"right".to_vec();
        setup.config.k_g = Secret::new(b"right");
        setup.start().log_in().unwrap();
    }
    // OpenBMC has none.
    let failure = with(Profile::OpenBmc, |config| config.k_g = Secret::new(b"superfluous"));
    assert_eq!(failure.cause, Cause::KG);
}

#[test]
fn a_disabled_user_is_refused() {
    for profile in PROFILES {
        let mut setup = Setup::new(profile, 4);
        setup.bmc.users[1].enabled = false;
        let failure = log_in(setup);
        let expected = match profile {
            Profile::GoIpmi => Failure::new(Cause::Password, Stage::Rakp2),
            Profile::Pyghmi => Failure::new(Cause::TimedOut, Stage::Rakp2),
            // "Invalid role" is all that this one says.
            Profile::OpenBmc => by_status(Cause::Privilege, Stage::Rakp2, 0x09),
            _ => by_status(Cause::UserName, Stage::Rakp2, 0x0d),
        };
        assert_eq!(failure, expected, "{profile:?}");
    }
}

fn as_user(profile: Profile, name: &[u8], level: Option<PrivilegeLevel>) -> Setup {
    let mut setup = Setup::new(profile, 5);
    setup.config.user_name = name.to_vec();
    setup.config.password = Secret::new(name);
    setup.config.privilege_level = level;
    setup
}

#[test]
fn a_pinned_privilege_level_is_never_lowered() {
    // pyghmi knows no limits.
    for profile in [Profile::Spec, Profile::OpenBmc, Profile::GoIpmi, Profile::IpmiSim] {
        for name in [&b"operator"[..], b"user"] {
            let mut pair = as_user(profile, name, Some(PrivilegeLevel::Administrator)).start();
            let failure = pair.log_in().unwrap_err();
            assert_readable(&failure);
            assert_eq!(failure.cause, Cause::Privilege, "{profile:?}");
            let told = failure.status.is_some() || failure.completion_code.is_some();
            assert!(told, "{profile:?}: {failure:?}");
            pair.run_for(secs(5));
            assert_eq!(pair.bmc.sessions(), 0, "{profile:?}: refused, but not closed");
        }
    }
}

#[test]
fn without_a_wish_the_level_is_what_the_user_has() {
    for profile in [Profile::Spec, Profile::OpenBmc, Profile::GoIpmi, Profile::IpmiSim] {
        for (name, level) in
            [(&b"operator"[..], PrivilegeLevel::Operator), (b"user", PrivilegeLevel::User)]
        {
            let mut pair = as_user(profile, name, None).start();
            pair.log_in().unwrap_or_else(|failure| panic!("{profile:?}: {failure:?}"));
            assert_eq!(pair.session.privilege_level(), level, "{profile:?}");
            let [(_, Event::Established { privilege_level, .. })] = pair.events[..] else {
                panic!("{:?}", pair.events)
            };
            assert_eq!(privilege_level, level);
            assert!(pair.command(1, APP, 0x01, &[]).is_ok());
        }
    }
}

/// A user who is made more than they were is noticed at the next login.
#[test]
fn a_raised_limit_is_used_at_the_next_login() {
    for profile in [Profile::Spec, Profile::OpenBmc, Profile::GoIpmi, Profile::IpmiSim] {
        let mut pair = as_user(profile, b"operator", None).start();
        pair.log_in().unwrap();
        let learned = pair.session.learned();
        pair.session.close(pair.now);
        pair.run_for(secs(3));
        pair.events.clear();
        let mut options = pair.bmc.options().clone();
        options.users[2].privilege = 4;
        let seed = crate::pair::seed_bytes(5, 77);
        pair.bmc = bmclink::sim::ManagedSystem::new(options, seed, pair.now);
        pair.new_session(learned);
        pair.log_in().unwrap_or_else(|failure| panic!("{profile:?}: {failure:?}"));
        assert_eq!(pair.session.privilege_level(), PrivilegeLevel::Administrator, "{profile:?}");
    }
}

#[test]
fn a_refused_suite_is_named_with_its_status() {
    for profile in [Profile::Spec, Profile::GoIpmi, Profile::IpmiSim] {
        let mut setup = Setup::new(profile, 6).suites(&[17]);
        setup.bmc.cipher_suites = Some(vec![3]);
        let failure = log_in(setup);
        assert_eq!(failure, by_status(Cause::CipherSuite, Stage::OpenSession, 0x04));
    }
    let failure = log_in(Setup::new(Profile::OpenBmc, 6).suites(&[3]));
    assert_eq!(failure, by_status(Cause::CipherSuite, Stage::OpenSession, 0x04));
}

#[test]
fn a_downgrade_is_refused_by_name_and_a_listed_suite_is_taken() {
    let failure = log_in(Setup::new(Profile::Pyghmi, 7).suites(&[17]));
    assert_eq!(failure, Failure::new(Cause::Downgrade, Stage::OpenSession));
    let mut pair = Setup::new(Profile::Pyghmi, 7).suites(&[17, 3]).start();
    pair.log_in().unwrap();
    assert_eq!(pair.session.cipher_suite(), Some(CipherSuiteId::SUITE_3));
}

#[test]
fn a_full_session_table_is_named() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 8).start();
        pair.bmc.fill_session_table(true);
        let failure = pair.log_in().unwrap_err();
        assert_readable(&failure);
        let expected = by_status(Cause::NoFreeSession, Stage::OpenSession, 0x01);
        // What is no suite of these comes first, and hides it.
        let expected = match profile {
            Profile::OpenBmc | Profile::Spec | Profile::GoIpmi => expected,
            Profile::Pyghmi | Profile::IpmiSim => {
                assert_eq!(failure.cause, Cause::NoFreeSession, "{profile:?}");
                continue;
            }
        };
        assert_eq!(failure, expected, "{profile:?}");
        assert!(pair.bmc.counters().open_session <= 2, "{profile:?}");
    }
}

#[test]
fn a_bmc_without_v20_is_named() {
    let mut pair = Setup::new(Profile::Spec, 9).start();
    pair.tap = Some(without_v20());
    let failure = pair.log_in().unwrap_err();
    assert_readable(&failure);
    assert!(matches!(failure.cause, Cause::Incompatible(_)), "{failure:?}");
    assert_eq!(failure.stage, Stage::Capabilities);
    assert_eq!(pair.bmc.counters().open_session, 0);
}

#[test]
fn no_answer_at_all_is_unreachable() {
    let mut pair = Setup::new(Profile::Spec, 10).start();
    pair.net.set_reachable(bmc_address(), false);
    assert_eq!(pair.log_in(), Err(Failure::new(Cause::TimedOut, Stage::Capabilities)));
}

fn activate(pair: &mut Pair, config: SolConfig) -> Failure {
    let failure = pair.connect_with(config).expect_err("refused");
    assert_readable(&failure);
    assert_eq!(failure.stage, Stage::ActivateSol);
    assert!(pair.session.is_active(), "the session lives on");
    assert!(pair.command(9, APP, 0x01, &[]).is_ok());
    failure
}

#[test]
fn each_refusal_of_activate_payload_has_its_own_reason() {
    for profile in PROFILES {
        for (code, cause) in [
            (0x81, Cause::SolDisabled),
            (0x82, Cause::SolInUse),
            (0x83, Cause::SolRefused),
            (0x84, Cause::SolRefused),
            (0xc1, Cause::SolRefused),
            (0xc9, Cause::SolRefused),
            (0xd4, Cause::Privilege),
            (0xd5, Cause::SolRefused),
            (0xff, Cause::SolRefused),
        ] {
            let mut pair = Setup::new(profile, 11).start();
            pair.bmc.script_completion(APP, ACTIVATE_PAYLOAD, code, 100);
            let failure = activate(&mut pair, SolConfig::default());
            assert_eq!(failure.cause, cause, "{profile:?} {code:02x}: {failure:?}");
            assert_eq!(failure.completion_code, Some(CompletionCode(code)), "{profile:?}");
            assert!(pair.bmc.counters().commands < 20, "{profile:?} {code:02x}");
        }
    }
}

#[test]
fn a_busy_bmc_is_asked_again() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 12).start();
        pair.bmc.script_completion(APP, ACTIVATE_PAYLOAD, 0xc0, 3);
        pair.connect().unwrap_or_else(|failure| panic!("{profile:?}: {failure:?}"));
    }
}

#[test]
fn sol_that_is_off_for_the_user_is_disabled() {
    for profile in [Profile::Spec, Profile::OpenBmc, Profile::GoIpmi, Profile::IpmiSim] {
        let mut setup = Setup::new(profile, 13);
        setup.bmc.users[1].sol = false;
        let failure = activate(&mut setup.start(), SolConfig::default());
        assert_eq!(failure.cause, Cause::SolDisabled, "{profile:?}");
    }
}

#[test]
fn sol_of_a_living_session_is_in_use() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 14).start();
        pair.connect().unwrap();
        pair.events.clear();
        pair.new_session(Default::default());
        let config = SolConfig { take_over: TakeOver::Never, ..SolConfig::default() };
        let failure = activate(&mut pair, config);
        assert_eq!(failure.cause, Cause::SolInUse, "{profile:?}");
        assert_eq!(failure.completion_code, Some(CompletionCode(0x80)));
    }
}

/// What becomes of each status code, at the stage given, where nothing else is left to try.
fn cause_of(stage: Stage, status: u8) -> Cause {
    match (stage, status) {
        (_, 0x01 | 0x0b) => Cause::NoFreeSession,
        (_, 0x04..=0x07 | 0x10 | 0x11) => Cause::CipherSuite,
        (_, 0x09 | 0x0a) => Cause::Privilege,
        (_, 0x0d) => Cause::UserName,
        (_, 0x0f) => Cause::Password,
        _ => Cause::Refused,
    }
}

#[test]
fn every_status_code_at_every_stage_has_its_cause() {
    let stages = [
        (PayloadType::OpenSessionResponse, Stage::OpenSession),
        (PayloadType::Rakp2, Stage::Rakp2),
        (PayloadType::Rakp4, Stage::Rakp4),
    ];
    let mut texts = HashSet::new();
    for (payload_type, stage) in stages {
        for status in 0x01..=0x14 {
            let mut setup = Setup::new(Profile::Spec, 15).suites(&[17]);
            setup.config.privilege_level = Some(PrivilegeLevel::Administrator);
            let mut pair = setup.start();
            pair.tap = Some(instead_of(payload_type, move |answer| vec![refused(answer, status)]));
            let failure = pair.log_in().expect_err("refused");
            assert_readable(&failure);
            assert_eq!(failure, by_status(cause_of(stage, status), stage, status));
            assert!(pair.elapsed() < secs(30), "{stage} {status:02x}: {:?}", pair.elapsed());
            assert!(pair.session.counters().sent < 25, "{stage} {status:02x}");
            texts.insert(failure.to_string());
        }
    }
    assert_eq!(texts.len(), 3 * 0x14, "every line is another one");
}

/// The same where there is more to try: another suite, a lower level.
#[test]
fn every_status_code_ends_also_where_more_can_be_tried() {
    let stages = [PayloadType::OpenSessionResponse, PayloadType::Rakp2, PayloadType::Rakp4];
    for payload_type in stages {
        for status in 0x01..=0xff {
            let mut setup = Setup::new(Profile::Spec, 16).suites(&[17, 16, 8, 3]);
            setup.config.quirks.insert(bmclink::session::Quirk::PrivFallback);
            let mut pair = setup.start();
            pair.tap = Some(instead_of(payload_type, move |answer| vec![refused(answer, status)]));
            let failure = pair.log_in().expect_err("refused");
            assert_readable(&failure);
            assert_eq!(failure.status, Some(StatusCode(status)));
            assert!(pair.elapsed() < secs(60), "{status:02x}: {:?}", pair.elapsed());
            assert!(pair.session.counters().sent < 40, "{status:02x}");
        }
    }
}

#[test]
fn a_code_of_a_wrong_length_is_named() {
    for len in [0, 1, 12, 19, 22, 40] {
        let mut pair = Setup::new(Profile::Spec, 17).suites(&[3]).start();
        pair.tap = Some(instead_of(PayloadType::Rakp2, move |answer| {
            vec![crate::scripted::changed(answer, |payload| payload.resize(40 + len, 0x5a))]
        }));
        let failure = pair.log_in().expect_err("refused");
        assert_readable(&failure);
        assert!(matches!(failure.cause, Cause::PeerMisbehaved(_)), "{len}: {failure:?}");
        assert_eq!(failure.stage, Stage::Rakp2);
        assert_eq!(pair.bmc.counters().rakp3, 0, "{len}: RAKP 3 went out all the same");
    }
}

/// RAKP 4 without, or with half of, its value proves nothing.
#[test]
fn a_short_check_value_is_not_taken() {
    for suite in [1, 3, 6, 8, 15, 17] {
        for cut in 1..=16 {
            let mut pair = Setup::new(Profile::Spec, 18).suites(&[suite]).start();
            pair.tap = Some(instead_of(PayloadType::Rakp4, move |answer| {
                let shorter =
                    |payload: &mut Vec<u8>| payload.truncate(payload.len().max(8 + cut) - cut);
                vec![crate::scripted::changed(answer, shorter)]
            }));
            let failure = pair.log_in().expect_err("refused");
            assert_eq!(failure, Failure::new(Cause::KG, Stage::Rakp4), "suite {suite} cut {cut}");
        }
    }
}

#[test]
fn settings_that_cannot_work_are_refused_before_any_packet() {
    let check = |change: &dyn Fn(&mut SessionConfig)| {
        let mut config = Setup::new(Profile::Spec, 1).config;
        change(&mut config);
        config.check()
    };
    assert_eq!(check(&|c| c.user_name.clear()), Err(ConfigError::NoUserName));
    assert_eq!(SessionConfig::default().check(), Err(ConfigError::NoUserName));
    for xrc4 in [4, 5, 9, 10, 13, 14, 18, 19] {
        let refused = check(&|c| c.cipher_suites = vec![CipherSuiteId(17), CipherSuiteId(xrc4)]);
        assert_eq!(refused, Err(ConfigError::CipherSuiteXrc4(CipherSuiteId(xrc4))));
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("xRC4") && text.contains(&xrc4.to_string()), "{text}");
    }
    assert_eq!(
        check(&|c| c.cipher_suites = vec![CipherSuiteId(20)]),
        Err(ConfigError::CipherSuiteUnknown(CipherSuiteId(20)))
    );
    assert_eq!(check(&|c| c.cipher_suites.clear()), Err(ConfigError::NoCipherSuite));
}

#[test]
fn every_cause_has_a_line_of_its_own() {
    let causes = [
        Cause::TimedOut,
        Cause::UserName,
        Cause::Password,
        Cause::KG,
        Cause::Privilege,
        Cause::CipherSuite,
        Cause::Downgrade,
        Cause::NoFreeSession,
        Cause::Incompatible("the BMC has no IPMI v2.0"),
        Cause::PeerMisbehaved("RAKP 2 code of a wrong length"),
        Cause::Refused,
        Cause::Completion,
        Cause::SolDisabled,
        Cause::SolInUse,
        Cause::SolRefused,
        Cause::SolStolen,
        Cause::SolDeactivated,
        Cause::Lost,
        Cause::OutcomeUnknown,
        Cause::Closed,
        Cause::NotConnected,
        Cause::NoSolInV15,
    ];
    let texts: HashSet<String> =
        causes.iter().map(|cause| Failure::new(*cause, Stage::Active).to_string()).collect();
    assert_eq!(texts.len(), causes.len());
    for failure in causes.map(|cause| Failure::new(cause, Stage::Active)) {
        assert!(!failure.to_string().starts_with(' ') && !failure.advice().is_empty());
    }
}

/// The second try of a login whose hashes do not fit is only made to be sure. pyghmi's BMC never
/// answers it after a wrong K_g: it takes the first one for logged in.
#[test]
fn a_silent_second_try_leaves_the_verdict_of_the_first() {
    for (cause, stage) in [(Cause::Password, Stage::Rakp2), (Cause::KG, Stage::Rakp4)] {
        let mut setup = Setup::new(Profile::Spec, 21);
        let config = &mut setup.config;
        let secret = if cause == Cause::KG { &mut config.k_g } else { &mut config.password };
        *secret = Secret::new(b"wrong");
        let mut pair = setup.start();
        let mut tries = 0;
        pair.tap = Some(losing(move |_, datagram| {
            tries += u32::from(kind(datagram) == Kind::Setup(PayloadType::OpenSessionRequest));
            tries > 1
        }));
        assert_eq!(pair.log_in(), Err(Failure::new(cause, stage)));
    }
}

/// Silence where a wrong name or password is met with silence: the line says so.
#[test]
fn silence_after_rakp_hints_at_the_credentials() {
    let failure = with(Profile::Pyghmi, |config| config.user_name = b"nobody".to_vec());
    assert_eq!(failure.cause, Cause::TimedOut);
    assert!(failure.advice().contains("user name"), "{}", failure.advice());
    let mut pair = Setup::new(Profile::Spec, 19).start();
    pair.tap = Some(losing(|_, _| true));
    let failure = pair.log_in().unwrap_err();
    assert!(failure.advice().contains("address"), "{}", failure.advice());
}

#[test]
fn names_and_passwords_at_their_limits_work() {
    let mut setup = Setup::new(Profile::Spec, 20);
    setup.bmc.users.push(User::new(&[b'u'; 16], &[b'p'; 20], 4));
    setup.config.user_name = vec![b'u'; 16];
    setup.config.password = Secret::new(&[b'p'; 20]);
    setup.start().log_in().unwrap();
}
