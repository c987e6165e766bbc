//! The knobs themselves, and those that concern every command.

use super::{APP, CHASSIS, STORAGE, session, session_at};
use crate::sim::devices::Devices;
use crate::sim::{Misbehaviour, SolSizes};

#[test]
fn knobs_are_turned_by_name() {
    let mut quirks = Misbehaviour::default();
    for flag in Misbehaviour::FLAGS {
        assert!(quirks.set(flag), "{flag}");
        assert!(!quirks.set(&format!("{flag}=1")), "{flag} takes no value");
    }
    assert!(quirks.dcmi_missing && quirks.authcap);
    for value in Misbehaviour::VALUES {
        assert!(!quirks.set(value), "{value} takes a value");
        assert!(!quirks.set(&format!("{value}=much")), "{value}");
    }
    assert!(quirks.set("read_limit=0x10") && quirks.set("busy_first=70000"));
    assert_eq!((quirks.read_limit, quirks.busy_first), (Some(16), 70000));
    assert!(!quirks.set("read_limit=256") && !quirks.set("no_such_knob"));
    assert!(quirks.set("solpayloadsize=255,260,swapped"));
    let sizes = SolSizes { inbound: 255, outbound: 260, swapped: true };
    assert_eq!(quirks.solpayloadsize, Some(sizes));
    assert!(quirks.set("solpayloadsize=1,2") && !quirks.set("solpayloadsize=1"));
}

#[test]
fn the_first_commands_can_fail() {
    let mut console = session_at(&["busy_first=2", "timeout_first=1"]);
    let codes = [0; 4].map(|_| console.command(CHASSIS, 0x01, &[]).0);
    assert_eq!(codes, [0xc0, 0xc0, 0xc3, 0]);
    assert_eq!(console.command(STORAGE, 0x20, &[]).0, 0);
}

#[test]
fn answers_can_be_cut_short() {
    let mut console = session_at(&["cut_replies=2"]);
    assert_eq!(console.command(CHASSIS, 0x01, &[]).1.len(), 2);
    assert_eq!(console.command(STORAGE, 0x20, &[]).1.len(), 12);
    assert_eq!(console.command(STORAGE, 0x42, &[]), (0, vec![]));
    assert_eq!(console.command(APP, 0x01, &[]).1.len(), 15, "logging in is another matter");
}

#[test]
fn a_cold_reset_ends_sessions_and_may_take_long() {
    let mut console = session_at(&["cold_reset_ms=30000"]);
    assert_eq!(console.command(APP, 0x02, &[]).0, 0);
    console.sleep(100);
    assert_eq!(console.bmc.sessions(), 0);
    console.cipher = None;
    assert_eq!(console.sessionless(false, 0x38, &[0x8e, 4]), None);
    console.sleep(29_000);
    assert_eq!(console.sessionless(false, 0x38, &[0x8e, 4]), None);
    console.sleep(1000);
    assert!(console.sessionless(false, 0x38, &[0x8e, 4]).is_some());
    console.login().unwrap();
}

#[test]
fn a_warm_reset_keeps_sessions_and_cancels_reservations() {
    let mut console = session();
    let (_, id) = console.command(STORAGE, 0x22, &[]);
    assert_eq!(console.command(STORAGE, 0x23, &[id[0], id[1], 0, 0, 1, 4]).0, 0);
    assert_eq!(console.command(APP, 0x03, &[]).0, 0);
    assert_eq!(console.command(STORAGE, 0x23, &[id[0], id[1], 0, 0, 1, 4]).0, 0xc5);
}

#[test]
fn the_self_test_tells_what_it_finds() {
    assert_eq!(session().command(APP, 0x04, &[]).1, [0x55, 0]);
    assert_eq!(session_at(&["self_test_failed=0x20"]).command(APP, 0x04, &[]).1, [0x57, 0x20]);
}

#[test]
fn an_idle_bmc_has_hardly_anything_of_its_own() {
    assert!(size_of::<Devices>() <= 256, "{}", size_of::<Devices>());
}
