//! The value of a setting whose part is not built in.

use std::{fmt, str::FromStr};

use spanwise_core::ParseError;

/// Replaces the type of a part that is not built in. Its values are never read.
#[allow(dead_code, reason = "every part may be built in")]
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
