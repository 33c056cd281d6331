//! An exporter of traces, with a collector that decodes them.

#![allow(dead_code, unreachable_pub, reason = "not every test uses all of it")]

use std::{
    ops::Deref,
    time::{Duration, SystemTime},
};

use opentelemetry_proto::tonic::{
    common::v1::{InstrumentationScope, any_value::Value},
    trace::v1::{Span, span::Event, status::StatusCode},
};
use spanwise_otel::{Otel, OtelBuilder, OtelGuard, OtelStats, SpanOptions};
use tracing::{Dispatch, dispatcher::DefaultGuard};
use tracing_subscriber::prelude::*;

use super::receiver::{Receiver, attribute, text};

/// An exporter of traces. Its layer is the default of this thread.
pub struct Traces {
    pub otel: Otel,
    receiver: Receiver,
    guard: OtelGuard,
    default: DefaultGuard,
}

/// A span that was exported.
#[derive(Debug, Clone)]
pub struct ExportedSpan {
    pub scope: InstrumentationScope,
    pub span: Span,
}

impl Traces {
    pub fn start(options: SpanOptions) -> Self {
        Self::build(|builder| builder.span_options(|_| options))
    }

    pub fn build(change: impl FnOnce(OtelBuilder) -> OtelBuilder) -> Self {
        let receiver = Receiver::start();
        let builder = Otel::builder(receiver.endpoint());
        let builder = builder
            .logs(|logs| logs.off())
            .metrics(|metrics| metrics.off())
            .traces(|traces| traces.max_queue_len(100_000));
        let (otel, guard) = change(builder).build().expect("valid options");
        let subscriber = tracing_subscriber::registry().with(otel.spans());
        Self {
            default: tracing::dispatcher::set_default(&Dispatch::new(subscriber)),
            otel,
            receiver,
            guard,
        }
    }

    /// Ends the exporter, and returns all spans in the order in which they were sent.
    pub fn finish(self) -> Vec<ExportedSpan> {
        self.finish_with_stats().0
    }

    pub fn finish_with_stats(self) -> (Vec<ExportedSpan>, OtelStats) {
        let stats = self.guard.shutdown(Duration::from_secs(60));
        drop(self.default);
        let received = self.receiver.spans().into_iter();
        let spans = received.map(|received| ExportedSpan {
            scope: received.scope,
            span: received.item,
        });
        (spans.collect(), stats)
    }
}

/// Returns the only span with this name.
#[track_caller]
pub fn named<'a>(spans: &'a [ExportedSpan], name: &str) -> &'a ExportedSpan {
    let mut found = spans.iter().filter(|span| span.name == name);
    let first = found.next();
    let first = first.unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
    assert!(found.next().is_none(), "{name} occurs twice: {spans:#?}");
    first
}

impl ExportedSpan {
    #[track_caller]
    pub fn value(&self, key: &str) -> Option<&Value> {
        attribute(&self.span.attributes, key)
    }

    #[track_caller]
    pub fn text(&self, key: &str) -> Option<&str> {
        text(&self.span.attributes, key)
    }

    /// Returns the keys of all attributes. Fails if a key occurs twice.
    #[track_caller]
    pub fn keys(&self) -> Vec<&str> {
        let keys: Vec<&str> = self.span.attributes.iter().map(|pair| &*pair.key).collect();
        for key in &keys {
            self.value(key);
        }
        keys
    }

    /// Returns the status, with its description.
    pub fn outcome(&self) -> (StatusCode, &str) {
        match &self.span.status {
            Some(status) => (status.code(), &status.message),
            None => (StatusCode::Unset, ""),
        }
    }

    pub fn is_child_of(&self, parent: &Self) -> bool {
        self.trace_id == parent.trace_id && self.parent_span_id == parent.span_id
    }

    pub fn is_root(&self) -> bool {
        self.parent_span_id.is_empty()
    }

    pub fn started(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.span.start_time_unix_nano)
    }

    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.span.end_time_unix_nano - self.span.start_time_unix_nano)
    }
}

impl Deref for ExportedSpan {
    type Target = Span;

    fn deref(&self) -> &Span {
        &self.span
    }
}

/// Returns the text of an attribute of an event.
#[track_caller]
pub fn event_text<'a>(event: &'a Event, key: &str) -> Option<&'a str> {
    text(&event.attributes, key)
}
