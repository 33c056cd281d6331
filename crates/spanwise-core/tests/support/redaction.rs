//! A small policy, and a layer that collects everything that it receives.

use std::{
    borrow::Cow,
    error::Error,
    fmt,
    sync::{Arc, Mutex},
};

use spanwise_core::{KeyVerdict, Redact};
use tracing::{Event, Metadata, Subscriber, field::Field};
use tracing_core::{
    Interest,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// The word that the policy hides in every text.
pub const SECRET: &str = "hunter2";

/// Hides [`SECRET`], and the keys `secret` and `gone`. Shows the last two letters of `card`, and
/// trusts `trusted`.
#[derive(Debug, Clone, Copy)]
pub struct NoHunter;

impl Redact for NoHunter {
    fn key(&self, key: &str) -> KeyVerdict {
        match key {
            "secret" => KeyVerdict::Redact,
            "gone" => KeyVerdict::Remove,
            "card" => KeyVerdict::Replace,
            "trusted" => KeyVerdict::Trust,
            _ => KeyVerdict::Pass,
        }
    }

    fn replace(&self, _: &str, value: &str) -> String {
        let last = value.char_indices().rev().nth(1);
        format!("…{}", &value[last.map_or(0, |(index, _)| index)..])
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if text.contains(SECRET) {
            text.replace(SECRET, "***").into()
        } else {
            text.into()
        }
    }
}

pub fn no_hunter() -> Arc<dyn Redact> {
    Arc::new(NoHunter)
}

/// Collects everything that it receives as text, `new name=kind:value …`, and separately the
/// `Debug` of events, attributes and records.
#[derive(Clone, Default, Debug)]
pub struct Everything {
    pub calls: Arc<Mutex<Vec<String>>>,
    pub printed: Arc<Mutex<String>>,
}

impl Everything {
    pub fn take(&self) -> Vec<String> {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        let printed = std::mem::take(&mut *self.printed.lock().unwrap());
        for text in calls.iter().chain([&printed]) {
            assert!(!text.contains(SECRET), "a secret got through: {text}");
        }
        calls
    }

    fn keep(
        &self,
        call: &str,
        values: &dyn Fn(&mut dyn tracing::field::Visit),
        own: &dyn fmt::Debug,
    ) {
        let mut shown = Shown(call.to_owned());
        values(&mut shown);
        self.calls.lock().unwrap().push(shown.0);
        let printed = format!("{own:?}{own:#?}");
        *self.printed.lock().unwrap() += &printed;
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Everything {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.keep("asked", &|visitor| event.record(visitor), event);
        true
    }
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let parent = match ctx.event_span(event) {
            Some(span) => format!("event in {}", span.name()),
            None => "event".to_owned(),
        };
        self.keep(&parent, &|visitor| event.record(visitor), event);
    }
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let parent = attrs.parent().and_then(|parent| ctx.span(parent));
        let parent = match (parent, attrs.is_root(), attrs.is_contextual()) {
            (Some(parent), false, false) => parent.name(),
            (None, true, false) => "root",
            (None, false, true) => "contextual",
            _ => panic!("nothing or two of three"),
        };
        let call = format!("new {} {parent}", ctx.span(id).unwrap().name());
        self.keep(&call, &|visitor| attrs.record(visitor), attrs);
    }
    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let call = format!("record {}", ctx.span(id).unwrap().name());
        self.keep(&call, &|visitor| values.record(visitor), values);
    }
    fn on_follows_from(&self, _: &Id, _: &Id, _: Context<'_, S>) {
        self.calls.lock().unwrap().push("follows".to_owned());
    }
}

struct Shown(String);

impl Shown {
    fn add(&mut self, field: &Field, kind: &str, value: impl fmt::Display) {
        self.0 += &format!(" {field}={kind}:{value}");
    }
}

impl tracing::field::Visit for Shown {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, "f64", value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, "i64", value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, "u64", value);
    }
    fn record_i128(&mut self, field: &Field, value: i128) {
        self.add(field, "i128", value);
    }
    fn record_u128(&mut self, field: &Field, value: u128) {
        self.add(field, "u128", value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, "bool", value);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, "str", value);
    }
    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.add(field, "bytes", String::from_utf8_lossy(value));
    }
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add(field, "error", format_args!("{value}|{value:?}"));
        let mut links = 0;
        let mut next = value.source();
        while let Some(error) = next.filter(|_| links < 100) {
            self.0 += &format!("<-{error}|{error:?}");
            next = error.source();
            links += 1;
        }
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, "debug", format_args!("{value:?}"));
        assert!(!format!("{value:#?}").contains(SECRET));
    }
}
