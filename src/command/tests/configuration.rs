//! LAN and SOL parameters, payloads, sessions, DCMI.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::*;
use crate::command::{
    AddressSource, ArpControl, BadPassword, Ipv6Address, Ipv6Enables, LanSetting, PayloadAccess,
    PowerLimit, SolAuthentication, SolBitRate, SolSetting, Vlan,
};
use crate::wire::PrivilegeLevel;

/// A store of parameters, as BMCs have them: by channel-less number and set.
fn store(stored: &mut Vec<(u8, u8, Vec<u8>)>, cmd: u8, data: &[u8]) -> (u8, Vec<u8>) {
    let (parameter, several) = (data[1], matches!(data[1], 56 | 59));
    match cmd {
        0x01 | 0x21 => {
            let set = if several { data[2] } else { 0 };
            stored.retain(|(p, s, _)| (*p, *s) != (parameter, set));
            stored.push((parameter, set, data[2..].to_vec()));
            (0, vec![])
        }
        _ => {
            let found = stored.iter().find(|(p, s, _)| (*p, *s) == (parameter, data[2]));
            found.map_or((0x80, vec![]), |(_, _, data)| (0, [&[0x11], &data[..]].concat()))
        }
    }
}

fn settings() -> Vec<LanSetting> {
    let address = |last| Ipv4Addr::new(10, 0, 0, last);
    vec![
        LanSetting::AuthTypeEnables([1, 2, 3, 4, 5]),
        LanSetting::AddressSource(AddressSource::Static),
        LanSetting::IpAddress(address(1)),
        LanSetting::MacAddress([1, 2, 3, 4, 5, 6]),
        LanSetting::SubnetMask(Ipv4Addr::new(255, 255, 0, 0)),
        LanSetting::Ipv4Header([64, 0, 16]),
        LanSetting::PrimaryRmcpPort(623),
        LanSetting::SecondaryRmcpPort(664),
        LanSetting::Arp(ArpControl { respond: true, gratuitous: false }),
        LanSetting::GratuitousArpInterval(4),
        LanSetting::Gateway(address(254)),
        LanSetting::GatewayMac([9; 6]),
        LanSetting::BackupGateway(address(253)),
        LanSetting::BackupGatewayMac([8; 6]),
        LanSetting::Community("public".to_owned()),
        LanSetting::Vlan(Vlan { enabled: true, id: 300 }),
        LanSetting::VlanPriority(5),
        LanSetting::CipherSuitePrivileges(std::array::from_fn(|entry| entry as u8)),
        LanSetting::BadPassword(BadPassword {
            event: true,
            threshold: 3,
            reset_interval: 300,
            lockout_interval: 600,
        }),
        LanSetting::Ipv6Enables(Ipv6Enables::Both),
        LanSetting::Ipv6Static(Ipv6Address {
            index: 0,
            enabled: true,
            source: 0,
            address: Ipv6Addr::LOCALHOST,
            prefix_len: 64,
            status: 0,
        }),
    ]
}

#[test]
fn lan_parameters_are_read_as_written() {
    let mut stored = vec![(50, 0, vec![7]), (55, 0, vec![1, 0, 0]), (23, 0, vec![0, 3, 17])];
    let set = async |dialog: Dialog| dialog.set_lan(1, settings()).await;
    let (result, asked) = record(set, |cmd, data| store(&mut stored, cmd, data));
    assert_eq!(result, Ok(()));
    assert_eq!((asked[0].2.as_slice(), asked.len()), (&[1, 0, 1][..], settings().len() + 3));
    assert_eq!(asked.last().map(|(_, _, data)| data.as_slice()), Some(&[1, 0, 0][..]));
    let get = async |dialog: Dialog| dialog.lan_config(1).await;
    let lan = record(get, |cmd, data| store(&mut stored, cmd, data)).0.expect("read");
    assert_eq!(lan.ip_address, Some(Ipv4Addr::new(10, 0, 0, 1)));
    assert_eq!(lan.address_source, Some(AddressSource::Static));
    assert_eq!(lan.mac_address, Some([1, 2, 3, 4, 5, 6]));
    assert_eq!((lan.primary_rmcp_port, lan.secondary_rmcp_port), (Some(623), Some(664)));
    assert_eq!(lan.arp, Some(ArpControl { respond: true, gratuitous: false }));
    assert_eq!(lan.gateway, Some(Ipv4Addr::new(10, 0, 0, 254)));
    assert_eq!(lan.community.as_deref(), Some("public"));
    assert_eq!(lan.vlan, Some(Vlan { enabled: true, id: 300 }));
    assert_eq!(lan.vlan_priority, Some(5));
    assert_eq!(lan.cipher_suites, [3, 17]);
    let levels = lan.cipher_suite_privileges.expect("stored");
    assert!(levels.iter().enumerate().all(|(entry, level)| entry == usize::from(*level)));
    assert_eq!(
        lan.bad_password.map(|lock| (lock.threshold, lock.lockout_interval)),
        Some((3, 600))
    );
    assert_eq!((lan.ipv6_enables, lan.ipv6_static.len()), (Some(Ipv6Enables::Both), 1));
    assert_eq!(lan.ipv6_static[0].address, Ipv6Addr::LOCALHOST);
    assert_eq!(lan.ipv6_static[0].prefix_len, 64);
}

#[test]
fn a_bmc_with_few_lan_parameters_has_few() {
    let get = async |dialog: Dialog| dialog.lan_config(1).await;
    for code in [0x80, 0xc9, 0xcb, 0xcc, 0xc1] {
        let (lan, _) =
            record(
                get,
                |_, data| {
                    if data[1] == 3 { (0, vec![0x11, 1, 2, 3, 4]) } else { (code, vec![]) }
                },
            );
        let lan = lan.expect("read");
        assert_eq!((lan.ip_address, lan.vlan), (Some(Ipv4Addr::new(1, 2, 3, 4)), None));
    }
    let (refused, _) = record(get, |_, _| (0xd4, vec![]));
    assert_eq!(kind_of(refused), Some(ErrorKind::Privilege));
}

#[test]
fn what_is_out_of_range_is_not_sent() {
    for setting in [
        LanSetting::Vlan(Vlan { enabled: true, id: 4095 }),
        LanSetting::Vlan(Vlan { enabled: true, id: 0 }),
        LanSetting::VlanPriority(8),
        LanSetting::Community("x".repeat(19)),
        LanSetting::CipherSuitePrivileges([16; 16]),
    ] {
        let set = async |dialog: Dialog| dialog.set_lan(1, vec![setting]).await;
        let (result, asked) = once(set, &[]);
        assert_eq!((kind_of(result), asked.len()), (Some(ErrorKind::Misuse), 0));
    }
    for setting in [
        SolSetting::CharacterAccumulate(0, 1),
        SolSetting::CharacterAccumulate(1, 0),
        SolSetting::Retry(8, 0),
    ] {
        let set = async |dialog: Dialog| dialog.set_sol(1, vec![setting], false).await;
        let (result, asked) = once(set, &[]);
        assert_eq!((kind_of(result), asked.len()), (Some(ErrorKind::Misuse), 0));
    }
}

#[test]
fn sol_parameters_are_read_as_written() {
    let who = SolAuthentication {
        force_encryption: true,
        force_authentication: false,
        privilege: Some(PrivilegeLevel::Operator),
    };
    let all = vec![
        SolSetting::Enabled(true),
        SolSetting::Authentication(who),
        SolSetting::CharacterAccumulate(12, 96),
        SolSetting::Retry(7, 50),
        SolSetting::BitRate(SolBitRate::B115200),
        SolSetting::VolatileBitRate(SolBitRate::B9600),
        SolSetting::PayloadPort(623),
    ];
    let mut stored = vec![(7, 0, vec![1])];
    let set = async |dialog: Dialog| dialog.set_sol(14, all, true).await;
    assert_eq!(record(set, |cmd, data| store(&mut stored, cmd, data)).0, Ok(()));
    let get = async |dialog: Dialog| dialog.sol_parameters(14).await;
    let sol = record(get, |cmd, data| store(&mut stored, cmd, data)).0.expect("read");
    assert_eq!((sol.enabled, sol.authentication), (Some(true), Some(who)));
    assert_eq!((sol.accumulate_interval, sol.send_threshold), (Some(12), Some(96)));
    assert_eq!((sol.retry_count, sol.retry_interval), (Some(7), Some(50)));
    assert_eq!(sol.bit_rate, Some(SolBitRate::B115200));
    assert_eq!(sol.volatile_bit_rate, Some(SolBitRate::B9600));
    assert_eq!((sol.payload_channel, sol.payload_port), (Some(1), Some(623)));
    let (none, _) = record(get, |_, _| (0x80, vec![]));
    assert_eq!(none, Ok(Default::default()));
}

#[test]
fn a_console_in_use_is_not_switched_off_by_accident() {
    let who = |level| {
        SolSetting::Authentication(SolAuthentication {
            force_encryption: false,
            force_authentication: false,
            privilege: Some(level),
        })
    };
    let answer = |active: u8| {
        move |cmd: u8, _: &[u8]| match cmd {
            0x4a => (0, vec![1, active, 0]),
            0x3d => (0, vec![1, 4, 1, 2, 3, 0x11]),
            _ => (0, vec![]),
        }
    };
    for (setting, active, force, refused) in [
        (SolSetting::Enabled(false), 1, false, true),
        (SolSetting::Enabled(false), 1, true, false),
        (SolSetting::Enabled(false), 0, false, false),
        (who(PrivilegeLevel::Administrator), 1, false, true),
        (who(PrivilegeLevel::Operator), 1, false, false),
        (SolSetting::Retry(7, 50), 1, false, false),
    ] {
        let set = async |dialog: Dialog| dialog.set_sol(14, vec![setting], force).await;
        let (result, asked) = record(set, answer(active));
        let wrote = asked.iter().any(|(net_fn, _, _)| *net_fn == 0x0c);
        let kind = refused.then_some(ErrorKind::SolInUse);
        assert_eq!((kind_of(result), wrote), (kind, !refused), "{setting:?}");
    }
}

#[test]
fn payload_access_is_given_by_bit() {
    let get = async |dialog: Dialog| dialog.payload_access(1, 2).await;
    let access = once(get, &[0x02, 0, 1, 0]).0.expect("read");
    assert!(access.sol() && access.oem == 1);
    let set = async |dialog: Dialog| {
        dialog.set_payload_access(1, 2, true, PayloadAccess::SOL).await?;
        dialog.set_payload_access(1, 2, false, PayloadAccess::SOL).await
    };
    let (_, asked) = once(set, &[]);
    assert_eq!(asked[0].2, [1, 2, 2, 0, 0, 0]);
    assert_eq!(asked[1].2, [1, 0x42, 2, 0, 0, 0]);
}

#[test]
fn sessions_are_listed_and_repetition_ends() {
    let own = async |dialog: Dialog| dialog.own_session().await;
    let data = [3, 36, 2, 2, 4, 0x11, 10, 0, 0, 9, 1, 2, 3, 4, 5, 6, 0x6f, 0x02];
    let session = once(own, &data).0.expect("read").expect("there");
    assert_eq!((session.handle, session.slots, session.active, session.user), (3, 36, 2, 2));
    assert_eq!(session.privilege, Some(PrivilegeLevel::Administrator));
    assert!(session.is_v20 && session.channel == 1);
    let peer = (Ipv4Addr::new(10, 0, 0, 9), [1, 2, 3, 4, 5, 6], 623);
    assert_eq!(session.peer, Some(peer));
    assert_eq!(once(own, &[0, 36, 0]).0, Ok(None));

    let list = async |dialog: Dialog| dialog.sessions().await;
    let (sessions, asked) = record(list, |_, data| match data[0] {
        index @ 1..=3 => (0, vec![index, 36, 3, 2, 4, 0x11]),
        _ => (0xcb, vec![]),
    });
    assert_eq!((sessions.map(|all| all.len()), asked.len()), (Ok(3), 3));
    let (same, asked) = once(list, &[1, 36, 63, 2, 4, 0x11]);
    assert_eq!((same.map(|all| all.len()), asked.len()), (Ok(1), 2));
}

#[test]
fn power_is_read_with_its_valid_bit_and_limits_that_are_off() {
    let get = async |dialog: Dialog| dialog.power_reading().await;
    let mut data = vec![0xdc, 200, 0, 100, 0, 0x2c, 1, 150, 0, 0, 0, 0, 1, 0xe8, 3, 0, 0, 0x40];
    let (reading, asked) = once(get, &data);
    let reading = reading.expect("read");
    assert_eq!((reading.current, reading.minimum, reading.maximum), (200, 100, 300));
    assert_eq!((reading.period, reading.valid), (Duration::from_secs(1), true));
    assert_eq!(asked, [(0x2c, 2, vec![0xdc, 1, 0, 0])]);
    data[17] = 0;
    assert!(!once(get, &data).0.expect("read").valid);

    let limit = PowerLimit {
        active: false,
        exception_action: 0x11,
        limit: 500,
        correction_ms: 1000,
        sampling: 30,
    };
    let set = async |dialog: Dialog| dialog.set_power_limit(limit).await;
    let (_, asked) = once(set, &[0xdc]);
    let sent = &asked[0].2[4..];
    let get = async |dialog: Dialog| dialog.power_limit().await;
    let data = [&[0xdc, 0, 0], sent].concat();
    assert_eq!(record(get, |_, _| (0x80, data.clone())).0, Ok(limit));
    let active = PowerLimit { active: true, ..limit };
    assert_eq!(once(get, &data).0, Ok(active));
    let (refused, _) = record(set, |_, _| (0x84, vec![0xdc]));
    assert!(refused.expect_err("refused").to_string().contains("limit is out of range"));
}

#[test]
fn a_bmc_without_dcmi_says_so() {
    let get = async |dialog: Dialog| dialog.power_reading().await;
    let (result, _) = record(get, |_, _| (0xc1, vec![]));
    let error = result.expect_err("no DCMI");
    assert!(error.to_string().contains("no DCMI"), "{error}");
    assert_eq!(kind_of(once(get, &[0; 20]).0), Some(ErrorKind::PeerMisbehaved));
}

#[test]
fn strings_of_dcmi_come_and_go_in_pieces() {
    let tag = "rack 12, unit 3, the one with the red sticker";
    let mut stored: Vec<u8> = Vec::new();
    let set = async |dialog: Dialog| dialog.set_asset_tag(tag).await;
    let (result, asked) = record(set, |_, data| {
        assert_eq!(usize::from(data[1]), stored.len());
        assert_eq!(usize::from(data[2]), data.len() - 3);
        stored.extend_from_slice(&data[3..]);
        (0, vec![0xdc, stored.len() as u8])
    });
    assert_eq!((result, asked.len()), (Ok(()), 3));
    assert_eq!(stored, tag.as_bytes());
    let get = async |dialog: Dialog| dialog.asset_tag().await;
    let (read, _) = record(get, |_, data| {
        let (offset, count) = (usize::from(data[1]), usize::from(data[2]));
        let end = stored.len().min(offset + count);
        (0x83, [&[0xdc, stored.len() as u8], &stored[offset..end]].concat())
    });
    assert_eq!(read, Ok(stored.clone()));
    let id = async |dialog: Dialog| dialog.controller_id().await;
    assert_eq!(once(id, b"\xdc\x05bmc7\0").0, Ok("bmc7".to_owned()));
    assert_eq!(code_of(record(id, |_, _| (0x81, vec![0xdc])).0), Some(0x81));
    let long = async |dialog: Dialog| dialog.set_controller_id(&"x".repeat(64)).await;
    assert_eq!(kind_of(once(long, &[0xdc]).0), Some(ErrorKind::Misuse));
}
