//! What the fuzzers check, of their seeds and of bytes made here, for who has no nightly compiler.

use std::{fs, path::Path};

use crate::support::{redact_overrides, redacted, scan};
use proptest::{prelude::*, sample::select};

fn seeds(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let files = fs::read_dir(folder).unwrap();
    let seeds: Vec<Vec<u8>> = files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| check(seed));
}

#[test]
fn seeds_of_the_scanner_pass() {
    seeds("scan", scan::check);
}

#[test]
fn seeds_of_redacted_layers_pass() {
    seeds("redacted", redacted::check);
}

#[test]
fn seeds_of_the_setting_pass() {
    seeds("redact_overrides", redact_overrides::check);
}

/// A text of what the scanner looks for.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let parts = include_str!("../../../../fuzz/dictionary").lines();
    let parts = parts.filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    let parts: Vec<Vec<u8>> = parts
        .map(|part| {
            part.replace("\\\"", "\"")
                .replace("\\\\", "\\")
                .into_bytes()
        })
        .collect();
    let part = prop_oneof![
        2 => select(parts),
        1 => "[ -~]{0,8}".prop_map(String::into_bytes),
        1 => "\\PC{0,8}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_passes(choices in prop::collection::vec(any::<u8>(), 16), text in text()) {
        scan::check(&[choices, text].concat());
    }

    #[test]
    fn any_program_passes(program in prop::collection::vec(any::<u8>(), 0..300)) {
        redacted::check(&program);
    }

    #[test]
    fn any_setting_passes(words in prop::collection::vec("([+-]?[a-zA-Z_.*\\[\\]]{0,8}|on|OFF)", 0..4)) {
        redact_overrides::check(words.join(",").as_bytes());
    }
}
