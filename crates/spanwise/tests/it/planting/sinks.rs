//! All sinks. Add a line here for each new sink.

use std::{any::Any, error::Error, fmt, io, path::Path, sync::Arc};

use spanwise::{
    Builder, Format, Output, Preset,
    layer::{JsonLayer, LayerExt, SpanEvents},
    record::Recorder,
};
use spanwise_core::{Redact, UnsharedFields};
use spanwise_redact::Policy;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_core::{
    Interest,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer, Registry,
    fmt::{self as text, format::FmtSpan},
    layer::Context,
    prelude::*,
    registry::LookupSpan,
};

use crate::support::Lines;

/// Creates a layer that writes to these lines, behind this policy.
pub type Sink = fn(Lines, Arc<dyn Redact>) -> Box<dyn Layer<Registry> + Send + Sync>;

/// Sinks that are layers, in this process.
pub const SINKS: &[(&str, Sink)] = &[
    ("json", |lines, policy| {
        JsonLayer::new().redact(policy).with_writer(lines).boxed()
    }),
    ("json with all there is", |lines, policy| {
        json_with_all(lines).redact(policy).boxed()
    }),
    ("json-nested", |lines, policy| {
        json_nested(lines).redact(policy).boxed()
    }),
    ("json, wrapped", |lines, policy| {
        json_with_all(lines).redacted(policy).boxed()
    }),
    ("json-nested, wrapped", |lines, policy| {
        json_nested(lines).redacted(policy).boxed()
    }),
    ("json behind a flight recorder", |lines, policy| {
        let recorder = Recorder::builder().capture(LevelFilter::TRACE);
        let recorder = recorder.max_unit_bytes(1 << 28).max_unit_records(1 << 20);
        let recorder = recorder
            .max_process_bytes(1 << 29)
            .max_record_bytes(1 << 20)
            .build();
        let json = |writer| JsonLayer::new().redact(policy).with_writer(writer);
        recorder.sink(lines, LevelFilter::ERROR, json).boxed()
    }),
    ("fmt", |lines, policy| {
        let fmt = text::layer().with_writer(lines).with_ansi(false);
        fmt.with_span_events(FmtSpan::FULL).redacted(policy).boxed()
    }),
    ("fmt in colour", |lines, policy| {
        let fmt = text::layer().with_writer(lines).with_ansi(true);
        fmt.redacted(policy).boxed()
    }),
    ("fmt compact", |lines, policy| {
        let fmt = text::layer().compact().with_writer(lines).with_ansi(false);
        fmt.redacted(policy).boxed()
    }),
    ("fmt pretty", |lines, policy| {
        let fmt = text::layer().pretty().with_writer(lines).with_ansi(false);
        fmt.redacted(policy).boxed()
    }),
    ("fmt json", |lines, policy| {
        let fmt = text::layer().json().with_writer(lines);
        fmt.with_span_events(FmtSpan::FULL).redacted(policy).boxed()
    }),
    ("fmt beside another", |lines, policy| {
        let plain = text::layer().with_writer(io::sink);
        let fmt = text::layer().with_writer(lines).with_ansi(false);
        let fmt = fmt.map_fmt_fields(UnsharedFields::new).redacted(policy);
        plain.and_then(fmt).boxed()
    }),
    ("a layer of one's own", |lines, policy| {
        Everything(lines).redacted(policy).boxed()
    }),
    (
        "a layer of one's own, filtered inside and outside",
        |lines, policy| {
            let filtered = Everything(lines).with_filter(LevelFilter::TRACE);
            let redacted = filtered.redacted(policy);
            redacted.with_filter(LevelFilter::TRACE).boxed()
        },
    ),
    #[cfg(feature = "sentry")]
    (
        "sentry: errors, breadcrumbs and transactions",
        |lines, policy| {
            super::envelopes::layer(lines, policy, |sentry| {
                sentry
                    .event_levels(LevelFilter::TRACE)
                    .breadcrumb_levels(LevelFilter::OFF)
            })
        },
    ),
    #[cfg(feature = "sentry")]
    ("sentry: logs", |lines, policy| {
        super::envelopes::layer(lines, policy, |sentry| sentry.logs(LevelFilter::TRACE))
    }),
];

/// A separate program, for sinks that exist once per process. The test searches its stdout, its
/// stderr and its directory.
pub struct Program {
    pub name: &'static str,
    /// Starts logging. The returned value is dropped at the end.
    pub start: fn(Arc<Policy>, &Path) -> Box<dyn Any>,
    /// Whether the program logs its panics.
    pub logs_panics: bool,
}

pub const PROGRAMS: &[Program] = &[
    Program {
        name: "json on stdout",
        start: |policy, _| install(JsonLayer::new().redact(policy)),
        logs_panics: false,
    },
    Program {
        name: "json in a file",
        start: |policy, directory| {
            // Logs like a service that does not use the panic hook of spanwise.
            std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
            let file = std::fs::File::create(directory.join("app.log")).expect("a file");
            install(JsonLayer::new().with_writer(file).redact(policy))
        },
        logs_panics: true,
    },
    Program {
        name: "the facade: json on stdout and in files",
        start: |_, directory| {
            // The policy also applies to the text that std prints about a panic.
            drop(std::panic::take_hook());
            let builder = Builder::new(Preset::Prod).file(directory.join("app.log"));
            facade(builder.error_file(directory.join("error.log")))
        },
        logs_panics: true,
    },
    Program {
        name: "the facade: json-nested",
        start: |_, _| facade(Builder::new(Preset::Prod).format(Format::JsonNested)),
        logs_panics: false,
    },
    Program {
        name: "the facade: pretty",
        start: |policy, _| facade(Builder::new(Preset::Dev).redact(Policy::clone(&policy))),
        logs_panics: false,
    },
    Program {
        name: "the facade: compact, in colour",
        start: |_, _| facade(Builder::new(Preset::Prod).format(Format::Compact)),
        logs_panics: false,
    },
    Program {
        name: "the facade: a layer that was added",
        start: |_, _| {
            let fmt = text::layer().with_writer(io::stderr);
            facade(Builder::new(Preset::Prod).output(Output::None).layer(fmt))
        },
        logs_panics: false,
    },
    #[cfg(feature = "sentry")]
    Program {
        name: "the facade: Sentry",
        start: |_, directory| {
            let file = std::fs::File::create(directory.join("envelopes")).expect("a file");
            super::envelopes::facade(file, Builder::new(Preset::Prod).output(Output::None))
        },
        logs_panics: true,
    },
    #[cfg(feature = "otel")]
    Program {
        name: "the facade: OpenTelemetry",
        start: |_, directory| {
            let file = std::fs::File::create(directory.join("requests")).expect("a file");
            super::exports::facade(file, Builder::new(Preset::Prod).output(Output::None))
        },
        logs_panics: true,
    },
    Program {
        name: "fmt on stderr",
        start: |policy, _| install(text::layer().with_writer(io::stderr).redacted(policy)),
        logs_panics: false,
    },
];

/// Starts the facade. Without a given policy, it uses the policy of its preset.
fn facade(builder: Builder) -> Box<dyn Any> {
    let levels = LevelFilter::TRACE;
    Box::new(builder.levels(levels).init().expect("the first one"))
}

fn install(layer: impl Layer<Registry> + Send + Sync) -> Box<dyn Any> {
    let stack = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(stack).expect("the first one");
    Box::new(())
}

fn json_with_all(lines: Lines) -> JsonLayer<Lines> {
    JsonLayer::new()
        .with_span_list()
        .span_events(SpanEvents::ALL)
        .with_source_location()
        .with_thread_name()
        .with_writer(lines)
}

fn json_nested(lines: Lines) -> JsonLayer<Lines> {
    JsonLayer::new()
        .format(Format::JsonNested)
        .span_events(SpanEvents::ALL)
        .with_writer(lines)
}

/// Records everything that it receives.
struct Everything(Lines);

impl Everything {
    fn keep(&self, values: &dyn Fn(&mut dyn Visit), own: &dyn fmt::Debug) {
        let mut shown = Shown(format!("{own:?}\n"));
        values(&mut shown);
        io::Write::write_all(&mut self.0.clone(), shown.0.as_bytes()).expect("it is kept");
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Everything {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.keep(&|visitor| event.record(visitor), event);
        true
    }
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.keep(&|visitor| event.record(visitor), event);
    }
    fn on_new_span(&self, attrs: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.keep(&|visitor| attrs.record(visitor), attrs);
    }
    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.keep(&|visitor| values.record(visitor), values);
    }
}

struct Shown(String);

impl Shown {
    fn add(&mut self, field: &Field, value: impl fmt::Display) {
        self.0 += &format!("{field}={value}\n");
    }
}

impl Visit for Shown {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }
    fn record_i128(&mut self, field: &Field, value: i128) {
        self.add(field, value);
    }
    fn record_u128(&mut self, field: &Field, value: u128) {
        self.add(field, value);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }
    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.add(
            field,
            format_args!("{} {value:?}", String::from_utf8_lossy(value)),
        );
    }
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut next = Some(value);
        while let Some(error) = next {
            self.add(field, format_args!("{error}\n{error:?}\n{error:#?}"));
            next = error.source();
        }
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}\n{value:#?}"));
    }
}
