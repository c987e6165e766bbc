//! Commands about what BMCs keep records of: sensors, events, inventory.

use super::super::table::{Row, Table};
use super::{Arguments, Entry};
use crate::command::{
    Dialog, Fru, FruRow, SelEntry, SelLog, SelMark, SelTime, SensorRow, UnixTime,
};
use crate::error::{Error, Result};

commands! {
    "sensors" () |dialog, a| {
        let repository = a.repository(&dialog).await?;
        Ok(dialog.sensors(&repository).await?.iter().map(sensor).collect())
    };
    "health" () |dialog, a| {
        let repository = a.repository(&dialog).await?;
        let health = dialog.health(&repository).await?;
        let state = health.state.map_or_else(|| "unknown".to_owned(), |state| state.to_string());
        let row = Row::default().with("state", state).with("summary", health.to_string());
        Ok(row.with("judged", count(health.judged)).with("failed", count(health.failed)).into())
    };
    "sel" ("since_record", "since_timestamp") |dialog, a| {
        let since = a.number("since_record")?.map(|record_id| {
            let timestamp = a.number("since_timestamp")?.unwrap_or(0);
            Ok::<_, Error>(SelMark { record_id, timestamp })
        });
        Ok(sel(&dialog.sel_entries(since.transpose()?).await?))
    };
    "sel_info" () |dialog, _| {
        let info = dialog.sel_info().await?;
        let row = Row::default().with("entry_count", info.entry_count);
        let row = row.with("free_bytes", info.free_bytes).with("overflow", info.overflow);
        let row = row.with("last_addition", info.last_addition.to_string());
        Ok(row.with("last_erase", info.last_erase.to_string()).into())
    };
    "clear_sel" () |dialog, _| Ok(sel(&dialog.clear_sel().await?));
    "fru" ("fru_id") |dialog, a| match a.number("fru_id")? {
        Some(fru_id) => Ok(with_fru(Row::default().with("fru_id", fru_id), &dialog.fru(fru_id).await?).into()),
        None => {
            let repository = a.repository(&dialog).await?;
            Ok(dialog.frus(&repository).await?.iter().map(part).collect())
        }
    };
}

impl Arguments {
    /// What the BMC's sensors and parts are, read once for all BMCs that are equal.
    async fn repository(
        &self,
        dialog: &Dialog,
    ) -> Result<std::sync::Arc<crate::command::SdrRepository>> {
        match &self.sdrs {
            Some(cache) => dialog.sdr_repository_cached(cache).await,
            None => Ok(std::sync::Arc::new(dialog.sdr_repository().await?)),
        }
    }
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Why there is nothing, in place of it.
fn with_error(row: Row, error: &Error) -> Row {
    row.with("error", error.kind().code()).with("error_text", error.to_string())
}

fn sensor(row: &SensorRow) -> Row {
    let sensor = &row.sensor;
    let named = Row::default()
        .with("name", sensor.name.as_str())
        .with("number", sensor.number)
        .with("type", sensor.sensor_type.to_string());
    let reading = match &row.result {
        Ok(reading) => reading,
        Err(error) => return with_error(named, error),
    };
    let unit = reading.value.map(|_| sensor.units.to_string());
    named
        .with("status", reading.status.to_string())
        .with_known("value", reading.value)
        .with_known("unit", unit)
        .with_known("raw", reading.raw)
        .with_known("severity", row.severity().map(|severity| severity.to_string()))
        .with("states", row.state_names().join("; "))
}

fn sel(log: &SelLog) -> Table {
    log.entries.iter().map(entry).collect()
}

fn entry(entry: &SelEntry) -> Row {
    let at = match entry.time {
        Some(SelTime::At(UnixTime(at))) => Some(at),
        _ => None,
    };
    Row::default()
        .with("record_id", entry.record_id)
        .with("record_type", entry.record_type())
        .with("timestamp", entry.mark().timestamp)
        .with_known("time", at)
        .with_known("corrected_time", entry.corrected.map(|UnixTime(at)| at))
        .with("severity", entry.severity().to_string())
        .with("text", entry.describe(None))
        .with("data", entry.bytes.as_slice())
}

fn part(row: &FruRow) -> Row {
    let named = Row::default().with("fru_id", row.fru_id).with("name", row.name.as_str());
    match &row.result {
        Ok(fru) => with_fru(named, fru),
        Err(error) => with_error(named, error),
    }
}

fn with_fru(row: Row, fru: &Fru) -> Row {
    let mut row = row.with("checksums_ok", fru.checksums_ok());
    if let Some(chassis) = &fru.chassis {
        row = row
            .with("chassis_type", chassis.chassis_type)
            .with("chassis_part_number", chassis.part_number.as_str())
            .with("chassis_serial_number", chassis.serial_number.as_str());
    }
    if let Some(board) = &fru.board {
        row = row
            .with_known("board_manufactured", board.manufactured.map(|UnixTime(at)| at))
            .with("board_manufacturer", board.manufacturer.as_str())
            .with("board_product_name", board.product_name.as_str())
            .with("board_serial_number", board.serial_number.as_str())
            .with("board_part_number", board.part_number.as_str());
    }
    if let Some(product) = &fru.product {
        row = row
            .with("product_manufacturer", product.manufacturer.as_str())
            .with("product_name", product.name.as_str())
            .with("product_part_number", product.part_number.as_str())
            .with("product_version", product.version.as_str())
            .with("product_serial_number", product.serial_number.as_str())
            .with("product_asset_tag", product.asset_tag.as_str());
    }
    row.with("data", fru.bytes.as_slice())
}
