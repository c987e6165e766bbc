//! `fru`: what the parts are.

use std::fs;

use bmclink::Dialog;
use bmclink::command::{Fru, FruBoard, FruChassis, FruProduct, SdrBody, Target};

use crate::link::Link;
use crate::names;
use crate::sdr::records;
use crate::text::{Failure, Outcome, byte, reason, warn};
use crate::usage;

pub fn run(link: &mut Link, words: &[&str]) -> Outcome {
    match words {
        [] | ["print" | "list"] => all(link),
        ["print" | "list", word, ..] => {
            let id = fru_id(word)?;
            match print(link, Target::BMC, id)? {
                true => Ok(()),
                false => Err(Failure::silent()),
            }
        }
        ["read", word, path, ..] => read(link, fru_id(word)?, path),
        ["help", ..] => {
            warn(usage::FRU);
            Ok(())
        }
        ["read", ..] => Err(Failure::new(usage::FRU)),
        [other, ..] => Err(Failure::new(format!("Invalid FRU command: {other}\n{}", usage::FRU))),
    }
}

fn fru_id(word: &str) -> Outcome<u8> {
    let text = format!("FRU ID '{word}' is either invalid or out of range.");
    byte(word).ok_or_else(|| Failure::new(text))
}

/// The BMC's own data, and those of the parts in the repository.
fn all(link: &mut Link) -> Outcome {
    out!("FRU Device Description : Builtin FRU Device (ID 0)");
    print(link, Target::BMC, 0)?;
    out!();
    for record in &records(link)? {
        let SdrBody::FruLocator(fru) = &record.body else { continue };
        // What is no data of the kind, and what was printed above.
        if !fru.logical || fru.device_type != 0x10 || (fru.access_address, fru.fru_id) == (0x20, 0)
        {
            continue;
        }
        out!("FRU Device Description : {} (ID {})", fru.name, fru.fru_id);
        let target = Target::behind(fru.channel, fru.access_address).lun(fru.lun);
        print(link, target, fru.fru_id)?;
        out!();
    }
    Ok(())
}

/// Whether there is such a part.
fn print(link: &mut Link, target: Target, id: u8) -> Outcome<bool> {
    let target = if target == Target::BMC { link.options.target } else { target };
    let fru = match link.run_at(target, async |dialog: Dialog| dialog.fru(id).await)? {
        Ok(fru) => fru,
        Err(error) if error.completion_code().is_some() => {
            out!(" Device not present ({})", reason(&error));
            return Ok(false);
        }
        Err(error) => return Err(Failure::of(" Device not present", &error)),
    };
    let verbose = link.options.verbose > 0;
    print_areas(&fru, verbose);
    if !fru.checksums_ok() {
        crate::text::warn("bl: a checksum of these data is wrong");
    }
    Ok(true)
}

fn print_areas(fru: &Fru, verbose: bool) {
    if let Some(chassis) = &fru.chassis {
        print_chassis(chassis);
    }
    if let Some(board) = &fru.board {
        print_board(board, verbose);
    }
    if let Some(product) = &fru.product {
        print_product(product, verbose);
    }
}

fn field(name: &str, value: &str) {
    if !value.is_empty() {
        out!(" {name:<22}: {value}");
    }
}

fn print_chassis(chassis: &FruChassis) {
    out!(" Chassis Type          : {}", chassis_type(chassis.chassis_type));
    field("Chassis Part Number", &chassis.part_number);
    field("Chassis Serial", &chassis.serial_number);
    chassis.custom.iter().for_each(|value| field("Chassis Extra", value));
}

fn print_board(board: &FruBoard, verbose: bool) {
    let made = board.manufactured.map_or("Unspecified".to_owned(), |time| names::long_date(time.0));
    field("Board Mfg Date", &made);
    field("Board Mfg", &board.manufacturer);
    field("Board Product", &board.product_name);
    field("Board Serial", &board.serial_number);
    field("Board Part Number", &board.part_number);
    if verbose {
        field("Board FRU ID", &board.fru_file_id);
    }
    board.custom.iter().for_each(|value| field("Board Extra", value));
}

fn print_product(product: &FruProduct, verbose: bool) {
    field("Product Manufacturer", &product.manufacturer);
    field("Product Name", &product.name);
    field("Product Part Number", &product.part_number);
    field("Product Version", &product.version);
    field("Product Serial", &product.serial_number);
    field("Product Asset Tag", &product.asset_tag);
    if verbose {
        field("Product FRU ID", &product.fru_file_id);
    }
    product.custom.iter().for_each(|value| field("Product Extra", value));
}

fn read(link: &mut Link, id: u8, path: &str) -> Outcome {
    let read = async |dialog: Dialog| dialog.read_fru(id).await;
    let bytes = link.done("Device not present", read)?;
    out!("Fru Size         : {} bytes", bytes.len());
    fs::write(path, bytes).map_err(|error| Failure::new(format!("bl: {path}: {error}")))?;
    out!("Done");
    Ok(())
}

/// Kinds of chassis, as in SMBIOS.
fn chassis_type(number: u8) -> &'static str {
    const NAMES: [&str; 31] = [
        "Unspecified",
        "Other",
        "Unknown",
        "Desktop",
        "Low Profile Desktop",
        "Pizza Box",
        "Mini Tower",
        "Tower",
        "Portable",
        "LapTop",
        "Notebook",
        "Hand Held",
        "Docking Station",
        "All in One",
        "Sub Notebook",
        "Space-saving",
        "Lunch Box",
        "Main Server Chassis",
        "Expansion Chassis",
        "SubChassis",
        "Bus Expansion Chassis",
        "Peripheral Chassis",
        "RAID Chassis",
        "Rack Mount Chassis",
        "Sealed-case PC",
        "Multi-system Chassis",
        "CompactPCI",
        "AdvancedTCA",
        "Blade",
        "Blade Enclosure",
        "Tablet",
    ];
    NAMES.get(usize::from(number)).unwrap_or(&"Unknown")
}
