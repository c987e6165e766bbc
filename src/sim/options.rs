//! What a simulated BMC is: users, keys, profile, and how it behaves.

use std::time::Duration;

use super::misbehaviour::Misbehaviour;
use super::profile::Profile;

/// 2026-01-01 00:00:00 UTC.
const NEW_YEAR_2026: u32 = 1_767_225_600;

/// A user of a simulated BMC. Its position in [`BmcOptions::users`] plus 1 is its user ID.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// At most 16 bytes; empty for the null user.
    pub name: Vec<u8>,
    /// At most 20 bytes; v1.5 logins need at most 16.
    pub password: Vec<u8>,
    /// The limit: 1 callback, 2 user, 3 operator, 4 administrator, 15 no access.
    pub privilege: u8,
    /// Whether the user may log in.
    pub enabled: bool,
    /// Whether the user may activate SOL.
    pub sol: bool,
    /// Whether the user may use IPMI messaging over LAN, so log in at all.
    pub messaging: bool,
}

impl User {
    /// An enabled user with IPMI messaging and SOL access.
    pub fn new(name: &[u8], password: &[u8], privilege: u8) -> Self {
        User {
            name: name.to_vec(),
            password: password.to_vec(),
            privilege,
            enabled: true,
            sol: true,
            messaging: true,
        }
    }
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("name", &String::from_utf8_lossy(&self.name))
            .field("privilege", &self.privilege)
            .field("enabled", &self.enabled)
            .field("sol", &self.sol)
            .field("messaging", &self.messaging)
            .finish_non_exhaustive()
    }
}

/// What a simulated BMC is made from.
#[derive(Clone)]
pub struct BmcOptions {
    /// By user ID, from 1. The default: a disabled null user, `admin` with `password`,
    /// `operator` with `operator`, `user` with `user`.
    pub users: Vec<User>,
    /// K_g, at most 20 bytes; empty for none.
    pub k_g: Vec<u8>,
    /// The stack to behave like.
    pub profile: Profile,
    /// The cipher suites it takes; `None` for the profile's own.
    pub cipher_suites: Option<Vec<u8>>,
    /// GUID_C, as sent.
    pub guid: [u8; 16],
    /// Sessions at most, half-open ones included; 0 for the profile's own number.
    pub session_slots: usize,
    /// The UDP port it believes it listens on.
    pub port: u16,
    /// How long the host takes to follow a Chassis Control command.
    pub power_delay: Duration,
    /// How long the host's operating system takes for a soft shutdown.
    pub soft_shutdown: Duration,
    /// What its clock shows when it is made: seconds since 1970, below 20000000h since the
    /// BMC's start.
    pub sel_time: u32,
    /// How many entries the SEL holds, of 16 bytes each.
    pub sel_capacity: u16,
    /// What it does wrong besides what its profile does.
    pub quirks: Misbehaviour,
}

impl Default for BmcOptions {
    fn default() -> Self {
        let null = User { enabled: false, sol: false, ..User::new(b"", b"", 2) };
        BmcOptions {
            users: vec![
                null,
                User::new(b"admin", b"password", 4),
                User::new(b"operator", b"operator", 3),
                User::new(b"user", b"user", 2),
            ],
            k_g: Vec::new(),
            profile: Profile::Spec,
            cipher_suites: None,
            guid: *b"bmclink-sim-0001",
            session_slots: 0,
            port: crate::wire::RMCP_PORT,
            power_delay: Duration::ZERO,
            soft_shutdown: Duration::from_secs(5),
            sel_time: NEW_YEAR_2026,
            sel_capacity: 512,
            quirks: Misbehaviour::default(),
        }
    }
}

impl std::fmt::Debug for BmcOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BmcOptions")
            .field("users", &self.users)
            .field("profile", &self.profile)
            .field("cipher_suites", &self.cipher_suites)
            .field("port", &self.port)
            .field("power_delay", &self.power_delay)
            .field("sel_capacity", &self.sel_capacity)
            .field("quirks", &self.quirks)
            .finish_non_exhaustive()
    }
}
