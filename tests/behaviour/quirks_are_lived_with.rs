//! Each quirk by name: a BMC that has it works unasked, or fails without the flag and works with.

use std::collections::HashSet;

use bmclink::crypto::Secret;
use bmclink::session::{
    Cause, CipherSuiteId, Failure, Quirk, Quirks, SolConfig, SolEvent, Stage, Version,
};
use bmclink::sim::{Misbehaviour, Profile, SolSizes};
use bmclink::wire::PrivilegeLevel;
use bmclink::wire::payload::PayloadType;
use bmclink::wire::rmcpplus;

use crate::pair::{PROFILES, Pair, Setup, Way, secs};
use crate::scripted::{Kind, kind};

const APP: u8 = 0x06;
const GET_DEVICE_ID: u8 = 0x01;

/// Whether the flag has to be set.
#[derive(Clone, Copy, PartialEq)]
enum Flag {
    /// Works without it, and with it.
    Auto,
    /// Fails without it.
    Needed,
}

struct Row {
    quirk: Quirk,
    flag: Flag,
    suites: &'static [u8],
    bmc: fn(&mut Misbehaviour),
}

const ROWS: &[Row] = &[
    Row { quirk: Quirk::AuthCap, flag: Flag::Auto, suites: &[3, 17], bmc: |q| q.authcap = true },
    Row {
        quirk: Quirk::OpenSessPriv,
        flag: Flag::Auto,
        suites: &[1, 3, 6, 8, 15, 17],
        bmc: |q| q.opensesspriv = true,
    },
    Row {
        quirk: Quirk::Intel20,
        flag: Flag::Needed,
        suites: &[3, 8, 12],
        bmc: |q| q.intel20 = true,
    },
    Row {
        quirk: Quirk::I82571Spt,
        flag: Flag::Needed,
        suites: &[3, 8, 17],
        bmc: |q| q.i82571spt = true,
    },
    Row {
        quirk: Quirk::Supermicro20,
        flag: Flag::Auto,
        suites: &[1, 3, 8, 17],
        bmc: |q| q.supermicro20 = true,
    },
    Row { quirk: Quirk::Sun20, flag: Flag::Auto, suites: &[3, 8, 17], bmc: |q| q.sun20 = true },
    Row {
        quirk: Quirk::IntegrityCheckValue,
        flag: Flag::Auto,
        suites: &[0],
        bmc: |q| q.integritycheckvalue = true,
    },
    Row {
        quirk: Quirk::NoChecksumCheck,
        flag: Flag::Auto,
        suites: &[2, 3, 8, 17],
        bmc: |q| q.nochecksumcheck = true,
    },
    Row {
        quirk: Quirk::PrivFallback,
        flag: Flag::Needed,
        suites: &[3, 17],
        bmc: |q| q.privfallback = Some(0x0d),
    },
    Row {
        quirk: Quirk::PrivFallback,
        flag: Flag::Auto,
        suites: &[3, 17],
        bmc: |q| q.privfallback = Some(0x09),
    },
    Row { quirk: Quirk::Icts, flag: Flag::Needed, suites: &[2, 7, 16], bmc: |q| q.icts = true },
    Row { quirk: Quirk::Icts, flag: Flag::Auto, suites: &[0, 1, 15], bmc: |q| q.icts = true },
    Row {
        quirk: Quirk::SolPayloadSize,
        flag: Flag::Auto,
        suites: &[17],
        bmc: |q| {
            q.solpayloadsize = Some(SolSizes { inbound: 64, outbound: 64, swapped: true });
        },
    },
    Row {
        quirk: Quirk::SolPayloadSize,
        flag: Flag::Auto,
        suites: &[17],
        bmc: |q| {
            q.solpayloadsize = Some(SolSizes { inbound: 0, outbound: 0, swapped: false });
        },
    },
    Row {
        quirk: Quirk::SolPort,
        flag: Flag::Auto,
        suites: &[17],
        bmc: |q| q.solport = Some(0x6f02),
    },
    Row { quirk: Quirk::SolPort, flag: Flag::Auto, suites: &[17], bmc: |q| q.solport = Some(9) },
    Row { quirk: Quirk::SolStatus, flag: Flag::Auto, suites: &[17], bmc: |q| q.solstatus = true },
    Row {
        quirk: Quirk::SolChannelSupport,
        flag: Flag::Auto,
        suites: &[17],
        bmc: |q| q.solchannelsupport = true,
    },
    Row {
        quirk: Quirk::SerialAlertsDeferred,
        flag: Flag::Needed,
        suites: &[3, 17],
        bmc: |q| q.serialalertsdeferred = true,
    },
    Row {
        quirk: Quirk::SolPacketSeq,
        flag: Flag::Auto,
        suites: &[17],
        bmc: |q| q.solpacketseq = true,
    },
    Row {
        quirk: Quirk::SolAckZero,
        flag: Flag::Needed,
        suites: &[17],
        bmc: |q| q.solackzero = true,
    },
];

/// Those with tests of their own, here or among the IPMI v1.5 ones.
const ELSEWHERE: &[Quirk] = &[
    Quirk::IdZero,
    Quirk::UnexpectedAuth,
    Quirk::ForcePerMsg,
    Quirk::EndianSeq,
    Quirk::NoAuthCodeCheck,
    Quirk::OemAuth,
    Quirk::SerialKeepalive,
    Quirk::SerialKeepaliveEmpty,
];

#[test]
fn every_quirk_is_covered() {
    let covered: HashSet<Quirk> =
        ROWS.iter().map(|row| row.quirk).chain(ELSEWHERE.iter().copied()).collect();
    let missing: Vec<_> = Quirk::ALL.iter().filter(|quirk| !covered.contains(quirk)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn setup(row: &Row, suite: u8, flagged: bool) -> Setup {
    let mut setup = Setup::new(Profile::Spec, u64::from(suite)).suites(&[suite]);
    (row.bmc)(&mut setup.bmc.quirks);
    if flagged {
        setup.config.quirks.insert(row.quirk);
    }
    setup
}

/// What the layer above makes of the quirks that are the console's.
fn sol_config(quirks: Quirks) -> SolConfig {
    let nul = quirks.has(Quirk::SerialKeepalive);
    let keepalive = nul || quirks.has(Quirk::SerialKeepaliveEmpty);
    SolConfig {
        keepalive: keepalive.then_some(secs(30)),
        keepalive_nul: nul,
        ack_zero_means_all: quirks.has(Quirk::SolAckZero) || quirks.has(Quirk::Intel20),
        ..SolConfig::default()
    }
}

/// Logs in, echoes what is typed, exactly, and stays.
fn works(setup: Setup) -> Result<Pair, String> {
    let commands = !setup.config.quirks.has(Quirk::I82571Spt);
    let sol_config = sol_config(setup.config.quirks);
    let mut pair = setup.start();
    pair.connect_with(sol_config).map_err(|failure| format!("{failure:?}"))?;
    pair.host_echoes = true;
    let line: Vec<u8> = (0..200).map(|n| n as u8).collect();
    pair.typing.extend(&line);
    pair.run_until(secs(10), |pair| pair.received.len() >= line.len());
    // Long enough for a double to come.
    pair.run_for(secs(5));
    if pair.received != line || pair.host_received != line {
        let (got, sent) = (pair.received.len(), pair.host_received.len());
        return Err(format!("{got} bytes of 200 echoed, {sent} typed: {:?}", pair.sol_events()));
    }
    if commands {
        let reply = pair.command(1, APP, GET_DEVICE_ID, &[]).map_err(|f| format!("{f:?}"))?;
        assert_eq!(reply.completion_code.0, 0);
    }
    pair.run_for(secs(50));
    if !pair.session.is_active() || !pair.session.sol_is_active() {
        return Err(format!("{:?} {:?}", pair.closed(), pair.sol_events()));
    }
    Ok(pair)
}

#[test]
fn a_bmc_with_a_quirk_works_as_its_row_says() {
    for row in ROWS {
        for suite in row.suites {
            let what = format!("{} with suite {suite}", row.quirk);
            let with = works(setup(row, *suite, true));
            assert!(with.is_ok(), "{what}, flag set: {:?}", with.err());
            let without = works(setup(row, *suite, false));
            match row.flag {
                Flag::Auto => assert!(without.is_ok(), "{what}, no flag: {:?}", without.err()),
                Flag::Needed => assert!(without.is_err(), "{what}: the flag is not needed"),
            }
        }
    }
}

/// A flag set by mistake harms nothing where its BMC is not, but for those that change the login.
#[test]
fn flags_that_are_always_on_harm_no_other_bmc() {
    for profile in PROFILES {
        for row in ROWS.iter().filter(|row| row.flag == Flag::Auto) {
            if matches!(row.quirk, Quirk::PrivFallback | Quirk::Icts) {
                continue;
            }
            let mut setup = Setup::new(profile, 1);
            setup.config.quirks.insert(row.quirk);
            let result = works(setup);
            assert!(result.is_ok(), "{profile:?} {}: {:?}", row.quirk, result.err());
        }
    }
}

#[test]
fn opensesspriv_is_found_once_and_remembered() {
    let bmc = |setup: &mut Setup| setup.bmc.quirks.opensesspriv = true;
    let mut found = Setup::new(Profile::Spec, 2);
    bmc(&mut found);
    let mut pair = found.start();
    pair.log_in().unwrap();
    assert_eq!(pair.bmc.counters().rakp1, 2);
    let learned = pair.session.learned();
    pair.events.clear();
    pair.new_session(learned);
    pair.log_in().unwrap();
    assert_eq!(pair.bmc.counters().rakp1, 3, "asked twice again");
    let mut flagged = Setup::new(Profile::Spec, 2);
    bmc(&mut flagged);
    flagged.config.quirks.insert(Quirk::OpenSessPriv);
    let mut pair = flagged.start();
    pair.log_in().unwrap();
    assert_eq!(pair.bmc.counters().rakp1, 1);
    // A wrong password is still one.
    let mut wrong = Setup::new(Profile::Spec, 2);
    bmc(&mut wrong);
    wrong.config.password = Secret::new(b"wrong");
    assert_eq!(wrong.start().log_in().unwrap_err().cause, Cause::Password);
}

#[test]
fn intel20_cuts_long_passwords_with_md5_only() {
    for suite in [3, 8] {
        let mut setup = Setup::new(Profile::Spec, 3).suites(&[suite]);
        setup.bmc.quirks.intel20 = true;
        setup.bmc.users[1].password = b"longer than 16 bytes".to_vec();
        setup.config.password = Secret::new(b"longer than 16 bytes");
        setup.config.quirks.insert(Quirk::Intel20);
        setup.start().log_in().unwrap_or_else(|failure| panic!("suite {suite}: {failure:?}"));
    }
}

#[test]
fn a_disabled_suite_may_have_a_misleading_status() {
    for status in [0x01, 0x0a, 0x12] {
        let mut setup = Setup::new(Profile::Spec, 4).suites(&[17, 3]);
        setup.bmc.quirks.first_suite_status = Some(status);
        setup.bmc.cipher_suites = Some(vec![3]);
        let mut pair = setup.start();
        pair.log_in().unwrap_or_else(|failure| panic!("status {status:02x}: {failure:?}"));
        assert_eq!(pair.session.cipher_suite(), Some(CipherSuiteId::SUITE_3));
        assert_eq!(pair.session.privilege_level(), PrivilegeLevel::Administrator);
        // Where no suite is left, the status means what it says.
        let mut setup = Setup::new(Profile::Spec, 4).suites(&[17]);
        setup.bmc.quirks.first_suite_status = Some(status);
        setup.bmc.cipher_suites = Some(vec![3]);
        let failure = setup.start().log_in().unwrap_err();
        assert_eq!(failure.stage, Stage::OpenSession);
        assert_eq!(failure.status.map(|code| code.0), Some(status));
    }
}

/// The other knobs of the simulator that a login or a session meets.
#[test]
fn smaller_deviations_are_lived_with() {
    let knobs: &[fn(&mut Misbehaviour)] = &[
        |q| q.seq_jump = true,
        |q| q.tag_strict = true,
        |q| q.session_id_in_setup = true,
        |q| q.capacity_zero = true,
        |q| q.always_active = true,
        |q| q.duplicate_replies = true,
        |q| q.close_no_reply = true,
        |q| q.short_replies = true,
        |q| q.silent_steal = true,
        |q| q.activate_needs_admin = true,
        |q| q.sol_dup_more_data = true,
        |q| q.deactivate_no_reply = true,
    ];
    for (number, knob) in knobs.iter().enumerate() {
        for suite in [1, 2, 3, 8, 12, 15, 16, 17] {
            let mut setup = Setup::new(Profile::Spec, 5).suites(&[suite]);
            knob(&mut setup.bmc.quirks);
            let result = works(setup);
            assert!(result.is_ok(), "knob {number} suite {suite}: {:?}", result.err());
        }
    }
}

#[test]
fn answers_that_come_twice_are_taken_once() {
    let mut setup = Setup::new(Profile::Spec, 6);
    setup.bmc.quirks.duplicate_replies = true;
    let mut pair = setup.start();
    pair.log_in().unwrap();
    for token in 0..200 {
        assert!(pair.command(token, APP, GET_DEVICE_ID, &[]).is_ok());
    }
    pair.run_for(secs(1));
    let replies =
        pair.events.iter().filter(|(_, e)| matches!(e, bmclink::session::Event::Reply { .. }));
    assert_eq!(replies.count(), 200);
}

#[test]
fn a_user_looked_up_with_their_level_needs_the_exact_one() {
    for profile in [Profile::Spec, Profile::OpenBmc] {
        for (level, works) in
            [(Some(PrivilegeLevel::Operator), true), (Some(PrivilegeLevel::User), false)]
        {
            let mut setup = Setup::new(profile, 7);
            setup.config.user_name = b"operator".to_vec();
            setup.config.password = Secret::new(b"operator");
            setup.config.user_lookup = bmclink::session::UserLookup::NameAndPrivilege;
            setup.config.privilege_level = level;
            assert_eq!(setup.start().log_in().is_ok(), works, "{profile:?} {level:?}");
        }
    }
}

/// The serial keepalives: nothing without the flag, a packet each 30 s with it.
#[test]
fn serial_keepalives_are_sent_when_asked_for() {
    for (quirk, bytes) in
        [(None, 0), (Some(Quirk::SerialKeepaliveEmpty), 0), (Some(Quirk::SerialKeepalive), 10)]
    {
        let mut setup = Setup::new(Profile::Spec, 8);
        setup.config.quirks = quirk.into_iter().collect();
        let sol_config = sol_config(setup.config.quirks);
        let mut pair = setup.start();
        pair.connect_with(sol_config).unwrap();
        pair.run_for(secs(305));
        let expected = if quirk.is_some() { 9..=11 } else { 0..=0 };
        let packets = pair.bmc.counters().sol_in;
        assert!(expected.contains(&packets), "{quirk:?}: {packets}");
        let received = pair.host_received.len();
        assert!(received.abs_diff(bytes) <= 1, "{quirk:?}: {received}");
        assert!(pair.host_received.iter().all(|byte| *byte == 0));
    }
}

/// Nothing is sent to an Intel 82571 that it would not answer.
#[test]
fn an_82571_gets_its_login_and_its_console_alone() {
    let mut setup = Setup::new(Profile::Spec, 9).suites(&[3]);
    setup.bmc.quirks.i82571spt = true;
    setup.config.quirks.insert(Quirk::I82571Spt);
    let mut pair = setup.start();
    pair.tap = Some(Box::new(|way, datagram| {
        if way == Way::ToBmc && kind(&datagram) == Kind::Setup(PayloadType::Rakp1) {
            let framed = rmcpplus::decode(&datagram).expect("a setup packet");
            assert_eq!(framed.payload.len(), 44);
        }
        vec![datagram]
    }));
    pair.connect().unwrap();
    pair.run_for(secs(50));
    // Activate Payload.
    assert_eq!(pair.bmc.counters().commands, 1);
    assert!(pair.session.sol_is_active());
}

#[test]
fn names_of_other_tools_are_known_and_wrong_ones_are_told() {
    for quirk in Quirk::ALL {
        assert_eq!(quirk.name().parse(), Ok(*quirk));
    }
    for name in ["intelplus", "supermicro", "quanta"] {
        assert!(name.parse::<Quirk>().is_ok(), "{name}");
    }
    let unknown = "authcapp".parse::<Quirk>().unwrap_err().to_string();
    assert!(unknown.contains("authcapp") && unknown.contains("authcap"), "{unknown}");
    assert_eq!(format!("{:?}", Quirks::NONE.with(Quirk::Icts)), "{Icts}");
}

/// Wrong checksums are believed inside an AuthCode, or when told to.
#[test]
fn wrong_checksums_without_an_auth_code_need_the_flag() {
    for flag in [false, true] {
        let quirks: Quirks = flag.then_some(Quirk::NoChecksumCheck).into_iter().collect();
        let mut setup = Setup::new(Profile::Spec, 10).suites(&[1]);
        setup.bmc.quirks.nochecksumcheck = true;
        setup.config.quirks = quirks;
        assert_eq!(setup.start().log_in().is_ok(), flag);
        let mut setup = Setup::new(Profile::Spec, 10);
        setup.config.version = Version::V15;
        setup.config.quirks = quirks;
        setup.bmc.quirks.nochecksumcheck = true;
        assert_eq!(setup.start().log_in().is_ok(), flag);
    }
}

/// On a line that spoils a packet now and then, what arrives spoiled decides nothing.
#[test]
fn one_spoiled_capability_answer_decides_nothing() {
    let mut pair = Setup::new(Profile::Spec, 13).start();
    let mut spoiled = false;
    pair.tap = Some(Box::new(move |way, mut datagram| {
        if way == Way::ToConsole && !std::mem::replace(&mut spoiled, true) {
            datagram[22] &= 0x7f; // No v2.0.
        }
        vec![datagram]
    }));
    assert_eq!(pair.log_in(), Ok(()));
}

#[test]
fn a_console_port_that_is_another_is_told_and_not_used() {
    let mut setup = Setup::new(Profile::Spec, 11);
    setup.bmc.quirks.solport = Some(9000);
    let mut pair = setup.start();
    pair.connect_with(SolConfig::default()).unwrap();
    let [SolEvent::Activated { other_port, .. }] = pair.sol_events()[..] else { panic!() };
    assert_eq!(other_port, Some(9000));
}

/// Suites 7, 8, 11 and 12 of ipmi_sim are keyed in its own way: an error, not a hang.
#[test]
fn suites_that_are_keyed_differently_fail_by_name() {
    for suite in [7, 8, 11, 12] {
        let mut pair = Setup::new(Profile::IpmiSim, 12).suites(&[suite]).start();
        let result = pair.log_in();
        if let Err(Failure { cause, stage, .. }) = result {
            assert_eq!((cause, stage), (Cause::TimedOut, Stage::Privilege), "suite {suite}");
        }
        assert!(pair.elapsed() < secs(100), "suite {suite}: {:?}", pair.elapsed());
    }
}
