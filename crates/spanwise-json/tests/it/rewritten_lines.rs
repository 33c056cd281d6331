//! Lines that are not flat JSON: `logfmt` and `otlp`.

use std::{cell::Cell, fmt};

use spanwise_json::{Format, as_json};
use tracing::{error, info, info_span};

use crate::support::{Failed, lines};

/// A value that can be formatted once, such as one that consumes an iterator.
struct Once(Cell<bool>);

impl Once {
    fn new() -> Self {
        Self(Cell::new(false))
    }
}

impl fmt::Display for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        assert!(!self.0.replace(true), "formatted again");
        f.write_str("once only")
    }
}

struct Panics;

impl fmt::Display for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part")?;
        panic!("the value")
    }
}

const FORMATS: [Format; 2] = [Format::Logfmt, Format::Otlp];

#[test]
fn values_are_formatted_once() {
    for format in FORMATS {
        let text = lines(
            |layer| layer.format(format.clone()),
            || {
                let failed = Failed("refused", None);
                let failed = &failed as &dyn std::error::Error;
                error!(error = failed, "first {}", Once::new());
                info!(value = %Once::new(), big = u128::MAX, "second {}", Once::new());
                info!(value = %Once::new(), bytes = &b"abc"[..], most = u64::MAX);
                info!(value = %Once::new(), json = %as_json(&[1, 2]), broken = %Panics);
                let _span = info_span!("request", value = "of the span").entered();
                info!(value = %Once::new(), "shared {}", Once::new());
                info!(parent: None, value = %Once::new(), "rootless");
            },
        )
        .text();
        assert!(
            !text.contains("panicked while formatting>\" once"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 6, "{text}");
        assert_eq!(text.matches("once only").count(), 8, "{text}");
        assert_eq!(text.matches("panicked").count(), 1, "{text}");
        assert!(!text.contains("of the span"), "{text}");
        for shown in ["refused", "616263", "18446744073709551615", "[1,2]"] {
            let nested = text.contains("\"arrayValue\":{\"values\":[{\"intValue\":\"1\"}");
            assert!(
                text.contains(shown) || shown == "[1,2]" && nested,
                "{shown}: {text}"
            );
        }
    }
}

/// The end of a line in a span is remembered. These lines differ in all that it depends on.
#[test]
fn ends_of_lines_follow_their_span_and_callsite() {
    for (format, start) in [
        (Format::Logfmt, "order="),
        (Format::Otlp, "\"order\",\"value\":{\"intValue\":\""),
    ] {
        let written = lines(
            |layer| {
                layer
                    .format(format.clone())
                    .with_source_location()
                    .max_field(1024)
            },
            || {
                let first = info_span!("first", order = 1, late = tracing::field::Empty);
                let second = info_span!("second", order = 2);
                for _ in 0..2 {
                    first.in_scope(|| info!("here"));
                    second.in_scope(|| info!("here"));
                    first.in_scope(|| info!("there"));
                }
                first.in_scope(|| {
                    info!(long = %"text ".repeat(400), "cut");
                    info!("here");
                    first.record("late", "recorded");
                    info!("there");
                    info!(order = 3, "own");
                });
                // Another span may get the memory of a closed one.
                drop(first);
                for order in 4..8 {
                    info_span!("next", order, late = "recorded").in_scope(|| info!("here"));
                }
                info!("outside");
            },
        )
        .text();
        let numbers = |line: &str| {
            let value = line.split_once(start).map(|(_, value)| value);
            value.map(|value| {
                value
                    .split(|c: char| !c.is_ascii_digit())
                    .next()
                    .unwrap()
                    .to_owned()
            })
        };
        let orders: Vec<_> = written
            .lines()
            .map(|line| numbers(line).unwrap_or_default())
            .collect();
        let expected = "1 2 1 1 2 1 1 1 1 3 4 5 6 7";
        assert_eq!(orders.join(" ").trim_end(), expected, "{written}");
        let has_late: Vec<_> = written
            .lines()
            .map(|line| line.contains("recorded"))
            .collect();
        assert_eq!(has_late.iter().position(|late| *late), Some(8), "{written}");
        assert_eq!(
            has_late.iter().filter(|late| **late).count(),
            6,
            "{written}"
        );
        let lists = written.lines().filter(|line| line.contains("truncated"));
        assert_eq!(lists.count(), 1, "{written}");
        // Each callsite has its own line number.
        let places: std::collections::HashSet<_> = written
            .lines()
            .map(|line| {
                let place = ["line=", "\"code.line.number\",\"value\":{\"intValue\":\""]
                    .iter()
                    .find_map(|start| line.split_once(start))
                    .unwrap()
                    .1;
                place
                    .split(|c: char| !c.is_ascii_digit())
                    .next()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(places.len(), 9, "{written}");
    }
}
