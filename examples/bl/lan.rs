//! `lan`: the BMC's network settings.

use std::net::Ipv4Addr;

use bmclink::Dialog;
use bmclink::command::{AddressSource, ArpControl, BadPassword, LanSetting, Vlan};

use crate::channel::auth_types;
use crate::link::Link;
use crate::text::{Failure, Outcome, byte, number, warn};
use crate::usage;

const APP: u8 = 0x06;
const TRANSPORT: u8 = 0x0c;
const GET_LAN_PARAMETER: u8 = 0x02;
const GET_CHANNEL_ACCESS: u8 = 0x41;
const SET_CHANNEL_ACCESS: u8 = 0x40;
const GET_CHANNEL_INFO: u8 = 0x42;
const LAN_MEDIUM: u8 = 4;
/// Levels of the list of cipher suites, by their letters.
const LEVELS: &[u8; 6] = b"XcuoaO";

pub fn run(link: &mut Link, words: &[&str]) -> Outcome {
    match words {
        [] => Err(Failure::new(usage::LAN)),
        ["help", ..] => {
            warn(usage::LAN);
            Ok(())
        }
        ["print", rest @ ..] => {
            let channel = match rest.first() {
                Some(word) => lan_channel(link, word)?,
                None => first_channel(link)?,
            };
            print(link, channel)
        }
        ["set", "help", ..] => {
            warn(usage::LAN_SET);
            Ok(())
        }
        ["set", word, rest @ ..] if !rest.is_empty() => {
            let channel = lan_channel(link, word)?;
            set(link, channel, rest)
        }
        ["set", ..] => Err(Failure::new(usage::LAN_SET)),
        [other, ..] => Err(Failure::new(format!("Invalid LAN command: {other}"))),
    }
}

/// The channel of that number, if it is one to a LAN.
fn lan_channel(link: &mut Link, word: &str) -> Outcome<u8> {
    let channel = byte(word).filter(|channel| *channel < 16);
    let invalid = || Failure::new(format!("Invalid channel: {word}"));
    let channel = channel.ok_or_else(invalid)?;
    match is_lan(link, channel)? {
        true => Ok(channel),
        false => Err(invalid()),
    }
}

fn first_channel(link: &mut Link) -> Outcome<u8> {
    for channel in (1..0x0c).chain([0]) {
        if is_lan(link, channel)? {
            return Ok(channel);
        }
    }
    Err(Failure::new("Invalid channel: none to a LAN was found"))
}

fn is_lan(link: &mut Link, channel: u8) -> Outcome<bool> {
    let data = link.find(APP, GET_CHANNEL_INFO, &[channel])?;
    let medium = data.and_then(|data| data.get(1).map(|medium| medium & 0x7f));
    Ok(matches!(medium, Some(LAN_MEDIUM | 6)))
}

// Printing

/// A parameter, without the revision in front of it; `None` when the BMC has none, or not all.
fn parameter<const N: usize>(link: &mut Link, channel: u8, number: u8) -> Outcome<Option<[u8; N]>> {
    let data = whole(link, channel, number)?;
    Ok(data.and_then(|data| data.first_chunk().copied()))
}

fn whole(link: &mut Link, channel: u8, number: u8) -> Outcome<Option<Vec<u8>>> {
    let data = link.find(TRANSPORT, GET_LAN_PARAMETER, &[channel, number, 0, 0])?;
    Ok(data.and_then(|data| data.get(1..).map(<[u8]>::to_vec)))
}

fn print(link: &mut Link, channel: u8) -> Outcome {
    let Some([progress]) = parameter(link, channel, 0)? else {
        return Err(Failure::new("Get LAN Parameter 'Set in Progress' command failed"));
    };
    let states = ["Set Complete", "Set In Progress", "Commit Write", "Reserved"];
    out!("Set in Progress         : {}", states[usize::from(progress & 3)]);
    if let Some([support]) = parameter(link, channel, 1)? {
        out!("Auth Type Support       : {}", auth_types(support));
    }
    if let Some(enables) = parameter::<5>(link, channel, 2)? {
        let levels = ["Callback", "User    ", "Operator", "Admin   ", "OEM     "];
        for (at, (level, types)) in levels.iter().zip(enables).enumerate() {
            let title = if at == 0 { "Auth Type Enable" } else { "" };
            out!("{title:<24}: {level} : {}", auth_types(types));
        }
    }
    print_addresses(link, channel)?;
    print_gateways(link, channel)?;
    print_suites(link, channel)?;
    if let Some([flags, threshold, r0, r1, l0, l1]) = parameter(link, channel, 26)? {
        let units = |low, high| u32::from(u16::from_le_bytes([low, high])) * 10;
        let yes = if flags & 1 != 0 { "yes" } else { "no" };
        out!("Bad Password Threshold  : {threshold}");
        out!("Invalid password disable: {yes}");
        out!("Attempt Count Reset Int.: {}", units(r0, r1));
        out!("User Lockout Interval   : {}", units(l0, l1));
    }
    Ok(())
}

fn ip(address: [u8; 4]) -> Ipv4Addr {
    Ipv4Addr::from(address)
}

fn mac(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}

fn print_addresses(link: &mut Link, channel: u8) -> Outcome {
    if let Some([source]) = parameter(link, channel, 4)? {
        let names =
            ["Unspecified", "Static Address", "DHCP Address", "BIOS Assigned Address", "Other"];
        out!(
            "IP Address Source       : {}",
            names.get(usize::from(source & 0x0f)).unwrap_or(&"Other")
        );
    }
    if let Some(address) = parameter(link, channel, 3)? {
        out!("IP Address              : {}", ip(address));
    }
    if let Some(mask) = parameter(link, channel, 6)? {
        out!("Subnet Mask             : {}", ip(mask));
    }
    if let Some(address) = parameter(link, channel, 5)? {
        out!("MAC Address             : {}", mac(address));
    }
    if let Some(community) = whole(link, channel, 16)? {
        let end = community.iter().position(|byte| *byte == 0).unwrap_or(community.len());
        let community = String::from_utf8_lossy(&community[..end.min(18)]);
        out!("SNMP Community String   : {community}");
    }
    if let Some([ttl, flags, service]) = parameter(link, channel, 7)? {
        let (flags, precedence, tos) = (flags & 0xe0, service & 0xe0, service & 0x1e);
        out!(
            "IP Header               : TTL=0x{ttl:02x} Flags=0x{flags:02x} \
             Precedence=0x{precedence:02x} TOS=0x{tos:02x}"
        );
    }
    if let Some([arp]) = parameter(link, channel, 10)? {
        let on = |bit: u8| if arp & bit != 0 { "Enabled" } else { "Disabled" };
        let (responses, gratuitous) = (on(2), on(1));
        out!("BMC ARP Control         : ARP Responses {responses}, Gratuitous ARP {gratuitous}");
    }
    if let Some([interval]) = parameter(link, channel, 11)? {
        out!("Gratituous ARP Intrvl   : {:.1} seconds", f64::from(interval) / 2.0);
    }
    Ok(())
}

fn print_gateways(link: &mut Link, channel: u8) -> Outcome {
    if let Some(address) = parameter(link, channel, 12)? {
        out!("Default Gateway IP      : {}", ip(address));
    }
    if let Some(address) = parameter(link, channel, 13)? {
        out!("Default Gateway MAC     : {}", mac(address));
    }
    if let Some(address) = parameter(link, channel, 14)? {
        out!("Backup Gateway IP       : {}", ip(address));
    }
    if let Some(address) = parameter(link, channel, 15)? {
        out!("Backup Gateway MAC      : {}", mac(address));
    }
    if let Some([low, high]) = parameter(link, channel, 20)? {
        match high & 0x80 != 0 {
            true => out!("802.1q VLAN ID          : {}", u16::from_le_bytes([low, high & 0x0f])),
            false => out!("802.1q VLAN ID          : Disabled"),
        }
    }
    if let Some([priority]) = parameter(link, channel, 21)? {
        out!("802.1q VLAN Priority    : {}", priority & 7);
    }
    Ok(())
}

fn print_suites(link: &mut Link, channel: u8) -> Outcome {
    let Some([count]) = parameter(link, channel, 22)? else { return Ok(()) };
    let count = usize::from(count & 0x1f).min(16);
    let suites = whole(link, channel, 23)?.unwrap_or_default();
    // A reserved byte is in front of them.
    let suites: Vec<_> = suites.iter().skip(1).take(count).map(u8::to_string).collect();
    let none = suites.is_empty();
    out!("RMCP+ Cipher Suites     : {}", if none { "None".to_owned() } else { suites.join(",") });
    let Some(levels) = whole(link, channel, 24)? else { return Ok(()) };
    let levels = levels.iter().skip(1).flat_map(|pair| [pair & 0x0f, pair >> 4]);
    let letter =
        |level: u8| LEVELS.get(usize::from(level)).map_or('-', |letter| char::from(*letter));
    out!("Cipher Suite Priv Max   : {}", levels.take(15).map(letter).collect::<String>());
    for line in ["X=Cipher Suite Unused", "c=CALLBACK", "u=USER", "o=OPERATOR", "a=ADMIN", "O=OEM"]
    {
        out!("                        :     {line}");
    }
    Ok(())
}

// Setting

fn set(link: &mut Link, channel: u8, words: &[&str]) -> Outcome {
    let usage = || Failure::new(usage::LAN_SET);
    match words {
        ["ipaddr", word, ..] => {
            let address = address(word)?;
            out!("Setting LAN IP Address to {address}");
            write(link, channel, LanSetting::IpAddress(address))
        }
        ["netmask", word, ..] => {
            let mask = address(word)?;
            out!("Setting LAN Subnet Mask to {mask}");
            write(link, channel, LanSetting::SubnetMask(mask))
        }
        ["macaddr", word, ..] => {
            let address = mac_address(word)?;
            out!("Setting LAN MAC Address to {}", mac(address));
            write(link, channel, LanSetting::MacAddress(address))
        }
        ["defgw", rest @ ..] => set_gateway(link, channel, rest, "Default"),
        ["bakgw", rest @ ..] => set_gateway(link, channel, rest, "Backup"),
        ["ipsrc", rest @ ..] => {
            let source = match rest.first().copied() {
                Some("none") => AddressSource::Other(0),
                Some("static") => AddressSource::Static,
                Some("dhcp") => AddressSource::Dhcp,
                Some("bios") => AddressSource::Bios,
                _ => return Err(Failure::new(usage::LAN_SOURCE)),
            };
            write(link, channel, LanSetting::AddressSource(source))
        }
        ["snmp", community, ..] => {
            out!("Setting LAN SNMP Community String to {community}");
            write(link, channel, LanSetting::Community((*community).to_owned()))
        }
        ["arp", rest @ ..] => set_arp(link, channel, rest),
        ["vlan", rest @ ..] => set_vlan(link, channel, rest),
        ["access", state @ ("on" | "off"), ..] => set_access(link, channel, *state == "on"),
        ["auth", level, types, ..] => set_auth(link, channel, level, types),
        ["cipher_privs", levels, ..] => set_levels(link, channel, levels),
        ["bad_pass_thresh", values @ ..] => set_threshold(link, channel, values),
        _ => Err(usage()),
    }
}

fn write(link: &mut Link, channel: u8, setting: LanSetting) -> Outcome {
    let what = "LAN Parameter could not be set";
    link.done(what, async |dialog: Dialog| dialog.set_lan(channel, vec![setting]).await)
}

fn address(word: &str) -> Outcome<Ipv4Addr> {
    word.parse().map_err(|_| Failure::new(format!("Invalid IP address: {word}")))
}

fn mac_address(word: &str) -> Outcome<[u8; 6]> {
    let bytes: Option<Vec<u8>> =
        word.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
    let address = bytes.and_then(|bytes| bytes.try_into().ok());
    address.ok_or_else(|| Failure::new(format!("Invalid MAC address: {word}")))
}

fn set_gateway(link: &mut Link, channel: u8, words: &[&str], which: &str) -> Outcome {
    let default = which == "Default";
    match words {
        ["ipaddr", word, ..] => {
            let address = address(word)?;
            out!("Setting LAN {which} Gateway IP to {address}");
            let setting = match default {
                true => LanSetting::Gateway(address),
                false => LanSetting::BackupGateway(address),
            };
            write(link, channel, setting)
        }
        ["macaddr", word, ..] => {
            let address = mac_address(word)?;
            out!("Setting LAN {which} Gateway MAC to {}", mac(address));
            let setting = match default {
                true => LanSetting::GatewayMac(address),
                false => LanSetting::BackupGatewayMac(address),
            };
            write(link, channel, setting)
        }
        _ => {
            let which = which.to_lowercase();
            Err(Failure::new(format!("LAN set {which} gateway Commands: ipaddr, macaddr")))
        }
    }
}

fn set_arp(link: &mut Link, channel: u8, words: &[&str]) -> Outcome {
    let [what @ ("respond" | "generate" | "interval"), value, ..] = words else {
        return Err(Failure::new(usage::LAN_ARP));
    };
    if *what == "interval" {
        let seconds = number(value).filter(|seconds| (0..=127).contains(seconds));
        let seconds = seconds.ok_or_else(|| Failure::new(usage::LAN_ARP))? as u8;
        write(link, channel, LanSetting::GratuitousArpInterval(seconds * 2))?;
        out!("BMC-generated Gratuitous ARP interval:  {seconds:.1} seconds");
        return Ok(());
    }
    let on = match *value {
        "on" => true,
        "off" => false,
        _ => return Err(Failure::new(usage::LAN_ARP)),
    };
    let before = parameter(link, channel, 10)?;
    let [bits] = before.ok_or_else(|| Failure::new("LAN Parameter 'ARP Control' not found"))?;
    let (mut respond, mut gratuitous) = (bits & 2 != 0, bits & 1 != 0);
    let name = match *what {
        "respond" => {
            respond = on;
            "ARP responses"
        }
        _ => {
            gratuitous = on;
            "Gratuitous ARPs"
        }
    };
    out!("{} BMC-generated {name}", if on { "Enabling" } else { "Disabling" });
    write(link, channel, LanSetting::Arp(ArpControl { respond, gratuitous }))
}

fn set_vlan(link: &mut Link, channel: u8, words: &[&str]) -> Outcome {
    let usage = || {
        Failure::new(
            "lan set <channel> vlan id <off | 1-4094>\nlan set <channel> vlan priority <0-7>",
        )
    };
    match words {
        ["id", "off", ..] => {
            let [low, high] = parameter(link, channel, 20)?.unwrap_or_default();
            if high & 0x80 == 0 {
                out!("VLAN is already disabled for channel {channel}");
                return Ok(());
            }
            let id = u16::from_le_bytes([low, high & 0x0f]).max(1);
            write(link, channel, LanSetting::Vlan(Vlan { enabled: false, id }))
        }
        ["id", word, ..] => {
            let id = number(word).filter(|id| (1..=4094).contains(id));
            let id = id.ok_or_else(|| Failure::new("VLAN ID must be between 1 and 4094."))?;
            write(link, channel, LanSetting::Vlan(Vlan { enabled: true, id: id as u16 }))
        }
        ["priority", word, ..] => {
            let priority = byte(word).filter(|priority| *priority < 8);
            let text = "VLAN priority must be between 0 and 7.";
            let priority = priority.ok_or_else(|| Failure::new(text))?;
            write(link, channel, LanSetting::VlanPriority(priority))
        }
        _ => Err(usage()),
    }
}

fn set_access(link: &mut Link, channel: u8, on: bool) -> Outcome {
    for (get, put) in [(0x40, 0x40), (0x80, 0x80)] {
        let what = "Unable to Get Channel Access";
        let now = link.get(what, APP, GET_CHANNEL_ACCESS, &[channel, get])?;
        let [access, limit] = now.first_chunk().copied().ok_or_else(|| Failure::new(what))?;
        let access = access & 0x38 | if on { 2 } else { 0 };
        let data = [channel, put | access, put | limit & 0x0f];
        link.get("Unable to Set Channel Access", APP, SET_CHANNEL_ACCESS, &data)?;
    }
    out!("Set Channel Access for channel {channel} was successful.");
    Ok(())
}

fn set_auth(link: &mut Link, channel: u8, level: &str, types: &str) -> Outcome {
    const ALL: [(&str, u8); 5] =
        [("NONE", 0x01), ("MD2", 0x02), ("MD5", 0x04), ("PASSWORD", 0x10), ("OEM", 0x20)];
    let mut bits = 0;
    for name in types.split(',') {
        let found = ALL.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        let (_, bit) = found.ok_or_else(|| Failure::new(usage::LAN_SET))?;
        bits |= bit;
    }
    let enables = parameter(link, channel, 2)?;
    let mut enables: [u8; 5] =
        enables.ok_or_else(|| Failure::new("LAN Parameter 'Auth Type Enable' not found"))?;
    for level in level.split(',') {
        let names = ["CALLBACK", "USER", "OPERATOR", "ADMIN"];
        let at = names.iter().position(|name| name.eq_ignore_ascii_case(level));
        enables[at.ok_or_else(|| Failure::new(usage::LAN_SET))?] = bits;
    }
    write(link, channel, LanSetting::AuthTypeEnables(enables))
}

fn set_levels(link: &mut Link, channel: u8, word: &str) -> Outcome {
    if word.len() != 15 {
        let text = format!("Invalid privilege specification length: {}", word.len());
        return Err(Failure::new(text));
    }
    let mut levels = [0; 16];
    for (level, letter) in levels.iter_mut().zip(word.bytes()) {
        let found = LEVELS.iter().position(|own| *own == letter);
        let text = format!("Invalid privilege specification char: {}", char::from(letter));
        *level = found.ok_or_else(|| Failure::new(text))? as u8;
    }
    write(link, channel, LanSetting::CipherSuitePrivileges(levels))
}

fn set_threshold(link: &mut Link, channel: u8, words: &[&str]) -> Outcome {
    let numbers: Option<Vec<i64>> = words.iter().map(|word| number(word)).collect();
    let Some([threshold @ 0..=255, event @ 0..=1, reset @ 0..=655_350, lockout @ 0..=655_350]) =
        numbers.as_deref()
    else {
        return Err(Failure::new(usage::LAN_SET));
    };
    let setting = BadPassword {
        event: *event == 1,
        threshold: *threshold as u8,
        reset_interval: (*reset / 10) as u16,
        lockout_interval: (*lockout / 10) as u16,
    };
    write(link, channel, LanSetting::BadPassword(setting))
}
