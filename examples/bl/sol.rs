//! `sol`: the serial console and its settings.

use bmclink::command::{PayloadAccess, SolAuthentication, SolBitRate, SolSetting};
use bmclink::{Dialog, PrivilegeLevel};

use crate::link::Link;
use crate::text::{Failure, Outcome, byte, channel, code_text, number, privilege, user_id, warn};
use crate::{sol_activate, usage};

const APP: u8 = 0x06;
const TRANSPORT: u8 = 0x0c;
const DEACTIVATE_PAYLOAD: u8 = 0x49;
const GET_SOL_PARAMETER: u8 = 0x22;
const SOL_PAYLOAD: u8 = 1;
const PRESENT: u8 = 0x0e;

pub fn run(link: &mut Link, words: &[&str]) -> Outcome {
    match words {
        [] | ["help", ..] => {
            warn(usage::SOL);
            Ok(())
        }
        ["info", rest @ ..] => info(link, rest.first().map_or(Ok(PRESENT), |word| channel(word))?),
        ["set", name, value, rest @ ..] => set(link, name, value, rest),
        ["set", ..] => Err(Failure::new(usage::SOL_SET)),
        ["payload", operation @ ("enable" | "disable" | "status"), rest @ ..] => {
            payload(link, operation, rest)
        }
        ["activate", rest @ ..] => {
            let mut instance = 1;
            for word in rest {
                match word.strip_prefix("instance=") {
                    Some(number) => instance = given_instance(number)?,
                    // The session is kept alive in any event.
                    None if matches!(*word, "usesolkeepalive" | "nokeepalive") => {}
                    None => return Err(Failure::new(usage::SOL)),
                }
            }
            sol_activate::run(link, instance)
        }
        ["deactivate"] => deactivate(link, 1),
        ["deactivate", word] if word.starts_with("instance=") => {
            let instance = given_instance(&word["instance=".len()..])?;
            deactivate(link, instance)
        }
        _ => Err(Failure::new(usage::SOL)),
    }
}

fn given_instance(word: &str) -> Outcome<u8> {
    let instance = byte(word).filter(|instance| matches!(instance, 1..=15));
    let text = format!("Given instance '{word}' is invalid. Instance range is from 1 to 15.");
    instance.ok_or_else(|| Failure::new(text))
}

fn deactivate(link: &mut Link, instance: u8) -> Outcome {
    let data = [SOL_PAYLOAD, instance, 0, 0, 0, 0];
    let reply = link.ask(APP, DEACTIVATE_PAYLOAD, &data)?;
    let reply = reply.map_err(|error| Failure::of("Error deactivating SOL payload", &error))?;
    match reply.completion_code.0 {
        0 => Ok(()),
        0x80 => Err(Failure::new("Info: SOL payload already de-activated")),
        0x81 => Err(Failure::new("Info: SOL payload type disabled")),
        _ => {
            let why = code_text(reply.completion_code);
            Err(Failure::new(format!("Error SOL de-activation failed: {why}")))
        }
    }
}

// Settings

/// A parameter as bytes, zeros where the BMC has none.
fn parameter<const N: usize>(link: &mut Link, channel: u8, number: u8) -> Outcome<[u8; N]> {
    Ok(optional(link, channel, number, "")?.unwrap_or([0; N]))
}

/// The same; `None` where the BMC has none, which is said with the words behind it.
fn optional<const N: usize>(
    link: &mut Link,
    channel: u8,
    number: u8,
    instead: &str,
) -> Outcome<Option<[u8; N]>> {
    const NAMES: [&str; 9] = [
        "Set In Progress",
        "Enable",
        "Authentication",
        "Character Interval",
        "Retry",
        "Nonvolatile Bitrate",
        "Volatile Bitrate",
        "Payload Channel",
        "Payload Port",
    ];
    let name = NAMES.get(usize::from(number)).unwrap_or(&"Unknown");
    let reply = link.ask(TRANSPORT, GET_SOL_PARAMETER, &[channel, number, 0, 0])?;
    let what = format!("Error requesting SOL parameter '{name} ({number})'");
    let reply = reply.map_err(|error| Failure::of(&what, &error))?;
    match reply.completion_code.0 {
        0 => Ok(reply.data.get(1..).and_then(|data| data.first_chunk().copied())),
        0x80 => {
            warn(format!("Info: SOL parameter '{name} ({number})' not supported{instead}"));
            Ok(None)
        }
        _ => {
            let why = code_text(reply.completion_code);
            Err(Failure::new(format!("{what}: {why}")))
        }
    }
}

fn bit_rate(number: u8) -> &'static str {
    match number & 0x0f {
        0 => "IPMI-Over-Serial-Setting",
        6 => "9.6",
        7 => "19.2",
        8 => "38.4",
        9 => "57.6",
        10 => "115.2",
        _ => "Unknown",
    }
}

fn info(link: &mut Link, channel: u8) -> Outcome {
    let truth = |set: bool| if set { "true" } else { "false" }.to_owned();
    let states = ["set-complete", "set-in-progress", "commit-write", "unknown"];
    let [state] = parameter(link, channel, 0)?;
    let [enabled] = parameter(link, channel, 1)?;
    let [who] = parameter(link, channel, 2)?;
    let [interval, threshold] = parameter(link, channel, 3)?;
    let [count, retry] = parameter(link, channel, 4)?;
    let [rate] = parameter(link, channel, 5)?;
    let [volatile] = parameter(link, channel, 6)?;
    let instead = format!(" - defaulting to 0x{channel:02x}");
    let [payload] = optional(link, channel, 7, &instead)?.unwrap_or([channel]);
    let port = link.options.port;
    let instead = format!(" - defaulting to {port}");
    let port = optional(link, channel, 8, &instead)?.map_or(port, u16::from_le_bytes);
    let payload = match link.options.csv {
        true => payload.to_string(),
        false => format!("{payload} (0x{payload:02x})"),
    };
    let rows = [
        ("Set in progress", states[usize::from(state & 3)].to_owned()),
        ("Enabled", truth(enabled & 1 != 0)),
        ("Force Encryption", truth(who & 0x80 != 0)),
        ("Force Authentication", truth(who & 0x40 != 0)),
        ("Privilege Level", privilege(who & 0x0f)),
        ("Character Accumulate Level (ms)", (u32::from(interval) * 5).to_string()),
        ("Character Send Threshold", threshold.to_string()),
        ("Retry Count", (count & 7).to_string()),
        ("Retry Interval (ms)", (u32::from(retry) * 10).to_string()),
        ("Volatile Bit Rate (kbps)", bit_rate(volatile).to_owned()),
        ("Non-Volatile Bit Rate (kbps)", bit_rate(rate).to_owned()),
        ("Payload Channel", payload),
        ("Payload Port", port.to_string()),
    ];
    if link.options.csv {
        out!("{}", rows.map(|(_, value)| value).join(","));
        return Ok(());
    }
    rows.iter().for_each(|(name, value)| out!("{name:<31} : {value}"));
    Ok(())
}

fn set(link: &mut Link, name: &str, value: &str, rest: &[&str]) -> Outcome {
    let channel = rest.first().map_or(Ok(PRESENT), |word| channel(word))?;
    if name == "set-in-progress" {
        let states = ["set-complete", "set-in-progress", "commit-write"];
        let state = states.iter().position(|state| *state == value);
        let state = state.ok_or_else(|| {
            invalid(name, value, "set-complete, set-in-progress and commit-write")
        })?;
        let what = "Error setting SOL parameter 'set-in-progress'";
        return link.get(what, TRANSPORT, 0x21, &[channel, 0, state as u8]).map(drop);
    }
    let setting = setting(link, channel, name, value)?;
    let force = rest.get(1) == Some(&"noguard");
    let what = format!("Error setting SOL parameter '{name}'");
    link.done(&what, async |dialog: Dialog| dialog.set_sol(channel, vec![setting], force).await)
}

fn invalid(name: &str, value: &str, valid: &str) -> Failure {
    Failure::new(format!("Invalid value {value} for parameter {name}\nValid values are {valid}"))
}

/// What a name and a value mean, with what else is in the same parameter as it is now.
fn setting(link: &mut Link, channel: u8, name: &str, value: &str) -> Outcome<SolSetting> {
    let truth = || match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(invalid(name, value, "true and false")),
    };
    let up_to = |max: i64| {
        let given = number(value).filter(|given| (0..=max).contains(given));
        given.map(|given| given as u8).ok_or_else(|| invalid(name, value, &format!("0-{max}")))
    };
    Ok(match name {
        "enabled" => SolSetting::Enabled(truth()?),
        "force-encryption" | "force-authentication" | "privilege-level" => {
            let mut who = authentication(link, channel)?;
            match name {
                "force-encryption" => who.force_encryption = truth()?,
                "force-authentication" => who.force_authentication = truth()?,
                _ => who.privilege = Some(level(name, value)?),
            }
            SolSetting::Authentication(who)
        }
        "character-accumulate-level" => {
            let [_, threshold] = parameter(link, channel, 3)?;
            SolSetting::CharacterAccumulate(up_to(255)?, threshold)
        }
        "character-send-threshold" => {
            let [interval, _] = parameter(link, channel, 3)?;
            SolSetting::CharacterAccumulate(interval, up_to(255)?)
        }
        "retry-count" => {
            let [_, interval] = parameter(link, channel, 4)?;
            SolSetting::Retry(up_to(7)?, interval)
        }
        "retry-interval" => {
            let [count, _] = parameter(link, channel, 4)?;
            SolSetting::Retry(count & 7, up_to(255)?)
        }
        "non-volatile-bit-rate" => SolSetting::BitRate(rate(name, value)?),
        "volatile-bit-rate" => SolSetting::VolatileBitRate(rate(name, value)?),
        _ => return Err(Failure::new(format!("Error: invalid SOL parameter {name}"))),
    })
}

fn authentication(link: &mut Link, channel: u8) -> Outcome<SolAuthentication> {
    let [who] = parameter(link, channel, 2)?;
    Ok(SolAuthentication {
        force_encryption: who & 0x80 != 0,
        force_authentication: who & 0x40 != 0,
        // Less than user is none that could be written.
        privilege: PrivilegeLevel::from_number((who & 0x0f).max(2)),
    })
}

fn level(name: &str, value: &str) -> Outcome<PrivilegeLevel> {
    Ok(match value {
        "user" => PrivilegeLevel::User,
        "operator" => PrivilegeLevel::Operator,
        "admin" => PrivilegeLevel::Administrator,
        "oem" => PrivilegeLevel::Oem,
        _ => return Err(invalid(name, value, "user, operator, admin, and oem")),
    })
}

fn rate(name: &str, value: &str) -> Outcome<SolBitRate> {
    Ok(match value {
        "serial" => SolBitRate::AsSerialPort,
        "9.6" => SolBitRate::B9600,
        "19.2" => SolBitRate::B19200,
        "38.4" => SolBitRate::B38400,
        "57.6" => SolBitRate::B57600,
        "115.2" => SolBitRate::B115200,
        _ => {
            let text = format!(
                "Invalid value \"{value}\" for parameter \"{name}\"\n\
                 Valid values are serial, 9.6 19.2, 38.4, 57.6 and 115.2"
            );
            return Err(Failure::new(text));
        }
    })
}

// Who may have it

fn payload(link: &mut Link, operation: &str, rest: &[&str]) -> Outcome {
    let channel = rest.first().map_or(Ok(PRESENT), |word| channel(word))?;
    let user = rest.get(1).map_or(Ok(1), |word| user_id(word))?;
    if operation == "status" {
        let what = "Get User Payload Access command failed";
        let access = link.done(what, async |dialog| dialog.payload_access(channel, user).await)?;
        let state = if access.sol() { "enabled" } else { "disabled" };
        out!("User {user} on channel {channel} is {state}");
        return Ok(());
    }
    let allowed = operation == "enable";
    let what = format!("Error {operation} SOL payload for user {user} on channel {channel}");
    link.done(&what, async |dialog| {
        dialog.set_payload_access(channel, user, allowed, PayloadAccess::SOL).await
    })
}
