//! Session sequence numbers: ours, and which of theirs to take (§6.12.8 to §6.12.13).

use crate::wire::SessionSequence;

/// A number of a packet that was seen before or is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale;

/// Which numbers a window takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// v2.0 with an AuthCode: any number ahead, since it cannot be a replay and refusing it
    /// would end a session after a burst of loss; each of the last 31 once.
    Authenticated,
    /// v2.0 without integrity: +15 and -16, each once.
    Unauthenticated,
    /// v1.5: +8 and -8, each once.
    V15,
}

/// The window of received session sequence numbers.
#[derive(Debug, Clone)]
pub struct Window {
    highest: SessionSequence,
    /// Bit n: `highest - n` was seen.
    seen: u32,
    rule: Rule,
    /// One repeat of the very first number is taken: a v1.5 server uses it twice.
    first_repeat: bool,
}

impl Window {
    /// A window after `highest` was received; 0 when nothing was.
    pub fn new(highest: SessionSequence, rule: Rule) -> Self {
        Window { highest, seen: 1, rule, first_repeat: rule == Rule::V15 }
    }

    /// Takes one number, or reports it stale.
    ///
    /// Call only after the AuthCode verified: a forged packet must not move the window.
    pub fn accept(&mut self, number: SessionSequence) -> Result<(), Stale> {
        let (ahead_max, behind_max) = match self.rule {
            Rule::Authenticated => (1 << 31, 31),
            Rule::Unauthenticated => (15, 16),
            Rule::V15 => (8, 8),
        };
        let ahead = number.since(self.highest);
        if (1..=ahead_max).contains(&ahead) {
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = number;
            self.first_repeat = false;
            return Ok(());
        }
        let behind = self.highest.since(number);
        if behind == 0 && self.first_repeat {
            self.first_repeat = false;
            return Ok(());
        }
        if behind > behind_max || self.seen & 1 << behind != 0 {
            return Err(Stale);
        }
        self.seen |= 1 << behind;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_the_sequence_window() {
        let text = std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/vectors/spec.json"
        ))
        .expect("tests/vectors/spec.json");
        let vectors: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let cases = vectors["sequence_window"].as_array().expect("sequence_window");
        assert_eq!(cases.len(), 4);
        for case in cases {
            let number =
                |value: &serde_json::Value| SessionSequence(value.as_u64().expect("number") as u32);
            let rule = if case["version"] == 2 { Rule::Authenticated } else { Rule::V15 };
            let mut window = Window::new(number(&case["highest"]), rule);
            window.first_repeat = false;
            for seen in case["seen"].as_array().expect("seen") {
                window.seen |= 1 << window.highest.since(number(seen));
            }
            for arrival in case["arrivals"].as_array().expect("arrivals") {
                let taken = window.accept(number(&arrival["seq"])).is_ok();
                assert_eq!(taken, arrival["ok"].as_bool().expect("ok"), "{case}: {arrival}");
            }
        }
    }

    #[test]
    fn a_jump_clears_what_was_seen() {
        let mut window = Window::new(SessionSequence(0), Rule::Authenticated);
        assert!(window.accept(SessionSequence(1)).is_ok());
        assert!(window.accept(SessionSequence(500_000)).is_ok());
        assert_eq!(window.accept(SessionSequence(1)), Err(Stale));
        assert!(window.accept(SessionSequence(499_970)).is_ok());
        assert_eq!(window.accept(SessionSequence(499_970)), Err(Stale));
        assert_eq!(window.accept(SessionSequence(499_968)), Err(Stale));
    }

    #[test]
    fn a_v15_server_may_use_its_first_number_twice() {
        let mut window = Window::new(SessionSequence(7), Rule::V15);
        assert!(window.accept(SessionSequence(7)).is_ok());
        assert_eq!(window.accept(SessionSequence(7)), Err(Stale));
        assert!(window.accept(SessionSequence(16)).is_err());
        assert!(window.accept(SessionSequence(15)).is_ok());
    }
}
