//! `sdr get`: everything about a record.

use bmclink::command::{DataFormat, Entity, FruLocator, Sdr, SdrBody, Sensor};

use crate::events;
use crate::link::Link;
use crate::names;
use crate::reading::{THRESHOLDS, about, digits, read, sensor_of, state_names, value};
use crate::sdr::{presence, records};
use crate::sensor::{print_states, tolerance};
use crate::text::{Outcome, warn};

const GET_EVENT_ENABLE: u8 = 0x29;
const GET_EVENT_STATUS: u8 = 0x2b;
/// As they are printed: lowest first, then the upper ones.
const ORDER: [usize; 6] = [2, 1, 0, 3, 4, 5];

pub fn run(link: &mut Link, names: &[&str]) -> Outcome {
    let records = records(link)?;
    for name in names {
        let is_it = |record: &&Sdr| name_of(record) == Some(name);
        match records.iter().find(is_it) {
            Some(record) => print(link, record)?,
            // ipmitool's exit status is 0 all the same.
            None => warn(format!("Unable to find sensor id '{name}'")),
        }
    }
    Ok(())
}

fn name_of(record: &Sdr) -> Option<&str> {
    match &record.body {
        SdrBody::Full(sensor) | SdrBody::Compact(sensor, _) | SdrBody::EventOnly(sensor, _) => {
            Some(&sensor.name)
        }
        SdrBody::FruLocator(fru) => Some(&fru.name),
        SdrBody::McLocator(mc) => Some(&mc.name),
        _ => None,
    }
}

fn entity(Entity { id, instance }: Entity) -> String {
    format!("{id}.{instance} ({})", names::entity(id))
}

fn print(link: &mut Link, record: &Sdr) -> Outcome {
    match &record.body {
        SdrBody::Full(sensor) | SdrBody::Compact(sensor, _) => print_sensor(link, record, sensor)?,
        SdrBody::EventOnly(sensor, _) => {
            let kind = sensor.sensor_type.0;
            out!("Sensor ID              : {} (0x{:x})", sensor.name, sensor.number);
            out!("Entity ID              : {}", entity(sensor.entity));
            out!("Sensor Type            : {} (0x{kind:02x})", events::sensor_type(kind));
        }
        SdrBody::FruLocator(fru) => print_fru(record, fru),
        SdrBody::McLocator(_) => print_controller(record),
        _ => {}
    }
    out!();
    Ok(())
}

fn print_sensor(link: &mut Link, record: &Sdr, sensor: &Sensor) -> Outcome {
    let kind = sensor.sensor_type.0;
    let name = events::sensor_type(kind);
    out!("Sensor ID              : {} (0x{:x})", sensor.name, sensor.number);
    out!(" Entity ID             : {}", entity(sensor.entity));
    let reading = read(link, sensor)?;
    let control = control(record);
    if !sensor.event_type.is_threshold() {
        out!(" Sensor Type (Discrete): {name} (0x{kind:02x})");
        match reading.raw {
            Some(raw) => out!(" Sensor Reading        : {raw:x}h"),
            None => out!(" Sensor Reading        : No Reading"),
        }
        out!(" Event Message Control : {control}");
        print_states(" States Asserted       ", name, &reading.state_names(sensor));
        print_status(link, sensor)?;
        print_enables(link, sensor)?;
        out!(" OEM                   : {:X}", record.bytes.get(30).copied().unwrap_or(0));
        return Ok(());
    }
    out!(" Sensor Type (Threshold)  : {name} (0x{kind:02x})");
    match reading.value {
        Some(value) => {
            let (value, tolerance) = (digits(value, 3), tolerance(record));
            out!(" Sensor Reading        : {value} (+/- {tolerance}) {}", sensor.units);
        }
        None => out!(" Sensor Reading        : No Reading"),
    }
    out!(" Status                : {}", reading.status_words(sensor));
    print_analog(link, sensor)?;
    out!(" Event Message Control : {control}");
    print_masks(sensor);
    print_status(link, sensor)?;
    print_enables(link, sensor)
}

/// What enables the messages of its events.
fn control(record: &Sdr) -> &'static str {
    const NAMES: [&str; 4] =
        ["Per-threshold", "Entire Sensor Only", "Global Disable Only", "No Events From Sensor"];
    NAMES[usize::from(record.bytes.get(11).copied().unwrap_or(0) & 3)]
}

fn print_analog(link: &mut Link, sensor: &Sensor) -> Outcome {
    let Some(analog) = sensor.analog else { return Ok(()) };
    let [nominal, highest, lowest] = analog.normal;
    let [lnc, lc, lnr, unc, uc, unr] = analog.thresholds;
    let rows = [
        ("Nominal Reading", nominal),
        ("Normal Minimum", lowest),
        ("Normal Maximum", highest),
        ("Upper non-recoverable", unr),
        ("Upper critical", uc),
        ("Upper non-critical", unc),
        ("Lower non-recoverable", lnr),
        ("Lower critical", lc),
        ("Lower non-critical", lnc),
    ];
    for (name, raw) in rows {
        if let Some(raw) = raw
            && let Some(value) = value(link, sensor, raw)?
        {
            out!(" {name:<22}: {value:.3}");
        }
    }
    for (name, raw) in ["Positive Hysteresis", "Negative Hysteresis"].iter().zip(sensor.hysteresis)
    {
        match sensor.hysteresis_value(raw) {
            Some(value) => out!(" {name:<22}: {value:.3}"),
            None => out!(" {name:<22}: Unspecified"),
        }
    }
    let [max, min] = analog.range;
    for (name, raw) in [("Minimum sensor range", min), ("Maximum sensor range", max)] {
        // The ends of what a byte can be say nothing.
        let value = match (analog.format, raw) {
            (DataFormat::Unsigned, 0x00 | 0xff) | (DataFormat::TwosComplement, 0x7f | 0x80) => None,
            _ => value(link, sensor, raw)?,
        };
        match value {
            Some(value) => out!(" {name:<22}: {value:.3}"),
            None => out!(" {name:<22}: Unspecified"),
        }
    }
    Ok(())
}

fn print_masks(sensor: &Sensor) {
    let words = |mask: u8| {
        let set = ORDER.into_iter().filter(|bit| mask & 1 << bit != 0);
        set.map(|bit| format!("{} ", THRESHOLDS[bit])).collect::<String>()
    };
    let [readable, settable] = sensor.masks[2].to_le_bytes();
    out!(" Readable Thresholds   : {}", words(readable));
    out!(" Settable Thresholds   : {}", words(settable));
    if readable != 0 {
        out!(" Threshold Read Mask   : {}", words(readable));
    }
}

// Events

/// The events of a threshold sensor, by their bits.
fn threshold_events(bits: u16) -> String {
    let events = (0..12u8).filter(|bit| bits & 1 << bit != 0);
    let name = |bit: u8| {
        let sign = if bit & 1 == 0 { '-' } else { '+' };
        format!("{}{sign} ", THRESHOLDS[usize::from(bit / 2)])
    };
    events.map(name).collect()
}

/// A line, or several for a discrete sensor, about events.
fn print_events(title: &str, sensor: &Sensor, bytes: Option<&[u8]>) {
    let Some([low, high]) = bytes else { return };
    let bits = u16::from_le_bytes([*low, *high]) & 0x7fff;
    if sensor.event_type.is_threshold() {
        out!("{title}: {}", threshold_events(bits));
        return;
    }
    let kind = sensor.sensor_type.0;
    let names = state_names(sensor.event_type, kind, bits);
    print_states(title, events::sensor_type(kind), &names);
}

/// Which events have happened.
pub fn print_status(link: &mut Link, sensor: &Sensor) -> Outcome {
    let Some(data) = about(link, sensor, GET_EVENT_STATUS, &[])? else { return Ok(()) };
    if data.first().is_some_and(|flags| flags & 0x20 != 0) {
        out!(" Event Status          : Unavailable");
        return Ok(());
    }
    print_events(" Assertion Events      ", sensor, data.get(1..3));
    let over = data.get(3..5).filter(|bytes| **bytes != [0, 0]);
    print_events(" Deassertion Events    ", sensor, over);
    Ok(())
}

/// Which events are told.
pub fn print_enables(link: &mut Link, sensor: &Sensor) -> Outcome {
    let Some(data) = about(link, sensor, GET_EVENT_ENABLE, &[])? else { return Ok(()) };
    let flags = data.first().copied().unwrap_or(0);
    if flags & 0xc0 != 0xc0 {
        let what = if flags & 0x80 == 0 { "Event Messages" } else { "Scanning" };
        out!(" Event Enable          : {what} Disabled");
    }
    print_events(" Assertions Enabled    ", sensor, data.get(1..3));
    let over = data.get(3..5).filter(|bytes| **bytes != [0, 0]);
    print_events(" Deassertions Enabled  ", sensor, over);
    Ok(())
}

// Locators

fn print_fru(record: &Sdr, fru: &FruLocator) {
    let at = |index: usize| record.bytes.get(index).copied().unwrap_or(0);
    let kind = if fru.logical { "Logical FRU Device     " } else { "Slave Address          " };
    let (device, modifier) = (fru.device_type, fru.device_type_modifier);
    let what = if device == 0x10 { " (IPMI FRU Inventory)" } else { "" };
    out!("Device ID              : {}", fru.name);
    out!("Entity ID              : {}", entity(fru.entity));
    out!("Device Access Address  : {:02X}h", fru.access_address);
    out!("{kind}: {:02X}h", fru.fru_id);
    out!("Channel Number         : {:01X}h", fru.channel);
    out!("LUN.Bus                : {:01X}h.{:01X}h", fru.lun, at(7) & 7);
    out!("Device Type.Modifier   : {device:01X}h.{modifier:01X}h{what}");
    out!("OEM                    : {:02X}h", at(14));
}

fn print_controller(record: &Sdr) {
    let SdrBody::McLocator(mc) = &record.body else { return };
    let notify = record.bytes.get(7).copied().unwrap_or(0);
    let required = |bit: u8| if notify & bit != 0 { "Required" } else { "Not Required" };
    let yes = |bit: u8| if mc.capabilities & bit != 0 { "Yes" } else { "No" };
    let generation = ["Enable", "Disable", "Do Not Init Controller", "Error"];
    out!("Device ID              : {}", mc.name);
    out!("Entity ID              : {}", entity(mc.entity));
    out!("Device Slave Address   : {:02X}h", mc.address);
    out!("Channel Number         : {:01X}h", mc.channel);
    out!("ACPI System P/S Notif  : {}", required(0x80));
    out!("ACPI Device P/S Notif  : {}", required(0x40));
    out!("Controller Presence    : {}", presence(record));
    out!("Logs Init Agent Errors : {}", if notify & 0x08 != 0 { "Yes" } else { "No" });
    out!("Event Message Gen      : {}", generation[usize::from(notify & 3)]);
    out!("Device Capabilities");
    let names = [
        "Chassis Device",
        "Bridge",
        "IPMB Event Generator",
        "IPMB Event Receiver",
        "FRU Inventory Device",
        "SEL Device",
        "SDR Repository",
        "Sensor Device",
    ];
    for (at, name) in names.iter().enumerate() {
        out!(" {name:<22}: {}", yes(0x80 >> at));
    }
}

/// The sensor with this number at this owner, for events; those of records that cannot be read
/// included.
pub fn find<'a>(records: &'a [Sdr], address: u8, number: u8) -> Option<&'a Sensor> {
    let event_source = |record: &'a Sdr| match &record.body {
        SdrBody::EventOnly(sensor, _) => Some(sensor),
        _ => sensor_of(record),
    };
    let sensors = records.iter().filter_map(event_source);
    let is_it = |sensor: &&Sensor| sensor.owner.address == address && sensor.number == number;
    sensors.into_iter().find(is_it)
}
