//! Inventory data of all kinds, and parts that give them in their own way.

use super::super::dialog::Dialog;
use super::super::play::{hostile, play, reply};
use super::super::sdr::SdrRepository;
use super::super::sdr::record_tests::fru_locator;
use super::*;
use crate::crypto::Generator;
use crate::error::{ErrorKind, Result};
use crate::session::{Reply, Request};

fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.push(sum.wrapping_neg());
    bytes
}

/// An area with these bytes behind its length, padded.
fn area(content: &[u8]) -> Vec<u8> {
    let len = (2 + content.len() + 1).next_multiple_of(8);
    let mut bytes = vec![1, (len / 8) as u8];
    bytes.extend_from_slice(content);
    bytes.resize(len - 1, 0);
    with_checksum(bytes)
}

fn field(text: &str) -> Vec<u8> {
    [&[0xc0 | text.len() as u8], text.as_bytes()].concat()
}

fn image() -> Vec<u8> {
    let chassis = [&[0x17][..], &field("CH-1"), &field("C123"), &[0xc1]].concat();
    // 26,297,280 minutes are 50 years; this is 2^20 minutes, 1997-12-29 04:16.
    let board = [
        &[0, 0, 0, 0x10][..],
        &field("Maker"),
        &[0x83, 0x29, 0xdc, 0xa6],
        &[0x42, 0x12, 0x3b],
        &[0x02, 0xab, 0xcd],
        &[0],
        &field("extra"),
        &field("more"),
        &[0xc1],
    ]
    .concat();
    let names = ["Maker", "Model 9", "PN", "v2", "S99", "TAG", "file"];
    let product = [&[25][..], &names.map(field).concat(), &[0xc1]].concat();
    let areas = [vec![1, 7, 8, 9, 0, 0, 0, 0], area(&chassis), area(&board), area(&product)];
    let mut header = vec![1];
    let mut at = 8;
    for area in &areas {
        header.push((at / 8) as u8);
        at += area.len();
    }
    header.extend([(at / 8) as u8, 0]);
    let mut bytes = with_checksum(header);
    bytes.extend(areas.concat());
    bytes.extend(multirecord(0x00, 0x02, &[1, 2, 3]));
    bytes.extend(multirecord(0xc0, 0x82, &[9; 40]));
    bytes
}

fn multirecord(record_type: u8, flags: u8, data: &[u8]) -> Vec<u8> {
    let sum = data.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    let header = vec![record_type, flags, data.len() as u8, sum.wrapping_neg()];
    [with_checksum(header), data.to_vec()].concat()
}

#[test]
fn all_areas_are_read() {
    let fru = Fru::new(image());
    assert!(fru.checksums_ok(), "{fru:?}");
    assert_eq!(fru.internal, Some(vec![7, 8, 9, 0, 0, 0, 0]));
    let chassis = fru.chassis.expect("there is one");
    assert_eq!((chassis.chassis_type, chassis.part_number.as_str()), (0x17, "CH-1"));
    assert_eq!((chassis.serial_number.as_str(), chassis.custom.len()), ("C123", 0));
    let board = fru.board.expect("there is one");
    let made = board.manufactured.expect("known");
    assert_eq!(made.to_string(), "1997-12-29 04:16:00");
    assert_eq!((board.manufacturer.as_str(), board.product_name.as_str()), ("Maker", "IPMI"));
    assert_eq!((board.serial_number.as_str(), board.part_number.as_str()), ("123-", "abcd"));
    assert_eq!(board.custom, ["extra", "more"]);
    let product = fru.product.expect("there is one");
    assert_eq!((product.language, product.name.as_str()), (25, "Model 9"));
    assert_eq!((product.version.as_str(), product.asset_tag.as_str()), ("v2", "TAG"));
    assert_eq!(product.fru_file_id, "file");
    let records: Vec<_> = fru.multirecords.iter().map(|r| (r.record_type, r.data.len())).collect();
    assert_eq!(records, [(0, 3), (0xc0, 40)]);
}

#[test]
fn other_languages_have_wide_characters() {
    let content = |language, text: &[u8]| {
        let field = [&[0xc0 | text.len() as u8], text].concat();
        let product = area(&[&[language][..], &field, &[0xc1]].concat());
        let header = with_checksum(vec![1, 0, 0, 0, 1, 0, 0]);
        Fru::new([header, product].concat()).product.expect("there is one").manufacturer
    };
    assert_eq!(content(12, &[0x2d, 0x4e, 0xfd, 0x56]), "\u{4e2d}\u{56fd}");
    assert_eq!(content(12, b"Maker1"), "Maker1");
    assert_eq!(content(25, &[b'M', 0xfc]), "M\u{fc}");
}

#[test]
fn wrong_checksums_are_told_and_do_no_harm() {
    let good = image();
    for at in [7, 20, 30, 50, 90, good.len() - 1, good.len() - 50] {
        let mut bytes = good.clone();
        bytes[at] ^= 0x20;
        let fru = Fru::new(bytes);
        assert!(!fru.checksums_ok(), "byte {at}");
    }
    let mut bytes = good.clone();
    bytes[7] ^= 0xff;
    let fru = Fru::new(bytes);
    assert!(!fru.header_checksum_ok && fru.product.is_some_and(|product| product.checksum_ok));
    for blank in [0x00, 0xff] {
        let fru = Fru::new(vec![blank; 64]);
        assert_eq!((fru.chassis, fru.header_checksum_ok), (None, false));
    }
}

#[test]
fn data_of_any_bytes_are_read() {
    let good = image();
    for len in 0..good.len() {
        let fru = Fru::new(good[..len].to_vec());
        assert_eq!(fru.bytes.len(), len);
        assert!(area::extent(&good[..len]) > len || len == good.len());
    }
    assert_eq!(area::extent(&good), good.len());
    let mut random = Generator::from_seed([6; 32]);
    let mut read = 0;
    for round in 0..100_000 {
        let mut bytes = good.clone();
        for _ in 0..1 + round % 9 {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = random.number() as u8;
        }
        bytes.truncate(random.below(bytes.len() as u64 + 1) as usize);
        if round % 5 == 0 {
            random.array::<64>().iter().zip(&mut bytes).for_each(|(from, to)| *to = *from);
        }
        assert!(area::extent(&bytes) >= 8);
        read += usize::from(Fru::new(bytes).product.is_some());
    }
    assert!(read > 10_000, "{read}");
}

/// A BMC with inventory data, and its own way of giving them.
struct Part {
    bytes: Vec<u8>,
    size: u16,
    words: bool,
    /// Words are counted as bytes in responses, or in requests too.
    counts_bytes: bool,
    longest: usize,
    busy: u32,
    protected: bool,
    requests: usize,
}

impl Part {
    fn new() -> Self {
        let bytes = image();
        let size = bytes.len() as u16;
        let (words, counts_bytes, longest, busy) = (false, false, 255, 0);
        Part { bytes, size, words, counts_bytes, longest, busy, protected: false, requests: 0 }
    }

    fn answer(&mut self, request: &Request) -> Result<Reply> {
        self.requests += 1;
        let unit = if self.words { 2 } else { 1 };
        let counted = |len: usize| if self.counts_bytes { len } else { len / unit } as u8;
        if request.cmd != 0x10 && self.busy > 0 {
            self.busy -= 1;
            return reply(0x81, &[]);
        }
        match (request.cmd, &request.data[..]) {
            (0x10, [0 | 1]) => {
                let [s0, s1] = self.size.to_le_bytes();
                reply(0, &[s0, s1, u8::from(self.words)])
            }
            (0x11, &[0 | 1, o0, o1, count]) => {
                let begin = usize::from(u16::from_le_bytes([o0, o1])) * unit;
                let len = usize::from(count) * if self.counts_bytes { 1 } else { unit };
                if len > self.longest {
                    return reply(0xca, &[]);
                }
                let begin = begin.min(self.bytes.len());
                let data = &self.bytes[begin..self.bytes.len().min(begin + len)];
                reply(0, &[&[counted(data.len())], data].concat())
            }
            (0x12, [0 | 1, ..]) if self.protected => reply(0x80, &[]),
            (0x12, [0 | 1, o0, o1, data @ ..]) => {
                let begin = usize::from(u16::from_le_bytes([*o0, *o1])) * unit;
                self.bytes[begin..begin + data.len()].copy_from_slice(data);
                reply(0, &[counted(data.len())])
            }
            _ => reply(0xcb, &[]),
        }
    }
}

fn read(part: &mut Part) -> Result<Vec<u8>> {
    play(async |dialog| dialog.read_fru(1).await, |request| part.answer(request))
}

#[test]
fn parts_are_read_whatever_they_make_of_it() {
    for longest in [1, 2, 3, 8, 9, 16, 31, 255] {
        for (words, counts_bytes) in [(false, false), (true, false), (true, true)] {
            let mut part = Part { longest, words, counts_bytes, busy: 3, ..Part::new() };
            // An even size, as a word device has.
            part.bytes.push(0);
            part.bytes.truncate(part.bytes.len() / 2 * 2);
            part.size = part.bytes.len() as u16;
            let bytes = read(&mut part);
            if words && longest == 1 && !counts_bytes {
                let code = bytes.err().and_then(|error| error.completion_code());
                assert_eq!(code.map(|code| code.0), Some(0xca));
                continue;
            }
            // Half a word at a time leads nowhere.
            let halves = words && counts_bytes && longest == 1;
            let wanted = if halves { 0 } else { part.bytes.len() };
            assert_eq!(bytes.map(|bytes| bytes.len()), Ok(wanted), "{longest} {words}");
        }
    }
}

#[test]
fn a_size_that_is_too_large_ends_where_the_data_end() {
    let mut part = Part { size: 0xffff, ..Part::new() };
    assert_eq!(read(&mut part), Ok(image()));
    // Refused rather than empty.
    let mut part = Part { size: 0xffff, ..Part::new() };
    let bytes = play(
        async |dialog| dialog.read_fru(1).await,
        |request| match part.answer(request)? {
            Reply { data, .. } if request.cmd == 0x11 && data.len() < 2 => reply(0xc9, &[]),
            answer => Ok(answer),
        },
    );
    assert_eq!(bytes, Ok(image()));
}

#[test]
fn only_what_has_a_meaning_is_read() {
    let mut part = Part { size: 0x8000, ..Part::new() };
    part.bytes.resize(0x8000, 0xff);
    let fru = play(async |dialog| dialog.fru(1).await, |request| part.answer(request));
    assert_eq!(fru, Ok(Fru::new(image())));
    assert_eq!(part.requests, 1 + image().len().div_ceil(32));
    let busy = play(
        async |dialog| dialog.fru(1).await,
        |request| {
            if request.cmd == 0x10 { reply(0, &[9, 0, 0]) } else { reply(0x81, &[]) }
        },
    );
    assert!(busy.is_err_and(|error| error.to_string().contains("busy")));
}

#[test]
fn locators_say_which_parts_there_are() {
    let records = [fru_locator(1, "PSU"), fru_locator(7, "gone"), fru_locator(0, "board")];
    let mut records = records.to_vec();
    // One of a controller on channel 6, and one that is memory on a bus.
    records.push(fru_locator(2, "riser"));
    records[3][5] = 0x72;
    records[3][8] = 0x60;
    records.push(fru_locator(3, "EEPROM"));
    records[4][7] = 0;
    let repository = SdrRepository::of_records(&records);
    let mut part = Part::new();
    let rows = play(
        async |dialog| dialog.frus(&repository).await,
        |request| match request.target == crate::session::Target::behind(6, 0x72) {
            true if request.cmd == 0x10 => reply(0, &[0, 0, 0]),
            true => panic!("there is nothing to read"),
            false => part.answer(request),
        },
    );
    let rows = rows.expect("the session lives");
    let seen: Vec<_> =
        rows.iter().map(|row| (row.fru_id, row.name.as_str(), row.result.is_ok())).collect();
    let wanted = [(0, "board", true), (1, "PSU", true), (7, "gone", false), (2, "riser", true)];
    assert_eq!(seen, wanted);
    assert_eq!(rows[3].address, 0x72);
}

#[test]
fn what_is_written_is_read_back() {
    let write = |part: &mut Part, offset, data: &[u8]| {
        play(async |dialog| dialog.write_fru(0, offset, data).await, |request| part.answer(request))
    };
    for words in [false, true] {
        let mut part = Part { words, busy: 2, ..Part::new() };
        assert_eq!(write(&mut part, 30, &[7; 40]), Ok(()));
        assert_eq!(part.bytes[29..71], [&image()[29..30], &[7; 40], &image()[70..71]].concat());
    }
    let kind = |result: Result<()>| result.err().map(|error| error.kind());
    let mut part = Part { words: true, ..Part::new() };
    assert_eq!(kind(write(&mut part, 31, &[7; 2])), Some(ErrorKind::Misuse));
    assert_eq!(kind(write(&mut part, 30, &[7; 3])), Some(ErrorKind::Misuse));
    assert_eq!(kind(write(&mut Part::new(), 0xffff, &[7])), Some(ErrorKind::Misuse));
    assert_eq!(write(&mut Part::new(), 0, &[]), Ok(()));
    // The same bytes need no writing, others do.
    let mut part = Part { protected: true, ..Part::new() };
    assert_eq!(write(&mut part, 0, &image()), Ok(()));
    let error = write(&mut part, 0, &[9]).expect_err("protected");
    assert_eq!(error.completion_code().map(|code| code.0), Some(0x80));
    assert!(error.to_string().contains("protected"), "{error}");

    let mut part = Part::new();
    let forgets = play(
        async |dialog| dialog.write_fru(0, 0, &[9; 20]).await,
        |request| {
            if request.cmd == 0x12 { reply(0, &[16]) } else { part.answer(request) }
        },
    );
    assert_eq!(kind(forgets), Some(ErrorKind::PeerMisbehaved));
}

#[test]
fn hostile_answers_end() {
    let repository = SdrRepository::of_records(&[fru_locator(1, "PSU")]);
    hostile(1000, async |dialog: Dialog| dialog.fru_area_info(1).await);
    hostile(500, async |dialog| dialog.fru(1).await);
    hostile(100, async |dialog| dialog.read_fru(1).await);
    hostile(100, async |dialog| dialog.frus(&repository).await);
    hostile(500, async |dialog| dialog.write_fru(1, 2, &[1; 40]).await);
}
