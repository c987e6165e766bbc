//! One dialog with each of many BMCs, and their results as they come.

mod calls;
mod run;

use std::sync::Arc;
use std::time::Duration;

pub use self::calls::FleetCalls;
pub use self::run::FleetRun;
use crate::FOREVER;
use crate::bmc::Bmc;
use crate::command::Dialog;
use crate::error::{Error, Result};

/// So many dialogs are under way at once, unless it is said otherwise.
const AT_ONCE: usize = 1024;
/// How long one BMC has, unless it is said otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Many BMCs of which the same is asked.
///
/// Each BMC has a dialog of its own, and a result of its own: a slow or dead one delays no other,
/// an error of one is its row and nobody else's. All dialogs of a run are driven by one thread.
///
/// ```
/// use std::time::Duration;
///
/// use bmclink::sim::{Simulator, SimulatorOptions};
/// use bmclink::{BmcConfig, Credentials, Engine, EngineConfig, Fleet};
///
/// # fn main() -> bmclink::Result<()> {
/// let options = SimulatorOptions { count: 20, ..Default::default() };
/// # let simulator = Simulator::start(options).expect("loopback");
/// let engine = Engine::new(EngineConfig::default())?;
/// let credentials = Credentials::new("admin", "password")?;
/// let mut bmcs = Vec::new();
/// for number in 0..20 {
///     let address = simulator.address(number);
///     let config = BmcConfig::new(address.ip().to_string(), credentials.clone());
///     bmcs.push(engine.bmc(config.port(address.port()))?);
/// }
///
/// let fleet = Fleet::new(bmcs).timeout(Duration::from_secs(10));
/// let mut on = 0;
/// for row in fleet.run(async |dialog| dialog.chassis_status().await)? {
///     match row.result {
///         Ok(status) => on += usize::from(status.power_on),
///         Err(error) => println!("{}: {error}", row.index),
///     }
/// }
/// assert_eq!(on, 20);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Fleet {
    bmcs: Arc<[Bmc]>,
    at_once: usize,
    timeout: Duration,
    deadline: Duration,
}

/// What came of one BMC.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Row<T> {
    /// Its place in the fleet, from 0.
    pub index: usize,
    /// What its dialog gave, or why there is nothing.
    pub result: Result<T>,
    /// How long the dialog took; zero when it was not begun.
    pub elapsed: Duration,
}

impl Fleet {
    /// Of these BMCs. 1,024 dialogs at once, 30 s for each, no limit for all.
    pub fn new(bmcs: impl IntoIterator<Item = Bmc>) -> Self {
        let bmcs = bmcs.into_iter().collect();
        Fleet { bmcs, at_once: AT_ONCE, timeout: TIMEOUT, deadline: FOREVER }
    }

    /// At most so many dialogs at once, 1 or more. A BMC whose turn has not come has no time
    /// running.
    pub fn at_once(mut self, at_once: usize) -> Self {
        self.at_once = at_once;
        self
    }

    /// How long each BMC has from when its dialog begins; then its row says `TimedOut`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long all of them have together; then the rows of those that are not done say
    /// `TimedOut`.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Other BMCs, with the same limits.
    pub fn with_bmcs(&self, bmcs: impl IntoIterator<Item = Bmc>) -> Self {
        Fleet { bmcs: bmcs.into_iter().collect(), ..self.clone() }
    }

    /// The BMCs, each at its index.
    pub fn bmcs(&self) -> &[Bmc] {
        &self.bmcs
    }

    /// Has this dialog with every BMC, and gives their results as they come.
    ///
    /// Does not wait for any. Starts one thread, which ends with the run. Fails with `Misuse`
    /// when none may be under way at once, with `Io` when there is no thread to be had.
    ///
    /// `function` runs on that thread, for all BMCs in turns: it must not block. A panic in it
    /// is the row `Internal` of its BMC.
    pub fn run<T, F, D>(&self, function: F) -> Result<FleetRun<T>>
    where
        T: Send + 'static,
        F: Fn(Dialog) -> D + Send + 'static,
        D: Future<Output = Result<T>> + Send + 'static,
    {
        if self.at_once == 0 {
            return Err(Error::misuse("a fleet with nothing at once gets nowhere"));
        }
        FleetRun::start(self, Box::new(move |dialog| Box::pin(function(dialog))))
    }
}
