//! The managed system driven by a small remote console, in virtual time.

mod bridge;
mod chassis;
mod console;
mod dcmi;
mod fru;
mod go_ipmi;
mod hostile;
mod ipmi_sim;
mod knobs;
mod lan;
mod login;
mod openbmc;
mod pyghmi;
mod quirks;
mod sdr;
mod sel;
mod sensor;
mod session;
mod sol;
mod users;
mod v15;

use console::Console;

use crate::sim::{BmcOptions, Misbehaviour};
use crate::wire::message::net_fn;

const APP: u8 = net_fn::APP;
const CHASSIS: u8 = net_fn::CHASSIS;
const SENSOR: u8 = net_fn::SENSOR_EVENT;
const STORAGE: u8 = net_fn::STORAGE;
const TRANSPORT: u8 = net_fn::TRANSPORT;

/// An administrator's session at a BMC with these options.
fn session_with(options: BmcOptions) -> Console {
    let mut console = Console::with(options, 17);
    console.login().unwrap();
    assert_eq!(console.command(APP, 0x3b, &[4]), (0, vec![4]));
    console
}

/// The same at an ordinary BMC.
fn session() -> Console {
    session_with(BmcOptions::default())
}

/// The same at a BMC with these knobs.
fn session_at(knobs: &[&str]) -> Console {
    let mut quirks = Misbehaviour::default();
    for knob in knobs {
        assert!(quirks.set(knob), "{knob}");
    }
    session_with(BmcOptions { quirks, ..Default::default() })
}
