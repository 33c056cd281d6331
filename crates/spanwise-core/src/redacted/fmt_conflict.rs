//! Detects redacted `fmt` layers that would print unredacted span fields.
//!
//! `fmt` layers whose field formatters have the same type share the text of a span's fields. The
//! first of these layers formats the fields of a new span for all of them. If that layer is not
//! redacted, a redacted layer prints the unredacted text. The other order leaks, too: on
//! `Span::record`, each layer appends the text that it formats to the shared text.
//!
//! So when the stack is complete, each redacted layer calls [`has_conflict`] about itself.
//! `Dispatch::is` finds a formatter in the stack by its type. For each type of formatter, the check
//! makes two queries:
//!
//! 1. Does the layer that is checked have this formatter? The query is for [`FormatterMarker`],
//!    which no other layer answers.
//! 2. Does another layer have it? The query is for the formatter itself. Layers that are redacted
//!    with the same policy (the same `Arc`) do not count, so they answer that they do not have it.
//!
//! Redacted layers answer both queries with [`reply`].

use std::{any::TypeId, cell::Cell, sync::Arc};

use tracing::Dispatch;
use tracing_subscriber::fmt::format::DefaultFields;

use super::unshared_fields::UnsharedFields;
use crate::Redact;

pub(super) const ADVICE: &str = "a redacted `fmt` layer is disabled: it would print the span \
                                 fields that another `fmt` layer formats, with their secrets; give \
                                 it a field formatter of its own, with \
                                 `.map_fmt_fields(UnsharedFields::new)`; if a layer with another \
                                 policy also has that one, call it twice";

/// The type of the first query. The layer that is checked answers that it contains this type if it
/// has the formatter.
pub(super) struct FormatterMarker;

/// The reply of a redacted layer when `Dispatch` searches the stack for a type.
pub(super) enum QueryReply {
    /// The inner layer replies.
    Inner,
    /// The type is not found, even if the inner layer contains it.
    Hidden,
    /// If the inner layer contains this formatter, [`FormatterMarker`] is found.
    MarkerIfInnerHas(TypeId),
}

/// The check in progress, for one formatter. The pointers are only compared, never dereferenced.
#[derive(Clone, Copy)]
struct Check {
    layer_ptr: *const (),
    policy_ptr: *const (),
    formatter: TypeId,
}

thread_local! {
    static CHECK: Cell<Option<Check>> = const { Cell::new(None) };
}

/// Returns whether the redacted layer at `layer_ptr` has a field formatter whose type another layer
/// of the stack also has. Layers that are redacted with `policy` do not count.
///
/// Only the formatters that can be named here are checked: `DefaultFields`, and
/// `UnsharedFields<DefaultFields>`, since layers with different policies may both have it. The
/// formatters of `json` and `pretty` are behind features of tracing-subscriber. A conflict between
/// them, or between custom formatters, is not detected, and the redacted layer prints unredacted
/// fields.
pub(super) fn has_conflict(
    layer_ptr: *const (),
    policy: &Arc<dyn Redact>,
    stack: &Dispatch,
) -> bool {
    let is_shared = |formatter: TypeId, other_layer_has_it: &dyn Fn() -> bool| {
        let previous = CHECK.replace(Some(Check {
            layer_ptr,
            policy_ptr: address(policy),
            formatter,
        }));
        let has_conflict = stack.is::<FormatterMarker>() && other_layer_has_it();
        CHECK.set(previous);
        has_conflict
    };
    is_shared(TypeId::of::<DefaultFields>(), &|| {
        stack.is::<DefaultFields>()
    }) || is_shared(TypeId::of::<UnsharedFields>(), &|| {
        stack.is::<UnsharedFields>()
    })
}

/// Returns the reply of the layer at `layer_ptr`, which is behind `policy`, to a query for the
/// type `id`.
pub(super) fn reply(layer_ptr: *const (), policy: &Arc<dyn Redact>, id: TypeId) -> QueryReply {
    match CHECK.get() {
        Some(check) if id == check.formatter && check.policy_ptr == address(policy) => {
            QueryReply::Hidden
        }
        Some(check) if id == TypeId::of::<FormatterMarker>() && check.layer_ptr == layer_ptr => {
            QueryReply::MarkerIfInnerHas(check.formatter)
        }
        _ => QueryReply::Inner,
    }
}

fn address(policy: &Arc<dyn Redact>) -> *const () {
    Arc::as_ptr(policy).cast()
}
