//! The lines of a layer, option by option. Most expected lines are in `tests/golden`.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;
use spanwise_core::{EventContext, SelfReport};
use spanwise_json::{Format, JsonLayer, SpanEvents, Timestamp};
use spanwise_testing::support::fixed_clock;
use tracing::{Level, event, field::Empty, info, info_span};

use crate::support::{check_golden, default, lines};

#[test]
fn line_parts_follow_the_order_of_the_format() {
    let lines = lines(
        |layer| {
            layer
                .add("service", json!({ "name": "shop" }))
                .with_span_list()
                .with_source_location()
        },
        || {
            let request =
                info_span!(target: "shop", "request", request_id = "r-1", tenant_id = "acme");
            let _request = request.enter();
            let _order = info_span!(target: "shop", "create_order", order_id = 42).entered();
            info!(target: "shop::orders", total = 19.5, paid = true, "order created");
        },
    );
    let expected = format!(
        "{}\"file\":\"{}\",\"line\":{},\"service\":{{\"name\":\"shop\"}}}}\n",
        concat!(
            r#"{"timestamp":"2026-11-20T09:08:07.123456Z","level":"INFO","target":"shop::orders","#,
            r#""message":"order created","total":19.5,"paid":true,"order_id":42,"request_id":"r-1","#,
            r#""tenant_id":"acme","span":"create_order","spans":["request","create_order"],"#
        ),
        file!(),
        line!() - 11,
    );
    assert_eq!(lines.text(), expected);
}

#[test]
fn empty_event_is_a_line() {
    let lines = lines(default, || event!(target: "t", Level::WARN, {}));
    check_golden("empty_event", &lines);
}

#[test]
fn file_and_line_fields_yield_to_source_location() {
    let log = || info!(file = "invoice.csv", line = 7, "m");
    check_golden("file_and_line_fields", &lines(default, log));
    let with = lines(JsonLayer::with_source_location, log).only();
    assert_eq!(
        (&with["fields.file"], &with["fields.line"]),
        (&json!("invoice.csv"), &json!(7))
    );
    assert_eq!(with["file"], json!(file!()));
}

#[test]
fn field_named_like_a_line_key_is_renamed() {
    let lines = lines(
        |layer| layer.add("service", "shop"),
        || {
            let span = info_span!(
                "s",
                message = "of the span",
                span = 1,
                fields.level = "inner"
            );
            let _span = span.enter();
            info!(level = "FATAL", timestamp = 0, service = "forged", "real");
        },
    );
    check_golden("renamed_fields", &lines);
}

#[test]
fn nearest_of_several_values_wins() {
    let lines = lines(default, || {
        let outer = info_span!("outer", a = "outer", b = "outer", c = "outer");
        let _outer = outer.enter();
        let _inner = info_span!("inner", b = "inner", c = "inner", d = Empty).entered();
        info!(c = "event", d = Empty, "m");
    });
    check_golden("nearest_value", &lines);
}

#[test]
fn empty_field_does_not_shadow_the_span() {
    let lines = lines(default, || {
        let _span = info_span!("s", user = "ada").entered();
        info!(user = None::<&str>, "m");
    });
    check_golden("empty_field", &lines);
}

#[test]
fn late_record_replaces_and_reaches_children() {
    let lines = lines(default, || {
        let request = info_span!("request", status = Empty, tries = 1, path = "/");
        let _request = request.enter();
        let inner = info_span!("inner", own = 0);
        let _inner = inner.enter();
        info!("before");
        request.record("status", 200).record("tries", 2);
        inner.record("own", 1);
        info!("after");
        let _new = info_span!("new").entered();
        info!("in a new child");
    });
    check_golden("late_record", &lines);
}

#[test]
fn explicit_parent_selects_the_fields() {
    let lines = lines(default, || {
        let other = info_span!("other", of = "other");
        let _current = info_span!("current", of = "current").entered();
        info!(parent: &other, "elsewhere");
        info!(parent: None, "nowhere");
        info_span!(parent: &other, "child").in_scope(|| info!("below other"));
        info_span!(parent: None, "root").in_scope(|| info!("in a root"));
    });
    check_golden("explicit_parent", &lines);
}

#[test]
fn message_comes_first_wherever_it_is_written() {
    let lines = lines(default, || info!(a = 1, message = "late", b = 2));
    check_golden("message_first", &lines);
}

#[test]
fn repeated_field_keeps_the_last_value() {
    let log = || info!(a = 1, b = 2, a = 3, "m");
    check_golden("repeated_field", &lines(default, log));
    let nested = lines(|layer| layer.format(Format::JsonNested), log);
    check_golden("repeated_field_nested", &nested);
}

#[test]
fn raw_identifier_has_no_prefix() {
    let lines = lines(default, || info!(r#type = "order", "m"));
    check_golden("raw_identifier", &lines);
}

#[test]
fn fields_are_included_excluded_renamed_added() {
    let log = || {
        let _span = info_span!("s", a = 1, b = 2).entered();
        info!(c = 3, d = 4, "m");
    };
    let excluded = lines(|layer| layer.exclude(["a", "c"]), log);
    check_golden("excluded_fields", &excluded);
    let included = lines(|layer| layer.include(["a"]), log);
    check_golden("included_fields", &included);
    let renamed = lines(
        |layer| {
            layer
                .rename("a", "c")
                .rename("d", "level")
                .add("e", 5)
                .add("e", 6)
        },
        log,
    );
    check_golden("renamed_and_added_fields", &renamed);
}

#[test]
fn timestamp_is_configurable() {
    let timestamp = Timestamp::millis().at_offset_minutes(60);
    let shaped = lines(|layer| layer.timestamp(timestamp), || info!("m"));
    check_golden("timestamp_with_offset", &shaped);
    let without = |layer: JsonLayer| layer.without_timestamp().without_target();
    check_golden("no_timestamp_no_target", &lines(without, || info!("m")));
}

#[test]
fn thread_name_and_id_are_shown() {
    let lines = lines(
        |layer| layer.with_thread_name().with_thread_id().add("k", 1),
        || {
            let dispatch = tracing::dispatcher::get_default(Clone::clone);
            let log = move || tracing::dispatcher::with_default(&dispatch, || info!("m"));
            thread::Builder::new()
                .name("worker \"7\"".into())
                .spawn(log)
                .unwrap()
                .join()
                .unwrap();
        },
    );
    let line = lines.only();
    assert_eq!(line["thread_name"], "worker \"7\"");
    assert!(line["thread_id"].as_str().unwrap().starts_with("ThreadId("));
    assert!(lines.text().ends_with(",\"k\":1}\n"));
}

#[test]
fn span_events_have_lines() {
    let clock = fixed_clock();
    let moved = clock.clone();
    let lines = lines(
        |layer| layer.clock(clock).span_events(SpanEvents::ALL),
        || {
            let span = info_span!(target: "t", "s", a = 1);
            span.in_scope(|| moved.advance(Duration::from_millis(5)));
            moved.advance(Duration::from_millis(20));
        },
    );
    check_golden("span_events", &lines);
}

#[test]
fn duration_has_three_digits_and_a_unit() {
    for (nanos, expected) in [
        (0, "0.00ns"),
        (12_340, "12.3µs"),
        (123_400_000, "123ms"),
        (1_230_000_000, "1.23s"),
        (5_000_000_000_000, "5000s"),
    ] {
        let clock = fixed_clock();
        let moved = clock.clone();
        let lines = lines(
            |layer| layer.clock(clock).span_events(SpanEvents::CLOSE),
            || info_span!("s").in_scope(|| moved.advance(Duration::from_nanos(nanos))),
        );
        assert_eq!(lines.only()["time.busy"], expected);
    }
}

#[test]
fn each_line_is_counted_as_delivered_or_failed() {
    struct Full(u32);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            match self.0 % 3 {
                0 => Ok(bytes.len()),
                1 => Err(std::io::ErrorKind::StorageFull.into()),
                _ => panic!("a writer that panics"),
            }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let report = SelfReport::silent();
    let calls = AtomicU32::new(0);
    let layer = JsonLayer::new()
        .report(&report)
        .with_writer(move || Full(calls.fetch_add(1, Ordering::Relaxed)));
    let dispatch = crate::support::dispatch(layer);
    tracing::dispatcher::with_default(&dispatch, || (0..9).for_each(|n| info!(n, "m")));
    let sink = report.stats().sinks.remove(0);
    assert_eq!((sink.delivered, sink.write_failed), (3, 6));
}

#[test]
fn static_field_and_event_field_coexist() {
    let flat = lines(
        |layer| {
            layer
                .add("level", "x")
                .add("fields.x", "y")
                .add("added.z", "z")
        },
        || info!(level = 1, fields.x = 2, added.z = 3, added.level = 4, "m"),
    );
    check_golden("static_fields", &flat);
    let nested = lines(
        |layer| layer.format(Format::JsonNested).add("fields", 1),
        || info!("m"),
    );
    check_golden("static_fields_nested", &nested);
}

#[test]
fn event_context_is_on_its_line_only() {
    for (format, golden) in [
        (Format::Json, "event_context"),
        (Format::JsonNested, "event_context_nested"),
    ] {
        let log = || {
            let rate = |context: &mut EventContext| context.sample_rate = Some(0.01);
            EventContext::scope(rate, || info!(a = 1, "sampled"));
            let buffered = |context: &mut EventContext| context.buffered = true;
            EventContext::scope(buffered, || info!(sample_rate = 44_100, "kept"));
            info!("neither");
        };
        let run = move || lines(|layer| layer.format(format).with_thread_name(), log);
        let worker = thread::Builder::new().name("worker".to_owned()).spawn(run);
        let lines = worker.unwrap().join().unwrap();
        check_golden(golden, &lines);
    }
}
