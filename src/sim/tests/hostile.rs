//! Nothing that arrives can end the managed system.

use super::Console;
use crate::crypto::Generator;
use crate::sim::{BmcOptions, Misbehaviour, Profile};
use crate::wire::message::{Message, RqSeq};
use crate::wire::payload::PayloadType;

const ROUNDS: usize = 3000;

fn bytes(generator: &mut Generator, len_max: u64) -> Vec<u8> {
    let random: [u8; 64] = generator.array();
    let len = generator.below(len_max + 1) as usize;
    random[..len].to_vec()
}

#[test]
fn random_requests_are_survived() {
    for profile in Profile::ALL {
        let mut generator = Generator::from_seed([profile as u8; 32]);
        let mut console = Console::with_sol(profile);
        for _ in 0..ROUNDS {
            let [net_fn, cmd, rq_seq] = generator.array();
            let data = bytes(&mut generator, 24);
            // Not those that end the session.
            if net_fn % 14 == 6 && matches!(cmd, 0x02 | 0x3c) {
                continue;
            }
            let net_fn = (net_fn % 14) & !1;
            let mut message = Vec::new();
            Message::request(net_fn, 0, RqSeq::new(rq_seq), cmd % 0x60, &data).encode(&mut message);
            console.send(PayloadType::Ipmi, &message);
            console.inbox.clear();
        }
        assert!(console.bmc.counters().commands > 1000, "{profile}");
    }
}

#[test]
fn random_sol_packets_are_survived() {
    for profile in Profile::ALL {
        let mut generator = Generator::from_seed([profile as u8; 32]);
        let mut console = Console::with_sol(profile);
        for _ in 0..ROUNDS {
            let payload = bytes(&mut generator, 40);
            console.send(PayloadType::Sol, &payload);
            let output = bytes(&mut generator, 60);
            console.bmc.serial_output(console.now, &output);
            console.sleep(generator.below(40));
            console.inbox.clear();
            console.bmc.serial_input();
        }
        assert!(console.bmc.counters().sol_in > 1000, "{profile}");
    }
}

#[test]
fn random_datagrams_are_survived() {
    let mut quirks = Misbehaviour::default();
    for (round, profile) in Profile::ALL.into_iter().cycle().take(20).enumerate() {
        if let Some(name) = Misbehaviour::FLAGS.get(round) {
            quirks.enable(name);
        }
        let mut generator = Generator::from_seed([round as u8; 32]);
        let options = BmcOptions { profile, quirks, ..Default::default() };
        let mut console = Console::with(options, 17);
        for _ in 0..ROUNDS / 10 {
            let mut datagram = vec![6, 0, 0xff, 7];
            datagram.push(generator.number() as u8 % 8);
            if generator.below(2) == 0 {
                // A setup payload with a header that fits it.
                let payload = bytes(&mut generator, 64);
                datagram.truncate(4);
                datagram.extend_from_slice(&[6, 0x10 + generator.below(6) as u8]);
                datagram.extend_from_slice(&[0; 8]);
                datagram.extend_from_slice(&(payload.len() as u16).to_le_bytes());
                datagram.extend_from_slice(&payload);
            } else {
                datagram.extend_from_slice(&bytes(&mut generator, 64));
            }
            console.raw(&datagram);
        }
        assert_eq!(console.bmc.sessions(), 0);
    }
}

/// A command that looks like one: known functions, small numbers, sometimes over the bus.
fn management_request(generator: &mut Generator) -> (u8, u8, Vec<u8>) {
    let net_fn = [0x00, 0x04, 0x06, 0x0a, 0x0c, 0x2c][generator.below(6) as usize];
    let mut data = bytes(generator, 24);
    for byte in &mut data {
        *byte = if generator.below(4) == 0 { *byte } else { *byte % 9 };
    }
    let cmd = match net_fn {
        0x06 => [0x34, 0x41, 0x42, 0x44, 0x46, 0x4d, 0x56][generator.below(7) as usize],
        0x0a => [0x10, 0x20, 0x40][generator.below(3) as usize] + generator.below(10) as u8,
        0x04 => 0x20 + generator.below(16) as u8,
        _ => generator.below(11) as u8,
    };
    if net_fn == 0x2c {
        data.insert(0, 0xdc);
    }
    if (net_fn, cmd) == (0x06, 0x34) {
        let carried = [0x04, 0x06][generator.below(2) as usize];
        let inner_cmd = [0x01, 0x20, 0x21, 0x22, 0x2d, 0x34][generator.below(6) as usize];
        let mut inner = Message::request(carried, 0, RqSeq::new(1), inner_cmd, &data);
        inner.to_address = [0x20, 0x2c][generator.below(2) as usize];
        let mut message = vec![0x40];
        inner.encode(&mut message);
        data = message;
    }
    (net_fn, cmd, data)
}

#[test]
fn random_management_is_survived_with_every_knob() {
    let knobs = [&[""][..], Misbehaviour::FLAGS].concat();
    let mut tested = 0;
    for (round, knob) in knobs.iter().enumerate() {
        let mut quirks = Misbehaviour::default();
        quirks.enable(knob);
        // With these it takes another console to log in.
        if matches!(*knob, "opensesspriv" | "intel20" | "i82571spt" | "supermicro20" | "sun20") {
            continue;
        }
        let options = BmcOptions { quirks, sel_capacity: 20, ..Default::default() };
        let mut console = Console::with(options, 17);
        if console.login().is_err() || console.try_command(0x06, 0x3b, &[4]).is_none() {
            continue;
        }
        tested += 1;
        let mut generator = Generator::from_seed([round as u8; 32]);
        for _ in 0..ROUNDS / 4 {
            let (net_fn, cmd, data) = management_request(&mut generator);
            let mut message = Vec::new();
            let request = Message::request(net_fn, 0, RqSeq::new(1), cmd, &data);
            request.encode(&mut message);
            console.send(PayloadType::Ipmi, &message);
            console.sleep(generator.below(200));
            console.inbox.clear();
        }
        assert!(console.bmc.counters().commands > 700, "{knob}");
    }
    assert!(tested + 10 > knobs.len(), "{tested} of {}", knobs.len());
}
