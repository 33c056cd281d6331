//! The scanner never panics, shows nothing that is planted, and keeps JSON JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The checks are tests too, which run without nightly.
#[path = "../../crates/spanwise-redact/tests/support/mod.rs"]
mod support;

fuzz_target!(|bytes: &[u8]| support::scan::check(bytes));
