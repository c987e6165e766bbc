//! Serial over LAN, as the specification has it.

use super::Console;
use crate::sim::Profile;

#[test]
fn characters_go_both_ways() {
    let mut console = Console::with_sol(Profile::Spec);
    console.write(b"hello");
    let answer = console.sol_packets().pop().unwrap();
    assert_eq!((answer.sequence, answer.ack, answer.count, answer.status), (0, 1, 5, 0));
    assert_eq!(console.bmc.serial_input(), b"hello");
    assert_eq!(console.bmc.serial_output(console.now, b"world"), 5);
    assert_eq!(console.read_all(200), b"world");
}
