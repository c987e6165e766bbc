//! Payloads: who has them, and which users may (§24.4 to §24.8).

use super::channel::check;
use super::dialog::Dialog;
use super::reply::Fields;
use super::user::USER_MAX;
use crate::error::{Error, ErrorKind, Result};
use crate::wire::message::net_fn;
use crate::wire::session_command::{PAYLOAD_SOL, PayloadActivationStatus, cmd};

const SET_USER_PAYLOAD_ACCESS: u8 = 0x4c;
const GET_USER_PAYLOAD_ACCESS: u8 = 0x4d;
const SOL_BIT: u8 = 1 << PAYLOAD_SOL;

/// Which payloads a user may activate on a channel, as bits by payload type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PayloadAccess {
    /// Standard types 0 to 7; SOL is bit 1.
    pub standard: u8,
    /// OEM types 20h to 27h.
    pub oem: u8,
    /// OEM types 28h to 2Fh.
    pub oem_upper: u8,
}

impl PayloadAccess {
    /// SOL and nothing else.
    pub const SOL: PayloadAccess = PayloadAccess { standard: SOL_BIT, oem: 0, oem_upper: 0 };

    /// Whether SOL is among them.
    pub fn sol(&self) -> bool {
        self.standard & SOL_BIT != 0
    }
}

impl Dialog {
    /// Get Payload Activation Status (§24.4) for SOL: whether somebody has it.
    pub async fn sol_activation(&self) -> Result<PayloadActivationStatus> {
        let command = cmd::GET_PAYLOAD_ACTIVATION_STATUS;
        let data = self.ask(net_fn::APP, command, &[PAYLOAD_SOL]).await?;
        PayloadActivationStatus::decode(&data)
            .map_err(|error| Error::with_text(ErrorKind::PeerMisbehaved, error.to_string()))
    }

    /// Get User Payload Access (§24.7). `channel` is 0 to 15, 14 being the one of this session;
    /// `user` 1 to 63.
    pub async fn payload_access(&self, channel: u8, user: u8) -> Result<PayloadAccess> {
        check_user(channel, user)?;
        let data = self.ask(net_fn::APP, GET_USER_PAYLOAD_ACCESS, &[channel, user]).await?;
        let [standard, _, oem, oem_upper] = Fields::of("Get User Payload Access", &data).array()?;
        Ok(PayloadAccess { standard, oem, oem_upper })
    }

    /// Set User Payload Access (§24.6): allows these payloads, or denies them. Those that are not
    /// among them stay as they are.
    pub async fn set_payload_access(
        &self,
        channel: u8,
        user: u8,
        allowed: bool,
        payloads: PayloadAccess,
    ) -> Result<()> {
        check_user(channel, user)?;
        let operation = if allowed { 0 } else { 0x40 };
        let PayloadAccess { standard, oem, oem_upper } = payloads;
        let data = [channel, operation | user, standard, 0, oem, oem_upper];
        self.ask(net_fn::APP, SET_USER_PAYLOAD_ACCESS, &data).await.map(drop)
    }
}

fn check_user(channel: u8, user: u8) -> Result<()> {
    check(channel)?;
    if !(1..=USER_MAX).contains(&user) {
        return Err(Error::misuse("a user ID is 1 to 63"));
    }
    Ok(())
}
