//! `user`: who may log in.

use bmclink::command::{PasswordOptions, PasswordTest, UserPrivilege};
use bmclink::{Error, PrivilegeLevel};
use zeroize::Zeroizing;

use crate::link::Link;
use crate::options::ask;
use crate::text::{Failure, Outcome, byte, channel, privilege, reason, user_id, warn};
use crate::usage;

const APP: u8 = 0x06;
const GET_USER_ACCESS: u8 = 0x44;
const GET_USER_NAME: u8 = 0x46;
/// The channel a session came by.
const PRESENT: u8 = 0x0e;

pub fn run(link: &mut Link, words: &[&str]) -> Outcome {
    match words {
        [] => Err(Failure::new(format!("Not enough parameters given.\n{}", usage::USER))),
        ["help", ..] => {
            warn(usage::USER);
            Ok(())
        }
        ["list", rest @ ..] => list(link, given_channel(rest)?),
        ["summary", rest @ ..] => summary(link, given_channel(rest)?),
        ["set", "name", id, name] => set_name(link, user_id(id)?, name),
        ["set", "password", id, rest @ ..] => set_password(link, user_id(id)?, rest),
        ["enable", id, ..] => enable(link, user_id(id)?, true),
        ["disable", id, ..] => enable(link, user_id(id)?, false),
        ["priv", id, level, rest @ ..] => {
            set_level(link, user_id(id)?, level, given_channel(rest)?)
        }
        ["test", id, size, rest @ ..] => test(link, user_id(id)?, size, rest.first().copied()),
        ["set" | "enable" | "disable" | "priv" | "test", ..] => Err(Failure::new(usage::USER)),
        [other, ..] => {
            Err(Failure::new(format!("Invalid user command: '{other}'\n\n{}", usage::USER)))
        }
    }
}

fn given_channel(words: &[&str]) -> Outcome<u8> {
    words.first().map_or(Ok(PRESENT), |word| channel(word))
}

/// What Get User Access says: highest ID, enabled users, fixed names, and the user's own byte.
pub fn access(link: &mut Link, channel: u8, id: u8) -> Outcome<[u8; 4]> {
    let what = format!("Get User Access command failed (channel {channel}, user {id})");
    let data = link.get(&what, APP, GET_USER_ACCESS, &[channel, id])?;
    data.first_chunk().copied().ok_or_else(|| Failure::new(format!("{what}: response too short")))
}

/// The name, and nothing for a user that has none.
pub fn name(link: &mut Link, id: u8) -> Outcome<String> {
    let data = link.ask(APP, GET_USER_NAME, &[id])?;
    let reply = data.map_err(|error| Failure::of("Get User Name command failed", &error))?;
    match reply.completion_code.0 {
        0 => {}
        // No such user.
        0xcb | 0xcc => return Ok(String::new()),
        _ => {
            let why = crate::text::code_text(reply.completion_code);
            return Err(Failure::new(format!("Get User Name command failed (user {id}): {why}")));
        }
    }
    let end = reply.data.iter().position(|byte| *byte == 0).unwrap_or(reply.data.len());
    Ok(String::from_utf8_lossy(&reply.data[..end.min(16)]).into_owned())
}

fn list(link: &mut Link, channel: u8) -> Outcome {
    if !link.options.csv {
        out!("ID  Name\t     Callin  Link Auth\tIPMI Msg   Channel Priv Limit");
    }
    let mut id = 1;
    loop {
        let [highest, _, _, flags] = access(link, channel, id)?;
        let name = name(link, id)?;
        let yes = |bit: u8| if flags & bit != 0 { "true" } else { "false" };
        // Bit 6 restricts a user to being called back.
        let call_in = if flags & 0x40 != 0 { "false" } else { "true" };
        let (link_auth, messaging) = (yes(0x20), yes(0x10));
        let level = privilege(flags & 0x0f);
        match link.options.csv {
            true => out!("{id},{name},{call_in},{link_auth},{messaging},{level}"),
            false => out!("{id:<4}{name:<17}{call_in:<8}{link_auth:<11}{messaging:<11}{level}"),
        }
        id += 1;
        if id > highest & 0x3f {
            return Ok(());
        }
    }
}

fn summary(link: &mut Link, channel: u8) -> Outcome {
    let [highest, enabled, fixed, _] = access(link, channel, 1)?;
    let (highest, enabled, fixed) = (highest & 0x3f, enabled & 0x3f, fixed & 0x3f);
    if link.options.csv {
        out!("{highest},{enabled},{fixed}");
        return Ok(());
    }
    out!("Maximum IDs\t    : {highest}");
    out!("Enabled User Count  : {enabled}");
    out!("Fixed Name Count    : {fixed}");
    Ok(())
}

fn set_name(link: &mut Link, id: u8, name: &str) -> Outcome {
    if name.len() > 16 {
        return Err(Failure::new("Username is too long (> 16 bytes)"));
    }
    let what = format!("Set User Name command failed (user {id}, name {name})");
    link.done(&what, async |dialog| dialog.set_user_name(id, name).await)
}

fn set_password(link: &mut Link, id: u8, rest: &[&str]) -> Outcome {
    let password = match rest.first() {
        Some(password) => Zeroizing::new(password.as_bytes().to_vec()),
        None => {
            let first = ask(&format!("Password for user {id}: "))?;
            if *first != *ask(&format!("Password for user {id}: "))? {
                return Err(Failure::new("Passwords do not match."));
            }
            first
        }
    };
    let twenty_bytes = match rest.get(1).copied() {
        None => password.len() > 16,
        Some("16") => false,
        Some("20") => true,
        Some(other) => return Err(Failure::new(format!("Invalid password length '{other}'"))),
    };
    let longest = if twenty_bytes { 20 } else { 16 };
    if password.len() > longest {
        let longest = if rest.len() > 1 { longest } else { 20 };
        return Err(Failure::new(format!("Password is too long (> {longest} bytes)")));
    }
    let options = password_options(link, twenty_bytes);
    let what = format!("Set User Password command failed (user {id})");
    link.done(&what, async |dialog| dialog.set_user_password(id, &password, options).await)?;
    out!("Set User Password command successful (user {id})");
    Ok(())
}

/// Who asks for a cipher suite or version by name knows what it does to a password.
fn password_options(link: &Link, twenty_bytes: bool) -> PasswordOptions {
    let in_clear = link.options.suites.is_some() || link.options.version != Default::default();
    PasswordOptions { in_clear, twenty_bytes }
}

fn test(link: &mut Link, id: u8, size: &str, password: Option<&str>) -> Outcome {
    let twenty_bytes = match size {
        "16" => false,
        "20" => true,
        other => {
            let text = format!(
                "Given password length '{other}' is invalid.\nExpected value is either 16 or 20."
            );
            return Err(Failure::new(text));
        }
    };
    let password = match password {
        Some(password) => Zeroizing::new(password.as_bytes().to_vec()),
        None => ask(&format!("Password for user {id}: "))?,
    };
    if !twenty_bytes && password.len() > 16 {
        return Err(Failure::new("Password is too long (> 16 bytes)"));
    }
    let options = password_options(link, twenty_bytes);
    let what = "Set User Password command failed";
    let tested =
        link.done(what, async |dialog| dialog.test_user_password(id, &password, options).await)?;
    match tested {
        PasswordTest::Matches => {
            out!("Success");
            Ok(())
        }
        PasswordTest::Wrong => {
            out!("Failure: password incorrect");
            Err(Failure::silent())
        }
        PasswordTest::WrongSize => {
            out!("Failure: wrong password size");
            Err(Failure::silent())
        }
    }
}

fn enable(link: &mut Link, id: u8, enabled: bool) -> Outcome {
    let what = format!("Set User Password command failed (user {id})");
    link.done(&what, async |dialog| dialog.enable_user(id, enabled).await)
}

fn set_level(link: &mut Link, id: u8, word: &str, channel: u8) -> Outcome {
    let level = byte(word).filter(|level| matches!(level, 1..=5 | 15)).ok_or_else(|| {
        Failure::new(format!(
            "Given Privilege Limit '{word}' is invalid.\n\
             Privilege Limit is limited to <0x1..0x5> and <0xF>."
        ))
    })?;
    let level = match PrivilegeLevel::from_number(level) {
        Some(level) => UserPrivilege::Level(level),
        None => UserPrivilege::NoAccess,
    };
    let set = link.run(async |dialog| dialog.set_user_access(channel, id, None, level).await)?;
    set.map_err(|error: Error| {
        let why = reason(&error);
        Failure::new(format!("Set Privilege Level command failed (user {id}): {why}"))
    })?;
    out!("Set Privilege Level command successful (user {id})");
    Ok(())
}
