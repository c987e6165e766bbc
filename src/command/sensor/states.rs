//! What the states of sensors are called, and how bad they are (§42).

use std::fmt;

/// How well something is. The greater, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// All is well.
    Ok,
    /// Somebody should look at it.
    Warning,
    /// It fails, or is about to.
    Critical,
    /// It has failed and does not come back by itself.
    NonRecoverable,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Ok => "ok",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
            Severity::NonRecoverable => "non-recoverable",
        })
    }
}

/// What a sensor watches, by its number (§42.2). `Display` is its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SensorType(pub u8);

/// What kind of states a sensor has, by its number (§42.1): 1 thresholds, 2 to 0Ch generic ones,
/// 6Fh those of its sensor type, 70h to 7Fh the maker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(pub u8);

impl fmt::Display for SensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0xc0..=0xff => write!(f, "OEM type {:02x}h", self.0),
            number => match SENSOR_TYPES.get(usize::from(number)) {
                Some((name, _)) => f.write_str(name),
                None => write!(f, "type {number:02x}h"),
            },
        }
    }
}

impl EventType {
    /// Thresholds.
    pub const THRESHOLD: EventType = EventType(0x01);
    /// States of its own for each sensor type.
    pub const SENSOR_SPECIFIC: EventType = EventType(0x6f);

    /// Whether the sensor compares a value with thresholds.
    pub fn is_threshold(self) -> bool {
        self == EventType::THRESHOLD
    }

    /// What state or event number `offset`, 0 to 15, of such a sensor is called; `None` when the
    /// specification has no name for it.
    pub fn state_name(self, sensor_type: SensorType, offset: u8) -> Option<&'static str> {
        self.state(sensor_type, offset).map(|(name, _)| name)
    }

    /// How bad it is to be in that state. What the specification does not say is not bad.
    pub fn severity(self, sensor_type: SensorType, offset: u8) -> Severity {
        self.state(sensor_type, offset).map_or(Severity::Ok, |(_, severity)| severity)
    }

    fn state(self, sensor_type: SensorType, offset: u8) -> Option<(&'static str, Severity)> {
        let states = match self.0 {
            0x6f => SENSOR_TYPES.get(usize::from(sensor_type.0))?.1,
            number => GENERIC.get(usize::from(number))?,
        };
        let name = states.get(usize::from(offset)).filter(|name| !name.is_empty())?;
        Some(match name.as_bytes()[0] {
            b'~' => (&name[1..], Severity::Warning),
            b'!' => (&name[1..], Severity::Critical),
            b'#' => (&name[1..], Severity::NonRecoverable),
            _ => (name, Severity::Ok),
        })
    }
}

// A state that is bad begins with `~` (warning), `!` (critical) or `#` (non-recoverable); an
// empty one has no meaning.
type States = &'static [&'static str];

/// By event type, from 0. Those of thresholds are its events: what a sensor is in is said by
/// other bits, see `ThresholdState`.
const GENERIC: [States; 13] = [
    &[],
    &[
        "~lower non-critical going low",
        "~lower non-critical going high",
        "!lower critical going low",
        "!lower critical going high",
        "#lower non-recoverable going low",
        "#lower non-recoverable going high",
        "~upper non-critical going low",
        "~upper non-critical going high",
        "!upper critical going low",
        "!upper critical going high",
        "#upper non-recoverable going low",
        "#upper non-recoverable going high",
    ],
    &["idle", "active", "busy"],
    &["deasserted", "asserted"],
    &["no failure predicted", "~failure predicted"],
    &["limit not exceeded", "!limit exceeded"],
    &["performance met", "~performance lags"],
    &[
        "ok",
        "~non-critical, was ok",
        "!critical, was less severe",
        "#non-recoverable, was less severe",
        "~non-critical, was more severe",
        "!critical, was non-recoverable",
        "#non-recoverable",
        "monitored",
        "informational",
    ],
    &["absent", "present"],
    &["disabled", "enabled"],
    &[
        "running",
        "in test",
        "power off",
        "on line",
        "off line",
        "off duty",
        "~degraded",
        "power save",
        "!install error",
    ],
    &[
        "fully redundant",
        "~redundancy lost",
        "~redundancy degraded",
        "~not redundant: was redundant, resources suffice",
        "~not redundant: resources suffice",
        "!not redundant: resources do not suffice",
        "~redundancy degraded from full",
        "~redundancy degraded from none",
    ],
    &["D0 power", "D1 power", "D2 power", "D3 power"],
];

/// By sensor type, from 0: its name and its own states.
const SENSOR_TYPES: [(&str, States); 45] = [
    ("Reserved", &[]),
    ("Temperature", &[]),
    ("Voltage", &[]),
    ("Current", &[]),
    ("Fan", &[]),
    (
        "Physical Security",
        &[
            "~chassis intrusion",
            "~drive bay intrusion",
            "~I/O card area intrusion",
            "~processor area intrusion",
            "~LAN leash lost",
            "~unauthorized dock",
            "~fan area intrusion",
        ],
    ),
    (
        "Platform Security",
        &[
            "~secure mode violation",
            "~wrong user password before boot",
            "~wrong setup password before boot",
            "~wrong network password before boot",
            "~other wrong password before boot",
            "~wrong password out of band",
        ],
    ),
    (
        "Processor",
        &[
            "#internal error",
            "!thermal trip",
            "!self test failed at start",
            "!hang in POST",
            "!did not start",
            "!configuration error",
            "!uncorrectable complex error",
            "present",
            "~disabled",
            "terminator present",
            "~throttled",
            "!uncorrectable machine check",
            "~correctable machine check",
        ],
    ),
    (
        "Power Supply",
        &[
            "present",
            "!failed",
            "~failure predicted",
            "!input lost",
            "!input lost or out of range",
            "~input out of range but present",
            "!configuration error",
            "inactive",
        ],
    ),
    (
        "Power Unit",
        &[
            "power off",
            "power cycle",
            "240 VA power down",
            "interlock power down",
            "~AC lost",
            "!soft power control failed",
            "!failed",
            "~failure predicted",
        ],
    ),
    ("Cooling Device", &[]),
    ("Other Units-based Sensor", &[]),
    (
        "Memory",
        &[
            "~correctable error",
            "!uncorrectable error",
            "!parity error",
            "!scrub failed",
            "~device disabled",
            "~limit of correctable errors reached",
            "present",
            "!configuration error",
            "spare",
            "~throttled",
            "#too hot",
        ],
    ),
    (
        "Drive Slot",
        &[
            "present",
            "!drive fault",
            "~failure predicted",
            "hot spare",
            "consistency check",
            "!in critical array",
            "!in failed array",
            "rebuild",
            "~rebuild aborted",
        ],
    ),
    ("POST Memory Resize", &[]),
    ("System Firmware Progress", &["!POST error", "!hang", "progress"]),
    (
        "Event Logging Disabled",
        &[
            "~logging of correctable memory errors off",
            "~logging of this event type off",
            "log cleared",
            "~all logging off",
            "~log full",
            "~log almost full",
            "~logging of correctable machine checks off",
        ],
    ),
    (
        "Watchdog 1",
        &[
            "~BIOS reset",
            "!OS reset",
            "!OS shut down",
            "!OS power down",
            "!OS power cycle",
            "~OS NMI or diagnostic interrupt",
            "~OS expired",
            "~OS interrupt before time-out",
        ],
    ),
    (
        "System Event",
        &[
            "reconfigured",
            "OEM boot event",
            "!unknown hardware failure",
            "entry added to auxiliary log",
            "event filter action",
            "time synchronised",
        ],
    ),
    (
        "Critical Interrupt",
        &[
            "~front panel NMI",
            "!bus time-out",
            "!I/O channel check NMI",
            "~software NMI",
            "!PCI PERR",
            "!PCI SERR",
            "!EISA fail-safe time-out",
            "~bus correctable error",
            "!bus uncorrectable error",
            "!fatal NMI",
            "#bus fatal error",
            "~bus degraded",
        ],
    ),
    ("Button", &["power pressed", "sleep pressed", "reset pressed", "latch open", "service asked"]),
    ("Module or Board", &[]),
    ("Microcontroller", &[]),
    ("Add-in Card", &[]),
    ("Chassis", &[]),
    ("Chip Set", &["!soft power control failed", "!thermal trip"]),
    ("Other FRU", &[]),
    ("Cable or Interconnect", &["connected", "!configuration error"]),
    ("Terminator", &[]),
    (
        "System Boot or Restart",
        &[
            "power up",
            "hard reset",
            "warm reset",
            "PXE boot asked",
            "diagnostic boot",
            "OS hard reset",
            "OS warm reset",
            "restart",
        ],
    ),
    (
        "Boot Error",
        &[
            "!no bootable medium",
            "!no disk in drive",
            "!PXE server not found",
            "!invalid boot sector",
            "~boot selection timed out",
        ],
    ),
    (
        "OS Boot",
        &[
            "A: booted",
            "C: booted",
            "PXE booted",
            "diagnostics booted",
            "CD-ROM booted",
            "ROM booted",
            "booted",
            "install started",
            "install completed",
            "~install aborted",
            "!install failed",
        ],
    ),
    (
        "OS Stop or Shutdown",
        &[
            "!critical stop during load",
            "!critical stop",
            "graceful stop",
            "graceful shutdown",
            "shutdown by event filter",
            "agent does not respond",
        ],
    ),
    (
        "Slot or Connector",
        &[
            "!fault",
            "identify",
            "installed",
            "ready to install",
            "ready to remove",
            "slot power off",
            "removal asked",
            "~interlock open",
            "~disabled",
            "spare in slot",
        ],
    ),
    ("System ACPI Power State", ACPI_STATES),
    (
        "Watchdog 2",
        &[
            "~expired",
            "~hard reset",
            "~power down",
            "~power cycle",
            "",
            "",
            "",
            "",
            "interrupt before time-out",
        ],
    ),
    ("Platform Alert", &["page sent", "LAN alert sent", "trap sent", "SNMP trap sent"]),
    ("Entity Presence", &["present", "absent", "disabled"]),
    ("Monitor ASIC or IC", &[]),
    ("LAN", &["~heartbeat lost", "heartbeat"]),
    (
        "Management Subsystem Health",
        &[
            "~sensor access degraded",
            "~controller access degraded",
            "~controller off line",
            "~controller unavailable",
            "~sensor failed",
            "~FRU failed",
        ],
    ),
    ("Battery", &["~low", "!failed", "present"]),
    (
        "Session Audit",
        &["activated", "deactivated", "~wrong user or password", "~locked by wrong passwords"],
    ),
    (
        "Version Change",
        &[
            "hardware changed",
            "firmware changed",
            "~hardware incompatible",
            "~firmware incompatible",
            "~unsupported hardware version",
            "~unsupported firmware version",
            "hardware changed as planned",
            "firmware changed as planned",
        ],
    ),
    (
        "FRU State",
        &[
            "not installed",
            "inactive",
            "activation asked",
            "activating",
            "active",
            "deactivation asked",
            "deactivating",
            "~communication lost",
        ],
    ),
];

const ACPI_STATES: States = &[
    "S0/G0 working",
    "S1 sleeping, context kept",
    "S2 sleeping, processor context lost",
    "S3 sleeping, memory kept",
    "S4 suspended to disk",
    "S5/G2 soft off",
    "S4/S5 soft off",
    "G3 mechanical off",
    "sleeping in S1 to S3",
    "G1 sleeping",
    "S5 by override",
    "legacy on",
    "legacy off",
    "",
    "unknown",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_names_and_severities() {
        let own = EventType::SENSOR_SPECIFIC;
        let state = |event: EventType, sensor, offset| {
            let sensor = SensorType(sensor);
            (event.state_name(sensor, offset), event.severity(sensor, offset))
        };
        assert_eq!(state(own, 0x08, 0), (Some("present"), Severity::Ok));
        assert_eq!(state(own, 0x08, 3), (Some("input lost"), Severity::Critical));
        assert_eq!(state(own, 0x07, 0).1, Severity::NonRecoverable);
        assert_eq!(state(own, 0x22, 14).0, Some("unknown"));
        assert_eq!(state(own, 0x2c, 7).0, Some("communication lost"));
        assert_eq!(state(own, 0x23, 8).0, Some("interrupt before time-out"));
        assert_eq!(state(own, 0x23, 4), (None, Severity::Ok));
        assert_eq!(state(own, 0xc0, 0).0, None);
        assert_eq!(state(EventType(0x0b), 0x08, 1).1, Severity::Warning);
        assert_eq!(state(EventType(0x01), 1, 9).0, Some("upper critical going high"));
        assert_eq!(state(EventType(0x0d), 1, 0).0, None);
        assert_eq!(state(EventType(0x70), 1, 0).0, None);
        for (number, name) in
            [(0x01, "Temperature"), (0x0d, "Drive Slot"), (0x23, "Watchdog 2"), (0x2c, "FRU State")]
        {
            assert_eq!(SensorType(number).to_string(), name);
        }
        assert_eq!(SensorType(0x2d).to_string(), "type 2dh");
        assert_eq!(SensorType(0xc3).to_string(), "OEM type c3h");
    }

    #[test]
    fn every_number_is_answered() {
        for event in 0..=255 {
            for sensor in 0..=255 {
                for offset in 0..=255 {
                    let name = EventType(event).state_name(SensorType(sensor), offset);
                    assert!(name.is_none_or(|name| name.len() > 1));
                }
            }
        }
    }
}
