//! What a session is told before it starts, and what it learned about its BMC.

use std::sync::LazyLock;
use std::time::Duration;

use super::quirk::Quirks;
use crate::crypto::Secret;
use crate::crypto::keys::{PASSWORD_LEN_V15, UserKey};
use crate::shared::Shared;
use crate::wire::PrivilegeLevel;
use crate::wire::cipher_suite::CipherSuiteId;
use crate::wire::ipmi15::AuthType;
use crate::wire::rakp::USER_NAME_MAX;

/// Which IPMI version to log in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// v2.0 (RMCP+) only; a BMC without it is an error.
    #[default]
    V20,
    /// v2.0, or v1.5 where the BMC says that it has no v2.0.
    V20OrV15,
    /// v1.5 only.
    V15,
}

/// How a user is looked up by the managed system (offset 24 bit 4 of RAKP 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserLookup {
    /// By name alone: what nearly every BMC expects.
    #[default]
    NameOnly,
    /// By name and privilege level: some BMCs then want the user's exact level.
    NameAndPrivilege,
}

/// Everything a login needs. Checked by [`SessionConfig::check`] before any packet.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// 0 to 16 bytes. Empty is the null user and needs `allow_null_user`.
    pub user_name: Vec<u8>,
    /// 0 to 20 bytes (16 for v1.5).
    pub password: Secret,
    /// 1 to 20 bytes, or empty for none.
    pub k_g: Secret,
    /// Let an empty user name log in.
    pub allow_null_user: bool,
    /// Suites to try, best first.
    pub cipher_suites: Vec<CipherSuiteId>,
    /// The level to work at. `None`: Administrator, and what the BMC grants if it refuses that.
    pub privilege_level: Option<PrivilegeLevel>,
    /// How the user is looked up.
    pub user_lookup: UserLookup,
    /// Which IPMI version to use.
    pub version: Version,
    /// v1.5 AuthTypes to use, best first.
    pub auth_types: Vec<AuthType>,
    /// Workarounds.
    pub quirks: Quirks,
    /// Requests in flight at once, 1 to 8.
    pub request_window: usize,
    /// Every waiting time.
    pub timing: Shared<Timing>,
}

/// Every waiting time of a session, with the specification's or the usual value as default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// How often an unanswered login starts again from Open Session. 5.
    pub login_attempts: u32,
    /// The first wait for an answer during login; later ones grow by half, and are no shorter
    /// than twice the last round trip. Each is up to an eighth longer by chance. 1 s.
    pub handshake_first: Duration,
    /// The longest wait for an answer during login. 5 s.
    pub handshake_max: Duration,
    /// The pause before the third and later attempts: BMCs have few slots for half-open
    /// sessions. 3 s.
    pub attempt_pause: Duration,
    /// The first wait for a command's answer; later ones double. 1 s.
    pub request_first: Duration,
    /// The longest wait for a command's answer before it is sent again. 4 s.
    pub request_max: Duration,
    /// How often a command is sent at most. 5.
    pub request_transmissions: u32,
    /// A keepalive is sent so long after the last answer. 24 s: some BMCs end sessions after
    /// 30 s, and a lost keepalive has to be repeated often enough before that.
    pub keepalive: Duration,
    /// Up to so much is added to `keepalive` by chance, so that many BMCs do not beat in step.
    /// 3 s.
    pub keepalive_jitter: Duration,
    /// An unanswered keepalive is sent again every half second the first times, then after
    /// this. 5 s: BMCs take no packet that is more than 15 ahead of the last they got.
    pub keepalive_retry: Duration,
    /// A session is lost when something was asked and nothing valid came for this long. 45 s.
    pub lost_after: Duration,
    /// The same after a sign that the BMC restarted (an ICMP error, an answer outside the
    /// session). 8 s.
    pub lost_after_hint: Duration,
    /// How long Close Session and Deactivate Payload may take when closing. 1 s each.
    pub close: Duration,
}

/// One for all.
impl Default for Shared<Timing> {
    fn default() -> Self {
        static DEFAULT: LazyLock<Shared<Timing>> = LazyLock::new(|| Timing::default().into());
        DEFAULT.clone()
    }
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            login_attempts: 5,
            handshake_first: Duration::from_secs(1),
            handshake_max: Duration::from_secs(5),
            attempt_pause: Duration::from_secs(3),
            request_first: Duration::from_secs(1),
            request_max: Duration::from_secs(4),
            request_transmissions: 5,
            keepalive: Duration::from_secs(24),
            keepalive_jitter: Duration::from_secs(3),
            keepalive_retry: Duration::from_secs(5),
            lost_after: Duration::from_secs(45),
            lost_after_hint: Duration::from_secs(8),
            close: Duration::from_secs(1),
        }
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        SessionConfig {
            user_name: Vec::new(),
            password: Secret::default(),
            k_g: Secret::default(),
            allow_null_user: false,
            cipher_suites: vec![CipherSuiteId::SUITE_17, CipherSuiteId::SUITE_3],
            privilege_level: None,
            user_lookup: UserLookup::NameOnly,
            version: Version::V20,
            auth_types: vec![AuthType::Md5, AuthType::Md2],
            quirks: Quirks::NONE,
            request_window: 1,
            timing: Shared::default(),
        }
    }
}

/// Why settings cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigError {
    /// No user name, and the null user was not allowed.
    NoUserName,
    /// More than 16 bytes of user name.
    UserNameTooLong,
    /// More than 20 bytes of password, or more than 16 for v1.5.
    PasswordTooLong,
    /// More than 20 bytes of K_g.
    KGTooLong,
    /// No cipher suite at all.
    NoCipherSuite,
    /// An xRC4 suite, which this library does not implement.
    CipherSuiteXrc4(CipherSuiteId),
    /// A suite that is not one of IPMI's.
    CipherSuiteUnknown(CipherSuiteId),
    /// No v1.5 authentication type where v1.5 was asked for.
    NoAuthType,
    /// A request window outside 1 to 8.
    RequestWindow,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoUserName => {
                f.write_str("no user name was given (the null user has to be allowed explicitly)")
            }
            Self::UserNameTooLong => f.write_str("the user name is longer than 16 bytes"),
            Self::PasswordTooLong => {
                f.write_str("the password is longer than 20 bytes (16 for IPMI v1.5)")
            }
            Self::KGTooLong => f.write_str("K_g is longer than 20 bytes"),
            Self::NoCipherSuite => f.write_str("no cipher suite was given"),
            Self::CipherSuiteXrc4(id) => {
                write!(f, "cipher suite {id} is unsupported: xRC4 is not implemented")
            }
            Self::CipherSuiteUnknown(id) => write!(f, "cipher suite {id} is unknown"),
            Self::NoAuthType => f.write_str("no IPMI v1.5 authentication type was given"),
            Self::RequestWindow => f.write_str("the request window is not 1 to 8"),
        }
    }
}

impl std::error::Error for ConfigError {}

impl SessionConfig {
    /// Checks every limit, so that no packet is sent for nothing.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.user_name.is_empty() && !self.allow_null_user {
            return Err(ConfigError::NoUserName);
        }
        if self.user_name.len() > USER_NAME_MAX {
            return Err(ConfigError::UserNameTooLong);
        }
        let only_v15 = self.version == Version::V15;
        let password_len = self.password.expose().len();
        if UserKey::new(self.password.expose()).is_none()
            || only_v15 && password_len > PASSWORD_LEN_V15
        {
            return Err(ConfigError::PasswordTooLong);
        }
        if UserKey::new(self.k_g.expose()).is_none() {
            return Err(ConfigError::KGTooLong);
        }
        if self.version != Version::V20 && self.auth_types.is_empty() {
            return Err(ConfigError::NoAuthType);
        }
        if !(1..=8).contains(&self.request_window) {
            return Err(ConfigError::RequestWindow);
        }
        if only_v15 { Ok(()) } else { check_suites(&self.cipher_suites) }
    }

    /// Whether a login with the other settings leads to the same session: all that differs is how
    /// long things may take and how many requests are in flight.
    pub fn logs_in_as(&self, other: &SessionConfig) -> bool {
        self.user_name == other.user_name
            && self.password == other.password
            && self.k_g == other.k_g
            && self.allow_null_user == other.allow_null_user
            && self.cipher_suites == other.cipher_suites
            && self.privilege_level == other.privilege_level
            && self.user_lookup == other.user_lookup
            && self.version == other.version
            && self.auth_types == other.auth_types
            && self.quirks == other.quirks
    }

    /// The level to fall back to when `refused` was, unless the caller asked for that very one.
    pub(super) fn lower_privilege(&self, refused: PrivilegeLevel) -> Option<PrivilegeLevel> {
        match refused {
            _ if self.privilege_level.is_some() => None,
            PrivilegeLevel::Oem | PrivilegeLevel::Administrator => Some(PrivilegeLevel::Operator),
            PrivilegeLevel::Operator => Some(PrivilegeLevel::User),
            PrivilegeLevel::User | PrivilegeLevel::Callback => None,
        }
    }

    /// The level to ask for first.
    pub(super) fn wanted_privilege(&self) -> PrivilegeLevel {
        self.privilege_level.unwrap_or(PrivilegeLevel::Administrator)
    }
}

fn check_suites(suites: &[CipherSuiteId]) -> Result<(), ConfigError> {
    if suites.is_empty() {
        return Err(ConfigError::NoCipherSuite);
    }
    match suites.iter().find(|id| id.algorithms().is_none()) {
        None => Ok(()),
        Some(id) if id.is_xrc4() => Err(ConfigError::CipherSuiteXrc4(*id)),
        Some(id) => Err(ConfigError::CipherSuiteUnknown(*id)),
    }
}

/// What one session found out about its BMC and the next one starts with.
///
/// Nothing here can weaken a login: a remembered suite is one the caller listed, or it is
/// ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Learned {
    /// The cipher suite of the last login.
    pub cipher_suite: Option<CipherSuiteId>,
    /// The last login worked with Open Session asking for the highest level (`false`) or for
    /// the wanted one (`true`).
    pub open_session_by_level: Option<bool>,
    /// A password or K_g was refused in both of these ways, of a BMC that was never logged in to:
    /// which one was tried last. The next login tries the other one, and no more: BMCs count.
    pub refused_by_level: Option<bool>,
    /// What the BMC does with a SOL packet it has already taken.
    pub duplicates: Duplicates,
    /// Whether it acknowledges SOL packets without characters.
    pub acknowledges_empty: Option<bool>,
    /// Get Payload Instance Info is not there, or names owners that make no sense.
    pub no_instance_info: bool,
}

/// What a BMC does with a SOL packet whose number it has already taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// Not known yet; the count of signs for `Silent`.
    #[default]
    Unknown,
    /// It acknowledges again, as the specification wants.
    Acknowledged,
    /// It ignores them, so that one lost acknowledge would stop all input (OpenBMC, Windmill).
    Silent,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut SessionConfig)) -> Result<(), ConfigError> {
        let mut config = SessionConfig { user_name: b"admin".to_vec(), ..Default::default() };
        change(&mut config);
        config.check()
    }

    #[test]
    fn limits_are_reached_and_not_passed() {
        assert_eq!(config(|_| {}), Ok(()));
        assert_eq!(config(|c| c.user_name.clear()), Err(ConfigError::NoUserName));
        assert_eq!(config(|c| c.user_name = vec![b'u'; 16]), Ok(()));
        assert_eq!(config(|c| c.user_name = vec![b'u'; 17]), Err(ConfigError::UserNameTooLong));
        assert_eq!(config(|c| c.password = Secret::new(&[b'p'; 20])), Ok(()));
        let long = Err(ConfigError::PasswordTooLong);
        assert_eq!(config(|c| c.password = Secret::new(&[b'p'; 21])), long);
        let v15 = |c: &mut SessionConfig| {
            c.version = Version::V15;
            c.password = Secret::new(&[b'p'; 17]);
        };
        assert_eq!(config(v15), long);
        assert_eq!(config(|c| c.k_g = Secret::new(&[0; 21])), Err(ConfigError::KGTooLong));
        assert_eq!(config(|c| c.request_window = 9), Err(ConfigError::RequestWindow));
    }

    #[test]
    fn xrc4_suites_are_refused_by_name() {
        let refused = config(|c| c.cipher_suites = vec![CipherSuiteId(3), CipherSuiteId(4)]);
        assert_eq!(refused, Err(ConfigError::CipherSuiteXrc4(CipherSuiteId(4))));
        assert!(refused.unwrap_err().to_string().contains("xRC4"));
    }
}
