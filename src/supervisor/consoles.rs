//! The consoles of one BMC: which one has SOL, and when it is tried again.

use std::time::{Duration, Instant};

use super::*;
use crate::session::{Session, SolConfig, SolEvent, TakeOver};

/// An activation that is not answered takes longer than this, and a BMC that lives says something
/// meanwhile.
const SILENCE: Duration = Duration::from_secs(8);

/// How a console is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleSettings {
    /// How SOL is run.
    pub sol: SolConfig,
    /// Whether it is connected again by itself.
    pub keep: Keep,
    /// When.
    pub retry: RetryConfig,
}

/// One console.
#[derive(Debug)]
pub(super) struct Link {
    id: u64,
    sol: SolConfig,
    kept: Kept,
    /// It is to be connected now, and is not yet.
    pub wanted: bool,
    connected_at: Option<Instant>,
    /// SOL was taken over once; the policy allows no more.
    took_over: bool,
    /// Sessions that were lost while it was being connected.
    sessions_lost: u32,
    closing: bool,
    waiters: Vec<u64>,
    closers: Vec<u64>,
}

impl Link {
    fn new(id: u64, settings: &ConsoleSettings) -> Self {
        Link {
            id,
            sol: settings.sol.clone(),
            kept: Kept::new(settings.keep, settings.retry.clone()),
            wanted: false,
            connected_at: None,
            took_over: false,
            sessions_lost: 0,
            closing: false,
            waiters: Vec::new(),
            closers: Vec::new(),
        }
    }

    /// When to look at it again.
    pub fn deadline(&self) -> Option<Instant> {
        self.kept.deadline()
    }

    fn is_connected(&self) -> bool {
        self.connected_at.is_some()
    }

    fn sol(&self, quirks_port: u16) -> SolConfig {
        let take_over = match self.sol.take_over {
            TakeOver::Once if self.took_over => TakeOver::Stale,
            other => other,
        };
        SolConfig { take_over, session_port: quirks_port, ..self.sol.clone() }
    }
}

impl Supervisor {
    pub(super) fn links(&self) -> impl Iterator<Item = &Link> {
        self.console.iter().chain(&self.next_console).map(Box::as_ref)
    }

    fn link(&mut self, id: u64) -> Option<&mut Link> {
        let mut links = self.console.iter_mut().chain(&mut self.next_console);
        links.find(|link| link.id == id).map(Box::as_mut)
    }

    // What is asked for

    /// Opens a console: one that is always to be connected begins at once. Fails with `Busy` when
    /// another one is in the way.
    pub fn console_open(&mut self, id: u64, settings: &ConsoleSettings) -> Result<(), Error> {
        if settings.keep == Keep::OnRequest {
            return Ok(());
        }
        if self.shut_down {
            return Err(Error::new(ErrorKind::ShutDown));
        }
        self.place(id, settings)?;
        self.try_kept(id);
        Ok(())
    }

    /// Wants a console connected, now; [`Event::Done`] with `token` says how that went.
    pub fn console_connect(&mut self, id: u64, settings: &ConsoleSettings, token: u64) {
        let place = if self.shut_down {
            Err(Error::new(ErrorKind::ShutDown))
        } else {
            self.place(id, settings)
        };
        if let Err(error) = place {
            // Whoever does not wait for it looks at its state.
            let reason = error.clone();
            self.tell(id, ConsoleChange::Connecting);
            self.tell(id, ConsoleChange::Unconnected { reason, next_try: None });
            return self.done(token, Err(error));
        }
        let Some(link) = self.link(id) else { return };
        if link.closing {
            return self.done(token, Err(Error::new(ErrorKind::Closed)));
        }
        if link.is_connected() {
            return self.done(token, Ok(()));
        }
        link.waiters.push(token);
        self.forget_refusal();
        self.try_now(id);
    }

    /// Somebody is attached to a console now, or nobody any more.
    pub fn console_attached(&mut self, now: Instant, id: u64, attached: bool) {
        let Some(link) = self.link(id).filter(|link| !link.closing) else { return };
        link.kept.attach(now, attached);
        if attached {
            self.forget_refusal();
            self.try_kept(id);
        }
    }

    /// Whether somebody is attached to a console.
    pub(crate) fn is_attached(&self, id: u64) -> bool {
        self.links().any(|link| link.id == id && link.kept.is_attached())
    }

    /// Runs a console in another way. What is about SOL itself breaks it; the rest breaks nothing.
    pub fn console_reconfigure(&mut self, now: Instant, id: u64, settings: &ConsoleSettings) {
        let Some(link) = self.link(id).filter(|link| !link.closing) else { return };
        let breaks = link.sol != settings.sol;
        link.sol.clone_from(&settings.sol);
        let lives = link.wanted || link.is_connected();
        let called_off = link.kept.reconfigure(now, settings.keep, &settings.retry, lives);
        if let Some(reason) = called_off {
            self.tell(id, ConsoleChange::Unconnected { reason, next_try: None });
        }
        if breaks {
            self.break_sol(now, id);
        }
        self.try_kept(id);
    }

    /// It is to have SOL in another way.
    fn break_sol(&mut self, now: Instant, id: u64) {
        let has_place = self.console.as_ref().is_some_and(|link| link.id == id);
        let Some(link) = self.link(id) else { return };
        link.kept.forgive();
        link.took_over = false;
        if link.connected_at.take().is_some() {
            link.wanted = true;
            let (reason, next_try) = (Error::new(ErrorKind::Reconfigured), Some(now));
            self.tell(id, ConsoleChange::Unconnected { reason, next_try });
            self.tell(id, ConsoleChange::Connecting);
        }
        // What is being activated is so in the old way.
        if has_place {
            self.close_sol();
        }
        self.want();
    }

    /// Deactivates a console and nothing else; [`Event::Done`] with `token` says when that is
    /// done.
    pub fn console_close(&mut self, now: Instant, id: u64, token: u64) {
        if self.next_console.as_ref().is_some_and(|link| link.id == id)
            && let Some(link) = self.next_console.take()
        {
            self.finish(&link.waiters, Err(Error::new(ErrorKind::Closed)));
        }
        let has_sol = self.session().is_some_and(|session| session.sol_is_open());
        let Some(link) = self.console.as_mut().filter(|link| link.id == id) else {
            self.tell(id, ConsoleChange::Closed);
            return self.done(token, Ok(()));
        };
        link.wanted = false;
        link.kept.stop();
        link.closing = true;
        link.closers.push(token);
        let waiters = std::mem::take(&mut link.waiters);
        if has_sol {
            self.close_sol();
        } else {
            self.end_console();
        }
        self.finish(&waiters, Err(Error::new(ErrorKind::Closed)));
        // A login that only this console wanted has no purpose any more.
        self.stop_unwanted_login(now);
    }

    // How it goes on

    /// Finds or makes room for a console: the attached place, or the one after it when that is
    /// being closed.
    fn place(&mut self, id: u64, settings: &ConsoleSettings) -> Result<(), Error> {
        if self.link(id).is_some() {
            return Ok(());
        }
        let has_sol = self.session().is_some_and(|session| session.sol_is_open());
        // One that is kept keeps its place, also while it has nothing to do.
        let kept = |link: &Link| link.kept.keep() != Keep::OnRequest;
        let unused = |link: &Link| !link.wanted && !kept(link) && !link.closing && !has_sol;
        if self.console.as_deref().is_some_and(unused) {
            self.console = self.next_console.take();
        }
        let closing = self.console.as_ref().is_some_and(|link| link.closing);
        let place = if closing { &mut self.next_console } else { &mut self.console };
        if place.is_some() {
            let text = "this BMC has another console; close that one first";
            return Err(Error::with_text(ErrorKind::Busy, text));
        }
        *place = Some(Box::new(Link::new(id, settings)));
        Ok(())
    }

    /// Tries a console that is kept and not connected.
    fn try_kept(&mut self, id: u64) {
        let kept = self.link(id).is_some_and(|link| link.kept.is_kept() && !link.is_connected());
        if kept {
            self.try_now(id);
        }
    }

    fn try_now(&mut self, id: u64) {
        let released = self.released;
        let Some(link) = self.link(id) else { return };
        link.kept.take_try();
        if link.closing || released {
            return;
        }
        if !std::mem::replace(&mut link.wanted, true) {
            self.tell(id, ConsoleChange::Connecting);
        }
        self.want();
        if let Some(live) = &mut self.live {
            live.drained = false;
        }
    }

    /// Looks at what is due.
    pub(super) fn check_consoles(&mut self, now: Instant) {
        let due: Vec<u64> = self
            .links()
            .filter(|link| link.deadline().is_some_and(|at| at <= now))
            .map(|link| link.id)
            .collect();
        for id in due {
            let Some(link) = self.link(id) else { continue };
            match link.kept.due(now, !link.waiters.is_empty()) {
                Due::Sleep => self.put_to_sleep(now, id),
                Due::Try => self.try_now(id),
                Due::Nothing => {}
            }
        }
    }

    /// Nobody is attached to it any more: it is deactivated, and stays open.
    fn put_to_sleep(&mut self, now: Instant, id: u64) {
        let Some(link) = self.link(id) else { return };
        let was_tried = link.kept.take_try();
        let was_active = std::mem::take(&mut link.wanted) | link.connected_at.take().is_some();
        if was_active || was_tried {
            let reason = nobody_attached();
            self.tell(id, ConsoleChange::Unconnected { reason, next_try: None });
        }
        if was_active {
            self.close_sol();
            self.stop_unwanted_login(now);
        }
    }

    fn close_sol(&mut self) {
        if let Some(session) = self.session_mut() {
            session.sol_close();
        }
    }

    /// Activates SOL when a console waits for it and the session is ready.
    pub(super) fn open_console(&mut self, now: Instant) {
        let (Some(live), Some(link)) = (&mut self.live, &self.console) else { return };
        if link.wanted && !link.closing && !live.session.sol_is_open() {
            let sol = link.sol(live.peer.port());
            live.drained = !live.session.sol_open(now, sol);
        }
    }

    pub(super) fn on_sol_event(&mut self, now: Instant, event: SolEvent) {
        if let SolEvent::Ended(failure) = event {
            return self.on_sol_ended(now, failure);
        }
        let took_over = self.session().is_some_and(Session::sol_took_over);
        let Some(link) = &mut self.console else { return };
        let id = link.id;
        match event {
            SolEvent::Activated { characters_max, other_port } if link.wanted => {
                link.wanted = false;
                link.sessions_lost = 0;
                link.took_over |= took_over;
                link.connected_at = Some(now);
                let waiters = std::mem::take(&mut link.waiters);
                self.tell(id, ConsoleChange::Connected { characters_max, other_port });
                self.finish(&waiters, Ok(()));
            }
            SolEvent::Activated { .. } => self.close_sol(),
            event => self.tell(id, ConsoleChange::Sol(event)),
        }
    }

    fn on_sol_ended(&mut self, now: Instant, failure: Failure) {
        // With its session: what follows from that is done when the session says so itself.
        if self.session().is_none_or(Session::is_closed) {
            return;
        }
        let is_silent = self.is_silent(now, &failure);
        let Some(link) = &mut self.console else { return };
        let id = link.id;
        if link.closing {
            self.end_console();
        } else if is_silent && link.wanted && link.sessions_lost < SESSIONS_PER_REQUEST {
            link.sessions_lost += 1;
        } else if failure.cause != Cause::Closed {
            // Else closed on purpose, to be opened in another way or to sleep.
            let error = self.error_of(failure);
            self.fail_console(now, id, &error);
        }
    }

    /// Whether an activation ended in a silence that says more of the session than of SOL: most
    /// likely the session is dead, and about to be found so.
    fn is_silent(&self, now: Instant, failure: &Failure) -> bool {
        let unheard = |session: &Session| now > session.last_valid() + SILENCE;
        failure.cause == Cause::TimedOut && self.session().is_some_and(unheard)
    }

    /// The console that is being closed is so; the one after it has its place.
    fn end_console(&mut self) {
        let next = self.next_console.take();
        let Some(closed) = std::mem::replace(&mut self.console, next) else { return };
        if self.links().any(|link| link.wanted) {
            self.want();
            if let Some(live) = &mut self.live {
                live.drained = false;
            }
        }
        self.tell(closed.id, ConsoleChange::Closed);
        self.finish(&closed.closers, Ok(()));
    }

    /// A console's connection or attempt failed: one that is kept is tried again later.
    fn fail_console(&mut self, now: Instant, id: u64, error: &Error) {
        self.chance = self.chance.wrapping_add(1);
        let chance = chance(self.chance);
        let released = self.released;
        let Some(link) = self.link(id) else { return };
        let was_trying = std::mem::take(&mut link.wanted);
        link.sessions_lost = 0;
        let lived = link.connected_at.take().map(|since| now.saturating_duration_since(since));
        let waiters = std::mem::take(&mut link.waiters);
        if link.closing {
            return self.end_console();
        }
        if error.kind() == ErrorKind::Stolen {
            link.took_over = true;
        }
        if was_trying || lived.is_some() {
            let next_try =
                if released { None } else { link.kept.failed(now, error, lived, chance) };
            self.tell(id, ConsoleChange::Unconnected { reason: error.clone(), next_try });
        }
        self.finish(&waiters, Err(error.clone()));
        self.check_consoles(now);
    }

    /// The login failed, or the session is over (`was_up`).
    pub(super) fn fail_consoles(&mut self, now: Instant, error: &Error, was_up: bool) {
        let ids: Vec<u64> = self.links().map(|link| link.id).collect();
        for id in ids {
            let Some(link) = self.link(id) else { continue };
            // The session was gone before SOL was asked for: the next one may have it.
            let again = was_up
                && error.kind() == ErrorKind::Lost
                && link.wanted
                && link.sessions_lost < SESSIONS_PER_REQUEST;
            if again && !link.closing {
                link.sessions_lost += 1;
            } else {
                self.fail_console(now, id, error);
            }
        }
    }

    /// The session under them is another one from now on: what was connected or tried is so
    /// again, at once.
    pub(super) fn break_consoles(&mut self, now: Instant, error: &Error) {
        let ids: Vec<u64> = self.links().map(|link| link.id).collect();
        for id in ids {
            let Some(link) = self.link(id) else { continue };
            link.kept.forgive();
            link.took_over = false;
            if link.closing {
                self.fail_console(now, id, error);
                continue;
            }
            let again = link.is_connected() || link.kept.is_kept();
            if link.connected_at.take().is_some() {
                let (reason, next_try) = (error.clone(), Some(now));
                self.tell(id, ConsoleChange::Unconnected { reason, next_try });
            }
            if again {
                self.try_now(id);
            }
        }
    }

    pub(super) fn give_up_consoles(&mut self, token: u64, error: &Error) {
        let ids: Vec<u64> = self.links().map(|link| link.id).collect();
        for id in ids {
            let Some(link) = self.link(id) else { continue };
            if !take(&mut link.waiters, token) {
                continue;
            }
            let stops = link.wanted && link.waiters.is_empty() && !link.kept.is_kept();
            if stops {
                link.wanted = false;
                self.tell(id, ConsoleChange::Unconnected { reason: error.clone(), next_try: None });
                self.close_sol();
            }
            self.done(token, Err(error.clone()));
        }
    }

    pub(super) fn shut_down_consoles(&mut self, error: &Error) {
        let mut ids = Vec::new();
        for link in self.console.iter_mut().chain(&mut self.next_console) {
            let waits = link.kept.take_try();
            let was_active = link.connected_at.take().is_some() || link.wanted;
            link.wanted = false;
            link.kept.stop();
            ids.push((link.id, waits || was_active, std::mem::take(&mut link.waiters)));
        }
        for (id, tell, waiters) in ids {
            if tell {
                self.tell(id, ConsoleChange::Unconnected { reason: error.clone(), next_try: None });
            }
            self.finish(&waiters, Err(error.clone()));
        }
    }

    /// Nobody holds them any more: nothing is due.
    pub(super) fn stop_retrying(&mut self) {
        for link in self.console.iter_mut().chain(&mut self.next_console) {
            link.kept.stop();
        }
    }

    /// The session with this much unacknowledged input is parted with.
    pub(super) fn report_lost_input(&mut self, pending: usize) {
        if let Some(link) = &self.console
            && pending > 0
        {
            let (id, bytes) = (link.id, pending as u64);
            self.tell(id, ConsoleChange::Sol(SolEvent::InputLost { bytes }));
        }
    }

    fn tell(&mut self, id: u64, change: ConsoleChange) {
        self.events.push_back(Event::Console { id, change });
    }

    fn finish(&mut self, tokens: &[u64], result: Result<(), Error>) {
        for token in tokens {
            self.done(*token, result.clone());
        }
    }
}
