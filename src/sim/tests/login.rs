//! Logins of every suite, and what they are refused with.

use super::Console;
use super::console::APP;
use crate::sim::{BmcOptions, Profile};

#[test]
fn every_suite_logs_in_and_answers() {
    for suite in [0, 1, 2, 3, 6, 7, 8, 11, 12, 15, 16, 17] {
        let mut console = Console::new(Profile::Spec, suite);
        console.login().unwrap();
        let (code, data) = console.command(APP, 0x01, &[]);
        assert_eq!((code, data.len()), (0, 15), "suite {suite}");
        assert_eq!(console.bmc.sessions(), 1);
    }
}

#[test]
fn k_g_keys_the_session() {
    for suite in [1, 3, 8, 17] {
        let k_g = b"\0binary key of 20 by".to_vec();
        let options = BmcOptions { k_g: k_g.clone(), ..Default::default() };
        let mut console = Console::with(options, suite);
        console.k_g = k_g;
        console.login().unwrap();
        assert_eq!(console.command(APP, 0x01, &[]).0, 0);
    }
}
