//! Reading all records, whatever the BMC makes of it.

use std::collections::HashSet;
use std::time::Duration;

use super::super::app::DeviceId;
use super::super::dialog::Dialog;
use super::super::reply::Fields;
use super::record::HEADER_LEN;
use super::{DeviceSdrInfo, Sdr, SdrRepository, SdrRepositoryInfo, SdrSource};
use crate::error::{Error, ErrorKind, Result};
use crate::wire::message::{CompletionCode, net_fn};

/// Bytes asked for at once to begin with: what fits into the messages of most BMCs.
const CHUNK: usize = 31;
/// A reservation that is lost is made again at once so often, then after a pause.
const AT_ONCE: u32 = 4;
const RESERVATION_PAUSE: Duration = Duration::from_secs(1);
/// One record is begun so often.
const TRIES: u32 = 20;
/// A repository that changes while it is read is read so often.
const WALKS: u32 = 3;
const FIRST: u16 = 0x0000;
const LAST: u16 = 0xffff;

/// The commands of one source.
struct Commands {
    net_fn: u8,
    reserve: u8,
    get: u8,
    name: &'static str,
}

const REPOSITORY: Commands =
    Commands { net_fn: net_fn::STORAGE, reserve: 0x22, get: 0x23, name: "Get SDR" };
const DEVICE: Commands =
    Commands { net_fn: net_fn::SENSOR_EVENT, reserve: 0x22, get: 0x21, name: "Get Device SDR" };

/// What a repository says of itself: equal as long as its records are, as far as it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub source: SdrSource,
    pub record_count: u16,
    pub free_bytes: u16,
    pub last_addition: u32,
    pub last_erase: u32,
    /// Device SDRs: the LUNs that have some.
    pub luns: u8,
}

/// A repository, and whether its records can be trusted to be of one time.
pub(super) struct Walked {
    pub repository: SdrRepository,
    pub state: State,
    pub settled: bool,
}

impl State {
    fn repository(info: Option<SdrRepositoryInfo>) -> Self {
        State {
            source: SdrSource::Repository,
            record_count: info.map_or(0, |info| info.record_count),
            free_bytes: info.map_or(0, |info| info.free_bytes),
            last_addition: info.map_or(0, |info| info.last_addition),
            last_erase: info.map_or(0, |info| info.last_erase),
            luns: 1,
        }
    }

    fn device(info: Option<DeviceSdrInfo>) -> Self {
        State {
            source: SdrSource::Device,
            record_count: info.map_or(0, |info| info.sensor_count.into()),
            free_bytes: 0,
            last_addition: info.map_or(0, |info| info.change_indicator),
            last_erase: 0,
            // LUN 0 is always worth a look.
            luns: info.map_or(0, |info| info.luns) | 1,
        }
    }
}

impl Dialog {
    /// Reads all Sensor Data Records: those of the repository, or of the BMC's device SDRs when
    /// the repository is empty and there are some.
    ///
    /// Takes two requests or more for each record: use
    /// [`sdr_repository_cached`](Self::sdr_repository_cached) for more than a few BMCs. Records
    /// that the BMC does not give are in [`SdrRepository::skipped`].
    pub async fn sdr_repository(&self) -> Result<SdrRepository> {
        let state = self.sdr_state(None).await?;
        Ok(self.sdr_walk(state).await?.repository)
    }

    /// Where the records are, and what is said of them.
    pub(super) async fn sdr_state(&self, device_id: Option<&DeviceId>) -> Result<State> {
        let info = answered(self.sdr_repository_info().await)?;
        if info.is_some_and(|info| info.record_count > 0) {
            return Ok(State::repository(info));
        }
        let has_device_sdrs = match device_id {
            Some(device_id) => device_id.provides_device_sdrs,
            None => answered(self.device_id().await)?.is_some_and(|id| id.provides_device_sdrs),
        };
        match has_device_sdrs {
            true => Ok(State::device(answered(self.device_sdr_info().await)?)),
            // Some BMCs have no info and records all the same.
            false => Ok(State::repository(info)),
        }
    }

    /// Reads the records, again should they change meanwhile.
    pub(super) async fn sdr_walk(&self, mut state: State) -> Result<Walked> {
        let mut walks = 1;
        loop {
            let mut walk = Walk::default();
            for lun in (0..4).filter(|lun| state.luns & 1 << lun != 0) {
                let dialog = self.at_lun(lun);
                match state.source {
                    SdrSource::Repository => walk.all(&dialog, &REPOSITORY).await?,
                    SdrSource::Device => walk.all(&dialog, &DEVICE).await?,
                }
            }
            let after = match state.source {
                SdrSource::Repository => {
                    State::repository(answered(self.sdr_repository_info().await)?)
                }
                SdrSource::Device => State::device(answered(self.device_sdr_info().await)?),
            };
            let settled = after == state;
            // As long as the reservation held, nothing can have changed: there are BMCs whose
            // stamps run like a clock.
            if settled || walk.undisturbed || walks == WALKS {
                let repository = SdrRepository::new(state.source, walk.records, walk.skipped);
                return Ok(Walked { repository, state, settled });
            }
            state = after;
            walks += 1;
        }
    }
}

/// What was answered; `None` when the BMC refused, or gave what cannot be read.
fn answered<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_refusal(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_refusal(error: &Error) -> bool {
    let kinds = [ErrorKind::Completion, ErrorKind::Privilege, ErrorKind::PeerMisbehaved];
    kinds.contains(&error.kind())
}

/// One walk through all records.
struct Walk {
    records: Vec<Sdr>,
    skipped: Vec<u16>,
    chunk: usize,
    reservation: u16,
    /// Whether one reservation held all the time.
    undisturbed: bool,
}

impl Default for Walk {
    fn default() -> Self {
        let (records, skipped) = (Vec::new(), Vec::new());
        Walk { records, skipped, chunk: CHUNK, reservation: 0, undisturbed: true }
    }
}

/// What came of one record.
enum Outcome {
    Record {
        next: u16,
        bytes: Vec<u8>,
    },
    /// The BMC does not give it, but perhaps says which one follows.
    Skipped {
        next: Option<u16>,
        error: Error,
    },
}

/// What came of one part of a record.
enum Part {
    Data {
        next: u16,
        data: Vec<u8>,
    },
    TooLong(Error),
    /// The reservation is gone.
    Cancelled(Error),
    Refused(Error),
}

impl Walk {
    /// Follows the chain of records from the first one to its end, or to where it was before.
    async fn all(&mut self, dialog: &Dialog, commands: &Commands) -> Result<()> {
        self.reserve(dialog, commands).await?;
        let begin = self.records.len();
        let mut seen = HashSet::from([FIRST]);
        let mut record_id = FIRST;
        loop {
            let next = match self.record(dialog, commands, record_id).await? {
                Outcome::Record { next, bytes } => {
                    if !self.keep(record_id, &bytes, begin) {
                        return Ok(());
                    }
                    next
                }
                Outcome::Skipped { next: None, error } if record_id == FIRST => {
                    // CBh: there is none. Anything else leaves nothing to go on with.
                    let empty = error.completion_code() == Some(CompletionCode(0xcb));
                    return if empty || begin > 0 { Ok(()) } else { Err(error) };
                }
                Outcome::Skipped { next, .. } => {
                    self.skipped.push(record_id);
                    next.unwrap_or(LAST)
                }
            };
            if next == LAST || !seen.insert(next) {
                return Ok(());
            }
            record_id = next;
        }
    }

    /// Keeps a record; false when the chain has come back to its first one.
    fn keep(&mut self, record_id: u16, bytes: &[u8], begin: usize) -> bool {
        let own = u16::from_le_bytes([bytes[0], bytes[1]]);
        // The first one is asked for by a number that is not its own; of all others the number
        // they were asked by counts, as some BMCs write another one into the record.
        let record = Sdr::new(if record_id == FIRST { own } else { record_id }, bytes);
        if self.records.get(begin) == Some(&record) {
            return false;
        }
        // A BMC that has the same device SDRs at all LUNs has them once.
        if !self.records[..begin].contains(&record) {
            self.records.push(record);
        }
        true
    }

    /// Reads one record, from its beginning again whenever the reservation is lost.
    async fn record(
        &mut self,
        dialog: &Dialog,
        commands: &Commands,
        record_id: u16,
    ) -> Result<Outcome> {
        for attempt in 1..=TRIES {
            let error = match self.parts(dialog, commands, record_id).await? {
                Ok(outcome) => return Ok(outcome),
                Err(cancelled) => cancelled,
            };
            if attempt == TRIES {
                return Err(error);
            }
            if attempt.is_multiple_of(AT_ONCE) {
                dialog.pause(RESERVATION_PAUSE).await?;
            }
            self.undisturbed = false;
            self.reserve(dialog, commands).await?;
        }
        Err(Error::new(ErrorKind::Internal))
    }

    /// Reads the parts of one record; the inner error says that the reservation is lost.
    async fn parts(
        &mut self,
        dialog: &Dialog,
        commands: &Commands,
        record_id: u16,
    ) -> Result<std::result::Result<Outcome, Error>> {
        let (mut bytes, mut chunk, mut follows) = (Vec::new(), self.chunk, None);
        loop {
            let total = bytes.get(4).map_or(HEADER_LEN, |len| HEADER_LEN + usize::from(*len));
            if let Some(next) = follows
                && bytes.len() >= total
            {
                self.chunk = chunk;
                return Ok(Ok(Outcome::Record { next, bytes }));
            }
            let want = chunk.min(total - bytes.len());
            match self.part(dialog, commands, record_id, bytes.len(), want).await? {
                Part::Data { next, data } => {
                    follows = Some(next);
                    take_part(&mut bytes, &data, want);
                }
                Part::TooLong(error) => match want {
                    0 | 1 => return Ok(Ok(Outcome::Skipped { next: follows, error })),
                    2..=8 => chunk = want - 1,
                    _ => chunk = (want - 4).max(8),
                },
                Part::Cancelled(error) => return Ok(Err(error)),
                Part::Refused(error) => return Ok(Ok(Outcome::Skipped { next: follows, error })),
            }
        }
    }

    async fn part(
        &self,
        dialog: &Dialog,
        commands: &Commands,
        record_id: u16,
        offset: usize,
        want: usize,
    ) -> Result<Part> {
        let ([r0, r1], [i0, i1]) = (self.reservation.to_le_bytes(), record_id.to_le_bytes());
        // A record is 260 bytes at most; the last ones of that can only be had without an offset.
        let Ok(offset) = u8::try_from(offset) else {
            let text = "a record longer than can be read in parts";
            return Ok(Part::Refused(Error::with_text(ErrorKind::PeerMisbehaved, text)));
        };
        let request = [r0, r1, i0, i1, offset, want as u8];
        let reply = match dialog.reply(commands.net_fn, commands.get, &request).await {
            // Controllers behind the BMC leave unanswered what is too long for their bus.
            Err(error)
                if error.kind() == ErrorKind::TimedOut
                    && dialog.target().is_bridged()
                    && !dialog.is_late() =>
            {
                return Ok(Part::TooLong(error));
            }
            reply => reply?,
        };
        let error = || Error::completion(reply.completion_code, None);
        Ok(match reply.completion_code.0 {
            0 => {
                let mut fields = Fields::of(commands.name, &reply.data);
                match fields.u16() {
                    Ok(next) if !fields.rest().is_empty() => {
                        Part::Data { next, data: fields.rest().to_vec() }
                    }
                    // Nothing, where there must be something.
                    _ => Part::TooLong(fields.malformed("is too short")),
                }
            }
            0xc7..=0xca | 0xff => Part::TooLong(error()),
            0xc5 => Part::Cancelled(error()),
            _ => Part::Refused(error()),
        })
    }

    /// Makes a reservation; 0, which is none, where the BMC refuses.
    async fn reserve(&mut self, dialog: &Dialog, commands: &Commands) -> Result<()> {
        let reply = dialog.reply(commands.net_fn, commands.reserve, &[]).await?;
        self.reservation = match (reply.completion_code, reply.data.first_chunk()) {
            (CompletionCode::SUCCESS, Some(number)) => u16::from_le_bytes(*number),
            _ => 0,
        };
        self.undisturbed &= self.reservation != 0;
        Ok(())
    }
}

/// Adds what came in answer to `want` bytes.
fn take_part(bytes: &mut Vec<u8>, data: &[u8], want: usize) {
    // Some BMCs give the whole record whatever they are asked for, others bytes behind its end.
    let whole = data.get(4).map(|len| HEADER_LEN + usize::from(*len));
    match whole.and_then(|whole| data.get(..whole)) {
        Some(record) if bytes.is_empty() => bytes.extend_from_slice(record),
        _ => bytes.extend_from_slice(&data[..data.len().min(want)]),
    }
}
