//! Logs that are written to, erased and read at the same time.

use super::super::dialog::Dialog;
use super::super::play::{hostile, play, reply};
use super::super::sdr::SdrRepository;
use super::super::sdr::record_tests::full;
use super::*;
use crate::error::ErrorKind;
use crate::session::{Reply, Request};

/// A BMC with a log, and what happens to it meanwhile.
#[derive(Default)]
struct Log {
    entries: Vec<[u8; 16]>,
    added: u32,
    erased: u32,
    reservation: u16,
    /// How often the state of an erasure is asked for before it is complete.
    erasing: u32,
    clears: u32,
    /// Whether reservations outlive additions, as they should not.
    careless: bool,
    requests: u32,
}

fn entry(number: u8) -> [u8; 16] {
    entry_at(number, 0x5000_0000 + u32::from(number))
}

fn entry_at(number: u8, time: u32) -> [u8; 16] {
    let [t0, t1, t2, t3] = time.to_le_bytes();
    [number, 0, 2, t0, t1, t2, t3, 0x20, 0, 4, 4, 0x30, 0x01, 0x57, number, 200]
}

impl Log {
    fn of(count: u8) -> Self {
        Log { entries: (1..=count).map(entry).collect(), ..Log::default() }
    }

    fn add(&mut self, entry: [u8; 16]) {
        self.entries.push(entry);
        self.added += 1;
        if !self.careless {
            self.reservation += 1;
        }
    }

    fn erase(&mut self) {
        self.entries.clear();
        self.erased += 1;
        self.reservation += 1;
    }

    fn answer(&mut self, request: &Request) -> Result<Reply> {
        self.requests += 1;
        let held = |data: &[u8]| self.reservation.to_le_bytes() == data[..2];
        match (request.cmd, &request.data[..]) {
            (0x40, []) => {
                let mut data = vec![0x51, self.entries.len() as u8, 0, 0xff, 0xff];
                data.extend((0x5000_0000 + self.added).to_le_bytes());
                data.extend((0x5000_0000 + self.erased).to_le_bytes());
                data.push(0x0a);
                reply(0, &data)
            }
            (0x42, []) if self.erasing > 0 => {
                self.erasing -= 1;
                reply(0x81, &[])
            }
            (0x42, []) => {
                self.reservation += 1;
                reply(0, &self.reservation.to_le_bytes())
            }
            (0x43, &[_, _, id, 0, 0, 0xff]) => {
                let at = self.entries.iter().position(|entry| id == 0 || entry[0] == id);
                let Some(at) = at else { return reply(0xcb, &[]) };
                let next = self.entries.get(at + 1).map_or([0xff, 0xff], |next| [next[0], 0]);
                reply(0, &[&next[..], &self.entries[at]].concat())
            }
            (0x46 | 0x47, data) if !held(data) => reply(0xc5, &[]),
            (0x46, &[_, _, id, 0]) => {
                self.entries.retain(|entry| entry[0] != id);
                self.reservation += 1;
                reply(0, &[id, 0])
            }
            (0x47, &[_, _, b'C', b'L', b'R', 0xaa]) => {
                self.clears += 1;
                self.erase();
                self.erasing = 3;
                reply(0, &[0])
            }
            (0x47, &[_, _, b'C', b'L', b'R', 0]) => {
                self.erasing = self.erasing.saturating_sub(1);
                reply(0, &[u8::from(self.erasing == 0)])
            }
            (0x48, []) => reply(0, &0x5000_1000u32.to_le_bytes()),
            _ => reply(0xc1, &[]),
        }
    }
}

fn numbers(log: &SelLog) -> Vec<u8> {
    log.entries.iter().map(|entry| entry.bytes[0]).collect()
}

/// Reads a log to which `change` happens at the request of this number.
fn read(
    bmc: &mut Log,
    since: Option<SelMark>,
    mut change: impl FnMut(&mut Log, &Request),
) -> Result<SelLog> {
    play(
        async |dialog| dialog.sel_entries(since).await,
        |request| {
            change(bmc, request);
            bmc.answer(request)
        },
    )
}

/// Whether this asks for the entry with this number.
fn asks_for(request: &Request, number: u8) -> bool {
    request.cmd == 0x43 && request.data[2] == number
}

#[test]
fn a_log_is_read_and_read_on() {
    let mut bmc = Log::of(3);
    let log = read(&mut bmc, None, |_, _| {}).expect("read");
    assert_eq!((numbers(&log), log.restarted), (vec![1, 2, 3], false));
    let mark = log.mark();
    let again = read(&mut bmc, mark, |_, _| {}).expect("read");
    assert_eq!((numbers(&again), again.restarted, again.mark()), (vec![], false, mark));
    bmc.add(entry(4));
    bmc.add(entry(5));
    let more = read(&mut bmc, mark, |_, _| {}).expect("read");
    assert_eq!((numbers(&more), more.restarted), (vec![4, 5], false));
    // Erased, and the numbers given again.
    bmc.erase();
    bmc.add(entry_at(5, 0x5000_7777));
    let anew = read(&mut bmc, more.mark(), |_, _| {}).expect("read");
    assert_eq!((numbers(&anew), anew.restarted), (vec![5], true));
    bmc.erase();
    let none = read(&mut bmc, anew.mark(), |_, _| {}).expect("read");
    assert_eq!((numbers(&none), none.restarted, none.mark()), (vec![], true, None));
}

#[test]
fn what_is_added_while_a_log_is_read_is_there() {
    let mut bmc = Log::of(3);
    let mut left = 2;
    let log = read(&mut bmc, None, |bmc, request| {
        // After the last entry said that there is no other.
        if request.cmd == 0x40 && bmc.requests > 3 && left > 0 {
            left -= 1;
            bmc.add(entry(10 - left));
        }
    });
    assert_eq!(log.map(|log| numbers(&log)), Ok(vec![1, 2, 3, 9, 10]));
}

#[test]
fn what_was_read_before_an_erasure_is_kept() {
    let mut bmc = Log::of(3);
    let log = read(&mut bmc, None, |bmc, request| {
        if asks_for(request, 3) && bmc.erased == 0 {
            bmc.erase();
            bmc.add(entry_at(1, 0x5100_0000));
            bmc.add(entry_at(2, 0x5100_0001));
        }
    });
    let log = log.expect("read");
    assert_eq!((numbers(&log), log.restarted), (vec![1, 2, 1, 2], true));
    // One that never stops.
    let log = read(&mut Log::of(3), None, |bmc, request| {
        if asks_for(request, 2) {
            bmc.erase();
            (0..3).for_each(|at| bmc.add(entry_at(9 - at, 0x5200_0000 + bmc.erased)));
        }
        if request.cmd == 0x43 && request.data[2] > 5 {
            bmc.erase();
            (1..4).for_each(|at| bmc.add(entry_at(at, 0x5200_0000 + bmc.erased)));
        }
    });
    assert_eq!(log.err().map(|error| error.kind()), Some(ErrorKind::PeerMisbehaved));
}

#[test]
fn empty_logs_and_endless_ones_end() {
    let log = read(&mut Log::of(0), None, |_, _| {}).expect("read");
    assert_eq!((log.entries.len(), log.mark(), log.restarted), (0, None, false));
    for back_to in [0, 1, 2, 3] {
        let mut bmc = Log::of(3);
        let log = play(
            async |dialog| dialog.sel_entries(None).await,
            |request| {
                let mut answer = bmc.answer(request)?;
                if request.cmd == 0x43 && answer.data[..2] == [0xff, 0xff] {
                    answer.data[..2].copy_from_slice(&[back_to, 0]);
                }
                Ok(answer)
            },
        );
        assert_eq!(log.map(|log| numbers(&log)), Ok(vec![1, 2, 3]), "back to {back_to}");
    }
}

fn clear(bmc: &mut Log, mut change: impl FnMut(&mut Log, &Request)) -> Result<SelLog> {
    play(
        async |dialog| dialog.clear_sel().await,
        |request| {
            change(bmc, request);
            bmc.answer(request)
        },
    )
}

#[test]
fn clearing_gives_what_was_cleared_and_waits() {
    let mut bmc = Log::of(3);
    let log = clear(&mut bmc, |_, _| {}).expect("cleared");
    assert_eq!((numbers(&log), bmc.clears, bmc.erasing), (vec![1, 2, 3], 1, 0));
    assert!(bmc.entries.is_empty());
}

#[test]
fn clearing_loses_nothing_that_is_added_meanwhile() {
    // At each request of it once: whatever is added is in the list or in the log.
    for careless in [false, true] {
        let mut requests = 0;
        for at in 1..20 {
            let mut bmc = Log { careless, ..Log::of(2) };
            let log = clear(&mut bmc, |bmc, request| {
                // Between the last look and the request nothing helps at a careless BMC.
                let hopeless = careless && request.cmd == 0x47;
                if bmc.requests == at && !hopeless {
                    bmc.add(entry(9));
                }
            });
            let mut all = numbers(&log.expect("cleared"));
            all.extend(bmc.entries.iter().map(|entry| entry[0]));
            if bmc.requests > at && bmc.added > 0 {
                assert_eq!(all, [1, 2, 9], "added at request {at}, careless: {careless}");
                requests += 1;
            }
        }
        assert!(requests > 8, "{requests}");
    }
    // One to which something is added all the time is not cleared.
    let mut number = 10;
    let mut bmc = Log::of(1);
    let log = clear(&mut bmc, |bmc, request| {
        if request.cmd == 0x47 {
            number += 1;
            bmc.add(entry(number));
        }
    });
    let code = log.err().and_then(|error| error.completion_code());
    assert_eq!((code, bmc.clears), (Some(CompletionCode(0xc5)), 0));
}

#[test]
fn a_request_to_clear_without_an_answer_is_looked_into() {
    // Done, but the answer is lost; and lost before it was done.
    for done in [true, false] {
        let (mut bmc, mut lost) = (Log::of(2), false);
        let log = play(
            async |dialog| dialog.clear_sel().await,
            |request| {
                if request.cmd == 0x47 && !lost {
                    assert_eq!(request.repeat, crate::session::Repeat::Never);
                    lost = true;
                    if done {
                        bmc.answer(request)?;
                        bmc.add(entry(7));
                    }
                    return Err(Error::new(ErrorKind::OutcomeUnknown));
                }
                bmc.answer(request)
            },
        );
        assert_eq!(log.map(|log| numbers(&log)), Ok(vec![1, 2]));
        assert_eq!((bmc.clears, bmc.entries.len()), (1, usize::from(done)));
    }
    let mut asked = 0;
    let mut bmc = Log::of(2);
    let log = play(
        async |dialog| dialog.clear_sel().await,
        |request| {
            if request.cmd == 0x47 {
                asked += 1;
                return Err(Error::new(ErrorKind::OutcomeUnknown));
            }
            bmc.answer(request)
        },
    );
    assert_eq!((log.err().map(|e| e.kind()), asked), (Some(ErrorKind::OutcomeUnknown), 8));
}

#[test]
fn an_erasure_that_never_ends_is_given_up() {
    let mut bmc = Log::of(1);
    let log = clear(&mut bmc, |bmc, request| {
        if matches!(request.cmd, 0x42 | 0x47) && bmc.clears > 0 {
            bmc.erasing = 5;
        }
    });
    assert_eq!(log.err().map(|error| error.kind()), Some(ErrorKind::TimedOut));
}

#[test]
fn one_entry_is_deleted_if_it_is_still_there() {
    let mut bmc = Log::of(3);
    let mark = SelMark { record_id: 2, timestamp: 0x5000_0002 };
    let delete = async |dialog: Dialog| dialog.delete_sel_entry(mark).await;
    assert_eq!(play(delete, |request| bmc.answer(request)), Ok(()));
    assert_eq!(bmc.entries, [entry(1), entry(3)]);
    let error = play(delete, |request| bmc.answer(request)).expect_err("it is gone");
    assert_eq!(error.completion_code(), Some(CompletionCode(0xcb)));
    // Another one has its number.
    bmc.add(entry_at(2, 0x5111_1111));
    assert!(play(delete, |request| bmc.answer(request)).is_err());
    assert_eq!(bmc.entries.len(), 3);

    // Done without an answer.
    let (mut bmc, mut lost) = (Log::of(3), false);
    let deleted = play(delete, |request| {
        let answer = bmc.answer(request)?;
        if request.cmd == 0x46 && !lost {
            lost = true;
            return Err(Error::new(ErrorKind::OutcomeUnknown));
        }
        Ok(answer)
    });
    assert_eq!((deleted, bmc.entries.len()), (Ok(()), 2));
}

#[test]
fn entries_are_phrases_times_and_severities() {
    use super::super::sensor::Severity;
    let clock = SelClock::new(SelTime::of(0x5000_1000), 0x5000_0f00);
    assert_eq!(clock.ahead, Some(0x100));
    let repository = SdrRepository::of_records(&[full(0x30, "FAN1")]);
    let high = SelEntry::new(1, entry(9), Some(&clock));
    assert_eq!(high.time, Some(SelTime::At(UnixTime(0x5000_0009))));
    assert_eq!(high.corrected, Some(UnixTime(0x4fff_ff09)));
    assert_eq!(
        high.describe(Some(&repository)),
        "Fan FAN1: upper non-critical going high (540 RPM, limit 12000 RPM)"
    );
    assert_eq!(high.describe(None), "Fan #30h: upper non-critical going high");
    assert_eq!(high.severity(), Severity::Warning);

    let mut bytes = entry_at(1, 100);
    bytes[10..].copy_from_slice(&[8, 9, 0xef, 0xa3, 1, 2]);
    let over = SelEntry::new(1, bytes, Some(&clock));
    assert_eq!((over.time, over.corrected), (Some(SelTime::SinceStart(100)), None));
    assert_eq!(over.describe(None), "Power Supply #09h: input lost (data 01 02), over");
    assert_eq!(over.severity(), Severity::Ok);
    bytes[12..14].copy_from_slice(&[0x7f, 0x05]);
    let odd = SelEntry::new(1, bytes, None);
    assert_eq!(odd.describe(None), "Power Supply #09h: event 5 of type 7fh");

    let mut bytes = entry_at(1, u32::MAX);
    bytes[2] = 0xc1;
    let oem = SelEntry::new(1, bytes, None);
    assert_eq!(oem.time, Some(SelTime::Unknown));
    assert_eq!(oem.describe(None), "OEM type c1h of 262176: 0430015701c8");
    bytes[2] = 0xe0;
    let oem = SelEntry::new(1, bytes, None);
    assert_eq!(
        (oem.time, &oem.body),
        (None, &SelBody::Oem([255, 255, 255, 255, 0x20, 0, 4, 4, 0x30, 1, 0x57, 1, 200]))
    );
    bytes[2] = 0x77;
    assert_eq!(SelEntry::new(1, bytes, None).body, SelBody::Other);
    assert_eq!(SelTime::of(7).to_string(), "start + 7 s");
}

#[test]
fn the_clock_is_compared_with_ours() {
    let now = our_seconds();
    let time = |seconds: i64| u32::try_from(seconds).expect("before 2106").to_le_bytes();
    let clock = |data: [u8; 4]| {
        play(async |dialog| dialog.sel_clock().await, |_| reply(0, &data)).expect("read")
    };
    let ahead = clock(time(now + 3600)).ahead.expect("it is set");
    // Not more than a minute has gone by since.
    assert!((3540..=3600).contains(&ahead), "{ahead}");
    assert_eq!(clock([9, 0, 0, 0]).ahead, None);
    let mut set = Vec::new();
    let time = UnixTime(0x6001_0203);
    let result = play(
        async |dialog| dialog.set_sel_time(time).await,
        |request| {
            set = request.data.to_vec();
            reply(0, &[])
        },
    );
    assert_eq!((result, set), (Ok(()), vec![3, 2, 1, 0x60]));
}

#[test]
fn hostile_answers_end() {
    hostile(1000, async |dialog| dialog.sel_info().await);
    hostile(1000, async |dialog| dialog.sel_allocation().await);
    hostile(1000, async |dialog| dialog.sel_clock().await);
    hostile(1000, async |dialog| dialog.set_sel_time(UnixTime(0)).await);
    hostile(1000, async |dialog| dialog.sel_entries(None).await);
    let mark = SelMark { record_id: 3, timestamp: 1 };
    hostile(1000, async |dialog| dialog.sel_entries(Some(mark)).await);
    hostile(500, async |dialog| dialog.clear_sel().await);
    hostile(500, async |dialog| dialog.delete_sel_entry(mark).await);
}

#[test]
fn entries_of_any_bytes_are_read() {
    let mut random = crate::crypto::Generator::from_seed([4; 32]);
    let repository = SdrRepository::of_records(&[full(0x30, "FAN1")]);
    let mut events = 0;
    for _ in 0..100_000 {
        let mut bytes: [u8; 16] = random.array();
        bytes[2] = [2, 2, 0xc0, 0xe0, 9][random.below(5) as usize];
        let entry = SelEntry::new(1, bytes, None);
        assert!(!entry.describe(Some(&repository)).is_empty());
        events += usize::from(matches!(entry.body, SelBody::Event(_)));
    }
    assert!(events > 30_000, "{events}");
}
