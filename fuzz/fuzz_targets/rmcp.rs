#![no_main]

#[path = "../../tests/codec/mod.rs"]
mod codec;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    codec::decoders::check_all("rmcp", input);
    codec::decoders::check_all("asf", input);
});
