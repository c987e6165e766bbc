use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::*;

fn log(len_max: usize) -> Log<u32> {
    Log::new(len_max)
}

fn push(log: &mut Log<u32>, bytes: &[u8]) {
    log.push(Instant::now(), 1, bytes);
}

#[test]
fn a_reader_gets_everything_once_and_in_order() {
    let mut log = log(16);
    let mut cursor = log.cursor_at_start();
    let mut got = Vec::new();
    for round in 0..100u8 {
        push(&mut log, &[round, round.wrapping_add(100), round.wrapping_mul(3)]);
        let mut out = [0; 2];
        loop {
            let len = log.read(&mut cursor, &mut out);
            if len == 0 {
                break;
            }
            got.extend_from_slice(&out[..len]);
        }
    }
    let expected: Vec<u8> =
        (0..100u8).flat_map(|r| [r, r.wrapping_add(100), r.wrapping_mul(3)]).collect();
    assert_eq!(got, expected);
    assert_eq!(cursor.lost(), 0);
}

#[test]
fn a_slow_reader_is_told_what_it_lost() {
    let mut log = log(8);
    let mut slow = log.cursor_at_start();
    push(&mut log, b"abcdefgh");
    push(&mut log, b"ijk");
    let mut out = [0; 32];
    let len = log.read(&mut slow, &mut out);
    assert_eq!((&out[..len], slow.lost()), (&b"defghijk"[..], 3));
    push(&mut log, &[b'x'; 100]);
    let len = log.read(&mut slow, &mut out);
    assert_eq!((len, slow.lost(), log.end()), (8, 95, 111));
}

/// Everything there is for a cursor, as text.
fn story(log: &Log<u32>, cursor: &mut Cursor, room: usize) -> Vec<String> {
    let mut out = vec![0; room];
    let mut told = Vec::new();
    while let Some(next) = log.next(cursor, &mut out) {
        told.push(match next {
            Next::Bytes(len, stamp) => {
                format!("{} in {}", String::from_utf8_lossy(&out[..len]), stamp.epoch)
            }
            Next::Event(event) => format!("event {event}"),
            Next::Lost { bytes, events } => format!("lost {bytes} {events}"),
        });
    }
    told
}

#[test]
fn events_stand_where_they_happened_and_bytes_say_in_which_connection_they_came() {
    let mut log = log(8);
    let (mut slow, at) = (log.cursor_at_start(), Instant::now());
    log.push_event(1);
    log.push(at, 1, b"abc");
    log.push_event(2);
    log.push_event(3);
    log.push(at, 2, b"defg");
    let mut quick = log.cursor_at_start();
    let expected = ["event 1", "abc in 1", "event 2", "event 3", "defg in 2"];
    assert_eq!(story(&log, &mut quick, 9), expected);
    assert_eq!(story(&log, &mut log.cursor_at_end(), 9), [""; 0]);
    log.push(at, 2, b"hijklm");
    assert_eq!(story(&log, &mut quick, 4), ["hijk in 2", "lm in 2"]);
    let behind = ["event 1", "lost 3 0", "event 2", "event 3", "lost 2 0", "fghijklm in 2"];
    assert_eq!(story(&log, &mut slow, 9), behind);
    assert_eq!(slow.lost(), 5);
    // A new reader hears of nothing that is gone.
    assert_eq!(story(&log, &mut log.cursor_at_start(), 9), ["fghijklm in 2"]);
}

#[test]
fn reading_bytes_alone_goes_over_events() {
    let mut log = log(100);
    let mut cursor = log.cursor_at_start();
    log.push_event(1);
    push(&mut log, b"ab");
    log.push_event(2);
    push(&mut log, b"cd");
    log.push_event(3);
    let mut out = [0; 3];
    assert_eq!(log.read(&mut cursor, &mut out), 3);
    assert_eq!(story(&log, &mut cursor, 9), ["d in 1", "event 3"]);
}

#[test]
fn the_oldest_events_give_way_and_who_misses_them_is_told_how_many() {
    let mut log = log(8);
    let mut cursor = log.cursor_at_start();
    for number in 0..EVENTS_MAX as u32 + 3 {
        log.push_event(number);
    }
    let told = story(&log, &mut cursor, 8);
    assert_eq!((&*told[0], &*told[1]), ("lost 0 3", "event 3"));
    assert_eq!((told.len(), log.events.capacity()), (EVENTS_MAX + 1, EVENTS_MAX));
}

#[test]
fn memory_grows_with_use_and_not_beyond_what_is_kept() {
    let mut log = log(1000);
    for round in 0..100 {
        push(&mut log, &[round; 77]);
        assert!(log.bytes.capacity() <= 1000, "{}", log.bytes.capacity());
    }
    push(&mut log, &[0; 5000]);
    assert_eq!((log.bytes.len(), log.bytes.capacity()), (1000, 1000));
}

#[test]
fn a_new_reader_sees_the_past_or_not() {
    let mut log = log(8);
    push(&mut log, b"0123456789");
    let (past, live) = (log.cursor_at_start(), log.cursor_at_end());
    push(&mut log, b"!");
    let read = |mut cursor| {
        let mut out = [0; 16];
        let len = log.read(&mut cursor, &mut out);
        (out[..len].to_vec(), cursor.lost())
    };
    assert_eq!(read(past), (b"3456789!".to_vec(), 1));
    assert_eq!(read(live), (b"!".to_vec(), 0));
}

/// One thing that went into a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Byte(u8, u64),
    Event(u32),
}

/// What a reader has been told, held against everything there was.
struct Checked {
    cursor: Cursor,
    rest: VecDeque<Item>,
}

impl Checked {
    /// Takes up to `count` things, each of which has to be the next one there was.
    fn take(&mut self, log: &Log<u32>, count: usize, room: usize) {
        let mut out = vec![0; room];
        for _ in 0..count {
            match log.next(&mut self.cursor, &mut out) {
                None => return assert!(self.rest.is_empty(), "{:?} left", self.rest.len()),
                Some(Next::Bytes(len, stamp)) => {
                    for byte in &out[..len] {
                        assert_eq!(self.rest.pop_front(), Some(Item::Byte(*byte, stamp.epoch)));
                    }
                }
                Some(Next::Event(event)) => {
                    assert_eq!(self.rest.pop_front(), Some(Item::Event(event)));
                }
                Some(Next::Lost { bytes, events: 0 }) => {
                    assert!(bytes > 0);
                    for _ in 0..bytes {
                        let lost = self.rest.pop_front();
                        assert!(matches!(lost, Some(Item::Byte(..))), "{lost:?}");
                    }
                }
                Some(Next::Lost { bytes, events }) => {
                    assert_eq!(bytes, 0);
                    for _ in 0..events {
                        let is_event = |item: &Item| matches!(item, Item::Event(_));
                        let place = self.rest.iter().position(is_event).expect("one to lose");
                        self.rest.remove(place);
                    }
                }
            }
        }
    }
}

#[test]
fn whatever_comes_each_reader_is_told_all_of_it_in_order_or_how_much_it_missed() {
    for seed in 1..=300u64 {
        let mut state = seed;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            (state >> 33) % below
        };
        let (mut log, base) = (log(1 + random(200) as usize), Instant::now());
        let mut readers: Vec<Checked> = Vec::new();
        let (mut ms, mut epoch, mut count) = (0, 0, 0);
        for _ in 0..400 {
            let mut news = Vec::new();
            match random(10) {
                0 => {
                    (epoch, count) = (epoch + 1, count + 1);
                    log.push_event(count);
                    news.push(Item::Event(count));
                }
                1 => {
                    count += 1;
                    log.push_event(count);
                    news.push(Item::Event(count));
                }
                2..6 => {
                    ms += random(12);
                    let bytes: Vec<u8> = (0..random(60)).map(|_| random(256) as u8).collect();
                    log.push(base + Duration::from_millis(ms), epoch, &bytes);
                    news.extend(bytes.iter().map(|byte| Item::Byte(*byte, epoch)));
                }
                6 if readers.len() < 5 => {
                    readers.push(Checked { cursor: log.cursor_at_end(), rest: VecDeque::new() });
                }
                _ if !readers.is_empty() => {
                    let which = random(readers.len() as u64) as usize;
                    readers[which].take(&log, random(8) as usize, 1 + random(40) as usize);
                }
                _ => {}
            }
            readers.iter_mut().for_each(|reader| reader.rest.extend(&news));
        }
        for reader in &mut readers {
            reader.take(&log, usize::MAX, 7);
            assert_eq!(reader.cursor.offset(), log.end(), "seed {seed}");
        }
    }
}
