//! How many instructions one packet costs, counted by valgrind's callgrind: the same on a noisy
//! machine as on a quiet one, so that what gets slower shows.
//!
//! `cargo test --release --test instructions` prints the table and fails when a count is above
//! 1.25 times the one in `tests/instructions.txt`; words behind `--` pick lines by name.
//! `UPDATE_INSTRUCTIONS=1` rewrites that file: review it as any other change. With
//! `KEEP_CALLGRIND=folder` callgrind's output stays there for `callgrind_annotate`, with
//! instructions per function.
//!
//! valgrind gives every x86-64 machine with AVX2 the same processor: with AES instructions,
//! without SHA ones (3.19). So hashes count for more here than they cost where the processor has
//! instructions for them. A valgrind that knows those counts less, which the bound lets pass.
//! A debug build and other processors are not measured.

// What the engine is made of and does not show is built here a second time.
#[path = "../src/engine/deadline.rs"]
#[allow(dead_code, unused_imports)]
mod deadline;
#[path = "../src/console/log.rs"]
#[allow(dead_code, unused_imports)]
mod log;
#[path = "behaviour/pair.rs"]
#[allow(dead_code)]
mod pair;
#[path = "../src/console/stamps.rs"]
#[allow(dead_code)]
mod stamps;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use bmclink::crypto::keys::{Exchange, UserKey};
use bmclink::crypto::suite::{Outgoing, SessionCipher};
use bmclink::session::{CipherSuiteId, Output, Session};
use bmclink::sim::Profile;
use bmclink::wire::payload::PayloadType;
use bmclink::wire::sol::{Packet, SolSequence};
use bmclink::wire::{SessionId, SessionSequence, rmcpplus};
use pair::{Pair, Setup, console_address, is_sol, millis};

/// A count may be this much above the one in the file.
const TOLERANCE: f64 = 1.25;
/// Packets per count.
const ROUNDS: u64 = 64;
/// Characters in a packet.
const CHARACTERS: usize = 100;

/// What is counted; each runs [`measured`] [`ROUNDS`] times.
/// Suite 1 signs and encrypts nothing: that is our own code alone.
const MEASURES: [(&str, fn()); 11] = [
    ("open-suite-3", || open(3)),
    ("open-suite-17", || open(17)),
    ("receive-suite-1", || receive(1, CHARACTERS)),
    ("receive-suite-3", || receive(3, CHARACTERS)),
    ("receive-suite-17", || receive(17, CHARACTERS)),
    ("receive-one-character", || receive(3, 1)),
    ("send-suite-1", || send(1)),
    ("send-suite-3", || send(3)),
    ("send-suite-17", || send(17)),
    ("log-255-bytes", log_255_bytes),
    ("deadline-rearm", deadline_rearm),
];

/// Callgrind counts from the entry of this function to its return.
#[inline(never)]
fn measured(body: &mut dyn FnMut()) {
    body();
    black_box(()); // Not a jump: callgrind would miss the return.
}

// What is counted

/// Verifies, decrypts and reads a SOL packet.
fn open(suite: u8) {
    let algorithms = CipherSuiteId(suite).algorithms().expect("a suite of the specification");
    let k_uid = UserKey::new(b"password").expect("short enough");
    let exchange = Exchange {
        authentication: algorithms.authentication,
        remote_console_session_id: SessionId(1),
        managed_system_session_id: SessionId(2),
        remote_console_random_number: [3; 16],
        managed_system_random_number: [4; 16],
        managed_system_guid: [5; 16],
        role: 0x14,
        user_name: b"admin".to_vec(),
    };
    let sik = exchange.sik(&k_uid, None);
    let cipher = SessionCipher::new(algorithms, &sik.k1(), &sik.k2(), &k_uid);
    let mut payload = Vec::new();
    let sequence = SolSequence::new(1);
    let characters = &[b'x'; CHARACTERS];
    let none = SolSequence::NONE;
    Packet {
        sequence,
        ack_sequence: none,
        accepted_character_count: 0,
        operation_status: 0,
        characters,
    }
    .encode(&mut payload);
    let packet = Outgoing {
        payload_type: PayloadType::Sol,
        session_id: SessionId(1),
        session_sequence_number: SessionSequence(1),
        payload: &payload,
        iv: [6; 16],
    };
    let mut sealed = Vec::new();
    cipher.seal(&packet, &mut sealed);
    for _ in 0..ROUNDS {
        let mut datagram = sealed.clone();
        let mut len = 0;
        measured(&mut || {
            let framed = rmcpplus::decode(&datagram).expect("a packet");
            cipher.verify(&datagram, &framed).expect("signed");
            let payload = cipher.decrypt(&mut datagram, &framed, false).expect("encrypted");
            len = Packet::decode(&datagram[payload]).expect("a SOL payload").characters.len();
        });
        assert_eq!(len, CHARACTERS);
    }
}

/// A session with SOL up, and its BMC.
fn connected(suite: u8) -> Pair {
    let mut pair = Setup::new(Profile::Spec, 1).suites(&[suite]).start();
    pair.connect().expect("connected");
    pair.run_for(Duration::from_secs(3));
    pair
}

/// Takes what a session gives; says how many packets there were and how many characters.
fn drain(session: &mut Session, now: Instant, out: &mut Vec<u8>, sent: &mut [Vec<u8>]) -> usize {
    let mut characters = 0;
    let mut packets = 0;
    loop {
        match session.poll_output(now, out) {
            Output::Transmit => {
                // As the shard does: the bytes are copied into a batch that is there already.
                sent[packets].clear();
                sent[packets].extend_from_slice(out);
                packets += 1;
            }
            Output::SolCharacters => characters += out.len(),
            Output::Event(event) => panic!("{event:?}"),
            Output::Timeout(_) => return characters,
        }
    }
}

fn batch() -> Vec<Vec<u8>> {
    std::iter::repeat_with(|| Vec::with_capacity(1024)).take(4).collect()
}

/// What the BMC sends next, which is SOL.
fn next_of_bmc(pair: &mut Pair) -> Vec<u8> {
    for _ in 0..100 {
        if let Some((_, datagram)) = pair.bmc.poll_transmit() {
            assert!(is_sol(&datagram));
            return datagram;
        }
        pair.now = pair.bmc.poll_timeout().expect("something to come").max(pair.now);
        pair.bmc.handle_timeout(pair.now);
    }
    panic!("the BMC sends nothing");
}

/// One packet with characters comes in, the acknowledge goes out.
fn receive(suite: u8, len: usize) {
    let mut pair = connected(suite);
    let (mut out, mut sent) = (Vec::with_capacity(1024), batch());
    for _ in 0..ROUNDS {
        assert_eq!(pair.bmc.serial_output(pair.now, &vec![b'x'; len]), len);
        let mut datagram = next_of_bmc(&mut pair);
        let (session, now) = (&mut pair.session, pair.now);
        sent.iter_mut().for_each(Vec::clear);
        let mut characters = 0;
        measured(&mut || {
            session.handle_datagram(now, &mut datagram).expect("taken");
            characters = drain(session, now, &mut out, &mut sent);
        });
        assert_eq!((characters, sent.iter().filter(|packet| is_sol(packet)).count()), (len, 1));
        pair.bmc.handle_datagram(now, console_address(), &sent[0]);
        assert!(pair.bmc.poll_transmit().is_none());
    }
}

/// Characters go out in one packet, its acknowledge comes in.
fn send(suite: u8) {
    let mut pair = connected(suite);
    let (mut out, mut sent) = (Vec::with_capacity(1024), batch());
    for round in 0..ROUNDS + 1 {
        let (session, now) = (&mut pair.session, pair.now);
        sent.iter_mut().for_each(Vec::clear);
        let mut write = || {
            assert_eq!(session.sol_write(now, &[b'x'; CHARACTERS]), CHARACTERS);
            drain(session, now, &mut out, &mut sent);
        };
        // The first packet of an activation has another one before it.
        if round == 0 {
            write();
            pair.run_for(Duration::from_secs(5));
            pair.host_received.clear();
            continue;
        }
        measured(&mut write);
        assert_eq!(sent.iter().filter(|packet| is_sol(packet)).count(), 1);
        pair.now += millis(1);
        pair.bmc.handle_datagram(pair.now, console_address(), &sent[0]);
        assert_eq!(pair.bmc.serial_input().len(), CHARACTERS);
        let mut acknowledge = next_of_bmc(&mut pair);
        let (session, now) = (&mut pair.session, pair.now);
        measured(&mut || {
            session.handle_datagram(now, &mut acknowledge).expect("taken");
            drain(session, now, &mut out, &mut sent);
        });
        assert_eq!(pair.session.sol_pending(), 0);
    }
}

/// A full ring takes 255 bytes, and a reader has them.
fn log_255_bytes() {
    let mut log = log::Log::<()>::new(4096);
    let at = Instant::now();
    log.push(at, 1, &[b'x'; 4096]);
    let mut cursor = log.cursor_at_end();
    let mut buffer = [0; 4096];
    for _ in 0..ROUNDS {
        let mut len = 0;
        measured(&mut || {
            log.push(black_box(at), 1, black_box(&[b'y'; 255]));
            len = log.read(&mut cursor, &mut buffer);
        });
        assert_eq!(len, 255);
    }
}

/// One of 1,000 deadlines moves away, as with every packet.
fn deadline_rearm() {
    let start = Instant::now();
    let mut deadlines = deadline::Deadlines::new();
    let mut armed = vec![deadline::Armed::default(); 1000];
    for (key, armed) in armed.iter_mut().enumerate() {
        deadlines.arm(key, armed, Some(start + millis(key as u64)));
    }
    for round in 0..ROUNDS {
        let key = round as usize * 7;
        let later = start + millis(2000 + round);
        measured(&mut || deadlines.arm(black_box(key), &mut armed[key], Some(later)));
    }
    assert_eq!(deadlines.next(), Some(start));
}

// Counting

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = arguments.as_slice()
        && flag == "--measure"
    {
        let measure = MEASURES.iter().find(|(known, _)| known == name);
        measure.expect("a name of the table").1();
        return ExitCode::SUCCESS;
    }
    if cfg!(debug_assertions) || !cfg!(target_arch = "x86_64") {
        println!("instructions: only counted in a release build for x86-64");
        return ExitCode::SUCCESS;
    }
    let words: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let picked = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(*word));
    let bounds = read_bounds();
    let mut counted = bounds.clone();
    counted.retain(|name, _| MEASURES.iter().any(|(known, _)| known == name));
    let mut failed = false;
    println!("{:24} {:>12} {:>12}", "instructions per packet", "now", "committed");
    for (name, _) in MEASURES.into_iter().filter(|(name, _)| picked(name)) {
        let count = count(name);
        counted.insert(name.to_owned(), count);
        let Some(&bound) = bounds.get(name) else {
            println!("{name:24} {count:12}               not in the file");
            failed = true;
            continue;
        };
        let above = count as f64 > bound as f64 * TOLERANCE;
        failed |= above;
        let remark = if above { "  more than 1.25 times as many" } else { "" };
        println!("{name:24} {count:12} {bound:12}{remark}");
    }
    if std::env::var_os("UPDATE_INSTRUCTIONS").is_some() {
        write_bounds(&counted);
        return ExitCode::SUCCESS;
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Runs one measure below valgrind; gives instructions per round.
fn count(name: &str) -> u64 {
    let kept = std::env::var_os("KEEP_CALLGRIND").map(PathBuf::from);
    let folder = kept.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")));
    let file = folder.join(format!("callgrind.{name}.{}", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=instructions::measured"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe().expect("this program has a path"))
        .args(["--measure", name])
        .output()
        .expect("valgrind can be started: tests/setup.sh installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    let text = std::fs::read_to_string(&file).expect("callgrind's output");
    if kept.is_none() {
        std::fs::remove_file(&file).expect("it was there");
    }
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total: u64 = total.and_then(|total| total.trim().parse().ok()).expect("a total");
    assert!(total > 0, "{name}: nothing was counted");
    total / ROUNDS
}

fn bounds_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/instructions.txt")
}

fn read_bounds() -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(bounds_file()).unwrap_or_default();
    let line = |line: &str| {
        let (name, count) = line.split_once(' ').expect("a name and a count");
        (name.to_owned(), count.trim().parse().expect("a count"))
    };
    text.lines().filter(|line| !line.starts_with('#')).map(line).collect()
}

fn write_bounds(counted: &BTreeMap<String, u64>) {
    let mut text = String::from(
        "# Instructions per packet, written by tests/instructions.rs with UPDATE_INSTRUCTIONS=1.\n",
    );
    for (name, _) in MEASURES {
        if let Some(count) = counted.get(name) {
            text.push_str(&format!("{name} {count}\n"));
        }
    }
    std::fs::write(bounds_file(), text).expect("the file can be written");
}
