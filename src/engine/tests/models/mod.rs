//! Models of what threads hand each other (promise `no_lost_wakeup`): loom runs each one in every
//! order in which its threads can take their turns, and reports a deadlock when a thread is left
//! asleep.
//!
//! Run by `tests/model.sh`. A model that is to fail shows that the ones beside it could.

mod admission;
mod cancel;
mod console;
mod inbox;
mod ready;
mod wait;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Condvar, Mutex, now};

/// Every order with at most this many preemptions, unless `LOOM_MAX_PREEMPTIONS` says otherwise.
/// Threads that block or end do not count: only being interrupted does. Two are enough for
/// every lost wake-up between two threads, three leave a margin.
const PREEMPTIONS_MAX: usize = 3;

/// Runs a model in every order.
fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(PREEMPTIONS_MAX));
    builder.check(model);
}

fn spawn<T: 'static>(body: impl FnOnce() -> T + 'static) -> loom::thread::JoinHandle<T> {
    loom::thread::spawn(body)
}

fn join<T>(thread: loom::thread::JoinHandle<T>) -> T {
    thread.join().expect("no panic")
}

/// A time that comes while a thread waits for it.
fn soon() -> Instant {
    now() + Duration::from_millis(500)
}

fn kind<T>(result: Result<T>) -> std::result::Result<T, ErrorKind> {
    result.map_err(|error: Error| error.kind())
}

/// What a `mio::Waker` and its poll are to a shard: a wake ends the sleep there is, or the next.
#[derive(Clone)]
struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Bell {
    fn new() -> Self {
        Bell(Arc::new((Mutex::new(false), Condvar::new())))
    }

    fn sleep(&self) {
        let (rung, ringing) = &*self.0;
        let mut rung = rung.lock();
        while !std::mem::take(&mut *rung) {
            ringing.wait(&mut rung);
        }
    }

    /// A poll that takes no time.
    fn look(&self) {
        *self.0.0.lock() = false;
    }
}

impl super::inbox::Wake for Bell {
    fn wake(&self) {
        *self.0.0.lock() = true;
        self.0.1.notify_all();
    }
}
