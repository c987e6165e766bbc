//! Channels and users (§22.22 to §22.30).

use super::app::LAN_CHANNEL;
use super::{Answer, Refusal, exactly};
use crate::sim::bmc::ManagedSystem;
use crate::sim::options::User;
use crate::wire::message::CompletionCode;
use crate::wire::session_command::PRESENT_CHANNEL;

const NOT_PRESENT: Refusal = Refusal::Code(0xcb);
const PASSWORD_WRONG: Refusal = Refusal::Code(0x80);
const PASSWORD_WRONG_SIZE: Refusal = Refusal::Code(0x81);
/// User IDs a caller can use at least.
const USERS_MIN: usize = 10;
const NO_ACCESS: u8 = 0x0f;
/// Set User Access: the bits of byte 0 count; IPMI messaging.
const CHANGE_BITS: u8 = 0x80;
const MESSAGING: u8 = 0x10;

impl ManagedSystem {
    pub(super) fn channel_command(
        &mut self,
        command: u8,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Answer {
        match command {
            0x40 => self.set_channel_access(data),
            0x41 => self.channel_access(data, out),
            0x42 => self.channel_info(data, out),
            0x43 => self.set_user_access(data),
            0x44 => self.user_access(data, out),
            0x45 => self.set_user_name(data),
            0x46 => self.user_name(data, out),
            _ => self.set_user_password(data),
        }
    }

    /// Get Channel Info (§22.24).
    fn channel_info(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [channel] = exactly(data)?;
        let active = self.sessions().min(63) as u8;
        match channel & 0x0f {
            LAN_CHANNEL | PRESENT_CHANNEL => {
                out.extend_from_slice(&[LAN_CHANNEL, 0x04, 0x01, 0x80 | active]);
            }
            0 => out.extend_from_slice(&[0, 0x01, 0x01, 0]),
            0x0f => out.extend_from_slice(&[0x0f, 0x0c, 0x05, 0]),
            _ => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
        }
        // The IPMI forum's number, and no auxiliary information.
        out.extend_from_slice(&[0xf2, 0x1b, 0, 0, 0]);
        Ok(())
    }

    /// Set User Access (§22.26).
    fn set_user_access(&mut self, data: &[u8]) -> Answer {
        let (&[channel, user, limit] | &[channel, user, limit, _]) = data else {
            return Err(CompletionCode::DATA_LENGTH_INVALID.into());
        };
        if !matches!(channel & 0x0f, LAN_CHANNEL | PRESENT_CHANNEL) {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        let user = self.user_slot(user & 0x3f)?;
        user.privilege = limit & 0x0f;
        if channel & CHANGE_BITS != 0 {
            user.messaging = channel & MESSAGING != 0;
        }
        Ok(())
    }

    /// Get User Access (§22.27).
    fn user_access(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [channel, user] = exactly(data)?;
        let users = &self.options.users;
        let user = user & 0x3f;
        let last = users.len().clamp(USERS_MIN, 63) as u8;
        if !matches!(channel & 0x0f, LAN_CHANNEL | PRESENT_CHANNEL) || user == 0 || user > last {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        let enabled = users.iter().filter(|user| user.enabled).count().min(63) as u8;
        let found = users.get(usize::from(user) - 1);
        let status = if found.is_some_and(|user| user.enabled) { 0x40 } else { 0x80 };
        let access = found.map_or(NO_ACCESS, |user| {
            let messaging = if user.messaging { MESSAGING } else { 0 };
            messaging | user.privilege & 0x0f
        });
        out.extend_from_slice(&[last, status | enabled, 1, access]);
        Ok(())
    }

    /// Set User Name (§22.28).
    fn set_user_name(&mut self, data: &[u8]) -> Answer {
        let [user, name @ ..] = exactly::<17>(data)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        // The null user's name is fixed.
        if user & 0x3f == 1 && !name.is_empty() {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        self.user_slot(user & 0x3f)?.name = name;
        Ok(())
    }

    /// Get User Name (§22.29).
    fn user_name(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [user] = exactly(data)?;
        let user = usize::from(user & 0x3f);
        let found = user.checked_sub(1).and_then(|index| self.options.users.get(index));
        let missing = self.options.quirks.user_name_missing;
        let name = match found {
            Some(user) if missing && user.name.is_empty() => {
                return Err(CompletionCode::INVALID_DATA_FIELD.into());
            }
            None if missing => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
            Some(user) => user.name.as_slice(),
            None if (1..=USERS_MIN).contains(&user) => &[],
            None => return Err(NOT_PRESENT),
        };
        out.extend_from_slice(name.get(..16).unwrap_or(name));
        out.resize(17, 0);
        Ok(())
    }

    /// Set User Password (§22.30).
    fn set_user_password(&mut self, data: &[u8]) -> Answer {
        let &[user, operation, ref password @ ..] = data else {
            return Err(CompletionCode::DATA_LENGTH_INVALID.into());
        };
        let size = if user & 0x80 != 0 { 20 } else { 16 };
        let needed = self.options.quirks.user_enable_needs_password;
        let slot = self.user_slot(user & 0x3f)?;
        match operation & 0x03 {
            0 | 1 if needed && password.len() != size => {
                return Err(CompletionCode::DATA_LENGTH_INVALID.into());
            }
            0 => slot.enabled = false,
            1 => slot.enabled = true,
            _ if password.len() != size => return Err(CompletionCode::DATA_LENGTH_INVALID.into()),
            2 => slot.password = unpadded(password).to_vec(),
            _ if slot.password == unpadded(password) => {}
            _ if slot.password.len() > size => return Err(PASSWORD_WRONG_SIZE),
            _ => return Err(PASSWORD_WRONG),
        }
        Ok(())
    }

    /// The user of an ID, made when there is none.
    fn user_slot(&mut self, id: u8) -> Result<&mut User, Refusal> {
        let last = self.options.users.len().max(USERS_MIN);
        let index = usize::from(id).checked_sub(1).filter(|index| *index < last);
        let index = index.ok_or(CompletionCode::INVALID_DATA_FIELD)?;
        let users = &mut self.options.users;
        if users.len() <= index {
            let empty = User {
                enabled: false,
                sol: false,
                messaging: false,
                ..User::new(b"", b"", NO_ACCESS)
            };
            users.resize(index + 1, empty);
        }
        users.get_mut(index).ok_or(CompletionCode::INVALID_DATA_FIELD.into())
    }
}

/// A field without the zeros behind its contents.
fn unpadded(field: &[u8]) -> &[u8] {
    let len = field.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    field.get(..len).unwrap_or_default()
}
