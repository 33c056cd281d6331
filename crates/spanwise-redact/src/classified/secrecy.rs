//! Secrets of the crate `secrecy` inside [`Classified`].
//!
//! `SecretString` hides itself from `Debug`, and has neither `Display` nor `Serialize`: a struct
//! with one cannot be logged with `as_json(&value)`. Inside [`Classified`] it can, and still clears
//! its memory.

use secrecy::{ExposeSecret, SecretBox, zeroize::Zeroize};

use super::Classified;

/// Returns the secret, so that code that calls `expose_secret` still compiles.
impl<S: Zeroize + ?Sized> ExposeSecret<S> for Classified<SecretBox<S>> {
    fn expose_secret(&self) -> &S {
        self.expose().expose_secret()
    }
}
