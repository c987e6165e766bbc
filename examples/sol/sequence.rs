//! A sequence of bytes that stands for a break, wherever it comes.

use std::str::FromStr;

/// A sequence of at least one byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence(Vec<u8>);

impl FromStr for Sequence {
    type Err = &'static str;

    /// conserver's way to write bytes: `^X` is a control character, `^?` delete, `\ooo` octal.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, behind @ ..] = rest {
            let (byte, len) = match first {
                b'^' => (control(behind)?, 1),
                b'\\' => escaped(behind)?,
                byte => (*byte, 0),
            };
            bytes.push(byte);
            rest = &behind[len..];
        }
        if bytes.is_empty() { Err("empty") } else { Ok(Sequence(bytes)) }
    }
}

/// What stands behind a `^`.
fn control(behind: &[u8]) -> Result<u8, &'static str> {
    match behind {
        [b'?', ..] => Ok(0x7f),
        [byte @ (b'@'..=b'_' | b'a'..=b'z'), ..] => Ok(byte & 0x1f),
        _ => Err("a ^ without a letter or one of @[\\]^_? behind it"),
    }
}

/// What stands behind a `\`, and how long that is.
fn escaped(behind: &[u8]) -> Result<(u8, usize), &'static str> {
    let digits = behind.iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
    let number = behind[..digits].iter().fold(0, |number, digit| number * 8 + u32::from(digit & 7));
    match behind {
        [byte @ (b'\\' | b'^'), ..] => Ok((*byte, 1)),
        _ if digits == 0 => Err("a \\ without \\, ^ or octal digits behind it"),
        _ => Ok((u8::try_from(number).map_err(|_| "an octal number above 377")?, digits)),
    }
}

/// Watches bytes that go by for a sequence.
#[derive(Debug)]
pub struct Finder {
    sequence: Vec<u8>,
    /// So many bytes of it have come and are held back.
    matched: usize,
}

impl Finder {
    /// `None` lets everything through.
    pub fn new(sequence: Option<Sequence>) -> Self {
        Finder { sequence: sequence.map_or_else(Vec::new, |sequence| sequence.0), matched: 0 }
    }

    /// Takes one byte: appends to `passed` what cannot be a part of the sequence any more, and
    /// says whether this byte completes it.
    pub fn take(&mut self, byte: u8, passed: &mut Vec<u8>) -> bool {
        let mut held = self.sequence[..self.matched].to_vec();
        held.push(byte);
        let start = (0..held.len()).find(|start| self.sequence.starts_with(&held[*start..]));
        let start = start.unwrap_or(held.len());
        passed.extend_from_slice(&held[..start]);
        self.matched = held.len() - start;
        let whole = self.matched > 0 && self.matched == self.sequence.len();
        if whole {
            self.matched = 0;
        }
        whole
    }

    /// Whether bytes are held back because more of the sequence may follow.
    pub fn holds(&self) -> bool {
        self.matched > 0
    }

    /// Gives up what is held back.
    pub fn release(&mut self, passed: &mut Vec<u8>) {
        passed.extend_from_slice(&self.sequence[..self.matched]);
        self.matched = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(text: &str) -> Sequence {
        text.parse().expect("legal")
    }

    /// What passes of `input`, with a `#` at the place of each break.
    fn passed(text: &str, input: &[u8]) -> Vec<u8> {
        let mut finder = Finder::new(Some(sequence(text)));
        let mut passed = Vec::new();
        for byte in input {
            if finder.take(*byte, &mut passed) {
                passed.push(b'#');
            }
        }
        finder.release(&mut passed);
        passed
    }

    #[test]
    fn bytes_are_written_in_conservers_way() {
        assert_eq!(sequence("&B"), Sequence(b"&B".to_vec()));
        assert_eq!(sequence("^^b"), Sequence(b"\x1eb".to_vec()));
        assert_eq!(sequence("^A^z^?^@"), Sequence(b"\x01\x1a\x7f\0".to_vec()));
        assert_eq!(sequence(r"\033B\7x\377"), Sequence(b"\x1bB\x07x\xff".to_vec()));
        assert_eq!(sequence(r"\0011\\\^"), Sequence(b"\x011\\^".to_vec()));
        for bad in ["", "^", "x^", "^1", r"\", r"\8", r"\400", r"\z"] {
            assert!(bad.parse::<Sequence>().is_err(), "{bad}");
        }
    }

    #[test]
    fn it_is_found_anywhere_and_nothing_else_is_lost() {
        assert_eq!(passed("&B", b"ls &B\r&B&B"), b"ls #\r##");
        assert_eq!(passed("&B", b"a && b &\r&b&&B&"), b"a && b &\r&b&#&");
        assert_eq!(passed("aab", b"aaaab aab aa"), b"aa# # aa");
        assert_eq!(passed("abac", b"ababac"), b"ab#");
        assert_eq!(passed("x", b"axbx"), b"a#b#");
    }

    #[test]
    fn a_part_of_it_is_held_back() {
        let mut finder = Finder::new(Some(sequence("&B")));
        let mut passed = Vec::new();
        assert!(!finder.take(b'&', &mut passed) && passed.is_empty() && finder.holds());
        finder.release(&mut passed);
        assert!(!finder.take(b'B', &mut passed) && !finder.holds());
        assert_eq!(passed, b"&B");
    }

    #[test]
    fn without_one_everything_passes() {
        let mut finder = Finder::new(None);
        let mut passed = Vec::new();
        let all: Vec<u8> = (0..=255).collect();
        assert!(all.iter().all(|byte| !finder.take(*byte, &mut passed) && !finder.holds()));
        assert_eq!(passed, all);
    }
}
