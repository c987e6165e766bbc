//! LAN configuration parameters.

use super::{APP, Console, TRANSPORT, session};

fn get(console: &mut Console, parameter: u8, set: u8) -> (u8, Vec<u8>) {
    console.command(TRANSPORT, 0x02, &[1, parameter, set, 0])
}

fn set(console: &mut Console, parameter: u8, value: &[u8]) -> u8 {
    console.command(TRANSPORT, 0x01, &[&[1, parameter][..], value].concat()).0
}

#[test]
fn parameters_are_written_and_read_back() {
    let mut console = session();
    for (parameter, value) in [
        (3, vec![198, 51, 100, 7]),
        (4, vec![2]),
        (6, vec![255, 255, 0, 0]),
        (12, vec![198, 51, 100, 1]),
        (16, b"eighteen byte name".to_vec()),
        (20, vec![0x64, 0x80]),
        (26, vec![1, 3, 6, 0, 6, 0]),
    ] {
        assert_ne!(get(&mut console, parameter, 0).1[1..], value);
        assert_eq!(set(&mut console, parameter, &value), 0, "parameter {parameter}");
        assert_eq!(get(&mut console, parameter, 0).1[1..], value);
    }
    assert_eq!(set(&mut console, 3, &[1, 2, 3]), 0xc7);
    assert_eq!(set(&mut console, 22, &[1]), 0x82);
    assert_eq!(set(&mut console, 99, &[1]), 0x80);
    assert_eq!(get(&mut console, 99, 0).0, 0x80);
    assert_eq!(console.command(TRANSPORT, 0x01, &[5, 3, 1, 2, 3, 4]).0, 0xcc);
    assert_eq!(console.command(TRANSPORT, 0x02, &[0x81, 3, 0, 0]), (0, vec![0x11]));
}

#[test]
fn one_session_sets_at_a_time() {
    let mut console = session();
    let first = console.managed_id.to_le_bytes();
    assert_eq!(set(&mut console, 0, &[1]), 0);
    assert_eq!(get(&mut console, 0, 0).1, [0x11, 1]);
    console.remote_id += 1;
    console.login().unwrap();
    assert_eq!(console.command(APP, 0x3b, &[4]).0, 0);
    assert_eq!(set(&mut console, 0, &[1]), 0x81);
    assert_eq!(console.command(APP, 0x3c, &first).0, 0);
    assert_eq!(get(&mut console, 0, 0).1, [0x11, 0]);
    assert_eq!(set(&mut console, 0, &[1]), 0);
    assert_eq!(set(&mut console, 0, &[0]), 0);
}

#[test]
fn ipv6_addresses_are_by_number() {
    let mut console = session();
    assert_eq!(get(&mut console, 50, 0).1, [0x11, 3]);
    assert_eq!(get(&mut console, 55, 0).1, [0x11, 2, 1, 2]);
    let mut address = vec![1, 0x80];
    address.extend_from_slice(&[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 64]);
    assert_eq!(set(&mut console, 56, &address), 0);
    address.push(0);
    assert_eq!(get(&mut console, 56, 1).1[1..], address);
    assert_eq!(get(&mut console, 56, 0).1[2], 0, "the other one");
    assert_eq!(get(&mut console, 56, 2).0, 0xc9);
    let (_, dynamic) = get(&mut console, 59, 0);
    assert_eq!((dynamic[2], &dynamic[3..5], dynamic[19]), (0x81, &[0xfe, 0x80][..], 64));
    assert_eq!(set(&mut console, 59, &dynamic[1..]), 0x82);
}
