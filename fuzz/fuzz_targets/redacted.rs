//! A layer behind a policy sees what the rules say, and all else as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The checks are tests too, which run without nightly.
#[path = "../../crates/spanwise-redact/tests/support/mod.rs"]
mod support;

fuzz_target!(|bytes: &[u8]| support::redacted::check(bytes));
