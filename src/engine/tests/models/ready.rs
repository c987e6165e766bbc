//! What event queues and descriptors are told, and who waits for it.

use std::sync::Arc;

use super::super::ready::{Events, Ready, ReadyList, SourceKey, Wake};
use super::{explore, join, kind, soon, spawn};
use crate::error::ErrorKind;
use crate::sync::{Mutex, now};

/// A descriptor: whether it is readable, and how often it was made so.
#[derive(Clone)]
struct Fd(Arc<Mutex<(bool, usize)>>);

impl Fd {
    fn new() -> Self {
        Fd(Arc::new(Mutex::new((false, 0))))
    }

    fn is_on(&self) -> bool {
        self.0.lock().0
    }

    fn signals(&self) -> usize {
        self.0.lock().1
    }
}

impl Wake for Fd {
    fn signal(&self) {
        let mut fd = self.0.lock();
        assert!(!fd.0, "turned on twice");
        *fd = (true, fd.1 + 1);
    }

    fn clear(&self) {
        let mut fd = self.0.lock();
        assert!(fd.0, "turned off twice");
        fd.0 = false;
    }
}

type List = Arc<ReadyList<Fd>>;

fn list() -> (List, Fd) {
    let fd = Fd::new();
    (Arc::new(ReadyList::new(fd.clone())), fd)
}

fn mark(list: &List, source: SourceKey) {
    list.mark(source, Events::READABLE);
    list.settle();
}

/// Takes what is there, at most `room`; waits for it unless `polls`.
fn take(list: &List, room: usize, polls: bool) -> Result<Vec<u64>, ErrorKind> {
    let mut out = vec![Ready::default(); room];
    let count = kind(list.wait(&mut out, polls.then(now)))?;
    assert!(out[..count].iter().all(|ready| !ready.events.is_empty()), "a report of nothing");
    Ok(out[..count].iter().map(|ready| ready.key).collect())
}

/// What is left, in order, when every thread is still; and that the descriptor says so.
fn left(list: &List, fd: &Fd) -> Vec<u64> {
    let was_on = fd.is_on();
    let left = take(list, 8, true).unwrap_or_default();
    assert_eq!(was_on, !left.is_empty(), "a descriptor that lies");
    assert!(!fd.is_on(), "it stays on");
    left
}

#[test]
fn a_mark_wakes_who_waits_and_leaves_the_descriptor_off() {
    explore(|| {
        let (list, fd) = list();
        let source = list.add(1).unwrap();
        let its = list.clone();
        let marker = spawn(move || mark(&its, source));
        assert_eq!(take(&list, 8, false), Ok(vec![1]));
        join(marker);
        assert_eq!(left(&list, &fd).len(), 0);
        assert!(fd.signals() <= 1);
    });
}

#[test]
fn two_marks_are_one_event_or_two_and_never_none() {
    explore(|| {
        let (list, fd) = list();
        let source = list.add(1).unwrap();
        let its = list.clone();
        let marker = spawn(move || {
            mark(&its, source);
            mark(&its, source);
        });
        assert_eq!(take(&list, 8, false), Ok(vec![1]));
        join(marker);
        let left = left(&list, &fd);
        assert!(left.len() <= 1);
        // It became non-empty as often as it was taken.
        assert!(fd.signals() <= 1 + left.len());
    });
}

#[test]
fn two_markers_lose_no_event_and_no_order() {
    explore(|| {
        let (list, fd) = list();
        let sources = [list.add(1).unwrap(), list.add(2).unwrap()];
        let markers = sources.map(|source| {
            let list = list.clone();
            spawn(move || mark(&list, source))
        });
        let mut taken = take(&list, 1, false).expect("open");
        markers.into_iter().for_each(join);
        taken.extend(left(&list, &fd));
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
        assert!(fd.signals() <= 2);
    });
}

/// With nobody who takes, it becomes non-empty once.
#[test]
fn becoming_non_empty_is_signalled_once() {
    explore(|| {
        let (list, fd) = list();
        let sources = [list.add(1).unwrap(), list.add(2).unwrap()];
        let markers = sources.map(|source| {
            let list = list.clone();
            spawn(move || mark(&list, source))
        });
        markers.into_iter().for_each(join);
        assert_eq!(fd.signals(), 1);
        assert_eq!(left(&list, &fd).len(), 2);
    });
}

#[test]
fn of_two_who_wait_each_gets_one_of_two_events() {
    explore(|| {
        let (list, fd) = list();
        let sources = [list.add(1).unwrap(), list.add(2).unwrap()];
        let takers = [(); 2].map(|()| {
            let list = list.clone();
            spawn(move || take(&list, 1, false).expect("open"))
        });
        // At once: whoever is woken first passes it on.
        sources.iter().for_each(|source| list.mark(*source, Events::READABLE));
        list.settle();
        let mut taken = takers.map(join).concat();
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
        assert_eq!(left(&list, &fd).len(), 0);
    });
}

/// A wake that meets a thread whose time ends must not be one that another one needed.
#[test]
fn a_wait_whose_time_ends_takes_nobodys_wake() {
    explore(|| {
        let (list, fd) = list();
        let sources = [list.add(1).unwrap(), list.add(2).unwrap()];
        let (its, other) = (list.clone(), list.clone());
        let impatient = spawn(move || {
            let mut out = [Ready::default()];
            kind(its.wait(&mut out, Some(soon()))).map(|_| out[0].key)
        });
        let patient = spawn(move || take(&other, 1, false).expect("open"));
        mark(&list, sources[0]);
        mark(&list, sources[1]);
        let mut taken = join(patient);
        match join(impatient) {
            Ok(key) => taken.push(key),
            Err(error) => assert_eq!(error, ErrorKind::TimedOut),
        }
        taken.extend(left(&list, &fd));
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
    });
}

#[test]
fn what_is_taken_back_as_it_is_taken_leaves_the_descriptor_right() {
    explore(|| {
        let (list, fd) = list();
        let source = list.add(1).unwrap();
        mark(&list, source);
        let (its, other) = (list.clone(), list.clone());
        let unmarker = spawn(move || {
            its.unmark(source, Events::READABLE);
            its.settle();
        });
        let marker = spawn(move || mark(&other, source));
        let taken = take(&list, 8, true);
        join(unmarker);
        join(marker);
        let left = left(&list, &fd);
        assert!(matches!(taken.as_deref(), Ok([1]) | Err(ErrorKind::TimedOut)), "{taken:?}");
        assert!(left.len() <= 1);
    });
}

#[test]
fn a_released_source_is_gone_whoever_marks_it() {
    explore(|| {
        let (list, fd) = list();
        let source = list.add(1).unwrap();
        let its = list.clone();
        let marker = spawn(move || {
            its.mark(source, Events::READABLE | Events::STATE);
            its.settle();
        });
        list.release(source, Events::READABLE);
        list.settle();
        join(marker);
        assert_eq!(left(&list, &fd).len(), 0);
    });
}

#[test]
fn a_close_ends_every_wait_and_leaves_the_descriptor_on() {
    explore(|| {
        let (list, fd) = list();
        let source = list.add(1).unwrap();
        let takers = [(); 2].map(|()| {
            let list = list.clone();
            spawn(move || take(&list, 1, false))
        });
        let its = list.clone();
        let marker = spawn(move || mark(&its, source));
        list.close();
        for taken in takers.map(join) {
            assert!(matches!(taken.as_deref(), Ok([1]) | Err(ErrorKind::Closed)), "{taken:?}");
        }
        join(marker);
        assert!(fd.is_on());
    });
}

#[test]
fn a_mark_while_another_thread_takes_is_neither_lost_nor_doubled() {
    explore(|| {
        let (list, fd) = list();
        let sources = [list.add(1).unwrap(), list.add(2).unwrap()];
        mark(&list, sources[0]);
        let other = list.clone();
        let marker = spawn(move || mark(&other, sources[1]));
        let mut taken = take(&list, 8, true).expect("open");
        join(marker);
        taken.extend(left(&list, &fd));
        assert_eq!(taken, [1, 2]);
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_mark_that_is_not_settled_would_be_slept_through() {
    explore(|| {
        let (list, _) = list();
        let source = list.add(1).unwrap();
        let other = list.clone();
        let waiter = spawn(move || take(&other, 1, false));
        list.mark(source, Events::READABLE);
        let _ = join(waiter);
    });
}
