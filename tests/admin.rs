//! Management commands that configure and switch, against the simulated BMC on real sockets.

mod support;

use std::time::Duration;

use bmclink::command::{
    AddressSource, BootDevice, BootOptions, ChassisControl, Hop, LanSetting, NewUser,
    PasswordOptions, PasswordTest, PayloadAccess, PowerLimit, PowerOptions, SolSetting, Stored,
    Target, UserPrivilege,
};
use bmclink::sim::{BmcOptions, Misbehaviour, Simulator, SimulatorOptions};
use bmclink::{
    Bmc, BmcConfig, Cause, CompletionCode, ConsoleConfig, Credentials, Engine, EngineConfig,
    ErrorKind, Fleet, PrivilegeLevel,
};

const LONG: Duration = Duration::from_secs(60);
const PRESENT: u8 = 14;
const LAN: u8 = 1;
/// The simulated controller on the IPMB, and the one behind it.
const NEAR: Hop = Hop { channel: 0, address: 0x2c };
const FAR: Hop = Hop { channel: 7, address: 0x72 };

/// An engine, a simulated BMC, and its handle.
struct Place {
    simulator: Simulator,
    engine: Engine,
    bmc: Bmc,
}

impl Place {
    fn new(quirks: Misbehaviour) -> Self {
        let options = SimulatorOptions {
            bind: [127, 62, 0, 1].into(),
            port: 0,
            bmc: BmcOptions { quirks, ..BmcOptions::default() },
            ..SimulatorOptions::default()
        };
        let simulator = Simulator::start(options).expect("loopback");
        let engine = Engine::new(EngineConfig::default()).expect("threads");
        let credentials = Credentials::new("admin", "password").expect("short enough");
        let address = simulator.address(0);
        let config = BmcConfig::new(address.ip().to_string(), credentials).port(address.port());
        let bmc = engine.bmc(config).expect("good settings");
        Place { simulator, engine, bmc }
    }

    /// The same BMC as somebody else.
    fn as_user(&self, name: &str, password: &str, suites: &[u8]) -> Bmc {
        let address = self.simulator.address(0);
        let credentials = Credentials::new(name, password).expect("short enough");
        let config = BmcConfig::new(address.ip().to_string(), credentials).port(address.port());
        self.engine.bmc(config.cipher_suites(suites)).expect("good settings")
    }
}

fn place() -> Place {
    Place::new(Misbehaviour::default())
}

#[test]
fn controllers_behind_the_bmc_answer() {
    let place = place();
    for quirks in
        [Misbehaviour::default(), Misbehaviour { bridge_embedded: true, ..Misbehaviour::default() }]
    {
        place.simulator.with(0, |bmc, _| *bmc.quirks_mut() = quirks);
        let ids = place.bmc.run(LONG, async |dialog| {
            let near = dialog.at(Target::behind(NEAR.channel, NEAR.address)).device_id().await?;
            let far = dialog.at(Target::behind_two(NEAR, FAR)).device_id().await?;
            let own = dialog.device_id().await?;
            Ok([near.device_id, far.device_id, own.device_id])
        });
        assert_eq!(ids.map(|[near, far, own]| (near, far, own == near)), Ok((0x50, 0x72, false)));
    }
    let target = Target::behind_two(NEAR, FAR);
    let reading = place.bmc.raw_at(target, 4, 0, 0x2d, &[1], LONG).expect("an answer");
    assert_eq!((reading.completion_code, reading.data[0]), (CompletionCode(0), 41));
    let none = place.bmc.raw_at(target, 4, 0, 0x2d, &[9], LONG).expect("an answer");
    assert_eq!(none.completion_code, CompletionCode(0xcb));
}

#[test]
fn controllers_that_are_not_there_are_errors_that_say_so() {
    let place = place();
    let id = |target| place.bmc.raw_at(target, 6, 0, 1, &[], LONG);
    for (target, code) in [
        (Target::behind(0, 0x44), 0x83),
        (Target::behind(3, 0x2c), 0xd3),
        (Target::behind_two(NEAR, Hop { channel: 7, address: 0x74 }), 0x83),
        (Target::behind_two(NEAR, Hop { channel: 6, address: 0x72 }), 0xd3),
    ] {
        let error = id(target).expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::Completion, "{error}");
        assert_eq!(error.cause(), Some(Cause::NotBridged));
        assert_eq!(error.completion_code(), Some(CompletionCode(code)));
    }
    place.simulator.with(0, |bmc, _| bmc.quirks_mut().bridge_bus_error = true);
    let error = id(Target::behind(0, 0x2c)).expect_err("a bus error");
    assert!(error.to_string().contains("bus error"), "{error}");
    place.simulator.with(0, |bmc, _| {
        *bmc.quirks_mut() = Misbehaviour { bridge_mute: true, ..Misbehaviour::default() };
    });
    let soon = Duration::from_millis(700);
    let silent = place.bmc.raw_at(Target::behind(0, 0x2c), 6, 0, 1, &[], soon);
    assert_eq!(silent.expect_err("it is silent").kind(), ErrorKind::TimedOut);
    // The session is as good as before.
    assert!(place.bmc.device_id(LONG).is_ok());
}

#[test]
fn a_system_boots_from_what_was_set_once() {
    let place = place();
    let bmc = &place.bmc;
    let options = BootOptions { efi: true, ..BootOptions::default() };
    assert_eq!(bmc.set_boot(BootDevice::Pxe, options, LONG), Ok(None));
    let flags = bmc.boot_flags(LONG).expect("read");
    assert!(flags.valid && flags.device == BootDevice::Pxe && flags.options == options);
    let wait = PowerOptions::default().wait(LONG);
    let done = bmc.power(ChassisControl::PowerCycle, wait, LONG);
    assert_eq!(done, Ok(ChassisControl::PowerCycle));
    let booted = place.simulator.with(0, |bmc, _| bmc.booted_with()).expect("booted");
    assert_eq!((booted[0] & 0x20, booted[1] >> 2), (0x20, 1));
    assert!(!bmc.boot_flags(LONG).expect("read").valid);

    let keep = BootOptions { keep_valid: true, ..BootOptions::default() };
    let before = bmc.set_boot(BootDevice::BiosSetup, keep, LONG).expect("taken");
    assert_eq!(bmc.boot_valid_clearing(LONG), Ok(0x1f));
    bmc.set_boot_valid_clearing(before.expect("kept"), LONG).expect("taken");
    assert_eq!(bmc.boot_valid_clearing(LONG).ok(), before);
    bmc.clear_boot(LONG).expect("taken");
    assert!(!bmc.boot_flags(LONG).expect("read").valid);
}

#[test]
fn somebody_else_who_sets_boot_options_is_waited_for() {
    let place = place();
    let other = place.as_user("operator", "operator", &[17]);
    let progress = |value| other.raw(0, 0, 8, &[0, value], LONG).expect("an answer");
    assert_eq!(progress(1).completion_code.0, 0);
    let set = |timeout| place.bmc.set_boot(BootDevice::Disk, BootOptions::default(), timeout);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| set(LONG));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!place.bmc.boot_flags(LONG).expect("read").valid);
        progress(0);
        assert_eq!(waits.join().expect("no panic"), Ok(None));
    });
    assert_eq!(place.bmc.boot_flags(LONG).expect("read").device, BootDevice::Disk);
    // It was ended: the other one can begin.
    assert_eq!(progress(1).completion_code.0, 0);
    let error = set(LONG).expect_err("it goes on");
    assert_eq!(error.completion_code(), Some(CompletionCode(0x81)));
}

#[test]
fn the_power_is_switched_and_waited_for() {
    let place = place();
    let bmc = &place.bmc;
    let wait = PowerOptions::default().wait(LONG);
    bmc.power(ChassisControl::PowerDown, wait, LONG).expect("switched");
    assert!(!place.simulator.with(0, |bmc, _| bmc.host_power()));
    let refused = bmc.power(ChassisControl::HardReset, wait, LONG).expect_err("it is off");
    assert!(refused.to_string().contains("is it off"), "{refused}");
    let done = bmc.power(ChassisControl::PowerCycle, wait.on_when_off(), LONG);
    assert_eq!(done, Ok(ChassisControl::PowerUp));
    assert!(place.simulator.with(0, |bmc, _| bmc.host_power()));
    assert!(bmc.restart_cause(LONG).is_ok());
    assert!(bmc.power_on_time(LONG).is_ok());
}

#[test]
fn a_user_is_made_logs_in_and_is_taken_away() {
    let place = place();
    let bmc = &place.bmc;
    let user = NewUser::program("robot", b"correct horse batte", PrivilegeLevel::Operator);
    let id = bmc.create_user(user, LONG).expect("a free slot");
    let users = bmc.users(PRESENT, LONG).expect("listed");
    let robot = users.iter().find(|user| user.id == id).expect("listed");
    assert_eq!((robot.name.as_str(), robot.access.enabled), ("robot", Some(true)));
    assert_eq!(robot.access.privilege, UserPrivilege::Level(PrivilegeLevel::Operator));
    assert!(place.as_user("robot", "correct horse batte", &[17]).device_id(LONG).is_ok());
    let options = PasswordOptions::default();
    for (password, result) in [
        (&b"correct horse batte"[..], PasswordTest::Matches),
        (b"correct horse battX", PasswordTest::Wrong),
        (b"correct horse", PasswordTest::WrongSize),
    ] {
        assert_eq!(bmc.test_user_password(id, password, options, LONG), Ok(result));
    }
    bmc.set_user_password(id, b"another", options, LONG).expect("taken");
    assert!(place.as_user("robot", "another", &[17, 3]).device_id(LONG).is_ok());

    let human = NewUser::human("jo", b"secret", PrivilegeLevel::Administrator);
    let jo = bmc.create_user(human, LONG).expect("a free slot");
    assert!(!bmc.user_access(LAN, jo, LONG).expect("read").flags.ipmi_messaging);
    let refused = place.as_user("jo", "secret", &[17]).device_id(LONG);
    assert!(refused.is_err(), "a human does not log in with IPMI");
    let taken = NewUser::human("jo", b"secret", PrivilegeLevel::User);
    assert_eq!(bmc.create_user(taken, LONG).expect_err("taken").kind(), ErrorKind::Misuse);

    bmc.delete_user(id, LONG).expect("taken away");
    bmc.delete_user(jo, LONG).expect("taken away");
    let users = bmc.users(PRESENT, LONG).expect("listed");
    assert!(users.iter().all(|user| user.id != id && user.id != jo));
    assert!(place.as_user("robot", "another", &[3]).device_id(LONG).is_err());
}

#[test]
fn a_password_is_not_sent_where_it_can_be_read() {
    let place = place();
    let clear = place.as_user("admin", "password", &[2]);
    let options = PasswordOptions::default();
    let error = clear.set_user_password(4, b"hush", options, LONG).expect_err("not encrypted");
    assert_eq!((error.kind(), error.cause()), (ErrorKind::CipherSuite, Some(Cause::NotEncrypted)));
    assert!(clear.set_k_g(PRESENT, b"hush", false, LONG).is_err());
    let user = NewUser::human("jo", b"hush", PrivilegeLevel::User);
    assert!(clear.create_user(user, LONG).is_err());
    let names: Vec<_> = clear.users(PRESENT, LONG).expect("listed");
    assert!(names.iter().all(|user| user.name != "jo"), "half a user is left");
    // Nothing was sent: the password is the old one.
    let old =
        clear.test_user_password(4, b"user", PasswordOptions { in_clear: true, ..options }, LONG);
    assert_eq!(old, Ok(PasswordTest::Matches));
    // Through an encrypted session, the same is fine.
    place.bmc.set_user_password(4, b"hush", options, LONG).expect("encrypted");
}

#[test]
fn channels_and_lan_parameters_are_read_and_set() {
    let place = place();
    let bmc = &place.bmc;
    assert_eq!(bmc.lan_channels(LONG), Ok(vec![LAN]));
    assert_eq!(bmc.present_channel(LONG), Ok(LAN));
    let info = bmc.channel_info(PRESENT, LONG).expect("read");
    assert!(info.is_lan() && info.active_sessions >= 1);
    let access = bmc.channel_access(LAN, Stored::Volatile, LONG).expect("read");
    bmc.set_channel_access(LAN, Stored::Volatile, access, LONG).expect("taken");
    assert_eq!(bmc.channel_access(LAN, Stored::Volatile, LONG), Ok(access));
    let suites = bmc.cipher_suites(PRESENT, LONG).expect("listed");
    assert!(suites.iter().any(|suite| suite.id.0 == 3));

    let lan = bmc.lan_config(LAN, LONG).expect("read");
    assert!(lan.ip_address.is_some() && lan.mac_address.is_some(), "{lan:?}");
    let settings = vec![
        LanSetting::AddressSource(AddressSource::Static),
        LanSetting::Gateway([10, 1, 2, 3].into()),
        LanSetting::Community("watchers".to_owned()),
    ];
    bmc.set_lan(LAN, settings, LONG).expect("taken");
    let lan = bmc.lan_config(LAN, LONG).expect("read");
    assert_eq!(lan.address_source, Some(AddressSource::Static));
    assert_eq!(lan.gateway, Some([10, 1, 2, 3].into()));
    assert_eq!(lan.community.as_deref(), Some("watchers"));
    let own = bmc.own_session(LONG).expect("read").expect("there");
    assert_eq!(own.privilege, Some(PrivilegeLevel::Administrator));
    assert!(bmc.sessions(LONG).expect("read").iter().any(|one| one.handle == own.handle));
}

#[test]
fn sol_is_not_switched_off_under_a_console() {
    let place = place();
    let bmc = &place.bmc;
    let console = bmc.console(ConsoleConfig::default()).expect("good settings");
    console.connect(LONG).expect("a console");
    let off = vec![SolSetting::Enabled(false)];
    let refused = bmc.set_sol(PRESENT, off.clone(), false, LONG).expect_err("somebody has it");
    assert_eq!(refused.kind(), ErrorKind::SolInUse);
    bmc.set_sol(PRESENT, vec![SolSetting::Retry(6, 40)], false, LONG).expect("harmless");
    let sol = bmc.sol_parameters(PRESENT, LONG).expect("read");
    assert_eq!((sol.enabled, sol.retry_count, sol.retry_interval), (Some(true), Some(6), Some(40)));
    console.close(LONG).expect("closed");
    bmc.run(LONG, async |dialog| {
        while dialog.sol_activation().await?.is_active(1) {
            dialog.pause(Duration::from_millis(10)).await?;
        }
        Ok(())
    })
    .expect("it ends");
    bmc.set_sol(PRESENT, off, false, LONG).expect("nobody has it");
    assert_eq!(bmc.sol_parameters(PRESENT, LONG).expect("read").enabled, Some(false));

    bmc.set_payload_access(LAN, 4, false, PayloadAccess::SOL, LONG).expect("taken");
    assert!(!bmc.payload_access(LAN, 4, LONG).expect("read").sol());
    bmc.set_payload_access(LAN, 4, true, PayloadAccess::SOL, LONG).expect("taken");
    assert!(bmc.payload_access(LAN, 4, LONG).expect("read").sol());
}

#[test]
fn dcmi_reads_power_limits_it_and_names_things() {
    let place = place();
    let bmc = &place.bmc;
    assert_eq!(bmc.dcmi_capabilities(1, LONG).expect("read").version, (1, 5));
    let reading = bmc.power_reading(LONG).expect("read");
    assert!(reading.valid && reading.current > 0, "{reading:?}");
    assert!(bmc.enhanced_power_reading(0x41, LONG).is_ok());
    let limit = PowerLimit {
        active: false,
        exception_action: 0x11,
        limit: 400,
        correction_ms: 2000,
        sampling: 30,
    };
    bmc.set_power_limit(limit, LONG).expect("taken");
    assert_eq!(bmc.power_limit(LONG), Ok(limit));
    bmc.activate_power_limit(true, LONG).expect("taken");
    assert_eq!(bmc.power_limit(LONG), Ok(PowerLimit { active: true, ..limit }));
    let low = bmc.set_power_limit(PowerLimit { limit: 1, ..limit }, LONG).expect_err("too low");
    assert!(low.to_string().contains("power limit is out of range"), "{low}");
    let tag = "a tag of more than sixteen bytes";
    bmc.set_asset_tag(tag, LONG).expect("taken");
    assert_eq!(bmc.asset_tag(LONG).as_deref(), Ok(tag.as_bytes()));
    bmc.set_controller_id("bmc-of-node-seven", LONG).expect("taken");
    assert_eq!(bmc.controller_id(LONG).as_deref(), Ok("bmc-of-node-seven"));
}

#[test]
fn a_fleet_has_all_of_it_too() {
    let place = place();
    let fleet = Fleet::new([place.bmc.clone(), place.as_user("operator", "operator", &[17])]);
    let run = fleet.run(async |dialog| {
        let options = BootOptions { keep_valid: true, ..BootOptions::default() };
        dialog.set_boot(BootDevice::Disk, options).await?;
        let id = dialog.at(Target::behind(0, 0x2c)).device_id().await?;
        let users = dialog.users(PRESENT).await?.len();
        dialog.power(ChassisControl::PowerUp, PowerOptions::default()).await?;
        Ok((id.device_id, users))
    });
    for row in run.expect("a thread") {
        assert_eq!(row.result.map(|(id, users)| (id, users >= 4)), Ok((0x50, true)));
    }
}

mod with_ipmi_rs {
    use ipmi_rs::connection::{
        Address, Channel, IpmiCommand, IpmiConnection, LogicalUnit, Message, NetFn, Request,
        RequestTargetAddress,
    };
    use ipmi_rs::{Ipmi, app::GetDeviceId, storage::sel::GetSelInfo};

    use super::*;

    #[test]
    fn its_own_helpers_work_over_our_session() {
        let place = place();
        let mut ipmi = Ipmi::new(place.bmc.connection(LONG));
        let id = ipmi.send_recv(GetDeviceId).expect("an answer");
        let own = place.bmc.device_id(LONG).expect("an answer");
        assert_eq!((id.device_id, id.major_version), (own.device_id, 2));
        assert!(ipmi.sdrs().count() > 3, "its SDR helper finds few records");
        assert!(ipmi.send_recv(GetSelInfo).is_ok());
        assert_eq!(place.simulator.counters().logins, 1, "not one session for both");
    }

    #[test]
    fn groups_and_other_controllers_answer() {
        let place = place();
        let mut connection = place.bmc.connection(LONG);
        let mut send = |net_fn: u8, cmd: u8, data: &[u8], target| {
            let message = Message::new_raw(net_fn, cmd, data.to_vec());
            connection.send_recv(&mut Request::new(message, target))
        };
        let here = RequestTargetAddress::Bmc(LogicalUnit::Zero);
        let reading = send(0x2c, 2, &[0xdc, 1, 0, 0], here).expect("DCMI");
        assert_eq!((reading.netfn_raw(), reading.cc(), reading.data()[0]), (0x2c, 0, 0xdc));
        let there =
            RequestTargetAddress::BmcOrIpmb(Address(0x2c), Channel::Primary, LogicalUnit::Zero);
        assert_eq!(send(6, 1, &[], there).expect("an answer").data()[0], 0x50);
        assert!(connection.recv().is_err(), "nothing was sent");
    }

    /// Get Device ID of the controller on the IPMB.
    struct NearId;

    impl From<NearId> for Message {
        fn from(_: NearId) -> Self {
            Message::new_request(NetFn::App, 1, Vec::new())
        }
    }

    impl IpmiCommand for NearId {
        type Output = u8;
        type Error = ();

        fn parse_success_response(data: &[u8]) -> Result<u8, ()> {
            data.first().copied().ok_or(())
        }

        fn target(&self) -> Option<(Address, Channel)> {
            Some((Address(0x2c), Channel::Primary))
        }
    }

    #[test]
    fn typed_commands_go_where_they_say() {
        let place = place();
        assert_eq!(place.bmc.command(NearId, LONG), Ok(0x50));
        let mut ipmi = Ipmi::new(place.bmc.connection(LONG));
        assert!(matches!(ipmi.send_recv(NearId), Ok(0x50)));
    }
}
