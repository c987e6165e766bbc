//! Simulated BMCs on real loopback UDP: plain sockets and one thread, on purpose not our engine.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use parking_lot::Mutex;

use super::bmc::ManagedSystem;
use super::net::{Faults, NetworkCounters};
use super::options::BmcOptions;
use super::rack::Rack;
use super::udp::{Buffers, LoopbackSocket};

/// The most BMCs one [`Simulator`] runs.
pub const SIMULATED_BMC_MAX: usize = 20_000;

/// What a [`Simulator`] simulates, and where.
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    /// The address of the first BMC; the others have the addresses after it. Loopback only:
    /// one BMC may have any address of 127.0.0.0/8 or `::1`, several are IPv4.
    pub bind: IpAddr,
    /// The UDP port of every BMC; 0 takes a free one.
    pub port: u16,
    /// How many BMCs, 1 to [`SIMULATED_BMC_MAX`].
    pub count: usize,
    /// What every BMC starts with.
    pub bmc: BmcOptions,
    /// What is behind the serial port of every BMC.
    pub serial: Serial,
    /// What happens to datagrams on their way to a BMC.
    pub faults_in: Faults,
    /// What happens to datagrams that come from a BMC.
    pub faults_out: Faults,
    /// Decides every random number of the BMCs and of the faults.
    pub seed: u64,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        SimulatorOptions {
            bind: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            count: 1,
            bmc: BmcOptions::default(),
            serial: Serial::default(),
            faults_in: Faults::default(),
            faults_out: Faults::default(),
            seed: 0,
        }
    }
}

/// What is behind a serial port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Serial {
    /// A login and a shell that knows a few commands.
    #[default]
    Shell,
    /// Everything typed comes back.
    Echo,
    /// Prints without end, as fast as the BMC takes it.
    Flood,
    /// A boot log, then a login.
    Boot,
    /// A shell command on a terminal of its own, started when SOL is activated and it does not
    /// run. A break does nothing to it; switching the host off, resetting it and the end of the
    /// simulator kill everything in its terminal's session. Needs the `setsid` program of
    /// util-linux or BusyBox.
    Command(String),
    /// Nothing: only [`Simulator::with`] prints and reads.
    None,
}

impl FromStr for Serial {
    type Err = UnknownSerial;

    /// Reads `shell`, `echo`, `flood`, `boot`, `none` or `cmd:PROGRAM`.
    fn from_str(name: &str) -> Result<Self, UnknownSerial> {
        Ok(match name {
            "shell" => Serial::Shell,
            "echo" => Serial::Echo,
            "flood" => Serial::Flood,
            "boot" => Serial::Boot,
            "none" => Serial::None,
            _ => match name.strip_prefix("cmd:") {
                Some(program) if !program.trim().is_empty() => Serial::Command(program.to_owned()),
                _ => return Err(UnknownSerial),
            },
        })
    }
}

/// The text given is no [`Serial`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownSerial;

impl fmt::Display for UnknownSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not shell, echo, flood, boot, none or cmd:PROGRAM")
    }
}

impl std::error::Error for UnknownSerial {}

/// What a [`Simulator`] did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SimulatorCounters {
    /// Datagrams that came in, before the faults.
    pub received: u64,
    /// Datagrams that went out, after the faults.
    pub sent: u64,
    /// Datagrams dropped because they were not from or to an address served.
    pub unserved: u64,
    /// Datagrams the system would not send.
    pub send_errors: u64,
    /// Sessions opened at all BMCs.
    pub logins: u64,
    /// What the faults did to the datagrams that came in. Zero while there never were any faults.
    pub faults_in: NetworkCounters,
    /// What the faults did to the datagrams that went out. Zero while there never were any faults.
    pub faults_out: NetworkCounters,
}

/// Simulated BMCs on the loopback device, on a thread of their own. Ends when it is dropped.
pub struct Simulator {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    socket: Arc<LoopbackSocket>,
    rack: Mutex<Rack>,
    epoll: Arc<Epoll>,
    waker: EventFd,
    stopping: AtomicBool,
}

impl Simulator {
    /// Starts the BMCs. They answer when this returns.
    ///
    /// Fails with `InvalidInput` for options out of range, and with the error of the socket
    /// when the address or port cannot be had. The message names the value.
    pub fn start(options: SimulatorOptions) -> io::Result<Self> {
        let count = check(&options)?;
        let address = SocketAddr::new(options.bind, options.port);
        let socket = Arc::new(LoopbackSocket::bind(address, count)?);
        let waker = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let epoll = Arc::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, SOCKET))?;
        epoll.add(&waker, EpollEvent::new(EpollFlags::EPOLLIN, WAKER))?;
        let rack = Rack::new(socket.clone(), &epoll, &options);
        let shared = Arc::new(Shared {
            socket,
            rack: Mutex::new(rack),
            epoll,
            waker,
            stopping: AtomicBool::new(false),
        });
        let thread = std::thread::Builder::new().name("bmclink-sim".to_owned()).spawn({
            let shared = shared.clone();
            move || shared.serve()
        })?;
        Ok(Simulator { shared, thread: Some(thread) })
    }

    /// How many BMCs there are.
    pub fn count(&self) -> usize {
        self.shared.socket.count() as usize
    }

    /// The address of BMC `index`. Panics when there is none.
    pub fn address(&self, index: usize) -> SocketAddr {
        self.shared.socket.address(number(index))
    }

    /// Changes BMC `index`, or asks it something. What it has to send is sent on return.
    ///
    /// All BMCs wait meanwhile; calling the simulator from inside `poke` deadlocks. Panics when
    /// there is no such BMC.
    pub fn with<T>(&self, index: usize, poke: impl FnOnce(&mut ManagedSystem, Instant) -> T) -> T {
        let answer = self.shared.rack.lock().poke(Instant::now(), number(index), poke);
        self.wake();
        answer
    }

    /// Changes what happens to datagrams in each direction. Those on their way are not touched.
    pub fn set_faults(&self, faults_in: Faults, faults_out: Faults) {
        self.shared.rack.lock().set_faults(faults_in, faults_out);
    }

    /// Cuts BMC `index` off, or reconnects it. It goes on running. Panics when there is none.
    pub fn set_reachable(&self, index: usize, reachable: bool) {
        let address = self.address(index);
        self.shared.rack.lock().set_reachable(address, reachable);
    }

    /// What happened so far.
    pub fn counters(&self) -> SimulatorCounters {
        self.shared.rack.lock().counters()
    }

    /// Ends all BMCs and everything they started, waits until they are gone, and says what they
    /// did. Dropping does the same and says nothing.
    pub fn stop(mut self) -> SimulatorCounters {
        if let Some(Err(panic)) = self.end() {
            std::panic::resume_unwind(panic);
        }
        self.counters()
    }

    fn end(&mut self) -> Option<std::thread::Result<()>> {
        self.shared.stopping.store(true, Ordering::Release);
        self.wake();
        self.thread.take().map(JoinHandle::join)
    }

    fn wake(&self) {
        // Fails only when the counter is full, and then it is readable as it should be.
        let _ = self.shared.waker.write(1);
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(Err(_)) = self.end() {
            log::error!("the thread of a simulator panicked");
        }
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator")
            .field("address", &self.address(0))
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The life of the thread: wait, take what came in, do what is due.
    fn serve(&self) {
        let mut buffers = Buffers::new();
        while !self.stopping.load(Ordering::Acquire) {
            self.wait();
            let mut events = [EpollEvent::empty(); 32];
            let ready = self.epoll.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
            for event in &events[..ready] {
                match event.data() {
                    SOCKET => self.receive(&mut buffers),
                    WAKER => drop(self.waker.read()),
                    index => self.rack.lock().on_program_ready(Instant::now(), index as u32),
                }
            }
            self.rack.lock().advance(Instant::now());
        }
    }

    /// Sleeps until something is ready or due.
    fn wait(&self) {
        let due = self.rack.lock().poll_timeout();
        let timeout = due.map(|due| due.saturating_duration_since(Instant::now()).into());
        // Not epoll_wait: it counts in milliseconds, and short delays are worth simulating.
        let mut fds = [PollFd::new(self.epoll.0.as_fd(), PollFlags::POLLIN)];
        let _ = ppoll(&mut fds, timeout, None);
    }

    fn receive(&self, buffers: &mut Buffers) {
        // A few batches, then timers and programs have their turn.
        for _ in 0..BATCHES_PER_WAKE {
            let mut rack = self.rack.lock();
            let now = Instant::now();
            let handle = |index, from, datagram: &[u8]| rack.receive(now, index, from, datagram);
            match self.socket.receive(buffers, handle) {
                Ok(Some(dropped)) => rack.add_unserved(dropped),
                Ok(None) => return,
                Err(e) => return log::warn!("simulator: receiving failed: {e}"),
            }
        }
    }
}

const SOCKET: u64 = u64::MAX;
const WAKER: u64 = u64::MAX - 1;
const BATCHES_PER_WAKE: usize = 16;

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("there are never so many BMCs")
}

/// The number of BMCs, if the options are in range.
fn check(options: &SimulatorOptions) -> io::Result<u32> {
    let invalid = |what: String| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    if !(1..=SIMULATED_BMC_MAX).contains(&options.count) {
        return invalid(format!("{} BMCs: not in 1..={SIMULATED_BMC_MAX}", options.count));
    }
    for faults in [&options.faults_in, &options.faults_out] {
        if let Some((name, value)) = faults.invalid() {
            return invalid(format!("{name} {value}: not a probability in 0..=1"));
        }
    }
    Ok(options.count as u32)
}
