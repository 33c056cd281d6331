//! Questions that the errors of this crate answer, although sinks see them as `dyn Error`.
//!
//! The type behind a `dyn Error` cannot be named if it is generic or private. So a question travels
//! through a thread-local and `Error::description`, a deprecated method that no other code calls.

use std::{cell::Cell, error::Error, sync::Arc};

use crate::internal::panic_safe;

/// What to ask an error for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorQuery {
    TypeName,
    ShortName,
    Backtrace,
}

/// The answer to an [`ErrorQuery`]. Without a value, the error knows nothing better than its
/// `Debug`.
#[derive(Debug)]
pub(crate) enum ErrorReply {
    TypeName(Option<&'static str>),
    ShortName(Option<String>),
    Backtrace(Option<Arc<str>>),
}

thread_local! {
    static QUERY: Cell<Option<ErrorQuery>> = const { Cell::new(None) };
    static REPLY: Cell<Option<ErrorReply>> = const { Cell::new(None) };
}

/// Asks `error`. Returns `None` if it does not answer queries.
pub(crate) fn query(error: &(dyn Error + 'static), query: ErrorQuery) -> Option<ErrorReply> {
    // On an ending thread there is no place for a reply.
    REPLY.try_with(Cell::take).ok()?;
    let outer = QUERY.replace(Some(query));
    #[expect(deprecated, reason = "so no other code calls it")]
    panic_safe::catch_panic(|| {
        error.description();
    });
    QUERY.set(outer);
    REPLY.try_with(Cell::take).ok()?
}

/// Answers the query of the thread. For `Error::description`, whose result it returns.
pub(crate) fn answer(reply: impl FnOnce(ErrorQuery) -> ErrorReply) -> &'static str {
    if let Some(query) = QUERY.take() {
        let reply = reply(query);
        let _ = REPLY.try_with(|slot| slot.set(Some(reply)));
    }
    "an error"
}
