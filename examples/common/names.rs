//! Lists of names with ranges in them: `node[01-16,20],spare` is node01 to node16, node20 and
//! spare.

/// So many names are a typing error.
const NAMES_MAX: usize = 100_000;
const PORT: u16 = 623;

/// The names of a list, in its order. A name can have several ranges; numbers keep the width of
/// the first one of their range. An IPv6 address is written in brackets: `[fd00::7]:623`.
pub fn expand(list: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for item in items(list)? {
        if item.is_empty() {
            return Err(format!("an empty name in {list:?}"));
        }
        expand_one(String::new(), item, &mut names)?;
    }
    Ok(names)
}

/// A name without its port, and the port.
pub fn with_port(name: &str) -> Result<(&str, u16), String> {
    let (host, port) = match name.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or_else(|| format!("no ] in {name:?}"))?,
        None => name.split_at(name.find(':').unwrap_or(name.len())),
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok((host, PORT)),
        Some(port) => match port.parse() {
            Ok(port @ 1..) => Ok((host, port)),
            _ => Err(format!("{port:?} in {name:?} is not a port")),
        },
        None => Err(format!("{port:?} in {name:?} is not a port")),
    }
}

/// Splits at the commas that are not in brackets.
fn items(list: &str) -> Result<Vec<&str>, String> {
    let (mut items, mut start, mut inside) = (Vec::new(), 0, false);
    for (at, character) in list.char_indices() {
        match character {
            '[' if inside => return Err(format!("a [ within [ ] in {list:?}")),
            ']' if !inside => return Err(format!("a ] without its [ in {list:?}")),
            '[' => inside = true,
            ']' => inside = false,
            ',' if !inside => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return Err(format!("a [ without its ] in {list:?}"));
    }
    items.push(&list[start..]);
    Ok(items)
}

/// Adds `done` with everything that `rest` stands for behind it.
fn expand_one(done: String, rest: &str, names: &mut Vec<String>) -> Result<(), String> {
    let Some((before, (ranges, after))) = rest
        .split_once('[')
        .and_then(|(before, rest)| Some((before, rest.split_once(']')?)))
        .filter(|(_, (ranges, _))| !ranges.contains(':'))
    else {
        if names.len() >= NAMES_MAX {
            return Err(format!("more than {NAMES_MAX} names"));
        }
        names.push(done + rest);
        return Ok(());
    };
    for range in ranges.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (from, to) = (number(first, range)?, number(last, range)?);
        if from > to {
            return Err(format!("the range {range:?} goes backwards"));
        }
        for number in from..=to {
            let width = first.len();
            expand_one(format!("{done}{before}{number:0width$}"), after, names)?;
        }
    }
    Ok(())
}

fn number(digits: &str, range: &str) -> Result<u64, String> {
    let fine = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = if fine { digits.parse().ok() } else { None };
    number.ok_or_else(|| format!("{range:?} is not a number or a range of numbers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_expanded_in_order_and_keep_their_width() {
        let names = |list| expand(list).expect("a good list").join(" ");
        assert_eq!(names("bmc7"), "bmc7");
        assert_eq!(names("node[08-11,20],spare"), "node08 node09 node10 node11 node20 spare");
        assert_eq!(
            names("r[1-2]n[1-2].lan:6230"),
            "r1n1.lan:6230 r1n2.lan:6230 r2n1.lan:6230 r2n2.lan:6230"
        );
        assert_eq!(names("a,[fd00::1]:623"), "a [fd00::1]:623");
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_reason() {
        for (list, reason) in [
            ("", "empty name"),
            ("a,,b", "empty name"),
            ("a[1", "without its ]"),
            ("a1]", "without its ["),
            ("a[[1]]", "within"),
            ("a[]", "not a number"),
            ("a[1-]", "not a number"),
            ("a[x]", "not a number"),
            ("a[1-2-3]", "not a number"),
            ("a[3-2]", "backwards"),
            ("a[99999999999999999999]", "not a number"),
            ("a[0-999999]", "more than"),
            ("a[0-9][0-9][0-9][0-9][0-9][0-9]", "more than"),
        ] {
            let error = expand(list).expect_err(list);
            assert!(error.contains(reason), "{list}: {error}");
        }
    }

    #[test]
    fn names_have_ports() {
        assert_eq!(with_port("bmc7"), Ok(("bmc7", 623)));
        assert_eq!(with_port("bmc7:6230"), Ok(("bmc7", 6230)));
        assert_eq!(with_port("[fd00::1]"), Ok(("fd00::1", 623)));
        assert_eq!(with_port("[fd00::1]:7"), Ok(("fd00::1", 7)));
        for bad in ["bmc7:", "bmc7:0", "bmc7:x", "bmc7:70000", "[fd00::1", "[fd00::1]7"] {
            assert!(with_port(bad).is_err(), "{bad}");
        }
    }
}
