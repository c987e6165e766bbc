//! The programs in `examples/`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// An example, built now: `cargo test --test` builds none.
#[track_caller]
pub fn example(name: &str) -> Command {
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let paths = built.get_or_insert_default();
    let path = paths.entry(name.to_owned()).or_insert_with(|| build(name));
    Command::new(path)
}

#[track_caller]
fn build(name: &str) -> PathBuf {
    // This is target/PROFILE/deps/TEST-HASH.
    let this = std::env::current_exe().expect("a running program has a path");
    let folder = this.ancestors().nth(2).expect("it is in deps");
    let profile = folder.file_name().expect("a profile").to_string_lossy();
    let profile = if profile == "debug" { "dev" } else { &profile };
    let status = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["build", "--quiet", "--example", name, "--profile", profile])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .arg("--target-dir")
        .arg(folder.parent().expect("the target directory"))
        .status();
    assert!(status.is_ok_and(|status| status.success()), "the example {name} does not build");
    folder.join("examples").join(name)
}
