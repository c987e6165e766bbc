//! Making a user and taking it away again: steps in an order that leaves no door open between.

use std::time::Duration;

use super::dialog::Dialog;
use super::user::{PasswordOptions, UserFlags, UserPrivilege, present};
use crate::crypto::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::wire::PrivilegeLevel;
use crate::wire::session_command::PRESENT_CHANNEL;

/// Kept back of the dialog's time, so that what was begun can be undone.
const TIME_TO_UNDO: Duration = Duration::from_secs(3);

/// A user that is to be.
///
/// Its `Debug` does not show the password, which is zeroed when this is dropped.
#[derive(Debug, Clone)]
pub struct NewUser {
    name: String,
    password: Secret,
    privilege: PrivilegeLevel,
    ipmi: bool,
    options: PasswordOptions,
}

impl NewUser {
    /// An account for a human, who uses the BMC's web pages or shell: no login with IPMI on any
    /// LAN channel, since IPMI hands a hash of the password to whoever asks for it.
    ///
    /// The name has 1 to 16 bytes, the password 1 to 20.
    pub fn human(name: &str, password: &[u8], privilege: PrivilegeLevel) -> Self {
        let (name, password) = (name.to_owned(), Secret::new(password));
        NewUser { name, password, privilege, ipmi: false, options: PasswordOptions::default() }
    }

    /// An account for a program, which logs in with IPMI.
    pub fn program(name: &str, password: &[u8], privilege: PrivilegeLevel) -> Self {
        NewUser::human(name, password, privilege).ipmi(true)
    }

    /// Whether it may log in with IPMI.
    pub fn ipmi(self, ipmi: bool) -> Self {
        NewUser { ipmi, ..self }
    }

    /// How its password is handed over.
    pub fn password_options(self, options: PasswordOptions) -> Self {
        NewUser { options, ..self }
    }
}

impl Dialog {
    /// Makes a user in the first free slot, and gives its ID.
    ///
    /// In this order: the slot is disabled, named, given its password, given access to each LAN
    /// channel or denied it, and enabled. When a step fails, the slot is emptied again. See
    /// [`set_user_password`](Self::set_user_password) for sessions that do not encrypt.
    ///
    /// Fails with `Misuse` when the name or password is empty, too long, or the name is taken;
    /// with `Busy` when no slot is free.
    pub async fn create_user(&self, user: NewUser) -> Result<u8> {
        if user.name.is_empty() || user.password.expose().is_empty() {
            return Err(Error::misuse("a user needs a name and a password"));
        }
        let id = self.free_slot(&user.name).await?;
        let channels = self.user_channels().await?;
        let filled = self.with_time_left(TIME_TO_UNDO).fill_slot(id, &user, &channels).await;
        let Err(error) = filled else { return Ok(id) };
        match self.empty_slot(id, &channels).await {
            (Ok(()), _) => Err(error),
            (Err(_), _) => {
                let kind = error.kind();
                let note = format!("and user {id} could not be taken away again");
                Err(error.with_note(kind, &note))
            }
        }
    }

    /// Takes a user away: it is disabled, denied access to all LAN channels, and loses its name.
    /// `user` is 2 to 63.
    pub async fn delete_user(&self, user: u8) -> Result<()> {
        if user == 1 {
            return Err(Error::misuse("user 1 cannot be taken away, only disabled"));
        }
        self.enable_user(user, false).await?;
        let channels = self.user_channels().await?;
        let (closed, unnamed) = self.empty_slot(user, &channels).await;
        closed.and(unnamed)
    }

    /// The channels on which a user may log in over the network: LANs that have users at all.
    async fn user_channels(&self) -> Result<Vec<u8>> {
        let mut channels = Vec::new();
        for channel in self.lan_channels().await? {
            let users = present(self.first_user(channel).await)?;
            channels.extend(users.map(|_| channel));
        }
        Ok(if channels.is_empty() { vec![PRESENT_CHANNEL] } else { channels })
    }

    async fn free_slot(&self, name: &str) -> Result<u8> {
        let (_, first) = self.first_user(PRESENT_CHANNEL).await?;
        let mut free = None;
        for id in 2..=first.highest_user {
            let taken = present(self.user_name(id).await)?.unwrap_or_default();
            if taken == name {
                return Err(Error::misuse(format!("there is a user {name:?} already: {id}")));
            }
            if taken.is_empty() && id > first.fixed_names {
                free = free.or(Some(id));
            }
        }
        free.ok_or_else(|| Error::with_text(ErrorKind::Busy, "no user slot is free at the BMC"))
    }

    async fn fill_slot(&self, id: u8, user: &NewUser, channels: &[u8]) -> Result<()> {
        // A slot without a name may be enabled. Not all BMCs take this for one.
        match self.enable_user(id, false).await {
            Err(error) if error.kind() != ErrorKind::Completion => return Err(error),
            _ => {}
        }
        self.set_user_name(id, &user.name).await?;
        self.set_user_password(id, user.password.expose(), user.options).await?;
        let flags = UserFlags { ipmi_messaging: user.ipmi, ..UserFlags::default() };
        let privilege = UserPrivilege::Level(user.privilege);
        for channel in channels {
            self.set_user_access(*channel, id, Some(flags), privilege).await?;
        }
        self.enable_user(id, true).await
    }

    /// Goes as far as it can. Gives whether nobody can log in any more, and whether the name is
    /// gone.
    async fn empty_slot(&self, id: u8, channels: &[u8]) -> (Result<()>, Result<()>) {
        let disabled = self.enable_user(id, false).await;
        let mut denied = Ok(());
        for channel in channels {
            let flags = Some(UserFlags::default());
            let none = UserPrivilege::NoAccess;
            denied = denied.and(self.set_user_access(*channel, id, flags, none).await);
        }
        let unnamed = self.set_user_name(id, "").await;
        (disabled.or(denied), unnamed)
    }
}
