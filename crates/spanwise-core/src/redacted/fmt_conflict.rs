//! Whether a `fmt` layer would print what another one was shown.
//!
//! The one that comes first formats the fields of a span for all that have the same type of field formatter, and fields recorded
//! later are added by each of them: whoever of them is redacted shows what the others were shown.
//!
//! A `fmt` layer is found by the type of its field formatter. So two questions are asked of the whole stack, each of them by a
//! look-up that the layers behind one policy answer in their own way, see [`answer`].

use std::{
    any::{Any, TypeId},
    cell::Cell,
    ptr,
    sync::Arc,
};

use tracing::Dispatch;
use tracing_subscriber::fmt::format::DefaultFields;

use super::{PrivateFields, Redacted};
use crate::Redact;

pub(super) const ADVICE: &str = "a redacted `fmt` layer is switched off: it would print the span fields that another `fmt` layer \
                                 formats, with their secrets; give it fields of its own, `.map_fmt_fields(PrivateFields::new)`";

/// Found in a stack in which the layer that asks has the field formatter it asks for.
pub(super) struct HasFormatter;

/// How a look-up is answered by a redacted layer.
pub(super) enum QueryReply {
    /// By the layer inside.
    Inner,
    /// By nobody behind this policy.
    Hidden,
    /// By [`HasFormatter`], if the layer inside has this type.
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

impl<L> Redacted<L> {
    /// Whether the layer inside has a field formatter of the same type as a layer of the stack that is not behind the same policy.
    ///
    /// It looks for the types that can be named here; the formatters of `json` and `pretty` are behind features of
    /// tracing-subscriber.
    pub(super) fn shares_fields_with_others(&self, stack: &Dispatch) -> bool {
        self.shares::<DefaultFields>(stack) || self.shares::<PrivateFields>(stack)
    }

    fn shares<N: Any>(&self, stack: &Dispatch) -> bool {
        let before = QUERY.replace(Some(FormatterQuery {
            layer: ptr::from_ref(self).cast(),
            policy: address(&self.policy),
            formatter: TypeId::of::<N>(),
        }));
        let shares = stack.is::<HasFormatter>() && stack.is::<N>();
        QUERY.set(before);
        shares
    }

    /// How this layer answers when it is asked for the type `id`.
    pub(super) fn reply(&self, id: TypeId) -> QueryReply {
        match QUERY.get() {
            Some(query) if id == query.formatter && query.policy == address(&self.policy) => {
                QueryReply::Hidden
            }
            Some(query)
                if id == TypeId::of::<HasFormatter>()
                    && query.layer == ptr::from_ref(self).cast() =>
            {
                QueryReply::HasFormatter(query.formatter)
            }
            _ => QueryReply::Inner,
        }
    }
}

fn address(policy: &Arc<dyn Redact>) -> *const () {
    Arc::as_ptr(policy).cast()
}
