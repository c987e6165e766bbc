//! The areas of inventory data. All lengths and offsets are the part's: nothing here may trust
//! them.

use super::super::text::{Encoding, UnixTime, binary, is_printable, latin1, utf16};
use super::{Fru, FruBoard, FruChassis, FruMultirecord, FruProduct};

/// Bytes of the header in front of the areas.
const HEADER_LEN: usize = 8;
/// Offsets and lengths are in units of so many bytes.
const UNIT: usize = 8;
/// 1996-01-01 00:00:00, from which minutes are counted.
const FRU_EPOCH: u32 = 820_454_400;
/// Where there would be a field: there is none any more.
const END_OF_FIELDS: u8 = 0xc1;
const MULTIRECORD_HEADER_LEN: usize = 5;
/// More of them do not fit into 64 KiB.
const MULTIRECORDS_MAX: usize = 65_536 / MULTIRECORD_HEADER_LEN;

/// Where the areas begin, in bytes; 0 where there is none.
struct Header {
    internal: usize,
    chassis: usize,
    board: usize,
    product: usize,
    multirecord: usize,
    checksum_ok: bool,
}

impl Header {
    /// `None` when this is not one.
    fn read(bytes: &[u8]) -> Option<Self> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        let [version, areas @ .., _, _] = header;
        // Memory nobody has written to is all FFh or all 0.
        if version & 0x0f != 1 || header.iter().all(|byte| byte == version) {
            return None;
        }
        let [internal, chassis, board, product, multirecord] =
            areas.map(|offset| usize::from(offset) * UNIT);
        let checksum_ok = is_sum_zero(header);
        Some(Header { internal, chassis, board, product, multirecord, checksum_ok })
    }

    fn areas(&self) -> [usize; 4] {
        [self.chassis, self.board, self.product, self.multirecord]
    }
}

/// How many bytes have to be read, judged by the first ones; more when more of them are there.
pub(super) fn extent(bytes: &[u8]) -> usize {
    let Some(header) = Header::read(bytes) else { return HEADER_LEN };
    let mut extent = HEADER_LEN;
    for at in [header.chassis, header.board, header.product] {
        let len = bytes.get(at + 1).map_or(2, |len| usize::from(*len) * UNIT);
        extent = extent.max(if at == 0 { 0 } else { at + len });
    }
    // How long the internal use area is, is said only by what follows it.
    let is_last = header.areas().iter().all(|at| *at < header.internal);
    if header.internal != 0 && is_last {
        return usize::MAX;
    }
    if header.multirecord == 0 {
        return extent;
    }
    let (mut at, mut left) = (header.multirecord, MULTIRECORDS_MAX);
    while let Some([_, flags, len, ..]) = bytes.get(at..at.saturating_add(MULTIRECORD_HEADER_LEN)) {
        at += MULTIRECORD_HEADER_LEN + usize::from(*len);
        left -= 1;
        if flags & 0x80 != 0 || left == 0 {
            return extent.max(at);
        }
    }
    extent.max(at + MULTIRECORD_HEADER_LEN)
}

impl Fru {
    /// Reads inventory data. Any bytes will do; what cannot be read is left out.
    pub fn new(bytes: Vec<u8>) -> Self {
        let mut fru = Fru::default();
        if let Some(header) = Header::read(&bytes) {
            fru.header_checksum_ok = header.checksum_ok;
            fru.internal = internal(&bytes, &header);
            fru.chassis = Area::at(&bytes, header.chassis).and_then(chassis);
            fru.board = Area::at(&bytes, header.board).and_then(board);
            fru.product = Area::at(&bytes, header.product).and_then(product);
            fru.multirecords = multirecords(&bytes, header.multirecord);
        }
        fru.bytes = bytes;
        fru
    }

    /// Whether all checksums are right.
    pub fn checksums_ok(&self) -> bool {
        self.header_checksum_ok
            && self.chassis.as_ref().is_none_or(|area| area.checksum_ok)
            && self.board.as_ref().is_none_or(|area| area.checksum_ok)
            && self.product.as_ref().is_none_or(|area| area.checksum_ok)
            && self.multirecords.iter().all(|record| record.checksum_ok)
    }
}

/// An area with fields, behind its first two bytes.
struct Area<'a> {
    rest: &'a [u8],
    language: u8,
    checksum_ok: bool,
}

impl<'a> Area<'a> {
    fn at(bytes: &'a [u8], at: usize) -> Option<Self> {
        let area = bytes.get(at..).filter(|_| at != 0)?;
        let [version, units, ..] = area else { return None };
        if version & 0x0f != 1 || *units == 0 {
            return None;
        }
        // As much of it as there is.
        let len = usize::from(*units) * UNIT;
        let area = area.get(..len).unwrap_or(area);
        let checksum_ok = area.len() == len && is_sum_zero(area);
        Some(Area { rest: &area[2..], language: 0, checksum_ok })
    }

    fn u8(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// The next field; `None` at the end of them.
    fn field(&mut self) -> Option<String> {
        let (type_length, rest) = self.rest.split_first()?;
        if *type_length == END_OF_FIELDS {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(usize::from(type_length & 0x3f))?;
        self.rest = rest;
        Some(match Encoding::of(*type_length) {
            Encoding::Unicode => binary(bytes),
            Encoding::Latin1 => text(bytes, self.language),
            other => other.decode(bytes),
        })
    }

    /// The next of the fields that everybody has.
    fn known(&mut self) -> String {
        self.field().unwrap_or_default()
    }

    /// The fields that are left.
    fn custom(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.field()).collect()
    }
}

/// Text in a language: 8 bits a character in English, else 16, which not every maker knows.
fn text(bytes: &[u8], language: u8) -> String {
    let wide = !matches!(language, 0 | 25) && !is_printable(bytes);
    utf16(bytes).filter(|_| wide).unwrap_or_else(|| latin1(bytes))
}

fn internal(bytes: &[u8], header: &Header) -> Option<Vec<u8>> {
    let begin = header.internal;
    let area = bytes.get(begin..).filter(|_| begin != 0)?;
    let end = header.areas().into_iter().filter(|at| *at > begin).min();
    let area = end.and_then(|end| bytes.get(begin..end)).unwrap_or(area);
    // The first byte is the version of the format.
    Some(area.get(1..)?.to_vec())
}

fn chassis(mut area: Area<'_>) -> Option<FruChassis> {
    Some(FruChassis {
        chassis_type: area.u8()?,
        part_number: area.known(),
        serial_number: area.known(),
        custom: area.custom(),
        checksum_ok: area.checksum_ok,
    })
}

fn board(mut area: Area<'_>) -> Option<FruBoard> {
    area.language = area.u8()?;
    let [m0, m1, m2] = [area.u8()?, area.u8()?, area.u8()?];
    let minutes = u32::from_le_bytes([m0, m1, m2, 0]);
    Some(FruBoard {
        language: area.language,
        manufactured: (minutes != 0).then(|| UnixTime(FRU_EPOCH + minutes * 60)),
        manufacturer: area.known(),
        product_name: area.known(),
        serial_number: area.known(),
        part_number: area.known(),
        fru_file_id: area.known(),
        custom: area.custom(),
        checksum_ok: area.checksum_ok,
    })
}

fn product(mut area: Area<'_>) -> Option<FruProduct> {
    area.language = area.u8()?;
    Some(FruProduct {
        language: area.language,
        manufacturer: area.known(),
        name: area.known(),
        part_number: area.known(),
        version: area.known(),
        serial_number: area.known(),
        asset_tag: area.known(),
        fru_file_id: area.known(),
        custom: area.custom(),
        checksum_ok: area.checksum_ok,
    })
}

fn multirecords(bytes: &[u8], begin: usize) -> Vec<FruMultirecord> {
    let mut rest = bytes.get(begin..).filter(|_| begin != 0).unwrap_or(&[]);
    let mut records = Vec::new();
    // Each turn takes a header at least.
    while let Some((header, after)) = rest.split_first_chunk::<MULTIRECORD_HEADER_LEN>() {
        let [record_type, flags, len, checksum, _] = *header;
        if flags & 0x0f != 2 {
            break;
        }
        let Some((data, after)) = after.split_at_checked(usize::from(len)) else { break };
        let sum = data.iter().fold(checksum, |sum, byte| sum.wrapping_add(*byte));
        let checksum_ok = sum == 0 && is_sum_zero(header);
        records.push(FruMultirecord { record_type, data: data.to_vec(), checksum_ok });
        if flags & 0x80 != 0 {
            break;
        }
        rest = after;
    }
    records
}

fn is_sum_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}
