//! What was found, for people and for programs.

use std::io::{self, Write};

use bmclink::Error;
use bmclink::command::{Fru, SelEntry, SensorRow};
use serde_json::{Value, json};

use super::Answer;

/// Prints it for people.
pub fn text(out: &mut impl Write, name: &str, answer: &Answer) -> io::Result<()> {
    writeln!(out, "{name}")?;
    if let Some(health) = &answer.health {
        writeln!(out, "  health  {health}")?;
    }
    for row in answer.sensors.iter().flatten() {
        writeln!(out, "  sensor  {:20} {}", row.sensor.name, reading(row))?;
    }
    for entry in answer.sel.iter().flat_map(|log| &log.entries) {
        let what = entry.describe(Some(&answer.repository));
        writeln!(out, "  sel     {:04x} {:19} {what}", entry.record_id, time(entry))?;
    }
    if answer.sel.as_ref().is_some_and(|log| log.entries.is_empty()) {
        writeln!(out, "  sel     empty")?;
    }
    for row in answer.fru.iter().flatten() {
        let what = row.result.as_ref().map_or_else(Error::to_string, part);
        writeln!(out, "  fru     {:20} {what}", row.name)?;
    }
    Ok(())
}

/// `5280 RPM`, `present`, and what is not well.
fn reading(row: &SensorRow) -> String {
    let reading = match &row.result {
        Ok(reading) if reading.raw.is_none() => return reading.status.to_string(),
        Ok(reading) => reading,
        Err(error) => return error.to_string(),
    };
    let value = reading.value.map(|value| format!("{} {}", digits(value), row.sensor.units));
    let states = Some(row.state_names().join(", ")).filter(|states| !states.is_empty());
    let parts: Vec<String> = value.into_iter().chain(states).collect();
    if parts.is_empty() { "ok".to_owned() } else { parts.join(", ") }
}

/// As many digits as a sensor of 8 bits can have.
fn digits(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// By our clock where that is known, else as the BMC has it.
fn time(entry: &SelEntry) -> String {
    match (entry.corrected, entry.time) {
        (Some(time), _) => time.to_string(),
        (None, Some(time)) => time.to_string(),
        (None, None) => "no time".to_owned(),
    }
}

fn part(fru: &Fru) -> String {
    let product =
        fru.product.as_ref().map(|area| (&area.manufacturer, &area.name, &area.serial_number));
    let board = || {
        fru.board.as_ref().map(|area| (&area.manufacturer, &area.product_name, &area.serial_number))
    };
    let Some((maker, name, serial)) = product.or_else(board) else { return "empty".to_owned() };
    let doubt = if fru.checksums_ok() { "" } else { " (wrong checksum)" };
    format!("{maker} {name}, serial number {serial}{doubt}")
}

/// The same for programs.
pub fn json(name: &str, answer: &Answer) -> Value {
    let mut object = json!({ "bmc": name });
    if let Some(health) = &answer.health {
        object["health"] = json!(health.state.map(|state| state.to_string()));
        object["not_well"] = health.bad.iter().map(sensor_json).collect();
        object["chassis_faults"] = health.faults.iter().map(|(_, what)| *what).collect();
    }
    if let Some(rows) = &answer.sensors {
        object["sensors"] = rows.iter().map(sensor_json).collect();
    }
    if let Some(log) = &answer.sel {
        let entry = |entry: &SelEntry| {
            json!({
                "id": entry.record_id,
                "time": entry.time.map(|time| time.to_string()),
                "corrected": entry.corrected.map(|time| time.0),
                "severity": entry.severity().to_string(),
                "event": entry.describe(Some(&answer.repository)),
            })
        };
        object["sel"] = log.entries.iter().map(entry).collect();
    }
    if let Some(rows) = &answer.fru {
        let part = |row: &bmclink::command::FruRow| match &row.result {
            Ok(fru) => fru_json(row.fru_id, &row.name, fru),
            Err(error) => json!({ "id": row.fru_id, "name": row.name, "error": error.to_string() }),
        };
        object["fru"] = rows.iter().map(part).collect();
    }
    object
}

pub fn error_json(name: &str, error: &Error) -> Value {
    json!({ "bmc": name, "error": error.to_string(), "advice": error.advice() })
}

fn sensor_json(row: &SensorRow) -> Value {
    let sensor = &row.sensor;
    let mut object = json!({
        "name": sensor.name,
        "number": sensor.number,
        "type": sensor.sensor_type.to_string(),
        "states": row.state_names(),
        "severity": row.severity().map(|severity| severity.to_string()),
    });
    match &row.result {
        Ok(reading) => {
            object["status"] = json!(reading.status.to_string());
            if let Some(value) = reading.value {
                object["value"] = json!(value);
                object["unit"] = json!(sensor.units.to_string());
            }
        }
        Err(error) => object["error"] = json!(error.to_string()),
    }
    object
}

fn fru_json(id: u8, name: &str, fru: &Fru) -> Value {
    let mut object = json!({ "id": id, "name": name, "checksums_ok": fru.checksums_ok() });
    if let Some(chassis) = &fru.chassis {
        object["chassis"] = json!({
            "part_number": chassis.part_number,
            "serial_number": chassis.serial_number,
        });
    }
    if let Some(board) = &fru.board {
        object["board"] = json!({
            "manufactured": board.manufactured.map(|time| time.to_string()),
            "manufacturer": board.manufacturer,
            "product_name": board.product_name,
            "serial_number": board.serial_number,
            "part_number": board.part_number,
        });
    }
    if let Some(product) = &fru.product {
        object["product"] = json!({
            "manufacturer": product.manufacturer,
            "name": product.name,
            "part_number": product.part_number,
            "version": product.version,
            "serial_number": product.serial_number,
            "asset_tag": product.asset_tag,
        });
    }
    object
}
