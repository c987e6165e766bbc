//! The real engine, on loopback, with the simulated BMC: threads, sockets, time as it is.

use std::time::{Duration, Instant};

use bmclink::sim::{BmcOptions, Profile, Serial, Simulator, SimulatorOptions};
use bmclink::{
    BmcConfig, ConsoleConfig, ConsoleState, Credentials, Engine, EngineConfig, ErrorKind,
};

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

fn engine() -> Engine {
    let mut config = EngineConfig::default();
    config.shards = 2;
    Engine::new(config).expect("an engine")
}

#[test]
fn a_line_is_echoed_through_threads_and_sockets() {
    for profile in
        [Profile::Spec, Profile::OpenBmc, Profile::GoIpmi, Profile::Pyghmi, Profile::IpmiSim]
    {
        let simulator = simulator(Serial::Echo, profile);
        let engine = engine();
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
fn a_wrong_password_is_named() {
    let simulator = simulator(Serial::Echo, Profile::Spec);
    let engine = engine();
    let bmc = engine.bmc(config(&simulator, "wrong")).expect("a BMC");
    let error = bmc.connect(SHORT).expect_err("a wrong password");
    assert_eq!(error.kind(), ErrorKind::Password);
}
