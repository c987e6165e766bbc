//! Many BMCs of which the same is asked, on real sockets.

mod support;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use bmclink::sim::{BmcOptions, Simulator, SimulatorOptions};
use bmclink::{Bmc, BmcConfig, Credentials, Engine, EngineConfig, ErrorKind, EventQueue, Events};
use bmclink::{Fleet, FleetRun, Ready};

const LONG: Duration = Duration::from_secs(60);

fn simulator(count: usize) -> Simulator {
    let options = SimulatorOptions {
        bind: [127, 61, 0, 1].into(),
        port: 0,
        count,
        bmc: BmcOptions::default(),
        ..SimulatorOptions::default()
    };
    Simulator::start(options).expect("loopback")
}

fn bmcs(engine: &Engine, simulator: &Simulator, password: &str) -> Vec<Bmc> {
    let credentials = Credentials::new("admin", password).expect("short enough");
    let one = |number| {
        let address = simulator.address(number);
        let config = BmcConfig::new(address.ip().to_string(), credentials.clone());
        engine.bmc(config.port(address.port())).expect("good settings")
    };
    (0..simulator.count()).map(one).collect()
}

/// A BMC that never answers, and what keeps its port.
fn silent(engine: &Engine) -> (Bmc, UdpSocket) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let port = socket.local_addr().expect("bound").port();
    let credentials = Credentials::new("admin", "password").expect("short enough");
    let bmc = engine.bmc(BmcConfig::new("127.0.0.1", credentials).port(port));
    (bmc.expect("good settings"), socket)
}

#[test]
fn each_bmc_has_its_row_and_its_own_error() {
    let engine = Engine::new(EngineConfig::default()).expect("threads");
    let simulator = simulator(1);
    let good = bmcs(&engine, &simulator, "password").remove(0);
    let wrong = bmcs(&engine, &simulator, "wrong").remove(0);
    let (dead, _socket) = silent(&engine);
    let timeout = Duration::from_secs(3);

    let fleet = Fleet::new([good, dead.clone(), wrong.clone()]).timeout(timeout);
    let mut run = fleet.run(async |dialog| dialog.chassis_status().await).expect("a thread");
    let mut rows: Vec<_> = run.by_ref().collect();
    assert_eq!((run.left(), run.next()), (0, None));
    assert_ne!(rows[0].index, 1, "the dead one delays the others");
    rows.sort_by_key(|row| row.index);
    assert!(rows[0].result.as_ref().is_ok_and(|status| status.power_on));
    let error = |row: usize| rows[row].result.as_ref().expect_err("it cannot answer");
    assert!(matches!(error(1).kind(), ErrorKind::Unreachable | ErrorKind::TimedOut));
    assert_eq!(error(2).kind(), ErrorKind::Password);
    assert_ne!(error(1).to_string(), error(2).to_string());
    assert!(rows.iter().all(|row| {
        row.result
            .as_ref()
            .map_or_else(|error| !error.to_string().is_empty(), |status| status.power_on)
    }));

    let error = wrong.chassis_status(LONG).expect_err("the password is wrong");
    assert_eq!(error.kind(), ErrorKind::Password);
    assert!(dead.chassis_status(Duration::from_millis(300)).is_err());
}

#[test]
fn few_at_once_come_to_all_and_a_queue_tells_of_rows() {
    let engine = Engine::new(EngineConfig::default()).expect("threads");
    let simulator = simulator(64);
    let fleet = Fleet::new(bmcs(&engine, &simulator, "password")).at_once(3);
    let run: FleetRun<_> = fleet
        .run(async |dialog| {
            dialog.pause(Duration::from_millis(1)).await?;
            Ok((dialog.device_id().await?, dialog.chassis_status().await?))
        })
        .expect("a thread");
    let queue = EventQueue::new().expect("a descriptor");
    queue.add_run(&run, 7).expect("not there yet");
    assert!(queue.add_run(&run, 8).is_err());
    let mut seen = [false; 64];
    while run.left() > 0 {
        let mut ready = [Ready::default(); 4];
        assert_eq!(queue.wait(&mut ready, LONG), Ok(1));
        assert_eq!((ready[0].key, ready[0].events), (7, Events::READABLE));
        let row = run.next_within(Duration::ZERO).expect("reported").expect("not the end");
        assert!(row.result.is_ok(), "{row:?}");
        assert!(!std::mem::replace(&mut seen[row.index], true), "{} twice", row.index);
    }
    queue.remove_run(&run).expect("it is there");
    assert!(queue.remove_run(&run).is_err());
}

#[test]
fn a_run_ends_at_its_deadline_when_cancelled_and_when_dropped() {
    let engine = Engine::new(EngineConfig::default()).expect("threads");
    let (dead, _socket) = silent(&engine);
    let all = || Fleet::new(vec![dead.clone(); 5]).timeout(LONG).at_once(2);
    let ask = async |dialog: bmclink::Dialog| dialog.chassis_status().await;

    let rows: Vec<_> = all().deadline(Duration::from_millis(400)).run(ask).expect("runs").collect();
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|row| row.result.is_err()));

    let begun = Instant::now();
    let run = all().run(ask).expect("runs");
    run.cancel();
    let kinds: Vec<_> = run.map(|row| row.result.expect_err("cancelled").kind()).collect();
    assert_eq!(kinds, [ErrorKind::Cancelled; 5]);
    drop(all().run(ask).expect("runs"));
    assert!(begun.elapsed() < LONG);
}

#[test]
fn a_function_is_called_with_each_row() {
    let engine = Engine::new(EngineConfig::default()).expect("threads");
    let simulator = simulator(9);
    let members = bmcs(&engine, &simulator, "password");
    let fleet = Fleet::new(members.clone());
    let (sender, rows) = std::sync::mpsc::channel();
    let run = fleet.run(async |dialog| dialog.system_guid().await).expect("runs");
    let mut calls = run
        .call_back(move |row| {
            // Calls into the library are fine here, and a panic ends this call only.
            let on = members[row.index].chassis_status(LONG).is_ok_and(|status| status.power_on);
            sender.send((row.index, row.result.is_ok() && on)).expect("there is room");
            assert_ne!(row.index, 3, "on purpose");
        })
        .expect("a thread");
    calls.wait(LONG).expect("all were called");
    assert_eq!(calls.wait(LONG).map_err(|error| error.kind()), Err(ErrorKind::Misuse));
    let mut seen: Vec<_> = rows.iter().collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..9).map(|index| (index, true)).collect::<Vec<_>>());

    let (dead, _socket) = silent(&engine);
    let run = Fleet::new([dead]).timeout(LONG).run(async |dialog| dialog.device_id().await);
    let (sender, rows) = std::sync::mpsc::channel();
    let calls = run.expect("runs").call_back(move |row| sender.send(row.result).expect("room"));
    drop(calls.expect("a thread"));
    let error = rows.recv().expect("one row").expect_err("it never answers");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn a_panic_is_the_row_of_one() {
    let engine = Engine::new(EngineConfig::default()).expect("threads");
    let simulator = simulator(3);
    let fleet = Fleet::new(bmcs(&engine, &simulator, "password"));
    let count = std::sync::atomic::AtomicUsize::new(0);
    let run = fleet.run(move |dialog| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move {
            assert_ne!(number, 1, "on purpose");
            dialog.system_guid().await
        }
    });
    let mut rows: Vec<_> = run.expect("runs").collect();
    rows.sort_by_key(|row| row.index);
    assert!(rows[0].result.is_ok() && rows[2].result.is_ok());
    let error = rows[1].result.as_ref().expect_err("it panicked");
    assert_eq!(error.kind(), ErrorKind::Internal);
}

#[test]
fn a_blocked_command_is_cancelled_by_another_thread() {
    let engine = Engine::new(EngineConfig::default()).expect("threads");
    let simulator = simulator(1);
    let bmc = bmcs(&engine, &simulator, "password").remove(0);
    let (dead, _socket) = silent(&engine);
    std::thread::scope(|scope| {
        let asks = scope.spawn(|| dead.chassis_status(LONG));
        let waits = scope.spawn(|| bmc.wait_power(false, LONG, LONG));
        // Until both have come so far.
        while !asks.is_finished() || !waits.is_finished() {
            std::thread::sleep(Duration::from_millis(20));
            dead.cancel();
            bmc.clone().cancel();
        }
        let kinds = [asks.join().expect("no panic").map(drop), waits.join().expect("no panic")];
        let kinds = kinds.map(|result| result.expect_err("cancelled").kind());
        assert_eq!(kinds, [ErrorKind::Cancelled; 2]);
    });
    assert!(bmc.chassis_status(LONG).is_ok(), "later calls are not touched");
}
