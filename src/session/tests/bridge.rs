//! Bridged requests, message by message.

use std::time::Instant;

use super::super::config::Timing;
use super::super::failure::{Cause, Failure};
use super::super::request::{Origin, Repeat, Reply, Requests, Secrecy, Taken};
use super::*;

const CHASSIS_CONTROL: u8 = 0x02;
const SENSOR: Target = Target { lun: 1, first: Some(ME), second: None };
const ME: Hop = Hop { channel: 6, address: 0x2c };

/// The requests of one session, and the time.
struct Line {
    requests: Requests,
    now: Instant,
    begun: Instant,
}

impl Line {
    fn new() -> Self {
        let now = Instant::now();
        let requests = Requests::new(RqSeq::new(7), &Timing::default());
        Line { requests, now, begun: now }
    }

    fn submit(&mut self, token: u64, target: Target, net_fn: u8, cmd: u8) {
        let data = vec![1, 2, 3].into();
        let request = Request { token, target, net_fn, cmd, data, ..Request::default() };
        self.requests.submit(Origin::User(token), request);
    }

    /// The next message that is due now.
    fn sent(&mut self) -> Option<Vec<u8>> {
        let mut message = Vec::new();
        self.requests.poll_transmit(self.now, &mut message).then_some(message)
    }

    /// Lets time pass up to the next thing that is due: a message, or the end of a request.
    fn next(&mut self) -> Result<Vec<u8>, (Origin, Failure)> {
        for _ in 0..100 {
            if let Some(over) = self.requests.poll_expired(self.now) {
                return Err(over);
            }
            if let Some(message) = self.sent() {
                return Ok(message);
            }
            self.now = self.requests.next_timeout(self.now).expect("something is due");
        }
        panic!("nothing happens");
    }

    fn seconds(&self) -> f64 {
        (self.now - self.begun).as_secs_f64()
    }

    fn take(&mut self, net_fn: u8, cmd: u8, rq_seq: RqSeq, data: &[u8]) -> Taken {
        let bytes = response(net_fn, cmd, rq_seq, data);
        let message = Message::decode(&bytes).expect("just made");
        self.requests.take_response(self.now, &message)
    }

    /// Send Message was done.
    fn accept(&mut self, rq_seq: RqSeq) {
        let taken = self.take(net_fn::APP, SEND_MESSAGE, rq_seq, &[0]);
        assert!(matches!(taken, Taken::Noted), "{taken:?}");
    }
}

fn response(net_fn: u8, cmd: u8, rq_seq: RqSeq, data: &[u8]) -> Vec<u8> {
    let mut message = Message::request(net_fn | 1, 0, rq_seq, cmd, data);
    (message.to_address, message.from_address) = (0x81, 0x20);
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

fn rq_seq(message: &[u8]) -> RqSeq {
    Message::decode(message).expect("a good message").rq_seq
}

fn answer(taken: Taken) -> (u64, Reply) {
    match taken {
        Taken::Over(Origin::User(token), Ok(reply)) => (token, reply),
        other => panic!("not an answer: {other:?}"),
    }
}

fn failure(taken: Taken) -> Failure {
    match taken {
        Taken::Over(_, Err(failure)) => failure,
        other => panic!("not a failure: {other:?}"),
    }
}

#[test]
fn a_request_is_wrapped_once_for_each_hop() {
    let mut line = Line::new();
    line.submit(1, SENSOR, net_fn::SENSOR_EVENT, 0x2d);
    let sent = line.sent().expect("due at once");
    let outer = Message::decode(&sent).expect("a good message");
    assert_eq!((outer.to_address, outer.from_address), (0x20, 0x81));
    assert_eq!((outer.net_fn, outer.cmd, outer.to_lun), (net_fn::APP, SEND_MESSAGE, 0));
    assert_eq!(outer.data[0], 0x46);
    let inner = Message::decode(&outer.data[1..]).expect("a good message");
    assert_eq!((inner.to_address, inner.from_address), (0x2c, 0x20));
    assert_eq!((inner.net_fn, inner.cmd, inner.to_lun), (net_fn::SENSOR_EVENT, 0x2d, 1));
    assert_eq!((inner.rq_seq, inner.data), (outer.rq_seq, &[1, 2, 3][..]));
    assert_eq!(sent.len(), 7 + 3 + SENSOR.overhead());

    let mut line = Line::new();
    let target = Target::behind_two(Hop { channel: 0, address: 0x82 }, ME).lun(2);
    line.submit(1, target, net_fn::APP, 1);
    let sent = line.sent().expect("due at once");
    let outer = Message::decode(&sent).expect("a good message");
    let middle = Message::decode(&outer.data[1..]).expect("a good message");
    assert_eq!((outer.data[0], middle.to_address, middle.cmd), (0x40, 0x82, SEND_MESSAGE));
    let inner = Message::decode(&middle.data[1..]).expect("a good message");
    assert_eq!((middle.data[0], inner.to_address, inner.cmd), (0x46, 0x2c, 1));
    assert_eq!((inner.to_lun, inner.rq_seq, middle.rq_seq), (2, outer.rq_seq, outer.rq_seq));
}

#[test]
fn the_bmc_itself_is_asked_directly_at_any_lun() {
    for target in [Target::owner(0x20, 0, 3), Target::owner(0x20, 6, 3)] {
        let mut line = Line::new();
        line.submit(1, target.expect("a controller"), net_fn::SENSOR_EVENT, 0x2d);
        let sent = line.sent().expect("due at once");
        let message = Message::decode(&sent).expect("a good message");
        assert_eq!((message.net_fn, message.cmd, message.to_lun), (4, 0x2d, 3));
    }
    assert_eq!(Target::owner(0x41, 0, 0), None, "software cannot be asked");
    let through_itself = Target::behind_two(Hop { channel: 0, address: 0x20 }, ME);
    assert_eq!(through_itself, Target::behind(6, 0x2c));
}

#[test]
fn the_answer_comes_behind_that_of_send_message_or_before_it_or_in_it() {
    // Behind it.
    let mut line = Line::new();
    line.submit(1, SENSOR, net_fn::APP, 1);
    let number = rq_seq(&line.sent().expect("due at once"));
    line.accept(number);
    let (token, reply) = answer(line.take(net_fn::APP, 1, number, &[0, 0xaa]));
    assert_eq!((token, reply.data, reply.rtt), (1, vec![0xaa], None));
    // Before it: what comes late matches nothing, not even the next request.
    line.submit(2, SENSOR, net_fn::APP, 1);
    let number = rq_seq(&line.sent().expect("due at once"));
    assert_eq!(answer(line.take(net_fn::APP, 1, number, &[0xc1])).1.completion_code.0, 0xc1);
    let late = line.take(net_fn::APP, SEND_MESSAGE, number, &[0]);
    assert!(matches!(late, Taken::Foreign));
    // In it.
    line.submit(3, SENSOR, net_fn::APP, 1);
    let number = rq_seq(&line.sent().expect("due at once"));
    let mut data = vec![0];
    data.extend(response(net_fn::APP, 1, number, &[0, 0xbb]));
    let (token, reply) = answer(line.take(net_fn::APP, SEND_MESSAGE, number, &data));
    assert_eq!((token, reply.data), (3, vec![0xbb]));
}

#[test]
fn the_answer_of_two_hops_is_found_at_every_depth() {
    let target = Target::behind_two(Hop { channel: 0, address: 0x82 }, ME);
    let mut line = Line::new();
    line.submit(1, target, net_fn::APP, 1);
    let number = rq_seq(&line.sent().expect("due at once"));
    line.accept(number);
    line.accept(number);
    assert_eq!(answer(line.take(net_fn::APP, 1, number, &[0, 5])).1.data, [5]);

    line.submit(2, target, net_fn::APP, 1);
    let number = rq_seq(&line.sent().expect("due at once"));
    let mut middle = vec![0];
    middle.extend(response(net_fn::APP, 1, number, &[0, 6]));
    let mut outer = vec![0];
    outer.extend(response(net_fn::APP, SEND_MESSAGE, number, &middle));
    assert_eq!(answer(line.take(net_fn::APP, SEND_MESSAGE, number, &outer)).1.data, [6]);

    // The controller on the way could not pass it on.
    line.submit(3, target, net_fn::APP, 1);
    let number = rq_seq(&line.sent().expect("due at once"));
    line.accept(number);
    let refused = failure(line.take(net_fn::APP, SEND_MESSAGE, number, &[0x83]));
    assert_eq!(
        (refused.cause, refused.completion_code),
        (Cause::NotBridged, Some(CompletionCode(0x83)))
    );
}

#[test]
fn a_message_that_is_not_passed_on_is_an_error_with_its_reason() {
    for (code, text) in
        [(0x80, "handle"), (0x81, "arbitration"), (0x82, "bus"), (0x83, "NAK"), (0xd3, "not there")]
    {
        let mut line = Line::new();
        line.submit(1, SENSOR, net_fn::APP, 1);
        let number = rq_seq(&line.sent().expect("due at once"));
        let refused = failure(line.take(net_fn::APP, SEND_MESSAGE, number, &[code]));
        assert_eq!(refused.cause, Cause::NotBridged);
        assert!(refused.to_string().contains(text), "{refused}");
        assert_eq!(line.requests.len(), 0);
    }
}

#[test]
fn foreign_and_repeated_answers_are_left_alone() {
    let mut line = Line::new();
    line.submit(1, SENSOR, net_fn::APP, 1);
    let number = rq_seq(&line.sent().expect("due at once"));
    let other = number.next();
    for (net_fn, cmd, rq_seq) in [
        (net_fn::APP, 1, other),
        (net_fn::APP, 2, number),
        (net_fn::STORAGE, 1, number),
        (net_fn::APP, SEND_MESSAGE, other),
    ] {
        assert!(matches!(line.take(net_fn, cmd, rq_seq, &[0]), Taken::Foreign));
    }
    line.accept(number);
    line.accept(number);
    // Once it is on its way, what is said of a copy of it changes nothing.
    assert!(matches!(line.take(net_fn::APP, SEND_MESSAGE, number, &[0xc0]), Taken::Foreign));
    // Not an answer to us: something else within the answer of Send Message.
    let mut data = vec![0];
    data.extend(response(net_fn::APP, 9, number, &[0]));
    assert!(matches!(line.take(net_fn::APP, SEND_MESSAGE, number, &data), Taken::Noted));
    assert_eq!(line.requests.len(), 1);
}

#[test]
fn a_controller_has_five_seconds_from_when_the_message_was_passed_on() {
    let mut line = Line::new();
    line.submit(1, SENSOR, net_fn::APP, 1);
    let number = rq_seq(&line.next().expect("due at once"));
    line.accept(number);
    // What does no harm is sent again under the same number.
    assert_eq!(rq_seq(&line.next().expect("again")), number);
    assert_eq!(line.seconds(), 2.0);
    line.accept(number);
    let (_, failure) = line.next().expect_err("the controller is silent");
    assert_eq!((failure.cause, line.seconds()), (Cause::NoBridgedAnswer, 5.0));
}

#[test]
fn what_acts_is_not_sent_again_once_it_was_passed_on() {
    let mut line = Line::new();
    line.submit(1, SENSOR, net_fn::CHASSIS, CHASSIS_CONTROL);
    let number = rq_seq(&line.next().expect("due at once"));
    line.accept(number);
    let (_, failure) = line.next().expect_err("the controller is silent");
    assert_eq!((failure.cause, line.seconds()), (Cause::OutcomeUnknown, 5.0));

    // Not known to be passed on: once more, as without bridging.
    let mut line = Line::new();
    line.submit(1, SENSOR, net_fn::CHASSIS, CHASSIS_CONTROL);
    let number = rq_seq(&line.next().expect("due at once"));
    assert_eq!(rq_seq(&line.next().expect("again")), number);
    let (_, failure) = line.next().expect_err("the BMC is silent");
    assert_eq!(failure.cause, Cause::OutcomeUnknown);
}

#[test]
fn the_callers_time_ends_sooner_than_the_controllers() {
    let mut line = Line::new();
    let deadline = Some(line.now + Duration::from_secs(3));
    let request =
        Request { target: SENSOR, net_fn: net_fn::APP, cmd: 1, deadline, ..Request::default() };
    line.requests.submit(Origin::User(1), Request { repeat: Repeat::Never, ..request });
    let number = rq_seq(&line.next().expect("due at once"));
    line.accept(number);
    line.next().expect_err("the time is over");
    assert_eq!(line.seconds(), 3.0);
}

#[test]
fn what_is_secret_waits_for_nobody_who_can_read_it_and_is_not_printed() {
    let mut line = Line::new();
    let data: Zeroizing<Vec<u8>> = b"hush".to_vec().into();
    for (token, secrecy) in [(1, Secrecy::Secret), (2, Secrecy::SecretInClear), (3, Secrecy::Open)]
    {
        let request = Request { token, secrecy, data: data.clone(), ..Request::default() };
        let hidden = !format!("{request:?}").contains("104, 117, 115, 104");
        assert_eq!(hidden, secrecy != Secrecy::Open);
        line.requests.submit(Origin::User(token), request);
    }
    let (origin, failure) = line.requests.take_secret().expect("one must not be sent");
    assert_eq!((origin, failure.cause), (Origin::User(1), Cause::NotEncrypted));
    assert!(line.requests.take_secret().is_none());
    assert_eq!(line.requests.len(), 2);
}
