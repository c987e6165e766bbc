//! Clearing the log without losing what nobody has read, and deleting entries.
//!
//! Both act, and are sent once: a copy that comes late could erase what was added since. When no
//! answer comes, the log itself is asked what happened. Each try has a reservation of its own, so
//! that a request which was delayed is refused (C5h) once there is a newer one.

use std::time::Duration;

use super::super::dialog::Dialog;
use super::log::{Answer, ERASE_LIMIT, ERASE_PACE};
use super::{CANCELLED, ERASING, NOT_PRESENT, SelLog, SelMark, own_text};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Repeat, Reply};
use crate::wire::message::{CompletionCode, net_fn};

const DELETE_SEL_ENTRY: u8 = 0x46;
const CLEAR_SEL: u8 = 0x47;
const INITIATE: u8 = 0xaa;
const GET_STATUS: u8 = 0x00;
/// So often is tried to clear a log to which entries are added.
const TRIES: u32 = 8;
/// How long the answer to a request that is sent once is waited for.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What came of a request to clear.
enum Begun {
    Complete,
    InProgress,
    /// Something was added since the reservation.
    Cancelled(Error),
    /// No answer came.
    Unknown(Error),
}

impl Dialog {
    /// Reads the log, clears it, and gives what was cleared; blocks until it is erased, 60 s at
    /// most.
    ///
    /// Loses nothing at a BMC that cancels reservations when entries are added, as it should:
    /// those are read before the next try. At one that does not, an entry is lost that is added
    /// between the last look and the request that follows it.
    ///
    /// Needs the privilege level Operator. Fails with `OutcomeUnknown` when the BMC does not
    /// answer; when it fails later than that, the log may have been cleared all the same.
    pub async fn clear_sel(&self) -> Result<SelLog> {
        let mut log = self.sel_entries(None).await?;
        let mut refused = Error::new(ErrorKind::Internal);
        for _ in 0..TRIES {
            let mut reservation = self.reserve_sel_erased().await?;
            // A BMC that wants one for reading, too: a second one would cancel this one.
            let shared = log.reservation != 0;
            log.reservation = if shared { reservation } else { 0 };
            self.read_what_was_added(&mut log).await?;
            reservation = if shared { log.reservation } else { reservation };
            refused = match self.begin_clear(reservation).await? {
                Begun::Complete => return Ok(log),
                Begun::InProgress => {
                    self.wait_erased(reservation).await?;
                    return Ok(log);
                }
                Begun::Unknown(_) if self.was_cleared(&log).await? => {
                    self.wait_erased(reservation).await?;
                    return Ok(log);
                }
                Begun::Unknown(error) | Begun::Cancelled(error) => error,
            };
        }
        Err(refused)
    }

    /// Deletes one entry, if it is still the one that was read: `Completion` with CBh when it is
    /// not there any more. Not all BMCs can.
    ///
    /// Needs the privilege level Operator.
    pub async fn delete_sel_entry(&self, mark: SelMark) -> Result<()> {
        let gone = || Error::completion(CompletionCode(NOT_PRESENT), Some("no such entry"));
        let (mut sent, mut refused) = (false, Error::new(ErrorKind::Internal));
        for _ in 0..TRIES {
            let [r0, r1] = self.reserve_sel_erased().await?.to_le_bytes();
            let [i0, i1] = mark.record_id.to_le_bytes();
            let mut own = u16::from_le_bytes([r0, r1]);
            match self.sel_entry(mark.record_id, None, &mut own).await? {
                Answer::Entry { entry, .. } if entry.mark() == mark => {}
                // What was asked for without an answer has been done.
                _ if sent => return Ok(()),
                _ => return Err(gone()),
            }
            let [r0, r1] = own.to_le_bytes();
            let request = [r0, r1, i0, i1];
            refused = match self.act(DELETE_SEL_ENTRY, &request).await {
                Ok(reply) => match reply.completion_code {
                    CompletionCode::SUCCESS => return Ok(()),
                    code @ CompletionCode(CANCELLED | ERASING) => {
                        Error::completion(code, own_text(code.0))
                    }
                    code => {
                        let own = (code.0 == 0x80).then_some("entries of this type stay");
                        return Err(Error::completion(code, own));
                    }
                },
                Err(error) if is_unanswered(&error) => {
                    sent = true;
                    error
                }
                Err(error) => return Err(error),
            };
        }
        Err(refused)
    }

    /// Sends a request that acts, once.
    async fn act(&self, cmd: u8, data: &[u8]) -> Result<Reply> {
        let once = self.within(ANSWER_LIMIT);
        once.reply_by(net_fn::STORAGE, cmd, data, Repeat::Never).await
    }

    async fn begin_clear(&self, reservation: u16) -> Result<Begun> {
        let reply = match self.act(CLEAR_SEL, &clear_request(reservation, INITIATE)).await {
            Ok(reply) => reply,
            Err(error) if is_unanswered(&error) => return Ok(Begun::Unknown(error)),
            Err(error) => return Err(error),
        };
        match reply.completion_code {
            CompletionCode::SUCCESS if is_complete(&reply) => Ok(Begun::Complete),
            CompletionCode::SUCCESS | CompletionCode(ERASING) => Ok(Begun::InProgress),
            code @ CompletionCode(CANCELLED) => Ok(Begun::Cancelled(Error::completion(code, None))),
            code => Err(Error::completion(code, None)),
        }
    }

    /// Reads what was added since the log was last read.
    async fn read_what_was_added(&self, log: &mut SelLog) -> Result<()> {
        let info = self.sel_info_if_any().await?;
        if info.is_some_and(|info| info.entry_count == 0) {
            log.info = info;
            return Ok(());
        }
        let count = log.entries.len();
        self.read_sel(log, log.mark()).await?;
        // A BMC whose last entry does not know yet what follows it: look at all of them.
        if log.entries.len() == count && info.is_some() && info != log.info {
            let mut all = SelLog { entries: Vec::new(), ..log.clone() };
            self.read_sel(&mut all, None).await?;
            let known: std::collections::HashSet<_> =
                log.entries.iter().map(|entry| entry.bytes).collect();
            log.entries.extend(all.entries.into_iter().filter(|e| !known.contains(&e.bytes)));
        }
        log.info = info;
        Ok(())
    }

    /// Whether the log was cleared since it was last read.
    async fn was_cleared(&self, log: &SelLog) -> Result<bool> {
        let after = self.sel_info_if_any().await?;
        Ok(after.zip(log.info).is_some_and(|(after, before)| {
            after.last_erase != before.last_erase || after.entry_count < before.entry_count
        }))
    }

    /// Blocks until the erasure is complete.
    async fn wait_erased(&self, mut reservation: u16) -> Result<()> {
        let end = self.now() + ERASE_LIMIT;
        while self.now() < end {
            let request = clear_request(reservation, GET_STATUS);
            // This only asks, so it may be sent again.
            let repeat = Repeat::Idempotent;
            let reply = self.reply_by(net_fn::STORAGE, CLEAR_SEL, &request, repeat).await?;
            match reply.completion_code {
                CompletionCode::SUCCESS if is_complete(&reply) => return Ok(()),
                CompletionCode::SUCCESS | CompletionCode(ERASING) => {}
                // Clearing itself cancels reservations.
                CompletionCode(CANCELLED) => reservation = self.reserve_sel_erased().await?,
                // A BMC that has no status: an empty log says it as well.
                code => match self.sel_info_if_any().await? {
                    Some(info) if info.entry_count == 0 => return Ok(()),
                    Some(_) => {}
                    None => return Err(Error::completion(code, None)),
                },
            }
            self.pause(ERASE_PACE).await?;
        }
        Err(still_erasing())
    }

    /// A reservation, when no erasure is under way any more.
    async fn reserve_sel_erased(&self) -> Result<u16> {
        let end = self.now() + ERASE_LIMIT;
        let is_erasing = |error: &Error| error.completion_code() == Some(CompletionCode(ERASING));
        loop {
            match self.reserve_sel().await {
                Err(error) if is_erasing(&error) && self.now() < end => {
                    self.pause(ERASE_PACE).await?;
                }
                Err(error) if is_erasing(&error) => return Err(still_erasing()),
                result => return result,
            }
        }
    }
}

fn still_erasing() -> Error {
    Error::with_text(ErrorKind::TimedOut, "the log is still being erased")
}

fn clear_request(reservation: u16, action: u8) -> [u8; 6] {
    let [r0, r1] = reservation.to_le_bytes();
    [r0, r1, b'C', b'L', b'R', action]
}

fn is_complete(reply: &Reply) -> bool {
    reply.data.first().is_some_and(|progress| progress & 0x0f == 1)
}

fn is_unanswered(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::TimedOut)
}
