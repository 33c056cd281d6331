//! A sampled layer forwards every call, and `downcast_raw` finds the layer inside.

use crate::call_recorder::CallRecorder;
use spanwise_sample::{SampleExt, Sampled, Sampler};
use tracing::{
    Dispatch, Level, info, info_span,
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, Registry, layer::Context, prelude::*};

fn log() {
    let span = info_span!("span", late = tracing::field::Empty);
    span.record("late", 1)
        .follows_from(info_span!("other").id());
    span.in_scope(|| info!("event"));
    assert!(tracing::enabled!(Level::INFO), "nothing is switched off");
}

const ALL_BUT_EVENTS: [&str; 12] = [
    "enabled",
    "event_enabled",
    "max_level_hint",
    "on_close",
    "on_enter",
    "on_exit",
    "on_follows_from",
    "on_layer",
    "on_new_span",
    "on_record",
    "on_register_dispatch",
    "register_callsite",
];

#[test]
fn sampled_layer_forwards_all_but_dropped_events() {
    for (rules, gets_events) in [("info=1", true), ("info=0", false)] {
        let noted = CallRecorder::default();
        let sampled: Sampled<CallRecorder> = noted.clone().sampled(rules.parse().unwrap());
        let dispatch: Dispatch = tracing_subscriber::registry().with(sampled).into();
        assert!(dispatch.downcast_ref::<Sampled<CallRecorder>>().is_some());
        assert!(dispatch.downcast_ref::<CallRecorder>().is_some());
        assert!(dispatch.downcast_ref::<Sampler>().is_none());
        tracing::dispatcher::with_default(&dispatch, log);
        let calls = noted.all();
        let mut expected = ALL_BUT_EVENTS.to_vec();
        if gets_events {
            expected.insert(5, "on_event");
        }
        assert_eq!(calls, expected);
    }
}

#[test]
fn id_change_is_forwarded() {
    // `Registry` never changes an id: call the method.
    struct Caller(Sampled<CallRecorder>);
    impl Layer<Registry> for Caller {
        fn on_new_span(&self, _: &Attributes<'_>, id: &Id, ctx: Context<'_, Registry>) {
            self.0.on_id_change(id, id, ctx);
        }
    }
    let noted = CallRecorder::default();
    let sampled = noted.clone().sampled(Sampler::builder().build());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(Caller(sampled)), || {
        let _span = info_span!("span");
    });
    assert!(noted.all().contains(&"on_id_change"));
}
