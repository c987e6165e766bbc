//! The engine when much happens at once: thousands of logins, dead BMCs among them, floods.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use bmclink::sim::{Serial, Simulator, SimulatorOptions};
use bmclink::{
    Bmc, BmcConfig, Console, ConsoleConfig, Credentials, Engine, EngineConfig, ErrorKind,
};

const LONG: Duration = Duration::from_secs(60);

fn simulators(count: usize, serial: Serial) -> Simulator {
    let options = SimulatorOptions { port: 0, count, serial, ..SimulatorOptions::default() };
    Simulator::start(options).expect("a simulator")
}

fn engine(change: impl FnOnce(&mut EngineConfig)) -> Engine {
    let mut config = EngineConfig::default();
    config.shards = 2;
    change(&mut config);
    Engine::new(config).expect("an engine")
}

fn bmc_at(engine: &Engine, address: SocketAddr) -> Bmc {
    let credentials = Credentials::new("admin", "password").expect("legal");
    let config = BmcConfig::new(address.ip().to_string(), credentials).port(address.port());
    engine.bmc(config).expect("a BMC")
}

fn bmcs(engine: &Engine, simulator: &Simulator) -> Vec<Bmc> {
    (0..simulator.count()).map(|at| bmc_at(engine, simulator.address(at))).collect()
}

/// Connects all of them at once, a thread each; gives when each was done.
fn connect_all(bmcs: &[Bmc], timeout: Duration) -> Vec<(bmclink::Result<()>, Instant)> {
    thread::scope(|scope| {
        let connect = |bmc: &Bmc| (bmc.connect(timeout), Instant::now());
        let threads: Vec<_> = bmcs
            .iter()
            .map(|bmc| {
                let builder = thread::Builder::new().stack_size(128 << 10);
                builder.spawn_scoped(scope, move || connect(bmc)).expect("a thread")
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

fn echo_works(console: &Console) {
    let mut reader = console.live_reader();
    let mut buffer = [0; 16];
    for byte in *b"ok" {
        console.write_all(&[byte], LONG).expect("room");
        let len = reader.read(&mut buffer, LONG).expect("an echo");
        assert_eq!(&buffer[..len], [byte]);
    }
}

fn console_of(bmc: &Bmc) -> Console {
    let console = bmc.console(ConsoleConfig::default()).expect("a console");
    console.connect(LONG).expect("connected");
    console
}

#[test]
fn logins_begin_at_their_rate_and_all_get_their_turn() {
    let simulator = simulators(120, Serial::None);
    let engine = engine(|config| config.login_rate = 60);
    let start = Instant::now();
    let all = bmcs(&engine, &simulator);
    let results = connect_all(&all, LONG);
    assert!(results.iter().all(|(result, _)| result.is_ok()), "{results:?}");
    // 60 a second, of which 3 at once: the 120th begins 117/60 s after the first.
    let mut took: Vec<_> = results.iter().map(|(_, at)| at.duration_since(start)).collect();
    took.sort();
    for (number, took) in took.iter().enumerate() {
        let soonest = Duration::from_secs_f64(number.saturating_sub(3) as f64 / 60.0);
        assert!(*took >= soonest, "login {number} took {took:?}");
    }
    let total = engine.stats().expect("stats").total();
    assert_eq!((total.logins, total.logins_failed, total.sessions), (120, 0, 120));
    assert_eq!((total.logins_waiting, total.logins_running, total.bmcs), (0, 0, 120));
    assert_eq!(simulator.counters().logins, 120);
}

#[test]
fn dead_bmcs_do_not_keep_their_places_in_the_line() {
    let simulator = simulators(35, Serial::None);
    // The first fifteen are dead, and only ten logins may be under way.
    for at in 0..15 {
        simulator.set_reachable(at, false);
    }
    let engine = engine(|config| {
        config.login_rate = 0;
        config.logins_at_once = 10;
    });
    let all = bmcs(&engine, &simulator);
    let dead: Vec<_> = all[..15]
        .iter()
        .map(|bmc| {
            let bmc = bmc.clone();
            thread::spawn(move || bmc.connect(LONG))
        })
        .collect();
    let end = Instant::now() + LONG;
    while engine.stats().expect("stats").total().logins_running < 10 && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    let results = connect_all(&all[15..], LONG);
    assert!(results.iter().all(|(result, _)| result.is_ok()), "{results:?}");
    // The dead ones are still being tried: nobody waited for them to be given up.
    assert!(dead.iter().any(|thread| !thread.is_finished()));
    drop(engine);
    for thread in dead {
        let error = thread.join().expect("no panic").expect_err("dead");
        assert!([ErrorKind::ShutDown, ErrorKind::Unreachable].contains(&error.kind()), "{error}");
    }
}

#[test]
fn a_call_that_times_out_in_the_line_says_so_and_leaves_it() {
    let simulator = simulators(2, Serial::None);
    simulator.set_reachable(0, false);
    let engine = engine(|config| {
        config.shards = 1;
        config.logins_at_once = 1;
    });
    let all = bmcs(&engine, &simulator);
    let dead = all[0].clone();
    let first = thread::spawn(move || dead.connect(LONG));
    let end = Instant::now() + LONG;
    while engine.stats().expect("stats").total().logins_running < 1 && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    let error = all[1].connect(Duration::from_millis(50)).expect_err("not its turn");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains("turn"), "{error}");
    all[1].connect(LONG).expect("its turn came");
    assert_eq!(simulator.counters().logins, 1);
    drop(engine);
    assert!(first.join().expect("no panic").is_err());
}

type Waiting = JoinHandle<bmclink::Result<()>>;

/// A BMC that never answers, the engine's address it could answer to, and who waits for it.
fn silent_bmc(engine: &Engine) -> (UdpSocket, Bmc, SocketAddr, Waiting) {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let bmc = bmc_at(engine, silent.local_addr().expect("bound"));
    let waiting = thread::spawn({
        let bmc = bmc.clone();
        move || bmc.connect(LONG)
    });
    let (_, to) = silent.recv_from(&mut [0; 512]).expect("the first packet");
    (silent, bmc, to, waiting)
}

/// E3: a thread that waits for a slow BMC is in nobody's way, and waiting costs nothing.
#[test]
fn waiting_for_a_slow_bmc_costs_nobody_anything() {
    let simulator = simulators(102, Serial::Echo);
    // A hundred commands that are answered very late, and one that is not answered at all.
    for at in 0..100 {
        simulator.with(at, |bmc, _| bmc.command_delay(6, 1, Duration::from_secs(3)));
    }
    simulator.set_reachable(100, false);
    let engine = engine(|config| config.shards = 1);
    let all = bmcs(&engine, &simulator);
    let slow: Vec<_> = all[..101]
        .iter()
        .map(|bmc| {
            let bmc = bmc.clone();
            thread::spawn(move || bmc.raw(6, 0, 1, &[], Duration::from_secs(6)))
        })
        .collect();
    let end = Instant::now() + LONG;
    while engine.stats().expect("stats").total().sessions < 100 && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    all[101].connect(LONG).expect("connected");
    let reply = all[101].raw(6, 0, 1, &[], LONG).expect("an answer");
    assert_eq!(reply.completion_code.0, 0);
    assert!(slow.iter().all(|thread| !thread.is_finished()), "the slow ones are still waiting");
    let before = engine.stats().expect("stats").total().turns;
    thread::sleep(Duration::from_millis(500));
    let turns = engine.stats().expect("stats").total().turns - before;
    // Nothing but each one's retransmission after a second or two, and the calls for statistics.
    assert!(turns < 400, "{turns} turns while everybody waits");
    let results: Vec<_> = slow.into_iter().map(|t| t.join().expect("no panic")).collect();
    assert!(results[..100].iter().all(Result::is_ok), "none starves: {results:?}");
    assert!(results[100].is_err());
}

/// E4: file descriptors above 1,024 are like any others.
#[test]
fn descriptors_have_no_upper_limit_of_their_own() {
    let (files, limit) = many_files(2000);
    let simulator = simulators(1, Serial::Echo);
    let engine = engine(|config| config.shards = 1);
    let console = console_of(&bmc_at(&engine, simulator.address(0)));
    echo_works(&console);
    assert!(files.len() >= 2000 || (files.len() as u64) + 200 > limit, "{} files", files.len());
}

/// Opens so many files, or as many as the process may.
fn many_files(count: usize) -> (Vec<File>, u64) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    let wanted = (count as u64 + 500).clamp(soft, hard);
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).expect("within the hard limit");
    let room = usize::try_from(wanted).unwrap_or(count).saturating_sub(200).min(count);
    ((0..room).map(|_| File::open("/dev/null").expect("a file")).collect(), wanted)
}

/// Floods an address of ours from a BMC's address, and from others.
fn flood(from: &UdpSocket, to: SocketAddr, stop: &AtomicBool, datagrams: &[Vec<u8>]) -> u64 {
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        for datagram in datagrams {
            sent += u64::from(from.send_to(datagram, to).is_ok());
        }
    }
    sent
}

#[test]
fn a_bmc_that_floods_gets_its_share_and_its_neighbour_all_it_needs() {
    let quiet = simulators(1, Serial::Echo);
    let engine = engine(|config| config.shards = 1);
    let console = console_of(&bmc_at(&engine, quiet.address(0)));
    let (bad, bmc, to, waiting) = silent_bmc(&engine);
    let stop = Arc::new(AtomicBool::new(false));
    let flooding = thread::spawn({
        let stop = stop.clone();
        // Junk of every length, and a header that looks like a session's.
        let mut junk: Vec<Vec<u8>> = (1..60).map(|len| vec![6; len]).collect();
        junk.push([&[6, 0, 0xff, 7, 6, 0xc1][..], &[0; 40]].concat());
        move || flood(&bad, to, &stop, &junk)
    });
    let mut delivered = 0;
    while delivered < 100_000 {
        echo_works(&console);
        delivered = bmc.stats().map_or(u64::MAX, |s| s.counters.received + s.over_share);
    }
    stop.store(true, Ordering::Relaxed);
    assert!(flooding.join().expect("no panic") >= 100_000);
    let stats = bmc.stats().expect("stats");
    assert!(stats.over_share > 0, "{stats:?}");
    assert_eq!(console.stats().gaps, 0);
    let total = engine.stats().expect("stats").total();
    assert_eq!((total.sessions, total.consoles, total.panics), (1, 1, 0));
    assert_eq!(total.over_share, stats.over_share);
    drop(engine);
    assert!(waiting.join().expect("no panic").is_err());
}

#[test]
fn strangers_are_counted_and_reach_nobody() {
    let quiet = simulators(1, Serial::Echo);
    let engine = engine(|config| config.shards = 1);
    let bmc = bmc_at(&engine, quiet.address(0));
    let console = console_of(&bmc);
    let before = bmc.stats().expect("stats").counters.dropped;
    let (silent, _bmc, to, waiting) = silent_bmc(&engine);
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    for number in 0..500 {
        stranger.send_to(&[6, 0, 0xff, 7], to).expect("sent");
        if number % 50 == 49 {
            echo_works(&console);
        }
    }
    let total = engine.stats().expect("stats").total();
    assert_eq!((total.strangers, total.over_share, total.kernel_dropped), (500, 0, 0));
    assert_eq!(bmc.stats().expect("stats").counters.dropped, before);
    drop((silent, engine));
    assert!(waiting.join().expect("no panic").is_err());
}

#[test]
fn what_is_counted_adds_up() {
    let simulator = simulators(3, Serial::Echo);
    let engine = engine(|config| config.bmcs_per_socket = 1);
    let all = bmcs(&engine, &simulator);
    let consoles: Vec<Console> = all.iter().map(console_of).collect();
    consoles.iter().for_each(echo_works);
    let total = engine.stats().expect("stats").total();
    assert_eq!((total.bmcs, total.sessions, total.consoles, total.sockets), (3, 3, 3, 3));
    assert_eq!((total.logins, total.logins_failed, total.sessions_lost), (3, 0, 0));
    assert!(total.turns > 0 && total.socket_calls >= total.turns / 2, "{total:?}");
    assert!(total.receive_buffer_len >= 100_000, "{total:?}");
    let each: Vec<_> = all.iter().map(|bmc| bmc.stats().expect("stats")).collect();
    let received: u64 = each.iter().map(|stats| stats.counters.received).sum();
    assert!(received <= engine.stats().expect("stats").total().datagrams_received);
    for stats in &each {
        assert_eq!((stats.logins, stats.requests, stats.sessions_lost), (1, 0, 0));
        assert!(stats.round_trip.is_some() && stats.last_heard.is_some_and(|age| age < LONG));
        assert!(stats.counters.sent > 0);
    }
    // A session that ends keeps what it counted.
    drop(consoles);
    let at_least = each[0].counters.received;
    simulator.with(0, |bmc, now| bmc.reset(now));
    let reply = all[0].raw(6, 0, 1, &[], Duration::from_millis(200));
    drop(reply);
    assert!(all[0].stats().expect("stats").counters.received >= at_least);
    drop(all);
    let end = Instant::now() + LONG;
    while engine.stats().expect("stats").total().bmcs > 0 && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    let total = engine.stats().expect("stats").total();
    assert_eq!((total.bmcs, total.sessions, total.consoles, total.sockets), (0, 0, 0, 0));
}
