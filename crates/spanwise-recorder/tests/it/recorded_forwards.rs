//! A recorded layer forwards every call, and `downcast_raw` finds the layer inside.

use crate::call_recorder::CallRecorder;
use spanwise_core::Layers;
use spanwise_recorder::{Recorded, Recorder};
use tracing::{
    Dispatch, Level, debug, info, info_span,
    level_filters::LevelFilter,
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, Registry, layer::Context, prelude::*};

/// Calls the method that `Registry` never calls.
struct Caller(Layers<Registry>);

impl Layer<Registry> for Caller {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, ctx: Context<'_, Registry>) {
        self.0.on_id_change(id, id, ctx);
    }
}

#[test]
fn recorded_layer_forwards_everything() {
    let noted = CallRecorder::default();
    let recorded = |noted: &CallRecorder| -> Recorded<CallRecorder> {
        Recorder::default().sink(std::io::sink, LevelFilter::INFO, |_| noted.clone())
    };
    let stack = tracing_subscriber::registry().with(recorded(&noted));
    let dispatch = Dispatch::new(stack);
    assert!(dispatch.downcast_ref::<CallRecorder>().is_some());
    assert!(dispatch.downcast_ref::<Recorded<CallRecorder>>().is_some());
    assert!(dispatch.downcast_ref::<String>().is_none());
    tracing::dispatcher::with_default(&dispatch, || {
        let span = info_span!("span", status = tracing::field::Empty);
        span.record("status", 1)
            .follows_from(info_span!("other").id());
        span.in_scope(|| {
            info!("event");
            debug!("kept");
        });
        assert!(tracing::enabled!(Level::INFO));
    });
    let mut list = Layers::<Registry>::default();
    list.push(recorded(&noted));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(Caller(list)), || {
        let _span = info_span!("span");
    });
    let calls = noted.all();
    let expected = [
        "enabled",
        "event_enabled",
        "max_level_hint",
        "on_close",
        "on_enter",
        "on_event",
        "on_event at DEBUG",
        "on_exit",
        "on_follows_from",
        "on_id_change",
        "on_layer",
        "on_new_span",
        "on_record",
        "on_register_dispatch",
        "register_callsite",
    ];
    assert_eq!(calls, expected);
}
