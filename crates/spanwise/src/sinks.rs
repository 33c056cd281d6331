//! Optional sinks, such as exporters. Each is behind a cargo feature.
//!
//! A sink is a submodule that implements [`OptionalSink`], and a line in [`REGISTRY`]. Its settings
//! are rows in [`settings`](crate::settings) that name the feature. Without the feature, there is a
//! warning if such a variable is set.

use std::{any::Any, io, sync::Arc, time::Instant};

use spanwise_core::{Flush, Redact, SelfReport, Setting, SinkControl, internal::sync::Mutex};

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
    pub(crate) otel: BuilderChange<spanwise_otel::OtelBuilder>,
    /// Whether fields of events become metrics.
    #[cfg(feature = "otel")]
    pub(crate) measures_events: bool,
    #[cfg(feature = "sentry")]
    pub(crate) sentry: BuilderChange<spanwise_sentry::SentryBuilder>,
}

/// The change of a sink's builder by code, until the sink starts.
pub(crate) type BuilderChange<B> = Arc<Mutex<Option<Change<B>>>>;

type Change<B> = Box<dyn FnOnce(B) -> B + Send + Sync>;

#[allow(dead_code, reason = "there may be no sink")]
pub(crate) fn builder_change<B>(
    change: impl FnOnce(B) -> B + Send + Sync + 'static,
) -> BuilderChange<B> {
    Arc::new(Mutex::new(Some(Box::new(change))))
}

#[allow(dead_code, reason = "there may be no sink")]
fn apply<B>(change: &BuilderChange<B>, builder: B) -> B {
    let change = change.lock().take();
    match change {
        Some(change) => change(builder),
        None => builder,
    }
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

/// A running sink, and a function that adds its layers. The function must use [`Stack::layer`] for
/// a layer that does not itself redact with the policy of the context.
pub(crate) struct StartedSink {
    pub(crate) add_layers: Box<dyn FnOnce(Stack) -> Stack>,
    pub(crate) running: Arc<dyn RunningSink>,
}

#[allow(dead_code, reason = "there may be no sink")]
impl StartedSink {
    pub(crate) fn new(
        add_layers: impl FnOnce(Stack) -> Stack + 'static,
        running: impl RunningSink,
    ) -> Self {
        Self {
            add_layers: Box::new(add_layers),
            running: Arc::new(running),
        }
    }
}

/// The handle of a running sink, with a guard. Dropping the guard ends the sink.
#[allow(dead_code, reason = "there may be no sink")]
pub(crate) struct GuardedSink<H, G> {
    pub(crate) handle: H,
    pub(crate) guard: G,
    pub(crate) on_installed: fn(&H),
}

impl<H: Flush, G: Send + Sync + 'static> Flush for GuardedSink<H, G> {
    fn flush_by(&self, deadline: Instant) -> io::Result<()> {
        self.handle.flush_by(deadline)
    }
}

impl<H: SinkControl, G: Send + Sync + 'static> SinkControl for GuardedSink<H, G> {
    fn name(&self) -> &str {
        self.handle.name()
    }

    fn hurry(&self) {
        self.handle.hurry();
    }

    fn shutdown_by(&self, deadline: Instant) {
        self.handle.shutdown_by(deadline);
    }
}

impl<H: SinkControl, G: Send + Sync + 'static> RunningSink for GuardedSink<H, G> {
    fn on_installed(&self) {
        (self.on_installed)(&self.handle);
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
