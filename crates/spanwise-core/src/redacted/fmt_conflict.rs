//! Detects redacted `fmt` layers that would print unredacted span fields.
//!
//! `fmt` layers whose field formatters have the same type share the text of a span's fields. The
//! first of them formats the fields for all. So a redacted layer prints the text that an unredacted
//! layer formatted. The order of the layers does not help, because each layer appends the fields
//! that are recorded later.
//!
//! `Dispatch::is` can find a formatter in the stack by its type. For each known type,
//! [`has_conflict`] sends two queries through the stack:
//!
//! 1. Does the redacted layer have this formatter? The query is for [`FormatterMarker`], which only
//!    that layer answers.
//! 2. Does a layer outside of its policy have this formatter? The query is for the formatter
//!    itself, and layers with the same policy hide theirs.
//!
//! Redacted layers answer both queries with [`reply`].

use std::{any::TypeId, cell::Cell, sync::Arc};

use tracing::Dispatch;
use tracing_subscriber::fmt::format::DefaultFields;

use super::unshared_fields::UnsharedFields;
use crate::Redact;

pub(super) const ADVICE: &str = "a redacted `fmt` layer is disabled: it would print the span \
                                 fields that another `fmt` layer formats, with their secrets; give \
                                 it fields of its own, `.map_fmt_fields(UnsharedFields::new)`, and \
                                 wrap them twice if a layer with another policy has them too";

/// The type of the first query. It marks a redacted layer that has the formatter in question.
pub(super) struct FormatterMarker;

/// The reply of a redacted layer to a query for a type.
pub(super) enum QueryReply {
    /// The reply of the inner layer.
    Inner,
    /// The type is not found, even if the inner layer contains it.
    Hidden,
    /// [`FormatterMarker`] is found if the inner layer contains this formatter.
    MarkerIfInnerHas(TypeId),
}

/// The check in progress, for one formatter. The pointers are only compared, never dereferenced.
#[derive(Clone, Copy)]
struct FormatterQuery {
    layer_ptr: *const (),
    policy_ptr: *const (),
    formatter: TypeId,
}

thread_local! {
    static QUERY: Cell<Option<FormatterQuery>> = const { Cell::new(None) };
}

/// Returns whether the inner layer of `layer` has a field formatter of the same type as a layer of
/// the stack that is not behind the same `policy`.
///
/// Only the formatters that can be named here are checked: `DefaultFields`, and one
/// [`UnsharedFields`], which a layer with another policy may have too. The formatters of `json` and
/// `pretty` are behind features of tracing-subscriber. A conflict between them, or between custom
/// formatters, is not detected, and the redacted layer prints unredacted fields.
pub(super) fn has_conflict(
    layer_ptr: *const (),
    policy: &Arc<dyn Redact>,
    stack: &Dispatch,
) -> bool {
    let is_shared = |formatter: TypeId, other_layer_has_it: &dyn Fn() -> bool| {
        let previous_query = QUERY.replace(Some(FormatterQuery {
            layer_ptr,
            policy_ptr: address(policy),
            formatter,
        }));
        let is_shared = stack.is::<FormatterMarker>() && other_layer_has_it();
        QUERY.set(previous_query);
        is_shared
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
    match QUERY.get() {
        Some(query) if id == query.formatter && query.policy_ptr == address(policy) => {
            QueryReply::Hidden
        }
        Some(query) if id == TypeId::of::<FormatterMarker>() && query.layer_ptr == layer_ptr => {
            QueryReply::MarkerIfInnerHas(query.formatter)
        }
        _ => QueryReply::Inner,
    }
}

fn address(policy: &Arc<dyn Redact>) -> *const () {
    Arc::as_ptr(policy).cast()
}
