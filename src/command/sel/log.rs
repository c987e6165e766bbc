//! Reading the log while it is written to.

use std::collections::HashSet;
use std::time::Duration;

use super::super::dialog::Dialog;
use super::super::reply::Fields;
use super::{CANCELLED, ERASING, NOT_PRESENT, SelClock, SelEntry, SelInfo, SelMark, own_text};
use crate::error::{Error, ErrorKind, Result};
use crate::wire::message::{CompletionCode, net_fn};

const GET_SEL_ENTRY: u8 = 0x43;
const FIRST: u16 = 0x0000;
const LAST: u16 = 0xffff;
/// A log that is erased while it is read is begun with anew so often.
const RESTARTS: u32 = 4;
/// A log to which entries are added is looked at again so often.
const LOOKS: u32 = 8;
/// So often a reservation is made for one entry.
const RESERVATIONS: u32 = 4;
/// How often is asked whether the log is erased, and for how long.
pub(super) const ERASE_PACE: Duration = Duration::from_millis(500);
pub(super) const ERASE_LIMIT: Duration = Duration::from_secs(60);

/// Entries of the log, in its order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SelLog {
    /// The entries.
    pub entries: Vec<SelEntry>,
    /// The clock by which their times were corrected; `None` when the BMC did not tell it.
    pub clock: Option<SelClock>,
    /// Whether the entry to go on from was not there any more, or the log was erased while it
    /// was read: entries may be missing that nobody read.
    pub restarted: bool,
    pub(super) since: Option<SelMark>,
    /// What the BMC said of the log when the last entry was read.
    pub(super) info: Option<SelInfo>,
    /// For BMCs that want one even for reading.
    pub(super) reservation: u16,
}

impl SelLog {
    /// To go on from the last of these entries the next time.
    pub fn mark(&self) -> Option<SelMark> {
        let kept = self.since.filter(|_| !self.restarted);
        self.entries.last().map(SelEntry::mark).or(kept)
    }
}

/// What came of an entry.
pub(super) enum Answer {
    Entry { next: u16, entry: SelEntry },
    Missing,
}

impl Dialog {
    /// Reads the log: all of it, or what was added since an entry that was read before.
    ///
    /// Entries that are added meanwhile are there too. When the log was erased since, all of it
    /// is read, and [`SelLog::restarted`] says so; when it is erased meanwhile, what had been
    /// read is kept.
    pub async fn sel_entries(&self, since: Option<SelMark>) -> Result<SelLog> {
        let clock = match self.sel_clock().await {
            Ok(clock) => Some(clock),
            Err(error) if error.kind() == ErrorKind::Completion => None,
            Err(error) => return Err(error),
        };
        let entries = Vec::new();
        let mut log =
            SelLog { entries, clock, restarted: false, since, info: None, reservation: 0 };
        for _ in 0..LOOKS {
            let info = self.sel_info_if_any().await?;
            if info.is_some_and(|info| info.entry_count == 0) {
                log.restarted |= log.since.is_some() || !log.entries.is_empty();
                log.info = info;
                break;
            }
            if log.info.is_some() && log.info == info {
                break;
            }
            log.info = info;
            let mark = log.mark();
            self.read_sel(&mut log, mark).await?;
            if info.is_none() {
                break;
            }
        }
        Ok(log)
    }

    pub(super) async fn sel_info_if_any(&self) -> Result<Option<SelInfo>> {
        match self.sel_info().await {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.kind() == ErrorKind::Completion => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Follows the log from an entry, or from its beginning, to its end.
    pub(super) async fn read_sel(&self, log: &mut SelLog, mut from: Option<SelMark>) -> Result<()> {
        let begin = |from: Option<SelMark>| from.map_or(FIRST, |mark| mark.record_id);
        let (mut record_id, mut restarts) = (begin(from), 0);
        let (mut seen, mut first) = (HashSet::from([FIRST]), None);
        // Only where the same entry can come twice.
        let mut known = HashSet::new();
        loop {
            let answer = self.sel_entry(record_id, log.clock, &mut log.reservation).await?;
            let next = match answer {
                Answer::Entry { next, entry } => match from.take() {
                    Some(mark) if entry.mark() == mark => Some(next),
                    // The log was erased, and the number was given again.
                    Some(_) => None,
                    // The chain has come back to its beginning.
                    None if first == Some(entry.bytes) && record_id != FIRST => return Ok(()),
                    None => {
                        first.get_or_insert(entry.bytes);
                        if known.is_empty() || known.insert(entry.bytes) {
                            log.entries.push(entry);
                        }
                        Some(next)
                    }
                },
                Answer::Missing if record_id == FIRST => return Ok(()),
                Answer::Missing => None,
            };
            match next {
                Some(next) if next == LAST || !seen.insert(next) => return Ok(()),
                Some(next) => record_id = next,
                None if restarts == RESTARTS => {
                    let text = "the log changes faster than it can be read";
                    return Err(Error::with_text(ErrorKind::PeerMisbehaved, text));
                }
                None => {
                    restarts += 1;
                    log.restarted = true;
                    (record_id, from, first) = (FIRST, None, None);
                    seen = HashSet::from([FIRST]);
                    known = log.entries.iter().map(|entry| entry.bytes).collect();
                }
            }
        }
    }

    /// Get SEL Entry (§31.5), waiting for an erasure that is under way, and with a reservation
    /// where the BMC wants one: it must not for a whole entry.
    pub(super) async fn sel_entry(
        &self,
        record_id: u16,
        clock: Option<SelClock>,
        reservation: &mut u16,
    ) -> Result<Answer> {
        let [i0, i1] = record_id.to_le_bytes();
        let (end, mut reserved) = (self.now() + ERASE_LIMIT, 0);
        loop {
            let [r0, r1] = reservation.to_le_bytes();
            let request = [r0, r1, i0, i1, 0, 0xff];
            let reply = self.reply(net_fn::STORAGE, GET_SEL_ENTRY, &request).await?;
            match reply.completion_code {
                CompletionCode::SUCCESS => {
                    let mut fields = Fields::of("Get SEL Entry", &reply.data);
                    let (next, bytes): (u16, [u8; 16]) = (fields.u16()?, fields.array()?);
                    let [own0, own1, ..] = bytes;
                    let own = u16::from_le_bytes([own0, own1]);
                    let number = if record_id == FIRST { own } else { record_id };
                    let entry = SelEntry::new(number, bytes, clock.as_ref());
                    return Ok(Answer::Entry { next, entry });
                }
                CompletionCode(NOT_PRESENT) => return Ok(Answer::Missing),
                CompletionCode(CANCELLED) if reserved < RESERVATIONS => {
                    reserved += 1;
                    *reservation = self.reserve_sel().await?;
                }
                CompletionCode(ERASING) if self.now() < end => self.pause(ERASE_PACE).await?,
                code => return Err(Error::completion(code, own_text(code.0))),
            }
        }
    }
}
