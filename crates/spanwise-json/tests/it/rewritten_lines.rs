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
