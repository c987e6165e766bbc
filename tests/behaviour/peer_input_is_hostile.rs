//! P19: nothing that comes from the network can panic, hang, allocate without bound, end a session
//! it cannot authenticate for, or downgrade one.

use std::cell::RefCell;
use std::rc::Rc;

use bmclink::crypto::suite::{Outgoing, SessionCipher};
use bmclink::session::{Cause, CipherSuiteId, DropReason, Event, Failure, Output, Stage};
use bmclink::sim::Profile;
use bmclink::wire::message::Message;
use bmclink::wire::open_session::{OpenSessionResponse, Refusal, StatusCode};
use bmclink::wire::payload::PayloadType;
use bmclink::wire::{SessionId, SessionSequence, ipmi15, rmcpplus};

use crate::pair::{PROFILES, Pair, Setup, Way, millis, secs};
use crate::random::{SplitMix64, mutant, seed};
use crate::scripted::{
    Kind, Login, changed, instead_of, kind, losing, setup_packet, setup_payload,
};

const MUTANTS: usize = 100_000;

/// Everything that crossed the wire, and what the console needs to know to be the BMC.
#[derive(Default)]
struct Seen {
    to_console: Vec<Vec<u8>>,
    both: Vec<Vec<u8>>,
    login: Login,
    sequence: u32,
}

type Shared = Rc<RefCell<Seen>>;

fn listen(pair: &mut Pair) -> Shared {
    let seen = Shared::default();
    let notes = seen.clone();
    pair.tap = Some(Box::new(move |way, datagram| {
        let mut notes = notes.borrow_mut();
        notes.both.push(datagram.clone());
        notes.login.observe(&datagram);
        if way == Way::ToConsole {
            if let Ok(framed) = rmcpplus::decode(&datagram) {
                notes.sequence = framed.header.session_sequence_number.0.max(notes.sequence);
            }
            notes.to_console.push(datagram.clone());
        }
        vec![datagram]
    }));
    seen
}

/// Logs in, with a console, and lets commands and characters cross.
fn busy(profile: Profile, suite: u8) -> (Pair, Shared) {
    let mut pair = Setup::new(profile, u64::from(suite)).suites(&[suite]).start();
    let seen = listen(&mut pair);
    pair.connect().unwrap_or_else(|failure| panic!("{profile:?} {suite}: {failure:?}"));
    pair.host_echoes = true;
    exchange(&mut pair, 0);
    (pair, seen)
}

/// The session answers and echoes, without a packet sent twice.
fn exchange(pair: &mut Pair, token: u64) {
    let line: Vec<u8> = (0..60).map(|n| (n as u8).wrapping_add(token as u8)).collect();
    pair.received.clear();
    pair.typing.extend(&line);
    assert!(pair.command(token, 0x06, 0x01, &[]).is_ok(), "{token}: no answer");
    pair.run_until(secs(2), |pair| pair.received.len() >= line.len());
    assert_eq!(pair.received, line, "{token}: not echoed");
    let counters = pair.session.counters();
    assert_eq!((counters.request_retransmits, counters.sol_retransmits), (0, 0), "{token}");
}

fn dropped(pair: &Pair) -> u64 {
    pair.session.counters().dropped.iter().map(|count| u64::from(*count)).sum()
}

/// Feeds one datagram that must be refused.
fn refuse(pair: &mut Pair, datagram: &[u8]) -> DropReason {
    let before = dropped(pair);
    let mut bytes = datagram.to_vec();
    let result = pair.session.handle_datagram(pair.now, &mut bytes);
    let reason = result.expect_err("taken");
    assert_eq!(dropped(pair), before + 1, "not counted");
    reason
}

/// What is given out now, without letting time pass.
fn outputs(pair: &mut Pair) -> usize {
    let (mut out, mut count) = (Vec::new(), 0);
    while !matches!(pair.session.poll_output(pair.now, &mut out), Output::Timeout(_)) {
        count += 1;
    }
    count
}

#[test]
fn malformed_datagrams_leave_a_session_alone() {
    for suite in [3, 8, 12, 17] {
        let (mut pair, seen) = busy(Profile::Spec, suite);
        let originals = seen.borrow().both.clone();
        let mut random = SplitMix64(seed() + u64::from(suite));
        for number in 0..MUTANTS as u64 {
            let datagram = mutant(&mut random, &originals);
            refuse(&mut pair, &datagram);
            if number % 5000 == 4999 {
                exchange(&mut pair, number);
            }
        }
        assert!(pair.session.is_active() && pair.session.sol_is_active());
        let counts = pair.session.counters().dropped;
        for reason in [
            DropReason::Malformed,
            DropReason::ForeignSession,
            DropReason::WrongAuthCode,
            DropReason::StaleSequence,
        ] {
            assert!(counts[reason as usize] > 0, "suite {suite}: no {reason:?} among {counts:?}");
        }
    }
}

/// Where there is no AuthCode a forger can get in; to panic or to grow is still not allowed.
#[test]
fn malformed_datagrams_do_no_harm_without_integrity() {
    for suite in [0, 1, 15] {
        let (mut pair, seen) = busy(Profile::Spec, suite);
        let originals = seen.borrow().both.clone();
        let mut random = SplitMix64(seed() + 100 + u64::from(suite));
        for number in 0..20_000 {
            let mut datagram = mutant(&mut random, &originals);
            let _ = pair.session.handle_datagram(pair.now, &mut datagram);
            if number % 100 == 99 {
                assert!(outputs(&mut pair) < 2000);
                pair.run_for(millis(1));
            }
        }
    }
}

/// Each packet in every way that leaves a trace.
#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    for suite in [2, 3, 7, 8, 11, 12, 16, 17] {
        let (mut pair, seen) = busy(Profile::Spec, suite);
        let originals = seen.borrow().to_console.clone();
        for original in originals.iter().rev().take(8) {
            for bit in 0..original.len() * 8 {
                let mut bytes = original.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                refuse(&mut pair, &bytes);
            }
            for len in 0..original.len() {
                refuse(&mut pair, &original[..len]);
            }
        }
        exchange(&mut pair, 1);
    }
}

#[test]
fn replays_are_stale() {
    for profile in PROFILES {
        let suite = if matches!(profile, Profile::Pyghmi | Profile::IpmiSim) { 3 } else { 17 };
        let (mut pair, seen) = busy(profile, suite);
        for round in 1..50 {
            let originals = seen.borrow().to_console.clone();
            for original in &originals {
                let reason = refuse(&mut pair, original);
                let expected = match kind(original) {
                    Kind::Session => DropReason::StaleSequence,
                    Kind::Setup(_) => DropReason::ForeignSession,
                    Kind::Command(_) => DropReason::WrongFormat,
                };
                assert_eq!(reason, expected, "{profile:?}");
            }
            if round % 10 == 0 {
                exchange(&mut pair, round);
            }
        }
    }
}

#[test]
fn packets_of_other_sessions_are_foreign() {
    let (_, other) = busy(Profile::Spec, 17);
    let mut setup = Setup::new(Profile::Spec, 99).suites(&[17]);
    setup.config.timing.login_attempts = 1;
    let mut pair = setup.start();
    pair.connect().unwrap();
    pair.host_echoes = true;
    for original in other.borrow().both.iter().filter(|packet| kind(packet) == Kind::Session) {
        assert_eq!(refuse(&mut pair, original), DropReason::ForeignSession);
    }
    exchange(&mut pair, 1);
}

/// What the BMC of a session seals with, and for whom.
fn cipher_of(seen: &Shared) -> (SessionCipher, SessionId) {
    let login = &seen.borrow().login;
    (login.cipher(b"password"), login.remote_console_session_id)
}

fn sealed(
    cipher: &SessionCipher,
    id: SessionId,
    sequence: u32,
    payload_type: PayloadType,
    payload: &[u8],
    encrypt: bool,
) -> Vec<u8> {
    let packet = Outgoing {
        payload_type,
        session_id: id,
        session_sequence_number: SessionSequence(sequence),
        payload,
        iv: [7; 16],
    };
    let mut out = Vec::new();
    cipher.seal_with(&packet, encrypt, &mut out);
    out
}

#[test]
fn clear_packets_in_an_encrypted_session_are_dropped_by_name() {
    for suite in [3, 8, 12, 17] {
        let (mut pair, seen) = busy(Profile::Spec, suite);
        let (cipher, id) = cipher_of(&seen);
        let sequence = seen.borrow().sequence;
        for (n, payload_type) in [PayloadType::Ipmi, PayloadType::Sol].into_iter().enumerate() {
            let number = sequence + 1 + n as u32;
            let clear = sealed(&cipher, id, number, payload_type, &[1, 0, 0, 0, b'x'], false);
            assert_eq!(refuse(&mut pair, &clear), DropReason::WrongEncryption, "suite {suite}");
        }
        assert!(!pair.received.contains(&b'x'));
        // Without the AuthCode, and without saying that there is one.
        let mut stripped =
            sealed(&cipher, id, sequence + 3, PayloadType::Sol, &[1, 0, 0, 0, b'x'], true);
        stripped[5] &= !0x40;
        assert_eq!(refuse(&mut pair, &stripped), DropReason::NotAuthenticated);
    }
}

#[test]
fn numbers_are_taken_once_and_none_behind_the_window() {
    let (mut pair, seen) = busy(Profile::Spec, 17);
    let (cipher, id) = cipher_of(&seen);
    let base = seen.borrow().sequence + 1000;
    let feed = |pair: &mut Pair, number: u32| {
        // SOL without header: taken, and means nothing.
        let mut packet = sealed(&cipher, id, number, PayloadType::Sol, &[], true);
        pair.session.handle_datagram(pair.now, &mut packet)
    };
    assert_eq!(feed(&mut pair, base), Ok(()));
    for behind in 1..=31 {
        assert_eq!(feed(&mut pair, base - behind), Ok(()), "{behind} behind");
        assert_eq!(feed(&mut pair, base - behind), Err(DropReason::StaleSequence));
    }
    for behind in [32, 33, 100, 999] {
        assert_eq!(feed(&mut pair, base - behind), Err(DropReason::StaleSequence), "{behind}");
    }
    assert_eq!(feed(&mut pair, 0), Err(DropReason::StaleSequence));
    assert_eq!(feed(&mut pair, base + 1_000_000), Ok(()));
    assert_eq!(feed(&mut pair, base), Err(DropReason::StaleSequence));
}

/// Whoever has the keys, a broken BMC say, cannot break the session's program.
#[test]
fn authentic_nonsense_neither_panics_nor_grows() {
    for suite in [1, 3, 17] {
        let (mut pair, seen) = busy(Profile::Spec, suite);
        let (cipher, id) = cipher_of(&seen);
        let mut sequence = seen.borrow().sequence;
        let mut random = SplitMix64(seed() + 200);
        let mut given = 0;
        for number in 0..MUTANTS {
            sequence += 1;
            let payload_type = PayloadType::from_number(match random.below(8) {
                0 => random.byte() & 0x3f,
                1..=3 => 0,
                _ => 1,
            });
            let len = random.below(if number % 100 == 0 { 300 } else { 12 });
            let payload = random.bytes(len);
            let mut packet = sealed(&cipher, id, sequence, payload_type, &payload, true);
            let _ = pair.session.handle_datagram(pair.now, &mut packet);
            if number % 10 == 9 {
                pair.now += millis(1);
                pair.session.handle_timeout(pair.now);
                let now = outputs(&mut pair);
                assert!(now < 200, "{now} at once");
                given += now;
            }
        }
        assert!(given < 4 * MUTANTS, "{given} outputs");
        assert!(pair.session.requests_len() < 10);
    }
}

/// Authentic messages that look nearly like answers: no request ends with another's.
#[test]
fn answers_nobody_asked_for_are_unmatched() {
    let (mut pair, seen) = busy(Profile::Spec, 17);
    let (cipher, id) = cipher_of(&seen);
    let mut sequence = seen.borrow().sequence;
    pair.session.submit(crate::pair::request(7, 0x06, 0x37, &[]));
    // Get System GUID is under way; everything but its own answer is not it.
    pair.drop_transmits();
    for number in 0..64 {
        for (net_fn, cmd, data) in
            [(0x06, 0x37, &[0][..]), (0x07, 0x01, &[0]), (0x01, 0x37, &[0]), (0x07, 0x37, &[])]
        {
            sequence += 1;
            let message = Message {
                to_address: 0x81,
                net_fn,
                to_lun: 0,
                from_address: 0x20,
                rq_seq: bmclink::wire::message::RqSeq::new(number),
                from_lun: 0,
                cmd,
                data,
            };
            let mut payload = Vec::new();
            message.encode(&mut payload);
            let mut packet = sealed(&cipher, id, sequence, PayloadType::Ipmi, &payload, true);
            let result = pair.session.handle_datagram(pair.now, &mut packet);
            assert!(result.is_err(), "{net_fn:02x} {cmd:02x} {number}: {result:?}");
        }
    }
    pair.run_for(millis(1));
    assert!(pair.reply(7).is_none());
    assert!(pair.session.requests_len() == 1);
}

// While logging in.

/// Runs a login up to the first datagram of a kind from us, and stops there.
fn login_at(stage: usize) -> Pair {
    let mut pair = Setup::new(Profile::Spec, 21).start();
    for _ in 0..stage {
        pair.step(pair.now + secs(1));
    }
    pair
}

/// One of two bytes is enough, if its tag is guessed: nobody signs a refusal.
fn is_refusal(datagram: &[u8]) -> bool {
    matches!(kind(datagram), Kind::Setup(_)) && setup_payload(datagram).get(1) != Some(&0)
}

#[test]
fn refusals_with_another_tag_leave_a_login_alone() {
    let types = [PayloadType::OpenSessionResponse, PayloadType::Rakp2, PayloadType::Rakp4];
    for payload_type in types {
        for named in [false, true] {
            let mut pair = Setup::new(Profile::Spec, 27).start();
            pair.tap = Some(Box::new(move |way, datagram| {
                let answer = kind(&datagram) == Kind::Setup(payload_type);
                if way == Way::ToBmc || !answer {
                    return vec![datagram];
                }
                let (tag, id) =
                    (setup_payload(&datagram)[0], setup_payload(&datagram)[4..8].to_vec());
                let others = (0..=255).filter(|other| *other != tag).map(|other| {
                    let id = if named { id.clone() } else { vec![0; 4] };
                    setup_packet(payload_type, &[&[other, 0x0d, 0, 0][..], &id].concat())
                });
                others.chain([datagram]).collect()
            }));
            assert_eq!(pair.log_in(), Ok(()), "{payload_type:?} {named}");
            assert_eq!(pair.bmc.counters().open_session, 1);
        }
    }
}

#[test]
fn malformed_datagrams_leave_a_login_alone() {
    let (_, other) = busy(Profile::Spec, 17);
    let originals = other.borrow().both.clone();
    let mut stages = Vec::new();
    for stage in 0..10 {
        let mut pair = login_at(stage);
        if pair.session.is_active() {
            break;
        }
        stages.push(pair.session.stage());
        let mut random = SplitMix64(seed() + 300 + stage as u64);
        for _ in 0..MUTANTS {
            let mut datagram = mutant(&mut random, &originals);
            if !is_refusal(&datagram) {
                let _ = pair.session.handle_datagram(pair.now, &mut datagram);
            }
        }
        assert!(outputs(&mut pair) < 10, "stage {stage}");
        let first = pair.log_in();
        assert_eq!(first, Ok(()), "stage {stage}");
        assert!(pair.bmc.counters().rakp1 <= 2, "stage {stage}");
    }
    stages.dedup();
    assert!(stages.len() >= 4, "{stages:?}");
}

/// A refusal without tag and session ID, as one BMC stack sends it, and as anybody could.
fn nameless(payload_type: PayloadType, status: u8) -> Vec<u8> {
    let refusal = Refusal {
        message_tag: 0,
        status: StatusCode(status),
        remote_console_session_id: SessionId(0),
    };
    let mut out = Vec::new();
    refusal.encode(&mut out);
    out.resize(40, 0);
    setup_packet(payload_type, &out)
}

#[test]
fn a_nameless_refusal_cannot_end_a_login_that_succeeds() {
    let types = [PayloadType::OpenSessionResponse, PayloadType::Rakp2, PayloadType::Rakp4];
    for profile in PROFILES {
        for status in 1..=0x13 {
            let mut pair = Setup::new(profile, 22).start();
            pair.tap = Some(Box::new(move |way, datagram| {
                let forged = types.map(|payload_type| nameless(payload_type, status));
                let forged = forged.into_iter().filter(|_| way == Way::ToConsole);
                forged.chain([datagram]).collect()
            }));
            pair.log_in().unwrap_or_else(|failure| panic!("{profile:?} {status}: {failure:?}"));
            assert!(pair.elapsed() < secs(1), "{profile:?} {status:02x}");
        }
    }
}

/// The refusal comes at one step, and the answer to the next step is lost: that is a loss.
#[test]
fn a_nameless_refusal_of_a_step_that_went_well_is_forgotten() {
    for (forged, lost) in [
        (PayloadType::OpenSessionResponse, PayloadType::Rakp2),
        (PayloadType::OpenSessionResponse, PayloadType::Rakp4),
        (PayloadType::Rakp2, PayloadType::Rakp4),
    ] {
        for status in 1..=0x13 {
            let mut pair = Setup::new(Profile::Spec, 23).suites(&[17]).start();
            let mut done = false;
            pair.tap = Some(Box::new(move |way, datagram| {
                if way == Way::ToConsole && kind(&datagram) == Kind::Setup(forged) {
                    return vec![nameless(forged, status), datagram];
                }
                let answer = kind(&datagram) == Kind::Setup(lost);
                if answer && !std::mem::replace(&mut done, true) {
                    return Vec::new();
                }
                vec![datagram]
            }));
            let result = pair.log_in();
            assert_eq!(result, Ok(()), "{forged:?} refused with {status:02x}, {lost:?} lost");
        }
    }
}

#[test]
fn weaker_algorithms_than_asked_for_are_refused() {
    for asked in [17, 3, 8] {
        for given in CipherSuiteId::IMPLEMENTED.into_iter().filter(|id| id.0 != asked) {
            let mut pair = Setup::new(Profile::Spec, 24).suites(&[asked]).start();
            let algorithms = given.algorithms().unwrap();
            pair.tap = Some(instead_of(PayloadType::OpenSessionResponse, move |answer| {
                let response = OpenSessionResponse::decode(setup_payload(answer));
                let mut response = response.expect("a response").expect("no refusal");
                response.algorithms = algorithms.into();
                vec![changed(answer, |payload| {
                    payload.clear();
                    response.encode(payload);
                })]
            }));
            let failure = pair.log_in().unwrap_err();
            assert_eq!(failure, Failure::new(Cause::Downgrade, Stage::OpenSession));
            assert_eq!(pair.bmc.counters().rakp1, 0, "asked {asked}, given {given}");
        }
    }
}

/// Nobody but the BMC knows what makes these; each is a failure, and none a session.
#[test]
fn a_forged_login_is_no_session() {
    for payload_type in [PayloadType::Rakp2, PayloadType::Rakp4] {
        for bit in 0..(8 + 16) * 8 {
            let mut setup = Setup::new(Profile::Spec, 25).suites(&[17]);
            setup.config.timing.login_attempts = 1;
            let mut pair = setup.start();
            pair.tap = Some(instead_of(payload_type, move |answer| {
                vec![changed(answer, |payload| {
                    let at = payload.len() - 1 - bit / 8;
                    payload[at] ^= 1 << (bit % 8);
                })]
            }));
            let result = pair.log_in();
            // Three reserved bits, and a privilege level nobody reads.
            let reserved = payload_type == PayloadType::Rakp4 && (160..176).contains(&bit);
            assert_eq!(result.is_ok(), reserved, "{payload_type:?} bit {bit}: {result:?}");
        }
    }
}

/// A login under way is not moved by the setup packets of another.
#[test]
fn setup_packets_of_another_login_change_nothing() {
    let (_, other) = busy(Profile::Spec, 17);
    let foreign: Vec<_> = other
        .borrow()
        .to_console
        .iter()
        .filter(|datagram| matches!(kind(datagram), Kind::Setup(_)))
        .cloned()
        .collect();
    let mut pair = Setup::new(Profile::Spec, 26).start();
    pair.tap = Some(Box::new(move |way, datagram| {
        let foreign = foreign.iter().filter(|_| way == Way::ToConsole).cloned();
        foreign.chain([datagram]).collect()
    }));
    pair.connect().unwrap();
    let counters = pair.bmc.counters();
    assert_eq!((counters.open_session, counters.rakp1, counters.rakp3), (1, 1, 1));
}

// Bounds.

#[test]
fn a_million_datagrams_leave_nothing_behind() {
    let (mut pair, seen) = busy(Profile::Spec, 3);
    let originals = seen.borrow().both.clone();
    let mut v15 = Vec::new();
    ipmi15::encode(
        &ipmi15::Header::SESSIONLESS,
        &[0x81, 0x1c, 0x63, 0x20, 4, 1, 0xd4, 7],
        &mut v15,
    );
    let sent = pair.session.counters().sent;
    for number in 0..1_000_000 {
        let original = match number % 4 {
            0 => &v15,
            _ => &originals[number % originals.len()],
        };
        let mut datagram = original.clone();
        let _ = pair.session.handle_datagram(pair.now, &mut datagram);
        if number % 50_000 == 0 {
            pair.run_for(millis(10));
        }
    }
    assert!(outputs(&mut pair) < 10);
    pair.run_for(secs(1));
    assert!(pair.session.counters().sent - sent < 10, "{:?}", pair.session.counters());
    exchange(&mut pair, 1);
    assert_eq!(pair.session.counters().received, pair.session.counters().received.max(1_000_000));
}

/// The same while closing, and when closed.
#[test]
fn a_closing_session_ends_as_it_would() {
    let (mut pair, seen) = busy(Profile::Spec, 17);
    let originals = seen.borrow().both.clone();
    let mut random = SplitMix64(seed() + 400);
    pair.tap = Some(losing(|_, _| true));
    pair.session.close(pair.now);
    let begun = pair.elapsed();
    while !pair.session.is_closed() {
        for _ in 0..1000 {
            let mut datagram = mutant(&mut random, &originals);
            let _ = pair.session.handle_datagram(pair.now, &mut datagram);
        }
        pair.run_for(millis(10));
        assert!(pair.elapsed() - begun <= millis(2100));
    }
    pair.settle();
    let events = pair.events.len();
    for _ in 0..10_000 {
        let mut datagram = mutant(&mut random, &originals);
        assert!(pair.session.handle_datagram(pair.now, &mut datagram).is_err());
    }
    assert_eq!(outputs(&mut pair), 0);
    assert_eq!(pair.events.len(), events);
    assert!(matches!(pair.events.last(), Some((_, Event::Closed(_)))));
}
