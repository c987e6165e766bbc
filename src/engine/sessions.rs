//! What supervisors ask of the shard: addresses, turns to log in, sockets; and what they report.

use std::time::Instant;

use rand::TryRng;
use rand::rngs::SysRng;

use super::calls::Command;
use super::resolve::literal;
use super::shard::Shard;
use super::slots::BmcKey;
use crate::error::{Error, ErrorKind, Result};
use crate::supervisor::Event;

impl Shard {
    pub(super) fn on_event(&mut self, now: Instant, bmc: BmcKey, event: Event) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        match event {
            Event::Resolve { lookup } => self.resolve(now, bmc, lookup),
            Event::WantsTurn => {
                // It keeps the place it may have.
                if !std::mem::replace(&mut slot.in_line, true) {
                    self.line.push(bmc);
                }
            }
            Event::LoginOver => self.end_of_login(bmc),
            Event::Released(address) => {
                if let Some(at) = slot.routes.iter().position(|(to, _)| *to == address) {
                    let (to, socket) = slot.routes.swap_remove(at);
                    self.sockets.give_back(self.poll.registry(), socket, to);
                }
            }
            Event::Established { cipher_suite, privilege_level, peer } => {
                let name = &slot.name;
                log::info!(target: "bmclink::session", "{name}: logged in as {privilege_level}");
                let mut status = slot.shared.status.lock();
                status.connected = true;
                status.cipher_suite = cipher_suite;
                status.privilege_level = Some(privilege_level);
                status.address = Some(peer);
                status.logins += 1;
                status.last_error = None;
                drop(status);
                slot.stats.logins += 1;
                self.stats.logins += 1;
                self.stats.sessions += 1;
            }
            Event::Ended { error, was_up, asked_for } => {
                self.on_ended(bmc, error, was_up, asked_for);
            }
            Event::Done { token, result } => slot.done(token, result),
            Event::Reply { token, result } => slot.reply(token, result),
            Event::Console { id, change } => {
                let was_active = slot.active.is_some();
                slot.on_console(id, change);
                self.stats.consoles += usize::from(slot.active.is_some());
                self.stats.consoles -= usize::from(was_active);
            }
            Event::Gone => {
                self.end_of_login(bmc);
                self.bmcs.remove(bmc);
            }
        }
    }

    fn on_ended(&mut self, bmc: BmcKey, error: Error, was_up: bool, asked_for: bool) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        let (name, what) = (&slot.name, if was_up { "session" } else { "login" });
        log::info!(target: "bmclink::session", "{name}: {what} ended: {error}");
        if !asked_for {
            if was_up {
                slot.stats.sessions_lost += 1;
                self.stats.sessions_lost += 1;
            } else {
                slot.stats.logins_failed += 1;
                self.stats.logins_failed += 1;
            }
        }
        let mut status = slot.shared.status.lock();
        status.last_error = Some(error);
        let was_connected = std::mem::take(&mut status.connected);
        self.stats.sessions -= usize::from(was_connected);
    }

    // Addresses

    fn resolve(&mut self, now: Instant, bmc: BmcKey, lookup: u64) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        let target = slot.supervisor.target();
        let (host, port) = (target.host.clone(), target.port);
        if let Some(address) = literal(&host, port) {
            return slot.supervisor.handle_addresses(now, lookup, Ok(vec![address]));
        }
        let inbox = self.inbox.clone();
        let answer = move |addresses| {
            // The shard may be gone by now: then nobody waits.
            let _ = inbox.send(Command::Resolved { bmc, lookup, addresses }, None);
        };
        if let Err(error) = self.resolvers.resolve(&host, port, Box::new(answer)) {
            slot.supervisor.handle_addresses(now, lookup, Err(error));
        }
    }

    pub(super) fn on_resolved(
        &mut self,
        now: Instant,
        bmc: BmcKey,
        lookup: u64,
        addresses: Result<Vec<std::net::SocketAddr>>,
    ) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        let name = &slot.name;
        match &addresses {
            Ok(addresses) => log::debug!(target: "bmclink::dns", "{name}: {addresses:?}"),
            Err(error) => log::info!(target: "bmclink::dns", "{name}: {error}"),
        }
        slot.supervisor.handle_addresses(now, lookup, addresses);
        self.drain(now, bmc);
    }

    // Turns

    /// Lets those log in whose turn it is, at most `max` of them.
    pub(super) fn admit(&mut self, now: Instant, max: usize) {
        while let Some(bmc) = self.line.expire(now) {
            self.end_of_login(bmc);
        }
        let mut begun = 0;
        while let Some(bmc) = self.line.first() {
            let slot = self.bmcs.get_mut(bmc);
            let waits = slot.is_some_and(|slot| slot.supervisor.next_peer().is_some());
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
                self.begin_login(now, bmc);
            }
        }
    }

    fn begin_login(&mut self, now: Instant, bmc: BmcKey) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        let Some(peer) = slot.supervisor.next_peer() else { return };
        let ready = slot.supervisor.target().session.check().map_err(Error::from).and_then(|()| {
            let mut seed = [0; 32];
            let random = SysRng.try_fill_bytes(&mut seed);
            random.map_err(|error| Error::with_text(ErrorKind::Io, error.to_string()))?;
            if slot.route(peer).is_none() {
                let socket = self.sockets.claim(self.poll.registry(), bmc, peer)?;
                slot.routes.reserve_exact(1);
                slot.routes.push((peer, socket));
            }
            Ok(seed)
        });
        log::debug!(target: "bmclink::session", "{}: logging in at {peer}", slot.name);
        match ready {
            Ok(seed) => slot.supervisor.begin_login(now, seed),
            Err(error) => {
                slot.supervisor.fail(now, &error);
                self.end_of_login(bmc);
            }
        }
        self.drain(now, bmc);
    }

    /// A login does not count as running any more.
    pub(super) fn end_of_login(&mut self, bmc: BmcKey) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        if std::mem::take(&mut slot.logging_in) {
            self.line.end(&self.admission);
        }
    }
}
