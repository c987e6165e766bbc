//! A session at every stage meets the input: as datagrams, and sealed as if the BMC had sent it.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bmclink::crypto::Secret;
use bmclink::crypto::keys::{Exchange, UserKey};
use bmclink::crypto::suite::{Outgoing, SessionCipher};
use bmclink::session::{
    CipherSuiteId, Learned, Output, Request, Session, SessionConfig, SolConfig, Version,
};
use bmclink::sim::{BmcOptions, ManagedSystem};
use bmclink::wire::payload::PayloadType;
use bmclink::wire::rakp::{Rakp1, Rakp2};
use bmclink::wire::rmcpplus;
use bmclink::wire::{SessionId, SessionSequence};

const PASSWORD: &[u8] = b"password";
const SUITES: [u8; 5] = [17, 3, 8, 2, 1];

/// A session, the BMC it talks to, and what seals the BMC's packets.
struct World {
    now: Instant,
    session: Session,
    bmc: ManagedSystem,
    suite: CipherSuiteId,
    ids: (SessionId, SessionId),
    rakp1: Option<([u8; 16], u8)>,
    rakp2: Option<([u8; 16], [u8; 16])>,
    sequence: u32,
    out: Vec<u8>,
}

impl World {
    fn new(suite: u8, v15: bool) -> Self {
        let now = Instant::now();
        let suite = CipherSuiteId(suite);
        let config = SessionConfig {
            user_name: b"admin".to_vec(),
            password: Secret::new(PASSWORD),
            cipher_suites: vec![suite],
            version: if v15 { Version::V15 } else { Version::V20 },
            ..SessionConfig::default()
        };
        World {
            now,
            session: Session::new(Arc::new(config), Learned::default(), [1; 32], now),
            bmc: ManagedSystem::new(BmcOptions::default(), [2; 32], now),
            suite,
            ids: Default::default(),
            rakp1: None,
            rakp2: None,
            sequence: 0,
            out: Vec::new(),
        }
    }

    /// Lets both ends talk, for so many packets of ours at most.
    fn talk(&mut self, packets: usize) {
        for _ in 0..packets {
            if !matches!(self.session.poll_output(self.now, &mut self.out), Output::Transmit) {
                return;
            }
            let datagram = std::mem::take(&mut self.out);
            self.observe(&datagram);
            let from = std::net::SocketAddr::from(([127, 0, 0, 1], 40_000));
            self.bmc.handle_datagram(self.now, from, &datagram);
            while let Some((_, mut datagram)) = self.bmc.poll_transmit() {
                self.observe(&datagram);
                let _ = self.session.handle_datagram(self.now, &mut datagram);
            }
        }
    }

    fn observe(&mut self, datagram: &[u8]) {
        let Ok(framed) = rmcpplus::decode(datagram) else { return };
        let payload = &datagram[framed.payload];
        match framed.header.payload_type {
            PayloadType::Rakp1 => {
                let Ok(rakp1) = Rakp1::decode(payload) else { return };
                self.ids.1 = rakp1.managed_system_session_id;
                self.rakp1 = Some((rakp1.remote_console_random_number, rakp1.role));
            }
            PayloadType::Rakp2 => {
                let Ok(Ok(rakp2)) = Rakp2::decode(payload) else { return };
                self.ids.0 = rakp2.remote_console_session_id;
                self.rakp2 = Some((rakp2.managed_system_random_number, rakp2.managed_system_guid));
            }
            _ if framed.header.session_id == self.ids.0 => {
                self.sequence = framed.header.session_sequence_number.0;
            }
            _ => {}
        }
    }

    fn cipher(&self) -> Option<SessionCipher> {
        let algorithms = self.suite.algorithms()?;
        let key = UserKey::new(PASSWORD)?;
        let exchange = Exchange {
            authentication: algorithms.authentication,
            remote_console_session_id: self.ids.0,
            managed_system_session_id: self.ids.1,
            remote_console_random_number: self.rakp1?.0,
            managed_system_random_number: self.rakp2?.0,
            managed_system_guid: self.rakp2?.1,
            role: self.rakp1?.1,
            user_name: b"admin".to_vec(),
        };
        let sik = exchange.sik(&key, None);
        Some(SessionCipher::new(algorithms, &sik.k1(), &sik.k2(), &key))
    }

    /// A payload as the BMC would send it.
    fn sealed(&mut self, cipher: &SessionCipher, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let packet = Outgoing {
            payload_type: PayloadType::from_number(payload_type),
            session_id: self.ids.0,
            session_sequence_number: SessionSequence(self.sequence),
            payload,
            iv: [3; 16],
        };
        let mut out = Vec::new();
        cipher.seal(&packet, &mut out);
        out
    }

    /// Gives out everything until nothing is due: a session that never comes to rest spins.
    fn drain(&mut self) {
        for _ in 0..5000 {
            match self.session.poll_output(self.now, &mut self.out) {
                Output::Timeout(Some(at)) if at <= self.now => {
                    self.session.handle_timeout(self.now);
                }
                Output::Timeout(_) => return,
                _ => {}
            }
        }
        panic!("never at rest");
    }
}

/// Stage of the session; then pieces: what to do, a length, and so many bytes.
fn run(input: &[u8]) {
    let Some((&start, mut rest)) = input.split_first() else { return };
    let suite = SUITES[usize::from(start >> 4) % SUITES.len()];
    let mut world = World::new(suite, start & 0x0f == 0x0f);
    match start & 0x07 {
        // So far into the login.
        stage @ 0..=4 => world.talk(usize::from(stage)),
        // Active, with a command under way; with a console as well.
        stage => {
            world.talk(50);
            if stage > 5 {
                world.session.sol_open(world.now, SolConfig::default());
                world.talk(if stage == 6 { 0 } else { 50 });
                world.session.sol_write(world.now, b"input");
            }
            let (net_fn, cmd) = (0x06, 0x37);
            let (data, deadline, repeat) = (Vec::new(), None, Default::default());
            let data = data.into();
            let request =
                Request { token: 1, net_fn, cmd, data, deadline, repeat, ..Request::default() };
            world.session.submit(request);
        }
    }
    let cipher = world.cipher();
    while let [kind, len, after @ ..] = rest {
        let (bytes, after) = after.split_at(usize::from(*len).min(after.len()));
        rest = after;
        match (kind >> 6, &cipher) {
            (0, Some(cipher)) => {
                let mut datagram = world.sealed(cipher, kind & 0x3f, bytes);
                let _ = world.session.handle_datagram(world.now, &mut datagram);
            }
            (1, _) => {
                world.now += Duration::from_millis(u64::from(*len) * 50);
                world.bmc.handle_timeout(world.now);
                world.session.handle_timeout(world.now);
            }
            (2, _) => match kind & 7 {
                0 => world.session.close(world.now),
                1 => world.session.sol_close(),
                2 => drop(world.session.sol_open(world.now, SolConfig::default())),
                3 => drop(world.session.sol_write(world.now, bytes)),
                4 => drop(world.session.sol_break(1)),
                5 => world.session.handle_hint(world.now),
                6 => world.session.cancel(1),
                _ => world.talk(3),
            },
            _ => {
                let _ = world.session.handle_datagram(world.now, &mut bytes.to_vec());
            }
        }
        world.drain();
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| run(input));
