//! Optional sinks, such as exporters. Each is behind a cargo feature.
//!
//! A sink is a submodule that implements [`OptionalSink`], and a line in [`REGISTRY`]. Its settings
//! are rows in [`settings`](crate::settings) that name the feature. Without the feature, there is a
//! warning if such a variable is set. The stack redacts events for the layer of a sink, unless the
//! sink redacts itself: see [`StartedSink`].

use std::{any::Any, sync::Arc};

use spanwise_core::{Redact, SelfReport, Setting, SinkControl};
use tracing_subscriber::{Layer, Registry};

use crate::{Stack, choices::Choices, service::Service, static_fields::StaticFields};

#[cfg(feature = "otel")]
pub(crate) mod otel;
#[cfg(feature = "sentry")]
pub(crate) mod sentry;

/// Returns a sink if code or a variable requests it. Always reads all its settings, so that every
/// invalid value is reported.
type Choose = fn(&SinkChanges, &mut Choices<'_>, &Service) -> Option<Box<dyn OptionalSink>>;

/// The sinks in the order of their layers.
const REGISTRY: &[Choose] = &[
    #[cfg(feature = "otel")]
    otel::OtelSink::choose,
    #[cfg(feature = "sentry")]
    sentry::SentrySink::choose,
];

/// Returns the settings that sinks define themselves.
pub(crate) fn settings() -> Vec<Setting> {
    #[cfg(feature = "otel")]
    return spanwise_otel::OtelSetting::all()
        .map(|setting| setting.def)
        .collect();
    #[cfg(not(feature = "otel"))]
    Vec::new()
}

/// The changes that code makes to sinks.
#[derive(Default)]
pub(crate) struct SinkChanges {
    #[cfg(feature = "otel")]
    pub(crate) otel: otel::OtelChange,
    /// Whether fields of events become metrics.
    #[cfg(feature = "otel")]
    pub(crate) measures_events: bool,
    #[cfg(feature = "sentry")]
    pub(crate) sentry: sentry::SentryChange,
}

/// A sink that the settings request, before it starts.
pub(crate) trait OptionalSink {
    /// Starts the sink. On failure, returns all problems.
    fn start(self: Box<Self>, context: &StackContext<'_>) -> Result<StartedSink, Vec<String>>;
}

/// The choices that all sinks use.
#[allow(dead_code, reason = "there may be no sink")]
pub(crate) struct StackContext<'a> {
    pub(crate) report: &'a SelfReport,
    /// The policy for sinks that redact themselves.
    pub(crate) policy: Option<&'a Arc<dyn Redact>>,
    /// The context keys that the program declares.
    pub(crate) context_keys: &'a [String],
    pub(crate) static_fields: &'a StaticFields,
}

/// Returns the sinks that are requested.
pub(crate) fn choose(
    changes: &SinkChanges,
    choices: &mut Choices<'_>,
    service: &Service,
) -> Vec<Box<dyn OptionalSink>> {
    REGISTRY
        .iter()
        .filter_map(|choose| choose(changes, choices, service))
        .collect()
}

/// A sink that runs until the shutdown.
pub(crate) trait RunningSink: SinkControl + Any {
    /// Called once, after the global subscriber was set.
    fn on_installed(&self) {}
}

/// A running sink, with the layers that feed it.
pub(crate) struct StartedSink {
    pub(crate) add_layers: Box<dyn FnOnce(Stack) -> Stack>,
    pub(crate) running: Arc<dyn RunningSink>,
}

#[allow(dead_code, reason = "there may be no sink, or none of a kind")]
impl StartedSink {
    /// Creates a started sink. The stack redacts events for its layer.
    pub(crate) fn new(
        layer: impl Layer<Registry> + Send + Sync,
        running: impl RunningSink,
    ) -> Self {
        Self {
            add_layers: Box::new(move |stack| stack.layer(layer)),
            running: Arc::new(running),
        }
    }

    /// Creates a started sink whose layer redacts itself, with the policy of the context.
    pub(crate) fn new_redacting(
        layer: impl Layer<Registry> + Send + Sync,
        running: impl RunningSink,
    ) -> Self {
        Self::with_layers(move |stack| stack.layer_unredacted(layer), running)
    }

    /// Creates a started sink that adds several layers. The layers redact themselves.
    pub(crate) fn with_layers(
        add_layers: impl FnOnce(Stack) -> Stack + 'static,
        running: impl RunningSink,
    ) -> Self {
        Self {
            add_layers: Box::new(add_layers),
            running: Arc::new(running),
        }
    }
}

/// Starts all sinks. On failure, returns all problems.
pub(crate) fn start(
    sinks: Vec<Box<dyn OptionalSink>>,
    context: &StackContext<'_>,
) -> Result<Vec<StartedSink>, Vec<String>> {
    let mut problems = Vec::new();
    let mut started = Vec::new();
    for sink in sinks {
        match sink.start(context) {
            Ok(sink) => started.push(sink),
            Err(wrong) => problems.extend(wrong),
        }
    }
    if problems.is_empty() {
        Ok(started)
    } else {
        Err(problems)
    }
}

#[cfg(test)]
mod tests {
    use std::{io, time::Instant};

    use spanwise_core::{Flush, Levels, internal::sync::Mutex};
    use spanwise_redact::Policy;
    use tracing::{Event, info, subscriber::with_default};
    use tracing_subscriber::layer::Context;

    use super::*;

    /// Stores the last event as text.
    struct LastEvent(Arc<Mutex<String>>);

    impl Layer<Registry> for LastEvent {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, Registry>) {
            let text = format!("{event:?}");
            *self.0.lock() = text;
        }
    }

    struct Control;

    impl Flush for Control {
        fn flush_by(&self, _: Instant) -> io::Result<()> {
            Ok(())
        }
    }

    impl SinkControl for Control {
        fn name(&self) -> &str {
            "test"
        }

        fn shutdown_by(&self, _: Instant) {}
    }

    impl RunningSink for Control {}

    fn logged(new: impl FnOnce(LastEvent, Control) -> StartedSink) -> String {
        let last = Arc::<Mutex<String>>::default();
        let sink = new(LastEvent(Arc::clone(&last)), Control);
        let levels: Levels = "info".parse().unwrap();
        let stack = Stack::new(levels).redact(Arc::new(Policy::secrets()));
        let stack = (sink.add_layers)(stack).build();
        with_default(stack, || info!(password = "hunter2", "logged in"));
        let text = last.lock().clone();
        assert!(text.contains("logged in"), "{text}");
        text
    }

    /// A unit test, because all built-in sinks redact themselves.
    #[test]
    fn stack_redacts_unless_the_sink_does() {
        assert!(!logged(StartedSink::new).contains("hunter2"));
        assert!(logged(StartedSink::new_redacting).contains("hunter2"));
    }
}
