//! The simulator on real sockets: who answers, what is lost, and that nothing stays behind.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bmclink::sim::net::Faults;
use bmclink::sim::{Simulator, SimulatorOptions};

const MS: Duration = Duration::from_millis(1);

/// One test counts threads and file descriptors, so one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|poison| poison.into_inner())
}

fn remote_console() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// Get Channel Authentication Capabilities (§22.13) for channel Eh at Administrator.
fn request(rq_seq: u8) -> Vec<u8> {
    let mut datagram = vec![6, 0, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0x20, 0x18, 0xc8];
    let body = [0x81, rq_seq << 2, 0x38, 0x8e, 4];
    let sum = body.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    datagram.extend_from_slice(&body);
    datagram.push(sum.wrapping_neg());
    datagram
}

/// The rqSeq of a good response to [`request`], and who sent it.
fn response(socket: &UdpSocket) -> (u8, SocketAddr) {
    let mut buffer = [0; 100];
    let (len, from) = socket.recv_from(&mut buffer).expect("a response comes");
    let response = &buffer[..len];
    assert_eq!(response[14..16], [0x81, 0x1c], "{response:02x?}");
    assert_eq!(response[19..21], [0x38, 0], "{response:02x?}");
    (response[18] >> 2, from)
}

fn start(options: SimulatorOptions) -> Simulator {
    Simulator::start(options).unwrap()
}

/// What is open, by file descriptor, and how many threads simulate.
fn left_behind() -> (BTreeSet<String>, usize) {
    let names = |directory: &str| -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().path().display().to_string()).collect()
    };
    let target = |fd: &String| Some(format!("{fd}: {}", std::fs::read_link(fd).ok()?.display()));
    let name = |task: &String| std::fs::read_to_string(format!("{task}/comm")).unwrap_or_default();
    let fds = names("/proc/self/fd").iter().filter_map(target).collect();
    let tasks = names("/proc/self/task");
    (fds, tasks.iter().filter(|task| name(task).trim() == "bmclink-sim").count())
}

#[test]
fn each_bmc_answers_from_its_own_address() {
    let _alone = alone();
    for count in [1, 3] {
        let simulator = start(SimulatorOptions { count, ..Default::default() });
        let socket = remote_console();
        for index in 0..count {
            socket.send_to(&request(index as u8), simulator.address(index)).unwrap();
            assert_eq!(response(&socket), (index as u8, simulator.address(index)));
        }
        let counters = simulator.stop();
        assert_eq!((counters.received, counters.sent), (count as u64, count as u64));
    }
}

#[test]
fn two_thousand_bmcs_answer() {
    let _alone = alone();
    let simulator = start(SimulatorOptions {
        bind: "127.8.255.0".parse().unwrap(),
        count: 2000,
        ..Default::default()
    });
    let socket = remote_console();
    let mut missing: BTreeSet<_> = (0..2000).map(|index| simulator.address(index)).collect();
    for first in (0..2000).step_by(50) {
        for index in first..first + 50 {
            socket.send_to(&request(1), simulator.address(index)).unwrap();
        }
        for _ in 0..50 {
            let (_, from) = response(&socket);
            assert!(missing.remove(&from), "{from} twice, or never asked");
        }
    }
    assert!(missing.is_empty());
}

#[test]
fn every_bmc_is_one_of_its_own() {
    let _alone = alone();
    let simulator = start(SimulatorOptions { count: 300, ..Default::default() });
    let guids = (0..300).map(|index| simulator.with(index, |bmc, _| bmc.options().guid));
    assert_eq!(guids.collect::<BTreeSet<_>>().len(), 300);
    let port = simulator.with(7, |bmc, _| bmc.options().port);
    assert_eq!(port, simulator.address(7).port());
}

#[test]
fn the_same_seed_loses_the_same() {
    let _alone = alone();
    let counters = |seed| {
        let faults = || Faults { loss: 0.3, duplicate: 0.2, ..Faults::default() };
        let (faults_in, faults_out) = (faults(), faults());
        let simulator =
            start(SimulatorOptions { faults_in, faults_out, seed, ..Default::default() });
        let socket = remote_console();
        for rq_seq in 0..60 {
            socket.send_to(&request(rq_seq), simulator.address(0)).unwrap();
        }
        let end = Instant::now() + Duration::from_secs(20);
        while simulator.counters().received < 60 && Instant::now() < end {
            std::thread::sleep(MS);
        }
        simulator.stop()
    };
    let first = counters(4);
    assert!(first.faults_in.lost > 0 && first.faults_out.lost > 0);
    assert_eq!(first.sent, first.faults_out.delivered);
    assert_eq!(first, counters(4));
    assert_ne!(first, counters(5));
}

#[test]
fn a_delay_is_kept_and_a_cut_line_carries_nothing() {
    let _alone = alone();
    let delay = MS * 20..MS * 30;
    let faults_in = Faults { delay, ..Faults::default() };
    let simulator = start(SimulatorOptions { faults_in, count: 2, ..Default::default() });
    let socket = remote_console();
    let sent_at = Instant::now();
    socket.send_to(&request(1), simulator.address(1)).unwrap();
    assert_eq!(response(&socket), (1, simulator.address(1)));
    assert!(sent_at.elapsed() >= MS * 20);
    simulator.set_faults(Faults::default(), Faults::default());
    simulator.set_reachable(1, false);
    socket.send_to(&request(2), simulator.address(1)).unwrap();
    socket.send_to(&request(3), simulator.address(0)).unwrap();
    assert_eq!(response(&socket), (3, simulator.address(0)));
    simulator.set_reachable(1, true);
    socket.send_to(&request(4), simulator.address(1)).unwrap();
    assert_eq!(response(&socket), (4, simulator.address(1)));
}

#[test]
fn stopping_leaves_nothing_behind() {
    let _alone = alone();
    let before = left_behind();
    assert_eq!(before.1, 0);
    for count in [1, 500] {
        let simulator = start(SimulatorOptions { count, ..Default::default() });
        let address = simulator.address(0);
        // A thread gives itself its name, after `start` perhaps; when it answers it has it.
        let socket = remote_console();
        socket.send_to(&request(1), address).unwrap();
        response(&socket);
        drop(socket);
        let (fds, threads) = left_behind();
        assert_eq!((fds.len() - before.0.len(), threads), (3, 1), "socket, epoll, eventfd");
        drop(simulator);
        // A joined thread may be listed a moment longer.
        let end = Instant::now() + Duration::from_secs(5);
        while left_behind() != before && Instant::now() < end {
            std::thread::sleep(MS);
        }
        assert_eq!(left_behind(), before);
        UdpSocket::bind(address).expect("the port is free again");
    }
}

#[test]
fn bad_options_are_named() {
    let _alone = alone();
    let error = |options| Simulator::start(options).unwrap_err().to_string();
    let default = SimulatorOptions::default;
    assert!(error(SimulatorOptions { count: 0, ..default() }).contains("0 BMCs"));
    assert!(error(SimulatorOptions { count: 20_001, ..default() }).contains("20001 BMCs"));
    let bind = "127.255.255.0".parse().unwrap();
    let range = error(SimulatorOptions { bind, count: 256, ..default() });
    assert!(range.contains("256 addresses from 127.255.255.0"), "{range}");
    let bind = "10.0.0.1".parse().unwrap();
    assert!(error(SimulatorOptions { bind, ..default() }).contains("10.0.0.1"));
    let faults_out = Faults { duplicate: -0.5, ..Faults::default() };
    assert!(error(SimulatorOptions { faults_out, ..default() }).contains("duplicate -0.5"));
    let first = start(default());
    let port = first.address(0).port();
    let in_use = error(SimulatorOptions { port, ..default() });
    assert!(in_use.contains(&format!("127.0.0.1:{port}")), "{in_use}");
}
