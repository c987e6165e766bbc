//! The BMCs, their consoles, and what all that takes.

use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bmclink::sim::{BmcOptions, Profile, Serial, Simulator, SimulatorOptions};
use bmclink::{
    Bmc, BmcConfig, Console, ConsoleConfig, ConsoleState, Credentials, Engine, EngineConfig,
    RetryConfig,
};

use crate::host::Host;
use crate::{Options, wait};

/// Bytes of the past that are kept of each console.
const REPLAY_LEN: usize = 16 << 10;
/// BMCs that share credentials.
pub const GROUP: usize = 20;
/// The first address of the BMCs, and a network where nobody is.
const FIRST: [u8; 4] = [127, 40, 0, 1];
pub const NOBODY: [u8; 4] = [127, 41, 0, 1];

/// What everything takes of this process.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub threads: usize,
    pub descriptors: usize,
    pub memory_kib: usize,
}

impl Usage {
    pub fn now() -> Self {
        let count = |folder: &str| fs::read_dir(folder).map_or(0, Iterator::count);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = memory.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok());
        Usage {
            threads: count("/proc/self/task"),
            descriptors: count("/proc/self/fd"),
            memory_kib: memory.unwrap_or(0),
        }
    }

    /// Whether threads and descriptors are as many as there.
    pub fn is_as_many_as(&self, other: &Usage) -> bool {
        (self.threads, self.descriptors) == (other.threads, other.descriptors)
    }

    /// The memory is about as much as before: what was freed is not always given back.
    pub fn check_memory(&self, before: &Usage) -> Result<(), String> {
        let most = before.memory_kib + before.memory_kib / 4 + (32 << 10);
        if self.memory_kib > most {
            return Err(format!("memory grew: {before}, then {self}"));
        }
        Ok(())
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Usage { threads, descriptors, memory_kib } = self;
        write!(f, "{threads} threads, {descriptors} descriptors, {} MiB", memory_kib >> 10)
    }
}

/// One managed BMC, at home.
pub struct Place {
    pub bmc: Bmc,
    pub console: Console,
    pub home: BmcConfig,
    /// Lines its host is to print at once.
    pub flood: Arc<AtomicU64>,
}

pub struct Fleet {
    // Dropped in this order.
    pub places: Vec<Place>,
    engine: Engine,
    pub simulator: Simulator,
    /// Who logs in at each group of BMCs.
    pub credentials: Vec<Credentials>,
}

/// The password number `number` of a group.
pub fn password(number: u64) -> String {
    format!("password {number}")
}

impl Fleet {
    pub fn start(options: &Options) -> Result<Fleet, String> {
        let bmcs = options.bmcs as usize;
        let simulator = simulator(options)?;
        let mut config = EngineConfig::default();
        config.shards = 2;
        let engine = Engine::new(config).map_err(|error| error.to_string())?;
        let credentials: Vec<_> = (0..bmcs.div_ceil(GROUP))
            .map(|_| Credentials::new("admin", password(0)).map_err(|error| error.to_string()))
            .collect::<Result<_, _>>()?;
        let mut places = Vec::new();
        for number in 0..bmcs {
            let home = home(&simulator, number, &credentials[number / GROUP]);
            let flood = Arc::new(AtomicU64::new(0));
            let lines = flood.clone();
            simulator.with(number, |bmc, now| {
                bmc.set_password(b"admin", password(0).as_bytes());
                bmc.attach_serial(Box::new(Host::new(number as u32, now, lines)));
            });
            let bmc = engine.bmc(home.clone()).map_err(|error| error.to_string())?;
            let console = bmc.console(console_config()).map_err(|error| error.to_string())?;
            places.push(Place { bmc, console, home, flood });
        }
        Ok(Fleet { places, engine, simulator, credentials })
    }

    pub fn connected(&self) -> usize {
        self.places.iter().filter(|place| is_connected(place)).count()
    }

    pub fn all_connected(&self) -> bool {
        self.places.iter().all(is_connected)
    }

    /// Has every host print more than is kept; says whether all have.
    pub fn fill_replays(&self) -> bool {
        let mut full = true;
        for place in &self.places {
            let missing = (REPLAY_LEN as u64).saturating_sub(place.console.stats().received);
            full &= missing == 0;
            if missing > 0 && place.flood.load(Ordering::Relaxed) == 0 {
                place.flood(missing / 26 + 1);
            }
        }
        full
    }

    pub fn first_unconnected(&self) -> String {
        let first = self.places.iter().position(|place| !is_connected(place));
        let why = first.map(|number| (number, self.places[number].console.why()));
        format!("{} connected, and not {why:?}", self.connected())
    }

    pub fn one_session_each(&self) -> bool {
        (0..self.places.len()).all(|number| self.sessions(number) == 1)
    }

    pub fn wrong_sessions(&self) -> String {
        let all = (0..self.places.len()).map(|number| (number, self.sessions(number)));
        format!("{:?}", all.filter(|(_, sessions)| *sessions != 1).take(10).collect::<Vec<_>>())
    }

    fn sessions(&self, number: usize) -> usize {
        self.simulator.with(number, |bmc, _| bmc.sessions())
    }

    fn logins(&self, number: usize) -> u64 {
        self.simulator.with(number, |bmc, _| bmc.counters().sessions_opened)
    }

    /// A change of credentials is one login at each BMC: each has one watcher, and is watched.
    pub fn check_watchers(&self) -> Result<(), String> {
        let before: Vec<u64> = (0..self.places.len()).map(|number| self.logins(number)).collect();
        for (group, credentials) in self.credentials.iter().enumerate() {
            let first = group * GROUP;
            for number in first..(first + GROUP).min(self.places.len()) {
                let bytes = b"the last password";
                self.simulator.with(number, |bmc, _| bmc.set_password(b"admin", bytes));
            }
            credentials
                .update(b"admin", b"the last password", b"")
                .map_err(|error| error.to_string())?;
        }
        let anew = |number: usize| self.logins(number) > before[number];
        wait("every BMC logged in to anew", || (0..self.places.len()).all(anew))?;
        wait("all connected after that", || self.all_connected())?;
        match (0..self.places.len()).find(|number| self.logins(*number) != before[*number] + 1) {
            Some(number) => {
                let logins = self.logins(number) - before[number];
                Err(format!("BMC {number} was logged in to {logins} times for one change"))
            }
            None => Ok(()),
        }
    }

    /// Lets everything go: nothing is left.
    pub fn end(self, alone: &Usage) -> Result<(), String> {
        let Fleet { places, engine, simulator, credentials } = self;
        drop((places, engine));
        let count = credentials.len();
        for number in 0..simulator.count() {
            let sessions = simulator.with(number, |bmc, _| bmc.sessions());
            if sessions > 0 {
                return Err(format!("BMC {number} still has {sessions} sessions"));
            }
        }
        drop((simulator, credentials));
        let all_gone = wait("as at first", || Usage::now().is_as_many_as(alone));
        let now = Usage::now();
        println!("after it all, {count} groups and their BMCs let go: {now}");
        all_gone.map_err(|problem| format!("{problem}: {alone} at first, {now} at last"))
    }
}

fn is_connected(place: &Place) -> bool {
    place.console.state() == ConsoleState::Connected
}

fn simulator(options: &Options) -> Result<Simulator, String> {
    let bmc = BmcOptions { profile: Profile::Spec, ..BmcOptions::default() };
    let options = SimulatorOptions {
        bind: IpAddr::from(FIRST),
        port: 0,
        count: options.bmcs as usize,
        bmc,
        serial: Serial::None,
        seed: options.seed,
        ..SimulatorOptions::default()
    };
    Simulator::start(options).map_err(|error| error.to_string())
}

/// Where a BMC belongs. Everything is quicker to give up than it is by default, so that more of
/// it happens.
fn home(simulator: &Simulator, number: usize, credentials: &Credentials) -> BmcConfig {
    let address = simulator.address(number);
    let mut config =
        BmcConfig::new(address.ip().to_string(), credentials.clone()).port(address.port());
    config.timing.keepalive = Duration::from_secs(3);
    config.timing.keepalive_jitter = Duration::from_secs(1);
    config.timing.keepalive_retry = Duration::from_millis(500);
    config.timing.lost_after = Duration::from_secs(8);
    config.timing.lost_after_hint = Duration::from_secs(3);
    config.timing.attempt_pause = Duration::from_millis(500);
    config
}

pub fn console_config() -> ConsoleConfig {
    let mut config = ConsoleConfig::default().always_on();
    config.replay_len = REPLAY_LEN;
    config.retry = RetryConfig {
        first: Duration::from_millis(500),
        max: Duration::from_secs(5),
        credentials: Duration::from_secs(3),
        refused: Duration::from_secs(2),
        stolen: Duration::from_secs(1),
        stable: Duration::from_secs(5),
    }
    .into();
    config
}

impl Place {
    /// Has its host print that many lines at once.
    pub fn flood(&self, lines: u64) {
        self.flood.fetch_add(lines, Ordering::Relaxed);
    }
}
