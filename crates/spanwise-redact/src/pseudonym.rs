//! Pseudonyms: replacements that are equal for equal values, computed with a secret key.

use std::{fmt, io, path::Path, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use spanwise_core::ParseError;

/// The key of pseudonyms. Keep it secret: everyone with the key can verify a guessed value.
///
/// Services with the same key compute the same pseudonym for the same name and value. `Debug` does
/// not show the key.
#[derive(Clone)]
pub struct PseudonymKey(Arc<Hmac<Sha256>>);

/// The minimum length of a key, in bytes. A shorter key could be guessed by brute force.
const MIN_KEY_LEN: usize = 16;
/// The maximum length of a file with a key, in bytes.
const MAX_FILE_LEN: u64 = 4096;

impl PseudonymKey {
    /// Creates a key from bytes.
    ///
    /// # Errors
    /// If there are fewer than 16 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, ParseError> {
        let too_short = || {
            ParseError::new(format!(
                "the pseudonym key has {} bytes: it needs at least {MIN_KEY_LEN}; create one with `openssl rand -hex 32`",
                bytes.len()
            ))
        };
        if bytes.len() < MIN_KEY_LEN {
            return Err(too_short());
        }
        let mac = Hmac::new_from_slice(bytes).map_err(|_| too_short())?;
        Ok(Self(Arc::new(mac)))
    }

    /// Reads the key from a file and trims white space.
    ///
    /// # Errors
    /// If the file cannot be read, has more than 4,096 bytes, or has fewer than 16 bytes after
    /// trimming.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ParseError> {
        let path = path.as_ref();
        let cannot_read = |why: &dyn fmt::Display| {
            ParseError::new(format!(
                "cannot read the pseudonym key from {path:?}: {why}"
            ))
        };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(|error| cannot_read(&error))?;
        io::Read::read_to_end(&mut io::Read::take(file, MAX_FILE_LEN + 1), &mut bytes)
            .map_err(|error| cannot_read(&error))?;
        if bytes.len() as u64 > MAX_FILE_LEN {
            return Err(cannot_read(&format_args!(
                "it has more than {MAX_FILE_LEN} bytes"
            )));
        }
        Self::new(bytes.trim_ascii()).map_err(|error| cannot_read(&error))
    }

    /// Returns the pseudonym of a value: the first 16 bytes of an HMAC-SHA-256, in base64url.
    pub(crate) fn pseudonym(&self, name: &[u8], value: &str) -> String {
        let mut mac = (*self.0).clone();
        // Names contain no zero byte, so different pairs of name and value never give the same
        // input.
        mac.update(name);
        mac.update(b"\0");
        mac.update(value.as_bytes());
        let digest = mac.finalize().into_bytes();
        let mut pseudonym = String::from(PSEUDONYM_PREFIX);
        for three in digest[..16].chunks(3) {
            let bits = three
                .iter()
                .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
                << (8 * (3 - three.len()));
            for letter in 0..=three.len() {
                pseudonym.push(char::from(
                    BASE64URL[(bits >> (18 - 6 * letter) & 63) as usize],
                ));
            }
        }
        pseudonym
    }
}

/// The start of each pseudonym, which identifies the algorithm.
const PSEUDONYM_PREFIX: &str = "k1:";

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey(hidden)")
    }
}
