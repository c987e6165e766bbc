//! A run: the thread that drives the dialogs, and the end where their results come out.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::{Fleet, Row};
use crate::bmc::EventQueue;
use crate::command::{Dialog, Driver, Turn};
use crate::engine::{Bell, Question, ReplyTo, TaskReply, deadline, with_grace};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Reply, Request};

type Function<T> = Box<dyn Fn(Dialog) -> Running<T> + Send>;
type Running<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;
type Answers = (Sender<(Question, Result<Reply>)>, Receiver<(Question, Result<Reply>)>);

/// What is sent in place of an answer when the run is cancelled.
const CANCEL: Question = Question { dialog: usize::MAX, number: 0 };

/// The results of a run, as they come: an iterator that blocks for the next one.
///
/// Each BMC gives exactly one row, to one of the threads that ask. Dropping it cancels what is not
/// done, and waits for the thread.
pub struct FleetRun<T> {
    rows: Receiver<Row<T>>,
    left: AtomicUsize,
    answers: Sender<(Question, Result<Reply>)>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the run's thread tells besides its rows.
#[derive(Default)]
struct Shared {
    bell: Bell,
    /// One of the constants below.
    state: AtomicU8,
}

const RUNNING: u8 = 0;
const COMPLETE: u8 = 1;
/// The thread panicked.
const BROKEN: u8 = 2;

impl Shared {
    fn is_over(&self) -> bool {
        self.state.load(Ordering::Acquire) != RUNNING
    }
}

impl<T: Send + 'static> FleetRun<T> {
    pub(super) fn start(fleet: &Fleet, function: Function<T>) -> Result<Self> {
        let (sender, rows) = unbounded();
        let answers = unbounded();
        let shared = Arc::new(Shared::default());
        let end = RunEnd { rows: sender, all: rows.clone(), shared: shared.clone(), over: BROKEN };
        let to_runner = answers.0.clone();
        let runner = Runner::new(fleet.clone(), function, answers, end);
        let thread = thread::Builder::new().name("bmclink-fleet".to_owned());
        let thread = thread.spawn(move || runner.run());
        let thread = thread.map_err(|error| Error::io("cannot start a thread", &error))?;
        let left = AtomicUsize::new(fleet.bmcs.len());
        Ok(FleetRun { rows, left, answers: to_runner, shared, thread: Some(thread) })
    }
}

impl<T> FleetRun<T> {
    /// How many BMCs have not given their row to a caller yet.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// The next row; blocks until `timeout` for it, then `TimedOut`. `None` when all have come.
    pub fn next_within(&self, timeout: Duration) -> Result<Option<Row<T>>> {
        let row = match deadline(timeout) {
            Some(until) => self.rows.recv_deadline(until),
            None => self.rows.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match row {
            Ok(row) => {
                self.left.fetch_sub(1, Ordering::Relaxed);
                self.shared.bell.tell(self.is_ready());
                Ok(Some(row))
            }
            // Said to be over a moment before the other end of the rows goes.
            Err(RecvTimeoutError::Timeout) if !self.shared.is_over() => {
                Err(Error::new(ErrorKind::TimedOut))
            }
            Err(_) if !self.rows.is_empty() => self.next_within(timeout),
            Err(_) => {
                let complete = self.shared.state.load(Ordering::Acquire) == COMPLETE;
                if complete { Ok(None) } else { Err(Error::new(ErrorKind::Internal)) }
            }
        }
    }

    /// Ends what is not done: its rows say `Cancelled` and come at once. Does not block.
    pub fn cancel(&self) {
        (self.canceller())();
    }

    /// What cancels it, also when the run itself is elsewhere.
    pub(super) fn canceller(&self) -> impl Fn() + Send + Sync + use<T> {
        let answers = self.answers.clone();
        move || {
            // When the thread has ended, all is done.
            let _ = answers.send((CANCEL, Err(Error::new(ErrorKind::Cancelled))));
        }
    }

    /// A descriptor that is readable while [`next_within`](Self::next_within) would not block,
    /// for `poll` and event loops; it is not to be read from. An
    /// [`EventQueue`](crate::EventQueue) takes a run as well.
    pub fn fd(&self) -> Result<BorrowedFd<'_>> {
        Ok(self.shared.bell.fd(self.is_ready())?.as_fd())
    }

    /// Whether the next row is there, or none comes any more.
    fn is_ready(&self) -> impl Fn() -> bool {
        || !self.rows.is_empty() || self.shared.is_over()
    }
}

impl EventQueue {
    /// Adds a run: [`Events::READABLE`](crate::Events::READABLE) with this key while a row of it
    /// is to be had that was not reported yet, or none comes any more.
    ///
    /// Fails with `Misuse` when it is in this queue already, with `Closed` when the queue is
    /// closed. Does not block. A run that is dropped leaves its queues by itself.
    pub fn add_run<T>(&self, run: &FleetRun<T>, key: u64) -> Result<()> {
        run.shared.bell.add(self.list(), key, run.is_ready())
    }

    /// Takes a run out. Fails with `Misuse` when it is not in this queue.
    pub fn remove_run<T>(&self, run: &FleetRun<T>) -> Result<()> {
        match run.shared.bell.remove(self.list()) {
            true => Ok(()),
            false => Err(Error::misuse("it is not in this queue")),
        }
    }
}

impl<T> Iterator for FleetRun<T> {
    type Item = Row<T>;

    fn next(&mut self) -> Option<Row<T>> {
        self.next_within(crate::FOREVER).ok().flatten()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left()))
    }
}

impl<T> Drop for FleetRun<T> {
    fn drop(&mut self) {
        self.cancel();
        if let Some(thread) = self.thread.take() {
            // What panicked in it was told by the missing rows.
            let _ = thread.join();
        }
    }
}

impl<T> fmt::Debug for FleetRun<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetRun").field("left", &self.left()).finish_non_exhaustive()
    }
}

/// Where the thread puts the rows.
struct RunEnd<T> {
    rows: Sender<Row<T>>,
    /// To see whether there are any.
    all: Receiver<Row<T>>,
    shared: Arc<Shared>,
    /// The state to leave behind.
    over: u8,
}

impl<T> RunEnd<T> {
    fn push(&self, row: Row<T>) {
        // When nobody wants rows any more, the run is about to be cancelled.
        let _ = self.rows.send(row);
        self.tell();
    }

    fn tell(&self) {
        self.shared.bell.tell(|| !self.all.is_empty() || self.shared.is_over());
    }
}

impl<T> Drop for RunEnd<T> {
    fn drop(&mut self) {
        self.shared.state.store(self.over, Ordering::Release);
        self.tell();
    }
}

/// One dialog under way.
struct Talk<T> {
    driver: Driver,
    running: Running<T>,
    began: Instant,
    /// How many questions it has asked.
    questions: u32,
    /// The request that is not answered.
    token: Option<u64>,
    /// When it goes on without an answer.
    wakes: Option<Instant>,
}

/// The thread.
struct Runner<T> {
    fleet: Fleet,
    function: Function<T>,
    answers: Answers,
    end: RunEnd<T>,
    until: Option<Instant>,
    talks: Vec<Option<Talk<T>>>,
    /// How many have been begun, and are under way.
    begun: usize,
    running: usize,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl<T: Send + 'static> Runner<T> {
    fn new(fleet: Fleet, function: Function<T>, answers: Answers, end: RunEnd<T>) -> Self {
        let until = deadline(fleet.deadline);
        let talks = fleet.bmcs.iter().map(|_| None).collect();
        let timers = BinaryHeap::new();
        Runner { fleet, function, answers, end, until, talks, begun: 0, running: 0, timers }
    }

    fn run(mut self) {
        loop {
            self.begin_more();
            if self.running == 0 {
                self.end.over = COMPLETE;
                return;
            }
            match self.next_answer() {
                Some((CANCEL, _)) => return self.cancel_all(),
                Some((question, result)) => self.on_answer(question, result),
                None => self.on_time(Instant::now()),
            }
        }
    }

    fn next_answer(&self) -> Option<(Question, Result<Reply>)> {
        match self.timers.peek() {
            Some(Reverse((at, _))) => self.answers.1.recv_deadline(*at).ok(),
            None => self.answers.1.recv().ok(),
        }
    }

    fn begin_more(&mut self) {
        while self.begun < self.talks.len() && self.running < self.fleet.at_once {
            let (index, now) = (self.begun, Instant::now());
            self.begun += 1;
            if self.until.is_some_and(|until| now >= until) {
                let text = "not begun: the time of the fleet is over";
                let result = Err(Error::with_text(ErrorKind::TimedOut, text));
                self.end.push(Row { index, result, elapsed: Duration::ZERO });
                continue;
            }
            let own = now.checked_add(self.fleet.timeout);
            let until = own.into_iter().chain(self.until).min();
            let (dialog, driver) = Dialog::open(now, until);
            self.running += 1;
            let running = match catch_unwind(AssertUnwindSafe(|| (self.function)(dialog))) {
                Ok(running) => running,
                Err(_) => Box::pin(async { Err(Error::new(ErrorKind::Internal)) }),
            };
            let talk = Talk { driver, running, began: now, questions: 0, token: None, wakes: None };
            self.go_on(index, talk, now);
        }
    }

    fn on_answer(&mut self, question: Question, result: Result<Reply>) {
        let Some(mut talk) = self.talks.get_mut(question.dialog).and_then(Option::take) else {
            return;
        };
        // An answer to what it has given up on is nobody's.
        if talk.token.is_none() || talk.questions != question.number {
            self.talks[question.dialog] = Some(talk);
            return;
        }
        talk.token = None;
        talk.driver.answer(result);
        self.go_on(question.dialog, talk, Instant::now());
    }

    /// Wakes those whose time has come.
    fn on_time(&mut self, now: Instant) {
        while let Some(Reverse((at, index))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            let due = |talk: &&mut Talk<T>| talk.wakes == Some(at);
            if self.talks[index].as_mut().filter(due).is_none() {
                continue;
            }
            let Some(mut talk) = self.talks[index].take() else { continue };
            if let Some(token) = talk.token.take() {
                // When the shard is gone, nobody has to be told.
                let _ = self.fleet.bmcs[index].handle().cancel(token);
                talk.driver.answer(Err(Error::new(ErrorKind::TimedOut)));
            }
            self.go_on(index, talk, now);
        }
    }

    /// Has a dialog go on as far as it gets.
    fn go_on(&mut self, index: usize, mut talk: Talk<T>, now: Instant) {
        loop {
            let turn = || talk.driver.turn(now, talk.running.as_mut());
            let turn = catch_unwind(AssertUnwindSafe(turn))
                .unwrap_or_else(|_| Turn::Over(Err(Error::new(ErrorKind::Internal))));
            match turn {
                Turn::Over(result) => return self.finish(index, &talk, result),
                Turn::Pause(until) => return self.keep(index, talk, Some(until)),
                Turn::Ask(request) => match self.ask(index, &mut talk, request) {
                    Ok(until) => return self.keep(index, talk, until),
                    Err(error) => talk.driver.answer(Err(error)),
                },
            }
        }
    }

    /// Sends a request; says until when to wait for its answer.
    fn ask(&self, index: usize, talk: &mut Talk<T>, request: Request) -> Result<Option<Instant>> {
        talk.questions += 1;
        let question = Question { dialog: index, number: talk.questions };
        let reply = ReplyTo::Task(TaskReply::new(question, self.answers.0.clone()));
        let until = with_grace(request.deadline);
        talk.token = Some(self.fleet.bmcs[index].handle().submit(request, reply)?);
        Ok(until)
    }

    fn keep(&mut self, index: usize, mut talk: Talk<T>, wakes: Option<Instant>) {
        // A request of the same dialog has mostly the same end: one timer does for all.
        if let Some(at) = wakes.filter(|at| talk.wakes != Some(*at)) {
            self.timers.push(Reverse((at, index)));
        }
        talk.wakes = wakes;
        self.talks[index] = Some(talk);
    }

    fn finish(&mut self, index: usize, talk: &Talk<T>, result: Result<T>) {
        self.running -= 1;
        self.end.push(Row { index, result, elapsed: talk.began.elapsed() });
    }

    fn cancel_all(&mut self) {
        for index in 0..self.talks.len() {
            let talk = self.talks[index].take();
            if talk.is_none() && index < self.begun {
                continue;
            }
            let token = talk.as_ref().and_then(|talk| talk.token);
            if let Some(token) = token {
                // When the shard is gone, nobody has to be told.
                let _ = self.fleet.bmcs[index].handle().cancel(token);
            }
            let elapsed = talk.map_or(Duration::ZERO, |talk| talk.began.elapsed());
            let result = Err(Error::new(ErrorKind::Cancelled));
            self.end.push(Row { index, result, elapsed });
        }
        self.end.over = COMPLETE;
    }
}
