//! Payload types (Table 13-16).

/// What a packet in an RMCP+ wrapper carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadType {
    /// An IPMI LAN message.
    Ipmi,
    /// Serial over LAN.
    Sol,
    /// OEM explicit: the header names a manufacturer and a payload of its own.
    OemExplicit,
    /// RMCP+ Open Session Request.
    OpenSessionRequest,
    /// RMCP+ Open Session Response.
    OpenSessionResponse,
    /// RAKP Message 1.
    Rakp1,
    /// RAKP Message 2.
    Rakp2,
    /// RAKP Message 3.
    Rakp3,
    /// RAKP Message 4.
    Rakp4,
    /// Any other number, 6 bits.
    Other(u8),
}

impl PayloadType {
    /// The type of a 6-bit number.
    pub fn from_number(number: u8) -> Self {
        match number & 0x3f {
            0x00 => Self::Ipmi,
            0x01 => Self::Sol,
            0x02 => Self::OemExplicit,
            0x10 => Self::OpenSessionRequest,
            0x11 => Self::OpenSessionResponse,
            0x12 => Self::Rakp1,
            0x13 => Self::Rakp2,
            0x14 => Self::Rakp3,
            0x15 => Self::Rakp4,
            other => Self::Other(other),
        }
    }

    /// The 6-bit number of this type.
    pub fn number(self) -> u8 {
        match self {
            Self::Ipmi => 0x00,
            Self::Sol => 0x01,
            Self::OemExplicit => 0x02,
            Self::OpenSessionRequest => 0x10,
            Self::OpenSessionResponse => 0x11,
            Self::Rakp1 => 0x12,
            Self::Rakp2 => 0x13,
            Self::Rakp3 => 0x14,
            Self::Rakp4 => 0x15,
            Self::Other(number) => number & 0x3f,
        }
    }

    /// Whether packets of this type set a session up and so stand outside of one.
    pub fn is_session_setup(self) -> bool {
        (0x10..=0x1f).contains(&self.number())
    }
}
