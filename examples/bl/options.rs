//! The command line, as getopt reads ipmitool's.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use bmclink::command::{Hop, Target};
use bmclink::{AuthType, PrivilegeLevel, Quirk, UserLookup, Version};
use zeroize::Zeroizing;

use crate::hide;
use crate::terminal;
use crate::text::{self, Failure, Outcome};

/// Letters with a value behind them.
const WITH_VALUE: &[u8] = b"IHpUPfkyCLAoONRetbTBlmzSdD";
const WITHOUT_VALUE: &[u8] = b"hVvcEKYa46gsZ";

/// What the command line asks for.
pub enum Parsed {
    Run(Box<Options>),
    Help,
    Version,
    /// The types that `-o` takes.
    Types,
}

/// The options and the command.
pub struct Options {
    pub version: Version,
    pub host: Option<String>,
    pub port: u16,
    pub user: Option<String>,
    pub password: Zeroizing<Vec<u8>>,
    pub k_g: Zeroizing<Vec<u8>>,
    pub suites: Option<Vec<u8>>,
    pub level: Option<PrivilegeLevel>,
    pub lookup: UserLookup,
    pub auth_type: Option<AuthType>,
    pub quirk: Option<Quirk>,
    /// How long an answer is waited for, and how often the request is sent again.
    pub wait: Duration,
    pub retries: u32,
    pub escape: u8,
    pub target: Target,
    /// As it is written in error messages.
    pub channel: u8,
    pub csv: bool,
    pub verbose: u8,
    pub sdr_file: Option<String>,
    /// Zeroed, as a password may be among them.
    pub command: Zeroizing<Vec<String>>,
}

/// What was given, before it is looked into.
#[derive(Default)]
struct Given {
    values: Vec<(u8, OsString)>,
    flags: Vec<u8>,
    command: Vec<OsString>,
}

impl Drop for Given {
    fn drop(&mut self) {
        let values = self.values.drain(..).map(|(_, value)| value);
        values.chain(self.command.drain(..)).for_each(forget);
    }
}

/// Zeroes a word: it may have been a secret.
fn forget(word: OsString) {
    drop(Zeroizing::new(word.into_vec()));
}

impl Given {
    /// The last one counts, as in ipmitool.
    fn value(&self, letter: u8) -> Option<&OsStr> {
        let given = self.values.iter().rev().find(|(own, _)| *own == letter);
        given.map(|(_, value)| value.as_os_str())
    }

    fn text(&self, letter: u8) -> Option<String> {
        self.value(letter).map(|value| value.to_string_lossy().into_owned())
    }

    fn has(&self, letter: u8) -> bool {
        self.flags.contains(&letter)
    }

    fn number(&self, letter: u8, range: std::ops::RangeInclusive<i64>) -> Outcome<Option<i64>> {
        let Some(text) = self.text(letter) else { return Ok(None) };
        let number = text::number(&text).filter(|number| range.contains(number));
        let letter = char::from(letter);
        let failed = format!("Invalid parameter given or out of range for '-{letter}'.");
        number.map(Some).ok_or_else(|| Failure::new(failed))
    }
}

pub fn parse(arguments: Vec<OsString>) -> Outcome<Parsed> {
    let given = split(arguments)?;
    hide_secrets(&given);
    if given.has(b'h') {
        return Ok(Parsed::Help);
    }
    if given.has(b'V') {
        return Ok(Parsed::Version);
    }
    if matches!(given.text(b'o').as_deref(), Some("list" | "help")) {
        return Ok(Parsed::Types);
    }
    read(&given).map(|options| Parsed::Run(Box::new(options)))
}

/// Options may stand anywhere, with their values attached or not; behind the first word of the
/// command what looks like a negative number is a word too.
fn split(arguments: Vec<OsString>) -> Outcome<Given> {
    let mut given = Given::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let bytes = argument.as_bytes();
        if bytes == b"--" {
            given.command.extend(arguments);
            break;
        }
        let is_number = !given.command.is_empty() && bytes.get(1).is_some_and(u8::is_ascii_digit);
        let [b'-', letters @ ..] = bytes else {
            given.command.push(argument);
            continue;
        };
        if letters.is_empty() || is_number {
            given.command.push(argument);
            continue;
        }
        let letters = Zeroizing::new(letters.to_vec());
        forget(argument);
        for (at, letter) in letters.iter().enumerate() {
            if WITHOUT_VALUE.contains(letter) {
                given.flags.push(*letter);
            } else if WITH_VALUE.contains(letter) {
                let attached = &letters[at + 1..];
                let value = match attached.is_empty() {
                    true => arguments.next().ok_or_else(|| missing(*letter))?,
                    false => OsString::from_vec(attached.to_vec()),
                };
                given.values.push((*letter, value));
                break;
            } else {
                let what = format!("invalid option -- '{}'", char::from(*letter));
                return Err(Failure::new(format!("bl: {what}\n{}", crate::usage::text())));
            }
        }
    }
    Ok(given)
}

fn missing(letter: u8) -> Failure {
    let what = format!("option requires an argument -- '{}'", char::from(letter));
    Failure::new(format!("bl: {what}\n{}", crate::usage::text()))
}

fn hide_secrets(given: &Given) {
    let options = given.values.iter().filter(|(letter, _)| b"Pky".contains(letter));
    let mut secrets: Vec<&OsStr> = options.map(|(_, value)| value.as_os_str()).collect();
    let words: Vec<&[u8]> = given.command.iter().map(|word| word.as_bytes()).collect();
    let at = match words[..] {
        [b"user", b"set", b"password", ..] | [b"user", b"test", ..] => 4,
        [b"lan", b"set", _, b"password", ..] => 4,
        _ => usize::MAX,
    };
    secrets.extend(given.command.get(at).map(OsString::as_os_str));
    hide::hide(&secrets);
}

fn read(given: &Given) -> Outcome<Options> {
    let version = match given.text(b'I').as_deref() {
        None | Some("lanplus") => Version::V20,
        Some("lan") => Version::V15,
        Some(other) => return Err(Failure::new(format!("Error loading interface {other}"))),
    };
    let (level, lookup) = level(given)?;
    let host = given.text(b'H');
    let user = given.text(b'U');
    if user.as_ref().is_some_and(|user| user.len() > 16) {
        return Err(Failure::new("Username is too long (> 16 bytes)"));
    }
    // Looked at before a password is asked for.
    let (target, channel) = target(given)?;
    let port = given.number(b'p', 1..=65535)?.unwrap_or(623);
    let wait = given.number(b'N', 1..=3600)?.unwrap_or(1);
    let retries = given.number(b'R', 0..=99)?.unwrap_or(4);
    let suites = given.number(b'C', 0..=255)?.map(|id| vec![id as u8]);
    let auth_type = auth_type(given)?;
    let quirk = quirk(given)?;
    let k_g = k_g(given)?;
    let password = match host {
        Some(_) => password(given)?,
        None => Zeroizing::default(),
    };
    if password.len() > 20 {
        return Err(Failure::new("lanplus: password is longer than 20 bytes."));
    }
    Ok(Options {
        version,
        host,
        port: port as u16,
        user,
        password,
        k_g,
        suites,
        level,
        lookup,
        auth_type,
        quirk,
        wait: Duration::from_secs(wait as u64),
        retries: retries as u32,
        escape: given.value(b'e').and_then(|e| e.as_bytes().first().copied()).unwrap_or(b'~'),
        target,
        channel,
        csv: given.has(b'c'),
        verbose: given.flags.iter().filter(|flag| **flag == b'v').count().min(9) as u8,
        sdr_file: given.text(b'S'),
        command: Zeroizing::new(
            given.command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        ),
    })
}

/// Where commands go; the numbers are named as in `-t`.
fn target(given: &Given) -> Outcome<(Target, u8)> {
    let lun = given.number(b'l', 0..=3)?.unwrap_or(0) as u8;
    let byte = |letter| given.number(letter, 0..=255);
    let channel = byte(b'b')?.unwrap_or(0) as u8;
    let transit_channel = byte(b'B')?.unwrap_or(0) as u8;
    let transit =
        byte(b'T')?.map(|address| Hop { channel: transit_channel, address: address as u8 });
    byte(b'm')?;
    let target = match byte(b't')? {
        None => Target::BMC,
        Some(address) => match transit {
            Some(transit) => Target::behind_two(transit, Hop { channel, address: address as u8 }),
            None => Target::behind(channel, address as u8),
        },
    };
    Ok((target.lun(lun), channel))
}

fn level(given: &Given) -> Outcome<(Option<PrivilegeLevel>, UserLookup)> {
    let Some(text) = given.text(b'L') else { return Ok((None, UserLookup::NameOnly)) };
    let (name, lookup) = match text.strip_suffix('+') {
        Some(name) => (name, UserLookup::NameAndPrivilege),
        None => (text.as_str(), UserLookup::NameOnly),
    };
    let level = match name.to_ascii_uppercase().as_str() {
        "CALLBACK" => PrivilegeLevel::Callback,
        "USER" => PrivilegeLevel::User,
        "OPERATOR" => PrivilegeLevel::Operator,
        "ADMINISTRATOR" | "ADMIN" => PrivilegeLevel::Administrator,
        "OEM" => PrivilegeLevel::Oem,
        _ => return Err(Failure::new(format!("Invalid privilege level {text}"))),
    };
    Ok((Some(level), lookup))
}

fn auth_type(given: &Given) -> Outcome<Option<AuthType>> {
    let Some(text) = given.text(b'A') else { return Ok(None) };
    Ok(Some(match text.to_ascii_uppercase().as_str() {
        "NONE" => AuthType::None,
        "MD2" => AuthType::Md2,
        "MD5" => AuthType::Md5,
        "PASSWORD" => AuthType::StraightPassword,
        "OEM" => AuthType::Oem,
        _ => return Err(Failure::new(format!("Invalid authentication type {text}"))),
    }))
}

fn quirk(given: &Given) -> Outcome<Option<Quirk>> {
    let Some(text) = given.text(b'o') else { return Ok(None) };
    match text.as_str() {
        // What ipmitool does for these, nobody needs here.
        "intelwv2" | "ibm" | "kontron" => Ok(None),
        name => match name.parse() {
            Ok(quirk) => Ok(Some(quirk)),
            Err(_) => Err(Failure::new(format!("OEM setup for \"{name}\" failed"))),
        },
    }
}

// Secrets

fn password(given: &Given) -> Outcome<Zeroizing<Vec<u8>>> {
    if let Some(password) = given.value(b'P') {
        return Ok(Zeroizing::new(password.as_bytes().to_vec()));
    }
    if given.has(b'E') {
        let names = ["IPMITOOL_PASSWORD", "IPMI_PASSWORD"];
        let value = names.iter().find_map(std::env::var_os);
        let value =
            value.ok_or_else(|| Failure::new("Unable to read password from environment"))?;
        return Ok(Zeroizing::new(value.into_vec()));
    }
    if let Some(path) = given.text(b'f') {
        return File::open(&path).and_then(first_line).map_err(|error| {
            Failure::new(format!(
                "Unable to open password file {path}: {error}\n\
                 Unable to read password from file {path}"
            ))
        });
    }
    if !given.has(b'a') && !io::stdin().is_terminal() {
        let text = "no password was given, and standard input is no terminal to ask on";
        return Err(Failure::new(format!("bl: {text}: give -E, -f or -P")));
    }
    ask("Password: ")
}

fn k_g(given: &Given) -> Outcome<Zeroizing<Vec<u8>>> {
    if let Some(key) = given.value(b'k') {
        return Ok(Zeroizing::new(key.as_bytes().to_vec()));
    }
    if let Some(key) = given.value(b'y') {
        let digits = Zeroizing::new(key.as_bytes().to_vec());
        let bytes = Zeroizing::new(from_hex(&digits).unwrap_or_default());
        return match bytes.len() {
            0 => Err(Failure::new("Kg key is not hexadecimal number")),
            1..=20 => Ok(bytes),
            _ => Err(Failure::new("Kg key is too long")),
        };
    }
    if given.has(b'K') {
        let value = std::env::var_os("IPMI_KGKEY");
        let value = value.ok_or_else(|| Failure::new("Unable to read kgkey from environment"))?;
        return Ok(Zeroizing::new(value.into_vec()));
    }
    if given.has(b'Y') {
        return ask("Key: ");
    }
    Ok(Zeroizing::default())
}

fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digits = digits.strip_prefix(b"0x").unwrap_or(digits);
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
    let pair = |pair: &[u8]| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?);
    digits.chunks(2).map(pair).collect()
}

/// Asks on a terminal; what is no terminal is read without a word.
pub fn ask(prompt: &str) -> Outcome<Zeroizing<Vec<u8>>> {
    let asked = match io::stdin().is_terminal() {
        true => terminal::ask_secret(prompt).map(Zeroizing::new),
        false => first_line(io::stdin()),
    };
    asked.map_err(|error| Failure::new(format!("bl: no password: {error}")))
}

fn first_line(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // Longer than any password, shorter than whatever else there may be.
    let mut line = Zeroizing::new(Vec::with_capacity(1024));
    BufReader::new(from.take(1024)).read_until(b'\n', &mut line)?;
    line.pop_if(|byte| *byte == b'\n');
    line.pop_if(|byte| *byte == b'\r');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Outcome<Given> {
        split(text.split(' ').map(OsString::from).collect())
    }

    #[test]
    fn values_are_attached_or_not_and_options_stand_anywhere() {
        let given = words("-Hbmc7 -p 6230 -cvv sdr list -Uadmin -I lanplus").expect("legal");
        assert_eq!(given.text(b'H').as_deref(), Some("bmc7"));
        assert_eq!(given.text(b'p').as_deref(), Some("6230"));
        assert_eq!(given.text(b'U').as_deref(), Some("admin"));
        assert_eq!(given.command, ["sdr", "list"]);
        assert!(given.has(b'c') && given.flags == b"cvv");
    }

    #[test]
    fn negative_numbers_are_words_of_the_command() {
        let given = words("-4 sensor thresh Temp lower -10 -5.5 -4").expect("legal");
        assert_eq!(given.command, ["sensor", "thresh", "Temp", "lower", "-10", "-5.5", "-4"]);
        assert!(given.has(b'4'));
        assert_eq!(words("raw -- -c").expect("legal").command, ["raw", "-c"]);
        assert!(words("-H").is_err() && words("-X mc info").is_err());
    }

    #[test]
    fn keys_in_hexadecimal_are_whole_bytes() {
        assert_eq!(from_hex(b"0x01fF"), Some(vec![1, 255]));
        assert_eq!((from_hex(b"123"), from_hex(b"zz")), (None, None));
    }
}
