//! The user's terminal: raw while the console is attached, and as it was before in any event.

use std::io::{self, BufRead, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::termios::{LocalFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

/// The terminal that was changed, with the settings it had. One per process, because a signal
/// or a panic in any thread has to find it.
static CHANGED: Mutex<Option<(OwnedFd, Termios)>> = Mutex::new(None);

fn changed() -> MutexGuard<'static, Option<(OwnedFd, Termios)>> {
    CHANGED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A terminal with other settings; dropping this restores them.
pub struct Changed(());

impl Drop for Changed {
    fn drop(&mut self) {
        restore();
    }
}

/// Makes a terminal raw: every key goes to the host, `^C` too.
pub fn make_raw(terminal: impl AsFd) -> io::Result<Changed> {
    change(terminal, cfmakeraw)
}

fn change(terminal: impl AsFd, how: impl FnOnce(&mut Termios)) -> io::Result<Changed> {
    // Held to the end: see `exit`.
    let mut changed = changed();
    let ours = terminal.as_fd().try_clone_to_owned()?;
    let before = tcgetattr(&ours)?;
    let mut settings = before.clone();
    how(&mut settings);
    // Not TCSAFLUSH: what was typed ahead is meant for the host.
    tcsetattr(&ours, SetArg::TCSANOW, &settings)?;
    *changed = Some((ours, before));
    Ok(Changed(()))
}

/// Puts the terminal back as it was, if it was changed.
pub fn restore() {
    put_back(&mut changed());
}

fn put_back(changed: &mut Option<(OwnedFd, Termios)>) {
    if let Some((terminal, before)) = changed.take() {
        // It may be gone by now, and then there is nothing to restore.
        let _ = tcsetattr(terminal, SetArg::TCSANOW, &before);
    }
}

/// Restores the terminal and ends the process. No other thread changes it in between.
pub fn exit(code: u8) -> ! {
    let mut changed = changed();
    put_back(&mut changed);
    std::process::exit(code.into())
}

/// Restores the terminal when any thread panics, so that the message can be read.
pub fn restore_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        before(panic);
    }));
}

/// The end of a line on standard error: a raw terminal does not return the carriage by itself.
pub fn line_end() -> &'static str {
    if changed().is_some() && io::stderr().is_terminal() { "\r\n" } else { "\n" }
}

/// Tells the user something, on standard error, under this program's name.
pub fn say(text: &str) {
    let line = format!("{}: {text}{}", env!("CARGO_CRATE_NAME"), line_end());
    // Standard error may be closed, and then nobody wants to know.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Asks for a secret on standard input, without echo.
pub fn ask_secret(prompt: &str) -> io::Result<Vec<u8>> {
    let _no_echo = change(io::stdin(), |settings| {
        settings.local_flags.remove(LocalFlags::ECHO);
        settings.local_flags.insert(LocalFlags::ECHONL);
    })?;
    io::stderr().write_all(prompt.as_bytes())?;
    let mut line = Vec::new();
    io::stdin().lock().read_until(b'\n', &mut line)?;
    if line.pop_if(|byte| *byte == b'\n').is_none() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::openpty;

    /// One test, because a process has one terminal to restore.
    #[test]
    fn the_terminal_is_restored_whatever_happens() {
        let pty = openpty(None, None).expect("a terminal");
        let settings = || tcgetattr(&pty.slave).expect("a terminal's settings");
        let before = settings();

        let guard = make_raw(&pty.slave).expect("raw");
        assert!(!settings().local_flags.intersects(LocalFlags::ICANON | LocalFlags::ISIG));
        drop(guard);
        assert_eq!(settings(), before, "by its guard");

        restore_on_panic();
        std::mem::forget(make_raw(&pty.slave).expect("raw"));
        let panicked = std::thread::spawn(|| panic!("on purpose")).join();
        assert!(panicked.is_err());
        assert_eq!(settings(), before, "by a panic in a thread that knows nothing of it");

        let guard = make_raw(&pty.slave).expect("raw");
        restore();
        assert_eq!(settings(), before, "by a signal");
        drop(guard);
        assert_eq!(settings(), before, "twice is harmless");
    }
}
