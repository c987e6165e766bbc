//! Power, identify light and boot options.

use std::time::Duration;

use super::{APP, CHASSIS, Console, session, session_at, session_with};
use crate::sim::BmcOptions;

const OFF: u8 = 0;
const ON: u8 = 1;
const CYCLE: u8 = 2;
const RESET: u8 = 3;
const SOFT: u8 = 5;

fn control(console: &mut Console, action: u8) -> u8 {
    console.command(CHASSIS, 0x02, &[action]).0
}

fn status(console: &mut Console) -> Vec<u8> {
    let (code, data) = console.command(CHASSIS, 0x01, &[]);
    assert_eq!((code, data.len()), (0, 4));
    data
}

fn is_on(console: &mut Console) -> bool {
    status(console)[0] & 1 != 0
}

fn set_boot(console: &mut Console, data: &[u8]) -> u8 {
    console.command(CHASSIS, 0x08, data).0
}

fn boot(console: &mut Console, parameter: u8) -> Vec<u8> {
    let (code, data) = console.command(CHASSIS, 0x09, &[parameter, 0, 0]);
    assert_eq!((code, data[0]), (0, 1));
    data[1..].to_vec()
}

#[test]
fn power_follows_after_its_delay() {
    let power_delay = Duration::from_secs(3);
    let mut console = session_with(BmcOptions { power_delay, ..Default::default() });
    for (action, on) in [(OFF, false), (ON, true)] {
        assert_eq!(control(&mut console, action), 0);
        console.sleep(2900);
        assert_eq!(is_on(&mut console), !on);
        console.sleep(200);
        assert_eq!(is_on(&mut console), on);
    }
    assert_eq!(control(&mut console, CYCLE), 0);
    console.sleep(3100);
    assert!(!is_on(&mut console));
    console.sleep(2000);
    assert!(is_on(&mut console));
}

#[test]
fn a_soft_shutdown_takes_its_time() {
    let mut console = session();
    assert_eq!(control(&mut console, SOFT), 0);
    console.sleep(4900);
    assert!(is_on(&mut console));
    console.sleep(200);
    assert!(!is_on(&mut console));
    for action in [CYCLE, RESET, 4, SOFT] {
        assert_eq!(control(&mut console, action), 0xd5, "action {action}");
    }
    assert_eq!(control(&mut console, 9), 0xcc);
}

#[test]
fn a_bmc_may_only_say_that_it_obeys() {
    let mut console = session_at(&["power_ignored"]);
    assert_eq!(control(&mut console, OFF), 0);
    console.sleep(20_000);
    assert!(is_on(&mut console));
}

#[test]
fn the_cause_of_the_last_start_is_known() {
    let mut console = session();
    assert_eq!(console.command(CHASSIS, 0x07, &[]).1, [0, 0]);
    control(&mut console, RESET);
    assert_eq!(console.command(CHASSIS, 0x07, &[]).1, [1, 1]);
    console.bmc.set_host_power(false);
    console.bmc.set_host_power(true);
    assert_eq!(console.command(CHASSIS, 0x07, &[]).1, [3, 0], "the button");
    assert_eq!(status(&mut console)[1], 0);
    control(&mut console, OFF);
    control(&mut console, ON);
    assert_eq!(status(&mut console)[1], 0x10, "by IPMI");
}

#[test]
fn the_restore_policy_decides_after_the_mains_failed() {
    for (policy, before, after, cause) in
        [(0, true, false, 0), (1, true, true, 7), (1, false, false, 0), (2, false, true, 6)]
    {
        let mut console = session();
        assert_eq!(console.command(CHASSIS, 0x06, &[policy]), (0, vec![7]));
        assert_eq!(console.command(CHASSIS, 0x06, &[3]), (0, vec![7]), "asks only");
        console.bmc.set_host_power(before);
        console.bmc.lose_mains(console.now);
        assert_eq!(console.bmc.sessions(), 0);
        console.login().unwrap();
        let status = status(&mut console);
        assert_eq!(status[0], policy << 5 | u8::from(after));
        assert_eq!(status[1], 1, "the mains failed");
        if cause != 0 {
            assert_eq!(console.command(CHASSIS, 0x07, &[]).1, [cause, 0]);
        }
    }
}

#[test]
fn identify_goes_out_by_itself() {
    let mut console = session();
    let light = |console: &mut Console| status(console)[2] >> 4 & 3;
    console.command(CHASSIS, 0x04, &[]);
    console.sleep(14_900);
    assert_eq!(light(&mut console), 1);
    console.sleep(200);
    assert_eq!(light(&mut console), 0);
    console.command(CHASSIS, 0x04, &[3]);
    console.sleep(3100);
    assert_eq!(light(&mut console), 0);
    console.command(CHASSIS, 0x04, &[0, 1]);
    console.sleep(50_000);
    assert_eq!(light(&mut console), 2);
    console.command(CHASSIS, 0x04, &[0]);
    assert_eq!(light(&mut console), 0);
}

#[test]
fn power_on_hours_count_while_the_host_runs() {
    let mut console = session();
    let hours = |console: &mut Console| {
        let (_, data) = console.command(CHASSIS, 0x0f, &[]);
        assert_eq!(data[0], 60);
        u32::from_le_bytes(data[1..].try_into().unwrap())
    };
    let stay = |console: &mut Console, seconds: u64| {
        for _ in 0..seconds / 50 {
            console.sleep(50_000);
            console.command(APP, 0x01, &[]);
        }
    };
    let before = hours(&mut console);
    stay(&mut console, 3650);
    assert_eq!(hours(&mut console), before + 1);
    control(&mut console, OFF);
    stay(&mut console, 7200);
    assert_eq!(hours(&mut console), before + 1);
}

#[test]
fn intrusion_fans_and_buttons_show_in_the_status() {
    let mut console = session();
    assert_eq!(status(&mut console)[2..], [0x40, 0xf0]);
    console.bmc.set_sensor(0x42, Some(1));
    console.bmc.set_sensor(0x20, Some(5));
    assert_eq!(console.command(CHASSIS, 0x0a, &[0x03]).0, 0);
    assert_eq!(status(&mut console)[2..], [0x49, 0xf3]);
}

#[test]
fn boot_flags_are_used_up_by_one_boot_unless_they_persist() {
    let mut console = session();
    assert_eq!(set_boot(&mut console, &[5, 0x80, 0x04, 0, 0, 0]), 0);
    assert_eq!(boot(&mut console, 5), [5, 0x80, 0x04, 0, 0, 0]);
    assert_eq!(console.bmc.booted_with(), None);
    control(&mut console, CYCLE);
    console.sleep(2100);
    assert_eq!(console.bmc.booted_with(), Some([0x80, 0x04, 0, 0, 0]));
    assert_eq!(boot(&mut console, 5), [5, 0x00, 0x04, 0, 0, 0]);
    assert_eq!(set_boot(&mut console, &[5, 0xc0, 0x18, 0, 0, 0]), 0);
    control(&mut console, RESET);
    assert_eq!(console.bmc.booted_with(), Some([0xc0, 0x18, 0, 0, 0]));
    assert_eq!(boot(&mut console, 5)[1], 0xc0);
}

#[test]
fn valid_flags_last_a_minute() {
    let set = |console: &mut Console| {
        assert_eq!(set_boot(console, &[5, 0x80, 0x04, 0, 0, 0]), 0);
    };
    let valid_after_a_minute = |console: &mut Console| {
        for _ in 0..2 {
            console.sleep(31_000);
            console.command(APP, 0x01, &[]);
        }
        boot(console, 5)[1] & 0x80 != 0
    };
    let mut console = session();
    set(&mut console);
    console.sleep(59_000);
    assert_eq!(boot(&mut console, 5)[1], 0x80);
    console.sleep(1100);
    assert_eq!(boot(&mut console, 5)[1], 0x00);
    // A Chassis Control command, whatever it does, keeps them.
    set(&mut console);
    control(&mut console, OFF);
    assert!(valid_after_a_minute(&mut console));
    // So does parameter 3 bit 3.
    control(&mut console, ON);
    assert_eq!(set_boot(&mut console, &[3, 0x1f]), 0);
    set(&mut console);
    assert!(valid_after_a_minute(&mut console));
    assert_eq!(boot(&mut console, 3), [3, 0x1f]);
}

#[test]
fn setting_in_progress_keeps_others_out() {
    let mut console = session();
    let first = console.managed_id.to_le_bytes();
    assert_eq!(set_boot(&mut console, &[0, 1]), 0);
    assert_eq!(set_boot(&mut console, &[0, 1]), 0, "its own");
    console.remote_id += 1;
    console.login().unwrap();
    assert_eq!(console.command(APP, 0x3b, &[4]).0, 0);
    assert_eq!(set_boot(&mut console, &[0, 1]), 0x81);
    assert_eq!(boot(&mut console, 0), [0, 1]);
    assert_eq!(console.command(APP, 0x3c, &first).0, 0);
    assert_eq!(set_boot(&mut console, &[0, 1]), 0, "the other session is gone");
    assert_eq!(set_boot(&mut console, &[0, 0]), 0);
    assert_eq!(boot(&mut console, 0), [0, 0]);
}

#[test]
fn the_other_boot_options_are_kept() {
    let mut console = session();
    assert_eq!(set_boot(&mut console, &[4, 0x01, 0x01]), 0);
    assert_eq!(set_boot(&mut console, &[4, 0x02, 0xff]), 0, "the mask decides");
    assert_eq!(boot(&mut console, 4), [4, 0, 0x03]);
    let mailbox = [&[7, 2][..], b"sixteen bytes in"].concat();
    assert_eq!(set_boot(&mut console, &mailbox), 0);
    let (_, block) = console.command(CHASSIS, 0x09, &[7, 2, 0]);
    assert_eq!(&block[3..], b"sixteen bytes in");
    assert_eq!(set_boot(&mut console, &[0x81, 5]), 0);
    assert_eq!(boot(&mut console, 1), [0x81, 5], "marked invalid");
    assert_eq!(set_boot(&mut console, &[8, 0]), 0x80);
    assert_eq!(console.command(CHASSIS, 0x09, &[8, 0, 0]).0, 0x80);
    assert_eq!(set_boot(&mut console, &[5, 0x80]), 0xc7);
}
