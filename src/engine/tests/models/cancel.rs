//! Calls that give up while the shard answers them. The handle and the shard's part of it are
//! the real ones; only its poll and its sockets have no share in the model.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::super::admission::Admission;
use super::super::calls::Command;
use super::super::inbox::{Inbox, Outlet, inbox};
use super::super::resolve::Resolvers;
use super::super::shard::Shard;
use super::super::slots::{BmcShared, Slot};
use super::super::{BmcHandle, ConsoleShared, ConsoleState, EngineShared, ShardHandle, deadline};
use super::{Bell, explore, join, kind, spawn};
use crate::config::{BmcConfig, ConsoleConfig, EngineConfig};
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Reply, Request};
use crate::sync::{Mutex, now};
use crate::wire::message::CompletionCode;

const FOREVER: Duration = Duration::MAX;

/// A shard with one BMC, and what it needs to run in a model.
struct Model {
    shard: Shard,
    outlet: Outlet<Command>,
    inbox: Inbox<Command>,
    bell: Bell,
    handle: Option<Arc<BmcHandle>>,
}

impl Model {
    fn new() -> Self {
        let config = EngineConfig::default();
        let bell = Bell::new();
        let (inbox, outlet) = inbox(16, bell.clone());
        // The shard's own end is not looked at: the model takes the commands.
        let (_, unused) = super::super::inbox::inbox(1, Bell::new());
        let poll = mio::Poll::new().expect("a poll");
        let resolvers = Arc::new(Resolvers::new(config.resolvers));
        let admission = Arc::new(Admission::new(0, 1, 1, now(), Box::new(|_| {})));
        let shards = vec![ShardHandle { inbox: inbox.clone(), bmcs: AtomicUsize::new(1) }];
        let engine = EngineShared::new(shards, &config);
        let mut shard = Shard::new(poll, unused, inbox.clone(), 0, config, resolvers, admission);
        let credentials = Credentials::new("admin", "password").expect("short enough");
        let config = BmcConfig::new("127.0.0.1", credentials);
        let config = Mutex::new(config);
        let shared = Arc::new(BmcShared { config, status: Mutex::default() });
        let key = shard.bmcs.insert(Box::new(Slot::new(shared.clone(), 0)));
        let handle =
            Some(Arc::new(BmcHandle { engine, shard: 0, key, shared, watch: Mutex::new(None) }));
        Model { shard, outlet, inbox, bell, handle }
    }

    /// A thread that calls, and lets go of the BMC after that.
    fn call<T: 'static>(
        &self,
        call: impl FnOnce(&BmcHandle) -> T + 'static,
    ) -> loom::thread::JoinHandle<T> {
        let handle = self.handle.clone().expect("made with one");
        spawn(move || call(&handle))
    }

    /// Runs as a shard does until every handle is gone; after each turn `event` happens.
    fn run(&mut self, event: fn(&mut Slot)) {
        self.handle = None;
        while !self.shard.bmcs.is_empty() {
            self.bell.sleep();
            self.outlet.rearm();
            while let Some(command) = self.outlet.take() {
                if matches!(command, Command::Release { .. }) {
                    // No call is under way any more.
                    assert!(self.shard.bmcs.values().all(|slot| slot.calls.is_empty()));
                }
                self.shard.on_command(now(), command);
            }
            for bmc in self.shard.bmcs.keys().collect::<Vec<_>>() {
                event(&mut self.shard.bmcs[bmc]);
                self.shard.drain(now(), bmc);
            }
        }
    }
}

fn logged_in(slot: &mut Slot) {
    slot.supervisor.pretend_login();
}

fn answered(slot: &mut Slot) {
    let completion_code = CompletionCode(0);
    let reply = Reply { completion_code, data: Vec::new(), rtt: None };
    slot.supervisor.pretend_reply(&reply);
}

fn activated(slot: &mut Slot) {
    slot.supervisor.pretend_sol(now());
}

fn nothing(_: &mut Slot) {}

fn ask(bmc: &BmcHandle, timeout: Duration) -> Result<Reply> {
    let request = Request { deadline: deadline(timeout), ..request() };
    bmc.exchange(request, |waiting, until| waiting.wait(until))
}

fn request() -> Request {
    Request { net_fn: 6, cmd: 1, ..Request::default() }
}

#[test]
fn a_connect_that_gives_up_has_one_answer() {
    for event in [logged_in as fn(&mut Slot), nothing] {
        explore(move || {
            let mut model = Model::new();
            let call = model.call(|bmc| kind(bmc.connect(Duration::ZERO)));
            model.run(event);
            let result = join(call);
            assert!(matches!(result, Ok(()) | Err(ErrorKind::TimedOut)), "{result:?}");
        });
    }
}

#[test]
fn a_connect_that_gives_up_leaves_others_their_login() {
    explore(|| {
        let mut model = Model::new();
        let calls = [Duration::ZERO, FOREVER]
            .map(|timeout| model.call(move |bmc| kind(bmc.connect(timeout))));
        model.run(logged_in);
        let [impatient, patient] = calls.map(join);
        assert!(matches!(impatient, Ok(()) | Err(ErrorKind::TimedOut)), "{impatient:?}");
        assert_eq!(patient, Ok(()));
    });
}

#[test]
fn a_request_that_gives_up_has_one_answer_and_is_forgotten() {
    for event in [answered as fn(&mut Slot), nothing] {
        explore(move || {
            let mut model = Model::new();
            let call = model.call(|bmc| kind(ask(bmc, Duration::ZERO)).map(|_| ()));
            model.run(event);
            let result = join(call);
            assert!(matches!(result, Ok(()) | Err(ErrorKind::TimedOut)), "{result:?}");
        });
    }
}

#[test]
fn a_console_nobody_waits_for_any_more_is_up_or_given_up() {
    for event in [activated as fn(&mut Slot), nothing] {
        explore(move || {
            let mut model = Model::new();
            let console = Arc::new(ConsoleShared::new(ConsoleConfig::default()));
            let its = console.clone();
            let call = model.call(move |bmc| {
                let result = kind(bmc.connect_console(1, &its, Duration::ZERO));
                (result, its.state())
            });
            model.run(event);
            match join(call) {
                (Ok(()), ConsoleState::Connected) => {}
                (Err(ErrorKind::TimedOut), ConsoleState::Unconnected) => {}
                other => panic!("{other:?}"),
            }
        });
    }
}

/// Somebody waits as long as it takes, and the shard ends with or without a last word.
fn ends(says_so: bool, call: fn(&BmcHandle) -> Result<()>) {
    explore(move || {
        let mut model = Model::new();
        let call = model.call(move |bmc| kind(call(bmc)));
        if says_so {
            let inbox = model.inbox.clone();
            let engine = spawn(move || drop(inbox.send(Command::Stop, None)));
            model.run(nothing);
            join(engine);
        }
        drop(model);
        assert_eq!(join(call), Err(ErrorKind::ShutDown));
    });
}

#[test]
fn an_engine_that_stops_leaves_nobody_waiting() {
    ends(true, |bmc| bmc.connect(FOREVER));
    ends(true, |bmc| ask(bmc, FOREVER).map(drop));
}

#[test]
fn a_shard_that_dies_leaves_nobody_waiting() {
    ends(false, |bmc| bmc.connect(FOREVER));
    ends(false, |bmc| ask(bmc, FOREVER).map(drop));
}

/// The session ends while a call gives up.
#[test]
fn a_failed_login_is_told_to_who_waits() {
    explore(|| {
        let mut model = Model::new();
        let call = model.call(|bmc| kind(bmc.connect(Duration::ZERO)));
        model.run(|slot| slot.supervisor.fail(now(), &Error::new(ErrorKind::Password)));
        let result = join(call);
        assert!(matches!(result, Err(ErrorKind::Password | ErrorKind::TimedOut)), "{result:?}");
    });
}
