//! Data of the commands that a session itself sends: login, privilege, close, payloads.
//!
//! Requests are given as data bytes; responses are read from the data after a completion code
//! of 0. Everything else about commands is in `command.rs`.

use super::ipmi15::AuthType;
use super::{DecodeError, Reader, SessionId};

/// Channel number of "the channel this request came in on".
pub const PRESENT_CHANNEL: u8 = 0x0e;

/// Payload type number of SOL in payload commands.
pub const PAYLOAD_SOL: u8 = 0x01;

/// Command numbers of the App network function.
pub mod cmd {
    /// Get Device ID (§20.1).
    pub const GET_DEVICE_ID: u8 = 0x01;
    /// Get System GUID (§22.14).
    pub const GET_SYSTEM_GUID: u8 = 0x37;
    /// Get Channel Authentication Capabilities (§22.13).
    pub const GET_CHANNEL_AUTHENTICATION_CAPABILITIES: u8 = 0x38;
    /// Get Session Challenge (§22.16).
    pub const GET_SESSION_CHALLENGE: u8 = 0x39;
    /// Activate Session (§22.17).
    pub const ACTIVATE_SESSION: u8 = 0x3a;
    /// Set Session Privilege Level (§22.18).
    pub const SET_SESSION_PRIVILEGE_LEVEL: u8 = 0x3b;
    /// Close Session (§22.19).
    pub const CLOSE_SESSION: u8 = 0x3c;
    /// Activate Payload (§24.1).
    pub const ACTIVATE_PAYLOAD: u8 = 0x48;
    /// Deactivate Payload (§24.2).
    pub const DEACTIVATE_PAYLOAD: u8 = 0x49;
    /// Get Payload Activation Status (§24.4).
    pub const GET_PAYLOAD_ACTIVATION_STATUS: u8 = 0x4a;
    /// Get Payload Instance Info (§24.5).
    pub const GET_PAYLOAD_INSTANCE_INFO: u8 = 0x4b;
    /// Get Channel Payload Support (§24.8).
    pub const GET_CHANNEL_PAYLOAD_SUPPORT: u8 = 0x4e;
    /// Get Channel Cipher Suites (§22.15).
    pub const GET_CHANNEL_CIPHER_SUITES: u8 = 0x54;
    /// SOL Activating (§26.1), network function Transport, sent by the BMC.
    pub const SOL_ACTIVATING: u8 = 0x20;
}

/// Data of Get Channel Authentication Capabilities.
pub fn channel_authentication_capabilities_request(v2_data: bool, privilege: u8) -> [u8; 2] {
    [PRESENT_CHANNEL | if v2_data { 0x80 } else { 0 }, privilege & 0x0f]
}

/// What Get Channel Authentication Capabilities answered. Nothing in it is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelAuthenticationCapabilities {
    /// Offset 0.
    pub channel: u8,
    /// Offset 1: bit 7 v2.0 data present, bits 5:0 the v1.5 AuthTypes by number.
    pub auth_types: u8,
    /// Offset 2: see the `STATUS_` constants.
    pub authentication_status: u8,
    /// Offset 3: bit 1 v2.0 connections, bit 0 v1.5 connections.
    pub extended: u8,
}

impl ChannelAuthenticationCapabilities {
    /// Offset 2 bit 5: K_g is set to something but zeros.
    pub const STATUS_K_G: u8 = 0x20;
    /// Offset 2 bit 4: per-message authentication is off.
    pub const STATUS_PER_MESSAGE_OFF: u8 = 0x10;

    /// Reads the response; some test doubles answer only four bytes.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new("channel authentication capabilities", data);
        let [channel, auth_types, authentication_status] = r.array()?;
        let extended = r.u8().unwrap_or(0);
        Ok(Self { channel: channel & 0x0f, auth_types, authentication_status, extended })
    }

    /// Whether IPMI v2.0 logins are possible.
    pub fn supports_v2(&self) -> bool {
        self.auth_types & 0x80 != 0 && self.extended & 0x02 != 0
    }

    /// Whether a v1.5 login with this AuthType is possible.
    pub fn supports_auth_type(&self, auth_type: AuthType) -> bool {
        self.auth_types >> (auth_type as u8) & 1 != 0
    }
}

/// Data of Get Channel Cipher Suites, listing by cipher suite.
pub fn channel_cipher_suites_request(list_index: u8) -> [u8; 3] {
    [PRESENT_CHANNEL, 0x00, 0x80 | list_index & 0x3f]
}

/// Data of Get Session Challenge.
pub fn session_challenge_request(auth_type: AuthType, user_name: &[u8; 16]) -> [u8; 17] {
    let mut data = [auth_type as u8; 17];
    for (field, byte) in data.iter_mut().skip(1).zip(user_name) {
        *field = *byte;
    }
    data
}

/// Reads temporary session ID and challenge.
pub fn session_challenge_response(data: &[u8]) -> Result<(SessionId, [u8; 16]), DecodeError> {
    let mut r = Reader::new("session challenge", data);
    Ok((SessionId(r.u32()?), r.array()?))
}

/// Data of Activate Session.
pub fn activate_session_request(
    auth_type: AuthType,
    maximum_privilege_level: u8,
    challenge: &[u8; 16],
    initial_outbound_sequence: u32,
) -> Vec<u8> {
    let mut data = vec![auth_type as u8, maximum_privilege_level];
    data.extend_from_slice(challenge);
    data.extend_from_slice(&initial_outbound_sequence.to_le_bytes());
    data
}

/// What Activate Session answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivatedSession {
    /// Offset 0: AuthType for the rest of the session.
    pub auth_type: u8,
    /// Offset 1.
    pub session_id: SessionId,
    /// Offset 5: the first number we send.
    pub initial_inbound_sequence: u32,
    /// Offset 9.
    pub maximum_privilege_level: u8,
}

impl ActivatedSession {
    /// Reads the response.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new("activated session", data);
        Ok(ActivatedSession {
            auth_type: r.u8()? & 0x0f,
            session_id: SessionId(r.u32()?),
            initial_inbound_sequence: r.u32()?,
            maximum_privilege_level: r.u8()? & 0x0f,
        })
    }
}

/// Auxiliary request byte 1 of Activate Payload for SOL.
pub mod sol_auxiliary {
    /// Bit 7: the BMC encrypts its SOL payloads.
    pub const ENCRYPTION: u8 = 0x80;
    /// Bit 6: the BMC authenticates its SOL payloads.
    pub const AUTHENTICATION: u8 = 0x40;
    /// Bits 3:2 = 01: serial/modem alerts are deferred while SOL is active.
    pub const ALERTS_DEFERRED: u8 = 0x04;
    /// Bits 3:2 = 10: serial/modem alerts succeed while SOL is active.
    pub const ALERTS_SUCCEED: u8 = 0x08;
}

/// Data of Activate Payload for SOL.
pub fn activate_payload_request(instance: u8, auxiliary: u8) -> [u8; 6] {
    [PAYLOAD_SOL, instance & 0x0f, auxiliary, 0, 0, 0]
}

/// Data of Deactivate Payload for SOL.
pub fn deactivate_payload_request(instance: u8) -> [u8; 6] {
    [PAYLOAD_SOL, instance & 0x0f, 0, 0, 0, 0]
}

/// What Activate Payload answered for SOL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivatedPayload {
    /// Offset 4: console to BMC, with the SOL header.
    pub inbound_payload_size: u16,
    /// Offset 6: BMC to console, with the SOL header.
    pub outbound_payload_size: u16,
    /// Offset 8.
    pub udp_port: u16,
    /// Offset 10: FFFFh for none.
    pub vlan: u16,
}

impl ActivatedPayload {
    /// Reads the response. Sizes, port and VLAN are 0, 0, 0 and FFFFh when it ends early.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new("activated payload", data);
        r.u32()?;
        Ok(ActivatedPayload {
            inbound_payload_size: r.u16().unwrap_or(0),
            outbound_payload_size: r.u16().unwrap_or(0),
            udp_port: r.u16().unwrap_or(0),
            vlan: r.u16().unwrap_or(0xffff),
        })
    }
}

/// What Get Payload Activation Status answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayloadActivationStatus {
    /// Offset 0 bits 3:0. Some BMCs say 0 and mean 1.
    pub instance_capacity: u8,
    /// Offsets 1 and 2: bit n stands for instance n + 1.
    pub active: u16,
}

impl PayloadActivationStatus {
    /// Reads the response.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new("payload activation status", data);
        Ok(PayloadActivationStatus {
            instance_capacity: (r.u8()? & 0x0f).max(1),
            active: u16::from_le_bytes([r.u8()?, r.u8().unwrap_or(0)]),
        })
    }

    /// Whether `instance` (1 to 15) is active on some session.
    pub fn is_active(&self, instance: u8) -> bool {
        instance >= 1 && self.active >> (instance - 1).min(15) & 1 != 0
    }
}

/// Reads the owner of a payload instance; 0 means the instance is not active.
pub fn payload_instance_owner(data: &[u8]) -> Result<SessionId, DecodeError> {
    Reader::new("payload instance info", data).u32().map(SessionId)
}

/// Data of a SOL Activating request, which the BMC sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SolActivating {
    /// Offset 0 bits 3:0: whether SOL is active now.
    pub active: bool,
    /// Offset 1 bits 3:0.
    pub instance: u8,
}

impl SolActivating {
    /// Reads the request's data.
    pub fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new("SOL Activating", data);
        Ok(SolActivating { active: r.u8()? & 0x0f != 0, instance: r.u8()? & 0x0f })
    }
}
