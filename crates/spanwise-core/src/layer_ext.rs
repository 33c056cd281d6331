//! `layer.with_levels(…)`: wrappers as methods.

use std::sync::Arc;

use crate::{LevelFiltered, Redact, Redacted, SinkFilter, TargetLevels, WithoutCaptured};

/// Wraps any [`Layer`](tracing_subscriber::Layer), ours or not: the wrapper stands in front of it and decides what it gets to see.
///
/// A wrapper never decides for the layers beside it: it switches nothing off for anybody else.
///
/// It knows nothing of the subscriber the layer is for, so that the subscriber's type need not be spelled out; what is made of
/// something that is no layer is no layer either.
pub trait LayerExt: Sized {
    /// Lets only events of these levels through to this layer; spans all pass, since they carry the context. So do events of a
    /// target that no directive names, as far as the program's levels let them.
    ///
    /// With a filter of tracing-subscriber's, this comes first: `layer.with_levels(…).with_filter(…)`. Around a layer that has one, it keeps
    /// events from it that the filter counts on seeing.
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

    /// Keeps events from this layer that are let through only to be kept, by [`LevelLayer::capture`](crate::LevelLayer::capture): it
    /// sees what it would see without the capture. Give it the [`LevelHandle`](crate::LevelHandle).
    ///
    /// With a filter of tracing-subscriber's, this comes first, as [`leveled`](Self::with_levels) does.
    fn without_captured(self, sink_filter: impl Into<SinkFilter>) -> WithoutCaptured<Self> {
        WithoutCaptured::new(self, sink_filter.into())
    }

    /// Shows this layer nothing that `policy` hides, wherever it stands: in the fields of events and spans, in the message, in fields
    /// recorded later, in what `Display` and `Debug` write, in errors and their chain. See [`Redacted`] for what the layer sees.
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
    /// Two `fmt` layers whose field formatters have the same type share the formatted fields of spans, so that the redacted one would
    /// print what the other one was shown. Where that is seen when the stack is complete, the redacted one is switched off and a
    /// [`Fault::Setup`](crate::Fault::Setup) says so. It is not seen of `json()`, `pretty()` and formatters of your own. Give the redacted one
    /// [`PrivateFields`](crate::PrivateFields), `fmt.map_fmt_fields(PrivateFields::new).redacted(…)`, and nothing is shared.
    ///
    /// # Order
    ///
    /// With a filter of tracing-subscriber's, on either side: `layer.redacted(…).with_filter(…)` or `layer.with_filter(…).redacted(…)`;
    /// in the second case the filter sees redacted values, too.
    ///
    /// # Cost
    ///
    /// What the policy says of a key is worked out once per callsite. An event of numbers, booleans and clean strings is handed on as
    /// it is. Of others, and each message is one, a copy is made in memory that is used again: `Debug` and `Display` are called
    /// once, here, and the layer inside gets the text that was read. Only hidden texts, errors and callsites of more than 32
    /// fields allocate.
    fn redacted(self, policy: Arc<dyn Redact>) -> Redacted<Self> {
        Redacted::new(self, policy)
    }
}

impl<L> LayerExt for L {}
