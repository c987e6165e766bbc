//! As much Rust as it takes to look for words and paths in a source file.

use std::ops::Range;

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `name` stands as whole words. It may be a path: rustfmt leaves no blanks around `::`.
pub fn words(code: &str, name: &str) -> Vec<usize> {
    let whole = |at: &usize| {
        let before = code[..*at].chars().next_back();
        let after = code[at + name.len()..].chars().next();
        !before.is_some_and(is_word) && (name.ends_with('!') || !after.is_some_and(is_word))
    };
    code.match_indices(name).map(|(at, _)| at).filter(whole).collect()
}

/// Every path that starts with `root`, without it.
pub fn paths_below(code: &str, root: &str) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    for at in words(code, root) {
        if let Some(rest) = code[at + root.len()..].strip_prefix("::") {
            paths.extend(opened(rest).into_iter().map(|path| (at, path)));
        }
    }
    paths
}

/// The paths of a use tree: `a::{b, c::d}` as `a::b` and `a::c::d`.
pub fn opened(tree: &str) -> Vec<String> {
    let tree = tree.trim_start();
    if tree.starts_with('{') {
        let end = closing(tree, 0).unwrap_or(tree.len() - 1);
        return split_group(&tree[1..end]).into_iter().flat_map(opened).collect();
    }
    let end = tree.find(|c: char| !is_word(c)).unwrap_or(tree.len());
    let (head, rest) = tree.split_at(end);
    match rest.strip_prefix("::") {
        Some(rest) if rest.starts_with(is_word) || rest.starts_with('{') => {
            opened(rest).into_iter().map(|path| format!("{head}::{path}")).collect()
        }
        _ if head.is_empty() => Vec::new(),
        _ => vec![head.to_owned()],
    }
}

fn split_group(group: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    parts
}

/// Where the bracket that opens at `open` is closed.
pub fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in code[open..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(open + at);
        }
    }
    None
}

/// Blanks out comments and what stands between quotes; every other byte keeps its place.
pub fn blank_literals(text: &str) -> String {
    let mut code = text.as_bytes().to_vec();
    let mut at = 0;
    while at < code.len() {
        match literal(text.as_bytes(), at) {
            Some((contents, end)) => {
                blank(&mut code[contents]);
                at = end;
            }
            None => at += 1,
        }
    }
    String::from_utf8(code).expect("whole characters were blanked")
}

fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

/// The contents and the end of the comment, string or character that starts at `at`.
fn literal(text: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    let rest = &text[at..];
    let end_of = |needle: &[u8], from: usize| {
        let found = text[from..].windows(needle.len()).position(|window| window == needle);
        found.map_or(text.len(), |found| from + found)
    };
    if rest.starts_with(b"//") {
        let end = end_of(b"\n", at);
        return Some((at..end, end));
    }
    if rest.starts_with(b"/*") {
        let end = comment_end(text, at);
        return Some((at..end, end));
    }
    let starts_word = !at.checked_sub(1).is_some_and(|before| is_word(char::from(text[before])));
    if let Some(quoted) = raw_quote(rest).filter(|_| starts_word) {
        let mut quote = vec![b'"'];
        quote.extend(std::iter::repeat_n(
            b'#',
            rest[..quoted].iter().filter(|b| **b == b'#').count(),
        ));
        let end = end_of(&quote, at + quoted);
        return Some((at + quoted..end, (end + quote.len()).min(text.len())));
    }
    match rest {
        [b'"', ..] => {
            let end = quote_end(text, at + 1, b'"');
            Some((at + 1..end, (end + 1).min(text.len())))
        }
        // A character, not a lifetime: a quote closes it within four bytes or behind a `\`.
        [b'\'', b'\\', ..] => {
            let end = quote_end(text, at + 1, b'\'');
            Some((at + 1..end, (end + 1).min(text.len())))
        }
        [b'\'', first, after @ ..] => {
            let width = if first.is_ascii() { 0 } else { 3.min(after.len()) };
            let close = after[..(width + 1).min(after.len())].iter().position(|b| *b == b'\'')?;
            Some((at + 1..at + 2 + close, at + 3 + close))
        }
        _ => None,
    }
}

/// How long `r"`, `br#"` and the like are, if `rest` starts with one.
fn raw_quote(rest: &[u8]) -> Option<usize> {
    let prefix = if matches!(rest, [b'b' | b'c', ..]) { 1 } else { 0 };
    let after = rest[prefix..].strip_prefix(b"r")?;
    let hashes = after.iter().take_while(|byte| **byte == b'#').count();
    (after.get(hashes) == Some(&b'"')).then_some(prefix + 1 + hashes + 1)
}

fn quote_end(text: &[u8], mut at: usize, quote: u8) -> usize {
    while at < text.len() && text[at] != quote {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    at.min(text.len())
}

fn comment_end(text: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < text.len() {
        match &text[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Blanks out the items under `#[cfg(test)]`.
pub fn blank_tests(code: &str) -> String {
    let mut shipped = code.as_bytes().to_vec();
    for (at, attribute) in code.match_indices("#[cfg(test)]") {
        let body = code[at + attribute.len()..].find(['{', ';']);
        let Some(body) = body.map(|body| at + attribute.len() + body) else { continue };
        let end = closing(code, body).unwrap_or(code.len() - 1);
        blank(&mut shipped[at..=end]);
    }
    String::from_utf8(shipped).expect("whole items were blanked")
}

#[test]
fn literals_and_comments_are_blanked() {
    let blanked = |text: &str| {
        let code = blank_literals(text);
        assert_eq!(code.len(), text.len());
        code.split_whitespace().collect::<String>()
    };
    assert_eq!(blanked("a /* x /* y */ z */ b // c\nd"), "abd");
    assert_eq!(blanked(r#"a("x\"y", 'z', b"q", '\'') b"#), "a(\"\",'',b\"\",'')b");
    assert_eq!(blanked("r#\"x\" y\"#; br\"z\"; for\"q\""), "r#\"\"#;br\"\";for\"\"");
    assert_eq!(blanked("fn f<'a>(x: &'a str) -> 'é'"), "fnf<'a>(x:&'astr)->''");
    assert_eq!(blanked("'\"' x \"é\nß\""), "''x\"\"");
    assert_eq!(blanked("\"open"), "\"");
}
