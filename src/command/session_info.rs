//! The sessions a BMC has (§22.20).

use std::net::Ipv4Addr;

use super::dialog::Dialog;
use super::reply::Fields;
use super::user::present;
use crate::error::Result;
use crate::wire::PrivilegeLevel;
use crate::wire::message::net_fn;

const GET_SESSION_INFO: u8 = 0x3d;
const BY_HANDLE: u8 = 0xfe;
const BY_ID: u8 = 0xff;
const COUNT_BITS: u8 = 0x3f;

/// One session of a BMC.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its handle.
    pub handle: u8,
    /// How many sessions the BMC can have.
    pub slots: u8,
    /// How many it has now.
    pub active: u8,
    /// The user's ID, 1 to 63.
    pub user: u8,
    /// The level it works at; `None` when the number stands for none.
    pub privilege: Option<PrivilegeLevel>,
    /// Whether it is one of RMCP+, not of IPMI 1.5.
    pub is_v20: bool,
    /// The channel it came by.
    pub channel: u8,
    /// Where it comes from, of a LAN session: IPv4 address, MAC address and UDP port.
    pub peer: Option<(Ipv4Addr, [u8; 6], u16)>,
}

impl Dialog {
    /// Get Session Info (§22.20) of the session this is asked in; `None` when the BMC has
    /// nothing to say.
    pub async fn own_session(&self) -> Result<Option<SessionInfo>> {
        self.session_info(&[0]).await
    }

    /// The same by its place among the active ones, from 1.
    pub async fn nth_session(&self, index: u8) -> Result<Option<SessionInfo>> {
        match index {
            1..=COUNT_BITS => self.session_info(&[index]).await,
            _ => Ok(None),
        }
    }

    /// The same by its handle.
    pub async fn session_by_handle(&self, handle: u8) -> Result<Option<SessionInfo>> {
        self.session_info(&[BY_HANDLE, handle]).await
    }

    /// The same by the BMC's session ID.
    pub async fn session_by_id(&self, id: u32) -> Result<Option<SessionInfo>> {
        let [a, b, c, d] = id.to_le_bytes();
        self.session_info(&[BY_ID, a, b, c, d]).await
    }

    /// All sessions the BMC has, this one among them.
    pub async fn sessions(&self) -> Result<Vec<SessionInfo>> {
        let mut sessions: Vec<SessionInfo> = Vec::new();
        for index in 1..=COUNT_BITS {
            let Some(session) = self.nth_session(index).await? else { break };
            // Some BMCs give the last one again and again.
            if sessions.iter().any(|known| known.handle == session.handle) {
                break;
            }
            let active = session.active;
            sessions.push(session);
            if sessions.len() >= usize::from(active) {
                break;
            }
        }
        Ok(sessions)
    }

    async fn session_info(&self, request: &[u8]) -> Result<Option<SessionInfo>> {
        let Some(data) = present(self.ask(net_fn::APP, GET_SESSION_INFO, request).await)? else {
            return Ok(None);
        };
        let mut fields = Fields::of("Get Session Info", &data);
        let [handle, slots, active] = fields.array()?;
        if fields.rest().is_empty() {
            return Ok(None);
        }
        let [user, privilege, channel] = fields.array()?;
        let peer: Option<[u8; 12]> = fields.array().ok();
        Ok(Some(SessionInfo {
            handle,
            slots: slots & COUNT_BITS,
            active: active & COUNT_BITS,
            user: user & COUNT_BITS,
            privilege: PrivilegeLevel::from_number(privilege & 0x0f),
            is_v20: channel >> 4 == 1,
            channel: channel & 0x0f,
            peer: peer.map(|[a, b, c, d, mac @ .., low, high]| {
                (Ipv4Addr::new(a, b, c, d), mac, u16::from_le_bytes([low, high]))
            }),
        }))
    }
}
