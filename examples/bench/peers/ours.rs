//! bmclink as a contestant.

use std::net::SocketAddr;
use std::time::Duration;

use bmclink::{ConsoleConfig, Engine, EngineConfig, ErrorKind, EventQueue, Reader, Ready};
use serde_json::{Value, json};

use super::drive::Consoles;
use crate::bmcs::config;
use crate::consoles::{self, CONNECT_TIME, Open};
use crate::measure;
use crate::report::Result;

pub struct Ours {
    first: SocketAddr,
    engine: Engine,
    open: Vec<Open>,
    readers: Vec<Reader>,
    queue: EventQueue,
}

impl Ours {
    pub fn new(first: SocketAddr) -> Result<Self> {
        let mut config = EngineConfig::default();
        config.login_rate = 0;
        let (engine, queue) = (Engine::new(config)?, EventQueue::new()?);
        Ok(Ours { first, engine, open: Vec::new(), readers: Vec::new(), queue })
    }

    fn attach(&mut self) -> Result<()> {
        self.readers = self.open.iter().map(|one| one.console.live_reader()).collect();
        for (key, reader) in self.readers.iter().enumerate() {
            self.queue.add(reader, key as u64)?;
        }
        Ok(())
    }
}

/// With room for a whole transfer: what the machine does not let us read in time is not lost.
fn console_config() -> ConsoleConfig {
    ConsoleConfig::default().replay_len(4 << 20)
}

impl Consoles for Ours {
    fn connect_one(&mut self) -> Result<()> {
        let address = consoles::address(self.first, self.open.len());
        self.open.push(Open::connect(self.engine.bmc(config(address)?)?, console_config())?);
        self.attach()
    }

    fn connect(&mut self, count: usize) -> Result<usize> {
        let connected = consoles::connect(&self.engine, self.first, count, &console_config())?;
        self.open = connected.open;
        self.attach()?;
        Ok(self.open.len())
    }

    fn close(&mut self) -> Result<()> {
        self.readers.clear();
        for one in self.open.drain(..) {
            one.console.close(Duration::from_secs(5))?;
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.open.len()
    }

    fn write(&mut self, console: usize, bytes: &[u8]) -> Result<()> {
        Ok(self.open[console].console.write_all(bytes, CONNECT_TIME)?)
    }

    fn read(&mut self, console: usize, buffer: &mut [u8], timeout: Duration) -> Result<usize> {
        match self.readers[console].read(buffer, timeout) {
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(0),
            result => Ok(result?),
        }
    }

    fn wait_any(&mut self, _consoles: &[usize]) -> Result<Vec<usize>> {
        let mut ready = [Ready::default(); 256];
        match self.queue.wait(&mut ready, Duration::from_millis(100)) {
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(Vec::new()),
            count => Ok(ready[..count?].iter().map(|source| source.key as usize).collect()),
        }
    }

    fn cost(&self) -> Result<Value> {
        Ok(json!({
            "rss_kib": measure::rss_kib("self"),
            "pss_kib": measure::pss_kib("self"),
            "fds": measure::fd_count("self"),
            "threads": measure::thread_count("self"),
            "cpu": measure::process_cpu().as_secs_f64(),
        }))
    }
}
