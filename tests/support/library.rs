//! What every test that runs the library itself begins with.

use std::time::Duration;

use bmclink::{Engine, EngineConfig, Reader};

use super::wait_until;

/// Far longer than anything takes, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// An engine with so many shards.
pub fn engine(shards: usize) -> Engine {
    let mut config = EngineConfig::default();
    config.shards = shards;
    Engine::new(config).expect("an engine")
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(wait_until(PATIENCE, is_so), "never: {what}");
}

/// Reads until `len` bytes are there.
#[track_caller]
pub fn read_exactly(reader: &mut Reader, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while bytes.len() < len {
        let read = reader.read(&mut buffer, PATIENCE).expect("more bytes");
        bytes.extend_from_slice(&buffer[..read]);
    }
    bytes
}
