//! Seeded randomness and the mutations made with it.

use std::ops::Range;

/// The splitmix64 generator: the same numbers for the same seed, on every machine.
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..below`; 0 when `below` is 0.
    pub fn below(&mut self, below: usize) -> usize {
        self.next().checked_rem(below as u64).unwrap_or(0) as usize
    }

    pub fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    fn range(&mut self, len: usize) -> Range<usize> {
        let start = self.below(len + 1);
        start..start + self.below(len - start + 1)
    }
}

/// The seed of a test: `BMCLINK_SEED`, or the one that every run without it uses.
pub fn seed() -> u64 {
    match std::env::var("BMCLINK_SEED") {
        Ok(seed) => seed.parse().expect("BMCLINK_SEED is a decimal number"),
        Err(_) => 623,
    }
}

/// Offsets where one layout or another keeps a length: v1.5 and RMCP+ headers, RAKP 1, ASF.
const LENGTH_OFFSETS: [usize; 7] = [3, 7, 9, 13, 14, 27, 29];

/// Longer than any datagram a decoder has to look at.
const LEN_MAX: usize = 2100;

/// One of `originals`, changed one to three times, or now and then nothing but random bytes.
pub fn mutant(random: &mut SplitMix64, originals: &[Vec<u8>]) -> Vec<u8> {
    if random.below(40) == 0 {
        let len = random.below(120);
        return random.bytes(len);
    }
    let mut bytes = originals[random.below(originals.len())].clone();
    for _ in 0..=random.below(3) {
        change(random, originals, &mut bytes);
    }
    bytes.truncate(LEN_MAX);
    bytes
}

fn change(random: &mut SplitMix64, originals: &[Vec<u8>], bytes: &mut Vec<u8>) {
    let len = bytes.len();
    let at = random.below(len);
    match random.below(10) {
        0..=3 if len > 0 => bytes[at] ^= 1 << random.below(8),
        4 if len > 0 => bytes[at] = random.byte(),
        5 | 6 => edit_length(random, bytes),
        7 => bytes.truncate(at),
        8 => {
            // The front of one and the back of another.
            let other = &originals[random.below(originals.len())];
            bytes.truncate(at);
            bytes.extend_from_slice(&other[random.below(other.len())..]);
        }
        _ => match random.below(3) {
            0 => {
                let more = random.below(40);
                bytes.extend(random.bytes(more));
            }
            1 => drop(bytes.drain(random.range(len))),
            _ => {
                let again = bytes[random.range(len)].to_vec();
                bytes.splice(at..at, again);
            }
        },
    }
}

/// Writes a likely-to-hurt number over a length field, or over any one or two bytes.
fn edit_length(random: &mut SplitMix64, bytes: &mut [u8]) {
    let len = bytes.len();
    let at = match random.below(3) {
        0 => random.below(len),
        1 => len.saturating_sub(2 + random.below(20)),
        _ => LENGTH_OFFSETS[random.below(LENGTH_OFFSETS.len())],
    };
    let rest = len.saturating_sub(at);
    let numbers = [0, 1, rest, rest.wrapping_sub(1), rest + 1, len, 0x7f, 0x80, 0xff, 0xffff];
    let number = numbers[random.below(numbers.len())] as u16;
    let width = 1 + random.below(2);
    for (field, byte) in bytes.iter_mut().skip(at).take(width).zip(number.to_le_bytes()) {
        *field = byte;
    }
}
