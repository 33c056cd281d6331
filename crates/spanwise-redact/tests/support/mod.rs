//! What fuzzers and tests check alike: each function takes any bytes and panics where something is wrong.

#![allow(
    unreachable_pub,
    dead_code,
    reason = "no one of those who include it calls all of it"
)]

pub mod input;
pub mod json;
pub mod plant;
pub mod redact_overrides;
pub mod redacted;
pub mod scan;
