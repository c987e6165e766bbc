//! The real engine, on loopback, with the simulated BMC: threads, sockets, time as it is.

mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bmclink::ipmi_rs_core::app::GetDeviceId;
use bmclink::sim::{BmcOptions, Profile, Serial, Simulator, SimulatorOptions};
use bmclink::{
    BmcConfig, Console, ConsoleConfig, ConsoleState, Credentials, Engine, EngineConfig, ErrorKind,
    Reader, TakeOver,
};
use support::{engine, read_exactly, until};

const SHORT: Duration = Duration::from_secs(20);

fn simulator(serial: Serial, profile: Profile) -> Simulator {
    let bmc = BmcOptions { profile, ..BmcOptions::default() };
    Simulator::start(SimulatorOptions { port: 0, serial, bmc, ..SimulatorOptions::default() })
        .expect("a simulator")
}

fn config(simulator: &Simulator, password: &str) -> BmcConfig {
    let address = simulator.address(0);
    let credentials = Credentials::new("admin", password).expect("legal");
    BmcConfig::new(address.ip().to_string(), credentials).port(address.port())
}

#[test]
fn a_line_is_echoed_through_threads_and_sockets() {
    for profile in
        [Profile::Spec, Profile::OpenBmc, Profile::GoIpmi, Profile::Pyghmi, Profile::IpmiSim]
    {
        let simulator = simulator(Serial::Echo, profile);
        let engine = engine(2);
        let bmc = engine.bmc(config(&simulator, "password")).expect("a BMC");
        let console = bmc.console(ConsoleConfig::default()).expect("a console");
        let mut reader = console.reader();
        console.connect(SHORT).unwrap_or_else(|error| panic!("{profile:?}: {error}"));
        assert_eq!(console.state(), ConsoleState::Connected);
        console.write_all(b"hello\r", SHORT).expect("room");
        console.drain(SHORT).expect("acknowledged");
        let mut got = Vec::new();
        let mut buffer = [0; 100];
        let end = Instant::now() + SHORT;
        while got.len() < 6 && Instant::now() < end {
            let len = reader.read(&mut buffer, SHORT).expect("an echo");
            got.extend_from_slice(&buffer[..len]);
        }
        assert_eq!(got, b"hello\r", "{profile:?}");
        let reply = bmc.raw(6, 0, 1, &[], SHORT).expect("a reply");
        assert_eq!(reply.completion_code.0, 0);
        console.close(SHORT).expect("closed");
    }
}

#[test]
fn connecting_can_be_begun_without_waiting() {
    let simulator = simulator(Serial::Echo, Profile::Spec);
    let engine = engine(2);
    for (password, expected) in [("password", None), ("wrong", Some(ErrorKind::Password))] {
        let bmc = engine.bmc(config(&simulator, password)).expect("a BMC");
        let console = bmc.console(ConsoleConfig::default()).expect("a console");
        assert_eq!(console.state(), ConsoleState::Unconnected);
        console.begin_connect().expect("begun");
        console.begin_connect().expect("begun already");
        let end = Instant::now() + SHORT;
        while console.state() == ConsoleState::Connecting && Instant::now() < end {
            console.wait_state(ConsoleState::Connecting, SHORT);
        }
        let connected = console.state() == ConsoleState::Connected;
        assert_eq!(connected, expected.is_none());
        assert_eq!(console.reason().map(|reason| reason.kind()), expected);
        console.close(SHORT).expect("closed");
        assert_eq!(console.begin_connect().map_err(|e| e.kind()), Err(ErrorKind::Closed));
    }
    assert_eq!(simulator.counters().logins, 1);
}

#[test]
fn a_wrong_password_is_named() {
    let simulator = simulator(Serial::Echo, Profile::Spec);
    let engine = engine(2);
    let bmc = engine.bmc(config(&simulator, "wrong")).expect("a BMC");
    let error = bmc.connect(SHORT).expect_err("a wrong password");
    assert_eq!(error.kind(), ErrorKind::Password);
}

fn connected(engine: &Engine, simulator: &Simulator) -> Console {
    let bmc = engine.bmc(config(simulator, "password")).expect("a BMC");
    let console = bmc.console(ConsoleConfig::default()).expect("a console");
    console.connect(SHORT).expect("connected");
    console
}

#[test]
fn fifty_threads_share_one_login_and_its_result() {
    let engine = engine(2);
    for (password, expected) in [("password", None), ("wrong", Some(ErrorKind::Password))] {
        let simulator = simulator(Serial::Echo, Profile::Spec);
        // The first answer is late, so that all fifty are there before the login is over.
        let late = Duration::from_millis(500);
        simulator.with(0, |bmc, _| bmc.command_delay(6, 0x38, late));
        let bmc = engine.bmc(config(&simulator, password)).expect("a BMC");
        let threads: Vec<_> = (0..50)
            .map(|_| {
                let bmc = bmc.clone();
                thread::spawn(move || bmc.connect(SHORT).err().map(|error| error.kind()))
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().expect("no panic"), expected);
        }
        let (opened, half_open) =
            simulator.with(0, |bmc, _| (bmc.counters().sessions_opened, bmc.counters().rakp1));
        // A wrong password is tried in both forms of Open Session that BMCs expect.
        assert_eq!((opened, half_open), if expected.is_none() { (1, 1) } else { (0, 2) });
    }
}

#[test]
fn closing_a_console_leaves_the_session_and_the_last_handle_closes_it() {
    let simulator = simulator(Serial::Echo, Profile::Spec);
    let engine = engine(2);
    let bmc = engine.bmc(config(&simulator, "password")).expect("a BMC");
    for round in 1..=3 {
        let console = bmc.console(ConsoleConfig::default()).expect("a console");
        console.connect(SHORT).expect("connected");
        let mut reader = console.reader();
        console.write_all(b"x", SHORT).expect("room");
        assert_eq!(read_exactly(&mut reader, 1), b"x");
        if round == 2 {
            drop((console, reader)); // The next one waits its turn behind this one's end.
        } else {
            console.close(SHORT).expect("closed");
            let end = reader.read(&mut [0; 8], SHORT).map_err(|error| error.kind());
            assert_eq!(end, Err(ErrorKind::Closed));
        }
        bmc.raw(6, 0, 1, &[], SHORT).expect("a reply");
    }
    let counts = |simulator: &Simulator| {
        simulator.with(0, |bmc, _| {
            let counters = bmc.counters();
            (counters.sessions_opened, counters.deactivate_payload, counters.sessions_closed)
        })
    };
    assert_eq!(counts(&simulator), (1, 3, 0));
    drop(bmc);
    let end = Instant::now() + SHORT;
    while counts(&simulator).2 == 0 && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(counts(&simulator), (1, 3, 1));
}

#[test]
fn a_lost_console_says_so_and_connects_again() {
    let simulator = simulator(Serial::Echo, Profile::Spec);
    let engine = engine(2);
    let mut config = config(&simulator, "password");
    config.timing.keepalive = Duration::from_secs(1);
    config.timing.keepalive_jitter = Duration::from_millis(50);
    config.timing.keepalive_retry = Duration::from_millis(200);
    config.timing.lost_after = Duration::from_millis(2500);
    let bmc = engine.bmc(config).expect("a BMC");
    let console = bmc.console(ConsoleConfig::default()).expect("a console");
    console.connect(SHORT).expect("connected");
    let mut reader = console.reader();
    console.write_all(b"before", SHORT).expect("room");
    assert_eq!(read_exactly(&mut reader, 6), b"before");
    simulator.with(0, |bmc, now| bmc.reset(now));
    let lost = reader.read(&mut [0; 8], SHORT).expect_err("a loss");
    assert_eq!(lost.kind(), ErrorKind::Lost, "{lost}");
    assert_eq!(console.state(), ConsoleState::Unconnected);
    let refused = console.write(b"x", SHORT).map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::Lost));
    console.connect(SHORT).expect("connected again");
    console.write_all(b"after", SHORT).expect("room");
    assert_eq!(read_exactly(&mut reader, 5), b"after");
    assert_eq!((console.stats().epoch, bmc.status().logins), (2, 2));
}

#[test]
fn a_console_that_is_not_connected_is_in_nobodys_way() {
    let simulator = simulator(Serial::Echo, Profile::Spec);
    let engine = engine(2);
    let bmc = engine.bmc(config(&simulator, "password")).expect("a BMC");
    let console = |take_over| bmc.console(ConsoleConfig::default().take_over(take_over));
    let first = console(TakeOver::Always).expect("a console");
    let second = console(TakeOver::Always).expect("a console");
    first.connect(SHORT).expect("connected");
    let busy = second.connect(SHORT).expect_err("the first is connected");
    assert_eq!(busy.kind(), ErrorKind::Busy, "{busy}");
    simulator.with(0, |bmc, now| bmc.steal_sol(now));
    assert_eq!(first.wait_state(ConsoleState::Connected, SHORT), ConsoleState::Unconnected);
    // One that could not be connected is not in the way either.
    let polite = console(TakeOver::Never).expect("a console");
    let in_use = polite.connect(SHORT).expect_err("somebody else has it");
    assert_eq!(in_use.kind(), ErrorKind::SolInUse, "{in_use}");
    second.connect(SHORT).expect("connected");
    let busy = first.connect(SHORT).expect_err("the second is connected");
    assert_eq!(busy.kind(), ErrorKind::Busy, "{busy}");
    second.write_all(b"second", SHORT).expect("room");
    assert_eq!(read_exactly(&mut second.reader(), 6), b"second");
    first.close(SHORT).expect("closed");
    assert_eq!(second.state(), ConsoleState::Connected);
    assert_eq!(bmc.status().logins, 1);
}

#[test]
fn a_flooding_neighbour_delays_nobody() {
    let flood = simulator(Serial::Flood, Profile::Spec);
    let quiet = simulator(Serial::Echo, Profile::Spec);
    let mut one = EngineConfig::default();
    one.shards = 1;
    let engine = Engine::new(one).expect("an engine");
    let flooding = connected(&engine, &flood);
    let console = connected(&engine, &quiet);
    let mut reader = console.reader();
    for number in 0..200u8 {
        console.write_all(&[number], SHORT).expect("room");
        assert_eq!(read_exactly(&mut reader, 1), [number]);
    }
    let end = Instant::now() + SHORT;
    while flooding.stats().received == 0 && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    assert!(flooding.stats().received > 0);
    assert_eq!(console.stats().gaps, 0);
}

#[test]
fn readers_are_apart_from_each_other() {
    let simulator = simulator(Serial::Echo, Profile::Spec);
    let engine = engine(2);
    let console = connected(&engine, &simulator);
    let mut readers: Vec<Reader> = (0..8).map(|_| console.reader()).collect();
    let mut slow = console.reader();
    let sent: Vec<u8> = (0..200_000u32).map(|n| (n / 7) as u8).collect();
    let writer = {
        let (console, sent) = (console.clone(), sent.clone());
        thread::spawn(move || console.write_all(&sent, SHORT))
    };
    let threads: Vec<_> = readers
        .drain(..)
        .map(|mut reader| {
            let len = sent.len();
            thread::spawn(move || (read_exactly(&mut reader, len), reader.lost()))
        })
        .collect();
    writer.join().expect("no panic").expect("all written");
    for thread in threads {
        let (got, lost) = thread.join().expect("no panic");
        assert!(got == sent && lost == 0);
    }
    let left = 64 << 10;
    assert_eq!(read_exactly(&mut slow, left), sent[sent.len() - left..]);
    assert_eq!(slow.lost(), (sent.len() - left) as u64);
    let mut late = console.reader();
    assert_eq!(read_exactly(&mut late, left), sent[sent.len() - left..]);
    assert_eq!(late.lost(), 0);
}

#[test]
fn a_break_comes_behind_what_was_written() {
    let simulator = simulator(Serial::None, Profile::Spec);
    let engine = engine(2);
    let console = connected(&engine, &simulator);
    console.write_all(&[b'a'; 6000], SHORT).expect("room");
    console.send_break(SHORT).expect("acknowledged");
    let (input, events) = simulator.with(0, |bmc, _| (bmc.serial_input(), bmc.serial_events()));
    assert_eq!(input.len(), 6000);
    let text = format!("{events:?}");
    assert!(text.contains("Break { at: 6000 }"), "{text}");
}

#[test]
fn nobody_there_is_told_from_a_closed_port_and_an_unknown_name() {
    let engine = engine(2);
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let closed = UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let at = |host: &str, port| {
        let credentials = Credentials::new("admin", "password").expect("legal");
        let mut config = BmcConfig::new(host, credentials).port(port);
        config.timing.handshake_first = Duration::from_millis(50);
        config.timing.handshake_max = Duration::from_millis(100);
        engine.bmc(config).expect("a BMC").connect(SHORT).expect_err("nobody there")
    };
    let port = silent.local_addr().expect("bound").port();
    assert_eq!(at("127.0.0.1", port).kind(), ErrorKind::Unreachable);
    let refused = at("127.0.0.1", closed.port());
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
    assert!(refused.to_string().contains("port unreachable"), "{refused}");
    let credentials = Credentials::new("admin", "password").expect("legal");
    let bmc = engine.bmc(BmcConfig::new("127.0.0.1", credentials).port(closed.port()));
    let command = bmc.expect("a BMC").raw(6, 0, 1, &[], Duration::from_millis(300));
    let refused = command.expect_err("nobody there");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
    assert_eq!(at("no-such-host.invalid", 623).kind(), ErrorKind::NameNotFound);
}

#[test]
fn a_timeout_ends_the_call_and_the_login_behind_it() {
    let engine = engine(2);
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let credentials = Credentials::new("admin", "password").expect("legal");
    let bmc = engine.bmc(BmcConfig::new("127.0.0.1", credentials).port(port)).expect("a BMC");
    let error = bmc.connect(Duration::from_millis(100)).expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    let late = bmc.raw(6, 0, 1, &[], Duration::from_millis(100)).expect_err("nobody answers");
    assert_eq!(late.kind(), ErrorKind::Unreachable, "{late}");
    let console = bmc.console(ConsoleConfig::default()).expect("a console");
    let refused = console.write(b"x", Duration::ZERO).map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::NotConnected));
    let none = console.reader().read(&mut [0; 1], Duration::ZERO).map_err(|error| error.kind());
    assert_eq!(none, Err(ErrorKind::TimedOut));
}

#[test]
fn ipv6_names_and_typed_commands_work() {
    let options = SimulatorOptions {
        bind: IpAddr::V6(Ipv6Addr::LOCALHOST),
        port: 0,
        serial: Serial::Echo,
        ..SimulatorOptions::default()
    };
    let engine = engine(2);
    if let Ok(simulator) = Simulator::start(options) {
        let bmc = engine.bmc(config(&simulator, "password")).expect("a BMC");
        bmc.connect(SHORT).expect("logged in over IPv6");
    }
    let simulator = simulator(Serial::Echo, Profile::Spec);
    let mut named = config(&simulator, "password");
    named.host = "localhost".into();
    let bmc = engine.bmc(named).expect("a BMC");
    let id = bmc.command(GetDeviceId, SHORT).expect("a device ID");
    assert_eq!((id.major_version, id.minor_version), (2, 0));
}

#[test]
fn the_streams_of_the_standard_library_work() {
    let simulator = simulator(Serial::Echo, Profile::Spec);
    let engine = engine(2);
    let mut console = connected(&engine, &simulator);
    let mut reader = console.reader();
    writeln!(console, "through io::Write").expect("written");
    console.flush().expect("acknowledged");
    let mut got = [0; 18];
    Read::read_exact(&mut reader, &mut got).expect("read");
    assert_eq!(&got, b"through io::Write\n");
    let waiting = thread::spawn(move || {
        let mut rest = Vec::new();
        Read::read_to_end(&mut reader, &mut rest).map(|_| rest)
    });
    console.close(SHORT).expect("closed");
    assert_eq!(waiting.join().expect("no panic").expect("the end"), b"");
}

#[test]
fn a_reader_of_a_console_nobody_connected_ends_with_the_engine() {
    let simulator = simulator(Serial::Echo, Profile::Spec);
    let engine = engine(2);
    let bmc = engine.bmc(config(&simulator, "password")).expect("a BMC");
    let console = bmc.console(ConsoleConfig::default()).expect("a console");
    let mut reader = console.reader();
    let reading = thread::spawn(move || reader.read(&mut [0; 8], SHORT).map_err(|e| e.kind()));
    thread::sleep(Duration::from_millis(20));
    drop(engine);
    assert_eq!(reading.join().expect("no panic"), Err(ErrorKind::ShutDown));
}

#[test]
fn a_dropped_engine_ends_every_call() {
    let simulator = simulator(Serial::Flood, Profile::Spec);
    let engine = engine(2);
    let console = connected(&engine, &simulator);
    let waits = Arc::new(console.clone());
    let reading = thread::spawn({
        let console = waits.clone();
        move || {
            let mut reader = console.live_reader();
            loop {
                if let Err(error) = reader.read(&mut [0; 512], SHORT) {
                    return error.kind();
                }
            }
        }
    });
    let started = Instant::now();
    drop(engine);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(reading.join().expect("no panic"), ErrorKind::ShutDown);
    let refused = console.connect(SHORT).map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::ShutDown));
    assert_eq!(simulator.with(0, |bmc, _| bmc.sessions()), 0);
}

/// Nothing is asked of a shard twice: with ten thousand BMCs that is felt at the start.
#[test]
fn a_bmc_is_added_by_one_call() {
    let engine = engine(2);
    let credentials = Credentials::new("admin", "password").expect("legal");
    let bmcs: Vec<_> = (1..=20)
        .map(|at| engine.bmc(BmcConfig::new(format!("127.0.9.{at}"), credentials.clone())))
        .collect::<Result<_, _>>()
        .expect("BMCs");
    let total = engine.stats().expect("an answer").total();
    assert_eq!((total.bmcs, total.calls), (bmcs.len(), bmcs.len() as u64));
}

/// Whether before it is known to its shard, or before it watches them.
#[test]
fn credentials_that_change_while_a_bmc_is_added_are_used() {
    let simulator = simulator(Serial::Echo, Profile::Spec);
    let engine = engine(2);
    for _ in 0..50 {
        let config = config(&simulator, "wrong");
        let credentials = config.credentials.clone();
        let bmc = thread::scope(|scope| {
            let updated = scope.spawn(|| credentials.update(b"admin", b"password", b""));
            let bmc = engine.bmc(config);
            updated.join().expect("no panic").expect("legal");
            bmc.expect("a BMC")
        });
        bmc.connect(SHORT).expect("the right password");
    }
}

/// Rather than to panic once it is reached.
#[test]
fn a_keepalive_that_no_clock_reaches_is_refused() {
    let engine = engine(1);
    let credentials = Credentials::new("admin", "password").expect("legal");
    let bmc = engine.bmc(BmcConfig::new("127.0.9.1", credentials)).expect("a BMC");
    for (keepalive, legal) in [
        (Duration::from_millis(999), false),
        (Duration::from_secs(1), true),
        (Duration::from_secs(3600), true),
        (Duration::from_secs(3601), false),
        (Duration::MAX, false),
    ] {
        let mut config = ConsoleConfig::default();
        config.keepalive = Some(keepalive);
        let kind = bmc.console(config).map(drop).map_err(|error| error.kind());
        assert_eq!(kind, if legal { Ok(()) } else { Err(ErrorKind::Misuse) }, "{keepalive:?}");
    }
}

/// What begins says how it ended, also when it did so at once.
#[test]
fn a_connection_that_cannot_begin_is_over() {
    let simulator = simulator(Serial::Echo, Profile::Spec);
    let engine = engine(1);
    let bmc = engine.bmc(config(&simulator, "password")).expect("a BMC");
    let first = bmc.console(ConsoleConfig::default()).expect("a console");
    first.connect(SHORT).expect("connected");
    let second = bmc.console(ConsoleConfig::default()).expect("a console");
    let how = || (second.state(), second.reason().map(|reason| reason.kind()));
    for _ in 0..3 {
        second.begin_connect().expect("told");
        let busy = (ConsoleState::Unconnected, Some(ErrorKind::Busy));
        until("it is told that there is another one", || how() == busy);
    }
    assert_eq!(second.connect(SHORT).map_err(|error| error.kind()), Err(ErrorKind::Busy));
    drop(engine);
    let begun = second.begin_connect().map_err(|error| error.kind());
    assert_eq!(begun, Err(ErrorKind::ShutDown));
    assert_eq!(how(), (ConsoleState::Unconnected, Some(ErrorKind::ShutDown)));
}
