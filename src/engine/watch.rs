//! Who is told when something happens at a console, besides the threads that wait in it.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock, Weak};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::callback::Subscriber;
use super::console::ConsoleShared;
use super::ready::{Events, ReadyList, SourceKey, Wake};
use crate::error::{Error, Result};
use crate::sync::Mutex;

/// An eventfd as a wake. Its owner may be gone.
#[derive(Debug)]
pub(crate) struct FdWake(Weak<EventFd>);

impl Wake for FdWake {
    fn signal(&self) {
        if let Some(fd) = self.0.upgrade() {
            // From 0 to 1 there is always room.
            let _ = fd.write(1);
        }
    }

    fn clear(&self) {
        if let Some(fd) = self.0.upgrade() {
            // It fails only when somebody else has read it, against what is documented.
            let _ = fd.read();
        }
    }
}

/// A ready list with a descriptor.
pub(crate) type FdList = ReadyList<FdWake>;

/// A ready list, and the descriptor that is readable while something is in it.
pub(crate) fn fd_list() -> Result<(Arc<FdList>, Arc<EventFd>)> {
    let fd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
        .map_err(|error| Error::io("cannot make an eventfd", &error.into()))?;
    let fd = Arc::new(fd);
    Ok((Arc::new(ReadyList::new(FdWake(Arc::downgrade(&fd)))), fd))
}

/// One who is told. Everything but `settle` runs under the console's lock.
#[derive(Debug)]
pub(crate) struct Watch {
    /// What it is told of.
    interest: Events,
    /// Whether it is readable as long as a read would not block, or is told once.
    level: bool,
    /// Where its reader is, for a reader's.
    spot: Spot,
    whom: Whom,
}

/// How far a reader has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Offset of its next byte.
    pub offset: u64,
    /// Number of its next event, for one that reads events too.
    pub event: Option<u64>,
}

/// A [`Progress`] that is changed under the console's lock.
#[derive(Debug)]
struct Spot {
    offset: AtomicU64,
    event: AtomicU64,
}

/// There are not so many events.
const NO_EVENTS: u64 = u64::MAX;

impl Spot {
    fn new(offset: u64) -> Self {
        Spot { offset: AtomicU64::new(offset), event: AtomicU64::new(NO_EVENTS) }
    }

    fn get(&self) -> Progress {
        let event = Some(self.event.load(Relaxed)).filter(|event| *event != NO_EVENTS);
        Progress { offset: self.offset.load(Relaxed), event }
    }

    fn set(&self, progress: Progress) {
        self.offset.store(progress.offset, Relaxed);
        self.event.store(progress.event.unwrap_or(NO_EVENTS), Relaxed);
    }
}

impl Default for Spot {
    fn default() -> Self {
        Spot::new(0)
    }
}

/// To whom a watch tells it.
#[derive(Debug)]
pub(crate) enum Whom {
    /// A source of a list.
    List(Arc<FdList>, SourceKey),
    /// A callback.
    Subscriber(Arc<Subscriber>),
}

impl Watch {
    /// Tells a queue.
    pub fn of_queue(list: Arc<FdList>, source: SourceKey, interest: Events) -> Arc<Self> {
        let whom = Whom::List(list, source);
        Arc::new(Watch { interest, level: false, spot: Spot::default(), whom })
    }

    /// Keeps a descriptor readable as long as a reader has something.
    fn of_fd(list: Arc<FdList>, source: SourceKey) -> Arc<Self> {
        let whom = Whom::List(list, source);
        let interest = Events::READABLE;
        Arc::new(Watch { interest, level: true, spot: Spot::default(), whom })
    }

    /// Tells a callback.
    pub fn of_subscriber(subscriber: Arc<Subscriber>) -> Arc<Self> {
        let interest = Events::READABLE | Events::STATE;
        let whom = Whom::Subscriber(subscriber);
        Arc::new(Watch { interest, level: false, spot: Spot::default(), whom })
    }

    /// Whether this is the watch of a list for what has `interest`.
    pub fn is_of(&self, list: &Arc<FdList>, interest: Events) -> bool {
        matches!(&self.whom, Whom::List(mine, _) if Arc::ptr_eq(mine, list))
            && self.interest == interest
    }

    /// Whether it is a console's own in a queue, and not one of its readers' or a callback's.
    pub fn is_of_console(&self) -> bool {
        matches!(self.whom, Whom::List(..)) && !self.interest.contains(Events::READABLE)
    }

    /// Whether whoever it told is gone.
    fn is_over(&self) -> bool {
        matches!(&self.whom, Whom::List(list, _) if list.is_closed())
    }

    pub fn mark(&self, events: Events) {
        let events = events.and(self.interest);
        match &self.whom {
            _ if events.is_empty() => {}
            Whom::List(list, source) => list.mark(*source, events),
            Whom::Subscriber(subscriber) => subscriber.wake(),
        }
    }

    pub fn unmark(&self, events: Events) {
        let events = events.and(self.interest);
        if let Whom::List(list, source) = &self.whom
            && !events.is_empty()
        {
            list.unmark(*source, events);
        }
    }

    /// A reader's place; anything for what is not a reader's.
    pub fn progress(&self) -> Progress {
        self.spot.get()
    }

    /// Whether events are something to read for whom it tells.
    pub fn wants_events(&self) -> bool {
        matches!(self.whom, Whom::Subscriber(_)) || self.spot.get().event.is_some()
    }

    /// Its reader has come so far. `more` says whether there is more than the reader was told
    /// of, `blocks` whether another read would block.
    fn moved(&self, progress: Progress, more: bool, blocks: bool) {
        self.spot.set(progress);
        if if self.level { !blocks } else { more } {
            self.mark(Events::READABLE);
        } else {
            self.unmark(Events::READABLE);
        }
    }

    /// Ends it. To be settled.
    pub fn release(&self) {
        if let Whom::List(list, source) = &self.whom {
            list.release(*source, self.interest);
        }
    }

    /// Has it wake whom it has to. Not to be called with a lock held.
    pub fn settle(&self) {
        match &self.whom {
            Whom::List(list, _) => list.settle(),
            Whom::Subscriber(subscriber) => subscriber.settle(),
        }
    }
}

/// All who are told of something: cheap to copy, so that they can be settled without a lock.
#[derive(Debug, Clone, Default)]
#[must_use]
pub(crate) struct Watches(Option<Arc<[Arc<Watch>]>>);

impl Watches {
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Watch>> {
        self.0.iter().flat_map(|watches| watches.iter())
    }

    /// Adds one; those whose list is closed go.
    pub fn add(&mut self, watch: &Arc<Watch>) {
        let kept = self.iter().filter(|watch| !watch.is_over()).chain([watch]);
        self.0 = Some(kept.cloned().collect());
    }

    /// Takes one out; says whether it was there.
    pub fn remove(&mut self, watch: &Arc<Watch>) -> bool {
        let is_it = |other: &&Arc<Watch>| Arc::ptr_eq(other, watch);
        if !self.iter().any(|other| is_it(&other)) {
            return false;
        }
        let kept: Vec<_> = self.iter().filter(|other| !is_it(other)).cloned().collect();
        self.0 = (!kept.is_empty()).then(|| kept.into());
        true
    }

    pub fn settle(&self) {
        self.iter().for_each(|watch| watch.settle());
    }
}

/// What is known of a reader to those who watch for it.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// How far it has read.
    spot: Spot,
    /// Taken under the console's lock.
    watches: Mutex<Watches>,
    fd: OnceLock<Arc<EventFd>>,
}

impl Place {
    pub fn new(offset: u64) -> Arc<Self> {
        Arc::new(Place { spot: Spot::new(offset), ..Place::default() })
    }

    /// The reader has read so far; see [`Watch::moved`]. Gives whom to settle.
    pub fn moved(&self, progress: Progress, more: bool, blocks: bool) -> Watches {
        self.spot.set(progress);
        let watches = self.watches.lock().clone();
        watches.iter().for_each(|watch| watch.moved(progress, more, blocks));
        watches
    }

    /// Adds a watch, under the console's lock.
    pub fn add(&self, watch: &Arc<Watch>) {
        watch.spot.set(self.spot.get());
        self.watches.lock().add(watch);
    }

    pub fn remove(&self, watch: &Arc<Watch>) {
        self.watches.lock().remove(watch);
    }

    /// The watches of this reader, as they are now.
    pub fn watches(&self) -> Watches {
        self.watches.lock().clone()
    }

    /// The reader is gone: ends what watches it. `console` is the reader's.
    pub fn leave(&self, console: &ConsoleShared) {
        for watch in self.watches().iter() {
            console.unwatch(watch, Some(self));
        }
    }

    /// The reader's own descriptor, made when it is first asked for. `console` is the reader's.
    pub fn fd(&self, console: &ConsoleShared) -> Result<&EventFd> {
        if let Some(fd) = self.fd.get() {
            return Ok(fd);
        }
        let (list, fd) = fd_list()?;
        let source = list.add(0)?;
        let mut mine = false;
        let fd = self.fd.get_or_init(|| {
            mine = true;
            fd
        });
        // Of two threads that come at once, one has its list dropped again.
        if mine {
            console.watch(&Watch::of_fd(list, source), Some(self), |_| false)?;
        }
        Ok(fd)
    }
}
