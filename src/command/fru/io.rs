//! Reading and writing inventory data in parts.

use std::time::Duration;

use super::super::dialog::Dialog;
use super::super::reply::{Fields, is_of_one_command};
use super::super::sdr::{FruLocator, SdrRepository};
use super::area::extent;
use super::{Fru, FruAreaInfo};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Repeat, Reply, Target};
use crate::wire::message::{BMC_ADDRESS, CompletionCode, net_fn};

const GET_FRU_INVENTORY_AREA_INFO: u8 = 0x10;
const READ_FRU_DATA: u8 = 0x11;
const WRITE_FRU_DATA: u8 = 0x12;
/// Bytes asked for at once to begin with.
const CHUNK: usize = 32;
/// Bytes written at once.
const WRITE_CHUNK: usize = 16;
/// A part that is busy is asked again so often.
const BUSY_TRIES: u32 = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(250);
const BUSY: u8 = 0x81;
/// The number of the BMC's own inventory data.
const OWN: u8 = 0;

/// One part of a BMC and its inventory data.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FruRow {
    /// The address of the controller that has it, 20h the BMC.
    pub address: u8,
    /// Its number for FRU commands there.
    pub fru_id: u8,
    /// Its name in the SDR repository; that of number 0 may be missing there, and is empty then.
    pub name: String,
    /// The data, or why there are none.
    pub result: Result<Fru>,
}

impl FruAreaInfo {
    fn unit(self) -> usize {
        if self.words { 2 } else { 1 }
    }
}

/// What came of one part.
enum Part {
    Data(Vec<u8>),
    /// Perhaps it was too much at once.
    TooLong(Error),
}

impl Dialog {
    /// Get FRU Inventory Area Info (§34.1).
    pub async fn fru_area_info(&self, fru_id: u8) -> Result<FruAreaInfo> {
        let request = [fru_id];
        let data =
            self.ask_with(net_fn::STORAGE, GET_FRU_INVENTORY_AREA_INFO, &request, own_text).await?;
        let mut fields = Fields::of("Get FRU Inventory Area Info", &data);
        let size = fields.u16()?;
        Ok(FruAreaInfo { size, words: fields.u8().unwrap_or(0) & 1 != 0 })
    }

    /// Reads the inventory data of a part: as much of it as has a meaning. 0 is the BMC's own.
    pub async fn fru(&self, fru_id: u8) -> Result<Fru> {
        self.read_fru_until(fru_id, extent).await.map(Fru::new)
    }

    /// Reads all bytes of the inventory data of a part; fewer than its size where the BMC has
    /// no more.
    pub async fn read_fru(&self, fru_id: u8) -> Result<Vec<u8>> {
        self.read_fru_until(fru_id, |_| usize::MAX).await
    }

    /// Reads the inventory data of the BMC itself and of all parts that the repository knows, at
    /// the controllers that have them. One that fails has its error in its own row; the call
    /// fails only when the session does.
    ///
    /// Parts without a controller, which are memory on a bus, are left out.
    pub async fn frus(&self, repository: &SdrRepository) -> Result<Vec<FruRow>> {
        let mut parts = vec![(Target::BMC, BMC_ADDRESS, OWN, String::new())];
        for locator in repository.fru_locators().filter(|locator| locator.logical) {
            let FruLocator { access_address: address, channel, lun, fru_id, .. } = *locator;
            let Some(target) = Target::owner(address, channel, lun) else { continue };
            let known = parts.iter_mut().find(|(at, _, id, _)| (*at, *id) == (target, fru_id));
            match known {
                Some((.., name)) if name.is_empty() => name.clone_from(&locator.name),
                Some(_) => {}
                None => parts.push((target, address, fru_id, locator.name.clone())),
            }
        }
        let mut rows = Vec::new();
        for (target, address, fru_id, name) in parts {
            let result = match self.is_late() {
                true => Err(Error::new(ErrorKind::TimedOut)),
                false => self.at(target).fru(fru_id).await,
            };
            if let Err(error) = &result
                && !is_of_one_command(error)
            {
                return Err(error.clone());
            }
            rows.push(FruRow { address, fru_id, name, result });
        }
        Ok(rows)
    }

    /// Writes inventory data at an offset in bytes, and reads it back. What is there already is
    /// not written again. Checksums are the caller's business: a part whose header is spoilt may
    /// not be found again.
    ///
    /// Fails with `Misuse` for what does not fit, and for odd offsets or lengths at a part that
    /// is written by words; with `Completion` and 80h when it is protected; with `PeerMisbehaved`
    /// when something else is read back. A failure can leave part of the data written.
    ///
    /// Needs the privilege level Operator.
    pub async fn write_fru(&self, fru_id: u8, offset: u16, data: &[u8]) -> Result<()> {
        let info = self.fru_area_info(fru_id).await?;
        let begin = usize::from(offset);
        let end = begin.checked_add(data.len()).filter(|end| *end <= usize::from(info.size));
        if end.is_none() {
            let text = format!("the inventory data of this part have {} bytes", info.size);
            return Err(Error::misuse(text));
        }
        if !begin.is_multiple_of(info.unit()) || !data.len().is_multiple_of(info.unit()) {
            return Err(Error::misuse("this part is written by words of two bytes"));
        }
        if self.fru_bytes(fru_id, info, begin, data.len()).await? == data {
            return Ok(());
        }
        let mut at = 0;
        while at < data.len() {
            let chunk = &data[at..data.len().min(at + WRITE_CHUNK)];
            at += self.write_fru_part(fru_id, info, begin + at, chunk).await?;
        }
        match self.fru_bytes(fru_id, info, begin, data.len()).await? == data {
            true => Ok(()),
            false => {
                let text = "the inventory data read back are not those written";
                Err(Error::with_text(ErrorKind::PeerMisbehaved, text))
            }
        }
    }

    /// Reads from the beginning on until `enough` bytes of what was read are there.
    async fn read_fru_until(&self, fru_id: u8, enough: impl Fn(&[u8]) -> usize) -> Result<Vec<u8>> {
        let info = self.fru_area_info(fru_id).await?;
        let (mut bytes, mut chunk) = (Vec::new(), CHUNK);
        loop {
            let end = enough(&bytes);
            // Whole parts: what is read beyond the end costs nothing.
            let end = end.checked_next_multiple_of(CHUNK).unwrap_or(end).min(info.size.into());
            let missing = end.saturating_sub(bytes.len());
            let more = missing > 0
                && self.read_more(fru_id, info, 0, &mut bytes, missing, &mut chunk).await?;
            if !more {
                bytes.truncate(enough(&bytes).min(info.size.into()));
                return Ok(bytes);
            }
        }
    }

    /// Reads so many bytes, fewer where there are no more.
    async fn fru_bytes(
        &self,
        fru_id: u8,
        info: FruAreaInfo,
        begin: usize,
        len: usize,
    ) -> Result<Vec<u8>> {
        let (mut bytes, mut chunk) = (Vec::new(), CHUNK);
        while bytes.len() < len {
            let missing = len - bytes.len();
            if !self.read_more(fru_id, info, begin, &mut bytes, missing, &mut chunk).await? {
                break;
            }
        }
        bytes.truncate(len);
        Ok(bytes)
    }

    /// Reads one part behind those from `begin` on that are there; false when there is no more.
    async fn read_more(
        &self,
        fru_id: u8,
        info: FruAreaInfo,
        begin: usize,
        bytes: &mut Vec<u8>,
        missing: usize,
        chunk: &mut usize,
    ) -> Result<bool> {
        let unit = info.unit();
        loop {
            let count = (*chunk).min(missing).div_ceil(unit);
            let offset = (begin + bytes.len()) / unit;
            match self.fru_part(fru_id, offset, count, unit).await? {
                Part::Data(mut data) => {
                    // One that counts bytes in requests, too.
                    if data.len() == 1
                        && unit == 2
                        && let Part::Data(more) = self.fru_part(fru_id, offset, 2, unit).await?
                    {
                        data = more;
                    }
                    // Half a word cannot be gone on from.
                    let whole = data.len() - data.len() % unit;
                    bytes.extend_from_slice(&data[..whole]);
                    return Ok(whole > 0);
                }
                // A size that is reported too large ends like this, too.
                Part::TooLong(_) if count == 1 && !bytes.is_empty() => return Ok(false),
                Part::TooLong(error) if count == 1 => return Err(error),
                Part::TooLong(_) => {
                    let tried = count * unit;
                    *chunk = if tried > 8 { (tried - 8).max(8) } else { tried - unit };
                }
            }
        }
    }

    /// Read FRU Data (§34.2); `offset` and `count` in units.
    async fn fru_part(&self, fru_id: u8, offset: usize, count: usize, unit: usize) -> Result<Part> {
        let Ok([o0, o1]) = u16::try_from(offset).map(u16::to_le_bytes) else {
            return Ok(Part::Data(Vec::new()));
        };
        let request = [fru_id, o0, o1, count as u8];
        let reply = self.fru_reply(READ_FRU_DATA, &request).await?;
        match reply.completion_code {
            CompletionCode::SUCCESS => {}
            code @ CompletionCode(0xc7..=0xca | 0xff) => {
                return Ok(Part::TooLong(Error::completion(code, None)));
            }
            code => return Err(Error::completion(code, own_text(code.0))),
        }
        let mut fields = Fields::of("Read FRU Data", &reply.data);
        let (returned, data) = (usize::from(fields.u8()?), fields.rest());
        // In units; there are BMCs that count bytes all the same. What is behind is padding.
        let len = match returned * unit {
            len if len <= data.len() => len,
            _ => returned.min(data.len()),
        };
        Ok(Part::Data(data[..len.min(count * unit)].to_vec()))
    }

    /// Write FRU Data (§34.3): gives how many bytes were written. The same bytes in the same
    /// place twice do no harm, so it may be sent again.
    async fn write_fru_part(
        &self,
        fru_id: u8,
        info: FruAreaInfo,
        begin: usize,
        data: &[u8],
    ) -> Result<usize> {
        let [o0, o1] = ((begin / info.unit()) as u16).to_le_bytes();
        let request = [&[fru_id, o0, o1], data].concat();
        let reply = self.fru_reply(WRITE_FRU_DATA, &request).await?;
        if reply.completion_code != CompletionCode::SUCCESS {
            let code = reply.completion_code;
            return Err(Error::completion(code, own_text(code.0)));
        }
        let mut fields = Fields::of("Write FRU Data", &reply.data);
        let written = usize::from(fields.u8()?);
        // As in reading: units, or bytes.
        let len = match written * info.unit() {
            len if len <= data.len() => len,
            _ => written.min(data.len()) / info.unit() * info.unit(),
        };
        match len {
            0 => Err(fields.malformed("says that nothing was written")),
            len => Ok(len),
        }
    }

    /// The response to a FRU command, when the part is not busy any more.
    async fn fru_reply(&self, cmd: u8, request: &[u8]) -> Result<Reply> {
        for _ in 1..BUSY_TRIES {
            let repeat = Repeat::Idempotent;
            let reply = self.reply_by(net_fn::STORAGE, cmd, request, repeat).await?;
            if reply.completion_code.0 != BUSY {
                return Ok(reply);
            }
            self.pause(BUSY_PAUSE).await?;
        }
        self.reply_by(net_fn::STORAGE, cmd, request, Repeat::Idempotent).await
    }
}

fn own_text(code: u8) -> Option<&'static str> {
    match code {
        0x80 => Some("the inventory data are protected from being written"),
        BUSY => Some("the inventory data are busy"),
        _ => None,
    }
}
