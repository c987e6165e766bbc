//! Power, boot options, bridged dialogs.

use std::time::Duration;

use super::*;
use crate::command::{
    BootDevice, BootFlags, BootOptions, ChassisControl, ConsoleRedirection, PowerOptions,
    RestartCause, Target,
};
use crate::session::{Cause, Failure, Stage};
use crate::wire::message::CompletionCode;

const STATUS: u8 = 0x01;
const CONTROL: u8 = 0x02;
const SET_BOOT: u8 = 0x08;

fn no_answer() -> Result<Reply> {
    Err(Failure::new(Cause::OutcomeUnknown, Stage::Active).into())
}

#[test]
fn a_cycle_of_a_system_that_is_off_switches_it_on_when_asked_to() {
    let options = PowerOptions::default().on_when_off();
    let cycle = async |dialog: Dialog| dialog.power(ChassisControl::PowerCycle, options).await;
    let (result, asked) = once(cycle, &[0, 0, 0]);
    assert_eq!(result, Ok(ChassisControl::PowerUp));
    assert_eq!(asked, [(0, STATUS, vec![]), (0, CONTROL, vec![1])]);
    let (result, asked) = once(cycle, &[1, 0, 0]);
    assert_eq!(result, Ok(ChassisControl::PowerCycle));
    assert_eq!(asked[1..], [(0, CONTROL, vec![2])]);
    let plain = async |dialog: Dialog| {
        dialog.power(ChassisControl::PowerCycle, PowerOptions::default()).await
    };
    let (result, asked) = record(plain, |_, _| (0xd5, vec![]));
    let error = result.expect_err("it is off");
    assert!(error.to_string().contains("is it off"), "{error}");
    assert_eq!(asked.len(), 1);
}

#[test]
fn the_state_decides_what_became_of_on_and_off_and_nothing_is_sent_twice() {
    for (control, on, fine) in [
        (ChassisControl::PowerUp, true, true),
        (ChassisControl::PowerUp, false, false),
        (ChassisControl::PowerDown, false, true),
        (ChassisControl::PowerCycle, true, false),
        (ChassisControl::HardReset, true, false),
    ] {
        let mut controls = 0;
        let power = async |dialog: Dialog| dialog.power(control, PowerOptions::default()).await;
        let result = play(power, |request| match request.cmd {
            CONTROL => {
                controls += 1;
                no_answer()
            }
            _ => reply(0, &[u8::from(on), 0, 0]),
        });
        assert_eq!((result.is_ok(), controls), (fine, 1), "{control:?} {on}");
        assert!(fine || kind_of(result) == Some(ErrorKind::OutcomeUnknown));
    }
}

#[test]
fn a_cycle_is_over_when_the_system_was_off_and_is_on_again() {
    let options = PowerOptions::default().wait(Duration::from_secs(60));
    let cycle = async |dialog: Dialog| dialog.power(ChassisControl::PowerCycle, options).await;
    let mut looks = 0;
    let (result, _) = record(cycle, |cmd, _| {
        looks += u32::from(cmd == STATUS);
        (0, vec![u8::from(!(3..7).contains(&looks)), 0, 0])
    });
    assert_eq!((result, looks), (Ok(ChassisControl::PowerCycle), 7));
    // So short that nobody saw it: after ten seconds.
    let (result, asked) = once(cycle, &[1, 0, 0]);
    assert_eq!((result.is_ok(), asked.len()), (true, 12));
    let (result, _) = once(cycle, &[0, 0, 0]);
    assert_eq!(kind_of(result), Some(ErrorKind::TimedOut));
}

#[test]
fn boot_flags_are_written_in_order_and_the_end_is_told() {
    let set = async |dialog: Dialog| {
        let options = BootOptions { efi: true, ..BootOptions::default() };
        dialog.set_boot(BootDevice::Pxe, options).await
    };
    let (result, asked) = once(set, &[]);
    assert_eq!(result, Ok(None));
    let data: Vec<_> = asked.into_iter().map(|(_, _, data)| data).collect();
    let expected: [&[u8]; 5] = [&[0, 1], &[4, 1, 1], &[5, 0xa0, 0x04, 0, 0, 0], &[0, 2], &[0, 0]];
    assert_eq!(data, expected);

    // A BMC without set-in-progress and without parameter 4.
    let (result, asked) = record(set, |_, data| (if data[0] == 5 { 0 } else { 0x80 }, vec![]));
    assert_eq!((result, asked.len()), (Ok(None), 3));
}

#[test]
fn a_failed_write_of_boot_flags_leaves_things_as_they_were() {
    let set = async |dialog: Dialog| {
        let options = BootOptions { keep_valid: true, ..BootOptions::default() };
        dialog.set_boot(BootDevice::Disk, options).await
    };
    let (result, asked) = record(set, |cmd, data| match (cmd, data[0]) {
        (SET_BOOT, 5) => (0xcc, vec![]),
        (SET_BOOT, _) => (0, vec![]),
        _ => (0, vec![1, 3, 0x05]),
    });
    assert_eq!(code_of(result), Some(0xcc));
    let written: Vec<_> = asked.into_iter().filter(|(_, cmd, _)| *cmd == SET_BOOT).collect();
    let data: Vec<_> = written.into_iter().map(|(_, _, data)| data).collect();
    let expected: [&[u8]; 6] =
        [&[0, 1], &[3, 0x1f], &[4, 1, 1], &[5, 0x80, 0x08, 0, 0, 0], &[3, 0x05], &[0, 0]];
    assert_eq!(data, expected);

    let (result, _) = record(set, |cmd, _| (0, if cmd == 9 { vec![1, 3, 0x05] } else { vec![] }));
    assert_eq!(result, Ok(Some(0x05)));
}

#[test]
fn somebody_else_who_changes_boot_options_is_waited_for_and_not_for_ever() {
    let set =
        async |dialog: Dialog| dialog.set_boot(BootDevice::BiosSetup, BootOptions::default()).await;
    let mut left = 3;
    let (result, _) = record(set, |_, data| {
        let held = data == [0, 1] && left > 0;
        left -= u32::from(held);
        (if held { 0x81 } else { 0 }, vec![])
    });
    assert_eq!(result, Ok(None));
    let (result, asked) = record(set, |_, _| (0x81, vec![]));
    let error = result.expect_err("it never ends");
    assert!(error.to_string().contains("somebody else"), "{error}");
    assert_eq!(asked, vec![(0, SET_BOOT, vec![0, 1]); 5]);
}

#[test]
fn boot_flags_are_read_as_written_and_invalid_ones_do_not_count() {
    let get = async |dialog: Dialog| dialog.boot_flags().await;
    let all = BootOptions {
        persistent: true,
        efi: true,
        clear_cmos: true,
        lock_keyboard: true,
        blank_screen: true,
        lock_reset_button: true,
        lock_power_button: true,
        lock_sleep_button: true,
        verbosity: 2,
        progress_traps: true,
        bypass_user_password: true,
        console_redirection: ConsoleRedirection::Request,
        shared_mode_override: true,
        mux_override: 5,
        device_instance: 17,
        keep_valid: false,
    };
    for device in (0..16).map(BootDevice::from_number) {
        let set = async |dialog: Dialog| dialog.set_boot(device, all).await;
        let (_, asked) = once(set, &[]);
        let written = asked.iter().find(|(_, _, data)| data[0] == 5).expect("written");
        let data = [&[1, 5], &written.2[1..]].concat();
        let expected = BootFlags { valid: true, device, options: all };
        assert_eq!(once(get, &data).0, Ok(expected));
        let marked = [&[1, 0x85], &written.2[1..]].concat();
        assert_eq!(once(get, &marked).0, Ok(BootFlags::default()));
    }
    let bad = BootOptions { verbosity: 4, ..BootOptions::default() };
    let set = async |dialog: Dialog| dialog.set_boot(BootDevice::None, bad).await;
    let (result, asked) = once(set, &[]);
    assert_eq!((kind_of(result), asked.len()), (Some(ErrorKind::Misuse), 0));
    assert_eq!(kind_of(once(get, &[1, 5, 0]).0), Some(ErrorKind::PeerMisbehaved));
}

#[test]
fn small_things_of_the_chassis_are_read() {
    let cause = async |dialog: Dialog| dialog.restart_cause().await;
    assert_eq!(once(cause, &[0x04, 0x01]).0, Ok((RestartCause::Watchdog, 1)));
    assert_eq!(once(cause, &[0x0e]).0, Ok((RestartCause::Other(14), 0)));
    let time = async |dialog: Dialog| dialog.power_on_time().await;
    assert_eq!(once(time, &[60, 2, 0, 0, 0]).0, Ok(Duration::from_secs(7200)));
}

#[test]
fn a_dialog_elsewhere_sends_everything_there() {
    let target = Target::behind(6, 0x2c);
    let mut targets = Vec::new();
    let there = async |dialog: Dialog| {
        let there = dialog.at(target);
        let _ = there.chassis_status().await;
        there.raw(6, 2, 1, &[]).await?;
        dialog.raw(6, 0, 1, &[]).await
    };
    let result = play(there, |request| {
        targets.push(request.target);
        reply(0, &[])
    });
    assert!(result.is_ok());
    assert_eq!(targets, [target, target.lun(2), Target::BMC]);
    for (target, cmd) in [(target, 0x34), (Target::behind(16, 0x2c), 1), (Target::behind(0, 3), 1)]
    {
        let wrong = async |dialog: Dialog| dialog.at(target).raw(6, 0, cmd, &[]).await;
        let (result, asked) = once(wrong, &[]);
        assert_eq!((kind_of(result), asked.len()), (Some(ErrorKind::Misuse), 0));
    }
}

#[test]
fn a_message_that_met_a_busy_bus_is_sent_again_and_one_to_nobody_is_not() {
    for (code, times) in [(0x81, 10), (0xc0, 10), (0x83, 1), (0x82, 1)] {
        let mut asked = 0;
        let there = async |dialog: Dialog| dialog.at(Target::behind(0, 0x72)).device_id().await;
        let result = play(there, |_| {
            asked += 1;
            let code = CompletionCode(code);
            Err(Failure::by_completion(Cause::NotBridged, Stage::Active, code).into())
        });
        assert_eq!((code_of(result), asked), (Some(code), times));
    }
}
