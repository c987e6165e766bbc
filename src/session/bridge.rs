//! Requests to controllers behind the managed system: wrapped in Send Message, and their answers
//! found again (§22.7, §6.13.3).

use std::time::Duration;

use zeroize::Zeroizing;

use super::request::Request;
use crate::wire::message::{BMC_ADDRESS, CompletionCode, Message, RqSeq, net_fn};

/// The command number of Send Message.
pub(super) const SEND_MESSAGE: u8 = 0x34;
/// In the channel byte of Send Message: the managed system keeps track of the request, and sends
/// the answer to who asked.
const TRACK_REQUEST: u8 = 0x40;
/// How long the controller has once the message is on its way to it.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(5);
/// How long it is waited for before the message is sent again.
pub(super) const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// A message wrapped in another one adds the channel and seven bytes around its data.
const WRAPPING_LEN: usize = 8;

/// One step of the way to a controller: a channel, and an address there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hop {
    /// The channel's number, 0 to 15; 0 is the primary IPMB.
    pub channel: u8,
    /// The address as it is written in SDRs: even, 20h to FEh.
    pub address: u8,
}

/// Where a request goes: to a LUN of the BMC, or to that of a controller behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Target {
    lun: u8,
    first: Option<Hop>,
    second: Option<Hop>,
}

impl Target {
    /// The BMC at LUN 0.
    pub const BMC: Target = Target { lun: 0, first: None, second: None };

    /// A controller that the BMC can reach, at LUN 0. The BMC's own address, 20h, is the BMC, and
    /// nothing is bridged.
    pub fn behind(channel: u8, address: u8) -> Target {
        let hop = Hop { channel, address };
        Target { first: (address != BMC_ADDRESS).then_some(hop), ..Target::BMC }
    }

    /// A controller that another one, `transit`, can reach, at LUN 0.
    pub fn behind_two(transit: Hop, target: Hop) -> Target {
        match transit.address {
            BMC_ADDRESS => Target::behind(target.channel, target.address),
            _ => Target { lun: 0, first: Some(transit), second: Some(target) },
        }
    }

    /// The owner of a sensor, as an SDR names it; `None` when software owns it, which cannot be
    /// asked.
    pub fn owner(owner_id: u8, channel: u8, lun: u8) -> Option<Target> {
        (owner_id & 1 == 0).then(|| Target::behind(channel, owner_id).lun(lun))
    }

    /// The same at another LUN, 0 to 3.
    pub fn lun(self, lun: u8) -> Target {
        Target { lun: lun & 3, ..self }
    }

    /// Its LUN.
    pub fn lun_number(&self) -> u8 {
        self.lun
    }

    /// Whether it is a controller behind the BMC.
    pub fn is_bridged(&self) -> bool {
        self.first.is_some()
    }

    /// The way there, from the BMC on; none for the BMC itself.
    pub fn hops(&self) -> impl DoubleEndedIterator<Item = Hop> + Clone + use<> {
        self.first.into_iter().chain(self.second)
    }

    /// How many bytes of the message to the BMC the way takes.
    pub(crate) fn overhead(&self) -> usize {
        self.hops().count() * WRAPPING_LEN
    }

    /// Whether there can be such a place at all.
    pub(crate) fn is_valid(&self) -> bool {
        self.hops().all(|hop| hop.channel <= 0x0f && hop.address & 1 == 0)
    }
}

/// What a message says of a bridged request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bridged<'a> {
    /// Nothing: it is not about this one.
    Foreign,
    /// It is on its way, one step further.
    Accepted,
    /// The BMC, or the controller on the way, could not pass it on.
    Refused(CompletionCode),
    /// The answer.
    Answer(CompletionCode, &'a [u8]),
}

/// Appends the LAN message of a request. Both messages have one rqSeq, so that the answer is found
/// even where the BMC puts in other addresses.
pub(super) fn encode(request: &Request, rq_seq: RqSeq, out: &mut Vec<u8>) {
    // Of what is secret, growing would leave copies behind.
    out.reserve(request.data.len() + (request.target.hops().count() + 1) * WRAPPING_LEN);
    let innermost = request.target.hops().next_back();
    let mut message = Message::request(
        request.net_fn,
        request.target.lun_number(),
        rq_seq,
        request.cmd,
        &request.data,
    );
    let Some(innermost) = innermost else { return message.encode(out) };
    message.to_address = innermost.address;
    message.from_address = BMC_ADDRESS;
    let mut wrapped = wrap(innermost, &message);
    if let (Some(transit), Some(_)) = (request.target.first, request.target.second) {
        let mut message = Message::request(net_fn::APP, 0, rq_seq, SEND_MESSAGE, &wrapped);
        message.to_address = transit.address;
        message.from_address = BMC_ADDRESS;
        wrapped = wrap(transit, &message);
    }
    Message::request(net_fn::APP, 0, rq_seq, SEND_MESSAGE, &wrapped).encode(out);
}

/// The data of the Send Message that carries a message.
fn wrap(hop: Hop, message: &Message<'_>) -> Zeroizing<Vec<u8>> {
    let mut data = Zeroizing::new(Vec::with_capacity(message.data.len() + WRAPPING_LEN));
    data.push(TRACK_REQUEST | hop.channel & 0x0f);
    message.encode(&mut data);
    data
}

/// Reads what a message says of a bridged request that has this rqSeq.
pub(super) fn read<'a>(request: &Request, rq_seq: RqSeq, message: &Message<'a>) -> Bridged<'a> {
    read_within(request, rq_seq, message, request.target.hops().count())
}

/// Addresses are not compared: BMCs leave them as they were, swap them or put in their own.
fn read_within<'a>(
    request: &Request,
    rq_seq: RqSeq,
    message: &Message<'a>,
    depth: usize,
) -> Bridged<'a> {
    let Some((completion_code, data)) = message.completion() else { return Bridged::Foreign };
    if message.rq_seq != rq_seq {
        return Bridged::Foreign;
    }
    if message.net_fn == request.net_fn | 1 && message.cmd == request.cmd {
        return Bridged::Answer(completion_code, data);
    }
    if message.net_fn != net_fn::APP | 1 || message.cmd != SEND_MESSAGE {
        return Bridged::Foreign;
    }
    if completion_code != CompletionCode::SUCCESS {
        return Bridged::Refused(completion_code);
    }
    // Some BMCs put the controller's answer into that of Send Message.
    match Message::decode_unchecked(data) {
        Ok((inner, _)) if depth > 0 => match read_within(request, rq_seq, &inner, depth - 1) {
            Bridged::Foreign => Bridged::Accepted,
            inner => inner,
        },
        _ => Bridged::Accepted,
    }
}

#[cfg(test)]
#[path = "tests/bridge.rs"]
mod tests;
