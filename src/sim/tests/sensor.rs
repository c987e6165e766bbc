//! Sensors over LAN: readings, thresholds, what they log.

use super::{Console, SENSOR, STORAGE, session, session_at};
use crate::sim::sensor::number::{CPU_TEMP, DRIVE0, EXHAUST_TEMP, FAN1, INTRUSION, POWER_INPUT};

const INLET_PRESSURE: u8 = 0x2c;

fn reading(console: &mut Console, number: u8) -> Vec<u8> {
    let (code, data) = console.command(SENSOR, 0x2d, &[number]);
    assert_eq!(code, 0);
    data
}

/// Sensor number, event type and data of every SEL entry.
fn log(console: &mut Console) -> Vec<(u8, u8, [u8; 3])> {
    let mut entries = Vec::new();
    let mut id = 0u16;
    while id != 0xffff {
        let [low, high] = id.to_le_bytes();
        let (code, data) = console.command(STORAGE, 0x43, &[0, 0, low, high, 0, 0xff]);
        if code == 0xcb {
            break;
        }
        assert_eq!((code, data.len(), data[4]), (0, 18, 2));
        id = u16::from_le_bytes([data[0], data[1]]);
        entries.push((data[13], data[14], [data[15], data[16], data[17]]));
    }
    entries
}

#[test]
fn readings_move_with_time_and_only_with_it() {
    let mut console = session();
    let first = reading(&mut console, CPU_TEMP);
    assert_eq!(reading(&mut console, CPU_TEMP), first);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..30 {
        console.sleep(3000);
        seen.insert(reading(&mut console, CPU_TEMP)[0]);
    }
    assert!(seen.len() > 5 && seen.iter().all(|raw| (46..=58).contains(raw)), "{seen:?}");
}

#[test]
fn a_host_that_is_off_has_no_fans_and_draws_little() {
    let mut console = session();
    assert_eq!(reading(&mut console, FAN1)[1], 0xc0);
    console.bmc.set_host_power(false);
    assert_eq!(reading(&mut console, FAN1)[1] & 0x20, 0x20);
    assert_eq!(reading(&mut console, POWER_INPUT), [3, 0xc0, 0xc0]);
    console.bmc.set_host_power(true);
    assert_eq!(reading(&mut console, FAN1)[1], 0xc0);
}

#[test]
fn a_number_is_a_sensor_only_with_its_lun() {
    let mut console = session();
    let (_, cpu) = console.command_to(0, SENSOR, 0x2d, &[CPU_TEMP]);
    let (_, riser) = console.command_to(1, SENSOR, 0x2d, &[CPU_TEMP]);
    assert!(cpu[0] >= 46 && riser[0] <= 34, "{cpu:?} {riser:?}");
    assert_eq!(console.command_to(1, SENSOR, 0x2d, &[FAN1]).0, 0xcb);
    assert_eq!(console.command(SENSOR, 0x2d, &[0xee]).0, 0xcb);
    assert_eq!(console.command(SENSOR, 0x2d, &[]).0, 0xc7);
    assert_eq!(console.command(SENSOR, 0x2d, &[1, 2]).0, 0xc7);
}

#[test]
fn crossing_a_threshold_shows_and_is_logged_both_ways() {
    let mut console = session();
    console.bmc.set_sensor(CPU_TEMP, Some(96));
    assert_eq!(reading(&mut console, CPU_TEMP), [96, 0xc0, 0xd8]);
    assert_eq!(
        log(&mut console),
        [(CPU_TEMP, 0x01, [0x57, 96, 85]), (CPU_TEMP, 0x01, [0x59, 96, 95])]
    );
    console.bmc.set_sensor(CPU_TEMP, None);
    assert_eq!(reading(&mut console, CPU_TEMP)[2], 0xc0);
    let entries = log(&mut console);
    assert_eq!((entries.len(), entries[2].1, entries[2].2[0]), (4, 0x81, 0x57));
}

#[test]
fn an_alarm_ends_beyond_the_hysteresis() {
    let mut console = session();
    assert_eq!(console.command(SENSOR, 0x24, &[CPU_TEMP, 0xff, 10, 10]).0, 0);
    for (raw, states) in [(84, 0), (85, 0x08), (80, 0x08), (75, 0x08), (74, 0), (84, 0)] {
        console.bmc.set_sensor(CPU_TEMP, Some(raw));
        assert_eq!(reading(&mut console, CPU_TEMP)[2], 0xc0 | states, "at {raw}");
    }
    assert_eq!(log(&mut console).len(), 2);
}

#[test]
fn thresholds_can_be_moved_where_there_are_some() {
    let mut console = session();
    let (_, before) = console.command(SENSOR, 0x27, &[CPU_TEMP]);
    assert_eq!(before, [0x38, 0, 0, 0, 85, 95, 105]);
    let moved = [CPU_TEMP, 0x08, 0, 0, 0, 40, 0, 0];
    assert_eq!(console.command(SENSOR, 0x26, &moved).0, 0);
    assert_eq!(console.command(SENSOR, 0x27, &[CPU_TEMP]).1, [0x38, 0, 0, 0, 40, 95, 105]);
    assert_eq!(reading(&mut console, CPU_TEMP)[2], 0xc8);
    assert_eq!(log(&mut console).len(), 1);
    let lower = [CPU_TEMP, 0x01, 9, 0, 0, 0, 0, 0];
    assert_eq!(console.command(SENSOR, 0x26, &lower).0, 0xcc);
    assert_eq!(console.command(SENSOR, 0x27, &[INTRUSION]).0, 0xcd);
}

#[test]
fn hysteresis_events_and_types_are_told() {
    let mut console = session();
    assert_eq!(console.command(SENSOR, 0x25, &[FAN1, 0xff]).1, [2, 2]);
    assert_eq!(console.command(SENSOR, 0x24, &[FAN1, 0xff, 5, 6]).0, 0);
    assert_eq!(console.command(SENSOR, 0x25, &[FAN1, 0xff]).1, [5, 6]);
    assert_eq!(console.command(SENSOR, 0x2f, &[FAN1]).1, [0x04, 0x01]);
    assert_eq!(console.command(SENSOR, 0x2f, &[DRIVE0]).1, [0x0d, 0x6f]);
    // Lower thresholds going low: offsets 0, 2 and 4.
    assert_eq!(console.command(SENSOR, 0x29, &[FAN1]).1, [0xc0, 0x15, 0, 0x15, 0]);
    console.bmc.set_sensor(FAN1, Some(15));
    assert_eq!(console.command(SENSOR, 0x2b, &[FAN1]).1, [0xc0, 0x05, 0, 0, 0]);
}

#[test]
fn a_sensor_told_to_be_quiet_logs_nothing() {
    let mut console = session();
    assert_eq!(console.command(SENSOR, 0x28, &[INTRUSION, 0x40]).0, 0);
    console.bmc.set_sensor(INTRUSION, Some(1));
    assert_eq!(reading(&mut console, INTRUSION), [0, 0x40, 1, 0x80]);
    assert_eq!(console.bmc.sel_entries(), 0);
    assert_eq!(console.command(SENSOR, 0x28, &[INTRUSION, 0xc0]).0, 0);
    console.bmc.set_sensor(INTRUSION, None);
    assert_eq!(log(&mut console), [(INTRUSION, 0xef, [0, 0xff, 0xff])]);
}

#[test]
fn factors_follow_the_reading_where_they_are_not_the_same_everywhere() {
    let mut console = session();
    assert_eq!(console.command(SENSOR, 0x23, &[EXHAUST_TEMP, 9]).1, [10, 0xff, 0xc0, 1, 0, 0, 2]);
    assert_eq!(console.command(SENSOR, 0x23, &[INLET_PRESSURE, 99]).1[1..4], [1, 0, 0]);
    // 2x - 100.
    let (_, above) = console.command(SENSOR, 0x23, &[INLET_PRESSURE, 101]);
    assert_eq!(above[1..5], [2, 0, 0x9c, 0xc0]);
    assert_eq!(console.command(SENSOR, 0x23, &[INTRUSION, 1]).0, 0xcd);
}

#[test]
fn some_bmcs_say_less_or_wrong_about_readings() {
    let mut console = session_at(&["short_sensor_readings"]);
    assert_eq!(reading(&mut console, CPU_TEMP).len(), 2);
    let mut console = session_at(&["scanning_disabled"]);
    assert_eq!(reading(&mut console, CPU_TEMP)[1], 0x80);
}
