//! Checks shared by fuzzers and tests. Each accepts any bytes and panics if a check fails.

#![allow(
    unreachable_pub,
    dead_code,
    reason = "fuzz targets and tests each use a part"
)]

pub mod input;
pub mod json;
pub mod plant;
pub mod redact_overrides;
pub mod redacted;
pub mod scan;
