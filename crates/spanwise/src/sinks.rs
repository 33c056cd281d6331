//! Optional sinks, such as exporters. Each is behind a cargo feature.
//!
//! A sink is a submodule that implements [`OptionalSink`], and a line in [`REGISTRY`]. The
//! submodule also has the setters of [`Builder`](crate::Builder) and the getters of
//! [`Handle`](crate::Handle) for the sink. The settings of the sink are rows in
//! [`settings`](crate::settings) that name the feature. If such a setting has a value, but the
//! feature is not built in, the program logs a warning.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    io,
    sync::Arc,
    time::Instant,
};

use spanwise_core::{Flush, Redact, SelfReport, Setting, SinkControl, internal::sync::Mutex};

use crate::{Stack, choices::Choices, service::Service, static_fields::StaticFields};

#[cfg(feature = "otel")]
pub(crate) mod otel;
#[cfg(feature = "sentry")]
pub(crate) mod sentry;

/// The sinks in the order of their layers.
const REGISTRY: &[SinkType] = &[
    #[cfg(feature = "otel")]
    otel::SINK_TYPE,
    #[cfg(feature = "sentry")]
    sentry::SINK_TYPE,
];

/// The entry of an optional sink in the [`REGISTRY`].
struct SinkType {
    /// Returns the sink if code, a variable or a file requests it. Also reports invalid values of
    /// its settings.
    choose: fn(&SinkChanges, &mut Choices<'_>, &Service) -> Option<Box<dyn OptionalSink>>,
    /// Returns the settings that are not rows of [`settings`](crate::settings).
    own_settings: fn() -> Vec<Setting>,
}

/// Returns the settings of all sinks that are not rows of [`settings`](crate::settings).
pub(crate) fn settings() -> Vec<Setting> {
    let types = REGISTRY.iter();
    types
        .flat_map(|sink_type| (sink_type.own_settings)())
        .collect()
}

/// The values that setters of the sinks store in the [`Builder`](crate::Builder). There is one
/// value of each type, such as `BuilderChanges<SentryBuilder>`.
#[derive(Default)]
pub(crate) struct SinkChanges(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl SinkChanges {
    /// Returns the value of this type, so that the caller can change it. Inserts the default first,
    /// if there is no value.
    pub(crate) fn get_mut<T: Default + Any + Send + Sync>(&mut self) -> &mut T {
        let value = self.0.entry(TypeId::of::<T>());
        let value = value.or_insert_with(|| Box::<T>::default());
        let value = value.downcast_mut();
        value.unwrap_or_else(|| unreachable!("the key is the type of the value"))
    }

    /// Returns the value of this type, or its default.
    pub(crate) fn get<T: Default + Clone + Any>(&self) -> T {
        let value = self.0.get(&TypeId::of::<T>());
        let value = value.and_then(|value| value.downcast_ref::<T>());
        value.cloned().unwrap_or_default()
    }
}

/// The changes that code makes to the builder `B` of a sink, in the order of the calls. Clones
/// share the changes, because each change can be applied only once.
pub(crate) struct BuilderChanges<B>(Arc<Mutex<Vec<BuilderChange<B>>>>);

type BuilderChange<B> = Box<dyn FnOnce(B) -> B + Send>;

impl<B> BuilderChanges<B> {
    pub(crate) fn push(&mut self, change: impl FnOnce(B) -> B + Send + 'static) {
        self.0.lock().push(Box::new(change));
    }

    fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// Applies the changes, and removes them. So a second call changes nothing.
    fn apply(&self, builder: B) -> B {
        let changes = std::mem::take(&mut *self.0.lock());
        changes
            .into_iter()
            .fold(builder, |builder, change| change(builder))
    }
}

impl<B> Default for BuilderChanges<B> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<B> Clone for BuilderChanges<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A sink that the settings request, before it starts.
pub(crate) trait OptionalSink {
    /// Starts the sink. On failure, returns all problems.
    fn start(self: Box<Self>, context: &StackContext<'_>) -> Result<StartedSink, Vec<String>>;
}

/// The effective values that each sink needs when it starts.
pub(crate) struct StackContext<'a> {
    pub(crate) report: &'a SelfReport,
    /// The policy for sinks that redact themselves.
    pub(crate) policy: Option<&'a Arc<dyn Redact>>,
    /// The context keys that the program declares.
    pub(crate) context_keys: &'a [String],
    pub(crate) static_fields: &'a StaticFields,
}

/// Returns the sinks that code, a variable or a file requests.
pub(crate) fn choose(
    changes: &SinkChanges,
    choices: &mut Choices<'_>,
    service: &Service,
) -> Vec<Box<dyn OptionalSink>> {
    REGISTRY
        .iter()
        .filter_map(|sink_type| (sink_type.choose)(changes, choices, service))
        .collect()
}

/// A sink that runs until the shutdown.
pub(crate) trait RunningSink: SinkControl + Any {
    /// Called once, after the global subscriber was set.
    fn on_installed(&self) {}
}

/// Returns the name of an exporter in counters. `kind` is its name in configuration files.
pub(crate) fn name_in_stats(kind: &str) -> &str {
    if kind == OTLP { "otel" } else { kind }
}

/// The name of the OpenTelemetry exporter in configuration files.
const OTLP: &str = "otlp";

/// A running sink whose layers are not in the stack yet.
pub(crate) struct StartedSink {
    /// Adds the layers of the sink. Must add a layer with [`Stack::layer`], which redacts, unless
    /// the layer itself redacts with [`StackContext::policy`].
    pub(crate) add_layers: Box<dyn FnOnce(Stack) -> Stack>,
    pub(crate) running: Arc<dyn RunningSink>,
}

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

    /// Returns the name of the sink in configuration files.
    pub(crate) fn kind(&self) -> &'static str {
        if self.running.name() == name_in_stats(OTLP) {
            OTLP
        } else {
            "sentry"
        }
    }
}

/// A running sink that consists of a handle and a guard. Dropping the guard ends the sink.
pub(crate) struct GuardedSink<H, G> {
    pub(crate) handle: H,
    pub(crate) _guard: G,
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
            Err(sink_problems) => problems.extend(sink_problems),
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
    use super::*;

    #[test]
    fn changes_are_applied_once_in_order() {
        let mut sink_changes = SinkChanges::default();
        let changes = sink_changes.get_mut::<BuilderChanges<String>>();
        changes.push(|text| text + "b");
        changes.push(|text| text + "c");
        let changes = sink_changes.get::<BuilderChanges<String>>();
        assert!(!changes.is_empty());
        assert_eq!(changes.apply("a".to_owned()), "abc");
        assert_eq!(changes.apply("a".to_owned()), "a");
        assert!(sink_changes.get::<BuilderChanges<u8>>().is_empty());
    }
}
