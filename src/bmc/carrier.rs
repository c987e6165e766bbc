//! What is under a console: SOL at its BMC's shard, or a backend.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::{BmcHandle, ConsoleShared, Dispatcher, Driver, LogFiles};
use crate::error::Result;

#[derive(Debug)]
pub(super) enum Carrier {
    /// SOL, as the console with this ID of its BMC.
    Sol(Arc<BmcHandle>, u64),
    Backend(Arc<Driver>),
}

use Carrier::{Backend, Sol};

impl Carrier {
    /// Begins, when it is kept; waits for how that went when that matters.
    pub fn open(&self, shared: &Arc<ConsoleShared>, waits: bool) -> Result<()> {
        match self {
            Sol(bmc, id) => bmc.open_console(*id, shared, waits),
            Backend(driver) => {
                driver.open();
                Ok(())
            }
        }
    }

    pub fn connect(&self, shared: &Arc<ConsoleShared>, timeout: Duration) -> Result<()> {
        match self {
            Sol(bmc, id) => bmc.connect_console(*id, shared, timeout),
            Backend(driver) => driver.connect(timeout),
        }
    }

    pub fn begin_connect(&self, shared: &Arc<ConsoleShared>) -> Result<()> {
        match self {
            Sol(bmc, id) => bmc.begin_connect_console(*id, shared),
            Backend(driver) => {
                driver.begin_connect();
                Ok(())
            }
        }
    }

    /// The first reader comes, or the last one has left.
    pub fn attach(&self, shared: &Arc<ConsoleShared>, attached: bool) {
        match self {
            Sol(bmc, id) => bmc.attach_console(*id, shared, attached),
            Backend(driver) => driver.attach(attached),
        }
    }

    /// The console's configuration is another one.
    pub fn reconfigure(&self, shared: &Arc<ConsoleShared>) -> Result<()> {
        match self {
            Sol(bmc, id) => bmc.reconfigure_console(*id, shared),
            Backend(driver) => {
                driver.reconfigure();
                Ok(())
            }
        }
    }

    /// There is new input, or a break.
    pub fn input(&self, until: Option<Instant>) -> Result<()> {
        match self {
            Sol(bmc, _) => bmc.console_input(until),
            Backend(driver) => {
                driver.input();
                Ok(())
            }
        }
    }

    pub fn close(&self, shared: &Arc<ConsoleShared>, timeout: Duration) -> Result<()> {
        match self {
            Sol(bmc, id) => bmc.close_console(*id, shared, timeout),
            Backend(driver) => driver.close(timeout),
        }
    }

    /// Closes it; nobody waits for that.
    pub fn abandon(&self, shared: &Arc<ConsoleShared>) {
        match self {
            Sol(bmc, id) => bmc.abandon_console(*id, shared),
            Backend(driver) => driver.abandon(),
        }
    }

    /// Those who write log files.
    pub fn logs(&self) -> &Arc<LogFiles> {
        match self {
            Sol(bmc, _) => bmc.logs(),
            Backend(driver) => driver.logs(),
        }
    }

    /// A number that no other console of the engine has.
    pub fn id(&self) -> u64 {
        match self {
            Sol(_, id) => *id,
            Backend(driver) => driver.console_id(),
        }
    }

    /// The threads that call users back.
    pub fn dispatcher(&self) -> &Arc<Dispatcher> {
        match self {
            Sol(bmc, _) => bmc.dispatcher(),
            Backend(driver) => driver.callbacks(),
        }
    }
}
