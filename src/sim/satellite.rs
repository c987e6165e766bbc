//! Send Message (§22.7) and what answers behind it: a controller at 2Ch on the IPMB, and one at
//! 72h on channel 7 of that.

use super::bmc::{LateReply, ManagedSystem, Wrapper};
use super::command::{
    Answer, Caller, Refusal, exactly, judge_reservation, part, satellite_sensor_command,
};
use super::sdr::{self, SATELLITE};
use super::sensor::{SATELLITE_SENSORS, THRESHOLD};
use crate::wire::message::{BMC_ADDRESS, CompletionCode, Message, net_fn};

/// The channel of the IPMB, and that behind the satellite.
const IPMB: u8 = 0;
const INNER_CHANNEL: u8 = 7;
/// The controller behind the satellite.
const INNER: u8 = 0x72;
const SEND_MESSAGE: u8 = 0x34;
/// Track the request: bits 7:6 of the channel byte.
const TRACK: u8 = 1;
const BUS_ERROR: Refusal = Refusal::Code(0x82);
/// Nobody acknowledged.
const NAK: Refusal = Refusal::Code(0x83);
const UNAVAILABLE: Refusal = Refusal::Code(0xd3);
const NOT_PRESENT: Refusal = Refusal::Code(0xcb);
/// How long a controller on the bus takes.
const BUS_TIME: std::time::Duration = std::time::Duration::from_millis(2);

impl ManagedSystem {
    /// Send Message: the answer of the controller comes as a message of its own, or with
    /// `bridge_embedded` in the data of this one.
    pub(super) fn bridge(
        &mut self,
        caller: &Caller,
        wrapper: Wrapper,
        request: &Message<'_>,
        out: &mut Vec<u8>,
    ) -> Answer {
        let (channel, message) =
            request.data.split_first().ok_or(CompletionCode::DATA_LENGTH_INVALID)?;
        if self.options.quirks.bridge_bus_error {
            return Err(BUS_ERROR);
        }
        if channel & 0x0f != IPMB {
            return Err(UNAVAILABLE);
        }
        let inner = decode(message)?;
        let replies = match inner.to_address {
            SATELLITE => self.at_satellite(&inner),
            BMC_ADDRESS => self.at_own_lun(caller, &inner)?,
            _ => return Err(NAK),
        };
        if channel >> 6 != TRACK || self.options.quirks.bridge_mute {
            return Ok(());
        }
        let mut replies = replies.into_iter();
        if self.options.quirks.bridge_embedded {
            out.extend(replies.next().unwrap_or_default());
        }
        // The bus takes a moment, and never less than the answer to Send Message itself.
        let due = self.clock + self.answer_delay(request) + BUS_TIME;
        let to = self.peer;
        for message in replies {
            self.late.push(LateReply { due, to, wrapper, message });
        }
        Ok(())
    }

    /// A message to the BMC's own address: how some reach its other LUNs.
    fn at_own_lun(
        &mut self,
        caller: &Caller,
        inner: &Message<'_>,
    ) -> Result<Vec<Vec<u8>>, Refusal> {
        if inner.net_fn == net_fn::APP && inner.cmd == SEND_MESSAGE {
            return Err(NAK);
        }
        let mut data = vec![0];
        let answer = self.execute_bridged(caller, inner, &mut data);
        Ok(vec![reply(inner, answer, data)])
    }

    fn at_satellite(&mut self, inner: &Message<'_>) -> Vec<Vec<u8>> {
        let mut data = vec![0];
        if inner.net_fn == net_fn::APP && inner.cmd == SEND_MESSAGE {
            return at_transit(inner, self.options.quirks.bridge_embedded);
        }
        let answer = self.satellite_command(inner, &mut data);
        vec![reply(inner, answer, data)]
    }

    /// The commands of the controller at 2Ch.
    fn satellite_command(&mut self, inner: &Message<'_>, out: &mut Vec<u8>) -> Answer {
        let around = self.surroundings();
        match (inner.net_fn, inner.cmd) {
            (net_fn::APP, cmd) => return identity(cmd, 0x50, self.options.guid, out),
            // Device SDR Info: how many sensors, on LUN 0, and that they never change.
            (net_fn::SENSOR_EVENT, 0x20) => {
                let records = inner.data.first().is_some_and(|operation| operation & 1 != 0);
                let count =
                    if records { sdr::satellite_records().len() } else { SATELLITE_SENSORS.len() };
                out.extend_from_slice(&[count as u8, 0x01]);
            }
            (net_fn::SENSOR_EVENT, 0x21) => return self.device_sdr(inner.data, out),
            (net_fn::SENSOR_EVENT, 0x22) => {
                let id = self.devices.satellite.reserve();
                out.extend_from_slice(&id.to_le_bytes());
            }
            (net_fn::SENSOR_EVENT, command) => {
                let data = inner.data;
                let (&number, data) =
                    data.split_first().ok_or(CompletionCode::DATA_LENGTH_INVALID)?;
                let found = SATELLITE_SENSORS.iter().find(|sensor| sensor.number == number);
                let sensor = found.ok_or(NOT_PRESENT)?;
                let reading = sensor.reading(sensor.natural(around), &sensor.shipped_limits());
                return satellite_sensor_command(sensor, reading, command, data, out);
            }
            _ => return Err(CompletionCode::INVALID_COMMAND.into()),
        }
        Ok(())
    }

    /// Get Device SDR (§35.3).
    fn device_sdr(&self, data: &[u8], out: &mut Vec<u8>) -> Answer {
        let [a, b, c, d, offset, count] = exactly(data)?;
        let (reservation, id) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        judge_reservation(self.devices.satellite, reservation, offset)?;
        let records = sdr::satellite_records();
        let index = sdr::find(records, id).ok_or(NOT_PRESENT)?;
        let wanted = part(&records[index], offset, count)?;
        self.judge_read_len(wanted.len())?;
        out.extend_from_slice(&sdr::next_id(records, index).to_le_bytes());
        out.extend_from_slice(wanted);
        Ok(())
    }
}

/// A Send Message the satellite got: it answers that, and then passes on what comes back, or does
/// so in the answer.
fn at_transit(inner: &Message<'_>, embedded: bool) -> Vec<Vec<u8>> {
    let carried = match inner.data.split_first() {
        None => Err(CompletionCode::DATA_LENGTH_INVALID.into()),
        Some((channel, _)) if channel & 0x0f != INNER_CHANNEL => Err(UNAVAILABLE),
        Some((_, message)) => decode(message),
    };
    let carried = carried.and_then(|carried| match carried.to_address {
        INNER => Ok(carried),
        _ => Err(NAK),
    });
    let carried = match carried {
        Ok(carried) => carried,
        Err(refusal) => return vec![reply(inner, Err(refusal), vec![0])],
    };
    let mut data = vec![0];
    let answer = inner_command(&carried, &mut data);
    let answered = reply(&carried, answer, data);
    if embedded {
        return vec![reply(inner, Ok(()), [&[0][..], &answered].concat())];
    }
    vec![reply(inner, Ok(()), vec![0]), answered]
}

/// The commands of the controller at 72h.
fn inner_command(request: &Message<'_>, out: &mut Vec<u8>) -> Answer {
    match (request.net_fn, request.cmd) {
        (net_fn::APP, cmd) => identity(cmd, 0x72, *b"bmclink-sim-0072", out),
        // One sensor, a temperature that stays.
        (net_fn::SENSOR_EVENT, 0x2d) if request.data == [0x01] => {
            out.extend_from_slice(&[41, 0xc0, 0xc0]);
            Ok(())
        }
        (net_fn::SENSOR_EVENT, 0x2f) if request.data == [0x01] => {
            out.extend_from_slice(&[0x01, THRESHOLD]);
            Ok(())
        }
        (net_fn::SENSOR_EVENT, 0x2d | 0x2f) => Err(NOT_PRESENT),
        _ => Err(CompletionCode::INVALID_COMMAND.into()),
    }
}

/// Who a controller is: Get Device ID, Get Self Test Results, Get Device GUID.
fn identity(command: u8, id: u8, guid: [u8; 16], out: &mut Vec<u8>) -> Answer {
    match command {
        0x01 => {
            // Provides device SDRs; has sensors and sends events.
            out.extend_from_slice(&[id, 0x81, 0x02, 0x05, 0x02, 0x21]);
            out.extend_from_slice(&[0xf2, 0x1b, 0, id, 0, 0, 0, 0, 0]);
        }
        0x04 => out.extend_from_slice(&[0x55, 0]),
        0x08 => {
            out.extend_from_slice(&guid);
            if let Some(last) = out.last_mut() {
                *last ^= id;
            }
        }
        _ => return Err(CompletionCode::INVALID_COMMAND.into()),
    }
    Ok(())
}

fn decode(message: &[u8]) -> Result<Message<'_>, Refusal> {
    match Message::decode_unchecked(message) {
        Ok((inner, true)) if !inner.is_response() => Ok(inner),
        // A controller drops what it cannot check, so nobody acknowledges.
        Ok((_, false)) => Err(NAK),
        Ok(_) => Err(CompletionCode::INVALID_DATA_FIELD.into()),
        Err(_) => Err(CompletionCode::DATA_LENGTH_INVALID.into()),
    }
}

/// The message that answers `request`.
fn reply(request: &Message<'_>, answer: Answer, mut data: Vec<u8>) -> Vec<u8> {
    match answer {
        Ok(()) => {}
        Err(Refusal::Code(code)) => data = vec![code],
        Err(Refusal::WithData(code)) => data[0] = code,
        Err(Refusal::Silence) => data = vec![CompletionCode::INVALID_COMMAND.0],
    }
    let response = Message {
        to_address: request.from_address,
        net_fn: request.net_fn | 1,
        to_lun: request.from_lun,
        from_address: request.to_address,
        rq_seq: request.rq_seq,
        from_lun: request.to_lun,
        cmd: request.cmd,
        data: &data,
    };
    let mut message = Vec::with_capacity(8 + data.len());
    response.encode(&mut message);
    message
}
