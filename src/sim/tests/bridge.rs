//! Send Message and the controllers behind it.

use super::console::Received;
use super::{APP, Console, SENSOR, session, session_at};
use crate::wire::message::{Message, RqSeq};

const SEND_MESSAGE: u8 = 0x34;
const TRACK: u8 = 0x40;

/// A message to a controller, as Send Message carries it.
fn carried(address: u8, lun: u8, net_fn: u8, cmd: u8, data: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    let mut request = Message::request(net_fn, lun, RqSeq::new(5), cmd, data);
    (request.to_address, request.from_address) = (address, 0x20);
    request.encode(&mut message);
    message
}

/// What Send Message answers, and the messages that come after it.
fn send(console: &mut Console, channel: u8, message: &[u8]) -> (u8, Vec<u8>, Vec<Received>) {
    console.inbox.clear();
    let (code, data) = console.command(APP, SEND_MESSAGE, &[&[channel][..], message].concat());
    console.sleep(100);
    (code, data, std::mem::take(&mut console.inbox))
}

/// The answer of the satellite to one command.
fn ask(console: &mut Console, net_fn: u8, cmd: u8, data: &[u8]) -> (u8, Vec<u8>) {
    let (code, embedded, later) = send(console, TRACK, &carried(0x2c, 0, net_fn, cmd, data));
    assert_eq!((code, embedded.len()), (0, 0));
    match &later[..] {
        [Received::Message(answered, command, data)] => {
            assert_eq!((*answered, *command), (net_fn | 1, cmd));
            (data[0], data[1..].to_vec())
        }
        other => panic!("not one answer but {other:?}"),
    }
}

#[test]
fn a_satellite_answers_after_send_message_did() {
    let mut console = session();
    let (code, id) = ask(&mut console, APP, 0x01, &[]);
    assert_eq!((code, id[0], id[5]), (0, 0x50, 0x21));
    assert_eq!(ask(&mut console, APP, 0x04, &[]), (0, vec![0x55, 0]));
    assert_eq!(ask(&mut console, APP, 0x99, &[]).0, 0xc1);
    let (code, reading) = ask(&mut console, SENSOR, 0x2d, &[8]);
    assert!(code == 0 && (41..=47).contains(&reading[0]), "{reading:?}");
    assert_eq!(ask(&mut console, SENSOR, 0x27, &[8]).1, [0x38, 0, 0, 0, 90, 100, 108]);
    assert_eq!(ask(&mut console, SENSOR, 0x2d, &[1]).0, 0xcb);
}

#[test]
fn its_device_records_are_read_like_a_repository() {
    let mut console = session();
    assert_eq!(ask(&mut console, SENSOR, 0x20, &[]).1, [3, 1]);
    let [a, b]: [u8; 2] = ask(&mut console, SENSOR, 0x22, &[]).1.try_into().unwrap();
    let (mut id, mut names) = ([0, 0], Vec::new());
    while id != [0xff, 0xff] {
        let (code, header) = ask(&mut console, SENSOR, 0x21, &[a, b, id[0], id[1], 0, 5]);
        assert_eq!(code, 0);
        let rest = [a, b, id[0], id[1], 5, header[6]];
        let (_, body) = ask(&mut console, SENSOR, 0x21, &rest);
        names.push(String::from_utf8_lossy(&body[body.len() - 5..]).into_owned());
        id = [header[0], header[1]];
    }
    assert_eq!(names, [" Temp", "Power", "ealth"]);
    assert_eq!(ask(&mut console, SENSOR, 0x21, &[9, 9, 0, 0, 5, 5]).0, 0xc5);
}

#[test]
fn behind_the_satellite_is_another() {
    let mut console = session();
    let inner = carried(0x72, 0, APP, 0x01, &[]);
    let outer = carried(0x2c, 0, APP, SEND_MESSAGE, &[&[TRACK | 7][..], &inner].concat());
    let (code, _, later) = send(&mut console, TRACK, &outer);
    assert_eq!((code, later.len()), (0, 2));
    assert_eq!(later[0], Received::Message(APP | 1, SEND_MESSAGE, vec![0]));
    let Received::Message(_, 0x01, id) = &later[1] else { panic!("{later:?}") };
    assert_eq!(id[..2], [0, 0x72]);
    for (channel, address, code) in [(7, 0x74, 0x83), (3, 0x72, 0xd3)] {
        let inner = carried(address, 0, APP, 0x01, &[]);
        let data = [&[TRACK | channel][..], &inner].concat();
        let (_, _, later) = send(&mut console, TRACK, &carried(0x2c, 0, APP, SEND_MESSAGE, &data));
        assert_eq!(later, [Received::Message(APP | 1, SEND_MESSAGE, vec![code])]);
    }
}

#[test]
fn nobody_there_is_told_at_once() {
    let mut console = session();
    let to = |address| carried(address, 0, APP, 0x01, &[]);
    assert_eq!(send(&mut console, TRACK, &to(0x44)).0, 0x83);
    assert_eq!(send(&mut console, TRACK | 3, &to(0x2c)).0, 0xd3);
    let mut spoiled = to(0x2c);
    spoiled[2] ^= 1;
    assert_eq!(send(&mut console, TRACK, &spoiled).0, 0x83);
    assert_eq!(send(&mut console, TRACK, &[0x2c]).0, 0xc7);
    // Without tracking the answer has nowhere to go.
    assert_eq!(send(&mut console, 0, &to(0x2c)), (0, vec![], vec![]));
}

#[test]
fn bridging_is_wrong_in_some_ways() {
    let message = carried(0x2c, 0, APP, 0x01, &[]);
    let mut console = session_at(&["bridge_bus_error"]);
    assert_eq!(send(&mut console, TRACK, &message).0, 0x82);
    let mut console = session_at(&["bridge_mute"]);
    assert_eq!(send(&mut console, TRACK, &message), (0, vec![], vec![]));
    let mut console = session_at(&["bridge_embedded"]);
    let (code, embedded, later) = send(&mut console, TRACK, &message);
    let answer = Message::decode(&embedded).unwrap();
    assert_eq!((code, later.len()), (0, 0));
    assert_eq!((answer.cmd, answer.from_address, answer.data[1]), (0x01, 0x2c, 0x50));
    assert_eq!(answer.rq_seq, RqSeq::new(5));
    // Behind the satellite, one in the other.
    let inner = [&[TRACK | 7][..], &carried(0x72, 0, APP, 0x01, &[])].concat();
    let (_, embedded, later) =
        send(&mut console, TRACK, &carried(0x2c, 0, APP, SEND_MESSAGE, &inner));
    let transit = Message::decode(&embedded).unwrap();
    assert_eq!((transit.cmd, transit.data[0], later.len()), (SEND_MESSAGE, 0, 0));
    let innermost = Message::decode(&transit.data[1..]).unwrap();
    assert_eq!((innermost.cmd, innermost.data[1]), (0x01, 0x72));
}

#[test]
fn the_bmc_reaches_its_own_luns_over_its_bus() {
    let mut console = session();
    let message = carried(0x20, 1, SENSOR, 0x2d, &[1]);
    let (code, _, later) = send(&mut console, TRACK, &message);
    let [Received::Message(_, 0x2d, reading)] = &later[..] else { panic!("{later:?}") };
    assert!(code == 0 && reading[0] == 0 && reading[1] <= 34, "{reading:?}");
    // What needs more than the session has is refused there too.
    assert_eq!(console.command(APP, 0x3b, &[3]).0, 0);
    let (_, _, later) = send(&mut console, TRACK, &carried(0x20, 0, APP, 0x02, &[]));
    assert_eq!(later, [Received::Message(APP | 1, 0x02, vec![0xd4])]);
    assert_eq!(console.command(APP, 0x3b, &[2]).0, 0);
    assert_eq!(send(&mut console, TRACK, &message).0, 0xd4);
}
