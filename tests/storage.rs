//! Sensors, records, event log and inventory of simulated BMCs, ours and OpenIPMI's, on real
//! sockets.

mod support;

use std::time::Duration;

use bmclink::command::{
    Fru, ReadingStatus, SdrBody, SdrCache, SdrRepository, SelBody, SensorRow, Severity, UnixTime,
};
use bmclink::sim::{BmcOptions, Misbehaviour, Simulator, SimulatorOptions};
use bmclink::{Bmc, BmcConfig, Credentials, Engine, EngineConfig, ErrorKind, Fleet};
use support::{ADMIN, IpmiSim, SimOptions, wait_until};

const LONG: Duration = Duration::from_secs(60);

/// Dropped in this order: sessions are closed while there is somebody to close them with.
struct Lab {
    bmcs: Vec<Bmc>,
    _engine: Engine,
    simulator: Simulator,
}

fn lab(count: usize, bmc: BmcOptions) -> Lab {
    let bind = [127, 64, 0, 1].into();
    let options = SimulatorOptions { bind, port: 0, count, bmc, ..SimulatorOptions::default() };
    let simulator = Simulator::start(options).expect("loopback");
    let engine = Engine::new(EngineConfig::default()).expect("threads");
    let credentials = Credentials::new("admin", "password").expect("short enough");
    let one = |number| {
        let address = simulator.address(number);
        let config = BmcConfig::new(address.ip().to_string(), credentials.clone());
        engine.bmc(config.port(address.port())).expect("good settings")
    };
    let bmcs = (0..count).map(one).collect();
    Lab { bmcs, _engine: engine, simulator }
}

/// One BMC that does this wrong.
fn with_quirks(quirks: &[&str]) -> Lab {
    let mut wrong = Misbehaviour::default();
    for quirk in quirks {
        assert!(wrong.set(quirk), "{quirk}");
    }
    lab(1, BmcOptions { quirks: wrong, ..BmcOptions::default() })
}

fn names(repository: &SdrRepository) -> Vec<String> {
    repository.sensors.iter().map(|sensor| sensor.name.clone()).collect()
}

fn row<'a>(rows: &'a [SensorRow], name: &str) -> &'a SensorRow {
    let found = rows.iter().find(|row| row.sensor.name == name);
    found.unwrap_or_else(|| panic!("no sensor {name}"))
}

fn value(rows: &[SensorRow], name: &str) -> f64 {
    let reading = row(rows, name).result.as_ref().unwrap_or_else(|error| panic!("{name}: {error}"));
    reading.value.unwrap_or_else(|| panic!("{name}: {reading:?}"))
}

#[test]
fn every_sensor_has_its_value_and_its_unit() {
    let lab = lab(1, BmcOptions::default());
    let bmc = &lab.bmcs[0];
    let repository = bmc.sdr_repository(LONG).expect("read");
    assert!(repository.skipped.is_empty());
    let rows = bmc.sensors(&repository, LONG).expect("read");
    assert_eq!(rows.len(), repository.sensors.len());
    // Mean and sway of the simulated ones, in their units; two of them behind the BMC.
    for (name, unit, low, high) in [
        ("CPU1 Temp", "degrees C", 46.0, 58.0),
        ("Riser Temp", "degrees C", 32.0, 34.0),
        ("Inlet Temp", "degrees C", 21.0, 25.0),
        ("Exhaust Temp", "degrees C", 35.0, 41.0),
        ("DIMM Margin", "degrees C", -34.0, -26.0),
        ("P12V", "Volts", 12.033, 12.159),
        ("VREF Trim", "Volts", -0.015, -0.009),
        ("Fan1", "RPM", 6000.0, 6400.0),
        ("Fan Duty", "percent", 44.0, 50.0),
        ("PS1 Input", "Watts", 184.0, 240.0),
        ("PS1 Current", "Amps", 0.9, 1.0),
        ("Airflow", "CFM", 38.9, 41.0),
        ("Pump Period", "second", 0.0185, 0.0218),
        ("PCH Temp", "degrees C", 41.0, 47.0),
        ("ME Power", "Watts", 162.0, 198.0),
    ] {
        let value = value(&rows, name);
        assert!((low..=high).contains(&value), "{name}: {value}");
        assert_eq!(row(&rows, name).sensor.units.to_string(), unit, "{name}");
        assert_eq!(row(&rows, name).severity(), Some(Severity::Ok), "{name}");
    }
    // Non-linear: by factors of its own.
    assert!(value(&rows, "Inlet Pressure") > 0.0);
    // One record for four drives, of which one is missing.
    assert_eq!(row(&rows, "Drive2").state_names(), ["present"]);
    assert!(row(&rows, "Drive3").state_names().is_empty());
    assert_eq!(row(&rows, "Fan Redundancy").state_names(), ["fully redundant"]);
    // What the BMC says of thresholds is what its record says.
    let fan = &row(&rows, "Fan1").sensor;
    let thresholds = bmc.sensor_thresholds(fan, LONG).expect("read");
    assert_eq!(thresholds, fan.thresholds());
    assert_eq!((thresholds.lower_critical, thresholds.upper_critical), (Some(1000.0), None));
    let raw = bmc.sensor_hysteresis(fan, LONG).expect("read");
    assert_eq!(raw, fan.hysteresis);
}

#[test]
fn health_is_the_worst_of_all() {
    let lab = lab(1, BmcOptions::default());
    let bmc = &lab.bmcs[0];
    let repository = bmc.sdr_repository(LONG).expect("read");
    let health = bmc.health(&repository, LONG).expect("read");
    assert_eq!((health.state, health.bad.len()), (Some(Severity::Ok), 0), "{health}");

    lab.simulator.with(0, |bmc, _| bmc.set_sensor(0x20, Some(15)));
    let health = bmc.health(&repository, LONG).expect("read");
    assert_eq!(health.state, Some(Severity::Critical));
    assert_eq!(health.bad[0].sensor.name, "Fan1");
    assert!(health.to_string().contains("Fan1"), "{health}");

    // A host without power has nothing to say, and is not ill.
    lab.simulator.with(0, |bmc, _| {
        bmc.set_sensor(0x20, None);
        bmc.set_host_power(false);
    });
    let rows = bmc.sensors(&repository, LONG).expect("read");
    let fan = row(&rows, "Fan1").result.as_ref().expect("it answers");
    assert_eq!((fan.status, fan.value), (ReadingStatus::Unavailable, None));
    assert_eq!(bmc.health(&repository, LONG).expect("read").state, Some(Severity::Ok));
}

#[test]
fn bmcs_that_misbehave_give_the_same_records() {
    let good = with_quirks(&[]).bmcs[0].sdr_repository(LONG).expect("read");
    for quirks in [
        &["read_limit=16"][..],
        &["read_limit=7", "read_limit_code=0xc8"],
        &["read_limit=9", "read_limit_code=0xff"],
        &["read_limit=30", "read_limit_code=0xc7"],
        &["sdr_cancel_every=7"],
        &["sdr_no_reserve"],
        &["sdr_no_end"],
        &["sdr_wrong_count"],
        &["sdr_short_whole_read"],
        &["sdr_padded"],
        &["busy_first=5"],
        &["timeout_first=3"],
    ] {
        let repository = with_quirks(quirks).bmcs[0].sdr_repository(LONG);
        let repository = repository.unwrap_or_else(|error| panic!("{quirks:?}: {error}"));
        assert_eq!(repository.records.len(), good.records.len(), "{quirks:?}");
        assert!(repository == good, "{quirks:?}");
    }
    // The names are right, though no record knows its own number.
    let nameless = with_quirks(&["sdr_id_differs"]).bmcs[0].sdr_repository(LONG).expect("read");
    assert_eq!(names(&nameless), names(&good));
    // The last one cannot be had.
    let short = with_quirks(&["sdr_last_fails"]).bmcs[0].sdr_repository(LONG).expect("read");
    assert_eq!(short.records.len() + 1, good.records.len());
    assert_eq!(short.skipped.len(), 1);
    // Answers that are cut short are an error, not a panic.
    assert!(with_quirks(&["cut_replies=2"]).bmcs[0].sdr_repository(LONG).is_err());
}

#[test]
fn readings_without_states_are_judged_by_the_record() {
    let lab = with_quirks(&["short_sensor_readings"]);
    let repository = lab.bmcs[0].sdr_repository(LONG).expect("read");
    lab.simulator.with(0, |bmc, _| bmc.set_sensor(0x20, Some(15)));
    let rows = lab.bmcs[0].sensors(&repository, LONG).expect("read");
    assert_eq!(row(&rows, "Fan1").severity(), Some(Severity::Critical));
    assert_eq!(row(&rows, "Fan2").severity(), Some(Severity::Ok));
    assert_eq!(row(&rows, "PS1 Status").severity(), None);
}

#[test]
fn a_satellite_has_device_sdrs() {
    use bmclink::command::{SdrSource, Target};
    let lab = lab(1, BmcOptions::default());
    let repository = lab.bmcs[0].sdr_repository(LONG).expect("read");
    let satellite = repository.mc_locators().find(|mc| mc.address != 0x20).expect("there is one");
    let target = Target::behind(satellite.channel, satellite.address);
    let own = lab.bmcs[0].run(LONG, async |dialog| dialog.at(target).sdr_repository().await);
    let own = own.expect("read");
    assert_eq!(own.source, SdrSource::Device);
    assert!(names(&own).contains(&"PCH Temp".to_owned()), "{:?}", names(&own));
}

#[test]
fn a_fleet_of_equal_bmcs_walks_once() {
    const COUNT: usize = 200;
    let lab = lab(COUNT, BmcOptions::default());
    let cache = SdrCache::new();
    let shared = cache.clone();
    let fleet = Fleet::new(lab.bmcs.iter().cloned()).timeout(LONG);
    let run = fleet.run(move |dialog| {
        let cache = shared.clone();
        async move {
            let repository = dialog.sdr_repository_cached(&cache).await?;
            dialog.sensors(&repository).await
        }
    });
    let mut rows = 0;
    for bmc in run.expect("a thread") {
        let sensors = bmc.result.unwrap_or_else(|error| panic!("{}: {error}", bmc.index));
        assert!(value(&sensors, "CPU1 Temp") > 40.0);
        rows += 1;
    }
    assert_eq!((rows, cache.walks()), (COUNT, 1));
}

/// A temperature event with this number in it.
fn event(number: u8) -> [u8; 16] {
    [0, 0, 2, 0, 0, 0, 0, 0x20, 0, 4, 1, 1, 0x01, 0x57, number, 95]
}

fn numbers(entries: &[bmclink::command::SelEntry]) -> Vec<u8> {
    let number = |entry: &bmclink::command::SelEntry| match &entry.body {
        SelBody::Event(event) if event.sensor_number == 1 => Some(event.data[1]),
        _ => None,
    };
    entries.iter().filter_map(number).collect()
}

#[test]
fn the_log_is_read_on_described_and_cleared() {
    for quirks in [&[][..], &["sel_erase_ms=800"], &["sel_needs_reservation"], &["busy_first=3"]] {
        let lab = with_quirks(quirks);
        let bmc = &lab.bmcs[0];
        let add =
            |number| lab.simulator.with(0, |bmc, _| assert!(bmc.add_sel_entry(event(number))));
        (1..=20).for_each(add);
        let log = bmc.sel_entries(None, LONG).expect("read");
        assert_eq!(numbers(&log.entries), (1..=20).collect::<Vec<_>>(), "{quirks:?}");
        assert!(!log.restarted);
        add(21);
        let more = bmc.sel_entries(log.mark(), LONG).expect("read");
        assert_eq!((numbers(&more.entries), more.restarted), (vec![21], false), "{quirks:?}");

        let repository = bmc.sdr_repository(LONG).expect("read");
        let text = more.entries[0].describe(Some(&repository));
        let wanted = "Temperature CPU1 Temp: upper non-critical going high \
                      (21 degrees C, limit 95 degrees C)";
        assert_eq!(text, wanted);

        // The simulated clock is its own: the times of entries are told by ours, too.
        let ours = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let ours = ours.expect("after 1970").as_secs();
        let corrected = u64::from(more.entries[0].corrected.expect("the clock is set").0);
        assert!(corrected.abs_diff(ours) < 60, "{corrected} is not {ours}");

        let cleared = bmc.clear_sel(LONG).expect("cleared");
        assert_eq!(numbers(&cleared.entries), (1..=21).collect::<Vec<_>>(), "{quirks:?}");
        let after = bmc.sel_entries(more.mark(), LONG).expect("read");
        assert_eq!(numbers(&after.entries), [0u8; 0], "{quirks:?}");
    }
}

#[test]
fn entries_are_deleted_and_the_clock_is_set() {
    let lab = lab(1, BmcOptions::default());
    let bmc = &lab.bmcs[0];
    for number in 1..=3 {
        lab.simulator.with(0, |bmc, _| assert!(bmc.add_sel_entry(event(number))));
    }
    let log = bmc.sel_entries(None, LONG).expect("read");
    let second = log.entries.iter().find(|entry| numbers(&[(*entry).clone()]) == [2]);
    let mark = second.expect("it is there").mark();
    bmc.delete_sel_entry(mark, LONG).expect("deleted");
    let log = bmc.sel_entries(None, LONG).expect("read");
    assert_eq!(numbers(&log.entries), [1, 3]);
    let error = bmc.delete_sel_entry(mark, LONG).expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::Completion);

    let info = bmc.sel_info(LONG).expect("read");
    assert_eq!(usize::from(info.entry_count), log.entries.len());
    assert!(bmc.sel_allocation(LONG).is_ok_and(|sizes| sizes.unit_size == 16));
    bmc.set_sel_time(UnixTime(0x6000_0000), LONG).expect("set");
    let clock = bmc.sel_clock(LONG).expect("read");
    assert!(clock.ahead.is_some_and(|ahead| ahead < -100_000_000), "{clock:?}");
}

#[test]
fn inventory_is_read_and_written() {
    let fru = |quirks: &[&str], fru_id| -> Fru {
        let fru = with_quirks(quirks).bmcs[0].fru(fru_id, LONG);
        fru.unwrap_or_else(|error| panic!("{quirks:?}: {error}"))
    };
    let board = fru(&[], 0);
    assert!(board.checksums_ok());
    let product = board.product.as_ref().expect("there is one");
    assert_eq!(
        (product.name.as_str(), product.asset_tag.as_str()),
        ("Simulated Server", "ASSET-0001")
    );
    let made = board.board.as_ref().and_then(|board| board.manufactured).expect("known");
    assert_eq!(made.to_string(), "2026-01-01 00:00:00");
    assert_eq!(board.chassis.as_ref().map(|chassis| chassis.chassis_type), Some(0x17));
    assert_eq!(board.multirecords.len(), 2);
    let supply = fru(&[], 1);
    for quirks in [
        &["fru_by_words"][..],
        &["fru_by_words", "fru_counts_bytes"],
        &["fru_by_words", "fru_asks_bytes"],
        &["fru_by_words", "fru_asks_bytes", "fru_counts_bytes"],
        &["fru_size_doubled"],
        &["fru_busy_first=3"],
        &["read_limit=8"],
        &["read_limit=20", "read_limit_code=0xc8"],
    ] {
        let serials = |fru: Fru| fru.product.map(|product| (product.name, product.version));
        let read = fru(quirks, 1);
        assert!(read.checksums_ok(), "{quirks:?}");
        assert_eq!(serials(read), serials(supply.clone()), "{quirks:?}");
    }
    let wrong = fru(&["fru_bad_checksums"], 0);
    assert!(!wrong.checksums_ok() && wrong.product.is_some());

    let lab = lab(1, BmcOptions::default());
    let bmc = &lab.bmcs[0];
    let repository = bmc.sdr_repository(LONG).expect("read");
    assert!(repository.records.iter().any(|record| matches!(record.body, SdrBody::FruLocator(_))));
    let rows = bmc.frus(&repository, LONG).expect("read");
    let seen: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.result.is_ok())).collect();
    assert_eq!(seen, [("Mainboard", true), ("PSU1", true)]);

    let bytes = bmc.read_fru(1, LONG).expect("read");
    bmc.write_fru(1, 100, &[0x5a; 50], LONG).expect("written");
    let changed = bmc.read_fru(1, LONG).expect("read");
    assert_eq!(changed[100..150], [0x5a; 50]);
    assert_eq!(changed[..100], bytes[..100]);
    assert_eq!(changed[150..], bytes[150..]);
    let protected = with_quirks(&["fru_protected"]);
    let error = protected.bmcs[0].write_fru(1, 0, &[9], LONG).expect_err("protected");
    assert_eq!(error.completion_code().map(|code| code.0), Some(0x80));
}

#[test]
fn the_bmc_of_openipmi_has_its_sensor_and_its_log() {
    let sim = IpmiSim::start(SimOptions::default());
    let engine = Engine::new(EngineConfig::default()).expect("threads");
    let credentials = Credentials::new(ADMIN.name, ADMIN.password).expect("short enough");
    let config = BmcConfig::new(sim.address().ip().to_string(), credentials);
    let bmc = engine.bmc(config.port(sim.address().port())).expect("good settings");

    let repository = bmc.sdr_repository(LONG).expect("read");
    assert_eq!(names(&repository), ["CPU Temp"]);
    let sensor = &repository.sensors[0];
    let read = || bmc.sensor_reading(sensor, LONG).expect("read");
    assert_eq!(read().value, Some(40.0));
    let thresholds = bmc.sensor_thresholds(sensor, LONG).expect("read");
    assert_eq!(thresholds.upper_critical, Some(90.0));
    assert_eq!(thresholds, sensor.thresholds());
    sim.set_temperature(95);
    assert!(wait_until(LONG, || read().value == Some(95.0)));
    assert_eq!(bmc.health(&repository, LONG).expect("read").state, Some(Severity::Critical));

    let text = |log: &bmclink::command::SelLog| -> Vec<String> {
        log.entries.iter().map(|entry| entry.describe(Some(&repository))).collect()
    };
    let log = bmc.sel_entries(None, LONG).expect("read");
    let first = "Temperature CPU Temp: upper non-critical going high (90 degrees C, limit 80 \
                 degrees C)";
    assert_eq!(text(&log)[0], first);
    // Crossing the thresholds is logged too, when the BMC comes to it.
    let crossed = || {
        let more = bmc.sel_entries(log.mark(), LONG).expect("read");
        text(&log).into_iter().chain(text(&more)).any(|line| line.contains("upper critical"))
    };
    assert!(wait_until(LONG, crossed));
    let cleared = bmc.clear_sel(LONG).expect("cleared");
    assert_eq!(text(&cleared)[0], first);
    assert!(cleared.entries.len() >= 2);
    assert_eq!(bmc.sel_info(LONG).expect("read").entry_count, 0);
    let none = bmc.sel_entries(cleared.mark(), LONG).expect("read");
    assert!(none.entries.is_empty() && none.restarted);
    // It has no inventory.
    assert!(bmc.frus(&repository, LONG).expect("a row")[0].result.is_err());
}
