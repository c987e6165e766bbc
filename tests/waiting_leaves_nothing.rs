//! Queues, readers' descriptors and callbacks leave nothing behind. Alone in its process, to count.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bmclink::sim::{Serial, Simulator, SimulatorOptions};
use bmclink::{
    BmcConfig, Console, ConsoleConfig, ConsoleEvent, Credentials, Engine, EngineConfig, EventQueue,
};

const SHORT: Duration = Duration::from_secs(20);

fn count(what: &str) -> usize {
    std::fs::read_dir(format!("/proc/self/{what}")).expect("/proc").count()
}

/// How many threads there are, once there are as many as `wanted`: one that was joined is listed
/// for a moment longer.
fn threads(wanted: usize) -> usize {
    let end = Instant::now() + SHORT;
    while count("task") != wanted && Instant::now() < end {
        std::thread::yield_now();
    }
    count("task")
}

fn connected(engine: &Engine, simulator: &Simulator, at: usize) -> Console {
    let address = simulator.address(at);
    let credentials = Credentials::new("admin", "password").expect("legal");
    let config = BmcConfig::new(address.ip().to_string(), credentials).port(address.port());
    let bmc = engine.bmc(config).expect("a BMC");
    let console = bmc.console(ConsoleConfig::default()).expect("a console");
    console.connect(SHORT).expect("connected");
    console
}

#[test]
fn waiting_for_consoles_leaves_no_thread_and_no_descriptor() {
    let options = SimulatorOptions { count: 8, serial: Serial::Flood, ..Default::default() };
    let simulator = Simulator::start(options).expect("a simulator");
    let nothing = (count("task"), count("fd"));
    for round in 0..6 {
        let engine = Engine::new(EngineConfig::default()).expect("an engine");
        let consoles: Vec<Console> = (0..8).map(|at| connected(&engine, &simulator, at)).collect();
        let mut readers: Vec<_> = consoles.iter().map(Console::reader).collect();
        let idle = (count("task"), count("fd"));

        // A queue is one descriptor, and a reader has one only if asked.
        let queue = EventQueue::new().expect("a queue");
        for (key, reader) in readers.iter().enumerate() {
            queue.add(reader, key as u64).expect("added");
        }
        assert_eq!((count("task"), count("fd")), (idle.0, idle.1 + 1));
        readers[0].fd().expect("a descriptor");
        readers[0].fd().expect("the same");
        readers[1].fd().expect("another");
        assert_eq!(count("fd"), idle.1 + 3);

        // The last subscription takes the threads along.
        let (sender, called) = channel();
        let subscriptions: Vec<_> = consoles
            .iter()
            .map(|console| {
                let sender = sender.clone();
                let callback = move |_: ConsoleEvent<'_>| _ = sender.send(());
                console.on_event(callback).expect("subscribed")
            })
            .collect();
        for _ in 0..100 {
            called.recv_timeout(SHORT).expect("a flood");
        }
        assert!(count("task") > idle.0);
        if round % 2 == 0 {
            drop(subscriptions);
            assert_eq!(threads(idle.0), idle.0, "round {round}");
            drop(queue);
            readers.clear();
            assert_eq!(count("fd"), idle.1, "round {round}");
            drop((engine, consoles));
        } else {
            drop(engine);
            assert_eq!(threads(nothing.0), nothing.0, "round {round}");
            drop((consoles, readers));
            drop((queue, subscriptions));
        }
        assert_eq!((threads(nothing.0), count("fd")), nothing, "round {round}");
    }
}
