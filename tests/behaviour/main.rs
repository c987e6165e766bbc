//! What the library promises, in virtual time: a module per promise.

mod pair;
mod seeds;

mod break_is_ordered;
mod console_bytes_are_exact;
mod replies_match_requests;
mod sol_is_taken_by_policy;
mod sol_quirks_are_lived_with;
mod sol_survives_silence;
