//! The machine at the far end of a BMC's serial line.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the thread looks whether it shall stop.
const TICK: Duration = Duration::from_millis(50);
/// How long `send` waits for the BMC to be connected, and to take the bytes.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// What the peer does with the bytes that come, apart from noting them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SerialMode {
    /// Answers nothing by itself.
    #[default]
    Silent,
    /// Sends every byte back.
    Echo,
}

/// A TCP server that takes one connection at a time, the BMC's serial port. It notes every byte
/// that comes, over all connections, and sends what it is told.
pub struct SerialPeer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    stop: AtomicBool,
}

struct State {
    received: Vec<u8>,
    connection: Option<TcpStream>,
    connection_count: usize,
    mode: SerialMode,
}

impl SerialPeer {
    pub fn start(address: Ipv4Addr, mode: SerialMode) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("a loopback port to listen on");
        let address = listener.local_addr().expect("a bound socket has an address");
        listener.set_nonblocking(true).expect("a socket can be made nonblocking");
        let state = State { received: Vec::new(), connection: None, connection_count: 0, mode };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let theirs = shared.clone();
        let thread = std::thread::spawn(move || theirs.serve(&listener));
        Self { address, shared, thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set_mode(&self, mode: SerialMode) {
        self.shared.lock().mode = mode;
    }

    /// Every byte the BMC sent so far, or since the last `clear`.
    pub fn received(&self) -> Vec<u8> {
        self.shared.lock().received.clone()
    }

    pub fn received_len(&self) -> usize {
        self.shared.lock().received.len()
    }

    /// Forgets what was received, and gives it.
    pub fn clear(&self) -> Vec<u8> {
        std::mem::take(&mut self.shared.lock().received)
    }

    pub fn is_connected(&self) -> bool {
        self.shared.lock().connection.is_some()
    }

    /// How many connections there have been: tells a new one from the old.
    pub fn connection_count(&self) -> usize {
        self.shared.lock().connection_count
    }

    pub fn wait_connected(&self, timeout: Duration) -> bool {
        self.shared.wait(timeout, |state| state.connection.is_some())
    }

    /// Waits until `wanted` accepts all that was received; false when time is up.
    pub fn wait_for(&self, wanted: impl Fn(&[u8]) -> bool, timeout: Duration) -> bool {
        self.shared.wait(timeout, |state| wanted(&state.received))
    }

    /// Prints `bytes` on the BMC's serial port. Waits for a connection; panics without one, or
    /// when the BMC stops taking bytes.
    #[track_caller]
    pub fn send(&self, bytes: &[u8]) {
        assert!(self.wait_connected(SEND_TIMEOUT), "no BMC on the serial line");
        let connection = self.shared.connection().expect("the BMC hung up");
        if let Err(error) = write_all(&connection, bytes, &self.shared.stop) {
            panic!("the BMC takes no more from its serial line: {error}");
        }
    }

    /// Cuts the line; the BMC may connect again.
    pub fn hang_up(&self) {
        if let Some(connection) = self.shared.connection() {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Drop for SerialPeer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, listener: &TcpListener) {
        while !self.stop.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((connection, _)) => {
                    let _ = self.converse(connection);
                    self.lock().connection = None;
                    self.changed.notify_all();
                }
                Err(_) => std::thread::sleep(TICK / 10),
            }
        }
    }

    /// Until the BMC hangs up.
    fn converse(&self, mut connection: TcpStream) -> std::io::Result<()> {
        connection.set_nonblocking(false)?;
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(TICK))?;
        connection.set_write_timeout(Some(TICK))?;
        {
            let mut state = self.lock();
            state.connection = Some(connection.try_clone()?);
            state.connection_count += 1;
        }
        self.changed.notify_all();
        let mut buffer = [0; 4096];
        while !self.stop.load(Ordering::Relaxed) {
            let len = match connection.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(len) => len,
                Err(error) if is_timeout(&error) => continue,
                Err(error) => return Err(error),
            };
            let mode = {
                let mut state = self.lock();
                state.received.extend_from_slice(&buffer[..len]);
                state.mode
            };
            self.changed.notify_all();
            if mode == SerialMode::Echo {
                write_all(&connection, &buffer[..len], &self.stop)?;
            }
        }
        Ok(())
    }

    fn connection(&self) -> Option<TcpStream> {
        self.lock().connection.as_ref().and_then(|connection| connection.try_clone().ok())
    }

    fn wait(&self, timeout: Duration, ready: impl Fn(&State) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, |state| !ready(state));
        !waited.expect("the serial thread panicked").1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the serial thread panicked")
    }
}

/// Like `Write::write_all`, but over the short write timeout, which serves to notice `stop`.
fn write_all(mut to: &TcpStream, mut bytes: &[u8], stop: &AtomicBool) -> std::io::Result<()> {
    let mut deadline = Instant::now() + SEND_TIMEOUT;
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(len) => {
                bytes = &bytes[len..];
                deadline = Instant::now() + SEND_TIMEOUT;
            }
            Err(error) if is_timeout(&error) => {
                if stop.load(Ordering::Relaxed) || Instant::now() >= deadline {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_timeout(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}
