//! The knobs that make a simulated BMC misbehave, each after some real BMC.

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

/// What stands behind the `=` of a knob with a value.
trait Knob: Sized {
    fn read(text: &str) -> Option<Self>;
}

macro_rules! number_knobs {
    ($($kind:ty)*) => {$(
        impl Knob for $kind {
            fn read(text: &str) -> Option<Self> {
                match text.strip_prefix("0x") {
                    Some(hex) => <$kind>::from_str_radix(hex, 16).ok(),
                    None => text.parse().ok(),
                }
            }
        }
    )*};
}

number_knobs!(u8 u16 u32);

impl<T: Knob> Knob for Option<T> {
    fn read(text: &str) -> Option<Self> {
        T::read(text).map(Some)
    }
}

impl Knob for SolSizes {
    /// `inbound,outbound`, and `,swapped` behind it.
    fn read(text: &str) -> Option<Self> {
        let (sizes, swapped) = match text.strip_suffix(",swapped") {
            Some(sizes) => (sizes, true),
            None => (text, false),
        };
        let (inbound, outbound) = sizes.split_once(',')?;
        Some(SolSizes { inbound: u16::read(inbound)?, outbound: u16::read(outbound)?, swapped })
    }
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

            /// The names [`set`](Self::set) takes with a value besides.
            pub const VALUES: &[&str] = &[$(stringify!($value)),*];

            /// Turns the knob of that name on; false when there is none.
            pub fn enable(&mut self, name: &str) -> bool {
                match name {
                    $(stringify!($flag) => self.$flag = true,)*
                    _ => return false,
                }
                true
            }

            /// Turns one knob by its name, or gives it a value by `name=value`: a number, decimal
            /// or with 0x in front, for `solpayloadsize` two with a comma and then maybe
            /// `,swapped`. False when there is no such knob or it has no such value.
            pub fn set(&mut self, text: &str) -> bool {
                let Some((name, value)) = text.split_once('=') else { return self.enable(text) };
                match name {
                    $(stringify!($value) => match Knob::read(value) {
                        Some(value) => self.$value = value,
                        None => return false,
                    },)*
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
    /// DCMI commands are unknown.
    dcmi_missing,
    /// Chassis Control is answered, and nothing happens.
    power_ignored,
    /// Send Message carries the reply in its own response instead of sending it after it.
    bridge_embedded,
    /// Send Message fails with 82h, bus error.
    bridge_bus_error,
    /// Send Message is answered, and the reply to what it carried never comes.
    bridge_mute,
    /// SDR Repository Info and Reserve SDR Repository are unknown, reservation 0 is good.
    sdr_no_reserve,
    /// The last record of the SDR repository names itself as the next.
    sdr_no_end,
    /// The SDR repository says it has one record more than it has.
    sdr_wrong_count,
    /// The ID inside each record of the SDR repository is 0.
    sdr_id_differs,
    /// Reading a whole record of the SDR repository gives its first half.
    sdr_short_whole_read,
    /// Records of the SDR repository are four bytes longer than they say.
    sdr_padded,
    /// Reading the last record of the SDR repository fails with C3h.
    sdr_last_fails,
    /// Get Sensor Reading has no bytes behind the flags.
    short_sensor_readings,
    /// Get Sensor Reading says that scanning is disabled.
    scanning_disabled,
    /// SEL entries have record type 00h.
    sel_bad_record_type,
    /// The SEL can only be read with a reservation.
    sel_needs_reservation,
    /// The FRU of the power supply is accessed by words.
    fru_by_words,
    /// Accessed by words, a FRU is asked for a number of bytes.
    fru_asks_bytes,
    /// Accessed by words, a FRU gives its count of what was read in bytes.
    fru_counts_bytes,
    /// FRUs say they are twice as large as they are; nothing is read from behind their end.
    fru_size_doubled,
    /// FRUs have wrong checksums.
    fru_bad_checksums,
    /// FRUs are write-protected.
    fru_protected,
    /// Enabling and disabling a user takes a password, which is not looked at.
    user_enable_needs_password,
    /// Get User Name fails with CCh for an empty slot.
    user_name_missing,
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
    /// This many commands fail with C0h first: Chassis, Sensor, Storage, Transport and DCMI.
    busy_first: u32,
    /// This many of the same commands fail with C3h after that.
    timeout_first: u32,
    /// This many bytes are missing at the end of answers to the same commands.
    cut_replies: u8,
    /// The most bytes one reading of an SDR, a SEL entry or a FRU gives; more is refused.
    read_limit: Option<u8>,
    /// How more is refused: CAh unless given (real ones: C7h, C8h, FFh).
    read_limit_code: Option<u8>,
    /// After this many readings of SDRs the reservation is cancelled; 0 for never.
    sdr_cancel_every: u32,
    /// How long the SEL takes to be erased, in milliseconds.
    sel_erase_ms: u32,
    /// Reading or writing a FRU fails with 81h this many times first.
    fru_busy_first: u32,
    /// How long a Cold Reset leaves the BMC silent, in milliseconds.
    cold_reset_ms: u32,
    /// The self test finds this wrong (detail byte with 57h); 0 for nothing.
    self_test_failed: u8,
}
