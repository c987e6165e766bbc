//! DCMI.

use super::{Console, session, session_at};

const GROUP: u8 = 0x2c;

fn dcmi(console: &mut Console, command: u8, data: &[u8]) -> (u8, Vec<u8>) {
    let (code, answer) = console.command(GROUP, command, &[&[0xdc][..], data].concat());
    if let Some(group) = answer.first() {
        assert_eq!(*group, 0xdc);
    }
    (code, answer.get(1..).unwrap_or_default().to_vec())
}

#[test]
fn capabilities_are_told() {
    let mut console = session();
    assert_eq!(dcmi(&mut console, 0x01, &[1]), (0, vec![1, 5, 2, 0, 1, 0x39]));
    assert_eq!(dcmi(&mut console, 0x01, &[2]).1[3..5], [0x00, 0x02], "512 entries");
    assert_eq!(dcmi(&mut console, 0x01, &[5]).1[3], 4);
    assert_eq!(dcmi(&mut console, 0x01, &[9]).0, 0xcc);
    assert_eq!(dcmi(&mut session_at(&["dcmi_missing"]), 0x01, &[1]).0, 0xc1);
}

#[test]
fn watts_follow_the_host() {
    let mut console = session();
    console.sleep(30_000);
    let watts = |data: &[u8], at: usize| u16::from_le_bytes([data[at], data[at + 1]]);
    let (_, data) = dcmi(&mut console, 0x02, &[1, 0, 0]);
    assert_eq!((data.len(), data[16]), (17, 0x40));
    let (now, low, high) = (watts(&data, 0), watts(&data, 2), watts(&data, 4));
    assert!((184..=240).contains(&now) && (low, high) == (184, 240), "{data:?}");
    assert_eq!(u32::from_le_bytes(data[12..16].try_into().unwrap()), 30_000);
    console.bmc.set_host_power(false);
    assert_eq!(watts(&dcmi(&mut console, 0x02, &[1, 0, 0]).1, 0), 12);
    assert_eq!(dcmi(&mut console, 0x02, &[7, 0, 0]).0, 0xcc);
}

#[test]
fn a_limit_that_is_not_active_is_told_all_the_same() {
    let mut console = session();
    let limit = |watts: u16, correction: u32, period: u16| {
        let mut data = vec![0, 0, 0, 0x11];
        data.extend_from_slice(&watts.to_le_bytes());
        data.extend_from_slice(&correction.to_le_bytes());
        data.extend_from_slice(&[0, 0]);
        data.extend_from_slice(&period.to_le_bytes());
        data
    };
    let (code, data) = dcmi(&mut console, 0x03, &[0, 0]);
    assert_eq!((code, data.len(), &data[3..5]), (0x80, 13, &500u16.to_le_bytes()[..]));
    assert_eq!(dcmi(&mut console, 0x04, &limit(300, 2000, 10)).0, 0);
    assert_eq!(dcmi(&mut console, 0x05, &[1, 0, 0]).0, 0);
    let (code, data) = dcmi(&mut console, 0x03, &[0, 0]);
    assert_eq!((code, data), (0, vec![0, 0, 0x11, 44, 1, 0xd0, 7, 0, 0, 0, 0, 10, 0]));
    assert_eq!(dcmi(&mut console, 0x04, &limit(50, 2000, 10)).0, 0x84);
    assert_eq!(dcmi(&mut console, 0x04, &limit(300, 5, 10)).0, 0x85);
    assert_eq!(dcmi(&mut console, 0x04, &limit(300, 2000, 0)).0, 0x89);
}

#[test]
fn texts_come_and_go_in_pieces() {
    let mut console = session();
    let tag = b"an asset tag of thirty letters";
    for (index, piece) in tag.chunks(16).enumerate() {
        let header = [16 * index as u8, piece.len() as u8];
        assert_eq!(dcmi(&mut console, 0x08, &[&header[..], piece].concat()).0, 0);
    }
    let (_, first) = dcmi(&mut console, 0x06, &[0, 16]);
    let (_, second) = dcmi(&mut console, 0x06, &[16, 16]);
    assert_eq!((first[0], second[0]), (30, 30));
    assert_eq!([&first[1..], &second[1..]].concat(), tag);
    assert_eq!(dcmi(&mut console, 0x06, &[31, 1]).0, 0xc9);
    assert_eq!(dcmi(&mut console, 0x06, &[0, 17]).0, 0xc9);
    assert_eq!(dcmi(&mut console, 0x0a, &[0, 4, b'n', b'o', b'd', b'e']), (0, vec![4]));
    assert_eq!(dcmi(&mut console, 0x09, &[0, 16]).1, b"\x04node");
    assert_eq!(dcmi(&mut console, 0x08, &[0, 4, 1]).0, 0xc7);
}

#[test]
fn temperatures_are_found_in_the_repository() {
    let mut console = session();
    for entity in [0x40, 0x41, 0x42] {
        let (code, data) = dcmi(&mut console, 0x07, &[1, entity, 0, 0]);
        assert_eq!((code, data[0], data[1]), (0, 1, 1));
        let record = console.command(0x0a, 0x23, &[0, 0, data[2], data[3], 0, 0xff]).1;
        assert_eq!((record[5], record[14]), (1, 1), "a full record of a temperature");
    }
    assert_eq!(dcmi(&mut console, 0x07, &[1, 0x55, 0, 0]).0, 0xcc);
}
