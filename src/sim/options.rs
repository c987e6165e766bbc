//! What a simulated BMC is: users, keys, profile, and the knobs that make it misbehave.

use super::profile::Profile;

/// A user of a simulated BMC. Its position in [`BmcOptions::users`] plus 1 is its user ID.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// At most 16 bytes; empty for the null user.
    pub name: Vec<u8>,
    /// At most 20 bytes; v1.5 logins need at most 16.
    pub password: Vec<u8>,
    /// The limit: 1 callback, 2 user, 3 operator, 4 administrator, 15 no access.
    pub privilege: u8,
    /// Whether the user may log in.
    pub enabled: bool,
    /// Whether the user may activate SOL.
    pub sol: bool,
}

impl User {
    /// An enabled user with SOL access.
    pub fn new(name: &[u8], password: &[u8], privilege: u8) -> Self {
        User {
            name: name.to_vec(),
            password: password.to_vec(),
            privilege,
            enabled: true,
            sol: true,
        }
    }
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("name", &String::from_utf8_lossy(&self.name))
            .field("privilege", &self.privilege)
            .field("enabled", &self.enabled)
            .field("sol", &self.sol)
            .finish_non_exhaustive()
    }
}

/// What a simulated BMC is made from.
#[derive(Clone)]
pub struct BmcOptions {
    /// By user ID, from 1. The default: a disabled null user, `admin` with `password`,
    /// `operator` with `operator`, `user` with `user`.
    pub users: Vec<User>,
    /// K_g, at most 20 bytes; empty for none.
    pub k_g: Vec<u8>,
    /// The stack to behave like.
    pub profile: Profile,
    /// The cipher suites it takes; `None` for the profile's own.
    pub cipher_suites: Option<Vec<u8>>,
    /// GUID_C, as sent.
    pub guid: [u8; 16],
    /// Sessions at most, half-open ones included; 0 for the profile's own number.
    pub session_slots: usize,
    /// The UDP port it believes it listens on.
    pub port: u16,
    /// What it does wrong besides what its profile does.
    pub quirks: Misbehaviour,
}

impl Default for BmcOptions {
    fn default() -> Self {
        let null = User { enabled: false, sol: false, ..User::new(b"", b"", 2) };
        BmcOptions {
            users: vec![
                null,
                User::new(b"admin", b"password", 4),
                User::new(b"operator", b"operator", 3),
                User::new(b"user", b"user", 2),
            ],
            k_g: Vec::new(),
            profile: Profile::Spec,
            cipher_suites: None,
            guid: *b"bmclink-sim-0001",
            session_slots: 0,
            port: crate::wire::RMCP_PORT,
            quirks: Misbehaviour::default(),
        }
    }
}

impl std::fmt::Debug for BmcOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BmcOptions")
            .field("users", &self.users)
            .field("profile", &self.profile)
            .field("cipher_suites", &self.cipher_suites)
            .field("port", &self.port)
            .field("quirks", &self.quirks)
            .finish_non_exhaustive()
    }
}

/// Sizes an Activate Payload response announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SolSizes {
    /// Console to BMC, with the SOL header. Kept to unless `swapped` or outside 5 to 259.
    pub inbound: u16,
    /// BMC to console, with the SOL header. Kept to unless `swapped` or outside 5 to 259.
    pub outbound: u16,
    /// Whether both are sent most significant byte first.
    pub swapped: bool,
}

macro_rules! misbehaviour {
    ($($(#[$doc:meta])* $flag:ident,)* ; $($(#[$value_doc:meta])* $value:ident: $kind:ty,)*) => {
        /// What a simulated BMC does wrong. Nothing by default; each knob is what some real
        /// BMC does, and the client quirk of the same name lives with it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Misbehaviour {
            $($(#[$doc])* pub $flag: bool,)*
            $($(#[$value_doc])* pub $value: $kind,)*
        }

        impl Misbehaviour {
            /// The names [`enable`](Self::enable) takes.
            pub const FLAGS: &[&str] = &[$(stringify!($flag)),*];

            /// Turns the knob of that name on; false when there is none.
            pub fn enable(&mut self, name: &str) -> bool {
                match name {
                    $(stringify!($flag) => self.$flag = true,)*
                    _ => return false,
                }
                true
            }
        }
    };
}

misbehaviour! {
    /// Capability flags lie: no non-null users, K_g set, no v1.5 types.
    authcap,
    /// RAKP 2 code and RAKP 4 value are wrong unless Open Session asked the level of RAKP 1.
    opensesspriv,
    /// Intel SE7520AF2: the level must be asked in Open Session, RAKP 3 hashes the level only,
    /// passwords are cut to 16 bytes with HMAC-MD5, the RAKP 4 value is made by the integrity
    /// algorithm, SOL activated with auxiliary bit 1 stays mute, SOL acks have count 0.
    intel20,
    /// Intel 82571: 38h, 3Bh and 01h unanswered, RAKP 1 of 44 bytes only, bit 4 of the role in
    /// no hash, Activate Payload with auxiliary byte 08h only.
    i82571spt,
    /// RAKP 2 code one byte too long.
    supermicro20,
    /// RAKP 2 code one byte too long, cipher suite records without tag bits, no 4Eh.
    sun20,
    /// RAKP 4 of suite 0 carries an integrity check value.
    integritycheckvalue,
    /// LAN messages in replies have wrong checksums.
    nochecksumcheck,
    /// Integrity pads are counted, and demanded, without the two bytes behind them.
    icts,
    /// v1.5 replies carry session ID 0.
    idzero,
    /// Per-message authentication is said to be off, yet replies carry an AuthCode.
    unexpectedauth,
    /// Per-message authentication is said to be off, yet packets without AuthCode are dropped.
    forcepermsg,
    /// Per-message authentication is off.
    per_message_auth_off,
    /// v1.5 replies have their session sequence number most significant byte first.
    endianseq,
    /// v1.5 replies have a wrong AuthCode.
    noauthcodecheck,
    /// v1.5 with AuthType OEM only, in the old Supermicro and Quanta way.
    oem_auth,
    /// Get Payload Activation Status fails with CCh.
    solstatus,
    /// Get Channel Payload Support is not answered.
    solchannelsupport,
    /// Activate Payload answers 80h unless alerts are deferred.
    serialalertsdeferred,
    /// A SOL packet that was taken already is not acknowledged again.
    solpacketseq,
    /// SOL packets are acknowledged with count 0, meaning all.
    solackzero,
    /// Get Payload Activation Status says capacity 0.
    capacity_zero,
    /// Deactivate Payload answers 00h and changes nothing.
    deactivate_ineffective,
    /// Only the owner can deactivate; others get 80h.
    deactivate_owner_only,
    /// A successful Deactivate Payload is not answered.
    deactivate_no_reply,
    /// Get Payload Activation Status always says active.
    always_active,
    /// Nothing tells the owner when SOL is taken.
    silent_steal,
    /// Our session sequence numbers go 1, 3, 5.
    seq_jump,
    /// A RAKP message whose tag is that of the one before it is dropped.
    tag_strict,
    /// RAKP 2 and 4 carry the console's session ID in the session header.
    session_id_in_setup,
    /// Activate and Deactivate Payload need Administrator.
    activate_needs_admin,
    /// SOL neither takes nor sends anything, while the session lives.
    sol_mute,
    /// A SOL packet sent again carries what the host printed since.
    sol_dup_more_data,
    /// Every response comes twice.
    duplicate_replies,
    /// Close Session is not answered.
    close_no_reply,
    /// Capability response of four data bytes.
    short_replies,
    ;
    /// The status a cipher suite that is not enabled gets (real ones: 01h, 0Ah, 12h).
    first_suite_status: Option<u8>,
    /// RAKP 2 at Administrator gets this status (real ones: 09h, 0Dh).
    privfallback: Option<u8>,
    /// Announced SOL payload sizes.
    solpayloadsize: Option<SolSizes>,
    /// The UDP port Activate Payload announces.
    solport: Option<u16>,
    /// After a host reset the next SOL packet skips this many numbers.
    sol_sequence_skip: u8,
}
