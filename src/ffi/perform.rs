//! Which commands C can name, what each takes, and how it is carried out.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::table::{Row, Table, Value};
use crate::command::{
    ChassisControl, ChassisStatus, DeviceId, Dialog, Identify, PowerRestorePolicy, SelfTest,
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

/// What a command is given, by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Arguments(Arc<BTreeMap<&'static str, Value>>);

/// The command of that name.
pub(super) fn find(name: &str) -> Result<&'static Entry> {
    let found = COMMANDS.iter().find(|entry| entry.name == name);
    found.ok_or_else(|| Error::misuse(format!("there is no command {name:?}")))
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

impl Arguments {
    pub fn set(&mut self, name: &'static str, value: Value) {
        Arc::make_mut(&mut self.0).insert(name, value);
    }

    fn number<T: TryFrom<i64>>(&self, name: &str) -> Result<Option<T>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => match T::try_from(*number) {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Error::misuse(format!("{name} is out of range: {number}"))),
            },
            Some(_) => Err(Error::misuse(format!("{name} is a number"))),
        }
    }

    fn needed<T: TryFrom<i64>>(&self, name: &str) -> Result<T> {
        self.number(name)?.ok_or_else(|| Error::misuse(format!("there is no {name}")))
    }

    fn text(&self, name: &str) -> Result<Option<&str>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Error::misuse(format!("{name} is a text"))),
        }
    }

    fn bytes(&self, name: &str) -> Result<&[u8]> {
        match self.0.get(name) {
            None => Ok(&[]),
            Some(Value::Bytes(bytes)) => Ok(bytes),
            Some(_) => Err(Error::misuse(format!("{name} is bytes"))),
        }
    }

    fn millis(&self, name: &str) -> Result<Option<Duration>> {
        Ok(self.number::<u32>(name)?.map(|ms| Duration::from_millis(ms.into())))
    }

    /// One of several words.
    pub fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<T> {
        let text = self.text(name)?;
        let text = text.ok_or_else(|| Error::misuse(format!("there is no {name}")))?;
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            Error::misuse(format!("{name} is none of {}: {text:?}", all.join(", ")))
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
        /// All of them.
        pub(super) const COMMANDS: &[Entry] = &[$(Entry {
            name: $name,
            arguments: &[$($argument),*],
            perform: |$dialog, $arguments| Box::pin(async move { $body }),
        }),*];
    };
}

commands! {
    "raw" ("net_fn", "lun", "cmd", "data") |dialog, a| raw(&dialog, &a).await;
    "device_id" () |dialog, _| Ok(device_id(&dialog.device_id().await?).into());
    "system_guid" () |dialog, _| {
        Ok(Row::default().with("guid", dialog.system_guid().await?.as_slice()).into())
    };
    "self_test" () |dialog, _| Ok(self_test(dialog.self_test().await?).into());
    "cold_reset" () |dialog, _| dialog.cold_reset().await.map(|()| Table::default());
    "warm_reset" () |dialog, _| dialog.warm_reset().await.map(|()| Table::default());
    "chassis_status" () |dialog, _| Ok(chassis_status(&dialog.chassis_status().await?).into());
    "power" ("action", "wait_ms") |dialog, a| {
        power(&dialog, a.word("action", &CONTROLS)?, a.millis("wait_ms")?).await
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

async fn raw(dialog: &Dialog, arguments: &Arguments) -> Result<Table> {
    let (net_fn, cmd) = (arguments.needed("net_fn")?, arguments.needed("cmd")?);
    let lun = arguments.number("lun")?.unwrap_or(0);
    let reply = dialog.raw(net_fn, lun, cmd, arguments.bytes("data")?).await?;
    let row = Row::default().with("completion_code", reply.completion_code.0);
    Ok(row.with("data", reply.data).into())
}

/// Switches the host, waits until that has happened if asked to, and gives the state then.
pub(super) async fn power(
    dialog: &Dialog,
    control: ChassisControl,
    wait: Option<Duration>,
) -> Result<Table> {
    dialog.chassis_control(control).await?;
    if let Some(limit) = wait.filter(|limit| !limit.is_zero()) {
        dialog.wait_power(control.leads_to(), limit).await?;
        return Ok(Row::default().with("power_on", control.leads_to()).into());
    }
    Ok(Table::default())
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
