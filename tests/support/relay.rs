//! A bad network between a client and a BMC.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::address::loopback_address;
use super::rng::SplitMix64;

/// How often the thread looks whether it shall stop.
const TICK: Duration = Duration::from_millis(50);
/// A datagram picked for reordering waits this long for another to overtake it.
const REORDER_WAIT: Duration = Duration::from_millis(200);
/// More clients than this are not served, and more datagrams under way are dropped.
const CLIENTS_MAX: usize = 1024;
const UNDER_WAY_MAX: usize = 16 * 1024;
/// Taken from one socket before the others get their turn.
const BATCH_MAX: usize = 64;

/// What happens to datagrams, each way. Rates are 0.0 to 1.0.
#[derive(Clone, Debug)]
pub struct Faults {
    pub loss: f64,
    pub duplicate: f64,
    /// Sent after its follower.
    pub reorder: f64,
    /// Drawn per datagram, so a range reorders too; a single value does not.
    pub delay_ms: RangeInclusive<u64>,
    /// The fate of the n-th datagram of the m-th client in one direction depends on this alone,
    /// not on time. Read when the relay starts.
    pub seed: u64,
}

impl Default for Faults {
    /// A perfect network.
    fn default() -> Self {
        Self { loss: 0.0, duplicate: 0.0, reorder: 0.0, delay_ms: 0..=0, seed: 1 }
    }
}

/// Datagrams of both directions since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayCounts {
    pub received: u64,
    /// Sent on, second copies included.
    pub forwarded: u64,
    pub dropped: u64,
    pub duplicated: u64,
    pub reordered: u64,
}

/// A UDP relay with faults, on an address of its own but with its upstream's port: ipmitool and
/// ipmiconsole insist that SOL stays on the port they connected to.
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    faults: Mutex<Faults>,
    received: AtomicU64,
    forwarded: AtomicU64,
    dropped: AtomicU64,
    duplicated: AtomicU64,
    reordered: AtomicU64,
    forget_clients: AtomicBool,
    stop: AtomicBool,
}

impl Relay {
    #[track_caller]
    pub fn start(upstream: SocketAddr, faults: Faults) -> Self {
        let listener = UdpSocket::bind((loopback_address(), upstream.port()))
            .or_else(|_| UdpSocket::bind((loopback_address(), 0)))
            .expect("a loopback port to listen on");
        listener.set_nonblocking(true).expect("a socket can be made nonblocking");
        let address = listener.local_addr().expect("a bound socket has an address");
        let seed = faults.seed;
        let shared = Arc::new(Shared {
            faults: Mutex::new(faults),
            received: AtomicU64::new(0),
            forwarded: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            duplicated: AtomicU64::new(0),
            reordered: AtomicU64::new(0),
            forget_clients: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let worker = Worker {
            shared: shared.clone(),
            listener,
            upstream,
            seed,
            clients: BTreeMap::new(),
            client_ids: HashMap::new(),
            next_client: 0,
            under_way: BinaryHeap::new(),
            next_order: 0,
        };
        let thread = std::thread::spawn(move || worker.run());
        Self { address, shared, thread: Some(thread) }
    }

    /// Where the client shall connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From the next datagram on. The seed stays as it was.
    pub fn set_faults(&self, faults: Faults) {
        *self.shared.faults.lock().expect("the relay panicked") = faults;
    }

    pub fn counts(&self) -> RelayCounts {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        RelayCounts {
            received: load(&self.shared.received),
            forwarded: load(&self.shared.forwarded),
            dropped: load(&self.shared.dropped),
            duplicated: load(&self.shared.duplicated),
            reordered: load(&self.shared.reordered),
        }
    }

    /// What a NAT does after a pause: from now on the BMC sees each client at a new port, and what
    /// it sends to the old one is lost.
    pub fn forget_clients(&self) {
        self.shared.forget_clients.store(true, Ordering::Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToBmc = 0,
    ToClient = 1,
}

struct Client {
    address: SocketAddr,
    socket: UdpSocket,
    /// By direction.
    lanes: [Lane; 2],
}

struct Lane {
    rng: SplitMix64,
    /// Picked for reordering: goes right after its follower, or when the wait is over.
    held: Option<(Instant, Vec<u8>)>,
}

/// A datagram that was spared, on its way until `due`. Ordered by time, then by arrival.
struct UnderWay {
    due: Instant,
    order: u64,
    client: u64,
    direction: Direction,
    datagram: Vec<u8>,
}

struct Worker {
    shared: Arc<Shared>,
    listener: UdpSocket,
    upstream: SocketAddr,
    seed: u64,
    clients: BTreeMap<u64, Client>,
    client_ids: HashMap<SocketAddr, u64>,
    next_client: u64,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    next_order: u64,
}

impl Worker {
    fn run(mut self) {
        let mut buffer = vec![0; 65536];
        while !self.shared.stop.load(Ordering::Relaxed) {
            if self.shared.forget_clients.swap(false, Ordering::Relaxed) {
                self.clients.clear();
                self.client_ids.clear();
            }
            let readable = self.wait();
            self.receive_from_clients(&mut buffer);
            for client in readable {
                self.receive_from_bmc(client, &mut buffer);
            }
            self.release_held();
            self.deliver();
        }
    }

    /// Until something comes or is due; gives the clients whose BMC side has something.
    fn wait(&self) -> Vec<u64> {
        let held = self.clients.values().flat_map(|client| &client.lanes);
        let held = held.filter_map(|lane| lane.held.as_ref().map(|held| held.0));
        let next = self.under_way.peek().map(|Reverse(first)| first.due);
        let now = Instant::now();
        let until = held.chain(next).min().map_or(TICK, |due| due.saturating_duration_since(now));
        // Rounded up: to wake a moment early would spin.
        let timeout = until.min(TICK).as_micros().div_ceil(1000) as u16;
        let sockets = self.clients.values().map(|client| client.socket.as_fd());
        let mut fds: Vec<PollFd> = std::iter::once(self.listener.as_fd())
            .chain(sockets)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        if poll(&mut fds, PollTimeout::from(timeout)).is_err() {
            return Vec::new();
        }
        let ready = fds[1..].iter().map(|fd| fd.any().unwrap_or(true));
        self.clients.keys().zip(ready).filter(|(_, ready)| *ready).map(|(&id, _)| id).collect()
    }

    fn receive_from_clients(&mut self, buffer: &mut [u8]) {
        for _ in 0..BATCH_MAX {
            // An error is "nothing more", or ICMP's word that a client has gone.
            let Ok((len, from)) = self.listener.recv_from(buffer) else {
                return;
            };
            self.shared.received.fetch_add(1, Ordering::Relaxed);
            match self.client_at(from) {
                Some(client) => self.judge(client, Direction::ToBmc, &buffer[..len]),
                None => self.count_dropped(),
            }
        }
    }

    fn receive_from_bmc(&mut self, id: u64, buffer: &mut [u8]) {
        for _ in 0..BATCH_MAX {
            let Some(client) = self.clients.get(&id) else {
                return;
            };
            let Ok(len) = client.socket.recv(buffer) else {
                return;
            };
            self.shared.received.fetch_add(1, Ordering::Relaxed);
            self.judge(id, Direction::ToClient, &buffer[..len]);
        }
    }

    fn client_at(&mut self, address: SocketAddr) -> Option<u64> {
        if let Some(&id) = self.client_ids.get(&address) {
            return Some(id);
        }
        if self.clients.len() == CLIENTS_MAX {
            return None;
        }
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect(self.upstream).ok()?;
        socket.set_nonblocking(true).ok()?;
        let id = self.next_client;
        self.next_client += 1;
        let mut seeds = SplitMix64::new(self.seed ^ id.wrapping_mul(0xd605_1e95_3b2c_87a1));
        let lanes = [(); 2].map(|()| Lane { rng: SplitMix64::new(seeds.next_u64()), held: None });
        self.clients.insert(id, Client { address, socket, lanes });
        self.client_ids.insert(address, id);
        Some(id)
    }

    /// Decides what becomes of one datagram.
    fn judge(&mut self, id: u64, direction: Direction, datagram: &[u8]) {
        let faults = self.shared.faults.lock().expect("a test panicked").clone();
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let lane = &mut client.lanes[direction as usize];
        // Always four draws, so that a changed rate does not move the fate of later ones.
        let rng = &mut lane.rng;
        let lost = rng.next_f64() < faults.loss;
        let doubled = rng.next_f64() < faults.duplicate;
        let reordered = rng.next_f64() < faults.reorder;
        let delay_ms = rng.in_range(*faults.delay_ms.start(), *faults.delay_ms.end());
        if lost {
            self.count_dropped();
            return;
        }
        let now = Instant::now();
        if reordered && lane.held.is_none() {
            lane.held = Some((now + REORDER_WAIT, datagram.to_vec()));
            return;
        }
        let overtaken = lane.held.take();
        let due = now + Duration::from_millis(delay_ms);
        self.send_later(id, direction, due, datagram.to_vec());
        if doubled {
            self.shared.duplicated.fetch_add(1, Ordering::Relaxed);
            self.send_later(id, direction, due, datagram.to_vec());
        }
        if let Some((_, datagram)) = overtaken {
            self.shared.reordered.fetch_add(1, Ordering::Relaxed);
            self.send_later(id, direction, due, datagram);
        }
    }

    /// Sends on what nothing overtook in time.
    fn release_held(&mut self) {
        let now = Instant::now();
        let mut released = Vec::new();
        for (&id, client) in &mut self.clients {
            for direction in [Direction::ToBmc, Direction::ToClient] {
                let held = &mut client.lanes[direction as usize].held;
                if let Some((_, datagram)) = held.take_if(|(due, _)| *due <= now) {
                    released.push((id, direction, datagram));
                }
            }
        }
        for (id, direction, datagram) in released {
            self.send_later(id, direction, now, datagram);
        }
    }

    fn send_later(&mut self, client: u64, direction: Direction, due: Instant, datagram: Vec<u8>) {
        if self.under_way.len() == UNDER_WAY_MAX {
            self.count_dropped();
            return;
        }
        let order = self.next_order;
        self.next_order += 1;
        self.under_way.push(Reverse(UnderWay { due, order, client, direction, datagram }));
    }

    fn deliver(&mut self) {
        let now = Instant::now();
        while self.under_way.peek().is_some_and(|Reverse(first)| first.due <= now) {
            let Some(Reverse(first)) = self.under_way.pop() else {
                return;
            };
            let Some(client) = self.clients.get(&first.client) else {
                self.count_dropped();
                continue;
            };
            let sent = match first.direction {
                Direction::ToBmc => client.socket.send(&first.datagram),
                Direction::ToClient => self.listener.send_to(&first.datagram, client.address),
            };
            match sent {
                Ok(_) => drop(self.shared.forwarded.fetch_add(1, Ordering::Relaxed)),
                // Nobody listens: what was sent is lost, as on a wire.
                Err(_) => self.count_dropped(),
            }
        }
    }

    fn count_dropped(&self) {
        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

impl PartialEq for UnderWay {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for UnderWay {}

impl PartialOrd for UnderWay {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UnderWay {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}
