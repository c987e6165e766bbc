//! Payload commands (§24): activate, deactivate, status, access.

use super::{Answer, Caller, Refusal, exactly};
use crate::sim::bmc::ManagedSystem;
use crate::sim::profile::Profile;
use crate::wire::PrivilegeLevel;
use crate::wire::cipher_suite::Confidentiality;
use crate::wire::message::CompletionCode;
use crate::wire::session_command::{PAYLOAD_SOL, PRESENT_CHANNEL, cmd, sol_auxiliary};

const ALREADY: Refusal = Refusal::Code(0x80);
const DISABLED: Refusal = Refusal::Code(0x81);
const LIMIT_REACHED: Refusal = Refusal::Code(0x82);
const NOT_WITH_ENCRYPTION: Refusal = Refusal::Code(0x83);
const NOT_WITHOUT_ENCRYPTION: Refusal = Refusal::Code(0x84);
/// Suspend/Resume Payload Encryption.
const OPERATION_NOT_SUPPORTED: Refusal = Refusal::Code(0x80);
const OPERATION_NOT_ALLOWED: Refusal = Refusal::Code(0x81);
const NOT_AVAILABLE: Refusal = Refusal::Code(0x82);
const NOT_ACTIVE: Refusal = Refusal::Code(0x83);

/// The port OpenBMC announces, wherever it listens.
const OPENBMC_PORT: u16 = 623;
const FORCE_ENCRYPTION: u8 = 0x80;

impl ManagedSystem {
    pub(super) fn payload_command(
        &mut self,
        caller: &Caller,
        command: u8,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Answer {
        let profile = self.options.profile;
        let unknown = match command {
            cmd::GET_CHANNEL_PAYLOAD_SUPPORT => self.options.quirks.sun20,
            0x4f => profile == Profile::IpmiSim,
            _ => false,
        };
        if unknown {
            return Err(CompletionCode::INVALID_COMMAND.into());
        }
        match command {
            cmd::ACTIVATE_PAYLOAD => {
                self.counters.activate_payload += 1;
                self.activate_payload(caller, data, out)
            }
            cmd::DEACTIVATE_PAYLOAD => {
                self.counters.deactivate_payload += 1;
                self.deactivate_payload(caller, data)
            }
            cmd::GET_PAYLOAD_ACTIVATION_STATUS => self.activation_status(data, out),
            cmd::GET_PAYLOAD_INSTANCE_INFO => self.instance_info(data, out),
            0x4c => self.set_user_payload_access(caller, data),
            0x4d => self.user_payload_access(data, out),
            cmd::GET_CHANNEL_PAYLOAD_SUPPORT => self.payload_support(data, out),
            0x4f => payload_version(data, out),
            0x53 | 0x55 => self.payload_encryption(caller, data),
            _ => Err(CompletionCode::INVALID_COMMAND.into()),
        }
    }

    /// Activate Payload (§24.1).
    fn activate_payload(&mut self, caller: &Caller, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [payload_type, instance, auxiliary, ..] = exactly::<6>(data)?;
        let index = caller.session.ok_or(CompletionCode::NOT_IN_PRESENT_STATE)?;
        if payload_type & 0x3f != PAYLOAD_SOL {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        if !self.sol.config.enabled {
            return Err(DISABLED);
        }
        self.judge_instance(instance & 0x0f)?;
        let Some(session) = self.sessions.get(index).filter(|session| session.is_v2()) else {
            return Err(CompletionCode::NOT_IN_PRESENT_STATE.into());
        };
        let user = session.user;
        let has_aes = session
            .cipher()
            .is_some_and(|cipher| cipher.algorithms().confidentiality != Confidentiality::None);
        self.judge_encryption(auxiliary, has_aes)?;
        self.judge_sol_privilege(caller)?;
        if !self.options.users.get(user).is_some_and(|user| user.sol) {
            return Err(DISABLED);
        }
        let quirks = self.options.quirks;
        if quirks.serialalertsdeferred && auxiliary & 0x0c != sol_auxiliary::ALERTS_DEFERRED {
            return Err(ALREADY);
        }
        if quirks.i82571spt && auxiliary != sol_auxiliary::ALERTS_SUCCEED {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        if self.sol.owner.is_some() {
            return Err(ALREADY);
        }
        self.activate_sol(caller.id, user, auxiliary);
        self.announce_sol(out);
        Ok(())
    }

    fn announce_sol(&self, out: &mut Vec<u8>) {
        let quirks = self.options.quirks;
        let profile = self.options.profile;
        let (inbound, outbound) = match quirks.solpayloadsize {
            Some(sizes) if sizes.swapped => {
                (sizes.inbound.swap_bytes(), sizes.outbound.swap_bytes())
            }
            Some(sizes) => (sizes.inbound, sizes.outbound),
            None => profile.announced_sol_sizes(),
        };
        let port = match profile {
            _ if quirks.solport.is_some() => quirks.solport.unwrap_or_default(),
            Profile::OpenBmc => OPENBMC_PORT,
            Profile::Pyghmi => self.options.port.swap_bytes(),
            _ => self.options.port,
        };
        out.extend_from_slice(&[0; 4]);
        for field in [inbound, outbound, port, 0xffff] {
            out.extend_from_slice(&field.to_le_bytes());
        }
    }

    fn judge_instance(&self, instance: u8) -> Answer {
        match (instance, self.options.profile) {
            (1, _) => Ok(()),
            (0, Profile::Spec) => Err(CompletionCode::INVALID_DATA_FIELD.into()),
            (_, Profile::Spec) => Err(LIMIT_REACHED),
            (_, Profile::GoIpmi) => Err(CompletionCode::PARAMETER_OUT_OF_RANGE.into()),
            _ => Err(CompletionCode::INVALID_DATA_FIELD.into()),
        }
    }

    fn judge_encryption(&self, auxiliary: u8, has_aes: bool) -> Answer {
        let encrypt = auxiliary & sol_auxiliary::ENCRYPTION != 0;
        let authenticate = auxiliary & sol_auxiliary::AUTHENTICATION != 0;
        match self.options.profile {
            Profile::IpmiSim | Profile::Pyghmi => return Ok(()),
            Profile::OpenBmc if !encrypt => return Err(NOT_WITHOUT_ENCRYPTION),
            Profile::GoIpmi if encrypt && !authenticate => return Err(NOT_WITH_ENCRYPTION),
            _ => {}
        }
        if encrypt && !has_aes {
            return Err(NOT_WITH_ENCRYPTION);
        }
        if !encrypt && self.sol.config.authentication & FORCE_ENCRYPTION != 0 {
            return Err(NOT_WITHOUT_ENCRYPTION);
        }
        Ok(())
    }

    fn judge_sol_privilege(&self, caller: &Caller) -> Answer {
        let needed = match self.sol.config.authentication & 0x0f {
            _ if self.options.quirks.activate_needs_admin => PrivilegeLevel::Administrator as u8,
            level => level,
        };
        if caller.privilege < needed {
            return Err(CompletionCode::INSUFFICIENT_PRIVILEGE.into());
        }
        Ok(())
    }

    /// Deactivate Payload (§24.2).
    fn deactivate_payload(&mut self, caller: &Caller, data: &[u8]) -> Answer {
        let [payload_type, instance, ..] = exactly::<6>(data)?;
        if payload_type & 0x3f != PAYLOAD_SOL {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        if !self.sol.config.enabled {
            return Err(DISABLED);
        }
        let owner = match self.sol.owner {
            Some(owner) if instance & 0x0f == 1 => owner,
            _ => return Err(ALREADY),
        };
        let quirks = self.options.quirks;
        if quirks.activate_needs_admin {
            caller.require(PrivilegeLevel::Administrator)?;
        }
        if owner != caller.id {
            if quirks.deactivate_owner_only {
                return Err(ALREADY);
            }
            let user = caller.session.and_then(|index| self.sessions.get(index)).map(|s| s.user);
            let same_user = !self.sol.taken && user == Some(self.sol.owner_user);
            if !same_user {
                caller.require(PrivilegeLevel::Administrator)?;
            }
        }
        if quirks.deactivate_ineffective {
            return Ok(());
        }
        // OpenBMC cleans up after a session that is gone, and says there was nothing.
        let stale = !self.sol.taken && self.session_index(owner).is_none();
        self.deactivate_sol(Some(caller.id));
        match self.options.profile {
            Profile::OpenBmc if stale => Err(ALREADY),
            _ if quirks.deactivate_no_reply => Err(Refusal::Silence),
            _ => Ok(()),
        }
    }

    /// Get Payload Activation Status (§24.4).
    fn activation_status(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [payload_type] = exactly(data)?;
        let quirks = self.options.quirks;
        if quirks.solstatus || payload_type & 0x3f != PAYLOAD_SOL {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        let active = self.sol.owner.is_some() || quirks.always_active;
        out.extend_from_slice(&[u8::from(!quirks.capacity_zero), u8::from(active), 0]);
        Ok(())
    }

    /// Get Payload Instance Info (§24.5).
    fn instance_info(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [payload_type, instance] = exactly(data)?;
        if payload_type & 0x3f != PAYLOAD_SOL || instance & 0x0f != 1 {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        out.extend_from_slice(&self.sol.owner.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
        Ok(())
    }

    /// Set User Payload Access (§24.6).
    fn set_user_payload_access(&mut self, caller: &Caller, data: &[u8]) -> Answer {
        let [_channel, user, standard, ..] = exactly::<6>(data)?;
        caller.require(PrivilegeLevel::Administrator)?;
        let found = usize::from(user & 0x3f).checked_sub(1);
        let Some(found) = found.and_then(|index| self.options.users.get_mut(index)) else {
            return Err(CompletionCode::PARAMETER_OUT_OF_RANGE.into());
        };
        if standard & 0x02 != 0 {
            match user >> 6 {
                0 => found.sol = true,
                1 => found.sol = false,
                _ => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
            }
        }
        Ok(())
    }

    /// Get User Payload Access (§24.7).
    fn user_payload_access(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [_channel, user] = exactly(data)?;
        let index = usize::from(user & 0x3f).checked_sub(1);
        let Some(user) = index.and_then(|index| self.options.users.get(index)) else {
            return Err(CompletionCode::PARAMETER_OUT_OF_RANGE.into());
        };
        out.extend_from_slice(&[if user.sol { 0x02 } else { 0 }, 0, 0, 0]);
        Ok(())
    }

    /// Get Channel Payload Support (§24.8).
    fn payload_support(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [channel] = exactly(data)?;
        // `ipmi_sim` dies of channel Eh.
        if self.options.quirks.solchannelsupport
            || self.options.profile == Profile::IpmiSim && channel & 0x0f == PRESENT_CHANNEL
        {
            return Err(Refusal::Silence);
        }
        out.extend_from_slice(&[0x03, 0, 0x3f, 0, 0, 0, 0, 0]);
        Ok(())
    }

    /// Suspend/Resume Payload Encryption (§24.3).
    fn payload_encryption(&mut self, caller: &Caller, data: &[u8]) -> Answer {
        let [payload_type, instance, operation] = exactly(data)?;
        let session = caller.session.and_then(|index| self.sessions.get(index));
        let has_aes = session
            .and_then(|session| session.cipher())
            .is_some_and(|cipher| cipher.algorithms().confidentiality != Confidentiality::None);
        if payload_type & 0x3f != PAYLOAD_SOL {
            return Err(OPERATION_NOT_SUPPORTED);
        }
        if instance & 0x0f != 1 || self.sol.owner != Some(caller.id) {
            return Err(NOT_ACTIVE);
        }
        if !has_aes {
            return Err(NOT_AVAILABLE);
        }
        match operation & 0x1f {
            0 if self.sol.config.authentication & FORCE_ENCRYPTION != 0 => {
                return Err(OPERATION_NOT_ALLOWED);
            }
            0 => self.sol.encrypt = false,
            1 => self.sol.encrypt = true,
            _ => return Err(OPERATION_NOT_SUPPORTED),
        }
        Ok(())
    }
}

/// Get Channel Payload Version (§24.9).
fn payload_version(data: &[u8], out: &mut Vec<u8>) -> Answer {
    let [_channel, payload_type] = exactly(data)?;
    if payload_type & 0x3f > PAYLOAD_SOL {
        return Err(Refusal::Code(0x80));
    }
    out.push(0x10);
    Ok(())
}
