//! Our own libraries for C, as a user would build them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Where the libraries are.
pub struct CLibrary {
    pub shared: PathBuf,
    pub archive: PathBuf,
}

/// What a program needs that is linked with the archive.
pub const NATIVE_LIBRARIES: [&str; 7] =
    ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];

/// Builds both libraries, once, beside this test program. `cargo test` itself leaves them in
/// places of its own choice, or not at all.
#[track_caller]
pub fn c_library() -> &'static CLibrary {
    static LIBRARY: OnceLock<CLibrary> = OnceLock::new();
    LIBRARY.get_or_init(build)
}

/// The root of the package.
pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn build() -> CLibrary {
    let test = std::env::current_exe().expect("this program has a path");
    // target/PROFILE/deps/NAME
    let target = test.ancestors().nth(3).expect("cargo put this program somewhere");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "--lib", "--locked", "--message-format=json"])
        .arg("--target-dir")
        .arg(target)
        .current_dir(package())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "the library does not build");
    let messages = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
    let files: Vec<PathBuf> = messages.lines().flat_map(files_of).collect();
    let find = |name: &str| {
        let found = files.iter().find(|path| path.file_name().is_some_and(|file| file == name));
        found.unwrap_or_else(|| panic!("cargo built no {name}: {files:?}")).clone()
    };
    CLibrary { shared: find("libbmclink.so"), archive: find("libbmclink.a") }
}

/// The files of one line of cargo's, if it tells that our library was built.
fn files_of(line: &str) -> Vec<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).expect("cargo speaks JSON");
    let ours = message["reason"] == "compiler-artifact" && message["target"]["name"] == "bmclink";
    let files = message["filenames"].as_array().filter(|_| ours);
    let paths = files.into_iter().flatten().filter_map(|file| file.as_str());
    paths.map(PathBuf::from).collect()
}
