//! The simulator on real sockets: who answers, what is lost, and that nothing stays behind.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bmclink::sim::net::Faults;
use bmclink::sim::{BmcOptions, Serial, Simulator, SimulatorOptions};
use bmclink::wire::cipher_suite::CipherSuiteId;
use bmclink::wire::message::{Message, RqSeq, net_fn};
use bmclink::wire::open_session::{OpenSessionRequest, OpenSessionResponse, StatusCode};
use bmclink::wire::payload::PayloadType;
use bmclink::wire::rakp::{Rakp1, Rakp3};
use bmclink::wire::{SessionId, rmcpplus};

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

/// A console in a session of cipher suite 0, so without cryptography. Sends nothing twice.
struct Console {
    socket: UdpSocket,
    bmc: SocketAddr,
    session_id: SessionId,
    sent: u32,
    typed: u8,
    /// The number of the last SOL packet read.
    read: u8,
}

impl Console {
    /// Logs in and activates SOL.
    fn open(bmc: SocketAddr) -> Console {
        let session_id = SessionId(0);
        let mut console =
            Console { socket: remote_console(), bmc, session_id, sent: 0, typed: 0, read: 0 };
        console.log_in();
        console.command(0x3b, &[4]); // Set Session Privilege Level: Administrator
        console.activate_sol();
        console
    }

    fn activate_sol(&mut self) {
        (self.typed, self.read) = (0, 0);
        self.command(0x48, &[1, 1, 0, 0, 0, 0]); // Activate Payload: SOL
    }

    fn log_in(&mut self) {
        let mut payload = Vec::new();
        let request = OpenSessionRequest {
            message_tag: 1,
            requested_maximum_privilege_level: 0,
            remote_console_session_id: SessionId(7),
            algorithms: CipherSuiteId(0).algorithms().unwrap().into(),
        };
        request.encode(&mut payload);
        self.set_up(PayloadType::OpenSessionRequest, &payload);
        let response = self.receive().1;
        let response = OpenSessionResponse::decode(&response).unwrap().unwrap();
        self.session_id = response.managed_system_session_id;
        let rakp1 = Rakp1 {
            message_tag: 2,
            managed_system_session_id: self.session_id,
            remote_console_random_number: [3; 16],
            role: 0x14,
            user_name: b"admin",
        };
        let rakp3 = Rakp3 {
            message_tag: 3,
            status: StatusCode::NO_ERRORS,
            managed_system_session_id: self.session_id,
            key_exchange_auth_code: &[],
        };
        payload.clear();
        rakp1.encode(&mut payload);
        self.set_up(PayloadType::Rakp1, &payload);
        assert_eq!(self.receive().1[1], 0);
        payload.clear();
        rakp3.encode(&mut payload);
        self.set_up(PayloadType::Rakp3, &payload);
        assert_eq!(self.receive().1[1], 0);
    }

    fn set_up(&self, payload_type: PayloadType, payload: &[u8]) {
        let mut datagram = Vec::new();
        rmcpplus::encode_sessionless(payload_type, payload, &mut datagram);
        self.socket.send_to(&datagram, self.bmc).unwrap();
    }

    fn send(&mut self, payload_type: u8, payload: &[u8]) {
        self.sent += 1;
        let mut datagram = vec![6, 0, 0xff, 7, 6, payload_type];
        datagram.extend_from_slice(&self.session_id.0.to_le_bytes());
        datagram.extend_from_slice(&self.sent.to_le_bytes());
        datagram.extend_from_slice(&(payload.len() as u16).to_le_bytes());
        datagram.extend_from_slice(payload);
        self.socket.send_to(&datagram, self.bmc).unwrap();
    }

    /// The type and the bytes of the next payload.
    fn receive(&self) -> (u8, Vec<u8>) {
        let mut buffer = [0; 1024];
        let (len, _) = self.socket.recv_from(&mut buffer).expect("the BMC says something");
        let framed = rmcpplus::decode(&buffer[..len]).unwrap();
        (framed.header.payload_type.number(), buffer[framed.payload].to_vec())
    }

    fn command(&mut self, cmd: u8, data: &[u8]) {
        let mut message = Vec::new();
        let rq_seq = RqSeq::new(self.sent as u8 & 0x3f);
        Message::request(net_fn::APP, 0, rq_seq, cmd, data).encode(&mut message);
        self.send(0, &message);
        while let (payload_type, response) = self.receive()
            && (payload_type != 0 || response[5] != cmd)
        {}
    }

    fn type_in(&mut self, text: &str) {
        self.typed = self.typed % 15 + 1;
        let mut packet = vec![self.typed, 0, 0, 0];
        packet.extend_from_slice(text.as_bytes());
        self.send(1, &packet);
    }

    /// What is printed until `end` was.
    fn read_until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.contains(end) {
            let (payload_type, packet) = self.receive();
            if payload_type != 1 || packet[0] == 0 {
                continue;
            }
            self.send(1, &[0, packet[0], (packet.len() - 4) as u8, 0]);
            if packet[0] != self.read {
                text.push_str(&String::from_utf8_lossy(&packet[4..]));
                self.read = packet[0];
            }
        }
        text
    }
}

/// The processes this one started and did not reap, as "state (name)".
fn children() -> Vec<String> {
    let own = std::process::id().to_string();
    let entries = std::fs::read_dir("/proc").unwrap();
    let stats = entries.filter_map(|e| std::fs::read_to_string(e.ok()?.path().join("stat")).ok());
    let fields = stats.map(|stat| stat.split(' ').map(str::to_owned).collect::<Vec<_>>());
    fields.filter(|f| f[3] == own).map(|f| format!("{} {}", f[2], f[1])).collect()
}

fn start_with_program(program: &str) -> Simulator {
    let bmc = BmcOptions { cipher_suites: Some(vec![0]), ..Default::default() };
    let serial = Serial::Command(program.to_owned());
    start(SimulatorOptions { bmc, serial, ..Default::default() })
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
fn a_program_sits_on_the_serial_port() {
    let _alone = alone();
    let before = left_behind();
    let simulator = start_with_program("cat");
    assert!(children().is_empty(), "nothing runs before SOL is activated");
    let mut console = Console::open(simulator.address(0));
    console.type_in("hello\r");
    // Once from the terminal, and once from the program.
    assert_eq!(console.read_until("o\r\nhello\r\n"), "hello\r\nhello\r\n");
    assert_eq!(children().len(), 1);
    drop((simulator, console));
    assert!(children().is_empty(), "{:?}", children());
    assert_eq!(left_behind().0, before.0);
}

#[test]
fn a_program_that_ended_starts_again() {
    let _alone = alone();
    let simulator = start_with_program("echo here; read line");
    let mut console = Console::open(simulator.address(0));
    for round in 0..3 {
        assert!(console.read_until("here\r\n").ends_with("here\r\n"), "round {round}");
        console.type_in("\r");
        console.read_until("\r\n");
        console.command(0x49, &[1, 1, 0, 0, 0, 0]); // Deactivate Payload: SOL
        let end = Instant::now() + Duration::from_secs(10);
        while children().iter().any(|child| !child.starts_with('Z')) && Instant::now() < end {
            std::thread::sleep(MS);
        }
        console.activate_sol();
    }
    simulator.stop();
    assert!(children().is_empty(), "{:?}", children());
}

#[test]
fn a_program_that_never_stops_printing_is_held_back() {
    let _alone = alone();
    let simulator = start_with_program("seq 1 20000");
    let mut console = Console::open(simulator.address(0));
    let expected = (1..=20_000).map(|number| format!("{number}\r\n")).collect::<String>();
    let printed = console.read_until("\r\n20000\r\n");
    assert!(printed == expected, "bytes lost or doubled");
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
