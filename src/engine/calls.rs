//! What other threads ask of a shard, and what it does about each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::console::{ConsoleShared, ConsoleState};
use super::shard::Shard;
use super::slots::{BmcKey, BmcShared, Phase, Slot};
use super::stats::{BmcStats, ShardStats};
use super::wait::Completer;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Reply, Request};

/// How long the shard may take to close its sessions when the engine is dropped.
const SHUTDOWN_TIME: Duration = Duration::from_millis(2500);

/// What other threads tell a shard.
pub(super) enum Command {
    Add { shared: Arc<BmcShared>, done: Completer<BmcKey> },
    Release { bmc: BmcKey },
    Connect { bmc: BmcKey, id: u64, done: Completer<()> },
    GiveUp { bmc: BmcKey, id: u64 },
    Request { bmc: BmcKey, request: Request, done: Completer<Reply> },
    Cancel { bmc: BmcKey, token: u64 },
    BmcStats { bmc: BmcKey, done: Completer<BmcStats> },
    Stats { done: Completer<ShardStats> },
    ConsoleConnect { bmc: BmcKey, id: u64, console: Arc<ConsoleShared>, done: Completer<()> },
    ConsoleInput { bmc: BmcKey },
    ConsoleClose { bmc: BmcKey, console: Arc<ConsoleShared>, done: Completer<()> },
    Resolved { bmc: BmcKey, lookup: u64, addresses: Result<Vec<SocketAddr>> },
    Stop,
}

impl Shard {
    pub(super) fn on_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Add { shared, done } => {
                done.complete(Ok(self.bmcs.insert(Slot::new(shared))));
            }
            Command::Release { bmc } => self.on_release(now, bmc),
            Command::Connect { bmc, id, done } => self.on_connect(now, bmc, id, done),
            Command::GiveUp { bmc, id } => self.on_give_up(now, bmc, id),
            Command::Request { bmc, request, done } => self.on_request(now, bmc, request, done),
            Command::Cancel { bmc, token } => self.on_cancel(now, bmc, token),
            Command::BmcStats { bmc, done } => {
                if let Some(slot) = self.bmcs.get(bmc) {
                    done.complete(Ok(slot.stats(now)));
                }
            }
            Command::Stats { done } => done.complete(Ok(self.stats())),
            Command::ConsoleConnect { bmc, id, console, done } => {
                self.on_console_connect(now, bmc, id, console, done);
            }
            Command::ConsoleInput { bmc } => self.drain(now, bmc),
            Command::ConsoleClose { bmc, console, done } => {
                self.on_console_close(now, bmc, &console, done);
            }
            Command::Resolved { bmc, lookup, addresses } => {
                self.on_resolved(bmc, lookup, addresses);
            }
            Command::Stop => self.on_stop(now),
        }
    }

    fn on_stop(&mut self, now: Instant) {
        self.stopping = Some(now + SHUTDOWN_TIME);
        let all: Vec<BmcKey> = self.bmcs.keys().collect();
        for bmc in all {
            let Some(slot) = self.bmcs.get_mut(bmc) else { continue };
            slot.shut_down = true;
            slot.fail_waiters(&Error::new(ErrorKind::ShutDown));
            if let Some(console) = &slot.console {
                console.shared.set_unconnected(Error::new(ErrorKind::ShutDown));
            }
            self.on_release(now, bmc);
        }
    }

    fn on_release(&mut self, now: Instant, bmc: BmcKey) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        slot.released = true;
        match &mut slot.live {
            Some(live) => {
                live.session.close(now);
                self.drain(now, bmc);
            }
            None => {
                self.bmcs.remove(bmc);
            }
        }
    }

    fn on_connect(&mut self, now: Instant, bmc: BmcKey, id: u64, done: Completer<()>) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        if slot.live.as_ref().is_some_and(|live| live.session.is_active()) {
            return done.complete(Ok(()));
        }
        slot.waiters.push((id, done));
        self.ensure_session(now, bmc);
    }

    /// A thread has waited long enough: tell it what is known, and stop trying when nobody
    /// else waits.
    fn on_give_up(&mut self, now: Instant, bmc: BmcKey, id: u64) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        let error = slot.why_not_yet();
        let mut found = Vec::new();
        take_waiter(&mut slot.waiters, id, &mut found);
        if let Some(console) = &mut slot.next_console {
            take_waiter(&mut console.waiters, id, &mut found);
            if console.waiters.is_empty() {
                console.shared.set_unconnected(error.clone());
                slot.next_console = None;
            }
        }
        if let Some(console) = &mut slot.console {
            take_waiter(&mut console.waiters, id, &mut found);
            if console.wanted && console.waiters.is_empty() {
                console.wanted = false;
                console.shared.set_unconnected(error.clone());
                if let Some(live) = &mut slot.live {
                    live.session.sol_close();
                }
            }
        }
        for waiter in found {
            waiter.complete(Err(error.clone()));
        }
        let logging_in = slot.live.as_ref().is_some_and(|live| !live.session.is_active());
        if logging_in && !slot.is_wanted() {
            if let Some(live) = &mut slot.live {
                live.session.close(now);
            }
        } else if matches!(slot.phase, Phase::Resolving | Phase::Waiting) && !slot.is_wanted() {
            slot.phase = Phase::Idle;
        }
        self.drain(now, bmc);
    }

    fn on_request(
        &mut self,
        now: Instant,
        bmc: BmcKey,
        mut request: Request,
        done: Completer<Reply>,
    ) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        request.deadline = request.deadline.map(|deadline| deadline.max(now));
        slot.pending.insert(request.token, done);
        match &mut slot.live {
            Some(live) if !live.session.is_closing() => {
                live.session.submit(request);
                self.drain(now, bmc);
            }
            _ => {
                slot.queued.push(request);
                self.ensure_session(now, bmc);
            }
        }
    }

    fn on_cancel(&mut self, now: Instant, bmc: BmcKey, token: u64) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        slot.pending.remove(&token);
        slot.queued.retain(|request| request.token != token);
        if let Some(live) = &mut slot.live {
            live.session.cancel(token);
            if !live.session.is_active() && !live.session.is_closing() && !slot.is_wanted() {
                self.on_give_up(now, bmc, u64::MAX);
            }
        }
    }

    fn on_console_connect(
        &mut self,
        now: Instant,
        bmc: BmcKey,
        id: u64,
        console: Arc<ConsoleShared>,
        done: Completer<()>,
    ) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        let Some(link) = slot.link_of(&console) else {
            let text = "this BMC has another console; close that one first";
            return done.complete(Err(Error::with_text(ErrorKind::Busy, text)));
        };
        if console.state() == ConsoleState::Connected {
            return done.complete(Ok(()));
        }
        link.waiters.push((id, done));
        link.wanted = true;
        console.set_connecting();
        self.ensure_session(now, bmc);
    }

    fn on_console_close(
        &mut self,
        now: Instant,
        bmc: BmcKey,
        console: &Arc<ConsoleShared>,
        done: Completer<()>,
    ) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        if slot.next_console.as_ref().is_some_and(|link| Arc::ptr_eq(&link.shared, console)) {
            slot.next_console = None;
        }
        let Some(link) = slot.console.as_mut().filter(|link| Arc::ptr_eq(&link.shared, console))
        else {
            return done.complete(Ok(()));
        };
        link.wanted = false;
        link.finish(Err(Error::new(ErrorKind::Closed)));
        match &mut slot.live {
            Some(live) if live.session.sol_is_open() => {
                link.closers.push(done);
                live.session.sol_close();
                self.drain(now, bmc);
            }
            _ => {
                slot.remove_console();
                done.complete(Ok(()));
                // A login that only this console wanted has no purpose any more.
                self.on_give_up(now, bmc, u64::MAX);
            }
        }
    }
}

fn take_waiter(waiters: &mut Vec<(u64, Completer<()>)>, id: u64, found: &mut Vec<Completer<()>>) {
    while let Some(at) = waiters.iter().position(|(waiter, _)| *waiter == id) {
        found.push(waiters.swap_remove(at).1);
    }
}
