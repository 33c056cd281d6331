//! Secrets of the crate `secrecy` inside [`Classified`].
//!
//! `SecretString` hides itself from `Debug`, and does not implement `Display` or `Serialize`. So a
//! struct with a `SecretString` cannot be logged with `as_json(&value)`. With a
//! `Classified<SecretString>` it can. The secret still clears its memory.

use secrecy::{ExposeSecret, SecretBox, zeroize::Zeroize};

use super::Classified;

/// Returns the secret. Code that calls `expose_secret` compiles with and without `Classified`.
impl<S: Zeroize + ?Sized> ExposeSecret<S> for Classified<SecretBox<S>> {
    fn expose_secret(&self) -> &S {
        self.expose().expose_secret()
    }
}
