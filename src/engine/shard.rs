//! The loop: one thread, one `mio::Poll`, its own sessions.
//!
//! One turn: wait; receive; fire deadlines; take commands; let logins begin; and after each input
//! drain the session it went to. What is to be sent is collected and goes out together.
//!
//! That order is the order of what matters when there is more to do than time. What came in is
//! taken and acknowledged first: a BMC repeats, and gives up, what is not. Keepalives and
//! retransmissions follow. What users want sent, and new logins, come last, and of these little
//! per turn while datagrams wait. Everything has a share per turn, so that nothing waits for ever.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use slotmap::SlotMap;

use super::admission::{Admission, Line};
use super::calls::Command;
use super::console::Input;
use super::deadline::Deadlines;
use super::inbox::{Inbox, Outlet};
use super::resolve::Resolvers;
use super::slots::{BmcKey, Slot};
use super::socket::ReceiveBatch;
use super::sockets::{Sockets, WAKER};
use super::stats::ShardStats;
use crate::config::EngineConfig;
use crate::error::{Error, ErrorKind};
use crate::supervisor::{Icmp, Output, Supervisor};

/// Commands taken and logins begun before the sockets are looked at again; and while datagrams
/// were left over.
const COMMANDS_PER_TURN: usize = 1024;
const COMMANDS_PER_TURN_BEHIND: usize = 64;
const LOGINS_PER_TURN: usize = 256;
const LOGINS_PER_TURN_BEHIND: usize = 4;
/// Batches taken from one socket per turn: a flood must not keep commands and timers waiting.
const BATCHES_PER_TURN: usize = 4;
/// Deadlines taken per turn.
const DEADLINES_PER_TURN: usize = 1024;
/// ICMP errors taken from one socket per turn.
const ICMP_ERRORS_PER_TURN: usize = 64;

pub(super) struct Shard {
    pub(super) poll: Poll,
    outlet: Outlet<Command>,
    pub(super) inbox: Inbox<Command>,
    pub(super) sockets: Sockets,
    batch: ReceiveBatch,
    pub(super) bmcs: SlotMap<BmcKey, Box<Slot>>,
    deadlines: Deadlines<BmcKey>,
    pub(super) resolvers: Arc<Resolvers>,
    pub(super) admission: Arc<Admission>,
    pub(super) line: Line,
    pub(super) stats: ShardStats,
    /// Scratch of one drain: the datagram or characters just given, and a turn's characters.
    out: Vec<u8>,
    characters: Vec<u8>,
    input: Vec<u8>,
    pub(super) stopping: Option<Instant>,
}

/// The one clock the shard reads, once per turn.
fn clock() -> Instant {
    Instant::now()
}

impl Shard {
    pub fn new(
        poll: Poll,
        outlet: Outlet<Command>,
        inbox: Inbox<Command>,
        number: usize,
        config: EngineConfig,
        resolvers: Arc<Resolvers>,
        admission: Arc<Admission>,
    ) -> Self {
        Shard {
            poll,
            outlet,
            inbox,
            sockets: Sockets::new(config),
            batch: ReceiveBatch::new(),
            bmcs: SlotMap::with_key(),
            deadlines: Deadlines::new(),
            resolvers,
            admission,
            line: Line::new(number),
            stats: ShardStats::default(),
            out: Vec::new(),
            characters: Vec::new(),
            input: Vec::new(),
            stopping: None,
        }
    }

    /// Runs until it is told to stop and every session is closed, or the time for that is over.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            let now = clock();
            if self.stopping.is_some_and(|until| now >= until || self.bmcs.is_empty()) {
                return;
            }
            let timeout = self.timeout(now);
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                log::error!(target: "bmclink::engine", "poll failed: {error}");
                return;
            }
            self.stats.turns += 1;
            self.stats.turns_behind += u64::from(self.sockets.readable() > 0);
            for event in &events {
                if event.token() != WAKER {
                    self.sockets.set_readable(event.token(), event.is_error());
                }
            }
            self.turn(clock());
        }
    }

    fn turn(&mut self, now: Instant) {
        self.receive(now);
        self.sockets.flush();
        let behind = self.sockets.readable() > 0;
        self.fire_deadlines(now);
        self.outlet.rearm();
        self.take_commands(now, if behind { COMMANDS_PER_TURN_BEHIND } else { COMMANDS_PER_TURN });
        self.admit(now, if behind { LOGINS_PER_TURN_BEHIND } else { LOGINS_PER_TURN });
        self.sockets.flush();
    }

    fn timeout(&self, now: Instant) -> Option<Duration> {
        if self.sockets.readable() > 0 || self.outlet.has_more() || self.line.is_due() {
            return Some(Duration::ZERO);
        }
        let next = self.deadlines.next().into_iter().chain(self.stopping).chain(self.line.next());
        next.min().map(|at| at.saturating_duration_since(now))
    }

    // Input

    fn take_commands(&mut self, now: Instant, max: usize) {
        for _ in 0..max {
            match self.outlet.take() {
                Some(command) => self.on_command(now, command),
                None => return,
            }
            self.stats.calls += 1;
        }
    }

    fn take_icmp_errors(&mut self, now: Instant, socket: usize) {
        for _ in 0..ICMP_ERRORS_PER_TURN {
            let Some((bmc, error)) = self.sockets.take_icmp_error(socket) else { return };
            let Some(slot) = self.bmcs.get_mut(bmc) else { continue };
            log::debug!(target: "bmclink::net", "{}: {}", slot.name, error.text());
            slot.stats.icmp_errors += 1;
            self.stats.icmp_errors += 1;
            let icmp = Icmp { refused: error.is_refused(), text: error.text() };
            slot.supervisor.handle_icmp(now, error.to, icmp);
            self.drain(now, bmc);
        }
    }

    fn receive(&mut self, now: Instant) {
        for _ in 0..self.sockets.readable() {
            let Some(socket) = self.sockets.next_readable() else { return };
            self.take_icmp_errors(now, socket);
            let mut more = true;
            for _ in 0..BATCHES_PER_TURN {
                let received = self.sockets.receive(socket, &mut self.batch);
                for place in 0..received.count {
                    self.take_datagram(now, socket, place);
                }
                more = received.more;
                if !more {
                    break;
                }
            }
            if more {
                self.sockets.read_on(socket);
            }
        }
    }

    fn take_datagram(&mut self, now: Instant, socket: usize, place: usize) {
        let Some((from, datagram)) = self.batch.datagram(place) else { return };
        let Some(bmc) = self.sockets.peer(socket, from, datagram.len()) else {
            self.stats.strangers += 1;
            return;
        };
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        if !slot.takes_share(self.stats.turns) {
            self.stats.over_share += 1;
            return;
        }
        let supervisor = &mut slot.supervisor;
        match catch_unwind(AssertUnwindSafe(|| supervisor.handle_datagram(now, from, datagram))) {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => {
                log::trace!(target: "bmclink::net", "{}: dropped: {reason:?}", slot.name);
            }
            Err(_) => return self.on_panic(now, bmc),
        }
        self.drain(now, bmc);
    }

    fn fire_deadlines(&mut self, now: Instant) {
        for _ in 0..DEADLINES_PER_TURN {
            let Some((at, bmc)) = self.deadlines.pop(now) else { return };
            self.stats.deadlines += 1;
            let Some(slot) = self.bmcs.get_mut(bmc) else { continue };
            if !self.deadlines.fire(at, bmc, &mut slot.armed, now) {
                continue;
            }
            let supervisor = &mut slot.supervisor;
            if catch_unwind(AssertUnwindSafe(|| supervisor.handle_timeout(now))).is_err() {
                self.on_panic(now, bmc);
                continue;
            }
            self.drain(now, bmc);
        }
    }

    /// A panic inside one BMC's state ends what it had and nothing else. What the supervisor
    /// was at is unknown: another one takes its place.
    fn on_panic(&mut self, now: Instant, bmc: BmcKey) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        log::error!(target: "bmclink::engine", "{}: session panicked", slot.name);
        self.stats.panics += 1;
        let error = Error::new(ErrorKind::Internal);
        // What it had half given belongs to nobody else's console.
        self.characters.clear();
        self.stats.consoles -= usize::from(slot.active.take().is_some());
        for (to, socket) in std::mem::take(&mut slot.routes) {
            self.sockets.give_back(self.poll.registry(), socket, to);
        }
        let mut status = slot.shared.status.lock();
        status.last_error = Some(error.clone());
        let was_up = std::mem::take(&mut status.connected);
        drop(status);
        self.stats.sessions -= usize::from(was_up);
        let released = slot.supervisor.is_released();
        let target = slot.supervisor.target().clone();
        slot.stats.counters.add(&slot.supervisor.counters());
        let ids = slot.consoles.iter().map(|link| link.id);
        let attached: Vec<u64> = ids.filter(|id| slot.supervisor.is_attached(*id)).collect();
        *slot.supervisor = Supervisor::new(target, slot.next_token);
        slot.fail_all(&error);
        self.end_of_login(bmc);
        if released || self.stopping.is_some() {
            self.bmcs.remove(bmc);
            return;
        }
        self.revive_consoles(now, bmc, &attached, &error);
    }

    /// Consoles that are kept stay so, and are tried again later.
    fn revive_consoles(&mut self, now: Instant, bmc: BmcKey, attached: &[u64], error: &Error) {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return };
        let quirks = slot.shared.config.lock().quirks;
        for link in &slot.consoles {
            let settings = link.shared.settings(quirks);
            // The first one takes the place; there was no more than one.
            let _ = slot.supervisor.console_open(link.id, &settings);
            if attached.contains(&link.id) {
                slot.supervisor.console_attached(now, link.id, true);
            }
        }
        slot.supervisor.fail(now, error);
        self.drain(now, bmc);
    }

    // Output

    /// Takes everything a session has to give, after one input went into it.
    pub(super) fn drain(&mut self, now: Instant, bmc: BmcKey) {
        if catch_unwind(AssertUnwindSafe(|| self.drain_session(now, bmc))).is_err() {
            self.on_panic(now, bmc);
        }
    }

    fn drain_session(&mut self, now: Instant, bmc: BmcKey) {
        let mut out = std::mem::take(&mut self.out);
        while let Some(slot) = self.bmcs.get_mut(bmc) {
            match slot.supervisor.poll_output(now, &mut out) {
                Output::Transmit(to) => {
                    if let Some(socket) = slot.route(to) {
                        self.sockets.send(socket, to, &out);
                    }
                }
                Output::SolCharacters => self.characters.extend_from_slice(&out),
                Output::Event(event) => {
                    self.push_characters(now, bmc);
                    self.on_event(now, bmc, event);
                }
                Output::Timeout(deadline) => {
                    self.push_characters(now, bmc);
                    if self.feed(now, bmc) {
                        continue;
                    }
                    if let Some(slot) = self.bmcs.get_mut(bmc) {
                        self.deadlines.arm(bmc, &mut slot.armed, deadline);
                    }
                    break;
                }
            }
        }
        self.out = out;
    }

    /// Hands a turn's characters to the console: one lock and one wake for all of them.
    fn push_characters(&mut self, now: Instant, bmc: BmcKey) {
        if self.characters.is_empty() {
            return;
        }
        if let Some(console) = self.bmcs.get_mut(bmc).and_then(|slot| slot.active_console()) {
            console.shared.push(now, &self.characters);
        }
        self.characters.clear();
    }

    /// Moves input from the console into the session, as far as that has room.
    fn feed(&mut self, now: Instant, bmc: BmcKey) -> bool {
        let Some(slot) = self.bmcs.get_mut(bmc) else { return false };
        let Some(shared) = slot.active_console().map(|link| link.shared.clone()) else {
            return false;
        };
        let mut moved = false;
        loop {
            let Some(session) = slot.supervisor.session().filter(|s| s.sol_is_active()) else {
                return moved;
            };
            self.input.clear();
            match shared.take_input(session.sol_space(), &mut self.input) {
                Input::Bytes => {
                    let session = slot.supervisor.session_mut();
                    let taken = session.map_or(0, |session| session.sol_write(now, &self.input));
                    debug_assert_eq!(taken, self.input.len());
                }
                Input::Break(done) => {
                    slot.next_token += 1;
                    let token = slot.next_token;
                    if let Some(session) = slot.supervisor.session_mut() {
                        session.sol_break(token);
                    }
                    if let Some(link) = slot.active_console() {
                        link.breaks.insert(token, done);
                    }
                }
                Input::Nothing => {
                    shared.set_in_session(session.sol_pending());
                    return moved;
                }
            }
            moved = true;
        }
    }

    pub(super) fn stats(&self) -> ShardStats {
        let mut stats = self.stats;
        stats.bmcs = self.bmcs.len();
        (stats.logins_waiting, stats.logins_running) = self.line.len();
        stats.calls_waiting = self.outlet.len();
        self.sockets.count_into(&mut stats);
        stats
    }
}
