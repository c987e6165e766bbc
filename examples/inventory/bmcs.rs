//! Names of BMCs as they are typed.

/// `node[01-03,7]-bmc:623,other` as all the names it stands for.
pub fn expand(list: &str) -> Result<Vec<String>, String> {
    let (mut names, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (at, letter) in list.char_indices().chain([(list.len(), ',')]) {
        match letter {
            '[' => depth += 1,
            ']' => depth -= 1,
            ',' if depth == 0 => {
                names.extend(expand_one(&list[begin..at])?);
                begin = at + 1;
            }
            _ => {}
        }
    }
    match depth {
        0 => Ok(names),
        _ => Err(format!("brackets do not match in {list}")),
    }
}

fn expand_one(name: &str) -> Result<Vec<String>, String> {
    let numbers = |text: &&str| text.chars().all(|c| c.is_ascii_digit() || ",-".contains(c));
    let Some((before, rest)) = name.split_once('[') else {
        return match name {
            "" => Err("an empty name".to_owned()),
            name => Ok(vec![name.to_owned()]),
        };
    };
    let (inside, after) = rest.split_once(']').ok_or_else(|| format!("no ] in {name}"))?;
    // An IPv6 address has brackets, too.
    if !numbers(&inside) {
        return Ok(vec![name.to_owned()]);
    }
    let mut names = Vec::new();
    for range in inside.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let bad = || format!("{range} is no range in {name}");
        let (from, to): (u32, u32) =
            (first.parse().map_err(|_| bad())?, last.parse().map_err(|_| bad())?);
        if from > to || to - from > 65_535 {
            return Err(bad());
        }
        for number in from..=to {
            // As many digits as the first one has.
            let name = format!("{before}{number:0width$}{after}", width = first.len());
            names.extend(expand_one(&name)?);
        }
    }
    Ok(names)
}

/// The host and the port of `NAME`, `NAME:PORT` or `[ADDRESS]:PORT`.
pub fn host_and_port(name: &str) -> Result<(&str, u16), String> {
    let (host, port) = match name.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port),
        _ => (name, "623"),
    };
    let port = port.parse().map_err(|_| format!("no port in {name}"))?;
    Ok((host.trim_start_matches('[').trim_end_matches(']'), port))
}
