//! A place where one thread waits for one value.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Condvar, Mutex, now};

/// Where the waiting thread waits.
#[derive(Debug)]
pub(crate) struct Waiter<T> {
    value: Mutex<Option<T>>,
    ready: Condvar,
}

/// The other end: completes the wait once. Dropped without, it completes it with `ShutDown`, so
/// that nobody waits for what can no longer come.
#[derive(Debug)]
pub(crate) struct Completer<T>(Arc<Waiter<Result<T>>>);

/// Both ends.
pub(crate) fn waiter<T>() -> (Arc<Waiter<Result<T>>>, Completer<T>) {
    let waiter = Arc::new(Waiter { value: Mutex::new(None), ready: Condvar::new() });
    (waiter.clone(), Completer(waiter))
}

/// The moment a timeout is over; `None` when it is too far away to be reached.
pub(crate) fn deadline(timeout: Duration) -> Option<Instant> {
    now().checked_add(timeout)
}

/// A wait that can be ended from outside.
pub(crate) trait Interrupt: Send + Sync {
    /// Has it end with this error, unless it has its value already.
    fn interrupt(&self, error: Error);
}

impl<T: Send> Interrupt for Waiter<Result<T>> {
    fn interrupt(&self, error: Error) {
        self.complete(Err(error));
    }
}

impl<T> Waiter<Result<T>> {
    fn complete(&self, result: Result<T>) {
        let mut value = self.value.lock();
        if value.is_none() {
            *value = Some(result);
            drop(value);
            self.ready.notify_all();
        }
    }

    /// Blocks until the value is there, or until `deadline`: `None` then.
    pub fn wait(&self, deadline: Option<Instant>) -> Option<Result<T>> {
        let mut value = self.value.lock();
        loop {
            if value.is_some() {
                return value.take();
            }
            match deadline {
                None => self.ready.wait(&mut value),
                Some(deadline) => {
                    if self.ready.wait_until(&mut value, deadline).timed_out() {
                        return value.take();
                    }
                }
            }
        }
    }
}

impl<T> Completer<T> {
    /// Gives the value. Only the first one counts.
    pub fn complete(&self, result: Result<T>) {
        self.0.complete(result);
    }
}

impl<T> Drop for Completer<T> {
    fn drop(&mut self) {
        self.complete(Err(Error::new(ErrorKind::ShutDown)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_given_before_or_during_the_wait_arrives() {
        let (waiter, completer) = waiter();
        completer.complete(Ok(1));
        completer.complete(Ok(2));
        assert_eq!(waiter.wait(None), Some(Ok(1)));

        let (waiter, completer) = super::waiter();
        let thread = std::thread::spawn(move || completer.complete(Ok(3)));
        assert_eq!(waiter.wait(None), Some(Ok(3)));
        thread.join().expect("no panic");
    }

    #[test]
    fn a_dropped_completer_wakes_its_waiter() {
        let (waiter, completer) = waiter::<()>();
        drop(completer);
        assert_eq!(
            waiter.wait(None).map(|r| r.map_err(|e| e.kind())),
            Some(Err(ErrorKind::ShutDown))
        );
    }
}
