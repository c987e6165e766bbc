//! What a BMC is reached and logged in with.

use std::sync::Arc;

use crate::session::SessionConfig;

/// Where a BMC is and how a session with it begins.
#[derive(Debug, Clone)]
pub struct Target {
    /// A name or an address.
    pub host: String,
    /// UDP port.
    pub port: u16,
    /// Everything a login needs.
    pub session: Arc<SessionConfig>,
}

impl Target {
    /// Whether a session to one of them is no session to the other. What is no part of a login,
    /// like its waiting times, can be another one.
    pub fn breaks(&self, other: &Target) -> bool {
        self.host != other.host
            || self.port != other.port
            || !self.session.logs_in_as(&other.session)
    }
}
