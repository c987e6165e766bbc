//! Feature `screen`: who attaches sees what the terminal shows.

use std::io::Write;
use std::time::Duration;

use bmclink::sim::{Serial, Simulator, SimulatorOptions};
use bmclink::{BmcConfig, ConsoleConfig, Credentials, Engine, EngineConfig, ErrorKind};

const LONG: Duration = Duration::from_secs(30);

#[test]
fn the_screen_is_what_is_left_after_drawing_and_erasing() {
    let options = SimulatorOptions { serial: Serial::Echo, ..SimulatorOptions::default() };
    let simulator = Simulator::start(options).expect("a simulator");
    let engine = Engine::new(EngineConfig::default()).expect("an engine");
    let credentials = Credentials::new("admin", "password").expect("legal");
    let address = simulator.address(0);
    let config = BmcConfig::new(address.ip().to_string(), credentials).port(address.port());
    let console = engine.bmc(config).expect("a BMC").console(ConsoleConfig::default());
    let mut console = console.expect("a console");
    console.connect(LONG).expect("connected");
    let mut reader = console.reader();
    let drawn = b"old text\x1b[2J\x1b[3;5H\x1b[31mred\x1b[0m\x1b[1;1Htop\x1b[?25l";
    Write::write_all(&mut console, drawn).expect("written");
    let mut got = 0;
    while got < drawn.len() {
        got += reader.read(&mut [0; 256], LONG).expect("an echo");
    }

    let (shown, mut behind) = console.reader_for_screen(80, 24).expect("a screen");
    let size = |size| std::num::NonZero::new(size).expect("not 0");
    let mut terminal = vt100::Parser::new(size(24), size(80), 0);
    terminal.process(&shown);
    let screen = terminal.screen();
    let rows: Vec<String> = screen.rows(0, 80).map(|row| row.trim_end().to_owned()).collect();
    assert_eq!((rows[0].as_str(), rows[2].as_str()), ("top", "    red"), "{rows:?}");
    assert_eq!(screen.cursor_position(), (0, 3));
    assert!(screen.hide_cursor());
    assert!(!String::from_utf8_lossy(&shown).contains("old"));
    Write::write_all(&mut console, b"x").expect("written");
    let mut next = [0; 8];
    assert_eq!(behind.read(&mut next, LONG), Ok(1));
    assert_eq!(next[0], b'x');

    for (columns, rows) in [(0, 24), (80, 0), (1001, 24)] {
        let refused = console.reader_for_screen(columns, rows).map(drop);
        assert_eq!(refused.map_err(|error| error.kind()), Err(ErrorKind::Misuse));
    }
}
