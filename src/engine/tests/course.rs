//! A console's life over a backend, in virtual time.

use std::time::Duration;

use super::super::wait::{Waiter, waiter};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
/// The longest waits that chance gives.
const LONGEST: u32 = u32::MAX;

fn course(keep: Keep) -> (Course, Instant) {
    (Course::new(keep, Shared::default()), Instant::now())
}

fn connect(course: &mut Course, token: u64) -> std::sync::Arc<Waiter<Result<()>>> {
    let (wait, done) = waiter();
    course.connect(token, done);
    wait
}

fn lost() -> Error {
    Error::new(ErrorKind::Lost)
}

/// What it tells, in short; completes what is waited for.
fn told(course: &mut Course) -> Vec<&'static str> {
    let mut all = Vec::new();
    while let Some(tell) = course.next_tell() {
        all.push(match tell {
            Tell::Connecting => "connecting",
            Tell::Connected => "connected",
            Tell::Over { .. } => "over",
            Tell::Unconnected { next_try: Some(_), .. } => "retry",
            Tell::Unconnected { .. } => "unconnected",
            Tell::Done(done, result) => {
                done.complete(result);
                "done"
            }
        });
    }
    all
}

fn kind(wait: &Waiter<Result<()>>) -> Option<ErrorKind> {
    let result = wait.wait(Some(Instant::now())).expect("told");
    result.err().map(|error| error.kind())
}

/// Takes the steps of a failed attempt, and gives the number of the next start.
fn start_again(course: &mut Course) -> u64 {
    assert_eq!(course.next_step(), Step::Stop);
    course.stopped();
    match course.next_step() {
        Step::Start(start) => start,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failed_attempt_is_one_error_and_never_connected() {
    let (mut course, now) = course(Keep::OnRequest);
    let wait = connect(&mut course, 1);
    assert_eq!(course.next_step(), Step::Start(1));
    course.on_ended(now, 1, &lost(), 0);
    course.on_ended(now, 1, &lost(), 0);
    course.on_connected(now, 1);
    assert_eq!(told(&mut course), ["connecting", "unconnected", "done"]);
    assert_eq!(kind(&wait), Some(ErrorKind::Lost));
    assert_eq!((course.next_step(), course.deadline()), (Step::Stop, None));
    course.stopped();
    assert_eq!(course.next_step(), Step::Nothing);
}

#[test]
fn waits_grow_and_a_long_life_is_rewarded() {
    let (mut course, mut now) = course(Keep::Always);
    course.open();
    assert_eq!(course.next_step(), Step::Start(1));
    let mut waits = Vec::new();
    for start in 1..=10 {
        course.on_connected(now, start);
        course.on_ended(now, start, &lost(), LONGEST);
        waits.push(course.deadline().map_or(0, |at| (at - now).as_secs()));
        now = course.deadline().unwrap_or(now);
        course.on_time(now);
        assert_eq!(start_again(&mut course), start + 1);
    }
    assert_eq!(waits, [0, 2, 4, 8, 16, 32, 64, 120, 120, 120]);
    course.on_connected(now, 11);
    course.on_ended(now + 61 * SECOND, 11, &lost(), LONGEST);
    assert_eq!(course.deadline(), None, "at once");
    assert_eq!(start_again(&mut course), 12);
}

#[test]
fn who_gives_up_ends_an_attempt_that_nobody_else_wants() {
    let (mut course, now) = course(Keep::OnRequest);
    let (first, second) = (connect(&mut course, 1), connect(&mut course, 2));
    assert_eq!(course.next_step(), Step::Start(1));
    course.give_up(1);
    assert_eq!(told(&mut course), ["connecting", "done"]);
    assert_eq!((kind(&first), course.next_step()), (Some(ErrorKind::TimedOut), Step::Nothing));
    course.give_up(2);
    assert_eq!(told(&mut course), ["unconnected", "done"]);
    assert_eq!(kind(&second), Some(ErrorKind::TimedOut));
    assert!(!course.is_live(1));
    course.on_connected(now, 1);
    assert_eq!((told(&mut course).len(), course.next_step()), (0, Step::Stop));
}

#[test]
fn an_attach_does_not_wait_for_the_schedule_and_the_last_one_lingers() {
    let (mut course, now) = course(Keep::WhileAttached(10 * SECOND));
    course.open();
    assert!(!course.has_step());
    course.attach(now, true);
    assert_eq!(course.next_step(), Step::Start(1));
    course.on_ended(now, 1, &Error::new(ErrorKind::Password), 0);
    assert_eq!(course.deadline(), Some(now + 60 * SECOND));
    course.attach(now, true);
    assert_eq!(start_again(&mut course), 2);
    course.on_connected(now, 2);
    course.attach(now, false);
    course.on_time(now + 9 * SECOND);
    assert!(course.is_connected());
    course.attach(now + 9 * SECOND, true);
    course.on_time(now + 30 * SECOND);
    assert!(course.is_connected());
    course.attach(now + 30 * SECOND, false);
    course.on_time(now + 40 * SECOND);
    assert_eq!((course.is_connected(), course.next_step()), (false, Step::Stop));
    assert_eq!(told(&mut course).last(), Some(&"unconnected"));
}

#[test]
fn a_restart_is_one_start_whenever_it_comes() {
    let (mut course, now) = course(Keep::OnRequest);
    course.restart(now);
    assert!(!course.has_step(), "nothing is wanted");
    let wait = connect(&mut course, 1);
    course.restart(now);
    assert_eq!(course.next_step(), Step::Start(1), "it was not begun");
    course.restart(now);
    course.restart(now);
    assert!(!course.is_live(1));
    course.on_connected(now, 1);
    assert_eq!(start_again(&mut course), 2);
    course.on_connected(now, 2);
    assert_eq!(told(&mut course), ["connecting", "over", "connected", "done"]);
    assert_eq!(kind(&wait), None);
    course.restart(now);
    assert_eq!(told(&mut course), ["retry", "connecting"]);
    assert_eq!(start_again(&mut course), 3);
}

#[test]
fn a_console_that_is_kept_no_more_is_not_tried_any_more() {
    let (mut course, now) = course(Keep::Always);
    course.open();
    assert_eq!(course.next_step(), Step::Start(1));
    course.on_ended(now, 1, &Error::new(ErrorKind::Password), 0);
    assert!(course.deadline().is_some());
    course.reconfigure(now, Keep::OnRequest, &Shared::default());
    assert_eq!(course.deadline(), None);
    assert_eq!(told(&mut course), ["connecting", "retry", "unconnected"]);
    course.reconfigure(now, Keep::Always, &Shared::default());
    assert_eq!(start_again(&mut course), 2);
}

#[test]
fn a_closed_one_stops_once_and_ends() {
    let (mut course, now) = course(Keep::Always);
    course.open();
    let wait = connect(&mut course, 1);
    assert_eq!(course.next_step(), Step::Start(1));
    let (closed, done) = waiter();
    course.close(Some(done));
    assert_eq!(told(&mut course), ["connecting", "unconnected", "done"]);
    assert_eq!(kind(&wait), Some(ErrorKind::Closed));
    course.on_connected(now, 1);
    course.attach(now, true);
    course.restart(now);
    assert_eq!(course.next_step(), Step::Stop);
    course.stopped();
    assert_eq!((course.next_step(), course.next_step()), (Step::End, Step::Nothing));
    assert_eq!((told(&mut course), course.has_step()), (vec!["done"], false));
    assert_eq!(kind(&closed), None);
    let again = connect(&mut course, 2);
    told(&mut course);
    assert_eq!(kind(&again), Some(ErrorKind::Closed));
}

#[test]
fn what_lingers_for_ever_is_kept() {
    let (mut course, now) = course(Keep::WhileAttached(Duration::MAX));
    course.open();
    assert!(!course.has_step(), "nobody came");
    course.attach(now, true);
    assert_eq!(course.next_step(), Step::Start(1));
    course.on_connected(now, 1);
    course.attach(now, false);
    assert_eq!(course.deadline(), None);
    course.on_ended(now, 1, &lost(), LONGEST);
    assert_eq!(course.deadline(), None, "at once");
    assert_eq!(start_again(&mut course), 2);
    course.on_ended(now, 2, &lost(), LONGEST);
    assert!(course.deadline().is_some(), "it is tried again");
}

#[test]
fn a_connect_that_outlasts_the_linger_is_answered_and_then_nobody_is_there() {
    let (mut course, now) = course(Keep::WhileAttached(SECOND));
    course.attach(now, true);
    let wait = connect(&mut course, 1);
    assert_eq!(course.next_step(), Step::Start(1));
    course.attach(now, false);
    course.on_time(now + SECOND);
    course.on_connected(now + SECOND, 1);
    told(&mut course);
    assert_eq!(kind(&wait), None);
    let at = course.deadline().expect("it is looked at again");
    course.on_time(at);
    assert_eq!((told(&mut course), course.next_step()), (vec!["unconnected"], Step::Stop));
    assert_eq!(course.deadline(), None);
}

#[test]
fn one_that_is_kept_on_demand_from_now_on_goes_to_sleep() {
    let on_demand = Keep::WhileAttached(10 * SECOND);
    for connected in [true, false] {
        let (mut course, now) = course(Keep::Always);
        course.open();
        assert_eq!(course.next_step(), Step::Start(1));
        if connected {
            course.on_connected(now, 1);
        } else {
            course.on_ended(now, 1, &Error::new(ErrorKind::Password), 0);
        }
        course.reconfigure(now, on_demand, &Shared::default());
        course.on_time(now + 9 * SECOND);
        told(&mut course);
        course.on_time(now + 10 * SECOND);
        assert_eq!(told(&mut course), ["unconnected"], "{connected}");
        assert_eq!(course.deadline(), None);
    }
}

#[test]
fn a_closed_one_stays_closed_when_its_readers_leave() {
    let (mut course, now) = course(Keep::WhileAttached(SECOND));
    course.attach(now, true);
    course.close(None);
    assert_eq!(course.next_step(), Step::End);
    course.attach(now, false);
    course.reconfigure(now, Keep::Always, &Shared::default());
    course.reconfigure(now, Keep::WhileAttached(SECOND), &Shared::default());
    told(&mut course);
    assert_eq!(course.deadline(), None);
    course.on_time(now + 10 * SECOND);
    let late = connect(&mut course, 1);
    assert_eq!((told(&mut course), kind(&late)), (vec!["done"], Some(ErrorKind::Closed)));
}

#[test]
fn a_retry_that_is_never_waits_for_somebody() {
    let never = RetryConfig {
        first: Duration::MAX,
        max: Duration::MAX,
        credentials: Duration::MAX,
        refused: Duration::MAX,
        stolen: Duration::MAX,
        stable: Duration::MAX,
    };
    let never = Shared::from(never);
    let now = Instant::now();
    for kind in ErrorKind::ALL {
        let mut course = Course::new(Keep::Always, never.clone());
        course.open();
        assert_eq!(course.next_step(), Step::Start(1));
        course.on_ended(now, 1, &Error::new(kind), LONGEST);
        assert_eq!((told(&mut course).pop(), course.deadline()), (Some("unconnected"), None));
        course.restart(now);
        assert_eq!(start_again(&mut course), 2, "{kind:?}");
    }
}
