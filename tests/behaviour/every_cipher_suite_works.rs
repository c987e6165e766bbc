//! Each cipher suite logs in, runs commands and carries a console, with every kind of key; and the
//! best one that both ends have is found without being told.

use bmclink::crypto::Secret;
use bmclink::session::{Cause, CipherSuiteId, Failure, Learned, Quirk, Stage};
use bmclink::sim::{Profile, User};
use bmclink::wire::open_session::OpenSessionRequest;
use bmclink::wire::payload::PayloadType;
use bmclink::wire::rmcpplus;

use crate::pair::{Pair, Setup, Tap, Way, secs};
use crate::scripted::{Kind, kind, losing, setup_payload};

const IMPLEMENTED: [u8; 12] = [0, 1, 2, 3, 6, 7, 8, 11, 12, 15, 16, 17];

fn works(mut setup: Setup, name: &[u8], password: &[u8], k_g: (&[u8], &[u8]), what: &str) {
    setup.bmc.users.push(User::new(name, password, 4));
    setup.bmc.users.swap(0, 4);
    setup.bmc.k_g = k_g.0.to_vec();
    setup.config.k_g = Secret::new(k_g.1);
    setup.config.user_name = name.to_vec();
    setup.config.allow_null_user = name.is_empty();
    setup.config.password = Secret::new(password);
    let suite = setup.config.cipher_suites[0];
    let mut pair = setup.start();
    pair.connect().unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
    assert_eq!(pair.session.cipher_suite(), Some(suite), "{what}");
    assert_eq!(pair.command(1, 0x06, 0x01, &[]).expect(what).completion_code.0, 0, "{what}");
    pair.host_echoes = true;
    pair.typing.extend(b"echo \x00\xff");
    pair.run_until(secs(5), |pair| pair.received.len() >= 7);
    assert_eq!(pair.received, b"echo \x00\xff", "{what}");
    assert_eq!(pair.session.counters().dropped.iter().sum::<u32>(), 0, "{what}");
    assert_eq!(pair.session.counters().sol_retransmits, 0, "{what}");
    pair.session.close(pair.now);
    pair.run_for(secs(3));
    assert!(pair.session.is_closed(), "{what}");
}

#[test]
fn with_every_length_of_name_password_and_k_g() {
    let k_gs: [&[u8]; 6] =
        [b"", b"k", b"\0starts with zero", b"sixteen bytes kg", &[0xff; 20], &[0; 20]];
    for suite in IMPLEMENTED {
        for k_g in k_gs {
            for password_len in [0, 1, 15, 16, 17, 20] {
                for name_len in [0, 1, 5, 15, 16] {
                    let what = format!(
                        "suite {suite}, K_g {k_g:02x?}, password {password_len}, name {name_len}"
                    );
                    let setup = Setup::new(Profile::Spec, u64::from(suite)).suites(&[suite]);
                    let name = &b"administrator-16"[..name_len];
                    let password = &b"a password of 20 b\x80\xff"[..password_len];
                    works(setup, name, password, (k_g, k_g), &what);
                }
            }
        }
    }
}

/// Keys are padded with zeros, so that these are the same.
#[test]
fn k_g_may_be_given_with_or_without_its_zeros() {
    for suite in IMPLEMENTED {
        for (theirs, ours) in [
            (&b"short\0\0\0"[..], &b"short"[..]),
            (b"short", b"short\0"),
            (b"", &[0; 20]),
            (&[0; 4], b""),
        ] {
            let setup = Setup::new(Profile::Spec, 1).suites(&[suite]);
            works(setup, b"admin", b"password", (theirs, ours), &format!("{suite} {theirs:?}"));
        }
    }
}

/// The suites of other stacks, as they make their keys. 7, 8, 11 and 12 of ipmi_sim are keyed in
/// a way nobody else knows.
#[test]
fn with_the_suites_other_stacks_have() {
    let stacks = [
        (Profile::OpenBmc, &[17][..]),
        (Profile::GoIpmi, &[3, 17]),
        (Profile::Pyghmi, &[3]),
        (Profile::IpmiSim, &[0, 1, 2, 3, 6]),
    ];
    for (profile, suites) in stacks {
        for suite in suites {
            let setup = Setup::new(profile, 2).suites(&[*suite]);
            works(setup, b"admin", b"password", (b"", b""), &format!("{profile:?} {suite}"));
        }
    }
}

#[test]
fn the_first_of_the_list_that_the_bmc_has_is_used() {
    for (listed, enabled, used) in [
        (&[17, 3][..], &[3, 17][..], 17),
        (&[17, 3], &[3], 3),
        (&[17, 16, 8, 3], &[3, 8], 8),
        (&[3, 17], &[3, 17], 3),
        (&[17, 16, 15, 12, 11, 8, 7, 6, 3, 2, 1, 0], &[0], 0),
    ] {
        let mut setup = Setup::new(Profile::Spec, 3).suites(listed);
        setup.bmc.cipher_suites = Some(enabled.to_vec());
        let mut pair = setup.start();
        pair.log_in().unwrap();
        assert_eq!(pair.session.cipher_suite(), Some(CipherSuiteId(used)), "{listed:?}");
        assert_eq!(pair.session.learned().cipher_suite, Some(CipherSuiteId(used)));
        assert!(pair.elapsed() < secs(1), "{:?}", pair.elapsed());
    }
}

#[test]
fn a_suite_that_is_not_listed_is_never_used() {
    for (listed, enabled) in
        [(&[17, 3][..], &[0, 1, 2, 6, 15, 16][..]), (&[17], &[3]), (&[3], &[0])]
    {
        let mut setup = Setup::new(Profile::Spec, 4).suites(listed);
        setup.bmc.cipher_suites = Some(enabled.to_vec());
        let learned =
            Learned { cipher_suite: Some(CipherSuiteId(enabled[0])), ..Learned::default() };
        let mut pair = Pair::new(setup, learned);
        assert_eq!(pair.log_in().unwrap_err().cause, Cause::CipherSuite);
        assert_eq!(pair.bmc.counters().sessions_opened, 0);
    }
}

/// A BMC that does not answer Open Session Requests for suites it does not have.
fn silent_but_for(answered: &'static [u8]) -> Tap {
    losing(move |way, datagram| {
        if way != Way::ToBmc || kind(datagram) != Kind::Setup(PayloadType::OpenSessionRequest) {
            return false;
        }
        let request = OpenSessionRequest::decode(setup_payload(datagram)).expect("a request");
        let suite = IMPLEMENTED.iter().find(|id| {
            let algorithms = CipherSuiteId(**id).algorithms().expect("implemented");
            request.algorithms == algorithms.into()
        });
        !suite.is_some_and(|id| answered.contains(id))
    })
}

#[test]
fn a_suite_that_is_met_with_silence_is_left() {
    for (listed, enabled) in
        [(&[17, 3][..], &[3][..]), (&[17, 16, 3], &[3]), (&[17, 16, 15, 12, 8, 3], &[3, 1])]
    {
        let mut setup = Setup::new(Profile::Spec, 5).suites(listed);
        setup.bmc.cipher_suites = Some(enabled.to_vec());
        let mut pair = setup.start();
        pair.tap = Some(silent_but_for(&[3]));
        pair.log_in().unwrap_or_else(|failure| panic!("{listed:?}: {failure:?}"));
        assert_eq!(pair.session.cipher_suite(), Some(CipherSuiteId::SUITE_3), "{listed:?}");
        assert!(pair.elapsed() < secs(6), "{listed:?}: {:?}", pair.elapsed());
        // Silence proves nothing: the next login asks for the best one again.
        assert_eq!(pair.session.learned().cipher_suite, None);
    }
}

/// The same where Get Channel Cipher Suites is not answered, or refused.
#[test]
fn a_silent_suite_is_left_without_a_list() {
    for refused in [false, true] {
        for listed in [&[17, 3][..], &[17, 16, 3], &[17, 16, 15, 12, 8, 3]] {
            let mut pair = Setup::new(Profile::Spec, 6).suites(listed).start();
            let mut silent = silent_but_for(&[3]);
            if refused {
                pair.bmc.script_completion(0x06, 0x54, 0xc1, 100);
            }
            pair.tap = Some(Box::new(move |way, datagram| {
                match kind(&datagram) == Kind::Command(0x54) && !refused {
                    true => Vec::new(),
                    false => silent(way, datagram),
                }
            }));
            pair.log_in().unwrap_or_else(|failure| panic!("{refused} {listed:?}: {failure:?}"));
            assert_eq!(pair.session.cipher_suite(), Some(CipherSuiteId::SUITE_3));
            assert!(pair.elapsed() < secs(30), "{refused} {listed:?}: {:?}", pair.elapsed());
        }
    }
}

/// Lists of every form: with and without tags, the same chunk for each index, cut in the middle.
#[test]
fn lists_of_any_form_end() {
    for (index, chunk) in [
        (0, vec![]),
        (1, vec![0xc0; 16]),
        (2, vec![0xff; 16]),
        (3, vec![0xc0, 3, 1, 0x41, 0x81, 0xc0, 17, 3, 0x44, 0x81, 0xc0, 2, 1, 0x41, 0x80, 0xc1]),
        (4, vec![0xc0, 3, 1, 1, 1]),
        (5, vec![0; 15]),
    ] {
        let mut pair = Setup::new(Profile::Spec, 7).suites(&[17, 3]).start();
        let mut silent = silent_but_for(&[3]);
        let mut number = 0u8;
        pair.tap = Some(Box::new(move |way, datagram| {
            if way == Way::ToBmc || kind(&datagram) != Kind::Command(0x54) {
                return silent(way, datagram);
            }
            // Make the chunks different where it matters that they never end.
            number = number.wrapping_add(1);
            let mut chunk = chunk.clone();
            if index == 2 {
                chunk[0] = number;
            }
            vec![with_response_data(&datagram, &[&[1][..], &chunk].concat())]
        }));
        pair.log_in().unwrap_or_else(|failure| panic!("list {index}: {failure:?}"));
        assert!(pair.session.counters().sent < 80, "list {index}");
    }
}

/// A response outside any session with other data behind its completion code 0.
fn with_response_data(datagram: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = datagram[..13].to_vec();
    out.push(8 + data.len() as u8);
    out.extend_from_slice(&datagram[14..20]);
    out.push(0);
    out.extend_from_slice(data);
    out.push(bmclink::wire::message::checksum(&out[17..]));
    out
}

#[test]
fn a_pinned_suite_met_with_silence_times_out() {
    let mut pair = Setup::new(Profile::Spec, 8).suites(&[17]).start();
    pair.tap = Some(silent_but_for(&[3]));
    assert_eq!(pair.log_in(), Err(Failure::new(Cause::TimedOut, Stage::OpenSession)));
    assert!(pair.elapsed() < secs(20));
}

/// The integrity pad of OpenBMC is never empty, that of the ICTS reading too short, and the pad
/// of the payload can be a whole block: packets of every length pass.
#[test]
fn packets_of_every_length_pass() {
    for (profile, suite, icts) in [
        (Profile::OpenBmc, 17, false),
        (Profile::Spec, 2, false),
        (Profile::Spec, 2, true),
        (Profile::Spec, 16, true),
        (Profile::Spec, 3, true),
    ] {
        let mut setup = Setup::new(profile, 9).suites(&[suite]);
        if icts {
            setup.bmc.quirks.icts = true;
            setup.config.quirks.insert(Quirk::Icts);
        }
        let mut pair = setup.start();
        pair.connect().unwrap_or_else(|failure| panic!("{profile:?} {suite}: {failure:?}"));
        for len in 1..=40 {
            let line: Vec<u8> = (0..len).map(|n| b'a' + n % 26).collect();
            let before = pair.received.len();
            pair.printing.extend(&line);
            pair.typing.extend(&line);
            pair.run_for(secs(1));
            assert_eq!(pair.received[before..], line, "{profile:?} {suite} {len}");
        }
        let dropped = pair.session.counters().dropped;
        assert_eq!(dropped.iter().sum::<u32>(), 0, "{profile:?} {suite}: {dropped:?}");
        assert_eq!(pair.bmc.counters().bad_auth_code, 0);
        assert_eq!(pair.session.counters().sol_retransmits, 0, "{profile:?} {suite}");
    }
}

/// What crosses the wire is what the suite promises.
#[test]
fn every_packet_is_signed_and_encrypted_as_agreed() {
    for suite in IMPLEMENTED {
        let algorithms = CipherSuiteId(suite).algorithms().unwrap();
        let mut pair = Setup::new(Profile::Spec, 10).suites(&[suite]).start();
        let signed = algorithms.integrity as u8 != 0;
        let encrypted = algorithms.confidentiality as u8 != 0;
        pair.tap = Some(Box::new(move |way, datagram| {
            if kind(&datagram) == Kind::Session && rmcpplus::is_rmcpplus(&datagram) {
                let header = rmcpplus::decode(&datagram).expect("a session packet").header;
                assert_eq!(
                    (header.authenticated, header.encrypted),
                    (signed, encrypted),
                    "{way:?}"
                );
                let clear = datagram.windows(6).any(|bytes| bytes == b"secret");
                assert!(!(clear && encrypted), "suite {suite}: in clear");
            }
            vec![datagram]
        }));
        pair.connect().unwrap();
        pair.host_echoes = true;
        pair.typing.extend(b"secret");
        pair.run_for(secs(2));
        assert_eq!(pair.received, b"secret");
    }
}
