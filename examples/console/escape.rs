//! What the escape character at the start of a line means, as in ssh and ipmitool.

use std::str::FromStr;

/// As it is given on the command line.
#[derive(Debug, Clone, Copy)]
pub struct EscapeCharacter(pub Option<u8>);

impl FromStr for EscapeCharacter {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            b"none" => Ok(EscapeCharacter(None)),
            [b'.' | b'B' | b'?'] => Err("means something after the escape character"),
            [byte @ 0x21..=0x7e] => Ok(EscapeCharacter(Some(*byte))),
            _ => Err("neither one printable ASCII character nor 'none'"),
        }
    }
}

/// What the user asked of this program, not of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Quit,
    Break,
    Help,
}

/// Watches typed bytes for the escape character.
#[derive(Debug)]
pub struct Escape {
    character: Option<u8>,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    /// The escape character was typed at the start of a line; what it means comes next.
    Escaped,
    WithinLine,
}

impl Escape {
    /// `None` lets everything through.
    pub fn new(character: Option<u8>) -> Self {
        Escape { character, place: Place::LineStart }
    }

    /// Takes one typed byte: appends to `host` what the host shall get, and gives the command
    /// if this byte made one.
    pub fn take(&mut self, byte: u8, host: &mut Vec<u8>) -> Option<Command> {
        let Some(character) = self.character else {
            host.push(byte);
            return None;
        };
        match (self.place, byte) {
            (Place::LineStart, _) if byte == character => {
                self.place = Place::Escaped;
                return None;
            }
            (Place::Escaped, b'.' | b'B' | b'?') => {
                // The host saw nothing of it, so its line has still to start.
                self.place = Place::LineStart;
                return Some(match byte {
                    b'.' => Command::Quit,
                    b'B' => Command::Break,
                    _ => Command::Help,
                });
            }
            // Twice is once for the host; before anything else it was meant for the host too.
            (Place::Escaped, _) if byte != character => host.push(character),
            _ => {}
        }
        host.push(byte);
        let ends_line = matches!(byte, b'\r' | b'\n');
        self.place = if ends_line { Place::LineStart } else { Place::WithinLine };
        None
    }

    /// The escapes in one line.
    pub fn summary(&self) -> String {
        match self.character.map(char::from) {
            Some(c) => format!("{c}. quits, {c}B sends a break, {c}? helps, {c}{c} sends {c}"),
            None => "escapes are off: every key goes to the host, only a signal ends this".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the host gets of `typed`, and the commands.
    fn typed(escape: &mut Escape, typed: &[u8]) -> (Vec<u8>, Vec<Command>) {
        let mut host = Vec::new();
        let commands = typed.iter().filter_map(|byte| escape.take(*byte, &mut host)).collect();
        (host, commands)
    }

    fn tilde(text: &[u8]) -> (Vec<u8>, Vec<Command>) {
        typed(&mut Escape::new(Some(b'~')), text)
    }

    #[test]
    fn commands_are_known_at_the_start_of_a_line_only() {
        assert_eq!(tilde(b"~."), (b"".to_vec(), vec![Command::Quit]));
        assert_eq!(tilde(b"ls\r~B"), (b"ls\r".to_vec(), vec![Command::Break]));
        assert_eq!(tilde(b"ls\n~?"), (b"ls\n".to_vec(), vec![Command::Help]));
        assert_eq!(tilde(b"ls ~."), (b"ls ~.".to_vec(), vec![]));
        assert_eq!(tilde(b"a~."), (b"a~.".to_vec(), vec![]));
    }

    #[test]
    fn after_a_command_the_line_has_still_to_start() {
        let all = vec![Command::Help, Command::Break, Command::Quit];
        assert_eq!(tilde(b"~?~B~."), (b"".to_vec(), all));
    }

    #[test]
    fn twice_is_once_and_unknown_ones_pass() {
        assert_eq!(tilde(b"~~"), (b"~".to_vec(), vec![]));
        assert_eq!(tilde(b"~~."), (b"~.".to_vec(), vec![]), "~ was typed, the line has begun");
        assert_eq!(tilde(b"~x~."), (b"~x~.".to_vec(), vec![]));
        assert_eq!(tilde(b"~b"), (b"~b".to_vec(), vec![]));
        assert_eq!(tilde(b"~\r~."), (b"~\r".to_vec(), vec![Command::Quit]));
    }

    #[test]
    fn it_waits_for_the_second_character() {
        let mut escape = Escape::new(Some(b'~'));
        assert_eq!(typed(&mut escape, b"~"), (b"".to_vec(), vec![]));
        assert_eq!(typed(&mut escape, b"/bin\r"), (b"~/bin\r".to_vec(), vec![]));
    }

    #[test]
    fn another_character_or_none() {
        let mut escape = Escape::new(Some(b'&'));
        assert_eq!(typed(&mut escape, b"~.\r&."), (b"~.\r".to_vec(), vec![Command::Quit]));
        let all: Vec<u8> = (0..=255).chain(*b"\r~.\n~~").collect();
        assert_eq!(typed(&mut Escape::new(None), &all), (all, vec![]));
    }
}
