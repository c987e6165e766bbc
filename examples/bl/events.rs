//! What sensor types and events are called: the words that scripts look for.

/// By event type, from 0.
const GENERIC: [&[&str]; 13] = [
    &[],
    &[
        "Lower Non-critical going low ",
        "Lower Non-critical going high",
        "Lower Critical going low ",
        "Lower Critical going high",
        "Lower Non-recoverable going low ",
        "Lower Non-recoverable going high",
        "Upper Non-critical going low ",
        "Upper Non-critical going high",
        "Upper Critical going low ",
        "Upper Critical going high",
        "Upper Non-recoverable going low ",
        "Upper Non-recoverable going high",
    ],
    &["Transition to Idle", "Transition to Active", "Transition to Busy"],
    &["State Deasserted", "State Asserted"],
    &["Predictive Failure Deasserted", "Predictive Failure Asserted"],
    &["Limit Not Exceeded", "Limit Exceeded"],
    &["Performance Met", "Performance Lags"],
    &[
        "Transition to OK",
        "Transition to Non-critical from OK",
        "Transition to Critical from less severe",
        "Transition to Non-recoverable from less severe",
        "Transition to Non-critical from more severe",
        "Transition to Critical from Non-recoverable",
        "Transition to Non-recoverable",
        "Monitor",
        "Informational",
    ],
    &["Device Absent", "Device Present"],
    &["Device Disabled", "Device Enabled"],
    &[
        "Transition to Running",
        "Transition to In Test",
        "Transition to Power Off",
        "Transition to On Line",
        "Transition to Off Line",
        "Transition to Off Duty",
        "Transition to Degraded",
        "Transition to Power Save",
        "Install Error",
    ],
    &[
        "Fully Redundant",
        "Redundancy Lost",
        "Redundancy Degraded",
        "Non-Redundant: Sufficient from Redundant",
        "Non-Redundant: Sufficient from Insufficient",
        "Non-Redundant: Insufficient Resources",
        "Redundancy Degraded from Fully Redundant",
        "Redundancy Degraded from Non-Redundant",
    ],
    &["D0 Power State", "D1 Power State", "D2 Power State", "D3 Power State"],
];

/// By sensor type, from 0: its name and its own events.
const SENSOR_TYPES: [(&str, &[&str]); 45] = [
    ("reserved", &[]),
    ("Temperature", &[]),
    ("Voltage", &[]),
    ("Current", &[]),
    ("Fan", &[]),
    (
        "Physical Security",
        &[
            "General Chassis intrusion",
            "Drive Bay intrusion",
            "I/O Card area intrusion",
            "Processor area intrusion",
            "System unplugged from LAN",
            "Unauthorized dock",
            "FAN area intrusion",
        ],
    ),
    (
        "Platform Security",
        &[
            "Front Panel Lockout violation attempted",
            "Pre-boot password violation - user password",
            "Pre-boot password violation - setup password",
            "Pre-boot password violation - network boot password",
            "Other pre-boot password violation",
            "Out-of-band access password violation",
        ],
    ),
    (
        "Processor",
        &[
            "IERR",
            "Thermal Trip",
            "FRB1/BIST failure",
            "FRB2/Hang in POST failure",
            "FRB3/Processor startup/init failure",
            "Configuration Error",
            "SM BIOS Uncorrectable CPU-complex Error",
            "Presence detected",
            "Disabled",
            "Terminator presence detected",
            "Throttled",
            "Uncorrectable machine check exception",
            "Correctable machine check error",
        ],
    ),
    (
        "Power Supply",
        &[
            "Presence detected",
            "Failure detected",
            "Predictive failure",
            "Power Supply AC lost",
            "AC lost or out-of-range",
            "AC out-of-range, but present",
            "Config Error",
            "Power Supply Inactive",
        ],
    ),
    (
        "Power Unit",
        &[
            "Power off/down",
            "Power cycle",
            "240VA power down",
            "Interlock power down",
            "AC lost",
            "Soft-power control failure",
            "Failure detected",
            "Predictive failure",
        ],
    ),
    ("Cooling Device", &[]),
    ("Other", &[]),
    (
        "Memory",
        &[
            "Correctable ECC",
            "Uncorrectable ECC",
            "Parity",
            "Memory Scrub Failed",
            "Memory Device Disabled",
            "Correctable ECC logging limit reached",
            "Presence Detected",
            "Configuration Error",
            "Spare",
            "Throttled",
            "Critical Overtemperature",
        ],
    ),
    (
        "Drive Slot / Bay",
        &[
            "Drive Present",
            "Drive Fault",
            "Predictive Failure",
            "Hot Spare",
            "Parity Check In Progress",
            "In Critical Array",
            "In Failed Array",
            "Rebuild In Progress",
            "Rebuild Aborted",
        ],
    ),
    ("POST Memory Resize", &[]),
    ("System Firmwares", &["Unknown Error", "Unknown Hang", "Unknown Progress"]),
    (
        "Event Logging Disabled",
        &[
            "Correctable memory error logging disabled",
            "Event logging disabled",
            "Log area reset/cleared",
            "All event logging disabled",
            "Log full",
            "Log almost full",
        ],
    ),
    (
        "Watchdog1",
        &[
            "BIOS Reset",
            "OS Reset",
            "OS Shut Down",
            "OS Power Down",
            "OS Power Cycle",
            "OS NMI/Diag Interrupt",
            "OS Expired",
            "OS pre-timeout Interrupt",
        ],
    ),
    (
        "System Event",
        &[
            "System Reconfigured",
            "OEM System boot event",
            "Undetermined system hardware failure",
            "Entry added to auxiliary log",
            "PEF Action",
            "Timestamp Clock Sync",
        ],
    ),
    (
        "Critical Interrupt",
        &[
            "NMI/Diag Interrupt",
            "Bus Timeout",
            "I/O Channel check NMI",
            "Software NMI",
            "PCI PERR",
            "PCI SERR",
            "EISA failsafe timeout",
            "Bus Correctable error",
            "Bus Uncorrectable error",
            "Fatal NMI",
            "Bus Fatal Error",
            "Bus Degraded",
        ],
    ),
    (
        "Button",
        &[
            "Power Button pressed",
            "Sleep Button pressed",
            "Reset Button pressed",
            "FRU Latch",
            "FRU Service",
        ],
    ),
    ("Module / Board", &[]),
    ("Microcontroller", &[]),
    ("Add-in Card", &[]),
    ("Chassis", &[]),
    ("Chip Set", &["Soft Power Control Failure", "Thermal Trip"]),
    ("Other FRU", &[]),
    ("Cable / Interconnect", &["Connected", "Config Error"]),
    ("Terminator", &[]),
    (
        "System Boot Initiated",
        &[
            "Initiated by power up",
            "Initiated by hard reset",
            "Initiated by warm reset",
            "User requested PXE boot",
            "Automatic boot to diagnostic",
            "OS initiated hard reset",
            "OS initiated warm reset",
            "System Restart",
        ],
    ),
    (
        "Boot Error",
        &[
            "No bootable media",
            "Non-bootable disk in drive",
            "PXE server not found",
            "Invalid boot sector",
            "Timeout waiting for selection",
        ],
    ),
    (
        "OS Boot",
        &[
            "A: boot completed",
            "C: boot completed",
            "PXE boot completed",
            "Diagnostic boot completed",
            "CD-ROM boot completed",
            "ROM boot completed",
            "boot completed - device not specified",
            "Installation started",
            "Installation completed",
            "Installation aborted",
            "Installation failed",
        ],
    ),
    (
        "OS Critical Stop",
        &[
            "Error during system startup",
            "Run-time critical stop",
            "OS graceful stop",
            "OS graceful shutdown",
            "PEF initiated soft shutdown",
            "Agent not responding",
        ],
    ),
    (
        "Slot / Connector",
        &[
            "Fault Status",
            "Identify Status",
            "Device Installed",
            "Ready for Device Installation",
            "Ready for Device Removal",
            "Slot Power is Off",
            "Device Removal Request",
            "Interlock",
            "Slot is Disabled",
            "Spare Device",
        ],
    ),
    (
        "System ACPI Power State",
        &[
            "S0/G0: working",
            "S1: sleeping with system hw & processor context maintained",
            "S2: sleeping, processor context lost",
            "S3: sleeping, processor & hw context lost, memory retained",
            "S4: non-volatile sleep/suspend-to-disk",
            "S5/G2: soft-off",
            "S4/S5: soft-off",
            "G3: mechanical off",
            "Sleeping in S1/S2/S3 state",
            "G1: sleeping",
            "S5: entered by override",
            "Legacy ON state",
            "Legacy OFF state",
            "",
            "Unknown",
        ],
    ),
    (
        "Watchdog2",
        &[
            "Timer expired",
            "Hard reset",
            "Power down",
            "Power cycle",
            "reserved",
            "reserved",
            "reserved",
            "reserved",
            "Timer interrupt",
        ],
    ),
    (
        "Platform Alert",
        &[
            "Platform generated page",
            "Platform generated LAN alert",
            "Platform Event Trap generated",
            "Platform generated SNMP trap, OEM format",
        ],
    ),
    ("Entity Presence", &["Present", "Absent", "Disabled"]),
    ("Monitor ASIC", &[]),
    ("LAN", &["Heartbeat Lost", "Heartbeat"]),
    (
        "Management Subsys Health",
        &[
            "Sensor access degraded or unavailable",
            "Controller access degraded or unavailable",
            "Management controller off-line",
            "Management controller unavailable",
            "Sensor failure",
            "FRU failure",
        ],
    ),
    ("Battery", &["Low", "Failed", "Presence Detected"]),
    ("Session Audit", &[]),
    (
        "Version Change",
        &[
            "Hardware change detected",
            "Firmware or software change detected",
            "Hardware incompatibility detected",
            "Firmware or software incompatibility detected",
            "Invalid or unsupported hardware version",
            "Invalid or unsupported firmware or software version",
            "Hardware change success",
        ],
    ),
    (
        "FRU State",
        &[
            "Not Installed",
            "Inactive",
            "Activation Requested",
            "Activation in Progress",
            "Active",
            "Deactivation Requested",
            "Deactivation in Progress",
            "Communication lost",
        ],
    ),
];

/// What is wrong with the configuration of a power supply.
const SUPPLY_ERRORS: [&str; 5] = [
    "Config Error: Vendor Mismatch",
    "Config Error: Revision Mismatch",
    "Config Error: Processor Missing",
    "Config Error: Power Supply Rating Mismatch",
    "Config Error: Voltage Rating Mismatch",
];

/// Errors of the firmware that starts the system.
const FIRMWARE_ERRORS: [&str; 14] = [
    "Unspecified",
    "No system memory installed",
    "No usable system memory",
    "Unrecoverable IDE device failure",
    "Unrecoverable system-board failure",
    "Unrecoverable diskette failure",
    "Unrecoverable hard-disk controller failure",
    "Unrecoverable PS/2 or USB keyboard failure",
    "Removable boot media not found",
    "Unrecoverable video controller failure",
    "No video device selected",
    "BIOS corruption detected",
    "CPU voltage mismatch",
    "CPU speed mismatch failure",
];

/// What that firmware does, or hangs in.
const FIRMWARE_PROGRESS: [&str; 26] = [
    "Unspecified",
    "Memory initialization",
    "Hard-disk initialization",
    "Secondary CPU Initialization",
    "User authentication",
    "User-initiated system setup",
    "USB resource configuration",
    "PCI resource configuration",
    "Option ROM initialization",
    "Video initialization",
    "Cache initialization",
    "SMBus initialization",
    "Keyboard controller initialization",
    "Management controller initialization",
    "Docking station attachment",
    "Enabling docking station",
    "Docking station ejection",
    "Disabling docking station",
    "Calling operating system wake-up vector",
    "System boot initiated",
    "Motherboard initialization",
    "reserved",
    "Floppy initialization",
    "Keyboard test",
    "Pointing device test",
    "Primary CPU initialization",
];

/// The name of a sensor type.
pub fn sensor_type(number: u8) -> &'static str {
    match SENSOR_TYPES.get(usize::from(number)) {
        Some((name, _)) => name,
        None => "Unknown",
    }
}

/// All of them with their numbers, from 1.
pub fn sensor_types() -> impl Iterator<Item = (u8, &'static str)> {
    (0..).zip(SENSOR_TYPES).skip(1).map(|(number, (name, _))| (number, name))
}

/// What an event or state is called; empty when it has no name.
pub fn event(event_type: u8, sensor_type: u8, offset: u8) -> &'static str {
    let names = match event_type {
        0x6f => SENSOR_TYPES.get(usize::from(sensor_type)).map(|(_, events)| *events),
        number => GENERIC.get(usize::from(number)).copied(),
    };
    names.and_then(|names| names.get(usize::from(offset))).copied().unwrap_or("")
}

/// The same, where a second byte can say more.
pub fn event_with(event_type: u8, sensor_type: u8, offset: u8, detail: Option<u8>) -> &'static str {
    let details: &[&str] = match (event_type, sensor_type, offset) {
        (0x6f, 0x08, 6) => &SUPPLY_ERRORS,
        (0x6f, 0x0f, 0) => &FIRMWARE_ERRORS,
        (0x6f, 0x0f, 1 | 2) => &FIRMWARE_PROGRESS,

        _ => &[],
    };
    let more = detail.and_then(|detail| details.get(usize::from(detail)));
    more.copied().unwrap_or_else(|| event(event_type, sensor_type, offset))
}
