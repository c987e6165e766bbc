//! P21: there is no wall clock. A program that is stopped for an hour loses its sessions at most
//! once, and makes up for nothing.

use bmclink::session::{Cause, Event, Failure, SolEvent, Stage};
use bmclink::sim::Profile;

use crate::pair::{PROFILES, Pair, Setup, bmc_address, millis, request, secs};

const APP: u8 = 0x06;

/// Every file of the pure layers, and what a clock would be called there.
#[test]
fn no_clock_is_read() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let mut files = Vec::new();
    let mut folders: Vec<std::path::PathBuf> = ["session", "wire", "crypto"]
        .iter()
        .map(|layer| format!("{root}/{layer}").into())
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 20);
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a source file");
        let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for clock in ["SystemTime", "UNIX_EPOCH"] {
            assert!(!shipped.contains(clock), "{}: {clock}", path.display());
        }
        let tests = path.components().any(|part| part.as_os_str() == "tests");
        assert!(tests || !shipped.contains("Instant::now"), "{}", path.display());
    }
}

/// Time passes without anybody being called: the program is stopped, the network is not.
fn stop_for(pair: &mut Pair, hours: u64) {
    pair.settle();
    pair.now += secs(3600 * hours);
    pair.bmc.handle_timeout(pair.now);
    while pair.net.poll(pair.now).is_some() {}
    while pair.bmc.poll_transmit().is_some() {}
}

fn lost(pair: &Pair) -> usize {
    pair.events.iter().filter(|(_, event)| matches!(event, Event::Closed(_))).count()
}

#[test]
fn an_idle_session_is_lost_once_and_soon() {
    for profile in PROFILES {
        for console in [false, true] {
            let mut pair = Setup::new(profile, 1).start();
            pair.log_in().unwrap();
            if console {
                pair.connect().unwrap();
            }
            stop_for(&mut pair, 1);
            let (sent, begun) = (pair.session.counters().sent, pair.elapsed());
            pair.session.handle_timeout(pair.now);
            pair.settle();
            assert!(pair.session.counters().sent - sent <= 2, "{profile:?}: a burst");
            pair.run_until(secs(100), |pair| pair.session.is_closed());
            pair.settle();
            assert_eq!(lost(&pair), 1, "{profile:?}");
            assert_eq!(pair.closed(), Some(Failure::new(Cause::Lost, Stage::Active)));
            assert!(pair.elapsed() - begun <= secs(10), "{profile:?}");
            assert!(pair.session.counters().sent - sent <= 25, "{profile:?}");
            let ends = pair.sol_events();
            let ends = ends.iter().filter(|event| matches!(event, SolEvent::Ended(_))).count();
            assert_eq!(ends, usize::from(console));
        }
    }
}

/// With everything under way that has a timer.
#[test]
fn nothing_is_sent_in_bursts_after_a_stop() {
    for late_packet in [false, true] {
        let mut setup = Setup::new(Profile::Spec, 2);
        setup.config.request_window = 8;
        let mut pair = setup.start();
        pair.connect().unwrap();
        pair.net.set_reachable(bmc_address(), false);
        for token in 0..20 {
            let mut wanted = request(token, APP, 0x01, &[]);
            wanted.deadline = (token % 2 == 0).then(|| pair.now + secs(30 + token));
            pair.session.submit(wanted);
        }
        pair.typing.extend([b'x'; 500]);
        pair.run_for(millis(700));
        stop_for(&mut pair, 1);
        let sent = pair.session.counters().sent;
        if late_packet {
            let _ = pair.session.handle_datagram(pair.now, &mut [6, 0, 0xff, 7, 6]);
            pair.settle();
        }
        pair.session.handle_timeout(pair.now);
        pair.settle();
        let burst = pair.session.counters().sent - sent;
        assert!(burst <= 12, "{burst} packets at once");
        pair.run_for(secs(100));
        assert_eq!(lost(&pair), 1);
        for token in 0..20 {
            let cause = pair.reply(token).expect("an end").unwrap_err().cause;
            assert!([Cause::TimedOut, Cause::Lost].contains(&cause), "{token}: {cause:?}");
        }
    }
}

#[test]
fn a_login_goes_on_after_a_stop() {
    for profile in PROFILES {
        for steps in 0..12 {
            let mut pair = Setup::new(profile, 3).start();
            for _ in 0..steps {
                pair.step(pair.now + secs(1));
            }
            if pair.session.is_active() {
                break;
            }
            stop_for(&mut pair, 1);
            let sent = pair.session.counters().sent;
            pair.session.handle_timeout(pair.now);
            pair.settle();
            // A lost session is closed, too.
            assert!(pair.session.counters().sent - sent <= 2, "{profile:?} after {steps}");
            let result = pair.log_in();
            assert_eq!(result, Ok(()), "{profile:?} after {steps}");
        }
    }
}

/// Called twice for the same time, or with a time of before: a clock that stands still.
#[test]
fn time_that_stands_still_does_nothing() {
    let mut pair = Setup::new(Profile::Spec, 4).start();
    pair.connect().unwrap();
    pair.settle();
    let (sent, events) = (pair.session.counters().sent, pair.events.len());
    for back in 0..1000 {
        let at = pair.now - millis(back % 50);
        pair.session.handle_timeout(at);
        let _ = pair.session.handle_datagram(at, &mut [6, 0, 0xff, 7]);
        pair.settle();
    }
    assert_eq!((pair.session.counters().sent, pair.events.len()), (sent, events));
    pair.host_echoes = true;
    pair.typing.extend(b"still");
    pair.run_for(secs(1));
    assert_eq!(pair.received, b"still");
}

/// A BMC that comes back after a stop shorter than its patience finds the session alive.
#[test]
fn a_short_stop_is_not_noticed() {
    for profile in PROFILES {
        let mut pair = Setup::new(profile, 5).start();
        pair.connect().unwrap();
        pair.run_for(secs(1));
        pair.settle();
        pair.now += secs(20);
        pair.session.handle_timeout(pair.now);
        pair.run_for(secs(120));
        assert!(pair.session.is_active() && pair.session.sol_is_active(), "{profile:?}");
    }
}
