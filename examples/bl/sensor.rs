//! `sensor`: readings with their thresholds.

use bmclink::command::{Sdr, SdrBody, Sensor};

use crate::link::Link;
use crate::reading::{Reading, about, digits, read, sensor_of, value};
use crate::sdr::records;
use crate::sdr_get::{print_enables, print_status};
use crate::text::{Failure, Outcome, warn};
use crate::{events, usage};

const GET_HYSTERESIS: u8 = 0x25;
const GET_THRESHOLDS: u8 = 0x27;
/// From the lowest to the highest, by their bits.
const ROW: [usize; 6] = [2, 1, 0, 3, 4, 5];

pub fn run(link: &mut Link, words: &[&str]) -> Outcome {
    match words {
        [] | ["list", ..] => list(link),
        ["get", names @ ..] if !names.is_empty() => get(link, names),
        ["help", ..] => {
            warn(usage::SENSOR);
            Ok(())
        }
        ["get"] => Err(Failure::new("sensor get <id> ... [id]\n   id : name of desired sensor")),
        [other, ..] => Err(Failure::new(format!("Invalid sensor command: {other}"))),
    }
}

fn list(link: &mut Link) -> Outcome {
    for record in &records(link)? {
        if let Some(sensor) = sensor_of(record) {
            print_row(link, sensor)?;
        }
    }
    Ok(())
}

/// The thresholds as text by their bits; `na` for those that are not readable.
fn thresholds(link: &mut Link, sensor: &Sensor) -> Outcome<[String; 6]> {
    let mut texts: [String; 6] = std::array::from_fn(|_| "na".to_owned());
    let data = about(link, sensor, GET_THRESHOLDS, &[])?.unwrap_or_default();
    let Some((readable, raw)) = data.split_first() else { return Ok(texts) };
    for (bit, raw) in raw.iter().enumerate().take(texts.len()) {
        if readable & 1 << bit != 0
            && let Some(value) = value(link, sensor, *raw)?
        {
            texts[bit] = format!("{value:.3}");
        }
    }
    Ok(texts)
}

fn print_row(link: &mut Link, sensor: &Sensor) -> Outcome {
    let reading = read(link, sensor)?;
    let csv = link.options.csv;
    let mut cells = vec![sensor.name.clone()];
    cells.extend(match sensor.event_type.is_threshold() {
        true => {
            let value = reading.value.map_or("na".to_owned(), |value| format!("{value:.3}"));
            let status = reading.short_status(sensor).replace("ns", "na");
            [value, sensor.units.to_string(), status]
        }
        false => discrete_cells(sensor, &reading, csv),
    });
    cells.extend(match sensor.event_type.is_threshold() {
        true => {
            let texts = thresholds(link, sensor)?;
            ROW.map(|bit| texts[bit].clone())
        }
        false => std::array::from_fn(|_| "na".to_owned()),
    });
    if csv {
        out!("{}", cells.join(","));
        return Ok(());
    }
    let [name, value, units, status, rest @ ..] = cells.as_slice() else { return Ok(()) };
    let rest: String = rest.iter().map(|text| format!("| {text:<10}")).collect();
    out!("{name:<16} | {value:<10} | {units:<10} | {status:<6}{rest}");
    Ok(())
}

fn discrete_cells(sensor: &Sensor, reading: &Reading, csv: bool) -> [String; 3] {
    let Some(raw) = reading.raw else {
        return ["na".to_owned(), "discrete".to_owned(), "na".to_owned()];
    };
    if let Some(value) = reading.value {
        return [format!("{value:.3}"), sensor.units.to_string(), "ok".to_owned()];
    }
    let [low, high] = reading.states;
    // Scripts have got used to the one in lists and to the other in CSV.
    let number = if csv { raw } else { low };
    [format!("0x{number:x}"), "discrete".to_owned(), format!("0x{low:02x}{high:02x}")]
}

// One by one

fn get(link: &mut Link, names: &[&str]) -> Outcome {
    out!("Locating sensor record...");
    let records = records(link)?;
    let mut whole = true;
    for name in names {
        let is_it = |record: &&Sdr| sensor_of(record).is_some_and(|sensor| sensor.name == *name);
        match records.iter().find(is_it) {
            Some(record) => whole &= print(link, record)?,
            None => {
                warn(format!("Sensor data record \"{name}\" not found!"));
                whole = false;
            }
        }
    }
    if whole { Ok(()) } else { Err(Failure::silent()) }
}

/// Whether the sensor has a reading.
fn print(link: &mut Link, record: &Sdr) -> Outcome<bool> {
    let Some(sensor) = sensor_of(record) else { return Ok(false) };
    let reading = read(link, sensor)?;
    let kind = events::sensor_type(sensor.sensor_type.0);
    out!("Sensor ID              : {} (0x{:x})", sensor.name, sensor.number);
    out!(" Entity ID             : {}.{}", sensor.entity.id, sensor.entity.instance);
    if !sensor.event_type.is_threshold() {
        out!(" Sensor Type (Discrete): {kind}");
        if reading.is_valid() {
            print_states(" States Asserted       ", kind, &reading.state_names(sensor));
        } else {
            out!(" Unable to read sensor: Device Not Present");
        }
        out!();
        return Ok(reading.is_valid());
    }
    out!(" Sensor Type (Threshold)  : {kind}");
    match reading.value {
        Some(value) => {
            let tolerance = tolerance(record);
            out!(
                " Sensor Reading        : {} (+/- {tolerance}) {}",
                digits(value, 3),
                sensor.units
            );
            out!(" Status                : {}", reading.status_words(sensor));
            print_thresholds(link, sensor)?;
        }
        None => out!(" Sensor Reading        :  Unable to read sensor: Device Not Present\n"),
    }
    print_status(link, sensor)?;
    print_enables(link, sensor)?;
    out!();
    Ok(reading.is_valid())
}

/// The states of a discrete sensor below each other, behind a title; nothing without states.
pub fn print_states(title: &str, kind: &str, states: &[&str]) {
    if !states.is_empty() {
        out!("{title}: {kind}");
        states.iter().for_each(|state| out!("                         [{state}]"));
    }
}

/// How far off a value may be.
pub fn tolerance(record: &Sdr) -> String {
    let SdrBody::Full(Sensor { analog: Some(analog), .. }) = &record.body else {
        return "0".to_owned();
    };
    digits(analog.factors.tolerance_of_value(), 3)
}

fn print_thresholds(link: &mut Link, sensor: &Sensor) -> Outcome {
    const NAMES: [&str; 6] = [
        "Lower Non-Recoverable",
        "Lower Critical",
        "Lower Non-Critical",
        "Upper Non-Critical",
        "Upper Critical",
        "Upper Non-Recoverable",
    ];
    let texts = thresholds(link, sensor)?;
    for (name, bit) in NAMES.iter().zip(ROW) {
        out!(" {name:<22}: {}", texts[bit]);
    }
    // Those who do not tell have what their record says.
    let told = about(link, sensor, GET_HYSTERESIS, &[0xff])?;
    let told = told.and_then(|data| data.first_chunk().copied()).unwrap_or(sensor.hysteresis);
    for (raw, name) in told.into_iter().zip(["Positive Hysteresis", "Negative Hysteresis"]) {
        let text = match sensor.hysteresis_value(raw) {
            Some(value) => format!("{value:.3}"),
            None => "Unspecified".to_owned(),
        };
        out!(" {name:<22}: {text}");
    }
    Ok(())
}
