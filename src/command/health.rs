//! How well a machine is, by its sensors and its chassis.

use std::fmt;

use super::chassis::ChassisStatus;
use super::dialog::Dialog;
use super::reply::is_of_one_command;
use super::sdr::SdrRepository;
use super::sensor::{SensorRow, Severity};
use crate::error::Result;

/// How well a machine is.
///
/// `Display` is one line: the state, and what is bad.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// The worst state of anything; `None` when nothing is known, neither of a sensor nor of the
    /// chassis.
    pub state: Option<Severity>,
    /// The sensors that are not well, the worst first.
    pub bad: Vec<SensorRow>,
    /// What the chassis says is not well, the worst first.
    pub faults: Vec<(Severity, &'static str)>,
    /// How many sensors were judged.
    pub judged: usize,
    /// How many sensors gave an error in place of a reading.
    pub failed: usize,
}

impl Health {
    /// Judges what was read. A sensor that has no reading now, or whose owner cannot be reached,
    /// is neither well nor bad.
    pub fn of(rows: Vec<SensorRow>, chassis: Option<&ChassisStatus>) -> Self {
        let failed = rows.iter().filter(|row| row.result.is_err()).count();
        let judged = rows.iter().filter(|row| row.severity().is_some()).count();
        let mut bad: Vec<_> =
            rows.into_iter().filter(|row| row.severity() > Some(Severity::Ok)).collect();
        bad.sort_by_key(|row| std::cmp::Reverse(row.severity()));
        let mut faults = chassis.map(chassis_faults).unwrap_or_default();
        faults.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
        let sensors = (judged > 0).then_some(Severity::Ok);
        let well = chassis.map(|_| Severity::Ok).max(sensors);
        let worst = bad.first().and_then(SensorRow::severity);
        let state = well.max(worst).max(faults.first().map(|(severity, _)| *severity));
        Health { state, bad, faults, judged, failed }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state {
            Some(state) => state.fmt(f)?,
            None => f.write_str("unknown")?,
        }
        let chassis = self.faults.iter().map(|(_, what)| (*what).to_owned());
        let sensor =
            |row: &SensorRow| format!("{} {}", row.sensor.name, row.state_names().join(" and "));
        let mut what = chassis.chain(self.bad.iter().map(sensor));
        if let Some(first) = what.next() {
            write!(f, ": {first}")?;
        }
        what.try_for_each(|more| write!(f, ", {more}"))
    }
}

fn chassis_faults(status: &ChassisStatus) -> Vec<(Severity, &'static str)> {
    let all = [
        (status.power_overload, Severity::Critical, "power overload"),
        (status.power_fault, Severity::Critical, "power fault"),
        (status.power_control_fault, Severity::Critical, "power control fault"),
        (status.power_interlock, Severity::Warning, "power interlock open"),
        (status.drive_fault, Severity::Critical, "drive fault"),
        (status.cooling_fault, Severity::Critical, "cooling fault"),
        (status.intrusion, Severity::Warning, "chassis open"),
    ];
    let faults = all.into_iter().filter(|(is_so, ..)| *is_so);
    faults.map(|(_, severity, what)| (severity, what)).collect()
}

impl Dialog {
    /// How well the machine is: reads all sensors and the chassis status, and gives the worst
    /// state and what is not well.
    ///
    /// A BMC without a chassis, or a sensor without an answer, is no error.
    pub async fn health(&self, repository: &SdrRepository) -> Result<Health> {
        let rows = self.sensors(repository).await?;
        let chassis = match self.chassis_status().await {
            Ok(status) => Some(status),
            Err(error) if is_of_one_command(&error) => None,
            Err(error) => return Err(error),
        };
        Ok(Health::of(rows, chassis.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::play::{hostile, play, reply};
    use super::super::sdr::record_tests::{compact, full};
    use super::*;
    use crate::wire::message::net_fn;

    fn health(fan: &[u8], supply: &[u8], chassis: &[u8]) -> Health {
        let repository = SdrRepository::of_records(&[full(1, "FAN1"), compact(2, 1, "PSU")]);
        let judged = play(
            async |dialog| dialog.health(&repository).await,
            |request| match (request.net_fn, request.data.first()) {
                (net_fn::APP, _) => reply(0, &[]),
                (net_fn::CHASSIS, _) if chassis.is_empty() => reply(0xc1, &[]),
                (net_fn::CHASSIS, _) => reply(0, chassis),
                (_, Some(1)) if fan.is_empty() => reply(0xcb, &[]),
                (_, Some(1)) => reply(0, fan),
                _ => reply(0, supply),
            },
        );
        judged.expect("the session lives")
    }

    #[test]
    fn the_worst_decides() {
        let (well, present, on) = ([88, 0xc0, 0], [0, 0xc0, 1, 0x80], [0x21, 0, 0x40]);
        let all_well = health(&well, &present, &on);
        assert_eq!((all_well.state, all_well.judged, all_well.failed), (Some(Severity::Ok), 2, 0));
        assert_eq!(all_well.to_string(), "ok");

        let slow = health(&[8, 0xc0, 0x03], &[0, 0xc0, 0x05, 0x80], &[0x21, 0, 0x41]);
        assert_eq!(slow.state, Some(Severity::Critical));
        let text = "critical: chassis open, FAN1 lower non-critical and lower critical, \
                    PSU present and failure predicted";
        assert_eq!(slow.to_string(), text);

        let broken = health(&well, &present, &[0x29, 0, 0x48]);
        assert_eq!((broken.state, broken.faults.len()), (Some(Severity::Critical), 2));
        assert_eq!(broken.to_string(), "critical: power fault, cooling fault");
    }

    #[test]
    fn what_is_not_known_is_not_bad() {
        // Switched off: no readings. No chassis, no fan: errors of their own.
        let off = health(&[0, 0xe0, 0], &[0, 0xe0, 0], &[0x20, 0, 0]);
        assert_eq!((off.state, off.judged), (Some(Severity::Ok), 0));
        let unknown = health(&[], &[0, 0x80], &[]);
        assert_eq!((unknown.state, unknown.judged, unknown.failed), (None, 0, 1));
        assert_eq!(unknown.to_string(), "unknown");
    }

    #[test]
    fn hostile_answers_end() {
        let repository = SdrRepository::of_records(&[full(1, "A"), compact(2, 3, "B")]);
        hostile(1000, async |dialog| dialog.health(&repository).await);
    }
}
