//! What the library logs, to a callback.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_void};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::{Mutex, RwLock};

use super::guard::{c_string, guard};
use super::handle::User;
use crate::error::{Error, ErrorKind, Result};

/// How much is logged; each level includes those before it.
#[repr(C)]
#[allow(dead_code)] // Named for C; functions take and give int32_t.
pub enum bmclink_log {
    /// Nothing.
    Off = 0,
    /// The library itself is in trouble.
    Error = 1,
    /// Something is wrong that it can live with.
    Warn = 2,
    /// Sessions begin and end.
    Info = 3,
    /// Every attempt.
    Debug = 4,
    /// Every packet that is dropped, and more.
    Trace = 5,
}

/// Takes one log message: `level` is one of BMCLINK_LOG_*, `target` names the part of the library,
/// `message` is one line. Both texts are valid during the call. `user` is what was given to
/// bmclink_set_log. It must not throw or jump out.
pub type bmclink_log_callback = Option<
    unsafe extern "C" fn(
        level: i32,
        target: *const c_char,
        message: *const c_char,
        user: *mut c_void,
    ),
>;

/// Sends what the library logs to a callback, or nowhere again. By default it logs nowhere.
///
/// This is one setting for the whole process: all engines and simulators of this library log to
/// the one callback set last. `level` is one of BMCLINK_LOG_*; with BMCLINK_LOG_OFF `callback` and
/// `user` are not looked at, else `callback` must not be NULL.
///
/// The callback runs on a thread of the library's own, one message at a time. It may take its time
/// and call any function of this library; when it falls behind by 1024 messages, further ones are
/// dropped and their number is reported as a message. When this function returns, the callback set
/// before has returned from its last call, so that its `user` can be freed; so do not call it with
/// a lock held that the callback takes. (Called from inside the callback, it does not wait.)
/// Messages never contain passwords or keys.
///
/// Fails with BMCLINK_ERR_MISUSE for an unknown level, with BMCLINK_ERR_BUSY in a Rust program
/// that has set a logger of its own, with BMCLINK_ERR_IO when there is no thread to be had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_set_log(
    level: i32,
    callback: bmclink_log_callback,
    user: *mut c_void,
) -> i32 {
    guard(|| {
        let filter = *FILTERS
            .get(usize::try_from(level).unwrap_or(usize::MAX))
            .ok_or_else(|| Error::misuse(format!("no log level has number {level}")))?;
        let next = match (filter, callback) {
            (LevelFilter::Off, _) => None,
            (_, Some(callback)) => Some(Delivery::start(Target { callback, user: User(user) })?),
            (_, None) => return Err(Error::misuse("callback is NULL")),
        };
        install(filter, next)
    })
}

const FILTERS: [LevelFilter; 6] = [
    LevelFilter::Off,
    LevelFilter::Error,
    LevelFilter::Warn,
    LevelFilter::Info,
    LevelFilter::Debug,
    LevelFilter::Trace,
];

/// Messages that wait for the callback.
const QUEUE_LEN: usize = 1024;

/// The `log` crate's end: takes messages from any thread and never blocks one.
struct Facade {
    queue: RwLock<Option<Sender<Message>>>,
    dropped: AtomicU64,
}

static FACADE: Facade = Facade { queue: RwLock::new(None), dropped: AtomicU64::new(0) };

/// The delivery in use.
static DELIVERY: Mutex<Option<Delivery>> = Mutex::new(None);

struct Message {
    level: Level,
    target: CString,
    text: CString,
}

impl Log for Facade {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("bmclink")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if let Some(queue) = &*self.queue.read() {
            let target = c_string(record.target());
            let text = c_string(&record.args().to_string());
            if queue.try_send(Message { level: record.level(), target, text }).is_err() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn flush(&self) {}
}

struct Target {
    callback: unsafe extern "C" fn(i32, *const c_char, *const c_char, *mut c_void),
    user: User,
}

impl Target {
    fn deliver(&self, level: Level, target: &CString, text: &CString) {
        // SAFETY: the caller gave a function that takes this, and both texts outlive the call.
        unsafe { (self.callback)(level as i32, target.as_ptr(), text.as_ptr(), self.user.0) }
    }
}

/// The thread that calls one callback, and the queue to it.
struct Delivery {
    queue: Sender<Message>,
    thread: JoinHandle<()>,
}

impl Delivery {
    fn start(target: Target) -> Result<Self> {
        let (queue, messages) = bounded(QUEUE_LEN);
        let thread = Builder::new()
            .name("bmclink-log".to_owned())
            .spawn(move || deliver_all(&target, &messages))
            .map_err(|error| Error::io("cannot start a thread", &error))?;
        Ok(Delivery { queue, thread })
    }

    /// Has it end once everything was delivered.
    fn end(self) {
        let Delivery { queue, thread } = self;
        drop(queue);
        LEAVING.lock().push(thread);
    }
}

/// Deliveries that end by themselves, and which nobody has waited for yet.
static LEAVING: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

thread_local! {
    /// Whether this is the thread of a delivery.
    static DELIVERS: Cell<bool> = const { Cell::new(false) };
}

/// Waits for deliveries that end. Not from inside a callback, which may be one of them.
fn await_leaving() {
    if DELIVERS.get() {
        return;
    }
    // Whoever comes while another thread waits here waits for the same deliveries.
    static WAITING: Mutex<()> = Mutex::new(());
    let _waiting = WAITING.lock();
    let leaving = std::mem::take(&mut *LEAVING.lock());
    for thread in leaving {
        // A callback cannot unwind, so there is no panic to hear of.
        let _ = thread.join();
    }
}

/// Ends when the queue has no sender any more.
fn deliver_all(target: &Target, messages: &Receiver<Message>) {
    DELIVERS.set(true);
    for message in messages {
        let dropped = FACADE.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let text = c_string(&format!("{dropped} messages were dropped: the callback is slow"));
            target.deliver(Level::Warn, &c"bmclink::log".to_owned(), &text);
        }
        target.deliver(message.level, &message.target, &message.text);
    }
}

fn install(filter: LevelFilter, next: Option<Delivery>) -> Result<()> {
    let mut delivery = DELIVERY.lock();
    if next.is_some() && !is_ours() {
        next.into_iter().for_each(Delivery::end);
        return Err(Error::with_text(ErrorKind::Busy, "the program has a logger of its own"));
    }
    *FACADE.queue.write() = next.as_ref().map(|delivery| delivery.queue.clone());
    let last = std::mem::replace(&mut *delivery, next);
    if is_ours() {
        log::set_max_level(filter);
    }
    last.into_iter().for_each(Delivery::end);
    // The last callback may be calling this function: it must not find the lock held.
    drop(delivery);
    await_leaving();
    Ok(())
}

/// Whether the `log` crate's logger is this one, which it becomes when there is none.
fn is_ours() -> bool {
    static OURS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *OURS.get_or_init(|| log::set_logger(&FACADE).is_ok())
}
