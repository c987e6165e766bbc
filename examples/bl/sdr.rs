//! `sdr`: sensors and parts, as the repository has them.

use std::fs;

use bmclink::command::{Entity, FruLocator, McLocator, Sdr, SdrBody, Sensor};

use crate::events;
use crate::link::Link;
use crate::names;
use crate::reading::{Reading, digits, read, sensor_of};
use crate::sdr_get;
use crate::text::{Failure, Outcome, byte, warn};
use crate::usage;

const STORAGE: u8 = 0x0a;
const GENERIC_LOCATOR: u8 = 0x10;
/// Of a record: its ID, version, type and length.
const HEADER_LEN: usize = 5;

pub fn run(link: &mut Link, words: &[&str]) -> Outcome {
    match words {
        [] | ["list"] => list(link, "", false),
        ["elist"] => list(link, "", true),
        ["list", kind, ..] => list(link, kind, false),
        ["elist", kind, ..] => list(link, kind, true),
        ["help", ..] => {
            warn(usage::SDR);
            Ok(())
        }
        ["type"] | ["type", "list" | "help", ..] => {
            out!("{}", type_table());
            Ok(())
        }
        ["type", word, ..] => of_type(link, word),
        ["entity", word, ..] => of_entity(link, word),
        ["info", ..] => info(link),
        ["get", names @ ..] if !names.is_empty() => sdr_get::run(link, names),
        ["dump", path, ..] => dump(link, path),
        ["get" | "entity" | "dump", ..] => Err(Failure::new(usage::SDR)),
        [other, ..] => Err(Failure::new(format!("Invalid SDR command: {other}"))),
    }
}

/// All records: of the file of `-S`, or of the BMC.
pub fn records(link: &mut Link) -> Outcome<Vec<Sdr>> {
    if let Some(path) = &link.options.sdr_file {
        let bytes = fs::read(path);
        let bytes = bytes.map_err(|error| {
            Failure::new(format!("Unable to open SDR cache {path} for read: {error}"))
        })?;
        return Ok(from_file(&bytes));
    }
    let walk = async |dialog: bmclink::Dialog| dialog.sdr_repository().await;
    let what = "Unable to open SDR for reading";
    Ok(link.done(what, walk)?.records)
}

fn from_file(mut bytes: &[u8]) -> Vec<Sdr> {
    let mut records = Vec::new();
    while let Some(header) = bytes.first_chunk::<HEADER_LEN>() {
        let len = HEADER_LEN + usize::from(header[4]);
        let Some((record, rest)) = bytes.split_at_checked(len) else { break };
        records.push(Sdr::new(u16::from_le_bytes([header[0], header[1]]), record));
        bytes = rest;
    }
    records
}

fn dump(link: &mut Link, path: &str) -> Outcome {
    let records = records(link)?;
    let bytes: Vec<u8> = records.iter().flat_map(|record| record.bytes.iter().copied()).collect();
    out!("Dumping Sensor Data Repository to '{path}'");
    fs::write(path, bytes).map_err(|error| Failure::new(format!("bl: {path}: {error}")))
}

// Lists

fn list(link: &mut Link, kind: &str, extended: bool) -> Outcome {
    let wanted: fn(u8) -> bool = match kind {
        "" => |of| matches!(of, 0x01 | 0x02),
        "all" => |_| true,
        "full" => |of| of == 0x01,
        "compact" => |of| of == 0x02,
        "event" => |of| of == 0x03,
        "generic" => |of| of == GENERIC_LOCATOR,
        "fru" => |of| of == 0x11,
        "mcloc" => |of| of == 0x12,
        "help" => {
            warn(usage::SDR_LIST);
            return Ok(());
        }
        other => {
            let text = format!("Invalid SDR list command: {other}\n{}", usage::SDR_LIST);
            return Err(Failure::new(text));
        }
    };
    let records = records(link)?;
    let wanted = records.iter().filter(|record| wanted(record.record_type()));
    wanted.into_iter().try_for_each(|record| print(link, record, extended))
}

/// Prints the line of a record; those of makers have none.
fn print(link: &mut Link, record: &Sdr, extended: bool) -> Outcome {
    if let Some(sensor) = sensor_of(record) {
        let reading = read(link, sensor)?;
        match (link.options.csv, extended) {
            (true, _) => csv_line(sensor, &reading, extended),
            (false, true) => long_line(sensor, &reading),
            (false, false) => short_line(sensor, &reading),
        }
        return Ok(());
    }
    let csv = link.options.csv;
    match &record.body {
        SdrBody::EventOnly(sensor, _) => {
            let row = (&*sensor.name, sensor.number, "ns", sensor.entity);
            locator_line(row, "Event-Only", extended, csv);
        }
        SdrBody::McLocator(mc) => {
            let text = format!("{} MC @ {:02X}h", presence(record), mc.address);
            locator_line((&mc.name, 0, "ok", mc.entity), &text, extended, csv);
        }
        SdrBody::FruLocator(fru) => fru_line(fru, extended, csv),
        _ if record.record_type() == GENERIC_LOCATOR => generic_line(record, extended, csv),
        _ => {}
    }
    Ok(())
}

pub fn presence(record: &Sdr) -> &'static str {
    let notification = record.bytes.get(7).copied().unwrap_or(0);
    if notification & 0x20 != 0 { "Static" } else { "Dynamic" }
}

fn short_line(sensor: &Sensor, reading: &Reading) {
    let text = match reading.value {
        _ if reading.scanning_off => "disabled".to_owned(),
        Some(value) => format!("{} {}", digits(value, 2), sensor.units),
        None if reading.is_valid() => format!("0x{:02x}", reading.states[0]),
        None if sensor.analog.is_some() => "no reading".to_owned(),
        None => "Not Readable".to_owned(),
    };
    out!("{:<16} | {text:<17} | {}", sensor.name, reading.short_status(sensor));
}

fn long_line(sensor: &Sensor, reading: &Reading) {
    let Entity { id, instance } = sensor.entity;
    let (number, status) = (sensor.number, reading.long_status(sensor));
    let text = long_text(sensor, reading);
    out!("{:<16} | {number:02X}h | {status:<3} | {id:2}.{instance} | {text}", sensor.name);
}

fn long_text(sensor: &Sensor, reading: &Reading) -> String {
    match reading.value {
        _ if reading.scanning_off => "Disabled".to_owned(),
        Some(value) => format!("{} {}", digits(value, 2), sensor.units),
        None if reading.is_valid() && !sensor.event_type.is_threshold() => {
            reading.state_names(sensor).join(", ")
        }
        None => "No Reading".to_owned(),
    }
}

fn csv_line(sensor: &Sensor, reading: &Reading, extended: bool) {
    let status = match extended {
        true => reading.long_status(sensor),
        false => reading.short_status(sensor),
    };
    let name = &sensor.name;
    let Entity { id, instance } = sensor.entity;
    match reading.value {
        Some(value) => out!("{name},{},{},{status}", digits(value, 3), sensor.units),
        None if sensor.analog.is_some() => out!("{name},,,{status}"),
        None => {
            let text = long_text(sensor, reading);
            out!("{name},{:02X}h,{status},{id}.{instance},{text}", sensor.number);
        }
    }
}

/// A line of what has no reading: name, number, status and entity.
fn locator_line(row: (&str, u8, &str, Entity), text: &str, extended: bool, csv: bool) {
    let (name, number, status, Entity { id, instance }) = row;
    match (csv, extended) {
        (true, _) => out!("{name},{number:02X}h,{status},{id}.{instance},{text}"),
        (false, true) => {
            out!("{name:<16} | {number:02X}h | {status:<3} | {id:2}.{instance} | {text}");
        }
        (false, false) => out!("{name:<16} | {text:<17} | {status}"),
    }
}

fn fru_line(fru: &FruLocator, extended: bool, csv: bool) {
    let Entity { id, instance } = fru.entity;
    let text = match (extended || csv, fru.logical) {
        (true, true) => format!("Logical FRU @{:02X}h", fru.fru_id),
        (true, false) => format!("Physical FRU @{:02X}h", fru.fru_id),
        (false, true) => format!("Log FRU @{:02X}h {id:02x}.{instance:x}", fru.fru_id),
        (false, false) => format!("Phy FRU @{:02X}h {id:02x}.{instance:x}", fru.fru_id),
    };
    let status = if extended || csv { "ns" } else { "ok" };
    locator_line((&fru.name, 0, status, fru.entity), &text, extended, csv);
}

fn generic_line(record: &Sdr, extended: bool, csv: bool) {
    let at = |index: usize| record.bytes.get(index).copied().unwrap_or(0);
    let entity = Entity { id: at(12), instance: at(13) & 0x7f };
    let name = record.bytes.get(16..).map(|name| String::from_utf8_lossy(name)).unwrap_or_default();
    let text = format!("Generic @{:02X}h:{:02X}h.{}", at(5), at(6), at(7) >> 3 & 3);
    locator_line((&name, 0, "ok", entity), &text, extended, csv);
}

// Selections

fn type_table() -> String {
    let types: Vec<_> = events::sensor_types().collect();
    let cell = |(number, name): &(u8, &str)| format!("{name:<25} (0x{number:02x})");
    let row = |pair: &[(u8, &str)]| {
        format!("\t{}", pair.iter().map(cell).collect::<Vec<_>>().join("   "))
    };
    let rows: Vec<_> = types.chunks(2).map(row).collect();
    format!("Sensor Types:\n{}", rows.join("\n"))
}

fn of_type(link: &mut Link, word: &str) -> Outcome {
    let named = |(_, name): &(u8, &str)| name.eq_ignore_ascii_case(word);
    let number = match word.starts_with("0x") {
        true => byte(word).filter(|number| *number != 0),
        false => events::sensor_types().find(named).map(|(number, _)| number),
    };
    let Some(number) = number else {
        crate::text::warn(format!("Sensor Type \"{word}\" not found."));
        out!("{}", type_table());
        // Not an error for ipmitool.
        return Ok(());
    };
    let of_type = |record: &Sdr| match &record.body {
        SdrBody::Full(sensor) | SdrBody::Compact(sensor, _) | SdrBody::EventOnly(sensor, _) => {
            sensor.sensor_type.0 == number
        }
        _ => false,
    };
    let records = records(link)?;
    records.iter().filter(|record| of_type(record)).try_for_each(|record| print(link, record, true))
}

fn of_entity(link: &mut Link, word: &str) -> Outcome {
    let (id, instance) = match word.split_once('.') {
        Some((id, instance)) => (byte(id), byte(instance).map(Some)),
        None => (byte(word), Some(None)),
    };
    let (Some(id), Some(instance)) = (id, instance) else {
        return Err(Failure::new(format!("Given entity '{word}' is invalid.")));
    };
    let belongs = |entity: Entity| {
        entity.id == id && instance.is_none_or(|instance| entity.instance == instance)
    };
    let records = records(link)?;
    let mut wanted = records.iter().filter(|record| entity_of(record).is_some_and(belongs));
    wanted.try_for_each(|record| print(link, record, true))
}

fn entity_of(record: &Sdr) -> Option<Entity> {
    match &record.body {
        SdrBody::Full(sensor) | SdrBody::Compact(sensor, _) | SdrBody::EventOnly(sensor, _) => {
            Some(sensor.entity)
        }
        SdrBody::FruLocator(FruLocator { entity, .. })
        | SdrBody::McLocator(McLocator { entity, .. }) => Some(*entity),
        _ => None,
    }
}

fn info(link: &mut Link) -> Outcome {
    let data = link.get("Error obtaining SDR info", STORAGE, 0x20, &[])?;
    let Some(([version, c0, c1, f0, f1, add @ .., e0, e1, e2, e3, support], _)) =
        data.split_first_chunk::<14>()
    else {
        return Err(Failure::new("Error obtaining SDR info: response too short"));
    };
    let yes = |bit: u8| if support & bit != 0 { "yes" } else { "no" };
    let free = match u16::from_le_bytes([*f0, *f1]) {
        0x0000 => "none (full)".to_owned(),
        0xffff => "unspecified".to_owned(),
        0xfffe => "> 64Kb - 2 bytes".to_owned(),
        free => format!("{free} bytes"),
    };
    let add = add.first_chunk().map_or(0, |add: &[u8; 4]| u32::from_le_bytes(*add));
    let erase = u32::from_le_bytes([*e0, *e1, *e2, *e3]);
    let when = |bit: u8, time: u32| match support & bit {
        0 => "NA".to_owned(),
        _ => names::timestamp(time),
    };
    let updates = ["unspecified", "non-modal", "modal", "modal/non-modal"];
    out!("SDR Version                         : 0x{version:x}");
    out!("Record Count                        : {}", u16::from_le_bytes([*c0, *c1]));
    out!("Free Space                          : {free}");
    out!("Most recent Addition                : {}", when(0x04, add));
    out!("Most recent Erase                   : {}", when(0x08, erase));
    out!("SDR overflow                        : {}", yes(0x80));
    out!("SDR Repository Update Support       : {}", updates[usize::from(support >> 5 & 3)]);
    out!("Delete SDR supported                : {}", yes(0x08));
    out!("Partial Add SDR supported           : {}", yes(0x04));
    out!("Reserve SDR repository supported    : {}", yes(0x02));
    out!("SDR Repository Alloc info supported : {}", yes(0x01));
    Ok(())
}
