//! Settings that thousands hold and few change: one copy for all who have the same.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A value that is shared by its clones until one of them is changed.
///
/// It is used like the value itself: its fields can be read and set, and setting one leaves the
/// other clones as they are. What was never changed takes the memory of a pointer.
#[derive(Clone, PartialEq, Eq)]
pub struct Shared<T>(Arc<T>);

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Shared(Arc::new(value))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Timing;

    #[test]
    fn a_change_is_nobody_elses() {
        let untouched = Shared::<Timing>::default();
        let mut mine = untouched.clone();
        assert!(
            std::ptr::eq(&*untouched, &*mine) && std::ptr::eq(&*untouched, &*Shared::default())
        );
        mine.login_attempts += 1;
        assert_ne!(mine, untouched);
        assert_eq!(*untouched, Timing::default());
    }
}
