//! The SOL payload (§15.9, Table 15-2).

use super::{DecodeError, Reader};

/// Length of the header before the characters.
pub const HEADER_LEN: usize = 4;
/// The most characters one packet can carry: the accepted count is one byte.
pub const CHARACTERS_MAX: usize = 255;

/// Bits of the operation byte, remote console to BMC.
pub mod operation {
    /// The packet named in byte 1 was not (wholly) accepted; stop sending.
    pub const NACK: u8 = 1 << 6;
    /// Assert RI.
    pub const RING_WAKE_ON_RING: u8 = 1 << 5;
    /// Generate a break.
    pub const GENERATE_BREAK: u8 = 1 << 4;
    /// Deassert CTS to the baseboard.
    pub const CTS_PAUSE: u8 = 1 << 3;
    /// Deassert DCD and DSR to the baseboard.
    pub const DEASSERT_DCD_DSR: u8 = 1 << 2;
    /// Drop what the BMC holds for the host.
    pub const FLUSH_INBOUND: u8 = 1 << 1;
    /// Drop what the BMC holds for the console.
    pub const FLUSH_OUTBOUND: u8 = 1 << 0;
}

/// Bits of the status byte, BMC to remote console.
pub mod status {
    /// The packet named in byte 1 was not (wholly) accepted; stop sending.
    pub const NACK: u8 = 1 << 6;
    /// Host off, asleep, in reset, or its serial port is not connected.
    pub const CHARACTER_TRANSFER_UNAVAILABLE: u8 = 1 << 5;
    /// SOL is deactivated or about to be.
    pub const SOL_DEACTIVATING: u8 = 1 << 4;
    /// Characters were lost since the last packet.
    pub const TRANSMIT_OVERRUN: u8 = 1 << 3;
    /// The host sent a break.
    pub const BREAK_DETECTED: u8 = 1 << 2;
}

/// A SOL packet sequence number: 1 to 15, 0 for "no characters, no acknowledge wanted".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SolSequence(u8);

impl SolSequence {
    /// The number of packets that carry only an acknowledge.
    pub const NONE: SolSequence = SolSequence(0);

    /// The number's low four bits.
    pub fn new(number: u8) -> Self {
        SolSequence(number & 0x0f)
    }

    /// The number, 0 to 15.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Whether this names no packet.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The number after this one: 15 and 0 are followed by 1.
    pub fn next(self) -> Self {
        SolSequence(self.0 % 15 + 1)
    }

    /// How many steps `self` is behind `newer`, 0 to 14. Both must name packets.
    pub fn behind(self, newer: SolSequence) -> u8 {
        (newer.0 + 15 - self.0) % 15
    }
}

/// A SOL payload, either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Offset 0 bits 3:0.
    pub sequence: SolSequence,
    /// Offset 1 bits 3:0: the packet that is acknowledged.
    pub ack_sequence: SolSequence,
    /// Offset 2: how many characters of that packet were accepted.
    pub accepted_character_count: u8,
    /// Offset 3: [`operation`] to the BMC, [`status`] from it.
    pub operation_status: u8,
    /// Offset 4: the characters.
    pub characters: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a SOL payload. Any number of characters is taken: one BMC stack sends 256.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new("SOL payload", payload);
        let [sequence, ack_sequence, accepted_character_count, operation_status] = r.array()?;
        Ok(Packet {
            sequence: SolSequence::new(sequence),
            ack_sequence: SolSequence::new(ack_sequence),
            accepted_character_count,
            operation_status,
            characters: r.rest(),
        })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[
            self.sequence.number(),
            self.ack_sequence.number(),
            self.accepted_character_count,
            self.operation_status,
        ]);
        out.extend_from_slice(self.characters);
    }
}
