//! Configuration parameters that are written one by one, with "set in progress" around them: of
//! boot options (§28.12), LAN (§23.1) and SOL (§26.2).

use std::time::Duration;

use super::dialog::Dialog;
use super::reply::Fields;
use crate::error::{Error, ErrorKind, Result};
use crate::wire::message::{CompletionCode, net_fn};

/// The parameter that says whether somebody is changing the others.
const SET_IN_PROGRESS: u8 = 0;
const SET_COMPLETE: u8 = 0;
const IN_PROGRESS: u8 = 1;
const COMMIT_WRITE: u8 = 2;
/// So often is it tried while somebody else changes them.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Kept back of the dialog's time, so that what was begun can be ended.
const TIME_TO_END: Duration = Duration::from_secs(2);

/// One set of parameters.
#[derive(Clone, Copy)]
pub(super) enum Parameters {
    Boot,
    Lan(u8),
    Sol(u8),
}

/// One parameter to be written.
pub(super) struct Write {
    pub parameter: u8,
    pub data: Vec<u8>,
    /// A BMC that does not have it or refuses it is fine too.
    pub optional: bool,
}

impl Write {
    pub fn new(parameter: u8, data: impl Into<Vec<u8>>) -> Self {
        Write { parameter, data: data.into(), optional: false }
    }

    pub fn optional(self) -> Self {
        Write { optional: true, ..self }
    }
}

impl Parameters {
    /// What the command to read one is called.
    fn name(self) -> &'static str {
        match self {
            Parameters::Boot => "Get System Boot Options",
            Parameters::Lan(_) => "Get LAN Configuration Parameters",
            Parameters::Sol(_) => "Get SOL Configuration Parameters",
        }
    }

    /// Network function, the commands to write and to read, and the channel.
    fn commands(self) -> (u8, u8, u8, Option<u8>) {
        match self {
            Parameters::Boot => (net_fn::CHASSIS, 0x08, 0x09, None),
            Parameters::Lan(channel) => (net_fn::TRANSPORT, 0x01, 0x02, Some(channel)),
            Parameters::Sol(channel) => (net_fn::TRANSPORT, 0x21, 0x22, Some(channel)),
        }
    }

    /// The data of a parameter, and whether the BMC marks it as invalid or locked.
    pub async fn read(self, dialog: &Dialog, parameter: u8, set: u8) -> Result<(Vec<u8>, bool)> {
        let (net_fn, _, get, channel) = self.commands();
        let mut request = Vec::from_iter(channel);
        request.extend([parameter, set, 0]);
        let data = dialog.ask_with(net_fn, get, &request, own_code).await?;
        let mut fields = Fields::of(self.name(), &data);
        let _revision = fields.u8()?;
        let marked = channel.is_none() && fields.u8()? & 0x80 != 0;
        Ok((fields.rest().to_vec(), marked))
    }

    /// The same; `None` when the BMC does not have the parameter.
    pub async fn find(self, dialog: &Dialog, parameter: u8, set: u8) -> Result<Option<Vec<u8>>> {
        match self.read(dialog, parameter, set).await {
            Ok((data, _)) => Ok(Some(data)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn write(self, dialog: &Dialog, parameter: u8, data: &[u8]) -> Result<()> {
        let (net_fn, set, _, channel) = self.commands();
        let mut request = Vec::from_iter(channel);
        request.push(parameter);
        request.extend_from_slice(data);
        dialog.ask_with(net_fn, set, &request, own_code).await.map(drop)
    }

    /// Writes parameters in their order. When one fails, those of `undo` are written, and whatever
    /// happens the BMC is told that it is over.
    pub async fn write_all(self, dialog: &Dialog, writes: &[Write], undo: &[Write]) -> Result<()> {
        let hurried = dialog.with_time_left(TIME_TO_END);
        let held = self.begin(&hurried).await?;
        let result = self.write_each(&hurried, writes).await;
        if result.is_err() {
            // Why it failed is what the caller has to know.
            let _ = self.write_each(dialog, undo).await;
        }
        if held {
            if result.is_ok() {
                // Many BMCs have no commit, and write at once.
                let _ = self.write(dialog, SET_IN_PROGRESS, &[COMMIT_WRITE]).await;
            }
            let _ = self.write(dialog, SET_IN_PROGRESS, &[SET_COMPLETE]).await;
        }
        result
    }

    async fn write_each(self, dialog: &Dialog, writes: &[Write]) -> Result<()> {
        for write in writes {
            match self.write(dialog, write.parameter, &write.data).await {
                Err(error) if write.optional && error.kind() == ErrorKind::Completion => {}
                result => result?,
            }
        }
        Ok(())
    }

    /// Says that we change them; whether the BMC knows of such a thing.
    async fn begin(self, dialog: &Dialog) -> Result<bool> {
        let (mut pause, mut left) = (PAUSE, TRIES);
        loop {
            left -= 1;
            let error = match self.write(dialog, SET_IN_PROGRESS, &[IN_PROGRESS]).await {
                Ok(()) => return Ok(true),
                Err(error) => error,
            };
            match error.completion_code() {
                Some(CompletionCode(0x81)) if left > 0 => dialog.pause(pause).await?,
                Some(CompletionCode(0x81)) => return Err(error),
                Some(_) if error.kind() == ErrorKind::Completion => return Ok(false),
                _ => return Err(error),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

fn own_code(code: u8) -> Option<&'static str> {
    Some(match code {
        0x80 => "the BMC does not have this parameter",
        0x81 => "somebody else is changing these parameters (set in progress)",
        0x82 => "the parameter can only be read",
        0x83 => "the parameter can only be written",
        _ => return None,
    })
}

/// Whether a BMC says in one of the usual ways that it does not have a parameter.
fn is_missing(error: &Error) -> bool {
    error.kind() == ErrorKind::Completion
        && error.completion_code().is_some_and(|code| {
            matches!(code.0, 0x80 | 0x83 | 0xc1 | 0xc7 | 0xc9 | 0xcb..=0xcd | 0xd6 | 0xff)
        })
}
