//! Our end, as short as tests want it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::time::{Duration, Instant};

use bmclink::{
    Bmc, BmcConfig, Console, ConsoleConfig, Credentials, Engine, EngineConfig, Error, RawReply,
    Reader, Result, TakeOver,
};

use crate::support::{Account, SplitMix64};

/// Far longer than anything here takes, however busy the machine.
pub const LONG: Duration = Duration::from_secs(60);

pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub const fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// One BMC with an engine of its own: dropping it closes the session and waits for that.
pub struct Client {
    // Dropped in this order.
    bmc: Bmc,
    _engine: Engine,
}

impl Client {
    #[track_caller]
    pub fn new(config: BmcConfig) -> Self {
        let mut engine_config = EngineConfig::default();
        engine_config.shards = 1;
        let engine = Engine::new(engine_config).expect("an engine");
        let bmc = engine.bmc(config).expect("a legal configuration");
        Client { bmc, _engine: engine }
    }

    /// Logs in, and says why not.
    #[track_caller]
    pub fn log_in(&self) {
        self.bmc.connect(LONG).unwrap_or_else(|error| panic!("{}", explain(&error)));
    }

    #[track_caller]
    pub fn login_error(&self) -> Error {
        self.bmc.connect(LONG).expect_err("the login must fail")
    }

    /// The data of a command that must succeed.
    #[track_caller]
    pub fn ask(&self, net_fn: u8, cmd: u8, data: &[u8]) -> Vec<u8> {
        let reply = self.bmc.raw(net_fn, 0, cmd, data, LONG);
        let RawReply { completion_code, data } =
            reply.unwrap_or_else(|error| panic!("{}", explain(&error)));
        assert_eq!(completion_code.0, 0, "command {net_fn:02x}h {cmd:02x}h");
        data
    }

    /// Get Device ID.
    #[track_caller]
    pub fn device_id(&self) -> Vec<u8> {
        let data = self.ask(0x06, 0x01, &[]);
        assert!(data.len() >= 11, "{data:02x?}");
        data
    }

    /// Get Chassis Status.
    #[track_caller]
    pub fn is_powered_on(&self) -> bool {
        self.ask(0x00, 0x01, &[])[0] & 1 != 0
    }

    /// Chassis Control.
    #[track_caller]
    pub fn set_power(&self, on: bool) {
        self.ask(0x00, 0x02, &[u8::from(on)]);
    }

    #[track_caller]
    pub fn unconnected_console(&self) -> Console {
        self.bmc.console(ConsoleConfig::default()).expect("a legal configuration")
    }

    /// A connected console.
    #[track_caller]
    pub fn console(&self) -> Console {
        self.console_with(ConsoleConfig::default())
    }

    pub fn console_or_error(&self, take_over: TakeOver) -> Result<Console> {
        let console = self.bmc.console(ConsoleConfig::default().take_over(take_over))?;
        console.connect(LONG)?;
        Ok(console)
    }

    #[track_caller]
    pub fn console_with(&self, config: ConsoleConfig) -> Console {
        let console = self.bmc.console(config).expect("a legal configuration");
        console.connect(LONG).unwrap_or_else(|error| panic!("{}", explain(&error)));
        console
    }
}

impl Deref for Client {
    type Target = Bmc;

    fn deref(&self) -> &Bmc {
        &self.bmc
    }
}

pub fn explain(error: &Error) -> String {
    format!("{:?}: {error} ({})", error.kind(), error.advice())
}

pub fn config(bmc: SocketAddr, name: &str, password: &str) -> BmcConfig {
    config_with_key(bmc, name, password, &[])
}

pub fn config_with_key(bmc: SocketAddr, name: &str, password: &str, k_g: &[u8]) -> BmcConfig {
    let credentials = Credentials::with_k_g(name, password, k_g).expect("legal credentials");
    BmcConfig::new(bmc.ip().to_string(), credentials).port(bmc.port())
}

pub fn config_of(bmc: SocketAddr, account: Account) -> BmcConfig {
    config(bmc, account.name, account.password)
}

/// What comes out of the console: `len` bytes, or fewer when they take longer than `timeout`.
pub fn read(reader: &mut Reader, len: usize, timeout: Duration) -> Vec<u8> {
    let end = Instant::now() + timeout;
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    while got.len() < len {
        let left = end.saturating_duration_since(Instant::now());
        let room = (len - got.len()).min(buffer.len());
        match reader.read(&mut buffer[..room], left) {
            Ok(len) => got.extend_from_slice(&buffer[..len]),
            Err(_) => break,
        }
    }
    got
}

/// What comes out of the console next; nothing when nothing comes until `timeout`.
pub fn read_some(reader: &mut Reader, timeout: Duration) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let len = reader.read(&mut buffer, timeout).unwrap_or(0);
    buffer[..len].to_vec()
}

/// What comes out of the console up to and with `end`, or all until `timeout`.
pub fn read_until(reader: &mut Reader, end: &[u8], timeout: Duration) -> Vec<u8> {
    let deadline = Instant::now() + timeout;
    let mut got = Vec::new();
    while !got.ends_with(end) {
        let left = deadline.saturating_duration_since(Instant::now());
        let byte = read(reader, 1, left);
        if byte.is_empty() {
            break;
        }
        got.extend(byte);
    }
    got
}

/// All 256 values, no two places alike.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    SplitMix64::new(seed).bytes(len)
}

/// Like `assert_eq`, for what is too long to print.
#[track_caller]
pub fn assert_same(what: &str, got: &[u8], wanted: &[u8]) {
    if got == wanted {
        return;
    }
    let at = got.iter().zip(wanted).take_while(|(got, wanted)| got == wanted).count();
    let near = |bytes: &[u8]| bytes[at..bytes.len().min(at + 48)].to_vec();
    panic!(
        "{what}: {} bytes, not {}; they part at {at}:\n got    {:02x?}\n wanted {:02x?}",
        got.len(),
        wanted.len(),
        near(got),
        near(wanted)
    );
}
