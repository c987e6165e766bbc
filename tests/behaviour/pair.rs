//! A session and a simulated BMC with a bad network between them, in virtual time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bmclink::crypto::Secret;
use bmclink::session::{
    Cause, CipherSuiteId, Event, Failure, Learned, Output, Reply, Request, Session, SessionConfig,
    SolConfig, SolEvent,
};
use bmclink::sim::net::{Faults, Network};
use bmclink::sim::{BmcOptions, ManagedSystem, Profile};

/// Every profile of the simulated BMC.
pub const PROFILES: [Profile; 5] =
    [Profile::Spec, Profile::OpenBmc, Profile::GoIpmi, Profile::Pyghmi, Profile::IpmiSim];

/// Which way a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToBmc,
    ToConsole,
}

/// Sees every datagram before the network does, and says what is sent instead of it.
pub type Tap = Box<dyn FnMut(Way, Vec<u8>) -> Vec<Vec<u8>>>;

/// What a test starts from.
#[derive(Clone)]
pub struct Setup {
    pub seed: u64,
    pub bmc: BmcOptions,
    pub config: SessionConfig,
    pub faults: Faults,
}

impl Setup {
    pub fn new(profile: Profile, seed: u64) -> Self {
        let config = SessionConfig {
            user_name: b"admin".to_vec(),
            password: Secret::new(b"password"),
            ..SessionConfig::default()
        };
        Setup {
            seed,
            bmc: BmcOptions { profile, ..BmcOptions::default() },
            config,
            faults: Faults { delay: millis(2)..millis(4), ..Faults::default() },
        }
    }

    pub fn suites(mut self, suites: &[u8]) -> Self {
        self.config.cipher_suites = suites.iter().map(|id| CipherSuiteId(*id)).collect();
        self
    }

    /// Loss both ways, and one in twenty datagrams twice or out of order. What is held back
    /// stays below a round trip: a BMC that takes any other number for new cannot be helped
    /// against a packet that is older than that.
    pub fn bad_line(mut self, loss: f64) -> Self {
        self.faults = Faults {
            loss,
            duplicate: 0.05,
            reorder: 0.05,
            corrupt: 0.0,
            delay: millis(4)..millis(6),
            reorder_delay: millis(1)..millis(5),
        };
        self.config.timing.login_attempts = 50;
        self
    }

    pub fn start(self) -> Pair {
        Pair::new(self, Learned::default())
    }
}

pub fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub struct Pair {
    pub seed: u64,
    pub now: Instant,
    pub start: Instant,
    pub session: Session,
    pub bmc: ManagedSystem,
    pub net: Network,
    pub config: Arc<SessionConfig>,
    /// Every event, with when it came.
    pub events: Vec<(Duration, Event)>,
    /// Characters that came out of the console.
    pub received: Vec<u8>,
    /// What to type, as far as the session takes it.
    pub typing: VecDeque<u8>,
    /// What the host prints, as far as the BMC takes it.
    pub printing: VecDeque<u8>,
    /// What the host received.
    pub host_received: Vec<u8>,
    /// Whether the host sends back what it receives.
    pub host_echoes: bool,
    /// Whether the host leaves alone what it receives.
    pub host_stalled: bool,
    /// Every event of SOL, with how many characters came before it.
    pub marks: Vec<(usize, SolEvent)>,
    /// Says which datagrams get lost, besides those that the network loses by chance.
    pub drops: Option<Drops>,
    /// Datagrams from the BMC, unopened, when recording.
    pub recorded: Option<Vec<Vec<u8>>>,
    /// The man in the middle, if any.
    pub tap: Option<Tap>,
    steps: u64,
    sessions: u64,
    out: Vec<u8>,
}

/// Whether a datagram, to the BMC (true) or from it, gets lost.
pub type Drops = Box<dyn FnMut(bool, &[u8]) -> bool>;

/// Whether a datagram holds a SOL payload: its type is never encrypted.
pub fn is_sol(datagram: &[u8]) -> bool {
    datagram.get(4) == Some(&6) && datagram.get(5).is_some_and(|byte| byte & 0x3f == 1)
}

pub fn console_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 40_000))
}

pub fn bmc_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 2], 623))
}

pub fn seed_bytes(seed: u64, salt: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&salt.to_le_bytes());
    bytes
}

impl Pair {
    pub fn new(setup: Setup, learned: Learned) -> Self {
        let now = Instant::now();
        let config = Arc::new(setup.config);
        config.check().expect("a config that can be used");
        Pair {
            seed: setup.seed,
            now,
            start: now,
            session: Session::new(config.clone(), learned, seed_bytes(setup.seed, 1), now),
            bmc: ManagedSystem::new(setup.bmc, seed_bytes(setup.seed, 2), now),
            net: Network::new(setup.seed, setup.faults),
            config,
            events: Vec::new(),
            received: Vec::new(),
            typing: VecDeque::new(),
            printing: VecDeque::new(),
            host_received: Vec::new(),
            host_echoes: false,
            host_stalled: false,
            marks: Vec::new(),
            drops: None,
            recorded: None,
            tap: None,
            steps: 0,
            sessions: 1,
            out: Vec::new(),
        }
    }

    /// Throws the session away, as a crash would, and starts another one to the same BMC.
    pub fn new_session(&mut self, learned: Learned) {
        self.sessions += 1;
        let seed = seed_bytes(self.seed, 100 + self.sessions);
        self.session = Session::new(self.config.clone(), learned, seed, self.now);
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Does all that can be done now, then goes to the next moment at which something happens.
    /// False when nothing ever will.
    pub fn step(&mut self, limit: Instant) -> bool {
        self.steps += 1;
        if self.steps.is_multiple_of(5_000) && std::env::var_os("TRACE").is_some() {
            eprintln!(
                "step {} at {:?}: received {} host {} pending {} {:?} {:?} net {:?}",
                self.steps,
                self.elapsed(),
                self.received.len(),
                self.host_received.len(),
                self.session.sol_pending(),
                self.session.counters(),
                self.bmc.counters(),
                self.net.counters()
            );
        }
        let session_timeout = self.settle();
        let next = [session_timeout, self.bmc.poll_timeout(), self.net.poll_timeout()];
        let Some(next) = next.into_iter().flatten().min() else {
            self.now = limit;
            return false;
        };
        if next > limit {
            self.now = limit;
            return false;
        }
        self.now = self.now.max(next);
        while let Some((from, to, mut datagram)) = self.net.poll(self.now) {
            if to == bmc_address() {
                self.bmc.handle_datagram(self.now, from, &datagram);
            } else {
                if let Some(recorded) = &mut self.recorded {
                    recorded.push(datagram.clone());
                }
                let _ = self.session.handle_datagram(self.now, &mut datagram);
            }
            self.settle();
        }
        if self.bmc.poll_timeout().is_some_and(|at| at <= self.now) {
            self.bmc.handle_timeout(self.now);
        }
        self.session.handle_timeout(self.now);
        true
    }

    /// Drains both ends; gives the session's deadline.
    pub fn settle(&mut self) -> Option<Instant> {
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(rounds < 10_000, "seed {}: neither end comes to rest", self.seed);
            let moved = self.feed();
            let timeout = self.drain_session();
            while let Some((_, datagram)) = self.bmc.poll_transmit() {
                self.send(Way::ToConsole, datagram);
            }
            if !moved {
                return timeout;
            }
        }
    }

    fn feed(&mut self) -> bool {
        let mut moved = false;
        let space = self.session.sol_space().min(self.typing.len());
        if space > 0 {
            let bytes: Vec<u8> = self.typing.drain(..space).collect();
            assert_eq!(self.session.sol_write(self.now, &bytes), space);
            moved = true;
        }
        let input = if self.host_stalled { Vec::new() } else { self.bmc.serial_input() };
        if !input.is_empty() {
            if self.host_echoes {
                self.printing.extend(&input);
            }
            self.host_received.extend(input);
            moved = true;
        }
        if !self.printing.is_empty() && self.bmc.sol_owner().is_some() {
            let bytes: Vec<u8> =
                self.printing.iter().copied().take(self.bmc.serial_output_space()).collect();
            let taken = self.bmc.serial_output(self.now, &bytes);
            self.printing.drain(..taken);
            moved |= taken > 0;
        }
        moved
    }

    fn drain_session(&mut self) -> Option<Instant> {
        loop {
            match self.session.poll_output(self.now, &mut self.out) {
                Output::Transmit => {
                    let datagram = std::mem::take(&mut self.out);
                    self.send(Way::ToBmc, datagram);
                }
                Output::SolCharacters => self.received.extend_from_slice(&self.out),
                Output::Event(event) => {
                    if let Event::Sol(event) = &event {
                        self.marks.push((self.received.len(), event.clone()));
                    }
                    self.events.push((self.now - self.start, event));
                }
                Output::Timeout(timeout) => return timeout,
            }
        }
    }

    fn send(&mut self, way: Way, datagram: Vec<u8>) {
        let (from, to) = match way {
            Way::ToBmc => (console_address(), bmc_address()),
            Way::ToConsole => (bmc_address(), console_address()),
        };
        let datagrams = match &mut self.tap {
            Some(tap) => tap(way, datagram),
            None => vec![datagram],
        };
        for datagram in datagrams {
            let dropped = match &mut self.drops {
                Some(drops) => drops(way == Way::ToBmc, &datagram),
                None => false,
            };
            if !dropped {
                self.net.send(self.now, from, to, datagram);
            }
        }
    }

    /// Throws away what the session sends now.
    pub fn drop_transmits(&mut self) {
        while let Output::Transmit = self.session.poll_output(self.now, &mut self.out) {}
    }

    /// Runs until `done`, for `limit` at most; says whether it was done.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Pair) -> bool) -> bool {
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

    /// Logs in; gives why not.
    pub fn log_in(&mut self) -> Result<(), Failure> {
        self.run_until(secs(600), |pair| pair.session.is_active() || pair.session.is_closed());
        match self.closed() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Logs in and activates SOL.
    pub fn connect(&mut self) -> Result<(), Failure> {
        self.connect_with(SolConfig::default())
    }

    pub fn connect_with(&mut self, config: SolConfig) -> Result<(), Failure> {
        self.log_in()?;
        let first = self.events.len();
        assert!(self.session.sol_open(self.now, config));
        self.run_until(secs(120), |pair| {
            pair.session.sol_is_active() || pair.sol_ended_since(first).is_some()
        });
        match self.sol_ended_since(first) {
            Some(failure) => Err(failure),
            None if self.session.sol_is_active() => Ok(()),
            None => panic!("seed {}: SOL neither active nor refused", self.seed),
        }
    }

    pub fn sol_ended_since(&self, first: usize) -> Option<Failure> {
        self.events[first..].iter().find_map(|(_, event)| match event {
            Event::Sol(SolEvent::Ended(failure)) => Some(*failure),
            _ => None,
        })
    }

    pub fn closed(&self) -> Option<Failure> {
        self.events.iter().find_map(|(_, event)| match event {
            Event::Closed(failure) => Some(*failure),
            _ => None,
        })
    }

    pub fn reply(&self, token: u64) -> Option<Result<Reply, Failure>> {
        self.events.iter().find_map(|(_, event)| match event {
            Event::Reply { token: answered, result } if *answered == token => Some(result.clone()),
            _ => None,
        })
    }

    pub fn sol_events(&self) -> Vec<SolEvent> {
        let sol = |event: &Event| match event {
            Event::Sol(event) => Some(event.clone()),
            _ => None,
        };
        self.events.iter().filter_map(|(_, event)| sol(event)).collect()
    }

    /// Sends a command and waits for what becomes of it.
    pub fn command(
        &mut self,
        token: u64,
        net_fn: u8,
        cmd: u8,
        data: &[u8],
    ) -> Result<Reply, Failure> {
        self.session.submit(request(token, net_fn, cmd, data));
        self.run_until(secs(60), |pair| pair.reply(token).is_some());
        self.reply(token).expect("a reply or a failure")
    }
}

pub fn request(token: u64, net_fn: u8, cmd: u8, data: &[u8]) -> Request {
    Request { token, net_fn, cmd, data: data.to_vec().into(), ..Request::default() }
}

pub fn cause(result: Result<(), Failure>) -> Option<Cause> {
    result.err().map(|failure| failure.cause)
}

/// Bytes that are all different enough to show a swap, a loss or a double.
pub fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(len)
    .collect()
}

/// Says where two byte strings differ, instead of printing them.
pub fn assert_same(seed: u64, what: &str, got: &[u8], expected: &[u8]) {
    if got == expected {
        return;
    }
    let at = got.iter().zip(expected).position(|(a, b)| a != b);
    let at = at.unwrap_or(got.len().min(expected.len()));
    let around = |bytes: &[u8]| {
        let end = (at + 16).min(bytes.len());
        bytes[at.saturating_sub(16).min(end)..end].to_vec()
    };
    panic!(
        "seed {seed}: {what}: {} bytes instead of {}, differing from byte {at}: {:02x?} / {:02x?}",
        got.len(),
        expected.len(),
        around(got),
        around(expected),
    );
}
