//! What the library promises, in virtual time: a module per promise.

mod pair;
mod seeds;

mod break_is_ordered;
mod console_bytes_are_exact;
mod replies_match_requests;
