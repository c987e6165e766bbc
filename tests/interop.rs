//! Meets programs that nobody of this project wrote: our end at other people's BMCs, and other
//! people's clients at our simulated BMC. Real sockets, real time.
//!
//! Needs what `tests/setup.sh` installs; a missing program fails the test that wants it.

mod support;

mod interop {
    mod client;
    mod clients_at_our_bmc;
    mod commands_at_ipmi_sim;
    mod ipmi_sim_console;
    mod ipmi_sim_login;
    mod ipmi_sim_loss;
    mod lossy_line;
    mod management;
    mod pyghmi;
    mod side_by_side;
    mod supervision;
}
