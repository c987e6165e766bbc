//! Words for numbers.

/// Boot devices by their numbers.
pub const BOOT_DEVICES: [(u8, &str); 12] = [
    (0, "No override"),
    (1, "Force PXE"),
    (2, "Force Boot from default Hard-Drive"),
    (3, "Force Boot from default Hard-Drive, request Safe-Mode"),
    (4, "Force Boot from Diagnostic Partition"),
    (5, "Force Boot from CD/DVD"),
    (6, "Force Boot into BIOS Setup"),
    (7, "Force Boot from remotely connected Floppy/primary removable media"),
    (8, "Force Boot from remotely connected CD/DVD"),
    (9, "Force Boot from primary remote media"),
    (11, "Force Boot from remotely connected Hard-Drive"),
    (15, "Force Boot from Floppy/primary removable media"),
];

pub const REDIRECTIONS: [&str; 3] = [
    "Console redirection occurs per BIOS configuration setting (default)",
    "Suppress (skip) console redirection if enabled",
    "Request console redirection be enabled",
];

pub const MUX_OVERRIDES: [&str; 3] = [
    "BIOS uses recommended setting of the mux at the end of POST",
    "Requests BIOS to force mux to BMC at conclusion of POST/start of OS boot",
    "Requests BIOS to force mux to system at conclusion of POST/start of OS boot",
];

/// Bits of boot parameter 2, highest first as printed.
pub const SERVICE_SCAN: [(u8, &str); 2] =
    [(0x02, "Request BIOS to scan"), (0x01, "Service Partition Discovered")];

/// Bits of boot parameter 3, as printed.
pub const VALID_CLEARING: [(u8, &str); 5] = [
    (0x10, "Don't clear valid bit on reset/power cycle cause by PEF"),
    (0x08, "Don't automatically clear boot flag valid bit on timeout"),
    (0x04, "Don't clear valid bit on reset/power cycle cause by watchdog"),
    (0x02, "Don't clear valid bit on push button reset // soft reset"),
    (0x01, "Don't clear valid bit on power up via power push button or wake event"),
];

/// Makers of BMCs by their numbers at IANA. ipmitool has a file of all 60,000.
const MANUFACTURERS: [(u32, &str); 25] = [
    (2, "IBM"),
    (9, "Cisco Systems"),
    (11, "Hewlett-Packard"),
    (42, "Oracle"),
    (63, "Apple"),
    (119, "NEC"),
    (343, "Intel Corporation"),
    (674, "DELL Inc"),
    (2011, "Huawei Technologies Co., Ltd"),
    (2623, "ASUSTek Computer, Inc."),
    (4128, "ARM Ltd."),
    (4753, "MontaVista Software, Inc."),
    (5703, "NVIDIA Corporation"),
    (6653, "Tyan Computer Corporation"),
    (7154, "Intelligent Platform Management Interface forum"),
    (7244, "Quanta Computer Inc."),
    (10368, "Fujitsu Technology Solutions GmbH"),
    (10876, "Super Micro Computer Inc."),
    (15000, "Kontron Canada Inc."),
    (15370, "GIGABYTE TECHNOLOGY CO.,LTD."),
    (19046, "Lenovo Enterprise Business Group"),
    (20974, "American Megatrends, Inc."),
    (40092, "Wiwynn Corporation"),
    (47196, "Hewlett Packard Enterprise"),
    (49769, "YADRO"),
];

/// The maker of that number, `Unknown` when it is not one of a few.
pub fn manufacturer(number: u32) -> &'static str {
    let found = MANUFACTURERS.iter().find(|(own, _)| *own == number);
    found.map_or("Unknown", |(_, name)| name)
}

/// What kind of part an entity is, by its number.
pub fn entity(id: u8) -> &'static str {
    const NAMES: [&str; 56] = [
        "Unspecified",
        "Other",
        "Unknown",
        "Processor",
        "Disk or Disk Bay",
        "Peripheral Bay",
        "System Management Module",
        "System Board",
        "Memory Module",
        "Processor Module",
        "Power Supply",
        "Add-in Card",
        "Front Panel Board",
        "Back Panel Board",
        "Power System Board",
        "Drive Backplane",
        "System Internal Expansion Board",
        "Other System Board",
        "Processor Board",
        "Power Unit",
        "Power Module",
        "Power Management",
        "Chassis Back Panel Board",
        "System Chassis",
        "Sub-Chassis",
        "Other Chassis Board",
        "Disk Drive Bay",
        "Peripheral Bay",
        "Device Bay",
        "Fan Device",
        "Cooling Unit",
        "Cable/Interconnect",
        "Memory Device",
        "System Management Software",
        "BIOS",
        "Operating System",
        "System Bus",
        "Group",
        "Remote Management Device",
        "External Environment",
        "Battery",
        "Processing Blade",
        "Connectivity Switch",
        "Processor/Memory Module",
        "I/O Module",
        "Processor/IO Module",
        "Management Controller Firmware",
        "IPMI Channel",
        "PCI Bus",
        "PCI Express Bus",
        "SCSI Bus (parallel)",
        "SATA/SAS Bus",
        "Processor/Front-Side Bus",
        "Real Time Clock(RTC)",
        "Reserved",
        "Air Inlet",
    ];
    match id {
        0x40 => "Air Inlet",
        0x41 => "Processor",
        0x42 => "Baseboard/Main System Board",
        _ => NAMES.get(usize::from(id)).unwrap_or(&"Unknown"),
    }
}

/// Seconds since 1970 as a date and a time, in UTC.
pub fn date_and_time(seconds: u32) -> (String, String) {
    let (days, second) = (i64::from(seconds / 86_400), seconds % 86_400);
    let (year, month, day) = civil(days);
    let date = format!("{month:02}/{day:02}/{:02}", year % 100);
    (date, format!("{:02}:{:02}:{:02} UTC", second / 3600, second / 60 % 60, second % 60))
}

/// A time of the BMC's clock; before it was set that is what has passed since it started.
pub fn timestamp(seconds: u32) -> String {
    match seconds {
        u32::MAX => "Unspecified".to_owned(),
        0..=0x2000_0000 => {
            let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            format!("S+ {h:02}:{m:02}:{s:02}")
        }
        _ => {
            let (date, time) = date_and_time(seconds);
            format!("{date} {time}")
        }
    }
}

/// Year, month and day of a number of days since 1970-01-01.
pub fn civil(days: i64) -> (i64, u32, u32) {
    let mut year = 1970 + days / 366;
    while day_of_year(year + 1) <= days {
        year += 1;
    }
    let mut rest = days - day_of_year(year);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let months = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while rest >= months[month] {
        rest -= months[month];
        month += 1;
    }
    (year, month as u32 + 1, rest as u32 + 1)
}

/// How many days before the year began, since 1970.
fn day_of_year(year: i64) -> i64 {
    let before = year - 1;
    365 * (year - 1970) + (before / 4 - before / 100 + before / 400) - 477
}

/// The seconds since 1970 of a time in UTC, as `MM/DD/YYYY HH:MM:SS`.
pub fn seconds_of(text: &str) -> Option<u32> {
    let (date, time) = text.trim().split_once(' ')?;
    let numbers = |text: &str, by: char| -> Option<[i64; 3]> {
        let parts: Option<Vec<i64>> = text.split(by).map(|part| part.parse().ok()).collect();
        parts?.try_into().ok()
    };
    let [month, day, year] = numbers(date, '/')?;
    let [hour, minute, second] = numbers(time.trim(), ':')?;
    let in_range = (1970..=2106).contains(&year)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    if !in_range {
        return None;
    }
    let first = day_of_year(year);
    let found = (first..first + 366).find(|days| {
        let (y, m, d) = civil(*days);
        (y, i64::from(m), i64::from(d)) == (year, month, day)
    })?;
    u32::try_from(found * 86_400 + hour * 3600 + minute * 60 + second).ok()
}

/// `Mon Jan  5 10:00:00 2026 UTC`
pub fn long_date(seconds: u32) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = seconds / 86_400;
    let (year, month, day) = civil(days.into());
    let (_, time) = date_and_time(seconds);
    let time = time.trim_end_matches(" UTC");
    let (weekday, month) = (DAYS[days as usize % 7], MONTHS[month as usize - 1]);
    format!("{weekday} {month} {day:2} {time} {year} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_what_the_calendar_says() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(20_453), (2025, 12, 31));
        assert_eq!(timestamp(1_767_225_600), "01/01/26 00:00:00 UTC");
        assert_eq!(timestamp(3_661), "S+ 01:01:01");
        assert_eq!(long_date(1_767_225_600), "Thu Jan  1 00:00:00 2026 UTC");
        for seconds in (0..u32::MAX).step_by(86_401 * 17) {
            let (year, month, day) = civil(i64::from(seconds / 86_400));
            let (_, time) = date_and_time(seconds);
            let text = format!("{month}/{day}/{year} {}", time.trim_end_matches(" UTC"));
            assert_eq!(seconds_of(&text), Some(seconds), "{text}");
        }
        assert_eq!(seconds_of("02/30/2024 00:00:00"), None);
        assert_eq!(seconds_of("now"), None);
    }
}
