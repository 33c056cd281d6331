//! Records of the `log` crate keep their target, file, line, span and key-values. Levels apply to
//! their targets too.

use std::{cell::Cell, io, panic::AssertUnwindSafe};

use log::{
    kv::{self, Source, VisitSource},
    log_enabled,
};
use serde_json::json;
use spanwise::{
    Builder, Preset,
    layer::{JsonLayer, LayerExt},
};
use tracing_subscriber::Layer;

use crate::support::Lines;

#[test]
fn origin_is_the_record_s_own() {
    alone!();
    let (lines, nested, warnings) = (Lines::default(), Lines::default(), Lines::default());
    let telemetry = Builder::new(Preset::Prod)
        .levels("info,noisy=warn")
        .with_writer(lines.clone())
        .layer(
            JsonLayer::new()
                .with_source_location()
                .format(spanwise_json::Format::JsonNested)
                .with_writer(nested.clone()),
        )
        .layer(LayerExt::with_levels(
            JsonLayer::new().with_writer(warnings.clone()),
            "off,hyper=warn".parse().unwrap(),
        ))
        .init()
        .unwrap();
    let _request = tracing::info_span!("request", request_id = "r-1").entered();
    log::info!(target: "hyper::client", "connected");
    log::warn!(target: "hyper::client", "slow");
    log::info!(target: "noisy", "below its level");
    log::debug!("below");

    let line = lines.with_message("connected");
    assert_eq!(
        (&line["target"], &line["request_id"], &line["level"]),
        (&json!("hyper::client"), &json!("r-1"), &json!("INFO"))
    );
    assert!(!lines.text().contains("log."), "{}", lines.text());
    assert_eq!(lines.objects().len(), 2);
    assert_eq!(warnings.objects().len(), 1, "{}", warnings.text());
    let line = &nested.objects()[0];
    assert_eq!(
        (&line["target"], &line["fields"]),
        (&json!("hyper::client"), &json!({ "message": "connected" }))
    );
    let file = line["filename"].as_str().unwrap();
    assert!(file.ends_with("it/log_records.rs"), "{file}");
    assert!(line["line_number"].is_u64());

    telemetry.handle().set_levels("debug").unwrap();
    log::debug!("now");
    lines.with_message("now");
}

/// A foreign layer receives a record of `log` like an event of a `tracing` macro.
#[test]
fn fmt_shows_log_records_as_events() {
    alone!();
    let lines = Lines::default();
    let fmt = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .without_time()
        .with_writer(lines.clone());
    let _telemetry = Builder::new(Preset::Prod)
        .output(spanwise::Output::None)
        .layer(
            fmt.with_filter(
                "off,shop::pay=info"
                    .parse::<tracing_subscriber::filter::Targets>()
                    .unwrap(),
            ),
        )
        .init()
        .unwrap();
    log::info!(target: "shop::pay", order_id = 42; "paid");
    log::info!(target: "shop::cart", "not for this layer");
    assert_eq!(lines.text(), " INFO shop::pay: paid order_id=42\n");
}

#[test]
fn key_values_are_fields_of_their_type() {
    alone!();
    let (lines, console) = (Lines::default(), Lines::default());
    let _telemetry = Builder::new(Preset::Prod)
        .with_writer(lines.clone())
        .layer(JsonLayer::new().with_writer(console.clone()))
        .init()
        .unwrap();
    let cause = io::Error::other("reset by peer");
    let owned = String::from("owned");
    log::info!(
        user_id = 42,
        delta = -7,
        big = u128::MAX,
        share = 0.25,
        ready = true,
        via = "the app",
        owned = owned.as_str(),
        letter = 'x',
        list:? = [1, 2],
        cause:% = cause,
        nothing = None::<u32>,
        password = "mossy7-road",
        "api.token" = 99_173;
        "signed in"
    );
    let mut line = lines.with_message("signed in");
    let line = line.as_object_mut().unwrap();
    for key in [
        "timestamp",
        "level",
        "target",
        "message",
        "service",
        "redacted",
    ] {
        line.remove(key).unwrap();
    }
    let expected = json!({
        "user_id": 42,
        "delta": -7,
        "big": u128::MAX.to_string(),
        "share": 0.25,
        "ready": true,
        "via": "the app",
        "owned": "owned",
        "letter": "x",
        "list": "[1, 2]",
        "cause": "reset by peer",
        "password": "[REDACTED]",
        "api.token": "[REDACTED]",
    });
    assert_eq!(serde_json::Value::from(line.clone()), expected);
    // An added layer is also behind the policy.
    assert!(!console.text().contains("mossy7") && console.text().contains("\"user_id\":42"));
}

#[test]
fn keys_that_mean_something_else_are_kept() {
    alone!();
    let lines = Lines::default();
    let _telemetry = Builder::new(Preset::Prod)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    // A record without file and line looks like an event of `tracing-log`.
    let kvs = [
        ("message", "other"),
        ("log.target", "forged"),
        ("log.offset", "12"),
        ("level", "ERROR"),
        ("twice", "first"),
        ("twice", "last"),
        ("log.file", "password=mossy7"),
    ];
    let mut record = log::Record::builder();
    record
        .target("log")
        .level(log::Level::Info)
        .key_values(&kvs);
    log::logger().log(&record.args(format_args!("told")).build());
    let line = lines.with_message("told");
    for (key, value) in [
        ("target", "log"),
        ("level", "INFO"),
        ("kv.message", "other"),
        ("kv.log.target", "forged"),
        ("log.offset", "12"),
        ("twice", "last"),
        ("kv.log.file", "password=[REDACTED]"),
    ] {
        assert_eq!(line[key], value, "{key} in {line}");
    }
}

#[test]
fn many_key_values_and_origins_are_all_shown() {
    alone!();
    let lines = Lines::default();
    let _telemetry = Builder::new(Preset::Prod)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    let names: Vec<String> = (0..40).map(|n| format!("key_{n}")).collect();
    let kvs: Vec<(&str, usize)> = names.iter().map(String::as_str).zip(0..).collect();
    let mut record = log::Record::builder();
    record
        .target("shop")
        .level(log::Level::Info)
        .key_values(&kvs);
    log::logger().log(&record.args(format_args!("forty")).build());
    assert_eq!(lines.with_message("forty")["key_39"], 39);

    // More targets than the maximum of separate callsites. No record is lost, and secrets stay
    // hidden.
    let many = 3 * spanwise_core::internal::runtime_callsite::MAX_CALLSITES / 2;
    let long = "x".repeat(2 * spanwise_core::internal::runtime_callsite::MAX_TEXT_LEN);
    for n in 0..many {
        log::info!(target: &format!("conn-{n}"), n, password = "mossy7-road"; "open");
    }
    log::info!(target: &long, n = many; "open");
    let all: Vec<_> = lines.objects().into_iter().skip(1).collect();
    assert_eq!(all.len(), many + 1);
    for (n, line) in all.iter().enumerate().take(many) {
        assert_eq!(line["target"], format!("conn-{n}"));
        let message = line["message"].as_str().unwrap();
        let in_message = message.contains(&format!(" n={n} password=[REDACTED]"))
            || message.contains(&format!(" n={n} password=\"[REDACTED]\""));
        assert!(line["n"] == n || in_message, "{line}");
    }
    assert_eq!(all[0]["n"], 0);
    assert!(
        all[many]["message"]
            .as_str()
            .unwrap()
            .ends_with(&format!("n={many}"))
    );
    assert!(!lines.text().contains("mossy7"));
}

/// Returns a pair, and then panics.
struct Breaks;

impl Source for Breaks {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        visitor.visit_pair("before".into(), 1.into())?;
        panic!("no more")
    }
}

#[test]
fn source_that_panics_costs_its_pairs() {
    alone!();
    let lines = Lines::default();
    let telemetry = Builder::new(Preset::Test)
        .with_writer(lines.clone())
        .format(spanwise::Format::Json)
        .init();
    let _telemetry = telemetry.unwrap();
    let mut record = log::Record::builder();
    record
        .target("shop")
        .level(log::Level::Info)
        .key_values(&Breaks);
    let log = AssertUnwindSafe(|| log::logger().log(&record.args(format_args!("told")).build()));
    assert!(std::panic::catch_unwind(log).is_ok());
    assert_eq!(lines.with_message("told")["before"], 1);
}

/// Its `Display` returns an error, which no `Display` should.
struct Fails;

impl std::fmt::Display for Fails {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Err(std::fmt::Error)
    }
}

#[test]
fn value_that_fails_to_format_costs_its_text() {
    alone!();
    let lines = Lines::default();
    let _telemetry = Builder::new(Preset::Prod)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    // The target is too long for a separate callsite, so the pairs are in the message.
    let long = "x".repeat(2 * spanwise_core::internal::runtime_callsite::MAX_TEXT_LEN);
    let kvs = [("broken", kv::Value::from_display(&Fails)), ("n", 7.into())];
    for target in ["shop", &long] {
        let mut record = log::Record::builder();
        record
            .target(target)
            .level(log::Level::Info)
            .key_values(&kvs);
        log::logger().log(&record.args(format_args!("told")).build());
    }
    let [fields, message] = &lines.objects()[..] else {
        panic!("two lines: {}", lines.text());
    };
    assert_eq!(fields["broken"], "<format error>");
    assert_eq!(message["message"], "told broken=\"<format error>\" n=7");
}

#[test]
fn last_of_many_equal_keys_counts() {
    alone!();
    let lines = Lines::default();
    let _telemetry = Builder::new(Preset::Prod)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    let names: Vec<String> = (0..60).map(|n| format!("k{}", n % 20)).collect();
    let kvs: Vec<(&str, usize)> = names.iter().map(String::as_str).zip(0..).collect();
    let mut record = log::Record::builder();
    record
        .target("shop")
        .level(log::Level::Info)
        .key_values(&kvs);
    log::logger().log(&record.args(format_args!("sixty")).build());
    let line = lines.with_message("sixty");
    for n in 0..20 {
        assert_eq!(line[format!("k{n}")], n + 40);
    }
}

/// Counts how often its `Display` is called.
struct Counted<'c>(&'c Cell<u32>);

impl std::fmt::Display for Counted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.set(self.0.get() + 1);
        f.write_str("formatted")
    }
}

/// A disabled record costs one comparison, because the maximum level of `log` follows the levels of
/// the stack.
#[test]
fn max_level_follows_the_levels() {
    alone!();
    let lines = Lines::default();
    let telemetry = Builder::new(Preset::Prod)
        .levels("info")
        .with_writer(lines.clone())
        .init()
        .unwrap();
    let handle = telemetry.handle();
    for (levels, max) in [
        ("", log::LevelFilter::Info),
        ("warn", log::LevelFilter::Warn),
        ("warn,shop::db=trace", log::LevelFilter::Trace),
        ("warn,[request]=info", log::LevelFilter::Info),
        ("off", log::LevelFilter::Off),
        ("error,shop=debug", log::LevelFilter::Debug),
        ("info,[request]=trace", log::LevelFilter::Trace),
        ("info", log::LevelFilter::Info),
    ] {
        handle.set_levels(levels).unwrap();
        assert_eq!(log::max_level(), max, "{levels}");
    }
    handle
        .set_levels_for(std::time::Duration::from_secs(3600), "trace")
        .unwrap();
    assert_eq!(log::max_level(), log::LevelFilter::Trace);
    handle.set_levels("info,shop=trace").unwrap();

    // The values of a disabled target are not formatted, and `log_enabled!` returns false.
    let count = Cell::new(0);
    log::trace!(target: "other", value:% = Counted(&count); "{}", Counted(&count));
    assert_eq!(count.get(), 0);
    assert!(!log_enabled!(target: "other", log::Level::Trace));
    assert!(log_enabled!(target: "shop::db", log::Level::Trace));
    log::trace!(target: "shop::db", value:% = Counted(&count); "{}", Counted(&count));
    assert_eq!(count.get(), 2);

    // A foreign subscriber with its own levels receives all its events.
    handle.set_levels("info").unwrap();
    assert_eq!(log::max_level(), log::LevelFilter::Info);
    let other = Lines::default();
    let layer = JsonLayer::new().with_writer(other.clone());
    let scoped =
        tracing_subscriber::layer::SubscriberExt::with(tracing_subscriber::registry(), layer);
    tracing::subscriber::with_default(scoped, || {
        log::trace!("in a scope");
        // This is also true while the levels change.
        handle.set_levels("warn").unwrap();
        log::trace!("after a change");
    });
    other.with_message("in a scope");
    other.with_message("after a change");
}

#[test]
fn logger_of_the_program_stays() {
    alone!();
    struct Other;
    impl log::Log for Other {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, _: &log::Record<'_>) {}
        fn flush(&self) {}
    }
    log::set_logger(&Other).unwrap();
    log::set_max_level(log::LevelFilter::Debug);
    let lines = Lines::default();
    let telemetry = Builder::new(Preset::Prod)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    assert_eq!(telemetry.handle().stats().faults.len(), 1);
    telemetry.handle().set_levels("warn").unwrap();
    assert_eq!(log::max_level(), log::LevelFilter::Debug);
}
