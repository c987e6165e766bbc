//! `raw`: any request.

use crate::link::Link;
use crate::text::{Failure, Outcome, byte, code_text, reason, warn};
use crate::usage;

pub fn run(link: &mut Link, words: &[&str]) -> Outcome {
    if words.len() < 2 {
        let text = format!("Not enough parameters given.\n{}", usage::RAW);
        return Err(Failure::new(text));
    }
    let names = ["netfn", "command"];
    let mut bytes = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let name = names.get(at).unwrap_or(&"data");
        let value = byte(word).ok_or_else(|| invalid(name, word))?;
        bytes.push(value);
    }
    let ([net_fn, cmd], data) = bytes.split_first_chunk().expect("two words or more");
    let (lun, channel) = (link.options.target.lun_number(), link.options.channel);
    let what = format!("channel=0x{channel:x} netfn=0x{net_fn:x} lun=0x{lun:x} cmd=0x{cmd:x}");
    if link.options.verbose > 0 {
        warn(format!("RAW REQ ({what} data_len={})", data.len()));
    }
    let reply = match link.ask(*net_fn, *cmd, data)? {
        Ok(reply) => reply,
        Err(error) => {
            let why = reason(&error);
            let rsp = error.completion_code().map(|code| format!(" rsp=0x{:x}", code.0));
            let rsp = rsp.unwrap_or_default();
            return Err(Failure::new(format!("Unable to send RAW command ({what}{rsp}): {why}")));
        }
    };
    let code = reply.completion_code;
    if code.0 != 0 {
        let (rsp, why) = (code.0, code_text(code));
        return Err(Failure::new(format!(
            "Unable to send RAW command ({what} rsp=0x{rsp:x}): {why}"
        )));
    }
    if link.options.verbose > 0 {
        warn(format!("RAW RSP ({} bytes)", reply.data.len()));
    }
    for row in reply.data.chunks(16) {
        for byte in row {
            part!(" {byte:02x}");
        }
        out!();
    }
    if reply.data.is_empty() {
        out!();
    }
    Ok(())
}

fn invalid(name: &str, word: &str) -> Failure {
    Failure::new(format!("Given {name} \"{word}\" is invalid."))
}
