//! The inventory example, run as a new user would.

mod support;

use std::process::Stdio;

use serde_json::Value;
use support::{Scratch, example};

fn inventory(arguments: &[&str]) -> (bool, String, String) {
    let output = example("inventory").args(arguments).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn simulated_bmcs_show_their_health_and_all_else() {
    let (good, text, _) = inventory(&[]);
    assert!(good, "{text}");
    let health: Vec<_> = text.lines().filter(|line| line.contains("  health  ")).collect();
    assert_eq!(health.len(), 8, "{text}");
    assert!(health.iter().all(|line| line.trim_end().ends_with("  ok")), "{text}");

    let (good, text, _) = inventory(&["all"]);
    assert!(good, "{text}");
    for part in
        ["sensor  CPU1 Temp", "degrees C", "sel     empty", "fru     Mainboard", "serial number"]
    {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

#[test]
fn json_is_one_object_for_each_bmc_and_records_are_kept_in_files() {
    let scratch = Scratch::new();
    let cache = scratch.path().join("cache");
    let cache = cache.to_str().expect("text");
    for _ in 0..2 {
        let (good, text, errors) = inventory(&["all", "--json", "--cache", cache]);
        assert!(good && errors.is_empty(), "{text}{errors}");
        let objects: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(objects.len(), 8);
        for object in &objects {
            let sensors = object["sensors"].as_array().expect("sensors");
            let fan = sensors.iter().find(|sensor| sensor["name"] == "Fan2").expect("a fan");
            assert_eq!(fan["unit"], "RPM");
            assert!(fan["value"].as_f64().is_some_and(|value| value > 1000.0), "{fan}");
            assert_eq!(object["health"], "ok");
            assert!(object["sel"].is_array());
            assert_eq!(object["fru"][0]["product"]["name"], "Simulated Server");
        }
        assert_eq!(std::fs::read_dir(cache).expect("the folder").count(), 1);
    }
}

#[test]
fn one_that_fails_has_its_error_and_the_exit_code_says_so() {
    // Nobody listens on that port.
    let login = ["-U", "admin", "-P", "x"];
    let (good, text, _) =
        inventory(&[&["sel", "--timeout", "2", "-H", "127.64.1.[1-2]:9"][..], &login].concat());
    assert!(!good);
    assert_eq!(text.lines().filter(|line| line.starts_with("127.64.1.")).count(), 2, "{text}");

    for (list, wanted) in [("a[1-2", "without its ]"), ("a[2-1]", "backwards"), ("a:b", "port")] {
        let (good, _, errors) = inventory(&[&["-H", list][..], &login].concat());
        assert!(!good && errors.contains(wanted), "{list}: {errors}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut command = example("inventory");
    command.arg("all").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
