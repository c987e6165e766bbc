//! What several tests and the fuzz targets share: vectors, decoder checks, seeded mutations.
#![allow(dead_code)] // Each of them uses a part.

pub mod cipher;
pub mod corpus;
pub mod decoders;
pub mod random;
pub mod replay;
pub mod vectors;
