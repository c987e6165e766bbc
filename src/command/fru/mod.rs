//! Inventory data: what parts are, and their serial numbers (§34; Platform Management FRU
//! Information Storage Definition).

mod area;
mod io;
#[cfg(test)]
mod tests;

pub use self::io::FruRow;
use super::text::UnixTime;

/// What Get FRU Inventory Area Info says (§34.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FruAreaInfo {
    /// Its size in bytes; some BMCs say more than there is.
    pub size: u16,
    /// Whether it is read and written by words of two bytes.
    pub words: bool,
}

/// The inventory data of one part. An area is `None` when there is none, or none that can be
/// read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Fru {
    /// All bytes that were read.
    pub bytes: Vec<u8>,
    /// Whether the checksum of the header, which says where the areas are, is right. The areas
    /// were looked for anyway.
    pub header_checksum_ok: bool,
    /// What the part keeps for itself.
    pub internal: Option<Vec<u8>>,
    /// The chassis.
    pub chassis: Option<FruChassis>,
    /// The board.
    pub board: Option<FruBoard>,
    /// The product as sold.
    pub product: Option<FruProduct>,
    /// More, each record of a type of its own.
    pub multirecords: Vec<FruMultirecord>,
}

/// The chassis info area. A field that is absent is an empty string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FruChassis {
    /// What kind of chassis, as in SMBIOS: 17h a rack mount chassis.
    pub chassis_type: u8,
    /// Part number.
    pub part_number: String,
    /// Serial number.
    pub serial_number: String,
    /// What the maker added.
    pub custom: Vec<String>,
    /// Whether the area's checksum is right.
    pub checksum_ok: bool,
}

/// The board info area. A field that is absent is an empty string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FruBoard {
    /// The number of the language of its texts; 0 and 25 are English.
    pub language: u8,
    /// When it was made, to the minute; `None` when unknown.
    pub manufactured: Option<UnixTime>,
    /// Maker.
    pub manufacturer: String,
    /// Name.
    pub product_name: String,
    /// Serial number.
    pub serial_number: String,
    /// Part number.
    pub part_number: String,
    /// Which file these data were made from.
    pub fru_file_id: String,
    /// What the maker added.
    pub custom: Vec<String>,
    /// Whether the area's checksum is right.
    pub checksum_ok: bool,
}

/// The product info area. A field that is absent is an empty string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FruProduct {
    /// The number of the language of its texts; 0 and 25 are English.
    pub language: u8,
    /// Maker.
    pub manufacturer: String,
    /// Name.
    pub name: String,
    /// Part or model number.
    pub part_number: String,
    /// Version.
    pub version: String,
    /// Serial number.
    pub serial_number: String,
    /// The owner's number for it.
    pub asset_tag: String,
    /// Which file these data were made from.
    pub fru_file_id: String,
    /// What the maker added.
    pub custom: Vec<String>,
    /// Whether the area's checksum is right.
    pub checksum_ok: bool,
}

/// A record of the multirecord area.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FruMultirecord {
    /// Its type: 0 power supply, 1 DC output, 2 DC load, 3 management access, 4 base and
    /// 5 extended compatibility, C0h and above the maker's.
    pub record_type: u8,
    /// What it says.
    pub data: Vec<u8>,
    /// Whether the checksums of the record and of its header are right.
    pub checksum_ok: bool,
}
