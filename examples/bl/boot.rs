//! `chassis bootdev` and `chassis bootparam`.

use bmclink::command::{BootDevice, BootOptions, ConsoleRedirection};

use crate::link::Link;
use crate::names;
use crate::text::{Failure, Outcome, byte, hex, warn};
use crate::usage;

const CHASSIS: u8 = 0x00;

/// `bootdev <device> [options=...]`
pub fn device(link: &mut Link, words: &[&str]) -> Outcome {
    let Some((name, rest)) = words.split_first() else {
        return Err(Failure::new(usage::BOOTDEV));
    };
    if *name == "help" {
        warn(usage::BOOTDEV);
        return Ok(());
    }
    let mut options = BootOptions::default();
    for word in rest {
        match word.split_once('=') {
            Some(("clear-cmos", value)) => options.clear_cmos = value == "yes",
            Some(("options", list)) => {
                for option in list.split(',') {
                    set_option(&mut options, option)?;
                }
            }
            _ => return Err(Failure::new(usage::BOOTDEV)),
        }
    }
    let device =
        named_device(name).ok_or_else(|| Failure::new(format!("Invalid argument: {name}")))?;
    let what = "Set Chassis Boot Parameter 5 failed";
    link.done(what, async |dialog| dialog.set_boot(device, options).await)?;
    out!("Set Boot Device to {name}");
    Ok(())
}

fn named_device(name: &str) -> Option<BootDevice> {
    Some(match name {
        "none" => BootDevice::None,
        "pxe" => BootDevice::Pxe,
        "disk" => BootDevice::Disk,
        "safe" => BootDevice::DiskSafeMode,
        "diag" => BootDevice::DiagnosticPartition,
        "cdrom" => BootDevice::CdDvd,
        "bios" => BootDevice::BiosSetup,
        "floppy" => BootDevice::Floppy,
        _ => return None,
    })
}

fn set_option(options: &mut BootOptions, name: &str) -> Outcome {
    match name {
        // The flags are always valid when they are set.
        "valid" => {}
        "persistent" => options.persistent = true,
        "efiboot" => options.efi = true,
        "clear-cmos" => options.clear_cmos = true,
        "lockkbd" => options.lock_keyboard = true,
        "screenblank" => options.blank_screen = true,
        "lockoutreset" => options.lock_reset_button = true,
        "lockout_power" => options.lock_power_button = true,
        "lockout_sleep" => options.lock_sleep_button = true,
        "verbose=default" => options.verbosity = 0,
        "verbose=no" => options.verbosity = 1,
        "verbose=yes" => options.verbosity = 2,
        "force_pet" => options.progress_traps = true,
        "upw_bypass" => options.bypass_user_password = true,
        "cons_redirect=default" => options.console_redirection = ConsoleRedirection::BiosDefault,
        "cons_redirect=skip" => options.console_redirection = ConsoleRedirection::Skip,
        "cons_redirect=enable" => options.console_redirection = ConsoleRedirection::Request,
        "help" => return Err(Failure::new(usage::BOOT_OPTIONS)),
        other => {
            let text = format!("Invalid option: {other}\n{}", usage::BOOT_OPTIONS);
            return Err(Failure::new(text));
        }
    }
    Ok(())
}

/// `bootparam get <number>` and `bootparam set bootflag <device> [options=...]`
pub fn parameter(link: &mut Link, words: &[&str]) -> Outcome {
    match words {
        ["get", number, ..] => get(link, number),
        ["set", "bootflag", name, rest @ ..] => set_flag(link, name, rest),
        _ => Err(Failure::new(usage::BOOTPARAM)),
    }
}

fn set_flag(link: &mut Link, name: &str, rest: &[&str]) -> Outcome {
    if rest.first().is_some_and(|word| *word != "options=none") {
        let text = "bl: bootparam set bootflag takes no options; see bootdev";
        return Err(Failure::new(text));
    }
    let short = name.strip_prefix("force_").unwrap_or(name);
    let device = named_device(short).filter(|_| name == "none" || short != name);
    let device = device.ok_or_else(|| Failure::new(format!("Invalid argument: {name}")))?;
    let what = "Set Chassis Boot Parameter 5 failed";
    let options = BootOptions::default();
    link.done(what, async |dialog| dialog.set_boot(device, options).await)?;
    out!("Set Boot Device to {name}");
    Ok(())
}

fn get(link: &mut Link, word: &str) -> Outcome {
    let number = byte(word).filter(|number| *number < 0x80).ok_or_else(|| {
        Failure::new(format!("Invalid parameter '{word}' given instead of bootparam."))
    })?;
    let what = format!("Get Chassis Boot Parameter {number} failed");
    let data = match link.ask(CHASSIS, 0x09, &[number, 0, 0])? {
        Ok(reply) if reply.completion_code.0 == 0x80 => {
            return Err(Failure::new(format!("{what}: Unsupported parameter")));
        }
        Ok(reply) if reply.completion_code.0 == 0 => reply.data,
        Ok(reply) => {
            let why = crate::text::code_text(reply.completion_code);
            return Err(Failure::new(format!("{what}: {why}")));
        }
        Err(error) => return Err(Failure::of(&what, &error)),
    };
    let Some(([version, parameter], value)) = data.split_first_chunk() else {
        return Err(Failure::new(format!("{what}: response too short")));
    };
    out!("Boot parameter version: {version}");
    let state = if parameter & 0x80 != 0 { "invalid/locked" } else { "valid/unlocked" };
    out!("Boot parameter {} is {state}", parameter & 0x7f);
    out!("Boot parameter data: {}", hex(value));
    let at = |index: usize| value.get(index).copied().unwrap_or(0);
    match parameter & 0x7f {
        0 => {
            let names = ["set complete", "set in progress", "commit write", "error, reserved bit"];
            out!(" Set In Progress : {}", names[usize::from(at(0) & 3)]);
        }
        1 => match at(0) {
            0 => out!(" Service Partition Selector : unspecified"),
            selector => out!(" Service Partition Selector : {selector}"),
        },
        2 => flags(" Service Partition Scan :", at(0), &names::SERVICE_SCAN),
        3 => flags(" BMC boot flag valid bit clearing :", at(0), &names::VALID_CLEARING),
        4 => acknowledge(at(1)),
        5 => print_flags([at(0), at(1), at(2), at(3)]),
        6 => initiator(value),
        7 => {
            out!(" Selector       : {}", at(0));
            let maker = value.get(1..4).unwrap_or(&[0; 3]);
            let number = u32::from_le_bytes([maker[0], maker[1], maker[2], 0]);
            out!(" IANA PEN       : {number} [{}]", names::manufacturer(number));
            out!(" Block Data     : {}", hex(value.get(4..).unwrap_or_default()));
        }
        _ => out!(" Unsupported parameter"),
    }
    Ok(())
}

fn flags(title: &str, bits: u8, names: &[(u8, &str)]) {
    out!("{title}");
    let mut set = names.iter().filter(|(bit, _)| bits & bit != 0).peekable();
    if set.peek().is_none() {
        out!("     No flag set");
    }
    set.for_each(|(_, name)| out!("     - {name}"));
}

fn acknowledge(bits: u8) {
    out!(" Boot Info Acknowledge :");
    let who = ["OEM", "SMS", "OS // service partition", "OS Loader", "BIOS/POST"];
    for (at, who) in who.iter().enumerate() {
        if bits & 0x10 >> at != 0 {
            out!("    - {who} has handled boot info");
        }
    }
}

fn initiator(value: &[u8]) {
    let at = |index: usize| value.get(index).copied().unwrap_or(0);
    let word = |from: usize| u32::from_le_bytes(std::array::from_fn(|index| at(from + index)));
    out!(" Boot Initiator Info :");
    out!("    Channel Number : {}", at(0) & 0x0f);
    out!("    Session Id     : {:08x}h", word(1));
    out!("    Timestamp      : {}", names::timestamp(word(5)));
}

fn print_flags([a, b, c, d]: [u8; 4]) {
    let line = |set: bool, text: &str| {
        if set {
            out!("   - {text}");
        }
    };
    let pick = |set: bool, yes: &str, no: &str| out!("   - {}", if set { yes } else { no });
    out!(" Boot Flags :");
    pick(a & 0x80 != 0, "Boot Flag Valid", "Boot Flag Invalid");
    let once = "Options apply to only next boot";
    pick(a & 0x40 != 0, "Options apply to all future boots", once);
    pick(a & 0x20 != 0, "BIOS EFI boot ", "BIOS PC Compatible (legacy) boot ");
    line(b & 0x80 != 0, "CMOS Clear");
    line(b & 0x40 != 0, "Lock Keyboard");
    let device = names::BOOT_DEVICES.iter().find(|(number, _)| *number == b >> 2 & 0x0f);
    out!("   - Boot Device Selector : {}", device.map_or("Flag error", |(_, name)| name));
    line(b & 0x02 != 0, "Screen blank");
    line(b & 0x01 != 0, "Lock out Reset buttons");
    line(c & 0x80 != 0, "Lock out (power off/sleep request) via Power Button");
    let verbosity = ["System Default", "Request Quiet Display", "Request Verbose Display"];
    let verbosity = verbosity.get(usize::from(c >> 5 & 3)).unwrap_or(&"Flag error");
    out!("   - BIOS verbosity : {verbosity}");
    line(c & 0x10 != 0, "Force progress event traps");
    line(c & 0x08 != 0, "User password bypass");
    line(c & 0x04 != 0, "Lock Out Sleep Button");
    let redirection = names::REDIRECTIONS.get(usize::from(c & 3)).unwrap_or(&"Flag error");
    out!("   - Console Redirection control : {redirection}");
    line(d & 0x08 != 0, "BIOS Shared Mode Override");
    let mux = names::MUX_OVERRIDES.get(usize::from(d & 7)).unwrap_or(&"Flag error");
    out!("   - BIOS Mux Control Override : {mux}");
}
