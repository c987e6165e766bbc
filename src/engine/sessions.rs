//! Getting a session for a BMC, and what follows its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rand::TryRng;
use rand::rngs::SysRng;

use super::calls::Command;
use super::resolve::literal;
use super::shard::Shard;
use super::slots::{BmcKey, Live, Phase};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Cause, Failure, Session, Stage};

impl Shard {
    /// Somebody needs a session: start one unless one is there or on its way.
    pub(super) fn ensure_session(&mut self, now: Instant, bmc: BmcKey) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        if self.stopping.is_some() {
            return slot.fail_waiters(&Error::new(ErrorKind::ShutDown));
        }
        match slot.phase {
            Phase::Session => self.drain(now, bmc),
            Phase::Resolving | Phase::Waiting => {}
            Phase::Idle => self.resolve(bmc),
        }
    }

    fn resolve(&mut self, bmc: BmcKey) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        let config = &slot.shared.config;
        slot.icmp = None;
        if let Some(address) = literal(&config.host, config.port) {
            slot.addresses = vec![address];
            return self.wait_for_turn(bmc);
        }
        slot.phase = Phase::Resolving;
        slot.lookup += 1;
        let (lookup, inbox) = (slot.lookup, self.inbox.clone());
        let answer = move |addresses| {
            // The shard may be gone by now: then nobody waits.
            let _ = inbox.send(Command::Resolved { bmc, lookup, addresses }, None);
        };
        if let Err(error) = self.resolvers.resolve(&config.host, config.port, Box::new(answer)) {
            slot.phase = Phase::Idle;
            slot.fail_waiters(&error);
        }
    }

    pub(super) fn on_resolved(
        &mut self,
        bmc: BmcKey,
        lookup: u64,
        addresses: Result<Vec<SocketAddr>>,
    ) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        if slot.phase != Phase::Resolving || slot.lookup != lookup {
            return;
        }
        slot.phase = Phase::Idle;
        let name = slot.shared.name();
        match &addresses {
            Ok(addresses) => log::debug!(target: "bmclink::dns", "{name}: {addresses:?}"),
            Err(error) => log::info!(target: "bmclink::dns", "{name}: {error}"),
        }
        match addresses {
            Ok(addresses) => {
                slot.addresses = addresses;
                self.wait_for_turn(bmc);
            }
            Err(error) => slot.fail_waiters(&error),
        }
    }

    /// Puts a BMC into the line of those who want to log in. It keeps the place it may have.
    fn wait_for_turn(&mut self, bmc: BmcKey) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        slot.phase = Phase::Waiting;
        if !std::mem::replace(&mut slot.in_line, true) {
            self.line.push(bmc);
        }
    }

    /// Lets those log in whose turn it is, at most `max` of them.
    pub(super) fn admit(&mut self, now: Instant, max: usize) {
        while let Some(bmc) = self.line.expire(now) {
            self.end_of_login(bmc);
        }
        let mut begun = 0;
        while let Some(bmc) = self.line.first() {
            let waits = self.bmcs.get(bmc).is_some_and(|slot| slot.phase == Phase::Waiting);
            if !waits {
                self.line.skip();
            } else if begun == max || !self.line.begin(&self.admission, now) {
                return;
            }
            if let Some(slot) = self.bmcs.get_mut(bmc) {
                slot.in_line = false;
                slot.logging_in = waits;
            }
            if waits {
                begun += 1;
                self.log_in(now, bmc);
            }
        }
    }

    /// A login does not count as running any more.
    pub(super) fn end_of_login(&mut self, bmc: BmcKey) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        if std::mem::take(&mut slot.logging_in) {
            self.line.end(&self.admission);
        }
    }

    /// Starts a login at the first of the addresses left.
    fn log_in(&mut self, now: Instant, bmc: BmcKey) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        let Some(&peer) = slot.addresses.first() else {
            let error = Error::with_text(ErrorKind::NameNotFound, "the name has no address");
            return self.forget_session(bmc, &error);
        };
        let config = slot.shared.config.session_config();
        let started = config.check().map_err(Error::from).and_then(|()| {
            let mut seed = [0; 32];
            let random = SysRng.try_fill_bytes(&mut seed);
            random.map_err(|error| Error::with_text(ErrorKind::Io, error.to_string()))?;
            let socket = self.sockets.claim(self.poll.registry(), bmc, peer)?;
            Ok((socket, seed))
        });
        let (socket, seed) = match started {
            Ok(started) => started,
            Err(error) => return self.forget_session(bmc, &error),
        };
        log::debug!(target: "bmclink::session", "{}: logging in at {peer}", slot.shared.name());
        let mut session = Session::new(Arc::new(config), slot.learned, seed, now);
        for request in slot.queued.drain(..) {
            session.submit(request);
        }
        slot.shared.status.lock().address = Some(peer);
        slot.phase = Phase::Session;
        slot.live = Some(Live { session: Box::new(session), socket, peer });
        self.drain(now, bmc);
    }

    pub(super) fn on_closed(&mut self, bmc: BmcKey, failure: Failure) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        let error = slot.error_of(failure);
        log::info!(target: "bmclink::session", "{}: session ended: {error}", slot.shared.name());
        let was_up = slot.shared.status.lock().connected;
        let asked_for = failure.cause == Cause::Closed;
        if was_up && !asked_for {
            slot.stats.sessions_lost += 1;
            self.stats.sessions_lost += 1;
        } else if !was_up && !asked_for {
            slot.stats.logins_failed += 1;
            self.stats.logins_failed += 1;
        }
        let silent = failure.cause == Cause::TimedOut && failure.stage == Stage::Capabilities;
        // A name's other addresses are tried when this one is silent.
        if !was_up && silent && slot.addresses.len() > 1 && !slot.released {
            slot.addresses.remove(0);
            self.drop_session(bmc);
            return self.wait_for_turn(bmc);
        }
        let closed_for_later = failure.cause == Cause::Closed && slot.is_wanted();
        if closed_for_later && !slot.released {
            // It was closed because nobody wanted it, and somebody does again.
            self.drop_session(bmc);
            return self.resolve(bmc);
        }
        self.forget_session(bmc, &error);
    }

    /// Takes a session that is over out of its slot.
    fn drop_session(&mut self, bmc: BmcKey) {
        self.end_of_login(bmc);
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        slot.phase = Phase::Idle;
        if let Some(live) = slot.live.take() {
            self.sockets.give_back(self.poll.registry(), live.socket, live.peer);
            slot.learned = live.session.learned();
            slot.stats.counters.add(&live.session.counters());
            let was_up = std::mem::take(&mut slot.shared.status.lock().connected);
            self.stats.sessions -= usize::from(was_up);
            self.stats.consoles -= usize::from(std::mem::take(&mut slot.sol_is_up));
        }
    }

    /// The session is over, and so is everybody's wait for it.
    pub(super) fn forget_session(&mut self, bmc: BmcKey, error: &Error) {
        self.drop_session(bmc);
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        slot.shared.status.lock().last_error = Some(error.clone());
        slot.fail_waiters(error);
        while let Some(mut console) = slot.console.take() {
            console.ended(error);
            console.shared.set_unconnected(error.clone());
            slot.remove_console();
        }
        if slot.released {
            self.bmcs.remove(bmc);
        }
    }
}
