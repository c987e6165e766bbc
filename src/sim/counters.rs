//! What a simulated BMC counts, for tests to compare.

/// Counts since the managed system was made. A reset of the BMC does not clear them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Datagrams received, whatever they held.
    pub datagrams_in: u64,
    /// Datagrams sent.
    pub datagrams_out: u64,
    /// ASF presence pings.
    pub pings: u64,
    /// RMCP+ Open Session Requests.
    pub open_session: u64,
    /// RAKP Messages 1.
    pub rakp1: u64,
    /// RAKP Messages 3.
    pub rakp3: u64,
    /// Session setup messages refused with a status code.
    pub setup_refused: u64,
    /// Get Session Challenge commands (v1.5).
    pub session_challenge: u64,
    /// Sessions that became active, v1.5 and v2.0.
    pub sessions_opened: u64,
    /// Sessions that Close Session ended.
    pub sessions_closed: u64,
    /// Active sessions that ended because nothing came.
    pub sessions_expired: u64,
    /// Half-open sessions that ended because nothing came.
    pub half_open_expired: u64,
    /// Requests executed, in and outside a session.
    pub commands: u64,
    /// Requests whose rqSeq, network function and command were among the last eight.
    pub retransmitted_requests: u64,
    /// Activate Payload commands.
    pub activate_payload: u64,
    /// Deactivate Payload commands.
    pub deactivate_payload: u64,
    /// SOL payloads received.
    pub sol_in: u64,
    /// SOL payloads sent.
    pub sol_out: u64,
    /// SOL payloads sent again.
    pub sol_retransmits: u64,
    /// SOL payloads received that acknowledged one of ours.
    pub sol_acks: u64,
    /// SOL payloads received that asked us to stop.
    pub sol_nacks_in: u64,
    /// SOL payloads received whose number was that of the one before.
    pub sol_duplicates_in: u64,
    /// SOL payloads received with more characters than Activate Payload granted.
    pub sol_oversize_in: u64,
    /// SOL payloads refused, wholly or partly, with the NACK bit.
    pub sol_nacks_out: u64,
    /// Characters the console was never sent because the retries ran out.
    pub sol_characters_lost: u64,
    /// Characters sent again under another number because the retries ran out (OpenBMC).
    pub sol_characters_renumbered: u64,
    /// Session packets with a wrong or missing AuthCode.
    pub bad_auth_code: u64,
    /// Session packets that would not decrypt, or were not encrypted as they must be.
    pub bad_encryption: u64,
    /// Session packets whose number was outside the window or seen before.
    pub out_of_window: u64,
    /// LAN messages with a wrong checksum.
    pub bad_checksum: u64,
    /// Session packets with an ID that is no active session.
    pub unknown_session: u64,
    /// Datagrams that were not answered because of any of the above or of their form.
    pub dropped: u64,
}
