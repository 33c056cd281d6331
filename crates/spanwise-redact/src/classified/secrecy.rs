//! Secrets of the crate `secrecy` inside of [`Classified`].
//!
//! `SecretString` hides itself from `Debug`, and has neither `Display` nor `Serialize`: a struct
//! with one cannot be logged by `as_json(&value)`. Inside of [`Classified`] it can, and still clears
//! its memory.

use secrecy::{ExposeSecret, SecretBox, zeroize::Zeroize};

use super::Classified;

/// The secret itself: code that calls `expose_secret` goes on to compile.
impl<S: Zeroize + ?Sized> ExposeSecret<S> for Classified<SecretBox<S>> {
    fn expose_secret(&self) -> &S {
        self.expose().expose_secret()
    }
}
