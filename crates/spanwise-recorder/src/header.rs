//! The header of a dump: the event that is written before the buffered events of a unit of work.

use spanwise_core::internal::LineDisposition;
use tracing::{Event, Value};
use tracing_core::{
    Kind, Level, Metadata, callsite::DefaultCallsite, field::FieldSet, metadata, span::Id,
};

use crate::trigger::Trigger;

static CALLSITE: DefaultCallsite = DefaultCallsite::new(&HEADER);

static HEADER: Metadata<'static> = metadata! {
    name: "flight recorder",
    target: LineDisposition::HEADER_TARGET,
    level: Level::INFO,
    fields: &["message", "reason", "records", "evicted"],
    callsite: &CALLSITE,
    kind: Kind::EVENT
};

/// Calls `forward` with the header of a dump.
///
/// `span` is the span that begins the unit. It becomes the parent of the header. It is `None` for
/// the unit of events outside spans. `records` is the number of buffered records. `evicted` is the
/// number of records that the unit has dropped since its last dump, including those that were too
/// long.
pub(crate) fn with_header(
    span: Option<Id>,
    trigger: Trigger,
    records: u64,
    evicted: u64,
    forward: impl FnOnce(&Event<'_>),
) {
    let fields: &FieldSet = HEADER.fields();
    let message = match &span {
        Some(_) => "flight recorder: buffered events of this request follow",
        None => "flight recorder: buffered events outside of requests follow",
    };
    let values: [Option<&dyn Value>; 4] = [
        Some(&message),
        Some(&trigger.name()),
        Some(&records),
        Some(&evicted),
    ];
    let values = fields.value_set_all(&values);
    forward(&Event::new_child_of(span, &HEADER, &values));
}
