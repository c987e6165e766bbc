//! A BMC as what `ipmi_rs` calls a connection.

use std::time::Duration;

use ipmi_rs_core::connection::{IpmiConnection, Message, Request, RequestTargetAddress, Response};

use super::Bmc;
use crate::command::{Target, core_target, has_readable_shape};
use crate::error::{Error, ErrorKind, Result};

/// A BMC as a connection of the `ipmi-rs` crate, for its `Ipmi` and what that offers.
///
/// Its session is the one the BMC has anyway, shared with commands and console; a request is what
/// [`Bmc::raw_at`] makes of it, with the connection's timeout. Requests for other controllers are
/// bridged. Responses that crate's parsers cannot take are `PeerMisbehaved`. It can be used on
/// any thread but in a logger, which runs on those of the engine: callbacks, backends and
/// dialogs of a [`Fleet`](crate::Fleet) have threads of their own, though a dialog that blocks
/// delays those of the other BMCs.
///
/// For sensors and SDRs, mind that crate's limits: it reads records whole, which some BMCs
/// refuse, and takes a refusal for the end of the list.
///
/// ```
/// use std::time::Duration;
///
/// use bmclink::sim::{Simulator, SimulatorOptions};
/// use bmclink::{BmcConfig, Credentials, Engine, EngineConfig};
/// use ipmi_rs::app::GetDeviceId;
///
/// # fn main() -> bmclink::Result<()> {
/// # let simulator = Simulator::start(SimulatorOptions::default()).expect("loopback");
/// # let address = simulator.address(0);
/// let engine = Engine::new(EngineConfig::default())?;
/// let credentials = Credentials::new("admin", "password")?;
/// let config = BmcConfig::new(address.ip().to_string(), credentials).port(address.port());
/// let bmc = engine.bmc(config)?;
/// let mut ipmi = ipmi_rs::Ipmi::new(bmc.connection(Duration::from_secs(10)));
/// let id = ipmi.send_recv(GetDeviceId).expect("an answer");
/// assert_eq!(id.major_version, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Connection {
    bmc: Bmc,
    timeout: Duration,
    /// What was answered, and not received yet.
    response: Option<Response>,
}

impl Bmc {
    /// The BMC as a connection of the `ipmi-rs` crate, whose requests take at most `timeout`
    /// each. Does not block, and sends nothing.
    ///
    /// A connection is one caller's: between "send" and "receive" it holds a response. Make as
    /// many as you like; a [`Bmc`], whose clones are all the same, is none itself for that reason.
    pub fn connection(&self, timeout: Duration) -> Connection {
        Connection { bmc: self.clone(), timeout, response: None }
    }
}

impl Connection {
    fn exchange(&self, request: &Request) -> Result<Response> {
        let (net_fn, cmd) = (request.netfn_raw(), request.cmd());
        let target = match request.target() {
            RequestTargetAddress::Bmc(_) => Target::BMC,
            RequestTargetAddress::BmcOrIpmb(address, channel, _) => core_target(address, channel),
        };
        let lun = request.target().lun().value();
        let reply = self.bmc.raw_at(target, net_fn, lun, cmd, request.data(), self.timeout)?;
        if reply.completion_code.0 == 0 && !has_readable_shape(net_fn, cmd, &reply.data) {
            let text = format!("the response to {net_fn:02x}h {cmd:02x}h has an impossible length");
            return Err(Error::with_text(ErrorKind::PeerMisbehaved, text));
        }
        let data = [&[reply.completion_code.0], &reply.data[..]].concat();
        // Under the number of the request: of numbers it has no name for, `ipmi-rs` takes that of
        // a response for another one.
        let response = Response::new(Message::new_raw(net_fn, cmd, data), 0);
        response.ok_or_else(|| Error::new(ErrorKind::Internal))
    }
}

impl IpmiConnection for Connection {
    type SendError = Error;
    type RecvError = Error;
    type Error = Error;

    /// Sends a request and blocks until the response is there, for [`recv`](Self::recv) to give.
    fn send(&mut self, request: &mut Request) -> Result<()> {
        self.response = None;
        self.response = Some(self.exchange(request)?);
        Ok(())
    }

    fn recv(&mut self) -> Result<Response> {
        self.response.take().ok_or_else(|| Error::misuse("nothing was sent"))
    }

    fn send_recv(&mut self, request: &mut Request) -> Result<Response> {
        self.send(request)?;
        self.recv()
    }
}
