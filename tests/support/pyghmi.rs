//! pyghmi's BMC, run from tests/lab/pyghmi_bmc.py.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::address::{BMC_PORT, answers_ipmi, loopback_address};
use super::process::Program;

const START_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Clone, Debug)]
pub struct PyghmiOptions {
    /// Default: an address of its own.
    pub address: Option<Ipv4Addr>,
    pub port: u16,
    pub k_g: Option<Vec<u8>>,
}

impl Default for PyghmiOptions {
    fn default() -> Self {
        Self { address: None, port: BMC_PORT, k_g: None }
    }
}

/// A running BMC: cipher suite 3 only, a power switch, and a console that echoes and knows
/// `@PING`, `@BULK n` and `@SINK n`.
pub struct PyghmiBmc {
    program: Program,
    address: SocketAddr,
}

impl PyghmiBmc {
    pub const USERNAME: &str = "admin";
    pub const PASSWORD: &str = "password";

    /// Panics when it does not come up.
    #[track_caller]
    pub fn start(options: PyghmiOptions) -> Self {
        let ip = options.address.unwrap_or_else(loopback_address);
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let python = tests.join(".venv/bin/python");
        assert!(python.exists(), "tests/.venv is missing: run tests/setup.sh");
        let mut command = Command::new(python);
        command.arg("-u").arg(tests.join("lab/pyghmi_bmc.py"));
        command.arg(ip.to_string()).arg(options.port.to_string());
        if let Some(k_g) = options.k_g {
            command.arg(k_g.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        }
        let program = Program::spawn(command);
        program.wait_for_line(START_TIMEOUT, |line| line == "ready");
        let address = SocketAddr::from((ip, options.port));
        let up =
            super::wait_until(START_TIMEOUT, || answers_ipmi(address, Duration::from_millis(300)));
        assert!(up, "pyghmi does not answer:\n{}", program.output());
        Self { program, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn program(&self) -> &Program {
        &self.program
    }

    /// What `@BULK len` sends before its closing line: rows of 64 numbered bytes.
    pub fn pattern(len: usize) -> Vec<u8> {
        let rows = (0..len.div_ceil(64)).flat_map(|row| format!("{row:061}.\r\n").into_bytes());
        rows.take(len).collect()
    }

    /// What it printed: tracebacks, mostly.
    pub fn log(&self) -> String {
        self.program.output()
    }
}
