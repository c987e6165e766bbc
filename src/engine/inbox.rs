//! Bounded commands into a shard, and its waker.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam_channel::SendTimeoutError;

use crate::error::{Error, ErrorKind, Result};
use crate::sync::{AtomicBool, Receiver, Sender, bounded};

/// What ends a shard's sleep, now or the next one when it is awake. A `mio::Waker` outside of
/// models.
pub(super) trait Wake: Send + Sync {
    /// Wakes the shard, if there still is one.
    fn wake(&self);
}

impl Wake for mio::Waker {
    fn wake(&self) {
        // It fails only when the shard's poll is gone; then there is nobody to wake.
        let _ = mio::Waker::wake(self);
    }
}

/// The sending end: for any thread.
pub(super) struct Inbox<C> {
    sender: Sender<C>,
    shared: Arc<Shared<C>>,
}

impl<C> Clone for Inbox<C> {
    fn clone(&self) -> Self {
        Inbox { sender: self.sender.clone(), shared: self.shared.clone() }
    }
}

/// The receiving end: for the shard. Dropped, it drops every command that was not taken, and
/// every later one.
pub(super) struct Outlet<C> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    receiver: Receiver<C>,
    waker: Box<dyn Wake>,
    /// The shard was woken and has not looked yet: nobody else needs to wake it.
    signalled: AtomicBool,
    /// The shard is gone: nobody will look again.
    closed: AtomicBool,
}

/// Both ends of an inbox for `len` commands.
pub(super) fn inbox<C>(len: usize, waker: impl Wake + 'static) -> (Inbox<C>, Outlet<C>) {
    let (sender, receiver) = bounded(len);
    let shared = Arc::new(Shared {
        receiver,
        waker: Box::new(waker),
        signalled: AtomicBool::new(false),
        closed: AtomicBool::new(false),
    });
    (Inbox { sender, shared: shared.clone() }, Outlet { shared })
}

impl<C> Inbox<C> {
    /// Puts a command in; waits for room until `deadline`.
    pub fn send(&self, command: C, deadline: Option<Instant>) -> Result<()> {
        if self.shared.closed.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::ShutDown));
        }
        let sent = match deadline {
            None => {
                self.sender.send(command).map_err(|error| SendTimeoutError::Disconnected(error.0))
            }
            Some(deadline) => self.sender.send_deadline(command, deadline),
        };
        match sent {
            Ok(()) => {
                self.wake();
                Ok(())
            }
            Err(SendTimeoutError::Timeout(_)) => {
                Err(Error::with_text(ErrorKind::Busy, "too many calls wait for the engine"))
            }
            Err(SendTimeoutError::Disconnected(_)) => Err(Error::new(ErrorKind::ShutDown)),
        }
    }

    /// Has the shard take a turn.
    pub fn wake(&self) {
        if !self.shared.signalled.swap(true, Ordering::SeqCst) {
            self.shared.waker.wake();
        }
        // The shard may have gone before it could see the command. Who waits for an answer to
        // it hears of that when it is dropped.
        if self.shared.closed.load(Ordering::SeqCst) {
            self.shared.drop_commands();
        }
    }
}

impl<C> Outlet<C> {
    /// Says that the shard is about to look. To be called before the inbox is drained: the
    /// other way round a command could slip in between, unseen and unsignalled.
    pub fn rearm(&self) {
        // A swap, not a store: whoever found the flag set has put its command in by now, and
        // this thread sees it.
        self.shared.signalled.swap(false, Ordering::SeqCst);
    }

    /// Takes the next command.
    pub fn take(&self) -> Option<C> {
        self.shared.receiver.try_recv().ok()
    }

    /// How many commands wait.
    pub fn len(&self) -> usize {
        self.shared.receiver.len()
    }

    /// Whether a command waits.
    pub fn has_more(&self) -> bool {
        !self.shared.receiver.is_empty()
    }
}

impl<C> Drop for Outlet<C> {
    fn drop(&mut self) {
        // In this order: a command that comes too late for the second line comes late enough
        // for its sender to see the first. Left to itself, the channel would keep what is in
        // it for as long as there are senders, and every thread that waits is one.
        self.shared.closed.store(true, Ordering::SeqCst);
        self.shared.drop_commands();
    }
}

impl<C> Shared<C> {
    fn drop_commands(&self) {
        while self.receiver.try_recv().is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::wait::{deadline, waiter};
    use super::*;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(&self) {}
    }

    #[test]
    fn a_command_nobody_takes_is_dropped_with_the_shard() {
        let (inbox, outlet) = inbox(4, Nobody);
        let (wait, done) = waiter::<()>();
        inbox.send(done, None).expect("room");
        drop(outlet);
        let result = wait.wait(deadline(Duration::from_secs(5)));
        assert_eq!(result.map(|r| r.map_err(|e| e.kind())), Some(Err(ErrorKind::ShutDown)));
    }
}
