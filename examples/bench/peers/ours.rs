//! bmclink as a contestant.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use bmclink::{Engine, EngineConfig, ErrorKind, Reader};
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
}

impl Ours {
    pub fn new(first: SocketAddr) -> Result<Self> {
        let mut config = EngineConfig::default();
        config.login_rate = 0;
        Ok(Ours { first, engine: Engine::new(config)?, open: Vec::new(), readers: Vec::new() })
    }

    fn attach(&mut self) {
        self.readers = self.open.iter().map(|one| one.console.live_reader()).collect();
    }
}

impl Consoles for Ours {
    fn connect_one(&mut self) -> Result<()> {
        let address = consoles::address(self.first, self.open.len());
        self.open.push(Open::connect(self.engine.bmc(config(address)?)?, CONNECT_TIME)?);
        self.attach();
        Ok(())
    }

    fn connect(&mut self, count: usize) -> Result<usize> {
        let connected = consoles::connect(&self.engine, self.first, count, 64)?;
        self.open = connected.open;
        self.attach();
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

    fn wait_any(&mut self, _consoles: &[usize]) -> Result<()> {
        thread::sleep(Duration::from_micros(500));
        Ok(())
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
