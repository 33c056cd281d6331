//! Queries for facts about errors of this crate, through a `dyn Error`.
//!
//! Some of our error types are generic or private, so a sink cannot downcast to them. Instead,
//! [`query`] stores its question in a thread-local and calls `Error::description`, a deprecated
//! method that no other code calls. Our implementations of that method [`answer`] the question.

use std::{cell::Cell, error::Error, mem::ManuallyDrop, sync::Arc};

use crate::internal::{panic_safe, thread_state};

/// The fact that a query asks about.
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
    let outer_query = with_state(|state| state.query.replace(Some(query)));
    #[expect(deprecated, reason = "so no other code calls it")]
    panic_safe::catch_panic(|| {
        error.description();
    });
    let reply = with_state(|state| {
        state.query.set(outer_query);
        state.reply.take()
    });
    reply.map(ManuallyDrop::into_inner)
}

/// Answers the current query, if there is one. Our implementations of `Error::description` call
/// this function and return its result.
pub(crate) fn answer(reply: impl FnOnce(ErrorQuery) -> ErrorReply) -> &'static str {
    if let Some(query) = with_state(|state| state.query.take()) {
        let reply = ManuallyDrop::new(reply(query));
        with_state(|state| state.reply.set(Some(reply)));
    }
    "an error"
}
