//! FRU inventories over LAN.

use super::{Console, STORAGE, session, session_at};

fn read(console: &mut Console, id: u8, offset: u16, count: u8) -> (u8, Vec<u8>) {
    let [low, high] = offset.to_le_bytes();
    console.command(STORAGE, 0x11, &[id, low, high, count])
}

fn read_all(console: &mut Console, id: u8) -> Vec<u8> {
    let (code, info) = console.command(STORAGE, 0x10, &[id]);
    assert_eq!((code, info[2]), (0, 0));
    let size = u16::from_le_bytes([info[0], info[1]]);
    let mut all = Vec::new();
    while all.len() < size.into() {
        let (code, data) = read(console, id, all.len() as u16, 24);
        assert_eq!((code, usize::from(data[0])), (0, data.len() - 1));
        all.extend_from_slice(&data[1..]);
    }
    all
}

#[test]
fn a_fru_is_read_in_pieces() {
    let mut console = session();
    let board = read_all(&mut console, 0);
    assert_eq!((board.len(), board[0]), (512, 1));
    assert!(board.windows(16).any(|text| text == b"Simulated Server"));
    assert_eq!(read_all(&mut console, 1).len(), 256);
    assert_eq!(read(&mut console, 0, 500, 24).1[0], 12);
    assert_eq!(read(&mut console, 0, 512, 1).0, 0xc9);
    assert_eq!(read(&mut console, 0, 0, 255).1[0], 224, "what fits");
    assert_eq!(console.command(STORAGE, 0x10, &[2]).0, 0xcb);
    assert_eq!(read(&mut console, 2, 0, 1).0, 0xcb);
}

#[test]
fn what_is_written_stays_and_only_there() {
    let mut console = session();
    let before = read_all(&mut console, 0);
    assert_eq!(console.command(STORAGE, 0x12, &[0, 0x2c, 1, b'n', b'e', b'w']), (0, vec![3]));
    let after = read_all(&mut console, 0);
    assert_eq!(&after[300..303], b"new");
    assert_eq!((&after[..300], &after[303..]), (&before[..300], &before[303..]));
    assert_eq!(console.command(STORAGE, 0x12, &[0, 0xff, 1, 1, 2]).0, 0xc9);
    assert_eq!(read_all(&mut session(), 0), before);
    let mut console = session_at(&["fru_protected"]);
    assert_eq!(console.command(STORAGE, 0x12, &[0, 0, 0, 1]).0, 0x80);
}

#[test]
fn word_access_counts_in_words() {
    let plain = read_all(&mut session(), 1);
    let mut console = session_at(&["fru_by_words"]);
    assert_eq!(console.command(STORAGE, 0x10, &[1]).1, [0, 1, 1]);
    let (_, data) = read(&mut console, 1, 8, 4);
    assert_eq!((data[0], &data[1..]), (4, &plain[16..24]));
    assert_eq!(read_all(&mut console, 0).len(), 512, "only the power supply");
    let mut console = session_at(&["fru_by_words", "fru_counts_bytes"]);
    let (_, data) = read(&mut console, 1, 8, 4);
    assert_eq!((data[0], &data[1..]), (8, &plain[16..24]));
    let mut console = session_at(&["fru_by_words", "fru_asks_bytes"]);
    let (_, data) = read(&mut console, 1, 8, 9);
    assert_eq!((data[0], &data[1..]), (4, &plain[16..24]));
}

#[test]
fn frus_are_wrong_in_some_ways() {
    let mut console = session_at(&["fru_size_doubled"]);
    assert_eq!(console.command(STORAGE, 0x10, &[0]).1, [0, 4, 0]);
    assert_eq!(read(&mut console, 0, 512, 16), (0, vec![0]));
    let mut console = session_at(&["fru_busy_first=2"]);
    let codes = [0, 0, 0].map(|offset| read(&mut console, 0, offset, 8).0);
    assert_eq!(codes, [0x81, 0x81, 0]);
    let mut console = session_at(&["fru_bad_checksums"]);
    let (good, bad) = (read_all(&mut session(), 0), read_all(&mut console, 0));
    assert_eq!(good.iter().zip(&bad).filter(|(good, bad)| good != bad).count(), 3);
    let mut console = session_at(&["read_limit=16"]);
    assert_eq!(read(&mut console, 0, 0, 17).0, 0xca);
    assert_eq!(read(&mut console, 0, 0, 16).0, 0);
}
