//! FRU inventories (§34 and the Platform Management FRU Information Storage Definition): those of
//! the board and of a power supply, written anew for whoever reads them.

/// How large the storage of a FRU is.
const BOARD_LEN: usize = 512;
const POWER_SUPPLY_LEN: usize = 256;
/// Areas count in units of 8 bytes.
const UNIT: usize = 8;
const ENGLISH: u8 = 0;
/// No more fields.
const END_OF_FIELDS: u8 = 0xc1;
/// Minutes from 1996-01-01 to 2026-01-01.
const NEW_YEAR_2026: u32 = 15_779_520;
/// Chassis type: rack mount.
const RACK_MOUNT: u8 = 0x17;

/// What was written over the FRUs of one BMC: FRU ID and contents.
pub(super) type FruChanges = Vec<(u8, Vec<u8>)>;

/// The contents of a FRU as shipped; `serial` is what differs from one BMC to the next.
pub(super) fn image(id: u8, serial: u32) -> Option<Vec<u8>> {
    match id {
        0 => Some(board(&format!("SIM{serial:08X}"))),
        1 => Some(power_supply(&format!("PSU{serial:08X}"))),
        _ => None,
    }
}

/// FRU 0: chassis, board and product areas, and two records.
fn board(serial: &str) -> Vec<u8> {
    let chassis = area(&[RACK_MOUNT], &["CH-1U-100", serial]);
    let [a, b, c, _] = NEW_YEAR_2026.to_le_bytes();
    let fields = ["bmclink", "Simulated Board", serial, "SB-0001", "fru-1.0"];
    let board = area(&[ENGLISH, a, b, c], &fields);
    let product = area(
        &[ENGLISH],
        &["bmclink", "Simulated Server", "SRV-1U", "1.0", serial, "ASSET-0001", "fru-1.0"],
    );
    // Management access records: sub-type 02h is the system's name, 05h the component's.
    let mut records = multirecord(0x03, &[&[0x02][..], b"simulated-server"].concat(), false);
    records.extend(multirecord(0x03, &[&[0x05][..], b"mainboard"].concat(), true));
    inventory(BOARD_LEN, &[chassis, board, product], records)
}

/// FRU 1: a product area, a power supply record and a DC output record.
fn power_supply(serial: &str) -> Vec<u8> {
    let product =
        area(&[ENGLISH], &["bmclink", "Simulated PSU", "PSU-800", "2.1", serial, "", "fru-1.0"]);
    let mut record = Vec::new();
    // Overall capacity W, peak VA, inrush A and ms; input ranges in 10 mV, twice low and high.
    record.extend_from_slice(&800u16.to_le_bytes());
    record.extend_from_slice(&900u16.to_le_bytes());
    record.extend_from_slice(&[30, 10]);
    for range in [10_000u16, 12_700, 20_000, 24_000] {
        record.extend_from_slice(&range.to_le_bytes());
    }
    // Frequency low and high, dropout ms, flags: hot swap, autoswitch, power factor correction.
    record.extend_from_slice(&[50, 60, 20, 0x0e]);
    // Peak wattage and hold-up time, combined wattage (none), tachometer rate.
    record.extend_from_slice(&[0x84, 0x13, 0, 0, 0, 0]);
    let mut records = multirecord(0x00, &record, false);
    let mut output = vec![0x01];
    for value in [1200u16, 1140, 1260, 120, 0, 65_000] {
        output.extend_from_slice(&value.to_le_bytes());
    }
    records.extend(multirecord(0x01, &output, true));
    inventory(POWER_SUPPLY_LEN, &[Vec::new(), Vec::new(), product], records)
}

/// The common header, the areas for chassis, board and product, and the records.
fn inventory(len: usize, areas: &[Vec<u8>; 3], records: Vec<u8>) -> Vec<u8> {
    let mut image = vec![0; UNIT];
    image[0] = 0x01;
    for (index, area) in areas.iter().enumerate() {
        if !area.is_empty() {
            image[2 + index] = (image.len() / UNIT) as u8;
            image.extend_from_slice(area);
        }
    }
    image[5] = (image.len() / UNIT) as u8;
    image[7] = zero_checksum(&image[..7]);
    image.extend(records);
    image.resize(len.max(image.len()), 0);
    image
}

/// An area: format, length, the fixed bytes, the fields, and a checksum at the end of a unit.
fn area(fixed: &[u8], fields: &[&str]) -> Vec<u8> {
    let mut area = vec![0x01, 0];
    area.extend_from_slice(fixed);
    for field in fields {
        area.push(0xc0 | field.len() as u8);
        area.extend_from_slice(field.as_bytes());
    }
    area.push(END_OF_FIELDS);
    area.resize((area.len() + 1).next_multiple_of(UNIT) - 1, 0);
    area[1] = (area.len().div_ceil(UNIT)) as u8;
    area.push(zero_checksum(&area));
    area
}

/// A record of the multirecord area with its header.
fn multirecord(record_type: u8, data: &[u8], last: bool) -> Vec<u8> {
    let flags = if last { 0x82 } else { 0x02 };
    let mut record = vec![record_type, flags, data.len() as u8, zero_checksum(data)];
    record.push(zero_checksum(&record));
    record.extend_from_slice(data);
    record
}

/// What makes the sum of all bytes 0.
fn zero_checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg()
}

/// The fields of the area whose offset stands at `index` of the common header, `fixed` bytes in.
#[cfg(test)]
fn fields(image: &[u8], index: usize, fixed: usize) -> Vec<String> {
    let start = usize::from(image[index]) * UNIT;
    let area = &image[start..start + usize::from(image[start + 1]) * UNIT];
    assert_eq!(area.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
    let (mut at, mut fields) = (2 + fixed, Vec::new());
    while area[at] != END_OF_FIELDS {
        let len = usize::from(area[at] & 0x3f);
        fields.push(String::from_utf8_lossy(&area[at + 1..at + 1 + len]).into_owned());
        at += 1 + len;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_where_the_header_says_and_add_up_to_nothing() {
        let image = image(0, 0x1234).unwrap();
        assert_eq!(image.len(), BOARD_LEN);
        assert_eq!(image[..8].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
        assert_eq!(fields(&image, 2, 1), ["CH-1U-100", "SIM00001234"]);
        assert_eq!(fields(&image, 3, 4)[1..3], ["Simulated Board", "SIM00001234"]);
        assert_eq!(fields(&image, 4, 1)[5], "ASSET-0001");
    }

    #[test]
    fn records_follow_each_other_to_the_last() {
        for (id, types) in [(0, vec![3, 3]), (1, vec![0, 1])] {
            let image = image(id, 1).unwrap();
            let (mut at, mut seen) = (usize::from(image[5]) * UNIT, Vec::new());
            loop {
                let header = &image[at..at + 5];
                assert_eq!(header.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)), 0);
                seen.push(header[0]);
                at += 5 + usize::from(header[2]);
                if header[1] & 0x80 != 0 {
                    break;
                }
            }
            assert_eq!(seen, types);
        }
        assert_eq!(image(2, 1), None);
    }
}
