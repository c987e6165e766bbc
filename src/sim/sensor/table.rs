//! The sensors of a small server, and of the satellite controllers in it.

use super::{Analog, Factors, Format, Kind, Sensor, THRESHOLD, WhenOff};

/// Numbers of sensors that other code names.
pub(in crate::sim) mod number {
    pub const CPU_TEMP: u8 = 0x01;
    pub const INLET_TEMP: u8 = 0x02;
    pub const EXHAUST_TEMP: u8 = 0x03;
    pub const FAN1: u8 = 0x20;
    pub const FAN2: u8 = 0x21;
    pub const POWER_INPUT: u8 = 0x28;
    pub const POWER_UNIT: u8 = 0x40;
    pub const SEL: u8 = 0x41;
    pub const INTRUSION: u8 = 0x42;
    pub const ACPI_STATE: u8 = 0x43;
    pub const PS1_STATUS: u8 = 0x48;
    pub const DRIVE0: u8 = 0x50;
    #[cfg(test)]
    pub const DIMM_MARGIN: u8 = 0x04;
    #[cfg(test)]
    pub const P12V: u8 = 0x11;
    #[cfg(test)]
    pub const VREF_TRIM: u8 = 0x13;
    #[cfg(test)]
    pub const PS1_CURRENT: u8 = 0x29;
    #[cfg(test)]
    pub const AIRFLOW: u8 = 0x2a;
    #[cfg(test)]
    pub const PUMP_PERIOD: u8 = 0x2b;
    #[cfg(test)]
    pub const INLET_PRESSURE: u8 = 0x2c;
}

/// Entity IDs (Table 43-13).
pub(in crate::sim) mod entity {
    pub const PROCESSOR: u8 = 0x03;
    pub const DRIVE: u8 = 0x04;
    pub const SYSTEM_BOARD: u8 = 0x07;
    pub const POWER_SUPPLY: u8 = 0x0a;
    pub const POWER_UNIT: u8 = 0x13;
    pub const CHASSIS: u8 = 0x17;
    pub const FAN: u8 = 0x1d;
    pub const MEMORY: u8 = 0x20;
    pub const BIOS: u8 = 0x22;
    pub const BATTERY: u8 = 0x28;
    pub const CONTROLLER: u8 = 0x2e;
    pub const AIR_INLET: u8 = 0x37;
}

const DEGREES_C: u8 = 1;
const VOLTS: u8 = 4;
const AMPS: u8 = 5;
const WATTS: u8 = 6;
const KILOPASCAL: u8 = 14;
const CUBIC_FEET_PER_MINUTE: u8 = 17;
const RPM: u8 = 18;
const SECONDS: u8 = 22;

const TEMPERATURE: u8 = 0x01;
const VOLTAGE: u8 = 0x02;
const CURRENT: u8 = 0x03;
const FAN: u8 = 0x04;
const OTHER_UNITS: u8 = 0x0b;

const NONE: [Option<i16>; 6] = [None; 6];

const fn factors(m: i16, b: i16, b_exponent: i8, r_exponent: i8) -> Factors {
    Factors { m, b, b_exponent, r_exponent }
}

/// Upper non-critical, critical and non-recoverable.
const fn upper(unc: i16, uc: i16, unr: i16) -> [Option<i16>; 6] {
    [None, None, None, Some(unc), Some(uc), Some(unr)]
}

/// Non-critical and critical, below and above.
const fn both(lnc: i16, lc: i16, unc: i16, uc: i16) -> [Option<i16>; 6] {
    [Some(lnc), Some(lc), None, Some(unc), Some(uc), None]
}

/// An unsigned linear sensor without thresholds that stays where it is.
const fn analog(base_unit: u8, factors: Factors, mean: i16) -> Analog {
    Analog {
        format: Format::Unsigned,
        percent: false,
        base_unit,
        linearization: 0,
        factors,
        mean,
        sway: 0,
        period_s: 1,
        thresholds: NONE,
    }
}

const fn moving(analog: Analog, sway: i16, period_s: u16, thresholds: [Option<i16>; 6]) -> Analog {
    Analog { sway, period_s, thresholds, ..analog }
}

const fn threshold(
    number: u8,
    name: &'static str,
    sensor_type: u8,
    entity: (u8, u8),
    when_off: WhenOff,
    analog: Analog,
) -> Sensor {
    let kind = Kind::Analog(analog);
    Sensor { number, lun: 0, name, sensor_type, event_type: THRESHOLD, entity, when_off, kind }
}

const fn discrete(
    number: u8,
    name: &'static str,
    types: (u8, u8),
    entity: (u8, u8),
    when_off: WhenOff,
    states: u16,
) -> Sensor {
    let (sensor_type, event_type) = types;
    let kind = Kind::Discrete(states);
    Sensor { number, lun: 0, name, sensor_type, event_type, entity, when_off, kind }
}

const PLAIN: Factors = factors(1, 0, 0, 0);
const PSU: (u8, u8) = (entity::POWER_SUPPLY, 1);
const BOARD: (u8, u8) = (entity::SYSTEM_BOARD, 1);

/// The BMC's own sensors.
pub(in crate::sim) static BMC_SENSORS: &[Sensor] = &[
    threshold(
        number::CPU_TEMP,
        "CPU1 Temp",
        TEMPERATURE,
        (entity::PROCESSOR, 1),
        WhenOff::Unavailable,
        moving(analog(DEGREES_C, PLAIN, 52), 6, 90, upper(85, 95, 105)),
    ),
    threshold(
        number::INLET_TEMP,
        "Inlet Temp",
        TEMPERATURE,
        (entity::AIR_INLET, 1),
        WhenOff::Same,
        Analog {
            format: Format::TwosComplement,
            ..moving(analog(DEGREES_C, PLAIN, 23), 2, 600, both(3, -7, 42, 47))
        },
    ),
    threshold(
        number::EXHAUST_TEMP,
        "Exhaust Temp",
        TEMPERATURE,
        BOARD,
        WhenOff::Reads(74),
        moving(
            analog(DEGREES_C, factors(-1, 1, 2, 0), 62),
            3,
            240,
            [None, None, None, Some(40), Some(30), None],
        ),
    ),
    threshold(
        0x04,
        "DIMM Margin",
        TEMPERATURE,
        (entity::MEMORY, 1),
        WhenOff::Unavailable,
        Analog {
            format: Format::TwosComplement,
            ..moving(analog(DEGREES_C, PLAIN, -30), 4, 120, upper(-10, -2, 0))
        },
    ),
    // The same number as the processor's, on another LUN: a number alone does not name a sensor.
    Sensor {
        lun: 1,
        ..threshold(
            number::CPU_TEMP,
            "Riser Temp",
            TEMPERATURE,
            BOARD,
            WhenOff::Unavailable,
            moving(analog(DEGREES_C, PLAIN, 33), 1, 300, upper(70, 80, 90)),
        )
    },
    threshold(
        0x10,
        "CPU1 Vcore",
        VOLTAGE,
        (entity::PROCESSOR, 1),
        WhenOff::Unavailable,
        moving(analog(VOLTS, factors(49, 0, 0, -4), 180), 3, 40, both(150, 140, 210, 220)),
    ),
    threshold(
        0x11,
        "P12V",
        VOLTAGE,
        BOARD,
        WhenOff::Unavailable,
        moving(analog(VOLTS, factors(63, 0, 0, -3), 192), 1, 30, both(180, 171, 202, 210)),
    ),
    threshold(
        0x12,
        "VBAT",
        VOLTAGE,
        (entity::BATTERY, 1),
        WhenOff::Same,
        moving(analog(VOLTS, factors(16, 0, 0, -3), 190), 0, 1, both(160, 150, 220, 230)),
    ),
    threshold(
        0x13,
        "VREF Trim",
        VOLTAGE,
        BOARD,
        WhenOff::Unavailable,
        Analog {
            format: Format::OnesComplement,
            ..moving(analog(VOLTS, factors(1, 0, 0, -3), -12), 3, 70, NONE)
        },
    ),
    threshold(
        number::FAN1,
        "Fan1",
        FAN,
        (entity::FAN, 1),
        WhenOff::Unavailable,
        moving(
            analog(RPM, factors(50, 0, 0, 0), 124),
            4,
            45,
            [Some(30), Some(20), Some(10), None, None, None],
        ),
    ),
    threshold(
        number::FAN2,
        "Fan2",
        FAN,
        (entity::FAN, 2),
        WhenOff::Unavailable,
        moving(
            analog(RPM, factors(50, 0, 0, 0), 120),
            4,
            50,
            [Some(30), Some(20), Some(10), None, None, None],
        ),
    ),
    threshold(
        0x22,
        "Fan Duty",
        FAN,
        (entity::FAN, 1),
        WhenOff::Reads(0),
        Analog { percent: true, ..moving(analog(0, PLAIN, 47), 3, 45, NONE) },
    ),
    threshold(
        number::POWER_INPUT,
        "PS1 Input",
        OTHER_UNITS,
        PSU,
        WhenOff::Reads(3),
        moving(analog(WATTS, factors(4, 0, 0, 0), 53), 7, 60, upper(180, 200, 220)),
    ),
    threshold(
        0x29,
        "PS1 Current",
        CURRENT,
        PSU,
        WhenOff::Unavailable,
        moving(analog(AMPS, factors(1, 5, 1, -2), 45), 5, 60, NONE),
    ),
    threshold(
        0x2a,
        "Airflow",
        OTHER_UNITS,
        (entity::CHASSIS, 1),
        WhenOff::Unavailable,
        Analog {
            linearization: 10,
            ..moving(analog(CUBIC_FEET_PER_MINUTE, factors(1, 0, 0, 1), 160), 8, 80, NONE)
        },
    ),
    threshold(
        0x2b,
        "Pump Period",
        OTHER_UNITS,
        (entity::CHASSIS, 1),
        WhenOff::Unavailable,
        Analog { linearization: 7, ..moving(analog(SECONDS, PLAIN, 50), 4, 66, NONE) },
    ),
    threshold(
        0x2c,
        "Inlet Pressure",
        OTHER_UNITS,
        (entity::AIR_INLET, 1),
        WhenOff::Same,
        Analog {
            linearization: super::NON_LINEAR,
            ..moving(analog(KILOPASCAL, PLAIN, 100), 2, 500, NONE)
        },
    ),
    discrete(
        number::POWER_UNIT,
        "Power Unit",
        (0x09, 0x6f),
        (entity::POWER_UNIT, 1),
        WhenOff::Reads(0x01),
        0,
    ),
    discrete(number::SEL, "SEL Fullness", (0x10, 0x6f), BOARD, WhenOff::Same, 0),
    discrete(number::INTRUSION, "Intrusion", (0x05, 0x6f), (entity::CHASSIS, 1), WhenOff::Same, 0),
    discrete(number::ACPI_STATE, "ACPI State", (0x22, 0x6f), BOARD, WhenOff::Reads(0x40), 0x01),
    discrete(0x44, "Watchdog2", (0x23, 0x6f), BOARD, WhenOff::Same, 0),
    discrete(0x45, "CPU1 Status", (0x07, 0x6f), (entity::PROCESSOR, 1), WhenOff::Same, 0x80),
    discrete(0x46, "Fan Redundancy", (0x04, 0x0b), (entity::FAN, 1), WhenOff::Unavailable, 0x01),
    discrete(number::PS1_STATUS, "PS1 Status", (0x08, 0x6f), PSU, WhenOff::Same, 0x01),
    discrete(0x49, "PS2 Status", (0x08, 0x6f), (entity::POWER_SUPPLY, 2), WhenOff::Same, 0x01),
    // Described by one record for all four.
    discrete(number::DRIVE0, "Drive", (0x0d, 0x6f), (entity::DRIVE, 1), WhenOff::Same, 0x01),
    discrete(0x51, "Drive", (0x0d, 0x6f), (entity::DRIVE, 2), WhenOff::Same, 0x01),
    discrete(0x52, "Drive", (0x0d, 0x6f), (entity::DRIVE, 3), WhenOff::Same, 0x01),
    discrete(0x53, "Drive", (0x0d, 0x6f), (entity::DRIVE, 4), WhenOff::Same, 0),
];

/// The sensors of the satellite controllers.
pub(in crate::sim) static SATELLITE_SENSORS: &[Sensor] = &[
    threshold(
        0x08,
        "PCH Temp",
        TEMPERATURE,
        (entity::CONTROLLER, 1),
        WhenOff::Unavailable,
        moving(analog(DEGREES_C, PLAIN, 44), 3, 75, upper(90, 100, 108)),
    ),
    threshold(
        0x09,
        "ME Power",
        OTHER_UNITS,
        (entity::CONTROLLER, 1),
        WhenOff::Unavailable,
        moving(analog(WATTS, factors(2, 0, 0, 0), 90), 9, 60, NONE),
    ),
    discrete(0x17, "ME Health", (0x28, 0x6f), (entity::CONTROLLER, 1), WhenOff::Same, 0),
];
