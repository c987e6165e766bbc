//! Dialogs with answers made up by a test, on a clock of their own.

use std::pin::pin;
use std::time::{Duration, Instant};

use super::dialog::{Dialog, Turn};
use crate::crypto::Generator;
use crate::error::{ErrorKind, Result};
use crate::session::{Reply, Request};
use crate::wire::message::CompletionCode;

/// More requests than any test's dialog has a reason for.
const REQUESTS_MAX: usize = 70_000;

/// A response with this completion code and data.
pub(super) fn reply(completion_code: u8, data: &[u8]) -> Result<Reply> {
    let completion_code = CompletionCode(completion_code);
    Ok(Reply { completion_code, data: data.to_vec(), rtt: None })
}

/// Has a dialog whose requests `answer` answers, with an hour of time. A request takes a
/// millisecond; pauses take no time but the clock's.
pub(super) fn play<T>(
    function: impl AsyncFnOnce(Dialog) -> Result<T>,
    mut answer: impl FnMut(&Request) -> Result<Reply>,
) -> Result<T> {
    let mut now = Instant::now();
    let (dialog, driver) = Dialog::open(now, Some(now + Duration::from_secs(3600)));
    let mut running = pin!(function(dialog));
    for _ in 0..REQUESTS_MAX {
        match driver.turn(now, running.as_mut()) {
            Turn::Over(result) => return result,
            Turn::Pause(until) => now = until,
            Turn::Ask(request) => {
                now += Duration::from_millis(1);
                driver.answer(answer(&request));
            }
        }
    }
    panic!("more than {REQUESTS_MAX} requests");
}

/// Has the dialog again and again with answers that nobody should trust: codes and data by
/// chance, now and then mostly small numbers so that lengths are believable. What it gives does
/// not matter; that it comes to an end without a panic does.
pub(super) fn hostile<T>(rounds: u64, function: impl AsyncFn(Dialog) -> Result<T>) {
    let mut random = Generator::from_seed([11; 32]);
    for _ in 0..rounds {
        let small = random.below(3) == 0;
        let code_every = 1 + random.below(40);
        let _ = play(&function, |_| {
            if random.below(code_every) == 0 {
                const CODES: [u8; 12] =
                    [0xc0, 0xc3, 0xc5, 0xc7, 0xc9, 0xca, 0xcb, 0xcc, 0xd5, 0x80, 0x81, 0xff];
                return reply(CODES[random.below(12) as usize], &[]);
            }
            let mut data: [u8; 80] = random.array();
            if small {
                data.iter_mut().for_each(|byte| *byte &= 0x13);
            }
            let len = random.below(81) as usize;
            reply(0, &data[..len])
        });
    }
}

#[test]
fn a_busy_bmc_is_asked_again_and_one_that_stays_busy_has_its_say() {
    let mut left = 3;
    let id = [0x20, 1, 2, 3, 2, 0xbf, 0, 0, 0, 0, 0];
    let result = play(
        async |dialog| dialog.device_id().await,
        |_| {
            left -= 1;
            if left > 0 { reply(0xc0, &[]) } else { reply(0, &id) }
        },
    );
    assert_eq!(result.map(|id| id.device_id), Ok(0x20));
    assert_eq!(left, 0);

    let mut asked = 0;
    let result = play(
        async |dialog| dialog.device_id().await,
        |_| {
            asked += 1;
            reply(0xc0, &[])
        },
    );
    let code = result.err().and_then(|error| error.completion_code());
    assert_eq!((asked, code), (10, Some(CompletionCode::NODE_BUSY)));
}

#[test]
fn what_acts_is_not_sent_again_after_a_timeout_at_the_bmc() {
    use super::ChassisControl;
    let mut asked = 0;
    let cycle = async |dialog: Dialog| dialog.chassis_control(ChassisControl::PowerCycle).await;
    let result = play(cycle, |_| {
        asked += 1;
        reply(0xc3, &[])
    });
    assert!(result.is_err());
    assert_eq!(asked, 1);
}

#[test]
fn the_power_is_waited_for_and_not_for_ever() {
    let mut asked = 0;
    let wait = async |dialog: Dialog| dialog.wait_power(true, Duration::from_secs(30)).await;
    let result = play(wait, |_| {
        asked += 1;
        reply(0, &[u8::from(asked > 5), 0, 0])
    });
    assert_eq!((result, asked), (Ok(()), 6));
    let result = play(wait, |_| reply(0, &[0, 0, 0]));
    let error = result.expect_err("it stays off");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn a_dialog_waits_for_its_bmc_only_and_for_one_thing_at_a_time() {
    let result = play(async |_| std::future::pending::<Result<()>>().await, |_| reply(0, &[]));
    assert_eq!(result.err().map(|error| error.kind()), Some(ErrorKind::Misuse));
}

#[test]
fn hostile_answers_end() {
    hostile(2000, async |dialog| dialog.device_id().await);
    hostile(2000, async |dialog| dialog.chassis_status().await);
    hostile(2000, async |dialog| dialog.self_test().await);
    hostile(200, async |dialog| dialog.wait_power(true, Duration::from_secs(60)).await);
}
