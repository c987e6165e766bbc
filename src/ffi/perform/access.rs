//! Commands about who may do what, where and how much: LAN, channels, payloads, keys, power limits.

use super::super::table::{Row, Table};
use super::Entry;
use super::arguments::{Arguments, LEVELS};
use super::settings::{SOURCES, word};
use crate::command::{
    ChannelAccess, ChannelMode, CipherSuiteRecord, KeyLock, LanSetting, PasswordOptions,
    PasswordTest, PayloadAccess, PowerLimit, RestartCause, SelTime, Stored, UnixTime, Vlan,
};
use crate::error::{Error, Result};

const CAUSES: [(&str, RestartCause); 12] = [
    ("unknown", RestartCause::Unknown),
    ("chassis control", RestartCause::ChassisControl),
    ("reset button", RestartCause::ResetButton),
    ("power button", RestartCause::PowerButton),
    ("watchdog", RestartCause::Watchdog),
    ("oem", RestartCause::Oem),
    ("always on", RestartCause::AlwaysOn),
    ("restored", RestartCause::Restored),
    ("event filter reset", RestartCause::PefReset),
    ("event filter cycle", RestartCause::PefPowerCycle),
    ("soft reset", RestartCause::SoftReset),
    ("clock", RestartCause::Clock),
];

const MODES: [(&str, ChannelMode); 4] = [
    ("disabled", ChannelMode::Disabled),
    ("pre-boot", ChannelMode::PreBoot),
    ("always", ChannelMode::Always),
    ("shared", ChannelMode::Shared),
];

const LOCKS: [(&str, KeyLock); 3] = [
    ("not lockable", KeyLock::NotLockable),
    ("locked", KeyLock::Locked),
    ("unlocked", KeyLock::Unlocked),
];

commands! {
    "restart_cause" () |dialog, _| {
        let (cause, channel) = dialog.restart_cause().await?;
        let row = Row::default().with("cause", word(&CAUSES, cause).unwrap_or("other"));
        Ok(row.with("channel", channel).into())
    };
    "power_on_time" () |dialog, _| {
        let seconds = dialog.power_on_time().await?.as_secs();
        Ok(Row::default().with("seconds", i64::try_from(seconds).unwrap_or(i64::MAX)).into())
    };
    "clear_boot" () |dialog, _| dialog.clear_boot().await.map(|()| Table::default());
    "test_user_password" ("id", "password", "twenty_bytes", "in_clear") |dialog, a| {
        let (id, password) = (a.needed("id")?, a.needed_secret("password")?);
        let (in_clear, twenty_bytes) = (a.flag("in_clear")?, a.flag("twenty_bytes")?);
        let options = PasswordOptions { in_clear, twenty_bytes };
        let result = match dialog.test_user_password(id, password, options).await? {
            PasswordTest::Matches => "matches",
            PasswordTest::Wrong => "wrong",
            PasswordTest::WrongSize => "wrong size",
        };
        Ok(Row::default().with("result", result).into())
    };
    "sel_time" () |dialog, _| {
        let row = Row::default();
        Ok(match dialog.sel_time().await? {
            SelTime::At(time) => row.with("time", time.0),
            SelTime::SinceStart(seconds) => row.with("since_start", seconds),
            SelTime::Unknown => row,
        }
        .into())
    };
    "set_sel_time" ("time") |dialog, a| {
        dialog.set_sel_time(UnixTime(a.needed("time")?)).await.map(|()| Table::default())
    };
    "set_lan" (
        "channel", "ip_address", "address_source", "subnet_mask", "gateway", "backup_gateway",
        "vlan"
    ) |dialog, a| {
        dialog.set_lan(a.channel()?, lan_settings(&a)?).await.map(|()| Table::default())
    };
    "channel_access" ("channel", "stored") |dialog, a| {
        Ok(channel_access(dialog.channel_access(a.channel()?, stored(&a)?).await?).into())
    };
    "set_channel_access" ("channel", "stored", "mode", "privilege") |dialog, a| {
        let (channel, stored) = (a.channel()?, stored(&a)?);
        let mut access = dialog.channel_access(channel, stored).await?;
        access.mode = a.word_or("mode", &MODES)?.unwrap_or(access.mode);
        access.privilege_limit = a.word_or("privilege", &LEVELS)?.or(access.privilege_limit);
        dialog.set_channel_access(channel, stored, access).await.map(|()| Table::default())
    };
    "payload_access" ("id", "channel") |dialog, a| {
        let access = dialog.payload_access(a.channel()?, a.needed("id")?).await?;
        let row = Row::default().with("sol", access.sol()).with("standard", access.standard);
        Ok(row.with("oem", access.oem).with("oem_upper", access.oem_upper).into())
    };
    "set_payload_access" ("id", "channel", "sol") |dialog, a| {
        let (channel, id, sol) = (a.channel()?, a.needed("id")?, a.needed::<i64>("sol")? != 0);
        let result = dialog.set_payload_access(channel, id, sol, PayloadAccess::SOL).await;
        result.map(|()| Table::default())
    };
    "k_g_lock" ("channel") |dialog, a| {
        let lock = dialog.k_g_lock(a.channel()?).await?;
        Ok(Row::default().with("lock", word(&LOCKS, lock).unwrap_or("other")).into())
    };
    "set_k_g" ("k_g", "channel", "in_clear") |dialog, a| {
        let (channel, k_g) = (a.channel()?, a.needed_secret("k_g")?);
        dialog.set_k_g(channel, k_g, a.flag("in_clear")?).await.map(|()| Table::default())
    };
    "cipher_suites" ("channel") |dialog, a| {
        Ok(dialog.cipher_suites(a.channel()?).await?.iter().map(cipher_suite).collect())
    };
    "power_limit" () |dialog, _| {
        let limit = dialog.power_limit().await?;
        let row = Row::default().with("active", limit.active).with("limit", limit.limit);
        let row = row.with("exception_action", limit.exception_action);
        let row = row.with("correction_ms", limit.correction_ms);
        Ok(row.with("sampling", limit.sampling).into())
    };
    "set_power_limit" ("limit", "exception_action", "correction_ms", "sampling") |dialog, a| {
        let limit = PowerLimit {
            active: false,
            exception_action: a.number("exception_action")?.unwrap_or(0),
            limit: a.needed("limit")?,
            correction_ms: a.number("correction_ms")?.unwrap_or(1000),
            sampling: a.number("sampling")?.unwrap_or(1),
        };
        dialog.set_power_limit(limit).await.map(|()| Table::default())
    };
    "activate_power_limit" ("on") |dialog, a| {
        let on = a.number::<i64>("on")?.unwrap_or(1) != 0;
        dialog.activate_power_limit(on).await.map(|()| Table::default())
    };
    "controller_id" () |dialog, _| {
        Ok(Row::default().with("controller_id", dialog.controller_id().await?).into())
    };
    "set_controller_id" ("controller_id") |dialog, a| {
        let id = a.needed_text("controller_id")?;
        dialog.set_controller_id(id).await.map(|()| Table::default())
    };
}

/// Which of the two copies: the one in use unless it is said otherwise.
fn stored(a: &Arguments) -> Result<Stored> {
    const WORDS: [(&str, Stored); 2] =
        [("volatile", Stored::Volatile), ("non-volatile", Stored::NonVolatile)];
    Ok(a.word_or("stored", &WORDS)?.unwrap_or(Stored::Volatile))
}

/// In an order that BMCs take: most take an address only once its source is "static".
fn lan_settings(a: &Arguments) -> Result<Vec<LanSetting>> {
    let address = |name: &str| {
        let parse = |text: &str| {
            let wrong = |_| Error::misuse(format!("{name} is no IPv4 address: {text:?}"));
            text.parse().map_err(wrong)
        };
        a.text(name)?.map(parse).transpose()
    };
    let mut settings = Vec::new();
    settings.extend(a.word_or("address_source", &SOURCES)?.map(LanSetting::AddressSource));
    settings.extend(address("ip_address")?.map(LanSetting::IpAddress));
    settings.extend(address("subnet_mask")?.map(LanSetting::SubnetMask));
    settings.extend(address("gateway")?.map(LanSetting::Gateway));
    settings.extend(address("backup_gateway")?.map(LanSetting::BackupGateway));
    if let Some(id) = a.number::<u16>("vlan")? {
        // Its ID is not 0, also when it is switched off.
        settings.push(LanSetting::Vlan(Vlan { enabled: id != 0, id: id.max(1) }));
    }
    Ok(settings)
}

fn channel_access(access: ChannelAccess) -> Row {
    let level = access.privilege_limit.map(|level| level.to_string());
    Row::default()
        .with("mode", word(&MODES, access.mode).unwrap_or("other"))
        .with("alerting_off", access.alerting_off)
        .with("per_message_authentication_off", access.per_message_authentication_off)
        .with("user_level_authentication_off", access.user_level_authentication_off)
        .with_known("privilege", level)
}

fn cipher_suite(record: &CipherSuiteRecord) -> Row {
    Row::default()
        .with("id", record.id.0)
        .with_known("oem_iana", record.oem_iana)
        .with("authentication", record.authentication)
        .with("integrity", record.integrity.as_slice())
        .with("confidentiality", record.confidentiality.as_slice())
}
