//! The session table of a simulated BMC: who is logged in, windows and expiry.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::bmc::ManagedSystem;
use super::profile::InboundWindow;
use crate::crypto::keys::{Exchange, UserKey};
use crate::crypto::suite::SessionCipher;
use crate::wire::cipher_suite::Algorithms;
use crate::wire::ipmi15::AuthType;
use crate::wire::{PrivilegeLevel, SessionId, SessionSequence};

/// How many requests back a repeated rqSeq counts as a retransmit.
const RECENT_LEN: usize = 8;

/// One session, from Open Session Request (or Get Session Challenge) on.
pub(super) struct Session {
    /// Managed system session ID, never 0, unique in the table.
    pub id: u32,
    /// Remote console session ID; the managed system's own in v1.5.
    pub remote_id: u32,
    /// Session handle (§22.20).
    pub handle: u8,
    /// Where packets of this session go that answer nothing.
    pub peer: SocketAddr,
    /// Index of the user in the options.
    pub user: usize,
    /// What the session is, and how far.
    pub state: State,
    /// The current privilege level.
    pub privilege: u8,
    /// The highest level Set Session Privilege Level allows.
    pub maximum_privilege: u8,
    /// The last session sequence number sent.
    pub outbound: SessionSequence,
    /// What came in so far.
    pub window: Window,
    /// When the session ends unless something valid comes.
    pub expires: Instant,
    /// v1.5: whether the last reply was the first one, `None` before any.
    pub first_reply: Option<bool>,
    recent: [Option<(u8, u8, u8)>; RECENT_LEN],
}

/// How far a session is.
pub(super) enum State {
    /// Open Session was answered; RAKP 2 too once there is a login.
    Opening(Box<Opening>),
    /// A v2.0 session.
    Active(Box<ActiveV2>),
    /// Get Session Challenge was answered.
    Challenged(V15),
    /// A v1.5 session.
    ActiveV15(V15),
}

/// A v2.0 login under way.
pub(super) struct Opening {
    pub algorithms: Algorithms,
    pub requested_privilege: u8,
    pub last_tag: Option<u8>,
    pub login: Option<Login>,
}

/// What RAKP 1 and 2 fixed.
pub(super) struct Login {
    pub exchange: Exchange,
    /// `None` when the user is unknown and the profile does not say so.
    pub user: Option<usize>,
    pub key: UserKey,
}

/// Keys of an active v2.0 session, and the login they come from.
pub(super) struct ActiveV2 {
    pub cipher: SessionCipher,
    pub login: Login,
    pub last_tag: Option<u8>,
    /// How often the SIK was appended to itself by a repeated RAKP 3.
    pub sik_repeats: usize,
}

/// State of a v1.5 session.
#[derive(Clone, Copy)]
pub(super) struct V15 {
    pub auth_type: AuthType,
    pub challenge: [u8; 16],
}

/// The window of received session sequence numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    highest: SessionSequence,
    /// Bit n: `highest - n` was seen.
    seen: u32,
}

impl Window {
    /// A window that expects `next` as its first number.
    pub fn expecting(next: u32) -> Self {
        Window { highest: SessionSequence(next.wrapping_sub(1)), seen: 0 }
    }

    /// Takes one number, or says that it is stale or too far ahead.
    pub fn accept(&mut self, number: SessionSequence, rule: InboundWindow, ahead_max: u32) -> bool {
        let ahead = number.since(self.highest);
        let behind = self.highest.since(number);
        match rule {
            InboundWindow::None => true,
            // 0 stands outside every session.
            _ if number == SessionSequence(0) => false,
            InboundWindow::Repeats => {
                let inside = ahead <= ahead_max || behind <= ahead_max + 1;
                if inside {
                    self.highest = number;
                }
                inside
            }
            InboundWindow::Once if (1..=ahead_max).contains(&ahead) => {
                self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
                self.highest = number;
                true
            }
            InboundWindow::Once => {
                let fresh = behind <= ahead_max + 1 && self.seen >> behind & 1 == 0;
                if fresh {
                    self.seen |= 1 << behind;
                }
                fresh
            }
        }
    }
}

impl Session {
    /// Whether the login is done.
    pub fn is_active(&self) -> bool {
        matches!(self.state, State::Active(_) | State::ActiveV15(_))
    }

    /// Whether this is a v2.0 session.
    pub fn is_v2(&self) -> bool {
        matches!(self.state, State::Opening(_) | State::Active(_))
    }

    /// The cipher of an active v2.0 session.
    pub fn cipher(&self) -> Option<&SessionCipher> {
        match &self.state {
            State::Active(active) => Some(&active.cipher),
            _ => None,
        }
    }

    /// Notes a request and says whether it was among the last few already.
    pub fn is_retransmit(&mut self, request: (u8, u8, u8)) -> bool {
        if self.recent.contains(&Some(request)) {
            return true;
        }
        self.recent.rotate_right(1);
        self.recent[0] = Some(request);
        false
    }
}

impl ManagedSystem {
    /// Makes a half-open session, or `None` when the table is full.
    pub(super) fn open_session(&mut self, remote_id: u32, state: State) -> Option<usize> {
        let slots = match self.options.session_slots {
            0 => self.options.profile.session_slots(),
            slots => slots,
        };
        if self.table_full {
            return None;
        }
        if self.sessions.len() >= slots {
            let half_open = self.sessions.iter().position(|session| !session.is_active());
            match half_open.filter(|_| self.options.profile.evicts_half_open()) {
                Some(index) => drop(self.sessions.remove(index)),
                None => return None,
            }
        }
        let id = self.new_session_id();
        let handle = self.free_handle();
        self.sessions.push(Session {
            id,
            remote_id,
            handle,
            peer: self.peer,
            user: 0,
            state,
            privilege: 0,
            maximum_privilege: 0,
            outbound: SessionSequence(0),
            window: Window::expecting(1),
            expires: self.clock + self.options.profile.half_open_timeout(),
            first_reply: None,
            recent: [None; RECENT_LEN],
        });
        Some(self.sessions.len() - 1)
    }

    fn new_session_id(&mut self) -> u32 {
        loop {
            // `ipmi_sim` counts; the others are random.
            let id = if self.options.profile == super::Profile::IpmiSim {
                self.last_session_id += 1;
                self.last_session_id
            } else {
                self.generator.nonzero()
            };
            if id != 0 && self.session_index(id).is_none() {
                return id;
            }
        }
    }

    fn free_handle(&self) -> u8 {
        (1..=255).find(|handle| self.sessions.iter().all(|s| s.handle != *handle)).unwrap_or(0)
    }

    /// Where in the table a session is.
    pub(super) fn session_index(&self, id: u32) -> Option<usize> {
        self.sessions.iter().position(|session| session.id == id)
    }

    /// Notes that something valid came.
    pub(super) fn touch(&mut self, index: usize) {
        let idle = self.idle_timeout();
        let clock = self.clock;
        if let Some(session) = self.sessions.get_mut(index) {
            session.expires = clock + idle;
        }
    }

    /// The idle limit now: OpenBMC shortens it when more than 15 sessions are active.
    fn idle_timeout(&self) -> Duration {
        let idle = self.options.profile.idle_timeout();
        if self.options.profile != super::Profile::OpenBmc {
            return idle;
        }
        let excess = self.sessions().saturating_sub(15) as u32;
        match excess {
            0 => idle,
            n => idle / (n + 1).pow(3),
        }
    }

    /// Ends what ran out of time.
    pub(super) fn expire_sessions(&mut self) {
        let now = self.clock;
        while let Some(index) = self.sessions.iter().position(|session| session.expires <= now) {
            if self.sessions.get(index).is_some_and(Session::is_active) {
                self.counters.sessions_expired += 1;
            } else {
                self.counters.half_open_expired += 1;
            }
            self.end_session(index);
        }
    }

    /// Removes a session, and its SOL as the profile does.
    pub(super) fn end_session(&mut self, index: usize) {
        let Some(id) = self.sessions.get(index).map(|session| session.id) else { return };
        if self.sol.owner == Some(id) && !self.options.profile.sol_outlives_session() {
            self.deactivate_sol(None);
        }
        self.sessions.retain(|session| session.id != id);
    }

    /// How many sessions are active.
    pub fn sessions(&self) -> usize {
        self.sessions.iter().filter(|session| session.is_active()).count()
    }

    /// The session that owns SOL, also one that is gone where the profile leaves it so.
    pub fn sol_owner(&self) -> Option<SessionId> {
        self.sol.owner.map(SessionId)
    }

    /// The privilege limit of a user over LAN, 0 for "no access".
    pub(super) fn user_limit(&self, user: usize) -> u8 {
        let user = self.options.users.get(user).filter(|user| user.messaging);
        let limit = user.map_or(0, |user| user.privilege);
        if limit > PrivilegeLevel::Oem as u8 { 0 } else { limit.min(self.channel_limit()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(window: &mut Window, number: u32) -> bool {
        window.accept(SessionSequence(number), InboundWindow::Once, 15)
    }

    #[test]
    fn window_takes_each_number_once() {
        let mut window = Window::expecting(1);
        assert!(accepted(&mut window, 1));
        assert!(!accepted(&mut window, 1));
        assert!(accepted(&mut window, 16));
        assert!(!accepted(&mut window, 32), "16 ahead");
        assert!(accepted(&mut window, 2));
        assert!(!accepted(&mut window, 2));
        assert!(accepted(&mut window, 31));
        assert!(accepted(&mut window, 15), "16 behind");
        assert!(!accepted(&mut window, 14), "17 behind");
    }

    #[test]
    fn window_without_memory_takes_repeats() {
        let mut window = Window::expecting(1);
        for number in [1, 1, 16, 1] {
            assert!(window.accept(SessionSequence(number), InboundWindow::Repeats, 15));
        }
        assert!(!window.accept(SessionSequence(17), InboundWindow::Repeats, 15));
    }
}
