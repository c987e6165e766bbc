//! A console at a TCP port: what a backend of one's own looks like.
//!
//! `cargo run --example tcp_backend -- ADDRESS:PORT` attaches to that port. Without arguments it
//! talks to an echo of its own that hangs up twice: the console comes back by itself.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use bmclink::{
    Backend, ConsoleConfig, ConsoleState, Engine, EngineConfig, Error, ErrorKind, EventKind,
    FOREVER, Result, Sink,
};

/// The whole backend. Waiting, readers, replay and retries are the console's.
struct Tcp {
    address: String,
    stream: Option<TcpStream>,
}

impl Backend for Tcp {
    fn start(&mut self, sink: Sink) -> Result<()> {
        let stream = TcpStream::connect(&self.address)?;
        let mut from = stream.try_clone()?;
        self.stream = Some(stream);
        sink.connected();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            let reason = loop {
                match from.read(&mut buffer) {
                    Ok(0) => break Error::with_text(ErrorKind::Lost, "the far end hung up"),
                    Ok(len) => sink.bytes(&buffer[..len]),
                    Err(error) => break error.into(),
                };
            };
            sink.ended(reason);
        });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.stream.as_mut().map_or(Ok(0), |stream| Ok(stream.write(bytes)?))
    }

    fn stop(&mut self) {
        if let Some(stream) = self.stream.take() {
            // The thread that reads ends with it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let given = std::env::args().nth(1);
    let address = match &given {
        Some(address) => address.clone(),
        None => echo_that_hangs_up()?,
    };
    let engine = Engine::new(EngineConfig::default())?;
    let backend = Tcp { address, stream: None };
    let console = engine.console(backend, ConsoleConfig::default())?;
    let _subscription = console.on_event(|event| match event.kind {
        EventKind::Data(bytes) => print!("{}", String::from_utf8_lossy(bytes)),
        EventKind::Disconnected { reason, .. } => println!("[not connected: {reason}]"),
        other => println!("[{other:?}]"),
    })?;
    console.reconfigure(ConsoleConfig::default().always_on())?;
    if given.is_some() {
        io::copy(&mut io::stdin(), &mut &console)?;
        return Ok(());
    }
    for round in 1..=3 {
        while console.state() != ConsoleState::Connected || console.stats().epoch < round {
            console.wait_state(console.state(), Duration::from_millis(100));
        }
        let mut reader = console.live_reader();
        console.write_all(format!("hello {round}\n").as_bytes(), FOREVER)?;
        reader.read(&mut [0; 64], FOREVER)?;
    }
    // The callback gets what it was not called with yet.
    drop(engine);
    Ok(())
}

/// A TCP port that sends one line back and then hangs up, as often as one comes.
fn echo_that_hangs_up() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut line = [0; 64];
            let mut stream = stream?;
            let len = stream.read(&mut line)?;
            stream.write_all(&line[..len])?;
        }
        io::Result::Ok(())
    });
    Ok(address)
}
