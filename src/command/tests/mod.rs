//! Commands with answers made up here.

mod accounts;
mod configuration;
mod hostile;
mod switching;

use super::dialog::Dialog;
use super::play::{play, reply};
use crate::error::{ErrorKind, Result};
use crate::session::{Reply, Request, Secrecy};

/// What a request is, for comparing: network function, command, data.
type Asked = (u8, u8, Vec<u8>);

fn asked(request: &Request) -> Asked {
    (request.net_fn, request.cmd, request.data.to_vec())
}

/// Has a dialog in which `answer` gives completion code and data, and gives what was asked too.
fn record<T>(
    function: impl AsyncFnOnce(Dialog) -> Result<T>,
    mut answer: impl FnMut(u8, &[u8]) -> (u8, Vec<u8>),
) -> (Result<T>, Vec<Asked>) {
    let mut all = Vec::new();
    let result = play(function, |request| {
        all.push(asked(request));
        let (code, data) = answer(request.cmd, &request.data);
        reply(code, &data)
    });
    (result, all)
}

/// The same with one and the same answer to all.
fn once<T>(
    function: impl AsyncFnOnce(Dialog) -> Result<T>,
    data: &[u8],
) -> (Result<T>, Vec<Asked>) {
    record(function, |_, _| (0, data.to_vec()))
}

fn code_of<T>(result: Result<T>) -> Option<u8> {
    result.err().and_then(|error| error.completion_code()).map(|code| code.0)
}

fn kind_of<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}
