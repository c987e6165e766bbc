//! What those are given who read from a console, or are told what happens at it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::super::event::{ConsoleEvent, EventKind, Mark};
use super::super::ready::{Events, wait};
use super::super::watch::{Place, Progress, Watch, Watches};
use super::{ConsoleShared, Inner};
use crate::console::{Cursor, Next, replayable};
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{AtomicBool, now};

/// What puts a terminal into a known state: no attributes, characters of the usual set.
const TERMINAL_RESET: &[u8] = b"\x1b[0m\x1b(B\x0f";

impl ConsoleShared {
    pub fn cursor(&self, replay: bool) -> Cursor {
        let inner = self.inner.lock();
        if replay { inner.log.cursor_at_start() } else { inner.log.cursor_at_end() }
    }

    /// What is to be shown first on a terminal, and who goes on behind it.
    pub fn cursor_for_terminal(&self) -> (Vec<u8>, Cursor) {
        let inner = self.inner.lock();
        let mut cursor = inner.log.cursor_at_start();
        let is_cut = cursor.offset() > 0;
        let mut past = vec![0; inner.log.kept_len()];
        let len = inner.log.read(&mut cursor, &mut past);
        let shown = [TERMINAL_RESET, replayable(&past[..len], is_cut)].concat();
        (shown, inner.log.cursor_at_end())
    }

    /// Copies what is there; waits until `deadline` for something. `place` is the reader's, for
    /// those who watch it. `stop` and [`wake_readers`](Self::wake_readers) end it with `Closed`.
    pub fn read(
        &self,
        place: &Place,
        cursor: &mut Cursor,
        out: &mut [u8],
        deadline: Option<Instant>,
        stop: Option<&AtomicBool>,
    ) -> Result<usize> {
        let mut inner = self.inner.lock();
        let result = loop {
            check_stop(stop)?;
            if out.is_empty() {
                break Ok(0);
            }
            let len = inner.log.read(cursor, out);
            if len > 0 {
                break Ok(len);
            }
            if let Some(reason) = inner.end_of_reading() {
                break Err(reason);
            }
            if !wait(&self.readable, &mut inner, deadline) {
                break Err(Error::new(ErrorKind::TimedOut));
            }
        };
        let progress = Progress { offset: cursor.offset(), event: None };
        let blocks = !inner.is_readable(progress);
        // Of the reason why there are no more bytes a reader is told once.
        let watches = place.moved(progress, !blocks && result.is_ok(), blocks);
        drop(inner);
        watches.settle();
        result
    }

    /// Gives what is next, bytes in `out`; else as [`read`](Self::read), but that only a closed
    /// console is an error.
    pub fn next<'a>(
        &self,
        place: &Place,
        cursor: &mut Cursor,
        out: &'a mut [u8],
        deadline: Option<Instant>,
        stop: Option<&AtomicBool>,
    ) -> Result<ConsoleEvent<'a>> {
        if out.is_empty() {
            return Err(Error::misuse("there is no room for bytes"));
        }
        let mut inner = self.inner.lock();
        let result = loop {
            check_stop(stop)?;
            if let Some(next) = inner.log.next(cursor, out) {
                break Ok((next, inner.stats.epoch));
            }
            if inner.closed {
                break Err(Error::new(ErrorKind::Closed));
            }
            if !wait(&self.readable, &mut inner, deadline) {
                break Err(Error::new(ErrorKind::TimedOut));
            }
        };
        let progress = Progress { offset: cursor.offset(), event: Some(cursor.event()) };
        let blocks = !inner.is_readable(progress);
        let watches = place.moved(progress, !blocks && result.is_ok(), blocks);
        drop(inner);
        watches.settle();
        result.map(|(next, epoch)| told(next, out, epoch))
    }

    /// What is next for a callback, if anything is there.
    pub fn poll_event<'a>(
        &self,
        cursor: &mut Cursor,
        out: &'a mut [u8],
    ) -> Option<ConsoleEvent<'a>> {
        let inner = self.inner.lock();
        let (next, epoch) = (inner.log.next(cursor, out)?, inner.stats.epoch);
        drop(inner);
        Some(told(next, out, epoch))
    }

    /// Has every waiting reader look again at what stops it.
    #[cfg(any(feature = "capi", loom))]
    pub fn wake_readers(&self) {
        // Whoever saw no reason to stop is waiting once the lock can be had.
        drop(self.inner.lock());
        self.readable.notify_all();
    }

    // For those who are told

    /// Begins a watch for the console, or for one of its readers. `Misuse` when `is_it` finds
    /// that there is one like it.
    pub fn watch(
        &self,
        watch: &Arc<Watch>,
        place: Option<&Place>,
        is_it: impl Fn(&Watch) -> bool,
    ) -> Result<()> {
        let mut inner = self.inner.lock();
        let there = match place {
            Some(place) => place.watches().iter().any(|watch| is_it(watch)),
            None => inner.watches.iter().any(|watch| is_it(watch)),
        };
        if there {
            return Err(Error::misuse("it was added before"));
        }
        inner.watches.add(watch);
        if let Some(place) = place {
            place.add(watch);
            if inner.is_readable(watch.progress()) {
                watch.mark(Events::READABLE);
            }
        }
        drop(inner);
        watch.settle();
        Ok(())
    }

    /// Ends a watch, unless it is ended.
    pub fn unwatch(&self, watch: &Arc<Watch>, place: Option<&Place>) {
        let mut inner = self.inner.lock();
        let was_there = inner.watches.remove(watch);
        if let Some(place) = place {
            place.remove(watch);
        }
        if was_there {
            watch.release();
        }
        drop(inner);
        watch.settle();
    }

    /// All who are told.
    pub fn watches(&self) -> Watches {
        self.inner.lock().watches.clone()
    }
}

impl Inner {
    /// Why there are no more bytes to read once everything is read.
    fn end_of_reading(&self) -> Option<Error> {
        if self.closed {
            return Some(Error::new(ErrorKind::Closed));
        }
        let is_over = self.state == super::ConsoleState::Unconnected && self.next_try.is_none();
        self.reason.as_deref().filter(|_| is_over).cloned()
    }

    /// Whether a reader who has come that far would get something at once.
    fn is_readable(&self, progress: Progress) -> bool {
        let more = match progress.event {
            Some(event) => event < self.log.events_end(),
            None => self.end_of_reading().is_some(),
        };
        more || progress.offset < self.log.end() || self.closed
    }

    /// Notes that something happened, behind all bytes so far. To be told.
    pub(super) fn note(&mut self, kind: EventKind<'static>) {
        if !self.closed {
            self.log.push_event(Mark { at: now(), epoch: self.stats.epoch, kind });
        }
    }

    /// Tells all who want to know of it. Gives whom to settle.
    pub(super) fn tell(&self, events: Events) -> Watches {
        self.watches.iter().for_each(|watch| watch.mark(events));
        self.watches.clone()
    }

    /// Tells all who want to know of events. Gives whom to settle.
    pub(super) fn tell_event(&self) -> Watches {
        let wanting = self.watches.iter().filter(|watch| watch.wants_events());
        wanting.for_each(|watch| watch.mark(Events::READABLE));
        self.watches.clone()
    }

    /// Tells all who want to know of the state it has now. Gives whom to settle.
    pub(super) fn tell_state(&self) -> Watches {
        for watch in self.watches.iter() {
            watch.mark(Events::STATE);
            if watch.wants_events() || self.end_of_reading().is_some() {
                watch.mark(Events::READABLE);
            }
            if self.state == super::ConsoleState::Unconnected {
                watch.unmark(Events::WRITABLE);
            }
            if !self.is_readable(watch.progress()) {
                // The reason why it was not connected is history.
                watch.unmark(Events::READABLE);
            }
        }
        self.watches.clone()
    }
}

fn check_stop(stop: Option<&AtomicBool>) -> Result<()> {
    match stop {
        Some(stop) if stop.load(Ordering::Acquire) => Err(Error::new(ErrorKind::Closed)),
        _ => Ok(()),
    }
}

fn told(next: Next<Mark>, out: &[u8], epoch: u64) -> ConsoleEvent<'_> {
    match next {
        Next::Bytes(len, stamp) => {
            let kind = EventKind::Data(&out[..len]);
            ConsoleEvent { at: stamp.at, epoch: stamp.epoch, kind }
        }
        Next::Event(mark) => mark.into(),
        Next::Lost { bytes, events } => {
            ConsoleEvent { at: now(), epoch, kind: EventKind::Lost { bytes, events } }
        }
    }
}
