//! Copies of events with another level, for routes that change the level of an event.

use tracing::Event;
use tracing_core::{Level, field::Visit};

use super::{
    plan::FieldPlan,
    rebuild::{Formatting, with_rebuilt},
};
use crate::{
    NoRedaction,
    internal::runtime_callsite::{Origin, RuntimeCallsite},
};

/// Calls `forward` with a copy of the event that has another level. The callsite of the copy has
/// the same name, target, source location and fields.
///
/// A `Debug` or `Display` of a value runs once, here. The second argument of `forward` is whether
/// the event has the other level. If [`RuntimeCallsite::get`] returns no callsite, that argument is
/// false, and `forward` receives the original event.
#[cold]
pub fn with_level(event: &Event<'_>, level: Level, forward: &mut dyn FnMut(&Event<'_>, bool)) {
    let original = event.metadata();
    let fields: Vec<&str> = original.fields().iter().map(|field| field.name()).collect();
    let callsite = RuntimeCallsite::get(&Origin {
        name: original.name(),
        level,
        target: original.target(),
        module_path: original.module_path(),
        file: original.file(),
        line: original.line(),
        fields: &fields,
    });
    let Some(callsite) = callsite.map(RuntimeCallsite::metadata) else {
        return forward(event, false);
    };
    let plan = FieldPlan::new(original, &NoRedaction);
    let record = |visitor: &mut dyn Visit| event.record(visitor);
    let always_forward_copies = true;
    with_rebuilt(
        &plan,
        &NoRedaction,
        Formatting::Eager,
        &record,
        always_forward_copies,
        &mut |values| {
            let values = callsite.fields().value_set_all(values.unwrap_or_default());
            let releveled = if event.is_contextual() {
                Event::new(callsite, &values)
            } else {
                // This event is not contextual. Without a parent, it is a root.
                Event::new_child_of(event.parent().cloned(), callsite, &values)
            };
            forward(&releveled, true);
        },
    );
}
