//! The Python package: its own tests, with the library of this checkout.

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bmclink::sim::{Simulator, SimulatorOptions};
use support::*;

const PATIENCE: Duration = Duration::from_secs(600);

/// The interpreter of `tests/setup.sh`, with the package's sources and this checkout's library.
fn python() -> Command {
    let python = package().join("tests/.venv/bin/python");
    assert!(python.exists(), "tests/.venv is missing: run tests/setup.sh");
    let mut command = Command::new(python);
    command.current_dir(package().join("python"));
    command.env("BMCLINK_LIBRARY", &c_library().shared);
    command.env("PYTHONPATH", package().join("python/src"));
    // Nothing is left behind in the checkout.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

#[track_caller]
fn pytest(file: &str) {
    let mut command = python();
    command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short"]);
    command.arg(Path::new("tests").join(file));
    let output = Program::run(command, PATIENCE).success();
    assert!(output.contains(" passed"), "{output}");
}

macro_rules! files {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            pytest(concat!("test_", stringify!($name), ".py"));
        })*

        const FILES: &[&str] = &[$(concat!("test_", stringify!($name), ".py")),*];
    };
}

files! { aio build commands consoles errors examples native process pyghmi readme }

#[test]
fn no_file_is_forgotten() {
    let folder = package().join("python/tests");
    let files = std::fs::read_dir(folder).expect("it is there");
    let names = files.map(|file| file.expect("readable").file_name().into_string().unwrap());
    let mut tests: Vec<String> = names.filter(|name| name.starts_with("test_")).collect();
    tests.sort();
    assert_eq!(tests, FILES);
}

#[test]
fn types_are_right() {
    let mut command = python();
    command.args(["-m", "mypy", "--cache-dir", "/dev/null"]);
    Program::run(command, PATIENCE).success();
}

#[test]
fn the_program_of_the_guide_does_what_it_says() {
    let guide = std::fs::read_to_string(package().join("docs/from-pyghmi.md"));
    let guide = guide.expect("the guide is there");
    let from = guide.find("```python\n").expect("a program in Python") + 10;
    let source = &guide[from..][..guide[from..].find("```").expect("its end")];
    let simulator = Simulator::start(SimulatorOptions::default()).expect("a simulator");
    let address = simulator.address(0);
    let mut command = python();
    command.args(["-c", source, &address.ip().to_string(), &address.port().to_string()]);
    command.args(["admin", "password"]);
    let output = Program::run(command, PATIENCE).success();
    assert!(output.starts_with("on\n") && output.contains("sim:~# "), "{output}");
}
