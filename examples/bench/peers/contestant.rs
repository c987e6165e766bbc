//! Who takes part: what is installed, and how it is started.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;

use crate::bmcs::{PASSWORD, USER};
use crate::child::{Answerer, ourselves};
use crate::report::Result;

const C_PROGRAM: &str = include_str!("ipmiconsole.c");
const PYTHON_PROGRAM: &str = include_str!("pyghmi_console.py");

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Bmclink,
    Libipmiconsole,
    Ipmitool,
    Pyghmi,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Bmclink => "bmclink",
            Kind::Libipmiconsole => "libipmiconsole",
            Kind::Ipmitool => "ipmitool",
            Kind::Pyghmi => "pyghmi",
        })
    }
}

/// One that is here.
pub struct Contestant {
    pub kind: Kind,
    /// What comes before the address on its command line; nothing for those of this program.
    command: Vec<PathBuf>,
}

/// One that is not, and why.
pub struct Skipped {
    kind: Kind,
    why: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was skipped: {}", self.kind, self.why)
    }
}

/// All of them.
pub struct Found {
    pub contestants: Vec<Contestant>,
    pub skipped: Vec<Skipped>,
    /// Holds their programs.
    _folder: Folder,
}

/// Looks for those wanted, all when none is named, and builds what has to be built.
pub fn find(only: &[Kind], python: Option<&Path>) -> Result<Found> {
    let folder = Folder::new()?;
    let (mut contestants, mut skipped) = (Vec::new(), Vec::new());
    for &kind in Kind::value_variants() {
        if !only.is_empty() && !only.contains(&kind) {
            continue;
        }
        let command = match kind {
            Kind::Bmclink => Ok(Vec::new()),
            Kind::Ipmitool => find_ipmitool(),
            Kind::Libipmiconsole => build_c(&folder),
            Kind::Pyghmi => find_pyghmi(&folder, python),
        };
        match command {
            Ok(command) => contestants.push(Contestant { kind, command }),
            Err(error) => skipped.push(Skipped { kind, why: error.to_string() }),
        }
    }
    Ok(Found { contestants, skipped, _folder: folder })
}

impl Contestant {
    /// Starts its process, for BMCs from this address on.
    pub fn start(&self, first: SocketAddr) -> Result<Answerer> {
        let mut command = match self.command.split_first() {
            None => {
                let mut command = ourselves("peer")?;
                command.args([&self.kind.to_string(), &first.to_string()]);
                command
            }
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments);
                command.args([&first.ip().to_string(), &first.port().to_string()]);
                command.args([USER, PASSWORD]);
                command
            }
        };
        Answerer::start(&self.kind.to_string(), &mut command)
    }
}

fn find_ipmitool() -> Result<Vec<PathBuf>> {
    match quietly(Command::new("ipmitool").arg("-V")) {
        Ok(()) => Ok(Vec::new()),
        Err(error) => Err(format!("{error} (Debian package ipmitool)").into()),
    }
}

fn build_c(folder: &Folder) -> Result<Vec<PathBuf>> {
    let (source, program) = (folder.0.join("ipmiconsole.c"), folder.0.join("ipmiconsole"));
    fs::write(&source, C_PROGRAM)?;
    let mut compiler = Command::new(std::env::var_os("CC").unwrap_or("cc".into()));
    compiler.args(["-O2", "-Wall", "-o"]).arg(&program).arg(&source).arg("-lipmiconsole");
    match quietly(&mut compiler) {
        Ok(()) => Ok(vec![program]),
        Err(error) => {
            let needs =
                "a C compiler and the Debian packages libipmiconsole-dev and libfreeipmi-dev";
            Err(format!("its program does not build ({error}); needed: {needs}").into())
        }
    }
}

fn find_pyghmi(folder: &Folder, python: Option<&Path>) -> Result<Vec<PathBuf>> {
    let program = folder.0.join("pyghmi_console.py");
    fs::write(&program, PYTHON_PROGRAM)?;
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.venv/bin/python");
    let candidates = match python {
        Some(python) => vec![python.to_owned()],
        None => vec![own, "python3".into()],
    };
    for python in candidates {
        if quietly(Command::new(&python).args(["-c", "import pyghmi.ipmi.console"])).is_ok() {
            return Ok(vec![python, program]);
        }
    }
    Err("no Python with pyghmi (tests/setup.sh makes one; or name one with --python)".into())
}

/// Runs a command to its end and shows nothing of it.
fn quietly(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let telling = errors.lines().find(|line| line.contains("error"));
    let line = telling.or(errors.lines().next()).unwrap_or("failed");
    Err(format!("{name}: {line}").into())
}

/// A folder for the contestants' programs, removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("bmclink-bench-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
