//! Many BMCs, their timers and their programs: what the thread of a simulator runs.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nix::sys::epoll::Epoll;

use super::bmc::ManagedSystem;
use super::net::{Faults, Network};
use super::program::{CommandModel, Watch};
use super::serial::{self, SerialModel};
use super::simulator::{Serial, SimulatorCounters, SimulatorOptions};
use super::udp::LoopbackSocket;

/// All BMCs of one simulator and the network between them and the socket.
pub(super) struct Rack {
    socket: Arc<LoopbackSocket>,
    systems: Vec<ManagedSystem>,
    /// For [`Serial::Command`]: tells a program's model that its terminal is ready.
    terminals: Vec<Arc<AtomicBool>>,
    /// When each BMC is looked at next. Never later than it asked for, so a deadline that moves
    /// away costs nothing until the old one came.
    alarms: BTreeSet<(Instant, u32)>,
    alarm_of: Vec<Option<Instant>>,
    inbound: Network,
    outbound: Network,
    counters: SimulatorCounters,
}

impl Rack {
    pub(super) fn new(
        socket: Arc<LoopbackSocket>,
        epoll: &Arc<Epoll>,
        options: &SimulatorOptions,
    ) -> Self {
        let now = Instant::now();
        let mut rack = Rack {
            systems: Vec::new(),
            terminals: Vec::new(),
            alarms: BTreeSet::new(),
            alarm_of: vec![None; socket.count() as usize],
            // Different numbers in each direction, from one seed.
            inbound: Network::new(options.seed, options.faults_in.clone()),
            outbound: Network::new(!options.seed, options.faults_out.clone()),
            socket,
            counters: SimulatorCounters::default(),
        };
        for index in 0..rack.socket.count() {
            let mut system = rack.system(options, index, now);
            if let Some(model) = rack.serial_model(options, epoll, index, now) {
                system.attach_serial(model);
            }
            rack.systems.push(system);
            rack.settle(now, index);
        }
        rack
    }

    /// Takes a datagram off the socket.
    pub(super) fn receive(&mut self, now: Instant, index: u32, from: SocketAddr, datagram: &[u8]) {
        self.counters.received += 1;
        if self.inbound.is_transparent() {
            self.deliver(now, index, from, datagram);
        } else {
            self.inbound.send(now, from, self.socket.address(index), datagram.to_vec());
        }
    }

    /// Does everything that is due.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some((from, to, datagram)) = self.inbound.poll(now) {
            if let Some(index) = self.socket.index(to.ip()) {
                self.deliver(now, index, from, &datagram);
            }
        }
        // No more than one turn each: a BMC that wants another look at once waits its turn.
        for _ in 0..self.alarms.len() {
            match self.alarms.first() {
                Some(&(at, index)) if at <= now => self.on_alarm(now, at, index),
                _ => break,
            }
        }
        while let Some((from, to, datagram)) = self.outbound.poll(now) {
            if let Some(index) = self.socket.index(from.ip()) {
                self.put_on_wire(index, to, &datagram);
            }
        }
    }

    /// Lets `poke` at one BMC, and sends what it has to say after that.
    pub(super) fn poke<T>(
        &mut self,
        now: Instant,
        index: u32,
        poke: impl FnOnce(&mut ManagedSystem, Instant) -> T,
    ) -> T {
        let answer = poke(&mut self.systems[index as usize], now);
        self.settle(now, index);
        answer
    }

    /// The terminal of a program became readable or writable, or the program ended.
    pub(super) fn on_program_ready(&mut self, now: Instant, index: u32) {
        if let Some(ready) = self.terminals.get(index as usize) {
            ready.store(true, Ordering::Relaxed);
        }
        self.systems[index as usize].handle_timeout(now);
        self.settle(now, index);
    }

    pub(super) fn set_faults(&mut self, faults_in: Faults, faults_out: Faults) {
        self.inbound.set_faults(faults_in);
        self.outbound.set_faults(faults_out);
    }

    pub(super) fn set_reachable(&mut self, address: SocketAddr, reachable: bool) {
        self.inbound.set_reachable(address, reachable);
        self.outbound.set_reachable(address, reachable);
    }

    pub(super) fn add_unserved(&mut self, count: u64) {
        self.counters.unserved += count;
    }

    /// When `advance` has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let alarm = self.alarms.first().map(|(at, _)| *at);
        let networks = [self.inbound.poll_timeout(), self.outbound.poll_timeout()];
        alarm.into_iter().chain(networks.into_iter().flatten()).min()
    }

    pub(super) fn counters(&self) -> SimulatorCounters {
        SimulatorCounters {
            logins: self.systems.iter().map(|system| system.counters().sessions_opened).sum(),
            faults_in: self.inbound.counters(),
            faults_out: self.outbound.counters(),
            ..self.counters
        }
    }

    fn deliver(&mut self, now: Instant, index: u32, from: SocketAddr, datagram: &[u8]) {
        self.systems[index as usize].handle_datagram(now, from, datagram);
        self.settle(now, index);
    }

    fn on_alarm(&mut self, now: Instant, at: Instant, index: u32) {
        self.alarms.remove(&(at, index));
        self.alarm_of[index as usize] = None;
        self.systems[index as usize].handle_timeout(now);
        self.settle(now, index);
    }

    /// Takes everything one BMC has to give, after anything happened to it.
    fn settle(&mut self, now: Instant, index: u32) {
        while let Some((to, datagram)) = self.systems[index as usize].poll_transmit() {
            if self.outbound.is_transparent() {
                self.put_on_wire(index, to, &datagram);
            } else {
                self.outbound.send(now, self.socket.address(index), to, datagram);
            }
        }
        if let Some(at) = self.systems[index as usize].poll_timeout() {
            self.set_alarm(index, at);
        }
    }

    fn set_alarm(&mut self, index: u32, at: Instant) {
        let alarm = &mut self.alarm_of[index as usize];
        match *alarm {
            Some(earlier) if earlier <= at => return,
            Some(later) => drop(self.alarms.remove(&(later, index))),
            None => {}
        }
        *alarm = Some(at);
        self.alarms.insert((at, index));
    }

    fn put_on_wire(&mut self, index: u32, to: SocketAddr, datagram: &[u8]) {
        match self.socket.send(index, to, datagram) {
            Ok(()) => self.counters.sent += 1,
            Err(_) => self.counters.send_errors += 1,
        }
    }

    /// BMC `index`, with a name and random numbers of its own.
    fn system(&self, options: &SimulatorOptions, index: u32, now: Instant) -> ManagedSystem {
        let mut bmc = options.bmc.clone();
        bmc.port = self.socket.address(index).port();
        let [.., a, b, c, d] = &mut bmc.guid;
        let number = u32::from_be_bytes([*a, *b, *c, *d]).wrapping_add(index);
        [*a, *b, *c, *d] = number.to_be_bytes();
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&options.seed.to_le_bytes());
        seed[8..12].copy_from_slice(&index.to_le_bytes());
        seed[31] = 1; // The seeds of the networks have 0 there.
        ManagedSystem::new(bmc, seed, now)
    }

    fn serial_model(
        &mut self,
        options: &SimulatorOptions,
        epoll: &Arc<Epoll>,
        index: u32,
        now: Instant,
    ) -> Option<Box<dyn SerialModel>> {
        Some(match &options.serial {
            Serial::Shell => Box::new(serial::Shell::new(now)),
            Serial::Echo => Box::new(serial::Echo::new()),
            Serial::Flood => Box::new(serial::Flood::new(None)),
            Serial::Boot => Box::new(serial::Boot::new(now)),
            Serial::Command(command) => {
                let ready = Arc::new(AtomicBool::new(false));
                self.terminals.push(ready.clone());
                let watch = Watch { epoll: epoll.clone(), token: index.into(), ready };
                Box::new(CommandModel::new(command, watch, now))
            }
            Serial::None => return None,
        })
    }
}
