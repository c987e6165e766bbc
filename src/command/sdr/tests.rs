//! Walks through repositories of all kinds, and their cache.

use std::cell::Cell;
use std::sync::Arc;

use super::super::dialog::Dialog;
use super::super::play::{hostile, play, reply};
use super::record::tests::{compact, fru_locator, full};
use super::*;
use crate::error::{Error, ErrorKind};
use crate::session::{Reply, Request};

/// A BMC with these records, and what it does wrong.
pub(crate) struct Repository {
    pub records: Vec<Vec<u8>>,
    /// More than so many bytes at once are CAh.
    pub longest: usize,
    /// Every so many reads the reservation is lost.
    pub cancel_every: usize,
    /// Whole records and something behind, whatever is asked for.
    pub whole: bool,
    pub device: bool,
    pub stamp: u32,
    pub reads: usize,
    reservation: u16,
}

impl Repository {
    pub fn new(records: Vec<Vec<u8>>) -> Self {
        Repository {
            records,
            longest: 255,
            cancel_every: usize::MAX,
            whole: false,
            device: false,
            stamp: 0x5000_0000,
            reads: 0,
            reservation: 0,
        }
    }

    pub fn answer(&mut self, request: &Request) -> Result<Reply> {
        let own = if self.device { net_fn::SENSOR_EVENT } else { net_fn::STORAGE };
        let count = self.records.len() as u8;
        let [s0, s1, s2, s3] = self.stamp.to_le_bytes();
        match (request.net_fn, request.cmd) {
            (net_fn::APP, 0x01) => {
                let sdrs = if self.device { 0x81 } else { 0x01 };
                reply(0, &[0x20, sdrs, 2, 1, 2, 0xbf, 0x57, 1, 0, 7, 0])
            }
            (net_fn::APP, 0x37) => reply(0, &[9; 16]),
            (net_fn::STORAGE, 0x20) => {
                let count = if self.device { 0 } else { count };
                reply(0, &[0x51, count, 0, 9, 0, s0, s1, s2, s3, 0, 0, 0, 0, 2])
            }
            (net_fn::SENSOR_EVENT, 0x20) => reply(0, &[count, 0x01]),
            (number, 0x22) if number == own => {
                self.reservation += 1;
                reply(0, &self.reservation.to_le_bytes())
            }
            (number, 0x21 | 0x23) if number == own => self.part(&request.data),
            _ => reply(0xc1, &[]),
        }
    }

    fn part(&mut self, data: &[u8]) -> Result<Reply> {
        let &[r0, r1, id, 0, offset, count] = data else { panic!("{data:02x?}") };
        self.reads += 1;
        if self.reads.is_multiple_of(self.cancel_every) {
            self.reservation += 1;
        }
        if self.reservation != u16::from_le_bytes([r0, r1]) {
            return reply(0xc5, &[]);
        }
        if usize::from(count) > self.longest {
            return reply(0xca, &[]);
        }
        let at = self.records.iter().position(|record| id == 0 || record[0] == id);
        let Some(at) = at else { return reply(0xcb, &[]) };
        let next = self.records.get(at + 1).map_or([0xff, 0xff], |record| [record[0], 0]);
        let record = &self.records[at];
        let (from, count) = (usize::from(offset), usize::from(count));
        let part = match self.whole {
            true => &[record, &[0xee; 7][..]].concat()[..],
            false => &record[from..record.len().min(from + count)],
        };
        reply(0, &[&next, part].concat())
    }
}

fn records() -> Vec<Vec<u8>> {
    vec![full(1, "FAN1"), compact(2, 3, "PSU"), fru_locator(1, "PSU FRU"), full(9, "INLET TEMP")]
}

fn walk(mut bmc: Repository) -> (Result<SdrRepository>, usize) {
    let walked = play(async |dialog| dialog.sdr_repository().await, |request| bmc.answer(request));
    (walked, bmc.reads)
}

#[track_caller]
fn assert_whole(walked: &SdrRepository) {
    let bytes: Vec<_> = walked.records.iter().map(|record| record.bytes.clone()).collect();
    assert_eq!(bytes, records());
    let names: Vec<_> = walked.sensors.iter().map(|sensor| sensor.name.as_str()).collect();
    assert_eq!(names, ["FAN1", "PSU1", "PSU2", "PSU3", "INLET TEMP"]);
    assert!(walked.skipped.is_empty());
    assert_eq!(walked.fru_locators().next().map(|fru| fru.fru_id), Some(1));
    assert_eq!(walked.sensor(0x20, 0, 4).map(|sensor| sensor.name), Some("PSU3".to_owned()));
    assert_eq!(walked.sensor(0x20, 1, 4), None);
}

#[test]
fn all_records_are_read_in_parts() {
    let (walked, reads) = walk(Repository::new(records()));
    assert_whole(&walked.expect("all is well"));
    // Headers, and 52 - 5, 35 - 5, 23 - 5 and 58 - 5 bytes in parts of 31.
    assert_eq!(reads, 4 + 2 + 1 + 1 + 2);
}

#[test]
fn parts_shrink_to_what_the_bmc_can_give() {
    for longest in [1, 2, 4, 7, 8, 13, 16, 30] {
        let (walked, reads) = walk(Repository { longest, ..Repository::new(records()) });
        assert_whole(&walked.expect("it can be read"));
        // The size that works is kept: what does not is tried once.
        assert!(reads <= 168 / longest + 8 + 14, "{reads} reads of {longest}");
    }
}

#[test]
fn a_lost_reservation_is_made_again_and_not_for_ever() {
    for cancel_every in [4, 5, 9] {
        let (walked, _) = walk(Repository { cancel_every, ..Repository::new(records()) });
        assert_whole(&walked.expect("it can be read"));
    }
    let (walked, reads) = walk(Repository { cancel_every: 1, ..Repository::new(records()) });
    let code = walked.err().and_then(|error| error.completion_code());
    assert_eq!((code.map(|code| code.0), reads), (Some(0xc5), 20));
}

#[test]
fn whole_records_with_bytes_behind_are_taken() {
    let (walked, reads) = walk(Repository { whole: true, ..Repository::new(records()) });
    assert_whole(&walked.expect("all is there"));
    assert_eq!(reads, 4);
}

#[test]
fn device_sdrs_are_read_when_there_is_no_repository() {
    let (walked, _) = walk(Repository { device: true, ..Repository::new(records()) });
    let walked = walked.expect("all is well");
    assert_eq!(walked.source, SdrSource::Device);
    assert_whole(&walked);
}

#[test]
fn a_bmc_without_info_and_reservations_is_read_all_the_same() {
    let mut bmc = Repository::new(records());
    let walked = play(
        async |dialog| dialog.sdr_repository().await,
        |request| match (request.net_fn, request.cmd) {
            (net_fn::STORAGE, 0x20 | 0x22) => reply(0xc1, &[]),
            _ => bmc.answer(request),
        },
    );
    assert_whole(&walked.expect("read"));
    let empty = play(
        async |dialog| dialog.sdr_repository().await,
        |request| reply(if request.cmd == 0x23 { 0xcb } else { 0xc1 }, &[]),
    );
    assert_eq!(empty.map(|repository| repository.records.len()), Ok(0));
}

#[test]
fn chains_without_an_end_end() {
    // Back to the first, back to the second, to itself.
    for target in [1, 2, 9] {
        let mut bmc = Repository::new(records());
        let walked = play(
            async |dialog| dialog.sdr_repository().await,
            |request| {
                let mut answer = bmc.answer(request)?;
                if request.cmd == 0x23 && answer.data.starts_with(&[0xff, 0xff]) {
                    answer.data[0..2].copy_from_slice(&[target, 0]);
                }
                Ok(answer)
            },
        );
        assert_whole(&walked.expect("it ends"));
    }
}

#[test]
fn a_record_that_cannot_be_read_is_skipped() {
    let mut bmc = Repository::new(records());
    let walked = play(
        async |dialog| dialog.sdr_repository().await,
        |request| match request.data[..] {
            [_, _, 2, 0, offset, _] if offset >= 5 => reply(0xcd, &[]),
            _ => bmc.answer(request),
        },
    );
    let walked = walked.expect("the others can");
    assert_eq!((walked.records.len(), walked.skipped), (3, vec![2]));
    let refused = play(
        async |dialog| dialog.sdr_repository().await,
        |request| {
            if request.cmd == 0x20 {
                reply(0, &[0x51, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            } else {
                reply(0xd4, &[])
            }
        },
    );
    assert_eq!(refused.err().map(|error| error.kind()), Some(ErrorKind::Privilege));
}

#[test]
fn a_repository_that_changes_is_read_again() {
    let mut bmc = Repository { cancel_every: 6, ..Repository::new(records()) };
    let walked = play(
        async |dialog| dialog.sdr_repository().await,
        |request| {
            if request.cmd == 0x20 && bmc.reads > 0 && bmc.stamp == 0x5000_0000 {
                bmc.stamp += 1;
                bmc.records.truncate(2);
            }
            bmc.answer(request)
        },
    );
    assert_eq!(walked.map(|repository| repository.records.len()), Ok(2));
}

#[test]
fn equal_bmcs_share_one_walk() {
    let cache = SdrCache::new();
    let mut kept: Vec<Arc<SdrRepository>> = Vec::new();
    let mut ask = |cache: &SdrCache, bmc: &mut Repository| {
        let asked = async |dialog: Dialog| dialog.sdr_repository_cached(cache).await;
        let repository = play(asked, |request| bmc.answer(request)).expect("read");
        kept.push(repository);
        bmc.reads
    };
    assert_ne!(ask(&cache, &mut Repository::new(records())), 0);
    assert_eq!(ask(&cache, &mut Repository::new(records())), 0);
    let mut other = Repository { stamp: 0x5000_0001, ..Repository::new(records()) };
    assert_ne!(ask(&cache, &mut other), 0);
    // Without times the GUID counts, which is the same here.
    assert_ne!(ask(&cache, &mut Repository { stamp: 0, ..Repository::new(records()) }), 0);
    assert_eq!(ask(&cache, &mut Repository { stamp: 0, ..Repository::new(records()) }), 0);
    assert_eq!(cache.walks(), 3);
    assert!(Arc::ptr_eq(&kept[0], &kept[1]) && !Arc::ptr_eq(&kept[1], &kept[2]));
    kept.iter().for_each(|repository| assert_whole(repository));
}

#[test]
fn who_waits_for_a_walk_gets_it_and_takes_over_when_it_fails() {
    let cache = SdrCache::new();
    let asked = async |dialog: Dialog| dialog.sdr_repository_cached(&cache).await;
    // While one BMC is read, another one asks; the first one's time is over before it is done.
    let (mut slow, inner) = (Repository::new(records()), Cell::new(0));
    let failed = play(asked, |request| {
        if request.cmd == 0x23 && slow.reads == 3 {
            slow.reads += 1;
            let mut second = Repository::new(records());
            let walked = play(asked, |request| second.answer(request)).expect("it takes over");
            assert_whole(&walked);
            inner.set(second.reads);
            return Err(Error::new(ErrorKind::TimedOut));
        }
        slow.answer(request)
    });
    assert_eq!(failed.err().map(|error| error.kind()), Some(ErrorKind::TimedOut));
    assert_ne!(inner.get(), 0);
    let mut third = Repository::new(records());
    assert!(play(asked, |request| third.answer(request)).is_ok());
    assert_eq!((third.reads, cache.walks()), (0, 1));
}

#[test]
fn files_outlive_the_cache_and_damaged_ones_do_not_count() {
    let folder = std::env::temp_dir().join(format!("bmclink-sdr-{}", std::process::id()));
    let asked = |cache: &SdrCache| {
        let mut bmc = Repository::new(records());
        let asked = async |dialog: Dialog| dialog.sdr_repository_cached(cache).await;
        assert_whole(&play(asked, |request| bmc.answer(request)).expect("read"));
        bmc.reads
    };
    let files = || -> Vec<_> {
        let entries = std::fs::read_dir(&folder).expect("the folder");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    };
    assert_ne!(asked(&SdrCache::in_folder(&folder)), 0);
    assert_eq!(asked(&SdrCache::in_folder(&folder)), 0);
    assert_eq!(files().len(), 1);
    let good = std::fs::read(&files()[0]).expect("readable");
    for damage in [0, 7, 9, good.len() / 2, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[damage] ^= 1;
        std::fs::write(&files()[0], &bytes).expect("writable");
        let cache = SdrCache::in_folder(&folder);
        assert_ne!(asked(&cache), 0, "byte {damage} does not matter");
        assert!(cache.last_error().is_some() && cache.last_error().is_none());
        assert_eq!(std::fs::read(&files()[0]).expect("written anew"), good);
    }
    std::fs::remove_dir_all(&folder).expect("ours");
    // A file where the folder should be: an error, and all works as without.
    std::fs::write(&folder, b"").expect("writable");
    let cache = SdrCache::in_folder(&folder);
    assert_ne!(asked(&cache), 0);
    assert_eq!(cache.last_error().map(|error| error.kind()), Some(ErrorKind::Io));
    std::fs::remove_file(&folder).expect("ours");
}

#[test]
fn hostile_answers_end() {
    let cache = SdrCache::new();
    hostile(1000, async |dialog| dialog.sdr_repository_info().await);
    hostile(1000, async |dialog| dialog.device_sdr_info().await);
    hostile(1000, async |dialog| dialog.sdr_repository().await);
    hostile(1000, async |dialog| dialog.sdr_repository_cached(&cache).await);
}
