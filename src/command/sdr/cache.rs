//! Repositories that were read, for BMCs that have the same.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::super::app::DeviceId;
use super::super::dialog::Dialog;
use super::super::reply::is_of_one_command;
use super::walk::State;
use super::{Sdr, SdrRepository, SdrSource};
use crate::error::{Error, ErrorKind, Result};
use crate::sync::Mutex;

/// Repositories kept in memory at most.
const KEPT_MAX: usize = 256;
/// Larger ones are not kept at all. A usual one has 20 KiB.
const BYTES_MAX: usize = 1 << 20;
/// How often a dialog looks whether another one has read what it needs.
const PACE: Duration = Duration::from_millis(200);
/// One that takes longer than this is not waited for any more: another one begins.
const PATIENCE: Duration = Duration::from_secs(5);
/// Stamps before this are seconds since the BMC started, not times.
const TIMES_BEGIN: u32 = 0x2000_0000;
/// The beginning of a file, with the number of its format.
const MAGIC: &[u8; 8] = b"bmcsdr\x00\x01";
const CHECKSUM_LEN: usize = 32;

/// Repositories that were read, shared by all BMCs that say they have the same.
///
/// Two BMCs have the same when everything is equal that they say: device, product, maker,
/// firmware revision with its auxiliary part, and of the repository the number of records, the
/// free space and when it was last changed. Where a BMC does not know when that was, its GUID
/// counts too, so that nobody shares its records; without a GUID they are not kept.
///
/// What a BMC says is believed: let BMCs you do not trust equally have caches of their own.
///
/// At most 256 repositories are kept in memory, none larger than 1 MiB. Clones are the same
/// cache.
///
/// ```no_run
/// # use bmclink::{Fleet, command::SdrCache};
/// # fn f(fleet: Fleet) -> bmclink::Result<()> {
/// let cache = SdrCache::new();
/// let run = fleet.run(move |dialog| {
///     let cache = cache.clone();
///     async move {
///         let repository = dialog.sdr_repository_cached(&cache).await?;
///         dialog.sensors(&repository).await
///     }
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SdrCache(Arc<Inner>);

struct Inner {
    folder: Option<PathBuf>,
    state: Mutex<Slots>,
    last_error: Mutex<Option<Error>>,
}

#[derive(Default)]
struct Slots {
    slots: HashMap<Key, Slot>,
    /// Counts uses, to forget what was not used for longest; and walks.
    uses: u64,
    walks: u64,
}

enum Slot {
    /// Somebody reads it: when that began, and as which use.
    Reading(Instant, u64),
    Kept(Arc<SdrRepository>, u64),
}

/// What two repositories have in common that are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key(Vec<u8>);

/// What to do about a repository.
enum Claim {
    Kept(Arc<SdrRepository>),
    /// Another dialog reads it.
    Wait,
    /// Read it, and hand it in.
    Read(Reading),
}

/// The duty to read a repository; others wait as long as this is there.
struct Reading {
    cache: SdrCache,
    key: Key,
    number: u64,
}

impl SdrCache {
    /// In memory only.
    pub fn new() -> Self {
        SdrCache::of(None)
    }

    /// In memory, and in files of this folder, which is made when the first one is written.
    ///
    /// A file that is damaged or of another version counts as none, and is written anew. What
    /// goes wrong with files fails no call: see [`last_error`](Self::last_error). Reading and
    /// writing a file blocks the dialog, and in a fleet's run all of them for that long.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        SdrCache::of(Some(folder.into()))
    }

    fn of(folder: Option<PathBuf>) -> Self {
        SdrCache(Arc::new(Inner {
            folder,
            state: Mutex::new(Slots::default()),
            last_error: Mutex::new(None),
        }))
    }

    /// What last went wrong with a file; then forgotten.
    pub fn last_error(&self) -> Option<Error> {
        self.0.last_error.lock().take()
    }

    /// How many repositories were read from a BMC for this cache.
    pub fn walks(&self) -> u64 {
        self.0.state.lock().walks
    }

    fn claim(&self, key: &Key, now: Instant) -> Claim {
        let mut state = self.0.state.lock();
        state.uses += 1;
        let number = state.uses;
        match state.slots.get_mut(key) {
            Some(Slot::Kept(repository, used)) => {
                *used = number;
                return Claim::Kept(repository.clone());
            }
            Some(Slot::Reading(since, _)) if now < *since + PATIENCE => return Claim::Wait,
            _ => {}
        }
        state.slots.insert(key.clone(), Slot::Reading(now, number));
        drop(state);
        let reading = Reading { cache: self.clone(), key: key.clone(), number };
        match self.load(key) {
            Some(repository) => Claim::Kept(reading.keep(repository, false)),
            None => Claim::Read(reading),
        }
    }

    fn load(&self, key: &Key) -> Option<SdrRepository> {
        let path = self.0.folder.as_ref()?.join(key.file_name());
        match read_file(&path) {
            Ok(Some(bytes)) => {
                let repository = decode(key, &bytes);
                if repository.is_none() {
                    let what = format!("{} is damaged", path.display());
                    self.report(Error::with_text(ErrorKind::Io, what));
                }
                repository
            }
            Ok(None) => None,
            Err(error) => {
                self.report(Error::io(&format!("cannot read {}", path.display()), &error));
                None
            }
        }
    }

    fn save(&self, key: &Key, repository: &SdrRepository) {
        let Some(folder) = &self.0.folder else { return };
        let path = folder.join(key.file_name());
        if let Err(error) = write_file(folder, &path, &encode(key, repository)) {
            self.report(Error::io(&format!("cannot write {}", path.display()), &error));
        }
    }

    fn report(&self, error: Error) {
        *self.0.last_error.lock() = Some(error);
    }
}

impl Default for SdrCache {
    fn default() -> Self {
        SdrCache::new()
    }
}

impl fmt::Debug for SdrCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.0.state.lock().slots.len();
        let mut text = f.debug_struct("SdrCache");
        text.field("folder", &self.0.folder).field("kept", &kept).finish_non_exhaustive()
    }
}

impl Slots {
    /// Makes room for one more.
    fn forget_oldest(&mut self) {
        let kept = self.slots.iter().filter_map(|(key, slot)| match slot {
            Slot::Kept(_, used) => Some((*used, key)),
            Slot::Reading(..) => None,
        });
        if self.slots.len() < KEPT_MAX {
            return;
        }
        if let Some(oldest) = kept.min_by_key(|(used, _)| *used).map(|(_, key)| key.clone()) {
            self.slots.remove(&oldest);
        }
    }
}

impl Reading {
    /// Hands in what was read.
    fn keep(self, repository: SdrRepository, from_bmc: bool) -> Arc<SdrRepository> {
        let repository = Arc::new(repository);
        let len: usize = repository.records.iter().map(|record| record.bytes.len()).sum();
        let whole = repository.skipped.is_empty() && len <= BYTES_MAX;
        if whole && from_bmc {
            self.cache.save(&self.key, &repository);
        }
        let mut state = self.cache.0.state.lock();
        state.walks += u64::from(from_bmc);
        if whole {
            state.forget_oldest();
            let slot = Slot::Kept(repository.clone(), self.number);
            state.slots.insert(self.key.clone(), slot);
        }
        drop(state);
        repository
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut state = self.cache.0.state.lock();
        // Unless it was handed in, or another one has begun meanwhile.
        let own = |slot: &Slot| matches!(slot, Slot::Reading(_, number) if *number == self.number);
        if state.slots.get(&self.key).is_some_and(own) {
            state.slots.remove(&self.key);
        }
    }
}

impl Dialog {
    /// All Sensor Data Records, as [`sdr_repository`](Self::sdr_repository) reads them, from the
    /// cache when it has them.
    ///
    /// Takes two requests then. Of many dialogs that need the same repository one reads it, and
    /// the others wait for that one.
    pub async fn sdr_repository_cached(&self, cache: &SdrCache) -> Result<Arc<SdrRepository>> {
        let device_id = self.device_id().await?;
        let state = self.sdr_state(Some(&device_id)).await?;
        let is_time = |stamp| (TIMES_BEGIN..u32::MAX).contains(&stamp);
        let guid = match is_time(state.last_addition) || is_time(state.last_erase) {
            true => None,
            false => match self.system_guid().await {
                Ok(guid) => Some(guid),
                Err(error) if is_of_one_command(&error) => {
                    return Ok(Arc::new(self.sdr_walk(state).await?.repository));
                }
                Err(error) => return Err(error),
            },
        };
        let key = Key::new(&device_id, &state, guid);
        let reading = loop {
            match cache.claim(&key, self.now()) {
                Claim::Kept(repository) => return Ok(repository),
                Claim::Wait => self.pause(PACE).await?,
                Claim::Read(reading) => break reading,
            }
        };
        let walked = self.sdr_walk(state).await?;
        match walked.settled && walked.state == state {
            true => Ok(reading.keep(walked.repository, true)),
            // It changed meanwhile: nobody knows which key is the right one.
            false => Ok(Arc::new(walked.repository)),
        }
    }
}

impl Key {
    fn new(id: &DeviceId, state: &State, guid: Option<[u8; 16]>) -> Self {
        let mut key = vec![id.device_id, id.device_revision];
        key.extend([id.firmware_revision.0, id.firmware_revision.1]);
        key.extend([id.ipmi_version.0, id.ipmi_version.1, id.additional_device_support]);
        key.extend(id.manufacturer_id.to_le_bytes());
        key.extend(id.product_id.to_le_bytes());
        key.push(u8::from(id.auxiliary_firmware_revision.is_some()));
        key.extend(id.auxiliary_firmware_revision.unwrap_or_default());
        key.extend([u8::from(state.source == SdrSource::Device), state.luns]);
        key.extend(state.record_count.to_le_bytes());
        key.extend(state.free_bytes.to_le_bytes());
        key.extend(state.last_addition.to_le_bytes());
        key.extend(state.last_erase.to_le_bytes());
        key.push(u8::from(guid.is_some()));
        key.extend(guid.unwrap_or_default());
        Key(key)
    }

    fn file_name(&self) -> String {
        let digest = Sha256::digest(&self.0);
        let name: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sdr-{name}")
    }
}

/// The file of a repository: magic, key, source, records, SHA-256 of all that.
fn encode(key: &Key, repository: &SdrRepository) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(key.0.len() as u8);
    bytes.extend_from_slice(&key.0);
    bytes.push(u8::from(repository.source == SdrSource::Device));
    for record in &repository.records {
        bytes.extend(record.record_id.to_le_bytes());
        bytes.extend((record.bytes.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&record.bytes);
    }
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum);
    bytes
}

/// The repository of a file, unless anything is wrong with it.
fn decode(key: &Key, bytes: &[u8]) -> Option<SdrRepository> {
    let (bytes, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_LEN)?)?;
    if Sha256::digest(bytes).as_slice() != checksum {
        return None;
    }
    let rest = bytes.strip_prefix(MAGIC)?.strip_prefix(&[key.0.len() as u8])?;
    let (source, mut rest) = rest.strip_prefix(key.0.as_slice())?.split_first()?;
    let mut records = Vec::new();
    while !rest.is_empty() {
        let ([id0, id1, len0, len1], after) = rest.split_first_chunk()?;
        let len = usize::from(u16::from_le_bytes([*len0, *len1]));
        let (record, after) = after.split_at_checked(len)?;
        records.push(Sdr::new(u16::from_le_bytes([*id0, *id1]), record));
        rest = after;
    }
    let source = if *source == 0 { SdrSource::Repository } else { SdrSource::Device };
    Some(SdrRepository::new(source, records, Vec::new()))
}

/// A file's bytes, `None` when there is none.
fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    // Twice what a file can have: what is larger is damaged.
    file.take(2 * BYTES_MAX as u64).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Writes a file so that it is there as a whole or not at all.
fn write_file(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    fs::create_dir_all(folder)?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".sdr-{}-{number}", std::process::id()));
    let written = fs::File::create_new(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What is left of it is in nobody's way.
        let _ = fs::remove_file(&temporary);
    }
    written
}
