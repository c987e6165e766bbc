//! What the library promises, in virtual time: a module per promise.

mod pair;
#[path = "../codec/random.rs"]
mod random;
mod scripted;
mod seeds;
mod world;

mod bad_credentials_heal;
mod break_is_ordered;
mod clock_steps_do_nothing;
mod closing_a_console_only_deactivates_sol;
mod connect_blocks_until_known;
mod console_bytes_are_exact;
mod consoles_are_kept_as_told;
mod controllers_behind_it_answer;
mod early_data_is_kept;
mod errors_name_the_cause;
mod every_cipher_suite_works;
mod heals_every_time;
mod ipmi_15_works_when_allowed;
mod one_session_per_bmc;
mod orphans_are_silent;
mod peer_input_is_hostile;
mod quirks_are_lived_with;
mod reconfigure_breaks_and_remakes;
mod replies_match_requests;
mod retries_fit_the_cause;
mod sessions_stay_alive;
mod sol_is_taken_by_policy;
mod sol_quirks_are_lived_with;
mod sol_survives_silence;
mod supervisors_come_to_rest;
