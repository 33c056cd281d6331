//! Law 5: logging never breaks the program. If a `Debug` panics or fails, only the text of its
//! field is lost, and the next line is correct.

use std::fmt;

use tracing::{field::Empty, info, info_span};

struct Panics;

impl fmt::Debug for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half a val")?;
        panic!("in Debug")
    }
}

struct Fails;

impl fmt::Display for Fails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half a val")?;
        Err(fmt::Error)
    }
}

#[test]
fn debug_that_panics_costs_only_its_text() {
    alone!();
    crate::support::bounded(|| {
        let (json, console, _telemetry) = crate::support::install();
        let span = info_span!("outer", request_id = ?Panics, ok = 1, late = Empty);
        let _entered = span.enter();
        span.record("late", tracing::field::debug(Panics));
        info!(before = 1, first = ?Panics, between = 2, second = ?Panics, failed = %Fails, after = 3, "kept");
        info!("{:?}", Panics);
        info!("clean");

        let panicked = "<panicked while formatting>";
        let line = json.with_message("kept");
        assert_eq!(
            (&line["first"], &line["second"]),
            (&panicked.into(), &panicked.into())
        );
        assert_eq!(line["failed"], "<format error>");
        assert_eq!(
            (
                line["before"].as_u64(),
                line["between"].as_u64(),
                line["after"].as_u64()
            ),
            (Some(1), Some(2), Some(3))
        );
        assert_eq!(
            (&line["request_id"], &line["late"], line["ok"].as_u64()),
            (&panicked.into(), &panicked.into(), Some(1))
        );
        json.with_message(panicked);
        json.with_message("clean");
        for text in [json.text(), console.text()] {
            assert!(!text.contains("half a val"), "{text}");
        }
        assert!(
            console.text().matches(panicked).count() >= 4,
            "{}",
            console.text()
        );
    });
}
