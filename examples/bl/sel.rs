//! `sel`: the event log.

use std::fs;

use bmclink::Dialog;
use bmclink::command::{Sdr, SelBody, SelEntry, SelEvent, SelTime, Sensor, UnixTime};

use crate::events;
use crate::link::Link;
use crate::names;
use crate::reading::{digits, value};
use crate::sdr::records;
use crate::sdr_get::find;
use crate::text::{Failure, Outcome, code_text, hex, number, reason, warn};
use crate::usage;

const STORAGE: u8 = 0x0a;
const EVENT: u8 = 0x02;
const GET_SEL_INFO: u8 = 0x40;
const GET_SEL_ALLOCATION_INFO: u8 = 0x41;
const RESERVE_SEL: u8 = 0x42;
const GET_SEL_ENTRY: u8 = 0x43;
const DELETE_SEL_ENTRY: u8 = 0x46;

pub fn run(link: &mut Link, words: &[&str]) -> Outcome {
    match words {
        [] | ["info", ..] => info(link),
        ["help", ..] => {
            warn(usage::SEL);
            Ok(())
        }
        ["list", rest @ ..] => list(link, rest, false),
        ["elist", rest @ ..] => list(link, rest, true),
        ["get", ids @ ..] if !ids.is_empty() => get(link, ids),
        ["delete", ids @ ..] if !ids.is_empty() => delete(link, ids),
        ["get"] => {
            warn("usage: sel get <entry>");
            Ok(())
        }
        ["delete"] => Err(Failure::new("usage: sel delete <id>...<id>")),
        ["clear", ..] => clear(link),
        ["time", rest @ ..] => time(link, rest),
        ["save", path, ..] => save(link, path),
        [other, ..] => Err(Failure::new(format!("Invalid SEL command: {other}"))),
    }
}

fn info(link: &mut Link) -> Outcome {
    let what = "Get SEL Info command failed";
    let data = link.get(what, STORAGE, GET_SEL_INFO, &[])?;
    let at = |index: usize| data.get(index).copied().unwrap_or(0);
    let word = |from: usize| u32::from_le_bytes(std::array::from_fn(|index| at(from + index)));
    let (version, support) = (at(0), at(13));
    let (entries, free) = (word(1) & 0xffff, word(3) & 0xffff);
    let compliant =
        if version == 0x51 || version == 0x02 { "v1.5, v2 compliant" } else { "Unknown" };
    let when = |time: u32| match time {
        0 | u32::MAX => "Not Available".to_owned(),
        time => names::timestamp(time),
    };
    let all = entries * 16 + free;
    out!("SEL Information");
    out!("Version          : {}.{} ({compliant})", version & 0x0f, version >> 4);
    out!("Entries          : {entries}");
    match free {
        0xffff => out!("Free Space       : unspecified"),
        free => out!("Free Space       : {free} bytes "),
    }
    match free {
        0xffff => out!("Percent Used     : unknown"),
        _ => out!("Percent Used     : {}%", (entries * 1600).checked_div(all).unwrap_or(0)),
    }
    out!("Last Add Time    : {}", when(word(5)));
    out!("Last Del Time    : {}", when(word(9)));
    out!("Overflow         : {}", support & 0x80 != 0);
    let commands =
        [(8, "'Delete' "), (4, "'Partial Add' "), (2, "'Reserve' "), (1, "'Get Alloc Info' ")];
    let commands = commands.iter().filter(|(bit, _)| support & bit != 0);
    let commands: String = commands.map(|(_, name)| *name).collect();
    out!("Supported Cmds   : {}", if commands.is_empty() { "None" } else { &commands });
    if support & 1 == 0 {
        return Ok(());
    }
    let what = "Get SEL Allocation Info command failed";
    let data = link.get(what, STORAGE, GET_SEL_ALLOCATION_INFO, &[])?;
    let at = |index: usize| data.get(index).copied().unwrap_or(0);
    let word = |from: usize| u16::from_le_bytes([at(from), at(from + 1)]);
    out!("# of Alloc Units : {}", word(0));
    out!("Alloc Unit Size  : {}", word(2));
    out!("# Free Units     : {}", word(4));
    out!("Largest Free Blk : {}", word(6));
    out!("Max Record Size  : {}", at(8));
    Ok(())
}

// Lists

fn entries(link: &mut Link) -> Outcome<Vec<SelEntry>> {
    let read = async |dialog: Dialog| dialog.sel_entries(None).await;
    Ok(link.done("Get SEL Entry command failed", read)?.entries)
}

fn list(link: &mut Link, words: &[&str], extended: bool) -> Outcome {
    let count = |word: &str| {
        let count = number(word).and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| Failure::new(format!("Numeric value required; got '{word}'")))
    };
    let (first, last) = match words {
        [] => (usize::MAX, usize::MAX),
        ["first", word, ..] => (count(word)?, usize::MAX),
        ["last", word, ..] => (usize::MAX, count(word)?),
        [word, ..] => (count(word)?, usize::MAX),
    };
    let all = entries(link)?;
    if all.is_empty() {
        warn("SEL has no entries");
        return Ok(());
    }
    let records = if extended { records(link)? } else { Vec::new() };
    let skipped = all.len().saturating_sub(last);
    for entry in all.iter().skip(skipped).take(first) {
        match link.options.verbose {
            0 => print(link, entry, &records)?,
            _ => print_all(entry),
        }
    }
    Ok(())
}

/// One line: what is in it depends on the kind of entry.
fn print(link: &mut Link, entry: &SelEntry, records: &[Sdr]) -> Outcome {
    let (csv, entry) = (link.options.csv, &understood(entry));
    let mut cells = Vec::new();
    match entry.time {
        Some(SelTime::SinceStart(seconds)) if !csv => {
            // What comes next stands closer here than elsewhere.
            let number = format!("|{seconds:010}| ");
            part!("{:4x} |  Pre-Init  {number}", entry.record_id);
            event_or_oem(link, entry, records, &mut cells)?;
            out!("{}", cells.join(" | "));
            return Ok(());
        }
        Some(time) => {
            let (date, time) = date_and_time(time);
            cells.extend([date, time]);
        }
        None if csv => cells.extend([String::new(), String::new()]),
        None => {}
    }
    event_or_oem(link, entry, records, &mut cells)?;
    match csv {
        true => out!("{:x},{}", entry.record_id, cells.join(",")),
        false => out!("{:4x} | {}", entry.record_id, cells.join(" | ")),
    }
    Ok(())
}

/// What an entry says besides when.
fn event_or_oem(
    link: &mut Link,
    entry: &SelEntry,
    records: &[Sdr],
    cells: &mut Vec<String>,
) -> Outcome {
    match &entry.body {
        SelBody::OemTimed { manufacturer_id, data } => cells.extend([
            format!("OEM record {:02x}", entry.record_type()),
            format!("{manufacturer_id:06x}"),
            hex(data),
        ]),
        SelBody::Oem(data) => {
            cells.extend([format!("OEM record {:02x}", entry.record_type()), hex(data)]);
        }
        SelBody::Event(event) => event_cells(link, event, records, cells)?,
        _ => {}
    }
    Ok(())
}

/// An entry of a type without a meaning is taken for an event, as in ipmitool.
fn understood(entry: &SelEntry) -> SelEntry {
    let mut bytes = entry.bytes;
    if entry.body != SelBody::Other {
        return entry.clone();
    }
    bytes[2] = EVENT;
    let mut event = SelEntry::new(entry.record_id, bytes, None);
    event.bytes = entry.bytes;
    event
}

fn date_and_time(time: SelTime) -> (String, String) {
    match time {
        SelTime::At(UnixTime(seconds)) => names::date_and_time(seconds),
        SelTime::SinceStart(seconds) => (" Pre-Init ".to_owned(), format!("{seconds:010}")),
        SelTime::Unknown => ("Unknown".to_owned(), "Unknown".to_owned()),
    }
}

fn event_cells(
    link: &mut Link,
    event: &SelEvent,
    records: &[Sdr],
    cells: &mut Vec<String>,
) -> Outcome {
    let kind = events::sensor_type(event.sensor_type.0);
    let sensor = find(records, event.generator.address, event.sensor_number);
    cells.push(match sensor {
        Some(sensor) => format!("{kind} {}", sensor.name),
        None if event.sensor_number == 0 => kind.to_owned(),
        None => format!("{kind} #0x{:02x}", event.sensor_number),
    });
    cells.push(phrase(event).to_owned());
    cells.push(if event.asserted { "Asserted" } else { "Deasserted" }.to_owned());
    if let Some(sensor) = sensor {
        cells.extend(trigger(link, event, sensor)?);
    }
    Ok(())
}

fn phrase(event: &SelEvent) -> &'static str {
    let [_, detail, _] = event.data;
    let detail = (event.data[0] >> 6 != 0).then_some(detail);
    events::event_with(event.event_type.0, event.sensor_type.0, event.offset(), detail)
}

/// The reading and the threshold of an event that has both.
fn trigger(link: &mut Link, event: &SelEvent, sensor: &Sensor) -> Outcome<Option<String>> {
    let [Some(reading), Some(threshold)] = event.trigger() else { return Ok(None) };
    let [reading, threshold] = [value(link, sensor, reading)?, value(link, sensor, threshold)?];
    let [Some(reading), Some(threshold)] = [reading, threshold] else { return Ok(None) };
    let above = (event.offset() & 1 == 1) == event.asserted;
    let (reading, threshold) = (digits(reading, 2), digits(threshold, 2));
    let sign = if above { '>' } else { '<' };
    Ok(Some(format!("Reading {reading} {sign} Threshold {threshold} {}", sensor.units)))
}

fn print_all(entry: &SelEntry) {
    let entry = &understood(entry);
    let time = match entry.time.map(date_and_time) {
        Some((date, time)) => format!("{} {time}", date.trim()),
        None => String::new(),
    };
    let note = match &entry.body {
        SelBody::OemTimed { .. } => "  (OEM timestamped)",
        SelBody::Oem(_) => "  (OEM non-timestamped)",
        _ => "",
    };
    out!("SEL Record ID          : {:04x}", entry.record_id);
    out!(" Record Type           : {:02x}{note}", entry.bytes[2]);
    if !time.is_empty() {
        out!(" Timestamp             : {time}");
    }
    let oem = |data: &[u8]| {
        let text: String = data.iter().map(|byte| printable(*byte)).collect();
        out!(" OEM Defined           : {} [{text}]", hex(data));
    };
    match &entry.body {
        SelBody::OemTimed { manufacturer_id, data } => {
            out!(" Manufactacturer ID    : {manufacturer_id:06x}");
            oem(data);
        }
        SelBody::Oem(data) => oem(data),
        SelBody::Event(event) => print_event(entry, event),
        _ => {}
    }
    out!();
}

fn printable(byte: u8) -> char {
    if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' }
}

fn print_event(entry: &SelEntry, event: &SelEvent) {
    let class = match event.event_type.0 {
        0x01 => "Threshold",
        0x02..=0x0c => "Generic Discrete",
        0x6f => "Sensor-specific Discrete",
        0x70..=0x7f => "OEM",
        _ => "Unknown",
    };
    let direction = if event.asserted { "Assertion Event" } else { "Deassertion Event" };
    out!(" Generator ID          : {:04x}", u16::from_le_bytes([entry.bytes[7], entry.bytes[8]]));
    out!(" EvM Revision          : {:02x}", event.format);
    out!(" Sensor Type           : {}", events::sensor_type(event.sensor_type.0));
    out!(" Sensor Number         : {:02x}", event.sensor_number);
    out!(" Event Type            : {class}");
    out!(" Event Direction       : {direction}");
    out!(" Event Data            : {}", hex(&event.data));
    out!(" Description           : {}", phrase(event));
}

// Single entries

fn record_id(word: &str) -> Outcome<u16> {
    let id = number(word).and_then(|id| u16::try_from(id).ok());
    id.ok_or_else(|| Failure::new(format!("Given SEL ID '{word}' is invalid.")))
}

fn read_entry(link: &mut Link, id: u16) -> Outcome<Result<SelEntry, String>> {
    let [low, high] = id.to_le_bytes();
    let reply = link.ask(STORAGE, GET_SEL_ENTRY, &[0, 0, low, high, 0, 0xff])?;
    Ok(match reply {
        Ok(reply) if reply.completion_code.0 == 0 => {
            match reply.data.get(2..).and_then(|entry| entry.first_chunk()) {
                Some(bytes) => Ok(SelEntry::new(id, *bytes, None)),
                None => Err("response too short".to_owned()),
            }
        }
        Ok(reply) => Err(code_text(reply.completion_code)),
        Err(error) => Err(reason(&error)),
    })
}

fn get(link: &mut Link, words: &[&str]) -> Outcome {
    let mut whole = true;
    for word in words {
        let id = record_id(word)?;
        match read_entry(link, id)? {
            Ok(entry) => print_all(&entry),
            Err(why) => {
                warn(format!("Get SEL Entry {id:x} command failed: {why}"));
                whole = false;
            }
        }
    }
    if whole { Ok(()) } else { Err(Failure::silent()) }
}

fn delete(link: &mut Link, words: &[&str]) -> Outcome {
    let mut whole = true;
    // The last one first: some BMCs number anew.
    for word in words.iter().rev() {
        let id = record_id(word)?;
        let [low, high] = id.to_le_bytes();
        let reserved = link.find(STORAGE, RESERVE_SEL, &[])?.unwrap_or_default();
        let [r0, r1] = reserved.first_chunk().copied().unwrap_or_default();
        let why = match link.ask(STORAGE, DELETE_SEL_ENTRY, &[r0, r1, low, high])? {
            Ok(reply) if reply.completion_code.0 == 0 => {
                out!("Deleted entry {id}");
                continue;
            }
            Ok(reply) => code_text(reply.completion_code),
            Err(error) => reason(&error),
        };
        warn(format!("Unable to delete entry {id}: {why}"));
        whole = false;
    }
    if whole { Ok(()) } else { Err(Failure::silent()) }
}

fn clear(link: &mut Link) -> Outcome {
    link.done("Unable to clear SEL", async |dialog: Dialog| dialog.clear_sel().await)?;
    out!("Clearing SEL.  Please allow a few seconds to erase.");
    Ok(())
}

/// As `ipmitool sel save` does: what `event` of it could send again.
fn save(link: &mut Link, path: &str) -> Outcome {
    let all = entries(link)?;
    if all.is_empty() {
        warn("SEL has no entries");
        return Ok(());
    }
    let line = |entry: &SelEntry| match &entry.body {
        SelBody::Event(event) => {
            let [a, b, c] = event.data;
            let (kind, number) = (event.sensor_type.0, event.sensor_number);
            let direction = entry.bytes[12];
            let name = events::sensor_type(kind);
            format!(
                "0x{:02x} 0x{kind:02x} 0x{number:02x} 0x{direction:02x} 0x{a:02x} 0x{b:02x} \
                 0x{c:02x} # {name} #0x{number:02x} {}\n",
                event.format,
                phrase(event)
            )
        }
        _ => String::new(),
    };
    let text: String = all.iter().map(line).collect();
    fs::write(path, text).map_err(|error| Failure::new(format!("bl: {path}: {error}")))
}

fn time(link: &mut Link, words: &[&str]) -> Outcome {
    match words {
        ["get", ..] => {
            let what = "Get SEL Time command failed";
            let time = link.done(what, async |dialog: Dialog| dialog.sel_time().await)?;
            out!("{}", clock(time));
            Ok(())
        }
        ["set", word, ..] => {
            let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_secs());
            let seconds = match *word {
                "now" => u32::try_from(now).ok(),
                text => names::seconds_of(text),
            };
            let text = "Specified time could not be parsed";
            let time = UnixTime(seconds.ok_or_else(|| Failure::new(text))?);
            let what = "Set SEL Time command failed";
            link.done(what, async |dialog: Dialog| dialog.set_sel_time(time).await)?;
            out!("{}", names::timestamp(time.0));
            Ok(())
        }
        _ => {
            warn("sel time commands: get set");
            Ok(())
        }
    }
}

fn clock(time: SelTime) -> String {
    match time {
        SelTime::At(UnixTime(seconds)) | SelTime::SinceStart(seconds) => names::timestamp(seconds),
        SelTime::Unknown => names::timestamp(u32::MAX),
    }
}
