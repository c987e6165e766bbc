//! P1: a panic inside one session ends that session and nothing else.

use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::session::PANIC;
use crate::sim::{Serial, Simulator, SimulatorOptions};
use crate::{
    Bmc, BmcConfig, ConsoleConfig, ConsoleState, Credentials, Engine, EngineConfig, ErrorKind,
};

const LONG: Duration = Duration::from_secs(30);

fn bmc_at(engine: &Engine, address: std::net::SocketAddr) -> Bmc {
    let credentials = Credentials::new("admin", "password").expect("legal");
    let config = BmcConfig::new(address.ip().to_string(), credentials).port(address.port());
    engine.bmc(config).expect("a BMC")
}

#[test]
fn a_session_that_panics_ends_alone_and_can_be_tried_again() {
    let options = SimulatorOptions { serial: Serial::Echo, ..SimulatorOptions::default() };
    let simulator = Simulator::start(options).expect("a simulator");
    let engine = Engine::new(EngineConfig { shards: 1, ..EngineConfig::default() });
    let engine = engine.expect("an engine");
    let console = bmc_at(&engine, simulator.address(0)).console(ConsoleConfig::default());
    let console = console.expect("a console");
    console.connect(LONG).expect("connected");

    let bad = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let bmc = bmc_at(&engine, bad.local_addr().expect("bound"));
    for round in 1..=3 {
        let connecting = thread::spawn({
            let bmc = bmc.clone();
            move || bmc.connect(LONG)
        });
        // Its packets of the round before may still be there: answer until the call has ended.
        let mut buffer = [0; 512];
        while !connecting.is_finished() {
            bad.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
            if let Ok((_, from)) = bad.recv_from(&mut buffer) {
                bad.send_to(PANIC, from).expect("sent");
            }
        }
        let error = connecting.join().expect("no panic here").expect_err("no login");
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(!error.to_string().is_empty() && !error.advice().is_empty());
        let total = engine.stats().expect("the shard lives").total();
        assert_eq!((total.panics, total.sessions, total.consoles), (round, 1, 1));
        assert_eq!((total.logins_running, total.logins_waiting), (0, 0));
    }
    assert_eq!(console.state(), ConsoleState::Connected);
    console.write_all(b"alive", LONG).expect("room");
    console.drain(LONG).expect("acknowledged");
    assert_eq!(console.stats().input_lost, 0);
}

#[test]
fn a_console_with_a_reader_is_tried_again_after_a_panic() {
    let engine = Engine::new(EngineConfig { shards: 1, ..EngineConfig::default() });
    let engine = engine.expect("an engine");
    let bad = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    bad.set_read_timeout(Some(LONG)).expect("a timeout");
    let bmc = bmc_at(&engine, bad.local_addr().expect("bound"));
    let config = ConsoleConfig::default().on_demand(Duration::from_secs(60));
    let console = bmc.console(config).expect("a console");
    let reader = console.reader();
    let mut buffer = [0; 512];
    let (_, from) = bad.recv_from(&mut buffer).expect("it is tried because of the reader");
    bad.send_to(PANIC, from).expect("sent");
    while engine.stats().expect("the shard lives").total().panics == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    let why = console.why();
    assert_eq!(why.reason.map(|error| error.kind()), Some(ErrorKind::Internal));
    assert!(why.next_try.is_some(), "nobody would ever try it again");
    drop(reader);
}
