//! Shares one console with many terminals, over a Unix socket.
//!
//! ```text
//! cargo run --release --example share -- --socket /run/user/1000/node7 -U admin -f FILE bmc7
//! socat -,raw,echo=0,escape=0x1d UNIX-CONNECT:/run/user/1000/node7
//! ```
//!
//! Everybody who connects first sees what the console printed last, then what comes; what anybody
//! types is typed. The console is connected while somebody is there, and again when it was lost.
//! Without a BMC, a simulated one is started.

use std::io::{ErrorKind as Io, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bmclink::sim::{Serial, Simulator, SimulatorOptions};
use bmclink::{BmcConfig, Console, ConsoleConfig, Credentials, Engine, EngineConfig, ErrorKind};
use clap::Parser;

/// Shares one console with many terminals, over a Unix socket
#[derive(Parser)]
struct Arguments {
    /// Path of the socket; only this user may connect to it
    #[arg(long)]
    socket: PathBuf,
    /// User name
    #[arg(short = 'U', default_value = "admin")]
    user: String,
    /// File whose first line is the password
    #[arg(short = 'f', value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// UDP port of the BMC
    #[arg(short = 'p', default_value_t = 623)]
    port: u16,
    /// Seconds for which the console stays connected after the last one has left
    #[arg(long, default_value_t = 60)]
    linger: u64,
    /// The BMC; none starts a simulated one
    bmc: Option<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("share: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let (mut host, mut port, mut password) = (arguments.bmc.clone(), arguments.port, String::new());
    let mut simulator = None;
    if let Some(file) = &arguments.password_file {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        password = text.lines().next().unwrap_or_default().to_owned();
    } else if host.is_some() {
        return Err("give the password in a file: -f FILE".into());
    }
    if host.is_none() {
        let options = SimulatorOptions { serial: Serial::Shell, ..Default::default() };
        let started = simulator.insert(Simulator::start(options)?);
        password = "password".to_owned();
        (host, port) = (Some(started.address(0).ip().to_string()), started.address(0).port());
    }

    let engine = Engine::new(EngineConfig::default())?;
    let credentials = Credentials::new(&arguments.user, &password)?;
    let bmc = engine.bmc(BmcConfig::new(host.unwrap_or_default(), credentials).port(port))?;
    let linger = Duration::from_secs(arguments.linger);
    let console = bmc.console(ConsoleConfig::default().on_demand(linger))?;

    let listener = listen(&arguments.socket)?;
    println!("share: ready at {}", arguments.socket.display());
    for stream in listener.incoming() {
        serve(&console, stream?)?;
    }
    Ok(())
}

/// Listens at a path; one that a program before left behind is replaced, one in use is not.
fn listen(path: &Path) -> Result<UnixListener, Box<dyn std::error::Error>> {
    if UnixStream::connect(path).is_ok() {
        return Err(format!("{} is in use", path.display()).into());
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != Io::NotFound => {
            return Err(format!("cannot replace {}: {error}", path.display()).into());
        }
        _ => {}
    }
    let listener = UnixListener::bind(path)
        .map_err(|error| format!("cannot listen at {}: {error}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Two threads for each terminal: one prints, one types. A slow terminal holds up nobody: it
/// loses its own oldest bytes, and is told so.
fn serve(console: &Console, stream: UnixStream) -> std::io::Result<()> {
    let (mut typed, mut screen) = (stream.try_clone()?, stream);
    // Text from the beginning of a line on, and no colours left over from before it.
    let (past, mut reader) = console.reader_for_terminal();
    let console = console.clone();
    let gone = Arc::new(AtomicBool::new(false));
    let has_gone = gone.clone();
    thread::spawn(move || {
        let (mut buffer, mut lost) = ([0; 4096], 0);
        let _ = screen.write_all(&past);
        while !has_gone.load(Ordering::Relaxed) {
            let text = match reader.read(&mut buffer, Duration::from_secs(1)) {
                Ok(len) => &buffer[..len],
                Err(error) if error.kind() == ErrorKind::TimedOut => continue,
                Err(error) if error.kind() == ErrorKind::Closed => return,
                Err(error) => {
                    let _ = write!(screen, "\r\n[console: {error}]\r\n");
                    thread::sleep(Duration::from_secs(1));
                    continue;
                }
            };
            if reader.lost() > lost {
                let more = reader.lost() - lost;
                lost = reader.lost();
                let _ = write!(screen, "\r\n[{more} bytes lost: this terminal is too slow]\r\n");
            }
            if screen.write_all(text).is_err() {
                return; // It has gone away.
            }
        }
    });
    thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(len @ 1..) = typed.read(&mut buffer) {
            // Not connected: what is typed then is not kept for later.
            let _ = console.write_all(&buffer[..len], Duration::from_secs(10));
        }
        gone.store(true, Ordering::Relaxed);
    });
    Ok(())
}
