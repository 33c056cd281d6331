//! Methods that wrap any layer: `layer.with_levels(…)`.

use std::sync::Arc;

use crate::{LevelFiltered, Redact, Redacted, SinkFilter, TargetLevels, WithoutCaptured};

/// Wraps any [`Layer`](tracing_subscriber::Layer) in a wrapper, which decides what its inner layer
/// receives. A wrapper never affects other layers.
///
/// Every type has these methods, because a bound on `Layer<S>` would need the type `S` of the
/// subscriber. If the wrapped type is not a layer, the wrapper is not a layer either.
pub trait LayerExt: Sized {
    /// Forwards only the events that `levels` enables. All spans are forwarded, because they carry
    /// the context. If `levels` has no level for a target, all enabled events of the target are
    /// forwarded. Two kinds of events are forwarded at every level: the summaries of a sampler, and
    /// the headers that a recorder writes before buffered lines.
    ///
    /// Call it before `with_filter`: `layer.with_levels(…).with_filter(…)`. A filter inside this
    /// wrapper would decide about events that it then does not receive.
    ///
    /// ```
    /// use spanwise_core::LayerExt;
    /// use tracing_subscriber::prelude::*;
    ///
    /// let errors = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    /// let stack = tracing_subscriber::registry().with(errors.with_levels("error,shop::payments=warn".parse()?));
    /// # drop(stack);
    /// # Ok::<(), spanwise_core::ParseError>(())
    /// ```
    fn with_levels(self, levels: TargetLevels) -> LevelFiltered<Self> {
        LevelFiltered::new(self, levels)
    }

    /// Hides the events that are enabled only because of
    /// [`LevelLayer::capture`](crate::LevelLayer::capture). Pass the
    /// [`LevelHandle`](crate::LevelHandle) of that layer.
    ///
    /// Call it before `with_filter`, like [`with_levels`](Self::with_levels).
    fn without_captured(self, sink_filter: impl Into<SinkFilter>) -> WithoutCaptured<Self> {
        WithoutCaptured::new(self, sink_filter.into())
    }

    /// Redacts everything that this layer receives: fields of events and spans, the message, fields
    /// recorded later, the output of `Display` and `Debug`, errors and their causes. [`Redacted`]
    /// describes the values that the layer receives instead.
    ///
    /// ```
    /// use std::{borrow::Cow, sync::Arc};
    /// use spanwise_core::{KeyVerdict, LayerExt, Redact};
    /// use tracing_subscriber::prelude::*;
    ///
    /// #[derive(Debug)]
    /// struct NoPasswords;
    ///
    /// impl Redact for NoPasswords {
    ///     fn key(&self, key: &str) -> KeyVerdict {
    ///         if key == "password" { KeyVerdict::Redact } else { KeyVerdict::Pass }
    ///     }
    ///     fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
    ///         if text.contains("hunter2") { text.replace("hunter2", "***").into() } else { text.into() }
    ///     }
    /// }
    ///
    /// # use std::{io, sync::Mutex};
    /// # #[derive(Clone, Default)]
    /// # struct Lines(Arc<Mutex<Vec<u8>>>);
    /// # impl io::Write for Lines {
    /// #     fn write(&mut self, line: &[u8]) -> io::Result<usize> { self.0.lock().unwrap().write(line) }
    /// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
    /// # }
    /// # let lines = Lines::default();
    /// # let writer = lines.clone();
    /// let fmt = tracing_subscriber::fmt::layer().without_time().with_ansi(false);
    /// # let fmt = fmt.with_target(false).with_writer(move || writer.clone());
    /// let stack = tracing_subscriber::registry().with(fmt.redacted(Arc::new(NoPasswords)));
    /// tracing::subscriber::with_default(stack, || {
    ///     let _login = tracing::info_span!("login", password = 1234).entered();
    ///     tracing::warn!(tried = ?vec!["hunter2"], attempts = 3, "not hunter2's account");
    /// });
    /// # let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    /// assert_eq!(
    ///     lines,
    ///     " WARN login{password=\"[REDACTED]\"}: not ***'s account tried=[\"***\"] attempts=3\n"
    /// );
    /// ```
    ///
    /// # Beside another `fmt` layer
    ///
    /// Two `fmt` layers whose field formatters have the same type share the formatted fields of
    /// spans. So the redacted layer would print unredacted fields that the other layer formatted.
    /// Give the redacted layer a formatter of another type,
    /// [`UnsharedFields`](crate::UnsharedFields):
    /// `fmt.map_fmt_fields(UnsharedFields::new).redacted(…)`.
    ///
    /// A redacted layer that shares its formatted fields is disabled when the stack is complete,
    /// and a [`Fault::Setup`](crate::Fault::Setup) is reported. This check does not detect
    /// shared fields of the formatters of `json()` and `pretty()`, and of your own formatters.
    ///
    /// # Order
    ///
    /// The order of `redacted` and `with_filter` is free. In `layer.redacted(…).with_filter(…)` the
    /// filter sees the original values, and in `layer.with_filter(…).redacted(…)` the redacted
    /// ones.
    ///
    /// # Cost
    ///
    /// The verdicts on keys are cached per callsite. An event with only numbers, booleans and
    /// strings without secrets is forwarded unchanged. All other events, including each event with
    /// a message, are copied into reused memory. `Debug` and `Display` run once, and the inner
    /// layer receives the scanned text. Only replaced texts, errors and callsites with more than 32
    /// fields allocate.
    fn redacted(self, policy: Arc<dyn Redact>) -> Redacted<Self> {
        Redacted::new(self, policy)
    }
}

impl<L> LayerExt for L {}
