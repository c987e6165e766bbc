//! The system event log (§31, §32) and its clock.

use std::time::{Duration, Instant};

use super::sdr::Reservation;

/// Length of an entry.
pub(super) const RECORD_LEN: usize = 16;
/// How many IDs there are: 0000h and FFFFh stand for the first and the last entry.
const IDS: usize = 0xfffe;
/// A system event record.
pub(super) const SYSTEM_EVENT: u8 = 0x02;
/// "No time zone set" of the UTC offset.
const OFFSET_UNSPECIFIED: i16 = 0x07ff;
/// The BMC as the generator of an event.
pub(super) const BMC_GENERATOR: [u8; 2] = [0x20, 0x00];
/// The event message format of IPMI 2.0.
const EVENT_VERSION: u8 = 0x04;

/// The log of one BMC.
pub(super) struct Sel {
    entries: Vec<[u8; RECORD_LEN]>,
    last_id: u16,
    pub reservation: Reservation,
    /// Its times of the last addition and erasure.
    pub added: u32,
    pub erased: u32,
    /// Whether an entry was lost for lack of room since the last erasure.
    pub overflow: bool,
    /// Until when it is being erased.
    pub erasing: Option<Instant>,
    /// What the clock showed when.
    clock: (Instant, u32),
    /// Minutes east of UTC, -1440 to 1440, or 7FFh for unspecified.
    pub utc_offset: i16,
}

/// An event of a sensor of the BMC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    pub sensor_type: u8,
    pub number: u8,
    /// Event/reading type, with bit 7 for a deassertion.
    pub event_type: u8,
    pub data: [u8; 3],
}

impl Sel {
    /// An empty log, and a clock that shows `time`.
    pub fn new(now: Instant, time: u32) -> Self {
        Sel {
            entries: Vec::new(),
            last_id: 0,
            reservation: Reservation::default(),
            added: 0,
            erased: 0,
            overflow: false,
            erasing: None,
            clock: (now, time),
            utc_offset: OFFSET_UNSPECIFIED,
        }
    }

    /// What the clock shows: seconds since 1970, or since the BMC's start below 20000000h.
    pub fn time(&self, now: Instant) -> u32 {
        let (since, time) = self.clock;
        time.wrapping_add(now.saturating_duration_since(since).as_secs() as u32)
    }

    pub fn set_time(&mut self, now: Instant, time: u32) {
        self.clock = (now, time);
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Where an entry is, 0000h being the first and FFFFh the last.
    pub fn find(&self, id: u16) -> Option<usize> {
        match id {
            0 => Some(0).filter(|_| !self.entries.is_empty()),
            0xffff => self.entries.len().checked_sub(1),
            id => self.entries.iter().position(|entry| entry_id(entry) == id),
        }
    }

    pub fn entry(&self, index: usize) -> Option<&[u8; RECORD_LEN]> {
        self.entries.get(index)
    }

    /// The ID behind the entry at an index; FFFFh behind the last.
    pub fn next_id(&self, index: usize) -> u16 {
        self.entries.get(index + 1).map_or(0xffff, entry_id)
    }

    /// Adds an entry, which gets an ID, and a time unless it is of an OEM type without one.
    /// `None` when `capacity` is reached.
    pub fn add(
        &mut self,
        mut record: [u8; RECORD_LEN],
        now: Instant,
        capacity: u16,
    ) -> Option<u16> {
        if self.entries.len() >= usize::from(capacity).min(IDS) {
            self.overflow = true;
            return None;
        }
        let time = self.time(now);
        let mut id = self.last_id;
        loop {
            id = if id >= 0xfffe { 1 } else { id + 1 };
            if self.find(id).is_none() {
                break;
            }
        }
        record[..2].copy_from_slice(&id.to_le_bytes());
        if record[2] < 0xe0 {
            record[3..7].copy_from_slice(&time.to_le_bytes());
        }
        self.last_id = id;
        self.added = time;
        self.entries.push(record);
        Some(id)
    }

    /// Adds an event; it is lost, and that noted, when there is no room.
    pub fn log(&mut self, event: Event, generator: [u8; 2], now: Instant, capacity: u16) {
        if self.is_erasing(now) {
            return;
        }
        let mut record = [0; RECORD_LEN];
        record[2] = SYSTEM_EVENT;
        record[7..9].copy_from_slice(&generator);
        record[9..13].copy_from_slice(&[
            EVENT_VERSION,
            event.sensor_type,
            event.number,
            event.event_type,
        ]);
        record[13..].copy_from_slice(&event.data);
        self.add(record, now, capacity);
    }

    /// Removes the entry at an index and says what its ID was.
    pub fn remove(&mut self, index: usize, now: Instant) -> u16 {
        self.erased = self.time(now);
        self.reservation.cancel();
        entry_id(&self.entries.remove(index))
    }

    /// Removes everything, which takes a while. The reservation serves to ask how far that is.
    pub fn clear(&mut self, now: Instant, takes: Duration) {
        self.entries = Vec::new();
        self.overflow = false;
        self.erased = self.time(now);
        self.erasing = Some(now + takes);
    }

    pub fn is_erasing(&self, now: Instant) -> bool {
        self.erasing.is_some_and(|end| now < end)
    }
}

fn entry_id(entry: &[u8; RECORD_LEN]) -> u16 {
    u16::from_le_bytes([entry[0], entry[1]])
}
