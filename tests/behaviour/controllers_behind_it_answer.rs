//! Bridged requests on bad lines: an answer is the right controller's, or there is none and that
//! is said.

use bmclink::session::{Cause, Event, Hop, Repeat, Reply, Request, Secrecy, Target};
use bmclink::sim::{Misbehaviour, Profile};

use crate::pair::{Pair, Setup, secs};
use crate::seeds::for_seeds;

const APP: u8 = 0x06;
const GET_DEVICE_ID: u8 = 0x01;
const NEAR: Hop = Hop { channel: 0, address: 0x2c };
const FAR: Hop = Hop { channel: 7, address: 0x72 };

/// A place, and the device ID of who is there; `None` when nobody is.
fn places() -> [(Target, Option<u8>); 5] {
    [
        (Target::BMC, Some(0x20)),
        (Target::behind(NEAR.channel, NEAR.address), Some(0x50)),
        (Target::behind_two(NEAR, FAR), Some(0x72)),
        (Target::behind(0, 0x44), None),
        (Target::behind_two(NEAR, Hop { channel: 7, address: 0x74 }), None),
    ]
}

fn ask(pair: &mut Pair, token: u64, target: Target) {
    let request = Request { token, target, net_fn: APP, cmd: GET_DEVICE_ID, ..Request::default() };
    pair.session.submit(request);
}

fn own_device_id(pair: &mut Pair) -> u8 {
    pair.command(u64::MAX, APP, GET_DEVICE_ID, &[]).expect("an answer").data[0]
}

#[test]
fn every_answer_is_that_of_who_was_asked() {
    for_seeds("bridging", 60, |seed| {
        let quirks = match seed % 2 {
            0 => Misbehaviour::default(),
            _ => Misbehaviour { bridge_embedded: true, ..Misbehaviour::default() },
        };
        let mut setup = Setup::new(Profile::Spec, seed).bad_line(0.1);
        setup.config.request_window = 1 + seed as usize % 4;
        setup.bmc.quirks = quirks;
        let mut pair = setup.start();
        pair.log_in().expect("logged in");
        let own = own_device_id(&mut pair);
        for round in 0..40 {
            let (target, _) = places()[round as usize % 5];
            ask(&mut pair, round, target);
        }
        assert!(pair.run_until(secs(400), |pair| (0..40).all(|token| pair.reply(token).is_some())));
        let mut right = 0;
        for round in 0..40 {
            let (_, expected) = places()[round as usize % 5];
            let expected = if round % 5 == 0 { Some(own) } else { expected };
            match (pair.reply(round).expect("over"), expected) {
                (Ok(Reply { data, .. }), Some(id)) => {
                    assert_eq!(data[0], id, "request {round}");
                    right += 1;
                }
                (Ok(reply), None) => panic!("nobody is there: {reply:?}"),
                (Err(failure), None) => {
                    let causes = [Cause::NotBridged, Cause::NoBridgedAnswer, Cause::TimedOut];
                    assert!(causes.contains(&failure.cause), "{failure:?}");
                }
                (Err(failure), Some(_)) => {
                    let causes = [Cause::NoBridgedAnswer, Cause::TimedOut];
                    assert!(causes.contains(&failure.cause), "{failure:?}");
                }
            }
        }
        // With one datagram of ten lost, being sent again is enough for nearly all.
        assert!(right >= 20, "only {right} of 24");
        let replies = |(_, event): &&(_, Event)| matches!(event, Event::Reply { .. });
        assert_eq!(pair.events.iter().filter(replies).count(), 41, "one event each");
    });
}

#[test]
fn a_silent_controller_takes_its_time_and_the_session_lives() {
    let mut setup = Setup::new(Profile::Spec, 1);
    setup.bmc.quirks.bridge_mute = true;
    let mut pair = setup.start();
    pair.log_in().expect("logged in");
    let begun = pair.elapsed();
    ask(&mut pair, 1, Target::behind(0, 0x2c));
    assert!(pair.run_until(secs(60), |pair| pair.reply(1).is_some()));
    let failure = pair.reply(1).expect("over").expect_err("it is silent");
    assert_eq!(failure.cause, Cause::NoBridgedAnswer);
    assert!((secs(5)..secs(6)).contains(&(pair.elapsed() - begun)), "{:?}", pair.elapsed() - begun);
    own_device_id(&mut pair);
}

#[test]
fn a_secret_is_sent_in_an_encrypted_session_only() {
    for (suites, in_clear, sent) in
        [(&[17][..], false, true), (&[2], false, false), (&[2], true, true), (&[1], false, false)]
    {
        let mut pair = Setup::new(Profile::Spec, 1).suites(suites).start();
        let secrecy = if in_clear { Secrecy::SecretInClear } else { Secrecy::Secret };
        // Given before the login as well as after it.
        for token in [1, 2] {
            let data = [&[4, 2], &b"hush"[..], &[0; 12]].concat().into();
            let (repeat, target) = (Repeat::Never, Target::BMC);
            let request = Request { token, secrecy, repeat, target, data, ..Request::default() };
            pair.session.submit(Request { net_fn: APP, cmd: 0x47, ..request });
            pair.log_in().expect("logged in");
            assert!(pair.run_until(secs(60), |pair| pair.reply(token).is_some()));
            match pair.reply(token).expect("over") {
                Ok(reply) => assert!(sent && reply.completion_code.0 == 0, "{suites:?}"),
                Err(failure) => {
                    assert!(!sent && failure.cause == Cause::NotEncrypted, "{suites:?} {failure}");
                }
            }
        }
    }
}
