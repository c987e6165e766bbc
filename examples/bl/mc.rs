//! `mc`: the controller itself.

use crate::chassis::broken;
use crate::link::Link;
use crate::names;
use crate::text::{Failure, Outcome, warn};
use crate::usage;

const APP: u8 = 0x06;
const TIME_BASED: u8 = 1;

pub fn run(link: &mut Link, words: &[&str]) -> Outcome {
    match words {
        [] => Err(Failure::new(format!("Not enough parameters given.\n{}", usage::MC))),
        ["help", ..] => {
            warn(usage::MC);
            Ok(())
        }
        ["info", ..] => info(link),
        ["guid", mode @ ..] => guid(link, mode.first().copied().unwrap_or("auto")),
        ["selftest", ..] => self_test(link),
        ["reset", "warm", ..] => {
            link.done("MC reset command failed", async |dialog| dialog.warm_reset().await)?;
            out!("Sent warm reset command to MC");
            Ok(())
        }
        ["reset", "cold", ..] => {
            link.done("MC reset command failed", async |dialog| dialog.cold_reset().await)?;
            out!("Sent cold reset command to MC");
            Ok(())
        }
        ["reset"] => {
            Err(Failure::new(format!("Not enough parameters given.\n{}", usage::MC_RESET)))
        }
        ["reset", other, ..] => {
            let text = format!("Invalid mc/bmc reset command: {other}\n{}", usage::MC_RESET);
            Err(Failure::new(text))
        }
        [other, ..] => Err(Failure::new(format!("Invalid mc/bmc command: {other}\n{}", usage::MC))),
    }
}

fn info(link: &mut Link) -> Outcome {
    let id = link.done("Get Device ID command failed", async |dialog| dialog.device_id().await)?;
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    out!("Device ID                 : {}", id.device_id);
    out!("Device Revision           : {}", id.device_revision);
    let (major, minor) = id.firmware_revision;
    out!("Firmware Revision         : {major}.{minor:02x}");
    out!("IPMI Version              : {}.{}", id.ipmi_version.0, id.ipmi_version.1);
    out!("Manufacturer ID           : {}", id.manufacturer_id);
    out!("Manufacturer Name         : {}", names::manufacturer(id.manufacturer_id));
    out!("Product ID                : {0} (0x{0:04x})", id.product_id);
    out!("Product Name              : Unknown (0x{:02X})", id.product_id);
    out!("Device Available          : {}", yes(!id.busy));
    out!("Provides Device SDRs      : {}", yes(id.provides_device_sdrs));
    out!("Additional Device Support :");
    let support = [
        "Sensor Device",
        "SDR Repository Device",
        "SEL Device",
        "FRU Inventory Device",
        "IPMB Event Receiver",
        "IPMB Event Generator",
        "Bridge",
        "Chassis Device",
    ];
    for (bit, name) in support.iter().enumerate() {
        if id.additional_device_support & 1 << bit != 0 {
            out!("    {name}");
        }
    }
    if let Some(revision) = id.auxiliary_firmware_revision {
        out!("Aux Firmware Rev Info     : ");
        revision.iter().for_each(|byte| out!("    0x{byte:02x}"));
    }
    Ok(())
}

fn self_test(link: &mut Link) -> Outcome {
    let data = link.get("Bad response: Get Self Test", APP, 0x04, &[])?;
    match data.first_chunk().copied().unwrap_or_default() {
        [0x55, _] => out!("Selftest: passed"),
        [0x56, _] => out!("Selftest: not implemented"),
        [0x57, bits] => {
            out!("Selftest: device corrupted");
            broken(bits).for_each(|name| out!(" -> {name}"));
        }
        [0x58, detail] => out!("Selftest: fatal hardware error - 0x{detail:02x}"),
        [result, detail] => {
            out!("Selftest: device specific failure (0x{result:02x}:0x{detail:02x})");
        }
    }
    Ok(())
}

// The GUID

/// In which order a BMC sends the bytes of its GUID.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// Last byte first, as the specification wants it.
    Ipmi,
    Rfc4122,
    /// The first three fields with the lowest byte first.
    Smbios,
}

impl Encoding {
    /// The bytes in the order they are written in.
    fn written(self, sent: [u8; 16]) -> [u8; 16] {
        let mut bytes = sent;
        match self {
            Encoding::Ipmi => bytes.reverse(),
            Encoding::Rfc4122 => {}
            Encoding::Smbios => {
                bytes[..4].reverse();
                bytes[4..6].reverse();
                bytes[6..8].reverse();
            }
        }
        bytes
    }

    fn name(self) -> &'static str {
        match self {
            Encoding::Ipmi => "IPMI",
            Encoding::Rfc4122 => "RFC4122 (WARNING: IPMI Specification violation!)",
            Encoding::Smbios => "SMBIOS (WARNING: IPMI Specification violation!)",
        }
    }
}

fn version_name(version: u8) -> String {
    let name = match version {
        TIME_BASED => "Time-based",
        2 => "DCE Security with POSIX UIDs (not for IPMI)",
        3 => "Name-based using MD5",
        4 => "Random or pseudo-random",
        5 => "Name-based using SHA-1",
        other => return format!("Unknown/unsupported ({other})"),
    };
    name.to_owned()
}

/// When a time-based GUID was made, in seconds since 1970.
fn time_of(guid: [u8; 16]) -> u32 {
    let [a, b, c, d, e, f, g, h, ..] = guid;
    // In units of 100 ns since the Gregorian calendar began.
    let time = u64::from_be_bytes([g & 0x0f, h, e, f, a, b, c, d]);
    let seconds = (time / 10_000_000).checked_sub(12_219_292_800);
    seconds.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(u32::MAX)
}

/// The bytes as sent, for those that are in no order.
fn dump(sent: &[u8]) -> Outcome {
    out!("System GUID   : {}", crate::text::hex(sent).to_uppercase());
    Ok(())
}

fn guid(link: &mut Link, mode: &str) -> Outcome {
    let sent =
        link.done("Get System GUID command failed", async |dialog| dialog.system_guid().await)?;
    let version = |encoding: Encoding| encoding.written(sent)[6] >> 4;
    let encoding = match mode {
        "dump" => return dump(&sent),
        "ipmi" => Encoding::Ipmi,
        "rfc4122" | "rfc" => Encoding::Rfc4122,
        "smbios" => Encoding::Smbios,
        "auto" => {
            // A version that exists tells which order it must be.
            let all = [Encoding::Smbios, Encoding::Ipmi, Encoding::Rfc4122];
            let fits = |encoding: &&Encoding| (1..=5).contains(&version(**encoding));
            match all.iter().find(fits) {
                Some(encoding) => *encoding,
                None => return dump(&sent),
            }
        }
        other => {
            return Err(Failure::new(format!("Invalid GUID encoding: {other}\n{}", usage::MC)));
        }
    };
    let text = crate::text::hex(&encoding.written(sent));
    let [a, b, c, d] = [&text[..8], &text[8..12], &text[12..16], &text[16..20]];
    out!("System GUID   : {a}-{b}-{c}-{d}-{}", &text[20..]);
    if mode == "auto" {
        out!("GUID Encoding : {}", encoding.name());
    }
    out!("GUID Version  : {}", version_name(version(encoding)));
    if version(encoding) == TIME_BASED {
        out!("Timestamp     : {}", names::timestamp(time_of(encoding.written(sent))));
    }
    Ok(())
}
