//! Being called when something happens at a console.

use std::fmt;
use std::sync::Arc;

use super::{Console, Reader};
use crate::engine::{Callback, ConsoleEvent, Subscriber, Watch};
use crate::error::Result;

impl Console {
    /// Has `callback` called with everything that happens at this console: what is kept of the
    /// past first, as for a [`reader`](Console::reader), then what comes, until the
    /// [`Subscription`] is dropped.
    ///
    /// Calls come in order and one at a time, on threads of the engine that do nothing else, with
    /// no lock held. A callback may take its time and call anything, also [`connect`], [`close`]
    /// and what else blocks; it may drop the console, the engine, and its own subscription. It
    /// holds up nothing but itself: what is overwritten meanwhile is reported as
    /// [`EventKind::Lost`](crate::EventKind::Lost). As many callbacks can block at once as
    /// [`dispatchers_max`] allows before others have to wait. When it panics, that is logged and
    /// the subscription is ended. Data comes in pieces of at most 16 KiB.
    ///
    /// A callback that owns a handle of the console keeps it open until it is unsubscribed.
    ///
    /// Fails with `ShutDown` when the engine is gone, with `Io` when the system gives no thread.
    /// Does not block.
    ///
    /// [`connect`]: Console::connect
    /// [`close`]: Console::close
    /// [`dispatchers_max`]: crate::EngineConfig::dispatchers_max
    pub fn on_event(
        &self,
        callback: impl FnMut(ConsoleEvent<'_>) + Send + 'static,
    ) -> Result<Subscription> {
        self.reader().on_event(callback)
    }
}

impl Reader {
    /// Has `callback` called as [`Console::on_event`] does, with what comes from this reader's
    /// place on.
    pub fn on_event(
        self,
        callback: impl FnMut(ConsoleEvent<'_>) + Send + 'static,
    ) -> Result<Subscription> {
        let inner = &self.console.inner;
        let callback: Callback = Box::new(callback);
        let (console, dispatcher) = (inner.shared.clone(), inner.carrier.dispatcher().clone());
        let subscriber = Subscriber::new(console, dispatcher, self.cursor, callback)?;
        let watch = Watch::of_subscriber(subscriber.clone());
        let subscription = Subscription { subscriber, watch };
        inner.shared.watch(&subscription.watch, None, |_| false)?;
        subscription.subscriber.wake();
        subscription.subscriber.settle();
        Ok(subscription)
    }
}

/// A callback of a console; ended when this is dropped.
///
/// Dropping it blocks while the callback runs in another thread. When it is done, the callback is
/// dropped and runs no more. Dropped from within the callback, the call that is under way is the
/// last one. Do not drop it with a lock held that the callback takes; two callbacks that end each
/// other do not wait for each other.
#[must_use = "the callback is ended when this is dropped"]
pub struct Subscription {
    subscriber: Arc<Subscriber>,
    watch: Arc<Watch>,
}

impl Subscription {
    /// Whether the callback runs no more, because it panicked.
    pub fn has_ended(&self) -> bool {
        self.subscriber.has_ended()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.subscriber.console().unwatch(&self.watch, None);
        self.subscriber.end();
        self.subscriber.leave();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("has_ended", &self.has_ended()).finish_non_exhaustive()
    }
}
