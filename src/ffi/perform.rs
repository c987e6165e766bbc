//! Which commands C can name, what each takes, and how it is carried out.

use std::pin::Pin;
use std::time::Duration;

pub(super) use self::arguments::Arguments;
use super::table::{Row, Table};
use crate::command::{
    ChassisControl, ChassisStatus, DeviceId, Dialog, Hop, Identify, PowerOptions,
    PowerRestorePolicy, SelfTest, Target,
};
use crate::error::{Error, Result};

/// A command being carried out.
pub(super) type Performed = Pin<Box<dyn Future<Output = Result<Table>> + Send>>;

/// A command C can name.
pub(super) struct Entry {
    pub name: &'static str,
    pub arguments: &'static [&'static str],
    pub perform: fn(Dialog, Arguments) -> Performed,
}

/// The command of that name.
pub(super) fn find(name: &str) -> Result<&'static Entry> {
    let found = all().find(|entry| entry.name == name);
    found.ok_or_else(|| Error::misuse(format!("there is no command {name:?}")))
}

/// Every command there is.
fn all() -> impl Iterator<Item = &'static Entry> {
    [COMMANDS, settings::COMMANDS, records::COMMANDS, access::COMMANDS].into_iter().flatten()
}

impl Entry {
    /// The argument of that name.
    pub fn argument(&self, name: &str) -> Result<&'static str> {
        let found = self.arguments.iter().find(|argument| **argument == name);
        found.copied().ok_or_else(|| {
            let (command, all) = (self.name, self.arguments.join(", "));
            Error::misuse(format!("{command} takes no {name:?} but: {all}"))
        })
    }
}

/// The words for what switches the host.
pub(super) const CONTROLS: [(&str, ChassisControl); 6] = [
    ("off", ChassisControl::PowerDown),
    ("on", ChassisControl::PowerUp),
    ("cycle", ChassisControl::PowerCycle),
    ("reset", ChassisControl::HardReset),
    ("diag", ChassisControl::DiagnosticInterrupt),
    ("soft", ChassisControl::SoftShutdown),
];

const POLICIES: [(&str, PowerRestorePolicy); 3] = [
    ("off", PowerRestorePolicy::AlwaysOff),
    ("previous", PowerRestorePolicy::Previous),
    ("on", PowerRestorePolicy::AlwaysOn),
];

macro_rules! commands {
    ($(
        $name:literal ($($argument:literal),*) |$dialog:ident, $arguments:pat_param| $body:expr;
    )*) => {
        /// The commands of this file.
        pub(super) const COMMANDS: &[Entry] = &[$(Entry {
            name: $name,
            arguments: &[$($argument),*],
            perform: |$dialog, $arguments| Box::pin(async move { $body }),
        }),*];
    };
}

mod access;
mod arguments;
mod records;
mod settings;

commands! {
    "raw" (
        "net_fn", "lun", "cmd", "data", "channel", "address", "transit_channel", "transit_address"
    ) |dialog, a| raw(&dialog, &a).await;
    "device_id" () |dialog, _| Ok(device_id(&dialog.device_id().await?).into());
    "system_guid" () |dialog, _| {
        Ok(Row::default().with("guid", dialog.system_guid().await?.as_slice()).into())
    };
    "self_test" () |dialog, _| Ok(self_test(dialog.self_test().await?).into());
    "cold_reset" () |dialog, _| dialog.cold_reset().await.map(|()| Table::default());
    "warm_reset" () |dialog, _| dialog.warm_reset().await.map(|()| Table::default());
    "chassis_status" () |dialog, _| Ok(chassis_status(&dialog.chassis_status().await?).into());
    "power" ("action", "wait_ms", "on_when_off") |dialog, a| {
        let options = PowerOptions::default();
        let options = if a.flag("on_when_off")? { options.on_when_off() } else { options };
        power(&dialog, a.word("action", &CONTROLS)?, options, a.millis("wait_ms")?).await
    };
    "identify" ("seconds", "on") |dialog, a| {
        let light = match (a.number::<u8>("seconds")?, a.number::<i64>("on")?) {
            (None | Some(0), Some(0)) | (Some(0), None) => Identify::Off,
            (None, Some(_)) => Identify::On,
            (seconds, _) => Identify::For(seconds.unwrap_or(15)),
        };
        dialog.identify(light).await.map(|()| Table::default())
    };
    "set_power_restore_policy" ("policy") |dialog, a| {
        let policy = a.word("policy", &POLICIES)?;
        dialog.set_power_restore_policy(policy).await.map(|()| Table::default())
    };
}

async fn raw(dialog: &Dialog, a: &Arguments) -> Result<Table> {
    let (net_fn, cmd) = (a.needed("net_fn")?, a.needed("cmd")?);
    let lun = a.number("lun")?.unwrap_or(0);
    let target = match (hop(a, "channel", "address")?, a.number("transit_address")?) {
        (None, None) => Target::BMC,
        (Some(hop), None) => Target::behind(hop.channel, hop.address),
        (Some(target), Some::<u8>(_)) => {
            let transit = hop(a, "transit_channel", "transit_address")?;
            Target::behind_two(transit.unwrap_or(target), target)
        }
        (None, Some(_)) => return Err(Error::misuse("there is no address behind the transit")),
    };
    let reply = dialog.at(target).raw(net_fn, lun, cmd, a.bytes("data")?).await?;
    let row = Row::default().with("completion_code", reply.completion_code.0);
    Ok(row.with("data", reply.data).into())
}

/// A controller behind another one, if there is an address for it.
fn hop(arguments: &Arguments, channel: &str, address: &str) -> Result<Option<Hop>> {
    let channel = arguments.number(channel)?.unwrap_or(0);
    Ok(arguments.number(address)?.map(|address| Hop { channel, address }))
}

/// Switches the host, waits until that has happened if asked to, and gives the state then.
pub(super) async fn power(
    dialog: &Dialog,
    control: ChassisControl,
    options: PowerOptions,
    wait: Option<Duration>,
) -> Result<Table> {
    let wait = wait.filter(|limit| !limit.is_zero());
    let done = dialog.power(control, wait.map_or(options, |limit| options.wait(limit))).await?;
    match wait {
        Some(_) => Ok(Row::default().with("power_on", done.leads_to()).into()),
        None => Ok(Table::default()),
    }
}

fn device_id(id: &DeviceId) -> Row {
    let (major, minor) = id.firmware_revision;
    Row::default()
        .with("device_id", id.device_id)
        .with("device_revision", id.device_revision)
        .with("provides_device_sdrs", id.provides_device_sdrs)
        .with("busy", id.busy)
        .with("firmware_revision", format!("{major}.{minor:02x}"))
        .with("ipmi_version", format!("{}.{}", id.ipmi_version.0, id.ipmi_version.1))
        .with("additional_device_support", id.additional_device_support)
        .with("manufacturer_id", id.manufacturer_id)
        .with("product_id", id.product_id)
        .with_known(
            "auxiliary_firmware_revision",
            id.auxiliary_firmware_revision.as_ref().map(|bytes| bytes.as_slice()),
        )
}

fn self_test(result: SelfTest) -> Row {
    let (word, detail) = match result {
        SelfTest::Passed => ("passed", 0),
        SelfTest::NotImplemented => ("not implemented", 0),
        SelfTest::Corrupted(detail) => ("corrupted", detail),
        SelfTest::HardwareError(detail) => ("hardware error", detail),
        SelfTest::Other(_, detail) => ("other", detail),
    };
    Row::default().with("result", word).with("detail", detail)
}

fn chassis_status(status: &ChassisStatus) -> Row {
    let policy = |policy| POLICIES.iter().find(|(_, known)| *known == policy);
    let identify = |identify| match identify {
        Identify::Off => "off",
        Identify::For(_) => "timed",
        Identify::On => "on",
    };
    Row::default()
        .with("power_on", status.power_on)
        .with("power_overload", status.power_overload)
        .with("power_interlock", status.power_interlock)
        .with("power_fault", status.power_fault)
        .with("power_control_fault", status.power_control_fault)
        .with_known("restore_policy", status.restore_policy.and_then(policy).map(|(word, _)| *word))
        .with("last_power_event", status.last_power_event)
        .with("intrusion", status.intrusion)
        .with("front_panel_lockout", status.front_panel_lockout)
        .with("drive_fault", status.drive_fault)
        .with("cooling_fault", status.cooling_fault)
        .with_known("identify", status.identify.map(identify))
        .with_known("front_panel_buttons", status.front_panel_buttons)
}

#[cfg(test)]
mod tests;
