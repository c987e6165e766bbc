//! Typed commands: request and response as the types of `ipmi-rs-core`.
//!
//! The transport of that crate is not used, only its vocabulary. Its parsers trust lengths that
//! the BMC chooses; the shapes they cannot take are refused here first, and a panic that gets
//! through all the same ends the one call.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ipmi_rs_core::connection::{Address, Channel, CompletionErrorCode, IpmiCommand, Message};

use super::dialog::Dialog;
use crate::error::Error;
use crate::session::Target;
use crate::wire::message::{CompletionCode, net_fn};

/// Why a typed command failed. `E` is the command's own error.
#[derive(Debug, Clone, PartialEq)]
pub enum CommandError<E> {
    /// No response came.
    Session(Error),
    /// The response has a completion code other than 0.
    Completion(CompletionCode),
    /// The command's own reading of the response.
    Command(E),
    /// The response has a shape that cannot be read.
    Malformed,
}

impl<E: fmt::Debug> fmt::Display for CommandError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::Session(error) => error.fmt(f),
            CommandError::Completion(code) => code.fmt(f),
            CommandError::Command(error) => write!(f, "response refused: {error:?}"),
            CommandError::Malformed => f.write_str("the response cannot be read"),
        }
    }
}

impl<E: fmt::Debug> std::error::Error for CommandError<E> {}

impl<E> From<Error> for CommandError<E> {
    fn from(error: Error) -> Self {
        CommandError::Session(error)
    }
}

impl Dialog {
    /// Sends a typed command and waits until its response is there and read. Any type with
    /// `ipmi_rs_core`'s `IpmiCommand` will do, yours included. A command that names its target
    /// goes there, bridged when need be; all others go to where the dialog is.
    pub async fn command<C: IpmiCommand>(
        &self,
        command: C,
    ) -> Result<C::Output, CommandError<C::Error>> {
        let target = command.target().map(|(address, channel)| core_target(address, channel));
        let dialog = self.at(target.unwrap_or(self.target));
        let message: Message = command.into();
        let (net_fn, cmd) = (message.netfn_raw(), message.cmd());
        let lun = dialog.target.lun_number();
        let reply = dialog.raw(net_fn, lun, cmd, message.data()).await?;
        let read = || read_reply::<C>(net_fn, cmd, reply.completion_code, &reply.data);
        catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(CommandError::Malformed))
    }
}

/// The place that `ipmi_rs_core` names.
pub(crate) fn core_target(address: Address, channel: Channel) -> Target {
    Target::behind(channel.value(), address.0)
}

fn read_reply<C: IpmiCommand>(
    net_fn: u8,
    cmd: u8,
    completion_code: CompletionCode,
    data: &[u8],
) -> Result<C::Output, CommandError<C::Error>> {
    // The conversion fails for 0, which is success.
    if let Ok(code) = CompletionErrorCode::try_from(completion_code.0) {
        let own = C::handle_completion_code(code, data);
        return Err(own.map_or(CommandError::Completion(completion_code), CommandError::Command));
    }
    if !has_readable_shape(net_fn, cmd, data) {
        return Err(CommandError::Malformed);
    }
    C::parse_success_response(data).map_err(CommandError::Command)
}

const GET_SDR_REPOSITORY_INFO: u8 = 0x20;
const GET_SDR_REPOSITORY_ALLOCATION_INFO: u8 = 0x21;
const GET_SDR: u8 = 0x23;
const GET_SEL_ALLOCATION_INFO: u8 = 0x41;

/// Whether the parser behind a command can take this response.
pub(crate) fn has_readable_shape(net_fn_number: u8, cmd: u8, data: &[u8]) -> bool {
    match (net_fn_number, cmd) {
        (net_fn::STORAGE, GET_SDR_REPOSITORY_INFO) => data.len() >= 14,
        (net_fn::STORAGE, GET_SDR_REPOSITORY_ALLOCATION_INFO | GET_SEL_ALLOCATION_INFO) => {
            data.len() != 8
        }
        (net_fn::STORAGE, GET_SDR) => data.get(2..).is_none_or(is_readable_sdr),
        _ => true,
    }
}

/// Whether an SDR's body is as long as its type's parser takes for granted.
fn is_readable_sdr(record: &[u8]) -> bool {
    let (Some(record_type), Some(body)) = (record.get(3), record.get(5..)) else { return true };
    match record_type {
        0x01 => body.len() >= 43,
        0x02 => body.len() >= 27 && body.get(18).is_some_and(|modifier| modifier & 0x20 == 0),
        0x11 => body.len() >= 11,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use ipmi_rs_core::app::GetDeviceId;
    use ipmi_rs_core::storage::sdr::{GetDeviceSdr, GetSdrRepositoryInfo};
    use ipmi_rs_core::storage::sel::{GetSelEntry, GetSelInfo, SelGetAllocInfo};

    use super::*;
    use crate::crypto::Generator;

    fn survives<C: IpmiCommand>(net_fn: u8, cmd: u8, data: &[u8]) {
        let read = || read_reply::<C>(net_fn, cmd, CompletionCode(0), data).is_ok();
        assert!(catch_unwind(read).is_ok(), "{net_fn:#x} {cmd:#x} {data:02x?}");
    }

    #[test]
    fn responses_of_any_shape_do_not_panic_a_guarded_parser() {
        let mut random = Generator::from_seed([7; 32]);
        for _ in 0..200_000 {
            let mut data: [u8; 72] = random.array();
            // Mostly small numbers, so that lengths and types are often believable.
            for byte in data.iter_mut().skip(2).step_by(3) {
                *byte &= 0x13;
            }
            let len = random.below(72) as usize;
            let data = &data[..len];
            survives::<GetDeviceId>(net_fn::APP, 0x01, data);
            survives::<GetSdrRepositoryInfo>(net_fn::STORAGE, GET_SDR_REPOSITORY_INFO, data);
            survives::<GetDeviceSdr>(net_fn::STORAGE, GET_SDR, data);
            survives::<GetSelInfo>(net_fn::STORAGE, 0x40, data);
            survives::<SelGetAllocInfo>(net_fn::STORAGE, GET_SEL_ALLOCATION_INFO, data);
            survives::<GetSelEntry>(net_fn::STORAGE, 0x43, data);
        }
    }

    #[test]
    fn a_completion_code_is_an_error_of_its_own() {
        let refused = read_reply::<GetDeviceId>(net_fn::APP, 1, CompletionCode(0xc1), &[]);
        assert!(matches!(refused, Err(CommandError::Completion(CompletionCode(0xc1)))));
    }
}
