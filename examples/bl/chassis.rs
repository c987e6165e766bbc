//! `chassis` and `power`.

use bmclink::command::ChassisControl;

use crate::boot;
use crate::link::Link;
use crate::text::{Failure, Outcome, number, warn};
use crate::usage;

const CHASSIS: u8 = 0x00;
const APP: u8 = 0x06;

pub fn run(link: &mut Link, words: &[&str]) -> Outcome {
    let Some((command, rest)) = words.split_first() else {
        return Err(Failure::new(usage::CHASSIS));
    };
    match *command {
        "help" => {
            warn(usage::CHASSIS);
            Ok(())
        }
        "status" => status(link),
        "power" => power(link, rest),
        "identify" => identify(link, rest),
        "policy" => policy(link, rest),
        "restart_cause" => restart_cause(link),
        "poh" => power_on_hours(link),
        "selftest" => self_test(link),
        "bootdev" => boot::device(link, rest),
        "bootparam" => boot::parameter(link, rest),
        other => Err(Failure::new(format!("Invalid chassis command: {other}"))),
    }
}

pub fn power(link: &mut Link, words: &[&str]) -> Outcome {
    let (control, name) = match words.first().copied() {
        None | Some("help") => {
            warn(usage::POWER);
            return Ok(());
        }
        Some("status") => {
            let status = link.done("Get Chassis Power Status failed", async |dialog| {
                dialog.chassis_status().await
            })?;
            out!("Chassis Power is {}", if status.power_on { "on" } else { "off" });
            return Ok(());
        }
        Some("on" | "up") => (ChassisControl::PowerUp, "Up/On"),
        Some("off" | "down") => (ChassisControl::PowerDown, "Down/Off"),
        Some("cycle") => (ChassisControl::PowerCycle, "Cycle"),
        Some("reset") => (ChassisControl::HardReset, "Reset"),
        Some("diag") => (ChassisControl::DiagnosticInterrupt, "Diag"),
        Some("soft" | "acpi") => (ChassisControl::SoftShutdown, "Soft"),
        Some(other) => {
            return Err(Failure::new(format!("Invalid chassis power command: {other}")));
        }
    };
    let what = format!("Set Chassis Power Control to {name} failed");
    link.done(&what, async |dialog| dialog.chassis_control(control).await)?;
    out!("Chassis Power Control: {name}");
    Ok(())
}

fn status(link: &mut Link) -> Outcome {
    let data = link.get("Error sending Chassis Status command", CHASSIS, 0x01, &[])?;
    let at = |index: usize| data.get(index).copied().unwrap_or(0);
    let (power, event, state) = (at(0), at(1), at(2));
    let pick = |byte: u8, bit: u8, names: [&'static str; 2]| names[usize::from(byte & bit != 0)];
    let (truth, active) = (["false", "true"], ["inactive", "active"]);
    let policies = ["always-off", "previous", "always-on", "unknown"];
    out!("System Power         : {}", pick(power, 0x01, ["off", "on"]));
    out!("Power Overload       : {}", pick(power, 0x02, truth));
    out!("Power Interlock      : {}", pick(power, 0x04, active));
    out!("Main Power Fault     : {}", pick(power, 0x08, truth));
    out!("Power Control Fault  : {}", pick(power, 0x10, truth));
    out!("Power Restore Policy : {}", policies[usize::from(power >> 5 & 3)]);
    let events = ["ac-failed ", "overload ", "interlock ", "fault ", "command "];
    let set = events.iter().enumerate().filter(|(bit, _)| event & 1 << bit != 0);
    let names: String = set.map(|(_, name)| *name).collect();
    out!("Last Power Event     : {}", names.trim_end());
    out!("Chassis Intrusion    : {}", pick(state, 0x01, active));
    out!("Front-Panel Lockout  : {}", pick(state, 0x02, active));
    out!("Drive Fault          : {}", pick(state, 0x04, truth));
    out!("Cooling/Fan Fault    : {}", pick(state, 0x08, truth));
    let Some(buttons) = data.get(3) else { return Ok(()) };
    let names = ["Sleep", "Diag", "Reset", "Power"];
    for (name, bit) in names.iter().zip([0x80, 0x40, 0x20, 0x10]) {
        let allowed = pick(*buttons, bit, ["not allowed", "allowed"]);
        let title = format!("{name} Button Disable");
        out!("{title:<20} : {allowed}");
    }
    for (name, bit) in names.iter().zip([0x08, 0x04, 0x02, 0x01]) {
        let title = format!("{name} Button Disabled");
        out!("{title:<21}: {}", pick(*buttons, bit, truth));
    }
    Ok(())
}

fn identify(link: &mut Link, words: &[&str]) -> Outcome {
    let (data, said) = match words.first().copied() {
        None => (vec![], "default (15 seconds)".to_owned()),
        Some("help") => {
            warn(usage::IDENTIFY);
            return Ok(());
        }
        Some("force") => (vec![0, 1], "indefinite".to_owned()),
        Some(word) => match number(word) {
            Some(0) => (vec![0], "off".to_owned()),
            Some(seconds @ 1..=255) => (vec![seconds as u8], format!("{seconds} seconds")),
            Some(256..) => return Err(Failure::new("Given interval is too big.")),
            _ => return Err(Failure::new("Invalid interval given.")),
        },
    };
    link.get("Set Chassis Identify failed", CHASSIS, 0x04, &data)?;
    out!("Chassis identify interval: {said}");
    Ok(())
}

fn policy(link: &mut Link, words: &[&str]) -> Outcome {
    const NAMES: [&str; 3] = ["always-off", "previous", "always-on"];
    let number = match words.first().copied() {
        None | Some("help") => return Err(Failure::new(usage::POLICY)),
        // "No change", which is answered with what could be.
        Some("list") => 3,
        Some(word) => match NAMES.iter().position(|name| *name == word) {
            Some(number) => number as u8,
            None => return Err(Failure::new(format!("Invalid chassis policy: {word}"))),
        },
    };
    let what = "Set Chassis Power Restore Policy failed";
    let data = link.get(what, CHASSIS, 0x06, &[number])?;
    if let Some(name) = NAMES.get(usize::from(number)) {
        out!("Set chassis power restore policy to {name}");
        return Ok(());
    }
    let supported = data.first().copied().unwrap_or(0);
    let order = [(0x01, "always-off"), (0x04, "always-on"), (0x02, "previous")];
    let names = order.iter().filter(|(bit, _)| supported & bit != 0).map(|(_, name)| *name);
    out!("Supported chassis power policy:  {}", names.collect::<Vec<_>>().join(" "));
    Ok(())
}

fn restart_cause(link: &mut Link) -> Outcome {
    const CAUSES: [&str; 11] = [
        "unknown",
        "chassis power control command",
        "reset via pushbutton",
        "power-up via pushbutton",
        "watchdog expired",
        "OEM",
        "power-up due to always-restore power policy",
        "power-up due to restore-previous power policy",
        "reset via PEF",
        "power-cycle via PEF",
        "soft reset",
    ];
    let data = link.get("Get Chassis Restart Cause failed", CHASSIS, 0x07, &[])?;
    let cause = data.first().map_or(0, |cause| cause & 0x0f);
    out!("System restart cause: {}", CAUSES.get(usize::from(cause)).unwrap_or(&"invalid"));
    Ok(())
}

fn power_on_hours(link: &mut Link) -> Outcome {
    let data = link.get("Get Chassis Power-On-Hours failed", CHASSIS, 0x0f, &[])?;
    let Some(([per_count, count @ ..], _)) = data.split_first_chunk::<5>() else {
        return Err(Failure::new("Get Chassis Power-On-Hours failed: response too short"));
    };
    let minutes = u64::from(u32::from_le_bytes(*count)) * u64::from(*per_count);
    let (days, hours, rest) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match *per_count {
        0..60 => out!("POH Counter  : {days} days, {hours} hours, {rest} minutes"),
        _ => out!("POH Counter  : {days} days, {hours} hours"),
    }
    Ok(())
}

fn self_test(link: &mut Link) -> Outcome {
    let data = link.get("Error sending Get Self Test command", APP, 0x04, &[])?;
    let [result, detail] = data.first_chunk().copied().unwrap_or_default();
    out!(
        "Self Test Results    : {}",
        match result {
            0x55 => "passed".to_owned(),
            0x56 => "not implemented".to_owned(),
            0x57 => "device error".to_owned(),
            0x58 => format!("Fatal hardware error: {detail:02x}h"),
            _ => format!("Device-specific failure {result:02x}h:{detail:02x}h"),
        }
    );
    if result == 0x57 {
        for name in broken(detail) {
            out!("                       [{name}]");
        }
    }
    Ok(())
}

/// What a self test found, by its bits from 0.
pub fn broken(bits: u8) -> impl Iterator<Item = &'static str> {
    const NAMES: [&str; 8] = [
        "firmware corrupted",
        "boot block corrupted",
        "FRU Internal Use Area corrupted",
        "SDR Repository empty",
        "IPMB not responding",
        "cannot access BMC FRU",
        "cannot access SDR Repository",
        "cannot access SEL",
    ];
    NAMES.into_iter().enumerate().filter(move |(bit, _)| bits & 1 << bit != 0).map(|(_, name)| name)
}
