//! A panic is an event with its message, location and backtrace, and with the context of its
//! request.

use std::{
    panic::{self, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use spanwise::{Builder, Format, Output, Preset, layer::JsonLayer};

use crate::support::{Lines, allocated_bytes};

#[test]
fn message_place_and_request_are_shown() {
    alone!();
    static PREVIOUS: AtomicBool = AtomicBool::new(false);
    panic::set_hook(Box::new(|_| PREVIOUS.store(true, Ordering::Relaxed)));

    let lines = Lines::default();
    let _telemetry = Builder::new(Preset::Prod)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    let worker = thread::Builder::new().name("worker".into());
    let panicking = worker.spawn(|| {
        let _request = tracing::info_span!("request", request_id = "r-1").entered();
        panic!("out of {}", "stock");
    });
    assert!(panicking.unwrap().join().is_err());

    let line = lines.with_message("out of stock");
    assert_eq!(
        (&line["level"], &line["target"], &line["request_id"]),
        (&"ERROR".into(), &"panic".into(), &"r-1".into())
    );
    let place = line["panic.location"].as_str().unwrap();
    assert!(place.contains("it/panics.rs:"), "{place}");
    assert_eq!(line["panic.thread"], "worker");
    let backtrace = line["panic.backtrace"].as_str().unwrap();
    assert!(backtrace.contains("tests/it/panics.rs:"), "{backtrace}");
    assert!(PREVIOUS.load(Ordering::Relaxed));
}

#[test]
fn every_sink_names_the_place() {
    alone!();
    panic::set_hook(Box::new(|_| {}));
    let (pretty, json, nested, fmt) = (
        Lines::default(),
        Lines::default(),
        Lines::default(),
        Lines::default(),
    );
    let located = || JsonLayer::new().with_source_location();
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_file(true)
        .with_line_number(true);
    let _telemetry = Builder::new(Preset::Dev)
        .with_writer(pretty.clone())
        .layer(located().with_writer(json.clone()))
        .layer(
            located()
                .format(Format::JsonNested)
                .with_writer(nested.clone()),
        )
        .layer(layer.with_writer(fmt.clone()))
        .init()
        .unwrap();
    assert!(catch_unwind(|| panic!("here")).is_err());
    let here = format!("{}:{}", file!(), line!() - 1);
    drop(panic::take_hook());
    for lines in [&pretty, &fmt] {
        let text = lines.text();
        assert!(
            text.contains(&format!(" at {here}:")) || text.contains(&format!("{here}: ")),
            "{text}"
        );
    }
    for lines in [&json, &nested] {
        let line = &lines.objects()[0];
        let (file, number) = match &line["file"] {
            serde_json::Value::Null => (&line["filename"], &line["line_number"]),
            file => (file, &line["line"]),
        };
        let file = file.as_str().unwrap_or_else(|| panic!("{line}"));
        assert_eq!(format!("{file}:{number}"), here);
    }
}

/// If no layer enables the event, the hook captures no backtrace, and a panic allocates as much as
/// without the hook.
#[test]
fn panic_that_is_not_logged_costs_nothing() {
    alone!();
    panic::set_hook(Box::new(|_| {}));
    let cost = || {
        let panics = || {
            let before = allocated_bytes();
            assert!(catch_unwind(|| panic!("out of {}", "stock")).is_err());
            allocated_bytes() - before
        };
        panics();
        panics()
    };
    let without = cost();
    let telemetry = Builder::new(Preset::Prod)
        .with_writer(std::io::sink)
        .init()
        .unwrap();
    telemetry.handle().set_levels("off").unwrap();
    assert_eq!(cost(), without);
    telemetry.handle().set_levels("error").unwrap();
    assert!(cost() > without);
}

#[test]
fn backtraces_are_few_in_a_storm() {
    alone!();
    panic::set_hook(Box::new(|_| {}));
    let lines = Lines::default();
    let _telemetry = Builder::new(Preset::Prod)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    // A slow machine needs more panics to exceed the limit per second.
    let mut count = 0;
    while !lines.text().contains("(none: more than 10 in a second)") {
        count += 1;
        assert!(catch_unwind(|| panic!("storm")).is_err());
    }
    let all = lines.objects();
    assert_eq!(all.len(), count);
    assert!(count > 10, "the first ten have theirs");
    for line in &all[..10] {
        let backtrace = line["panic.backtrace"].as_str().unwrap();
        assert!(backtrace.contains("tests/it/panics.rs:"), "{backtrace}");
    }
}

#[test]
fn no_line_is_forged_by_a_panic() {
    alone!();
    panic::set_hook(Box::new(|_| {}));
    let lines = Lines::default();
    let _telemetry = Builder::new(Preset::Dev)
        .format(Format::Compact)
        .output(Output::None)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    assert!(catch_unwind(|| panic!("a\n12:00:00.000 ERROR forged\u{1b}[2J\u{202e}")).is_err());
    let text = lines.text();
    let (first, frames) = text.split_once('\n').unwrap();
    assert!(
        first.contains("panics.rs:") && first.contains("forged"),
        "{text}"
    );
    assert!(
        frames
            .lines()
            .all(|line| line.starts_with("             | ")),
        "{text}"
    );
    let is_unsafe = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(!text.contains(is_unsafe), "{text:?}");
}
