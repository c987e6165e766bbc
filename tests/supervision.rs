//! Consoles that heal and follow their configuration, on real threads and sockets.

mod support;

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use bmclink::sim::{BmcOptions, Counters, Serial, Simulator, SimulatorOptions};
use bmclink::{
    Bmc, BmcConfig, Console, ConsoleConfig, ConsoleState, Credentials, Engine, EngineConfig,
    ErrorKind,
};
use support::{engine, wait_until};

/// Far longer than anything here takes, however busy the machine.
const LONG: Duration = Duration::from_secs(60);

fn simulator(count: usize, serial: Serial) -> Simulator {
    // Each simulator has its own port, and the several need addresses in a row.
    let bmc = BmcOptions::default();
    Simulator::start(SimulatorOptions {
        port: 0,
        count,
        serial,
        bmc,
        ..SimulatorOptions::default()
    })
    .expect("a simulator")
}

fn at(address: SocketAddr, credentials: &Credentials) -> BmcConfig {
    let mut config =
        BmcConfig::new(address.ip().to_string(), credentials.clone()).port(address.port());
    // Nobody waits longer than it takes on loopback.
    config.timing.close = Duration::from_millis(500);
    config
}

fn admin() -> Credentials {
    Credentials::new("admin", "password").expect("legal")
}

fn counters(simulator: &Simulator, at: usize) -> Counters {
    simulator.with(at, |bmc, _| *bmc.counters())
}

fn sessions(simulator: &Simulator, at: usize) -> usize {
    simulator.with(at, |bmc, _| bmc.sessions())
}

fn is_connected(console: &Console) -> bool {
    console.state() == ConsoleState::Connected
}

#[track_caller]
fn wait_connected(console: &Console) {
    let connected = wait_until(LONG, || is_connected(console));
    assert!(connected, "{:?}", console.why());
}

/// A line typed comes back, and nothing else.
#[track_caller]
fn assert_echoes(console: &Console, line: &[u8]) {
    let mut reader = console.live_reader();
    console.write_all(line, LONG).expect("room");
    let mut got = Vec::new();
    let mut buffer = [0; 256];
    while got.len() < line.len() {
        let len = reader.read(&mut buffer, LONG).expect("an echo");
        got.extend_from_slice(&buffer[..len]);
    }
    assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(line));
}

/// The library's threads, and all descriptors.
fn threads_and_descriptors() -> (usize, usize) {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc").flatten();
    let named = tasks.filter(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        name.starts_with("bmclink")
    });
    (named.count(), std::fs::read_dir("/proc/self/fd").expect("/proc").count())
}

/// Runs one test after the other: they count descriptors.
fn alone() -> impl Drop {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[test]
fn a_hundred_reconfigurations_leave_one_session_and_no_thread_or_descriptor() {
    let _alone = alone();
    let simulator = simulator(2, Serial::Echo);
    let engine = engine(2);
    let credentials = admin();
    let (first, second) = (simulator.address(0), simulator.address(1));
    let bmc = engine.bmc(at(first, &credentials)).expect("a BMC");
    let console = bmc.console(ConsoleConfig::default().always_on()).expect("a console");
    wait_connected(&console);
    let before = threads_and_descriptors();
    for round in 0..50 {
        let to = if round % 2 == 0 { second } else { first };
        bmc.reconfigure(at(to, &credentials)).expect("legal");
        if round % 5 == 0 {
            wait_connected(&console);
        }
        // Twice within a millisecond: the last one wins.
        bmc.reconfigure(at(second, &credentials)).expect("legal");
        bmc.reconfigure(at(first, &credentials)).expect("legal");
    }
    assert!(wait_until(LONG, || bmc.status().address == Some(first) && is_connected(&console)));
    assert_echoes(&console, b"the first one");
    let closed = || (sessions(&simulator, 0), sessions(&simulator, 1)) == (1, 0);
    assert!(wait_until(LONG, closed), "{:?}", (sessions(&simulator, 0), sessions(&simulator, 1)));
    assert_eq!(threads_and_descriptors(), before);
    // Equal values: nothing at all.
    let (logins, epoch) = (counters(&simulator, 0).rakp1, console.why().epoch);
    for _ in 0..10 {
        bmc.reconfigure(at(first, &credentials)).expect("legal");
        credentials.update(b"admin", b"password", b"").expect("legal");
    }
    bmc.raw(6, 0, 1, &[], LONG).expect("an answer");
    assert_eq!((counters(&simulator, 0).rakp1, console.why().epoch), (logins, epoch));
}

/// The address of a BMC that is not there.
fn nobody(simulator: &Simulator) -> SocketAddr {
    let mut address = simulator.address(0);
    address.set_ip([127, 255, 1, 1].into());
    address
}

fn flap(cycles: usize, dwell: Duration) {
    let _alone = alone();
    let simulator = simulator(1, Serial::Echo);
    let engine = engine(2);
    let credentials = admin();
    let (good, bad) =
        (at(simulator.address(0), &credentials), at(nobody(&simulator), &credentials));
    let bmc = engine.bmc(good.clone()).expect("a BMC");
    let console = bmc.console(ConsoleConfig::default().always_on()).expect("a console");
    for cycle in 0..cycles {
        wait_connected(&console);
        if cycle % 10 == 0 {
            assert_echoes(&console, format!("cycle {cycle}").as_bytes());
        }
        bmc.reconfigure(bad.clone()).expect("legal");
        thread::sleep(dwell);
        assert!(!is_connected(&console), "there is nobody");
        bmc.reconfigure(good.clone()).expect("legal");
    }
    wait_connected(&console);
    assert_echoes(&console, b"the last one");
    assert_eq!(console.why().epoch, cycles as u64 + 1, "connected once for each return");
    assert!(wait_until(LONG, || sessions(&simulator, 0) == 1));
}

#[test]
fn two_hundred_short_absences_of_an_address_heal() {
    flap(200, Duration::from_millis(50));
}

#[test]
fn a_few_longer_absences_of_an_address_heal() {
    flap(4, Duration::from_secs(1));
}

#[test]
fn five_hundred_bmcs_with_the_same_credentials_log_in_anew_once_each() {
    let _alone = alone();
    const BMCS: usize = 500;
    let simulator = simulator(BMCS, Serial::Echo);
    let mut config = EngineConfig::default();
    config.shards = 2;
    config.login_rate = 400;
    let engine = Engine::new(config).expect("an engine");
    let credentials = admin();
    let bmcs: Vec<Bmc> = (0..BMCS)
        .map(|number| engine.bmc(at(simulator.address(number), &credentials)).expect("a BMC"))
        .collect();
    let consoles: Vec<Console> = bmcs
        .iter()
        .map(|bmc| bmc.console(ConsoleConfig::default().always_on()).expect("a console"))
        .collect();
    consoles.iter().for_each(wait_connected);
    for number in 0..BMCS {
        simulator.with(number, |bmc, _| bmc.set_password(b"admin", b"new password"));
    }
    let before: Vec<u64> = (0..BMCS).map(|number| counters(&simulator, number).rakp1).collect();
    let start = Instant::now();
    credentials.update(b"admin", b"new password", b"").expect("legal");
    let again = |console: &Console| is_connected(console) && console.why().epoch == 2;
    assert!(wait_until(LONG, || consoles.iter().all(again)));
    // 400 a second, and a burst of a twentieth of a second.
    let fastest = Duration::from_millis((BMCS as u64 - 20) * 1000 / 400);
    assert!(start.elapsed() >= fastest, "{:?}: a stampede", start.elapsed());
    for (number, before) in before.into_iter().enumerate() {
        assert_eq!(counters(&simulator, number).rakp1 - before, 1, "BMC {number}");
        assert_eq!(bmcs[number].status().logins, 2);
    }
    assert!(wait_until(LONG, || (0..BMCS).all(|number| sessions(&simulator, number) == 1)));
}

#[test]
fn closing_a_console_under_a_flood_is_prompt_and_leaves_the_session() {
    let _alone = alone();
    let simulator = simulator(1, Serial::Flood);
    let engine = engine(2);
    let bmc = engine.bmc(at(simulator.address(0), &admin())).expect("a BMC");
    for round in 1..=3 {
        let console = bmc.console(ConsoleConfig::default()).expect("a console");
        console.connect(LONG).expect("connected");
        let mut reader = console.reader();
        let mut buffer = [0; 4096];
        for _ in 0..20 {
            reader.read(&mut buffer, LONG).expect("a flood");
        }
        let start = Instant::now();
        console.close(LONG).expect("closed");
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        bmc.raw(6, 0, 1, &[], LONG).expect("an answer");
        let counters = counters(&simulator, 0);
        assert_eq!((counters.rakp1, counters.sessions_closed), (1, 0));
        assert_eq!(counters.deactivate_payload, round);
    }
}

#[test]
fn fifty_threads_that_open_one_bmc_share_a_login_and_its_result() {
    let _alone = alone();
    let engine = engine(2);
    for (password, expected) in [("password", None), ("wrong", Some(ErrorKind::Password))] {
        let simulator = simulator(1, Serial::Echo);
        simulator.with(0, |bmc, _| bmc.command_delay(6, 0x38, Duration::from_millis(500)));
        let credentials = Credentials::new("admin", password).expect("legal");
        let config = at(simulator.address(0), &credentials);
        let results: Vec<Option<ErrorKind>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..50)
                .map(|_| {
                    scope.spawn(|| {
                        // A handle of its own: equal settings are one BMC.
                        let bmc = engine.bmc(config.clone()).expect("a BMC");
                        bmc.connect(LONG).err().map(|error| error.kind())
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(results.iter().all(|result| *result == expected), "{results:?}");
        let counters = counters(&simulator, 0);
        let opened = u64::from(expected.is_none());
        assert_eq!((counters.sessions_opened, counters.open_session), (opened, 2 - opened));
    }
}

#[test]
fn while_it_is_being_connected_nothing_is_written() {
    let _alone = alone();
    let simulator = simulator(1, Serial::Echo);
    simulator.with(0, |bmc, _| bmc.command_delay(6, 0x48, Duration::from_millis(700)));
    let engine = engine(2);
    let bmc = engine.bmc(at(simulator.address(0), &admin())).expect("a BMC");
    let console = bmc.console(ConsoleConfig::default().always_on()).expect("a console");
    let mut reader = console.reader();
    let refused = console.write(b"too early", LONG).map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::NotConnected));
    wait_connected(&console);
    assert_echoes(&console, b"in time");
    let mut buffer = [0; 100];
    let len = reader.read(&mut buffer, LONG).expect("the echo");
    assert_eq!(String::from_utf8_lossy(&buffer[..len]), "in time", "nothing was sent later");
}

/// Also when it became one that is kept while somebody was attached already.
#[test]
fn a_console_on_demand_is_there_while_a_reader_is() {
    let _alone = alone();
    let simulator = simulator(1, Serial::Echo);
    let engine = engine(2);
    let bmc = engine.bmc(at(simulator.address(0), &admin())).expect("a BMC");
    let console = bmc.console(ConsoleConfig::default()).expect("a console");
    let reader = console.reader();
    let on_demand = ConsoleConfig::default().on_demand(Duration::from_millis(50));
    console.reconfigure(on_demand).expect("legal");
    wait_connected(&console);
    drop(console.reader());
    thread::sleep(Duration::from_millis(200));
    assert!(is_connected(&console), "one reader is left");
    assert_echoes(&console, b"somebody is there");
    drop(reader);
    assert!(wait_until(LONG, || !is_connected(&console)));
    assert_eq!(console.why().next_try, None);
    let _another = console.reader();
    wait_connected(&console);
    assert_eq!((console.why().epoch, counters(&simulator, 0).rakp1), (2, 1));
}

/// A reader that left while that did not matter is not taken for one that is there.
#[test]
fn who_left_while_it_was_not_kept_is_not_there_later() {
    let _alone = alone();
    let simulator = simulator(1, Serial::Echo);
    let engine = engine(2);
    let bmc = engine.bmc(at(simulator.address(0), &admin())).expect("a BMC");
    let console = bmc.console(ConsoleConfig::default().always_on()).expect("a console");
    let reader = console.reader();
    wait_connected(&console);
    console.reconfigure(ConsoleConfig::default()).expect("legal");
    drop(reader);
    let on_demand = ConsoleConfig::default().on_demand(Duration::from_millis(50));
    console.reconfigure(on_demand).expect("legal");
    assert!(wait_until(LONG, || !is_connected(&console)), "nobody is there");
}

#[test]
fn without_credentials_nothing_is_sent() {
    let _alone = alone();
    let simulator = simulator(1, Serial::Echo);
    let engine = engine(2);
    let none = Credentials::new("", "").expect("the null user");
    let refused = engine.bmc(at(simulator.address(0), &none)).map_err(|error| error.kind());
    assert_eq!(refused.err(), Some(ErrorKind::Misuse));
    // And when they are taken away later: the next login is refused, here.
    let credentials = admin();
    let bmc = engine.bmc(at(simulator.address(0), &credentials)).expect("a BMC");
    bmc.connect(LONG).expect("connected");
    credentials.update(b"", b"", b"").expect("taken");
    let refused = || bmc.connect(LONG).map_err(|error| error.kind()) == Err(ErrorKind::Misuse);
    assert!(wait_until(LONG, refused));
    assert_eq!(counters(&simulator, 0).rakp1, 1);
}

/// Credentials have one watcher for each BMC that holds them, however often it changed.
#[test]
fn credentials_that_a_bmc_left_say_nothing_to_it() {
    let _alone = alone();
    let simulator = simulator(1, Serial::Echo);
    let engine = engine(2);
    let (old, new) = (admin(), admin());
    let bmc = engine.bmc(at(simulator.address(0), &old)).expect("a BMC");
    for _ in 0..20 {
        bmc.reconfigure(at(simulator.address(0), &new)).expect("legal");
        bmc.reconfigure(at(simulator.address(0), &old)).expect("legal");
    }
    bmc.reconfigure(at(simulator.address(0), &new)).expect("legal");
    bmc.connect(LONG).expect("connected");
    let logins = counters(&simulator, 0).rakp1;
    old.update(b"admin", b"other", b"").expect("legal");
    bmc.raw(6, 0, 1, &[], LONG).expect("an answer");
    assert_eq!(counters(&simulator, 0).rakp1, logins);
    simulator.with(0, |bmc, _| bmc.set_password(b"admin", b"third"));
    new.update(b"admin", b"third", b"").expect("legal");
    assert!(wait_until(LONG, || counters(&simulator, 0).rakp1 == logins + 1));
    bmc.connect(LONG).expect("connected");
    assert_eq!(counters(&simulator, 0).rakp1, logins + 1, "once");
}
