//! Processes of ours that are asked questions by lines and answer with lines of JSON.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::report::Result;

/// Has the kernel end a command's process when the thread that starts it ends.
pub fn ends_with_us(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec only this system call is made; it allocates nothing.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) }
}

/// This program again, to do something else.
pub fn ourselves(what: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(what);
    Ok(command)
}

/// A process that answers. Killed on drop.
pub struct Answerer {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Answerer {
    /// Starts it. Its standard error is ours.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = ends_with_us(command)
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("a pipe is missing")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(std::io::Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Answerer { name: name.to_owned(), child, stdin, lines })
    }

    /// The next line it prints, read as JSON. An object with `error` is an error.
    pub fn answer(&self, timeout: Duration) -> Result<Value> {
        let name = &self.name;
        let line = self.lines.recv_timeout(timeout).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("{name} gave no answer in {timeout:?}"),
            RecvTimeoutError::Disconnected => format!("{name} ended"),
        })?;
        let value: Value = serde_json::from_str(&line)
            .map_err(|error| format!("{name} said {line:?}: {error}"))?;
        match value.get("error") {
            Some(error) => Err(format!("{name}: {}", error.as_str().unwrap_or("failed")).into()),
            None => Ok(value),
        }
    }

    /// Asks and waits for the answer.
    pub fn ask(&mut self, question: &str, timeout: Duration) -> Result<Value> {
        let stdin = self.stdin.as_mut().ok_or("its standard input is closed")?;
        writeln!(stdin, "{question}")?;
        stdin.flush()?;
        self.answer(timeout).map_err(|error| format!("{question}: {error}").into())
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        // Most end with their standard input, and end their own children first.
        self.stdin = None;
        for _ in 0..100 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other end: answers every line of standard input until there are no more.
pub fn answer_lines(mut answer: impl FnMut(&str) -> Result<Value>) -> Result<()> {
    for line in std::io::stdin().lock().lines() {
        let value = answer(line?.trim())
            .unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }));
        say(&value)?;
    }
    Ok(())
}

/// Prints one answer.
pub fn say(value: &Value) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{value}")?;
    Ok(stdout.flush()?)
}

/// A number of an answer; NaN when it is not there.
pub fn number(value: &Value, name: &str) -> f64 {
    value.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}
