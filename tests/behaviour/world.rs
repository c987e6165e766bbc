//! A supervisor and several simulated BMCs at addresses of their own, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bmclink::crypto::Secret;
use bmclink::session::{CipherSuiteId, Failure, Reply, Request, SessionConfig, SolConfig};
use bmclink::sim::net::{Faults, Network};
use bmclink::sim::{BmcOptions, ManagedSystem, Profile};
use bmclink::supervisor::{
    ConsoleChange, ConsoleSettings, Event, Keep, Output, Supervisor, Target,
};
use bmclink::{Error, ErrorKind};

use crate::pair::{console_address, millis, request, secs, seed_bytes};

/// Where BMC number `at` is.
pub fn address(at: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 1, at], 623))
}

/// The console of every test.
pub const CONSOLE: u64 = 1;

/// Sees every datagram before the network does, with where it comes from and goes to, and says
/// what is sent instead of it.
pub type Tap = Box<dyn FnMut(SocketAddr, SocketAddr, Vec<u8>) -> Vec<Vec<u8>>>;

/// Somebody else at the same BMCs.
pub struct Rival {
    pub supervisor: Supervisor,
    pub events: Vec<(Duration, Event)>,
}

pub struct World {
    pub seed: u64,
    pub profile: Profile,
    pub now: Instant,
    pub start: Instant,
    pub supervisor: Supervisor,
    pub bmcs: BTreeMap<SocketAddr, ManagedSystem>,
    pub net: Network,
    /// Every event, with when it came.
    pub events: Vec<(Duration, Event)>,
    /// Characters that came out of the console.
    pub received: Vec<u8>,
    /// Every datagram the supervisor sent: when, where to, and what.
    pub sent: Vec<(Duration, SocketAddr, Vec<u8>)>,
    /// What hosts send back is what they receive.
    pub echoes: bool,
    pub tokens: u64,
    /// Addresses of names; any other host is its own address.
    pub names: BTreeMap<String, Vec<SocketAddr>>,
    /// The man in the middle, if any.
    pub tap: Option<Tap>,
    pub rivals: Vec<Rival>,
    /// Where packets may go: what was claimed for a login and not released since.
    pub routes: BTreeSet<SocketAddr>,
    /// Logins that had their turn, and those that are over.
    pub logins_begun: u64,
    pub logins_over: u64,
    stepped_at: Option<Instant>,
    steps_now: u32,
    out: Vec<u8>,
}

/// Outputs of one drain, and steps at one moment, that are put down to a loop without end.
const ENDLESS: u32 = 10_000;

fn target(profile: Profile, at: u8, password: &str) -> Target {
    // pyghmi takes nothing but 3.
    let suites: &[u8] = if profile == Profile::Pyghmi { &[3] } else { &[17, 3] };
    let session = SessionConfig {
        user_name: b"admin".to_vec(),
        password: Secret::new(password.as_bytes()),
        cipher_suites: suites.iter().copied().map(CipherSuiteId).collect(),
        ..SessionConfig::default()
    };
    let address = address(at);
    Target { host: address.ip().to_string(), port: address.port(), session: Arc::new(session) }
}

pub fn settings(keep: Keep) -> ConsoleSettings {
    ConsoleSettings { sol: SolConfig::default(), keep, retry: Default::default() }
}

impl World {
    /// BMCs number 1 to `bmcs`; the target is number 1.
    pub fn new(profile: Profile, bmcs: u8, seed: u64) -> Self {
        let now = Instant::now();
        let faults = Faults { delay: millis(2)..millis(4), ..Faults::default() };
        let bmc = |at| {
            // pyghmi keeps sessions that were closed until they expire.
            let session_slots = if profile == Profile::Pyghmi { 1000 } else { 0 };
            let options = BmcOptions { profile, session_slots, ..BmcOptions::default() };
            (address(at), ManagedSystem::new(options, seed_bytes(seed, u64::from(at)), now))
        };
        World {
            seed,
            profile,
            now,
            start: now,
            supervisor: Supervisor::new(target(profile, 1, "password"), seed),
            bmcs: (1..=bmcs).map(bmc).collect(),
            net: Network::new(seed, faults),
            events: Vec::new(),
            received: Vec::new(),
            sent: Vec::new(),
            echoes: true,
            tokens: 100,
            names: BTreeMap::new(),
            tap: None,
            rivals: Vec::new(),
            routes: BTreeSet::new(),
            logins_begun: 0,
            logins_over: 0,
            stepped_at: None,
            steps_now: 0,
            out: Vec::new(),
        }
    }

    pub fn bmc(&mut self, at: u8) -> &mut ManagedSystem {
        self.bmcs.get_mut(&address(at)).expect("a BMC there")
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Does all that can be done now; gives the next moment at which something happens.
    pub fn settle(&mut self) -> Option<Instant> {
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(rounds < ENDLESS, "seed {}: nothing comes to rest", self.seed);
            let timeout = self.drain_supervisor();
            let rivals = self.drain_rivals();
            let mut moved = false;
            let mut out = Vec::new();
            for (address, bmc) in &mut self.bmcs {
                let input = bmc.serial_input();
                if self.echoes && !input.is_empty() {
                    bmc.serial_output(self.now, &input);
                    moved = true;
                }
                while let Some((to, datagram)) = bmc.poll_transmit() {
                    out.push((*address, to, datagram));
                }
            }
            out.into_iter().for_each(|(from, to, datagram)| self.send(from, to, datagram));
            if !moved {
                let bmcs = self.bmcs.values().filter_map(ManagedSystem::poll_timeout);
                let ends = timeout.into_iter().chain(rivals);
                return bmcs.chain(ends).chain(self.net.poll_timeout()).min();
            }
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        let datagrams = match &mut self.tap {
            Some(tap) => tap(from, to, datagram),
            None => vec![datagram],
        };
        for datagram in datagrams {
            self.net.send(self.now, from, to, datagram);
        }
    }

    fn drain_supervisor(&mut self) -> Option<Instant> {
        for _ in 0..ENDLESS {
            match self.supervisor.poll_output(self.now, &mut self.out) {
                Output::Transmit(to) => {
                    assert!(self.routes.contains(&to), "seed {}: no way to {to}", self.seed);
                    let datagram = std::mem::take(&mut self.out);
                    self.sent.push((self.now - self.start, to, datagram.clone()));
                    self.send(console_address(), to, datagram);
                }
                Output::SolCharacters => self.received.extend_from_slice(&self.out),
                Output::Event(event) => self.on_event(event),
                Output::Timeout(timeout) => return timeout,
            }
        }
        panic!("seed {}: the supervisor never has enough", self.seed);
    }

    fn on_event(&mut self, event: Event) {
        match &event {
            Event::Resolve { lookup } => {
                let addresses = self.addresses_of(self.supervisor.target());
                self.supervisor.handle_addresses(self.now, *lookup, addresses);
            }
            Event::WantsTurn => {
                let peer = self.supervisor.next_peer().expect("it wants its turn");
                self.routes.insert(peer);
                self.tokens += 1;
                self.logins_begun += 1;
                let seed = seed_bytes(self.seed, self.tokens);
                self.supervisor.begin_login(self.now, seed);
            }
            Event::LoginOver => self.logins_over += 1,
            Event::Released(peer) => {
                assert!(self.routes.remove(peer), "seed {}: released {peer} twice", self.seed);
            }
            _ => {}
        }
        self.events.push((self.now - self.start, event));
    }

    fn addresses_of(&self, target: &Target) -> Result<Vec<SocketAddr>, Error> {
        if let Some(addresses) = self.names.get(&target.host) {
            return Ok(addresses.clone());
        }
        let unknown = Failure::new(bmclink::Cause::TimedOut, bmclink::Stage::Capabilities);
        match target.host.parse() {
            Ok(ip) => Ok(vec![SocketAddr::new(ip, target.port)]),
            Err(_) => Err(Error::from(unknown)),
        }
    }

    // Others

    /// Somebody else who logs in as this one does.
    pub fn add_rival(&mut self) -> usize {
        let seed = self.seed + 1 + self.rivals.len() as u64;
        let supervisor = Supervisor::new(target(self.profile, 1, "password"), seed);
        self.rivals.push(Rival { supervisor, events: Vec::new() });
        self.rivals.len() - 1
    }

    fn rival_address(at: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 41_000 + at as u16))
    }

    fn drain_rivals(&mut self) -> Option<Instant> {
        let mut rivals = std::mem::take(&mut self.rivals);
        let mut first = None;
        for (at, rival) in rivals.iter_mut().enumerate() {
            let timeout = self.drain_rival(at, rival);
            first = timeout.into_iter().chain(first).min();
        }
        self.rivals = rivals;
        first
    }

    fn drain_rival(&mut self, at: usize, rival: &mut Rival) -> Option<Instant> {
        let mut out = Vec::new();
        loop {
            match rival.supervisor.poll_output(self.now, &mut out) {
                Output::Transmit(to) => self.send(Self::rival_address(at), to, out.clone()),
                Output::SolCharacters => {}
                Output::Timeout(timeout) => return timeout,
                Output::Event(event) => {
                    if let Event::Resolve { lookup } = &event {
                        let addresses = self.addresses_of(rival.supervisor.target());
                        rival.supervisor.handle_addresses(self.now, *lookup, addresses);
                    } else if event == Event::WantsTurn {
                        self.tokens += 1;
                        let seed = seed_bytes(self.seed, self.tokens);
                        rival.supervisor.begin_login(self.now, seed);
                    }
                    rival.events.push((self.now - self.start, event));
                }
            }
        }
    }

    /// Goes to the next moment at which something happens; false when that is behind `limit`.
    pub fn step(&mut self, limit: Instant) -> bool {
        let next = self.settle().filter(|next| *next <= limit);
        let Some(next) = next else {
            self.now = limit;
            return false;
        };
        self.now = self.now.max(next);
        while let Some((from, to, datagram)) = self.net.poll(self.now) {
            self.deliver(from, to, datagram);
            self.settle();
        }
        for bmc in self.bmcs.values_mut() {
            if bmc.poll_timeout().is_some_and(|at| at <= self.now) {
                bmc.handle_timeout(self.now);
            }
        }
        self.supervisor.handle_timeout(self.now);
        for rival in &mut self.rivals {
            rival.supervisor.handle_timeout(self.now);
        }
        self.steps_now = if self.stepped_at == Some(self.now) { self.steps_now + 1 } else { 0 };
        self.stepped_at = Some(self.now);
        assert!(self.steps_now < ENDLESS, "seed {}: time stands still", self.seed);
        true
    }

    /// A datagram arrives, whoever sent it.
    pub fn deliver(&mut self, from: SocketAddr, to: SocketAddr, mut datagram: Vec<u8>) {
        if let Some(bmc) = self.bmcs.get_mut(&to) {
            bmc.handle_datagram(self.now, from, &datagram);
        } else if to == console_address() {
            let _ = self.supervisor.handle_datagram(self.now, from, &mut datagram);
        } else {
            let at = (0..self.rivals.len()).find(|at| Self::rival_address(*at) == to);
            if let Some(rival) = at.and_then(|at| self.rivals.get_mut(at)) {
                let _ = rival.supervisor.handle_datagram(self.now, from, &mut datagram);
            }
        }
    }

    /// Runs until `done`, for `limit` at most; says whether it was done.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&World) -> bool) -> bool {
        let limit = self.now + limit;
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            if self.now >= limit {
                return false;
            }
            self.step(limit);
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// What BMC `at` is logged in with.
    pub fn target(&self, at: u8, password: &str) -> Target {
        target(self.profile, at, password)
    }

    // What is asked for

    fn token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    /// Opens the console, to be kept as told.
    pub fn open(&mut self, keep: Keep) {
        self.supervisor.console_open(CONSOLE, &settings(keep)).expect("nothing in the way");
    }

    /// Wants the console connected; gives the token.
    pub fn begin_connect(&mut self) -> u64 {
        let token = self.token();
        self.supervisor.console_connect(CONSOLE, &settings(Keep::OnRequest), token);
        token
    }

    /// How something that was asked for went, so far.
    pub fn done(&self, token: u64) -> Option<Result<(), ErrorKind>> {
        self.events.iter().find_map(|(_, event)| match event {
            Event::Done { token: other, result } if *other == token => {
                Some(result.clone().map_err(|error| error.kind()))
            }
            _ => None,
        })
    }

    /// Connects the console; gives why not.
    pub fn connect(&mut self) -> Result<(), ErrorKind> {
        let token = self.begin_connect();
        self.run_until(secs(600), |world| world.done(token).is_some());
        self.done(token).expect("it ends")
    }

    /// Sends Get Device ID; gives the token.
    pub fn begin_command(&mut self) -> u64 {
        let token = self.token();
        self.supervisor.submit(self.now, request(token, 6, 1, &[]));
        token
    }

    /// The same with a time limit.
    pub fn begin_command_for(&mut self, time: Duration) -> u64 {
        let token = self.token();
        let deadline = Some(self.now + time);
        self.supervisor.submit(self.now, Request { deadline, ..request(token, 6, 1, &[]) });
        token
    }

    pub fn reply(&self, token: u64) -> Option<Result<Reply, ErrorKind>> {
        self.events.iter().find_map(|(_, event)| match event {
            Event::Reply { token: other, result } if *other == token => {
                Some(result.clone().map_err(|error| error.kind()))
            }
            _ => None,
        })
    }

    pub fn command(&mut self) -> Result<Reply, ErrorKind> {
        let token = self.begin_command();
        self.run_until(secs(600), |world| world.reply(token).is_some());
        self.reply(token).expect("it ends")
    }

    pub fn reconfigure(&mut self, target: Target) {
        self.supervisor.reconfigure(self.now, target);
    }

    /// Changes what the supervisor logs in with, besides what is in `target`.
    pub fn target_with(&self, at: u8, change: impl FnOnce(&mut SessionConfig)) -> Target {
        let mut target = self.target(at, "password");
        let mut session = (*target.session).clone();
        change(&mut session);
        target.session = Arc::new(session);
        target
    }

    // What happened

    /// Every change of the console.
    pub fn changes(&self) -> Vec<ConsoleChange> {
        self.events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::Console { change, .. } => Some(change.clone()),
                _ => None,
            })
            .collect()
    }

    pub fn is_connected(&self) -> bool {
        let states = self.changes().into_iter().rev().find(|change| {
            matches!(
                change,
                ConsoleChange::Connected { .. }
                    | ConsoleChange::Unconnected { .. }
                    | ConsoleChange::Connecting
                    | ConsoleChange::Closed
            )
        });
        matches!(states, Some(ConsoleChange::Connected { .. }))
    }

    /// Whether what is typed comes back.
    pub fn echo_works(&mut self) -> bool {
        let before = self.received.len();
        let Some(session) = self.supervisor.session_mut() else { return false };
        if session.sol_write(self.now, b"?") != 1 {
            return false;
        }
        self.run_until(secs(30), |world| world.received.len() > before);
        self.received[before..] == *b"?"
    }

    /// Sessions at BMC `at` that were not closed. pyghmi answers the close and goes on as before.
    pub fn sessions(&mut self, at: u8) -> usize {
        let profile = self.profile;
        let bmc = self.bmc(at);
        let over = match profile {
            Profile::Pyghmi => {
                bmc.counters().sessions_closed.saturating_sub(bmc.counters().sessions_expired)
            }
            _ => 0,
        };
        bmc.sessions() - usize::try_from(over).expect("few").min(bmc.sessions())
    }

    /// How many logins reached BMC `at`: RAKP Message 1.
    pub fn logins(&mut self, at: u8) -> u64 {
        self.bmc(at).counters().rakp1
    }
}
