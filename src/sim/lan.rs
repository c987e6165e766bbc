//! LAN configuration parameters (§23): as shipped, and as somebody set them.

use super::bmc::ManagedSystem;
use super::command::{Answer, Caller, LAN_CHANNEL, Refusal, exactly};
use crate::wire::message::CompletionCode;
use crate::wire::session_command::PRESENT_CHANNEL;

pub(super) const PARAMETER_NOT_SUPPORTED: Refusal = Refusal::Code(0x80);
pub(super) const SET_IN_PROGRESS: Refusal = Refusal::Code(0x81);
pub(super) const READ_ONLY: Refusal = Refusal::Code(0x82);
/// Of the documentation network: nobody's.
const IP_ADDRESS: [u8; 4] = [192, 0, 2, 10];
const GATEWAY: [u8; 4] = [192, 0, 2, 1];
/// How many IPv6 addresses can be static, and how many are dynamic.
const STATIC_ADDRESSES: u8 = 2;
const DYNAMIC_ADDRESSES: u8 = 1;
/// fe80::, made complete by the MAC address.
const LINK_LOCAL: [u8; 8] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0];
/// Sources and states of IPv6 addresses.
const STATELESS: u8 = 0x01;
const ENABLED: u8 = 0x80;
const DISABLED: u8 = 0x01;

/// What was set at one BMC: parameter, set selector, data.
#[derive(Default)]
pub(super) struct LanChanges {
    setter: Option<u32>,
    values: Vec<(u8, u8, Vec<u8>)>,
}

impl ManagedSystem {
    /// Get LAN Configuration Parameters (§23.2), behind the revision.
    pub(super) fn lan_parameter(&self, parameter: u8, set: u8, out: &mut Vec<u8>) -> Answer {
        if parameter == 0 {
            out.push(u8::from(self.lan_setter().is_some()));
            return Ok(());
        }
        let changed = self.devices.lan.iter().flat_map(|lan| lan.values.iter());
        let mut changed = changed.filter(|value| (value.0, value.1) == (parameter, set));
        match changed.next() {
            Some((_, _, value)) => out.extend_from_slice(value),
            None => out.extend(self.shipped_lan_parameter(parameter, set)?),
        }
        Ok(())
    }

    /// Set LAN Configuration Parameters (§23.1). The addresses the BMC is told it has are not
    /// where it listens.
    pub(super) fn set_lan_parameter(&mut self, caller: &Caller, data: &[u8]) -> Answer {
        let &[channel, parameter, ref value @ ..] = data else {
            return Err(CompletionCode::DATA_LENGTH_INVALID.into());
        };
        if !matches!(channel & 0x0f, PRESENT_CHANNEL | LAN_CHANNEL) {
            return Err(CompletionCode::INVALID_DATA_FIELD.into());
        }
        if parameter == 0 {
            return self.set_lan_progress(caller, value);
        }
        let set = match parameter {
            56 | 59 => *value.first().ok_or(CompletionCode::DATA_LENGTH_INVALID)?,
            _ => 0,
        };
        let shipped = self.shipped_lan_parameter(parameter, set)?;
        if matches!(parameter, 1 | 13 | 15 | 22 | 23 | 50 | 55 | 59) {
            return Err(READ_ONLY);
        }
        let mut value = value.to_vec();
        // The state of a static address is the BMC's to know.
        if parameter == 56 && value.len() + 1 == shipped.len() {
            value.push(0);
        }
        if value.len() != shipped.len() {
            return Err(CompletionCode::DATA_LENGTH_INVALID.into());
        }
        let lan = self.devices.lan.get_or_insert_default();
        lan.values.retain(|known| (known.0, known.1) != (parameter, set));
        lan.values.push((parameter, set, value));
        Ok(())
    }

    fn set_lan_progress(&mut self, caller: &Caller, value: &[u8]) -> Answer {
        let [progress] = exactly(value)?;
        let taken = self.lan_setter().is_some_and(|id| id != caller.id);
        let lan = self.devices.lan.get_or_insert_default();
        match progress & 0x03 {
            0 => lan.setter = None,
            1 if taken => return Err(SET_IN_PROGRESS),
            1 => lan.setter = Some(caller.id),
            // There is no rollback: what is written is committed.
            2 => {}
            _ => return Err(CompletionCode::INVALID_DATA_FIELD.into()),
        }
        Ok(())
    }

    /// The session that is setting parameters.
    fn lan_setter(&self) -> Option<u32> {
        let setter = self.devices.lan.as_ref()?.setter?;
        self.session_index(setter).map(|_| setter)
    }

    fn mac(&self) -> [u8; 6] {
        let guid = &self.options.guid;
        [0x02, 0, 0, guid[13], guid[14], guid[15]]
    }

    fn shipped_lan_parameter(&self, parameter: u8, set: u8) -> Result<Vec<u8>, Refusal> {
        let auth_types = if self.options.profile.speaks_v15() { 0x17 } else { 0 };
        let suites = self.cipher_suites();
        Ok(match parameter {
            1 => vec![auth_types],
            2 => vec![auth_types; 5],
            3 => IP_ADDRESS.to_vec(),
            4 => vec![1],
            5 => self.mac().to_vec(),
            6 => vec![255, 255, 255, 0],
            7 => vec![0x40, 0x40, 0x10],
            8 => self.options.port.to_le_bytes().to_vec(),
            9 => 664u16.to_le_bytes().to_vec(),
            10 => vec![0x02],
            11 => vec![0],
            12 => GATEWAY.to_vec(),
            13 | 15 => vec![0; 6],
            14 => vec![0; 4],
            16 => b"public\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
            20 => vec![0, 0],
            21 => vec![0],
            22 => vec![suites.len().min(16) as u8],
            23 => std::iter::once(0).chain(suites.iter().copied().take(16)).collect(),
            24 => vec![0, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44],
            26 => vec![0; 6],
            50..=59 => return self.shipped_ipv6_parameter(parameter, set),
            _ => return Err(PARAMETER_NOT_SUPPORTED),
        })
    }

    fn shipped_ipv6_parameter(&self, parameter: u8, set: u8) -> Result<Vec<u8>, Refusal> {
        Ok(match parameter {
            // IPv6 alone, or with IPv4.
            50 => vec![0x03],
            51 => vec![0x02],
            52 => vec![0],
            53 => vec![64],
            54 => vec![0; 3],
            // Stateless addresses, no DHCPv6.
            55 => vec![STATIC_ADDRESSES, DYNAMIC_ADDRESSES, 0x02],
            56 if set < STATIC_ADDRESSES => ipv6_address(set, 0, [0; 16], 0, DISABLED),
            57 => vec![0],
            59 if set < DYNAMIC_ADDRESSES => {
                let [a, b, c, d, e, f] = self.mac();
                let mut address = [0; 16];
                address[..8].copy_from_slice(&LINK_LOCAL);
                address[8..].copy_from_slice(&[a ^ 0x02, b, c, 0xff, 0xfe, d, e, f]);
                ipv6_address(set, ENABLED | STATELESS, address, 64, 0)
            }
            56 | 59 => return Err(CompletionCode::PARAMETER_OUT_OF_RANGE.into()),
            _ => return Err(PARAMETER_NOT_SUPPORTED),
        })
    }
}

fn ipv6_address(set: u8, source: u8, address: [u8; 16], prefix: u8, state: u8) -> Vec<u8> {
    let mut value = vec![set, source];
    value.extend_from_slice(&address);
    value.extend_from_slice(&[prefix, state]);
    value
}
