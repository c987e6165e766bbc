//! The C ABI as C programs see it: the example, and a program that does everything wrong, with
//! the shared library, and with the static one under sanitizers.

mod support;

use std::net::SocketAddr;

use bmclink::sim::{Serial, Simulator, SimulatorOptions};
use support::*;

fn echo() -> Simulator {
    let options = SimulatorOptions { serial: Serial::Echo, ..SimulatorOptions::default() };
    Simulator::start(options).expect("a simulator")
}

fn at(bmc: SocketAddr) -> [String; 4] {
    ["-H".to_owned(), bmc.ip().to_string(), "-p".to_owned(), bmc.port().to_string()]
}

/// Every byte value in every neighbourhood, and more than any buffer on the way holds.
fn all_bytes() -> Vec<u8> {
    let mut random = SplitMix64::new(7);
    let mut bytes: Vec<u8> = (0..=255).collect();
    bytes.extend((0..100_000).map(|_| random.next_u64() as u8));
    bytes
}

#[track_caller]
fn console_is_a_filter(link: Link) {
    let scratch = Scratch::new();
    let program = compile(&scratch, "examples/c/console.c", link);
    let simulator = echo();
    let place = at(simulator.address(0));
    let arguments = place.each_ref().map(String::as_str);
    let input = all_bytes();
    let (finished, output) = filter(&scratch, &program, &arguments, &input);
    let messages = finished.success();
    assert!(output == input, "{} bytes of {}: {messages}", output.len(), input.len());
    let wanted = ["connecting to 127.0.0.1", "connected (cipher suite 17)", "closed"];
    for text in wanted {
        assert!(messages.contains(text), "{messages}");
    }
}

#[test]
fn the_console_example_is_a_filter_with_the_shared_library() {
    console_is_a_filter(Link::Shared);
}

#[test]
fn the_console_example_is_a_filter_under_sanitizers() {
    console_is_a_filter(Link::Sanitized);
}

#[test]
fn the_console_example_brings_its_own_bmc_and_says_what_is_wrong() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "examples/c/console.c", Link::Sanitized);
    let (finished, output) = filter(&scratch, &program, &[], b"help\r");
    finished.success();
    let output = String::from_utf8_lossy(&output).into_owned();
    assert!(output.contains("Simulated host"), "{output}");

    let simulator = echo();
    let place = at(simulator.address(0));
    let [host, address, port, number] = place.each_ref().map(String::as_str);
    let wrong = [host, address, port, number, "-U", "admin", "-P", "wrong"];
    let (finished, output) = filter(&scratch, &program, &wrong, b"");
    assert!(!finished.status.success() && output.is_empty());
    assert!(finished.output.contains("wrong password"), "{}", finished.output);
    assert!(finished.output.contains("check"), "no advice: {}", finished.output);
}

#[test]
fn the_console_example_serves_a_terminal() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "examples/c/console.c", Link::Sanitized);
    let mut console = Program::spawn_on_terminal(std::process::Command::new(program));
    console.wait_for("Ctrl-] ends", PATIENCE);
    console.write(b"\r");
    console.wait_for("sim:~# ", PATIENCE);
    console.write(b"\x1d");
    console.finish(PATIENCE).success();
}

/// Runs a program of `tests/c` that checks everything itself, and its own memory with the address
/// and undefined behaviour sanitizers.
#[track_caller]
fn passes_under_sanitizers(name: &str) {
    let scratch = Scratch::new();
    let program = compile(&scratch, &format!("tests/c/{name}.c"), Link::Sanitized);
    says_that_all_is_well(std::process::Command::new(program));
}

/// The same with the shared library, whose memory valgrind looks into.
#[track_caller]
fn passes_under_valgrind(name: &str) {
    let scratch = Scratch::new();
    let program = compile(&scratch, &format!("tests/c/{name}.c"), Link::Shared);
    says_that_all_is_well(valgrind(&program));
}

#[track_caller]
fn says_that_all_is_well(program: std::process::Command) {
    let output = Program::run(program, PATIENCE).success();
    assert!(output.contains("all as the header says"), "{output}");
}

#[test]
fn misuse_is_refused_under_sanitizers() {
    passes_under_sanitizers("misuse");
}

#[test]
fn misuse_is_refused_by_the_shared_library() {
    let scratch = Scratch::new();
    let program = compile(&scratch, "tests/c/misuse.c", Link::Shared);
    says_that_all_is_well(std::process::Command::new(program));
}

#[test]
fn consoles_that_are_not_sol_work_under_sanitizers() {
    passes_under_sanitizers("backends");
}

#[test]
fn waiting_for_many_works_under_sanitizers() {
    passes_under_sanitizers("waiting");
}

#[test]
fn waiting_for_many_works_under_valgrind_with_the_shared_library() {
    passes_under_valgrind("waiting");
}

#[test]
fn healing_works_under_sanitizers() {
    passes_under_sanitizers("healing");
}

#[test]
fn healing_works_under_valgrind_with_the_shared_library() {
    passes_under_valgrind("healing");
}

#[test]
fn commands_and_fleets_work_under_sanitizers() {
    passes_under_sanitizers("commands");
}

#[test]
fn commands_and_fleets_work_under_valgrind_with_the_shared_library() {
    passes_under_valgrind("commands");
}

#[test]
fn changes_are_followed_under_sanitizers() {
    passes_under_sanitizers("changing");
}

#[test]
fn changes_are_followed_under_valgrind_with_the_shared_library() {
    passes_under_valgrind("changing");
}

#[test]
fn sharing_works_under_sanitizers() {
    passes_under_sanitizers("sharing");
}

#[test]
fn sharing_works_under_valgrind_with_the_shared_library() {
    passes_under_valgrind("sharing");
}

#[test]
fn connecting_and_ending_work_under_sanitizers() {
    passes_under_sanitizers("connecting");
}

#[test]
fn connecting_and_ending_work_under_valgrind_with_the_shared_library() {
    passes_under_valgrind("connecting");
}

/// The leak check is on: without it, "no leaks" proves nothing.
#[test]
fn a_leak_is_found_by_the_sanitizer() {
    let scratch = Scratch::new();
    let source = scratch.write(
        "leak.c",
        "#include <stdlib.h>\nvoid *volatile kept;\n\
         int main(void) { kept = malloc(9); kept = NULL; return 0; }\n",
    );
    let program = scratch.join("leak");
    let mut gcc = require("gcc");
    gcc.args(["-g", "-fsanitize=address"]).arg(source).arg("-o").arg(&program);
    Program::run(gcc, PATIENCE).success();
    let finished = Program::run(std::process::Command::new(program), PATIENCE);
    assert!(finished.output.contains("detected memory leaks"), "{}", finished.output);
}
