//! Reading the data of a response.

use crate::error::{Error, ErrorKind, Result};

/// The data of one response, read from its start. Everything asked of it that is not there is an
/// error that names the command.
pub(crate) struct Fields<'a> {
    command: &'static str,
    data: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Those of the response to `command`.
    pub fn of(command: &'static str, data: &'a [u8]) -> Self {
        Fields { command, data }
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((array, rest)) = self.data.split_first_chunk() else {
            return Err(self.malformed("is too short"));
        };
        self.data = rest;
        Ok(*array)
    }

    pub fn u8(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    /// Two bytes, least significant first.
    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Three bytes, least significant first.
    pub fn u24(&mut self) -> Result<u32> {
        self.array().map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
    }

    /// Four bytes, least significant first.
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.data
    }

    /// The error of a response that cannot be what it is said to be.
    pub fn malformed(&self, what: &str) -> Error {
        let text = format!("the response to {} {what}", self.command);
        Error::with_text(ErrorKind::PeerMisbehaved, text)
    }
}

/// Whether an error says nothing of the next command.
pub(crate) fn is_of_one_command(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Completion
            | ErrorKind::Privilege
            | ErrorKind::PeerMisbehaved
            | ErrorKind::OutcomeUnknown
            | ErrorKind::TimedOut
    )
}
