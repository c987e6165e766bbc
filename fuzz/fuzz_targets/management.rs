//! What BMCs keep: records of sensors, entries of the event log, inventory data.

#![no_main]

use bmclink::command::{Fru, Sdr, SelEntry};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    for sensor in Sdr::new(1, input).event_sources() {
        for raw in 0..=255 {
            assert!(sensor.value(raw).is_none_or(f64::is_finite));
        }
        assert!(sensor.state_names(0xffff).len() <= 16);
        sensor.thresholds();
        sensor.severity(0x7fff);
        sensor.units.to_string();
    }
    if let Some(bytes) = input.first_chunk() {
        assert!(!SelEntry::new(1, *bytes, None).describe(None).is_empty());
    }
    Fru::new(input.to_vec()).checksums_ok();
});
