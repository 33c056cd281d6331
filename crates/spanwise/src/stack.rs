//! The stack of layers.
//!
//! Each layer is inside the wrappers that it needs, such as redaction and the sampler, in the
//! correct order. A wrapper is a layer that decides which events and values its inner layer gets.

use std::{fmt, mem, sync::Arc};

use spanwise_core::{
    ContextLayer, LayerExt as _, Layers, LevelHandle, LevelLayer, Levels, Redact, SinkFilter,
    TargetLevels,
};
use spanwise_json::JsonLayer;
use spanwise_recorder::{Recorder, RecorderLine, RecorderWriter};
use spanwise_sample::{SampleExt as _, Sampler};
use tracing::{Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry,
    fmt::{MakeWriter, writer::EitherWriter},
    layer::SubscriberExt as _,
    registry::LookupSpan,
};

use crate::router::{GateBits, RouteGate, Routed, Router};

/// Builds a subscriber from layers, and adds the wrappers that each layer needs.
///
/// Use it if [`Builder`](crate::Builder) does not fit, for example for your own subscriber, or
/// without the settings of the environment. The layers keep the order of the calls that add them.
/// The order of all other calls does not matter.
///
/// | | redacted | sampled | buffered by the recorder |
/// | --- | --- | --- | --- |
/// | [`json`](Self::json), [`lines`](Self::lines) | yes | yes | yes |
/// | [`layer`](Self::layer) | yes | no | no |
/// | [`layer_unredacted`](Self::layer_unredacted) | no | no | no |
///
/// ```
/// use std::sync::Arc;
///
/// use spanwise::{Stack, layer::JsonLayer, record::Recorder, redact::Policy};
/// use tracing_subscriber::util::SubscriberInitExt;
///
/// let stack = Stack::new("info".parse::<spanwise::layer::Levels>()?)
///     .redact(Arc::new(Policy::secrets()))
///     .recorder(Recorder::default())
///     .json(std::io::stderr, JsonLayer::new())
///     .lines(std::io::sink, |writer| tracing_subscriber::fmt::layer().with_writer(writer));
/// let levels = stack.handle();
/// let _default = stack.build().set_default();
/// tracing::info!(password = "hunter2", "logged in"); // "password":"[REDACTED]"
/// levels.set_levels("debug")?;
/// # Ok::<(), spanwise::ParseError>(())
/// ```
#[must_use = "it is not a subscriber until `build` is called"]
pub struct Stack {
    levels: LevelLayer,
    context: ContextLayer,
    policy: Option<Arc<dyn Redact>>,
    sampler: Option<Sampler>,
    recorder: Option<Recorder>,
    /// Layers that run first, because other layers read their data.
    first: Vec<AddLayer>,
    layers: Vec<AddLayer>,
    /// Adds the layer around the layers of sinks: a [`Routed`], or the `LiveLayers` whose content a
    /// reload replaces.
    routed: Option<AddLayer>,
    /// Layers that count events. They come before the layers of sinks.
    #[cfg(feature = "otel")]
    metrics: Vec<AddLayer>,
    /// The [router bit](crate::router) of the sink whose layers are being added. 0 if the layers
    /// are not those of a sink, or if the stack has no router.
    route_bits: u64,
}

/// Adds layers, in their wrappers, when the stack is built.
type AddLayer = Box<dyn FnOnce(&mut Layers<Registry>, &Wrappers) + Send + Sync>;

/// A layer inside wrappers. It is boxed, so that each wrapper is compiled once, and not for each
/// type of layer and each combination of wrappers.
type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// The options of the wrappers around a layer that writes lines. They decide which events the layer
/// gets, and how these events are redacted.
#[derive(Debug, Clone)]
pub(crate) struct LineSink {
    /// The most verbose level of the lines.
    pub(crate) level: LevelFilter,
    /// The [router bits](crate::router) of the sinks whose lines the layer writes. 0 without a
    /// router.
    pub(crate) route_bits: GateBits,
    /// The sampler. `None` means the sampler of the stack, and `Some(None)` no sampler.
    pub(crate) sampler: Option<Option<Sampler>>,
    /// Whether the recorder of the stack buffers lines for the layer.
    pub(crate) is_recorded: bool,
    /// The policy. `None` means the policy of the stack, and `Some(None)` no redaction.
    pub(crate) policy: Option<Option<Arc<dyn Redact>>>,
    /// Whether a reload adds the layer, so that some spans may be older than the layer.
    pub(crate) is_late: bool,
}

impl Default for LineSink {
    fn default() -> Self {
        Self {
            level: LevelFilter::TRACE,
            route_bits: GateBits::default(),
            sampler: None,
            is_recorded: true,
            policy: None,
            is_late: false,
        }
    }
}

/// The parts of a stack from which it makes the wrappers around its layers.
#[derive(Clone)]
pub(crate) struct Wrappers {
    policy: Option<Arc<dyn Redact>>,
    sampler: Option<Sampler>,
    /// The recorder, and the filter that selects the events to show. Other events are enabled only
    /// for the recorder.
    recorder: Option<(Recorder, SinkFilter)>,
}

impl Stack {
    /// Creates a stack that enables events of these levels, without layers.
    pub fn new(levels: impl Into<Levels>) -> Self {
        Self {
            levels: LevelLayer::new(levels.into()),
            context: ContextLayer::default(),
            policy: None,
            sampler: None,
            recorder: None,
            first: Vec::new(),
            layers: Vec::new(),
            routed: None,
            #[cfg(feature = "otel")]
            metrics: Vec::new(),
            route_bits: 0,
        }
    }

    /// Sets the levels of spans. Defaults to INFO, or to the level of events if that is more
    /// verbose. Only the first call has an effect.
    pub fn span_levels(mut self, levels: impl Into<TargetLevels>) -> Self {
        self.levels = self.levels.span_levels(levels);
        self
    }

    /// Adds a span field that belongs to the [`Context`](crate::context::Context).
    pub fn context_key(mut self, key: impl Into<String>) -> Self {
        self.context = self.context.key(key);
        self
    }

    /// Sets the policy that redacts the context and every layer. Defaults to none.
    pub fn redact(mut self, policy: Arc<dyn Redact>) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Sets the sampler of the lines. Defaults to none.
    pub fn sampler(mut self, sampler: Sampler) -> Self {
        self.sampler = Some(sampler);
        self
    }

    /// Sets the flight recorder of the lines. Defaults to none.
    pub fn recorder(mut self, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// Adds an output of JSON lines. Lines go to `writer`, in place of the writer of `layer`.
    pub fn json<W, W2>(self, writer: W, layer: JsonLayer<W2>) -> Self
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
        W2: Send + Sync + 'static,
    {
        self.json_at(LineSink::default(), writer, layer)
    }

    /// Adds an output of lines. The function `layer` is passed a writer and creates the layer.
    ///
    /// The layer must write the line of each event to this writer, and must not drop events.
    pub fn lines<W, L>(
        self,
        writer: W,
        layer: impl FnOnce(LineWriter<W>) -> L + Send + Sync + 'static,
    ) -> Self
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
        L: Layer<Registry> + Send + Sync,
    {
        self.lines_at(LineSink::default(), writer, layer)
    }

    /// Adds a layer of any kind.
    pub fn layer(self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        let layer: BoxedLayer = Box::new(layer);
        let bits = self.route_bits;
        self.add(Box::new(move |layers, wrappers| match &wrappers.policy {
            Some(policy) => {
                wrappers.push_routed(layers, layer.redacted(Arc::clone(policy)), bits);
            }
            None => wrappers.push_routed(layers, layer, bits),
        }))
    }

    /// Adds a layer that receives unredacted values. Use it for a layer that redacts itself, or
    /// shows no values.
    pub fn layer_unredacted(self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        let layer: BoxedLayer = Box::new(layer);
        let bits = self.route_bits;
        self.add(Box::new(move |layers, wrappers| {
            wrappers.push_routed(layers, layer, bits);
        }))
    }

    /// Returns the handle that changes the levels.
    #[must_use]
    pub fn handle(&self) -> LevelHandle {
        self.levels.handle()
    }

    /// Builds the subscriber.
    #[must_use = "it logs nothing until it is set as the default"]
    pub fn build(self) -> impl Subscriber + for<'s> LookupSpan<'s> + Send + Sync {
        let wrappers = self.wrappers();
        let levels = match &self.recorder {
            Some(recorder) => self.levels.capture(recorder.levels()),
            None => self.levels,
        };
        let context = match &self.policy {
            Some(policy) => self.context.redact(Arc::clone(policy)),
            None => self.context,
        };
        let mut layers = Layers::<Registry>::default();
        for add in self.first {
            add(&mut layers, &wrappers);
        }
        layers.push(context);
        #[cfg(feature = "otel")]
        for add in self.metrics {
            add(&mut layers, &wrappers);
        }
        for add in self.routed.into_iter().chain(self.layers) {
            add(&mut layers, &wrappers);
        }
        Registry::default().with(layers).with(levels)
    }

    /// Calls `add`, which adds the layers of sinks, and wraps these layers in a [`Routed`] with
    /// `router`.
    pub(crate) fn with_router(self, router: Arc<Router>, add: impl FnOnce(Self) -> Self) -> Self {
        let (stack, sinks) = self.collect(add);
        stack.with_routed(move |wrappers| {
            Routed::new(sinks.wrapped(wrappers), router, wrappers.shown_filter())
        })
    }

    /// Sets the layer around the layers of sinks. `make` creates this layer.
    pub(crate) fn with_routed<L: Layer<Registry> + Send + Sync>(
        mut self,
        make: impl FnOnce(&Wrappers) -> L + Send + Sync + 'static,
    ) -> Self {
        self.routed = Some(Box::new(|layers, wrappers| layers.push(make(wrappers))));
        self
    }

    /// Calls `add`. Returns the layers that `add` has added, and removes them from the stack.
    pub(crate) fn collect(mut self, add: impl FnOnce(Self) -> Self) -> (Self, CollectedLayers) {
        let layers_before = mem::take(&mut self.layers);
        self = add(self);
        let collected = mem::replace(&mut self.layers, layers_before);
        (self, CollectedLayers(collected))
    }

    /// Returns the parts that make the wrappers of the layers.
    pub(crate) fn wrappers(&self) -> Wrappers {
        let filter = || SinkFilter::from(self.handle());
        Wrappers {
            policy: self.policy.clone(),
            sampler: self.sampler.clone(),
            recorder: self.recorder.clone().map(|recorder| (recorder, filter())),
        }
    }

    /// Calls `add` to add the layers of the sink with these router bits.
    pub(crate) fn for_routes(mut self, bits: u64, add: impl FnOnce(Self) -> Self) -> Self {
        self.route_bits = bits;
        self = add(self);
        self.route_bits = 0;
        self
    }

    /// Adds an output of JSON lines with the wrappers of `sink`.
    pub(crate) fn json_at<W, W2>(self, sink: LineSink, writer: W, layer: JsonLayer<W2>) -> Self
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
        W2: Send + Sync + 'static,
    {
        self.add(Box::new(move |layers, wrappers| {
            let layer = match (sink.is_late, &sink.policy) {
                (false, _) => layer,
                (true, Some(_)) => layer.late(),
                // The layer has the policy of the stack, and that policy has already redacted the
                // context.
                (true, None) => layer.late().has_redacted_context(),
            };
            let layer = match wrappers.policy_of(&sink) {
                Some(policy) => layer.redact(policy),
                None => layer,
            };
            wrappers.push_lines(layers, &sink, writer, |writer| layer.with_writer(writer));
        }))
    }

    /// Adds a layer that counts all events, even those without a route.
    #[cfg(feature = "otel")]
    pub(crate) fn metrics(mut self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        let layer: BoxedLayer = Box::new(layer);
        let add: AddLayer = Box::new(|layers, wrappers| wrappers.push(layers, layer));
        self.metrics.push(add);
        self
    }

    /// Adds a layer in front of all others, such as a layer that gives each span its ids. The layer
    /// must redact itself.
    #[cfg(feature = "otel")]
    pub(crate) fn first(mut self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        let layer: BoxedLayer = Box::new(layer);
        let add: AddLayer = Box::new(|layers, wrappers| wrappers.push(layers, layer));
        self.first.push(add);
        self
    }

    /// Adds an output of lines whose layer redacts itself.
    #[cfg(feature = "otel")]
    pub(crate) fn redacting_lines<W, L>(
        self,
        writer: W,
        layer: impl FnOnce(LineWriter<W>) -> L + Send + Sync + 'static,
    ) -> Self
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
        L: Layer<Registry> + Send + Sync,
    {
        let sink = LineSink {
            route_bits: Arc::new(self.route_bits.into()),
            ..LineSink::default()
        };
        self.add(Box::new(move |layers, wrappers| {
            wrappers.push_lines(layers, &sink, writer, layer);
        }))
    }

    /// Adds an output of lines with the wrappers of `sink`.
    pub(crate) fn lines_at<W, L>(
        self,
        sink: LineSink,
        writer: W,
        layer: impl FnOnce(LineWriter<W>) -> L + Send + Sync + 'static,
    ) -> Self
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
        L: Layer<Registry> + Send + Sync,
    {
        self.add(Box::new(move |layers, wrappers| {
            let policy = wrappers.policy_of(&sink);
            wrappers.push_lines(layers, &sink, writer, |writer| {
                redacted_lines(Box::new(layer(writer)), policy)
            });
        }))
    }

    /// Adds a function that adds a layer when the stack is built.
    fn add(mut self, add: AddLayer) -> Self {
        self.layers.push(add);
        self
    }
}

/// The layers of [`Stack::collect`], before they have wrappers.
pub(crate) struct CollectedLayers(Vec<AddLayer>);

impl CollectedLayers {
    /// Returns the layers in their wrappers.
    pub(crate) fn wrapped(self, wrappers: &Wrappers) -> Layers<Registry> {
        let mut layers = Layers::default();
        for add in self.0 {
            add(&mut layers, wrappers);
        }
        layers
    }
}

impl Wrappers {
    /// Returns the filter that selects the events to show. `None` without a recorder, because all
    /// enabled events are shown then.
    pub(crate) fn shown_filter(&self) -> Option<SinkFilter> {
        self.recorder.as_ref().map(|(_, shown)| shown.clone())
    }

    /// Returns the sampler of the stack.
    #[cfg(feature = "config")]
    pub(crate) fn sampler(&self) -> Option<&Sampler> {
        self.sampler.as_ref()
    }

    /// Returns the policy of a sink: its own, or else that of the stack.
    fn policy_of(&self, sink: &LineSink) -> Option<Arc<dyn Redact>> {
        sink.policy.clone().unwrap_or_else(|| self.policy.clone())
    }

    /// Adds a layer, and hides from it the events that are enabled only for the recorder.
    fn push<L>(&self, layers: &mut Layers<Registry>, layer: L)
    where
        L: Layer<Registry> + Send + Sync,
    {
        match &self.recorder {
            Some((_, shown)) => layers.push(layer.without_captured(shown.clone())),
            None => layers.push(layer),
        }
    }

    /// Like [`push`](Self::push). Also hides events without a route to the sinks with these router
    /// bits. With 0 bits, the layer belongs to no sink.
    fn push_routed<L>(&self, layers: &mut Layers<Registry>, layer: L, bits: u64)
    where
        L: Layer<Registry> + Send + Sync,
    {
        match bits {
            0 => self.push(layers, layer),
            bits => self.push(layers, RouteGate::new(layer, Arc::new(bits.into()))),
        }
    }

    /// Adds a redacted layer of lines, with its wrappers. An event passes the recorder first, then
    /// the gate of the sink's routes and the levels, and the sampler last. In this order, the
    /// sampler does not drop events that the recorder buffers, and does not count events that are
    /// not shown. If at least one sink gets an ERROR, the ERROR triggers a dump in each sink, even
    /// in sinks to which it has no route.
    fn push_lines<W, L>(
        &self,
        layers: &mut Layers<Registry>,
        sink: &LineSink,
        writer: W,
        layer: impl FnOnce(LineWriter<W>) -> L,
    ) where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
        L: Layer<Registry> + Send + Sync,
    {
        if let Some((recorder, shown)) = self.recorder_of(sink) {
            return layers.push(recorder.sink(writer, shown, |writer| {
                let layer = layer(LineWriter(WriterKind::Recorded(writer)));
                self.gated(sink, Box::new(layer))
            }));
        }
        let layer = layer(LineWriter(WriterKind::Plain(writer)));
        if self.sampler_of(sink).is_none() && sink.level_limit().is_none() {
            // The most common case. Without the box, an event needs two virtual calls fewer.
            let bits = Arc::clone(&sink.route_bits);
            return self.push(layers, RouteGate::new(layer, bits));
        }
        self.push(layers, self.gated(sink, Box::new(layer)));
    }

    /// Returns the sampler of a sink: its own, or else that of the stack.
    fn sampler_of(&self, sink: &LineSink) -> Option<Sampler> {
        sink.sampler.clone().unwrap_or_else(|| self.sampler.clone())
    }

    /// Returns the recorder that buffers lines for a sink, and the filter that selects the events
    /// that the sink shows.
    fn recorder_of(&self, sink: &LineSink) -> Option<(&Recorder, SinkFilter)> {
        let (recorder, shown) = self.recorder.as_ref().filter(|_| sink.is_recorded)?;
        match sink.level_limit() {
            None => Some((recorder, shown.clone())),
            // The recorder never buffers an ERROR, so an output for ERROR alone needs no recorder.
            // An output for WARN needs one, because `Handle::set_levels` may hide WARN.
            Some(LevelFilter::OFF | LevelFilter::ERROR) => None,
            Some(level) => Some((recorder, shown.clone().with_levels(level.into()))),
        }
    }

    /// Returns the layer inside the sampler, the level filter and the gate of a sink. The caller
    /// wraps them in the recorder, so that they also apply to the buffered lines.
    fn gated(&self, sink: &LineSink, mut layer: BoxedLayer) -> RouteGate<BoxedLayer> {
        if let Some(sampler) = self.sampler_of(sink) {
            layer = Box::new(layer.sampled(sampler));
        }
        if let Some(level) = sink.level_limit() {
            layer = Box::new(layer.with_levels(level.into()));
        }
        RouteGate::new(layer, Arc::clone(&sink.route_bits))
    }
}

impl LineSink {
    /// Returns the most verbose level of the lines. `None` if lines have all levels.
    fn level_limit(&self) -> Option<LevelFilter> {
        (self.level < LevelFilter::TRACE).then_some(self.level)
    }
}

/// Redacts the events and spans that a layer of lines gets, if there is a policy.
fn redacted_lines(layer: BoxedLayer, policy: Option<Arc<dyn Redact>>) -> BoxedLayer {
    match policy {
        Some(policy) => Box::new(layer.redacted(policy).wants_every_event()),
        None => layer,
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}

/// The writer of a layer in [`Stack::lines`]: the output, or a flight recorder in front of the
/// output.
#[derive(Debug)]
pub struct LineWriter<W>(WriterKind<W>);

#[derive(Debug)]
enum WriterKind<W> {
    Plain(W),
    Recorded(RecorderWriter<W>),
}

impl<'a, W> MakeWriter<'a> for LineWriter<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    type Writer = EitherWriter<<W as MakeWriter<'a>>::Writer, RecorderLine<'a, W>>;

    #[inline]
    fn make_writer(&'a self) -> Self::Writer {
        match &self.0 {
            WriterKind::Plain(writer) => EitherWriter::A(writer.make_writer()),
            WriterKind::Recorded(writer) => EitherWriter::B(writer.make_writer()),
        }
    }

    #[inline]
    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        match &self.0 {
            WriterKind::Plain(writer) => EitherWriter::A(writer.make_writer_for(metadata)),
            WriterKind::Recorded(writer) => EitherWriter::B(writer.make_writer_for(metadata)),
        }
    }
}

#[cfg(test)]
mod tests {
    use spanwise_core::internal::SinkMask;
    use spanwise_testing::support::Lines;

    use super::*;

    /// A unit test, because only a sink of this crate can have routes.
    #[test]
    fn layers_of_a_sink_see_only_its_events() {
        type AddJson = fn(Stack, JsonLayer<Lines>) -> Stack;
        let adds: [AddJson; 2] = [Stack::layer, Stack::layer_unredacted];
        for add in adds {
            let lines = Lines::default();
            let layer = JsonLayer::new().with_writer(lines.clone());
            let stack = Stack::new(LevelFilter::INFO).for_routes(1, |stack| add(stack, layer));
            tracing::subscriber::with_default(stack.build(), || {
                SinkMask::from_bits(1).scope(|| tracing::info!("for the sink"));
                SinkMask::from_bits(2).scope(|| tracing::info!("for another sink"));
            });
            let lines = lines.objects();
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert_eq!(lines[0]["message"], "for the sink");
        }
    }
}
