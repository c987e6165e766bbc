//! The part of a command line that names a BMC, who logs in there, and how: ipmitool's letters
//! wherever it has one for the same thing.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;

use bmclink::{
    BmcConfig, CipherSuiteId, ConsoleConfig, Credentials, PrivilegeLevel, Quirk, TakeOver,
    UserLookup,
};
use clap::{Args, ValueEnum};

use crate::failure::{Failure, exit};
use crate::terminal;

/// Where a password may be: the second and third are ipmitool's.
const PASSWORD_VARIABLES: [&str; 3] = ["BMCLINK_PASSWORD", "IPMITOOL_PASSWORD", "IPMI_PASSWORD"];
const KG_VARIABLE: &str = "BMCLINK_KG";

#[derive(Args)]
pub struct Target {
    /// Name or address of the BMC
    #[arg(short = 'H', value_name = "HOST", requires = "user")]
    pub host: Option<String>,
    /// UDP port of the BMC
    #[arg(short, default_value_t = 623, requires = "host",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// User name, 1 to 16 bytes; '' is the null user
    #[arg(short = 'U', requires = "host", value_parser = user_name)]
    pub user: Option<String>,
    /// Password, 0 to 20 bytes: seen by everybody who can list processes
    #[arg(short = 'P', requires = "host", group = "secret", allow_hyphen_values = true)]
    password: Option<OsString>,
    /// Take the password from the environment: BMCLINK_PASSWORD, or what ipmitool looks at
    #[arg(short = 'E', requires = "host", group = "secret")]
    password_from_environment: bool,
    /// Take the password from the first line of FILE
    #[arg(short = 'f', value_name = "FILE", requires = "host", group = "secret")]
    pub password_file: Option<PathBuf>,
    /// Take the password from the first line of what this file descriptor gives
    #[arg(long, value_name = "N", requires = "host", group = "secret")]
    password_fd: Option<u32>,
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
    /// SOL instance
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u8).range(1..=15))]
    pub instance: u8,
    /// Take the console from another session: never, if stale, once, always
    #[arg(long, value_name = "WHEN", default_value = "stale", hide_possible_values = true)]
    take_over: TakeOverWhen,
    /// Name of a deviation of this BMC; may be given again
    #[arg(long, value_name = "NAME")]
    quirk: Vec<Quirk>,
}

#[derive(Clone, Copy)]
struct Privilege(PrivilegeLevel, UserLookup);

#[derive(Clone, Copy, ValueEnum)]
enum TakeOverWhen {
    Never,
    Stale,
    Once,
    Always,
}

impl Target {
    /// The BMC that was asked for. When nothing names the password, it is asked for if `asks`.
    pub fn bmc(&self, host: &str, asks: bool) -> Result<BmcConfig, Failure> {
        let user = self.user.as_deref().unwrap_or_default();
        let k_g = self.k_g()?;
        let password = self.password(user, host, asks)?;
        let credentials = Credentials::with_k_g(user, password, k_g)?;
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

    fn password(&self, user: &str, host: &str, asks: bool) -> Result<Vec<u8>, Failure> {
        if let Some(password) = &self.password {
            return Ok(password.as_bytes().to_vec());
        }
        if self.password_from_environment {
            return from_environment(&PASSWORD_VARIABLES);
        }
        if let Some(path) = &self.password_file {
            let file = || first_line(File::open(path)?);
            return file().map_err(|error| usage(format!("-f {}: {error}", path.display())));
        }
        if let Some(fd) = self.password_fd {
            let file = || first_line(File::open(format!("/proc/self/fd/{fd}"))?);
            return file().map_err(|error| usage(format!("--password-fd {fd}: {error}")));
        }
        if !asks {
            return Err(no_password("no password was given"));
        }
        if !std::io::stdin().is_terminal() {
            let text = "no password was given, and standard input is no terminal to ask on";
            return Err(no_password(text));
        }
        terminal::ask_secret(&format!("password of {user} at {host}: "))
            .map_err(|error| usage(format!("no password: {error}")))
    }

    pub fn k_g(&self) -> Result<Vec<u8>, Failure> {
        if let Some(key) = &self.key {
            return Ok(key.as_bytes().to_vec());
        }
        if self.key_from_environment {
            return from_environment(&[KG_VARIABLE]);
        }
        match &self.hex_key {
            Some(hex) => bytes_of_hex(hex.as_bytes()).map_err(usage),
            None => Ok(Vec::new()),
        }
    }
}

fn no_password(text: &str) -> Failure {
    Failure { advice: Some("give -E, -f or -P"), ..usage(text.to_owned()) }
}

pub fn usage(text: String) -> Failure {
    Failure::new(exit::USAGE, text)
}

/// The first of these variables that is set.
fn from_environment(names: &[&str]) -> Result<Vec<u8>, Failure> {
    match names.iter().find_map(std::env::var_os) {
        Some(value) => Ok(value.as_bytes().to_vec()),
        None => Err(usage(format!("the environment variable {} is not set", names[0]))),
    }
}

/// Without the end of the line.
pub fn first_line(file: File) -> std::io::Result<Vec<u8>> {
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
