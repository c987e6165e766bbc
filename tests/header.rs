//! The committed header is what `src/ffi` makes, what the library exports, and legal C and C++.
//!
//! `UPDATE_HEADER=1 cargo test --test header` rewrites it; review the difference as a change of
//! the interface.

mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use support::*;

/// The files of `src/ffi` that C sees something of, in the order of the header.
const SOURCES: [&str; 19] = [
    "library",
    "error",
    "log",
    "credentials",
    "engine",
    "bmc",
    "console_options",
    "console",
    "event",
    "reader",
    "callback",
    "exec",
    "backend",
    "queue",
    "stats",
    "command",
    "result",
    "fleet",
    "sim",
];

fn committed() -> PathBuf {
    package().join("include/bmclink.h")
}

fn generated() -> String {
    let config = cbindgen::Config::from_file(package().join("include/cbindgen.toml"))
        .expect("include/cbindgen.toml can be read");
    let sources = SOURCES.map(|name| package().join(format!("src/ffi/{name}.rs")));
    let builder = sources.iter().fold(cbindgen::Builder::new(), |b, path| b.with_src(path));
    let bindings = builder.with_config(config).generate().expect("src/ffi makes a header");
    let mut header = Vec::new();
    bindings.write(&mut header);
    String::from_utf8(header).expect("a header of text")
}

#[test]
fn the_committed_header_is_current() {
    let new = generated();
    if std::env::var_os("UPDATE_HEADER").is_some() {
        std::fs::write(committed(), &new).expect("include/bmclink.h can be written");
        return;
    }
    let old = std::fs::read_to_string(committed()).unwrap_or_default();
    let change = old.lines().zip(new.lines()).find(|(old, new)| old != new);
    let advice = "UPDATE_HEADER=1 cargo test --test header";
    assert!(old == new, "include/bmclink.h is not what src/ffi makes ({change:?}): {advice}");
}

#[test]
fn the_shared_library_exports_what_the_header_declares_and_nothing_else() {
    let declared = declared(&generated());
    assert!(declared.len() > 70, "{declared:?}");
    let mut nm = require("nm");
    nm.args(["-D", "--defined-only"]).arg(&c_library().shared);
    let symbols = Program::run(nm, Duration::from_secs(60)).success();
    let exported: BTreeSet<String> =
        symbols.lines().filter_map(|line| line.split(' ').nth(2)).map(str::to_owned).collect();
    assert_eq!(exported, declared);
}

#[test]
fn the_shared_library_has_its_soname_and_stays_loaded() {
    let mut readelf = require("readelf");
    readelf.args(["-d", "-W"]).arg(&c_library().shared);
    let dynamic = Program::run(readelf, Duration::from_secs(60)).success();
    assert!(dynamic.contains("soname: [libbmclink.so.0]"), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

#[test]
fn pkg_config_is_told_what_the_static_library_needs() {
    let file = PathBuf::from(env!("OUT_DIR")).join("bmclink.pc");
    let text = std::fs::read_to_string(file).expect("the build script wrote it");
    let version = format!("Version: {}", env!("CARGO_PKG_VERSION"));
    let needs = format!("Libs.private: {}", NATIVE_LIBRARIES.join(" "));
    for line in [version.as_str(), "Libs: -L${libdir} -lbmclink", needs.as_str()] {
        assert!(text.lines().any(|found| found == line), "no {line:?} in {text}");
    }
    for file in ["include/bmclink.h", "examples/c/Makefile"] {
        let text = std::fs::read_to_string(package().join(file)).expect("readable");
        assert!(text.contains(&NATIVE_LIBRARIES.join(" ")), "{file}");
    }
}

#[test]
fn compilers_take_the_header_without_a_word() {
    let scratch = Scratch::new();
    // Every function is named, so that its declaration is looked at.
    let uses = declared(&generated());
    let uses: String = uses.iter().map(|name| format!("    (fn *)&{name},\n")).collect();
    let text = format!(
        "#include \"bmclink.h\"\n#include \"bmclink.h\"\ntypedef void fn(void);\n\
         extern fn *const all[];\nfn *const all[] = {{\n{uses}}};\n"
    );
    let source = scratch.write("all.c", text);
    for (compiler, standard) in
        [("gcc", "c99"), ("gcc", "c11"), ("gcc", "c2x"), ("g++", "c++11"), ("g++", "c++17")]
    {
        let mut command = require(compiler);
        command.arg(format!("-std={standard}"));
        command.args(["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]);
        command.args(["-x", if compiler == "gcc" { "c" } else { "c++" }]);
        command.arg("-I").arg(package().join("include")).arg(&source);
        // The casts to one type are the test's own, and so is the complaint about them.
        command.arg("-Wno-cast-function-type");
        let output = Program::run(command, Duration::from_secs(60)).success();
        assert_eq!(output, "", "{compiler} {standard}");
    }
}

#[test]
fn every_file_that_exports_is_in_the_header() {
    for entry in std::fs::read_dir(package().join("src/ffi")).expect("src/ffi is there") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a readable source file");
        let name = path.file_stem().expect("a name").to_string_lossy();
        if text.contains("unsafe(no_mangle)") {
            assert!(SOURCES.contains(&name.as_ref()), "{name} is not in SOURCES");
        }
    }
}

#[test]
fn every_declaration_has_a_comment_for_readers_of_c() {
    let header = generated();
    let lines: Vec<&str> = header.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        let opens = ["int32_t bmclink_", "int64_t bmclink_", "const char *bmclink_", "struct "];
        let start = line.trim_start_matches("typedef ");
        if opens.iter().any(|open| start.starts_with(open)) {
            let above = lines[number - 1];
            let commented = above == " */" || above == "BMCLINK_MUST_USE";
            assert!(commented, "no comment above line {}: {line}", number + 1);
        }
    }
    for rust in ["[`", "::", "# Safety", "`None`", "Option<"] {
        assert!(!header.contains(rust), "the header speaks Rust: {rust}");
    }
}

/// The functions a header declares.
fn declared(header: &str) -> BTreeSet<String> {
    let mut code = String::new();
    for (index, part) in header.split("/*").enumerate() {
        let after = if index == 0 { part } else { part.split_once("*/").expect("an end").1 };
        code.push_str(after);
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let calls =
        code.match_indices('(').filter_map(|(at, _)| code[..at].rsplit(|c| !word(c)).next());
    calls.filter(|name| name.starts_with("bmclink_")).map(str::to_owned).collect()
}
