//! Placeholder for the values of settings whose cargo feature is disabled.

use std::{fmt, str::FromStr};

use spanwise_core::ParseError;

/// Replaces the value type of a setting if the crate of that type is not built in. The values are
/// never read.
#[allow(dead_code, reason = "every optional crate may be built in")]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NotBuilt;

impl FromStr for NotBuilt {
    type Err = ParseError;

    fn from_str(_: &str) -> Result<Self, ParseError> {
        Ok(Self)
    }
}

impl fmt::Display for NotBuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not built")
    }
}
