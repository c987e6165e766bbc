//! The command line: ipmitool's letters wherever it has one for the same thing.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bmclink::{
    BmcConfig, CipherSuiteId, ConsoleConfig, Credentials, PrivilegeLevel, Quirk, TakeOver,
    UserLookup,
};
use clap::{ArgAction, Parser, ValueEnum};

use crate::attachment::{Failure, exit};
use crate::terminal;

const PASSWORD_VARIABLE: &str = "BMCLINK_PASSWORD";
const KG_VARIABLE: &str = "BMCLINK_KG";

const MORE: &str = "\
Without -H a BMC is simulated in this process. When standard input is not a terminal this is a
filter: standard input goes to the console, and the console to standard output, byte for byte.

-P, -k and -y show the secret to everybody who can list processes; -E, -K, -f and being asked
do not.

Exit status:
  0        all is well
  1        another error, or a filter could not pass on everything
  2        wrong usage
  3        user, password, K_g or privilege level refused
  4        BMC not reached: no answer, connection refused, unknown name
  5        turned away: cipher suite, no free session, SOL disabled, in use or refused
  6        connection lost
  128 + N  ended by signal N
";

/// Attaches this terminal to the serial console of a BMC, by IPMI 2.0 Serial over LAN
#[derive(Parser)]
#[command(name = "console", after_help = MORE)]
pub struct Options {
    /// Name or address of the BMC
    #[arg(short = 'H', value_name = "HOST", requires = "user")]
    pub host: Option<String>,
    /// UDP port of the BMC
    #[arg(short, default_value_t = 623, requires = "host",
          value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// User name, 1 to 16 bytes; '' is the null user
    #[arg(short = 'U', requires = "host", value_parser = user_name)]
    pub user: Option<String>,
    /// Password, 0 to 20 bytes; without -P, -E and -f it is asked for
    #[arg(short = 'P', requires = "host", group = "secret", allow_hyphen_values = true)]
    password: Option<OsString>,
    /// Take the password from the environment variable BMCLINK_PASSWORD
    #[arg(short = 'E', requires = "host", group = "secret")]
    password_from_environment: bool,
    /// Take the password from the first line of FILE
    #[arg(short = 'f', value_name = "FILE", requires = "host", group = "secret")]
    password_file: Option<PathBuf>,
    /// BMC key K_g, 1 to 20 bytes
    #[arg(
        short = 'k',
        value_name = "KG",
        requires = "host",
        group = "k_g",
        allow_hyphen_values = true
    )]
    key: Option<OsString>,
    /// BMC key K_g in hexadecimal
    #[arg(short = 'y', value_name = "HEXKG", requires = "host", group = "k_g")]
    hex_key: Option<OsString>,
    /// Take K_g from the environment variable BMCLINK_KG
    #[arg(short = 'K', requires = "host", group = "k_g")]
    key_from_environment: bool,
    /// Cipher suites to try, best first
    #[arg(short = 'C', value_name = "SUITES", value_delimiter = ',', default_value = "17,3",
          value_parser = cipher_suite)]
    cipher_suites: Vec<u8>,
    /// Level to ask for, with '+' to be looked up by it too [default: the highest granted]
    #[arg(short = 'L', value_name = "PRIVILEGE")]
    privilege: Option<Privilege>,
    /// Escape character on a terminal, or 'none'
    #[arg(short, value_name = "ESCAPE", default_value = "~")]
    pub escape: EscapeCharacter,
    /// SOL instance
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u8).range(1..=15))]
    instance: u8,
    /// Take the console from another session: never, if stale, once, always
    #[arg(long, value_name = "WHEN", default_value = "stale", hide_possible_values = true)]
    take_over: TakeOverWhen,
    /// Name of a deviation of this BMC; may be given again
    #[arg(long, value_name = "NAME")]
    quirk: Vec<Quirk>,
    /// Seconds that connecting may take
    #[arg(long, value_name = "S", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..))]
    timeout: u32,
    /// As a filter, end when the input has and the console is silent for so long
    #[arg(long, value_name = "MS", default_value_t = 500)]
    linger: u32,
    /// Say what happens; twice for every detail
    #[arg(short, action = ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Clone, Copy)]
pub struct EscapeCharacter(pub Option<u8>);

#[derive(Clone, Copy)]
struct Privilege(PrivilegeLevel, UserLookup);

#[derive(Clone, Copy, ValueEnum)]
enum TakeOverWhen {
    Never,
    Stale,
    Once,
    Always,
}

impl Options {
    /// The BMC that was asked for. Asks for the password if nothing else names it.
    pub fn bmc(&self, host: &str) -> Result<BmcConfig, Failure> {
        let user = self.user.as_deref().unwrap_or_default();
        let k_g = self.k_g()?;
        let credentials = Credentials::with_k_g(user, self.password(user, host)?, k_g)?;
        Ok(BmcConfig::new(host, credentials).port(self.port).allow_null_user(user.is_empty()))
    }

    /// What was asked of the session, whatever the BMC.
    pub fn adjust(&self, mut config: BmcConfig) -> BmcConfig {
        config = config.cipher_suites(&self.cipher_suites);
        if let Some(Privilege(level, lookup)) = self.privilege {
            config = config.privilege_level(level);
            config.user_lookup = lookup;
        }
        self.quirk.iter().fold(config, |config, quirk| config.quirk(*quirk))
    }

    pub fn console(&self) -> ConsoleConfig {
        let take_over = match self.take_over {
            TakeOverWhen::Never => TakeOver::Never,
            TakeOverWhen::Stale => TakeOver::Stale,
            TakeOverWhen::Once => TakeOver::Once,
            TakeOverWhen::Always => TakeOver::Always,
        };
        ConsoleConfig::default().instance(self.instance).take_over(take_over)
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }

    pub fn linger(&self) -> Duration {
        Duration::from_millis(self.linger.into())
    }

    fn password(&self, user: &str, host: &str) -> Result<Vec<u8>, Failure> {
        if let Some(password) = &self.password {
            return Ok(password.as_bytes().to_vec());
        }
        if self.password_from_environment {
            return from_environment(PASSWORD_VARIABLE);
        }
        if let Some(path) = &self.password_file {
            let file = || first_line(File::open(path)?);
            return file().map_err(|error| usage(format!("-f {}: {error}", path.display())));
        }
        if !std::io::stdin().is_terminal() {
            let text = "no password was given, and standard input is no terminal to ask on";
            return Err(Failure { advice: Some("give -E, -f or -P"), ..usage(text.to_owned()) });
        }
        terminal::ask_secret(&format!("password of {user} at {host}: "))
            .map_err(|error| usage(format!("no password: {error}")))
    }

    fn k_g(&self) -> Result<Vec<u8>, Failure> {
        if let Some(key) = &self.key {
            return Ok(key.as_bytes().to_vec());
        }
        if self.key_from_environment {
            return from_environment(KG_VARIABLE);
        }
        match &self.hex_key {
            Some(hex) => bytes_of_hex(hex.as_bytes()).map_err(usage),
            None => Ok(Vec::new()),
        }
    }
}

fn usage(text: String) -> Failure {
    Failure::new(exit::USAGE, text)
}

fn from_environment(name: &str) -> Result<Vec<u8>, Failure> {
    match std::env::var_os(name) {
        Some(value) => Ok(value.as_bytes().to_vec()),
        None => Err(usage(format!("the environment variable {name} is not set"))),
    }
}

fn first_line(file: File) -> std::io::Result<Vec<u8>> {
    let mut line = Vec::new();
    // Longer than any password, shorter than whatever else the file may be.
    BufReader::new(file.take(1024)).read_until(b'\n', &mut line)?;
    line.pop_if(|byte| *byte == b'\n');
    line.pop_if(|byte| *byte == b'\r');
    Ok(line)
}

/// Says what is wrong without saying what the key is.
fn bytes_of_hex(hex: &[u8]) -> Result<Vec<u8>, String> {
    let hex = hex.strip_prefix(b"0x").unwrap_or(hex);
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let digits: Option<Vec<u8>> = hex.iter().map(digit).collect();
    match digits {
        None => Err("the key given with -y is not hexadecimal".to_owned()),
        Some(digits) if digits.is_empty() || digits.len() % 2 == 1 => {
            Err(format!("the key given with -y has {} digits: not whole bytes", digits.len()))
        }
        Some(digits) => Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()),
    }
}

fn user_name(name: &str) -> Result<String, &'static str> {
    if name.len() > 16 { Err("longer than 16 bytes") } else { Ok(name.to_owned()) }
}

fn cipher_suite(id: &str) -> Result<u8, &'static str> {
    let suite = CipherSuiteId(id.parse().map_err(|_| "not a number from 0 to 255")?);
    match suite.algorithms() {
        Some(_) => Ok(suite.0),
        None if suite.is_xrc4() => Err("a suite with xRC4, which is not implemented"),
        None => Err("not one of 0-3, 6-8, 11, 12 and 15-17"),
    }
}

impl FromStr for EscapeCharacter {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            b"none" => Ok(EscapeCharacter(None)),
            [b'.' | b'B' | b'?'] => Err("means something after the escape character"),
            [byte @ 0x21..=0x7e] => Ok(EscapeCharacter(Some(*byte))),
            _ => Err("neither one printable ASCII character nor 'none'"),
        }
    }
}

impl FromStr for Privilege {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, lookup) = match text.strip_suffix('+') {
            Some(name) => (name, UserLookup::NameAndPrivilege),
            None => (text, UserLookup::NameOnly),
        };
        let level = match name.to_ascii_lowercase().as_str() {
            "callback" => PrivilegeLevel::Callback,
            "user" => PrivilegeLevel::User,
            "operator" => PrivilegeLevel::Operator,
            "administrator" => PrivilegeLevel::Administrator,
            _ => return Err("not callback, user, operator or administrator"),
        };
        Ok(Privilege(level, lookup))
    }
}
