//! What a command is given, by name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroize;

use super::super::table::Value;
use crate::PrivilegeLevel;
use crate::command::SdrCache;
use crate::error::{Error, Result};

/// What a command is given, by name; and what it remembers from one BMC to the next.
#[derive(Clone, Default)]
pub(in crate::ffi) struct Arguments {
    given: Arc<Given>,
    /// What sensors and parts BMCs have.
    pub(super) sdrs: Option<SdrCache>,
}

/// Among it may be passwords: it is zeroed when it is replaced or dropped.
#[derive(Clone, Default)]
struct Given(BTreeMap<&'static str, Value>);

impl Drop for Given {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::Text(text) => text.zeroize(),
        Value::Bytes(bytes) => bytes.zeroize(),
        Value::Number(_) | Value::Real(_) => {}
    }
}

/// The words for privilege levels.
pub(super) const LEVELS: [(&str, PrivilegeLevel); 5] = [
    ("callback", PrivilegeLevel::Callback),
    ("user", PrivilegeLevel::User),
    ("operator", PrivilegeLevel::Operator),
    ("administrator", PrivilegeLevel::Administrator),
    ("oem", PrivilegeLevel::Oem),
];

impl Arguments {
    /// None yet, with a memory.
    pub fn remembering() -> Self {
        Arguments { sdrs: Some(SdrCache::new()), ..Arguments::default() }
    }

    pub fn set(&mut self, name: &'static str, value: Value) {
        if let Some(mut old) = Arc::make_mut(&mut self.given).0.insert(name, value) {
            wipe(&mut old);
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.given.0.get(name)
    }

    pub fn number<T: TryFrom<i64>>(&self, name: &str) -> Result<Option<T>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => match T::try_from(*number) {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Error::misuse(format!("{name} is out of range: {number}"))),
            },
            Some(_) => Err(Error::misuse(format!("{name} is a number"))),
        }
    }

    pub fn needed<T: TryFrom<i64>>(&self, name: &str) -> Result<T> {
        self.number(name)?.ok_or_else(|| missing(name))
    }

    /// Whether it is there and not 0.
    pub fn flag(&self, name: &str) -> Result<bool> {
        Ok(self.number::<i64>(name)?.unwrap_or(0) != 0)
    }

    /// A channel, 14 being the one of the session.
    pub fn channel(&self) -> Result<u8> {
        Ok(self.number("channel")?.unwrap_or(14))
    }

    pub fn text(&self, name: &str) -> Result<Option<&str>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Error::misuse(format!("{name} is a text"))),
        }
    }

    pub fn needed_text(&self, name: &str) -> Result<&str> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    pub fn bytes(&self, name: &str) -> Result<&[u8]> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Bytes(bytes)) => Ok(bytes),
            Some(_) => Err(Error::misuse(format!("{name} is bytes"))),
        }
    }

    /// Bytes, or those of a text.
    pub fn needed_secret(&self, name: &str) -> Result<&[u8]> {
        match self.get(name) {
            None => Err(missing(name)),
            Some(Value::Bytes(bytes)) => Ok(bytes),
            Some(Value::Text(text)) => Ok(text.as_bytes()),
            Some(_) => Err(Error::misuse(format!("{name} is bytes or a text"))),
        }
    }

    pub fn millis(&self, name: &str) -> Result<Option<Duration>> {
        Ok(self.number::<u32>(name)?.map(|ms| Duration::from_millis(ms.into())))
    }

    /// One of several words.
    pub fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<T> {
        self.word_or(name, words)?.ok_or_else(|| missing(name))
    }

    /// One of several words, or none at all.
    pub fn word_or<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                Err(Error::misuse(format!("{name} is none of {}: {text:?}", all.join(", "))))
            }
        }
    }
}

fn missing(name: &str) -> Error {
    Error::misuse(format!("there is no {name}"))
}
