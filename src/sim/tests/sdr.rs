//! The SDR repository over LAN, and what is wrong with it at some BMCs.

use super::{Console, STORAGE, session, session_at};

fn get(console: &mut Console, reservation: u16, id: u16, part: [u8; 2]) -> (u8, Vec<u8>) {
    let [a, b] = reservation.to_le_bytes();
    let [c, d] = id.to_le_bytes();
    console.command(STORAGE, 0x23, &[a, b, c, d, part[0], part[1]])
}

fn reserve(console: &mut Console) -> u16 {
    let (code, data) = console.command(STORAGE, 0x22, &[]);
    assert_eq!(code, 0);
    u16::from_le_bytes([data[0], data[1]])
}

/// Count, and times of the last addition and erasure.
fn info(console: &mut Console) -> (u16, u32, u32) {
    let (code, data) = console.command(STORAGE, 0x20, &[]);
    assert_eq!((code, data.len(), data[0]), (0, 14, 0x51));
    let word = |at: usize| u32::from_le_bytes(data[at..at + 4].try_into().unwrap());
    (u16::from_le_bytes([data[1], data[2]]), word(5), word(9))
}

/// All records, each read whole; stops after `max`.
fn walk(console: &mut Console, max: usize) -> Vec<Vec<u8>> {
    let (mut id, mut records) = (0, Vec::new());
    while id != 0xffff && records.len() < max {
        let (code, data) = get(console, 0, id, [0, 0xff]);
        assert_eq!(code, 0, "record {id:04x}h");
        id = u16::from_le_bytes([data[0], data[1]]);
        records.push(data[2..].to_vec());
    }
    records
}

#[test]
fn the_chain_has_as_many_records_as_the_info_says() {
    let mut console = session();
    let records = walk(&mut console, 100);
    assert_eq!(info(&mut console).0 as usize, records.len());
    for record in &records {
        assert_eq!((usize::from(record[4]), record[2]), (record.len() - 5, 0x51));
    }
    let drives = records.iter().find(|record| record.ends_with(b"Drive")).unwrap();
    assert_eq!((drives[3], drives[23] & 0x0f), (0x02, 4));
    let id = u16::from_le_bytes([records[7][0], records[7][1]]);
    assert_eq!(get(&mut console, 0, id, [0, 0xff]).1[2..], records[7]);
    assert_eq!(get(&mut console, 0, 0xffff, [0, 0xff]).1[2..], *records.last().unwrap());
    assert_eq!(get(&mut console, 0, 0x7777, [0, 0xff]).0, 0xcb);
}

#[test]
fn pieces_need_a_reservation_and_make_the_whole() {
    let mut console = session();
    let whole = walk(&mut console, 4).pop().unwrap();
    let id = u16::from_le_bytes([whole[0], whole[1]]);
    assert_eq!(get(&mut console, 0, id, [5, 10]).0, 0xc5);
    let reservation = reserve(&mut console);
    let mut pieces = Vec::new();
    while pieces.len() < whole.len() {
        let (code, data) = get(&mut console, reservation, id, [pieces.len() as u8, 7]);
        assert_eq!(code, 0);
        pieces.extend_from_slice(&data[2..]);
    }
    assert_eq!(pieces, whole);
    assert_eq!(get(&mut console, reservation, id, [200, 4]).0, 0xc9);
    reserve(&mut console);
    assert_eq!(get(&mut console, reservation, id, [5, 10]).0, 0xc5, "a newer one");
}

#[test]
fn a_change_cancels_reservations_and_moves_the_stamps() {
    let mut console = session();
    let before = info(&mut console);
    let reservation = reserve(&mut console);
    console.sleep(5000);
    let (code, id) = console.command(STORAGE, 0x24, &[0, 0, 0x51, 0xc0, 4, 0xf2, 0x1b, 0, 9]);
    assert_eq!(code, 0);
    assert_eq!(get(&mut console, reservation, 0, [1, 4]).0, 0xc5);
    let added = info(&mut console);
    assert_eq!((added.0, added.1, added.2), (before.0 + 1, before.1 + 5, 0));
    let [a, b] = reserve(&mut console).to_le_bytes();
    assert_eq!(console.command(STORAGE, 0x26, &[a, b, id[0], id[1]]).1, id);
    assert_eq!(info(&mut console), (before.0, before.1 + 5, before.1 + 5));
    assert_eq!(console.command(STORAGE, 0x26, &[a, b, id[0], id[1]]).0, 0xc5);
    let [a, b] = reserve(&mut console).to_le_bytes();
    assert_eq!(console.command(STORAGE, 0x27, &[a, b, b'C', b'L', b'R', 0xaa]), (0, vec![1]));
    assert_eq!(info(&mut console).0, 0);
    assert_eq!(get(&mut console, 0, 0, [0, 0xff]).0, 0xcb);
    assert_eq!(console.command(STORAGE, 0x24, &[0, 0, 0x51, 0xc0, 9, 1]).0, 0x80);
}

#[test]
fn a_bmc_gives_no_more_bytes_than_it_can() {
    for (knob, code) in [("read_limit_code=0xca", 0xca), ("read_limit_code=0xff", 0xff)] {
        let mut console = session_at(&["read_limit=16", knob]);
        assert_eq!(get(&mut console, 0, 0, [0, 0xff]).0, code);
        assert_eq!(get(&mut console, 0, 0, [0, 17]).0, code);
        assert_eq!(get(&mut console, 0, 0, [0, 16]).0, 0);
        // The rest of a record is shorter than what was asked for.
        let reservation = reserve(&mut console);
        assert_eq!(get(&mut console, reservation, 0, [10, 32]).0, 0);
    }
}

#[test]
fn reservations_can_be_lost_on_the_way() {
    let mut console = session_at(&["sdr_cancel_every=3"]);
    let mut lost = 0;
    let mut reservation = reserve(&mut console);
    for _ in 0..12 {
        if get(&mut console, reservation, 0, [1, 4]).0 == 0xc5 {
            lost += 1;
            reservation = reserve(&mut console);
        }
    }
    assert_eq!(lost, 3);
}

#[test]
fn repositories_are_wrong_in_many_ways() {
    let count = walk(&mut session(), 100).len();
    assert_eq!(walk(&mut session_at(&["sdr_no_end"]), count + 9).len(), count + 9);
    assert_eq!(info(&mut session_at(&["sdr_wrong_count"])).0 as usize, count + 1);
    let records = walk(&mut session_at(&["sdr_id_differs"]), 100);
    assert!(records.len() == count && records.iter().all(|record| record[..2] == [0, 0]));
    let padded = walk(&mut session_at(&["sdr_padded"]), 100);
    assert!(padded.iter().all(|record| record.len() == usize::from(record[4]) + 9));
    let mut console = session_at(&["sdr_last_fails"]);
    assert_eq!(get(&mut console, 0, 0xffff, [0, 0xff]).0, 0xc3);
    let mut console = session_at(&["sdr_short_whole_read"]);
    let (_, half) = get(&mut console, 0, 0, [0, 0xff]);
    assert!(half.len() - 2 < usize::from(half[6]) + 5);
    let mut console = session_at(&["sdr_no_reserve"]);
    assert_eq!(console.command(STORAGE, 0x20, &[]).0, 0xc1);
    assert_eq!(console.command(STORAGE, 0x22, &[]).0, 0xc1);
    assert_eq!(get(&mut console, 0, 0, [5, 4]).0, 0);
}
