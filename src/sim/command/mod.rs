//! What the managed system answers to commands: matching, privilege, and where each is done.

mod app;
mod channel;
mod fru;
mod payload;
mod sdr;
mod sel;
mod sensor;
mod storage;
mod transport;

pub(in crate::sim) use app::LAN_CHANNEL;
pub(in crate::sim) use sensor::satellite_sensor_command;
pub(in crate::sim) use storage::{judge_reservation, part};

use super::bmc::{LateReply, ManagedSystem, Wrapper};
use super::profile::Profile;
use crate::wire::PrivilegeLevel;
use crate::wire::message::{BMC_ADDRESS, CompletionCode, Message, checksum, net_fn};
use crate::wire::session_command::cmd;

/// How long OpenBMC takes to ask another process for an answer.
const OPENBMC_DETOUR: std::time::Duration = std::time::Duration::from_millis(2);

const SEND_MESSAGE: u8 = 0x34;
const TIMEOUT: Refusal = Refusal::Code(0xc3);

/// Why a command has no success to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Refusal {
    /// This completion code is the answer.
    Code(u8),
    /// This completion code, with the data of a success behind it.
    WithData(u8),
    /// There is no answer.
    Silence,
}

impl From<CompletionCode> for Refusal {
    fn from(code: CompletionCode) -> Self {
        Refusal::Code(code.0)
    }
}

/// What a command handler returns; the data of a success was appended to its `out`.
pub(in crate::sim) type Answer = Result<(), Refusal>;

/// Who sent a command.
#[derive(Debug, Clone, Copy)]
pub(in crate::sim) struct Caller {
    /// Index of the session.
    pub session: Option<usize>,
    /// Managed system session ID, 0 outside a session.
    pub id: u32,
    /// The session's privilege level, 0 outside a session.
    pub privilege: u8,
}

impl Caller {
    /// Fails with D4h below a privilege level.
    pub(super) fn require(&self, level: PrivilegeLevel) -> Answer {
        if self.privilege >= level as u8 {
            Ok(())
        } else {
            Err(CompletionCode::INSUFFICIENT_PRIVILEGE.into())
        }
    }
}

/// The bytes of a request as an array; anything longer or shorter is C7h.
pub(in crate::sim) fn exactly<const N: usize>(data: &[u8]) -> Result<[u8; N], Refusal> {
    data.try_into().map_err(|_| CompletionCode::DATA_LENGTH_INVALID.into())
}

impl ManagedSystem {
    /// Takes a LAN message: 1. check it, 2. execute, 3. answer now or later, 4. close.
    pub(super) fn on_message(
        &mut self,
        wrapper: Wrapper,
        payload: &[u8],
        verify_checksums: bool,
    ) -> Option<()> {
        // 1. Check it.
        let (request, valid) = Message::decode_unchecked(payload).ok()?;
        if wrapper_is_sessionless(wrapper) && self.lan_is_disabled() {
            return None;
        }
        if !valid && verify_checksums {
            self.counters.bad_checksum += 1;
            return None;
        }
        if request.is_response() || request.to_address != BMC_ADDRESS {
            return None;
        }
        // 2. Execute.
        let caller = self.caller(wrapper);
        self.count_command(&caller, &request);
        let mut data = Vec::with_capacity(32);
        data.push(0);
        let answer = self.execute(&caller, wrapper, &request, &mut data);
        match answer {
            Err(Refusal::Code(code)) => {
                data.clear();
                data.push(code);
                self.lengthen_refusal(&request, &mut data);
            }
            Err(Refusal::WithData(code)) => data[0] = code,
            _ => self.cut_reply(&request, &mut data),
        }
        // 3. Answer.
        if answer != Err(Refusal::Silence) {
            self.answer(wrapper, &request, &data);
        }
        // 4. Close.
        if let Some(index) = self.closing.take().and_then(|id| self.session_index(id)) {
            self.end_session(index);
        }
        (answer != Err(Refusal::Silence)).then_some(())
    }

    fn caller(&self, wrapper: Wrapper) -> Caller {
        let session = match wrapper {
            Wrapper::Session(id) => self.session_index(id),
            _ => None,
        };
        let found = session.and_then(|index| self.sessions.get(index));
        Caller {
            session,
            id: found.map_or(0, |session| session.id),
            privilege: found.map_or(0, |session| session.privilege),
        }
    }

    fn count_command(&mut self, caller: &Caller, request: &Message<'_>) {
        self.counters.commands += 1;
        let session = caller.session.and_then(|index| self.sessions.get_mut(index));
        let key = (request.rq_seq.number(), request.net_fn, request.cmd);
        if session.is_some_and(|session| session.is_retransmit(key)) {
            self.counters.retransmitted_requests += 1;
        }
    }

    fn execute(
        &mut self,
        caller: &Caller,
        wrapper: Wrapper,
        request: &Message<'_>,
        out: &mut Vec<u8>,
    ) -> Answer {
        let (function, command) = (request.net_fn, request.cmd);
        if let Some(index) =
            self.scripts.iter().position(|s| (s.0, s.1) == (function, command) && s.3 > 0)
        {
            let script = &mut self.scripts[index];
            let code = script.2;
            script.3 -= 1;
            if script.3 == 0 {
                self.scripts.remove(index);
            }
            return Err(Refusal::Code(code));
        }
        if caller.session.is_none() {
            self.allow_outside_session(function, command)?;
        } else {
            caller.require(required_privilege(function, command))?;
        }
        if self.options.quirks.i82571spt
            && function == net_fn::APP
            && matches!(
                command,
                cmd::GET_CHANNEL_AUTHENTICATION_CAPABILITIES
                    | cmd::SET_SESSION_PRIVILEGE_LEVEL
                    | cmd::GET_DEVICE_ID
            )
        {
            return Err(Refusal::Silence);
        }
        if self.options.profile == Profile::Pyghmi && !pyghmi_knows(function, command) {
            return Err(CompletionCode::INVALID_COMMAND.into());
        }
        self.fail_at_first(function)?;
        if (function, command) == (net_fn::APP, SEND_MESSAGE) {
            return self.bridge(caller, wrapper, request, out);
        }
        self.dispatch(caller, request, out)
    }

    /// A command that came to the BMC over its own bus.
    pub(super) fn execute_bridged(
        &mut self,
        caller: &Caller,
        request: &Message<'_>,
        out: &mut Vec<u8>,
    ) -> Answer {
        caller.require(required_privilege(request.net_fn, request.cmd))?;
        self.dispatch(caller, request, out)
    }

    fn dispatch(&mut self, caller: &Caller, request: &Message<'_>, out: &mut Vec<u8>) -> Answer {
        let (command, data) = (request.cmd, request.data);
        match request.net_fn {
            net_fn::APP => self.app_command(caller, command, data, out),
            net_fn::CHASSIS => self.chassis_command(caller, command, data, out),
            net_fn::SENSOR_EVENT => self.sensor_command(request.to_lun, command, data, out),
            net_fn::STORAGE => self.storage_command(command, data, out),
            net_fn::TRANSPORT => self.transport_command(caller, command, data, out),
            net_fn::GROUP_EXTENSION => self.dcmi_command(command, data, out),
            _ => Err(CompletionCode::INVALID_COMMAND.into()),
        }
    }

    /// The knobs that let the first commands fail.
    fn fail_at_first(&mut self, function: u8) -> Answer {
        let quirks = self.options.quirks;
        let faults = &mut self.devices.faults;
        if function == net_fn::APP {
            return Ok(());
        }
        if faults.busy < quirks.busy_first {
            faults.busy += 1;
            return Err(CompletionCode::NODE_BUSY.into());
        }
        if faults.timeout < quirks.timeout_first {
            faults.timeout += 1;
            return Err(TIMEOUT);
        }
        Ok(())
    }

    /// The knob that lets the end of an answer be missing.
    fn cut_reply(&self, request: &Message<'_>, data: &mut Vec<u8>) {
        if request.net_fn != net_fn::APP {
            let len = data.len().saturating_sub(self.options.quirks.cut_replies.into());
            data.truncate(len.max(1));
        }
    }

    /// Whether a command is taken outside a session.
    fn allow_outside_session(&self, function: u8, command: u8) -> Answer {
        let profile = self.options.profile;
        let allowed = function == net_fn::APP
            && match command {
                cmd::GET_CHANNEL_AUTHENTICATION_CAPABILITIES | cmd::GET_CHANNEL_CIPHER_SUITES => {
                    true
                }
                cmd::GET_SYSTEM_GUID => !matches!(profile, Profile::OpenBmc | Profile::Pyghmi),
                cmd::GET_SESSION_CHALLENGE => profile.speaks_v15(),
                _ => false,
            };
        match profile {
            _ if allowed => Ok(()),
            Profile::OpenBmc | Profile::Pyghmi => Err(Refusal::Silence),
            _ => Err(CompletionCode::INSUFFICIENT_PRIVILEGE.into()),
        }
    }

    /// OpenBMC's refusals can be as long as the success.
    fn lengthen_refusal(&self, request: &Message<'_>, data: &mut Vec<u8>) {
        if self.options.profile == Profile::OpenBmc && request.net_fn == net_fn::APP {
            match request.cmd {
                cmd::SET_SESSION_PRIVILEGE_LEVEL => data.resize(2, 0),
                cmd::ACTIVATE_PAYLOAD => data.resize(13, 0),
                _ => {}
            }
        }
    }

    fn answer(&mut self, wrapper: Wrapper, request: &Message<'_>, data: &[u8]) {
        // The server of go-ipmi names itself as the receiver.
        let to_address = match self.options.profile {
            Profile::GoIpmi => BMC_ADDRESS,
            _ => request.from_address,
        };
        let response = Message {
            to_address,
            net_fn: request.net_fn | 1,
            to_lun: request.from_lun,
            from_address: BMC_ADDRESS,
            rq_seq: request.rq_seq,
            from_lun: request.to_lun,
            cmd: request.cmd,
            data,
        };
        let mut message = Vec::with_capacity(8 + data.len());
        response.encode(&mut message);
        if self.options.quirks.nochecksumcheck {
            spoil_checksums(&mut message);
        }
        let delay = self.answer_delay(request);
        let copies = if self.options.quirks.duplicate_replies { 2 } else { 1 };
        for _ in 0..copies {
            if delay.is_zero() {
                self.send_message(self.peer, wrapper, &message);
            } else {
                let (due, to) = (self.clock + delay, self.peer);
                self.late.push(LateReply { due, to, wrapper, message: message.clone() });
            }
        }
    }

    pub(super) fn answer_delay(&self, request: &Message<'_>) -> std::time::Duration {
        let (function, command) = (request.net_fn, request.cmd);
        let set = self.delays.iter().find(|entry| (entry.0, entry.1) == (function, command));
        match set {
            Some(entry) => entry.2,
            None if self.options.profile == Profile::OpenBmc
                && !(function == net_fn::APP && (0x37..=0x54).contains(&command))
                && !(function == net_fn::TRANSPORT && matches!(command, 0x21 | 0x22)) =>
            {
                OPENBMC_DETOUR
            }
            None => std::time::Duration::ZERO,
        }
    }
}

fn wrapper_is_sessionless(wrapper: Wrapper) -> bool {
    !matches!(wrapper, Wrapper::Session(_))
}

/// The few commands of pyghmi's server.
fn pyghmi_knows(function: u8, command: u8) -> bool {
    match function {
        net_fn::APP => {
            matches!(command, 0x01 | 0x02 | 0x37 | 0x38 | 0x3b | 0x3c | 0x48 | 0x49 | 0x54)
        }
        net_fn::CHASSIS => matches!(command, 0x01 | 0x02 | 0x08 | 0x09),
        _ => false,
    }
}

fn spoil_checksums(message: &mut [u8]) {
    let wrong = checksum(message) ^ 0x55;
    if let Some(last) = message.last_mut() {
        *last = last.wrapping_add(wrong | 1);
    }
    if let Some(first) = message.get_mut(2) {
        *first = first.wrapping_add(1);
    }
}

/// The lowest privilege level that may use a command (Appendix G); commands that judge for
/// themselves need the lowest here.
fn required_privilege(function: u8, command: u8) -> PrivilegeLevel {
    use PrivilegeLevel::{Administrator, Callback, Operator, User};
    match (function, command) {
        (net_fn::APP, 0x37..=0x3c | 0x54) => Callback,
        (net_fn::APP, 0x02 | 0x03 | 0x40 | 0x43 | 0x45 | 0x47 | 0x4c | 0x56) => Administrator,
        (net_fn::APP, 0x34 | 0x44 | 0x46) => Operator,
        (net_fn::SENSOR_EVENT, 0x02 | 0x24 | 0x26 | 0x28) => Operator,
        (net_fn::GROUP_EXTENSION, 0x04 | 0x05 | 0x08 | 0x0a) => Operator,
        (net_fn::CHASSIS, 0x02..=0x06 | 0x08..=0x0b) => Operator,
        (net_fn::STORAGE, 0x12 | 0x24..=0x27 | 0x29..=0x2c | 0x44..=0x47 | 0x49 | 0x5d) => Operator,
        (net_fn::TRANSPORT, 0x01 | 0x21) => Administrator,
        (net_fn::TRANSPORT, 0x02) => Operator,
        _ => User,
    }
}
