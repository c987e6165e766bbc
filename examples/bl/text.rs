//! What is printed, and how what went wrong is said.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use bmclink::{CompletionCode, Error, PrivilegeLevel};

/// What a command comes to.
pub type Outcome<T = ()> = Result<T, Failure>;

/// What goes to standard error before the exit status 1; one line or more, or nothing when all
/// has been said.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    pub fn new(text: impl Into<String>) -> Self {
        Failure(text.into())
    }

    /// The exit status alone.
    pub fn silent() -> Self {
        Failure(String::new())
    }

    /// `what` is what was tried, such as "Get Device ID command failed".
    pub fn of(what: &str, error: &Error) -> Self {
        Failure(format!("{what}: {}", reason(error)))
    }

    pub fn print(&self) {
        if !self.0.is_empty() {
            // Standard error may be closed, and then nobody wants to know.
            let _ = writeln!(std::io::stderr(), "{}", self.0);
        }
    }
}

/// A completion code has ipmitool's words, everything else the library's.
pub fn reason(error: &Error) -> String {
    match error.completion_code() {
        Some(code) => code_text(code),
        None => error.to_string(),
    }
}

/// Prints one line.
macro_rules! out {
    () => { $crate::text::put(format_args!("\n")) };
    ($($argument:tt)*) => { $crate::text::put(format_args!("{}\n", format_args!($($argument)*))) };
}

/// Prints a part of a line, or several lines.
macro_rules! part {
    ($($argument:tt)*) => { $crate::text::put(format_args!($($argument)*)) };
}

pub fn put(text: fmt::Arguments<'_>) {
    // Whoever reads us may have seen enough; the session is closed in good order all the same.
    let _ = std::io::stdout().write_fmt(text);
}

/// A line on standard error that does not end the command.
pub fn warn(text: impl AsRef<str>) {
    let _ = std::io::stdout().flush();
    let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
}

/// Bytes as two hexadecimal digits each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A number as ipmitool takes it: decimal, 0x hexadecimal, or octal with a leading 0.
pub fn number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let value = match lower.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None if lower.len() > 1 && lower.starts_with('0') => i64::from_str_radix(&lower[1..], 8),
        None => lower.parse(),
    };
    // A sign behind a sign is none.
    let unsigned = digits.starts_with(|c: char| c.is_ascii_digit());
    value.ok().filter(|_| unsigned).map(|value| if negative { -value } else { value })
}

/// The same within a byte.
pub fn byte(text: &str) -> Option<u8> {
    number(text).and_then(|value| u8::try_from(value).ok())
}

pub fn channel(text: &str) -> Outcome<u8> {
    byte(text).filter(|channel| matches!(channel, 0..=0x0b | 0x0e | 0x0f)).ok_or_else(|| {
        Failure::new(format!(
            "Given Channel number '{text}' is either invalid or out of range.\n\
             Channel number must be from ranges: <0x0..0xB>, <0xE..0xF>"
        ))
    })
}

pub fn user_id(text: &str) -> Outcome<u8> {
    byte(text).filter(|id| matches!(id, 1..=63)).ok_or_else(|| {
        Failure::new(format!(
            "Given User ID '{text}' is either invalid or out of range.\n\
             User ID is limited to range <1..63>."
        ))
    })
}

/// The names of privilege levels, as numbers 0 to 15.
pub fn privilege(level: u8) -> String {
    match PrivilegeLevel::from_number(level) {
        Some(PrivilegeLevel::Callback) => "CALLBACK".to_owned(),
        Some(PrivilegeLevel::User) => "USER".to_owned(),
        Some(PrivilegeLevel::Operator) => "OPERATOR".to_owned(),
        Some(PrivilegeLevel::Administrator) => "ADMINISTRATOR".to_owned(),
        Some(PrivilegeLevel::Oem) => "OEM".to_owned(),
        None if level == 0x0f => "NO ACCESS".to_owned(),
        None => format!("Unknown ({level:#04X})").replace("0X", "0x"),
    }
}

/// The completion codes in ipmitool's words.
pub fn code_text(code: CompletionCode) -> String {
    let text = match code.0 {
        0x00 => "Command completed normally",
        0xc0 => "Node busy",
        0xc1 => "Invalid command",
        0xc2 => "Invalid command on LUN",
        0xc3 => "Timeout",
        0xc4 => "Out of space",
        0xc5 => "Reservation cancelled or invalid",
        0xc6 => "Request data truncated",
        0xc7 => "Request data length invalid",
        0xc8 => "Request data field length limit exceeded",
        0xc9 => "Parameter out of range",
        0xca => "Cannot return number of requested data bytes",
        0xcb => "Requested sensor, data, or record not found",
        0xcc => "Invalid data field in request",
        0xcd => "Command illegal for specified sensor or record type",
        0xce => "Command response could not be provided",
        0xcf => "Cannot execute duplicated request",
        0xd0 => "SDR Repository in update mode",
        0xd1 => "Device firmware in update mode",
        0xd2 => "BMC initialization in progress",
        0xd3 => "Destination unavailable",
        0xd4 => "Insufficient privilege level",
        0xd5 => "Command not supported in present state",
        0xd6 => "Cannot execute command, command disabled",
        0xff => "Unspecified error",
        other => return format!("Unknown (0x{other:02x})"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        let texts = ["12", "0x1f", "010", "-5", "0", "", "-", "zz", "0x", "1.5", "+-3", "0xG"];
        let ten = Some(12);
        let wanted = [ten, Some(31), Some(8), Some(-5), Some(0), None, None, None, None, None];
        let read: Vec<_> = texts.iter().map(|text| number(text)).collect();
        assert_eq!(read[..10], wanted);
        assert_eq!(read[10..], [None, None]);
        assert_eq!((byte("255"), byte("256"), byte("-1")), (Some(255), None, None));
    }
}
