//! The benchmark program works: every part of it runs, small, and fails nothing. Not how fast.

mod support;

use std::fs;

use serde_json::Value;
use support::{Scratch, example};

fn numbers_in(value: &Value) -> usize {
    match value {
        Value::Number(_) => 1,
        Value::Array(values) => values.iter().map(numbers_in).sum(),
        Value::Object(values) => values.values().map(numbers_in).sum(),
        _ => 0,
    }
}

#[test]
fn everything_runs_small() {
    let scratch = Scratch::new();
    let file = scratch.path().join("bench.json");
    let mut bench = example("bench");
    bench.args(["all", "--quick", "--only", "bmclink,ipmitool", "--deadline", "240", "--json"]);
    let output = bench.arg(&file).output().expect("it runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);

    let json: Value = serde_json::from_slice(&fs::read(&file).expect("a file")).expect("JSON");
    assert_eq!(json["failures"], Value::Array(Vec::new()));
    assert_eq!(json["quick"], Value::Bool(true));
    for name in ["floor", "scale", "storm", "flood", "fleet", "ffi", "peers"] {
        assert!(stdout.contains(&format!("\n## {name}: ")), "no {name} in {stdout}");
        assert!(numbers_in(&json["figures"][name]) > 5, "{name}: {}", json["figures"][name]);
    }
    let rows = stdout.lines().filter(|line| line.starts_with("| ")).count();
    assert!(rows > 30, "{rows} rows in {stdout}");
    assert!(!stdout.contains("NaN"), "{stdout}");
}

#[test]
fn a_wrong_option_is_refused() {
    for arguments in [&["floor", "--suites", "4"][..], &["everything"], &["storm", "--bmcs", "x"]] {
        let output = example("bench").args(arguments).output().expect("it runs");
        assert!(!output.status.success(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}
