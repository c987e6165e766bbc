//! From where on the recent past can be shown on a terminal.

/// How far from its beginning a line is looked for.
const LINE_MAX: usize = 4096;

/// The part of a console's recent past that can be shown from its beginning. When what came before
/// it is gone (`is_cut`), it may begin within a character or an escape sequence: then this is what
/// follows the first end of a line, else the first whole escape sequence or character.
pub fn replayable(past: &[u8], is_cut: bool) -> &[u8] {
    if !is_cut {
        return past;
    }
    let near = &past[..past.len().min(LINE_MAX)];
    let line = near.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
    let sequence = || near.iter().position(|byte| *byte == 0x1b);
    // Bytes 80h to BFh go on with a character of UTF-8.
    let character = || near.iter().position(|byte| *byte & 0xc0 != 0x80);
    let from = line.or_else(sequence).or_else(character).unwrap_or(0);
    &past[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_begins_with_a_line_or_with_something_whole() {
        for (past, expected) in [
            (&b"31mred\nnext"[..], &b"next"[..]),
            (b"31mred\x1b[0mplain", b"\x1b[0mplain"),
            (b"\x82\xaceuro", b"euro"),
            (b"plain", b"plain"),
            (b"", b""),
            (b"\x80\x80", b"\x80\x80"),
        ] {
            assert_eq!(replayable(past, true), expected);
            assert_eq!(replayable(past, false), past);
        }
        let far = [vec![b'x'; LINE_MAX], b"\nend".to_vec()].concat();
        assert_eq!(replayable(&far, true), far);
    }
}
