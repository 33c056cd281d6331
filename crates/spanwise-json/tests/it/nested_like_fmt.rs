//! `json-nested` compared with `tracing_subscriber::fmt().json()`, byte for byte.
//!
//! Excluded are these faults of `fmt`:
//!
//! * repeated keys: a field that is given twice, and a span's field called `name`;
//! * unescaped DEL, C1 controls, U+2028, U+2029 and bidirectional controls, which are escaped
//!   before the comparison;
//! * the list of spans is that of the current span, even if the event has another parent or none;
//! * `log.*` fields of records of the `log` crate;
//! * `r#` before keywords, unless the field is shown by `Debug`;
//! * late values are dropped if JSON escapes their name;
//! * bytes are numbers in a span and text in an event (we do the same);
//! * the causes of an error are dropped, while here they follow its message.

use std::error::Error;

use crate::support::any::{self, Any, Case, case};
use proptest::prelude::*;
use spanwise_json::{Format, JsonLayer};
use spanwise_testing::support::{Lines, fixed_clock};
use tracing::{debug, error, field::Empty, info, info_span, warn};
use tracing_subscriber::{fmt, prelude::*};

struct Then;

impl fmt::time::FormatTime for Then {
    fn format_time(&self, w: &mut fmt::format::Writer<'_>) -> std::fmt::Result {
        w.write_str("2026-11-20T09:08:07.123456Z")
    }
}

/// Logs once to each layer, and compares their lines.
fn check(log: impl Fn()) {
    let (ours, theirs) = (Lines::default(), Lines::default());
    let layer = JsonLayer::new()
        .format(Format::JsonNested)
        .clock(fixed_clock())
        .with_writer(ours.clone());
    let fmt = fmt::layer()
        .json()
        .with_timer(Then)
        .with_writer(theirs.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer).with(fmt), log);
    assert_eq!(ours.text(), theirs.text());
    assert!(!ours.text().is_empty());
}

#[test]
fn events_without_spans() {
    check(|| info!("a message"));
    check(|| {
        info!(
            answer = 42,
            ratio = 0.5,
            big = u64::MAX,
            small = i64::MIN,
            yes = true,
            "typed"
        )
    });
    check(|| warn!(text = "line\nquote\"", shown = %"x", debugged = ?Some("y"), "texts"));
    check(|| {
        error!(
            nan = f64::NAN,
            inf = f64::INFINITY,
            huge = u128::MAX,
            "numbers that are none"
        )
    });
    check(|| debug!(only = 1, other = Empty));
    check(|| info!(bytes = &[1_u8, 0xAB][..], "bytes"));
    let io = std::io::Error::other("gone");
    check(|| {
        info!(
            error = &io as &(dyn Error + 'static),
            message = "with an error"
        )
    });
}

#[test]
fn events_in_spans_with_late_records() {
    check(|| {
        let outer = info_span!("outer", z = 1, a = "text", m = ?vec![1], late = Empty);
        let _outer = outer.enter();
        info!(a = 1, "in one span");
        outer.record("late", 2.5).record("z", 2);
        let inner = info_span!("inner");
        let _inner = inner.enter();
        info!("in two");
        let _third =
            info_span!("third", bytes = &[1_u8, 2][..], u = u128::MAX, error = %"e").entered();
        info!("in three");
    });
}

#[test]
fn options_of_the_layer() {
    let (ours, theirs) = (Lines::default(), Lines::default());
    let layer = JsonLayer::new()
        .format(Format::JsonNested)
        .with_source_location()
        .with_thread_name()
        .with_thread_id()
        .without_timestamp()
        .with_writer(ours.clone());
    let fmt = fmt::layer()
        .json()
        .without_time()
        .with_file(true)
        .with_line_number(true)
        .with_thread_names(true)
        .with_thread_ids(true)
        .with_writer(theirs.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer).with(fmt), || {
        let _span = info_span!("s", a = 1).entered();
        info!("m");
    });
    assert_eq!(ours.text(), theirs.text());
}

/// Returns the case without the faults of `fmt`, and without types that it does not support.
fn comparable(case: Case) -> Case {
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "level", "timestamp", "target", "type"];
    let known = |value: Any| match value {
        Any::Json(value) => Any::Display(value.to_string()),
        other => other,
    };
    // Each field gets a name of its own, that of the case if possible.
    let named = |fields: any::Fields| {
        let mut free: Vec<&str> = NAMES.to_vec();
        let take = |(name, value): (String, Any)| {
            let wanted = free.iter().position(|free| *free == name).unwrap_or(0);
            (free.remove(wanted).to_owned(), known(value))
        };
        fields.into_iter().map(take).collect()
    };
    Case {
        spans: case.spans.into_iter().map(named).collect(),
        records: case
            .records
            .into_iter()
            .map(|(span, field, value)| (span, field, known(value)))
            .collect(),
        event: named(case.event),
    }
}

/// Returns the case with the causes of errors in their messages, since `fmt` drops causes.
fn with_causes_in_messages(case: Case) -> Case {
    let joined = |value: Any| match value {
        Any::Error(chain) => Any::Error(vec![chain.join(": ")]),
        other => other,
    };
    let all = |fields: any::Fields| {
        let fields = fields.into_iter();
        fields.map(|(name, value)| (name, joined(value))).collect()
    };
    Case {
        spans: case.spans.into_iter().map(all).collect(),
        records: case
            .records
            .into_iter()
            .map(|(span, field, value)| (span, field, joined(value)))
            .collect(),
        event: all(case.event),
    }
}

/// Escapes what `fmt` leaves unescaped.
fn escaped(line: &str) -> String {
    line.chars().fold(String::new(), |mut out, c| {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_fields_in_any_spans(case in case().prop_map(comparable)) {
        let (ours, theirs) = (Lines::default(), Lines::default());
        let layer = JsonLayer::new().format(Format::JsonNested).clock(fixed_clock()).with_writer(ours.clone());
        any::log(&case, &crate::support::dispatch(layer));
        let case = with_causes_in_messages(case);
        any::log(&case, &crate::support::dispatch(fmt::layer().json().with_timer(Then).with_writer(theirs.clone())));
        prop_assert_eq!(ours.text(), escaped(&theirs.text()));
    }
}
