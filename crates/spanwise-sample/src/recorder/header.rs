//! The line before the lines that were kept.

use tracing::{Event, Value};
use tracing_core::{
    Kind, Level, Metadata, callsite::DefaultCallsite, field::FieldSet, metadata, span::Id,
};

use super::trigger::Trigger;

static CALLSITE: DefaultCallsite = DefaultCallsite::new(&HEADER);

static HEADER: Metadata<'static> = metadata! {
    name: "flight recorder",
    target: "spanwise::recorder",
    level: Level::INFO,
    fields: &["message", "reason", "records", "evicted"],
    callsite: &CALLSITE,
    kind: Kind::EVENT
};

/// Calls `forward` with the header of a unit, in the unit's span.
pub(crate) fn with(
    span: Option<Id>,
    reason: Trigger,
    records: u64,
    evicted: u64,
    forward: impl FnOnce(&Event<'_>),
) {
    let fields: &FieldSet = HEADER.fields();
    let [Some(message), Some(why), Some(kept), Some(left)] =
        ["message", "reason", "records", "evicted"].map(|name| fields.field(name))
    else {
        // They stand above.
        return;
    };
    let text = match &span {
        Some(_) => "what was kept of a unit of work follows",
        None => "what was kept outside of any unit of work follows",
    };
    let values: [(_, Option<&dyn Value>); 4] = [
        (&message, Some(&text)),
        (&why, Some(&reason.name())),
        (&kept, Some(&records)),
        (&left, Some(&evicted)),
    ];
    let values = fields.value_set(&values);
    forward(&Event::new_child_of(span, &HEADER, &values));
}
