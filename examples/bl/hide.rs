//! Keeping secrets out of the list of processes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

/// Overwrites these words of the command line, as `ps` shows it, with as many `X`.
///
/// Until this has run everybody can see them, and where `/proc` is not as usual they stay: `-E`
/// and `-f` are better.
pub fn hide(secrets: &[&OsStr]) {
    // The memory behind it is what the kernel shows; nothing else in this process looks there
    // once the arguments have been copied.
    let Some((start, line)) = command_line() else { return };
    let Ok(memory) = File::options().write(true).open("/proc/self/mem") else { return };
    let mut at = 0;
    for word in line.split(|byte| *byte == 0) {
        for secret in secrets.iter().map(|secret| secret.as_bytes()) {
            // `-Psecret` ends with what is `secret` in `-P secret`.
            let attached = word.starts_with(b"-") && word.len() == secret.len() + 2;
            if !secret.is_empty() && word.ends_with(secret) && (word == secret || attached) {
                let from = start + (at + word.len() - secret.len()) as u64;
                let _ = memory.write_all_at(&vec![b'X'; secret.len()], from);
            }
        }
        at += word.len() + 1;
    }
}

/// Where in memory the command line starts, and what it is.
fn command_line() -> Option<(u64, Vec<u8>)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in parentheses, which may have anything in it; the 48th is the
    // address of the first argument.
    let (_, fields) = stat.rsplit_once(')')?;
    let start = fields.split_whitespace().nth(45)?.parse().ok().filter(|start| *start != 0)?;
    Some((start, fs::read("/proc/self/cmdline").ok()?))
}
