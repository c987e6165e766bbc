//! Consoles of commands.

use std::ffi::{OsString, c_char, c_void};
use std::time::Duration;

use parking_lot::Mutex;

use super::console::bmclink_console;
use super::console_options::bmclink_console_options;
use super::credentials::bmclink_credentials;
use super::engine::bmclink_engine;
use super::guard::guard;
use super::handle::{self, Object, Out};
use crate::engine::{ExecConfig, Signature};
use crate::error::Result;

/// A command whose terminal is a console: ssh, telnet, docker attach, a vendor's tool. Values are
/// checked by bmclink_exec_open.
///
/// It runs as the leader of a session and process group of its own, with a new pseudo-terminal as
/// its standard input, output and error, the environment of this process and what is added to it,
/// and no other descriptor but one for a password, where that is asked for.
pub struct bmclink_exec_options {
    config: Mutex<ExecConfig>,
}

impl Object for bmclink_exec_options {
    const NOUN: &'static str = "exec options";
}

fn set(options: *mut bmclink_exec_options, change: impl FnOnce(&mut ExecConfig)) -> Result<()> {
    change(&mut handle::object(options)?.config.lock());
    Ok(())
}

/// Makes exec options for a command, a path or a name that is looked up in PATH, with no argument
/// and every default. To be freed with bmclink_exec_options_free.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_exec_options_new(
    command: *const c_char,
    options: *mut *mut bmclink_exec_options,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(options, "options") }?;
        // SAFETY: the caller gives NULL or a string.
        let command = unsafe { handle::text(command, "command") }?;
        let config = Mutex::new(ExecConfig::new(command));
        out.set(handle::register(bmclink_exec_options { config }));
        Ok(())
    })
}

/// Adds an argument. Everybody on the machine can see it: no secrets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_exec_options_add_argument(
    options: *mut bmclink_exec_options,
    argument: *const c_char,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a string.
        let argument = unsafe { handle::text(argument, "argument") }?;
        set(options, |config| config.arguments.push(argument.into()))
    })
}

/// Adds a variable to the environment.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_exec_options_add_variable(
    options: *mut bmclink_exec_options,
    name: *const c_char,
    value: *const c_char,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a string.
        let name = unsafe { handle::text(name, "name") }?;
        // SAFETY: the caller gives NULL or a string.
        let value = unsafe { handle::text(value, "value") }?;
        set(options, |config| config.environment.push((name.into(), value.into())))
    })
}

/// Sets where it runs. Default: where this process does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_exec_options_set_directory(
    options: *mut bmclink_exec_options,
    directory: *const c_char,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a string.
        let directory = unsafe { handle::text(directory, "directory") }?;
        set(options, |config| config.directory = Some(directory.into()))
    })
}

/// Has it count as connected when it has printed these 1 to 4096 bytes, and as failed when it has
/// not within so many milliseconds, 1 to 3600000. Default, and with 0 bytes: it is connected when
/// it runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_exec_options_set_signature(
    options: *mut bmclink_exec_options,
    bytes: *const c_void,
    len: usize,
    within_ms: u32,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or as many bytes as it says.
        let bytes = unsafe { handle::bytes(bytes, len, "bytes") }?.to_vec();
        let within = Duration::from_millis(within_ms.into());
        let signature = (!bytes.is_empty()).then_some(Signature { bytes, within });
        set(options, |config| config.signature = signature)
    })
}

/// Sets the size of its window, until bmclink_console_resize says otherwise. Default 80 and 24.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_exec_options_set_window(
    options: *mut bmclink_exec_options,
    columns: u16,
    rows: u16,
) -> i32 {
    guard(|| set(options, |config| config.window = (columns, rows)))
}

/// Gives it a terminal with echo, lines, signals by keys and a carriage return before each newline,
/// as a plain shell wants it: 0 no (default), else yes. Without, the terminal is raw: all 256
/// values of a byte go through unchanged, both ways.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_exec_options_set_cooked(
    options: *mut bmclink_exec_options,
    cooked: i32,
) -> i32 {
    guard(|| set(options, |config| config.cooked = cooked != 0))
}

/// Has credentials passed to it: the user name and the password in variables of the environment
/// (NULL for none; processes of the same user and of root can see them), the password and a
/// newline by a pipe that is the descriptor `password_fd` of the command, 3 to 255 (-1 for none).
/// At least one of the three is needed. bmclink_credentials_update starts the command anew.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_exec_options_set_credentials(
    options: *mut bmclink_exec_options,
    credentials: *mut bmclink_credentials,
    user_name_variable: *const c_char,
    password_variable: *const c_char,
    password_fd: i32,
) -> i32 {
    guard(|| {
        let credentials = handle::object(credentials)?;
        // SAFETY: the caller gives NULL or a string.
        let user_name = unsafe { optional_text(user_name_variable, "user_name_variable") }?;
        // SAFETY: the caller gives NULL or a string.
        let password = unsafe { optional_text(password_variable, "password_variable") }?;
        set(options, |config| {
            config.credentials = Some(credentials.value.clone());
            config.user_name_variable = user_name;
            config.password_variable = password;
            config.password_fd = (password_fd >= 0).then_some(password_fd);
        })
    })
}

/// # Safety
///
/// As for [`handle::text`].
unsafe fn optional_text(text: *const c_char, what: &str) -> Result<Option<OsString>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller promised it.
    Ok(Some(unsafe { handle::text(text, what) }?.into()))
}

/// Frees exec options. Consoles opened with them keep what they have. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_exec_options_free(options: *mut bmclink_exec_options) -> i32 {
    guard(|| handle::free(options))
}

/// Opens a console that is the terminal of a command, which runs while the console is to be
/// connected. All functions for consoles work with it as with one of SOL, but for
/// bmclink_console_send_break, which fails with BMCLINK_ERR_INCOMPATIBLE.
///
/// When the command ends, the console's reason says how, as in "cat exited with status 3". When the
/// console is closed, the command's process group is told to hang up and killed half a second
/// later, and nothing is left of it. `console_options` may be NULL for every default. To be freed
/// with bmclink_console_free. Does not block.
///
/// Fails with BMCLINK_ERR_MISUSE for options out of range, with BMCLINK_ERR_IO when the system
/// gives no thread. That there is no such command is what bmclink_console_connect fails with.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_exec_open(
    engine: *mut bmclink_engine,
    exec_options: *mut bmclink_exec_options,
    console_options: *mut bmclink_console_options,
    console: *mut *mut bmclink_console,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(console, "console") }?;
        let exec = handle::object(exec_options)?.config.lock().clone();
        let config = bmclink_console_options::config_of(console_options)?;
        let engine = handle::object(engine)?;
        let console = engine.with(|engine| engine.exec_console(exec, config))?;
        out.set(handle::register(bmclink_console::new(console)));
        Ok(())
    })
}

/// Has a console run another command from now on: the one it has is ended, and the new one started
/// at once if the console was connected or waits to be tried again. Equal values change nothing.
/// Does not wait for it.
///
/// Fails with BMCLINK_ERR_MISUSE for options out of range and for what is not an exec console, with
/// BMCLINK_ERR_CLOSED for one that is closed.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_reconfigure_exec(
    console: *mut bmclink_console,
    exec_options: *mut bmclink_exec_options,
) -> i32 {
    guard(|| {
        let exec = handle::object(exec_options)?.config.lock().clone();
        handle::object(console)?.handle().reconfigure_exec(exec)
    })
}

/// Tells what is behind a console that its window has another size, now and when it is started
/// again. A command gets SIGWINCH. Does not wait for it.
///
/// Fails with BMCLINK_ERR_MISUSE for a console of SOL, which has no window, and without columns or
/// rows; with BMCLINK_ERR_CLOSED for one that is closed.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_console_resize(
    console: *mut bmclink_console,
    columns: u16,
    rows: u16,
) -> i32 {
    guard(|| handle::object(console)?.handle().resize(columns, rows))
}
