//! Who gets the answer to a request: a thread that waits for it, or the driver of many dialogs.

use crossbeam_channel::Sender;

use super::wait::Completer;
use crate::error::{Error, ErrorKind, Result};
use crate::session::Reply;

/// Where an answer goes.
pub(crate) enum ReplyTo {
    /// To the one who waits for it.
    Waiter(Completer<Reply>),
    /// To the driver of dialogs.
    Task(TaskReply),
}

/// Which dialog of a driver asked, and its how many-th question it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    pub dialog: usize,
    pub number: u32,
}

/// The answer to what one of many dialogs asked. Dropped without, it says `ShutDown`.
pub(crate) struct TaskReply {
    question: Question,
    to: Option<Sender<(Question, Result<Reply>)>>,
}

impl TaskReply {
    /// For this question.
    pub fn new(question: Question, to: Sender<(Question, Result<Reply>)>) -> Self {
        TaskReply { question, to: Some(to) }
    }

    fn complete(mut self, result: Result<Reply>) {
        self.send(result);
    }

    fn send(&mut self, result: Result<Reply>) {
        if let Some(to) = self.to.take() {
            // When its driver is gone, nobody wants to know any more.
            let _ = to.send((self.question, result));
        }
    }
}

impl Drop for TaskReply {
    fn drop(&mut self) {
        self.send(Err(Error::new(ErrorKind::ShutDown)));
    }
}

impl ReplyTo {
    /// Gives the answer.
    pub fn complete(self, result: Result<Reply>) {
        match self {
            ReplyTo::Waiter(done) => done.complete(result),
            ReplyTo::Task(task) => task.complete(result),
        }
    }
}
