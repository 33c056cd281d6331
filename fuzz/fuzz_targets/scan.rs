//! The scanner never panics, what it shows holds no planted token, and what it showed it shows again.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use spanwise_core::Redact;
use spanwise_redact::Policy;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    Policy::secrets_and_pii()
        .hide("user.*.badge")
        .expect("a path is a rule")
});

const TOKEN: &str = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";

fuzz_target!(|text: &str| {
    let shown = POLICY.text(text);
    assert_eq!(POLICY.text(&shown), shown);
    let middle = (0..=text.len() / 2)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    let (before, after) = text.split_at(middle);
    let planted = format!("{before} {TOKEN} {after}");
    assert!(!POLICY.text(&planted).contains(TOKEN));
});
