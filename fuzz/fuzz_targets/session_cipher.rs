#![no_main]

#[path = "../../tests/codec/mod.rs"]
mod codec;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    codec::cipher::session_cipher(input);
});
