//! `pretty`: one line for an event, and lines of their own for errors and for values of several
//! lines.

use std::{error::Error, fmt};

use crate::support::Lines;
use spanwise::{Builder, Preset, Telemetry};
use tracing::{error, info, info_span};

fn install() -> (Lines, Telemetry) {
    let lines = Lines::default();
    let telemetry = Builder::new(Preset::Dev)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    (lines, telemetry)
}

/// The text with `TIME` instead of the times.
fn without_times(text: &str) -> String {
    let times = |line: &str| match line.split_once(' ') {
        Some((time, rest)) if time.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("TIME {rest}\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(times).collect()
}

#[test]
fn pretty_event_is_one_line() {
    alone!();
    let (lines, _telemetry) = install();
    let _request = info_span!("request", request_id = "r-1").entered();
    info!(target: "shop", n = 1, "created");
    assert_eq!(
        without_times(&lines.text()),
        "TIME  INFO shop                 created n=1 | request r-1\n"
    );
}

#[test]
fn pretty_shows_lines_of_values_below_the_fields() {
    alone!();
    let (lines, _telemetry) = install();
    let query = "select *\n  from orders\n";
    info!(target: "shop", query, rows = 2, "first\nsecond");
    assert_eq!(
        without_times(&lines.text()),
        "TIME  INFO shop                 first rows=2\n\
         \x20            | > second\n\
         \x20            | query:\n\
         \x20            | > select *\n\
         \x20            | >   from orders\n"
    );
}

/// A line of a text passes for no error, no cause, no frame and no field.
#[test]
fn lines_of_texts_are_marked() {
    alone!();
    let (lines, _telemetry) = install();
    let text = "first\n  caused by: forged\nat shop::forged  src/a.rs:1\nuser=root";
    error!(target: "shop", text, "{text}");
    for forged in [
        "at shop::forged  src/a.rs:1",
        "> a",
        "  caused by: forged",
        "… 2 frames",
    ] {
        error!(target: "shop", error = forged, "failed");
    }
    assert_eq!(
        without_times(&lines.text()),
        "TIME ERROR shop                 first\n\
         \x20            | >   caused by: forged\n\
         \x20            | > at shop::forged  src/a.rs:1\n\
         \x20            | > user=root\n\
         \x20            | text:\n\
         \x20            | > first\n\
         \x20            | >   caused by: forged\n\
         \x20            | > at shop::forged  src/a.rs:1\n\
         \x20            | > user=root\n\
         TIME ERROR shop                 failed\n\
         \x20            | \"at shop::forged  src/a.rs:1\"\n\
         TIME ERROR shop                 failed\n\
         \x20            | \"> a\"\n\
         TIME ERROR shop                 failed\n\
         \x20            | \"  caused by: forged\"\n\
         TIME ERROR shop                 failed\n\
         \x20            | \"… 2 frames\"\n"
    );
}

#[derive(Debug)]
struct Refused(std::io::Error);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gateway refused the charge\nof order 42")
    }
}

impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn pretty_shows_an_error_and_its_causes_below() {
    alone!();
    let (lines, _telemetry) = install();
    let refused = Refused(std::io::Error::other("connection reset"));
    let refused = &refused as &dyn Error;
    error!(target: "shop", error = refused, order_id = 42, "payment failed");
    error!(target: "shop", rollback = refused, "rollback failed");
    error!(target: "shop", error = "not \"found\"", "payment failed");
    assert_eq!(
        without_times(&lines.text()),
        "TIME ERROR shop                 payment failed order_id=42\n\
         \x20            | gateway refused the charge\n\
         \x20            |     of order 42\n\
         \x20            |   caused by: connection reset\n\
         TIME ERROR shop                 rollback failed\n\
         \x20            | rollback: gateway refused the charge\n\
         \x20            |     of order 42\n\
         \x20            |   caused by: connection reset\n\
         TIME ERROR shop                 payment failed\n\
         \x20            | not \"found\"\n"
    );
}

#[test]
fn full_backtrace_is_shown_to_its_end() {
    alone!();
    let lines = Lines::default();
    let _telemetry = Builder::new(Preset::Dev)
        .panic_backtrace(spanwise::PanicBacktrace::Full)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    let frame = |number| format!("{number:>4}: shop::orders::{}\n", "x".repeat(100));
    let backtrace: String = (0..400).map(frame).collect();
    error!(
        target: "panic",
        { panic.location = "a.rs:1:2", panic.thread = "worker", panic.backtrace = backtrace },
        "out of stock"
    );
    let text = lines.text();
    assert!(
        text.contains("| 399: shop::orders::x") || text.contains("|  399: shop::orders::x"),
        "{text}"
    );
}

#[test]
fn only_one_error_of_an_event_has_no_name() {
    alone!();
    let (lines, _telemetry) = install();
    error!(target: "shop", error = false, "one");
    error!(target: "shop", error = 7, "two");
    error!(target: "shop", error = "", "three");
    error!(target: "shop", error = "reset", err = "refused", "four");
    assert_eq!(
        without_times(&lines.text()),
        "TIME ERROR shop                 one error=false\n\
         TIME ERROR shop                 two error=7\n\
         TIME ERROR shop                 three error=\"\"\n\
         TIME ERROR shop                 four\n\
         \x20            | reset\n\
         \x20            | err: refused\n"
    );
}

#[test]
fn long_targets_are_shortened_to_their_module() {
    alone!();
    let (lines, _telemetry) = install();
    info!(target: "spanwise_http::server", "one");
    info!(target: "shop::orders::a_module_with_a_long_name", "two");
    info!(target: "a_crate_with_a_very_long_name", "three");
    assert_eq!(
        without_times(&lines.text()),
        "TIME  INFO …::server            one\n\
         TIME  INFO …::a_module_with_a_… two\n\
         TIME  INFO a_crate_with_a_very… three\n"
    );
}

#[test]
fn frames_of_an_own_package_are_shown() {
    alone!();
    let lines = Lines::default();
    let _telemetry = Builder::new(Preset::Dev)
        .own_targets(["shop-db"])
        .with_writer(lines.clone())
        .init()
        .unwrap();
    let backtrace = "   0: shop_db::price\n             at src/price.rs:12:9\n   \
                     1: shop::run\n             at src/run.rs:1:1\n";
    error!(
        panic.thread = "main",
        panic.location = "src/price.rs:12:9",
        panic.backtrace = backtrace
    );
    let text = lines.text();
    assert!(
        text.contains("at shop_db::price  src/price.rs:12"),
        "{text}"
    );
    assert!(text.contains("… 1 frame hidden"), "{text}");
}
