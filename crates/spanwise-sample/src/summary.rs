//! Summaries: the events that report suppressed events to a sink.

use std::{fmt, time::SystemTime};

use spanwise_core::internal::{DispatchedSummary, rfc3339::Utc};
use tracing::Event;
use tracing_core::{
    Kind, Level, Metadata,
    callsite::{DefaultCallsite, Identifier},
    field::{FieldSet, Value, display},
    span::Id,
};

/// A report of the suppressed events of one callsite that no earlier summary has reported, and that
/// no kept event represents.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) callsite: &'static Metadata<'static>,
    /// The number of suppressed events.
    pub(crate) suppressed: u64,
    /// The time of the first suppressed event.
    pub(crate) first: SystemTime,
    /// The time of the last suppressed event.
    pub(crate) last: SystemTime,
}

const MESSAGE: &str = "events suppressed";
const TARGET: &str = DispatchedSummary::TARGET;
#[rustfmt::skip]
const FIELDS: &[&str] = &[
    "message", "suppressed", "suppressed_target", "callsite", "first", "last",
];

impl Summary {
    /// Calls `forward` with the summary as an event. The event has no parent, because the current
    /// span is unrelated to it.
    pub(crate) fn with_event<R>(&self, forward: impl FnOnce(&Event<'_>) -> R) -> R {
        let metadata = summary_metadata(*self.callsite.level());
        let (location, first, last) = (
            display(CallsiteLocation(self.callsite)),
            display(Utc(self.first)),
            display(Utc(self.last)),
        );
        let values: [Option<&dyn Value>; FIELDS.len()] = [
            Some(&MESSAGE),
            Some(&self.suppressed),
            Some(&self.callsite.target()),
            Some(&location),
            Some(&first),
            Some(&last),
        ];
        let values = metadata.fields().value_set_all(&values);
        forward(&Event::new_child_of(None::<Id>, metadata, &values))
    }
}

/// Returns whether `callsite` is the callsite of a summary.
pub(crate) fn is_summary(callsite: &Metadata<'_>) -> bool {
    callsite.name() == MESSAGE && callsite.target() == TARGET
}

/// Returns the callsite for summaries of events at `level`.
fn summary_metadata(level: Level) -> &'static Metadata<'static> {
    macro_rules! metadata {
        ($level:expr) => {{
            static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
            static METADATA: Metadata<'static> = Metadata::new(
                MESSAGE,
                TARGET,
                $level,
                None,
                None,
                None,
                FieldSet::new(FIELDS, Identifier(&CALLSITE)),
                Kind::EVENT,
            );
            &METADATA
        }};
    }
    match level {
        Level::ERROR => metadata!(Level::ERROR),
        Level::WARN => metadata!(Level::WARN),
        Level::INFO => metadata!(Level::INFO),
        Level::DEBUG => metadata!(Level::DEBUG),
        Level::TRACE => metadata!(Level::TRACE),
    }
}

/// Displays the location of a callsite: file and line, or else its name.
pub(crate) struct CallsiteLocation<'a>(pub(crate) &'a Metadata<'a>);

impl fmt::Display for CallsiteLocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.file(), self.0.line()) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}"),
            _ => f.write_str(self.0.name()),
        }
    }
}
