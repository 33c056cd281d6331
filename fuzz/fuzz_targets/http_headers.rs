//! What a caller sends in headers is read, and written again, the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The checks are tests too, which run without nightly.
#[path = "../../crates/spanwise-http/tests/it/support/headers.rs"]
mod headers_support;

fuzz_target!(|bytes: &[u8]| headers_support::check(bytes));
