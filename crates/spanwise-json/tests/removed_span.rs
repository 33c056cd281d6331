//! A thread looks up a span while another thread removes it. The subscriber is global: a scoped one
//! does not see events of a destructor that runs inside another event.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

use std::{
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use spanwise_core::forward_downcast;
use spanwise_json::JsonLayer;
use spanwise_testing::support::Lines;
use tracing::{Dispatch, Event, Metadata, Subscriber, dispatcher, info, info_span};
use tracing_core::{
    span::{Attributes, Current, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer, Registry,
    layer::Context as LayerContext,
    prelude::*,
    registry::{LookupSpan, SpanData},
};

/// A registry in which one look-up of a span waits until another thread has closed the span.
#[derive(Default)]
struct Waiting {
    registry: Registry,
    look_up: Mutex<Option<LookUp>>,
}

struct LookUp {
    found: Sender<()>,
    closed: Receiver<()>,
}

impl<'a> LookupSpan<'a> for Waiting {
    type Data = <Registry as LookupSpan<'a>>::Data;

    fn span_data(&'a self, id: &Id) -> Option<Self::Data> {
        let data = self.registry.span_data(id);
        let is_request = data
            .as_ref()
            .is_some_and(|data| data.metadata().name() == "request");
        let is_other = thread::current().name() == Some("other");
        let waits = (is_request && is_other).then(|| self.look_up.lock().unwrap().take());
        if let Some(LookUp { found, closed }) = waits.flatten() {
            found.send(()).unwrap();
            closed.recv().unwrap();
        }
        data
    }
}

impl Subscriber for Waiting {
    forward_downcast!(this, id => this.registry.downcast_raw(id));

    fn register_callsite(&self, callsite: &'static Metadata<'static>) -> Interest {
        self.registry.register_callsite(callsite)
    }

    fn enabled(&self, callsite: &Metadata<'_>) -> bool {
        self.registry.enabled(callsite)
    }

    fn new_span(&self, attrs: &Attributes<'_>) -> Id {
        self.registry.new_span(attrs)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        self.registry.record(id, values);
    }

    fn record_follows_from(&self, id: &Id, follows: &Id) {
        self.registry.record_follows_from(id, follows);
    }

    fn event(&self, event: &Event<'_>) {
        self.registry.event(event);
    }

    fn enter(&self, id: &Id) {
        self.registry.enter(id);
    }

    fn exit(&self, id: &Id) {
        self.registry.exit(id);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.registry.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.registry.try_close(id)
    }

    fn current_span(&self) -> Current {
        self.registry.current_span()
    }
}

/// Stores a value with a logging destructor in each span, and closes a span on request.
struct Closing {
    is_closing: Sender<()>,
    go_on: Mutex<Receiver<()>>,
}

struct LogsWhenDropped;

impl Drop for LogsWhenDropped {
    fn drop(&mut self) {
        info!("dropped");
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Closing {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        ctx.span(id)
            .unwrap()
            .extensions_mut()
            .insert(LogsWhenDropped);
    }

    fn on_close(&self, _: Id, _: LayerContext<'_, S>) {
        self.is_closing.send(()).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
    }
}

/// The last thread that looks up a closed span removes it, and drops the data of other layers in
/// it.
#[test]
fn span_removal_inside_a_lookup_may_log() {
    let (is_closing, closing) = channel();
    let (found, go_on) = channel();
    let (tell_closed, closed) = channel();
    let registry = Waiting {
        registry: Registry::default(),
        look_up: Mutex::new(Some(LookUp { found, closed })),
    };
    let lines = Lines::default();
    let json = JsonLayer::new()
        .without_timestamp()
        .with_writer(lines.clone());
    let go_on = Mutex::new(go_on);
    let stack = registry.with(json).with(Closing { is_closing, go_on });
    dispatcher::set_global_default(Dispatch::new(stack)).unwrap();

    let request = info_span!("request", request_id = "r");
    let (entered, wait_entered) = channel();
    let id = request.id().unwrap();
    thread::scope(|scope| {
        let other = thread::Builder::new().name("other".to_owned());
        let log = move || {
            dispatcher::get_default(|dispatch| dispatch.enter(&id));
            entered.send(()).unwrap();
            closing.recv().unwrap();
            info!("in a span that is closing");
        };
        let other = other.spawn_scoped(scope, log).unwrap();
        wait_entered.recv().unwrap();
        drop(request);
        tell_closed.send(()).unwrap();
        other.join().unwrap();
    });
    let messages: Vec<String> = lines
        .objects()
        .iter()
        .map(|line| line["message"].to_string())
        .collect();
    assert_eq!(messages, [r#""dropped""#, r#""in a span that is closing""#]);
}
