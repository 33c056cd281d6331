//! Each wrapper forwards every call, and `downcast_raw` finds the inner layer.

use crate::support::{SeenMessages, call_recorder::CallRecorder, redaction::no_hunter};
use spanwise_core::{LayerExt, Layers, LevelFiltered, Redacted};
use tracing::{
    Dispatch, Level, Metadata, Subscriber, info, info_span,
    level_filters::LevelFilter,
    span::{Attributes, Id},
    subscriber::with_default,
};
use tracing_core::Interest;
use tracing_subscriber::{Layer, Registry, layer::Context, prelude::*};

fn check(wrap: impl FnOnce(CallRecorder) -> Dispatch) {
    let calls = CallRecorder::default();
    let dispatch = wrap(calls.clone());
    assert!(
        dispatch.downcast_ref::<CallRecorder>().is_some(),
        "a look-up finds the inner layer"
    );
    assert!(
        dispatch.downcast_ref::<SeenMessages>().is_none(),
        "and none that is not there"
    );
    tracing::dispatcher::with_default(&dispatch, || {
        // With and without hidden values, because a wrapper that rebuilds values must forward all
        // values.
        let span = info_span!("span", secret = 1, late = tracing::field::Empty);
        span.record("late", 1)
            .follows_from(info_span!("other").id());
        span.in_scope(|| info!(secret = 1, "event"));
        assert!(tracing::enabled!(Level::INFO));
    });
    let calls = calls.all();
    let expected = [
        "enabled",
        "event_enabled",
        "max_level_hint",
        "on_close",
        "on_enter",
        "on_event",
        "on_exit",
        "on_follows_from",
        "on_layer",
        "on_new_span",
        "on_record",
        "on_register_dispatch",
        "register_callsite",
    ];
    assert_eq!(calls, expected);
}

#[test]
fn level_filtered_forwards_every_method() {
    check(|layer| {
        tracing_subscriber::registry()
            .with(layer.with_levels(LevelFilter::TRACE.into()))
            .into()
    });
}

#[test]
fn redacted_forwards_every_method() {
    check(|layer| {
        tracing_subscriber::registry()
            .with(layer.redacted(no_hunter()))
            .into()
    });
    check(|layer| {
        tracing_subscriber::registry()
            .with(layer.redacted(no_hunter()).redacted(no_hunter()))
            .into()
    });
}

#[test]
fn wants_every_event_skips_event_enabled() {
    let calls = CallRecorder::default();
    let layer = calls.clone().redacted(no_hunter()).wants_every_event();
    with_default(tracing_subscriber::registry().with(layer), || {
        info!("event");
    });
    let calls = calls.all();
    assert!(calls.contains(&"on_event"));
    assert!(!calls.contains(&"event_enabled"));
}

#[test]
fn layers_forward_every_method() {
    check(|layer| {
        let mut list = Layers::<Registry>::default();
        list.push(layer);
        tracing_subscriber::registry().with(list).into()
    });
}

#[test]
fn id_change_is_forwarded() {
    // `Registry` never changes an id: call the method.
    let calls = CallRecorder::default();
    let leveled: LevelFiltered<CallRecorder> = calls.clone().with_levels(LevelFilter::TRACE.into());
    let mut list = Layers::<Registry>::default();
    list.push(leveled.redacted(no_hunter()));
    struct Caller(Layers<Registry>);
    impl Layer<Registry> for Caller {
        fn on_new_span(&self, _: &Attributes<'_>, id: &Id, ctx: Context<'_, Registry>) {
            self.0.on_id_change(id, id, ctx);
        }
    }
    with_default(tracing_subscriber::registry().with(Caller(list)), || {
        let _span = info_span!("span");
    });
    assert!(calls.all().contains(&"on_id_change"));
}

#[test]
fn wrapper_downcasts_to_its_own_type() {
    let leveled: LevelFiltered<SeenMessages> =
        SeenMessages::default().with_levels(LevelFilter::TRACE.into());
    let dispatch: Dispatch = tracing_subscriber::registry().with(leveled).into();
    assert!(
        dispatch
            .downcast_ref::<LevelFiltered<SeenMessages>>()
            .is_some()
    );
    let redacted: Redacted<SeenMessages> = SeenMessages::default().redacted(no_hunter());
    let dispatch: Dispatch = tracing_subscriber::registry().with(redacted).into();
    assert!(dispatch.downcast_ref::<Redacted<SeenMessages>>().is_some());
    let dispatch: Dispatch = tracing_subscriber::registry()
        .with(Layers::<Registry>::default())
        .into();
    assert!(dispatch.downcast_ref::<Layers<Registry>>().is_some());
}

#[test]
fn empty_layers_disable_nothing() {
    let seen = SeenMessages::default();
    let list = Layers::<Registry>::default();
    let _default = tracing_subscriber::registry()
        .with(list)
        .with(seen.clone())
        .set_default();
    info!("seen");
    tracing::trace!("seen");
    assert_eq!(seen.take().len(), 2);
}

#[test]
fn layers_use_the_most_verbose_hint() {
    let (all, errors) = (SeenMessages::default(), SeenMessages::default());
    let mut list = Layers::<Registry>::default();
    list.push(errors.clone().with_filter(LevelFilter::ERROR));
    list.push(all.clone());
    let _default = tracing_subscriber::registry().with(list).set_default();
    tracing::trace!("trace");
    tracing::error!("error");
    assert_eq!((all.take().len(), errors.take().len()), (2, 1));
}

#[test]
fn without_captured_forwards_every_method() {
    check(|layer| {
        tracing_subscriber::registry()
            .with(layer.without_captured(LevelFilter::TRACE))
            .into()
    });
}

#[test]
fn layers_stop_at_the_first_never() {
    struct Answers(Interest, CallRecorder);
    impl<S: Subscriber> Layer<S> for Answers {
        fn register_callsite(&self, callsite: &'static Metadata<'static>) -> Interest {
            let _ = Layer::<S>::register_callsite(&self.1, callsite);
            self.0.clone()
        }
    }
    let [first, never, behind] = [
        CallRecorder::default(),
        CallRecorder::default(),
        CallRecorder::default(),
    ];
    let mut list = Layers::<Registry>::default();
    list.push(Answers(Interest::sometimes(), first.clone()));
    list.push(Answers(Interest::never(), never.clone()));
    list.push(Answers(Interest::always(), behind.clone()));
    let span = with_default(Registry::default(), || info_span!("s"));
    let callsite = span.metadata().unwrap();
    assert!(list.register_callsite(callsite).is_never());
    assert_eq!(
        [first, never, behind].map(|calls| calls.all().len()),
        [1, 1, 0]
    );
}
