//! Queries to the error types of this crate, through a `dyn Error`.
//!
//! The type behind a `dyn Error` cannot be named if it is generic or private. So the query is
//! passed in a thread-local, and `Error::description` is called, a deprecated method that no other
//! code calls.

use std::{cell::Cell, error::Error, mem::ManuallyDrop, sync::Arc};

use crate::internal::{panic_safe, thread_state};

/// The fact that is queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorQuery {
    TypeName,
    ShortName,
    Backtrace,
}

/// The answer to an [`ErrorQuery`], or `None` if the error does not have this fact.
#[derive(Debug)]
pub(crate) enum ErrorReply {
    TypeName(Option<&'static str>),
    ShortName(Option<String>),
    Backtrace(Option<Arc<str>>),
}

/// The part of the thread's state that this module owns.
pub(crate) struct QueryState {
    query: Cell<Option<ErrorQuery>>,
    /// Set by [`answer`], and taken by [`query`]. `ManuallyDrop`, because the state of a thread
    /// must have no destructor.
    reply: Cell<Option<ManuallyDrop<ErrorReply>>>,
}

impl QueryState {
    pub(crate) const fn new() -> Self {
        Self {
            query: Cell::new(None),
            reply: Cell::new(None),
        }
    }
}

fn with_state<R>(f: impl FnOnce(&QueryState) -> R) -> R {
    thread_state::with(|state| f(&state.error_query))
}

/// Queries `error`. Returns `None` if it is not an error of this crate.
pub(crate) fn query(error: &(dyn Error + 'static), query: ErrorQuery) -> Option<ErrorReply> {
    let outer = with_state(|state| state.query.replace(Some(query)));
    #[expect(deprecated, reason = "so no other code calls it")]
    panic_safe::catch_panic(|| {
        error.description();
    });
    let reply = with_state(|state| {
        state.query.set(outer);
        state.reply.take()
    });
    reply.map(ManuallyDrop::into_inner)
}

/// Answers the current query. Called in `Error::description`, which returns the result.
pub(crate) fn answer(reply: impl FnOnce(ErrorQuery) -> ErrorReply) -> &'static str {
    if let Some(query) = with_state(|state| state.query.take()) {
        let reply = ManuallyDrop::new(reply(query));
        with_state(|state| state.reply.set(Some(reply)));
    }
    "an error"
}
