//! The simulated BMC, for programs that have none at hand.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use super::guard::guard;
use super::handle::{self, Object, Out};
use crate::error::{Error, Result};

/// Simulated BMCs on the loopback device, with threads of their own.
pub struct bmclink_sim {
    simulator: Simulator,
}

impl Object for bmclink_sim {
    const NOUN: &'static str = "simulator";
}

/// Starts simulated BMCs on the loopback device: complete ones, with users "admin" (password
/// "password"), "operator" and "user" (passwords like the names).
///
/// `profile` is what they behave like: "spec", "openbmc", "go-ipmi", "pyghmi" or "ipmi-sim".
/// `serial` is what is behind their serial ports: "shell" (a login and a few commands), "echo",
/// "flood", "boot", "none" or "cmd:" and a command line that runs on a terminal. Both are
/// NUL-terminated; NULL is "spec", and "shell". `count` is 1 to 20000. Each has an address of its
/// own in 127.0.0.0/8, all the same free port: see bmclink_sim_address.
///
/// They answer when this returns. To be freed with bmclink_sim_free.
///
/// Fails with BMCLINK_ERR_MISUSE for a value out of range and when the library was built without
/// the simulator; with BMCLINK_ERR_IO when there is no socket to be had.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn bmclink_sim_start(
    profile: *const c_char,
    serial: *const c_char,
    count: u32,
    sim: *mut *mut bmclink_sim,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a handle.
        let out = unsafe { Out::new(sim, "sim") }?;
        // SAFETY: the caller gives NULL or a string.
        let profile = unsafe { text_or(profile, "profile", "spec") }?;
        // SAFETY: the caller gives NULL or a string.
        let serial = unsafe { text_or(serial, "serial", "shell") }?;
        let simulator = start(profile, serial, count as usize)?;
        out.set(handle::register(bmclink_sim { simulator }));
        Ok(())
    })
}

/// The address and UDP port of BMC `index`, from 0.
///
/// `address` gets a NUL-terminated text and has room for `capacity` bytes; BMCLINK_ADDRESS_MAX
/// are always enough. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_sim_address(
    sim: *mut bmclink_sim,
    index: u32,
    address: *mut c_char,
    capacity: usize,
    port: *mut u16,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a port.
        let out = unsafe { Out::new(port, "port") }?;
        // SAFETY: the caller gives NULL or as much room as it says.
        let room = unsafe { handle::room(address.cast(), capacity, "address") }?;
        let simulator = &handle::object(sim)?.simulator;
        let found = simulator.address(check_index(simulator, index)?);
        handle::put_text(&found.ip().to_string(), room, "address")?;
        out.set(found.port());
        Ok(())
    })
}

/// Resets BMC `index`, from 0: it forgets its sessions, without a word to anybody. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_sim_reset(sim: *mut bmclink_sim, index: u32) -> i32 {
    guard(|| change(sim, index, Change::Reset))
}

/// Has another session take the SOL of BMC `index`, from 0. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_sim_steal_sol(sim: *mut bmclink_sim, index: u32) -> i32 {
    guard(|| change(sim, index, Change::StealSol))
}

/// Has BMC `index`, from 0, answer (the default), or, with 0, be as silent as one that is switched
/// off. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_sim_set_reachable(
    sim: *mut bmclink_sim,
    index: u32,
    reachable: i32,
) -> i32 {
    guard(|| change(sim, index, Change::Reachable(reachable != 0)))
}

/// Changes the password of a user of BMC `index`, from 0. Sessions that are up stay up.
///
/// Both are bytes with a length, at most 16 and 20 of them. A user that is not there stays so. Does
/// not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_sim_set_password(
    sim: *mut bmclink_sim,
    index: u32,
    user_name: *const c_void,
    user_name_len: usize,
    password: *const c_void,
    password_len: usize,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or as many bytes as it says.
        let user_name = unsafe { handle::bytes(user_name, user_name_len, "user_name") }?;
        // SAFETY: the caller gives NULL or as many bytes as it says.
        let password = unsafe { handle::bytes(password, password_len, "password") }?;
        if user_name.len() > 16 || password.len() > 20 {
            return Err(Error::misuse("the name or the password is too long"));
        }
        change(sim, index, Change::Password(user_name, password))
    })
}

/// Has BMC `index`, from 0, answer a command `ms` milliseconds late from now on, or, with 0, at
/// once again. `net_fn` is that of the request. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_sim_set_delay_ms(
    sim: *mut bmclink_sim,
    index: u32,
    net_fn: u8,
    cmd: u8,
    ms: u32,
) -> i32 {
    guard(|| change(sim, index, Change::Delay(net_fn, cmd, Duration::from_millis(ms.into()))))
}

/// Has BMC `index`, from 0, answer a command with a completion code, the next `times` times.
/// `net_fn` is that of the request. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_sim_refuse(
    sim: *mut bmclink_sim,
    index: u32,
    net_fn: u8,
    cmd: u8,
    completion_code: u8,
    times: u32,
) -> i32 {
    guard(|| change(sim, index, Change::Refuse(net_fn, cmd, completion_code, times)))
}

/// Has BMC `index`, from 0, do something wrong from now on that real BMCs do: `name` is
/// NUL-terminated, and one of the names that `bmc_sim --help` lists. An unknown one fails with
/// BMCLINK_ERR_MISUSE and a text that lists all. Does not block.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_sim_misbehave(
    sim: *mut bmclink_sim,
    index: u32,
    name: *const c_char,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a string.
        let name = unsafe { handle::text(name, "name") }?;
        change(sim, index, Change::Misbehave(check_misbehaviour(name)?))
    })
}

/// Gives what BMC `index`, from 0, counted since it was started: `name` is NUL-terminated and one
/// of those below, `value` gets the number. Does not block.
///
/// datagrams_in, datagrams_out, open_session, rakp1, rakp3, setup_refused, sessions_opened,
/// sessions_closed, sessions_expired, commands, retransmitted_requests, activate_payload,
/// deactivate_payload, sol_in, sol_out, sol_retransmits, sol_duplicates_in, bad_auth_code,
/// unknown_session, dropped: packets and sessions of these kinds, as it sees them.
///
/// Fails with BMCLINK_ERR_MISUSE when there is no counter of that name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bmclink_sim_counter(
    sim: *mut bmclink_sim,
    index: u32,
    name: *const c_char,
    value: *mut u64,
) -> i32 {
    guard(|| {
        // SAFETY: the caller gives NULL or a place for a number.
        let out = unsafe { Out::new(value, "value") }?;
        // SAFETY: the caller gives NULL or a string.
        let name = unsafe { handle::text(name, "name") }?;
        let simulator = &handle::object(sim)?.simulator;
        let found = counter(simulator, check_index(simulator, index)?, name);
        out.set(found.ok_or_else(|| Error::misuse(format!("there is no counter {name:?}")))?);
        Ok(())
    })
}

/// What can be done to a simulated BMC.
enum Change<'a> {
    Reset,
    StealSol,
    Reachable(bool),
    Password(&'a [u8], &'a [u8]),
    Delay(u8, u8, Duration),
    Refuse(u8, u8, u8, u32),
    Misbehave(&'a str),
}

fn change(sim: *mut bmclink_sim, index: u32, change: Change<'_>) -> Result<()> {
    let simulator = &handle::object(sim)?.simulator;
    let index = check_index(simulator, index)?;
    apply(simulator, index, change);
    Ok(())
}

fn check_index(simulator: &Simulator, index: u32) -> Result<usize> {
    let index = index as usize;
    if index >= simulator.count() {
        return Err(Error::misuse(format!("there is no simulated BMC {index}")));
    }
    Ok(index)
}

/// Ends the simulated BMCs and everything they started, and blocks until that is done. NULL is
/// fine.
#[unsafe(no_mangle)]
pub extern "C" fn bmclink_sim_free(sim: *mut bmclink_sim) -> i32 {
    guard(|| handle::free(sim))
}

/// # Safety
///
/// As for [`handle::text`].
unsafe fn text_or<'a>(text: *const c_char, what: &str, otherwise: &'a str) -> Result<&'a str> {
    if text.is_null() {
        return Ok(otherwise);
    }
    // SAFETY: not NULL, and the caller promised a NUL at the end.
    unsafe { handle::text(text, what) }
}

#[cfg(feature = "sim")]
use crate::sim::Simulator;

#[cfg(feature = "sim")]
fn start(profile: &str, serial: &str, count: usize) -> Result<Simulator> {
    use crate::sim::{BmcOptions, Profile, Serial, SimulatorOptions};
    let misuse = |name: &str, error: String| Error::misuse(format!("{name:?} is {error}"));
    let profile = profile.parse::<Profile>().map_err(|e| misuse(profile, e.to_string()))?;
    let serial = serial.parse::<Serial>().map_err(|e| misuse(serial, e.to_string()))?;
    let bmc = BmcOptions { profile, ..BmcOptions::default() };
    let options = SimulatorOptions { count, serial, bmc, ..SimulatorOptions::default() };
    Simulator::start(options).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => Error::misuse(error.to_string()),
        _ => Error::io("cannot start the simulator", &error),
    })
}

#[cfg(feature = "sim")]
fn apply(simulator: &Simulator, index: usize, change: Change<'_>) {
    match change {
        Change::Reset => simulator.with(index, |bmc, now| bmc.reset(now)),
        Change::StealSol => simulator.with(index, |bmc, now| bmc.steal_sol(now)),
        Change::Reachable(reachable) => simulator.set_reachable(index, reachable),
        Change::Password(user, password) => {
            simulator.with(index, |bmc, _| bmc.set_password(user, password));
        }
        Change::Delay(net_fn, cmd, delay) => {
            simulator.with(index, |bmc, _| bmc.command_delay(net_fn, cmd, delay));
        }
        Change::Refuse(net_fn, cmd, code, times) => {
            simulator.with(index, |bmc, _| bmc.script_completion(net_fn, cmd, code, times));
        }
        Change::Misbehave(name) => {
            simulator.with(index, |bmc, _| bmc.quirks_mut().enable(name));
        }
    }
}

#[cfg(feature = "sim")]
fn check_misbehaviour(name: &str) -> Result<&str> {
    let all = crate::sim::Misbehaviour::FLAGS;
    let known = all.contains(&name).then_some(name);
    known.ok_or_else(|| Error::misuse(format!("{name:?} is none of {}", all.join(", "))))
}

#[cfg(feature = "sim")]
macro_rules! counters {
    ($($name:ident)*) => {
        fn counter(simulator: &Simulator, index: usize, name: &str) -> Option<u64> {
            let counted = simulator.with(index, |bmc, _| *bmc.counters());
            match name {
                $(stringify!($name) => Some(counted.$name),)*
                _ => None,
            }
        }
    };
}

#[cfg(feature = "sim")]
counters! {
    datagrams_in datagrams_out open_session rakp1 rakp3 setup_refused
    sessions_opened sessions_closed sessions_expired commands retransmitted_requests
    activate_payload deactivate_payload sol_in sol_out sol_retransmits sol_duplicates_in
    bad_auth_code unknown_session dropped
}

#[cfg(not(feature = "sim"))]
use absent::{Simulator, apply, check_misbehaviour, counter, start};

/// What stands in for a simulator that was not built: none can ever be started.
#[cfg(not(feature = "sim"))]
mod absent {
    use std::net::SocketAddr;

    use super::{Change, Duration, Error, Result};

    pub enum Simulator {}

    pub fn apply(simulator: &Simulator, _: usize, change: Change<'_>) {
        // Nobody has one; what could be done to it is only named here.
        let _ = matches!(change, Change::Reachable(true) | Change::Password([], []));
        let _ = matches!(change, Change::Delay(0, 0, Duration::ZERO) | Change::Refuse(0, 0, 0, 0));
        let _ = matches!(change, Change::Misbehave(""));
        match *simulator {}
    }

    pub fn counter(simulator: &Simulator, _: usize, _: &str) -> Option<u64> {
        match *simulator {}
    }

    pub fn check_misbehaviour(name: &str) -> Result<&str> {
        Err(Error::misuse(format!("there is no simulator to do {name:?}")))
    }

    impl Simulator {
        pub fn count(&self) -> usize {
            match *self {}
        }

        pub fn address(&self, _: usize) -> SocketAddr {
            match *self {}
        }
    }

    pub fn start(_: &str, _: &str, _: usize) -> Result<Simulator> {
        Err(Error::misuse("this library was built without the simulator"))
    }
}
