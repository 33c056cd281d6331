//! What a sink is told about events that it did not get.

use std::{
    cell::Cell,
    fmt, ptr,
    sync::{LazyLock, Mutex, OnceLock, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use spanwise_core::{CallsitePlans, EventContext};
use tracing::{Dispatch, Event, dispatcher};
use tracing_core::{
    Callsite, Interest, Kind, Metadata,
    callsite::Identifier,
    field::{FieldSet, Value, display},
    span::Id,
};

use crate::{owner::Owner, suppression::SinkState};

/// Events of one callsite that were held back.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) callsite: &'static Metadata<'static>,
    pub(crate) suppressed: u64,
    pub(crate) first: SystemTime,
    pub(crate) last: SystemTime,
    /// Whose they are, if they are of one.
    pub(crate) owner: Option<Owner>,
}

/// A static: each use of a constant may be at another address, and its address is what a summary is known by.
static MESSAGE: &str = "events suppressed";
const FIELDS: [&str; 5] = ["message", "suppressed", "callsite", "first", "last"];

impl Summary {
    /// Calls `forward` with the event that says it. It belongs to no span: those that are open when it is told have nothing to do with it.
    pub(crate) fn with_event<R>(&self, forward: impl FnOnce(&Event<'_>) -> R) -> R {
        // A field of a name that is taken would be there twice.
        let owner = self
            .owner
            .as_ref()
            .filter(|owner| !FIELDS.contains(&owner.key));
        let metadata = Told::about(self.callsite, owner.map(|owner| owner.key));
        let (place, first, last) = (
            display(Place(self.callsite)),
            display(Rfc3339(self.first)),
            display(Rfc3339(self.last)),
        );
        let value = owner.map(|owner| owner.value.as_value());
        let values: [Option<&dyn Value>; 6] = [
            Some(&MESSAGE),
            Some(&self.suppressed),
            Some(&place),
            Some(&first),
            Some(&last),
            value,
        ];
        let values = metadata
            .fields()
            .value_set_all(&values[..metadata.fields().len()]);
        forward(&Event::new_child_of(None::<Id>, metadata, &values))
    }
}

/// Whether it is the callsite of a summary.
pub(crate) fn is_summary(callsite: &Metadata<'_>) -> bool {
    ptr::eq(callsite.name(), MESSAGE)
}

/// The callsite of the summaries about another callsite. It has that one's level, target, file and line: what lets those events through, lets their
/// summary through. One for each callsite that ever had a summary, and each key of a rate there, for ever, as callsites are.
struct Told {
    metadata: OnceLock<Metadata<'static>>,
}

/// About one callsite: by the name of the field that says whose events they are.
type About = Mutex<Vec<(Option<&'static str>, &'static Metadata<'static>)>>;

impl Told {
    fn about(
        callsite: &'static Metadata<'static>,
        key: Option<&'static str>,
    ) -> &'static Metadata<'static> {
        static ALL: LazyLock<CallsitePlans<About>> = LazyLock::new(CallsitePlans::default);
        let about = ALL.get(callsite, |_| About::default());
        let mut about = about.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = about.iter().find(|(known, _)| *known == key) {
            return known;
        }
        let told: &'static Self = Box::leak(Box::new(Self {
            metadata: OnceLock::new(),
        }));
        let fields: &'static [&'static str] = match key {
            None => &FIELDS,
            Some(key) => Box::leak(FIELDS.into_iter().chain([key]).collect()),
        };
        let metadata = told.metadata.get_or_init(|| {
            Metadata::new(
                MESSAGE,
                callsite.target(),
                *callsite.level(),
                callsite.file(),
                callsite.line(),
                callsite.module_path(),
                FieldSet::new(fields, Identifier(told)),
                Kind::EVENT,
            )
        });
        about.push((key, metadata));
        metadata
    }
}

impl Callsite for Told {
    /// It is never registered: nobody caches an interest in it.
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        #[expect(
            clippy::expect_used,
            reason = "set before the field set that leads here is given out"
        )]
        self.metadata.get().expect("set when it was made")
    }
}

thread_local! {
    /// The sink that a summary is on its way to, if one is.
    static ADDRESSEE: Cell<*const SinkState> = const { Cell::new(ptr::null()) };
}

/// Sends a summary to the sink at `sink`, and to no other, through the dispatcher. False if it did not arrive.
///
/// The levels may have changed since: what stands before the sink is to let it through all the same.
///
/// Only a dispatcher can give a layer the context that it wants with an event. So the summary is dispatched as an event, and before any layer would get
/// it all are asked whether it is enabled: the one it is for takes it then, and says that it is not.
pub(crate) fn send(sink: &SinkState, dispatch: Option<&Dispatch>, summary: &Summary) -> bool {
    ADDRESSEE.set(sink);
    let dispatch = |event: &Event<'_>| match dispatch {
        Some(dispatch) => dispatch.event(event),
        None => dispatcher::get_default(|dispatch| dispatch.event(event)),
    };
    summary.with_event(|event| {
        EventContext::scope(|said| said.force_emit = true, || dispatch(event));
    });
    ADDRESSEE.replace(ptr::null()).is_null()
}

/// Whether this is the summary that was sent to `sink`; it arrives once.
#[inline]
pub(crate) fn arrives_at(sink: &SinkState, event: &Event<'_>) -> bool {
    let arrives = ptr::eq(ADDRESSEE.get(), sink) && is_summary(event.metadata());
    if arrives {
        ADDRESSEE.set(ptr::null());
    }
    arrives
}

/// Where a callsite is: its file and line, else its name.
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
        // Before 1970 nothing was logged.
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = civil(days);
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

/// The day of the calendar, so many days after 1970-01-01: years that begin in March have their leap day at the end, in eras of 400 years.
fn civil(days: u64) -> (u64, u64, u64) {
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
