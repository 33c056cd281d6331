//! What a log record has of an event, its span and its layer.

use std::{
    error::Error,
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use spanwise_core::{
    Clock, Context, ContextLayer, Layers, context, err,
    internal::{SpanIdentity, span_identity::SAMPLED},
};
use spanwise_otel::{LogOptions, OtelLogs, SpanFields};
use spanwise_testing::support::fixed_clock;
use tracing::{
    Dispatch, Event, Instrument as _, Level, Subscriber, debug, error, field::Empty, info,
    info_span, instrument::WithSubscriber as _, trace, warn,
};
use tracing_core::span::{Attributes, Id};
use tracing_subscriber::{
    Layer, Registry, layer::Context as LayerContext, prelude::*, registry::LookupSpan,
};

use crate::support::records::{Record, Records};

/// Logs through a layer of its own, with a context, and returns what it wrote.
fn records(options: LogOptions, log: impl FnOnce()) -> Records {
    let records = Records::default();
    let logs = OtelLogs::new(records.clone(), options.context_key("order_id"));
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default().key("order_id"))
        .with(logs);
    tracing::subscriber::with_default(stack, log);
    records
}

fn record(log: impl FnOnce()) -> Record {
    records(LogOptions::default(), log).only()
}

#[test]
fn record_has_time_severity_body_and_scope() {
    let clock = fixed_clock();
    let options = LogOptions::default().clock(clock.clone());
    let records = records(options, || {
        trace!(target: "shop::pay", "t");
        debug!("d");
        info!("i");
        warn!("w");
        clock.advance(Duration::from_nanos(1));
        error!("the {}", "end");
    });
    let all = records.all();
    let severities = all.iter().map(|one| {
        let record = &one.record;
        (record.severity_number, &*record.severity_text, one.body())
    });
    let expected = [
        (1, "TRACE", "t"),
        (5, "DEBUG", "d"),
        (9, "INFO", "i"),
        (13, "WARN", "w"),
        (17, "ERROR", "the end"),
    ];
    assert_eq!(severities.collect::<Vec<_>>(), expected);
    let scopes = all.iter().map(|record| &*record.scope);
    let module = module_path!();
    assert_eq!(
        scopes.collect::<Vec<_>>(),
        ["shop::pay", module, module, module, module]
    );
    let start = Duration::from_nanos(1_795_165_687_123_456_000);
    assert_eq!(all[0].time(), SystemTime::UNIX_EPOCH + start);
    assert_eq!(all[4].time(), clock.now());
    for one in &all {
        let record = &one.record;
        assert_eq!(record.observed_time_unix_nano, record.time_unix_nano);
        assert_eq!((one.trace_id(), one.span_id()), Default::default());
        assert_eq!((record.flags, record.event_name.as_str()), (0, ""));
        assert_eq!(one.keys(), Vec::<&str>::new());
    }
}

#[test]
fn ids_of_zeros_are_no_ids() {
    let (trace_id, span_id) = ("0".repeat(32), "0".repeat(16));
    let one = record(|| {
        let _span = info_span!("request", trace_id, span_id).entered();
        info!("served");
    });
    assert_eq!((one.trace_id(), one.span_id()), Default::default());
}

#[test]
fn time_before_the_epoch_is_unknown() {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH - Duration::from_secs(1));
    let records = records(LogOptions::default().clock(clock), || info!("early"));
    assert_eq!(records.only().record.time_unix_nano, 0);
}

#[test]
fn event_name_is_that_of_a_callsite_with_a_name() {
    let named = record(|| info!(name: "order.placed", order = 1, "placed"));
    assert_eq!(named.record.event_name, "order.placed");
    let like_a_place = record(|| info!(name: "event src/other.rs:1", "placed"));
    assert_eq!(like_a_place.record.event_name, "event src/other.rs:1");
    let instrumented = record(|| {
        #[tracing::instrument(err(Display), skip_all)]
        fn fail() -> Result<(), &'static str> {
            Err("no stock")
        }
        fail().unwrap_err();
    });
    assert_eq!(instrumented.record.event_name, "");
    assert_eq!(instrumented.body(), "no stock");
    assert_eq!(instrumented.text("error"), Some("no stock"));
}

#[derive(Debug)]
struct Declined;

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("declined")
    }
}

impl Error for Declined {}

#[test]
fn error_without_message_is_the_body() {
    let plain = record(|| error!(cause = &Declined as &(dyn Error + 'static)));
    assert_eq!(plain.body(), "declined");
    assert_eq!(plain.text("exception.type"), Some("Declined"));
    assert_eq!(plain.text("cause"), Some("declined"));

    let viewed = record(|| error!(error = err(&Declined), "payment failed"));
    assert_eq!(viewed.body(), "payment failed");
    assert_eq!(viewed.text("exception.message"), Some("declined"));

    for field in [
        record(|| error!(error = %Declined)),
        record(|| error!(err = %Declined)),
        record(|| error!(e = %Declined)),
    ] {
        assert_eq!(field.body(), "declined");
    }
    let none = record(|| info!(n = 1));
    assert_eq!(none.record.body, None);
    // Whatever a message is, it is a text.
    assert_eq!(record(|| info!(message = 7)).body(), "7");
    assert_eq!(record(|| info!(message = ?Some(true))).body(), "Some(true)");
}

#[test]
fn source_location_is_added_on_request() {
    let options = LogOptions::default().source_location();
    let records = records(options, || info!("here"));
    let record = records.only();
    assert_eq!(record.text("code.file.path"), Some(file!()));
    assert!(record.int("code.line.number").is_some());
}

#[test]
fn context_of_the_span_is_added() {
    let records = records(LogOptions::default(), || {
        let request = info_span!("request", request_id = "r-1", order_id = Empty, other = 1);
        let _entered = request.enter();
        info!("received");
        request.record("order_id", 42);
        info!(request_id = "of the event", user_id = 7, "loaded");
        let _inner = info_span!("inner", user_id = "ann").entered();
        info!("inside");
        context::set("tenant_id", "acme");
        info!("with a tenant");
        info!(parent: None, "outside");
        warn!(parent: &request, "of the request");
    });
    let keys = |body: &str| records.with_body(body).keys().join(" ");
    assert_eq!(keys("received"), "request_id");
    // A field of the event wins.
    let loaded = records.with_body("loaded");
    assert_eq!(loaded.keys(), ["request_id", "user_id", "order_id"]);
    assert_eq!(loaded.text("request_id"), Some("of the event"));
    assert_eq!(loaded.int("user_id"), Some(7));
    assert_eq!(loaded.int("order_id"), Some(42));
    assert_eq!(keys("inside"), "user_id request_id order_id");
    let tenant = records.with_body("with a tenant");
    assert_eq!(tenant.text("tenant_id"), Some("acme"));
    assert_eq!(keys("outside"), "");
    let of_request = records.with_body("of the request");
    assert_eq!(of_request.value("user_id"), None);
    assert_eq!(of_request.int("order_id"), Some(42));
}

#[test]
fn pinned_context_is_not_replaced() {
    let record = record(|| {
        let _request = info_span!("request", request_id = "r-1").entered();
        context::set("request_id", "r-2");
        info!(request_id = "forged", "received");
    });
    assert_eq!(record.text("request_id"), Some("r-2"));
    assert_eq!(record.text("fields.request_id"), Some("forged"));
}

#[test]
fn span_fields_are_added_on_request() {
    let log = || {
        let outer = info_span!(
            "outer",
            a = 1,
            b = "outer",
            late = Empty,
            request_id = "r-1"
        );
        let _outer = outer.enter();
        let inner = info_span!(
            "inner",
            b = "inner",
            c = 2.5,
            spanwise.unit = Empty,
            otel.kind = "x"
        );
        let _inner = inner.enter();
        info!("first");
        outer.record("late", 404);
        inner.record("c", true);
        info!(a = "of the event", "second");
    };
    let all = records(LogOptions::default().span_fields(SpanFields::All), log);
    let first = all.with_body("first");
    assert_eq!(first.keys(), ["b", "c", "a", "request_id"]);
    assert_eq!(first.text("b"), Some("inner"));
    let second = all.with_body("second");
    assert_eq!(second.keys(), ["a", "b", "c", "request_id", "late"]);
    assert_eq!(second.text("a"), Some("of the event"));
    assert_eq!(second.int("late"), Some(404));
    assert_eq!(second.value("c"), Some(&Value::BoolValue(true)));

    let names = SpanFields::Only(vec!["late".to_owned(), "c".to_owned()]);
    let some = records(LogOptions::default().span_fields(names), log);
    assert_eq!(some.with_body("first").keys(), ["c", "request_id"]);
    assert_eq!(
        some.with_body("second").keys(),
        ["a", "c", "request_id", "late"]
    );

    let none = records(LogOptions::default(), log);
    assert_eq!(none.with_body("second").keys(), ["a", "request_id"]);
}

#[test]
fn omitted_error_of_a_span_adds_nothing() {
    let log = || {
        let job = info_span!("job", spanwise.unit = Empty, error = Empty);
        let _entered = job.enter();
        job.record("error", err(&Declined));
        info!("retried");
    };
    let omitted = records(LogOptions::default(), log).only();
    assert_eq!(omitted.keys(), Vec::<&str>::new());
    let shown = LogOptions::default().span_fields(SpanFields::All);
    let shown = records(shown, log).only();
    assert_eq!(shown.text("exception.message"), Some("declined"));
    // Another field does not bring the error with it.
    let other = || {
        let _job = info_span!("job", order_id = 7, error = err(&Declined)).entered();
        info!("retried");
    };
    let other = records(LogOptions::default(), other).only();
    assert_eq!(other.keys(), ["order_id"]);
}

/// Gives each span an identity, as the layer of spans does.
struct GiveIdentities {
    flags: u8,
}

impl<S> Layer<S> for GiveIdentities
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let parent = span.parent().and_then(|parent| SpanIdentity::find(&parent));
        let trace_id = match &parent {
            Some(parent) => parent.trace_id(),
            None => u128::from(id.into_u64()).to_be_bytes(),
        };
        let span_id = (id.into_u64() << 8 | 1).to_be_bytes();
        SpanIdentity::new(trace_id, span_id, self.flags, None).attach(&span);
    }
}

/// Notes the message of each event with the ids of its span.
#[derive(Clone, Default)]
struct NoteIds(Arc<Mutex<Vec<(String, String, String)>>>);

impl<S> Layer<S> for NoteIds
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    fn on_event(&self, event: &Event<'_>, ctx: LayerContext<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        let identity = ctx
            .event_span(event)
            .and_then(|span| SpanIdentity::find(&span));
        let digits = identity.map(|ids| {
            let (trace_id, span_id) = (ids.trace_id_digits(), ids.span_id_digits());
            [trace_id.as_str().to_owned(), span_id.as_str().to_owned()]
        });
        let [trace_id, span_id] = digits.unwrap_or_default();
        let noted = (message.0, trace_id, span_id);
        self.0.lock().unwrap().push(noted);
    }
}

#[derive(Default)]
struct Message(String);

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[test]
fn record_has_the_ids_of_its_span() {
    let (records, ids) = (Records::default(), NoteIds::default());
    let stack = tracing_subscriber::registry()
        .with(GiveIdentities { flags: SAMPLED })
        .with(ContextLayer::default())
        .with(OtelLogs::new(records.clone(), LogOptions::default()))
        .with(ids.clone());
    let dispatch = Dispatch::new(stack);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build()
        .unwrap();
    runtime.block_on(async {
        let spawn = |n| tokio::spawn(request(n).with_subscriber(dispatch.clone()));
        let requests: Vec<_> = (0..200).map(spawn).collect();
        for request in requests {
            request.await.unwrap();
        }
    });
    drop(runtime);
    let (records, ids) = (records.all(), ids.0.lock().unwrap().clone());
    assert_eq!((records.len(), ids.len()), (1_000, 1_000));
    for (message, trace_id, span_id) in ids {
        let mut found = records.iter().filter(|record| record.body() == message);
        let record = found.next().unwrap();
        assert!(found.next().is_none());
        let is_outside = message.ends_with("outside");
        assert_eq!(trace_id.is_empty(), is_outside, "{message}");
        assert_eq!((record.trace_id(), record.span_id()), (trace_id, span_id));
        assert_eq!(record.record.flags, u32::from(!is_outside));
        assert!(record.keys().is_empty(), "{record:?}");
    }
}

async fn request(n: u32) {
    let request = info_span!(parent: None, "request");
    async {
        info!("{n} received");
        tokio::task::yield_now().await;
        let charge = info_span!("charge");
        async {
            info!("{n} charging");
            tokio::task::yield_now().await;
            // Such fields do not become attributes beside the ids.
            warn!(trace_id = "forged", span_id = 7, "{n} charged");
        }
        .instrument(charge.clone())
        .await;
        info!(parent: &charge, "{n} with a parent");
        info!(parent: None, "{n} outside");
    }
    .instrument(request)
    .await;
}

#[test]
fn ids_that_the_application_records_are_used() {
    let trace_id = "0af7651916cd43dd8448eb211c80319c";
    let span_id = "b7ad6b7169203331";
    let record = record(|| {
        let _request = info_span!("request", trace_id, span_id).entered();
        info!("received");
    });
    assert_eq!(
        (record.trace_id(), record.span_id()),
        (trace_id.into(), span_id.into())
    );
    assert!(record.keys().is_empty());

    // A span id of another trace does not belong to the record.
    let other_trace = self::record(|| {
        let _request = info_span!("request", trace_id, span_id).entered();
        info_span!("job", trace_id = "1".repeat(32)).in_scope(|| info!("started"));
    });
    assert_eq!(other_trace.trace_id(), "1".repeat(32));
    assert_eq!(other_trace.span_id(), "");

    // Ids of another form are attributes only where the event has them.
    let other = self::record(|| info!(trace_id = "t-1", span_id = 7, "received"));
    assert_eq!(other.trace_id(), "");
    assert_eq!(
        (other.text("trace_id"), other.int("span_id")),
        (Some("t-1"), Some(7))
    );
}

#[test]
fn unsampled_traces_keep_their_logs_by_default() {
    let count = |options: LogOptions, flags| {
        let records = Records::default();
        let stack = tracing_subscriber::registry()
            .with(GiveIdentities { flags })
            .with(OtelLogs::new(records.clone(), options));
        tracing::subscriber::with_default(stack, || {
            let _request = info_span!("request").entered();
            info!("in a span");
            warn!("in a span too");
            info!(parent: None, "outside");
        });
        records.bodies()
    };
    let all = ["in a span", "in a span too", "outside"];
    assert_eq!(count(LogOptions::default(), 0), all);
    let sampled = || LogOptions::default().only_sampled_traces();
    assert_eq!(count(sampled(), SAMPLED), all);
    assert_eq!(count(sampled(), 0), all[1..]);
}

#[test]
fn records_of_the_log_crate_have_their_own_origin() {
    let options = LogOptions::default().source_location();
    let records = records(options, || {
        // As the bridge of `tracing-log` makes them.
        let record = log::Record::builder()
            .level(log::Level::Warn)
            .target("h2::client")
            .file(Some("src/client.rs"))
            .line(Some(7))
            .args(format_args!("a record"))
            .build();
        tracing_log::format_trace(&record).unwrap();
        let own = log::Record::builder()
            .target("opentelemetry_sdk::logs")
            .args(format_args!("of the exporter"))
            .build();
        tracing_log::format_trace(&own).unwrap();
    });
    let record = records.only();
    assert_eq!(record.scope, "h2::client");
    assert_eq!(record.body(), "a record");
    assert_eq!(record.record.severity_number, 13);
    assert_eq!(record.keys(), ["code.file.path", "code.line.number"]);
    assert_eq!(record.text("code.file.path"), Some("src/client.rs"));
    assert_eq!(record.int("code.line.number"), Some(7));
    assert_eq!(record.record.event_name, "");
}

#[test]
fn levels_read_the_target_of_a_log_record() {
    let levels = "shop=info,h2=warn,log=off".parse().unwrap();
    let records = records(LogOptions::default().levels(levels), || {
        let log = |target: &str, level, text: &str| {
            // As the bridge of `tracing-log` makes them.
            let mut record = log::Record::builder();
            record.target(target).level(level);
            tracing_log::format_trace(&record.args(format_args!("{text}")).build()).unwrap();
        };
        log("shop::pay", log::Level::Info, "paid");
        log("shop::pay", log::Level::Debug, "details of the payment");
        log("h2::client", log::Level::Info, "connected");
        log("h2::client", log::Level::Warn, "connection lost");
        log("other", log::Level::Error, "not covered");
    });
    assert_eq!(records.bodies(), ["paid", "connection lost"]);
}

#[test]
fn events_of_opentelemetry_are_not_exported() {
    let records = records(LogOptions::default(), || {
        info!(target: "opentelemetry", "of the API");
        info!(target: "opentelemetry_sdk::trace", "of the SDK");
        info!(target: "opentelemetry-otlp", "of the exporter");
        info!(target: "opentelemetrics", "of a program");
    });
    assert_eq!(records.bodies(), ["of a program"]);
}

#[test]
fn limits_are_counted() {
    let options = LogOptions::default().max_attributes(2).max_value_chars(3);
    let records = records(options, || {
        let _request = info_span!("request", request_id = "r-1").entered();
        info!(
            text = "日本語日本語",
            n = 1,
            m = 2,
            "the message is not an attribute"
        );
    });
    let record = records.only();
    assert_eq!(record.keys(), ["text", "n"]);
    assert_eq!(record.text("text"), Some("日本語"));
    assert_eq!(record.record.dropped_attributes_count, 2);
    assert_eq!(record.body(), "the message is not an attribute");
}

#[test]
fn record_has_at_most_64_kib() {
    let long = "é".repeat(20_000);
    let records = records(LogOptions::default(), || {
        info!(a = long, b = long, c = long, d = long, e = 1, "{long}");
    });
    let record = records.only();
    assert_eq!(record.body().len(), 16 * 1024);
    assert_eq!(record.keys(), ["a", "b"]);
    assert_eq!(record.record.dropped_attributes_count, 3);
    assert!(
        records.bytes().len() <= 64 * 1024 + 200,
        "{}",
        records.bytes().len()
    );
}

#[test]
fn works_in_a_stack_of_layers() {
    let records = Records::default();
    let mut layers = Layers::default();
    layers.push(ContextLayer::default());
    layers.push(OtelLogs::new(records.clone(), LogOptions::default()));
    tracing::subscriber::with_default(Registry::default().with(layers), || {
        let _request = info_span!("request", request_id = "r-1").entered();
        tracing::event!(Level::INFO, ok = true);
    });
    assert_eq!(records.only().text("request_id"), Some("r-1"));
    let _ = Context::current();
}

/// A writer that fails, panics or logs.
#[derive(Clone, Copy)]
enum BadWriter {
    Fails,
    Panics,
    Logs,
}

impl std::io::Write for BadWriter {
    fn write(&mut self, record: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Fails => Err(std::io::Error::other("no room")),
            Self::Panics => panic!("no room"),
            Self::Logs => {
                info!("logged by a writer");
                Ok(record.len())
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for BadWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

#[test]
fn bad_writer_does_not_disturb_the_program() {
    for writer in [BadWriter::Fails, BadWriter::Panics, BadWriter::Logs] {
        let report = spanwise_core::SelfReport::silent();
        let options = LogOptions::default().report(report);
        let other = Records::default();
        let stack = tracing_subscriber::registry()
            .with(OtelLogs::new(writer, options))
            .with(OtelLogs::new(other.clone(), LogOptions::default()));
        tracing::subscriber::with_default(stack, || info!("an event"));
        let bodies = other.bodies();
        assert_eq!(bodies.last().map(String::as_str), Some("an event"));
    }
}
