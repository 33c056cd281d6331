//! Detects `fmt` layers that would print span fields that another layer formatted.
//!
//! The first `fmt` layer formats the fields of a span for all layers whose field formatter has the
//! same type. Each layer appends the fields that are recorded later. So a redacted layer may print
//! values that an unredacted layer formatted.
//!
//! A `fmt` layer can be found by the type of its field formatter. Two such queries are sent to the
//! whole stack, and layers behind a policy answer them with [`reply`].

use std::{any::TypeId, cell::Cell, sync::Arc};

use tracing::Dispatch;
use tracing_subscriber::fmt::format::DefaultFields;

use super::private_fields::PrivateFields;
use crate::Redact;

pub(super) const ADVICE: &str = "a redacted `fmt` layer is switched off: it would print the span \
                                 fields that another `fmt` layer formats, with their secrets; give \
                                 it fields of its own, `.map_fmt_fields(PrivateFields::new)`";

/// A marker. The querying layer claims to contain it if its inner layer has the field formatter in
/// question.
pub(super) struct HasFormatter;

/// The answer of a redacted layer to a query by type.
pub(super) enum QueryReply {
    /// Forward the query to the inner layer.
    Inner,
    /// Find nothing.
    Hidden,
    /// Find [`HasFormatter`] if the inner layer contains this type.
    HasFormatter(TypeId),
}

#[derive(Clone, Copy)]
struct FormatterQuery {
    layer: *const (),
    policy: *const (),
    formatter: TypeId,
}

thread_local! {
    static QUERY: Cell<Option<FormatterQuery>> = const { Cell::new(None) };
}

/// Returns whether the inner layer of `layer` has a field formatter of the same type as another
/// layer of the stack that is not behind `policy`.
///
/// Only types that can be named here are found. The formatters of `json` and `pretty` are behind
/// features of tracing-subscriber.
pub(super) fn shares_fields(layer: *const (), policy: &Arc<dyn Redact>, stack: &Dispatch) -> bool {
    let shares = |formatter: TypeId, has_formatter: &dyn Fn() -> bool| {
        let before = QUERY.replace(Some(FormatterQuery {
            layer,
            policy: address(policy),
            formatter,
        }));
        let shares = stack.is::<HasFormatter>() && has_formatter();
        QUERY.set(before);
        shares
    };
    shares(TypeId::of::<DefaultFields>(), &|| {
        stack.is::<DefaultFields>()
    }) || shares(TypeId::of::<PrivateFields>(), &|| {
        stack.is::<PrivateFields>()
    })
}

/// Returns the answer of `layer`, which is behind `policy`, to a query for the type `id`.
pub(super) fn reply(layer: *const (), policy: &Arc<dyn Redact>, id: TypeId) -> QueryReply {
    match QUERY.get() {
        Some(query) if id == query.formatter && query.policy == address(policy) => {
            QueryReply::Hidden
        }
        Some(query) if id == TypeId::of::<HasFormatter>() && query.layer == layer => {
            QueryReply::HasFormatter(query.formatter)
        }
        _ => QueryReply::Inner,
    }
}

fn address(policy: &Arc<dyn Redact>) -> *const () {
    Arc::as_ptr(policy).cast()
}
