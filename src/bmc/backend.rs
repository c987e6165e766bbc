//! Consoles that are not SOL.

use std::sync::Arc;

use super::carrier::Carrier;
use super::{Console, ConsoleInner};
use crate::config::ConsoleConfig;
use crate::engine::{Backend, ConsoleShared, Driver, Engine, ExecConfig};
use crate::error::{Error, ErrorKind, Result};

impl Engine {
    /// A console whose bytes `backend` carries. It has the same states, readers, replay, retries
    /// and events as one of SOL; `backend` is started when it is to be connected.
    ///
    /// What `config` says about SOL alone is not used. Starts the threads of the first backend;
    /// they end with the engine: one that keeps the time and waits for processes, and two more
    /// than are busy in a backend, at most 1,024.
    ///
    /// Fails with `Misuse` for settings out of range, with `Io` when the system gives no thread.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use bmclink::{Backend, ConsoleConfig, Engine, EngineConfig, Result, Sink};
    ///
    /// /// Sends back what is written.
    /// struct Echo(Option<Sink>);
    ///
    /// impl Backend for Echo {
    ///     fn start(&mut self, sink: Sink) -> Result<()> {
    ///         sink.connected();
    ///         self.0 = Some(sink);
    ///         Ok(())
    ///     }
    ///
    ///     fn write(&mut self, bytes: &[u8]) -> Result<usize> {
    ///         self.0.iter().for_each(|sink| drop(sink.bytes(bytes)));
    ///         Ok(bytes.len())
    ///     }
    ///
    ///     fn stop(&mut self) {
    ///         self.0 = None;
    ///     }
    /// }
    ///
    /// # fn main() -> Result<()> {
    /// let timeout = Duration::from_secs(10);
    /// let engine = Engine::new(EngineConfig::default())?;
    /// let console = engine.console(Echo(None), ConsoleConfig::default())?;
    /// console.connect(timeout)?;
    /// console.write_all(b"hello", timeout)?;
    ///
    /// let mut buffer = [0; 16];
    /// let len = console.reader().read(&mut buffer, timeout)?;
    /// assert_eq!(&buffer[..len], b"hello");
    /// # Ok(())
    /// # }
    /// ```
    pub fn console(&self, backend: impl Backend, config: ConsoleConfig) -> Result<Console> {
        let make = |shared: &Arc<ConsoleShared>| {
            Ok(Driver::new(&self.backends()?, shared, Box::new(backend)))
        };
        console(config, make)
    }

    /// A console that is the terminal of a command, which is run while it is to be connected.
    ///
    /// It counts as connected when the command is started, or with a
    /// [`Signature`](crate::Signature) when that was printed. When the command ends, the reason
    /// says how: "cat exited with status 3", "cat killed by signal 9". Closing the console, or
    /// starting the command anew, has the command's process group hang up and, half a second
    /// later, killed; nothing is left of it. Processes that have left its group are not pursued.
    /// One thread waits for the output of all commands of the engine; each that runs costs two
    /// descriptors.
    ///
    /// Fails as [`Engine::console`] does. That there is no such command is the reason of a failed
    /// attempt.
    pub fn exec_console(&self, exec: ExecConfig, config: ConsoleConfig) -> Result<Console> {
        exec.check()?;
        console(config, |shared| Ok(Driver::exec(&self.backends()?, shared, exec)))
    }
}

fn console(
    config: ConsoleConfig,
    make: impl FnOnce(&Arc<ConsoleShared>) -> Result<Arc<Driver>>,
) -> Result<Console> {
    config.check()?;
    let log = config.log.clone();
    let shared = Arc::new(ConsoleShared::new(config));
    let carrier = Carrier::Backend(make(&shared)?);
    let console = Console { inner: Arc::new(ConsoleInner::new(carrier, shared)) };
    console.inner.write_log(log)?;
    console.inner.carrier.open(&console.inner.shared, false)?;
    Ok(console)
}

impl Console {
    /// Puts another backend in the place of the one it has, which is stopped. What was connected,
    /// or waits to be tried again, is started at once, and calls that wait for it get the new
    /// one's result. Does not wait for that.
    ///
    /// Fails with `Misuse` for a console of SOL, with `Closed` for one that is closed.
    pub fn reconfigure_backend(&self, backend: impl Backend) -> Result<()> {
        self.driver()?.replace(Box::new(backend));
        Ok(())
    }

    /// Runs another command from now on: the one it has is ended, and the new one started at once
    /// as by [`reconfigure_backend`](Console::reconfigure_backend). Equal values change nothing.
    ///
    /// Fails with `Misuse` for settings out of range and for what is not an exec console, with
    /// `Closed` for one that is closed.
    pub fn reconfigure_exec(&self, exec: ExecConfig) -> Result<()> {
        exec.check()?;
        self.driver()?.reconfigure_exec(exec)
    }

    /// Tells the backend that its window has another size, now and when it is started again. A
    /// command gets SIGWINCH. Does not wait for it.
    ///
    /// Fails with `Misuse` for a console of SOL, which has no window, and without columns or rows;
    /// with `Closed` for one that is closed.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        if columns == 0 || rows == 0 {
            return Err(Error::misuse("the window has no columns or no rows"));
        }
        self.driver()?.resize(columns, rows);
        Ok(())
    }

    fn driver(&self) -> Result<&Driver> {
        match &self.inner.carrier {
            _ if self.inner.shared.is_closed() => Err(Error::new(ErrorKind::Closed)),
            Carrier::Sol(..) => Err(Error::misuse("this is a console of SOL")),
            Carrier::Backend(driver) => Ok(driver),
        }
    }
}
