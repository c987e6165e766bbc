//! What the library promises, in virtual time: a module per promise.

mod pair;
#[path = "../codec/random.rs"]
mod random;
mod scripted;
mod seeds;
mod world;

mod break_is_ordered;
mod clock_steps_do_nothing;
mod closing_a_console_only_deactivates_sol;
mod connect_blocks_until_known;
mod console_bytes_are_exact;
mod early_data_is_kept;
mod errors_name_the_cause;
mod every_cipher_suite_works;
mod heals_every_time;
mod ipmi_15_works_when_allowed;
mod peer_input_is_hostile;
mod quirks_are_lived_with;
mod reconfigure_breaks_and_remakes;
mod replies_match_requests;
mod sessions_stay_alive;
mod sol_is_taken_by_policy;
mod sol_quirks_are_lived_with;
mod sol_survives_silence;
