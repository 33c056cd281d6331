//! A configuration file: any text is either valid, or each error has a place inside it.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The checks are tests too, which run without nightly.
#[path = "../../crates/spanwise/tests/support/config_text.rs"]
mod config_text;

fuzz_target!(|bytes: &[u8]| config_text::check(bytes));
