//! An in-memory network with a virtual clock: loses, doubles, reorders, spoils and delays.
//!
//! A [`Network`] is a value. The caller says what time it is, so a test of an hour of a bad line
//! takes no time, and the same seed and the same calls give the same faults.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::crypto::Generator;

/// What a network does to the datagrams that cross it. The default is a perfect network.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    /// The probability that a datagram is dropped, `0.0..=1.0`.
    pub loss: f64,
    /// The probability that a datagram arrives twice. The copy has faults of its own.
    pub duplicate: f64,
    /// The probability that a datagram is held back while later ones pass it.
    pub reorder: f64,
    /// The probability that one to four neighbouring bytes of a datagram are changed.
    pub corrupt: f64,
    /// How long a datagram travels. Datagrams of one sender to one receiver keep their order,
    /// however long each took; only `reorder` changes it. An empty range means its start.
    pub delay: Range<Duration>,
    /// How much longer a datagram that `reorder` picked travels.
    pub reorder_delay: Range<Duration>,
}

impl Default for Faults {
    fn default() -> Self {
        Faults {
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            corrupt: 0.0,
            delay: Duration::ZERO..Duration::ZERO,
            reorder_delay: Duration::from_millis(1)..Duration::from_millis(100),
        }
    }
}

impl Faults {
    /// Whether nothing ever happens to a datagram, not even a delay.
    pub fn is_perfect(&self) -> bool {
        let unlikely = [self.loss, self.duplicate, self.reorder, self.corrupt];
        unlikely == [0.0; 4] && self.delay.start.is_zero() && self.delay.end.is_zero()
    }

    /// The name and value of the first probability that is not in `0.0..=1.0`.
    pub fn invalid(&self) -> Option<(&'static str, f64)> {
        let all = [
            ("loss", self.loss),
            ("duplicate", self.duplicate),
            ("reorder", self.reorder),
            ("corrupt", self.corrupt),
        ];
        all.into_iter().find(|(_, probability)| !(0.0..=1.0).contains(probability))
    }
}

/// How many datagrams met which fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetworkCounters {
    /// Datagrams given to the network.
    pub sent: u64,
    /// Datagrams that arrived, copies included.
    pub delivered: u64,
    /// Datagrams dropped by [`Faults::loss`].
    pub lost: u64,
    /// Datagrams of which a second copy was made.
    pub duplicated: u64,
    /// Datagrams and copies that were held back.
    pub reordered: u64,
    /// Datagrams and copies that were changed.
    pub corrupted: u64,
    /// Datagrams and copies dropped because one end was unreachable.
    pub unreachable: u64,
}

/// Datagrams on their way between any number of addresses.
#[derive(Debug)]
pub struct Network {
    random: Generator,
    faults: Faults,
    faults_to: HashMap<SocketAddr, Faults>,
    cut_off: HashSet<SocketAddr>,
    in_flight: BinaryHeap<InFlight>,
    /// When the last datagram of a flow arrives: the next one must not overtake it by jitter.
    flows: HashMap<(SocketAddr, SocketAddr), Instant>,
    next_order: u64,
    counters: NetworkCounters,
}

impl Network {
    /// A network that treats every datagram with `faults`.
    pub fn new(seed: u64, faults: Faults) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Network {
            random: Generator::from_seed(bytes),
            faults,
            faults_to: HashMap::new(),
            cut_off: HashSet::new(),
            in_flight: BinaryHeap::new(),
            flows: HashMap::new(),
            next_order: 0,
            counters: NetworkCounters::default(),
        }
    }

    /// Changes the faults of every direction that has none of its own. Datagrams on their way
    /// keep the fate they have.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// Gives the direction towards `to` faults of its own: one call each for the BMC and for the
    /// remote console makes a line that is bad one way only.
    pub fn set_faults_to(&mut self, to: SocketAddr, faults: Faults) {
        self.faults_to.insert(to, faults);
    }

    /// Cuts an address off, or reconnects it. Nothing is sent by or arrives at an address that is
    /// cut off, not even what was on its way.
    pub fn set_reachable(&mut self, address: SocketAddr, reachable: bool) {
        if reachable {
            self.cut_off.remove(&address);
        } else {
            self.cut_off.insert(address);
        }
    }

    /// Sends one datagram.
    pub fn send(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, mut datagram: Vec<u8>) {
        self.counters.sent += 1;
        if self.cut_off.contains(&from) || self.cut_off.contains(&to) {
            self.counters.unreachable += 1;
            return;
        }
        let faults = self.faults_to.get(&to).unwrap_or(&self.faults);
        if chance(&mut self.random, faults.loss) {
            self.counters.lost += 1;
            return;
        }
        let copies = if chance(&mut self.random, faults.duplicate) {
            self.counters.duplicated += 1;
            2
        } else {
            1
        };
        for left in (0..copies).rev() {
            let copy = if left > 0 { datagram.clone() } else { std::mem::take(&mut datagram) };
            self.dispatch(now, from, to, copy);
        }
    }

    /// Takes the next datagram that has arrived, as `(from, to, datagram)`.
    pub fn poll(&mut self, now: Instant) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
        while self.in_flight.peek().is_some_and(|next| next.at <= now) {
            let InFlight { from, to, datagram, .. } = self.in_flight.pop()?;
            if self.cut_off.contains(&from) || self.cut_off.contains(&to) {
                self.counters.unreachable += 1;
                continue;
            }
            self.counters.delivered += 1;
            return Some((from, to, datagram));
        }
        None
    }

    /// When the next datagram arrives; `None` when none is on its way.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.in_flight.peek().map(|next| next.at)
    }

    /// Whether a datagram sent now arrives now, as it is, before all others.
    pub fn is_transparent(&self) -> bool {
        self.faults.is_perfect()
            && self.faults_to.is_empty()
            && self.cut_off.is_empty()
            && self.in_flight.is_empty()
    }

    /// What happened so far.
    pub fn counters(&self) -> NetworkCounters {
        self.counters
    }

    /// Puts one copy on its way, with delay, reordering and corruption of its own.
    fn dispatch(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, mut datagram: Vec<u8>) {
        let faults = self.faults_to.get(&to).unwrap_or(&self.faults);
        if chance(&mut self.random, faults.corrupt) && !datagram.is_empty() {
            self.counters.corrupted += 1;
            corrupt(&mut self.random, &mut datagram);
        }
        let mut at = now + pick(&mut self.random, &faults.delay);
        if let Some(&last) = self.flows.get(&(from, to)) {
            at = at.max(last);
        }
        if chance(&mut self.random, faults.reorder) {
            self.counters.reordered += 1;
            at += pick(&mut self.random, &faults.reorder_delay);
        } else if at > now {
            // A datagram held back does not count: the next ones may pass it.
            self.remember_flow(now, (from, to), at);
        }
        let order = self.next_order;
        self.next_order += 1;
        self.in_flight.push(InFlight { at, order, from, to, datagram });
    }

    fn remember_flow(&mut self, now: Instant, flow: (SocketAddr, SocketAddr), at: Instant) {
        // Flows whose last datagram arrived say nothing. Sweeping when the table is full, and
        // leaving it half empty, keeps it bounded by what is on its way at a constant cost.
        if self.flows.len() == self.flows.capacity() {
            self.flows.retain(|_, last| *last > now);
            self.flows.reserve(self.flows.len());
        }
        self.flows.insert(flow, at);
    }
}

#[derive(Debug)]
struct InFlight {
    at: Instant,
    /// Datagrams that arrive at the same time arrive in the order they were sent.
    order: u64,
    from: SocketAddr,
    to: SocketAddr,
    datagram: Vec<u8>,
}

// The greatest of a `BinaryHeap` comes first, so the earliest arrival is the greatest.
impl Ord for InFlight {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for InFlight {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for InFlight {}

fn chance(random: &mut Generator, probability: f64) -> bool {
    const NUMBERS: f64 = 4_294_967_296.0; // 2^32: a probability of 1.0 always happens.
    probability > 0.0 && f64::from(random.number()) < probability * NUMBERS
}

fn pick(random: &mut Generator, range: &Range<Duration>) -> Duration {
    let span = range.end.saturating_sub(range.start).as_nanos();
    range.start + Duration::from_nanos(random.below(u64::try_from(span).unwrap_or(u64::MAX)))
}

/// Changes one to four neighbouring bytes; never leaves the datagram as it was.
fn corrupt(random: &mut Generator, datagram: &mut [u8]) {
    let start = random.below(datagram.len() as u64) as usize;
    let len = 1 + random.below(4) as usize;
    for byte in datagram[start..].iter_mut().take(len) {
        *byte ^= 1 + random.below(255) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 623))
    }

    /// Sends `count` numbered datagrams, a millisecond apart, and returns what arrived and when.
    fn run(network: &mut Network, count: u32) -> Vec<(Duration, Vec<u8>)> {
        let start = Instant::now();
        let mut arrived = Vec::new();
        for number in 0..count {
            let now = start + MS * number;
            network.send(now, address(1), address(2), number.to_be_bytes().to_vec());
        }
        while let Some(at) = network.poll_timeout() {
            while let Some((from, to, datagram)) = network.poll(at) {
                assert_eq!((from, to), (address(1), address(2)));
                arrived.push((at - start, datagram));
            }
        }
        arrived
    }

    fn numbers(arrived: &[(Duration, Vec<u8>)]) -> Vec<u32> {
        let number = |bytes: &Vec<u8>| u32::from_be_bytes(bytes[..].try_into().unwrap());
        arrived.iter().map(|(_, bytes)| number(bytes)).collect()
    }

    #[test]
    fn a_perfect_network_changes_nothing() {
        let mut network = Network::new(1, Faults::default());
        let arrived = run(&mut network, 1000);
        assert_eq!(numbers(&arrived), (0..1000).collect::<Vec<_>>());
        assert!(arrived.iter().zip(0..).all(|((at, _), n)| *at == MS * n));
        let NetworkCounters { sent, delivered, lost, duplicated, reordered, corrupted, .. } =
            network.counters();
        assert_eq!((sent, delivered), (1000, 1000));
        assert_eq!((lost, duplicated, reordered, corrupted), (0, 0, 0, 0));
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let faults = Faults {
            loss: 0.2,
            duplicate: 0.2,
            reorder: 0.2,
            corrupt: 0.2,
            delay: MS..MS * 20,
            ..Faults::default()
        };
        let mut one = Network::new(7, faults.clone());
        let mut two = Network::new(7, faults.clone());
        let mut other = Network::new(8, faults);
        let arrived = run(&mut one, 500);
        assert_eq!(arrived, run(&mut two, 500));
        assert_eq!(one.counters(), two.counters());
        assert_ne!(arrived, run(&mut other, 500));
    }

    #[test]
    fn faults_come_as_often_as_asked() {
        let about = |count: u64| assert!((850..1150).contains(&count), "{count} of 10000");
        let perfect = Faults::default;
        let mut network = Network::new(2, Faults { loss: 0.1, ..perfect() });
        assert_eq!(run(&mut network, 10_000).len() as u64, 10_000 - network.counters().lost);
        about(network.counters().lost);
        let mut network = Network::new(3, Faults { duplicate: 0.1, ..perfect() });
        assert_eq!(run(&mut network, 10_000).len() as u64, 10_000 + network.counters().duplicated);
        about(network.counters().duplicated);
        let mut network = Network::new(4, Faults { corrupt: 0.1, ..perfect() });
        let arrived = numbers(&run(&mut network, 10_000));
        let changed = arrived.iter().zip(0..).filter(|(number, sent)| **number != *sent).count();
        assert_eq!(changed as u64, network.counters().corrupted);
        about(network.counters().corrupted);
        let mut network = Network::new(5, Faults { reorder: 0.1, ..perfect() });
        run(&mut network, 10_000);
        about(network.counters().reordered);
    }

    #[test]
    fn certain_faults_are_certain() {
        let mut network = Network::new(1, Faults { loss: 1.0, ..Faults::default() });
        assert!(run(&mut network, 1000).is_empty());
        let mut network = Network::new(1, Faults { duplicate: 1.0, ..Faults::default() });
        assert_eq!(run(&mut network, 1000).len(), 2000);
    }

    #[test]
    fn jitter_alone_keeps_the_order() {
        let mut network = Network::new(1, Faults { delay: MS..MS * 50, ..Faults::default() });
        let arrived = run(&mut network, 1000);
        assert!(numbers(&arrived).is_sorted());
        assert!(arrived.iter().zip(0..).all(|((at, _), n)| *at >= MS * (n + 1)));
        assert!(arrived.iter().zip(0..).all(|((at, _), n)| *at < MS * (n + 51)));
    }

    #[test]
    fn a_reordered_datagram_is_passed_by_later_ones() {
        let faults = Faults { reorder: 0.05, delay: MS..MS * 3, ..Faults::default() };
        let mut network = Network::new(1, faults);
        let arrived = numbers(&run(&mut network, 1000));
        assert!(!arrived.is_sorted());
        let mut sorted = arrived.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn each_direction_has_its_own_faults() {
        let mut network = Network::new(1, Faults::default());
        network.set_faults_to(address(2), Faults { loss: 1.0, ..Faults::default() });
        let now = Instant::now();
        network.send(now, address(1), address(2), vec![1]);
        network.send(now, address(2), address(1), vec![2]);
        assert_eq!(network.poll(now), Some((address(2), address(1), vec![2])));
        assert_eq!(network.poll(now), None);
        network.set_faults_to(address(2), Faults::default());
        network.send(now, address(1), address(2), vec![3]);
        assert_eq!(network.poll(now), Some((address(1), address(2), vec![3])));
    }

    #[test]
    fn nothing_reaches_an_address_that_is_cut_off() {
        let mut network = Network::new(1, Faults { delay: MS..MS, ..Faults::default() });
        let now = Instant::now();
        network.send(now, address(1), address(2), vec![1]);
        network.set_reachable(address(2), false);
        network.send(now, address(1), address(2), vec![2]);
        network.send(now, address(2), address(1), vec![3]);
        assert_eq!(network.poll(now + MS), None);
        assert_eq!(network.counters().unreachable, 3);
        network.set_reachable(address(2), true);
        network.send(now, address(1), address(2), vec![4]);
        assert_eq!(network.poll(now), None);
        assert_eq!(network.poll(now + MS), Some((address(1), address(2), vec![4])));
    }

    #[test]
    fn finished_flows_are_forgotten() {
        let mut network = Network::new(1, Faults { delay: MS..MS, ..Faults::default() });
        let start = Instant::now();
        for port in 1..=u16::MAX {
            let now = start + MS * 2 * u32::from(port);
            network.send(now, SocketAddr::from(([127, 0, 0, 1], port)), address(2), vec![]);
            assert!(network.poll(now + MS).is_some());
        }
        assert!(network.flows.len() < 100);
    }

    #[test]
    fn a_probability_outside_its_range_is_named() {
        assert_eq!(Faults::default().invalid(), None);
        let faults = Faults { reorder: 1.5, ..Faults::default() };
        assert_eq!(faults.invalid(), Some(("reorder", 1.5)));
        assert!(Faults { loss: f64::NAN, ..Faults::default() }.invalid().is_some());
    }
}
