//! The small examples, run as a new user would.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use support::{Scratch, example};

#[test]
fn watch_sees_all_simulated_consoles_connected() {
    let output = example("watch").args(["--seconds", "5"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text.lines().last(), Some("8 connected"), "{text}");
}

#[test]
fn watch_and_share_refuse_bmcs_without_a_password() {
    let watch = example("watch").arg("bmc1").output().expect("it runs");
    let share = example("share").args(["--socket", "none", "bmc1"]).output().expect("it runs");
    for output in [watch, share] {
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("password"), "{text}");
    }
}

/// Reads until the text ends so.
fn read_until(stream: &mut UnixStream, end: &str) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 256];
    while !text.ends_with(end.as_bytes()) {
        let len = stream.read(&mut buffer).expect("more text");
        assert_ne!(len, 0, "{}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&buffer[..len]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn share_shows_one_console_to_many_and_the_past_to_who_comes_later() {
    let scratch = Scratch::new();
    let socket = scratch.path().join("socket");
    let mut share = example("share")
        .args(["--linger", "1", "--socket"])
        .arg(&socket)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut ready = String::new();
    let stdout = share.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut ready).expect("a line");
    assert!(ready.contains("ready"), "{ready}");
    let attach = || {
        let stream = UnixStream::connect(&socket).expect("attached");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream
    };
    let (mut a, mut b) = (attach(), attach());
    let past = read_until(&mut a, "sim:~# ");
    a.write_all(b"uname\r").expect("typed");
    let answer = read_until(&mut a, "sim:~# ");
    assert!(answer.contains("Linux"), "{answer}");
    let both = past + &answer;
    let mut seen = String::new();
    while seen.len() < both.len() {
        seen += &read_until(&mut b, "sim:~# ");
    }
    assert_eq!(seen, both);
    let mut late = String::new();
    let mut c = attach();
    while late.len() < both.len() {
        late += &read_until(&mut c, "sim:~# ");
    }
    assert_eq!(late, both);
    share.kill().expect("ours");
    share.wait().expect("ended");
}
