//! The event log over LAN.

use super::{CHASSIS, Console, SENSOR, STORAGE, session, session_at, session_with};
use crate::sim::BmcOptions;

const NEW_YEAR: u32 = 1_767_225_600;

fn reserve(console: &mut Console) -> [u8; 2] {
    let (code, data) = console.command(STORAGE, 0x42, &[]);
    assert_eq!(code, 0);
    [data[0], data[1]]
}

fn entry(console: &mut Console, id: u16) -> (u8, Vec<u8>) {
    let [low, high] = id.to_le_bytes();
    console.command(STORAGE, 0x43, &[0, 0, low, high, 0, 0xff])
}

/// Entries, free bytes, flags.
fn info(console: &mut Console) -> (u16, u16, u8) {
    let (code, data) = console.command(STORAGE, 0x40, &[]);
    assert_eq!((code, data.len()), (0, 14));
    (u16::from_le_bytes([data[1], data[2]]), u16::from_le_bytes([data[3], data[4]]), data[13])
}

fn clear(console: &mut Console, reservation: [u8; 2], action: u8) -> (u8, Vec<u8>) {
    let [a, b] = reservation;
    console.command(STORAGE, 0x47, &[a, b, b'C', b'L', b'R', action])
}

#[test]
fn power_is_logged_with_its_time() {
    let mut console = session();
    assert_eq!(info(&mut console), (0, 8192, 0x0b));
    assert_eq!(entry(&mut console, 0).0, 0xcb);
    console.sleep(7000);
    assert_eq!(console.command(CHASSIS, 0x02, &[0]).0, 0);
    let (_, first) = entry(&mut console, 0);
    assert_eq!(first[..2], [2, 0], "the next one");
    assert_eq!(first[5..9], (NEW_YEAR + 7).to_le_bytes());
    // The BMC, event format 4, the power unit, power off.
    assert_eq!(first[9..], [0x20, 0, 4, 0x09, 0x40, 0x6f, 0, 0xff, 0xff]);
    let (_, last) = entry(&mut console, 0xffff);
    assert_eq!((&last[..2], last[15]), (&[0xff, 0xff][..], 6), "soft-off");
    assert_eq!(info(&mut console), (2, 8192 - 32, 0x0b));
}

#[test]
fn entries_are_added_read_in_pieces_and_deleted() {
    let mut console = session();
    let record = [0, 0, 0x02, 0, 0, 0, 0, 0x41, 0, 4, 1, 0x30, 1, 0x59, 1, 2];
    for id in 1..=3 {
        assert_eq!(console.command(STORAGE, 0x44, &record), (0, vec![id, 0]));
    }
    assert_eq!(console.command(STORAGE, 0x43, &[0, 0, 2, 0, 8, 4]).0, 0xc5);
    let [a, b] = reserve(&mut console);
    assert_eq!(console.command(STORAGE, 0x43, &[a, b, 2, 0, 10, 2]), (0, vec![3, 0, 1, 0x30]));
    assert_eq!(console.command(STORAGE, 0x46, &[a, b, 2, 0]), (0, vec![2, 0]));
    assert_eq!(console.command(STORAGE, 0x46, &[a, b, 1, 0]).0, 0xc5, "cancelled by that");
    assert_eq!(entry(&mut console, 1).1[..2], [3, 0]);
    assert_eq!(entry(&mut console, 2).0, 0xcb);
    // An OEM record without time stamp stays as it is.
    let oem = [0, 0, 0xe0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13];
    assert_eq!(console.command(STORAGE, 0x44, &oem).1, [4, 0]);
    assert_eq!(entry(&mut console, 4).1[4..], oem[2..]);
}

#[test]
fn a_full_log_loses_what_comes_and_says_so() {
    let mut console = session_with(BmcOptions { sel_capacity: 3, ..Default::default() });
    assert_eq!(console.command(SENSOR, 0x2d, &[0x41]).1[2], 0);
    for _ in 0..2 {
        assert_eq!(console.command(CHASSIS, 0x02, &[0]).0, 0);
        assert_eq!(console.command(CHASSIS, 0x02, &[1]).0, 0);
    }
    assert_eq!(info(&mut console), (3, 0, 0x8b));
    assert_eq!(console.command(SENSOR, 0x2d, &[0x41]).1[2], 0x10, "full");
    assert_eq!(console.command(STORAGE, 0x44, &[0; 16]).0, 0xc4);
    assert!(!console.bmc.add_sel_entry([0; 16]));
    let reservation = reserve(&mut console);
    assert_eq!(clear(&mut console, reservation, 0xaa), (0, vec![1]));
    assert_eq!(info(&mut console), (0, 48, 0x0b));
    assert!(console.bmc.add_sel_entry([0; 16]));
}

#[test]
fn erasing_takes_a_while() {
    let mut console = session_at(&["sel_erase_ms=3000"]);
    assert!(console.bmc.add_sel_entry([0; 16]));
    let reservation = reserve(&mut console);
    assert_eq!(clear(&mut console, [9, 9], 0xaa).0, 0xc5);
    assert_eq!(clear(&mut console, reservation, 0xaa), (0, vec![0]));
    for command in [0x42, 0x43] {
        let data: &[u8] = if command == 0x43 { &[0, 0, 0, 0, 0, 0xff] } else { &[] };
        assert_eq!(console.command(STORAGE, command, data).0, 0x81);
    }
    assert!(!console.bmc.add_sel_entry([0; 16]));
    console.sleep(2900);
    assert_eq!(clear(&mut console, reservation, 0x00), (0, vec![0]));
    console.sleep(200);
    assert_eq!(clear(&mut console, reservation, 0x00), (0, vec![1]));
    assert_eq!(info(&mut console).0, 0);
    assert_eq!(entry(&mut console, 0).0, 0xcb);
}

#[test]
fn the_clock_runs_and_can_be_set() {
    let mut console = session();
    console.sleep(10_000);
    assert_eq!(console.command(STORAGE, 0x48, &[]).1, (NEW_YEAR + 10).to_le_bytes());
    assert_eq!(console.command(STORAGE, 0x49, &[0, 0, 0, 0x60]).0, 0);
    console.sleep(2000);
    assert_eq!(console.command(STORAGE, 0x48, &[]).1, [2, 0, 0, 0x60]);
    assert_eq!(console.command(STORAGE, 0x5c, &[]).1, [0xff, 0x07]);
    assert_eq!(console.command(STORAGE, 0x5d, &60i16.to_le_bytes()).0, 0);
    assert_eq!(console.command(STORAGE, 0x5c, &[]).1, 60i16.to_le_bytes());
    assert_eq!(console.command(STORAGE, 0x5d, &1441i16.to_le_bytes()).0, 0xc9);
}

#[test]
fn a_console_reports_events_of_its_own() {
    let mut console = session();
    let event = [4, 0x01, 0x30, 0x01, 0x59, 0, 0];
    assert_eq!(console.command(SENSOR, 0x02, &event).0, 0);
    let with_generator = [&[0x41][..], &event].concat();
    assert_eq!(console.command(SENSOR, 0x02, &with_generator).0, 0);
    assert_eq!(console.command(SENSOR, 0x02, &event[1..]).0, 0xc7);
    let (_, data) = entry(&mut console, 2);
    assert_eq!(data[9..], [0x41, 0, 4, 1, 0x30, 1, 0x59, 0, 0]);
}

#[test]
fn logs_are_wrong_in_some_ways() {
    let mut console = session_at(&["sel_bad_record_type"]);
    assert!(console.bmc.add_sel_entry([2; 16]));
    assert_eq!(entry(&mut console, 0).1[4], 0);
    let mut console = session_at(&["sel_needs_reservation"]);
    assert!(console.bmc.add_sel_entry([2; 16]));
    assert_eq!(entry(&mut console, 0).0, 0xc5);
    let [a, b] = reserve(&mut console);
    assert_eq!(console.command(STORAGE, 0x43, &[a, b, 0, 0, 0, 0xff]).0, 0);
}
