//! What threads that mark sources and threads that wait for them hand each other, and whether
//! the descriptor says the same in the end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::ready::{Events, Ready, ReadyList, SourceKey, Wake};
use super::{explore, join, kind, spawn};
use crate::error::ErrorKind;
use crate::sync::{AtomicBool, now};

/// A descriptor: turning it on and off takes a moment in which others have their turn.
#[derive(Debug, Clone)]
struct Fd(Arc<AtomicBool>);

impl Wake for Fd {
    fn signal(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn clear(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

type List = Arc<ReadyList<Fd>>;

fn list(sources: u64) -> (List, Fd, Vec<SourceKey>) {
    let fd = Fd(Arc::new(AtomicBool::new(false)));
    let list = Arc::new(ReadyList::new(fd.clone()));
    let sources = (0..sources).map(|key| list.add(key).expect("open")).collect();
    (list, fd, sources)
}

fn mark(list: &List, source: SourceKey) {
    list.mark(source, Events::READABLE);
    list.settle();
}

/// What there is at once, and whether the descriptor said so, now that all others are done.
fn settled(list: &List, fd: &Fd) -> usize {
    let lit = fd.0.load(Ordering::SeqCst);
    let count = list.wait(&mut [Ready::default(); 4], Some(now())).unwrap_or(0);
    assert_eq!(lit, count > 0, "the descriptor and the list differ for good");
    assert!(!fd.0.load(Ordering::SeqCst), "lit, and nothing is left");
    count
}

#[test]
fn marks_of_two_threads_light_the_descriptor() {
    explore(|| {
        let (list, fd, sources) = list(2);
        let threads: Vec<_> = sources
            .into_iter()
            .map(|source| {
                let list = list.clone();
                spawn(move || mark(&list, source))
            })
            .collect();
        threads.into_iter().for_each(join);
        assert_eq!(settled(&list, &fd), 2);
    });
}

#[test]
fn a_mark_while_another_thread_takes_is_neither_lost_nor_doubled() {
    explore(|| {
        let (list, fd, sources) = list(2);
        mark(&list, sources[0]);
        let other = list.clone();
        let marker = spawn(move || mark(&other, sources[1]));
        let first = list.wait(&mut [Ready::default(); 4], Some(now())).unwrap_or(0);
        join(marker);
        assert_eq!(first + settled(&list, &fd), 2);
    });
}

#[test]
fn what_is_taken_back_meanwhile_leaves_the_descriptor_dark() {
    explore(|| {
        let (list, fd, sources) = list(1);
        let (other, source) = (list.clone(), sources[0]);
        let marker = spawn(move || mark(&other, source));
        list.unmark(source, Events::READABLE);
        list.settle();
        let taken = list.wait(&mut [Ready::default(); 1], Some(now())).unwrap_or(0);
        join(marker);
        assert!(taken + settled(&list, &fd) <= 1);
    });
}

#[test]
fn a_source_that_is_released_meanwhile_is_not_left_behind() {
    explore(|| {
        let (list, fd, sources) = list(1);
        let (other, source) = (list.clone(), sources[0]);
        let marker = spawn(move || mark(&other, source));
        list.release(source, Events::READABLE);
        list.settle();
        join(marker);
        assert_eq!(settled(&list, &fd), 0);
    });
}

#[test]
fn each_waiter_gets_one_of_two_events() {
    explore(|| {
        let (list, fd, sources) = list(2);
        let waiter = |list: List| spawn(move || list.wait(&mut [Ready::default()], None).is_ok());
        let waiters = [waiter(list.clone()), waiter(list.clone())];
        sources.iter().for_each(|source| list.mark(*source, Events::READABLE));
        list.settle();
        assert!(waiters.into_iter().all(join));
        assert_eq!(settled(&list, &fd), 0);
    });
}

#[test]
fn a_wait_whose_time_is_over_leaves_its_event_to_others() {
    explore(|| {
        let (list, fd, sources) = list(1);
        let (patient, impatient) = (list.clone(), list.clone());
        let waits = spawn(move || patient.wait(&mut [Ready::default()], None).is_ok());
        let looks = spawn(move || impatient.wait(&mut [Ready::default()], Some(now())).is_ok());
        mark(&list, sources[0]);
        if join(looks) {
            mark(&list, sources[0]);
        }
        assert!(join(waits));
        assert_eq!(settled(&list, &fd), 0);
    });
}

#[test]
fn closing_wakes_who_waits() {
    explore(|| {
        let (list, fd, _) = list(1);
        let other = list.clone();
        let waiter = spawn(move || kind(other.wait(&mut [Ready::default()], None)));
        list.close();
        assert_eq!(join(waiter), Err(ErrorKind::Closed));
        assert!(fd.0.load(Ordering::SeqCst), "who polls has to learn of it");
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_mark_that_is_not_settled_would_be_slept_through() {
    explore(|| {
        let (list, _, sources) = list(1);
        let other = list.clone();
        let waiter = spawn(move || kind(other.wait(&mut [Ready::default()], None)));
        list.mark(sources[0], Events::READABLE);
        let _ = join(waiter);
    });
}
