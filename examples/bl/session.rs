//! `session info`

use crate::link::Link;
use crate::text::{Failure, Outcome, code_text, number, privilege, warn};
use crate::usage;

const APP: u8 = 0x06;
const GET_SESSION_INFO: u8 = 0x3d;
const WHAT: &str = "Get Session Info command failed";

pub fn run(link: &mut Link, words: &[&str]) -> Outcome {
    match words {
        [] | ["help", ..] | ["info"] => {
            warn(usage::SESSION);
            Ok(())
        }
        ["info", "active", ..] => {
            let data = link.get(WHAT, APP, GET_SESSION_INFO, &[0])?;
            print(link, &data);
            Ok(())
        }
        ["info", "all", ..] => all(link),
        ["info", "id", word, ..] => {
            let id = value(word, u32::MAX.into())?.to_le_bytes();
            let data =
                link.get(WHAT, APP, GET_SESSION_INFO, &[0xff, id[0], id[1], id[2], id[3]])?;
            print(link, &data);
            Ok(())
        }
        ["info", "handle", word, ..] => {
            let handle = value(word, 0xff)? as u8;
            let data = link.get(WHAT, APP, GET_SESSION_INFO, &[0xfe, handle])?;
            print(link, &data);
            Ok(())
        }
        ["info", "id" | "handle"] => {
            Err(Failure::new(format!("Missing argument\n{}", usage::SESSION)))
        }
        ["info", other, ..] => {
            let text = format!("Invalid SESSION info parameter: {other}\n{}", usage::SESSION);
            Err(Failure::new(text))
        }
        [other, ..] => {
            Err(Failure::new(format!("Invalid SESSION command: {other}\n{}", usage::SESSION)))
        }
    }
}

fn value(word: &str, max: i64) -> Outcome<u32> {
    let value = number(word).filter(|value| (0..=max).contains(value));
    value.map(|value| value as u32).ok_or_else(|| {
        Failure::new(format!("Given session number '{word}' is either invalid or out of range."))
    })
}

/// Every slot, until the BMC says that there are no more.
fn all(link: &mut Link) -> Outcome {
    for index in 1..=u8::MAX {
        let reply = link.ask(APP, GET_SESSION_INFO, &[index])?;
        let reply = reply.map_err(|error| Failure::of(WHAT, &error))?;
        let slots = reply.data.get(1).map_or(0, |slots| slots & 0x3f);
        match reply.completion_code {
            code if code.0 == 0 => print(link, &reply.data),
            code if code.0 == 0xcb || code.0 == 0xcc => break,
            code => return Err(Failure::new(format!("{WHAT}: {}", code_text(code)))),
        }
        if index >= slots {
            break;
        }
    }
    Ok(())
}

fn print(link: &Link, data: &[u8]) {
    let at = |index: usize| data.get(index).copied().unwrap_or(0);
    let (handle, slots, active) = (at(0), at(1) & 0x3f, at(2) & 0x3f);
    let mut rows = vec![
        ("session handle", handle.to_string()),
        ("slot count", slots.to_string()),
        ("active sessions", active.to_string()),
    ];
    if handle != 0 && data.len() >= 6 {
        let kind = if at(5) & 0x10 != 0 { "IPMIv2/RMCP+" } else { "IPMIv1.5" };
        rows.push(("user id", (at(3) & 0x3f).to_string()));
        rows.push(("privilege level", privilege(at(4) & 0x0f)));
        rows.push(("session type", kind.to_owned()));
        rows.push(("channel number", format!("0x{:02x}", at(5) & 0x0f)));
    }
    if let Some(console) = data.get(6..18).filter(|_| handle != 0) {
        let mac: Vec<_> = console[4..10].iter().map(|byte| format!("{byte:02x}")).collect();
        let [a, b, c, d] = [console[0], console[1], console[2], console[3]];
        rows.push(("console ip", format!("{a}.{b}.{c}.{d}")));
        rows.push(("console mac", mac.join(":")));
        rows.push(("console port", u16::from_le_bytes([console[10], console[11]]).to_string()));
    }
    if link.options.csv {
        out!("{}", rows.into_iter().map(|(_, value)| value).collect::<Vec<_>>().join(","));
        return;
    }
    rows.iter().for_each(|(name, value)| out!("{name:<29} : {value}"));
    out!();
}
