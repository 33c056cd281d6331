//! The checks of the fuzzer with its seeds and with generated headers, on a stable compiler.

use std::{fs, path::Path};

use crate::support::headers::check;
use proptest::{prelude::*, sample::select};

#[test]
fn fuzz_seeds_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/http_headers");
    let seeds: Vec<_> = fs::read_dir(folder).unwrap().collect();
    assert!(!seeds.is_empty());
    for seed in seeds {
        check(&fs::read(seed.unwrap().path()).unwrap());
    }
}

/// Generates header lines that are almost valid.
fn line() -> impl Strategy<Value = String> {
    let white = || "[ \t]{0,2}";
    let traceparent = (
        white(),
        "(00|00|cc|ff|0)-[0-9a-f]{31,33}-[0-9a-f]{16}-[0-9a-fA-F]{2}",
        "(|-|-x|[.])",
    )
        .prop_map(|(white, text, end)| format!("traceparent: {white}{text}{end}"));
    let state = prop::collection::vec(
        (
            white(),
            "([a-c0-1@_.]{0,3}|[a-c@]{255,257})=[ -~]{0,3}",
            white(),
        )
            .prop_map(|(before, member, after)| format!("{before}{member}{after}")),
        0..36,
    )
    .prop_map(|members| format!("tracestate: {}", members.join(",")));
    let part = || prop_oneof![4 => "[a-c!]{1,2}", 1 => "(%2[0-9C]|%C3%84|%F|[ -~ä])"];
    let baggage = prop::collection::vec(
        (
            white(),
            part(),
            white(),
            part(),
            "(|;a|; b = c|;;|;=|;\\PC)",
        )
            .prop_map(|(one, key, two, value, property)| {
                format!("{one}{key}{two}={one}{value}{two}{property}")
            }),
        0..70,
    )
    .prop_map(|members| format!("baggage: {}", members.join(",")));
    let id = "[A-Za-z0-9_.=#:/+@;-]{0,202}".prop_map(|id| format!("x-request-id: {id}"));
    prop_oneof![3 => traceparent, 2 => state, 2 => baggage, 1 => id]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn almost_valid_lines_round_trip(lines in prop::collection::vec(line(), 0..5)) {
        check(lines.join("\n").as_bytes());
    }

    #[test]
    fn any_bytes_round_trip(name in select(&["traceparent", "tracestate", "baggage", "x-request-id"][..]), value: Vec<u8>) {
        check(&[name.as_bytes(), b": ", &value].concat());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn long_values_round_trip(value in "[%a-c=,;]{8100,8300}") {
        check(format!("baggage: {value}").as_bytes());
    }
}
