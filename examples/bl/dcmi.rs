//! `dcmi`: what data centers want to know.

use bmclink::{Error, ErrorKind};

use crate::link::Link;
use crate::names;
use crate::text::{Failure, Outcome, number, reason, warn};
use crate::usage;

pub fn run(link: &mut Link, words: &[&str]) -> Outcome {
    match words {
        ["power", rest @ ..] => power(link, rest),
        ["asset_tag", ..] => {
            let tag = link.run(async |dialog| dialog.asset_tag().await)?.map_err(failed)?;
            out!("\n Asset tag: {}\n", String::from_utf8_lossy(&tag));
            Ok(())
        }
        ["set_asset_tag", tag, ..] => {
            link.run(async |dialog| dialog.set_asset_tag(tag).await)?.map_err(failed)?;
            out!("\n Set Asset Tag: {tag}\n");
            Ok(())
        }
        ["get_mc_id_string", ..] => {
            let id = link.run(async |dialog| dialog.controller_id().await)?.map_err(failed)?;
            out!("\n Get Management Controller Identifier String: {id}\n");
            Ok(())
        }
        ["set_mc_id_string", id, ..] => {
            link.run(async |dialog| dialog.set_controller_id(id).await)?.map_err(failed)?;
            out!("\n Set Management Controller Identifier String Command: {id}\n");
            Ok(())
        }
        ["help", ..] => {
            warn(usage::DCMI);
            Ok(())
        }
        _ => Err(Failure::new(usage::DCMI)),
    }
}

fn failed(error: Error) -> Failure {
    let no_dcmi = error.completion_code().is_some_and(|code| code.0 == 0xc1);
    let hint = if no_dcmi { "\n    The BMC has no DCMI, or none of this" } else { "" };
    let code = match error.completion_code() {
        Some(code) => format!(" ({:x})", code.0),
        None => String::new(),
    };
    Failure::new(format!("\n    DCMI request failed because: {}{code}{hint}", reason(&error)))
}

fn power(link: &mut Link, words: &[&str]) -> Outcome {
    match words {
        ["reading", ..] => reading(link),
        ["get_limit", ..] => get_limit(link),
        ["set_limit", "limit", watts, ..] => set_limit(link, watts),
        ["activate", ..] => activate(link, true),
        ["deactivate", ..] => activate(link, false),
        [] | ["help", ..] | ["set_limit", ..] => Err(Failure::new(usage::DCMI_POWER)),
        // ipmitool has nothing against these either.
        [_, ..] => {
            warn(usage::DCMI_POWER);
            Ok(())
        }
    }
}

fn reading(link: &mut Link) -> Outcome {
    let reading = link.run(async |dialog| dialog.power_reading().await)?.map_err(failed)?;
    let state = if reading.valid { "activated" } else { "deactivated" };
    out!();
    out!("    Instantaneous power reading:              {:>8} Watts", reading.current);
    out!("    Minimum during sampling period:           {:>8} Watts", reading.minimum);
    out!("    Maximum during sampling period:           {:>8} Watts", reading.maximum);
    out!("    Average power reading over sample period: {:>8} Watts", reading.average);
    let time = names::timestamp(reading.timestamp);
    let period = format!("{:08} Seconds.", reading.period.as_secs());
    // Two in a line, as in ipmitool.
    part!("    IPMI timestamp:                           {time}");
    out!("    Sampling period:                          {period}");
    out!("    Power reading state is:                   {state}");
    out!("\n");
    Ok(())
}

fn get_limit(link: &mut Link) -> Outcome {
    let limit = link.run(async |dialog| dialog.power_limit().await)?.map_err(failed)?;
    let state = if limit.active { "Power Limit Active" } else { "No Active Power Limit" };
    let action = match limit.exception_action {
        0x00 => "No Action",
        0x01 => "Hard Power Off & Log Event to SEL",
        0x11 => "Log Event to SEL",
        _ => "OEM",
    };
    out!();
    out!("    Current Limit State: {state}");
    out!("    Exception actions:   {action}");
    out!("    Power Limit:         {} Watts", limit.limit);
    out!("    Correction time:     {} milliseconds", limit.correction_ms);
    out!("    Sampling period:     {} seconds", limit.sampling);
    out!("\n");
    Ok(())
}

fn set_limit(link: &mut Link, word: &str) -> Outcome {
    let watts = number(word).and_then(|watts| u16::try_from(watts).ok());
    let watts = watts.ok_or_else(|| Failure::new(format!("Given limit '{word}' is invalid.")))?;
    let set = async |dialog: bmclink::Dialog| {
        let mut limit = dialog.power_limit().await?;
        limit.limit = watts;
        dialog.set_power_limit(limit).await
    };
    link.run(set)?.map_err(failed)?;
    out!("\n    Power Limit:         {watts} Watts\n");
    Ok(())
}

fn activate(link: &mut Link, active: bool) -> Outcome {
    let set = link.run(async |dialog| dialog.activate_power_limit(active).await)?;
    match set {
        Ok(()) => {
            out!(
                "\n    Power limit successfully {}",
                if active { "activated" } else { "deactivated" }
            );
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::Completion => Err(failed(error)),
        Err(error) => Err(Failure::of("Error", &error)),
    }
}
