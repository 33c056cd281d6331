//! Each wrapper passes on every call, and `downcast_raw` finds what is inside.

use crate::support::{Seen, noted::Noted, redaction::no_hunter};
use spanwise_core::{LayerExt, Layers, LevelFiltered, Redacted};
use tracing::{
    Dispatch, Level, Metadata, Subscriber, info, info_span,
    level_filters::LevelFilter,
    span::{Attributes, Id},
    subscriber::with_default,
};
use tracing_core::Interest;
use tracing_subscriber::{Layer, Registry, layer::Context, prelude::*};

fn check(wrap: impl FnOnce(Noted) -> Dispatch) {
    let noted = Noted::default();
    let dispatch = wrap(noted.clone());
    assert!(
        dispatch.downcast_ref::<Noted>().is_some(),
        "a look-up finds the inner layer"
    );
    assert!(
        dispatch.downcast_ref::<Seen>().is_none(),
        "and none that is not there"
    );
    tracing::dispatcher::with_default(&dispatch, || {
        // Hidden or not: a wrapper that rebuilds what it passes on still passes on all of it.
        let span = info_span!("span", secret = 1, late = tracing::field::Empty);
        span.record("late", 1)
            .follows_from(info_span!("other").id());
        span.in_scope(|| info!(secret = 1, "event"));
        assert!(tracing::enabled!(Level::INFO));
    });
    let calls = noted.all();
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
fn a_leveled_layer_is_told_everything() {
    check(|layer| {
        tracing_subscriber::registry()
            .with(layer.with_levels(LevelFilter::TRACE.into()))
            .into()
    });
}

#[test]
fn a_redacted_layer_is_told_everything() {
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
fn a_redacted_layer_that_wants_every_event_is_not_asked() {
    let noted = Noted::default();
    let layer = noted.clone().redacted(no_hunter()).wants_every_event();
    with_default(tracing_subscriber::registry().with(layer), || {
        info!("event");
    });
    let calls = noted.all();
    assert!(calls.contains(&"on_event"));
    assert!(!calls.contains(&"event_enabled"));
}

#[test]
fn a_layer_in_a_list_is_told_everything() {
    check(|layer| {
        let mut list = Layers::<Registry>::default();
        list.push(layer);
        tracing_subscriber::registry().with(list).into()
    });
}

#[test]
fn an_id_change_is_passed_on() {
    // `Registry` never changes an id: call the method.
    let noted = Noted::default();
    let leveled: LevelFiltered<Noted> = noted.clone().with_levels(LevelFilter::TRACE.into());
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
    assert!(noted.all().contains(&"on_id_change"));
}

#[test]
fn a_wrapper_is_found_by_its_own_type() {
    let leveled: LevelFiltered<Seen> = Seen::default().with_levels(LevelFilter::TRACE.into());
    let dispatch: Dispatch = tracing_subscriber::registry().with(leveled).into();
    assert!(dispatch.downcast_ref::<LevelFiltered<Seen>>().is_some());
    let redacted: Redacted<Seen> = Seen::default().redacted(no_hunter());
    let dispatch: Dispatch = tracing_subscriber::registry().with(redacted).into();
    assert!(dispatch.downcast_ref::<Redacted<Seen>>().is_some());
    let dispatch: Dispatch = tracing_subscriber::registry()
        .with(Layers::<Registry>::default())
        .into();
    assert!(dispatch.downcast_ref::<Layers<Registry>>().is_some());
}

#[test]
fn an_empty_list_switches_nothing_off() {
    let seen = Seen::default();
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
fn a_list_wants_what_its_most_verbose_member_wants() {
    let (all, errors) = (Seen::default(), Seen::default());
    let mut list = Layers::<Registry>::default();
    list.push(errors.clone().with_filter(LevelFilter::ERROR));
    list.push(all.clone());
    let _default = tracing_subscriber::registry().with(list).set_default();
    tracing::trace!("trace");
    tracing::error!("error");
    assert_eq!((all.take().len(), errors.take().len()), (2, 1));
}

#[test]
fn a_layer_that_sees_what_is_shown_is_told_everything() {
    check(|layer| {
        tracing_subscriber::registry()
            .with(layer.without_captured(LevelFilter::TRACE))
            .into()
    });
}

#[test]
fn layer_behind_a_never_is_not_asked_of_a_callsite() {
    struct Answers(Interest, Noted);
    impl<S: Subscriber> Layer<S> for Answers {
        fn register_callsite(&self, callsite: &'static Metadata<'static>) -> Interest {
            let _ = Layer::<S>::register_callsite(&self.1, callsite);
            self.0.clone()
        }
    }
    let [first, never, behind] = [Noted::default(), Noted::default(), Noted::default()];
    let mut list = Layers::<Registry>::default();
    list.push(Answers(Interest::sometimes(), first.clone()));
    list.push(Answers(Interest::never(), never.clone()));
    list.push(Answers(Interest::always(), behind.clone()));
    let span = with_default(Registry::default(), || info_span!("s"));
    let callsite = span.metadata().unwrap();
    assert!(list.register_callsite(callsite).is_never());
    assert_eq!(
        [first, never, behind].map(|noted| noted.all().len()),
        [1, 1, 0]
    );
}
