//! IPMI v1.5 sessions (§6.12, §22.16, §22.17).

use std::net::SocketAddr;

use super::bmc::{ManagedSystem, Wrapper};
use super::command::{Answer, Refusal};
use crate::wire::SessionId;
use crate::wire::ipmi15::{self, AuthType};

impl ManagedSystem {
    /// Takes what follows the RMCP header of a v1.5 packet.
    pub(super) fn on_v15(&mut self, block: &[u8]) -> Option<()> {
        let (header, message) = ipmi15::decode(block).ok()?;
        if header.session_id == SessionId(0) {
            if header.auth_type != AuthType::None {
                return None;
            }
            return self.on_message(Wrapper::V15, message, true);
        }
        None
    }

    pub(super) fn session_challenge(&mut self, _data: &[u8], _out: &mut Vec<u8>) -> Answer {
        Err(Refusal::Silence)
    }

    pub(super) fn send_v15(&mut self, _index: usize, _to: SocketAddr, _message: &[u8]) {}
}
