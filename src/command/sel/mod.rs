//! The System Event Log: what happened (§31, §32).

mod clear;
mod entry;
mod log;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::entry::{SelBody, SelEntry, SelEvent};
pub use self::log::SelLog;
use super::dialog::Dialog;
use super::reply::Fields;
use super::text::UnixTime;
use crate::error::{Error, Result};
use crate::wire::message::{CompletionCode, net_fn};

const GET_SEL_INFO: u8 = 0x40;
const GET_SEL_ALLOCATION_INFO: u8 = 0x41;
const RESERVE_SEL: u8 = 0x42;
const GET_SEL_TIME: u8 = 0x48;
const SET_SEL_TIME: u8 = 0x49;
/// Times before this are seconds since the BMC started.
const TIMES_BEGIN: u32 = 0x2000_0000;

/// A time by the clock of a BMC (§37).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SelTime {
    /// Its clock was not set: so many seconds after it started.
    SinceStart(u32),
    /// A time.
    At(UnixTime),
    /// It does not say.
    Unknown,
}

/// What Get SEL Info says (§31.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelInfo {
    /// How many entries there are.
    pub entry_count: u16,
    /// Free bytes; FFFFh is that or more.
    pub free_bytes: u16,
    /// When an entry was last added.
    pub last_addition: SelTime,
    /// When entries were last erased.
    pub last_erase: SelTime,
    /// Entries were lost because the log was full.
    pub overflow: bool,
    /// Whether single entries can be deleted.
    pub deletable: bool,
    /// Whether there are reservations.
    pub reservable: bool,
    /// Whether [`Dialog::sel_allocation`] will do.
    pub tells_allocation: bool,
}

/// What Get SEL Allocation Info says (§31.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelAllocation {
    /// How many units of memory there are; 0 unknown.
    pub units: u16,
    /// Bytes of a unit; 0 unknown.
    pub unit_size: u16,
    /// Free units.
    pub free_units: u16,
    /// Units of the largest free block.
    pub largest_free_block: u16,
    /// Units of the largest entry.
    pub record_size_max: u8,
}

/// An entry to go on from, see [`Dialog::sel_entries`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SelMark {
    /// The entry's record ID, which BMCs give again after the log was cleared.
    pub record_id: u16,
    /// Bytes 3 to 6 of the entry: its time, if it has one.
    pub timestamp: u32,
}

/// The clock of a BMC, compared with ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelClock {
    /// What it shows.
    pub time: SelTime,
    /// How many seconds it is ahead of ours; `None` when it was not set.
    pub ahead: Option<i64>,
}

impl SelTime {
    pub(crate) fn of(time: u32) -> Self {
        match time {
            u32::MAX => SelTime::Unknown,
            ..TIMES_BEGIN => SelTime::SinceStart(time),
            _ => SelTime::At(UnixTime(time)),
        }
    }
}

impl fmt::Display for SelTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SelTime::SinceStart(seconds) => write!(f, "start + {seconds} s"),
            SelTime::At(time) => time.fmt(f),
            SelTime::Unknown => f.write_str("unknown time"),
        }
    }
}

impl SelInfo {
    fn read(data: &[u8]) -> Result<Self> {
        let mut fields = Fields::of("Get SEL Info", data);
        fields.u8()?; // Version of the entries.
        let (entry_count, free_bytes) = (fields.u16()?, fields.u16()?);
        let (last_addition, last_erase) = (fields.u32()?, fields.u32()?);
        let support = fields.u8().unwrap_or(0);
        Ok(SelInfo {
            entry_count,
            free_bytes,
            last_addition: SelTime::of(last_addition),
            last_erase: SelTime::of(last_erase),
            overflow: support & 0x80 != 0,
            deletable: support & 0x08 != 0,
            reservable: support & 0x02 != 0,
            tells_allocation: support & 0x01 != 0,
        })
    }
}

impl SelClock {
    /// `ours` is in seconds since 1970, too.
    fn new(time: SelTime, ours: i64) -> Self {
        let ahead = match time {
            SelTime::At(time) => Some(i64::from(time.0) - ours),
            _ => None,
        };
        SelClock { time, ahead }
    }

    /// What our clock would have shown; `None` when nobody knows.
    pub fn corrected(&self, time: SelTime) -> Option<UnixTime> {
        let SelTime::At(time) = time else { return None };
        let ours = i64::from(time.0).checked_sub(self.ahead?)?;
        u32::try_from(ours).ok().map(UnixTime)
    }
}

impl Dialog {
    /// Get SEL Info (§31.2).
    pub async fn sel_info(&self) -> Result<SelInfo> {
        SelInfo::read(&self.ask(net_fn::STORAGE, GET_SEL_INFO, &[]).await?)
    }

    /// Get SEL Allocation Info (§31.3), which is optional.
    pub async fn sel_allocation(&self) -> Result<SelAllocation> {
        let data = self.ask(net_fn::STORAGE, GET_SEL_ALLOCATION_INFO, &[]).await?;
        let mut fields = Fields::of("Get SEL Allocation Info", &data);
        Ok(SelAllocation {
            units: fields.u16()?,
            unit_size: fields.u16()?,
            free_units: fields.u16()?,
            largest_free_block: fields.u16()?,
            record_size_max: fields.u8()?,
        })
    }

    /// Get SEL Time (§31.10): the BMC's clock.
    pub async fn sel_time(&self) -> Result<SelTime> {
        let data = self.ask(net_fn::STORAGE, GET_SEL_TIME, &[]).await?;
        Fields::of("Get SEL Time", &data).u32().map(SelTime::of)
    }

    /// Get SEL Time, compared with our clock: right to a second and half of the round trip.
    pub async fn sel_clock(&self) -> Result<SelClock> {
        let before = our_seconds();
        let time = self.sel_time().await?;
        Ok(SelClock::new(time, i64::midpoint(before, our_seconds())))
    }

    /// Set SEL Time (§31.11): sets the BMC's clock.
    pub async fn set_sel_time(&self, time: UnixTime) -> Result<()> {
        self.ask(net_fn::STORAGE, SET_SEL_TIME, &time.0.to_le_bytes()).await.map(drop)
    }

    /// Reserve SEL (§31.4); 0, which is none, where there are no reservations.
    async fn reserve_sel(&self) -> Result<u16> {
        let reply = self.reply(net_fn::STORAGE, RESERVE_SEL, &[]).await?;
        match reply.completion_code {
            CompletionCode::SUCCESS => Fields::of("Reserve SEL", &reply.data).u16(),
            CompletionCode(0xc1) => Ok(0),
            code => Err(Error::completion(code, own_text(code.0))),
        }
    }
}

/// What completion codes of SEL commands mean.
fn own_text(code: u8) -> Option<&'static str> {
    match code {
        ERASING => Some("the log is being erased"),
        _ => None,
    }
}

/// The log is being erased.
const ERASING: u8 = 0x81;
/// The reservation is gone.
const CANCELLED: u8 = 0xc5;
/// There is no such entry.
const NOT_PRESENT: u8 = 0xcb;

fn our_seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}
