//! Every decoder and every cipher suite meets damaged input: no panic, nothing forged gets in.
//!
//! A failure names the seed; `BMCLINK_SEED` sets another one.

mod codec;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bmclink::wire::cipher_suite::CipherSuiteId;
use bmclink::wire::rmcpplus;

use codec::cipher;
use codec::corpus::Corpus;
use codec::decoders::{DECODERS, Decoder};
use codec::random::{SplitMix64, mutant, seed};
use codec::vectors::hex;

const MUTANTS: usize = 100_000;

/// Runs one check; should it panic, says on what and how to see it again.
fn guarded(name: &str, seed: u64, input: &[u8], check: impl FnOnce() -> bool) -> bool {
    catch_unwind(AssertUnwindSafe(check))
        .unwrap_or_else(|_| panic!("{name} failed on {} (seed {seed})", hex(input)))
}

fn check(decoder: &Decoder, seed: u64, input: &[u8]) -> bool {
    guarded(decoder.name, seed, input, || (decoder.check)(input))
}

#[test]
fn every_decoder_survives_every_truncation_of_every_vector() {
    let corpus = Corpus::of_all_vectors();
    let mut inputs = 0;
    for (name, originals) in corpus.iter().filter(|(name, _)| *name != "session_cipher") {
        assert!(DECODERS.iter().any(|decoder| decoder.corpus == name), "nobody reads {name}");
        for original in originals {
            inputs += 1;
            for len in 0..=original.len() {
                for decoder in &DECODERS {
                    check(decoder, 0, &original[..len]);
                }
            }
        }
    }
    // That many different datagrams, blocks and payloads are in the vectors.
    assert_eq!(inputs, 3_899);
}

#[test]
fn every_decoder_takes_its_own_vectors() {
    let corpus = Corpus::of_all_vectors();
    for decoder in &DECODERS {
        let inputs = corpus.inputs(decoder.corpus);
        let taken = inputs.iter().filter(|input| check(decoder, 0, input)).count();
        assert!(taken > 0, "{} takes none of {} vectors", decoder.name, inputs.len());
    }
}

#[test]
fn every_decoder_survives_mutations() {
    let corpus = Corpus::of_all_vectors();
    let seed = seed();
    for (number, decoder) in DECODERS.iter().enumerate() {
        let originals = corpus.inputs(decoder.corpus);
        let mut random = SplitMix64(seed + number as u64);
        let mut taken = 0;
        for _ in 0..MUTANTS {
            let input = mutant(&mut random, &originals);
            taken += usize::from(check(decoder, seed, &input));
        }
        // Refusing everything, or nothing, would prove little.
        println!("{}: took {taken} of {MUTANTS}", decoder.name);
        assert!((1_000..MUTANTS).contains(&taken), "{}: took {taken}", decoder.name);
    }
}

#[test]
fn no_cipher_suite_lets_a_mutation_in() {
    let seed = seed();
    for (number, suite) in CipherSuiteId::IMPLEMENTED.into_iter().enumerate() {
        let cipher = cipher::cipher(suite);
        let originals = cipher::packets(suite);
        // The RMCP header is outside of what an AuthCode covers.
        let covered = |packet: &[u8]| packet.get(rmcpplus::FORMAT_OFFSET..).map(<[u8]>::to_vec);
        let genuine: HashSet<_> = originals.iter().map(|packet| covered(packet)).collect();
        let protects = cipher.algorithms().integrity.auth_code_len() > 0;
        let mut random = SplitMix64(seed + 1_000 + number as u64);
        let (mut forged, mut intact) = (0, 0);
        for _ in 0..MUTANTS {
            let input = mutant(&mut random, &originals);
            let let_in = guarded("session cipher", seed, &input, || {
                cipher::decrypt_unverified(&cipher, &input);
                cipher::open(&cipher, &input, true).is_some()
            });
            if let_in && genuine.contains(&covered(&input)) {
                intact += 1;
            } else if let_in {
                assert!(!protects, "suite {suite} let {} in (seed {seed})", hex(&input));
                forged += 1;
            }
        }
        println!("suite {suite}: {intact} intact, {forged} changed ones let in");
        assert!(intact > 0, "suite {suite}: no mutation left a packet whole");
        // Suites without integrity cannot know; the others must.
        assert_eq!(forged > 0, !protects, "suite {suite}");
    }
}

#[test]
fn no_cipher_suite_lets_a_truncation_in() {
    for suite in CipherSuiteId::IMPLEMENTED {
        let cipher = cipher::cipher(suite);
        for packet in cipher::packets(suite) {
            for len in 0..packet.len() {
                cipher::decrypt_unverified(&cipher, &packet[..len]);
                assert_eq!(cipher::open(&cipher, &packet[..len], true), None, "{suite}: {len}");
            }
        }
    }
}

#[test]
fn every_suite_seals_what_it_opens() {
    let seed = seed();
    let corpus = Corpus::of_all_vectors();
    let originals = corpus.inputs("session_cipher");
    let mut random = SplitMix64(seed + 2_000);
    for _ in 0..MUTANTS {
        let input = mutant(&mut random, &originals);
        guarded("session cipher", seed, &input, || cipher::session_cipher(&input));
    }
    let opened = originals.iter().filter(|input| cipher::session_cipher(input)).count();
    assert_eq!(opened, originals.len());
}
