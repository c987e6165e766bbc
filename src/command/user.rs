//! Users of the BMC: names, passwords, and what they may do on which channel (§22.26 to §22.30).

use zeroize::Zeroizing;

use super::dialog::Dialog;
use super::reply::Fields;
use crate::error::{Error, ErrorKind, Result};
use crate::wire::PrivilegeLevel;
use crate::wire::message::net_fn;

const SET_USER_ACCESS: u8 = 0x43;
const GET_USER_ACCESS: u8 = 0x44;
const SET_USER_NAME: u8 = 0x45;
const GET_USER_NAME: u8 = 0x46;
const SET_USER_PASSWORD: u8 = 0x47;
const NAME_LEN: usize = 16;
const SHORT_PASSWORD_LEN: usize = 16;
const LONG_PASSWORD_LEN: usize = 20;
/// User IDs have six bits.
pub(super) const USER_MAX: u8 = 63;
const NO_ACCESS: u8 = 0x0f;

/// How much a user may do on a channel at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserPrivilege {
    /// Up to this level.
    Level(PrivilegeLevel),
    /// Nothing: no login.
    NoAccess,
    /// A reserved number, 0 to 15.
    Other(u8),
}

/// What a user may do on a channel besides its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct UserFlags {
    /// May log in only when called back.
    pub callback_only: bool,
    /// Name and password are used for link authentication, as of PPP.
    pub link_authentication: bool,
    /// May log in with IPMI at all.
    pub ipmi_messaging: bool,
}

/// What Get User Access says of one user on one channel (§22.27).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserAccess {
    /// The highest user ID of the BMC, 1 to 63.
    pub highest_user: u8,
    /// How many users are enabled.
    pub enabled_users: u8,
    /// How many users, from ID 1 on, have names that cannot be changed.
    pub fixed_names: u8,
    /// Whether the user is enabled; `None` when the BMC does not say.
    pub enabled: Option<bool>,
    /// What it may do besides its level.
    pub flags: UserFlags,
    /// Its level.
    pub privilege: UserPrivilege,
}

/// A user, as it is on one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// Its ID, 1 to 63. 1 is the user without a name.
    pub id: u8,
    /// Its name; what is not UTF-8 in it is replaced.
    pub name: String,
    /// What it may do.
    pub access: UserAccess,
}

/// How a password is handed over. By default: in an encrypted session only, as 16 bytes when it
/// is not longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PasswordOptions {
    /// Also over a session that does not encrypt, where everybody on the way can read it.
    pub in_clear: bool,
    /// As 20 bytes though 16 would do. Such a user cannot log in with IPMI 1.5.
    pub twenty_bytes: bool,
}

/// What became of a password's test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordTest {
    /// It is this one.
    Matches,
    /// It is another one of the same size.
    Wrong,
    /// The BMC has it in the other size: 16 bytes or 20.
    WrongSize,
}

impl UserPrivilege {
    fn from_number(number: u8) -> Self {
        match PrivilegeLevel::from_number(number) {
            Some(level) => UserPrivilege::Level(level),
            None if number == NO_ACCESS => UserPrivilege::NoAccess,
            None => UserPrivilege::Other(number),
        }
    }

    fn number(self) -> u8 {
        match self {
            UserPrivilege::Level(level) => level as u8,
            UserPrivilege::NoAccess => NO_ACCESS,
            UserPrivilege::Other(number) => number & 0x0f,
        }
    }
}

impl UserAccess {
    fn read(data: &[u8]) -> Result<Self> {
        let [highest, enabled, fixed, flags] = Fields::of("Get User Access", data).array()?;
        Ok(UserAccess {
            highest_user: highest & USER_MAX,
            enabled_users: enabled & 0x3f,
            fixed_names: fixed & 0x3f,
            enabled: match enabled >> 6 {
                1 => Some(true),
                2 => Some(false),
                _ => None,
            },
            flags: UserFlags {
                callback_only: flags & 0x40 != 0,
                link_authentication: flags & 0x20 != 0,
                ipmi_messaging: flags & 0x10 != 0,
            },
            privilege: UserPrivilege::from_number(flags & 0x0f),
        })
    }
}

/// Operations of Set User Password.
#[derive(Clone, Copy)]
enum Operation {
    Disable = 0,
    Enable = 1,
    SetPassword = 2,
    TestPassword = 3,
}

impl Dialog {
    /// Get User Access (§22.27). `channel` is 0 to 15, 14 being the one of this session; `user`
    /// 1 to 63.
    pub async fn user_access(&self, channel: u8, user: u8) -> Result<UserAccess> {
        check(channel, user)?;
        let data = self.ask(net_fn::APP, GET_USER_ACCESS, &[channel, user]).await?;
        UserAccess::read(&data)
    }

    /// Set User Access (§22.26): the user's level on a channel, and its flags there unless they
    /// are `None`, which leaves them as they are.
    pub async fn set_user_access(
        &self,
        channel: u8,
        user: u8,
        flags: Option<UserFlags>,
        privilege: UserPrivilege,
    ) -> Result<()> {
        check(channel, user)?;
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = flags.map_or(0, |flags| {
            0x80 | bit(flags.callback_only, 0x40)
                | bit(flags.link_authentication, 0x20)
                | bit(flags.ipmi_messaging, 0x10)
        });
        let data = [flags | channel, user, privilege.number()];
        self.ask(net_fn::APP, SET_USER_ACCESS, &data).await.map(drop)
    }

    /// Get User Name (§22.29): empty for a user without one. Some BMCs answer CCh or CBh when
    /// there is no such user: `Completion`.
    pub async fn user_name(&self, user: u8) -> Result<String> {
        check(0, user)?;
        let data = self.ask(net_fn::APP, GET_USER_NAME, &[user]).await?;
        // Of what never was written, erased memory may be left.
        let end = data.iter().position(|byte| matches!(byte, 0 | 0xff)).unwrap_or(data.len());
        Ok(String::from_utf8_lossy(&data[..end.min(NAME_LEN)]).into_owned())
    }

    /// Set User Name (§22.28): up to 16 bytes; an empty name makes the user one without a name,
    /// which most BMCs take as no user.
    pub async fn set_user_name(&self, user: u8, name: &str) -> Result<()> {
        check(0, user)?;
        if name.len() > NAME_LEN || name.contains('\0') {
            return Err(Error::misuse("a user name has up to 16 bytes and no NUL"));
        }
        let mut data = [0; 1 + NAME_LEN];
        data[0] = user;
        data[1..=name.len()].copy_from_slice(name.as_bytes());
        self.ask(net_fn::APP, SET_USER_NAME, &data).await.map(drop)
    }

    /// Set User Password (§22.30), operations "enable" and "disable".
    pub async fn enable_user(&self, user: u8, enabled: bool) -> Result<()> {
        check(0, user)?;
        let operation = if enabled { Operation::Enable } else { Operation::Disable };
        let short = [user, operation as u8];
        match self.ask(net_fn::APP, SET_USER_PASSWORD, &short).await {
            // Some BMCs want the password's room though nobody looks at it.
            Err(error) if error.completion_code().is_some_and(|code| code.0 == 0xc7) => {
                let mut long = [0; 2 + SHORT_PASSWORD_LEN];
                long[..2].copy_from_slice(&short);
                self.ask(net_fn::APP, SET_USER_PASSWORD, &long).await.map(drop)
            }
            result => result.map(drop),
        }
    }

    /// Set User Password (§22.30): up to 20 bytes, with no NUL in it.
    ///
    /// Fails with `CipherSuite` when the session does not encrypt, and nothing is sent, unless
    /// [`PasswordOptions::in_clear`] says that it does not matter. Sent again at most once:
    /// `OutcomeUnknown` when no answer comes.
    pub async fn set_user_password(
        &self,
        user: u8,
        password: &[u8],
        options: PasswordOptions,
    ) -> Result<()> {
        let data = password_request(user, Operation::SetPassword, password, options)?;
        self.secret(options.in_clear).ask(net_fn::APP, SET_USER_PASSWORD, &data).await.map(drop)
    }

    /// Set User Password (§22.30), operation "test": whether it is this one. See
    /// [`set_user_password`](Self::set_user_password).
    pub async fn test_user_password(
        &self,
        user: u8,
        password: &[u8],
        options: PasswordOptions,
    ) -> Result<PasswordTest> {
        let data = password_request(user, Operation::TestPassword, password, options)?;
        let secret = self.secret(options.in_clear);
        let reply = secret.reply(net_fn::APP, SET_USER_PASSWORD, &data).await?;
        match reply.completion_code.0 {
            0 => Ok(PasswordTest::Matches),
            0x80 => Ok(PasswordTest::Wrong),
            0x81 => Ok(PasswordTest::WrongSize),
            _ => Err(Error::completion(reply.completion_code, None)),
        }
    }

    /// All users, as they are on a channel: 0 to 15, 14 being the one of this session.
    ///
    /// Slots that are empty are left out; user 1 and users without a name that may log in are
    /// not, since anybody can use them.
    pub async fn users(&self, channel: u8) -> Result<Vec<User>> {
        let (first_id, first) = self.first_user(channel).await?;
        let mut users = Vec::new();
        for id in first_id..=first.highest_user.max(first_id) {
            let access = match id {
                _ if id == first_id => Some(first),
                _ => present(self.user_access(channel, id).await)?,
            };
            let Some(access) = access else { continue };
            let name = present(self.user_name(id).await)?.unwrap_or_default();
            let may_log_in = access.flags.ipmi_messaging && access.enabled != Some(false);
            if id == 1 || !name.is_empty() || may_log_in {
                users.push(User { id, name, access });
            }
        }
        Ok(users)
    }
}

impl Dialog {
    /// The first user the BMC knows on a channel, 1 or else 2: it says how many there are.
    pub(super) async fn first_user(&self, channel: u8) -> Result<(u8, UserAccess)> {
        match present(self.user_access(channel, 1).await)? {
            Some(access) => Ok((1, access)),
            // The user without a name is no user at some BMCs.
            None => Ok((2, self.user_access(channel, 2).await?)),
        }
    }
}

/// `None` for what a BMC says is not there.
pub(super) fn present<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if error.kind() == ErrorKind::Completion
                && error.completion_code().is_some_and(|c| matches!(c.0, 0xc9 | 0xcb..=0xcd)) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn check(channel: u8, user: u8) -> Result<()> {
    if channel > 0x0f {
        return Err(Error::misuse("a channel is 0 to 15"));
    }
    if !(1..=USER_MAX).contains(&user) {
        return Err(Error::misuse("a user ID is 1 to 63"));
    }
    Ok(())
}

fn password_request(
    user: u8,
    operation: Operation,
    password: &[u8],
    options: PasswordOptions,
) -> Result<Zeroizing<Vec<u8>>> {
    check(0, user)?;
    if password.len() > LONG_PASSWORD_LEN || password.contains(&0) {
        return Err(Error::misuse("a password has up to 20 bytes and no NUL"));
    }
    let long = options.twenty_bytes || password.len() > SHORT_PASSWORD_LEN;
    let (flag, len) = if long { (0x80, LONG_PASSWORD_LEN) } else { (0, SHORT_PASSWORD_LEN) };
    let mut data = Zeroizing::new(vec![0; 2 + len]);
    data[0] = flag | user;
    data[1] = operation as u8;
    data[2..2 + password.len()].copy_from_slice(password);
    Ok(data)
}
