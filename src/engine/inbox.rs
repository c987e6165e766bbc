//! Bounded commands into a shard, and its waker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded};
use mio::Waker;

use crate::error::{Error, ErrorKind, Result};

/// The sending end: for any thread.
pub(super) struct Inbox<C> {
    sender: Sender<C>,
    signal: Arc<Signal>,
}

impl<C> Clone for Inbox<C> {
    fn clone(&self) -> Self {
        Inbox { sender: self.sender.clone(), signal: self.signal.clone() }
    }
}

/// The receiving end: for the shard.
pub(super) struct Outlet<C> {
    receiver: Receiver<C>,
    signal: Arc<Signal>,
}

struct Signal {
    waker: Waker,
    /// The shard was woken and has not looked yet: nobody else needs to wake it.
    signalled: AtomicBool,
}

/// Both ends of an inbox for `len` commands.
pub(super) fn inbox<C>(len: usize, waker: Waker) -> (Inbox<C>, Outlet<C>) {
    let (sender, receiver) = bounded(len);
    let signal = Arc::new(Signal { waker, signalled: AtomicBool::new(false) });
    (Inbox { sender, signal: signal.clone() }, Outlet { receiver, signal })
}

impl<C> Inbox<C> {
    /// Puts a command in; waits for room until `deadline`.
    pub fn send(&self, command: C, deadline: Option<Instant>) -> Result<()> {
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
        if !self.signal.signalled.swap(true, Ordering::SeqCst) {
            // It fails only when the shard's poll is gone; then there is nobody to wake.
            let _ = self.signal.waker.wake();
        }
    }
}

impl<C> Outlet<C> {
    /// Says that the shard is about to look. To be called before the inbox is drained: the
    /// other way round a command could slip in between, unseen and unsignalled.
    pub fn rearm(&self) {
        self.signal.signalled.store(false, Ordering::SeqCst);
    }

    /// Takes the next command.
    pub fn take(&self) -> Option<C> {
        self.receiver.try_recv().ok()
    }

    /// How many commands wait.
    pub fn len(&self) -> usize {
        self.receiver.len()
    }

    /// Whether a command waits.
    pub fn has_more(&self) -> bool {
        !self.receiver.is_empty()
    }
}
