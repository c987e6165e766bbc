//! The examples in C: built by gcc and clang without a warning, run under sanitizers and valgrind;
//! and an installed library, as programs find it.

mod support;

use std::path::Path;
use std::process::Command;

use bmclink::sim::{Simulator, SimulatorOptions};
use support::*;

/// Builds an example in each way and has each one run, given the way to start it.
#[track_caller]
fn in_every_way(source: &str, check: impl Fn(&dyn Fn() -> Command)) {
    for link in [Link::Sanitized, Link::Clang, Link::Shared] {
        let scratch = Scratch::new();
        let program = compile(&scratch, &format!("examples/c/{source}"), link);
        match link {
            Link::Shared => check(&|| valgrind(&program)),
            _ => check(&|| Command::new(&program)),
        }
    }
}

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}

/// What a program printed that ended with `status`.
#[track_caller]
fn output(command: Command, status: i32) -> String {
    let finished = Program::run(command, PATIENCE);
    assert_eq!(finished.status.code(), Some(status), "{}", finished.output);
    finished.output
}

#[test]
fn many_has_a_word_with_each_of_many_consoles() {
    in_every_way("many.c", |start| {
        let output = output(with(start(), &["-n", "60"]), 0);
        assert_eq!(output, "many: 60 consoles, 60 connected, 60 answered\n");
    });
}

#[test]
fn many_connects_a_thousand() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "examples/c/many.c", Link::Sanitized);
    let said = output(Command::new(&program), 0);
    assert_eq!(said, "many: 1000 consoles, 1000 connected, 1000 answered\n");
    // Real hosts, one of which is none: the rest goes on until the time is over.
    let said = output(with(Command::new(&program), &["-t", "1", "127.99.97.1"]), 1);
    assert!(said.contains("1 consoles, 0 connected\n"), "{said}");
}

#[test]
fn reconfigure_follows_what_changes() {
    in_every_way("reconfigure.c", |start| {
        let output = output(start(), 0);
        let happened = ["connected (1)", "not connected: the configuration was changed"];
        let more = ["connected (2)", "wrong password", "connected (3)", "not connected: closed"];
        let mut rest = output.as_str();
        for text in happened.iter().chain(&more) {
            let found = rest.find(text).unwrap_or_else(|| panic!("no {text:?} in {output}"));
            rest = &rest[found + text.len()..];
        }
        assert_eq!(output.matches("< hello").count(), 3, "{output}");
    });
}

#[test]
fn reconfigure_does_what_it_is_told() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "examples/c/reconfigure.c", Link::Sanitized);
    let mut console = Program::spawn(with(Command::new(program), &["127.99.96.1", "admin", "a"]));
    console.write(b"password b\nuser somebody\nhost 127.99.96.2\nhello\n");
    console.close_input();
    let output = console.finish(PATIENCE).success();
    assert!(output.contains("> host 127.99.96.2") && output.contains("> hello"), "{output}");
    assert!(output.contains("input: ") && output.contains("not connected"), "{output}");
}

#[test]
fn power_has_a_line_for_each() {
    in_every_way("power.c", |start| {
        for (arguments, well) in [(vec!["status"], "on"), (vec!["-w", "off"], "off")] {
            let output = output(with(start(), &arguments), 1);
            for host in 1..=3 {
                assert!(output.contains(&format!("127.0.0.{host}: {well}\n")), "{output}");
            }
            assert!(output.contains("127.0.0.4: no answer"), "{output}");
        }
        let output = output(with(start(), &["reset"]), 1);
        assert_eq!(output.matches(": ok\n").count(), 3, "{output}");
    });
}

#[test]
fn power_knows_ranges() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "examples/c/power.c", Link::Sanitized);
    let ask = |host: &str| with(Command::new(&program), &["-t", "1", "status", host]);
    let said = output(ask("127.99.[8-9].[9-11]"), 1);
    for host in ["127.99.8.9", "127.99.8.10", "127.99.9.9", "127.99.9.11"] {
        assert!(said.contains(&format!("{host}: ")), "{said}");
    }
    assert_eq!(said.lines().count(), 6, "{said}");
    let said = output(ask("no-such-host-[008-010].invalid"), 1);
    for number in ["008", "009", "010"] {
        assert!(said.contains(&format!("no-such-host-{number}.invalid: ")), "{said}");
    }
    for wrong in ["a[", "a[1", "a[1-", "a[2-1]", "a[x-y]", "a[-3]", "a[1-20000]"] {
        let said = output(ask(wrong), 1);
        assert!(said.contains("not a range") || said.contains("too many"), "{wrong}: {said}");
    }
    let said = output(with(Command::new(&program), &["explode"]), 1);
    assert!(said.contains("none of off, on"), "{said}");
}

#[test]
fn uv_types_at_all_of_them() {
    in_every_way("uv.c", |start| {
        let mut program = Program::spawn(start());
        program.write(b"help\r");
        program.close_input();
        let output = program.finish(PATIENCE).success();
        for host in 1..=3 {
            assert!(output.contains(&format!("[127.0.0.{host}] ")), "{output}");
        }
        assert_eq!(output.matches("the kernel's messages").count(), 3, "{output}");
    });
}

#[test]
fn the_makefile_builds_with_either_library() {
    let library = c_library();
    let target = library.archive.parent().expect("a folder");
    for kind in [None, Some("SHARED=1")] {
        let scratch = Scratch::new();
        let mut make = make(&scratch);
        make.arg(format!("LIBRARY={}", target.display())).args(kind);
        Program::run(make, PATIENCE).success();
        let (finished, output) = filter(&scratch, &scratch.join("console"), &[], b"help\r");
        finished.success();
        assert!(!output.is_empty());
        for program in ["many", "power", "reconfigure", "uv"] {
            assert!(scratch.join(program).is_file(), "{program}");
        }
    }
}

fn make(out: &Scratch) -> Command {
    let mut make = require("make");
    make.arg("-C").arg(package().join("examples/c"));
    make.arg("CFLAGS=-Werror").arg(format!("OUT={}", out.path().display()));
    make
}

/// What install.sh puts below a folder, asked to by these variables.
#[track_caller]
fn install(root: &Path, variables: &[(&str, &str)]) -> String {
    let library = c_library().archive.parent().expect("a folder");
    let mut script = Command::new(package().join("install.sh"));
    script.env("LIBRARY", library).env("DESTDIR", root);
    for name in ["PREFIX", "LIBDIR", "INCLUDEDIR", "STRIP"] {
        script.env_remove(name);
    }
    script.envs(variables.iter().copied());
    Program::run(script, PATIENCE).success()
}

/// pkg-config, which is shown nothing but what was installed.
fn pkg_config(root: &Path, libdir: &str, arguments: &[&str]) -> String {
    let mut command = require("pkg-config");
    command.env("PKG_CONFIG_LIBDIR", root.join(libdir).join("pkgconfig"));
    command.env("PKG_CONFIG_SYSROOT_DIR", root).args(arguments).arg("bmclink");
    Program::run(command, PATIENCE).success().trim().to_owned()
}

#[test]
fn programs_find_an_installed_library() {
    let (root, out) = (Scratch::new(), Scratch::new());
    let said = install(root.path(), &[]);
    println!("{said}");
    let version = env!("CARGO_PKG_VERSION");
    let libraries = root.join("usr/local/lib");
    let file = format!("libbmclink.so.{version}");
    let target = |name: &str| std::fs::read_link(libraries.join(name)).expect("a link");
    assert_eq!(target("libbmclink.so.0"), Path::new(&file));
    assert_eq!(target("libbmclink.so"), Path::new("libbmclink.so.0"));
    assert_eq!(pkg_config(root.path(), "usr/local/lib", &["--modversion"]), version);
    let kib = std::fs::metadata(libraries.join(&file)).expect("the library").len() / 1024;
    assert!(said.contains(&format!("has {kib} KiB")), "{said}");
    assert!(kib < 4096, "the stripped library has {kib} KiB: what made it grow?");

    let mut make = make(&out);
    make.arg("INSTALLED=1").env("PKG_CONFIG_PATH", libraries.join("pkgconfig"));
    make.env("PKG_CONFIG_SYSROOT_DIR", root.path());
    // The system root is for one package only; libuv is where it always was.
    make.arg("PROGRAMS=console many power reconfigure");
    Program::run(make, PATIENCE).success();
    let mut power = Command::new(out.join("power"));
    power.arg("status").env("LD_LIBRARY_PATH", &libraries);
    assert!(output(power, 1).contains("127.0.0.1: on"));
    let mut needed = require("readelf");
    needed.arg("-d").arg(out.join("power"));
    let needed = Program::run(needed, PATIENCE).success();
    assert!(needed.contains("[libbmclink.so.0]"), "{needed}");

    // The static library, with what pkg-config says it needs.
    std::fs::remove_file(libraries.join("libbmclink.so")).expect("it was there");
    let flags = pkg_config(root.path(), "usr/local/lib", &["--cflags", "--libs", "--static"]);
    let program = out.join("static");
    let mut gcc = require("gcc");
    gcc.args(["-std=c99", "-pthread", "-o"]).arg(&program);
    gcc.arg(package().join("examples/c/many.c")).args(flags.split_whitespace());
    Program::run(gcc, PATIENCE).success();
    assert!(output(with(Command::new(program), &["-n", "2"]), 0).contains("2 answered"));
}

#[test]
fn an_installation_goes_where_it_is_told() {
    let root = Scratch::new();
    let places = [("PREFIX", "/opt/it"), ("LIBDIR", "/opt/it/lib64"), ("INCLUDEDIR", "/usr/inc")];
    install(root.path(), &[places[0], places[1], places[2], ("STRIP", "")]);
    let library = root.join("opt/it/lib64/libbmclink.so");
    let whole = std::fs::metadata(&library).expect("through both links").len();
    let built = std::fs::metadata(&c_library().shared).expect("it was built").len();
    assert_eq!(whole, built, "nothing was stripped");
    assert!(root.join("usr/inc/bmclink.h").is_file());
    let text = std::fs::read_to_string(root.join("opt/it/lib64/pkgconfig/bmclink.pc"));
    let text = text.expect("a pkg-config file");
    for line in ["prefix=/opt/it", "libdir=${prefix}/lib64", "includedir=/usr/inc"] {
        assert!(text.lines().any(|found| found == line), "no {line} in {text}");
    }
    assert!(!text.contains('@'), "{text}");
}

#[test]
fn the_program_of_the_guide_does_what_it_says() {
    let guide = std::fs::read_to_string(package().join("docs/from-libipmiconsole.md"));
    let guide = guide.expect("the guide is there");
    let from = guide.find("```c\n").expect("a program in C") + 5;
    let source = &guide[from..][..guide[from..].find("```").expect("its end")];
    let scratch = Scratch::new();
    let file = scratch.write("guide.c", source);
    let simulator = Simulator::start(SimulatorOptions::default()).expect("a simulator");
    let (host, port) = (simulator.address(0).ip().to_string(), simulator.address(0).port());
    for link in [Link::Sanitized, Link::Clang] {
        let scratch = Scratch::new();
        let program = compile(&scratch, &file.display().to_string(), link);
        let start =
            |secret| with(Command::new(&program), &[&host, &port.to_string(), "admin", secret]);
        let said = output(start("password"), 0);
        assert!(said.contains("sim:~# "), "{said}");
        let said = output(start("wrong"), 1);
        assert!(said.contains("wrong password") && said.contains("try: check"), "{said}");
    }
}
