//! `channel`: the ways into a BMC.

use bmclink::command::CipherSuiteRecord;

use crate::link::Link;
use crate::text::{Failure, Outcome, byte, channel, code_text, privilege, user_id, warn};
use crate::{usage, user};

const APP: u8 = 0x06;
const GET_CHANNEL_AUTH_CAPABILITIES: u8 = 0x38;
const GET_CHANNEL_ACCESS: u8 = 0x41;
const GET_CHANNEL_INFO: u8 = 0x42;
const SET_USER_ACCESS: u8 = 0x43;
const GET_CHANNEL_CIPHER_SUITES: u8 = 0x54;
const PRESENT: u8 = 0x0e;
const SESSION_LESS: u8 = 0;

pub fn run(link: &mut Link, words: &[&str]) -> Outcome {
    match words {
        [] | ["authcap"] | ["authcap", _] | ["getaccess"] | ["setaccess"] | ["setaccess", _] => {
            Err(Failure::new(format!("Not enough parameters given.\n{}", usage::CHANNEL)))
        }
        ["help", ..] => {
            warn(usage::CHANNEL);
            Ok(())
        }
        ["info"] => info(link, PRESENT),
        ["info", number, ..] => info(link, channel(number)?),
        ["authcap", number, level, ..] => {
            let level = byte(level).filter(|level| matches!(level, 1..=5));
            let level = level.ok_or_else(|| Failure::new(usage::CHANNEL))?;
            capabilities(link, channel(number)?, level)
        }
        ["getaccess", number] => all_access(link, channel(number)?),
        ["getaccess", number, id, ..] => one_access(link, channel(number)?, user_id(id)?),
        ["setaccess", number, id, rest @ ..] => {
            set_access(link, channel(number)?, user_id(id)?, rest)
        }
        ["getciphers", kind @ ("ipmi" | "sol"), rest @ ..] => {
            let number = rest.first().map_or(Ok(PRESENT), |word| channel(word))?;
            cipher_suites(link, number, u8::from(*kind == "sol"))
        }
        ["getciphers", ..] => Err(Failure::new(usage::CHANNEL)),
        [other, ..] => {
            let text = format!("Invalid CHANNEL command: {other}\n\n{}", usage::CHANNEL);
            Err(Failure::new(text))
        }
    }
}

fn info(link: &mut Link, channel: u8) -> Outcome {
    let reply = link.ask(APP, GET_CHANNEL_INFO, &[channel])?;
    let reply = reply.map_err(|error| Failure::of("Unable to Get Channel Info", &error))?;
    if reply.completion_code.0 != 0 {
        warn(format!("IPMI command failed: {}", code_text(reply.completion_code)));
        return Err(Failure::new("Unable to Get Channel Info"));
    }
    let at = |index: usize| reply.data.get(index).copied().unwrap_or(0);
    let supports = ["session-less", "single-session", "multi-session", "session-based"];
    let support = at(3) >> 6;
    out!("Channel 0x{:x} info:", at(0) & 0x0f);
    out!("  Channel Medium Type   : {}", medium(at(1) & 0x7f));
    out!("  Channel Protocol Type : {}", protocol(at(2) & 0x1f));
    out!("  Session Support       : {}", supports[usize::from(support)]);
    out!("  Active Session Count  : {}", at(3) & 0x3f);
    let vendor = u32::from_le_bytes([at(4), at(5), at(6), 0]);
    out!("  Protocol Vendor ID    : {vendor}");
    if support == SESSION_LESS {
        return Ok(());
    }
    let kinds = [(0x80, "Volatile(active) Settings"), (0x40, "Non-Volatile Settings")];
    for (which, title) in kinds {
        let access = match link.ask(APP, GET_CHANNEL_ACCESS, &[channel, which])? {
            Ok(reply) if reply.completion_code.0 == 0 => reply.data.first().copied(),
            _ => None,
        };
        let access = access.ok_or_else(|| Failure::new("Unable to Get Channel Access"))?;
        // The bits say what is off.
        let on = |bit: u8| if access & bit != 0 { "disabled" } else { "enabled" };
        let modes = ["disabled", "pre-boot only", "always available", "shared"];
        out!("  {title}");
        out!("    Alerting            : {}", on(0x20));
        out!("    Per-message Auth    : {}", on(0x10));
        out!("    User Level Auth     : {}", on(0x08));
        out!(
            "    Access Mode         : {}",
            modes.get(usize::from(access & 7)).unwrap_or(&"unknown")
        );
    }
    Ok(())
}

fn medium(number: u8) -> &'static str {
    const NAMES: [&str; 13] = [
        "reserved",
        "IPMB (I2C)",
        "ICMB v1.0",
        "ICMB v0.9",
        "802.3 LAN",
        "Serial/Modem",
        "Other LAN",
        "PCI SMBus",
        "SMBus v1.0/v1.1",
        "SMBus v2.0",
        "USB 1.x",
        "USB 2.x",
        "System Interface",
    ];
    NAMES.get(usize::from(number)).unwrap_or(&"Unknown")
}

fn protocol(number: u8) -> &'static str {
    match number {
        0x00 => "reserved",
        0x01 => "IPMB-1.0",
        0x02 => "ICMB-1.0",
        0x04 => "IPMI-SMBus",
        0x05 => "KCS",
        0x06 => "SMIC",
        0x07 => "BT-10",
        0x08 => "BT-15",
        0x09 => "TMode",
        0x1c..=0x1f => "OEM",
        _ => "Unknown",
    }
}

fn capabilities(link: &mut Link, channel: u8, level: u8) -> Outcome {
    let what = "Unable to Get Channel Authentication Capabilities";
    // Bit 7 asks for what IPMI 2.0 has to say as well.
    let data = link.get(what, APP, GET_CHANNEL_AUTH_CAPABILITIES, &[channel | 0x80, level])?;
    let at = |index: usize| data.get(index).copied().unwrap_or(0);
    let (types, status, versions) = (at(1), at(2), at(3));
    let on = |on: bool| if on { "enabled" } else { "disabled" };
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    out!("Channel number             : {}", at(0));
    out!("IPMI v1.5  auth types      : {}", auth_types(types));
    if types & 0x80 != 0 {
        let k_g = if status & 0x20 != 0 { "non-zero" } else { "default (all zeroes)" };
        out!("KG status                  : {k_g}");
    }
    out!("Per message authentication : {}", on(status & 0x10 == 0));
    out!("User level authentication  : {}", on(status & 0x08 == 0));
    out!("Non-null user names exist  : {}", yes(status & 0x04 != 0));
    out!("Null user names exist      : {}", yes(status & 0x02 != 0));
    out!("Anonymous login enabled    : {}", yes(status & 0x01 != 0));
    if types & 0x80 != 0 {
        out!("Channel supports IPMI v1.5 : {}", yes(versions & 0x01 != 0));
        out!("Channel supports IPMI v2.0 : {}", yes(versions & 0x02 != 0));
    }
    Ok(())
}

/// Authentication types of IPMI 1.5 by their bits, each with a space behind it.
pub fn auth_types(bits: u8) -> String {
    let names =
        [(0x01, "NONE "), (0x02, "MD2 "), (0x04, "MD5 "), (0x10, "PASSWORD "), (0x20, "OEM ")];
    names.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect()
}

fn all_access(link: &mut Link, channel: u8) -> Outcome {
    let [highest, enabled, ..] = user::access(link, channel, 1)?;
    out!("Maximum User IDs     : {}", highest & 0x3f);
    out!("Enabled User IDs     : {}", enabled & 0x3f);
    (1..=(highest & 0x3f).max(1)).try_for_each(|id| print_access(link, channel, id))
}

fn one_access(link: &mut Link, channel: u8, id: u8) -> Outcome {
    let [highest, enabled, ..] = user::access(link, channel, id)?;
    out!("Maximum User IDs     : {}", highest & 0x3f);
    out!("Enabled User IDs     : {}", enabled & 0x3f);
    print_access(link, channel, id)
}

fn print_access(link: &mut Link, channel: u8, id: u8) -> Outcome {
    let [_, enabled, fixed, flags] = user::access(link, channel, id)?;
    let name = user::name(link, id)?;
    let on = |bit: u8| if flags & bit != 0 { "enabled" } else { "disabled" };
    out!();
    out!("User ID              : {id}");
    out!("User Name            : {name}");
    out!("Fixed Name           : {}", if id <= fixed & 0x3f { "Yes" } else { "No" });
    let call = if flags & 0x40 != 0 { "callback" } else { "call-in / callback" };
    out!("Access Available     : {call}");
    out!("Link Authentication  : {}", on(0x20));
    out!("IPMI Messaging       : {}", on(0x10));
    out!("Privilege Level      : {}", privilege(flags & 0x0f));
    let states = ["unknown", "enabled", "disabled", "reserved"];
    out!("Enable Status        : {}", states[usize::from(enabled >> 6)]);
    Ok(())
}

fn set_access(link: &mut Link, channel: u8, id: u8, words: &[&str]) -> Outcome {
    let [_, _, _, mut flags] = user::access(link, channel, id)?;
    let mut set = |bit: u8, on: bool| flags = if on { flags | bit } else { flags & !bit };
    for word in words {
        match word.split_once('=') {
            Some(("callin", value @ ("on" | "off"))) => set(0x40, value == "off"),
            Some(("link", value @ ("on" | "off"))) => set(0x20, value == "on"),
            Some(("ipmi", value @ ("on" | "off"))) => set(0x10, value == "on"),
            Some(("privilege", value)) => {
                let level = byte(value).filter(|level| *level <= 15);
                let level = level.ok_or_else(|| invalid_option(word))?;
                (0..4).for_each(|bit| set(1 << bit, level & 1 << bit != 0));
            }
            _ => return Err(invalid_option(word)),
        }
    }
    let what = format!("Unable to Set User Access (channel {channel} id {id})");
    // Bit 7 of the first byte: the flags change, not only the level.
    let data = [0x80 | flags & 0x70 | channel, id, flags & 0x0f];
    link.get(&what, APP, SET_USER_ACCESS, &data)?;
    out!("Set User Access (channel {channel} id {id}) successful.");
    Ok(())
}

fn invalid_option(word: &str) -> Failure {
    Failure::new(format!("Invalid option: {word}\n"))
}

// Cipher suites

fn cipher_suites(link: &mut Link, channel: u8, payload: u8) -> Outcome {
    let mut data = Vec::new();
    for index in 0..0x40 {
        let request = [channel, payload, 0x80 | index];
        let what = "Unable to Get Channel Cipher Suites";
        let part = link.get(what, APP, GET_CHANNEL_CIPHER_SUITES, &request)?;
        let part = part.get(1..).unwrap_or_default();
        data.extend_from_slice(part);
        if part.len() < 16 {
            break;
        }
    }
    let (records, _) = bmclink::wire::cipher_suite::decode_records(&data);
    if !link.options.csv {
        out!("ID   IANA    Auth Alg        Integrity Alg   Confidentiality Alg");
    }
    records.iter().for_each(|record| print_suite(record, link.options.csv));
    Ok(())
}

fn print_suite(record: &CipherSuiteRecord, csv: bool) {
    let pick = |names: &[&'static str], number: u8| {
        names.get(usize::from(number & 0x3f)).copied().unwrap_or("unknown")
    };
    let iana = record.oem_iana.map_or("N/A".to_owned(), |number| number.to_string());
    let first = |numbers: &[u8]| numbers.first().copied().unwrap_or(0);
    let auth = pick(&["none", "hmac_sha1", "hmac_md5", "hmac_sha256"], record.authentication);
    let integrity = ["none", "hmac_sha1_96", "hmac_md5_128", "md5_128", "sha256_128"];
    let integrity = pick(&integrity, first(&record.integrity));
    let secret = ["none", "aes_cbc_128", "xrc4_128", "xrc4_40"];
    let secret = pick(&secret, first(&record.confidentiality));
    let id = record.id.0;
    match csv {
        true => out!("{id},{iana},{auth},{integrity},{secret}"),
        false => out!("{id:<4} {iana:<7} {auth:<15} {integrity:<15} {secret:<15}"),
    }
}
