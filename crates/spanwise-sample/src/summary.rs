//! Summaries: the events that report suppressed events to a sink.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use tracing::Event;
use tracing_core::{
    Kind, Level, Metadata,
    callsite::{DefaultCallsite, Identifier},
    field::{FieldSet, Value, display},
    span::Id,
};

/// The suppressed events of one callsite.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) callsite: &'static Metadata<'static>,
    pub(crate) suppressed: u64,
    pub(crate) first: SystemTime,
    pub(crate) last: SystemTime,
}

const MESSAGE: &str = "events suppressed";
const TARGET: &str = "spanwise::sampler";
const FIELDS: &[&str] = &[
    "message",
    "suppressed",
    "suppressed_target",
    "callsite",
    "first",
    "last",
];

impl Summary {
    /// Calls `forward` with the event. It is in no span: the current one has nothing to do with it.
    pub(crate) fn with_event<R>(&self, forward: impl FnOnce(&Event<'_>) -> R) -> R {
        let metadata = summary_metadata(*self.callsite.level());
        let (place, first, last) = (
            display(Place(self.callsite)),
            display(Rfc3339(self.first)),
            display(Rfc3339(self.last)),
        );
        let values: [Option<&dyn Value>; FIELDS.len()] = [
            Some(&MESSAGE),
            Some(&self.suppressed),
            Some(&self.callsite.target()),
            Some(&place),
            Some(&first),
            Some(&last),
        ];
        let values = metadata.fields().value_set_all(&values);
        forward(&Event::new_child_of(None::<Id>, metadata, &values))
    }
}

/// Returns whether it is the callsite of a summary.
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

/// Displays where a callsite is: its file and line, else its name.
pub(crate) struct Place<'a>(pub(crate) &'a Metadata<'a>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.file(), self.0.line()) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}"),
            _ => f.write_str(self.0.name()),
        }
    }
}

struct Rfc3339(SystemTime);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing was logged before 1970.
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = civil_date(days);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
            second / 3600,
            second / 60 % 60,
            second % 60,
            since.subsec_micros()
        )
    }
}

/// Returns the date that is a number of days after 1970-01-01. Years begin in March, so that the
/// leap day is the last one, and are counted in eras of 400 years.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000001Z"),
            (951_782_400, "2000-02-29T00:00:00.000001Z"),
            (1_795_275_906, "2026-11-21T15:45:06.000001Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000001Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000001Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(1);
            assert_eq!(Rfc3339(time).to_string(), text);
        }
    }
}
