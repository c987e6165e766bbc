//! The walls that hold the house up: which layer may mention which, and what none may do.
//!
//! Reads the sources as text, comments and string contents blanked out. Modules that do not
//! exist yet are covered the day they appear; a new one needs a line in `LAYERS`.

#[path = "codec/rust_text.rs"]
mod rust_text;

use std::path::{Path, PathBuf};

use rust_text::{blank_literals, blank_tests, closing, is_word, opened, paths_below, words};

/// What a layer may import from this crate, itself aside.
struct Layer {
    /// A folder or file directly under `src/`.
    name: &'static str,
    /// The other layers it may mention.
    imports: &'static [&'static str],
    /// Whether `crate::Name`, a re-export of `lib.rs`, is fine too.
    reexports: bool,
    /// Whether it is free of clock, sockets, threads, locks, entropy and printing.
    pure: bool,
}

const fn layer(name: &'static str, imports: &'static [&'static str]) -> Layer {
    Layer { name, imports, reexports: false, pure: false }
}

const fn pure(name: &'static str, imports: &'static [&'static str]) -> Layer {
    Layer { name, imports, reexports: false, pure: true }
}

const fn outer(name: &'static str, imports: &'static [&'static str]) -> Layer {
    Layer { name, imports, reexports: true, pure: false }
}

const LAYERS: [Layer; 17] = [
    layer("sync", &[]),
    pure("bytes", &[]),
    // `session` for its test.
    pure("shared", &["session"]),
    pure("wire", &[]),
    pure("crypto", &["wire"]),
    pure("session", &["wire", "crypto", "bytes", "shared"]),
    pure("console", &[]),
    pure("supervisor", &["session", "wire", "crypto", "error", "shared"]),
    // Of `wire` only the numbers and levels that stand directly in it: see `engine_parses`.
    layer(
        "engine",
        &[
            "supervisor",
            "session",
            "console",
            "bytes",
            "config",
            "credentials",
            "error",
            "shared",
            "sync",
            "wire",
        ],
    ),
    layer("error", &["wire", "session"]),
    layer("config", &["wire", "crypto", "session", "shared", "supervisor", "error", "credentials"]),
    // `crypto` for the generator of its tests.
    layer("command", &["session", "wire", "crypto", "error", "sync"]),
    layer("credentials", &["crypto", "error", "sync", "wire"]),
    layer("sim", &["wire", "crypto"]),
    outer(
        "bmc",
        &[
            "engine",
            "command",
            "console",
            "session",
            "supervisor",
            "sync",
            "config",
            "credentials",
            "error",
            "wire",
        ],
    ),
    outer("fleet", &["bmc", "command", "engine", "session", "sync", "error"]),
    outer("ffi", &["bmc", "command", "config", "credentials", "engine", "error", "fleet", "sim"]),
];

/// What a pure layer does not name. A path ends in `::`-joined parts; a word stands alone.
const IMPURE: [&str; 21] = [
    "Instant::now",
    "SystemTime",
    "UdpSocket",
    "TcpStream",
    "std::net::UdpSocket",
    "std::thread",
    "thread::spawn",
    "std::fs",
    "std::env",
    "std::process",
    "Mutex",
    "RwLock",
    "Condvar",
    "SysRng",
    "OsRng",
    "ThreadRng",
    "println!",
    "eprintln!",
    "print!",
    "eprint!",
    "dbg!",
];

/// Where `unsafe` may stand.
const UNSAFE: [&str; 3] = ["src/engine/socket.rs", "src/engine/process.rs", "src/ffi/"];

const COLUMNS_MAX: usize = 100;

// The rules on the tree.

#[test]
fn layers_import_only_what_is_below_them() {
    enforce(foreign_imports);
}

#[test]
fn the_engine_does_not_parse() {
    enforce(engine_parses);
}

#[test]
fn pure_layers_have_no_clock_socket_thread_lock_or_printing() {
    enforce(impurities);
}

#[test]
fn unsafe_stands_where_it_may_and_says_why() {
    enforce(stray_unsafe);
    enforce(unexplained_unsafe);
}

#[test]
fn wire_does_not_unwrap() {
    enforce(unwraps);
}

#[test]
fn nothing_is_left_to_do() {
    enforce(unfinished);
}

#[test]
fn every_export_is_guarded() {
    enforce(unguarded_exports);
}

#[test]
fn every_file_belongs_to_a_layer() {
    enforce(homeless);
}

#[test]
fn lines_fit() {
    let mut files = Vec::new();
    for folder in ["src", "tests", "examples", "fuzz/fuzz_targets", "fuzz/examples"] {
        collect(&root().join(folder), &mut files);
    }
    files.push(root().join("build.rs"));
    let files = files.iter().map(|path| File::read(path));
    report(files.flat_map(|file| long_lines(&file)).collect());
}

#[test]
fn no_profile_aborts_on_panic() {
    let mut found = Vec::new();
    for name in ["Cargo.toml", "fuzz/Cargo.toml", ".cargo/config.toml"] {
        if let Ok(text) = std::fs::read_to_string(root().join(name)) {
            found.extend(aborts(name, &text));
        }
    }
    report(found);
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn enforce(rule: impl Fn(&File) -> Vec<String>) {
    let mut paths = Vec::new();
    collect(&root().join("src"), &mut paths);
    assert!(paths.len() >= 15, "src/ is not where it should be");
    paths.sort();
    report(paths.iter().flat_map(|path| rule(&File::read(path))).collect());
}

fn report(found: Vec<String>) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// A source file.
struct File {
    /// From the root of the package, with `/`.
    path: String,
    text: String,
    /// `text` with comments and the contents of literals blanked out, byte for byte.
    code: String,
    /// `code` without what is only built for tests.
    shipped: String,
}

impl File {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a readable source file");
        let relative = path.strip_prefix(root()).expect("below the root");
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        Self::new(&parts.join("/"), &text)
    }

    fn new(path: &str, text: &str) -> Self {
        let code = blank_literals(text);
        let tests_only = path.contains("/tests/") || path.ends_with("/tests.rs");
        let shipped = if tests_only { String::new() } else { blank_tests(&code) };
        File { path: path.to_owned(), text: text.to_owned(), code, shipped }
    }

    /// The layer's name: the folder or file stem under `src/`.
    fn layer_name(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        below.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    fn layer(&self) -> Option<&'static Layer> {
        LAYERS.iter().find(|layer| layer.name == self.layer_name())
    }

    /// How many `super::` lead to the root of the crate.
    fn depth(&self) -> usize {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let folders = below.matches('/').count();
        folders + usize::from(!below.ends_with("/mod.rs"))
    }

    fn at(&self, position: usize, complaint: &str) -> String {
        let line = self.text[..position].matches('\n').count() + 1;
        format!("{}:{line}: {complaint}", self.path)
    }
}

// The rules, one function each. Every one gives its complaints.

fn homeless(file: &File) -> Vec<String> {
    match file.layer_name() {
        "lib" => Vec::new(),
        _ if file.layer().is_some() => Vec::new(),
        _ => vec![file.at(0, "no layer of tests/tidy.rs holds this file")],
    }
}

fn foreign_imports(file: &File) -> Vec<String> {
    let Some(layer) = file.layer() else { return Vec::new() };
    let mut found = Vec::new();
    for (position, path) in crate_paths(file) {
        let head = path.split("::").next().unwrap_or_default();
        let reexport = head.starts_with(char::is_uppercase);
        let fine =
            head == layer.name || layer.imports.contains(&head) || reexport && layer.reexports;
        if !fine {
            found.push(file.at(position, &format!("{} must not mention {path}", layer.name)));
        }
    }
    found
}

/// The engine may name a session ID or a privilege level; bytes are none of its business.
fn engine_parses(file: &File) -> Vec<String> {
    if file.layer_name() != "engine" {
        return Vec::new();
    }
    let paths = crate_paths(file).into_iter().filter(|(_, path)| {
        let mut parts = path.split("::");
        parts.next() == Some("wire")
            && !parts.next().is_some_and(|part| part.starts_with(char::is_uppercase))
    });
    paths.map(|(position, path)| file.at(position, &format!("engine parses: {path}"))).collect()
}

fn impurities(file: &File) -> Vec<String> {
    if !file.layer().is_some_and(|layer| layer.pure) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for name in IMPURE {
        for position in words(&file.shipped, name) {
            found.push(file.at(position, &format!("{} uses {name}", file.layer_name())));
        }
    }
    for (position, path) in paths_below(&file.shipped, "std") {
        let path = format!("std::{path}");
        if IMPURE.iter().any(|name| path == *name || path.starts_with(&format!("{name}::"))) {
            found.push(file.at(position, &format!("{} uses {path}", file.layer_name())));
        }
    }
    found
}

fn stray_unsafe(file: &File) -> Vec<String> {
    if UNSAFE.iter().any(|place| file.path.starts_with(place)) {
        return Vec::new();
    }
    let positions = words(&file.code, "unsafe");
    positions.into_iter().map(|at| file.at(at, "unsafe has no place here")).collect()
}

fn unexplained_unsafe(file: &File) -> Vec<String> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut found = Vec::new();
    for position in words(&file.code, "unsafe") {
        let after = file.code[position + "unsafe".len()..].trim_start();
        let line = file.text[..position].matches('\n').count();
        let mut first = line.saturating_sub(3);
        while first > 0 && lines[first].trim_start().starts_with("//") {
            first -= 1; // A long reason counts as one line.
        }
        let explained = lines[first..line].iter().any(|line| line.contains("// SAFETY:"));
        if after.starts_with('{') && !explained {
            found.push(file.at(position, "unsafe without a // SAFETY: in the 3 lines above"));
        }
    }
    found
}

fn unwraps(file: &File) -> Vec<String> {
    if file.layer_name() != "wire" {
        return Vec::new();
    }
    let calls = ["unwrap", "expect", "unwrap_err", "expect_err", "unwrap_unchecked"];
    let positions = calls
        .iter()
        .flat_map(|name| words(&file.shipped, name))
        .filter(|at| file.shipped[..*at].trim_end().ends_with(['.', ':']));
    positions.map(|at| file.at(at, "wire does not unwrap")).collect()
}

fn unfinished(file: &File) -> Vec<String> {
    let positions =
        ["todo!", "unimplemented!"].into_iter().flat_map(|name| words(&file.code, name));
    positions.map(|at| file.at(at, "left to do")).collect()
}

/// Every `extern "C" fn name` of `ffi` is exported, and its body is one call of `guard`.
fn unguarded_exports(file: &File) -> Vec<String> {
    if file.layer_name() != "ffi" {
        return Vec::new();
    }
    let mut found = Vec::new();
    for position in words(&file.code, "extern") {
        let Some(rest) = export_after(file, position) else { continue };
        let before = &file.code[..position];
        let item = before.rfind(['}', ';', '{']).map_or(before, |end| &before[end + 1..]);
        let head: Vec<&str> = item.split_whitespace().collect();
        if !item.contains("#[unsafe(no_mangle)]") {
            found.push(file.at(position, "an extern fn without #[unsafe(no_mangle)]"));
        }
        if !matches!(head.as_slice(), [.., "pub"] | [.., "pub", "unsafe"]) {
            found.push(file.at(position, "an extern fn that is not pub"));
        }
        if !is_guarded(rest) {
            found.push(file.at(position, "an extern fn whose body is not one call of guard"));
        }
    }
    found
}

/// The code from the name on, if a function with C's ABI is defined here. A type
/// (`extern "C" fn(..)`) and a block (`extern "C" { .. }`) are something else.
fn export_after(file: &File, position: usize) -> Option<&str> {
    let rest = file.code[position + "extern".len()..].trim_start();
    let rest = rest.strip_prefix('"')?;
    let rest = rest[rest.find('"')? + 1..].trim_start().strip_prefix("fn")?;
    let name = rest.trim_start();
    (name.len() < rest.len() && name.starts_with(is_word)).then_some(name)
}

fn is_guarded(function: &str) -> bool {
    let Some(open) = function.find('{') else { return false };
    let Some(close) = closing(function, open) else { return false };
    let body = function[open + 1..close].trim();
    let Some(arguments) = body.find('(') else { return false };
    let Some(end) = closing(body, arguments) else { return false };
    body[..arguments].trim_end().rsplit("::").next() == Some("guard") && end + 1 == body.len()
}

fn long_lines(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        if line.chars().count() > COLUMNS_MAX {
            found.push(format!("{}:{}: more than {COLUMNS_MAX} columns", file.path, number + 1));
        }
    }
    found
}

fn aborts(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let setting: String =
            line.split('#').next().unwrap_or_default().split_whitespace().collect();
        if setting.contains("panic=\"abort\"") || setting.contains("panic='abort'") {
            found.push(format!("{name}:{}: panic = \"abort\"", number + 1));
        }
    }
    found
}

/// Every path that starts at the root of the crate: `crate::a::b` as `a::b`, groups opened, and
/// `super::` as far as it leads there.
fn crate_paths(file: &File) -> Vec<(usize, String)> {
    let mut paths = paths_below(&file.shipped, "crate");
    for at in words(&file.shipped, "super") {
        let chain = &file.shipped[at..];
        let rest = chain.trim_start_matches("super::");
        let ups = (chain.len() - rest.len()) / "super::".len();
        if ups < file.depth() || file.shipped[..at].ends_with("super::") {
            continue;
        }
        for path in opened(rest) {
            // Only what is a layer's name for sure: an inline module has a `super` of its own.
            let head = path.split("::").next().unwrap_or_default();
            if LAYERS.iter().any(|layer| layer.name == head) {
                paths.push((at, path));
            }
        }
    }
    paths
}

// Each rule on a snippet that breaks it, and on one that does not.

fn complaints(rule: fn(&File) -> Vec<String>, path: &str, text: &str) -> usize {
    rule(&File::new(path, text)).len()
}

#[test]
fn foreign_imports_are_found() {
    let found = |path: &str, text: &str| complaints(foreign_imports, path, text);
    assert_eq!(found("src/wire/sol.rs", "use crate::crypto::Secret;"), 1);
    assert_eq!(found("src/wire/sol.rs", "use crate::wire::Reader; use super::Reader;"), 0);
    assert_eq!(found("src/wire/sol.rs", "/// As [`crate::command`].\nlet s = \"crate::x\";"), 0);
    assert_eq!(found("src/wire/sol.rs", "use super::super::crypto::Secret;"), 1);
    assert_eq!(found("src/wire/mod.rs", "use super::crypto::Secret;"), 1);
    assert_eq!(found("src/wire/mod.rs", "pub(super) fn f() {}"), 0);
    assert_eq!(
        found("src/crypto/keys.rs", "use crate::{wire::SessionId, session::{sol, timer}};"),
        2
    );
    assert_eq!(found("src/session/sol.rs", "use crate::{wire::sol, crypto::suite::*};"), 0);
    assert_eq!(found("src/session/sol.rs", "fn f() { crate::engine::start(); }"), 1);
    assert_eq!(found("src/session/mod.rs", "use crate::Error;"), 1);
    assert_eq!(found("src/session/a.rs", "#[cfg(test)]\nmod tests { use crate::sim::Bmc; }"), 0);
    assert_eq!(found("src/session/a.rs", "#[cfg(test)]\nmod tests;\nuse crate::sim::Bmc;"), 1);
    assert_eq!(found("src/session/tests/a.rs", "use crate::sim::Bmc;"), 0);
    assert_eq!(found("src/console/log.rs", "use crate::wire::sol;"), 1);
    assert_eq!(found("src/engine/shard.rs", "use super::console::Supervisor;"), 0);
    assert_eq!(found("src/engine/shard.rs", "use crate::ffi::guard;"), 1);
    assert_eq!(found("src/error.rs", "use super::engine::Engine;"), 1);
    assert_eq!(found("src/sim/net.rs", "use crate::session::Session;"), 1);
    assert_eq!(found("src/ffi/bmc.rs", "use crate::{Bmc, session::Session, wire::SessionId};"), 2);
    assert_eq!(found("src/ffi/console.rs", "use crate::bmc::Console;"), 0);
    assert_eq!(found("src/lib.rs", "pub use crate::bmc::Bmc;"), 0);
}

#[test]
fn a_parsing_engine_is_found() {
    let found = |text: &str| complaints(engine_parses, "src/engine/shard.rs", text);
    assert_eq!(found("use crate::wire::{SessionId, PrivilegeLevel};"), 0);
    assert_eq!(found("use crate::wire::{SessionId, rmcpplus};"), 1);
    assert_eq!(found("use crate::wire;"), 1);
    assert_eq!(found("use crate::wire::*;"), 1);
    assert_eq!(complaints(engine_parses, "src/sim/bmc.rs", "use crate::wire::rmcp;"), 0);
}

#[test]
fn impurities_are_found() {
    let found = |text: &str| complaints(impurities, "src/session/mod.rs", text);
    assert_eq!(found("use std::time::{Duration, Instant}; fn f(now: Instant) {}"), 0);
    assert_ne!(found("let now = Instant::now();"), 0);
    assert_ne!(found("use std::{net::IpAddr, thread};"), 0);
    assert_ne!(found("use std::thread::{sleep};"), 0);
    assert_eq!(found("// println!(\"Mutex\")\nlet x = \"SystemTime\";"), 0);
    for name in IMPURE {
        assert_ne!(found(&format!("let x = {name};")), 0, "{name}");
        assert_eq!(complaints(impurities, "src/engine/mod.rs", name), 0, "{name}");
    }
}

#[test]
fn stray_and_unexplained_unsafe_is_found() {
    assert_eq!(complaints(stray_unsafe, "src/wire/mod.rs", "unsafe fn f() {}"), 1);
    assert_eq!(complaints(stray_unsafe, "src/lib.rs", "#![deny(unsafe_code)] // unsafe"), 0);
    assert_eq!(complaints(stray_unsafe, "src/engine/socket.rs", "unsafe { f() }"), 0);
    assert_eq!(complaints(stray_unsafe, "src/engine/shard.rs", "unsafe { f() }"), 1);
    let found = |text: &str| complaints(unexplained_unsafe, "src/ffi/handle.rs", text);
    assert_eq!(found("fn f() {\n    unsafe { g() }\n}"), 1);
    assert_eq!(found("// SAFETY: checked.\nlet x =\n    unsafe { g() };"), 0);
    assert_eq!(found("// SAFETY: checked.\na();\nb();\nc();\nunsafe { g() }"), 1);
    assert_eq!(found("// SAFETY: a long\n// reason\n// needs\n// lines.\n\nunsafe { g() }"), 0);
    assert_eq!(found("// Checked.\nunsafe\n{ g() }"), 1);
    assert_eq!(found("unsafe fn g() {}"), 0);
}

#[test]
fn unwraps_are_found() {
    let found = |text: &str| complaints(unwraps, "src/wire/sol.rs", text);
    assert_eq!(found("r.u8().unwrap()"), 1);
    assert_eq!(found("r.u8()\n    .expect(\"a byte\")"), 1);
    assert_eq!(found("x.map(Option::unwrap)"), 1);
    assert_eq!(found("r.u8().unwrap_or(0)"), 0);
    assert_eq!(found("#[cfg(test)]\nmod tests { fn f() { r.u8().unwrap(); } }"), 0);
    assert_eq!(complaints(unwraps, "src/crypto/mod.rs", "x.unwrap()"), 0);
}

#[test]
fn unfinished_work_is_found() {
    let found = |text: &str| complaints(unfinished, "src/bmc.rs", text);
    assert_eq!(found("fn f() { todo!() } fn g() { unimplemented!(\"later\") }"), 2);
    assert_eq!(found("// todo!()\nlet todo = 1;"), 0);
}

#[test]
fn unguarded_exports_are_found() {
    let found = |text: &str| complaints(unguarded_exports, "src/ffi/bmc.rs", text);
    let good = "struct A;\n\n/// Closes {it}; all of it.\n#[unsafe(no_mangle)]\npub unsafe \
                extern \"C\" fn bmclink_bmc_free(bmc: *mut Bmc) -> i32 {\n    guard(|| { x() })\n}";
    assert_eq!(found(good), 0);
    assert_eq!(found(&good.replace("guard(", "guard::guard(")), 0);
    assert_eq!(found(&good.replace("pub unsafe", "pub")), 0);
    assert_eq!(found(&good.replace("#[unsafe(no_mangle)]\n", "")), 1);
    assert_eq!(found(&good.replace("pub unsafe", "unsafe")), 1);
    assert_eq!(found(&good.replace("guard(|| { x() })", "x()")), 1);
    assert_eq!(found(&good.replace("guard(|| { x() })", "unguard(|| x())")), 1);
    assert_eq!(found(&good.replace("guard(|| { x() })", "guard(|| x()) + y()")), 1);
    assert_eq!(found(&good.replace("guard(|| { x() })", "y(); guard(|| x())")), 1);
    assert_eq!(found("type F = unsafe extern \"C\" fn(u32);\nextern \"C\" { fn g(); }"), 0);
}

#[test]
fn homeless_files_long_lines_and_aborts_are_found() {
    assert_eq!(complaints(homeless, "src/util.rs", ""), 1);
    assert_eq!(complaints(homeless, "src/util/mod.rs", ""), 1);
    assert_eq!(complaints(homeless, "src/bmc.rs", ""), 0);
    assert_eq!(complaints(long_lines, "src/bmc.rs", &format!("{}\n", "é".repeat(100))), 0);
    assert_eq!(complaints(long_lines, "src/bmc.rs", &format!("\n{}\n", "x".repeat(101))), 1);
    assert_eq!(aborts("Cargo.toml", "[profile.release]\npanic = \"abort\"").len(), 1);
    assert_eq!(aborts("Cargo.toml", "[profile]\nrelease={panic='abort'}").len(), 1);
    assert_eq!(aborts("Cargo.toml", "# panic = \"abort\"\npanic = \"unwind\"").len(), 0);
}
