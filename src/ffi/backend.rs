//! Consoles whose bytes a program in C carries.

use std::ffi::{c_char, c_void};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::console::bmclink_console;
use super::console_options::bmclink_console_options;
use super::engine::bmclink_engine;
use super::guard::guard;
use super::handle::{self, Object, Out, User};
use crate::engine::{Backend, Sink};
use crate::error::{Error, ErrorKind, Result};

/// What carries the bytes of a console, as functions of the caller's: its own transport only.
/// Waiting, readers, replay, states and retries are the console's.
///
/// The functions are called one at a time, on threads of the engine that do nothing else: they may
/// block, which holds up this console and nothing else. Each start, also a failed one, is followed
/// by one stop before the next start and before the release. `user` is what was given to
/// bmclink_backend_options_new. None of them may throw or jump out.
pub struct bmclink_backend_options {
    functions: Mutex<Functions>,
}

/// Where a backend puts what comes of one start. It is the library's, and lives until the stop
/// function has returned; to be used from any thread. When that start is over its functions fail
/// with BMCLINK_ERR_CLOSED, and later with BMCLINK_ERR_MISUSE, and do nothing. None of them blocks.
pub struct bmclink_sink {
    sink: Sink,
}

impl Object for bmclink_backend_options {
    const NOUN: &'static str = "backend options";
}

impl Object for bmclink_sink {
    const NOUN: &'static str = "sink";
}

/// Begins to connect: bmclink_sink_connected is to be called from here or later, from any thread.
/// Gives 0, or one of BMCLINK_ERR_* for a failed attempt.
pub type bmclink_backend_start =
    Option<unsafe extern "C" fn(sink: *mut bmclink_sink, user: *mut c_void) -> i32>;

/// Takes input, and says how many of the bytes; only called while it is connected. The rest is
/// offered again at once; after 0, not before bmclink_sink_writable. One of BMCLINK_ERR_* ends the
/// connection.
pub type bmclink_backend_write =
    Option<unsafe extern "C" fn(bytes: *const c_void, len: usize, user: *mut c_void) -> i64>;

/// Sends a break behind everything written before it. Gives 0 or one of BMCLINK_ERR_*, which goes
/// to whoever asked for it.
pub type bmclink_backend_send_break = Option<unsafe extern "C" fn(user: *mut c_void) -> i32>;

/// The window has another size. Comes before a start when the size is known by then.
pub type bmclink_backend_resize =
    Option<unsafe extern "C" fn(columns: u16, rows: u16, user: *mut c_void)>;

/// Ends what was started, or is called last of all.
pub type bmclink_backend_stop = Option<unsafe extern "C" fn(user: *mut c_void)>;

struct Functions {
    user: User,
    start: bmclink_backend_start,
    write: bmclink_backend_write,
    send_break: bmclink_backend_send_break,
    resize: bmclink_backend_resize,
    stop: bmclink_backend_stop,
    release: bmclink_backend_stop,
}

fn set(options: *mut bmclink_backend_options, change: impl FnOnce(&mut Functions)) -> Result<()> {
    change(&mut handle::object(options)?.functions.lock());
    Ok(())
}

/// Makes backend options without functions. `user` is given to each of them. To be freed with
/// bmclink_backend_options_free.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_backend_options_new(
    user: *mut c_void,
    options: *mut *mut bmclink_backend_options,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(options, "options") }?;
        let functions = Functions {
            user: User(user),
            start: None,
            write: None,
            send_break: None,
            resize: None,
            stop: None,
            release: None,
        };
        out.set(handle::register(bmclink_backend_options { functions: Mutex::new(functions) }));
        Ok(())
    })
}

/// Sets what begins to connect. Needed.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_backend_options_set_start(
    options: *mut bmclink_backend_options,
    start: bmclink_backend_start,
) -> i32 {
    guard(|| set(options, |functions| functions.start = start))
}

/// Sets what takes input. Needed.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_backend_options_set_write(
    options: *mut bmclink_backend_options,
    write: bmclink_backend_write,
) -> i32 {
    guard(|| set(options, |functions| functions.write = write))
}

/// Sets what sends a break. Without, that fails with BMCLINK_ERR_INCOMPATIBLE.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_backend_options_set_send_break(
    options: *mut bmclink_backend_options,
    send_break: bmclink_backend_send_break,
) -> i32 {
    guard(|| set(options, |functions| functions.send_break = send_break))
}

/// Sets what is told of the window's size.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_backend_options_set_resize(
    options: *mut bmclink_backend_options,
    resize: bmclink_backend_resize,
) -> i32 {
    guard(|| set(options, |functions| functions.resize = resize))
}

/// Sets what ends what was started. Needed.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_backend_options_set_stop(
    options: *mut bmclink_backend_options,
    stop: bmclink_backend_stop,
) -> i32 {
    guard(|| set(options, |functions| functions.stop = stop))
}

/// Sets what is called last of all, once for each console that was opened: `user` is not used for
/// that console any more.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_backend_options_set_release(
    options: *mut bmclink_backend_options,
    release: bmclink_backend_stop,
) -> i32 {
    guard(|| set(options, |functions| functions.release = release))
}

/// Frees backend options. Consoles opened with them keep what they have. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_backend_options_free(options: *mut bmclink_backend_options) -> i32 {
    guard(|| handle::free(options))
}

/// Opens a console whose bytes the functions carry. All functions for consoles work with it as
/// with one of SOL. `console_options` may be NULL for every default. To be freed with
/// bmclink_console_free. Does not block.
///
/// Fails with BMCLINK_ERR_MISUSE without the functions that are needed and for options out of
/// range, with BMCLINK_ERR_IO when the system gives no thread; nothing is called then.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_backend_open(
    engine: *mut bmclink_engine,
    backend_options: *mut bmclink_backend_options,
    console_options: *mut bmclink_console_options,
    console: *mut *mut bmclink_console,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(console, "console") }?;
        let config = bmclink_console_options::config_of(console_options)?;
        let backend = Foreign::new(&handle::object(backend_options)?.functions.lock())?;
        let engine = handle::object(engine)?;
        let release = backend.release.clone();
        let console = engine.with(|engine| engine.console(backend, config))?;
        // From here on it is to be told when it is over.
        release.arm();
        out.set(handle::register(bmclink_console::new(console)));
        Ok(())
    })
}

/// Says that the console is connected.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_sink_connected(sink: *mut bmclink_sink) -> i32 {
    guard(|| alive(handle::object(sink)?.sink.connected()))
}

/// Says what the console printed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_sink_bytes(
    sink: *mut bmclink_sink,
    bytes: *const c_void,
    len: usize,
) -> i32 {
    guard(|| {
        let sink = handle::object(sink)?;
        // SAFETY: the caller gives NULL or as many bytes as it says.
        let bytes = unsafe { handle::bytes(bytes, len, "bytes") }?;
        alive(sink.sink.bytes(bytes))
    })
}

/// Says that there is room again, after the write function took nothing.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_sink_writable(sink: *mut bmclink_sink) -> i32 {
    guard(|| alive(handle::object(sink)?.sink.writable()))
}

/// Says that the connection is over, or that the attempt failed: one of BMCLINK_ERR_*, on which it
/// depends when the console is tried again, and a line of text, or NULL for that of the code. The
/// stop function is called next.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_sink_ended(
    sink: *mut bmclink_sink,
    code: i32,
    text: *const c_char,
) -> i32 {
    guard(|| {
        let sink = handle::object(sink)?;
        let kind = kind(code).ok_or_else(|| Error::misuse(format!("no error has code {code}")))?;
        let error = if text.is_null() {
            Error::new(kind)
        } else {
            // SAFETY: the caller gives a string.
            Error::with_text(kind, unsafe { handle::text(text, "text") }?)
        };
        alive(sink.sink.ended(error))
    })
}

fn alive(is_alive: bool) -> Result<()> {
    if is_alive { Ok(()) } else { Err(Error::new(ErrorKind::Closed)) }
}

fn kind(code: i32) -> Option<ErrorKind> {
    ErrorKind::ALL.into_iter().find(|kind| kind.code() == code)
}

/// What a function of the caller's gave.
fn answer(what: &str, code: i64) -> Result<usize> {
    usize::try_from(code).map_err(|_| {
        let kind = i32::try_from(code).ok().and_then(kind).unwrap_or(ErrorKind::Misuse);
        Error::with_text(kind, format!("the backend's {what} gave {code}: {}", kind.text()))
    })
}

/// A backend of the caller's functions.
struct Foreign {
    user: User,
    start: unsafe extern "C" fn(*mut bmclink_sink, *mut c_void) -> i32,
    write: unsafe extern "C" fn(*const c_void, usize, *mut c_void) -> i64,
    send_break: bmclink_backend_send_break,
    resize: bmclink_backend_resize,
    stop: unsafe extern "C" fn(*mut c_void),
    release: Arc<Release>,
    /// The handle of the sink there is.
    sink: Handle,
}

/// A handle; its number is all of it.
struct Handle(*mut bmclink_sink);

// SAFETY: it is a name of an object that can be used from any thread, and never dereferenced.
unsafe impl Send for Handle {}

/// Calls the release function, if the console was opened, when both of those who hold it are gone.
struct Release {
    user: Mutex<User>,
    function: bmclink_backend_stop,
    armed: AtomicBool,
}

impl Release {
    fn arm(&self) {
        self.armed.store(true, Ordering::Release);
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        if *self.armed.get_mut()
            && let Some(release) = self.function
        {
            // SAFETY: the caller gave a function that takes this.
            unsafe { release(self.user.get_mut().0) }
        }
    }
}

impl Foreign {
    fn new(functions: &Functions) -> Result<Self> {
        let needed = |what: &str| Error::misuse(format!("there is no {what} function"));
        let user = functions.user.0;
        Ok(Foreign {
            user: User(user),
            start: functions.start.ok_or_else(|| needed("start"))?,
            write: functions.write.ok_or_else(|| needed("write"))?,
            send_break: functions.send_break,
            resize: functions.resize,
            stop: functions.stop.ok_or_else(|| needed("stop"))?,
            release: Arc::new(Release {
                user: Mutex::new(User(user)),
                function: functions.release,
                armed: AtomicBool::new(false),
            }),
            sink: Handle(null_mut()),
        })
    }

    fn free_sink(&mut self) {
        // It is there, or NULL.
        let _ = handle::free(std::mem::replace(&mut self.sink.0, null_mut()));
    }
}

impl Backend for Foreign {
    fn start(&mut self, sink: Sink) -> Result<()> {
        self.free_sink();
        self.sink.0 = handle::register(bmclink_sink { sink });
        // SAFETY: the caller gave a function that takes this.
        let code = unsafe { (self.start)(self.sink.0, self.user.0) };
        answer("start", code.into()).map(drop)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        // SAFETY: the caller gave a function that takes this, and the bytes outlive the call.
        let taken = unsafe { (self.write)(bytes.as_ptr().cast(), bytes.len(), self.user.0) };
        answer("write", taken)
    }

    fn send_break(&mut self) -> Result<()> {
        let Some(send_break) = self.send_break else {
            let text = "this console cannot send a break";
            return Err(Error::with_text(ErrorKind::Incompatible, text));
        };
        // SAFETY: the caller gave a function that takes this.
        let code = unsafe { send_break(self.user.0) };
        answer("send_break", code.into()).map(drop)
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        if let Some(resize) = self.resize {
            // SAFETY: the caller gave a function that takes this.
            unsafe { resize(columns, rows, self.user.0) }
        }
    }

    fn stop(&mut self) {
        // SAFETY: the caller gave a function that takes this.
        unsafe { (self.stop)(self.user.0) };
        self.free_sink();
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.free_sink();
    }
}
