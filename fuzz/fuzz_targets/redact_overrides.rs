//! `LOG_REDACT`: any value is either accepted and works, or is rejected.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The checks are tests too, which run without nightly.
#[path = "../../crates/spanwise-redact/tests/support/mod.rs"]
mod support;

fuzz_target!(|bytes: &[u8]| support::redact_overrides::check(bytes));
