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
    let ways = [
        ("gcc", "c99"),
        ("gcc", "c11"),
        ("gcc", "c2x"),
        ("g++", "c++11"),
        ("g++", "c++17"),
        ("clang", "c99"),
        ("clang", "c++17"),
    ];
    for (compiler, standard) in ways {
        let mut command = require(compiler);
        command.arg(format!("-std={standard}"));
        command.args(["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]);
        command.args(["-x", if standard.contains("++") { "c++" } else { "c" }]);
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

/// The interface of the last release, and what its version number was.
const RELEASED: &str = "tests/abi/0.1.txt";

#[test]
fn the_interface_keeps_what_was_released() {
    let (now, file) = (interface(&generated()), package().join(RELEASED));
    if std::env::var_os("UPDATE_ABI").is_some() {
        let lines: Vec<&str> = now.iter().map(String::as_str).collect();
        std::fs::write(&file, lines.join("\n") + "\n").expect("it can be written");
        return;
    }
    let text = std::fs::read_to_string(file).expect("the last release has a file");
    let released: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    if let Some(complaint) = complaint(&released, &now) {
        panic!("{complaint}");
    }
}

#[test]
fn what_breaks_programs_is_complained_of() {
    let set = |lines: &[&str]| -> BTreeSet<String> {
        lines.iter().map(|&line| line.to_owned()).collect()
    };
    let version = "#define BMCLINK_ABI_VERSION 3";
    let later = "#define BMCLINK_ABI_VERSION 4";
    let next = "#define BMCLINK_ABI_VERSION 65536";
    let old = set(&[version, "int32_t bmclink_a(void)"]);
    assert_eq!(complaint(&old, &old), None);
    let more = ["int32_t bmclink_a(void)", "int32_t bmclink_b(void)"];
    assert_eq!(complaint(&old, &set(&[later, more[0], more[1]])), None);
    let silent = complaint(&old, &set(&[version, more[0], more[1]])).expect("no new number");
    assert!(silent.contains("minor") && silent.contains("bmclink_b"), "{silent}");
    for changed in [set(&[later]), set(&[later, "int64_t bmclink_a(void)"])] {
        let broken = complaint(&old, &changed).expect("a function is not what it was");
        assert!(broken.contains("major") && broken.contains("int32_t bmclink_a"), "{broken}");
    }
    let broken = complaint(&old, &set(&[next, more[1]])).expect("a file for the new one");
    assert!(broken.contains("UPDATE_ABI"), "{broken}");
}

#[test]
fn declarations_are_read_without_what_does_not_matter() {
    let header = "/* int32_t bmclink_no(void); */\n#define BMCLINK_OK 0\n\
        typedef enum bmclink_e {\n    /** a, b */\n    BMCLINK_E_A = 1,\n    BMCLINK_E_B = -2,\n} bmclink_e;\n\
        typedef struct bmclink_s bmclink_s;\n\
        typedef void (*bmclink_f)(int32_t level,\n     const char *text);\n\
        BMCLINK_MUST_USE\nint32_t bmclink_x(struct bmclink_s *s,\n    uint8_t cmd, void *user);\n\
        const char *bmclink_v(void);\n";
    let wanted = [
        "#define BMCLINK_OK 0",
        "BMCLINK_E_A = 1",
        "BMCLINK_E_B = -2",
        "const char *bmclink_v(void)",
        "int32_t bmclink_x(struct bmclink_s *, uint8_t, void *)",
        "typedef struct bmclink_s bmclink_s",
        "typedef void (*bmclink_f)(int32_t, const char *)",
    ];
    assert_eq!(interface(header), wanted.map(str::to_owned).into());
}

/// What is wrong with an interface, seen from programs that were built with an older one.
fn complaint(released: &BTreeSet<String>, now: &BTreeSet<String>) -> Option<String> {
    let version = |lines: &BTreeSet<String>| {
        let line = lines.iter().find_map(|line| line.strip_prefix("#define BMCLINK_ABI_VERSION "));
        line.and_then(|number| number.parse::<u32>().ok()).expect("a version number")
    };
    let (old, new) = (version(released), version(now));
    let counts = |line: &&String| !line.starts_with("#define BMCLINK_ABI_VERSION");
    let gone: Vec<_> = released.difference(now).filter(counts).cloned().collect();
    let added: Vec<_> = now.difference(released).filter(counts).cloned().collect();
    if old >> 16 != new >> 16 {
        return Some(format!("a new major number: UPDATE_ABI=1 for a file in place of {RELEASED}"));
    }
    if !gone.is_empty() {
        return Some(format!(
            "programs built with the last release break without:\n{}\nLeave it as it was and add \
             something new, or raise the major number: BMCLINK_ABI_VERSION in src/ffi/library.rs, \
             the soname in build.rs and install.sh, version_suffix_components in Cargo.toml",
            gone.join("\n")
        ));
    }
    let silent = !added.is_empty() && new <= old;
    silent.then(|| {
        let added = added.join("\n");
        format!("raise the minor number in BMCLINK_ABI_VERSION for what was added:\n{added}")
    })
}

/// Constants, types and functions, a line each, without comments, parameter names and attributes.
fn interface(header: &str) -> BTreeSet<String> {
    let code = without_comments(header);
    let mut lines = BTreeSet::new();
    let numbers = |line: &&str| line.starts_with("#define BMCLINK_") && line.contains(' ');
    for line in code.lines().filter(numbers) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [_, _, value] = words[..]
            && value.parse::<i64>().is_ok()
        {
            lines.insert(words.join(" "));
        }
    }
    let code: Vec<&str> = code.lines().filter(|line| !line.starts_with('#')).collect();
    for part in code.join(" ").split([';', '{', '}', ',']) {
        let words: Vec<&str> = part.split_whitespace().collect();
        if let [name, "=", _] = words[..]
            && name.starts_with("BMCLINK_")
        {
            lines.insert(words.join(" "));
        }
    }
    for statement in code.join(" ").split([';', '{', '}']) {
        let words: Vec<&str> = statement.split_whitespace().collect();
        let text = words.join(" ").replace("BMCLINK_MUST_USE ", "").replace("extern \"C\" ", "");
        if text.starts_with("typedef struct ") {
            lines.insert(text);
        } else if let Some((head, parameters)) = text.rsplit_once('(')
            && head.contains("bmclink_")
        {
            let kinds: Vec<_> = parameters.trim_end_matches(')').split(',').map(kind).collect();
            lines.insert(format!("{head}({})", kinds.join(", ")));
        }
    }
    lines
}

/// The type of a parameter, which ends with its name; `void` alone has none.
fn kind(parameter: &str) -> String {
    let parameter = parameter.trim();
    let name = parameter.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    match name {
        Some(at) => parameter[..=at].trim_end().to_owned(),
        None => parameter.to_owned(),
    }
}

fn without_comments(header: &str) -> String {
    let mut code = String::new();
    for (index, part) in header.split("/*").enumerate() {
        let after = if index == 0 { part } else { part.split_once("*/").expect("an end").1 };
        code.push_str(after);
    }
    code
}

/// The functions a header declares.
fn declared(header: &str) -> BTreeSet<String> {
    let code = without_comments(header);
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let calls =
        code.match_indices('(').filter_map(|(at, _)| code[..at].rsplit(|c| !word(c)).next());
    calls.filter(|name| name.starts_with("bmclink_")).map(str::to_owned).collect()
}
