//! What other threads ask of a shard, and what it does about each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::console::ConsoleShared;
use super::shard::Shard;
use super::slots::{BmcKey, BmcShared, Call, Slot};
use super::stats::{BmcStats, ShardStats};
use super::task::ReplyTo;
use super::wait::Completer;
use crate::error::{Error, ErrorKind, Result};
use crate::session::Request;

/// How long the shard may take to close its sessions when the engine is dropped.
const SHUTDOWN_TIME: Duration = Duration::from_millis(2500);

/// What other threads tell a shard. Tokens and console IDs are unique in the engine.
pub(super) enum Command {
    Add { shared: Arc<BmcShared>, chance: u64, done: Completer<BmcKey> },
    Release { bmc: BmcKey },
    Connect { bmc: BmcKey, token: u64, done: Completer<()> },
    GiveUp { bmc: BmcKey, token: u64 },
    Request { bmc: BmcKey, request: Request, done: ReplyTo },
    Cancel { bmc: BmcKey, token: u64 },
    Reconfigured { bmc: BmcKey },
    BmcStats { bmc: BmcKey, done: Completer<BmcStats> },
    Stats { done: Completer<ShardStats> },
    Console { bmc: BmcKey, id: u64, console: Arc<ConsoleShared>, call: ConsoleCall },
    ConsoleInput { bmc: BmcKey },
    Resolved { bmc: BmcKey, lookup: u64, addresses: Result<Vec<SocketAddr>> },
    Stop,
}

/// What is asked for a console.
pub(super) enum ConsoleCall {
    Open { done: Completer<()> },
    Connect { token: u64, done: Completer<()> },
    Attached(bool),
    Reconfigured,
    Close { token: u64, done: Completer<()> },
}

impl Shard {
    pub(super) fn on_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Add { shared, chance, done } => {
                done.complete(Ok(self.bmcs.insert(Box::new(Slot::new(shared, chance)))));
            }
            Command::Release { bmc } => self.with(now, bmc, |slot| slot.supervisor.release(now)),
            Command::Connect { bmc, token, done } => self.with(now, bmc, |slot| {
                slot.calls.insert(token, Call::Done(done));
                slot.supervisor.connect(token);
            }),
            Command::GiveUp { bmc, token } => {
                self.with(now, bmc, |slot| slot.supervisor.give_up(now, token));
            }
            Command::Request { bmc, request, done } => self.with(now, bmc, |slot| {
                slot.calls.insert(request.token, Call::Reply(done));
                slot.supervisor.submit(now, request);
            }),
            Command::Cancel { bmc, token } => self.with(now, bmc, |slot| {
                drop(slot.take_call(token));
                slot.supervisor.cancel(now, token);
            }),
            Command::Reconfigured { bmc } => self.with(now, bmc, |slot| {
                let config = slot.shared.config.lock().clone();
                slot.name = config.to_string();
                slot.supervisor.reconfigure(now, config.target());
            }),
            Command::BmcStats { bmc, done } => {
                if let Some(slot) = self.bmcs.get(bmc) {
                    done.complete(Ok(slot.stats(now)));
                }
            }
            Command::Stats { done } => done.complete(Ok(self.stats())),
            Command::Console { bmc, id, console, call } => {
                self.with(now, bmc, |slot| on_console_call(slot, now, id, &console, call));
            }
            Command::ConsoleInput { bmc } => self.drain(now, bmc),
            Command::Resolved { bmc, lookup, addresses } => {
                self.on_resolved(now, bmc, lookup, addresses);
            }
            Command::Stop => self.on_stop(now),
        }
    }

    /// Does something with a BMC, and what follows from it.
    fn with(&mut self, now: Instant, bmc: BmcKey, change: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.bmcs.get_mut(bmc) {
            change(slot);
            self.drain(now, bmc);
        }
    }

    fn on_stop(&mut self, now: Instant) {
        self.stopping = Some(now + SHUTDOWN_TIME);
        let all: Vec<BmcKey> = self.bmcs.keys().collect();
        for bmc in all {
            self.with(now, bmc, |slot| {
                slot.supervisor.shut_down(now);
                // Also those that were never connected: somebody may wait for that.
                for link in &slot.consoles {
                    link.shared.set_unconnected(Error::new(ErrorKind::ShutDown));
                }
            });
        }
    }
}

fn on_console_call(
    slot: &mut Slot,
    now: Instant,
    id: u64,
    console: &Arc<ConsoleShared>,
    call: ConsoleCall,
) {
    let settings = console.settings(slot.shared.config.lock().quirks);
    match call {
        ConsoleCall::Open { done } => {
            slot.add_console(id, console);
            done.complete(slot.supervisor.console_open(id, &settings));
        }
        ConsoleCall::Connect { token, done } => {
            slot.add_console(id, console);
            slot.calls.insert(token, Call::Done(done));
            slot.supervisor.console_connect(id, &settings, token);
        }
        ConsoleCall::Attached(attached) => slot.supervisor.console_attached(now, id, attached),
        ConsoleCall::Reconfigured => slot.supervisor.console_reconfigure(now, id, &settings),
        ConsoleCall::Close { token, done } => {
            slot.calls.insert(token, Call::Done(done));
            slot.supervisor.console_close(now, id, token);
        }
    }
}
