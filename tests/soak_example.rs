//! The soak works: everything goes wrong for a while at a few BMCs, and all is well again.

mod support;

use support::example;

#[test]
fn a_short_soak_ends_well() {
    let mut soak = example("soak");
    let output = soak.args(["--minutes", "0.34", "--bmcs", "40", "--seed", "7"]).output();
    let output = output.expect("it runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    assert!(stdout.ends_with("all is well\n"), "{stdout}");
    for what in ["resets", "absences", "steals", "moves", "passwords", "readers"] {
        assert!(stdout.contains(&format!(" {what}")), "no {what}: {stdout}");
    }
}

#[test]
fn a_wrong_option_is_refused() {
    for arguments in [["--bmcs", "1"], ["--minutes", "x"], ["--fleas", "7"]] {
        let output = example("soak").args(arguments).output().expect("it runs");
        assert!(!output.status.success(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}
