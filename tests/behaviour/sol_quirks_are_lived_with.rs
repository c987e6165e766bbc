//! The SOL rows of the list of deviations: what needs a quirk fails without it and works with
//! it, and what does not works.

use std::time::Duration;

use bmclink::session::{Cause, Quirk, SolConfig, SolEvent};
use bmclink::sim::{Profile, SolSizes};

use crate::pair::{Pair, Setup, assert_same, cause, millis, pattern, secs};
use crate::seeds::for_seeds;

fn activated(pair: &Pair) -> (usize, Option<u16>) {
    let found = pair.marks.iter().find_map(|(_, event)| match event {
        SolEvent::Activated { characters_max, other_port } => Some((*characters_max, *other_port)),
        _ => None,
    });
    found.expect("SOL was activated")
}

fn paste(pair: &mut Pair, len: usize) {
    let typed = pattern(len, pair.seed);
    pair.typing.extend(&typed);
    pair.run_until(secs(5000), |pair| {
        pair.host_received.len() >= len && pair.session.sol_pending() == 0
    });
    pair.run_for(secs(5));
    assert_same(pair.seed, "typed", &pair.host_received, &typed);
}

/// D4.
#[test]
fn solpayloadsize_is_understood_or_replaced() {
    let sizes = |inbound, swapped| SolSizes { inbound, outbound: inbound, swapped };
    let cases = [
        (sizes(64, false), 60),
        (sizes(5, false), 1),
        (sizes(255, false), 251),
        (sizes(259, false), 255),
        (sizes(64, true), 60),
        (sizes(255, true), 251),
        (sizes(0, false), 32),
        // What pyghmi says, and means as 256.
        (sizes(1, false), 252),
        (sizes(4, false), 32),
        // 4 swapped, which is no size either.
        (sizes(1024, false), 32),
        (sizes(0xffff, false), 32),
    ];
    for (sizes, expected) in cases {
        let mut setup = Setup::new(Profile::Spec, 1);
        setup.bmc.quirks.solpayloadsize = Some(sizes);
        let mut pair = setup.start();
        pair.connect().unwrap();
        assert_eq!(activated(&pair).0, expected, "{sizes:?}");
        paste(&mut pair, 2000);
        assert_eq!(pair.bmc.counters().sol_oversize_in, 0, "{sizes:?}");
        let packets = pair.bmc.counters().sol_in;
        assert!(packets <= 2000_u64.div_ceil(expected as u64) + 8, "{sizes:?}: {packets}");
    }
}

#[test]
fn solport_is_named_and_not_followed() {
    for (port, expected) in
        [(623, None), (0x6f02, None), (0, None), (664, Some(664)), (5555, Some(5555))]
    {
        let mut setup = Setup::new(Profile::Spec, 1);
        setup.bmc.quirks.solport = Some(port);
        let mut pair = setup.start();
        pair.connect().unwrap();
        assert_eq!(activated(&pair).1, expected, "{port}");
        paste(&mut pair, 100);
    }
    // Behind a port forward, and at a BMC that swaps it.
    for port in [16623, 16623_u16.swap_bytes()] {
        let mut setup = Setup::new(Profile::Spec, 1);
        setup.bmc.quirks.solport = Some(port);
        let mut pair = setup.start();
        pair.connect_with(SolConfig { session_port: 16623, ..SolConfig::default() }).unwrap();
        assert_eq!(activated(&pair).1, None);
    }
}

#[test]
fn serialalertsdeferred_has_to_be_asked_for() {
    for with in [false, true] {
        let mut setup = Setup::new(Profile::Spec, 1);
        setup.bmc.quirks.serialalertsdeferred = true;
        if with {
            setup.config.quirks = setup.config.quirks.with(Quirk::SerialAlertsDeferred);
        }
        let mut pair = setup.start();
        let result = cause(pair.connect());
        assert_eq!(result, (!with).then_some(Cause::SolInUse));
        if with {
            paste(&mut pair, 1000);
        }
    }
}

#[test]
fn i82571spt_activates_in_its_own_way() {
    let mut setup = Setup::new(Profile::Spec, 1).suites(&[3]);
    setup.bmc.quirks.i82571spt = true;
    setup.config.quirks = setup.config.quirks.with(Quirk::I82571Spt);
    let mut pair = setup.start();
    // That stack encrypts nothing of SOL unless asked to, and the session allows it so.
    pair.connect().unwrap();
    paste(&mut pair, 1000);
}

#[test]
fn solackzero_needs_to_be_known() {
    for loss in [0.0, 0.2] {
        for_seeds(loss, 20, |seed| {
            let mut setup = Setup::new(Profile::Spec, seed);
            setup.bmc.quirks.solackzero = true;
            let mut pair = setup.start();
            let config = SolConfig { ack_zero_means_all: true, ..SolConfig::default() };
            pair.connect_with(config).unwrap();
            if loss > 0.0 {
                pair.net.set_faults(Setup::new(Profile::Spec, seed).bad_line(loss).faults);
            }
            paste(&mut pair, 3000);
        });
    }
    // Without, what was taken is sent again.
    let mut setup = Setup::new(Profile::Spec, 1);
    setup.bmc.quirks.solackzero = true;
    let mut pair = setup.start();
    pair.connect().unwrap();
    pair.typing.extend(b"once");
    pair.run_for(secs(5));
    assert!(pair.host_received.len() > 4, "not failing, this needs no quirk");
}

#[test]
fn solpacketseq_is_found_out_on_the_way() {
    for profile in [Profile::Spec, Profile::GoIpmi, Profile::Pyghmi] {
        for_seeds(profile, 20, |seed| {
            let mut setup = Setup::new(profile, seed);
            setup.bmc.quirks.solpacketseq = true;
            let mut pair = setup.start();
            pair.connect().unwrap();
            pair.net.set_faults(Setup::new(profile, seed).bad_line(0.05).faults);
            let typed = pattern(3000, seed);
            pair.typing.extend(&typed);
            pair.run_until(secs(5000), |pair| pair.host_received.len() >= typed.len());
            pair.run_for(secs(30));
            assert_same(seed, &format!("{profile:?}"), &pair.host_received, &typed);
        });
    }
}

/// SOL cut after a time without input, which a BMC of `sim` does not do: so what counts is that
/// the packets come, and what the host sees of them.
#[test]
fn serialkeepalive_and_its_empty_sister_send_every_30_seconds() {
    for nul in [false, true] {
        let mut pair = Setup::new(Profile::Spec, 1).start();
        let config = SolConfig {
            keepalive: Some(Duration::from_secs(30)),
            keepalive_nul: nul,
            ..SolConfig::default()
        };
        pair.connect_with(config).unwrap();
        pair.typing.extend(b"x");
        pair.run_for(secs(1));
        let before = pair.bmc.counters().sol_in;
        pair.run_for(secs(301));
        let packets = pair.bmc.counters().sol_in - before;
        assert!((10..=11).contains(&packets), "{packets}");
        let zeros = pair.host_received[1..].iter().filter(|byte| **byte == 0).count();
        assert_eq!(pair.host_received.len(), 1 + zeros);
        assert_eq!(zeros, if nul { 10 } else { 0 });
    }
}

#[test]
fn without_keepalive_an_idle_console_sends_nothing() {
    let mut pair = Setup::new(Profile::Spec, 1).start();
    pair.connect().unwrap();
    pair.run_for(secs(600));
    assert_eq!(pair.bmc.counters().sol_in, 0);
}

#[test]
fn activate_needs_admin_is_met_by_raising_the_privilege() {
    let mut setup = Setup::new(Profile::Spec, 1);
    setup.bmc.quirks.activate_needs_admin = true;
    let mut pair = setup.start();
    pair.connect().unwrap();
    paste(&mut pair, 100);
}

#[test]
fn a_deactivation_that_is_not_answered_or_does_nothing_does_not_hang() {
    for (no_reply, ineffective) in [(true, false), (false, true)] {
        let mut setup = Setup::new(Profile::Spec, 1);
        setup.bmc.quirks.deactivate_no_reply = no_reply;
        setup.bmc.quirks.deactivate_ineffective = ineffective;
        let mut pair = setup.start();
        pair.connect().unwrap();
        pair.session.sol_close();
        let first = pair.events.len();
        assert!(pair.run_until(secs(3), |pair| pair.sol_ended_since(first).is_some()));
        assert!(pair.session.is_active());
        pair.marks.clear();
        let config =
            SolConfig { take_over: bmclink::session::TakeOver::Always, ..SolConfig::default() };
        let start = pair.now;
        let result = cause(pair.connect_with(config));
        assert!(pair.now < start + secs(20));
        // Where nothing was deactivated SOL is still this session's own.
        assert_eq!(result, None, "no reply {no_reply}");
        pair.run_for(millis(100));
        paste(&mut pair, 100);
    }
}

#[test]
fn only_the_owner_may_deactivate_is_sol_in_use() {
    let mut setup = Setup::new(Profile::Spec, 1);
    setup.bmc.quirks.deactivate_owner_only = true;
    let mut pair = setup.start();
    pair.connect().unwrap();
    pair.events.clear();
    pair.new_session(Default::default());
    let config =
        SolConfig { take_over: bmclink::session::TakeOver::Always, ..SolConfig::default() };
    assert_eq!(cause(pair.connect_with(config)), Some(Cause::SolInUse));
    assert!(pair.bmc.counters().deactivate_payload <= 4);
}
