//! The threads that run what users gave to be called: never on a shard, never with a lock held.
//!
//! There is always one thread more than are busy, up to a limit, so that a call that blocks holds
//! up nobody else: a thread that finds itself the last idle one starts another before it gets to
//! work. Shards only put tasks in the queue.

use std::cell::Cell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::ready::wait;
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Condvar, Mutex, MutexGuard, now};

/// How long a thread waits for work before it ends.
const IDLE: Duration = Duration::from_secs(10);
/// Idle threads that stay as long as there is anybody to work for: one for the next task, and
/// one for the task behind it.
const STAY: usize = 2;
/// How long the end of an engine waits for calls that are under way.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Something to be run, one turn at a time.
pub(crate) trait Task: Send + Sync {
    /// Takes one turn. Panics of users end in here.
    fn run(self: Arc<Self>, buffer: &mut Vec<u8>);
}

/// The threads and their queue.
pub(crate) struct Dispatcher {
    pool: Mutex<Pool>,
    /// There is a task, or a reason to end.
    work: Condvar,
    /// A thread ended, or is about to.
    ended: Condvar,
    threads_max: usize,
}

#[derive(Default)]
struct Pool {
    queue: VecDeque<Arc<dyn Task>>,
    /// Threads there are, and how many of them wait for work.
    threads: usize,
    idle: usize,
    /// Idle threads that are to be woken.
    wakes: usize,
    /// Those who may put tasks in.
    users: usize,
    /// Threads with a task whose user does not wait for it.
    strays: usize,
    stage: Stage,
    next_id: u64,
    handles: HashMap<u64, JoinHandle<()>>,
    /// Threads that ended before their handle was there.
    early: HashSet<u64>,
    /// Handles of threads that do nothing any more but end.
    leaving: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Running,
    /// The queue is worked off, and no more.
    Stopping,
    /// Nothing is begun any more.
    Stopped,
}

thread_local! {
    /// Of whose threads this is one, as an address.
    static DISPATCHER: Cell<usize> = const { Cell::new(0) };
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher").field("threads_max", &self.threads_max).finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// At most `threads_max` threads, and none before there is a user.
    pub fn new(threads_max: usize) -> Arc<Self> {
        Arc::new(Dispatcher {
            pool: Mutex::default(),
            work: Condvar::new(),
            ended: Condvar::new(),
            threads_max,
        })
    }

    /// One more who puts tasks in. Fails with `ShutDown`, or with `Io` when the first thread does
    /// not start.
    pub fn enter(self: &Arc<Self>) -> Result<()> {
        let mut pool = self.pool.lock();
        if pool.stage > Stage::Running {
            return Err(Error::new(ErrorKind::ShutDown));
        }
        pool.users += 1;
        if pool.threads > 0 {
            return Ok(());
        }
        let id = pool.count_thread();
        drop(pool);
        self.start(id).map_err(|error| {
            self.leave();
            Error::io("cannot start a thread", &error)
        })
    }

    /// A thread's task goes on although its user is about to leave, or, with `false`, no more.
    pub fn stray(&self, begins: bool) {
        let mut pool = self.pool.lock();
        pool.strays = if begins { pool.strays + 1 } else { pool.strays.saturating_sub(1) };
    }

    /// One less. With the last one the threads end; all but strays are waited for.
    pub fn leave(&self) {
        let mut pool = self.pool.lock();
        pool.users -= 1;
        if pool.users > 0 {
            return;
        }
        self.work.notify_all();
        while pool.users == 0 && pool.threads > pool.strays {
            wait(&self.ended, &mut pool, None);
        }
        Self::reap(pool);
    }

    /// Puts a task in. Does not block; to be settled.
    pub fn push(&self, task: Arc<dyn Task>) {
        let mut pool = self.pool.lock();
        if pool.stage < Stage::Stopped {
            pool.queue.push_back(task);
            pool.wakes = (pool.wakes + 1).min(pool.idle);
        }
    }

    /// Wakes the threads that are needed. Not to be called with a lock held.
    pub fn settle(&self) {
        let wakes = std::mem::take(&mut self.pool.lock().wakes);
        for _ in 0..wakes {
            self.work.notify_one();
        }
    }

    /// Works off what is in the queue and ends the threads. Calls that are still under way after
    /// a while, and the one this is called from, are left to end by themselves.
    pub fn stop(&self) {
        let until = now().checked_add(STOP_GRACE);
        let mut pool = self.pool.lock();
        pool.stage = Stage::Stopping;
        self.work.notify_all();
        let own = usize::from(DISPATCHER.get() == self.address());
        while pool.threads > own && wait(&self.ended, &mut pool, until) {}
        pool.stage = Stage::Stopped;
        let queue = std::mem::take(&mut pool.queue);
        Self::reap(pool);
        drop(queue);
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Waits for threads that are at their very end.
    fn reap(mut pool: MutexGuard<'_, Pool>) {
        let leaving = std::mem::take(&mut pool.leaving);
        drop(pool);
        for thread in leaving {
            // What panics in a task is caught there.
            let _ = thread.join();
        }
    }

    /// Starts a thread that is counted already.
    fn start(self: &Arc<Self>, id: u64) -> std::io::Result<()> {
        let dispatcher = self.clone();
        let started =
            Builder::new().name("bmclink-call".to_owned()).spawn(move || dispatcher.work(id));
        let mut pool = self.pool.lock();
        let result = match started {
            Ok(handle) if pool.early.remove(&id) => {
                pool.leaving.push(handle);
                Ok(())
            }
            Ok(handle) => {
                pool.handles.insert(id, handle);
                Ok(())
            }
            Err(error) => {
                pool.threads -= 1;
                self.ended.notify_all();
                Err(error)
            }
        };
        // Threads that ended for want of work: nobody else waits for them.
        Self::reap(pool);
        result
    }

    /// The life of a thread.
    fn work(self: Arc<Self>, id: u64) {
        DISPATCHER.set(self.address());
        let mut buffer = Vec::new();
        let mut pool = self.pool.lock();
        while let Some(task) = self.next(&mut pool) {
            let alone = pool.idle == 0 && pool.threads < self.threads_max;
            let spare = (alone && pool.stage == Stage::Running).then(|| pool.count_thread());
            drop(pool);
            if let Some(id) = spare
                && let Err(error) = self.start(id)
            {
                log::warn!(target: "bmclink::engine", "no thread for callbacks: {error}");
            }
            task.run(&mut buffer);
            pool = self.pool.lock();
        }
        pool.threads -= 1;
        match pool.handles.remove(&id) {
            Some(handle) => pool.leaving.push(handle),
            None => {
                pool.early.insert(id);
            }
        }
        drop(pool);
        self.ended.notify_all();
    }

    /// The next task, waited for; `None` when the thread is to end.
    fn next(&self, pool: &mut MutexGuard<'_, Pool>) -> Option<Arc<dyn Task>> {
        let mut until = now().checked_add(IDLE);
        loop {
            if pool.stage < Stage::Stopped
                && let Some(task) = pool.queue.pop_front()
            {
                return Some(task);
            }
            if pool.stage > Stage::Running || pool.users == 0 {
                return None;
            }
            pool.idle += 1;
            let waited = wait(&self.work, pool, until);
            pool.idle -= 1;
            if !waited {
                if pool.idle >= STAY {
                    return None;
                }
                until = None;
            }
        }
    }
}

impl Pool {
    fn count_thread(&mut self) -> u64 {
        self.threads += 1;
        self.next_id += 1;
        self.next_id
    }
}
