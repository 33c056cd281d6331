//! Compression of the bodies of OTLP requests.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

/// Returns `plain`, compressed with gzip.
pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let compressed = Vec::with_capacity(plain.len() / 4);
    let mut encoder = GzEncoder::new(compressed, Compression::fast());
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    // Writing to a vector does not fail.
    written.unwrap_or_default()
}
