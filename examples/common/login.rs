//! Which BMCs, and who logs in: the part of the command line that is the same everywhere.

use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use bmclink::sim::{Simulator, SimulatorOptions};
use bmclink::{Bmc, BmcConfig, Credentials, Engine};
use clap::Args;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use super::names::{expand, with_port};

const PASSWORD_VARIABLE: &str = "BMCLINK_PASSWORD";
/// So many BMCs are simulated when none is named.
const SIMULATED: usize = 8;
const INTERRUPT: u8 = 3;
const END_OF_INPUT: u8 = 4;

#[derive(Args)]
pub struct Login {
    /// BMCs, as names with ranges: node[01-16,20],spare:6230; without, simulated ones
    #[arg(short = 'H', value_name = "LIST", requires = "user")]
    list: Option<String>,
    /// User name
    #[arg(short = 'U', requires = "list")]
    user: Option<String>,
    /// Password; everybody who can list processes sees it
    #[arg(short = 'P', requires = "list", group = "secret", allow_hyphen_values = true)]
    password: Option<String>,
    /// File whose first line is the password
    #[arg(short = 'f', value_name = "FILE", requires = "list", group = "secret")]
    file: Option<PathBuf>,
    /// Take the password from the environment variable BMCLINK_PASSWORD
    #[arg(short = 'E', requires = "list", group = "secret")]
    environment: bool,
}

/// The BMCs, each with the name it was called by.
pub struct Bmcs {
    pub names: Vec<String>,
    pub bmcs: Vec<Bmc>,
    /// What plays them, when nobody named any.
    _simulator: Option<Simulator>,
}

type Failure = Box<dyn std::error::Error>;

impl Login {
    /// Makes the BMCs that are named. Asks for the password if nothing else gives it.
    pub fn bmcs(&self, engine: &Engine) -> Result<Bmcs, Failure> {
        let (Some(list), Some(user)) = (&self.list, &self.user) else { return simulated(engine) };
        let names = expand(list)?;
        let hosts = names.iter().map(|name| with_port(name)).collect::<Result<Vec<_>, _>>()?;
        let credentials = Credentials::new(user.as_bytes(), self.secret(user)?)?;
        let config = |(host, port)| BmcConfig::new(host, credentials.clone()).port(port);
        let bmcs = hosts.into_iter().map(|host| engine.bmc(config(host)));
        let bmcs = bmcs.collect::<Result<_, _>>()?;
        Ok(Bmcs { names, bmcs, _simulator: None })
    }

    fn secret(&self, user: &str) -> Result<Vec<u8>, Failure> {
        if let Some(password) = &self.password {
            return Ok(password.clone().into_bytes());
        }
        if let Some(file) = &self.file {
            let text = std::fs::read(file)
                .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
            return Ok(line.strip_suffix(b"\r").unwrap_or(line).to_vec());
        }
        if self.environment {
            let value = std::env::var_os(PASSWORD_VARIABLE);
            let value = value.ok_or_else(|| format!("{PASSWORD_VARIABLE} is not set"))?;
            return Ok(value.into_encoded_bytes());
        }
        if !io::stdin().is_terminal() {
            return Err("no password, and no terminal to ask on: give -E, -f or -P".into());
        }
        Ok(ask(&format!("password of {user}: "))?)
    }
}

fn simulated(engine: &Engine) -> Result<Bmcs, Failure> {
    let options = SimulatorOptions { count: SIMULATED, ..Default::default() };
    let simulator = Simulator::start(options)?;
    let credentials = Credentials::new("admin", "password")?;
    let (mut names, mut bmcs) = (Vec::new(), Vec::new());
    for number in 0..simulator.count() {
        let address = simulator.address(number);
        let config = BmcConfig::new(address.ip().to_string(), credentials.clone());
        bmcs.push(engine.bmc(config.port(address.port()))?);
        names.push(format!("simulated{number}"));
    }
    Ok(Bmcs { names, bmcs, _simulator: Some(simulator) })
}

/// Asks for a line on the terminal without showing it. Signals wait: whatever ends this, the
/// terminal is as it was.
fn ask(prompt: &str) -> io::Result<Vec<u8>> {
    let terminal = io::stdin();
    let before = tcgetattr(terminal.as_fd())?;
    let mut hidden = before.clone();
    hidden.local_flags.remove(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG);
    tcsetattr(terminal.as_fd(), SetArg::TCSAFLUSH, &hidden)?;
    let line = io::stderr().write_all(prompt.as_bytes()).and_then(|()| read_line());
    tcsetattr(terminal.as_fd(), SetArg::TCSAFLUSH, &before)?;
    io::stderr().write_all(b"\n")?;
    line
}

fn read_line() -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    for byte in io::stdin().lock().bytes() {
        match byte? {
            b'\n' | b'\r' => return Ok(line),
            INTERRUPT | END_OF_INPUT => return Err(io::ErrorKind::Interrupted.into()),
            0x08 | 0x7f => drop(line.pop()),
            byte => line.push(byte),
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
