//! What the library promises, in virtual time: a module per promise.

mod pair;
mod scripted;

mod connect_blocks_until_known;
mod console_bytes_are_exact;
mod errors_name_the_cause;
mod every_cipher_suite_works;
