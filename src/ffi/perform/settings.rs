//! Commands about how BMCs are set up: boot, users, channels, LAN, SOL, sessions, power readings.

use super::super::table::{Row, Table};
use super::Entry;
use super::arguments::LEVELS;
use crate::PrivilegeLevel;
use crate::command::{
    AddressSource, BootDevice, BootFlags, BootOptions, ChannelInfo, LanConfig, NewUser,
    PasswordOptions, SessionInfo, SolBitRate, SolParameters, SolSetting, User, UserFlags,
    UserPrivilege,
};
use crate::error::Error;

/// The words for what is booted from.
const DEVICES: [(&str, BootDevice); 12] = [
    ("none", BootDevice::None),
    ("pxe", BootDevice::Pxe),
    ("disk", BootDevice::Disk),
    ("safe", BootDevice::DiskSafeMode),
    ("diag", BootDevice::DiagnosticPartition),
    ("cdrom", BootDevice::CdDvd),
    ("bios", BootDevice::BiosSetup),
    ("floppy", BootDevice::Floppy),
    ("remote_floppy", BootDevice::RemoteFloppy),
    ("remote_cdrom", BootDevice::RemoteCdDvd),
    ("remote_media", BootDevice::RemoteMedia),
    ("remote_disk", BootDevice::RemoteDisk),
];

pub(super) const SOURCES: [(&str, AddressSource); 4] = [
    ("static", AddressSource::Static),
    ("dhcp", AddressSource::Dhcp),
    ("bios", AddressSource::Bios),
    ("other", AddressSource::OtherProtocol),
];

/// Bits per second; 0 is as the serial port is set.
const BIT_RATES: [(i64, SolBitRate); 6] = [
    (0, SolBitRate::AsSerialPort),
    (9600, SolBitRate::B9600),
    (19_200, SolBitRate::B19200),
    (38_400, SolBitRate::B38400),
    (57_600, SolBitRate::B57600),
    (115_200, SolBitRate::B115200),
];

commands! {
    "boot" () |dialog, _| Ok(boot(&dialog.boot_flags().await?).into());
    "set_boot" ("device", "persistent", "efi", "keep_valid") |dialog, a| {
        let options = BootOptions {
            persistent: a.flag("persistent")?,
            efi: a.flag("efi")?,
            keep_valid: a.flag("keep_valid")?,
            ..BootOptions::default()
        };
        dialog.set_boot(a.word("device", &DEVICES)?, options).await.map(|_| Table::default())
    };
    "users" ("channel") |dialog, a| {
        Ok(dialog.users(a.channel()?).await?.iter().map(user).collect())
    };
    "create_user" ("name", "password", "privilege", "ipmi", "in_clear") |dialog, a| {
        let (name, password) = (a.needed_text("name")?, a.needed_secret("password")?);
        let level = a.word_or("privilege", &LEVELS)?.unwrap_or(PrivilegeLevel::User);
        let options = PasswordOptions { in_clear: a.flag("in_clear")?, ..Default::default() };
        let new = NewUser::human(name, password, level).ipmi(a.flag("ipmi")?);
        let id = dialog.create_user(new.password_options(options)).await?;
        Ok(Row::default().with("id", id).into())
    };
    "delete_user" ("id") |dialog, a| {
        dialog.delete_user(a.needed("id")?).await.map(|()| Table::default())
    };
    "enable_user" ("id", "on") |dialog, a| {
        let on = a.number::<i64>("on")?.unwrap_or(1) != 0;
        dialog.enable_user(a.needed("id")?, on).await.map(|()| Table::default())
    };
    "set_user_name" ("id", "name") |dialog, a| {
        let id = a.needed("id")?;
        dialog.set_user_name(id, a.needed_text("name")?).await.map(|()| Table::default())
    };
    "set_user_password" ("id", "password", "twenty_bytes", "in_clear") |dialog, a| {
        let (id, password) = (a.needed("id")?, a.needed_secret("password")?);
        let (in_clear, twenty_bytes) = (a.flag("in_clear")?, a.flag("twenty_bytes")?);
        let options = PasswordOptions { in_clear, twenty_bytes };
        dialog.set_user_password(id, password, options).await.map(|()| Table::default())
    };
    "set_user_access" ("id", "channel", "privilege", "ipmi") |dialog, a| {
        let (channel, id) = (a.channel()?, a.needed("id")?);
        let level = a.word_or("privilege", &LEVELS)?.map(UserPrivilege::Level);
        let level = level.unwrap_or(UserPrivilege::NoAccess);
        let mut flags = None;
        if let Some(ipmi) = a.number::<i64>("ipmi")? {
            let now = dialog.user_access(channel, id).await?.flags;
            flags = Some(UserFlags { ipmi_messaging: ipmi != 0, ..now });
        }
        dialog.set_user_access(channel, id, flags, level).await.map(|()| Table::default())
    };
    "channel_info" ("channel") |dialog, a| match a.number("channel")? {
        Some(channel) => Ok(channel_info(&dialog.channel_info(channel).await?).into()),
        None => Ok(dialog.channels().await?.iter().map(channel_info).collect()),
    };
    "lan" ("channel") |dialog, a| Ok(lan(&dialog.lan_config(a.channel()?).await?).into());
    "sol_config" ("channel") |dialog, a| {
        Ok(sol_config(&dialog.sol_parameters(a.channel()?).await?).into())
    };
    "set_sol_config" ("channel", "enabled", "bit_rate", "force") |dialog, a| {
        let mut settings = Vec::new();
        if let Some(rate) = a.number::<i64>("bit_rate")? {
            let found = BIT_RATES.iter().find(|(number, _)| *number == rate);
            let found = found.ok_or_else(|| Error::misuse(format!("no such bit rate: {rate}")))?;
            settings.extend([SolSetting::BitRate(found.1), SolSetting::VolatileBitRate(found.1)]);
        }
        let enabled = a.number::<i64>("enabled")?.map(|enabled| enabled != 0);
        settings.extend(enabled.map(SolSetting::Enabled));
        dialog.set_sol(a.channel()?, settings, a.flag("force")?).await.map(|()| Table::default())
    };
    "session_info" () |dialog, _| {
        Ok(dialog.own_session().await?.iter().map(session).collect())
    };
    "sessions" () |dialog, _| Ok(dialog.sessions().await?.iter().map(session).collect());
    "dcmi_power" () |dialog, _| {
        let reading = dialog.power_reading().await?;
        let row = Row::default().with("valid", reading.valid).with("current", reading.current);
        let row = row.with("minimum", reading.minimum).with("maximum", reading.maximum);
        let row = row.with("average", reading.average).with("timestamp", reading.timestamp);
        let period = i64::try_from(reading.period.as_millis()).unwrap_or(i64::MAX);
        Ok(row.with("period_ms", period).into())
    };
    "asset_tag" () |dialog, _| {
        let tag = dialog.asset_tag().await?;
        Ok(Row::default().with("asset_tag", String::from_utf8_lossy(&tag).into_owned()).into())
    };
    "set_asset_tag" ("asset_tag") |dialog, a| {
        dialog.set_asset_tag(a.needed_text("asset_tag")?).await.map(|()| Table::default())
    };
}

/// The word for something, or its debugging text when there is none.
pub(super) fn word<T: Copy + PartialEq>(
    words: &[(&'static str, T)],
    meaning: T,
) -> Option<&'static str> {
    words.iter().find(|(_, known)| *known == meaning).map(|(word, _)| *word)
}

fn boot(flags: &BootFlags) -> Row {
    Row::default()
        .with("valid", flags.valid)
        .with("device", word(&DEVICES, flags.device).unwrap_or("other"))
        .with("device_number", flags.device.number())
        .with("persistent", flags.options.persistent)
        .with("efi", flags.options.efi)
}

fn user(user: &User) -> Row {
    let access = &user.access;
    let privilege = match access.privilege {
        UserPrivilege::Level(level) => level.to_string(),
        UserPrivilege::NoAccess => "no access".to_owned(),
        UserPrivilege::Other(_) => "other".to_owned(),
    };
    Row::default()
        .with("id", user.id)
        .with("name", user.name.as_str())
        .with("privilege", privilege)
        .with_known("enabled", access.enabled)
        .with("ipmi", access.flags.ipmi_messaging)
        .with("callback_only", access.flags.callback_only)
        .with("link_authentication", access.flags.link_authentication)
}

fn channel_info(info: &ChannelInfo) -> Row {
    Row::default()
        .with("number", info.number)
        .with("medium", info.medium)
        .with("protocol", info.protocol)
        .with("session_support", info.session_support)
        .with("active_sessions", info.active_sessions)
        .with("is_lan", info.is_lan())
}

fn lan(config: &LanConfig) -> Row {
    let address = |address: Option<std::net::Ipv4Addr>| address.map(|a| a.to_string());
    let source = config.address_source.map(|source| word(&SOURCES, source).unwrap_or("other"));
    let ipv6 = config.ipv6_static.iter().chain(&config.ipv6_dynamic).filter(|a| a.enabled);
    let ipv6: Vec<_> = ipv6.map(|a| format!("{}/{}", a.address, a.prefix_len)).collect();
    let vlan = config.vlan.filter(|vlan| vlan.enabled).map(|vlan| vlan.id);
    Row::default()
        .with_known("ip_address", address(config.ip_address))
        .with_known("address_source", source)
        .with_known("subnet_mask", address(config.subnet_mask))
        .with_known("mac_address", mac(config.mac_address))
        .with_known("gateway", address(config.gateway))
        .with_known("gateway_mac", mac(config.gateway_mac))
        .with_known("backup_gateway", address(config.backup_gateway))
        .with_known("backup_gateway_mac", mac(config.backup_gateway_mac))
        .with_known("port", config.primary_rmcp_port)
        .with_known("vlan", vlan)
        .with("cipher_suites", config.cipher_suites.as_slice())
        .with("ipv6_addresses", ipv6.join(" "))
}

fn mac(address: Option<[u8; 6]>) -> Option<String> {
    let text =
        |[a, b, c, d, e, f]: [u8; 6]| format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
    address.map(text)
}

fn sol_config(sol: &SolParameters) -> Row {
    let rate = |rate: Option<SolBitRate>| {
        let rate = rate?;
        BIT_RATES.iter().find(|(_, known)| *known == rate).map(|(number, _)| *number)
    };
    let who = sol.authentication;
    Row::default()
        .with_known("enabled", sol.enabled)
        .with_known("force_encryption", who.map(|who| who.force_encryption))
        .with_known("force_authentication", who.map(|who| who.force_authentication))
        .with_known("privilege", who.and_then(|who| who.privilege).map(|level| level.to_string()))
        .with_known("accumulate_ms", sol.accumulate_interval.map(|n| u16::from(n) * 5))
        .with_known("send_threshold", sol.send_threshold)
        .with_known("retry_count", sol.retry_count)
        .with_known("retry_ms", sol.retry_interval.map(|n| u16::from(n) * 10))
        .with_known("bit_rate", rate(sol.bit_rate))
        .with_known("volatile_bit_rate", rate(sol.volatile_bit_rate))
        .with_known("payload_channel", sol.payload_channel)
        .with_known("payload_port", sol.payload_port)
}

fn session(session: &SessionInfo) -> Row {
    let row = Row::default()
        .with("handle", session.handle)
        .with("slots", session.slots)
        .with("active", session.active)
        .with("user", session.user)
        .with_known("privilege", session.privilege.map(|level| level.to_string()))
        .with("is_v20", session.is_v20)
        .with("channel", session.channel);
    let Some((address, peer_mac, port)) = session.peer else { return row };
    let row = row.with("address", address.to_string()).with_known("mac", mac(Some(peer_mac)));
    row.with("port", port)
}
