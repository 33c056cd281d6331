//! Values that the policy does not hide are printed as without a policy.

use std::{error::Error, fmt};

use crate::support::redaction::{Everything, SECRET, no_hunter};
use proptest::prelude::*;
use spanwise_core::LayerExt;
use spanwise_testing::support::Lines;
use tracing::{debug, field::Empty, info, info_span, subscriber::with_default, warn};
use tracing_subscriber::{Registry, fmt as text, prelude::*};

#[derive(Debug, Clone)]
struct Values {
    text: String,
    other: String,
    bytes: Vec<u8>,
    maybe: Option<String>,
    list: Vec<Option<f64>>,
    signed: i64,
    unsigned: u64,
    wide: i128,
    wider: u128,
    float: f64,
    flag: bool,
}

#[derive(Debug)]
struct Failed<'a>(&'a str, Option<Box<Failed<'static>>>);

impl fmt::Display for Failed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Failed<'static> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

fn log(values: &Values) {
    let Values {
        text,
        other,
        bytes,
        maybe,
        list,
        signed,
        unsigned,
        wide,
        wider,
        float,
        flag,
    } = values;
    let outer = info_span!("outer", text, list = ?list, late = Empty, flag, never = Empty);
    let _outer = outer.enter();
    info!(signed, unsigned, float, flag, "{text}");
    outer.record("late", maybe.as_deref());
    let inner =
        info_span!(parent: &outer, "inner", bytes = &bytes[..], wide, wider = *wider, late = Empty);
    inner.record("late", tracing::field::display(other));
    let _inner = inner.enter();
    warn!(text, other = %other, list = ?list, maybe, bytes = &bytes[..], wide, "{other} and {text}");
    debug!(parent: None, text, signed);
    let source = Failed("a cause", None);
    let error = Failed("an error", Some(Box::new(source)));
    info!(error = &error as &dyn Error, text);
    outer.record("late", signed);
    info!(text = other.as_str(), wider = *wider);
}

fn values() -> impl Strategy<Value = Values> {
    // Sometimes the secret itself, so that one value is replaced and its neighbours are not.
    let text = || {
        prop_oneof![
            4 => any::<String>(),
            2 => "[ -~]{0,20}",
            1 => Just(SECRET.to_owned()),
            1 => "[a-z\\\\\"\n]{0,5}hunter2[a-z]{0,5}",
        ]
    };
    let bytes = prop::collection::vec(any::<u8>(), 0..20);
    let list = prop::collection::vec(any::<Option<f64>>(), 0..4);
    let numbers = any::<(i64, u64, i128, u128, f64, bool)>();
    (
        text(),
        text(),
        bytes,
        prop::option::of(text()),
        list,
        numbers,
    )
        .prop_map(
            |(text, other, bytes, maybe, list, (signed, unsigned, wide, wider, float, flag))| {
                Values {
                    text,
                    other,
                    bytes,
                    maybe,
                    list,
                    signed,
                    unsigned,
                    wide,
                    wider,
                    float,
                    flag,
                }
            },
        )
}

/// Returns the output of a `fmt` layer without the wrapper and with it.
macro_rules! printed {
    ($fmt:expr, $values:expr) => {{
        let (bare, wrapped) = (Lines::default(), Lines::default());
        let layer = || $fmt.without_time().with_ansi(false);
        let stack = Registry::default().with(layer().with_writer(bare.clone()));
        with_default(stack, || log($values));
        let layer = layer().with_writer(wrapped.clone()).redacted(no_hunter());
        with_default(Registry::default().with(layer), || log($values));
        (bare.take(), wrapped.take())
    }};
}

proptest! {
    #[test]
    fn output_differs_only_in_the_secret(values in values()) {
        let (bare, wrapped) = printed!(text::layer(), &values);
        prop_assert_eq!(bare.replace(SECRET, "***"), wrapped);
        let (bare, wrapped) = printed!(text::layer().json(), &values);
        prop_assert_eq!(bare.replace(SECRET, "***"), wrapped);
    }
}

#[test]
fn trusted_long_error_is_shown_whole() {
    let long = "word ".repeat(20_000);
    let text = || -> &'static str { long.clone().leak() };
    let error = Failed(text(), Some(Box::new(Failed(text(), None))));
    let everything = Everything::default();
    let layer = everything.clone().redacted(no_hunter());
    with_default(Registry::default().with(layer), || {
        info!(trusted = &error as &dyn Error, value = SECRET);
        info!(trusted = %long, value = SECRET);
    });
    let calls = everything.take();
    assert_eq!(calls.len(), 4, "each event is asked about and logged");
    for call in calls {
        let shown: String = call.chars().take(100).collect();
        assert!(call.contains(&long), "{shown}");
        assert!(!call.contains("REDACTED"), "{shown}");
        assert!(call.ends_with(" value=str:***"), "{shown}");
    }
}
