//! Vendor workarounds: one named flag each, set for one BMC.
//!
//! Most deviations are seen and lived with unasked; their names are accepted and change
//! nothing, so that lists written for other tools work. The rest must be asked for.

use std::fmt;
use std::str::FromStr;

macro_rules! quirks {
    ($($(#[$doc:meta])* $variant:ident = $bit:literal, $name:literal;)*) => {
        /// A deviation of real BMCs. Names follow the `-W` flags of FreeIPMI where one exists.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Quirk { $($(#[$doc])* $variant = $bit,)* }

        impl Quirk {
            /// Every quirk, in the order of the documentation.
            pub const ALL: &[Quirk] = &[$(Quirk::$variant,)*];

            /// The quirk's stable name.
            pub fn name(self) -> &'static str {
                match self { $(Quirk::$variant => $name,)* }
            }
        }
    };
}

quirks! {
    /// User name and K_g flags of the capability response are wrong (Asus P5M2, Intel SR1520ML,
    /// Sun Fire 2200). Always on: those flags never stop a login.
    AuthCap = 0, "authcap";
    /// Open Session has to ask for the wanted level (Sun ILOM, Supermicro X8DTH, Dell C5220).
    /// Found out unasked by a second try; set it to save the first one.
    OpenSessPriv = 1, "opensesspriv";
    /// Intel SE7520AF2 and relatives: padded user name, its own RAKP 3 and 4 hashes, and SOL
    /// acknowledges of 0 characters that mean "all".
    Intel20 = 2, "intel20";
    /// Intel 82571 network controllers with their own RMCP+: no commands but the login, RAKP 1
    /// of 44 bytes, bit 4 of the role left out of the hashes.
    I82571Spt = 3, "i82571spt";
    /// RAKP 2 code one byte too long (Supermicro H8QME). Always on.
    Supermicro20 = 4, "supermicro20";
    /// RAKP 2 code one byte too long, untagged cipher suite records (Sun ILOM). Always on.
    Sun20 = 5, "sun20";
    /// Cipher suite 0 sends an integrity check value (Supermicro X8DTG). Always on.
    IntegrityCheckValue = 6, "integritycheckvalue";
    /// Wrong checksums of LAN messages (Supermicro X9SCM-iiF). Always on inside authenticated
    /// packets; set it to save a second, or to log in without integrity or with v1.5.
    NoChecksumCheck = 7, "nochecksumcheck";
    /// RAKP 2 status 0Dh at Administrator although the name is right: try Operator, then User.
    PrivFallback = 8, "privfallback";
    /// Integrity pad counted without the two bytes behind it (ICTS conformance suite reading).
    Icts = 9, "icts";
    /// v1.5 responses carry session ID 0 (Tyan S2882 with M3289).
    IdZero = 10, "idzero";
    /// AuthCodes in v1.5 although per-message authentication is off (Dell PE2850). Always on.
    UnexpectedAuth = 11, "unexpectedauth";
    /// v1.5 packets without AuthCode are ignored (IBM eServer 325). Always on.
    ForcePerMsg = 12, "forcepermsg";
    /// v1.5 session sequence numbers arrive byte-swapped (Sun ILOM 1.0 and 2.0).
    EndianSeq = 13, "endianseq";
    /// v1.5 AuthCodes of responses are wrong (Xyratex HB-F8-SRAY). Weakens authentication.
    NoAuthCodeCheck = 14, "noauthcodecheck";
    /// v1.5 AuthType OEM of old Supermicro and Quanta boards.
    OemAuth = 15, "oemauth";
    /// SOL payload sizes out of range (Asus P5M2, Supermicro X8DTH). Always on.
    SolPayloadSize = 16, "solpayloadsize";
    /// SOL port wrong or byte-swapped (Asus P5MT-R). Always on: the session port is kept.
    SolPort = 17, "solport";
    /// Get Payload Activation Status fails (Supermicro X8SIL-F). Always on: it is not needed.
    SolStatus = 18, "solstatus";
    /// Get Channel Payload Support fails (Sun 4100). Always on: it is not sent.
    SolChannelSupport = 19, "solchannelsupport";
    /// SOL works only with serial alerts deferred (Intel Windmill, Quanta Winterfell).
    SerialAlertsDeferred = 20, "serialalertsdeferred";
    /// After a lost acknowledge repeats are ignored (Windmill class, OpenBMC). Always on.
    SolPacketSeq = 21, "solpacketseq";
    /// A SOL acknowledge of 0 characters means "all accepted" (some Intel boards).
    SolAckZero = 22, "solackzero";
    /// SOL is cut after some time without input: send an empty packet every 30 s.
    SerialKeepaliveEmpty = 23, "serialkeepaliveempty";
    /// SOL goes mute unless characters arrive: send a NUL, which reaches the host, every 30 s.
    SerialKeepalive = 24, "serialkeepalive";
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no quirk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownQuirk(pub String);

impl fmt::Display for UnknownQuirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no quirk is called {:?}; known are", self.0)?;
        Quirk::ALL.iter().try_for_each(|quirk| write!(f, " {quirk}"))
    }
}

impl std::error::Error for UnknownQuirk {}

impl FromStr for Quirk {
    type Err = UnknownQuirk;

    fn from_str(name: &str) -> Result<Self, UnknownQuirk> {
        match name {
            // ipmitool's names of the same things.
            "intelplus" => return Ok(Quirk::Intel20),
            "supermicro" | "quanta" => return Ok(Quirk::OemAuth),
            _ => {}
        }
        let found = Quirk::ALL.iter().find(|quirk| quirk.name() == name);
        found.copied().ok_or_else(|| UnknownQuirk(name.into()))
    }
}

/// A set of quirks.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Quirks(u32);

impl Quirks {
    /// None.
    pub const NONE: Quirks = Quirks(0);

    /// Adds one.
    pub fn insert(&mut self, quirk: Quirk) {
        self.0 |= 1 << quirk as u8;
    }

    /// This set and one more.
    pub fn with(mut self, quirk: Quirk) -> Self {
        self.insert(quirk);
        self
    }

    /// Whether one is set.
    pub fn has(self, quirk: Quirk) -> bool {
        self.0 >> quirk as u8 & 1 != 0
    }
}

impl fmt::Debug for Quirks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Quirk::ALL.iter().filter(|quirk| self.has(**quirk))).finish()
    }
}

impl FromIterator<Quirk> for Quirks {
    fn from_iter<I: IntoIterator<Item = Quirk>>(quirks: I) -> Self {
        quirks.into_iter().fold(Quirks::NONE, Quirks::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse() {
        for quirk in Quirk::ALL {
            assert_eq!(quirk.name().parse(), Ok(*quirk));
            assert!(Quirks::NONE.with(*quirk).has(*quirk));
        }
        assert!("nosuch".parse::<Quirk>().is_err());
    }
}
