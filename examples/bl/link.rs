//! The BMC a command talks to.

use std::time::Duration;

use bmclink::command::{Dialog, Target};
use bmclink::session::Reply;
use bmclink::sim::{Simulator, SimulatorOptions};
use bmclink::{Bmc, BmcConfig, Credentials, Engine, EngineConfig, Error, ErrorKind, Version};

use crate::options::Options;
use crate::text::{Failure, Outcome, code_text, warn};

/// What a walk through a repository may take.
const WALK_TIME: Duration = Duration::from_secs(600);
/// What a request may take that a satellite controller answers, besides its repeats.
const BRIDGE_TIME: Duration = Duration::from_secs(10);

/// The options, and a session that begins with the first command.
pub struct Link {
    pub options: Options,
    bmc: Bmc,
    is_up: bool,
    // Ends behind the BMC's session.
    _engine: Engine,
    _simulator: Option<Simulator>,
}

impl Link {
    pub fn new(options: Options) -> Outcome<Link> {
        let (config, simulator) = config(&options)?;
        let mut engine_config = EngineConfig::default();
        engine_config.shards = 1;
        let failed = |error: Error| Failure::new(format!("bl: {error}"));
        let engine = Engine::new(engine_config).map_err(failed)?;
        let bmc = engine.bmc(config).map_err(failed)?;
        Ok(Link { options, bmc, is_up: false, _engine: engine, _simulator: simulator })
    }

    /// The BMC, logged in.
    pub fn bmc(&mut self) -> Outcome<&Bmc> {
        if !self.is_up {
            self.bmc.connect(self.login_time()).map_err(|error| self.not_connected(&error))?;
            self.is_up = true;
        }
        Ok(&self.bmc)
    }

    /// Has a dialog with what `-t` names, or with the BMC.
    pub fn run<T>(
        &mut self,
        function: impl AsyncFnOnce(Dialog) -> bmclink::Result<T>,
    ) -> Outcome<bmclink::Result<T>> {
        let target = self.options.target;
        self.run_at(target, function)
    }

    pub fn run_at<T>(
        &mut self,
        target: Target,
        function: impl AsyncFnOnce(Dialog) -> bmclink::Result<T>,
    ) -> Outcome<bmclink::Result<T>> {
        let run = async |dialog: Dialog| function(dialog.at(target)).await;
        Ok(self.bmc()?.run(WALK_TIME, run))
    }

    /// Has a dialog; what fails is said behind `what`.
    pub fn done<T>(
        &mut self,
        what: &str,
        function: impl AsyncFnOnce(Dialog) -> bmclink::Result<T>,
    ) -> Outcome<T> {
        self.run(function)?.map_err(|error| Failure::of(what, &error))
    }

    /// Sends a request and gives the response whatever its completion code.
    pub fn ask(&mut self, net_fn: u8, cmd: u8, data: &[u8]) -> Outcome<bmclink::Result<Reply>> {
        let target = self.options.target;
        self.ask_at(target, net_fn, cmd, data)
    }

    pub fn ask_at(
        &mut self,
        target: Target,
        net_fn: u8,
        cmd: u8,
        data: &[u8],
    ) -> Outcome<bmclink::Result<Reply>> {
        let time = self.request_time();
        let lun = target.lun_number();
        let ask = async |dialog: Dialog| dialog.at(target).raw(net_fn, lun, cmd, data).await;
        Ok(self.bmc()?.run(time, ask))
    }

    /// Sends a request; what is not a success is said behind `what`.
    pub fn get(&mut self, what: &str, net_fn: u8, cmd: u8, data: &[u8]) -> Outcome<Vec<u8>> {
        match self.ask(net_fn, cmd, data)? {
            Ok(reply) if reply.completion_code.0 == 0 => Ok(reply.data),
            Ok(reply) => Err(Failure::new(format!("{what}: {}", code_text(reply.completion_code)))),
            Err(error) => Err(Failure::of(what, &error)),
        }
    }

    /// The data of a success; `None` for anything else the BMC answers.
    pub fn find(&mut self, net_fn: u8, cmd: u8, data: &[u8]) -> Outcome<Option<Vec<u8>>> {
        match self.ask(net_fn, cmd, data)? {
            Ok(reply) => Ok(Some(reply.data).filter(|_| reply.completion_code.0 == 0)),
            Err(error) => Err(Failure::of("Error", &error)),
        }
    }

    pub fn login_time(&self) -> Duration {
        self.options.wait * (self.options.retries + 1) * 4
    }

    fn request_time(&self) -> Duration {
        self.options.wait * (self.options.retries + 1) * 2 + BRIDGE_TIME
    }

    /// The reason, which ipmitool keeps to itself, and the line that scripts look for.
    pub fn not_connected(&self, error: &Error) -> Failure {
        let host = self.options.host.as_deref().unwrap_or("the simulated BMC");
        let mut text = format!("bl: {error}\nbl: try: {}\n", error.advice());
        if error.kind() == ErrorKind::NameNotFound {
            text = format!("Address lookup for {host} failed\nCould not open socket!\n");
        }
        let line = match self.options.version {
            Version::V15 => "Error: Unable to establish LAN session",
            _ => "Error: Unable to establish IPMI v2 / RMCP+ session",
        };
        Failure::new(text + line)
    }
}

/// The BMC that was asked for, or a simulated one when none was.
fn config(options: &Options) -> Outcome<(BmcConfig, Option<Simulator>)> {
    let failed = |error: Error| Failure::new(format!("bl: {error}"));
    let Some(host) = &options.host else {
        let simulator = Simulator::start(SimulatorOptions { port: 0, ..Default::default() });
        let simulator =
            simulator.map_err(|error| Failure::new(format!("cannot simulate a BMC: {error}")))?;
        warn("bl: no -H was given: this is a simulated BMC");
        let address = simulator.address(0);
        let credentials = Credentials::new("admin", "password").map_err(failed)?;
        let config = BmcConfig::new(address.ip().to_string(), credentials).port(address.port());
        return Ok((adjusted(config, options), Some(simulator)));
    };
    let user = options.user.as_deref().unwrap_or_default();
    let credentials = Credentials::with_k_g(user, &*options.password, &*options.k_g);
    let config = BmcConfig::new(host, credentials.map_err(failed)?).port(options.port);
    Ok((adjusted(config.allow_null_user(user.is_empty()), options), None))
}

fn adjusted(mut config: BmcConfig, options: &Options) -> BmcConfig {
    config = config.version(options.version);
    if let Some(suites) = &options.suites {
        config = config.cipher_suites(suites);
    }
    if let Some(level) = options.level {
        config = config.privilege_level(level);
    }
    config.user_lookup = options.lookup;
    if let Some(auth_type) = options.auth_type {
        config.auth_types = vec![auth_type];
    }
    config.timing.handshake_first = options.wait;
    config.timing.handshake_max = config.timing.handshake_max.max(options.wait);
    config.timing.request_first = options.wait;
    config.timing.request_max = config.timing.request_max.max(options.wait);
    config.timing.login_attempts = options.retries + 1;
    config.timing.request_transmissions = options.retries + 1;
    options.quirk.into_iter().fold(config, BmcConfig::quirk)
}
