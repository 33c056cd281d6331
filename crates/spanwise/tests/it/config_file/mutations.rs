//! Any text is a configuration, or has errors with places inside it. The fuzzer `config` makes the
//! same check.

use proptest::prelude::*;

use super::config_text;

const EXAMPLE: &str = include_str!("../../../../../docs/log.example.toml");

/// What is inserted: parts of the grammar and of values.
const PARTS: [&str; 32] = [
    "=",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "\"",
    "'''",
    "\"\"\"",
    "#",
    "\n",
    ".",
    ",",
    "true",
    "0x1F",
    "-9999999999999999999",
    "1979-05-27",
    "${",
    "}",
    "${NO}",
    "$",
    "ü",
    "\u{7f}",
    "strict = true\n",
    "[sink.sentry]\n",
    "dsn = 'x'\n",
    "[sink.otlp]\nendpoint = 'http://u:p@h'\n",
    "[profile.prod]\n",
    "time = 'local'\n",
    "redact = 'off'\n",
    "[sink.main]\n",
];

#[derive(Debug, Clone)]
enum Mutation {
    Insert(usize, usize),
    Delete(usize, usize),
    /// Swaps two lines.
    Swap(usize, usize),
    Repeat(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = 0..EXAMPLE.len();
    prop_oneof![
        (at.clone(), 0..PARTS.len()).prop_map(|(at, part)| Mutation::Insert(at, part)),
        (at.clone(), 1..40_usize).prop_map(|(at, len)| Mutation::Delete(at, len)),
        (at.clone(), at.clone()).prop_map(|(one, other)| Mutation::Swap(one, other)),
        at.prop_map(Mutation::Repeat),
    ]
}

fn mutated(mutations: &[Mutation]) -> String {
    let mut text = EXAMPLE.to_owned();
    for mutation in mutations {
        let count = text.lines().count().max(1);
        match *mutation {
            Mutation::Insert(at, part) => {
                let at = boundary(&text, at);
                text.insert_str(at, PARTS[part]);
            }
            Mutation::Delete(at, len) => {
                let (start, end) = (boundary(&text, at), boundary(&text, at + len));
                text.replace_range(start..end.max(start), "");
            }
            Mutation::Swap(one, other) => {
                let mut lines: Vec<&str> = text.lines().collect();
                if !lines.is_empty() {
                    lines.swap(one % count, other % count);
                }
                text = lines.join("\n");
            }
            Mutation::Repeat(at) => {
                let line = text.lines().nth(at % count).unwrap_or_default();
                text = format!("{line}\n{text}");
            }
        }
    }
    text
}

fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn mutated_example_starts_or_has_a_place(
        mutations in proptest::collection::vec(mutation(), 1..4),
    ) {
        config_text::check(mutated(&mutations).as_bytes());
    }
}

#[test]
fn seeds_of_the_fuzzer_are_checked() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/config");
    let mut count = 0;
    for seed in std::fs::read_dir(seeds).unwrap() {
        config_text::check(&std::fs::read(seed.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 3, "{count}");
}
