//! Every limit, its unit and its default.
//!
//! The memory of N connected and idle consoles is about N times 5 KiB, and of one with data
//! [`ConsoleConfig::replay_len`] and [`ConsoleConfig::input_len`] more at most; each shard adds
//! one receive batch of 128 KiB.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::session::{
    CipherSuiteId, Quirk, Quirks, SessionConfig, SolConfig, TakeOver, Timing, UserLookup, Version,
};
use crate::supervisor::{ConsoleSettings, Keep, RetryConfig, Target};
use crate::wire::ipmi15::AuthType;
use crate::wire::{PrivilegeLevel, RMCP_PORT};

/// How an [`Engine`](crate::Engine) is made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EngineConfig {
    /// Threads that run sessions, 1 to 64. Default: one per core, at most 4.
    pub shards: usize,
    /// BMCs that share one UDP socket, 1 to 65,536. Default 256.
    pub bmcs_per_socket: usize,
    /// Calls that may wait for one shard, 1 to 1,048,576; the next one waits itself. Default
    /// 4,096.
    pub inbox_len: usize,
    /// Receive buffer asked of the kernel per socket, in bytes. Default 1 MiB; the kernel may
    /// give less.
    pub receive_buffer_len: usize,
    /// Local address of the sockets. Default: the kernel's choice.
    pub local_address: Option<IpAddr>,
    /// Threads that resolve names, at most, 1 to 64. They start when names wait and end after ten
    /// idle seconds. Default 8: a name whose server is silent blocks one for half a minute.
    pub resolvers: usize,
    /// Logins that begin per second, over all shards, 1 to 1,000,000, or 0 for no limit. Default
    /// 2,000. When thousands of BMCs come back after a power cut, they do so at this rate, in the
    /// order in which they were asked for.
    pub login_rate: u32,
    /// Logins under way at once, over all shards, 1 to 1,000,000. Default 1,024. A BMC that has
    /// not let us in within 3 s is not counted any more: dead ones keep nobody waiting longer.
    pub logins_at_once: usize,
    /// Threads that run callbacks at most, 1 to 1,024. There are none without callbacks, and one
    /// or two more than are busy; when so many callbacks block at once, the others wait. Default
    /// 64.
    pub dispatchers_max: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        EngineConfig {
            shards: cores.min(4),
            bmcs_per_socket: 256,
            inbox_len: 4096,
            receive_buffer_len: 1 << 20,
            local_address: None,
            resolvers: 8,
            login_rate: 2000,
            logins_at_once: 1024,
            dispatchers_max: 64,
        }
    }
}

impl EngineConfig {
    pub(crate) fn check(&self) -> Result<()> {
        let limits = [
            ("shards", self.shards, 64),
            ("bmcs_per_socket", self.bmcs_per_socket, 65_536),
            ("inbox_len", self.inbox_len, 1 << 20),
            ("resolvers", self.resolvers, 64),
            ("logins_at_once", self.logins_at_once, 1_000_000),
            ("dispatchers_max", self.dispatchers_max, 1024),
        ];
        if self.login_rate > 1_000_000 {
            let text = format!("login_rate is {}, not 0 to 1000000", self.login_rate);
            return Err(Error::misuse(text));
        }
        match limits.into_iter().find(|(_, value, max)| !(1..=*max).contains(value)) {
            None => Ok(()),
            Some((name, value, max)) => {
                Err(Error::misuse(format!("{name} is {value}, not 1 to {max}")))
            }
        }
    }
}

/// One BMC: where it is, who logs in, and how.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BmcConfig {
    /// A name, an IPv4 or an IPv6 address; link-local ones with `%` and a scope. No port.
    pub host: String,
    /// UDP port. Default 623.
    pub port: u16,
    /// Who logs in.
    pub credentials: Credentials,
    /// Let an empty user name log in. Default no.
    pub allow_null_user: bool,
    /// Suites to try, best first. Default 17, then 3. Suites without integrity or encryption
    /// are used only when listed here.
    pub cipher_suites: Vec<CipherSuiteId>,
    /// The level to work at. Default: Administrator, or what the BMC grants below it.
    pub privilege_level: Option<PrivilegeLevel>,
    /// How the BMC looks the user up. Default: by name only.
    pub user_lookup: UserLookup,
    /// Which IPMI version. Default: v2.0 only.
    pub version: Version,
    /// AuthTypes of v1.5, best first. Default MD5, MD2.
    pub auth_types: Vec<AuthType>,
    /// Workarounds for this BMC. Default none; most deviations need none.
    pub quirks: Quirks,
    /// Commands in flight at once, 1 to 8. Default 1: more than many BMCs can take.
    pub request_window: usize,
    /// Every waiting time of the session: waits of 10 ms (`keepalive` and `lost_*`: 100 ms) to 1 h,
    /// 1 to 100 attempts.
    pub timing: Timing,
}

impl BmcConfig {
    /// A BMC with every default.
    pub fn new(host: impl Into<String>, credentials: Credentials) -> Self {
        let session = SessionConfig::default();
        BmcConfig {
            host: host.into(),
            port: RMCP_PORT,
            credentials,
            allow_null_user: false,
            cipher_suites: session.cipher_suites,
            privilege_level: None,
            user_lookup: session.user_lookup,
            version: session.version,
            auth_types: session.auth_types,
            quirks: Quirks::NONE,
            request_window: 1,
            timing: session.timing,
        }
    }

    /// Sets the UDP port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Lets an empty user name log in.
    #[must_use]
    pub fn allow_null_user(mut self, allow: bool) -> Self {
        self.allow_null_user = allow;
        self
    }

    /// Sets the cipher suites to try, by ID, best first.
    #[must_use]
    pub fn cipher_suites(mut self, ids: &[u8]) -> Self {
        self.cipher_suites = ids.iter().copied().map(CipherSuiteId).collect();
        self
    }

    /// Sets the privilege level to work at: a BMC that grants less is an error then.
    #[must_use]
    pub fn privilege_level(mut self, level: PrivilegeLevel) -> Self {
        self.privilege_level = Some(level);
        self
    }

    /// Adds a workaround.
    #[must_use]
    pub fn quirk(mut self, quirk: Quirk) -> Self {
        self.quirks.insert(quirk);
        self
    }

    /// Sets which IPMI version to log in with.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    pub(crate) fn session_config(&self) -> SessionConfig {
        let credentials = self.credentials.current();
        SessionConfig {
            user_name: credentials.user_name.clone(),
            password: credentials.password.clone(),
            k_g: credentials.k_g.clone(),
            allow_null_user: self.allow_null_user,
            cipher_suites: self.cipher_suites.clone(),
            privilege_level: self.privilege_level,
            user_lookup: self.user_lookup,
            version: self.version,
            auth_types: self.auth_types.clone(),
            quirks: self.quirks,
            request_window: self.request_window,
            timing: self.timing.clone(),
        }
    }

    pub(crate) fn target(&self) -> Target {
        let session = Arc::new(self.session_config());
        Target { host: self.host.clone(), port: self.port, session }
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.host.is_empty() {
            return Err(Error::misuse("no host was given"));
        }
        if self.port == 0 {
            return Err(Error::misuse("the port is 0"));
        }
        check_timing(&self.timing)?;
        Ok(self.session_config().check()?)
    }
}

/// The BMC in a log line: its host, and its port where that is not the usual one.
impl std::fmt::Display for BmcConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            RMCP_PORT => f.write_str(&self.host),
            port if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            port => write!(f, "{}:{port}", self.host),
        }
    }
}

/// Keeps every waiting time within its range: too short a one would flood the BMC.
fn check_timing(timing: &Timing) -> Result<()> {
    const LONGEST: u128 = 3_600_000;
    let waits = [
        ("handshake_first", timing.handshake_first, 10),
        ("handshake_max", timing.handshake_max, 10),
        ("attempt_pause", timing.attempt_pause, 0),
        ("request_first", timing.request_first, 10),
        ("request_max", timing.request_max, 10),
        ("keepalive", timing.keepalive, 100),
        ("keepalive_jitter", timing.keepalive_jitter, 0),
        ("keepalive_retry", timing.keepalive_retry, 10),
        ("lost_after", timing.lost_after, 100),
        ("lost_after_hint", timing.lost_after_hint, 100),
        ("close", timing.close, 10),
    ];
    for (name, value, min) in waits {
        if !(min..=LONGEST).contains(&value.as_millis()) {
            return Err(Error::misuse(format!("{name} is {value:?}, not {min} ms to 1 h")));
        }
    }
    for (name, value) in [
        ("login_attempts", timing.login_attempts),
        ("request_transmissions", timing.request_transmissions),
    ] {
        if !(1..=100).contains(&value) {
            return Err(Error::misuse(format!("{name} is {value}, not 1 to 100")));
        }
    }
    Ok(())
}

/// How a console is run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsoleConfig {
    /// SOL instance, 1 to 15. Default 1.
    pub instance: u8,
    /// What to do when another session owns SOL. Default: take it when that session is gone.
    pub take_over: TakeOver,
    /// Accept SOL in clear from a BMC that refuses to encrypt it. Default no.
    pub allow_clear: bool,
    /// Bytes of the past that are kept for readers, 1 KiB to 1 GiB, grown as needed. Default
    /// 64 KiB.
    pub replay_len: usize,
    /// Bytes of input that wait for the BMC, 1 to 16 MiB. Default 16 KiB.
    pub input_len: usize,
    /// How long input is collected to fill a packet, at most 1 s. Default 0: not at all.
    pub accumulate: Duration,
    /// The wait for the first acknowledge, 10 ms to 60 s. Default 500 ms.
    pub retransmit_first: Duration,
    /// The shortest wait for an acknowledge once round trips were measured. Default 50 ms.
    pub retransmit_min: Duration,
    /// The longest wait for an acknowledge. Default 1 s.
    pub retransmit_max: Duration,
    /// An empty packet is sent after this long without input, 1 s to 1 h. Default never.
    pub keepalive: Option<Duration>,
    /// Whether it is connected again by itself after a loss or a failure. Default: no, only on
    /// request.
    pub keep: Keep,
    /// When that is tried.
    pub retry: RetryConfig,
    /// The file that everything is written to. Default none.
    pub log: Option<LogConfig>,
}

/// The log file of a console.
///
/// It gets the bytes as they are, with the time (UTC) before each line, and lines like
/// `2026-11-22T15:46:27.123Z -- connected, epoch 2 --` for everything else that happens. It is
/// appended to, made with mode 0600, and open as long as the console is: one file descriptor each.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogConfig {
    /// Where it is. Its folder has to be there.
    pub path: PathBuf,
    /// It is set aside before it would get longer than so many bytes, 4 KiB or more; 0 for never.
    /// Default 10 MiB.
    pub size_max: u64,
    /// How many of those that were set aside are kept, at most 1,000: the last one has `.1` behind
    /// its name, the one before `.2`, and so on. Default 4.
    pub keep: usize,
}

impl LogConfig {
    /// A log file with every default.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        LogConfig { path: path.into(), size_max: 10 << 20, keep: 4 }
    }

    /// Sets after how many bytes it is set aside, and how many of those are kept.
    #[must_use]
    pub fn rotate(mut self, size_max: u64, keep: usize) -> Self {
        (self.size_max, self.keep) = (size_max, keep);
        self
    }

    fn problem(&self) -> Option<&'static str> {
        if self.path.as_os_str().is_empty() {
            Some("the log file has no name")
        } else if (1..4096).contains(&self.size_max) {
            Some("the log file's size_max is neither 0 nor 4 KiB or more")
        } else if self.keep > 1000 {
            Some("more than 1000 log files are to be kept")
        } else {
            None
        }
    }
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        let sol = SolConfig::default();
        ConsoleConfig {
            instance: sol.instance,
            take_over: sol.take_over,
            allow_clear: sol.allow_clear,
            replay_len: 64 << 10,
            input_len: 16 << 10,
            accumulate: sol.accumulate,
            retransmit_first: sol.retransmit_first,
            retransmit_min: sol.retransmit_min,
            retransmit_max: sol.retransmit_max,
            keepalive: sol.keepalive,
            keep: Keep::default(),
            retry: RetryConfig::default(),
            log: None,
        }
    }
}

/// The time after which quirks `serialkeepalive` and `serialkeepaliveempty` send a packet.
const QUIRK_KEEPALIVE: Duration = Duration::from_secs(30);

impl ConsoleConfig {
    /// Sets what to do when another session owns SOL.
    #[must_use]
    pub fn take_over(mut self, take_over: TakeOver) -> Self {
        self.take_over = take_over;
        self
    }

    /// Keeps it connected from the moment it is opened.
    #[must_use]
    pub fn always_on(mut self) -> Self {
        self.keep = Keep::Always;
        self
    }

    /// Keeps it connected while a reader is attached, and `linger` longer: for ever with
    /// [`FOREVER`](crate::FOREVER), once somebody was attached.
    #[must_use]
    pub fn on_demand(mut self, linger: Duration) -> Self {
        self.keep = Keep::WhileAttached(linger);
        self
    }

    /// Sets the SOL instance.
    #[must_use]
    pub fn instance(mut self, instance: u8) -> Self {
        self.instance = instance;
        self
    }

    /// Has everything written to a file.
    #[must_use]
    pub fn log(mut self, log: LogConfig) -> Self {
        self.log = Some(log);
        self
    }

    /// Sets how many bytes of the past are kept for readers.
    #[must_use]
    pub fn replay_len(mut self, len: usize) -> Self {
        self.replay_len = len;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let ms = |duration: Duration| duration.as_millis();
        let problem = if !(1..=15).contains(&self.instance) {
            "the SOL instance is not 1 to 15"
        } else if !(1 << 10..=1 << 30).contains(&self.replay_len) {
            "replay_len is not 1 KiB to 1 GiB"
        } else if !(1..=16 << 20).contains(&self.input_len) {
            "input_len is not 1 byte to 16 MiB"
        } else if ms(self.accumulate) > 1000 {
            "accumulate is more than 1 s"
        } else if !(10..=60_000).contains(&ms(self.retransmit_first))
            || !(10..=60_000).contains(&ms(self.retransmit_min))
            || !(10..=60_000).contains(&ms(self.retransmit_max))
        {
            "a retransmit time is not 10 ms to 60 s"
        } else if self.retransmit_min > self.retransmit_max {
            "retransmit_min is more than retransmit_max"
        } else if self.keepalive.is_some_and(|every| !(1000..=3_600_000).contains(&ms(every))) {
            "keepalive is not 1 s to 1 h"
        } else if let Some(problem) = self.log.as_ref().and_then(LogConfig::problem) {
            problem
        } else {
            return Ok(());
        };
        Err(Error::misuse(problem))
    }

    pub(crate) fn settings(&self, quirks: Quirks) -> ConsoleSettings {
        let (keep, retry) = (self.keep, self.retry.clone());
        ConsoleSettings { sol: self.sol_config(quirks), keep, retry }
    }

    fn sol_config(&self, quirks: Quirks) -> SolConfig {
        let nul = quirks.has(Quirk::SerialKeepalive);
        let quirk_keepalive = nul || quirks.has(Quirk::SerialKeepaliveEmpty);
        SolConfig {
            instance: self.instance,
            take_over: self.take_over,
            allow_clear: self.allow_clear,
            accumulate: self.accumulate,
            retransmit_first: self.retransmit_first,
            retransmit_min: self.retransmit_min,
            retransmit_max: self.retransmit_max,
            keepalive: self.keepalive.or(quirk_keepalive.then_some(QUIRK_KEEPALIVE)),
            keepalive_nul: nul,
            ack_zero_means_all: quirks.has(Quirk::SolAckZero) || quirks.has(Quirk::Intel20),
            ..SolConfig::default()
        }
    }
}
