//! One thread that waits for one value.

use std::sync::Arc;

use super::super::wait::waiter;
use super::{explore, join, kind, soon, spawn};
use crate::error::ErrorKind;

#[test]
fn a_value_ends_the_wait_whenever_it_comes() {
    explore(|| {
        let (wait, done) = waiter();
        let giver = spawn(move || done.complete(Ok(1)));
        assert_eq!(wait.wait(None), Some(Ok(1)));
        join(giver);
    });
}

#[test]
fn a_dropped_completer_ends_the_wait() {
    explore(|| {
        let (wait, done) = waiter::<()>();
        let giver = spawn(move || drop(done));
        assert_eq!(wait.wait(None).map(kind), Some(Err(ErrorKind::ShutDown)));
        join(giver);
    });
}

#[test]
fn of_two_values_the_waiter_gets_one() {
    explore(|| {
        let (wait, done) = waiter();
        let done = Arc::new(done);
        let other = done.clone();
        let givers = [spawn(move || done.complete(Ok(1))), spawn(move || other.complete(Ok(2)))];
        let first = wait.wait(None);
        assert!(matches!(first, Some(Ok(1 | 2))), "{first:?}");
        givers.into_iter().for_each(join);
    });
}

/// The one who waits either has the value or knows that it has not, and then finds it later.
#[test]
fn a_value_that_comes_as_the_time_ends_is_not_lost() {
    explore(|| {
        let (wait, done) = waiter();
        let giver = spawn(move || done.complete(Ok(1)));
        let in_time = wait.wait(Some(soon()));
        assert!(matches!(in_time, None | Some(Ok(1))), "{in_time:?}");
        if in_time.is_none() {
            assert_eq!(wait.wait(None), Some(Ok(1)));
        }
        join(giver);
    });
}

#[test]
fn a_wait_whose_time_is_over_ends_without_a_value() {
    explore(|| {
        let (wait, done) = waiter::<()>();
        assert_eq!(wait.wait(Some(soon())), None);
        done.complete(Ok(()));
    });
}
