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
