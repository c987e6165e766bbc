//! C programs of this package: compiled without a warning, linked and run in several ways.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Finished, NATIVE_LIBRARIES, Program, Scratch, c_library, package, require};

/// More than any of them takes.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// With what a program is compiled, and which library it is linked with.
#[derive(Debug, Clone, Copy)]
pub enum Link {
    /// gcc, the shared one.
    Shared,
    /// gcc, the static one; address, leak and undefined behaviour sanitizers in the program.
    Sanitized,
    /// clang, the static one.
    Clang,
}

/// Compiles a C program of this package, without a warning.
#[track_caller]
pub fn compile(scratch: &Scratch, source: &str, link: Link) -> PathBuf {
    let library = c_library();
    let program = scratch.join("program");
    let mut cc = require(if matches!(link, Link::Clang) { "clang" } else { "gcc" });
    cc.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-pthread", "-g"]);
    cc.arg("-I").arg(package().join("include"));
    cc.arg(package().join(source)).arg("-o").arg(&program);
    match link {
        Link::Shared => {
            // An installed library is found by its soname.
            let soname = scratch.join("libbmclink.so.0");
            std::os::unix::fs::symlink(&library.shared, soname).expect("scratch space");
            let folder = scratch.path().display();
            cc.arg(&library.shared).arg("-Wl,-rpath").arg(format!("-Wl,{folder}"));
        }
        Link::Sanitized => {
            cc.args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
            cc.arg(&library.archive).args(NATIVE_LIBRARIES);
        }
        Link::Clang => {
            cc.arg(&library.archive).args(NATIVE_LIBRARIES);
        }
    }
    if source.ends_with("/uv.c") {
        cc.arg("-luv");
    }
    assert_eq!(Program::run(cc, PATIENCE).success(), "", "{source}");
    program
}

/// A program under valgrind, which fails when memory is misused or lost.
#[track_caller]
pub fn valgrind(program: &Path) -> Command {
    let mut valgrind = require("valgrind");
    valgrind.args(["-q", "--error-exitcode=9", "--leak-check=full"]);
    valgrind.args(["--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]);
    // It runs one thread at a time: without this, one that is busy starves all others.
    valgrind.arg("--fair-sched=yes");
    valgrind.arg(program);
    valgrind
}

/// Runs a program as a filter: its status and messages, and its standard output.
#[track_caller]
pub fn filter(
    scratch: &Scratch,
    program: &Path,
    arguments: &[&str],
    input: &[u8],
) -> (Finished, Vec<u8>) {
    let (from, to) = (scratch.write("input", input), scratch.join("output"));
    let mut shell = require("sh");
    shell.args(["-c", "from=$1 to=$2 && shift 2 && exec \"$0\" \"$@\" <\"$from\" >\"$to\""]);
    shell.arg(program).args([&from, &to]).args(arguments);
    let finished = Program::run(shell, PATIENCE);
    (finished, std::fs::read(to).expect("there is output, if empty"))
}
