//! A dialog with one BMC: one request after the other, and pauses, as an `async` function that
//! does no I/O. Who drives it sends the requests: a blocking call, or a fleet for thousands at
//! once.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::session::{Cause, Repeat, Reply, Request, Secrecy, Target};
use crate::sync::Mutex;
use crate::wire::message::{CompletionCode, net_fn};

/// A LAN message of a v1.5 session is 255 bytes at most; this leaves room for its header.
const DATA_MAX: usize = 240;
const SEND_MESSAGE: u8 = 0x34;
/// The pauses between tries of a request that a busy BMC refused.
const BUSY_PAUSE: Duration = Duration::from_millis(100);
const BUSY_PAUSE_MAX: Duration = Duration::from_secs(1);
/// So often is a request tried at a BMC that says it is busy.
const BUSY_TRIES: u32 = 10;

/// One BMC, for a sequence of requests: what [`Bmc::run`](crate::Bmc::run) and
/// [`Fleet::run`](crate::Fleet::run) hand to the function they run.
///
/// Its methods are `async`, though nothing of an asynchronous runtime is needed or used: `await`
/// is where the function stops until the BMC has answered, so that one thread can have thousands
/// of dialogs. Only these methods can be waited for, one at a time; anything else that is not
/// ready at once ends the dialog with `Misuse`.
///
/// Clones are the same dialog.
#[derive(Clone)]
pub struct Dialog {
    mail: Arc<Mutex<Mail>>,
    pub(super) target: Target,
    secrecy: Secrecy,
    /// So much earlier than the dialog as a whole it has to be over.
    margin: Duration,
    /// How long one request may take, should the dialog have more time.
    limit: Option<Duration>,
}

/// What the dialog and who drives it have to tell each other.
struct Mail {
    post: Post,
    now: Instant,
    deadline: Option<Instant>,
}

enum Post {
    /// The dialog runs.
    Nothing,
    Ask(Request),
    Answer(Result<Reply>),
    Pause(Instant),
}

/// What a dialog wants next.
#[derive(Debug)]
pub(crate) enum Turn<T> {
    /// Send this, then [`Driver::answer`].
    Ask(Request),
    /// Go on at this time.
    Pause(Instant),
    /// It is over.
    Over(Result<T>),
}

/// The other end of a dialog: [`turn`](Driver::turn), do as it says, repeat.
pub(crate) struct Driver(Arc<Mutex<Mail>>);

impl Driver {
    /// Gives the answer to what was asked.
    pub fn answer(&self, answer: Result<Reply>) {
        self.0.lock().post = Post::Answer(answer);
    }

    /// Has the dialog's function go on as far as it gets.
    pub fn turn<T>(
        &self,
        now: Instant,
        function: Pin<&mut (impl Future<Output = Result<T>> + ?Sized)>,
    ) -> Turn<T> {
        {
            let mut mail = self.0.lock();
            mail.now = now;
            if matches!(mail.post, Post::Pause(until) if until <= now) {
                mail.post = Post::Nothing;
            }
        }
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(result) = function.poll(&mut context) {
            return Turn::Over(result);
        }
        let mut mail = self.0.lock();
        match std::mem::replace(&mut mail.post, Post::Nothing) {
            Post::Ask(request) => Turn::Ask(request),
            Post::Pause(until) => {
                mail.post = Post::Pause(until);
                Turn::Pause(until)
            }
            _ => Turn::Over(Err(Error::misuse("a dialog can wait for the BMC only"))),
        }
    }
}

impl Dialog {
    /// A dialog that has to be over at `deadline`, and its other end.
    pub(crate) fn open(now: Instant, deadline: Option<Instant>) -> (Dialog, Driver) {
        let mail = Arc::new(Mutex::new(Mail { post: Post::Nothing, now, deadline }));
        let (target, secrecy, margin) = (Target::BMC, Secrecy::Open, Duration::ZERO);
        let dialog = Dialog { mail: mail.clone(), target, secrecy, margin, limit: None };
        (dialog, Driver(mail))
    }

    /// The same dialog with another controller: all commands of what this gives go there, by
    /// Send Message (§22.7) when it is behind the BMC.
    ///
    /// A BMC that cannot pass a message on fails the command with `Completion` and the code of
    /// Send Message, with [`Cause::NotBridged`](crate::Cause); a controller that does not answer
    /// within 5 s with `TimedOut` and `NoBridgedAnswer`.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// use bmclink::command::Target;
    ///
    /// # fn f(bmc: bmclink::Bmc) -> bmclink::Result<()> {
    /// let id = bmc.run(Duration::from_secs(10), async |dialog| {
    ///     dialog.at(Target::behind(0, 0x72)).device_id().await
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn at(&self, target: Target) -> Dialog {
        Dialog { target, ..self.clone() }
    }

    /// Where its commands go.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Sends any request to where the dialog is [`at`](Self::at), and waits for its response
    /// whatever its completion code: see [`Bmc::raw`](crate::Bmc::raw).
    pub async fn raw(&self, net_fn: u8, lun: u8, cmd: u8, data: &[u8]) -> Result<Reply> {
        self.request(net_fn, lun, cmd, data, Repeat::ByCommand).await
    }

    /// The same, saying whether it may be sent again when no answer comes.
    pub async fn request(
        &self,
        net_fn: u8,
        lun: u8,
        cmd: u8,
        data: &[u8],
        repeat: Repeat,
    ) -> Result<Reply> {
        check(net_fn, lun, cmd, data, self.target)?;
        let target = self.target.lun(lun);
        let data = data.to_vec().into();
        let deadline = self.request_deadline();
        let secrecy = self.secrecy;
        let request = Request { token: 0, target, net_fn, cmd, data, deadline, repeat, secrecy };
        Exchange { mail: &self.mail, request: Some(request) }.await
    }

    /// The same dialog, for requests with secret data: they are sent in an encrypted session only
    /// unless `in_clear`, are zeroed when done, and never printed.
    pub(crate) fn secret(&self, in_clear: bool) -> Dialog {
        let secrecy = if in_clear { Secrecy::SecretInClear } else { Secrecy::Secret };
        Dialog { secrecy, ..self.clone() }
    }

    /// Sends a request at the dialog's LUN, again while the BMC is busy, and gives the data of
    /// its success; any other completion code is `Completion`.
    pub(crate) async fn ask(&self, net_fn: u8, cmd: u8, data: &[u8]) -> Result<Vec<u8>> {
        let reply = self.reply(net_fn, cmd, data).await?;
        match reply.completion_code {
            CompletionCode::SUCCESS => Ok(reply.data),
            code => Err(Error::completion(code, None)),
        }
    }

    /// Like [`ask`](Self::ask); `own` knows the completion codes the command has besides the
    /// generic ones.
    pub(crate) async fn ask_with(
        &self,
        net_fn: u8,
        cmd: u8,
        data: &[u8],
        own: impl Fn(u8) -> Option<&'static str>,
    ) -> Result<Vec<u8>> {
        let reply = self.reply(net_fn, cmd, data).await?;
        match reply.completion_code {
            CompletionCode::SUCCESS => Ok(reply.data),
            code => Err(Error::completion(code, own(code.0))),
        }
    }

    /// Sends a request at the dialog's LUN, again while the BMC is busy, and gives the response
    /// whatever else its completion code is.
    ///
    /// C0h, D0h, D1h and D2h say that nothing was done. C3h and CEh do not: a command that acts
    /// is not sent again after these. The same codes and 81h of Send Message say that nothing was
    /// passed on.
    pub(crate) async fn reply(&self, net_fn: u8, cmd: u8, data: &[u8]) -> Result<Reply> {
        self.reply_by(net_fn, cmd, data, Repeat::ByCommand).await
    }

    /// Like [`reply`](Self::reply), saying whether the request may be sent again when no answer
    /// comes.
    pub(crate) async fn reply_by(
        &self,
        net_fn: u8,
        cmd: u8,
        data: &[u8],
        repeat: Repeat,
    ) -> Result<Reply> {
        let acts = match repeat {
            Repeat::ByCommand => crate::session::acts(net_fn, cmd),
            Repeat::Idempotent => false,
            Repeat::Never => true,
        };
        let mut pause = BUSY_PAUSE;
        let lun = self.target.lun_number();
        for _ in 1..BUSY_TRIES {
            let result = self.request(net_fn, lun, cmd, data, repeat).await;
            let again = match &result {
                Ok(reply) => match reply.completion_code.0 {
                    0xc0 | 0xd0..=0xd2 => true,
                    0xc3 | 0xce => !acts,
                    _ => false,
                },
                Err(error) => was_not_passed_on(error),
            };
            // With no time left, what the BMC said is worth more than a timeout.
            if !again || !self.has_time_for(pause) {
                return result;
            }
            self.pause(pause).await?;
            pause = (pause * 2).min(BUSY_PAUSE_MAX);
        }
        self.request(net_fn, lun, cmd, data, repeat).await
    }

    /// Waits so long; fails with `TimedOut` when the dialog's own time is over before that.
    pub async fn pause(&self, time: Duration) -> Result<()> {
        if !self.has_time_for(time) {
            return Err(Error::new(ErrorKind::TimedOut));
        }
        let until = self.now().checked_add(time);
        let until = until.ok_or_else(|| Error::misuse("a pause without end"))?;
        Pause { mail: &self.mail, until }.await
    }

    /// The dialog's clock.
    pub fn now(&self) -> Instant {
        self.mail.lock().now
    }

    /// When it has to be over; `None` when there is no limit.
    pub fn deadline(&self) -> Option<Instant> {
        self.mail.lock().deadline.and_then(|at| at.checked_sub(self.margin))
    }

    /// The same dialog, over so much earlier, or by a quarter of the time that is left if that is
    /// less: for what has to be cleaned up after.
    pub(crate) fn with_time_left(&self, time: Duration) -> Dialog {
        let left = self.deadline().map(|at| at.saturating_duration_since(self.now()));
        let margin = self.margin + left.map_or(time, |left| time.min(left / 4));
        Dialog { margin, ..self.clone() }
    }

    /// The same dialog, with typed requests going to another LUN.
    pub(crate) fn at_lun(&self, lun: u8) -> Dialog {
        Dialog { target: self.target.lun(lun), ..self.clone() }
    }

    /// The same dialog, with each request given up after `limit`: `TimedOut`, though the dialog
    /// has time left.
    pub(crate) fn within(&self, limit: Duration) -> Dialog {
        Dialog { limit: Some(limit), ..self.clone() }
    }

    /// Whether the dialog's time is over.
    pub(crate) fn is_late(&self) -> bool {
        self.deadline().is_some_and(|at| self.now() >= at)
    }

    fn request_deadline(&self) -> Option<Instant> {
        let own = self.limit.and_then(|limit| self.now().checked_add(limit));
        own.into_iter().chain(self.deadline()).min()
    }

    fn has_time_for(&self, pause: Duration) -> bool {
        let end = self.now().checked_add(pause);
        self.deadline().is_none_or(|at| end.is_some_and(|end| end < at))
    }
}

impl fmt::Debug for Dialog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialog").field("target", &self.target).finish_non_exhaustive()
    }
}

/// Whether a bridged request got no further than the BMC, which may pass it on later.
fn was_not_passed_on(error: &Error) -> bool {
    error.cause() == Some(Cause::NotBridged)
        && error.completion_code().is_some_and(|code| matches!(code.0, 0x81 | 0xc0 | 0xd0..=0xd2))
}

/// Whether a request can be sent at all.
fn check(net_fn: u8, lun: u8, cmd: u8, data: &[u8], target: Target) -> Result<()> {
    if net_fn & 1 != 0 || net_fn > 0x3f {
        return Err(Error::misuse("the network function of a request is even, 0 to 3Eh"));
    }
    if lun > 3 {
        return Err(Error::misuse("the LUN is not 0 to 3"));
    }
    if data.len() + target.overhead() > DATA_MAX {
        return Err(Error::misuse("more than 240 bytes of request data"));
    }
    if !target.is_valid() {
        return Err(Error::misuse("a controller has a channel of 0 to 15 and an even address"));
    }
    if target.is_bridged() && (net_fn, cmd) == (net_fn::APP, SEND_MESSAGE) {
        return Err(Error::misuse("a message is passed on twice by a target of two hops"));
    }
    Ok(())
}

/// Waits for the response to a request.
struct Exchange<'a> {
    mail: &'a Mutex<Mail>,
    /// Until it is handed over.
    request: Option<Request>,
}

impl Future for Exchange<'_> {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let mut mail = self.mail.lock();
        let post = std::mem::replace(&mut mail.post, Post::Nothing);
        match (post, self.request.take()) {
            (Post::Nothing, Some(request)) => {
                mail.post = Post::Ask(request);
                Poll::Pending
            }
            (Post::Answer(answer), None) => Poll::Ready(answer),
            (post, _) => {
                mail.post = post;
                Poll::Ready(Err(one_at_a_time()))
            }
        }
    }
}

/// Waits for a time.
struct Pause<'a> {
    mail: &'a Mutex<Mail>,
    until: Instant,
}

impl Future for Pause<'_> {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let mut mail = self.mail.lock();
        match mail.post {
            Post::Nothing if mail.now >= self.until => Poll::Ready(Ok(())),
            Post::Nothing => {
                mail.post = Post::Pause(self.until);
                Poll::Pending
            }
            Post::Pause(until) if until == self.until => Poll::Pending,
            _ => Poll::Ready(Err(one_at_a_time())),
        }
    }
}

fn one_at_a_time() -> Error {
    Error::misuse("a dialog is about one thing at a time")
}
