//! What is dropped is gone: threads, descriptors, sessions. Alone in its process, to count.

use std::time::Duration;

use bmclink::sim::{Serial, Simulator, SimulatorOptions};
use bmclink::{BmcConfig, ConsoleConfig, Credentials, Engine, EngineConfig};

fn count(what: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{what}")).expect("/proc").count()
}

#[test]
fn dropping_in_any_order_leaves_no_thread_descriptor_or_session() {
    let options = SimulatorOptions {
        port: 0,
        count: 20,
        serial: Serial::Flood,
        ..SimulatorOptions::default()
    };
    let simulator = Simulator::start(options).expect("a simulator");
    let credentials = Credentials::new("admin", "password").expect("legal");
    let before = (count("task"), count("fd"));
    for round in 0..6 {
        let mut config = EngineConfig::default();
        config.shards = 2;
        config.bmcs_per_socket = 8;
        let engine = Engine::new(config).expect("an engine");
        let mut consoles = Vec::new();
        for at in 0..20 {
            let address = simulator.address(at);
            let config =
                BmcConfig::new(address.ip().to_string(), credentials.clone()).port(address.port());
            let bmc = engine.bmc(config).expect("a BMC");
            let console = bmc.console(ConsoleConfig::default()).expect("a console");
            console.connect(Duration::from_secs(20)).expect("connected");
            let reader = console.reader();
            consoles.push((bmc, console, reader));
        }
        assert!(count("task") <= before.0 + 2, "threads for consoles");
        match round % 3 {
            0 => {
                drop(engine);
                drop(consoles);
            }
            1 => {
                drop(consoles);
                drop(engine);
            }
            _ => {
                let (bmcs, rest): (Vec<_>, Vec<_>) =
                    consoles.into_iter().map(|(bmc, c, r)| (bmc, (c, r))).unzip();
                drop(bmcs);
                let thread = std::thread::spawn(move || drop(rest));
                drop(engine);
                thread.join().expect("no panic");
            }
        }
        assert_eq!((count("task"), count("fd")), before, "round {round}");
        for at in 0..20 {
            assert_eq!(simulator.with(at, |bmc, _| bmc.sessions()), 0, "round {round}, BMC {at}");
        }
    }
}
