//! Texts and times as BMCs keep them.

use std::fmt;

/// Seconds since 1970-01-01 00:00:00 by some clock, without a time zone.
///
/// `Display` is `2026-01-31 23:59:59`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub u32);

impl UnixTime {
    /// Year, month, day, hour, minute and second.
    pub fn parts(self) -> (u32, u32, u32, u32, u32, u32) {
        let (mut days, seconds) = (self.0 / 86_400, self.0 % 86_400);
        let mut year = 1970;
        // At most 136 turns: the time ends in 2106.
        while days >= days_of_year(year) {
            days -= days_of_year(year);
            year += 1;
        }
        let mut month = 1;
        while days >= days_of_month(year, month) {
            days -= days_of_month(year, month);
            month += 1;
        }
        (year, month, days + 1, seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day, hour, minute, second) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of_year(year: u32) -> u32 {
    365 + u32::from(is_leap(year))
}

fn days_of_month(year: u32, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A value with three digits behind the point at most.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// How the bytes of a string are to be read: bits 7:6 of a type/length byte (§43.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// In an SDR; in a FRU these are bytes without a meaning. Often just ASCII.
    Unicode,
    BcdPlus,
    SixBit,
    Latin1,
}

impl Encoding {
    pub fn of(type_length: u8) -> Self {
        match type_length >> 6 {
            0 => Encoding::Unicode,
            1 => Encoding::BcdPlus,
            2 => Encoding::SixBit,
            _ => Encoding::Latin1,
        }
    }

    pub fn decode(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Unicode => unicode(bytes),
            Encoding::BcdPlus => bcd_plus(bytes),
            Encoding::SixBit => six_bit(bytes),
            Encoding::Latin1 => latin1(bytes),
        }
    }
}

/// The ID string at the end of an SDR: a type/length byte and what follows it, as far as the
/// record goes.
pub(super) fn id_string(bytes: &[u8]) -> String {
    let Some((type_length, rest)) = bytes.split_first() else { return String::new() };
    let len = usize::from(type_length & 0x1f).min(rest.len());
    Encoding::of(*type_length).decode(&rest[..len])
}

/// Bytes of which nobody says what they are: text if they look like it, else in hexadecimal.
pub(super) fn binary(bytes: &[u8]) -> String {
    ascii(bytes).unwrap_or_else(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// ASCII with nothing but padding behind it.
fn ascii(bytes: &[u8]) -> Option<String> {
    let text = without_padding(bytes);
    let padded = bytes[text.len()..].iter().all(|byte| matches!(byte, 0 | b' '));
    (is_printable(text) && padded).then(|| latin1(text))
}

/// What should be Unicode and often is not.
fn unicode(bytes: &[u8]) -> String {
    ascii(bytes).or_else(|| utf16(bytes)).unwrap_or_else(|| binary(bytes))
}

/// UTF-16, least significant byte first, when the bytes can be that.
pub(super) fn utf16(bytes: &[u8]) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    let text = text.ok().filter(|_| rest.is_empty() && !bytes.is_empty())?;
    let text = text.trim_end_matches(['\0', ' ']);
    (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
}

pub(super) fn is_printable(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Two characters a byte, the one in the high bits first.
fn bcd_plus(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789 -.:,_";
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    let text: String = nibbles.map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect();
    text.trim_end().to_owned()
}

/// Four characters in three bytes, from the low bits on; each is 20h to 5Fh.
fn six_bit(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut bits, mut count) = (0u32, 0);
    for byte in bytes {
        bits |= u32::from(*byte) << count;
        count += 8;
        while count >= 6 {
            text.push(char::from(b' ' + (bits & 0x3f) as u8));
            bits >>= 6;
            count -= 6;
        }
    }
    text.trim_end().to_owned()
}

/// ISO 8859-1. What would move the cursor of a terminal becomes U+FFFD.
pub(super) fn latin1(bytes: &[u8]) -> String {
    let shown = |byte: &u8| match char::from(*byte) {
        letter if letter.is_control() => char::REPLACEMENT_CHARACTER,
        letter => letter,
    };
    without_padding(bytes).iter().map(shown).collect()
}

fn without_padding(bytes: &[u8]) -> &[u8] {
    // What follows a NUL is what the buffer held before.
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes[..end].trim_ascii_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_read_in_all_encodings() {
        // "IPMI" is the example of §43.15: 29h DCh A6h.
        assert_eq!(id_string(&[0x83, 0x29, 0xdc, 0xa6, 0xff]), "IPMI");
        assert_eq!(id_string(&[0x43, 0x12, 0xab, 0xc0]), "12 -.0");
        assert_eq!(id_string(&[0xc4, b'F', b'a', b'n', b'1', b'x']), "Fan1");
        assert_eq!(id_string(&[0xc5, b'F', 0xe9, 0x1b, 0, b'x']), "F\u{e9}\u{fffd}");
        assert_eq!(id_string(&[0x04, b'C', b'P', b'U', b' ']), "CPU");
        assert_eq!(id_string(&[0x04, 0xb0, 0, b'C', 0]), "\u{b0}C");
        assert_eq!(id_string(&[0x02, 0x00, 0xd8]), "00d8");
        assert_eq!(id_string(&[0x06, b'C', 0, b'P', 0, b'U', 0]), "CPU");
        assert_eq!(id_string(&[0x04, b'C', b'P', 0, 0]), "CP");
        // Longer than the record, and nothing at all.
        assert_eq!(id_string(&[0xdf, b'A', b'B']), "AB");
        assert_eq!(id_string(&[0xc0]), "");
        assert_eq!(id_string(&[]), "");
    }

    #[test]
    fn numbers_have_no_more_digits_than_needed() {
        let texts = [5280.0, 12.096, -0.5, 100.0, 0.0, 1.0 / 3.0].map(number);
        assert_eq!(texts, ["5280", "12.096", "-0.5", "100", "0", "0.333"]);
    }

    #[test]
    fn times_are_dates() {
        assert_eq!(UnixTime(0).to_string(), "1970-01-01 00:00:00");
        assert_eq!(UnixTime(951_782_399).to_string(), "2000-02-28 23:59:59");
        assert_eq!(UnixTime(951_782_400).to_string(), "2000-02-29 00:00:00");
        assert_eq!(UnixTime(820_454_400).to_string(), "1996-01-01 00:00:00");
        assert_eq!(UnixTime(u32::MAX).to_string(), "2106-02-07 06:28:15");
    }
}
